//! What can be wrong with the bytes and texts of a log.

/// A result with the ledger's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why bytes, a text or a proof were not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Bytes that are no entry.
    #[error("not a ledger entry: {0}")]
    Entry(&'static str),
    /// Bytes or text that are no hash.
    #[error("not a hash: give 32 bytes, as text in standard base64 with padding")]
    Hash,
    /// Bytes that are no frontier.
    #[error("not a ledger frontier: {0}")]
    Frontier(&'static str),
    /// An index or a size outside of the tree.
    #[error("outside of the tree: {0}")]
    Range(&'static str),
    /// A proof that proves nothing.
    #[error("the proof does not hold: {0}")]
    Proof(&'static str),
    /// A path or content that is no tile.
    #[error("not a tile: {0}")]
    Tile(&'static str),
    /// A key's text or name.
    #[error("not a verifier key: {0}")]
    Key(&'static str),
    /// A text that is no signed note.
    #[error("not a signed note: {0}")]
    Note(&'static str),
    /// A text that is no checkpoint.
    #[error("not a checkpoint: {0}")]
    Checkpoint(&'static str),
    /// A known key's signature that is not by that key.
    #[error("the signature by `{0}` does not verify: the text or the signature was changed")]
    Forged(String),
    /// No known key signed.
    #[error("no signature by a key that was given: check the verifier key")]
    Unsigned,
    /// The closure that signs failed.
    #[error("could not sign: {0}")]
    Signing(String),
}

/// The store and the services meet these as failures of their own: the log's bytes are made here.
impl From<Error> for model::Error {
    fn from(error: Error) -> Self {
        Self::internal(error)
    }
}
