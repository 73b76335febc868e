//! The access model: who may do what, as Cedar policies that can be read as a document, and the [`Permit`] that
//! every write needs and only a decision mints.
//!
//! What is here: the schema and the policies (`policies/`), [`AccessModel::decide`], reasons, the path of a
//! permission in words ([`explain`]), the role matrix ([`matrix`]). What is not: any input or output; looking up the
//! facts that a question is decided by (that is `service`, over `store`); proofs over all questions (that is
//! `prover`).
//!
//! A question is decided by facts that are handed in with it: the principal's own grants on the resource and on what
//! holds it. From them, the two entities that policies may look at (the principal and the resource, each with what it
//! lies in) are built anew for each question. That no policy looks further is checked at each start.

mod access_model;
mod decision;
mod entity;
pub mod explain;
mod fact;
pub mod guardrail;
pub mod matrix;
mod memo;
mod own_rule;
mod permit;
mod relevant;
mod role;
pub mod text;

pub use access_model::{AccessModel, Prepared, Rule};
pub use decision::{Decision, Reason};
pub use fact::{GrantFact, PrincipalFacts, PrincipalKind, Question, ResourceFacts};
pub use guardrail::{EntryKinds, Guardrails};
pub use own_rule::{CheckedRule, LONGEST_RULE, MOST_RULES, OWN_RULE, OwnRules};
pub use permit::{InternalReason, Origin, Permit, Target};
pub use role::Role;
