//! The token of a step, and others that are like it in all but one thing.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use model::{Clock, Random, RequestId};
use pipeline::Reference;
use pipeline::identity::{Entity, IdentityFacts, TriggerKind};
use serde_json::Value;
use service::{Caller, Service, Settings};
use uuid::Uuid;

use crate::amazon::{self, IMAGE, SERVICE};
use crate::scene::Scene;

/// For whom the step's token is.
pub(crate) const AUDIENCE: &str = "https://cloud.test";

/// Asks the service, and tells the token backwards.
const GREETED: &str = r#"
import os, time, urllib.request
for _ in range(100):
    try:
        print("the service answers", urllib.request.urlopen("http://127.0.0.1:5000/", timeout=5).status)
        break
    except OSError:
        time.sleep(0.1)
print(os.environ["BITBUCKET_STEP_OIDC_TOKEN"].replace(".", " ")[::-1])
"#;

pub(crate) struct Tokens {
    /// As a step had it in its environment.
    pub(crate) step: String,
    /// The same said once more, under the same key id, by another key.
    pub(crate) forged: String,
    /// Signed by the workspace's own key, and over for an hour.
    pub(crate) expired: String,
    /// Of another workspace, by that one's own key.
    pub(crate) elsewhere: String,
}

/// Debian's Python, which has PyJWT by its package, with a script of the tests and a file of certificates that it trusts.
fn python(script: &str, words: &[&str], trusted: &Path, input: &str) -> Result<String, String> {
    let mut python = Command::new("/usr/bin/python3");
    python.arg(format!("{}/{script}", env!("CARGO_MANIFEST_DIR"))).args(words).env("SSL_CERT_FILE", trusted);
    python.env_remove("SSL_CERT_DIR").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = python.spawn().expect("python3 runs: Debian's packages python3 and python3-jwt");
    child.stdin.take().expect("an input").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8(output.stdout).expect("a text").trim().to_owned();
    if output.status.success() { Ok(said) } else { Err(said) }
}

/// What PyJWT says of a token, by what is published at an address: its claims, or what is wrong.
pub(crate) fn verified(
    published: &str,
    issuer: &str,
    audience: &str,
    trusted: &Path,
    token: &str,
) -> Result<Value, String> {
    let told = python("identity/verify.py", &[published, issuer, audience], trusted, token)?;
    Ok(serde_json::from_str(&told).expect("claims"))
}

impl Tokens {
    /// Runs a step for its token, in an image, with a service and a cache. The others are made over the data of the server while it is stopped; the expired one is
    /// the first of all, so that the key that signed it is the one that signs the step's.
    pub(crate) async fn new(scene: &mut Scene) -> Self {
        let (acme, other) = (workspace(scene, "acme").await, workspace(scene, "other").await);
        assert_eq!(scene.world.server.stop(), Some(0));
        let past = Clock::system().now().plus_seconds(-7_200);
        let data = scene.world.server.data().to_owned();
        let expired = mint(&data, &scene.base, Clock::manual(past), &acme).await;
        let elsewhere = mint(&data, &scene.base, Clock::system(), &other).await;
        scene.world.server.restart();
        let folder = tempfile::tempdir().expect("a folder");
        amazon::image(folder.path());
        let _agent = scene.agent(&[]).await;
        let configuration = format!(
            concat!(
                "image: {}\ndefinitions:\n  caches: {{tools: tools}}\n  services:\n    greeter: {{image: '{}'}}\npipelines:\n  default:\n",
                "    - step:\n        services: [greeter]\n        caches: [tools]\n        oidc: {{audiences: [https://cloud.test]}}\n        script:\n",
                "          - test -f tools/made && echo \"cache found\" || echo \"cache empty\"\n",
                "          - mkdir -p tools && echo yes > tools/made\n          - /usr/bin/python3 greeted.py\n",
            ),
            IMAGE, SERVICE
        );
        let files = [("greeted.py", GREETED)];
        let mut logs = Vec::new();
        for (branch, said) in [("first", "cache empty"), ("main", "cache found")] {
            let (run, told) = scene.run("one", branch, &configuration, &files).await;
            assert_eq!(run["state"]["result"]["name"], "SUCCESSFUL", "{}", told[0]);
            assert!(told[0].contains(&format!("\n{said}\n")), "{said}: {}", told[0]);
            assert!(told[0].contains("\nthe service answers 200\n"), "{}", told[0]);
            logs = told;
        }
        // Backwards: that is how it gets past what hides secrets in logs.
        let line = logs[0].lines().find(|line| line.len() > 400 && line.split(' ').count() == 3);
        let parts = line.expect(&logs[0]).split(' ').rev();
        let step = parts.map(|part| part.chars().rev().collect()).collect::<Vec<String>>().join(".");
        let forged = python("identity/forge.py", &[], &scene.trusted, &step).expect("a forged token");
        Self { step, forged, expired, elsewhere }
    }
}

/// A workspace's name and id.
async fn workspace(scene: &Scene, name: &str) -> Entity {
    let path = format!("/2.0/workspaces/{name}");
    let found = scene.send("GET", &path, Value::Null).await.expect(200);
    Entity { uuid: found["uuid"].as_str().expect("an id").parse().expect("an id"), name: name.to_owned() }
}

async fn open(data: &Path, base: &str, clock: Clock) -> Service {
    let settings = Settings::new(data, base, "/bin/true");
    Service::open(settings, clock, Random::system()).await.expect("the service opens")
}

async fn mint(data: &Path, base: &str, clock: Clock, workspace: &Entity) -> String {
    let entity = |number, name: &str| Entity { uuid: Uuid::from_u128(number), name: name.to_owned() };
    let facts = IdentityFacts {
        workspace: workspace.clone(),
        project: entity(1, "CORE"),
        repository: entity(2, "one"),
        pipeline: Uuid::from_u128(3),
        build_number: 1,
        step: Uuid::from_u128(4),
        attempt: 1,
        environment: None,
        reference: Reference::Branch { name: "main".to_owned() },
        ref_protected: false,
        commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        trigger: TriggerKind::Push,
        actor: None,
        runner: Uuid::from_u128(5),
    };
    let service = open(data, base, clock).await;
    let minted = service.mint_identity_token(&facts, &[AUDIENCE.to_owned()], 3_600).await.expect("a token");
    let operator = Caller::operator(RequestId::new(&Random::system()));
    let minted = minted.record(&service, &operator).await.expect("a record");
    let token = minted.token.expose().to_owned();
    service.close().await.expect("the service closes");
    token
}
