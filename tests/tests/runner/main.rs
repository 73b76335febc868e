//! The whole way: a push, the real runner, real shells and real containers, and an identity token that a verifier who knows
//! nothing of Bastide accepts.

#![cfg(test)]

mod container;

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::pipeline::{FILE, PIPELINES, Scene, runner_code};
use testkit::server::{program, register_runner};
use testkit::{Running, Server, free_port};

const VARIABLES: &str = "/2.0/repositories/acme/one/pipelines_config/variables";

/// What PyJWT says of a token: its claims, or what is wrong with it.
fn verified(keys: &str, issuer: &str, audience: &str, token: &str) -> Result<Value, String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/identity/verify.py");
    let mut python = Command::new("/usr/bin/python3");
    let child =
        python.args([script, keys, issuer, audience]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.expect("python3 runs");
    child.stdin.take().expect("an input").write_all(token.as_bytes()).expect("it reads the token");
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8(output.stdout).expect("a text");
    match output.status.success() {
        true => Ok(serde_json::from_str(&said).expect("claims")),
        false => Err(said.trim().to_owned()),
    }
}

/// Would catch: a secret in a log, a token that only Bastide believes, a variable that does not arrive or goes where it
/// must not, output that later steps do not see.
#[tokio::test(flavor = "multi_thread")]
async fn a_shell_step_runs_with_its_secrets_hidden_and_proves_who_it_is() {
    let scene = Scene::new().await;
    let secret = json!({ "key": "DEPLOY_KEY", "value": "tr0ub4dor-and-3", "secured": true });
    let _ = scene.send("repoadmin", "POST", VARIABLES, secret).await.expect(201);
    let bound =
        json!({ "key": "PROTECTED", "value": "for-release-alone", "secured": true, "protected_only": true });
    let _ = scene.send("repoadmin", "POST", VARIABLES, bound).await.expect(201);
    let _agent = scene.agent(&["--no-containers"]).await;
    scene.push(concat!(
        "pipelines:\n  default:\n",
        "    - step:\n        name: Build\n        runs-on: linux.shell\n        oidc: {audiences: [https://cloud.test]}\n        output-variables: [VERSION]\n",
        "        script:\n          - echo \"key=$DEPLOY_KEY protected=${PROTECTED:-none} build=$BITBUCKET_BUILD_NUMBER\"\n",
        "          - printf %s \"$DEPLOY_KEY\" | base64\n          - test \"$(git rev-parse HEAD)\" = \"$BITBUCKET_COMMIT\"\n",
        "          - printf %s \"$BITBUCKET_STEP_OIDC_TOKEN\" | tr . ' ' | rev > token.txt; echo >> token.txt\n          - echo VERSION=1.2.3 >> \"$BITBUCKET_PIPELINES_VARIABLES_PATH\"\n",
        "        artifacts: [token.txt]\n",
        "    - step:\n        name: Use\n        runs-on: linux.shell\n        script:\n          - echo \"version $VERSION\"\n          - cat token.txt\n",
        "          - exit 3\n        after-script:\n          - echo \"after $BITBUCKET_EXIT_CODE\"\n",
    ));
    let (run, logs) = scene.result(1).await;
    let all = logs.join("\n----\n");
    assert_eq!(run["state"]["result"]["name"], "FAILED", "{all}");
    assert!(logs[0].contains("key=$DEPLOY_KEY protected=none build=1"), "{all}");
    assert!(!all.contains("tr0ub4dor") && !all.contains("dHIwdWI0ZG9yLWFuZC0z"), "{all}");
    assert!(logs[1].contains("version 1.2.3") && logs[1].contains("after 3"), "{all}");

    // The token came out of the step, backwards: that is how it got past the masks.
    let backwards =
        logs[1].lines().find(|line| line.len() > 400 && line.split(' ').count() == 3).expect(&all);
    let parts: Vec<String> = backwards.split(' ').map(|part| part.chars().rev().collect()).collect();
    let token = format!("{}.{}.{}", parts[2], parts[1], parts[0]);
    let workspace = scene.send("owner", "GET", "/2.0/workspaces/acme", Value::Null).await.expect(200);
    let id = workspace["uuid"].as_str().expect("an id").trim_matches(['{', '}']).to_owned();
    let base = &scene.world.server.url;
    let issuer = format!("{base}/2.0/workspaces/{id}/pipelines-config/identity/oidc");
    let keys = format!("{issuer}/keys.json");
    let claims = verified(&keys, &issuer, "https://cloud.test", &token).expect("a token that verifies");
    assert_eq!(
        (&claims["branchName"], &claims["repository"]),
        (&json!("main"), &json!("acme/one")),
        "{claims}"
    );
    assert_eq!(claims["pipelineUuid"], run["uuid"]);
    let subject = claims["sub"].as_str().expect("a subject");
    assert_eq!(
        subject,
        format!("{}:{}", claims["repositoryUuid"].as_str().unwrap(), claims["stepUuid"].as_str().unwrap())
    );
    let other = verified(&keys, &issuer, "https://other.test", &token);
    assert_eq!(other, Err("InvalidAudienceError".to_owned()));
    let other = verified(&keys, &format!("{issuer}x"), "https://cloud.test", &token);
    assert_eq!(other, Err("InvalidIssuerError".to_owned()));

    // What came of it is told on the commit.
    let commit = run["target"]["commit"]["hash"].as_str().expect("a commit");
    let statuses = format!("/2.0/repositories/acme/one/commit/{commit}/statuses");
    let told = scene.send("reader", "GET", &statuses, Value::Null).await.expect(200);
    assert_eq!(told["values"][0]["state"], "FAILED", "{told}");
}

/// Attack: a step of an agent that is not root, whose user the step has too, puts a link in place of its clone, so that the
/// agent takes files of its own for the step's artifacts. Seen to succeed where the folder around the clone can be written to.
#[tokio::test(flavor = "multi_thread")]
async fn no_link_gets_in_place_of_a_steps_clone() {
    let scene = Scene::new().await;
    let code = runner_code(&scene.world, "builder").await;
    let place =
        tempfile::Builder::new().permissions(PermissionsExt::from_mode(0o755)).tempdir().expect("a folder");
    let (directory, tool) = (place.path().join("runner"), place.path().join("bastide"));
    register_runner(&scene.world.server.url, &directory, &code, &[]);
    let _ = std::fs::copy(program(), &tool).expect("a copy that others may run");
    let own = directory.join("own");
    std::fs::create_dir(&own).expect("a folder");
    std::fs::write(own.join("master.key"), "of-the-agent-alone").expect("a file");
    let succeeds = |command: &mut Command| assert!(command.status().expect("it runs").success());
    succeeds(Command::new("chown").args(["-R", "12345:12345"]).arg(&directory));
    let mut agent = Command::new("setpriv");
    agent.args(["--reuid", "12345", "--regid", "12345", "--clear-groups"]).arg(tool);
    agent
        .args(["runner", "run", "--log", "warn", "--no-containers", "--sandboxed", "--directory"])
        .arg(&directory);
    let _agent = Running(agent.spawn().expect("the runner starts"));
    let step = "    - step:\n        runs-on: linux.shell\n        script:\n";
    scene.push(&format!(
        "pipelines:\n  default:\n{step}          - cd /; mv $BITBUCKET_CLONE_DIR $BITBUCKET_CLONE_DIR.away || echo \"it stays\"\n          \
         - ln -s {} $BITBUCKET_CLONE_DIR || true\n        artifacts: ['*.key', 'own/*.key']\n{step}          \
         - cat *.key own/*.key || echo \"nothing there\"\n",
        own.display(),
    ));
    let (run, logs) = scene.result(1).await;
    let all = logs.join("\n----\n");
    assert_eq!(run["state"]["result"]["name"], "SUCCESSFUL", "{all}");
    assert!(all.contains("\nit stays") && all.contains("\nnothing there"), "{all}");
    assert!(!all.contains("of-the-agent-alone"), "{all}");
}

/// A SARIF file with one finding, as a line of a shell that writes it.
fn sarif(path: &str, tool: &str, text: &str) -> String {
    let found = json!({ "version": "2.1.0", "runs": [{ "tool": { "driver": { "name": tool } }, "results": [
        { "ruleId": "R1", "level": "error", "message": { "text": text },
          "locations": [{ "physicalLocation": { "artifactLocation": { "uri": "src/a.rs" }, "region": { "startLine": 7 } } }] },
    ] }] });
    format!("          - |\n            echo \"{}\" > {path}\n", found.to_string().replace('"', "\\\""))
}

/// Would catch: findings among artifacts that are lost, that the last file of a tool takes from the others, that tell a secret,
/// that nobody declared, that are followed by a link out of the clone, or that turn round what somebody else has said; a rule
/// of the workspace that does not see them; a file that fails a step.
#[tokio::test(flavor = "multi_thread")]
async fn findings_among_artifacts_become_reports_of_the_step() {
    let scene = Scene::new().await;
    let secret = json!({ "key": "SCAN_KEY", "value": "tr0ub4dor-and-3", "secured": true });
    let _ = scene.send("repoadmin", "POST", VARIABLES, secret).await.expect(201);
    let rule = json!({ "fail_at": "high", "tools": ["my scanner"] });
    let (place, owner) = ("/api/workspaces/acme/code-scanning", scene.world.password("owner"));
    let _ = scene.world.server.send("PUT", place, &owner, &rule).await.expect(200);
    let _agent = scene.agent(&["--no-containers"]).await;
    let outside = scene.folder.path().join("outside.sarif");
    std::fs::write(&outside, "{}").expect("a file");
    let configuration = [
        "pipelines:\n  branches:\n    main:\n    - step:\n        runs-on: linux.shell\n        script:\n",
        "          - mkdir out other\n",
        &sarif("out/found.sarif", "My Scanner", "Look at $SCAN_KEY"),
        &sarif("other/found.sarif.json", "My scanner", "Another place"),
        &sarif("taken.sarif", "Taken", "Not to be said"),
        &sarif("undeclared.sarif", "Undeclared", "Nobody asked"),
        &format!("          - echo no JSON > broken.sarif; ln -s {} link.sarif\n", outside.display()),
        "        artifacts: [out/**, other, broken.sarif, link.sarif, taken.sarif, out/found.sarif]\n",
    ]
    .concat();
    let _ = scene.git.commit(&scene.work, FILE, &configuration);
    let push = |branch: &str| scene.git.run(&scene.work, ["push", &scene.address, &format!("HEAD:{branch}")]);
    let _ = push("quiet").expect_success();
    let hash = scene.git.run(&scene.work, ["rev-parse", "HEAD"]).expect_success().trim().to_owned();
    let reports = format!("/2.0/repositories/acme/one/commit/{hash}/reports");
    let said = json!({ "title": "Said before" });
    let _ = scene.send("writer", "PUT", &format!("{reports}/sarif-taken"), said).await.expect(200);
    let _ = push("main").expect_success();
    let (run, logs) = scene.result(1).await;
    let found = scene.send("reader", "GET", &reports, Value::Null).await.expect(200);
    let all = format!("{run}\n{found}\n{}", logs[0]);
    for said in [
        "SARIF out/found.sarif: report sarif-out-found-sarif, 1 finding",
        "SARIF broken.sarif: the file is not SARIF",
        "SARIF link.sarif: it is no file",
        "SARIF other/found.sarif.json: report sarif-my-scanner, 1 finding",
        "SARIF taken.sarif: it cannot be taken: the report `sarif-taken` belongs to another principal",
    ] {
        assert!(logs[0].contains(said), "{said}: {all}");
    }
    let mut names: Vec<_> =
        found["values"].as_array().unwrap().iter().map(|one| one["external_id"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["sarif-my-scanner", "sarif-out-found-sarif", "sarif-taken"], "{all}");
    let listed = format!("{reports}/sarif-out-found-sarif/annotations");
    let listed = scene.send("reader", "GET", &listed, Value::Null).await.expect(200);
    let one = &listed["values"][0];
    assert_eq!(
        (&one["path"], &one["line"], &one["severity"]),
        (&json!("src/a.rs"), &json!(7), &json!("HIGH"))
    );
    assert!(
        listed.to_string().contains("Look at $SCAN_KEY") && !listed.to_string().contains("tr0ub4dor"),
        "{listed}"
    );
    assert_eq!(run["state"]["result"]["name"], "FAILED", "the rule of the workspace: {all}");
    assert!(!logs[0].contains("The step failed"), "{all}");

    let events =
        scene.world.server.administer("GET", "/api/audit/events?action=report.set", &Value::Null).await;
    let told = events.to_string();
    assert!(told.contains("step_token:") && told.contains(r#""belongs_to":"steps""#), "{told}");
    assert!(!told.contains(r#""actor":"runner"#), "{told}");

    // A step that failed has found something too.
    scene.push(&format!(
        "pipelines:\n  default:\n    - step:\n        runs-on: linux.shell\n        script:\n{}          - exit 3\n        \
         artifacts:\n          upload:\n            - {{name: found, paths: ['*.sarif'], capture-on: failed}}\n",
        sarif("late.sarif", "Late", "After the end")
    ));
    let (run, logs) = scene.result(2).await;
    assert!(logs[0].contains("SARIF late.sarif: report sarif-late, 1 finding"), "{}", logs[0]);
    let commit = run["target"]["commit"]["hash"].as_str().expect("a commit");
    let reports = format!("/2.0/repositories/acme/one/commit/{commit}/reports/sarif-late");
    let _ = scene.send("reader", "GET", &reports, Value::Null).await.expect(200);
}

/// Would catch: a step that a crash loses, one that runs twice at once, a log that has a gap.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_under_a_step_finds_it_again() {
    // On a port of its own, so that it is found again when it comes back.
    let address = format!("127.0.0.1:{}", free_port());
    let mut scene = Scene::on(Server::start_with(&["--listen", &address])).await;
    let _agent = scene.agent(&["--no-containers"]).await;
    scene.push(concat!(
        "pipelines:\n  default:\n    - step:\n        runs-on: linux.shell\n        script:\n",
        "          - for i in $(seq 1 60); do echo \"line $i\"; sleep 0.1; done\n",
    ));
    let begun = Instant::now();
    loop {
        let runs = scene.send("reader", "GET", PIPELINES, Value::Null).await.expect(200);
        if runs["values"][0]["state"]["stage"]["name"] == "RUNNING" {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{runs}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    scene.world.server.kill();
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    scene.world.server.restart();
    let (run, logs) = scene.result(1).await;
    assert_eq!(run["state"]["result"]["name"], "SUCCESSFUL", "{}", logs[0]);
    let lines: Vec<&str> = logs[0].lines().filter(|line| line.starts_with("line ")).collect();
    let expected: Vec<String> = (1..=60).map(|i| format!("line {i}")).collect();
    assert_eq!(lines, expected);
}
