//! Variables, environments, deployments, build numbers and schedules: what is written is read back, and what may be had
//! once is had once.

use model::environment::EnvironmentRole;
use model::{
    Deployment, DeploymentId, DeploymentResult, DeploymentState, Environment, EnvironmentId, EnvironmentType,
    Error, PipelineId, PipelineSchedule, PipelineVariable, RepositoryId, ScheduleExecution, ScheduleId,
    ScheduleOutcome, ScheduleTarget, SelectorKind, StepId, UserId, VariableId, VariablePlace, WorkspaceId,
    act,
};
use store::deployment::NewDeployment;
use store::pipeline_variable::Kept;
use store::{deployment, environment, pipeline_config, pipeline_schedule, pipeline_variable};
use testkit::{TestStore, both_engines};

fn variable(store: &TestStore, place: VariablePlace, name: &str) -> Kept {
    let now = store.clock().now();
    let variable = PipelineVariable {
        id: VariableId::new(store.random()),
        place,
        name: name.parse().unwrap(),
        secured: true,
        protected_only: true,
        environments: vec!["Production".to_owned(), "EU \"west\"".to_owned()],
        created_on: now,
        updated_on: now,
    };
    Kept { variable, value: vec![0, 255, 7] }
}

fn new_environment(store: &TestStore, repository: RepositoryId, name: &str, slug: &str) -> Environment {
    let now = store.clock().now();
    Environment {
        id: EnvironmentId::new(store.random()),
        repository,
        name: name.to_owned(),
        slug: slug.to_owned(),
        kind: EnvironmentType::Staging,
        rank: 5,
        hidden: true,
        admin_only: true,
        branches: vec!["main".parse().unwrap(), "release/*".parse().unwrap()],
        required_approvals: 2,
        lock_enabled: false,
        aws: Some(EnvironmentRole {
            arn: "arn:aws:iam::123456789012:role/deploy".parse().unwrap(),
            session_duration: 1800,
            region: Some("eu-central-1".parse().unwrap()),
        }),
        created_on: now,
        updated_on: now,
    }
}

both_engines! {
    async fn variables_are_read_back_each_in_its_place(store) {
        let repository = VariablePlace::Repository(RepositoryId::new(store.random()));
        // The same id in another place is another place.
        let workspace = VariablePlace::Workspace(WorkspaceId::from_uuid(repository.uuid()));
        let permit = testkit::permit::<act::PipelineVariableSet>(&store);
        let (b, a) = (variable(&store, repository, "B"), variable(&store, repository, "A"));
        let elsewhere = variable(&store, workspace, "A");
        let made = [b.clone(), a.clone(), elsewhere.clone()];
        store
            .write(&permit, move |writer| made.iter().try_for_each(|one| pipeline_variable::insert(writer, one)))
            .await
            .unwrap();
        let listed = store.read(move |reader| pipeline_variable::list(reader, repository, 10, 0)).await.unwrap();
        assert_eq!(listed, [a.clone(), b.clone()]);
        let (id, other) = (a.variable.id, elsewhere.variable.id);
        let found = store.read(move |reader| {
            Ok((pipeline_variable::find(reader, repository, id)?, pipeline_variable::find(reader, repository, other)?))
        });
        assert_eq!(found.await.unwrap(), (Some(a.clone()), None));

        let again = variable(&store, repository, "A");
        let refused = store.write(&permit, move |writer| pipeline_variable::insert(writer, &again)).await;
        assert!(matches!(refused, Err(Error::Conflict(ref text)) if text.contains("`A`")), "{refused:?}");
        let mut clash = b.clone();
        clash.variable.name = "A".parse().unwrap();
        let refused = store.write(&permit, move |writer| pipeline_variable::update(writer, &clash)).await;
        assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
        // Names are told apart by case.
        let lower = variable(&store, repository, "a");
        store.write(&permit, move |writer| pipeline_variable::insert(writer, &lower)).await.unwrap();

        let mut after = a.clone();
        (after.variable.secured, after.variable.environments, after.value) = (false, Vec::new(), vec![1]);
        let changed = after.clone();
        store.write(&permit, move |writer| pipeline_variable::update(writer, &changed)).await.unwrap();
        let found = store.read(move |reader| pipeline_variable::find(reader, repository, id)).await.unwrap();
        assert_eq!(found, Some(after));
        store.write(&permit, move |writer| pipeline_variable::remove(writer, id)).await.unwrap();
        let counts = store.read(move |reader| {
            Ok((pipeline_variable::count(reader, repository)?, pipeline_variable::count(reader, workspace)?))
        });
        assert_eq!(counts.await.unwrap(), (2, 1));
    }
}

both_engines! {
    /// Would catch: ids that change when the first environment is changed, and one of the first three that comes back
    /// after it was removed.
    async fn the_three_of_the_beginning_keep_their_ids_and_stay_removed(store) {
        let repository = RepositoryId::new(store.random());
        let permit = testkit::permit::<act::EnvironmentSet>(&store);
        let list = async || store.read(move |reader| environment::list(reader, repository)).await.unwrap();
        let names = |all: &[Environment]| all.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
        let before = list().await;
        assert_eq!(names(&before), ["Test", "Staging", "Production"]);

        let new = new_environment(&store, repository, "EU west", "eu-west");
        let made = new.clone();
        store.write(&permit, move |writer| environment::insert(writer, &made)).await.unwrap();
        let after = list().await;
        assert_eq!(names(&after), ["Test", "Staging", "EU west", "Production"]);
        assert_eq!((after[0].id, after[1].id, after[3].id), (before[0].id, before[1].id, before[2].id));
        assert_eq!(after[2], new);

        for (name, slug) in [("eu WEST", "other"), ("EU-west", "eu-west"), ("production", "p")] {
            let clash = new_environment(&store, repository, name, slug);
            let refused = store.write(&permit, move |writer| environment::insert(writer, &clash)).await;
            assert!(matches!(refused, Err(Error::Conflict(_))), "{name}: {refused:?}");
        }
        let found = store.read(move |reader| environment::named(reader, repository, "PRODUCTION")).await.unwrap();
        assert_eq!(found.unwrap().id, before[2].id);

        let removed = before[0].id;
        let secret = variable(&store, VariablePlace::Environment(removed), "A");
        store
            .write(&permit, move |writer| {
                pipeline_variable::insert(writer, &secret)?;
                environment::remove(writer, repository, removed)
            })
            .await
            .unwrap();
        assert_eq!(names(&list().await), ["Staging", "EU west", "Production"]);
        let left = store.read(move |reader| pipeline_variable::count(reader, VariablePlace::Environment(removed)));
        assert_eq!(left.await.unwrap(), 0);
        let mut changed = new.clone();
        (changed.name, changed.slug, changed.branches, changed.rank) = ("EU".to_owned(), "eu".to_owned(), Vec::new(), 0);
        changed.required_approvals = 5;
        changed.aws = changed.aws.map(|role| EnvironmentRole { session_duration: 900, region: None, ..role });
        let update = changed.clone();
        store.write(&permit, move |writer| environment::update(writer, &update)).await.unwrap();
        assert!(list().await.contains(&changed));
        let changed = Environment { aws: None, ..changed };
        let update = changed.clone();
        store.write(&permit, move |writer| environment::update(writer, &update)).await.unwrap();
        assert!(list().await.contains(&changed));

        // The same where removing is the first change of all, and where changing is.
        let (other, third) = (RepositoryId::new(store.random()), RepositoryId::new(store.random()));
        let at = |repository| store.read(move |reader| environment::list(reader, repository));
        let gone = at(other).await.unwrap()[1].id;
        store.write(&permit, move |writer| environment::remove(writer, other, gone)).await.unwrap();
        assert_eq!(names(&at(other).await.unwrap()), ["Test", "Production"]);
        let only = Environment { admin_only: true, ..at(third).await.unwrap()[2].clone() };
        let update = only.clone();
        store.write(&permit, move |writer| environment::update(writer, &update)).await.unwrap();
        let after = at(third).await.unwrap();
        assert_eq!((after.len(), &after[2]), (3, &only));
    }
}

both_engines! {
    async fn deployments_are_numbered_per_environment_and_end_once(store) {
        let repository = RepositoryId::new(store.random());
        let permit = testkit::permit::<act::EnvironmentSet>(&store);
        let (here, there) = (EnvironmentId::new(store.random()), EnvironmentId::new(store.random()));
        let new = |environment| NewDeployment {
            id: DeploymentId::new(store.random()),
            repository,
            environment,
            pipeline: PipelineId::new(store.random()),
            step: StepId::new(store.random()),
            release: "#7".to_owned(),
            commit: "0123".to_owned(),
            deployer: Some(UserId::new(store.random())),
        };
        let mut made: Vec<Deployment> = Vec::new();
        for one in [new(here), new(here), new(there)] {
            made.push(store.write(&permit, move |writer| deployment::insert(writer, &one)).await.unwrap());
            store.clock.advance(1);
        }
        assert_eq!(made.iter().map(|one| one.number).collect::<Vec<_>>(), [1, 2, 1]);
        let listed = store.read(move |reader| deployment::list(reader, repository, None, 10, 0)).await.unwrap();
        assert_eq!(listed, [made[2].clone(), made[1].clone(), made[0].clone()]);
        let counted = store.read(move |reader| deployment::count(reader, repository, Some(here))).await.unwrap();
        assert_eq!(counted, 2);

        let step = made[0].step;
        let found = async || store.read(move |reader| deployment::of_step(reader, step)).await.unwrap().unwrap();
        assert!(store.write(&permit, move |writer| deployment::start(writer, step)).await.unwrap());
        assert_eq!(found().await.state, DeploymentState::InProgress);
        assert_eq!(store.read(move |reader| deployment::current(reader, here)).await.unwrap(), None);
        let finish = async |result| store.write(&permit, move |writer| deployment::finish(writer, step, result)).await.unwrap();
        assert!(finish(DeploymentResult::Successful).await);
        assert!(!finish(DeploymentResult::Failed).await, "it has ended already");
        let ended = found().await;
        assert_eq!(ended.state, DeploymentState::Completed(DeploymentResult::Successful));
        assert!(ended.started_on.is_some() && ended.completed_on.is_some());
        assert_eq!(store.read(move |reader| deployment::current(reader, here)).await.unwrap(), Some(ended));
        // A step that is run again deploys again.
        assert!(store.write(&permit, move |writer| deployment::start(writer, step)).await.unwrap());
        assert!(finish(DeploymentResult::Stopped).await);
        let nothing = StepId::new(store.random());
        assert!(!store.write(&permit, move |writer| deployment::start(writer, nothing)).await.unwrap());
    }
}

both_engines! {
    /// Would catch: two runs with one number.
    async fn build_numbers_are_given_once_and_only_raised(store) {
        let repository = RepositoryId::new(store.random());
        let permit = testkit::permit::<act::PipelineConfigure>(&store);
        let other = store.again().await;
        let mut asked = Vec::new();
        for at in 0..10 {
            let store = if at % 2 == 0 { (*store).clone() } else { other.clone() };
            let permit = testkit::permit::<act::PipelineConfigure>(&store);
            asked.push(tokio::spawn(async move {
                store.write(&permit, move |writer| pipeline_config::next_build_number(writer, repository)).await.unwrap()
            }));
        }
        let mut given = Vec::new();
        for one in asked {
            given.push(one.await.unwrap());
        }
        given.sort_unstable();
        assert_eq!(given, (1..=10).collect::<Vec<i64>>());
        let raise = async |next| {
            store.write(&permit, move |writer| pipeline_config::raise_build_number(writer, repository, next)).await.unwrap()
        };
        assert!(!raise(10).await);
        assert!(raise(11).await && raise(100).await && !raise(99).await);
        let next = store.write(&permit, move |writer| pipeline_config::next_build_number(writer, repository)).await;
        assert_eq!(next.unwrap(), 100);
        store.write(&permit, move |writer| pipeline_config::enable(writer, repository, false)).await.unwrap();
        let found = store.read(move |reader| pipeline_config::of(reader, repository)).await.unwrap();
        assert_eq!((found.enabled, found.last_build_number), (false, 100));
    }
}

/// A repository in a workspace, as little as the due schedules' query looks at.
pub(crate) async fn repository(store: &TestStore) -> RepositoryId {
    use model::{DisplayName, ForkPolicy, Project, ProjectId, Repository, Workspace};
    let now = store.clock().now();
    let name: DisplayName = "Acme".parse().unwrap();
    let workspace = Workspace {
        id: WorkspaceId::new(store.random()),
        slug: "acme".parse().unwrap(),
        name: name.clone(),
        created_on: now,
        updated_on: now,
    };
    let project = Project {
        id: ProjectId::new(store.random()),
        workspace: workspace.id,
        key: "CORE".parse().unwrap(),
        name: name.clone(),
        description: String::new(),
        private: true,
        created_on: now,
        updated_on: now,
    };
    let one = Repository {
        id: RepositoryId::new(store.random()),
        workspace: workspace.id,
        project: project.id,
        slug: "one".parse().unwrap(),
        name,
        description: String::new(),
        private: true,
        fork_policy: ForkPolicy::AllowForks,
        default_branch: "main".to_owned(),
        language: String::new(),
        has_issues: false,
        has_wiki: false,
        size_bytes: 0,
        created_on: now,
        updated_on: now,
        deleted_on: None,
    };
    let id = one.id;
    let permit = testkit::permit::<act::RepositoryCreate>(store);
    store
        .write(&permit, move |writer| {
            store::workspace::insert(writer, &workspace)?;
            store::project::insert(writer, &project)?;
            store::repository::insert(writer, &one)
        })
        .await
        .unwrap();
    id
}

both_engines! {
    /// Would catch: a time that two processes start, one that is made up for many times over, a schedule that goes on in
    /// a repository that was deleted or whose pipelines are off.
    async fn a_schedule_that_is_due_is_taken_once(store) {
        let repository = repository(&store).await;
        let permit = testkit::permit::<act::PipelineScheduleSet>(&store);
        let now = store.clock().now();
        let cron: model::CronPattern = "0 * * * * ? *".parse().unwrap();
        let one = PipelineSchedule {
            id: ScheduleId::new(store.random()),
            repository,
            next_on: cron.next_after(now),
            cron,
            target: ScheduleTarget {
                branch: "main".to_owned(),
                selector: SelectorKind::Custom,
                pattern: Some("nightly".to_owned()),
            },
            enabled: true,
            set_by: None,
            created_on: now,
            updated_on: now,
        };
        let off = PipelineSchedule { id: ScheduleId::new(store.random()), enabled: false, ..one.clone() };
        let made = [one.clone(), off];
        store
            .write(&permit, move |writer| made.iter().try_for_each(|one| pipeline_schedule::insert(writer, one)))
            .await
            .unwrap();
        let due = async || {
            let now = store.clock().now();
            store.read(move |reader| pipeline_schedule::due(reader, now, 10)).await.unwrap()
        };
        assert_eq!(due().await, []);
        store.clock.advance(3600);
        assert_eq!(due().await, std::slice::from_ref(&one));
        let enable = async |enabled| {
            let permit = testkit::permit::<act::PipelineConfigure>(&store);
            store.write(&permit, move |writer| pipeline_config::enable(writer, repository, enabled)).await.unwrap();
        };
        enable(false).await;
        assert_eq!(due().await, []);
        enable(true).await;
        let take = async || {
            let one = one.clone();
            store.write(&permit, move |writer| pipeline_schedule::take(writer, &one)).await.unwrap()
        };
        assert!(take().await);
        assert!(!take().await, "it was taken");
        assert_eq!(due().await, [], "an hour's worth is not made up for");

        let id = one.id;
        let outcome = |at: i64| match at % 2 {
            0 => ScheduleOutcome::Started(PipelineId::new(store.random())),
            _ => ScheduleOutcome::Failed { key: "no-branch".to_owned(), message: "there is no branch".to_owned() },
        };
        let more: Vec<ScheduleExecution> = (0..105)
            .map(|at| ScheduleExecution { schedule: id, due_on: now.plus_seconds(at), ran_on: now, outcome: outcome(at) })
            .collect();
        let told = more.clone();
        store
            .write(&permit, move |writer| told.iter().try_for_each(|one| pipeline_schedule::mark_run(writer, one)))
            .await
            .unwrap();
        let found = store
            .read(move |reader| {
                Ok((pipeline_schedule::executions(reader, id, 2, 0)?, pipeline_schedule::count_executions(reader, id)?))
            })
            .await
            .unwrap();
        assert_eq!(found, (vec![more[104].clone(), more[103].clone()], pipeline_schedule::KEPT_EXECUTIONS));
        store.write(&permit, move |writer| pipeline_schedule::remove(writer, id)).await.unwrap();
        let left = store.read(move |reader| {
            Ok((pipeline_schedule::count(reader, repository)?, pipeline_schedule::count_executions(reader, id)?))
        });
        assert_eq!(left.await.unwrap(), (1, 0));
    }
}
