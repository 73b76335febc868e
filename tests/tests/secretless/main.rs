//! Without a secret that is kept: what a step proves about itself, to strangers who were told nothing but whom to trust.
//! PyJWT and Apache believe its token by what the issuer publishes over TLS; Amazon's own SDK, in steps and in pipes, gets at
//! moto through a token service that asks trust policies. Seen to fail where that lets everybody in, or does not look at `sub`, and
//! where PyJWT looks at no signature.

#![cfg(test)]

mod amazon;
mod apache;
mod bucket;
mod registry;
mod scene;
mod token;

use amazon::{Amazon, IMAGE};
use apache::{Apache, Place};
use registry::Registry;
use scene::Scene;
use serde_json::{Value, json};
use token::{AUDIENCE, Tokens, verified};

/// Would catch: a token that needs more than the published address to be believed, or that is believed by whom it is not
/// for, by another issuer's, after its end, or whoever signed it; keys that are taken from a server that nobody vouches for.
#[tokio::test(flavor = "multi_thread")]
async fn a_verifier_takes_a_steps_token_over_tls_and_no_other() {
    let mut scene = Scene::new(&[], &[]).await;
    let tokens = Tokens::new(&mut scene).await;
    let (issuer, other) = (scene.issuer("acme").await, scene.issuer("other").await);
    let published = format!("{issuer}/.well-known/openid-configuration");
    let trusted = scene.trusted.clone();
    let claims = verified(&published, &issuer, AUDIENCE, &trusted, &tokens.step).expect("it verifies");
    assert_eq!(claims["repository"], "acme/one", "{claims}");
    let wrong = |issuer: &str, audience: &str, token: &str| {
        let keys = published.replace(".well-known/openid-configuration", "keys.json");
        verified(&keys, issuer, audience, &trusted, token).unwrap_err()
    };
    assert_eq!(wrong(&issuer, "https://other.test", &tokens.step), "InvalidAudienceError");
    assert_eq!(wrong(&other, AUDIENCE, &tokens.step), "InvalidIssuerError");
    assert_eq!(wrong(&issuer, AUDIENCE, &tokens.expired), "ExpiredSignatureError");
    assert_eq!(wrong(&issuer, AUDIENCE, &tokens.forged), "InvalidSignatureError");
    assert_eq!(wrong(&issuer, AUDIENCE, &tokens.elsewhere), "PyJWKClientError");
    // That one is a token, where it belongs.
    let there = format!("{other}/.well-known/openid-configuration");
    assert!(verified(&there, &other, AUDIENCE, &trusted, &tokens.elsewhere).is_ok());
    let stranger = scene::authority(scene.folder.path(), "stranger");
    let untrusted = verified(&published, &issuer, AUDIENCE, &stranger, &tokens.step);
    assert_eq!(untrusted, Err("URLError".to_owned()));
}

/// Would catch: a token that one library takes and another does not.
#[tokio::test(flavor = "multi_thread")]
async fn apache_lets_a_step_in_by_its_token() {
    let mut scene = Scene::new(&[], &[]).await;
    let tokens = Tokens::new(&mut scene).await;
    let (issuer, other) = (scene.issuer("acme").await, scene.issuer("other").await);
    let keys = format!("{issuer}/keys.json");
    let places = [
        Place { name: "right", issuer: &issuer, audience: AUDIENCE },
        Place { name: "audience", issuer: &issuer, audience: "https://other.test" },
        Place { name: "issuer", issuer: &other, audience: AUDIENCE },
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let public = folder.path().join("authority.pem");
    let _ = std::fs::copy(&scene.trusted, &public).expect("a copy");
    let apache = Apache::start(folder.path(), &keys, &public, &places);
    assert_eq!(apache.answer("right", Some(&tokens.step)).await, 200);
    for (place, token) in [
        ("audience", Some(&tokens.step)),
        ("issuer", Some(&tokens.step)),
        ("right", Some(&tokens.expired)),
        ("right", Some(&tokens.forged)),
        ("right", Some(&tokens.elsewhere)),
        ("issuer", Some(&tokens.elsewhere)),
        ("right", None),
    ] {
        let status = apache.answer(place, token.map(String::as_str)).await;
        assert!(matches!(status, 401 | 403), "{place} {token:?}: {status}");
    }
    // It is the keys that let the step in: from a server that nobody vouches for there are none.
    let folder = tempfile::tempdir().expect("a folder");
    let stranger = scene::authority(folder.path(), "stranger");
    let apache = Apache::start(folder.path(), &keys, &stranger, &places);
    assert_eq!(apache.answer("right", Some(&tokens.step)).await, 401);
}

const ROLES: &str = "/api/workspaces/acme/aws-roles";
const WEB: &str = "arn:aws:iam::123456789012:role/by-token";
const SERVED: &str = "arn:aws:iam::123456789012:role/by-server";
const USER: &str = "arn:aws:iam::999999999999:user/bastide";
const CLOUD: &str = include_str!("../../secretless/cloud.py");

/// A step that gives a token of its own to the SDK, as a script can.
fn by_hand(region: &str, run: &str) -> String {
    format!(
        "    - step:\n        runs-on: linux.shell\n        oidc: {{audiences: [sts.amazonaws.com]}}\n        script:\n          \
         - export AWS_ROLE_ARN={WEB} AWS_WEB_IDENTITY_TOKEN_FILE=$BITBUCKET_STEP_OIDC_TOKEN_FILE AWS_REGION={region} \
         AWS_DEFAULT_REGION={region}\n          - {run}\n"
    )
}

/// The account at Amazon, with two roles that trust what Bastide says they should.
async fn roles(scene: &Scene, amazon: &Amazon) -> String {
    let tags = json!({ "session_tags": true });
    let _ = scene.send("PUT", "/api/workspaces/acme/identity-tokens", tags).await.expect(200);
    let wanted = |arn: &str, mode: &str| {
        json!({
            "arn": arn, "mode": mode, "region": "eu-central-1",
            "grants": [{ "repository": "one", "ref": "main" }, { "repository": "one", "ref": "kept-*" }],
        })
    };
    let policy = |role: &Value| -> Value {
        let text = role["setup"]["trust_policy"].as_str().expect("a policy");
        serde_json::from_str(text).expect("JSON")
    };
    let mut account = json!({
        "users": { "AKIATEST": { "secret": "not-a-secret", "arn": USER } },
        "providers": { scene.issuer("acme").await: ["sts.amazonaws.com"] },
    });
    amazon.holds(&account).await;
    let web = scene.send("POST", ROLES, wanted(WEB, "web-identity")).await.expect(201);
    let plan = "/api/workspaces/acme/aws-role-plan";
    let served = scene.send("POST", plan, wanted(SERVED, "assume-role")).await.expect(200);
    account["roles"] = json!({ WEB: policy(&web), SERVED: policy(&served) });
    amazon.holds(&account).await;
    let _ = scene.send("POST", ROLES, wanted(SERVED, "assume-role")).await.expect(201);
    // Saved for a trust policy that refuses who comes without the external id, or with another.
    let external = served["external_id"].as_str().expect("an external id").to_owned();
    let asked = amazon.log().await;
    let told: Vec<_> = asked.iter().map(|one| (&one["result"], one["external_id"] == external)).collect();
    let (given, denied) = (json!("given"), json!("AccessDenied"));
    assert_eq!(told, [(&given, true), (&denied, false), (&denied, false)]);
    assert!(asked[1]["external_id"].is_null() && asked[2]["external_id"].is_string());
    external
}

/// Would catch: variables that Amazon's SDK does not take as they are, in a step, a pipe, or an image; credentials of the
/// server's in a step; a trust policy of Bastide's that lets nobody in, or a step of another branch or repository.
#[tokio::test(flavor = "multi_thread")]
async fn steps_and_pipes_get_at_amazon_without_a_key() {
    let folder = tempfile::tempdir().expect("a folder");
    amazon::image(folder.path());
    let tools = amazon::packages();
    let settings = folder.path().join("bastide.toml");
    // The pipe's version becomes the image's.
    let (image, version) = IMAGE.split_once(':').expect("a version");
    std::fs::write(&settings, format!("[pipes]\n\"acme/deploy\" = \"{image}\"\n")).expect("a file");
    // The authority is the scene's, which needs Amazon's address: Amazon is told of it when both are there.
    let authorities = folder.path().join("authorities.pem");
    let amazon = Amazon::start(&authorities);
    let (here, there) = (
        format!("http://127.0.0.1:{}", amazon.port),
        format!("http://host.containers.internal:{}", amazon.port),
    );
    let flags = [
        "--aws-sts-endpoint",
        &here,
        "--aws-ecr-endpoint",
        &here,
        "--config",
        settings.to_str().expect("a path"),
    ];
    let identity = [("AWS_ACCESS_KEY_ID", "AKIATEST"), ("AWS_SECRET_ACCESS_KEY", "not-a-secret")];
    let scene = Scene::new(&flags, &identity).await;
    let _ = std::fs::copy(&scene.trusted, &authorities).expect("a copy");
    let external = roles(&scene, &amazon).await;
    let _agent = scene.agent(&["--expose", tools.to_str().expect("a path")]).await;

    let run =
        |bucket: &str| format!("AWS_ENDPOINT_URL={here} {}/bin/python cloud.py {bucket}", tools.display());
    let shell = |role: &str, bucket: &str| {
        format!(
            "    - step:\n        runs-on: linux.shell\n        aws: {{role: '{role}'}}\n        script:\n          \
             - env\n          - {}\n",
            run(bucket)
        )
    };
    let pipe = |role: &str, place: &str, pipe: &str, bucket: &str| {
        format!(
            "    - step:\n        {place}\n        aws: {{role: '{role}'}}\n        script:\n          \
             - pipe: {pipe}\n            variables: {{BUCKET: {bucket}, AWS_ENDPOINT_URL: '{there}'}}\n"
        )
    };
    let configuration = [
        "pipelines:\n  default:\n",
        &shell(WEB, "by-token"),
        &shell(SERVED, "by-server"),
        &pipe(WEB, "runs-on: linux.shell", &format!("docker://{IMAGE}"), "by-pipe"),
        &pipe(WEB, &format!("image: {IMAGE}"), &format!("acme/deploy:{version}"), "by-table"),
        &pipe(SERVED, "runs-on: linux.shell", &format!("docker://{IMAGE}"), "served-pipe"),
        &pipe(SERVED, &format!("image: {IMAGE}"), &format!("acme/deploy:{version}"), "served-table"),
        &by_hand("eu-central-1", &run("by-hand")),
        // As Bitbucket's own pipes for Amazon are told their role, beside the step's token.
        &format!(
            "    - step:\n        runs-on: linux.shell\n        oidc: {{audiences: [sts.amazonaws.com]}}\n        script:\n          \
             - pipe: docker://{IMAGE}\n            variables: {{BUCKET: by-variable, AWS_ENDPOINT_URL: '{there}', \
             AWS_DEFAULT_REGION: eu-central-1, AWS_OIDC_ROLE_ARN: '{WEB}'}}\n"
        ),
    ]
    .concat();
    let files = [("cloud.py", CLOUD)];
    let (result, logs) = scene.run("one", "main", &configuration, &files).await;
    let all = logs.join("\n----\n");
    assert_eq!(result["state"]["result"]["name"], "SUCCESSFUL", "{all}");
    let token = "AWS_DEFAULT_REGION AWS_ENDPOINT_URL AWS_REGION AWS_ROLE_ARN AWS_ROLE_SESSION_NAME \
                 AWS_WEB_IDENTITY_TOKEN_FILE\nby assume-role-with-web-identity\n\
                 who arn:aws:sts::123456789012:assumed-role/by-token/acme.one.1.";
    let session = "AWS_CONTAINER_AUTHORIZATION_TOKEN AWS_CONTAINER_CREDENTIALS_FULL_URI AWS_DEFAULT_REGION \
                   AWS_ENDPOINT_URL AWS_REGION\nby container-role\n\
                   who arn:aws:sts::123456789012:assumed-role/by-server/acme.one.1.";
    let fixed = "AWS_ACCESS_KEY_ID AWS_DEFAULT_REGION AWS_ENDPOINT_URL AWS_REGION AWS_SECRET_ACCESS_KEY \
                 AWS_SESSION_TOKEN\nby env\nwho arn:aws:sts::123456789012:assumed-role/by-server/acme.one.1.";
    let variable = "AWS_DEFAULT_REGION AWS_ENDPOINT_URL AWS_OIDC_ROLE_ARN AWS_ROLE_ARN AWS_WEB_IDENTITY_TOKEN_FILE\n\
                    by assume-role-with-web-identity\nwho arn:aws:sts::123456789012:assumed-role/by-token/";
    for (log, bucket, said) in [
        (0, "by-token", token),
        (1, "by-server", session),
        (2, "by-pipe", token),
        (3, "by-table", token),
        (4, "served-pipe", fixed),
        (5, "served-table", session),
        (6, "by-hand", "assumed-role/by-token/"),
        (7, "by-variable", variable),
    ] {
        assert!(logs[log].contains(said), "{bucket}: {said}\n{}", logs[log]);
        assert!(logs[log].contains(&format!("\nread hello from {bucket}\n")), "{}", logs[log]);
    }
    for kept in ["AKIATEST", "not-a-secret", external.as_str()] {
        assert!(!all.contains(kept), "{kept} is the server's: {all}");
    }
    refreshed(&scene, &amazon, &format!("AWS_ENDPOINT_URL={here} {}/bin/python refresh.py", tools.display()))
        .await;
    images(&scene, &amazon).await;
    refused(&scene, &amazon, &by_hand("eu-central-1", &run("by-nobody"))).await;
}

/// Would catch: a password that the registry does not get as it was set, that is shown where it is wrong; a service's image that
/// is fetched without it.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_fetched_with_a_name_and_a_password() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = Registry::start(folder.path(), "builder:pass-of-the-registry");
    let scene = Scene::new(&[], &[]).await;
    let _agent =
        scene.agent_within(&[], &[("CONTAINERS_REGISTRIES_CONF", registry.configuration.as_path())]).await;
    let variables = "/2.0/workspaces/acme/pipelines-config/variables";
    for (key, value) in [("RIGHT", "pass-of-the-registry"), ("WRONG", "another-password")] {
        let secured = json!({ "key": key, "value": value, "secured": true });
        let _ = scene.send("POST", variables, secured).await.expect(201);
    }
    for (name, password) in [("wrong", "WRONG"), ("right", "RIGHT")] {
        let image = |name: &str| {
            format!("{{name: '{}/{name}:1', username: builder, password: ${password}}}", registry.host)
        };
        let configuration = format!(
            "definitions:\n  services:\n    db: {{image: {}}}\npipelines:\n  default:\n    - step:\n        image: {}\n        \
             services: [db]\n        script: [echo in the image]\n",
            image(&format!("{name}-db")),
            image(name)
        );
        let (result, logs) = scene.run("one", name, &configuration, &[]).await;
        let passed = result["state"]["result"]["name"] == "SUCCESSFUL";
        assert_eq!(passed, name == "right", "{}", logs[0]);
        assert_eq!(logs[0].contains("\nin the image\n"), passed, "{}", logs[0]);
        let refused = logs[0].contains("unauthorized") || logs[0].contains("authentication required");
        assert_eq!(refused, !passed, "{}", logs[0]);
        assert!(!logs[0].contains("another-password") && !logs[0].contains("pass-of"), "{}", logs[0]);
    }
}

/// A step that outlives its credentials, and does nothing about it but to use Amazon's SDK.
async fn refreshed(scene: &Scene, amazon: &Amazon, run: &str) {
    let lifetimes = |lives: Value| async move { amazon.holds(&json!({ "lifetimes": lives })).await };
    lifetimes(json!({ SERVED: 6 })).await;
    let before = amazon.log().await.len();
    let configuration = format!(
        "pipelines:\n  default:\n    - step:\n        runs-on: linux.shell\n        aws: {{role: '{SERVED}'}}\n        \
         script: ['{run}']\n"
    );
    let files = [("refresh.py", include_str!("../../secretless/refresh.py"))];
    let (result, logs) = scene.run("one", "kept-long", &configuration, &files).await;
    assert_eq!(result["state"]["result"]["name"], "SUCCESSFUL", "{}", logs.join("\n"));
    let said = "by container-role\nchanged True\nwho arn:aws:sts::123456789012:assumed-role/by-server/";
    assert!(logs[0].contains(said), "{}", logs[0]);
    let asked = amazon.log().await.split_off(before);
    assert!(asked.len() >= 2 && asked.iter().all(|one| one["result"] == "given"), "{asked:?}");
    lifetimes(json!({})).await;
}

/// Images of Amazon's registry, which is not here: that the step asks for its password as who it should be is seen.
async fn images(scene: &Scene, amazon: &Amazon) {
    const IMAGE: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/deploy:1";
    let key = "{access-key: AKIATEST, secret-key: $ECR_KEY}";
    let variables = "/2.0/workspaces/acme/pipelines-config/variables";
    let secured = json!({ "key": "ECR_KEY", "value": "not-a-secret", "secured": true });
    let _ = scene.send("POST", variables, secured).await.expect(201);
    for (branch, access, asked, session) in [
        (
            "kept-by-role",
            format!("{{oidc-role: '{WEB}'}}"),
            &["AssumeRoleWithWebIdentity", "GetAuthorizationToken"][..],
            true,
        ),
        ("kept-by-key", key.to_owned(), &["GetAuthorizationToken"], false),
        ("other-image", format!("{{oidc-role: '{WEB}'}}"), &["AssumeRoleWithWebIdentity"], false),
    ] {
        let before = amazon.log().await.len();
        let configuration = format!(
            "pipelines:\n  default:\n    - step:\n        image: {{name: '{IMAGE}', aws: {access}}}\n        script: [env]\n"
        );
        let (result, logs) = scene.run("one", branch, &configuration, &[]).await;
        assert_ne!(result["state"]["result"]["name"], "SUCCESSFUL", "{}", logs.join("\n"));
        let told = amazon.log().await.split_off(before);
        let actions: Vec<_> = told.iter().map(|one| one["action"].as_str().unwrap_or_default()).collect();
        assert_eq!(actions, asked, "{told:?} {}", logs[0]);
        assert_eq!(told.last().is_some_and(|one| one["session"] == true), session, "{told:?}");
        assert!(!logs[0].contains("not-a-secret"), "{}", logs[0]);
    }
}

/// The same step on another branch, and in another repository; and a step that names the role where no grant lets it.
async fn refused(scene: &Scene, amazon: &Amazon, by_hand: &str) {
    let files = [("cloud.py", CLOUD)];
    let configuration = format!("pipelines:\n  default:\n{by_hand}");
    for (repository, branch) in [("one", "side"), ("two", "main")] {
        let (_, logs) = scene.run(repository, branch, &configuration, &files).await;
        assert!(logs[0].contains("\nrefused AccessDenied\n"), "{repository} {branch}: {}", logs[0]);
        assert!(!logs[0].contains("\nwho "), "{}", logs[0]);
        let asked = amazon.log().await;
        let last = asked.last().expect("it was asked");
        assert_eq!((&last["role"], &last["result"]), (&json!(WEB), &json!("AccessDenied")), "{last}");
        assert!(last["sub"].is_string(), "it was the trust policy that refused a good token: {last}");
    }
    let before = amazon.log().await.len();
    let configuration = format!(
        "pipelines:\n  default:\n    - step:\n        runs-on: linux.shell\n        aws: {{role: '{SERVED}'}}\n        script: [env]\n"
    );
    let (result, logs) = scene.run("one", "other", &configuration, &files).await;
    assert_ne!(result["state"]["result"]["name"], "SUCCESSFUL", "{result} {}", logs.join("\n"));
    assert_eq!(amazon.log().await.len(), before, "the server asks for nothing that no grant allows");
}
