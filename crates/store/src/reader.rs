//! Reading: what every closure can do.

use std::cell::Cell;

use model::{Clock, Error, Random, Result, Timestamp};

use crate::engine::{Class, Connection, Dialect, Failure, Query, Ran, Row, Value, Verdict};

/// A transaction that reads. All its statements see one state of the data.
///
/// Statements are static texts with `$1`, `$2`, … or a [`Query`]. A failed statement loses the transaction, also when
/// the closure goes on after it: use `ON CONFLICT` where a conflict is not a failure.
pub struct Reader<'c> {
    connection: &'c mut dyn Connection,
    clock: &'c Clock,
    random: &'c Random,
    failed: &'c Cell<Option<Class>>,
}

impl<'c> Reader<'c> {
    /// `failed` will hold the class of the first statement that fails.
    pub(crate) fn new(
        connection: &'c mut dyn Connection,
        clock: &'c Clock,
        random: &'c Random,
        failed: &'c Cell<Option<Class>>,
    ) -> Self {
        Self { connection, clock, random, failed }
    }

    /// The same transaction in other hands for a while.
    pub(crate) fn lend(&mut self) -> Reader<'_> {
        Reader { connection: self.connection, clock: self.clock, random: self.random, failed: self.failed }
    }

    /// The rows of a `SELECT`.
    pub fn all(&mut self, sql: &'static str, params: &[Value]) -> Result<Vec<Row>> {
        self.select(sql, params)
    }

    /// The first row of a `SELECT`, if there is one.
    pub fn one(&mut self, sql: &'static str, params: &[Value]) -> Result<Option<Row>> {
        Ok(self.select(sql, params)?.into_iter().next())
    }

    /// The number that a `SELECT` of one row and one column answers.
    pub fn count(&mut self, sql: &'static str, params: &[Value]) -> Result<i64> {
        self.one(sql, params)?.ok_or_else(|| Error::internal("a count without an answer"))?.only()
    }

    /// The rows of a query.
    pub fn query(&mut self, query: &Query) -> Result<Vec<Row>> {
        self.select(query.text(), query.params())
    }

    /// The first row of a query, if there is one.
    pub fn query_one(&mut self, query: &Query) -> Result<Option<Row>> {
        Ok(self.query(query)?.into_iter().next())
    }

    /// Which engine this is, for the few words of SQL that differ.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.connection.dialect()
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Where new ids come from.
    #[must_use]
    pub fn random(&self) -> &'c Random {
        self.random
    }

    /// The generation of access. Read it before the facts that are cached under it.
    pub fn generation(&mut self) -> Result<u64> {
        let row = self.one("SELECT value FROM access_generation", &[])?;
        row.ok_or_else(|| Error::internal("the generation of access is missing"))?.only()
    }

    /// A statement that changes rows does not pass for reading, not even with `RETURNING`: it would go around the
    /// record.
    fn select(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>> {
        if !only_reads(sql) {
            return Err(Error::internal(format_args!("this statement is not for reading: {sql}")));
        }
        self.rows(sql, params)
    }

    pub(crate) fn rows(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>> {
        let answer = fit(params).and_then(|()| self.connection.rows(sql, params));
        self.noted(sql, answer)
    }

    pub(crate) fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64> {
        let answer = fit(params).and_then(|()| self.connection.execute(sql, params));
        self.noted(sql, answer)
    }

    fn noted<T>(&mut self, sql: &str, answer: Result<T, Failure>) -> Result<T> {
        answer.map_err(|failure| {
            self.failed.set(self.failed.get().or(Some(failure.class)));
            match failure.class {
                Class::Other => failure.during(sql).into(),
                _ => failure.into(),
            }
        })
    }
}

/// The closure's result and what is to become of the transaction, seeing how its statements went.
pub(crate) fn settle<T>(failed: Option<Class>, result: Result<T>) -> Ran<T> {
    let went_on = || Error::internal("a statement failed and the closure went on after it");
    let (result, verdict) = match (failed, result) {
        (None, Ok(value)) => (Ok(value), Verdict::Commit),
        (Some(Class::Again | Class::Broken), result) => {
            (Err(result.err().unwrap_or_else(went_on)), Verdict::Again)
        }
        (Some(Class::Unique), Err(error)) => (Err(error), Verdict::Taken),
        (Some(_), Ok(_)) => (Err(went_on()), Verdict::Undo),
        (_, Err(error)) => (Err(error), Verdict::Undo),
    };
    Ran { result, verdict }
}

/// PostgreSQL lets a `WITH` change rows.
fn only_reads(sql: &str) -> bool {
    let text = sql.trim_start();
    let changes = |text: &str| ["INSERT", "UPDATE", "DELETE", "MERGE"].iter().any(|verb| text.contains(verb));
    text.starts_with("SELECT") || (text.starts_with("WITH") && !changes(&text.to_ascii_uppercase()))
}

fn fit(params: &[Value]) -> Result<(), Failure> {
    if params.iter().all(Value::is_fit) {
        return Ok(());
    }
    Err(Failure::new(Class::Unfit, "text must not contain the character NUL: remove it"))
}
