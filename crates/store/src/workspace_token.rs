//! Every access token of a workspace: its own, its projects' and its repositories'.

use std::collections::BTreeMap;

use model::{Credential, Result, Timestamp, WorkspaceId};

use crate::credential::{self, COLUMNS};
use crate::{Query, Reader, params};

/// More than this are not listed. No workspace gets there.
const MOST: i64 = 100_000;

/// An access token with what it is bound to and who made it, as people call them.
#[derive(Clone, Debug)]
pub struct BoundToken {
    /// The token.
    pub credential: Credential,
    /// The project's key or the repository's slug; none where it is bound to the workspace.
    pub name: Option<String>,
    /// Who made it.
    pub creator: Option<String>,
    /// Whether they are still there: an active account, and a member of the workspace by whatever way.
    pub creator_is_here: bool,
}

/// The living tokens, newest first.
pub fn list(reader: &mut Reader<'_>, workspace: WorkspaceId, now: Timestamp) -> Result<Vec<BoundToken>> {
    let mut query = Query::new("SELECT ");
    query
        .sql(COLUMNS)
        .sql(
            ", (SELECT slug FROM repository r WHERE r.id = c.resource_id) AS slug,
               (SELECT key FROM project p WHERE p.id = c.resource_id) AS key,
               (SELECT username FROM user_account u WHERE u.id = c.created_by) AS creator,
               EXISTS (
                   SELECT 1 FROM user_account u
                   JOIN access_grant g ON g.resource_kind = 'workspace' AND g.resource_id = c.workspace_id
                   WHERE u.id = c.created_by AND u.active AND u.deleted_on IS NULL AND (
                       (g.subject_kind = 'user' AND g.subject_id = u.id) OR
                       (g.subject_kind = 'group' AND g.subject_id IN
                           (SELECT m.group_id FROM group_member m WHERE m.user_id = u.id)))
               ) AS creator_is_here
             FROM credential c WHERE revoked_on IS NULL AND user_id IS NULL AND kind <> 'stp' AND workspace_id = ",
        )
        .bind(workspace)
        .sql(" AND (expires_on IS NULL OR expires_on > ")
        .bind(now)
        .sql(") ORDER BY created_on DESC, id LIMIT ")
        .bind(MOST);
    let rows = reader.query(&query)?;
    rows.iter()
        .map(|row| {
            let (slug, key): (Option<String>, Option<String>) = (row.get("slug")?, row.get("key")?);
            Ok(BoundToken {
                credential: credential::from_row(row)?,
                name: slug.or(key),
                creator: row.get("creator")?,
                creator_is_here: row.get("creator_is_here")?,
            })
        })
        .collect()
}

/// The actions that each credential, named as daily counts name it, has carried out since a day.
pub fn used_for(
    reader: &mut Reader<'_>,
    credentials: &[String],
    day: i64,
) -> Result<BTreeMap<String, Vec<String>>> {
    let mut used = BTreeMap::new();
    for credential in credentials {
        let rows = reader.all(
            "SELECT DISTINCT action FROM daily_count
             WHERE credential = $1 AND day >= $2 AND outcome = 'done' ORDER BY action",
            params![credential, day],
        )?;
        let actions = rows.iter().map(|row| row.get("action")).collect::<Result<_>>()?;
        used.insert(credential.clone(), actions);
    }
    Ok(used)
}
