//! Who acts.

use std::fmt;

use crate::{CredentialId, GroupId, Resource, RunnerId, UserId};

/// Who acts in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Principal {
    /// A person.
    User(UserId),
    /// An access token: itself, for nobody, bound to a workspace, project or repository.
    AccessToken {
        /// The token.
        id: CredentialId,
        /// The resource it is bound to.
        bound_to: Resource,
    },
    /// A runner of pipelines, registered for a workspace or repository.
    Runner {
        /// The runner.
        id: RunnerId,
        /// Where it takes steps.
        bound_to: Resource,
    },
    /// The command line on the server's own machine.
    Operator,
    /// Bastide itself, for one of the reasons that `policy` lists.
    System,
    /// Nobody known.
    Anonymous,
}

impl Principal {
    /// The word for its kind in the store and the audit trail.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::AccessToken { .. } => "access-token",
            Self::Runner { .. } => "runner",
            Self::Operator => "operator",
            Self::System => "system",
            Self::Anonymous => "anonymous",
        }
    }
}

/// `user:{uuid}`, `access-token:{uuid}`, `runner:{uuid}`, or the bare word where there is one of a kind.
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{{{id}}}"),
            Self::AccessToken { id, .. } => write!(f, "access-token:{{{id}}}"),
            Self::Runner { id, .. } => write!(f, "runner:{{{id}}}"),
            other => f.write_str(other.kind()),
        }
    }
}

/// Who holds a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A person.
    User(UserId),
    /// Every member of a group.
    Group(GroupId),
}

impl Subject {
    /// The word for its kind in the store.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Group(_) => "group",
        }
    }

    /// Its id.
    #[must_use]
    pub fn uuid(self) -> uuid::Uuid {
        match self {
            Self::User(id) => id.uuid(),
            Self::Group(id) => id.uuid(),
        }
    }
}
