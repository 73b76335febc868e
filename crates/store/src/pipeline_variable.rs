//! Variables of pipelines, their values sealed.

use model::{
    EnvironmentId, Error, PipelineVariable, RepositoryId, Result, VariableId, VariablePlace, WorkspaceId,
};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::{OrConflict, Query, Reader, Row, Writer, params};

const COLUMNS: &str = "SELECT id, place_kind, place_id, name, value, secured, protected_only, environments, created_on, \
     updated_on FROM pipeline_variable WHERE place_kind = ";

/// A variable and its sealed value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The variable.
    pub variable: PipelineVariable,
    /// The value, sealed for this variable in its place.
    pub value: Vec<u8>,
}

fn place(kind: &str, id: Uuid) -> Result<VariablePlace> {
    match kind {
        "workspace" => Ok(VariablePlace::Workspace(WorkspaceId::from_uuid(id))),
        "repository" => Ok(VariablePlace::Repository(RepositoryId::from_uuid(id))),
        "environment" => Ok(VariablePlace::Environment(EnvironmentId::from_uuid(id))),
        _ => Err(Error::internal("a variable of no known place")),
    }
}

fn from_row(row: &Row) -> Result<Kept> {
    let environments: Json = row.get("environments")?;
    let variable = PipelineVariable {
        id: row.get("id")?,
        place: place(&row.get::<String>("place_kind")?, row.get("place_id")?)?,
        name: row.parse("name")?,
        secured: row.get("secured")?,
        protected_only: row.get("protected_only")?,
        environments: serde_json::from_value(environments).map_err(Error::internal)?,
        created_on: row.get("created_on")?,
        updated_on: row.get("updated_on")?,
    };
    Ok(Kept { variable, value: row.get("value")? })
}

fn of(place: VariablePlace) -> Query {
    let mut query = Query::new(COLUMNS);
    query.bind(place.kind()).sql(" AND place_id = ").bind(place.uuid());
    query
}

/// The variables of a place, by name.
pub fn list(reader: &mut Reader<'_>, place: VariablePlace, limit: i64, offset: i64) -> Result<Vec<Kept>> {
    let mut query = of(place);
    query.sql(" ORDER BY name LIMIT ").bind(limit).sql(" OFFSET ").bind(offset);
    reader.query(&query)?.iter().map(from_row).collect()
}

/// How many a place has.
pub fn count(reader: &mut Reader<'_>, place: VariablePlace) -> Result<i64> {
    reader.count(
        "SELECT count(*) AS n FROM pipeline_variable WHERE place_kind = $1 AND place_id = $2",
        params![place.kind(), place.uuid()],
    )
}

/// One of a place's variables.
pub fn find(reader: &mut Reader<'_>, place: VariablePlace, id: VariableId) -> Result<Option<Kept>> {
    let mut query = of(place);
    query.sql(" AND id = ").bind(id);
    reader.query_one(&query)?.as_ref().map(from_row).transpose()
}

fn taken(variable: &PipelineVariable) -> String {
    format!("there is a variable `{}` here already: change that one", variable.name)
}

/// Makes a variable.
///
/// # Errors
/// `Conflict` where the place has one of this name.
pub fn insert(writer: &mut Writer<'_>, kept: &Kept) -> Result<()> {
    let one = &kept.variable;
    writer
        .execute(
            "INSERT INTO pipeline_variable (id, place_kind, place_id, name, value, secured, protected_only,
                 environments, created_on, updated_on)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            params![
                one.id,
                one.place.kind(),
                one.place.uuid(),
                one.name.as_str(),
                kept.value.as_slice(),
                one.secured,
                one.protected_only,
                Json::from(one.environments.clone()),
                one.created_on,
                one.updated_on,
            ],
        )
        .or_conflict(taken(one))
        .map(drop)
}

/// Writes a variable back, where it is.
///
/// # Errors
/// `Conflict` where the place has another one of this name.
pub fn update(writer: &mut Writer<'_>, kept: &Kept) -> Result<()> {
    let one = &kept.variable;
    writer
        .execute(
            "UPDATE pipeline_variable SET name = $4, value = $5, secured = $6, protected_only = $7, environments = $8,
                 updated_on = $9
             WHERE id = $1 AND place_kind = $2 AND place_id = $3",
            params![
                one.id,
                one.place.kind(),
                one.place.uuid(),
                one.name.as_str(),
                kept.value.as_slice(),
                one.secured,
                one.protected_only,
                Json::from(one.environments.clone()),
                one.updated_on,
            ],
        )
        .or_conflict(taken(one))
        .map(drop)
}

/// Removes a variable.
pub fn remove(writer: &mut Writer<'_>, id: VariableId) -> Result<()> {
    writer.execute("DELETE FROM pipeline_variable WHERE id = $1", params![id]).map(drop)
}

/// Removes all that a place had.
pub(crate) fn forget(writer: &mut Writer<'_>, place: VariablePlace) -> Result<()> {
    let sql = "DELETE FROM pipeline_variable WHERE place_kind = $1 AND place_id = $2";
    writer.execute(sql, params![place.kind(), place.uuid()]).map(drop)
}
