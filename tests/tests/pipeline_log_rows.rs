//! Logs of steps and the list of runs, as the published interface gives them: parts of a log, whether it has changed, the
//! logs of services; which runs a filter finds, and in which order. The runners here are the protocol's bare clients.

#![cfg(test)]

use serde_json::{Value, json};
use testkit::pipeline::{BareRunner, PIPELINES, SHELL, Scene};
use testkit::{Login, in_path};

const ONE_STEP: &str =
    "pipelines:\n  default:\n    - step: {name: Build, runs-on: linux.shell, script: [make]}\n";

/// What a runner adds to a log of its step.
async fn add(scene: &Scene, runner: &BareRunner, job: &Value, log: &str, offset: usize, bytes: &'static str) {
    let step = job["step"].as_str().expect("a step");
    let Login::Bearer(secret) = &runner.login else { panic!("a runner") };
    let (server, attempt) = (&scene.world.server, &job["attempt"]);
    let url = format!("{}/api/runner/steps/{step}/logs/{log}?attempt={attempt}&offset={offset}", server.url);
    let request = server.client().post(url).bearer_auth(secret.expose()).body(bytes);
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    let said = response.text().await.expect("a text");
    assert_eq!(status, 200, "{said}");
}

/// An answer with what of it matters here.
struct Part {
    status: u16,
    text: String,
    range: String,
    tag: String,
}

/// Asks for a log as the reader, with a header.
async fn read(scene: &Scene, path: &str, header: Option<(&str, &str)>) -> Part {
    let Login::Basic(user, secret) = scene.world.app_password("reader") else { panic!("an app password") };
    let server = &scene.world.server;
    let mut request =
        server.client().get(format!("{}{path}", server.url)).basic_auth(user, Some(secret.expose()));
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    let response = request.send().await.expect("an answer");
    let told = |name: &str| {
        let value = response.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let (status, range, tag) = (response.status().as_u16(), told("content-range"), told("etag"));
    Part { status, text: response.text().await.expect("a text"), range, tag }
}

async fn begun(scene: &Scene, runner: &BareRunner) -> (String, Value) {
    scene.push(ONE_STEP);
    let run = scene.run_number(1).await;
    let job = scene.claim(runner, SHELL, 10).await.expect("the step");
    let step = scene.steps(&run).await[0]["uuid"].clone();
    (format!("{PIPELINES}/{}/steps/{}", in_path(&run["uuid"]), in_path(&step)), job)
}

async fn finished(scene: &Scene, runner: &BareRunner, job: &Value, verdict: Value) {
    let answer = scene.finish(runner, job, verdict, json!({})).await;
    assert_eq!(answer.status.as_u16(), 204, "{}", answer.text);
}

/// Would catch: a part that is not the one asked for, or whose place is told wrong; what is beyond the log and is answered
/// with something; a log that is sent again though nothing changed, or not though it grew; other answers once the step has
/// ended and its log was put away.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_read_in_parts_and_only_when_it_grew() {
    let scene = Scene::new().await;
    let runner = scene.bare_runner("one").await;
    let (step, job) = begun(&scene, &runner).await;
    let log = format!("{step}/log");
    add(&scene, &runner, &job, "step", 0, "0123456789").await;
    let whole = read(&scene, &log, None).await;
    assert_eq!((whole.status, whole.text.as_str(), whole.range.as_str()), (200, "0123456789", ""));
    assert!(whole.tag.starts_with('"') && whole.tag.ends_with('"') && whole.tag.len() > 2, "{}", whole.tag);

    let parts = [
        ("bytes=2-5", 206, "2345", "bytes 2-5/10"),
        ("bytes=0-0", 206, "0", "bytes 0-0/10"),
        ("bytes=7-", 206, "789", "bytes 7-9/10"),
        ("bytes=8-99", 206, "89", "bytes 8-9/10"),
        ("bytes=-3", 206, "789", "bytes 7-9/10"),
        ("bytes=-99", 206, "0123456789", "bytes 0-9/10"),
        ("bytes=10-", 416, "", "bytes */10"),
        ("bytes=99-100", 416, "", "bytes */10"),
        ("bytes=-0", 416, "", "bytes */10"),
        // What is no range is none.
        ("bytes=5-2", 200, "0123456789", ""),
        ("lines=1-2", 200, "0123456789", ""),
    ];
    for (asked, status, text, range) in parts {
        let part = read(&scene, &log, Some(("range", asked))).await;
        assert_eq!((part.status, part.range.as_str()), (status, range), "{asked}");
        // Why nothing is there may be said.
        assert!(status == 416 || part.text == text, "{asked}: {}", part.text);
        assert!(status == 416 || part.tag == whole.tag, "{asked}: {}", part.tag);
    }

    let same = read(&scene, &log, Some(("if-none-match", whole.tag.as_str()))).await;
    assert_eq!((same.status, same.text.as_str(), &same.tag), (304, "", &whole.tag));
    let other = read(&scene, &log, Some(("if-none-match", "\"another\""))).await;
    assert_eq!((other.status, other.text.as_str()), (200, "0123456789"));

    add(&scene, &runner, &job, "step", 10, "abc").await;
    let grown = read(&scene, &log, Some(("if-none-match", whole.tag.as_str()))).await;
    assert_eq!((grown.status, grown.text.as_str()), (200, "0123456789abc"));
    assert_ne!(grown.tag, whole.tag);
    let rest = read(&scene, &log, Some(("range", "bytes=10-"))).await;
    assert_eq!((rest.status, rest.text.as_str(), rest.range.as_str()), (206, "abc", "bytes 10-12/13"));

    finished(&scene, &runner, &job, json!({ "verdict": "passed" })).await;
    let same = read(&scene, &log, Some(("if-none-match", grown.tag.as_str()))).await;
    assert_eq!(same.status, 304, "{}", same.text);
    let part = read(&scene, &log, Some(("range", "bytes=2-5"))).await;
    assert_eq!((part.status, part.text.as_str(), part.range.as_str()), (206, "2345", "bytes 2-5/13"));
}

/// Would catch: tags that are compared as one text, as proxies and browsers do not send them: weak, several, or any.
#[tokio::test(flavor = "multi_thread")]
async fn a_tag_is_known_among_others_and_when_it_is_weak() {
    let scene = Scene::new().await;
    let runner = scene.bare_runner("one").await;
    let (step, job) = begun(&scene, &runner).await;
    let log = format!("{step}/log");
    add(&scene, &runner, &job, "step", 0, "0123456789").await;
    let tag = read(&scene, &log, None).await.tag;
    for sent in [format!("W/{tag}"), format!("\"another\", {tag}"), "*".to_owned()] {
        let same = read(&scene, &log, Some(("if-none-match", sent.as_str()))).await;
        assert_eq!((same.status, same.text.as_str()), (304, ""), "{sent}");
    }
}

/// Would catch: a service's log that is the step's, or another's; one that there is not and that is not 404; a name that
/// leads out of the folder of logs; logs that are shown to those who may not see the repository.
#[tokio::test(flavor = "multi_thread")]
async fn services_have_logs_of_their_own() {
    let scene = Scene::new().await;
    let runner = scene.bare_runner("one").await;
    let (step, job) = begun(&scene, &runner).await;
    add(&scene, &runner, &job, "step", 0, "of the step").await;
    add(&scene, &runner, &job, "database", 0, "of the database").await;
    add(&scene, &runner, &job, "docker", 0, "of the daemon").await;
    let logs =
        [("log", "of the step"), ("logs/database", "of the database"), ("logs/docker", "of the daemon")];
    for over in [false, true] {
        if over {
            finished(&scene, &runner, &job, json!({ "verdict": "passed" })).await;
        }
        for (log, text) in logs {
            let told = read(&scene, &format!("{step}/{log}"), None).await;
            assert_eq!((told.status, told.text.as_str()), (200, text), "{log}, over: {over}");
        }
        let part = read(&scene, &format!("{step}/logs/database"), Some(("range", "bytes=7-"))).await;
        assert_eq!((part.status, part.text.as_str()), (206, "database"));
    }
    for none in ["none", "..%2Fstep", "%2E%2E%2F1%2Fdatabase", "database.log"] {
        let told = read(&scene, &format!("{step}/logs/{none}"), None).await;
        assert!([400, 404].contains(&told.status), "{none}: {} {}", told.status, told.text);
    }
    for log in ["log", "logs/database"] {
        let _ = scene.send("outsider", "GET", &format!("{step}/{log}"), Value::Null).await.expect(404);
    }
}

/// The numbers of the runs that a query of the list finds.
async fn found(scene: &Scene, query: &str) -> Vec<u64> {
    let answer = scene.send("reader", "GET", &format!("{PIPELINES}?{query}"), Value::Null).await;
    assert_eq!(answer.status.as_u16(), 200, "{query}: {}", answer.text);
    let all = answer.json["values"].as_array().expect("a list");
    assert_eq!(answer.json["size"].as_u64(), u64::try_from(all.len()).ok(), "{query}: {}", answer.text);
    all.iter().map(|run| run["build_number"].as_u64().expect("a number")).collect()
}

/// Four runs: the first has failed, the second was started by hand and stopped, the third is a branch's and the fourth a
/// tag's, which both wait. Gives the first two's commit.
async fn four_runs(scene: &Scene) -> String {
    let runner = scene.bare_runner("one").await;
    let step = "- step: {name: Build, runs-on: linux.shell, script: [make]}\n";
    let commit = scene.push(&format!(
        "pipelines:\n  default:\n    {step}  branches:\n    feature:\n    {step}  tags:\n    'v*':\n    {step}  custom:\n    release:\n    {step}"
    ));
    let _ = scene.run_number(1).await;
    let job = scene.claim(&runner, SHELL, 10).await.expect("the step");
    finished(scene, &runner, &job, json!({ "verdict": "failed", "exit_code": 1 })).await;

    let start = json!({
        "target": { "type": "pipeline_ref_target", "ref_type": "branch", "ref_name": "main",
                    "selector": { "type": "custom", "pattern": "release" } },
    });
    let run = scene.send("repoadmin", "POST", PIPELINES, start).await.expect(201);
    assert_eq!(run["build_number"], 2, "{run}");
    let stop = format!("{PIPELINES}/{}/stopPipeline", in_path(&run["uuid"]));
    let _ = scene.send("repoadmin", "POST", &stop, Value::Null).await.expect(204);

    let git = |words: &[&str]| {
        let _ = scene.git.run(&scene.work, words).expect_success();
    };
    let _ = scene.git.commit(&scene.work, "a.txt", "a");
    git(&["push", &scene.address, "HEAD:feature"]);
    let _ = scene.run_number(3).await;
    git(&["tag", "v1"]);
    git(&["push", &scene.address, "refs/tags/v1"]);
    let _ = scene.run_number(4).await;
    commit
}

/// Would catch: a filter that is not looked at, so that a client acts on runs it did not ask for; one that finds others; an
/// order that is not the one asked for; a word that is unknown and is taken for none.
#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_runs_is_filtered_and_ordered() {
    let scene = Scene::new().await;
    let commit = four_runs(&scene).await;
    let person = |name: &str| format!("creator.uuid={}", scene.world.uuid(name));
    let cases: [(String, &[u64]); 23] = [
        (String::new(), &[4, 3, 2, 1]),
        ("sort=-created_on".into(), &[4, 3, 2, 1]),
        ("sort=created_on".into(), &[1, 2, 3, 4]),
        ("status=FAILED".into(), &[1]),
        ("status=STOPPED".into(), &[2]),
        ("status=PENDING".into(), &[4, 3]),
        ("status=PASSED".into(), &[]),
        ("status=PENDING&sort=created_on".into(), &[3, 4]),
        ("trigger_type=PUSH".into(), &[4, 3, 1]),
        ("trigger_type=MANUAL".into(), &[2]),
        ("trigger_type=SCHEDULED".into(), &[]),
        (person("writer"), &[4, 3, 1]),
        (person("repoadmin"), &[2]),
        (person("reader"), &[]),
        ("target.branch=main".into(), &[2, 1]),
        ("target.branch=feature".into(), &[3]),
        ("target.branch=none".into(), &[]),
        ("target.ref_type=branch&target.ref_name=main".into(), &[2, 1]),
        ("target.ref_type=tag&target.ref_name=v1".into(), &[4]),
        ("target.selector.type=custom".into(), &[2]),
        ("target.selector.type=custom&target.selector.pattern=release".into(), &[2]),
        (format!("target.commit.hash={commit}"), &[2, 1]),
        ("target.branch=main&status=FAILED&trigger_type=MANUAL".into(), &[]),
    ];
    for (query, numbers) in cases {
        assert_eq!(found(&scene, &query).await, numbers, "{query}");
    }
    for wrong in ["status=ODD", "trigger_type=ODD", "creator.uuid=odd", "target.ref_type=odd", "sort=odd"] {
        let answer = scene.send("reader", "GET", &format!("{PIPELINES}?{wrong}"), Value::Null).await;
        assert_eq!(answer.status.as_u16(), 400, "{wrong}: {}", answer.text);
    }
}

/// Would catch: states that no run is ever in, and that find all of them; a kind of ref without a name, or a name without a
/// kind, that is not looked at.
#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_nothing_meets_finds_nothing() {
    let scene = Scene::new().await;
    let _ = four_runs(&scene).await;
    let mut wrong = Vec::new();
    let cases: [(&str, &[u64]); 5] = [
        ("status=PARSING", &[]),
        ("status=HALTED", &[]),
        ("target.ref_type=tag", &[4]),
        ("target.ref_type=branch", &[3, 2, 1]),
        ("target.ref_name=v1", &[4]),
    ];
    for (query, numbers) in cases {
        let told = found(&scene, query).await;
        if told != numbers {
            wrong.push(format!("{query}: {told:?}, not {numbers:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
