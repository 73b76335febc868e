//! Alerts: what stands out in the audit trail, who has looked at it, and where its events are found.

use askama::Template;

use crate::frame::{Frame, Pages, Way};
use crate::measure::Moment;
use crate::principal::Known;

/// What is looked for, each in a sentence: for who has no alert yet.
const PATTERNS: [&str; 5] = [
    "Many requests with one credential were refused in a day.",
    "A credential was used from a network from which it was never used before.",
    "A guardrail was switched off, or holds less than before.",
    "Somebody became an owner of a workspace, or an administrator of the instance.",
    "Somebody read many repositories in a day, more than they usually do.",
];

/// An alert in the list.
#[derive(Clone, Debug)]
pub struct AlertRow {
    /// Its id.
    pub id: String,
    /// What stands out, in a few words.
    pub title: String,
    /// What happened, as a sentence.
    pub told: String,
    /// Who or what stands out.
    pub subject: Known,
    /// On which day, in UTC: `2030-01-31`.
    pub day: String,
    /// When it was raised.
    pub raised: Moment,
    /// The audit log, searched for what it is about; none where the viewer may not read it.
    pub search: Option<String>,
    /// What that finds, as a link's text.
    pub finds: &'static str,
    /// Who has looked at it, and when.
    pub acknowledged: Option<(Known, Moment)>,
}

/// The alerts of a workspace, or of the instance.
#[derive(Clone, Debug, Template)]
#[template(path = "alerts.html")]
pub struct AlertsPage {
    /// What is around it.
    pub frame: Frame,
    /// Whose: `the workspace acme`, `this instance`.
    pub of: String,
    /// The open ones and all of them, each a list of its own.
    pub lists: Vec<Way>,
    /// The list that is shown, by its word: `open` or `all`.
    pub list: &'static str,
    /// The alerts, the newest first.
    pub alerts: Vec<AlertRow>,
    /// What leads on.
    pub pages: Pages,
    /// Whether there are alerts in the other list.
    pub others: bool,
    /// Whether the viewer may acknowledge them.
    pub may_acknowledge: bool,
    /// Where the forms go.
    pub action: String,
    /// Proves that the forms were made for this session.
    pub form_token: String,
    /// The audit log, where the viewer may read it.
    pub log: Option<String>,
    /// The receivers, where the viewer may see them.
    pub receivers: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attack: a name that is markup, in what an alert is about, on the page of who looks at it.
    #[test]
    fn what_an_alert_tells_is_text() {
        let markup = "<script>alert(1)</script>\"'><img src=x>";
        let known = || Known { kind: markup.to_owned(), name: markup.to_owned() };
        let row = AlertRow {
            id: markup.to_owned(),
            title: markup.to_owned(),
            told: format!("`{markup}` and {markup}"),
            subject: known(),
            day: markup.to_owned(),
            raised: Moment::default(),
            search: Some(markup.to_owned()),
            finds: "Find its events",
            acknowledged: None,
        };
        let seen = AlertRow { acknowledged: Some((known(), Moment::default())), ..row.clone() };
        let page = AlertsPage {
            frame: Frame::default(),
            of: markup.to_owned(),
            lists: vec![Way::new(markup, markup)],
            list: "all",
            alerts: vec![row, seen],
            pages: Pages::default(),
            others: false,
            may_acknowledge: true,
            action: markup.to_owned(),
            form_token: markup.to_owned(),
            log: None,
            receivers: None,
        };
        let html = crate::html(&page).unwrap();
        assert!(!html.contains("<script>alert") && !html.contains("<img src=x"), "{html}");
        assert!(html.matches("alert(1)").count() >= 12, "{html}");
    }
}
