//! Edges of pipelines, from outside: how long a lease may be, a role at Amazon that is taken away under a
//! running step, and findings among a step's artifacts that fail its run, of which those are mailed whom it
//! concerns. Amazon is a small token service of the test's own; trust policies are asked in `secretless`.

#![cfg(test)]

use std::collections::HashMap;
use std::ops::Deref;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::{Value, json};
use testkit::pipeline::{self, BareRunner, PIPELINES, SHELL};
use testkit::server::program;
use testkit::{Answer, Login, MailServer, Server, Transcript, bastide, in_path};

const ROLES: &str = "/api/workspaces/acme/aws-roles";
const ROLE: &str = "arn:aws:iam::123456789012:role/deploy";
/// How long anything may take: generous, since nothing is asserted on it.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// What a configuration file says of the lease, where it lies.
fn with_lease(folder: &Path, seconds: u32) -> String {
    let file = folder.join("bastide.toml");
    std::fs::write(&file, format!("step-lease = {seconds}\n")).expect("a file");
    file.display().to_string()
}

/// What `serve` says before it ends by itself, as it must.
fn ends(data: &Path, configuration: &str) -> Transcript {
    let mut serve = Command::new(program());
    serve.args(["serve", "--json", "--listen", "127.0.0.1:0", "--config", configuration, "--data"]).arg(data);
    let mut child = serve.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the server starts");
    let begun = Instant::now();
    while child.try_wait().expect("it can be asked").is_none() {
        if begun.elapsed() > PATIENCE {
            let _ = child.kill();
            panic!("it serves: {}", Transcript::from(child.wait_with_output().expect("what it said")));
        }
        std::thread::sleep(LOOK);
    }
    child.wait_with_output().expect("what it said").into()
}

/// Would catch: a lease that is over before a runner can end its step, or for whose end nobody would wait;
/// a setting that is refused without its name, or without what it may be; a bound that is itself refused.
#[tokio::test]
async fn a_lease_out_of_bounds_is_refused_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let name = data.display().to_string();
    let words =
        ["admin", "init", "--json", "--username", "root", "--email", "root@example.com", "--data", &name];
    let _ = bastide(&words).expect_success();
    for seconds in [0, 5, 3_601, u32::MAX] {
        let ended = ends(&data, &with_lease(folder.path(), seconds));
        let told = ended.expect_failure();
        for said in ["`step-lease`", "from 6 to 3600 seconds", &format!("not {seconds}")] {
            assert!(told.contains(said), "{said}: {ended}");
        }
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "it told an address: {ended}");
    }
    for seconds in [6, 3_600] {
        let arguments = vec!["--config".to_owned(), with_lease(folder.path(), seconds)];
        let mut server = Server::open(&data, arguments, Login::Nobody);
        assert_eq!(server.stop(), Some(0), "{seconds}");
    }
}

/// The scene with roles at Amazon.
struct Scene(pipeline::Scene);

/// A runner, and the step that it runs.
struct Agent {
    runner: BareRunner,
    job: Value,
}

impl Deref for Scene {
    type Target = pipeline::Scene;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Scene {
    async fn on(server: Server) -> Self {
        Self(pipeline::Scene::on(server).await)
    }

    /// A request of somebody's, with their password where that opens the door.
    async fn send(&self, person: &str, method: &str, path: &str, body: Value) -> Answer {
        let login = match path.starts_with("/api/") {
            true => self.world.password(person),
            false => self.world.app_password(person),
        };
        self.world.server.send(method, path, &login, &body).await
    }

    /// Pushes a step that names the role, and takes it as a runner does. `more` is what else the step says.
    async fn running(&self, more: &str) -> Agent {
        let runner = self.bare_runner("builder").await;
        let step = format!("{{{more}runs-on: linux.shell, aws: {{role: '{ROLE}'}}, script: [ship]}}");
        self.push(&format!("pipelines:\n  default:\n    - step: {step}\n"));
        let job = self.claim(&runner, SHELL, 30).await.expect("the step");
        Agent { runner, job }
    }

    /// What a runner asks about its step.
    async fn ask(&self, agent: &Agent, call: &str, body: Value) -> Answer {
        self.say(&agent.runner, &agent.job, call, body).await
    }

    /// Fresh credentials at Amazon for the step, which must be given.
    async fn is_given(&self, agent: &Agent) -> Value {
        self.ask(agent, "aws", json!({})).await.expect(200)
    }

    /// That they are not, for this reason.
    async fn is_refused(&self, agent: &Agent, why: &str) {
        let refused = self.ask(agent, "aws", json!({})).await;
        assert_eq!(refused.status.as_u16(), 403, "{why}: {}", refused.text);
        assert!(refused.text.contains(ROLE) && refused.text.contains(why), "{why}: {}", refused.text);
        for part in ["token", "access_key", "secret_key"] {
            assert!(refused.json.get(part).is_none(), "{part}: {}", refused.text);
        }
    }

    /// That the step goes on, and may end as it likes.
    async fn ends_well(&self, agent: &Agent) {
        let beat = self.ask(agent, "heartbeat", json!({})).await.expect(200);
        assert_eq!(beat["stop"], false, "{beat}");
        let finish = json!({ "verdict": { "verdict": "passed" }, "outputs": {} });
        let finished = self.ask(agent, "finish", finish).await;
        assert_eq!(finished.status.as_u16(), 204, "{}", finished.text);
    }

    /// That so often the role was given and refused, by the record.
    async fn is_recorded(&self, given: usize, refused: usize) {
        let begun = Instant::now();
        loop {
            let events = self.events("action=aws-role.assume").await;
            let (no, yes): (Vec<_>, Vec<_>) = events.iter().partition(|one| one["outcome"] == "refused");
            assert!(yes.len() == given && no.len() <= refused, "{given} and {refused}: {events:#?}");
            assert!(yes.iter().all(|one| one["after"]["role"] == ROLE), "{yes:#?}");
            // Refusals are recorded beside the answer.
            if no.len() == refused {
                for one in no {
                    let said = (&one["actor"], &one["reasons"]);
                    assert_eq!(said, (&json!("runner:builder"), &json!(["aws-role-grant"])), "{one}");
                }
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{given} and {refused}: {events:#?}");
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn role(mode: &str, grants: &Value) -> Value {
    json!({ "arn": ROLE, "mode": mode, "grants": grants })
}

/// Where a role is that was made.
fn place(role: &Value) -> String {
    format!("{ROLES}/{}", in_path(&role["uuid"]))
}

/// Would catch: a grant that is looked at when a step begins and not again, so that a step goes on getting
/// tokens for as long as it runs; a refusal that nobody can look up, or that stays when the grant is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_is_taken_away_under_a_step_gives_it_no_more_tokens() {
    const MODE: &str = "web-identity";
    let scene = Scene::on(Server::start()).await;
    let fits = json!([{ "repository": "one", "ref": "main", "environment": "Production" }]);
    let made = scene.send("owner", "POST", ROLES, role(MODE, &fits)).await.expect(201);
    let place = place(&made);
    let agent = scene.running("deployment: Production, ").await;
    assert_eq!((&agent.job["aws"]["mode"], &agent.job["aws"]["role"]), (&json!(MODE), &json!(ROLE)));
    let (mut given, mut refused) = (1, 0);
    for (grants, why) in [
        (json!([{ "repository": "two" }]), "its repository is not one of those"),
        (json!([{ "repository": "one", "ref": "release/*" }]), "it does not run for a branch or tag"),
        (json!([{ "repository": "*", "environment": "Staging" }]), "it does not deploy to the environment"),
        (json!([]), "nobody may use the role yet"),
    ] {
        let token = scene.is_given(&agent).await;
        assert!(token["mode"] == MODE && token["token"].is_string(), "{token}");
        given += 1;
        let _ = scene.send("owner", "PUT", &place, role(MODE, &grants)).await.expect(200);
        for _ in 0..2 {
            scene.is_refused(&agent, why).await;
            refused += 1;
        }
        scene.is_recorded(given, refused).await;
        assert_eq!(
            scene.events("action=identity-token.mint").await.len(),
            given,
            "a token for nobody: {why}"
        );
        // The step keeps its lease meanwhile.
        let _ = scene.ask(&agent, "heartbeat", json!({})).await.expect(200);
        let _ = scene.send("owner", "PUT", &place, role(MODE, &fits)).await.expect(200);
    }
    let _ = scene.send("owner", "DELETE", &place, Value::Null).await.expect(204);
    scene.is_refused(&agent, "the workspace does not name this role").await;
    scene.is_recorded(given, refused + 1).await;
    scene.ends_well(&agent).await;
}

/// Amazon's token service: it gives every role by one external id, and counts how often it was asked.
#[derive(Clone, Default)]
struct Sts {
    external_id: Arc<Mutex<String>>,
    asked: Arc<AtomicUsize>,
}

const WHO: &str = "<GetCallerIdentityResponse><GetCallerIdentityResult>\
    <Arn>arn:aws:iam::999999999999:user/bastide</Arn>\
    </GetCallerIdentityResult></GetCallerIdentityResponse>";
const DENIED: &str = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>\
    <Message>not authorized</Message></Error></ErrorResponse>";

async fn answer(State(sts): State<Sts>, Form(fields): Form<HashMap<String, String>>) -> (StatusCode, String) {
    if fields.get("Action").is_some_and(|action| action == "GetCallerIdentity") {
        return (StatusCode::OK, WHO.to_owned());
    }
    let number = sts.asked.fetch_add(1, Ordering::SeqCst);
    let known = sts.external_id.lock().expect("the external id").clone();
    if fields.get("ExternalId") != Some(&known) {
        return (StatusCode::FORBIDDEN, DENIED.to_owned());
    }
    let given = format!(
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIATEST</AccessKeyId>\
         <SecretAccessKey>secret</SecretAccessKey><SessionToken>session-{number}</SessionToken>\
         <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
    );
    (StatusCode::OK, given)
}

impl Sts {
    /// Starts one; also where it is.
    async fn start() -> (Self, String) {
        let sts = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let app = Router::new().route("/", post(answer)).with_state(sts.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (sts, address)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Would catch: credentials that the server gets for a step which no grant lets have them any more, which
/// Amazon cannot refuse: there, it is the server that asks; credentials that are kept and given once more.
#[tokio::test(flavor = "multi_thread")]
async fn amazon_is_not_asked_for_a_step_whose_grant_is_gone() {
    const MODE: &str = "assume-role";
    let (sts, address) = Sts::start().await;
    let identity = [("AWS_ACCESS_KEY_ID", "AKIATEST"), ("AWS_SECRET_ACCESS_KEY", "not-a-secret")];
    let server = Server::start_with_environment(&["--aws-sts-endpoint", &address], &identity);
    let scene = Scene::on(server).await;
    let fits = json!([{ "repository": "one", "ref": "main" }]);
    let plan = scene.send("owner", "POST", "/api/workspaces/acme/aws-role-plan", role(MODE, &fits)).await;
    let plan = plan.expect(200);
    let external_id = plan["external_id"].as_str().expect("an external id");
    *sts.external_id.lock().expect("the external id") = external_id.to_owned();
    let made = scene.send("owner", "POST", ROLES, role(MODE, &fits)).await.expect(201);
    let place = place(&made);

    let agent = scene.running("").await;
    let first = &agent.job["aws"];
    let before = sts.asked();
    let second = scene.is_given(&agent).await;
    assert_eq!((&first["mode"], &second["mode"]), (&json!("session"), &json!("session")));
    assert_eq!(sts.asked(), before + 1, "each is a session of its own");
    assert!(second["session_token"].is_string() && first["session_token"] != second["session_token"]);

    let _ = scene.send("owner", "PUT", &place, role(MODE, &json!([]))).await.expect(200);
    let before = sts.asked();
    for _ in 0..2 {
        scene.is_refused(&agent, "nobody may use the role yet").await;
    }
    assert_eq!(sts.asked(), before, "for a step that may not, Amazon is not asked");
    scene.is_recorded(2, 2).await;

    let _ = scene.send("owner", "PUT", &place, role(MODE, &fits)).await.expect(200);
    let third = scene.is_given(&agent).await;
    assert!(third["session_token"].is_string() && third["session_token"] != second["session_token"]);
    let before = sts.asked();
    let _ = scene.send("owner", "DELETE", &place, Value::Null).await.expect(204);
    scene.is_refused(&agent, "the workspace does not name this role").await;
    assert_eq!(sts.asked(), before);
    scene.is_recorded(3, 3).await;
    scene.ends_well(&agent).await;
}

/// A SARIF file of one tool, with findings of these levels.
fn sarif(levels: &[&str]) -> String {
    let finding = |(line, level): (usize, &&str)| {
        let region = json!({ "startLine": line + 1 });
        let place = json!({ "artifactLocation": { "uri": "src/a.rs" }, "region": region });
        json!({
            "ruleId": "R1", "level": level, "message": { "text": "the weakness itself" },
            "locations": [{ "physicalLocation": place }],
        })
    };
    let results: Vec<Value> = levels.iter().enumerate().map(finding).collect();
    let driver = json!({ "name": "My Scanner" });
    json!({ "version": "2.1.0", "runs": [{ "tool": { "driver": driver }, "results": results }] }).to_string()
}

/// A step that passes, and leaves what its scanner found.
const SCAN: &str = "pipelines:\n  default:\n    - step:\n        runs-on: linux.shell\n        \
    script: [cp found.json found.sarif]\n        artifacts: [found.sarif]\n";

/// Waits until so many messages about findings have come; all of them, in their order.
async fn mailed(mail: &MailServer, count: usize) -> Vec<String> {
    let begun = Instant::now();
    loop {
        let mut found = mail.messages();
        found.retain(|text| text.contains("Subject: acme/one: findings failed run #"));
        if found.len() >= count {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{} of {count}: {found:#?}", found.len());
        tokio::time::sleep(LOOK).await;
    }
}

/// Whom a message is to, without the place.
fn addressee(message: &str) -> &str {
    let to = message.split_once("\nTo: ").expect("an addressee").1;
    to.split_once('@').expect("an address").0
}

/// The same of several, in the order of their names.
fn addressees(messages: &[String]) -> Vec<&str> {
    let mut names: Vec<&str> = messages.iter().map(|message| addressee(message)).collect();
    names.sort_unstable();
    names
}

/// Would catch: findings of a step's own file that fail nothing, or a run by what is lighter than the rule
/// says; mail that does not come, that comes twice, or to who neither started the run nor administers the
/// repository; mail with what was found.
#[tokio::test(flavor = "multi_thread")]
async fn findings_of_a_step_fail_its_run_and_are_mailed_to_whom_it_concerns() {
    let mail = MailServer::start();
    let url = mail.url();
    let flags = ["--smtp-url", &url, "--smtp-from", "bastide@example.com"];
    let scene = Scene::on(Server::start_with(&flags)).await;
    let rule = json!({ "fail_at": "high", "tools": [] });
    let _ = scene.send("owner", "PUT", "/api/workspaces/acme/code-scanning", rule).await.expect(200);
    let _agent = scene.agent(&["--no-containers"]).await;

    // What is light enough fails nothing, and is nobody's mail: the last lines of this test would see it.
    let _ = scene.git.commit(&scene.work, "found.json", sarif(&["note", "warning"]));
    scene.push(SCAN);
    let (light, _) = scene.result(1).await;
    assert_eq!(light["state"]["result"]["name"], "SUCCESSFUL", "{light}");

    let _ = scene.git.commit(&scene.work, "found.json", sarif(&["error", "note", "error"]));
    let commit = scene.push(&format!("{SCAN}# again\n"));
    let (run, _) = scene.result(2).await;
    assert_eq!(run["state"]["result"]["name"], "FAILED", "{run}");
    let steps = scene.send("reader", "GET", &format!("{PIPELINES}/2/steps"), Value::Null).await.expect(200);
    assert_eq!(steps["values"][0]["state"]["result"]["name"], "SUCCESSFUL", "the run fails, not the step");
    let statuses = format!("/2.0/repositories/acme/one/commit/{commit}/statuses");
    let told = scene.send("reader", "GET", &statuses, Value::Null).await.expect(200);
    let status = &told["values"][0];
    assert_eq!((&told["size"], &status["state"]), (&json!(1), &json!("FAILED")), "{told}");
    assert!(status["description"].as_str().is_some_and(|why| why.contains("(2 high)")), "{told}");

    let first = mailed(&mail, 4).await;
    assert_eq!(addressees(&first), ["owner", "projectadmin", "repoadmin", "writer"], "{first:#?}");
    for text in &first {
        let run = format!("Run #2 of a pipeline on acme/one, commit {}, has failed.", &commit[..12]);
        let place = format!("{}/acme/one", scene.world.server.url);
        let (of_run, of_commit) = (format!("{place}/pipelines/2\n"), format!("{place}/commits/{commit}\n"));
        for said in [run.as_str(), "open findings (2 high) in My Scanner", &of_run, &of_commit] {
            assert!(text.contains(said), "{said}: {text}");
        }
        assert!(!text.contains("the weakness itself"), "{text}");
    }

    // An administrator starts the same: who pushed is not told of that, and the administrator once.
    let target = json!({ "type": "pipeline_ref_target", "ref_type": "branch", "ref_name": "main" });
    let _ = scene.send("repoadmin", "POST", PIPELINES, json!({ "target": target })).await.expect(201);
    let (run, _) = scene.result(3).await;
    assert_eq!(run["state"]["result"]["name"], "FAILED", "{run}");
    let _ = mailed(&mail, 7).await;
    // Mail leaves one after the other: when this has come, so has all that was queued before.
    let later = json!({ "username": "later", "email": "later@example.com" });
    let _ = scene.world.server.administer("POST", "/api/users", &later).await;
    let begun = Instant::now();
    while !mail.messages().iter().any(|text| text.contains("\nTo: later@")) {
        assert!(begun.elapsed() < PATIENCE, "{:#?}", mail.messages());
        tokio::time::sleep(LOOK).await;
    }
    let second = mailed(&mail, 7).await.split_off(4);
    assert_eq!(addressees(&second), ["owner", "projectadmin", "repoadmin"], "{second:#?}");
    assert!(second.iter().all(|text| text.contains("findings failed run #3\n")), "{second:#?}");
}
