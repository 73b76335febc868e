//! The signed note (C2SP signed-note): a text with one or more signatures below it. Only Ed25519 is signed and
//! verified; signatures of other kinds and by other keys are kept and passed over, as the format asks.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// The largest note that is read, in bytes: room for a checkpoint and many signatures of the larger kinds.
pub const MAX_NOTE: usize = 256 * 1024;

/// The most signatures in a note that is read. The format asks for at least 16.
pub const MAX_SIGNATURES: usize = 64;

/// The longest name of a key, in bytes.
pub const MAX_NAME: usize = 255;

/// The format's number for Ed25519.
const ED25519_TYPE: u8 = 1;

/// What signs a text: the private key stays with whoever gives the closure.
pub type Signer<'a> = dyn Fn(&[u8]) -> model::Result<[u8; 64]> + 'a;

/// The name and public half of an Ed25519 key. Shown and read as `name+id+key`, the id in eight hexadecimal
/// digits, the key in base64: what is handed to those who verify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: [u8; 4],
    public: [u8; 32],
}

/// Whether a name may stand in a signature line, and so be an origin.
pub(crate) fn name_is_valid(name: &str) -> bool {
    let fits = !name.is_empty() && name.len() <= MAX_NAME;
    fits && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

impl VerifierKey {
    /// A key by its name, which should be the log's origin, and its 32 public bytes.
    pub fn new(name: &str, public: [u8; 32]) -> Result<Self> {
        if !name_is_valid(name) {
            return Err(Error::Key("its name must be 1 to 255 bytes without blanks and plus signs"));
        }
        let digest = Sha256::new()
            .chain_update(name)
            .chain_update([b'\n', ED25519_TYPE])
            .chain_update(public)
            .finalize();
        let mut id = [0; 4];
        for (to, from) in id.iter_mut().zip(digest) {
            *to = from;
        }
        Ok(Self { name: name.to_owned(), id, public })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first four bytes of the SHA-256 over name and key: an identifier, not a fingerprint to trust.
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        self.id
    }

    /// The public key's bytes.
    #[must_use]
    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }

    fn verifies(&self, text: &str, signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.public).verify(text.as_bytes(), signature).is_ok()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519_TYPE];
        key.extend(self.public);
        write!(f, "{}+{:08x}+{}", self.name, u32::from_be_bytes(self.id), STANDARD.encode(key))
    }
}

impl FromStr for VerifierKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let malformed = Error::Key("it is not of the form name+id+key");
        if text.len() > MAX_NAME + 64 {
            return Err(malformed);
        }
        let (name, rest) = text.split_once('+').ok_or(malformed.clone())?;
        let (_, key) = rest.split_once('+').ok_or(malformed.clone())?;
        let key = STANDARD.decode(key).map_err(|_| malformed.clone())?;
        let (kind, public) = key.split_first().ok_or(malformed.clone())?;
        if *kind != ED25519_TYPE {
            return Err(Error::Key("it is not an Ed25519 key"));
        }
        let key = Self::new(name, public.try_into().map_err(|_| malformed)?)?;
        if key.to_string() == text {
            Ok(key)
        } else {
            Err(Error::Key("its id is not that of its name and key"))
        }
    }
}

/// One signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The name of the key.
    pub name: String,
    /// The id of the key.
    pub key_id: [u8; 4],
    /// What the key made of the text.
    pub bytes: Vec<u8>,
}

impl Signature {
    /// Reads a line without its newline.
    fn parse(line: &str) -> Result<Self> {
        let malformed = Error::Note("a signature line is not of the form — name base64");
        let rest = line.strip_prefix("— ").ok_or(malformed.clone())?;
        let (name, encoded) = rest.split_once(' ').ok_or(malformed.clone())?;
        let decoded = STANDARD.decode(encoded).map_err(|_| malformed.clone())?;
        let (key_id, bytes) = decoded.split_first_chunk::<4>().ok_or(malformed.clone())?;
        if !name_is_valid(name) || bytes.is_empty() {
            return Err(malformed);
        }
        Ok(Self { name: name.to_owned(), key_id: *key_id, bytes: bytes.to_vec() })
    }
}

/// A text and its signatures. Nothing in it is to be believed before [`Note::verify`] has said who signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

impl Note {
    /// Signs a text, which must end in a newline and hold no control characters but newlines. What the closure
    /// gives is verified with `key`, so that a note which nobody could verify is never handed out.
    pub fn sign(text: &str, key: &VerifierKey, signer: &Signer<'_>) -> Result<Self> {
        check_text(text)?;
        let note = Self { text: text.to_owned(), signatures: Vec::new() };
        note.signed_also(key, signer)
    }

    /// Adds a signature: of a new key during a rotation, or of a witness.
    pub fn signed_also(mut self, key: &VerifierKey, signer: &Signer<'_>) -> Result<Self> {
        let bytes = signer(self.text.as_bytes()).map_err(|error| match error {
            model::Error::Internal(cause) => Error::Signing(cause),
            other => Error::Signing(other.to_string()),
        })?;
        if !key.verifies(&self.text, &bytes) {
            return Err(Error::Signing(format!("the private key is not the one of `{}`", key.name)));
        }
        self.signatures.push(Signature { name: key.name.clone(), key_id: key.id, bytes: bytes.to_vec() });
        if self.signatures.len() > MAX_SIGNATURES || self.to_string().len() > MAX_NOTE {
            return Err(Error::Note("it would be larger than any note that is read"));
        }
        Ok(self)
    }

    /// Reads a note of at most [`MAX_NOTE`] bytes with 1 to [`MAX_SIGNATURES`] signatures.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > MAX_NOTE {
            return Err(Error::Note("it is larger than 256 KiB"));
        }
        let whole = str::from_utf8(bytes).map_err(|_| Error::Note("it is not UTF-8"))?;
        check_text(whole)?;
        // The last empty line ends the text, which keeps its own newline.
        let end = whole.rfind("\n\n").ok_or(Error::Note("no empty line stands before the signatures"))?;
        let (text, below) = whole.split_at_checked(end + 1).ok_or(Error::Note("it has no text"))?;
        let lines = below.strip_prefix('\n').and_then(|lines| lines.strip_suffix('\n'));
        let lines = lines.ok_or(Error::Note("it has no signatures"))?;
        if lines.split('\n').nth(MAX_SIGNATURES).is_some() {
            return Err(Error::Note("it has more than 64 signatures"));
        }
        let signatures = lines.split('\n').map(Signature::parse).collect::<Result<_>>()?;
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// The text, with its last newline.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures, known or not.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Which of the keys signed: at least one, or it is an error. Signatures by other keys are passed over; one
    /// that claims to be by a given key and is not spoils the whole note.
    pub fn verify<'k>(&self, keys: &'k [VerifierKey]) -> Result<Vec<&'k VerifierKey>> {
        let mut signers: Vec<&VerifierKey> = Vec::new();
        for signature in &self.signatures {
            let known = |key: &&VerifierKey| key.name == signature.name && key.id == signature.key_id;
            // Two keys may share name and id by malice: it is enough that one of them signed.
            let mut candidates = keys.iter().filter(known).peekable();
            if candidates.peek().is_none() {
                continue;
            }
            let Some(key) = candidates.find(|key| key.verifies(&self.text, &signature.bytes)) else {
                return Err(Error::Forged(signature.name.clone()));
            };
            if !signers.contains(&key) {
                signers.push(key);
            }
        }
        if signers.is_empty() { Err(Error::Unsigned) } else { Ok(signers) }
    }
}

fn check_text(text: &str) -> Result<()> {
    if !text.ends_with('\n') {
        return Err(Error::Note("it does not end in a newline"));
    }
    if text.bytes().any(|byte| byte < b' ' && byte != b'\n') {
        return Err(Error::Note("it holds a control character"));
    }
    Ok(())
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        for signature in &self.signatures {
            let mut bytes = signature.key_id.to_vec();
            bytes.extend(&signature.bytes);
            writeln!(f, "— {} {}", signature.name, STANDARD.encode(bytes))?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
    use proptest::prelude::*;

    use super::*;

    /// The example in the documentation of Go's `sumdb/note`, whose private key is published there.
    const NEUMANN: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\n\
        — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    const NEUMANN_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const NEUMANN_PRIVATE: &str = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";

    pub(crate) fn pair(seed: u8) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
    }

    pub(crate) fn verifier(name: &str, pair: &Ed25519KeyPair) -> VerifierKey {
        VerifierKey::new(name, pair.public_key().as_ref().try_into().unwrap()).unwrap()
    }

    pub(crate) fn signer(pair: &Ed25519KeyPair) -> impl Fn(&[u8]) -> model::Result<[u8; 64]> {
        |text| Ok(pair.sign(text).as_ref().try_into().unwrap())
    }

    #[test]
    fn a_note_by_another_program_is_verified_and_made_the_same() {
        let key: VerifierKey = NEUMANN_KEY.parse().unwrap();
        assert_eq!(key.to_string(), NEUMANN_KEY);
        let note = Note::parse(NEUMANN.as_bytes()).unwrap();
        assert_eq!(note.verify(std::slice::from_ref(&key)).unwrap(), [&key]);
        assert_eq!(note.to_string(), NEUMANN);

        let private = STANDARD.decode(NEUMANN_PRIVATE).unwrap();
        let pair = Ed25519KeyPair::from_seed_unchecked(&private[1..]).unwrap();
        assert_eq!(Note::sign(note.text(), &key, &signer(&pair)).unwrap(), note);
    }

    #[test]
    fn unknown_signatures_are_passed_over_and_forged_ones_spoil_the_note() {
        let (one, two) = (pair(1), pair(2));
        let (first, second) = (verifier("log.test/a", &one), verifier("witness.test", &two));
        let note = Note::sign("text\n\nmore\n", &first, &signer(&one)).unwrap();
        let note = note.signed_also(&second, &signer(&two)).unwrap();
        let note = Note::parse(note.to_string().as_bytes()).unwrap();
        assert_eq!(note.text(), "text\n\nmore\n");
        assert_eq!(note.verify(&[second.clone(), first.clone()]).unwrap(), [&first, &second]);
        assert_eq!(note.verify(std::slice::from_ref(&second)).unwrap(), [&second]);
        assert_eq!(note.verify(&[verifier("else.test", &one)]), Err(Error::Unsigned));
        assert_eq!(note.verify(&[]), Err(Error::Unsigned));

        let changed = note.to_string().replace("more", "less");
        let changed = Note::parse(changed.as_bytes()).unwrap();
        assert_eq!(changed.verify(&[second]), Err(Error::Forged("witness.test".to_owned())));
    }

    #[test]
    fn a_signature_by_another_private_key_is_not_handed_out() {
        let result = Note::sign("text\n", &verifier("log.test", &pair(1)), &signer(&pair(2)));
        assert!(matches!(result, Err(Error::Signing(_))));
        let refuses = |_: &[u8]| Err(model::Error::internal("the key is gone"));
        let result = Note::sign("text\n", &verifier("log.test", &pair(1)), &refuses);
        assert_eq!(result, Err(Error::Signing("the key is gone".to_owned())));
    }

    #[test]
    fn notes_and_keys_are_bounded_and_strict() {
        let line = NEUMANN.lines().last().unwrap();
        let with = |count: usize| format!("text\n\n{}", format!("{line}\n").repeat(count));
        assert_eq!(Note::parse(with(64).as_bytes()).unwrap().signatures().len(), 64);
        for bad in [
            String::new(),
            "text\n".to_owned(),
            "text\n\n".to_owned(),
            "\n\n".to_owned(),
            format!("text\n{line}\n"),
            format!("text\n\n{line}"),
            format!("te\rxt\n\n{line}\n"),
            format!("text\n\n{}\n", line.replace('—', "-")),
            format!("text\n\n{line} \n"),
            "text\n\n— name AAAA\n".to_owned(),
            "text\n\n— na+me x08go/ZJ\n".to_owned(),
            with(65),
            format!("{}\n\n{line}\n", "x".repeat(MAX_NOTE)),
        ] {
            assert!(Note::parse(bad.as_bytes()).is_err(), "{bad:.80}");
        }
        assert!(Note::parse(b"\xff\n\n").is_err());
        for bad in ["", "a", "a+b", "a b+00000000+AQ==", &NEUMANN_KEY.replace("c7", "c8"), &NEUMANN_KEY[1..]]
        {
            assert!(bad.parse::<VerifierKey>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Note::parse(&bytes);
        }

        #[test]
        fn what_is_read_is_written_the_same(text in "[a\n —]{0,12}\n\n(— [a-z]{1,3} (AAAA){1,3}\n){0,3}|\\PC{0,60}") {
            if let Ok(note) = Note::parse(text.as_bytes()) {
                prop_assert_eq!(note.to_string(), text.clone());
            }
            let _ = text.parse::<VerifierKey>();
        }

        #[test]
        fn a_flipped_bit_is_seen(at: usize, bit in 0u8..8) {
            let key: VerifierKey = NEUMANN_KEY.parse().unwrap();
            let mut bytes = NEUMANN.as_bytes().to_vec();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            prop_assert!(Note::parse(&bytes).and_then(|note| note.verify(&[key]).map(drop)).is_err());
        }
    }
}
