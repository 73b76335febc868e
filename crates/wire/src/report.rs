//! Reports on commits and their annotations.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::format::typed;
use crate::{Braced, DateTime};

/// A report.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "report")]
#[schemars(transform = typed("report"))]
pub struct Report {
    /// Its id.
    pub uuid: Braced,
    /// What its maker calls it.
    pub external_id: String,
    /// Its heading.
    pub title: String,
    /// What it is for.
    pub details: Option<String>,
    /// The tool or the company that made it.
    pub reporter: Option<String>,
    /// Where there is more.
    pub link: Option<String>,
    /// Whether issues link to it.
    pub remote_link_enabled: bool,
    /// Its picture.
    pub logo_url: Option<String>,
    /// `SECURITY`, `COVERAGE`, `TEST` or `BUG`.
    pub report_type: Option<&'static str>,
    /// `PASSED`, `FAILED` or `PENDING`.
    pub result: Option<&'static str>,
    /// Its figures.
    pub data: Vec<ReportData>,
    /// When it was first made.
    pub created_on: DateTime,
    /// When it was last changed.
    pub updated_on: DateTime,
}

/// A figure of a report.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "report_data")]
pub struct ReportData {
    /// What it is about.
    pub title: String,
    /// `BOOLEAN`, `DATE`, `DURATION`, `LINK`, `NUMBER`, `PERCENTAGE` or `TEXT`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The figure.
    pub value: Value,
}

/// A report as requests send it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, expecting = "an object")]
#[schemars(rename = "report_input")]
pub struct ReportInput {
    /// Its heading.
    pub title: Option<String>,
    /// What it is for.
    pub details: Option<String>,
    /// What its maker calls it: what the address says.
    pub external_id: Option<String>,
    /// The tool or the company that made it.
    pub reporter: Option<String>,
    /// Where there is more.
    pub link: Option<String>,
    /// Whether issues link to it.
    pub remote_link_enabled: Option<bool>,
    /// Its picture.
    pub logo_url: Option<String>,
    /// `SECURITY`, `COVERAGE`, `TEST` or `BUG`.
    pub report_type: Option<String>,
    /// `PASSED`, `FAILED` or `PENDING`.
    pub result: Option<String>,
    /// At most ten figures.
    pub data: Option<Vec<ReportDataInput>>,
}

/// A figure as requests send it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, expecting = "an object")]
#[schemars(rename = "report_data_input")]
pub struct ReportDataInput {
    /// What it is about.
    pub title: Option<String>,
    /// How it is shown; by its value where it is not said.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The figure.
    pub value: Value,
}

/// An annotation.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "report_annotation")]
#[schemars(rename = "report_annotation", transform = typed("report_annotation"))]
pub struct Annotation {
    /// Its id.
    pub uuid: Braced,
    /// What its maker calls it.
    pub external_id: String,
    /// `VULNERABILITY`, `CODE_SMELL` or `BUG`.
    pub annotation_type: &'static str,
    /// What is said.
    pub summary: String,
    /// More about it.
    pub details: Option<String>,
    /// The file, from the root of the repository.
    pub path: Option<String>,
    /// The line; 0 where it is about the whole file.
    pub line: i64,
    /// `CRITICAL`, `HIGH`, `MEDIUM` or `LOW`.
    pub severity: Option<&'static str>,
    /// `PASSED`, `FAILED`, `SKIPPED` or `IGNORED`.
    pub result: Option<&'static str>,
    /// Where there is more.
    pub link: Option<String>,
    /// When it was first made.
    pub created_on: DateTime,
    /// When it was last changed.
    pub updated_on: DateTime,
}

/// An annotation as requests send it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, expecting = "an object")]
#[schemars(rename = "report_annotation_input")]
pub struct AnnotationInput {
    /// What its maker calls it.
    pub external_id: Option<String>,
    /// `VULNERABILITY`, `CODE_SMELL` or `BUG`.
    pub annotation_type: Option<String>,
    /// What is said.
    pub summary: Option<String>,
    /// More about it.
    pub details: Option<String>,
    /// The file, from the root of the repository.
    pub path: Option<String>,
    /// The line, from 1.
    pub line: Option<i64>,
    /// `CRITICAL`, `HIGH`, `MEDIUM` or `LOW`.
    pub severity: Option<String>,
    /// `PASSED`, `FAILED`, `SKIPPED` or `IGNORED`.
    pub result: Option<String>,
    /// Where there is more.
    pub link: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body;

    #[test]
    fn a_list_of_annotations_is_read_with_the_places_of_its_errors() {
        let body = br#"[{"external_id": "a", "line": 1, "more": {}}, {"external_id": "b", "path": null}]"#;
        let read: Vec<AnnotationInput> = body::read_list(body, 2).unwrap();
        assert_eq!((read[0].line, read[1].path.as_deref()), (Some(1), None));
        let told = |body: &[u8]| body::read_list::<AnnotationInput>(body, 2).unwrap_err().to_string();
        assert!(told(br#"[{"line": "1"}]"#).starts_with("`[0].line`: "), "{}", told(br#"[{"line": "1"}]"#));
        assert!(told(b"{}").contains("array"));
        assert!(told(b"[{},{},{}]").contains("more than 2 items"));
        assert!(told(b"[{}] x").contains("not JSON"));
    }
}
