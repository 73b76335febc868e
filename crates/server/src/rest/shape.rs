//! From domain values to the published shapes.

use model::{Group, Project, Timestamp, User, Workspace};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use service::{Commit, Entry, EntryKind, GitRef, Located, People, Person, RefKind};
use wire::account::{self, Account};
use wire::commit::{Author, CommitDetail, Committer, Rendered, RenderedMessage};
use wire::git_ref::{Branch, Ref, Tag};
use wire::project::ProjectDetail;
use wire::repository::RepositoryDetail;
use wire::source::{CommitDirectory, CommitFile, FileDetail};
use wire::workspace::WorkspaceDetail;
use wire::{Base, DateTime};

use super::media_type;
use crate::http::Cx;

/// The maker of shapes: it knows the base of every address.
pub(super) struct Shape {
    pub(super) base: Base,
}

fn moment(seconds: i64) -> DateTime {
    Timestamp::from_micros(seconds.saturating_mul(1_000_000)).into()
}

pub(super) fn full_name(located: &Located) -> String {
    format!("{}/{}", located.workspace.slug, located.repository.slug)
}

impl Shape {
    pub(super) fn of(cx: &Cx) -> Self {
        Self { base: Base::new(&cx.app.settings.base_url) }
    }

    /// An address in the interface.
    pub(super) fn api(&self, parts: &[&str]) -> String {
        self.base.api(parts).href
    }

    /// An address below a repository.
    pub(super) fn below(&self, located: &Located, parts: &[&str]) -> String {
        let full_name = full_name(located);
        self.api(&[&["repositories", full_name.as_str()], parts].concat())
    }

    pub(super) fn user(&self, user: &User) -> account::User {
        let (name, nickname) = (user.display_name.to_string(), user.username.to_string());
        account::User::new(&self.base, user.id, name, nickname)
    }

    /// The form at a user's own address; `own` for the caller's own account.
    pub(super) fn user_in_full(&self, user: &User, own: bool) -> account::User {
        let detail = account::UserDetail {
            created_on: user.created_on.into(),
            account_status: account::status(user.active),
            username: own.then(|| user.username.to_string()),
            has_2fa_enabled: own.then_some(user.second_step),
        };
        account::User { detail: Some(detail), ..self.user(user) }
    }

    pub(super) fn workspace(&self, workspace: &Workspace) -> wire::workspace::Workspace {
        let (slug, name) = (workspace.slug.to_string(), workspace.name.to_string());
        wire::workspace::Workspace::new(&self.base, workspace.id, slug, name)
    }

    pub(super) fn workspace_in_full(&self, workspace: &Workspace) -> wire::workspace::Workspace {
        let detail = WorkspaceDetail {
            is_private: true,
            is_privacy_enforced: false,
            forking_mode: "allow_forks",
            created_on: workspace.created_on.into(),
            updated_on: Some(workspace.updated_on.into()),
        };
        self.workspace(workspace).detailed(&self.base, detail)
    }

    pub(super) fn owner(&self, workspace: &Workspace) -> Account {
        let (slug, name) = (workspace.slug.as_str(), workspace.name.to_string());
        Account::Team(account::Team::new(&self.base, workspace.id, slug, name))
    }

    pub(super) fn project(&self, workspace: &Workspace, project: &Project) -> wire::project::Project {
        let (key, name) = (project.key.to_string(), project.name.to_string());
        wire::project::Project::new(&self.base, workspace.slug.as_str(), project.id, key, name)
    }

    pub(super) fn project_in_full(
        &self,
        workspace: &Workspace,
        project: &Project,
        has_publicly_visible_repos: bool,
    ) -> wire::project::Project {
        let detail = ProjectDetail {
            owner: self.owner(workspace),
            workspace: self.workspace(workspace),
            description: project.description.clone(),
            is_private: project.private,
            has_publicly_visible_repos,
            created_on: project.created_on.into(),
            updated_on: project.updated_on.into(),
        };
        self.project(workspace, project).detailed(&self.base, detail)
    }

    pub(super) fn repository(&self, located: &Located) -> wire::repository::Repository {
        let (workspace, repository) = (located.workspace.slug.as_str(), &located.repository);
        let (slug, name) = (repository.slug.as_str(), repository.name.to_string());
        wire::repository::Repository::new(&self.base, workspace, repository.id, slug, name)
    }

    pub(super) fn repository_in_full(&self, located: &Located) -> wire::repository::Repository {
        let repository = &located.repository;
        let detail = RepositoryDetail {
            slug: repository.slug.to_string(),
            description: repository.description.clone(),
            scm: "git",
            owner: self.owner(&located.workspace),
            workspace: self.workspace(&located.workspace),
            project: self.project(&located.workspace, &located.project),
            parent: None,
            is_private: repository.private,
            fork_policy: repository.fork_policy.as_str(),
            mainbranch: Some(Branch::named(repository.default_branch.clone())),
            size: u64::try_from(repository.size_bytes).unwrap_or(0),
            language: repository.language.clone(),
            has_issues: repository.has_issues,
            has_wiki: repository.has_wiki,
            created_on: repository.created_on.into(),
            updated_on: repository.updated_on.into(),
        };
        self.repository(located).detailed(&self.base, detail)
    }

    pub(super) fn group(&self, workspace: &Workspace, group: &Group) -> wire::group::Group {
        let (name, slug) = (group.name.to_string(), group.slug.to_string());
        wire::group::Group::new(&self.base, name, slug, self.owner(workspace), self.workspace(workspace))
    }

    fn author(&self, person: &Person, people: &People) -> Author {
        let user = people.with_email(&person.email).map(|user| Account::User(self.user(user)));
        Author { raw: format!("{} <{}>", person.name, person.email), user }
    }

    /// A name alone.
    pub(super) fn commit_named(&self, located: &Located, hash: &str) -> wire::commit::Commit {
        wire::commit::Commit::new(&self.base, &full_name(located), hash.to_owned())
    }

    pub(super) fn commit(&self, located: &Located, commit: &Commit, people: &People) -> wire::commit::Commit {
        let Author { raw, user } = self.author(&commit.committer, people);
        let rendered = Rendered::plain(commit.message.clone());
        let detail = CommitDetail {
            date: moment(commit.author.seconds),
            author: self.author(&commit.author, people),
            committer: Some(Committer { raw, user }),
            message: commit.message.clone(),
            summary: rendered.clone(),
            parents: commit.parents.iter().map(|id| self.commit_named(located, id.as_str())).collect(),
            repository: Some(Box::new(self.repository(located))),
            rendered: Some(RenderedMessage { message: rendered }),
        };
        let named = self.commit_named(located, commit.id.as_str());
        named.detailed(&self.base, &full_name(located), detail)
    }

    pub(super) fn git_ref(&self, located: &Located, git_ref: GitRef, people: &People) -> Ref {
        let (full_name, target) = (full_name(located), self.commit(located, &git_ref.commit, people));
        match git_ref.kind {
            RefKind::Branches => Ref::Branch(Branch::new(&self.base, &full_name, git_ref.name, target)),
            RefKind::Tags => {
                let mut tag = Tag::new(&self.base, &full_name, git_ref.name, target);
                if let Some(said) = git_ref.tag {
                    tag.date = said.tagger.as_ref().map(|tagger| moment(tagger.seconds));
                    tag.tagger = said.tagger.as_ref().map(|tagger| self.author(tagger, people));
                    tag.message = Some(said.message);
                }
                Ref::Tag(Box::new(tag))
            }
        }
    }

    /// A file, link or submodule with what is known of it.
    pub(super) fn file(&self, located: &Located, commit: wire::commit::Commit, entry: &Entry) -> CommitFile {
        let (full_name, path) = (full_name(located), String::from_utf8_lossy(&entry.path).into_owned());
        let detail = FileDetail {
            attributes: service::attributes(entry.kind),
            size: entry.size,
            mimetype: media_type::guess(&path).map(str::to_owned),
            commit,
        };
        let file = CommitFile::new(&self.base, &full_name, detail.commit.hash.as_str(), path);
        file.detailed(&self.base, &full_name, detail)
    }

    /// A file as it was once; what is not there any more has no size.
    pub(super) fn version(
        &self,
        located: &Located,
        commit: wire::commit::Commit,
        path: &[u8],
        entry: Option<&Entry>,
    ) -> CommitFile {
        if let Some(entry) = entry {
            return self.file(located, commit, entry);
        }
        let (full_name, path) = (full_name(located), String::from_utf8_lossy(path).into_owned());
        let mimetype = media_type::guess(&path).map(str::to_owned);
        let detail = FileDetail { attributes: Vec::new(), size: None, mimetype, commit };
        let file = CommitFile::new(&self.base, &full_name, detail.commit.hash.as_str(), path);
        file.detailed(&self.base, &full_name, detail)
    }

    /// The same address with a revision that stays one segment, whatever slashes it has.
    pub(super) fn at_revision(&self, located: &Located, part: &str, revision: &str, path: &str) -> String {
        let revision = utf8_percent_encode(revision, NON_ALPHANUMERIC);
        let path = self.base.html(&[path]).href;
        let path = path.strip_prefix(self.base.url()).unwrap_or_default();
        format!("{}/{revision}{path}", self.below(located, &[part]))
    }

    /// Whatever a directory holds.
    pub(super) fn entry(&self, located: &Located, hash: &str, entry: &Entry) -> wire::source::Entry {
        let commit = self.commit_named(located, hash);
        match entry.kind {
            EntryKind::Directory => {
                let path = String::from_utf8_lossy(&entry.path).into_owned();
                wire::source::Entry::Directory(Box::new(self.directory(located, commit, path)))
            }
            _ => wire::source::Entry::File(self.file(located, commit, entry)),
        }
    }

    pub(super) fn directory(
        &self,
        located: &Located,
        commit: wire::commit::Commit,
        path: String,
    ) -> CommitDirectory {
        CommitDirectory::new(&self.base, &full_name(located), commit, path)
    }
}
