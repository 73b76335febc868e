//! The append-only Merkle log behind the audit trail, in the public transparency-log format: RFC 6962 hashing, C2SP
//! tlog-tiles, tlog-checkpoint and signed-note.
//!
//! Whoever keeps a signed [`Checkpoint`] can later see whether an event was removed, altered or moved. What is
//! here: the bytes of an [`Entry`], the tree's hashes ([`Frontier`], [`proof`], [`tile`]), the signed text
//! ([`Note`], [`Checkpoint`]) and the audit of a whole log ([`mod@verify`]). What is not: any storage, any private key
//! (a signature is asked of a closure), any decision when to sequence or sign.
//!
//! Functions that need hashes of a large tree name the half-open range of leaves and ask a closure for its hash:
//! [`root_of`] answers from leaf hashes in memory, the store from the tiles that it keeps.

pub mod checkpoint;
pub mod entry;
pub mod error;
pub mod hash;
pub mod note;
pub mod proof;
pub mod span;
pub mod tile;
pub mod tree;
pub mod verify;

pub use checkpoint::Checkpoint;
pub use entry::Entry;
pub use error::{Error, Result};
pub use hash::Hash;
pub use note::{Note, VerifierKey};
pub use span::Span;
pub use tile::Tile;
pub use tree::{Frontier, MAX_SIZE, root, root_of};
pub use verify::{Finding, Record, Report, Verifier, verify};
