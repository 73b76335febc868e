//! The identities that are connected with an account: listed and disconnected by its owner.
//!
//! Would catch: an identity that still signs in after it was disconnected, a session of its provider that goes on, somebody
//! else's identity that is disconnected, an account that nothing signs in to any more.

use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::form;

use crate::scene::*;

const IDENTITIES: &str = "/api/user/identities";
const FORM: &str = "/account/identities";

#[tokio::test]
async fn an_identity_is_disconnected_with_the_sessions_of_its_provider() {
    let scene = Scene::new().await;
    let mut by_password = scene.connected("reader").await;
    let mut by_provider = Browser::new(scene.server());
    assert!(by_provider.open(scene.begin()).await.status.is_success());
    let own = scene.world.password("reader");
    let list = scene.server().send("GET", IDENTITIES, &own, &Value::Null).await.expect(200);
    let one = &list["values"][0];
    assert_eq!((list["size"].as_i64(), one["subject"].as_str()), (Some(1), Some("reader-at-work")), "{list}");
    assert_eq!((one["workspace"].as_str(), &one["issuer"]), (Some("acme"), &json!(scene.provider.issuer())));
    let path = format!("{IDENTITIES}/{}", one["id"].as_str().unwrap());

    // Attack: the id follows from what others may know, and is sent in another's name.
    let theirs = scene.server().send("DELETE", &path, &scene.world.password("writer"), &Value::Null).await;
    assert_eq!(theirs.status, StatusCode::NOT_FOUND, "{}", theirs.text);
    let narrow = scene.world.mint(&own, "/api/user/api-tokens", &["read:user:bitbucket"]).await;
    let narrow = testkit::Login::Basic("reader@example.com".to_owned(), narrow);
    for (method, path) in [("GET", IDENTITIES), ("DELETE", path.as_str())] {
        let refused = scene.server().send(method, path, &narrow, &Value::Null).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "without the scope: {}", refused.text);
    }
    assert!(by_provider.open("/acme").await.status.is_success(), "nothing has ended yet");

    let page = by_password.open("/account").await;
    assert!(
        page.text.contains("reader-at-work") && page.text.contains(&scene.provider.issuer()),
        "{}",
        page.text
    );
    let form = form(&page.text, FORM);
    let sent =
        format!("form_token={}&identity={}", form.get("form_token").unwrap(), form.get("identity").unwrap());
    let (done, leads) = by_password.send(FORM, &sent).await;
    assert!(leads.is_some_and(|to| to.contains("/account?done=identity")), "{}", done.text);
    assert!(!by_provider.open("/acme").await.status.is_success(), "the provider's session goes on");
    assert!(by_password.open("/acme").await.status.is_success(), "the other one stays");
    let seen = Browser::new(scene.server()).open(scene.begin()).await;
    assert!(!seen.status.is_success(), "it still signs in: {seen:?}");
    let again = scene.server().send("DELETE", &path, &own, &Value::Null).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
    let trail = "/api/audit/events?action=identity.disconnect&outcome=done";
    let trail = scene.server().administer("GET", trail, &Value::Null).await.to_string();
    assert!(trail.contains("\"sessions_ended\":1") && trail.contains("user:reader"), "{trail}");
}

/// Attack, on oneself: the only way in is taken away, and nobody gets in any more.
#[tokio::test]
async fn the_last_way_in_stays() {
    let scene = Scene::new().await;
    scene.provider.lets_in(ann(&[])).await;
    let mut browser = Browser::new(scene.server());
    let page = browser.open("/-/sign-in/acme?next=/account").await;
    let form = form(&page.text, FORM);
    assert!(page.text.contains("this one too"), "it is told what ends: {}", page.text);
    let sent =
        format!("form_token={}&identity={}", form.get("form_token").unwrap(), form.get("identity").unwrap());
    let (kept, _) = browser.send(FORM, &sent).await;
    assert_eq!(kept.status, StatusCode::CONFLICT, "{}", kept.text);
    assert!(kept.text.contains("Nothing else signs in to this account"), "{}", kept.text);
    // With a password it is not the only one any more.
    let password = json!({ "password": "a parliament of rooks" });
    let _ = scene.server().administer("PUT", "/api/users/ann", &password).await;
    let page = browser.open("/-/sign-in/acme?next=/account").await;
    let token = hidden(&page.text, FORM, "form_token");
    let (_, leads) =
        browser.send(FORM, &format!("form_token={token}&identity={}", form.get("identity").unwrap())).await;
    assert!(leads.is_some_and(|to| to.contains("/account")));
    assert!(browser.open("/account").await.at.contains("/sign-in"), "its own session began there");
}
