//! Which of the ledger's signed checkpoints are kept. A checkpoint is signed whenever events were placed, up to twice a
//! second, and each vouches for everything before it: the older ones only tell when something was changed, more roughly
//! the longer ago it is.

use model::{Result, Timestamp};

use crate::bookkeeping::{Bookkeeping, Table};
use crate::engine::Query;
use crate::params;
use crate::store::Store;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
/// So long all of them are kept.
const ALL: i64 = 7 * DAY;
/// So long one an hour is kept; after that one a day, for ever.
const HOURLY: i64 = 365 * DAY;
/// Rows that are looked at together.
const PIECE: i64 = 1_000;
/// Rows in one statement.
const ROWS: usize = 64;

/// A checkpoint by the size of its tree, with the time it was signed at.
type Signed = (i64, Timestamp);

/// The sizes that nobody will miss: each of them is followed by another one of the same hour, or of the same day. The
/// last one of a list is followed by none, and so stays.
fn superfluous(signed: &[Signed], now: Timestamp) -> Vec<i64> {
    let pairs = signed.iter().zip(signed.iter().skip(1));
    let thinned = pairs.filter(|((_, time), (_, next))| {
        let length = match now.seconds().saturating_sub(time.seconds()) {
            age if age <= ALL => return false,
            age if age <= HOURLY => HOUR,
            _ => DAY,
        };
        time.seconds().div_euclid(length) == next.seconds().div_euclid(length)
    });
    thinned.map(|((size, _), _)| *size).collect()
}

impl Store {
    /// Removes checkpoints: all of the last seven days stay, the last one of every hour of the last year, and the last
    /// one of every day for ever; the newest in any case. Tells how many it removed.
    pub async fn thin_checkpoints(&self) -> Result<u64> {
        let now = self.clock().now();
        let (mut from, mut removed) = (0, 0);
        loop {
            let signed = self
                .read(move |reader| {
                    let rows = reader.all(
                        "SELECT size, time FROM ledger_checkpoint WHERE size >= $1 ORDER BY size LIMIT $2",
                        params![from, PIECE],
                    )?;
                    rows.iter().map(|row| Ok((row.get("size")?, row.get("time")?))).collect()
                })
                .await?;
            let signed: Vec<Signed> = signed;
            for sizes in superfluous(&signed, now).chunks(ROWS) {
                let sizes = sizes.to_vec();
                removed += self.keep(move |books| remove(books, &sizes)).await?;
            }
            // The last one is looked at again, beside those that follow it.
            match signed.last() {
                Some((last, time)) if *last > from && now.seconds() - time.seconds() > ALL => from = *last,
                _ => return Ok(removed),
            }
        }
    }
}

fn remove(books: &mut Bookkeeping<'_>, sizes: &[i64]) -> Result<u64> {
    let mut query = Query::new("DELETE FROM ledger_checkpoint WHERE size IN ");
    // Padded with the last, so that there is one text for all chunks.
    let last = sizes.last().copied();
    let padding = std::iter::repeat_n(last, ROWS.saturating_sub(sizes.len())).flatten();
    query.bind_list(sizes.iter().copied().chain(padding));
    books.execute_query(Table::LedgerCheckpoint, &query)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 2_000 * DAY + 5;

    fn ago(seconds: i64) -> Timestamp {
        Timestamp::from_micros((NOW - seconds) * 1_000_000)
    }

    proptest! {
        #[test]
        fn what_was_promised_stays_and_nothing_else(mut ages in proptest::collection::vec(0..2 * HOURLY, 1..400)) {
            ages.sort_unstable_by(|one, other| other.cmp(one));
            let signed: Vec<Signed> = (1..).zip(ages.iter().map(|age| ago(*age))).collect();
            let now = ago(0);
            let gone = superfluous(&signed, now);
            let kept: Vec<Signed> = signed.iter().copied().filter(|(size, _)| !gone.contains(size)).collect();
            prop_assert_eq!(kept.last(), signed.last());
            for (_, time) in &signed {
                let same = |length: i64| kept.iter().any(|(_, other)| {
                    other.seconds().div_euclid(length) == time.seconds().div_euclid(length)
                });
                let age = now.seconds() - time.seconds();
                prop_assert!(same(DAY) && (age > HOURLY || same(HOUR)));
                prop_assert!(age > ALL || kept.iter().any(|(_, other)| other == time));
            }
            prop_assert!(superfluous(&kept, now).is_empty(), "a second time finds nothing");
        }
    }

    #[test]
    fn an_hour_keeps_its_last_and_a_day_its_last() {
        let day = NOW - NOW.rem_euclid(DAY);
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let signed = |begin: i64| {
            let times = [0, HOUR - 1, HOUR, HOUR + 5, DAY - 1, DAY];
            (1..).zip(times.map(|time| at(begin + time))).collect::<Vec<Signed>>()
        };
        assert_eq!(superfluous(&signed(day - 6 * DAY), ago(0)), [0_i64; 0]);
        assert_eq!(superfluous(&signed(day - 30 * DAY), ago(0)), [1, 3]);
        assert_eq!(superfluous(&signed(day - 400 * DAY), ago(0)), [1, 2, 3, 4]);
    }
}
