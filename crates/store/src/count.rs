//! What is counted in memory and written in batches: last uses of credentials, refusals of the unauthenticated, and
//! the daily counts of what was really used.
//!
//! A crash loses the seconds since the last flush, which is why nothing here is a record. The maps are bounded, so
//! that nobody can fill the memory, or the disk, with requests.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{Action, CredentialId, Outcome, Resource, Result, Timestamp, WorkspaceId};

use crate::bookkeeping::{Bookkeeping, NOTE_USE, Table};
use crate::engine::Row;
use crate::params;
use crate::reader::Reader;
use crate::store::Store;

/// At most so many addresses are told apart between two flushes; the others are counted together as [`OTHERS`].
const ADDRESSES: usize = 4096;
/// At most so many daily counts are kept apart between two flushes; what is beyond is counted without its address
/// and resource.
const DAILY: usize = 65_536;
/// Rows written by one transaction, so that no write waits long behind it.
const BATCH: usize = 500;
/// Stands for addresses that are not told apart.
pub const OTHERS: &str = "others";

/// What was used. The key of a daily count, and its columns in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// When.
    pub time: Timestamp,
    /// Who acted, as in the audit event.
    pub actor: String,
    /// The credential, by kind and id.
    pub credential: Option<String>,
    /// The action.
    pub action: Action,
    /// The resource.
    pub resource: Resource,
    /// The workspace that it is or lies in.
    pub workspace: Option<WorkspaceId>,
    /// The client's address.
    pub address: Option<IpAddr>,
    /// What became of it.
    pub outcome: Outcome,
}

/// The columns of `daily_count` but for the count.
type Key = (i64, String, String, &'static str, String, String, &'static str, String);

#[derive(Clone, Default)]
struct Pending {
    used: BTreeMap<CredentialId, Timestamp>,
    refused: BTreeMap<(i64, String), i64>,
    daily: BTreeMap<Key, i64>,
}

/// The counts since the last flush.
#[derive(Default)]
pub(crate) struct Counts {
    pending: Mutex<Pending>,
}

impl Counts {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Pending {
        std::mem::take(&mut *self.lock())
    }

    /// Puts back what could not be written; the next flush tries again.
    fn put_back(&self, pending: Pending) {
        let mut now = self.lock();
        for (id, time) in pending.used {
            let last = now.used.entry(id).or_insert(time);
            *last = time.max(*last);
        }
        for (key, count) in pending.refused {
            add(&mut now.refused, key, count, ADDRESSES, |key| key.1 = OTHERS.to_owned());
        }
        for (key, count) in pending.daily {
            add(&mut now.daily, key, count, DAILY, shorten);
        }
    }
}

fn shorten(key: &mut Key) {
    key.4.clear();
    key.5 = OTHERS.to_owned();
}

/// Adds to a count; when the map is full, a new key is made a coarser one first.
fn add<K: Ord>(
    map: &mut BTreeMap<K, i64>,
    mut key: K,
    count: i64,
    limit: usize,
    coarser: impl FnOnce(&mut K),
) {
    if map.len() >= limit && !map.contains_key(&key) {
        coarser(&mut key);
    }
    let sum = map.entry(key).or_insert(0);
    *sum = sum.saturating_add(count);
}

impl Store {
    /// Notes that a credential was used. Written by the next flush.
    pub fn note_used(&self, credential: CredentialId, time: Timestamp) {
        let mut pending = self.counts().lock();
        let last = pending.used.entry(credential).or_insert(time);
        *last = time.max(*last);
    }

    /// Counts a refusal of somebody unauthenticated, by address and minute. Written by the next flush.
    pub fn count_refusal(&self, address: IpAddr, time: Timestamp) {
        let key = (time.seconds().div_euclid(60), address.to_string());
        add(&mut self.counts().lock().refused, key, 1, ADDRESSES, |key| key.1 = OTHERS.to_owned());
    }

    /// Counts what was used, by day. Written by the next flush.
    pub fn count_use(&self, used: Use) {
        let key = (
            used.time.day(),
            used.actor,
            used.credential.unwrap_or_default(),
            used.action.as_str(),
            used.resource.to_string(),
            used.address.map(|address| address.to_string()).unwrap_or_default(),
            used.outcome.as_str(),
            used.workspace.map(|workspace| workspace.to_string()).unwrap_or_default(),
        );
        add(&mut self.counts().lock().daily, key, 1, DAILY, shorten);
    }

    /// Writes what was counted since the last time. To be called every few seconds; [`Store::close`] does it too.
    pub async fn flush(&self) -> Result<()> {
        let mut pending = self.counts().take();
        while !pending.is_empty() {
            let batch = Arc::new(pending.split());
            let write = Arc::clone(&batch);
            if let Err(error) = self.keep(move |books| write.write(books)).await {
                self.counts().put_back(pending);
                self.counts().put_back(Arc::unwrap_or_clone(batch));
                return Err(error);
            }
        }
        Ok(())
    }
}

/// The days before a day's counts, so many rows at a time.
const FORGET_COUNTS: &str = "DELETE FROM daily_count
    WHERE (day, actor, credential, action, resource_id, address, outcome) IN
        (SELECT day, actor, credential, action, resource_id, address, outcome FROM daily_count
         WHERE day < $1 ORDER BY day LIMIT $2)";

/// The refusals before a minute, so many rows at a time.
const FORGET_REFUSALS: &str = "DELETE FROM refusal_count WHERE (minute, address) IN
        (SELECT minute, address FROM refusal_count WHERE minute < $1 ORDER BY minute LIMIT $2)";

impl Store {
    /// Removes the daily counts of the days before that of `time`, and tells how many rows there were.
    pub async fn forget_counts_before(&self, time: Timestamp) -> Result<u64> {
        self.forget(Table::DailyCount, FORGET_COUNTS, time.day()).await
    }

    /// Removes the counts of refusals before `time`, and tells how many rows there were.
    pub async fn forget_refusals_before(&self, time: Timestamp) -> Result<u64> {
        self.forget(Table::RefusalCount, FORGET_REFUSALS, time.seconds().div_euclid(60)).await
    }

    async fn forget(&self, table: Table, sql: &'static str, before: i64) -> Result<u64> {
        let (rows, mut forgotten) = (i64::try_from(BATCH).map_err(model::Error::internal)?, 0);
        loop {
            match self.keep(move |books| books.execute(table, sql, params![before, rows])).await? {
                0 => return Ok(forgotten),
                some => forgotten += some,
            }
        }
    }
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.used.is_empty() && self.refused.is_empty() && self.daily.is_empty()
    }

    /// Takes a batch out.
    fn split(&mut self) -> Self {
        Self { used: split(&mut self.used), refused: split(&mut self.refused), daily: split(&mut self.daily) }
    }

    /// In the order of the keys, so that two nodes that flush the same rows do not lock each other out.
    fn write(&self, books: &mut Bookkeeping<'_>) -> Result<()> {
        for (id, time) in &self.used {
            books.execute(Table::CredentialUse, NOTE_USE, params![*id, *time])?;
        }
        for ((minute, address), count) in &self.refused {
            books.execute(
                Table::RefusalCount,
                "INSERT INTO refusal_count (minute, address, count) VALUES ($1, $2, $3)
                 ON CONFLICT (minute, address) DO UPDATE SET count = refusal_count.count + excluded.count",
                params![*minute, address, *count],
            )?;
        }
        for ((day, actor, credential, action, resource, address, outcome, workspace), count) in &self.daily {
            books.execute(
                Table::DailyCount,
                "INSERT INTO daily_count
                     (day, actor, credential, action, resource_id, address, outcome, count, workspace_id)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                 ON CONFLICT (day, actor, credential, action, resource_id, address, outcome)
                 DO UPDATE SET count = daily_count.count + excluded.count",
                params![*day, actor, credential, *action, resource, address, *outcome, *count, workspace],
            )?;
        }
        Ok(())
    }
}

fn split<K: Ord + Clone, V>(map: &mut BTreeMap<K, V>) -> BTreeMap<K, V> {
    let rest = match map.keys().nth(BATCH).cloned() {
        Some(key) => map.split_off(&key),
        None => BTreeMap::new(),
    };
    std::mem::replace(map, rest)
}

/// How often an actor used an action on a resource, by day, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DailyCount {
    /// Days since the epoch.
    pub day: i64,
    /// Who acted, as in the audit event.
    pub actor: String,
    /// The credential, by kind and id; empty for none.
    pub credential: String,
    /// The action.
    pub action: String,
    /// The resource's kind and id.
    pub resource_id: String,
    /// The client's address; empty for none.
    pub address: String,
    /// What became of it.
    pub outcome: String,
    /// How often.
    pub count: i64,
}

/// An actor's daily counts from `day` on, newest first.
pub fn by_actor(reader: &mut Reader<'_>, actor: &str, day: i64, limit: i64) -> Result<Vec<DailyCount>> {
    let rows = reader.all(
        "SELECT * FROM daily_count WHERE actor = $1 AND day >= $2
         ORDER BY day DESC, action, resource_id, address LIMIT $3",
        params![actor, day, limit],
    )?;
    rows.iter().map(from_row).collect()
}

fn from_row(row: &Row) -> Result<DailyCount> {
    Ok(DailyCount {
        day: row.get("day")?,
        actor: row.get("actor")?,
        credential: row.get("credential")?,
        action: row.get("action")?,
        resource_id: row.get("resource_id")?,
        address: row.get("address")?,
        outcome: row.get("outcome")?,
        count: row.get("count")?,
    })
}

/// What was used in a workspace from `day` on, each kind of use once with the last day and the sum of its counts, the
/// most frequent first.
pub fn in_workspace(
    reader: &mut Reader<'_>,
    workspace: WorkspaceId,
    day: i64,
    limit: i64,
) -> Result<Vec<DailyCount>> {
    let rows = reader.all(
        "SELECT max(day) AS day, actor, credential, action, resource_id, address, outcome,
                CAST(sum(count) AS BIGINT) AS count
         FROM daily_count WHERE workspace_id = $1 AND day >= $2
         GROUP BY actor, credential, action, resource_id, address, outcome
         ORDER BY count DESC, actor, credential, action, resource_id, address, outcome LIMIT $3",
        params![workspace.to_string(), day, limit],
    )?;
    rows.iter().map(from_row).collect()
}

/// The last day on which each actor used anything in a workspace.
pub fn last_days(reader: &mut Reader<'_>, workspace: WorkspaceId) -> Result<BTreeMap<String, i64>> {
    let rows = reader.all(
        "SELECT actor, max(day) AS day FROM daily_count WHERE workspace_id = $1 AND outcome <> 'refused' GROUP BY actor",
        params![workspace.to_string()],
    )?;
    rows.iter().map(|row| Ok((row.get("actor")?, row.get("day")?))).collect()
}

/// Refusals of the unauthenticated since a moment, by address, the most first.
pub fn refusals(reader: &mut Reader<'_>, since: Timestamp, limit: i64) -> Result<Vec<(String, i64)>> {
    let rows = reader.all(
        "SELECT address, CAST(sum(count) AS BIGINT) AS total FROM refusal_count WHERE minute >= $1
         GROUP BY address ORDER BY total DESC, address LIMIT $2",
        params![since.seconds().div_euclid(60), limit],
    )?;
    rows.iter().map(|row| Ok((row.get("address")?, row.get("total")?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_map_counts_together_what_is_new() {
        let mut map = BTreeMap::new();
        for key in 0..5 {
            add(&mut map, key, 1, 3, |key| *key = 99);
        }
        add(&mut map, 1, 1, 3, |key| *key = 99);
        assert_eq!(map, BTreeMap::from([(0, 1), (1, 2), (2, 1), (99, 2)]));
    }

    #[test]
    fn a_batch_takes_the_first_keys_and_leaves_the_rest() {
        let mut map: BTreeMap<usize, ()> = (0..BATCH + 3).map(|key| (key, ())).collect();
        assert_eq!(split(&mut map).len(), BATCH);
        assert_eq!(map.keys().copied().collect::<Vec<_>>(), [BATCH, BATCH + 1, BATCH + 2]);
        assert_eq!((split(&mut map).len(), map.len()), (3, 0));
    }
}
