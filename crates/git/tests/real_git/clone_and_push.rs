//! Clones and pushes of the real git client, over a conversation (as SSH has) and over HTTP.

use crate::harness::{World, commit, git_ok, push_then_clone};
use git::{Protocol, refs, upload_pack};

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_in_version_two() {
    push_then_clone(World::git_url, "2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_in_version_zero() {
    push_then_clone(World::git_url, "0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http_in_version_two() {
    push_then_clone(World::http_url, "2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http_in_version_zero() {
    push_then_clone(World::http_url, "0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http_in_version_one() {
    push_then_clone(World::http_url, "1").await;
}

/// A client that sends the pack in chunks, as it does for large ones, and partial clones.
#[tokio::test(flavor = "multi_thread")]
async fn http_with_a_chunked_push_and_a_filtered_clone() {
    let world = World::new().await;
    let work = world.clone_with_commit(&world.http_url()).await;
    let noise: String = (0..200_000_u32).map(|n| format!("{:x}", n.wrapping_mul(2_654_435_761))).collect();
    commit(&work, "large", &noise).await;
    git_ok(&work, &["-c", "http.postBuffer=65536", "push", "-q", "origin", "main"]).await;
    git_ok(
        world.directory.path(),
        &["clone", "-q", "--bare", "--filter=blob:none", &world.http_url(), "partial"],
    )
    .await;
    let missing = git_ok(&world.path("partial"), &["rev-list", "--objects", "--missing=print", "main"]).await;
    assert!(missing.contains('?'), "{missing}");
}

/// The in-process answer must promise nothing that git's upload-pack does not do, and hide nothing it does.
#[tokio::test]
async fn the_advertisement_equals_gits_own_but_for_the_agent() {
    use futures_util::StreamExt;
    let world = World::new().await;
    let stream = upload_pack::serve(
        &world.server.repository,
        Protocol::V2,
        upload_pack::Session::Interactive,
        tokio::io::empty(),
    );
    let pieces: Vec<_> = stream.await.unwrap().collect().await;
    let own: Vec<u8> = pieces.into_iter().flat_map(Result::unwrap).collect();
    let lines = |bytes: &[u8]| {
        let mut decoder = git::pkt_line::Decoder::default();
        decoder.feed(bytes);
        let mut lines = Vec::new();
        while let Some(packet) = decoder.packet().unwrap() {
            lines.push(format!("{packet:?}"));
        }
        // Not asked for by any client, and off by default in later versions of git.
        lines.retain(|line| !line.contains("agent=") && !line.contains("object-info"));
        lines
    };
    assert_eq!(lines(&git::advertisement::capabilities()), lines(&own));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_with_options_and_a_push_of_nothing() {
    let world = World::new().await;
    let work = world.clone_with_commit(&world.git_url()).await;
    git_ok(&work, &["push", "-q", "-o", "ci.skip", "-o", "a=b;c", "origin", "main"]).await;
    git_ok(&work, &["push", "-q", "origin", "main"]).await;
    let questions = world.questions();
    assert_eq!(questions.len(), 1);
    assert_eq!(questions[0].options, [b"ci.skip".to_vec(), b"a=b;c".to_vec()]);
    let found = refs::list(&world.server.repository, refs::RefKind::Branches).await.unwrap();
    assert_eq!(found.len(), 1);
}

/// Attack: clients that open many fetches and go, to leave processes behind.
#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_answer_ends_git() {
    let world = World::new().await;
    let repository = &world.server.repository;
    let (_client, input) = tokio::io::duplex(64);
    let session = upload_pack::Session::Interactive;
    let stream = upload_pack::serve(repository, Protocol::V2, session, input).await.unwrap();
    let running = || {
        let processes = std::fs::read_dir("/proc").unwrap();
        let directories =
            processes.filter_map(|entry| std::fs::read_link(entry.ok()?.path().join("cwd")).ok());
        directories.filter(|directory| directory == repository.path()).count()
    };
    while running() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.program.running(), 1);
    drop(stream);
    while running() > 0 || world.program.running() > 0 {
        tokio::task::yield_now().await;
    }
}
