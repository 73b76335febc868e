//! Proofs (RFC 6962, sections 2.1.1 and 2.1.2): that a leaf is in a tree, and that one tree is the beginning of
//! another.
//!
//! A proof is a list of hashes, the lowest in the tree first. Each is the hash over a range of leaves, and
//! [`inclusion_ranges`] and [`consistency_ranges`] name those ranges, so that a large log can read them from its
//! tiles.

use std::ops::Range;

use crate::tree::{MAX_SIZE, root_of, split};
use crate::{Error, Hash, Result};

/// The longest proof: one hash for each level of the largest tree, and one more for consistency.
pub const MAX_PROOF: usize = 64;

/// The ranges whose hashes prove that leaf `index` is in the tree of `size` leaves.
pub fn inclusion_ranges(index: u64, size: u64) -> Result<Vec<Range<u64>>> {
    if index >= size || size > MAX_SIZE {
        return Err(Error::Range("the index must be smaller than the size of the tree"));
    }
    let (mut start, mut end) = (0, size);
    let mut ranges = Vec::new();
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            ranges.push(middle..end);
            end = middle;
        } else {
            ranges.push(start..middle);
            start = middle;
        }
    }
    ranges.reverse();
    Ok(ranges)
}

/// The ranges whose hashes prove that the tree of `old` leaves is the beginning of that of `new` leaves. None are
/// needed when the sizes are equal or the old tree is empty.
pub fn consistency_ranges(old: u64, new: u64) -> Result<Vec<Range<u64>>> {
    if old > new || new > MAX_SIZE {
        return Err(Error::Range("the old size must not be larger than the new"));
    }
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    let (mut start, mut end) = (0, new);
    let mut ranges = Vec::new();
    while end != old {
        let middle = start + split(end - start);
        if old <= middle {
            ranges.push(middle..end);
            end = middle;
        } else {
            ranges.push(start..middle);
            start = middle;
        }
    }
    // The old tree's last full subtree. Its hash is known to the verifier when it is the whole old tree.
    if start != 0 {
        ranges.push(start..end);
    }
    ranges.reverse();
    Ok(ranges)
}

/// The proof that leaf `index` is in the tree over these leaf hashes.
pub fn inclusion(leaves: &[Hash], index: u64) -> Result<Vec<Hash>> {
    let ranges = inclusion_ranges(index, leaves.len() as u64)?;
    ranges.into_iter().map(|range| root_of(leaves, range)).collect()
}

/// The proof that the tree over the first `old` of these leaf hashes is the beginning of that over all.
pub fn consistency(leaves: &[Hash], old: u64) -> Result<Vec<Hash>> {
    let ranges = consistency_ranges(old, leaves.len() as u64)?;
    ranges.into_iter().map(|range| root_of(leaves, range)).collect()
}

const TOO_SHORT: Error = Error::Proof("it has too few hashes");
const TOO_LONG: Error = Error::Proof("it has too many hashes");

/// Whether `proof` shows that `leaf` has this index in the tree of this size and root.
pub fn verify_inclusion(leaf: Hash, index: u64, size: u64, proof: &[Hash], root: Hash) -> Result<()> {
    if index >= size || size > MAX_SIZE {
        return Err(Error::Range("the index must be smaller than the size of the tree"));
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = leaf;
    for sibling in bounded(proof)? {
        if last == 0 {
            return Err(TOO_LONG);
        }
        if node & 1 == 1 || node == last {
            hash = Hash::node(*sibling, hash);
            // At the right edge, levels without a sibling are passed over.
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            hash = Hash::node(hash, *sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    if last != 0 {
        return Err(TOO_SHORT);
    }
    if hash != root {
        return Err(Error::Proof("the leaf is not at this index of the tree with this root"));
    }
    Ok(())
}

/// Whether `proof` shows that the tree of size `old` is the beginning of that of size `new`.
pub fn verify_consistency(old: u64, old_root: Hash, new: u64, new_root: Hash, proof: &[Hash]) -> Result<()> {
    if old > new || new > MAX_SIZE {
        return Err(Error::Range("the old size must not be larger than the new"));
    }
    if old == 0 && old_root != Hash::empty() || new == 0 && new_root != Hash::empty() {
        return Err(Error::Proof("the root given for an empty tree is not the root of an empty tree"));
    }
    if old == new && old_root != new_root {
        return Err(Error::Proof("two trees of the same size have different roots"));
    }
    if old == 0 || old == new {
        return if proof.is_empty() { Ok(()) } else { Err(TOO_LONG) };
    }
    let mut hashes = bounded(proof)?.iter().copied();
    // Begin at the node over the old tree's last full subtree. A power of two is one such: its root is known.
    let (mut node, mut last) = (old - 1, new - 1);
    let levels = node.trailing_ones();
    (node, last) = (node >> levels, last >> levels);
    let begin = if old.is_power_of_two() { old_root } else { hashes.next().ok_or(TOO_SHORT)? };
    let (mut old_hash, mut new_hash) = (begin, begin);
    for sibling in hashes {
        if last == 0 {
            return Err(TOO_LONG);
        }
        if node & 1 == 1 || node == last {
            old_hash = Hash::node(sibling, old_hash);
            new_hash = Hash::node(sibling, new_hash);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            new_hash = Hash::node(new_hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    if last != 0 {
        return Err(TOO_SHORT);
    }
    if old_hash != old_root {
        return Err(Error::Proof("it does not lead to the old root"));
    }
    if new_hash != new_root {
        return Err(Error::Proof("the old tree is not the beginning of the new one"));
    }
    Ok(())
}

fn bounded(proof: &[Hash]) -> Result<&[Hash]> {
    if proof.len() > MAX_PROOF { Err(TOO_LONG) } else { Ok(proof) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::root;
    use crate::tree::tests::{hex, leaves, reference_leaves};

    fn cut(size: u64) -> usize {
        usize::try_from(size).unwrap()
    }

    #[test]
    fn the_proofs_are_those_of_the_reference_tests() {
        let leaves = reference_leaves();
        let show = |proof: Vec<Hash>| proof.into_iter().map(hex).collect::<Vec<_>>();
        assert_eq!(
            show(inclusion(&leaves, 0).unwrap()),
            [
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ]
        );
        assert_eq!(
            show(inclusion(&leaves[..5], 1).unwrap()),
            [
                "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ]
        );
        assert_eq!(
            show(consistency(&leaves, 6).unwrap()),
            [
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ]
        );
        assert_eq!(
            show(consistency(&leaves[..5], 2).unwrap()),
            [
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ]
        );
    }

    /// All trees small enough to try all: every index, every pair of sizes.
    #[test]
    fn every_proof_of_a_small_tree_holds_and_no_other_index_does() {
        for size in 1..=33 {
            let leaves = leaves(size);
            let whole = root(&leaves);
            for index in 0..size {
                let proof = inclusion(&leaves, index).unwrap();
                for claimed in 0..size {
                    let leaf = leaves[cut(index)];
                    let held = verify_inclusion(leaf, claimed, size, &proof, whole).is_ok();
                    assert_eq!(held, claimed == index, "{index} as {claimed} of {size}");
                }
            }
            for old in 0..=size {
                let proof = consistency(&leaves, old).unwrap();
                verify_consistency(old, root(&leaves[..cut(old)]), size, whole, &proof).unwrap();
            }
        }
    }

    #[test]
    fn what_lies_outside_is_refused() {
        assert!(inclusion(&leaves(3), 3).is_err());
        assert!(consistency(&leaves(3), 4).is_err());
        assert!(inclusion_ranges(0, u64::MAX).is_err());
        assert!(verify_inclusion(Hash::empty(), 0, 0, &[], Hash::empty()).is_err());
        assert!(verify_consistency(0, Hash::leaf(b""), 1, Hash::empty(), &[]).is_err());
        assert!(verify_consistency(0, Hash::empty(), 0, Hash::leaf(b""), &[]).is_err());
        // Two histories of one length: no proof is needed to see it, and none can hide it.
        assert!(verify_consistency(3, Hash::leaf(b"one"), 3, Hash::leaf(b"two"), &[]).is_err());
        assert!(verify_consistency(3, Hash::empty(), 3, Hash::empty(), &[Hash::empty()]).is_err());
    }

    proptest! {
        #[test]
        fn a_changed_inclusion_proof_does_not_hold(
            size in 1u64..600, index: u64, at: usize, bit in 0usize..256, longer: bool,
        ) {
            let leaves = leaves(size);
            let index = index % size;
            let (leaf, whole) = (leaves[cut(index)], root(&leaves));
            let mut proof = inclusion(&leaves, index).unwrap();
            prop_assert_eq!(verify_inclusion(leaf, index, size, &proof, whole), Ok(()));
            prop_assert!(verify_inclusion(flip(leaf, bit), index, size, &proof, whole).is_err());
            prop_assert!(verify_inclusion(leaf, index, size, &proof, flip(whole, bit)).is_err());
            tamper(&mut proof, at, bit, longer);
            prop_assert!(verify_inclusion(leaf, index, size, &proof, whole).is_err());
        }

        #[test]
        fn a_changed_consistency_proof_does_not_hold(
            size in 2u64..600, old: u64, at: usize, bit in 0usize..256, longer: bool,
        ) {
            let leaves = leaves(size);
            let old = 1 + old % (size - 1);
            let (before, after) = (root(&leaves[..cut(old)]), root(&leaves));
            let mut proof = consistency(&leaves, old).unwrap();
            prop_assert_eq!(verify_consistency(old, before, size, after, &proof), Ok(()));
            prop_assert!(verify_consistency(old, flip(before, bit), size, after, &proof).is_err());
            prop_assert!(verify_consistency(old, before, size, flip(after, bit), &proof).is_err());
            tamper(&mut proof, at, bit, longer);
            prop_assert!(verify_consistency(old, before, size, after, &proof).is_err());
        }

        #[test]
        fn any_numbers_are_verified_without_panic(a: u64, b: u64, count in 0usize..70) {
            let hash = Hash::leaf(b"");
            let proof = vec![hash; count];
            prop_assert!(verify_inclusion(hash, a, b, &proof, hash).is_err() || b == 1);
            let _ = verify_consistency(a, hash, b, hash, &proof);
        }

        #[test]
        fn the_proofs_of_the_largest_trees_are_short(index in 0..MAX_SIZE, old in 1..MAX_SIZE) {
            prop_assert!(inclusion_ranges(index, MAX_SIZE).unwrap().len() <= MAX_PROOF);
            prop_assert!(consistency_ranges(old, MAX_SIZE).unwrap().len() <= MAX_PROOF);
        }
    }

    fn flip(hash: Hash, bit: usize) -> Hash {
        let mut bytes = *hash.as_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        Hash::from_bytes(bytes)
    }

    /// Flips a bit of one hash, or makes the proof longer; a proof without hashes can only be made longer.
    fn tamper(proof: &mut Vec<Hash>, at: usize, bit: usize, longer: bool) {
        if longer || proof.is_empty() {
            proof.insert(at % (proof.len() + 1), Hash::empty());
        } else {
            let at = at % proof.len();
            proof[at] = flip(proof[at], bit);
        }
    }
}
