//! Identity tokens, of which each workspace is an issuer: what they say, and what others need to verify and trust them.
//! Keys and their rotation are in `keys`, making a token in `mint`.

mod keys;
mod mint;
#[cfg(test)]
mod tests;

use keyring::TokenAlgorithm;
use model::{Error, RepositoryId, ResourceKind, Result, Workspace, WorkspaceId, act};
use pipeline::identity::{Claims, Entity, EnvironmentFacts, IdentityFacts, Terms, TriggerKind};
use pipeline::trust::{TrustPolicies, issuer_warnings, policies};
use pipeline::{Reference, SubjectTemplate};
use serde_json::{Value, json};
use store::Reader;
use store::identity_token::{RepositorySettings, WorkspaceSettings};
use store::repository::Located;
use store::workspace::WorkspaceName;
use uuid::Uuid;

use crate::access::RepositoryPath;
use crate::{Caller, Service};

pub(crate) use keys::Signers;
pub use keys::{IdentityTokenKeyView, KeyRotation};
pub use mint::{IdentityToken, UnrecordedIdentityToken};

/// What a workspace's tokens are like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityTokens {
    /// The issuer: the base address and the workspace's id, so that it survives renames.
    pub issuer: String,
    /// For whom tokens are that name nobody.
    pub default_audience: String,
    /// `RS256` or `ES256`: how keys sign that are made from now on.
    pub algorithm: String,
    /// The subject's template; Bitbucket's form without one.
    pub subject_template: Option<String>,
    /// Whether tokens hold session tags for Amazon.
    pub session_tags: bool,
    /// The keys, the oldest first.
    pub keys: Vec<IdentityTokenKeyView>,
    /// What keeps others from trusting the issuer.
    pub warnings: Vec<String>,
}

/// How a workspace's tokens are to be from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewIdentityTokens {
    /// `RS256` or `ES256`.
    pub algorithm: String,
    /// The subject's template; Bitbucket's form without one.
    pub subject_template: Option<String>,
    /// Whether tokens hold session tags for Amazon.
    pub session_tags: bool,
}

/// What a repository's tokens are like.
#[derive(Clone, Debug, PartialEq)]
pub struct RepositoryIdentityTokens {
    /// The issuer.
    pub issuer: String,
    /// For whom tokens are that name nobody.
    pub default_audience: String,
    /// The repository's own template.
    pub own_subject_template: Option<String>,
    /// The template in force; Bitbucket's form without one.
    pub subject_template: Option<String>,
    /// What the repository itself says of session tags for Amazon.
    pub own_session_tags: Option<bool>,
    /// Whether tokens hold them.
    pub session_tags: bool,
    /// What the token of a step says that deploys from the main branch. Its ids of runs and steps are made up.
    pub sample: Value,
    /// How others come to trust these tokens.
    pub trust: TrustPolicies,
}

/// How a repository's tokens are to be from now on; what is absent is as the workspace has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewRepositoryIdentityTokens {
    /// The subject's template.
    pub subject_template: Option<String>,
    /// Whether tokens hold session tags for Amazon.
    pub session_tags: Option<bool>,
}

/// The name of a workspace as an issuer's address has it: Bitbucket's slug or id in braces, or the id alone, which is
/// never taken for a slug, so that nobody can name a workspace after another's id.
fn issuer_name(text: &str) -> Option<WorkspaceName> {
    let bare = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(text);
    match Uuid::try_parse(bare) {
        Ok(id) if bare.len() == 36 => Some(WorkspaceName::Id(WorkspaceId::from_uuid(id))),
        _ => text.parse().ok().map(WorkspaceName::Slug),
    }
}

fn template(text: Option<&str>) -> Result<Option<SubjectTemplate>> {
    text.map(|text| text.parse().map_err(|why| Error::invalid_field("subject_template", why))).transpose()
}

/// A template that was looked at when it was set.
pub(crate) fn kept_template(text: Option<&str>) -> Result<Option<SubjectTemplate>> {
    text.map(|text| text.parse::<SubjectTemplate>().map_err(Error::internal)).transpose()
}

fn shown(settings: &WorkspaceSettings) -> Value {
    json!({
        "algorithm": settings.algorithm.as_str(), "subject_template": settings.subject_template,
        "session_tags": settings.session_tags,
    })
}

fn shown_of_repository(settings: &RepositorySettings) -> Value {
    json!({ "subject_template": settings.subject_template, "session_tags": settings.session_tags })
}

/// A step that deploys from the main branch.
pub(crate) fn sample_facts(located: &Located) -> IdentityFacts {
    let entity = |uuid, name: &str| Entity { uuid, name: name.to_owned() };
    let made_up = |n: u128| Uuid::from_u128(0x0000_0000_0000_4000_8000_0000_0000_0000 + n);
    let (workspace, project) = (&located.workspace, &located.project);
    let repository = &located.repository;
    IdentityFacts {
        workspace: entity(workspace.id.uuid(), workspace.slug.as_str()),
        project: entity(project.id.uuid(), project.key.as_str()),
        repository: entity(repository.id.uuid(), repository.slug.as_str()),
        pipeline: made_up(1),
        build_number: 1,
        step: made_up(2),
        attempt: 1,
        environment: Some(EnvironmentFacts {
            uuid: made_up(3),
            name: "Production".to_owned(),
            kind: "production".to_owned(),
        }),
        reference: Reference::Branch { name: repository.default_branch.clone() },
        ref_protected: true,
        commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        trigger: TriggerKind::Push,
        actor: Some(entity(made_up(4), "somebody")),
        runner: made_up(5),
    }
}

impl Service {
    /// The issuer of a workspace's tokens: from the base address, never from what a request says of itself.
    pub(crate) fn identity_token_issuer(&self, workspace: Uuid) -> String {
        format!("{}/2.0/workspaces/{workspace}/pipelines-config/identity/oidc", self.settings.base_url)
    }

    async fn issuing_workspace(&self, caller: &Caller, name: &str) -> Result<Workspace> {
        let missing = || self.missing(caller, ResourceKind::Workspace);
        let name = issuer_name(name).ok_or_else(missing)?;
        let found = self.store.read(move |reader| store::workspace::resolve(reader, &name)).await?;
        found.ok_or_else(missing)
    }

    /// The issuer's configuration (OpenID Connect Discovery), for everybody.
    pub async fn identity_token_configuration(&self, caller: &Caller, workspace: &str) -> Result<Value> {
        let workspace = self.issuing_workspace(caller, workspace).await?;
        let issuer = self.identity_token_issuer(workspace.id.uuid());
        Ok(json!({
            "issuer": issuer,
            "jwks_uri": format!("{issuer}/keys.json"),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": TokenAlgorithm::ALL.map(TokenAlgorithm::as_str),
            "scopes_supported": ["openid"],
            "claims_supported": pipeline::identity::CLAIMS,
        }))
    }

    /// The public keys that a workspace's tokens are verified with (a JSON Web Key Set), for everybody.
    pub async fn identity_token_key_set(&self, caller: &Caller, workspace: &str) -> Result<Value> {
        let workspace = self.issuing_workspace(caller, workspace).await?.id;
        let keys = self.store.read(move |reader| store::identity_token::keys(reader, workspace)).await?;
        let now = self.clock.now();
        let published = keys.into_iter().filter(|key| keys::is_published(key, now));
        Ok(json!({ "keys": published.map(|key| key.public).collect::<Vec<_>>() }))
    }

    async fn identity_tokens_view(&self, workspace: WorkspaceId) -> Result<IdentityTokens> {
        let (settings, kept) = self
            .store
            .read(move |reader| {
                let settings = store::identity_token::of_workspace(reader, workspace)?;
                Ok((settings, store::identity_token::keys(reader, workspace)?))
            })
            .await?;
        let issuer = self.identity_token_issuer(workspace.uuid());
        Ok(IdentityTokens {
            warnings: issuer_warnings(&issuer),
            issuer,
            default_audience: pipeline::identity::default_audience(workspace.uuid()),
            algorithm: settings.algorithm.to_string(),
            subject_template: settings.subject_template,
            session_tags: settings.session_tags,
            keys: keys::views(&kept, self.clock.now()),
        })
    }

    /// What a workspace's tokens are like, and their keys.
    pub async fn identity_tokens(&self, caller: &Caller, workspace: &str) -> Result<IdentityTokens> {
        let ground = self.workspace_ground(caller, workspace).await?;
        self.check(caller, act::IdentityTokenRead, &ground)?;
        self.identity_tokens_view(ground.subject.id).await
    }

    /// Changes what a workspace's tokens are like. The algorithm is that of the next key: rotate to have it sooner.
    pub async fn set_identity_tokens(
        &self,
        caller: &Caller,
        workspace: &str,
        new: NewIdentityTokens,
    ) -> Result<IdentityTokens> {
        let ground = self.workspace_ground(caller, workspace).await?;
        let permit = self.permit(caller, act::IdentityTokenConfigure, &ground)?;
        let algorithm: TokenAlgorithm =
            new.algorithm.parse().map_err(|_| Error::invalid_field("algorithm", "use `RS256` or `ES256`"))?;
        template(new.subject_template.as_deref())?;
        let after = WorkspaceSettings {
            algorithm,
            subject_template: new.subject_template,
            session_tags: new.session_tags,
        };
        let id = ground.subject.id;
        self.store
            .write(&permit, move |writer| {
                store::identity_token::lock(writer, id)?;
                let before = store::identity_token::of_workspace(writer, id)?;
                store::identity_token::set_of_workspace(writer, id, &after)?;
                writer.note(shown(&before), shown(&after));
                Ok(())
            })
            .await?;
        self.identity_tokens_view(id).await
    }

    /// What a repository's tokens are like, and how others come to trust them.
    pub async fn repository_identity_tokens(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
    ) -> Result<RepositoryIdentityTokens> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::IdentityTokenRead, ground.as_ref())?;
        self.repository_identity_tokens_view(&ground.subject).await
    }

    /// Changes what a repository's tokens are like.
    pub async fn set_repository_identity_tokens(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        new: NewRepositoryIdentityTokens,
    ) -> Result<RepositoryIdentityTokens> {
        let ground = self.repository_ground(caller, path).await?;
        let permit = self.permit(caller, act::IdentityTokenConfigure, ground.as_ref())?;
        template(new.subject_template.as_deref())?;
        let id = ground.subject.repository.id;
        let after =
            RepositorySettings { subject_template: new.subject_template, session_tags: new.session_tags };
        self.store
            .write(&permit, move |writer| {
                let before = store::identity_token::of_repository(writer, id)?;
                store::identity_token::set_of_repository(writer, id, &after)?;
                writer.note(shown_of_repository(&before), shown_of_repository(&after));
                Ok(())
            })
            .await?;
        self.repository_identity_tokens_view(&ground.subject).await
    }

    pub(crate) async fn identity_token_settings(
        &self,
        workspace: WorkspaceId,
        repository: RepositoryId,
    ) -> Result<(WorkspaceSettings, RepositorySettings)> {
        self.store.read(move |reader| settings_of(reader, workspace, repository)).await
    }

    async fn repository_identity_tokens_view(&self, located: &Located) -> Result<RepositoryIdentityTokens> {
        let (workspace, repository) = (located.workspace.id, located.repository.id);
        let (above, own) = self.identity_token_settings(workspace, repository).await?;
        let subject_template = own.subject_template.clone().or(above.subject_template);
        let session_tags = own.session_tags.unwrap_or(above.session_tags);
        let (issuer, facts) = (self.identity_token_issuer(workspace.uuid()), sample_facts(located));
        let subject = kept_template(subject_template.as_deref())?;
        let terms = Terms {
            issuer: &issuer,
            audiences: &[],
            subject: subject.as_ref(),
            session_tags,
            issued: self.clock.now().seconds(),
            lifetime: pipeline::identity::LONGEST_LIFE,
            id: Uuid::nil(),
        };
        let sample = match Claims::of(&facts, &terms) {
            Ok(claims) => serde_json::to_value(claims).map_err(Error::internal)?,
            Err(why) => json!({ "error": why.to_string() }),
        };
        Ok(RepositoryIdentityTokens {
            trust: policies(&issuer, &facts, subject.as_ref(), session_tags),
            default_audience: pipeline::identity::default_audience(workspace.uuid()),
            own_subject_template: own.subject_template,
            subject_template,
            own_session_tags: own.session_tags,
            session_tags,
            sample,
            issuer,
        })
    }
}

/// What a workspace and one of its repositories say of their tokens.
fn settings_of(
    reader: &mut Reader<'_>,
    workspace: WorkspaceId,
    repository: RepositoryId,
) -> Result<(WorkspaceSettings, RepositorySettings)> {
    let of_workspace = store::identity_token::of_workspace(reader, workspace)?;
    Ok((of_workspace, store::identity_token::of_repository(reader, repository)?))
}
