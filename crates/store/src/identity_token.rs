//! Identity tokens: the keys that sign them, and what they say where that was set.

use keyring::TokenAlgorithm;
use model::{RepositoryId, Result, Timestamp, WorkspaceId};
use serde_json::Value as Json;

use crate::{Reader, Row, Writer, params};

/// A key as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityTokenKey {
    /// Its id: the thumbprint of its public half.
    pub kid: String,
    /// How it signs.
    pub algorithm: TokenAlgorithm,
    /// Its public half, a JSON Web Key.
    pub public: Json,
    /// Its private half, sealed; gone once it signs no more.
    pub sealed: Option<Vec<u8>>,
    /// When it was made and published.
    pub created_on: Timestamp,
    /// From when it signs.
    pub activates_on: Timestamp,
    /// When it is published no more, where a younger one follows it.
    pub retires_on: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_on: Option<Timestamp>,
}

/// What a workspace's tokens say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkspaceSettings {
    /// How keys sign that are made from now on.
    pub algorithm: TokenAlgorithm,
    /// The subject's template; Bitbucket's form without one.
    pub subject_template: Option<String>,
    /// Whether tokens hold session tags for Amazon.
    pub session_tags: bool,
}

/// What a repository's tokens say, where that differs from its workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepositorySettings {
    /// The subject's template.
    pub subject_template: Option<String>,
    /// Whether tokens hold session tags for Amazon.
    pub session_tags: Option<bool>,
}

fn key(row: &Row) -> Result<IdentityTokenKey> {
    Ok(IdentityTokenKey {
        kid: row.get("kid")?,
        algorithm: row.parse("algorithm")?,
        public: row.get("public_key")?,
        sealed: row.get("sealed")?,
        created_on: row.get("created_on")?,
        activates_on: row.get("activates_on")?,
        retires_on: row.get("retires_on")?,
        revoked_on: row.get("revoked_on")?,
    })
}

/// A workspace's keys, the oldest first.
pub fn keys(reader: &mut Reader<'_>, workspace: WorkspaceId) -> Result<Vec<IdentityTokenKey>> {
    let rows = reader.all(
        "SELECT kid, algorithm, public_key, sealed, created_on, activates_on, retires_on, revoked_on
         FROM identity_token_key WHERE workspace_id = $1 ORDER BY created_on, activates_on, kid",
        params![workspace],
    )?;
    rows.iter().map(key).collect()
}

/// Lets nobody else change a workspace's keys or settings before this transaction ends.
pub fn lock(writer: &mut Writer<'_>, workspace: WorkspaceId) -> Result<()> {
    let default = WorkspaceSettings::default();
    writer
        .execute(
            "INSERT INTO identity_token_workspace (workspace_id, algorithm, subject_template, session_tags)
             VALUES ($1, $2, NULL, $3) ON CONFLICT (workspace_id) DO UPDATE SET workspace_id = excluded.workspace_id",
            params![workspace, default.algorithm.as_str(), default.session_tags],
        )
        .map(drop)
}

/// Keeps a new key.
pub fn insert_key(writer: &mut Writer<'_>, workspace: WorkspaceId, key: &IdentityTokenKey) -> Result<()> {
    writer
        .execute(
            "INSERT INTO identity_token_key (workspace_id, kid, algorithm, public_key, sealed, created_on, activates_on,
                 retires_on, revoked_on)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            params![
                workspace,
                key.kid.as_str(),
                key.algorithm.as_str(),
                &key.public,
                key.sealed.clone(),
                key.created_on,
                key.activates_on,
                key.retires_on,
                key.revoked_on,
            ],
        )
        .map(drop)
}

/// Says from when a key signs and when it is published no more.
pub fn schedule_key(
    writer: &mut Writer<'_>,
    workspace: WorkspaceId,
    kid: &str,
    (activates_on, retires_on): (Timestamp, Option<Timestamp>),
) -> Result<()> {
    writer
        .execute(
            "UPDATE identity_token_key SET activates_on = $3, retires_on = $4 WHERE workspace_id = $1 AND kid = $2",
            params![workspace, kid, activates_on, retires_on],
        )
        .map(drop)
}

/// Revokes a key; its private half is gone.
pub fn revoke_key(writer: &mut Writer<'_>, workspace: WorkspaceId, kid: &str) -> Result<()> {
    let now = writer.origin().time;
    writer
        .execute(
            "UPDATE identity_token_key SET revoked_on = $3, sealed = NULL WHERE workspace_id = $1 AND kid = $2",
            params![workspace, kid, now],
        )
        .map(drop)
}

/// Removes the private halves of keys that have retired, and all of those that retired or were revoked before `before`.
pub fn forget_keys(writer: &mut Writer<'_>, workspace: WorkspaceId, before: Timestamp) -> Result<()> {
    let now = writer.origin().time;
    writer.execute(
        "UPDATE identity_token_key SET sealed = NULL WHERE workspace_id = $1 AND retires_on <= $2",
        params![workspace, now],
    )?;
    writer
        .execute(
            "DELETE FROM identity_token_key WHERE workspace_id = $1 AND (retires_on < $2 OR revoked_on < $2)",
            params![workspace, before],
        )
        .map(drop)
}

/// Workspaces whose youngest key that is not revoked signs since before `before`.
pub fn workspaces_with_old_keys(reader: &mut Reader<'_>, before: Timestamp) -> Result<Vec<WorkspaceId>> {
    let rows = reader.all(
        "SELECT k.workspace_id AS id FROM identity_token_key k JOIN workspace w ON w.id = k.workspace_id
         WHERE k.revoked_on IS NULL AND w.deleted_on IS NULL
         GROUP BY k.workspace_id HAVING max(k.activates_on) < $1",
        params![before],
    )?;
    rows.iter().map(|row| Ok(WorkspaceId::from_uuid(row.get("id")?))).collect()
}

/// Workspaces with keys of which something is to be removed; see [`forget_keys`].
pub fn workspaces_with_past_keys(
    reader: &mut Reader<'_>,
    (now, before): (Timestamp, Timestamp),
) -> Result<Vec<WorkspaceId>> {
    let rows = reader.all(
        "SELECT DISTINCT workspace_id AS id FROM identity_token_key
         WHERE (retires_on <= $1 AND sealed IS NOT NULL) OR retires_on < $2 OR revoked_on < $2",
        params![now, before],
    )?;
    rows.iter().map(|row| Ok(WorkspaceId::from_uuid(row.get("id")?))).collect()
}

/// What a workspace's tokens say.
pub fn of_workspace(reader: &mut Reader<'_>, workspace: WorkspaceId) -> Result<WorkspaceSettings> {
    let sql = "SELECT algorithm, subject_template, session_tags FROM identity_token_workspace WHERE workspace_id = $1";
    let Some(row) = reader.one(sql, params![workspace])? else { return Ok(WorkspaceSettings::default()) };
    Ok(WorkspaceSettings {
        algorithm: row.parse("algorithm")?,
        subject_template: row.get("subject_template")?,
        session_tags: row.get("session_tags")?,
    })
}

/// Says it.
pub fn set_of_workspace(
    writer: &mut Writer<'_>,
    workspace: WorkspaceId,
    settings: &WorkspaceSettings,
) -> Result<()> {
    writer
        .execute(
            "INSERT INTO identity_token_workspace (workspace_id, algorithm, subject_template, session_tags)
             VALUES ($1, $2, $3, $4)
             ON CONFLICT (workspace_id) DO UPDATE SET algorithm = excluded.algorithm,
                 subject_template = excluded.subject_template, session_tags = excluded.session_tags",
            params![
                workspace,
                settings.algorithm.as_str(),
                settings.subject_template.as_deref(),
                settings.session_tags
            ],
        )
        .map(drop)
}

/// What a repository's tokens say.
pub fn of_repository(reader: &mut Reader<'_>, repository: RepositoryId) -> Result<RepositorySettings> {
    let sql = "SELECT subject_template, session_tags FROM identity_token_repository WHERE repository_id = $1";
    let Some(row) = reader.one(sql, params![repository])? else { return Ok(RepositorySettings::default()) };
    Ok(RepositorySettings {
        subject_template: row.get("subject_template")?,
        session_tags: row.get("session_tags")?,
    })
}

/// Says it.
pub fn set_of_repository(
    writer: &mut Writer<'_>,
    repository: RepositoryId,
    settings: &RepositorySettings,
) -> Result<()> {
    writer
        .execute(
            "INSERT INTO identity_token_repository (repository_id, subject_template, session_tags) VALUES ($1, $2, $3)
             ON CONFLICT (repository_id) DO UPDATE SET subject_template = excluded.subject_template,
                 session_tags = excluded.session_tags",
            params![repository, settings.subject_template.as_deref(), settings.session_tags],
        )
        .map(drop)
}

/// Removes what a repository's tokens say.
pub(crate) fn forget(writer: &mut Writer<'_>, repository: RepositoryId) -> Result<()> {
    writer
        .execute("DELETE FROM identity_token_repository WHERE repository_id = $1", params![repository])
        .map(drop)
}
