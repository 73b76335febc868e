//! Why a statement failed, and what that means for the transaction around it.

use std::fmt;

use model::{Error, Result};

/// The classes that somebody acts upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// A unique key is taken.
    Unique,
    /// The transaction met another one and may succeed when it runs again.
    Again,
    /// The connection is gone, or cannot be used any more.
    Broken,
    /// A value that the engines cannot hold: the caller's fault.
    Unfit,
    /// Anything else: ours to mend.
    Other,
}

/// A failed statement. For the caller it is an internal error, but for a taken key, which is a conflict.
///
/// After a failure the transaction is lost on both engines, whatever the closure makes of it: PostgreSQL would
/// refuse every later statement and SQLite would not, and a closure must not tell them apart.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) class: Class,
    text: String,
}

impl Failure {
    pub(crate) fn new(class: Class, text: impl fmt::Display) -> Self {
        Self { class, text: text.to_string() }
    }

    /// A failure of ours, of no particular class.
    pub(crate) fn other(text: impl fmt::Display) -> Self {
        Self::new(Class::Other, text)
    }

    /// The same with what was being done.
    pub(crate) fn during(mut self, what: &str) -> Self {
        self.text = format!("{}: {what}", self.text);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure.class {
            Class::Unfit => Self::invalid(failure.text),
            Class::Unique => {
                tracing::debug!(%failure, "a unique key is taken");
                Self::Conflict("this name or key is in use already: choose another".to_owned())
            }
            _ => Self::Internal(failure.text),
        }
    }
}

/// Says what a taken unique key means to the caller. Mapped by operation and not by the constraint's name, because
/// SQLite does not tell the name.
pub trait OrConflict<T> {
    /// A taken key becomes [`Error::Conflict`] with this message.
    fn or_conflict(self, message: impl Into<String>) -> Result<T>;
}

impl<T> OrConflict<T> for Result<T> {
    fn or_conflict(self, message: impl Into<String>) -> Result<T> {
        self.map_err(|error| match error {
            Error::Conflict(_) => Error::Conflict(message.into()),
            other => other,
        })
    }
}
