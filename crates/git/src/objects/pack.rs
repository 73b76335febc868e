//! Objects in a pack: of what kind one is, how long, and the content of those that are short enough. Deltas are
//! followed and applied.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use flate2::read::ZlibDecoder;

use super::index::Index;
use super::oid::Oid;
use super::{Kind, malformed};

/// How many deltas may stand on each other; git itself writes 4095 at most, and 50 unless told otherwise.
const DEEPEST: usize = 4096;

/// How many deltas are applied for one object: deeper chains, which cost whoever reads more than whoever made them, are
/// git's, whose time is limited.
const MOST_APPLIED: usize = 64;

/// The longest an entry's head can be: ten bytes of size, twenty of a base's name.
const LONGEST_HEAD: usize = 30;

/// The longest the two sizes can be that a delta begins with.
const LONGEST_SIZES: u64 = 20;

/// How the content of an entry is written.
enum Form {
    Whole(Kind),
    /// On what begins at this place in the pack.
    Delta(u64),
}

struct Entry {
    form: Form,
    size: u64,
    /// Where the compressed data begins.
    data: u64,
}

/// A pack that is open, with its index.
#[derive(Debug)]
pub(super) struct Pack {
    pub(super) file: File,
    pub(super) index: Index,
}

impl Pack {
    fn entry(&self, at: u64) -> io::Result<Entry> {
        let mut buffer = [0; LONGEST_HEAD];
        let read = self.file.read_at(&mut buffer, at)?;
        let mut rest = buffer.get(..read).unwrap_or_default();
        let truncated = || malformed("a pack's entry is cut off");
        let first = take(&mut rest).ok_or_else(truncated)?;
        let size = size(first, &mut rest).ok_or_else(truncated)?;
        let form = match (first >> 4) & 7 {
            1 => Form::Whole(Kind::Commit),
            2 => Form::Whole(Kind::Tree),
            3 => Form::Whole(Kind::Blob),
            4 => Form::Whole(Kind::Tag),
            6 => {
                let back = distance(&mut rest).ok_or_else(truncated)?;
                let base = at.checked_sub(back).filter(|base| *base < at);
                Form::Delta(base.ok_or_else(|| malformed("a delta's base lies before its pack"))?)
            }
            7 => {
                let (name, behind) = rest.split_at_checked(Oid::LENGTH).ok_or_else(truncated)?;
                rest = behind;
                let base = Oid::from_bytes(name).ok_or_else(truncated)?;
                let base = self.index.find(&base)?;
                Form::Delta(base.ok_or_else(|| malformed("a delta's base is not in its pack"))?)
            }
            _ => return Err(malformed("a pack's entry is of no known kind")),
        };
        let head = read - rest.len();
        Ok(Entry { form, size, data: at.saturating_add(u64::try_from(head).unwrap_or(u64::MAX)) })
    }

    /// Of what kind the object is that begins here.
    ///
    /// # Errors
    /// The disk's, and `InvalidData` for what is no entry.
    pub(super) fn kind(&self, at: u64) -> io::Result<Kind> {
        let mut at = at;
        for _ in 0..DEEPEST {
            match self.entry(at)?.form {
                Form::Whole(kind) => return Ok(kind),
                Form::Delta(base) => at = base,
            }
        }
        Err(malformed("deltas stand on each other without end"))
    }

    /// How long the object is that begins here, in bytes.
    ///
    /// # Errors
    /// As [`Self::kind`].
    pub(super) fn size(&self, at: u64) -> io::Result<u64> {
        let entry = self.entry(at)?;
        if matches!(entry.form, Form::Whole(_)) {
            return Ok(entry.size);
        }
        // A delta begins with its base's size and that of what it makes.
        let mut sizes = Vec::new();
        self.decoder(&entry).take(LONGEST_SIZES).read_to_end(&mut sizes)?;
        let mut rest = sizes.as_slice();
        let made = plain_size(&mut rest).and_then(|_| plain_size(&mut rest));
        made.ok_or_else(|| malformed("a delta does not tell what it makes"))
    }

    /// The content of the object that begins here; neither it nor what it is made from may be longer than `longest`.
    ///
    /// # Errors
    /// The disk's, and `InvalidData` for what is no entry or too long.
    pub(super) fn content(&self, at: u64, longest: u64) -> io::Result<Vec<u8>> {
        let mut deltas = Vec::new();
        let mut at = at;
        for _ in 0..=MOST_APPLIED {
            let entry = self.entry(at)?;
            match entry.form {
                Form::Whole(_) => {
                    let whole = self.inflate(&entry, longest)?;
                    return deltas.iter().rev().try_fold(whole, |base, delta: &Entry| {
                        apply(&base, &self.inflate(delta, longest)?, longest)
                            .ok_or_else(|| malformed("a delta does not fit its base"))
                    });
                }
                Form::Delta(base) => at = base,
            }
            deltas.push(entry);
        }
        Err(malformed("more deltas stand on each other than are applied here"))
    }

    fn decoder(&self, entry: &Entry) -> impl Read {
        let from = At { file: &self.file, position: entry.data };
        // What is read at once is little for a short object, and for a long one more than few reads.
        let buffer = usize::try_from(entry.size).unwrap_or(usize::MAX).clamp(512, 32 * 1024);
        ZlibDecoder::new_with_buf(from, vec![0; buffer])
    }

    fn inflate(&self, entry: &Entry, longest: u64) -> io::Result<Vec<u8>> {
        if entry.size > longest {
            return Err(malformed("an object is longer than is read here"));
        }
        let mut content = Vec::with_capacity(usize::try_from(entry.size).unwrap_or(0));
        self.decoder(entry).take(entry.size.saturating_add(1)).read_to_end(&mut content)?;
        let whole = u64::try_from(content.len()).is_ok_and(|length| length == entry.size);
        if whole { Ok(content) } else { Err(malformed("a pack's entry has not the size it says")) }
    }
}

/// A file read from a place in it, without moving anybody else's place.
struct At<'f> {
    file: &'f File,
    position: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.position)?;
        self.position = self.position.saturating_add(u64::try_from(read).unwrap_or(0));
        Ok(read)
    }
}

fn take(rest: &mut &[u8]) -> Option<u8> {
    let (first, behind) = rest.split_first()?;
    *rest = behind;
    Some(*first)
}

/// The size in an entry's head: four bits of the first byte, then seven of each.
fn size(first: u8, rest: &mut &[u8]) -> Option<u64> {
    let mut size = u64::from(first & 0x0f);
    let (mut byte, mut shift) = (first, 4_u32);
    while byte & 0x80 != 0 {
        byte = take(rest)?;
        size |= shifted(byte, shift)?;
        shift += 7;
    }
    Some(size)
}

/// The size in a delta's head: seven bits of each byte, lowest first.
fn plain_size(rest: &mut &[u8]) -> Option<u64> {
    let (mut size, mut shift) = (0, 0_u32);
    loop {
        let byte = take(rest)?;
        size |= shifted(byte, shift)?;
        shift += 7;
        if byte & 0x80 == 0 {
            return Some(size);
        }
    }
}

fn shifted(byte: u8, shift: u32) -> Option<u64> {
    let value = u64::from(byte & 0x7f);
    value.checked_shl(shift).filter(|moved| moved >> shift == value)
}

/// How far before a delta its base begins: seven bits of each byte, highest first, one added with each more.
fn distance(rest: &mut &[u8]) -> Option<u64> {
    let mut byte = take(rest)?;
    let mut distance = u64::from(byte & 0x7f);
    while byte & 0x80 != 0 {
        byte = take(rest)?;
        distance = distance.checked_add(1)?.checked_mul(128)?.checked_add(u64::from(byte & 0x7f))?;
    }
    Some(distance)
}

/// What a delta makes of its base (`gitformat-pack`, "Deltified representation").
fn apply(base: &[u8], delta: &[u8], longest: u64) -> Option<Vec<u8>> {
    let mut rest = delta;
    if plain_size(&mut rest)? != u64::try_from(base.len()).ok()? {
        return None;
    }
    let length = plain_size(&mut rest).filter(|length| *length <= longest)?;
    let length = usize::try_from(length).ok()?;
    let mut made = Vec::with_capacity(length);
    while let Some(operation) = take(&mut rest) {
        let piece = if operation & 0x80 == 0 {
            let (data, behind) = rest.split_at_checked(usize::from(operation)).filter(|_| operation != 0)?;
            rest = behind;
            data
        } else {
            let from = numbers(operation, 0..4, &mut rest)?;
            let count = match numbers(operation, 4..7, &mut rest)? {
                0 => 0x1_0000,
                count => count,
            };
            base.get(from..from.checked_add(count)?)?
        };
        if made.len().checked_add(piece.len())? > length {
            return None;
        }
        made.extend_from_slice(piece);
    }
    (made.len() == length).then_some(made)
}

/// The number of which those bytes stand in a copy's head whose bits are set, lowest first.
fn numbers(operation: u8, bits: std::ops::Range<u32>, rest: &mut &[u8]) -> Option<usize> {
    let mut number = 0;
    for (place, bit) in bits.enumerate() {
        if operation >> bit & 1 == 1 {
            number |= usize::from(take(rest)?) << (8 * place);
        }
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LONGEST: u64 = 1 << 20;

    #[test]
    fn a_delta_copies_and_inserts() {
        // Copy five from the second byte, insert "xy".
        let delta = [10, 7, 0b1001_0001, 1, 5, 2, b'x', b'y'];
        assert_eq!(apply(b"0123456789", &delta, LONGEST).unwrap(), b"12345xy");
        assert_eq!(apply(b"0123456789", &delta, 6), None);
        for bad in [
            &[9, 7, 0b1001_0001, 1, 5, 2, b'x', b'y'][..],
            &[10, 8, 0b1001_0001, 1, 5, 2, b'x', b'y'],
            &[10, 6, 0b1001_0001, 1, 5, 2, b'x', b'y'],
            &[10, 7, 0b1001_0001, 8, 5, 2, b'x', b'y'],
            &[10, 0, 0],
            &[10],
            &[],
        ] {
            assert_eq!(apply(b"0123456789", bad, LONGEST), None, "{bad:?}");
        }
    }

    proptest! {
        /// Attack: deltas made to read outside their base or to grow without end.
        #[test]
        fn arbitrary_deltas_never_panic(base in proptest::collection::vec(any::<u8>(), 0..40), delta in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Some(made) = apply(&base, &delta, LONGEST) {
                prop_assert!(made.len() <= usize::try_from(LONGEST).unwrap());
            }
        }

        #[test]
        fn arbitrary_heads_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = size(bytes.first().copied().unwrap_or(0), &mut &bytes[..]);
            let _ = plain_size(&mut &bytes[..]);
            let _ = distance(&mut &bytes[..]);
        }
    }
}
