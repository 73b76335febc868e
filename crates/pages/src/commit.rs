//! Commits: one, with what it changed, and histories.

use askama::Template;

use crate::change::Line;
use crate::frame::{Frame, Pages, Way};
use crate::measure::Moment;
use crate::report::{BuildRow, ReportPanel};

/// A commit in a line.
#[derive(Clone, Debug)]
pub struct CommitLine {
    /// Its page.
    pub href: String,
    /// The message's first line.
    pub subject: String,
    /// Who wrote it.
    pub author: String,
    /// When.
    pub time: Moment,
    /// The first digits of its name.
    pub short_id: String,
}

/// The longest first line that is shown, in characters.
const LONGEST_SUBJECT: usize = 200;

/// A message's first line, and what follows.
#[must_use]
pub fn subject_and_body(message: &str) -> (String, String) {
    let (first, rest) = message.trim_start_matches('\n').split_once('\n').unwrap_or((message, ""));
    let (subject, cut) = crate::code::shortened(first.trim(), LONGEST_SUBJECT);
    let body: String = rest.trim().chars().take(20_000).collect();
    match (subject.is_empty(), cut) {
        (true, _) => ("(no message)".to_owned(), body),
        (false, true) => (subject, format!("{first}\n\n{body}")),
        (false, false) => (subject, body),
    }
}

/// A history.
#[derive(Clone, Debug, Template)]
#[template(path = "commits.html")]
pub struct CommitsPage {
    /// What is around it.
    pub frame: Frame,
    /// Whose history it is.
    pub heading: String,
    /// The commits.
    pub commits: Vec<CommitLine>,
    /// What leads on.
    pub pages: Pages,
}

/// A file of a commit, in the list.
#[derive(Clone, Debug)]
pub struct ChangedFile {
    /// Where it is, or was.
    pub path: String,
    /// Where it was, if elsewhere.
    pub former_path: Option<String>,
    /// What happened to it: `added`, `removed`, `modified`, `renamed`.
    pub word: &'static str,
    /// Lines that came; empty where it is no text.
    pub added: String,
    /// Lines that went.
    pub removed: String,
    /// Where its changes are.
    pub href: Option<String>,
}

/// What changed in a file.
#[derive(Clone, Debug)]
pub struct FilePatch {
    /// Where it is, or was.
    pub path: String,
    /// Where it was, if elsewhere.
    pub former: Option<String>,
    /// What git says of its mode.
    pub remarks: Vec<String>,
    /// Whether it is no text.
    pub binary: bool,
    /// The lines.
    pub lines: Vec<Line>,
    /// Where all of its changes are, if not all are here.
    pub more: Option<String>,
    /// The file at this commit.
    pub view: Option<String>,
}

/// One commit.
#[derive(Clone, Debug, Template)]
#[template(path = "commit.html")]
pub struct CommitPage {
    /// What is around it.
    pub frame: Frame,
    /// The commit.
    pub commit: CommitLine,
    /// Its whole name.
    pub id: String,
    /// The message without its first line.
    pub body: String,
    /// The author's address.
    pub author_email: String,
    /// Who committed it, if somebody else.
    pub committer: Option<String>,
    /// What it was made on.
    pub parents: Vec<Way>,
    /// The files at this commit.
    pub tree: String,
    /// What is said of builds of it.
    pub builds: Vec<BuildRow>,
    /// How many builds there are beside, in words; empty where there are none.
    pub more_builds: String,
    /// What analyses say of it.
    pub reports: Vec<ReportPanel>,
    /// How many reports there are beside, in words; empty where there are none.
    pub more_reports: String,
    /// How much changed.
    pub summary: String,
    /// The files that changed.
    pub files: Vec<ChangedFile>,
    /// What changed in them.
    pub patch: Vec<FilePatch>,
    /// Whether there is more than is shown.
    pub cut: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_split_after_its_first_line() {
        assert_eq!(subject_and_body("\none\n\ntwo\nthree\n"), ("one".to_owned(), "two\nthree".to_owned()));
        assert_eq!(subject_and_body("").0, "(no message)");
        let (subject, body) = subject_and_body(&"x".repeat(300));
        assert!(subject.ends_with('…') && body.starts_with("xxx"));
    }
}
