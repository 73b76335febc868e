//! What is kept of steps and given to them, the whole way: caches, reports of tests, keys for SSH. Real runners, real steps.

#![cfg(test)]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use testkit::pipeline::Scene;
use testkit::visitor::form_token;
use testkit::world::PASSWORD;
use testkit::{Answer, Login, Visitor, World, in_path};

const REPOSITORY: &str = "/2.0/repositories/acme/one";

/// A request about the repository.
async fn ask(scene: &Scene, person: &str, method: &str, path: &str, body: Value) -> Answer {
    scene.send(person, method, &format!("{REPOSITORY}/{path}"), body).await
}

async fn get(scene: &Scene, person: &str, path: &str) -> Value {
    ask(scene, person, "GET", path, Value::Null).await.expect(200)
}

/// Pushes a configuration, and waits for the end of its run: the run, the path of its only step, and the log.
async fn ran(scene: &Scene, number: u64, configuration: &str) -> (Value, String, String) {
    scene.push(configuration);
    let (run, mut logs) = scene.result(number).await;
    let steps = scene.steps(&run).await;
    let step = format!("pipelines/{}/steps/{}", run["build_number"], in_path(&steps[0]["uuid"]));
    (run, step, logs.remove(0))
}

/// The names of files below a folder of the server's data.
fn kept(world: &World, kind: &str) -> Vec<String> {
    let folder = world.server.data().join("pipelines").join(kind);
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Would catch: a cache that cannot be found, seen by whom it must not be or downloaded; one that is deleted and whose
/// file stays, or whose row stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_a_step_made_is_listed_downloaded_and_deleted() {
    let scene = Scene::new().await;
    let _agent = scene.agent(&["--no-containers"]).await;
    let configuration = concat!(
        "definitions:\n  caches: {tools: {path: tools, key: {files: [lock]}}, more: more}\n",
        "pipelines:\n  default:\n    - step:\n        runs-on: linux.shell\n        caches: [tools, more]\n",
        "        script:\n          - mkdir -p tools more && echo made > tools/made && echo more > more/made\n",
    );
    let _ = scene.git.commit(&scene.work, "lock", "1");
    let (run, _, log) = ran(&scene, 1, configuration).await;
    assert_eq!(run["state"]["result"]["name"], "SUCCESSFUL", "{log}");
    let caches = "pipelines-config/caches";
    let found = get(&scene, "reader", caches).await;
    assert_eq!((&found["size"], &found["values"][1]["name"]), (&json!(2), &json!("tools")), "{found}");
    let tools = &found["values"][1];
    assert_eq!((&tools["path"], &tools["pipeline_uuid"]), (&json!("tools"), &run["uuid"]), "{tools}");
    assert_eq!(tools["key_hash"].as_str().map(str::len), Some(64), "{tools}");
    assert!(tools["file_size_bytes"].as_i64() > Some(20) && tools["type"] == "pipeline_cache", "{tools}");
    let paged = get(&scene, "reader", &format!("{caches}?pagelen=1")).await;
    assert!(paged["values"].as_array().map(Vec::len) == Some(1) && paged["next"].is_string(), "{paged}");

    // What the address gives is the archive; the address holds no secret and opens nothing by itself.
    let one = format!("{caches}/{}", in_path(&tools["uuid"]));
    let told = get(&scene, "writer", &format!("{one}/content-uri")).await;
    let uri = told["uri"].as_str().expect("an address");
    let path = uri.strip_prefix(&scene.world.server.url).expect("an address of this server");
    let login = scene.world.app_password("writer");
    let answer = scene.world.server.send("GET", path, &login, &Value::Null).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers["content-type"]),
        (200, &"application/gzip".parse().unwrap())
    );
    assert_eq!(
        answer.headers["content-length"].to_str().ok(),
        Some(tools["file_size_bytes"].to_string().as_str())
    );
    // Tools leave passwords in caches: who may only read the code does not get at them.
    let reader = scene.world.app_password("reader");
    assert_eq!(scene.world.server.send("GET", path, &reader, &Value::Null).await.status, 403);
    let refused = scene.world.server.send("GET", path, &Login::Nobody, &Value::Null).await;
    assert!([401, 404].contains(&refused.status.as_u16()), "{}", refused.text);

    // Readers remove nothing; a name that is none is not found; what is removed is gone with its file.
    let _ = ask(&scene, "reader", "DELETE", &one, Value::Null).await.expect(403);
    let _ = ask(&scene, "writer", "DELETE", caches, Value::Null).await.expect(400);
    let _ = ask(&scene, "writer", "DELETE", &format!("{caches}?name=none"), Value::Null).await.expect(404);
    assert_eq!(kept(&scene.world, "caches").len(), 2);
    let _ = ask(&scene, "writer", "DELETE", &one, Value::Null).await.expect(204);
    let _ = ask(&scene, "writer", "DELETE", &one, Value::Null).await.expect(404);
    let _ = ask(&scene, "writer", "GET", &format!("{one}/content-uri"), Value::Null).await.expect(404);
    assert_eq!(kept(&scene.world, "caches").len(), 1);
    let _ = ask(&scene, "writer", "DELETE", &format!("{caches}?name=more"), Value::Null).await.expect(204);
    assert_eq!(get(&scene, "reader", caches).await["size"], 0);
    assert!(kept(&scene.world, "caches").is_empty());

    // The step makes it anew.
    let (_, _, log) = ran(&scene, 2, &format!("{configuration}# again\n")).await;
    assert!(log.contains("Cache tools: there is none yet"), "{log}");
    assert_eq!(kept(&scene.world, "caches").len(), 2);
}

const JUNIT: &str = r#"<testsuite name="sums"><testcase classname="Sums" name="adds" time="0.5"/><testcase classname="Sums" name="divides" time="0.25"><failure message="expected 2 &amp; not hunter2-and-more">at &lt;sums:3&gt; with hunter2-and-more</failure></testcase><testcase name="later"><skipped/></testcase></testsuite>"#;

/// Would catch: a report that is not found or read, a broken one that fails a step, a secret that gets past the masks by
/// way of a report, a list without its pages, a page that says nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_tests_reported_is_told_and_shown() {
    let scene = Scene::new().await;
    let _agent = scene.agent(&["--no-containers"]).await;
    let secret = json!({ "key": "PASSWORD", "value": "hunter2-and-more", "secured": true });
    let _ = ask(&scene, "repoadmin", "POST", "pipelines_config/variables", secret).await.expect(201);
    let _ = scene.git.commit(&scene.work, "junit.txt", JUNIT);
    let (run, step, log) = ran(
        &scene,
        1,
        concat!(
            "pipelines:\n  default:\n    - step:\n        runs-on: linux.shell\n        script:\n",
            "          - mkdir -p target/surefire-reports test-results other\n",
            "          - cp junit.txt target/surefire-reports/TEST-sums.xml\n          - cp junit.txt other/no.xml\n",
            "          - echo '<testsuite>' > test-results/broken.xml\n          - exit 4\n",
        ),
    )
    .await;
    assert_eq!(run["state"]["result"]["name"], "FAILED", "{log}");
    assert!(log.contains("Tests: 1 passed, 1 failed, 0 errors, 1 skipped\n"), "{log}");
    assert!(log.contains("Test report test-results/broken.xml: it is broken as XML"), "{log}");
    assert!(log.contains("The step failed with status 4"), "{log}");
    let reports = format!("{step}/test_reports");
    let report = get(&scene, "reader", &reports).await;
    assert_eq!(report["number_of_test_cases"], 3, "{report}");
    assert_eq!(report["number_of_failed_test_cases"], 1, "{report}");
    assert_eq!(report["duration_in_seconds"], 0.75, "{report}");
    let cases = get(&scene, "reader", &format!("{reports}/test_cases?pagelen=2")).await;
    assert_eq!((&cases["size"], cases["values"].as_array().map(Vec::len)), (&json!(3), Some(2)), "{cases}");
    let failed = &cases["values"][0];
    assert_eq!(
        (&failed["fully_qualified_name"], &failed["status"]),
        (&json!("Sums.divides"), &json!("FAILED"))
    );
    let reasons = format!("{reports}/test_cases/{}/test_case_reasons", in_path(&failed["uuid"]));
    let reason = get(&scene, "reader", &reasons).await["values"][0].clone();
    assert_eq!(reason["message"], "expected 2 & not $PASSWORD");
    assert_eq!(reason["output"], "at <sums:3> with $PASSWORD");
    let passed = &cases["values"][1];
    let none = format!("{reports}/test_cases/{}/test_case_reasons", in_path(&passed["uuid"]));
    assert_eq!(get(&scene, "reader", &none).await["size"], 0);
    let other = format!("{reports}/test_cases/{}/test_case_reasons", in_path(&run["uuid"]));
    let _ = ask(&scene, "reader", "GET", &other, Value::Null).await.expect(404);
    let _ = ask(&scene, "outsider", "GET", &reports, Value::Null).await.expect(404);

    // On the page of the run.
    let mut visitor = Visitor::signed_in(&scene.world.server, "reader", PASSWORD).await;
    let page = visitor.get("/acme/one/pipelines/1").await.text;
    assert!(page.contains("3 tests, 0.8 s") && page.contains("expected 2 &#38; not $PASSWORD"), "{page}");
    assert!(!page.contains("hunter2"), "{page}");

    // A run whose step reports nothing has no report.
    let (_, step, _) =
        ran(&scene, 2, "pipelines:\n  default:\n    - step: {runs-on: linux.shell, script: ['true']}\n")
            .await;
    let _ = ask(&scene, "reader", "GET", &format!("{step}/test_reports"), Value::Null).await.expect(404);
}

/// Sends a form of a page, with the token that the page has for it.
async fn sent(visitor: &mut Visitor, page: &str, form: &str, fields: &[(&str, &str)]) -> Answer {
    let action = format!("{page}/{form}");
    let token = form_token(&visitor.get(page).await.text, &action).expect("a form");
    visitor.send(&action, &[&[("form_token", token.as_str())], fields].concat()).await
}

/// A public key in OpenSSH's form, and the file of its private half.
fn key_pair(folder: &Path, name: &str) -> (String, PathBuf) {
    let file = folder.join(name);
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
        .arg(&file)
        .status();
    assert!(made.expect("openssh-client is installed").success());
    let line = std::fs::read_to_string(file.with_extension("pub")).expect("a public key");
    (line.trim().to_owned(), file)
}

/// Would catch: a private key that an answer, an event, a log or a page tells; halves that are no pair and are taken; a
/// key that a step does not find, or `ssh` does not use; a host that is believed without being known.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_has_the_key_and_knows_its_hosts() {
    const PAIR: &str = "pipelines_config/ssh/key_pair";
    const HOSTS: &str = "pipelines_config/ssh/known_hosts";
    let scene = Scene::new().await;
    let _agent = scene.agent(&["--no-containers"]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let _ = ask(&scene, "writer", "GET", PAIR, Value::Null).await.expect(403);
    let _ = ask(&scene, "repoadmin", "GET", PAIR, Value::Null).await.expect(404);
    let _ = ask(&scene, "writer", "PUT", PAIR, json!({})).await.expect(403);
    // One is made where none is sent; another is taken where its halves are a pair.
    let made = ask(&scene, "repoadmin", "PUT", PAIR, json!({})).await.expect(200);
    assert!(made["public_key"].as_str().is_some_and(|line| line.starts_with("ssh-ed25519 ")), "{made}");
    let ((public, file), (other, _)) = (key_pair(folder.path(), "one"), key_pair(folder.path(), "two"));
    let private = std::fs::read_to_string(file).expect("a private key");
    let mixed = json!({ "private_key": private, "public_key": other });
    let refused = ask(&scene, "repoadmin", "PUT", PAIR, mixed).await;
    assert!(
        refused.status == 400 && refused.text.contains("not that of the private key"),
        "{}",
        refused.text
    );
    let set = json!({ "private_key": private, "public_key": format!("{public} me@here") });
    let answer = ask(&scene, "repoadmin", "PUT", PAIR, set).await;
    let inner: String = private.lines().nth(2).expect("a line").to_owned();
    assert!(answer.status == 200 && !answer.text.contains(&inner), "{}", answer.text);
    assert_eq!(get(&scene, "repoadmin", PAIR).await["public_key"], public);

    let key = other.split(' ').nth(1).expect("a key");
    let host =
        |name: &str| json!({ "hostname": name, "public_key": { "key_type": "ssh-ed25519", "key": key } });
    let made = ask(&scene, "repoadmin", "POST", HOSTS, host("Git.example.com:7999")).await.expect(201);
    assert_eq!(
        (&made["hostname"], &made["public_key"]["key"]),
        (&json!("[git.example.com]:7999"), &json!(key))
    );
    let md5 = made["public_key"]["md5_fingerprint"].as_str().expect("a fingerprint");
    assert!(
        md5.starts_with("MD5:")
            && made["public_key"]["sha256_fingerprint"]
                .as_str()
                .is_some_and(|one| one.starts_with("SHA256:"))
    );
    let _ = ask(&scene, "repoadmin", "POST", HOSTS, host("git.example.com:7999")).await.expect(409);
    let _ = ask(&scene, "repoadmin", "POST", HOSTS, host("*")).await.expect(400);
    let _ = ask(&scene, "writer", "POST", HOSTS, host("a.example.com")).await.expect(403);
    let one = format!("{HOSTS}/{}", in_path(&made["uuid"]));
    let moved = ask(&scene, "repoadmin", "PUT", &one, json!({ "hostname": "git.test" })).await.expect(200);
    assert_eq!((&moved["hostname"], &moved["public_key"]), (&json!("git.test"), &made["public_key"]));
    assert_eq!(get(&scene, "repoadmin", &one).await, moved);
    assert_eq!(get(&scene, "repoadmin", HOSTS).await["size"], 1);

    let (run, _, log) = ran(
        &scene,
        1,
        concat!(
            "pipelines:\n  default:\n    - step:\n        runs-on: linux.shell\n        script:\n",
            "          - ssh-keygen -y -f \"$BITBUCKET_SSH_KEY_FILE\" > public.txt\n          - cat public.txt\n",
            "          - stat -c 'mode %a' \"$BITBUCKET_SSH_KEY_FILE\"\n",
            "          - ssh -G git.test | grep -i -e identityfile -e stricthostkeychecking\n",
            "          - ssh-keygen -F git.test -f \"$(dirname \"$BITBUCKET_SSH_KEY_FILE\")/known_hosts\" | grep -c ssh-ed25519\n",
            "          - cat \"$BITBUCKET_SSH_KEY_FILE\"\n          - case \"$BITBUCKET_SSH_KEY_FILE\" in \"$PWD\"/*) exit 9;; esac\n",
            "          - echo \"changed\" >> \"$BITBUCKET_SSH_KEY_FILE\" && exit 8 || echo \"cannot be changed\"\n",
        ),
    )
    .await;
    assert_eq!(run["state"]["result"]["name"], "SUCCESSFUL", "{log}");
    for said in [public.as_str(), "mode 600", "stricthostkeychecking true", "cannot be changed"] {
        assert!(log.contains(said), "{said}: {log}");
    }
    assert!(log.contains("/ssh/id"), "{log}");
    for line in private.lines().filter(|line| line.len() > 20) {
        assert!(!log.contains(line), "{line}: {log}");
    }
    let login = scene.world.app_password("owner");
    let trail =
        scene.world.server.send("GET", "/api/workspaces/acme/audit/events", &login, &Value::Null).await;
    assert!(!trail.text.contains(&inner), "{}", trail.text);

    // The page has forms for all of it, and tells no private key.
    let here = "/acme/one/settings/pipelines";
    let mut visitor = Visitor::signed_in(&scene.world.server, "repoadmin", PASSWORD).await;
    let page = visitor.get(here).await.text;
    assert!(page.contains(&public) && page.contains("git.test") && !page.contains(&inner), "{page}");
    let answer =
        sent(&mut visitor, here, "known-hosts", &[("hostname", "b.test"), ("host_key", "ssh-ed25519 x")])
            .await;
    assert!(answer.status == 400 && answer.text.contains("the key is damaged"), "{}", answer.text);
    let answer =
        sent(&mut visitor, here, "known-hosts", &[("hostname", "b.test"), ("host_key", &other)]).await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    let answer = sent(&mut visitor, here, "ssh-key", &[("private_key", &inner), ("public_key", "")]).await;
    assert!(answer.status == 400 && !answer.text.contains(&inner), "{}", answer.text);
    let answer = sent(&mut visitor, here, "ssh-key/generate", &[]).await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    assert_ne!(get(&scene, "repoadmin", PAIR).await["public_key"], public);
    let _ = ask(&scene, "repoadmin", "DELETE", PAIR, Value::Null).await.expect(204);
    let _ = ask(&scene, "repoadmin", "DELETE", PAIR, Value::Null).await.expect(404);
    let _ = ask(&scene, "repoadmin", "DELETE", &one, Value::Null).await.expect(204);
    assert_eq!(get(&scene, "repoadmin", HOSTS).await["size"], 1);
}
