//! Receivers of the audit trail, real ones: an HTTP server and a TLS syslog receiver, with a crash and a restart in
//! between.
//!
//! Would catch: an event that is lost when the server or the receiver is gone for a while, events out of order, a signature
//! that the receiver cannot check, another workspace's event, a receiver inside the server's own network.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails where it cannot go on, and says so"
)]

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Server, World, free_port};

/// What a webhook was sent: its headers in lower case, and its body.
type Posts = Arc<Mutex<Vec<(String, String)>>>;

/// A web server that takes what it is sent, or fails, as it is told.
struct Receiver {
    port: u16,
    posts: Posts,
    fails: Arc<AtomicBool>,
}

impl Receiver {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (posts, fails) = (Posts::default(), Arc::new(AtomicBool::new(false)));
        let (taken, failing) = (Arc::clone(&posts), Arc::clone(&fails));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, taken, failing) =
                    (stream.unwrap(), Arc::clone(&taken), Arc::clone(&failing));
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    loop {
                        let (mut head, mut line) = (String::new(), String::new());
                        while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                            head.push_str(&line.to_lowercase());
                            line.clear();
                        }
                        if head.is_empty() {
                            return;
                        }
                        let length = head.split("content-length: ").nth(1).unwrap();
                        let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
                        let mut body = vec![0; length];
                        reader.read_exact(&mut body).unwrap();
                        let fails = failing.load(Ordering::SeqCst);
                        if !fails {
                            taken.lock().unwrap().push((head, String::from_utf8(body).unwrap()));
                        }
                        let status = if fails { "503 Not Now" } else { "204 Taken" };
                        let _ = stream
                            .write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes());
                    }
                });
            }
        });
        Self { port, posts, fails }
    }

    fn address(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// Every line, in the order in which it came.
    fn lines(&self) -> Vec<Value> {
        let posts = self.posts.lock().unwrap();
        let lines = posts.iter().flat_map(|(_, body)| body.lines());
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Waits for something; generous, since nothing is asserted on time.
async fn until(what: &str, mut there: impl FnMut() -> bool) {
    for _ in 0..600 {
        if there() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("never: {what}");
}

fn made(lines: &[Value], name: &str) -> bool {
    lines.iter().any(|line| line["event"]["resource"] == format!("user:{name}"))
}

async fn user(server: &Server, name: &str) {
    let body = json!({ "username": name, "email": format!("{name}@example.com") });
    let _ = server.administer("POST", "/api/users", &body).await;
}

/// Attack on the record: the receiver is away, then the server crashes; what was not received must still come, in order.
#[tokio::test]
async fn nothing_is_lost_while_receiver_or_server_is_away() {
    let receiver = Receiver::start();
    let mut server = Server::start_with(&["--outbound-allow", "127.0.0.0/8"]);
    let added = json!({ "kind": "webhook", "address": receiver.address(), "from_beginning": true });
    let added = server.administer("POST", "/api/audit/sinks", &added).await;
    let secret = added["secret"].as_str().unwrap().to_owned();
    user(&server, "before").await;
    until("the first event", || made(&receiver.lines(), "before")).await;

    receiver.fails.store(true, Ordering::SeqCst);
    user(&server, "away").await;
    let mut tries = 0;
    loop {
        let state = server.administer("GET", "/api/audit/sinks", &Value::Null).await;
        assert!(!state.to_string().contains(&secret), "shown once");
        if state["values"][0]["failures"].as_i64() > Some(0) {
            assert!(state["values"][0]["last_error"].as_str().unwrap().contains("5xx"), "{state}");
            break;
        }
        tries += 1;
        assert!(tries < 100, "{state}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    server.kill();
    server.restart();
    user(&server, "after").await;
    receiver.fails.store(false, Ordering::SeqCst);
    until("what was not received", || made(&receiver.lines(), "away") && made(&receiver.lines(), "after"))
        .await;

    let lines = receiver.lines();
    let places: Vec<u64> = lines.iter().map(|line| line["index"].as_u64().unwrap()).collect();
    let first: Vec<u64> = places.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    assert_eq!(first, (0..=*first.last().unwrap()).collect::<Vec<_>>(), "no place is left out");
    assert!(places.windows(2).all(|pair| pair[1] <= pair[0] + 1), "in order, or again: {places:?}");
    let posts = receiver.posts.lock().unwrap().clone();
    for (head, body) in &posts {
        let told =
            |name: &str| head.split(&format!("{name}: ")).nth(1).unwrap().split("\r\n").next().unwrap();
        let mut openssl = Command::new("openssl");
        openssl.args(["dgst", "-sha256", "-hmac", &secret]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut running = openssl.spawn().unwrap();
        let signed = format!("{}.{body}", told("x-bastide-timestamp"));
        running.stdin.take().unwrap().write_all(signed.as_bytes()).unwrap();
        let digest = String::from_utf8(running.wait_with_output().unwrap().stdout).unwrap();
        let digest = digest.trim().rsplit(' ').next().unwrap().to_owned();
        assert_eq!(told("x-bastide-signature"), format!("sha256={digest}"));
    }
}

/// Would catch: a receiver that is told of what was before it although it is to be told from now on; one that was removed
/// and is told still.
#[tokio::test]
async fn a_receiver_is_told_from_when_it_is_added_until_it_is_removed() {
    let (passing, staying) = (Receiver::start(), Receiver::start());
    let server = Server::start_with(&["--outbound-allow", "127.0.0.0/8"]);
    let add = |address: String, from_beginning: bool| {
        let body = json!({ "kind": "webhook", "address": address, "from_beginning": from_beginning });
        let server = &server;
        async move { server.administer("POST", "/api/audit/sinks", &body).await }
    };
    user(&server, "before").await;
    let _ = add(staying.address(), true).await;
    until("what was before", || made(&staying.lines(), "before")).await;
    let added = add(passing.address(), false).await;
    user(&server, "during").await;
    until("what is from now on", || made(&passing.lines(), "during")).await;
    assert!(!made(&passing.lines(), "before"), "it is told from now on");

    let one = format!("/api/audit/sinks/{}", added["uuid"].as_str().unwrap().trim_matches(['{', '}']));
    let removed = server.send("DELETE", &one, &server.administrator, &Value::Null).await;
    assert_eq!(removed.status.as_u16(), 204, "{}", removed.text);
    for name in ["after", "later"] {
        user(&server, name).await;
        until("what came after", || made(&staying.lines(), name)).await;
    }
    assert!(!made(&passing.lines(), "after"), "it was removed");
}

/// Reads octet-counted syslog over TLS, and writes each message on a line.
const SYSLOG: &str = r#"
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server = socket.create_server(("127.0.0.1", int(sys.argv[3])))
print("ready", flush=True)
while True:
    plain, _ = server.accept()
    try:
        with context.wrap_socket(plain, server_side=True) as stream:
            data = b""
            while piece := stream.recv(65536):
                data += piece
            while data:
                length, data = data.split(b" ", 1)
                print(data[:int(length)].decode(), flush=True)
                data = data[int(length):]
    except (ssl.SSLError, OSError):
        pass
"#;

struct Syslog {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Drop for Syslog {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Syslog {
    fn start(folder: &std::path::Path, port: u16) -> Self {
        let mut python = Command::new("python3");
        python
            .args(["-c", SYSLOG])
            .arg(folder.join("cert.pem"))
            .arg(folder.join("key.pem"))
            .arg(port.to_string());
        let mut child = python.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        let mut ready = String::new();
        reader.read_line(&mut ready).unwrap();
        assert_eq!(ready.trim(), "ready");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        std::thread::spawn(move || {
            reader.lines().map_while(Result::ok).for_each(|line| kept.lock().unwrap().push(line))
        });
        Self { child, lines }
    }
}

/// Attack: another workspace's events, or a receiver that is not who it says.
#[tokio::test]
async fn a_workspaces_events_and_no_others_reach_its_syslog_receiver() {
    let folder = tempfile::tempdir().unwrap();
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]);
    openssl.args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=CA:FALSE"]);
    openssl.args(["-keyout", "key.pem", "-out", "cert.pem"]).current_dir(&folder).stderr(Stdio::null());
    assert!(openssl.status().unwrap().success());
    let port = free_port();
    let trust = folder.path().join("cert.pem");
    let flags = ["--outbound-allow", "127.0.0.0/8,::1/128", "--outbound-trust", trust.to_str().unwrap()];
    let world = World::on(Server::start_with(&flags)).await;
    let owner = world.password("owner");
    let path = "/api/workspaces/acme/audit/sinks";
    let body = json!({ "kind": "syslog", "address": format!("localhost:{port}"), "from_beginning": true });
    let added = world.server.send("POST", path, &owner, &body).await.expect(201);
    assert!(added["secret"].is_null());
    let mut failed = false;
    for _ in 0..100 {
        let state = world.server.send("GET", path, &owner, &Value::Null).await.expect(200);
        failed = state["values"][0]["failures"].as_i64() > Some(0);
        if failed {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(failed, "nobody receives yet");
    let syslog = Syslog::start(folder.path(), port);
    let told = || syslog.lines.lock().unwrap().clone();
    until("the workspace's events", || told().iter().any(|line| line.contains("member.set"))).await;
    for line in told() {
        assert!(line.starts_with("<109>1 ") || line.starts_with("<108>1 "), "{line}");
        let event: Value = serde_json::from_str(line.splitn(8, ' ').nth(7).unwrap()).unwrap();
        assert!(!event["event"]["resource"].as_str().unwrap().contains("other"), "{line}");
        assert!(event["event"]["workspace_id"].is_string(), "{line}");
    }

    // Its name is not in the certificate: the next events stay here.
    let stranger =
        json!({ "kind": "syslog", "address": format!("127.0.0.1:{port}"), "from_beginning": true });
    let _ = world.server.send("POST", path, &owner, &stranger).await.expect(201);
    for _ in 0..100 {
        let state = world.server.send("GET", path, &owner, &Value::Null).await.expect(200);
        if state["values"][1]["last_error"].as_str().is_some_and(|why| why.contains("not trusted")) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("a receiver with another name's certificate was told");
}

/// Attack: a workspace's owner names the server's own machine, or the cloud's metadata, as a receiver.
#[tokio::test]
async fn a_receiver_lies_outside() {
    let world = World::new().await;
    let (owner, path) = (world.password("owner"), "/api/workspaces/acme/audit/sinks");
    for (kind, address) in [
        ("webhook", "http://127.0.0.1:1/"),
        ("webhook", "https://127.0.0.1/"),
        ("webhook", "https://169.254.169.254/latest"),
        ("webhook", "https://[::ffff:10.0.0.1]/"),
        ("webhook", "http://logs.example.com/"),
        ("syslog", "127.0.0.1:6514"),
        ("syslog", "localhost"),
        ("syslog", "10.0.0.1"),
        ("syslog", "[::1]:6514"),
        ("mail", "https://logs.example.com/"),
    ] {
        let body = json!({ "kind": kind, "address": address });
        let answer = world.server.send("POST", path, &owner, &body).await;
        assert_eq!(answer.status.as_u16(), 400, "{kind} {address}: {}", answer.text);
    }
    for who in ["member", "outsider"] {
        assert!(
            world.server.send("GET", path, &world.password(who), &Value::Null).await.status.is_client_error()
        );
    }
    let good = json!({ "kind": "webhook", "address": "https://logs.example.com/" });
    let added = world.server.send("POST", path, &owner, &good).await.expect(201);
    let one = format!("{path}/{}", added["uuid"].as_str().unwrap().trim_matches(['{', '}']));
    let other = one.replace("/acme/", "/other/");
    assert_eq!(world.server.send("DELETE", &other, &owner, &Value::Null).await.status.as_u16(), 404);
    assert_eq!(world.server.send("DELETE", &one, &owner, &Value::Null).await.status.as_u16(), 204);
}
