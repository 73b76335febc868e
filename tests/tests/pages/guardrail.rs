//! Guardrails in the browser: what a form does before it is saved, and that it is the same use case as the interface's.
//!
//! Would catch: a page that saves without showing the effect, loses what was typed, locks somebody out unasked, lets a
//! stranger see or set guardrails, or runs what a name or a description holds.

use serde_json::{Value, json};
use testkit::world::PASSWORD;
use testkit::{Browser, World, form};

const PAGE: &str = "/acme/workspace/settings/guardrails";
const API: &str = "/api/workspaces/acme/guardrails";

#[tokio::test]
async fn a_guardrail_is_shown_tried_and_saved() {
    let world = World::new().await;
    let owner = Browser::signed_in(&world.server, "owner", PASSWORD).await;
    let shown = owner.page(PAGE).await;
    assert!(shown.contains("Members without a second step reach no private content"), "{shown}");
    assert!(shown.contains("Your own rules will stand here"), "{shown}");
    let sent = form(&shown, PAGE).with("second_step", "report").with("do", "effect");
    let effect = owner.submit(sent).await;
    assert_eq!(effect.status.as_u16(), 200, "{}", effect.text);
    assert!(
        effect.text.contains("What this will do") && effect.text.contains("Report only"),
        "{}",
        effect.text
    );
    // Nobody in this world has a second step: the credentials that were used are told.
    assert!(effect.text.contains("would be refused, which came"), "{}", effect.text);
    let seen = world.server.send("GET", API, &world.password("owner"), &Value::Null).await.expect(200);
    assert_eq!(seen["second_step"]["mode"], "off", "nothing is saved yet");
    let saved = owner.submit(form(&effect.text, PAGE).with("do", "save")).await;
    assert_eq!((saved.status.as_u16(), saved.header("location")), (303, PAGE), "{}", saved.text);
    let seen = world.server.send("GET", API, &world.password("owner"), &Value::Null).await.expect(200);
    assert_eq!(seen["second_step"]["mode"], "report");
    let shown = owner.page(PAGE).await;
    assert!(shown.contains("Changed by owner"), "{shown}");
}

#[tokio::test]
async fn who_would_lock_themselves_out_is_asked_and_what_was_typed_is_kept() {
    let world = World::new().await;
    let owner = Browser::signed_in(&world.server, "owner", PASSWORD).await;
    let empty = owner.form(PAGE, PAGE).await;
    // A range that cannot be read is told in its row, with everything else still there.
    let mut typed = empty.clone().with("ip_allowlist", "on").with("do", "effect");
    typed.fields.retain(|(name, _)| name != "range" && name != "description");
    for (range, text) in [("203.0.113.0/24", "office <b>"), ("203.0.113", "typo"), ("0.0.0.0/4", "wide")] {
        typed.fields.push(("range".to_owned(), range.to_owned()));
        typed.fields.push(("description".to_owned(), text.to_owned()));
    }
    let wrong = owner.submit(typed.clone()).await;
    assert_eq!(wrong.status.as_u16(), 400);
    assert!(wrong.text.contains("range-2-error") && !wrong.text.contains("range-1-error"), "{}", wrong.text);
    assert!(!wrong.text.contains("office <b>"), "a description is text");
    let kept = form(&wrong.text, PAGE);
    assert_eq!(kept.get("ip_allowlist"), Some("on"));
    assert!(kept.fields.iter().any(|(_, value)| value == "office <b>"));
    // Mended: the owner's own address is not in the list, and a range is very wide.
    for (name, value) in &mut typed.fields {
        if name == "range" && value == "203.0.113" {
            *value = "198.51.100.7".to_owned();
        }
    }
    let effect = owner.submit(typed).await;
    assert!(
        effect.text.contains("This locks you out") && effect.text.contains("Very wide ranges"),
        "{}",
        effect.text
    );
    let unasked = owner.submit(form(&effect.text, PAGE).with("do", "save")).await;
    assert_eq!(unasked.status.as_u16(), 400, "{}", unasked.text);
    let wide = form(&unasked.text, PAGE).with("do", "save").with("confirm_wide_ranges", "yes");
    let unasked = owner.submit(wide.clone()).await;
    assert_eq!(unasked.status.as_u16(), 400, "{}", unasked.text);
    assert!(unasked.text.contains("This locks you out"), "{}", unasked.text);
    let seen = world.server.send("GET", API, &world.password("owner"), &Value::Null).await.expect(200);
    assert_eq!(seen["ip_allowlist"]["mode"], "off");
    // Back to the form: everything is still there.
    let back = owner.submit(form(&unasked.text, PAGE).with("do", "back")).await;
    assert!(form(&back.text, PAGE).fields.iter().any(|(_, value)| value == "198.51.100.7"), "{}", back.text);
    let saved = owner.submit(wide.with("confirm_lockout", "yes")).await;
    assert_eq!(saved.status.as_u16(), 303, "{}", saved.text);
    let refused = owner.get(PAGE).await;
    assert!(
        matches!(refused.status.as_u16(), 403 | 404),
        "who locked themselves out is out: {}",
        refused.status
    );
}

#[tokio::test]
async fn an_own_rule_is_checked_beside_its_text_tried_saved_and_deleted() {
    let world = World::new().await;
    let owner = Browser::signed_in(&world.server, "owner", PASSWORD).await;
    let new = format!("{PAGE}/new-rule");
    let typed = owner.form(&new, &new).await.with("name", "no-app-passwords").with("mode", "on");
    let bad = typed.clone().with("policy", "permit (principal, action, resource);").with("do", "effect");
    let wrong = owner.submit(bad).await;
    assert_eq!(wrong.status.as_u16(), 400);
    assert!(
        wrong.text.contains("id=\"policy-error\"") && wrong.text.contains("only `forbid`"),
        "{}",
        wrong.text
    );
    assert_eq!(form(&wrong.text, &new).get("name"), Some("no-app-passwords"));
    let policy = "forbid (principal is User, action in Action::\"repository.write\", resource is Repository)\n\
                  when { context has credential && context.credential == \"app_password\" };";
    let effect = owner.submit(typed.with("policy", policy).with("do", "effect")).await;
    assert_eq!(effect.status.as_u16(), 200, "{}", effect.text);
    assert!(
        effect.text.contains("Own rule no-app-passwords") && effect.text.contains("What the solver says")
    );
    let saved = owner.submit(form(&effect.text, &new).with("do", "save")).await;
    assert_eq!((saved.status.as_u16(), saved.header("location")), (303, PAGE), "{}", saved.text);
    let rule = format!("{PAGE}/rules/no-app-passwords");
    let standing = owner.form(&rule, &rule).await;
    assert_eq!(standing.get("policy"), Some(policy));
    let effect = owner.submit(standing.clone().with("do", "delete")).await;
    assert!(effect.text.contains("Not there"), "{}", effect.text);
    let saved = owner.submit(form(&effect.text, &rule).with("do", "save")).await;
    assert_eq!(saved.status.as_u16(), 303, "{}", saved.text);
    assert_eq!(owner.get(&rule).await.status.as_u16(), 404);
    // The form that was opened before is told that it is late.
    let new_form = owner.form(&new, &new).await;
    let late = owner.submit(new_form.with("state", "0").with("policy", policy).with("do", "save")).await;
    assert!(late.text.contains("after you opened the page"), "{}", late.text);
}

#[tokio::test]
async fn nobody_else_sees_or_sets_them_and_the_instances_are_for_administrators() {
    let world = World::new().await;
    for person in ["member", "writer", "outsider"] {
        let other = Browser::signed_in(&world.server, person, PASSWORD).await;
        let seen = other.get(PAGE).await;
        assert!(matches!(seen.status.as_u16(), 403 | 404), "{person}: {}", seen.status);
        assert!(!other.get("/acme").await.text.contains(PAGE), "{person} is not led there");
        assert!(matches!(other.get("/-/guardrails").await.status.as_u16(), 403 | 404), "{person}");
    }
    let nobody = Browser::new(&world.server);
    let hidden = nobody.get(PAGE).await;
    assert!(hidden.status.as_u16() == 404 && hidden.text.contains("Sign in"), "{}", hidden.text);
    // Another site cannot send the form: neither its token nor where it comes from fits.
    let owner = Browser::signed_in(&world.server, "owner", PASSWORD).await;
    let forged = owner.form(PAGE, PAGE).await.with("form_token", "0").with("do", "save");
    assert_eq!(owner.submit(forged).await.status.as_u16(), 403);
}

#[tokio::test]
async fn what_the_instance_asks_of_all_is_shown_workspace_by_workspace_before_it_is_saved() {
    let world = World::new().await;
    let staff = json!({ "staff_role": "administrator" });
    let _ = world.server.administer("PUT", "/api/users/outsider", &staff).await;
    let administrator = Browser::signed_in(&world.server, "outsider", PASSWORD).await;
    let page = "/-/guardrails";
    let empty = administrator.form(page, page).await.with("do", "effect");
    let nothing = administrator.submit(empty.clone()).await;
    assert!(nothing.text.contains("Nobody: going by"), "{}", nothing.text);
    let effect = administrator.submit(empty.clone().with("second_step", "on")).await;
    assert_eq!(effect.status.as_u16(), 200, "{}", effect.text);
    let row = |workspace: &str| format!("<code class=\"strong\">{workspace}</code>");
    assert!(effect.text.contains("would be refused in 2 workspaces"), "{}", effect.text);
    assert!(effect.text.contains(&row("acme")) && effect.text.contains(&row("other")), "{}", effect.text);
    assert!(effect.text.contains("<span class=\"strong\">reader</span>"), "{}", effect.text);
    // What the interface says is the same.
    let asked = json!({ "second_step": { "mode": "on" } });
    let found = world.server.administer("POST", "/api/guardrails/effect", &asked).await;
    let here = |found: &Value, workspace: &str| {
        let all = found["workspaces"].as_array().cloned().unwrap_or_default();
        all.into_iter().find(|one| one["workspace"] == workspace).unwrap_or_default()
    };
    // Everybody but the outsider is granted something in the one, its owner and the server's first administrator alone
    // in the other.
    assert!(here(&found, "acme")["people"].as_i64() >= Some(7), "{found}");
    assert!(here(&found, "other")["people"].as_i64() <= Some(2), "{found}");
    assert_eq!(found["workspaces_total"], 2, "{found}");
    let people =
        format!("<td data-label=\"People\" class=\"number\">{}</td>", here(&found, "acme")["people"]);
    assert!(effect.text.contains(&people), "{people}: {}", effect.text);
    let seen = world.server.administer("GET", "/api/guardrails", &Value::Null).await;
    assert_eq!(seen["second_step"]["mode"], "off", "looking saves nothing");
    // Who is refused by a workspace's own guardrails already is refused nothing more.
    let owner = Browser::signed_in(&world.server, "owner", PASSWORD).await;
    let own = owner.form(PAGE, PAGE).await.with("second_step", "on").with("confirm_lockout", "yes");
    assert_eq!(owner.submit(own.with("do", "save")).await.status.as_u16(), 303);
    let found = world.server.administer("POST", "/api/guardrails/effect", &asked).await;
    assert_eq!(here(&found, "acme"), Value::Null, "{found}");
    assert_eq!(found["workspaces_total"], 1, "{found}");
    // It is the administrators' alone.
    for person in ["owner", "member"] {
        let refused =
            world.server.send("POST", "/api/guardrails/effect", &world.password(person), &asked).await;
        assert!(matches!(refused.status.as_u16(), 401 | 403 | 404), "{person}: {}", refused.text);
    }
    // Saved after its effect was seen.
    let again = administrator.submit(empty.with("second_step", "report")).await;
    let saved = administrator.submit(form(&again.text, page).with("do", "save")).await;
    assert_eq!((saved.status.as_u16(), saved.header("location")), (303, page), "{}", saved.text);
}
