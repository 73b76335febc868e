//! Passwords: hashing and checking, a bounded number at a time.
//!
//! Argon2id with 19 MiB and two passes (the OWASP minimum) costs about 23 ms of a core, on purpose. So a password is
//! only ever checked behind a semaphore as wide as the machine, and whoever has to wait too long is turned away
//! rather than queued without end.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use model::{Error, Random, Result, Secret};
use tokio::sync::{Semaphore, TryAcquireError};

use crate::breached::{Breached, is_common};

/// The shortest password that is accepted, in characters; there are no rules of composition.
pub(crate) const SHORTEST: usize = 12;
/// The longest, in bytes: nobody types more, and hashing is not free.
pub(crate) const LONGEST: usize = 1024;

/// How long a check may wait for its turn.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
    random: Random,
    /// Checked against when there is no such account, so that the answer takes as long.
    nobody: Arc<OnceLock<String>>,
    breached: Option<Breached>,
}

impl Passwords {
    pub(crate) fn new(random: Random, breached: Option<Breached>) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self { turns: Arc::new(Semaphore::new(cores)), random, nobody: Arc::default(), breached }
    }

    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let turn = match Arc::clone(&self.turns).try_acquire_owned() {
            Ok(turn) => turn,
            Err(TryAcquireError::NoPermits) => {
                let wait = Arc::clone(&self.turns).acquire_owned();
                match tokio::time::timeout(PATIENCE, wait).await {
                    Ok(Ok(turn)) => turn,
                    _ => return Err(Error::Unavailable),
                }
            }
            Err(TryAcquireError::Closed) => return Err(Error::Unavailable),
        };
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        })
        .await
        .map_err(Error::internal)
    }

    /// The hash to keep of a new password, in PHC form.
    pub(crate) async fn hash(&self, password: &Secret) -> Result<String> {
        let text = password.expose();
        if text.chars().count() < SHORTEST {
            return Err(Error::invalid_field("password", format!("use at least {SHORTEST} characters")));
        }
        if text.len() > LONGEST {
            return Err(Error::invalid_field("password", format!("use at most {LONGEST} bytes")));
        }
        let (password, salt, breached) = (password.clone(), self.random.bytes(), self.breached.clone());
        self.in_turn(move || {
            let known = match breached {
                _ if is_common(password.expose()) => true,
                Some(breached) => breached.contains(password.expose())?,
                None => false,
            };
            if known {
                return Err(Error::invalid_field(
                    "password",
                    "this password is one of those that are tried first: it was used and lost by others. Choose another",
                ));
            }
            hash_now(password.expose(), salt)
        })
        .await?
    }

    /// Whether `password` belongs to `hash`. Without a hash it takes the same time and says no.
    pub(crate) async fn verify(&self, password: &Secret, hash: Option<String>) -> Result<bool> {
        if password.expose().len() > LONGEST {
            return Ok(false);
        }
        let (password, salt, nobody) = (password.clone(), self.random.bytes(), Arc::clone(&self.nobody));
        self.in_turn(move || match (hash, nobody.get()) {
            (Some(hash), _) => fits(&password, &hash),
            (None, Some(nobody)) => fits(&password, nobody).map(|_| false),
            // The first stranger pays for making a hash, which takes as long as checking one.
            (None, None) => {
                let _ = nobody.set(hash_now("no account has this password", salt)?);
                Ok(false)
            }
        })
        .await?
    }
}

fn fits(password: &Secret, hash: &str) -> Result<bool> {
    let hash = PasswordHash::new(hash).map_err(Error::internal)?;
    Ok(Argon2::default().verify_password(password.expose().as_bytes(), &hash).is_ok())
}

fn hash_now(password: &str, salt: [u8; 16]) -> Result<String> {
    let hash =
        Argon2::default().hash_password_with_salt(password.as_bytes(), &salt).map_err(Error::internal)?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_is_checked_against_its_hash_alone() {
        let passwords = Passwords::new(Random::seeded(1), None);
        let hash = passwords.hash(&secret("a mild surprise of rooks")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(passwords.verify(&secret("a mild surprise of rooks"), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify(&secret("a mild surprise of rookz"), Some(hash)).await.unwrap());
        for _ in 0..2 {
            assert!(!passwords.verify(&secret("no account has this password"), None).await.unwrap());
        }
    }

    #[tokio::test]
    async fn a_short_password_is_refused() {
        let passwords = Passwords::new(Random::seeded(1), None);
        assert!(matches!(passwords.hash(&secret("short")).await, Err(Error::Invalid { .. })));
    }
}
