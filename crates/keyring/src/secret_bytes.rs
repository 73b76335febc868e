//! Bytes that must not reach a log, an error or an answer.

use model::Secret;
use zeroize::Zeroizing;

use crate::{Error, Result};

/// What was sealed: neither `Debug` nor `Display` nor `Serialize`. Wiped from memory when dropped.
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    pub(crate) fn new(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    /// The bytes. Every use of this name is a place to look at.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as a secret text.
    pub fn to_secret(&self) -> Result<Secret> {
        let text = str::from_utf8(&self.0).map_err(|_| Error::Malformed("what was sealed is not text"))?;
        Ok(Secret::new(text.to_owned()))
    }
}
