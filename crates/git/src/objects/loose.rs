//! Objects that are files of their own: compressed, a head of kind and size before the content.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::ZlibDecoder;

use super::{Kind, malformed};

/// The longest head: a kind's name, twenty digits, what stands between and behind.
const LONGEST_HEAD: u64 = 32;

/// An object whose head was read.
pub(super) struct Loose {
    pub(super) kind: Kind,
    /// Of the content, in bytes.
    pub(super) size: u64,
    rest: BufReader<ZlibDecoder<File>>,
}

impl Loose {
    /// Opens one.
    ///
    /// # Errors
    /// The disk's, and `InvalidData` for what is no object.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut rest = BufReader::with_capacity(4096, ZlibDecoder::new(File::open(path)?));
        let mut head = Vec::new();
        (&mut rest).take(LONGEST_HEAD).read_until(0, &mut head)?;
        let (kind, size) = parse_head(&head).ok_or_else(|| malformed("a loose object has no head"))?;
        Ok(Self { kind, size, rest })
    }

    /// The whole content.
    ///
    /// # Errors
    /// The disk's, and `InvalidData` when it is longer than `longest` or than its head says.
    pub(super) fn content(self, longest: u64) -> io::Result<Vec<u8>> {
        if self.size > longest {
            return Err(malformed("an object is longer than is read here"));
        }
        let size = self.size;
        let content = self.beginning(size.saturating_add(1))?;
        let whole = u64::try_from(content.len()).is_ok_and(|length| length == size);
        if whole { Ok(content) } else { Err(malformed("a loose object has not the size it says")) }
    }

    /// The content up to `bytes`.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn beginning(self, bytes: u64) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        self.rest.take(bytes).read_to_end(&mut content)?;
        Ok(content)
    }
}

/// `blob 12` and a zero byte.
fn parse_head(head: &[u8]) -> Option<(Kind, u64)> {
    let mut words = head.strip_suffix(b"\0")?.split(|byte| *byte == b' ');
    let kind = Kind::parse(words.next()?)?;
    let size = words.next().filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    let size = std::str::from_utf8(size).ok()?.parse().ok()?;
    words.next().is_none().then_some((kind, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_tells_kind_and_size() {
        assert_eq!(parse_head(b"blob 12\0"), Some((Kind::Blob, 12)));
        for bad in [&b"blob 12"[..], b"blob\0", b"blob \0", b"blob -1\0", b"blob 1 2\0", b"thing 1\0", b""] {
            assert_eq!(parse_head(bad), None, "{bad:?}");
        }
    }
}
