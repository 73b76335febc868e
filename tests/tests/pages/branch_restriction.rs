//! Branch restrictions in a repository's settings, and the mark on protected branches.
//!
//! Would catch: a form that forgets what was typed, an error beside the wrong field, the page in the hands of who may only
//! write, a mark on every branch or on none.

use testkit::world::PASSWORD;
use testkit::{Browser, World, form, forms};

const PAGE: &str = "/acme/one/settings/branch-restrictions";

#[tokio::test]
async fn restrictions_are_added_shown_and_removed() {
    let world = World::new().await;
    let admin = Browser::signed_in(&world.server, "repoadmin", PASSWORD).await;
    let settings = admin.page("/acme/one/settings/general").await;
    assert!(settings.contains(PAGE), "{settings}");
    let empty = form(&admin.page(PAGE).await, PAGE);
    let typed = empty
        .with("kind", "push")
        .with("branches", "glob")
        .with("pattern", "release/*")
        .with("users", "writer, nobody")
        .with("groups", "");
    let wrong = admin.submit(typed.clone()).await;
    assert_eq!(wrong.status.as_u16(), 400, "{}", wrong.text);
    assert!(wrong.text.contains("id=\"users-error\""), "{}", wrong.text);
    let kept = form(&wrong.text, PAGE);
    assert_eq!(
        ["kind", "branches", "pattern", "users"].map(|name| kept.get(name)),
        [Some("push"), Some("glob"), Some("release/*"), Some("writer, nobody")]
    );
    let added = admin.submit(kept.with("users", "writer repoadmin")).await;
    assert_eq!((added.status.as_u16(), added.header("location")), (303, PAGE), "{}", added.text);
    let again = admin.submit(typed.with("users", "")).await;
    assert!(again.status.as_u16() == 400 && again.text.contains("Not added"), "{}", again.text);
    let by_type = form(&admin.page(PAGE).await, PAGE).with("kind", "delete").with("branches", "development");
    assert_eq!(admin.submit(by_type).await.status.as_u16(), 303);

    let shown = admin.page(PAGE).await;
    for part in
        ["<code>release/*</code>", "<code>writer</code>", "The development branch", "Nobody deletes them."]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    // Marked for everybody who sees the branches, and only where a restriction is about one.
    let owner = world.app_password("owner");
    for branch in ["main", "free"] {
        let testkit::Login::Basic(name, secret) = &owner else { panic!("an app password") };
        let request =
            world.server.client().post(format!("{}/2.0/repositories/acme/one/src", world.server.url));
        let request = request.basic_auth(name, Some(secret.expose()));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let sent = request.body(format!("%2Ffile={branch}&branch={branch}")).send().await.unwrap();
        assert_eq!(sent.status().as_u16(), 201);
    }
    let reader = Browser::signed_in(&world.server, "reader", PASSWORD).await;
    let branches = reader.page("/acme/one/branches").await;
    assert_eq!(branches.matches(">Protected<").count(), 1, "{branches}");
    // Who may write, but not administer, finds no such page.
    let writer = Browser::signed_in(&world.server, "writer", PASSWORD).await;
    assert_eq!(writer.get(PAGE).await.status.as_u16(), 403);

    let remove = forms(&shown).into_iter().find(|form| form.action.starts_with(&format!("{PAGE}/"))).unwrap();
    assert_eq!(admin.submit(remove).await.header("location"), PAGE);
    let left = admin.page(PAGE).await;
    assert!(!left.contains("<code>release/*</code>") && left.contains("The development branch"), "{left}");
}
