//! Groups of a workspace.

use model::{
    DisplayName, Email, Error, Group, GroupId, GroupSlug, RepositoryPermission, ResourceKind, Result, User,
    UserId, Workspace, act,
};
use serde_json::{Value, json};

use crate::{Caller, Service};

/// What may be changed about a group; what is absent stays.
#[derive(Default)]
pub struct GroupChange {
    /// A new name; the slug stays.
    pub name: Option<DisplayName>,
    /// Whether new repositories grant it something by themselves.
    pub auto_add: Option<bool>,
    /// What they grant; `Some(None)` for nothing.
    pub default_permission: Option<Option<RepositoryPermission>>,
    /// Kept for clients that send it.
    pub email_forwarding_disabled: Option<bool>,
}

/// A group with its members.
#[derive(Clone, Debug)]
pub struct GroupWithMembers {
    /// The group.
    pub group: Group,
    /// By username.
    pub members: Vec<User>,
}

fn shown(group: &Group) -> Value {
    json!({
        "slug": group.slug, "name": group.name, "auto_add": group.auto_add,
        "permission": group.default_permission.map(RepositoryPermission::as_str),
    })
}

fn no_group() -> Error {
    Error::not_found("the group")
}

fn found(reader: &mut store::Reader<'_>, workspace: &Workspace, slug: &str) -> Result<Group> {
    let slug: GroupSlug = slug.parse().map_err(|_| no_group())?;
    store::group::find(reader, workspace.id, &slug)?.ok_or_else(no_group)
}

impl Service {
    /// The groups of a workspace, with their members, by slug.
    pub async fn groups(
        &self,
        caller: &Caller,
        workspace: &str,
    ) -> Result<(Workspace, Vec<GroupWithMembers>)> {
        let ground = self.workspace_ground(caller, workspace).await?;
        self.check(caller, act::GroupRead, &ground)?;
        let id = ground.subject.id;
        let groups = self
            .store
            .read(move |reader| {
                store::group::list(reader, id)?
                    .into_iter()
                    .map(|group| {
                        let members = store::group::members(reader, group.id)?;
                        Ok(GroupWithMembers { group, members })
                    })
                    .collect()
            })
            .await?;
        Ok((ground.subject, groups))
    }

    /// One group with its members.
    pub async fn group(
        &self,
        caller: &Caller,
        workspace: &str,
        slug: &str,
    ) -> Result<(Workspace, GroupWithMembers)> {
        let ground = self.workspace_ground(caller, workspace).await?;
        self.check(caller, act::GroupRead, &ground)?;
        let (within, slug) = (ground.subject.clone(), slug.to_owned());
        let group = self
            .store
            .read(move |reader| {
                let group = found(reader, &within, &slug)?;
                let members = store::group::members(reader, group.id)?;
                Ok(GroupWithMembers { group, members })
            })
            .await?;
        Ok((ground.subject, group))
    }

    /// Makes a group; its slug follows from its name.
    pub async fn create_group(
        &self,
        caller: &Caller,
        workspace: &str,
        name: DisplayName,
    ) -> Result<(Workspace, Group)> {
        let ground = self.workspace_ground(caller, workspace).await?;
        let permit = self.permit(caller, act::GroupCreate, &ground)?;
        let slug = model::name::slug_from(name.as_str());
        let slug = slug.parse().map_err(|_| {
            Error::invalid_field(
                "name",
                "use a name with at least one letter from a to z or digit, to make a slug from",
            )
        })?;
        let group = Group {
            id: GroupId::new(&self.random),
            workspace: ground.subject.id,
            slug,
            name,
            auto_add: false,
            default_permission: None,
            email_forwarding_disabled: false,
            created_on: self.clock.now(),
        };
        let made = group.clone();
        self.store
            .write(&permit, move |writer| {
                store::group::insert(writer, &made)?;
                writer.note(Value::Null, shown(&made));
                Ok(())
            })
            .await?;
        Ok((ground.subject, group))
    }

    /// Changes a group.
    pub async fn update_group(
        &self,
        caller: &Caller,
        workspace: &str,
        slug: &str,
        change: GroupChange,
    ) -> Result<(Workspace, Group)> {
        let ground = self.workspace_ground(caller, workspace).await?;
        let permit = self.permit(caller, act::GroupUpdate, &ground)?;
        let (within, slug) = (ground.subject.clone(), slug.to_owned());
        let group = self
            .store
            .write(&permit, move |writer| {
                let before = found(writer, &within, &slug)?;
                let mut after = before.clone();
                after.name = change.name.clone().unwrap_or(after.name);
                after.auto_add = change.auto_add.unwrap_or(after.auto_add);
                after.default_permission = change.default_permission.unwrap_or(after.default_permission);
                after.email_forwarding_disabled =
                    change.email_forwarding_disabled.unwrap_or(after.email_forwarding_disabled);
                store::group::update(writer, &after)?;
                writer.note(shown(&before), shown(&after));
                Ok(after)
            })
            .await?;
        Ok((ground.subject, group))
    }

    /// Deletes a group with its grants.
    pub async fn delete_group(&self, caller: &Caller, workspace: &str, slug: &str) -> Result<()> {
        let ground = self.workspace_ground(caller, workspace).await?;
        let permit = self.permit(caller, act::GroupDelete, &ground)?;
        let (within, slug) = (ground.subject.clone(), slug.to_owned());
        self.store
            .write(&permit, move |writer| {
                let group = found(writer, &within, &slug)?;
                store::group::delete(writer, group.id)?;
                writer.note(shown(&group), Value::Null);
                Ok(())
            })
            .await
    }

    /// Adds a member of the workspace to a group; by id, e-mail address or username.
    pub async fn add_group_member(
        &self,
        caller: &Caller,
        workspace: &str,
        slug: &str,
        user: &str,
    ) -> Result<User> {
        let ground = self.workspace_ground(caller, workspace).await?;
        let permit = self.permit(caller, act::GroupMemberAdd, &ground)?;
        let (within, slug, name) = (ground.subject.clone(), slug.to_owned(), user.to_owned());
        self.store
            .write(&permit, move |writer| {
                let group = found(writer, &within, &slug)?;
                let user = user_named(writer, &name)?;
                if store::workspace::membership(writer, within.id, user.id)?.is_none() {
                    return Err(Error::invalid(format!(
                        "`{}` is not a member of the workspace: add them first",
                        user.username
                    )));
                }
                store::group::add_member(writer, group.id, user.id)?;
                writer.note(Value::Null, json!({"group": group.slug, "user": user.username}));
                Ok(user)
            })
            .await
    }

    /// Takes a member out of a group.
    pub async fn remove_group_member(
        &self,
        caller: &Caller,
        workspace: &str,
        slug: &str,
        user: &str,
    ) -> Result<()> {
        let ground = self.workspace_ground(caller, workspace).await?;
        let permit = self.permit(caller, act::GroupMemberRemove, &ground)?;
        let (within, slug, name) = (ground.subject.clone(), slug.to_owned(), user.to_owned());
        self.store
            .write(&permit, move |writer| {
                let group = found(writer, &within, &slug)?;
                let user = user_named(writer, &name)?;
                if !store::group::remove_member(writer, group.id, user.id)? {
                    return Err(crate::access::unknown(ResourceKind::User));
                }
                writer.note(json!({"group": group.slug, "user": user.username}), Value::Null);
                Ok(())
            })
            .await
    }
}

/// A user by id (with or without braces), e-mail address or username: the ways in which clients name one.
pub(crate) fn user_named(reader: &mut store::Reader<'_>, name: &str) -> Result<User> {
    let user = if let Ok(id) = name.parse::<UserId>() {
        store::user::find(reader, id)?
    } else if let Ok(email) = name.parse::<Email>() {
        store::user::find_by_email(reader, &email)?
    } else if let Ok(username) = name.parse() {
        store::user::find_by_username(reader, &username)?
    } else {
        None
    };
    user.ok_or_else(|| crate::access::unknown(ResourceKind::User))
}
