//! Roles at Amazon: planned, saved, granted and removed on their pages.
//!
//! Would catch: an external id that somebody chose, a role that is saved before its trust was shown, a form that forgets
//! what was typed, a page in the hands of who may only write.

use testkit::world::PASSWORD;
use testkit::{Browser, World, form, forms};

const PAGE: &str = "/acme/workspace/settings/aws-roles";
const ARN: &str = "arn:aws:iam::123456789012:role/bastide-deploy";

#[tokio::test]
async fn a_role_is_planned_saved_granted_and_removed() {
    let world = World::new().await;
    let owner = Browser::signed_in(&world.server, "owner", PASSWORD).await;
    let empty = owner.page(PAGE).await;
    assert!(empty.contains("The roles will stand here"), "{empty}");
    let typed = form(&empty, PAGE).with("mode", "web-identity").with("region", "eu-central-1");
    let wrong = owner.submit(typed.clone().with("arn", "bastide-deploy")).await;
    assert!(wrong.status.as_u16() == 400 && wrong.text.contains("id=\"arn-error\""), "{}", wrong.text);
    assert_eq!(form(&wrong.text, PAGE).get("region"), Some("eu-central-1"));
    let wrong = owner.submit(typed.clone().with("arn", ARN).with("repository", "nowhere")).await;
    assert!(wrong.status.as_u16() == 400 && wrong.text.contains("no repository"), "{}", wrong.text);

    let planned = owner.submit(typed.with("arn", ARN).with("repository", "one").with("ref", "main")).await;
    assert_eq!(planned.status.as_u16(), 200, "{}", planned.text);
    assert!(planned.text.contains("sts:AssumeRoleWithWebIdentity"), "{}", planned.text);
    assert!(owner.page(PAGE).await.contains("The roles will stand here"), "nothing was saved yet");
    let saved = owner.submit(form(&planned.text, PAGE)).await;
    assert_eq!(saved.status.as_u16(), 303, "{}", saved.text);
    let one = saved.header("location").to_owned();
    let shown = owner.page(&one).await;
    assert!(shown.contains("Branch <code>main</code>.") && shown.contains(ARN), "{shown}");

    let grants = format!("{one}/grants");
    let empty = owner.submit(form(&shown, &grants)).await;
    assert!(empty.status.as_u16() == 400 && empty.text.contains("id=\"repository-error\""), "{}", empty.text);
    let all = form(&shown, &grants).with("repository", "*").with("environment", "Production");
    assert_eq!(owner.submit(all.clone()).await.header("location"), one);
    assert_eq!(owner.submit(all).await.status.as_u16(), 400, "the same once more");
    let shown = owner.page(&one).await;
    assert!(shown.contains("Every repository") && shown.contains("<code>Production</code>"), "{shown}");
    let gone = forms(&shown).into_iter().find(|one| one.action.ends_with("/grants/remove")).unwrap();
    assert_eq!(owner.submit(gone.clone()).await.header("location"), one);
    assert_eq!(owner.submit(gone).await.status.as_u16(), 404, "it is gone already");
    let shown = owner.page(&one).await;
    assert!(shown.contains("Every repository") && !shown.contains("Branch <code>main"), "{shown}");

    let settings = form(&shown, &one).with("name", "Deploys").with("longest_session", "14400");
    assert_eq!(owner.submit(settings).await.header("location"), one);
    let shown = owner.page(&one).await;
    assert!(shown.contains("<h1>Deploys</h1>") && shown.contains("4 hours"), "{shown}");
    assert!(shown.contains("Every repository"), "the grants stay: {shown}");
    let remove = form(&shown, &format!("{one}/remove"));
    assert_eq!(owner.submit(remove).await.header("location"), PAGE);
    assert_eq!(owner.get(&one).await.status.as_u16(), 404);
    let writer = Browser::signed_in(&world.server, "writer", PASSWORD).await;
    assert_eq!(writer.get(PAGE).await.status.as_u16(), 403);
}

/// A server that has no identity at Amazon says who gives it one; what cannot be proved is not saved.
#[tokio::test]
async fn a_server_without_an_identity_saves_no_role_that_it_would_take_on() {
    let world = World::new().await;
    let owner = Browser::signed_in(&world.server, "owner", PASSWORD).await;
    let typed = form(&owner.page(PAGE).await, PAGE).with("arn", ARN).with("mode", "assume-role");
    // An external id is nobody's to choose: a form that sends one is heard, and its id is not.
    let planned = owner.submit(typed.with("external_id", "mine")).await;
    assert_eq!(planned.status.as_u16(), 200, "{}", planned.text);
    assert!(planned.text.contains("This server has no identity at Amazon"), "{}", planned.text);
    assert!(planned.text.contains("bastide aws setup --workspace acme"), "{}", planned.text);
    let id =
        |text: &str| text.split_once("id=\"external-id\">").unwrap().1.split('<').next().unwrap().to_owned();
    assert!(id(&planned.text).len() > 40 && planned.text.contains("sts:ExternalId"), "{}", planned.text);
    let refused = owner.submit(form(&planned.text, PAGE)).await;
    assert_eq!(refused.status.as_u16(), 400, "{}", refused.text);
    assert!(refused.text.contains("Not saved:"), "{}", refused.text);
    assert_eq!(id(&refused.text), id(&planned.text));
    assert!(owner.page(PAGE).await.contains("The roles will stand here"));
}
