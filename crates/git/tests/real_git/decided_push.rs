//! Pushes that are refused, that fail to be recorded, or whose client goes: what the client is told, and what is
//! left behind.

use std::sync::Arc;

use crate::harness::{World, accept, commit, git, git_ok, refuse, text};
use git::lock::try_exclusive;
use git::{Change, PushLimits, RefUpdate, Verdict, commit as commits, is_forced};
use model::{Error, RefName};
use tokio::sync::{Notify, Semaphore};

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_push_tells_why_and_leaves_nothing() {
    for over_http in [false, true] {
        let world = World::with(refuse("main is closed\x1b[2J (request 1)"), Box::new(|_| Ok(vec![]))).await;
        let url = if over_http { world.http_url() } else { world.git_url() };
        let work = world.clone_with_commit(&url).await;
        let pushed = git(&work, &["push", "origin", "main", "main:other"]).await;
        assert!(!pushed.status.success());
        let said = text(&pushed);
        assert!(said.contains("remote: main is closed [2J (request 1)"), "{said}");
        assert!(said.contains("pre-receive hook declined"), "{said}");
        assert_eq!(world.refs().await, "");
        assert_eq!(world.leftovers(), [""; 0]);
        assert!(world.outcomes().is_empty(), "nothing was accepted, so there is nothing to record");
    }
}

/// An acknowledgement that is not on record is worse than an error.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_whose_outcome_cannot_be_recorded_is_not_acknowledged() {
    for over_http in [false, true] {
        let world = World::with(accept(), Box::new(|_| Err(Error::Unavailable))).await;
        let url = if over_http { world.http_url() } else { world.git_url() };
        let work = world.clone_with_commit(&url).await;
        let pushed = git(&work, &["push", "origin", "main"]).await;
        assert!(!pushed.status.success(), "{}", text(&pushed));
        assert!(text(&pushed).contains("cannot confirm this push"), "{}", text(&pushed));
        assert!(!text(&pushed).contains("[new branch]"), "{}", text(&pushed));
        assert!(world.outcomes()[0].refs[0].applied, "the record is told what is on disk");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_that_fails_refuses() {
    let decide = |_, _| -> std::pin::Pin<Box<dyn Future<Output = model::Result<Verdict<()>>> + Send>> {
        Box::pin(async { Err(Error::internal("the database is gone")) })
    };
    let world = World::with(Box::new(decide), Box::new(|_| Ok(vec![]))).await;
    let work = world.clone_with_commit(&world.git_url()).await;
    let pushed = git(&work, &["push", "origin", "main"]).await;
    assert!(!pushed.status.success() && !text(&pushed).contains("database"), "{}", text(&pushed));
    assert_eq!(world.leftovers(), [""; 0]);
}

/// The decision sees the new objects; nobody else does.
#[tokio::test(flavor = "multi_thread")]
async fn the_decision_looks_into_the_quarantine() {
    let decide = Box::new(|question: git::PreReceive, repository: git::Repository| {
        let answer = async move {
            let inside = repository.in_quarantine(question.quarantine.as_ref().unwrap())?;
            let new = question.updates[0].new.clone();
            let seen = commits::read(&inside, &new).await?;
            assert!(matches!(commits::read(&repository, &new).await, Err(Error::NotFound { .. })));
            assert!(try_exclusive(&repository)?.is_none(), "a push under way is not judged");
            let query = commits::LogQuery {
                include: vec![new.clone()],
                beyond_refs: true,
                limit: 10,
                ..commits::LogQuery::default()
            };
            let brought = commits::log(&inside, &query).await?;
            assert_eq!(brought.iter().map(|one| &one.id).collect::<Vec<_>>(), [&new]);
            let change = question.updates[0].change(&inside).await?;
            let line = format!(
                "{} {change:?} {}",
                seen.message.trim(),
                is_forced(&inside, &question.updates[0]).await?
            );
            Ok(Verdict::Accept { intent: (), messages: vec![line] })
        };
        Box::pin(answer) as std::pin::Pin<Box<dyn Future<Output = _> + Send>>
    });
    let world = World::with(decide, Box::new(|_| Ok(vec![]))).await;
    let work = world.clone_with_commit(&world.git_url()).await;
    let first = git(&work, &["push", "origin", "main"]).await;
    assert!(text(&first).contains("remote: change readme Create false"), "{}", text(&first));
    commit(&work, "a", "1").await;
    let second = git(&work, &["push", "origin", "main"]).await;
    assert!(text(&second).contains("remote: change a FastForward false"), "{}", text(&second));
    git_ok(&work, &["reset", "-q", "--hard", "HEAD~1"]).await;
    commit(&work, "b", "2").await;
    let third = git(&work, &["push", "--force", "origin", "main"]).await;
    assert!(text(&third).contains("remote: change b Forced true"), "{}", text(&third));
    assert!(try_exclusive(&world.server.repository).unwrap().is_some());
}

/// Attack: a client that goes at the worst moment, to leave locks, half a push, or objects behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_before_the_decision_leaves_nothing() {
    for over_http in [false, true] {
        let (asked, decided, settled) =
            (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)), Arc::new(Notify::new()));
        let (asking, deciding, settling) = (Arc::clone(&asked), Arc::clone(&decided), Arc::clone(&settled));
        let decide = Box::new(move |_, _| {
            let (asking, deciding) = (Arc::clone(&asking), Arc::clone(&deciding));
            let answer = async move {
                asking.notify_one();
                deciding.acquire().await.unwrap().forget();
                Ok(Verdict::Accept { intent: (), messages: vec![] })
            };
            Box::pin(answer) as std::pin::Pin<Box<dyn Future<Output = _> + Send>>
        });
        let settle = Box::new(move |_: &_| {
            settling.notify_one();
            Ok(vec![])
        });
        let world = World::with(decide, settle).await;
        let url = if over_http { world.http_url() } else { world.git_url() };
        let work = world.clone_with_commit(&url).await;
        let mut client = tokio::process::Command::new("git")
            .args(["push", "-q", "origin", "main"])
            .current_dir(&work)
            .process_group(0)
            .spawn()
            .unwrap();
        asked.notified().await;
        let group = rustix::process::Pid::from_raw(i32::try_from(client.id().unwrap()).unwrap()).unwrap();
        rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
        client.wait().await.unwrap();
        // The hook dies with git, which the server ends when it notices that the client is gone.
        while !world.leftovers().is_empty() {
            tokio::task::yield_now().await;
        }
        decided.add_permits(1);
        settled.notified().await;
        while try_exclusive(&world.server.repository).unwrap().is_none() {
            tokio::task::yield_now().await;
        }
        let outcome = world.outcomes().remove(0);
        assert!(!outcome.refs[0].applied, "{outcome:?}");
        assert_eq!(world.refs().await, "");
        decided.add_permits(1);
        git_ok(&work, &["push", "-q", "origin", "main"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pack_above_the_limit_is_refused() {
    let limits = PushLimits { pack_bytes: 20_000, ..PushLimits::default() };
    for over_http in [false, true] {
        let world = World::with_limits(accept(), Box::new(|_| Ok(vec![])), limits).await;
        let url = if over_http { world.http_url() } else { world.git_url() };
        let work = world.clone_with_commit(&url).await;
        let noise: String = (0..20_000_u32).map(|n| format!("{:x}", n.wrapping_mul(2_654_435_761))).collect();
        commit(&work, "large", &noise).await;
        assert!(!git(&work, &["push", "origin", "main"]).await.status.success());
        assert_eq!(world.refs().await, "");
        while !world.leftovers().is_empty() {
            tokio::task::yield_now().await;
        }
        assert!(world.questions().is_empty());
    }
}

/// Attack: refs of the server's own, written by a client.
#[tokio::test(flavor = "multi_thread")]
async fn internal_refs_are_neither_written_nor_shown() {
    let world = World::new().await;
    let work = world.clone_with_commit(&world.git_url()).await;
    git_ok(&work, &["push", "-q", "origin", "main"]).await;
    let refused = git(&work, &["push", "origin", "main:refs/bastide/x"]).await;
    assert!(text(&refused).contains("deny updating a hidden ref"), "{}", text(&refused));
    let tip = git_ok(&work, &["rev-parse", "HEAD"]).await;
    git_ok(world.server.repository.path(), &["update-ref", "refs/bastide/kept", &tip]).await;
    for version in ["0", "2"] {
        let protocol = format!("protocol.version={version}");
        let listed = git_ok(&work, &["-c", &protocol, "ls-remote", &world.git_url()]).await;
        assert!(!listed.contains("bastide"), "{listed}");
    }
}

/// Git runs no hook, and says nothing, when its file is missing: the push would pass undecided.
#[tokio::test(flavor = "multi_thread")]
async fn without_its_hook_no_push_begins() {
    let world = World::new().await;
    let work = world.clone_with_commit(&world.git_url()).await;
    std::fs::remove_file(world.path("hooks/pre-receive")).unwrap();
    assert!(!git(&work, &["push", "origin", "main"]).await.status.success());
    assert_eq!(world.refs().await, "");
}

/// One of several refs that git itself refuses: the record tells which moved.
#[tokio::test(flavor = "multi_thread")]
async fn the_outcome_tells_ref_by_ref() {
    let world = World::new().await;
    let work = world.clone_with_commit(&world.http_url()).await;
    git_ok(&work, &["push", "-q", "origin", "main"]).await;
    commit(&work, "a", "1").await;
    let pushed = git(&work, &["push", "origin", "main", "main:refs/heads/main/below"]).await;
    assert!(!pushed.status.success());
    let outcome = world.outcomes().pop().unwrap();
    let told: Vec<_> = outcome.refs.iter().map(|one| (one.update.name.as_str(), one.applied)).collect();
    assert_eq!(told, [("refs/heads/main", true), ("refs/heads/main/below", false)]);
    assert!(outcome.refs[1].refusal.is_some());
}

/// Attack: bytes that are no push, sent without git.
#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_start_no_process() {
    let world = World::new().await;
    let send = |body: &'static [u8]| {
        let push = git::Push {
            id: model::PushId::new(&world.server.random),
            repository: world.server.repository.clone(),
            hooks: world.server.hooks.clone(),
            session: git::Session::Stateless,
            limits: PushLimits::default(),
        };
        git::receive_pack::receive(
            push,
            body,
            |_| async { Ok(Verdict::Accept { intent: (), messages: vec![] }) },
            |(), _| async { Ok(vec![]) },
        )
    };
    for body in [&b"0003"[..], b"zzzz", b"ffff", b"0010abc", b"0009hello0000", b"0001"] {
        assert!(matches!(send(body).await, Err(Error::Invalid { .. })), "{body:?}");
    }
    assert!(try_exclusive(&world.server.repository).unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_nobody_settled_is_judged_by_its_refs() {
    let world = World::new().await;
    let work = world.clone_with_commit(&world.git_url()).await;
    git_ok(&work, &["push", "-q", "origin", "main"]).await;
    let update = world.questions()[0].updates[0].clone();
    let never = RefUpdate { name: RefName::branch("never").unwrap(), ..update.clone() };
    let _lock = try_exclusive(&world.server.repository).unwrap().unwrap();
    let outcome = git::refs::judge_durably(&world.server.repository, &[update.clone(), never]).await.unwrap();
    assert_eq!(outcome.refs.iter().map(|one| one.applied).collect::<Vec<_>>(), [true, false]);
    assert_eq!(update.change(&world.server.repository).await.unwrap(), Change::Create);
}
