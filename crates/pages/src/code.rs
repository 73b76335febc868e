//! Files for readers: lines with numbers to link to, or the reason why a file is not shown.

/// The largest file whose lines are shown, in bytes.
pub const LARGEST: usize = 512 << 10;

/// The most lines that are shown.
const MOST_LINES: usize = 10_000;

/// The longest line that is shown whole, in characters.
const LONGEST_LINE: usize = 2_000;

/// How much of a file is looked at to tell text from anything else, as git does.
const LOOKED_AT: usize = 8_000;

/// What is shown of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Its lines.
    Lines(Lines),
    /// It is no text.
    Binary,
    /// It is larger than [`LARGEST`].
    TooLarge,
    /// There is nothing in it.
    Empty,
}

/// Lines of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// The lines, without their ends.
    pub lines: Vec<String>,
    /// Whether more lines follow, or a line was cut.
    pub cut: bool,
}

impl Content {
    /// What is shown of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::Empty;
        }
        if is_binary(bytes) {
            return Self::Binary;
        }
        if bytes.len() > LARGEST {
            return Self::TooLarge;
        }
        let text = String::from_utf8_lossy(bytes);
        let mut all = text.strip_suffix('\n').unwrap_or(&text).split('\n');
        let mut cut = false;
        let lines = all
            .by_ref()
            .take(MOST_LINES)
            .map(|line| {
                let (line, short) = shortened(line.strip_suffix('\r').unwrap_or(line), LONGEST_LINE);
                cut |= short;
                line
            })
            .collect();
        cut |= all.next().is_some();
        Self::Lines(Lines { lines, cut })
    }
}

/// Whether these bytes are no text.
#[must_use]
pub fn is_binary(bytes: &[u8]) -> bool {
    bytes.iter().take(LOOKED_AT).any(|byte| *byte == 0)
}

/// A line, made visible and short: characters that turn the direction of writing would make code look like other code.
pub(crate) fn shortened(line: &str, longest: usize) -> (String, bool) {
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}');
    let mut shown = String::with_capacity(line.len().min(longest.saturating_mul(4)));
    for (at, c) in line.chars().enumerate() {
        if at == longest {
            shown.push('…');
            return (shown, true);
        }
        match c {
            c if turns(c) => shown.push_str(&format!("⟨U+{:04X}⟩", u32::from(c))),
            '\t' => shown.push(c),
            c if c.is_control() => shown.push('\u{fffd}'),
            c => shown.push(c),
        }
    }
    (shown, false)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(bytes: &[u8]) -> Lines {
        match Content::of(bytes) {
            Content::Lines(lines) => lines,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn lines_are_those_of_the_file() {
        assert_eq!(lines(b"a\r\n\n\xffb\n").lines, ["a", "", "\u{fffd}b"]);
        assert_eq!(lines(b"one").lines, ["one"]);
        assert_eq!(Content::of(b""), Content::Empty);
        assert_eq!(Content::of(b"a\0b"), Content::Binary);
        assert_eq!(Content::of(&vec![b'a'; LARGEST + 1]), Content::TooLarge);
        let many = lines(&b"x\n".repeat(MOST_LINES + 1));
        assert!(many.cut && many.lines.len() == MOST_LINES);
    }

    /// Attack: code that reads otherwise than it runs.
    #[test]
    fn marks_that_turn_the_writing_are_shown() {
        assert_eq!(lines("a\u{202e}b".as_bytes()).lines, ["a⟨U+202E⟩b"]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_shown_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Content::of(&bytes);
        }
    }
}
