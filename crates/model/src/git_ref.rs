//! Names of refs and of objects, as git accepts them and no wider.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest ref name that is accepted, in bytes. Longer ones do not fit the file systems below.
pub const LONGEST_REF: usize = 1024;

/// The text is not a ref's full name.
#[derive(Debug, thiserror::Error)]
#[error("not the full name of a ref, such as refs/heads/main")]
pub struct BadRefName;

/// A ref's full name, `refs/…`, by the rules of git-check-ref-format, and valid UTF-8 without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefName(String);

impl RefName {
    /// The ref of a branch.
    pub fn branch(name: &str) -> Result<Self, BadRefName> {
        // `refs/heads/HEAD` and names like options only ever cause confusion: git refuses to make them too.
        if name == "HEAD" || name.starts_with('-') {
            return Err(BadRefName);
        }
        format!("refs/heads/{name}").parse()
    }

    /// The ref of a tag.
    pub fn tag(name: &str) -> Result<Self, BadRefName> {
        if name.starts_with('-') {
            return Err(BadRefName);
        }
        format!("refs/tags/{name}").parse()
    }

    /// The full name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The branch's name, where the ref is a branch.
    #[must_use]
    pub fn as_branch(&self) -> Option<&str> {
        self.0.strip_prefix("refs/heads/")
    }

    /// The tag's name, where the ref is a tag.
    #[must_use]
    pub fn as_tag(&self) -> Option<&str> {
        self.0.strip_prefix("refs/tags/")
    }
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RefName {
    type Err = BadRefName;

    fn from_str(text: &str) -> Result<Self, BadRefName> {
        let bad_character =
            |c: char| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
        let bad_component = |part: &str| {
            part.is_empty() || part.starts_with('.') || part.ends_with(".lock") || part.len() > 250
        };
        let components = text.split('/').count();
        if text.len() > LONGEST_REF
            || !text.starts_with("refs/")
            || components < 3
            || text.contains("..")
            || text.contains("@{")
            || text.ends_with('.')
            || text.chars().any(bad_character)
            || text.split('/').any(bad_component)
        {
            return Err(BadRefName);
        }
        Ok(Self(text.to_owned()))
    }
}

impl Serialize for RefName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RefName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The text is not an object's name.
#[derive(Debug, thiserror::Error)]
#[error("not an object name: 40 or 64 hexadecimal digits")]
pub struct BadObjectId;

/// An object's full name: 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(String);

impl ObjectId {
    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the all-zero name, which in a ref update means "no such ref".
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.0.bytes().all(|b| b == b'0')
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ObjectId {
    type Err = BadObjectId;

    fn from_str(text: &str) -> Result<Self, BadObjectId> {
        let digits = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !digits || !matches!(text.len(), 40 | 64) {
            return Err(BadObjectId);
        }
        Ok(Self(text.to_owned()))
    }
}

impl Serialize for ObjectId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ObjectId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_git_refuses_are_refused() {
        for bad in [
            "main",
            "refs/",
            "refs/heads",
            "refs/heads/",
            "refs//heads/a",
            "refs/heads/.a",
            "refs/heads/a.lock",
            "refs/heads/a..b",
            "refs/heads/a b",
            "refs/heads/a\0",
            "refs/heads/a\n",
            "refs/heads/a@{1}",
            "refs/heads/a.",
            "refs/heads/a~1",
            "refs/heads/a:b",
            "refs/heads/a\\b",
            "refs/../heads/a",
        ] {
            assert!(bad.parse::<RefName>().is_err(), "{bad:?}");
        }
        assert!(RefName::branch("--upload-pack=x").is_err());
        assert_eq!(RefName::branch("feature/größe").unwrap().as_branch(), Some("feature/größe"));
    }

    #[test]
    fn an_object_name_has_40_or_64_lower_case_digits() {
        assert!("0".repeat(40).parse::<ObjectId>().unwrap().is_zero());
        assert!("a".repeat(64).parse::<ObjectId>().is_ok());
        for bad in ["", "HEAD", &"A".repeat(40), &"a".repeat(41), "-1"] {
            assert!(bad.parse::<ObjectId>().is_err(), "{bad}");
        }
    }

    proptest! {
        /// What is accepted is printed as it came and cannot climb out of `refs/`.
        #[test]
        fn an_accepted_name_stays_below_refs(text in "(refs/)?[ -~é/.]{0,40}") {
            if let Ok(name) = text.parse::<RefName>() {
                prop_assert_eq!(name.as_str(), &text);
                prop_assert!(text.starts_with("refs/") && !text.split('/').any(|p| p == ".." || p == "."));
            }
        }
    }
}
