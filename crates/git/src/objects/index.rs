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
