//! "Who can do this, and why?": exact answers, from the same facts and policies that decide.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{
    Action, Credential, CredentialId, Error, GroupId, GroupSlug, GuardrailMode, Holder, Resource,
    ResourceKind, Result, ScopeSet, Subject, User, UserId, Username, WorkspaceId, act,
};
use policy::{Decision, GrantFact, Guardrails, PrincipalFacts, Question};
use store::Reader;
use store::repository::Located;
use uuid::Uuid;

use crate::access::{Ground, RepositoryPath, repository_facts, unknown};
use crate::{Caller, RequiredScopes, Service};

/// An answer about one principal.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Allowed or not, by which policies.
    pub decision: Decision,
    /// The path of the permission, in sentences from the principal to the resource; empty when it is denied.
    pub path: Vec<String>,
}

/// Somebody who can, and how.
#[derive(Clone, Debug)]
pub struct Able {
    /// As questions name principals: `user:ann`, `access-token:{uuid}`, `anonymous`.
    pub principal: String,
    /// The path of the permission.
    pub path: Vec<String>,
}

/// What is asked about, without what kind of thing it is.
pub(crate) struct Place {
    pub(crate) ground: Ground<()>,
    chain: Vec<Uuid>,
    pub(crate) names: BTreeMap<Uuid, String>,
}

/// Whom is asked about.
enum Asked {
    Anonymous,
    User(User),
    Group(GroupId, String),
    Token(Box<Credential>),
}

/// The same of what belongs to pipelines; nothing for what runners do, which hold no scopes.
fn pipeline_scopes(action: Action) -> (&'static str, &'static str) {
    match action {
        Action::CommitStatusSet | Action::ReportSet | Action::ReportRemove => {
            ("repository", "read:repository:bitbucket")
        }
        Action::PipelineRead
        | Action::PipelineRun
        | Action::PipelineCacheRead
        | Action::PipelineVariableRead => ("pipeline", "read:pipeline:bitbucket"),
        Action::PipelineSteer
        | Action::PipelineCacheRemove
        | Action::PipelineScheduleSet
        | Action::PipelineScheduleRemove
        | Action::DeploymentApprove => ("pipeline:write", "write:pipeline:bitbucket"),
        Action::PipelineRunOnDemand
        | Action::PipelineConfigure
        | Action::PipelineVariableSet
        | Action::PipelineVariableRemove
        | Action::DynamicPipelineRead
        | Action::DynamicPipelineSet
        | Action::EnvironmentSet
        | Action::EnvironmentRemove
        | Action::IdentityTokenRead
        | Action::IdentityTokenConfigure
        | Action::AwsRoleRead
        | Action::AwsRoleSet
        | Action::AwsRoleRemove => ("pipeline:variable", "admin:pipeline:bitbucket"),
        Action::AwsKeyRead | Action::AwsKeyUpdate => ("instance:admin", "instance:admin"),
        Action::RunnerRead => ("runner", "read:runner:bitbucket"),
        Action::RunnerSet | Action::RunnerRemove => ("runner:write", "write:runner:bitbucket"),
        Action::RunnerRegister | Action::StepClaim | Action::StepFinish | Action::IdentityTokenMint => {
            ("", "")
        }
        _ => ("", ""),
    }
}

/// The scopes with which an action is usually asked for: what a credential has to hold to be any use for it.
pub(crate) fn usual_scopes(action: Action) -> RequiredScopes {
    let (classic, flat) = match action {
        Action::RepositoryRead
        | Action::RepositoryClone
        | Action::RepositoryFork
        | Action::RepositoryForkOutside => ("repository", "read:repository:bitbucket"),
        Action::RepositoryWrite
        | Action::RepositoryPushIntent
        | Action::RepositoryPush
        | Action::RefCreate
        | Action::RefDelete
        | Action::CommitCreate => ("repository:write", "write:repository:bitbucket"),
        // By runners, which hold no scopes.
        Action::RunnerRegister
        | Action::StepClaim
        | Action::StepFinish
        | Action::IdentityTokenMint
        | Action::AwsRoleAssume => ("", ""),
        Action::RepositoryDelete => ("repository:delete", "delete:repository:bitbucket"),
        Action::RepositoryAdmin
        | Action::RepositoryUpdate
        | Action::RepositoryCreate
        | Action::RepositoryPublish
        | Action::BranchRestrictionRead
        | Action::BranchRestrictionSet
        | Action::BranchRestrictionRemove
        | Action::BranchingModelUpdate => ("repository:admin", "admin:repository:bitbucket"),
        Action::GrantList | Action::GrantSet | Action::GrantRemove => {
            ("repository:admin", "admin:repository:bitbucket")
        }
        Action::ProjectRead => ("project", "read:project:bitbucket"),
        Action::ProjectCreate
        | Action::ProjectAdmin
        | Action::ProjectUpdate
        | Action::ProjectPublish
        | Action::ProjectDelete => ("project:admin", "admin:project:bitbucket"),
        Action::WorkspaceRead | Action::MemberList | Action::GroupRead => {
            ("account", "read:workspace:bitbucket")
        }
        Action::AccountRead | Action::UserRead => ("account", "read:user:bitbucket"),
        Action::AccountUpdate => ("account:write", "write:user:bitbucket"),
        Action::CredentialList
        | Action::CredentialCreate
        | Action::CredentialRevoke
        | Action::PasswordChange
        | Action::PasswordReset
        | Action::SecondStepList
        | Action::SecondStepEnrol
        | Action::SecondStepRemove
        | Action::RecoveryCodesCreate
        | Action::IdentityConnect
        | Action::IdentityList
        | Action::IdentityDisconnect
        | Action::SessionList
        | Action::SessionCreate
        | Action::SessionUpdate
        | Action::SessionRevoke
        | Action::AccessTokenList
        | Action::AccessTokenCreate
        | Action::AccessTokenRevoke => ("credential:write", "credential:write"),
        Action::AccessRead => ("access:read", "access:read"),
        Action::AuditRead | Action::AlertRead | Action::AlertAcknowledge => ("audit:read", "audit:read"),
        Action::UserList
        | Action::UserCreate
        | Action::UserInspect
        | Action::UserUpdate
        | Action::UserApprove
        | Action::UserResetLink
        | Action::UserDelete
        | Action::BreakGlassRequest
        | Action::BreakGlassApprove
        | Action::Upkeep => ("instance:admin", "instance:admin"),
        Action::WorkspaceCreate
        | Action::WorkspaceAdmin
        | Action::WorkspaceUpdate
        | Action::WorkspaceDelete
        | Action::GuardrailRead
        | Action::GuardrailUpdate
        | Action::IdentityProviderRead
        | Action::IdentityProviderUpdate
        | Action::IdentityProviderSync
        | Action::CodeScanningRead
        | Action::CodeScanningConfigure
        | Action::AuditSinkRead
        | Action::AuditSinkUpdate
        | Action::BreakGlassRead
        | Action::BreakGlassEnd
        | Action::MemberSet
        | Action::MemberRemove
        | Action::GroupCreate
        | Action::GroupUpdate
        | Action::GroupDelete
        | Action::GroupMemberAdd
        | Action::GroupMemberRemove
        | Action::RepositoryTransfer
        | Action::RepositoryRestore => ("workspace:admin", "workspace:admin"),
        of_pipelines => pipeline_scopes(of_pipelines),
    };
    RequiredScopes { classic: classic.parse().unwrap_or_default(), flat: flat.parse().unwrap_or_default() }
}

fn facts_of(asked: &Asked) -> PrincipalFacts {
    match asked {
        // A group's own permission is that of a member who has nothing else.
        Asked::Anonymous => PrincipalFacts::Anonymous,
        Asked::Group(group, _) => PrincipalFacts::User {
            id: UserId::from_uuid(group.uuid()),
            active: true,
            approved: true,
            second_step: true,
            staff: model::StaffRole::None,
            break_glass: None,
        },
        Asked::User(user) => PrincipalFacts::User {
            id: user.id,
            active: user.active,
            approved: user.approved,
            second_step: user.second_step,
            staff: user.staff_role,
            break_glass: None,
        },
        Asked::Token(token) => match token.holder {
            Holder::Resource(bound_to, _) => PrincipalFacts::AccessToken { id: token.id, bound_to },
            Holder::User(_) => PrincipalFacts::Anonymous,
        },
    }
}

impl Service {
    /// Whether a principal may do something, by which policies, and by which path of grants.
    pub async fn explain(
        &self,
        caller: &Caller,
        principal: &str,
        action: Action,
        resource: &str,
    ) -> Result<Explanation> {
        let place = self.asked_place(caller, resource).await?;
        self.may_ask(caller, &place)?;
        let workspace = place.ground.target.workspace;
        let wanted = principal.to_owned();
        let chain = place.chain.clone();
        let (asked, grants, groups) = self
            .store
            .read(move |reader| {
                let asked = asked(reader, &wanted, workspace)?;
                let grants = grants_of(reader, &asked, &chain, workspace)?;
                let groups = match workspace {
                    Some(workspace) => store::group::list(reader, workspace)?,
                    None => Vec::new(),
                };
                Ok((asked, grants, groups))
            })
            .await?;
        let names = groups.into_iter().map(|group| (group.id, format!("group {}", group.slug))).collect();
        Ok(self.answer(&place, action, &asked, &grants, &names))
    }

    /// Everybody who can do something, and how: users, access tokens, and the public.
    pub async fn who_can(&self, caller: &Caller, action: Action, resource: &str) -> Result<Vec<Able>> {
        let place = self.asked_place(caller, resource).await?;
        self.may_ask(caller, &place)?;
        self.able(&place, action).await
    }

    /// The same for a resource by its id, once it is settled that the caller may know: for what else there is to be
    /// told, such as who can lift a refusal.
    pub(crate) async fn who_can_do(
        &self,
        caller: &Caller,
        action: Action,
        resource: &str,
    ) -> Result<Vec<Able>> {
        let place = self.asked_place(caller, resource).await?;
        self.able(&place, action).await
    }

    /// Whether a person may do something to a repository by what they are granted, whatever credential they use. Guardrails
    /// are asked of credentials and sessions, and not here.
    pub(crate) async fn person_may(&self, person: UserId, action: Action, located: &Located) -> Result<bool> {
        let chain = [located.repository.id.uuid(), located.project.id.uuid(), located.workspace.id.uuid()];
        let found = self
            .store
            .read(move |reader| {
                Ok((store::user::find(reader, person)?, store::grant::held_by(reader, person, &chain)?))
            })
            .await?;
        let (Some(user), grants) = found else { return Ok(false) };
        let principal = facts_of(&Asked::User(user));
        let question = Question {
            action,
            principal: &principal,
            resource: &repository_facts(located),
            grants: &grants,
            held: ScopeSet::everything(),
            required: usual_scopes(action).for_kind(None),
            credential: None,
            guardrails: Guardrails::NONE,
        };
        Ok(self.model.decide(&question).allowed)
    }

    async fn able(&self, place: &Place, action: Action) -> Result<Vec<Able>> {
        let Some(workspace) = place.ground.target.workspace else {
            return Err(Error::invalid_field("resource", "name a workspace, project or repository"));
        };
        let chain = place.chain.clone();
        let now = self.clock.now();
        let (all, groups) = self
            .store
            .read(move |reader| {
                let groups = store::group::list(reader, workspace)?;
                let mut all = vec![Asked::Anonymous];
                for user in users_on(reader, &chain, workspace)? {
                    all.push(Asked::User(user));
                }
                for token in store::credential::bound_to(reader, &chain, now)? {
                    all.push(Asked::Token(Box::new(token)));
                }
                let mut with = Vec::with_capacity(all.len());
                for asked in all {
                    let held = grants_of(reader, &asked, &chain, Some(workspace))?;
                    with.push((asked, held));
                }
                Ok((with, groups))
            })
            .await?;
        let names = groups.into_iter().map(|group| (group.id, format!("group {}", group.slug))).collect();
        Ok(all
            .iter()
            .filter_map(|(asked, held)| {
                let answer = self.answer(place, action, asked, held, &names);
                answer.decision.allowed.then(|| Able { principal: label(asked), path: answer.path })
            })
            .collect())
    }

    /// Questions about a resource are for those who administer it; about the instance, for those who run it.
    fn may_ask(&self, caller: &Caller, place: &Place) -> Result<()> {
        match place.ground.target.resource.kind() {
            ResourceKind::Workspace | ResourceKind::Project | ResourceKind::Repository => {
                self.check(caller, act::AccessRead, &place.ground)
            }
            ResourceKind::Instance | ResourceKind::User => {
                self.check(caller, act::UserList, &self.instance_ground())
            }
        }
    }

    fn answer(
        &self,
        place: &Place,
        action: Action,
        asked: &Asked,
        has: &Held,
        groups: &BTreeMap<GroupId, String>,
    ) -> Explanation {
        let principal = facts_of(asked).with_break_glass(has.break_glass);
        let (held, credential) = match asked {
            Asked::Token(token) => (token.scopes.closed(), Some(token.kind)),
            // A person's scopes are their credential's; the question is about the person.
            _ => (ScopeSet::everything(), None),
        };
        let required = match asked {
            Asked::Anonymous => ScopeSet::NONE,
            _ => usual_scopes(action).for_kind(credential),
        };
        let token = match asked {
            Asked::Token(token) => Some(token.as_ref()),
            _ => None,
        };
        let question = Question {
            action,
            principal: &principal,
            resource: &place.ground.facts,
            grants: &has.grants,
            held,
            required,
            credential,
            guardrails: place.ground.guard.facts_about(token, GuardrailMode::On),
        };
        let decision = self.model.decide(&question);
        let group = |id: GroupId| groups.get(&id).cloned().unwrap_or_else(|| format!("group {id}"));
        let resource = |resource: Resource| {
            place.names.get(&resource.uuid()).cloned().unwrap_or_else(|| resource.kind().as_str().to_owned())
        };
        let name = label(asked).replacen(':', " ", 1);
        let labels = policy::explain::Labels { principal: &name, group: &group, resource: &resource };
        let path = policy::explain::path(&self.model, &question, &labels);
        Explanation { decision, path }
    }

    /// Reads `repository:acme/one`, `project:acme/CORE`, `workspace:acme`, `user:ann`, `instance`.
    pub(crate) async fn asked_place(&self, caller: &Caller, text: &str) -> Result<Place> {
        let odd = || {
            Error::invalid_field(
                "resource",
                "write `repository:acme/one`, `project:acme/CORE`, `workspace:acme`, `user:ann` or `instance`",
            )
        };
        let (kind, name) = text.split_once(':').unwrap_or((text, ""));
        match ResourceKind::parse(kind).ok_or_else(odd)? {
            ResourceKind::Repository => {
                let (workspace, slug) = name.split_once('/').ok_or_else(odd)?;
                let ground = self.repository_ground(caller, &RepositoryPath::parse(workspace, slug)?).await?;
                let at = &ground.subject;
                let chain = [
                    (at.repository.id.uuid(), format!("repository {}", at.repository.slug)),
                    (at.project.id.uuid(), format!("project {}", at.project.key)),
                    (at.workspace.id.uuid(), format!("workspace {}", at.workspace.slug)),
                ];
                Ok(place(&ground, &chain))
            }
            ResourceKind::Project => {
                let (workspace, key) = name.split_once('/').ok_or_else(odd)?;
                let ground = self.project_ground(caller, workspace, key).await?;
                let (workspace, project) = &ground.subject;
                let chain = [
                    (project.id.uuid(), format!("project {}", project.key)),
                    (workspace.id.uuid(), format!("workspace {}", workspace.slug)),
                ];
                Ok(place(&ground, &chain))
            }
            ResourceKind::Workspace => {
                let ground = self.workspace_ground(caller, name).await?;
                let chain = [(ground.subject.id.uuid(), format!("workspace {}", ground.subject.slug))];
                Ok(place(&ground, &chain))
            }
            ResourceKind::User => {
                let ground = self.find_user(caller, name).await?;
                let chain = [(ground.subject.id.uuid(), format!("user {}", ground.subject.username))];
                Ok(place(&ground, &chain))
            }
            ResourceKind::Instance if name.is_empty() => Ok(place(&self.instance_ground(), &[])),
            ResourceKind::Instance => Err(odd()),
        }
    }
}

fn place<T>(ground: &Ground<T>, chain: &[(Uuid, String)]) -> Place {
    Place {
        ground: Ground {
            subject: (),
            facts: ground.facts,
            grants: ground.grants.clone(),
            guard: Arc::clone(&ground.guard),
            break_glass: ground.break_glass,
            target: ground.target.clone(),
        },
        chain: chain.iter().map(|(id, _)| *id).collect(),
        names: chain.iter().cloned().collect(),
    }
}

/// Reads `user:ann`, `group:acme/devs`, `access-token:{uuid}`, `anonymous`.
fn asked(reader: &mut Reader<'_>, text: &str, within: Option<WorkspaceId>) -> Result<Asked> {
    let odd = || {
        Error::invalid_field(
            "principal",
            "write `user:ann`, `group:acme/devs`, `access-token:{uuid}` or `anonymous`",
        )
    };
    let (kind, name) = text.split_once(':').unwrap_or((text, ""));
    match kind {
        "anonymous" if name.is_empty() => Ok(Asked::Anonymous),
        "user" => {
            let user = match name.parse::<UserId>() {
                Ok(id) => store::user::find(reader, id)?,
                Err(_) => {
                    let username: Username = name.parse().map_err(|_| odd())?;
                    store::user::find_by_username(reader, &username)?
                }
            };
            user.map(Asked::User).ok_or_else(|| unknown(ResourceKind::User))
        }
        "group" => {
            let (workspace, slug) = name.split_once('/').ok_or_else(odd)?;
            let workspace = workspace.parse().map_err(|_| odd())?;
            let slug: GroupSlug = slug.parse().map_err(|_| odd())?;
            let missing = || Error::not_found("the group");
            let workspace =
                store::workspace::resolve(reader, &store::workspace::WorkspaceName::Slug(workspace))?
                    .ok_or_else(missing)?;
            // Whoever asks administers something in one workspace, which opens no other's groups.
            if within.is_some_and(|within| within != workspace.id) {
                return Err(missing());
            }
            let group = store::group::find(reader, workspace.id, &slug)?.ok_or_else(missing)?;
            Ok(Asked::Group(group.id, format!("group:{}/{}", workspace.slug, group.slug)))
        }
        "access-token" => {
            let id: CredentialId = name.parse().map_err(|_| odd())?;
            let token = store::credential::find(reader, id)?.filter(|token| token.kind.is_access_token());
            token.map(Box::new).map(Asked::Token).ok_or_else(|| Error::not_found("the access token"))
        }
        _ => Err(odd()),
    }
}

/// What somebody holds along a chain.
struct Held {
    grants: Vec<GrantFact>,
    /// The workspace, where break-glass is in force for them.
    break_glass: Option<WorkspaceId>,
}

fn grants_of(
    reader: &mut Reader<'_>,
    asked: &Asked,
    chain: &[Uuid],
    workspace: Option<WorkspaceId>,
) -> Result<Held> {
    let plain = |grants| Held { grants, break_glass: None };
    match (asked, workspace) {
        (Asked::User(user), Some(workspace)) => {
            let grants = store::grant::held_by(reader, user.id, chain)?;
            let until = store::break_glass::until(reader, user.id, workspace)?;
            Ok(Held { grants, break_glass: until.map(|_| workspace) })
        }
        (Asked::User(user), None) => store::grant::held_by(reader, user.id, chain).map(plain),
        (Asked::Group(group, _), _) => store::grant::held_by_group(reader, *group, chain).map(plain),
        (Asked::Anonymous | Asked::Token(_), _) => Ok(plain(Vec::new())),
    }
}

/// Every user with a grant somewhere along the chain, directly or through a group, or with break-glass in force.
fn users_on(reader: &mut Reader<'_>, chain: &[Uuid], workspace: WorkspaceId) -> Result<Vec<User>> {
    let mut ids: BTreeSet<UserId> = store::break_glass::holders(reader, workspace)?.into_iter().collect();
    for subject in store::grant::subjects_on(reader, chain)? {
        match subject {
            Subject::User(id) => {
                ids.insert(id);
            }
            Subject::Group(group) => {
                ids.extend(store::group::members(reader, group)?.into_iter().map(|user| user.id))
            }
        }
    }
    let mut users = Vec::with_capacity(ids.len());
    for id in ids {
        users.extend(store::user::find(reader, id)?);
    }
    users.sort_by(|one, two| one.username.cmp(&two.username));
    Ok(users)
}

fn label(asked: &Asked) -> String {
    match asked {
        Asked::Anonymous => "anonymous".to_owned(),
        Asked::User(user) => format!("user:{}", user.username),
        Asked::Group(_, label) => label.clone(),
        Asked::Token(token) => format!("access-token:{}", token.id.braced()),
    }
}
