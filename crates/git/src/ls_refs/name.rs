//! Names of refs as git itself reads them, in bytes: wider than [`model::RefName`], which is what may be pushed here.

/// Whether git takes this for a ref's name (`check_refname_format`, one component being enough).
pub(super) fn is_good(name: &[u8]) -> bool {
    let bad_byte =
        |byte: &u8| matches!(byte, 0..=b' ' | 0x7f | b'~' | b'^' | b':' | b'?' | b'*' | b'[' | b'\\');
    let bad_component = |part: &[u8]| part.is_empty() || part.starts_with(b".") || part.ends_with(b".lock");
    let has = |pair: &[u8]| name.windows(2).any(|window| window == pair);
    !(name == b"@"
        || name.ends_with(b".")
        || has(b"..")
        || has(b"@{")
        || name.iter().any(bad_byte)
        || name.split(|byte| *byte == b'/').any(bad_component))
}

/// Whether the server keeps this ref to itself.
pub(super) fn is_hidden(name: &[u8]) -> bool {
    let internal = crate::repository::INTERNAL_REFS.as_bytes();
    name.strip_prefix(internal).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// Which refs a client asks for: those whose names begin with one of these. Sorted, and none begins with another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prefixes(Vec<Vec<u8>>);

impl Prefixes {
    /// From what was asked for; nothing is everything.
    pub(super) fn new(mut asked: Vec<Vec<u8>>) -> Self {
        if asked.is_empty() {
            asked.push(Vec::new());
        }
        asked.sort_unstable();
        let mut kept: Vec<Vec<u8>> = Vec::new();
        for prefix in asked {
            if kept.last().is_none_or(|last| !prefix.starts_with(last)) {
                kept.push(prefix);
            }
        }
        Self(kept)
    }

    /// Whether the name begins with one of them.
    pub(super) fn match_name(&self, name: &[u8]) -> bool {
        // Since none begins with another, only the greatest that is not above the name can.
        let above = self.0.partition_point(|prefix| prefix.as_slice() <= name);
        above.checked_sub(1).and_then(|at| self.0.get(at)).is_some_and(|prefix| name.starts_with(prefix))
    }

    /// Whether a ref below this directory (with its slash) can match.
    pub(super) fn reach_into(&self, directory: &[u8]) -> bool {
        self.match_name(directory) || self.after(directory).is_some_and(|next| next.starts_with(directory))
    }

    /// The first one above a name.
    pub(super) fn after(&self, name: &[u8]) -> Option<&[u8]> {
        let at = self.0.partition_point(|prefix| prefix.as_slice() <= name);
        self.0.get(at).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_good_by_gits_rules() {
        for good in [
            "HEAD",
            "refs/heads/main",
            "refs/heads/gr\u{f6}\u{df}e",
            "a/b@c",
            "refs/heads/-x",
            "refs/heads/a{b",
        ] {
            assert!(is_good(good.as_bytes()), "{good}");
        }
        assert!(is_good(b"refs/heads/\xff"));
        let bad = [
            "", "@", "/a", "a/", "a//b", ".a", "a/.b", "a..b", "a.", "a.lock", "a.lock/b", "a b", "a~", "a^",
            "a:b", "a?", "a*", "a[", "a\\b", "a@{b", "a\tb", "a\u{7f}",
        ];
        for bad in bad {
            assert!(!is_good(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn what_is_hidden_is_the_directory_and_not_its_neighbours() {
        assert!(is_hidden(b"refs/bastide/x") && is_hidden(b"refs/bastide"));
        assert!(!is_hidden(b"refs/bastidex") && !is_hidden(b"refs/heads/bastide"));
    }

    proptest! {
        /// Whatever is asked for, a name matches exactly when it begins with something asked for.
        #[test]
        fn a_name_matches_as_a_plain_search_says(asked in proptest::collection::vec("[ab/]{0,4}", 0..6), name in "[ab/]{0,6}") {
            let prefixes = Prefixes::new(asked.iter().map(|text| text.clone().into_bytes()).collect());
            let plain = asked.is_empty() || asked.iter().any(|prefix| name.starts_with(prefix.as_str()));
            prop_assert_eq!(prefixes.match_name(name.as_bytes()), plain);
            let directory = format!("{name}/");
            let reached = asked.is_empty()
                || asked.iter().any(|p| p.starts_with(&directory) || directory.starts_with(p.as_str()));
            prop_assert_eq!(prefixes.reach_into(directory.as_bytes()), reached);
        }
    }
}
