//! A repository's branch restrictions.

use askama::Template;

use crate::form::Field;
use crate::frame::Frame;

/// A restriction in the list.
#[derive(Clone, Debug)]
pub struct RestrictionRow {
    /// Its number, which refusals name.
    pub id: i64,
    /// What is restricted: `Rewriting`.
    pub kind: &'static str,
    /// What that means for the branches, in a sentence.
    pub means: &'static str,
    /// The pattern of names; empty where a type of branch is meant.
    pub pattern: String,
    /// The type of branch in words; empty where a pattern is meant.
    pub branch_type: &'static str,
    /// Usernames of who is exempt.
    pub users: Vec<String>,
    /// Short names of groups whose members are exempt.
    pub groups: Vec<String>,
    /// Where it is removed.
    pub remove: String,
    /// Proves that the form for removing was made for this session.
    pub remove_token: String,
}

/// The restrictions.
#[derive(Clone, Debug, Template)]
#[template(path = "branch_restrictions.html")]
pub struct BranchRestrictionsPage {
    /// What is around it.
    pub frame: Frame,
    /// The repository's full name.
    pub on: String,
    /// What is wrong with what was sent, apart from the fields.
    pub error: String,
    /// The restrictions, the oldest first.
    pub restrictions: Vec<RestrictionRow>,
    /// The form that adds one.
    pub fields: Vec<Field>,
    /// Where it goes.
    pub action: String,
    /// Proves that the form was made for this session.
    pub form_token: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attack: a pattern that is markup, on the page of who administers the repository.
    #[test]
    fn patterns_are_text() {
        let markup = "<script>alert(1)</script>\"'><img/src=x>";
        let page = BranchRestrictionsPage {
            frame: Frame::default(),
            on: markup.to_owned(),
            error: markup.to_owned(),
            restrictions: vec![RestrictionRow {
                id: 1,
                kind: "Writing",
                means: "Nobody.",
                pattern: markup.to_owned(),
                branch_type: "",
                users: vec![markup.to_owned()],
                groups: vec![markup.to_owned()],
                remove: markup.to_owned(),
                remove_token: markup.to_owned(),
            }],
            fields: Vec::new(),
            action: markup.to_owned(),
            form_token: markup.to_owned(),
        };
        let html = crate::html(&page).unwrap();
        assert!(!html.contains("<script>alert") && !html.contains("<img/src"), "{html}");
        assert!(html.matches("alert(1)").count() >= 8, "{html}");
    }
}
