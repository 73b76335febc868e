//! Lists against the access model: in random worlds, what a list shows is exactly what may be read one by one.
//!
//! Would catch: a visibility condition in SQL that is wider or narrower than the policies (a grant level forgotten, a
//! group followed into another workspace, a token that sees its neighbours, a deleted repository that shines through).

#![cfg(test)]

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use model::{
    AllowedRange, Clock, CredentialKind, EntryKind, GuardrailMode, Guardrails, OwnRule, Permission,
    ProjectPermission, Random, RepositoryPermission, RequestId, Secret, StaffRole, Timestamp,
    WorkspacePermission,
};
use service::{
    AtLeast, Caller, Door, GrantPlace, HolderName, NewCredential, NewGuardrails, NewProject, NewRepository,
    NewUser, Presented, RepositoryPath, RepositoryQuery, RequiredScopes, Service, Settings, TokenPlace,
    UserChange, Window,
};

const WINDOW: Window = Window { limit: 100, offset: 0 };
const PASSWORD: &str = "correct horse battery staple";

/// A small generator of our own, so that a failing world is named by its number.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // xorshift64*: good enough to vary a test.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides
    }

    fn one_of<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let at = usize::try_from(self.roll(of.len() as u64)).unwrap();
        &of[at]
    }
}

struct World {
    service: Service,
    random: Random,
    clock: Clock,
    /// Every user's name, and the workspaces' owner first.
    users: Vec<String>,
    callers: Vec<(String, Caller)>,
    repositories: Vec<(String, String)>,
    _directory: tempfile::TempDir,
}

fn name<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().unwrap()
}

async fn signed_in(service: &Service, random: &Random, username: &str) -> Caller {
    let presented =
        Presented::Basic { user: username.to_owned(), password: Secret::new(PASSWORD.to_owned()) };
    let address = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    service.authenticate(presented, Door::Api, address, RequestId::new(random)).await.unwrap()
}

async fn with_token(service: &Service, random: &Random, token: &model::Token) -> Caller {
    let presented = Presented::Bearer(token.secret().clone());
    service.authenticate(presented, Door::Rest, None, RequestId::new(random)).await.unwrap()
}

impl World {
    async fn new(seed: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let random = Random::seeded(seed);
        let data = directory.path().join("data");
        let settings = Settings { restore_days: 7, ..Settings::new(data, "http://localhost", "/bin/true") };
        let clock = Clock::manual(Timestamp::from_micros(1_700_000_000_000_000));
        let service = Service::open(settings, clock.clone(), random.clone()).await.unwrap();
        let mut world = Self {
            service,
            random,
            clock,
            users: Vec::new(),
            callers: Vec::new(),
            repositories: Vec::new(),
            _directory: directory,
        };
        world.fill(&mut Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)).await;
        world
    }

    async fn fill(&mut self, dice: &mut Dice) {
        let operator = Caller::operator(RequestId::new(&self.random));
        for username in ["owner", "ann", "ben", "cleo", "dora", "staff"] {
            let new = NewUser {
                username: name(username),
                email: name(&format!("{username}@example.com")),
                display_name: None,
                password: Some(Secret::new(PASSWORD.to_owned())),
            };
            self.service.create_user(&operator, new).await.unwrap();
            self.users.push(username.to_owned());
        }
        let change = UserChange { staff_role: Some(StaffRole::Administrator), ..UserChange::default() };
        self.service.update_user(&operator, "staff", change).await.unwrap();
        let owner = signed_in(&self.service, &self.random, "owner").await;
        for workspace in ["acme", "umbra"] {
            self.service.create_workspace(&owner, name(workspace), name(workspace)).await.unwrap();
            self.fill_workspace(dice, &owner, workspace).await;
        }
        if dice.roll(3) == 0 {
            // Whoever nobody has approved sees nothing, whatever was granted.
            self.service.approve_user(&operator, "cleo", false).await.unwrap();
        }
        self.callers.push(("anonymous".to_owned(), Caller::anonymous(None, RequestId::new(&self.random))));
        for username in self.users.clone() {
            let caller = signed_in(&self.service, &self.random, &username).await;
            self.callers.push((username, caller));
        }
        // One repository is deleted: it must be in no list.
        let (workspace, slug) = dice.one_of(&self.repositories).clone();
        let path = RepositoryPath::parse(&workspace, &slug).unwrap();
        self.service.delete_repository(&owner, &path).await.unwrap();
    }

    async fn fill_workspace(&mut self, dice: &mut Dice, owner: &Caller, workspace: &str) {
        let service = self.service.clone();
        for username in ["ann", "ben", "cleo"] {
            let level = *dice.one_of(&[
                WorkspacePermission::Member,
                WorkspacePermission::CreateProject,
                WorkspacePermission::Owner,
            ]);
            if dice.roll(4) > 0 {
                service.set_member(owner, workspace, &name(username), level).await.unwrap();
            }
        }
        service.create_group(owner, workspace, name("devs")).await.unwrap();
        for username in ["ann", "ben", "cleo"] {
            if dice.roll(2) == 0 {
                // Only members can be added: a refusal is part of the world.
                let _ = service.add_group_member(owner, workspace, "devs", username).await;
            }
        }
        for key in ["CORE", "SIDE"] {
            let private = dice.roll(2) == 0;
            let new = NewProject { key: name(key), name: None, description: String::new(), private };
            service.create_project(owner, workspace, new).await.unwrap();
            self.grant_somebody(
                dice,
                owner,
                workspace,
                &GrantPlace::Project(workspace.to_owned(), key.to_owned()),
            )
            .await;
            for number in 0..2 {
                let slug = format!("{}-{number}", key.to_lowercase());
                let new = NewRepository {
                    slug: name(&slug),
                    name: None,
                    project: Some(service::ProjectName::Key(name(key))),
                    description: String::new(),
                    private: private || dice.roll(2) == 0,
                    fork_policy: model::ForkPolicy::NoPublicForks,
                    language: String::new(),
                    has_issues: false,
                    has_wiki: false,
                    default_branch: None,
                };
                service.create_repository(owner, workspace, new).await.unwrap();
                let path = RepositoryPath::parse(workspace, &slug).unwrap();
                self.grant_somebody(dice, owner, workspace, &GrantPlace::Repository(path.clone())).await;
                self.repositories.push((workspace.to_owned(), slug));
                if dice.roll(3) == 0 {
                    self.token(owner, TokenPlace::Repository(path)).await;
                }
            }
            if dice.roll(2) == 0 {
                self.token(owner, TokenPlace::Project(workspace.to_owned(), key.to_owned())).await;
            }
        }
        if dice.roll(2) == 0 {
            self.token(owner, TokenPlace::Workspace(workspace.to_owned())).await;
        }
    }

    async fn grant_somebody(&self, dice: &mut Dice, owner: &Caller, _workspace: &str, place: &GrantPlace) {
        for _ in 0..dice.roll(3) {
            let holder = match dice.roll(3) {
                0 => HolderName::Group("devs".to_owned()),
                _ => HolderName::User((*dice.one_of(&["ann", "ben", "cleo"])).to_owned()),
            };
            let level = match place {
                GrantPlace::Project(..) => Permission::Project(*dice.one_of(ProjectPermission::ALL)),
                GrantPlace::Repository(_) => Permission::Repository(*dice.one_of(RepositoryPermission::ALL)),
            };
            // Whoever is no member, or owns the workspace, is refused: that is part of the world too.
            let _ = self.service.set_grant(owner, place, holder, level.as_str()).await;
        }
    }

    async fn token(&mut self, owner: &Caller, place: TokenPlace) {
        let new =
            NewCredential { name: name("robot"), scopes: vec!["repository".to_owned()], expires_on: None };
        let minted = self.service.create_access_token(owner, &place, new).await.unwrap();
        let caller = with_token(&self.service, &self.random, &minted.token).await;
        self.callers.push((format!("token of {place:?}"), caller));
    }

    async fn listed(&self, caller: &Caller, workspace: Option<&str>) -> BTreeSet<String> {
        let query = RepositoryQuery {
            workspace: workspace.map(str::to_owned),
            at_least: AtLeast::Visible,
            filter: None,
            sort: None,
        };
        match self.service.repositories(caller, query, WINDOW).await {
            Ok(found) => {
                // Where own rules hide some, the length stays untold.
                if let Some(size) = found.size {
                    assert_eq!(Ok(size), i64::try_from(found.values.len()));
                }
                found
                    .values
                    .iter()
                    .map(|at| format!("{}/{}", at.workspace.slug, at.repository.slug))
                    .collect()
            }
            Err(model::Error::NotFound { .. }) => BTreeSet::new(),
            Err(error) => panic!("{error}"),
        }
    }

    /// The projects that a list shows, and those that can be read one by one.
    async fn projects(&self, caller: &Caller, workspace: &str) -> (BTreeSet<String>, BTreeSet<String>) {
        let listed = match self.service.projects(caller, workspace, None, None, WINDOW).await {
            Ok((_, found)) => found.values.iter().map(|project| project.key.to_string()).collect(),
            Err(model::Error::NotFound { .. }) => BTreeSet::new(),
            Err(error) => panic!("{error}"),
        };
        let mut readable = BTreeSet::new();
        for key in ["CORE", "SIDE"] {
            if self.service.project(caller, workspace, key).await.is_ok() {
                readable.insert(key.to_owned());
            }
        }
        (listed, readable)
    }

    async fn readable(&self, caller: &Caller) -> BTreeSet<String> {
        let mut readable = BTreeSet::new();
        for (workspace, slug) in &self.repositories {
            let path = RepositoryPath::parse(workspace, slug).unwrap();
            match self.service.repository(caller, &path).await {
                Ok(found) => {
                    // The repository of that workspace, not another one of the same slug.
                    assert_eq!(found.workspace.slug.as_str(), workspace);
                    readable.insert(format!("{workspace}/{slug}"));
                }
                // Who would see it without guardrails is told of them.
                Err(model::Error::NotFound { .. } | model::Error::Forbidden { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        readable
    }

    /// Guardrails and rules of their own for the workspaces and the instance, whatever comes up.
    async fn guard(&self, seed: u64) {
        let mut dice = Dice(seed.wrapping_mul(0xD134_2543_DE82_EF95) | 1);
        let operator = Caller::operator(RequestId::new(&self.random));
        for workspace in [Some("acme"), Some("umbra"), None] {
            let mut mode = |one_in: u64| match dice.roll(one_in) {
                0 => GuardrailMode::On,
                1 => GuardrailMode::Report,
                _ => GuardrailMode::Off,
            };
            let often = if workspace.is_some() { 4 } else { 12 };
            let mut guardrails = Guardrails {
                ip_allowlist: mode(often),
                second_step: mode(often * 2),
                private_only: mode(often),
                credential_lifetime: mode(often),
                longest_days: 30,
                credential_kinds: mode(often),
                identity_provider: mode(often * 3),
                ..Guardrails::default()
            };
            // Users come from loopback, access tokens from nowhere that is known.
            let range = *dice.one_of(&["127.0.0.0/8", "127.0.0.0/8", "192.0.2.0/24"]);
            guardrails.allowed.push(AllowedRange { range: name(range), description: String::new() });
            let all: Vec<EntryKind> = EntryKind::all().collect();
            guardrails.admitted.extend([*dice.one_of(&all), EntryKind::Session]);
            for number in 0..workspace.map_or(0, |_| dice.roll(3)) {
                let policy = self.rule(&mut dice, workspace.unwrap()).await;
                let mode = *dice.one_of(&[GuardrailMode::On, GuardrailMode::On, GuardrailMode::Report]);
                let rule =
                    OwnRule { name: format!("rule-{number}"), description: String::new(), mode, policy };
                guardrails.own_rules.push(rule);
            }
            let new = NewGuardrails { guardrails, confirm_lockout: true, confirm_wide_ranges: false };
            let seen = self.service.guardrails(&operator, workspace).await.unwrap();
            self.service.set_guardrails(&operator, workspace, new, seen).await.unwrap();
        }
    }

    /// A rule that hides something from somebody.
    async fn rule(&self, dice: &mut Dice, workspace: &str) -> String {
        let (_, slug) = self.repositories.iter().find(|(within, _)| within == workspace).unwrap();
        let operator = Caller::operator(RequestId::new(&self.random));
        // Whoever must have a second step by now does not sign in with a password alone.
        let (_, owner) = self.callers.iter().find(|(who, _)| who == "owner").unwrap();
        let path = RepositoryPath::parse(workspace, slug).unwrap();
        let id = match self.service.repository(owner, &path).await {
            Ok(found) => found.repository.id.uuid().simple().to_string(),
            Err(_) => {
                self.service.workspace(&operator, workspace).await.unwrap().id.uuid().simple().to_string()
            }
        };
        let rules = [
            format!(
                "forbid (principal, action, resource is Repository) when {{ resource == Repository::\"{id}\" }};"
            ),
            "forbid (principal, action in Action::\"repository.read\", resource is Repository) \
             unless { principal in resource.writers };"
                .to_owned(),
            "forbid (principal is User, action in Action::\"project.read\", resource is Project) \
             when { resource.private };"
                .to_owned(),
            "forbid (principal is WorkspaceAccessToken, action, resource);".to_owned(),
            "forbid (principal is Anonymous, action, resource);".to_owned(),
        ];
        dice.one_of(&rules).clone()
    }
}

#[tokio::test]
async fn a_list_shows_what_may_be_read_and_nothing_else() {
    let required = RequiredScopes {
        classic: "repository".parse().unwrap(),
        flat: "read:repository:bitbucket".parse().unwrap(),
    };
    let (mut shown, mut hidden, mut taken) = (0, 0, 0);
    for seed in 1..=16 {
        let world = World::new(seed).await;
        let (mut more, mut less) = (0, 0);
        if seed > 5 {
            for (_, caller) in &world.callers {
                more += world.readable(&caller.clone().requiring(required)).await.len();
            }
            world.guard(seed).await;
        }
        for (who, caller) in &world.callers {
            let caller = caller.clone().requiring(required);
            let readable = world.readable(&caller).await;
            assert_eq!(world.listed(&caller, None).await, readable, "world {seed}, {who}");
            for workspace in ["acme", "umbra"] {
                let within: BTreeSet<String> =
                    readable.iter().filter(|path| path.starts_with(workspace)).cloned().collect();
                assert_eq!(
                    world.listed(&caller, Some(workspace)).await,
                    within,
                    "world {seed}, {who}, {workspace}"
                );
                let (listed, readable) = world.projects(&caller, workspace).await;
                assert_eq!(listed, readable, "world {seed}, {who}, projects of {workspace}");
            }
            shown += readable.len();
            less += readable.len();
            hidden += world.repositories.len() - readable.len();
        }
        if seed > 5 {
            assert!(less <= more, "world {seed}: guardrails only take away");
            taken += more - less;
        }
        world.service.close().await.unwrap();
    }
    assert!(taken > 100, "guardrails have taken away {taken}");
    // Worlds in which everybody sees all, or nothing, would prove nothing.
    assert!(shown > 100 && hidden > 100, "shown {shown}, hidden {hidden}");
}

#[tokio::test]
async fn a_user_bound_credential_follows_its_user_and_a_token_does_not() {
    let world = World::new(99).await;
    let operator = Caller::operator(RequestId::new(&world.random));
    let owner = signed_in(&world.service, &world.random, "owner").await;
    let new =
        |scope: &str| NewCredential { name: name("one"), scopes: vec![scope.to_owned()], expires_on: None };
    let password = world
        .service
        .create_own_credential(&owner, CredentialKind::AppPassword, new("repository"))
        .await
        .unwrap();
    let token = world
        .service
        .create_access_token(&owner, &TokenPlace::Workspace("acme".to_owned()), new("repository"))
        .await
        .unwrap();
    let basic = || Presented::Basic { user: "OWNER".to_owned(), password: password.token.secret().clone() };
    let id = || RequestId::new(&world.random);
    assert!(world.service.authenticate(basic(), Door::Rest, None, id()).await.is_ok());

    let change = UserChange { active: Some(false), ..UserChange::default() };
    world.service.update_user(&operator, "owner", change).await.unwrap();
    assert!(matches!(
        world.service.authenticate(basic(), Door::Rest, None, id()).await,
        Err(model::Error::Unauthenticated)
    ));
    let robot = with_token(&world.service, &world.random, &token.token).await;
    assert!(!world.listed(&robot, Some("acme")).await.is_empty());
}

#[tokio::test]
async fn a_credential_ends_when_it_was_said_to() {
    let world = World::new(7).await;
    let owner = signed_in(&world.service, &world.random, "owner").await;
    let end = world.clock.now().plus_seconds(3_600);
    let new =
        NewCredential { name: name("short"), scopes: vec!["repository".to_owned()], expires_on: Some(end) };
    let place = TokenPlace::Workspace("acme".to_owned());
    let minted = world.service.create_access_token(&owner, &place, new).await.unwrap();
    let present = || {
        let presented = Presented::Bearer(minted.token.secret().clone());
        world.service.authenticate(presented, Door::Rest, None, RequestId::new(&world.random))
    };
    world.clock.advance(3_599);
    assert!(present().await.is_ok());
    world.clock.advance(1);
    assert!(matches!(present().await, Err(model::Error::Unauthenticated)));
    // An end in the past is no end.
    let new =
        NewCredential { name: name("late"), scopes: vec!["repository".to_owned()], expires_on: Some(end) };
    assert!(matches!(
        world.service.create_access_token(&owner, &place, new).await,
        Err(model::Error::Invalid { .. })
    ));
}
