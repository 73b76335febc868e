//! Times, sizes and counts in words for readers.

use model::Timestamp;

/// A moment: how long ago, with the exact time for whoever wants it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// `3 days ago`, `in 2 hours`.
    pub text: String,
    /// `2030-01-31 12:00:00 UTC`.
    pub exact: String,
    /// For machines: RFC 3339.
    pub machine: String,
}

const STEPS: [(i64, &str); 6] = [
    (365 * 86_400, "year"),
    (30 * 86_400, "month"),
    (86_400, "day"),
    (3_600, "hour"),
    (60, "minute"),
    (1, "second"),
];

impl Moment {
    /// A moment as seen from now.
    #[must_use]
    pub fn of(time: Timestamp, now: Timestamp) -> Self {
        let machine = time.to_string();
        let exact = match (machine.get(..10), machine.get(11..19)) {
            (Some(day), Some(clock)) => format!("{day} {clock} UTC"),
            _ => machine.clone(),
        };
        Self { text: relative(time.seconds(), now.seconds()), exact, machine }
    }

    /// Of a commit, whose clock nobody checked.
    #[must_use]
    pub fn of_seconds(seconds: i64, now: Timestamp) -> Self {
        Self::of(Timestamp::from_micros(seconds.saturating_mul(1_000_000)), now)
    }
}

fn relative(time: i64, now: i64) -> String {
    let distance = time.saturating_sub(now);
    let length = distance.unsigned_abs();
    let found = STEPS.iter().find(|(seconds, _)| length >= seconds.unsigned_abs());
    let Some((seconds, unit)) = found.filter(|_| length >= 10) else { return "just now".to_owned() };
    let count = length / seconds.unsigned_abs().max(1);
    let plural = if count == 1 { "" } else { "s" };
    if distance > 0 { format!("in {count} {unit}{plural}") } else { format!("{count} {unit}{plural} ago") }
}

/// A size: `312 B`, `1.4 KiB`, `20 MiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    let (mut whole, mut rest, mut unit) = (bytes, 0, "B");
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if whole < 1024 {
            break;
        }
        (rest, whole, unit) = ((whole % 1024) * 10 / 1024, whole / 1024, larger);
    }
    if unit == "B" || whole >= 10 { format!("{whole} {unit}") } else { format!("{whole}.{rest} {unit}") }
}

/// A count with its noun: `1 file`, `1,204 files`.
#[must_use]
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// A number with its thousands apart.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_from_now() {
        for (time, text) in [
            (1_000_000, "just now"),
            (999_940, "1 minute ago"),
            (1_000_000 - 86_400 * 3, "3 days ago"),
            (1_000_000 - 86_400 * 800, "2 years ago"),
            (1_007_300, "in 2 hours"),
        ] {
            assert_eq!(relative(time, 1_000_000), text);
        }
        let moment = Moment::of_seconds(1_900_000_000, Timestamp::from_micros(0));
        assert_eq!(moment.exact, "2030-03-17 17:46:40 UTC");
    }

    #[test]
    fn sizes_and_counts_are_short() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (20 << 20, "20 MiB"),
            (u64::MAX, "16777215 TiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(count(1, "file", "files"), "1 file");
        assert_eq!(count(1_204_567, "file", "files"), "1,204,567 files");
    }
}
