//! Budgets of requests, from outside. Attack: a loop that ran away, or somebody who means harm, keeps others from being
//! answered; or spends the budget of somebody else to shut them out.

#![cfg(test)]

use serde_json::Value;
use testkit::{GitClient, Login, Server, World};

const ONE: &str = "/2.0/repositories/acme/one";

async fn get(world: &World, path: &str, login: &Login) -> testkit::Answer {
    world.server.send("GET", path, login, &Value::Null).await
}

#[tokio::test]
async fn a_spent_budget_is_told_and_is_nobody_elses() {
    let flags = ["--rate-limit", "repositories=10,git=10000,anonymous=10"];
    let world = World::on(Server::start_with(&flags)).await;
    let owner = world.app_password("owner");
    let tokens = "/api/repositories/acme/one/access-tokens";
    let token = Login::Bearer(world.mint(&world.password("repoadmin"), tokens, &["repository"]).await);
    let reader = world.app_password("reader");

    for spent in 1..=10 {
        let answer = get(&world, ONE, &reader).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let told = ["limit", "resource", "nearlimit"]
            .map(|name| answer.header(&format!("x-ratelimit-{name}")).to_owned());
        assert_eq!(told, ["10", "repositories", if spent > 8 { "true" } else { "false" }], "after {spent}");
    }
    let refused = get(&world, ONE, &reader).await;
    assert_eq!(refused.status, 429, "{}", refused.text);
    assert_eq!(refused.json["error"]["data"]["code"], "too-many-requests", "{}", refused.text);
    let seconds: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=361).contains(&seconds), "a tenth of an hour, not {seconds} seconds");

    // Others go on; so does the same credential with other calls, and git.
    assert_eq!(get(&world, ONE, &token).await.status, 200);
    assert_eq!(get(&world, ONE, &world.app_password("writer")).await.status, 200);
    assert_eq!(get(&world, "/2.0/user", &reader).await.status, 200);
    let git = GitClient::new().with_login(&world.server.url, &reader);
    let listed = git.run(git.home(), ["ls-remote", &world.address("one")]);
    let _ = listed.expect_success();

    // Nobody known is counted by address, and does not spend what belongs to who is known from there.
    let mut asked = 0;
    while get(&world, ONE, &Login::Nobody).await.status != 429 {
        asked += 1;
        assert!(asked <= 10, "the budget of whoever is not known is ten");
    }
    assert_eq!(get(&world, "/2.0/user", &owner).await.status, 200);
}
