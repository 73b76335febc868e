//! Commits.

use schemars::JsonSchema;
use serde::Serialize;

use crate::account::Account;
use crate::format::{escape_html, typed};
use crate::repository::Repository;
use crate::{Base, DateTime, Link};

/// A commit.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "commit")]
#[schemars(transform = typed("commit"))]
pub struct Commit {
    /// Its name.
    pub hash: String,
    /// Where its parts are found.
    pub links: CommitLinks,
    /// What it holds; a parent, or the commit of a file, is a name alone.
    #[serde(flatten)]
    pub detail: Option<Box<CommitDetail>>,
}

/// What stands only in a commit's full form.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "commit_detail")]
pub struct CommitDetail {
    /// When it was written.
    pub date: DateTime,
    /// Who wrote it.
    pub author: Author,
    /// Who brought it in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub committer: Option<Committer>,
    /// Its whole message.
    pub message: String,
    /// The message, rendered.
    pub summary: Rendered,
    /// The commits that it follows.
    pub parents: Vec<Commit>,
    /// The repository it was asked of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<Box<Repository>>,
    /// The message, rendered, where older clients look for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rendered: Option<RenderedMessage>,
}

/// Where a commit's parts are found.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "commit_links")]
pub struct CommitLinks {
    /// The commit itself, in the API.
    #[serde(rename = "self")]
    pub this: Link,
    /// Its page.
    pub html: Link,
    /// Its changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<Link>,
    /// Its changes, with its message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<Link>,
    /// What is said of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comments: Option<Link>,
    /// What builds say of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statuses: Option<Link>,
}

/// Who wrote a commit or made a tag.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "author")]
#[schemars(transform = typed("author"))]
pub struct Author {
    /// As the commit has it: `Ann Lee <ann@example.com>`.
    pub raw: String,
    /// The account with that address, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Account>,
}

/// Who brought a commit in.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "committer")]
#[schemars(transform = typed("committer"))]
pub struct Committer {
    /// As the commit has it.
    pub raw: String,
    /// The account with that address, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Account>,
}

/// A text and its HTML.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "rendered")]
#[schemars(transform = typed("rendered"))]
pub struct Rendered {
    /// As it was written.
    pub raw: String,
    /// What it was taken for.
    pub markup: &'static str,
    /// For a page.
    pub html: String,
}

/// A commit's message, rendered.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "rendered_message")]
pub struct RenderedMessage {
    /// The message.
    pub message: Rendered,
}

impl Rendered {
    /// A text without markup: nothing in it becomes an element or a script.
    #[must_use]
    pub fn plain(raw: String) -> Self {
        let paragraphs = raw.split("\n\n").map(str::trim).filter(|text| !text.is_empty());
        let html =
            paragraphs.map(|text| format!("<p>{}</p>", escape_html(text).replace('\n', "<br />"))).collect();
        Self { raw, markup: "plaintext", html }
    }
}

impl Commit {
    /// A name alone. `full_name` is the repository's.
    #[must_use]
    pub fn new(base: &Base, full_name: &str, hash: String) -> Self {
        let links = CommitLinks {
            this: base.api(&["repositories", full_name, "commit", &hash]),
            html: base.html(&[full_name, "commits", &hash]),
            diff: None,
            patch: None,
            comments: None,
            statuses: None,
        };
        Self { hash, links, detail: None }
    }

    /// The full form.
    #[must_use]
    pub fn detailed(mut self, base: &Base, full_name: &str, detail: CommitDetail) -> Self {
        let part = |parts: &[&str]| {
            let address = [&["repositories", full_name], parts].concat();
            Some(base.api(&address))
        };
        self.links.diff = part(&["diff", &self.hash]);
        self.links.patch = part(&["patch", &self.hash]);
        self.links.comments = part(&["commit", &self.hash, "comments"]);
        self.links.statuses = part(&["commit", &self.hash, "statuses"]);
        self.detail = Some(Box::new(detail));
        self
    }
}

#[cfg(test)]
mod tests {
    use model::Timestamp;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_commit_with_its_parent() {
        let base = Base::new("https://git.example.com");
        let detail = CommitDetail {
            date: DateTime::from(Timestamp::from_micros(0)),
            author: Author { raw: "Ann <ann@example.com>".to_owned(), user: None },
            committer: None,
            message: "wire: begin\n".to_owned(),
            summary: Rendered::plain("wire: begin\n".to_owned()),
            parents: vec![Commit::new(&base, "acme/one", "b".repeat(40))],
            repository: None,
            rendered: None,
        };
        let commit = Commit::new(&base, "acme/one", "a".repeat(40)).detailed(&base, "acme/one", detail);
        let value = json!(commit);
        assert_eq!(value["type"], "commit");
        assert_eq!(value["author"], json!({ "type": "author", "raw": "Ann <ann@example.com>" }));
        assert_eq!(value["summary"]["html"], "<p>wire: begin</p>");
        let keys: Vec<_> = value["parents"][0].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["type", "hash", "links"]);
        assert_eq!(
            value["links"]["diff"]["href"],
            format!("https://git.example.com/2.0/repositories/acme/one/diff/{}", "a".repeat(40))
        );
    }

    #[test]
    fn a_message_brings_no_markup_into_a_page() {
        let rendered = Rendered::plain("<script>x</script>\n\nsecond\nline".to_owned());
        assert_eq!(rendered.html, "<p>&lt;script&gt;x&lt;/script&gt;</p><p>second<br />line</p>");
    }
}
