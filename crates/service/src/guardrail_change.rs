//! Two states of the guardrails of a workspace held against each other: who would be refused by the one and is not by the
//! other, of those who may come in now and of what was really used in the last days. What is told of it is in
//! `guardrail_effect`.

use std::collections::{BTreeMap, BTreeSet};

use model::{
    Action, Credential, CredentialId, GuardrailMode, Holder, Permission, ProjectId, RepositoryId, Resource,
    ResourceKind, Result, ScopeSet, User, Username, Workspace, WorkspaceId, WorkspacePermission,
};
use policy::{GrantFact, PrincipalFacts, Question, ResourceFacts};
use store::Reader;
use store::count::DailyCount;

use crate::Service;
use crate::access_question::usual_scopes;
use crate::guard::{Guard, is_guardrail};

/// So many days of what was used are looked at.
const DAYS: i64 = 30;

/// How much is still to be looked at.
pub(crate) struct Budget {
    /// Kinds of use.
    pub(crate) uses: i64,
    /// People and, once more, credentials: those who may come in now.
    pub(crate) holders: i64,
}

impl Budget {
    pub(crate) fn is_spent(&self) -> bool {
        self.uses == 0 && self.holders == 0
    }
}

/// Takes what was read off what may be read. Tells whether nothing is left: then there may be more.
fn spend(left: &mut i64, length: usize) -> bool {
    *left = left.saturating_sub(i64::try_from(length).unwrap_or(i64::MAX)).max(0);
    *left == 0
}

/// Somebody with what they come by.
struct Holding {
    label: String,
    principal: PrincipalFacts,
    credential: Option<Credential>,
}

impl Holding {
    fn user(user: &User, credential: Option<Credential>) -> Self {
        let principal = PrincipalFacts::User {
            id: user.id,
            active: user.active,
            approved: user.approved,
            second_step: user.second_step,
            staff: user.staff_role,
            break_glass: None,
        };
        Self { label: format!("user:{}", user.username), principal, credential }
    }

    fn token(token: Credential) -> Option<Self> {
        let Holder::Resource(bound_to, _) = token.holder else { return None };
        let principal = PrincipalFacts::AccessToken { id: token.id, bound_to };
        Some(Self {
            label: format!("access-token:{}", token.id.braced()),
            principal,
            credential: Some(token),
        })
    }

    fn means(&self) -> Option<String> {
        self.credential.as_ref().map(crate::access::credential_label)
    }
}

/// In which workspace, who, by what, from where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) workspace: String,
    pub(crate) principal: String,
    pub(crate) credential: Option<String>,
    pub(crate) address: Option<String>,
}

/// Who would be refused, as it is gathered.
#[derive(Default)]
pub(crate) struct Gathered {
    /// How often, and by which guardrails.
    pub(crate) refused: BTreeMap<Key, (i64, BTreeSet<String>)>,
    /// Whether there was more than was looked at.
    pub(crate) incomplete: bool,
}

/// The two states that are held against each other.
pub(crate) struct Change<'a> {
    pub(crate) service: &'a Service,
    pub(crate) workspace: &'a Workspace,
    pub(crate) before: &'a Guard,
    pub(crate) after: &'a Guard,
}

impl Change<'_> {
    /// Adds everybody who would be refused in this workspace.
    pub(crate) fn gather(
        &self,
        reader: &mut Reader<'_>,
        budget: &mut Budget,
        gathered: &mut Gathered,
    ) -> Result<()> {
        self.by_now(reader, budget, gathered)?;
        self.by_use(reader, budget, gathered)
    }

    fn add(
        &self,
        gathered: &mut Gathered,
        holding: &Holding,
        address: Option<String>,
        uses: i64,
        by: Vec<String>,
    ) {
        if by.is_empty() {
            return;
        }
        let key = Key {
            workspace: self.workspace.slug.to_string(),
            principal: holding.label.clone(),
            credential: holding.means(),
            address,
        };
        let entry = gathered.refused.entry(key).or_default();
        entry.0 = entry.0.saturating_add(uses);
        entry.1.extend(by);
    }

    /// What would refuse this and does not.
    fn anew(
        &self,
        action: Action,
        holding: &Holding,
        on: (&ResourceFacts, &[GrantFact]),
        address: Option<std::net::IpAddr>,
    ) -> Vec<String> {
        let kind = holding.credential.as_ref().map(|credential| credential.kind);
        let refused_by = |guard: &Guard, at_least| {
            let facts = guard.facts_about(holding.credential.as_ref(), at_least);
            // From where somebody will come is not known; from where they came is.
            let address_allowed = address.and_then(|address| guard.allows(Some(address), at_least));
            let question = Question {
                action,
                principal: &holding.principal,
                resource: on.0,
                grants: on.1,
                held: ScopeSet::everything(),
                required: usual_scopes(action).for_kind(kind),
                credential: kind,
                guardrails: policy::Guardrails { address_allowed, address, ..facts },
            };
            let policies = self.service.model.work_out(&question).policies();
            policies.into_iter().filter(|policy| is_guardrail(policy)).collect::<Vec<_>>()
        };
        match refused_by(self.before, GuardrailMode::On).is_empty() {
            true => refused_by(self.after, GuardrailMode::Report),
            false => Vec::new(),
        }
    }

    /// Everybody who may come by now, wherever they come from.
    fn by_now(&self, reader: &mut Reader<'_>, budget: &mut Budget, gathered: &mut Gathered) -> Result<()> {
        let (workspace, now, most) = (self.workspace.id, reader.now(), budget.holders);
        let users = store::guardrail::granted_to(reader, workspace, most)?;
        let credentials = store::credential::reaching(reader, workspace, &users, now, most)?;
        gathered.incomplete |= spend(&mut budget.holders, users.len().max(credentials.len()));
        let mut holdings = Vec::new();
        for id in users {
            let Some(user) = store::user::find(reader, id)? else { continue };
            holdings.push(Holding::user(&user, None));
            let own = credentials.iter().filter(|one| one.holder == Holder::User(id));
            holdings.extend(own.map(|one| Holding::user(&user, Some(one.clone()))));
        }
        let tokens = credentials.into_iter().filter(|one| matches!(one.holder, Holder::Resource(..)));
        holdings.extend(tokens.filter_map(Holding::token));
        let somewhere = ResourceFacts::Repository {
            id: RepositoryId::from_uuid(uuid::Uuid::nil()),
            project: ProjectId::from_uuid(uuid::Uuid::nil()),
            workspace,
            private: true,
        };
        let owner = GrantFact {
            on: workspace.into(),
            permission: Permission::Workspace(WorkspacePermission::Owner),
            via: None,
        };
        for holding in holdings {
            let by = self.anew(Action::RepositoryRead, &holding, (&somewhere, &[owner]), None);
            self.add(gathered, &holding, None, 0, by);
        }
        Ok(())
    }

    /// Whoever came in the last days, as they came.
    fn by_use(&self, reader: &mut Reader<'_>, budget: &mut Budget, gathered: &mut Gathered) -> Result<()> {
        let workspace = self.workspace.id;
        let day = reader.now().day() - DAYS;
        let used = store::count::in_workspace(reader, workspace, day, budget.uses)?;
        gathered.incomplete |= spend(&mut budget.uses, used.len());
        for used in used.iter().filter(|used| used.outcome != "refused") {
            let Ok(action) = used.action.parse::<Action>() else { continue };
            let Some(holding) = holding(reader, used)? else { continue };
            // Where there was too much use to keep apart, it was counted without what it was.
            gathered.incomplete |= used.resource_id.is_empty();
            let Some((facts, grants)) = place(reader, workspace, &used.resource_id, &holding)? else {
                continue;
            };
            let address = used.address.parse().ok();
            let by = self.anew(action, &holding, (&facts, &grants), address);
            self.add(gathered, &holding, address.map(|address| address.to_string()), used.count, by);
        }
        Ok(())
    }
}

/// Who it was, as far as they are still there.
fn holding(reader: &mut Reader<'_>, used: &DailyCount) -> Result<Option<Holding>> {
    let credential = match used.credential.split_once(':').map(|(_, id)| id.parse::<CredentialId>()) {
        Some(Ok(id)) => store::credential::find(reader, id)?,
        _ => None,
    };
    match used.actor.split_once(':') {
        Some(("user", name)) => {
            let Ok(name) = name.parse::<Username>() else { return Ok(None) };
            let user = store::user::find_by_username(reader, &name)?.filter(|user| user.active);
            Ok(user.map(|user| Holding::user(&user, credential)))
        }
        Some(("access-token", _)) => Ok(credential.and_then(Holding::token)),
        _ => Ok(None),
    }
}

/// What it was, as far as it is still there, with what the one who came is granted on it.
fn place(
    reader: &mut Reader<'_>,
    workspace: WorkspaceId,
    resource: &str,
    holding: &Holding,
) -> Result<Option<(ResourceFacts, Vec<GrantFact>)>> {
    let Some((kind, id)) = resource.split_once(':') else { return Ok(None) };
    let id = id.trim_matches(['{', '}']).parse::<uuid::Uuid>().ok();
    let Some(resource) = ResourceKind::parse(kind).zip(id).map(|(kind, id)| Resource::from_parts(kind, id))
    else {
        return Ok(None);
    };
    let facts = match resource {
        Resource::Workspace(id) if id == workspace => ResourceFacts::Workspace { id },
        Resource::Project(id) => {
            match store::project::find(reader, id)?.filter(|one| one.workspace == workspace) {
                Some(project) => ResourceFacts::Project { id, workspace, private: project.private },
                None => return Ok(None),
            }
        }
        Resource::Repository(id) => {
            let found = store::repository::find(reader, id)?;
            match found.filter(|one| one.workspace == workspace && one.deleted_on.is_none()) {
                Some(found) => ResourceFacts::Repository {
                    id,
                    project: found.project,
                    workspace,
                    private: found.private,
                },
                None => return Ok(None),
            }
        }
        _ => return Ok(None),
    };
    let grants = match holding.principal {
        PrincipalFacts::User { id, .. } => {
            let chain = [
                Some(workspace.uuid()),
                facts.project().map(ProjectId::uuid),
                facts.repository().map(RepositoryId::uuid),
            ];
            store::grant::held_by(reader, id, &chain.into_iter().flatten().collect::<Vec<_>>())?
        }
        _ => Vec::new(),
    };
    Ok(Some((facts, grants)))
}
