//! Roles at Amazon: saved only where they trust the workspace and nobody else, given only where a grant says so. Amazon is a
//! small token service of the test's own, which holds the external id against its roles and asks for a signature.

#![cfg(test)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};
use testkit::world::PASSWORD;
use testkit::{Browser, Server, World, form, forms, in_path};

const ROLES: &str = "/api/workspaces/acme/aws-roles";
const PLAN: &str = "/api/workspaces/acme/aws-role-plan";

/// What the token service knows: the external id that each role asks for, none where it asks for none.
type Roles = Arc<Mutex<HashMap<String, Option<String>>>>;
type Fields = HashMap<String, String>;

#[derive(Clone, Default)]
struct Sts {
    roles: Roles,
    asked: Arc<Mutex<Vec<Fields>>>,
}

fn refused(code: &str) -> (StatusCode, String) {
    let text = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>not authorized</Message></Error></ErrorResponse>"
    );
    (StatusCode::FORBIDDEN, text)
}

async fn answer(
    State(sts): State<Sts>,
    headers: HeaderMap,
    Form(fields): Form<Fields>,
) -> (StatusCode, String) {
    let signature = headers.get("authorization").and_then(|text| text.to_str().ok()).unwrap_or_default();
    if !signature.starts_with("AWS4-HMAC-SHA256 Credential=AKIATEST/") || !headers.contains_key("x-amz-date")
    {
        return refused("MissingAuthenticationToken");
    }
    let text = match fields.get("Action").map(String::as_str) {
        Some("GetCallerIdentity") => {
            "<GetCallerIdentityResponse><GetCallerIdentityResult>\
            <Arn>arn:aws:iam::999999999999:user/bastide</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>"
        }
        Some("AssumeRole") => {
            sts.asked.lock().unwrap().push(fields.clone());
            let roles = sts.roles.lock().unwrap();
            match roles.get(&fields["RoleArn"]) {
                Some(None) => {}
                Some(wanted) if wanted.as_ref() == fields.get("ExternalId") => {}
                _ => return refused("AccessDenied"),
            }
            "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIATEST</AccessKeyId>\
             <SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>\
             <Expiration>2030-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
        }
        _ => return refused("InvalidAction"),
    };
    (StatusCode::OK, text.to_owned())
}

async fn sts() -> (Sts, String) {
    let sts = Sts::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let app = Router::new().route("/", post(answer)).with_state(sts.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (sts, address)
}

async fn scene() -> (World, Sts) {
    let (sts, address) = sts().await;
    let identity = [("AWS_ACCESS_KEY_ID", "AKIATEST"), ("AWS_SECRET_ACCESS_KEY", "not-a-secret")];
    let flags = ["--aws-sts-endpoint", &address, "--base-url", "https://git.example.org"];
    (World::on(Server::start_with_environment(&flags, &identity)).await, sts)
}

async fn owner(world: &World, method: &str, path: &str, body: Value) -> testkit::Answer {
    world.server.send(method, path, &world.password("owner"), &body).await
}

fn arn(name: &str) -> String {
    format!("arn:aws:iam::123456789012:role/{name}")
}

fn wanted(name: &str) -> Value {
    json!({ "arn": arn(name), "mode": "assume-role", "grants": [{ "repository": "one", "ref": "main" }] })
}

/// Attack: a role that trusts the server without the external id is named by one workspace, and taken on by another.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_saved_only_where_the_external_id_opens_it() {
    let (world, sts) = scene().await;
    let plan = owner(&world, "POST", PLAN, wanted("right")).await.expect(200);
    let id = plan["external_id"].as_str().expect("an external id").to_owned();
    assert!(id.len() >= 22, "{id}");
    assert_eq!(plan["server"], "arn:aws:iam::999999999999:user/bastide");
    let policy: Value = serde_json::from_str(plan["setup"]["trust_policy"].as_str().unwrap()).expect("JSON");
    assert_eq!(policy["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"], id);
    assert_eq!(policy["Statement"][0]["Principal"]["AWS"], plan["server"]);

    let unknown = owner(&world, "POST", ROLES, wanted("right")).await;
    assert!(unknown.text.contains("was not given with the right external id"), "{}", unknown.text);
    let _ = unknown.expect(400);
    let _ = sts.roles.lock().unwrap().insert(arn("open"), None);
    let open = owner(&world, "POST", ROLES, wanted("open")).await;
    assert!(open.text.contains("was given without an external id"), "{}", open.text);
    let _ = open.expect(400);

    let _ = sts.roles.lock().unwrap().insert(arn("right"), Some(id.clone()));
    let saved = owner(&world, "POST", ROLES, wanted("right")).await.expect(201);
    assert_eq!(saved["external_id"], id);
    assert_eq!(saved["grants"][0]["ref"], "refs/heads/main");
    let asked = sts.asked.lock().unwrap().clone();
    let last = &asked[asked.len() - 3..];
    assert_eq!(last[0]["ExternalId"], id);
    assert_eq!(last[0]["Tags.member.1.Key"], "workspace");
    assert!(!last[1].contains_key("ExternalId") && last[2]["ExternalId"] != id);
    let _ = owner(&world, "POST", ROLES, wanted("right")).await.expect(409);

    // Nobody chooses the external id, and it outlives the role.
    let mut chosen = wanted("right");
    chosen["external_id"] = json!("mine");
    let _ = owner(&world, "POST", PLAN, chosen).await.expect(400);
    let path = format!("{ROLES}/{}", in_path(&saved["uuid"]));
    let _ = owner(&world, "DELETE", &path, Value::Null).await.expect(204);
    assert_eq!(owner(&world, "GET", ROLES, Value::Null).await.expect(200)["values"], json!([]));
    assert_eq!(owner(&world, "POST", PLAN, wanted("other")).await.expect(200)["external_id"], id);
    assert!(!world.server.whole_log().contains("not-a-secret"));

    let role = arn("bastide-deploy");
    let printed = world.server.command(&["aws", "setup", "--workspace", "acme", "--role", &role]);
    assert!(printed.expect_success().contains("sts:ExternalId"));
}

/// Would catch: a page that saves a role that anybody could have, or that does not say what is wrong with it; a grant that cannot be
/// taken away while Amazon is away.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_what_is_wrong_with_a_role() {
    const PAGE: &str = "/acme/workspace/settings/aws-roles";
    let (world, sts) = scene().await;
    let browser = Browser::signed_in(&world.server, "owner", PASSWORD).await;
    let typed =
        form(&browser.page(PAGE).await, PAGE).with("arn", &arn("by-page")).with("mode", "assume-role");
    let planned = browser.submit(typed.with("repository", "one").with("ref", "main")).await;
    assert!(planned.text.contains("arn:aws:iam::999999999999:user/bastide"), "{}", planned.text);
    let id = planned.text.split_once("id=\"external-id\">").unwrap().1.split('<').next().unwrap().to_owned();
    let save = form(&planned.text, PAGE);
    let refused = browser.submit(save.clone()).await;
    assert!(refused.text.contains("was not given with the right external id"), "{}", refused.text);
    let _ = sts.roles.lock().unwrap().insert(arn("by-page"), None);
    let open = browser.submit(form(&refused.text, PAGE)).await;
    assert_eq!(open.status.as_u16(), 400, "{}", open.text);
    assert!(open.text.contains("was given without an external id"), "{}", open.text);
    let _ = sts.roles.lock().unwrap().insert(arn("by-page"), Some(id));
    let saved = browser.submit(form(&open.text, PAGE)).await;
    assert_eq!(saved.status.as_u16(), 303, "{}", saved.text);
    let one = saved.header("location").to_owned();
    // The role trusts nobody any more: nobody is added to it, and whoever is there can be taken away.
    sts.roles.lock().unwrap().clear();
    let shown = browser.page(&one).await;
    let grant = form(&shown, &format!("{one}/grants")).with("repository", "*");
    let refused = browser.submit(grant).await;
    assert_eq!(refused.status.as_u16(), 400, "{}", refused.text);
    assert!(refused.text.contains("was not given with the right external id"), "{}", refused.text);
    let gone = forms(&shown).into_iter().find(|form| form.action.ends_with("/grants/remove")).unwrap();
    assert_eq!(browser.submit(gone).await.header("location"), one);
    assert!(browser.page(&one).await.contains("Nobody yet."));
}

/// Would catch: somebody who names roles without administering the workspace; grants of other workspaces' repositories; a
/// role that is not one.
#[tokio::test(flavor = "multi_thread")]
async fn only_who_administers_the_workspace_names_roles() {
    let (world, _sts) = scene().await;
    let web = json!({ "arn": arn("web"), "mode": "web-identity", "grants": [{ "repository": "one" }] });
    for person in ["reader", "writer", "repoadmin", "outsider"] {
        let login = world.password(person);
        for (method, path, body) in
            [("GET", ROLES, Value::Null), ("POST", ROLES, web.clone()), ("POST", PLAN, web.clone())]
        {
            let answer = world.server.send(method, path, &login, &body).await;
            assert!(
                matches!(answer.status.as_u16(), 403 | 404),
                "{person} {method} {path}: {}",
                answer.status
            );
        }
    }
    for (field, bad) in [
        ("arn", json!("arn:aws:iam::123456789012:user/x")),
        ("mode", json!("any")),
        ("region", json!("evil.example.com/")),
        ("longest_session", json!(60)),
        ("grants", json!([{ "repository": "nothing-here" }])),
        ("grants", json!([{ "repository": "one", "ref": "refs/pull-requests/*" }])),
        ("grants", json!([{}])),
    ] {
        let mut body = web.clone();
        body[field] = bad;
        let _ = owner(&world, "POST", ROLES, body).await.expect(400);
    }
    let saved = owner(&world, "POST", ROLES, web).await.expect(201);
    assert!(saved["proof"].as_str().unwrap().contains("cannot prove"));
    let policy: Value = serde_json::from_str(saved["setup"]["trust_policy"].as_str().unwrap()).expect("JSON");
    let statement = &policy["Statement"][0];
    assert!(statement["Principal"]["Federated"].as_str().unwrap().contains("oidc-provider/git.example.org/"));
    let equals = statement["Condition"]["StringEquals"].to_string();
    assert!(equals.contains("sts.amazonaws.com"), "{equals}");
}
