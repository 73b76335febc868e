//! Every row of the route table, asked by everybody: made from the table, so a new row is covered unasked.
//!
//! What each may do is asked of the access model itself, with facts written down here rather than read from the store.
//! The server's answer must agree: who is refused gets 401, 403 or 404 and never a byte of content, who is allowed never
//! does. Would catch: a route without its check, a check on the wrong action or resource, a scope asked in one
//! vocabulary and forgotten in the other, a credential admitted where it should not be.

#![cfg(test)]

use model::{
    CredentialId, CredentialKind, GroupId, Permission, ProjectId, ProjectPermission, Random, RepositoryId,
    RepositoryPermission, Resource, Scope, ScopeSet, StaffRole, UserId, Vocabulary, WorkspaceId,
    WorkspacePermission,
};
use policy::{AccessModel, GrantFact, Guardrails, PrincipalFacts, Question, ResourceFacts};
use reqwest::StatusCode;
use serde_json::{Value, json};
use server::route::{Anchor, Handler, Method, ROUTES, Route, Sample, Visibility};
use testkit::world::{PASSWORD, PEOPLE};
use testkit::{Answer, Login, Visitor, World, in_path};

/// One place in the world, by ids of the test's own: only their relations matter to the access model.
struct Facts {
    model: AccessModel,
    workspace: WorkspaceId,
    project: ProjectId,
    repository: RepositoryId,
    somebody: UserId,
}

/// Somebody who asks, with a credential.
struct Asker {
    what: String,
    login: Login,
    principal: PrincipalFacts,
    grants: Vec<GrantFact>,
    held: ScopeSet,
    kind: Option<CredentialKind>,
    /// Whether the user that paths name is this one.
    is_somebody: bool,
}

fn classic() -> ScopeSet {
    Scope::all().filter(|scope| scope.vocabulary() == Vocabulary::Classic).collect()
}

impl Facts {
    fn new() -> Self {
        let random = Random::seeded(1);
        Self {
            model: AccessModel::load().expect("the access model loads"),
            workspace: WorkspaceId::new(&random),
            project: ProjectId::new(&random),
            repository: RepositoryId::new(&random),
            somebody: UserId::new(&random),
        }
    }

    fn grants(&self, person: &str) -> Vec<GrantFact> {
        let grant = |on: Resource, permission| GrantFact { on, permission, via: None::<GroupId> };
        let member = |level| grant(self.workspace.into(), Permission::Workspace(level));
        let mut grants = match person {
            "owner" => return vec![member(WorkspacePermission::Owner)],
            "creator" => vec![member(WorkspacePermission::CreateProject)],
            "outsider" | "root" => return Vec::new(),
            _ => vec![member(WorkspacePermission::Member)],
        };
        let on_repository = |level| grant(self.repository.into(), Permission::Repository(level));
        match person {
            "projectadmin" => {
                grants.push(grant(self.project.into(), Permission::Project(ProjectPermission::Admin)))
            }
            "repoadmin" => grants.push(on_repository(RepositoryPermission::Admin)),
            "writer" => grants.push(on_repository(RepositoryPermission::Write)),
            "reader" => grants.push(on_repository(RepositoryPermission::Read)),
            _ => {}
        }
        grants
    }

    fn resource(&self, route: &Route, asker: &Asker) -> Option<ResourceFacts> {
        match route.on {
            Anchor::Instance => Some(ResourceFacts::Instance),
            Anchor::Workspace => Some(ResourceFacts::Workspace { id: self.workspace }),
            Anchor::Project | Anchor::ProjectInBody => {
                Some(ResourceFacts::Project { id: self.project, workspace: self.workspace, private: true })
            }
            Anchor::Repository => Some(ResourceFacts::Repository {
                id: self.repository,
                project: self.project,
                workspace: self.workspace,
                private: true,
            }),
            Anchor::User(_) => Some(ResourceFacts::User { id: self.somebody }),
            Anchor::Caller => match (&asker.principal, asker.is_somebody) {
                (PrincipalFacts::User { id, .. }, _) => Some(ResourceFacts::User { id: *id }),
                _ => Some(ResourceFacts::User { id: self.somebody }),
            },
            Anchor::InQuery => None,
        }
    }

    /// What the access model says; none where the row alone does not tell.
    fn allows(&self, route: &Route, asker: &Asker) -> Option<bool> {
        if route.visibility == Visibility::Public {
            return Some(true);
        }
        let resource = self.resource(route, asker)?;
        if !route.action.resources().contains(&resource.kind()) {
            return None;
        }
        let column = match asker.kind.map(CredentialKind::vocabulary) {
            Some(Vocabulary::Flat) => route.flat,
            _ => route.classic,
        };
        let required = match asker.principal {
            PrincipalFacts::Anonymous => ScopeSet::NONE,
            _ => column.parse().expect("scopes of the table"),
        };
        let question = Question {
            action: route.action,
            principal: &asker.principal,
            resource: &resource,
            grants: &asker.grants,
            held: asker.held.closed(),
            required,
            credential: asker.kind,
            guardrails: Guardrails::NONE,
        };
        Some(self.model.decide(&question).allowed)
    }
}

/// Fills a path's parameters with this world's names, and everything else with what does not exist.
fn path(route: &Route, world: &World) -> String {
    const NOBODYS: &str = "%7B00000000-0000-4000-8000-000000000000%7D";
    let mut path = String::new();
    for segment in route.path.split('/').skip(1) {
        path.push('/');
        let Some(name) = segment.strip_prefix('{').and_then(|rest| rest.split('}').next()) else {
            path.push_str(segment);
            continue;
        };
        let suffix = segment.split_once('}').map_or("", |(_, rest)| rest);
        let value = match name {
            "workspace" | "group_owner" => "acme".to_owned(),
            "repo_slug" => "one".to_owned(),
            "project_key" => "CORE".to_owned(),
            "selected_user" | "member" | "selected_user_id" | "target_username" => world.uuid("reader"),
            "username" => "reader".to_owned(),
            "group_slug" => "devs".to_owned(),
            name if name.contains("uuid") || name == "uid" => NOBODYS.to_owned(),
            name if name.ends_with("id") => "1".to_owned(),
            _ => "main".to_owned(),
        };
        path.push_str(&value);
        path.push_str(suffix);
    }
    if let Some(Sample::Query(query)) = route.sample {
        path = format!("{path}?{query}");
    }
    if route.path.ends_with("/info/refs") {
        path.push_str("?service=git-upload-pack");
    }
    path
}

async fn ask(world: &World, route: &Route, login: &Login) -> Answer {
    let body = match route.sample {
        Some(Sample::Json(text)) => serde_json::from_str(text).expect("a sample of JSON"),
        _ if route.method == Method::Get || route.method == Method::Delete => Value::Null,
        _ => json!({}),
    };
    world.server.send(route.method.as_str(), &path(route, world), login, &body).await
}

fn refused(status: StatusCode) -> bool {
    matches!(status.as_u16(), 401 | 403 | 404)
}

/// Whether a page sends whoever asks to sign in first.
fn sent_to_sign_in(route: &Route, answer: &Answer) -> bool {
    // The client follows where it is led.
    route.is_page() && answer.text.contains("<h1>Sign in</h1>")
}

/// Lists that leave out what the viewer may not see, rather than refuse: what they show is held against the access
/// model by a test of its own, in random worlds. And a token may ask who it is.
const ANSWERS_EVERYBODY: &[&str] = &[
    "list_projects",
    "list_repositories",
    "get_current_user",
    "page_home",
    "page_search",
    // Leaving for an identity provider and coming back: for who is signed in and who is not.
    "page_leave_for_provider",
    "page_arrive_from_provider",
];

/// What makes a repository or project, also under a name that may be taken.
const MAKES: &[&str] = &["create_repository", "update_repository", "update_project"];

fn stranger(asker: &Asker) -> bool {
    asker.what.starts_with("anonymous")
        || asker.what.starts_with("outsider")
        || asker.kind.is_some_and(CredentialKind::is_access_token)
}

/// Whether an allowed call would change this world for the calls after it.
fn harmless(route: &Route) -> bool {
    route.method == Method::Get || matches!(route.handler, Handler::NotBuilt)
}

async fn people(world: &World, facts: &Facts) -> Vec<Asker> {
    let random = Random::seeded(2);
    let mut askers = vec![Asker {
        what: "anonymous".to_owned(),
        login: Login::Nobody,
        principal: PrincipalFacts::Anonymous,
        grants: Vec::new(),
        held: ScopeSet::NONE,
        kind: None,
        is_somebody: false,
    }];
    let flat: Vec<&str> =
        Scope::all().filter(|s| s.vocabulary() != Vocabulary::Classic).map(Scope::as_str).collect();
    for person in PEOPLE {
        let is_somebody = *person == "reader";
        let id = if is_somebody { facts.somebody } else { UserId::new(&random) };
        let principal = PrincipalFacts::User {
            id,
            active: true,
            approved: true,
            second_step: false,
            staff: StaffRole::None,
            break_glass: None,
        };
        let secret = world.mint(&world.password(person), "/api/user/api-tokens", &flat).await;
        askers.push(Asker {
            what: format!("{person}, app password"),
            login: world.app_password(person),
            principal,
            grants: facts.grants(person),
            held: classic(),
            kind: Some(CredentialKind::AppPassword),
            is_somebody,
        });
        askers.push(Asker {
            what: format!("{person}, API token"),
            login: Login::Basic(format!("{person}@example.com"), secret),
            principal,
            grants: facts.grants(person),
            held: CredentialKind::ApiToken.may_hold(),
            kind: Some(CredentialKind::ApiToken),
            is_somebody,
        });
    }
    askers
}

/// Everybody by a session, which pages take and nothing else.
async fn sessions(world: &World, facts: &Facts) -> Vec<Asker> {
    let random = Random::seeded(4);
    let mut askers = Vec::new();
    for person in PEOPLE {
        let is_somebody = *person == "reader";
        let visitor = Visitor::signed_in(&world.server, person, PASSWORD).await;
        askers.push(Asker {
            what: format!("{person}, session"),
            login: visitor.login(),
            principal: PrincipalFacts::User {
                id: if is_somebody { facts.somebody } else { UserId::new(&random) },
                active: true,
                approved: true,
                second_step: false,
                staff: StaffRole::None,
                break_glass: None,
            },
            grants: facts.grants(person),
            held: ScopeSet::everything(),
            kind: None,
            is_somebody,
        });
    }
    askers
}

/// Access tokens with every scope they may hold: in place, and bound elsewhere.
async fn tokens(world: &World, facts: &Facts) -> Vec<Asker> {
    let random = Random::seeded(3);
    let elsewhere = (RepositoryId::new(&random), ProjectId::new(&random), WorkspaceId::new(&random));
    let places: [(&str, CredentialKind, Resource); 6] = [
        (
            "/api/repositories/acme/one/access-tokens",
            CredentialKind::RepositoryAccessToken,
            facts.repository.into(),
        ),
        (
            "/api/repositories/acme/two/access-tokens",
            CredentialKind::RepositoryAccessToken,
            elsewhere.0.into(),
        ),
        (
            "/api/workspaces/acme/projects/CORE/access-tokens",
            CredentialKind::ProjectAccessToken,
            facts.project.into(),
        ),
        (
            "/api/workspaces/other/projects/CORE/access-tokens",
            CredentialKind::ProjectAccessToken,
            elsewhere.1.into(),
        ),
        ("/api/workspaces/acme/access-tokens", CredentialKind::WorkspaceAccessToken, facts.workspace.into()),
        ("/api/workspaces/other/access-tokens", CredentialKind::WorkspaceAccessToken, elsewhere.2.into()),
    ];
    let mut askers = Vec::new();
    for (path, kind, bound_to) in places {
        let scopes = kind.may_hold();
        let names: Vec<&str> = scopes.iter().map(Scope::as_str).collect();
        let secret = world.mint(&world.password("owner"), path, &names).await;
        askers.push(Asker {
            what: format!("token of {path}"),
            login: Login::Bearer(secret),
            principal: PrincipalFacts::AccessToken { id: CredentialId::new(&random), bound_to },
            grants: Vec::new(),
            held: scopes,
            kind: Some(kind),
            is_somebody: false,
        });
    }
    askers
}

fn admitted(route: &Route, asker: &Asker) -> bool {
    asker.kind.is_none_or(|kind| route.credentials.admits(kind))
}

#[tokio::test]
async fn every_row_answers_everybody_as_the_access_model_says() {
    let (world, facts) = (World::new().await, Facts::new());
    let mut askers = people(&world, &facts).await;
    askers.extend(tokens(&world, &facts).await);
    let sessions = sessions(&world, &facts).await;
    let (mut allowed, mut denied, mut wrong) = (0, 0, Vec::new());
    let mut pages_shown = 0;
    for route in ROUTES.iter().filter(|route| !route.is_git()) {
        if matches!(route.handler, Handler::Retired(_)) {
            continue;
        }
        for asker in askers.iter().chain(sessions.iter().filter(|_| route.is_page())) {
            let Some(may) = facts.allows(route, asker) else { continue };
            let may = may && (admitted(route, asker) || route.visibility == Visibility::Public);
            if may && !harmless(route) {
                continue;
            }
            let answer = ask(&world, route, &asker.login).await;
            let status = answer.status.as_u16();
            let fits = match (may, route.handler) {
                (true, Handler::NotBuilt) => status == 501,
                // What the path's last part names need not exist: 404 is then the right answer, and 400 to a bad one.
                (true, _) => status < 500 && !matches!(status, 401 | 403),
                (false, _) if ANSWERS_EVERYBODY.contains(&route.operation) => status < 500,
                // Members are told 400 when they may not make something there, as the contract says, or when what
                // they would make is there already.
                (false, _) if MAKES.contains(&route.operation) && status == 400 => !stranger(asker),
                (false, _) => refused(answer.status) || sent_to_sign_in(route, &answer),
            };
            let by_session = matches!(asker.login, Login::Session(_));
            if by_session && may && answer.status == 200 && !sent_to_sign_in(route, &answer) {
                pages_shown += 1;
            }
            if may {
                allowed += 1
            } else {
                denied += 1
            }
            if !fits {
                wrong.push(format!(
                    "{} {} as {}: {status} (allowed: {may})",
                    route.method.as_str(),
                    route.path,
                    asker.what
                ));
            }
            let coded = status < 400
                || answer.json["error"]["data"]["code"].is_string()
                || (route.is_page() && answer.header("content-type").starts_with("text/html"))
                || route.path.contains("/src");
            if !coded {
                wrong.push(format!(
                    "{} {}: {status} without a code: {}",
                    route.method.as_str(),
                    route.path,
                    answer.text
                ));
            }
            assert!(!answer.header("x-request-id").is_empty(), "{}: no request id", route.path);
        }
    }
    assert!(wrong.is_empty(), "{} of {} are wrong:\n{}", wrong.len(), allowed + denied, wrong.join("\n"));
    assert!(allowed > 500 && denied > 2_000, "allowed {allowed}, denied {denied}");
    // A session that opens nothing would agree with every refusal.
    assert!(pages_shown > 100, "only {pages_shown} pages were shown to sessions");
}

#[tokio::test]
async fn a_credential_without_the_scope_is_told_which_one_and_nothing_else() {
    let world = World::new().await;
    // The narrowest scope there is in each vocabulary, which none of the rows below accepts alone.
    let narrow = world.mint(&world.password("owner"), "/api/user/app-passwords", &["wiki"]).await;
    let classic = Login::Basic("owner".to_owned(), narrow);
    let narrow = world.mint(&world.password("owner"), "/api/user/api-tokens", &["read:wiki:bitbucket"]).await;
    let flat = Login::Basic("owner@example.com".to_owned(), narrow);
    let narrow =
        world.mint(&world.password("owner"), "/api/repositories/acme/one/access-tokens", &["runner"]).await;
    let token = Login::Bearer(narrow);
    let logins = [
        (classic, CredentialKind::AppPassword, "wiki"),
        (flat, CredentialKind::ApiToken, "read:wiki:bitbucket"),
        (token, CredentialKind::RepositoryAccessToken, "runner"),
    ];
    let mut asked = 0;
    for route in ROUTES.iter().filter(|route| !route.is_git() && route.visibility == Visibility::Hidden) {
        for (login, kind, holds) in &logins {
            let column = if *kind == CredentialKind::ApiToken { route.flat } else { route.classic };
            let needs: Vec<&str> = column.split_ascii_whitespace().collect();
            let enough = needs.iter().all(|scope| scope == holds);
            if enough || !route.credentials.admits(*kind) || matches!(route.handler, Handler::Retired(_)) {
                continue;
            }
            let answer = ask(&world, route, login).await;
            assert_eq!(answer.status, 403, "{} {}: {}", route.method.as_str(), route.path, answer.text);
            assert_eq!(answer.json["error"]["data"]["code"], "scope-missing", "{}", route.path);
            let mut told: Vec<String> =
                serde_json::from_value(answer.json["error"]["detail"]["required"].clone())
                    .expect("the scopes that are needed");
            told.sort();
            let mut needs: Vec<String> = needs.iter().map(|&scope| scope.to_owned()).collect();
            needs.sort();
            assert_eq!(told, needs, "{}", route.path);
            asked += 1;
        }
    }
    assert!(asked > 400, "only {asked} were asked");
}

#[tokio::test]
async fn a_credential_that_is_revoked_or_altered_opens_nothing() {
    let world = World::new().await;
    let place = "/api/repositories/acme/one/access-tokens";
    let owner = world.password("owner");
    let made = world.mint_with(&owner, place, json!({ "name": "gone", "scopes": ["repository"] })).await;
    let token = made["token"].as_str().expect("the secret").to_owned();
    let login = Login::Bearer(model::Secret::new(token.clone()));
    let answer = world.server.send("GET", "/2.0/repositories/acme/one", &login, &Value::Null).await;
    assert_eq!(answer.status, 200, "{}", answer.text);

    let mut altered = token.clone();
    let last = if altered.pop() == Some('A') { 'B' } else { 'A' };
    altered.push(last);
    let path = format!("{place}/{}", in_path(&made["uuid"]));
    let revoked = world.server.send("DELETE", &path, &owner, &Value::Null).await;
    assert_eq!(revoked.status, 204, "{}", revoked.text);

    for route in ROUTES.iter().filter(|route| !route.is_git() && route.visibility == Visibility::Hidden) {
        if matches!(route.handler, Handler::Retired(_)) {
            continue;
        }
        for secret in [&token, &altered] {
            let answer = ask(&world, route, &Login::Bearer(model::Secret::new(secret.clone()))).await;
            let status = answer.status.as_u16();
            assert!(matches!(status, 401 | 429), "{} {}: {status}", route.method.as_str(), route.path);
        }
    }
}
