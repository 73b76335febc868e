//! Identity providers of workspaces, and whom their subjects are here.

use model::{GroupMapping, Identity, IdentityProvider, Result, Timestamp, UserId, WorkspaceId};
use serde_json::{Value as Json, json};

use crate::{Reader, Row, Writer, params};

fn texts(value: &Json) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Json::as_str).map(str::to_owned).collect()
}

fn mapping(value: &Json) -> Result<Vec<GroupMapping>> {
    let text = |line: &Json, name: &str| line.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
    let read = |line: &Json| {
        let group = text(line, "group").parse().map_err(model::Error::internal)?;
        Ok(GroupMapping { claim: text(line, "claim"), group })
    };
    value.as_array().into_iter().flatten().map(read).collect()
}

fn from_row(row: &Row) -> Result<(IdentityProvider, Option<Vec<u8>>)> {
    let secret: Option<Vec<u8>> = row.get("client_secret")?;
    let provider = IdentityProvider {
        workspace: WorkspaceId::from_uuid(row.get("workspace_id")?),
        issuer: row.get("issuer")?,
        client_id: row.get("client_id")?,
        has_secret: secret.is_some(),
        scopes: texts(&row.get("scopes")?),
        groups_claim: row.get("groups_claim")?,
        group_mapping: mapping(&row.get("group_mapping")?)?,
        makes_accounts: row.get("makes_accounts")?,
        changed_by: row.get("changed_by")?,
        changed_on: row.get("changed_on")?,
    };
    Ok((provider, secret))
}

/// A workspace's provider with its sealed secret.
pub fn find(
    reader: &mut Reader<'_>,
    workspace: WorkspaceId,
) -> Result<Option<(IdentityProvider, Option<Vec<u8>>)>> {
    let row = reader.one(
        "SELECT workspace_id, issuer, client_id, client_secret, scopes, groups_claim, group_mapping, makes_accounts,
             changed_by, changed_on
         FROM identity_provider WHERE workspace_id = $1",
        params![workspace],
    )?;
    row.as_ref().map(from_row).transpose()
}

/// Sets a workspace's provider.
pub fn set(writer: &mut Writer<'_>, provider: &IdentityProvider, secret: Option<Vec<u8>>) -> Result<()> {
    let mapping: Json = provider
        .group_mapping
        .iter()
        .map(|line| json!({ "claim": line.claim, "group": line.group }))
        .collect();
    writer
        .execute(
            "INSERT INTO identity_provider (workspace_id, issuer, client_id, client_secret, scopes, groups_claim,
                 group_mapping, makes_accounts, changed_by, changed_on)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
             ON CONFLICT (workspace_id) DO UPDATE SET issuer = excluded.issuer, client_id = excluded.client_id,
                 client_secret = excluded.client_secret, scopes = excluded.scopes,
                 groups_claim = excluded.groups_claim, group_mapping = excluded.group_mapping,
                 makes_accounts = excluded.makes_accounts, changed_by = excluded.changed_by,
                 changed_on = excluded.changed_on",
            params![
                provider.workspace,
                provider.issuer.as_str(),
                provider.client_id.as_str(),
                secret,
                json!(provider.scopes),
                provider.groups_claim.as_deref(),
                mapping,
                provider.makes_accounts,
                provider.changed_by.as_str(),
                provider.changed_on,
            ],
        )
        .map(drop)
}

/// Removes a workspace's provider; whether there was one. Whom its subjects are stays known, for when it returns.
pub fn remove(writer: &mut Writer<'_>, workspace: WorkspaceId) -> Result<bool> {
    let sql = "DELETE FROM identity_provider WHERE workspace_id = $1";
    Ok(writer.execute(sql, params![workspace])? > 0)
}

/// Who a subject is here.
pub fn user_of(reader: &mut Reader<'_>, issuer: &str, subject: &str) -> Result<Option<UserId>> {
    let row = reader
        .one("SELECT user_id FROM identity WHERE issuer = $1 AND subject = $2", params![issuer, subject])?;
    row.map(|row| Ok(UserId::from_uuid(row.get("user_id")?))).transpose()
}

/// Links a subject to an account, through a workspace's provider. False when it is linked already.
pub fn link(
    writer: &mut Writer<'_>,
    (issuer, subject): (&str, &str),
    user: UserId,
    workspace: WorkspaceId,
) -> Result<bool> {
    let now = writer.origin().time;
    let linked = writer.execute(
        "INSERT INTO identity (issuer, subject, user_id, workspace_id, created_on) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (issuer, subject) DO NOTHING",
        params![issuer, subject, user, workspace, now],
    )?;
    Ok(linked > 0)
}

/// An account's subjects, the oldest first.
pub fn of_user(reader: &mut Reader<'_>, user: UserId) -> Result<Vec<Identity>> {
    let rows = reader.all(
        "SELECT issuer, subject, workspace_id, created_on FROM identity WHERE user_id = $1
         ORDER BY created_on, issuer, subject",
        params![user],
    )?;
    let read = |row: &Row| {
        Ok(Identity {
            issuer: row.get("issuer")?,
            subject: row.get("subject")?,
            workspace: WorkspaceId::from_uuid(row.get("workspace_id")?),
            connected_on: row.get("created_on")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Unlinks a subject from an account. The sessions of that account end which a provider of the same issuer began; how many
/// that were.
pub fn unlink(writer: &mut Writer<'_>, user: UserId, identity: &Identity) -> Result<u64> {
    let _ = writer.execute(
        "DELETE FROM identity WHERE issuer = $1 AND subject = $2 AND user_id = $3",
        params![identity.issuer.as_str(), identity.subject.as_str(), user],
    )?;
    // One provider may be that of several workspaces, and a session names the workspace that it came through.
    let rows = writer.all(
        "SELECT workspace_id FROM identity_provider WHERE issuer = $1",
        params![identity.issuer.as_str()],
    )?;
    let mut through = vec![identity.workspace];
    for row in &rows {
        through.push(WorkspaceId::from_uuid(row.get("workspace_id")?));
    }
    through.sort_unstable();
    through.dedup();
    let mut ended = 0;
    for workspace in through {
        ended += crate::session::end_of_user(writer, user, &workspace.to_string())?;
    }
    Ok(ended)
}

/// How many accounts a workspace's provider identifies, and how many sessions that it began have been seen since.
pub fn uses(
    reader: &mut Reader<'_>,
    provider: &IdentityProvider,
    (now, seen_after): (Timestamp, Timestamp),
) -> Result<(i64, i64)> {
    let people = reader.count(
        "SELECT count(DISTINCT user_id) AS n FROM identity WHERE workspace_id = $1 AND issuer = $2",
        params![provider.workspace, provider.issuer.as_str()],
    )?;
    let sessions = reader.count(
        "SELECT count(*) AS n FROM session WHERE provider = $1 AND expires_on > $2 AND last_seen_on > $3",
        params![provider.workspace.to_string(), now, seen_after],
    )?;
    Ok((people, sessions))
}

/// Unlinks all of an account's subjects; how many there were.
pub fn unlink_all(writer: &mut Writer<'_>, user: UserId) -> Result<u64> {
    writer.execute("DELETE FROM identity WHERE user_id = $1", params![user])
}

/// How many accounts that came through a workspace's provider wait to be approved.
pub fn waiting(reader: &mut Reader<'_>, workspace: WorkspaceId) -> Result<i64> {
    reader.count(
        "SELECT count(*) AS n FROM user_account u WHERE NOT u.approved AND u.active AND u.deleted_on IS NULL AND u.id IN
             (SELECT user_id FROM identity WHERE workspace_id = $1)",
        params![workspace],
    )
}
