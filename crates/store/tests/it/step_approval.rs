//! Approvals of steps: read back in their order, once of each person, and gone with what they are of.

use model::{
    Error, PipelineId, PipelineRun, PipelineState, PipelineTrigger, RefName, RepositoryId, StaffRole, StepId,
    User, UserId, act,
};
use serde_json::json;
use store::pipeline_run::Inner;
use store::pipeline_step::StepRow;
use store::{pipeline_run, pipeline_step, step_approval};
use testkit::{TestStore, both_engines};

use crate::pipeline_variable::repository;

fn person(store: &TestStore, name: &str) -> User {
    User {
        id: UserId::new(store.random()),
        username: name.parse().unwrap(),
        email: format!("{name}@example.com").parse().unwrap(),
        display_name: name.parse().unwrap(),
        active: true,
        staff_role: StaffRole::None,
        second_step: false,
        approved: true,
        created_on: store.clock().now(),
    }
}

fn run(store: &TestStore, repository: RepositoryId) -> PipelineRun {
    PipelineRun {
        id: PipelineId::new(store.random()),
        repository,
        build_number: 1,
        trigger: PipelineTrigger::Push,
        creator_id: None,
        creator: "user:ann".to_owned(),
        reference: Some(RefName::branch("main").unwrap()),
        commit: "0".repeat(40),
        protected: false,
        by_administrator: false,
        selector: "default".to_owned(),
        pattern: None,
        state: PipelineState::Paused,
        error: None,
        created_on: store.clock().now(),
        completed_on: None,
    }
}

fn step(store: &TestStore, run: &PipelineRun, position: i64) -> StepRow {
    StepRow {
        id: StepId::new(store.random()),
        pipeline: run.id,
        repository: run.repository,
        position,
        name: None,
        plan: json!({}),
        labels: Vec::new(),
        manual: false,
        started: false,
        excluded: false,
        state: "paused".to_owned(),
        verdict: None,
        attempt: 0,
        runner: None,
        credential: None,
        environment: None,
        concurrency_group: None,
        holds: false,
        outputs: None,
        ready_on: None,
        started_on: None,
        completed_on: None,
    }
}

both_engines! {
    /// Would catch: an approval that counts twice, one that another step is given, one that is left when the step is run
    /// again, and a repository that cannot be removed for good because of it.
    async fn an_approval_is_of_one_person_and_goes_with_its_step(store) {
        let repository = repository(&store).await;
        let people = [person(&store, "ann"), person(&store, "bob")];
        let [ann, bob] = [people[0].id, people[1].id];
        let run = run(&store, repository);
        let steps = [step(&store, &run, 0), step(&store, &run, 1)];
        let [first, second] = [steps[0].id, steps[1].id];
        let permit = testkit::permit::<act::DeploymentApprove>(&store);
        store
            .write(&permit, move |writer| {
                people.iter().try_for_each(|one| store::user::insert(writer, one, None))?;
                let inner = Inner { groups: json!([]), variables: json!([]) };
                pipeline_run::insert(writer, &run, &inner, "f.yml", "")?;
                steps.iter().try_for_each(|one| pipeline_step::insert(writer, one))
            })
            .await
            .unwrap();
        let approve = async |step, person| {
            store.write(&permit, move |writer| step_approval::insert(writer, step, person)).await
        };
        let by = async |step| {
            let given = store.read(move |reader| step_approval::list(reader, step)).await.unwrap();
            given.into_iter().map(|one| one.user).collect::<Vec<_>>()
        };
        approve(first, bob).await.unwrap();
        store.clock.advance(1);
        approve(first, ann).await.unwrap();
        approve(second, ann).await.unwrap();
        let again = approve(first, bob).await;
        assert!(matches!(again, Err(Error::Conflict(_))), "{again:?}");
        assert_eq!((by(first).await, by(second).await), (vec![bob, ann], vec![ann]));
        store.write(&permit, move |writer| pipeline_step::make_pending(writer, first)).await.unwrap();
        assert_eq!((by(first).await, by(second).await), (vec![], vec![ann]));
        store.write(&permit, move |writer| store::repository::forget(writer, repository)).await.unwrap();
        assert_eq!(by(second).await, []);
    }
}
