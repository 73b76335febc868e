//! Patterns of branch names, as branch restrictions are written: `*` stands for any characters, `/` among them, or for
//! none; every other character for itself. The source is the published contract of branch restrictions.

use std::fmt;
use std::str::FromStr;

use crate::RefName;

/// The longest pattern that is taken, in bytes.
pub const LONGEST_GLOB: usize = 255;

/// The text is not a pattern that some branch can match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "use a branch's name of at most 255 bytes, in which `*` stands for any characters: `main`, `release/*`"
)]
pub struct BadGlob;

/// A pattern of branch names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Glob(String);

impl Glob {
    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a branch of this name matches. Takes time in proportion to the name and the pattern: between the first
    /// and the last piece, the earliest place of each is as good as any later one.
    #[must_use]
    pub fn matches(&self, branch: &str) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else { return self.0 == branch };
        let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
        let Some(mut between) = branch.strip_prefix(first).and_then(|rest| rest.strip_suffix(last)) else {
            return false;
        };
        for piece in middle.split('*') {
            match between.split_once(piece) {
                Some((_, behind)) => between = behind,
                None => return false,
            }
        }
        true
    }
}

impl FromStr for Glob {
    type Err = BadGlob;

    fn from_str(text: &str) -> Result<Self, BadGlob> {
        // No other text in the place of a `*` makes a branch's name of what is none with a letter there.
        let fits = text.len() <= LONGEST_GLOB && RefName::branch(&text.replace('*', "x")).is_ok();
        if fits { Ok(Self(text.to_owned())) } else { Err(BadGlob) }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, branch: &str) -> bool {
        pattern.parse::<Glob>().unwrap().matches(branch)
    }

    #[test]
    fn a_star_stands_for_anything_and_all_else_for_itself() {
        for (pattern, branch) in [
            ("main", "main"),
            ("*", "main"),
            ("*", "feature/a/b"),
            ("**", "feature/a"),
            ("foo*", "foo"),
            ("foo*", "foobar"),
            ("release/*", "release/1/2"),
            ("*/hotfix", "a/b/hotfix"),
            ("a*b*a", "aba"),
            ("{a,b}", "{a,b}"),
            ("größe-*", "größe-é"),
        ] {
            assert!(matches(pattern, branch), "{pattern} {branch}");
        }
        for (pattern, branch) in [
            ("main", "Main"),
            ("main", "main2"),
            ("foo*", "barfoo"),
            ("release/*", "release"),
            // The two ends may not share a character.
            ("aa*aa", "aaa"),
            ("a*b*a", "aa"),
            ("{a,b}", "a"),
        ] {
            assert!(!matches(pattern, branch), "{pattern} {branch}");
        }
    }

    #[test]
    fn what_no_branch_can_match_is_refused() {
        for bad in ["", "/", "feature/", "/*", "a b", "a?", "[ab]", "a..b*", "*.lock", "-x", "HEAD", "a\n"] {
            assert_eq!(bad.parse::<Glob>(), Err(BadGlob), "{bad:?}");
        }
        assert!("*".repeat(LONGEST_GLOB + 1).parse::<Glob>().is_err());
    }

    /// Whether it matches, by trying everything.
    fn tried(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|skipped| tried(rest, &text[skipped..])),
            Some((one, rest)) => text.split_first().is_some_and(|(c, text)| c == one && tried(rest, text)),
        }
    }

    proptest! {
        /// The quick way finds what trying everything finds.
        #[test]
        fn it_matches_what_trying_everything_matches(pattern in "[ab/*é]{1,8}", branch in "[ab/é]{0,10}") {
            let all: (Vec<char>, Vec<char>) = (pattern.chars().collect(), branch.chars().collect());
            prop_assert_eq!(Glob(pattern).matches(&branch), tried(&all.0, &all.1));
        }

        /// A pattern that is refused would have matched no branch.
        #[test]
        fn a_refused_pattern_matches_no_branch(pattern in "[ab/*.?-]{0,8}", branch in "[ab/.-]{1,8}") {
            if RefName::branch(&branch).is_ok() && pattern.parse::<Glob>().is_err() {
                prop_assert!(!Glob(pattern).matches(&branch));
            }
        }

        #[test]
        fn nothing_panics(pattern in ".{0,80}", branch in ".{0,80}") {
            if let Ok(glob) = pattern.parse::<Glob>() {
                let _ = glob.matches(&branch);
            }
        }
    }
}
