//! What a runner and the server say to each other, as JSON over HTTPS. The runner asks, always; so it works behind any
//! firewall.
//!
//! | call | what for |
//! |---|---|
//! | `POST /api/runner/register` | a one-time [`Registration`] code becomes a [`Registered`] runner's credential |
//! | `POST /api/runner/rotate` | a new credential; the one before ends with the new one's first use |
//! | `POST /api/runner/claim` | [`Claim`] a step: 200 with an [`Assignment`], or 204 when the wait is over |
//! | `POST /api/runner/steps/{step}/heartbeat` | [`Heartbeat`]: keep the lease; 409 where it is lost |
//! | `POST /api/runner/steps/{step}/logs/{log}?attempt=N&offset=N` | append bytes to a log |
//! | `POST /api/runner/steps/{step}/finish` | [`Finish`]: how it ended |
//! | `POST /api/runner/steps/{step}/tokens` | [`TokenRequest`]: an identity token for the step |
//! | `POST /api/runner/steps/{step}/aws` | [`AwsRequest`]: [`AwsAccess`] anew, to the role that the step names |
//! | `POST /api/runner/steps/{step}/registry` | [`RegistryRequest`]: a [`RegistryLogin`] for an image in Amazon's registry |
//! | `GET`, `PUT /api/runner/steps/{step}/caches/{cache}?attempt=N&key=K` | a cache, as a tar, compressed with gzip |
//! | `GET`, `PUT /api/runner/steps/{step}/artifacts/{artifact}?attempt=N` | an artifact, likewise |
//! | `PUT /api/runner/steps/{step}/test-report?attempt=N` | what test tools reported: a [`TestReport`](crate::test_report::TestReport) |
//! | `PUT /api/runner/steps/{step}/sarif?attempt=N&report=R` | a SARIF file among the step's artifacts: [`SarifReports`] |
//!
//! Every call but the first has `Authorization: Bearer` with the runner's credential. Whatever is said of a step names
//! the attempt, and is refused (409) unless that attempt's lease is this runner's at that moment. A runner that loses
//! its lease kills the step at once: the server gives the step to nobody before the lease and a [`margin`] are over.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{RunFacts, image::RegistryAccess, plan::PlannedStep};

/// The version that is spoken here. A server takes its own and the one before.
pub const VERSION: u32 = 1;

/// How long a lease holds after it was last renewed, in seconds, where the server is not told otherwise.
pub const LEASE: u32 = 30;

/// The shortest lease that a server gives: a runner ends its step before the lease is over, and that takes a moment.
pub const SHORTEST_LEASE: u32 = 6;

/// The longest, in seconds: so long a step stands still at most when its runner is gone.
pub const LONGEST_LEASE: u32 = 3600;

/// How often a lease of so many seconds is renewed, in seconds: so that several signs of life may be lost.
#[must_use]
pub const fn heartbeat(lease: u32) -> u32 {
    let every = lease / 6;
    if every == 0 { 1 } else { every }
}

/// How long the server waits after the end of a lease of so many seconds before it gives the step to another, in seconds.
#[must_use]
pub const fn margin(lease: u32) -> u32 {
    lease / 3
}

/// The longest a claim waits for a step, in seconds.
pub const LONGEST_WAIT: u32 = 30;

/// The most of a log that is sent at once, in bytes.
pub const LOG_CHUNK: usize = 256 * 1024;

/// The most that a log holds, in bytes; what comes after is counted and left out.
pub const LOG_LIMIT: u64 = 100 * 1024 * 1024;

/// What pipes leave to the pipes of later steps, among the artifacts. No artifact of a file has such a name.
pub const PIPE_STORAGE: &str = "bastide:pipe-storage";

/// The log of the step's own commands. Services have logs by their names.
pub const STEP_LOG: &str = "step";

/// A runner that presents its one-time code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// [`VERSION`].
    pub protocol: u32,
    /// The code: `bst_rcd_…`.
    pub code: String,
    /// What the program is.
    pub program: Program,
}

/// What runs a runner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Its version.
    pub version: String,
    /// `linux`, `macos` or `windows`.
    pub os: String,
    /// `x86_64`, `aarch64`.
    pub arch: String,
    /// What containers are run with: `podman 4.3.1`; nothing where there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub containers: Option<String>,
}

/// A credential for a runner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// The runner's UUID.
    pub runner: String,
    /// Its name.
    pub name: String,
    /// Its credential: `bst_run_…`. Replaced every day or so, by `rotate`.
    pub credential: String,
    /// After how many seconds it should be replaced.
    pub rotate_after: u32,
}

/// A runner asks for a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// [`VERSION`].
    pub protocol: u32,
    /// What the program is.
    pub program: Program,
    /// The labels that follow from what it can do: `self.hosted`, `linux.shell`, `linux` where containers work.
    pub labels: Vec<String>,
    /// How long to wait for one, in seconds.
    pub wait: u32,
}

/// A step to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    /// The step's UUID.
    pub step: String,
    /// Which attempt at it this is, from 1.
    pub attempt: u32,
    /// How many seconds the lease holds unless it is renewed.
    pub lease: u32,
    /// What is run.
    pub plan: PlannedStep,
    /// What the step's variables tell of its run.
    pub run: RunFacts,
    /// Who started it.
    pub triggerer: String,
    /// The UUID of the environment that it deploys to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Variables that people have set, or that earlier steps have left: one of each name.
    pub variables: Vec<Variable>,
    /// Where the repository comes from.
    pub source: Source,
    /// Identity tokens.
    pub tokens: Vec<Token>,
    /// Credentials at Amazon, or how the step gets at them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<AwsAccess>,
    /// How it connects over SSH.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<SshAccess>,
    /// Artifacts of earlier steps that it begins with, in this order.
    pub artifacts: Vec<Artifact>,
    /// What each pipe that it names runs, by the name.
    pub pipes: BTreeMap<String, String>,
}

/// A variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Whether it is hidden in logs.
    #[serde(default)]
    pub secured: bool,
    /// Whether an earlier step has left it: such are told at the beginning of the log.
    #[serde(default)]
    pub output: bool,
}

/// Where a step's repository comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The address to clone from, without a credential.
    pub url: String,
    /// The step's own token: git's password for the user `x-token-auth`, Bearer for REST. Ends with the step.
    pub token: String,
    /// The full id of the commit.
    pub commit: String,
    /// The ref that the commit lies on: `refs/heads/main`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// An identity token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// The variable that holds it.
    pub variable: String,
    /// The token.
    pub token: String,
}

/// How a step gets at Amazon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "kebab-case")]
pub enum AwsAccess {
    /// The step's tools exchange an identity token themselves.
    WebIdentity {
        /// The role.
        role: String,
        /// The name of the session.
        session_name: String,
        /// The token.
        token: String,
        /// For how long the token lives from now, in seconds.
        #[serde(default)]
        lives: u32,
        /// How long credentials live, in seconds.
        duration: u32,
        /// The region.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        region: Option<String>,
    },
    /// The server has taken on the role: these are the session's credentials.
    Session {
        /// `AWS_ACCESS_KEY_ID`.
        access_key: String,
        /// `AWS_SECRET_ACCESS_KEY`.
        secret_key: String,
        /// `AWS_SESSION_TOKEN`.
        session_token: String,
        /// When they end, in seconds since 1970.
        expires: i64,
        /// The region.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        region: Option<String>,
    },
}

/// How a step connects over SSH.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshAccess {
    /// The file of the private key, in OpenSSH's form. Secret, as the tokens here are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<String>,
    /// Lines of `known_hosts`.
    #[serde(default)]
    pub known_hosts: Vec<String>,
}

/// An artifact of an earlier step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Its id, by which it is fetched.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its length, in bytes.
    pub size: u64,
    /// The SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
}

/// A runner says that a step still runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Which attempt.
    pub attempt: u32,
}

/// What it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// How many seconds the lease holds from now.
    pub lease: u32,
    /// Whether the step is to be stopped.
    pub stop: bool,
}

/// How far a log is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPosition {
    /// How many bytes the server has. Whatever was sent before this place is kept.
    pub length: u64,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finish {
    /// Which attempt.
    pub attempt: u32,
    /// The verdict.
    pub verdict: Verdict,
    /// What it leaves to later steps: the output variables that it names and has set.
    #[serde(default)]
    pub outputs: BTreeMap<String, String>,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// All its commands succeeded.
    Passed,
    /// A command did not.
    Failed {
        /// Its exit status; 128 and the signal where one ended it.
        exit_code: i32,
    },
    /// Somebody stopped it.
    Stopped,
    /// It took longer than it may.
    TimedOut {
        /// How long it may, in minutes.
        minutes: u32,
    },
    /// It could not be run: a sentence for who reads the log.
    Error {
        /// Why.
        message: String,
    },
}

/// Asks for an identity token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRequest {
    /// Which attempt.
    pub attempt: u32,
    /// For whom; the step's own audiences where none is named.
    #[serde(default)]
    pub audiences: Vec<String>,
}

/// Asks for the way to Amazon anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwsRequest {
    /// Which attempt.
    pub attempt: u32,
}

/// Asks how an image is fetched from Amazon's registry.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryRequest {
    /// Which attempt.
    pub attempt: u32,
    /// The registry: `123456789012.dkr.ecr.eu-central-1.amazonaws.com`.
    pub registry: String,
    /// How the plan says that it is asked, with variables put in.
    pub access: RegistryAccess,
}

/// How it is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryLogin {
    /// The name.
    pub username: String,
    /// The password.
    pub password: String,
}

/// An identity token that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MintedToken {
    /// The token.
    pub token: String,
    /// When it ends, in seconds since 1970.
    pub expires: i64,
}

/// What became of a SARIF file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SarifReports {
    /// A report for each tool.
    pub reports: Vec<SarifReport>,
}

/// A report that was made of a SARIF file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SarifReport {
    /// What it is called.
    pub name: String,
    /// How many findings it shows.
    pub annotations: u64,
}

/// An artifact or a cache that was kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its id.
    pub id: String,
    /// Its length, in bytes.
    pub size: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, check};

    /// A step is stored as JSON between its plan and its run: nothing may be lost on the way.
    #[test]
    fn a_planned_step_comes_back_from_json_as_it_was() {
        let text = "image: {name: alpine, run-as-user: 5}\noptions: {oidc: {audiences: [one]}}\ndefinitions:\n  caches:\n    own: {path: x, key: {files: [a.lock]}}\n\
                    \x20 services: {db: {image: postgres, variables: {A: b}}}\npipelines:\n  default:\n    - parallel:\n        fail-fast: true\n        steps:\n\
                    \x20         - step: &one\n              name: One\n              oidc: true\n              size: 2x\n              caches: [own, node]\n              services: [db, docker]\n\
                    \x20             condition: {changesets: {includePaths: ['src/**']}, state: 'BITBUCKET_BRANCH == \"main\"'}\n\
                    \x20             clone: {depth: full}\n              artifacts: {download: false, upload: [{name: a, paths: [b/**], capture-on: always}]}\n\
                    \x20             aws: {role: 'arn:aws:iam::123456789012:role/x'}\n              deployment: Staging\n              output-variables: [X]\n\
                    \x20             script: ['true', {pipe: 'docker://x:1', variables: {A: b, C: [d, e]}}]\n\
                    \x20         - step: {script: ['false']}\n";
        let checked = check("f", text);
        let configuration = checked.configuration.unwrap();
        let plan = configuration.plan(&Event::Branch { branch: "main".to_owned() }).unwrap();
        let pipeline = plan.pipelines.into_iter().next().unwrap();
        assert_eq!(pipeline.steps.len(), 2);
        let told = serde_json::to_value(&pipeline).unwrap();
        let read: crate::PlannedPipeline = serde_json::from_value(told.clone()).unwrap();
        // Places of spans are told as lines and columns; their offsets stay behind.
        assert_eq!(serde_json::to_value(&read).unwrap(), told);
        assert_eq!(
            (&read.steps[0].condition, &read.steps[0].script),
            (&pipeline.steps[0].condition, &pipeline.steps[0].script)
        );
    }

    #[test]
    fn a_verdict_is_told_with_its_kind() {
        let finish =
            Finish { attempt: 1, verdict: Verdict::Failed { exit_code: 2 }, outputs: BTreeMap::new() };
        let text = serde_json::to_string(&finish).unwrap();
        assert_eq!(text, r#"{"attempt":1,"verdict":{"verdict":"failed","exit_code":2},"outputs":{}}"#);
        assert_eq!(serde_json::from_str::<Finish>(&text).unwrap(), finish);
    }
}
