//! The one domain error: at most fifteen kinds, each with a message for the caller and, where there is more to
//! say, one for the log.

use std::collections::BTreeMap;

/// A result with the domain error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What is wrong with each field of a request, by the field's name.
pub type FieldErrors = BTreeMap<String, Vec<String>>;

/// Why a request was not carried out. The texts are for the caller: lower case, user input in backticks, and what
/// to do next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No credential, or one that is unknown, expired, revoked, or not admitted here. One text for all of them.
    #[error("the credential is missing, unknown, expired or revoked, or not of a kind that is admitted here")]
    Unauthenticated,
    /// Does not exist, or may not be known by this caller.
    #[error("{what} does not exist, or you may not have access to it, or you are not signed in")]
    NotFound {
        /// What was looked for, as the caller named it.
        what: String,
    },
    /// Seen, but not allowed.
    #[error("{message}")]
    Forbidden {
        /// What was refused and who can change that.
        message: String,
        /// The ids of the policies that decided.
        reasons: Vec<String>,
    },
    /// The credential lacks a scope.
    #[error("the credential lacks a scope that this call requires")]
    ScopeMissing {
        /// What it holds.
        granted: Vec<String>,
        /// What would be needed.
        required: Vec<String>,
    },
    /// The request cannot be understood or breaks a rule.
    #[error("{message}")]
    Invalid {
        /// What is wrong.
        message: String,
        /// Which fields, where fields are to blame.
        fields: FieldErrors,
    },
    /// The name is taken, or the state forbids it.
    #[error("{0}")]
    Conflict(String),
    /// Was here and will not return.
    #[error("{0}")]
    Gone(String),
    /// The body, or a part of it, is larger than the limit.
    #[error("the request is larger than the limit of {limit} bytes")]
    TooLarge {
        /// In bytes.
        limit: u64,
    },
    /// Too many requests or failed attempts.
    #[error("too many attempts: try again in {retry_after} s")]
    TooManyRequests {
        /// In seconds.
        retry_after: u64,
    },
    /// The document was changed by somebody else, or `If-Match` is missing.
    #[error("{0}")]
    PreconditionFailed(String),
    /// The body is of a type that this call does not take.
    #[error("send a body of type {expected}")]
    UnsupportedMediaType {
        /// The type that is taken.
        expected: &'static str,
    },
    /// The method is not one of this resource's.
    #[error("this address does not take this method")]
    MethodNotAllowed,
    /// Part of the published contract, not built yet.
    #[error("`{0}` is part of the contract, but not built yet")]
    NotBuilt(&'static str),
    /// Stopping, or overloaded.
    #[error("the server is stopping or overloaded: try again shortly")]
    Unavailable,
    /// A failure of ours. The text goes to the log alone.
    #[error("an internal error: look for the request id in the server's log")]
    Internal(String),
}

impl Error {
    /// A failure of ours, with the text for the log.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        Self::Internal(cause.to_string())
    }

    /// Something that cannot be understood.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid { message: message.into(), fields: FieldErrors::new() }
    }

    /// One field that cannot be understood.
    pub fn invalid_field(field: &str, message: impl std::fmt::Display) -> Self {
        let message = message.to_string();
        Self::Invalid {
            message: format!("`{field}`: {message}"),
            fields: FieldErrors::from([(field.to_owned(), vec![message])]),
        }
    }

    /// Something that does not exist, or must look so.
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::NotFound { what: what.into() }
    }

    /// Seen, but not allowed, without a policy to name.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::Forbidden { message: message.into(), reasons: Vec::new() }
    }

    /// A word for programs that does not change.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::NotFound { .. } => "not-found",
            Self::Forbidden { .. } => "forbidden",
            Self::ScopeMissing { .. } => "scope-missing",
            Self::Invalid { .. } => "invalid",
            Self::Conflict(_) => "conflict",
            Self::Gone(_) => "gone",
            Self::TooLarge { .. } => "too-large",
            Self::TooManyRequests { .. } => "too-many-requests",
            Self::PreconditionFailed(_) => "precondition-failed",
            Self::UnsupportedMediaType { .. } => "unsupported-media-type",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::NotBuilt(_) => "not-built",
            Self::Unavailable => "unavailable",
            Self::Internal(_) => "internal",
        }
    }
}
