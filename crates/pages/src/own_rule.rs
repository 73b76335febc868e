//! A rule of a workspace's own, as it is written.

use askama::Template;

use crate::form::Field;
use crate::frame::Frame;
use crate::guardrail::Changed;

/// The form of a rule.
#[derive(Clone, Debug, Template)]
#[template(path = "own_rule.html")]
pub struct OwnRulePage {
    /// What is around it.
    pub frame: Frame,
    /// `New rule`, or the rule's name.
    pub heading: String,
    /// What is wrong with the form as a whole.
    pub error: String,
    /// The name, the description and the policy.
    pub fields: Vec<Field>,
    /// The mode's word.
    pub mode: String,
    /// Who changed it last.
    pub changed: Option<Changed>,
    /// Whether it stands already, and can be deleted.
    pub stands: bool,
    /// The list.
    pub list: String,
    /// Where the form goes.
    pub action: String,
    /// What was there when the form was opened.
    pub state: String,
    /// Proves that the form was made for this session.
    pub form_token: String,
}
