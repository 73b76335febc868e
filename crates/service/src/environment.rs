//! Deployment environments: seeing, making, changing and removing them.

use model::aws_role::{LONGEST_SESSION, SHORTEST_SESSION};
use model::environment::EnvironmentRole;
use model::{
    Action, AwsRegion, Environment, EnvironmentId, EnvironmentType, Error, Glob, PipelineId, RepositoryId,
    Result, RoleArn, act,
};
use pipeline::aws::AwsRole;
use pipeline::deployment::EnvironmentName;
use serde_json::{Value, json};
use store::repository::Located;
use store::{Reader, Writer};

use crate::access::{RepositoryPath, repository_target};
use crate::{Caller, Listing, Service, Window, pipeline_advance};

/// The most environments of one repository.
const MOST: usize = 100;
/// The longest name, in characters.
const LONGEST_NAME: usize = 100;
/// The most branches that one environment is restricted to.
const MOST_BRANCHES: usize = 50;
/// The highest rank.
const HIGHEST_RANK: i64 = 1000;
/// The most approvals that a deployment can be made to wait for.
const MOST_APPROVALS: i64 = 5;

/// What is asked of an environment, in the request's own words. What is absent stays as it is.
#[derive(Clone, Debug, Default)]
pub struct EnvironmentChange {
    /// Its name.
    pub name: Option<String>,
    /// Its type; no environment changes that.
    pub kind: Option<String>,
    /// Its place among those of its type.
    pub rank: Option<i64>,
    /// Whether people are not shown it.
    pub hidden: Option<bool>,
    /// Whether only who administers the repository deploys to it.
    pub admin_only: Option<bool>,
    /// Patterns of the branches from which it is deployed to.
    pub branches: Option<Vec<String>>,
    /// How many people approve a deployment to it before it begins.
    pub required_approvals: Option<i64>,
    /// Whether one run at a time deploys to it.
    pub lock_enabled: Option<bool>,
    /// The role of the steps that deploy to it and name none themselves; `Some(None)` takes it away.
    pub aws: Option<Option<AwsRole>>,
}

/// An environment and the run that deploys to it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentView {
    /// The environment.
    pub environment: Environment,
    /// The run that holds it.
    pub held_by: Option<PipelineId>,
}

pub(crate) fn missing_environment() -> Error {
    Error::not_found("the environment")
}

/// A name that an environment can have.
pub(crate) fn environment_name(field: &str, text: &str) -> Result<EnvironmentName> {
    let text = text.trim();
    let name = EnvironmentName::new(text);
    let fits = text.chars().count() <= LONGEST_NAME && !text.chars().any(char::is_control);
    if fits && !name.slug().is_empty() {
        return Ok(name);
    }
    let message = format!("use a name of at most {LONGEST_NAME} characters with a letter or a digit in it");
    Err(Error::invalid_field(field, message))
}

fn branches(patterns: &[String]) -> Result<Vec<Glob>> {
    if patterns.len() > MOST_BRANCHES {
        return Err(Error::invalid_field(
            "branch_restrictions",
            format!("use at most {MOST_BRANCHES} patterns"),
        ));
    }
    let glob = |text: &String| {
        text.trim().parse::<Glob>().map_err(|problem| Error::invalid_field("branch_restrictions", problem))
    };
    let mut globs = patterns.iter().map(glob).collect::<Result<Vec<Glob>>>()?;
    globs.sort();
    globs.dedup();
    Ok(globs)
}

/// A role that the steps of an environment can take on. Unlike a file's, it names no variables: whoever sets those of a run
/// would choose another one.
fn role(wanted: &AwsRole) -> Result<EnvironmentRole> {
    let arn =
        wanted.role.trim().parse::<RoleArn>().map_err(|problem| Error::invalid_field("aws.role", problem));
    let seconds = wanted.session_duration;
    if !(SHORTEST_SESSION..=LONGEST_SESSION).contains(&seconds) {
        let message = format!("use a number of seconds from {SHORTEST_SESSION} to {LONGEST_SESSION}");
        return Err(Error::invalid_field("aws.session_duration", message));
    }
    let region = wanted.region.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let region = region
        .map(|text| text.parse::<AwsRegion>().map_err(|problem| Error::invalid_field("aws.region", problem)));
    Ok(EnvironmentRole { arn: arn?, session_duration: seconds, region: region.transpose()? })
}

/// Puts a change on an environment.
fn change_to(environment: &mut Environment, change: &EnvironmentChange) -> Result<()> {
    if let Some(name) = &change.name {
        let name = environment_name("name", name)?;
        (environment.name, environment.slug) = (name.as_str().to_owned(), name.slug());
    }
    if let Some(rank) = change.rank {
        if !(0..=HIGHEST_RANK).contains(&rank) {
            return Err(Error::invalid_field("rank", format!("use a number from 0 to {HIGHEST_RANK}")));
        }
        environment.rank = rank;
    }
    if let Some(patterns) = &change.branches {
        environment.branches = branches(patterns)?;
    }
    if let Some(number) = change.required_approvals {
        if !(0..=MOST_APPROVALS).contains(&number) {
            let message = format!("use a number from 0 to {MOST_APPROVALS}");
            return Err(Error::invalid_field("required_approvals", message));
        }
        environment.required_approvals = number;
    }
    if let Some(wanted) = &change.aws {
        environment.aws = wanted.as_ref().map(role).transpose()?;
    }
    environment.hidden = change.hidden.unwrap_or(environment.hidden);
    environment.admin_only = change.admin_only.unwrap_or(environment.admin_only);
    environment.lock_enabled = change.lock_enabled.unwrap_or(environment.lock_enabled);
    Ok(())
}

fn kind(text: &str) -> Result<EnvironmentType> {
    text.parse().map_err(|problem| Error::invalid_field("environment_type", problem))
}

/// An environment in the audit trail.
fn shown(one: &Environment) -> Value {
    json!({
        "environment": one.id, "name": one.name, "type": one.kind.as_str(), "rank": one.rank, "hidden": one.hidden,
        "admin_only": one.admin_only, "required_approvals": one.required_approvals,
        "lock_enabled": one.lock_enabled,
        "aws": one.aws.as_ref().map(|role| json!({
            "role": role.arn.as_str(), "session_duration": role.session_duration,
            "region": role.region.as_ref().map(AwsRegion::as_str),
        })),
        "branches": one.branches.iter().map(Glob::as_str).collect::<Vec<_>>(),
    })
}

fn view(reader: &mut Reader<'_>, environment: Environment) -> Result<EnvironmentView> {
    let held_by = store::environment::holder(reader, &environment)?;
    Ok(EnvironmentView { environment, held_by })
}

fn found(reader: &mut Reader<'_>, repository: RepositoryId, id: EnvironmentId) -> Result<Environment> {
    store::environment::find(reader, repository, id)?.ok_or_else(missing_environment)
}

fn id(text: &str) -> Result<EnvironmentId> {
    text.parse().map_err(|_| missing_environment())
}

fn insert(writer: &mut Writer<'_>, one: &Environment) -> Result<()> {
    if store::environment::list(writer, one.repository)?.len() >= MOST {
        let message = format!("a repository has at most {MOST} environments: remove one first");
        return Err(Error::Conflict(message));
    }
    store::environment::insert(writer, one)
}

/// The environment that a pipeline's file deploys to: made, as one for tests that restricts nothing, where there is none
/// of this name. The event stands beside that of the run.
///
/// # Errors
/// When the name can be none, is as good as the same as that of another one, or the repository has too many.
pub(crate) fn environment_for(
    writer: &mut Writer<'_>,
    located: &Located,
    name: &EnvironmentName,
) -> Result<Environment> {
    let repository = located.repository.id;
    if let Some(found) = store::environment::named(writer, repository, name.as_str().trim())? {
        return Ok(found);
    }
    let name = environment_name("deployment", name.as_str())?;
    let now = writer.origin().time;
    let made = Environment {
        id: EnvironmentId::new(writer.random()),
        repository,
        name: name.as_str().to_owned(),
        slug: name.slug(),
        kind: EnvironmentType::Test,
        rank: 0,
        hidden: false,
        admin_only: false,
        branches: Vec::new(),
        required_approvals: 0,
        lock_enabled: true,
        aws: None,
        created_on: now,
        updated_on: now,
    };
    insert(writer, &made)?;
    writer.also(Action::EnvironmentSet, repository_target(located), Value::Null, shown(&made));
    Ok(made)
}

impl Service {
    /// A repository's environments: by type, by rank, the oldest first.
    pub async fn environments(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        window: Window,
    ) -> Result<(Located, Listing<EnvironmentView>)> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::PipelineRead, ground.as_ref())?;
        let located = ground.subject.clone();
        let repository = located.repository.id;
        let read = move |reader: &mut Reader<'_>| {
            let all = store::environment::list(reader, repository)?;
            let size = i64::try_from(all.len()).map_err(Error::internal)?;
            let number = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
            let part = all.into_iter().skip(number(window.offset)).take(number(window.limit));
            let views = part.map(|one| view(reader, one)).collect::<Result<_>>()?;
            Ok(Listing::new(views, size))
        };
        Ok((located, self.store.read(read).await?))
    }

    /// One environment.
    pub async fn environment(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        environment: &str,
    ) -> Result<EnvironmentView> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::PipelineRead, ground.as_ref())?;
        let (repository, id) = (ground.subject.repository.id, id(environment)?);
        self.store
            .read(move |reader| {
                let found = found(reader, repository, id)?;
                view(reader, found)
            })
            .await
    }

    /// Makes an environment.
    pub async fn create_environment(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        new: EnvironmentChange,
    ) -> Result<(Located, EnvironmentView)> {
        let ground = self.repository_ground(caller, path).await?;
        let permit = self.permit(caller, act::EnvironmentSet, ground.as_ref())?;
        if new.name.is_none() {
            return Err(Error::invalid_field("name", "this field is required"));
        }
        let (located, now) = (ground.subject.clone(), self.clock.now());
        let mut environment = Environment {
            id: EnvironmentId::new(&self.random),
            repository: located.repository.id,
            name: String::new(),
            slug: String::new(),
            kind: new.kind.as_deref().map_or(Ok(EnvironmentType::Test), kind)?,
            rank: 0,
            hidden: false,
            admin_only: false,
            branches: Vec::new(),
            required_approvals: 0,
            lock_enabled: true,
            aws: None,
            created_on: now,
            updated_on: now,
        };
        change_to(&mut environment, &new)?;
        let made = environment.clone();
        self.store
            .write(&permit, move |writer| {
                insert(writer, &made)?;
                writer.note(Value::Null, shown(&made));
                Ok(())
            })
            .await?;
        Ok((located, EnvironmentView { environment, held_by: None }))
    }

    /// Changes an environment. A step that deploys to it goes on; one that is still to begin is held to what is asked now.
    pub async fn update_environment(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        environment: &str,
        change: EnvironmentChange,
    ) -> Result<EnvironmentView> {
        let ground = self.repository_ground(caller, path).await?;
        let permit = self.permit(caller, act::EnvironmentSet, ground.as_ref())?;
        let (repository, id, now) = (ground.subject.repository.id, id(environment)?, self.clock.now());
        let wanted = change.kind.as_deref().map(kind).transpose()?;
        let service = self.clone();
        self.store
            .write(&permit, move |writer| {
                let before = found(writer, repository, id)?;
                if wanted.is_some_and(|kind| kind != before.kind) {
                    let message = "an environment keeps its type: make another one";
                    return Err(Error::invalid_field("environment_type", message));
                }
                let mut after = Environment { updated_on: now, ..before.clone() };
                change_to(&mut after, &change)?;
                store::environment::update(writer, &after)?;
                if restricts_more(&before, &after) {
                    for run in store::pipeline_step::wait_again(writer, after.id)? {
                        pipeline_advance::advance(writer, &service, run)?;
                    }
                }
                writer.note(shown(&before), shown(&after));
                view(writer, after)
            })
            .await
    }

    /// Removes an environment with its variables and its history.
    pub async fn remove_environment(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        environment: &str,
    ) -> Result<()> {
        let ground = self.repository_ground(caller, path).await?;
        let permit = self.permit(caller, act::EnvironmentRemove, ground.as_ref())?;
        let (repository, id) = (ground.subject.repository.id, id(environment)?);
        self.store
            .write(&permit, move |writer| {
                let before = found(writer, repository, id)?;
                if store::environment::holder(writer, &before)?.is_some() {
                    let message = "a pipeline deploys to this environment now: stop it, or wait for its end";
                    return Err(Error::Conflict(message.to_owned()));
                }
                store::environment::remove(writer, repository, id)?;
                writer.note(shown(&before), Value::Null);
                Ok(())
            })
            .await
    }
}

/// Whether a change may hold back what was not held back before.
fn restricts_more(before: &Environment, after: &Environment) -> bool {
    (after.admin_only && !before.admin_only)
        || after.required_approvals > before.required_approvals
        || after.branches != before.branches
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Would catch: a number that nobody can reach, and one that is out of bounds and kept.
    #[test]
    fn approvals_are_counted_from_none_to_five() {
        let random = model::Random::seeded(1);
        let made = model::Timestamp::from_micros(1);
        let [mut one, ..] = Environment::defaults(RepositoryId::new(&random), made);
        for number in [0, 1, 5] {
            let change =
                EnvironmentChange { required_approvals: Some(number), ..EnvironmentChange::default() };
            change_to(&mut one, &change).unwrap();
            assert_eq!(one.required_approvals, number);
        }
        for number in [-1, 6, i64::MAX] {
            let change =
                EnvironmentChange { required_approvals: Some(number), ..EnvironmentChange::default() };
            let refused = change_to(&mut one, &change);
            let told = |fields: &model::FieldErrors| fields.contains_key("required_approvals");
            let is_told = matches!(&refused, Err(Error::Invalid { fields, .. }) if told(fields));
            assert!(is_told, "{number}: {refused:?}");
        }
        // What is absent stays as it is.
        change_to(&mut one, &EnvironmentChange::default()).unwrap();
        assert_eq!(one.required_approvals, 5);
    }

    /// Would catch: a role that is out of bounds and kept, or one that somebody who starts a run chooses by a variable.
    #[test]
    fn a_role_is_held_to_its_bounds_and_taken_away() {
        let random = model::Random::seeded(1);
        let [mut one, ..] =
            Environment::defaults(RepositoryId::new(&random), model::Timestamp::from_micros(1));
        let arn = "arn:aws:iam::123456789012:role/deploy";
        let wanted = |role: &str, seconds: u32, region: Option<&str>| {
            let aws = AwsRole {
                role: role.to_owned(),
                session_duration: seconds,
                region: region.map(str::to_owned),
            };
            EnvironmentChange { aws: Some(Some(aws)), ..EnvironmentChange::default() }
        };
        for seconds in [900, 43_200] {
            change_to(&mut one, &wanted(arn, seconds, Some("eu-central-1"))).unwrap();
            assert_eq!(one.aws.as_ref().unwrap().session_duration, seconds);
        }
        let kept = one.clone();
        for (field, bad) in [
            ("aws.role", wanted("", 900, None)),
            ("aws.role", wanted("$ROLE", 900, None)),
            ("aws.role", wanted("arn:aws:iam::123456789012:user/deploy", 900, None)),
            ("aws.session_duration", wanted(arn, 899, None)),
            ("aws.session_duration", wanted(arn, 43_201, None)),
            ("aws.region", wanted(arn, 900, Some("evil.example.com/"))),
        ] {
            let refused = change_to(&mut one, &bad);
            let is_told =
                matches!(&refused, Err(Error::Invalid { fields, .. }) if fields.contains_key(field));
            assert!(is_told, "{field}: {refused:?}");
        }
        change_to(&mut one, &EnvironmentChange::default()).unwrap();
        assert_eq!(one, kept);
        change_to(&mut one, &EnvironmentChange { aws: Some(None), ..EnvironmentChange::default() }).unwrap();
        assert_eq!(one.aws, None);
    }

    #[test]
    fn names_have_something_that_an_address_can_show() {
        for good in ["Production", "eu-west 1", "日本", " x "] {
            assert_eq!(environment_name("name", good).unwrap().as_str(), good.trim());
        }
        for bad in ["", "  ", "!!", "a\nb", &"a".repeat(101)] {
            assert!(environment_name("name", bad).is_err(), "{bad:?}");
        }
    }

    /// A repository that nobody has put into the store.
    pub(crate) fn located(store: &testkit::TestStore) -> Located {
        use model::{ForkPolicy, Project, ProjectId, Repository, Workspace, WorkspaceId};
        let (now, name) = (store.clock.now(), "Acme".parse::<model::DisplayName>().unwrap());
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
        let repository = Repository {
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
        Located { repository, project, workspace }
    }

    testkit::both_engines! {
        /// Attack: a writer's file deploys to `production_` or `Production `, which an address or a claim would not tell
        /// from the restricted environment, and is given one without restrictions.
        async fn a_name_is_made_when_it_is_first_used_and_found_in_any_case(store) {
            let at = located(&store);
            let permit = testkit::permit::<act::EnvironmentSet>(&store);
            let ask = async |name: &str| {
                let (at, name) = (at.clone(), EnvironmentName::new(name));
                store.write(&permit, move |writer| environment_for(writer, &at, &name)).await
            };
            let made = ask("EU west").await.unwrap();
            assert_eq!((made.name.as_str(), made.slug.as_str(), made.kind), ("EU west", "eu-west", EnvironmentType::Test));
            for same in ["eu WEST", " EU west "] {
                assert_eq!(ask(same).await.unwrap().id, made.id, "{same:?}");
            }
            assert_eq!(ask("PRODUCTION").await.unwrap().kind, EnvironmentType::Production);
            for close in ["eu-west", "EU (west)", "production!"] {
                let refused = ask(close).await;
                assert!(matches!(refused, Err(Error::Conflict(_))), "{close}: {refused:?}");
            }
            assert!(matches!(ask("!").await, Err(Error::Invalid { .. })));
            // The three of the beginning and this one; a file makes no more than there is room for.
            for number in 4..MOST {
                ask(&format!("e{number}")).await.unwrap();
            }
            assert!(matches!(ask("one more").await, Err(Error::Conflict(_))));
            assert_eq!(ask("e4").await.unwrap().name, "e4");
        }
    }
}
