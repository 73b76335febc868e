//! What guardrails would do before they are set: who would be refused now, and who by what was really used in the last
//! days; and what the solver says of rules of the workspace's own.
//!
//! Each question is asked of the access model as it would be asked, once with the guardrails of today and once with those
//! that are thought of. What only reports yet is looked at as if it refused.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use model::{
    Action, Credential, CredentialId, GuardrailMode, Holder, Permission, ProjectId, RepositoryId, Resource,
    ResourceKind, Result, ScopeSet, User, Username, WorkspaceId, WorkspacePermission, act,
};
use policy::{GrantFact, PrincipalFacts, Question, ResourceFacts};
use store::Reader;
use store::count::DailyCount;

use crate::access_question::usual_scopes;
use crate::guard::{Guard, is_guardrail};
use crate::{Caller, NewGuardrails, Service};

/// So many days of what was used are looked at.
const DAYS: i64 = 30;
/// So many kinds of use.
const MOST_USES: i64 = 5_000;
/// So many people, and so many credentials.
const MOST_HOLDERS: i64 = 1_000;
/// So many of those who would be refused are told one by one.
const MOST_TOLD: usize = 200;
/// How long the solver may look at one rule.
const PATIENCE: Duration = Duration::from_secs(10);

/// Somebody who would be refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// As the audit trail names them.
    pub principal: String,
    /// The credential, by kind and id; none for signing in.
    pub credential: Option<String>,
    /// From where it was used; none where it would be refused from everywhere.
    pub address: Option<String>,
    /// How often in the last days.
    pub uses: i64,
    /// By which guardrails and rules.
    pub refused_by: Vec<String>,
}

/// What the solver says of a rule; nothing where there is no solver, or no time.
#[derive(Clone, Debug)]
pub struct RuleFinding {
    /// The rule.
    pub name: String,
    /// Whether it refuses anything that would be allowed without it.
    pub can_fire: Option<bool>,
    /// Whether nothing in the workspace would be allowed any more.
    pub refuses_everything: Option<bool>,
    /// A request that is allowed without it and refused with it.
    pub example: Option<String>,
}

/// What guardrails would do.
#[derive(Clone, Debug)]
pub struct GuardrailEffect {
    /// Who would be refused and is not, the most frequent first.
    pub refused: Vec<Refused>,
    /// How many there are, told or not.
    pub total: usize,
    /// How many people among them.
    pub people: usize,
    /// How many credentials among them.
    pub credentials: usize,
    /// How many uses of the last days.
    pub uses: i64,
    /// Whether there was more than was looked at.
    pub incomplete: bool,
    /// Whether whoever asks would be locked out.
    pub locks_out: bool,
    /// What the solver says of the rules.
    pub rules: Vec<RuleFinding>,
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

type Key = (String, Option<String>, Option<String>);

/// Who would be refused, as it is gathered.
#[derive(Default)]
struct Gathered(BTreeMap<Key, (i64, BTreeSet<String>)>);

impl Gathered {
    fn add(&mut self, holding: &Holding, address: Option<String>, uses: i64, by: Vec<String>) {
        if by.is_empty() {
            return;
        }
        let entry = self.0.entry((holding.label.clone(), holding.means(), address)).or_default();
        entry.0 = entry.0.saturating_add(uses);
        entry.1.extend(by);
    }
}

/// The two states that are held against each other.
struct Change<'a> {
    service: &'a Service,
    before: &'a Guard,
    after: &'a Guard,
}

impl Change<'_> {
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
    fn by_now(
        &self,
        reader: &mut Reader<'_>,
        workspace: WorkspaceId,
        gathered: &mut Gathered,
    ) -> Result<bool> {
        let users = store::guardrail::granted_to(reader, workspace, MOST_HOLDERS)?;
        let now = reader.now();
        let credentials = store::credential::reaching(reader, workspace, &users, now, MOST_HOLDERS)?;
        let full = |length: usize| i64::try_from(length).unwrap_or(i64::MAX) >= MOST_HOLDERS;
        let incomplete = full(users.len()) || full(credentials.len());
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
            gathered.add(&holding, None, 0, by);
        }
        Ok(incomplete)
    }

    /// Whoever came in the last days, as they came.
    fn by_use(
        &self,
        reader: &mut Reader<'_>,
        workspace: WorkspaceId,
        gathered: &mut Gathered,
    ) -> Result<bool> {
        let day = reader.now().day() - DAYS;
        let used = store::count::in_workspace(reader, workspace, day, MOST_USES)?;
        let mut incomplete = i64::try_from(used.len()).unwrap_or(i64::MAX) >= MOST_USES;
        for used in used.iter().filter(|used| used.outcome != "refused") {
            let Ok(action) = used.action.parse::<Action>() else { continue };
            let Some(holding) = holding(reader, used)? else { continue };
            let Some((facts, grants)) = place(reader, workspace, &used.resource_id, &holding)? else {
                incomplete = true;
                continue;
            };
            let address = used.address.parse().ok();
            let by = self.anew(action, &holding, (&facts, &grants), address);
            gathered.add(&holding, address.map(|address| address.to_string()), used.count, by);
        }
        Ok(incomplete)
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

impl Service {
    /// What these guardrails would do to a workspace.
    pub async fn guardrail_effect(
        &self,
        caller: &Caller,
        workspace: &str,
        mut new: NewGuardrails,
    ) -> Result<GuardrailEffect> {
        let ground = self.guardrail_ground(caller, Some(workspace)).await?;
        self.check(caller, act::GuardrailRead, &ground)?;
        let seen = self.guardrails(caller, Some(workspace)).await?;
        // Nothing is saved: there is nothing to confirm.
        new.confirm_wide_ranges = true;
        let after = self.candidate(&new, ground.subject, &seen).await?;
        let locks_out =
            self.keeps_in(caller, &ground, self.candidate(&new, ground.subject, &seen).await?).is_err();
        let (service, before, id) = (self.clone(), ground.guard.clone(), ground.subject);
        let (gathered, incomplete) = self
            .store
            .read(move |reader| {
                let change = Change { service: &service, before: &before, after: &after };
                let mut gathered = Gathered::default();
                let mut incomplete = false;
                if let Some(id) = id {
                    incomplete = change.by_now(reader, id, &mut gathered)?;
                    incomplete |= change.by_use(reader, id, &mut gathered)?;
                }
                Ok((gathered, incomplete))
            })
            .await?;
        let rules = self.examined(&new, &seen).await;
        Ok(summed(gathered, incomplete, locks_out, rules))
    }

    /// The rules that are new or changed, as the solver sees them, where there is one.
    async fn examined(&self, new: &NewGuardrails, seen: &crate::GuardrailView) -> Vec<RuleFinding> {
        let mut found = Vec::new();
        for rule in &new.guardrails.own_rules {
            if seen.guardrails.own_rules.iter().any(|old| old.name == rule.name && old.policy == rule.policy)
            {
                continue;
            }
            let Ok(checked) = self.model.own_rule(&rule.name, &rule.description, &rule.policy) else {
                continue;
            };
            let examined = prover::examine(Path::new("cvc5"), &self.model, checked.policy(), PATIENCE).await;
            // Without a solver nothing is said of rules; whatever else it is stopped by does not stop the rest.
            let Ok(finding) = examined else { continue };
            found.push(RuleFinding {
                name: rule.name.clone(),
                can_fire: finding.can_fire,
                refuses_everything: finding.refuses_everything,
                example: finding.example.map(|example| example.to_string()),
            });
        }
        found
    }
}

fn summed(gathered: Gathered, incomplete: bool, locks_out: bool, rules: Vec<RuleFinding>) -> GuardrailEffect {
    let entries = gathered.0.into_iter().map(|((principal, credential, address), (uses, by))| Refused {
        principal,
        credential,
        address,
        uses,
        refused_by: by.into_iter().collect(),
    });
    let mut refused: Vec<Refused> = entries.collect();
    let people: BTreeSet<&str> = refused
        .iter()
        .map(|one| one.principal.as_str())
        .filter(|principal| principal.starts_with("user:"))
        .collect();
    let credentials: BTreeSet<&str> = refused.iter().filter_map(|one| one.credential.as_deref()).collect();
    let (people, credentials, total) = (people.len(), credentials.len(), refused.len());
    let uses = refused.iter().fold(0_i64, |sum, one| sum.saturating_add(one.uses));
    refused.sort_by(|one, two| two.uses.cmp(&one.uses).then_with(|| one.principal.cmp(&two.principal)));
    refused.truncate(MOST_TOLD);
    GuardrailEffect { refused, total, people, credentials, uses, incomplete, locks_out, rules }
}
