//! Roles at Amazon that steps take on: naming them, proving that they trust the workspace and nobody else, and setting them up.
//! Giving one to a step is in `access`, asking Amazon in `sts` and, about the server's own user, `iam`.

mod access;
mod answer;
mod grant;
mod iam;
mod registry;
mod sts;

use model::{
    AwsGrant, AwsMode, AwsRegion, AwsRole, AwsRoleId, DisplayName, Error, Resource, Result, RoleArn,
    Workspace, WorkspaceId, act, aws_role as bounds,
};
use pipeline::aws_trust::{self, RoleSetup, Trusted, TrustedTokens};
use serde_json::{Value, json};
use store::repository::Located;

use crate::access::{Ground, RepositoryPath};
use crate::identity_token::{kept_template, sample_facts};
use crate::{Caller, Service};

pub(crate) use registry::RegistryLogins;
use sts::Asked;
pub use sts::AwsSettings;
pub(crate) use sts::{Failed, Identity, Sts, address};

/// The most roles of a workspace, and the most grants of a role.
const MOST: i64 = 100;
const MOST_GRANTS: usize = 50;
/// The longest name of an environment, in characters.
const LONGEST_ENVIRONMENT: usize = 255;
/// How long a token lives that is exchanged at once, in seconds.
const SHORTEST: i64 = 900;
/// The longest session that the forms make room for.
const DEFAULT_SESSION: u32 = pipeline::aws::SESSION;

/// Who may use a role that is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAwsGrant {
    /// A repository's slug or UUID; `*` for every repository of the workspace.
    pub repository: String,
    /// A pattern of branches or tags.
    pub refs: Option<String>,
    /// Protected branches and tags alone.
    pub protected_only: bool,
    /// The name of an environment.
    pub environment: Option<String>,
}

/// A role that is to be. The external id is not a part of it: nobody chooses that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAwsRole {
    /// Its ARN.
    pub arn: String,
    /// `web-identity` or `assume-role`.
    pub mode: String,
    /// What people call it; its name at Amazon without one.
    pub name: Option<String>,
    /// Where it is asked for.
    pub region: Option<String>,
    /// The longest session, in seconds.
    pub longest_session: Option<u32>,
    /// Who may use it; without them nobody, or whoever might before.
    pub grants: Option<Vec<NewAwsGrant>>,
}

/// A role, and how it comes to trust.
#[derive(Clone, Debug, PartialEq)]
pub struct AwsRoleView {
    /// The role.
    pub role: AwsRole,
    /// Of its grants, the slugs of the repositories; nothing where one is for all of them, or its repository is gone.
    pub repositories: Vec<Option<String>>,
    /// By what the account knows the workspace.
    pub external_id: Option<String>,
    /// Who the server is at Amazon, where it matters.
    pub server: Option<String>,
    /// How the role is made.
    pub setup: RoleSetup,
    /// What was proved when it was saved, and what was not.
    pub proof: &'static str,
}

/// A workspace's roles.
#[derive(Clone, Debug, PartialEq)]
pub struct AwsRoles {
    /// The roles, by name.
    pub roles: Vec<AwsRoleView>,
}

const PROVED: &str = "when it was saved, Amazon gave the role with the workspace's external id, and neither without one nor with \
                      another";
const NOT_PROVED: &str = "the server cannot prove this: Amazon gives the role to whoever has a token that the trust policy \
                          takes, so see that the policy asks for `aud` and `sub`";

fn proof(mode: AwsMode) -> &'static str {
    match mode {
        AwsMode::AssumeRole => PROVED,
        AwsMode::WebIdentity => NOT_PROVED,
    }
}

/// A role in the audit trail.
fn shown(role: &AwsRole) -> Value {
    let grant = |grant: &AwsGrant| {
        json!({
            "repository": grant.repository.map(|id| id.braced()),
            "ref": grant.refs.as_ref().map(|refs| refs.as_str()),
            "protected_only": grant.protected_only, "environment": grant.environment,
        })
    };
    json!({
        "id": role.id.braced(), "arn": role.arn.as_str(), "mode": role.mode.as_str(), "name": role.name,
        "region": role.region.as_ref().map(AwsRegion::as_str), "longest_session": role.longest_session,
        "grants": role.grants.iter().map(grant).collect::<Vec<_>>(),
    })
}

fn missing() -> Error {
    Error::not_found("the role")
}

/// A role, and by what its account knows the workspace.
fn found(
    reader: &mut store::Reader<'_>,
    workspace: WorkspaceId,
    id: AwsRoleId,
) -> Result<Option<(AwsRole, Option<String>)>> {
    let Some(role) = store::aws_role::find(reader, workspace, id)? else { return Ok(None) };
    let external_id = store::aws_role::external_id(reader, workspace, role.arn.account())?;
    Ok(Some((role, external_id)))
}

impl Service {
    /// Reads a role that somebody names; `found` is where its grants' repositories are.
    async fn aws_role_of(&self, ground: &Ground<Workspace>, new: NewAwsRole) -> Result<AwsRole> {
        let arn: RoleArn = new.arn.parse().map_err(|why| Error::invalid_field("arn", why))?;
        let mode: AwsMode = new.mode.parse().map_err(|why| Error::invalid_field("mode", why))?;
        let name = new.name.unwrap_or_else(|| arn.name().to_owned());
        let name: DisplayName = name.parse().map_err(|why| Error::invalid_field("name", why))?;
        let region = new.region.map(|text| text.parse::<AwsRegion>()).transpose();
        let longest_session = new.longest_session.unwrap_or(DEFAULT_SESSION);
        if !(bounds::SHORTEST_SESSION..=bounds::LONGEST_SESSION).contains(&longest_session) {
            let message = format!("use {} to {} seconds", bounds::SHORTEST_SESSION, bounds::LONGEST_SESSION);
            return Err(Error::invalid_field("longest_session", message));
        }
        let wanted = new.grants.unwrap_or_default();
        if wanted.len() > MOST_GRANTS {
            return Err(Error::invalid_field("grants", format!("a role has at most {MOST_GRANTS} grants")));
        }
        let mut grants = Vec::new();
        for grant in wanted {
            grants.push(self.aws_grant(ground, grant).await?);
        }
        Ok(AwsRole {
            id: AwsRoleId::new(&self.random),
            workspace: ground.subject.id,
            arn,
            mode,
            name,
            region: region.map_err(|why| Error::invalid_field("region", why))?,
            longest_session,
            grants,
            created_on: self.clock.now(),
        })
    }

    async fn aws_grant(&self, ground: &Ground<Workspace>, new: NewAwsGrant) -> Result<AwsGrant> {
        let repository = match new.repository.as_str() {
            "*" => None,
            name => {
                let unknown = || {
                    let message = format!(
                        "the workspace has no repository `{}`: use its slug, or `*` for all of them",
                        name.escape_debug()
                    );
                    Error::invalid_field("grants", message)
                };
                let path =
                    RepositoryPath::parse(ground.subject.slug.as_str(), name).map_err(|_| unknown())?;
                let workspace = ground.subject.id;
                let found = self
                    .store
                    .read(move |reader| {
                        store::repository::resolve(reader, path.workspace.as_ref(), &path.repository)
                    })
                    .await?;
                let found = found.filter(|found| found.workspace.id == workspace);
                Some(found.ok_or_else(unknown)?.repository.id)
            }
        };
        let refs = new.refs.map(|text| text.parse()).transpose();
        let environment = new.environment.filter(|name| !name.is_empty());
        if environment.as_ref().is_some_and(|name| name.chars().count() > LONGEST_ENVIRONMENT) {
            return Err(Error::invalid_field("grants", "an environment has a shorter name"));
        }
        Ok(AwsGrant {
            repository,
            refs: refs.map_err(|why: model::aws_role::BadRefPattern| Error::invalid_field("grants", why))?,
            protected_only: new.protected_only,
            environment,
        })
    }

    /// The external id by which the role's account knows the workspace; made where there is none.
    async fn aws_external_id(
        &self,
        permit: &policy::Permit<act::AwsRoleSet>,
        workspace: WorkspaceId,
        role: &RoleArn,
    ) -> Result<String> {
        let account = role.account().clone();
        let found =
            self.store.read(move |reader| store::aws_role::external_id(reader, workspace, &account)).await?;
        if let Some(found) = found {
            return Ok(found);
        }
        let (account, new) = (role.account().clone(), bounds::external_id(&self.random));
        self.store
            .write(permit, move |writer| {
                let (kept, added) = store::aws_role::keep_external_id(writer, workspace, &account, &new)?;
                if added {
                    let after = json!({ "account": account.as_str(), "external_id": kept });
                    writer.note(Value::Null, after);
                }
                Ok(kept)
            })
            .await
    }

    /// Of which repositories a workspace's tokens are trusted, and what they say.
    async fn aws_trusted_tokens(&self, role: &AwsRole) -> Result<Vec<TrustedTokens>> {
        let mut trusted = Vec::new();
        for grant in &role.grants {
            let refs = grant.refs.as_ref().map(|refs| refs.as_str().to_owned());
            let tokens = |subject, session_tags| TrustedTokens {
                subject,
                session_tags,
                refs,
                protected_only: grant.protected_only,
                environment: grant.environment.clone(),
            };
            let Some(id) = grant.repository else {
                let workspace = role.workspace;
                let above = self
                    .store
                    .read(move |reader| store::identity_token::of_workspace(reader, workspace))
                    .await?;
                // Each workspace is an issuer of its own.
                trusted.push(tokens("*".to_owned(), above.session_tags));
                continue;
            };
            let located: Option<Located> = self
                .store
                .read(move |reader| match store::repository::find(reader, id)? {
                    Some(found) if found.deleted_on.is_none() => store::repository::locate(reader, found),
                    _ => Ok(None),
                })
                .await?;
            let Some(located) = located.filter(|located| located.workspace.id == role.workspace) else {
                continue;
            };
            let (above, own) = self.identity_token_settings(role.workspace, id).await?;
            let template = kept_template(own.subject_template.or(above.subject_template).as_deref())?;
            let facts = sample_facts(&located);
            let subject = template.map_or_else(
                || pipeline::subject::default_pattern(&facts),
                |template| template.pattern(&facts),
            );
            trusted.push(tokens(subject, own.session_tags.unwrap_or(above.session_tags)));
        }
        Ok(trusted)
    }

    async fn aws_role_view(&self, role: AwsRole, external_id: Option<String>) -> Result<AwsRoleView> {
        let (server, setup) = match (role.mode, &external_id) {
            (AwsMode::AssumeRole, Some(external_id)) => {
                let server = self.sts.who(&self.clock).await;
                let trusted = Trusted::Server { principal: server.as_deref(), external_id };
                let setup = aws_trust::setup(&role.arn, role.longest_session, trusted);
                (server, setup)
            }
            (AwsMode::AssumeRole, None) => {
                return Err(Error::internal("a role of an account without an external id"));
            }
            (AwsMode::WebIdentity, _) => {
                let issuer = self.identity_token_issuer(role.workspace.uuid());
                let tokens = self.aws_trusted_tokens(&role).await?;
                let trusted = Trusted::Tokens { issuer: &issuer, tokens: &tokens };
                (None, aws_trust::setup(&role.arn, role.longest_session, trusted))
            }
        };
        let ids: Vec<_> = role.grants.iter().map(|grant| grant.repository).collect();
        let repositories = self
            .store
            .read(move |reader| {
                let mut slugs = Vec::new();
                for id in ids {
                    let found = id.map(|id| store::repository::find(reader, id)).transpose()?.flatten();
                    let found = found.filter(|found| found.deleted_on.is_none());
                    slugs.push(found.map(|found| found.slug.to_string()));
                }
                Ok(slugs)
            })
            .await?;
        Ok(AwsRoleView { proof: proof(role.mode), role, repositories, external_id, server, setup })
    }

    /// A workspace's roles.
    pub async fn aws_roles(&self, caller: &Caller, workspace: &str) -> Result<AwsRoles> {
        let ground = self.workspace_ground(caller, workspace).await?;
        self.check(caller, act::AwsRoleRead, &ground)?;
        let id = ground.subject.id;
        let found = self
            .store
            .read(move |reader| {
                let mut found = Vec::new();
                for role in store::aws_role::list(reader, id)? {
                    let external_id = store::aws_role::external_id(reader, id, role.arn.account())?;
                    found.push((role, external_id));
                }
                Ok(found)
            })
            .await?;
        let mut roles = Vec::new();
        for (role, external_id) in found {
            roles.push(self.aws_role_view(role, external_id).await?);
        }
        Ok(AwsRoles { roles })
    }

    /// What a role would be like, and how it is made at Amazon, without saving it. An external id is made where there is none:
    /// the role must trust it before it can be saved.
    pub async fn plan_aws_role(
        &self,
        caller: &Caller,
        workspace: &str,
        new: NewAwsRole,
    ) -> Result<AwsRoleView> {
        let ground = self.workspace_ground(caller, workspace).await?;
        let permit = self.permit(caller, act::AwsRoleSet, &ground)?;
        let role = self.aws_role_of(&ground, new).await?;
        let external_id = self.aws_external_id(&permit, ground.subject.id, &role.arn).await?;
        let mut view = self.aws_role_view(role, Some(external_id)).await?;
        view.proof = "nothing was saved and nothing proved";
        Ok(view)
    }

    /// Names a role.
    pub async fn create_aws_role(
        &self,
        caller: &Caller,
        workspace: &str,
        new: NewAwsRole,
    ) -> Result<AwsRoleView> {
        let ground = self.workspace_ground(caller, workspace).await?;
        let permit = self.permit(caller, act::AwsRoleSet, &ground)?;
        let role = self.aws_role_of(&ground, new).await?;
        let external_id = self.aws_external_id(&permit, ground.subject.id, &role.arn).await?;
        self.prove_aws_role(&ground.subject, &role, &external_id).await?;
        let made = role.clone();
        self.store
            .write(&permit, move |writer| {
                if store::aws_role::count(writer, made.workspace)? >= MOST {
                    return Err(Error::Conflict(format!("there are {MOST} roles here: remove one first")));
                }
                store::aws_role::insert(writer, &made)?;
                writer.note(Value::Null, shown(&made));
                Ok(())
            })
            .await?;
        self.aws_role_view(role, Some(external_id)).await
    }

    /// Changes a role, whole. It is proved anew.
    pub async fn update_aws_role(
        &self,
        caller: &Caller,
        workspace: &str,
        id: AwsRoleId,
        new: NewAwsRole,
    ) -> Result<AwsRoleView> {
        let ground = self.workspace_ground(caller, workspace).await?;
        let permit = self.permit(caller, act::AwsRoleSet, &ground)?;
        let of = ground.subject.id;
        let before = self.store.read(move |reader| store::aws_role::find(reader, of, id)).await?;
        let before = before.ok_or_else(missing)?;
        let keeps_grants = new.grants.is_none();
        let mut role = self.aws_role_of(&ground, new).await?;
        (role.id, role.created_on) = (before.id, before.created_on);
        let external_id = self.aws_external_id(&permit, of, &role.arn).await?;
        self.prove_aws_role(&ground.subject, &role, &external_id).await?;
        let mut changed = role.clone();
        let role = self
            .store
            .write(&permit, move |writer| {
                let before = store::aws_role::find(writer, of, id)?.ok_or_else(missing)?;
                if keeps_grants {
                    changed.grants.clone_from(&before.grants);
                }
                store::aws_role::update(writer, &changed)?;
                writer.note(shown(&before), shown(&changed));
                Ok(changed.clone())
            })
            .await?;
        self.aws_role_view(role, Some(external_id)).await
    }

    /// Removes a role. The external id stays as it is.
    pub async fn remove_aws_role(&self, caller: &Caller, workspace: &str, id: AwsRoleId) -> Result<()> {
        let ground = self.workspace_ground(caller, workspace).await?;
        let permit = self.permit(caller, act::AwsRoleRemove, &ground)?;
        let of = ground.subject.id;
        self.store
            .write(&permit, move |writer| {
                let before = store::aws_role::find(writer, of, id)?.ok_or_else(missing)?;
                store::aws_role::remove(writer, id)?;
                writer.note(shown(&before), Value::Null);
                Ok(())
            })
            .await
    }

    /// Proves that a role that the server takes on is given with the workspace's external id alone. A role that anybody's
    /// workspace could have the server take on is not saved.
    async fn prove_aws_role(&self, workspace: &Workspace, role: &AwsRole, external_id: &str) -> Result<()> {
        if role.mode == AwsMode::WebIdentity {
            return Ok(());
        }
        let refused = |message: String| Err(Error::invalid_field("arn", message));
        let chained = match self.sts.is_chained().await {
            Ok(chained) => chained,
            Err(failed) => return refused(failed.to_string()),
        };
        let tags = vec![
            ("workspace", workspace.slug.to_string()),
            ("workspace_id", workspace.id.uuid().to_string()),
        ];
        let session = format!("{}.proof", workspace.slug);
        let session: String = session.chars().rev().take(64).collect::<String>().chars().rev().collect();
        let right = Asked {
            role: role.arn.as_str(),
            region: role.region.as_ref(),
            session: &session,
            external_id: Some(external_id),
            duration: access::capped(role.longest_session, chained),
            tags: &tags,
        };
        if let Err(failed) = self.sts.assume(&right).await {
            return refused(format!(
                "the role was not given with the right external id ({failed}): let its trust policy allow \
                 `sts:AssumeRole` where `sts:ExternalId` equals `{external_id}`, and `sts:TagSession`, for the server's \
                 identity, and let the server's identity take it on"
            ));
        }
        let wrong = bounds::external_id(&self.random);
        for (how, external_id) in
            [("without an external id", None), ("with a wrong external id", Some(&wrong))]
        {
            // Asks for as little as can be asked for, so that nothing but the external id can be why it is refused.
            let asked = Asked {
                external_id: external_id.map(String::as_str),
                duration: bounds::SHORTEST_SESSION,
                tags: &[],
                ..right
            };
            match self.sts.assume(&asked).await {
                Err(Failed::Refused(why)) if why.is_denied() => {}
                Ok(_) => {
                    return refused(format!(
                        "the role was given {how}, so that anybody else whom this server serves could have it too: add to \
                         each statement of its trust policy that allows `sts:AssumeRole` the condition that \
                         `sts:ExternalId` equals (`StringEquals`) the external id of this workspace"
                    ));
                }
                Err(failed) => {
                    return refused(format!(
                        "whether the role is refused {how} could not be found out ({failed}): try again"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// The workspace, as who changes its roles.
fn place(workspace: &str) -> String {
    format!("an administrator of the workspace `{workspace}` can change that (cloud roles)")
}

/// A repository in the audit trail.
fn target(facts: &pipeline::identity::IdentityFacts) -> policy::Target {
    policy::Target {
        resource: Resource::Repository(model::RepositoryId::from_uuid(facts.repository.uuid)),
        label: format!("repository:{}", facts.full_name()),
        workspace: Some(WorkspaceId::from_uuid(facts.workspace.uuid)),
    }
}
