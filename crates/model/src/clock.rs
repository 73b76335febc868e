//! Time as a value: a [`Timestamp`] and the [`Clock`] that hands them out.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment, in microseconds since 1970-01-01T00:00:00Z. Shown as RFC 3339 with six decimals and `+00:00`, which
/// is the form Bitbucket's API writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The last moment that RFC 3339 can write, 9999-12-30 (jiff's own bound), in microseconds.
const LAST: i64 = 253_402_207_200_000_000;

impl Timestamp {
    /// From microseconds since the epoch. Values that RFC 3339 cannot write are brought to the nearest it can.
    #[must_use]
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.clamp(0, LAST))
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub fn micros(self) -> i64 {
        self.0
    }

    /// This moment and `seconds` more (or fewer, when negative).
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self::from_micros(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }

    /// Whole seconds since the epoch.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The day in UTC, as days since the epoch: the unit of the daily counts.
    #[must_use]
    pub fn day(self) -> i64 {
        self.0.div_euclid(86_400_000_000)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = jiff::Timestamp::from_microsecond(self.0).map_err(|_| fmt::Error)?;
        write!(f, "{}", moment.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00"))
    }
}

/// The text was not an RFC 3339 time.
#[derive(Debug, thiserror::Error)]
#[error("not a time in RFC 3339 form, such as 2030-01-31T12:00:00Z")]
pub struct BadTimestamp;

impl FromStr for Timestamp {
    type Err = BadTimestamp;

    fn from_str(text: &str) -> Result<Self, BadTimestamp> {
        if text.len() > 64 {
            return Err(BadTimestamp);
        }
        let moment: jiff::Timestamp = text.parse().map_err(|_| BadTimestamp)?;
        Ok(Self::from_micros(moment.as_microsecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Where time comes from: the system, or a hand that a test moves.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until [`Clock::advance`] moves it.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(start.micros()))))
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            #[expect(clippy::disallowed_methods, reason = "the one place where the system's time is read")]
            Source::System => Timestamp::from_micros(jiff::Timestamp::now().as_microsecond()),
            Source::Manual(micros) => Timestamp::from_micros(micros.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock; the system's clock is not moved.
    pub fn advance(&self, seconds: i64) {
        if let Source::Manual(micros) = &self.0 {
            micros.fetch_add(seconds.saturating_mul(1_000_000), Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_bitbucket_writes_it_and_read_back() {
        let moment: Timestamp = "2026-11-21T14:31:00.5+01:00".parse().unwrap();
        assert_eq!(moment.to_string(), "2026-11-21T13:31:00.500000+00:00");
        assert_eq!(moment.to_string().parse::<Timestamp>().unwrap(), moment);
        assert!("yesterday".parse::<Timestamp>().is_err());
    }

    #[test]
    fn the_ends_of_time_are_written() {
        for micros in [i64::MIN, 0, i64::MAX] {
            assert!(Timestamp::from_micros(micros).to_string().parse::<Timestamp>().is_ok());
        }
    }

    #[test]
    fn only_a_manual_clock_is_moved() {
        let clock = Clock::manual(Timestamp::from_micros(0));
        clock.advance(90);
        assert_eq!(clock.now().seconds(), 90);
    }
}
