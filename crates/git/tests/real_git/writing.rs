//! Commits made on the server, and maintenance.

use crate::harness::{World, git_ok};
use git::commit::{self, Identity};
use git::write::{FileChange, NewCommit, prepare};
use git::{RepoPath, blob, maintenance, refs};
use model::{Clock, Error, Random, RefName, Timestamp};

fn person() -> Identity {
    Identity {
        name: "Ann; $(id)".to_owned(),
        email: "ann@example.org".to_owned(),
        seconds: 1_700_000_000,
        offset_minutes: 60,
    }
}

fn write(path: &str, content: &'static str) -> FileChange {
    let content = Box::new(content.as_bytes());
    FileChange::Write { path: RepoPath::new(path).unwrap(), content, executable: None }
}

fn new_commit(parent: Option<&model::ObjectId>, changes: Vec<FileChange>) -> NewCommit {
    NewCommit {
        parent: parent.cloned(),
        author: person(),
        committer: person(),
        message: "made here".to_owned(),
        changes,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_commit_and_one_upon_it() {
    let world = World::new().await;
    let repository = &world.server.repository;
    let random = Random::seeded(3);
    let main = RefName::branch("main").unwrap();
    let first = prepare(repository, new_commit(None, vec![write("a/b", "1\n"), write("c", "2\n")]), &random)
        .await
        .unwrap();
    let id = first.id().clone();
    assert!(commit::read(repository, &id).await.is_err(), "in quarantine only");
    assert!(commit::read(&repository.in_quarantine(first.quarantine()).unwrap(), &id).await.is_ok());
    let update = first.update(&main);
    first.publish(&update).await.unwrap();
    let made = commit::read(repository, &id).await.unwrap();
    assert_eq!((made.author, made.message.as_str()), (person(), "made here\n"));

    let delete = FileChange::Delete { path: RepoPath::new("c").unwrap() };
    let second =
        prepare(repository, new_commit(Some(&id), vec![delete, write("c/d", "3\n")]), &random).await.unwrap();
    let late = prepare(repository, new_commit(Some(&id), vec![write("e", "4\n")]), &random).await.unwrap();
    let (update, late_update) = (second.update(&main), late.update(&main));
    second.publish(&update).await.unwrap();
    assert!(matches!(late.publish(&late_update).await, Err(Error::Conflict(_))));
    let tip = refs::resolve(repository, "main").await.unwrap();
    let entry = blob::find(repository, &tip, &RepoPath::new("c/d").unwrap()).await.unwrap();
    assert_eq!(blob::read(repository, &entry.id, 10).await.unwrap(), b"3\n");
    assert!(world.leftovers().iter().all(|name| name.starts_with("pack-")), "{:?}", world.leftovers());
    git_ok(repository.path(), &["fsck", "--strict"]).await;
    git_ok(world.directory.path(), &["clone", "-q", &world.git_url(), "copy"]).await;
}

/// Attack: a link is committed, then the API writes through it (CVE-2025-8110).
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_through_a_link() {
    let world = World::new().await;
    let work = world.clone_with_commit(&world.git_url()).await;
    let outside = world.path("outside");
    std::fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, work.join("link")).unwrap();
    std::os::unix::fs::symlink(".git/config", work.join("file")).unwrap();
    let tip = crate::harness::commit(&work, "x", "1").await.parse().unwrap();
    git_ok(&work, &["push", "-q", "origin", "main"]).await;
    let repository = &world.server.repository;
    for path in ["link/x", "file", "link", "x/y", "readme/x"] {
        let made =
            prepare(repository, new_commit(Some(&tip), vec![write(path, "bad")]), &Random::seeded(4)).await;
        assert!(matches!(made, Err(Error::Invalid { .. })), "{path}");
    }
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    assert!(world.leftovers().iter().all(|name| name.starts_with("pack-")), "{:?}", world.leftovers());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_commit_is_refused() {
    let world = World::new().await;
    let repository = &world.server.repository;
    let random = Random::seeded(5);
    let refused = |new| async { prepare(repository, new, &random).await.unwrap_err() };
    assert!(matches!(
        refused(new_commit(None, vec![write("a", "1"), write("a/b", "2")])).await,
        Error::Invalid { .. }
    ));
    assert!(matches!(
        refused(new_commit(None, vec![write("a/b", "1"), write("a", "2")])).await,
        Error::Invalid { .. }
    ));
    let delete = FileChange::Delete { path: RepoPath::new("a").unwrap() };
    assert!(matches!(refused(new_commit(None, vec![delete])).await, Error::NotFound { .. }));
    let mut nul = new_commit(None, vec![write("a", "1")]);
    nul.message = "a\0b".to_owned();
    assert!(matches!(refused(nul).await, Error::Invalid { .. }));
    let first = prepare(repository, new_commit(None, vec![write("a", "1")]), &random).await.unwrap();
    let id = first.id().clone();
    let update = first.update(&RefName::branch("main").unwrap());
    first.publish(&update).await.unwrap();
    assert!(matches!(refused(new_commit(Some(&id), vec![write("a", "1")])).await, Error::Invalid { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn maintenance_packs_keeps_everything_and_sweeps_remains() {
    let world = World::new().await;
    let repository = &world.server.repository;
    let work = world.clone_with_commit(&world.git_url()).await;
    for index in 0..5 {
        crate::harness::commit(&work, &format!("f{index}"), "x").await;
        git_ok(&work, &["push", "-q", "origin", "main", &format!("main:b{index}")]).await;
    }
    git_ok(&work, &["commit", "-q", "--amend", "-m", "rewritten"]).await;
    let lost = refs::resolve(repository, "main").await.unwrap();
    git_ok(&work, &["push", "-q", "--force", "origin", "main", ":b4"]).await;
    let objects = repository.path().join("objects");
    std::fs::create_dir(objects.join("tmp_objdir-incoming-abcdef")).unwrap();
    std::fs::write(objects.join("pack/tmp_pack_abc"), "x").unwrap();

    // Now, not long before: what lies there may be a push under way.
    let clock = Clock::system();
    let first = maintenance::maintain(repository, &clock).await.unwrap();
    assert!(first.ran && first.remains_removed == 0 && first.size_bytes > 0);
    let in_a_week = Clock::manual(Timestamp::from_micros(clock.now().micros() + 7 * 86_400_000_000));
    assert_eq!(maintenance::maintain(repository, &in_a_week).await.unwrap().remains_removed, 2);

    let names = world.leftovers();
    assert!(names.iter().any(|name| name.ends_with(".bitmap")), "{names:?}");
    assert_eq!(
        names.iter().filter(|name| name.ends_with(".pack")).count(),
        2,
        "one pack and the cruft: {names:?}"
    );
    assert!(commit::read(repository, &lost).await.is_ok(), "what was overwritten can be brought back");
    assert!(repository.path().join("objects/info/commit-graphs").is_dir());
    git_ok(repository.path(), &["fsck"]).await;
    git_ok(world.directory.path(), &["clone", "-q", &world.http_url(), "copy"]).await;
    crate::harness::commit(&work, "later", "y").await;
    git_ok(&work, &["push", "-q", "origin", "main"]).await;
    maintenance::maintain(repository, &clock).await.unwrap();
    git_ok(repository.path(), &["fsck"]).await;
}
