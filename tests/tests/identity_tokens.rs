//! Identity tokens: an issuer that anybody can verify by what it publishes, whose keys rotate and are revoked, and which
//! survives its workspace's renames. Verified by PyJWT, which knows nothing of Bastide.

#![cfg(test)]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use model::{Clock, Random, RequestId, Timestamp};
use pipeline::Reference;
use pipeline::identity::{Entity, IdentityFacts, TriggerKind};
use serde_json::{Value, json};
use service::{Caller, Service, Settings};
use testkit::{Login, Server, World};
use uuid::Uuid;

/// Not where the server listens: the issuer is what the operator says, not what a request does.
const BASE: &str = "https://git.example.org";
const TOKENS: &str = "/api/workspaces/acme/identity-tokens";
const OF_REPOSITORY: &str = "/api/repositories/acme/one/identity-tokens";
const NOBODYS: &str = "00000000-0000-4000-8000-000000000000";

struct Scene {
    world: World,
    workspace: Uuid,
    repository: Uuid,
}

fn oidc(workspace: &str) -> String {
    format!("/2.0/workspaces/{workspace}/pipelines-config/identity/oidc")
}

fn uuid(value: &Value) -> Uuid {
    value["uuid"].as_str().expect("a uuid").parse().expect("a uuid")
}

impl Scene {
    async fn new() -> Self {
        let world = World::on(Server::start_with(&["--base-url", BASE])).await;
        let reader = world.app_password("reader");
        let one =
            world.server.send("GET", "/2.0/repositories/acme/one", &reader, &Value::Null).await.expect(200);
        let (workspace, repository) = (uuid(&one["workspace"]), uuid(&one));
        Self { world, workspace, repository }
    }

    fn issuer(&self) -> String {
        format!("{BASE}{}", oidc(&self.workspace.to_string()))
    }

    /// A request of anybody's.
    async fn public(&self, workspace: &str, file: &str) -> testkit::Answer {
        let path = format!("{}/{file}", oidc(workspace));
        self.world.server.send("GET", &path, &Login::Nobody, &Value::Null).await
    }

    async fn owner(&self, method: &str, path: &str, body: Value) -> testkit::Answer {
        self.world.server.send(method, path, &self.world.password("owner"), &body).await
    }

    async fn published(&self) -> Vec<String> {
        let keys = self.public("acme", "keys.json").await.expect(200);
        let kid = |key: &Value| key["kid"].as_str().expect("an id").to_owned();
        keys["keys"].as_array().expect("keys").iter().map(kid).collect()
    }

    fn facts(&self) -> IdentityFacts {
        let entity = |uuid, name: &str| Entity { uuid, name: name.to_owned() };
        IdentityFacts {
            workspace: entity(self.workspace, "acme"),
            project: entity(Uuid::from_u128(1), "CORE"),
            repository: entity(self.repository, "one"),
            pipeline: Uuid::from_u128(2),
            build_number: 1,
            step: Uuid::from_u128(3),
            attempt: 1,
            environment: None,
            reference: Reference::Branch { name: "main".to_owned() },
            ref_protected: true,
            commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
            trigger: TriggerKind::Push,
            actor: None,
            runner: Uuid::from_u128(4),
        }
    }

    /// A token for an audience, made over the data of a server that has stopped, `ago` seconds ago.
    async fn mint(&self, audience: &str, ago: i64) -> String {
        let now = Clock::system().now();
        let clock = if ago == 0 { Clock::system() } else { Clock::manual(now.plus_seconds(-ago)) };
        mint(self.world.server.data(), clock, &self.facts(), audience).await
    }

    /// What PyJWT says of a token: its claims, or what is wrong with it.
    fn verified(&self, token: &str, issuer: &str, audience: &str) -> Result<Value, String> {
        let keys = format!("{}{}/keys.json", self.world.server.url, oidc("acme"));
        verify(token, &keys, issuer, audience)
    }
}

async fn mint(data: &Path, clock: Clock, facts: &IdentityFacts, audience: &str) -> String {
    let settings = Settings::new(data, BASE, "/bin/true");
    let random = Random::system();
    let service = Service::open(settings, clock, random.clone()).await.expect("the service opens");
    let minted = service.mint_identity_token(facts, &[audience.to_owned()], 600).await.expect("a token");
    let operator = Caller::operator(RequestId::new(&random));
    let minted = minted.record(&service, &operator).await.expect("a record");
    let token = minted.token.expose().to_owned();
    service.close().await.expect("the service closes");
    token
}

fn verify(token: &str, keys: &str, issuer: &str, audience: &str) -> Result<Value, String> {
    // Debian's, which has PyJWT by its package.
    let mut python = Command::new("/usr/bin/python3");
    python.args([concat!(env!("CARGO_MANIFEST_DIR"), "/identity/verify.py"), keys, issuer, audience]);
    let mut child = python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3 runs");
    child.stdin.take().expect("its input").write_all(token.as_bytes()).expect("the token is sent");
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match output.status.success() {
        true => Ok(serde_json::from_str(&said).expect("claims")),
        false => Err(said),
    }
}

/// Would catch: an issuer that follows the request's `Host`, or the workspace's name; a workspace that cannot be found by
/// one of its names; an answer that tells of workspaces that do not exist.
#[tokio::test(flavor = "multi_thread")]
async fn the_issuer_is_found_by_every_name_and_survives_a_rename() {
    let scene = Scene::new().await;
    let (issuer, id) = (scene.issuer(), scene.workspace.to_string());
    for name in ["acme", &id, &format!("%7B{id}%7D"), &id.to_uppercase()] {
        let answer = scene.public(name, ".well-known/openid-configuration").await;
        assert_eq!(answer.header("cache-control"), "public, max-age=300");
        let found = answer.expect(200);
        assert_eq!(found["issuer"], issuer, "{name}");
        assert_eq!(found["jwks_uri"], format!("{issuer}/keys.json"));
        assert_eq!(found["id_token_signing_alg_values_supported"], json!(["RS256", "ES256"]));
        let keys = scene.public(name, "keys.json").await;
        assert_eq!(keys.header("cache-control"), "public, max-age=300");
        assert_eq!(keys.expect(200), json!({ "keys": [] }));
    }
    for name in ["nobody", NOBODYS, "%7Bacme%7D"] {
        for file in [".well-known/openid-configuration", "keys.json"] {
            let _ = scene.public(name, file).await.expect(404);
        }
    }
    let _ = scene.owner("PUT", "/api/workspaces/acme", json!({ "slug": "acme-inc" })).await.expect(200);
    for name in ["acme", "acme-inc", &id] {
        let found = scene.public(name, ".well-known/openid-configuration").await.expect(200);
        assert_eq!(found["issuer"], issuer, "{name}");
    }
    // Somebody names a workspace after the id of another: the id is what it was.
    let taken = json!({ "slug": id, "name": "stand-in" });
    let outsider = scene.world.password("outsider");
    let _ = scene.world.server.send("POST", "/api/workspaces", &outsider, &taken).await;
    let found = scene.public(&id, ".well-known/openid-configuration").await.expect(200);
    assert_eq!(found["issuer"], issuer);
}

/// Would catch: somebody who changes what tokens say or whose keys sign them without administering the place; a template
/// by which repositories share a subject.
#[tokio::test(flavor = "multi_thread")]
async fn only_who_administers_a_place_says_what_its_tokens_are_like() {
    let scene = Scene::new().await;
    let server = &scene.world.server;
    for person in ["reader", "writer", "repoadmin", "outsider"] {
        let login = scene.world.password(person);
        for (method, path, body) in [
            ("GET", TOKENS.to_owned(), Value::Null),
            ("PUT", TOKENS.to_owned(), json!({})),
            ("POST", format!("{TOKENS}/keys"), json!({})),
            ("DELETE", format!("{TOKENS}/keys/any"), Value::Null),
            ("GET", "/api/workspaces/other/identity-tokens".to_owned(), Value::Null),
        ] {
            let answer = server.send(method, &path, &login, &body).await;
            assert!(
                matches!(answer.status.as_u16(), 403 | 404),
                "{person} {method} {path}: {}",
                answer.status
            );
        }
        let mine = server.send("GET", OF_REPOSITORY, &login, &Value::Null).await;
        assert_eq!(mine.status.is_success(), person == "repoadmin", "{person}: {}", mine.text);
    }
    assert!(scene.published().await.is_empty());

    let page = scene.owner("GET", TOKENS, Value::Null).await.expect(200);
    assert_eq!((&page["algorithm"], &page["subject_template"]), (&json!("RS256"), &Value::Null));
    assert_eq!(page["default_audience"], format!("ari:cloud:bitbucket::workspace/{}", scene.workspace));
    assert_eq!(page["warnings"], json!([]));
    let refused = scene.owner("PUT", TOKENS, json!({ "subject_template": "{repository}:{ref}" })).await;
    assert!(refused.text.contains("`{repository_uuid}`"), "{}", refused.text);
    let _ = refused.expect(400);
    let _ = scene.owner("PUT", TOKENS, json!({ "algorithm": "none" })).await.expect(400);
    let wanted = json!({ "algorithm": "ES256", "subject_template": "{repository_uuid}:{ref}" });
    let page = scene.owner("PUT", TOKENS, wanted).await.expect(200);
    assert_eq!(page["algorithm"], "ES256");

    let repoadmin = scene.world.password("repoadmin");
    let page = server.send("GET", OF_REPOSITORY, &repoadmin, &Value::Null).await.expect(200);
    let repository = format!("{{{}}}", scene.repository);
    assert_eq!(page["sample"]["sub"], format!("{repository}:refs/heads/main"));
    assert_eq!(page["sample"]["iss"], scene.issuer());
    let aws: Value = serde_json::from_str(page["trust"]["aws"].as_str().expect("a policy")).expect("JSON");
    let issuer = scene.issuer();
    let (_, provider) = issuer.split_once("://").expect("an address");
    let condition = &aws["Statement"][0]["Condition"];
    assert_eq!(condition["StringLike"][format!("{provider}:sub")], format!("{repository}:*"));
    let own = json!({ "subject_template": "{repository_uuid}:{environment_uuid}", "session_tags": true });
    let page = server.send("PUT", OF_REPOSITORY, &repoadmin, &own).await.expect(200);
    assert_eq!(page["own_subject_template"], own["subject_template"]);
    assert!(page["sample"]["https://aws.amazon.com/tags"]["principal_tags"].is_object());
}

/// Would catch: a key that is not published before it signs, or still is after it was revoked.
#[tokio::test(flavor = "multi_thread")]
async fn keys_are_rotated_and_revoked_by_those_who_administer_the_workspace() {
    let scene = Scene::new().await;
    let keys = format!("{TOKENS}/keys");
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path().to_str().expect("a path");
    let export = ["admin", "identity-tokens", "export", "--workspace", "acme", "--directory", directory];
    // An issuer without keys is nothing to publish.
    let _ = scene.world.server.command(&export).expect_failure();
    let first = scene.owner("POST", &keys, json!({})).await.expect(201);
    assert_eq!(first["state"], "signing");
    let second = scene.owner("POST", &keys, json!({})).await.expect(201);
    assert_eq!(second["state"], "waiting");
    let kid = |key: &Value| key["kid"].as_str().expect("an id").to_owned();
    let _ = scene.owner("POST", &keys, json!({})).await.expect(409);
    let _ = scene.owner("POST", &keys, json!({ "activates_after": -1 })).await.expect(400);
    let mut both = vec![kid(&first), kid(&second)];
    both.sort();
    let mut published = scene.published().await;
    published.sort();
    assert_eq!(published, both);
    let _ = scene.owner("DELETE", &format!("{keys}/{}", kid(&first)), Value::Null).await.expect(204);
    assert_eq!(scene.published().await, [kid(&second)]);
    let page = scene.owner("GET", TOKENS, Value::Null).await.expect(200);
    let states: Vec<&str> =
        page["keys"].as_array().unwrap().iter().map(|key| key["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["revoked", "signing"]);
    let _ = scene.owner("DELETE", &format!("{keys}/{}", kid(&first)), Value::Null).await.expect(404);

    let _ = scene.world.server.command(&export).expect_success();
    let below = folder.path().join(oidc(&scene.workspace.to_string()).trim_start_matches('/'));
    let read = |name: &str| -> Value {
        let text = std::fs::read_to_string(below.join(name)).expect("a file");
        serde_json::from_str(&text).expect("JSON")
    };
    assert_eq!(read("keys.json"), scene.public("acme", "keys.json").await.expect(200));
    assert_eq!(read(".well-known/openid-configuration")["issuer"], scene.issuer());
}

/// Would catch: a token that others do not verify, or that they verify for another audience, from another issuer, after
/// its end, or with another key's signature.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_verifies_tokens_by_what_is_published() {
    let mut scene = Scene::new().await;
    assert_eq!(scene.world.server.stop(), Some(0));
    let past = scene.mint("sts.amazonaws.com", 7_200).await;
    let token = scene.mint("sts.amazonaws.com", 0).await;
    let again = scene.mint("sts.amazonaws.com", 0).await;
    scene.world.server.restart();

    let (issuer, audience) = (scene.issuer(), "sts.amazonaws.com");
    let claims = scene.verified(&token, &issuer, audience).expect("a token that verifies");
    assert_eq!(claims["sub"], format!("{{{}}}:{{{}}}", scene.repository, Uuid::from_u128(3)));
    assert_eq!(claims["repositoryUuid"], format!("{{{}}}", scene.repository));
    assert_eq!((&claims["branchName"], &claims["ref_protected"]), (&json!("main"), &json!("true")));
    let now = Timestamp::seconds(Clock::system().now());
    assert!(claims["exp"].as_i64().expect("an end") <= now + 600);

    let wrong =
        |token: &str, issuer: &str, audience: &str| scene.verified(token, issuer, audience).unwrap_err();
    assert_eq!(wrong(&token, &issuer, "vault.example.org"), "InvalidAudienceError");
    let other = format!("{BASE}{}", oidc(NOBODYS));
    assert_eq!(wrong(&token, &other, audience), "InvalidIssuerError");
    assert_eq!(wrong(&past, &issuer, audience), "ExpiredSignatureError");
    let (signed, _) = token.rsplit_once('.').expect("a signature");
    let (_, signature) = again.rsplit_once('.').expect("a signature");
    assert_eq!(wrong(&format!("{signed}.{signature}"), &issuer, audience), "InvalidSignatureError");

    // Rotation: what was signed before is verified still, until its key is revoked.
    let old = scene.published().await.remove(0);
    let wanted = json!({ "algorithm": "ES256" });
    let _ = scene.owner("PUT", TOKENS, wanted).await.expect(200);
    let _ = scene.owner("POST", &format!("{TOKENS}/keys"), json!({ "activates_after": 0 })).await.expect(201);
    assert!(scene.verified(&token, &issuer, audience).is_ok());
    assert_eq!(scene.world.server.stop(), Some(0));
    let new = scene.mint(audience, 0).await;
    scene.world.server.restart();
    assert!(scene.verified(&new, &issuer, audience).is_ok(), "ES256 verifies as well");
    let _ = scene.owner("DELETE", &format!("{TOKENS}/keys/{old}"), Value::Null).await.expect(204);
    assert_eq!(scene.verified(&token, &issuer, audience).unwrap_err(), "PyJWKClientError");
    assert!(scene.verified(&new, &issuer, audience).is_ok());
}
