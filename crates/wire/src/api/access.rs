//! Answers to "may this be done, and why?" and "who may do this?".

use schemars::JsonSchema;
use serde::Serialize;

/// Why something is allowed or refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "access_explanation")]
pub struct Explanation {
    /// What was decided.
    pub decision: Decision,
    /// The policies that decided.
    pub reasons: Vec<Reason>,
    /// How the principal comes by the permission, one step after the other.
    pub path: Vec<String>,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "access_decision")]
pub enum Decision {
    /// It may be done.
    Allow,
    /// It may not.
    Refuse,
}

/// A policy that decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "access_reason")]
pub struct Reason {
    /// The policy's id.
    pub policy: String,
    /// What it says.
    pub text: String,
}

/// One who may do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "access_who_can")]
pub struct WhoCan {
    /// Who: `user:ann`, `access-token:{…}`.
    pub principal: String,
    /// How they come by it, one step after the other.
    pub path: Vec<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_explanation_has_the_published_form() {
        let reason = Reason { policy: "writers-write".to_owned(), text: "writers may push".to_owned() };
        let path = vec!["user:ann".to_owned(), "group:developers".to_owned()];
        assert_eq!(
            json!(Explanation { decision: Decision::Refuse, reasons: vec![reason], path: path.clone() }),
            json!({
                "decision": "refuse",
                "reasons": [{ "policy": "writers-write", "text": "writers may push" }],
                "path": ["user:ann", "group:developers"],
            })
        );
        assert_eq!(
            json!(WhoCan { principal: "user:ann".to_owned(), path }),
            json!({ "principal": "user:ann", "path": ["user:ann", "group:developers"] })
        );
    }
}
