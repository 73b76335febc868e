//! Receivers of the audit trail in the browser: added, with a webhook's key shown once, told how they stand, removed.
//!
//! Would catch: the key on any page but one, an address that runs, a failure that nobody is told of, another workspace's
//! receiver on the page, a form that forgets what was typed.

use std::time::Duration;

use serde_json::Value;
use testkit::world::PASSWORD;
use testkit::{Browser, Form, World, form, forms};

const PAGE: &str = "/acme/workspace/settings/audit/receivers";
const ELSEWHERE: &str = "/other/workspace/settings/audit/receivers";
const LOG: &str = "/acme/workspace/settings/audit";

/// The forms that remove a receiver.
fn removing(page: &str) -> Vec<Form> {
    let inside = format!("{PAGE}/");
    forms(page).into_iter().filter(|form| form.action.starts_with(&inside)).collect()
}

#[tokio::test]
async fn a_receiver_is_added_told_of_and_removed() {
    let world = World::new().await;
    let owner = Browser::signed_in(&world.server, "owner", PASSWORD).await;
    let log = owner.page(LOG).await;
    assert!(log.contains(&format!("<a href=\"{PAGE}\">Receivers</a>")), "{log}");
    let empty = owner.page(PAGE).await;
    assert!(empty.contains("The receivers will stand here") && removing(&empty).is_empty(), "{empty}");

    // What cannot be is told beside the field, and what was typed is kept.
    let wrong = form(&empty, PAGE).with("kind", "webhook").with("address", "http://logs.example.com/x");
    let wrong = owner.submit(wrong.with("since", "beginning")).await;
    assert_eq!(wrong.status.as_u16(), 400);
    assert!(wrong.text.contains("id=\"address-error\""), "{}", wrong.text);
    let kept = form(&wrong.text, PAGE);
    assert_eq!(kept.get("address"), Some("http://logs.example.com/x"));
    assert_eq!((kept.get("kind"), kept.get("since")), (Some("webhook"), Some("beginning")));
    let wrong = owner.submit(kept.with("kind", "mail")).await;
    assert!(wrong.text.contains("id=\"kind-error\""), "{}", wrong.text);
    assert!(removing(&owner.page(PAGE).await).is_empty(), "nothing was added");

    // The key is on the page that answers, and on no other. Attack: an address that is markup.
    let address = "https://logs.example.invalid/<script>alert(1)</script>\"><img src=x>";
    let adding = form(&empty, PAGE).with("kind", "webhook").with("address", address);
    let added = owner.submit(adding.with("since", "now")).await;
    assert_eq!(added.status.as_u16(), 201, "{}", added.text);
    let key = added.text.split("<code id=\"key\">").nth(1).expect("a key").split('<').next().unwrap();
    assert!(key.contains("_snk_"), "{key}");
    let mut listed = owner.page(PAGE).await;
    for _ in 0..300 {
        if listed.contains(">Failing</span>") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        listed = owner.page(PAGE).await;
    }
    assert!(listed.contains(">Failing</span>") && listed.contains("It could not be reached"), "{listed}");
    for page in [&added.text, &listed, &owner.page(LOG).await] {
        assert!(!page.contains("<script>alert") && !page.contains("<img src=x"), "{page}");
    }
    assert!(listed.contains("alert(1)"), "{listed}");
    assert!(!listed.contains("_snk_") && !listed.contains(key), "shown once: {listed}");
    let path = "/api/workspaces/acme/audit/sinks";
    let told = world.server.send("GET", path, &world.password("owner"), &Value::Null).await.expect(200);
    assert_eq!(told["values"][0]["address"], address);

    // It is this workspace's alone, and its owners'.
    assert!(!owner.page(ELSEWHERE).await.contains("logs.example.invalid"));
    let mut moved = removing(&listed).remove(0);
    moved.action = moved.action.replace("/acme/", "/other/");
    assert!(matches!(owner.submit(moved).await.status.as_u16(), 403 | 404));
    let member = Browser::signed_in(&world.server, "member", PASSWORD).await;
    for path in [PAGE, "/-/audit/receivers"] {
        assert!(matches!(member.get(path).await.status.as_u16(), 403 | 404), "{path}");
    }
    assert!(matches!(owner.get("/-/audit/receivers").await.status.as_u16(), 403 | 404));

    // It goes after a question, and once it is gone it cannot be removed again.
    let question = listed.split("class=\"confirm\"").nth(1).expect("a question");
    assert!(question.contains("told nothing from then on"), "{question}");
    let remove = removing(&listed).remove(0);
    let removed = owner.submit(remove.clone()).await;
    assert_eq!((removed.status.as_u16(), removed.header("location")), (303, PAGE), "{}", removed.text);
    assert!(removing(&owner.page(PAGE).await).is_empty());
    assert_eq!(owner.submit(remove).await.status.as_u16(), 404);
}

/// Would catch: a trail sent to any number of places, or a limit that takes what was typed along.
#[tokio::test]
async fn syslog_receivers_are_added_as_far_as_the_limit_goes() {
    let world = World::new().await;
    let owner = Browser::signed_in(&world.server, "owner", PASSWORD).await;
    let adding = owner.form(PAGE, PAGE).await.with("kind", "syslog");
    for number in 0..10 {
        let one = adding.clone().with("address", &format!("logs{number}.example.invalid:6514"));
        let added = owner.submit(one).await;
        assert_eq!((added.status.as_u16(), added.header("location")), (303, PAGE), "{}", added.text);
    }
    let full = owner.submit(adding.with("address", "one-more.example.invalid")).await;
    assert_eq!(full.status.as_u16(), 400);
    assert!(full.text.contains("remove one first"), "{}", full.text);
    assert_eq!(form(&full.text, PAGE).get("address"), Some("one-more.example.invalid"));
    assert_eq!(removing(&owner.page(PAGE).await).len(), 10);
}
