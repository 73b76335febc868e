//! Alerts.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{Braced, DateTime};

/// Something that stands out, for somebody to look at.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "alert")]
pub struct Alert {
    /// Its id.
    pub uuid: Braced,
    /// `many-refusals`, `unseen-network`, `guardrail-loosened`, `administrator-made` or `mass-read`.
    pub pattern: &'static str,
    /// Who or what stands out, as the audit trail names it.
    pub subject: String,
    /// What happened.
    pub message: String,
    /// When it was raised.
    pub raised_on: DateTime,
    /// Who has looked at it; none while nobody has.
    pub acknowledged_by: Option<String>,
    /// When.
    pub acknowledged_on: Option<DateTime>,
}

impl From<model::Alert> for Alert {
    fn from(alert: model::Alert) -> Self {
        let (by, on) = alert.acknowledged.unzip();
        Self {
            uuid: alert.id.into(),
            pattern: alert.pattern.as_str(),
            subject: alert.subject,
            message: alert.told,
            raised_on: alert.raised_on.into(),
            acknowledged_by: by,
            acknowledged_on: on.map(Into::into),
        }
    }
}
