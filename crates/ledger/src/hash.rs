//! The hashes of RFC 6962, section 2.1: SHA-256, with a leading byte that keeps leaves and nodes apart.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// The length of a hash in bytes.
pub const HASH_LEN: usize = 32;

/// The hash of a leaf, of a subtree or of a whole tree. Shown in standard base64, as checkpoints write it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; HASH_LEN]);

impl Hash {
    /// The root of a tree without leaves.
    #[must_use]
    pub fn empty() -> Self {
        Self(Sha256::digest([]).into())
    }

    /// The hash of a leaf with these bytes.
    #[must_use]
    pub fn leaf(bytes: &[u8]) -> Self {
        Self(Sha256::new().chain_update([0]).chain_update(bytes).finalize().into())
    }

    /// The hash of a node over two subtrees.
    #[must_use]
    pub fn node(left: Self, right: Self) -> Self {
        Self(Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0).finalize().into())
    }

    /// From the bytes that the store keeps.
    #[must_use]
    pub fn from_bytes(bytes: [u8; HASH_LEN]) -> Self {
        Self(bytes)
    }

    /// From a slice, which must be 32 bytes long.
    pub fn from_slice(bytes: &[u8]) -> Result<Self> {
        bytes.try_into().map(Self).map_err(|_| Error::Hash)
    }

    /// For the store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; HASH_LEN] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

/// Standard base64 with padding, and no other spelling of the same bytes.
impl FromStr for Hash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.len() != 44 {
            return Err(Error::Hash);
        }
        Self::from_slice(&STANDARD.decode(text).map_err(|_| Error::Hash)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_root_is_that_of_the_rfc() {
        // e3b0c442 98fc1c14 9afbf4c8 996fb924 27ae41e4 649b934c a495991b 7852b855
        assert_eq!(Hash::empty().to_string(), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }

    #[test]
    fn a_hash_is_read_back_and_has_one_spelling() {
        let text = Hash::leaf(b"x").to_string();
        assert_eq!(text.parse::<Hash>().unwrap(), Hash::leaf(b"x"));
        assert!(text.trim_end_matches('=').parse::<Hash>().is_err());
        // The last digit of a 32 byte value carries two bits that are not part of it: they must be zero.
        assert!("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=".parse::<Hash>().is_err());
        assert_ne!(Hash::leaf(&[0; 64]), Hash::node(Hash([0; 32]), Hash([0; 32])));
    }
}
