//! The tree of RFC 6962, section 2.1: its root over leaf hashes, and the [`Frontier`] by which a log grows without
//! reading what it already holds.

use std::ops::Range;

use crate::hash::HASH_LEN;
use crate::{Error, Hash, Result, Span};

/// The largest number of leaves: what a signed 64-bit column of a database can count.
pub const MAX_SIZE: u64 = i64::MAX.unsigned_abs();

/// The version of a frontier's bytes.
const VERSION: u8 = 1;

/// The number of leaves left of the root's split: the largest power of two smaller than `size`, which must be at
/// least 2.
pub(crate) fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// The root over all leaf hashes, by the definition in the RFC.
#[must_use]
pub fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::empty(),
        [leaf] => *leaf,
        _ => {
            // The same split as `split`, in the type of a length.
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            Hash::node(root(left), root(right))
        }
    }
}

/// The hash over a half-open range of the leaves: what proofs and tiles ask for.
pub fn root_of(leaves: &[Hash], range: Range<u64>) -> Result<Hash> {
    let outside = Error::Range("a hash is asked for that the leaves do not reach");
    let start = usize::try_from(range.start).map_err(|_| outside.clone())?;
    let end = usize::try_from(range.end).map_err(|_| outside.clone())?;
    leaves.get(start..end).map(root).ok_or(outside)
}

/// The right edge of a tree: the hashes of the full subtrees that its size is the sum of, the largest first. All
/// that is needed to append and to tell the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    hashes: Vec<Hash>,
}

impl Frontier {
    /// The frontier of an empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The frontier over all these leaf hashes.
    #[must_use]
    pub fn over(leaves: impl IntoIterator<Item = Hash>) -> Self {
        let mut frontier = Self::new();
        for leaf in leaves {
            frontier.append(leaf);
        }
        frontier
    }

    /// Appends a leaf and tells its index. `leaf` is the leaf's hash, not its bytes.
    pub fn append(&mut self, leaf: Hash) -> u64 {
        let index = self.size;
        let mut right = leaf;
        // Each trailing one in the old size is a full subtree as large as what stands right of it.
        for _ in 0..index.trailing_ones() {
            if let Some(left) = self.hashes.pop() {
                right = Hash::node(left, right);
            }
        }
        self.hashes.push(right);
        self.size += 1;
        index
    }

    /// Appends the leaves that a span stands for, which must begin where the tree ends.
    pub fn append_span(&mut self, span: &Span) -> Result<()> {
        if span.range().start != self.size {
            return Err(Error::Range("what was left out does not begin where the tree ends"));
        }
        for (height, hash) in span.subtrees() {
            let mut right = *hash;
            for _ in 0..(self.size >> height).trailing_ones() {
                if let Some(left) = self.hashes.pop() {
                    right = Hash::node(left, right);
                }
            }
            self.hashes.push(right);
            self.size += 1 << height;
        }
        Ok(())
    }

    /// The number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut subtrees = self.hashes.iter().rev().copied();
        match subtrees.next() {
            None => Hash::empty(),
            Some(smallest) => subtrees.fold(smallest, |right, left| Hash::node(left, right)),
        }
    }

    /// For the store: a version byte, the size (8 bytes, big-endian), and one hash for each one bit of the size.
    /// At most 2025 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(self.size.to_be_bytes());
        bytes.extend(self.hashes.iter().flat_map(|hash| *hash.as_bytes()));
        bytes
    }

    /// Reads what [`Frontier::to_bytes`] wrote. That the hashes are those of the log is not seen here: compare
    /// [`Frontier::root`] with a checkpoint.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (version, rest) = bytes.split_first().ok_or(Error::Frontier("it is empty"))?;
        if *version != VERSION {
            return Err(Error::Frontier("its version is unknown: a newer Bastide may have written it"));
        }
        let (size, rest) = rest.split_first_chunk::<8>().ok_or(Error::Frontier("it has no size"))?;
        let size = u64::from_be_bytes(*size);
        if size > MAX_SIZE {
            return Err(Error::Frontier("its size is larger than any log's"));
        }
        let (hashes, remainder) = rest.as_chunks::<HASH_LEN>();
        if !remainder.is_empty() || hashes.len() as u64 != u64::from(size.count_ones()) {
            return Err(Error::Frontier("the number of its hashes does not fit its size"));
        }
        Ok(Self { size, hashes: hashes.iter().copied().map(Hash::from_bytes).collect() })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    /// Leaf hashes that differ from one another.
    pub(crate) fn leaves(count: u64) -> Vec<Hash> {
        (0..count).map(|index| Hash::leaf(&index.to_be_bytes())).collect()
    }

    pub(crate) fn hex(hash: Hash) -> String {
        hash.as_bytes().iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
    }

    /// The leaves of the reference tests of Certificate Transparency.
    pub(crate) fn reference_leaves() -> Vec<Hash> {
        let leaves: [&[u8]; 8] = [
            &[],
            &[0x00],
            &[0x10],
            &[0x20, 0x21],
            &[0x30, 0x31],
            &[0x40, 0x41, 0x42, 0x43],
            &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
            &[0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f],
        ];
        leaves.into_iter().map(Hash::leaf).collect()
    }

    #[test]
    fn the_roots_are_those_of_the_reference_tests() {
        let roots = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let leaves = reference_leaves();
        for (size, expected) in roots.into_iter().enumerate() {
            assert_eq!(hex(root(&leaves[..size])), expected, "root of {size}");
            assert_eq!(
                hex(Frontier::over(leaves[..size].iter().copied()).root()),
                expected,
                "frontier of {size}"
            );
        }
    }

    #[test]
    fn a_frontier_is_bounded() {
        let mut bytes = vec![VERSION];
        bytes.extend(MAX_SIZE.to_be_bytes());
        bytes.resize(9 + 63 * 32, 7);
        assert_eq!(Frontier::from_bytes(&bytes).unwrap().to_bytes(), bytes);
        assert!(Frontier::from_bytes(&[&bytes[..], &[7; 32]].concat()).is_err());
        assert!(Frontier::from_bytes(&bytes[..bytes.len() - 32]).is_err());
        assert!(Frontier::from_bytes(&bytes[..bytes.len() - 1]).is_err());
        bytes[1] = 0x80;
        assert!(Frontier::from_bytes(&bytes).is_err());
    }

    proptest! {
        #[test]
        fn a_frontier_grows_as_the_definition_says(size in 0u64..300, kept in 0u64..300) {
            let leaves = leaves(size);
            let kept = usize::try_from(kept.min(size)).unwrap();
            // Written and read in the middle, as after a restart.
            let mut frontier = Frontier::over(leaves[..kept].iter().copied());
            frontier = Frontier::from_bytes(&frontier.to_bytes()).unwrap();
            for (at, leaf) in leaves.iter().enumerate().skip(kept) {
                prop_assert_eq!(frontier.append(*leaf), at as u64);
            }
            prop_assert_eq!(frontier.size(), size);
            prop_assert_eq!(frontier.root(), root(&leaves));
        }

        #[test]
        fn any_bytes_are_read_without_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300), fit: bool) {
            if fit && bytes.len() > 8 {
                bytes[..9].copy_from_slice(&[VERSION, 0, 0, 0, 0, 0, 0, 0, 0b101]);
                bytes.resize(9 + 64, 0);
            }
            if let Ok(frontier) = Frontier::from_bytes(&bytes) {
                prop_assert_eq!(frontier.to_bytes(), bytes);
            }
        }
    }
}
