//! Every part that pages are made of, on one page: for whoever builds them, in debug builds alone.

use askama::Template;

use crate::form::{Field, Kind};
use crate::frame::{Frame, Notice, Pages, Way, Weight};

/// All parts.
#[derive(Clone, Debug, Template)]
#[template(path = "design.html")]
pub struct DesignPage {
    /// What is around it.
    pub frame: Frame,
    /// Notices of every weight.
    pub notices: Vec<Notice>,
    /// Fields of every kind, some with errors.
    pub fields: Vec<Field>,
    /// The colours' names.
    pub colours: Vec<&'static str>,
    /// What leads on.
    pub pages: Pages,
}

impl DesignPage {
    /// The page in this frame.
    #[must_use]
    pub fn new(mut frame: Frame) -> Self {
        frame.title = "Design".to_owned();
        frame.crumbs =
            vec![Way::new("workspace", "/-/design"), Way::new("repository", "/-/design").here(true)];
        frame.tabs = ["Source", "Commits", "Branches", "Settings"]
            .into_iter()
            .map(|name| Way::new(name, "/-/design").here(name == "Settings"))
            .collect();
        frame.sections = ["Access tokens", "Permissions", "Groups", "Guardrails"]
            .into_iter()
            .map(|name| Way::new(name, "/-/design").here(name == "Access tokens"))
            .collect();
        let notice = |weight, text: &str| Notice { weight, text: text.to_owned() };
        let choices = vec![("30".to_owned(), "30 days".to_owned()), ("90".to_owned(), "90 days".to_owned())];
        Self {
            frame,
            notices: vec![
                notice(
                    Weight::Done,
                    "The token `deploy` is revoked. It ends with the next request that uses it.",
                ),
                notice(Weight::Note, "This workspace asks for an expiry, at most 90 days away."),
                notice(Weight::Warning, "Three tokens end within a week."),
                notice(Weight::Failed, "The name is taken: choose another."),
            ],
            fields: vec![
                Field::line("name", "Name")
                    .hint("To tell the token by in lists and in the audit log.")
                    .value("deploy"),
                Field::line("slug", "Slug")
                    .value("Not A Slug")
                    .error("use lower-case letters, digits and dashes"),
                Field::password("password", "Password", "current-password"),
                Field::line("code", "Code").hint("Six digits from your authenticator.").kind(Kind::Code),
                Field::line("days", "Ends after").kind(Kind::Choice(choices)).value("90"),
                Field::line("reason", "Reason").kind(Kind::Prose).optional(),
            ],
            colours: vec![
                "ground",
                "surface",
                "raised",
                "line",
                "control",
                "ink",
                "soft",
                "accent",
                "accent-wash",
                "danger",
                "danger-wash",
                "warning",
                "warning-wash",
                "done",
                "done-wash",
            ],
            pages: Pages::numbered("/-/design", 2, 50, 50, Some(1_204)),
        }
    }
}
