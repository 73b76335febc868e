//! Grants on projects and repositories.

use std::sync::Arc;

use model::{Error, Grant, Group, Permission, Resource, Result, Subject, User, WorkspaceId, act};
use serde_json::{Value, json};

use crate::access::{Ground, RepositoryPath, subject_label};
use crate::group::user_named;
use crate::{Caller, Listing, Service, Window};

/// On what a grant is.
#[derive(Clone, Debug)]
pub enum GrantPlace {
    /// A repository.
    Repository(RepositoryPath),
    /// A project, by its workspace and key or id.
    Project(String, String),
}

/// A grant with who holds it.
#[derive(Clone, Debug)]
pub struct HeldGrant {
    /// The grant; its level is none where nothing is granted.
    pub permission: Option<Permission>,
    /// Who holds it.
    pub holder: GrantHolder,
}

/// Who holds a grant.
#[derive(Clone, Debug)]
pub enum GrantHolder {
    /// A user.
    User(User),
    /// A group.
    Group(Group),
}

impl GrantHolder {
    fn subject(&self) -> Subject {
        match self {
            Self::User(user) => Subject::User(user.id),
            Self::Group(group) => Subject::Group(group.id),
        }
    }

    fn label(&self) -> String {
        match self {
            Self::User(user) => subject_label(self.subject(), user.username.as_str()),
            Self::Group(group) => subject_label(self.subject(), group.slug.as_str()),
        }
    }
}

/// How a request names who holds a grant.
#[derive(Clone, Debug)]
pub enum HolderName {
    /// A user, by id.
    User(String),
    /// A group of the workspace, by slug.
    Group(String),
}

/// Where the grants lie, without the rest of what was found.
pub(crate) struct Place {
    pub(crate) ground: Ground<()>,
    pub(crate) resource: Resource,
    pub(crate) workspace: WorkspaceId,
}

fn place<T>(ground: &Ground<T>, resource: Resource, workspace: WorkspaceId) -> Place {
    let ground = Ground {
        subject: (),
        facts: ground.facts,
        grants: ground.grants.clone(),
        guard: Arc::clone(&ground.guard),
        break_glass: ground.break_glass,
        target: ground.target.clone(),
    };
    Place { ground, resource, workspace }
}

fn holder(reader: &mut store::Reader<'_>, workspace: WorkspaceId, name: &HolderName) -> Result<GrantHolder> {
    match name {
        HolderName::User(name) => user_named(reader, name).map(GrantHolder::User),
        HolderName::Group(slug) => {
            let slug = slug.parse().map_err(|_| Error::not_found("the group"))?;
            let group = store::group::find(reader, workspace, &slug)?;
            group.map(GrantHolder::Group).ok_or_else(|| Error::not_found("the group"))
        }
    }
}

impl Service {
    pub(crate) async fn grant_place(&self, caller: &Caller, on: &GrantPlace) -> Result<Place> {
        match on {
            GrantPlace::Repository(path) => {
                let ground = self.repository_ground(caller, path).await?;
                let resource = Resource::Repository(ground.subject.repository.id);
                Ok(place(&ground, resource, ground.subject.workspace.id))
            }
            GrantPlace::Project(workspace, project) => {
                let ground = self.project_ground(caller, workspace, project).await?;
                let (workspace, project) = &ground.subject;
                Ok(place(&ground, Resource::Project(project.id), workspace.id))
            }
        }
    }

    /// The explicit grants to users, or to groups.
    pub async fn grants(
        &self,
        caller: &Caller,
        on: &GrantPlace,
        groups: bool,
        window: Window,
    ) -> Result<Listing<HeldGrant>> {
        let place = self.grant_place(caller, on).await?;
        self.check(caller, act::GrantList, &place.ground)?;
        let (resource, workspace) = (place.resource, place.workspace);
        let (values, size) = self
            .store
            .read(move |reader| {
                let (grants, size) =
                    store::grant::list(reader, resource, groups, window.limit, window.offset)?;
                let mut held = Vec::with_capacity(grants.len());
                for Grant { subject, permission, .. } in grants {
                    let holder = match subject {
                        Subject::User(id) => store::user::find(reader, id)?.map(GrantHolder::User),
                        Subject::Group(id) => {
                            let all = store::group::list(reader, workspace)?;
                            all.into_iter().find(|group| group.id == id).map(GrantHolder::Group)
                        }
                    };
                    held.extend(holder.map(|holder| HeldGrant { permission: Some(permission), holder }));
                }
                Ok((held, size))
            })
            .await?;
        Ok(Listing::new(values, size))
    }

    /// One explicit grant; without a level where there is none.
    pub async fn grant(&self, caller: &Caller, on: &GrantPlace, name: HolderName) -> Result<HeldGrant> {
        let place = self.grant_place(caller, on).await?;
        self.check(caller, act::GrantList, &place.ground)?;
        self.store
            .read(move |reader| {
                let holder = holder(reader, place.workspace, &name)?;
                let permission = store::grant::find(reader, place.resource, holder.subject())?;
                Ok(HeldGrant { permission, holder })
            })
            .await
    }

    /// Grants a level, or changes it. Users must be members of the workspace; its owners need no grant.
    pub async fn set_grant(
        &self,
        caller: &Caller,
        on: &GrantPlace,
        name: HolderName,
        level: &str,
    ) -> Result<HeldGrant> {
        let place = self.grant_place(caller, on).await?;
        let permit = self.permit(caller, act::GrantSet, &place.ground)?;
        let permission = Permission::parse(place.resource.kind(), level)
            .map_err(|problem| Error::invalid_field("permission", problem))?;
        let now = self.clock.now();
        self.store
            .write(&permit, move |writer| {
                let holder = holder(writer, place.workspace, &name)?;
                if let GrantHolder::User(user) = &holder {
                    eligible(writer, place.workspace, user)?;
                }
                let before = store::grant::find(writer, place.resource, holder.subject())?;
                store::grant::set(
                    writer,
                    place.resource,
                    place.workspace,
                    holder.subject(),
                    permission,
                    now,
                )?;
                writer.note(noted(&holder, before), noted(&holder, Some(permission)));
                Ok(HeldGrant { permission: Some(permission), holder })
            })
            .await
    }

    /// Takes a grant back; there need not have been one.
    pub async fn remove_grant(&self, caller: &Caller, on: &GrantPlace, name: HolderName) -> Result<()> {
        let place = self.grant_place(caller, on).await?;
        let permit = self.permit(caller, act::GrantRemove, &place.ground)?;
        self.store
            .write(&permit, move |writer| {
                let holder = holder(writer, place.workspace, &name)?;
                let before = store::grant::find(writer, place.resource, holder.subject())?;
                store::grant::remove(writer, place.resource, holder.subject())?;
                writer.note(noted(&holder, before), Value::Null);
                Ok(())
            })
            .await
    }
}

fn noted(holder: &GrantHolder, permission: Option<Permission>) -> Value {
    permission.map_or(Value::Null, |level| json!({"to": holder.label(), "permission": level.as_str()}))
}

fn eligible(reader: &mut store::Reader<'_>, workspace: WorkspaceId, user: &User) -> Result<()> {
    match store::workspace::membership(reader, workspace, user.id)? {
        None => Err(Error::invalid(format!(
            "`{}` is not a member of the workspace: add them first",
            user.username
        ))),
        Some(model::WorkspacePermission::Owner) => {
            Err(Error::invalid(format!("`{}` owns the workspace and needs no grant in it", user.username)))
        }
        Some(_) => Ok(()),
    }
}
