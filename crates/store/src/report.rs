//! What analyses say of commits, and their annotations.

use model::report::{DataType, ReportData, Severity};
use model::{Annotation, Error, ObjectId, Report, ReportId, RepositoryId, Result};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::{OrConflict, Query, Reader, Row, Writer, params};

const COLUMNS: &str = "SELECT id, repository_id, commit_hash, external_id, title, details, reporter, tool, link,
     remote_link_enabled, logo_url, report_type, result, data, setter, created_on, updated_on FROM commit_report";

const ANNOTATION: &str =
    "SELECT id, report_id, external_id, annotation_type, summary, details, path, line, severity,
     result, link, created_on, updated_on FROM commit_report_annotation WHERE report_id = ";

/// The gravest first, then by place. What fits an index would be nothing: a report has a thousand at most.
const IN_ORDER: &str = " ORDER BY CASE WHEN result IN ('PASSED', 'SKIPPED', 'IGNORED') THEN 1 ELSE 0 END,
     CASE severity WHEN 'CRITICAL' THEN 0 WHEN 'HIGH' THEN 1 WHEN 'MEDIUM' THEN 2 WHEN 'LOW' THEN 3 ELSE 4 END,
     path, line, external_id";

/// So many open findings of one severity in one report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenFindings {
    /// The report's heading.
    pub title: String,
    /// The tool, in small letters.
    pub tool: Option<String>,
    /// How grave they are.
    pub severity: Severity,
    /// How many.
    pub count: i64,
}

fn data_to_json(data: &[ReportData]) -> Json {
    let kept =
        |one: &ReportData| json!({ "title": one.title, "type": one.kind.as_str(), "value": one.value });
    data.iter().map(kept).collect()
}

fn data_from_json(json: &Json) -> Option<Vec<ReportData>> {
    let figure = |one: &Json| {
        Some(ReportData {
            title: one.get("title")?.as_str()?.to_owned(),
            kind: one.get("type")?.as_str()?.parse::<DataType>().ok()?,
            value: one.get("value")?.clone(),
        })
    };
    json.as_array()?.iter().map(figure).collect()
}

fn from_row(row: &Row) -> Result<Report> {
    let data = data_from_json(&row.get("data")?);
    Ok(Report {
        id: row.get("id")?,
        repository: row.get("repository_id")?,
        commit: row.parse("commit_hash")?,
        external_id: row.get("external_id")?,
        title: row.get("title")?,
        details: row.get("details")?,
        reporter: row.get("reporter")?,
        tool: row.get("tool")?,
        link: row.get("link")?,
        remote_link_enabled: row.get("remote_link_enabled")?,
        logo_url: row.get("logo_url")?,
        report_type: row.parse_some("report_type")?,
        result: row.parse_some("result")?,
        data: data.ok_or_else(|| Error::internal("a report whose figures cannot be read"))?,
        setter: row.get("setter")?,
        created_on: row.get("created_on")?,
        updated_on: row.get("updated_on")?,
    })
}

fn annotation(row: &Row) -> Result<Annotation> {
    Ok(Annotation {
        id: row.get("id")?,
        report: row.get("report_id")?,
        external_id: row.get("external_id")?,
        annotation_type: row.parse("annotation_type")?,
        summary: row.get("summary")?,
        details: row.get("details")?,
        path: row.get("path")?,
        line: row.get("line")?,
        severity: row.parse_some("severity")?,
        result: row.parse_some("result")?,
        link: row.get("link")?,
        created_on: row.get("created_on")?,
        updated_on: row.get("updated_on")?,
    })
}

fn of_commit(query: &mut Query, repository: RepositoryId, commit: &ObjectId) {
    query.sql(" WHERE repository_id = ").bind(repository);
    query.sql(" AND commit_hash = ").bind(commit.as_str());
}

/// A commit's reports, the oldest first.
pub fn list(
    reader: &mut Reader<'_>,
    repository: RepositoryId,
    commit: &ObjectId,
    (limit, offset): (i64, i64),
) -> Result<Vec<Report>> {
    let mut query = Query::new(COLUMNS);
    of_commit(&mut query, repository, commit);
    query.sql(" ORDER BY created_on, id LIMIT ").bind(limit).sql(" OFFSET ").bind(offset);
    reader.query(&query)?.iter().map(from_row).collect()
}

/// How many reports a commit has.
pub fn count(reader: &mut Reader<'_>, repository: RepositoryId, commit: &ObjectId) -> Result<i64> {
    let sql = "SELECT count(*) AS n FROM commit_report WHERE repository_id = $1 AND commit_hash = $2";
    reader.count(sql, params![repository, commit.as_str()])
}

/// A commit's report, by what its maker calls it or by its id.
pub fn find(
    reader: &mut Reader<'_>,
    repository: RepositoryId,
    commit: &ObjectId,
    name: &str,
) -> Result<Option<Report>> {
    let mut query = Query::new(COLUMNS);
    of_commit(&mut query, repository, commit);
    named(&mut query, name);
    reader.query_one(&query)?.as_ref().map(from_row).transpose()
}

/// What its maker calls it comes before an id: a name that looks like another's id leads to its own.
fn named(query: &mut Query, name: &str) {
    let id = name.parse::<ReportId>().map_or_else(|_| Uuid::nil(), ReportId::uuid);
    query.sql(" AND (external_id = ").bind(name).sql(" OR id = ").bind(id);
    query.sql(") ORDER BY CASE WHEN external_id = ").bind(name).sql(" THEN 0 ELSE 1 END LIMIT 1");
}

/// Adds a report.
///
/// # Errors
/// `Conflict` where the commit has one of this name.
pub fn insert(writer: &mut Writer<'_>, one: &Report) -> Result<()> {
    writer
        .execute(
            "INSERT INTO commit_report (id, repository_id, commit_hash, external_id, title, details, reporter, tool, link,
                 remote_link_enabled, logo_url, report_type, result, data, setter, created_on, updated_on)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
            params![
                one.id,
                one.repository,
                one.commit.as_str(),
                &one.external_id,
                &one.title,
                one.details.as_deref(),
                one.reporter.as_deref(),
                one.tool.as_deref(),
                one.link.as_deref(),
                one.remote_link_enabled,
                one.logo_url.as_deref(),
                one.report_type.map(|word| word.as_str()),
                one.result.map(|word| word.as_str()),
                data_to_json(&one.data),
                &one.setter,
                one.created_on,
                one.updated_on,
            ],
        )
        .or_conflict(format!("the commit has a report `{}` already: send it again", one.external_id))
        .map(drop)
}

/// Writes a report back.
pub fn update(writer: &mut Writer<'_>, one: &Report) -> Result<()> {
    writer
        .execute(
            "UPDATE commit_report SET title = $2, details = $3, reporter = $4, tool = $5, link = $6,
                 remote_link_enabled = $7, logo_url = $8, report_type = $9, result = $10, data = $11, setter = $12,
                 updated_on = $13
             WHERE id = $1",
            params![
                one.id,
                &one.title,
                one.details.as_deref(),
                one.reporter.as_deref(),
                one.tool.as_deref(),
                one.link.as_deref(),
                one.remote_link_enabled,
                one.logo_url.as_deref(),
                one.report_type.map(|word| word.as_str()),
                one.result.map(|word| word.as_str()),
                data_to_json(&one.data),
                &one.setter,
                one.updated_on,
            ],
        )
        .map(drop)
}

/// Removes a report with its annotations.
pub fn remove(writer: &mut Writer<'_>, id: ReportId) -> Result<()> {
    remove_annotations(writer, id)?;
    writer.execute("DELETE FROM commit_report WHERE id = $1", params![id]).map(drop)
}

/// A report's annotations, open ones first and the gravest of them.
pub fn annotations(
    reader: &mut Reader<'_>,
    report: ReportId,
    (limit, offset): (i64, i64),
) -> Result<Vec<Annotation>> {
    let mut query = Query::new(ANNOTATION);
    query.bind(report).sql(IN_ORDER).sql(" LIMIT ").bind(limit).sql(" OFFSET ").bind(offset);
    reader.query(&query)?.iter().map(annotation).collect()
}

/// How many annotations a report has.
pub fn count_annotations(reader: &mut Reader<'_>, report: ReportId) -> Result<i64> {
    reader.count("SELECT count(*) AS n FROM commit_report_annotation WHERE report_id = $1", params![report])
}

/// A report's annotation, by what its maker calls it or by its id.
pub fn find_annotation(reader: &mut Reader<'_>, report: ReportId, name: &str) -> Result<Option<Annotation>> {
    let mut query = Query::new(ANNOTATION);
    query.bind(report);
    named(&mut query, name);
    reader.query_one(&query)?.as_ref().map(annotation).transpose()
}

/// Adds an annotation, or overwrites the report's of the same name, which keeps its id and when it was made. Answers it
/// as it is now.
pub fn put_annotation(writer: &mut Writer<'_>, one: &Annotation) -> Result<Annotation> {
    let rows = writer.returning(
        "INSERT INTO commit_report_annotation (id, report_id, external_id, annotation_type, summary, details, path, line,
             severity, result, link, created_on, updated_on)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
         ON CONFLICT (report_id, external_id) DO UPDATE SET annotation_type = $4, summary = $5, details = $6, path = $7,
             line = $8, severity = $9, result = $10, link = $11, updated_on = $13
         RETURNING id, report_id, external_id, annotation_type, summary, details, path, line, severity, result, link,
             created_on, updated_on",
        params![
            one.id,
            one.report,
            &one.external_id,
            one.annotation_type.as_str(),
            &one.summary,
            one.details.as_deref(),
            one.path.as_deref(),
            one.line,
            one.severity.map(|word| word.as_str()),
            one.result.map(|word| word.as_str()),
            one.link.as_deref(),
            one.created_on,
            one.updated_on,
        ],
    )?;
    rows.first().ok_or_else(|| Error::internal("an annotation that was not written")).and_then(annotation)
}

/// Removes an annotation.
pub fn remove_annotation(writer: &mut Writer<'_>, one: &Annotation) -> Result<()> {
    writer.execute("DELETE FROM commit_report_annotation WHERE id = $1", params![one.id]).map(drop)
}

/// Removes a report's annotations.
pub fn remove_annotations(writer: &mut Writer<'_>, report: ReportId) -> Result<()> {
    writer.execute("DELETE FROM commit_report_annotation WHERE report_id = $1", params![report]).map(drop)
}

/// How many findings of each severity are open, report by report.
pub fn open_findings(
    reader: &mut Reader<'_>,
    repository: RepositoryId,
    commit: &ObjectId,
) -> Result<Vec<OpenFindings>> {
    let rows = reader.all(
        "SELECT r.title, r.tool, a.severity, count(*) AS n
         FROM commit_report r JOIN commit_report_annotation a ON a.report_id = r.id
         WHERE r.repository_id = $1 AND r.commit_hash = $2 AND a.severity IS NOT NULL
             AND (a.result IS NULL OR a.result = 'FAILED')
         GROUP BY r.id, r.title, r.tool, a.severity ORDER BY r.title, r.id, a.severity",
        params![repository, commit.as_str()],
    )?;
    let found = |row: &Row| {
        let (title, tool) = (row.get("title")?, row.get("tool")?);
        Ok(OpenFindings { title, tool, severity: row.parse("severity")?, count: row.get("n")? })
    };
    rows.iter().map(found).collect()
}

/// Removes all that a repository had.
pub(crate) fn forget(writer: &mut Writer<'_>, repository: RepositoryId) -> Result<()> {
    for sql in [
        "DELETE FROM commit_report_annotation WHERE report_id IN (
             SELECT id FROM commit_report WHERE repository_id = $1)",
        "DELETE FROM commit_report WHERE repository_id = $1",
    ] {
        writer.execute(sql, params![repository])?;
    }
    Ok(())
}
