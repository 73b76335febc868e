//! Branch restrictions, and who is exempt from them.

use model::{
    BranchMatch, BranchRestriction, Error, GroupId, RepositoryId, RestrictionKind, Result, Subject, UserId,
    WorkspaceId,
};
use uuid::Uuid;

use crate::{OrConflict, Query, Reader, Row, Writer, params};

const COLUMNS: &str = "SELECT id, repository_id, kind, match_kind, matched, created_on FROM branch_restriction WHERE repository_id = ";

/// A restriction as it binds one who pushes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its number.
    pub id: i64,
    /// What is restricted.
    pub kind: RestrictionKind,
    /// On which branches.
    pub branches: BranchMatch,
    /// Whether the one who pushes is exempt.
    pub exempt: bool,
}

/// Which restrictions to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this kind.
    pub kind: Option<RestrictionKind>,
    /// With exactly this pattern.
    pub pattern: Option<String>,
}

fn branches(row: &Row) -> Result<BranchMatch> {
    let kind: String = row.get("match_kind")?;
    match kind.as_str() {
        "glob" => row.parse("matched").map(BranchMatch::Glob),
        "branching_model" => row.parse("matched").map(BranchMatch::BranchingModel),
        _ => Err(Error::internal("a branch restriction that matches in no known way")),
    }
}

fn with_exempt(reader: &mut Reader<'_>, rows: &[Row]) -> Result<Vec<BranchRestriction>> {
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        found.push(BranchRestriction {
            id: row.get("id")?,
            repository: row.get("repository_id")?,
            kind: row.parse("kind")?,
            branches: branches(row)?,
            users: Vec::new(),
            groups: Vec::new(),
            created_on: row.get("created_on")?,
        });
    }
    if found.is_empty() {
        return Ok(found);
    }
    let mut query = Query::new(
        "SELECT restriction_id, subject_kind, subject_id FROM branch_restriction_exempt WHERE restriction_id IN ",
    );
    query.bind_list(found.iter().map(|one| one.id)).sql(" ORDER BY subject_id");
    for row in reader.query(&query)? {
        let (of, kind, subject): (i64, String, Uuid) =
            (row.get("restriction_id")?, row.get("subject_kind")?, row.get("subject_id")?);
        let Some(one) = found.iter_mut().find(|one| one.id == of) else { continue };
        match kind.as_str() {
            "user" => one.users.push(UserId::from_uuid(subject)),
            _ => one.groups.push(GroupId::from_uuid(subject)),
        }
    }
    Ok(found)
}

fn filtered(query: &mut Query, repository: RepositoryId, filter: &Filter) {
    query.bind(repository);
    if let Some(kind) = filter.kind {
        query.sql(" AND kind = ").bind(kind.as_str());
    }
    if let Some(pattern) = &filter.pattern {
        query.sql(" AND match_kind = 'glob' AND matched = ").bind(pattern.as_str());
    }
}

/// A repository's restrictions, the oldest first.
pub fn list(
    reader: &mut Reader<'_>,
    repository: RepositoryId,
    filter: &Filter,
    limit: i64,
    offset: i64,
) -> Result<Vec<BranchRestriction>> {
    let mut query = Query::new(COLUMNS);
    filtered(&mut query, repository, filter);
    query.sql(" ORDER BY id LIMIT ").bind(limit).sql(" OFFSET ").bind(offset);
    let rows = reader.query(&query)?;
    with_exempt(reader, &rows)
}

/// How many there are.
pub fn count(reader: &mut Reader<'_>, repository: RepositoryId, filter: &Filter) -> Result<i64> {
    let mut query = Query::new("SELECT count(*) AS n FROM branch_restriction WHERE repository_id = ");
    filtered(&mut query, repository, filter);
    reader.query(&query)?.first().map_or(Ok(0), Row::only)
}

/// One of a repository's restrictions.
pub fn find(reader: &mut Reader<'_>, repository: RepositoryId, id: i64) -> Result<Option<BranchRestriction>> {
    let mut query = Query::new(COLUMNS);
    query.bind(repository).sql(" AND id = ").bind(id);
    let rows = reader.query(&query)?;
    Ok(with_exempt(reader, &rows)?.pop())
}

/// What binds who pushes to a repository in this workspace. Groups of a workspace that it was moved away from exempt
/// nobody.
pub fn rules(
    reader: &mut Reader<'_>,
    repository: RepositoryId,
    workspace: WorkspaceId,
    user: Option<UserId>,
) -> Result<Vec<Rule>> {
    let rows = reader.all(
        "SELECT r.id, r.kind, r.match_kind, r.matched, EXISTS (
             SELECT 1 FROM branch_restriction_exempt e WHERE e.restriction_id = r.id AND (
                 (e.subject_kind = 'user' AND e.subject_id = $3) OR
                 (e.subject_kind = 'group' AND e.subject_id IN (
                     SELECT m.group_id FROM group_member m JOIN user_group g ON g.id = m.group_id
                     WHERE m.user_id = $3 AND g.workspace_id = $2)))) AS exempt
         FROM branch_restriction r WHERE r.repository_id = $1 ORDER BY r.id",
        params![repository, workspace, user.map_or_else(Uuid::nil, UserId::uuid)],
    )?;
    let rule = |row: &Row| {
        let (id, kind, exempt) = (row.get("id")?, row.parse("kind")?, row.get("exempt")?);
        Ok(Rule { id, kind, branches: branches(row)?, exempt })
    };
    rows.iter().map(rule).collect()
}

/// The next restriction's number.
pub fn next_id(writer: &mut Writer<'_>) -> Result<i64> {
    let sql = "UPDATE branch_restriction_number SET value = value + 1 RETURNING value";
    let row = writer.returning(sql, &[])?;
    row.first().ok_or_else(|| Error::internal("the number of the last branch restriction is missing"))?.only()
}

fn taken(one: &BranchRestriction) -> String {
    format!(
        "there is a restriction of the kind `{}` on `{}` already: change that one",
        one.kind,
        one.branches.text()
    )
}

/// Makes a restriction.
///
/// # Errors
/// `Conflict` where the repository has one of the same kind on the same branches.
pub fn insert(writer: &mut Writer<'_>, one: &BranchRestriction) -> Result<()> {
    writer
        .execute(
            "INSERT INTO branch_restriction (id, repository_id, kind, match_kind, matched, created_on)
             VALUES ($1, $2, $3, $4, $5, $6)",
            params![
                one.id,
                one.repository,
                one.kind.as_str(),
                one.branches.kind(),
                one.branches.text(),
                one.created_on,
            ],
        )
        .or_conflict(taken(one))?;
    exempt(writer, one)
}

/// Writes a restriction back.
///
/// # Errors
/// `Conflict` where the repository has another one of the same kind on the same branches.
pub fn update(writer: &mut Writer<'_>, one: &BranchRestriction) -> Result<()> {
    writer
        .execute(
            "UPDATE branch_restriction SET kind = $3, match_kind = $4, matched = $5
             WHERE id = $1 AND repository_id = $2",
            params![one.id, one.repository, one.kind.as_str(), one.branches.kind(), one.branches.text()],
        )
        .or_conflict(taken(one))?;
    writer.execute("DELETE FROM branch_restriction_exempt WHERE restriction_id = $1", params![one.id])?;
    exempt(writer, one)
}

fn exempt(writer: &mut Writer<'_>, one: &BranchRestriction) -> Result<()> {
    let users = one.users.iter().map(|user| Subject::User(*user));
    let groups = one.groups.iter().map(|group| Subject::Group(*group));
    for subject in users.chain(groups) {
        writer.execute(
            "INSERT INTO branch_restriction_exempt (restriction_id, subject_kind, subject_id) VALUES ($1, $2, $3)
             ON CONFLICT (restriction_id, subject_kind, subject_id) DO NOTHING",
            params![one.id, subject.kind(), subject.uuid()],
        )?;
    }
    Ok(())
}

/// Removes a restriction.
pub fn remove(writer: &mut Writer<'_>, id: i64) -> Result<()> {
    writer.execute("DELETE FROM branch_restriction_exempt WHERE restriction_id = $1", params![id])?;
    writer.execute("DELETE FROM branch_restriction WHERE id = $1", params![id]).map(drop)
}

/// Removes all that a repository had.
pub(crate) fn forget(writer: &mut Writer<'_>, repository: RepositoryId) -> Result<()> {
    for sql in [
        "DELETE FROM branch_restriction_exempt WHERE restriction_id IN (
             SELECT id FROM branch_restriction WHERE repository_id = $1)",
        "DELETE FROM branch_restriction WHERE repository_id = $1",
        "DELETE FROM branching_model WHERE repository_id = $1",
    ] {
        writer.execute(sql, params![repository])?;
    }
    Ok(())
}

/// Ends every exemption of a user, or of a group.
pub(crate) fn forget_subject(writer: &mut Writer<'_>, subject: Subject) -> Result<()> {
    let sql = "DELETE FROM branch_restriction_exempt WHERE subject_kind = $1 AND subject_id = $2";
    writer.execute(sql, params![subject.kind(), subject.uuid()]).map(drop)
}

/// Ends every exemption of a user in a workspace's repositories.
pub(crate) fn forget_member(writer: &mut Writer<'_>, workspace: WorkspaceId, user: UserId) -> Result<()> {
    let sql = "DELETE FROM branch_restriction_exempt
         WHERE subject_kind = 'user' AND subject_id = $2 AND restriction_id IN (
             SELECT r.id FROM branch_restriction r JOIN repository p ON p.id = r.repository_id
             WHERE p.workspace_id = $1)";
    writer.execute(sql, params![workspace, user]).map(drop)
}
