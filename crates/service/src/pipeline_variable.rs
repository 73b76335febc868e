//! Variables of pipelines: seeing, making, changing and removing them, and which of them a step is given.
//!
//! Every value is sealed for its variable in its place, secured or not. A secured one leaves here by [`variables_for`]
//! alone: no answer, event, error or log holds it.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyring::Keyring;
use model::pipeline_variable::LONGEST_VARIABLE_VALUE;
use model::{
    EnvironmentId, Error, PipelineVariable, RepositoryId, Result, Secret, VariableId, VariableName,
    VariablePlace, WorkspaceId, act,
};
use serde_json::{Value, json};
use store::pipeline_variable::Kept;
use store::{Reader, Writer};

use crate::access::{Ground, RepositoryPath};
use crate::environment::{environment_name, missing_environment};
use crate::{Caller, Listing, Service, Window};

/// The most variables of one place.
const MOST: i64 = 100;
/// The most environments that one variable is bound to.
const MOST_ENVIRONMENTS: usize = 20;

/// Whose variables a request is about, by the names it uses.
#[derive(Clone, Debug)]
pub enum VariablesOf {
    /// A workspace's.
    Workspace(String),
    /// A repository's.
    Repository(RepositoryPath),
    /// Those of a repository's environment, by its id.
    Environment(RepositoryPath, String),
}

/// What is asked of a variable. What is absent stays as it is.
#[derive(Clone, Default)]
pub struct PipelineVariableChange {
    /// Its name.
    pub name: Option<String>,
    /// Its value.
    pub value: Option<Secret>,
    /// Whether nothing tells its value.
    pub secured: Option<bool>,
    /// Whether it is for runs on protected refs alone.
    pub protected_only: Option<bool>,
    /// The names of the environments that it is for.
    pub environments: Option<Vec<String>>,
}

/// A variable with its value, unless it is secured.
pub struct PipelineVariableView {
    /// The variable.
    pub variable: PipelineVariable,
    /// Its value; none of a secured one.
    pub value: Option<Secret>,
}

/// A variable as a step is given it.
pub(crate) struct ResolvedVariable {
    pub(crate) name: VariableName,
    pub(crate) value: Secret,
    /// Whether logs must not show it.
    pub(crate) secured: bool,
}

/// A place with the facts about whose it is.
struct Spot {
    ground: Ground<()>,
    place: VariablePlace,
    /// Whose environment the place is, where it is one.
    repository: Option<RepositoryId>,
}

fn spot<T>(ground: &Ground<T>, place: VariablePlace, repository: Option<RepositoryId>) -> Spot {
    let ground = Ground {
        subject: (),
        facts: ground.facts,
        grants: ground.grants.clone(),
        guard: Arc::clone(&ground.guard),
        break_glass: ground.break_glass,
        target: ground.target.clone(),
    };
    Spot { ground, place, repository }
}

/// What a value is sealed for: moved to another variable, or to another place, it does not open.
fn context(variable: VariableId, place: VariablePlace) -> [String; 5] {
    [
        "pipeline_variable".to_owned(),
        place.kind().to_owned(),
        place.uuid().to_string(),
        variable.to_string(),
        "value".to_owned(),
    ]
}

fn seal(keyring: &Keyring, variable: VariableId, place: VariablePlace, value: &Secret) -> Result<Vec<u8>> {
    let context = context(variable, place);
    let context = context.each_ref().map(String::as_str);
    keyring.seal(&context, value.expose().as_bytes()).map_err(Error::internal)
}

fn open(keyring: &Keyring, kept: &Kept) -> Result<Secret> {
    let context = context(kept.variable.id, kept.variable.place);
    let context = context.each_ref().map(String::as_str);
    let opened = keyring.open(&context, &kept.value).map_err(Error::internal)?;
    opened.to_secret().map_err(Error::internal)
}

fn missing() -> Error {
    Error::not_found("the variable")
}

fn id(text: &str) -> Result<VariableId> {
    text.parse().map_err(|_| missing())
}

/// That the environment is there, where the place is one.
fn must_be(reader: &mut Reader<'_>, repository: Option<RepositoryId>, place: VariablePlace) -> Result<()> {
    if let (Some(repository), VariablePlace::Environment(id)) = (repository, place) {
        store::environment::find(reader, repository, id)?.ok_or_else(missing_environment)?;
    }
    Ok(())
}

fn name(text: &str) -> Result<VariableName> {
    text.parse().map_err(|problem| Error::invalid_field("key", problem))
}

fn fits(value: &Secret) -> Result<()> {
    let text = value.expose();
    if text.len() > LONGEST_VARIABLE_VALUE {
        let message = format!("use at most {LONGEST_VARIABLE_VALUE} bytes");
        return Err(Error::invalid_field("value", message));
    }
    if text.contains('\0') {
        return Err(Error::invalid_field("value", "a variable cannot hold the character NUL: remove it"));
    }
    Ok(())
}

/// The names that a variable is bound to, each once.
fn bound_to(names: &[String]) -> Result<Vec<String>> {
    if names.len() > MOST_ENVIRONMENTS {
        return Err(Error::invalid_field("environments", format!("name at most {MOST_ENVIRONMENTS}")));
    }
    let mut bound: Vec<pipeline::deployment::EnvironmentName> = Vec::with_capacity(names.len());
    for name in names {
        let name = environment_name("environments", name)?;
        if !bound.contains(&name) {
            bound.push(name);
        }
    }
    Ok(bound.iter().map(|name| name.as_str().to_owned()).collect())
}

/// Puts a change's bindings on a variable.
fn bind(variable: &mut PipelineVariable, change: &PipelineVariableChange) -> Result<()> {
    variable.protected_only = change.protected_only.unwrap_or(variable.protected_only);
    if let Some(names) = &change.environments {
        variable.environments = bound_to(names)?;
    }
    if let VariablePlace::Environment(_) = variable.place {
        let odd = |field, message| Err(Error::invalid_field(field, message));
        if variable.protected_only {
            let message = "the environment's own restrictions say from which branches it is deployed to";
            return odd("protected_only", message);
        }
        if !variable.environments.is_empty() {
            return odd("environments", "a variable of an environment is for this one alone: leave it out");
        }
    }
    Ok(())
}

/// A variable in the audit trail: all but its value, secured or not.
fn shown(variable: &PipelineVariable) -> Value {
    json!({
        "variable": variable.id, "of": variable.place.kind(), "of_id": variable.place.uuid().to_string(),
        "name": variable.name.as_str(), "secured": variable.secured, "protected_only": variable.protected_only,
        "environments": variable.environments,
    })
}

/// The variables that a step is given: those of its environment before those of its repository before those of its
/// workspace, one of each name. One that is bound to other environments, or to protected refs where `protected` is not,
/// is passed over as if it were not there.
///
/// Never to be asked for a run of a fork, whose content nobody here has admitted. There are no such runs yet.
pub(crate) fn variables_for(
    reader: &mut Reader<'_>,
    keyring: &Keyring,
    repository: RepositoryId,
    workspace: WorkspaceId,
    environment: Option<EnvironmentId>,
    protected: bool,
) -> Result<Vec<ResolvedVariable>> {
    let environment = match environment {
        Some(id) => Some(store::environment::find(reader, repository, id)?.ok_or_else(missing_environment)?),
        None => None,
    };
    let named = environment.as_ref().map(|one| one.name.as_str());
    let mut places = vec![VariablePlace::Workspace(workspace), VariablePlace::Repository(repository)];
    places.extend(environment.as_ref().map(|one| VariablePlace::Environment(one.id)));
    let mut chosen = BTreeMap::new();
    for place in places {
        for kept in store::pipeline_variable::list(reader, place, MOST, 0)? {
            if kept.variable.applies(named, protected) {
                chosen.insert(kept.variable.name.clone(), kept);
            }
        }
    }
    let resolved = |(name, kept): (VariableName, Kept)| {
        Ok(ResolvedVariable { name, value: open(keyring, &kept)?, secured: kept.variable.secured })
    };
    chosen.into_iter().map(resolved).collect()
}

impl Service {
    async fn variables_spot(&self, caller: &Caller, of: &VariablesOf) -> Result<Spot> {
        match of {
            VariablesOf::Workspace(name) => {
                let ground = self.workspace_ground(caller, name).await?;
                Ok(spot(&ground, VariablePlace::Workspace(ground.subject.id), None))
            }
            VariablesOf::Repository(path) => {
                let ground = self.repository_ground(caller, path).await?;
                Ok(spot(&ground, VariablePlace::Repository(ground.subject.repository.id), None))
            }
            VariablesOf::Environment(path, id) => {
                let ground = self.repository_ground(caller, path).await?;
                // What is no id names nothing; that is told after it is decided who is told anything.
                let id = id.parse().unwrap_or_else(|_| EnvironmentId::from_uuid(uuid::Uuid::nil()));
                let repository = Some(ground.subject.repository.id);
                Ok(spot(&ground, VariablePlace::Environment(id), repository))
            }
        }
    }

    fn variable_view(&self, kept: &Kept) -> Result<PipelineVariableView> {
        let value = match kept.variable.secured {
            true => None,
            false => Some(open(&self.keyring, kept)?),
        };
        Ok(PipelineVariableView { variable: kept.variable.clone(), value })
    }

    /// The variables of a place, by name.
    pub async fn pipeline_variables(
        &self,
        caller: &Caller,
        of: &VariablesOf,
        window: Window,
    ) -> Result<Listing<PipelineVariableView>> {
        let Spot { ground, place, repository } = self.variables_spot(caller, of).await?;
        self.check(caller, act::PipelineVariableRead, &ground)?;
        let read = move |reader: &mut Reader<'_>| {
            must_be(reader, repository, place)?;
            let size = store::pipeline_variable::count(reader, place)?;
            Ok((store::pipeline_variable::list(reader, place, window.limit, window.offset)?, size))
        };
        let (kept, size) = self.store.read(read).await?;
        let views = kept.iter().map(|one| self.variable_view(one)).collect::<Result<_>>()?;
        Ok(Listing::new(views, size))
    }

    /// One variable.
    pub async fn pipeline_variable(
        &self,
        caller: &Caller,
        of: &VariablesOf,
        variable: &str,
    ) -> Result<PipelineVariableView> {
        let Spot { ground, place, repository } = self.variables_spot(caller, of).await?;
        self.check(caller, act::PipelineVariableRead, &ground)?;
        let id = id(variable)?;
        let read = move |reader: &mut Reader<'_>| {
            must_be(reader, repository, place)?;
            store::pipeline_variable::find(reader, place, id)?.ok_or_else(missing)
        };
        self.variable_view(&self.store.read(read).await?)
    }

    /// Makes a variable. Steps that start from now on are given it.
    pub async fn create_pipeline_variable(
        &self,
        caller: &Caller,
        of: &VariablesOf,
        new: PipelineVariableChange,
    ) -> Result<PipelineVariableView> {
        let Spot { ground, place, repository } = self.variables_spot(caller, of).await?;
        let permit = self.permit(caller, act::PipelineVariableSet, &ground)?;
        let key = new.name.as_deref().ok_or_else(|| Error::invalid_field("key", "this field is required"))?;
        let now = self.clock.now();
        let mut variable = PipelineVariable {
            id: VariableId::new(&self.random),
            place,
            name: name(key)?,
            secured: new.secured.unwrap_or(false),
            protected_only: false,
            environments: Vec::new(),
            created_on: now,
            updated_on: now,
        };
        bind(&mut variable, &new)?;
        let value = new.value.unwrap_or_else(|| Secret::new(String::new()));
        fits(&value)?;
        if variable.secured && value.expose().is_empty() {
            return Err(Error::invalid_field("value", "a secured variable needs a value"));
        }
        let value = seal(&self.keyring, variable.id, place, &value)?;
        let kept = Kept { variable, value };
        let made = kept.clone();
        self.store
            .write(&permit, move |writer| {
                must_be(writer, repository, place)?;
                if store::pipeline_variable::count(writer, place)? >= MOST {
                    let message =
                        format!("there are {MOST} variables here, which is the most: remove one first");
                    return Err(Error::Conflict(message));
                }
                store::pipeline_variable::insert(writer, &made)?;
                writer.note(Value::Null, shown(&made.variable));
                Ok(())
            })
            .await?;
        self.variable_view(&kept)
    }

    /// Changes a variable. An empty value leaves a secured one as it is, since that is how it is read; and a secured one
    /// is let go of only with a new value, so that nothing tells the old one.
    pub async fn update_pipeline_variable(
        &self,
        caller: &Caller,
        of: &VariablesOf,
        variable: &str,
        change: PipelineVariableChange,
    ) -> Result<PipelineVariableView> {
        let Spot { ground, place, repository } = self.variables_spot(caller, of).await?;
        let permit = self.permit(caller, act::PipelineVariableSet, &ground)?;
        let id = id(variable)?;
        let renamed = change.name.as_deref().map(name).transpose()?;
        if let Some(value) = &change.value {
            fits(value)?;
        }
        let sealed = change.value.as_ref().map(|value| seal(&self.keyring, id, place, value)).transpose()?;
        let now = self.clock.now();
        let after = self
            .store
            .write(&permit, move |writer| {
                must_be(writer, repository, place)?;
                let before = found(writer, place, id)?;
                let mut after = before.clone();
                let variable = &mut after.variable;
                variable.secured = change.secured.unwrap_or(variable.secured);
                variable.updated_on = now;
                if let Some(name) = &renamed {
                    variable.name = name.clone();
                }
                bind(variable, &change)?;
                let filled = change.value.as_ref().is_some_and(|value| !value.expose().is_empty());
                if before.variable.secured && !variable.secured && !filled {
                    let message = "give a new value: that of a secured variable is not told";
                    return Err(Error::invalid_field("secured", message));
                }
                let takes_value = filled || !variable.secured;
                if let (Some(sealed), true) = (&sealed, takes_value) {
                    after.value.clone_from(sealed);
                }
                store::pipeline_variable::update(writer, &after)?;
                let mut told = shown(&after.variable);
                if let Some(told) = told.as_object_mut() {
                    told.insert("value_changed".to_owned(), (after.value != before.value).into());
                }
                writer.note(shown(&before.variable), told);
                Ok(after)
            })
            .await?;
        self.variable_view(&after)
    }

    /// Removes a variable. Steps that run keep what they were given.
    pub async fn remove_pipeline_variable(
        &self,
        caller: &Caller,
        of: &VariablesOf,
        variable: &str,
    ) -> Result<()> {
        let Spot { ground, place, repository } = self.variables_spot(caller, of).await?;
        let permit = self.permit(caller, act::PipelineVariableRemove, &ground)?;
        let id = id(variable)?;
        self.store
            .write(&permit, move |writer| {
                must_be(writer, repository, place)?;
                let before = found(writer, place, id)?;
                store::pipeline_variable::remove(writer, id)?;
                writer.note(shown(&before.variable), Value::Null);
                Ok(())
            })
            .await
    }
}

fn found(writer: &mut Writer<'_>, place: VariablePlace, id: VariableId) -> Result<Kept> {
    store::pipeline_variable::find(writer, place, id)?.ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use model::{Random, Timestamp};
    use testkit::{TestStore, both_engines};

    use super::*;

    struct Scene {
        keyring: Arc<Keyring>,
        workspace: WorkspaceId,
        repository: RepositoryId,
        production: EnvironmentId,
    }

    fn ring() -> Keyring {
        let random = Random::seeded(7);
        let master = keyring::MasterKey::generate(&random);
        Keyring::create(&master, &random, Timestamp::from_micros(1)).unwrap().0
    }

    impl Scene {
        async fn new(store: &TestStore) -> Self {
            let repository = RepositoryId::new(store.random());
            let all = store.read(move |reader| store::environment::list(reader, repository)).await.unwrap();
            Self {
                keyring: Arc::new(ring()),
                workspace: WorkspaceId::new(store.random()),
                repository,
                production: all[2].id,
            }
        }

        async fn set(&self, store: &TestStore, place: VariablePlace, name: &str, bound: (bool, &[&str])) {
            let variable = PipelineVariable {
                id: VariableId::new(store.random()),
                place,
                name: name.parse().unwrap(),
                secured: true,
                protected_only: bound.0,
                environments: bound.1.iter().map(|name| (*name).to_owned()).collect(),
                created_on: store.clock.now(),
                updated_on: store.clock.now(),
            };
            let value = Secret::new(format!("{} of {}", name, place.kind()));
            let value = seal(&self.keyring, variable.id, place, &value).unwrap();
            let permit = testkit::permit::<act::PipelineVariableSet>(store);
            let kept = Kept { variable, value };
            store
                .write(&permit, move |writer| store::pipeline_variable::insert(writer, &kept))
                .await
                .unwrap();
        }

        async fn given(
            &self,
            store: &TestStore,
            environment: Option<EnvironmentId>,
            protected: bool,
        ) -> Vec<String> {
            let (keyring, repository, workspace) =
                (Arc::clone(&self.keyring), self.repository, self.workspace);
            let found = store.read(move |reader| {
                let found = variables_for(reader, &keyring, repository, workspace, environment, protected)?;
                assert!(found.iter().all(|one| one.secured));
                Ok(found
                    .iter()
                    .map(|one| format!("{} = {}", one.name, one.value.expose()))
                    .collect::<Vec<_>>())
            });
            found.await.unwrap()
        }
    }

    both_engines! {
        /// Attack: a run on a branch of the attacker's asks for what is bound to protected branches, or to production.
        /// Would catch: a binding that is passed over, one that hides the less bound variable of the same name, and a
        /// precedence the wrong way round.
        async fn the_nearest_that_applies_is_given(store) {
            let scene = Scene::new(&store).await;
            let (workspace, repository, production) = (
                VariablePlace::Workspace(scene.workspace),
                VariablePlace::Repository(scene.repository),
                VariablePlace::Environment(scene.production),
            );
            scene.set(&store, workspace, "A", (false, &[])).await;
            scene.set(&store, workspace, "B", (false, &[])).await;
            scene.set(&store, workspace, "C", (false, &[])).await;
            scene.set(&store, workspace, "D", (false, &["PRODUCTION"])).await;
            scene.set(&store, repository, "A", (false, &[])).await;
            scene.set(&store, repository, "B", (true, &[])).await;
            scene.set(&store, repository, "E", (true, &["Production", "Staging"])).await;
            scene.set(&store, production, "A", (false, &[])).await;
            // What is of others.
            scene.set(&store, VariablePlace::Workspace(WorkspaceId::new(store.random())), "X", (false, &[])).await;
            scene.set(&store, VariablePlace::Repository(RepositoryId::new(store.random())), "Y", (false, &[])).await;
            assert_eq!(
                scene.given(&store, None, false).await,
                ["A = A of repository", "B = B of workspace", "C = C of workspace"]
            );
            assert_eq!(
                scene.given(&store, None, true).await,
                ["A = A of repository", "B = B of repository", "C = C of workspace"]
            );
            assert_eq!(
                scene.given(&store, Some(scene.production), false).await,
                ["A = A of environment", "B = B of workspace", "C = C of workspace", "D = D of workspace"]
            );
            assert_eq!(
                scene.given(&store, Some(scene.production), true).await,
                [
                    "A = A of environment", "B = B of repository", "C = C of workspace", "D = D of workspace",
                    "E = E of repository",
                ]
            );
            // An environment of another repository gives nothing away.
            let (keyring, workspace, production) = (Arc::clone(&scene.keyring), scene.workspace, scene.production);
            let other = RepositoryId::new(store.random());
            let refused = store
                .read(move |reader| {
                    variables_for(reader, &keyring, other, workspace, Some(production), true).map(|all| all.len())
                })
                .await;
            assert!(matches!(refused, Err(Error::NotFound { .. })), "{refused:?}");
        }
    }

    /// Attack: somebody who writes to the database puts a secured value into the row of one that is not, or of their own
    /// repository, and reads it there.
    #[test]
    fn a_value_opens_for_its_own_variable_in_its_own_place_alone() {
        let (keyring, random) = (ring(), Random::seeded(3));
        let now = Timestamp::from_micros(1);
        let id = RepositoryId::new(&random);
        let variable = PipelineVariable {
            id: VariableId::new(&random),
            place: VariablePlace::Repository(id),
            name: "A".parse().unwrap(),
            secured: true,
            protected_only: false,
            environments: Vec::new(),
            created_on: now,
            updated_on: now,
        };
        let value = seal(&keyring, variable.id, variable.place, &Secret::new("hush".to_owned())).unwrap();
        let kept = Kept { variable: variable.clone(), value };
        assert_eq!(open(&keyring, &kept).unwrap().expose(), "hush");
        for moved in [
            PipelineVariable { id: VariableId::new(&random), ..variable.clone() },
            PipelineVariable {
                place: VariablePlace::Repository(RepositoryId::new(&random)),
                ..variable.clone()
            },
            PipelineVariable {
                place: VariablePlace::Workspace(WorkspaceId::from_uuid(id.uuid())),
                ..variable.clone()
            },
        ] {
            assert!(open(&keyring, &Kept { variable: moved, ..kept.clone() }).is_err());
        }
    }
}
