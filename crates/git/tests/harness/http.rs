//! As much HTTP as the real git client needs: one request for each connection, bodies by length or in chunks.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use git::inflate::{Inflate, InflateLimits};
use git::{Protocol, Session, receive_pack, upload_pack};
use model::Result;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};

use super::{Server, copy};

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
    if headers.get("expect").is_some() {
        write.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    let body = body(reader, &headers);
    let (kind, answer) = answer(server, &target, &headers, body).await;
    match answer {
        Ok(stream) => {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n");
            write.write_all(head.as_bytes()).await?;
            copy(stream, &mut write).await
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
            upload_pack::serve(&server.repository, protocol, Session::Stateless, body),
        ),
        "/one/git-receive-pack" => {
            ("application/x-git-receive-pack-result", server.push(Session::Stateless, body).await)
        }
        other => panic!("the client asked for {other}"),
    }
}

fn body(
    reader: BufReader<OwnedReadHalf>,
    headers: &HashMap<String, String>,
) -> Box<dyn AsyncRead + Send + Unpin> {
    if headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
        let (mut write, read) = tokio::io::duplex(64 * 1024);
        tokio::spawn(async move {
            let mut reader = reader;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).await.unwrap();
                let length = u64::from_str_radix(line.trim_end(), 16).unwrap_or(0);
                if length == 0 {
                    return;
                }
                let mut chunk = (&mut reader).take(length);
                if tokio::io::copy(&mut chunk, &mut write).await.is_err() {
                    return;
                }
                let mut end = [0; 2];
                reader.read_exact(&mut end).await.unwrap();
            }
        });
        return Box::new(read);
    }
    let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    Box::new(reader.take(length))
}
