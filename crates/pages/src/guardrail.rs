//! Guardrails of a workspace or of the instance: what each does, whether it holds, who changed it.

use askama::Template;
use model::GuardrailMode;

use crate::form::Field;
use crate::frame::Frame;
use crate::measure::Moment;
use crate::principal::Known;

/// The modes in the order of the form: the word that is sent, and what readers see.
pub const MODES: [(&str, &str); 3] = [("off", "Off"), ("report", "Report only"), ("on", "On")];

/// A mode in words.
#[must_use]
pub fn mode_words(mode: GuardrailMode) -> &'static str {
    match mode {
        GuardrailMode::Off => "Off",
        GuardrailMode::Report => "Report only",
        GuardrailMode::On => "On",
    }
}

/// Who changed something last.
#[derive(Clone, Debug)]
pub struct Changed {
    /// Who.
    pub by: Known,
    /// When.
    pub on: Moment,
}

/// A line of the allowlist in the form.
#[derive(Clone, Debug, Default)]
pub struct RangeRow {
    /// The range as typed.
    pub range: String,
    /// Whose it is.
    pub description: String,
    /// What is wrong with it.
    pub error: String,
}

/// A kind of credential to admit.
#[derive(Clone, Debug)]
pub struct KindChoice {
    /// Its name.
    pub name: &'static str,
    /// What readers call it.
    pub title: &'static str,
    /// Whether it is admitted.
    pub chosen: bool,
}

/// What goes with a guardrail beside its mode.
#[derive(Clone, Debug)]
pub enum More {
    /// Nothing.
    Nothing,
    /// Addresses.
    Ranges(Vec<RangeRow>),
    /// A number of days.
    Days(Field),
    /// Kinds of credential.
    Kinds(Vec<KindChoice>),
}

/// One guardrail in the form.
#[derive(Clone, Debug)]
pub struct GuardrailRow {
    /// Its field's name.
    pub name: String,
    /// What readers call it.
    pub title: &'static str,
    /// What it does.
    pub sentence: &'static str,
    /// Its mode's word.
    pub mode: String,
    /// What the instance asks here already, in words; empty where nothing.
    pub floor: String,
    /// Who changed it last.
    pub changed: Option<Changed>,
    /// What is wrong with it.
    pub error: String,
    /// What goes with it.
    pub more: More,
}

/// A rule of the workspace's own in the list.
#[derive(Clone, Debug)]
pub struct RuleRow {
    /// Its page.
    pub href: String,
    /// Its name.
    pub name: String,
    /// What it says.
    pub description: String,
    /// Its mode in words.
    pub mode: &'static str,
    /// Who changed it last.
    pub changed: Option<Changed>,
}

/// All guardrails, as a form.
#[derive(Clone, Debug, Template)]
#[template(path = "guardrails.html")]
pub struct GuardrailsPage {
    /// What is around it.
    pub frame: Frame,
    /// Whose they are: `the workspace acme`, `every workspace of this instance`.
    pub of: String,
    /// What is wrong with the form as a whole.
    pub error: String,
    /// Each of them.
    pub guardrails: Vec<GuardrailRow>,
    /// Whether the viewer may change them.
    pub may_change: bool,
    /// The rules of the workspace's own; none where there can be none.
    pub rules: Option<Vec<RuleRow>>,
    /// Where a new rule is written.
    pub new_rule: String,
    /// What is worth a second look.
    pub notes: Vec<String>,
    /// Where the form goes.
    pub action: String,
    /// What was there when the form was opened.
    pub state: String,
    /// Proves that the form was made for this session.
    pub form_token: String,
}
