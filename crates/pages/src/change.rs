//! Patches for readers: what git wrote, parsed into files, hunks and lines. The text is git's, the content anybody's:
//! what cannot be understood is left out, and everything is bounded.

use crate::code::shortened;

/// How much is shown at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Lines of the whole patch.
    pub lines: usize,
    /// Lines of one file.
    pub lines_of_file: usize,
    /// Characters of one line.
    pub characters: usize,
}

impl Limits {
    /// Of a page with every file of a commit.
    pub const COMMIT: Self = Self { lines: 1_500, lines_of_file: 400, characters: LONGEST_LINE };
    /// Of a page with one file.
    pub const FILE: Self = Self { lines: 10_000, lines_of_file: 10_000, characters: LONGEST_LINE };
    /// Of a text that tells what was changed, whose lines are shown to their ends.
    pub const WHOLE: Self = Self { characters: usize::MAX, ..Self::FILE };
}

/// The longest line that is shown whole, in characters.
const LONGEST_LINE: usize = 500;

/// A line of a hunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Where the hunk is: git's own line.
    Hunk(String),
    /// On both sides: old number, new number, text.
    Same(u64, u64, String),
    /// On the new side: number, text.
    Added(u64, String),
    /// On the old side: number, text.
    Removed(u64, String),
    /// A remark of git's, such as that there is no newline at the end.
    Remark(String),
}

/// One file of a patch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileChange {
    /// Where it was; empty when it is new.
    pub old_path: Vec<u8>,
    /// Where it is; empty when it is gone.
    pub new_path: Vec<u8>,
    /// What git says of its mode, such as `new file mode 100755`.
    pub remarks: Vec<String>,
    /// Whether its content is no text.
    pub binary: bool,
    /// The lines.
    pub lines: Vec<Line>,
    /// Whether more lines follow.
    pub cut: bool,
}

impl FileChange {
    /// The path to show.
    #[must_use]
    pub fn path(&self) -> String {
        let path = if self.new_path.is_empty() { &self.old_path } else { &self.new_path };
        String::from_utf8_lossy(path).into_owned()
    }

    /// The former path, where it is another.
    #[must_use]
    pub fn former_path(&self) -> Option<String> {
        let moved = !self.old_path.is_empty() && !self.new_path.is_empty() && self.old_path != self.new_path;
        moved.then(|| String::from_utf8_lossy(&self.old_path).into_owned())
    }

    /// Lines that came and went, of those that are shown.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let of = |wanted: fn(&Line) -> bool| self.lines.iter().filter(|line| wanted(line)).count();
        (of(|line| matches!(line, Line::Added(..))), of(|line| matches!(line, Line::Removed(..))))
    }
}

/// A patch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    /// Its files.
    pub files: Vec<FileChange>,
    /// Whether more files follow.
    pub cut: bool,
}

struct Reader {
    patch: Patch,
    limits: Limits,
    /// What is left of the hunk at hand, on either side.
    left: (u64, u64),
    /// The numbers of the next line, on either side.
    at: (u64, u64),
    shown: usize,
}

/// Reads a patch; `whole` is false where its end was not read.
#[must_use]
pub fn read(patch: &[u8], limits: Limits, whole: bool) -> Patch {
    let mut reader = Reader { patch: Patch::default(), limits, left: (0, 0), at: (0, 0), shown: 0 };
    let mut rest = patch;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n');
        let (line, more) = match end {
            Some(end) => (rest.get(..end).unwrap_or_default(), rest.get(end + 1..).unwrap_or_default()),
            // The end of what was read is no end of a line.
            None if !whole => break,
            None => (rest, &[][..]),
        };
        rest = more;
        if !reader.line(line) {
            break;
        }
    }
    reader.patch.cut |= !whole;
    reader.patch
}

/// The lines of a patch of one text, without git's own head; and whether more follow.
#[must_use]
pub fn lines_of(patch: &str, limits: Limits) -> (Vec<Line>, bool) {
    let whole = format!("diff --git a/text b/text\n{patch}");
    let file = read(whole.as_bytes(), limits, true).files.pop().unwrap_or_default();
    (file.lines, file.cut)
}

impl Reader {
    /// Takes a line; false once nothing more is shown.
    fn line(&mut self, line: &[u8]) -> bool {
        if self.left.0 > 0 || self.left.1 > 0 || line.starts_with(b"\\") {
            self.content(line);
            return true;
        }
        if line.starts_with(b"diff --git ") {
            if self.shown >= self.limits.lines {
                self.patch.cut = true;
                return false;
            }
            let path = both(line.get(b"diff --git ".len()..).unwrap_or_default());
            self.patch.files.push(FileChange {
                old_path: path.clone(),
                new_path: path,
                ..FileChange::default()
            });
            return true;
        }
        let text = String::from_utf8_lossy(line);
        let Some(file) = self.patch.files.last_mut() else { return true };
        if let Some(path) = line.strip_prefix(b"--- ") {
            file.old_path = side(path, b"a/");
        } else if let Some(path) = line.strip_prefix(b"+++ ") {
            file.new_path = side(path, b"b/");
        } else if let Some(path) = line.strip_prefix(b"rename from ") {
            file.old_path = unquoted(path);
        } else if let Some(path) = line.strip_prefix(b"rename to ") {
            file.new_path = unquoted(path);
        } else if line.starts_with(b"Binary files ") || line.starts_with(b"GIT binary patch") {
            file.binary = true;
        } else if let Some(at) = text.strip_prefix("@@ ").and_then(hunk) {
            (self.at, self.left) = at;
            let (text, _) = shortened(&text, LONGEST_LINE);
            self.push(Line::Hunk(text));
        } else if ["old mode", "new mode", "new file mode", "deleted file mode", "similarity index"]
            .iter()
            .any(|head| text.starts_with(head))
        {
            if text.starts_with("new file") {
                file.old_path.clear();
            } else if text.starts_with("deleted file") {
                file.new_path.clear();
            }
            let plain = text.strip_suffix(" mode 100644").unwrap_or(&text);
            file.remarks.push(shortened(plain, LONGEST_LINE).0);
        }
        true
    }

    fn content(&mut self, line: &[u8]) {
        let (mark, text) = line.split_first().unwrap_or((&b' ', &[]));
        let text = String::from_utf8_lossy(text);
        let (text, _) = shortened(text.strip_suffix('\r').unwrap_or(&text), self.limits.characters);
        let (old, new) = self.at;
        let line = match mark {
            b'+' => {
                self.left.1 = self.left.1.saturating_sub(1);
                self.at.1 = new.saturating_add(1);
                Line::Added(new, text)
            }
            b'-' => {
                self.left.0 = self.left.0.saturating_sub(1);
                self.at.0 = old.saturating_add(1);
                Line::Removed(old, text)
            }
            b'\\' => Line::Remark(text.trim().to_owned()),
            _ => {
                self.left = (self.left.0.saturating_sub(1), self.left.1.saturating_sub(1));
                self.at = (old.saturating_add(1), new.saturating_add(1));
                Line::Same(old, new, text)
            }
        };
        self.push(line);
    }

    fn push(&mut self, line: Line) {
        let Limits { lines, lines_of_file, .. } = self.limits;
        let Some(file) = self.patch.files.last_mut() else { return };
        if self.shown >= lines || file.lines.len() >= lines_of_file {
            file.cut = true;
            return;
        }
        self.shown += 1;
        file.lines.push(line);
    }
}

/// `-1,5 +1,7 @@ …`: where the sides begin, and how long they are.
fn hunk(text: &str) -> Option<((u64, u64), (u64, u64))> {
    let mut parts = text.split(' ');
    let mut range = |mark: char| {
        let range = parts.next()?.strip_prefix(mark)?;
        let (start, length) = range.split_once(',').unwrap_or((range, "1"));
        Some((start.parse().ok()?, length.parse().ok()?))
    };
    let (old, new): ((u64, u64), (u64, u64)) = (range('-')?, range('+')?);
    Some(((old.0, new.0), (old.1, new.1)))
}

/// The path that `a/path b/path` names twice; where the two differ, other lines tell them.
fn both(sides: &[u8]) -> Vec<u8> {
    let (one, other) = sides.split_at_checked(sides.len() / 2).unwrap_or_default();
    let one = side(one, b"a/");
    let other = side(other.strip_prefix(b" ").unwrap_or(other), b"b/");
    if one == other { one } else { Vec::new() }
}

/// A path behind `---` or `+++`; empty for `/dev/null`.
fn side(path: &[u8], prefix: &[u8]) -> Vec<u8> {
    // Git ends a path that holds a blank with a tab here.
    let path = unquoted(path.strip_suffix(b"\t").unwrap_or(path));
    if path == b"/dev/null" {
        return Vec::new();
    }
    path.strip_prefix(prefix).map(<[u8]>::to_vec).unwrap_or(path)
}

/// A path as git writes it: between quotation marks, with C's escapes, where it holds anything special.
fn unquoted(path: &[u8]) -> Vec<u8> {
    let Some(inner) = path.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) else {
        return path.to_vec();
    };
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let [first, more @ ..] = rest {
        rest = more;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let digit = |byte: &u8| (b'0'..=b'7').contains(byte).then(|| u32::from(byte - b'0'));
        match rest {
            [a, b, c, more @ ..] if [a, b, c].iter().all(|byte| digit(byte).is_some()) => {
                let value =
                    [a, b, c].iter().filter_map(|byte| digit(byte)).fold(0, |value, digit| value * 8 + digit);
                bytes.push(u8::try_from(value & 0xff).unwrap_or(b'?'));
                rest = more;
            }
            [escape, more @ ..] => {
                bytes.push(match escape {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    b'a' => 7,
                    b'b' => 8,
                    b'f' => 12,
                    b'v' => 11,
                    other => *other,
                });
                rest = more;
            }
            [] => {}
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATCH: &[u8] = b"diff --git a/a b.txt b/a b.txt\nindex 1..2 100644\n--- a/a b.txt\t\n+++ b/a b.txt\t\n@@ -1,2 +1,3 @@ fn x\n one\n-two\n+--- two\n+three\n\\ No newline at end of file\ndiff --git \"a/\\303\\274\" \"b/\\303\\274\"\nnew file mode 100755\n--- /dev/null\n+++ \"b/\\303\\274\"\n@@ -0,0 +1 @@\n+x\ndiff --git a/p.png b/p.png\nBinary files a/p.png and b/p.png differ\ndiff --git a/o b/n\nsimilarity index 100%\nrename from o\nrename to n\n";

    fn patch(limits: Limits) -> Patch {
        read(PATCH, limits, true)
    }

    #[test]
    fn a_patch_is_read_as_git_wrote_it() {
        let patch = patch(Limits::COMMIT);
        let [text, new, binary, moved] = patch.files.as_slice() else { panic!("{patch:?}") };
        assert_eq!((text.path().as_str(), text.counts()), ("a b.txt", (2, 1)));
        assert_eq!(text.lines.get(2), Some(&Line::Removed(2, "two".to_owned())));
        assert_eq!(text.lines.get(3), Some(&Line::Added(2, "--- two".to_owned())));
        assert_eq!(text.lines.last(), Some(&Line::Remark("No newline at end of file".to_owned())));
        assert_eq!((new.path().as_str(), new.old_path.is_empty(), new.remarks.len()), ("ü", true, 1));
        assert!(binary.binary && binary.path() == "p.png", "{binary:?}");
        assert_eq!((moved.path().as_str(), moved.former_path().as_deref()), ("n", Some("o")));
        assert!(!patch.cut);
    }

    #[test]
    fn what_is_too_long_is_cut_and_said_so() {
        let short = patch(Limits { lines: 3, lines_of_file: 2, ..Limits::FILE });
        assert!(short.files.first().is_some_and(|file| file.cut && file.lines.len() == 2));
        assert!(read(PATCH.get(..200).unwrap(), Limits::COMMIT, false).cut);
        assert!(patch(Limits { lines: 1, lines_of_file: 9, ..Limits::FILE }).cut);
    }

    /// Would catch: what a text loses, taken for the head of its patch.
    #[test]
    fn a_patch_of_one_text_has_its_lines_alone() {
        let patch = "--- f.yml\n+++ final\n@@ -1,2 +1,2 @@\n a\n--- b\n+++ c\n";
        let (lines, cut) = lines_of(patch, Limits::FILE);
        let expected = [
            Line::Hunk("@@ -1,2 +1,2 @@".to_owned()),
            Line::Same(1, 1, "a".to_owned()),
            Line::Removed(2, "-- b".to_owned()),
            Line::Added(2, "++ c".to_owned()),
        ];
        assert_eq!((lines.as_slice(), cut), (&expected[..], false));
        assert!(lines_of(patch, Limits { lines: 2, lines_of_file: 2, ..Limits::FILE }).1);
        assert_eq!(lines_of("", Limits::FILE), (Vec::new(), false));
        // What is changed at the end of a long line is seen.
        let long = format!("@@ -1 +1 @@\n-{0}a\n+{0}b\n", "x".repeat(LONGEST_LINE));
        let (lines, _) = lines_of(&long, Limits::WHOLE);
        assert!(matches!(&lines[2], Line::Added(_, text) if text.ends_with("xb")), "{lines:?}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(lines in proptest::collection::vec("(diff --git |@@ -|@@ -1,9 \\+1,9 @@|\\+\\+\\+ |--- |[-+ \\\\]).{0,20}", 0..30), whole: bool) {
            let patch = read(lines.join("\n").as_bytes(), Limits { lines: 10, lines_of_file: 5, ..Limits::FILE }, whole);
            prop_assert!(patch.files.iter().map(|file| file.lines.len()).sum::<usize>() <= 10);
        }

        #[test]
        fn what_is_quoted_is_read_back(bytes in proptest::collection::vec(any::<u8>(), 0..30)) {
            let quoted: String = bytes.iter().map(|byte| format!("\\{byte:03o}")).collect();
            prop_assert_eq!(unquoted(format!("\"{quoted}\"").as_bytes()), bytes);
        }
    }
}
