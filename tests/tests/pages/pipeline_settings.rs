//! Settings of pipelines: runners, variables, environments, schedules, identity tokens, and whether they run at all.
//!
//! Would catch: a code or a secured value that is shown again, a form that forgets what was typed, a page in the hands of
//! who may only write.

use testkit::world::PASSWORD;
use testkit::{Browser, World, form, forms};

const AT: &str = "/acme/one/settings";

#[tokio::test]
async fn a_runners_code_is_shown_once() {
    let world = World::new().await;
    for (who, page) in
        [("repoadmin", format!("{AT}/runners")), ("owner", "/acme/workspace/settings/runners".to_owned())]
    {
        let browser = Browser::signed_in(&world.server, who, PASSWORD).await;
        let empty = browser.page(&page).await;
        assert!(empty.contains("The runners will stand here."), "{empty}");
        let typed = form(&empty, &page).with("name", "build-1").with("labels", "gpu No");
        let wrong = browser.submit(typed).await;
        assert!(wrong.status.as_u16() == 400 && wrong.text.contains("id=\"labels-error\""), "{}", wrong.text);
        let kept = form(&wrong.text, &page);
        assert_eq!(kept.get("labels"), Some("gpu No"));
        let added = browser.submit(kept.with("labels", "gpu, arm")).await;
        assert_eq!(added.status.as_u16(), 201, "{}", added.text);
        let command = format!("bastide runner register --url {} --directory", world.server.url);
        assert!(added.text.contains(&command), "{}", added.text);
        let (_, rest) = added.text.split_once("id=\"code\">").unwrap();
        let code = rest.split('<').next().unwrap().to_owned();
        assert!(code.len() > 20, "{code}");

        let shown = browser.page(&page).await;
        assert!(!shown.contains(&code) && shown.contains(">Not registered<"), "{shown}");
        let switch = forms(&shown).into_iter().find(|one| one.get("enabled") == Some("no")).unwrap();
        assert_eq!(browser.submit(switch).await.status.as_u16(), 303);
        let off = browser.page(&page).await;
        assert!(off.contains(">Disabled<") && off.contains(">Enable<"), "{off}");
        let remove = forms(&off).into_iter().find(|one| one.action.ends_with("/remove")).unwrap();
        assert_eq!(browser.submit(remove).await.status.as_u16(), 303);
        assert!(browser.page(&page).await.contains("The runners will stand here."));
    }
    let writer = Browser::signed_in(&world.server, "writer", PASSWORD).await;
    assert_eq!(writer.get(&format!("{AT}/runners")).await.status.as_u16(), 403);
}

#[tokio::test]
async fn secured_values_are_never_shown() {
    let world = World::new().await;
    let admin = Browser::signed_in(&world.server, "repoadmin", PASSWORD).await;
    let page = format!("{AT}/pipeline-variables");
    let empty = form(&admin.page(&page).await, &page);
    let typed = empty.clone().with("key", "9").with("value", "hunter2");
    let wrong = admin.submit(typed.clone()).await;
    assert!(wrong.status.as_u16() == 400 && wrong.text.contains("id=\"key-error\""), "{}", wrong.text);
    assert!(!wrong.text.contains("hunter2"), "{}", wrong.text);
    let secured = typed.with("key", "KEY").with("secured", "yes").with("environments", "Production");
    assert_eq!(admin.submit(secured).await.status.as_u16(), 303);
    let plain = empty.with("secured", "no").with("key", "LEVEL").with("value", "in<fo");
    assert_eq!(admin.submit(plain).await.status.as_u16(), 303);
    let shown = admin.page(&page).await;
    assert!(shown.contains(">Hidden<") && !shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("in&#60;fo") && shown.contains("deploy to"), "{shown}");
}

#[tokio::test]
async fn environments_are_added_changed_and_removed_with_their_variables() {
    let world = World::new().await;
    let admin = Browser::signed_in(&world.server, "repoadmin", PASSWORD).await;
    let page = format!("{AT}/environments");
    let shown = admin.page(&page).await;
    assert!(shown.contains(">Production<") && shown.contains("none yet"), "{shown}");
    let typed = form(&shown, &page)
        .with("name", "Production EU")
        .with("environment_type", "Production")
        .with("admin_only", "yes")
        .with("branches", "a..b");
    let wrong = admin.submit(typed.clone()).await;
    assert!(wrong.status.as_u16() == 400 && wrong.text.contains("id=\"branches-error\""), "{}", wrong.text);
    assert_eq!(form(&wrong.text, &page).get("admin_only"), Some("yes"));
    let added = admin.submit(typed.with("branches", "main release/*")).await;
    assert_eq!(added.status.as_u16(), 303, "{}", added.text);
    let shown = admin.page(&page).await;
    assert!(
        shown.contains("From branches named <code>main</code> or <code>release/*</code> alone."),
        "{shown}"
    );
    let (before, _) = shown.split_once("\">Production EU</a>").unwrap();
    let one = before.rsplit_once("href=\"").unwrap().1.to_owned();

    let named = admin.page(&one).await;
    let kept = form(&named, &one);
    assert_eq!([kept.get("branches"), kept.get("lock_enabled")], [Some("main release/*"), Some("yes")]);
    let open = kept.with("admin_only", "no").with("branches", "");
    assert_eq!(admin.submit(open).await.header("location"), one);
    let variables = format!("{one}/variables");
    let typed = form(&admin.page(&one).await, &variables).with("key", "HOST").with("value", "hunter2");
    assert_eq!(admin.submit(typed).await.header("location"), one);
    let named = admin.page(&one).await;
    assert!(named.contains(">HOST<") && !named.contains("hunter2"), "{named}");
    assert_eq!(form(&named, &one).get("admin_only"), None);
    let gone =
        forms(&named).into_iter().find(|one| one.action.starts_with(&format!("{variables}/"))).unwrap();
    assert_eq!(admin.submit(gone).await.header("location"), one);
    // Who may not change them reads them, without forms and variables.
    let reader = Browser::signed_in(&world.server, "reader", PASSWORD).await;
    let read = reader.page(&one).await;
    assert!(forms(&read).is_empty() && !read.contains("HOST"), "{read}");
    let remove = form(&admin.page(&one).await, &format!("{one}/remove"));
    assert_eq!(admin.submit(remove).await.header("location"), page);
    assert_eq!(admin.get(&one).await.status.as_u16(), 404);
}

#[tokio::test]
async fn schedules_are_added_switched_and_removed() {
    let world = World::new().await;
    let admin = Browser::signed_in(&world.server, "repoadmin", PASSWORD).await;
    let page = format!("{AT}/schedules");
    let typed = form(&admin.page(&page).await, &page).with("ref_name", "main").with("selector", "custom");
    let wrong = admin.submit(typed.clone().with("cron_pattern", "0 30 2 * * ? *")).await;
    assert!(wrong.status.as_u16() == 400 && wrong.text.contains("id=\"pattern-error\""), "{}", wrong.text);
    let wrong = admin.submit(typed.clone().with("cron_pattern", "nightly")).await;
    assert!(
        wrong.status.as_u16() == 400 && wrong.text.contains("id=\"cron_pattern-error\""),
        "{}",
        wrong.text
    );
    let typed = typed.with("cron_pattern", "0 30 2 * * ? *").with("pattern", "audit");
    assert_eq!(admin.submit(typed).await.header("location"), page);
    let shown = admin.page(&page).await;
    assert!(shown.contains("Custom pipeline audit") && shown.contains("02:30:00 UTC"), "{shown}");
    let switch = forms(&shown).into_iter().find(|one| one.get("enabled") == Some("no")).unwrap();
    assert_eq!(admin.submit(switch).await.header("location"), page);
    let shown = admin.page(&page).await;
    assert!(shown.contains(">Off<"), "{shown}");
    let remove = forms(&shown).into_iter().find(|one| one.action.ends_with("/remove")).unwrap();
    assert_eq!(admin.submit(remove).await.header("location"), page);
    assert!(admin.page(&page).await.contains("The schedules will stand here."));
}

#[tokio::test]
async fn pipelines_are_switched_and_their_numbers_only_go_up() {
    let world = World::new().await;
    let admin = Browser::signed_in(&world.server, "repoadmin", PASSWORD).await;
    let page = format!("{AT}/pipelines");
    let was = form(&admin.page(&page).await, &page);
    let before = was.get("enabled").unwrap().to_owned();
    assert_eq!(admin.submit(was).await.header("location"), page);
    assert_ne!(form(&admin.page(&page).await, &page).get("enabled"), Some(before.as_str()));
    let raise = format!("{page}/build-number");
    let (admin, page, raise) = (&admin, &page, &raise);
    let number = |text: &'static str| async move {
        admin.submit(form(&admin.page(page).await, raise).with("next", text)).await
    };
    assert_eq!(number("40").await.header("location"), page);
    assert_eq!(form(&admin.page(page).await, raise).get("next"), Some("40"));
    for odd in ["12", "many"] {
        let wrong = number(odd).await;
        assert!(wrong.status.as_u16() == 400 && wrong.text.contains("id=\"next-error\""), "{}", wrong.text);
    }
}

#[tokio::test]
async fn identity_tokens_are_explained_and_their_keys_rotated() {
    let world = World::new().await;
    let admin = Browser::signed_in(&world.server, "repoadmin", PASSWORD).await;
    let page = format!("{AT}/openid-connect");
    let shown = admin.page(&page).await;
    for part in
        ["sts:AssumeRoleWithWebIdentity", "gcloud iam", "/keys.json", "HashiCorp Vault", "repositoryUuid"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let typed = form(&shown, &page);
    let wrong = admin.submit(typed.clone().with("subject_template", "{nothing}")).await;
    let said = wrong.text.contains("id=\"subject_template-error\"");
    assert!(wrong.status.as_u16() == 400 && said, "{}", wrong.text);
    let stable = typed.with("subject_template", "{repository_uuid}:{environment_uuid}");
    assert_eq!(admin.submit(stable).await.header("location"), page);
    let kept = form(&admin.page(&page).await, &page);
    assert_eq!(kept.get("subject_template"), Some("{repository_uuid}:{environment_uuid}"));

    let owner = Browser::signed_in(&world.server, "owner", PASSWORD).await;
    let page = "/acme/workspace/settings/identity-tokens";
    let rotate = format!("{page}/keys");
    let first = form(&owner.page(page).await, &rotate).with("activates_after", "86400");
    assert_eq!(owner.submit(first.clone()).await.header("location"), page);
    assert_eq!(owner.submit(first.clone()).await.header("location"), page);
    assert_eq!(owner.submit(first).await.status.as_u16(), 409);
    let shown = owner.page(page).await;
    assert!(shown.contains(">Signing<") && shown.contains(">Waiting<"), "{shown}");
    let key = format!("{page}/keys/");
    let revoke = forms(&shown).into_iter().find(|one| one.action.starts_with(&key)).unwrap();
    assert_eq!(owner.submit(revoke).await.header("location"), page);
    assert!(owner.page(page).await.contains(">Revoked<"));
    let set = form(&owner.page(page).await, page).with("algorithm", "ES256").with("session_tags", "yes");
    assert_eq!(owner.submit(set).await.header("location"), page);
    let kept = form(&owner.page(page).await, page);
    assert_eq!([kept.get("algorithm"), kept.get("session_tags")], [Some("ES256"), Some("yes")]);
}
