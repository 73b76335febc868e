//! All tokens of a workspace: found, and several revoked at once, each with what became of it.

use serde_json::{Value, json};
use testkit::world::PASSWORD;
use testkit::{Browser, World, form};

const PAGE: &str = "/acme/workspace/settings/tokens";

#[tokio::test]
async fn chosen_tokens_are_revoked_after_a_question_and_each_is_told_of() {
    let world = World::new().await;
    let owner = world.password("owner");
    let mut ids = Vec::new();
    for (place, name) in [
        ("/api/repositories/acme/one/access-tokens", "mirror"),
        ("/api/workspaces/acme/projects/CORE/access-tokens", "deploy <i>"),
        ("/api/workspaces/acme/access-tokens", "nightly"),
    ] {
        let made = world.mint_with(&owner, place, json!({ "name": name, "scopes": ["repository"] })).await;
        ids.push(made["uuid"].as_str().unwrap().to_owned());
    }
    let browser = Browser::signed_in(&world.server, "owner", PASSWORD).await;
    let shown = browser.page(PAGE).await;
    assert!(
        shown.contains("No end") && shown.contains("repository acme/one") && !shown.contains("deploy <i>"),
        "{shown}"
    );
    let found = browser.page(&format!("{PAGE}?q=night&advice=no-end")).await;
    assert!(found.contains("nightly") && !found.contains("mirror"), "{found}");
    assert!(browser.page(&format!("{PAGE}?advice=creator-gone")).await.contains("No token is like this"));
    let mut choice =
        testkit::forms(&shown).into_iter().find(|form| form.get("form_token").is_some()).unwrap();
    let nothing = browser.submit(choice.clone().with("do", "choose")).await;
    assert!(
        nothing.status.as_u16() == 400 && nothing.text.contains("choose at least one"),
        "{}",
        nothing.text
    );
    let bare = |id: &str| id.trim_matches(['{', '}']).to_owned();
    choice.fields.push(("token".to_owned(), bare(&ids[0])));
    choice.fields.push(("token".to_owned(), bare(&ids[1])));
    let question = browser.submit(choice.with("do", "choose")).await;
    assert!(question.text.contains("Revoke these 2 tokens"), "{}", question.text);
    // One of them ends by another hand meanwhile.
    let path = format!("/api/repositories/acme/one/access-tokens/{}", ids[0])
        .replace('{', "%7B")
        .replace('}', "%7D");
    let _ = world.server.send("DELETE", &path, &owner, &Value::Null).await.expect(204);
    let done = browser.submit(form(&question.text, PAGE).with("do", "revoke")).await;
    assert!(
        done.text.contains("It was not there any more") && done.text.contains(">Revoked<"),
        "{}",
        done.text
    );
    let left = browser.page(PAGE).await;
    assert!(left.contains("nightly") && !left.contains("mirror") && !left.contains("deploy"), "{left}");
    let api = json!({ "uuids": [ids[1], ids[2]] });
    let told =
        world.server.send("POST", "/api/workspaces/acme/tokens/revoke", &owner, &api).await.expect(200);
    assert_eq!(
        (told["revoked"][0].as_str(), told["gone"][0].as_str()),
        (Some(ids[2].as_str()), Some(ids[1].as_str()))
    );
    assert_eq!(told["failed"], json!([]));
    let member = Browser::signed_in(&world.server, "member", PASSWORD).await;
    assert_eq!(member.get(PAGE).await.status.as_u16(), 403);
}
