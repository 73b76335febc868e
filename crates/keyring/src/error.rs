//! What can go wrong with keys. No text tells anything of a key or of what was sealed.

use std::io;
use std::path::PathBuf;

use crate::KeyId;

/// A result with the keyring's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be sealed, opened or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read or written.
    #[error("the master key `{}` cannot be {verb}: {source}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What was tried: `read`, `made`.
        verb: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// There is a file of that name already.
    #[error("the master key `{}` is there already and is not written over", .0.display())]
    Exists(PathBuf),
    /// Others than its owner may read the file.
    #[error(
        "the master key `{}` may be read or written by others (mode {mode:03o}): run `chmod 600` on it, and if \
         anybody else may have read it, rotate it",
        .path.display()
    )]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The text is no master key.
    #[error("{origin} does not hold a master key: {problem}")]
    MasterKey {
        /// The file or the environment variable.
        origin: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// The wrapped keys are of another master key.
    #[error(
        "the data key {0} is wrapped by another master key: start with the one that this database was made with"
    )]
    OtherMasterKey(KeyId),
    /// The rows of the database do not make a keyring.
    #[error("the data keys in the database are not usable: {0}")]
    Ring(&'static str),
    /// Sealed with a key that this ring does not hold.
    #[error("sealed with the data key {0}, which is not loaded: load the data keys again")]
    UnknownKey(KeyId),
    /// Bytes that are not of the sealed form.
    #[error("not sealed bytes: {0}")]
    Malformed(&'static str),
    /// Changed, or sealed for another place. Which of the two cannot be told.
    #[error("the sealed bytes were changed, or were sealed for another place")]
    NotAuthentic,
    /// More than may be sealed at once.
    #[error("too large to be sealed: the limit is {0} bytes")]
    TooLarge(usize),
    /// The cryptographic library refused.
    #[error("the cryptographic library refused to {0}")]
    Library(&'static str),
}

/// The store and the services meet these as failures of their own: no caller's request is to blame.
impl From<Error> for model::Error {
    fn from(error: Error) -> Self {
        Self::internal(error)
    }
}
