//! Patterns of branches, tags and paths: `*` stands for anything but `/`, `**` for anything, `?` for one character
//! but `/`, `[a-z]` and `[!a-z]` for one of a set, `{a,b}` for either, `\` takes the next character as it is.
//!
//! A pattern becomes a small automaton whose states are walked together, so that matching costs at most the length of
//! the pattern times the length of the name, whatever the pattern; alternatives are never written out.

use std::cmp::Reverse;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::bounds;

/// A pattern.
#[derive(Clone, Debug)]
pub struct Glob {
    pattern: String,
    program: Vec<Op>,
    /// Whether nothing in it stands for something else.
    exact: bool,
    /// How many `**` are in it.
    doubles: usize,
}

impl PartialEq for Glob {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern
    }
}

impl Eq for Glob {}

impl Serialize for Glob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.pattern)
    }
}

impl<'de> Deserialize<'de> for Glob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(|malformed| de::Error::custom(malformed.0))
    }
}

/// A state of the automaton.
#[derive(Clone, Debug, PartialEq)]
enum Op {
    Char(char),
    /// One character but `/`.
    One,
    /// One character.
    Any,
    Set {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// On to both states.
    Split(usize, usize),
    Jump(usize),
}

/// How closely a pattern fits a name: the greater, the more specific.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fit {
    exact: bool,
    /// Characters of the name that stand in the pattern.
    literal: usize,
    /// Fewer `**` are more specific.
    doubles: Reverse<usize>,
}

/// Why a text is not a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) String);

impl Glob {
    /// Reads a pattern.
    pub(crate) fn parse(pattern: &str) -> Result<Self, Malformed> {
        if pattern.len() > bounds::PATTERN {
            return Err(Malformed(format!("a pattern has at most {} bytes", bounds::PATTERN)));
        }
        let mut compiler =
            Compiler { rest: pattern.chars().collect(), at: 0, program: Vec::new(), doubles: 0 };
        compiler.sequence(0)?;
        let exact = compiler.program.iter().all(|op| matches!(op, Op::Char(_)));
        let Compiler { program, doubles, .. } = compiler;
        Ok(Self { pattern: pattern.to_owned(), program, exact, doubles })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.pattern
    }

    /// Whether the whole name fits.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.fit(name).is_some()
    }

    /// How closely the name fits, where it does.
    #[must_use]
    pub fn fit(&self, name: &str) -> Option<Fit> {
        let mut unlimited = usize::MAX;
        let literal = self.run(name, &mut unlimited)??;
        Some(Fit { exact: self.exact, literal, doubles: Reverse(self.doubles) })
    }

    /// Whether the whole name fits; nothing where finding out would cost more work than is left.
    pub(crate) fn matches_within(&self, name: &str, work: &mut usize) -> Option<bool> {
        self.run(name, work).map(|literal| literal.is_some())
    }

    /// The most characters of the name that stand in the pattern, where the name fits.
    fn run(&self, name: &str, work: &mut usize) -> Option<Option<usize>> {
        let mut states = States::new(self.program.len());
        states.enter(&self.program, 0, 0);
        let mut on: Vec<(usize, usize)> = Vec::new();
        for letter in name.chars() {
            *work = work.checked_sub(states.entered.len() + 1)?;
            states.leave(|state, literal| match self.program.get(state) {
                Some(Op::Char(own)) if *own == letter => on.push((literal + 1, state + 1)),
                Some(op) if op.fits(letter) => on.push((literal, state + 1)),
                _ => {}
            });
            if on.is_empty() {
                return Some(None);
            }
            // The best way into a state comes first, so that no state is entered twice.
            on.sort_unstable_by(|one, other| other.cmp(one));
            for (literal, state) in on.drain(..) {
                states.enter(&self.program, state, literal);
            }
        }
        Some(states.best.get(self.program.len()).copied().flatten())
    }
}

impl Op {
    /// Whether this stands for the letter, without being it.
    fn fits(&self, letter: char) -> bool {
        match self {
            Self::One => letter != '/',
            Self::Any => true,
            Self::Set { negated, ranges } => {
                let within = ranges.iter().any(|(from, to)| (*from..=*to).contains(&letter));
                letter != '/' && within != *negated
            }
            Self::Char(_) | Self::Split(..) | Self::Jump(_) => false,
        }
    }
}

/// The states that the automaton is in, each with the most literal characters on a way to it.
struct States {
    best: Vec<Option<usize>>,
    entered: Vec<usize>,
    /// States that are still to be entered: empty between calls.
    pending: Vec<usize>,
}

impl States {
    fn new(length: usize) -> Self {
        Self { best: vec![None; length + 1], entered: Vec::new(), pending: Vec::new() }
    }

    /// Enters a state, and those that follow from it without a character.
    fn enter(&mut self, program: &[Op], state: usize, literal: usize) {
        self.pending.push(state);
        while let Some(state) = self.pending.pop() {
            let Some(best @ None) = self.best.get_mut(state) else { continue };
            *best = Some(literal);
            self.entered.push(state);
            match program.get(state) {
                Some(Op::Split(one, other)) => self.pending.extend([*other, *one]),
                Some(Op::Jump(to)) => self.pending.push(*to),
                _ => {}
            }
        }
    }

    /// Leaves them all, one after the other.
    fn leave(&mut self, mut each: impl FnMut(usize, usize)) {
        for state in self.entered.drain(..) {
            if let Some(literal) = self.best.get_mut(state).and_then(Option::take) {
                each(state, literal);
            }
        }
    }
}

struct Compiler {
    rest: Vec<char>,
    at: usize,
    program: Vec<Op>,
    doubles: usize,
}

impl Compiler {
    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.at += 1;
        Some(letter)
    }

    fn take(&mut self, wanted: char) -> bool {
        let there = self.peek() == Some(wanted);
        self.at += usize::from(there);
        there
    }

    /// Up to the end of the pattern, or of an alternative.
    fn sequence(&mut self, depth: usize) -> Result<(), Malformed> {
        while let Some(letter) = self.peek() {
            if depth > 0 && matches!(letter, ',' | '}') {
                return Ok(());
            }
            self.at += 1;
            match letter {
                '*' => self.star(),
                '?' => self.program.push(Op::One),
                '[' => self.set()?,
                '{' => self.alternatives(depth + 1)?,
                '\\' => {
                    let literal = self.next().ok_or_else(|| Malformed("nothing follows `\\`".to_owned()))?;
                    self.program.push(Op::Char(literal));
                }
                '}' => return Err(Malformed("`}` closes nothing; write `\\}` for the character".to_owned())),
                literal => self.program.push(Op::Char(literal)),
            }
        }
        if depth > 0 { Err(Malformed("`{` is opened and not closed".to_owned())) } else { Ok(()) }
    }

    /// Behind a first `*`.
    fn star(&mut self) {
        let before = self.at.checked_sub(2).and_then(|at| self.rest.get(at));
        let starts_part = matches!(before, None | Some('/' | '{' | ','));
        if !self.take('*') {
            return self.repeat(Op::One);
        }
        while self.take('*') {}
        self.doubles += 1;
        // `**/` at the start of a part stands for any number of folders, none included.
        if starts_part && self.take('/') {
            let split = self.program.len();
            self.program.push(Op::Jump(0));
            self.repeat(Op::Any);
            self.program.push(Op::Char('/'));
            let end = self.program.len();
            self.set_op(split, Op::Split(split + 1, end));
        } else {
            self.repeat(Op::Any);
        }
    }

    /// Any number of these.
    fn repeat(&mut self, op: Op) {
        let split = self.program.len();
        self.program.extend([Op::Split(split + 1, split + 3), op, Op::Jump(split)]);
    }

    fn set(&mut self) -> Result<(), Malformed> {
        let unclosed = || Malformed("`[` is opened and not closed".to_owned());
        let negated = self.take('!') || self.take('^');
        let mut ranges = Vec::new();
        loop {
            let mut from = self.next().ok_or_else(unclosed)?;
            if from == ']' && !ranges.is_empty() {
                break;
            }
            if from == '\\' {
                from = self.next().ok_or_else(unclosed)?;
            }
            let mut to = from;
            if self.peek() == Some('-') && self.rest.get(self.at + 1).is_some_and(|end| *end != ']') {
                self.at += 1;
                to = self.next().ok_or_else(unclosed)?;
            }
            if to < from {
                return Err(Malformed(format!("the range `{from}-{to}` is empty")));
            }
            ranges.push((from, to));
        }
        self.program.push(Op::Set { negated, ranges });
        Ok(())
    }

    /// Behind `{`: each alternative begins with a way to the next one, and ends with a way behind the last one.
    fn alternatives(&mut self, depth: usize) -> Result<(), Malformed> {
        let mut ends = Vec::new();
        loop {
            let split = self.program.len();
            self.program.push(Op::Jump(0));
            self.sequence(depth)?;
            if !self.take(',') {
                // The last one has no other way to go.
                self.set_op(split, Op::Jump(split + 1));
                self.take('}');
                break;
            }
            ends.push(self.program.len());
            self.program.push(Op::Jump(0));
            let next = self.program.len();
            self.set_op(split, Op::Split(split + 1, next));
        }
        let behind = self.program.len();
        for end in ends {
            self.set_op(end, Op::Jump(behind));
        }
        Ok(())
    }

    fn set_op(&mut self, at: usize, op: Op) {
        if let Some(slot) = self.program.get_mut(at) {
            *slot = op;
        }
    }
}

/// The index of the entry whose pattern fits the name best; of equals, the first.
pub(crate) fn most_specific<'a>(patterns: impl Iterator<Item = &'a Glob>, name: &str) -> Option<usize> {
    let fits = patterns.enumerate().filter_map(|(at, glob)| Some((glob.fit(name)?, at)));
    fits.max_by_key(|(fit, at)| (*fit, Reverse(*at))).map(|(_, at)| at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Glob::parse(pattern).unwrap().matches(name)
    }

    #[test]
    fn wildcards() {
        for (pattern, yes, no) in [
            ("main", &["main"][..], &["mains", "mai", ""][..]),
            ("*", &["main", ""], &["feature/x"]),
            ("**", &["main", "feature/x/y", ""], &[]),
            ("feature/*", &["feature/x", "feature/"], &["feature", "feature/x/y", "xfeature/x"]),
            ("feature/**", &["feature/x", "feature/x/y"], &["feature"]),
            ("**/pom.xml", &["pom.xml", "a/pom.xml", "a/b/pom.xml"], &["apom.xml"]),
            ("a/**/b", &["a/b", "a/x/b", "a/x/y/b"], &["ab", "a/xb"]),
            ("a**b", &["ab", "a/b", "axb"], &["a"]),
            ("v?.?", &["v1.2"], &["v1.23", "v/.1"]),
            ("v[0-9]*", &["v1", "v1.2"], &["va", "v"]),
            ("[!a-c]x", &["dx"], &["ax", "/x"]),
            ("[]a]", &["]", "a"], &["b"]),
            ("[a-]", &["a", "-"], &["b"]),
            ("{feature/*,hotfix/*,main}", &["feature/a", "hotfix/b", "main"], &["develop", "feature/a/b"]),
            ("a{b,c{d,e}}f", &["abf", "acdf", "acef"], &["acf", "af"]),
            ("a{,b}", &["a", "ab"], &["b"]),
            ("{only}", &["only"], &["{only}"]),
            (r"\*\{", &["*{"], &["a{"]),
            ("größe-*", &["größe-ä"], &["grösse-ä"]),
        ] {
            for name in yes {
                assert!(matches(pattern, name), "{pattern} {name}");
            }
            for name in no {
                assert!(!matches(pattern, name), "{pattern} {name}");
            }
        }
    }

    #[test]
    fn malformed_patterns_are_refused() {
        for pattern in ["[a", "[", "[]", "{a", "{a,{b}", "a}", "\\", "[b-a]", &"a".repeat(257)] {
            assert!(Glob::parse(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn the_most_specific_pattern_wins() {
        let best = |patterns: &[&str], name: &str| {
            let globs: Vec<Glob> = patterns.iter().map(|p| Glob::parse(p).unwrap()).collect();
            most_specific(globs.iter(), name).map(|at| patterns[at].to_owned())
        };
        let order = ["*", "my-*", "my-branch-*", "my-branch-a"];
        assert_eq!(best(&order, "my-branch-a").unwrap(), "my-branch-a");
        assert_eq!(best(&order, "my-branch-b").unwrap(), "my-branch-*");
        assert_eq!(best(&order, "my-b").unwrap(), "my-*");
        assert_eq!(best(&order, "main").unwrap(), "*");
        assert_eq!(best(&["**", "*"], "main").unwrap(), "*");
        assert_eq!(best(&["{main,develop}", "main"], "main").unwrap(), "main");
        assert_eq!(best(&["ma*", "{main,x*}"], "main").unwrap(), "{main,x*}");
        assert_eq!(best(&["a*", "*a"], "aba").unwrap(), "a*", "of equals, the first");
        assert_eq!(best(&order, "feature/x"), None);
    }

    /// A pattern that makes a backtracking matcher try all ways to cut a name must cost no more than others.
    #[test]
    fn hostile_patterns_cost_their_length_times_the_names() {
        let name = format!("{}b", "a".repeat(5000));
        let mut work = 10_000_000;
        for pattern in [&"*a".repeat(120), &"**a".repeat(80), &"{a,a}".repeat(50), &"{*,**}".repeat(40)] {
            let glob = Glob::parse(pattern).unwrap();
            assert!(glob.matches_within(&name, &mut work).is_some(), "{pattern}");
        }
        let nested = format!("{}a{}", "{".repeat(120), "}".repeat(120));
        assert!(matches(&nested, "a"));
        assert_eq!(Glob::parse(&"*a".repeat(120)).unwrap().matches_within(&name, &mut 1000), None);
    }

    proptest! {
        /// Catches a parser that panics, and a pattern without special characters that is more than a name.
        #[test]
        fn any_pattern_is_read_or_refused(pattern in "[a-c*?{},/\\\\!\\[\\]-]{0,24}", name in "[a-c/]{0,12}") {
            if let Ok(glob) = Glob::parse(&pattern) {
                let _ = glob.matches(&name);
                if glob.exact && !pattern.contains('\\') {
                    prop_assert_eq!(glob.matches(&name), pattern == name);
                }
            }
        }

        /// Alternatives are what they stand for, written out.
        #[test]
        fn alternatives_are_a_choice(a in "[ab*]{0,4}", b in "[ab*]{0,4}", rest in "[ab*]{0,3}", name in "[ab/]{0,6}") {
            let either = matches(&format!("{{{a},{b}}}{rest}"), &name);
            // Stars that meet across the brace are two single stars, not a double one.
            prop_assume!(!(a.ends_with('*') || b.ends_with('*')) || !rest.starts_with('*'));
            prop_assert_eq!(either, matches(&format!("{a}{rest}"), &name) || matches(&format!("{b}{rest}"), &name));
        }
    }
}
