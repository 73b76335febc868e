//! The variables that a step finds without anyone having set them. Tokens are not among them: whoever mints them
//! adds them.

use serde::{Deserialize, Serialize};

use crate::plan::PlannedStep;

/// What all steps of a run have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFacts {
    /// Counts the pipelines of the repository.
    pub build_number: u64,
    /// The commit.
    pub commit: String,
    /// What the run is for.
    pub reference: Reference,
    /// The workspace's slug.
    pub workspace: String,
    /// The workspace's UUID, with or without braces, as all here.
    pub workspace_uuid: String,
    /// The repository's slug.
    pub repository: String,
    /// The repository's UUID.
    pub repository_uuid: String,
    /// Whether it is private.
    pub is_private: bool,
    /// The project's key.
    pub project_key: String,
    /// The project's UUID.
    pub project_uuid: String,
    /// Where the repository is cloned from by HTTP.
    pub http_origin: String,
    /// And by SSH.
    pub ssh_origin: String,
    /// The pipeline's UUID.
    pub pipeline_uuid: String,
}

/// What a run is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Reference {
    /// A branch.
    Branch {
        /// Its name.
        name: String,
    },
    /// A tag.
    Tag {
        /// Its name.
        name: String,
    },
    /// A pull request.
    PullRequest {
        /// Its number.
        id: u64,
        /// Its source branch.
        source: String,
        /// The branch it is for.
        destination: String,
    },
    /// A commit alone.
    Commit,
}

/// What one execution of a step adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepFacts {
    /// The step's UUID.
    pub uuid: String,
    /// How often it has been run, this time included.
    pub run_number: u64,
    /// Who started it.
    pub triggerer_uuid: String,
    /// The UUID of the environment that it deploys to.
    pub deployment_uuid: Option<String>,
    /// Where the clone is.
    pub clone_dir: String,
    /// The file to which scripts append what later steps get.
    pub variables_path: String,
    /// The file of the key for SSH, where there is one.
    pub ssh_key_file: Option<String>,
    /// Where the Docker service listens, where there is one.
    pub docker_host: Option<String>,
}

/// The default variables of a step, by name and value.
#[must_use]
pub fn default_variables(run: &RunFacts, step: &PlannedStep, facts: &StepFacts) -> Vec<(String, String)> {
    let mut variables = vec![
        ("CI", "true".to_owned()),
        ("BITBUCKET_BUILD_NUMBER", run.build_number.to_string()),
        ("BITBUCKET_CLONE_DIR", facts.clone_dir.clone()),
        ("BITBUCKET_COMMIT", run.commit.clone()),
        ("BITBUCKET_WORKSPACE", run.workspace.clone()),
        ("BITBUCKET_REPO_SLUG", run.repository.clone()),
        ("BITBUCKET_REPO_UUID", braced(&run.repository_uuid)),
        ("BITBUCKET_REPO_FULL_NAME", format!("{}/{}", run.workspace, run.repository)),
        ("BITBUCKET_REPO_OWNER", run.workspace.clone()),
        ("BITBUCKET_REPO_OWNER_UUID", braced(&run.workspace_uuid)),
        ("BITBUCKET_REPO_IS_PRIVATE", run.is_private.to_string()),
        ("BITBUCKET_PROJECT_KEY", run.project_key.clone()),
        ("BITBUCKET_PROJECT_UUID", braced(&run.project_uuid)),
        ("BITBUCKET_GIT_HTTP_ORIGIN", run.http_origin.clone()),
        ("BITBUCKET_GIT_SSH_ORIGIN", run.ssh_origin.clone()),
        ("BITBUCKET_PIPELINE_UUID", braced(&run.pipeline_uuid)),
        ("BITBUCKET_STEP_UUID", braced(&facts.uuid)),
        ("BITBUCKET_STEP_RUN_NUMBER", facts.run_number.to_string()),
        ("BITBUCKET_STEP_TRIGGERER_UUID", braced(&facts.triggerer_uuid)),
        ("BITBUCKET_PIPELINES_VARIABLES_PATH", facts.variables_path.clone()),
    ];
    match &run.reference {
        Reference::Branch { name } => variables.push(("BITBUCKET_BRANCH", name.clone())),
        Reference::Tag { name } => variables.push(("BITBUCKET_TAG", name.clone())),
        Reference::PullRequest { id, source, destination } => variables.extend([
            ("BITBUCKET_BRANCH", source.clone()),
            ("BITBUCKET_PR_ID", id.to_string()),
            ("BITBUCKET_PR_DESTINATION_BRANCH", destination.clone()),
        ]),
        Reference::Commit => {}
    }
    if let Some(place) = step.parallel {
        variables.push(("BITBUCKET_PARALLEL_STEP", place.index.to_string()));
        variables.push(("BITBUCKET_PARALLEL_STEP_COUNT", place.count.to_string()));
    }
    if let Some(name) = &step.deployment {
        variables.push(("BITBUCKET_DEPLOYMENT_ENVIRONMENT", name.slug()));
        let uuid = facts.deployment_uuid.as_deref().map(braced);
        variables.extend(uuid.map(|uuid| ("BITBUCKET_DEPLOYMENT_ENVIRONMENT_UUID", uuid)));
    }
    variables.extend(facts.ssh_key_file.clone().map(|file| ("BITBUCKET_SSH_KEY_FILE", file)));
    variables.extend(facts.docker_host.clone().map(|host| ("DOCKER_HOST", host)));
    variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn braced(uuid: &str) -> String {
    format!("{{{}}}", uuid.trim_matches(['{', '}']))
}
