//! Accounts as those who manage them see them: looked for, with who approved them and when they were last signed in to.

use model::{ManagedUser, Result, UserId, UserState};

use crate::user::{COLUMNS, from_row};
use crate::{Query, Reader, Row};

const MORE: &str = ", approval_by, approval_on, signed_in_on FROM user_account WHERE deleted_on IS NULL";

fn managed(row: &Row) -> Result<ManagedUser> {
    let (by, on): (Option<String>, _) = (row.get("approval_by")?, row.get("approval_on")?);
    Ok(ManagedUser { user: from_row(row)?, approval: by.zip(on), signed_in_on: row.get("signed_in_on")? })
}

/// By id.
pub fn find(reader: &mut Reader<'_>, id: UserId) -> Result<Option<ManagedUser>> {
    let mut query = Query::new("SELECT ");
    query.sql(COLUMNS).sql(MORE).sql(" AND id = ").bind(id);
    reader.query_one(&query)?.as_ref().map(managed).transpose()
}

/// What a list is narrowed by. Texts are found in usernames, names and addresses, in any case.
fn narrow(query: &mut Query, state: Option<UserState>, text: &str) {
    query.sql(match state {
        None => "",
        Some(UserState::Active) => " AND active AND approved",
        // Who was refused is switched off, and waits no more.
        Some(UserState::Waiting) => " AND active AND NOT approved",
        Some(UserState::Inactive) => " AND NOT active",
        Some(UserState::Staff) => " AND staff_role <> 'none'",
    });
    if !text.is_empty() {
        let text = text.to_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        let pattern = format!("%{text}%");
        query.sql(" AND (username_folded LIKE ").bind(pattern.as_str()).sql(" ESCAPE '\\'");
        query.sql(" OR lower(display_name) LIKE ").bind(pattern.as_str()).sql(" ESCAPE '\\'");
        query.sql(" OR email_folded LIKE ").bind(pattern).sql(" ESCAPE '\\')");
    }
}

/// Accounts by username, those that wait the oldest first; and how many there are.
pub fn list(
    reader: &mut Reader<'_>,
    (state, text): (Option<UserState>, &str),
    (limit, offset): (i64, i64),
) -> Result<(Vec<ManagedUser>, i64)> {
    let mut query = Query::new("SELECT ");
    query.sql(COLUMNS).sql(MORE);
    narrow(&mut query, state, text);
    query.sql(match state {
        Some(UserState::Waiting) => " ORDER BY created_on, id LIMIT ",
        _ => " ORDER BY username_folded LIMIT ",
    });
    query.bind(limit).sql(" OFFSET ").bind(offset);
    let users = reader.query(&query)?.iter().map(managed).collect::<Result<_>>()?;
    let mut query = Query::new("SELECT count(*) AS n FROM user_account WHERE deleted_on IS NULL");
    narrow(&mut query, state, text);
    let size = reader.query_one(&query)?.map_or(Ok(0), |row| row.get("n"))?;
    Ok((users, size))
}
