//! `bastide serve --with-runner`: the runner of the installation takes steps of every repository, as far as its workspace
//! lets it, and ends with the server.

#![cfg(test)]

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::pipeline::FILE;
use testkit::{GitClient, Login, Server, World, in_path};

/// Calls until it gives something.
async fn soon<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "{what} is waited for");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn owner(world: &World) -> (GitClient, Login) {
    (world.git("owner"), world.app_password("owner"))
}

fn push(world: &World, git: &GitClient, repository: &str, script: &str) {
    let work = git.working_copy(&repository.replace('/', "-"));
    let configuration = format!(
        "pipelines:\n  default:\n    - step:\n        runs-on: [self.hosted, linux.shell]\n        script:\n          - {script}\n"
    );
    let _ = git.commit(&work, FILE, &configuration);
    let address = format!("{}/{repository}.git", world.server.url);
    let _ = git.run(&work, ["push", &address, "HEAD:main"]).expect_success();
}

async fn newest(world: &World, login: &Login, repository: &str) -> Option<Value> {
    let path = format!("/2.0/repositories/{repository}/pipelines");
    let runs = world.server.send("GET", &path, login, &Value::Null).await.expect(200);
    runs["values"].as_array().and_then(|runs| runs.first()).cloned()
}

async fn log(world: &World, login: &Login, repository: &str) -> String {
    let steps = format!("/2.0/repositories/{repository}/pipelines/1/steps");
    let found = world.server.send("GET", &steps, login, &Value::Null).await.expect(200);
    let path = format!("{steps}/{}/log", in_path(&found["values"][0]["uuid"]));
    world.server.send("GET", &path, login, &Value::Null).await.text
}

async fn set_rule(world: &World, rule: Value) {
    let path = "/api/workspaces/acme/guardrails";
    let owner = world.password("owner");
    let now = world.server.send("GET", path, &owner, &Value::Null).await;
    let Login::Basic(name, secret) = owner else { panic!("a password") };
    let body = json!({ "own_rules": [rule], "confirm_lockout": false });
    let request = world.server.client().put(format!("{}{path}", world.server.url)).json(&body);
    let request = request.header("if-match", now.header("etag")).basic_auth(name, Some(secret.expose()));
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap_or_default());
}

/// How many processes have this in their command line, whose arguments end with NUL.
fn with_in_line(wanted: &[u8]) -> usize {
    let entries = std::fs::read_dir("/proc").expect("processes");
    let lines = entries.flatten().filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| line.windows(wanted.len()).any(|part| part == wanted)).count()
}

/// The processes whose command line names a folder.
fn processes(folder: &Path) -> usize {
    with_in_line(folder.to_str().expect("a path").as_bytes())
}

/// Whether the agent was told to hide a path.
fn hides(path: &Path) -> bool {
    with_in_line(format!("--hide\0{}\0", path.display()).as_bytes()) > 0
}

/// Would catch: an own runner that is one workspace's alone, one workspace's rule that keeps it from all the others or
/// does not hold for it, a refusal recorded with each look at the queue, an agent that is not told to hide the data, or
/// that outlives its server, a credential that goes on when the server has no runner any more.
#[tokio::test(flavor = "multi_thread")]
async fn the_installations_runner_serves_whoever_lets_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, file) = (folder.path().join("data"), folder.path().join("bastide.toml"));
    std::fs::write(&file, "with-runner = 2\n").expect("a configuration");
    let server = Server::start_in(&data, &["--config", file.to_str().expect("a path")]);
    let mut world = World::on(server).await;
    let (git, login) = owner(&world);
    let rule = json!({ "name": "elsewhere", "mode": "on", "policy": "forbid (principal is InstanceRunner, action, resource);" });
    set_rule(&world, rule).await;
    push(&world, &git, "acme/one", "echo never");
    push(&world, &git, "other/three", "echo ran");
    let run = soon("the run of the other workspace", || async {
        newest(&world, &login, "other/three").await.filter(|run| run["state"]["name"] == "COMPLETED")
    })
    .await;
    let log = log(&world, &login, "other/three").await;
    assert_eq!(run["state"]["result"]["name"], "SUCCESSFUL", "{run}\n{log}");
    assert!(log.contains("\nran"), "{log}");
    assert!(log.contains("the installation"), "the log names its runner: {log}");

    let refused = "/api/workspaces/acme/audit/events?action=step.claim&outcome=refused";
    let events = soon("the refusal's record", || async {
        let found =
            world.server.send("GET", refused, &world.password("owner"), &Value::Null).await.expect(200);
        found["values"].as_array().filter(|events| !events.is_empty()).cloned()
    })
    .await;
    // One for each step that may run at once: they ask at the same moment.
    assert!(events.len() <= 2, "{events:#?}");
    assert_eq!(newest(&world, &login, "acme/one").await.expect("a run")["state"]["name"], "PENDING");

    let agent = data.join("runner");
    assert!(processes(&agent) > 0, "it runs in the data directory");
    // That what is hidden is not seen is a test of the runner's own.
    for hidden in [&data, &file] {
        assert!(hides(hidden), "{} is hidden from steps", hidden.display());
    }
    world.server.kill();
    soon("the agent's end", || async { (processes(&agent) == 0).then_some(()) }).await;
    let credential = std::fs::read_to_string(agent.join("runner.json")).expect("what it held");
    let credential: Value = serde_json::from_str(&credential).expect("a document");
    let secret = model::Secret::new(credential["credential"].as_str().expect("a credential").to_owned());

    // Without the setting there is no such runner.
    std::fs::write(&file, "").expect("a configuration");
    world.server.restart();
    let answer = world.server.send("POST", "/api/runner/rotate", &Login::Bearer(secret), &Value::Null).await;
    assert_eq!(answer.status, 401, "{}", answer.text);
}
