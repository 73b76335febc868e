#![cfg(test)]
//! The variables that a step finds.

use pipeline::{Event, PlannedStep, Reference, RunFacts, StepFacts, check, default_variables};

fn steps() -> Vec<PlannedStep> {
    let file = "
pipelines:
  default:
    - step: {script: [make]}
    - parallel:
        - step: {script: [make]}
        - step: {script: [make], deployment: Staging EU}
";
    let configuration = check("a.yml", file).configuration.expect("a good file");
    let plan = configuration.plan(&Event::Branch { branch: "main".to_owned() }).expect("a plan");
    plan.pipelines[0].steps.clone()
}

fn run(reference: Reference) -> RunFacts {
    RunFacts {
        build_number: 12,
        commit: "a".repeat(40),
        reference,
        workspace: "acme".to_owned(),
        workspace_uuid: "{00000000-0000-4000-8000-000000000001}".to_owned(),
        repository: "one".to_owned(),
        repository_uuid: "00000000-0000-4000-8000-000000000002".to_owned(),
        is_private: true,
        project_key: "PROJ".to_owned(),
        project_uuid: "00000000-0000-4000-8000-000000000003".to_owned(),
        http_origin: "http://git.example.org/acme/one".to_owned(),
        ssh_origin: "git@git.example.org:acme/one.git".to_owned(),
        pipeline_uuid: "00000000-0000-4000-8000-000000000004".to_owned(),
    }
}

fn facts() -> StepFacts {
    StepFacts {
        uuid: "00000000-0000-4000-8000-000000000005".to_owned(),
        run_number: 2,
        triggerer_uuid: "00000000-0000-4000-8000-000000000006".to_owned(),
        deployment_uuid: None,
        clone_dir: "/opt/atlassian/pipelines/agent/build".to_owned(),
        variables_path: "/opt/atlassian/pipelines/agent/tmp/variables".to_owned(),
        ssh_key_file: None,
        docker_host: None,
    }
}

fn shown(variables: &[(String, String)]) -> String {
    variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect()
}

#[test]
fn of_a_step_on_a_branch() {
    let variables =
        default_variables(&run(Reference::Branch { name: "main".to_owned() }), &steps()[0], &facts());
    insta::assert_snapshot!(shown(&variables));
}

/// Catches a variable that is set where scripts take its presence for an answer.
#[test]
fn only_where_they_mean_something() {
    let all = |reference, step: &PlannedStep, facts: &StepFacts| {
        shown(&default_variables(&run(reference), step, facts))
    };
    let steps = steps();
    let plain = all(Reference::Commit, &steps[0], &facts());
    for absent in ["BRANCH=", "TAG=", "PR_", "PARALLEL", "DEPLOYMENT", "SSH_KEY", "DOCKER_HOST", "OIDC"] {
        assert!(!plain.contains(absent), "{absent}: {plain}");
    }
    let tag = all(Reference::Tag { name: "v1".to_owned() }, &steps[0], &facts());
    assert!(tag.contains("BITBUCKET_TAG=v1\n") && !tag.contains("BITBUCKET_BRANCH="));
    let (source, destination) = ("feature/a".to_owned(), "main".to_owned());
    let pull_request = all(Reference::PullRequest { id: 7, source, destination }, &steps[0], &facts());
    assert!(pull_request.contains("BITBUCKET_PR_ID=7\n"), "{pull_request}");
    assert!(pull_request.contains("BITBUCKET_BRANCH=feature/a\nBITBUCKET_PR_ID"), "{pull_request}");
    let more = StepFacts {
        deployment_uuid: Some("00000000-0000-4000-8000-000000000007".to_owned()),
        ssh_key_file: Some("/tmp/key".to_owned()),
        docker_host: Some("tcp://localhost:2375".to_owned()),
        ..facts()
    };
    let second = all(Reference::Commit, &steps[2], &more);
    assert!(
        second.contains(
            "BITBUCKET_PARALLEL_STEP=1\nBITBUCKET_PARALLEL_STEP_COUNT=2\n\
             BITBUCKET_DEPLOYMENT_ENVIRONMENT=staging-eu\n\
             BITBUCKET_DEPLOYMENT_ENVIRONMENT_UUID={00000000-0000-4000-8000-000000000007}\n\
             BITBUCKET_SSH_KEY_FILE=/tmp/key\nDOCKER_HOST=tcp://localhost:2375\n"
        ),
        "{second}"
    );
}
