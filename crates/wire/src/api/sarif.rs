//! What came of a file of findings.

use schemars::JsonSchema;
use serde::Serialize;

use crate::report::Report;

/// The reports of a file, one for each tool in it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "sarif_reports")]
pub struct SarifReports {
    /// The reports, in the order of the file.
    pub reports: Vec<SarifReport>,
}

/// A report, and how much of the file it tells.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "sarif_report")]
pub struct SarifReport {
    /// The report, as its own address gives it.
    pub report: Report,
    /// How many annotations it has.
    pub annotations: u64,
    /// How many findings have none, because there were too many: the least grave.
    pub left_out: u64,
}
