//! Passwords that others have used and lost: the first that are guessed.
//!
//! A short list is built in. A long one is a file as Have I Been Pwned ships it: the SHA-1 of each password in capital
//! hexadecimal, a colon and a count, one to a line, sorted. It is searched on disk, so it may be as long as it likes and
//! costs some thirty small reads. Nothing of a password leaves the machine.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use model::{Error, Result};

/// The commonest that are long enough to pass the rule on length.
const COMMON: &[&str] = &[
    "123123123123",
    "1234567890ab",
    "1234567890qwerty",
    "1q2w3e4r5t6y",
    "1qaz2wsx3edc",
    "1qazxsw23edc",
    "abcd1234abcd",
    "administrator",
    "adminadminadmin",
    "basketball123",
    "changeme1234",
    "changemechangeme",
    "correcthorsebatterystaple",
    "correct horse battery",
    "football1234",
    "iloveyou1234",
    "iloveyouforever",
    "letmein12345",
    "letmeinplease",
    "liverpool123",
    "manchesterunited",
    "microsoft123",
    "mypassword12",
    "p@ssw0rd1234",
    "p@ssword1234",
    "passw0rd1234",
    "password1234",
    "password12345",
    "password123456",
    "password123!",
    "password1234!",
    "passwordpassword",
    "princess1234",
    "q1w2e3r4t5y6",
    "qazwsxedcrfv",
    "qwerty123456",
    "qwertyqwerty",
    "qwertyuiop12",
    "qwertyuiop123",
    "qwertyuiopasdf",
    "supermanbatman",
    "thisisapassword",
    "thisismypassword",
    "unbelievable",
    "welcome12345",
    "welcome123456",
    "winter2025winter",
    "zaq12wsxcde3",
    "zxcvbnm12345",
];

/// Hexadecimal digits of a SHA-1.
const DIGITS: usize = 40;
/// No line is longer: a hash, a colon, a count, the end of the line.
const LONGEST_LINE: usize = 96;
/// What is left is read in one piece.
const PIECE: u64 = 4_096;

/// A list on disk.
#[derive(Clone)]
pub(crate) struct Breached {
    path: PathBuf,
}

fn digits(password: &str) -> String {
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
    hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Whether it is one of the commonest, or one that says next to nothing: a few characters again and again, or in a row.
pub(crate) fn is_common(password: &str) -> bool {
    let folded = password.to_lowercase();
    let chars: Vec<char> = folded.chars().collect();
    let repeats = (1..=4).any(|unit| chars.iter().zip(chars.iter().skip(unit)).all(|(one, two)| one == two));
    let step = |by: i64| {
        let codes = chars.iter().map(|c| i64::from(u32::from(*c)));
        codes
            .clone()
            .zip(codes.skip(1))
            .all(|(one, two)| two - one == by || [(57, 48), (48, 57)].contains(&(one, two)))
    };
    COMMON.contains(&folded.as_str()) || repeats || step(1) || step(-1)
}

impl Breached {
    /// Looks at the beginning of the list.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let list = Self { path: path.to_owned() };
        let failed = |error: &dyn std::fmt::Display| {
            Error::invalid(format!(
                "the list of breached passwords `{}` cannot be used: {error}",
                path.display()
            ))
        };
        let file = File::open(path).map_err(|error| failed(&error))?;
        let mut first = [0; DIGITS + 1];
        file.read_exact_at(&mut first, 0).map_err(|error| failed(&error))?;
        match entry(&first) {
            Some(_) => Ok(list),
            None => Err(failed(&"a line is a SHA-1 in capital hexadecimal digits, a colon and a count")),
        }
    }

    /// Whether a password is in the list.
    pub(crate) fn contains(&self, password: &str) -> Result<bool> {
        let file = File::open(&self.path).map_err(Error::internal)?;
        search(&file, &digits(password)).map_err(Error::internal)
    }
}

/// The hash that a line begins with.
fn entry(line: &[u8]) -> Option<&[u8]> {
    let (hash, rest) = line.split_at_checked(DIGITS)?;
    let capital = hash.iter().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(b));
    (capital && rest.first().is_some_and(|b| *b == b':')).then_some(hash)
}

fn read(file: &File, at: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at + u64::try_from(filled).unwrap_or(0))? {
            0 => break,
            more => filled += more,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

fn search(file: &File, wanted: &str) -> io::Result<bool> {
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "a line is no hash and count");
    // `from` is the start of a line; every line before it is smaller, every line from `until` on is larger.
    let (mut from, mut until) = (0, file.metadata()?.len());
    while until - from > PIECE {
        let middle = from + (until - from) / 2;
        let seen = read(file, middle, 2 * LONGEST_LINE)?;
        let end = seen.iter().take(LONGEST_LINE).position(|b| *b == b'\n').ok_or_else(broken)?;
        let line = seen.get(end + 1..).unwrap_or_default();
        let start = middle + u64::try_from(end).unwrap_or(0) + 1;
        match entry(line).ok_or_else(broken)?.cmp(wanted.as_bytes()) {
            std::cmp::Ordering::Equal => return Ok(true),
            std::cmp::Ordering::Less => from = start,
            std::cmp::Ordering::Greater => until = start,
        }
    }
    let length = usize::try_from(until - from).unwrap_or(0);
    let piece = read(file, from, length + LONGEST_LINE)?;
    Ok(piece.split(|b| *b == b'\n').any(|line| entry(line).is_some_and(|hash| hash == wanted.as_bytes())))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn list(passwords: &[String]) -> tempfile::NamedTempFile {
        let mut hashes: Vec<String> = passwords.iter().map(|password| digits(password)).collect();
        hashes.sort();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        for (at, hash) in hashes.iter().enumerate() {
            write!(file, "{hash}:{}\r\n", at * 37).unwrap();
        }
        file
    }

    /// Would catch: a first, last or middle line that the search steps over.
    #[test]
    fn every_line_is_found_and_nothing_else() {
        for length in [1, 2, 80, 5_000] {
            let passwords: Vec<String> = (0..length).map(|at| format!("password number {at}")).collect();
            let file = list(&passwords);
            let breached = Breached::open(file.path()).unwrap();
            for password in &passwords {
                assert!(breached.contains(password).unwrap(), "{password} of {length}");
            }
            for at in 0..500 {
                assert!(!breached.contains(&format!("another {at}")).unwrap());
            }
        }
    }

    #[test]
    fn what_is_no_list_is_refused_at_once() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        assert!(Breached::open(file.path()).is_err());
        file.write_all(b"password1234\nletmein\nand so on, in plain text, for more than forty characters")
            .unwrap();
        assert!(Breached::open(file.path()).is_err());
        assert!(Breached::open(Path::new("/nonexistent")).is_err());
    }

    #[test]
    fn what_says_next_to_nothing_is_common() {
        for common in
            ["Password1234", "aaaaaaaaaaaa", "abababababab", "123456789012", "abcdefghijklm", "987654321098"]
        {
            assert!(is_common(common), "{common}");
        }
        assert!(!is_common("a mild surprise of thrushes"));
    }
}
