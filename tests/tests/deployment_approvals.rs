//! Approvals of deployments, from outside: a step waits until so many people have approved it, none of whom started the
//! run. The runner here is the protocol's bare client.

#![cfg(test)]

use std::ops::Deref;

use serde_json::{Value, json};
use testkit::pipeline::{self, BareRunner, PIPELINES, SHELL};
use testkit::world::PASSWORD;
use testkit::{Answer, Browser, Login, form, forms, in_path};

const ENVIRONMENTS: &str = "/2.0/repositories/acme/one/environments";

/// Pipelines that are started by hand alone.
const BY_HAND: &str = "pipelines:\n  custom:\n    release:\n      \
    - step: {name: Publish, deployment: production, runs-on: linux.shell, script: [make]}\n    later:\n      \
    - step: {name: Build, runs-on: linux.shell, script: [make]}\n      \
    - step: {name: Publish, deployment: production, trigger: manual, runs-on: linux.shell, script: [make]}\n";

/// The scene in which `one` has the file, and a runner.
struct Scene {
    scene: pipeline::Scene,
    runner: BareRunner,
}

impl Deref for Scene {
    type Target = pipeline::Scene;

    fn deref(&self) -> &Self::Target {
        &self.scene
    }
}

impl Scene {
    async fn new() -> Self {
        let scene = pipeline::Scene::new().await;
        scene.push(BY_HAND);
        let runner = scene.bare_runner("one").await;
        Self { scene, runner }
    }

    async fn production(&self) -> Value {
        let found = self.send("reader", "GET", ENVIRONMENTS, Value::Null).await.expect(200);
        let all = found["values"].as_array().expect("environments").clone();
        all.into_iter().find(|one| one["name"] == "Production").expect("it is there from the start")
    }

    /// Changes what restricts the environment for production.
    async fn restrict(&self, person: &str, restrictions: Value) -> Answer {
        let path = format!("{ENVIRONMENTS}/{}/changes", in_path(&self.production().await["uuid"]));
        self.send(person, "POST", &path, json!({ "change": { "restrictions": restrictions } })).await
    }

    async fn ask_for(&self, approvals: i64) {
        let answer = self.restrict("repoadmin", json!({ "required_approvals": approvals })).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
    }

    /// Starts a custom pipeline on `main`.
    async fn run(&self, person: &str, custom: &str) -> Value {
        let start = json!({
            "target": { "type": "pipeline_ref_target", "ref_type": "branch", "ref_name": "main",
                        "selector": { "type": "custom", "pattern": custom } },
        });
        self.send(person, "POST", PIPELINES, start).await.expect(201)
    }

    async fn is_paused(&self, run: &Value) -> bool {
        self.refreshed(run).await["state"]["stage"]["name"] == "PAUSED"
    }

    /// The run's step that deploys: the last one.
    async fn step(&self, run: &Value) -> Value {
        self.steps(run).await.pop().expect("a step")
    }

    /// The address at which the step that deploys is approved.
    async fn go(&self, run: &Value) -> String {
        let (run, step) = (in_path(&run["uuid"]), in_path(&self.step(run).await["uuid"]));
        format!("/api/repositories/acme/one/pipelines/{run}/steps/{step}/start")
    }

    async fn approve(&self, person: &str, go: &str) -> Answer {
        self.send(person, "POST", go, Value::Null).await
    }

    async fn claim(&self, wait: u32) -> Option<Value> {
        self.scene.claim(&self.runner, SHELL, wait).await
    }

    async fn finish(&self, job: &Value, verdict: Value) {
        let answer = self.scene.finish(&self.runner, job, verdict, json!({})).await;
        assert_eq!(answer.status, 204, "{}", answer.text);
    }

    /// What the trail says of approvals, the newest first.
    async fn approvals(&self) -> Vec<Value> {
        self.events("action=deployment.approve&outcome=done").await
    }
}

/// Who has approved a step, as it tells.
fn given(step: &Value) -> Vec<&str> {
    let all = step["approvals"]["given"].as_array().expect("approvals");
    all.iter().map(|one| one["user"]["nickname"].as_str().expect("a name")).collect()
}

/// Would catch: a step that is ready, and deploys without the approvals that were asked for since; a run of an access token,
/// whose holder alone approves it; an environment that lets everybody through when it is removed.
#[tokio::test]
async fn what_is_asked_for_later_holds_for_what_has_not_begun() {
    let scene = Scene::new().await;
    let run = scene.run("writer", "release").await;
    assert!(!scene.is_paused(&run).await, "nothing is asked for yet");
    scene.ask_for(1).await;
    assert!(scene.is_paused(&run).await && scene.claim(0).await.is_none());

    let tokens = "/api/repositories/acme/one/access-tokens";
    let token = scene.world.mint(&scene.world.password("repoadmin"), tokens, &["pipeline:write"]).await;
    let start = json!({
        "target": { "type": "pipeline_ref_target", "ref_type": "branch", "ref_name": "main",
                    "selector": { "type": "custom", "pattern": "release" } },
    });
    let of_token =
        scene.world.server.send("POST", PIPELINES, &Login::Bearer(token), &start).await.expect(201);
    let go = scene.go(&of_token).await;
    let step = scene.approve("repoadmin", &go).await.expect(200);
    assert_eq!(step["approvals"]["required"], 2, "{step}");
    assert!(scene.is_paused(&of_token).await);

    let path = format!("{ENVIRONMENTS}/{}", in_path(&scene.production().await["uuid"]));
    assert_eq!(scene.send("repoadmin", "DELETE", &path, Value::Null).await.status, 204);
    let go = scene.go(&run).await;
    assert_eq!(scene.approve("writer", &go).await.status, 403);
    assert!(scene.is_paused(&run).await && scene.claim(0).await.is_none());
    let _ = scene.approve("repoadmin", &go).await.expect(200);
    assert!(!scene.is_paused(&run).await);
}

/// Would catch: a step that one person lets go on alone, by starting the run, by asking twice, or by a token that stands
/// for nobody; approvals that are left for the next time; a number that cannot be lowered, or that nobody recorded.
#[tokio::test]
async fn a_deployment_waits_for_people_who_did_not_start_it() {
    let scene = Scene::new().await;
    for (person, number, status) in
        [("writer", json!(2), 403), ("repoadmin", json!(6), 400), ("repoadmin", json!(-1), 400)]
    {
        let answer = scene.restrict(person, json!({ "required_approvals": number })).await;
        assert_eq!(answer.status.as_u16(), status, "{person}: {}", answer.text);
        assert_eq!(answer.text.contains("required_approvals"), status == 400, "{}", answer.text);
    }
    assert_eq!(scene.production().await["restrictions"]["required_approvals"], 0);
    scene.ask_for(2).await;
    let restrictions = scene.production().await["restrictions"].clone();
    assert_eq!(
        (&restrictions["required_approvals"], &restrictions["admin_only"]),
        (&json!(2), &json!(false)),
        "{restrictions}"
    );
    let events = scene.events("action=environment.set&outcome=done").await;
    assert_eq!(events[0]["after"]["required_approvals"], 2, "{events:?}");

    // An administrator's run waits too, and for others than its starter.
    let run = scene.run("repoadmin", "release").await;
    assert!(scene.is_paused(&run).await && scene.claim(0).await.is_none());
    let go = scene.go(&run).await;
    assert_eq!(scene.approve("writer", &go).await.status, 403);
    let own = scene.approve("repoadmin", &go).await;
    assert!(own.status == 409 && own.text.contains("started this run"), "{}: {}", own.status, own.text);
    let tokens = "/api/repositories/acme/one/access-tokens";
    let token = scene.world.mint(&scene.world.password("repoadmin"), tokens, &["pipeline:write"]).await;
    let nobody = scene.world.server.send("POST", &go, &Login::Bearer(token), &Value::Null).await;
    assert!(nobody.status == 409 && nobody.text.contains("a token"), "{}: {}", nobody.status, nobody.text);
    assert_eq!(given(&scene.step(&run).await), [""; 0]);

    let step = scene.approve("projectadmin", &go).await.expect(200);
    assert_eq!(
        (&step["state"]["stage"]["name"], &step["approvals"]["required"]),
        (&json!("PAUSED"), &json!(2))
    );
    assert_eq!(given(&step), ["projectadmin"]);
    assert!(step["approvals"]["given"][0]["created_on"].is_string(), "{step}");
    assert!(scene.is_paused(&run).await && scene.claim(0).await.is_none());
    let twice = scene.approve("projectadmin", &go).await;
    assert!(twice.status == 409 && twice.text.contains("already"), "{}: {}", twice.status, twice.text);
    assert_eq!(given(&scene.step(&run).await), ["projectadmin"]);
    let step = scene.approve("owner", &go).await.expect(200);
    assert_eq!((&step["state"]["name"], given(&step)), (&json!("READY"), vec!["projectadmin", "owner"]));
    assert_eq!(scene.approve("owner", &go).await.status, 409, "it waits for nobody any more");
    let job = scene.claim(5).await.expect("two people have approved it");

    let told: Vec<(Value, Value, Value, Value)> = scene
        .approvals()
        .await
        .into_iter()
        .map(|event| {
            let after = &event["after"];
            let [done, approvals, required] = ["done", "approvals", "required"].map(|key| after[key].clone());
            (event["actor"].clone(), done, approvals, required)
        })
        .collect();
    assert_eq!(
        told,
        [
            (json!("user:owner"), json!("start"), json!(2), json!(2)),
            (json!("user:projectadmin"), json!("approve"), json!(1), json!(2)),
        ]
    );

    // Run again, it is approved again.
    scene.finish(&job, json!({ "verdict": "failed", "exit_code": 1 })).await;
    let again = format!("/api/repositories/acme/one/pipelines/{}/rerun", in_path(&run["uuid"]));
    let _ = scene.send("writer", "POST", &again, Value::Null).await.expect(200);
    assert!(scene.is_paused(&run).await && scene.claim(0).await.is_none());
    assert_eq!(given(&scene.step(&run).await), [""; 0]);
    assert_eq!(scene.approve("writer", &go).await.status, 403);
    let _ = scene.approve("owner", &go).await.expect(200);
    assert!(scene.is_paused(&run).await);
    // Where as many are asked for as there are, whoever may start a step starts it.
    scene.ask_for(1).await;
    assert!(scene.is_paused(&run).await);
    let _ = scene.approve("writer", &go).await.expect(200);
    let job = scene.claim(5).await.expect("no approval is missing");
    assert_eq!(job["attempt"], 2);
    assert_eq!(scene.approvals().await.len(), 3);
}

/// Would catch: two approvals at the same moment of which one is lost, or that start the step twice; a step to be started
/// by hand that a writer starts, or that is approved once more than it has to be.
#[tokio::test]
async fn approvals_at_the_same_moment_both_count() {
    let scene = Scene::new().await;
    scene.ask_for(2).await;
    let run = scene.run("writer", "release").await;
    let go = scene.go(&run).await;
    let (one, two) = tokio::join!(scene.approve("projectadmin", &go), scene.approve("owner", &go));
    assert_eq!((one.status.as_u16(), two.status.as_u16()), (200, 200), "{} {}", one.text, two.text);
    let job = scene.claim(5).await.expect("both count");
    assert!(scene.claim(0).await.is_none());
    let done: Vec<Value> =
        scene.approvals().await.iter().map(|event| event["after"]["done"].clone()).collect();
    assert_eq!(done, [json!("start"), json!("approve")]);
    scene.finish(&job, json!({ "verdict": "passed" })).await;

    // Starting by hand is the one approval; what does not deploy waits for none.
    scene.ask_for(1).await;
    let run = scene.run("writer", "later").await;
    let job = scene.claim(5).await.expect("the first step deploys nothing");
    scene.finish(&job, json!({ "verdict": "passed" })).await;
    assert!(scene.is_paused(&run).await);
    let go = scene.go(&run).await;
    assert_eq!(scene.approve("writer", &go).await.status, 403);
    let _ = scene.approve("repoadmin", &go).await.expect(200);
    let job = scene.claim(5).await.expect("it was approved");
    assert_eq!(job["plan"]["name"], "Publish");
}

/// Would catch: a page that says nothing of what a step waits for, that offers what would be refused, or that keeps quiet
/// about why it offers nothing; a field that takes what is no number.
#[tokio::test]
async fn the_pages_tell_who_has_approved_and_offer_it_to_the_others() {
    let scene = Scene::new().await;
    let id = scene.production().await["uuid"].as_str().expect("an id").replace(['{', '}'], "");
    let environment = format!("/acme/one/settings/environments/{id}");
    let starter = Browser::signed_in(&scene.world.server, "repoadmin", PASSWORD).await;
    let untouched = form(&starter.page(&environment).await, &environment);
    assert_eq!(untouched.get("required_approvals"), Some("0"));
    for bad in ["many", "6", ""] {
        let wrong = starter.submit(untouched.clone().with("required_approvals", bad)).await;
        let told = wrong.text.contains("id=\"required_approvals-error\"");
        assert!(wrong.status == 400 && told, "{bad}: {}", wrong.text);
    }
    assert_eq!(starter.submit(untouched.with("required_approvals", "2")).await.status, 303);
    let shown = starter.page(&environment).await;
    assert!(shown.contains("A deployment begins when 2 people have approved it."), "{shown}");

    let run = scene.run("repoadmin", "release").await;
    let page = format!("/acme/one/pipelines/{}", run["build_number"]);
    let start = format!("{page}/steps/1/start");
    let offers = |shown: &str| forms(shown).iter().any(|one| one.action == start);
    let approver = Browser::signed_in(&scene.world.server, "projectadmin", PASSWORD).await;
    let shown = approver.page(&page).await;
    assert!(shown.contains("Waits for approval: 0 of 2.") && shown.contains(">Approve</button>"), "{shown}");
    assert_eq!(approver.submit(form(&shown, &start)).await.status, 303);
    let shown = approver.page(&page).await;
    assert!(shown.contains("Waits for approval: 1 of 2, by projectadmin."), "{shown}");
    assert!(!offers(&shown) && shown.contains("You have approved the step"), "{shown}");
    let own = starter.page(&page).await;
    assert!(!offers(&own) && own.contains("You started this run"), "{own}");
    let writer = Browser::signed_in(&scene.world.server, "writer", PASSWORD).await;
    let shown = writer.page(&page).await;
    assert!(!offers(&shown) && shown.contains("1 of 2, by projectadmin"), "{shown}");
    let owner = Browser::signed_in(&scene.world.server, "owner", PASSWORD).await;
    assert_eq!(owner.submit(owner.form(&page, &start).await).await.status, 303);
    let shown = owner.page(&page).await;
    assert!(!offers(&shown) && shown.contains("Waits for a runner"), "{shown}");
}
