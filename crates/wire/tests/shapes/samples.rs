//! One value of each shape, as full as it gets.

use model::{
    CredentialId, CredentialKind, ForkPolicy, ProjectId, ProjectPermission, Random, RepositoryId,
    RepositoryPermission, RequestId, Timestamp, UserId, WorkspaceId, WorkspacePermission,
};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::{Value, json};
use wire::account::{Account, AppUser, EmailAddress, Team, User, UserDetail};
use wire::commit::{Author, Commit, CommitDetail, Committer, Rendered, RenderedMessage};
use wire::diffstat::{Diffstat, Status};
use wire::git_ref::{Branch, Ref, Tag};
use wire::group::{BareAccount, BareGroup, Group};
use wire::permission::{
    ProjectGroupPermission, ProjectUserPermission, RepositoryEffectivePermission, RepositoryGroupPermission,
    RepositoryUserPermission,
};
use wire::project::{Project, ProjectDetail};
use wire::repository::{Repository, RepositoryDetail};
use wire::source::{CommitDirectory, CommitFile, Entry, FileDetail};
use wire::workspace::{Workspace, WorkspaceAccess, WorkspaceDetail, WorkspaceMembership};
use wire::{Base, DateTime, Page, PageRequest, Parameters, Total, api};

/// A value and the schema that its type derives.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) value: Value,
    pub(crate) schema: Value,
    /// Whether the published contract has such a type.
    pub(crate) published: bool,
}

fn sample<T: Serialize + JsonSchema>(name: &'static str, value: &T) -> Sample {
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let schema = json!(generator.into_root_schema_for::<T>());
    Sample { name, value: json!(value), schema, published: true }
}

fn own<T: Serialize + JsonSchema>(name: &'static str, value: &T) -> Sample {
    Sample { published: false, ..sample(name, value) }
}

const FULL_NAME: &str = "acme/one";

struct World {
    base: Base,
    random: Random,
    moment: DateTime,
}

impl World {
    fn user(&self) -> User {
        let id = UserId::new(&self.random);
        let mut user = User::new(&self.base, id, "Ann Lee".to_owned(), "ann".to_owned());
        user.detail = Some(UserDetail {
            created_on: self.moment,
            account_status: "active",
            username: Some("ann".to_owned()),
            has_2fa_enabled: Some(true),
        });
        user
    }

    fn account(&self) -> Account {
        Account::User(self.user())
    }

    fn app_user(&self) -> AppUser {
        let kind = CredentialKind::RepositoryAccessToken;
        AppUser::new(CredentialId::new(&self.random), kind, "ci".to_owned(), self.moment)
    }

    fn team(&self) -> Account {
        Account::Team(Team::new(&self.base, WorkspaceId::new(&self.random), "acme", "Acme".to_owned()))
    }

    fn workspace(&self) -> Workspace {
        let id = WorkspaceId::new(&self.random);
        Workspace::new(&self.base, id, "acme".to_owned(), "Acme".to_owned()).detailed(
            &self.base,
            WorkspaceDetail {
                is_private: true,
                is_privacy_enforced: false,
                forking_mode: "allow_forks",
                created_on: self.moment,
                updated_on: Some(self.moment),
            },
        )
    }

    fn project(&self) -> Project {
        let id = ProjectId::new(&self.random);
        Project::new(&self.base, "acme", id, "CORE".to_owned(), "Core".to_owned()).detailed(
            &self.base,
            ProjectDetail {
                owner: self.team(),
                workspace: self.workspace(),
                description: "heart".to_owned(),
                is_private: true,
                has_publicly_visible_repos: false,
                created_on: self.moment,
                updated_on: self.moment,
            },
        )
    }

    fn short_repository(&self) -> Repository {
        Repository::new(&self.base, "acme", RepositoryId::new(&self.random), "one", "One".to_owned())
    }

    fn repository(&self) -> Repository {
        self.short_repository().detailed(
            &self.base,
            RepositoryDetail {
                slug: "one".to_owned(),
                description: "first".to_owned(),
                scm: "git",
                owner: self.team(),
                workspace: self.workspace(),
                project: self.project(),
                parent: Some(Box::new(self.short_repository())),
                is_private: true,
                fork_policy: ForkPolicy::AllowForks.as_str(),
                mainbranch: Some(Branch::named("main".to_owned())),
                size: 1,
                language: "rust".to_owned(),
                has_issues: false,
                has_wiki: false,
                created_on: self.moment,
                updated_on: self.moment,
            },
        )
    }

    fn short_commit(&self) -> Commit {
        Commit::new(&self.base, FULL_NAME, "a".repeat(40))
    }

    fn author(&self) -> Author {
        Author { raw: "Ann Lee <ann@example.com>".to_owned(), user: Some(self.account()) }
    }

    fn commit(&self) -> Commit {
        let rendered = || Rendered::plain("begin".to_owned());
        self.short_commit().detailed(
            &self.base,
            FULL_NAME,
            CommitDetail {
                date: self.moment,
                author: self.author(),
                committer: Some(Committer { raw: "Ben <ben@example.com>".to_owned(), user: None }),
                message: "begin".to_owned(),
                summary: rendered(),
                parents: vec![self.short_commit()],
                repository: Some(Box::new(self.short_repository())),
                rendered: Some(RenderedMessage { message: rendered() }),
            },
        )
    }

    fn tag(&self) -> Tag {
        let mut tag = Tag::new(&self.base, FULL_NAME, "v1".to_owned(), self.commit());
        tag.message = Some("first".to_owned());
        tag.date = Some(self.moment);
        tag.tagger = Some(self.author());
        tag
    }

    fn file(&self) -> CommitFile {
        let detail = FileDetail {
            commit: self.short_commit(),
            attributes: vec!["executable"],
            size: Some(3),
            mimetype: Some("text/plain".to_owned()),
        };
        CommitFile::new(&self.base, FULL_NAME, &"a".repeat(40), "run".to_owned())
            .detailed(&self.base, FULL_NAME, detail)
    }

    fn group(&self) -> Group {
        Group::new(&self.base, "Crew".to_owned(), "crew".to_owned(), self.team(), self.workspace())
    }
}

/// One of each.
pub(crate) fn all() -> Vec<Sample> {
    let world = World {
        base: Base::new("https://git.example.com"),
        random: Random::seeded(1),
        moment: Timestamp::from_micros(0).into(),
    };
    let mut all = nouns(&world);
    all.extend(permissions(&world));
    all.extend(envelopes(&world));
    all
}

fn nouns(world: &World) -> Vec<Sample> {
    let base = &world.base;
    let directory = CommitDirectory::new(base, FULL_NAME, world.short_commit(), "src".to_owned());
    let stat = Diffstat {
        status: Status::Renamed,
        lines_added: 1,
        lines_removed: 2,
        old: Some(world.file()),
        new: Some(world.file()),
    };
    let access = WorkspaceAccess::new(base, WorkspaceId::new(&world.random), "acme".to_owned(), true);
    let bare = BareGroup {
        name: "Crew".to_owned(),
        slug: "crew".to_owned(),
        permission: Some("read"),
        auto_add: true,
        email_forwarding_disabled: false,
        members: vec![BareAccount::user(&world.user())],
        owner: BareAccount::workspace(&world.workspace()),
    };
    vec![
        sample("user", &world.user()),
        sample("account", &world.account()),
        sample("app_user", &world.app_user()),
        sample("team", &world.team()),
        own("email", &EmailAddress::primary(base, "ann@example.com".to_owned(), true)),
        sample("workspace", &world.workspace()),
        sample("workspace_access", &access),
        sample("project", &world.project()),
        sample("repository", &world.repository()),
        sample("short repository", &world.short_repository()),
        sample("commit", &world.commit()),
        sample("branch", &Branch::new(base, FULL_NAME, "main".to_owned(), world.commit())),
        sample("tag", &world.tag()),
        sample("ref", &Ref::Tag(Box::new(world.tag()))),
        sample("file", &Entry::File(world.file())),
        sample("directory", &directory),
        sample("diffstat", &stat),
        sample("group", &world.group()),
        own("group of 1.0", &bare),
    ]
}

fn permissions(world: &World) -> Vec<Sample> {
    let base = &world.base;
    let read = Some(RepositoryPermission::Read);
    let admin = Some(ProjectPermission::Admin);
    let effective = RepositoryEffectivePermission {
        permission: "write",
        user: world.user(),
        repository: world.short_repository(),
    };
    vec![
        sample(
            "workspace_membership",
            &WorkspaceMembership::new(base, world.user(), world.workspace())
                .with_permission(WorkspacePermission::Owner, world.moment),
        ),
        sample("repository_permission", &effective),
        sample(
            "repository_user_permission",
            &RepositoryUserPermission::new(base, world.user(), world.short_repository(), read),
        ),
        sample(
            "repository_group_permission",
            &RepositoryGroupPermission::new(base, world.group(), world.short_repository(), read),
        ),
        sample(
            "project_user_permission",
            &ProjectUserPermission::new(base, "acme", world.user(), world.project(), admin),
        ),
        sample(
            "project_group_permission",
            &ProjectGroupPermission::new(base, "acme", world.group(), world.project(), admin),
        ),
    ]
}

fn envelopes(world: &World) -> Vec<Sample> {
    let id = RequestId::new(&world.random);
    let field = model::Error::invalid_field("name", "too long");
    let scope = model::Error::ScopeMissing { granted: vec!["a".to_owned()], required: vec!["b".to_owned()] };
    let parameters = Parameters::parse("page=2&pagelen=1").unwrap();
    let request = PageRequest::list(&parameters).unwrap();
    let page = Page::list(vec![world.project()], &request, Total::Known(3), "https://h/x", &parameters);
    let reason = api::Reason { policy: "p".to_owned(), text: "t".to_owned() };
    let explanation = api::Explanation {
        decision: api::access::Decision::Allow,
        reasons: vec![reason],
        path: vec!["user:ann".to_owned()],
    };
    let user = api::User {
        uuid: UserId::new(&world.random).into(),
        username: "ann".to_owned(),
        email: "ann@example.com".to_owned(),
        display_name: "Ann".to_owned(),
        active: true,
        approved: true,
        second_step: false,
        staff_role: "none",
        created_on: world.moment,
    };
    let credential = api::Credential {
        uuid: CredentialId::new(&world.random).into(),
        name: "ci".to_owned(),
        scopes: vec!["repository".to_owned()],
        email: None,
        created_by: None,
        created_on: world.moment,
        expires_on: None,
        last_used_on: None,
    };
    let token = model::Secret::new("not one".to_owned());
    vec![
        own("api user", &user),
        own("api credential", &credential),
        own("api credential created", &api::CredentialCreated { credential: credential.clone(), token }),
        sample("error", &wire::from_error(&field, id).1),
        sample("scope error", &wire::from_error(&scope, id).1),
        own("page", &page),
        own("explanation", &explanation),
    ]
}

fn body<T: JsonSchema>(name: &'static str) -> (&'static str, Value) {
    (name, json!(schemars::schema_for!(T)))
}

/// The schemas of what is read; names that begin with `api` are of `/api`.
pub(crate) fn bodies() -> Vec<(&'static str, Value)> {
    vec![
        body::<wire::repository::RepositoryInput>("repository"),
        body::<wire::project::ProjectInput>("project"),
        body::<wire::git_ref::RefInput>("ref"),
        body::<wire::group::GroupForm>("group form"),
        body::<wire::group::GroupInput>("group"),
        body::<wire::permission::PermissionInput<RepositoryPermission>>("permission"),
        body::<api::UserCreate>("api user create"),
        body::<api::UserUpdate>("api user update"),
        body::<api::WorkspaceCreate>("api workspace create"),
        body::<api::WorkspaceUpdate>("api workspace update"),
        body::<api::CredentialCreate>("api credential create"),
        body::<api::MemberSet>("api member"),
        body::<api::Transfer>("api transfer"),
    ]
}
