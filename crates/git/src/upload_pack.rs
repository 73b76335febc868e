//! Serving clones and fetches: git's upload-pack between the client's bytes and the repository, and its answers that
//! need no process: the advertisement of version 2 ([`crate::advertisement`]) and its refs ([`crate::ls_refs`]).
//!
//! Whether the client may read was decided before.

use std::io::Cursor;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt, stream};
use model::Result;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::advertisement::{Protocol, capabilities, service_line};
use crate::command::GitCommand;
use crate::ls_refs::{self, Opening};
use crate::repository::Repository;
use crate::stream::{self as bytes_stream, ByteStream};

/// A client that neither sends nor takes anything for this long is gone.
const IDLE: Duration = Duration::from_secs(600);

/// How the client and git talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// One request, one answer, as over HTTP.
    Stateless,
    /// A conversation that git opens, as over SSH.
    Interactive,
}

/// The answer to `GET …/info/refs?service=git-upload-pack`.
///
/// # Errors
/// When git cannot be started.
pub fn advertise(repository: &Repository, protocol: Protocol) -> Result<ByteStream> {
    if protocol == Protocol::V2 {
        return Ok(bytes_stream::once(capabilities()));
    }
    let running =
        command(repository, protocol).flag("--stateless-rpc").flag("--http-backend-info-refs").spawn()?;
    let head = bytes_stream::once(service_line("git-upload-pack"));
    Ok(head.chain(bytes_stream::process(running, tokio::io::empty(), IDLE)).boxed())
}

/// Runs one session: `input` is what the client sends, the stream is what it gets. Dropping the stream ends git.
///
/// # Errors
/// When git cannot be started.
pub async fn serve<R>(
    repository: &Repository,
    protocol: Protocol,
    session: Session,
    mut input: R,
) -> Result<ByteStream>
where
    R: AsyncRead + Send + Unpin + 'static,
{
    if protocol != Protocol::V2 || session != Session::Stateless {
        return process(repository, protocol, session, input);
    }
    let Opening { bytes, request } = match Opening::read(&mut input, IDLE).await {
        Ok(opening) => opening,
        Err(error) => return Ok(stream::once(async { Err(error) }).boxed()),
    };
    if let Some(request) = request
        && let Some(answer) = ls_refs::answer(repository, request).await
    {
        // The end of the body is mostly there by now; once it is read, its connection can take the next request.
        let _ = input.read(&mut [0; 16]).now_or_never();
        return Ok(answer);
    }
    process(repository, protocol, session, Cursor::new(bytes).chain(input))
}

fn process<R>(repository: &Repository, protocol: Protocol, session: Session, input: R) -> Result<ByteStream>
where
    R: AsyncRead + Send + Unpin + 'static,
{
    let command = command(repository, protocol).flag_if(session == Session::Stateless, "--stateless-rpc");
    Ok(bytes_stream::process(command.spawn()?, input, IDLE))
}

fn command(repository: &Repository, protocol: Protocol) -> GitCommand {
    let command =
        GitCommand::transport(repository, "upload-pack").flag("--strict").number("--timeout", IDLE.as_secs());
    match protocol.variable() {
        Some(version) => command.environment("GIT_PROTOCOL", version),
        None => command,
    }
}
