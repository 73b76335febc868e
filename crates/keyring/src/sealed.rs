//! The form of sealed bytes, and the one place where AES-256-GCM is called.
//!
//! version 1 (1 byte), key id (16), nonce (12), ciphertext, tag (16). The version, the key's id and the caller's
//! context are authenticated with it, the context as a list of texts each behind its length, so that no two lists
//! give the same bytes.
//!
//! Nonces are random. Under one key, 2^32 seals keep the chance that two are equal below 2^-32: data keys must be
//! rotated before.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use model::Random;
use zeroize::Zeroizing;

use crate::key_id::KEY_ID_LEN;
use crate::{Error, KeyId, Result};

/// The version of the form.
const VERSION: u8 = 1;

/// The length of the tag, which stands at the end.
const TAG_LEN: usize = 16;

/// How much longer sealed bytes are than what they hold.
pub const OVERHEAD: usize = 1 + KEY_ID_LEN + NONCE_LEN + TAG_LEN;

/// The most that is sealed at once, in bytes.
pub const MAX_PLAINTEXT: usize = 1024 * 1024;

/// An AES-256-GCM key and its id.
pub(crate) struct Cipher {
    id: KeyId,
    key: LessSafeKey,
}

/// Sealed bytes, taken apart. That they are authentic is not seen here.
#[derive(Clone, Copy)]
pub(crate) struct Sealed<'a> {
    pub(crate) key: KeyId,
    nonce: [u8; NONCE_LEN],
    ciphertext: &'a [u8],
}

impl<'a> Sealed<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self> {
        let truncated = || Error::Malformed("they are shorter than any");
        if bytes.len() > MAX_PLAINTEXT + OVERHEAD {
            return Err(Error::Malformed("they are longer than any"));
        }
        let (version, rest) = bytes.split_first().ok_or_else(truncated)?;
        if *version != VERSION {
            return Err(Error::Malformed("their version is unknown: a newer Bastide may have written them"));
        }
        let (key, rest) = rest.split_first_chunk::<KEY_ID_LEN>().ok_or_else(truncated)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LEN>().ok_or_else(truncated)?;
        if ciphertext.len() < TAG_LEN {
            return Err(truncated());
        }
        Ok(Self { key: KeyId::from_bytes(*key), nonce: *nonce, ciphertext })
    }
}

/// What is authenticated beside the ciphertext.
fn associated_data(key: KeyId, context: &[&str]) -> Vec<u8> {
    let mut data = vec![VERSION];
    data.extend(key.as_bytes());
    data.extend((context.len() as u64).to_be_bytes());
    for part in context {
        data.extend((part.len() as u64).to_be_bytes());
        data.extend(part.as_bytes());
    }
    data
}

impl Cipher {
    pub(crate) fn new(id: KeyId, bytes: &[u8; 32]) -> Result<Self> {
        let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| Error::Library("take a key"))?;
        Ok(Self { id, key: LessSafeKey::new(key) })
    }

    pub(crate) fn id(&self) -> KeyId {
        self.id
    }

    pub(crate) fn seal(&self, context: &[&str], plaintext: &[u8], random: &Random) -> Result<Vec<u8>> {
        if plaintext.len() > MAX_PLAINTEXT {
            return Err(Error::TooLarge(MAX_PLAINTEXT));
        }
        let nonce: [u8; NONCE_LEN] = random.bytes();
        let mut bytes = Vec::with_capacity(plaintext.len() + OVERHEAD);
        bytes.push(VERSION);
        bytes.extend(self.id.as_bytes());
        bytes.extend(nonce);
        let head = bytes.len();
        bytes.extend(plaintext);
        let tag = self
            .key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(associated_data(self.id, context)),
                bytes.get_mut(head..).unwrap_or_default(),
            )
            .map_err(|_| Error::Library("seal"))?;
        bytes.extend(tag.as_ref());
        Ok(bytes)
    }

    /// Opens what this key sealed; that it is this key is for the caller to see.
    pub(crate) fn open(&self, context: &[&str], sealed: &Sealed<'_>) -> Result<Zeroizing<Vec<u8>>> {
        let mut bytes = Zeroizing::new(sealed.ciphertext.to_vec());
        let length = self
            .key
            .open_in_place(
                Nonce::assume_unique_for_key(sealed.nonce),
                Aad::from(associated_data(self.id, context)),
                &mut bytes,
            )
            .map_err(|_| Error::NotAuthentic)?
            .len();
        bytes.truncate(length);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_that_join_to_the_same_text_are_told_apart() {
        let id = KeyId::from_bytes([0; KEY_ID_LEN]);
        let lists: [&[&str]; 7] = [&[], &[""], &["", ""], &["ab"], &["a", "b"], &["ab", ""], &["", "ab"]];
        for (at, one) in lists.iter().enumerate() {
            for other in &lists[at + 1..] {
                assert_ne!(associated_data(id, one), associated_data(id, other), "{one:?} {other:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..100), fit: bool) {
            if let Some(version) = bytes.first_mut().filter(|_| fit) {
                *version = VERSION;
            }
            let long_enough = bytes.len() >= OVERHEAD && bytes[0] == VERSION;
            prop_assert_eq!(Sealed::parse(&bytes).is_ok(), long_enough);
        }
    }
}
