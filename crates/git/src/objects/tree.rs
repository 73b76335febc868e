//! Trees as their objects write them.

use std::io;

use super::{Kind, Objects, Oid, malformed};

/// The longest tree that is read: some fifty thousand entries.
const LONGEST: u64 = 4 << 20;

/// One entry of a tree's object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TreeEntry {
    /// In octal digits, as it is written.
    pub(crate) mode: String,
    pub(crate) name: Vec<u8>,
    pub(crate) id: Oid,
}

impl TreeEntry {
    pub(crate) fn is_tree(&self) -> bool {
        self.mode == "40000" || self.mode == "040000"
    }
}

impl Objects {
    /// The tree of a commit, by its name.
    ///
    /// # Errors
    /// The disk's, and `InvalidData` for what is no commit.
    pub(crate) fn root(&mut self, commit: &Oid) -> io::Result<Oid> {
        let text = self.content(commit, Kind::Commit, super::LONGEST_COMMIT)?;
        let line = text.strip_prefix(b"tree ").and_then(Oid::parse_front);
        let line = line.filter(|(_, rest)| rest.first() == Some(&b'\n'));
        line.map(|(tree, _)| tree).ok_or_else(|| malformed("a commit names no tree"))
    }

    /// The entries of a tree, in git's order.
    ///
    /// # Errors
    /// The disk's, and `InvalidData` for what is no tree or too long.
    pub(crate) fn tree(&mut self, id: &Oid) -> io::Result<Vec<TreeEntry>> {
        let content = self.content(id, Kind::Tree, LONGEST)?;
        parse(&content).ok_or_else(|| malformed("a tree's entry cannot be read"))
    }

    /// What lies at a path below a tree; `None` for nothing.
    ///
    /// # Errors
    /// As [`Self::tree`].
    pub(crate) fn at_path(&mut self, root: &Oid, path: &[u8]) -> io::Result<Option<TreeEntry>> {
        let mut directory = *root;
        let mut parts = path.split(|byte| *byte == b'/').peekable();
        while let Some(part) = parts.next() {
            let found = self.tree(&directory)?.into_iter().find(|entry| entry.name == part);
            match found {
                Some(found) if parts.peek().is_some() && found.is_tree() => directory = found.id,
                Some(found) if parts.peek().is_none() => return Ok(Some(found)),
                _ => return Ok(None),
            }
        }
        Ok(None)
    }
}

/// For each entry its mode, a space, its name, a zero byte, and the twenty bytes of its object's name.
fn parse(mut content: &[u8]) -> Option<Vec<TreeEntry>> {
    let mut entries = Vec::new();
    while !content.is_empty() {
        let end = content.iter().position(|byte| *byte == 0)?;
        let (head, rest) = content.split_at(end);
        let space = head.iter().position(|byte| *byte == b' ')?;
        let (mode, name) = (head.get(..space)?, head.get(space + 1..)?);
        let (id, rest) = rest.get(1..)?.split_at_checked(Oid::LENGTH)?;
        let octal = !mode.is_empty() && mode.iter().all(|digit| (b'0'..=b'7').contains(digit));
        let mode = std::str::from_utf8(mode).ok().filter(|_| octal)?.to_owned();
        let named = !name.is_empty() && !name.contains(&b'/');
        entries.push(TreeEntry { mode, name: named.then(|| name.to_vec())?, id: Oid::from_bytes(id)? });
        content = rest;
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn entries_are_read_whatever_their_names() {
        let id = [7; Oid::LENGTH];
        let content = [b"100644 a b\nc\0".as_slice(), &id, b"40000 d\0", &id].concat();
        let entries = parse(&content).unwrap();
        assert_eq!((entries[0].mode.as_str(), entries[0].name.as_slice()), ("100644", &b"a b\nc"[..]));
        assert!(!entries[0].is_tree() && entries[1].is_tree());
        for cut in 1..content.len() {
            if cut != 13 + Oid::LENGTH {
                assert_eq!(parse(&content[..cut]), None, "{cut}");
            }
        }
        for bad in [&b"1006x4 a\0"[..], b" a\0", b"100644 \0", b"100644 a/b\0", b"100644a\0"] {
            assert_eq!(parse(&[bad, &id].concat()), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_trees_never_panic(content in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&content);
        }
    }
}
