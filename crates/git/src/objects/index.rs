//! A pack's index (`gitformat-pack`, version 2): where in the pack an object begins. A few small reads for each
//! question; nothing of it stays in memory but the 256 counts at its head.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::oid::Oid;

const MAGIC_AND_VERSION: [u8; 8] = [0xff, b't', b'O', b'c', 0, 0, 0, 2];

/// Bytes before the names: magic, version, 256 counts.
const HEAD: u64 = 8 + 256 * 4;

/// How many names are read at once.
const WINDOW: u64 = 128;

const NAME: u64 = 20;

/// An index that is open.
#[derive(Debug)]
pub(super) struct Index {
    file: File,
    /// How many names begin with this byte or a lower one.
    counts: Vec<u32>,
}

impl Index {
    /// Opens one.
    ///
    /// # Errors
    /// The disk's, and `InvalidData` for another version.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let mut head = [0; 8 + 256 * 4];
        file.read_exact_at(&mut head, 0)?;
        let counts = head
            .strip_prefix(&MAGIC_AND_VERSION)
            .ok_or_else(|| super::malformed("a pack's index is not of version 2"))?;
        let (counts, _) = counts.as_chunks::<4>();
        let counts: Vec<u32> = counts.iter().map(|bytes| u32::from_be_bytes(*bytes)).collect();
        if !counts.is_sorted() {
            return Err(super::malformed("a pack's index counts backwards"));
        }
        Ok(Self { file, counts })
    }

    fn total(&self) -> u64 {
        self.counts.last().copied().unwrap_or(0).into()
    }

    /// Where the object begins in the pack, if it is there.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn find(&self, id: &Oid) -> io::Result<Option<u64>> {
        let first = usize::from(id.bytes()[0]);
        let count = |at: Option<usize>| at.and_then(|at| self.counts.get(at)).copied().map_or(0, u64::from);
        let (mut low, mut high) = (count(first.checked_sub(1)), count(Some(first)));
        while high - low > WINDOW {
            let middle = low + (high - low) / 2;
            let mut name = [0; Oid::LENGTH];
            self.file.read_exact_at(&mut name, HEAD + middle * NAME)?;
            if name <= *id.bytes() { low = middle } else { high = middle }
        }
        let mut names = vec![[0; Oid::LENGTH]; usize::try_from(high - low).unwrap_or(0)];
        self.file.read_exact_at(names.as_flattened_mut(), HEAD + low * NAME)?;
        match names.binary_search(id.bytes()) {
            Ok(at) => self.offset(low + u64::try_from(at).unwrap_or(u64::MAX)).map(Some),
            Err(_) => Ok(None),
        }
    }

    fn offset(&self, at: u64) -> io::Result<u64> {
        // Behind the names come checksums of four bytes, then offsets of four, then those of eight.
        let mut short = [0; 4];
        self.file.read_exact_at(&mut short, HEAD + self.total() * (NAME + 4) + at * 4)?;
        let short = u32::from_be_bytes(short);
        if short & 0x8000_0000 == 0 {
            return Ok(short.into());
        }
        let mut long = [0; 8];
        let at = u64::from(short & 0x7fff_ffff);
        self.file.read_exact_at(&mut long, HEAD + self.total() * (NAME + 8) + at * 8)?;
        Ok(u64::from_be_bytes(long))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An index of objects whose names all begin with the same byte; each second offset is a long one.
    fn written(names: &[[u8; Oid::LENGTH]]) -> Vec<u8> {
        let mut bytes = MAGIC_AND_VERSION.to_vec();
        let count = u32::try_from(names.len()).unwrap();
        for first in 0..=255 {
            bytes.extend_from_slice(&if first < 0x42 { 0 } else { count }.to_be_bytes());
        }
        bytes.extend_from_slice(names.as_flattened());
        bytes.extend(std::iter::repeat_n(0, names.len() * 4));
        for at in 0..count {
            bytes
                .extend_from_slice(&if at % 2 == 0 { at + 12 } else { 0x8000_0000 | (at / 2) }.to_be_bytes());
        }
        for at in (1..u64::from(count)).step_by(2) {
            bytes.extend_from_slice(&((1 << 40) + at).to_be_bytes());
        }
        bytes
    }

    /// Would catch a search that loses a name at the edge of a half, which small packs never show.
    #[test]
    fn every_name_of_a_full_bucket_is_found_and_none_between() {
        for count in [0_u16, 1, 127, 128, 129, 256, 257, 1000] {
            let name = |number: u16| {
                let mut name = [0; Oid::LENGTH];
                name[0] = 0x42;
                name[1..3].copy_from_slice(&number.to_be_bytes());
                name
            };
            let names: Vec<_> = (0..count).map(|number| name(number * 2 + 1)).collect();
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("x.idx");
            std::fs::write(&path, written(&names)).unwrap();
            let index = Index::open(&path).unwrap();
            for (at, found) in (0_u64..).zip(&names) {
                let expected = if at % 2 == 0 { at + 12 } else { (1 << 40) + at };
                assert_eq!(
                    index.find(&Oid::from_bytes(found).unwrap()).unwrap(),
                    Some(expected),
                    "{at} of {count}"
                );
            }
            for number in 0..=count {
                assert_eq!(index.find(&Oid::from_bytes(&name(number * 2)).unwrap()).unwrap(), None);
            }
            for first in [0, 0x41, 0x43, 0xff] {
                assert_eq!(index.find(&Oid::from_bytes(&[first; 20]).unwrap()).unwrap(), None);
            }
        }
    }

    #[test]
    fn what_is_no_index_of_this_version_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.idx");
        let mut bytes = written(&[]);
        bytes[7] = 1;
        let mut backwards = written(&[]);
        backwards[8] = 1;
        for bad in [bytes, backwards, b"\xfftOc".to_vec()] {
            std::fs::write(&path, bad).unwrap();
            assert!(Index::open(&path).is_err());
        }
    }
}
