//! A server, a repository and a runner that is registered: what every test begins with.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use model::{Clock, Secret};
use pipeline::protocol::{Assignment, Finish, Source, Variable};
use pipeline::{Event, Reference, RunFacts, check};
use runner::{Registering, Settings};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::server::{Server, TOKEN};

/// All that a test has.
pub(crate) struct Bench {
    pub(crate) server: Server,
    pub(crate) folder: TempDir,
    pub(crate) commit: String,
}

/// How a step went.
pub(crate) struct Went {
    pub(crate) log: String,
    pub(crate) finish: Finish,
}

/// The program that steps' walls call, and that can be killed.
pub(crate) fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().unwrap().parent().unwrap().join("examples/agent");
    assert!(program.exists(), "cargo builds the example `agent` before the tests of the crate");
    program
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(&[("README", "hello\n"), ("src/a.txt", "a\n"), ("lock", "1\n")]).await
    }

    /// With these files in the repository.
    pub(crate) async fn with(files: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        let source = folder.path().join("source");
        for (path, text) in files {
            let path = source.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        git(&source, &["init", "-q", "-b", "main"]);
        git(&source, &["add", "."]);
        git(&source, &["commit", "-q", "-m", "one"]);
        git(&source, &["tag", "v1"]);
        let repositories = folder.path().join("repositories");
        std::fs::create_dir_all(repositories.join("acme")).unwrap();
        git(folder.path(), &["clone", "-q", "--bare", "source", "repositories/acme/one.git"]);
        let commit = git(&source, &["rev-parse", "HEAD"]).trim().to_owned();
        let server = Server::start(repositories).await;
        let bench = Self { server, folder, commit };
        let registering = Registering {
            url: bench.server.url.clone(),
            directory: bench.directory(),
            code: Secret::new("bst_rcd_once".to_owned()),
            trusted: None,
            replace: false,
        };
        assert_eq!(runner::register(registering, &Clock::system()).await.unwrap(), "one");
        bench
    }

    pub(crate) fn directory(&self) -> PathBuf {
        self.folder.path().join("runner")
    }

    pub(crate) fn settings(&self) -> Settings {
        let mut settings = Settings::new(self.directory(), vec![program().into()]);
        settings.once = true;
        settings.heartbeat = Some(Duration::from_millis(100));
        settings
    }

    /// A step without an image that runs these lines, with more of its own.
    pub(crate) fn shell(&self, script: &[&str], more: &str) -> Assignment {
        self.assignment(&format!("runs-on: [self.hosted, linux.shell]\n{more}"), script, "")
    }

    /// A step.
    pub(crate) fn assignment(&self, step: &str, script: &[&str], root: &str) -> Assignment {
        let script: Vec<_> = script.iter().map(|line| serde_json::to_string(line).unwrap()).collect();
        let step = format!("{}\nscript: [{}]", step.trim_end(), script.join(", "));
        self.planned(&step, root)
    }

    /// A step as it is written in a file.
    pub(crate) fn planned(&self, step: &str, root: &str) -> Assignment {
        let step = step.trim().lines().map(|line| format!("          {line}\n")).collect::<String>();
        let text = format!("{root}\npipelines:\n  default:\n    - step:\n{step}");
        let checked = check("bitbucket-pipelines.yml", &text);
        let configuration =
            checked.configuration.unwrap_or_else(|| panic!("{text}\n{:?}", checked.diagnostics));
        let plan = configuration.plan(&Event::Branch { branch: "main".to_owned() }).unwrap();
        let plan = plan.pipelines.into_iter().next().unwrap().steps.into_iter().next().unwrap();
        let id = |last: u32| format!("5f0e1f7a-0000-4000-8000-0000000001{last:02}");
        Assignment {
            step: uuid(self.folder.path()),
            attempt: 1,
            lease: 5,
            plan,
            run: RunFacts {
                build_number: 7,
                commit: self.commit.clone(),
                reference: Reference::Branch { name: "main".to_owned() },
                workspace: "acme".to_owned(),
                workspace_uuid: id(1),
                repository: "one".to_owned(),
                repository_uuid: id(2),
                is_private: true,
                project_key: "P".to_owned(),
                project_uuid: id(3),
                http_origin: format!("{}/acme/one", self.server.url),
                ssh_origin: "ssh://none".to_owned(),
                pipeline_uuid: id(4),
            },
            triggerer: id(5),
            environment: None,
            variables: Vec::new(),
            source: Source {
                url: format!("{}/acme/one.git", self.server.url),
                token: TOKEN.to_owned(),
                commit: self.commit.clone(),
                reference: Some("refs/heads/main".to_owned()),
            },
            tokens: Vec::new(),
            aws: None,
            ssh: None,
            artifacts: Vec::new(),
            pipes: Default::default(),
        }
    }

    /// Runs a step to its end.
    pub(crate) async fn run(&self, assignment: Assignment) -> Went {
        self.run_with(assignment, self.settings()).await
    }

    /// The same, set up otherwise.
    pub(crate) async fn run_with(&self, assignment: Assignment, settings: Settings) -> Went {
        let (finished, logs) = {
            let mut known = self.server.known();
            known.waiting.push_back(assignment);
            (known.finished.len(), known.logs.clear())
        };
        let () = logs;
        let (_end, shutdown) = watch::channel(false);
        runner::run(settings, shutdown).await.unwrap();
        let finish = self.server.known().finished.get(finished).cloned();
        let log = self.server.log("step");
        Went { finish: finish.unwrap_or_else(|| panic!("no verdict; the log:\n{log}")), log }
    }

    /// Begins a step; it runs until the answer is awaited.
    pub(crate) fn begin(
        &self,
        assignment: Assignment,
        settings: Settings,
    ) -> (tokio::task::JoinHandle<model::Result<()>>, watch::Sender<bool>) {
        self.server.known().waiting.push_back(assignment);
        let (end, shutdown) = watch::channel(false);
        (tokio::spawn(runner::run(settings, shutdown)), end)
    }
}

pub(crate) fn variable(name: &str, value: &str, secured: bool) -> Variable {
    Variable { name: name.to_owned(), value: value.to_owned(), secured, output: false }
}

/// An id that no other test has: from the folder's name, which is drawn by chance.
fn uuid(folder: &Path) -> String {
    let name = folder.file_name().unwrap().to_string_lossy();
    name.bytes().map(|byte| format!("{byte:02x}")).collect::<String>()
}

pub(crate) fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.current_dir(folder).args(["-c", "user.name=t", "-c", "user.email=t@t.invalid"]).args(arguments);
    let output = command.output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The processes of the machine that have this text in their arguments.
pub(crate) fn processes(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let number = entry.file_name().to_string_lossy().into_owned();
        if line.contains(text) && number != std::process::id().to_string() {
            found.push(format!("{number}: {line}"));
        }
    }
    found
}

/// Waits until something holds. The limit is for a test that fails, not for one that passes.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..1500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what} did not come");
}
