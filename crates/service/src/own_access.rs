//! "What can I do here, and why?": the answers of the access model about whoever asks, level by level, with every path by
//! which the level is reached.
//!
//! Nobody is told of others: only the asker's own grants and groups are looked at, on resources that the asker names and
//! may see.

use std::collections::BTreeMap;

use model::{Action, Error, GroupId, Resource, ResourceKind, Result, Timestamp, User, WorkspaceId, act};

use crate::access::question;
use crate::access_question::Place;
use crate::{Caller, Service};

/// What the caller may do with a resource, at most, and by which paths.
#[derive(Clone, Debug)]
pub struct Reach {
    /// The action that stands for the level.
    pub action: Action,
    /// Every path, each as sentences from the caller to the resource.
    pub paths: Vec<Vec<String>>,
    /// When the path by break-glass ends, where there is one.
    pub until: Option<Timestamp>,
}

/// The actions that stand for levels, the highest first.
fn levels(kind: ResourceKind) -> &'static [Action] {
    match kind {
        ResourceKind::Workspace => &[Action::WorkspaceAdmin, Action::ProjectCreate, Action::WorkspaceRead],
        ResourceKind::Project => &[Action::ProjectAdmin, Action::RepositoryCreate, Action::ProjectRead],
        ResourceKind::Repository => {
            &[Action::RepositoryAdmin, Action::RepositoryWrite, Action::RepositoryRead]
        }
        ResourceKind::Instance | ResourceKind::User => &[],
    }
}

impl Service {
    /// What the caller may do with each of these, named as `repository:acme/one`, `project:acme/CORE`, `workspace:acme`;
    /// none where it may do nothing, or there is nothing of this name that it may see.
    pub async fn own_access(&self, caller: &Caller, resources: &[String]) -> Result<Vec<Option<Reach>>> {
        let user = User::clone(caller.as_user().ok_or(Error::Unauthenticated)?);
        self.check(caller, act::AccountRead, &self.user_ground(user.clone()))?;
        let mut groups: BTreeMap<WorkspaceId, BTreeMap<GroupId, String>> = BTreeMap::new();
        let mut found = Vec::with_capacity(resources.len());
        for resource in resources {
            let place = match self.asked_place(caller, resource).await {
                Ok(place) => place,
                Err(Error::NotFound { .. }) => {
                    found.push(None);
                    continue;
                }
                Err(error) => return Err(error),
            };
            if let Some(workspace) = place.ground.target.workspace
                && !groups.contains_key(&workspace)
            {
                let list = self.store.read(move |reader| store::group::list(reader, workspace)).await?;
                let names = list.into_iter().map(|group| (group.id, format!("group {}", group.slug)));
                groups.insert(workspace, names.collect());
            }
            let names = place.ground.target.workspace.and_then(|workspace| groups.get(&workspace));
            found.push(self.reach(caller, &user, &place, names));
        }
        Ok(found)
    }

    fn reach(
        &self,
        caller: &Caller,
        user: &User,
        place: &Place,
        groups: Option<&BTreeMap<GroupId, String>>,
    ) -> Option<Reach> {
        let principal = place.ground.principal(caller.facts(), self.clock.now());
        let name = format!("user {}", user.username);
        let group = |id: GroupId| {
            groups.and_then(|groups| groups.get(&id)).cloned().unwrap_or_else(|| "a group".to_owned())
        };
        let resource = |resource: Resource| {
            place.names.get(&resource.uuid()).cloned().unwrap_or_else(|| resource.kind().as_str().to_owned())
        };
        let labels = policy::explain::Labels { principal: &name, group: &group, resource: &resource };
        levels(place.ground.target.resource.kind()).iter().find_map(|action| {
            let question = question(caller, &principal, *action, &place.ground);
            let paths = policy::explain::paths(&self.model, &question, &labels);
            let until = || {
                let decision = self.model.decide(&question);
                place.ground.break_glass.filter(|_| crate::break_glass::among(&decision))
            };
            (!paths.is_empty()).then(|| Reach { action: *action, until: until(), paths })
        })
    }
}
