//! The role matrix: every action, on every kind of resource, by everybody, as the access model decides it. Printed to
//! `docs/access-matrix.txt` and reviewed like code: a change of the policies shows there as changed cells.

use std::fmt::Write as _;

use model::{
    Action, CredentialId, CredentialKind, GroupId, Permission, ProjectId, ProjectPermission, RepositoryId,
    RepositoryPermission, Resource, Scope, ScopeSet, StaffRole, UserId, WorkspaceId, WorkspacePermission,
};
use uuid::Uuid;

use crate::access_model::AccessModel;
use crate::fact::{GrantFact, PrincipalFacts, Question, ResourceFacts};
use crate::guardrail::Guardrails;

/// One of those who ask.
struct Column {
    legend: &'static str,
    principal: PrincipalFacts,
    grant: Option<GrantFact>,
    credential: Option<CredentialKind>,
}

/// One of the things that are asked for.
struct Section {
    title: &'static str,
    resource: ResourceFacts,
}

// The ids of a small world: one of each is `this`, another `other`.
const THIS: Uuid = Uuid::from_u128(1);
const OTHER: Uuid = Uuid::from_u128(2);

/// The matrix. The same policies give the same text.
#[must_use]
pub fn matrix(model: &AccessModel) -> String {
    let columns = columns();
    let mut text = String::from(
        "The role matrix: who may do what, as the policies decide it, with every scope held.\n\
         Made from the policies, not by hand. `x` is allowed, `.` is denied.\n\n",
    );
    for (at, column) in columns.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:>3}  {}", at + 1, column.legend);
    }
    for section in sections() {
        let _ = write!(text, "\n{:<32}", section.title);
        for at in 1..=columns.len() {
            let _ = write!(text, "{at:>3}");
        }
        text.push('\n');
        let fits = |action: &&Action| action.resources().contains(&section.resource.kind());
        for action in Action::ALL.iter().filter(fits) {
            let _ = write!(text, "  {:<30}", action.as_str());
            for column in &columns {
                let cell = if allowed(model, *action, column, &section.resource) { "x" } else { "." };
                let _ = write!(text, "{cell:>3}");
            }
            text.push('\n');
        }
    }
    text.push_str("\nRestraints, which no permission outvotes:\n");
    for rule in model.rules().iter().filter(|rule| rule.forbids) {
        let _ = writeln!(text, "  {}: {}", rule.id, rule.says);
    }
    text
}

fn allowed(model: &AccessModel, action: Action, column: &Column, resource: &ResourceFacts) -> bool {
    let question = Question {
        action,
        principal: &column.principal,
        resource,
        grants: column.grant.as_slice(),
        held: ScopeSet::everything(),
        // Whichever: all are held. None at all would be a call for which no scope is listed.
        required: Scope::all().take(1).collect(),
        credential: column.credential,
        guardrails: Guardrails::NONE,
    };
    model.decide(&question).allowed
}

fn sections() -> [Section; 8] {
    let (workspace, project) = (WorkspaceId::from_uuid(THIS), ProjectId::from_uuid(THIS));
    let in_project = |private| ResourceFacts::Project { id: project, workspace, private };
    let repository = |private| {
        let id = RepositoryId::from_uuid(THIS);
        ResourceFacts::Repository { id, project, workspace, private }
    };
    let account = |id| ResourceFacts::User { id: UserId::from_uuid(id) };
    [
        Section { title: "repository, private", resource: repository(true) },
        Section { title: "repository, public", resource: repository(false) },
        Section { title: "project, private", resource: in_project(true) },
        Section { title: "project, public", resource: in_project(false) },
        Section { title: "workspace", resource: ResourceFacts::Workspace { id: workspace } },
        Section { title: "account, the user's own", resource: account(THIS) },
        Section { title: "account, another's", resource: account(OTHER) },
        Section { title: "instance", resource: ResourceFacts::Instance },
    ]
}

fn columns() -> Vec<Column> {
    let mut columns = vec![Column {
        legend: "anonymous",
        principal: PrincipalFacts::Anonymous,
        grant: None,
        credential: None,
    }];
    columns.extend(people());
    columns.extend(tokens());
    columns
}

fn people() -> Vec<Column> {
    use ProjectPermission as P;
    use RepositoryPermission as R;
    use WorkspacePermission as W;

    let on = |resource: Resource, permission| GrantFact { on: resource, permission, via: None };
    let workspace = |level| on(WorkspaceId::from_uuid(THIS).into(), Permission::Workspace(level));
    let project = |level| on(ProjectId::from_uuid(THIS).into(), Permission::Project(level));
    let repository = |level| on(RepositoryId::from_uuid(THIS).into(), Permission::Repository(level));
    let by_group = |grant| GrantFact { via: Some(GroupId::from_uuid(THIS)), ..grant };
    let user = |active, staff| PrincipalFacts::User {
        id: UserId::from_uuid(THIS),
        active,
        approved: true,
        second_step: true,
        staff,
        break_glass: None,
    };
    let broken = user(true, StaffRole::Administrator).with_break_glass(Some(WorkspaceId::from_uuid(THIS)));
    let plain = user(true, StaffRole::None);
    let column = |legend, principal, grant| Column { legend, principal, grant, credential: None };
    vec![
        column("user without any grant", plain, None),
        column("member of the workspace", plain, Some(workspace(W::Member))),
        column("create-project in the workspace", plain, Some(workspace(W::CreateProject))),
        column("owner of the workspace", plain, Some(workspace(W::Owner))),
        column("read on the project", plain, Some(project(P::Read))),
        column("write on the project", plain, Some(project(P::Write))),
        column("create-repo on the project", plain, Some(project(P::CreateRepo))),
        column("admin on the project", plain, Some(project(P::Admin))),
        column("read on the repository", plain, Some(repository(R::Read))),
        column("write on the repository", plain, Some(repository(R::Write))),
        column("write on the repository, by a group", plain, Some(by_group(repository(R::Write)))),
        column("admin on the repository", plain, Some(repository(R::Admin))),
        column(
            "owner of the workspace, account not active",
            user(false, StaffRole::None),
            Some(workspace(W::Owner)),
        ),
        column("auditor of the instance", user(true, StaffRole::Auditor), None),
        column("administrator of the instance", user(true, StaffRole::Administrator), None),
        column("administrator of the instance, with break-glass on the workspace", broken, None),
        column("operator: the command line on the server's machine", PrincipalFacts::Operator, None),
    ]
}

fn tokens() -> Vec<Column> {
    use CredentialKind::{ProjectAccessToken, RepositoryAccessToken, WorkspaceAccessToken};

    let token = |legend, bound_to: Resource, kind| Column {
        legend,
        principal: PrincipalFacts::AccessToken { id: CredentialId::from_uuid(THIS), bound_to },
        grant: None,
        credential: Some(kind),
    };
    let repository = |id| RepositoryId::from_uuid(id).into();
    let project = |id| ProjectId::from_uuid(id).into();
    let workspace = |id| WorkspaceId::from_uuid(id).into();
    vec![
        token("repository access token, of this repository", repository(THIS), RepositoryAccessToken),
        token("repository access token, of another", repository(OTHER), RepositoryAccessToken),
        token("project access token, of this project", project(THIS), ProjectAccessToken),
        token("project access token, of another", project(OTHER), ProjectAccessToken),
        token("workspace access token, of this workspace", workspace(THIS), WorkspaceAccessToken),
        token("workspace access token, of another", workspace(OTHER), WorkspaceAccessToken),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_has_every_action_and_both_answers() {
        let model = AccessModel::load().unwrap();
        let text = matrix(&model);
        assert_eq!(text, matrix(&model));
        for action in Action::ALL {
            assert!(text.contains(&format!("  {} ", action.as_str())), "{action}");
        }
        let row = |section: &str, action: &str| {
            let at = text.find(&format!("\n{section}")).unwrap();
            let rest = &text[at..];
            let row = rest.lines().find(|line| line.trim_start().starts_with(action)).unwrap();
            row.split_whitespace().skip(1).map(|cell| cell == "x").collect::<Vec<_>>()
        };
        let columns = columns();
        let push = row("repository, private", "repository.push ");
        assert_eq!(push.len(), columns.len());
        for (column, allowed) in columns.iter().zip(push) {
            let writes =
                ["write on", "admin on", "create-repo on"].iter().any(|word| column.legend.starts_with(word));
            let owns = column.legend == "owner of the workspace";
            let token = column.legend.contains("access token, of this");
            assert_eq!(allowed, (writes || owns || token), "{}", column.legend);
        }
        assert!(row("repository, private", "instance.upkeep").iter().all(|allowed| !allowed));
        assert!(row("repository, public", "repository.clone")[0]);
        assert!(!row("repository, private", "repository.clone")[0]);
    }
}
