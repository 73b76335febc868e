//! Approvals of deployments: what a step that waits asks of whoever lets it go on, and who has approved it.
//!
//! The number that counts is the environment's at the moment at which somebody asks, so it is read in the transaction that
//! lets the step go on. Letting it go on is `pipeline_steer`'s.

use model::{Environment, Error, PipelineRun, Result, StepId, Timestamp, User, UserId};
use store::pipeline_step::StepRow;
use store::{Reader, Writer};

use crate::pipeline_advance::held_back;
use crate::pipeline_start::BY_A_RUN;

/// Somebody's approval.
#[derive(Clone, Debug)]
pub struct StepApproval {
    /// Who gave it.
    pub user: User,
    /// When.
    pub created_on: Timestamp,
}

/// The approvals of a step.
#[derive(Clone, Debug)]
pub struct StepApprovals {
    /// How many its environment asks for.
    pub required: i64,
    /// Those that were given, the first one first.
    pub given: Vec<StepApproval>,
    /// Who started the run, and so does not approve it.
    pub started_by: Option<UserId>,
}

impl StepApprovals {
    /// Whether more are needed before the step begins.
    #[must_use]
    pub fn are_missing(&self) -> bool {
        count(&self.given) < self.required
    }

    /// Whether somebody has given theirs.
    #[must_use]
    pub fn has(&self, person: UserId) -> bool {
        self.given.iter().any(|one| one.user.id == person)
    }
}

/// What a step that waits asks of whoever lets it go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gate {
    /// Whether its environment's restrictions leave that to administrators.
    restricted: bool,
    /// How many people its environment wants to approve it.
    pub(crate) required: i64,
    given: Vec<UserId>,
    started_by: Option<UserId>,
}

impl Gate {
    /// What a step asks for now. It is restricted where the restrictions of its environment hold it back, or where it
    /// deploys to what administrators alone deploy to, whoever has started the run.
    pub(crate) fn of(reader: &mut Reader<'_>, run: &PipelineRun, row: &StepRow) -> Result<Self> {
        let Some(environment) = environment(reader, run, row)? else {
            // What it asked for is gone with an environment that was removed: it is not what anybody may start.
            return Ok(Self { restricted: row.environment.is_some(), ..Self::default() });
        };
        let given = given(reader, row.id)?.iter().map(|one| one.user.id).collect();
        let started_by = started_by(reader, run)?;
        Ok(Self {
            restricted: environment.admin_only || held_back(&environment, run),
            required: required(&environment, started_by),
            given,
            started_by,
        })
    }

    /// Whether only an administrator of the repository lets the step go on.
    pub(crate) fn asks_administrator(&self) -> bool {
        self.restricted || self.asks_approval()
    }

    /// Whether the step has fewer approvals than it needs.
    pub(crate) fn asks_approval(&self) -> bool {
        self.given() < self.required
    }

    /// How many approvals the step has.
    pub(crate) fn given(&self) -> i64 {
        count(&self.given)
    }

    /// Who approves, where they may: a person who did not start the run and has not approved the step before.
    fn approver(&self, person: Option<UserId>) -> Result<UserId> {
        let refused = |message: String| Err(Error::Conflict(message));
        match person {
            None => refused("a token that stands for nobody approves nothing: a person does".to_owned()),
            Some(person) if self.started_by == Some(person) => {
                let told = "you started this run, and who started a run does not approve it";
                refused(format!("{told}: ask somebody else"))
            }
            Some(person) if self.given.contains(&person) => {
                let (given, required) = (self.given(), self.required);
                let told = format!("you have approved this step already, and {given} of {required} have");
                refused(format!("{told}: somebody else approves it too"))
            }
            Some(person) => Ok(person),
        }
    }

    /// Adds an approval.
    ///
    /// # Errors
    /// `Conflict` where this person's does not count.
    pub(crate) fn approve(
        &mut self,
        writer: &mut Writer<'_>,
        step: StepId,
        person: Option<UserId>,
    ) -> Result<()> {
        let person = self.approver(person)?;
        store::step_approval::insert(writer, step, person)?;
        self.given.push(person);
        Ok(())
    }
}

fn count<T>(given: &[T]) -> i64 {
    i64::try_from(given.len()).unwrap_or(i64::MAX)
}

/// How many approvals are asked for: one more where nobody is known to have started the run, an access token has, since whoever
/// holds that may be among those who approve.
fn required(environment: &Environment, started_by: Option<UserId>) -> i64 {
    let required = environment.required_approvals;
    required + i64::from(required > 0 && started_by.is_none())
}

/// The approvals of a step that count: those of accounts that are active still.
fn given(reader: &mut Reader<'_>, step: StepId) -> Result<Vec<StepApproval>> {
    let mut given = Vec::new();
    for one in store::step_approval::list(reader, step)? {
        if let Some(user) = store::user::find(reader, one.user)?.filter(|user| user.active) {
            given.push(StepApproval { user, created_on: one.created_on });
        }
    }
    Ok(given)
}

/// The environment that a step deploys to, while it is there.
fn environment(reader: &mut Reader<'_>, run: &PipelineRun, row: &StepRow) -> Result<Option<Environment>> {
    match row.environment {
        Some(id) => store::environment::find(reader, run.repository, id),
        None => Ok(None),
    }
}

/// Who started a run. Behind one that a step has pushed is who started the run of that step: else a pipeline that pushes
/// would make its author the one who approves.
fn started_by(reader: &mut Reader<'_>, run: &PipelineRun) -> Result<Option<UserId>> {
    let number = run.creator.strip_prefix(BY_A_RUN).and_then(|number| number.parse().ok());
    match (run.creator_id, number) {
        (None, Some(number)) => {
            let by = store::pipeline_run::numbered(reader, run.repository, number)?;
            Ok(by.and_then(|by| by.creator_id))
        }
        (known, _) => Ok(known),
    }
}

/// The approvals of a step, for who looks at it; none where its environment asks for none and nobody gave any.
pub(crate) fn of(reader: &mut Reader<'_>, run: &PipelineRun, row: &StepRow) -> Result<Option<StepApprovals>> {
    if row.environment.is_none() {
        return Ok(None);
    }
    let started_by = started_by(reader, run)?;
    let required = environment(reader, run, row)?.map_or(0, |one| required(&one, started_by));
    let given = given(reader, row.id)?;
    if required == 0 && given.is_empty() {
        return Ok(None);
    }
    Ok(Some(StepApprovals { required, given, started_by }))
}

#[cfg(test)]
mod tests {
    use model::{PipelineId, PipelineState, PipelineTrigger, Random, RefName, StaffRole, act};
    use store::pipeline_run::Inner;
    use store::repository::Located;
    use testkit::TestStore;

    use super::*;
    use crate::environment::tests::located;
    use crate::step_assignment::tests::{planned, row};

    fn gate(required: i64, given: &[UserId], started_by: Option<UserId>) -> Gate {
        Gate { restricted: false, required, given: given.to_vec(), started_by }
    }

    /// Attack: one person who approves twice, who approves what they have started, or who approves by a token of the
    /// repository, so that one is as good as two.
    #[test]
    fn each_approval_is_another_persons_and_none_is_that_of_who_started_the_run() {
        let random = Random::seeded(5);
        let [ann, bob, eve] = [(); 3].map(|()| UserId::new(&random));
        let open = gate(2, &[ann], Some(eve));
        assert!(open.asks_approval() && open.asks_administrator());
        assert_eq!(open.approver(Some(bob)).unwrap(), bob);
        for (person, why) in [(Some(ann), "already"), (Some(eve), "started"), (None, "a person")] {
            let refused = open.approver(person);
            assert!(
                matches!(&refused, Err(Error::Conflict(text)) if text.contains(why)),
                "{why}: {refused:?}"
            );
        }
        // Nobody is known to have started what an access token has: it needs one more.
        assert_eq!(gate(1, &[], None).approver(Some(eve)).unwrap(), eve);
    }

    /// Would catch: a step that goes on with one approval too few, or waits for one too many; and a restriction that is
    /// lifted by the number of approvals.
    #[test]
    fn approvals_are_asked_for_until_there_are_enough() {
        let random = Random::seeded(5);
        let given = [(); 3].map(|()| UserId::new(&random));
        for required in 0..=4_i64 {
            for have in 0..=3_usize {
                let one = gate(required, &given[..have], None);
                assert_eq!(
                    one.asks_approval(),
                    i64::try_from(have).unwrap() < required,
                    "{have} of {required}"
                );
                assert_eq!(one.asks_administrator(), one.asks_approval());
                assert!(Gate { restricted: true, ..one }.asks_administrator());
            }
        }
    }

    /// A run of a repository, with the people in question.
    async fn run_in(store: &TestStore, creator: &str, people: &[User]) -> PipelineRun {
        let (now, random) = (store.clock().now(), store.random());
        let Located { repository, project, workspace } = located(store);
        let run = PipelineRun {
            id: PipelineId::new(random),
            repository: repository.id,
            build_number: 1,
            trigger: PipelineTrigger::Push,
            creator_id: people.first().map(|user| user.id),
            creator: creator.to_owned(),
            reference: Some(RefName::branch("main").unwrap()),
            commit: "0".repeat(40),
            protected: false,
            by_administrator: true,
            selector: "default".to_owned(),
            pattern: None,
            state: PipelineState::Paused,
            error: None,
            created_on: now,
            completed_on: None,
        };
        let (made, people) = (run.clone(), people.to_vec());
        let inner = Inner { groups: serde_json::json!([]), variables: serde_json::json!([]) };
        store
            .write(&testkit::permit::<act::PipelineRun>(store), move |writer| {
                people.iter().try_for_each(|user| store::user::insert(writer, user, None))?;
                store::workspace::insert(writer, &workspace)?;
                store::project::insert(writer, &project)?;
                store::repository::insert(writer, &repository)?;
                store::pipeline_run::insert(writer, &made, &inner, "f.yml", "")
            })
            .await
            .unwrap();
        run
    }

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

    testkit::both_engines! {
        /// Would catch: two approvals at the same moment of which one is lost, or both of which think that they are the
        /// first; approvals that a step keeps when it is run again; and what a run's author gets by a pipeline that pushes.
        async fn approvals_of_one_moment_both_count_and_a_step_that_is_run_again_has_none(store) {
            let people = [person(&store, "eve"), person(&store, "ann"), person(&store, "bob")];
            let [eve, ann, bob] = [&people[0], &people[1], &people[2]].map(|user| user.id);
            let run = run_in(&store, "user:eve", &people).await;
            let at = run.repository;
            let listed = store.read(move |reader| store::environment::list(reader, at)).await.unwrap();
            let production = listed[2].clone();
            let step = StepRow {
                pipeline: run.id,
                repository: run.repository,
                state: "paused".to_owned(),
                environment: Some(production.id),
                ..row(store.random(), 0, &planned("{script: [ship]}"))
            };
            let asks = Environment { required_approvals: 2, ..production };
            let permit = testkit::permit::<act::EnvironmentSet>(&store);
            let made = step.clone();
            store
                .write(&permit, move |writer| {
                    store::environment::update(writer, &asks)?;
                    store::pipeline_step::insert(writer, &made)
                })
                .await
                .unwrap();
            let approve = async |store: store::Store, person: UserId| {
                let permit = testkit::permit::<act::DeploymentApprove>(&store);
                let (run, step) = (run.clone(), step.clone());
                store
                    .write(&permit, move |writer| {
                        let mut gate = Gate::of(writer, &run, &step)?;
                        gate.approve(writer, step.id, Some(person))?;
                        Ok(gate.asks_approval())
                    })
                    .await
            };
            let refused = approve((*store).clone(), eve).await;
            assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
            let other = store.again().await;
            let (first, second) = tokio::join!(approve((*store).clone(), ann), approve(other.clone(), bob));
            let mut asked = [first.unwrap(), second.unwrap()];
            asked.sort_unstable();
            assert_eq!(asked, [false, true], "one of them is the last, and one alone");
            let refused = approve((*store).clone(), ann).await;
            assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");

            let look = async || {
                let (run, step) = (run.clone(), step.clone());
                store.read(move |reader| of(reader, &run, &step)).await.unwrap().unwrap()
            };
            let by_token = PipelineRun { creator_id: None, creator: "token:ci".to_owned(), ..run.clone() };
            let asked = step.clone();
            let gate = store.read(move |reader| Gate::of(reader, &by_token, &asked)).await.unwrap();
            assert_eq!((gate.required, gate.given(), gate.asks_approval()), (3, 2, true));
            let gone = StepRow { environment: Some(model::EnvironmentId::new(store.random())), ..step.clone() };
            let of = run.clone();
            let gate = store.read(move |reader| Gate::of(reader, &of, &gone)).await.unwrap();
            assert!(gate.asks_administrator(), "an environment that is gone lets nobody through");

            let seen = look().await;
            assert_eq!((seen.required, seen.given.len(), seen.started_by), (2, 2, Some(eve)));
            assert!(!seen.are_missing() && seen.has(ann) && seen.has(bob) && !seen.has(eve));
            let id = step.id;
            store.write(&permit, move |writer| store::pipeline_step::make_pending(writer, id)).await.unwrap();
            assert!(look().await.are_missing() && look().await.given.is_empty());

            // Behind what a step of the run has pushed is who started the run.
            let pushed = PipelineRun { creator_id: None, creator: "pipeline:1".to_owned(), ..run.clone() };
            let by = store.read(move |reader| started_by(reader, &pushed)).await.unwrap();
            assert_eq!(by, Some(eve));
            other.close().await.unwrap();
        }
    }
}
