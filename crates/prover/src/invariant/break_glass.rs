//! What break-glass opens, and that it opens no more.

use model::ResourceKind::{Project, Repository};
use policy::PrincipalKind::User;

use super::Invariant;
use super::phrase::{never, nothing, twin};
use crate::claim::Actions;

/// The condition, for somebody without a grant on the repository.
macro_rules! ungranted {
    ($condition:literal) => {
        concat!(
            "!(principal in resource.readers) && resource.writers in resource.readers && \
             resource.admins in resource.writers && ",
            $condition
        )
    };
}

/// Break-glass is narrow.
pub(super) const BREAK_GLASS: Invariant = Invariant {
    name: "break-glass-is-narrow",
    sentence: "Break-glass lets an administrator of the instance read in its one workspace: nobody else and nowhere else, and nothing is changed or carried away by it.",
    claims: &[
        nothing(
            &[User],
            &[Repository],
            ungranted!(
                "resource.private && !(principal in Role::\"administrators\") && principal has break_glass"
            ),
        ),
        nothing(
            &[User],
            &[Repository],
            ungranted!(
                "resource.private && principal has break_glass && !(resource in principal.break_glass)"
            ),
        ),
        never(
            &[User],
            Actions::Except(&["repository.read"]),
            &[Repository],
            ungranted!("principal has break_glass"),
        ),
        never(
            &[User],
            Actions::Of(&["repository.fork"]),
            &[Repository],
            ungranted!("resource.private && principal has break_glass"),
        ),
        never(
            &[User],
            Actions::Except(&["project.read"]),
            &[Project],
            "principal has break_glass && !(principal in resource.creators) && !(principal in resource.admins)",
        ),
    ],
    twin: twin(
        "Break-glass opens no private repository.",
        nothing(
            &[User],
            &[Repository],
            ungranted!("resource.private && principal has break_glass && resource in principal.break_glass"),
        ),
    ),
};
