//! Where something stands in the file.

use std::ops::Deref;

use serde::{Deserialize, Serialize};

/// A place in the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// From 0, in bytes.
    #[serde(skip)]
    pub offset: usize,
}

/// A part of the text; its end is the first place behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Span {
    /// The first character.
    pub start: Position,
    /// Behind the last one.
    pub end: Position,
}

impl Span {
    /// `length` characters of this line, `skip` characters behind the start. For text without escapes, where a
    /// character of the value is a character of the file.
    #[must_use]
    pub(crate) fn within(self, value: &str, skip: usize, length: usize) -> Self {
        let at = |count: usize| {
            let bytes: usize = value.chars().take(count).map(char::len_utf8).sum();
            Position {
                line: self.start.line,
                column: self.start.column + count,
                offset: self.start.offset + bytes,
            }
        };
        Self { start: at(skip), end: at(skip + length) }
    }

    /// Without the first character: behind an opening quote.
    #[must_use]
    pub(crate) fn behind_quote(self) -> Self {
        let Position { line, column, offset } = self.start;
        Self { start: Position { line, column: column + 1, offset: offset + 1 }, end: self.end }
    }
}

/// A value, and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    /// What was written.
    pub value: T,
    /// Where.
    pub span: Span,
}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
