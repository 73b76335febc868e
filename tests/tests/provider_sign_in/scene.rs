//! A workspace with a real identity provider, and a browser that keeps cookies and follows redirects.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use reqwest::{Client, StatusCode, header};
use serde_json::{Value, json};
use testkit::{Login, Server, World, free_port};

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

pub(crate) struct Provider {
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
    pub(crate) fn start(callback: &str) -> Self {
        let port = free_port();
        Self { child: run(port, callback), port, callback: callback.to_owned() }
    }

    pub(crate) fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Begins anew with another signing key, under the same name.
    pub(crate) fn change_keys(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.child = run(self.port, &self.callback);
    }

    /// Who is let in from now on.
    pub(crate) async fn lets_in(&self, claims: Value) {
        let url = format!("{}/control", self.issuer());
        let told = Client::new().post(url).body(claims.to_string()).send().await.unwrap();
        assert!(told.status().is_success());
    }
}

/// A browser: cookies by host and port, redirects one by one.
pub(crate) struct Browser {
    pub(crate) client: Client,
    pub(crate) site: String,
    pub(crate) cookies: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) status: StatusCode,
    /// Where it is.
    pub(crate) at: String,
    pub(crate) text: String,
}

fn host(url: &str) -> String {
    url.split('/').nth(2).unwrap().to_owned()
}

impl Browser {
    pub(crate) fn new(server: &Server) -> Self {
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { client, site: server.url.clone(), cookies: BTreeMap::new() }
    }

    /// One request; where it leads, if it leads on.
    pub(crate) async fn once(&mut self, url: &str, form: Option<&str>) -> (Seen, Option<String>) {
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

    pub(crate) async fn send(&mut self, path: &str, form: &str) -> (Seen, Option<String>) {
        let url = format!("{}{path}", self.site);
        self.once(&url, Some(form)).await
    }

    /// Follows to the end.
    pub(crate) async fn open(&mut self, path: &str) -> Seen {
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
    pub(crate) async fn until_callback(&mut self, path: &str) -> String {
        let mut url = format!("{}{path}", self.site);
        while !url.contains("/callback") {
            url = self.once(&url, None).await.1.expect("it leads on");
        }
        url
    }

    pub(crate) async fn sign_in(&mut self, name: &str) {
        let form = format!("name={name}&password={}", PASSWORD.replace(' ', "+"));
        let (seen, leads) = self.send("/sign-in", &form).await;
        assert_eq!(seen.status, StatusCode::SEE_OTHER, "{}", seen.text);
        assert!(leads.is_some());
    }
}

/// What stands in a hidden field of the form that is sent there.
pub(crate) fn hidden(page: &str, action: &str, name: &str) -> String {
    let form = page.split("<form").find(|form| form.contains(&format!("action=\"{action}\""))).unwrap();
    let rest = form.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) provider: Provider,
    pub(crate) owner: Login,
}

pub(crate) const PATH: &str = "/api/workspaces/acme/identity-provider";

impl Scene {
    pub(crate) async fn new() -> Self {
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

    pub(crate) fn server(&self) -> &Server {
        &self.world.server
    }

    /// Sets the provider, with changes to what is usual.
    pub(crate) async fn set(&self, changes: Value) -> Set {
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

    pub(crate) async fn groups(&self, group: &str) -> Vec<String> {
        let path = format!("/1.0/groups/acme/{group}/members");
        let found = self.server().send("GET", &path, &self.world.app_password("owner"), &Value::Null).await;
        let list = found.expect(200);
        list.as_array()
            .unwrap()
            .iter()
            .map(|one| one["nickname"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    pub(crate) fn begin(&self) -> &'static str {
        "/-/sign-in/acme?next=/acme"
    }

    /// Connects somebody's identity with their account, and gives the browser in which they did.
    pub(crate) async fn connected(&self, name: &str) -> Browser {
        let subject = format!("{name}-at-work");
        let email = format!("{name}@work.example");
        self.provider
            .lets_in(json!({ "sub": subject, "email": email, "email_verified": true, "groups": [] }))
            .await;
        let mut browser = Browser::new(self.server());
        browser.sign_in(name).await;
        let asked = browser.open(self.begin()).await;
        let connect = "/-/sign-in/connect";
        let (token, challenge) =
            (hidden(&asked.text, connect, "form_token"), hidden(&asked.text, connect, "challenge"));
        let (done, _) = browser.send(connect, &format!("form_token={token}&challenge={challenge}")).await;
        assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
        browser
    }

    pub(crate) async fn approve(&self, username: &str) {
        let path = format!("/api/users/{username}/approval");
        let _ = self.server().administer("PUT", &path, &Value::Null).await;
    }
}

#[derive(Debug)]
pub(crate) struct Set {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
}

impl Set {
    pub(crate) fn expect_ok(&self) {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
    }
}

pub(crate) fn ann(groups: &[&str]) -> Value {
    json!({
        "sub": "ann-at-work", "email": "ann@work.example", "email_verified": true, "name": "Ann Lee",
        "preferred_username": "ann", "groups": groups,
    })
}
