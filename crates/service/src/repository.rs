//! Repositories: their facts. What is in them is the business of `source`; pushing and cloning, of `git_access`.

use std::sync::Arc;

use model::{
    DisplayName, Error, ForkPolicy, Permission, RefName, Repository, RepositoryId, RepositorySlug,
    ResourceKind, Result, Subject, act,
};
use serde_json::{Value, json};
use store::project::ProjectName;
use store::repository::{ListRequest, Located};
use store::visibility::{AtLeast, Closed};
use wire::query::Typed;
use wire::sort::Sort;

use crate::access::{Ground, RepositoryPath, project_ground, repository_ground, repository_target, unknown};
use crate::project::description;
use crate::{Caller, Changed, Listing, Service, Window};

/// What is needed to make a repository.
pub struct NewRepository {
    /// Its slug.
    pub slug: RepositorySlug,
    /// The slug, where none is given.
    pub name: Option<DisplayName>,
    /// The workspace's oldest, where none is given.
    pub project: Option<ProjectName>,
    /// What it is for.
    pub description: String,
    /// Private, unless it is said not to be.
    pub private: bool,
    /// Who may fork it.
    pub fork_policy: ForkPolicy,
    /// The main programming language.
    pub language: String,
    /// Kept for clients that send it.
    pub has_issues: bool,
    /// Kept for clients that send it.
    pub has_wiki: bool,
    /// `main`, where none is given.
    pub default_branch: Option<String>,
}

/// What may be changed about a repository; what is absent stays.
#[derive(Default)]
pub struct RepositoryChange {
    /// A new name; without a new slug, the slug follows it.
    pub name: Option<DisplayName>,
    /// A new slug; the old one redirects.
    pub slug: Option<RepositorySlug>,
    /// Another project of the same workspace.
    pub project: Option<ProjectName>,
    /// A new description.
    pub description: Option<String>,
    /// Whether it is private.
    pub private: Option<bool>,
    /// Who may fork it.
    pub fork_policy: Option<ForkPolicy>,
    /// The main programming language.
    pub language: Option<String>,
    /// Kept for clients that send it.
    pub has_issues: Option<bool>,
    /// Kept for clients that send it.
    pub has_wiki: Option<bool>,
    /// The branch that a clone checks out.
    pub default_branch: Option<String>,
}

/// Which repositories a list asks for.
pub struct RepositoryQuery {
    /// In which workspace; all that the caller may see without one.
    pub workspace: Option<String>,
    /// With at least which level.
    pub at_least: AtLeast,
    /// A filter over [`REPOSITORY_FIELDS`](crate::REPOSITORY_FIELDS).
    pub filter: Option<Typed>,
    /// An order over them.
    pub sort: Option<Sort>,
}

fn shown(located: &Located) -> Value {
    let repository = &located.repository;
    json!({
        "workspace": located.workspace.slug, "project": located.project.key, "slug": repository.slug,
        "name": repository.name, "description": repository.description, "is_private": repository.private,
        "fork_policy": repository.fork_policy.as_str(), "language": repository.language,
        "default_branch": repository.default_branch,
    })
}

fn branch(name: &str) -> Result<RefName> {
    RefName::branch(name)
        .map_err(|_| Error::invalid_field("mainbranch", "not a branch name that git accepts"))
}

/// The slug that follows from a name.
fn slug_of(name: &DisplayName) -> Result<RepositorySlug> {
    model::name::slug_from(name.as_str()).parse().map_err(|_| {
        Error::invalid_field(
            "name",
            "use a name with at least one letter from a to z or digit, to make a slug from",
        )
    })
}

fn language(text: &str) -> Result<()> {
    if text.len() > 64 || text.chars().any(char::is_control) {
        return Err(Error::invalid_field("language", "use at most 64 characters"));
    }
    Ok(())
}

fn relocated(writer: &mut store::Writer<'_>, repository: Repository) -> Result<Located> {
    store::repository::locate(writer, repository)?
        .ok_or_else(|| Error::invalid_field("project", "there is no such project in the workspace"))
}

impl Service {
    /// A repository.
    pub async fn repository(&self, caller: &Caller, path: &RepositoryPath) -> Result<Arc<Located>> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::RepositoryRead, ground.as_ref())?;
        Ok(Arc::new(ground.subject.clone()))
    }

    /// The repositories that the caller may see.
    pub async fn repositories(
        &self,
        caller: &Caller,
        query: RepositoryQuery,
        window: Window,
    ) -> Result<Listing<Located>> {
        let workspace = match &query.workspace {
            Some(name) => Some(self.workspace_ground(caller, name).await?),
            None => None,
        };
        if let Some(ground) = &workspace {
            // What break-glass opens is recorded where it is listed too.
            let decision = self.decide(caller, model::Action::WorkspaceRead, ground);
            self.record_if_opened(caller, model::Action::WorkspaceRead, ground, &decision);
        }
        let request = ListRequest {
            viewer: caller.viewer(),
            closed: Closed::NOTHING,
            workspace: workspace.as_ref().map(|ground| ground.subject.id),
            project: None,
            at_least: query.at_least,
            filter: query.filter,
            sort: query.sort,
            limit: window.limit,
            offset: window.offset,
        };
        let bare = request.filter.is_none() && request.at_least == AtLeast::Visible && window.offset == 0;
        let (service, asking) = (self.clone(), caller.clone());
        let found = self
            .store
            .read(move |reader| {
                let closed = service.closed_to(reader, &asking, request.workspace)?;
                service.shown_repositories(reader, &asking, &ListRequest { closed, ..request })
            })
            .await?;
        if let Some(ground) = workspace
            && bare
            && found.values.is_empty()
            && !self.decide(caller, model::Action::WorkspaceRead, &ground).allowed
        {
            return Err(self.missing(caller, ResourceKind::Workspace));
        }
        Ok(found)
    }

    /// Makes a repository: the directory first, then the row. A directory without a row is swept; a row without a
    /// directory would be a repository that cannot be cloned.
    pub async fn create_repository(
        &self,
        caller: &Caller,
        workspace: &str,
        new: NewRepository,
    ) -> Result<Located> {
        description(&new.description)?;
        language(&new.language)?;
        let default_branch = new.default_branch.unwrap_or_else(|| "main".to_owned());
        let head = branch(&default_branch)?;
        let workspace = self.workspace_ground(caller, workspace).await?.subject;
        let user = caller.as_user().map(|user| user.id);
        let (within, wanted, service) = (workspace.clone(), new.project.clone(), self.clone());
        let ground = self
            .store
            .read(move |reader| {
                let project = match &wanted {
                    Some(name) => store::project::resolve(reader, within.id, name)?,
                    None => store::project::oldest(reader, within.id)?,
                };
                project
                    .map(|project| project_ground(&service, reader, within.clone(), project, user))
                    .transpose()
            })
            .await?;
        let Some(ground) = ground else { return Err(self.no_project(caller, &workspace).await) };
        let permit = match self.permit(caller, act::RepositoryCreate, &ground) {
            // A project that may not be known is answered as one that is not there.
            Err(Error::NotFound { .. }) => return Err(self.no_project(caller, &workspace).await),
            other => other?,
        };
        if !new.private {
            self.check(caller, act::RepositoryPublish, &ground)?;
        }
        let now = self.clock.now();
        let name = match new.name {
            Some(name) => name,
            None => new.slug.as_str().parse().map_err(Error::internal)?,
        };
        let (workspace, project) = ground.subject;
        let repository = Repository {
            id: RepositoryId::new(&self.random),
            workspace: workspace.id,
            project: project.id,
            slug: new.slug,
            name,
            description: new.description,
            private: new.private,
            fork_policy: new.fork_policy,
            language: new.language,
            has_issues: new.has_issues,
            has_wiki: new.has_wiki,
            default_branch,
            size_bytes: 0,
            created_on: now,
            updated_on: now,
            deleted_on: None,
        };
        let located = Located { repository, project, workspace };
        self.git.create(located.repository.id, &head).await?;
        let made = located.clone();
        let written = self
            .store
            .write(&permit, move |writer| {
                let repository = &made.repository;
                store::repository::insert(writer, repository)?;
                for group in store::group::added_to_new_repositories(writer, repository.workspace)? {
                    if let Some(level) = group.default_permission {
                        let (subject, level) = (Subject::Group(group.id), Permission::Repository(level));
                        store::grant::set(
                            writer,
                            repository.id.into(),
                            repository.workspace,
                            subject,
                            level,
                            now,
                        )?;
                    }
                }
                writer.about(repository_target(&made));
                writer.note(Value::Null, shown(&made));
                Ok(())
            })
            .await;
        if let Err(error) = written {
            // The directory was never anybody's.
            if let Err(left) = self.git.remove(located.repository.id).await {
                tracing::warn!(repository = %located.repository.id, error = %left, "a directory without a row is left to the sweep");
            }
            return Err(error);
        }
        Ok(located)
    }

    /// Only members are told that the workspace has no such project.
    async fn no_project(&self, caller: &Caller, workspace: &model::Workspace) -> Error {
        let seen = match self.workspace_ground(caller, workspace.slug.as_str()).await {
            Ok(ground) => self.check(caller, act::WorkspaceRead, &ground),
            Err(error) => Err(error),
        };
        match seen {
            Err(error) => error,
            Ok(()) => Error::invalid_field(
                "project",
                "name a project of the workspace by `key` or `uuid`; make one first when it has none",
            ),
        }
    }

    /// Changes a repository; a former name redirects.
    pub async fn update_repository(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        change: RepositoryChange,
    ) -> Result<Changed<Located>> {
        let ground = self.repository_ground(caller, path).await;
        let permitted = ground
            .and_then(|ground| Ok((self.permit(caller, act::RepositoryUpdate, ground.as_ref())?, ground)));
        let (permit, ground) = match permitted {
            Err(absent @ Error::NotFound { .. }) => return Ok(Changed::Absent(absent)),
            other => other?,
        };
        if let Some(text) = &change.description {
            description(text)?;
        }
        if let Some(text) = &change.language {
            language(text)?;
        }
        if let Some(name) = &change.default_branch {
            branch(name).map(drop)?;
        }
        let slug_of_new_name = change.name.as_ref().map(slug_of).transpose()?;
        let published = ground.subject.repository.private && change.private == Some(false);
        if published {
            self.check(caller, act::RepositoryPublish, ground.as_ref())?;
        }
        if let Some(project) = &change.project {
            self.may_take_in(caller, &ground.subject, project.clone()).await?;
        }
        let (id, now) = (ground.subject.repository.id, self.clock.now());
        let new_head =
            change.default_branch.clone().filter(|name| *name != ground.subject.repository.default_branch);
        let after = self
            .store
            .write(&permit, move |writer| {
                let before = store::repository::find(writer, id)?.filter(|found| found.deleted_on.is_none());
                let before = before.ok_or_else(|| unknown(ResourceKind::Repository))?;
                let before = relocated(writer, before)?;
                let mut after = before.repository.clone();
                after.name = change.name.clone().unwrap_or(after.name);
                let follows = after.name != before.repository.name;
                let slug = change.slug.clone().or(slug_of_new_name.clone().filter(|_| follows));
                after.slug = slug.unwrap_or(after.slug);
                after.description = change.description.clone().unwrap_or(after.description);
                after.private = change.private.unwrap_or(after.private);
                after.fork_policy = change.fork_policy.unwrap_or(after.fork_policy);
                after.language = change.language.clone().unwrap_or(after.language);
                after.has_issues = change.has_issues.unwrap_or(after.has_issues);
                after.has_wiki = change.has_wiki.unwrap_or(after.has_wiki);
                after.default_branch = change.default_branch.clone().unwrap_or(after.default_branch);
                after.updated_on = now;
                if let Some(name) = &change.project {
                    let project = store::project::resolve(writer, after.workspace, name)?;
                    after.project = project.ok_or_else(|| unknown(ResourceKind::Project))?.id;
                }
                store::repository::update(writer, &before.repository, &after)?;
                let after = relocated(writer, after)?;
                writer.note(shown(&before), shown(&after));
                Ok(after)
            })
            .await?;
        if let Some(head) = new_head {
            git::refs::set_default_branch(&self.git.open(id)?, &branch(&head)?).await?;
        }
        Ok(Changed::Done(after))
    }

    /// Whoever moves a repository into a project must be able to make one there.
    async fn may_take_in(&self, caller: &Caller, located: &Located, project: ProjectName) -> Result<()> {
        let workspace = located.workspace.clone();
        self.may_create_in(caller, workspace, project, located.repository.private).await.map(drop)
    }

    async fn may_create_in(
        &self,
        caller: &Caller,
        workspace: model::Workspace,
        project: ProjectName,
        private: bool,
    ) -> Result<model::Project> {
        let user = caller.as_user().map(|user| user.id);
        let service = self.clone();
        let ground = self
            .store
            .read(move |reader| {
                let project = store::project::resolve(reader, workspace.id, &project)?;
                project
                    .map(|project| project_ground(&service, reader, workspace.clone(), project, user))
                    .transpose()
            })
            .await?;
        let ground = ground.ok_or_else(|| self.missing(caller, ResourceKind::Project))?;
        self.check(caller, act::RepositoryCreate, &ground)?;
        if !private {
            self.check(caller, act::RepositoryPublish, &ground)?;
        }
        Ok(ground.subject.1)
    }

    /// Moves a repository to another project, or to another workspace, where its access tokens and grants end.
    pub async fn transfer_repository(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        workspace: Option<&str>,
        project: ProjectName,
    ) -> Result<Located> {
        let ground = self.repository_ground(caller, path).await?;
        let permit = self.permit(caller, act::RepositoryTransfer, ground.as_ref())?;
        let to = match workspace {
            Some(name) => self.workspace_ground(caller, name).await?.subject,
            None => ground.subject.workspace.clone(),
        };
        let private = ground.subject.repository.private;
        let project = self.may_create_in(caller, to, project, private).await?;
        let (id, now) = (ground.subject.repository.id, self.clock.now());
        self.store
            .write(&permit, move |writer| {
                let before = store::repository::find(writer, id)?.filter(|found| found.deleted_on.is_none());
                let before = relocated(writer, before.ok_or_else(|| unknown(ResourceKind::Repository))?)?;
                let mut after = before.repository.clone();
                after.workspace = project.workspace;
                after.project = project.id;
                after.updated_on = now;
                store::repository::update(writer, &before.repository, &after)?;
                let after = relocated(writer, after)?;
                writer.note(shown(&before), shown(&after));
                Ok(after)
            })
            .await
    }

    /// Deletes a repository: it can be restored until the sweep comes. Its access tokens and grants end for good.
    pub async fn delete_repository(&self, caller: &Caller, path: &RepositoryPath) -> Result<()> {
        let ground = self.repository_ground(caller, path).await?;
        let permit = self.permit(caller, act::RepositoryDelete, ground.as_ref())?;
        let (located, now) = (ground.subject.clone(), self.clock.now());
        self.store
            .write(&permit, move |writer| {
                store::repository::delete(writer, located.repository.id, now)?;
                writer.note(shown(&located), Value::Null);
                Ok(())
            })
            .await
    }

    /// Brings the repository of this name that was deleted last back, without the tokens and grants it had.
    pub async fn restore_repository(&self, caller: &Caller, path: &RepositoryPath) -> Result<Located> {
        let ground = self.deleted_ground(caller, path).await?;
        let permit = self.permit(caller, act::RepositoryRestore, &ground)?;
        let mut located = ground.subject;
        located.repository.deleted_on = None;
        let restored = located.clone();
        self.store
            .write(&permit, move |writer| {
                store::repository::restore(writer, &restored.repository)?;
                writer.note(Value::Null, shown(&restored));
                Ok(())
            })
            .await?;
        Ok(located)
    }

    async fn deleted_ground(&self, caller: &Caller, path: &RepositoryPath) -> Result<Ground<Located>> {
        let user = caller.as_user().map(|user| user.id);
        let (path, service) = (path.clone(), self.clone());
        let found = self
            .store
            .read(move |reader| {
                let Some(workspace) = &path.workspace else { return Ok(None) };
                let Some(workspace) = store::workspace::resolve(reader, workspace)? else { return Ok(None) };
                let Some(found) = store::repository::deleted(reader, workspace.id, &path.repository)? else {
                    return Ok(None);
                };
                match store::repository::locate(reader, found)? {
                    Some(located) => repository_ground(&service, reader, located, user).map(Some),
                    None => Ok(None),
                }
            })
            .await?;
        found.ok_or_else(|| self.missing(caller, ResourceKind::Repository))
    }
}
