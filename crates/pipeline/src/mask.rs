//! Hides secrets in what a step prints: wherever a secured value occurs, `$NAME` is shown in its place.
//!
//! A value is also found where it was encoded on its way (Base64 at each of its three alignments, percent-encoding,
//! JSON, hexadecimal digits, a shell's quotes), where line breaks were put into it, and where it came in several
//! pieces. Of a value of several lines each line is found by itself. Values shorter than [`SHORTEST`] bytes, space at
//! their ends not counted, are not hidden: they occur everywhere by chance, and hiding each would tell what they are.
//! [`Masker::too_short`] names them. Someone who means to print a secret can still do so, in an encoding that is not
//! listed here.
//!
//! Of an identity token the signature is hidden: what else it says is no secret, and opens nothing without it. A step may have
//! hundreds of tokens, so the automaton knows the beginning of each signature alone, which occurs nowhere by chance; what
//! follows is hidden for as long as it goes on as the signature does.
//!
//! Bytes go in and come out, each looked at once; what may be the beginning of a secret is held back, and no more. The
//! output does not depend on how the input was cut.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::Arc;

use aho_corasick::{
    Anchored, MatchKind,
    automaton::{Automaton, StateID},
    nfa::noncontiguous,
};

use crate::{bounds, encoding};

/// The shortest value that is hidden, in bytes; of an encoded value, the shortest part.
pub const SHORTEST: usize = 4;

/// How much of a signature tells it from everything else, in bytes, in whatever form it is printed: of one that is printed
/// as it is 192 bits, of one in hexadecimal digits 96.
const TELLING: usize = 32;

/// How long signatures are, in bytes as they stand in a token: with ES256 86, with RS256 and a key of 2048 bits 342.
const SIGNATURE: RangeInclusive<usize> = 40..=1400;

/// A secret, and the name of the variable that is shown in its place.
#[derive(Clone, Copy)]
pub struct Secret<'a> {
    name: &'a str,
    /// What is looked for: of a token, the signature.
    value: &'a [u8],
    is_token: bool,
}

impl<'a> Secret<'a> {
    /// A value, all of which is hidden.
    #[must_use]
    pub fn value(name: &'a str, value: &'a [u8]) -> Self {
        Self { name, value, is_token: false }
    }

    /// A JSON Web Token, of which the signature is hidden. Anything else is hidden as a value.
    #[must_use]
    pub fn token(name: &'a str, token: &'a [u8]) -> Self {
        match signature(token) {
            Some(value) => Self { name, value, is_token: true },
            None => Self::value(name, token),
        }
    }

    /// Whether it counts as a token.
    #[must_use]
    pub fn is_token(&self) -> bool {
        self.is_token
    }
}

impl<'a> From<(&'a str, &'a [u8])> for Secret<'a> {
    fn from((name, value): (&'a str, &'a [u8])) -> Self {
        Self::value(name, value)
    }
}

/// The signature of a token: what stands behind the second of its two dots.
fn signature(token: &[u8]) -> Option<&[u8]> {
    let mut parts = token.split(|byte| *byte == b'.');
    let (_header, _claims, signature) = (parts.next()?, parts.next()?, parts.next()?);
    let fits = parts.next().is_none()
        && SIGNATURE.contains(&signature.len())
        && signature.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    fits.then_some(signature)
}

/// Asks whether values of so many bytes together and so many tokens can be hidden at once.
///
/// # Errors
/// When they cannot.
pub fn fits(values: usize, tokens: usize) -> Result<(), MaskError> {
    if values > bounds::SECRETS {
        return Err(MaskError::TooLarge);
    }
    if tokens > bounds::HIDDEN_TOKENS {
        return Err(MaskError::TooManyTokens);
    }
    Ok(())
}

/// Hides secrets in a stream.
pub struct Masker {
    automaton: noncontiguous::NFA,
    /// What each state of the automaton means, by its number.
    states: Vec<State>,
    patterns: Vec<Pattern>,
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
    /// Signatures whose beginning has come, and nothing else since.
    followed: Vec<Followed>,
}

/// What the automaton knows, by its number there.
struct Pattern {
    /// `$NAME`.
    mask: Arc<str>,
    /// What may follow, and is hidden then: of signatures alone.
    tails: Vec<Arc<[u8]>>,
}

struct Followed {
    tail: Arc<[u8]>,
    /// How much of it has come.
    at: usize,
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
    /// What is shown in its place; nothing where that was shown for what stands before it.
    mask: Option<Arc<str>>,
}

/// Why there is no masker: then nothing may be shown.
#[derive(Debug, thiserror::Error)]
pub enum MaskError {
    /// The values are too large together.
    #[error(
        "the secured variables and credentials of a step have at most {} bytes together",
        bounds::SECRETS
    )]
    TooLarge,
    /// There are too many tokens.
    #[error(
        "a step has at most {} identity tokens that may still hold, since each is hidden in its log: use one until it ends \
         before asking for the next",
        bounds::HIDDEN_TOKENS
    )]
    TooManyTokens,
    /// The automaton could not be built.
    #[error("the secured variables cannot be looked for: {0}")]
    Automaton(#[from] aho_corasick::BuildError),
}

impl Masker {
    /// For these secrets.
    ///
    /// # Errors
    /// When they are too many or too large; nothing may be shown then.
    pub fn new<'a, S: Into<Secret<'a>>>(secrets: impl IntoIterator<Item = S>) -> Result<Self, MaskError> {
        let secrets: Vec<Secret<'a>> = secrets.into_iter().map(Into::into).collect();
        let values = secrets.iter().filter(|secret| !secret.is_token).map(|secret| secret.value.len());
        fits(values.sum(), secrets.iter().filter(|secret| secret.is_token).count())?;
        let mut patterns = Patterns::default();
        let mut too_short = Vec::new();
        for secret in secrets {
            if without_breaks(secret.value).trim_ascii().len() < SHORTEST {
                too_short.push(secret.name.to_owned());
                continue;
            }
            let mask: Arc<str> = format!("${}", secret.name).into();
            for form in encoding::forms(secret.value) {
                let mut form = without_breaks(&form);
                let known = if secret.is_token { form.len().min(TELLING) } else { form.len() };
                let tail = form.split_off(known);
                if form.len() >= SHORTEST {
                    patterns.add(form, &tail, &mask);
                }
            }
        }
        let automaton =
            noncontiguous::Builder::new().match_kind(MatchKind::Standard).build(&patterns.texts)?;
        let start = start(&automaton);
        let states = states(&automaton, &patterns.texts);
        Ok(Self {
            automaton,
            states,
            patterns: patterns.patterns,
            too_short,
            state: start,
            position: 0,
            held: VecDeque::new(),
            gone: 0,
            hidden: VecDeque::new(),
            followed: Vec::new(),
        })
    }

    /// Hides what a new masker hides, from here on in the stream. What has come and not gone is looked at anew, so that a
    /// secret is found of which half was here already; what was to be hidden of it stays so.
    pub fn change(&mut self, to: Self) {
        let before = std::mem::replace(self, to);
        (self.position, self.gone) = (before.gone, before.gone);
        for byte in before.held.iter().filter(|byte| !is_break(**byte)) {
            self.advance(*byte);
        }
        let mut parts: Vec<Hidden> = before.hidden.into_iter().chain(self.hidden.drain(..)).collect();
        parts.sort_by_key(|part| part.from);
        for part in parts {
            match self.hidden.back_mut() {
                Some(last) if last.to > part.from => last.to = last.to.max(part.to),
                _ => self.hidden.push_back(part),
            }
        }
        self.followed.extend(before.followed);
        self.held = before.held;
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
        self.followed.clear();
    }

    fn meaning(&self) -> State {
        self.states.get(self.state.as_usize()).copied().unwrap_or_default()
    }

    fn advance(&mut self, byte: u8) {
        self.state = self.automaton.next_state(Anchored::No, self.state, byte);
        self.position += 1;
        self.follow(byte);
        let Some((length, pattern)) = self.meaning().ends else { return };
        if let Some(found) = self.patterns.get(pattern) {
            let mask = Arc::clone(&found.mask);
            self.followed.extend(found.tails.iter().map(|tail| Followed { tail: Arc::clone(tail), at: 0 }));
            self.hide(self.position - length, mask);
        }
    }

    /// Hides a byte with which a signature goes on.
    fn follow(&mut self, byte: u8) {
        let mut goes_on = false;
        self.followed.retain_mut(|one| {
            let fits = one.tail.get(one.at) == Some(&byte);
            goes_on |= fits;
            one.at += 1;
            fits && one.at < one.tail.len()
        });
        if !goes_on {
            return;
        }
        let from = self.position - 1;
        match self.hidden.back_mut() {
            Some(last) if last.to == from => last.to = self.position,
            // What stands before it has gone.
            _ => self.hidden.push_back(Hidden { from, to: self.position, mask: None }),
        }
    }

    /// Hides from a place up to here, together with what is hidden already and touches it.
    fn hide(&mut self, from: usize, mask: Arc<str>) {
        let mut part = Hidden { from, to: self.position, mask: Some(mask) };
        while let Some(last) = self.hidden.back()
            && last.to > part.from
        {
            if last.from < part.from {
                part = Hidden { from: last.from, mask: last.mask.clone(), ..part };
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
                if let Some(mask) = part.mask.as_ref().filter(|_| part.from == self.gone) {
                    shown.extend_from_slice(mask.as_bytes());
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

/// Patterns as they are gathered: each text once, and what it means.
#[derive(Default)]
struct Patterns {
    texts: Vec<Vec<u8>>,
    patterns: Vec<Pattern>,
    known: BTreeMap<Vec<u8>, usize>,
}

impl Patterns {
    fn add(&mut self, text: Vec<u8>, tail: &[u8], mask: &Arc<str>) {
        let number = match self.known.get(&text) {
            Some(number) => *number,
            None => {
                let number = self.texts.len();
                self.known.insert(text.clone(), number);
                self.texts.push(text);
                self.patterns.push(Pattern { mask: Arc::clone(mask), tails: Vec::new() });
                number
            }
        };
        let Some(pattern) = self.patterns.get_mut(number).filter(|_| !tail.is_empty()) else { return };
        // The forms of a signature differ at their ends, if at all: of those that begin alike the longest is enough.
        if !pattern.tails.iter().any(|known| known.starts_with(tail)) {
            pattern.tails.retain(|known| !tail.starts_with(known));
            pattern.tails.push(Arc::from(tail));
        }
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
