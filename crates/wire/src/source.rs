//! Files and directories at a commit.

use std::fmt::Write;

use schemars::JsonSchema;
use serde::Serialize;

use crate::commit::Commit;
use crate::format::typed;
use crate::{Base, Link};

/// What a directory holds.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged, rename = "treeentry")]
pub enum Entry {
    /// A file, a symbolic link or a submodule.
    File(CommitFile),
    /// A directory.
    Directory(Box<CommitDirectory>),
}

/// A file, a symbolic link or a submodule, at a commit.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "commit_file")]
#[schemars(transform = typed("commit_file"))]
pub struct CommitFile {
    /// From the repository's root, without a slash in front.
    pub path: String,
    /// As git writes it in a diff.
    pub escaped_path: String,
    /// Where its parts are found.
    pub links: SourceLinks,
    /// What stands in listings, not in a diffstat.
    #[serde(flatten)]
    pub detail: Option<Box<FileDetail>>,
}

/// What stands only in listings.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "commit_file_detail")]
pub struct FileDetail {
    /// The commit it was asked of.
    pub commit: Commit,
    /// `link`, `executable`, `subrepository`, `binary`, `lfs`. A list, as the service sends it, though the
    /// published schema has a single word.
    pub attributes: Vec<&'static str>,
    /// In bytes; absent for a submodule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Guessed by the name.
    pub mimetype: Option<String>,
}

/// A directory at a commit.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "commit_directory")]
#[schemars(transform = typed("commit_directory"))]
pub struct CommitDirectory {
    /// From the repository's root, without a slash in front or behind; empty for the root.
    pub path: String,
    /// The commit it was asked of.
    pub commit: Commit,
    /// Where its parts are found.
    pub links: SourceLinks,
}

/// Where a file's or directory's parts are found.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "source_links")]
pub struct SourceLinks {
    /// Its content.
    #[serde(rename = "self")]
    pub this: Link,
    /// This object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meta: Option<Link>,
    /// The commits that changed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<Link>,
}

impl SourceLinks {
    /// The content's address alone, as in a diffstat. `full_name` is the repository's.
    #[must_use]
    pub fn content(base: &Base, full_name: &str, hash: &str, path: &str) -> Self {
        let this = base.api(&["repositories", full_name, "src", hash, path]);
        Self { this, meta: None, history: None }
    }

    fn with_meta(mut self) -> Self {
        self.meta = Some(Link::new(format!("{}?format=meta", self.this.href)));
        self
    }
}

impl CommitFile {
    /// The short form, as in a diffstat. `full_name` is the repository's.
    #[must_use]
    pub fn new(base: &Base, full_name: &str, hash: &str, path: String) -> Self {
        let links = SourceLinks::content(base, full_name, hash, &path);
        Self { escaped_path: escape_path(&path), path, links, detail: None }
    }

    /// The full form.
    #[must_use]
    pub fn detailed(mut self, base: &Base, full_name: &str, detail: FileDetail) -> Self {
        self.links = self.links.with_meta();
        self.links.history =
            Some(base.api(&["repositories", full_name, "filehistory", &detail.commit.hash, &self.path]));
        self.detail = Some(Box::new(detail));
        self
    }
}

impl CommitDirectory {
    /// From its facts. `full_name` is the repository's.
    #[must_use]
    pub fn new(base: &Base, full_name: &str, commit: Commit, path: String) -> Self {
        let mut links = SourceLinks::content(base, full_name, &commit.hash, &path);
        links.this.href.push('/');
        Self { path, commit, links: links.with_meta() }
    }
}

/// A path as git writes it in a diff: in double quotes, with bytes outside of printable ASCII in octal, where there
/// are any such bytes; as it is otherwise.
#[must_use]
pub fn escape_path(path: &str) -> String {
    let plain = |b: u8| (b' '..=b'~').contains(&b) && b != b'"' && b != b'\\';
    if path.bytes().all(plain) {
        return path.to_owned();
    }
    let mut escaped = String::from("\"");
    for byte in path.bytes() {
        let letter = match byte {
            b'"' | b'\\' => Some(char::from(byte)),
            0x07 => Some('a'),
            0x08 => Some('b'),
            b'\t' => Some('t'),
            b'\n' => Some('n'),
            0x0b => Some('v'),
            0x0c => Some('f'),
            b'\r' => Some('r'),
            _ => None,
        };
        match letter {
            Some(letter) => escaped.extend(['\\', letter]),
            None if plain(byte) => escaped.push(char::from(byte)),
            // Writing to a `String` does not fail.
            None => drop(write!(escaped, "\\{byte:03o}")),
        }
    }
    escaped.push('"');
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_file_and_a_directory() {
        let base = Base::new("https://git.example.com");
        let hash = "a".repeat(40);
        let commit = || Commit::new(&base, "acme/one", hash.clone());
        let detail =
            FileDetail { commit: commit(), attributes: vec!["executable"], size: Some(3), mimetype: None };
        let file = CommitFile::new(&base, "acme/one", &hash, "bin/run me".to_owned());
        let file = json!(Entry::File(file.detailed(&base, "acme/one", detail)));
        let address = format!("https://git.example.com/2.0/repositories/acme/one/src/{hash}/bin/run%20me");
        assert_eq!(file["type"], "commit_file");
        assert_eq!(file["links"]["self"]["href"], address);
        assert_eq!(file["links"]["meta"]["href"], format!("{address}?format=meta"));
        assert_eq!((&file["size"], &file["attributes"]), (&json!(3), &json!(["executable"])));
        let directory = json!(CommitDirectory::new(&base, "acme/one", commit(), "bin".to_owned()));
        assert_eq!(directory["type"], "commit_directory");
        assert!(directory["links"]["self"]["href"].as_str().unwrap().ends_with("/bin/"));
    }

    #[test]
    fn a_path_is_escaped_as_git_does() {
        assert_eq!(escape_path("a b/c"), "a b/c");
        assert_eq!(escape_path("ü\t\"x\""), r#""\303\274\t\"x\"""#);
        assert_eq!(escape_path("\u{1}1"), r#""\0011""#);
    }

    proptest! {
        /// Two paths never look the same, and none breaks out of its line.
        #[test]
        fn an_escaped_path_is_one_line_of_ascii(path in ".{0,20}", other in ".{0,20}") {
            let escaped = escape_path(&path);
            prop_assert!(escaped.bytes().all(|b| (b' '..=b'~').contains(&b)));
            prop_assert_eq!(escaped == escape_path(&other), path == other);
        }
    }
}
