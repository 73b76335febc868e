use std::sync::mpsc;

use model::{
    Clock, IssuedSecret, PipelineId, PipelineRun, PipelineState, PipelineTrigger, RefName, RequestId,
    RunnerId, SecretKind,
};
use pipeline::protocol::{Program, VERSION};
use store::pipeline_run::Inner;
use store::{Dialect, Store};
use testkit::{GitClient, TestStore, permit};

use super::*;
use crate::environment::tests::located;
use crate::step_assignment::tests::{planned, row};

/// Puts a step that is ready into a store, and all that it is in.
async fn ready_step(store: &Store, located: &Located, commit: &str, step: &str) -> StepRow {
    let (Located { repository, project, workspace }, now) = (located.clone(), store.clock().now());
    let run = PipelineRun {
        id: PipelineId::new(store.random()),
        repository: repository.id,
        build_number: 1,
        trigger: PipelineTrigger::Push,
        creator_id: None,
        creator: "user:eve".to_owned(),
        reference: Some(RefName::branch("main").unwrap()),
        commit: commit.to_owned(),
        protected: false,
        by_administrator: false,
        selector: "default".to_owned(),
        pattern: None,
        state: PipelineState::Running,
        error: None,
        created_on: now,
        completed_on: None,
    };
    let step = StepRow {
        pipeline: run.id,
        repository: repository.id,
        state: "ready".to_owned(),
        labels: vec!["gpu".to_owned()],
        ready_on: Some(now),
        ..row(store.random(), 0, &planned(step))
    };
    let inner = Inner { groups: json!([]), variables: json!([]) };
    let made = step.clone();
    store
        .write(&permit::<act::PipelineRun>(store), move |writer| {
            store::workspace::insert(writer, &workspace)?;
            store::project::insert(writer, &project)?;
            store::repository::insert(writer, &repository)?;
            store::pipeline_run::insert(writer, &run, &inner, "f.yml", "")?;
            store::pipeline_step::insert(writer, &made)
        })
        .await
        .unwrap();
    step
}

/// A service with one step that is ready, and a runner that may take it.
pub(crate) struct Scene {
    pub(crate) service: Service,
    pub(crate) clock: Clock,
    pub(crate) caller: Caller,
    pub(crate) step: StepRow,
    pub(crate) commit: String,
    runner: Runner,
    _folder: tempfile::TempDir,
}

impl Scene {
    /// `step` as a file of pipelines has it.
    pub(crate) async fn new(step: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(testkit::engines::start());
        let service = crate::housekeeping::tests::service(folder.path(), &clock).await;
        // That store makes their ids, and has nothing of them.
        let located = located(&TestStore::sqlite().await);
        let main = RefName::branch("main").unwrap();
        let bare = service.git.create(located.repository.id, &main).await.unwrap();
        let git = GitClient::new();
        let ran = |arguments: &[&str]| git.run(bare.path(), arguments).expect_success().to_owned();
        let tree = ran(&["hash-object", "-w", "-t", "tree", "/dev/null"]);
        let commit = ran(&["commit-tree", "-m", "one", tree.as_str()]);
        let step = ready_step(&service.store, &located, &commit, step).await;
        let runner = Runner {
            id: RunnerId::new(&service.random),
            bound_to: located.repository.id.into(),
            workspace: Some(located.workspace.id),
            name: "one".parse().unwrap(),
            labels: vec!["gpu".to_owned()],
            own_labels: Vec::new(),
            program: None,
            enabled: true,
            created_on: clock.now(),
            registered_on: None,
            seen_on: None,
        };
        let nobody = Caller::anonymous(None, RequestId::new(&service.random));
        let caller = Caller::runner(Arc::new(runner.clone()), &nobody);
        let scene = Self { service, clock, caller, step, commit, runner, _folder: folder };
        scene.register().await;
        scene
    }

    async fn register(&self) {
        let hash = IssuedSecret::new(SecretKind::Runner, &self.service.random).hash();
        let runner = self.runner.clone();
        let permit = permit::<act::RunnerRegister>(&self.service.store);
        let set =
            self.service.store.write(&permit, move |writer| store::runner::set_own(writer, &runner, &hash));
        set.await.unwrap();
    }

    async fn take(&self) -> Result<Option<Assignment>> {
        let program = Program {
            version: "0.1.0".to_owned(),
            os: "linux".to_owned(),
            arch: "x86_64".to_owned(),
            containers: None,
        };
        let claim = Claim { protocol: VERSION, program, labels: Vec::new(), wait: 0 };
        self.service.claim_step(&self.caller, &claim).await
    }

    /// Takes the step; its lease.
    pub(crate) async fn lease(&self) -> Lease {
        let taken = self.take().await.unwrap().expect("the step is ready");
        self.service.leased(&self.caller, self.step.id, taken.attempt).await.unwrap()
    }

    /// Has the step's lease end, without anybody noticing.
    pub(crate) fn lose(&self) {
        self.clock.advance(i64::from(self.service.settings.step_lease));
    }

    async fn state(&self) -> String {
        self.service.found_step(self.step.id).await.unwrap().state
    }
}

/// Attack: a runner that is removed, switched off or loses a label while its claim waits for a step, and takes one.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_waited_takes_nothing_for_who_may_take_nothing_any_more() {
    let scene = Scene::new("{script: [a]}").await;
    let change = async |runner: Runner| {
        let permit = permit::<act::RunnerSet>(&scene.service.store);
        let changed =
            scene.service.store.write(&permit, move |writer| store::runner::update(writer, &runner));
        changed.await.unwrap();
        scene.take().await
    };
    let refused = change(Runner { enabled: false, ..scene.runner.clone() }).await;
    assert!(matches!(refused, Err(Error::Forbidden { .. })), "{refused:?}");
    let refused = change(Runner { labels: Vec::new(), ..scene.runner.clone() }).await;
    assert!(matches!(refused, Ok(None)), "{refused:?}");
    let (id, permit) = (scene.runner.id, permit::<act::RunnerRemove>(&scene.service.store));
    scene.service.store.write(&permit, move |writer| store::runner::remove(writer, id)).await.unwrap();
    let refused = scene.take().await;
    assert!(matches!(refused, Err(Error::Unauthenticated)), "{refused:?}");
    assert_eq!(scene.state().await, "ready");
    scene.register().await;
    assert!(scene.take().await.unwrap().is_some());
}

/// Attack: a runner that was let in while it had the step, and ends it or keeps something of it when it has lost it, to
/// nobody yet or to the next attempt.
#[tokio::test(flavor = "multi_thread")]
async fn who_has_lost_a_step_says_nothing_more_of_it() {
    let scene = Scene::new("{script: [a]}").await;
    let (service, caller) = (&scene.service, &scene.caller);
    let keep = async |lease: Lease| service.keep_leased(caller, lease, |books| Ok(books.now())).await;
    let finish = async |lease: Lease| {
        let attempt = u32::try_from(lease.attempt).unwrap();
        let finish = Finish { attempt, verdict: Verdict::Passed, outputs: BTreeMap::new() };
        service.finish_leased(caller, scene.step.repository, lease, &finish).await
    };
    let lease = scene.lease().await;
    keep(lease).await.unwrap();
    // To a runner a conflict is the loss of its step. What it keeps all the same is none.
    let full = |_: &mut Bookkeeping<'_>| Err::<(), _>(Error::Conflict("there are too many".to_owned()));
    let refused = service.keep_leased(caller, lease, full).await;
    assert!(matches!(refused, Err(Error::Forbidden { .. })), "{refused:?}");

    scene.lose();
    let (kept, finished) = (keep(lease).await, finish(lease).await);
    assert!(matches!(kept, Err(Error::Conflict(_))), "{kept:?}");
    assert!(matches!(finished, Err(Error::Conflict(_))), "{finished:?}");
    assert_eq!(scene.state().await, "running");

    scene.clock.advance(i64::from(margin(service.settings.step_lease)) + 1);
    service.give_up_lost_steps().await.unwrap();
    let next = scene.lease().await;
    assert_eq!((next.attempt, next.runner), (lease.attempt + 1, lease.runner));
    let (kept, finished) = (keep(lease).await, finish(lease).await);
    assert!(matches!(kept, Err(Error::Conflict(_))), "{kept:?}");
    assert!(matches!(finished, Err(Error::Conflict(_))), "{finished:?}");
    assert_eq!(scene.state().await, "running");
    keep(next).await.unwrap();
}

/// A step in a store that a runner has by a lease of half a minute.
async fn taken_step(store: &TestStore) -> (StepRow, Lease) {
    let step = ready_step(store, &located(store), &"0".repeat(40), "{script: [a]}").await;
    let (id, runner) = (step.id, RunnerId::new(store.random()));
    let (token, until) = (CredentialId::new(store.random()), store.clock.now().plus_seconds(30));
    let permit = permit::<act::StepClaim>(store);
    let lease = store
        .write(&permit, move |writer| {
            store::pipeline_step::claim(writer, id, runner, token, until)?;
            store::pipeline_step::lease(writer, id)
        })
        .await;
    (step, lease.unwrap().expect("the step is taken"))
}

testkit::both_engines! {
    /// Would catch: a lease that another runner, another attempt or a later moment passes for, and one that is changed by
    /// being asked for.
    async fn a_lease_is_one_runners_for_one_attempt_until_it_ends(store) {
        let (step, lease) = taken_step(&store).await;
        let held = async |lease: Lease| {
            store.keep(move |books| store::pipeline_step::hold(books, &lease)).await.unwrap()
        };
        assert!(held(lease).await);
        assert!(!held(Lease { attempt: lease.attempt + 1, ..lease }).await);
        assert!(!held(Lease { runner: RunnerId::new(store.random()), ..lease }).await);
        assert!(!held(Lease { step: StepId::new(store.random()), ..lease }).await);
        let id = step.id;
        let known = store.read(move |reader| store::pipeline_step::lease(reader, id)).await.unwrap();
        assert_eq!(known, Some(lease));
        // A step that is to be stopped is its runner's until it has ended.
        let permit = permit::<act::StepFinish>(&store);
        store.write(&permit, move |writer| store::pipeline_step::ask_to_stop(writer, id)).await.unwrap();
        store.clock.advance(29);
        assert!(held(lease).await);
        store.clock.advance(1);
        assert!(!held(lease).await);
    }

    /// Would catch: an artifact that is kept at the moment in which its step ends, and that the record of the end does
    /// not name: on PostgreSQL, where bookkeeping is not serializable, a lease that is only read lets both through.
    async fn the_end_of_a_step_sees_what_was_kept_before_it(store) {
        let (step, lease) = taken_step(&store).await;
        let artifact = ArtifactRow {
            id: StepId::new(store.random()).uuid(),
            step: step.id,
            pipeline: step.pipeline,
            position: step.position,
            name: "a".to_owned(),
            size: 1,
            sha256: String::new(),
            created_on: store.clock.now(),
        };
        // SQLite writes one after the other. On PostgreSQL the end looks while the artifact is on its way.
        let (asked, was_asked) = mpsc::channel();
        let (looked, has_looked) = mpsc::channel();
        let put = store.keep(move |books| {
            let held = store::pipeline_step::hold(books, &lease)?;
            if books.dialect() == Dialect::Postgres {
                let _ = asked.send(());
                let _ = has_looked.recv();
            }
            store::step_artifact::put(books, &artifact)?;
            Ok(held)
        });
        let (id, mut first) = (step.id, Some(was_asked));
        let permit = permit::<act::StepFinish>(&store);
        let end = store.write(&permit, move |writer| {
            if let Some(was_asked) = first.take().filter(|_| writer.dialect() == Dialect::Postgres) {
                let _ = was_asked.recv();
            }
            let seen = store::step_artifact::of_step(writer, id)?;
            let _ = looked.send(());
            store::pipeline_step::finish(writer, id, "passed", json!({}), None, false)?;
            Ok(seen.len())
        });
        let (held, seen) = tokio::join!(put, end);
        assert_eq!((held.unwrap(), seen.unwrap()), (true, 1));
    }
}

#[test]
fn the_event_of_a_steps_end_names_what_it_leaves_and_stays_small() {
    let random = model::Random::seeded(1);
    let (step, pipeline) = (StepId::new(&random), model::PipelineId::new(&random));
    let row = |at: usize| ArtifactRow {
        id: StepId::new(&random).uuid(),
        step,
        pipeline,
        position: 0,
        name: format!("a{at}"),
        size: 7,
        sha256: "00".to_owned(),
        created_on: Timestamp::from_micros(0),
    };
    let told = |count: usize| {
        let rows: Vec<ArtifactRow> = (0..count).map(row).collect();
        Value::Object(left(&rows).into_iter().collect())
    };
    assert_eq!(told(0), json!({}));
    assert_eq!(told(1), json!({ "artifacts": [{ "name": "a0", "size": 7, "sha256": "00" }] }));
    let many = told(MOST_TOLD + 2);
    assert_eq!(many["artifacts"].as_array().unwrap().len(), MOST_TOLD);
    assert_eq!(many["more_artifacts"], 2);
    assert!(told(MOST_TOLD).get("more_artifacts").is_none());
}
