//! The server's own key at Amazon: proved before it is kept, told to nobody, and replaced by the server in an order in which it is
//! never lost and never one of three. Amazon is a small service of the test's own that holds each signature against the secrets
//! that it gave out.

#![cfg(test)]

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use reqwest::Url;
use serde_json::{Value, json};
use testkit::{Login, Server, World};

const PATH: &str = "/api/aws-key";
const ROTATION: &str = "/api/aws-key/rotation";
const USER: &str = "arn:aws:iam::999999999999:user/bastide";
const FIRST: &str = "AKIAFIRST00000000001";
const FIRST_SECRET: &str = "first/secret+of/the+user+xyzzy+000000001";
/// A key of the account itself rather than of a user.
const ROOT: &str = "AKIAROOT000000000001";
const ROOT_SECRET: &str = "root/secret+xyzzy";
/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether a request is signed with a secret, as Amazon's documentation of Signature Version 4 says it.
const CHECK: &str = r#"
import hashlib, hmac, json, sys
asked = json.load(sys.stdin)
headers, body = asked["headers"], asked["body"].encode()
parts = headers["authorization"].removeprefix("AWS4-HMAC-SHA256 ").split(",")
credential, signed, signature = (part.strip().split("=", 1)[1] for part in parts)
_, day, region, service, end = credential.split("/")
lines = ["POST", "/", ""] + [f"{name}:{headers[name].strip()}" for name in signed.split(";")]
canonical = "\n".join([*lines, "", signed, hashlib.sha256(body).hexdigest()])
digest = hashlib.sha256(canonical.encode()).hexdigest()
text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], f"{day}/{region}/{service}/{end}", digest])
key = ("AWS4" + asked["secret"]).encode()
for part in (day, region, service, end):
    key = hmac.new(key, part.encode(), hashlib.sha256).digest()
made = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
sys.exit(0 if made == signature and f"{region}/{service}" == asked["scope"] else 1)
"#;

#[derive(Default)]
struct Account {
    /// The secrets of keys that are there, by their ids.
    keys: BTreeMap<String, String>,
    /// Keys that were made here, also those that are gone.
    made: Vec<(String, String)>,
    /// The external id that each role asks for.
    roles: HashMap<String, String>,
    /// Which action was asked for with which key.
    log: Vec<(String, String)>,
    /// The token service does not know keys yet that were made here.
    is_late: bool,
    /// Keys cannot be removed.
    is_stubborn: bool,
}

#[derive(Clone, Default)]
struct Amazon(Arc<Mutex<Account>>);

impl Amazon {
    fn account(&self) -> MutexGuard<'_, Account> {
        self.0.lock().expect("no test panics while it holds this")
    }

    async fn start() -> (Self, String) {
        let amazon = Self::default();
        for (id, secret) in [(FIRST, FIRST_SECRET), (ROOT, ROOT_SECRET)] {
            let _ = amazon.account().keys.insert(id.to_owned(), secret.to_owned());
        }
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let app = Router::new().route("/", post(answer)).with_state(amazon.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (amazon, address)
    }

    /// What was asked for since this was asked last, with which key.
    fn asked(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.account().log)
    }

    /// The keys of the user that are there.
    fn keys(&self) -> Vec<String> {
        self.account().keys.keys().filter(|id| *id != ROOT).cloned().collect()
    }

    /// The ids of the keys that were made here.
    fn made(&self) -> Vec<String> {
        self.account().made.iter().map(|(id, _)| id.clone()).collect()
    }

    /// Every secret that must be nowhere.
    fn secrets(&self) -> Vec<String> {
        let made: Vec<String> = self.account().made.iter().map(|(_, secret)| secret.clone()).collect();
        made.into_iter().chain([FIRST_SECRET.to_owned(), ROOT_SECRET.to_owned()]).collect()
    }
}

fn refused(code: &str) -> (StatusCode, String) {
    let text = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>not so</Message></Error></ErrorResponse>"
    );
    (StatusCode::FORBIDDEN, text)
}

fn is_signed(headers: &BTreeMap<String, String>, body: &str, secret: &str, scope: &str) -> bool {
    let asked = json!({ "headers": headers, "body": body, "secret": secret, "scope": scope }).to_string();
    let mut python = Command::new("python3");
    let mut child = python.args(["-c", CHECK]).stdin(Stdio::piped()).spawn().expect("python3 runs");
    child.stdin.take().expect("an input").write_all(asked.as_bytes()).expect("it reads");
    child.wait().expect("it ends").success()
}

async fn answer(State(amazon): State<Amazon>, headers: HeaderMap, body: String) -> (StatusCode, String) {
    let headers: BTreeMap<String, String> = headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()))
        .collect();
    let form = Url::parse(&format!("http://form/?{body}")).expect("a form");
    let fields: BTreeMap<String, String> = form.query_pairs().into_owned().collect();
    let action = fields["Action"].clone();
    let scope = match action.as_str() {
        "CreateAccessKey" | "DeleteAccessKey" => "us-east-1/iam",
        _ => "us-east-1/sts",
    };
    let signature = headers.get("authorization").cloned().unwrap_or_default();
    let credential = signature.split_once("Credential=").map_or("", |(_, rest)| rest);
    let id = credential.split('/').next().unwrap_or_default().to_owned();
    let secret = {
        let mut account = amazon.account();
        account.log.push((action.clone(), id.clone()));
        let is_unknown = account.is_late && account.made.iter().any(|(made, _)| *made == id);
        account.keys.get(&id).filter(|_| !is_unknown).cloned()
    };
    let Some(secret) = secret else { return refused("InvalidClientTokenId") };
    let checked = tokio::task::spawn_blocking(move || is_signed(&headers, &body, &secret, scope)).await;
    if !checked.expect("it is checked") {
        return refused("SignatureDoesNotMatch");
    }
    let text = match carry_out(&mut amazon.account(), &action, &id, &fields) {
        Ok(text) => text,
        Err(code) => return refused(code),
    };
    (StatusCode::OK, format!("<{action}Response>{text}</{action}Response>"))
}

fn carry_out(
    account: &mut Account,
    action: &str,
    id: &str,
    fields: &BTreeMap<String, String>,
) -> Result<String, &'static str> {
    match action {
        "GetCallerIdentity" if id == ROOT => Ok("<Arn>arn:aws:iam::999999999999:root</Arn>".to_owned()),
        "GetCallerIdentity" => Ok(format!("<Arn>{USER}</Arn>")),
        "AssumeRole" if account.roles.get(&fields["RoleArn"]) == fields.get("ExternalId") => {
            Ok("<Credentials><AccessKeyId>ASIATEST</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>\
                <SessionToken>token</SessionToken><Expiration>2030-01-01T00:00:00Z</Expiration></Credentials>"
                .to_owned())
        }
        "CreateAccessKey" if fields["UserName"] != "bastide" => Err("AccessDenied"),
        // Beside the account's own.
        "CreateAccessKey" if account.keys.len() > 2 => Err("LimitExceeded"),
        "CreateAccessKey" => {
            let number = account.made.len() + 1;
            let (id, secret) = (format!("AKIAMADE{number:012}"), format!("made/secret+xyzzy+{number}"));
            account.made.push((id.clone(), secret.clone()));
            let _ = account.keys.insert(id.clone(), secret.clone());
            Ok(format!(
                "<AccessKey><UserName>bastide</UserName><AccessKeyId>{id}</AccessKeyId><Status>Active</Status>\
                 <SecretAccessKey>{secret}</SecretAccessKey></AccessKey>"
            ))
        }
        "DeleteAccessKey" if account.is_stubborn || fields["UserName"] != "bastide" => Err("AccessDenied"),
        "DeleteAccessKey" => match account.keys.remove(&fields["AccessKeyId"]) {
            Some(_) => Ok(String::new()),
            None => Err("NoSuchEntity"),
        },
        _ => Err("AccessDenied"),
    }
}

/// Without it, a machine at Amazon would have an identity.
const ENVIRONMENT: [(&str, &str); 1] = [("AWS_EC2_METADATA_DISABLED", "true")];

fn server(address: &str) -> Server {
    let flags = ["--aws-sts-endpoint", address, "--aws-iam-endpoint", address];
    Server::start_with_environment(&flags, &ENVIRONMENT)
}

async fn administrator(server: &Server, method: &str, path: &str, body: Value) -> testkit::Answer {
    server.send(method, path, &server.administrator, &body).await
}

fn key(id: &str, secret: &str) -> Value {
    json!({ "access_key_id": id, "secret_access_key": secret })
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(action, id)| ((*action).to_owned(), (*id).to_owned())).collect()
}

/// Whether any of the files in which the server keeps things holds a text as it is.
fn is_kept(server: &Server, text: &str) -> bool {
    let files = std::fs::read_dir(server.data()).expect("a folder").flatten().map(|entry| entry.path());
    files.filter(|path| path.is_file()).any(|path| {
        let bytes = std::fs::read(path).expect("a file");
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

/// Attack: somebody gives the server a key who administers no more than a workspace. Attack: a key that is not what it is said
/// to be, or ends by itself. Would catch: a key that is kept before it was proved.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_taken_from_administrators_alone_and_only_where_it_is_one() {
    let (amazon, address) = Amazon::start().await;
    let flags = ["--aws-sts-endpoint", &address, "--aws-iam-endpoint", &address];
    let world = World::on(Server::start_with_environment(&flags, &ENVIRONMENT)).await;
    for person in ["owner", "outsider"] {
        let login = world.password(person);
        for (method, path, body) in [
            ("GET", PATH, Value::Null),
            ("PUT", PATH, key(FIRST, FIRST_SECRET)),
            ("POST", ROTATION, json!({})),
            ("DELETE", PATH, Value::Null),
        ] {
            let answer = world.server.send(method, path, &login, &body).await;
            assert_eq!(answer.status.as_u16(), 403, "{person} {method} {path}: {}", answer.text);
        }
    }
    assert!(amazon.asked().is_empty(), "Amazon is asked for nobody else");
    for (bad, told) in [
        (key(FIRST, "not/the+secret+xyzzy"), "SignatureDoesNotMatch"),
        (key("AKIANOBODY0000000001", FIRST_SECRET), "InvalidClientTokenId"),
        (key("ASIASESSION000000001", FIRST_SECRET), "key of a session"),
        (key(ROOT, ROOT_SECRET), "no user of IAM's"),
        (key(FIRST, ""), "secret_access_key"),
        (key("AKIA", FIRST_SECRET), "access_key_id"),
    ] {
        let refused = administrator(&world.server, "PUT", PATH, bad).await;
        assert!(refused.text.contains(told), "{}", refused.text);
        assert!(!refused.text.contains("xyzzy"), "{}", refused.text);
        let _ = refused.expect(400);
    }
    let _ = administrator(&world.server, "GET", PATH, Value::Null).await.expect(404);
    let _ = administrator(&world.server, "POST", ROTATION, json!({})).await.expect(404);
    let _ = administrator(&world.server, "DELETE", PATH, Value::Null).await.expect(404);
    assert!(!world.server.whole_log().contains("xyzzy"));
}

async fn assumes(world: &World, amazon: &Amazon, name: &str) -> Vec<(String, String)> {
    let role = format!("arn:aws:iam::123456789012:role/{name}");
    let owner = world.password("owner");
    let body = json!({ "arn": role, "mode": "assume-role", "grants": [{ "repository": "one" }] });
    let plan =
        world.server.send("POST", "/api/workspaces/acme/aws-role-plan", &owner, &body).await.expect(200);
    assert_eq!(plan["server"], USER);
    let id = plan["external_id"].as_str().expect("an external id").to_owned();
    let _ = amazon.account().roles.insert(role, id);
    let _ = world.server.send("POST", "/api/workspaces/acme/aws-roles", &owner, &body).await.expect(201);
    amazon.asked().into_iter().filter(|(action, _)| action == "AssumeRole").collect()
}

/// Would catch: a key that is removed before its successor was proved; a server that goes on with the one before; a secret in an
/// answer, the log, the trail or the database; a key that is used after it was taken away.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_used_and_replaced_and_its_secret_is_nowhere() {
    let (amazon, address) = Amazon::start().await;
    let world = World::on(server(&address)).await;
    let server = &world.server;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("key.json");
    let printed = json!({ "AccessKey": {
        "UserName": "bastide", "AccessKeyId": FIRST, "Status": "Active", "SecretAccessKey": FIRST_SECRET,
    } });
    std::fs::write(&file, printed.to_string()).expect("a file");
    let set = server.command(&["aws", "key", "set", "--file", file.to_str().expect("a path")]);
    assert!(set.expect_success().contains(FIRST) && set.stdout.contains(USER), "{set}");
    assert_eq!(amazon.asked(), pairs(&[("GetCallerIdentity", FIRST)]));

    let shown = administrator(server, "GET", PATH, Value::Null).await.expect(200);
    assert_eq!((&shown["access_key_id"], &shown["user"]), (&json!(FIRST), &json!(USER)));
    assert!(shown["rotates_on"].is_string() && shown["last_error"].is_null(), "{shown}");
    assert_eq!(
        assumes(&world, &amazon, "before").await,
        vec![("AssumeRole".to_owned(), FIRST.to_owned()); 3]
    );

    let rotated = administrator(server, "POST", ROTATION, json!({})).await.expect(200);
    let new = amazon.made().remove(0);
    assert_eq!(rotated["access_key_id"], new);
    assert_eq!((&rotated["pending_key_id"], &rotated["old_key_id"]), (&Value::Null, &Value::Null));
    let order =
        [("CreateAccessKey", FIRST), ("GetCallerIdentity", new.as_str()), ("DeleteAccessKey", new.as_str())];
    assert_eq!(amazon.asked(), pairs(&order));
    assert_eq!(amazon.keys(), std::slice::from_ref(&new));
    assert_eq!(assumes(&world, &amazon, "after").await, vec![("AssumeRole".to_owned(), new.clone()); 3]);
    let doctor = server.command(&["doctor"]);
    assert!(doctor.stdout.contains("key at Amazon") && doctor.stdout.contains(&new), "{doctor}");

    let events = "/api/audit/events?action=aws-key.update&pagelen=100";
    let events = administrator(server, "GET", events, Value::Null).await.expect(200);
    let values = events["values"].as_array().expect("events").iter();
    let mut keys: Vec<&str> = values.map(|event| event["after"]["key"].as_str().unwrap_or("-")).collect();
    // What one request did has one time.
    keys.sort_unstable();
    assert_eq!(keys, [FIRST, FIRST, new.as_str(), new.as_str()], "{events}");
    let export = administrator(server, "GET", "/api/audit/export?format=csv", Value::Null).await;
    assert!(export.text.contains("aws-key.update"), "{}", export.text);
    let ledger = administrator(server, "GET", "/api/audit/export", Value::Null).await;
    let shown = server.command(&["aws", "key", "show"]);
    assert!(shown.expect_success().contains(&new));
    for secret in amazon.secrets() {
        for (place, text) in [
            ("the log", server.whole_log()),
            ("the events", events.to_string()),
            ("the exports", format!("{}{}", export.text, ledger.text)),
            ("what the commands say", format!("{set}{shown}{doctor}")),
            ("an answer", rotated.to_string()),
        ] {
            assert!(!text.contains(&secret), "{secret} is in {place}");
        }
        assert!(!is_kept(server, &secret), "{secret} is kept as it is");
    }
    assert!(is_kept(server, &new), "the id is found where the secret would be");

    let _ = server.command(&["aws", "key", "remove"]).expect_success();
    let _ = administrator(server, "GET", PATH, Value::Null).await.expect(404);
    let _ = amazon.asked();
    let body = json!({ "arn": "arn:aws:iam::123456789012:role/last", "mode": "assume-role" });
    let owner = world.password("owner");
    let plan = server.send("POST", "/api/workspaces/acme/aws-role-plan", &owner, &body).await.expect(200);
    assert_eq!(plan["server"], Value::Null);
    assert!(amazon.asked().is_empty(), "nothing is signed with a key that was taken away");
    assert_eq!(amazon.keys(), [new], "and it is still there");
}

/// Waits until something was asked of Amazon with a key.
async fn until_asked(amazon: &Amazon, action: &str, id: impl Fn(&Amazon) -> Option<String>) -> String {
    let begun = Instant::now();
    loop {
        if let Some(id) = id(amazon)
            && amazon.account().log.iter().any(|(done, with)| done == action && *with == id)
        {
            return id;
        }
        assert!(begun.elapsed() < PATIENCE, "{action} is asked for: {:?}", amazon.account().log);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Would catch: a key that Amazon has made and that a crash loses, a third key, a key that is not proved and becomes the present
/// one all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_between_two_keys_goes_on_with_them() {
    let (amazon, address) = Amazon::start().await;
    let mut server = server(&address);
    let _ = administrator(&server, "PUT", PATH, key(FIRST, FIRST_SECRET)).await.expect(200);
    amazon.account().is_late = true;
    let Login::Basic(user, token) = server.administrator.clone() else {
        panic!("the first token is a user's")
    };
    let asked =
        server.client().post(format!("{}{ROTATION}", server.url)).basic_auth(user, Some(token.expose()));
    let rotation = tokio::spawn(asked.json(&json!({})).send());
    let made = |amazon: &Amazon| amazon.made().first().cloned();
    let new = until_asked(&amazon, "GetCallerIdentity", made).await;
    // Two at a time are not one after the other.
    let busy = administrator(&server, "POST", ROTATION, json!({})).await;
    assert!(busy.text.contains("just now"), "{}", busy.text);
    let _ = busy.expect(409);
    server.kill();
    let _ = rotation.await;

    server.restart();
    let shown = administrator(&server, "GET", PATH, Value::Null).await.expect(200);
    assert_eq!((&shown["access_key_id"], &shown["pending_key_id"]), (&json!(FIRST), &json!(new)));
    amazon.account().is_late = false;
    let _ = amazon.asked();
    let rotated = administrator(&server, "POST", ROTATION, json!({})).await.expect(200);
    assert_eq!((&rotated["access_key_id"], &rotated["pending_key_id"]), (&json!(new), &Value::Null));
    assert_eq!(
        amazon.asked(),
        pairs(&[("GetCallerIdentity", new.as_str()), ("DeleteAccessKey", new.as_str())])
    );
    assert_eq!((amazon.made(), amazon.keys()), (vec![new.clone()], vec![new]));
}

/// Would catch: a failure that nobody is told of, a key before the present one that is forgotten and stays for ever, a rotation
/// that makes a key where there is no room for one.
#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_told_and_tried_again() {
    let (amazon, address) = Amazon::start().await;
    let server = server(&address);
    let _ = administrator(&server, "PUT", PATH, key(FIRST, FIRST_SECRET)).await.expect(200);
    // Somebody else made a second key.
    let other = "AKIAOTHER00000000001";
    let _ = amazon.account().keys.insert(other.to_owned(), "other".to_owned());
    let full = administrator(&server, "POST", ROTATION, json!({})).await;
    assert!(full.text.contains("two keys") && full.text.contains(FIRST), "{}", full.text);
    let _ = full.expect(409);
    let shown = administrator(&server, "GET", PATH, Value::Null).await.expect(200);
    assert_eq!(shown["access_key_id"], FIRST);
    assert!(shown["last_error"].as_str().is_some_and(|why| why.contains("two keys")), "{shown}");
    let doctor = server.command(&["doctor"]);
    assert!(!doctor.success() && doctor.stdout.contains("could not be replaced"), "{doctor}");
    let _ = amazon.account().keys.remove(other);

    amazon.account().is_stubborn = true;
    let stuck = administrator(&server, "POST", ROTATION, json!({})).await;
    assert!(stuck.text.contains("was not removed"), "{}", stuck.text);
    let _ = stuck.expect(409);
    let second = amazon.made().remove(0);
    let shown = administrator(&server, "GET", PATH, Value::Null).await.expect(200);
    assert_eq!((&shown["access_key_id"], &shown["old_key_id"]), (&json!(second), &json!(FIRST)));
    assert!(shown["last_error"].is_string() && shown["failed_on"].is_string(), "{shown}");

    amazon.account().is_stubborn = false;
    let _ = amazon.asked();
    let rotated = administrator(&server, "POST", ROTATION, json!({})).await.expect(200);
    let third = amazon.made().remove(1);
    assert_eq!((&rotated["access_key_id"], &rotated["old_key_id"]), (&json!(third), &Value::Null));
    assert!(rotated["last_error"].is_null() && rotated["failed_on"].is_null(), "{rotated}");
    let order = [
        ("DeleteAccessKey", second.as_str()),
        ("CreateAccessKey", second.as_str()),
        ("GetCallerIdentity", third.as_str()),
        ("DeleteAccessKey", third.as_str()),
    ];
    assert_eq!(amazon.asked(), pairs(&order));
    assert_eq!(amazon.keys(), [third]);
    let doctor = server.command(&["doctor"]);
    assert!(doctor.stdout.contains("key at Amazon") && !doctor.stdout.contains("could not"), "{doctor}");
    assert!(!server.whole_log().contains("xyzzy"));
}
