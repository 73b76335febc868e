//! Variables of pipelines: of a workspace, a repository or a deployment environment.

use askama::Template;

use crate::form::Field;
use crate::frame::Frame;

/// A variable in the list.
#[derive(Clone, Debug)]
pub struct VariableRow {
    /// What it is called.
    pub name: String,
    /// Its value; none where it is secured, which nobody is shown.
    pub value: Option<String>,
    /// Whether only runs on protected branches and tags are given it.
    pub protected_only: bool,
    /// The environments that it is bound to; every step is given it where there are none.
    pub environments: Vec<String>,
    /// Where it is removed.
    pub remove: String,
    /// Proves that the form for removing was made for this session.
    pub remove_token: String,
}

/// The variables of one place, and the form that adds one: a part of a page.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "part/variables.html")]
pub struct Variables {
    /// What is wrong with what was sent, apart from the fields.
    pub error: String,
    /// The variables.
    pub rows: Vec<VariableRow>,
    /// Whether they may be bound to environments and protected refs.
    pub bound: bool,
    /// The form that adds one.
    pub fields: Vec<Field>,
    /// Where it goes.
    pub action: String,
    /// Proves that the form was made for this session.
    pub form_token: String,
}

impl askama::filters::HtmlSafe for Variables {}

/// The variables of a workspace or a repository.
#[derive(Clone, Debug, Template)]
#[template(path = "pipeline_variables.html")]
pub struct PipelineVariablesPage {
    /// What is around it.
    pub frame: Frame,
    /// Whose they are: `the repository acme/one`.
    pub on: String,
    /// What else gives steps variables, and which wins.
    pub order: &'static str,
    /// The variables.
    pub variables: Variables,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attack: a value that is markup, on the page of who administers the workspace.
    #[test]
    fn values_are_text_and_secured_ones_are_not_there() {
        let markup = "<script>alert(1)</script>\"'><img/src=x>";
        let row = |value: Option<&str>| VariableRow {
            name: markup.to_owned(),
            value: value.map(str::to_owned),
            protected_only: true,
            environments: vec![markup.to_owned()],
            remove: markup.to_owned(),
            remove_token: markup.to_owned(),
        };
        let page = PipelineVariablesPage {
            frame: Frame::default(),
            on: markup.to_owned(),
            order: "",
            variables: Variables {
                error: markup.to_owned(),
                rows: vec![row(Some(markup)), row(None)],
                bound: true,
                ..Variables::default()
            },
        };
        let html = crate::html(&page).unwrap();
        assert!(!html.contains("<script>alert") && !html.contains("<img/src"), "{html}");
        assert!(html.matches("alert(1)").count() >= 8, "{html}");
        assert_eq!(html.matches(">Hidden<").count(), 1, "{html}");
    }
}
