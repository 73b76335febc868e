//! The flags of `serve` that decide how people sign in.

use std::path::PathBuf;

use clap::Args;
use model::{Error, Result};
use service::{SessionLimits, SignInSettings};

use super::installation::Config;

/// The flags.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct SignInFlags {
    /// After how many minutes without use a session ends [default: 480]
    #[arg(long, env = "BASTIDE_SESSION_IDLE", value_name = "MINUTES")]
    session_idle: Option<u32>,
    /// After how many hours a session ends, however much it is used [default: 168]
    #[arg(long, env = "BASTIDE_SESSION_LIFETIME", value_name = "HOURS")]
    session_lifetime: Option<u32>,
    /// A list of passwords that are refused: sorted lines of a SHA-1, a colon and a count, as Have I Been Pwned ships it
    #[arg(long, env = "BASTIDE_BREACHED_PASSWORDS", value_name = "FILE")]
    breached_passwords: Option<PathBuf>,
}

impl SignInFlags {
    /// What they say, or the configuration file where they say nothing.
    pub(super) fn settings(&self, config: &Config) -> Result<SignInSettings> {
        let usual = SessionLimits::default();
        let seconds = |number: Option<u32>, each: i64, usual: i64| match number {
            Some(0) => Err(Error::invalid("a session that ends at once lets nobody in: use at least 1")),
            Some(number) => Ok(i64::from(number) * each),
            None => Ok(usual),
        };
        let idle = self.session_idle.or(config.session_idle);
        let lifetime = self.session_lifetime.or(config.session_lifetime);
        let sessions = SessionLimits {
            idle_seconds: seconds(idle, 60, usual.idle_seconds)?,
            absolute_seconds: seconds(lifetime, 3_600, usual.absolute_seconds)?,
        };
        let breached_passwords =
            self.breached_passwords.clone().or_else(|| config.breached_passwords.clone());
        Ok(SignInSettings { sessions, breached_passwords })
    }
}
