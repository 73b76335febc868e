//! What guardrails would do, before they are saved.

use askama::Template;

use crate::frame::Frame;
use crate::principal::Known;

/// A guardrail that would change.
#[derive(Clone, Debug)]
pub struct ChangeRow {
    /// Its name.
    pub what: String,
    /// How it is.
    pub before: String,
    /// How it would be.
    pub after: String,
}

/// Somebody who would be refused.
#[derive(Clone, Debug)]
pub struct RefusedRow {
    /// In which workspace.
    pub workspace: String,
    /// Who.
    pub who: Known,
    /// With what.
    pub credential: Known,
    /// From where; empty where it does not matter.
    pub address: String,
    /// How often in the last 30 days; 0 where it was not used.
    pub uses: i64,
    /// By which guardrails.
    pub by: Vec<String>,
}

/// How many would be refused in one workspace.
#[derive(Clone, Debug)]
pub struct WorkspaceRow {
    /// Its slug.
    pub workspace: String,
    /// How many people.
    pub people: u64,
    /// How many credentials.
    pub credentials: u64,
    /// How often they came in the last 30 days.
    pub uses: i64,
}

/// What the solver found about a rule.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The rule.
    pub name: String,
    /// What was found, in a sentence.
    pub text: String,
    /// A request that it refuses.
    pub example: String,
    /// Whether it is to be warned of.
    pub warning: bool,
}

/// What would happen.
#[derive(Clone, Debug)]
pub struct Effect {
    /// In one sentence.
    pub summary: String,
    /// The workspaces where, the most frequent first; none where one workspace was asked about.
    pub workspaces: Vec<WorkspaceRow>,
    /// Who would be refused, the most frequent first.
    pub refused: Vec<RefusedRow>,
    /// What is left out of the list, in a sentence; empty where nothing.
    pub left_out: String,
    /// What was found about rules.
    pub findings: Vec<Finding>,
}

/// What guardrails would do, and the button that saves them.
#[derive(Clone, Debug, Template)]
#[template(path = "guardrail_effect.html")]
pub struct EffectPage {
    /// What is around it.
    pub frame: Frame,
    /// Whose they are.
    pub of: String,
    /// What is wrong.
    pub error: String,
    /// What would change.
    pub changes: Vec<ChangeRow>,
    /// What would happen.
    pub effect: Effect,
    /// Ranges that hold a good part of all addresses.
    pub wide: Vec<String>,
    /// Whether who saves would be locked out.
    pub locks_out: bool,
    /// What was typed, to be sent again.
    pub typed: Vec<(String, String)>,
    /// Where the form goes.
    pub action: String,
    /// Proves that the form was made for this session.
    pub form_token: String,
}
