//! The real git, and curl where its headers matter, against a real server.

#![cfg(test)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use model::Secret;
use serde_json::{Value, json};
use testkit::{GitClient, Login, Place, Server, Transcript};

/// A git of the administrator's, by an API token.
fn administrators_git(place: &Place, user: &str) -> GitClient {
    GitClient::new().with_credential(&place.server.url, user, &secret(place))
}

fn secret(place: &Place) -> Secret {
    match &place.server.administrator {
        Login::Basic(_, secret) => secret.clone(),
        Login::Bearer(_) | Login::Session(_) | Login::Nobody => panic!("an API token"),
    }
}

/// What curl says of an address, headers first.
fn curl(place: &Place, arguments: &[&str], path: &str) -> String {
    let mut command = Command::new("curl");
    command.args(["-sS", "-i", "--max-time", "30"]).args(arguments);
    let told = Transcript::from(command.arg(format!("{}{path}", place.server.url)).output().unwrap());
    let _ = told.expect_success();
    told.stdout
}

#[tokio::test]
async fn a_push_is_cloned_back_in_every_version_of_the_protocol() {
    let place = Place::new().await;
    place.repository("one", true).await;
    let (_, token) = place.token("one", "repository:write").await;
    let git = place.git(&token);
    let work = git.working_copy("work");
    for number in 0..2 {
        let _ = git.commit(&work, "file", format!("line {number}\n"));
    }
    let address = place.address("one");
    let _ = git.run(&work, ["push", &address, "main"]).expect_success();
    let home = git.home();
    let good = |folder: &Path, arguments: &[&str]| git.run(folder, arguments).expect_success().to_owned();
    for version in ["0", "1", "2"] {
        let setting = format!("protocol.version={version}");
        let folder = format!("clone-{version}");
        good(home, &["-c", &setting, "clone", "-q", &address, &folder]);
        assert_eq!(std::fs::read_to_string(home.join(folder).join("file")).unwrap(), "line 1\n");
        let shallow = format!("shallow-{version}");
        good(home, &["-c", &setting, "clone", "-q", "--depth=1", &address, &shallow]);
        let shallow = home.join(shallow);
        assert_eq!(good(&shallow, &["rev-list", "--count", "HEAD"]), "1");
        good(&shallow, &["-c", &setting, "fetch", "-q", "--unshallow"]);
        assert_eq!(good(&shallow, &["rev-list", "--count", "HEAD"]), "3");
    }
    good(home, &["clone", "-q", "--no-checkout", "--filter=blob:none", &address, "partial"]);
    let missing = good(&home.join("partial"), &["rev-list", "--objects", "--missing=print", "HEAD"]);
    assert!(missing.lines().any(|line| line.starts_with('?')), "{missing}");
}

/// The name with and without `.git`, and the former name of a renamed repository.
#[tokio::test]
async fn every_name_of_a_repository_leads_to_it() {
    let place = Place::new().await;
    place.repository("one", true).await;
    let (_, token) = place.token("one", "repository:write").await;
    let git = place.git(&token);
    let work = git.working_copy("work");
    let _ = git.run(&work, ["push", &place.address("one"), "main"]).expect_success();
    let renamed =
        place.server.administer("PUT", "/2.0/repositories/acme/one", &json!({ "name": "two" })).await;
    assert_eq!(renamed["full_name"], "acme/two");
    for slug in ["one.git", "one", "two.git", "two"] {
        let listed = git.run(&work, ["ls-remote", &format!("{}/acme/{slug}", place.server.url)]);
        assert!(listed.expect_success().contains("refs/heads/main"), "{slug}: {listed}");
    }
}

#[tokio::test]
async fn a_token_reaches_its_repository_alone_until_it_is_revoked() {
    let place = Place::new().await;
    place.repository("one", true).await;
    place.repository("two", true).await;
    let (id, token) = place.token("one", "repository:write").await;
    let git = place.git(&token);
    let work = git.working_copy("work");
    let _ = git.run(&work, ["push", &place.address("one"), "main"]).expect_success();

    let refused = git.run(&work, ["push", &place.address("two"), "main"]);
    let _ = refused.expect_failure();
    assert!(refused.remote().join(" ").contains("the repository does not exist"), "{refused}");
    let request =
        refused.remote().iter().find_map(|line| line.strip_prefix("request id: ")).unwrap().to_owned();
    // The refusal is recorded without making the refused wait.
    let mut event = Value::Null;
    for _ in 0..500 {
        let events = place.server.administer("GET", "/api/audit/events?outcome=refused", &Value::Null).await;
        let mut events = events["values"].as_array().unwrap().iter();
        if let Some(found) = events.find(|event| event["request_id"] == *request) {
            event = found.clone();
            break;
        }
    }
    assert_eq!(event["resource"], "repository:acme/two", "the refusal is not in the trail");
    assert_eq!(event["actor"], format!("access-token:{id}"));

    let id = id.replace('{', "%7B").replace('}', "%7D");
    let path = format!("/api/repositories/acme/one/access-tokens/{id}");
    place.server.administer("DELETE", &path, &Value::Null).await;
    let refused = git.run(&work, ["ls-remote", &place.address("one")]);
    assert!(refused.expect_failure().contains("Authentication failed"), "{refused}");
}

#[tokio::test]
async fn scopes_decide_between_reading_and_pushing() {
    let place = Place::new().await;
    place.repository("one", true).await;
    let (_, writing) = place.token("one", "repository:write").await;
    let (_, reading) = place.token("one", "repository").await;
    let (git, address) = (place.git(&writing), place.address("one"));
    let work = git.working_copy("work");
    let _ = git.run(&work, ["push", &address, "main"]).expect_success();
    let git = place.git(&reading);
    let _ = git.run(&work, ["ls-remote", &address]).expect_success();
    let refused = git.run(&work, ["push", &address, "main:next"]);
    assert!(refused.expect_failure().contains("lacks a scope"), "{refused}");

    // The administrator's API token, as the user's own name and as the fixed one.
    for user in ["root", "x-bitbucket-api-token-auth"] {
        let git = administrators_git(&place, user);
        let _ = git.run(&work, ["push", &address, &format!("main:{user}")]).expect_success();
    }
    let git = administrators_git(&place, "x-token-auth");
    let _ = git.run(&work, ["ls-remote", &address]).expect_failure();
}

/// Would catch a scope that is asked of the advertisement and not of the push: flat scopes imply nothing.
#[tokio::test]
async fn an_api_token_that_may_only_write_pushes_and_does_not_read() {
    let place = Place::new().await;
    place.repository("one", true).await;
    let body = json!({ "name": "writes", "scopes": ["write:repository:bitbucket"] });
    let made = place.server.administer("POST", "/api/user/api-tokens", &body).await;
    let token = Secret::new(made["token"].as_str().unwrap().to_owned());
    let git = GitClient::new().with_credential(&place.server.url, "root", &token);
    let work = git.working_copy("work");
    let _ = git.run(&work, ["push", &place.address("one"), "main"]).expect_success();
    let refused = git.run(&work, ["ls-remote", &place.address("one")]);
    assert!(refused.expect_failure().contains("lacks a scope"), "{refused}");
}

#[tokio::test]
async fn strangers_read_what_is_public_and_learn_of_nothing_else() {
    let place = Place::new().await;
    place.repository("open", false).await;
    place.repository("closed", true).await;
    let git = administrators_git(&place, "root");
    let work = git.working_copy("work");
    let _ = git.run(&work, ["push", &place.address("open"), "main"]).expect_success();
    let stranger = GitClient::new();
    let _ = stranger.run(stranger.home(), ["clone", "-q", &place.address("open"), "copy"]).expect_success();
    let _ = stranger.run(&work, ["push", &place.address("open"), "main:x"]).expect_failure();
    for slug in ["closed", "nowhere"] {
        let path = format!("/acme/{slug}.git/info/refs?service=git-upload-pack");
        let answer = curl(&place, &[], &path);
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        assert!(answer.to_lowercase().contains("www-authenticate: basic realm=\"bastide\""), "{answer}");
    }
}

#[tokio::test]
async fn headers_and_types_are_gits_own() {
    let place = Place::new().await;
    place.repository("one", false).await;
    let git = administrators_git(&place, "root");
    let work = git.working_copy("work");
    let _ = git.run(&work, ["push", &place.address("one"), "main"]).expect_success();

    let answer = curl(&place, &[], "/acme/one.git/info/refs?service=git-upload-pack");
    let lower = answer.to_lowercase();
    assert!(lower.contains("content-type: application/x-git-upload-pack-advertisement"), "{answer}");
    assert!(lower.contains("cache-control: no-cache"), "{answer}");
    assert!(lower.contains("x-request-id: "), "{answer}");
    assert!(answer.contains("001e# service=git-upload-pack\n0000"), "{answer}");
    let answer =
        curl(&place, &["-H", "Git-Protocol: version=2"], "/acme/one.git/info/refs?service=git-upload-pack");
    assert!(answer.contains("000eversion 2\n"), "{answer}");

    for (arguments, path, status) in [
        (&[][..], "/acme/one.git/info/refs", "403"),
        (&[][..], "/acme/one.git/info/refs?service=git-upload-archive", "403"),
        (&["-d", "0000"][..], "/acme/one.git/git-upload-pack", "415"),
        (
            &[
                "-H",
                "Content-Type: application/x-git-upload-pack-request",
                "-H",
                "Content-Encoding: br",
                "-d",
                "0000",
            ][..],
            "/acme/one.git/git-upload-pack",
            "415",
        ),
    ] {
        let answer = curl(&place, arguments, path);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
        assert!(answer.to_lowercase().contains("content-type: text/plain"), "{path}: {answer}");
        assert!(answer.contains("request id: "), "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_body_may_be_compressed_and_its_sender_may_wait_to_be_asked() {
    let place = Place::new().await;
    place.repository("one", false).await;
    let git = administrators_git(&place, "root");
    let work = git.working_copy("work");
    let _ = git.run(&work, ["push", &place.address("one"), "main"]).expect_success();
    let request = "0014command=ls-refs\n0000";
    let body = git.home().join("body");
    std::fs::write(&body, request).unwrap();
    let status = Command::new("gzip").arg("-k").arg(&body).status().unwrap();
    assert!(status.success());
    let data = format!("@{}", body.with_extension("gz").display());
    let answer = curl(
        &place,
        &[
            "-H",
            "Content-Type: application/x-git-upload-pack-request",
            "-H",
            "Content-Encoding: gzip",
            "-H",
            "Git-Protocol: version=2",
            "-H",
            "Expect: 100-continue",
            "--data-binary",
            &data,
        ],
        "/acme/one.git/git-upload-pack",
    );
    assert!(answer.contains("HTTP/1.1 100"), "{answer}");
    assert!(answer.contains("HTTP/1.1 200"), "{answer}");
    assert!(answer.to_lowercase().contains("content-type: application/x-git-upload-pack-result"), "{answer}");
    assert!(answer.contains(" refs/heads/main\n"), "{answer}");
}

/// Reads the page of metrics until it has a line.
async fn page_with(place: &Place, address: &str, line: &str) {
    let mut tries = 0;
    loop {
        let page = place.server.client().get(format!("http://{address}/metrics")).send().await.unwrap();
        let page = page.text().await.unwrap();
        if page.lines().any(|found| found == line) {
            return;
        }
        tries += 1;
        assert!(tries < 1_000, "the page of metrics never said `{line}`: {page}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// Would catch a figure that is never set, and one that does not come down when a client goes away.
#[tokio::test]
async fn processes_of_git_are_counted_while_they_run() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let place = Place::on(Server::start_with(&["--metrics", &free])).await;
    place.repository("one", false).await;
    page_with(&place, &free, "bastide_git_processes 0").await;
    // A fetch whose sender takes its time: git waits for the rest.
    let address = place.server.url.strip_prefix("http://").unwrap();
    let mut client = std::net::TcpStream::connect(address).unwrap();
    let request = format!(
        "POST /acme/one.git/git-upload-pack HTTP/1.1\r\nHost: {address}\r\nGit-Protocol: version=2\r\n\
         Content-Type: application/x-git-upload-pack-request\r\nContent-Length: 100\r\n\r\n0012command=fetch\n"
    );
    client.write_all(request.as_bytes()).unwrap();
    page_with(&place, &free, "bastide_git_processes 1").await;
    drop(client);
    page_with(&place, &free, "bastide_git_processes 0").await;
}

#[tokio::test]
async fn options_and_atomic_pushes_pass_through() {
    let place = Place::new().await;
    place.repository("one", true).await;
    let git = administrators_git(&place, "root");
    let work = git.working_copy("work");
    let address = place.address("one");
    let _ = git.run(&work, ["push", "-o", "ci.skip", &address, "main"]).expect_success();
    // One ref cannot move, so none does.
    let _ = git.commit(&work, "file", "more\n");
    let _ = git.run(&work, ["push", "-q", &address, "main"]).expect_success();
    let _ = git.run(&work, ["branch", "old", "HEAD^"]).expect_success();
    let refused = git.run(&work, ["push", "--atomic", &address, "main:new", "old:main"]);
    let said = refused.expect_failure();
    assert!(said.contains("atomic") || said.contains("rejected"), "{said}");
    let listed = git.run(&work, ["ls-remote", &address]).expect_success().to_owned();
    assert!(!listed.contains("refs/heads/new"), "{listed}");
    let refused = git.run(&work, ["push", &address, "main:refs/bastide/x"]);
    let said = refused.expect_failure();
    assert!(said.contains("(request "), "{said}");
}

/// A repository's directory in the data directory: the one that holds `HEAD`.
fn bare(folder: &Path) -> Option<PathBuf> {
    if folder.join("HEAD").exists() {
        return Some(folder.to_owned());
    }
    std::fs::read_dir(folder).ok()?.flatten().find_map(|entry| bare(&entry.path()))
}

/// The refs are put there by hand, since git's own client takes minutes to push that many over HTTP.
#[tokio::test]
async fn fifty_thousand_refs_are_listed_and_one_more_is_pushed() {
    let place = Place::new().await;
    place.repository("one", true).await;
    let git = administrators_git(&place, "root");
    let work = git.working_copy("work");
    let address = place.address("one");
    let _ = git.run(&work, ["push", "-q", &address, "main"]).expect_success();
    let head = git.run(&work, ["rev-parse", "HEAD"]).expect_success().to_owned();
    let mut packed = String::from("# pack-refs with: peeled fully-peeled sorted \n");
    for number in 0..50_000 {
        let _ = writeln!(packed, "{} refs/tags/v{number:05}", head.trim());
    }
    let bare = bare(&place.server.data().join("repositories")).unwrap();
    std::fs::write(bare.join("packed-refs"), packed).unwrap();
    let _ = git.run(&work, ["push", "-q", &address, "main:refs/tags/one-more"]).expect_success();
    for version in ["protocol.version=0", "protocol.version=2"] {
        let listed =
            git.run(&work, ["-c", version, "ls-remote", "--tags", &address]).expect_success().to_owned();
        assert_eq!(listed.lines().count(), 50_001);
    }
}

#[tokio::test]
async fn a_push_of_a_thousand_refs_is_recorded_once() {
    let place = Place::new().await;
    place.repository("one", true).await;
    let git = administrators_git(&place, "root");
    let work = git.working_copy("work");
    let head = git.run(&work, ["rev-parse", "HEAD"]).expect_success().to_owned();
    let mut packed = String::from("# pack-refs with: peeled fully-peeled sorted \n");
    for number in 0..1_000 {
        let _ = writeln!(packed, "{} refs/tags/v{number:05}", head.trim());
    }
    std::fs::write(work.join(".git/packed-refs"), packed).unwrap();
    let _ = git.run(&work, ["push", "-q", &place.address("one"), "refs/tags/*:refs/tags/*"]).expect_success();
    let path = "/api/audit/events?action=repository.push";
    let events = place.server.administer("GET", path, &Value::Null).await;
    assert_eq!(events["values"].as_array().unwrap().len(), 1);
    let after = &events["values"][0]["after"];
    assert_eq!(after["count"], 1_000);
    assert_eq!(after["refs"].as_array().unwrap().len(), 100);
}
