//! Groups that hold a level on a whole workspace: who is in one has that level, for as long as they are in it.

use model::{
    Error, Grant, Group, GroupSlug, Permission, Resource, Result, Subject, WorkspacePermission, act,
};
use serde_json::{Value, json};

use crate::access::subject_label;
use crate::{Caller, Listing, Service, Window};

/// A group, and what its members may do in the workspace.
#[derive(Clone, Debug)]
pub struct MemberGroup {
    /// The group.
    pub group: Group,
    /// Their level.
    pub permission: WorkspacePermission,
}

fn level(permission: Permission) -> Option<WorkspacePermission> {
    match permission {
        Permission::Workspace(level) => Some(level),
        Permission::Project(_) | Permission::Repository(_) => None,
    }
}

fn noted(group: &Group, permission: Option<Permission>) -> Value {
    let label = subject_label(Subject::Group(group.id), group.slug.as_str());
    permission.map_or(Value::Null, |level| json!({"to": label, "permission": level.as_str()}))
}

impl Service {
    /// The groups with a level on the workspace.
    pub async fn member_groups(
        &self,
        caller: &Caller,
        workspace: &str,
        window: Window,
    ) -> Result<Listing<MemberGroup>> {
        let ground = self.workspace_ground(caller, workspace).await?;
        self.check(caller, act::MemberList, &ground)?;
        let id = ground.subject.id;
        let (values, size) = self
            .store
            .read(move |reader| {
                let (grants, size) =
                    store::grant::list(reader, Resource::Workspace(id), true, window.limit, window.offset)?;
                let groups = store::group::list(reader, id)?;
                let held = |grant: Grant| {
                    let group = groups.iter().find(|group| Subject::Group(group.id) == grant.subject)?;
                    Some(MemberGroup { group: group.clone(), permission: level(grant.permission)? })
                };
                Ok((grants.into_iter().filter_map(held).collect(), size))
            })
            .await?;
        Ok(Listing::new(values, size))
    }

    /// Gives a group a level on the workspace, or changes it.
    pub async fn set_member_group(
        &self,
        caller: &Caller,
        workspace: &str,
        slug: GroupSlug,
        permission: WorkspacePermission,
    ) -> Result<MemberGroup> {
        let ground = self.workspace_ground(caller, workspace).await?;
        let permit = self.permit(caller, act::MemberSet, &ground)?;
        let (id, now) = (ground.subject.id, self.clock.now());
        self.store
            .write(&permit, move |writer| {
                let group = group(writer, id, &slug)?;
                let (on, subject) = (Resource::Workspace(id), Subject::Group(group.id));
                let (before, after) =
                    (store::grant::find(writer, on, subject)?, Permission::Workspace(permission));
                store::grant::set(writer, on, id, subject, after, now)?;
                writer.note(noted(&group, before), noted(&group, Some(after)));
                Ok(MemberGroup { group, permission })
            })
            .await
    }

    /// Takes a group's level on the workspace back; what its members hold otherwise stays.
    pub async fn remove_member_group(&self, caller: &Caller, workspace: &str, slug: GroupSlug) -> Result<()> {
        let ground = self.workspace_ground(caller, workspace).await?;
        let permit = self.permit(caller, act::MemberRemove, &ground)?;
        let id = ground.subject.id;
        self.store
            .write(&permit, move |writer| {
                let group = group(writer, id, &slug)?;
                let (on, subject) = (Resource::Workspace(id), Subject::Group(group.id));
                let before = store::grant::find(writer, on, subject)?;
                if !store::grant::remove(writer, on, subject)? {
                    return Err(Error::not_found("the group's level on the workspace"));
                }
                writer.note(noted(&group, before), Value::Null);
                Ok(())
            })
            .await
    }
}

fn group(reader: &mut store::Reader<'_>, workspace: model::WorkspaceId, slug: &GroupSlug) -> Result<Group> {
    store::group::find(reader, workspace, slug)?.ok_or_else(|| Error::not_found("the group"))
}
