//! The master key: the one secret that lies outside of the database.
//!
//! It comes from a file that only its owner may read, or from an environment variable, as 64 hexadecimal digits or
//! as base64. It never encrypts anything itself: the key that wraps data keys, and those that authenticate, are
//! derived from it by purpose with HKDF-SHA256.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{Random, Secret};
use zeroize::Zeroizing;

use crate::key_id::KEY_ID_LEN;
use crate::sealed::Cipher;
use crate::{Authenticator, Error, KeyId, Result};

/// The longest file that is read, in bytes.
const MAX_FILE: u64 = 256;

/// What sets these derivations apart from any other use of the same key.
const SALT: &[u8] = b"bastide master key 1";

/// The master key: neither shown nor compared. Wiped from memory when dropped.
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
    /// A new key.
    #[must_use]
    pub fn generate(random: &Random) -> Self {
        Self(Zeroizing::new(random.bytes()))
    }

    /// Reads the key from a text, such as the value of an environment variable. `origin` names where it came from, for
    /// the error.
    pub fn from_text(text: &Secret, origin: &str) -> Result<Self> {
        Self::parse(text.expose()).map_err(|problem| Error::MasterKey { origin: origin.to_owned(), problem })
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim_ascii();
        let mut key = Zeroizing::new([0; 32]);
        match text.len() {
            0 => return Err("it is empty"),
            64 => {
                let (pairs, _) = text.as_bytes().as_chunks::<2>();
                for (byte, [high, low]) in key.iter_mut().zip(pairs) {
                    *byte = hex_digit(*high)? << 4 | hex_digit(*low)?;
                }
            }
            44 => {
                // The decoder asks for room for 33 bytes, since it does not look at the padding first.
                let mut bytes = Zeroizing::new([0; 33]);
                let length = STANDARD.decode_slice(text, bytes.as_mut_slice());
                match bytes.split_first_chunk::<32>() {
                    Some((decoded, _)) if length == Ok(32) => key.copy_from_slice(decoded),
                    _ => return Err("it is not base64 of 32 bytes"),
                }
            }
            _ => return Err("it is neither 64 hexadecimal digits nor 44 characters of base64"),
        }
        if key.iter().all(|byte| Some(byte) == key.first()) {
            return Err("all its bytes are equal: make one with `openssl rand -base64 32`");
        }
        Ok(Self(key))
    }

    /// Reads the key from a file. A file that others than its owner may read or write is refused.
    pub fn read(path: &Path) -> Result<Self> {
        let failed = |source| Error::File { path: path.to_owned(), verb: "read", source };
        let file = File::open(path).map_err(failed)?;
        // Of the open file, so that it cannot be exchanged between the look and the reading.
        let metadata = file.metadata().map_err(failed)?;
        let problem = |problem| Error::MasterKey { origin: format!("`{}`", path.display()), problem };
        if !metadata.is_file() {
            return Err(problem("it is not a file"));
        }
        let mode = metadata.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(Error::Exposed { path: path.to_owned(), mode });
        }
        if metadata.len() > MAX_FILE {
            return Err(problem("it is larger than 256 bytes"));
        }
        // With room enough from the start, so that growing leaves no copy behind.
        let mut text = Zeroizing::new(String::with_capacity(1024));
        file.take(MAX_FILE).read_to_string(&mut text).map_err(|source| match source.kind() {
            io::ErrorKind::InvalidData => problem("it is not text"),
            _ => failed(source),
        })?;
        Self::parse(&text).map_err(problem)
    }

    /// Makes a key and its file, readable by the owner alone. The file is on the disk, whole, when this returns;
    /// one that is there already is never written over.
    pub fn create(path: &Path, random: &Random) -> Result<Self> {
        let key = Self::generate(random);
        let text = Zeroizing::new(STANDARD.encode(key.0.as_slice()) + "\n");
        write_new(path, &text, random).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => Error::Exists(path.to_owned()),
            _ => Error::File { path: path.to_owned(), verb: "made", source },
        })?;
        Ok(key)
    }

    /// Reads the key, or makes it where there is no file. Only for a database without data keys: where there are
    /// some, a missing file is a lost key, and a new one would not open them.
    pub fn read_or_create(path: &Path, random: &Random) -> Result<Self> {
        match Self::create(path, random) {
            Err(Error::Exists(_)) => Self::read(path),
            other => other,
        }
    }

    /// Tells this master key from others, and nothing about it.
    pub fn id(&self) -> Result<KeyId> {
        let derived = self.derive("id", "")?;
        let (id, _) = derived.split_first_chunk::<KEY_ID_LEN>().ok_or(Error::Library("derive a key"))?;
        Ok(KeyId::from_bytes(*id))
    }

    /// The key of an authenticator for a purpose, such as `audit-event`. The same master key and purpose always give
    /// the same; a new master key gives another.
    pub fn authenticator(&self, purpose: &str) -> Result<Authenticator> {
        Ok(Authenticator::new(&*self.derive("authenticate", purpose)?))
    }

    /// What wraps data keys.
    pub(crate) fn wrapping(&self) -> Result<Cipher> {
        Cipher::new(self.id()?, &*self.derive("wrap", "")?)
    }

    /// A key for one use. Labels are fixed words of this file, so that a zero byte after them keeps any two pairs of
    /// label and purpose apart.
    fn derive(&self, label: &str, purpose: &str) -> Result<Zeroizing<[u8; 32]>> {
        let mut derived = Zeroizing::new([0; 32]);
        Salt::new(HKDF_SHA256, SALT)
            .extract(self.0.as_slice())
            .expand(&[label.as_bytes(), &[0], purpose.as_bytes()], HKDF_SHA256)
            .and_then(|material| material.fill(derived.as_mut_slice()))
            .map_err(|_| Error::Library("derive a key"))?;
        Ok(derived)
    }
}

fn hex_digit(digit: u8) -> Result<u8, &'static str> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok()).ok_or("it is not hexadecimal")
}

/// Writes a file that must not exist yet. It is written under another name first, and gets its own when it is on
/// the disk: after a crash it is there whole or not at all.
fn write_new(path: &Path, text: &str, random: &Random) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let temporary = directory.join(format!(".master-key-{:016x}", u64::from_be_bytes(random.bytes())));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    // Unlike renaming, linking fails when the name is taken.
    let linked = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::hard_link(&temporary, path));
    let removed = std::fs::remove_file(&temporary);
    linked?;
    removed?;
    File::open(&directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<MasterKey> {
        MasterKey::from_text(&Secret::new(text.to_owned()), "`BASTIDE_MASTER_KEY`")
    }

    fn message<T>(result: Result<T>) -> String {
        result.err().map(|error| error.to_string()).unwrap_or_default()
    }

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Changing a label or the salt would lose every secret of every database. The values were computed with
    /// another implementation of HKDF.
    #[test]
    fn what_is_derived_never_changes() {
        let key = parse("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f").unwrap();
        assert_eq!(key.id().unwrap().to_string(), "1bdc719b1b7eff0f889022ca25677615");
        let show = |label, purpose| STANDARD.encode(*key.derive(label, purpose).unwrap());
        assert_eq!(show("wrap", ""), "81a4BPoEuUJSU2dp1K5Hw0Pf+fyg/0q4OUj9lA8Sk2U=");
        assert_eq!(show("authenticate", "audit-event"), "uZkq8Jcvlugv0nSgAVQMJ0P5m2xrCoqU3QNprG0vEUE=");
    }

    #[test]
    fn the_text_may_be_hexadecimal_or_base64() {
        let hex = "00fF102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1";
        let bytes: Vec<u8> =
            (0..64).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        let key = parse(&format!("  {hex}\n")).unwrap();
        assert_eq!(key.0.as_slice(), bytes);
        assert_eq!(parse(&STANDARD.encode(&bytes)).unwrap().0.as_slice(), bytes);
    }

    #[test]
    fn other_texts_are_refused_without_repeating_them() {
        let hex = "00fF102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1";
        for bad in [
            "",
            " \n",
            "secret",
            &hex[1..],
            &hex.replace('f', "g"),
            &hex.replace('f', "+"),
            &"00".repeat(32),
            &"é".repeat(22),
        ] {
            let text = message(parse(bad));
            assert!(text.starts_with("`BASTIDE_MASTER_KEY` does not hold a master key: "), "{text}");
            assert!(bad.trim().is_empty() || !text.contains(bad), "{text}");
        }
        let short = STANDARD.encode([7; 31]);
        assert_eq!(short.len(), 44);
        assert!(parse(&short).is_err());
    }

    #[test]
    fn a_file_is_made_for_its_owner_alone_and_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("master.key");
        let made = MasterKey::create(&path, &Random::seeded(1)).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(*MasterKey::read(&path).unwrap().0, *made.0);
        // Nothing else is left in the directory.
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_is_never_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("master.key");
        let (one, two) = (Random::seeded(1), Random::seeded(2));
        let made = MasterKey::read_or_create(&path, &one).unwrap();
        assert!(matches!(MasterKey::create(&path, &two), Err(Error::Exists(_))));
        assert_eq!(*MasterKey::read_or_create(&path, &two).unwrap().0, *made.0);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    /// Somebody else with an account on the machine reads the key.
    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("master.key");
        MasterKey::create(&path, &Random::seeded(1)).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o666, 0o777] {
            set_mode(&path, mode);
            let result = MasterKey::read(&path);
            assert!(matches!(result, Err(Error::Exposed { mode: found, .. }) if found == mode), "{mode:o}");
            assert!(message(result).contains(&format!("(mode {mode:03o}): run `chmod 600`")));
            assert!(matches!(
                MasterKey::read_or_create(&path, &Random::seeded(2)),
                Err(Error::Exposed { .. })
            ));
        }
        for mode in [0o600, 0o400] {
            set_mode(&path, mode);
            assert!(MasterKey::read(&path).is_ok(), "{mode:o}");
        }
    }

    #[test]
    fn files_that_hold_no_key_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("master.key");
        assert!(matches!(MasterKey::read(&path), Err(Error::File { verb: "read", .. })));
        for (content, problem) in [
            (&b""[..], "it is empty"),
            (b"\xff\xfe", "it is not text"),
            (&[b'0'; 257], "it is larger than 256 bytes"),
            (b"secret", "it is neither 64 hexadecimal digits nor 44 characters of base64"),
        ] {
            std::fs::write(&path, content).unwrap();
            set_mode(&path, 0o600);
            assert!(message(MasterKey::read(&path)).ends_with(problem), "{problem}");
        }
        assert!(message(MasterKey::read(directory.path())).ends_with("it is not a file"));
        let nowhere = directory.path().join("nowhere/master.key");
        assert!(matches!(
            MasterKey::create(&nowhere, &Random::seeded(1)),
            Err(Error::File { verb: "made", .. })
        ));
    }

    #[test]
    fn purposes_and_master_keys_give_different_authenticators() {
        let random = Random::seeded(1);
        let (one, two) = (MasterKey::generate(&random), MasterKey::generate(&random));
        let tag = one.authenticator("audit-event").unwrap().tag(b"event").unwrap();
        assert!(one.authenticator("audit-event").unwrap().verify(b"event", &tag));
        assert!(!one.authenticator("other").unwrap().verify(b"event", &tag));
        assert!(!two.authenticator("audit-event").unwrap().verify(b"event", &tag));
        assert_ne!(one.id().unwrap(), two.id().unwrap());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "[0-9a-f]{64}|[A-Za-z0-9+/]{43}=|\\PC{0,70}") {
            let _ = parse(&text);
        }
    }
}
