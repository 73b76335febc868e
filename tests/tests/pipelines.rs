//! Pipelines from outside: a push starts one, a runner that speaks the protocol takes its steps, and nobody gets at what
//! is another's. The runner here is the protocol's bare client; the real one has tests of its own.

#![cfg(test)]

use model::Secret;
use serde_json::{Value, json};
use testkit::pipeline::{BareRunner, FILE, PIPELINES, RUNNERS, SHELL, Scene, runner_program};
use testkit::{Answer, GitClient, Login, in_path};

/// What a runner adds to its step's log.
async fn add_to_log(
    scene: &Scene,
    agent: &BareRunner,
    job: &Value,
    offset: usize,
    bytes: &'static [u8],
) -> Answer {
    let step = job["step"].as_str().expect("a step");
    let path = format!("/api/runner/steps/{step}/logs/step?attempt={}&offset={offset}", job["attempt"]);
    let Login::Bearer(secret) = &agent.login else { panic!("a runner") };
    let url = format!("{}{path}", scene.world.server.url);
    let request = scene.world.server.client().post(url).bearer_auth(secret.expose()).body(bytes);
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.expect("a text");
    Answer { status, headers, json: serde_json::from_str(&text).unwrap_or(Value::Null), text }
}

const TWO_STEPS: &str = "pipelines:\n  default:\n    - step: {name: Build, runs-on: linux.shell, script: [make], output-variables: [VERSION]}\n    \
     - step: {name: Test, runs-on: [self.hosted, linux.shell], script: [make test]}\n";

#[tokio::test]
async fn a_push_starts_a_run_whose_steps_a_runner_takes_one_after_the_other() {
    let scene = Scene::new().await;
    let agent = scene.bare_runner("one").await;
    let commit = scene.push(TWO_STEPS);
    let run = scene.run_number(1).await;
    assert_eq!(run["state"]["name"], "PENDING");
    assert_eq!(run["target"]["ref_name"], "main");
    assert_eq!(run["target"]["commit"]["hash"], commit.as_str());
    assert_eq!(run["creator"]["nickname"], "writer");
    assert_eq!(run["build_number"], 1);

    assert!(scene.claim(&agent, &["self.hosted", "linux"], 0).await.is_none(), "it lacks a label");
    let job = scene.claim(&agent, SHELL, 5).await.expect("the first step");
    assert_eq!(job["plan"]["name"], "Build");
    assert_eq!(job["run"]["commit"], commit.as_str());
    assert_eq!(scene.refreshed(&run).await["state"]["stage"]["name"], "RUNNING");
    assert!(scene.claim(&agent, SHELL, 0).await.is_none(), "the second waits for the first");

    // The step's own token clones its repository, and no other.
    let token = Secret::new(job["source"]["token"].as_str().expect("a token").to_owned());
    assert!(token.expose().starts_with("bst_stp_"));
    let git = GitClient::new().with_credential(&scene.world.server.url, "x-token-auth", &token);
    let _ = git.run(git.home(), ["clone", job["source"]["url"].as_str().unwrap(), "mine"]).expect_success();
    let other = format!("{}/acme/two.git", scene.world.server.url);
    let _ = git.run(git.home(), ["clone", &other, "other"]).expect_failure();
    let login = Login::Bearer(token.clone());
    let own = scene.world.server.send("GET", "/2.0/repositories/acme/one", &login, &Value::Null).await;
    let _ = own.expect(200);
    let variables = "/2.0/repositories/acme/one/pipelines_config/variables";
    let refused = scene.world.server.send("GET", variables, &login, &Value::Null).await;
    assert!([403, 404, 501].contains(&refused.status.as_u16()), "{}", refused.text);

    // What is sent twice is kept once; a gap is told.
    assert_eq!(add_to_log(&scene, &agent, &job, 0, b"+ make\n").await.expect(200)["length"], 7);
    assert_eq!(add_to_log(&scene, &agent, &job, 0, b"+ make\nok\n").await.expect(200)["length"], 10);
    assert_eq!(add_to_log(&scene, &agent, &job, 50, b"lost").await.expect(200)["length"], 10);
    let steps = scene.steps(&run).await;
    let log = format!("{PIPELINES}/{}/steps/{}/log", in_path(&run["uuid"]), in_path(&steps[0]["uuid"]));
    let whole = scene.send("reader", "GET", &log, Value::Null).await;
    assert_eq!((whole.status.as_u16(), whole.text.as_str()), (200, "+ make\nok\n"));

    let beat = scene.say(&agent, &job, "heartbeat", json!({})).await;
    assert_eq!(beat.expect(200)["stop"], false);
    let outputs = json!({ "VERSION": "1.2" });
    assert_eq!(scene.finish(&agent, &job, json!({ "verdict": "passed" }), outputs.clone()).await.status, 204);
    // Said again, as after an answer that was lost, it is heard once.
    assert_eq!(scene.finish(&agent, &job, json!({ "verdict": "passed" }), outputs).await.status, 204);
    let dead = scene.world.server.send("GET", "/2.0/repositories/acme/one", &login, &Value::Null).await;
    assert_eq!(dead.status, 401, "the token ends with its step");

    let job = scene.claim(&agent, SHELL, 5).await.expect("the second step");
    assert_eq!(job["plan"]["name"], "Test");
    let left: Vec<&Value> =
        job["variables"].as_array().unwrap().iter().filter(|one| one["output"] == true).collect();
    assert_eq!((left.len(), &left[0]["name"], &left[0]["value"]), (1, &json!("VERSION"), &json!("1.2")));
    let failed = json!({ "verdict": "failed", "exit_code": 2 });
    assert_eq!(scene.finish(&agent, &job, failed, json!({})).await.status, 204);
    let run = scene.refreshed(&run).await;
    assert_eq!(run["state"]["result"]["name"], "FAILED");
    assert!(run["completed_on"].is_string());

    // What failed is run again; what passed is not.
    let again = format!("/api/repositories/acme/one/pipelines/{}/rerun", in_path(&run["uuid"]));
    let refused = scene.send("reader", "POST", &again, Value::Null).await;
    assert_eq!(refused.status, 403);
    let _ = scene.send("writer", "POST", &again, Value::Null).await.expect(200);
    let job = scene.claim(&agent, SHELL, 5).await.expect("the failed step");
    assert_eq!((&job["plan"]["name"], &job["attempt"]), (&json!("Test"), &json!(2)));
    assert_eq!(scene.finish(&agent, &job, json!({ "verdict": "passed" }), json!({})).await.status, 204);
    assert_eq!(scene.refreshed(&run).await["state"]["result"]["name"], "SUCCESSFUL");

    assert_eq!(scene.events("action=pipeline.run").await.len(), 1);
    assert_eq!(scene.events("action=step.claim").await.len(), 3);
    let ended = scene.events("action=step.finish").await;
    assert_eq!(ended.len(), 3);
    assert!(ended[0]["actor"].as_str().unwrap().starts_with("runner:"), "{}", ended[0]);
}

/// The attack: a runner of one repository asks for, and speaks of, what another runner runs.
#[tokio::test]
async fn a_runner_gets_at_nothing_but_its_own_steps() {
    let scene = Scene::new().await;
    let (mine, liar) = (scene.bare_runner("mine").await, scene.bare_runner("liar").await);
    scene.push(TWO_STEPS);
    let job = scene.claim(&mine, SHELL, 20).await.expect("a step");
    let step = job["step"].as_str().unwrap();

    let beat = scene.ask(&liar, &format!("steps/{step}/heartbeat"), json!({ "attempt": 1 })).await;
    assert_eq!(beat.status, 404);
    assert_eq!(add_to_log(&scene, &liar, &job, 0, b"lies").await.status, 404);
    assert_eq!(scene.finish(&liar, &job, json!({ "verdict": "passed" }), json!({})).await.status, 404);
    // An attempt that is not the one at hand.
    let old = scene.ask(&mine, &format!("steps/{step}/heartbeat"), json!({ "attempt": 7 })).await;
    assert_eq!(old.status, 409);
    let refusals = scene.events("action=step.finish").await;
    let recorded: Vec<&Value> = refusals
        .iter()
        .filter(|event| event["outcome"] == "refused" && event["actor"] == "runner:liar")
        .collect();
    assert!(!recorded.is_empty(), "{refusals:?}");

    // A runner's credential opens nothing else, and no other credential opens what runners ask.
    for path in ["/2.0/repositories/acme/one", "/2.0/user", "/api/audit/events"] {
        let answer = scene.world.server.send("GET", path, &mine.login, &Value::Null).await;
        assert_eq!(answer.status, 401, "{path}");
    }
    for login in [scene.world.app_password("owner"), Login::Nobody] {
        let body = json!({ "protocol": 1, "program": runner_program(), "labels": SHELL, "wait": 0 });
        assert_eq!(scene.world.server.send("POST", "/api/runner/claim", &login, &body).await.status, 401);
    }
    // A runner of another repository is given none of its steps.
    let path = "/2.0/repositories/acme/two/pipelines-config/runners";
    let made = scene.send("owner", "POST", path, json!({ "name": "two" })).await.expect(200);
    let other = scene.registered(made["registration"]["code"].as_str().expect("a code")).await;
    assert_eq!(scene.finish(&mine, &job, json!({ "verdict": "passed" }), json!({})).await.status, 204);
    assert!(scene.claim(&other, SHELL, 0).await.is_none());
    assert!(scene.claim(&mine, SHELL, 5).await.is_some());
}

#[tokio::test]
async fn a_code_is_used_once_and_a_credential_is_replaced_by_its_first_use() {
    let scene = Scene::new().await;
    let made = scene
        .send("repoadmin", "POST", RUNNERS, json!({ "name": "one", "labels": ["gpu", "linux"] }))
        .await
        .expect(200);
    // What only a runner's abilities give is not given by people.
    assert_eq!(made["labels"], json!(["self.hosted", "gpu"]));
    assert_eq!(made["state"]["status"], "UNREGISTERED");
    let body = json!({ "protocol": 1, "code": made["registration"]["code"], "program": runner_program() });
    let register = || scene.world.server.send("POST", "/api/runner/register", &Login::Nobody, &body);
    let old = BareRunner::of(&register().await.expect(200));
    assert_eq!(register().await.status, 401, "a code is used once");

    let new = BareRunner::of(&scene.ask(&old, "rotate", Value::Null).await.expect(200));
    assert!(scene.claim(&old, SHELL, 0).await.is_none(), "until the new one is used");
    assert!(scene.claim(&new, SHELL, 0).await.is_none());
    let body = json!({ "protocol": 1, "program": runner_program(), "labels": SHELL, "wait": 0 });
    assert_eq!(scene.ask(&old, "claim", body.clone()).await.status, 401);

    let wrong = json!({ "protocol": 2, "program": runner_program(), "labels": SHELL, "wait": 0 });
    assert_eq!(scene.ask(&new, "claim", wrong).await.status, 400);
    let path = format!("{RUNNERS}/{}", in_path(&made["uuid"]));
    let off = json!({ "state": { "status": "DISABLED" } });
    assert_eq!(scene.send("writer", "PUT", &path, off.clone()).await.status, 403);
    assert_eq!(scene.send("repoadmin", "PUT", &path, off).await.expect(200)["state"]["status"], "DISABLED");
    assert_eq!(scene.ask(&new, "claim", body.clone()).await.status, 403);
    assert_eq!(scene.send("repoadmin", "DELETE", &path, Value::Null).await.status, 204);
    assert_eq!(scene.ask(&new, "claim", body).await.status, 401);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_a_run_that_says_why() {
    let scene = Scene::new().await;
    scene.push("pipelines:\n  default:\n    - stepp: {script: [make]}\n");
    let run = scene.run_number(1).await;
    let result = &run["state"]["result"];
    assert_eq!(
        (&result["name"], &result["error"]["key"]),
        (&json!("ERROR"), &json!("configuration-invalid"))
    );
    assert!(result["error"]["message"].as_str().unwrap().contains("bitbucket-pipelines.yml:3:7"), "{result}");

    // A commit may say that it starts nothing; what nobody asks for starts nothing either.
    let file = scene.work.join(FILE);
    std::fs::write(&file, TWO_STEPS).unwrap();
    let _ = scene.git.run(&scene.work, ["commit", "-qam", "quiet [skip ci]"]).expect_success();
    let _ = scene.git.run(&scene.work, ["push", &scene.address, "HEAD:main", "HEAD:other"]).expect_success();
    let _ = scene.git.run(&scene.work, ["push", &scene.address, "HEAD:refs/tags/v1"]).expect_success();
    let again = scene.push("pipelines:\n  branches:\n    release/*:\n      - step: {script: [make]}\n");
    scene.push(&format!("{TWO_STEPS}# {again}\n"));
    let newest = scene.run_number(2).await;
    assert_eq!(newest["build_number"], 2, "{newest}");
}

/// Would catch: an environment for administrators that takes whoever may push, or that keeps administrators waiting for
/// themselves.
#[tokio::test]
async fn what_an_administrator_starts_waits_for_no_administrator() {
    let scene = Scene::new().await;
    let agent = scene.bare_runner("one").await;
    scene.push(
        "pipelines:\n  custom:\n    release:\n      \
         - step: {name: Publish, deployment: production, runs-on: linux.shell, script: [make]}\n    later:\n      \
         - step: {name: Build, runs-on: linux.shell, script: [make]}\n      \
         - step: {name: Publish, deployment: production, trigger: manual, runs-on: linux.shell, script: [make]}\n",
    );
    let path = "/2.0/repositories/acme/one/environments";
    let found = scene.send("reader", "GET", path, Value::Null).await.expect(200);
    let environments = found["values"].as_array().expect("environments");
    let production =
        environments.iter().find(|one| one["name"] == "Production").expect("it is there from the start");
    let changes = format!("{path}/{}/changes", in_path(&production["uuid"]));
    let only = json!({ "change": { "restrictions": {
        "admin_only": true, "type": "deployment_restrictions_configuration",
    } } });
    assert_eq!(scene.send("repoadmin", "POST", &changes, only).await.status, 202);
    let start = json!({
        "target": { "type": "pipeline_ref_target", "ref_type": "branch", "ref_name": "main",
                    "selector": { "type": "custom", "pattern": "release" } },
    });
    let held = scene.send("writer", "POST", PIPELINES, start.clone()).await.expect(201);
    assert_eq!(scene.refreshed(&held).await["state"]["stage"]["name"], "PAUSED");
    assert!(scene.claim(&agent, SHELL, 0).await.is_none());
    let run = scene.send("repoadmin", "POST", PIPELINES, start).await.expect(201);
    let job = scene.claim(&agent, SHELL, 5).await.expect("the step is ready");
    let step = job["step"].as_str().expect("an id");
    assert_eq!(scene.steps(&run).await[0]["uuid"], format!("{{{step}}}"));

    // What a writer runs again is the writer's, and what waits in an administrator's run waits for one.
    let failed = json!({ "verdict": "failed", "exit_code": 1 });
    assert_eq!(scene.finish(&agent, &job, failed, json!({})).await.status, 204);
    let again = format!("/api/repositories/acme/one/pipelines/{}/rerun", in_path(&run["uuid"]));
    let _ = scene.send("writer", "POST", &again, Value::Null).await.expect(200);
    assert_eq!(scene.refreshed(&run).await["state"]["stage"]["name"], "PAUSED");
    let later = json!({
        "target": { "type": "pipeline_ref_target", "ref_type": "branch", "ref_name": "main",
                    "selector": { "type": "custom", "pattern": "later" } },
    });
    let run = scene.send("repoadmin", "POST", PIPELINES, later).await.expect(201);
    let job = scene.claim(&agent, SHELL, 5).await.expect("the first step is ready");
    assert_eq!(scene.finish(&agent, &job, json!({ "verdict": "passed" }), json!({})).await.status, 204);
    let go = format!(
        "/api/repositories/acme/one/pipelines/{}/steps/{}/start",
        in_path(&run["uuid"]),
        in_path(&scene.steps(&run).await[1]["uuid"])
    );
    assert_eq!(scene.send("writer", "POST", &go, Value::Null).await.status, 403);
    let _ = scene.send("repoadmin", "POST", &go, Value::Null).await.expect(200);
}

#[tokio::test]
async fn runs_are_started_stopped_and_go_on_by_hand() {
    let scene = Scene::new().await;
    let agent = scene.bare_runner("one").await;
    scene.push(
        "pipelines:\n  custom:\n    release:\n      - variables: [{name: LEVEL, allowed-values: [minor, major]}]\n      \
         - step: {name: Build, runs-on: linux.shell, script: [make]}\n      \
         - step: {name: Publish, runs-on: linux.shell, trigger: manual, script: [make publish]}\n",
    );
    let start = |level: &str| {
        json!({
            "target": { "type": "pipeline_ref_target", "ref_type": "branch", "ref_name": "main",
                        "selector": { "type": "custom", "pattern": "release" } },
            "variables": [{ "key": "LEVEL", "value": level }, { "key": "KEY", "value": "hush-hush", "secured": true }],
        })
    };
    let odd = scene.send("writer", "POST", PIPELINES, start("huge")).await;
    assert_eq!(odd.status, 400, "{}", odd.text);
    assert_eq!(scene.send("reader", "POST", PIPELINES, start("minor")).await.status, 403);
    let run = scene.send("writer", "POST", PIPELINES, start("minor")).await.expect(201);
    assert_eq!(run["trigger"]["name"], "MANUAL");
    let told = run["variables"].to_string();
    assert!(told.contains("minor") && !told.contains("hush-hush"), "{told}");

    let job = scene.claim(&agent, SHELL, 5).await.expect("a step");
    let variables = job["variables"].as_array().unwrap();
    let key = variables.iter().find(|one| one["name"] == "KEY").expect("what was set");
    assert_eq!((&key["value"], &key["secured"]), (&json!("hush-hush"), &json!(true)));
    assert_eq!(scene.finish(&agent, &job, json!({ "verdict": "passed" }), json!({})).await.status, 204);
    assert_eq!(scene.refreshed(&run).await["state"]["stage"]["name"], "PAUSED");
    assert!(scene.claim(&agent, SHELL, 0).await.is_none());
    let steps = scene.steps(&run).await;
    let go = format!(
        "/api/repositories/acme/one/pipelines/{}/steps/{}/start",
        in_path(&run["uuid"]),
        in_path(&steps[1]["uuid"])
    );
    let _ = scene.send("writer", "POST", &go, Value::Null).await.expect(200);
    let job = scene.claim(&agent, SHELL, 5).await.expect("the step that was started");

    let stop = format!("{PIPELINES}/{}/stopPipeline", in_path(&run["uuid"]));
    assert_eq!(scene.send("writer", "POST", &stop, Value::Null).await.status, 204);
    let beat = scene.say(&agent, &job, "heartbeat", json!({})).await;
    assert_eq!(beat.expect(200)["stop"], true);
    assert_eq!(scene.finish(&agent, &job, json!({ "verdict": "stopped" }), json!({})).await.status, 204);
    assert_eq!(scene.refreshed(&run).await["state"]["result"]["name"], "STOPPED");
    assert_eq!(scene.send("writer", "POST", &stop, Value::Null).await.status, 409);

    // A configuration that nobody reviewed is for administrators.
    let yaml = "pipelines:\n  default:\n    - step: {runs-on: linux.shell, script: [whoami]}\n";
    for (person, status) in [("writer", 403), ("repoadmin", 201)] {
        let Login::Basic(name, secret) = scene.world.app_password(person) else { panic!("an app password") };
        let url = format!(
            "{}{PIPELINES}?target.ref_type=branch&target.ref_name=main&target.type=pipeline_ref_target",
            scene.world.server.url
        );
        let request = scene.world.server.client().post(url).basic_auth(name, Some(secret.expose()));
        let answer = request.header("content-type", "application/yaml").body(yaml).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{person}");
    }
}

const DEPLOYS: &str = "pipelines:\n  default:\n    - step: {name: Ship, runs-on: linux.shell, deployment: Production, script: [ship]}\n";

/// Would catch: two runs that deploy to one environment at once, a lock that goes on when it was switched off, one that
/// is not told.
#[tokio::test]
async fn one_run_at_a_time_deploys_to_an_environment_that_is_locked() {
    const ENVIRONMENTS: &str = "/2.0/repositories/acme/one/environments";
    let scene = Scene::new().await;
    let agent = scene.bare_runner("one").await;
    for text in [DEPLOYS.to_owned(), format!("{DEPLOYS}# again\n"), format!("{DEPLOYS}# and again\n")] {
        scene.push(&text);
    }
    scene.run_number(3).await;
    let production = async || {
        let found = scene.send("repoadmin", "GET", ENVIRONMENTS, Value::Null).await.expect(200);
        let all = found["values"].as_array().expect("a list").clone();
        all.into_iter().find(|one| one["name"] == "Production").expect("it is there from the start")
    };
    assert_eq!(production().await["lock"]["name"], "OPEN");
    let first = scene.claim(&agent, SHELL, 5).await.expect("the first run's step");
    assert!(scene.claim(&agent, SHELL, 0).await.is_none(), "another run deploys");
    assert_eq!(production().await["lock"]["name"], "LOCKED");
    let passed = json!({ "verdict": "passed" });
    assert_eq!(scene.finish(&agent, &first, passed.clone(), json!({})).await.status, 204);
    let second = scene.claim(&agent, SHELL, 5).await.expect("the second run's step");

    let path = format!("{ENVIRONMENTS}/{}/changes", in_path(&production().await["uuid"]));
    let body = json!({ "change": { "name": "Production", "environment_lock_enabled": false } });
    let changed = scene.send("repoadmin", "POST", &path, body).await;
    assert!(changed.status.is_success(), "{}: {}", changed.status, changed.text);
    let third = scene.claim(&agent, SHELL, 5).await.expect("nothing is locked any more");
    for job in [second, third] {
        assert_eq!(scene.finish(&agent, &job, passed.clone(), json!({})).await.status, 204);
    }
}

/// Attack: a pipeline that pushes on each run. Would catch: one that never ends.
#[tokio::test]
async fn what_a_step_pushes_starts_pipelines_once() {
    let scene = Scene::new().await;
    let agent = scene.bare_runner("one").await;
    scene.push(TWO_STEPS);
    let mut seen = Vec::new();
    for number in 1..=2 {
        let run = scene.run_number(number).await;
        let job = scene.claim(&agent, SHELL, 5).await.expect("a step");
        let token = Secret::new(job["source"]["token"].as_str().expect("a token").to_owned());
        let git = GitClient::new().with_credential(&scene.world.server.url, "x-token-auth", &token);
        let name = format!("clone{number}");
        let _ = git.run(git.home(), ["clone", &scene.address, &name]).expect_success();
        let copy = git.home().join(&name);
        let _ = git.commit(&copy, "VERSION", format!("{number}\n"));
        let _ = git.run(&copy, ["push", &scene.address, "HEAD:main"]).expect_success();
        // Its second step is not run: what waits for it would be taken for the next run's first.
        let failed = json!({ "verdict": "failed", "exit_code": 1 });
        assert_eq!(scene.finish(&agent, &job, failed, json!({})).await.status, 204);
        seen.push(run["target"]["commit"]["hash"].clone());
    }
    // Who pushes next starts the third, on top of what the second run pushed.
    let _ = scene.git.run(&scene.work, ["pull", "-q", &scene.address, "main"]).expect_success();
    let mine = scene.push(&format!("{TWO_STEPS}# by hand\n"));
    let third = scene.run_number(3).await;
    assert_eq!(
        (&third["build_number"], &third["target"]["commit"]["hash"]),
        (&json!(3), &json!(mine)),
        "{seen:?}"
    );
}
