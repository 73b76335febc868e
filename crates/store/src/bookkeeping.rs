//! Bookkeeping: changes to neither access nor content, without a permit and without an event of their own.
//!
//! It is typed to a list of tables. What stands in the list is a way around the record, so each has its reason.

use std::ops::{Deref, DerefMut};

use model::{Error, Result};

use crate::engine::{Query, Row, Value};
use crate::reader::Reader;

/// The tables that bookkeeping may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Background work that waits or runs.
    Job,
    /// Who does what only one process may do.
    Lease,
    /// What was used, by day.
    DailyCount,
    /// Refusals of the unauthenticated, by minute.
    RefusalCount,
    /// The time of a credential's last use, and of which warning its people had: one column each, by one statement each.
    CredentialUse,
    /// A session's last use, its change of secret by age, its end by age: three statements.
    SessionUse,
    /// The last use of a second step, which also lets no code be used twice: two statements.
    SecondStepUse,
    /// Recovery codes that were used: one statement.
    RecoveryCodeUse,
    /// Steps that wait for the next one, taken once.
    Challenge,
    /// The size of a repository on disk: one column of one table, by one statement.
    RepositorySize,
    /// That an event's indexes hold it: one column that nothing is told by, by one statement.
    EventFindable,
    /// Events on their way into the ledger; each was recorded with its own write.
    LedgerPending,
    /// The ledger.
    LedgerEntry,
    /// The ledger's right edge.
    LedgerFrontier,
    /// The ledger's signed checkpoints.
    LedgerCheckpoint,
    /// The roots of the ledger's full tiles: made of the ledger's leaves, and made again from them.
    LedgerTile,
    /// How far receivers of the audit trail have been told.
    AuditSinkState,
    /// Alerts that are too old: one statement. Their events stay.
    Alert,
    /// How far the trail was looked through for alerts.
    AlertState,
    /// Until when a runner has a step: renewed with each sign of life, and touched by what it writes of the step.
    StepLease,
    /// When a runner was last heard of, and what it told of itself.
    RunnerContact,
    /// What a step leaves to later ones, while it has its lease.
    StepArtifact,
    /// What caches of pipelines keep.
    PipelineCache,
    /// What pushes have started, where nothing can ask for it again: one statement.
    PipelineStarted,
    /// How many test cases of a step ended how, as its runner tells while it has the lease.
    TestReport,
    /// Those test cases.
    TestCase,
    /// Wrapped keys: they come before the first event, whose code is made with one.
    DataKey,
    /// Wrapped signing keys.
    SigningKey,
}

/// One of two statements that bookkeeping may run on credentials.
pub(crate) const NOTE_USE: &str =
    "UPDATE credential SET last_used_on = $2 WHERE id = $1 AND (last_used_on IS NULL OR last_used_on < $2)";

/// The other: that people were told of its end.
pub(crate) const NOTE_WARNED: &str = "UPDATE credential SET warned_days = $2 WHERE id = $1";

/// The one statement that bookkeeping may run on repositories.
pub(crate) const NOTE_SIZE: &str = "UPDATE repository SET size_bytes = $2 WHERE id = $1";

impl Table {
    /// Every table in the list.
    pub const ALL: &'static [Self] = &[
        Self::Job,
        Self::Lease,
        Self::DailyCount,
        Self::RefusalCount,
        Self::CredentialUse,
        Self::SessionUse,
        Self::SecondStepUse,
        Self::RecoveryCodeUse,
        Self::Challenge,
        Self::RepositorySize,
        Self::EventFindable,
        Self::LedgerPending,
        Self::LedgerEntry,
        Self::LedgerFrontier,
        Self::LedgerCheckpoint,
        Self::LedgerTile,
        Self::AuditSinkState,
        Self::Alert,
        Self::AlertState,
        Self::StepLease,
        Self::RunnerContact,
        Self::StepArtifact,
        Self::PipelineCache,
        Self::PipelineStarted,
        Self::TestReport,
        Self::TestCase,
        Self::DataKey,
        Self::SigningKey,
    ];

    /// Its name in SQL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::Lease => "lease",
            Self::DailyCount => "daily_count",
            Self::RefusalCount => "refusal_count",
            Self::CredentialUse => "credential",
            Self::SessionUse => "session",
            Self::SecondStepUse => "second_step",
            Self::RecoveryCodeUse => "recovery_code",
            Self::Challenge => "challenge",
            Self::RepositorySize => "repository",
            Self::EventFindable => "audit_event",
            Self::LedgerPending => "ledger_pending",
            Self::LedgerEntry => "ledger_entry",
            Self::LedgerFrontier => "ledger_frontier",
            Self::LedgerCheckpoint => "ledger_checkpoint",
            Self::LedgerTile => "ledger_tile",
            Self::AuditSinkState => "audit_sink_state",
            Self::Alert => "alert",
            Self::AlertState => "alert_state",
            Self::StepLease => "step_lease",
            Self::RunnerContact => "runner_contact",
            Self::StepArtifact => "step_artifact",
            Self::PipelineCache => "pipeline_cache",
            Self::PipelineStarted => "pipeline_started",
            Self::TestReport => "test_report",
            Self::TestCase => "test_case",
            Self::DataKey => "data_key",
            Self::SigningKey => "signing_key",
        }
    }

    /// Whether a statement changes this table and no other. Looked at each time a statement runs: it is what the
    /// type promises.
    fn admits(self, sql: &str) -> bool {
        match self {
            Self::CredentialUse => return sql == NOTE_USE || sql == NOTE_WARNED,
            Self::RepositorySize => return sql == NOTE_SIZE,
            Self::EventFindable => return sql == crate::sequence::MAKE_FINDABLE,
            Self::Alert => return sql == crate::alert::FORGET,
            Self::PipelineStarted => return sql == crate::pipeline_run::FORGET_STARTED,
            Self::SecondStepUse => return crate::second_step::BOOKKEEPING.contains(&sql),
            Self::RecoveryCodeUse => return sql == crate::second_step::USE_RECOVERY_CODE,
            Self::SessionUse => return crate::session::BOOKKEEPING.contains(&sql),
            _ => {}
        }
        let mut words = sql.split_ascii_whitespace();
        let begins = match words.next() {
            Some("INSERT") => words.next() == Some("INTO"),
            Some("DELETE") => words.next() == Some("FROM"),
            Some("UPDATE") => true,
            _ => false,
        };
        // One verb at the beginning and none later, so that no clause or second statement names another table;
        // `DO UPDATE SET` names none.
        begins
            && words.next() == Some(self.name())
            && !sql.contains(';')
            && !{
                let mut before = "";
                words.any(|word| {
                    let verb = word.trim_matches(|c: char| !c.is_ascii_alphabetic()).to_ascii_uppercase();
                    let changes = matches!(
                        verb.as_str(),
                        "INSERT" | "DELETE" | "TRUNCATE" | "DROP" | "ALTER" | "CREATE"
                    ) || (verb == "UPDATE" && !matches!(before, "DO" | "FOR"));
                    before = word;
                    changes
                })
            }
    }
}

/// A transaction that keeps the books. `Store::keep` makes one, and a [`Writer`](crate::Writer) lends one.
pub struct Bookkeeping<'c> {
    reader: Reader<'c>,
}

impl<'c> Deref for Bookkeeping<'c> {
    type Target = Reader<'c>;

    fn deref(&self) -> &Self::Target {
        &self.reader
    }
}

impl DerefMut for Bookkeeping<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.reader
    }
}

impl<'c> Bookkeeping<'c> {
    pub(crate) fn new(reader: Reader<'c>) -> Self {
        Self { reader }
    }

    /// Runs a statement that changes `table` alone and tells how many rows it changed.
    pub fn execute(&mut self, table: Table, sql: &'static str, params: &[Value]) -> Result<u64> {
        check(table, sql)?;
        self.reader.execute(sql, params)
    }

    /// Runs a query that changes `table` alone and tells how many rows it changed.
    pub fn execute_query(&mut self, table: Table, query: &Query) -> Result<u64> {
        check(table, query.text())?;
        self.reader.execute(query.text(), query.params())
    }

    /// Runs a statement that changes `table` alone and answers rows with `RETURNING`.
    pub fn returning(&mut self, table: Table, sql: &'static str, params: &[Value]) -> Result<Vec<Row>> {
        check(table, sql)?;
        self.reader.rows(sql, params)
    }

    /// Runs a query that changes `table` alone and answers rows with `RETURNING`.
    pub fn returning_query(&mut self, table: Table, query: &Query) -> Result<Vec<Row>> {
        check(table, query.text())?;
        self.reader.rows(query.text(), query.params())
    }
}

fn check(table: Table, sql: &str) -> Result<()> {
    if table.admits(sql) {
        return Ok(());
    }
    Err(Error::internal(format_args!("bookkeeping on `{}` may not run: {sql}", table.name())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_on_its_table_is_admitted() {
        for sql in [
            "INSERT INTO job (id) VALUES ($1) ON CONFLICT (kind, key) DO UPDATE SET run_after = excluded.run_after",
            "UPDATE job SET attempts = 1 WHERE id = (SELECT id FROM job LIMIT 1 FOR UPDATE SKIP LOCKED)",
            "DELETE FROM job WHERE id = $1",
        ] {
            assert!(Table::Job.admits(sql), "{sql}");
            assert!(!Table::Lease.admits(sql), "{sql}");
        }
        assert!(Table::CredentialUse.admits(NOTE_USE));
    }

    #[test]
    fn a_statement_that_changes_anything_else_is_not() {
        for sql in [
            "UPDATE user_account SET staff_role = 'administrator'",
            "SELECT 1",
            "DELETE FROM job WHERE TRUE; DELETE FROM audit_event",
            "WITH gone AS (DELETE FROM access_grant RETURNING 1) DELETE FROM job",
            "DELETE FROM job WHERE id IN (DELETE FROM access_grant RETURNING 1)",
            "INSERT INTO job SELECT (insert into access_grant DEFAULT VALUES)",
            "UPDATE jobs SET x = 1",
            "",
        ] {
            for table in Table::ALL {
                assert!(!table.admits(sql), "{table:?}: {sql}");
            }
        }
        assert!(!Table::CredentialUse.admits("UPDATE credential SET revoked_on = NULL WHERE id = $1"));
    }
}
