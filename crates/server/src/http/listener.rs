//! The accept loop: who may connect, how many at once, how long they may take, and how it ends.
//!
//! One loop serves TCP, TLS over TCP and the operator's Unix socket. HTTP/2 is spoken where TLS agreed on it; in the
//! clear there is HTTP/1.1 alone, so that nobody has to be waited for to find out.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use model::{Error, Result};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Peer, Response};
use crate::app::App;
use crate::tls::Certificates;

mod silence;

use silence::{Arriving, Draining};

/// What a listener does with requests.
pub type Serving = Arc<dyn Fn(Peer, Request<Body>) -> BoxFuture<'static, Response> + Send + Sync>;

/// Serving an app.
#[must_use]
pub fn serving(app: App) -> Serving {
    Arc::new(move |peer, request| Box::pin(super::dispatch(app.clone(), peer, request)))
}

/// How much a client may use.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How many connections may be open at once; more wait in the kernel's queue.
    pub connections: usize,
    /// How long a request's head may take, and how long a connection may be idle between two.
    pub head: Duration,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long a client in the middle of a request may send nothing of its body, or take nothing of the answer. Long,
    /// since git sends nothing while it compresses.
    pub silence: Duration,
    /// The largest request head, in bytes. There may be a hundred headers.
    pub head_bytes: usize,
    /// How many requests may run at once on one HTTP/2 connection.
    pub streams: u32,
    /// How long requests in flight may take to end after [`Stop::stop`]. Long, since a push that is cut off has to
    /// be sent again whole.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            head: Duration::from_secs(30),
            handshake: Duration::from_secs(10),
            silence: Duration::from_secs(300),
            head_bytes: 64 * 1024,
            streams: 100,
            grace: Duration::from_secs(600),
        }
    }
}

/// The signal to stop. Cloning shares it.
#[derive(Clone)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Default for Stop {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Stop {
    /// Stops every listener that has this signal.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Returns once it was given.
    pub async fn stopped(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|stopped| *stopped).await;
    }
}

/// A socket that listens.
pub struct Listener(Socket);

enum Socket {
    Tcp { listener: TcpListener, tls: Option<Certificates> },
    Unix { listener: UnixListener, path: PathBuf },
}

enum Connection {
    Tcp(TcpStream, IpAddr, Option<Certificates>),
    Unix(UnixStream),
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Listener {
    /// Listens on a TCP address; port 0 picks a free one.
    ///
    /// # Errors
    /// When the address is taken, or is reachable from elsewhere though there is no TLS and `insecure` was not
    /// asked for.
    pub async fn tcp(address: SocketAddr, tls: Option<Certificates>, insecure: bool) -> Result<Self> {
        if tls.is_none() && !insecure && !address.ip().is_loopback() {
            return Err(Error::invalid(format!(
                "`{address}` can be reached from elsewhere: give a certificate, listen on 127.0.0.1 behind a proxy, \
                 or say --insecure"
            )));
        }
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| Error::invalid(format!("cannot listen on `{address}`: {error}")))?;
        Ok(Self(Socket::Tcp { listener, tls }))
    }

    /// Listens on a Unix socket, for the account that runs the server and for root. Whatever socket a server that
    /// died left at the path is replaced.
    ///
    /// # Errors
    /// When the path cannot be written, or something else than a socket lies there.
    pub fn unix(path: &Path) -> Result<Self> {
        use std::os::unix::fs::{FileTypeExt, PermissionsExt};
        let failed =
            |error: io::Error| Error::invalid(format!("cannot listen on `{}`: {error}", path.display()));
        if path.symlink_metadata().is_ok_and(|found| found.file_type().is_socket()) {
            std::fs::remove_file(path).map_err(failed)?;
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self(Socket::Unix { listener, path: path.to_owned() }))
    }

    /// The TCP address that it listens on; none of a Unix socket.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.0 {
            Socket::Tcp { listener, .. } => listener.local_addr().ok(),
            Socket::Unix { .. } => None,
        }
    }

    /// Serves until `stop`, and then until the requests in flight have ended or their grace has.
    pub async fn serve(self, serving: Serving, limits: Limits, stop: Stop) {
        let slots = Arc::new(Semaphore::new(limits.connections));
        let door = Arc::new(Reception { protocols: Protocols::new(&limits), serving, limits, stop });
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let accepted = async {
                let slot = Arc::clone(&slots).acquire_owned().await;
                (slot, self.0.accept().await)
            };
            let (slot, accepted) = tokio::select! {
                biased;
                () = door.stop.stopped() => break,
                accepted = accepted => accepted,
            };
            match accepted {
                Ok(connection) => {
                    let door = Arc::clone(&door);
                    connections.spawn(async move {
                        door.receive(connection).await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    // Out of file descriptors, mostly: those that end in the meantime make room.
                    tracing::warn!("cannot accept a connection: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drop(self);
        let ended = async { while connections.join_next().await.is_some() {} };
        if timeout(door.limits.grace, ended).await.is_err() {
            tracing::warn!("requests were cut off: they took longer than {} s", door.limits.grace.as_secs());
        }
        connections.shutdown().await;
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Self::Unix { path, .. } = self {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Socket {
    async fn accept(&self) -> io::Result<Connection> {
        match self {
            Self::Tcp { listener, tls } => {
                let (stream, from) = listener.accept().await?;
                Ok(Connection::Tcp(stream, from.ip().to_canonical(), tls.clone()))
            }
            Self::Unix { listener, .. } => Ok(Connection::Unix(listener.accept().await?.0)),
        }
    }
}

/// The two protocols, set up once.
struct Protocols {
    http1: Builder<TokioExecutor>,
    http2: Builder<TokioExecutor>,
}

impl Protocols {
    fn new(limits: &Limits) -> Self {
        let mut http1 = Builder::new(TokioExecutor::new()).http1_only();
        http1
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_buf_size(limits.head_bytes.max(8192));
        let mut http2 = Builder::new(TokioExecutor::new()).http2_only();
        http2
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams)
            .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
            // Enough for a push to fill a fast line.
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(4 << 20)
            .keep_alive_interval(limits.head)
            .keep_alive_timeout(limits.head);
        Self { http1, http2 }
    }
}

/// What is done with each connection.
struct Reception {
    protocols: Protocols,
    serving: Serving,
    limits: Limits,
    stop: Stop,
}

impl Reception {
    async fn receive(&self, connection: Connection) {
        match connection {
            Connection::Unix(stream) => {
                let own = rustix::process::geteuid().as_raw();
                if stream.peer_cred().is_ok_and(|peer| peer.uid() == own || peer.uid() == 0) {
                    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
                    let peer = Peer { address, secure: false, operator: true };
                    self.converse(Box::new(stream), peer, false).await;
                }
            }
            Connection::Tcp(stream, address, tls) => {
                // An answer in several parts would wait for the client's acknowledgement of the first.
                let _ = stream.set_nodelay(true);
                let peer = Peer { address, secure: tls.is_some(), operator: false };
                let Some(tls) = tls else { return self.converse(Box::new(stream), peer, false).await };
                let handshake = timeout(self.limits.handshake, tls.accept(stream));
                let shaken = tokio::select! {
                    shaken = handshake => shaken,
                    () = self.stop.stopped() => return,
                };
                if let Ok(Ok(stream)) = shaken {
                    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    self.converse(Box::new(stream), peer, http2).await;
                }
            }
        }
    }

    /// One connection, whatever it runs over: the boxed stream keeps one copy of hyper's machinery for all.
    async fn converse(&self, stream: Box<dyn Stream>, peer: Peer, http2: bool) {
        let begun = AtomicBool::new(false);
        let answer = service_fn(|request: Request<Incoming>| {
            begun.store(true, Ordering::Relaxed);
            let answered =
                (self.serving)(peer, request.map(|body| Arriving::body(body, self.limits.silence)));
            async move { Ok::<_, Infallible>(answered.await) }
        });
        let protocol = if http2 { &self.protocols.http2 } else { &self.protocols.http1 };
        let stream = TokioIo::new(Draining::new(stream, self.limits.silence));
        let mut connection = std::pin::pin!(protocol.serve_connection(stream, answer));
        // HTTP/2 waits for its first bytes without end. Whoever has asked for nothing yet loses nothing.
        let silence = async {
            tokio::time::sleep(self.limits.head).await;
            if begun.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
        };
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = silence => return,
            () = self.stop.stopped() => {
                if !begun.load(Ordering::Relaxed) {
                    return;
                }
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(address = %peer.address, "a connection ended early: {error}");
        }
    }
}

#[cfg(test)]
mod tests;
