//! Accounts.

use model::{Email, Error, Result, StaffRole, Subject, Timestamp, User, UserId, Username};

use crate::{Query, Reader, Row, Value, Writer};

pub(crate) const COLUMNS: &str = "id, username, email, display_name, active, staff_role, second_step, approved, \
     created_on";

pub(crate) fn from_row(row: &Row) -> Result<User> {
    Ok(User {
        id: UserId::from_uuid(row.get("id")?),
        username: row.parse("username")?,
        email: row.parse("email")?,
        display_name: row.parse("display_name")?,
        active: row.get("active")?,
        staff_role: row.parse("staff_role")?,
        second_step: row.get("second_step")?,
        approved: row.get("approved")?,
        created_on: row.get("created_on")?,
    })
}

fn one(reader: &mut Reader<'_>, condition: &'static str, value: Value) -> Result<Option<User>> {
    let mut query = Query::new("SELECT ");
    query
        .sql(COLUMNS)
        .sql(" FROM user_account WHERE deleted_on IS NULL AND ")
        .sql(condition)
        .sql(" = ")
        .bind(value);
    reader.query_one(&query)?.as_ref().map(from_row).transpose()
}

/// By id.
pub fn find(reader: &mut Reader<'_>, id: UserId) -> Result<Option<User>> {
    one(reader, "id", id.into())
}

/// By username, without regard to case.
pub fn find_by_username(reader: &mut Reader<'_>, username: &Username) -> Result<Option<User>> {
    one(reader, "username_folded", username.folded().into())
}

/// By e-mail address, without regard to case.
pub fn find_by_email(reader: &mut Reader<'_>, email: &Email) -> Result<Option<User>> {
    one(reader, "email_folded", email.folded().into())
}

/// Whether a username is, or was, somebody's.
pub fn is_given(reader: &mut Reader<'_>, username: &Username) -> Result<bool> {
    let sql = "SELECT 1 AS one FROM user_account WHERE username_folded = $1";
    Ok(reader.one(sql, &[username.folded().into()])?.is_some())
}

/// The password's hash in PHC form, where the account has a password.
pub fn password_hash(reader: &mut Reader<'_>, id: UserId) -> Result<Option<String>> {
    let row = reader
        .one("SELECT password_hash FROM user_account WHERE id = $1 AND deleted_on IS NULL", &[id.into()])?;
    row.map(|row| row.get("password_hash")).transpose().map(Option::flatten)
}

/// How many active administrators there are: the last one is not removed.
pub fn active_administrators(reader: &mut Reader<'_>) -> Result<i64> {
    reader.count(
        "SELECT count(*) AS n FROM user_account
         WHERE deleted_on IS NULL AND active AND staff_role = 'administrator'",
        &[],
    )
}

/// Active administrators, the oldest first: whom to tell of what they alone can do.
pub fn administrators(reader: &mut Reader<'_>, limit: i64) -> Result<Vec<User>> {
    let mut query = Query::new("SELECT ");
    query.sql(COLUMNS).sql(" FROM user_account WHERE deleted_on IS NULL AND active AND staff_role = ");
    query.bind(StaffRole::Administrator.as_str()).sql(" ORDER BY created_on, id LIMIT ").bind(limit);
    reader.query(&query)?.iter().map(from_row).collect()
}

/// Adds an account. A username that was ever given, or a living account's address, is a conflict.
pub fn insert(writer: &mut Writer<'_>, user: &User, password_hash: Option<&str>) -> Result<()> {
    // Asked first, because the two engines name a broken constraint differently.
    let taken = writer.one(
        "SELECT 1 AS one FROM user_account WHERE username_folded = $1",
        &[user.username.folded().into()],
    )?;
    if taken.is_some() {
        return Err(Error::Conflict(format!(
            "the username `{}` is, or was, somebody's: choose another",
            user.username
        )));
    }
    email_is_free(writer, user)?;
    writer
        .execute(
            "INSERT INTO user_account (id, username, username_folded, email, email_folded, display_name, active,
                 staff_role, password_hash, second_step, approved, created_on)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            &[
                user.id.into(),
                user.username.as_str().into(),
                user.username.folded().into(),
                user.email.as_str().into(),
                user.email.folded().into(),
                user.display_name.as_str().into(),
                user.active.into(),
                user.staff_role.as_str().into(),
                password_hash.into(),
                user.second_step.into(),
                user.approved.into(),
                user.created_on.into(),
            ],
        )
        .map(drop)
}

fn email_is_free(writer: &mut Writer<'_>, user: &User) -> Result<()> {
    let taken = writer.one(
        "SELECT 1 AS one FROM user_account WHERE email_folded = $1 AND id <> $2",
        &[user.email.folded().into(), user.id.into()],
    )?;
    if taken.is_some() {
        return Err(Error::Conflict(format!("the address `{}` belongs to another account", user.email)));
    }
    Ok(())
}

/// Writes back what can change about an account.
pub fn update(writer: &mut Writer<'_>, user: &User) -> Result<()> {
    email_is_free(writer, user)?;
    writer
        .execute(
            "UPDATE user_account SET email = $2, email_folded = $3, display_name = $4, active = $5, staff_role = $6,
                 email_verified_on = CASE WHEN email_folded = $3 THEN email_verified_on END
             WHERE id = $1 AND deleted_on IS NULL",
            &[
                user.id.into(),
                user.email.as_str().into(),
                user.email.folded().into(),
                user.display_name.as_str().into(),
                user.active.into(),
                user.staff_role.as_str().into(),
            ],
        )
        .map(drop)
}

/// Approves an account, or takes the approval back; whose word it was stays known.
pub fn set_approved(writer: &mut Writer<'_>, id: UserId, approved: bool) -> Result<()> {
    let (by, now) = (writer.origin().actor.as_str(), writer.origin().time);
    writer
        .execute(
            "UPDATE user_account SET approved = $2, approval_by = $3, approval_on = $4
             WHERE id = $1 AND deleted_on IS NULL",
            &[id.into(), approved.into(), by.into(), now.into()],
        )
        .map(drop)
}

/// Notes that somebody signed in to it.
pub fn signed_in(writer: &mut Writer<'_>, id: UserId) -> Result<()> {
    let now = writer.origin().time;
    writer
        .execute("UPDATE user_account SET signed_in_on = $2 WHERE id = $1", &[id.into(), now.into()])
        .map(drop)
}

/// Sets or clears the password's hash.
pub fn set_password_hash(writer: &mut Writer<'_>, id: UserId, hash: Option<&str>) -> Result<()> {
    writer
        .execute("UPDATE user_account SET password_hash = $2 WHERE id = $1", &[id.into(), hash.into()])
        .map(drop)
}

/// Leaves a tombstone that keeps the username, and nothing else that says who it was.
pub fn delete(writer: &mut Writer<'_>, id: UserId, now: Timestamp) -> Result<()> {
    crate::session::end_all(writer, id)?;
    crate::second_step::remove_all(writer, id)?;
    crate::identity_provider::unlink_all(writer, id)?;
    crate::branch_restriction::forget_subject(writer, Subject::User(id))?;
    writer.execute("DELETE FROM group_member WHERE user_id = $1", &[id.into()])?;
    writer
        .execute("DELETE FROM access_grant WHERE subject_kind = 'user' AND subject_id = $1", &[id.into()])?;
    writer.execute(
        "UPDATE credential SET revoked_on = $2 WHERE user_id = $1 AND revoked_on IS NULL",
        &[id.into(), now.into()],
    )?;
    writer
        .execute(
            "UPDATE user_account SET deleted_on = $2, active = false, staff_role = $3, password_hash = NULL,
                 email = '', email_folded = NULL, approval_by = NULL, approval_on = NULL, signed_in_on = NULL
             WHERE id = $1",
            &[id.into(), now.into(), StaffRole::None.as_str().into()],
        )
        .map(drop)
}
