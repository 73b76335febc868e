//! Refs, histories, trees, files and diffs of a repository that real pushes made.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use crate::harness::{World, git_ok};
use futures_util::StreamExt;
use git::commit::{self, LogQuery};
use git::diff::{self, DiffQuery, FileStatus};
use git::refs::{self, RefKind};
use git::tree::{self, EntryKind};
use git::{RefUpdate, RepoPath, blob};
use model::{Error, ObjectId, RefName};

fn id(text: &str) -> ObjectId {
    text.parse().unwrap()
}

fn path(text: &str) -> RepoPath {
    RepoPath::new(text).unwrap()
}

async fn text_of(stream: git::ByteStream) -> String {
    let pieces: Vec<_> = stream.collect().await;
    let bytes: Vec<u8> = pieces.into_iter().flat_map(Result::unwrap).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A history of three commits with a link, a program, a renamed file, awkward names, an annotated tag.
async fn world() -> (World, Vec<String>) {
    let world = World::new().await;
    let work = world.clone_with_commit(&world.git_url()).await;
    let mut tips = vec![git_ok(&work, &["rev-parse", "HEAD"]).await];
    std::os::unix::fs::symlink("/etc/passwd", work.join("link")).unwrap();
    std::fs::write(work.join("--output=x"), "odd\n").unwrap();
    std::fs::write(work.join(std::ffi::OsStr::from_bytes(b"na\xffme")), "bytes\n").unwrap();
    std::fs::write(work.join("run"), "#!/bin/sh\n").unwrap();
    git_ok(&work, &["add", "-A"]).await;
    std::fs::set_permissions(work.join("run"), std::fs::Permissions::from_mode(0o755)).unwrap();
    tips.push(crate::harness::commit(&work, "src/deep/lib.rs", &"line\n".repeat(30)).await);
    git_ok(&work, &["mv", "src/deep/lib.rs", "src/main.rs"]).await;
    tips.push(crate::harness::commit(&work, "image", "\0\u{1}\0").await);
    git_ok(&work, &["tag", "-a", "-m", "first", "v1", &tips[0]]).await;
    git_ok(&work, &["push", "-q", "origin", "main", "v1", "main:refs/heads/feature/größe"]).await;
    (world, tips)
}

#[tokio::test(flavor = "multi_thread")]
async fn refs_are_listed_and_resolved() {
    let (world, tips) = world().await;
    let repository = &world.server.repository;
    let branches = refs::list(repository, RefKind::Branches).await.unwrap();
    let names: Vec<_> = branches.iter().map(|one| one.name.as_branch().unwrap()).collect();
    assert_eq!(names, ["feature/größe", "main"]);
    let tags = refs::list(repository, RefKind::Tags).await.unwrap();
    assert_eq!(tags[0].commit(), &id(&tips[0]));
    assert_ne!(tags[0].target, id(&tips[0]));
    assert_eq!((branches[0].made, tags[0].made), (1_700_000_100, 1_700_000_100));
    for (text, tip) in
        [("main", 2), ("v1", 0), ("HEAD", 2), ("feature/größe", 2), (&tips[1], 1), (&tips[1][..8], 1)]
    {
        assert_eq!(refs::resolve(repository, text).await.unwrap(), id(&tips[tip]), "{text}");
    }
}

/// Attack: a revision that is an option, an expression, or several lines (CVE-2022-36804, CVE-2026-52806).
#[tokio::test(flavor = "multi_thread")]
async fn a_revision_is_a_name_and_never_an_expression() {
    let (world, tips) = world().await;
    let zero = "0".repeat(40);
    for text in [
        "",
        "--exec=id",
        "--output=/tmp/x",
        "-1",
        "main~1",
        "main^",
        "main:readme",
        "main..v1",
        "@",
        "@{0}",
        "HEAD@{1}",
        ":/change",
        "main\nv1",
        "main\0",
        "refs/heads/main\n",
        "heads/main",
        "abc",
        "zzzz",
        zero.as_str(),
        "../HEAD",
    ] {
        let found = refs::resolve(&world.server.repository, text).await;
        assert!(matches!(found, Err(Error::NotFound { .. })), "{text:?}: {found:?}");
    }
    let tree = git_ok(world.server.repository.path(), &["rev-parse", &format!("{}^{{tree}}", tips[0])]).await;
    assert!(refs::resolve(&world.server.repository, &tree).await.is_err(), "a tree is no commit");
}

#[tokio::test(flavor = "multi_thread")]
async fn refs_are_moved_only_from_their_old_value() {
    let (world, tips) = world().await;
    let repository = &world.server.repository;
    let zero = id(&"0".repeat(40));
    let name = RefName::branch("x/y").unwrap();
    let update = |old: &ObjectId, new: &ObjectId| {
        vec![RefUpdate { old: old.clone(), new: new.clone(), name: name.clone() }]
    };
    refs::update(repository, &update(&zero, &id(&tips[0]))).await.unwrap();
    assert!(matches!(refs::update(repository, &update(&zero, &id(&tips[1]))).await, Err(Error::Conflict(_))));
    refs::update(repository, &update(&id(&tips[0]), &id(&tips[1]))).await.unwrap();
    assert_eq!(refs::find(repository, &name).await.unwrap().unwrap().target, id(&tips[1]));
    refs::update(repository, &update(&id(&tips[1]), &zero)).await.unwrap();
    assert!(refs::find(repository, &name).await.unwrap().is_none());
    assert_eq!(refs::default_branch(repository).await.unwrap().as_branch(), Some("main"));
    refs::set_default_branch(repository, &RefName::branch("feature/größe").unwrap()).await.unwrap();
    assert_eq!(refs::default_branch(repository).await.unwrap().as_branch(), Some("feature/größe"));
    assert!(refs::set_default_branch(repository, &RefName::tag("v1").unwrap()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn histories_are_cut_by_path_and_by_what_is_left_out() {
    let (world, tips) = world().await;
    let repository = &world.server.repository;
    let query = |limit| LogQuery { include: vec![id(&tips[2])], limit, ..LogQuery::default() };
    let all = commit::log(repository, &query(10)).await.unwrap();
    assert_eq!(all.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), [&tips[2], &tips[1], &tips[0]]);
    assert_eq!(commit::count(repository, &query(1)).await.unwrap(), 3);
    let first = &all[2];
    assert_eq!(
        (first.author.name.as_str(), first.author.seconds, first.author.offset_minutes),
        ("Ann", 1_700_000_000, 60)
    );
    assert_eq!(
        (first.committer.email.as_str(), first.message.as_str()),
        ("ben@example.org", "change readme\n")
    );
    assert!(first.parents.is_empty() && all[0].parents == [id(&tips[1])]);
    let page = commit::log(repository, &LogQuery { skip: 1, ..query(1) }).await.unwrap();
    assert_eq!(page[0].id, id(&tips[1]));
    let without =
        commit::log(repository, &LogQuery { exclude: vec![id(&tips[1])], ..query(10) }).await.unwrap();
    assert_eq!(without.len(), 1);
    let paths = vec![path("src/main.rs")];
    let touched = commit::log(repository, &LogQuery { paths: paths.clone(), ..query(10) }).await.unwrap();
    assert_eq!(touched.len(), 1);
    let followed = commit::log(repository, &LogQuery { paths, follow: true, ..query(10) }).await.unwrap();
    assert_eq!(followed.len(), 2);
    let two = commit::read_all(repository, &[id(&tips[0]), id(&tips[2]), id(&tips[0])]).await.unwrap();
    assert_eq!(two.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), [&tips[0], &tips[2], &tips[0]]);
    assert!(matches!(commit::read(repository, &id(&"a".repeat(40))).await, Err(Error::NotFound { .. })));
    assert_eq!(
        commit::merge_base(repository, &id(&tips[0]), &id(&tips[2])).await.unwrap(),
        Some(id(&tips[0]))
    );
    assert!(commit::raw(repository, &id(&tips[0])).await.unwrap().starts_with(b"tree "));
}

#[tokio::test(flavor = "multi_thread")]
async fn trees_and_files_are_read_and_links_are_not_followed() {
    let (world, tips) = world().await;
    let repository = &world.server.repository;
    let tip = id(&tips[2]);
    let top = tree::list(repository, &tip, None, 1, 100).await.unwrap();
    let names: Vec<_> = top.iter().map(|entry| String::from_utf8_lossy(&entry.path).into_owned()).collect();
    assert_eq!(names, ["--output=x", "image", "link", "na\u{fffd}me", "readme", "run", "src"]);
    let whole = tree::list(repository, &tip, None, 9, 100).await.unwrap();
    assert_eq!(whole.len(), 8);
    assert!(matches!(tree::list(repository, &tip, None, 9, 7).await, Err(Error::TooLarge { .. })));
    let below = tree::list(repository, &id(&tips[1]), Some(&path("src")), 2, 100).await.unwrap();
    let names: Vec<_> = below.iter().map(|entry| String::from_utf8_lossy(&entry.path).into_owned()).collect();
    assert_eq!(names, ["src/deep", "src/deep/lib.rs"]);
    for (name, kind) in [("run", EntryKind::File { executable: true }), ("src", EntryKind::Directory)] {
        assert_eq!(tree::find(repository, &tip, &path(name)).await.unwrap().unwrap().kind, kind);
    }
    let odd = blob::find(repository, &tip, &path("--output=x")).await.unwrap();
    assert_eq!(text_of(blob::open(repository, &odd.id).await.unwrap()).await, "odd\n");
    assert!(matches!(blob::read(repository, &odd.id, 3).await, Err(Error::TooLarge { .. })));
    let link = blob::find(repository, &tip, &path("link")).await.unwrap();
    assert_eq!(link.kind, EntryKind::Symlink);
    assert_eq!(blob::read(repository, &link.id, 100).await.unwrap(), b"/etc/passwd");
    for missing in ["src", "nothing", "link/x", "re*"] {
        assert!(
            matches!(blob::find(repository, &tip, &path(missing)).await, Err(Error::NotFound { .. })),
            "{missing}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn diffs_as_patches_and_as_counts() {
    let (world, tips) = world().await;
    let repository = &world.server.repository;
    let query = DiffQuery::new(Some(id(&tips[1])), id(&tips[2]));
    let stats = diff::stat(repository, &query, 10).await.unwrap();
    let told: Vec<_> = stats.iter().map(|s| (s.status, s.added)).collect();
    assert_eq!(told, [(FileStatus::Added, None), (FileStatus::Renamed, Some(0))]);
    assert!(matches!(diff::stat(repository, &query, 1).await, Err(Error::TooLarge { .. })));
    let patch = text_of(diff::patch(repository, &query).unwrap()).await;
    assert!(patch.contains("rename to src/main.rs") && patch.contains("Binary files"), "{patch}");
    let first = DiffQuery::new(None, id(&tips[0]));
    let patch = text_of(diff::patch(repository, &first).unwrap()).await;
    assert!(
        patch.starts_with("diff --git a/readme b/readme\nnew file") && patch.contains("+hello"),
        "{patch}"
    );
    let mails = text_of(diff::mails(repository, Some(&id(&tips[0])), &id(&tips[2])).unwrap()).await;
    assert_eq!(mails.matches("\nSubject: [PATCH ").count(), 2, "{mails}");
}
