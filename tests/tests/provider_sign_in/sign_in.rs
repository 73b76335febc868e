//! Who comes in as whom, and what of an answer is believed.

use std::process::Command;

use reqwest::{StatusCode, header};
use serde_json::{Value, json};
use testkit::{Login, World};

use crate::scene::*;

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
    assert!(first.text.contains("Your account waits for an administrator"), "they are told why: {first:?}");
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

/// Would catch: what was typed is lost where it is the provider who says once more who it was; what was typed goes through
/// without the provider.
#[tokio::test]
async fn what_was_typed_is_kept_while_the_provider_is_asked() {
    const FORM: &str = "/account/api-tokens/new";
    let scene = Scene::new().await;
    scene.provider.lets_in(ann(&[])).await;
    let mut browser = Browser::new(scene.server());
    let _ = browser.open(scene.begin()).await;
    let home = browser.open("/").await;
    assert!(home.at.ends_with("/account") && home.text.contains("waits for an administrator"), "{home:?}");
    scene.approve("ann").await;
    let account = browser.open("/account").await;
    assert!(!account.text.contains("Change password"), "there is none: {}", account.text);
    let aged = Command::new("sqlite3")
        .arg(scene.server().data().join("bastide.db"))
        .args([".timeout 20000", "UPDATE session SET stepped_up_until = NULL"])
        .status()
        .expect("sqlite3 runs");
    assert!(aged.success());

    let form = browser.open(FORM).await.text;
    let token = hidden(&form, FORM, "form_token");
    let typed = "name=Nightly+%26+more&scope=write%3Arepository%3Abitbucket&scope=admin%3Arepository%3Abitbucket&do=create";
    let (asked, _) = browser.send(FORM, &format!("form_token={token}&{typed}")).await;
    assert!(asked.text.contains("Confirm at your provider"), "{}", asked.text);
    let (next, kept) = (
        hidden(&asked.text, "/step-up/confirmed", "next"),
        hidden(&asked.text, "/step-up/confirmed", "kept"),
    );
    assert_eq!(next, FORM);
    let fields = [("next", next), ("kept", kept.replace("&#38;", "&"))];
    let onward = reqwest::Url::parse_with_params("http://localhost/", &fields).unwrap();
    let onward = onward.query().unwrap();
    let (early, _) = browser.send("/step-up/confirmed", onward).await;
    assert_eq!(early.status, StatusCode::CONFLICT, "{}", early.text);
    assert!(early.text.contains("has not confirmed it yet"), "{}", early.text);

    let begin =
        asked.text.split("href=\"/-/sign-in/").nth(1).and_then(|rest| rest.split('"').next()).expect("a way");
    let confirmed = browser.open(&format!("/-/sign-in/{}", begin.replace("&#38;", "&"))).await;
    assert!(
        confirmed.at.ends_with("/step-up/confirmed") && confirmed.text.contains("Close this window"),
        "{confirmed:?}"
    );
    let (sent, _) = browser.send("/step-up/confirmed", onward).await;
    assert!(sent.text.contains("data-onward") && sent.text.contains("Nightly &#38; more"), "{}", sent.text);
    let fresh = hidden(&sent.text, FORM, "form_token");
    let (made, _) = browser.send(FORM, &format!("form_token={fresh}&{typed}")).await;
    assert!(made.status.is_success() && made.text.contains("Nightly &#38; more"), "{}", made.text);
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
