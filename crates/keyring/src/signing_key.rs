//! The Ed25519 key that signs the log's checkpoints, and later whatever else is signed in this server's name.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use model::Random;
use zeroize::Zeroizing;

use crate::{Error, Keyring, Result};

/// What stands first in the context of a sealed signing key, so that nothing else can be opened as one.
const CONTEXT: &str = "signing-key";

/// A key pair. The store keeps it sealed.
pub struct SigningKey {
    seed: Zeroizing<[u8; 32]>,
    pair: Ed25519KeyPair,
}

impl SigningKey {
    /// A new key.
    pub fn generate(random: &Random) -> Result<Self> {
        Self::from_seed(&Zeroizing::new(random.bytes()))
    }

    fn from_seed(seed: &Zeroizing<[u8; 32]>) -> Result<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice());
        Ok(Self { seed: seed.clone(), pair: pair.map_err(|_| Error::Library("take a seed"))? })
    }

    /// The public key's bytes.
    pub fn public(&self) -> Result<[u8; 32]> {
        self.pair.public_key().as_ref().try_into().map_err(|_| Error::Library("tell the public key"))
    }

    /// The signature of a message.
    pub fn sign(&self, message: &[u8]) -> Result<[u8; 64]> {
        let signature = self.pair.try_sign(message).map_err(|_| Error::Library("sign"))?;
        signature.as_ref().try_into().map_err(|_| Error::Library("sign"))
    }

    /// Seals it for the store, under a name that must be given again to open it: the log's origin.
    pub fn seal(&self, keyring: &Keyring, name: &str) -> Result<Vec<u8>> {
        keyring.seal(&[CONTEXT, name], self.seed.as_slice())
    }

    /// Opens what [`SigningKey::seal`] gave.
    pub fn unseal(keyring: &Keyring, name: &str, sealed: &[u8]) -> Result<Self> {
        let bytes = keyring.open(&[CONTEXT, name], sealed)?;
        let mut seed = Zeroizing::new([0; 32]);
        if bytes.expose().len() != seed.len() {
            return Err(Error::Malformed("what was sealed is not a signing key"));
        }
        seed.copy_from_slice(bytes.expose());
        Self::from_seed(&seed)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
    use model::Timestamp;

    use super::*;
    use crate::MasterKey;

    fn verifies(key: &SigningKey, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, key.public().unwrap()).verify(message, signature).is_ok()
    }

    /// Test 1 of RFC 8032, section 7.1: the seed, the key it gives, and its signature of nothing.
    #[test]
    fn the_key_is_that_of_the_rfc() {
        let seed = [
            0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4,
            0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
        ];
        let key = SigningKey::from_seed(&Zeroizing::new(seed)).unwrap();
        assert_eq!(key.public().unwrap()[..8], [0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7]);
        assert_eq!(key.sign(b"").unwrap()[..8], [0xe5, 0x56, 0x43, 0x00, 0xc3, 0x60, 0xac, 0x72]);
    }

    #[test]
    fn a_key_is_sealed_and_opened_under_its_name() {
        let random = Random::seeded(1);
        let master = MasterKey::generate(&random);
        let (ring, _) = Keyring::create(&master, &random, Timestamp::from_micros(0)).unwrap();
        let key = SigningKey::generate(&random).unwrap();
        let sealed = key.seal(&ring, "log.test/audit").unwrap();
        let opened = SigningKey::unseal(&ring, "log.test/audit", &sealed).unwrap();
        assert_eq!(opened.public().unwrap(), key.public().unwrap());
        assert!(verifies(&key, b"text", &opened.sign(b"text").unwrap()));
        assert!(!verifies(&key, b"Text", &opened.sign(b"text").unwrap()));
        assert!(matches!(SigningKey::unseal(&ring, "other.test", &sealed), Err(Error::NotAuthentic)));

        let short = ring.seal(&[CONTEXT, "log.test/audit"], &[0; 31]).unwrap();
        assert!(matches!(SigningKey::unseal(&ring, "log.test/audit", &short), Err(Error::Malformed(_))));
    }
}
