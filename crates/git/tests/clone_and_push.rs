//! Clones and pushes of the real git client, over a conversation (as SSH has) and over HTTP.

mod harness;

use git::{Protocol, refs, upload_pack};
use harness::{World, commit, git, git_ok, text};

async fn push_then_clone(url: fn(&World) -> String, version: &str) {
    let world = World::new().await;
    let url = url(&world);
    let protocol = format!("protocol.version={version}");
    let work = world.clone_with_commit(&url).await;
    let pushed = git(&work, &["-c", &protocol, "push", "origin", "main"]).await;
    assert!(pushed.status.success(), "{}", text(&pushed));
    assert!(text(&pushed).contains("remote: welcome") && text(&pushed).contains("remote: recorded"));
    let tip = git_ok(&work, &["rev-parse", "HEAD"]).await;
    assert_eq!(world.refs().await, format!("refs/heads/main {tip}"));

    for index in 0..40 {
        commit(&work, &format!("file{index}"), &"x".repeat(index)).await;
    }
    git_ok(
        &work,
        &["-c", &protocol, "push", "-q", "origin", "main", "main:refs/heads/deep/er", "main:refs/tags/v1"],
    )
    .await;
    git_ok(world.directory.path(), &["-c", &protocol, "clone", "-q", &url, "copy"]).await;
    let copy = world.path("copy");
    assert_eq!(git_ok(&copy, &["rev-parse", "HEAD"]).await, git_ok(&work, &["rev-parse", "HEAD"]).await);

    // A fetch with many haves, which the client compresses over HTTP.
    commit(&work, "later", "1").await;
    git_ok(&work, &["-c", &protocol, "push", "-q", "origin", "main", ":refs/heads/deep/er"]).await;
    git_ok(&copy, &["-c", &protocol, "fetch", "-q", "--prune"]).await;
    assert!(!git_ok(&copy, &["branch", "-r"]).await.contains("deep/er"));
    git_ok(world.directory.path(), &["-c", &protocol, "clone", "-q", "--depth=2", &url, "shallow"]).await;

    let outcomes = world.outcomes();
    assert_eq!(outcomes.iter().map(|o| o.refs.len()).collect::<Vec<_>>(), [1, 3, 2]);
    assert!(outcomes.iter().all(|o| o.finished && o.refs.iter().all(|r| r.applied && r.refusal.is_none())));
    let kept = world.leftovers();
    assert!(kept.iter().all(|name| name.starts_with("pack-")), "each push is one pack: {kept:?}");
}

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
    let pieces: Vec<_> = stream.unwrap().collect().await;
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
