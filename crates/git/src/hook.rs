//! The question that git's pre-receive hook puts to the server, over a Unix socket: may these refs move?
//!
//! The hook is the server's own program under another name; it only carries the question, and has no other key to
//! the server than the id of a push that is under way. Messages are a length and JSON of typed values: there is no
//! delimiter that a push option could forge.
//!
//! [`run_pre_receive`] is the hook's half (no async runtime, so that it starts fast), [`Hooks`] the server's.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use model::{Error, PushId, Result};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use crate::ref_update::RefUpdate;
use crate::repository::Repository;
use crate::stream::OwnedTask;

/// The variable that tells the hook where the server listens.
pub const SOCKET_VARIABLE: &str = "BASTIDE_HOOK_SOCKET";

/// The variable that tells the hook which push it belongs to.
pub const PUSH_VARIABLE: &str = "BASTIDE_PUSH_ID";

/// The name under which git starts the hook.
const HOOK_NAME: &str = "pre-receive";

/// The longest message either side takes.
const LONGEST_MESSAGE: usize = 64 << 20;

/// How long the hook may take to put its question; it has nothing to compute.
const QUESTION_TIME: Duration = Duration::from_secs(30);

/// The directory inside `objects` where the objects of a push wait for the decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Quarantine(String);

impl Quarantine {
    /// What git starts the names of such directories with.
    pub(crate) const PREFIX: &'static str = "tmp_objdir-";

    /// By the directory's name alone: where it lies is not the hook's to say.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let rest = name.strip_prefix(Self::PREFIX)?;
        let good =
            !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        good.then(|| Self(name.to_owned()))
    }

    /// The directory in `repository`.
    pub(crate) fn path_in(&self, repository: &Repository) -> Result<PathBuf> {
        let checked = Self::named(&self.0).ok_or_else(|| Error::invalid("not the name of a quarantine"))?;
        let path = repository.path().join("objects").join(&checked.0);
        // Not `is_dir`, which would follow a link.
        let is_directory = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir());
        if is_directory { Ok(path) } else { Err(Error::invalid("the quarantine is not in this repository")) }
    }
}

/// The question: a push whose objects have arrived and whose refs have not moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreReceive {
    /// Which push.
    pub push: PushId,
    /// The refs it wants to move, as git understood them.
    pub updates: Vec<RefUpdate>,
    /// Its push options, as the client sent them: any bytes but NUL.
    pub options: Vec<Vec<u8>>,
    /// Where its objects wait; none when it only deletes.
    pub quarantine: Option<Quarantine>,
}

/// The answer. One refused ref refuses the push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookAnswer {
    /// Whether the refs may move.
    pub accept: bool,
    /// Lines for the person who pushes.
    pub messages: Vec<String>,
}

impl HookAnswer {
    /// A refusal with one line.
    pub(crate) fn refuse(message: impl Into<String>) -> Self {
        Self { accept: false, messages: vec![message.into()] }
    }
}

/// [`PreReceive`] as it crosses the socket; options in hexadecimal, as they need not be text.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    push: PushId,
    updates: Vec<RefUpdate>,
    options: Vec<String>,
    quarantine: Option<Quarantine>,
}

impl From<&PreReceive> for Message {
    fn from(question: &PreReceive) -> Self {
        Self {
            push: question.push,
            updates: question.updates.clone(),
            options: question.options.iter().map(hex::encode).collect(),
            quarantine: question.quarantine.clone(),
        }
    }
}

impl TryFrom<Message> for PreReceive {
    type Error = Error;

    fn try_from(message: Message) -> Result<Self> {
        let options = message.options.iter().map(hex::decode).collect::<Result<_, _>>();
        Ok(Self {
            push: message.push,
            updates: message.updates,
            options: options.map_err(|_| Error::invalid("a push option is not in hexadecimal"))?,
            quarantine: message.quarantine,
        })
    }
}

/// Whether the program was started by git as the hook, by the name it was started under.
#[must_use]
pub fn is_hook(program: &OsStr) -> bool {
    Path::new(program).file_name() == Some(OsStr::new(HOOK_NAME))
}

/// The hook: puts the question that git gave on `stdin` and in `variable`s, prints the answer's lines on `stderr`,
/// and gives the exit status. Whatever goes wrong is a refusal.
pub fn run_pre_receive(
    stdin: impl Read,
    variable: impl Fn(&str) -> Option<OsString>,
    stderr: &mut impl Write,
) -> u8 {
    let answer = ask(stdin, &variable).unwrap_or_else(|error| {
        HookAnswer::refuse(format!("the server could not decide about this push: {error}. Try again."))
    });
    for line in &answer.messages {
        // A terminal takes control characters for commands.
        let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let _ = writeln!(stderr, "{line}");
    }
    u8::from(!answer.accept)
}

fn ask(stdin: impl Read, variable: &impl Fn(&str) -> Option<OsString>) -> io::Result<HookAnswer> {
    let missing = |name: &str| io::Error::other(format!("{name} is not set"));
    let socket = variable(SOCKET_VARIABLE).ok_or_else(|| missing(SOCKET_VARIABLE))?;
    let question = question(stdin, variable)?;
    let mut stream = std::os::unix::net::UnixStream::connect(socket)?;
    let body = serde_json::to_vec(&Message::from(&question))?;
    stream.write_all(&frame(&body)?)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut body = vec![0; checked_length(length)?];
    stream.read_exact(&mut body)?;
    Ok(serde_json::from_slice(&body)?)
}

fn question(mut stdin: impl Read, variable: &impl Fn(&str) -> Option<OsString>) -> io::Result<PreReceive> {
    let push = variable(PUSH_VARIABLE)
        .and_then(|value| value.to_str().and_then(|text| text.parse().ok()))
        .ok_or_else(|| io::Error::other(format!("{PUSH_VARIABLE} is not the id of a push")))?;
    let mut lines = Vec::new();
    stdin.by_ref().take(64 << 20).read_to_end(&mut lines)?;
    let updates = lines
        .split(|b| *b == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| {
            parse_update(line).ok_or_else(|| io::Error::other("a ref's name is not one that is taken here"))
        })
        .collect::<io::Result<_>>()?;
    let count = variable("GIT_PUSH_OPTION_COUNT")
        .and_then(|value| value.to_str().and_then(|text| text.parse::<usize>().ok()))
        .unwrap_or(0);
    let options = (0..count)
        .map_while(|index| variable(&format!("GIT_PUSH_OPTION_{index}")).map(OsString::into_vec))
        .collect();
    let quarantine = match variable("GIT_QUARANTINE_PATH") {
        None => None,
        Some(path) => {
            let name =
                Path::new(&path).file_name().and_then(|name| std::str::from_utf8(name.as_bytes()).ok());
            let known = name.and_then(Quarantine::named);
            Some(known.ok_or_else(|| io::Error::other("git's quarantine has a name that is not known"))?)
        }
    };
    Ok(PreReceive { push, updates, options, quarantine })
}

fn parse_update(line: &[u8]) -> Option<RefUpdate> {
    let mut parts = std::str::from_utf8(line).ok()?.splitn(3, ' ');
    let old = parts.next()?.parse().ok()?;
    let new = parts.next()?.parse().ok()?;
    Some(RefUpdate { old, new, name: parts.next()?.parse().ok()? })
}

fn frame(body: &[u8]) -> io::Result<Vec<u8>> {
    let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= LONGEST_MESSAGE);
    let length = length.ok_or_else(|| io::Error::other("the message is too long"))?;
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend_from_slice(body);
    Ok(bytes)
}

fn checked_length(bytes: [u8; 4]) -> io::Result<usize> {
    usize::try_from(u32::from_be_bytes(bytes))
        .ok()
        .filter(|length| *length <= LONGEST_MESSAGE)
        .ok_or_else(|| io::Error::other("the message is too long"))
}

/// What decides about one push.
type Handler = Box<dyn FnOnce(PreReceive) -> BoxFuture<'static, HookAnswer> + Send>;

type Handlers = Arc<Mutex<HashMap<PushId, Handler>>>;

/// The server's half: the directory that git finds its hook in, and the socket that the hook asks. Cloning shares
/// them; the last one dropped closes the socket.
#[derive(Clone)]
pub struct Hooks {
    directory: PathBuf,
    handlers: Handlers,
    _listener: Arc<OwnedTask<()>>,
}

impl Hooks {
    /// Makes `directory` (for this process alone, and not on a shared file system) with the hook in it, a link to
    /// `program`, and listens. `program` calls [`run_pre_receive`] when [`is_hook`] says so.
    ///
    /// # Errors
    /// When the directory or the socket cannot be made.
    pub fn start(directory: &Path, program: &Path) -> Result<Self> {
        let failed = |error: io::Error| Error::Internal(format!("the hook's directory: {error}"));
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        let directory = directory.canonicalize().map_err(failed)?;
        fs::set_permissions(&directory, Permissions::from_mode(0o700)).map_err(failed)?;
        let link = directory.join(HOOK_NAME);
        let socket = directory.join("socket");
        for old in [&link, &socket] {
            match fs::remove_file(old) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
                _ => {}
            }
        }
        symlink(program.canonicalize().map_err(failed)?, &link).map_err(failed)?;
        let listener = UnixListener::bind(&socket).map_err(failed)?;
        fs::set_permissions(&socket, Permissions::from_mode(0o600)).map_err(failed)?;
        let handlers = Handlers::default();
        let task = tokio::spawn(listen(listener, Arc::clone(&handlers)));
        Ok(Self { directory, handlers, _listener: Arc::new(OwnedTask(task)) })
    }

    /// The directory for `core.hooksPath`.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where the hook asks.
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.join("socket")
    }

    /// Lets `handler` answer for one push, once, until the registration is dropped.
    pub(crate) fn register(&self, push: PushId, handler: Handler) -> Registration {
        self.handlers.lock().unwrap_or_else(PoisonError::into_inner).insert(push, handler);
        Registration { push, handlers: Arc::clone(&self.handlers) }
    }
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hooks").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// A push that the socket knows.
pub(crate) struct Registration {
    push: PushId,
    handlers: Handlers,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.handlers.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.push);
    }
}

async fn listen(listener: UnixListener, handlers: Handlers) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let handlers = Arc::clone(&handlers);
                tokio::spawn(async move {
                    if let Err(error) = answer(stream, &handlers).await {
                        tracing::warn!(%error, "a hook could not be answered");
                    }
                });
            }
            Err(error) => {
                // Out of descriptors, most likely: the hooks that wait are served when there are some again.
                tracing::warn!(%error, "a hook could not connect");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(mut stream: UnixStream, handlers: &Handlers) -> io::Result<()> {
    let question = tokio::time::timeout(QUESTION_TIME, read_question(&mut stream)).await;
    let question = question.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let handler = handlers.lock().unwrap_or_else(PoisonError::into_inner).remove(&question.push);
    let answer = match handler {
        // Once begun, the decision runs to its end, whether or not the hook still waits for it.
        Some(handler) => handler(question).await,
        None => HookAnswer::refuse("the server does not know this push"),
    };
    stream.write_all(&frame(&serde_json::to_vec(&answer)?)?).await
}

async fn read_question(stream: &mut UnixStream) -> io::Result<PreReceive> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    let wanted = checked_length(length)?;
    let mut body = Vec::new();
    // Not reserved at once: a length costs its sender nothing.
    stream.take(u64::try_from(wanted).unwrap_or(0)).read_to_end(&mut body).await?;
    if body.len() < wanted {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let message: Message = serde_json::from_slice(&body)?;
    PreReceive::try_from(message).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use model::Random;
    use proptest::prelude::*;

    use super::*;

    fn variables(list: Vec<(String, Vec<u8>)>) -> impl Fn(&str) -> Option<OsString> {
        move |name| list.iter().find(|(n, _)| n == name).map(|(_, v)| OsString::from_vec(v.clone()))
    }

    fn parse(lines: &[u8], options: &[Vec<u8>]) -> io::Result<PreReceive> {
        let push = PushId::new(&Random::seeded(1));
        let mut list = vec![
            (PUSH_VARIABLE.to_owned(), push.to_string().into_bytes()),
            ("GIT_PUSH_OPTION_COUNT".to_owned(), options.len().to_string().into_bytes()),
            ("GIT_QUARANTINE_PATH".to_owned(), b"/x/objects/tmp_objdir-incoming-aB3dE9".to_vec()),
        ];
        for (index, option) in options.iter().enumerate() {
            list.push((format!("GIT_PUSH_OPTION_{index}"), option.clone()));
        }
        question(lines, &variables(list))
    }

    proptest! {
        /// Attack: a push option that contains the internal message's delimiters and so forges its other fields.
        #[test]
        fn any_bytes_in_a_push_option_arrive_as_they_are(
            options in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..64), 0..8)
        ) {
            let line = format!("{} {} refs/heads/main\n", "0".repeat(40), "a".repeat(40));
            let asked = parse(line.as_bytes(), &options).unwrap();
            let body = serde_json::to_vec(&Message::from(&asked)).unwrap();
            let read: Message = serde_json::from_slice(&body).unwrap();
            let read = PreReceive::try_from(read).unwrap();
            prop_assert_eq!(&read.options, &options);
            prop_assert_eq!(read, asked);
        }

        #[test]
        fn arbitrary_lines_are_updates_or_errors(lines in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&lines, &[]);
        }
    }

    /// Attack: a hook's message that names a directory outside the repository as its quarantine.
    #[test]
    fn a_quarantine_is_a_plain_name_below_the_repositorys_objects() {
        for bad in ["", "tmp_objdir-", "tmp_objdir-../../x", "pack", "tmp_objdir-a/b", "tmp_objdir-a\0"] {
            assert!(Quarantine::named(bad).is_none(), "{bad}");
        }
        assert!(Quarantine::named("tmp_objdir-incoming-aB3dE9").is_some());
        let forged: Quarantine = serde_json::from_str("\"../..\"").unwrap();
        let repository = Repository::at("/nonexistent".into(), crate::command::Program::default());
        assert!(forged.path_in(&repository).is_err());
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        let mut said = Vec::new();
        assert_eq!(run_pre_receive(io::empty(), |_| None, &mut said), 1);
        assert!(String::from_utf8(said).unwrap().contains("could not decide"));
    }

    #[tokio::test]
    async fn a_push_that_is_not_registered_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let program = std::env::current_exe().unwrap();
        let hooks = Hooks::start(&directory.path().join("hooks"), &program).unwrap();
        let known = PushId::new(&Random::seeded(1));
        let accept: Handler = Box::new(|_| Box::pin(async { HookAnswer { accept: true, messages: vec![] } }));
        let registration = hooks.register(known, accept);
        let ask_as = |push: PushId| {
            let socket = hooks.socket().into_os_string().into_vec();
            let list = vec![
                (SOCKET_VARIABLE.to_owned(), socket),
                (PUSH_VARIABLE.to_owned(), push.to_string().into_bytes()),
            ];
            tokio::task::spawn_blocking(move || ask(io::empty(), &variables(list)).unwrap())
        };
        assert!(!ask_as(PushId::new(&Random::seeded(2))).await.unwrap().accept);
        assert!(ask_as(known).await.unwrap().accept);
        assert!(!ask_as(known).await.unwrap().accept, "a push asks once");
        drop(registration);
    }
}
