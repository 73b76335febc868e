//! Hides secrets in what a step prints: wherever a secured value occurs, `$NAME` is shown in its place.
//!
//! A value is also found where it was encoded on its way (Base64 at each of its three alignments, percent-encoding,
//! JSON, hexadecimal digits, a shell's quotes), where line breaks were put into it, and where it came in several
//! pieces. Of a value of several lines each line is found by itself. Values shorter than [`SHORTEST`] bytes, space at
//! their ends not counted, are not hidden: they occur everywhere by chance, and hiding each would tell what they are.
//! [`Masker::too_short`] names them. Someone who means to print a secret can still do so, in an encoding that is not
//! listed here.
//!
//! Bytes go in and come out, each looked at once; what may be the beginning of a secret is held back, and no more. The
//! output does not depend on how the input was cut.

use std::collections::{BTreeSet, VecDeque};

use aho_corasick::{
    Anchored, MatchKind,
    automaton::{Automaton, StateID},
    nfa::noncontiguous,
};

use crate::{bounds, encoding};

/// The shortest value that is hidden, in bytes; of an encoded value, the shortest part.
pub const SHORTEST: usize = 4;

/// Hides secrets in a stream.
pub struct Masker {
    automaton: noncontiguous::NFA,
    /// What each state of the automaton means, by its number.
    states: Vec<State>,
    /// `$NAME`, for each pattern.
    masks: Vec<String>,
    too_short: Vec<String>,
    state: StateID,
    /// How many bytes have come, line breaks not counted.
    position: usize,
    /// What has come and not gone.
    held: VecDeque<u8>,
    /// How many bytes have gone, line breaks not counted.
    gone: usize,
    /// Parts to hide, in order, apart from each other, none of them gone as a whole.
    hidden: VecDeque<Hidden>,
}

#[derive(Clone, Copy, Default)]
struct State {
    /// How many of the last bytes may be the beginning of a secret.
    beginning: usize,
    /// The longest pattern that ends here: its length and its number.
    ends: Option<(usize, usize)>,
}

struct Hidden {
    from: usize,
    to: usize,
    pattern: usize,
}

/// Why there is no masker: then nothing may be shown.
#[derive(Debug, thiserror::Error)]
pub enum MaskError {
    /// The values are too large together.
    #[error("the secured variables of a step have at most {} bytes together", bounds::SECRETS)]
    TooLarge,
    /// The automaton could not be built.
    #[error("the secured variables cannot be looked for: {0}")]
    Automaton(#[from] aho_corasick::BuildError),
}

impl Masker {
    /// For these secrets, by the names of their variables.
    ///
    /// # Errors
    /// When the values are too large; nothing may be shown then.
    pub fn new<'a>(secrets: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Self, MaskError> {
        let mut patterns: Vec<Vec<u8>> = Vec::new();
        let mut masks = Vec::new();
        let mut too_short = Vec::new();
        let mut known = BTreeSet::new();
        let mut total = 0;
        for (name, value) in secrets {
            total += value.len();
            if total > bounds::SECRETS {
                return Err(MaskError::TooLarge);
            }
            if without_breaks(value).trim_ascii().len() < SHORTEST {
                too_short.push(name.to_owned());
                continue;
            }
            for form in encoding::forms(value) {
                let form = without_breaks(&form);
                if form.len() >= SHORTEST && known.insert(form.clone()) {
                    patterns.push(form);
                    masks.push(format!("${name}"));
                }
            }
        }
        let automaton = noncontiguous::Builder::new().match_kind(MatchKind::Standard).build(&patterns)?;
        let start = start(&automaton);
        let states = states(&automaton, &patterns);
        Ok(Self {
            automaton,
            states,
            masks,
            too_short,
            state: start,
            position: 0,
            held: VecDeque::new(),
            gone: 0,
            hidden: VecDeque::new(),
        })
    }

    /// The variables whose values are too short to be hidden.
    #[must_use]
    pub fn too_short(&self) -> &[String] {
        &self.too_short
    }

    /// Takes bytes, and gives what can be shown by now.
    pub fn push(&mut self, bytes: &[u8], shown: &mut Vec<u8>) {
        for byte in bytes {
            self.held.push_back(*byte);
            if !is_break(*byte) {
                self.advance(*byte);
            }
            self.release(self.position - self.meaning().beginning, shown);
        }
    }

    /// Gives what is left, at the end of the stream.
    pub fn finish(&mut self, shown: &mut Vec<u8>) {
        self.release(self.position, shown);
        self.state = start(&self.automaton);
    }

    fn meaning(&self) -> State {
        self.states.get(self.state.as_usize()).copied().unwrap_or_default()
    }

    fn advance(&mut self, byte: u8) {
        self.state = self.automaton.next_state(Anchored::No, self.state, byte);
        self.position += 1;
        if let Some((length, pattern)) = self.meaning().ends {
            self.hide(self.position - length, pattern);
        }
    }

    /// Hides from a place up to here, together with what is hidden already and touches it.
    fn hide(&mut self, from: usize, pattern: usize) {
        let mut part = Hidden { from, to: self.position, pattern };
        while let Some(last) = self.hidden.back()
            && last.to > part.from
        {
            if last.from < part.from {
                part = Hidden { from: last.from, pattern: last.pattern, ..part };
            }
            self.hidden.pop_back();
        }
        self.hidden.push_back(part);
    }

    /// Shows what no secret can begin in any more: all before `safe`, and the line breaks behind it.
    fn release(&mut self, safe: usize, shown: &mut Vec<u8>) {
        while let Some(byte) = self.held.front().copied() {
            if is_break(byte) {
                shown.push(byte);
            } else if self.gone < safe {
                self.show(byte, shown);
            } else {
                break;
            }
            self.held.pop_front();
        }
    }

    fn show(&mut self, byte: u8, shown: &mut Vec<u8>) {
        match self.hidden.front() {
            Some(part) if part.from <= self.gone => {
                if part.from == self.gone {
                    let mask = self.masks.get(part.pattern).map(String::as_bytes);
                    shown.extend_from_slice(mask.unwrap_or_default());
                }
                if part.to == self.gone + 1 {
                    self.hidden.pop_front();
                }
            }
            _ => shown.push(byte),
        }
        self.gone += 1;
    }
}

fn is_break(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

fn without_breaks(value: &[u8]) -> Vec<u8> {
    value.iter().copied().filter(|byte| !is_break(*byte)).collect()
}

fn start(automaton: &noncontiguous::NFA) -> StateID {
    // Only an automaton that was built for anchored searches alone has no such state.
    automaton.start_state(Anchored::No).unwrap_or_default()
}

/// What each state means. Every state but the first lies on the way of a pattern, and the way to it is the longest
/// beginning of a pattern that the last bytes can be.
fn states(automaton: &noncontiguous::NFA, patterns: &[Vec<u8>]) -> Vec<State> {
    let mut states = Vec::new();
    for pattern in patterns {
        let mut state = start(automaton);
        for (at, byte) in pattern.iter().enumerate() {
            state = automaton.next_state(Anchored::No, state, *byte);
            let number = state.as_usize();
            if states.len() <= number {
                states.resize(number + 1, State::default());
            }
            if let Some(meaning) = states.get_mut(number).filter(|meaning| meaning.beginning == 0) {
                *meaning = State { beginning: at + 1, ends: longest(automaton, state) };
            }
        }
    }
    states
}

fn longest(automaton: &noncontiguous::NFA, state: StateID) -> Option<(usize, usize)> {
    if !automaton.is_match(state) {
        return None;
    }
    let patterns = (0..automaton.match_len(state)).map(|index| automaton.match_pattern(state, index));
    patterns
        .map(|pattern| (automaton.pattern_len(pattern), pattern.as_usize()))
        .max_by_key(|(length, _)| *length)
}

#[cfg(test)]
#[path = "mask_tests.rs"]
mod tests;
