//! Guardrails, from outside: each one on every channel, with every kind of credential, on and off. The rows that are
//! asked are taken from the route table and the kinds from the model, so a new channel or kind is asked unasked; what
//! was found is printed to `docs/guardrail-matrix.txt` and reviewed like code.
//!
//! Would catch: a channel that passes a guardrail by, a kind of credential that does, a stranger who is told of what they
//! may not know, an administrator who locks everybody out without having been asked.
//! To accept a change: `BASTIDE_BLESS=1 cargo test -p acceptance --test guardrails`.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails where it cannot go on, and says so"
)]

use std::fmt::Write as _;

use model::{CredentialKind, Scope, Vocabulary};
use reqwest::header;
use serde_json::{Value, json};
use server::route::{Anchor, Handler, Method, ROUTES, Route};
use testkit::{Answer, Login, World};

const GUARDRAILS: &str = "/api/workspaces/acme/guardrails";

/// Signing in with the account's password, which `/api` alone admits.
const PASSWORD: &str = "password";

/// The owner with one kind of credential; none: the password, as good as a session.
struct Entry {
    name: &'static str,
    rest: Login,
    git: Option<Login>,
}

async fn entry(world: &World, kind: CredentialKind) -> Entry {
    let owner = world.password("owner");
    let names = |scopes: Vec<Scope>| scopes.into_iter().map(Scope::as_str).collect::<Vec<_>>();
    let all = names(kind.may_hold().iter().collect());
    let token = |place: &'static str| {
        let (owner, all) = (owner.clone(), all.clone());
        async move {
            let secret = world.mint(&owner, place, &all).await;
            let git = Login::Basic("x-token-auth".to_owned(), secret.clone());
            Entry { name: kind.name(), rest: Login::Bearer(secret), git: Some(git) }
        }
    };
    match kind {
        CredentialKind::RepositoryAccessToken => token("/api/repositories/acme/one/access-tokens").await,
        CredentialKind::ProjectAccessToken => token("/api/workspaces/acme/projects/CORE/access-tokens").await,
        CredentialKind::WorkspaceAccessToken => token("/api/workspaces/acme/access-tokens").await,
        CredentialKind::AppPassword => {
            let all =
                names(kind.may_hold().iter().filter(|one| one.vocabulary() != Vocabulary::Flat).collect());
            let secret = world.mint(&owner, "/api/user/app-passwords", &all).await;
            let login = Login::Basic("owner".to_owned(), secret);
            Entry { name: kind.name(), rest: login.clone(), git: Some(login) }
        }
        CredentialKind::StepToken => unreachable!("no person makes a step's token"),
        CredentialKind::ApiToken => {
            let secret = world.mint(&owner, "/api/user/api-tokens", &all).await;
            let rest = Login::Basic("owner@example.com".to_owned(), secret.clone());
            Entry { name: kind.name(), rest, git: Some(Login::Basic("owner".to_owned(), secret)) }
        }
    }
}

/// One request to private content.
struct Probe {
    channel: String,
    method: &'static str,
    path: String,
    git: bool,
}

fn filled(route: &Route) -> Option<String> {
    // An answer that goes on until its client hangs up is not read to its end.
    if route.path.ends_with("/stream") {
        return None;
    }
    let mut path = String::new();
    for segment in route.path.split('/').skip(1) {
        path.push('/');
        path.push_str(match segment {
            "{workspace}" | "{group_owner}" => "acme",
            "{repo_slug}" => "one",
            "{project_key}" => "CORE",
            "{group_slug}" => "devs",
            // What else has to be there is not there.
            other if other.starts_with('{') => return None,
            other => other,
        });
    }
    Some(path)
}

fn refused(answer: &Answer) -> bool {
    matches!(answer.status.as_u16(), 401 | 403 | 404)
}

async fn ask(world: &World, entry: &Entry, probe: &Probe) -> Option<Answer> {
    let login = if probe.git { entry.git.as_ref()? } else { &entry.rest };
    if entry.name == PASSWORD && !probe.path.starts_with("/api/") {
        // Not admitted there, and each try would count as a failed one.
        return None;
    }
    let body = if probe.method == "GET" { Value::Null } else { json!({}) };
    Some(world.server.send(probe.method, &probe.path, login, &body).await)
}

/// For every channel and kind of place, the row of the table that reads and the one that writes which most kinds of
/// credential may call; the first of several.
async fn probes(world: &World, entries: &[Entry]) -> Vec<Probe> {
    let mut best: Vec<(usize, Probe)> = Vec::new();
    for route in ROUTES.iter().filter(|route| matches!(route.handler, Handler::Built(_)) && !route.is_git()) {
        let place = match route.on {
            Anchor::Workspace if route.action != model::Action::WorkspaceRead => "workspace",
            Anchor::Project => "project",
            Anchor::Repository => "repository",
            _ => continue,
        };
        let verb = match route.method {
            Method::Get => "read",
            Method::Post | Method::Put => "write",
            // What deletes would take the ground from the rows after it.
            Method::Delete => continue,
        };
        let channel = format!("{} {place} {verb}", route.path.split('/').nth(1).unwrap_or_default());
        let Some(path) = filled(route) else { continue };
        let probe = Probe { channel, method: route.method.as_str(), path, git: false };
        let mut reached = 0;
        // A password takes long to check, and opens what some credential opens too.
        for entry in entries.iter().filter(|entry| entry.name != PASSWORD) {
            reached += usize::from(ask(world, entry, &probe).await.is_some_and(|answer| !refused(&answer)));
        }
        match best.iter_mut().find(|(_, one)| one.channel == probe.channel) {
            Some(found) if found.0 < reached => *found = (reached, probe),
            None if reached > 0 => best.push((reached, probe)),
            _ => {}
        }
    }
    let mut found: Vec<Probe> = best.into_iter().map(|(_, probe)| probe).collect();
    for (verb, service) in [("read", "git-upload-pack"), ("write", "git-receive-pack")] {
        let path = format!("/acme/one.git/info/refs?service={service}");
        found.push(Probe { channel: format!("git repository {verb}"), method: "GET", path, git: true });
    }
    found
}

/// Sets what is named and switches off all else, in the name of `login`.
async fn set(world: &World, login: &Login, path: &str, mut body: Value) -> Answer {
    let tag = world.server.send("GET", path, login, &Value::Null).await;
    let tag = tag.header("etag").to_owned();
    body["confirm_lockout"] = body.get("confirm_lockout").cloned().unwrap_or(json!(false));
    send(world, login, "PUT", path, &[(header::IF_MATCH.as_str(), &tag)], &body).await
}

async fn send(
    world: &World,
    login: &Login,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> Answer {
    let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
    let mut request = world.server.client().request(method, format!("{}{path}", world.server.url));
    request = match login {
        Login::Basic(user, secret) => request.basic_auth(user, Some(secret.expose())),
        Login::Bearer(secret) => request.bearer_auth(secret.expose()),
        _ => request,
    };
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if !body.is_null() {
        request = request.json(body);
    }
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.unwrap_or_default();
    let json = serde_json::from_str(&text).unwrap_or(Value::Null);
    Answer { status, headers, json, text }
}

fn reset(world: &World) {
    let output = world.server.command(&["admin", "guardrails", "reset", "acme"]);
    let _ = output.expect_success();
}

fn elsewhere() -> Value {
    json!({ "mode": "on", "ranges": [{ "range": "192.0.2.0/24", "description": "not where tests run" }] })
}

/// Every guardrail, set so that it refuses somebody here. Named by the model, so that none is left out.
fn strict() -> Vec<(String, Value)> {
    use model::GuardrailKind as Kind;

    let on = json!({ "mode": "on" });
    let mut all = Vec::new();
    for kind in Kind::ALL {
        let settings = match kind {
            Kind::IpAllowlist => vec![("", json!({ "ip_allowlist": elsewhere() }))],
            Kind::SecondStep => vec![("", json!({ "second_step": on }))],
            Kind::PrivateOnly => vec![("", json!({ "private_only": on }))],
            Kind::NoForksOutside => vec![("", json!({ "no_forks_outside": on }))],
            Kind::CredentialLifetime => {
                vec![("", json!({ "credential_lifetime": { "mode": "on", "days": 1 } }))]
            }
            Kind::CredentialKinds => vec![
                (" (session)", json!({ "credential_kinds": { "mode": "on", "kinds": ["session"] } })),
                (
                    " (access tokens)",
                    json!({ "credential_kinds": { "mode": "on", "kinds": [
                        "repository_access_token", "project_access_token", "workspace_access_token"
                    ] } }),
                ),
            ],
            Kind::IdentityProvider => vec![("", json!({ "identity_provider": on }))],
        };
        all.extend(settings.into_iter().map(|(more, body)| (format!("{}{more}", kind.as_str()), body)));
    }
    let rule = "forbid (principal is User, action in Action::\"guarded\", resource);";
    let rules = json!({ "own_rules": [{ "name": "no-users", "mode": "on", "policy": rule }] });
    all.push(("own rule: no users".to_owned(), rules));
    all
}

#[tokio::test]
async fn every_guardrail_holds_on_every_channel_for_every_kind_of_credential() {
    let world = World::new().await;
    let owner = world.password("owner");
    let mut entries = vec![Entry { name: PASSWORD, rest: owner.clone(), git: None }];
    for kind in CredentialKind::ALL.iter().filter(|kind| **kind != CredentialKind::StepToken) {
        entries.push(entry(&world, *kind).await);
    }
    let probes = probes(&world, &entries).await;
    let channels: Vec<&str> = probes.iter().map(|probe| probe.channel.as_str()).collect();
    for channel in ["2.0", "1.0", "api", "git"] {
        for verb in ["read", "write"] {
            let there = channels.iter().any(|one| one.starts_with(channel) && one.ends_with(verb));
            assert!(there, "nothing {verb}s through {channel}: {channels:?}");
        }
    }
    let mut text = String::from(
        "What guardrails refuse, found by asking a server. Made by tests/tests/guardrails.rs, which compares.\n\
         `x` is refused with the guardrail and let through without, `.` is let through with it as well, `-` is not\n\
         admitted either way. The owner of a workspace asks for its private content, with each kind of credential;\n\
         their account has no second step, and no credential has an end.\n",
    );
    let _ = writeln!(text);
    for (at, entry) in entries.iter().enumerate() {
        let _ = writeln!(text, "{:>3}  {}", at + 1, entry.name);
    }
    let mut open = Vec::new();
    for probe in &probes {
        for entry in &entries {
            open.push(ask(&world, entry, probe).await.is_some_and(|answer| !refused(&answer)));
        }
    }
    for (name, mut body) in strict() {
        let _ = write!(text, "\n{name:<36}");
        for at in 1..=entries.len() {
            let _ = write!(text, "{at:>3}");
        }
        text.push('\n');
        body["confirm_lockout"] = json!(true);
        let _ = set(&world, &owner, GUARDRAILS, body).await.expect(200);
        let mut was = open.iter();
        for probe in &probes {
            let _ = write!(text, "  {:<34}", probe.channel);
            for entry in &entries {
                let before = *was.next().expect("asked before");
                let now = ask(&world, entry, probe).await;
                let cell = match (before, now) {
                    (false, _) => "-",
                    (true, Some(answer)) if refused(&answer) => {
                        // Whoever would see it is told which guardrail it was, except by a password alone where a
                        // second step is required: nobody is known by that.
                        let known = entry.name != PASSWORD || !name.starts_with("second-step");
                        let said = format!("{name}, {}, {}: {}", probe.channel, entry.name, answer.text);
                        assert_eq!(answer.status, if known { 403 } else { 401 }, "{said}");
                        let named = answer.text.contains("guardrail") || answer.text.contains("own-rule");
                        assert_eq!(named, known, "{said}");
                        "x"
                    }
                    (true, _) => ".",
                };
                let _ = write!(text, "{cell:>3}");
            }
            text.push('\n');
        }
        // And the way back, for everybody.
        reset(&world);
        let mut was = open.iter();
        for probe in &probes {
            for entry in &entries {
                let before = *was.next().expect("asked before");
                if entry.name == PASSWORD {
                    continue;
                }
                let now = ask(&world, entry, probe).await.is_some_and(|answer| !refused(&answer));
                assert_eq!(now, before, "after {name}: {} by {}", probe.channel, entry.name);
            }
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/guardrail-matrix.txt");
    if std::env::var_os("BASTIDE_BLESS").is_some() {
        std::fs::write(path, &text).expect("the matrix is written");
    }
    let reviewed = std::fs::read_to_string(path).unwrap_or_default();
    let first = reviewed.lines().zip(text.lines()).find(|(one, two)| one != two);
    assert!(reviewed == text, "docs/guardrail-matrix.txt is not what was found; first difference: {first:?}");
}

#[tokio::test]
async fn git_is_told_why_and_a_stranger_is_told_nothing() {
    let world = World::new().await;
    let owner = world.password("owner");
    let (remote, writer) = (world.address("one"), world.git("writer"));
    let copy = writer.working_copy("one");
    let _ = writer.run(&copy, ["push", &remote, "main"]).expect_success();
    let body = json!({ "ip_allowlist": elsewhere(), "confirm_lockout": true });
    let _ = set(&world, &owner, GUARDRAILS, body).await.expect(200);

    for words in [&["ls-remote", &remote][..], &["push", &remote, "main:more"][..]] {
        let said = writer.run(&copy, words);
        let _ = said.expect_failure();
        let told = said.remote().join("\n");
        assert!(told.contains("guardrail-ip-allowlist") && told.contains("127.0.0.1"), "{said}");
        assert!(told.contains("an owner of the workspace") && told.contains("request id"), "{said}");
        assert!(said.stderr.contains("403"), "{said}");
    }
    // Who has no part in it learns neither of the repository nor of its guardrail.
    let stranger = world.git("outsider");
    let said = stranger.run(stranger.home(), ["ls-remote", &remote]);
    assert!(!said.expect_failure().contains("guardrail"), "{said}");
    for login in [world.app_password("outsider"), Login::Nobody] {
        let answer = world.server.send("GET", "/2.0/repositories/acme/one", &login, &Value::Null).await;
        assert_eq!(answer.status, 404, "{}", answer.text);
        assert!(!answer.text.contains("guardrail"), "{}", answer.text);
    }
    // Lists do not tell of it either, to whoever may see it elsewhere.
    let list =
        world.server.send("GET", "/2.0/repositories/acme", &world.app_password("writer"), &Value::Null).await;
    assert_eq!(list.expect(200)["values"], json!([]));
}

#[tokio::test]
async fn whoever_would_lock_themselves_out_is_asked_first() {
    let world = World::new().await;
    let owner = world.password("owner");
    for body in [
        json!({ "ip_allowlist": elsewhere() }),
        json!({ "second_step": { "mode": "on" } }),
        json!({ "identity_provider": { "mode": "on" } }),
        json!({ "credential_kinds": { "mode": "on", "kinds": ["api_token"] } }),
        json!({ "own_rules": [
            { "name": "all", "mode": "on", "policy": "forbid (principal, action, resource);" }
        ]}),
    ] {
        let answer = set(&world, &owner, GUARDRAILS, body.clone()).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text);
        assert!(answer.text.contains("confirm_lockout"), "{}", answer.text);
    }
    let shown = world.server.send("GET", GUARDRAILS, &owner, &Value::Null).await.expect(200);
    assert_eq!(shown["ip_allowlist"]["mode"], "off");

    // Confirmed, it holds, and the machine's own command line is the way back.
    let body = json!({ "second_step": { "mode": "on" }, "confirm_lockout": true });
    let _ = set(&world, &owner, GUARDRAILS, body).await.expect(200);
    let answer = world.server.send("GET", GUARDRAILS, &owner, &Value::Null).await;
    assert_eq!(answer.status, 401, "a password alone is not admitted any more: {}", answer.text);
    let login = world.app_password("owner");
    let answer = world.server.send("GET", "/2.0/repositories/acme/one", &login, &Value::Null).await;
    assert_eq!(answer.status, 403, "{}", answer.text);
    let shown = world.server.command(&["admin", "guardrails", "show", "acme"]);
    assert!(shown.stdout.contains("second_step          on"), "{shown:?}");
    reset(&world);
    let shown = world.server.send("GET", GUARDRAILS, &owner, &Value::Null).await.expect(200);
    assert_eq!(shown["second_step"]["mode"], "off");
    assert_eq!(shown["second_step"]["changed_by"], "operator");
    // All of it stands in the trail, with what was before and after.
    let path = "/api/workspaces/acme/audit/events?action=guardrail.update";
    let events = world.server.send("GET", path, &owner, &Value::Null).await.expect(200);
    let events = events["values"].as_array().expect("events").clone();
    let done: Vec<&Value> = events.iter().filter(|event| event["outcome"] == "done").collect();
    assert_eq!(done.len(), 2, "{events:#?}");
    assert_eq!(done[0]["before"]["modes"]["second-step"], "on");
    assert_eq!(done[0]["after"]["modes"]["second-step"], "off");
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused() {
    let world = World::new().await;
    let owner = world.password("owner");
    let ranges = |text: &str| json!({ "ip_allowlist": { "mode": "on", "ranges": [{ "range": text }, { "range": "127.0.0.0/8" }] } });
    let rule = |text: &str| json!({ "own_rules": [{ "name": "rule", "mode": "report", "policy": text }] });
    let elsewhere = world.server.send("GET", "/api/workspaces/other", &owner, &Value::Null).await.expect(200);
    let elsewhere = elsewhere["uuid"].as_str().unwrap().replace(['{', '}', '-'], "");
    let foreign =
        format!("forbid (principal, action, resource) when {{ resource in Workspace::\"{elsewhere}\" }};");
    let many: Vec<Value> =
        (0..=200).map(|n| json!({ "range": format!("10.0.{}.{}", n / 250, n % 250) })).collect();
    for (body, why) in [
        (ranges("10.0.0.0/33"), "not an address or range"),
        (ranges("fe80::1%eth0"), "zone id"),
        (ranges("0.0.0.0/0"), "every address"),
        (ranges("::ffff:0:0/96"), "every address"),
        (ranges("10.0.0.0/7"), "confirm_wide_ranges"),
        (ranges("2000::/3"), "confirm_wide_ranges"),
        (json!({ "ip_allowlist": { "mode": "on", "ranges": many } }), "at most 200"),
        (json!({ "ip_allowlist": { "mode": "on", "ranges": [] } }), "at least one range"),
        (json!({ "second_step": { "mode": "maybe" } }), "`off`, `report` or `on`"),
        (json!({ "credential_lifetime": { "mode": "on", "days": 0 } }), "3650"),
        (json!({ "credential_kinds": { "mode": "on", "kinds": ["password"] } }), "there is no kind"),
        (json!({ "credential_kinds": { "mode": "on", "kinds": [] } }), "at least one kind"),
        (rule("forbid (principal"), "not a policy"),
        (rule("permit (principal, action, resource);"), "only `forbid`"),
        (rule(&foreign), "is no workspace of this workspace"),
        (rule("forbid (principal, action, resource) when { principal in Group::\"devs\" };"), "Group"),
    ] {
        let answer = set(&world, &owner, GUARDRAILS, body.clone()).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text);
        assert!(answer.text.contains(why), "{body}: {}", answer.text);
    }
    // The instance has no rules of its own, and no client writes without having read.
    let rules = set(
        &world,
        &world.server.administrator,
        "/api/guardrails",
        rule("forbid (principal, action, resource);"),
    )
    .await;
    assert!(rules.status == 400 && rules.text.contains("a workspace's"), "{}", rules.text);
    let unbound = world.server.send("PUT", GUARDRAILS, &owner, &json!({})).await;
    assert_eq!(unbound.status, 412, "{}", unbound.text);
    let stale = send(&world, &owner, "PUT", GUARDRAILS, &[("if-match", "\"old\"")], &json!({})).await;
    assert_eq!(stale.status, 412, "{}", stale.text);

    // What is odd but can be meant is kept in one form, and told.
    let body = json!({ "confirm_wide_ranges": true, "ip_allowlist": { "mode": "on", "ranges": [
        { "range": "126.0.0.0/7" }, { "range": "::ffff:127.0.0.1" },
    ]}});
    let kept = set(&world, &owner, GUARDRAILS, body).await.expect(200);
    assert_eq!(kept["ip_allowlist"]["ranges"][1]["range"], "127.0.0.1");
    assert_eq!(kept["notes"], json!(["`127.0.0.1` lies within `126.0.0.0/7`"]));
}

#[tokio::test]
async fn nothing_is_public_where_nothing_may_be() {
    let world = World::new().await;
    let (owner, admin) = (world.password("owner"), world.app_password("owner"));
    let public = json!({ "is_private": false });
    let _ = world
        .server
        .send(
            "PUT",
            "/2.0/workspaces/acme/projects/CORE",
            &admin,
            &json!({ "name": "Core", "is_private": false }),
        )
        .await
        .expect(200);
    let _ = world.server.send("PUT", "/2.0/repositories/acme/one", &admin, &public).await.expect(200);
    let see = |login: Login| {
        let world = &world;
        async move {
            let one =
                world.server.send("GET", "/2.0/repositories/acme/one", &login, &Value::Null).await.status;
            let list = world.server.send("GET", "/2.0/repositories/acme", &login, &Value::Null).await;
            (one.as_u16(), list.json["values"].as_array().map_or(0, Vec::len))
        }
    };
    assert_eq!(see(Login::Nobody).await, (200, 1));
    let _ = set(&world, &owner, GUARDRAILS, json!({ "private_only": { "mode": "on" } })).await.expect(200);
    assert_eq!(see(Login::Nobody).await, (404, 0));
    assert_eq!(see(world.app_password("outsider")).await, (404, 0));
    assert_eq!(see(world.app_password("reader")).await.0, 200);
    for (path, body) in [
        ("/2.0/repositories/acme/two", public.clone()),
        (
            "/2.0/repositories/acme/three",
            json!({ "scm": "git", "project": { "key": "CORE" }, "is_private": false }),
        ),
    ] {
        let answer = world.server.send("PUT", path, &admin, &body).await;
        // The contract answers 400 where a repository may not be made.
        assert!(matches!(answer.status.as_u16(), 400 | 403), "{path}: {}", answer.text);
        assert!(answer.text.contains("guardrail-private-only"), "{}", answer.text);
    }
    let body = json!({ "key": "OPEN", "name": "Open", "is_private": false });
    let answer = world.server.send("POST", "/2.0/workspaces/acme/projects", &admin, &body).await;
    assert_eq!(answer.status, 403, "{}", answer.text);
}

#[tokio::test]
async fn the_instance_is_a_floor_and_a_report_refuses_nobody() {
    let world = World::new().await;
    let owner = world.password("owner");
    let body = json!({ "ip_allowlist": elsewhere() });
    let body = json!({ "ip_allowlist": { "mode": "report", "ranges": body["ip_allowlist"]["ranges"] } });
    let _ = set(&world, &owner, GUARDRAILS, body).await.expect(200);
    for _ in 0..3 {
        let answer = world
            .server
            .send("GET", "/2.0/repositories/acme/one", &world.app_password("reader"), &Value::Null)
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    let path = "/api/workspaces/acme/audit/events?actor=user:reader&action=repository.read";
    let mut reported = Vec::new();
    // It is recorded in the background.
    for _ in 0..200 {
        let events = world.server.send("GET", path, &owner, &Value::Null).await.expect(200);
        reported = events["values"].as_array().expect("events").clone();
        if !reported.is_empty() {
            break;
        }
    }
    assert_eq!(reported.len(), 1, "one event a day for one kind of report: {reported:#?}");
    assert_eq!(
        (&reported[0]["outcome"], &reported[0]["reasons"]),
        (&json!("reported"), &json!(["guardrail-ip-allowlist"]))
    );

    // What the instance asks holds in every workspace, whatever it says of its own.
    let root = world.server.administrator.clone();
    let _ =
        set(&world, &root, "/api/guardrails", json!({ "second_step": { "mode": "on" } })).await.expect(200);
    for workspace in ["acme", "other"] {
        let path =
            format!("/2.0/repositories/{workspace}/{}", if workspace == "acme" { "one" } else { "three" });
        let answer = world.server.send("GET", &path, &world.app_password("owner"), &Value::Null).await;
        assert_eq!(answer.status, 403, "{}", answer.text);
        assert!(answer.text.contains("an administrator of the instance"), "{}", answer.text);
    }
    let token = world.server.send("GET", "/api/guardrails", &root, &Value::Null).await.expect(200);
    assert_eq!(token["second_step"]["changed_by"], "user:root");
    let output = world.server.command(&["admin", "guardrails", "reset", "--instance"]);
    let _ = output.expect_success();
    let answer = world
        .server
        .send("GET", "/2.0/repositories/acme/one", &world.app_password("owner"), &Value::Null)
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    // Only administrators of the instance set it.
    let answer = world.server.send("GET", "/api/guardrails", &owner, &Value::Null).await;
    assert_eq!(answer.status, 403, "{}", answer.text);
}
