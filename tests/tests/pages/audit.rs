//! The audit log in the browser: found by a form whose address can be shared, whole, followed, exported; and the page
//! that tells why something was refused, to those who may know.
//!
//! Would catch: a search that shows what was not asked for, a trail shown to whoever may not read it, an event's text
//! that runs, a refusal told to somebody else.

use serde_json::json;
use testkit::world::PASSWORD;
use testkit::{Browser, World};

const PAGE: &str = "/acme/workspace/settings/audit";

fn rows(page: &str) -> Vec<&str> {
    let body = page.split_once("<tbody id=\"events\">").expect("a list").1.split("</tbody>").next().unwrap();
    body.split("<tr>").skip(1).collect()
}

/// The id of the first request that the list leads to.
fn request_of(page: &str) -> &str {
    let rest = page.split(&format!("<a href=\"{PAGE}/requests/")).nth(1).expect("a link to a request");
    rest.split('"').next().unwrap()
}

#[tokio::test]
async fn events_are_found_by_a_form_whose_address_can_be_shared() {
    let world = World::new().await;
    let owner = Browser::signed_in(&world.server, "owner", PASSWORD).await;
    for _ in 0..55 {
        // Each reading is an event of its own.
        let _ = owner.page(&format!("{PAGE}?actor=nobody")).await;
    }
    let all = owner.page(PAGE).await;
    assert!(rows(&all).len() == 50 && all.contains(">Older</a>"), "{} rows", rows(&all).len());
    let found =
        owner.page(&format!("{PAGE}?actor=owner&action=project.create&outcome=&address=&from=&until=")).await;
    assert_eq!(rows(&found).len(), 1, "{found}");
    assert!(found.contains("value=\"project.create\"") && found.contains("project:acme/CORE"), "{found}");
    let none = owner.page(&format!("{PAGE}?resource=acme%2Fno-such&from=2020-01-01T00:00")).await;
    assert!(rows(&none).is_empty() && none.contains("No event is like this"), "{none}");
    let wrong = owner.get(&format!("{PAGE}?address=10.0.0&from=yesterday&action=project.")).await;
    assert_eq!(wrong.status.as_u16(), 400);
    assert!(
        wrong.text.contains("id=\"from-error\"") || wrong.text.contains("id=\"address-error\""),
        "{}",
        wrong.text
    );
    assert!(wrong.text.contains("value=\"yesterday\""), "what was typed is kept");
    // Older events follow without a gap, whatever is read meanwhile.
    let older = all.split("rel=\"next\"").next().unwrap().rsplit("href=\"").next().unwrap();
    let older =
        owner.page(&older.split('"').next().unwrap().replace("&amp;", "&").replace("&#38;", "&")).await;
    assert!(!rows(&older).is_empty());
    assert!(rows(&all).iter().all(|row| !rows(&older).contains(row)), "no event stands on both pages");
    // One request, with all its fields.
    let request = request_of(&found);
    let whole = owner.page(&format!("{PAGE}/requests/{request}")).await;
    assert!(whole.contains("Decided by") && whole.contains("<h3>After</h3>"), "{whole}");
    // The exports and the stream are behind the same session.
    let csv = owner.get(&format!("{PAGE}/export?format=csv&action=project.create")).await;
    assert!(csv.status.is_success() && csv.text.lines().count() == 2, "{}", csv.text);
    let stream = owner.get(&format!("{PAGE}/stream?seconds=0")).await;
    assert!(stream.header("content-type").starts_with("text/event-stream"), "{}", stream.text);
    for path in [
        PAGE.to_owned(),
        format!("{PAGE}/export"),
        format!("{PAGE}/stream"),
        format!("{PAGE}/requests/{request}"),
    ] {
        let member = Browser::signed_in(&world.server, "member", PASSWORD).await;
        assert!(matches!(member.get(&path).await.status.as_u16(), 403 | 404), "{path}");
        assert!(
            matches!(Browser::new(&world.server).get(&path).await.status.as_u16(), 303 | 403 | 404),
            "{path}"
        );
    }
    for path in ["/-/audit", "/-/audit/export", "/-/audit/stream"] {
        assert!(matches!(owner.get(path).await.status.as_u16(), 403 | 404), "{path} is the administrators'");
    }
}

#[tokio::test]
async fn names_in_events_are_text() {
    let world = World::new().await;
    let body = json!({ "name": "<script>alert(1)</script>", "scopes": ["repository"] });
    let _ = world.mint_with(&world.password("owner"), "/api/repositories/acme/one/access-tokens", body).await;
    let owner = Browser::signed_in(&world.server, "owner", PASSWORD).await;
    let found = owner.page(&format!("{PAGE}?action=access-token.create")).await;
    let request = request_of(&found);
    let whole = owner.page(&format!("{PAGE}/requests/{request}")).await;
    assert!(whole.contains("alert(1)") && !whole.contains("<script>alert"), "{whole}");
    let sneaky = owner.get(&format!("{PAGE}?actor=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")).await;
    assert!(!sneaky.text.contains("<script>alert"), "{}", sneaky.text);
}

#[tokio::test]
async fn a_refusal_is_told_to_whoever_asked_and_to_those_who_read_the_trail() {
    let world = World::new().await;
    let reader = Browser::signed_in(&world.server, "reader", PASSWORD).await;
    let refused = reader.get("/acme/one/settings/access-tokens").await;
    assert_eq!(refused.status.as_u16(), 403, "{}", refused.text);
    let why = refused.text.split("href=\"/-/refusals/").nth(1).expect("a link").split('"').next().unwrap();
    let path = format!("/-/refusals/{why}");
    // It is recorded behind the answer.
    let mut told = reader.get(&path).await;
    for _ in 0..50 {
        if told.status.is_success() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        told = reader.get(&path).await;
    }
    assert!(
        told.text.contains("Which rule refused it") && told.text.contains("Who can change that"),
        "{}",
        told.text
    );
    assert!(
        told.text.contains("those who may read the audit log are told more")
            || told.text.contains("Those who may read"),
        "{}",
        told.text
    );
    assert!(!told.text.contains("Those are now"), "names are for those who may read the trail");
    let owner = Browser::signed_in(&world.server, "owner", PASSWORD).await;
    let whole = owner.page(&path).await;
    assert!(whole.contains("Those are now") && whole.contains("owner"), "{whole}");
    let member = Browser::signed_in(&world.server, "member", PASSWORD).await;
    assert_eq!(member.get(&path).await.status.as_u16(), 404);
    let found = owner.get(&format!("/-/refusals?request_id={why}")).await;
    assert_eq!((found.status.as_u16(), found.header("location")), (303, path.as_str()));
    assert_eq!(owner.get("/-/refusals?request_id=x").await.status.as_u16(), 400);
}
