//! A step's way to Amazon, kept open for as long as the step runs: the session's credentials, of which the step asks its agent
//! on a port of its own, as Amazon's tools ask a container's provider; or the file of the identity token, replaced before the
//! token ends.
//!
//! The server is asked each time, so that a grant that was taken away counts from then on.

use std::sync::Arc;
use std::time::Duration;

use model::{Clock, Secret, Timestamp};
use pipeline::protocol::{Assignment, AwsAccess};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::lease::Lease;
use crate::log::Log;
use crate::server::{CallError, Server};
use crate::variables;
use crate::workspace::Workspace;

/// Where a step asks its agent for credentials.
pub(crate) const CREDENTIALS: &str = "/bastide/aws/credentials";
/// How long before its end a token is replaced; where it is a short one, half of its life.
const BEFORE: u32 = 300;
/// How long is waited before the server is asked again that did not answer.
const PAUSE: Duration = Duration::from_secs(5);

/// Credentials of a session.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    pub(crate) session_token: String,
    expires: i64,
}

impl Session {
    fn of(access: &AwsAccess) -> Option<Self> {
        match access {
            AwsAccess::Session { access_key, secret_key, session_token, expires, .. } => Some(Self {
                access_key: access_key.clone(),
                secret_key: secret_key.clone(),
                session_token: session_token.clone(),
                expires: *expires,
            }),
            AwsAccess::WebIdentity { .. } => None,
        }
    }

    /// As Amazon's tools read it.
    pub(crate) fn shape(&self) -> Value {
        let ends = Timestamp::from_micros(self.expires.saturating_mul(1_000_000)).to_string();
        json!({
            "AccessKeyId": self.access_key, "SecretAccessKey": self.secret_key, "Token": self.session_token,
            // Some of them read no other form.
            "Expiration": format!("{}Z", ends.get(..19).unwrap_or_default()),
        })
    }
}

/// Credentials, and since when they are here.
struct Held {
    session: Session,
    since: i64,
}

impl Held {
    /// Whether they are given out at a time: while more than half of their life is left.
    fn lasts(&self, now: i64) -> bool {
        let (life, left) = (self.session.expires.saturating_sub(self.since), self.session.expires - now);
        left.saturating_mul(2) > life
    }
}

/// A step's way to Amazon.
pub(crate) struct Aws {
    server: Server,
    lease: Lease,
    clock: Clock,
    secret: Secret,
    held: Mutex<Option<Held>>,
}

/// Keeps a token fresh until it is dropped.
pub(crate) struct Refreshing(JoinHandle<()>);

impl Drop for Refreshing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Aws {
    /// Of a step that has a role. `secret` is what it shows its agent.
    pub(crate) fn of(
        assignment: &Assignment,
        server: Server,
        lease: Lease,
        clock: Clock,
        secret: String,
    ) -> Option<Arc<Self>> {
        let access = assignment.aws.as_ref()?;
        let since = clock.now().seconds();
        let held = Mutex::new(Session::of(access).map(|session| Held { session, since }));
        Some(Arc::new(Self { server, lease, clock, secret: Secret::new(secret), held }))
    }

    /// What a step shows its agent.
    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The same, for who may go away before there is an answer: it is kept for the next.
    pub(crate) async fn session_kept(self: &Arc<Self>, log: &Log) -> Result<Session, CallError> {
        let (own, log) = (self.clone(), log.clone());
        let asked = tokio::spawn(async move { own.session(&log).await });
        asked.await.map_err(|error| CallError::Unreached(error.to_string()))?
    }

    /// Credentials of which more than half of their life is left.
    pub(crate) async fn session(&self, log: &Log) -> Result<Session, CallError> {
        // Whoever asks meanwhile waits, and gets the same.
        let mut held = self.held.lock().await;
        let now = self.clock.now().seconds();
        if let Some(known) = held.as_ref().filter(|known| known.lasts(now)) {
            return Ok(known.session.clone());
        }
        let access = match self.server.aws(self.lease.attempt()).await {
            Ok(access) => access,
            Err(error) => {
                log.line(&format!("The step gets no new credentials for its role: {error}")).await;
                return Err(error);
            }
        };
        let Some(session) = Session::of(&access) else {
            let message =
                "the role is taken on with a token now, and the step began with credentials".to_owned();
            return Err(CallError::Refused { status: 409, message });
        };
        // They are hidden before the step can print them.
        let since = self.clock.now().seconds();
        let lives = Duration::from_secs(u64::try_from(session.expires - since).unwrap_or_default());
        let values = [
            ("AWS_SECRET_ACCESS_KEY", session.secret_key.as_str()),
            ("AWS_SESSION_TOKEN", session.session_token.as_str()),
        ];
        if let Err(error) = log.secrets().hide(&values, Some(lives)) {
            log.line(&format!("The step gets no new credentials for its role: {error}")).await;
            return Err(error.into());
        }
        *held = Some(Held { session: session.clone(), since });
        Ok(session)
    }

    /// Replaces the file of the identity token whenever it is time; nothing where the step has none.
    pub(crate) fn refresh(
        self: &Arc<Self>,
        access: &AwsAccess,
        workspace: &Workspace,
        log: &Log,
    ) -> Option<Refreshing> {
        let AwsAccess::WebIdentity { lives, .. } = access else { return None };
        let (own, workspace, log, first) = (self.clone(), workspace.clone(), log.clone(), *lives);
        Some(Refreshing(tokio::spawn(async move {
            let (mut lives, mut told) = (first, false);
            // A server that does not tell how long a token lives gives none anew.
            while lives > 0 {
                sleep(replaced_after(lives)).await;
                // There is room again when other tokens have ended.
                if let Err(error) = log.secrets().fit_token() {
                    if !std::mem::replace(&mut told, true) {
                        log.line(&format!("The token for the step's role is not replaced yet: {error}"))
                            .await;
                    }
                    sleep(PAUSE).await;
                    lives = 1;
                    continue;
                }
                lives = match own.server.aws(own.lease.attempt()).await {
                    Ok(AwsAccess::WebIdentity { token, lives, .. }) => {
                        if let Err(error) = log.secrets().hide_token(variables::AWS_TOKEN, &token) {
                            log.line(&format!("The step gets no new token for its role: {error}")).await;
                            return;
                        }
                        if let Err(error) = workspace.replace(&variables::aws_token_file(&workspace), &token)
                        {
                            log.line(&format!("The token for the step's role cannot be replaced: {error}"))
                                .await;
                            return;
                        }
                        lives
                    }
                    Ok(AwsAccess::Session { .. }) => return,
                    Err(error) if error.may_pass() => {
                        sleep(PAUSE).await;
                        1
                    }
                    Err(error) => {
                        log.line(&format!("The step gets no new token for its role: {error}")).await;
                        return;
                    }
                };
            }
        })))
    }
}

/// After how long a token is replaced that lives for so many seconds.
fn replaced_after(lives: u32) -> Duration {
    Duration::from_secs(u64::from(lives - (lives / 2).min(BEFORE)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_replaced_before_it_ends() {
        for (lives, after) in [(3600, 3300), (900, 600), (60, 30), (3, 2), (1, 1)] {
            assert_eq!(replaced_after(lives).as_secs(), after);
        }
    }

    #[test]
    fn credentials_are_given_out_for_half_of_their_life() {
        let session = Session {
            access_key: "A".to_owned(),
            secret_key: "s".to_owned(),
            session_token: "t".to_owned(),
            expires: 4000,
        };
        assert_eq!(session.shape()["Expiration"], "1970-01-01T01:06:40Z");
        let held = Held { session, since: 400 };
        assert!(held.lasts(400) && held.lasts(2199));
        assert!(!held.lasts(2200) && !held.lasts(5000));
    }
}
