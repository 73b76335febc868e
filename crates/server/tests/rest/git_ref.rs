//! `…/refs`, `…/refs/branches`, `…/refs/tags`.

use serde_json::json;

use crate::harness::{As, BASE, House};

const ANN: As = As::User("ann");
const BEN: As = As::User("ben");
const REFS: &str = "/2.0/repositories/acme/one/refs";

fn body(name: &str, hash: &str) -> String {
    json!({"name": name, "target": {"hash": hash}}).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_are_made_listed_and_deleted() {
    let house = House::open().await;
    let [second, first] = house.with_commits().await;
    let branches = format!("{REFS}/branches");
    let made = house.send(ANN, "POST", &branches, &body("feature/a b", &first)).await;
    made.fails(400);
    let made = house.send(ANN, "POST", &branches, &body("feature/v10", &first[..8])).await;
    assert_eq!(made.header("location"), format!("{BASE}{branches}/feature/v10"));
    let made = made.is(201);
    assert_eq!((&made["type"], &made["target"]["hash"]), (&json!("branch"), &json!(first)));
    assert_eq!(made["target"]["type"], "commit");
    assert_eq!(made["default_merge_strategy"], "merge_commit");
    house.send(ANN, "POST", &branches, &body("feature/v9", "main")).await.is(201);
    for (name, hash) in [("feature/v9", "main"), ("feature", "main"), ("x", "nowhere"), ("a..b", "main")] {
        let refused = house.send(ANN, "POST", &branches, &body(name, hash)).await;
        assert!([400, 409].contains(&refused.status), "{name} {hash}: {}", refused.text());
    }
    assert_eq!(house.get(ANN, &branches).await.names("name"), ["feature/v10", "feature/v9", "main"]);
    let sorted = house.get(ANN, &format!("{branches}?sort=name&q=name~%22FEATURE%22")).await;
    assert_eq!(sorted.names("name"), ["feature/v9", "feature/v10"]);
    let by_hash = house.get(ANN, &format!("{branches}?q=target.hash%3D%22{second}%22&pagelen=1")).await;
    assert_eq!((by_hash.names("name"), &by_hash.json()["size"]), (vec!["feature/v9".to_owned()], &json!(2)));
    // A slash in a name may be sent either way.
    for name in ["feature/v10", "feature%2Fv10"] {
        assert_eq!(house.get(ANN, &format!("{branches}/{name}")).await.is(200)["name"], "feature/v10");
    }
    house.get(ANN, &format!("{branches}/feature")).await.fails(404);
    house.delete(ANN, &format!("{branches}/main")).await.fails(400);
    house.delete(ANN, &format!("{branches}/feature%2Fv9")).await.is(204);
    house.delete(ANN, &format!("{branches}/feature%2Fv9")).await.fails(404);
    house.send(BEN, "POST", &branches, &body("mine", "main")).await.fails(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_is_annotated_and_says_by_whom() {
    let house = House::open().await;
    let [second, _] = house.with_commits().await;
    let tags = format!("{REFS}/tags");
    let made = house.send(ANN, "POST", &tags, &body("v1", &second)).await.is(201);
    assert_eq!((&made["type"], &made["target"]["hash"]), (&json!("tag"), &json!(second)));
    assert_eq!(
        made["message"].as_str().unwrap().trim_end(),
        format!("Added tag v1 for changeset {}", &second[..7])
    );
    assert_eq!(made["tagger"]["raw"], "ann <ann@example.com>");
    assert_eq!(made["tagger"]["user"]["nickname"], "ann");
    assert_eq!(made["date"], "2023-11-14T22:13:20.000000+00:00");
    let with_message =
        json!({"name": "v2", "target": {"hash": "main"}, "message": "two\n\nlines"}).to_string();
    house.send(ANN, "POST", &tags, &with_message).await.is(201);
    let v2 = house.get(ANN, &format!("{tags}/v2")).await.is(200);
    assert_eq!(v2["message"].as_str().unwrap().trim_end(), "two\n\nlines");
    assert_eq!(house.get(ANN, REFS).await.names("name"), ["main", "v1", "v2"]);
    assert_eq!(house.get(ANN, &format!("{REFS}?q=type%3D%22tag%22")).await.names("name"), ["v1", "v2"]);
    house.delete(ANN, &format!("{tags}/v1")).await.is(204);
    house.get(ANN, &format!("{tags}/v1")).await.fails(404);
}

/// Would catch: a ref that is moved by the API without a record of who did.
#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_a_ref_is_recorded_twice() {
    let house = House::open().await;
    house.with_commits().await;
    house.send(ANN, "POST", &format!("{REFS}/branches"), &body("x", "main")).await.is(201);
    house.delete(ANN, &format!("{REFS}/branches/x")).await.is(204);
    let actions = house.actions().await;
    let of = |action: &str| actions.iter().filter(|one| one.as_str() == action).count();
    assert_eq!(of("commit.create"), 2, "{actions:?}");
    assert_eq!((of("ref.create"), of("ref.delete"), of("repository.push")), (1, 1, 4), "{actions:?}");
}
