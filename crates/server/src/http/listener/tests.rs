//! Listeners, spoken to over real sockets. Clients here are written out byte by byte: what is tested is what no
//! proper client would send.

use std::sync::atomic::AtomicUsize;

use axum::http::StatusCode;
use http_body_util::BodyExt;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::http::answer;

/// A listener that runs, and how to end it.
struct Running {
    address: SocketAddr,
    stop: Stop,
    task: JoinHandle<()>,
}

async fn run(serving: Serving, limits: Limits, tls: Option<Certificates>) -> Running {
    let listener = Listener::tcp("127.0.0.1:0".parse().unwrap(), tls, false).await.unwrap();
    let (address, stop) = (listener.address().unwrap(), Stop::default());
    let task = tokio::spawn(listener.serve(serving, limits, stop.clone()));
    Running { address, stop, task }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn end(self) {
        self.stop.stop();
        self.task.await.unwrap();
    }
}

fn hello() -> Serving {
    Arc::new(|peer, request| {
        let text = format!("{} {} {}", request.uri().path(), peer.secure, peer.operator);
        Box::pin(std::future::ready(answer::text(StatusCode::OK, text)))
    })
}

/// Reads until a text has come, or the end.
async fn read_until(stream: &mut (impl AsyncRead + Unpin), text: &str) -> String {
    let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&read).contains(text) {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(count) => read.extend_from_slice(&buffer[..count]),
        }
    }
    String::from_utf8_lossy(&read).into_owned()
}

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

#[tokio::test]
async fn a_connection_is_kept_for_the_next_request() {
    let running = run(hello(), Limits::default(), None).await;
    let mut stream = running.connect().await;
    for _ in 0..2 {
        stream.write_all(GET).await.unwrap();
        assert!(read_until(&mut stream, "/a false false").await.starts_with("HTTP/1.1 200"));
    }
    running.end().await;
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0, "an idle connection ends with the server");
}

/// Attack: heads sent a byte at a time hold every connection there is.
#[tokio::test]
async fn a_head_that_does_not_come_ends_the_connection() {
    let limits = Limits { head: Duration::from_millis(50), ..Limits::default() };
    let running = run(hello(), limits, None).await;
    for begun in [&b""[..], b"GET /a HT", b"GET /a HTTP/1.1\r\nHost: h\r\n"] {
        let mut stream = running.connect().await;
        stream.write_all(begun).await.unwrap();
        assert!(!read_until(&mut stream, "never").await.contains(" 200 "));
    }
    running.end().await;
}

/// Attack: the same, by those who agree on HTTP/2 and then say nothing.
#[tokio::test]
async fn silence_ends_the_connection() {
    let limits = Limits { head: Duration::from_millis(50), ..Limits::default() };
    let running = run(hello(), limits, Some(certificates())).await;
    let mut stream = shake(running.address, "one.pem", &["h2"], rustls::ALL_VERSIONS).await.unwrap();
    assert!(!read_until(&mut stream, "never").await.contains("never"));
    running.end().await;
}

/// Attack: a head without end fills memory.
#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let limits = Limits { head_bytes: 8192, ..Limits::default() };
    let running = run(hello(), limits, None).await;
    let mut stream = running.connect().await;
    let head = format!("GET /a HTTP/1.1\r\nHost: h\r\nX-Long: {}\r\n\r\n", "a".repeat(9000));
    stream.write_all(head.as_bytes()).await.unwrap();
    assert!(read_until(&mut stream, "\r\n\r\n").await.starts_with("HTTP/1.1 431"));
    let mut stream = running.connect().await;
    let head = format!("GET /a HTTP/1.1\r\nHost: h\r\n{}\r\n", "a: b\r\n".repeat(101));
    stream.write_all(head.as_bytes()).await.unwrap();
    assert!(read_until(&mut stream, "\r\n\r\n").await.starts_with("HTTP/1.1 431"));
    running.end().await;
}

/// Attack: two programs in a row that disagree where a request ends.
#[tokio::test]
async fn ambiguous_lengths_are_refused() {
    let running = run(hello(), Limits::default(), None).await;
    for lengths in
        ["Content-Length: 1\r\nContent-Length: 2", "Content-Length: +1", "Transfer-Encoding: chunked, x"]
    {
        let mut stream = running.connect().await;
        let head = format!("POST /a HTTP/1.1\r\nHost: h\r\n{lengths}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        assert!(read_until(&mut stream, "\r\n\r\n").await.starts_with("HTTP/1.1 400"), "{lengths}");
    }
    running.end().await;
}

#[tokio::test]
async fn the_client_is_told_to_continue_when_its_body_is_wanted() {
    let serving: Serving = Arc::new(|_, request| {
        Box::pin(async move {
            if request.uri().path() == "/unwanted" {
                return answer::empty(StatusCode::FORBIDDEN);
            }
            let body = request.into_body().collect().await.unwrap().to_bytes();
            answer::text(StatusCode::OK, body)
        })
    });
    let running = run(serving, Limits::default(), None).await;
    let head = |path: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
    };
    let mut stream = running.connect().await;
    stream.write_all(head("/wanted").as_bytes()).await.unwrap();
    assert!(read_until(&mut stream, "\r\n\r\n").await.starts_with("HTTP/1.1 100"));
    stream.write_all(b"body").await.unwrap();
    assert!(read_until(&mut stream, "body").await.starts_with("HTTP/1.1 200"));

    let mut stream = running.connect().await;
    stream.write_all(head("/unwanted").as_bytes()).await.unwrap();
    assert!(read_until(&mut stream, "\r\n\r\n").await.starts_with("HTTP/1.1 403"));
    running.end().await;
}

/// Would catch a push that a restart cuts off.
#[tokio::test]
async fn what_is_in_flight_ends_before_the_server_does() {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (Arc::clone(&begun), Arc::clone(&go_on));
    let serving: Serving = Arc::new(move |_, _| {
        let (tell, wait) = (Arc::clone(&tell), Arc::clone(&wait));
        Box::pin(async move {
            tell.notify_one();
            wait.notified().await;
            answer::text(StatusCode::OK, "whole")
        })
    });
    let running = run(serving, Limits::default(), None).await;
    let mut stream = running.connect().await;
    stream.write_all(GET).await.unwrap();
    begun.notified().await;
    running.stop.stop();
    // The listening socket goes first, so nobody new gets in while the old request ends.
    while TcpStream::connect(running.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!running.task.is_finished());
    go_on.notify_one();
    let answer = read_until(&mut stream, "whole").await;
    assert!(answer.contains("whole") && answer.to_lowercase().contains("connection: close"), "{answer}");
    running.task.await.unwrap();
}

/// Attack: a body that stops in the middle holds a connection, and with git a process, for as long as it pleases.
#[tokio::test]
async fn a_body_that_stops_ends_the_request() {
    let serving: Serving = Arc::new(|_, request| {
        Box::pin(async move {
            match request.into_body().collect().await {
                Ok(_) => answer::text(StatusCode::OK, "whole"),
                Err(error) => answer::text(StatusCode::BAD_REQUEST, error.to_string()),
            }
        })
    });
    let limits = Limits { silence: Duration::from_millis(300), ..Limits::default() };
    let running = run(serving, limits, None).await;
    let mut stream = running.connect().await;
    stream.write_all(b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\n").await.unwrap();
    // Slow is not silent: together these take longer than the silence that ends it.
    for piece in [b"a", b"b", b"c", b"d", b"e"] {
        tokio::time::sleep(Duration::from_millis(80)).await;
        stream.write_all(piece).await.unwrap();
    }
    let answer = read_until(&mut stream, "too long").await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("took too long"), "{answer}");
    running.end().await;
}

/// Attack: an answer that is asked for and not taken does the same.
#[tokio::test]
async fn an_answer_that_is_not_taken_ends_the_connection() {
    let serving: Serving =
        Arc::new(|_, _| Box::pin(std::future::ready(answer::text(StatusCode::OK, vec![b'a'; 64 << 20]))));
    let limits = Limits { silence: Duration::from_millis(100), ..Limits::default() };
    let running = run(serving, limits, None).await;
    let mut cut_off = false;
    // A machine that is busy with other things may let the client read on before the server's patience has ended.
    for patience in [500, 2_000, 8_000] {
        let mut stream = running.connect().await;
        stream.write_all(GET).await.unwrap();
        tokio::time::sleep(Duration::from_millis(patience)).await;
        let mut read = Vec::new();
        let _ = stream.read_to_end(&mut read).await;
        cut_off = read.len() < 64 << 20;
        if cut_off {
            break;
        }
    }
    assert!(cut_off, "the whole answer came");
    running.end().await;
}

#[tokio::test]
async fn grace_has_an_end() {
    let serving: Serving = Arc::new(|_, _| Box::pin(std::future::pending()));
    let limits = Limits { grace: Duration::from_millis(20), ..Limits::default() };
    let running = run(serving, limits, None).await;
    let mut stream = running.connect().await;
    stream.write_all(GET).await.unwrap();
    running.end().await;
    assert_eq!(read_until(&mut stream, "never").await, "");
}

#[tokio::test]
async fn connections_beyond_the_cap_wait() {
    let most = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&most);
    let serving: Serving = Arc::new(move |_, _| {
        seen.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::ready(answer::text(StatusCode::OK, "ok!")))
    });
    let limits = Limits { connections: 1, ..Limits::default() };
    let running = run(serving, limits, None).await;
    let mut first = running.connect().await;
    first.write_all(GET).await.unwrap();
    read_until(&mut first, "ok!").await;
    let mut second = running.connect().await;
    second.write_all(GET).await.unwrap();
    first.write_all(GET).await.unwrap();
    read_until(&mut first, "ok!").await;
    assert_eq!(most.load(Ordering::SeqCst), 2, "the second connection was served beside the first");
    drop(first);
    assert!(read_until(&mut second, "ok!").await.contains("ok!"));
    running.end().await;
}

#[tokio::test]
async fn in_the_clear_only_this_machine_is_served() {
    let everywhere: SocketAddr = "0.0.0.0:0".parse().unwrap();
    assert!(matches!(Listener::tcp(everywhere, None, false).await, Err(Error::Invalid { .. })));
    assert!(Listener::tcp(everywhere, None, true).await.is_ok());
    assert!(Listener::tcp("[::1]:0".parse().unwrap(), None, false).await.is_ok());
}

#[tokio::test]
async fn the_operators_socket_is_for_its_account_and_goes_with_the_server() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bastide.sock");
    // A socket that a server left when it died.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let listener = Listener::unix(&path).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let stop = Stop::default();
    let task = tokio::spawn(listener.serve(hello(), Limits::default(), stop.clone()));
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(GET).await.unwrap();
    assert!(read_until(&mut stream, "/a false true").await.contains("/a false true"));
    stop.stop();
    task.await.unwrap();
    assert!(!path.exists());

    std::fs::write(&path, "a file of somebody's").unwrap();
    assert!(matches!(Listener::unix(&path), Err(Error::Invalid { .. })));
    assert!(path.exists());
}

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/testdata").join(name)
}

fn certificates() -> Certificates {
    Certificates::load(&testdata("one.pem"), &testdata("one.key.pem")).unwrap()
}

/// A client that trusts one of the certificates there are.
async fn shake(
    address: SocketAddr,
    trusted: &str,
    protocols: &[&str],
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_file(testdata(trusted)).unwrap()).unwrap();
    // As browsers do: the hybrid exchange first, with a share for it at once.
    let builder = ClientConfig::builder_with_provider(Arc::new(crate::tls::provider()))
        .with_protocol_versions(versions)
        .unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await
}

#[tokio::test]
async fn tls_keeps_secrets_that_a_stolen_key_cannot_open() {
    let running = run(hello(), Limits::default(), Some(certificates())).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut stream = shake(running.address, "one.pem", &["http/1.1"], &[version]).await.unwrap();
        let suite = format!("{:?}", stream.get_ref().1.negotiated_cipher_suite().unwrap().suite());
        assert!(suite.contains("ECDHE") || suite.starts_with("TLS13"), "{suite}");
        stream.write_all(GET).await.unwrap();
        assert!(read_until(&mut stream, "/a true false").await.contains("/a true false"));
    }
    let stream = shake(running.address, "one.pem", &["h2"], rustls::ALL_VERSIONS).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let group = stream.get_ref().1.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, rustls::NamedGroup::X25519MLKEM768);
    // HTTP in the clear on the same port gets no answer that could be mistaken for one.
    let mut plain = running.connect().await;
    plain.write_all(GET).await.unwrap();
    assert!(!read_until(&mut plain, "never").await.contains("HTTP/"));
    running.end().await;
}

#[tokio::test]
async fn http2_is_spoken_where_it_was_agreed_on() {
    let running = run(hello(), Limits::default(), Some(certificates())).await;
    let stream = shake(running.address, "one.pem", &["h2"], rustls::ALL_VERSIONS).await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let driver = tokio::spawn(connection);
    let request = Request::get("https://localhost/two").body(Body::empty()).unwrap();
    let body = client.send_request(request).await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(body.to_bytes(), "/two true false");
    drop(client);
    running.end().await;
    let _ = driver.await;
}

#[tokio::test]
async fn a_new_certificate_is_taken_up_and_a_bad_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let (chain, key) = (directory.path().join("chain.pem"), directory.path().join("key.pem"));
    let put = |certificate: &str, private: &str| {
        std::fs::copy(testdata(certificate), &chain).unwrap();
        std::fs::copy(testdata(private), &key).unwrap();
    };
    put("one.pem", "one.key.pem");
    let certificates = Certificates::load(&chain, &key).unwrap();
    let running = run(hello(), Limits::default(), Some(certificates.clone())).await;
    put("two.pem", "one.key.pem");
    assert!(certificates.reload().is_err(), "a key that is not the certificate's");
    assert!(shake(running.address, "one.pem", &[], rustls::ALL_VERSIONS).await.is_ok());
    put("two.pem", "two.key.pem");
    certificates.reload().unwrap();
    assert!(shake(running.address, "two.pem", &[], rustls::ALL_VERSIONS).await.is_ok());
    assert!(shake(running.address, "one.pem", &[], rustls::ALL_VERSIONS).await.is_err());
    std::fs::write(&chain, "no certificate").unwrap();
    assert!(certificates.reload().is_err());
    running.end().await;
}
