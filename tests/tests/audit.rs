//! The audit trail from outside: found by what it tells, told to those whom it concerns and to nobody else, and why
//! something was refused. Would catch: a filter that leaks or loses events, a workspace's owner who reads of another
//! workspace, a refusal that tells whoever was refused that something exists.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails where it cannot go on, and says so"
)]

use std::collections::BTreeSet;

use serde_json::{Value, json};
use testkit::{Login, World, in_path};

async fn events(world: &World, login: &Login, path: &str) -> Vec<Value> {
    let (mut all, mut next) = (Vec::new(), Some(path.to_owned()));
    while let Some(path) = next {
        let page = world.server.send("GET", &path, login, &Value::Null).await.expect(200);
        all.extend(page["values"].as_array().expect("a page").iter().cloned());
        next = page["next"].as_str().map(|next| next[next.find("/api/").expect("an address")..].to_owned());
    }
    all
}

fn all_are(events: &[Value], field: &str, fits: impl Fn(&str) -> bool) {
    assert!(!events.is_empty(), "nothing was found by `{field}`");
    for event in events {
        assert!(fits(event[field].as_str().unwrap_or_default()), "{field}: {event}");
    }
}

/// Refusals are recorded without making the refused wait.
async fn refusals(world: &World, login: &Login, request: &str) -> Option<Value> {
    for _ in 0..100 {
        let path = format!("/api/audit/refusals/{request}");
        let answer = world.server.send("GET", &path, login, &Value::Null).await;
        match answer.status.as_u16() {
            200 => return Some(answer.json),
            404 => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            other => panic!("{other}: {}", answer.text),
        }
    }
    None
}

#[tokio::test]
async fn events_are_found_by_each_filter_and_by_several_together() {
    let world = World::new().await;
    let root = world.server.administrator.clone();
    let list =
        async |filter: &str| events(&world, &root, &format!("/api/audit/events?pagelen=7&{filter}")).await;

    all_are(&list("actor=user:owner").await, "actor", |actor| actor == "user:owner");
    all_are(&list("action=grant.set").await, "action", |action| action == "grant.set");
    let of_repositories = list("action=repository.").await;
    all_are(&of_repositories, "action", |action| action.starts_with("repository."));
    all_are(&list("resource=repository:acme/one").await, "resource", |on| on == "repository:acme/one");
    all_are(&list("address=127.0.0.0/8").await, "address", |address| address == "127.0.0.1");
    assert!(list("address=192.0.2.0/24").await.is_empty());
    all_are(&list("outcome=done").await, "outcome", |outcome| outcome == "done");
    let one = &of_repositories[0];
    let request = one["request_id"].as_str().unwrap();
    assert!(list(&format!("request_id={request}")).await.iter().any(|found| found["id"] == one["id"]));
    let credential = one["credential"].as_str().expect("made with an app password");
    let encoded = in_path(&one["credential"]);
    all_are(&list(&format!("credential={encoded}")).await, "credential", |found| found == credential);

    let both = list("actor=user:owner&action=repository.&workspace=acme").await;
    all_are(&both, "actor", |actor| actor == "user:owner");
    let ids: BTreeSet<&str> = both.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), both.len(), "a page repeats events");
    let expected = of_repositories.iter().filter(|event| {
        let on = event["resource"].as_str().unwrap();
        event["actor"] == "user:owner" && (on.contains("acme"))
    });
    assert_eq!(ids, expected.map(|event| event["id"].as_str().unwrap()).collect());

    let times: Vec<&str> = both.iter().map(|event| event["time"].as_str().unwrap()).collect();
    assert!(times.windows(2).all(|pair| pair[0] >= pair[1]), "newest first");
    for bad in ["action=explode", "address=10.0.0.0/99", "outcome=maybe", "from=yesterday", "request_id=1"] {
        let path = format!("/api/audit/events?{bad}");
        let _ = world.server.send("GET", &path, &root, &Value::Null).await.expect(400);
    }
}

#[tokio::test]
async fn a_workspaces_trail_is_its_own_and_its_owners() {
    let world = World::new().await;
    let found =
        events(&world, &world.password("owner"), "/api/workspaces/acme/audit/events?pagelen=100").await;
    let whole =
        events(&world, &world.server.administrator, "/api/audit/events?workspace=acme&pagelen=100").await;
    assert!(found.len() > 10);
    for event in &found {
        assert!(!event["resource"].as_str().unwrap().contains("other"), "of another workspace: {event}");
    }
    let ids = |events: &[Value]| -> BTreeSet<String> { events.iter().map(|e| e["id"].to_string()).collect() };
    assert!(ids(&found).is_subset(&ids(&whole)));
    // A filter that names another workspace opens nothing.
    let other =
        events(&world, &world.password("owner"), "/api/workspaces/acme/audit/events?workspace=other").await;
    for event in &other {
        assert!(!event["resource"].as_str().unwrap().contains("other"), "of another workspace: {event}");
    }
    for person in ["repoadmin", "projectadmin", "member", "outsider"] {
        for path in
            ["/api/workspaces/acme/audit/events", "/api/audit/events", "/api/audit/events?workspace=acme"]
        {
            let answer = world.server.send("GET", path, &world.password(person), &Value::Null).await;
            assert!(matches!(answer.status.as_u16(), 403 | 404), "{person} {path}: {}", answer.text);
        }
    }
    let answer = world.server.send("GET", "/api/audit/events", &world.password("owner"), &Value::Null).await;
    assert_eq!(answer.status, 403, "an owner of a workspace reads the instance's trail");
    // Reading it was itself recorded, beside what it concerned.
    let readings =
        events(&world, &world.password("owner"), "/api/workspaces/acme/audit/events?action=audit.read").await;
    all_are(&readings, "resource", |on| on == "workspace:acme");
}

#[tokio::test]
async fn why_something_was_refused_is_told_to_those_entitled() {
    let world = World::new().await;
    // The reader may not change settings, and may know that.
    let path = "/2.0/repositories/acme/one/permissions-config/users";
    let refused = world.server.send("GET", path, &world.app_password("reader"), &Value::Null).await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    let request = refused.header("x-request-id").to_owned();

    let told = refusals(&world, &world.password("owner"), &request).await.expect("an owner is told");
    let first = &told["refusals"][0];
    assert_eq!(first["whole"], true);
    assert_eq!(first["event"]["actor"], "user:reader");
    assert_eq!(first["event"]["action"], "grant.list");
    assert_eq!(first["reasons"][0]["policy"], "no-permit");
    assert!(first["reasons"][0]["text"].as_str().unwrap().contains("needs"), "{first}");
    let named: Vec<&str> =
        first["changed_by"].as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect();
    assert!(named.contains(&"user:owner") && named.contains(&"user:repoadmin"), "{named:?}");
    assert!(!named.contains(&"user:reader"), "{named:?}");

    let own = refusals(&world, &world.password("reader"), &request).await.expect("whoever asked is told");
    assert_eq!(own["refusals"][0]["whole"], false);
    assert_eq!(own["refusals"][0]["changed_by"], json!([]), "who may grant is not theirs to know");
    assert!(own["refusals"][0]["remedies"][0].as_str().unwrap().contains("admin permission"), "{own}");
    let path = format!("/api/audit/refusals/{request}");
    for person in ["member", "writer", "outsider", "repoadmin"] {
        let _ = world.server.send("GET", &path, &world.password(person), &Value::Null).await.expect(404);
    }
    let root =
        refusals(&world, &world.server.administrator, &request).await.expect("the instance's staff is told");
    assert_eq!(root["refusals"][0]["whole"], true);
}

/// Attack: whoever is refused asks why, to learn whether what they named exists.
#[tokio::test]
async fn a_refusal_does_not_tell_that_something_hidden_exists() {
    let world = World::new().await;
    let mut requests = Vec::new();
    for slug in ["two", "no-such-repository"] {
        let path = format!("/2.0/repositories/acme/{slug}");
        let answer = world.server.send("GET", &path, &world.app_password("reader"), &Value::Null).await;
        assert_eq!(answer.status, 404, "{}", answer.text);
        requests.push(answer.header("x-request-id").to_owned());
    }
    // The owner is told of the first: the record is there before the reader asks.
    assert!(refusals(&world, &world.password("owner"), &requests[0]).await.is_some());
    let mut answers = Vec::new();
    for request in &requests {
        let path = format!("/api/audit/refusals/{request}");
        let answer = world.server.send("GET", &path, &world.password("reader"), &Value::Null).await;
        assert_eq!(answer.status, 404, "{}", answer.text);
        answers.push(answer.json["error"]["message"].clone());
    }
    assert_eq!(answers[0], answers[1], "the answer depends on what exists");
}

/// What a reader of the stream has been told so far: event by event, and as it came.
struct Stream {
    response: reqwest::Response,
    text: String,
}

impl Stream {
    async fn open(world: &World, login: &Login, path: &str, last: Option<&str>) -> Self {
        let mut request = world.server.client().get(format!("{}{path}", world.server.url));
        request = request.header("accept", "text/event-stream");
        if let Login::Basic(user, secret) = login {
            request = request.basic_auth(user, Some(secret.expose()));
        }
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new() }
    }

    fn events(&self) -> Vec<(String, Value)> {
        let whole = self.text.split_inclusive("\n\n").filter(|block| block.ends_with("\n\n"));
        let field = |block: &str, name: &str| -> Option<String> {
            block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
        };
        whole
            .filter_map(|block| {
                Some((field(block, "id: ")?, serde_json::from_str(&field(block, "data: ")?).ok()?))
            })
            .collect()
    }

    /// Reads until an event fits; false when the stream ended before.
    async fn until(&mut self, fits: impl Fn(&Value) -> bool) -> bool {
        loop {
            if self.events().iter().any(|(_, event)| fits(event)) {
                return true;
            }
            match self.response.chunk().await {
                Ok(Some(piece)) => self.text.push_str(&String::from_utf8_lossy(&piece)),
                _ => return false,
            }
        }
    }
}

#[tokio::test]
async fn the_trail_is_followed_and_gone_on_with_after_a_break() {
    let world = World::new().await;
    let owner = world.password("owner");
    let path = "/api/workspaces/acme/audit/events/stream?action=repository.";
    let mut stream = Stream::open(&world, &owner, path, None).await;
    let make = async |slug: &str| {
        let body = json!({ "scm": "git", "project": { "key": "CORE" }, "is_private": true });
        for workspace in ["other", "acme"] {
            let path = format!("/2.0/repositories/{workspace}/{slug}");
            let made = world.server.send("POST", &path, &world.app_password("owner"), &body).await;
            assert!(made.status.is_success(), "{}", made.text);
        }
    };
    let of = |slug: &str| {
        let name = format!("repository:acme/{slug}");
        move |event: &Value| event["resource"] == name.as_str()
    };
    make("first").await;
    assert!(stream.until(of("first")).await);
    let (last, _) = stream.events().pop().unwrap();
    drop(stream);
    make("second").await;
    let mut stream = Stream::open(&world, &owner, path, Some(&last)).await;
    assert!(stream.until(of("second")).await, "what happened during the break is told");
    for (_, event) in stream.events() {
        assert_ne!(event["resource"], "repository:acme/first", "told twice");
        assert!(!event["resource"].as_str().unwrap().contains("other"), "of another workspace: {event}");
        assert!(event["action"].as_str().unwrap().starts_with("repository."), "{event}");
    }
    let beyond = format!("{path}&after=99999999");
    let _ = world.server.send("GET", &beyond, &owner, &Value::Null).await.expect(400);
}

/// Attack: a stream that was opened with a credential lives on after the credential is revoked.
#[tokio::test]
async fn a_stream_ends_with_its_credential_and_with_the_server() {
    let mut world = World::new().await;
    let owner = world.password("owner");
    let made = json!({ "name": "reader", "scopes": ["audit:read"] });
    let made = world.mint_with(&owner, "/api/user/api-tokens", made).await;
    let token = model::Secret::new(made["token"].as_str().unwrap().to_owned());
    let login = Login::Basic("owner@example.com".to_owned(), token);
    let path = "/api/workspaces/acme/audit/events/stream";
    let mut revoked = Stream::open(&world, &login, path, None).await;
    let mut staying = Stream::open(&world, &owner, path, None).await;
    let path = format!("/api/user/api-tokens/{}", in_path(&made["uuid"]));
    let gone = world.server.send("DELETE", &path, &owner, &Value::Null).await;
    assert_eq!(gone.status, 204, "{}", gone.text);
    assert!(!revoked.until(|_| false).await, "it ends");
    assert!(revoked.text.contains("may not read on"), "{}", revoked.text);
    // Whoever is no owner any more reads no more either, with whatever credential.
    let body = json!({ "permission": "owner" });
    let path = "/api/workspaces/acme/members/member";
    let _ = world.server.send("PUT", path, &owner, &body).await.expect(200);
    let member = world.password("member");
    let stream = "/api/workspaces/acme/audit/events/stream";
    let mut demoted = Stream::open(&world, &member, stream, None).await;
    let _ = world.server.send("PUT", path, &owner, &json!({ "permission": "member" })).await.expect(200);
    assert!(!demoted.until(|_| false).await, "it ends");
    assert_eq!(world.server.stop(), Some(0), "a reader who stays does not keep the server");
    assert!(!staying.until(|_| false).await);
}
