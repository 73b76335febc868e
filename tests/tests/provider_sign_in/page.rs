//! The page of a workspace's identity provider.
//!
//! Would catch: a secret that comes back in a page, a mistake that is told nowhere or far from its field, what was typed
//! that is lost, another owner's change that is overwritten unseen, a removal that does not say what stops.

use reqwest::{StatusCode, header};
use serde_json::json;
use testkit::world::PASSWORD;
use testkit::{Browser as Person, Form, Login, form};

use crate::scene::*;

const PAGE: &str = "/acme/workspace/settings/identity-provider";
const REMOVE: &str = "/acme/workspace/settings/identity-provider/remove";

fn with_row(mut form: Form, claim: &str, group: &str) -> Form {
    form.fields.push(("claim".to_owned(), claim.to_owned()));
    form.fields.push(("group".to_owned(), group.to_owned()));
    form
}

#[tokio::test]
async fn a_provider_is_shown_changed_and_told_what_is_wrong_beside_its_field() {
    let scene = Scene::new().await;
    let owner = Person::signed_in(scene.server(), "owner", PASSWORD).await;
    let shown = owner.page(PAGE).await;
    assert!(shown.contains("/callback</code>") && shown.contains(&scene.provider.issuer()), "{shown}");
    assert!(!shown.contains("of some length"), "a secret in a page");
    let as_it_is = form(&shown, PAGE);
    assert_eq!(as_it_is.get("client_secret"), Some(""));
    // Another name than the provider's own, nobody there, the server's own network: beside the field, with the rest kept.
    let slash = format!("{}/", scene.provider.issuer());
    for issuer in [slash.as_str(), "http://127.0.0.1:1", "https://169.254.169.254", ""] {
        let sent = as_it_is.clone().with("issuer", issuer).with("client_secret", "typed & kept nowhere");
        let wrong = owner.submit(sent).await;
        assert_eq!(wrong.status, StatusCode::BAD_REQUEST, "{issuer}: {}", wrong.text);
        assert!(wrong.text.contains("id=\"issuer-error\""), "{issuer}: {}", wrong.text);
        assert!(!wrong.text.contains("kept nowhere"), "{issuer}: a secret in a page");
        let again = form(&wrong.text, PAGE);
        assert_eq!((again.get("issuer"), again.get("client_id")), (Some(issuer), Some("bastide")));
        assert!(
            wrong.text.contains("id=\"client_secret-error\""),
            "it has to be typed again: {}",
            wrong.text
        );
        assert!(wrong.text.contains("value=\"dev\""), "the mapping is kept: {}", wrong.text);
    }
    let half = owner.submit(with_row(as_it_is.clone(), "night", "")).await;
    assert!(
        half.text.contains("choose the group here") && half.text.contains("value=\"night\""),
        "{}",
        half.text
    );
    let rows = owner.submit(with_row(as_it_is.clone(), "night", "friends").with("do", "rows")).await;
    assert!(rows.status.is_success() && rows.text.matches("name=\"claim\"").count() > 8, "{}", rows.text);
    // Without a secret the one that is there stays: signing in still works, and the new row holds.
    let saved = owner.submit(with_row(as_it_is.clone(), "night", "friends")).await;
    assert_eq!(saved.header("location"), PAGE, "{}", saved.text);
    scene.provider.lets_in(ann(&["night"])).await;
    assert!(Browser::new(scene.server()).open(scene.begin()).await.at.ends_with("/acme"));
    assert_eq!(scene.groups("friends").await, ["ann"]);
    // What another owner set meanwhile is not overwritten unseen.
    let stale = owner.submit(as_it_is.with("client_id", "another")).await;
    assert_eq!(stale.status, StatusCode::BAD_REQUEST, "{}", stale.text);
    assert!(stale.text.contains("Somebody changed the identity provider"), "{}", stale.text);
    assert_eq!(form(&stale.text, PAGE).get("client_id"), Some("another"), "what was typed is kept");
    let member = Person::signed_in(scene.server(), "member", PASSWORD).await;
    for page in [PAGE, REMOVE] {
        assert_eq!(member.get(page).await.status, StatusCode::FORBIDDEN, "{page}");
    }
}

#[tokio::test]
async fn removing_says_what_stops_and_a_guardrail_keeps_it() {
    let scene = Scene::new().await;
    scene.provider.lets_in(ann(&["dev"])).await;
    let mut browser = Browser::new(scene.server());
    let _ = browser.open(scene.begin()).await;
    let owner = Person::signed_in(scene.server(), "owner", PASSWORD).await;
    let question = owner.page(REMOVE).await;
    for told in ["1 account can no longer sign in by it", "1 session ends", "Groups follow it no more"] {
        assert!(question.contains(told), "{told}: {question}");
    }
    let sent = form(&question, REMOVE);
    let gone = owner.submit(sent).await;
    assert_eq!(gone.header("location"), PAGE, "{}", gone.text);
    assert!(browser.open("/account").await.at.contains("/sign-in"), "its session goes on");
    let empty = owner.page(PAGE).await;
    assert!(empty.contains("Save identity provider") && !empty.contains(&scene.provider.issuer()), "{empty}");
    assert_eq!(owner.get(REMOVE).await.status, StatusCode::NOT_FOUND);

    // Where it is the only way in, it stays: whoever came through it is told so before they ask.
    scene.set(json!({})).await.expect_ok();
    let _ = scene.connected("owner").await;
    let mut through = Browser::new(scene.server());
    let question = through.open(&format!("/-/sign-in/acme?next={REMOVE}")).await;
    let token = hidden(&question.text, REMOVE, "form_token");
    let path = "/api/workspaces/acme/guardrails";
    let Login::Basic(user, secret) = &scene.owner else { panic!("a password") };
    let put = scene.server().client().put(format!("{}{path}", scene.server().url));
    let put = put.basic_auth(user, Some(secret.expose())).header(header::IF_MATCH, "*");
    let body = json!({ "identity_provider": { "mode": "on" }, "confirm_lockout": true });
    let put = put.json(&body).send().await.unwrap();
    assert!(put.status().is_success(), "{}", put.text().await.unwrap());
    let kept = through.open(REMOVE).await;
    assert!(kept.text.contains("lets nobody in by other means"), "{kept:?}");
    assert!(!kept.text.contains(&token), "a button that does nothing: {}", kept.text);
    let (kept, _) = through.send(REMOVE, &format!("form_token={token}")).await;
    assert_eq!(kept.status, StatusCode::CONFLICT, "{}", kept.text);
    assert!(through.open(PAGE).await.text.contains("Closed by a"), "the settings tell of it");
}
