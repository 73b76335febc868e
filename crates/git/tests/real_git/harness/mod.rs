//! A world for the tests: one repository, served over git's own protocol and over a few lines of HTTP to the real
//! git client, with a decision and a record that a test can choose.

pub(crate) mod http;

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Output;
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use git::pkt_line::{Packet, PacketReader};
use git::{
    Hooks, PreReceive, Program, Protocol, Push, PushLimits, PushOutcome, Repositories, Repository, Session,
    Verdict, receive_pack, upload_pack,
};
use model::{Error, PushId, Random, RefName, RepositoryId, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

type Decide =
    dyn Fn(PreReceive, Repository) -> Pin<Box<dyn Future<Output = Result<Verdict<()>>> + Send>> + Send + Sync;
type Settle = dyn Fn(&PushOutcome) -> Result<Vec<String>> + Send + Sync;

/// What the server does with pushes, and what it has seen.
pub(crate) struct Server {
    pub(crate) repository: Repository,
    pub(crate) hooks: Hooks,
    pub(crate) limits: PushLimits,
    pub(crate) random: Random,
    pub(crate) decide: Box<Decide>,
    pub(crate) settle: Box<Settle>,
    pub(crate) questions: Mutex<Vec<PreReceive>>,
    pub(crate) outcomes: Mutex<Vec<PushOutcome>>,
}

impl Server {
    async fn push<R>(self: &Arc<Self>, session: Session, input: R) -> Result<git::ByteStream>
    where
        R: AsyncRead + Send + Unpin + 'static,
    {
        let push = Push {
            id: PushId::new(&self.random),
            repository: self.repository.clone(),
            hooks: self.hooks.clone(),
            session,
            limits: self.limits,
        };
        let (deciding, settling) = (Arc::clone(self), Arc::clone(self));
        let decide = move |question: PreReceive| async move {
            deciding.questions.lock().unwrap().push(question.clone());
            (deciding.decide)(question, deciding.repository.clone()).await
        };
        let settle = move |(), outcome: PushOutcome| async move {
            let answer = (settling.settle)(&outcome);
            settling.outcomes.lock().unwrap().push(outcome);
            answer
        };
        receive_pack::receive(push, input, decide, settle).await
    }
}

/// One repository, a server in front of it, and a directory for clones.
pub(crate) struct World {
    pub(crate) server: Arc<Server>,
    pub(crate) directory: tempfile::TempDir,
    pub(crate) program: Program,
    pub(crate) git_port: u16,
    pub(crate) http_port: u16,
}

pub(crate) fn accept() -> Box<Decide> {
    Box::new(|_, _| {
        Box::pin(async { Ok(Verdict::Accept { intent: (), messages: vec!["welcome".to_owned()] }) })
    })
}

pub(crate) fn refuse(line: &'static str) -> Box<Decide> {
    Box::new(move |_, _| Box::pin(async move { Ok(Verdict::Refuse { messages: vec![line.to_owned()] }) }))
}

pub(crate) fn hook_program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().join("examples/pre_receive")
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(accept(), Box::new(|_| Ok(vec!["recorded".to_owned()]))).await
    }

    pub(crate) async fn with(decide: Box<Decide>, settle: Box<Settle>) -> Self {
        Self::with_limits(decide, settle, PushLimits::default()).await
    }

    pub(crate) async fn with_limits(decide: Box<Decide>, settle: Box<Settle>, limits: PushLimits) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let random = Random::seeded(7);
        let program = Program::default();
        let repositories =
            Repositories::new(&directory.path().join("repositories"), program.clone()).unwrap();
        let id = RepositoryId::new(&random);
        let repository = repositories.create(id, &RefName::branch("main").unwrap()).await.unwrap();
        let hooks = Hooks::start(&directory.path().join("hooks"), &hook_program()).unwrap();
        let server = Arc::new(Server {
            repository,
            hooks,
            limits,
            random,
            decide,
            settle,
            questions: Mutex::default(),
            outcomes: Mutex::default(),
        });
        let git = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let git_port = git.local_addr().unwrap().port();
        tokio::spawn(serve_git(git, Arc::clone(&server)));
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http_port = http.local_addr().unwrap().port();
        tokio::spawn(http::serve(http, Arc::clone(&server)));
        Self { server, directory, program, git_port, http_port }
    }

    pub(crate) fn git_url(&self) -> String {
        format!("git://127.0.0.1:{}/one", self.git_port)
    }

    pub(crate) fn http_url(&self) -> String {
        format!("http://127.0.0.1:{}/one", self.http_port)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A work tree with one commit on `main`, and `origin` set.
    pub(crate) async fn clone_with_commit(&self, url: &str) -> PathBuf {
        let work = self.path("work");
        git_ok(self.directory.path(), &["init", "-q", "-b", "main", "work"]).await;
        git_ok(&work, &["remote", "add", "origin", url]).await;
        commit(&work, "readme", "hello\n").await;
        work
    }

    pub(crate) fn outcomes(&self) -> Vec<PushOutcome> {
        self.server.outcomes.lock().unwrap().clone()
    }

    pub(crate) fn questions(&self) -> Vec<PreReceive> {
        self.server.questions.lock().unwrap().clone()
    }

    /// The refs on disk, as `name id` lines.
    pub(crate) async fn refs(&self) -> String {
        git_ok(self.server.repository.path(), &["for-each-ref", "--format=%(refname) %(objectname)"]).await
    }

    /// Names of files that a crash or a refusal must not leave behind.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let objects = self.server.repository.path().join("objects");
        let mut found = Vec::new();
        for directory in [objects.clone(), objects.join("pack")] {
            for entry in std::fs::read_dir(directory).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                if !matches!(name.as_str(), "pack" | "info") {
                    found.push(name);
                }
            }
        }
        found
    }
}

/// Runs the real client.
pub(crate) async fn git(directory: &Path, arguments: &[&str]) -> Output {
    tokio::process::Command::new("git")
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", directory)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_AUTHOR_NAME", "Ann")
        .env("GIT_AUTHOR_EMAIL", "ann@example.org")
        .env("GIT_AUTHOR_DATE", "1700000000 +0100")
        .env("GIT_COMMITTER_NAME", "Ben")
        .env("GIT_COMMITTER_EMAIL", "ben@example.org")
        .env("GIT_COMMITTER_DATE", "1700000100 +0000")
        .output()
        .await
        .unwrap()
}

/// Runs the real client, which must succeed; gives its output without the last line's end.
pub(crate) async fn git_ok(directory: &Path, arguments: &[&str]) -> String {
    let output = git(directory, arguments).await;
    assert!(output.status.success(), "git {arguments:?}: {}", text(&output));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// Both streams, for assertions.
pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Writes one file and commits it; gives the commit's id.
pub(crate) async fn commit(work: &Path, name: &str, content: &str) -> String {
    let path = work.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
    git_ok(work, &["add", "-A"]).await;
    git_ok(work, &["commit", "-q", "-m", &format!("change {name}")]).await;
    git_ok(work, &["rev-parse", "HEAD"]).await
}

/// The whole life of a repository as clients see it: pushes, clones, fetches, deletions, a shallow clone.
pub(crate) async fn push_then_clone(url: fn(&World) -> String, version: &str) {
    let world = World::new().await;
    let url = url(&world);
    let protocol = format!("protocol.version={version}");
    let work = world.clone_with_commit(&url).await;
    let pushed = git(&work, &["-c", &protocol, "push", "origin", "main"]).await;
    assert!(pushed.status.success(), "{}", text(&pushed));
    assert!(text(&pushed).contains("remote: welcome") && text(&pushed).contains("remote: recorded"));
    let tip = git_ok(&work, &["rev-parse", "HEAD"]).await;
    assert_eq!(world.refs().await, format!("refs/heads/main {tip}"));

    for index in 0..40 {
        commit(&work, &format!("file{index}"), &"x".repeat(index)).await;
    }
    git_ok(
        &work,
        &["-c", &protocol, "push", "-q", "origin", "main", "main:refs/heads/deep/er", "main:refs/tags/v1"],
    )
    .await;
    git_ok(world.directory.path(), &["-c", &protocol, "clone", "-q", &url, "copy"]).await;
    let copy = world.path("copy");
    assert_eq!(git_ok(&copy, &["rev-parse", "HEAD"]).await, git_ok(&work, &["rev-parse", "HEAD"]).await);

    // A fetch with many haves, which the client compresses over HTTP.
    commit(&work, "later", "1").await;
    git_ok(&work, &["-c", &protocol, "push", "-q", "origin", "main", ":refs/heads/deep/er"]).await;
    git_ok(&copy, &["-c", &protocol, "fetch", "-q", "--prune"]).await;
    assert!(!git_ok(&copy, &["branch", "-r"]).await.contains("deep/er"));
    git_ok(world.directory.path(), &["-c", &protocol, "clone", "-q", "--depth=2", &url, "shallow"]).await;

    let outcomes = world.outcomes();
    assert_eq!(outcomes.iter().map(|o| o.refs.len()).collect::<Vec<_>>(), [1, 3, 2]);
    assert!(outcomes.iter().all(|o| o.finished && o.refs.iter().all(|r| r.applied && r.refusal.is_none())));
    let kept = world.leftovers();
    assert!(kept.iter().all(|name| name.starts_with("pack-")), "each push is one pack: {kept:?}");
}

/// The protocol of `git://`: one packet that says what is wanted, then a conversation.
async fn serve_git(listener: TcpListener, server: Arc<Server>) {
    while let Ok((stream, _)) = listener.accept().await {
        let server = Arc::clone(&server);
        tokio::spawn(async move { git_session(stream, &server).await });
    }
}

async fn git_session(stream: TcpStream, server: &Arc<Server>) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut reader = PacketReader::new(read);
    let Some(Packet::Data(request)) = reader.next().await? else { return Ok(()) };
    let request = String::from_utf8_lossy(&request).into_owned();
    let protocol = Protocol::parse(request.split('\0').find(|part| part.starts_with("version=")));
    let (read, rest) = reader.into_parts();
    assert!(rest.is_empty(), "the client waits for the advertisement");
    let (read, gone) = watched(read, u64::MAX);
    let answer = if request.starts_with("git-receive-pack") {
        server.push(Session::Interactive, read).await
    } else {
        upload_pack::serve(&server.repository, protocol, Session::Interactive, read).await
    };
    match answer {
        Ok(stream) => tokio::select! {
            copied = copy(stream, &mut write) => copied,
            () = gone.notified() => Ok(()),
        },
        Err(error) => write.write_all(error_packet(&error).as_bytes()).await,
    }
}

/// The first `length` bytes of what a client sends; and word when it has closed its connection after them.
pub(crate) fn watched<R>(mut from: R, length: u64) -> (tokio::io::DuplexStream, Arc<tokio::sync::Notify>)
where
    R: AsyncRead + Send + Unpin + 'static,
{
    let (mut to, read) = tokio::io::duplex(64 * 1024);
    let gone = Arc::new(tokio::sync::Notify::new());
    let tell = Arc::clone(&gone);
    tokio::spawn(async move {
        let _ = tokio::io::copy(&mut (&mut from).take(length), &mut to).await;
        drop(to);
        let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
        tell.notify_one();
    });
    (read, gone)
}

fn error_packet(error: &Error) -> String {
    format!("{:04x}ERR {error}", error.to_string().len() + 8)
}

/// Copies the answer as it comes.
pub(crate) async fn copy(
    mut stream: git::ByteStream,
    write: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    while let Some(piece) = stream.next().await {
        write.write_all(&piece?).await?;
    }
    write.shutdown().await
}
