//! Input that nobody means well with: each is answered in the error envelope, and nothing breaks.

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt, stream};

use crate::harness::{As, House};

const ANN: As = As::User("ann");
const ONE: &str = "/2.0/repositories/acme/one";

/// Attack: a query language as a way into SQL, into memory, or into a panic.
#[tokio::test(flavor = "multi_thread")]
async fn bad_queries_are_told_which_part_is_bad() {
    let house = House::open().await;
    house.with_commits().await;
    let long = format!("name%3D%22{}%22", "x".repeat(5_000));
    let deep = format!("{}name%3D%22x%22{}", "(".repeat(100), ")".repeat(100));
    for list in [
        "/2.0/repositories/acme",
        "/2.0/workspaces/acme/projects",
        &format!("{ONE}/refs"),
        &format!("{ONE}/src/main/"),
    ] {
        for bad in
            ["name", "nme%3D%22x%22", "name%3D1", "name%3D%22x", "%22'%3B+DROP+TABLE", "1%3D1", &long, &deep]
        {
            let answer = house.get(ANN, &format!("{list}?q={bad}")).await;
            answer.fails(400);
            assert!(answer.json()["error"]["fields"]["q"].is_array(), "{list} {bad}: {}", answer.text());
        }
        house.get(ANN, &format!("{list}?sort=nothing")).await.fails(400);
        house.get(ANN, &format!("{list}?sort=name,slug")).await.fails(400);
        for bad in ["a..b", "%2B", "a.%2A%2A", &"x,".repeat(3_000)] {
            house.get(ANN, &format!("{list}?fields={bad}")).await.fails(400);
        }
        for bad in ["page=0", "page=-1", "page=x", "pagelen=0", "pagelen=99999999999", "page=1&page=2"] {
            house.get(ANN, &format!("{list}?{bad}")).await.fails(400);
        }
    }
}

/// Attack: a path that climbs out of the tree, names git's own directory or ends in the middle.
#[tokio::test(flavor = "multi_thread")]
async fn paths_that_climb_lead_nowhere() {
    let house = House::open().await;
    house.with_commits().await;
    for path in [
        "src/main/../../../etc/passwd",
        "src/main/%2E%2E/%2E%2E/config",
        "src/main/..%2F..%2Fconfig",
        "src/main/.git/config",
        "src/main/src%2F..%2FREADME.md",
        "src/main/a//b",
        "src/--output=x/README.md",
        "src/main:README.md/x",
        "src/HEAD~1/README.md",
        "src/main@%7Bu%7D/README.md",
        "commit/-n1",
        "commit/--all",
        "commits/--exec=id",
        "commits/main%20--all",
        "diff/--no-index",
        "diff/HEAD%5E",
        "refs/branches/-d",
        "refs/branches/..%2F..%2FHEAD",
        "refs/tags/refs%2Fheads%2Fmain",
    ] {
        let answer = house.get(ANN, &format!("{ONE}/{path}")).await;
        assert!([400, 404].contains(&answer.status), "{path}: {} {}", answer.status, answer.text());
        answer.fails(answer.status);
    }
    for path in ["src/main/a%00b", "refs/branches/a%00b", "commit/%00", "src/main/%ff"] {
        house.get(ANN, &format!("{ONE}/{path}")).await.fails(400);
    }
    for name in ["../x", ".git/hooks/pre-receive", "a/../../x", "a%00b", "/", "a//b", ".GIT/config"] {
        let answer = house.form(ANN, "POST", &format!("{ONE}/src"), &format!("{name}=x")).await;
        answer.fails(400);
    }
    for (field, value) in [
        ("branch", "../main"),
        ("branch", "refs/heads/x"),
        ("branch", "-x"),
        ("author", "no address"),
        ("author", "A <a@b.c>%0Aparent 0000"),
        ("author", "A <a> <b>"),
        ("parents", "--all"),
        ("files", "../x"),
    ] {
        let form = format!("file=x&{field}={}", value.replace(' ', "+"));
        house.form(ANN, "POST", &format!("{ONE}/src"), &form).await.fails(400);
    }
    house.form(ANN, "POST", &format!("{ONE}/src"), "message=nothing").await.fails(400);
    house.form(ANN, "POST", &format!("{ONE}/src"), "README.md=one%0Atwo%0A").await.fails(400);
    house.form(ANN, "POST", &format!("{ONE}/src"), "files=none&message=x").await.fails(404);
    assert_eq!(house.get(ANN, &format!("{ONE}/commits")).await.names("hash").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_of_nothing_are_nothing() {
    let house = House::open().await;
    let id = "%7B00000000-0000-4000-8000-000000000000%7D";
    for path in [
        format!("/2.0/repositories/acme/{id}"),
        format!("/2.0/repositories/%7B%7D/{id}"),
        format!("/2.0/repositories/{id}/one"),
        format!("/2.0/workspaces/{id}"),
        format!("/2.0/workspaces/acme/members/{id}"),
        format!("/2.0/workspaces/acme/projects/{id}"),
        format!("/2.0/users/{id}"),
        "/2.0/repositories/acme/%7Bnot-an-id%7D".to_owned(),
        "/2.0/repositories/acme/a%2Fb".to_owned(),
        "/2.0/workspaces/Ac%20me".to_owned(),
    ] {
        house.get(ANN, &path).await.fails(404);
    }
}

/// Attack: a body that never ends, is of another type, or of another shape.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_bounded_and_typed() {
    let house = House::open().await;
    house.with_commits().await;
    let branches = format!("{ONE}/refs/branches");
    let text = [("content-type", "text/xml")];
    house.request(ANN, ("POST", &branches), &text, "<x/>").await.fails(415);
    house.request(ANN, ("POST", &format!("{ONE}/src")), &text, "<x/>").await.fails(415);
    house.request(ANN, ("POST", &format!("{ONE}/commits")), &text, "<x/>").await.fails(415);
    for body in [
        "",
        "{",
        "[]",
        "null",
        "{}",
        r#"{"name": 1}"#,
        r#"{"name": "x"}"#,
        r#"{"name": "x", "target": "main"}"#,
    ] {
        house.send(ANN, "POST", &branches, body).await.fails(400);
    }
    let piece = Bytes::from(vec![b' '; 1 << 12]);
    let endless = || Body::from_stream(stream::repeat(piece.clone()).map(Ok::<_, std::io::Error>));
    let json = [("content-type", "application/json")];
    house.request(ANN, ("POST", &branches), &json, endless()).await.fails(413);
    house.request(ANN, ("PUT", ONE), &json, endless()).await.fails(413);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    house.request(ANN, ("POST", &format!("{ONE}/src")), &form, endless()).await.fails(413);
    let nested = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    house.send(ANN, "PUT", ONE, &format!(r#"{{"description": {nested}}}"#)).await.fails(400);
    for (kind, body) in [
        ("multipart/form-data", "--xx\r\n"),
        ("multipart/form-data; boundary=xx", "no boundary"),
        (
            "multipart/form-data; boundary=xx",
            "--xx\r\nContent-Disposition: form-data; name=\"a\"; filename=\"a\"\r\n\r\ncut",
        ),
        ("multipart/form-data; boundary=xx", "--xx\r\nContent-Disposition: form-data\r\n\r\nx\r\n--xx--\r\n"),
        (
            "multipart/form-data; boundary=xx",
            "--xx\r\nContent-Disposition: form-data; name=\"a\"; filename=\"a\"; x-attributes=\"link\"\r\n\r\n/etc\r\n--xx--\r\n",
        ),
    ] {
        house.request(ANN, ("POST", &format!("{ONE}/src")), &[("content-type", kind)], body).await.fails(400);
    }
    // Who may not write is told so before anything of the body is taken.
    let parts = [("content-type", "multipart/form-data; boundary=xx")];
    house.request(As::User("ben"), ("POST", &format!("{ONE}/src")), &parts, endless()).await.fails(404);
}
