//! The words in which invariants are told: who, what, where, and that nothing of the kind is ever allowed.

use model::{Action, ResourceKind};
use policy::PrincipalKind;

use super::Twin;
use crate::claim::{Actions, Claim};

pub(super) const fn twin(sentence: &'static str, claim: Claim) -> Twin {
    Twin { sentence, claim, policies: "" }
}

pub(super) use PrincipalKind::{
    Anonymous, InstanceRunner, Operator, ProjectAccessToken, RepositoryAccessToken, RepositoryRunner, User,
    WorkspaceAccessToken, WorkspaceRunner,
};
pub(super) use ResourceKind::{Instance, Project, Repository, Workspace};

pub(super) const EVERYBODY: &[PrincipalKind] = PrincipalKind::ALL;
pub(super) const WITHOUT_OPERATOR: &[PrincipalKind] = &[
    User,
    RepositoryAccessToken,
    ProjectAccessToken,
    WorkspaceAccessToken,
    InstanceRunner,
    WorkspaceRunner,
    RepositoryRunner,
    Anonymous,
];
pub(super) const PLACES: &[ResourceKind] = &[Workspace, Project, Repository];
pub(super) const TOKENS: &[PrincipalKind] =
    &[RepositoryAccessToken, ProjectAccessToken, WorkspaceAccessToken];
pub(super) const EVERYTHING: &[ResourceKind] =
    &[Instance, ResourceKind::User, Workspace, Project, Repository];
/// What a person does with content, rather than with who may reach it.
pub(super) const CONTENT: Actions = Actions::Of(&[
    "repository.read",
    "repository.write",
    "repository.delete",
    "repository.create",
    "project.read",
    "project.create",
]);

/// Nobody of these kinds is allowed any action on these resources while the condition holds.
pub(super) const fn nothing(
    by: &'static [PrincipalKind],
    on: &'static [ResourceKind],
    when: &'static str,
) -> Claim {
    Claim::Never { by, what: Actions::All, on, when }
}

pub(super) const fn never(
    by: &'static [PrincipalKind],
    what: Actions,
    on: &'static [ResourceKind],
    when: &'static str,
) -> Claim {
    Claim::Never { by, what, on, when }
}

pub(super) const fn implies(one: &'static str, other: Action, given: &'static str) -> Claim {
    Claim::Implies { by: EVERYBODY, one, other, on: Repository, given }
}

/// Nobody of these kinds is allowed anything that guardrails guard, on what is not public, while the condition holds.
macro_rules! private {
    ($condition:literal) => {
        concat!("(!(resource has private) || resource.private) && ", $condition)
    };
}

pub(super) use private;
