//! Members, groups and permissions.
//!
//! Would catch: a page that removes without asking, loses the last owner, shows who has no second step to everybody, or
//! leaves out a way by which somebody gets in.

use testkit::world::PASSWORD;
use testkit::{Browser, World, form, forms};

const MEMBERS: &str = "/acme/workspace/settings/members";
const GROUPS: &str = "/acme/workspace/settings/groups";

fn sent_by(page: &str, wanted: &str) -> testkit::Form {
    let all = forms(page);
    let found = all.iter().find(|form| form.get("do") == Some(wanted)).cloned();
    found.unwrap_or_else(|| panic!("no form does `{wanted}`: {page}"))
}

#[tokio::test]
async fn members_are_added_changed_and_removed_after_a_question() {
    let world = World::new().await;
    let owner = Browser::signed_in(&world.server, "owner", PASSWORD).await;
    let mut shown = owner.page(MEMBERS).await;
    assert!(shown.contains("writer") && shown.contains(">None</span>"), "{shown}");
    // What is used is counted behind the answers.
    for _ in 0..60 {
        if shown.contains(">today</time>") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        shown = owner.page(MEMBERS).await;
    }
    assert!(shown.contains(">today</time>"), "{shown}");
    // What was typed for somebody who is not there is kept, with the error beside it.
    let wrong = owner
        .submit(sent_by(&shown, "add").with("username", "nobody-<b>").with("permission", "member"))
        .await;
    assert_eq!(wrong.status.as_u16(), 400);
    assert!(
        wrong.text.contains("id=\"username-error\"") && !wrong.text.contains("nobody-<b>"),
        "{}",
        wrong.text
    );
    let wrong =
        owner.submit(sent_by(&shown, "add").with("username", "ghost").with("permission", "member")).await;
    assert!(
        wrong.text.contains("nobody has this username") && wrong.text.contains("value=\"ghost\""),
        "{}",
        wrong.text
    );
    let added =
        owner.submit(sent_by(&shown, "add").with("username", "outsider").with("permission", "member")).await;
    assert_eq!((added.status.as_u16(), added.header("location")), (303, MEMBERS), "{}", added.text);
    let outsider = Browser::signed_in(&world.server, "outsider", PASSWORD).await;
    let seen = outsider.page(MEMBERS).await;
    assert!(
        !seen.contains("Add a member") && !seen.contains(">None</span>"),
        "members are told less: {seen}"
    );
    // The last owner stays one, whatever is sent.
    let change = testkit::Form { action: MEMBERS.to_owned(), fields: Vec::new() };
    let token = form(&shown, MEMBERS).get("form_token").unwrap().to_owned();
    let change = change.with("form_token", &token).with("do", "change").with("username", "owner");
    let kept = owner.submit(change.with("permission", "member")).await;
    assert!(kept.status.as_u16() == 400 && kept.text.contains("last active owner"), "{}", kept.text);
    // Removing asks first.
    let ask = format!("{MEMBERS}/outsider/remove");
    let question = owner.page(&ask).await;
    assert!(question.contains("loses its membership"), "{question}");
    assert!(outsider.get("/acme").await.status.is_success());
    let removed = owner.submit(form(&question, &ask)).await;
    assert_eq!(removed.header("location"), MEMBERS, "{}", removed.text);
    assert_eq!(outsider.get("/acme").await.status.as_u16(), 404);
    let own = format!("{MEMBERS}/owner/remove");
    let kept = owner.submit(owner.form(&own, &own).await).await;
    assert!(kept.status.as_u16() == 409 && kept.text.contains("last active owner"), "{}", kept.text);
}

#[tokio::test]
async fn a_group_is_made_filled_given_a_level_and_deleted_and_its_way_in_is_shown() {
    let world = World::new().await;
    let owner = Browser::signed_in(&world.server, "owner", PASSWORD).await;
    let empty = owner.page(GROUPS).await;
    assert!(empty.contains("will stand here"), "{empty}");
    let made = owner.submit(form(&empty, GROUPS).with("name", "Night & day")).await;
    let group = made.header("location").to_owned();
    assert_eq!(group, format!("{GROUPS}/night-day"), "{}", made.text);
    let shown = owner.page(&group).await;
    assert!(shown.contains("Night &#38; day") || shown.contains("Night &amp; day"), "{shown}");
    let wrong = owner.submit(sent_by(&shown, "put-in").with("username", "outsider")).await;
    assert!(
        wrong.text.contains("not a member of the workspace") && wrong.text.contains("value=\"outsider\""),
        "{}",
        wrong.text
    );
    for person in ["member", "reader"] {
        let put_in = owner.submit(sent_by(&shown, "put-in").with("username", person)).await;
        assert_eq!(put_in.header("location"), group, "{}", put_in.text);
    }
    // The group is granted the repository: its members get in by it.
    let page = "/acme/one/settings/permissions";
    let before = owner.page(page).await;
    assert!(before.contains("owner of the workspace") && before.contains("read, granted here"), "{before}");
    assert!(before.contains("admin, granted on its project"), "{before}");
    let grant =
        sent_by(&before, "grant").with("kind", "group").with("name", "night-day").with("permission", "write");
    assert_eq!(owner.submit(grant.clone()).await.header("location"), page);
    let after = owner.page(page).await;
    assert!(after.contains("write, granted here, by the group night-day"), "{after}");
    let wrong = owner.submit(grant.with("name", "no-such-group")).await;
    assert!(
        wrong.status.as_u16() == 400 && wrong.text.contains("no group of the workspace"),
        "{}",
        wrong.text
    );
    let back = forms(&after)
        .into_iter()
        .find(|form| form.get("do") == Some("remove") && form.get("name") == Some("night-day"));
    assert_eq!(owner.submit(back.unwrap()).await.header("location"), page);
    assert!(!owner.page(page).await.contains("by the group night-day"));
    // Deleting wants the name.
    let shown = owner.page(&group).await;
    let not_yet = owner.submit(sent_by(&shown, "delete").with("confirm", "night")).await;
    assert!(
        not_yet.status.as_u16() == 400 && not_yet.text.contains("nothing was deleted"),
        "{}",
        not_yet.text
    );
    let gone = owner.submit(sent_by(&shown, "delete").with("confirm", "night-day")).await;
    assert_eq!(gone.header("location"), GROUPS, "{}", gone.text);
    // Others are shown nothing of it, or nothing to change.
    let writer = Browser::signed_in(&world.server, "writer", PASSWORD).await;
    assert_eq!(writer.get(page).await.status.as_u16(), 403);
    let project = owner.page("/acme/workspace/projects/CORE/settings/permissions").await;
    assert!(project.contains("admin, granted here") && !project.contains("read, granted here"), "{project}");
}
