//! The environment of a step: the default variables, then what people have set, then tokens, in this order; nothing of
//! the agent's own. And what a step leaves to later ones.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use pipeline::protocol::{Assignment, AwsAccess};
use pipeline::{StepFacts, default_variables};

use crate::log::hidden;
use crate::script::{Inside, can_be_set};
use crate::secrets::Secrets;
use crate::ssh;
use crate::workspace::{Workspace, read_bounded};

/// The file to which scripts append what later steps get, below the folder of temporary files.
const OUTPUTS: &str = "bastide-variables";
/// How large that file may be, and one value in it, in bytes.
const OUTPUTS_LIMIT: u64 = 256 * 1024;
const OUTPUT_LIMIT: usize = 32 * 1024;

/// What a step's identity token for Amazon is called in logs.
pub(crate) const AWS_TOKEN: &str = "AWS_WEB_IDENTITY_TOKEN";
/// The end of the name of its file.
const AWS_FILE: &str = "AWS_WEB_IDENTITY";

/// The file of a step's identity token for Amazon, on the machine.
pub(crate) fn aws_token_file(workspace: &Workspace) -> PathBuf {
    workspace.tmp().join(token_file(AWS_FILE))
}

fn token_file(name: &str) -> String {
    format!("bastide-token-{name}")
}

/// The environment of a step.
pub(crate) struct Environment {
    /// By name and value, one of each name.
    pub(crate) variables: BTreeMap<String, String>,
    /// What is hidden in logs.
    pub(crate) secrets: Vec<(String, String)>,
    /// Names that cannot be set.
    pub(crate) left_out: Vec<String>,
}

/// Makes the environment of a step, and the files that it names. `docker_host` is where its Docker daemon will listen.
pub(crate) fn prepare(
    assignment: &Assignment,
    workspace: &Workspace,
    inside: &Inside,
    docker_host: Option<&str>,
) -> io::Result<Environment> {
    let outputs = workspace.tmp().join(OUTPUTS);
    workspace.write(&outputs, "")?;
    let facts = StepFacts {
        uuid: assignment.step.clone(),
        run_number: u64::from(assignment.attempt),
        triggerer_uuid: assignment.triggerer.clone(),
        deployment_uuid: assignment.environment.clone(),
        clone_dir: inside.build.clone(),
        variables_path: format!("{}/{OUTPUTS}", inside.tmp),
        ssh_key_file: ssh::key_file(assignment, inside),
        docker_host: docker_host.map(str::to_owned),
    };
    let mut environment = Environment {
        variables: default_variables(&assignment.run, &assignment.plan, &facts).into_iter().collect(),
        secrets: vec![("BASTIDE_STEP_TOKEN".to_owned(), assignment.source.token.clone())],
        left_out: Vec::new(),
    };
    for variable in &assignment.variables {
        if !can_be_set(&variable.name) {
            environment.left_out.push(variable.name.clone());
            continue;
        }
        if variable.secured {
            environment.secrets.push((variable.name.clone(), variable.value.clone()));
        }
        environment.variables.insert(variable.name.clone(), variable.value.clone());
    }
    for token in assignment.tokens.iter().filter(|token| can_be_set(&token.variable)) {
        let file = environment.file(workspace, inside, &token.variable, &token.token)?;
        environment.secret(&token.variable, &token.token);
        environment.variables.insert(format!("{}_FILE", token.variable), file);
    }
    if let Some(access) = &assignment.aws {
        environment.aws(access, workspace, inside)?;
    }
    Ok(environment)
}

impl Environment {
    /// Sets a variable that is hidden in logs.
    pub(crate) fn secret(&mut self, name: &str, value: &str) {
        self.secrets.push((name.to_owned(), value.to_owned()));
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// A file that holds a token; gives its path inside.
    fn file(&self, workspace: &Workspace, inside: &Inside, name: &str, token: &str) -> io::Result<String> {
        let file = token_file(name);
        workspace.write(&workspace.tmp().join(&file), token)?;
        Ok(format!("{}/{file}", inside.tmp))
    }

    fn aws(&mut self, access: &AwsAccess, workspace: &Workspace, inside: &Inside) -> io::Result<()> {
        let region = match access {
            AwsAccess::WebIdentity { role, session_name, token, region, .. } => {
                let file = self.file(workspace, inside, AWS_FILE, token)?;
                self.secrets.push((AWS_TOKEN.to_owned(), token.clone()));
                self.set("AWS_WEB_IDENTITY_TOKEN_FILE", &file);
                self.set("AWS_ROLE_ARN", role);
                self.set("AWS_ROLE_SESSION_NAME", session_name);
                region
            }
            // The step asks its agent for the credentials, which would never be asked if they stood here.
            AwsAccess::Session { secret_key, session_token, region, .. } => {
                self.secrets.push(("AWS_SECRET_ACCESS_KEY".to_owned(), secret_key.clone()));
                self.secrets.push(("AWS_SESSION_TOKEN".to_owned(), session_token.clone()));
                region
            }
        };
        if let Some(region) = region {
            self.set("AWS_REGION", region);
            self.set("AWS_DEFAULT_REGION", region);
        }
        Ok(())
    }
}

/// What a step leaves: the variables that its plan names, and what is wrong with them. One that holds a secret is left out:
/// later steps do not know it as one, and show it.
pub(crate) fn outputs(
    workspace: &Workspace,
    named: &[String],
    secrets: &Secrets,
) -> (BTreeMap<String, String>, Vec<String>) {
    let mut complaints = Vec::new();
    let mut masker = match secrets.masker() {
        Ok(masker) => masker,
        Err(error) => return (BTreeMap::new(), vec![format!("Output variables are left out: {error}")]),
    };
    let bytes = match read_bounded(&workspace.tmp().join(OUTPUTS), OUTPUTS_LIMIT) {
        Ok(bytes) => bytes,
        Err(error) => {
            if !named.is_empty() {
                complaints.push(format!("The output variables cannot be read: {error}"));
            }
            Vec::new()
        }
    };
    let mut outputs = BTreeMap::new();
    for line in String::from_utf8_lossy(&bytes).lines() {
        // Old PowerShells begin a file with a mark.
        let Some((name, value)) = line.trim_start_matches('\u{feff}').split_once('=') else { continue };
        if !named.iter().any(|known| known == name) {
            continue;
        }
        if value.len() > OUTPUT_LIMIT {
            complaints.push(format!("The output variable {name} has more than {OUTPUT_LIMIT} bytes"));
            continue;
        }
        if hidden(&mut masker, value) != value {
            complaints
                .push(format!("The output variable {name} is left out: it holds a secret of this step"));
            continue;
        }
        outputs.insert(name.to_owned(), value.to_owned());
    }
    (outputs, complaints)
}
