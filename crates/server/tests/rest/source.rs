//! `…/src`.

use serde_json::json;

use crate::harness::{As, BASE, House};

const ANN: As = As::User("ann");
const BEN: As = As::User("ben");
const SRC: &str = "/2.0/repositories/acme/one/src";

#[tokio::test(flavor = "multi_thread")]
async fn the_root_leads_to_the_main_branchs_commit() {
    let house = House::open().await;
    let [second, _] = house.with_commits().await;
    let root = house.get(ANN, &format!("{SRC}?pagelen=5")).await;
    assert_eq!(
        (root.status, root.header("location")),
        (302, format!("{BASE}{SRC}/{second}/?pagelen=5").as_str())
    );
    let list = house.get(ANN, root.header("location").strip_prefix(BASE).unwrap()).await;
    assert_eq!(list.names("path"), ["README.md", "src"]);
    let list = list.json();
    assert_eq!((&list["size"], &list["pagelen"]), (&json!(2), &json!(5)));
    let (file, directory) = (&list["values"][0], &list["values"][1]);
    assert_eq!(
        (&file["type"], &file["size"], &file["attributes"]),
        (&json!("commit_file"), &json!(8), &json!([]))
    );
    assert_eq!((&file["commit"]["hash"], &file["mimetype"]), (&json!(second), &json!("text/markdown")));
    assert_eq!(directory["type"], "commit_directory");
    assert_eq!(directory["links"]["self"]["href"], format!("{BASE}{SRC}/{second}/src/"));
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_are_listed_to_a_depth_filtered_and_sorted() {
    let house = House::open().await;
    house.with_commits().await;
    house.commit("a/b/c.txt=12345&message=deep").await;
    let house = &house;
    let names = |query: &'static str| async move {
        house.get(ANN, &format!("{SRC}/main/{query}")).await.names("path")
    };
    assert_eq!(names("").await, ["README.md", "a", "src"]);
    assert_eq!(names("?max_depth=2").await, ["README.md", "a", "a/b", "src", "src/main.rs"]);
    assert_eq!(names("?max_depth=9&q=size%3E7&sort=-size").await, ["src/main.rs", "README.md"]);
    assert_eq!(names("?q=type%3D%22commit_directory%22&sort=-path").await, ["src", "a"]);
    assert_eq!(names("a").await, ["a/b"]);
    assert_eq!(names("a/b/?pagelen=1").await, ["a/b/c.txt"]);
    house.get(ANN, &format!("{SRC}/main/?max_depth=0")).await.fails(400);
    let first = house.get(ANN, &format!("{SRC}/main/?max_depth=3&pagelen=4")).await.is(200);
    let next = first["next"].as_str().unwrap().strip_prefix(BASE).unwrap();
    assert!(!next.contains("/main/"), "the pages of a walk are of one commit: {next}");
    assert_eq!(house.get(ANN, next).await.names("path"), ["src", "src/main.rs"]);
    let meta = house.get(ANN, &format!("{SRC}/main/a/b/c.txt?format=meta")).await.is(200);
    assert_eq!((&meta["path"], &meta["size"]), (&json!("a/b/c.txt"), &json!(5)));
    assert_eq!(
        house.get(ANN, &format!("{SRC}/main/a?format=meta")).await.is(200)["type"],
        "commit_directory"
    );
    assert_eq!(house.get(ANN, &format!("{SRC}/main?format=meta")).await.is(200)["path"], "");
    house.get(ANN, &format!("{SRC}/main/a?format=rendered")).await.fails(400);
    house.get(ANN, &format!("{SRC}/main/nothing")).await.fails(404);
}

/// Attack: a page in the repository that a browser is made to run under the house's own origin.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_sent_as_it_is_and_never_as_a_page() {
    let house = House::open().await;
    house.with_commits().await;
    house.commit("evil.html=%3Cscript%3Ealert(1)%3C/script%3E&message=x").await;
    let file = house.get(ANN, &format!("{SRC}/main/evil.html")).await;
    assert_eq!((file.status, file.text().as_str()), (200, "<script>alert(1)</script>"));
    assert_eq!(
        (file.header("content-type"), file.header("x-content-type-options")),
        ("text/plain", "nosniff")
    );
    assert!(file.header("content-disposition").starts_with("attachment; filename=\"evil.html\""));
    assert!(file.header("content-security-policy").contains("sandbox"));
    assert_eq!(file.header("content-length"), "25");
    let tag = file.header("etag").to_owned();
    for sent in [tag.as_str(), "*", &format!("\"other\", W/{tag}")] {
        let path = format!("{SRC}/main/evil.html");
        let known = house.request(ANN, ("GET", &path), &[("if-none-match", sent)], "").await;
        assert_eq!((known.status, known.body.len(), known.header("etag")), (304, 0, tag.as_str()));
    }
    // The same content has the same tag wherever it lies.
    house.commit("copy/of.txt=%3Cscript%3Ealert(1)%3C/script%3E&message=y").await;
    assert_eq!(house.get(ANN, &format!("{SRC}/main/copy/of.txt")).await.header("etag"), tag);
    let head = house.request(ANN, ("HEAD", &format!("{SRC}/main/evil.html")), &[], "").await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, "25", 0));
    // Who may not read gets no 304 either.
    let path = format!("{SRC}/main/evil.html");
    house.request(BEN, ("GET", &path), &[("if-none-match", &tag)], "").await.fails(404);
}

fn multipart(parts: &[(&str, &str)]) -> String {
    let part = |(disposition, content): &(&str, &str)| {
        format!("--xx\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{content}\r\n")
    };
    parts.iter().map(part).collect::<String>() + "--xx--\r\n"
}

#[tokio::test(flavor = "multi_thread")]
async fn files_sent_as_parts_become_a_commit() {
    let house = House::open().await;
    let [second, first] = house.with_commits().await;
    let headers = [("content-type", "multipart/form-data; boundary=xx")];
    let body = multipart(&[
        ("name=\"message\"", "by parts"),
        ("name=\"author\"", "Zoe Q <zoe@example.org>"),
        ("name=\"/bin/run.sh\"; filename=\"run.sh\"; x-attributes=\"executable\"", "#!/bin/sh\n"),
        ("name=\"message\"; filename=\"message\"", "a file of that name"),
        ("name=\"files\"", "/README.md"),
        ("name=\"files\"", "/bin/run.sh"),
        ("name=\"parents\"", &second),
    ]);
    let made = house.request(ANN, ("POST", SRC), &headers, body.clone()).await;
    assert_eq!((made.status, made.body.len()), (201, 0), "{}", made.text());
    let commit = house.get(ANN, made.header("location").strip_prefix(BASE).unwrap()).await.is(200);
    assert_eq!((&commit["message"], &commit["parents"][0]["hash"]), (&json!("by parts\n"), &json!(second)));
    assert_eq!(commit["author"]["raw"], "Zoe Q <zoe@example.org>");
    assert_eq!(commit["committer"]["user"]["nickname"], "ann");
    let list = house.get(ANN, &format!("{SRC}/main/?max_depth=2")).await;
    assert_eq!(list.names("path"), ["bin", "bin/run.sh", "message", "src", "src/main.rs"]);
    let run = house.get(ANN, &format!("{SRC}/main/bin/run.sh?format=meta")).await.is(200);
    assert_eq!(run["attributes"], json!(["executable"]));

    // The parent is not the branch's head any more.
    house.request(ANN, ("POST", SRC), &headers, body).await.fails(409);
    let branched = format!("x=1&branch=new%2Fone&parents={first}");
    house.form(ANN, "POST", SRC, &branched).await.is(201);
    assert_eq!(house.get(ANN, &format!("{SRC}/new%2Fone/x")).await.text(), "1");
    assert_eq!(house.get(ANN, &format!("{SRC}/new%2Fone/README.md")).await.text(), "one\n");
    house.form(ANN, "POST", SRC, "y=1&branch=newer").await.is(201);
    house.get(ANN, &format!("{SRC}/newer/bin/run.sh")).await;
    let robot = house.narrowed("ann", "repository").await;
    house.form(robot, "POST", SRC, "z=1").await.fails(403);
    house.form(BEN, "POST", SRC, "z=1").await.fails(404);
}
