//! The one enforcement point: a name becomes a resource with its facts, the access model decides, and a refusal
//! becomes the error that this caller may see.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::{
    Act, Action, Credential, Error, GuardrailMode, Holder, Project, Resource, ResourceKind, Result, Subject,
    Timestamp, User, UserId, Workspace, WorkspaceId,
};
use policy::{
    Decision, GrantFact, InternalReason, Origin, Permit, PrincipalFacts, Question, Reason, ResourceFacts,
    Target,
};
use store::Reader;
use store::project::ProjectName;
use store::repository::{Located, RepositoryName};
use store::workspace::WorkspaceName;

use crate::guard::Guard;
use crate::{Caller, Identity, Service};

/// A resource, as found for one caller: with its facts and the grants that this caller holds along its chain.
#[derive(Clone, Debug)]
pub(crate) struct Ground<T> {
    pub(crate) subject: T,
    pub(crate) facts: ResourceFacts,
    pub(crate) grants: Vec<GrantFact>,
    pub(crate) guard: Arc<Guard>,
    /// Until when break-glass is in force here for this caller, where it is.
    pub(crate) break_glass: Option<Timestamp>,
    pub(crate) target: Target,
}

impl<T> Ground<T> {
    /// Who asks, with break-glass where it is in force.
    pub(crate) fn principal(&self, facts: PrincipalFacts, now: Timestamp) -> PrincipalFacts {
        let in_force = self.break_glass.filter(|until| now < *until);
        facts.with_break_glass(in_force.and(self.facts.workspace()))
    }
}

/// How a request names a repository: the contract lets an id stand alone, with empty braces for the workspace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RepositoryPath {
    /// The workspace; none where the id alone is given.
    pub workspace: Option<WorkspaceName>,
    /// The repository in it.
    pub repository: RepositoryName,
}

impl RepositoryPath {
    /// Reads the two path segments. What cannot be a name does not exist.
    pub fn parse(workspace: &str, repository: &str) -> Result<Self> {
        let missing = || unknown(ResourceKind::Repository);
        let repository = match repository.starts_with('{') {
            true => RepositoryName::Id(repository.parse().map_err(|_| missing())?),
            false => RepositoryName::Slug(repository.parse().map_err(|_| missing())?),
        };
        let workspace = match workspace {
            "{}" => None,
            text => Some(workspace_name(text).ok_or_else(missing)?),
        };
        Ok(Self { workspace, repository })
    }
}

/// What a request names, by the names it uses.
pub enum Named<'a> {
    /// This installation.
    Instance,
    /// The caller's own account.
    Caller,
    /// A user, by username or id.
    User(&'a str),
    /// A workspace, by slug or id.
    Workspace(&'a str),
    /// A project, by its workspace and key or id.
    Project(&'a str, &'a str),
    /// A repository.
    Repository(RepositoryPath),
}

/// The reason for turning away a kind of credential, beside the policies' own.
pub(crate) const CREDENTIAL_KIND: &str = "credential-kind";

/// Reads a path segment that names a workspace.
#[must_use]
pub(crate) fn workspace_name(text: &str) -> Option<WorkspaceName> {
    match text.starts_with('{') {
        true => text.parse().ok().map(WorkspaceName::Id),
        false => text.parse().ok().map(WorkspaceName::Slug),
    }
}

/// Reads a path segment that names a project.
#[must_use]
pub fn project_name(text: &str) -> Option<ProjectName> {
    match text.starts_with('{') {
        true => text.parse().ok().map(ProjectName::Id),
        false => text.parse().ok().map(ProjectName::Key),
    }
}

pub(crate) fn repository_facts(located: &Located) -> ResourceFacts {
    ResourceFacts::Repository {
        id: located.repository.id,
        project: located.project.id,
        workspace: located.workspace.id,
        private: located.repository.private,
    }
}

pub(crate) fn repository_target(located: &Located) -> Target {
    Target {
        resource: Resource::Repository(located.repository.id),
        label: format!("repository:{}/{}", located.workspace.slug, located.repository.slug),
        workspace: Some(located.workspace.id),
    }
}

pub(crate) fn project_target(workspace: &Workspace, project: &Project) -> Target {
    Target {
        resource: Resource::Project(project.id),
        label: format!("project:{}/{}", workspace.slug, project.key),
        workspace: Some(workspace.id),
    }
}

pub(crate) fn workspace_target(workspace: &Workspace) -> Target {
    Target {
        resource: Resource::Workspace(workspace.id),
        label: format!("workspace:{}", workspace.slug),
        workspace: Some(workspace.id),
    }
}

pub(crate) fn user_target(user: &User) -> Target {
    Target { resource: Resource::User(user.id), label: format!("user:{}", user.username), workspace: None }
}

pub(crate) fn credential_label(credential: &Credential) -> String {
    format!("{}:{}", credential.kind.name(), credential.id.braced())
}

fn grants(reader: &mut Reader<'_>, user: Option<UserId>, chain: &[uuid::Uuid]) -> Result<Vec<GrantFact>> {
    match user {
        Some(user) => store::grant::held_by(reader, user, chain),
        None => Ok(Vec::new()),
    }
}

fn break_glass(
    reader: &mut Reader<'_>,
    user: Option<UserId>,
    workspace: WorkspaceId,
) -> Result<Option<Timestamp>> {
    match user {
        Some(user) => store::break_glass::until(reader, user, workspace),
        None => Ok(None),
    }
}

/// A located repository as ground for a user, or for somebody without grants.
pub(crate) fn repository_ground(
    service: &Service,
    reader: &mut Reader<'_>,
    located: Located,
    user: Option<UserId>,
) -> Result<Ground<Located>> {
    let chain = [located.repository.id.uuid(), located.project.id.uuid(), located.workspace.id.uuid()];
    let grants = grants(reader, user, &chain)?;
    Ok(Ground {
        guard: service.guard(reader, located.workspace.id)?,
        break_glass: break_glass(reader, user, located.workspace.id)?,
        facts: repository_facts(&located),
        target: repository_target(&located),
        grants,
        subject: located,
    })
}

/// A project and its workspace as ground.
pub(crate) fn project_ground(
    service: &Service,
    reader: &mut Reader<'_>,
    workspace: Workspace,
    project: Project,
    user: Option<UserId>,
) -> Result<Ground<(Workspace, Project)>> {
    let grants = grants(reader, user, &[project.id.uuid(), workspace.id.uuid()])?;
    let facts = ResourceFacts::Project { id: project.id, workspace: workspace.id, private: project.private };
    let guard = service.guard(reader, workspace.id)?;
    let target = project_target(&workspace, &project);
    let break_glass = break_glass(reader, user, workspace.id)?;
    Ok(Ground { facts, target, grants, guard, break_glass, subject: (workspace, project) })
}

/// A workspace as ground.
pub(crate) fn workspace_ground(
    service: &Service,
    reader: &mut Reader<'_>,
    workspace: Workspace,
    user: Option<UserId>,
) -> Result<Ground<Workspace>> {
    let grants = grants(reader, user, &[workspace.id.uuid()])?;
    let facts = ResourceFacts::Workspace { id: workspace.id };
    let guard = service.guard(reader, workspace.id)?;
    let break_glass = break_glass(reader, user, workspace.id)?;
    Ok(Ground { facts, target: workspace_target(&workspace), grants, guard, break_glass, subject: workspace })
}

/// The one answer for what does not exist and for what this caller may not know of.
pub(crate) fn unknown(kind: ResourceKind) -> Error {
    Error::not_found(format!("the {}", kind.as_str()))
}

impl Service {
    /// Nothing of this name exists: said, and for strangers counted, as if it did but were hidden.
    pub(crate) fn missing(&self, caller: &Caller, kind: ResourceKind) -> Error {
        if caller.is_anonymous() {
            self.count_stranger(caller);
        }
        unknown(kind)
    }

    /// Turns away a credential of a kind that the operation does not take, and one that lacks a scope, before any name
    /// is looked up: the answer must not depend on what exists. `label` is what was asked for, in the request's own
    /// words.
    pub fn admit(&self, caller: &Caller, takes_kind: bool, action: Action, label: &str) -> Result<()> {
        let (reason, error) = match (takes_kind, caller.lacks_scopes()) {
            (true, false) => return Ok(()),
            (true, true) => (Reason::SCOPES, scope_missing(caller)),
            (false, _) => {
                let text = "this call does not admit this kind of credential: docs/access-matrix.txt tells which it does";
                (CREDENTIAL_KIND, Error::forbidden(text))
            }
        };
        let target = Target { resource: Resource::Instance, label: label.to_owned(), workspace: None };
        // Nothing was looked up, so the call belongs to no workspace; but an access token does, whose owners want to know.
        let home = caller.credential().and_then(|credential| match credential.holder {
            Holder::Resource(_, workspace) => Some(workspace),
            Holder::User(_) => None,
        });
        let counted = Target { workspace: home, ..target.clone() };
        self.count(caller, action, &counted, model::Outcome::Refused);
        self.record_refusal(caller, action, &target, vec![reason.to_owned()]);
        Err(error)
    }

    /// Whether the caller may carry out an action on what a request names, for operations that do nothing yet but must
    /// refuse as they will.
    pub async fn ask(&self, caller: &Caller, action: Action, on: Named<'_>) -> Result<()> {
        match on {
            Named::Instance => self.judge(caller, action, &self.instance_ground()),
            Named::Caller => {
                let user = caller.as_user().ok_or(Error::Unauthenticated)?;
                self.judge(caller, action, &self.user_ground(User::clone(user)))
            }
            Named::User(name) => self.judge(caller, action, &self.find_user(caller, name).await?),
            Named::Workspace(name) => self.judge(caller, action, &self.workspace_ground(caller, name).await?),
            Named::Project(workspace, project) => {
                self.judge(caller, action, &self.project_ground(caller, workspace, project).await?)
            }
            Named::Repository(path) => {
                self.judge(caller, action, self.repository_ground(caller, &path).await?.as_ref())
            }
        }
    }

    /// Whether the caller may carry out an action, without a record: for what is offered, never for what is done.
    pub async fn may(&self, caller: &Caller, action: Action, on: Named<'_>) -> bool {
        self.may_each(caller, &[action], on).await == [true]
    }

    /// The same for several actions on one resource, in their order.
    pub async fn may_each(&self, caller: &Caller, actions: &[Action], on: Named<'_>) -> Vec<bool> {
        let asked = match on {
            Named::Workspace(name) => self
                .workspace_ground(caller, name)
                .await
                .map(|ground| self.decide_each(caller, actions, &ground)),
            Named::Project(workspace, project) => {
                let found = self.project_ground(caller, workspace, project).await;
                found.map(|ground| self.decide_each(caller, actions, &ground))
            }
            Named::Repository(path) => {
                let found = self.repository_ground(caller, &path).await;
                found.map(|ground| self.decide_each(caller, actions, ground.as_ref()))
            }
            Named::Instance => Ok(self.decide_each(caller, actions, &self.instance_ground())),
            Named::Caller | Named::User(_) => Ok(Vec::new()),
        };
        asked.ok().filter(|asked| !asked.is_empty()).unwrap_or_else(|| vec![false; actions.len()])
    }

    fn decide_each<T>(&self, caller: &Caller, actions: &[Action], ground: &Ground<T>) -> Vec<bool> {
        actions.iter().map(|action| self.decide(caller, *action, ground).allowed).collect()
    }

    fn judge<T>(&self, caller: &Caller, action: Action, ground: &Ground<T>) -> Result<()> {
        let decision = self.decide(caller, action, ground);
        if decision.allowed { Ok(()) } else { Err(self.refuse(caller, action, ground, &decision)) }
    }

    /// Under what the facts about a repository are kept: the generation of access, and how often anything else about
    /// one has changed. Both only rise, so their sum stands still exactly when neither has moved.
    fn facts_generation(&self) -> Option<u64> {
        let touched = self.touched.load(Ordering::SeqCst);
        self.store.generation().map(|generation| generation.saturating_add(touched))
    }

    /// Lets nobody be told what a repository was like before something about it was committed.
    pub(crate) fn touch(&self) {
        self.touched.fetch_add(1, Ordering::SeqCst);
    }

    /// The repository of this name, whether or not the caller may know of it: only [`Service::permit`] and
    /// [`Service::check`] turn it into an answer.
    pub(crate) async fn repository_ground(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
    ) -> Result<Arc<Ground<Located>>> {
        let user = caller.as_user().map(|user| user.id);
        let generation = self.facts_generation();
        let key = (user, path.clone());
        if let Some(found) = generation.and_then(|generation| self.grounds.get(generation, &key)) {
            return Ok(found);
        }
        let (path, service) = (path.clone(), self.clone());
        let found = self
            .store
            .read(move |reader| {
                match store::repository::resolve(reader, path.workspace.as_ref(), &path.repository)? {
                    Some(located) => repository_ground(&service, reader, located, user).map(Some),
                    None => Ok(None),
                }
            })
            .await?;
        let Some(found) = found else {
            return Err(self.missing(caller, ResourceKind::Repository));
        };
        let found = Arc::new(found);
        if let Some(generation) = generation {
            self.grounds.put(generation, key, Arc::clone(&found));
        }
        Ok(found)
    }

    pub(crate) async fn project_ground(
        &self,
        caller: &Caller,
        workspace: &str,
        project: &str,
    ) -> Result<Ground<(Workspace, Project)>> {
        let missing = || self.missing(caller, ResourceKind::Project);
        let workspace_name = workspace_name(workspace).ok_or_else(missing)?;
        let project_name = project_name(project).ok_or_else(missing)?;
        let user = caller.as_user().map(|user| user.id);
        let service = self.clone();
        let found = self
            .store
            .read(move |reader| {
                let Some(workspace) = store::workspace::resolve(reader, &workspace_name)? else {
                    return Ok(None);
                };
                let Some(project) = store::project::resolve(reader, workspace.id, &project_name)? else {
                    return Ok(None);
                };
                project_ground(&service, reader, workspace, project, user).map(Some)
            })
            .await?;
        found.ok_or_else(missing)
    }

    pub(crate) async fn workspace_ground(
        &self,
        caller: &Caller,
        workspace: &str,
    ) -> Result<Ground<Workspace>> {
        let missing = || self.missing(caller, ResourceKind::Workspace);
        let name = workspace_name(workspace).ok_or_else(missing)?;
        let user = caller.as_user().map(|user| user.id);
        let service = self.clone();
        let found = self
            .store
            .read(move |reader| match store::workspace::resolve(reader, &name)? {
                Some(workspace) => workspace_ground(&service, reader, workspace, user).map(Some),
                None => Ok(None),
            })
            .await?;
        found.ok_or_else(missing)
    }

    pub(crate) fn user_ground(&self, user: User) -> Ground<User> {
        Ground {
            facts: ResourceFacts::User { id: user.id },
            grants: Vec::new(),
            guard: self.guards.none(),
            break_glass: None,
            target: user_target(&user),
            subject: user,
        }
    }

    pub(crate) fn instance_ground(&self) -> Ground<()> {
        let target = Target { resource: Resource::Instance, label: "instance".to_owned(), workspace: None };
        Ground {
            subject: (),
            facts: ResourceFacts::Instance,
            grants: Vec::new(),
            guard: self.guards.none(),
            break_glass: None,
            target,
        }
    }

    /// What the access model says, without consequences.
    pub(crate) fn decide<T>(&self, caller: &Caller, action: Action, ground: &Ground<T>) -> Decision {
        let principal = ground.principal(caller.facts(), self.clock.now());
        self.model.decide(&question(caller, &principal, action, ground))
    }

    /// Lets a read through, or says why not.
    pub(crate) fn check<A: Act, T>(&self, caller: &Caller, _action: A, ground: &Ground<T>) -> Result<()> {
        let decision = self.decide(caller, A::ACTION, ground);
        if !decision.allowed {
            return Err(self.refuse(caller, A::ACTION, ground, &decision));
        }
        self.count(caller, A::ACTION, &ground.target, model::Outcome::Done);
        self.report(caller, A::ACTION, ground);
        self.record_if_opened(caller, A::ACTION, ground, &decision);
        Ok(())
    }

    /// A permit for a write, or the reason why not.
    pub(crate) fn permit<A: Act, T>(
        &self,
        caller: &Caller,
        _action: A,
        ground: &Ground<T>,
    ) -> Result<Permit<A>> {
        let principal = ground.principal(caller.facts(), self.clock.now());
        let question = question(caller, &principal, A::ACTION, ground);
        match self.model.permit::<A>(&question, self.origin(caller), ground.target.clone()) {
            Ok(permit) => {
                if wants_step_up(A::ACTION) {
                    self.must_have_stepped_up(caller)?;
                }
                self.count(caller, A::ACTION, &ground.target, model::Outcome::Done);
                self.report(caller, A::ACTION, ground);
                Ok(permit)
            }
            Err(decision) => Err(self.refuse(caller, A::ACTION, ground, &decision)),
        }
    }

    /// A permit for what Bastide does by itself, for one of the listed reasons.
    pub(crate) fn internal<A: Act>(
        &self,
        reason: InternalReason,
        request: &Caller,
        target: Target,
    ) -> Permit<A> {
        let origin = Origin {
            request_id: request.request_id,
            time: self.clock.now(),
            actor: "system".to_owned(),
            actor_id: None,
            credential: None,
            address: None,
        };
        Permit::internal(reason, origin, target)
    }

    pub(crate) fn origin(&self, caller: &Caller) -> Origin {
        let actor_id = match &caller.identity {
            Identity::User(user) => Some(user.id.to_string()),
            Identity::AccessToken(token) => Some(token.id.to_string()),
            Identity::Runner(runner) => Some(runner.id.to_string()),
            Identity::Anonymous | Identity::Operator => None,
        };
        Origin {
            request_id: caller.request_id,
            time: self.clock.now(),
            actor: caller.label(),
            actor_id,
            credential: caller.means(),
            address: caller.address,
        }
    }

    /// The error that this caller may see, and the record of the refusal.
    ///
    /// Who lacks a scope is told which. Who may see the resource is told which rule refused. To everybody else it does
    /// not exist.
    pub(crate) fn refuse<T>(
        &self,
        caller: &Caller,
        action: Action,
        ground: &Ground<T>,
        decision: &Decision,
    ) -> Error {
        self.count(caller, action, &ground.target, model::Outcome::Refused);
        self.record_refusal(caller, action, &ground.target, decision.policies());
        if caller.lacks_scopes() {
            return scope_missing(caller);
        }
        let sight = match ground.target.resource {
            Resource::Repository(_) => Some(Action::RepositoryRead),
            Resource::Project(_) => Some(Action::ProjectRead),
            Resource::Workspace(_) => Some(Action::WorkspaceRead),
            // An account's existence is no secret to who is signed in, and the instance's is to nobody.
            Resource::User(_) | Resource::Instance => None,
        };
        if let Some(error) = self.guardrail_refusal(caller, action, ground, decision, sight) {
            return error;
        }
        let seen = sight.is_none_or(|read| read != action && self.decide(caller, read, ground).allowed);
        if !seen {
            return unknown(ground.target.resource.kind());
        }
        if caller.is_anonymous() {
            return Error::Unauthenticated;
        }
        let because =
            decision.reasons.iter().map(|reason| reason.text.as_str()).collect::<Vec<_>>().join(" ");
        Error::Forbidden {
            message: format!("`{action}` on `{}` is refused: {because}", ground.target.label),
            reasons: decision.policies(),
        }
    }
}

/// What a session may do only a short while after its owner has proved who they are: a browser that was left alone, or
/// a cookie that was taken, must not be enough. Credentials with wide scopes join these where they are made.
fn wants_step_up(action: Action) -> bool {
    matches!(
        action,
        Action::UserCreate
            | Action::UserUpdate
            | Action::UserApprove
            | Action::UserResetLink
            | Action::UserDelete
            | Action::GuardrailUpdate
            | Action::IdentityProviderUpdate
            | Action::AuditSinkUpdate
            | Action::AwsKeyUpdate
            | Action::IdentityConnect
            | Action::IdentityDisconnect
            | Action::BreakGlassRequest
            | Action::BreakGlassApprove
            | Action::WorkspaceDelete
            | Action::ProjectDelete
            | Action::RepositoryDelete
            | Action::PasswordChange
            | Action::SecondStepEnrol
            | Action::SecondStepRemove
            | Action::RecoveryCodesCreate
    )
}

/// What a caller is told whose credential lacks a scope.
pub(crate) fn scope_missing(caller: &Caller) -> Error {
    let granted = caller.credential.as_ref().map(|credential| credential.scopes.names()).unwrap_or_default();
    Error::ScopeMissing { granted, required: caller.required.names() }
}

pub(crate) fn question<'a, T>(
    caller: &Caller,
    principal: &'a PrincipalFacts,
    action: Action,
    ground: &'a Ground<T>,
) -> Question<'a> {
    Question {
        action,
        principal,
        resource: &ground.facts,
        grants: &ground.grants,
        held: caller.held,
        required: caller.required,
        credential: caller.credential_kind(),
        guardrails: ground.guard.facts(caller, GuardrailMode::On),
    }
}

/// A subject's own word for the audit trail.
pub(crate) fn subject_label(subject: Subject, name: &str) -> String {
    format!("{}:{name}", subject.kind())
}
