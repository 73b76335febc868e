//! Alerts in the browser: told where they belong, found in the audit log, acknowledged.
//!
//! Would catch: another workspace's alert on the page, or acknowledged by its id in the form; a list that tells nothing
//! when it is empty; who may not see alerts shown how many there are.

use std::time::Duration;

use serde_json::json;
use testkit::world::PASSWORD;
use testkit::{Browser, Form, World, forms};

const MEMBERS: &str = "/acme/workspace/settings/members";
const PAGE: &str = "/acme/workspace/settings/audit/alerts";
const ELSEWHERE: &str = "/other/workspace/settings/audit/alerts";
const INSTANCE: &str = "/-/audit/alerts";

/// The page once it shows a text; generous, since nothing is asserted on time.
async fn until(browser: &Browser<'_>, path: &str, text: &str) -> String {
    for _ in 0..300 {
        let shown = browser.page(path).await;
        if shown.contains(text) {
            return shown;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    panic!("never: {text} on {path}: {}", browser.page(path).await);
}

fn acknowledging(page: &str) -> Form {
    let found = forms(page).into_iter().find(|form| form.get("alert").is_some());
    found.unwrap_or_else(|| panic!("no alert to acknowledge: {page}"))
}

/// Attack: somebody who owns one workspace, or two, answers for another by an id that they have seen.
#[tokio::test]
async fn alerts_are_shown_and_acknowledged_where_they_belong() {
    let world = World::new().await;
    let owner = Browser::signed_in(&world.server, "owner", PASSWORD).await;
    let empty = owner.page(PAGE).await;
    assert!(empty.contains("An alert will stand here when"), "{empty}");
    assert!(!owner.page(MEMBERS).await.contains("1 open"));

    // In each workspace somebody becomes an owner, of one of them a reader.
    let body = json!({ "permission": "owner" });
    for (workspace, person) in [("acme", "creator"), ("other", "creator"), ("acme", "writer")] {
        let path = format!("/api/workspaces/{workspace}/members/{person}");
        let _ = world.server.send("PUT", &path, &world.password("owner"), &body).await.expect(200);
    }
    let ours = until(&owner, PAGE, "made user:writer an owner").await;
    let theirs = until(&owner, ELSEWHERE, "made user:creator an owner").await;
    assert!(ours.contains("workspace:acme") && !ours.contains("workspace:other"), "{ours}");
    assert!(theirs.contains("workspace:other") && !theirs.contains("workspace:acme"), "{theirs}");
    assert_eq!(forms(&ours).iter().filter(|form| form.get("alert").is_some()).count(), 2);

    // Who may see them is told how many, on every page of the settings; nobody else is, and no alert either.
    assert!(owner.page(MEMBERS).await.contains(">2 open<"));
    let member = Browser::signed_in(&world.server, "member", PASSWORD).await;
    assert!(!member.page(MEMBERS).await.contains(" open<"));
    let writer = Browser::signed_in(&world.server, "writer", PASSWORD).await;
    for (browser, path) in [(&member, PAGE), (&writer, ELSEWHERE), (&owner, INSTANCE)] {
        assert!(matches!(browser.get(path).await.status.as_u16(), 403 | 404), "{path}");
    }

    // Another workspace's alert is none of this one's, whoever owns both.
    let foreign = acknowledging(&theirs).get("alert").unwrap().to_owned();
    for (browser, page) in [(&owner, &ours), (&writer, &writer.page(PAGE).await)] {
        let answer = browser.submit(acknowledging(page).with("alert", &foreign)).await;
        assert_eq!(answer.status.as_u16(), 404, "{}", answer.text);
    }
    for odd in ["", "x", "00000000-0000-4000-8000-000000000000"] {
        let answer = owner.submit(acknowledging(&ours).with("alert", odd)).await;
        assert_eq!(answer.status.as_u16(), 404, "{odd}");
    }
    assert_eq!(acknowledging(&owner.page(ELSEWHERE).await).get("alert"), Some(foreign.as_str()));

    // The log is searched for what it is about.
    let href = ours.split("Find its events").next().unwrap().rsplit("<a href=\"").next().unwrap();
    let href = href.split('"').next().unwrap().replace("&#38;", "&");
    let found = owner.page(&href).await;
    assert!(found.contains("<code>member.set</code></td>"), "{href}: {found}");
    assert!(!found.contains("<code>audit.read</code></td>"), "{href}: {found}");
}

/// Would catch: an acknowledgement that is not told, or that somebody who comes later takes over.
#[tokio::test]
async fn whoever_acknowledges_first_is_told_for_good() {
    let world = World::new().await;
    let body = json!({ "permission": "owner" });
    let path = "/api/workspaces/acme/members/creator";
    let _ = world.server.send("PUT", path, &world.password("owner"), &body).await.expect(200);
    let owner = Browser::signed_in(&world.server, "owner", PASSWORD).await;
    let creator = Browser::signed_in(&world.server, "creator", PASSWORD).await;
    let shown = until(&owner, PAGE, "made user:creator an owner").await;
    let late = acknowledging(&creator.page(PAGE).await);
    let seen = owner.submit(acknowledging(&shown)).await;
    assert_eq!((seen.status.as_u16(), seen.header("location")), (303, PAGE), "{}", seen.text);
    assert!(owner.page(PAGE).await.contains("Every alert has been acknowledged"));
    assert!(!owner.page(MEMBERS).await.contains("open</span>"));
    let all = format!("{PAGE}?list=all");
    let seen = creator.submit(late.with("list", "all")).await;
    assert_eq!((seen.status.as_u16(), seen.header("location")), (303, all.as_str()), "{}", seen.text);
    let shown = creator.page(&all).await;
    assert!(shown.contains("by <bdi>owner</bdi>") && !shown.contains("by <bdi>creator</bdi>"), "{shown}");
}

/// Would catch: an auditor, who only reads, offered what an administrator does; the instance's alerts told elsewhere.
#[tokio::test]
async fn the_instances_alerts_are_acknowledged_by_its_administrators() {
    let world = World::new().await;
    let people = [("ada", "administrator"), ("ben", "auditor")];
    for (name, role) in people {
        let email = format!("{name}@example.com");
        let body = json!({ "username": name, "email": email, "password": PASSWORD });
        let _ = world.server.administer("POST", "/api/users", &body).await;
        let body = json!({ "staff_role": role });
        let _ = world.server.administer("PUT", &format!("/api/users/{name}"), &body).await;
    }
    let ada = Browser::signed_in(&world.server, "ada", PASSWORD).await;
    let ben = Browser::signed_in(&world.server, "ben", PASSWORD).await;
    let shown = until(&ada, INSTANCE, "made user:ada an administrator").await;
    let read = ben.page(INSTANCE).await;
    assert!(read.contains("made user:ada") && read.contains(">Open</span>"), "{read}");
    assert!(forms(&read).iter().all(|form| form.get("alert").is_none()), "{read}");
    assert_eq!(ada.submit(acknowledging(&shown)).await.status.as_u16(), 303);
    assert!(ben.page(&format!("{INSTANCE}?list=all")).await.contains("by <bdi>ada</bdi>"));
    // Where the whole trail is sent they may see as well, and no more.
    let receivers = ben.page("/-/audit/receivers").await;
    assert!(!receivers.contains("Add a receiver") && forms(&receivers).is_empty(), "{receivers}");
    assert!(ada.page("/-/audit/receivers").await.contains("Add a receiver"));
    // Administrators of the instance own no workspace by that.
    assert!(matches!(ada.get(PAGE).await.status.as_u16(), 403 | 404));
}
