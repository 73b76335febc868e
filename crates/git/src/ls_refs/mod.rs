//! The command `ls-refs` of protocol version 2, answered without a process: all of `git ls-remote`, and the first half
//! of every clone and fetch. The answer is git's own, byte for byte; a test holds the two against each other.
//!
//! What is not plainly ours to answer goes to git as it came: other commands, requests that git refuses, and
//! repositories that hold what this reader does not know (their own settings, links, objects elsewhere). That is
//! decided before the first byte of an answer. Whether the client may read was decided before the request was read.

mod listing;
mod loose;
mod name;
mod packed;
mod request;

use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, StreamExt};
use tokio::io::AsyncRead;

use self::listing::Listing;
use self::loose::End;
pub(crate) use self::request::Request;
use self::request::{Parser, Step};
use crate::objects::Oid;
use crate::repository::Repository;
use crate::stream::{self as bytes_stream, ByteStream, read_within};

pub use self::request::is_for_us;

/// What a ref of the repository at `top` leads to; `None` where there is none.
///
/// # Errors
/// The disk's, and for what is better left to git: a ref that is broken, or a link, or a symbolic ref that leads out.
pub(crate) fn target(top: &Path, name: &[u8]) -> io::Result<Option<Oid>> {
    match loose::resolve(top, name)?.end {
        End::At(id) if !id.is_zero() => Ok(Some(id)),
        End::Missing => Ok(None),
        End::At(_) | End::Broken => Err(io::Error::new(io::ErrorKind::InvalidData, "a ref cannot be read")),
    }
}

/// The beginning of a request.
#[derive(Debug)]
pub(crate) struct Opening {
    /// All that was read.
    pub(crate) bytes: Bytes,
    /// What it asks for, when that is whole and for us.
    pub(crate) request: Option<Request>,
}

impl Opening {
    /// Reads until it is plain whose work the request is: for a fetch its first line, never more than a request for
    /// refs may be long.
    ///
    /// # Errors
    /// `TimedOut` when nothing comes for `idle`. Other failures are git's to find: it sees the request end.
    pub(crate) async fn read<R: AsyncRead + Unpin>(input: &mut R, idle: Duration) -> io::Result<Self> {
        let mut bytes = BytesMut::with_capacity(1024);
        let mut parser = Parser::default();
        loop {
            let before = bytes.len();
            bytes.reserve(1024);
            match read_within(input, &mut bytes, idle).await {
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(error),
                Err(_) | Ok(0) => return Ok(Self { bytes: bytes.freeze(), request: None }),
                Ok(_) => {}
            }
            match parser.feed(bytes.get(before..).unwrap_or_default()) {
                Step::More => {}
                Step::Git => return Ok(Self { bytes: bytes.freeze(), request: None }),
                Step::Whole(request) => return Ok(Self { bytes: bytes.freeze(), request: Some(request) }),
            }
        }
    }
}

/// The answer; `None` when git must give it. Memory is bounded by the repository's loose refs, of which there are few
/// after each maintenance; packed ones are read as the client takes the answer. No thread waits for the client.
pub(crate) async fn answer(repository: &Repository, request: Request) -> Option<ByteStream> {
    let top = repository.path().to_owned();
    let begin = move || {
        let mut listing = Listing::open(&top, request)?;
        let piece = listing.next_piece()?;
        Ok::<_, io::Error>((listing, piece))
    };
    match tokio::task::spawn_blocking(begin).await {
        Ok(Ok((listing, piece))) if listing.is_finished() => {
            drop(listing);
            Some(bytes_stream::once(piece))
        }
        Ok(Ok((listing, piece))) => Some(bytes_stream::once(piece).chain(rest(listing)).boxed()),
        Ok(Err(error)) => {
            tracing::debug!(%error, "refs are listed by git");
            None
        }
        Err(error) => {
            tracing::warn!(%error, "the listing of refs broke off");
            None
        }
    }
}

fn rest(listing: Listing) -> ByteStream {
    stream::unfold(Some(listing), |state| async move {
        let mut listing = state.filter(|listing| !listing.is_finished())?;
        let work = move || listing.next_piece().map(|piece| (piece, listing));
        match tokio::task::spawn_blocking(work).await.map_err(io::Error::other).flatten() {
            Ok((piece, listing)) => Some((Ok(Bytes::from(piece)), Some(listing))),
            Err(error) => Some((Err(error), None)),
        }
    })
    .fuse()
    .boxed()
}
