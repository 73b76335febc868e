//! Clients that stop in the middle: a body that does not go on, an answer that is not taken. Either holds a
//! connection, and with git a process, for as long as it pleases; so either ends after some silence. Time that the
//! server itself takes does not count: it runs only while the server waits for the client.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// How long somebody has been waited for.
struct Patience {
    longest: Duration,
    until: Pin<Box<Sleep>>,
    waiting: bool,
}

impl Patience {
    fn new(longest: Duration) -> Self {
        Self { longest, until: Box::pin(sleep(longest)), waiting: false }
    }

    fn ended(&mut self) {
        self.waiting = false;
    }

    /// Begins to wait, or goes on; ready when it has been long enough.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.waiting {
            self.waiting = true;
            self.until.as_mut().reset(Instant::now() + self.longest);
        }
        self.until.as_mut().poll(cx)
    }
}

/// A stream that fails when what is written to it is not taken for too long.
pub(super) struct Draining<S> {
    stream: S,
    patience: Patience,
}

impl<S> Draining<S> {
    pub(super) fn new(stream: S, longest: Duration) -> Self {
        Self { stream, patience: Patience::new(longest) }
    }

    fn watch<T>(&mut self, cx: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if done.is_ready() {
            self.patience.ended();
            return done;
        }
        ready!(self.patience.poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing any more")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Draining<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Draining<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.watch(cx, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(cx, done)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.watch(cx, done)
    }
}

/// A request's body that fails when it does not go on for too long.
pub(super) struct Arriving<B> {
    body: B,
    patience: Patience,
}

impl<B> Arriving<B>
where
    B: HttpBody<Data = Bytes, Error: Into<axum::BoxError>> + Send + Unpin + 'static,
{
    /// The body; one that is whole already as it is.
    pub(super) fn body(body: B, longest: Duration) -> Body {
        if body.is_end_stream() {
            return Body::empty();
        }
        Body::new(Self { body, patience: Patience::new(longest) })
    }
}

impl<B> HttpBody for Arriving<B>
where
    B: HttpBody<Data = Bytes, Error: Into<axum::BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(frame) = frame {
            self.patience.ended();
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        ready!(self.patience.poll(cx));
        Poll::Ready(Some(Err("the body took too long to arrive".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
