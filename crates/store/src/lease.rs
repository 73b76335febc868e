//! Leases: what only one process does at a time, for as long as it says that it still does.

use model::Result;

use crate::bookkeeping::{Bookkeeping, Table};
use crate::params;

/// Takes the lease, or takes it for longer. False when another holder has it.
pub fn take(books: &mut Bookkeeping<'_>, name: &str, holder: &str, seconds: i64) -> Result<bool> {
    let now = books.now();
    let taken = books.execute(
        Table::Lease,
        "INSERT INTO lease (name, holder, until) VALUES ($1, $2, $3)
         ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
             WHERE lease.holder = excluded.holder OR lease.until < $4",
        params![name, holder, now.plus_seconds(seconds), now],
    )?;
    Ok(taken > 0)
}

/// Gives the lease back, if this holder has it.
pub fn release(books: &mut Bookkeeping<'_>, name: &str, holder: &str) -> Result<()> {
    books
        .execute(Table::Lease, "DELETE FROM lease WHERE name = $1 AND holder = $2", params![name, holder])
        .map(drop)
}
