//! Why something was refused: what was asked, which rule said no, who can change that.

use askama::Template;

use crate::form::Field;
use crate::frame::Frame;
use crate::measure::Moment;
use crate::principal::Known;

/// One refusal.
#[derive(Clone, Debug)]
pub struct RefusalShown {
    /// Who asked.
    pub actor: Known,
    /// With what.
    pub credential: Known,
    /// From where; empty where nobody knows.
    pub address: String,
    /// When.
    pub time: Moment,
    /// What was asked.
    pub action: String,
    /// On what.
    pub resource: String,
    /// The rules that said no: the id and what it says.
    pub reasons: Vec<(String, String)>,
    /// Who or what can change that.
    pub remedies: Vec<String>,
    /// The people and tokens who can.
    pub changed_by: Vec<Known>,
    /// Whether the reader is told all of it.
    pub whole: bool,
}

/// The refusals of a request.
#[derive(Clone, Debug, Template)]
#[template(path = "audit_refusal.html")]
pub struct RefusalPage {
    /// What is around it.
    pub frame: Frame,
    /// The request's id.
    pub request_id: String,
    /// What was refused.
    pub refusals: Vec<RefusalShown>,
}

/// Where a refusal is looked for.
#[derive(Clone, Debug, Template)]
#[template(path = "audit_refusal_find.html")]
pub struct FindRefusalPage {
    /// What is around it.
    pub frame: Frame,
    /// The request's id.
    pub field: Field,
}
