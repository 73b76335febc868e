//! Reports on commits: what an analysis says as a whole, and its annotations, each about a place in the code.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use crate::{AnnotationId, ObjectId, ReportId, RepositoryId, Timestamp};

/// The most figures that a report shows.
pub const MOST_DATA: usize = 10;
/// The most annotations of one report.
pub const MOST_ANNOTATIONS: usize = 1_000;
/// The longest name of a report or an annotation, in bytes.
pub const LONGEST_NAME: usize = 450;
/// The longest heading or summary, in characters.
pub const LONGEST_SUMMARY: usize = 450;
/// The longest details, in characters.
pub const LONGEST_DETAILS: usize = 2_000;
/// The longest address, in bytes.
pub const LONGEST_ADDRESS: usize = 2_000;
/// The longest path of an annotation, in bytes.
pub const LONGEST_PATH: usize = 2_000;

/// The text is none of the words that fit here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use one of {0}")]
pub struct BadWord(&'static str);

macro_rules! words {
    ($(
        $(#[$doc:meta])*
        $name:ident { $($(#[$word_doc:meta])* $word:ident = $text:literal,)* }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$word_doc])* $word,)* }

        impl $name {
            /// Every one, in order.
            pub const ALL: &'static [Self] = &[$(Self::$word),*];
            const WORDS: &'static str = {
                const ALL: &str = concat!($("`", $text, "`, "),*);
                // Without the last comma.
                match ALL.split_at_checked(ALL.len() - 2) { Some((words, _)) => words, None => ALL }
            };

            /// The word for it in the API and the store.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$word => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = BadWord;

            fn from_str(text: &str) -> Result<Self, BadWord> {
                match text { $($text => Ok(Self::$word),)* _ => Err(BadWord(Self::WORDS)) }
            }
        }
    )*};
}

words! {
    /// What a report is about.
    ReportType {
        /// Security.
        Security = "SECURITY",
        /// How much of the code tests reach.
        Coverage = "COVERAGE",
        /// Tests.
        Test = "TEST",
        /// Bugs.
        Bug = "BUG",
    }
    /// How a report ends.
    ReportResult {
        /// Well.
        Passed = "PASSED",
        /// Badly.
        Failed = "FAILED",
        /// Not yet.
        Pending = "PENDING",
    }
    /// What an annotation is about.
    AnnotationType {
        /// A weakness that somebody may use.
        Vulnerability = "VULNERABILITY",
        /// Code that is hard to keep well.
        CodeSmell = "CODE_SMELL",
        /// A bug.
        Bug = "BUG",
    }
    /// What came of looking.
    AnnotationResult {
        /// All is well.
        Passed = "PASSED",
        /// Something is wrong.
        Failed = "FAILED",
        /// It was not looked at.
        Skipped = "SKIPPED",
        /// Something is wrong, and somebody has decided to let it be.
        Ignored = "IGNORED",
    }
    /// How grave something is, the gravest first.
    Severity {
        /// Gravest.
        Critical = "CRITICAL",
        /// Grave.
        High = "HIGH",
        /// Middling.
        Medium = "MEDIUM",
        /// Light.
        Low = "LOW",
    }
    /// How a figure is shown.
    DataType {
        /// Yes or no.
        Boolean = "BOOLEAN",
        /// A moment, in milliseconds since 1970.
        Date = "DATE",
        /// A duration, in milliseconds.
        Duration = "DURATION",
        /// An address with a text.
        Link = "LINK",
        /// A number.
        Number = "NUMBER",
        /// A share, from 0 to 100.
        Percentage = "PERCENTAGE",
        /// A text.
        Text = "TEXT",
    }
}

impl Severity {
    /// By the score from 0 to 10 that vulnerabilities are given (CVSS, section 5 of its specification, version 3.1).
    #[must_use]
    pub fn of_score(score: f64) -> Option<Self> {
        match score {
            score if score >= 9.0 => Some(Self::Critical),
            score if score >= 7.0 => Some(Self::High),
            score if score >= 4.0 => Some(Self::Medium),
            score if score > 0.0 => Some(Self::Low),
            _ => None,
        }
    }
}

/// A figure that a report shows.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportData {
    /// What it is about.
    pub title: String,
    /// How it is shown.
    pub kind: DataType,
    /// The figure, of a shape that goes with the kind.
    pub value: Value,
}

/// What an analysis says of a commit.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Its id.
    pub id: ReportId,
    /// In which repository.
    pub repository: RepositoryId,
    /// Of which commit: its whole name.
    pub commit: ObjectId,
    /// What its maker calls it; one of a commit's reports has it.
    pub external_id: String,
    /// Its heading.
    pub title: String,
    /// What it is for.
    pub details: Option<String>,
    /// The tool or the company that made it.
    pub reporter: Option<String>,
    /// The tool, as the rule of a workspace names it: in small letters.
    pub tool: Option<String>,
    /// Where there is more.
    pub link: Option<String>,
    /// Whether issues link to it.
    pub remote_link_enabled: bool,
    /// Its picture.
    pub logo_url: Option<String>,
    /// What it is about.
    pub report_type: Option<ReportType>,
    /// How it ends.
    pub result: Option<ReportResult>,
    /// Its figures.
    pub data: Vec<ReportData>,
    /// The principal to whom it belongs.
    pub setter: String,
    /// When it was first made.
    pub created_on: Timestamp,
    /// When it was last changed.
    pub updated_on: Timestamp,
}

/// What an analysis says of one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// Its id.
    pub id: AnnotationId,
    /// Of which report.
    pub report: ReportId,
    /// What its maker calls it; one of a report's annotations has it.
    pub external_id: String,
    /// What it is about.
    pub annotation_type: AnnotationType,
    /// What is said.
    pub summary: String,
    /// More about it.
    pub details: Option<String>,
    /// The file, from the root of the repository; none where it is about the whole.
    pub path: Option<String>,
    /// The line, from 1; 0 where it is about the whole file.
    pub line: i64,
    /// How grave it is.
    pub severity: Option<Severity>,
    /// What came of looking.
    pub result: Option<AnnotationResult>,
    /// Where there is more.
    pub link: Option<String>,
    /// When it was first made.
    pub created_on: Timestamp,
    /// When it was last changed.
    pub updated_on: Timestamp,
}

impl Annotation {
    /// Whether it tells of something wrong that nobody has decided to let be.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.result.is_none_or(|result| result == AnnotationResult::Failed)
    }
}

/// A path from the root of a repository, without `.` and empty segments. None where it is absolute, leads out of the
/// repository, or holds what no path of git's does.
#[must_use]
pub fn normal_path(text: &str) -> Option<String> {
    if text.len() > LONGEST_PATH || text.starts_with('/') || text.chars().any(char::is_control) {
        return None;
    }
    let segments: Vec<&str> =
        text.split('/').filter(|segment| !segment.is_empty() && *segment != ".").collect();
    if segments.is_empty() || segments.contains(&"..") || segments.iter().any(|one| one.contains('\\')) {
        return None;
    }
    Some(segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_and_are_told() {
        for kind in DataType::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        let told = "red".parse::<ReportResult>().unwrap_err().to_string();
        assert_eq!(told, "use one of `PASSED`, `FAILED`, `PENDING`");
        assert!(Severity::Critical < Severity::Low);
    }

    #[test]
    fn a_path_stays_in_the_repository() {
        assert_eq!(normal_path("./src//a.rs").as_deref(), Some("src/a.rs"));
        for odd in ["", ".", "/etc/passwd", "../a", "a/../../b", "a\\..\\b", "a\nb", "a/.."] {
            assert_eq!(normal_path(odd), None, "{odd}");
        }
        assert_eq!(normal_path(&"a".repeat(LONGEST_PATH + 1)), None);
    }
}
