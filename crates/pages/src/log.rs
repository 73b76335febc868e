//! Logs as terminals print them, as lines of a page: colours become classes, whatever else moves a cursor is left out.

use serde::Serialize;

/// The longest line that is shown, in characters; the rest of it is told as cut off.
const LONGEST: usize = 8_000;
/// The longest escape sequence that is waited for, in bytes.
const LONGEST_ESCAPE: usize = 256;

/// A piece of a line in one look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogSpan {
    /// The text.
    pub text: String,
    /// Classes of the stylesheet, with blanks between; empty for plain text.
    pub class: String,
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// From 1.
    pub number: u64,
    /// Whether it is a command that is echoed before it runs: what follows is folded below it.
    pub command: bool,
    /// Its pieces.
    pub spans: Vec<LogSpan>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Look {
    foreground: Option<u8>,
    background: Option<u8>,
    bold: bool,
    dim: bool,
    italic: bool,
    underlined: bool,
    inverse: bool,
}

impl Look {
    fn class(self) -> String {
        let mut class = Vec::new();
        for (on, word) in [
            (self.bold, "bold"),
            (self.dim, "dim"),
            (self.italic, "italic"),
            (self.underlined, "underlined"),
            (self.inverse, "inverse"),
        ] {
            if on {
                class.push(word.to_owned());
            }
        }
        class.extend(self.foreground.map(|colour| format!("fg{colour}")));
        class.extend(self.background.map(|colour| format!("bg{colour}")));
        class.join(" ")
    }

    /// `ESC [ … m`.
    fn select(&mut self, parameters: &str) {
        let mut numbers = parameters.split([';', ':']).map(|text| text.parse::<u16>().unwrap_or(0));
        while let Some(number) = numbers.next() {
            match number {
                0 => *self = Self::default(),
                1 => self.bold = true,
                2 => self.dim = true,
                3 => self.italic = true,
                4 => self.underlined = true,
                7 => self.inverse = true,
                22 => (self.bold, self.dim) = (false, false),
                23 => self.italic = false,
                24 => self.underlined = false,
                27 => self.inverse = false,
                30..=37 => self.foreground = u8::try_from(number - 30).ok(),
                39 => self.foreground = None,
                40..=47 => self.background = u8::try_from(number - 40).ok(),
                49 => self.background = None,
                90..=97 => self.foreground = u8::try_from(number - 82).ok(),
                100..=107 => self.background = u8::try_from(number - 92).ok(),
                38 | 48 => {
                    let colour = match numbers.next() {
                        Some(5) => numbers.next().and_then(of_256),
                        Some(2) => {
                            let mut part = || numbers.next().unwrap_or(0).min(255);
                            Some(nearest(part(), part(), part()))
                        }
                        _ => None,
                    };
                    match number {
                        38 => self.foreground = colour,
                        _ => self.background = colour,
                    }
                }
                _ => {}
            }
        }
    }
}

/// One of the sixteen colours for one of 256.
fn of_256(number: u16) -> Option<u8> {
    match number {
        0..=15 => u8::try_from(number).ok(),
        16..=231 => {
            let level = |part: u16| if part == 0 { 0 } else { 55 + part * 40 };
            let number = number - 16;
            Some(nearest(level(number / 36), level(number / 6 % 6), level(number % 6)))
        }
        232..=255 => {
            let grey = 8 + (number - 232) * 10;
            Some(nearest(grey, grey, grey))
        }
        _ => None,
    }
}

/// One of the sixteen colours for any.
fn nearest(red: u16, green: u16, blue: u16) -> u8 {
    let most = red.max(green).max(blue);
    let least = red.min(green).min(blue);
    if most - least < 40 {
        return match most {
            0..=60 => 0,
            61..=140 => 8,
            141..=210 => 7,
            _ => 15,
        };
    }
    let middle = least + (most - least) / 2;
    let bit = |part: u16, value: u8| if part > middle { value } else { 0 };
    bit(red, 1) + bit(green, 2) + bit(blue, 4) + if most > 200 { 8 } else { 0 }
}

/// Reads a log piece by piece.
#[derive(Clone, Debug)]
pub struct LogReader {
    number: u64,
    look: Look,
    line: Vec<LogSpan>,
    length: usize,
    cut: bool,
    /// Bytes that may be the beginning of something.
    rest: Vec<u8>,
}

impl Default for LogReader {
    fn default() -> Self {
        Self::at(1)
    }
}

impl LogReader {
    /// For a log whose next line has this number.
    #[must_use]
    pub fn at(number: u64) -> Self {
        Self { number, look: Look::default(), line: Vec::new(), length: 0, cut: false, rest: Vec::new() }
    }

    /// The lines that end in these bytes.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<LogLine> {
        let mut told = Vec::new();
        let mut all = std::mem::take(&mut self.rest);
        all.extend_from_slice(bytes);
        let mut left: &[u8] = &all;
        while let Some(first) = left.first().copied() {
            match first {
                b'\n' => {
                    told.push(self.end());
                    left = tail(left, 1);
                }
                0x1b => match escape(left) {
                    Some((length, select)) => {
                        if let Some(parameters) = select {
                            self.look.select(&parameters);
                        }
                        left = tail(left, length);
                    }
                    None if left.len() > LONGEST_ESCAPE => left = tail(left, 1),
                    None => {
                        self.rest = left.to_vec();
                        return told;
                    }
                },
                // What a progress bar writes over. Before the end of a line it is no more than that.
                b'\r' => match left.get(1) {
                    None => {
                        self.rest = left.to_vec();
                        return told;
                    }
                    Some(b'\n') => left = tail(left, 1),
                    Some(_) => {
                        self.line.clear();
                        (self.length, self.cut) = (0, false);
                        left = tail(left, 1);
                    }
                },
                _ => {
                    let end = left.iter().position(|byte| matches!(byte, b'\n' | b'\r' | 0x1b));
                    let text = left.get(..end.unwrap_or(left.len())).unwrap_or_default();
                    let whole = match (end, std::str::from_utf8(text)) {
                        // The rest of a character may come with the next piece.
                        (None, Err(error)) if error.error_len().is_none() => error.valid_up_to(),
                        _ => text.len(),
                    };
                    self.write(&String::from_utf8_lossy(text.get(..whole).unwrap_or_default()));
                    left = tail(left, whole);
                    if whole < text.len() {
                        self.rest = left.to_vec();
                        return told;
                    }
                }
            }
        }
        told
    }

    /// What was not ended by a line feed, where there is something.
    pub fn finish(mut self) -> Option<LogLine> {
        let rest = String::from_utf8_lossy(&std::mem::take(&mut self.rest)).into_owned();
        self.write(&rest);
        (!self.line.is_empty()).then(|| self.end())
    }

    /// The number of the next line.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    fn write(&mut self, text: &str) {
        if self.cut {
            return;
        }
        let room = LONGEST.saturating_sub(self.length);
        let shown: String = text.chars().filter(|c| *c == '\t' || !c.is_control()).take(room + 1).collect();
        let count = shown.chars().count();
        let (shown, cut) = match count > room {
            true => (shown.chars().take(room).collect::<String>() + " … (cut off)", true),
            false => (shown, false),
        };
        self.length += count;
        self.cut = cut;
        if shown.is_empty() {
            return;
        }
        let class = self.look.class();
        match self.line.last_mut() {
            Some(last) if last.class == class => last.text.push_str(&shown),
            _ => self.line.push(LogSpan { text: shown, class }),
        }
    }

    fn end(&mut self) -> LogLine {
        let number = self.number;
        self.number += 1;
        (self.length, self.cut) = (0, false);
        let spans = std::mem::take(&mut self.line);
        let command = spans.first().is_some_and(|span| span.text.starts_with("+ "));
        LogLine { number, command, spans }
    }
}

fn tail(bytes: &[u8], from: usize) -> &[u8] {
    bytes.get(from..).unwrap_or_default()
}

/// How long the escape sequence at the beginning is, and the parameters where it selects a look; none where it may still go
/// on.
fn escape(bytes: &[u8]) -> Option<(usize, Option<String>)> {
    match bytes.get(1)? {
        b'[' => {
            let body = tail(bytes, 2);
            let end = body.iter().position(|byte| (0x40..=0x7e).contains(byte))?;
            let parameters = String::from_utf8_lossy(body.get(..end)?).into_owned();
            let select = (body.get(end) == Some(&b'm')).then_some(parameters);
            Some((end + 3, select))
        }
        // A title or a link, up to BEL or ESC \.
        b']' => {
            let body = tail(bytes, 2);
            let end = body.iter().position(|byte| matches!(byte, 0x07 | 0x1b))?;
            match body.get(end) {
                Some(0x07) => Some((end + 3, None)),
                _ => body.get(end + 1).map(|_| (end + 4, None)),
            }
        }
        _ => Some((2, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Vec<LogLine> {
        let mut reader = LogReader::default();
        let mut lines = reader.push(bytes);
        lines.extend(reader.finish());
        lines
    }

    fn told(lines: &[LogLine]) -> Vec<String> {
        let span = |span: &LogSpan| match span.class.as_str() {
            "" => span.text.clone(),
            class => format!("<{class}>{}</>", span.text),
        };
        lines.iter().map(|line| line.spans.iter().map(span).collect()).collect()
    }

    #[test]
    fn colours_become_classes() {
        let lines =
            read(b"+ make\n\x1b[1;31mbad\x1b[0m plain \x1b[38;5;10mgreen\x1b[39m\n\x1b[92;44mx\x1b[m");
        assert_eq!(told(&lines), ["+ make", "<bold fg1>bad</> plain <fg10>green</>", "<fg10 bg4>x</>"]);
        assert_eq!(lines.iter().map(|line| line.command).collect::<Vec<_>>(), [true, false, false]);
        assert_eq!(lines.iter().map(|line| line.number).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(told(&read(b"\x1b[38;2;250;10;10mred\x1b[0m")), ["<fg9>red</>"]);
    }

    #[test]
    fn what_moves_the_cursor_is_left_out_and_what_is_written_over_is_gone() {
        assert_eq!(told(&read(b"10%\r50%\r100%\r\nnext\r\n")), ["100%", "next"]);
        assert_eq!(
            told(&read(b"a\x1b[2Kb\x1b[1A\x1b]0;title\x07c\x1b]8;;http://x\x1b\\link\n")),
            ["abclink"]
        );
        assert_eq!(told(&read(b"a\x00\x08b\tc\n")), ["ab\tc"]);
    }

    /// However a log is cut into pieces, it reads the same.
    #[test]
    fn pieces_are_put_together() {
        let log = "ä\u{1f600}\x1b[31mrot\x1b[0m\r\n100%\rdone\n\x1b]0;t\x07z\u{fffd}\n".as_bytes();
        let whole = read(log);
        for at in 0..log.len() {
            for to in at..log.len() {
                let mut reader = LogReader::default();
                let mut lines = reader.push(&log[..at]);
                lines.extend(reader.push(&log[at..to]));
                lines.extend(reader.push(&log[to..]));
                lines.extend(reader.finish());
                assert_eq!(lines, whole, "{at} {to}");
            }
        }
    }

    #[test]
    fn hostile_logs_are_bounded() {
        let long = "x".repeat(1_000_000);
        let lines = read(long.as_bytes());
        assert!(lines[0].spans[0].text.len() < 9_000 && lines[0].spans[0].text.ends_with("(cut off)"));
        let lines = read(&[b"\x1b[".as_slice(), "1;".repeat(100_000).as_bytes()].concat());
        assert_eq!(lines.len(), 1);
        let invalid = read(b"a\xff\xfeb\n");
        assert_eq!(told(&invalid), ["a\u{fffd}\u{fffd}b"]);
    }
}
