//! Attacks that succeeded against other Git hosts, tried against this one. Each test's header names the report and tells
//! the attack.

#![cfg(test)]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use model::Secret;
use serde_json::{Value, json};
use testkit::{GitClient, Login, World};

fn secret(login: &Login) -> Secret {
    match login {
        Login::Bearer(secret) | Login::Basic(_, secret) | Login::Session(secret) => secret.clone(),
        Login::Nobody => Secret::new(String::new()),
    }
}

/// A request written byte by byte, for what no client library would send; the answer as it came.
fn raw(world: &World, request: &str) -> String {
    let host = world.server.url.strip_prefix("http://").expect("plain HTTP on loopback");
    let mut stream = TcpStream::connect(host).expect("the server listens");
    stream.write_all(request.as_bytes()).expect("the request is sent");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

fn git_as(world: &World, user: &str, secret: &Secret) -> GitClient {
    GitClient::new().with_credential(&world.server.url, user, secret)
}

fn address(world: &World, path: &str) -> String {
    format!("{}/{path}", world.server.url)
}

/// CVE-2026-28744 (Gitea): the scope of a repository token was checked when it came by Basic and forgotten when the same
/// token came as Bearer. Here every presentation of a read-only token ends the same: it clones, and does not push.
#[tokio::test]
async fn a_scope_binds_in_every_presentation() {
    let world = World::new().await;
    let path = "/api/repositories/acme/one/access-tokens";
    let token = world.mint(&world.password("owner"), path, &["repository"]).await;
    let user = |name: &str| {
        format!("{}/acme/one.git", world.server.url.replacen("http://", &format!("http://{name}@"), 1))
    };
    let basic = git_as(&world, "x-token-auth", &token);
    let header = format!("Authorization: Bearer {}", token.expose());
    let bearer = GitClient::new()
        .variable("GIT_CONFIG_COUNT", "1")
        .variable("GIT_CONFIG_KEY_0", "http.extraHeader")
        .variable("GIT_CONFIG_VALUE_0", &header);
    for (git, remote) in [(&basic, user("x-token-auth")), (&bearer, address(&world, "acme/one.git"))] {
        let _ = git.run(git.home(), ["ls-remote", &remote]).expect_success();
        let copy = git.working_copy("one");
        let refused = git.run(&copy, ["push", &remote, "main"]);
        let _ = refused.expect_failure();
    }
    for login in [Login::Bearer(token.clone())] {
        let answer = world.server.send("GET", "/2.0/repositories/acme/one", &login, &Value::Null).await;
        assert_eq!(answer.status, 200);
        let answer = world.server.send("DELETE", "/2.0/repositories/acme/one", &login, &Value::Null).await;
        assert_eq!(answer.status, 403, "{}", answer.text);
    }
    // And by Basic over REST, where access tokens are not admitted at all.
    let login = Login::Basic("x-token-auth".to_owned(), token);
    let answer = world.server.send("GET", "/2.0/repositories/acme/one", &login, &Value::Null).await;
    assert_eq!(answer.status, 401);
}

/// CVE-2026-52810 (Gogs): the right was derived from `?service=git-upload-pack` while receive-pack ran. Here the right
/// follows from the service that is executed, and a request that says two things is refused.
#[tokio::test]
async fn the_permission_follows_the_service_that_runs() {
    let world = World::new().await;
    let reader = secret(&world.app_password("reader"));
    let client = world.server.client();
    for query in ["", "?service=git-upload-pack"] {
        let answer = client
            .post(address(&world, &format!("acme/one.git/git-receive-pack{query}")))
            .basic_auth("reader", Some(reader.expose()))
            .header("content-type", "application/x-git-receive-pack-request")
            .body("0000")
            .send()
            .await
            .expect("an answer");
        assert!(matches!(answer.status().as_u16(), 400 | 403), "{query}: {}", answer.status());
    }
    for query in ["", "?service=git-annex", "?service=git-upload-pack&service=git-receive-pack"] {
        let answer = client
            .get(address(&world, &format!("acme/one.git/info/refs{query}")))
            .basic_auth("reader", Some(reader.expose()))
            .send()
            .await
            .expect("an answer");
        assert!(answer.status().is_client_error(), "{query}: {}", answer.status());
    }
}

/// CVE-2026-27775 (Gitea): the pre-receive check kept the answer for the first ref and used it for all the others. Here a
/// push of an allowed ref and a refused one, in either order, moves neither, and the trail says which rule refused it.
#[tokio::test]
async fn each_ref_of_a_push_is_decided_by_itself() {
    let world = World::new().await;
    let git = git_as(&world, "writer", &secret(&world.app_password("writer")));
    let copy = git.working_copy("one");
    let remote = address(&world, "acme/one.git");
    for refs in [["main:main", "main:refs/bastide/x"], ["main:refs/bastide/x", "main:main"]] {
        let refused = git.run(&copy, ["push", &remote, refs[0], refs[1]]);
        let _ = refused.expect_failure();
        assert_eq!(git.run(&copy, ["ls-remote", &remote]).expect_success(), "", "no ref may have moved");
    }
    // A refusal is recorded without making the refused wait for the disk.
    let path = "/api/audit/events?action=repository.push-intent&outcome=refused&pagelen=100";
    let mut refusals = Vec::new();
    for _ in 0..500 {
        let events = world.server.administer("GET", path, &Value::Null).await;
        refusals = events["values"].as_array().expect("values").clone();
        if refusals.len() >= 2 {
            break;
        }
    }
    assert_eq!(refusals.len(), 2, "each refusal is in the trail: {refusals:?}");
    for refusal in &refusals {
        let told = ["actor", "resource"].map(|field| refusal[field].as_str().unwrap_or_default());
        assert_eq!(told, ["user:writer", "repository:acme/one"]);
        assert_eq!(refusal["reasons"], json!(["internal-ref"]), "{refusal}");
    }
    let _ = git.run(&copy, ["push", &remote, "main:main"]).expect_success();
}

/// CVE-2022-36804 (Bitbucket Data Center) and CVE-2026-52806 (Gogs): what a user names reached git as an option, or broke
/// out of its argument. Here such names are no names, whichever address they are sent to.
#[tokio::test]
async fn what_a_user_names_never_becomes_an_option_of_git() {
    let world = World::new().await;
    let git = git_as(&world, "writer", &secret(&world.app_password("writer")));
    let copy = git.working_copy("one");
    let _ = git.run(&copy, ["push", &address(&world, "acme/one.git"), "main"]).expect_success();
    let mark = tempfile::tempdir().expect("a directory");
    let touched = mark.path().join("touched");
    let exec = format!("--output={}", touched.display());
    let login = world.app_password("writer");
    for name in [
        exec.as_str(),
        "--exec=touch",
        "-c",
        "--upload-pack=id",
        "main\0--exec",
        "main\n--exec",
        "a;b",
        "$(id)",
        "`id`",
        "@{-1}",
        ":/x",
        "main:../../etc/passwd",
        "..",
        "--",
        "-",
    ] {
        let encoded: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
        for place in [
            "commit/{}",
            "commits/{}",
            "src/{}/README.md",
            "src/main/{}",
            "diff/{}",
            "diffstat/{}",
            "patch/{}",
            "diff/main..{}",
            "merge-base/{}..main",
            "filehistory/main/{}",
            "refs/branches/{}",
            "refs/tags/{}",
            "commits?path={}",
            "commits?include={}",
            "commits?exclude={}",
        ] {
            let path = format!("/2.0/repositories/acme/one/{}", place.replace("{}", &encoded));
            let answer = world.server.send("GET", &path, &login, &Value::Null).await;
            let code = answer.status.as_u16();
            // A path that does not exist, a filter that matches nothing, or a bad request: never a failure of ours.
            assert!(code < 500 || code == 501, "{path}: {code} {}", answer.text);
        }
        let body = json!({ "name": name, "target": { "hash": "main" } });
        let answer =
            world.server.send("POST", "/2.0/repositories/acme/one/refs/branches", &login, &body).await;
        // A name that git itself takes is data like any other, whatever a shell would make of it.
        let fits = match model::RefName::branch(name) {
            Ok(_) => answer.status == 201 && answer.json["name"] == name,
            Err(_) => answer.status == 400,
        };
        assert!(fits, "{name:?}: {} {}", answer.status, answer.text);
    }
    assert!(!touched.exists(), "git took a name for an option");
}

/// CVE-2022-43781 (Bitbucket Data Center): a username with a NUL or newline reached a process's environment as a variable
/// of its own. Here no such name can be given, and nothing a user chose is in git's environment.
#[tokio::test]
async fn a_name_cannot_become_an_environment_variable() {
    let world = World::new().await;
    for name in ["ann\0GIT_SSH=x", "ann\nGIT_SSH=x", "GIT_SSH=x", "a b", "-ann", "../ann", "ann/../root", ""]
    {
        let body = json!({ "username": name, "email": "x@example.com" });
        let answer = world.server.send("POST", "/api/users", &world.server.administrator, &body).await;
        assert_eq!(answer.status, 400, "{name:?}: {}", answer.text);
    }
    // In the credential, too: the name is compared, and goes no further.
    let answer = raw(
        &world,
        "GET /acme/one.git/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Authorization: Basic YW5uCkdJVF9TU0g9eDp4\r\n\r\n",
    );
    assert_eq!(status(&answer), "401", "{answer}");
}

/// CVE-2026-3854 (GitHub): a delimiter inside a push option injected fields into an internal header. Here options with
/// every delimiter are data from end to end: the push they come with succeeds or is refused as a whole, as its user's.
#[tokio::test]
async fn push_options_inject_nothing() {
    let world = World::new().await;
    let git = git_as(&world, "writer", &secret(&world.app_password("writer")));
    let copy = git.working_copy("one");
    let remote = address(&world, "acme/one.git");
    for (number, option) in
        ["a=b;c=d", "a\tb", "{\"push\":\"x\"}", "=", "x\";repository=two;\"", "größe", &"x".repeat(8_000)]
            .into_iter()
            .enumerate()
    {
        let branch = format!("main:refs/heads/option-{number}");
        let pushed = git.run(&copy, ["push", "-o", option, &remote, &branch]);
        let _ = pushed.expect_success();
    }
    let two = git_as(&world, "owner", &secret(&world.app_password("owner")));
    assert_eq!(two.run(two.home(), ["ls-remote", &address(&world, "acme/two.git")]).expect_success(), "");
}

/// CVE-2026-52813 (Gogs): an organisation named with `../` made a repository outside the root, and its hook ran. Here
/// no name climbs, and directories are named by id alone.
#[tokio::test]
async fn no_name_climbs_out_of_its_place() {
    let world = World::new().await;
    let owner = world.password("owner");
    for name in ["..", "../x", "a/../b", "a/b", "/etc", "a\\b", ".git", "x.git", "x.lock", "%2e%2e", "a\0b"] {
        let body = json!({ "slug": name, "name": "x" });
        let answer = world.server.send("POST", "/api/workspaces", &owner, &body).await;
        assert_eq!(answer.status, 400, "{name:?}: {}", answer.text);
        let encoded: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let body = json!({ "scm": "git", "project": { "key": "CORE" } });
        let path = format!("/2.0/repositories/acme/{encoded}");
        let answer = world.server.send("POST", &path, &world.app_password("owner"), &body).await;
        // A slug follows from the name where one can: it is a slug then, whatever the name was.
        let slug = answer.json["slug"].as_str().map(str::parse::<model::RepositorySlug>);
        let fits = matches!(answer.status.as_u16(), 400 | 404 | 405) || matches!(slug, Some(Ok(_)));
        assert!(fits, "{name:?}: {} {}", answer.status, answer.text);
    }
    for entry in std::fs::read_dir(world.server.data().join("repositories")).expect("the root").flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        assert!(
            name.len() == 2 && name.bytes().all(|b| b.is_ascii_hexdigit())
                || name.starts_with('.')
                || name == "trash",
            "{name}"
        );
    }
}

/// CVE-2023-2825 (GitLab): `../` in an attachment's path read any file without signing in. Here dots, encoded once or
/// twice, on every address that takes a path, read nothing.
#[tokio::test]
async fn dots_in_a_path_read_no_file() {
    let world = World::new().await;
    for path in [
        "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/acme/one.git/../../../etc/passwd",
        "/acme/one.git/%2e%2e/%2e%2e/config",
        "/acme/one.git/HEAD",
        "/acme/one.git/config",
        "/acme/one.git/objects/info/packs",
        "/2.0/repositories/acme/one/src/main/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/2.0/repositories/acme/one/src/main/..%2f..%2f..%2fetc%2fpasswd",
        "/2.0/repositories/acme/one/src/main/%252e%252e/etc/passwd",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = raw(&world, &request);
        assert!(matches!(status(&answer), "400" | "401" | "404"), "{path}: {answer}");
        assert!(!answer.contains("root:") && !answer.contains("[core]"), "{path}");
    }
}

/// CVE-2026-20896 (Gitea's image) and CVE-2026-25119 (Gogs): a header that names the user, or the client's address, was
/// believed from anybody. Here no header makes anybody, and forwarding headers count from configured proxies alone.
#[tokio::test]
async fn no_header_makes_a_user_or_an_address() {
    let world = World::new().await;
    let client = world.server.client();
    for header in
        ["x-webauth-user", "x-forwarded-user", "remote-user", "x-remote-user", "x-auth-request-user"]
    {
        let answer =
            client.get(address(&world, "2.0/user")).header(header, "root").send().await.expect("an answer");
        assert_eq!(answer.status(), 401, "{header}");
    }
    let mark = "198.51.100.77";
    for header in ["x-forwarded-for", "x-real-ip", "forwarded", "cf-connecting-ip", "true-client-ip"] {
        let answer = client
            .delete(address(&world, "2.0/repositories/acme/one"))
            .basic_auth("reader", Some(secret(&world.app_password("reader")).expose()))
            .header(header, if header == "forwarded" { format!("for={mark}") } else { mark.to_owned() })
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 403, "{header}");
    }
    // A refusal is recorded without making the refused wait for the disk.
    let path = "/api/audit/events?action=repository.delete&pagelen=100";
    let mut addresses = Vec::new();
    for _ in 0..500 {
        let events = world.server.administer("GET", path, &Value::Null).await;
        let values = events["values"].as_array().expect("values").iter();
        addresses = values.filter_map(|event| event["address"].as_str().map(str::to_owned)).collect();
        if addresses.len() >= 5 {
            break;
        }
    }
    assert_eq!(addresses.len(), 5, "each refusal is in the trail");
    assert!(addresses.iter().all(|address| *address == "127.0.0.1"), "{addresses:?}");
}

/// CVE-2023-7028 (GitLab): an e-mail parameter was accepted as a list, and the mail went to all of them. Here a field of
/// another type, a field given twice and a field unknown are refused, and nothing is made.
#[tokio::test]
async fn a_field_of_another_type_is_refused() {
    let world = World::new().await;
    let administrator = &world.server.administrator;
    for body in [
        json!({ "username": "eve", "email": ["eve@example.com", "ann@example.com"] }),
        json!({ "username": ["eve"], "email": "eve@example.com" }),
        json!({ "username": "eve", "email": { "0": "eve@example.com" } }),
        json!({ "username": "eve", "email": "eve@example.com", "staff_role": "administrator" }),
        json!([{ "username": "eve", "email": "eve@example.com" }]),
    ] {
        let answer = world.server.send("POST", "/api/users", administrator, &body).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text);
    }
    let twice = r#"{"username":"eve","email":"eve@example.com","email":"ann@example.com"}"#;
    let answer = world
        .server
        .client()
        .post(address(&world, "api/users"))
        .basic_auth("root@example.com", Some(secret(administrator).expose()))
        .header("content-type", "application/json")
        .body(twice)
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 400);
    let answer = world.server.send("GET", "/api/users/eve", administrator, &Value::Null).await;
    assert_eq!(answer.status, 404);
}

/// CVE-2026-26196 (Gogs): tokens were accepted in addresses, and so ended up in logs and referrers. Here a credential in
/// the query is no credential.
#[tokio::test]
async fn a_token_in_an_address_is_no_credential() {
    let world = World::new().await;
    let path = "/api/repositories/acme/one/access-tokens";
    let token = world.mint(&world.password("owner"), path, &["repository"]).await;
    for parameter in ["access_token", "token", "private_token", "api_key", "jwt"] {
        let path = format!("/2.0/repositories/acme/one?{parameter}={}", token.expose());
        let answer = world.server.send("GET", &path, &Login::Nobody, &Value::Null).await;
        assert!(matches!(answer.status.as_u16(), 401 | 404), "{parameter}: {}", answer.status);
    }
}

/// CVE-2026-26196's cousin, and plain prudence: a secret must not be readable in the data directory, nor come back in any
/// list, after the one answer that shows it.
#[tokio::test]
async fn a_secret_is_shown_once_and_kept_nowhere() {
    let world = World::new().await;
    let path = "/api/repositories/acme/one/access-tokens";
    let token = world.mint(&world.password("owner"), path, &["repository"]).await;
    let body = &token.expose()["bst_rat_".len()..];
    let listed = world.server.send("GET", path, &world.password("owner"), &Value::Null).await;
    assert!(listed.status.is_success() && !listed.text.contains(body));
    let events = world.server.administer("GET", "/api/audit/events?pagelen=100", &Value::Null).await;
    assert!(events.to_string().contains("access-token.create") && !events.to_string().contains(body));
    for name in ["bastide.db", "bastide.db-wal"] {
        let bytes = std::fs::read(world.server.data().join(name)).unwrap_or_default();
        let found = bytes.windows(body.len()).any(|window| window == body.as_bytes());
        assert!(!found, "{name} holds a secret");
    }
}
