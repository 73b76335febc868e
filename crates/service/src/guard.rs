//! What guardrails hold where, ready to be asked: read with the facts about a resource, in the same transaction, and
//! put together with what is known of the one who asks. The use cases of guardrails themselves are in `guardrail`.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use model::{
    Action, Credential, GuardrailKind, GuardrailMode, Guardrails, Holder, Permission, Project, ProjectId,
    RepositoryId, Result, ScopeSet, SignInMethod, Workspace, WorkspaceId, WorkspacePermission,
};
use policy::{AccessModel, EntryKinds, GrantFact, OwnRules, Question, ResourceFacts};
use store::Reader;
use store::guardrail::Settings;
use store::repository::{ListRequest, Located};
use store::visibility::Closed;

use crate::access::{project_ground, repository_ground};
use crate::{Caller, Identity, Listing, Service};

/// More workspaces' guardrails than this are not kept ready; a full memory starts anew.
const MOST: usize = 10_000;

/// The guardrails of one workspace and those of the instance below them.
pub(crate) struct Guard {
    /// Where they hold; none for what the instance has set.
    workspace: Option<WorkspaceId>,
    /// What the instance has set.
    pub(crate) floor: Guardrails,
    /// What the workspace has set.
    pub(crate) own: Guardrails,
    /// The workspace's own rules that hold, and those with the ones that only report.
    rules: Option<OwnRules>,
    reported: Option<OwnRules>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("floor", &self.floor).field("own", &self.own).finish_non_exhaustive()
    }
}

/// The life of a credential in whole days, from its making to its end.
pub(crate) fn life_days(credential: &Credential) -> Option<i64> {
    let end = credential.expires_on?;
    Some(end.seconds().saturating_sub(credential.created_on.seconds()).div_euclid(86_400))
}

impl Guard {
    /// Guardrails as they are set. A rule that can no longer be read refuses everything but being mended: it was made
    /// to refuse, and nobody knows any more what.
    pub(crate) fn new(
        model: &AccessModel,
        workspace: Option<WorkspaceId>,
        floor: Guardrails,
        own: Guardrails,
    ) -> Result<Self> {
        let rules = |at_least: GuardrailMode| {
            let meant = own.own_rules.iter().filter(|rule| rule.mode >= at_least);
            let mut checked = Vec::new();
            for rule in meant {
                match model.own_rule(&rule.name, &rule.description, &rule.policy) {
                    Ok(rule) => checked.push(rule),
                    Err(error) => {
                        tracing::error!(rule = rule.name, %error, "a workspace's own rule cannot be read any more");
                        let text =
                            "This rule cannot be read any more: until it is changed, nothing is let through.";
                        checked.push(model.own_rule(&rule.name, text, UNREADABLE)?);
                    }
                }
            }
            if checked.is_empty() { Ok(None) } else { OwnRules::new(checked).map(Some) }
        };
        let (holding, reported) = (rules(GuardrailMode::On)?, rules(GuardrailMode::Report)?);
        Ok(Self { workspace, floor, own, rules: holding, reported })
    }

    /// Whether anything would be refused that is not.
    pub(crate) fn reports(&self) -> bool {
        self.floor.any(GuardrailMode::Report) || self.own.any(GuardrailMode::Report)
    }

    /// Whether there are rules of the workspace's own that hold: then lists ask row by row.
    pub(crate) fn has_rules(&self) -> bool {
        self.rules.is_some()
    }

    /// The stricter of what the instance and the workspace say, as far as it is at least in this mode.
    pub(crate) fn facts<'a>(&'a self, caller: &Caller, at_least: GuardrailMode) -> policy::Guardrails<'a> {
        let mut facts = self.settings(at_least);
        facts.address_allowed = self.allows(caller.address(), at_least);
        facts.credential_days = caller.credential().and_then(life_days);
        facts.address = caller.address();
        // A provider is a workspace's and is named by its id: another workspace's says nothing here.
        facts.by_provider = caller.session().map(|session| {
            let begun = session.method == SignInMethod::OpenIdConnect;
            let here = self.workspace.map(|id| id.to_string());
            begun && here.is_some() && session.provider == here
        });
        facts
    }

    /// The same for a question about somebody who is not asking: what only a request tells is left open.
    pub(crate) fn facts_about(
        &self,
        credential: Option<&Credential>,
        at_least: GuardrailMode,
    ) -> policy::Guardrails<'_> {
        let mut facts = self.settings(at_least);
        facts.credential_days = credential.and_then(life_days);
        facts
    }

    fn in_mode(&self, kind: GuardrailKind, at_least: GuardrailMode) -> impl Iterator<Item = &Guardrails> {
        [&self.floor, &self.own].into_iter().filter(move |side| {
            let mode = side.mode(kind);
            mode != GuardrailMode::Off && mode >= at_least
        })
    }

    fn holds(&self, kind: GuardrailKind, at_least: GuardrailMode) -> bool {
        self.in_mode(kind, at_least).next().is_some()
    }

    /// Where there is an IP allowlist: whether every one that there is holds the address.
    pub(crate) fn allows(&self, address: Option<std::net::IpAddr>, at_least: GuardrailMode) -> Option<bool> {
        let within = |side: &Guardrails| {
            address.is_some_and(|address| side.allowed.iter().any(|line| line.range.contains(address)))
        };
        self.in_mode(GuardrailKind::IpAllowlist, at_least).map(within).reduce(|one, other| one && other)
    }

    /// The longest life, in days, that a credential may have here.
    pub(crate) fn longest_days(&self, at_least: GuardrailMode) -> Option<i64> {
        self.in_mode(GuardrailKind::CredentialLifetime, at_least).map(|side| side.longest_days).min()
    }

    /// The ways in which somebody may come; all where none is told.
    pub(crate) fn admitted(&self, at_least: GuardrailMode) -> Option<EntryKinds> {
        let kinds = |side: &Guardrails| side.admitted.iter().copied().collect::<EntryKinds>();
        self.in_mode(GuardrailKind::CredentialKinds, at_least).map(kinds).reduce(EntryKinds::and)
    }

    fn settings(&self, at_least: GuardrailMode) -> policy::Guardrails<'_> {
        policy::Guardrails {
            address_allowed: None,
            second_step: self.holds(GuardrailKind::SecondStep, at_least),
            private_only: self.holds(GuardrailKind::PrivateOnly, at_least),
            no_forks_outside: self.holds(GuardrailKind::NoForksOutside, at_least),
            longest_days: self.longest_days(at_least),
            admitted: self.admitted(at_least),
            identity_provider: self.holds(GuardrailKind::IdentityProvider, at_least),
            own_rules: if at_least == GuardrailMode::On {
                self.rules.as_ref()
            } else {
                self.reported.as_ref()
            },
            credential_days: None,
            by_provider: None,
            address: None,
        }
    }

    /// Who can change the guardrail that this policy belongs to.
    pub(crate) fn who_can_change(&self, policy: &str) -> &'static str {
        match policy::guardrail::of_policy(policy) {
            Some(kind) if self.own.mode(kind) != GuardrailMode::On => "an administrator of the instance",
            Some(kind) if self.floor.mode(kind) == GuardrailMode::On => {
                "an owner of the workspace together with an administrator of the instance"
            }
            _ => "an owner of the workspace",
        }
    }
}

/// What stands in for a rule that cannot be read any more.
const UNREADABLE: &str = "forbid (principal, action in Action::\"guarded\", resource) \
    unless { action in [Action::\"guardrail.read\", Action::\"guardrail.update\"] };";

/// Guardrails with what they were made from.
type Ready = (Settings, Arc<Guard>);

/// Guardrails that were made ready before, by what they were made from.
pub(crate) struct Guards {
    none: Arc<Guard>,
    kept: Mutex<HashMap<Option<WorkspaceId>, Ready>>,
}

impl Guards {
    pub(crate) fn new() -> Self {
        let none = Guard {
            workspace: None,
            floor: Guardrails::default(),
            own: Guardrails::default(),
            rules: None,
            reported: None,
        };
        Self { none: Arc::new(none), kept: Mutex::new(HashMap::new()) }
    }

    /// No guardrail holds.
    pub(crate) fn none(&self) -> Arc<Guard> {
        Arc::clone(&self.none)
    }

    fn ready(
        &self,
        model: &AccessModel,
        workspace: Option<WorkspaceId>,
        settings: Settings,
    ) -> Result<Arc<Guard>> {
        if settings == Settings::default() {
            return Ok(self.none());
        }
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((from, guard)) = kept().get(&workspace)
            && *from == settings
        {
            return Ok(Arc::clone(guard));
        }
        let (floor, own) =
            (store::guardrail::read(&settings.instance)?, store::guardrail::read(&settings.workspace)?);
        let guard = Arc::new(Guard::new(model, workspace, floor, own)?);
        let mut kept = kept();
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(workspace, (settings, Arc::clone(&guard)));
        Ok(guard)
    }
}

impl Service {
    /// The guardrails of a workspace, as they stand in this transaction.
    pub(crate) fn guard(&self, reader: &mut Reader<'_>, workspace: WorkspaceId) -> Result<Arc<Guard>> {
        let settings = store::guardrail::of(reader, Some(workspace))?;
        self.guards.ready(&self.model, Some(workspace), settings)
    }

    /// What guardrails close to the caller: in one workspace, or wherever the caller is granted anything.
    pub(crate) fn closed_to(
        &self,
        reader: &mut Reader<'_>,
        caller: &Caller,
        within: Option<WorkspaceId>,
    ) -> Result<Closed> {
        let floor = store::guardrail::read(&store::guardrail::of(reader, None)?.instance)?;
        let opened_in = match (caller.identity(), within) {
            (Identity::User(user), within) if user.staff_role == model::StaffRole::Administrator => {
                let opened = store::break_glass::in_force(reader, user.id)?;
                opened.into_iter().filter(|one| within.is_none_or(|within| within == *one)).collect()
            }
            _ => Vec::new(),
        };
        let mut workspaces = match (caller.identity(), within) {
            (Identity::Anonymous | Identity::Operator, _) => Vec::new(),
            (_, Some(workspace)) => vec![workspace],
            (Identity::User(user), None) if floor.any(GuardrailMode::On) => {
                store::guardrail::granted_in(reader, user.id)?
            }
            (Identity::User(user), None) => store::guardrail::set_where_granted(reader, user.id)?,
            (Identity::AccessToken(token), None) => match token.holder {
                Holder::Resource(_, workspace) => vec![workspace],
                Holder::User(_) => Vec::new(),
            },
            (Identity::Runner(runner), None) => runner.workspace.into_iter().collect(),
        };
        workspaces
            .extend(opened_in.iter().copied().filter(|one| !workspaces.contains(one)).collect::<Vec<_>>());
        let nothing_public = floor.private_only == GuardrailMode::On;
        let mut closed = Closed { nothing_public, private_in: Vec::new(), opened_in };
        for workspace in workspaces {
            let guard = self.guard(reader, workspace)?;
            if self.is_closed(caller, workspace, &guard) {
                closed.private_in.push(workspace);
            }
        }
        Ok(closed)
    }

    /// Whether guardrails close a workspace's private content to the caller: asked of the access model, about a
    /// repository that may as well not be there. Which guardrails refuse does not depend on any permission.
    fn is_closed(&self, caller: &Caller, workspace: WorkspaceId, guard: &Guard) -> bool {
        let nowhere = uuid::Uuid::nil();
        let facts = guard.facts(caller, GuardrailMode::On);
        let question = Question {
            action: Action::RepositoryRead,
            principal: &caller.facts(),
            resource: &ResourceFacts::Repository {
                id: RepositoryId::from_uuid(nowhere),
                project: ProjectId::from_uuid(nowhere),
                workspace,
                private: true,
            },
            // Owner: whoever is let in sees the repository, which is not what this asks.
            grants: &[GrantFact {
                on: workspace.into(),
                permission: Permission::Workspace(WorkspacePermission::Owner),
                via: None,
            }],
            held: ScopeSet::everything(),
            required: caller.required,
            credential: caller.credential_kind(),
            // Own rules look at the repository: they are asked row by row.
            guardrails: policy::Guardrails { own_rules: None, ..facts },
        };
        let decision = self.model.decide(&question);
        decision.reasons.iter().any(|reason| policy::guardrail::of_policy(&reason.policy).is_some())
    }
}

impl Service {
    /// A part of a list of repositories without those that workspaces' own rules hide: each is asked about. How long the
    /// whole list is stays untold where it might tell of them.
    pub(crate) fn shown_repositories(
        &self,
        reader: &mut Reader<'_>,
        caller: &Caller,
        request: &ListRequest,
    ) -> Result<Listing<Located>> {
        let (rows, size) = store::repository::list(reader, request)?;
        let ruled = match request.workspace {
            Some(workspace) => self.guard(reader, workspace)?.has_rules(),
            None => store::guardrail::own_rules_anywhere(reader)?,
        };
        if !ruled {
            return Ok(Listing::new(rows, size));
        }
        let more = more(request.offset, rows.len(), size);
        let user = caller.as_user().map(|user| user.id);
        let mut shown = Vec::with_capacity(rows.len());
        for row in rows {
            if self.guard(reader, row.workspace.id)?.has_rules() {
                let ground = repository_ground(self, reader, row, user)?;
                if self.decide(caller, Action::RepositoryRead, &ground).allowed {
                    shown.push(ground.subject);
                }
            } else {
                shown.push(row);
            }
        }
        Ok(Listing { values: shown, size: None, more })
    }

    /// The same of a workspace's projects.
    pub(crate) fn shown_projects(
        &self,
        reader: &mut Reader<'_>,
        caller: &Caller,
        workspace: &Workspace,
        (rows, size): (Vec<Project>, i64),
        offset: i64,
    ) -> Result<Listing<Project>> {
        if !self.guard(reader, workspace.id)?.has_rules() {
            return Ok(Listing::new(rows, size));
        }
        let more = more(offset, rows.len(), size);
        let user = caller.as_user().map(|user| user.id);
        let mut shown = Vec::with_capacity(rows.len());
        for row in rows {
            let ground = project_ground(self, reader, workspace.clone(), row, user)?;
            if self.decide(caller, Action::ProjectRead, &ground).allowed {
                shown.push(ground.subject.1);
            }
        }
        Ok(Listing { values: shown, size: None, more })
    }
}

/// Whether a list goes on after a part of it.
fn more(offset: i64, rows: usize, size: i64) -> bool {
    offset.saturating_add(i64::try_from(rows).unwrap_or(i64::MAX)) < size
}

/// Whether a decision was a guardrail's, or a rule's of the workspace's own.
pub(crate) fn is_guardrail(policy: &str) -> bool {
    policy::guardrail::of_policy(policy).is_some() || policy.starts_with(policy::OWN_RULE)
}

/// Whether somebody would see a resource if it were private and no guardrail held: who is told of guardrails.
pub(crate) fn as_private(facts: ResourceFacts) -> ResourceFacts {
    match facts {
        ResourceFacts::Repository { id, project, workspace, .. } => {
            ResourceFacts::Repository { id, project, workspace, private: true }
        }
        ResourceFacts::Project { id, workspace, .. } => {
            ResourceFacts::Project { id, workspace, private: true }
        }
        other => other,
    }
}
