//! The checkpoint (C2SP tlog-checkpoint): the size and root of a log at one moment, as the text of a signed note.
//!
//! Extension lines, which the format discourages, are refused: this log writes none, and what is signed must be
//! understood whole.

use std::fmt;
use std::str::FromStr;

use crate::note::{Signer, name_is_valid};
use crate::tree::MAX_SIZE;
use crate::{Error, Hash, Note, Result, VerifierKey};

/// The longest origin that is read, in bytes.
const MAX_ORIGIN: usize = crate::note::MAX_NAME;

/// A log's size and root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: Hash,
}

impl Checkpoint {
    /// The checkpoint of the log with this origin: a name such as `bastide.example.com/audit`, without blanks and
    /// plus signs, which is also the name of the key that signs.
    pub fn new(origin: &str, size: u64, root: Hash) -> Result<Self> {
        if !name_is_valid(origin) {
            return Err(Error::Checkpoint("its origin must be 1 to 255 bytes without blanks and plus signs"));
        }
        if size > MAX_SIZE {
            return Err(Error::Checkpoint("its size is larger than any log's"));
        }
        if size == 0 && root != Hash::empty() {
            return Err(Error::Checkpoint("its root is not that of an empty log"));
        }
        Ok(Self { origin: origin.to_owned(), size, root })
    }

    /// Which log.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// How many entries.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root over them.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.root
    }

    /// Signs it with the key that is named as the origin. The caller must have seen to it that every checkpoint
    /// signed before is a beginning of this one: two that contradict each other convict the log.
    pub fn sign(&self, key: &VerifierKey, signer: &Signer<'_>) -> Result<Note> {
        if key.name() != self.origin {
            return Err(Error::Checkpoint("its origin is not the name of the key that is to sign it"));
        }
        Note::sign(&self.to_string(), key, signer)
    }

    /// Reads a signed checkpoint and believes it when a key named as its origin is among those given and signed.
    pub fn open(note: &[u8], keys: &[VerifierKey]) -> Result<Self> {
        let note = Note::parse(note)?;
        let signers = note.verify(keys)?;
        let checkpoint: Self = note.text().parse()?;
        if signers.iter().any(|key| key.name() == checkpoint.origin) {
            Ok(checkpoint)
        } else {
            Err(Error::Unsigned)
        }
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, self.root)
    }
}

/// Reads the text of a note; any spelling but the one that is written is refused. That it is signed is not seen
/// here.
impl FromStr for Checkpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let malformed = Error::Checkpoint("it is not three lines: origin, size and root");
        if text.len() > MAX_ORIGIN + 128 {
            return Err(malformed);
        }
        let lines: Vec<&str> = text.split('\n').collect();
        let [origin, size, root, ""] = lines[..] else {
            return Err(malformed);
        };
        let decimal =
            size.bytes().all(|byte| byte.is_ascii_digit()) && (size == "0" || !size.starts_with('0'));
        let size = if decimal { size.parse().ok() } else { None };
        let size = size.ok_or(Error::Checkpoint("its size is not a decimal number"))?;
        let root = root.parse().map_err(|_| Error::Checkpoint("its root is not 32 bytes in base64"))?;
        Self::new(origin, size, root)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::note::tests::{pair, signer, verifier};

    /// The text of the example in the specification.
    const EXAMPLE: &str =
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

    #[test]
    fn the_example_of_the_specification_is_read_and_written() {
        let checkpoint: Checkpoint = EXAMPLE.parse().unwrap();
        assert_eq!((checkpoint.origin(), checkpoint.size()), ("example.com/behind-the-sofa", 20_852_163));
        assert_eq!(checkpoint.to_string(), EXAMPLE);
    }

    #[test]
    fn other_spellings_are_refused() {
        for bad in [
            String::new(),
            "\n\n\n".to_owned(),
            EXAMPLE.trim_end().to_owned(),
            format!("{EXAMPLE}\n"),
            format!("{EXAMPLE}extension\n"),
            EXAMPLE.replace("20852163", "020852163"),
            EXAMPLE.replace("20852163", "+20852163"),
            EXAMPLE.replace("20852163", "-1"),
            EXAMPLE.replace("20852163", ""),
            EXAMPLE.replace("20852163", "9223372036854775808"),
            EXAMPLE.replace("20852163", "0"),
            EXAMPLE.replace("2I=", "2I"),
            EXAMPLE.replace("example.com", "example com"),
            EXAMPLE.replace("example.com", "example+com"),
            EXAMPLE.replace("example.com", &"x".repeat(300)),
            EXAMPLE.replace('\n', "\r\n"),
        ] {
            assert!(bad.parse::<Checkpoint>().is_err(), "{bad}");
        }
    }

    #[test]
    fn only_the_logs_own_key_is_believed() {
        let (log, witness) = (pair(1), pair(2));
        let key = verifier("log.test/audit", &log);
        let checkpoint = Checkpoint::new("log.test/audit", 1, Hash::leaf(b"")).unwrap();
        let note = checkpoint.sign(&key, &signer(&log)).unwrap();
        let stranger = verifier("witness.test", &witness);
        let note = note.signed_also(&stranger, &signer(&witness)).unwrap().to_string();
        assert_eq!(Checkpoint::open(note.as_bytes(), &[stranger.clone(), key]).unwrap(), checkpoint);
        assert_eq!(Checkpoint::open(note.as_bytes(), std::slice::from_ref(&stranger)), Err(Error::Unsigned));
        assert!(checkpoint.sign(&stranger, &signer(&witness)).is_err());
    }

    proptest! {
        #[test]
        fn a_checkpoint_is_read_back(origin in "[a-z./é]{1,40}", size in 1..=MAX_SIZE, root: [u8; 32]) {
            let checkpoint = Checkpoint::new(&origin, size, Hash::from_bytes(root)).unwrap();
            prop_assert_eq!(checkpoint.to_string().parse::<Checkpoint>(), Ok(checkpoint));
        }

        #[test]
        fn what_is_read_is_written_the_same(text in "\\PC{0,20}\n[0-9+ ]{0,20}\n[A-Za-z0-9+/]{42}[AEI]=\n|\\PC{0,60}") {
            if let Ok(checkpoint) = text.parse::<Checkpoint>() {
                prop_assert_eq!(checkpoint.to_string(), text);
            }
        }
    }
}
