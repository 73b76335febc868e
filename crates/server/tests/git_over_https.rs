//! The real git, and curl where its headers matter, against a real server.

#![expect(clippy::unwrap_used, reason = "a test says so when it fails")]

mod support;

use std::fmt::Write as _;

use model::Outcome;
use service::{AuditQuery, RepositoryChange, TokenPlace};
use support::House;

const TOKEN_USER: &str = "x-token-auth";

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_cloned_back_in_every_version_of_the_protocol() {
    let house = House::open().await;
    let one = house.repository("one", true).await;
    let (_, token) = house.token(&one, "repository:write").await;
    let git = house.git(TOKEN_USER, &token);
    let work = git.work_tree("work", 3).await;
    let address = house.address("one");
    git.run(&work, &["push", &address, "main"]).await.good();
    let home = house.folder.path();
    for version in ["0", "1", "2"] {
        let version_setting = format!("protocol.version={version}");
        let folder = format!("clone-{version}");
        git.run(home, &["-c", &version_setting, "clone", "-q", &address, &folder]).await.good();
        assert_eq!(std::fs::read_to_string(home.join(folder).join("file")).unwrap(), "line 2\n");
        let shallow = format!("shallow-{version}");
        git.run(home, &["-c", &version_setting, "clone", "-q", "--depth=1", &address, &shallow]).await.good();
        let log = git.run(&home.join(&shallow), &["rev-list", "--count", "HEAD"]).await.good();
        assert_eq!(log.trim(), "1");
        git.run(&home.join(&shallow), &["-c", &version_setting, "fetch", "-q", "--unshallow"]).await.good();
        let log = git.run(&home.join(&shallow), &["rev-list", "--count", "HEAD"]).await.good();
        assert_eq!(log.trim(), "3");
    }
    git.run(home, &["clone", "-q", "--no-checkout", "--filter=blob:none", &address, "partial"]).await.good();
    let missing =
        git.run(&home.join("partial"), &["rev-list", "--objects", "--missing=print", "HEAD"]).await.good();
    assert!(missing.lines().any(|line| line.starts_with('?')), "{missing}");
}

/// The name with and without `.git`, and the former name of a renamed repository.
#[tokio::test(flavor = "multi_thread")]
async fn every_name_of_a_repository_leads_to_it() {
    let house = House::open().await;
    let one = house.repository("one", true).await;
    let (_, token) = house.token(&one, "repository:write").await;
    let git = house.git(TOKEN_USER, &token);
    let work = git.work_tree("work", 1).await;
    git.run(&work, &["push", &house.address("one"), "main"]).await.good();
    let change = RepositoryChange { slug: Some("two".parse().unwrap()), ..RepositoryChange::default() };
    let ann = house.ann("admin:repository:bitbucket").await;
    house.service.update_repository(&ann, &one, change).await.unwrap();
    for slug in ["one.git", "one", "two.git", "two"] {
        let listed = git.run(&work, &["ls-remote", &format!("{}/acme/{slug}", house.url)]).await.good();
        assert!(listed.contains("refs/heads/main"), "{slug}: {listed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_reaches_its_repository_alone_until_it_is_revoked() {
    let house = House::open().await;
    let one = house.repository("one", true).await;
    house.repository("two", true).await;
    let (id, token) = house.token(&one, "repository:write").await;
    let git = house.git(TOKEN_USER, &token);
    let work = git.work_tree("work", 1).await;
    git.run(&work, &["push", &house.address("one"), "main"]).await.good();

    let said = git.run(&work, &["push", &house.address("two"), "main"]).await.refused();
    assert!(said.contains("remote: the repository does not exist"), "{said}");
    let request = said.lines().find_map(|line| line.strip_prefix("remote: request id: ")).unwrap().trim();
    // The refusal is recorded without making the refused wait.
    let query = AuditQuery { outcome: Some(Outcome::Refused), ..AuditQuery::default() };
    let ann = house.ann("audit:read").await;
    let mut tries = 0;
    let event = loop {
        let (events, _) = house.service.audit_events(&ann, query.clone(), 10).await.unwrap();
        if let Some(event) = events.into_iter().find(|event| event.request_id.to_string() == request) {
            break event;
        }
        tries += 1;
        assert!(tries < 500, "the refusal is not in the trail");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    assert_eq!(event.resource, "repository:acme/two");
    assert_eq!(event.actor, format!("access-token:{}", id.braced()));

    let ann = house.ann("credential:write").await;
    house.service.revoke_access_token(&ann, &TokenPlace::Repository(one), id).await.unwrap();
    let said = git.run(&work, &["ls-remote", &house.address("one")]).await.refused();
    assert!(said.contains("Authentication failed"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_decide_between_reading_and_pushing() {
    let house = House::open().await;
    let one = house.repository("one", true).await;
    let (_, writing) = house.token(&one, "repository:write").await;
    let (_, reading) = house.token(&one, "repository").await;
    let git = house.git(TOKEN_USER, &writing);
    let work = git.work_tree("work", 1).await;
    git.run(&work, &["push", &house.address("one"), "main"]).await.good();
    let git = house.git(TOKEN_USER, &reading);
    git.run(&work, &["ls-remote", &house.address("one")]).await.good();
    let said = git.run(&work, &["push", &house.address("one"), "main:next"]).await.refused();
    assert!(said.contains("lacks a scope"), "{said}");

    // The administrator's API token, as the user's own name and as the fixed one.
    for user in ["ann", "x-bitbucket-api-token-auth"] {
        let git = house.git(user, house.administrator.secret());
        git.run(&work, &["push", &house.address("one"), &format!("main:{user}")]).await.good();
    }
    let git = house.git(TOKEN_USER, house.administrator.secret());
    git.run(&work, &["ls-remote", &house.address("one")]).await.refused();
}

/// Would catch a scope that is asked of the advertisement and not of the push: flat scopes imply nothing.
#[tokio::test(flavor = "multi_thread")]
async fn an_api_token_that_may_only_write_pushes_and_does_not_read() {
    let house = House::open().await;
    house.repository("one", true).await;
    let new = service::NewCredential {
        name: "writes".parse().unwrap(),
        scopes: vec!["write:repository:bitbucket".to_owned()],
        expires_on: None,
    };
    let ann = house.ann("credential:write").await;
    let minted =
        house.service.create_own_credential(&ann, model::CredentialKind::ApiToken, new).await.unwrap();
    let git = house.git("ann", minted.token.secret());
    let work = git.work_tree("work", 1).await;
    git.run(&work, &["push", &house.address("one"), "main"]).await.good();
    let said = git.run(&work, &["ls-remote", &house.address("one")]).await.refused();
    assert!(said.contains("lacks a scope"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_read_what_is_public_and_learn_of_nothing_else() {
    let house = House::open().await;
    house.repository("open", false).await;
    house.repository("closed", true).await;
    let git = house.git("ann", house.administrator.secret());
    let work = git.work_tree("work", 1).await;
    git.run(&work, &["push", &house.address("open"), "main"]).await.good();
    let stranger = house.stranger();
    stranger.run(house.folder.path(), &["clone", "-q", &house.address("open"), "copy"]).await.good();
    stranger.run(&work, &["push", &house.address("open"), "main:x"]).await.refused();
    for slug in ["closed", "nowhere"] {
        let path = format!("/acme/{slug}.git/info/refs?service=git-upload-pack");
        let answer = house.curl(&[], &path).await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        assert!(answer.to_lowercase().contains("www-authenticate: basic realm=\"bastide\""), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_and_types_are_gits_own() {
    let house = House::open().await;
    house.repository("one", false).await;
    let git = house.git("ann", house.administrator.secret());
    let work = git.work_tree("work", 1).await;
    git.run(&work, &["push", &house.address("one"), "main"]).await.good();

    let answer = house.curl(&[], "/acme/one.git/info/refs?service=git-upload-pack").await;
    let lower = answer.to_lowercase();
    assert!(lower.contains("content-type: application/x-git-upload-pack-advertisement"), "{answer}");
    assert!(lower.contains("cache-control: no-cache"), "{answer}");
    assert!(lower.contains("x-request-id: "), "{answer}");
    assert!(answer.contains("001e# service=git-upload-pack\n0000"), "{answer}");
    let answer = house
        .curl(&["-H", "Git-Protocol: version=2"], "/acme/one.git/info/refs?service=git-upload-pack")
        .await;
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
        let answer = house.curl(arguments, path).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
        assert!(answer.to_lowercase().contains("content-type: text/plain"), "{path}: {answer}");
        assert!(answer.contains("request id: "), "{path}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_may_be_compressed_and_its_sender_may_wait_to_be_asked() {
    let house = House::open().await;
    house.repository("one", false).await;
    let git = house.git("ann", house.administrator.secret());
    let work = git.work_tree("work", 1).await;
    git.run(&work, &["push", &house.address("one"), "main"]).await.good();
    let request = "0014command=ls-refs\n0000";
    let body = house.folder.path().join("body");
    std::fs::write(&body, request).unwrap();
    let status = std::process::Command::new("gzip").arg("-k").arg(&body).status().unwrap();
    assert!(status.success());
    let data = format!("@{}", body.with_extension("gz").display());
    let answer = house
        .curl(
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
        )
        .await;
    assert!(answer.contains("HTTP/1.1 100"), "{answer}");
    assert!(answer.contains("HTTP/1.1 200"), "{answer}");
    assert!(answer.to_lowercase().contains("content-type: application/x-git-upload-pack-result"), "{answer}");
    assert!(answer.contains(" refs/heads/main\n"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn options_and_atomic_pushes_pass_through() {
    let house = House::open().await;
    house.repository("one", true).await;
    let git = house.git("ann", house.administrator.secret());
    let work = git.work_tree("work", 2).await;
    let address = house.address("one");
    git.run(&work, &["push", "-o", "ci.skip", &address, "main"]).await.good();
    // One ref cannot move, so none does.
    git.run(&work, &["branch", "old", "HEAD^"]).await.good();
    let said = git.run(&work, &["push", "--atomic", &address, "main:new", "old:main"]).await.refused();
    assert!(said.contains("atomic") || said.contains("rejected"), "{said}");
    let listed = git.run(&work, &["ls-remote", &address]).await.good();
    assert!(!listed.contains("refs/heads/new"), "{listed}");
    let said = git.run(&work, &["push", &address, "main:refs/bastide/x"]).await.refused();
    assert!(said.contains("(request "), "{said}");
}

/// A repository's directory in the data directory: the one that holds `HEAD`.
fn bare(folder: &std::path::Path) -> Option<std::path::PathBuf> {
    if folder.join("HEAD").exists() {
        return Some(folder.to_owned());
    }
    std::fs::read_dir(folder).ok()?.flatten().find_map(|entry| bare(&entry.path()))
}

/// The refs are put there by hand, since git's own client takes minutes to push that many over HTTP.
#[tokio::test(flavor = "multi_thread")]
async fn fifty_thousand_refs_are_listed_and_one_more_is_pushed() {
    let house = House::open().await;
    house.repository("one", true).await;
    let git = house.git("ann", house.administrator.secret());
    let work = git.work_tree("work", 1).await;
    let address = house.address("one");
    git.run(&work, &["push", "-q", &address, "main"]).await.good();
    let head = git.run(&work, &["rev-parse", "HEAD"]).await.good();
    let mut packed = String::from("# pack-refs with: peeled fully-peeled sorted \n");
    for number in 0..50_000 {
        let _ = writeln!(packed, "{} refs/tags/v{number:05}", head.trim());
    }
    let bare = bare(&house.folder.path().join("data/repositories")).unwrap();
    std::fs::write(bare.join("packed-refs"), packed).unwrap();
    git.run(&work, &["push", "-q", &address, "main:refs/tags/one-more"]).await.good();
    for version in ["protocol.version=0", "protocol.version=2"] {
        let listed = git.run(&work, &["-c", version, "ls-remote", "--tags", &address]).await.good();
        assert_eq!(listed.lines().count(), 50_001);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_of_a_thousand_refs_is_recorded_once() {
    let house = House::open().await;
    house.repository("one", true).await;
    let git = house.git("ann", house.administrator.secret());
    let work = git.work_tree("work", 1).await;
    let head = git.run(&work, &["rev-parse", "HEAD"]).await.good();
    let mut packed = String::from("# pack-refs with: peeled fully-peeled sorted \n");
    for number in 0..1_000 {
        let _ = writeln!(packed, "{} refs/tags/v{number:05}", head.trim());
    }
    std::fs::write(work.join(".git/packed-refs"), packed).unwrap();
    git.run(&work, &["push", "-q", &house.address("one"), "refs/tags/*:refs/tags/*"]).await.good();
    let query = AuditQuery { action: Some(model::Action::RepositoryPush), ..AuditQuery::default() };
    let (events, _) = house.service.audit_events(&house.ann("audit:read").await, query, 10).await.unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].after["count"], 1_000);
    assert_eq!(events[0].after["refs"].as_array().unwrap().len(), 100);
}
