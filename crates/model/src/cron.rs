//! When a schedule is due: the seven fields of Quartz (seconds, minutes, hours, day of the month, month, day of the week,
//! year), in UTC. Reading and reckoning are the `croner` crate's; what it would take beyond Quartz is refused here.

use std::fmt;
use std::str::FromStr;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use crate::Timestamp;

/// The longest pattern, in bytes.
pub const LONGEST_CRON: usize = 128;

/// The text is not a pattern of times.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadCron(String);

/// A pattern of times.
#[derive(Clone)]
pub struct CronPattern {
    text: String,
    cron: Cron,
}

impl CronPattern {
    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first time after `moment`; none when there is no more.
    #[must_use]
    pub fn next_after(&self, moment: Timestamp) -> Option<Timestamp> {
        let moment = jiff::Timestamp::from_microsecond(moment.micros()).ok()?;
        let next = self.cron.find_next_occurrence(&moment.to_zoned(jiff::tz::TimeZone::UTC), false).ok()?;
        let next = next.timestamp();
        (next > moment).then(|| Timestamp::from_micros(next.as_microsecond()))
    }
}

fn bad(why: impl Into<String>) -> BadCron {
    BadCron(why.into())
}

impl FromStr for CronPattern {
    type Err = BadCron;

    fn from_str(text: &str) -> Result<Self, BadCron> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b" *,-/?#".contains(&b);
        if text.len() > LONGEST_CRON || !text.bytes().all(plain) {
            return Err(bad("use at most 128 letters, digits, blanks and `* , - / ? #`"));
        }
        let fields: Vec<&str> = text.split(' ').filter(|field| !field.is_empty()).collect();
        let [seconds, _, _, day, _, weekday, _] = fields.as_slice() else {
            return Err(bad(
                "use seven fields: seconds, minutes, hours, day of the month, month, day of the week, year, as in \
                 `0 0 12 * * ? *`",
            ));
        };
        if !seconds.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad("use one number for the seconds: a schedule runs at most once a minute"));
        }
        let open = |field: &&str| matches!(*field, "*" | "?");
        let marks = fields.iter().filter(|field| field.contains('?')).count();
        if marks > 1 || fields.iter().any(|field| field.contains('?') && *field != "?") {
            return Err(bad("use `?` once, alone, for the day of the month or the day of the week"));
        }
        if !open(day) && !open(weekday) {
            return Err(bad("set the day of the month or the day of the week, and the other to `?`"));
        }
        let parser = CronParser::builder()
            .seconds(Seconds::Required)
            .year(Year::Required)
            .alternative_weekdays(true)
            .sloppy_ranges(true)
            .build();
        let text = fields.join(" ");
        let cron = parser.parse(&text).map_err(|_| {
            bad("a field is out of its range, or not written as Quartz does: see docs/deployments.md#schedules")
        })?;
        Ok(Self { text, cron })
    }
}

impl fmt::Display for CronPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for CronPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CronPattern({:?})", self.text)
    }
}

impl PartialEq for CronPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for CronPattern {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn next(pattern: &str, after: &str) -> Option<String> {
        let next = pattern.parse::<CronPattern>().unwrap().next_after(after.parse().unwrap())?;
        Some(next.to_string().replace(".000000+00:00", "Z"))
    }

    /// Each line as Quartz has it: Sunday is 1, `/` counts from what stands before it, years end.
    #[test]
    fn the_next_time_is_quartzs() {
        for (pattern, after, expected) in [
            ("0 0 12 * * ? *", "2026-11-30T08:00:00Z", "2026-11-30T12:00:00Z"),
            ("0 0 12 * * ? *", "2026-11-30T12:00:00Z", "2026-12-01T12:00:00Z"),
            ("0 0 12 * * ? *", "2026-11-30T11:59:59.5Z", "2026-11-30T12:00:00Z"),
            ("0 0/15 * * * ? *", "2026-11-30T08:01:00Z", "2026-11-30T08:15:00Z"),
            ("30 10-20/5 8,9 ? * MON-FRI *", "2026-11-28T00:00:00Z", "2026-11-30T08:10:30Z"),
            ("0 0 0 ? * 1 *", "2026-11-30T08:00:00Z", "2026-12-06T00:00:00Z"),
            ("0 0 0 ? * SUN *", "2026-11-30T08:00:00Z", "2026-12-06T00:00:00Z"),
            ("0 0 0 L * ? *", "2026-11-30T08:00:00Z", "2026-12-31T00:00:00Z"),
            ("0 0 0 ? * 6#3 *", "2026-11-30T08:00:00Z", "2026-12-18T00:00:00Z"),
            ("0 0 0 ? * 6L *", "2026-11-30T08:00:00Z", "2026-12-25T00:00:00Z"),
            ("0 0 0 15W * ? *", "2026-11-01T00:00:00Z", "2026-11-16T00:00:00Z"),
            ("0 0 0 29 2 ? *", "2026-11-30T08:00:00Z", "2028-02-29T00:00:00Z"),
            ("0 0 0 1 JAN ? 2030-2032", "2026-11-30T08:00:00Z", "2030-01-01T00:00:00Z"),
        ] {
            assert_eq!(next(pattern, after).as_deref(), Some(expected), "{pattern} after {after}");
        }
        assert_eq!(next("0 0 12 * * ? 2025", "2026-11-30T08:00:00Z"), None);
        assert_eq!(next("0 0 12 30 2 ? *", "2026-11-30T08:00:00Z"), None);
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        for (bad, why) in [
            ("", "seven fields"),
            ("0 12 * * *", "seven fields"),
            ("0 0 12 * * ?", "seven fields"),
            ("@daily", "at most 128"),
            ("0 0 12 * * ? * *", "seven fields"),
            ("* * * * * ? *", "once a minute"),
            ("*/5 0 0 * * ? *", "once a minute"),
            ("0 60 0 * * ? *", "out of its range"),
            ("0 0 24 * * ? *", "out of its range"),
            ("0 0 0 32 * ? *", "out of its range"),
            ("0 0 0 ? * 8 *", "out of its range"),
            ("0 0 0 ? * 0 *", "out of its range"),
            ("0 0 0 ? * ? *", "once, alone"),
            ("? 0 0 * * ? *", "once a minute"),
            ("0 ? 0 * * * *", "out of its range"),
            ("0 0 0 1 * MON *", "the other to `?`"),
            ("0 0 0 +1 * ? *", "at most 128"),
            ("0\t0 0 * * ? *", "at most 128"),
        ] {
            let error = bad.parse::<CronPattern>().unwrap_err().to_string();
            assert!(error.contains(why), "{bad:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "[ -~]{0,60}", seven in "0( [0-9*?/,LW#-]{1,6}){6}", after in 0i64..i64::MAX) {
            for text in [text, seven] {
                if let Ok(pattern) = text.parse::<CronPattern>() {
                    let after = Timestamp::from_micros(after);
                    if let Some(next) = pattern.next_after(after) {
                        prop_assert!(next > after);
                    }
                    prop_assert_eq!(pattern.as_str().parse::<CronPattern>().unwrap(), pattern);
                }
            }
        }

        /// Would catch a field read as its neighbour.
        #[test]
        fn the_time_of_a_day_is_the_one_that_stands_there(s in 0i64..60, m in 0i64..60, h in 0i64..24, after in 0i64..4_000_000_000) {
            let pattern: CronPattern = format!("{s} {m} {h} * * ? *").parse().unwrap();
            let after = Timestamp::from_micros(after * 1_000_000);
            let next = pattern.next_after(after).unwrap();
            prop_assert_eq!(next.seconds().rem_euclid(86_400), h * 3600 + m * 60 + s);
            prop_assert!(next.seconds() - after.seconds() <= 86_400);
        }
    }
}
