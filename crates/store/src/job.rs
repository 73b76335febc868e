//! Background jobs: queued once for each thing, leased by whoever works on them, tried again when they fail or when
//! their worker is gone.

use model::{JobId, Result};
use serde_json::Value as Json;

use crate::bookkeeping::{Bookkeeping, Table};
use crate::engine::Query;
use crate::params;
use crate::reader::Reader;

/// The first wait after a failure, which doubles each time, and the longest, in seconds.
const BACKOFF: i64 = 10;
const LONGEST_BACKOFF: i64 = 3600;

/// A job that was claimed.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What kind of work.
    pub kind: String,
    /// On what.
    pub payload: Json,
    /// How often it was begun, this time included.
    pub attempts: i64,
}

/// Queues work of a kind on what `key` names, to begin after `delay_seconds`. Work that waits already is not queued
/// twice; work that runs is run once more. From inside a write: `enqueue(&mut writer.bookkeeping(), …)`.
pub fn enqueue(
    books: &mut Bookkeeping<'_>,
    kind: &str,
    key: &str,
    payload: Json,
    delay_seconds: i64,
) -> Result<()> {
    let id = JobId::new(books.random());
    let run_after = books.now().plus_seconds(delay_seconds);
    books.execute(
        Table::Job,
        "INSERT INTO job (id, kind, key, payload, run_after, attempts, again) VALUES ($1, $2, $3, $4, $5, 0, FALSE)
         ON CONFLICT (kind, key) DO UPDATE SET again = TRUE, payload = excluded.payload
             WHERE job.leased_by IS NOT NULL",
        params![id, kind, key, payload, run_after],
    )?;
    Ok(())
}

/// Takes a job of one of these kinds that is due, for at most `lease_seconds`: after that anybody may take it.
pub fn claim(
    books: &mut Bookkeeping<'_>,
    holder: &str,
    lease_seconds: i64,
    kinds: &[&str],
) -> Result<Option<Job>> {
    let now = books.now();
    let mut query = Query::new("UPDATE job SET attempts = attempts + 1, leased_by = ");
    query.bind(holder).sql(", lease_until = ").bind(now.plus_seconds(lease_seconds));
    query.sql(" WHERE id = (SELECT id FROM job WHERE run_after <= ").bind(now);
    query.sql(" AND kind IN ").bind_list(kinds.iter().copied());
    query
        .sql(" AND (lease_until IS NULL OR lease_until < ")
        .bind(now)
        .sql(") ORDER BY run_after, id LIMIT 1");
    query.sql(books.dialect().skip_locked()).sql(") RETURNING id, kind, payload, attempts");
    let rows = books.returning_query(Table::Job, &query)?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(Some(Job {
        id: row.get("id")?,
        kind: row.get("kind")?,
        payload: row.get("payload")?,
        attempts: row.get("attempts")?,
    }))
}

/// Takes every job from whoever had it, so that it can be claimed at once: for the process that has just become the only
/// one.
pub fn release(books: &mut Bookkeeping<'_>) -> Result<u64> {
    books.execute(
        Table::Job,
        "UPDATE job SET leased_by = NULL, lease_until = NULL WHERE leased_by IS NOT NULL",
        &[],
    )
}

/// The job is done. It goes, unless it was asked for again while it ran.
pub fn finish(books: &mut Bookkeeping<'_>, id: JobId) -> Result<()> {
    if books.execute(Table::Job, "DELETE FROM job WHERE id = $1 AND NOT again", params![id])? == 0 {
        let now = books.now();
        books.execute(
            Table::Job,
            "UPDATE job SET again = FALSE, attempts = 0, leased_by = NULL, lease_until = NULL, last_error = NULL,
                 run_after = $2 WHERE id = $1",
            params![id, now],
        )?;
    }
    Ok(())
}

/// The job failed. It is tried again after a while that grows with each attempt.
pub fn fail(books: &mut Bookkeeping<'_>, id: JobId, error: &str) -> Result<()> {
    let Some(row) = books.one("SELECT attempts FROM job WHERE id = $1", params![id])? else { return Ok(()) };
    let doublings = row.get::<i64>("attempts")?.clamp(1, 16) - 1;
    let wait = (BACKOFF << doublings).min(LONGEST_BACKOFF);
    let run_after = books.now().plus_seconds(wait);
    let error: String = error.chars().filter(|c| *c != '\0').take(1000).collect();
    books.execute(
        Table::Job,
        "UPDATE job SET leased_by = NULL, lease_until = NULL, again = FALSE, run_after = $2, last_error = $3
         WHERE id = $1",
        params![id, run_after, error],
    )?;
    Ok(())
}

/// How many jobs of a kind wait or run.
pub fn waiting_of(reader: &mut Reader<'_>, kind: &str) -> Result<i64> {
    reader.count("SELECT count(*) FROM job WHERE kind = $1", params![kind])
}

/// How many jobs wait or run, and how many of them have failed at least once: for the health page.
pub fn waiting(reader: &mut Reader<'_>) -> Result<(i64, i64)> {
    let all = reader.count("SELECT count(*) FROM job", &[])?;
    let failed = reader.count("SELECT count(*) FROM job WHERE last_error IS NOT NULL", &[])?;
    Ok((all, failed))
}
