//! What is said of a commit: builds, and reports with their annotations.

use crate::measure::Moment;

/// A word that stands out, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The word.
    pub word: &'static str,
    /// How it stands out: `danger`, `warning`, `open` for what went well, or empty.
    pub tone: &'static str,
}

impl Mark {
    /// A word and its tone.
    #[must_use]
    pub const fn new(word: &'static str, tone: &'static str) -> Self {
        Self { word, tone }
    }
}

/// A build of a commit.
#[derive(Clone, Debug)]
pub struct BuildRow {
    /// How it stands.
    pub state: Mark,
    /// What people call it.
    pub name: String,
    /// Where it is.
    pub href: Option<String>,
    /// A sentence about it.
    pub description: String,
    /// The branch or tag that was built.
    pub refname: String,
    /// When it was last told.
    pub time: Moment,
}

/// A figure of a report.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What it is about.
    pub title: String,
    /// The figure.
    pub text: String,
    /// Where it leads, if anywhere.
    pub href: Option<String>,
}

/// An annotation in a line.
#[derive(Clone, Debug)]
pub struct AnnotationRow {
    /// How grave it is.
    pub severity: Option<Mark>,
    /// What became of it, where it is not open.
    pub result: Option<Mark>,
    /// What it is about.
    pub kind: &'static str,
    /// What is said.
    pub summary: String,
    /// More about it; empty where there is no more.
    pub details: String,
    /// Where it is: a path, with a line where one is told; empty where it is about the whole.
    pub place: String,
    /// That place in the files.
    pub href: Option<String>,
    /// Where it is explained.
    pub link: Option<String>,
}

/// A report.
#[derive(Clone, Debug)]
pub struct ReportPanel {
    /// Its heading.
    pub title: String,
    /// How it ends.
    pub result: Option<Mark>,
    /// Who made it; empty where nobody says.
    pub reporter: String,
    /// What it is for; empty where nobody says.
    pub details: String,
    /// Where there is more.
    pub link: Option<String>,
    /// When it was last changed.
    pub time: Moment,
    /// Its figures.
    pub figures: Vec<Figure>,
    /// Its annotations, open ones first and the gravest of them.
    pub annotations: Vec<AnnotationRow>,
    /// How many there are, where not all are here.
    pub more: String,
    /// Where all of them are.
    pub all: Option<String>,
}
