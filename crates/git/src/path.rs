//! A path inside a commit's tree.
//!
//! Not a path on disk: no function of this crate ever joins one to a directory.

use std::fmt;

/// The longest path that is accepted, in bytes.
pub const LONGEST_PATH: usize = 4096;

/// A path inside a tree: bytes without NUL, no empty, `.`, `..` or `.git` component, no slash at either end.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoPath(Vec<u8>);

/// The bytes are not a path inside a tree.
#[derive(Debug, thiserror::Error)]
#[error(
    "not a path inside a repository: use relative parts without `.`, `..` or `.git`, split by single slashes"
)]
pub struct BadPath;

impl RepoPath {
    /// Checks and takes the bytes.
    ///
    /// # Errors
    /// When git could not have the path in a tree, or should not.
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<Self, BadPath> {
        let bytes = bytes.as_ref();
        if bytes.is_empty() || bytes.len() > LONGEST_PATH || bytes.contains(&0) {
            return Err(BadPath);
        }
        if bytes.split(|b| *b == b'/').any(is_bad_component) {
            return Err(BadPath);
        }
        Ok(Self(bytes.to_vec()))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// How many directories it is below the top; 0 for a name at the top.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.0.iter().filter(|b| **b == b'/').count()
    }

    /// The last part.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        self.0.rsplit(|b| *b == b'/').next().unwrap_or_default()
    }
}

/// `.git` in any case, and the forms that case-folding or stream-naming file systems of clients take for it.
fn is_bad_component(part: &[u8]) -> bool {
    let visible: Vec<u8> = String::from_utf8_lossy(part)
        .chars()
        // The zero-width characters that one such file system ignores.
        .filter(|c| !matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}'))
        .collect::<String>()
        .to_ascii_lowercase()
        .into_bytes();
    let before_stream = visible.split(|b| matches!(b, b':' | b'\\')).next().unwrap_or_default();
    let trimmed = before_stream.trim_ascii_end().strip_suffix(b".").unwrap_or(before_stream);
    part.is_empty()
        || matches!(part, b"." | b"..")
        || matches!(visible.as_slice(), b".git" | b"git~1")
        || matches!(before_stream.trim_ascii_end(), b".git" | b"git~1")
        || matches!(trimmed.trim_ascii_end(), b".git" | b"git~1")
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Attack: a path that climbs out of the tree or lands in `.git`.
    #[test]
    fn paths_that_climb_or_name_the_git_directory_are_refused() {
        for bad in [
            "",
            "/etc/passwd",
            "a/",
            "a//b",
            "../x",
            "a/../../x",
            "./a",
            ".git/config",
            "a/.GIT/hooks/pre-receive",
            ".git ",
            ".git.",
            ".git::$INDEX_ALLOCATION",
            "git~1/config",
            ".g\u{200c}it/config",
            "a\0b",
        ] {
            assert!(RepoPath::new(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "--exec=x", ".gitignore", ".github/x", "a/b c/\n", "...", "git~10"] {
            assert!(RepoPath::new(good).is_ok(), "{good:?}");
        }
        assert!(RepoPath::new(b"\xff\xfe").is_ok(), "bytes that are not UTF-8 are lawful");
    }

    proptest! {
        #[test]
        fn an_accepted_path_has_no_part_that_climbs(bytes in proptest::collection::vec(prop_oneof![Just(b'/'), Just(b'.'), any::<u8>()], 0..24)) {
            if let Ok(path) = RepoPath::new(&bytes) {
                prop_assert_eq!(path.as_bytes(), bytes.as_slice());
                for part in bytes.split(|b| *b == b'/') {
                    prop_assert!(!part.is_empty() && part != b"." && part != b"..");
                }
            }
        }
    }
}
