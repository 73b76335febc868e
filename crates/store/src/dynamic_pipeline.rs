//! Who has the last word about what pipelines do, and what came of it.

use model::{DynamicPipeline, DynamicPlace, PipelineId, Result};
use serde_json::Value as Json;

use crate::{Reader, Writer, params};

/// A provider and rules, and the sealed key that signs what the provider is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// What was set.
    pub settings: DynamicPipeline,
    /// The key, where there is a provider.
    pub secret: Option<Vec<u8>>,
}

/// What a run was planned from, where that is not what it began with.
#[derive(Clone, Debug, PartialEq)]
pub struct Final {
    /// Who changed it: a list of words, `repository-provider` and the like.
    pub sources: Json,
    /// What it began with, in the same form.
    pub before: String,
    /// What was planned.
    pub text: String,
}

/// A place's.
pub fn of(reader: &mut Reader<'_>, place: DynamicPlace) -> Result<Option<Kept>> {
    let sql = "SELECT address, secret, time_limit, enabled, rules, set_by, set_on FROM dynamic_pipeline
               WHERE place_kind = $1 AND place_id = $2";
    let Some(row) = reader.one(sql, params![place.kind(), place.uuid()])? else { return Ok(None) };
    let settings = DynamicPipeline {
        place,
        address: row.get("address")?,
        time_limit: row.get("time_limit")?,
        enabled: row.get("enabled")?,
        rules: row.get("rules")?,
        set_by: row.get("set_by")?,
        set_on: row.get("set_on")?,
    };
    Ok(Some(Kept { settings, secret: row.get("secret")? }))
}

/// Sets a place's, instead of what it had.
pub fn set(writer: &mut Writer<'_>, kept: &Kept) -> Result<()> {
    let one = &kept.settings;
    forget(writer, one.place)?;
    writer
        .execute(
            "INSERT INTO dynamic_pipeline (place_kind, place_id, address, secret, time_limit, enabled, rules, set_by,
                 set_on)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            params![
                one.place.kind(),
                one.place.uuid(),
                one.address.clone(),
                kept.secret.clone(),
                one.time_limit,
                one.enabled,
                one.rules.as_str(),
                one.set_by.as_str(),
                one.set_on,
            ],
        )
        .map(drop)
}

/// Removes a place's.
pub fn forget(writer: &mut Writer<'_>, place: DynamicPlace) -> Result<()> {
    let sql = "DELETE FROM dynamic_pipeline WHERE place_kind = $1 AND place_id = $2";
    writer.execute(sql, params![place.kind(), place.uuid()]).map(drop)
}

/// Keeps what a run was planned from.
pub fn keep_final(writer: &mut Writer<'_>, run: PipelineId, planned: &Final) -> Result<()> {
    writer
        .execute(
            "INSERT INTO pipeline_final_configuration (pipeline_id, sources, before, text) VALUES ($1, $2, $3, $4)",
            params![run, planned.sources.clone(), planned.before.as_str(), planned.text.as_str()],
        )
        .map(drop)
}

/// What a run was planned from, where that is not what it began with.
pub fn final_of(reader: &mut Reader<'_>, run: PipelineId) -> Result<Option<Final>> {
    let sql = "SELECT sources, before, text FROM pipeline_final_configuration WHERE pipeline_id = $1";
    let row = reader.one(sql, params![run])?;
    row.map(|row| {
        Ok(Final { sources: row.get("sources")?, before: row.get("before")?, text: row.get("text")? })
    })
    .transpose()
}

/// Who changed what a run began with.
pub fn sources_of(reader: &mut Reader<'_>, run: PipelineId) -> Result<Vec<String>> {
    let sql = "SELECT sources FROM pipeline_final_configuration WHERE pipeline_id = $1";
    let Some(row) = reader.one(sql, params![run])? else { return Ok(Vec::new()) };
    serde_json::from_value(row.only::<Json>()?).map_err(model::Error::internal)
}
