//! Waits, in a step's network, until a Docker daemon answers there; then says by which address containers of that daemon
//! reach the step. It runs as a process of its own, which has entered that network; it ends with its input, that is with
//! the agent.

use std::ffi::OsString;
use std::io;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, stdin, stdout};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{sleep, timeout};

/// How long one question may take, and how long is waited before the next.
const QUESTION: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(100);
/// An address beyond the step's network, to which nothing is ever sent (RFC 5737).
const ELSEWHERE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);

/// Runs the hidden command: `PORT`.
pub(crate) fn reach(arguments: &[OsString]) -> ExitCode {
    let [port] = arguments else { return ExitCode::from(2) };
    let Some(port) = port.to_str().and_then(|port| port.parse().ok()) else { return ExitCode::from(2) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = runtime.and_then(|runtime| {
        let ended = runtime.block_on(wait(port));
        // A read of standard input cannot be called back.
        runtime.shutdown_background();
        ended
    });
    if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn wait(port: u16) -> io::Result<()> {
    let (mut input, mut byte) = (stdin(), [0]);
    let answered = async {
        while !matches!(timeout(QUESTION, answers(port)).await, Ok(Ok(true))) {
            sleep(PAUSE).await;
        }
    };
    tokio::select! {
        () = answered => {}
        _ = input.read(&mut byte) => return Err(io::ErrorKind::Interrupted.into()),
    }
    let told = address().await.map(|address| address.to_string()).unwrap_or_default();
    let mut out = stdout();
    out.write_all(format!("{told}\n").as_bytes()).await?;
    out.flush().await
}

/// Whether a daemon answers, and says that it is well.
async fn answers(port: u16) -> io::Result<bool> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.write_all(b"GET /_ping HTTP/1.0\r\nHost: localhost\r\n\r\n").await?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).await?;
    Ok(head.starts_with(b"HTTP/1.") && head.ends_with(b" 200"))
}

/// The address of this network's own end, where it leads anywhere.
async fn address() -> io::Result<std::net::IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    socket.connect(ELSEWHERE).await?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A daemon that is not ready yet, or no daemon at all, is not taken for one that answers.
    #[tokio::test]
    async fn nothing_but_a_good_answer_counts() {
        for (said, expected) in [
            ("HTTP/1.1 200 OK\r\n\r\nOK", Some(true)),
            ("HTTP/1.1 503 Busy\r\n\r\n", Some(false)),
            ("hello, I am no daemon", Some(false)),
            ("HTTP/1.1", None),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let serving = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut asked = [0; 256];
                let _ = stream.read(&mut asked).await.unwrap();
                stream.write_all(said.as_bytes()).await.unwrap();
            });
            assert_eq!(answers(port).await.ok(), expected, "{said}");
            serving.await.unwrap();
        }
    }
}
