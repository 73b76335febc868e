//! Deployment environments: by type, and one with its variables and what went to it.

use askama::Template;

use crate::form::Field;
use crate::frame::Frame;
use crate::measure::Moment;
use crate::pipeline_variable::Variables;

/// Something that was deployed.
#[derive(Clone, Debug)]
pub struct DeploymentRow {
    /// Its number in the environment.
    pub number: i64,
    /// What became of it, in a word.
    pub state: &'static str,
    /// How the word looks.
    pub look: &'static str,
    /// What it is called.
    pub release: String,
    /// The commit, shortened.
    pub commit: String,
    /// Where the commit is.
    pub commit_href: String,
    /// Who deployed it; empty where nobody did by hand.
    pub who: String,
    /// When.
    pub on: Moment,
}

/// An environment in the list.
#[derive(Clone, Debug)]
pub struct EnvironmentRow {
    /// What it is called.
    pub name: String,
    /// Where its page is.
    pub href: String,
    /// What holds a deployment back, a sentence each.
    pub restrictions: Vec<String>,
    /// Whether one run at a time deploys to it.
    pub locks: bool,
    /// Whether a run deploys to it now.
    pub held: bool,
    /// What went to it last.
    pub last: Option<DeploymentRow>,
}

/// The environments of a type.
#[derive(Clone, Debug)]
pub struct EnvironmentGroup {
    /// The type.
    pub kind: &'static str,
    /// The environments.
    pub rows: Vec<EnvironmentRow>,
}

/// A repository's environments.
#[derive(Clone, Debug, Template)]
#[template(path = "environments.html")]
pub struct EnvironmentsPage {
    /// What is around it.
    pub frame: Frame,
    /// The repository's full name.
    pub on: String,
    /// What is wrong with what was sent, apart from the fields.
    pub error: String,
    /// The environments.
    pub groups: Vec<EnvironmentGroup>,
    /// Whether the viewer may add one.
    pub may_change: bool,
    /// The form that adds one.
    pub fields: Vec<Field>,
    /// Where it goes.
    pub action: String,
    /// Proves that the form was made for this session.
    pub form_token: String,
}

/// One environment.
#[derive(Clone, Debug, Template)]
#[template(path = "environment.html")]
pub struct EnvironmentPage {
    /// What is around it.
    pub frame: Frame,
    /// What is wrong with what was sent, apart from the fields.
    pub error: String,
    /// What is in the list.
    pub row: EnvironmentRow,
    /// Its type.
    pub kind: &'static str,
    /// The list.
    pub list: String,
    /// Whether the viewer may change it.
    pub may_change: bool,
    /// The form that changes it.
    pub fields: Vec<Field>,
    /// Where it goes.
    pub action: String,
    /// Proves that the form was made for this session.
    pub form_token: String,
    /// Its variables, for who may see them.
    pub variables: Option<Variables>,
    /// What went to it, the newest first.
    pub history: Vec<DeploymentRow>,
    /// Where it is removed.
    pub remove: String,
    /// Proves that the form for removing was made for this session.
    pub remove_token: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attack: a name or a release that is markup.
    #[test]
    fn names_and_releases_are_text() {
        let text = || "<script>alert(1)</script>\"'><img/src=x>".to_owned();
        let deployment = || DeploymentRow {
            number: 1,
            state: "Deployed",
            look: "open",
            release: text(),
            commit: text(),
            commit_href: text(),
            who: text(),
            on: Moment::default(),
        };
        let row = || EnvironmentRow {
            name: text(),
            href: text(),
            restrictions: vec![text()],
            locks: true,
            held: true,
            last: Some(deployment()),
        };
        let list = EnvironmentsPage {
            frame: Frame::default(),
            on: text(),
            error: text(),
            groups: vec![EnvironmentGroup { kind: "Test", rows: vec![row()] }],
            may_change: true,
            fields: Vec::new(),
            action: text(),
            form_token: text(),
        };
        let one = EnvironmentPage {
            frame: Frame::default(),
            error: text(),
            row: row(),
            kind: "Test",
            list: text(),
            may_change: true,
            fields: Vec::new(),
            action: text(),
            form_token: text(),
            variables: Some(Variables { error: text(), ..Variables::default() }),
            history: vec![deployment()],
            remove: text(),
            remove_token: text(),
        };
        for html in [crate::html(&list).unwrap(), crate::html(&one).unwrap()] {
            assert!(!html.contains("<script>alert") && !html.contains("<img/src"), "{html}");
            assert!(html.matches("alert(1)").count() >= 8, "{html}");
        }
    }
}
