//! Accounts, for those who manage them.
//!
//! Would catch: accounts shown to who does not manage them, an approval of which nobody knows whose it was, a search that
//! takes a text for a pattern, an account that is switched off and goes on, a link that is shown twice.

use serde_json::{Value, json};
use testkit::world::PASSWORD;
use testkit::{Browser, Form, World, form, forms};

const LIST: &str = "/-/users";

/// A world in which `repoadmin` helps to run the instance, at a browser.
async fn administrator(world: &World) -> Browser<'_> {
    let role = json!({ "staff_role": "administrator" });
    let _ = world.server.administer("PUT", "/api/users/repoadmin", &role).await;
    Browser::signed_in(&world.server, "repoadmin", PASSWORD).await
}

fn does(page: &str, action: &str, what: &str) -> Form {
    form(page, action).with("do", what)
}

#[tokio::test]
async fn accounts_are_found_approved_and_it_is_told_who_did() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    let all = admin.page(LIST).await;
    assert!(all.contains("writer@example.com") && all.contains("Administrator"), "{all}");
    assert!(
        all.contains("none known") && all.contains("just now</time>"),
        "who has signed in, and who has not: {all}"
    );
    let found = admin.page("/-/users?q=WRIT").await;
    assert!(found.contains("writer@example.com") && !found.contains("reader@example.com"), "{found}");
    for pattern in ["%25", "r_ader", "%5C", "%3Cb%3E"] {
        let nothing = admin.page(&format!("/-/users?q={pattern}")).await;
        assert!(
            nothing.contains("No account is like this") && !nothing.contains("<b>"),
            "{pattern}: {nothing}"
        );
    }
    let waiting = "/-/users?state=waiting";
    assert!(admin.page(waiting).await.contains("No account waits for approval"));

    let (page, approval) = ("/-/users/reader", "/-/users/reader/approval");
    assert!(admin.page(page).await.contains("Approved when it was made"));
    let taken = admin.submit(does(&admin.page(page).await, approval, "withdraw")).await;
    assert_eq!(taken.header("location"), page, "{}", taken.text);
    let shown = admin.page(page).await;
    assert!(shown.contains("Taken back by repoadmin") && shown.contains("Waits for approval"), "{shown}");
    let reader = Browser::signed_in(&world.server, "reader", PASSWORD).await;
    assert!(!reader.get("/acme/one").await.status.is_success());
    let list = admin.page(waiting).await;
    let given = admin.submit(does(&list, approval, "approve")).await;
    assert_eq!(given.header("location"), waiting, "{}", given.text);
    let shown = admin.page(page).await;
    assert!(shown.contains("Approved by repoadmin"), "{shown}");
    assert!(reader.get("/acme/one").await.status.is_success());
    // Another's yes to what is approved already does not become the one that is remembered.
    let _ = world.server.administer("PUT", "/api/users/reader/approval", &Value::Null).await;
    assert!(admin.page(page).await.contains("Approved by repoadmin"));

    for who in ["owner", "reader"] {
        let other = Browser::signed_in(&world.server, who, PASSWORD).await;
        for page in [LIST, page] {
            let refused = other.get(page).await;
            assert_eq!(refused.status.as_u16(), 403, "{who} {page}: {}", refused.text);
            assert!(!refused.text.contains("reader@example.com"), "{who}: {}", refused.text);
        }
    }
}

#[tokio::test]
async fn an_account_is_switched_off_and_let_in_again_by_a_link() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    let writer = Browser::signed_in(&world.server, "writer", PASSWORD).await;
    let (page, reset) = ("/-/users/writer", "/-/users/writer/reset-link");
    let made = admin.submit(form(&admin.page(page).await, reset)).await;
    assert_eq!(made.status.as_u16(), 201, "{}", made.text);
    let link = made.text.split("reset-password#").nth(1).unwrap().split('<').next().unwrap().to_owned();
    assert!(!admin.page(page).await.contains(&link), "shown twice");
    let off = admin.submit(does(&admin.page(page).await, page, "switch-off")).await;
    assert_eq!(off.header("location"), page, "{}", off.text);
    assert!(writer.get("/account").await.header("location").starts_with("/sign-in"), "its session goes on");
    let shown = admin.page(page).await;
    assert!(shown.contains("Switched off"), "{shown}");
    assert!(forms(&shown).iter().all(|form| form.action != reset), "no link for who is not let in");
    assert!(admin.page("/-/users?state=inactive").await.contains("writer@example.com"));
    let on = admin.submit(does(&shown, page, "switch-on")).await;
    assert_eq!(on.header("location"), page, "{}", on.text);
    let used = "/account/reset-password";
    let sent = Form { action: used.to_owned(), fields: Vec::new() };
    let sent = sent.with("link", &link).with("password", "a parliament of rooks");
    let over = Browser::new(&world.server).submit(sent).await;
    assert!(!over.status.is_success(), "switching off ended the link: {}", over.text);

    // What concerns oneself is not offered, and refused when it is sent all the same.
    let own = "/-/users/repoadmin/approval";
    let shown = admin.page("/-/users/repoadmin").await;
    assert!(
        forms(&shown).iter().all(|form| form.action != own && form.action != "/-/users/repoadmin"),
        "{shown}"
    );
    let elsewhere = form(&admin.page(page).await, "/-/users/writer/approval");
    let moved = Form { action: own.to_owned(), ..elsewhere };
    assert_eq!(admin.submit(moved.with("do", "withdraw")).await.status.as_u16(), 403, "another form's token");
    let missing = admin.get("/-/users/nobody").await;
    assert_eq!(missing.status.as_u16(), 404, "{}", missing.text);
}
