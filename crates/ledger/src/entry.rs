//! The entry: what the log holds of an audit event.
//!
//! It is small and of one length, so that an event's body may be long, or expire, while the log stays whole:
//! version 1 (1 byte), event id (16), time in microseconds since 1970 (8, big-endian), SHA-256 of the event's
//! canonical bytes (32).

use model::{EventId, Timestamp};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{Error, Hash, Result};

/// The version of the entry's bytes.
pub const VERSION: u8 = 1;

/// The length of an entry in bytes.
pub const ENTRY_LEN: usize = 57;

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The event.
    pub event_id: EventId,
    /// When it happened.
    pub time: Timestamp,
    /// The SHA-256 of its canonical bytes.
    pub digest: [u8; 32],
}

impl Entry {
    /// The entry of an event: of the canonical bytes as they were stored, never of bytes made anew.
    #[must_use]
    pub fn of(event_bytes: &[u8], event_id: EventId, time: Timestamp) -> Self {
        Self { event_id, time, digest: Sha256::digest(event_bytes).into() }
    }

    /// The bytes of the leaf.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; ENTRY_LEN] {
        let mut bytes = [0; ENTRY_LEN];
        let parts = std::iter::once(VERSION)
            .chain(self.event_id.uuid().into_bytes())
            .chain(self.time.micros().to_be_bytes())
            .chain(self.digest);
        for (to, from) in bytes.iter_mut().zip(parts) {
            *to = from;
        }
        bytes
    }

    /// Reads the bytes of a leaf; anything that [`Entry::to_bytes`] would not write is refused.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (version, rest) = bytes.split_first().ok_or(Error::Entry("it is empty"))?;
        if *version != VERSION {
            return Err(Error::Entry("its version is unknown: a newer Bastide may have written it"));
        }
        let wrong_length = Error::Entry("it is not 57 bytes long");
        let (id, rest) = rest.split_first_chunk::<16>().ok_or(wrong_length.clone())?;
        let (micros, rest) = rest.split_first_chunk::<8>().ok_or(wrong_length.clone())?;
        let digest: [u8; 32] = rest.try_into().map_err(|_| wrong_length)?;
        let micros = i64::from_be_bytes(*micros);
        let time = Timestamp::from_micros(micros);
        if time.micros() != micros {
            return Err(Error::Entry("its time is before 1970 or after 9999"));
        }
        Ok(Self { event_id: EventId::from_uuid(Uuid::from_bytes(*id)), time, digest })
    }

    /// The hash of the leaf.
    #[must_use]
    pub fn leaf_hash(&self) -> Hash {
        Hash::leaf(&self.to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use model::Random;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bytes_have_the_published_layout() {
        let id = EventId::new(&Random::seeded(1));
        let bytes = Entry::of(b"event", id, Timestamp::from_micros(0x0102)).to_bytes();
        assert_eq!(bytes[0], 1);
        assert_eq!(&bytes[1..17], id.uuid().as_bytes());
        assert_eq!(&bytes[17..25], &[0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(bytes[25..], Sha256::digest(b"event")[..]);
    }

    proptest! {
        #[test]
        fn an_entry_is_read_back(seed: u64, micros in 0i64.., digest: [u8; 32]) {
            let event_id = EventId::new(&Random::seeded(seed));
            let entry = Entry { event_id, time: Timestamp::from_micros(micros), digest };
            prop_assert_eq!(Entry::from_bytes(&entry.to_bytes()).unwrap(), entry);
        }

        /// Bytes have one reading and an entry one spelling: no second leaf stands for the same entry.
        #[test]
        fn what_is_read_is_written_the_same(mut bytes in prop::collection::vec(any::<u8>(), 0..64), fit: bool) {
            if fit {
                bytes.resize(ENTRY_LEN, 0);
                bytes[0] = VERSION;
            }
            if let Ok(entry) = Entry::from_bytes(&bytes) {
                prop_assert_eq!(&entry.to_bytes()[..], &bytes[..]);
            }
        }
    }
}
