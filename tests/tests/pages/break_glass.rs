//! Break-glass in the browser: asked for, given, told where it opens something, and ended by an owner.
//!
//! Would catch: a page that gives what its asker asked for, opens or shows anything to who may not, hides from an owner who
//! reads or why, loses what was typed, or runs what a reason holds.

use serde_json::json;
use testkit::world::PASSWORD;
use testkit::{Browser, Form, World, form, forms};

const PAGE: &str = "/-/break-glass";
const OF_ACME: &str = "/acme/workspace/settings/break-glass";

/// Two administrators of the instance: an outsider who asks, and a member of acme who gives.
async fn administrators(world: &World) -> (Browser<'_>, Browser<'_>) {
    for person in ["outsider", "member"] {
        let staff = json!({ "staff_role": "administrator" });
        let _ = world.server.administer("PUT", &format!("/api/users/{person}"), &staff).await;
    }
    let asker = Browser::signed_in(&world.server, "outsider", PASSWORD).await;
    let giver = Browser::signed_in(&world.server, "member", PASSWORD).await;
    (asker, giver)
}

/// The form that is sent to an address with this end.
fn sent_to(page: &str, end: &str) -> Form {
    let all = forms(page);
    let found = all.iter().find(|form| form.action.starts_with(PAGE) && form.action.ends_with(end)).cloned();
    found.unwrap_or_else(|| panic!("no form is sent to …{end}: {page}"))
}

async fn ask(asker: &Browser<'_>) {
    let typed = asker.form(PAGE, PAGE).await.with("workspace", "acme").with("hours", "2");
    let typed = typed.with("reason", "a support case <b>of theirs</b>\r\nticket 4711");
    let asked = asker.submit(typed).await;
    assert_eq!((asked.status.as_u16(), asked.header("location")), (303, PAGE), "{}", asked.text);
}

#[tokio::test]
async fn it_is_asked_for_given_told_and_ended() {
    let world = World::new().await;
    let (asker, giver) = administrators(&world).await;
    // What is wrong is told beside its field, and what was typed stays.
    let typed = asker.form(PAGE, PAGE).await.with("reason", "too short").with("hours", "3");
    let wrong = asker.submit(typed.clone().with("workspace", "nowhere")).await;
    assert!(wrong.status.as_u16() == 400 && wrong.text.contains("id=\"workspace-error\""), "{}", wrong.text);
    let wrong = asker.submit(typed.with("workspace", "acme")).await;
    assert!(wrong.status.as_u16() == 400 && wrong.text.contains("id=\"reason-error\""), "{}", wrong.text);
    assert_eq!(form(&wrong.text, PAGE).get("workspace"), Some("acme"));
    assert!(wrong.text.contains("<option value=\"3\" selected>"), "{}", wrong.text);

    assert_eq!(asker.get("/acme/one").await.status.as_u16(), 404, "a staff role opens nothing");
    ask(&asker).await;
    let waiting = asker.page(PAGE).await;
    assert!(waiting.contains(">Waits</span>") && waiting.contains("ticket 4711"), "{waiting}");
    assert!(!waiting.contains("<b>of theirs</b>"), "a reason is text: {waiting}");
    let offered = forms(&waiting).iter().any(|form| form.action.ends_with("/approval"));
    assert!(!offered, "nobody gives their own: {waiting}");
    let again = asker.form(PAGE, PAGE).await.with("workspace", "acme").with("hours", "2");
    let again = asker.submit(again.with("reason", "the same once more")).await;
    assert!(
        again.status.as_u16() == 400 && again.text.contains("has asked for this already"),
        "{}",
        again.text
    );

    // Their own is refused to the asker also where the form is another's.
    let give = sent_to(&giver.page(PAGE).await, "/approval");
    let token = sent_to(&waiting, "/end").get("form_token").unwrap_or_default().to_owned();
    assert_eq!(asker.submit(give.clone().with("form_token", &token)).await.status.as_u16(), 403);
    let given = giver.submit(give.clone()).await;
    assert_eq!((given.status.as_u16(), given.header("location")), (303, PAGE), "{}", given.text);
    let twice = giver.submit(give).await;
    assert!(
        twice.status.as_u16() == 400 && twice.text.contains("This is over, or was given"),
        "{}",
        twice.text
    );

    // Where it opens something to them, and to them alone, it is told.
    let notice = "You read here by break-glass, until ";
    for path in ["/acme", "/acme/workspace/projects/CORE", "/acme/one", "/acme/one/branches"] {
        assert!(asker.page(path).await.contains(notice), "{path}");
    }
    assert!(!asker.page("/").await.contains(notice));
    let owner = Browser::signed_in(&world.server, "owner", PASSWORD).await;
    assert!(!owner.page("/acme/one").await.contains(notice) && !giver.page("/acme").await.contains(notice));
    let own = asker.page("/account/access").await;
    assert!(own.contains("Break-glass is in force: ") && own.contains("Break-glass ends <time"), "{own}");
    assert!(
        own.contains(">acme</a>") && !giver.page("/account/access").await.contains("Break-glass"),
        "{own}"
    );

    // Who may read there by something else as well does not read by break-glass.
    let member = "/api/workspaces/acme/members/outsider";
    let (as_owner, level) = (world.password("owner"), json!({ "permission": "owner" }));
    let _ = world.server.send("PUT", member, &as_owner, &level).await.expect(200);
    assert!(!asker.page("/acme").await.contains(notice) && !asker.page("/acme/one").await.contains(notice));
    let _ = world.server.send("DELETE", member, &as_owner, &serde_json::Value::Null).await.expect(204);

    // The owner sees who, why, and what was opened; and ends it.
    let seen = owner.page(OF_ACME).await;
    for part in ["outsider", "ticket 4711", ">In force</span>", "Given by member,", ", for 2 hours"] {
        assert!(seen.contains(part), "{part}: {seen}");
    }
    let (_, link) =
        seen.split_once("href=\"/acme/workspace/settings/audit?").expect("a link to the audit log");
    let (query, _) = link.split_once('"').unwrap_or_default();
    let link =
        format!("/acme/workspace/settings/audit?{}", query.replace("&#38;", "&").replace("&amp;", "&"));
    let mut events = owner.page(&link).await;
    // What is read is recorded behind the answers.
    for _ in 0..60 {
        if events.contains("<bdi>repository:acme/one</bdi>") && events.contains("<code>workspace.read</code>")
        {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        events = owner.page(&link).await;
    }
    assert!(events.contains("<code>repository.read</code>"), "{events}");
    assert!(events.contains("<code>workspace.read</code>"), "what was listed is recorded too: {events}");
    let end = form(&seen, OF_ACME);
    assert_eq!(owner.submit(end.clone()).await.header("location"), OF_ACME);
    assert_eq!(asker.get("/acme/one").await.status.as_u16(), 404, "from the next request on");
    let over = owner.submit(end).await;
    assert!(over.status.as_u16() == 409 && over.text.contains("Ended by owner"), "{}", over.text);
    assert!(!asker.page("/account/access").await.contains("Break-glass ends"));
}

/// Attack: somebody else asks, gives or ends, or learns of it; a request is refused by its number alone from elsewhere.
#[tokio::test]
async fn it_is_no_business_of_anybody_else() {
    let world = World::new().await;
    let (asker, giver) = administrators(&world).await;
    ask(&asker).await;
    let (give, end) = {
        let page = giver.page(PAGE).await;
        (sent_to(&page, "/approval"), sent_to(&page, "/end"))
    };
    for person in ["writer", "reader", "creator", "projectadmin"] {
        let other = Browser::signed_in(&world.server, person, PASSWORD).await;
        for path in [PAGE, OF_ACME] {
            let seen = other.get(path).await;
            assert!(matches!(seen.status.as_u16(), 403 | 404), "{person}, {path}: {}", seen.status);
            assert!(!seen.text.contains("ticket 4711"), "{person}, {path}");
        }
        assert!(!other.page("/acme").await.contains(OF_ACME), "{person} is not led there");
        for form in [&give, &end] {
            assert_eq!(other.submit(form.clone()).await.status.as_u16(), 403, "{person}");
        }
    }
    // An owner sees their own workspace's, and neither asks nor gives.
    let owner = Browser::signed_in(&world.server, "owner", PASSWORD).await;
    assert_eq!(owner.get(PAGE).await.status.as_u16(), 403);
    assert!(owner.page("/other/workspace/settings/break-glass").await.contains("No administrator has asked"));
    // Another workspace's page ends nothing of this one.
    let uuid = form(&owner.page(OF_ACME).await, OF_ACME).get("uuid").unwrap_or_default().to_owned();
    let giver_of_other = giver.page("/other/workspace/settings/break-glass").await;
    assert!(giver_of_other.contains("No administrator has asked"), "administrators see every workspace's");
    let mut strange = end.clone();
    strange.action = strange.action.replace("/acme/", "/other/");
    assert_eq!(giver.submit(strange).await.status.as_u16(), 403, "its token is another form's");
    assert!(!uuid.is_empty() && asker.page(PAGE).await.contains(">Waits</span>"));
    // Refused before it was given, it says so.
    let refused = giver.submit(end).await;
    assert_eq!(refused.header("location"), PAGE, "{}", refused.text);
    assert!(asker.page(PAGE).await.contains("Refused by member"));
    assert_eq!(asker.get("/acme/one").await.status.as_u16(), 404);
}
