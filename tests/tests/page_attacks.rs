//! Attacks on people at a browser, through the pages. Each test's header tells the attack.

#![cfg(test)]

use server::route::{Method, ROUTES, Visibility};
use testkit::visitor::form_token;
use testkit::world::PASSWORD;
use testkit::{Visitor, World};

/// What would lead to another site, in the forms that browsers have taken for one.
const ELSEWHERE: &[&str] = &[
    "https://evil.example/",
    "//evil.example/",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/%0d%0aSet-Cookie:x=y\r\nLocation: https://evil.example",
    "javascript:alert(1)",
    "https:evil.example",
    " //evil.example",
];

/// The path of a row, with what is in the world and what is in none.
fn filled(path: &str) -> String {
    path.replace("{workspace}", "acme")
        .replace("{repo_slug}", "one")
        .replace("{project_key}", "CORE")
        .replace("{uuid}", "00000000-0000-4000-8000-000000000000")
        .replace("{username}", "reader")
        .replace(['{', '}', '*'], "")
}

/// Attack: a link to the sign-in page that leads to the attacker's copy of it after signing in.
#[tokio::test]
async fn nobody_is_led_to_another_site() {
    let world = World::new().await;
    for next in ELSEWHERE {
        let mut visitor = Visitor::new(&world.server);
        let fields = [("name", "reader"), ("password", PASSWORD), ("next", next)];
        let answer = visitor.send("/sign-in", &fields).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/"), "{next:?}");
        let theme = visitor.send("/-/theme", &[("theme", "dark"), ("next", next)]).await;
        assert_eq!(theme.header("location"), "/", "{next:?}");
        // The form that goes on after proof goes nowhere else either.
        let page = visitor.get("/step-up").await.text;
        let token = form_token(&page, "/step-up").expect("a token");
        let fields = [("form_token", &*token), ("password", PASSWORD), ("next", next), ("kept", "name=a")];
        let onward = visitor.send("/step-up", &fields).await;
        assert_eq!(onward.status, 200, "{}", onward.text);
        assert!(onward.text.contains("<form method=\"post\" action=\"/\" data-onward>"), "{}", onward.text);
        let passkey = visitor.send("/sign-in/passkey", &[("next", next)]).await.text;
        assert!(!passkey.contains("evil.example"), "{passkey}");
    }
    let mut visitor = Visitor::new(&world.server);
    let fields = [("name", "reader"), ("password", PASSWORD), ("next", "/acme/one?at=main")];
    assert_eq!(visitor.send("/sign-in", &fields).await.header("location"), "/acme/one?at=main");
}

/// Where a form goes on that an identity provider was asked in the middle of.
const CONFIRMED: &str = "/step-up/confirmed";

/// Attack: another site's page sends a form in its visitor's name (CSRF). Every form of every page is tried: without a
/// token, with one of another form, with another person's, and with the right one from elsewhere.
#[tokio::test]
async fn forms_are_taken_from_this_sites_pages_alone() {
    let world = World::new().await;
    let mut owner = Visitor::signed_in(&world.server, "owner", PASSWORD).await;
    let mut other = Visitor::signed_in(&world.server, "reader", PASSWORD).await;
    let own = form_token(&owner.get("/account").await.text, "/sign-out").expect("a token");
    let foreign = form_token(&other.get("/account").await.text, "/sign-out").expect("a token");
    let forms = ROUTES.iter().filter(|row| row.is_page() && row.method == Method::Post);
    let mut tried = 0;
    for row in forms.filter(|row| row.visibility != Visibility::Public) {
        let path = filled(row.path);
        // It comes back after the session's secret has changed, and leads to a form that has a token.
        if path == CONFIRMED {
            continue;
        }
        let mut tokens = vec!["", &*foreign];
        tokens.extend((path != "/sign-out").then_some(&*own));
        for token in tokens {
            let answer = owner.send(&path, &[("form_token", token), ("name", "x")]).await;
            assert_eq!(answer.status, 403, "{path} with `{token}`: {}", answer.text);
        }
        tried += 1;
    }
    assert!(tried > 15, "only {tried} forms were tried");
    for headers in [
        &[("origin", "https://evil.example")][..],
        &[("origin", "null")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[],
    ] {
        let answer = owner.send_from(headers, "/sign-out", &[("form_token", &own)]).await;
        assert_eq!(answer.status, 403, "{headers:?}");
        let kept = [("next", "/account/api-tokens/new"), ("kept", "name=x&kept=")];
        assert_eq!(owner.send_from(headers, CONFIRMED, &kept).await.status, 403, "{headers:?}");
        // And nobody is signed in to the attacker's account unasked.
        let mut victim = Visitor::new(&world.server);
        let fields = [("name", "reader"), ("password", PASSWORD)];
        let answer = victim.send_from(headers, "/sign-in", &fields).await;
        assert_eq!(answer.status, 403, "{headers:?}");
        assert!(victim.session.is_none());
    }
    assert_eq!(owner.send("/sign-out", &[("form_token", &own)]).await.status, 303);
}

/// Attack: the attacker plants a cookie that they know and waits until its bearer signs in (session fixation); or keeps
/// an old one after the session has changed or ended.
#[tokio::test]
async fn a_session_never_keeps_a_secret_that_somebody_may_know() {
    let world = World::new().await;
    let planted = Visitor::signed_in(&world.server, "outsider", PASSWORD).await.session.expect("a session");
    let mut victim = Visitor::new(&world.server);
    victim.session = Some(planted.clone());
    let _ = victim.send("/sign-in", &[("name", "reader"), ("password", PASSWORD)]).await;
    let first = victim.session.clone().expect("a session");
    assert_ne!(first.expose(), planted.expose(), "signing in makes another secret");
    let mut attacker = Visitor::new(&world.server);
    attacker.session = Some(planted);
    assert_eq!(attacker.get("/acme/one").await.status, 404, "the planted secret is still its maker's");

    let token = form_token(&victim.get("/step-up").await.text, "/step-up").expect("a token");
    let raised = victim.send("/step-up", &[("form_token", &token), ("password", PASSWORD)]).await;
    assert_eq!(raised.status, 303, "{}", raised.text);
    let second = victim.session.clone().expect("a session");
    assert_ne!(first.expose(), second.expose(), "proving who one is makes another secret");
    attacker.session = Some(first);
    assert_ne!(attacker.get("/acme/one").await.status, 200, "the secret before is over");
    let signing_out = form_token(&victim.get("/account").await.text, "/sign-out").expect("a token");
    let _ = victim.send("/sign-out", &[("form_token", &signing_out)]).await;
    attacker.session = Some(second);
    assert_ne!(attacker.get("/acme/one").await.status, 200, "a session that was ended is over");
}

/// Attack: a name that is markup, or that turns the writing around, on a page that somebody else reads.
#[tokio::test]
async fn names_are_words_and_never_markup() {
    const MARKUP: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
    let world = World::new().await;
    let mut owner = Visitor::signed_in(&world.server, "owner", PASSWORD).await;
    for path in ["/account/app-passwords/new", "/acme/one/settings/access-tokens/new"] {
        let token = form_token(&owner.get(path).await.text, path).expect("a token");
        let fields = [("form_token", &*token), ("name", MARKUP), ("scope", "repository"), ("do", "create")];
        let made = owner.send(path, &fields).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let turned = [("form_token", &*token), ("name", "\u{202e}nimda"), ("scope", "repository")];
        let refused = owner.send(path, &turned).await;
        assert_eq!(refused.status, 400, "{}", refused.text);
        for page in [made, refused] {
            assert!(
                !page.text.contains("<script>alert") && !page.text.contains("<img src=x"),
                "{}",
                page.text
            );
        }
    }
    let next = "/sign-in?next=/%22%3E%3Cscript%3Ealert(1)%3C/script%3E";
    for page in ["/account", "/acme/one/settings/access-tokens", next, "/search?q=%3Cscript%3Ealert(1)"] {
        let shown = owner.get(page).await;
        assert_eq!(shown.status, 200, "{page}");
        assert!(!shown.text.contains("<script>alert") && !shown.text.contains("<img src=x"), "{page}");
        let policy = shown.header("content-security-policy");
        assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{page}: {policy}");
    }
    let listed = owner.get("/account").await.text;
    assert!(listed.contains("script") && listed.contains("alert(1)"), "the name is shown as it is");
}
