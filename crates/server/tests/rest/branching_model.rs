//! `…/branching-model`, its settings, and `…/effective-branching-model`.

use serde_json::json;

use crate::harness::{As, BASE, House};

const ANN: As = As::User("ann");
const BEN: As = As::User("ben");
const ONE: &str = "/2.0/repositories/acme/one";
const MODEL: &str = "/2.0/repositories/acme/one/branching-model";
const SETTINGS: &str = "/2.0/repositories/acme/one/branching-model/settings";

#[tokio::test(flavor = "multi_thread")]
async fn a_model_follows_the_main_branch_until_it_is_set() {
    let house = House::open().await;
    house.send(ANN, "POST", ONE, "{}").await.is(200);
    let empty = house.get(ANN, MODEL).await.is(200);
    assert_eq!(empty["development"], json!({ "name": null, "use_mainbranch": true }));
    house.form(ANN, "POST", &format!("{ONE}/src"), "%2Fa=a&branch=main").await.is(201);
    house.form(ANN, "POST", &format!("{ONE}/src"), "%2Fb=b&branch=develop").await.is(201);
    let model = house.get(ANN, MODEL).await.is(200);
    assert_eq!((&model["type"], model.get("production")), (&json!("branching_model"), None));
    assert_eq!(model["links"]["self"]["href"], format!("{BASE}{MODEL}"));
    let development = &model["development"];
    assert_eq!((&development["name"], &development["branch"]["type"]), (&json!("main"), &json!("branch")));
    assert!(development["branch"]["target"]["hash"].is_string(), "{model}");
    let prefixed = |kind: &str| json!({ "kind": kind, "prefix": format!("{kind}/") });
    assert_eq!(model["branch_types"], json!(["release", "hotfix", "feature", "bugfix"].map(prefixed)));
    let effective = house.get(ANN, &format!("{ONE}/effective-branching-model")).await.is(200);
    assert_eq!(effective["type"], "effective_repo_branching_model");
    assert_eq!(effective["development"], *development);

    let body = json!({
        "development": { "use_mainbranch": false, "name": "develop" },
        "production": { "enabled": true, "use_mainbranch": true },
        "branch_types": [{ "kind": "feature", "prefix": "new/" }, { "kind": "bugfix", "enabled": false }],
        "default_branch_deletion": "true",
    });
    let set = house.send(ANN, "PUT", SETTINGS, &body.to_string()).await.is(200);
    assert_eq!(set, house.get(ANN, SETTINGS).await.is(200));
    assert_eq!(set["type"], "branching_model_settings");
    assert_eq!(set["development"], json!({ "is_valid": true, "name": "develop", "use_mainbranch": false }));
    assert_eq!(
        set["production"],
        json!({ "is_valid": true, "name": null, "use_mainbranch": true, "enabled": true })
    );
    assert_eq!(set["default_branch_deletion"], "true");
    let bugfix = json!({ "kind": "bugfix", "enabled": false, "prefix": "bugfix/" });
    assert!(set["branch_types"].as_array().unwrap().contains(&bugfix), "{set}");
    let model = house.get(ANN, MODEL).await.is(200);
    assert_eq!(
        (&model["development"]["name"], &model["production"]["name"]),
        (&json!("develop"), &json!("main"))
    );
    assert_eq!(model["branch_types"].as_array().unwrap().len(), 3);

    for (body, field) in [
        (json!({ "development": { "use_mainbranch": false, "name": "nowhere" } }), "development"),
        (json!({ "production": { "use_mainbranch": false } }), "production"),
        (json!({ "branch_types": [{ "kind": "feature", "prefix": "rel" }] }), "branch_types"),
        (json!({ "branch_types": [{ "kind": "feature", "prefix": "a*" }] }), "branch_types"),
    ] {
        let answer = house.send(ANN, "PUT", SETTINGS, &body.to_string()).await;
        answer.fails(400);
        assert!(answer.json()["error"]["fields"].get(field).is_some(), "{body}: {}", answer.json());
    }
    assert_eq!(house.get(ANN, SETTINGS).await.is(200), set);
    // What a branch that is deleted was set for stays, and says so.
    house.delete(ANN, &format!("{ONE}/refs/branches/develop")).await.is(204);
    assert_eq!(house.get(ANN, SETTINGS).await.is(200)["development"]["is_valid"], false);
    house.get(BEN, MODEL).await.fails(404);
}
