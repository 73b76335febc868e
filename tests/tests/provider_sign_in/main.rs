//! Signing in through a workspace's identity provider, against a real one (npm's `oidc-provider`, `tests/oidc`), with a
//! browser of the test's own that keeps cookies and follows redirects.
//!
//! Would catch: an account that is taken over by its address, another browser's answer that is taken, an answer that is
//! taken twice, an address behind `next` that leads away, a group that the mapping does not manage and that changes, an
//! account that reaches anything before it is approved, a key that the provider has taken back.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails where it cannot go on, and says so"
)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use reqwest::{Client, StatusCode, header};
use serde_json::{Value, json};
use testkit::{Login, Server, World};

const PASSWORD: &str = "correct horse battery staple";
const SECRET: &str = "a client secret of some length: +/=&";

/// Where the provider's packages are, beside what was built.
fn packages() -> PathBuf {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    let installed = INSTALLED.get_or_init(|| {
        let mut folder = std::env::current_exe().unwrap();
        folder.pop();
        folder.pop();
        folder.pop();
        let folder = folder.join("oidc-provider");
        std::fs::create_dir_all(&folder).unwrap();
        let ours = concat!(env!("CARGO_MANIFEST_DIR"), "/oidc");
        for file in ["package.json", "provider.mjs"] {
            std::fs::copy(format!("{ours}/{file}"), folder.join(file)).unwrap();
        }
        if !folder.join("node_modules/oidc-provider").is_dir() {
            let mut npm = Command::new("npm");
            npm.args(["install", "--no-audit", "--no-fund", "--silent"]).current_dir(&folder);
            assert!(npm.status().expect("npm runs").success());
        }
        folder
    });
    installed.clone()
}

struct Provider {
    child: Child,
    port: u16,
    callback: String,
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(port: u16, callback: &str) -> Child {
    let mut node = Command::new("node");
    node.arg("provider.mjs").arg(port.to_string()).arg(callback).current_dir(packages());
    node.env("CLIENT_SECRET", SECRET).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = node.spawn().expect("node runs");
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line.trim(), "ready");
    child
}

impl Provider {
    fn start(callback: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { child: run(port, callback), port, callback: callback.to_owned() }
    }

    fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Begins anew with another signing key, under the same name.
    fn change_keys(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.child = run(self.port, &self.callback);
    }

    /// Who is let in from now on.
    async fn lets_in(&self, claims: Value) {
        let url = format!("{}/control", self.issuer());
        let told = Client::new().post(url).body(claims.to_string()).send().await.unwrap();
        assert!(told.status().is_success());
    }
}

/// A browser: cookies by host and port, redirects one by one.
struct Browser {
    client: Client,
    site: String,
    cookies: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Debug)]
struct Seen {
    status: StatusCode,
    /// Where it is.
    at: String,
    text: String,
}

fn host(url: &str) -> String {
    url.split('/').nth(2).unwrap().to_owned()
}

impl Browser {
    fn new(server: &Server) -> Self {
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { client, site: server.url.clone(), cookies: BTreeMap::new() }
    }

    /// One request; where it leads, if it leads on.
    async fn once(&mut self, url: &str, form: Option<&str>) -> (Seen, Option<String>) {
        let jar = self.cookies.entry(host(url)).or_default();
        let cookies =
            jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
        let mut request = match form {
            Some(form) => self
                .client
                .post(url)
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header(header::ORIGIN, &self.site)
                .body(form.to_owned()),
            None => self.client.get(url),
        };
        request = request.header(header::ACCEPT, "text/html");
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies);
        }
        let answer = request.send().await.unwrap();
        for value in answer.headers().get_all(header::SET_COOKIE) {
            let text = value.to_str().unwrap();
            let (name, value) = text.split(';').next().unwrap().split_once('=').unwrap();
            let over = text.contains("Max-Age=0") || text.contains("1970");
            match over {
                true => drop(jar.remove(name)),
                false => drop(jar.insert(name.to_owned(), value.to_owned())),
            }
        }
        let leads = answer.headers().get(header::LOCATION).map(|value| value.to_str().unwrap().to_owned());
        let leads =
            leads.map(|to| if to.starts_with('/') { format!("http://{}{to}", host(url)) } else { to });
        let (status, at) = (answer.status(), url.to_owned());
        (Seen { status, at, text: answer.text().await.unwrap() }, leads)
    }

    async fn send(&mut self, path: &str, form: &str) -> (Seen, Option<String>) {
        let url = format!("{}{path}", self.site);
        self.once(&url, Some(form)).await
    }

    /// Follows to the end.
    async fn open(&mut self, path: &str) -> Seen {
        let mut url = format!("{}{path}", self.site);
        for _ in 0..12 {
            match self.once(&url, None).await {
                (_, Some(next)) => url = next,
                (seen, None) => return seen,
            }
        }
        panic!("it leads in circles: {url}");
    }

    /// Follows until the provider's answer is due, and gives its address.
    async fn until_callback(&mut self, path: &str) -> String {
        let mut url = format!("{}{path}", self.site);
        while !url.contains("/callback") {
            url = self.once(&url, None).await.1.expect("it leads on");
        }
        url
    }

    async fn sign_in(&mut self, name: &str) {
        let form = format!("name={name}&password={}", PASSWORD.replace(' ', "+"));
        let (seen, leads) = self.send("/sign-in", &form).await;
        assert_eq!(seen.status, StatusCode::SEE_OTHER, "{}", seen.text);
        assert!(leads.is_some());
    }
}

/// What stands in a hidden field of the form that is sent there.
fn hidden(page: &str, action: &str, name: &str) -> String {
    let form = page.split("<form").find(|form| form.contains(&format!("action=\"{action}\""))).unwrap();
    let rest = form.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

struct Scene {
    world: World,
    provider: Provider,
    owner: Login,
}

const PATH: &str = "/api/workspaces/acme/identity-provider";

impl Scene {
    async fn new() -> Self {
        let world = World::on(Server::start_with(&["--outbound-allow", "127.0.0.0/8"])).await;
        let owner = world.password("owner");
        let view = world.server.send("GET", PATH, &owner, &Value::Null).await.expect(200);
        assert_eq!(view["provider"], Value::Null);
        let provider = Provider::start(view["redirect_uri"].as_str().unwrap());
        let scene = Self { world, provider, owner };
        for group in ["developers", "operators", "friends"] {
            let path = "/1.0/groups/acme";
            let owner = scene.world.app_password("owner");
            let url = format!("{}{path}", scene.server().url);
            let Login::Basic(user, secret) = owner else { panic!("an app password") };
            let made = scene.server().client().post(url).basic_auth(user, Some(secret.expose()));
            let made = made.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            let made = made.body(format!("name={group}")).send().await.unwrap();
            assert!(made.status().is_success(), "{}", made.text().await.unwrap());
        }
        scene.set(json!({})).await.expect_ok();
        scene
    }

    fn server(&self) -> &Server {
        &self.world.server
    }

    /// Sets the provider, with changes to what is usual.
    async fn set(&self, changes: Value) -> Set {
        let mut body = json!({
            "issuer": self.provider.issuer(), "client_id": "bastide", "client_secret": SECRET,
            "groups_claim": "groups", "makes_accounts": true,
            "group_mapping": [
                { "claim": "dev", "group": "developers" }, { "claim": "ops", "group": "operators" },
            ],
        });
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        let tag = self.server().send("GET", PATH, &self.owner, &Value::Null).await;
        let Login::Basic(user, secret) = &self.owner else { panic!("a password") };
        let url = format!("{}{PATH}", self.server().url);
        let answer = self
            .server()
            .client()
            .put(url)
            .basic_auth(user, Some(secret.expose()))
            .header(header::IF_MATCH, tag.header("etag"))
            .json(&body)
            .send()
            .await
            .unwrap();
        Set { status: answer.status(), text: answer.text().await.unwrap() }
    }

    async fn groups(&self, group: &str) -> Vec<String> {
        let path = format!("/1.0/groups/acme/{group}/members");
        let found = self.server().send("GET", &path, &self.world.app_password("owner"), &Value::Null).await;
        let list = found.expect(200);
        list.as_array()
            .unwrap()
            .iter()
            .map(|one| one["nickname"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    fn begin(&self) -> &'static str {
        "/-/sign-in/acme?next=/acme"
    }

    async fn approve(&self, username: &str) {
        let path = format!("/api/users/{username}/approval");
        let _ = self.server().administer("PUT", &path, &Value::Null).await;
    }
}

#[derive(Debug)]
struct Set {
    status: StatusCode,
    text: String,
}

impl Set {
    fn expect_ok(&self) {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
    }
}

fn ann(groups: &[&str]) -> Value {
    json!({
        "sub": "ann-at-work", "email": "ann@work.example", "email_verified": true, "name": "Ann Lee",
        "preferred_username": "ann", "groups": groups,
    })
}

#[tokio::test]
async fn somebody_new_gets_an_account_that_waits_and_groups_that_follow() {
    let scene = Scene::new().await;
    scene.provider.lets_in(ann(&["dev", "unknown"])).await;
    let mut browser = Browser::new(scene.server());
    let door = browser.open("/-/sign-in?workspace=acme&next=/acme").await;
    assert!(door.text.contains("127.0.0.1"), "{}", door.text);
    let first = browser.open(scene.begin()).await;
    assert!(first.at.ends_with("/acme"), "{first:?}");
    assert!(!first.status.is_success(), "nothing before somebody has approved the account");
    assert!(browser.open("/account").await.status.is_success(), "its own page alone");
    let waiting = scene.server().administer("GET", "/api/unapproved-users", &Value::Null).await;
    assert_eq!(waiting["values"][0]["username"], "ann");
    assert_eq!(scene.groups("developers").await, ["ann"]);
    let _ = scene.server().administer("GET", "/api/users/ann", &Value::Null).await;

    scene.approve("ann").await;
    let page = browser.open("/acme").await;
    assert!(page.status.is_success(), "{page:?}");

    // The owner puts her among the friends, by hand: the mapping does not speak of them.
    let path = "/1.0/groups/acme/friends/members/ann";
    let owner = scene.world.app_password("owner");
    let put = scene.server().send("PUT", path, &owner, &json!({})).await;
    assert!(put.status.is_success(), "{}", put.text);
    scene.provider.lets_in(ann(&["ops"])).await;
    let again = Browser::new(scene.server()).open(scene.begin()).await;
    assert!(again.status.is_success() && again.at.ends_with("/acme"), "{again:?}");
    assert!(scene.groups("developers").await.is_empty());
    assert_eq!(scene.groups("operators").await, ["ann"]);
    assert_eq!(scene.groups("friends").await, ["ann"]);

    let trail = "/api/workspaces/acme/audit/events?pagelen=100";
    let events = scene.server().send("GET", trail, &scene.owner, &Value::Null).await.expect(200);
    let text = events.to_string();
    for action in
        ["identity-provider.update", "identity-provider.sync", "group.member-add", "group.member-remove"]
    {
        assert!(text.contains(&format!("\"{action}\"")), "{action}");
    }
    assert!(!text.contains("a client secret"), "a secret in the trail");
    let view = scene.server().send("GET", PATH, &scene.owner, &Value::Null).await;
    assert!(view.json["provider"]["has_client_secret"] == true && !view.text.contains("of some length"));
}

/// Attack: another browser brings an answer (login CSRF), the same answer comes twice, the address behind `next` leads away.
#[tokio::test]
async fn an_answer_is_its_own_browsers_and_taken_once() {
    let scene = Scene::new().await;
    scene.provider.lets_in(ann(&[])).await;
    let mut attacker = Browser::new(scene.server());
    let callback = attacker.until_callback(scene.begin()).await;
    let mut victim = Browser::new(scene.server());
    let (seen, _) = victim.once(&callback, None).await;
    assert_eq!(seen.status, StatusCode::GONE, "{}", seen.text);
    let _ = victim.until_callback(scene.begin()).await;
    let (seen, _) = victim.once(&callback, None).await;
    assert_eq!(seen.status, StatusCode::GONE, "another attempt of its own does not help");
    for odd in
        [callback.replace("state=", "state=x"), callback.replace("iss=", "iss=http%3A%2F%2Fevil.example&x=")]
    {
        let mut once = Browser::new(scene.server());
        once.cookies = attacker.cookies.clone();
        let (seen, _) = once.once(&odd, None).await;
        assert!(seen.status.is_client_error(), "{odd}");
    }
    let kept = attacker.cookies.clone();
    let (seen, leads) = attacker.once(&callback, None).await;
    assert_eq!(seen.status, StatusCode::SEE_OTHER, "{}", seen.text);
    assert!(leads.is_some_and(|to| to.ends_with("/acme")));
    attacker.cookies = kept;
    let (seen, _) = attacker.once(&callback, None).await;
    assert_eq!(seen.status, StatusCode::GONE, "twice");

    for evil in ["//evil.example", "https://evil.example/", "/%5Cevil.example", "/%09/evil.example"] {
        let mut browser = Browser::new(scene.server());
        let callback = browser.until_callback(&format!("/-/sign-in/acme?next={evil}")).await;
        let (_, leads) = browser.once(&callback, None).await;
        assert_eq!(leads.as_deref(), Some(format!("{}/", scene.server().url).as_str()), "{evil}");
    }
}

/// Attack: who runs a provider, or has broken into it, comes in as somebody who has a second step here, without it; also by
/// way of stepping up a session.
#[tokio::test]
async fn a_provider_does_not_stand_for_the_accounts_own_second_step() {
    let scene = Scene::new().await;
    scene.provider.lets_in(ann(&[])).await;
    let mut before = Browser::new(scene.server());
    let _ = before.open(scene.begin()).await;
    scene.approve("ann").await;
    assert!(before.open("/acme").await.status.is_success());
    let added = Command::new("sqlite3")
        .arg(scene.server().data().join("bastide.db"))
        .args([".timeout 20000", "UPDATE user_account SET second_step = 1 WHERE username = 'ann'"])
        .status()
        .expect("sqlite3 runs");
    assert!(added.success());

    let mut browser = Browser::new(scene.server());
    let asked = browser.open(scene.begin()).await;
    assert!(asked.text.contains("Six digits from your authenticator"), "{asked:?}");
    assert!(!browser.open("/acme").await.status.is_success(), "let in without the second step");
    let again = before.open(scene.begin()).await;
    assert!(again.text.contains("Six digits from your authenticator"), "{again:?}");
}

/// Attack: who runs a provider claims somebody's address, or an administrator's, and is let into their account.
#[tokio::test]
async fn no_account_is_taken_over_by_its_address() {
    let scene = Scene::new().await;
    for (email, verified) in
        [("reader@example.com", true), ("root@example.com", true), ("new@example.com", false)]
    {
        let claims = json!({ "sub": email, "email": email, "email_verified": verified, "groups": [] });
        scene.provider.lets_in(claims).await;
        let seen = Browser::new(scene.server()).open(scene.begin()).await;
        assert_eq!(seen.status, StatusCode::FORBIDDEN, "{email}: {}", seen.text);
        assert!(seen.text.contains("no account here for this identity"), "one answer for all: {}", seen.text);
    }
    let why = scene.server().administer(
        "GET",
        "/api/audit/events?action=user.create&outcome=refused",
        &Value::Null,
    );
    let why = why.await.to_string();
    assert!(why.contains("provider-address-known") && why.contains("provider-address-unverified"), "{why}");
    let own = "/api/workspaces/acme/audit/events?pagelen=100";
    let own = scene.server().send("GET", own, &scene.owner, &Value::Null).await.expect(200).to_string();
    assert!(!own.contains("provider-address-known"), "owners could ask which addresses are known");

    // The account's owner connects it, with a yes of their own.
    scene
        .provider
        .lets_in(json!({ "sub": "r-1", "email": "reader@example.com", "email_verified": true }))
        .await;
    let mut browser = Browser::new(scene.server());
    browser.sign_in("reader").await;
    let asked = browser.open(scene.begin()).await;
    assert!(asked.text.contains("Connect this identity?"), "{}", asked.text);
    let connect = "/-/sign-in/connect";
    let (token, challenge) =
        (hidden(&asked.text, connect, "form_token"), hidden(&asked.text, connect, "challenge"));
    let (forged, _) = browser.send(connect, &format!("challenge={challenge}")).await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN, "without the form's token");
    let mut other = Browser::new(scene.server());
    other.sign_in("writer").await;
    let page = other.open(scene.begin()).await;
    let theirs = hidden(&page.text, connect, "form_token");
    let (stolen, _) = other.send(connect, &format!("form_token={theirs}&challenge={challenge}")).await;
    assert!(stolen.status.is_client_error(), "another account's yes");
    let asked = browser.open(scene.begin()).await;
    let challenge = hidden(&asked.text, connect, "challenge");
    let (done, leads) = browser.send(connect, &format!("form_token={token}&challenge={challenge}")).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
    assert!(leads.is_some_and(|to| to.ends_with("/acme")));
    let seen = Browser::new(scene.server()).open(scene.begin()).await;
    assert!(seen.status.is_success() && seen.at.ends_with("/acme"), "{seen:?}");
    let wrong = other.open(scene.begin()).await;
    assert_eq!(wrong.status, StatusCode::CONFLICT, "it is another account's now");
}

/// Attack: a session that did not begin with the provider, where nothing else is let in; and the way back is kept.
#[tokio::test]
async fn where_the_provider_is_the_only_way_no_other_session_gets_in() {
    let scene = Scene::new().await;
    scene.provider.lets_in(ann(&["dev"])).await;
    let mut browser = Browser::new(scene.server());
    let _ = browser.open(scene.begin()).await;
    scene.approve("ann").await;
    let path = "/api/workspaces/acme/guardrails";
    let Login::Basic(user, secret) = &scene.owner else { panic!("a password") };
    let now = scene.server().send("GET", path, &scene.owner, &Value::Null).await;
    let put = scene.server().client().put(format!("{}{path}", scene.server().url));
    let put = put.basic_auth(user, Some(secret.expose())).header(header::IF_MATCH, now.header("etag"));
    let put = put
        .json(&json!({ "identity_provider": { "mode": "on" }, "confirm_lockout": true }))
        .send()
        .await
        .unwrap();
    assert!(put.status().is_success(), "{}", put.text().await.unwrap());
    let mut reader = Browser::new(scene.server());
    reader.sign_in("reader").await;
    assert!(!reader.open("/acme/one").await.status.is_success(), "by password");
    let removed = scene.server().send("DELETE", PATH, &scene.owner, &Value::Null).await;
    assert!(removed.status.is_client_error(), "{}", removed.text);
    let page = browser.open("/acme/workspace/settings/access-tokens").await;
    assert_ne!(page.status, StatusCode::OK, "she is no owner");
    assert!(browser.open("/acme").await.status.is_success(), "through the provider");
}

/// Attack: a token by a key that the provider has taken back; and the new key is found without a restart.
#[tokio::test]
async fn keys_that_change_are_looked_up_anew() {
    let mut scene = Scene::new().await;
    scene.provider.lets_in(ann(&[])).await;
    assert!(Browser::new(scene.server()).open(scene.begin()).await.at.ends_with("/acme"));
    scene.provider.change_keys();
    scene.provider.lets_in(ann(&[])).await;
    // The keys were fetched a moment ago: looked for again after a pause, so that nobody makes the server ask at will.
    let mut last = None;
    for _ in 0..12 {
        let seen = Browser::new(scene.server()).open(scene.begin()).await;
        if seen.at.ends_with("/acme") {
            return;
        }
        last = Some(seen);
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    }
    panic!("{last:?}");
}

/// Attack: an issuer that is this machine, or its network; a mapping to what is not there; a secret that moves on.
#[tokio::test]
async fn a_provider_is_set_by_owners_and_lies_outside() {
    let strict = World::new().await;
    let owner = strict.password("owner");
    let Login::Basic(user, secret) = &owner else { panic!("a password") };
    for issuer in
        ["http://127.0.0.1:1", "https://169.254.169.254", "https://localhost", "http://id.example.com"]
    {
        let url = format!("{}{PATH}", strict.server.url);
        let put = strict.server.client().put(url).basic_auth(user, Some(secret.expose()));
        let put =
            put.header(header::IF_MATCH, "*").json(&json!({ "issuer": issuer, "client_id": "bastide" }));
        let answer = put.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{issuer}");
    }
    for who in ["member", "outsider"] {
        let answer = strict.server.send("GET", PATH, &strict.password(who), &Value::Null).await;
        assert!(answer.status.is_client_error(), "{who}");
    }
    let scene = Scene::new().await;
    let wrong = scene.set(json!({ "group_mapping": [{ "claim": "x", "group": "nobody" }] })).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST, "{}", wrong.text);
    let slash = format!("{}/", scene.provider.issuer());
    assert_eq!(scene.set(json!({ "issuer": slash })).await.status, StatusCode::BAD_REQUEST, "another name");
    let kept = scene.set(json!({ "client_secret": null })).await;
    assert!(kept.text.contains("\"has_client_secret\":true"), "{}", kept.text);
    let moved = scene.set(json!({ "client_secret": null, "client_id": "another" })).await;
    assert!(moved.text.contains("\"has_client_secret\":false"), "{}", moved.text);
    let gone = scene.server().send("DELETE", PATH, &scene.owner, &Value::Null).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.text);
    let seen = Browser::new(scene.server()).open(scene.begin()).await;
    assert_eq!(seen.status, StatusCode::NOT_FOUND);
}
