//! Migrations: numbered files, each run once, never changed afterwards.
//!
//! One text serves both engines; what differs in table definitions stands in tokens. The engine holds the lock and
//! the transaction, so several processes that start together wait for the first, and a failed migration leaves
//! nothing behind.

use model::{Error, Result};
use sha2::{Digest, Sha256};

use super::{Connection, Dialect, Row};
use crate::params;

/// One migration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Migration {
    /// Its place in the order, from 1 without gaps.
    pub(crate) number: i64,
    /// What it brings.
    pub(crate) name: &'static str,
    /// Its statements. A first line `-- admits: <number>` tells the oldest program that may still run after it;
    /// without one, older programs may not.
    pub(crate) text: &'static str,
}

/// What a token of a migration's text stands for on SQLite and on PostgreSQL. ` TEXT` is one, so that text is compared
/// by its bytes on both, whatever the server's collation.
const TOKENS: &[(&str, &str, &str)] = &[
    ("{uuid}", "BLOB", "UUID"),
    ("{bool}", "INTEGER", "BOOLEAN"),
    ("{int}", "INTEGER", "BIGINT"),
    ("{json}", "TEXT", "JSONB"),
    ("{time}", "INTEGER", "TIMESTAMPTZ"),
    ("{bytes}", "BLOB", "BYTEA"),
    ("{strict}", "STRICT", ""),
    (" TEXT", " TEXT", " TEXT COLLATE \"C\""),
];

const TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migration (
    number {int} PRIMARY KEY, name TEXT NOT NULL, checksum {bytes} NOT NULL, admits {int} NOT NULL
) {strict}";

impl Migration {
    /// The oldest program, by the number of the newest migration it knows, that may still run after this one.
    fn admits(&self) -> Result<i64> {
        let Some(number) = self.text.lines().next().and_then(|line| line.strip_prefix("-- admits: ")) else {
            return Ok(self.number);
        };
        let number = number.trim().parse().ok().filter(|number| (1..=self.number).contains(number));
        number.ok_or_else(|| Error::internal(format_args!("migration {} admits nobody", self.number)))
    }

    fn checksum(&self) -> [u8; 32] {
        Sha256::digest(self.text.as_bytes()).into()
    }
}

/// The text for one engine.
fn in_dialect(text: &str, dialect: Dialect) -> String {
    TOKENS.iter().fold(text.to_owned(), |text, (token, sqlite, postgres)| {
        text.replace(token, if dialect == Dialect::Sqlite { sqlite } else { postgres })
    })
}

/// Brings the schema up to date, inside a transaction that holds the lock.
pub(crate) fn run(connection: &mut dyn Connection, migrations: &[Migration]) -> Result<()> {
    let dialect = connection.dialect();
    connection.script(&in_dialect(TABLE, dialect))?;
    let applied = connection
        .rows("SELECT number, name, checksum, admits FROM schema_migration ORDER BY number", &[])?;
    let newest = applied.last().map_or(Ok(0), |row| row.get::<i64>("number"))?;
    let known = migrations.last().map_or(0, |migration| migration.number);
    if newest > known {
        let admits = applied.last().map_or(Ok(0), |row| row.get::<i64>("admits"))?;
        if admits > known {
            return Err(Error::internal(format_args!(
                "the database has schema {newest}, which programs older than schema {admits} must not use, and this \
                 program knows schema {known}: run a newer bastide, or restore a backup made by this one"
            )));
        }
    }
    for migration in migrations {
        match find(&applied, migration.number)? {
            Some(row) => check(row, migration)?,
            None if migration.number < newest => {
                return Err(Error::internal(format_args!(
                    "migration {} `{}` is missing from the database, though later ones are there: restore a backup",
                    migration.number, migration.name
                )));
            }
            None => apply(connection, migration)?,
        }
    }
    Ok(())
}

fn find(applied: &[Row], number: i64) -> Result<Option<&Row>> {
    for row in applied {
        if row.get::<i64>("number")? == number {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

fn check(row: &Row, migration: &Migration) -> Result<()> {
    let same = row.get::<[u8; 32]>("checksum")? == migration.checksum()
        && row.get::<String>("name")? == migration.name;
    if same {
        return Ok(());
    }
    Err(Error::internal(format_args!(
        "migration {} `{}` is not the one that was applied to the database: this program was built from changed \
         files",
        migration.number, migration.name
    )))
}

fn apply(connection: &mut dyn Connection, migration: &Migration) -> Result<()> {
    let text = in_dialect(migration.text, connection.dialect());
    connection.script(&text).map_err(|failure| {
        Error::internal(format_args!("migration {} `{}`: {failure}", migration.number, migration.name))
    })?;
    connection.execute(
        "INSERT INTO schema_migration (number, name, checksum, admits) VALUES ($1, $2, $3, $4)",
        params![migration.number, migration.name, migration.checksum(), migration.admits()?],
    )?;
    tracing::info!(number = migration.number, name = migration.name, "a migration was applied");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_replaced_on_both_engines() {
        for dialect in [Dialect::Sqlite, Dialect::Postgres] {
            assert!(!in_dialect(TABLE, dialect).contains('{'));
        }
    }

    #[test]
    fn a_migration_says_whom_it_admits() {
        let of = |text| Migration { number: 3, name: "x", text }.admits();
        assert_eq!(of("-- admits: 2\nSELECT 1").unwrap(), 2);
        assert!(of("-- admits: 4").is_err());
        assert_eq!(of("SELECT 1").unwrap(), 3);
    }
}
