//! A stretch of leaves of which nothing but hashes is told: the full subtrees that it is made of. What was left out of
//! an export still leads to the root.

use std::ops::Range;

use crate::tree::MAX_SIZE;
use crate::{Error, Hash, Result};

/// The full subtrees that a half-open range of leaves is made of, from left to right: fewer than two for each bit of
/// its length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    range: Range<u64>,
    /// Height and root of each.
    subtrees: Vec<(u32, Hash)>,
}

/// The height of the largest full subtree that begins at `start` and ends by `end`.
fn height(start: u64, end: u64) -> u32 {
    // Only the whole tree begins at 0 with no bound of its own.
    (end - start).ilog2().min(if start == 0 { u64::BITS } else { start.trailing_zeros() })
}

impl Span {
    /// An empty one that begins at a leaf.
    #[must_use]
    pub fn new(start: u64) -> Self {
        Self { range: start..start, subtrees: Vec::new() }
    }

    /// From its range and the subtrees' roots, as they were told.
    pub fn from_hashes(range: Range<u64>, hashes: &[Hash]) -> Result<Self> {
        let wrong = Error::Range("the hashes of what was left out do not fit its range");
        if range.start > range.end || range.end > MAX_SIZE {
            return Err(wrong);
        }
        let (mut at, mut subtrees) = (range.start, Vec::with_capacity(hashes.len().min(128)));
        let mut hashes = hashes.iter();
        while at < range.end {
            let height = height(at, range.end);
            subtrees.push((height, *hashes.next().ok_or(wrong.clone())?));
            at += 1 << height;
        }
        if hashes.next().is_some() { Err(wrong) } else { Ok(Self { range, subtrees }) }
    }

    /// Appends the hash of the next leaf.
    pub fn push(&mut self, leaf: Hash) {
        let (mut height, mut hash) = (0, leaf);
        self.range.end += 1;
        while let Some((left_height, left)) = self.subtrees.last().copied() {
            // Where the left one begins.
            let start = self.range.end - (1 << height) - (1 << left_height);
            if left_height != height || !start.is_multiple_of(2 << height) {
                break;
            }
            self.subtrees.pop();
            (height, hash) = (height + 1, Hash::node(left, hash));
        }
        self.subtrees.push((height, hash));
    }

    /// The leaves.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// Whether it holds no leaf.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// The subtrees' roots.
    pub fn hashes(&self) -> impl Iterator<Item = Hash> {
        self.subtrees.iter().map(|(_, hash)| *hash)
    }

    /// The subtrees' heights and roots.
    pub(crate) fn subtrees(&self) -> &[(u32, Hash)] {
        &self.subtrees
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tree::tests::leaves;
    use crate::{Frontier, root, root_of};

    proptest! {
        /// Whatever is left out, the root is that of all leaves, and the hashes are few.
        #[test]
        fn what_is_left_out_still_leads_to_the_root(size in 1u64..300, cuts in prop::collection::vec((0u64..300, 0u64..40), 0..6)) {
            let all = leaves(size);
            let (mut frontier, mut at) = (Frontier::new(), 0);
            let mut cuts: Vec<_> = cuts.into_iter().map(|(start, length)| (start.min(size), length)).collect();
            cuts.sort();
            for (start, length) in cuts {
                while at < start {
                    frontier.append(all[usize::try_from(at).unwrap()]);
                    at += 1;
                }
                let end = (at + length).min(size);
                let mut span = Span::new(at);
                (at..end).for_each(|leaf| span.push(all[usize::try_from(leaf).unwrap()]));
                let hashes: Vec<Hash> = span.hashes().collect();
                prop_assert!(hashes.len() <= 2 * 9);
                let told = Span::from_hashes(at..end, &hashes).unwrap();
                prop_assert_eq!(&told, &span);
                for ((height, hash), start) in told.subtrees().iter().scan(at, |p, s| { let start = *p; *p += 1 << s.0; Some((*s, start)) }) {
                    prop_assert_eq!(hash, root_of(&all, start..start + (1 << height)).unwrap());
                }
                frontier.append_span(&told).unwrap();
                at = end;
            }
            while at < size {
                frontier.append(all[usize::try_from(at).unwrap()]);
                at += 1;
            }
            prop_assert_eq!(frontier.root(), root(&all));
            prop_assert_eq!(frontier, Frontier::over(all));
        }

        #[test]
        fn hashes_that_do_not_fit_are_refused(start: u64, end: u64, count in 0usize..200) {
            let hashes = vec![Hash::empty(); count];
            if let Ok(span) = Span::from_hashes(start..end, &hashes) {
                prop_assert_eq!(span.hashes().count(), count);
            }
        }
    }
}
