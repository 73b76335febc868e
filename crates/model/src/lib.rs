//! The vocabulary of Bastide: the types every other crate speaks in.
//!
//! What is here: ids, names, the token format, permission levels, scopes, actions, resources, principals, the
//! audit event, the domain [`Error`], time and randomness as values. What is not: any input or output, any rule
//! about who may do what (that is `policy`), any JSON shape of the public API (that is `wire`).

pub mod action;
pub mod audit_event;
pub mod clock;
pub mod error;
pub mod git_ref;
pub mod id;
pub mod name;
pub mod permission;
pub mod principal;
pub mod random;
pub mod resource;
pub mod scope;
pub mod secret;

pub use action::{Act, Action};
pub use audit_event::{AuditEvent, Outcome};
pub use clock::{Clock, Timestamp};
pub use error::{Error, FieldErrors, Result};
pub use git_ref::{ObjectId, RefName};
pub use id::{
    CredentialId, EventId, GroupId, JobId, ProjectId, PushId, RepositoryId, RequestId, UserId, WorkspaceId,
};
pub use name::{DisplayName, Email, GroupSlug, ProjectKey, RepositorySlug, Username, WorkspaceSlug};
pub use permission::{Permission, ProjectPermission, RepositoryPermission, StaffRole, WorkspacePermission};
pub use principal::{Principal, Subject};
pub use random::Random;
pub use resource::{Resource, ResourceKind};
pub use scope::{Scope, ScopeSet, Vocabulary};
pub use secret::{CredentialKind, Secret, SecretHash, Token};
