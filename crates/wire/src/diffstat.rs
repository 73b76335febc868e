//! What a diff changes, file by file.

use schemars::JsonSchema;
use serde::Serialize;

use crate::format::typed;
use crate::source::CommitFile;

/// One file's part in a diff.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "diffstat")]
#[schemars(transform = typed("diffstat"))]
pub struct Diffstat {
    /// What became of the file.
    pub status: Status,
    /// How many lines are new.
    pub lines_added: u64,
    /// How many lines are gone.
    pub lines_removed: u64,
    /// The file before; null for a new one.
    pub old: Option<CommitFile>,
    /// The file after; null for one that is gone.
    pub new: Option<CommitFile>,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "diffstat_status")]
pub enum Status {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// Its content or mode changed.
    Modified,
    /// It has another path, perhaps other content too.
    Renamed,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Base;

    #[test]
    fn a_new_file_has_nothing_before() {
        let base = Base::new("https://git.example.com");
        let file = CommitFile::new(&base, "acme/one", &"a".repeat(40), "README.md".to_owned());
        let stat =
            Diffstat { status: Status::Added, lines_added: 4, lines_removed: 0, old: None, new: Some(file) };
        let value = json!(stat);
        assert_eq!((&value["type"], &value["status"]), (&json!("diffstat"), &json!("added")));
        assert_eq!(value["old"], json!(null));
        assert_eq!(value["new"]["path"], "README.md");
        assert!(value["new"].get("commit").is_none());
    }
}
