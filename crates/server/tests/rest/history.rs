//! `…/commits`, `…/commit`, `…/merge-base`, `…/diff`, `…/diffstat`, `…/patch`, `…/filehistory`.

use serde_json::json;

use crate::harness::{As, BASE, House};

const ANN: As = As::User("ann");
const ONE: &str = "/2.0/repositories/acme/one";

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_says_who_wrote_it_and_what() {
    let house = House::open().await;
    let [second, first] = house.with_commits().await;
    let commit = house.get(ANN, &format!("{ONE}/commit/{}", &second[..10])).await.is(200);
    assert_eq!((&commit["type"], &commit["hash"]), (&json!("commit"), &json!(second)));
    assert_eq!(
        (&commit["message"], &commit["date"]),
        (&json!("second\n\nbody\n"), &json!("2023-11-14T22:13:20.000000+00:00"))
    );
    assert_eq!(commit["author"]["raw"], "ann <ann@example.com>");
    assert_eq!(commit["author"]["user"]["nickname"], "ann");
    assert_eq!(commit["parents"][0]["hash"], first);
    assert_eq!(commit["repository"]["full_name"], "acme/one");
    assert_eq!(commit["links"]["diff"]["href"], format!("{BASE}{ONE}/diff/{second}"));
    house.get(ANN, &format!("{ONE}/commit/{}", "0".repeat(40))).await.fails(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_goes_on_where_it_began_though_the_branch_moves() {
    let house = House::open().await;
    let [second, first] = house.with_commits().await;
    let page = house.get(ANN, &format!("{ONE}/commits/main?pagelen=1")).await;
    assert_eq!(page.names("hash"), [second.as_str()]);
    let page = page.json();
    assert!(page.get("size").is_none() && page.get("page").is_none(), "{page}");
    house.commit("new=file&message=third").await;
    let next = page["next"].as_str().unwrap().strip_prefix(BASE).unwrap();
    let last = house.get(ANN, next).await;
    assert_eq!(last.names("hash"), [first.as_str()]);
    assert!(last.json().get("next").is_none());

    house
        .form(ANN, "POST", &format!("{ONE}/src"), &format!("side=1&message=side&branch=side&parents={first}"))
        .await;
    let house = &house;
    let messages = |path: String| async move { house.get(ANN, &path).await.names("message") };
    let all = messages(format!("{ONE}/commits")).await;
    assert_eq!(all.len(), 4, "{all:?}");
    assert_eq!(messages(format!("{ONE}/commits?include=side&exclude=main")).await, ["side\n"]);
    assert_eq!(messages(format!("{ONE}/commits/main?path=src/")).await, ["first\n"]);
    assert_eq!(messages(format!("{ONE}/commits/main?exclude={second}")).await, ["third\n"]);
    let form = house.form(ANN, "POST", &format!("{ONE}/commits"), "include=side&exclude=main").await;
    assert_eq!(form.names("message"), ["side\n"]);
    house.get(ANN, &format!("{ONE}/commits/nowhere")).await.fails(404);
    house.get(ANN, &format!("{ONE}/commits?page=..%2F")).await.fails(400);
    let base = house.get(ANN, &format!("{ONE}/merge-base/side..main")).await.is(200);
    assert_eq!((&base["type"], &base["hash"]), (&json!("commit"), &json!(first)));
    house.get(ANN, &format!("{ONE}/merge-base/side")).await.fails(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_without_commits_has_an_empty_history() {
    let house = House::open().await;
    house.send(ANN, "POST", ONE, "{}").await.is(200);
    assert_eq!(house.get(ANN, &format!("{ONE}/commits")).await.is(200)["values"], json!([]));
    assert_eq!(house.get(ANN, &format!("{ONE}/refs")).await.is(200)["size"], 0);
    house.get(ANN, &format!("{ONE}/src")).await.fails(404);
    house.get(ANN, &format!("{ONE}/commits/main")).await.fails(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn diffs_name_the_source_first() {
    let house = House::open().await;
    let [second, first] = house.with_commits().await;
    let plain = house.get(ANN, &format!("{ONE}/diff/{second}")).await;
    assert_eq!((plain.status, plain.header("content-type")), (200, "text/plain"));
    assert!(
        plain.text().contains("+two") && plain.text().starts_with("diff --git a/README.md"),
        "{}",
        plain.text()
    );
    // The source comes first: from the older to the younger nothing is new to the destination.
    assert_eq!(house.get(ANN, &format!("{ONE}/diff/{first}..{second}")).await.text(), "");
    let back = house.get(ANN, &format!("{ONE}/diff/{first}..{second}?topic=false")).await.text();
    assert!(back.contains("-two"), "{back}");
    assert_eq!(house.get(ANN, &format!("{ONE}/diff/{second}?path=src/main.rs")).await.text(), "");
    house.get(ANN, &format!("{ONE}/diff/{second}?topic=true&merge=true")).await.fails(400);
    house.get(ANN, &format!("{ONE}/diff/{second}?context=x")).await.fails(400);
    house.get(ANN, &format!("{ONE}/diff/nowhere..{second}")).await.fails(404);
    let patch = house.get(ANN, &format!("{ONE}/patch/{second}")).await.text();
    assert!(patch.contains("Subject: [PATCH] second") && patch.contains("+two"), "{patch}");

    let stat = house.get(ANN, &format!("{ONE}/diffstat/{second}")).await.is(200);
    assert_eq!((&stat["size"], &stat["values"][0]["type"]), (&json!(1), &json!("diffstat")));
    let file = &stat["values"][0];
    assert_eq!(
        (&file["status"], &file["lines_added"], &file["lines_removed"]),
        (&json!("modified"), &json!(1), &json!(0))
    );
    assert_eq!(file["new"]["path"], "README.md");
    assert_eq!(file["old"]["links"]["self"]["href"], format!("{BASE}{ONE}/src/{first}/README.md"));
    let all = house.get(ANN, &format!("{ONE}/diffstat/{first}?pagelen=1")).await;
    assert_eq!((all.names("status"), &all.json()["size"]), (vec!["added".to_owned()], &json!(2)));
    assert_eq!(all.json()["values"][0]["old"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_files_history_goes_through_its_renames() {
    let house = House::open().await;
    house.with_commits().await;
    house.commit("LIESMICH.md=one%0Atwo%0A&files=README.md&message=renamed").await;
    let history = format!("{ONE}/filehistory/main/LIESMICH.md");
    let all = house.get(ANN, &history).await;
    assert_eq!(all.names("path")[0], "LIESMICH.md");
    assert_eq!(all.names("commit.message").len(), 3, "{}", all.text());
    assert_eq!(all.names("path")[2], "README.md");
    assert_eq!(all.json()["values"][2]["size"], 4);
    let first = house.get(ANN, &format!("{history}?pagelen=2")).await.is(200);
    let next = first["next"].as_str().unwrap().strip_prefix(BASE).unwrap();
    assert_eq!(house.get(ANN, next).await.names("path"), ["README.md"]);
    assert_eq!(
        house.get(ANN, &format!("{history}?renames=false")).await.is(200)["values"].as_array().unwrap().len(),
        1
    );
    house.get(ANN, &format!("{ONE}/filehistory/main/nothing")).await.fails(404);
    house.get(ANN, &format!("{history}?q=path%3D%22x%22")).await.fails(400);
}
