//! Targets over `ledger`: what a witness or an auditor may hand back.

use ledger::{Checkpoint, Entry, Note, VerifierKey};

/// Notes of the form that is signed: a text, an empty line, and signatures.
pub const NOTES: &[&str] = &[
    "example.com/log\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\u{2014} example.com/log AAAAAAAAAAAAAAAAAAAAAAAA\n",
    "text\n\n\u{2014} a AAAAAAA=\n\u{2014} b AAAAAAA=\n",
];

/// The three lines of a checkpoint.
pub const CHECKPOINTS: &[&str] = &["example.com/log\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"];

/// 57 bytes.
pub const ENTRIES: &[&str] = &["\u{1}56789012345678901234567890123456789012345678901234567890"];

/// Notes and keys are read without trust; nobody's signature is ever accepted.
pub fn note(data: &[u8]) {
    let Ok(note) = Note::parse(data) else { return };
    assert!(!note.signatures().is_empty());
    assert!(note.verify(&[]).is_ok_and(|keys| keys.is_empty()) || note.verify(&[]).is_err());
    assert!(Checkpoint::open(data, &[]).is_err());
}

/// A checkpoint has one form alone.
pub fn checkpoint(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(checkpoint) = text.parse::<Checkpoint>() {
        assert_eq!(checkpoint.to_string(), text);
    }
    if let Ok(key) = text.parse::<VerifierKey>() {
        assert!(!key.name().is_empty());
    }
}

/// An entry's bytes are those it is written as.
pub fn entry(data: &[u8]) {
    if let Ok(entry) = Entry::from_bytes(data) {
        assert_eq!(entry.to_bytes().as_slice(), data);
    }
}
