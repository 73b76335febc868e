//! Credentials that end soon, whose people are to be told.

use model::{Credential, Email, Result, Timestamp, UserId, WorkspaceId};

use crate::bookkeeping::{Bookkeeping, NOTE_WARNED, Table};
use crate::credential::{self, COLUMNS};
use crate::{Query, Reader, Row, params};

/// A credential that ends soon.
#[derive(Clone, Debug)]
pub struct EndingCredential {
    /// The credential.
    pub credential: Credential,
    /// How many days before its end its people were last told.
    pub warned_days: Option<i64>,
    /// What it is bound to, as people call it: `acme/one`, `acme/CORE`, `acme`. None for a user's own.
    pub place: Option<String>,
    /// The address of who made it, or whose it is, while they are still there: an active account and, for an access token, a
    /// member of the workspace by whatever way.
    pub to: Option<Email>,
}

fn from_row(row: &Row) -> Result<EndingCredential> {
    let (workspace, name): (Option<String>, Option<String>) =
        (row.get("workspace_slug")?, row.get("place_name")?);
    let place = workspace.map(|workspace| match name {
        Some(name) => format!("{workspace}/{name}"),
        None => workspace,
    });
    let to: Option<String> = row.get("told_email")?;
    Ok(EndingCredential {
        credential: credential::from_row(row)?,
        warned_days: row.get("warned_days")?,
        place,
        to: to.and_then(|email| email.parse().ok()),
    })
}

/// The living credentials that end after `now` and before `until`, the first to end first.
pub fn ending(
    reader: &mut Reader<'_>,
    now: Timestamp,
    until: Timestamp,
    limit: i64,
    offset: i64,
) -> Result<Vec<EndingCredential>> {
    let mut query = Query::new("SELECT ");
    query.sql(COLUMNS).sql(
        ", warned_days,
           (SELECT slug FROM workspace w WHERE w.id = c.workspace_id) AS workspace_slug,
           COALESCE((SELECT slug FROM repository r WHERE r.id = c.resource_id),
                    (SELECT key FROM project p WHERE p.id = c.resource_id)) AS place_name,
           (SELECT u.email FROM user_account u
            WHERE u.id = COALESCE(c.user_id, c.created_by) AND u.active AND u.deleted_on IS NULL AND (
                c.user_id IS NOT NULL OR EXISTS (
                    SELECT 1 FROM access_grant g
                    WHERE g.resource_kind = 'workspace' AND g.resource_id = c.workspace_id AND (
                        (g.subject_kind = 'user' AND g.subject_id = u.id) OR
                        (g.subject_kind = 'group' AND g.subject_id IN
                            (SELECT m.group_id FROM group_member m WHERE m.user_id = u.id)))))
           ) AS told_email
         FROM credential c WHERE revoked_on IS NULL AND expires_on > ",
    );
    query.bind(now).sql(" AND expires_on < ").bind(until);
    query.sql(" ORDER BY expires_on, id LIMIT ").bind(limit).sql(" OFFSET ").bind(offset);
    reader.query(&query)?.iter().map(from_row).collect()
}

/// The addresses of a workspace's active owners, by whatever way they own it.
pub fn owners(reader: &mut Reader<'_>, workspace: WorkspaceId) -> Result<Vec<(UserId, Email)>> {
    let rows = reader.all(
        "SELECT u.id, u.email FROM user_account u
         WHERE u.active AND u.deleted_on IS NULL AND EXISTS (
             SELECT 1 FROM access_grant g
             WHERE g.resource_kind = 'workspace' AND g.resource_id = $1 AND g.permission = 'owner' AND (
                 (g.subject_kind = 'user' AND g.subject_id = u.id) OR
                 (g.subject_kind = 'group' AND g.subject_id IN
                     (SELECT m.group_id FROM group_member m WHERE m.user_id = u.id))))
         ORDER BY u.created_on, u.id",
        params![workspace],
    )?;
    rows.iter().map(|row| Ok((UserId::from_uuid(row.get("id")?), row.parse("email")?))).collect()
}

/// Notes that a credential's people were told.
pub fn note_warned(books: &mut Bookkeeping<'_>, credential: &Credential, days: i64) -> Result<()> {
    books.execute(Table::CredentialUse, NOTE_WARNED, params![credential.id, days]).map(drop)
}
