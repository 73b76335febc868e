//! The ring of data keys: one active, which seals, and retired ones, which still open.
//!
//! The ring does not store anything. What changes keys gives the rows that must be stored, and a new ring beside the
//! old: the store commits the rows before anything is sealed with the new ring, so that nothing is ever sealed with
//! a key that a crash would lose.
//!
//! A row's state is not authenticated: whoever can write to the database could also put an old row back. That a
//! retired key is made active again gains nothing to somebody who does not hold it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use model::{Random, Timestamp};
use zeroize::Zeroizing;

use crate::sealed::{Cipher, Sealed};
use crate::{Error, KeyId, MasterKey, Result, SecretBytes};

/// The most keys that a ring holds: a rotation each week for some twenty years.
const MAX_KEYS: usize = 1000;

/// Whether a data key seals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Seals and opens.
    Active,
    /// Only opens.
    Retired,
}

impl KeyState {
    /// The word that the store keeps.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for KeyState {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "active" => Ok(Self::Active),
            "retired" => Ok(Self::Retired),
            _ => Err(Error::Ring("a state is neither active nor retired")),
        }
    }
}

/// A data key as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    /// Its id, which stands in all that it seals.
    pub id: KeyId,
    /// When it was made.
    pub created: Timestamp,
    /// Whether it seals.
    pub state: KeyState,
    /// The key, sealed by the master key, with the id and the time of making as context.
    pub wrapped: Vec<u8>,
}

struct DataKey {
    created: Timestamp,
    bytes: Zeroizing<[u8; 32]>,
    cipher: Cipher,
}

impl DataKey {
    fn new(id: KeyId, created: Timestamp, bytes: Zeroizing<[u8; 32]>) -> Result<Self> {
        Ok(Self { created, cipher: Cipher::new(id, &bytes)?, bytes })
    }

    fn copy(&self) -> Result<Self> {
        Self::new(self.cipher.id(), self.created, self.bytes.clone())
    }

    fn wrap(&self, master: &MasterKey, state: KeyState, random: &Random) -> Result<WrappedKey> {
        let id = self.cipher.id();
        let context = wrapping_context(id, self.created);
        let context = context.each_ref().map(String::as_str);
        let wrapped = master.wrapping()?.seal(&context, self.bytes.as_slice(), random)?;
        Ok(WrappedKey { id, created: self.created, state, wrapped })
    }

    fn unwrap(master: &Cipher, row: &WrappedKey) -> Result<Self> {
        let sealed = Sealed::parse(&row.wrapped)?;
        if sealed.key != master.id() {
            return Err(Error::OtherMasterKey(row.id));
        }
        let context = wrapping_context(row.id, row.created);
        let plain = master.open(&context.each_ref().map(String::as_str), &sealed)?;
        let mut bytes = Zeroizing::new([0; 32]);
        if plain.len() != bytes.len() {
            return Err(Error::Ring("a wrapped key is not 32 bytes long"));
        }
        bytes.copy_from_slice(&plain);
        Self::new(row.id, row.created, bytes)
    }
}

fn wrapping_context(id: KeyId, created: Timestamp) -> [String; 3] {
    ["data-key".to_owned(), id.to_string(), created.micros().to_string()]
}

/// The data keys, unwrapped.
pub struct Keyring {
    keys: BTreeMap<KeyId, DataKey>,
    active: KeyId,
    random: Random,
}

impl Keyring {
    /// The first ring of a new database, and the row to store before it is used.
    pub fn create(master: &MasterKey, random: &Random, now: Timestamp) -> Result<(Self, WrappedKey)> {
        let (id, key) = new_key(random, now)?;
        let row = key.wrap(master, KeyState::Active, random)?;
        Ok((Self { keys: BTreeMap::from([(id, key)]), active: id, random: random.clone() }, row))
    }

    /// Unwraps the rows of the store: exactly one must be active.
    pub fn unlock(master: &MasterKey, rows: &[WrappedKey], random: &Random) -> Result<Self> {
        if rows.len() > MAX_KEYS {
            return Err(Error::Ring(
                "there are more than 1000: delete retired ones that nothing is sealed with",
            ));
        }
        let wrapping = master.wrapping()?;
        let mut keys = BTreeMap::new();
        let mut active = None;
        for row in rows {
            if row.state == KeyState::Active && active.replace(row.id).is_some() {
                return Err(Error::Ring("more than one is active"));
            }
            if keys.insert(row.id, DataKey::unwrap(&wrapping, row)?).is_some() {
                return Err(Error::Ring("two have the same id"));
            }
        }
        let active = active.ok_or(Error::Ring("none is active"))?;
        Ok(Self { keys, active, random: random.clone() })
    }

    /// The key that seals.
    #[must_use]
    pub fn active(&self) -> KeyId {
        self.active
    }

    /// Seals bytes of at most 1 MiB for one place, which `context` names: the table, the row, the column. They can
    /// be opened only with the same context.
    pub fn seal(&self, context: &[&str], plaintext: &[u8]) -> Result<Vec<u8>> {
        let key = self.keys.get(&self.active).ok_or(Error::UnknownKey(self.active))?;
        key.cipher.seal(context, plaintext, &self.random)
    }

    /// Opens what was sealed for this context by any key of the ring. After another process has rotated,
    /// [`Error::UnknownKey`] says that the rows must be loaded again.
    pub fn open(&self, context: &[&str], sealed: &[u8]) -> Result<SecretBytes> {
        let sealed = Sealed::parse(sealed)?;
        let key = self.keys.get(&sealed.key).ok_or(Error::UnknownKey(sealed.key))?;
        key.cipher.open(context, &sealed).map(SecretBytes::new)
    }

    /// Whether bytes are sealed with the active key. A sweep opens and seals anew those that are not; then the
    /// retired key's row may be deleted.
    pub fn is_current(&self, sealed: &[u8]) -> Result<bool> {
        Ok(Sealed::parse(sealed)?.key == self.active)
    }

    /// A new ring with a new active key, and the rows of the two keys whose state changed: the new one and the
    /// one it retires. Store both before the new ring is used.
    pub fn rotate(&self, master: &MasterKey, now: Timestamp) -> Result<(Self, [WrappedKey; 2])> {
        if self.keys.len() >= MAX_KEYS {
            return Err(Error::Ring("there are 1000: delete retired ones that nothing is sealed with"));
        }
        let (id, key) = new_key(&self.random, now)?;
        let old = self.keys.get(&self.active).ok_or(Error::UnknownKey(self.active))?;
        let rows = [
            key.wrap(master, KeyState::Active, &self.random)?,
            old.wrap(master, KeyState::Retired, &self.random)?,
        ];
        let mut keys = BTreeMap::from([(id, key)]);
        for (id, key) in &self.keys {
            keys.insert(*id, key.copy()?);
        }
        Ok((Self { keys, active: id, random: self.random.clone() }, rows))
    }

    /// All rows, wrapped by another master key. The ring stays as it is; the rows must replace the stored ones in
    /// one transaction. What was derived from the old master key, such as an
    /// [`Authenticator`](crate::Authenticator), does not move with it.
    pub fn rewrap(&self, master: &MasterKey) -> Result<Vec<WrappedKey>> {
        self.keys
            .iter()
            .map(|(id, key)| {
                let state = if *id == self.active { KeyState::Active } else { KeyState::Retired };
                key.wrap(master, state, &self.random)
            })
            .collect()
    }
}

fn new_key(random: &Random, now: Timestamp) -> Result<(KeyId, DataKey)> {
    let id = KeyId::new(random);
    Ok((id, DataKey::new(id, now, Zeroizing::new(random.bytes()))?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sealed::{MAX_PLAINTEXT, OVERHEAD};

    const CONTEXT: &[&str] = &["webhook", "1", "secret"];

    fn now() -> Timestamp {
        Timestamp::from_micros(1_000_000)
    }

    fn ring(seed: u64) -> (MasterKey, Random, Keyring, WrappedKey) {
        let random = Random::seeded(seed);
        let master = MasterKey::generate(&random);
        let (ring, row) = Keyring::create(&master, &random, now()).unwrap();
        (master, random, ring, row)
    }

    #[test]
    fn what_is_sealed_is_opened_after_a_restart() {
        let (master, random, ring, row) = ring(1);
        let sealed = ring.seal(CONTEXT, b"hush").unwrap();
        assert_eq!(sealed.len(), 4 + OVERHEAD);
        let ring = Keyring::unlock(&master, &[row], &random).unwrap();
        assert_eq!(ring.open(CONTEXT, &sealed).unwrap().expose(), b"hush");
        assert_eq!(ring.open(CONTEXT, &sealed).unwrap().to_secret().unwrap().expose(), "hush");
        assert!(ring.open(CONTEXT, &ring.seal(CONTEXT, b"\xff").unwrap()).unwrap().to_secret().is_err());
    }

    #[test]
    fn the_same_bytes_are_never_sealed_the_same() {
        let (_, _, ring, _) = ring(1);
        let (one, two) = (ring.seal(CONTEXT, b"hush").unwrap(), ring.seal(CONTEXT, b"hush").unwrap());
        assert_ne!(one[17..29], two[17..29]);
        assert_ne!(one[29..], two[29..]);
    }

    #[test]
    fn another_master_key_opens_nothing_and_says_so() {
        let (_, random, _, row) = ring(1);
        let other = MasterKey::generate(&random);
        let result = Keyring::unlock(&other, std::slice::from_ref(&row), &random);
        assert!(matches!(result, Err(Error::OtherMasterKey(id)) if id == row.id));
    }

    /// Somebody who writes to the database copies a sealed value to a row whose content they are shown.
    #[test]
    fn a_value_is_opened_in_its_own_place_alone() {
        let (_, _, ring, _) = ring(1);
        let sealed = ring.seal(CONTEXT, b"hush").unwrap();
        for context in
            [&["webhook", "2", "secret"][..], &["webhook", "1secret"], &["webhook", "1", "secret", ""], &[]]
        {
            assert!(matches!(ring.open(context, &sealed), Err(Error::NotAuthentic)), "{context:?}");
        }
    }

    #[test]
    fn a_retired_key_still_opens_and_no_longer_seals() {
        let (master, random, old, first) = ring(1);
        let sealed = old.seal(CONTEXT, b"hush").unwrap();
        let (ring, rows) = old.rotate(&master, now()).unwrap();
        assert_eq!(
            (rows[1].id, rows[1].state, rows[0].state),
            (first.id, KeyState::Retired, KeyState::Active)
        );
        assert_eq!(ring.active(), rows[0].id);
        for ring in [ring, Keyring::unlock(&master, &rows, &random).unwrap()] {
            assert_eq!(ring.open(CONTEXT, &sealed).unwrap().expose(), b"hush");
            assert!(!ring.is_current(&sealed).unwrap());
            let anew = ring.seal(CONTEXT, b"hush").unwrap();
            assert!(ring.is_current(&anew).unwrap());
            // A process that has not heard of the rotation is told what is the matter.
            assert!(matches!(old.open(CONTEXT, &anew), Err(Error::UnknownKey(id)) if id == rows[0].id));
        }
    }

    #[test]
    fn a_new_master_key_takes_over_all_keys() {
        let (old, random, ring, _) = ring(1);
        let sealed = ring.seal(CONTEXT, b"hush").unwrap();
        let (ring, _) = ring.rotate(&old, now()).unwrap();
        let new = MasterKey::generate(&random);
        let rows = ring.rewrap(&new).unwrap();
        assert_eq!(rows.len(), 2);
        let opened = Keyring::unlock(&new, &rows, &random).unwrap();
        assert_eq!(opened.active(), ring.active());
        assert_eq!(opened.open(CONTEXT, &sealed).unwrap().expose(), b"hush");
        assert!(matches!(Keyring::unlock(&old, &rows, &random), Err(Error::OtherMasterKey(_))));
    }

    #[test]
    fn rows_that_make_no_ring_are_refused() {
        let (master, random, ring, row) = ring(1);
        let (_, [second, _]) = ring.rotate(&master, now()).unwrap();
        let unlock = |rows: &[WrappedKey]| Keyring::unlock(&master, rows, &random).map(drop);
        let retired = WrappedKey { state: KeyState::Retired, ..row.clone() };
        assert!(matches!(unlock(&[]), Err(Error::Ring("none is active"))));
        assert!(matches!(unlock(std::slice::from_ref(&retired)), Err(Error::Ring("none is active"))));
        assert!(matches!(
            unlock(&[row.clone(), second.clone()]),
            Err(Error::Ring("more than one is active"))
        ));
        assert!(matches!(unlock(&[row.clone(), retired]), Err(Error::Ring("two have the same id"))));
        // The key of one row under the id, or with the age, of another.
        let swapped = WrappedKey { wrapped: second.wrapped, ..row.clone() };
        assert!(matches!(unlock(&[swapped]), Err(Error::NotAuthentic)));
        let younger = WrappedKey { created: now().plus_seconds(1), ..row.clone() };
        assert!(matches!(unlock(&[younger]), Err(Error::NotAuthentic)));
        let truncated = WrappedKey { wrapped: row.wrapped[..40].to_vec(), ..row };
        assert!(matches!(unlock(&[truncated]), Err(Error::Malformed(_))));
    }

    #[test]
    fn what_is_too_large_is_neither_sealed_nor_opened() {
        let (_, _, ring, _) = ring(1);
        let mut sealed = ring.seal(CONTEXT, &vec![0; MAX_PLAINTEXT]).unwrap();
        assert_eq!(ring.open(CONTEXT, &sealed).unwrap().expose().len(), MAX_PLAINTEXT);
        assert!(matches!(
            ring.seal(CONTEXT, &vec![0; MAX_PLAINTEXT + 1]),
            Err(Error::TooLarge(MAX_PLAINTEXT))
        ));
        sealed.push(0);
        assert!(matches!(ring.open(CONTEXT, &sealed), Err(Error::Malformed(_))));
    }

    #[test]
    fn states_are_read_back() {
        for state in [KeyState::Active, KeyState::Retired] {
            assert_eq!(state.to_string().parse::<KeyState>().unwrap(), state);
        }
        assert!("asleep".parse::<KeyState>().is_err());
    }

    proptest! {
        #[test]
        fn bytes_are_sealed_and_opened(seed: u64, plain in prop::collection::vec(any::<u8>(), 0..200),
                                       context in prop::collection::vec("\\PC{0,8}", 0..4)) {
            let (_, _, ring, _) = ring(seed);
            let context: Vec<&str> = context.iter().map(String::as_str).collect();
            let sealed = ring.seal(&context, &plain).unwrap();
            let opened = ring.open(&context, &sealed).unwrap();
            prop_assert_eq!(opened.expose(), &plain[..]);
        }

        #[test]
        fn a_flipped_bit_or_a_missing_end_is_seen(at: usize, bit in 0u8..8, cut in 1usize..60) {
            let (_, _, ring, _) = ring(1);
            let sealed = ring.seal(CONTEXT, b"fifteen letters").unwrap();
            let mut changed = sealed.clone();
            let at = at % changed.len();
            changed[at] ^= 1 << bit;
            prop_assert!(ring.open(CONTEXT, &changed).is_err());
            prop_assert!(ring.open(CONTEXT, &sealed[..sealed.len() - cut]).is_err());
        }

        #[test]
        fn any_bytes_are_opened_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..100), known: bool) {
            let (_, _, ring, _) = ring(1);
            let mut bytes = bytes;
            if known && bytes.len() > 17 {
                bytes[0] = 1;
                bytes[1..17].copy_from_slice(ring.active().as_bytes());
            }
            prop_assert!(ring.open(CONTEXT, &bytes).is_err());
            prop_assert!(ring.is_current(&bytes).is_err() || bytes.len() >= OVERHEAD);
        }
    }
}
