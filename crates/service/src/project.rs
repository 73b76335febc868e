//! Projects.

use model::{DisplayName, Error, Project, ProjectId, ProjectKey, ResourceKind, Result, Workspace, act};
use serde_json::{Value, json};
use wire::query::Typed;
use wire::sort::Sort;

use crate::access::{project_target, unknown};
use crate::{Caller, Changed, Listing, Service, Window};

/// What is needed to make a project.
pub struct NewProject {
    /// Unique in the workspace.
    pub key: ProjectKey,
    /// The key, where none is given.
    pub name: Option<DisplayName>,
    /// What it is for.
    pub description: String,
    /// A private project holds no public repositories.
    pub private: bool,
}

/// What may be changed about a project; what is absent stays.
#[derive(Default)]
pub struct ProjectChange {
    /// A new key; the old one redirects.
    pub key: Option<ProjectKey>,
    /// A new name.
    pub name: Option<DisplayName>,
    /// A new description.
    pub description: Option<String>,
    /// Whether it is private.
    pub private: Option<bool>,
}

/// Descriptions are shown whole; a longer text belongs into a file.
pub(crate) const LONGEST_DESCRIPTION: usize = 10_000;

pub(crate) fn description(text: &str) -> Result<()> {
    if text.len() > LONGEST_DESCRIPTION || text.contains('\0') {
        return Err(Error::invalid_field(
            "description",
            format!("use at most {LONGEST_DESCRIPTION} bytes of text"),
        ));
    }
    Ok(())
}

fn shown(project: &Project) -> Value {
    json!({
        "key": project.key, "name": project.name, "description": project.description,
        "is_private": project.private,
    })
}

impl Service {
    /// A project by key or id.
    pub async fn project(
        &self,
        caller: &Caller,
        workspace: &str,
        project: &str,
    ) -> Result<(Workspace, Project)> {
        let ground = self.project_ground(caller, workspace, project).await?;
        self.check(caller, act::ProjectRead, &ground)?;
        Ok(ground.subject)
    }

    /// The projects of a workspace that the caller may see. An empty list to whoever is no member.
    pub async fn projects(
        &self,
        caller: &Caller,
        workspace: &str,
        filter: Option<Typed>,
        sort: Option<Sort>,
        window: Window,
    ) -> Result<(Workspace, Listing<Project>)> {
        let ground = self.workspace_ground(caller, workspace).await?;
        let decision = self.decide(caller, model::Action::WorkspaceRead, &ground);
        // What break-glass opens is recorded where it is listed too.
        self.record_if_opened(caller, model::Action::WorkspaceRead, &ground, &decision);
        let seen = decision.allowed;
        let viewer = caller.viewer();
        let (service, asking, within) = (self.clone(), caller.clone(), ground.subject.clone());
        let found = self
            .store
            .read(move |reader| {
                let closed = service.closed_to(reader, &asking, Some(within.id))?;
                let part = (window.limit, window.offset);
                let viewer = (viewer, &closed);
                let rows = store::project::list(reader, within.id, viewer, filter.as_ref(), sort, part)?;
                service.shown_projects(reader, &asking, &within, rows, window.offset)
            })
            .await?;
        if !seen && found.values.is_empty() {
            // To whom nothing in it is visible, the workspace does not exist.
            return Err(self.missing(caller, ResourceKind::Workspace));
        }
        Ok((ground.subject, found))
    }

    /// Makes a project.
    pub async fn create_project(
        &self,
        caller: &Caller,
        workspace: &str,
        new: NewProject,
    ) -> Result<(Workspace, Project)> {
        let ground = self.workspace_ground(caller, workspace).await?;
        let permit = self.permit(caller, act::ProjectCreate, &ground)?;
        if !new.private {
            self.check(caller, act::ProjectPublish, &ground)?;
        }
        description(&new.description)?;
        let now = self.clock.now();
        let name = match new.name {
            Some(name) => name,
            None => new.key.as_str().parse().map_err(Error::internal)?,
        };
        let project = Project {
            id: ProjectId::new(&self.random),
            workspace: ground.subject.id,
            key: new.key,
            name,
            description: new.description,
            private: new.private,
            created_on: now,
            updated_on: now,
        };
        let (made, workspace) = (project.clone(), ground.subject.clone());
        // Whoever may make projects administers the ones they made.
        let maker = caller.as_user().map(|user| model::Subject::User(user.id));
        self.store
            .write(&permit, move |writer| {
                store::project::insert(writer, &made)?;
                if let Some(maker) = maker {
                    let level = model::Permission::Project(model::ProjectPermission::Admin);
                    store::grant::set(writer, made.id.into(), made.workspace, maker, level, now)?;
                }
                writer.about(project_target(&workspace, &made));
                writer.note(Value::Null, shown(&made));
                Ok(())
            })
            .await?;
        Ok((ground.subject, project))
    }

    /// Changes a project; a former key redirects.
    pub async fn update_project(
        &self,
        caller: &Caller,
        workspace: &str,
        project: &str,
        change: ProjectChange,
    ) -> Result<Changed<(Workspace, Project)>> {
        let ground = self.project_ground(caller, workspace, project).await;
        let permitted =
            ground.and_then(|ground| Ok((self.permit(caller, act::ProjectUpdate, &ground)?, ground)));
        let (permit, ground) = match permitted {
            Err(absent @ Error::NotFound { .. }) => return Ok(Changed::Absent(absent)),
            other => other?,
        };
        if ground.subject.1.private && change.private == Some(false) {
            self.check(caller, act::ProjectPublish, &ground)?;
        }
        if let Some(text) = &change.description {
            description(text)?;
        }
        let (workspace, project) = ground.subject;
        let (id, now) = (project.id, self.clock.now());
        let after = self
            .store
            .write(&permit, move |writer| {
                let before =
                    store::project::find(writer, id)?.ok_or_else(|| unknown(ResourceKind::Project))?;
                let mut after = before.clone();
                after.key = change.key.clone().unwrap_or(after.key);
                after.name = change.name.clone().unwrap_or(after.name);
                after.description = change.description.clone().unwrap_or(after.description);
                after.private = change.private.unwrap_or(after.private);
                after.updated_on = now;
                store::project::update(writer, &before, &after)?;
                writer.note(shown(&before), shown(&after));
                Ok(after)
            })
            .await?;
        Ok(Changed::Done((workspace, after)))
    }

    /// Deletes a project that holds no repositories.
    pub async fn delete_project(&self, caller: &Caller, workspace: &str, project: &str) -> Result<()> {
        let ground = self.project_ground(caller, workspace, project).await?;
        let permit = self.permit(caller, act::ProjectDelete, &ground)?;
        let ((_, project), now) = (ground.subject, self.clock.now());
        self.store
            .write(&permit, move |writer| {
                store::project::delete(writer, project.id, now)?;
                writer.note(shown(&project), Value::Null);
                Ok(())
            })
            .await
    }
}
