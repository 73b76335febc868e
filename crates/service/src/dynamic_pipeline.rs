//! Dynamic pipelines: who has the last word about what a repository's pipelines do, seeing it and setting it. What comes of
//! it when a run is started is in `dynamic_pipeline::plan`, how a provider is asked in `dynamic_pipeline::provider`.

use std::sync::Arc;

use model::dynamic_pipeline::{TIME_LIMITS, USUAL_TIME_LIMIT};
use model::{DynamicPipeline, DynamicPlace, Error, IssuedSecret, RefName, Result, SecretKind, act};
use pipeline::{DynamicRules, form};
use policy::Permit;
use serde_json::{Value, json};
use store::dynamic_pipeline::Kept;

use crate::access::RepositoryPath;
use crate::{Caller, Service};

mod plan;
mod provider;

/// Whose they are, by the names that a request uses.
#[derive(Clone, Debug)]
pub enum DynamicOf {
    /// A workspace's.
    Workspace(String),
    /// A repository's.
    Repository(RepositoryPath),
}

/// What is to hold, instead of what held before.
#[derive(Clone, Debug, Default)]
pub struct NewDynamicPipeline {
    /// Where the provider is asked; none: no provider.
    pub address: Option<String>,
    /// How long each try may take, in seconds; none: the usual time.
    pub time_limit: Option<i64>,
    /// Whether it holds; none: it does.
    pub enabled: Option<bool>,
    /// The rules as YAML; empty: none.
    pub rules: String,
    /// Whether a provider that was there before gets a new key.
    pub new_secret: bool,
}

/// What was set, and the key that signs what the provider is asked, where it is a new one: shown this once.
pub struct SetDynamicPipeline {
    /// What holds.
    pub settings: DynamicPipeline,
    /// The new key.
    pub secret: Option<IssuedSecret>,
}

/// The custom pipelines that are known while nobody is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownPipelines {
    /// The names that the file itself has, in its order.
    pub names: Vec<String>,
    /// Whether providers may make others when a run is started.
    pub providers: bool,
}

/// What a key is sealed for.
fn key_context(place: DynamicPlace) -> [String; 4] {
    ["dynamic_pipeline".to_owned(), place.kind().to_owned(), place.uuid().to_string(), "secret".to_owned()]
}

fn shown(kept: Option<&Kept>) -> Value {
    let Some(Kept { settings, .. }) = kept else { return Value::Null };
    json!({
        "of": settings.place.kind(), "address": settings.address, "time_limit": settings.time_limit,
        "enabled": settings.enabled, "rules": settings.rules,
    })
}

impl Service {
    /// What a workspace or a repository has set; none where nothing was.
    pub async fn dynamic_pipeline(&self, caller: &Caller, of: &DynamicOf) -> Result<Option<DynamicPipeline>> {
        let place = match of {
            DynamicOf::Workspace(name) => {
                let ground = self.workspace_ground(caller, name).await?;
                self.check(caller, act::DynamicPipelineRead, &ground)?;
                DynamicPlace::Workspace(ground.subject.id)
            }
            DynamicOf::Repository(path) => {
                let ground = self.repository_ground(caller, path).await?;
                self.check(caller, act::DynamicPipelineRead, ground.as_ref())?;
                DynamicPlace::Repository(ground.subject.repository.id)
            }
        };
        let kept = self.store.read(move |reader| store::dynamic_pipeline::of(reader, place)).await?;
        Ok(kept.map(|kept| kept.settings))
    }

    async fn dynamic_permit(
        &self,
        caller: &Caller,
        of: &DynamicOf,
    ) -> Result<(Permit<act::DynamicPipelineSet>, DynamicPlace)> {
        Ok(match of {
            DynamicOf::Workspace(name) => {
                let ground = self.workspace_ground(caller, name).await?;
                let permit = self.permit(caller, act::DynamicPipelineSet, &ground)?;
                (permit, DynamicPlace::Workspace(ground.subject.id))
            }
            DynamicOf::Repository(path) => {
                let ground = self.repository_ground(caller, path).await?;
                let permit = self.permit(caller, act::DynamicPipelineSet, ground.as_ref())?;
                (permit, DynamicPlace::Repository(ground.subject.repository.id))
            }
        })
    }

    /// Sets who has the last word. A provider that is new, or elsewhere than before, gets a key of its own.
    pub async fn set_dynamic_pipeline(
        &self,
        caller: &Caller,
        of: &DynamicOf,
        new: NewDynamicPipeline,
    ) -> Result<SetDynamicPipeline> {
        let (permit, place) = self.dynamic_permit(caller, of).await?;
        let address = new.address.filter(|address| !address.is_empty());
        if let Some(address) = &address {
            self.outbound.address(address).map_err(|why| Error::invalid_field("address", why))?;
        }
        let time_limit = new.time_limit.unwrap_or(USUAL_TIME_LIMIT);
        if !TIME_LIMITS.contains(&time_limit) {
            let message =
                format!("use a number of seconds from {} to {}", TIME_LIMITS.start(), TIME_LIMITS.end());
            return Err(Error::invalid_field("time_limit", message));
        }
        DynamicRules::parse(&new.rules).map_err(|why| Error::invalid_field("rules", why))?;
        let settings = DynamicPipeline {
            place,
            address,
            time_limit,
            enabled: new.enabled.unwrap_or(true),
            rules: new.rules,
            set_by: caller.label(),
            set_on: self.clock.now(),
        };
        let secret = IssuedSecret::new(SecretKind::DynamicPipeline, &self.random);
        let context = key_context(place);
        let context = context.each_ref().map(String::as_str);
        let sealed =
            self.keyring.seal(&context, secret.secret().expose().as_bytes()).map_err(Error::internal)?;
        let (after, renew) = (settings.clone(), new.new_secret);
        let fresh = self
            .store
            .write(&permit, move |writer| {
                let before = store::dynamic_pipeline::of(writer, place)?;
                let there = before.as_ref().filter(|kept| kept.settings.address == after.address && !renew);
                let kept_secret = there.and_then(|kept| kept.secret.clone());
                let fresh = after.address.is_some() && kept_secret.is_none();
                let secret = if fresh { Some(sealed.clone()) } else { kept_secret };
                let kept = Kept { settings: after.clone(), secret };
                let nothing = after.address.is_none() && after.rules.trim().is_empty();
                match nothing {
                    true => store::dynamic_pipeline::forget(writer, place)?,
                    false => store::dynamic_pipeline::set(writer, &kept)?,
                }
                writer.note(shown(before.as_ref()), shown((!nothing).then_some(&kept)));
                Ok(fresh)
            })
            .await?;
        Ok(SetDynamicPipeline { settings, secret: fresh.then_some(secret) })
    }

    /// What holds for a repository: its own first, its workspace's last.
    async fn dynamic_settings(&self, located: &store::repository::Located) -> Result<Vec<Kept>> {
        let places =
            [DynamicPlace::Repository(located.repository.id), DynamicPlace::Workspace(located.workspace.id)];
        self.store
            .read(move |reader| {
                let mut found = Vec::new();
                for place in places {
                    found.extend(store::dynamic_pipeline::of(reader, place)?);
                }
                found.retain(|kept| kept.settings.enabled);
                Ok(found)
            })
            .await
    }

    /// The custom pipelines of a branch for whoever may start one, without asking its providers. A file that is not there, or
    /// not right, has none.
    pub async fn known_pipelines(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        branch: &str,
    ) -> Result<KnownPipelines> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::PipelineRun, ground.as_ref())?;
        let located = &ground.subject;
        let settings = self.dynamic_settings(located).await?;
        let repository = self.git.open(located.repository.id)?;
        let found = match RefName::branch(branch) {
            Ok(name) => git::refs::find(&repository, &name).await?,
            Err(_) => None,
        };
        let text = match found {
            Some(found) => self.configuration_at(located, found.commit()).await?,
            None => None,
        };
        let form = text.and_then(|text| form::of_text(&text));
        Ok(KnownPipelines {
            names: form.as_ref().map(form::custom_names).unwrap_or_default(),
            providers: settings.iter().any(|kept| kept.settings.address.is_some()),
        })
    }

    /// The names of the pipelines that can be started by hand on a branch, its providers asked once.
    ///
    /// # Errors
    /// Where pipelines are switched off, as for a start by hand.
    pub async fn pipeline_definitions(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        branch: &str,
    ) -> Result<Vec<String>> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::PipelineRun, ground.as_ref())?;
        let id = ground.subject.repository.id;
        // Where nothing can be started, nobody is asked what.
        if !self.store.read(move |reader| store::pipeline_config::of(reader, id)).await?.enabled {
            return Err(Error::invalid_field("target", "pipelines are switched off in this repository"));
        }
        if branch.is_empty() {
            return Err(Error::invalid_field("branch", "name a branch"));
        }
        self.definitions_of(Arc::new(ground.subject.clone()), branch, caller).await
    }
}
