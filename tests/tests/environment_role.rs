//! The role at Amazon of a deployment environment, from outside: who sets it, how, and that a step which deploys there is held
//! to its grants as by a role of its own. The runner here is the protocol's bare client.

#![cfg(test)]

use serde_json::{Value, json};
use testkit::pipeline::{BareRunner, SHELL, Scene, runner_program};
use testkit::world::PASSWORD;
use testkit::{Answer, Browser, form, in_path};

const ENVIRONMENTS: &str = "/2.0/repositories/acme/one/environments";
const ROLE: &str = "arn:aws:iam::123456789012:role/environment";
const OWN: &str = "arn:aws:iam::123456789012:role/own";

async fn production(scene: &Scene) -> Value {
    let found = scene.send("reader", "GET", ENVIRONMENTS, Value::Null).await.expect(200);
    let all = found["values"].as_array().expect("environments").clone();
    all.into_iter().find(|one| one["name"] == "Production").expect("it is there from the start")
}

async fn set(scene: &Scene, person: &str, aws: Value) -> Answer {
    let path = format!("{ENVIRONMENTS}/{}/changes", in_path(&production(scene).await["uuid"]));
    scene.send(person, "POST", &path, json!({ "change": { "aws": aws } })).await
}

/// Pushes a file of one step that deploys, has a runner ask for it, and tells what has become of the step of this run.
async fn step_of(scene: &Scene, runner: &BareRunner, number: usize, aws: &str) -> String {
    let step = format!("{{deployment: production, runs-on: linux.shell, {aws} script: [make]}}");
    scene.push(&format!("pipelines: {{default: [step: {step}]}}\n"));
    let run = scene.run_number(number).await;
    let body = json!({ "protocol": 1, "program": runner_program(), "labels": SHELL, "wait": 0 });
    let answer = scene.ask(runner, "claim", body).await;
    assert_ne!(answer.status, 200, "{}", answer.text);
    scene.steps(&run).await[0].to_string()
}

/// Would catch: a role that a writer sets; one that is no role and kept; a change that takes it away without saying so.
#[tokio::test]
async fn who_administers_the_repository_sets_the_role() {
    let scene = Scene::new().await;
    assert_eq!(production(&scene).await["aws"], Value::Null);
    let wanted = json!({ "role": ROLE, "session_duration": 1800, "region": "eu-central-1" });
    assert_eq!(set(&scene, "writer", wanted.clone()).await.status, 403);
    for (field, bad) in [
        ("aws.role", json!({ "role": "$ROLE" })),
        ("aws.session_duration", json!({ "role": ROLE, "session_duration": 899 })),
        ("aws.session_duration", json!({ "role": ROLE, "session_duration": -1 })),
        ("aws.region", json!({ "role": ROLE, "region": "evil.example.com/" })),
    ] {
        let refused = set(&scene, "repoadmin", bad).await;
        assert!(refused.status == 400 && refused.text.contains(field), "{}", refused.text);
    }
    assert_eq!(set(&scene, "repoadmin", wanted.clone()).await.status, 202);
    assert_eq!(production(&scene).await["aws"], wanted);

    // The page keeps what was refused, and a form that is sent as it is changes nothing.
    let id = production(&scene).await["uuid"].as_str().expect("an id").replace(['{', '}'], "");
    let page = format!("/acme/one/settings/environments/{id}");
    let browser = Browser::signed_in(&scene.world.server, "repoadmin", PASSWORD).await;
    let untouched = form(&browser.page(&page).await, &page);
    assert_eq!(untouched.get("aws_role"), Some(ROLE));
    let wrong = browser.submit(untouched.clone().with("aws_session_duration", "60")).await;
    let told = wrong.text.contains("id=\"aws_session_duration-error\"");
    assert!(wrong.status == 400 && told, "{}", wrong.text);
    assert_eq!(form(&wrong.text, &page).get("aws_session_duration"), Some("60"));
    assert_eq!(browser.submit(untouched).await.status, 303);
    assert_eq!(production(&scene).await["aws"], wanted);

    assert_eq!(set(&scene, "repoadmin", Value::Null).await.status, 202);
    assert_eq!(production(&scene).await["aws"], Value::Null);
    let events = scene.events("action=environment.set&outcome=done").await;
    let roles: Vec<&Value> = events.iter().map(|event| &event["after"]["aws"]["role"]).collect();
    assert_eq!(roles, [&Value::Null, &json!(ROLE), &json!(ROLE)], "{events:?}");
}

/// Attack: a step that has the role of an environment without a grant; an environment whose role takes the place of the
/// step's own.
#[tokio::test]
async fn a_step_is_held_to_the_grants_of_its_environments_role() {
    let scene = Scene::new().await;
    let runner = scene.bare_runner("one").await;
    assert_eq!(set(&scene, "repoadmin", json!({ "role": ROLE })).await.status, 202);
    let refused = step_of(&scene, &runner, 1, "").await;
    assert!(refused.contains(&format!("cannot have the role `{ROLE}`")), "{refused}");
    let refused = step_of(&scene, &runner, 2, &format!("aws: {{role: \"{OWN}\"}},")).await;
    assert!(refused.contains(&format!("cannot have the role `{OWN}`")), "{refused}");
}
