//! As much HTTP as the real git client needs: one request for each connection, bodies by length or in chunks.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use git::inflate::{Inflate, InflateLimits};
use git::{Protocol, Session, receive_pack, upload_pack};
use model::Result;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::{Server, copy, watched};

pub(crate) async fn serve(listener: TcpListener, server: Arc<Server>) {
    while let Ok((stream, _)) = listener.accept().await {
        let server = Arc::clone(&server);
        tokio::spawn(async move { connection(stream, &server).await });
    }
}

async fn connection(stream: TcpStream, server: &Arc<Server>) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut reader = BufReader::new(read);
    let mut first = String::new();
    reader.read_line(&mut first).await?;
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let target = first.split(' ').nth(1).unwrap_or_default().to_owned();
    if headers.contains_key("expect") {
        write.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    let (body, gone) = body(reader, &headers);
    let (kind, answer) = answer(server, &target, &headers, body).await;
    match answer {
        Ok(stream) => {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n");
            write.write_all(head.as_bytes()).await?;
            tokio::select! {
                copied = copy(stream, &mut write) => copied,
                () = gone.notified() => Ok(()),
            }
        }
        Err(error) => {
            let text = format!(
                "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n{error}"
            );
            write.write_all(text.as_bytes()).await?;
            write.shutdown().await
        }
    }
}

async fn answer(
    server: &Arc<Server>,
    target: &str,
    headers: &HashMap<String, String>,
    body: Box<dyn AsyncRead + Send + Unpin>,
) -> (&'static str, Result<git::ByteStream>) {
    let protocol = Protocol::parse(headers.get("git-protocol").map(String::as_str));
    let body: Box<dyn AsyncRead + Send + Unpin> = match headers.get("content-encoding").map(String::as_str) {
        Some("gzip") => Box::new(Inflate::new(body, InflateLimits::default())),
        _ => body,
    };
    match target {
        "/one/info/refs?service=git-upload-pack" => (
            "application/x-git-upload-pack-advertisement",
            upload_pack::advertise(&server.repository, protocol),
        ),
        "/one/info/refs?service=git-receive-pack" => {
            ("application/x-git-receive-pack-advertisement", receive_pack::advertise(&server.repository))
        }
        "/one/git-upload-pack" => (
            "application/x-git-upload-pack-result",
            upload_pack::serve(&server.repository, protocol, Session::Stateless, body).await,
        ),
        "/one/git-receive-pack" => {
            ("application/x-git-receive-pack-result", server.push(Session::Stateless, body).await)
        }
        other => panic!("the client asked for {other}"),
    }
}

/// The body, and word when the client has closed its connection.
fn body(
    mut reader: BufReader<OwnedReadHalf>,
    headers: &HashMap<String, String>,
) -> (Box<dyn AsyncRead + Send + Unpin>, Arc<Notify>) {
    if headers.get("transfer-encoding").is_none_or(|coding| coding != "chunked") {
        let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        let (read, gone) = watched(reader, length);
        return (Box::new(read), gone);
    }
    let (mut write, read) = tokio::io::duplex(64 * 1024);
    let gone = Arc::new(Notify::new());
    let tell = Arc::clone(&gone);
    tokio::spawn(async move {
        let _ = copy_chunks(&mut reader, &mut write).await;
        drop(write);
        let _ = tokio::io::copy(&mut reader, &mut tokio::io::sink()).await;
        tell.notify_one();
    });
    (Box::new(read), gone)
}

async fn copy_chunks(reader: &mut BufReader<OwnedReadHalf>, write: &mut DuplexStream) -> io::Result<()> {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).await?;
        let length = u64::from_str_radix(line.trim_end(), 16).unwrap_or(0);
        let copied = tokio::io::copy(&mut (&mut *reader).take(length), write).await?;
        reader.read_exact(&mut [0; 2]).await?;
        if copied == 0 {
            return Ok(());
        }
    }
}
