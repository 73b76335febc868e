//! Effective permissions on repositories: what a user may do, all paths of grants taken together. Asked of the access
//! model, user by user, from the grants alone: what is open to everybody is nobody's permission.

use std::collections::BTreeSet;

use model::{Action, Error, RepositoryPermission, Result, ScopeSet, StaffRole, Subject, User, UserId, act};
use policy::{GrantFact, PrincipalFacts, Question, ResourceFacts};
use store::Reader;
use store::repository::{ListRequest, Located};
use store::visibility::{AtLeast, Closed};
use wire::query::{FieldKind, Typed};
use wire::sort::Sort;

use crate::access::RepositoryPath;
use crate::select::{Field, select};
use crate::{Caller, Listing, Service, Window};

/// The fields by which lists of effective permissions are filtered and sorted.
pub static PERMISSION_FIELDS: [(&str, FieldKind); 8] = [
    ("permission", FieldKind::Enum(&["read", "write", "admin"])),
    ("repository.name", FieldKind::Text),
    ("repository.full_name", FieldKind::Text),
    ("repository.uuid", FieldKind::Uuid),
    ("user.display_name", FieldKind::Text),
    ("user.nickname", FieldKind::Text),
    ("user.account_id", FieldKind::Text),
    ("user.uuid", FieldKind::Uuid),
];

/// The most repositories that one list goes through.
const MOST_REPOSITORIES: i64 = 2_000;

/// What a user may do with a repository.
#[derive(Clone, Debug)]
pub struct EffectivePermission {
    /// Who.
    pub user: User,
    /// With what.
    pub located: Located,
    /// At most what.
    pub permission: RepositoryPermission,
}

/// A filter, an order and a part of a list.
#[derive(Clone, Debug)]
pub struct Selected {
    /// A filter over the fields that the list declares.
    pub filter: Option<Typed>,
    /// An order over them.
    pub sort: Option<Sort>,
    /// The part.
    pub window: Window,
}

/// A user with the grants that count on one repository.
struct Held {
    located: Located,
    user: User,
    grants: Vec<GrantFact>,
}

fn chain(located: &Located) -> [uuid::Uuid; 3] {
    [located.repository.id.uuid(), located.project.id.uuid(), located.workspace.id.uuid()]
}

fn listed(reader: &mut Reader<'_>, request: &ListRequest) -> Result<Vec<Located>> {
    let (found, size) = store::repository::list(reader, request)?;
    if size > MOST_REPOSITORIES {
        return Err(Error::invalid(format!(
            "more than {MOST_REPOSITORIES} repositories: ask for one repository at a time"
        )));
    }
    Ok(found)
}

fn held_on(reader: &mut Reader<'_>, located: &Located) -> Result<Vec<Held>> {
    let chain = chain(located);
    let mut users: BTreeSet<UserId> = BTreeSet::new();
    for subject in store::grant::subjects_on(reader, &chain)? {
        match subject {
            Subject::User(id) => drop(users.insert(id)),
            Subject::Group(id) => {
                users.extend(store::group::members(reader, id)?.iter().map(|user| user.id));
            }
        }
    }
    let mut held = Vec::with_capacity(users.len());
    for id in users {
        let grants = store::grant::held_by(reader, id, &chain)?;
        if let Some(user) = store::user::find(reader, id)? {
            held.push(Held { located: located.clone(), user, grants });
        }
    }
    Ok(held)
}

fn field(one: &EffectivePermission, name: &str) -> Field {
    let (user, repository) = (&one.user, &one.located.repository);
    match name {
        "permission" => RepositoryPermission::ALL
            .iter()
            .position(|level| *level == one.permission)
            .map_or(Field::Null, Field::Rank),
        "repository.name" => Field::Text(repository.name.to_string()),
        "repository.full_name" => Field::Text(format!("{}/{}", one.located.workspace.slug, repository.slug)),
        "repository.uuid" => Field::Id(repository.id.uuid()),
        "user.display_name" => Field::Text(user.display_name.to_string()),
        "user.nickname" => Field::Text(user.username.to_string()),
        "user.account_id" => Field::Text(user.id.to_string()),
        _ => Field::Id(user.id.uuid()),
    }
}

impl Service {
    fn level(&self, held: &Held) -> Option<RepositoryPermission> {
        let principal = PrincipalFacts::User {
            id: held.user.id,
            active: held.user.active,
            approved: held.user.approved,
            second_step: held.user.second_step,
            staff: StaffRole::None,
            break_glass: None,
        };
        let resource = ResourceFacts::Repository {
            id: held.located.repository.id,
            project: held.located.project.id,
            workspace: held.located.workspace.id,
            private: true,
        };
        let may = |action| {
            let question = Question {
                action,
                principal: &principal,
                resource: &resource,
                grants: &held.grants,
                held: ScopeSet::everything(),
                required: ScopeSet::NONE,
                credential: None,
                // What the grants say; guardrails are asked when somebody comes by them.
                guardrails: policy::Guardrails::NONE,
            };
            self.model.decide(&question).allowed
        };
        match () {
            () if may(Action::RepositoryAdmin) => Some(RepositoryPermission::Admin),
            () if may(Action::RepositoryWrite) => Some(RepositoryPermission::Write),
            () if may(Action::RepositoryRead) => Some(RepositoryPermission::Read),
            () => None,
        }
    }

    /// Who may do what with a repository by a grant.
    pub(crate) fn permissions_on(
        &self,
        reader: &mut Reader<'_>,
        located: &Located,
    ) -> Result<Vec<(User, RepositoryPermission)>> {
        let held = held_on(reader, located)?;
        Ok(held.into_iter().filter_map(|held| self.level(&held).map(|level| (held.user, level))).collect())
    }

    fn effective(&self, held: Vec<Held>, selected: &Selected) -> Listing<EffectivePermission> {
        let all = held.into_iter().filter_map(|held| {
            let permission = self.level(&held)?;
            Some(EffectivePermission { user: held.user, located: held.located, permission })
        });
        select(all.collect(), field, selected.filter.as_ref(), selected.sort, selected.window)
    }

    /// The caller's own permissions in a workspace, repository by repository.
    pub async fn own_repository_permissions(
        &self,
        caller: &Caller,
        workspace: &str,
        selected: Selected,
    ) -> Result<Listing<EffectivePermission>> {
        let user = User::clone(caller.as_user().ok_or(Error::Unauthenticated)?);
        let ground = self.workspace_ground(caller, workspace).await?;
        self.check(caller, act::WorkspaceRead, &ground)?;
        let request = self.every_repository(caller, ground.subject.id);
        let (service, asking) = (self.clone(), caller.clone());
        let held = self
            .store
            .read(move |reader| {
                let mut held = Vec::new();
                let closed = service.closed_to(reader, &asking, request.workspace)?;
                let request = ListRequest { closed, ..request };
                listed(reader, &request)?;
                // What guardrails and own rules hide is not told by its name either.
                for located in service.shown_repositories(reader, &asking, &request)?.values {
                    let grants = store::grant::held_by(reader, user.id, &chain(&located))?;
                    held.push(Held { located, user: user.clone(), grants });
                }
                Ok(held)
            })
            .await?;
        Ok(self.effective(held, &selected))
    }

    /// Everybody's permissions on every repository of a workspace, for those who administer it.
    pub async fn workspace_repository_permissions(
        &self,
        caller: &Caller,
        workspace: &str,
        selected: Selected,
    ) -> Result<Listing<EffectivePermission>> {
        let ground = self.workspace_ground(caller, workspace).await?;
        self.check(caller, act::WorkspaceAdmin, &ground)?;
        let request = self.every_repository(caller, ground.subject.id);
        let held = self
            .store
            .read(move |reader| {
                let mut held = Vec::new();
                for located in listed(reader, &request)? {
                    held.extend(held_on(reader, &located)?);
                }
                Ok(held)
            })
            .await?;
        Ok(self.effective(held, &selected))
    }

    /// Everybody's permissions on one repository, for those who administer it.
    pub async fn repository_permissions(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        selected: Selected,
    ) -> Result<Listing<EffectivePermission>> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::GrantList, ground.as_ref())?;
        let located = ground.subject.clone();
        let held = self.store.read(move |reader| held_on(reader, &located)).await?;
        Ok(self.effective(held, &selected))
    }

    fn every_repository(&self, caller: &Caller, workspace: model::WorkspaceId) -> ListRequest {
        ListRequest {
            viewer: caller.viewer(),
            closed: Closed::NOTHING,
            workspace: Some(workspace),
            project: None,
            at_least: AtLeast::Read,
            filter: None,
            sort: None,
            limit: MOST_REPOSITORIES,
            offset: 0,
        }
    }

    /// Which of the projects hold a repository that everybody may see.
    pub async fn with_public_repositories(
        &self,
        caller: &Caller,
        projects: &[model::Project],
    ) -> Result<BTreeSet<model::ProjectId>> {
        let (service, asking) = (self.clone(), Caller::anonymous(None, caller.request_id()));
        // A private project holds none; and what everybody may see is no secret.
        let open: Vec<_> =
            projects.iter().filter(|one| !one.private).map(|one| (one.id, one.workspace)).collect();
        self.store
            .read(move |reader| {
                let mut found = BTreeSet::new();
                for (project, workspace) in open {
                    let request = ListRequest {
                        viewer: model::Principal::Anonymous,
                        closed: service.closed_to(reader, &asking, Some(workspace))?,
                        workspace: Some(workspace),
                        project: Some(project),
                        at_least: AtLeast::Visible,
                        filter: None,
                        sort: None,
                        limit: 1,
                        offset: 0,
                    };
                    if !store::repository::list(reader, &request)?.0.is_empty() {
                        found.insert(project);
                    }
                }
                Ok(found)
            })
            .await
    }
}
