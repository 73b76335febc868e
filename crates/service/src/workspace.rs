//! Workspaces and their members.

use model::{
    DisplayName, Error, Member, Permission, Resource, ResourceKind, Result, Subject, Username, Workspace,
    WorkspaceId, WorkspacePermission, WorkspaceSlug, act,
};
use serde_json::{Value, json};

use crate::access::{unknown, workspace_target};
use crate::{Caller, Listing, Service, Window};

/// What may be changed about a workspace; what is absent stays.
#[derive(Default)]
pub struct WorkspaceChange {
    /// A new slug; the old one redirects.
    pub slug: Option<WorkspaceSlug>,
    /// A new name.
    pub name: Option<DisplayName>,
    /// Only if the workspace is still as this: what the client has seen.
    pub only_if: Option<Workspace>,
}

fn shown(workspace: &Workspace) -> Value {
    json!({
        "slug": workspace.slug, "name": workspace.name,
    })
}

impl Service {
    /// A workspace by slug or id.
    pub async fn workspace(&self, caller: &Caller, name: &str) -> Result<Workspace> {
        let ground = self.workspace_ground(caller, name).await?;
        self.check(caller, act::WorkspaceRead, &ground)?;
        Ok(ground.subject)
    }

    /// The workspaces the caller belongs to, with what it may do there.
    pub async fn own_workspaces(
        &self,
        caller: &Caller,
        window: Window,
    ) -> Result<Listing<(Workspace, WorkspacePermission)>> {
        let user = caller.as_user().ok_or(Error::Unauthenticated)?;
        self.check(caller, act::AccountRead, &self.user_ground(model::User::clone(user)))?;
        if !user.approved || caller.must_enrol() {
            return Ok(Listing::new(Vec::new(), 0));
        }
        let id = user.id;
        let (values, size) = self
            .store
            .read(move |reader| store::workspace::of_user(reader, id, window.limit, window.offset))
            .await?;
        Ok(Listing::new(values, size))
    }

    /// What the caller is in a workspace.
    pub async fn own_membership(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<(Workspace, WorkspacePermission)> {
        let workspace = self.workspace(caller, name).await?;
        let user = caller.as_user().ok_or(Error::Unauthenticated)?.id;
        let id = workspace.id;
        let permission =
            self.store.read(move |reader| store::workspace::membership(reader, id, user)).await?;
        Ok((workspace, permission.ok_or_else(|| unknown(ResourceKind::Workspace))?))
    }

    /// Makes a workspace; the user who does is its owner.
    pub async fn create_workspace(
        &self,
        caller: &Caller,
        slug: WorkspaceSlug,
        name: DisplayName,
    ) -> Result<Workspace> {
        let permit = self.permit(caller, act::WorkspaceCreate, &self.instance_ground())?;
        let now = self.clock.now();
        let workspace =
            Workspace { id: WorkspaceId::new(&self.random), slug, name, created_on: now, updated_on: now };
        let (made, owner) = (workspace.clone(), caller.as_user().map(|user| user.id));
        self.store
            .write(&permit, move |writer| {
                store::workspace::insert(writer, &made)?;
                if let Some(owner) = owner {
                    let level = Permission::Workspace(WorkspacePermission::Owner);
                    store::grant::set(writer, made.id.into(), made.id, Subject::User(owner), level, now)?;
                }
                writer.about(workspace_target(&made));
                writer.note(Value::Null, shown(&made));
                Ok(())
            })
            .await?;
        Ok(workspace)
    }

    /// Changes a workspace; a former slug redirects.
    pub async fn update_workspace(
        &self,
        caller: &Caller,
        name: &str,
        change: WorkspaceChange,
    ) -> Result<Workspace> {
        let ground = self.workspace_ground(caller, name).await?;
        let permit = self.permit(caller, act::WorkspaceUpdate, &ground)?;
        let (id, now) = (ground.subject.id, self.clock.now());
        self.store
            .write(&permit, move |writer| {
                let before =
                    store::workspace::find(writer, id)?.ok_or_else(|| unknown(ResourceKind::Workspace))?;
                if change.only_if.as_ref().is_some_and(|seen| *seen != before) {
                    return Err(crate::user::changed_meanwhile());
                }
                let mut after = before.clone();
                after.slug = change.slug.clone().unwrap_or(after.slug);
                after.name = change.name.clone().unwrap_or(after.name);
                after.updated_on = now;
                store::workspace::update(writer, &before, &after)?;
                writer.note(shown(&before), shown(&after));
                Ok(after)
            })
            .await
    }

    /// Deletes a workspace that holds no projects.
    pub async fn delete_workspace(&self, caller: &Caller, name: &str) -> Result<()> {
        let ground = self.workspace_ground(caller, name).await?;
        let permit = self.permit(caller, act::WorkspaceDelete, &ground)?;
        let (workspace, now) = (ground.subject, self.clock.now());
        self.store
            .write(&permit, move |writer| {
                store::workspace::delete(writer, workspace.id, now)?;
                writer.note(shown(&workspace), Value::Null);
                Ok(())
            })
            .await
    }

    /// A workspace's members by username.
    pub async fn members(
        &self,
        caller: &Caller,
        name: &str,
        window: Window,
    ) -> Result<(Workspace, Listing<Member>)> {
        let ground = self.workspace_ground(caller, name).await?;
        self.check(caller, act::MemberList, &ground)?;
        let id = ground.subject.id;
        let (values, size) = self
            .store
            .read(move |reader| store::workspace::members(reader, id, window.limit, window.offset))
            .await?;
        Ok((ground.subject, Listing::new(values, size)))
    }

    /// One member, by username or id.
    pub async fn member(&self, caller: &Caller, name: &str, user: &str) -> Result<(Workspace, Member)> {
        let ground = self.workspace_ground(caller, name).await?;
        self.check(caller, act::MemberList, &ground)?;
        let user = self.find_user(caller, user).await?.subject;
        let (id, user_id) = (ground.subject.id, user.id);
        let permission =
            self.store.read(move |reader| store::workspace::membership(reader, id, user_id)).await?;
        let permission = permission.ok_or_else(|| unknown(ResourceKind::User))?;
        let granted_on = ground.subject.created_on;
        Ok((ground.subject, Member { user, permission, granted_on }))
    }

    /// Makes somebody a member, or changes what a member may do. The last owner stays one.
    pub async fn set_member(
        &self,
        caller: &Caller,
        name: &str,
        username: &Username,
        permission: WorkspacePermission,
    ) -> Result<Member> {
        let ground = self.workspace_ground(caller, name).await?;
        let permit = self.permit(caller, act::MemberSet, &ground)?;
        let (id, username, now) = (ground.subject.id, username.clone(), self.clock.now());
        self.store
            .write(&permit, move |writer| {
                let user = store::user::find_by_username(writer, &username)?
                    .ok_or_else(|| unknown(ResourceKind::User))?;
                let before = store::workspace::membership(writer, id, user.id)?;
                if permission != WorkspacePermission::Owner {
                    keep_an_owner(writer, id, user.id, before)?;
                }
                let level = Permission::Workspace(permission);
                store::grant::set(writer, Resource::Workspace(id), id, Subject::User(user.id), level, now)?;
                let noted = |level: Option<WorkspacePermission>| {
                    level.map_or(Value::Null, |level| json!({"user": user.username, "permission": level}))
                };
                writer.note(noted(before), noted(Some(permission)));
                Ok(Member { user, permission, granted_on: now })
            })
            .await
    }

    /// Ends a membership, with every grant and group membership in the workspace. The last owner stays.
    pub async fn remove_member(&self, caller: &Caller, name: &str, username: &Username) -> Result<()> {
        let ground = self.workspace_ground(caller, name).await?;
        let permit = self.permit(caller, act::MemberRemove, &ground)?;
        let (id, username) = (ground.subject.id, username.clone());
        self.store
            .write(&permit, move |writer| {
                let user = store::user::find_by_username(writer, &username)?
                    .ok_or_else(|| unknown(ResourceKind::User))?;
                let before = store::workspace::membership(writer, id, user.id)?;
                let Some(level) = before else { return Err(unknown(ResourceKind::User)) };
                keep_an_owner(writer, id, user.id, before)?;
                store::workspace::remove_member(writer, id, user.id)?;
                writer.note(json!({"user": user.username, "permission": level}), Value::Null);
                Ok(())
            })
            .await
    }
}

fn keep_an_owner(
    writer: &mut store::Writer<'_>,
    id: WorkspaceId,
    user: model::UserId,
    before: Option<WorkspacePermission>,
) -> Result<()> {
    if before == Some(WorkspacePermission::Owner) && store::workspace::other_owners(writer, id, user)? == 0 {
        return Err(Error::Conflict(
            "this is the workspace's last active owner: make another one first".to_owned(),
        ));
    }
    Ok(())
}
