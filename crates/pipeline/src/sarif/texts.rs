//! The texts of a file, changed where they stand: nothing else of it is touched, and no tree is made of it.

use super::{SarifError, malformed};
use crate::mask;

/// What the format itself says by a text. These are no secrets, and changed they would make other findings.
const WORDS: &[&str] = &[
    "2.1.0",
    "none",
    "note",
    "warning",
    "error",
    "pass",
    "fail",
    "open",
    "review",
    "informational",
    "notApplicable",
    "accepted",
    "underReview",
    "rejected",
    "new",
    "unchanged",
    "updated",
    "absent",
    "security",
];

/// Where a text stands in the file, quotes included, and of how many parts it is with NUL between.
struct Place {
    from: usize,
    to: usize,
    parts: usize,
}

/// A file with its texts changed, all at once: `change` is given them as one, with NUL between. Names of members, words of the
/// format, and what is shorter than any secret that is hidden, stay.
///
/// # Errors
/// When the file is no JSON as far as its texts go, or `change` gives another number of texts.
pub fn change_texts(bytes: &[u8], change: impl FnOnce(&str) -> String) -> Result<Vec<u8>, SarifError> {
    let mut joined = String::new();
    let mut places: Vec<Place> = Vec::new();
    let mut at = 0;
    while let Some(from) = position(bytes, at, |byte| byte == b'"') {
        let to = end(bytes, from).ok_or_else(|| told("a text has no end"))?;
        at = to;
        let next = position(bytes, to, |byte| !byte.is_ascii_whitespace());
        if next.is_some_and(|next| bytes.get(next) == Some(&b':')) {
            continue;
        }
        let literal = bytes.get(from..to).unwrap_or_default();
        let text: String = serde_json::from_slice(literal).map_err(|error| malformed(&error))?;
        if text.len() < mask::SHORTEST || WORDS.contains(&text.as_str()) {
            continue;
        }
        if !places.is_empty() {
            joined.push('\0');
        }
        joined.push_str(&text);
        places.push(Place { from, to, parts: text.matches('\0').count() + 1 });
    }
    if places.is_empty() {
        return Ok(bytes.to_vec());
    }
    let changed = change(&joined);
    drop(joined);
    let mut texts = changed.split('\0');
    let mut written = Vec::with_capacity(bytes.len());
    let mut done = 0;
    for place in places {
        let parts: Vec<&str> = texts.by_ref().take(place.parts).collect();
        if parts.len() != place.parts {
            return Err(told("its texts cannot be told apart"));
        }
        written.extend_from_slice(bytes.get(done..place.from).unwrap_or_default());
        serde_json::to_writer(&mut written, &parts.join("\0")).map_err(|error| malformed(&error))?;
        done = place.to;
    }
    if texts.next().is_some() {
        return Err(told("its texts cannot be told apart"));
    }
    written.extend_from_slice(bytes.get(done..).unwrap_or_default());
    Ok(written)
}

fn told(why: &str) -> SarifError {
    SarifError::Malformed(why.to_owned())
}

fn position(bytes: &[u8], from: usize, fits: impl Fn(u8) -> bool) -> Option<usize> {
    let found = bytes.get(from..)?.iter().position(|byte| fits(*byte))?;
    Some(from + found)
}

/// Behind the quote that ends the text which begins at `from`.
fn end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from + 1;
    loop {
        at = position(bytes, at, |byte| byte == b'"' || byte == b'\\')?;
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            _ => at += 2,
        }
    }
}
