//! The forms in which single values are written: ids in braces, times with six decimals and an offset.

use std::borrow::Cow;

use model::{
    AlertId, AnnotationId, AuditSinkId, BreakGlassId, CacheId, CommitStatusId, CredentialId, DeploymentId,
    EnvironmentId, EventId, GroupId, KnownHostId, PipelineId, ProjectId, ReportId, RepositoryId, RequestId,
    RunnerId, ScheduleId, StepId, TestCaseId, Timestamp, UserId, VariableId, WorkspaceId,
};
use schemars::transform::Transform;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::json;

/// An id as Bitbucket writes it: a UUID in braces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Braced(String);

impl Braced {
    /// With the braces.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! braced {
    ($($id:ident),*) => {$(
        impl From<$id> for Braced {
            fn from(id: $id) -> Self {
                Self(id.braced())
            }
        }
    )*};
}

braced!(
    AlertId,
    AnnotationId,
    AuditSinkId,
    BreakGlassId,
    CacheId,
    CommitStatusId,
    CredentialId,
    DeploymentId,
    EnvironmentId,
    EventId,
    GroupId,
    KnownHostId,
    PipelineId,
    ProjectId,
    ReportId,
    RepositoryId,
    RequestId,
    RunnerId,
    ScheduleId,
    StepId,
    TestCaseId,
    UserId,
    VariableId,
    WorkspaceId
);

impl JsonSchema for Braced {
    fn schema_name() -> Cow<'static, str> {
        "braced_uuid".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": r"^\{[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}$" })
    }
}

/// A moment, in RFC 3339 with six decimals and `+00:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct DateTime(Timestamp);

impl From<Timestamp> for DateTime {
    fn from(moment: Timestamp) -> Self {
        Self(moment)
    }
}

impl JsonSchema for DateTime {
    fn schema_name() -> Cow<'static, str> {
        "date_time".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// Adds to a derived schema the `type` that serde puts in front of a struct's fields, which `schemars` passes over.
pub(crate) fn typed(name: &'static str) -> impl Transform {
    move |schema: &mut Schema| {
        let fixed = json!({ "type": "string", "const": name });
        if let Some(properties) =
            schema.ensure_object().entry("properties").or_insert_with(|| json!({})).as_object_mut()
        {
            properties.shift_insert(0, "type".to_owned(), fixed);
        }
        if let Some(required) =
            schema.ensure_object().entry("required").or_insert_with(|| json!([])).as_array_mut()
        {
            required.insert(0, "type".into());
        }
    }
}

/// `text` for the inside of an HTML element or a quoted attribute.
#[must_use]
pub fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use model::Random;

    use super::*;

    #[test]
    fn an_id_is_written_in_braces_and_a_time_with_its_offset() {
        let id = UserId::new(&Random::seeded(1));
        assert_eq!(serde_json::json!(Braced::from(id)), format!("{{{id}}}"));
        let moment = DateTime::from(Timestamp::from_micros(1_500_000));
        assert_eq!(serde_json::json!(moment), "1970-01-01T00:00:01.500000+00:00");
    }

    #[test]
    fn markup_in_a_text_stays_text() {
        assert_eq!(escape_html("<b a='1\"'>&"), "&lt;b a=&#39;1&quot;&#39;&gt;&amp;");
    }
}
