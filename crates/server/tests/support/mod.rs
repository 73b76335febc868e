//! A house of its own for each test: a server on a free port in this process, whose hooks are the built `bastide`, and
//! real clients.

#![allow(dead_code, reason = "each test program uses a part")]

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use model::{Clock, ForkPolicy, Random, RequestId, Secret, Token};
use server::app::{App, Settings};
use server::http::listener::serving;
use server::http::{Limits, Listener, Stop};
use service::{
    Caller, Door, NewCredential, NewProject, NewRepository, NewUser, Presented, RepositoryPath,
    RequiredScopes, Service, TokenPlace,
};
use tempfile::TempDir;

pub(crate) const BASTIDE: &str = env!("CARGO_BIN_EXE_bastide");

/// Runs the program.
pub(crate) fn bastide(arguments: &[&str]) -> Output {
    Command::new(BASTIDE).args(arguments).env_remove("BASTIDE_MASTER_KEY").output().unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A server in this process, with the workspace `acme`, its project `CORE` and the administrator `ann`.
pub(crate) struct House {
    pub(crate) service: Service,
    pub(crate) app: App,
    pub(crate) url: String,
    pub(crate) administrator: Token,
    pub(crate) folder: TempDir,
    stop: Stop,
}

impl Drop for House {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

impl House {
    pub(crate) async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = Listener::tcp("127.0.0.1:0".parse().unwrap(), None, false).await.unwrap();
        let url = format!("http://{}", listener.address().unwrap());
        let (clock, random) = (Clock::system(), Random::system());
        let settings = Settings { base_url: url.clone(), ..Settings::default() };
        let app = App::new(settings, clock.clone(), random.clone()).unwrap();
        let settings = service::Settings {
            data: folder.path().join("data"),
            database: None,
            base_url: url.clone(),
            program: PathBuf::from(BASTIDE),
            search_path: None,
            restore_days: 30,
            master_key: None,
        };
        let service = Service::open(settings, clock, random).await.unwrap();
        service.start_background().await.unwrap();
        app.open(service.clone());
        let stop = Stop::default();
        tokio::spawn(listener.serve(serving(app.clone()), Limits::default(), stop.clone()));
        let new = NewUser {
            username: "ann".parse().unwrap(),
            email: "ann@example.com".parse().unwrap(),
            display_name: None,
            password: None,
        };
        let operator = Caller::operator(RequestId::new(&app.random));
        let (_, minted) = service.bootstrap(&operator, new).await.unwrap();
        let house = Self { service, app, url, administrator: minted.token, folder, stop };
        let ann = house.ann("workspace:admin").await;
        house.service.create_workspace(&ann, "acme".parse().unwrap(), "Acme".parse().unwrap()).await.unwrap();
        let project = NewProject {
            key: "CORE".parse().unwrap(),
            name: None,
            description: String::new(),
            private: false,
        };
        let ann = house.ann("admin:project:bitbucket").await;
        house.service.create_project(&ann, "acme", project).await.unwrap();
        askpass(house.folder.path());
        house
    }

    /// The administrator, in a call that requires a scope.
    pub(crate) async fn ann(&self, scope: &str) -> Caller {
        let presented = Presented::Basic {
            user: "ann@example.com".to_owned(),
            password: self.administrator.secret().clone(),
        };
        let id = RequestId::new(&self.app.random);
        let scopes = scope.parse().unwrap();
        let ann = self.service.authenticate(presented, Door::Api, None, id).await.unwrap();
        ann.requiring(RequiredScopes { classic: scopes, flat: scopes })
    }

    pub(crate) async fn repository(&self, slug: &str, private: bool) -> RepositoryPath {
        let new = NewRepository {
            slug: slug.parse().unwrap(),
            name: None,
            project: None,
            description: String::new(),
            private,
            fork_policy: ForkPolicy::AllowForks,
            language: String::new(),
            has_issues: false,
            has_wiki: false,
            default_branch: None,
        };
        let ann = self.ann("admin:repository:bitbucket").await;
        self.service.create_repository(&ann, "acme", new).await.unwrap();
        RepositoryPath::parse("acme", slug).unwrap()
    }

    /// An access token on a repository.
    pub(crate) async fn token(&self, on: &RepositoryPath, scope: &str) -> (model::CredentialId, Secret) {
        let new =
            NewCredential { name: "test".parse().unwrap(), scopes: vec![scope.to_owned()], expires_on: None };
        let ann = self.ann("credential:write").await;
        let place = TokenPlace::Repository(on.clone());
        let minted = self.service.create_access_token(&ann, &place, new).await.unwrap();
        (minted.credential.id, minted.token.secret().clone())
    }

    pub(crate) fn address(&self, slug: &str) -> String {
        format!("{}/acme/{slug}.git", self.url)
    }

    /// A git client with a credential.
    pub(crate) fn git(&self, user: &str, secret: &Secret) -> Git {
        Git {
            home: self.folder.path().to_owned(),
            variables: vec![
                ("BASTIDE_USER".to_owned(), user.to_owned()),
                ("BASTIDE_TOKEN".to_owned(), secret.expose().to_owned()),
            ],
        }
    }

    /// A git client that is nobody.
    pub(crate) fn stranger(&self) -> Git {
        Git {
            home: self.folder.path().to_owned(),
            variables: vec![("GIT_ASKPASS".to_owned(), "false".to_owned())],
        }
    }

    /// What curl says of an address, headers first.
    pub(crate) async fn curl(&self, arguments: &[&str], path: &str) -> String {
        let mut command = Command::new("curl");
        command.args(["-sS", "-i", "--max-time", "30"]).args(arguments).arg(format!("{}{path}", self.url));
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    }
}

/// What answers git's questions for a user name and a password.
fn askpass(folder: &Path) {
    let script =
        "#!/bin/sh\ncase \"$1\" in Username*) echo \"$BASTIDE_USER\";; *) echo \"$BASTIDE_TOKEN\";; esac\n";
    let path = folder.join("askpass");
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
}

/// The real git, without anybody's configuration.
#[derive(Clone)]
pub(crate) struct Git {
    home: PathBuf,
    variables: Vec<(String, String)>,
}

/// What a run of git came to.
pub(crate) struct Ran {
    pub(crate) good: bool,
    pub(crate) said: String,
}

impl Ran {
    #[track_caller]
    pub(crate) fn good(self) -> String {
        assert!(self.good, "{}", self.said);
        self.said
    }

    #[track_caller]
    pub(crate) fn refused(self) -> String {
        assert!(!self.good, "not refused: {}", self.said);
        self.said
    }
}

impl Git {
    #[must_use]
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut variables = self.variables.clone();
        variables.push((name.to_owned(), value.to_owned()));
        Self { home: self.home.clone(), variables }
    }

    /// Runs git in a folder, off the runtime's threads.
    pub(crate) async fn run<S: AsRef<OsStr>>(&self, folder: &Path, arguments: &[S]) -> Ran {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(folder).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        for (name, value) in [
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_AUTHOR_NAME", "Ann"),
            ("GIT_AUTHOR_EMAIL", "ann@example.com"),
            ("GIT_COMMITTER_NAME", "Ann"),
            ("GIT_COMMITTER_EMAIL", "ann@example.com"),
            ("LC_ALL", "C"),
        ] {
            command.env(name, value);
        }
        command.env("HOME", &self.home).env("GIT_ASKPASS", self.home.join("askpass"));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        Ran { good: output.status.success(), said: stdout(&output) + &stderr(&output) }
    }

    /// A work tree with some commits.
    pub(crate) async fn work_tree(&self, name: &str, commits: usize) -> PathBuf {
        let folder = self.home.join(name);
        std::fs::create_dir(&folder).unwrap();
        self.run(&folder, &["init", "-q", "-b", "main"]).await.good();
        for number in 0..commits {
            std::fs::write(folder.join("file"), format!("line {number}\n")).unwrap();
            self.run(&folder, &["add", "file"]).await.good();
            self.run(&folder, &["commit", "-q", "-m", &format!("commit {number}")]).await.good();
        }
        folder
    }
}
