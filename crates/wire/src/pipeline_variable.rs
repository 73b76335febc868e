//! Variables of pipelines.

use std::fmt;

use model::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::body;
use crate::format::{Braced, typed};

/// A variable of pipelines.
#[derive(Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "pipeline_variable")]
#[schemars(transform = typed("pipeline_variable"))]
pub struct PipelineVariable {
    /// Its id.
    pub uuid: Braced,
    /// Its name.
    pub key: String,
    /// Its value; absent where it is secured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Whether nothing tells its value.
    pub secured: bool,
    /// Whether it is for runs on protected branches and tags alone. Bastide's own.
    pub protected_only: bool,
    /// The names of the environments that it is for; for all steps where there are none. Bastide's own.
    pub environments: Vec<String>,
}

/// Without the value, secured or not.
impl fmt::Debug for PipelineVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipelineVariable")
            .field("uuid", &self.uuid)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// A variable as requests send it; what is absent stays as it is.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
#[schemars(rename = "pipeline_variable_input")]
pub struct PipelineVariableInput {
    /// Its name.
    #[serde(default)]
    pub key: Option<String>,
    /// Its value.
    #[serde(default, deserialize_with = "body::secret")]
    #[schemars(with = "Option<String>")]
    pub value: Option<Secret>,
    /// Whether nothing tells its value.
    #[serde(default)]
    pub secured: Option<bool>,
    /// Whether it is for runs on protected branches and tags alone.
    #[serde(default)]
    pub protected_only: Option<bool>,
    /// The names of the environments that it is for.
    #[serde(default)]
    pub environments: Option<Vec<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Would catch: a value that an error repeats, and with it an answer or a log.
    #[test]
    fn a_value_is_in_no_error() {
        let read: PipelineVariableInput = body::read(
            br#"{"type": "pipeline_variable", "uuid": "{u}", "key": "A", "value": "x", "secured": true}"#,
        )
        .unwrap();
        assert_eq!((read.value.unwrap().expose(), read.secured), ("x", Some(true)));
        for bad in [r#"{"value": 271828}"#, r#"{"value": ["271828"]}"#, r#"{"value": {"a": 271828}}"#] {
            let Err(error) = body::read::<PipelineVariableInput>(bad.as_bytes()) else { panic!("{bad}") };
            assert!(!format!("{error} {error:?}").contains("271828"), "{error:?}");
        }
    }

    #[test]
    fn a_value_is_not_shown_for_debugging() {
        let shown = PipelineVariable {
            uuid: model::VariableId::new(&model::Random::seeded(1)).into(),
            key: "A".to_owned(),
            value: Some("271828".to_owned()),
            secured: false,
            protected_only: false,
            environments: Vec::new(),
        };
        assert!(!format!("{shown:?}").contains("271828"));
    }
}
