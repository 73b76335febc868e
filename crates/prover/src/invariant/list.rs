//! Every invariant, from what everybody may do to what guardrails refuse.

use model::{Action, ResourceKind};

use super::break_glass::BREAK_GLASS;
use super::phrase::*;
use super::{Invariant, Twin};
use crate::claim::{Actions, Claim};

/// Every invariant.
pub const INVARIANTS: &[Invariant] = &[
    Invariant {
        name: "repository-tokens-stay",
        sentence: "A repository access token never reaches anything but its repository.",
        claims: &[
            nothing(&[RepositoryAccessToken], &[Repository], "resource != principal.repository"),
            nothing(&[RepositoryAccessToken], &[Instance, ResourceKind::User, Workspace, Project], "true"),
        ],
        twin: twin(
            "A repository access token never reaches its repository.",
            nothing(&[RepositoryAccessToken], &[Repository], "resource == principal.repository"),
        ),
    },
    Invariant {
        name: "project-tokens-stay",
        sentence: "A project access token never reaches anything but its project and the repositories in it.",
        claims: &[
            nothing(&[ProjectAccessToken], &[Project], "resource != principal.project"),
            nothing(&[ProjectAccessToken], &[Repository], "!(resource in principal.project)"),
            nothing(&[ProjectAccessToken], &[Instance, ResourceKind::User, Workspace], "true"),
        ],
        twin: twin(
            "A project access token never reaches a repository.",
            nothing(&[ProjectAccessToken], &[Repository], "true"),
        ),
    },
    Invariant {
        name: "workspace-tokens-stay",
        sentence: "A workspace access token never reaches anything but its workspace and what lies in it.",
        claims: &[
            nothing(&[WorkspaceAccessToken], &[Workspace], "resource != principal.workspace"),
            nothing(&[WorkspaceAccessToken], &[Project, Repository], "!(resource in principal.workspace)"),
            nothing(&[WorkspaceAccessToken], &[Instance, ResourceKind::User], "true"),
        ],
        twin: twin(
            "A workspace access token never reaches a repository, for none is its workspace.",
            nothing(&[WorkspaceAccessToken], &[Repository], "true"),
        ),
    },
    Invariant {
        name: "runners-stay",
        sentence: "A runner takes and ends steps of the repositories it is registered for, the installation's own of all, and never does anything else.",
        claims: &[
            nothing(&[WorkspaceRunner], &[Repository], "!(resource in principal.workspace)"),
            nothing(&[RepositoryRunner], &[Repository], "resource != principal.repository"),
            nothing(
                &[InstanceRunner, WorkspaceRunner, RepositoryRunner],
                &[Instance, ResourceKind::User, Workspace, Project],
                "true",
            ),
            never(
                &[InstanceRunner, WorkspaceRunner, RepositoryRunner],
                Actions::Of(&[
                    "repository.read",
                    "repository.write",
                    "repository.admin",
                    "repository.delete",
                ]),
                &[Repository],
                "true",
            ),
        ],
        twin: twin(
            "A repository's runner never does anything to its repository.",
            nothing(&[RepositoryRunner], &[Repository], "resource == principal.repository"),
        ),
    },
    Invariant {
        name: "scopes-bind",
        sentence: "Whoever uses a credential is never allowed what its scopes do not cover.",
        claims: &[nothing(
            &[User, RepositoryAccessToken, ProjectAccessToken, WorkspaceAccessToken],
            EVERYTHING,
            "!context.scopes.containsAll(context.required)",
        )],
        twin: twin(
            "Whoever uses a credential is never allowed anything unless all its scopes are required.",
            nothing(TOKENS, EVERYTHING, "!context.required.containsAll(context.scopes)"),
        ),
    },
    Invariant {
        name: "no-call-without-a-scope",
        sentence: "A credential with scopes never writes, and reads nothing private, by a call that lists no scope.",
        claims: &[
            never(TOKENS, Actions::Of(&["scoped"]), EVERYTHING, "context.required.isEmpty()"),
            never(
                &[User],
                Actions::Of(&["scoped"]),
                EVERYTHING,
                "context has credential && context.required.isEmpty()",
            ),
        ],
        twin: twin(
            "A user in a session never writes by a call that lists no scope.",
            never(
                &[User],
                Actions::Of(&["repository.write"]),
                &[Repository],
                "!(context has credential) && context.required.isEmpty()",
            ),
        ),
    },
    Invariant {
        name: "inactive-users-reach-nothing",
        sentence: "A user whose account is not active is allowed nothing at all.",
        claims: &[nothing(&[User], EVERYTHING, "!principal.active")],
        twin: twin(
            "A user whose account is active is allowed nothing at all.",
            nothing(&[User], EVERYTHING, "principal.active"),
        ),
    },
    Invariant {
        name: "unapproved-users-reach-their-account-alone",
        sentence: "A user whose account nobody has approved reaches nothing but their own account.",
        claims: &[
            nothing(&[User], &[Instance, Workspace, Project, Repository], "!principal.approved"),
            never(
                &[User],
                Actions::All,
                &[ResourceKind::User],
                "!principal.approved && resource.owner != principal",
            ),
        ],
        twin: twin(
            "A user whose account nobody has approved is allowed nothing at all.",
            nothing(&[User], EVERYTHING, "!principal.approved"),
        ),
    },
    Invariant {
        name: "private-repositories-need-a-grant",
        sentence: "Nobody, staff included, reaches a private repository without a grant, break-glass or an access token for it.",
        claims: &[
            nothing(
                &[User],
                &[Repository],
                "resource.private && !(principal in resource.readers) && \
                 resource.writers in resource.readers && resource.admins in resource.writers && \
                 !(principal has break_glass && resource in principal.break_glass)",
            ),
            nothing(&[Anonymous], &[Repository], "resource.private"),
            never(&[Operator], CONTENT, &[Repository], "true"),
        ],
        twin: twin(
            "No user reaches any repository without a grant.",
            nothing(&[User], &[Repository], "!(principal in resource.readers)"),
        ),
    },
    Invariant {
        name: "private-projects-need-a-grant",
        sentence: "Nobody, staff included, reaches a private project without a grant, break-glass or an access token for it.",
        claims: &[
            nothing(
                &[User],
                &[Project],
                "resource.private && !(principal in resource.readers) && \
                 resource.writers in resource.readers && resource.creators in resource.writers && \
                 resource.admins in resource.creators && \
                 !(principal has break_glass && resource in principal.break_glass)",
            ),
            nothing(&[Anonymous], &[Project], "resource.private"),
            never(&[Operator], CONTENT, &[Workspace, Project], "true"),
        ],
        twin: twin(
            "Nobody but with a grant or an access token reaches any project.",
            nothing(&[Anonymous], &[Project], "true"),
        ),
    },
    Invariant {
        name: "staff-open-no-content",
        sentence: "An administrator or auditor without a grant never changes a project or repository and, where break-glass is not in force, reads only public ones.",
        claims: &[
            never(
                &[User],
                Actions::All,
                &[Repository],
                "(principal in Role::\"administrators\" || principal in Role::\"auditors\") && resource.private && \
                 !(principal in resource.readers) && !(principal in resource.writers) && !(principal in resource.admins) && \
                 !(principal has break_glass && resource in principal.break_glass)",
            ),
            never(
                &[User],
                Actions::Except(&["repository.read"]),
                &[Repository],
                "!(principal in resource.writers) && !(principal in resource.admins)",
            ),
            never(
                &[User],
                Actions::Except(&["project.read"]),
                &[Project],
                "!(principal in resource.creators) && !(principal in resource.admins)",
            ),
            never(
                &[User],
                Actions::Except(&[
                    "audit.read",
                    "break-glass.read",
                    "break-glass.request",
                    "break-glass.approve",
                    "break-glass.end",
                ]),
                &[Workspace],
                "!(principal in resource.members) && !(principal in resource.creators) && !(principal in resource.owners) && \
                 !(principal has break_glass && resource in principal.break_glass)",
            ),
        ],
        twin: twin(
            "An administrator without a grant reaches nothing of a workspace.",
            nothing(
                &[User],
                &[Workspace],
                "!(principal in resource.members) && !(principal in resource.creators) && !(principal in resource.owners)",
            ),
        ),
    },
    BREAK_GLASS,
    Invariant {
        name: "anonymous-only-reads",
        sentence: "Without signing in, nobody does anything but read public projects and repositories.",
        claims: &[
            never(&[Anonymous], Actions::Except(&["repository.read"]), &[Repository], "true"),
            never(&[Anonymous], Actions::Except(&["project.read"]), &[Project], "true"),
            nothing(&[Anonymous], &[Instance, ResourceKind::User, Workspace], "true"),
        ],
        twin: twin(
            "Without signing in, nobody clones a repository.",
            never(&[Anonymous], Actions::Of(&["repository.clone"]), &[Repository], "true"),
        ),
    },
    Invariant {
        name: "write-implies-read",
        sentence: "Whoever may write to a repository might also browse and clone it, the scopes aside.",
        claims: &[
            implies("repository.write", Action::RepositoryRead, "resource.writers in resource.readers"),
            implies("repository.write", Action::RepositoryClone, "resource.writers in resource.readers"),
        ],
        twin: twin(
            "Whoever may read a repository may also push to it.",
            implies("repository.read", Action::RepositoryPush, "resource.writers in resource.readers"),
        ),
    },
    Invariant {
        name: "push-in-one-piece",
        sentence: "Whoever may announce a push may push, and the other way about.",
        claims: &[
            implies("repository.push-intent", Action::RepositoryPush, "true"),
            implies("repository.push", Action::RepositoryPushIntent, "true"),
        ],
        twin: twin(
            "Whoever may push may delete the repository.",
            implies("repository.push", Action::RepositoryDelete, "resource.admins in resource.writers"),
        ),
    },
    Invariant {
        name: "deleting-needs-more-than-writing",
        sentence: "A user without admin permission on a repository never deletes or administers it.",
        claims: &[never(
            &[User],
            Actions::Of(&["repository.delete", "repository.admin"]),
            &[Repository],
            "!(principal in resource.admins)",
        )],
        twin: twin(
            "A user with write permission on a repository never deletes it.",
            never(
                &[User],
                Actions::Of(&["repository.delete"]),
                &[Repository],
                "principal in resource.writers && resource.admins in resource.writers",
            ),
        ),
    },
    Invariant {
        name: "people-only",
        sentence: "No access token, and nobody who is not known, queries or changes who may do what.",
        claims: &[
            never(TOKENS, Actions::Of(&["people-only"]), EVERYTHING, "true"),
            never(&[Anonymous], Actions::Of(&["people-only"]), EVERYTHING, "true"),
        ],
        twin: twin(
            "No access token administers anything.",
            never(
                TOKENS,
                Actions::Of(&["repository.admin", "project.admin"]),
                &[Project, Repository],
                "true",
            ),
        ),
    },
    Invariant {
        name: "accounts-are-their-users",
        sentence: "Nobody but a user reads or changes that user's account and credentials.",
        claims: &[
            never(
                &[User],
                Actions::Of(&["account.own"]),
                &[ResourceKind::User],
                "resource.owner != principal",
            ),
            never(
                &[RepositoryAccessToken, ProjectAccessToken, WorkspaceAccessToken, Operator, Anonymous],
                Actions::Of(&["account.own"]),
                &[ResourceKind::User],
                "true",
            ),
        ],
        twin: twin(
            "No user does anything with another's account.",
            nothing(&[User], &[ResourceKind::User], "resource.owner != principal"),
        ),
    },
    Invariant {
        name: "administrators-manage-users",
        sentence: "Nobody but an administrator, or the operator, manages users.",
        claims: &[
            never(
                &[User],
                Actions::Of(&["user.manage"]),
                EVERYTHING,
                "!(principal in Role::\"administrators\")",
            ),
            never(TOKENS, Actions::Of(&["user.manage"]), EVERYTHING, "true"),
            never(&[Anonymous], Actions::Of(&["user.manage"]), EVERYTHING, "true"),
        ],
        twin: twin(
            "Nobody but an auditor, or the operator, manages users.",
            never(&[User], Actions::Of(&["user.manage"]), EVERYTHING, "!(principal in Role::\"auditors\")"),
        ),
    },
    Invariant {
        name: "the-trail-is-for-staff-and-owners",
        sentence: "The audit trail is read by staff and the operator; a workspace's, by its owners too.",
        claims: &[
            never(
                &[User],
                Actions::Of(&["audit.read"]),
                &[Instance],
                "!(principal in Role::\"administrators\") && !(principal in Role::\"auditors\")",
            ),
            never(
                &[User],
                Actions::Of(&["audit.read"]),
                &[Workspace],
                "!(principal in Role::\"administrators\") && !(principal in Role::\"auditors\") && \
                 !(principal in resource.owners)",
            ),
        ],
        twin: twin(
            "The audit trail of a workspace is read by its owners alone.",
            never(&[User], Actions::Of(&["audit.read"]), &[Workspace], "!(principal in resource.owners)"),
        ),
    },
    Invariant {
        name: "upkeep-is-nobodys",
        sentence: "No policy permits anybody what Bastide does by itself.",
        claims: &[never(EVERYBODY, Actions::Of(&["instance.upkeep"]), EVERYTHING, "true")],
        twin: twin(
            "No policy permits anybody to make a workspace.",
            never(EVERYBODY, Actions::Of(&["workspace.create"]), &[Instance], "true"),
        ),
    },
    Invariant {
        name: "the-ip-allowlist-holds",
        sentence: "From an address that is not on the IP allowlist nobody, with whatever credential, reaches private content or administers a workspace; the operator alone is let through.",
        claims: &[never(
            WITHOUT_OPERATOR,
            Actions::Of(&["guarded"]),
            PLACES,
            private!(
                "context has guardrails && context.guardrails has address_allowed && !context.guardrails.address_allowed"
            ),
        )],
        twin: twin(
            "Where there is an IP allowlist, nobody reaches private content.",
            never(
                WITHOUT_OPERATOR,
                Actions::Of(&["guarded"]),
                PLACES,
                private!("context has guardrails && context.guardrails has address_allowed"),
            ),
        ),
    },
    Invariant {
        name: "the-second-step-holds",
        sentence: "Where a second step is required, a user without one reaches no private content and administers no workspace.",
        claims: &[never(
            &[User],
            Actions::Of(&["guarded"]),
            PLACES,
            private!("context has guardrails && context.guardrails.second_step && !principal.second_step"),
        )],
        twin: twin(
            "Where a second step is required, an access token, which has none, reaches no private content.",
            never(
                TOKENS,
                Actions::Of(&["guarded"]),
                PLACES,
                private!("context has guardrails && context.guardrails.second_step"),
            ),
        ),
    },
    Invariant {
        name: "credentials-end-in-time",
        sentence: "Where the life of credentials is limited, one without an end, or with one too far from its making, reaches no private content and administers no workspace; the operator, who has none, aside.",
        claims: &[
            never(
                WITHOUT_OPERATOR,
                Actions::Of(&["guarded"]),
                PLACES,
                private!(
                    "context has credential && context has guardrails && context.guardrails has longest_days && \
                 !(context has credential_days)"
                ),
            ),
            never(
                WITHOUT_OPERATOR,
                Actions::Of(&["guarded"]),
                PLACES,
                private!(
                    "context has credential && context has guardrails && context.guardrails has longest_days && \
                 context has credential_days && context.credential_days > context.guardrails.longest_days"
                ),
            ),
        ],
        twin: twin(
            "Where the life of credentials is limited, one that lives just as long reaches no private content.",
            never(
                TOKENS,
                Actions::Of(&["guarded"]),
                PLACES,
                private!(
                    "context has credential && context has guardrails && context.guardrails has longest_days && \
                 context has credential_days && context.credential_days == context.guardrails.longest_days"
                ),
            ),
        ),
    },
    Invariant {
        name: "only-admitted-credentials",
        sentence: "A kind of credential that is not admitted, or signing in where it is not, reaches no private content and administers no workspace; the operator, who has none, aside.",
        claims: &[
            never(
                WITHOUT_OPERATOR,
                Actions::Of(&["guarded"]),
                PLACES,
                private!(
                    "context has credential && context has guardrails && context.guardrails has admitted && \
                 !context.guardrails.admitted.contains(context.credential)"
                ),
            ),
            never(
                &[User],
                Actions::Of(&["guarded"]),
                PLACES,
                private!(
                    "!(context has credential) && context has guardrails && context.guardrails has admitted && \
                 !context.guardrails.admitted.contains(\"session\")"
                ),
            ),
        ],
        twin: twin(
            "Where kinds of credential are limited, app passwords reach no private content.",
            never(
                &[User],
                Actions::Of(&["guarded"]),
                PLACES,
                private!(
                    "context has credential && context.credential == \"app_password\" && \
                 context has guardrails && context.guardrails has admitted"
                ),
            ),
        ),
    },
    Invariant {
        name: "only-the-identity-provider",
        sentence: "Where the identity provider is the only way to sign in, a session of which it is not known that it began there reaches no private content and administers no workspace.",
        claims: &[never(
            &[User],
            Actions::Of(&["guarded"]),
            PLACES,
            private!(
                "!(context has credential) && context has guardrails && context.guardrails.identity_provider && \
             !(context has by_provider && context.by_provider)"
            ),
        )],
        twin: twin(
            "Where the identity provider is the only way to sign in, no session reaches private content.",
            never(
                &[User],
                Actions::Of(&["guarded"]),
                PLACES,
                private!(
                    "!(context has credential) && context has guardrails && context.guardrails.identity_provider"
                ),
            ),
        ),
    },
    Invariant {
        name: "nothing-is-made-public",
        sentence: "Where there is private content only, nobody makes anything public, and what is public is shown to nobody without a grant or an access token for it.",
        claims: &[
            never(
                EVERYBODY,
                Actions::Of(&["repository.publish", "project.publish"]),
                &[Workspace, Project, Repository],
                "context has guardrails && context.guardrails.private_only",
            ),
            never(
                &[User],
                Actions::Of(&["repository.read", "project.read"]),
                &[Project, Repository],
                "context has guardrails && context.guardrails.private_only && !(principal in resource.readers) && \
                 !(principal has break_glass && resource in principal.break_glass)",
            ),
            never(
                &[Anonymous],
                Actions::All,
                &[Project, Repository],
                "context has guardrails && context.guardrails.private_only",
            ),
        ],
        twin: twin(
            "Where there is private content only, nobody changes a repository's settings.",
            never(
                EVERYBODY,
                Actions::Of(&["repository.admin"]),
                &[Repository],
                "context has guardrails && context.guardrails.private_only",
            ),
        ),
    },
    Invariant {
        name: "forks-stay-inside",
        sentence: "Where forks stay in their workspace, nobody forks a private repository into another one.",
        claims: &[never(
            EVERYBODY,
            Actions::Of(&["repository.fork-outside"]),
            &[Repository],
            "resource.private && context has guardrails && context.guardrails.no_forks_outside",
        )],
        twin: twin(
            "Where forks stay in their workspace, nobody forks a private repository at all.",
            never(
                EVERYBODY,
                Actions::Of(&["repository.fork"]),
                &[Repository],
                "resource.private && context has guardrails && context.guardrails.no_forks_outside",
            ),
        ),
    },
    Invariant {
        name: "the-operator-gets-back-in",
        sentence: "No guardrail keeps the operator from what the operator may do.",
        claims: &[Claim::NeverRefusedBy { to: Operator, policies: "guardrail-" }],
        twin: twin(
            "No guardrail keeps an access token of a repository from what it may do.",
            Claim::NeverRefusedBy { to: RepositoryAccessToken, policies: "guardrail-" },
        ),
    },
    Invariant {
        name: "no-policy-errs",
        sentence: "No policy raises an error in answering any question, so no restraint is ever skipped.",
        claims: &[Claim::NoErrors],
        twin: Twin {
            sentence: "A policy whose arithmetic overflows raises no error.",
            claim: Claim::NoErrors,
            policies: "@id(\"overflowing\") forbid (principal is User, action == Action::\"user.read\", resource) \
                       when { principal.active && 9223372036854775807 + 1 == 0 };",
        },
    },
    Invariant {
        name: "every-policy-matters",
        sentence: "Every policy decides some question that would be decided differently without it.",
        claims: &[Claim::EveryPolicyMatters],
        twin: Twin {
            sentence: "A policy that repeats a part of another matters.",
            claim: Claim::EveryPolicyMatters,
            policies: "@id(\"repeating\") permit (principal is User, action == Action::\"repository.clone\", resource) \
                       when { resource.private && principal in resource.readers };",
        },
    },
];
