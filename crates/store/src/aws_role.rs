//! Roles at Amazon, who may take them on, and the external ids by which accounts there know a workspace.

use model::{AwsAccount, AwsGrant, AwsRole, AwsRoleId, Error, RepositoryId, Result, WorkspaceId};

use crate::{OrConflict, Query, Reader, Row, Writer, params};

const SELECT: &str =
    "SELECT id, workspace_id, arn, mode, name, region, longest_session, created_on FROM aws_role WHERE ";
const TWICE: &str = "this role is named here already";

fn from_row(reader: &mut Reader<'_>, row: &Row) -> Result<AwsRole> {
    let region: Option<String> = row.get("region")?;
    let longest: i64 = row.get("longest_session")?;
    let id: AwsRoleId = row.get("id")?;
    Ok(AwsRole {
        id,
        workspace: row.get("workspace_id")?,
        arn: row.parse("arn")?,
        mode: row.parse("mode")?,
        name: row.parse("name")?,
        region: region.map(|text| text.parse()).transpose().map_err(Error::internal)?,
        longest_session: u32::try_from(longest).map_err(Error::internal)?,
        grants: grants(reader, id)?,
        created_on: row.get("created_on")?,
    })
}

fn grants(reader: &mut Reader<'_>, role: AwsRoleId) -> Result<Vec<AwsGrant>> {
    let rows = reader.all(
        "SELECT repository_id, ref_pattern, protected_only, environment FROM aws_role_grant
         WHERE role_id = $1 ORDER BY position",
        params![role],
    )?;
    let grant = |row: &Row| {
        let refs: Option<String> = row.get("ref_pattern")?;
        Ok(AwsGrant {
            repository: row.get("repository_id")?,
            refs: refs.map(|text| text.parse()).transpose().map_err(Error::internal)?,
            protected_only: row.get("protected_only")?,
            environment: row.get("environment")?,
        })
    };
    rows.iter().map(grant).collect()
}

fn first(reader: &mut Reader<'_>, query: &Query) -> Result<Option<AwsRole>> {
    let row = reader.query_one(query)?;
    row.map(|row| from_row(reader, &row)).transpose()
}

/// A workspace's roles, by name.
pub fn list(reader: &mut Reader<'_>, workspace: WorkspaceId) -> Result<Vec<AwsRole>> {
    let mut query = Query::new(SELECT);
    query.sql("workspace_id = ").bind(workspace).sql(" ORDER BY name, arn");
    let rows = reader.query(&query)?;
    rows.iter().map(|row| from_row(reader, row)).collect()
}

/// How many a workspace has.
pub fn count(reader: &mut Reader<'_>, workspace: WorkspaceId) -> Result<i64> {
    reader.count("SELECT count(*) FROM aws_role WHERE workspace_id = $1", params![workspace])
}

/// One of a workspace's roles.
pub fn find(reader: &mut Reader<'_>, workspace: WorkspaceId, id: AwsRoleId) -> Result<Option<AwsRole>> {
    let mut query = Query::new(SELECT);
    query.sql("workspace_id = ").bind(workspace).sql(" AND id = ").bind(id);
    first(reader, &query)
}

/// A workspace's role of this ARN.
pub fn find_by_arn(reader: &mut Reader<'_>, workspace: WorkspaceId, arn: &str) -> Result<Option<AwsRole>> {
    let mut query = Query::new(SELECT);
    query.sql("workspace_id = ").bind(workspace).sql(" AND arn = ").bind(arn);
    first(reader, &query)
}

fn set_grants(writer: &mut Writer<'_>, role: &AwsRole) -> Result<()> {
    writer.execute("DELETE FROM aws_role_grant WHERE role_id = $1", params![role.id])?;
    for (position, grant) in (0_i64..).zip(&role.grants) {
        writer.execute(
            "INSERT INTO aws_role_grant (role_id, position, repository_id, ref_pattern, protected_only, environment)
             VALUES ($1, $2, $3, $4, $5, $6)",
            params![
                role.id,
                position,
                grant.repository,
                grant.refs.as_ref().map(|refs| refs.as_str()),
                grant.protected_only,
                grant.environment.as_deref(),
            ],
        )?;
    }
    Ok(())
}

/// Adds a role.
pub fn insert(writer: &mut Writer<'_>, role: &AwsRole) -> Result<()> {
    writer
        .execute(
            "INSERT INTO aws_role (id, workspace_id, arn, mode, name, region, longest_session, created_on)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            params![
                role.id,
                role.workspace,
                role.arn.as_str(),
                role.mode.as_str(),
                role.name.as_str(),
                role.region.as_ref().map(|region| region.as_str()),
                i64::from(role.longest_session),
                role.created_on,
            ],
        )
        .or_conflict(TWICE)?;
    set_grants(writer, role)
}

/// Changes a role.
pub fn update(writer: &mut Writer<'_>, role: &AwsRole) -> Result<()> {
    writer
        .execute(
            "UPDATE aws_role SET arn = $2, mode = $3, name = $4, region = $5, longest_session = $6 WHERE id = $1",
            params![
                role.id,
                role.arn.as_str(),
                role.mode.as_str(),
                role.name.as_str(),
                role.region.as_ref().map(|region| region.as_str()),
                i64::from(role.longest_session),
            ],
        )
        .or_conflict(TWICE)?;
    set_grants(writer, role)
}

/// Removes a role. The account's external id stays.
pub fn remove(writer: &mut Writer<'_>, id: AwsRoleId) -> Result<()> {
    writer.execute("DELETE FROM aws_role_grant WHERE role_id = $1", params![id])?;
    writer.execute("DELETE FROM aws_role WHERE id = $1", params![id]).map(drop)
}

/// By what an account knows a workspace, where that was made.
pub fn external_id(
    reader: &mut Reader<'_>,
    workspace: WorkspaceId,
    account: &AwsAccount,
) -> Result<Option<String>> {
    let sql = "SELECT external_id FROM aws_external_id WHERE workspace_id = $1 AND account = $2";
    reader.one(sql, params![workspace, account.as_str()])?.map(|row| row.get("external_id")).transpose()
}

/// Keeps an external id, unless there is one; the one that holds, and whether it is the new one.
pub fn keep_external_id(
    writer: &mut Writer<'_>,
    workspace: WorkspaceId,
    account: &AwsAccount,
    new: &str,
) -> Result<(String, bool)> {
    let now = writer.origin().time;
    let added = writer.execute(
        "INSERT INTO aws_external_id (workspace_id, account, external_id, created_on) VALUES ($1, $2, $3, $4)
         ON CONFLICT (workspace_id, account) DO NOTHING",
        params![workspace, account.as_str(), new, now],
    )?;
    let kept = external_id(writer, workspace, account)?;
    Ok((kept.ok_or_else(|| Error::internal("an external id that was kept is not there"))?, added > 0))
}

/// Removes the grants of a repository.
pub(crate) fn forget(writer: &mut Writer<'_>, repository: RepositoryId) -> Result<()> {
    writer.execute("DELETE FROM aws_role_grant WHERE repository_id = $1", params![repository]).map(drop)
}
