//! Runners: made by people, registered once with a code, let in by a credential that is replaced day by day.

use std::sync::Arc;

use model::{
    DisplayName, Error, IssuedSecret, Resource, Result, Runner, RunnerId, Secret, SecretKind, Timestamp,
    Workspace, act,
    runner::{LONGEST_LABEL, MOST_LABELS, SYSTEM_LABELS, is_label},
};
use pipeline::protocol::{self, Registered};
use policy::{InternalReason, Target};
use serde_json::{Value, json};
use store::repository::Located;

use crate::access::{Ground, RepositoryPath};
use crate::{Caller, Listing, Service, Window};

/// How long a one-time code can be used, in seconds.
const CODE_SECONDS: i64 = 3600;
/// The most runners of one workspace or repository.
const MOST: i64 = 100;
/// After how long a runner replaces its credential, in seconds.
const ROTATE_AFTER: u32 = 86_400;
/// The name of the installation's own runner.
const OWN_NAME: &str = "the installation";
/// After how long without a sign of life a runner counts as offline, in seconds.
const OFFLINE_AFTER: i64 = 120;

/// Where a runner is registered.
#[derive(Clone, Debug)]
pub enum RunnerPlace {
    /// For a workspace.
    Workspace(String),
    /// For a repository.
    Repository(RepositoryPath),
}

/// What is asked of a runner. What is absent stays as it is.
#[derive(Clone, Debug, Default)]
pub struct RunnerChange {
    /// Its name.
    pub name: Option<DisplayName>,
    /// Its labels.
    pub labels: Option<Vec<String>>,
    /// Whether it may take steps.
    pub enabled: Option<bool>,
}

/// A runner that was made, and the code by which it is registered, shown once.
pub struct NewRunner {
    /// The runner.
    pub runner: Runner,
    /// Its code.
    pub code: IssuedSecret,
    /// Until when the code can be used.
    pub code_expires_on: Timestamp,
}

/// What a runner is up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunnerState {
    /// Its code was not used yet.
    Unregistered,
    /// Somebody has switched it off.
    Disabled,
    /// It was heard of a short while ago.
    Online,
    /// It was not.
    Offline,
}

enum Found {
    Workspace(Box<Ground<Workspace>>),
    Repository(Arc<Ground<Located>>),
}

impl Found {
    fn target(&self) -> &Target {
        match self {
            Self::Workspace(ground) => &ground.target,
            Self::Repository(ground) => &ground.target,
        }
    }
}

macro_rules! decided {
    ($service:expr, $decide:ident, $caller:expr, $act:expr, $found:expr) => {
        match $found {
            Found::Workspace(ground) => $service.$decide($caller, $act, ground.as_ref()),
            Found::Repository(ground) => $service.$decide($caller, $act, ground.as_ref()),
        }
    };
}

/// The labels that people give: without those that only what a runner can do gives.
fn labels(names: &[String]) -> Result<Vec<String>> {
    let mut labels: Vec<String> = names
        .iter()
        .map(|name| name.trim().to_owned())
        .filter(|name| !SYSTEM_LABELS.contains(&name.as_str()))
        .collect();
    labels.sort_unstable();
    labels.dedup();
    if let Some(odd) = labels.iter().find(|label| !is_label(label)) {
        let message = format!(
            "`{}` is no label: use lower-case letters and digits with dots between, at most {LONGEST_LABEL}",
            odd.escape_debug()
        );
        return Err(Error::invalid_field("labels", message));
    }
    if labels.len() > MOST_LABELS {
        return Err(Error::invalid_field("labels", format!("a runner has at most {MOST_LABELS} labels")));
    }
    Ok(labels)
}

/// A runner in the audit trail.
fn shown(runner: &Runner) -> Value {
    json!({ "id": runner.id.braced(), "name": runner.name, "labels": runner.labels, "enabled": runner.enabled })
}

fn missing() -> Error {
    Error::not_found("the runner")
}

impl Service {
    async fn runner_place(&self, caller: &Caller, place: &RunnerPlace) -> Result<Found> {
        Ok(match place {
            RunnerPlace::Workspace(name) => {
                Found::Workspace(Box::new(self.workspace_ground(caller, name).await?))
            }
            RunnerPlace::Repository(path) => Found::Repository(self.repository_ground(caller, path).await?),
        })
    }

    /// The runners of a workspace or repository itself, by name.
    pub async fn runners(
        &self,
        caller: &Caller,
        place: &RunnerPlace,
        window: Window,
    ) -> Result<Listing<Runner>> {
        let found = self.runner_place(caller, place).await?;
        decided!(self, check, caller, act::RunnerRead, &found)?;
        let of = found.target().resource;
        self.store
            .read(move |reader| {
                let size = store::runner::count(reader, of)?;
                Ok(Listing::new(store::runner::list(reader, of, window.limit, window.offset)?, size))
            })
            .await
    }

    /// One of them.
    pub async fn runner(&self, caller: &Caller, place: &RunnerPlace, id: RunnerId) -> Result<Runner> {
        let found = self.runner_place(caller, place).await?;
        decided!(self, check, caller, act::RunnerRead, &found)?;
        let of = found.target().resource;
        let runner = self.store.read(move |reader| store::runner::find(reader, id)).await?;
        runner.filter(|runner| runner.bound_to == of).ok_or_else(missing)
    }

    /// What a runner is up to.
    #[must_use]
    pub fn runner_state(&self, runner: &Runner) -> RunnerState {
        let recently = self.clock.now().plus_seconds(-OFFLINE_AFTER);
        match runner {
            Runner { enabled: false, .. } => RunnerState::Disabled,
            Runner { registered_on: None, .. } => RunnerState::Unregistered,
            Runner { seen_on: Some(seen), .. } if *seen > recently => RunnerState::Online,
            _ => RunnerState::Offline,
        }
    }

    /// Makes a runner, with a one-time code to register it by.
    pub async fn create_runner(
        &self,
        caller: &Caller,
        place: &RunnerPlace,
        new: RunnerChange,
    ) -> Result<NewRunner> {
        let found = self.runner_place(caller, place).await?;
        let permit = decided!(self, permit, caller, act::RunnerSet, &found)?;
        let name = new.name.ok_or_else(|| Error::invalid_field("name", "this field is required"))?;
        let now = self.clock.now();
        let runner = Runner {
            id: RunnerId::new(&self.random),
            bound_to: found.target().resource,
            workspace: found.target().workspace,
            name,
            labels: labels(&new.labels.unwrap_or_default())?,
            own_labels: Vec::new(),
            program: None,
            enabled: new.enabled.unwrap_or(true),
            created_on: now,
            registered_on: None,
            seen_on: None,
        };
        let code = IssuedSecret::new(SecretKind::RunnerCode, &self.random);
        let until = now.plus_seconds(CODE_SECONDS);
        let (made, hash) = (runner.clone(), code.hash());
        self.store
            .write(&permit, move |writer| {
                if store::runner::count(writer, made.bound_to)? >= MOST {
                    return Err(Error::Conflict(format!("there are {MOST} runners here: remove one first")));
                }
                store::runner::insert(writer, &made, &hash, until)?;
                writer.note(Value::Null, shown(&made));
                Ok(())
            })
            .await?;
        Ok(NewRunner { runner, code, code_expires_on: until })
    }

    /// Changes a runner.
    pub async fn update_runner(
        &self,
        caller: &Caller,
        place: &RunnerPlace,
        id: RunnerId,
        change: RunnerChange,
    ) -> Result<Runner> {
        let found = self.runner_place(caller, place).await?;
        let permit = decided!(self, permit, caller, act::RunnerSet, &found)?;
        let of = found.target().resource;
        let wanted = change.labels.as_deref().map(labels).transpose()?;
        self.store
            .write(&permit, move |writer| {
                let before = store::runner::find(writer, id)?.filter(|runner| runner.bound_to == of);
                let before = before.ok_or_else(missing)?;
                let mut after = before.clone();
                after.name = change.name.clone().unwrap_or(after.name);
                after.labels = wanted.clone().unwrap_or(after.labels);
                after.enabled = change.enabled.unwrap_or(after.enabled);
                store::runner::update(writer, &after)?;
                writer.note(shown(&before), shown(&after));
                Ok(after)
            })
            .await
    }

    /// Removes a runner. A step that it runs is lost to it at once, and goes to another.
    pub async fn remove_runner(&self, caller: &Caller, place: &RunnerPlace, id: RunnerId) -> Result<()> {
        let found = self.runner_place(caller, place).await?;
        let permit = decided!(self, permit, caller, act::RunnerRemove, &found)?;
        let of = found.target().resource;
        self.store
            .write(&permit, move |writer| {
                let before = store::runner::find(writer, id)?.filter(|runner| runner.bound_to == of);
                let before = before.ok_or_else(missing)?;
                store::runner::remove(writer, id)?;
                writer.note(shown(&before), Value::Null);
                Ok(())
            })
            .await
    }

    /// Exchanges a one-time code for a runner's credential. The code is the proof; nobody is known yet.
    pub async fn register_runner(
        &self,
        caller: &Caller,
        asked: &protocol::Registration,
    ) -> Result<Registered> {
        speaks(asked.protocol)?;
        let Ok(code) = IssuedSecret::parse(SecretKind::RunnerCode, &asked.code) else {
            return Err(self.attempt_failed(caller, None));
        };
        let hash = code.hash();
        let found = self.store.read(move |reader| store::runner::find_by_code(reader, &hash)).await?;
        let Some(runner) = found else { return Err(self.attempt_failed(caller, None)) };
        let secret = IssuedSecret::new(SecretKind::Runner, &self.random);
        let (id, new) = (runner.id, secret.hash());
        let program = json!(asked.program);
        let permit =
            self.internal::<act::RunnerRegister>(InternalReason::RunnerRegistered, caller, target(&runner));
        self.store
            .write(&permit, move |writer| {
                if !store::runner::register(writer, id, &hash, &new)? {
                    return Err(Error::Conflict("the code was used in the meantime".to_owned()));
                }
                writer.note(Value::Null, json!({ "runner": id.braced(), "program": program }));
                Ok(())
            })
            .await?;
        Ok(registered(&runner, &secret))
    }

    /// A credential for the installation's own runner, which takes steps of all repositories; the one before ends. It is
    /// named in no page's form: it begins with the server that is told to have one.
    ///
    /// # Errors
    /// When the store does not take it.
    pub async fn begin_own_runner(&self, operator: &Caller) -> Result<Registered> {
        let secret = IssuedSecret::new(SecretKind::Runner, &self.random);
        let (new, hash) = (self.own_runner()?, secret.hash());
        let permit = self.internal::<act::RunnerRegister>(InternalReason::OwnRunner, operator, target(&new));
        let runner = self
            .store
            .write(&permit, move |writer| {
                let known = store::runner::list(writer, Resource::Instance, 1, 0)?.pop();
                let runner = known.unwrap_or_else(|| new.clone());
                store::runner::set_own(writer, &runner, &hash)?;
                writer.note(Value::Null, shown(&runner));
                Ok(runner)
            })
            .await?;
        Ok(registered(&runner, &secret))
    }

    /// The installation has no runner of its own, or none any more: its credential ends, where there is one.
    ///
    /// # Errors
    /// When the store does not take it.
    pub async fn end_own_runner(&self, operator: &Caller) -> Result<()> {
        let known = self.store.read(|reader| store::runner::list(reader, Resource::Instance, 1, 0)).await?;
        let Some(runner) = known.into_iter().find(|runner| runner.registered_on.is_some()) else {
            return Ok(());
        };
        let permit =
            self.internal::<act::RunnerRegister>(InternalReason::OwnRunner, operator, target(&runner));
        self.store
            .write(&permit, move |writer| {
                store::runner::forget_credentials(writer, runner.id)?;
                writer.note(shown(&runner), Value::Null);
                Ok(())
            })
            .await
    }

    fn own_runner(&self) -> Result<Runner> {
        Ok(Runner {
            id: RunnerId::new(&self.random),
            bound_to: Resource::Instance,
            workspace: None,
            name: OWN_NAME.parse().map_err(Error::internal)?,
            labels: Vec::new(),
            own_labels: Vec::new(),
            program: None,
            enabled: true,
            created_on: self.clock.now(),
            registered_on: None,
            seen_on: None,
        })
    }

    /// The installation's own runner, where it has one: it takes steps of this place too.
    pub async fn own_runner_of(&self, caller: &Caller, place: &RunnerPlace) -> Result<Option<Runner>> {
        let found = self.runner_place(caller, place).await?;
        decided!(self, check, caller, act::RunnerRead, &found)?;
        let known = self.store.read(|reader| store::runner::list(reader, Resource::Instance, 1, 0)).await?;
        Ok(known.into_iter().find(|runner| runner.registered_on.is_some()))
    }

    /// A new credential for a runner; the one before ends with the new one's first use.
    pub async fn rotate_runner(&self, caller: &Caller) -> Result<Registered> {
        let runner = caller.as_runner().ok_or(Error::Unauthenticated)?;
        let secret = IssuedSecret::new(SecretKind::Runner, &self.random);
        let (id, new) = (runner.id, secret.hash());
        let permit =
            self.internal::<act::RunnerRegister>(InternalReason::RunnerRegistered, caller, target(runner));
        self.store
            .write(&permit, move |writer| {
                store::runner::set_next(writer, id, &new)?;
                writer.note(Value::Null, json!({ "runner": id.braced() }));
                Ok(())
            })
            .await?;
        Ok(registered(runner, &secret))
    }

    /// Who presents a runner's credential.
    pub(crate) async fn by_runner(&self, nobody: &Caller, secret: &Secret) -> Result<Caller> {
        let Ok(secret) = IssuedSecret::parse(SecretKind::Runner, secret.expose()) else {
            return Err(self.attempt_failed(nobody, None));
        };
        let hash = secret.hash();
        let found = self.store.read(move |reader| store::runner::find_by_hash(reader, &hash)).await?;
        let Some((runner, is_next)) = found else { return Err(self.attempt_failed(nobody, None)) };
        if !runner.enabled {
            return Err(Error::forbidden("this runner is switched off"));
        }
        let caller = Caller::runner(Arc::new(runner.clone()), nobody);
        if is_next {
            let id = runner.id;
            let permit = self.internal::<act::RunnerRegister>(
                InternalReason::RunnerRegistered,
                &caller,
                target(&runner),
            );
            self.store
                .write(&permit, move |writer| {
                    store::runner::turn_over(writer, id, &hash)?;
                    writer.note(Value::Null, json!({ "runner": id.braced(), "credential": "turned over" }));
                    Ok(())
                })
                .await?;
        }
        Ok(caller)
    }
}

/// Whether a runner speaks a version that is understood here.
pub(crate) fn speaks(version: u32) -> Result<()> {
    if version == protocol::VERSION {
        return Ok(());
    }
    Err(Error::invalid_field(
        "protocol",
        format!(
            "this server speaks version {} and the runner version {version}: update the older one",
            protocol::VERSION
        ),
    ))
}

fn target(runner: &Runner) -> Target {
    let label = format!("runner:{}", runner.name);
    let resource: Resource = runner.bound_to;
    Target { resource, label, workspace: runner.workspace }
}

fn registered(runner: &Runner, secret: &IssuedSecret) -> Registered {
    Registered {
        runner: runner.id.to_string(),
        name: runner.name.to_string(),
        credential: secret.secret().expose().to_owned(),
        rotate_after: ROTATE_AFTER,
    }
}
