//! What an operator does to a running server: end it, and give it a new certificate. Neither takes anything from a client
//! that is being served.

#![cfg(test)]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;
use testkit::{GitClient, Server, World};

/// Something between a client and its server that stops in the middle of what the client sends until it is told to go on.
struct Relay {
    url: String,
    /// Says so once it has stopped.
    stopped: Receiver<()>,
    go_on: Sender<()>,
}

impl Relay {
    /// Stops once, when so many bytes of the client's have come.
    fn to(server: &str, bytes: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = server.strip_prefix("http://").unwrap().to_owned();
        let (has_stopped, stopped) = mpsc::channel();
        let (go_on, gone_on) = mpsc::channel();
        let stop = Arc::new(Mutex::new(Some((has_stopped, gone_on))));
        let passed = Arc::new(AtomicUsize::new(0));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(&server) else { continue };
                let (stop, passed) = (Arc::clone(&stop), Arc::clone(&passed));
                let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Both);
                });
                std::thread::spawn(move || {
                    pass_on(client, server, |count| {
                        if passed.fetch_add(count, Ordering::SeqCst) + count < bytes {
                            return;
                        }
                        if let Some((has_stopped, gone_on)) = stop.lock().unwrap().take() {
                            has_stopped.send(()).unwrap();
                            let _ = gone_on.recv();
                        }
                    });
                });
            }
        });
        Self { url, stopped, go_on }
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, passed: impl Fn(usize)) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        passed(count);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

const GET: &[u8] = b"GET /2.0/user HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Asks for something on a connection that stays open; the answer's status.
fn ask(stream: &mut (impl Read + Write)) -> String {
    stream.write_all(GET).unwrap();
    let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
    // The body ends with its own brace: the envelope of an error is JSON.
    while !read.ends_with(b"}") {
        let count = stream.read(&mut buffer).unwrap();
        assert_ne!(count, 0, "the connection ended: {}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8_lossy(&read).split(' ').nth(1).unwrap().to_owned()
}

/// Would catch a server that drops, at its end, what it has begun: a push whose client is told "failed" though its refs
/// moved, or whose refs have no record; and one that goes on serving whoever comes, and so never ends.
#[tokio::test]
async fn a_push_in_flight_outlives_the_signal_and_nothing_new_is_begun() {
    let mut world = World::new().await;
    let relay = Relay::to(&world.server.url, 1 << 20);
    let direct = world.git("writer");
    let slow = GitClient::new().with_login(&relay.url, &world.app_password("writer"));
    let copy = slow.working_copy("one");
    let commit = slow.commit_noise(&copy, "noise", 3 << 20);
    let pushing = slow
        .command(&copy, ["push", &format!("{}/acme/one.git", relay.url), "main"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    relay.stopped.recv().unwrap();
    let host = world.server.url.strip_prefix("http://").unwrap().to_owned();
    let mut kept = TcpStream::connect(&host).unwrap();
    assert_eq!(ask(&mut kept), "401");

    world.server.signal("TERM");
    let _ = world.server.logged("stopping");
    // The line is written just before the listener closes.
    while TcpStream::connect(&host).is_ok() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let ended = kept.write_all(GET).and_then(|()| kept.read(&mut [0; 1]));
    assert!(matches!(ended, Ok(0) | Err(_)), "a connection without a request ends: {ended:?}");
    let address = world.address("one");
    let other = direct.working_copy("other");
    let _ = direct.run(&other, ["push", &address, "main:refs/heads/late"]).expect_failure();
    let _ = direct.run(direct.home(), ["clone", &address, "late"]).expect_failure();

    relay.go_on.send(()).unwrap();
    let pushed = pushing.wait_with_output().unwrap();
    assert!(pushed.status.success(), "{}", String::from_utf8_lossy(&pushed.stderr));
    assert_eq!(world.server.wait(), Some(0));

    world.server.restart();
    let again = world.git("writer");
    let listed = again.run(again.home(), ["ls-remote", &world.address("one")]);
    let refs: Vec<&str> = listed.expect_success().lines().filter(|line| !line.ends_with("HEAD")).collect();
    assert_eq!(refs, [format!("{commit}\trefs/heads/main")]);
    let path = "/api/audit/events?action=repository.push";
    let events = world.server.administer("GET", path, &Value::Null).await;
    assert_eq!(events["values"].as_array().unwrap().len(), 1, "{events}");
    let moved = &events["values"][0]["after"]["refs"][0];
    assert_eq!((&moved["new"], &moved["applied"]), (&Value::from(commit), &Value::from(true)), "{events}");
    let _ = world.server.command(&["audit", "verify"]).expect_success();
}

/// One of the two self-made certificates for `localhost`, or its key.
fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/server/src/http/testdata").join(name)
}

/// A connection over TLS from somebody who trusts this certificate alone, if the server shows it.
fn shake(server: &Server, trusted: &str) -> Option<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(testdata(trusted)).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(server.url.strip_prefix("https://").unwrap()).unwrap();
    let mut stream = StreamOwned::new(client, stream);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).ok()?;
    }
    Some(stream)
}

/// Would catch a renewal that needs a restart, one that cuts its clients off, and one that leaves a server without a
/// certificate because the new file is half written.
#[test]
fn a_hangup_takes_up_a_new_certificate_and_breaks_no_connection() {
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
    let put = |name: &str| {
        std::fs::copy(testdata(&format!("{name}.pem")), &chain).unwrap();
        std::fs::copy(testdata(&format!("{name}.key.pem")), &key).unwrap();
    };
    put("one");
    let (cert_flag, key_flag) = (chain.to_str().unwrap(), key.to_str().unwrap());
    let mut server = Server::start_with(&["--tls-cert", cert_flag, "--tls-key", key_flag]);
    let mut first = shake(&server, "one.pem").expect("the first certificate");
    assert!(shake(&server, "two.pem").is_none(), "the server does not have the second yet");
    assert_eq!(ask(&mut first), "401");

    put("two");
    server.signal("HUP");
    let _ = server.logged("the certificate was read again");
    let mut second = shake(&server, "two.pem").expect("the second certificate");
    assert!(shake(&server, "one.pem").is_none(), "the first is gone");
    assert_eq!((ask(&mut first).as_str(), ask(&mut second).as_str()), ("401", "401"));

    for broken in ["no certificate", ""] {
        std::fs::write(&chain, broken).unwrap();
        server.signal("HUP");
        let line = server.logged("the certificate stays as it was");
        assert!(line.contains(cert_flag), "the log names the file: {line}");
        assert_eq!(ask(&mut shake(&server, "two.pem").expect("the second certificate still")), "401");
        assert_eq!((ask(&mut first).as_str(), ask(&mut second).as_str()), ("401", "401"));
    }
    assert_eq!(server.stop(), Some(0));
}
