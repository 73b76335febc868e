//! Runners: the list with how each stands, and the page that shows a one-time code.

use askama::Template;

use crate::form::Field;
use crate::frame::Frame;
use crate::measure::Moment;

/// A runner in the list.
#[derive(Clone, Debug)]
pub struct RunnerRow {
    /// What it is called.
    pub name: String,
    /// Its labels: those that people gave, and those that it tells of itself.
    pub labels: Vec<String>,
    /// Its state in a word: `Online`.
    pub state: &'static str,
    /// How the word looks: `open`, `warning`, or nothing.
    pub look: &'static str,
    /// What that means, in a sentence.
    pub means: &'static str,
    /// Its version; empty before it told one.
    pub version: String,
    /// When it was last heard of.
    pub seen: Option<Moment>,
    /// Whether it may take steps.
    pub enabled: bool,
    /// Where it is switched on and off.
    pub switch: String,
    /// Proves that the form for switching was made for this session.
    pub switch_token: String,
    /// Where it is removed.
    pub remove: String,
    /// Proves that the form for removing was made for this session.
    pub remove_token: String,
}

/// The runner of the installation, which takes steps of this place too.
#[derive(Clone, Debug)]
pub struct OwnRunner {
    /// Its labels.
    pub labels: Vec<String>,
    /// Its state in a word.
    pub state: &'static str,
    /// How the word looks.
    pub look: &'static str,
}

/// The runners of a workspace or a repository.
#[derive(Clone, Debug, Template)]
#[template(path = "runners.html")]
pub struct RunnersPage {
    /// What is around it.
    pub frame: Frame,
    /// Whose steps they run: `the repository acme/one`.
    pub on: String,
    /// What is wrong with what was sent, apart from the fields.
    pub error: String,
    /// The runners, by their names.
    pub runners: Vec<RunnerRow>,
    /// The installation's own, where it has one.
    pub own: Option<OwnRunner>,
    /// The form that adds one.
    pub fields: Vec<Field>,
    /// Where it goes.
    pub action: String,
    /// Proves that the form was made for this session.
    pub form_token: String,
}

/// A runner's code, this once.
#[derive(Clone, Debug, Template)]
#[template(path = "runner_added.html")]
pub struct AddedRunnerPage {
    /// What is around it.
    pub frame: Frame,
    /// What the runner is called.
    pub name: String,
    /// Whose steps it runs.
    pub on: String,
    /// The code.
    pub code: String,
    /// Until when it holds.
    pub until: Moment,
    /// What registers it.
    pub register: String,
    /// What starts it.
    pub start: String,
    /// The list.
    pub list: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attack: a runner tells a version and labels that are markup, to whoever administers it.
    #[test]
    fn what_runners_tell_is_text() {
        let markup = "<script>alert(1)</script>\"'><img/src=x>";
        let text = || markup.to_owned();
        let row = RunnerRow {
            name: text(),
            labels: vec![text()],
            state: "Online",
            look: "open",
            means: "It takes steps.",
            version: text(),
            seen: Some(Moment { text: text(), ..Moment::default() }),
            enabled: true,
            switch: text(),
            switch_token: text(),
            remove: text(),
            remove_token: text(),
        };
        let list = RunnersPage {
            frame: Frame::default(),
            on: text(),
            error: text(),
            runners: vec![row],
            own: Some(OwnRunner { labels: vec![text()], state: "Online", look: "open" }),
            fields: Vec::new(),
            action: text(),
            form_token: text(),
        };
        let added = AddedRunnerPage {
            frame: Frame::default(),
            name: text(),
            on: text(),
            code: text(),
            until: Moment::default(),
            register: text(),
            start: text(),
            list: text(),
        };
        for html in [crate::html(&list).unwrap(), crate::html(&added).unwrap()] {
            assert!(!html.contains("<script>alert") && !html.contains("<img/src"), "{html}");
            assert!(html.matches("alert(1)").count() >= 6, "{html}");
        }
    }
}
