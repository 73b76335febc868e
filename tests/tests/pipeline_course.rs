//! The course of runs, from outside: what starts them, which steps are passed over, what keeps steps from each other, and
//! what is told of deployments. The runners here are the protocol's bare clients.

#![cfg(test)]

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::pipeline::{BareRunner, FILE, PIPELINES, SHELL, Scene};
use testkit::world::PASSWORD;
use testkit::{Browser, in_path};

const REPOSITORY: &str = "/2.0/repositories/acme/one";
/// How long anything may take: generous, since nothing is asserted on it.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(100);

async fn get(scene: &Scene, person: &str, path: &str) -> Value {
    scene.send(person, "GET", &format!("{REPOSITORY}/{path}"), Value::Null).await.expect(200)
}

/// The step that a runner is given, which there must be.
async fn taken(scene: &Scene, runner: &BareRunner, name: &str) -> Value {
    let job = scene.claim(runner, SHELL, 10).await;
    let job = job.unwrap_or_else(|| panic!("{name} is not given to a runner"));
    assert_eq!(job["plan"]["name"], name, "{job}");
    job
}

/// That there is no step for a runner now.
async fn nothing(scene: &Scene, runner: &BareRunner, why: &str) {
    let job = scene.claim(runner, SHELL, 0).await;
    assert!(job.is_none(), "{why}: {job:?}");
}

async fn ended(scene: &Scene, runner: &BareRunner, job: &Value, verdict: Value) {
    let answer = scene.finish(runner, job, verdict, json!({})).await;
    assert_eq!(answer.status.as_u16(), 204, "{}", answer.text);
}

async fn passed(scene: &Scene, runner: &BareRunner, job: &Value) {
    ended(scene, runner, job, json!({ "verdict": "passed" })).await;
}

/// Each step's name with how it ended, or its state where it has not.
fn ends(steps: &[Value]) -> Vec<(&str, &str)> {
    let mut all = Vec::new();
    for step in steps {
        let state = &step["state"];
        let end = state["result"]["name"].as_str().or_else(|| state["name"].as_str());
        all.push((step["name"].as_str().expect("a name"), end.expect("a word")));
    }
    all
}

/// Has what was written committed, with a message that starts nothing, and pushed to `main`.
fn push_quietly(scene: &Scene, configuration: &str) {
    std::fs::write(scene.work.join(FILE), configuration).expect("a file is written");
    let _ = scene.git.run(&scene.work, ["add", "--", FILE]).expect_success();
    let _ = scene.git.run(&scene.work, ["commit", "-q", "-m", "quiet [skip ci]"]).expect_success();
    let _ = scene.git.run(&scene.work, ["push", &scene.address, "HEAD:main"]).expect_success();
}

fn folder(work: &Path, name: &str) {
    std::fs::create_dir_all(work.join(name)).expect("a folder");
}

/// Would catch: a schedule that is kept and starts nothing, or more than one run for one time; a run of it that says
/// something else started it; an execution that is not told, or does not name its run.
#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_starts_its_pipeline_when_it_is_due() {
    let scene = Scene::new().await;
    push_quietly(
        &scene,
        concat!(
            "pipelines:\n  custom:\n    nightly:\n",
            "      - step: {name: Build, runs-on: linux.shell, script: [make]}\n",
        ),
    );
    let head = scene.git.run(&scene.work, ["rev-parse", "HEAD"]);
    let commit = head.expect_success().trim().to_owned();
    let runner = scene.bare_runner("one").await;

    // Once a minute, some seconds from now by the server's clock: `Tue, 01 Dec 2026 04:45:53 GMT`.
    let answer = scene.send("repoadmin", "GET", REPOSITORY, Value::Null).await;
    let date = answer.header("date").to_owned();
    let second: u32 =
        date.rsplit(':').next().and_then(|rest| rest.get(..2)?.parse().ok()).expect("a date of the server's");
    let schedules = "pipelines_config/schedules";
    let new = json!({
        "target": { "ref_type": "branch", "ref_name": "main",
                    "selector": { "type": "custom", "pattern": "nightly" } },
        "cron_pattern": format!("{} * * * * ? *", (second + 4) % 60),
        "enabled": true,
    });
    let made = scene.send("repoadmin", "POST", &format!("{REPOSITORY}/{schedules}"), new).await.expect(201);
    assert!(made["enabled"] == true && made["next_on"].is_string(), "{made}");
    let one = format!("{schedules}/{}", in_path(&made["uuid"]));

    // At the latest it is due in a minute.
    let begun = Instant::now();
    let run = loop {
        let runs = get(&scene, "reader", "pipelines").await;
        if let Some(run) = runs["values"].as_array().and_then(|all| all.first()) {
            break run.clone();
        }
        assert!(begun.elapsed() < PATIENCE, "it started nothing: {made}");
        tokio::time::sleep(LOOK).await;
    };
    let off = json!({ "enabled": false });
    let off = scene.send("repoadmin", "PUT", &format!("{REPOSITORY}/{one}"), off).await.expect(200);
    assert!(off["enabled"] == false && off["next_on"].is_null(), "{off}");
    assert_eq!(run["trigger"]["name"], "SCHEDULE", "{run}");
    assert_eq!(run["creator"]["nickname"], "repoadmin", "{run}");
    let target = &run["target"];
    assert_eq!(
        (&target["ref_name"], &target["commit"]["hash"], &target["selector"]["pattern"]),
        (&json!("main"), &json!(commit), &json!("nightly")),
        "{target}"
    );
    let executions = get(&scene, "reader", &format!("{one}/executions")).await;
    let told = executions["values"].as_array().expect("executions");
    let of = told.iter().find(|one| one["pipeline"]["uuid"] == run["uuid"]);
    let of = of.unwrap_or_else(|| panic!("it is not told: {executions}"));
    assert_eq!(of["type"], "pipeline_schedule_execution_executed", "{of}");
    assert_eq!(of["due_on"], made["next_on"], "{of}");
    let runs = get(&scene, "reader", "pipelines?trigger_type=SCHEDULED").await;
    assert_eq!(runs["size"].as_u64(), u64::try_from(told.len()).ok(), "{runs}");
    let job = taken(&scene, &runner, "Build").await;
    passed(&scene, &runner, &job).await;
    assert_eq!(scene.refreshed(&run).await["state"]["result"]["name"], "SUCCESSFUL");
}

/// Would catch: two steps of a group at the same time, in two runs or in one; a group that holds back steps of none; one
/// that is never free again.
#[tokio::test(flavor = "multi_thread")]
async fn steps_of_a_concurrency_group_run_one_at_a_time() {
    let scene = Scene::new().await;
    let (one, two) = (scene.bare_runner("one").await, scene.bare_runner("two").await);
    let file = concat!(
        "pipelines:\n  default:\n",
        "    - step: {name: Load, concurrency-group: database, runs-on: linux.shell, script: [make]}\n",
        "  branches:\n    free:\n",
        "    - step: {name: Free, runs-on: linux.shell, script: [make]}\n",
    );
    let first = scene.push(file);
    let _ = scene.run_number(1).await;
    let second = scene.push(&format!("{file}# again\n"));
    let later = scene.run_number(2).await;
    let job = taken(&scene, &one, "Load").await;
    assert_eq!(job["run"]["commit"], first.as_str());
    nothing(&scene, &two, "the group is at work").await;
    assert_eq!(scene.refreshed(&later).await["state"]["name"], "PENDING");

    // What is in no group does not wait.
    let _ = scene.git.run(&scene.work, ["push", &scene.address, "HEAD:free"]).expect_success();
    let _ = scene.run_number(3).await;
    let free = taken(&scene, &two, "Free").await;
    passed(&scene, &two, &free).await;
    nothing(&scene, &two, "the group is still at work").await;

    // A failure frees the group too.
    ended(&scene, &one, &job, json!({ "verdict": "failed", "exit_code": 1 })).await;
    let job = taken(&scene, &two, "Load").await;
    assert_eq!(job["run"]["commit"], second.as_str());
    passed(&scene, &two, &job).await;
    assert_eq!(scene.refreshed(&later).await["state"]["result"]["name"], "SUCCESSFUL");
}

/// Would catch: a stage's step that goes on holding its group for the next step of the same stage, which then never runs.
#[tokio::test(flavor = "multi_thread")]
async fn the_steps_of_a_stage_may_be_of_one_concurrency_group() {
    let scene = Scene::new().await;
    let runner = scene.bare_runner("one").await;
    scene.push(concat!(
        "pipelines:\n  default:\n    - stage:\n        name: Ship\n        deployment: staging\n        steps:\n",
        "          - step: {name: One, concurrency-group: ships, runs-on: linux.shell, script: [make]}\n",
        "          - step: {name: Two, concurrency-group: ships, runs-on: linux.shell, script: [make]}\n",
    ));
    let run = scene.run_number(1).await;
    for name in ["One", "Two"] {
        let job = taken(&scene, &runner, name).await;
        passed(&scene, &runner, &job).await;
    }
    assert_eq!(scene.refreshed(&run).await["state"]["result"]["name"], "SUCCESSFUL");
}

/// Would catch: a step that runs though none of its files was changed, or that does not though one was; a push of which
/// the last commit alone is looked at; a step passed over that ends the run or counts as a failure.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_runs_the_steps_whose_files_it_changes() {
    let scene = Scene::new().await;
    let runner = scene.bare_runner("one").await;
    let step = |name: &str, condition: &str| {
        let condition = format!("condition: {{changesets: {{{condition}}}}}");
        format!("    - step: {{name: {name}, {condition}, runs-on: linux.shell, script: [make]}}\n")
    };
    let steps = [
        step("Code", "includePaths: ['src/**']"),
        step("Docs", "includePaths: ['docs/**']"),
        step("Notes", "excludePaths: ['docs/**', '*.txt']"),
        step("More", "excludePaths: ['docs/**']"),
    ];
    folder(&scene.work, "docs");
    folder(&scene.work, "src");
    let _ = scene.git.commit(&scene.work, "src/old.rs", "old");
    push_quietly(&scene, &format!("pipelines:\n  default:\n{}", steps.concat()));

    let _ = scene.git.commit(&scene.work, "docs/a.md", "a");
    let _ = scene.git.commit(&scene.work, "b.txt", "b");
    let _ = scene.git.run(&scene.work, ["push", &scene.address, "HEAD:main"]).expect_success();
    let run = scene.run_number(1).await;
    for name in ["Docs", "More"] {
        let job = taken(&scene, &runner, name).await;
        passed(&scene, &runner, &job).await;
    }
    let run = scene.refreshed(&run).await;
    assert_eq!(run["state"]["result"]["name"], "SUCCESSFUL", "{run}");
    let steps = scene.steps(&run).await;
    assert_eq!(
        ends(&steps),
        [("Code", "NOT_RUN"), ("Docs", "SUCCESSFUL"), ("Notes", "NOT_RUN"), ("More", "SUCCESSFUL")]
    );

    // The next push is looked at by itself.
    let _ = scene.git.commit(&scene.work, "src/new.rs", "new");
    let _ = scene.git.run(&scene.work, ["push", &scene.address, "HEAD:main"]).expect_success();
    let run = scene.run_number(2).await;
    for name in ["Code", "Notes", "More"] {
        let job = taken(&scene, &runner, name).await;
        passed(&scene, &runner, &job).await;
    }
    assert_eq!(ends(&scene.steps(&run).await)[1], ("Docs", "NOT_RUN"));
}

/// Would catch: a tag that starts nothing, or the branch's pipeline; an annotated one whose run is of the tag's own object
/// and not of the commit; a tag that fits no pattern and starts something.
#[tokio::test(flavor = "multi_thread")]
async fn a_pushed_tag_starts_the_pipeline_below_tags() {
    let scene = Scene::new().await;
    let runner = scene.bare_runner("one").await;
    let commit = scene.git.commit(
        &scene.work,
        FILE,
        concat!(
            "pipelines:\n  default:\n    - step: {name: Branch, runs-on: linux.shell, script: [make]}\n",
            "  tags:\n    'v*':\n    - step: {name: Release, runs-on: linux.shell, script: [make]}\n",
        ),
    );
    let git = |words: &[&str]| {
        let _ = scene.git.run(&scene.work, words).expect_success();
    };
    git(&["tag", "v1"]);
    git(&["tag", "-a", "-m", "the second", "v2"]);
    git(&["tag", "other"]);
    for (number, tag) in [(1, "v1"), (2, "v2")] {
        git(&["push", &scene.address, "refs/tags/other"]);
        git(&["push", &scene.address, &format!("refs/tags/{tag}")]);
        let run = scene.run_number(number).await;
        let target = &run["target"];
        assert_eq!(
            (&target["ref_type"], &target["ref_name"], &target["commit"]["hash"]),
            (&json!("tag"), &json!(tag), &json!(commit)),
            "{run}"
        );
        assert_eq!(
            (&target["selector"]["type"], &target["selector"]["pattern"], &run["trigger"]["name"]),
            (&json!("tags"), &json!("v*"), &json!("PUSH")),
            "{run}"
        );
        let job = taken(&scene, &runner, "Release").await;
        assert_eq!(job["run"]["commit"], commit.as_str(), "{job}");
        passed(&scene, &runner, &job).await;
    }
    let runs = scene.send("reader", "GET", PIPELINES, Value::Null).await.expect(200);
    assert_eq!(runs["size"], 2, "{runs}");
}

const STAGE: &str = concat!(
    "pipelines:\n  default:\n    - stage:\n        name: Ship\n        deployment: staging\n        steps:\n",
    "          - step: {name: One, runs-on: linux.shell, script: [make]}\n",
    "          - step: {name: Two, runs-on: linux.shell, script: [make]}\n",
);

/// Whether a run deploys to Staging, as the list of environments tells.
async fn is_locked(scene: &Scene) -> bool {
    let all = get(scene, "reader", "environments").await;
    let all = all["values"].as_array().expect("environments");
    let one = all.iter().find(|one| one["name"] == "Staging").expect("it is there from the start");
    one["lock"]["name"] == "LOCKED"
}

/// Would catch: a stage that lets another run in between two of its steps; a lock that is never given up.
#[tokio::test(flavor = "multi_thread")]
async fn a_stage_keeps_its_environment_until_its_last_step() {
    let scene = Scene::new().await;
    let (one, two) = (scene.bare_runner("one").await, scene.bare_runner("two").await);
    let first = scene.push(STAGE);
    let _ = scene.run_number(1).await;
    let second = scene.push(&format!("{STAGE}# again\n"));
    let _ = scene.run_number(2).await;
    assert!(!is_locked(&scene).await);
    for name in ["One", "Two"] {
        // The other run's step is ready for longer than this run's second.
        let job = taken(&scene, &one, name).await;
        assert_eq!(job["run"]["commit"], first.as_str(), "another run got in between: {job}");
        assert!(is_locked(&scene).await);
        nothing(&scene, &two, "the environment is taken").await;
        passed(&scene, &one, &job).await;
    }
    for name in ["One", "Two"] {
        let job = taken(&scene, &two, name).await;
        assert_eq!(job["run"]["commit"], second.as_str(), "{job}");
        passed(&scene, &two, &job).await;
    }
    assert!(!is_locked(&scene).await);
}

/// Would catch: a stage that keeps its environment while its run goes on with other steps, for hours or until somebody
/// starts one by hand.
#[tokio::test(flavor = "multi_thread")]
async fn a_stage_gives_its_environment_up_with_its_last_step() {
    let scene = Scene::new().await;
    let (one, two) = (scene.bare_runner("one").await, scene.bare_runner("two").await);
    let file = format!(
        "{STAGE}    - step: {{name: Later, trigger: manual, runs-on: linux.shell, script: [make]}}\n"
    );
    scene.push(&file);
    let run = scene.run_number(1).await;
    let second = scene.push(&format!("{file}# again\n"));
    let _ = scene.run_number(2).await;
    for name in ["One", "Two"] {
        let job = taken(&scene, &one, name).await;
        passed(&scene, &one, &job).await;
    }
    assert_eq!(scene.refreshed(&run).await["state"]["stage"]["name"], "PAUSED");
    assert!(!is_locked(&scene).await, "the stage is over");
    let job = taken(&scene, &two, "One").await;
    assert_eq!(job["run"]["commit"], second.as_str(), "{job}");
}

/// Would catch: a failure under `fail-fast` that lets a running sibling run to its end, or a waiting one begin; a run that
/// says it was stopped though it failed.
#[tokio::test(flavor = "multi_thread")]
async fn fail_fast_stops_the_siblings() {
    let scene = Scene::new().await;
    let (one, two) = (scene.bare_runner("one").await, scene.bare_runner("two").await);
    scene.push(concat!(
        "pipelines:\n  default:\n    - parallel:\n        fail-fast: true\n        steps:\n",
        "          - step: {name: Same, runs-on: linux.shell, script: [make]}\n",
        "          - step: {name: Same, runs-on: linux.shell, script: [make]}\n",
        "          - step: {name: Same, runs-on: linux.shell, script: [make]}\n",
        "    - step: {name: Behind, runs-on: linux.shell, script: [make]}\n",
    ));
    let run = scene.run_number(1).await;
    let (fails, sibling) = (taken(&scene, &one, "Same").await, taken(&scene, &two, "Same").await);
    assert_ne!(fails["step"], sibling["step"]);
    let beat = scene.say(&two, &sibling, "heartbeat", json!({})).await.expect(200);
    assert_eq!(beat["stop"], false, "{beat}");
    ended(&scene, &one, &fails, json!({ "verdict": "failed", "exit_code": 1 })).await;
    let beat = scene.say(&two, &sibling, "heartbeat", json!({})).await.expect(200);
    assert_eq!(beat["stop"], true, "{beat}");
    nothing(&scene, &one, "what waits does not begin").await;
    assert_eq!(scene.refreshed(&run).await["state"]["name"], "IN_PROGRESS", "one still runs");
    ended(&scene, &two, &sibling, json!({ "verdict": "stopped" })).await;
    let run = scene.refreshed(&run).await;
    assert_eq!(run["state"]["result"]["name"], "FAILED", "{run}");
    let steps = scene.steps(&run).await;
    let mut ends = ends(&steps);
    ends.sort_unstable();
    assert_eq!(ends, [("Behind", "NOT_RUN"), ("Same", "FAILED"), ("Same", "NOT_RUN"), ("Same", "STOPPED")]);
}

/// Would catch: a deployment that is not told, or not by its id; one that has the state of another, or of its beginning; a
/// list that is not the newest first, or not of one environment where one is asked for; pages that tell of an older one.
#[tokio::test(flavor = "multi_thread")]
async fn deployments_are_told_with_their_environment_and_state() {
    let scene = Scene::new().await;
    let runner = scene.bare_runner("one").await;
    let file = "pipelines:\n  default:\n    - step: {name: Ship, deployment: production, runs-on: linux.shell, script: [make]}\n";
    let mut ids = Vec::new();
    for (number, verdict, status) in [
        (1, json!({ "verdict": "passed" }), "SUCCESSFUL"),
        (2, json!({ "verdict": "failed", "exit_code": 1 }), "FAILED"),
    ] {
        let commit = scene.push(&format!("{file}# {number}\n"));
        let run = scene.run_number(number).await;
        let job = taken(&scene, &runner, "Ship").await;
        let begun = get(&scene, "reader", "deployments").await["values"][0].clone();
        assert_eq!(begun["state"]["name"], "IN_PROGRESS", "{begun}");
        assert!(begun["state"]["start_date"].is_string(), "{begun}");
        assert!(begun["state"].get("completion_date").is_none(), "{begun}");
        ended(&scene, &runner, &job, verdict).await;

        let found = get(&scene, "reader", "deployments").await;
        assert_eq!(found["size"].as_u64(), u64::try_from(number).ok(), "{found}");
        let one = &found["values"][0];
        let state = &one["state"];
        assert_eq!(one["uuid"], begun["uuid"], "{one}");
        assert_eq!(
            (&state["name"], &state["status"]["name"]),
            (&json!("COMPLETED"), &json!(status)),
            "{one}"
        );
        assert!(state["completion_date"].is_string(), "{one}");
        assert_eq!(state["deployer"]["nickname"], "writer", "{one}");
        assert_eq!(one["environment"]["name"], "Production", "{one}");
        assert_eq!(one["number"].as_u64(), u64::try_from(number).ok(), "{one}");
        assert_eq!(
            (&one["pipeline"]["uuid"], &one["release"]["uuid"]),
            (&run["uuid"], &run["uuid"]),
            "{one}"
        );
        assert_eq!(one["release"]["commit"]["hash"], commit.as_str(), "{one}");
        assert_eq!(one["step"]["uuid"], scene.steps(&run).await[0]["uuid"], "{one}");
        let path = format!("deployments/{}", in_path(&one["uuid"]));
        assert_eq!(get(&scene, "reader", &path).await, *one);
        ids.push(one["uuid"].clone());
    }
    let environments = get(&scene, "reader", "environments").await;
    let named = |name: &str| {
        let all = environments["values"].as_array().expect("environments");
        all.iter().find(|one| one["name"] == name).expect("it is there from the start")["uuid"].clone()
    };
    for (environment, told) in [("Production", vec![ids[1].clone(), ids[0].clone()]), ("Staging", Vec::new())]
    {
        let path = format!("deployments?environment={}", in_path(&named(environment)));
        let found = get(&scene, "reader", &path).await;
        let found: Vec<Value> =
            found["values"].as_array().expect("a list").iter().map(|one| one["uuid"].clone()).collect();
        assert_eq!(found, told, "{environment}");
    }
    let path = format!("{REPOSITORY}/deployments/{}", in_path(&ids[0]));
    let _ = scene.send("outsider", "GET", &path, Value::Null).await.expect(404);
    let path = format!("{REPOSITORY}/deployments/{}", in_path(&named("Production")));
    let _ = scene.send("reader", "GET", &path, Value::Null).await.expect(404);

    let browser = Browser::signed_in(&scene.world.server, "repoadmin", PASSWORD).await;
    let id = named("Production").as_str().expect("an id").replace(['{', '}'], "");
    let shown = browser.page(&format!("/acme/one/settings/environments/{id}")).await;
    let place = |number: u32| shown.find(&format!("<td data-label=\"Number\">{number}</td>"));
    assert!(place(2).is_some() && place(2) < place(1), "{shown}");
    let listed = browser.page("/acme/one/settings/environments").await;
    let row = listed.split("<tr>").find(|row| row.contains(&id)).unwrap_or_else(|| panic!("{listed}"));
    let last = row.split("data-label=\"Last deployment\"").nth(1).expect("a column");
    assert!(last.to_lowercase().contains("failed") && last.contains("<time"), "{last}");
}
