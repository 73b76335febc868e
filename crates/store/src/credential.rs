//! Access tokens, app passwords and API tokens. Only the hash of a secret is kept.

use model::{
    Credential, CredentialId, CredentialKind, Error, Holder, Resource, ResourceKind, Result, SecretHash,
    Timestamp, UserId, WorkspaceId,
};
use uuid::Uuid;

use crate::{Query, Reader, Row, Writer};

pub(crate) const COLUMNS: &str = "id, kind, name, scopes, user_id, resource_kind, resource_id, workspace_id, email, created_by, \
     created_on, expires_on, last_used_on, revoked_on";

pub(crate) fn from_row(row: &Row) -> Result<Credential> {
    let kind: String = row.get("kind")?;
    let kind = CredentialKind::from_letters(&kind)
        .ok_or_else(|| Error::internal("a credential of an unknown kind"))?;
    let user: Option<Uuid> = row.get("user_id")?;
    let holder = match user {
        Some(user) => Holder::User(UserId::from_uuid(user)),
        None => {
            let on: String = row.get("resource_kind")?;
            let on =
                ResourceKind::parse(&on).ok_or_else(|| Error::internal("a resource of an unknown kind"))?;
            let workspace = WorkspaceId::from_uuid(row.get("workspace_id")?);
            Holder::Resource(Resource::from_parts(on, row.get("resource_id")?), workspace)
        }
    };
    let created_by: Option<Uuid> = row.get("created_by")?;
    Ok(Credential {
        id: CredentialId::from_uuid(row.get("id")?),
        kind,
        name: row.parse("name")?,
        scopes: row.parse("scopes")?,
        holder,
        email: row.get("email")?,
        created_by: created_by.map(UserId::from_uuid),
        created_on: row.get("created_on")?,
        expires_on: row.get("expires_on")?,
        last_used_on: row.get("last_used_on")?,
        revoked_on: row.get("revoked_on")?,
    })
}

/// By the hash of its secret, revoked and expired ones included.
pub fn find_by_hash(reader: &mut Reader<'_>, hash: &SecretHash) -> Result<Option<Credential>> {
    let mut query = Query::new("SELECT ");
    query.sql(COLUMNS).sql(" FROM credential WHERE hash = ").bind(hash.as_bytes().as_slice());
    reader.query_one(&query)?.as_ref().map(from_row).transpose()
}

/// By id, revoked and expired ones included.
pub fn find(reader: &mut Reader<'_>, id: CredentialId) -> Result<Option<Credential>> {
    let mut query = Query::new("SELECT ");
    query.sql(COLUMNS).sql(" FROM credential WHERE id = ").bind(id);
    reader.query_one(&query)?.as_ref().map(from_row).transpose()
}

/// The unrevoked credentials of a holder and, for a user's, of one kind; newest first, and how many there are.
pub fn list(
    reader: &mut Reader<'_>,
    holder: Holder,
    kind: CredentialKind,
    limit: i64,
    offset: i64,
) -> Result<(Vec<Credential>, i64)> {
    let narrow = |query: &mut Query| {
        query.sql(" FROM credential WHERE revoked_on IS NULL AND kind = ").bind(kind.letters());
        match holder {
            Holder::User(user) => query.sql(" AND user_id = ").bind(user),
            Holder::Resource(resource, _) => query
                .sql(" AND resource_kind = ")
                .bind(resource.kind().as_str())
                .sql(" AND resource_id = ")
                .bind(resource.uuid()),
        };
    };
    let mut query = Query::new("SELECT ");
    query.sql(COLUMNS);
    narrow(&mut query);
    query.sql(" ORDER BY created_on DESC, id LIMIT ").bind(limit).sql(" OFFSET ").bind(offset);
    let found = reader.query(&query)?.iter().map(from_row).collect::<Result<_>>()?;
    let mut query = Query::new("SELECT count(*) AS n");
    narrow(&mut query);
    let size = reader.query_one(&query)?.map_or(Ok(0), |row| row.get("n"))?;
    Ok((found, size))
}

/// Adds a credential.
pub fn insert(writer: &mut Writer<'_>, credential: &Credential, hash: &SecretHash) -> Result<()> {
    let (user, resource, workspace) = match credential.holder {
        Holder::User(user) => (Some(user), None, None),
        Holder::Resource(resource, workspace) => (None, Some(resource), Some(workspace)),
    };
    writer
        .execute(
            "INSERT INTO credential (id, kind, hash, name, scopes, user_id, resource_kind, resource_id, workspace_id,
                 email, created_by, created_on, expires_on)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            &[
                credential.id.into(),
                credential.kind.letters().into(),
                hash.as_bytes().as_slice().into(),
                credential.name.as_str().into(),
                credential.scopes.to_string().into(),
                user.into(),
                resource.map(|resource| resource.kind().as_str()).into(),
                resource.map(Resource::uuid).into(),
                workspace.into(),
                credential.email.clone().into(),
                credential.created_by.into(),
                credential.created_on.into(),
                credential.expires_on.into(),
            ],
        )
        .map(drop)
}

/// Removes the token of a step that has ended: the events of the step tell of it.
pub fn remove_step_token(writer: &mut Writer<'_>, id: CredentialId) -> Result<()> {
    writer.execute("DELETE FROM credential WHERE id = $1 AND kind = 'stp'", &[id.into()]).map(drop)
}

/// Revokes a credential for good.
pub fn revoke(writer: &mut Writer<'_>, id: CredentialId, now: Timestamp) -> Result<()> {
    writer
        .execute(
            "UPDATE credential SET revoked_on = $2 WHERE id = $1 AND revoked_on IS NULL",
            &[id.into(), now.into()],
        )
        .map(drop)
}

/// Lets one end no later than `end`, of which whoever asks for it knows and nobody is warned. One that ends earlier by itself still does.
pub fn end_by(writer: &mut Writer<'_>, id: CredentialId, end: Timestamp) -> Result<()> {
    writer
        .execute(
            "UPDATE credential SET expires_on = $2, warned_days = 0
             WHERE id = $1 AND revoked_on IS NULL AND (expires_on IS NULL OR expires_on > $2)",
            &[id.into(), end.into()],
        )
        .map(drop)
}

/// Revokes every access token bound to a resource: it dies with it, or with the workspace it leaves, and does not
/// come back.
pub fn revoke_bound_to(writer: &mut Writer<'_>, resource: Resource, now: Timestamp) -> Result<u64> {
    writer.execute(
        "UPDATE credential SET revoked_on = $3
         WHERE resource_kind = $1 AND resource_id = $2 AND revoked_on IS NULL",
        &[resource.kind().as_str().into(), resource.uuid().into(), now.into()],
    )
}

/// The living access tokens bound to any of a chain's resources, by name.
pub fn bound_to(reader: &mut Reader<'_>, chain: &[Uuid], now: Timestamp) -> Result<Vec<Credential>> {
    let mut query = Query::new("SELECT ");
    query
        .sql(COLUMNS)
        .sql(" FROM credential WHERE revoked_on IS NULL AND user_id IS NULL AND resource_id IN ");
    query.bind_list(chain.iter().copied()).sql(" AND (expires_on IS NULL OR expires_on > ").bind(now);
    query.sql(") ORDER BY name, id");
    reader.query(&query)?.iter().map(from_row).collect()
}

/// The living credentials that may reach a workspace: its access tokens, and whatever some users made; by kind and name.
pub fn reaching(
    reader: &mut Reader<'_>,
    workspace: WorkspaceId,
    users: &[UserId],
    now: Timestamp,
    limit: i64,
) -> Result<Vec<Credential>> {
    let mut query = Query::new("SELECT ");
    query.sql(COLUMNS).sql(" FROM credential WHERE revoked_on IS NULL AND (workspace_id = ").bind(workspace);
    if !users.is_empty() {
        query.sql(" OR user_id IN ").bind_list(users.iter().copied());
    }
    query.sql(") AND (expires_on IS NULL OR expires_on > ").bind(now);
    query.sql(") ORDER BY kind, name, id LIMIT ").bind(limit);
    reader.query(&query)?.iter().map(from_row).collect()
}
