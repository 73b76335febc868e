//! The whole way: a push, the real runner, real shells and real containers, and an identity token that a verifier who knows
//! nothing of Bastide accepts.

#![cfg(test)]

use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::server::{program, register_runner};
use testkit::{Answer, GitClient, Login, World};

const PIPELINES: &str = "/2.0/repositories/acme/one/pipelines";
const VARIABLES: &str = "/2.0/repositories/acme/one/pipelines_config/variables";
const RUNNERS: &str = "/2.0/repositories/acme/one/pipelines-config/runners";
const FILE: &str = "bitbucket-pipelines.yml";
const IMAGE: &str = "localhost/bastide-acceptance:1";

/// A runner's process, ended when this is dropped.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Scene {
    world: World,
    address: String,
    git: GitClient,
    work: PathBuf,
    folder: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        Self::on(World::new().await)
    }

    /// On a port of its own, so that a server that comes back is found again.
    async fn on_a_port() -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("its address").to_string();
        drop(free);
        Self::on(World::on(testkit::Server::start_with(&["--listen", &address])).await)
    }

    fn on(world: World) -> Self {
        let address = format!("{}/acme/one.git", world.server.url);
        let Login::Basic(name, secret) = world.app_password("writer") else { panic!("an app password") };
        let git = GitClient::new().with_credential(&world.server.url, &name, &secret);
        let work = git.working_copy("work");
        let folder = tempfile::tempdir().expect("a folder");
        Self { world, address, git, work, folder }
    }

    async fn send(&self, person: &str, method: &str, path: &str, body: Value) -> Answer {
        self.world.server.send(method, path, &self.world.app_password(person), &body).await
    }

    /// Registers a runner with the command, and starts it.
    async fn agent(&self, flags: &[&str]) -> Agent {
        let made = self.send("repoadmin", "POST", RUNNERS, json!({ "name": "builder" })).await.expect(200);
        let code = made["registration"]["code"].as_str().expect("a code");
        let directory = self.folder.path().join("runner");
        register_runner(&self.world.server.url, &directory, code, &[]);
        let agent = Command::new(program())
            .args(["runner", "run", "--log", "warn", "--directory"])
            .arg(&directory)
            .args(flags)
            .spawn();
        Agent(agent.expect("the runner starts"))
    }

    fn push(&self, configuration: &str) {
        let _ = self.git.commit(&self.work, FILE, configuration);
        let _ = self.git.run(&self.work, ["push", &self.address, "HEAD:main"]).expect_success();
    }

    /// The newest run when it is over, and the logs of its steps.
    async fn result(&self) -> (Value, Vec<String>) {
        let begun = Instant::now();
        loop {
            let runs = self.send("reader", "GET", PIPELINES, Value::Null).await.expect(200);
            let run = runs["values"][0].clone();
            if run["state"]["name"] == "COMPLETED" {
                let logs = self.logs(&run).await;
                return (run, logs);
            }
            if begun.elapsed() > Duration::from_secs(120) {
                panic!("{run}\n{}", self.logs(&run).await.join("\n----\n"));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn logs(&self, run: &Value) -> Vec<String> {
        let steps = format!("{PIPELINES}/{}/steps", run["build_number"]);
        let found = self.send("reader", "GET", &steps, Value::Null).await.expect(200);
        let mut logs = Vec::new();
        for step in found["values"].as_array().expect("steps") {
            let uuid = step["uuid"].as_str().expect("an id").replace('{', "%7B").replace('}', "%7D");
            logs.push(self.send("reader", "GET", &format!("{steps}/{uuid}/log"), Value::Null).await.text);
        }
        logs
    }
}

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
    let (run, logs) = scene.result().await;
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

/// An image of busybox, made here: no registry is asked.
fn image() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("root");
    for name in ["bin", "etc", "tmp", "root"] {
        std::fs::create_dir_all(root.join(name)).expect("a folder");
    }
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
    std::fs::copy(busybox.expect("busybox-static is installed"), root.join("bin/busybox")).expect("a copy");
    for program in ["sh", "cat", "ls", "sleep", "nc", "echo", "grep", "mkdir", "test", "env", "id"] {
        symlink("busybox", root.join("bin").join(program)).expect("a link");
    }
    std::fs::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\n").expect("a file");
    let serve = "#!/bin/sh\nwhile true; do echo hello from the service | nc -l -p 5000; done\n";
    std::fs::write(root.join("serve.sh"), serve).expect("a file");
    std::fs::set_permissions(root.join("serve.sh"), PermissionsExt::from_mode(0o755)).expect("a mode");
    let archive = folder.path().join("root.tar");
    let made = Command::new("tar").arg("-C").arg(&root).arg("-cf").arg(&archive).arg(".").status();
    assert!(made.expect("tar runs").success());
    let made = Command::new("podman")
        .args(["import", "--change", "CMD=/serve.sh"])
        .arg(&archive)
        .arg(IMAGE)
        .output();
    let made = made.expect("podman runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// Would catch: a step that does not run in its image, a service that is not beside it, a cache that is not found again.
#[tokio::test(flavor = "multi_thread")]
async fn a_container_step_has_its_service_and_finds_its_cache_again() {
    image();
    let scene = Scene::new().await;
    let _agent = scene.agent(&[]).await;
    let configuration = format!(
        concat!(
            "image: {image}\ndefinitions:\n  caches: {{tools: tools}}\n  services:\n    greeter: {{image: '{image}'}}\n",
            "pipelines:\n  default:\n    - step:\n        name: In an image\n        services: [greeter]\n        caches: [tools]\n        oidc: true\n",
            "        script:\n          - test -f tools/made && echo \"cache found\" || echo \"cache empty\"\n          - mkdir -p tools && echo yes > tools/made\n",
            "          - sleep 1; nc 127.0.0.1 5000\n          - test -n \"$BITBUCKET_STEP_OIDC_TOKEN\" && echo \"token there\"\n          - ls bitbucket-pipelines.yml\n",
        ),
        image = IMAGE
    );
    scene.push(&configuration);
    let (run, logs) = scene.result().await;
    let all = logs.join("\n----\n");
    assert_eq!(run["state"]["result"]["name"], "SUCCESSFUL", "{all}");
    for said in ["cache empty", "hello from the service", "token there"] {
        assert!(all.contains(said), "{said}: {all}");
    }
    scene.push(&format!("{configuration}# again\n"));
    let begun = Instant::now();
    loop {
        let (run, logs) = scene.result().await;
        if run["build_number"] == 2 {
            assert!(logs[0].contains("cache found"), "{}", logs[0]);
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Would catch: a step that a crash loses, one that runs twice at once, a log that has a gap.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_under_a_step_finds_it_again() {
    let mut scene = Scene::on_a_port().await;
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
    let (run, logs) = scene.result().await;
    assert_eq!(run["state"]["result"]["name"], "SUCCESSFUL", "{}", logs[0]);
    let lines: Vec<&str> = logs[0].lines().filter(|line| line.starts_with("line ")).collect();
    let expected: Vec<String> = (1..=60).map(|i| format!("line {i}")).collect();
    assert_eq!(lines, expected);
}
