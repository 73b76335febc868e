//! A port in a step's network that leads to the agent's socket. It runs as a process of its own, which has entered that
//! network; it ends with its input, that is with the agent.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional, stdin, stdout};
use tokio::net::{TcpListener, UnixStream};

/// Runs the hidden command: `SOCKET PORT`.
pub(crate) fn forward(arguments: &[OsString]) -> ExitCode {
    let [socket, port] = arguments else { return ExitCode::from(2) };
    let Some(port) = port.to_str().and_then(|port| port.parse().ok()) else { return ExitCode::from(2) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = runtime.and_then(|runtime| {
        let ended = runtime.block_on(listen(PathBuf::from(socket), port));
        // A read of standard input cannot be called back.
        runtime.shutdown_background();
        ended
    });
    if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn listen(socket: PathBuf, port: u16) -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let mut out = stdout();
    out.write_all(b"\n").await?;
    out.flush().await?;
    let (mut input, mut byte) = (stdin(), [0]);
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (mut stream, _) = accepted?;
                let socket = socket.clone();
                tokio::spawn(async move {
                    if let Ok(mut agent) = UnixStream::connect(socket).await {
                        // Either side may break off.
                        let _ = copy_bidirectional(&mut stream, &mut agent).await;
                    }
                });
            }
            _ = input.read(&mut byte) => return Ok(()),
        }
    }
}
