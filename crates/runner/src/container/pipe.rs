//! Pipes: containers that are run from the middle of a script. The script's shell tells the agent which one, from which
//! folder, and the values of its variables; it waits until the container has ended, and goes on or fails by its status.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use pipeline::protocol::AwsAccess;
use pipeline::script::Pipe;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::unix::pipe::Receiver;
use tokio::task::JoinHandle;

use super::engine::Privileges;
use super::service::{INTERNAL, PROGRAM};
use super::{Container, Engine, Fifo};
use crate::aws::Aws;
use crate::lease::Lease;
use crate::log::Log;
use crate::process::{self, Ended};
use crate::script;
use crate::workspace::PIPE_STORAGE;

/// The variable by which Bitbucket's own pipes for Amazon are told which role they take on with the step's identity token.
const OIDC_ROLE: &str = "AWS_OIDC_ROLE_ARN";
/// The variable of the file of that token.
const OIDC_FILE: &str = "BITBUCKET_STEP_OIDC_TOKEN_FILE";

/// How long a word of a shell may be, in bytes.
const LONGEST: u64 = 1024 * 1024;

/// Answers until it is dropped.
pub(crate) struct Answering(JoinHandle<()>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What is known of a pipe before the step runs.
struct Known {
    title: String,
    image: Result<String, String>,
    names: Vec<String>,
    storage: String,
}

/// All that running one takes.
struct Runner {
    engine: Engine,
    step: String,
    own: String,
    network: bool,
    known: Vec<Known>,
    /// What each pipe finds in its environment beside its own variables.
    given: Vec<(String, String)>,
    /// Mounted where the step has them.
    folders: Vec<(PathBuf, String)>,
    build: String,
    tmp: String,
    ssh: String,
    kept: PathBuf,
    log: Log,
    lease: Lease,
    /// By which address containers of the step's Docker daemon reach it.
    address: Arc<OnceLock<String>>,
    /// The way to Amazon, where pipes cannot ask the agent for it.
    aws: Option<Arc<Aws>>,
    /// The file of the step's identity token, where the step takes on no role by itself.
    token_file: Option<String>,
}

impl Container<'_> {
    /// Answers the calls of the step's pipes; nothing where it has none.
    pub(crate) fn answer_pipes(&self) -> Result<Option<Answering>, String> {
        let pipes = script::pipes(&self.assignment.plan);
        if pipes.is_empty() {
            return Ok(None);
        }
        let engine = self.engine()?.clone();
        let (request, answer) = (self.fifo("request")?, self.fifo("answer")?);
        let mut folders = vec![
            (self.workspace.build(), self.inside.build.clone()),
            (self.workspace.tmp(), self.inside.tmp.clone()),
            (self.workspace.ssh(), self.inside.ssh.clone()),
        ];
        let network = folders.iter().any(|(from, to)| from != Path::new(to));
        if self.program().exists() {
            folders.push((self.program(), PROGRAM.to_owned()));
        }
        // Beside a step in no image, a pipe has a network of its own, where no agent answers.
        let session = matches!(self.assignment.aws, Some(AwsAccess::Session { .. }));
        let runner = Runner {
            aws: self.aws.filter(|_| session && !network).cloned(),
            address: Arc::clone(&self.address),
            engine,
            step: self.name.to_owned(),
            own: self.own(),
            network,
            known: pipes.iter().map(|pipe| self.known(pipe)).collect::<Result<_, _>>()?,
            given: self.given(),
            token_file: self
                .environment
                .variables
                .get(OIDC_FILE)
                .filter(|_| self.assignment.aws.is_none())
                .cloned(),
            folders,
            build: self.inside.build.clone(),
            tmp: self.inside.tmp.clone(),
            ssh: self.inside.ssh.clone(),
            kept: self.workspace.kept(),
            log: self.log.clone(),
            lease: self.lease.clone(),
        };
        Ok(Some(Answering(tokio::spawn(answer_all(Arc::new(runner), request, answer)))))
    }

    fn known(&self, pipe: &Pipe) -> Result<Known, String> {
        let image = match pipe.pipe.strip_prefix("docker://") {
            Some(image) => self.image(image),
            None => match self.assignment.pipes.get(&pipe.pipe) {
                Some(image) => self.image(image.strip_prefix("docker://").unwrap_or(image)),
                None => Err(format!("nothing is known of the pipe `{}`", pipe.pipe)),
            },
        };
        let storage: String = pipe
            .pipe
            .chars()
            .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' })
            .collect();
        // Made now: later the folder is under the step's hands.
        let root = self.workspace.pipe_storage();
        for folder in [root.clone(), root.join("shared"), root.join(&storage)] {
            if !folder.exists() {
                std::fs::create_dir(&folder).map_err(|error| error.to_string())?;
                self.workspace.owner.give(&folder).map_err(|error| error.to_string())?;
            }
        }
        let names = script::pipe_variables(pipe).into_iter().map(|(name, _)| name).collect();
        Ok(Known { title: pipe.pipe.clone(), image, names, storage })
    }

    /// The default variables, tokens, and what they are told of; not what people have set.
    fn given(&self) -> Vec<(String, String)> {
        let tokens = self.assignment.tokens.iter().map(|token| token.variable.as_str());
        let tokens: Vec<_> = tokens.flat_map(|name| [name.to_owned(), format!("{name}_FILE")]).collect();
        let by_token = self.environment.variables.contains_key(OIDC_ROLE);
        let aws = |name: &str| match self.assignment.aws {
            Some(_) => name.starts_with("AWS_"),
            None => by_token && matches!(name, OIDC_ROLE | "AWS_REGION" | "AWS_DEFAULT_REGION"),
        };
        let daemon = self.daemon.is_some();
        let fits = |name: &str| {
            name == "CI"
                || (daemon && name == "DOCKER_HOST")
                || name.starts_with("BITBUCKET_")
                || name.starts_with("BASTIDE_")
                || aws(name)
                || tokens.iter().any(|token| token == name)
        };
        let variables = self.environment.variables.iter().filter(|(name, _)| fits(name));
        variables.map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

async fn answer_all(runner: Arc<Runner>, request: Fifo, answer: Fifo) {
    let mut words = BufReader::new(request.read);
    let mut count = 0;
    loop {
        let Some(called) = call(&mut words, &runner.known).await else {
            // What came was no call; whoever waits is told so.
            if answer.write(b"1\n").await.is_err() {
                return;
            }
            continue;
        };
        count += 1;
        let code = match runner.run(count, called).await {
            Ok(code) => code,
            Err(why) => {
                runner.log.line(&format!("The pipe could not be run: {why}")).await;
                1
            }
        };
        if answer.write(format!("{code}\n").as_bytes()).await.is_err() {
            return;
        }
    }
}

/// A call: which pipe, from where, with which values.
struct Called {
    number: usize,
    folder: String,
    values: Vec<String>,
}

async fn call(words: &mut BufReader<Receiver>, known: &[Known]) -> Option<Called> {
    let number: usize = word(words).await?.parse().ok()?;
    let folder = word(words).await?;
    let mut values = Vec::new();
    for _ in &known.get(number)?.names {
        values.push(word(words).await?);
    }
    Some(Called { number, folder, values })
}

async fn word(words: &mut BufReader<Receiver>) -> Option<String> {
    let mut bytes = Vec::new();
    words.take(LONGEST).read_until(0, &mut bytes).await.ok()?;
    (bytes.pop() == Some(0)).then_some(())?;
    String::from_utf8(bytes).ok()
}

/// Lets Amazon's tools in a pipe take on the role that `AWS_OIDC_ROLE_ARN` names, with the step's identity token. What somebody
/// has set for the pipe stays.
fn by_token(variables: &mut Vec<(String, String)>, file: &str) {
    let value =
        |wanted: &str| variables.iter().rev().find(|(name, _)| name == wanted).map(|(_, value)| value);
    let Some(role) = value(OIDC_ROLE).filter(|role| !role.is_empty()).cloned() else { return };
    for (name, value) in [("AWS_ROLE_ARN", role.as_str()), ("AWS_WEB_IDENTITY_TOKEN_FILE", file)] {
        if !variables.iter().any(|(known, _)| known == name) {
            variables.push((name.to_owned(), value.to_owned()));
        }
    }
}

impl Runner {
    async fn run(&self, count: u32, called: Called) -> Result<i32, String> {
        let known = self.known.get(called.number).ok_or("there is no such pipe")?;
        let image = known.image.clone()?;
        let mut command =
            self.engine.command(["run", "--rm", "--name", &format!("{}-pipe-{count}", self.own)]);
        self.engine.labelled(&mut command, &self.step, Privileges::None);
        for (from, to) in &self.folders {
            let mode = if *to == self.ssh || *to == PROGRAM { ":ro" } else { "" };
            command.arg("--volume").arg(format!("{}:{to}{mode}", from.display()));
        }
        if self.network {
            command.arg("--network").arg(format!("container:{}", self.own));
        }
        let within = Path::new(&called.folder).starts_with(&self.build) && !called.folder.contains("..");
        command.arg("--workdir").arg(if within { &called.folder } else { &self.build });
        let mut variables = self.given.clone();
        let storage = format!("{}/{PIPE_STORAGE}", self.tmp);
        variables.push(("BITBUCKET_PIPE_STORAGE_DIR".to_owned(), format!("{storage}/{}", known.storage)));
        variables.push(("BITBUCKET_PIPE_SHARED_STORAGE_DIR".to_owned(), format!("{storage}/shared")));
        if let Some(address) = self.address.get() {
            variables.push((INTERNAL.to_owned(), address.clone()));
        }
        if let Some(aws) = &self.aws {
            let session = aws.session(&self.log).await.map_err(|error| error.to_string())?;
            variables.retain(|(name, _)| !name.starts_with("AWS_CONTAINER_"));
            for (name, value) in [
                ("AWS_ACCESS_KEY_ID", session.access_key),
                ("AWS_SECRET_ACCESS_KEY", session.secret_key),
                ("AWS_SESSION_TOKEN", session.session_token),
            ] {
                variables.push((name.to_owned(), value));
            }
        }
        variables.extend(known.names.iter().cloned().zip(called.values));
        if let Some(file) = &self.token_file {
            by_token(&mut variables, file);
        }
        let file = self.kept.join(format!("pipe-{count}"));
        let text = super::environment_text(variables, &mut command);
        super::write_private(&file, &text).map_err(|error| error.to_string())?;
        command.arg("--env-file").arg(&file).arg(image);
        self.log.line(&format!("Pipe {}", known.title)).await;
        let ended = process::run(command, &self.log, self.lease.clone(), process::Rest::Stays).await;
        let _ = std::fs::remove_file(&file);
        match ended.map_err(|error| error.to_string())? {
            Ended::Exit(code) => Ok(code),
            Ended::Killed(_) => Ok(137),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Would catch: a pipe of Bitbucket's that is told a role and finds no way to it; a way to a role that nobody has named; and
    /// what somebody has set for the pipe, replaced.
    #[test]
    fn a_pipe_that_is_told_a_role_finds_the_way_to_it() {
        let with = |set: &[(&str, &str)]| {
            let mut variables: Vec<_> =
                set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            by_token(&mut variables, "/tmp/token");
            variables
                .into_iter()
                .skip(set.len())
                .map(|(name, value)| format!("{name}={value}"))
                .collect::<Vec<_>>()
        };
        let way = |role: &str| {
            vec![format!("AWS_ROLE_ARN={role}"), "AWS_WEB_IDENTITY_TOKEN_FILE=/tmp/token".to_owned()]
        };
        assert_eq!(with(&[(OIDC_ROLE, "one")]), way("one"));
        // Its own value counts, which stands behind that of the repository.
        assert_eq!(with(&[(OIDC_ROLE, "one"), (OIDC_ROLE, "two")]), way("two"));
        assert_eq!(with(&[("CI", "true")]), [""; 0]);
        assert_eq!(with(&[(OIDC_ROLE, "one"), (OIDC_ROLE, "")]), [""; 0]);
        let set = [(OIDC_ROLE, "one"), ("AWS_ROLE_ARN", "own"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "own")];
        assert_eq!(with(&set), [""; 0]);
    }
}
