//! Dynamic pipelines from outside: rules, and a real provider over HTTPS, written in Python, that checks each signature by the
//! snippet of the documentation.
//!
//! Would catch: a rule that does not bind, a provider that is asked without a signature or in the wrong order, a failure that
//! lets the run begin, a second key for the same question, a secret that is shown again, a redirect that is followed.

#![cfg(test)]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::pipeline::{FILE, PIPELINES, Scene};
use testkit::world::PASSWORD;
use testkit::{Answer, Browser, Server, form};

const OF_REPOSITORY: &str = "/api/repositories/acme/one/dynamic-pipelines";
const OF_WORKSPACE: &str = "/api/workspaces/acme/dynamic-pipelines";
const BUILD: &str = "# what we build\npipelines:\n  default:\n    - step:\n        name: Build\n        image: alpine:3\n        script: [make]\n  custom:\n    nightly:\n      - step: {name: Night, script: [make]}\n";
const MANUAL: &str = "/api/repositories/acme/one/pipeline-definitions?branch=main";

async fn of_workspace(scene: &Scene, body: Value) -> Answer {
    scene.world.server.send("PUT", OF_WORKSPACE, &scene.world.password("owner"), &body).await
}

async fn of_repository(scene: &Scene, body: Value) -> Answer {
    scene.send("repoadmin", "PUT", OF_REPOSITORY, body).await
}

async fn step_names(scene: &Scene, run: &Value) -> Vec<String> {
    let steps = scene.steps(run).await;
    steps.iter().map(|step| step["name"].as_str().unwrap_or_default().to_owned()).collect()
}

async fn configuration_page(scene: &Scene, run: &Value) -> String {
    let reader = Browser::signed_in(&scene.world.server, "reader", PASSWORD).await;
    reader.page(&format!("/acme/one/pipelines/{}/configuration", run["build_number"])).await
}

fn error_of(run: &Value) -> (String, String) {
    let result = &run["state"]["result"];
    assert_eq!(result["name"], "ERROR", "{run}");
    let text = |key: &str| result["error"][key].as_str().unwrap_or_default().to_owned();
    (text("key"), text("message"))
}

fn sources(run: &Value) -> Vec<&str> {
    let all = run["configuration_sources"].as_array().unwrap();
    all.iter().map(|one| one["source"].as_str().unwrap()).collect()
}

const RULES: &str = "require:\n  steps:\n    - first: {name: Scan, image: 'scan:1', script: [scan]}\nforbid:\n  images: ['evil/**']\n";

#[tokio::test]
async fn rules_need_no_service_and_have_the_last_word() {
    let scene = Scene::on(Server::start()).await;
    let bad = of_workspace(&scene, json!({ "rules": "forbid: {images: evil}" })).await;
    assert!(bad.status == 400 && bad.text.contains("`images` is a list"), "{}", bad.text);
    let set = of_workspace(&scene, json!({ "rules": RULES })).await.expect(200);
    assert_eq!((&set["secret"], &set["set_by"]), (&Value::Null, &json!("user:owner")), "{set}");
    let last = "require:\n  steps:\n    - last: {name: Report, image: 'report:1', script: [report]}\n";
    let _ = of_repository(&scene, json!({ "rules": last })).await.expect(200);
    for (who, path) in [("writer", OF_REPOSITORY), ("repoadmin", OF_WORKSPACE), ("writer", OF_WORKSPACE)] {
        let refused = scene.send(who, "PUT", path, json!({})).await;
        assert!(refused.status.is_client_error(), "{who} {path}: {}", refused.text);
    }

    scene.push(BUILD);
    let run = scene.run_number(1).await;
    assert_eq!(step_names(&scene, &run).await, ["Scan", "Build", "Report"]);
    assert_eq!(sources(&run), [FILE, "repository-rules", "workspace-rules"]);
    let page = configuration_page(&scene, &run).await;
    assert!(page.contains("+        name: Scan") && page.contains("Changed after that by"), "{page}");
    assert!(!page.contains("+        name: Build") && !page.contains("Night"), "{page}");

    scene.push(&BUILD.replace("alpine:3", "docker.io/evil/x"));
    let (key, message) = error_of(&scene.run_number(2).await);
    assert_eq!(key, "dynamic-rules");
    for part in ["step 2 `Build`", "`docker.io/evil/x`", "`evil/**`", "the workspace `acme`", "user:owner"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    // By hand, what the workspace forbids is a run that says so.
    let target =
        json!({ "target": { "type": "pipeline_ref_target", "ref_type": "branch", "ref_name": "main" } });
    let by_hand = scene.send("writer", "POST", PIPELINES, target).await.expect(201);
    assert_eq!(error_of(&by_hand).0, "dynamic-rules");

    // Attack: settings of the file that put an image beside what is required.
    scene.push(&format!(
        "options: {{docker: true}}\ndefinitions: {{services: {{docker: {{image: evil}}}}}}\n{BUILD}"
    ));
    let (key, message) = error_of(&scene.run_number(4).await);
    assert!(key == "dynamic-rules" && message.contains("`options: docker`"), "{key}: {message}");

    let _ = of_workspace(&scene, json!({})).await.expect(200);
    let _ = of_repository(&scene, json!({ "rules": last, "enabled": false })).await.expect(200);
    scene.push(&BUILD.replace("[make]", "[make, test]"));
    let run = scene.run_number(5).await;
    assert_eq!((step_names(&scene, &run).await, sources(&run)), (vec!["Build".to_owned()], vec![FILE]));
    assert!(!configuration_page(&scene, &run).await.contains("Different from"));
}

/// A provider that answers by its path, and says what it was asked.
const PROVIDER: &str = r#"
import http.server, json, pathlib, ssl, sys
folder = pathlib.Path(sys.argv[1])
tries = {}
class Provider(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"
    def log_message(self, *_):
        pass
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        name = self.path.strip("/")
        secrets = [one.read_text() for one in folder.glob("secret-*")]
        genuine = any(is_genuine(one, self.headers, body) for one in secrets)
        asked = json.loads(body)
        key = self.headers["Idempotency-Key"]
        print(json.dumps({"name": name, "genuine": genuine, "key": key, "asked": asked}), flush=True)
        tries[key] = tries.get(key, 0) + 1
        status, answer = 200, {"pipelines_configuration": asked["pipelines_configuration"]}
        pipelines = asked["pipelines_configuration"]["pipelines"]
        step = lambda name: {"step": {"name": name, "image": "x:1", "script": ["echo " + name]}}
        if name in ("repository", "workspace", "flaky"):
            for items in [pipelines.get("default")] + list(pipelines.get("custom", {}).values()):
                if items is not None:
                    items.append(step("By " + name))
            if asked["trigger"] == "definitions":
                pipelines.setdefault("custom", {})["from " + name] = [step("x")]
        if name == "flaky" and tries[key] < 3:
            status = 503
        if name == "refusing":
            answer = {"error": {"key": "not-on-fridays", "message": "deployments rest on <fridays>"}}
        if name == "posing":
            answer = {"error": {"key": "plan-refused", "message": "as if it were said by the server"}}
        if name == "none":
            answer = {"pipelines_configuration": {"pipelines": {}}}
        if name == "invalid":
            answer = {"pipelines_configuration": {"pipelines": {"default": [{"stepp": 1}]}}}
        if name == "many":
            answer = {"pipelines_configuration": {"pipelines": {"default": [step("x")] * 101}}}
        data = json.dumps(answer).encode()
        if name == "garbage":
            data = b"<html>"
        if name == "huge":
            data = b" " * (10 << 20)
        if name == "elsewhere":
            status = 307
        self.send_response(status)
        if name == "elsewhere":
            self.send_header("Location", "/repository")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        try:
            self.wfile.write(data)
        except OSError:
            pass
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
"#;

struct Provider {
    child: Child,
    folder: tempfile::TempDir,
    port: u16,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Provider {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut openssl = Command::new("openssl");
        openssl.args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ]);
        openssl.args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=CA:FALSE"]);
        openssl.args(["-keyout", "key.pem", "-out", "cert.pem"]).current_dir(&folder).stderr(Stdio::null());
        assert!(openssl.status().unwrap().success());
        let documentation = include_str!("../../docs/dynamic-pipelines.md");
        let snippet = documentation.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
        let mut python = Command::new("python3");
        python.args(["-c", &format!("{snippet}\n{PROVIDER}")]).arg(folder.path());
        let mut child = python.stdout(Stdio::piped()).spawn().unwrap();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        let mut port = String::new();
        reader.read_line(&mut port).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        std::thread::spawn(move || {
            let lines = reader.lines().map_while(Result::ok);
            lines.for_each(|line| kept.lock().unwrap().push(serde_json::from_str(&line).unwrap()));
        });
        Self { child, folder, port: port.trim().parse().unwrap(), asked }
    }

    fn server(&self) -> Server {
        let trust = self.folder.path().join("cert.pem");
        let allow = "127.0.0.0/8,::1/128";
        Server::start_with(&["--outbound-allow", allow, "--outbound-trust", trust.to_str().unwrap()])
    }

    fn address(&self, name: &str) -> String {
        format!("https://localhost:{}/{name}", self.port)
    }

    fn keep(&self, whose: &str, set: &Value) -> String {
        let secret = set["secret"].as_str().expect("shown once").to_owned();
        std::fs::write(self.folder.path().join(format!("secret-{whose}")), &secret).unwrap();
        secret
    }

    fn asked(&self) -> Vec<Value> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

#[tokio::test]
async fn providers_are_asked_in_order_and_signed() {
    let provider = Provider::start();
    let scene = Scene::on(provider.server()).await;
    let set = of_repository(&scene, json!({ "address": provider.address("repository") })).await.expect(200);
    let secret = provider.keep("repository", &set);
    let set = of_workspace(&scene, json!({ "address": provider.address("workspace") })).await.expect(200);
    let _ = provider.keep("workspace", &set);
    let seen = scene.send("repoadmin", "GET", OF_REPOSITORY, Value::Null).await.expect(200);
    assert!(seen["secret"].is_null() && !seen.to_string().contains(&secret), "shown once: {seen}");

    scene.push(BUILD);
    let run = scene.run_number(1).await;
    assert_eq!(step_names(&scene, &run).await, ["Build", "By repository", "By workspace"]);
    assert_eq!(sources(&run), [FILE, "repository-provider", "workspace-provider"]);
    let asked = provider.asked();
    assert_eq!(asked.len(), 2, "{asked:?}");
    let pipeline = run["uuid"].as_str().unwrap();
    for (one, whose) in asked.iter().zip(["repository", "workspace"]) {
        assert_eq!((&one["name"], &one["genuine"]), (&json!(whose), &json!(true)), "{one}");
        assert_eq!(one["asked"]["pipeline"], pipeline);
        assert_eq!(one["key"], format!("{} {whose}", pipeline.trim_matches(['{', '}'])));
        assert_eq!(
            (&one["asked"]["trigger"], &one["asked"]["target"]["ref_name"]),
            (&json!("push"), &json!("main"))
        );
        assert_eq!(one["asked"]["target"]["selector"]["type"], "default");
        assert!(one["asked"]["created_on"].is_null(), "the same body whenever it is asked: {one}");
        assert!(one["asked"]["pipelines_configuration"]["pipelines"]["custom"].is_null(), "narrowed: {one}");
    }
    let page = configuration_page(&scene, &run).await;
    assert!(page.contains("+        name: By repository") && page.contains("provider"), "{page}");

    let names = scene.send("writer", "GET", MANUAL, Value::Null).await.expect(200);
    assert_eq!(names["custom"], json!(["nightly", "from repository", "from workspace"]));
    assert!(
        provider.asked().iter().all(|one| one["asked"]["trigger"] == "definitions" && one["genuine"] == true)
    );

    // The same provider keeps its key; one that is elsewhere gets another.
    let again = of_repository(&scene, json!({ "address": provider.address("repository") })).await.expect(200);
    assert!(again["secret"].is_null(), "{again}");
    let moved = of_repository(&scene, json!({ "address": provider.address("flaky") })).await.expect(200);
    assert_ne!(provider.keep("repository", &moved), secret);
    scene.push(&BUILD.replace("[make]", "[make, test]"));
    let run = scene.run_number(2).await;
    assert_eq!(step_names(&scene, &run).await, ["Build", "By flaky", "By workspace"]);
    let asked = provider.asked();
    let keys: Vec<&str> = asked.iter().map(|one| one["key"].as_str().unwrap()).collect();
    assert_eq!((keys.len(), keys[0], keys[1]), (4, keys[2], keys[2]), "three tries under one key: {keys:?}");

    // Who waits for what can be started waits for one try; where nothing can be, nobody is asked.
    let failed = scene.send("writer", "GET", MANUAL, Value::Null).await;
    assert!(failed.status == 400 && !failed.text.contains("3 tries"), "{}", failed.text);
    let begun = Instant::now();
    while provider.asked.lock().unwrap().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(30), "nobody was asked");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let config = "/2.0/repositories/acme/one/pipelines_config";
    let _ = scene.send("repoadmin", "PUT", config, json!({ "enabled": false })).await.expect(200);
    let off = scene.send("writer", "GET", MANUAL, Value::Null).await;
    assert!(off.status == 400 && off.text.contains("switched off"), "{}", off.text);
    assert_eq!(provider.asked().len(), 1);
}

/// Attack: a provider that fails, in any way, and a run that begins all the same.
#[tokio::test]
async fn what_a_provider_gets_wrong_is_the_end_of_the_run() {
    let provider = Provider::start();
    let scene = Scene::on(provider.server()).await;
    let mut number = 0;
    for (name, key, part) in [
        ("posing", "dynamic-provider-refused", "the workspace `acme`: as if it were said by the server"),
        ("refusing", "not-on-fridays", "the workspace `acme`: deployments rest on <fridays>"),
        ("garbage", "dynamic-provider-answer", "JSON"),
        ("huge", "dynamic-provider-unreached", "1 MiB"),
        ("elsewhere", "dynamic-provider-unreached", "leads elsewhere"),
        ("invalid", "dynamic-invalid", "stepp"),
        ("many", "dynamic-invalid", "101 steps"),
    ] {
        let set = of_workspace(&scene, json!({ "address": provider.address(name) })).await.expect(200);
        let _ = provider.keep("workspace", &set);
        scene.push(&format!("{BUILD}# {name}\n"));
        number += 1;
        let run = scene.run_number(number).await;
        let (told, message) = error_of(&run);
        assert!(told == key && message.contains(part), "{name}: {told}: {message}");
        assert_eq!(step_names(&scene, &run).await, Vec::<String>::new(), "{name}");
    }
    let reader = Browser::signed_in(&scene.world.server, "reader", PASSWORD).await;
    let page = reader.page("/acme/one/pipelines/2").await;
    assert!(page.contains("deployments rest on &#60;fridays&#62;"), "{page}");

    // Nothing that fits: a push starts no run, a person gets one that says so.
    let set = of_workspace(&scene, json!({ "address": provider.address("none") })).await.expect(200);
    let _ = provider.keep("workspace", &set);
    scene.push(&format!("{BUILD}# none\n"));
    let target =
        json!({ "target": { "type": "pipeline_ref_target", "ref_type": "branch", "ref_name": "main" } });
    let by_hand = scene.send("writer", "POST", PIPELINES, target).await.expect(201);
    assert_eq!(error_of(&by_hand).0, "dynamic-no-target");
    let begun = Instant::now();
    while !provider
        .asked
        .lock()
        .unwrap()
        .iter()
        .any(|one| one["name"] == "none" && one["asked"]["trigger"] == "push")
    {
        assert!(begun.elapsed() < Duration::from_secs(30), "the push was not asked about");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let _ = of_workspace(&scene, json!({})).await.expect(200);
    scene.push(&format!("{BUILD}# again\n"));
    assert_eq!(scene.run_number(number + 2).await["build_number"], number + 2);
}

#[tokio::test]
async fn a_provider_lies_outside_and_a_form_keeps_what_was_typed() {
    let scene = Scene::on(Server::start()).await;
    for address in
        ["https://127.0.0.1/", "https://169.254.169.254/", "http://ci.example.com/", "ftp://x", "x"]
    {
        let answer = of_repository(&scene, json!({ "address": address })).await;
        assert_eq!(answer.status, 400, "{address}: {}", answer.text);
    }
    for time_limit in [0, 31] {
        let body = json!({ "address": "https://ci.example.com/", "time_limit": time_limit });
        assert_eq!(of_repository(&scene, body).await.status, 400);
    }
    for (who, at) in [
        ("repoadmin", "/acme/one/settings/dynamic-pipelines"),
        ("owner", "/acme/workspace/settings/dynamic-pipelines"),
    ] {
        let browser = Browser::signed_in(&scene.world.server, who, PASSWORD).await;
        let empty = form(&browser.page(at).await, at);
        let typed = empty.with("address", "https://ci.example.com/x").with("rules", "forbid: {image: [a]}");
        let wrong = browser.submit(typed).await;
        assert!(wrong.status == 400 && wrong.text.contains("id=\"rules-error\""), "{}", wrong.text);
        let kept = form(&wrong.text, at);
        assert_eq!(kept.get("address"), Some("https://ci.example.com/x"));
        let set = browser.submit(kept.with("rules", "forbid: {images: [a]}").with("enabled", "yes")).await;
        assert_eq!(set.status, 201, "{}", set.text);
        let secret = set.text.split("id=\"key\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
        assert!(secret.len() > 20, "{secret}");
        let shown = browser.page(at).await;
        assert!(!shown.contains(&secret) && shown.contains("forbid: {images: [a]}"), "{shown}");
    }
    let writer = Browser::signed_in(&scene.world.server, "writer", PASSWORD).await;
    assert_eq!(writer.get("/acme/one/settings/dynamic-pipelines").await.status.as_u16(), 403);
}
