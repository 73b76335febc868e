//! What others say of commits: build statuses, reports with annotations, findings of scanners; who may say it, and that
//! nobody turns round what somebody else has said.

#![cfg(test)]

use serde_json::{Value, json};
use testkit::world::PASSWORD;
use testkit::{Login, Visitor, World, in_path};

const ONE: &str = "/2.0/repositories/acme/one/commit";

/// The world with a commit in `one`.
struct Scene {
    world: World,
    hash: String,
}

impl Scene {
    async fn new() -> Self {
        let world = World::new().await;
        let git = world.git("writer");
        let work = git.working_copy("work");
        let _ = git.run(&work, ["push", &world.address("one"), "main"]).expect_success();
        let hash = git.run(&work, ["rev-parse", "HEAD"]).expect_success().trim().to_owned();
        Self { world, hash }
    }

    fn at(&self, below: &str) -> String {
        format!("{ONE}/{}/{below}", self.hash)
    }

    fn login(&self, person: &str) -> Login {
        self.world.app_password(person)
    }

    async fn send(&self, person: &str, method: &str, below: &str, body: &Value, status: u16) -> Value {
        self.send_as(&self.login(person), method, below, body, status).await
    }

    async fn send_as(&self, login: &Login, method: &str, below: &str, body: &Value, status: u16) -> Value {
        self.world.server.send(method, &self.at(below), login, body).await.expect(status)
    }

    /// Another principal that may write: an access token of the repository, which the administrator made.
    async fn token(&self) -> Login {
        let place = "/api/repositories/acme/one/access-tokens";
        Login::Bearer(self.world.mint(&self.world.password("repoadmin"), place, &["repository:write"]).await)
    }

    /// Uploads a file; the status and the answer. The status is 0 where the connection ended before the file did.
    async fn upload(&self, login: &Login, query: &str, file: impl Into<reqwest::Body>) -> (u16, Value) {
        let path = format!("/api/repositories/acme/one/commit/{}/sarif{query}", self.hash);
        let request = self.world.server.client().post(format!("{}{path}", self.world.server.url));
        let request = match login {
            Login::Basic(name, secret) => request.basic_auth(name, Some(secret.expose())),
            Login::Bearer(secret) => request.bearer_auth(secret.expose()),
            Login::Session(_) | Login::Nobody => request,
        };
        let request = request.header("content-type", "application/sarif+json").body(file);
        let Ok(answer) = request.send().await else { return (0, Value::Null) };
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or(Value::Null))
    }
}

fn status(key: &str, state: &str) -> Value {
    json!({ "key": key, "state": state })
}

/// Which fields a refusal names.
fn fields(answer: &Value) -> Vec<&str> {
    answer["error"]["fields"].as_object().expect("fields").keys().map(String::as_str).collect()
}

/// Would catch: a status that is lost, kept twice, or found under another commit; placeholders that are shown as such.
#[tokio::test(flavor = "multi_thread")]
async fn a_build_is_told_read_and_told_anew() {
    let scene = Scene::new().await;
    let new = json!({
        "key": "ci", "state": "INPROGRESS", "name": "Build 1", "description": "Runs", "refname": "main",
        "url": "https://ci.example.com/{repository.full_name}/{commit.hash}", "type": "build", "links": {},
    });
    let made = scene.send("writer", "POST", "statuses/build", &new, 201).await;
    assert_eq!(made["url"], format!("https://ci.example.com/acme/one/{}", scene.hash), "{made}");
    assert_eq!((&made["type"], &made["commit"]["hash"]), (&json!("build"), &json!(scene.hash)), "{made}");
    assert_eq!(made["repository"]["full_name"], "acme/one", "{made}");
    // The same key is the same status.
    let again = scene.send("writer", "POST", "statuses/build", &status("ci", "SUCCESSFUL"), 201).await;
    assert_eq!((&again["uuid"], &again["created_on"]), (&made["uuid"], &made["created_on"]), "{again}");
    assert_eq!(
        (&again["state"], &again["url"], &again["name"]),
        (&json!("SUCCESSFUL"), &Value::Null, &json!("ci"))
    );
    // A part of it changes alone; the commit may be named by its branch, or by its first digits.
    let change = json!({ "state": "FAILED", "url": "https://ci.example.com/2" });
    let put = format!("{ONE}/main/statuses/build/ci");
    let _ = scene.world.server.send("PUT", &put, &scene.login("writer"), &change).await.expect(200);
    let short = format!("{ONE}/{}/statuses/build/ci", &scene.hash[..8]);
    let read = scene.world.server.send("GET", &short, &scene.login("reader"), &Value::Null).await.expect(200);
    assert_eq!(
        (&read["state"], &read["url"]),
        (&json!("FAILED"), &json!("https://ci.example.com/2")),
        "{read}"
    );

    for (key, state) in [("a", "STOPPED"), ("b/c d", "SUCCESSFUL")] {
        let _ = scene.send("writer", "POST", "statuses/build", &status(key, state), 201).await;
    }
    let slashed = scene.send("reader", "GET", "statuses/build/b%2Fc%20d", &Value::Null, 200).await;
    assert!(slashed["links"]["self"]["href"].as_str().unwrap().ends_with("/b%2Fc%20d"), "{slashed}");
    let keys = async |query: &str| {
        let listed = scene.send("reader", "GET", &format!("statuses?{query}"), &Value::Null, 200).await;
        let values = listed["values"].as_array().unwrap().iter();
        (
            values.map(|one| one["key"].as_str().unwrap().to_owned()).collect::<Vec<_>>(),
            listed["size"].clone(),
        )
    };
    assert_eq!(keys("sort=key").await, (vec!["a".to_owned(), "b/c d".to_owned(), "ci".to_owned()], json!(3)));
    assert_eq!(keys("q=state%3D%22FAILED%22").await.0, ["ci"]);
    assert_eq!(keys("pagelen=1&page=2&sort=-key").await.0, ["b/c d"]);
    assert_eq!(keys("refname=main").await.0, Vec::<String>::new());
    let _ = scene.send("reader", "GET", "statuses?q=colour%3D%22red%22", &Value::Null, 400).await;

    let nowhere = format!("{ONE}/{}/statuses/build", "0".repeat(40));
    let told =
        scene.world.server.send("POST", &nowhere, &scene.login("writer"), &status("x", "FAILED")).await;
    let _ = told.expect(404);
    let _ = scene.send("reader", "GET", "statuses/build/none", &Value::Null, 404).await;
    let _ = scene.send("writer", "PUT", "statuses/build/none", &json!({ "state": "FAILED" }), 404).await;
    let events = scene
        .world
        .server
        .administer("GET", "/api/audit/events?action=commit-status.set", &Value::Null)
        .await;
    let last = &events["values"][0]["after"];
    assert_eq!((&last["key"], &last["commit"]), (&json!("b/c d"), &json!(scene.hash)), "{last}");
}

/// Attack: turn round what another's build has said, or say something in the name of the pipelines.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_belongs_to_whoever_set_it_first() {
    let scene = Scene::new().await;
    let _ = scene.send("writer", "POST", "statuses/build", &status("scan", "FAILED"), 201).await;
    let token = scene.token().await;
    let good = status("scan", "SUCCESSFUL");
    let refused = scene.send_as(&token, "POST", "statuses/build", &good, 409).await;
    assert!(
        refused["error"]["message"].as_str().unwrap().contains("the key `scan` belongs to another"),
        "{refused}"
    );
    let _ = scene.send_as(&token, "PUT", "statuses/build/scan", &json!({ "state": "SUCCESSFUL" }), 409).await;
    let read = scene.send("reader", "GET", "statuses/build/scan", &Value::Null, 200).await;
    assert_eq!(read["state"], "FAILED");
    // An administrator may, and takes the key over.
    let _ = scene.send("repoadmin", "POST", "statuses/build", &good, 201).await;
    let _ = scene.send("writer", "PUT", "statuses/build/scan", &json!({ "state": "FAILED" }), 409).await;
    // But not by a credential that administers nothing: the scope counts, not its holder alone.
    let _ = scene.send_as(&token, "POST", "statuses/build", &status("own", "FAILED"), 201).await;
    let narrow = scene
        .world
        .mint(&scene.world.password("repoadmin"), "/api/user/app-passwords", &["repository:write"])
        .await;
    let narrow = Login::Basic("repoadmin".to_owned(), narrow);
    let _ = scene.send_as(&narrow, "POST", "statuses/build", &status("own", "SUCCESSFUL"), 409).await;
    // What is Bastide's own is nobody's, not even an administrator's.
    for key in ["bastide-pipelines/default", "Bastide-Pipelines/x"] {
        for person in ["writer", "repoadmin", "owner"] {
            let refused = scene.send(person, "POST", "statuses/build", &status(key, "SUCCESSFUL"), 400).await;
            assert_eq!(fields(&refused), ["key"], "{refused}");
        }
    }
}

/// Would catch: a read permission that writes, a hidden repository that is told of.
#[tokio::test(flavor = "multi_thread")]
async fn readers_say_nothing_and_strangers_see_nothing() {
    let scene = Scene::new().await;
    let report = json!({ "title": "R" });
    let note = json!({ "external_id": "1", "annotation_type": "BUG", "summary": "s" });
    let _ = scene.send("writer", "PUT", "reports/r", &report, 200).await;
    let _ = scene.send("writer", "PUT", "reports/r/annotations/1", &note, 200).await;
    let _ = scene.send("writer", "POST", "statuses/build", &status("ci", "FAILED"), 201).await;
    let list = json!([note]);
    let (ci, failed) = (status("ci", "FAILED"), json!({ "state": "FAILED" }));
    for (method, below, body) in [
        ("POST", "statuses/build", &ci),
        ("PUT", "statuses/build/ci", &failed),
        ("PUT", "reports/r", &report),
        ("DELETE", "reports/r", &Value::Null),
        ("POST", "reports/r/annotations", &list),
        ("PUT", "reports/r/annotations/1", &note),
        ("DELETE", "reports/r/annotations/1", &Value::Null),
    ] {
        let _ = scene.send("reader", method, below, body, 403).await;
        let _ = scene.send("outsider", method, below, body, 404).await;
    }
    for below in [
        "statuses",
        "statuses/build/ci",
        "reports",
        "reports/r",
        "reports/r/annotations",
        "reports/r/annotations/1",
    ] {
        let _ = scene.send("reader", "GET", below, &Value::Null, 200).await;
        let _ = scene.send("outsider", "GET", below, &Value::Null, 404).await;
    }
    let file = sarif("a", &[]);
    assert_eq!(scene.upload(&scene.login("reader"), "", file.clone()).await.0, 403);
    assert_eq!(scene.upload(&scene.login("outsider"), "", file.clone()).await.0, 404);
    assert_eq!(scene.upload(&Login::Nobody, "", file).await.0, 404);
}

/// Attack: an address that runs as a script in the page, or looks like another's; texts without an end.
#[tokio::test(flavor = "multi_thread")]
async fn bad_bodies_are_refused_with_the_field() {
    let scene = Scene::new().await;
    let long = "x".repeat(3_000);
    let with = |name: &str, value: Value| {
        let mut body = status("k", "FAILED");
        body[name] = value;
        body
    };
    for (body, field) in [
        (json!({ "state": "FAILED" }), "key"),
        (json!({ "key": "k" }), "state"),
        (status("k", "GREEN"), "state"),
        (status(&long, "FAILED"), "key"),
        (status("a\nb", "FAILED"), "key"),
        (with("url", json!("javascript:alert(1)")), "url"),
        (with("url", json!("https://bank.example@evil.example/")), "url"),
        (with("url", json!("/relative")), "url"),
        (with("url", json!(format!("https://x/{long}"))), "url"),
        (with("name", json!(long)), "name"),
        (with("name", json!(7)), "name"),
        (with("description", json!(long)), "description"),
        (with("refname", json!("a\u{7}")), "refname"),
    ] {
        let refused = scene.send("writer", "POST", "statuses/build", &body, 400).await;
        assert_eq!(fields(&refused), [field], "{refused}");
    }
    let report = |name: &str, value: Value| {
        let mut body = json!({ "title": "R" });
        body[name] = value;
        body
    };
    let figures = |count: usize| json!(vec![json!({ "title": "t", "value": 1 }); count]);
    for (body, field) in [
        (json!({}), "title"),
        (report("result", json!("GREEN")), "result"),
        (report("report_type", json!("COLOUR")), "report_type"),
        (report("link", json!("data:text/html,x")), "link"),
        (report("logo_url", json!("ftp://x")), "logo_url"),
        (report("external_id", json!("other")), "external_id"),
        (report("data", figures(11)), "data"),
        (report("data", json!([{ "title": "t", "type": "PERCENTAGE", "value": 101 }])), "data[0].value"),
        (
            report("data", json!([{ "title": "t", "type": "LINK", "value": { "href": "javascript:x" } }])),
            "data[0].value.href",
        ),
        (report("data", json!([{ "value": true }])), "data[0].title"),
    ] {
        let refused = scene.send("writer", "PUT", "reports/r", &body, 400).await;
        assert_eq!(fields(&refused), [field], "{refused}");
    }
    let _ = scene.send("reader", "GET", "reports/r", &Value::Null, 404).await;
    let _ = scene.send("writer", "PUT", "reports/r", &report("data", figures(10)), 200).await;
    let note = |name: &str, value: Value| {
        let mut body = json!({ "external_id": "1", "annotation_type": "BUG", "summary": "s" });
        body[name] = value;
        json!([body])
    };
    for (body, field) in [
        (json!([{}]), "[0].annotation_type"),
        (note("path", json!("../../etc/passwd")), "[0].path"),
        (note("path", json!("/etc/passwd")), "[0].path"),
        (note("line", json!(-1)), "[0].line"),
        (note("line", json!("1")), "[0].line"),
        (note("severity", json!("GRAVE")), "[0].severity"),
        (note("result", json!("PENDING")), "[0].result"),
        (note("link", json!("javascript:x")), "[0].link"),
        (note("external_id", json!("")), "[0].external_id"),
    ] {
        let refused = scene.send("writer", "POST", "reports/r/annotations", &body, 400).await;
        assert!(fields(&refused).contains(&field), "{field}: {refused}");
    }
    for body in [json!({}), json!([]), json!("x")] {
        let _ = scene.send("writer", "POST", "reports/r/annotations", &body, 400).await;
    }
    let left = scene.send("reader", "GET", "reports/r/annotations", &Value::Null, 200).await;
    assert_eq!(left["size"], 0, "{left}");
}

/// Would catch: a report that is kept twice, that outlives its removal in its annotations, or is nobody's.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_made_overwritten_and_removed_by_its_maker() {
    let scene = Scene::new().await;
    let body = json!({
        "title": "Security scan", "details": "All of it", "reporter": "Scanner", "report_type": "SECURITY",
        "result": "FAILED", "link": "https://scan.example.com/1", "logo_url": "https://scan.example.com/logo.png",
        "external_id": "scan-1", "remote_link_enabled": true, "data": [
            { "title": "Safe", "type": "BOOLEAN", "value": false },
            { "title": "Took", "type": "DURATION", "value": 1500 },
            { "title": "Found", "value": 3 },
        ],
    });
    let made = scene.send("writer", "PUT", "reports/scan-1", &body, 200).await;
    for (name, value) in body.as_object().unwrap().iter().filter(|(name, _)| *name != "data") {
        assert_eq!(&made[name], value, "{made}");
    }
    assert_eq!((&made["type"], &made["data"][2]["type"]), (&json!("report"), &json!("NUMBER")), "{made}");
    let uuid = in_path(&made["uuid"]);
    let note = |id: usize| {
        json!({
            "external_id": format!("a{id}"), "annotation_type": "VULNERABILITY", "summary": "Bad", "severity": "HIGH",
            "path": "./src//main.rs", "line": id,
        })
    };
    let batch = |from: usize, count: usize| (from..from + count).map(note).collect::<Value>();
    let written =
        scene.send("writer", "POST", &format!("reports/{uuid}/annotations"), &batch(0, 100), 200).await;
    assert_eq!((written.as_array().unwrap().len(), &written[7]["path"]), (100, &json!("src/main.rs")));
    let _ = scene.send("writer", "POST", "reports/scan-1/annotations", &batch(0, 101), 400).await;
    let twice = json!([note(1), note(1)]);
    let _ = scene.send("writer", "POST", "reports/scan-1/annotations", &twice, 400).await;
    for batch_of in 1..10 {
        let more = batch(batch_of * 100, 100);
        let _ = scene.send("writer", "POST", "reports/scan-1/annotations", &more, 200).await;
    }
    // A thousand is enough; what is there can still be overwritten, all or nothing.
    let _ = scene.send("writer", "POST", "reports/scan-1/annotations", &batch(999, 2), 400).await;
    let mut changed = note(5);
    changed["summary"] = json!("Worse");
    changed.as_object_mut().unwrap().remove("external_id");
    let one = scene.send("writer", "PUT", "reports/scan-1/annotations/a5", &changed, 200).await;
    assert_eq!((&one["summary"], &one["uuid"]), (&json!("Worse"), &written[5]["uuid"]), "{one}");
    let listed = scene
        .send("reader", "GET", "reports/scan-1/annotations?pagelen=100&page=10", &Value::Null, 200)
        .await;
    assert_eq!((&listed["size"], listed["values"].as_array().unwrap().len()), (&json!(1_000), 100));

    // Overwriting it keeps its annotations, its id and when it was made.
    let again = scene.send("writer", "PUT", "reports/scan-1", &json!({ "title": "Again" }), 200).await;
    assert_eq!((&again["uuid"], &again["result"], &again["data"]), (&made["uuid"], &Value::Null, &json!([])));
    let listed = scene.send("reader", "GET", "reports", &Value::Null, 200).await;
    assert_eq!((&listed["size"], &listed["values"][0]["title"]), (&json!(1), &json!("Again")), "{listed}");

    // Nobody else touches it, by whatever name.
    let token = scene.token().await;
    for name in ["scan-1", uuid.as_str()] {
        let _ = scene.send_as(&token, "PUT", &format!("reports/{name}"), &json!({ "title": "x" }), 409).await;
        let _ = scene.send_as(&token, "DELETE", &format!("reports/{name}"), &Value::Null, 409).await;
        let below = format!("reports/{name}/annotations");
        let _ = scene.send_as(&token, "POST", &below, &batch(0, 1), 409).await;
        let _ = scene.send_as(&token, "PUT", &format!("{below}/a5"), &changed, 409).await;
        let _ = scene.send_as(&token, "DELETE", &format!("{below}/a5"), &Value::Null, 409).await;
    }
    let _ = scene.send("writer", "DELETE", "reports/scan-1/annotations/a5", &Value::Null, 204).await;
    let _ = scene.send("reader", "GET", "reports/scan-1/annotations/a5", &Value::Null, 404).await;
    // An administrator of the repository may.
    let _ = scene.send("repoadmin", "DELETE", "reports/scan-1", &Value::Null, 204).await;
    let _ = scene.send("reader", "GET", "reports/scan-1", &Value::Null, 404).await;
    let made = scene.send("writer", "PUT", "reports/scan-1", &json!({ "title": "New" }), 200).await;
    let left = scene.send("reader", "GET", "reports/scan-1/annotations", &Value::Null, 200).await;
    assert_eq!((&left["size"], made["uuid"] == again["uuid"]), (&json!(0), false));
}

/// A file with one run and these results.
fn sarif(tool: &str, results: &[Value]) -> String {
    let rule = json!({
        "id": "R1", "shortDescription": { "text": "Untrusted input <b>" }, "helpUri": "https://rules.example.com/r1",
        "properties": { "security-severity": "9.1", "tags": ["security"] },
    });
    json!({ "version": "2.1.0", "runs": [
        { "tool": { "driver": { "name": tool, "version": "1.2", "rules": [rule] } }, "results": results },
    ] })
    .to_string()
}

fn result(rule: &str, path: &str, line: i64) -> Value {
    json!({ "ruleId": rule, "level": "note", "message": { "text": "Look at it" }, "locations": [
        { "physicalLocation": { "artifactLocation": { "uri": path }, "region": { "startLine": line } } },
    ] })
}

/// Would catch: findings that get lost on the way, that stay after they were mended, that others overwrite.
#[tokio::test(flavor = "multi_thread")]
async fn findings_are_uploaded_and_replaced() {
    let scene = Scene::new().await;
    // As a step does: by an access token.
    let token = scene.token().await;
    let build = "file:///opt/atlassian/pipelines/agent/build";
    let file = sarif(
        "My Scanner",
        &[
            result("R2", "src/b.rs", 2),
            result("R1", &format!("{build}/src/a.rs"), 7),
            result("R2", "../../etc/passwd", 1),
        ],
    );
    let (status, made) = scene.upload(&token, "", file.clone()).await;
    assert_eq!(status, 201, "{made}");
    let one = &made["reports"][0];
    assert_eq!((&one["annotations"], &one["left_out"]), (&json!(3), &json!(0)), "{made}");
    let report = &one["report"];
    assert_eq!(
        (&report["external_id"], &report["title"]),
        (&json!("sarif-my-scanner"), &json!("My Scanner"))
    );
    assert_eq!((&report["reporter"], &report["result"]), (&json!("My Scanner 1.2"), &json!("FAILED")));
    assert_eq!(report["report_type"], "SECURITY");
    assert_eq!(report["data"][0], json!({ "title": "Critical", "type": "NUMBER", "value": 1 }));
    let below = "reports/sarif-my-scanner/annotations";
    let listed = scene.send("reader", "GET", below, &Value::Null, 200).await;
    let told: Vec<_> = listed["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["severity"].as_str(), one["path"].as_str(), one["line"].as_i64()))
        .collect();
    assert_eq!(told[0], (Some("CRITICAL"), Some("src/a.rs"), Some(7)));
    assert!(told.contains(&(Some("LOW"), None, Some(0))), "a path that leads out is none: {told:?}");
    let first = listed["values"][0]["external_id"].clone();

    // The page shows it, as text, with the way to the line.
    let visitor = Visitor::signed_in(&scene.world.server, "reader", PASSWORD).await;
    let page = format!("/acme/one/commits/{}", scene.hash);
    let page = scene.world.server.send("GET", &page, &visitor.login(), &Value::Null).await;
    assert_eq!(page.status, 200);
    let line = format!("/acme/one/src/{}/src/a.rs#L7", scene.hash);
    assert!(
        page.text.contains("R1: Untrusted input &#60;b&#62;") && page.text.contains(&line),
        "{}",
        page.text
    );

    // What is mended goes, what stays keeps its name; the id and the maker stay.
    let (status, again) = scene.upload(&token, "", sarif("my scanner", &[result("R1", "src/a.rs", 9)])).await;
    assert_eq!((status, &again["reports"][0]["report"]["uuid"]), (201, &report["uuid"]), "{again}");
    let listed = scene.send("reader", "GET", below, &Value::Null, 200).await;
    assert_eq!((&listed["size"], listed["values"][0]["external_id"] == first), (&json!(1), false));
    let (status, refused) = scene.upload(&scene.login("writer"), "", file.clone()).await;
    assert_eq!(status, 409, "{refused}");
    // Under a name of one's own, with a heading of one's own.
    let (status, own) = scene.upload(&scene.login("writer"), "?report=mine&title=My%20title", file).await;
    assert_eq!((status, &own["reports"][0]["report"]["title"]), (201, &json!("My title")), "{own}");
    let clean = sarif("Other", &[]);
    let (_, clean) = scene.upload(&scene.login("writer"), "", clean).await;
    assert_eq!(clean["reports"][0]["report"]["result"], "PASSED", "{clean}");
    let two = r#"{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "A"}}}, {"tool": {"driver": {"name": "B"}}}]}"#;
    let (_, two) = scene.upload(&scene.login("writer"), "?report=both", two).await;
    let names: Vec<_> =
        two["reports"].as_array().unwrap().iter().map(|one| &one["report"]["external_id"]).collect();
    assert_eq!(names, ["both-a", "both-b"]);
}

/// Attack: exhaust the server with one file, or bring it down by nesting.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_files_are_refused_or_cut() {
    let scene = Scene::new().await;
    let login = scene.login("writer");
    let head = r#"{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "a"}}, "results": ["#;
    let million = format!("{head}{}]}}]}}", vec!["{}"; 1_000_000].join(","));
    let (status, made) = scene.upload(&login, "?report=million", million).await;
    assert_eq!((status, &made["reports"][0]["left_out"]), (201, &json!(999_000)), "{made}");
    let listed =
        scene.send("reader", "GET", "reports/million/annotations?pagelen=1", &Value::Null, 200).await;
    assert_eq!(listed["size"], 1_000);

    let deep = format!("{}{}", "[".repeat(2_000_000), "]".repeat(2_000_000));
    let (status, _) = scene.upload(&login, "?report=deep", format!(r#"{head}]}}], "more": {deep}}}"#)).await;
    assert_eq!(status, 201);
    let nested = format!(r#"{head}{deep}]}}]}}"#);
    assert_eq!(scene.upload(&login, "", nested).await.0, 400);
    let padded = format!("{head}]}}]}}{}", " ".repeat(10 << 20));
    assert!(matches!(scene.upload(&login, "", padded).await.0, 413 | 0));
    for (file, reason) in [
        ("", "not SARIF"),
        ("{}", "2.1.0"),
        ("[[[[", "not SARIF"),
        (r#"{"version": "2.1.0", "runs": []}"#, "no runs"),
        (r#"{"version": "2.1.0", "runs": [{}]}"#, "name its tool"),
        (r#"{"version": "2.1.0", "runs": 5}"#, "expected an array"),
    ] {
        let (status, refused) = scene.upload(&login, "", file).await;
        let message = refused["error"]["message"].as_str().unwrap_or_default();
        assert!(status == 400 && message.contains(reason), "{status} {refused}");
    }
    let listed = scene.send("reader", "GET", "reports", &Value::Null, 200).await;
    assert_eq!(listed["size"], 2, "{listed}");
}

/// Would catch: a rule that whoever it binds can lift.
#[tokio::test(flavor = "multi_thread")]
async fn the_rule_of_a_workspace_is_its_owners() {
    let world = World::new().await;
    let (path, owner) = ("/api/workspaces/acme/code-scanning", world.password("owner"));
    let read = world.server.send("GET", path, &owner, &Value::Null).await.expect(200);
    assert_eq!(read, json!({ "fail_at": "none", "tools": [] }));
    let body = json!({ "fail_at": "high", "tools": ["Trivy", "trivy"] });
    for person in ["writer", "repoadmin", "projectadmin"] {
        let _ = world.server.send("PUT", path, &world.password(person), &body).await.expect(403);
        let _ = world.server.send("GET", path, &world.password(person), &Value::Null).await.expect(403);
    }
    let set = world.server.send("PUT", path, &owner, &body).await.expect(200);
    assert_eq!(set, json!({ "fail_at": "high", "tools": ["trivy"] }));
    for bad in [json!({}), json!({ "fail_at": "grave" }), json!({ "fail_at": "low", "more": 1 })] {
        let _ = world.server.send("PUT", path, &owner, &bad).await.expect(400);
    }
    let read = world.server.send("GET", path, &owner, &Value::Null).await.expect(200);
    assert_eq!(read, set);
    let events = world
        .server
        .administer("GET", "/api/audit/events?action=code-scanning.configure", &Value::Null)
        .await;
    let event = &events["values"][0];
    assert_eq!(
        (&event["before"]["fail_at"], &event["after"]["fail_at"]),
        (&json!("none"), &json!("high")),
        "{event}"
    );
}
