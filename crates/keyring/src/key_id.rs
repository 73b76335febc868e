//! The id of a key: sixteen bytes that tell which key, and nothing about it.

use std::fmt;

use model::Random;

/// The length of an id in bytes.
pub const KEY_ID_LEN: usize = 16;

/// The id of a data key, or of the master key that wrapped it. Shown in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; KEY_ID_LEN]);

impl KeyId {
    /// A new id.
    pub(crate) fn new(random: &Random) -> Self {
        Self(random.bytes())
    }

    /// From what the store keeps.
    #[must_use]
    pub fn from_bytes(bytes: [u8; KEY_ID_LEN]) -> Self {
        Self(bytes)
    }

    /// For the store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; KEY_ID_LEN] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
