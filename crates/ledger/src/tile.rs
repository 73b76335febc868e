//! The layout by which a log is served as static resources (C2SP tlog-tiles): which hashes or entries stand in
//! which tile, and under which path. Serving them is the business of others.
//!
//! A tile is 256 hashes wide when full, and spans a subtree of height 8. Each hash of a tile at level 1 and above
//! is the root of a full tile of the level below. Entries stand beside the tiles of level 0, in bundles of 256.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use crate::entry::ENTRY_LEN;
use crate::hash::HASH_LEN;
use crate::tree::MAX_SIZE;
use crate::{Entry, Error, Hash, Result};

/// The number of hashes or entries in a full tile.
pub const FULL_WIDTH: u16 = 256;

/// The highest level that the largest tree has: 63 bits of size, 8 for each level.
const TOP_LEVEL: u8 = 7;

/// The longest path that is read: the longest that is written has 36 bytes.
const MAX_PATH: usize = 64;

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The entries themselves: an entry bundle.
    Entries,
    /// Hashes: of leaves at level 0, of full tiles of the level below above it.
    Hashes(u8),
}

impl Level {
    /// How many bits of a leaf's index lie below this level's.
    fn shift(self) -> u32 {
        match self {
            Self::Entries => 0,
            Self::Hashes(level) => 8 * u32::from(level),
        }
    }
}

/// One tile, full or partial. Shown and read as its path below the log's prefix: `tile/0/x001/x234/067`, and
/// with `.p/112` behind it for a partial tile of 112.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    level: Level,
    index: u64,
    width: u16,
}

impl Tile {
    /// A tile of a width from 1 to 256.
    pub fn new(level: Level, index: u64, width: u16) -> Result<Self> {
        if matches!(level, Level::Hashes(level) if level > TOP_LEVEL) {
            return Err(Error::Tile("no log is large enough for its level"));
        }
        if !(1..=FULL_WIDTH).contains(&width) {
            return Err(Error::Tile("its width is not from 1 to 256"));
        }
        let end = index.checked_mul(256).and_then(|first| first.checked_add(u64::from(width)));
        if end.is_none_or(|end| end > MAX_SIZE >> level.shift()) {
            return Err(Error::Tile("no log is large enough for its index"));
        }
        Ok(Self { level, index, width })
    }

    /// The tile of this level and index in a tree of `size` leaves: full, partial, or none where it would be empty.
    #[must_use]
    pub fn of_tree(level: Level, index: u64, size: u64) -> Option<Self> {
        let hashes = size.checked_shr(level.shift())?;
        let width = hashes.checked_sub(index.checked_mul(256)?)?.min(u64::from(FULL_WIDTH));
        Self::new(level, index, u16::try_from(width).ok()?).ok()
    }

    /// What it holds.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Its index within the level.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// How many hashes or entries it holds.
    #[must_use]
    pub fn width(&self) -> u16 {
        self.width
    }

    /// The leaves that it spans.
    #[must_use]
    pub fn leaves(&self) -> Range<u64> {
        // `new` has seen to it that neither product is larger than MAX_SIZE.
        let first = self.index * u64::from(FULL_WIDTH);
        first << self.level.shift()..(first + u64::from(self.width)) << self.level.shift()
    }

    /// Its bytes, from the hashes over ranges of leaves. At level 1 and above a range is a full tile of the level
    /// below, so its hash is [`root`](crate::root) of that tile's.
    pub fn contents<E: From<Error>>(
        &self,
        mut hash_of: impl FnMut(Range<u64>) -> Result<Hash, E>,
    ) -> Result<Vec<u8>, E> {
        if self.level == Level::Entries {
            return Err(Error::Tile("an entry bundle holds entries, not hashes").into());
        }
        let mut bytes = Vec::with_capacity(usize::from(self.width) * HASH_LEN);
        let step = 1_u64 << self.level.shift();
        let mut start = self.leaves().start;
        for _ in 0..self.width {
            bytes.extend(hash_of(start..start + step)?.as_bytes());
            start += step;
        }
        Ok(bytes)
    }

    /// Reads the hashes of a tile's bytes.
    pub fn read(&self, bytes: &[u8]) -> Result<Vec<Hash>> {
        let (hashes, remainder) = bytes.as_chunks::<HASH_LEN>();
        if self.level == Level::Entries || !remainder.is_empty() || hashes.len() != usize::from(self.width) {
            return Err(Error::Tile("its length does not fit its width"));
        }
        Ok(hashes.iter().copied().map(Hash::from_bytes).collect())
    }

    /// Reads the entries of an entry bundle's bytes.
    pub fn read_entries(&self, bytes: &[u8]) -> Result<Vec<Entry>> {
        let (items, remainder) = bytes.as_chunks::<{ 2 + ENTRY_LEN }>();
        if self.level != Level::Entries || !remainder.is_empty() || items.len() != usize::from(self.width) {
            return Err(Error::Tile("its length does not fit its width"));
        }
        items
            .iter()
            .map(|item| match item.strip_prefix(&LENGTH_PREFIX) {
                Some(entry) => Entry::from_bytes(entry),
                None => Err(Error::Tile("an entry in it is not 57 bytes long")),
            })
            .collect()
    }
}

/// What stands before each entry of a bundle: its length in two bytes, big-endian.
const LENGTH_PREFIX: [u8; 2] = [0, 57];

/// The bytes of an entry bundle.
pub fn bundle<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<u8> {
    entries.into_iter().flat_map(|entry| LENGTH_PREFIX.into_iter().chain(entry.to_bytes())).collect()
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level {
            Level::Entries => f.write_str("tile/entries")?,
            Level::Hashes(level) => write!(f, "tile/{level}")?,
        }
        let mut groups = vec![self.index % 1000];
        let mut above = self.index / 1000;
        while above > 0 {
            groups.push(above % 1000);
            above /= 1000;
        }
        let last = groups.len() - 1;
        for (at, group) in groups.iter().rev().enumerate() {
            let mark = if at == last { "" } else { "x" };
            write!(f, "/{mark}{group:03}")?;
        }
        if self.width == FULL_WIDTH { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

/// Reads a path; any spelling but the one that is written is refused.
impl FromStr for Tile {
    type Err = Error;

    fn from_str(path: &str) -> Result<Self> {
        let malformed = Error::Tile("its path is not of the form tile/<level>/<index>[.p/<width>]");
        if path.len() > MAX_PATH {
            return Err(malformed);
        }
        let rest = path.strip_prefix("tile/").ok_or(malformed.clone())?;
        let (level, rest) = rest.split_once('/').ok_or(malformed.clone())?;
        let level = match level {
            "entries" => Level::Entries,
            number => Level::Hashes(number.parse().map_err(|_| malformed.clone())?),
        };
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => (index, width.parse().map_err(|_| malformed.clone())?),
            None => (rest, FULL_WIDTH),
        };
        let digits = index.replace("/x", "").replace(['x', '/'], "");
        let tile = Self::new(level, digits.parse().map_err(|_| malformed.clone())?, width)?;
        if tile.to_string() == path { Ok(tile) } else { Err(malformed) }
    }
}

#[cfg(test)]
mod tests {
    use model::{EventId, Random, Timestamp};
    use proptest::prelude::*;

    use super::*;
    use crate::tree::tests::leaves;
    use crate::{root, root_of};

    #[test]
    fn paths_are_those_of_the_specification() {
        let path = |level, index, width| Tile::new(level, index, width).unwrap().to_string();
        assert_eq!(path(Level::Hashes(0), 1_234_067, 256), "tile/0/x001/x234/067");
        assert_eq!(path(Level::Hashes(2), 0, 1), "tile/2/000.p/1");
        assert_eq!(path(Level::Entries, 273, 112), "tile/entries/273.p/112");
        assert_eq!(
            path(Level::Hashes(0), (MAX_SIZE >> 8) - 1, 255),
            "tile/0/x036/x028/x797/x018/x963/966.p/255"
        );
    }

    #[test]
    fn other_spellings_are_refused() {
        for path in [
            "",
            "tile/0/",
            "tile/0/1",
            "tile/00/001",
            "tile/+0/001",
            "tile/0/x000/001",
            "tile/0/001/x002",
            "tile/0/001.p/0",
            "tile/0/001.p/256",
            "tile/0/001.p/012",
            "tile/8/000",
            "tile/0/x999/x999/x999/x999/x999/999",
            "tile/0/../001",
        ] {
            assert!(path.parse::<Tile>().is_err(), "{path}");
        }
    }

    /// The example of the specification: a tree of 70,000.
    #[test]
    fn a_tree_has_the_tiles_of_the_specification() {
        let width =
            |level, index| Tile::of_tree(Level::Hashes(level), index, 70_000).map(|tile| tile.width());
        assert_eq!((width(0, 272), width(0, 273), width(0, 274)), (Some(256), Some(112), None));
        assert_eq!((width(1, 0), width(1, 1), width(1, 2)), (Some(256), Some(17), None));
        assert_eq!((width(2, 0), width(2, 1), width(3, 0)), (Some(1), None, None));
        assert_eq!(Tile::of_tree(Level::Hashes(1), 0, 256).map(|tile| tile.width()), Some(1));
        assert_eq!(Tile::of_tree(Level::Hashes(255), 0, 256), None);
    }

    #[test]
    fn a_tile_holds_the_hashes_it_spans() {
        let leaves = leaves(1_000);
        let of = |range| root_of(&leaves, range);
        let low = Tile::of_tree(Level::Hashes(0), 3, 1_000).unwrap();
        assert_eq!(low.read(&low.contents(of).unwrap()).unwrap(), leaves[768..]);
        let high = Tile::of_tree(Level::Hashes(1), 0, 1_000).unwrap();
        let hashes = high.read(&high.contents(of).unwrap()).unwrap();
        assert_eq!(hashes, [root(&leaves[..256]), root(&leaves[256..512]), root(&leaves[512..768])]);
        assert!(high.read(&[0; 32]).is_err());
    }

    #[test]
    fn a_bundle_is_read_back() {
        let random = Random::seeded(1);
        let entries: Vec<_> =
            (0..3).map(|at| Entry::of(b"", EventId::new(&random), Timestamp::from_micros(at))).collect();
        let tile = Tile::of_tree(Level::Entries, 0, 3).unwrap();
        let mut bytes = bundle(&entries);
        assert_eq!(bytes[..3], [0, 57, 1]);
        assert_eq!(tile.read_entries(&bytes).unwrap(), entries);
        assert!(tile.read_entries(&bytes[1..]).is_err());
        bytes[1] = 56;
        assert!(tile.read_entries(&bytes).is_err());
        assert!(tile.contents::<Error>(|_| Ok(Hash::empty())).is_err());
    }

    proptest! {
        #[test]
        fn a_path_is_read_back(level in 0u8..8, index: u64, width in 1u16..=256) {
            let level = Level::Hashes(level);
            let index = index % ((MAX_SIZE >> level.shift() >> 8).max(1));
            if let Ok(tile) = Tile::new(level, index, width) {
                prop_assert_eq!(tile.to_string().parse::<Tile>(), Ok(tile));
                prop_assert!(tile.leaves().end <= MAX_SIZE);
            } else {
                prop_assert!(level == Level::Hashes(7) && width > 127);
            }
        }

        #[test]
        fn what_is_read_is_written_the_same(path in "tile/(entries|[0-9]{1,2})(/x[0-9]{3}){0,6}/[0-9]{3}(\\.p/[0-9]{1,3})?|\\PC{0,40}") {
            if let Ok(tile) = path.parse::<Tile>() {
                prop_assert_eq!(tile.to_string(), path);
            }
        }

        #[test]
        fn any_bundle_is_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let tile = Tile::new(Level::Entries, 0, 3).unwrap();
            let _ = tile.read_entries(&bytes);
            let _ = Tile::new(Level::Hashes(0), 0, 3).unwrap().read(&bytes);
        }
    }
}
