//! Message authentication: a tag that only a holder of the master key can make.
//!
//! Each audit event carries one, so that an event which was put into the table by hand is noticed before the log
//! has sequenced it.

use aws_lc_rs::hmac;

use crate::{Error, Result};

/// The length of a tag in bytes.
pub const TAG_LEN: usize = 32;

/// An HMAC-SHA256 key for one purpose. Made by [`MasterKey::authenticator`](crate::MasterKey::authenticator).
#[derive(Clone)]
pub struct Authenticator(hmac::Key);

impl Authenticator {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The tag of a message.
    pub fn tag(&self, message: &[u8]) -> Result<[u8; TAG_LEN]> {
        hmac::sign(&self.0, message).as_ref().try_into().map_err(|_| Error::Library("make a tag"))
    }

    /// Whether the tag is that of the message. Takes the same time wherever the two differ.
    #[must_use]
    pub fn verify(&self, message: &[u8], tag: &[u8]) -> bool {
        // A slice of another length never compares equal.
        hmac::verify(&self.0, message, tag).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test case 1 of RFC 4231. Its key is 20 bytes long, which HMAC fills up with zeros as it does ours.
    #[test]
    fn the_tag_is_that_of_the_rfc() {
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        let tag = Authenticator::new(&key).tag(b"Hi There").unwrap();
        assert_eq!(tag[..8], [0xb0, 0x34, 0x4c, 0x61, 0xd8, 0xdb, 0x38, 0x53]);
        assert_eq!(tag[24..], [0x26, 0xe9, 0x37, 0x6c, 0x2e, 0x32, 0xcf, 0xf7]);
    }

    #[test]
    fn another_message_key_or_tag_is_refused() {
        let authenticator = Authenticator::new(&[1; 32]);
        let tag = authenticator.tag(b"event").unwrap();
        assert!(authenticator.verify(b"event", &tag));
        assert!(!authenticator.verify(b"Event", &tag));
        assert!(!Authenticator::new(&[2; 32]).verify(b"event", &tag));
        assert!(!authenticator.verify(b"event", &tag[..31]));
        assert!(!authenticator.verify(b"event", &[]));
        for bit in 0..256 {
            let mut changed = tag;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!authenticator.verify(b"event", &changed));
        }
    }
}
