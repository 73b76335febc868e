//! Streams of bytes between a connection and a git process, with backpressure: a slow reader makes git wait, and
//! memory stays flat.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::command::Running;

/// What git answers, piece by piece. Dropping it ends the process behind it.
pub type ByteStream = BoxStream<'static, io::Result<Bytes>>;

/// How much is read from a process at once.
const CHUNK: usize = 64 * 1024;

/// A stream of one piece.
pub(crate) fn once(bytes: impl Into<Bytes>) -> ByteStream {
    let bytes = bytes.into();
    stream::once(async move { Ok(bytes) }).boxed()
}

/// A task that ends with its owner.
#[derive(Debug)]
pub(crate) struct OwnedTask<T>(pub(crate) JoinHandle<T>);

impl<T> Drop for OwnedTask<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The standard output of a process, while `input` is copied to its standard input. When the process was killed
/// the stream ends with an error, so that the client does not take the answer for whole. An exit status alone is
/// no error: upload-pack also ends with 128 after the first round of a shallow clone.
pub(crate) fn process<R>(mut running: Running, input: R, idle: Duration) -> ByteStream
where
    R: AsyncRead + Send + Unpin + 'static,
{
    let stdout = running.stdout();
    let copy = running.stdin().map(|stdin| OwnedTask(tokio::spawn(copy_input(input, stdin, idle))));
    let state = Some((running, stdout, copy));
    stream::unfold(state, |state| async move {
        let (mut running, stdout, copy) = state?;
        match read_chunk(stdout).await {
            Ok(Some((chunk, stdout))) => Some((Ok(chunk), Some((running, Some(stdout), copy)))),
            Ok(None) => end(&mut running).await.map(|error| (Err(error), None)),
            Err(error) => Some((Err(error), None)),
        }
    })
    // An empty answer is looked at again by whoever waits for its first bytes.
    .fuse()
    .boxed()
}

/// The standard output of a process that reads nothing; an error when it prints nothing for `silence`, or fails.
pub(crate) fn output(mut running: Running, silence: Duration) -> ByteStream {
    let stdout = running.stdout();
    drop(running.stdin());
    stream::unfold(Some((running, stdout)), move |state| async move {
        let (mut running, stdout) = state?;
        match tokio::time::timeout(silence, read_chunk(stdout)).await {
            Ok(Ok(Some((chunk, stdout)))) => Some((Ok(chunk), Some((running, Some(stdout))))),
            Ok(Ok(None)) => match running.wait().await {
                Ok((status, _)) if status.success() => None,
                Ok((status, stderr)) => {
                    let error = format!("git {}: {status}: {stderr}", running.subcommand());
                    Some((Err(io::Error::other(error)), None))
                }
                Err(error) => Some((Err(io::Error::other(error)), None)),
            },
            Ok(Err(error)) => Some((Err(error), None)),
            Err(_) => Some((Err(io::ErrorKind::TimedOut.into()), None)),
        }
    })
    .fuse()
    .boxed()
}

async fn copy_input<R: AsyncRead + Unpin>(
    mut input: R,
    mut stdin: ChildStdin,
    idle: Duration,
) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    loop {
        buffer.clear();
        buffer.reserve(CHUNK);
        if read_within(&mut input, &mut buffer, idle).await? == 0 {
            return Ok(());
        }
        stdin.write_all(&buffer).await?;
    }
}

/// Reads what has come, or fails when nothing comes for `idle`.
pub(crate) async fn read_within<R: AsyncRead + Unpin>(
    input: &mut R,
    buffer: &mut BytesMut,
    idle: Duration,
) -> io::Result<usize> {
    match tokio::time::timeout(idle, input.read_buf(buffer)).await {
        Ok(read) => read,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

async fn read_chunk(stdout: Option<ChildStdout>) -> io::Result<Option<(Bytes, ChildStdout)>> {
    let Some(mut stdout) = stdout else { return Ok(None) };
    let mut buffer = BytesMut::with_capacity(CHUNK);
    match stdout.read_buf(&mut buffer).await? {
        0 => Ok(None),
        _ => Ok(Some((buffer.freeze(), stdout))),
    }
}

async fn end(running: &mut Running) -> Option<io::Error> {
    let subcommand = running.subcommand();
    match running.wait().await {
        Ok((status, _)) if status.success() => None,
        Ok((status, stderr)) => {
            tracing::info!(subcommand, %status, stderr, "git ended with an error");
            status.code().is_none().then(|| io::Error::other("git was killed"))
        }
        Err(error) => Some(io::Error::other(error)),
    }
}

/// The receiving half of a channel as a stream.
pub(crate) fn channel(receiver: mpsc::Receiver<io::Result<Bytes>>) -> ByteStream {
    stream::unfold(receiver, |mut receiver| async move {
        let item = receiver.recv().await?;
        Some((item, receiver))
    })
    .fuse()
    .boxed()
}

/// A stream of pieces, such as a request's body, read as bytes.
#[derive(Debug)]
pub struct BodyReader<S> {
    body: S,
    piece: Bytes,
}

impl<S> BodyReader<S> {
    /// Over `body`.
    pub fn new(body: S) -> Self {
        Self { body, piece: Bytes::new() }
    }
}

impl<S, E> AsyncRead for BodyReader<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.piece.is_empty() {
            match this.body.poll_next_unpin(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Ready(Some(Ok(piece))) => this.piece = piece,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(io::Error::other(error))),
            }
        }
        let length = this.piece.len().min(buffer.remaining());
        buffer.put_slice(&this.piece.split_to(length));
        Poll::Ready(Ok(()))
    }
}
