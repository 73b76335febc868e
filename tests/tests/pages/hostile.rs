//! What people call things, and what they push, on pages that others read.
//!
//! Would catch: a name that is markup on a page of administration, one that turns the writing around it, a page that a
//! long line or deep nesting makes slow or large.

use std::time::{Duration, Instant};

use serde_json::json;
use testkit::world::PASSWORD;
use testkit::{Browser, Form, World, form, forms};

const MARKUP: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>";
/// Words that are written from right to left, with what is markup around them.
const HEBREW: &str = "מנהל <b>(1)</b>";
const TURNED: &str = "\u{202e}nimda";
const SETTINGS: &str = "/acme/workspace/settings";

/// The longest that a page may take on a machine that does other things, unoptimised.
const LONG: Duration = Duration::from_secs(20);
/// The most bytes of a page, whatever it shows.
const LARGE: usize = 2 << 20;

fn sent_by(page: &str, wanted: &str) -> Form {
    let found = forms(page).into_iter().find(|form| form.get("do") == Some(wanted));
    found.unwrap_or_else(|| panic!("no form does `{wanted}`: {page}"))
}

async fn name_people_and_things(world: &World, owner: &Browser<'_>) {
    for (username, name) in [("mallory", MARKUP), ("nehama", HEBREW)] {
        let body =
            json!({ "username": username, "email": format!("{username}@example.com"), "display_name": name });
        let _ = world.server.administer("POST", "/api/users", &body).await;
        let shown = owner.page(&format!("{SETTINGS}/members")).await;
        let add = sent_by(&shown, "add").with("username", username).with("permission", "member");
        assert_eq!(owner.submit(add).await.status.as_u16(), 303);
    }
    let groups = format!("{SETTINGS}/groups");
    for name in [MARKUP, HEBREW] {
        let made = owner.submit(owner.form(&groups, &groups).await.with("name", name)).await;
        assert_eq!(made.status.as_u16(), 303, "{}", made.text);
        let body = json!({ "name": name, "scopes": ["repository"] });
        let path = "/api/repositories/acme/one/access-tokens";
        let _ = world.mint_with(&world.password("owner"), path, body).await;
        let group = made.header("location").to_owned();
        let put_in = sent_by(&owner.page(&group).await, "put-in").with("username", "mallory");
        assert_eq!(owner.submit(put_in).await.status.as_u16(), 303);
        let slug = group.rsplit('/').next().unwrap();
        let page = "/acme/one/settings/permissions";
        let grant = sent_by(&owner.page(page).await, "grant").with("kind", "group").with("name", slug);
        let granted = owner.submit(grant.with("permission", "read")).await;
        assert_eq!(granted.status.as_u16(), 303, "{}", granted.text);
    }
}

#[tokio::test]
async fn names_on_pages_of_administration_are_words() {
    let world = World::new().await;
    let owner = Browser::signed_in(&world.server, "owner", PASSWORD).await;
    name_people_and_things(&world, &owner).await;
    let groups = owner.page(&format!("{SETTINGS}/groups")).await;
    let group = groups.split(&format!("href=\"{SETTINGS}/groups/")).nth(1).expect("a group");
    let group = format!("{SETTINGS}/groups/{}", group.split('"').next().unwrap());
    let audit = owner.page(&format!("{SETTINGS}/audit?action=access-token.create")).await;
    let request = audit.split(&format!("href=\"{SETTINGS}/audit/requests/")).nth(1).expect("a request");
    let request = format!("{SETTINGS}/audit/requests/{}", request.split('"').next().unwrap());
    let mut shown_as_it_is = 0;
    for path in [
        &format!("{SETTINGS}/members"),
        &format!("{SETTINGS}/members/mallory/remove"),
        &format!("{SETTINGS}/groups"),
        &group,
        &format!("{SETTINGS}/tokens"),
        "/acme/one/settings/access-tokens",
        "/acme/one/settings/permissions",
        "/acme/workspace/projects/CORE/settings/permissions",
        &format!("{SETTINGS}/audit"),
        &request,
        &format!("{SETTINGS}/audit?actor=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&resource=%E2%80%AEx"),
        &format!("{SETTINGS}/tokens?q=name%3D%22%3Cscript%3Ealert(1)%22"),
        &format!("{SETTINGS}/groups/%3Cscript%3Ealert(1)%3C%2Fscript%3E"),
        &format!("{SETTINGS}/members/%3Cimg%20src=x%20onerror=alert(1)%3E/remove"),
    ] {
        let page = owner.get(path).await.text;
        for markup in ["<script>alert", "<img src=x", "<b>(1)"] {
            assert!(!page.contains(markup), "{path} holds {markup}: {page}");
        }
        // A name written from right to left stands in an element of its own, which turns nothing beside it.
        for (at, _) in page.match_indices("מנהל") {
            let before = page[..at].rsplit('<').next().unwrap();
            let isolated = ["h1>", "bdi>", "code>", "option", "dd>", "pre", "title>"];
            let apart = before.contains("strong") || isolated.iter().any(|one| before.starts_with(one));
            let in_attribute = !before.contains('>');
            assert!(apart || in_attribute, "{path} shows a name beside other words: <{before}");
            shown_as_it_is += usize::from(apart);
        }
    }
    assert!(shown_as_it_is >= 5, "the names were on {shown_as_it_is} places");
    // What turns the writing around is no name, and the form says so beside the field.
    let groups = format!("{SETTINGS}/groups");
    let turned = owner.submit(owner.form(&groups, &groups).await.with("name", TURNED)).await;
    assert_eq!(turned.status.as_u16(), 400);
    assert!(turned.text.contains("id=\"name-error\""), "{}", turned.text);
    let change = sent_by(&owner.page(&group).await, "change").with("name", TURNED);
    assert_eq!(owner.submit(change).await.status.as_u16(), 400);
    let general = format!("{SETTINGS}/general");
    let renamed = forms(&owner.page(&general).await).remove(0).with("name", TURNED);
    assert_eq!(owner.submit(renamed).await.status.as_u16(), 400);
    let new = "/acme/one/settings/access-tokens/new";
    let named = form(&owner.page(new).await, new).with("name", TURNED).with("scope", "repository");
    assert_eq!(owner.submit(named.with("do", "create")).await.status.as_u16(), 400);
    let names = json!({ "username": "turned", "email": "turned@example.com", "display_name": TURNED });
    let refused = world.server.send("POST", "/api/users", &world.server.administrator, &names).await;
    assert_eq!(refused.status.as_u16(), 400, "{}", refused.text);
}

/// Texts that nobody reads and that are costly to lay out.
fn costly() -> Vec<(&'static str, Vec<u8>)> {
    let repeated = |piece: &str, times: usize| piece.repeat(times).into_bytes();
    let quotes: String = (1..600).map(|depth| format!("{} x\n", ">".repeat(depth))).collect();
    let lists: String = (0..400).map(|depth| format!("{}- x\n", "  ".repeat(depth))).collect();
    vec![
        ("a line of ten megabytes", repeated("long ", 2 << 20)),
        ("quotes in quotes", quotes.into_bytes()),
        ("one quote, very deep", repeated("> ", 60_000)),
        ("lists in lists", lists.into_bytes()),
        ("brackets that stay open", repeated("[", 200_000)),
        ("pictures that stay open", repeated("![x](", 40_000)),
        ("emphasis that stays open", repeated("*a _b ", 30_000)),
        ("elements that stay open", repeated("<div><b>", 25_000)),
        ("columns without end", format!("{}\n{}\n", "|x".repeat(20_000), "|-".repeat(20_000)).into_bytes()),
    ]
}

#[tokio::test]
async fn what_is_pushed_makes_no_page_slow_or_large() {
    let world = World::new().await;
    let (git, remote) = (world.git("owner"), world.address("one"));
    let copy = git.working_copy("one");
    let owner = Browser::signed_in(&world.server, "owner", PASSWORD).await;
    for (what, text) in costly() {
        let commit = git.commit(&copy, "README.md", text);
        let _ = git.run(&copy, ["push", "--quiet", &remote, "main"]).expect_success();
        for path in [
            "/acme/one",
            "/acme/one/src/main/README.md",
            &format!("/acme/one/commits/{commit}"),
            "/acme/one/commits",
        ] {
            let begun = Instant::now();
            let page = owner.page(path).await;
            let (took, size) = (begun.elapsed(), page.len());
            assert!(took < LONG && size < LARGE, "{what}, {path}: {took:?}, {size} bytes");
            assert!(page.trim_end().ends_with("</html>"), "{what}, {path} is not whole");
        }
    }
}
