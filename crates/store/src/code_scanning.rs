//! Which findings fail a run of a pipeline, where a workspace has a rule.

use model::{CodeScanning, Error, Result, WorkspaceId};
use serde_json::Value as Json;

use crate::{Reader, Writer, params};

fn tools(json: &Json) -> Option<Vec<String>> {
    json.as_array()?.iter().map(|tool| tool.as_str().map(str::to_owned)).collect()
}

/// A workspace's rule; one that fails nothing where it has none.
pub fn of(reader: &mut Reader<'_>, workspace: WorkspaceId) -> Result<CodeScanning> {
    let sql = "SELECT fail_at, tools FROM code_scanning WHERE workspace_id = $1";
    let Some(row) = reader.one(sql, params![workspace])? else { return Ok(CodeScanning::default()) };
    let odd = || Error::internal("a rule about findings that cannot be read");
    Ok(CodeScanning {
        fail_at: row.parse_some("fail_at")?,
        tools: tools(&row.get("tools")?).ok_or_else(odd)?,
    })
}

/// Writes a workspace's rule.
pub fn set(writer: &mut Writer<'_>, workspace: WorkspaceId, rule: &CodeScanning) -> Result<()> {
    writer
        .execute(
            "INSERT INTO code_scanning (workspace_id, fail_at, tools) VALUES ($1, $2, $3)
             ON CONFLICT (workspace_id) DO UPDATE SET fail_at = $2, tools = $3",
            params![
                workspace,
                rule.fail_at.map(|severity| severity.as_str()),
                Json::from(rule.tools.clone()),
            ],
        )
        .map(drop)
}
