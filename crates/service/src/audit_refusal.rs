//! "Why was this refused?": what a request asked for, which policies said no, and who can change that.
//!
//! Every answer carries a request id, and so does the event of its refusal. Told are those who may read the trail that
//! the event belongs to, and whoever asked, as far as they may know: of what looks to them as if it did not exist,
//! they are told nothing here either.

use model::{
    Action, AuditEvent, CredentialKind, Error, Outcome, RequestId, ResourceKind, Result, WorkspaceId,
};
use policy::{PrincipalKind, Reason};
use serde_json::json;
use store::audit_filter::{Filter, Order};

use crate::access_question::usual_scopes;
use crate::audit::{AuditQuery, event_id};
use crate::{Caller, RepositoryPath, Service};

/// The most refusals of one request that are told: a push has one for each ref.
const MOST: i64 = 100;
/// The most people who are named.
const NAMED: usize = 20;

/// A refusal, as far as the reader may know of it.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The event.
    pub event: AuditEvent,
    /// The policies that refused, and what each says.
    pub reasons: Vec<Reason>,
    /// Who or what can change that, a sentence for each reason.
    pub remedies: Vec<String>,
    /// The people and tokens who can grant what was missing; only told to those who may read the trail.
    pub changed_by: Vec<String>,
    /// Whether the reader is told all of it, or only what whoever asked may know.
    pub whole: bool,
}

/// How a reader comes to know of a refusal.
enum Sight {
    Whole,
    Own,
    None,
}

impl Service {
    /// The refusals of a request. What the reader may not know of is no different from what never was.
    pub async fn refusals(&self, caller: &Caller, request: RequestId) -> Result<Vec<Refusal>> {
        let filter = Filter { request: Some(request), outcome: Some(Outcome::Refused), ..Filter::default() };
        let stored = self
            .store
            .read(move |reader| store::audit_filter::list(reader, &filter, Order::OldestFirst, None, MOST))
            .await?;
        let mut told = Vec::with_capacity(stored.len());
        for stored in &stored {
            let event = stored.event()?;
            match self.sight(caller, &event).await? {
                Sight::None => {}
                Sight::Whole => told.push(self.refusal(caller, event, true).await?),
                Sight::Own => told.push(self.refusal(caller, event, false).await?),
            }
        }
        if told.is_empty() {
            return Err(Error::not_found("a refusal of this request"));
        }
        let target = self.instance_ground().target;
        let query = AuditQuery { request: Some(request), ..AuditQuery::default() };
        self.record_reading(caller, &target, &query, json!({ "refusals": told.len() })).await?;
        Ok(told)
    }

    async fn sight(&self, caller: &Caller, event: &AuditEvent) -> Result<Sight> {
        if self.decide(caller, Action::AuditRead, &self.instance_ground()).allowed {
            return Ok(Sight::Whole);
        }
        if let Some(workspace) = event.workspace_id.as_deref().and_then(|id| id.parse::<WorkspaceId>().ok()) {
            match self.workspace_ground(caller, &workspace.braced()).await {
                Ok(ground) if self.decide(caller, Action::AuditRead, &ground).allowed => {
                    return Ok(Sight::Whole);
                }
                Ok(_) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let Some(user) = caller.as_user() else { return Ok(Sight::None) };
        let own = event.actor_id.as_deref() == Some(user.id.to_string().as_str());
        if !own || !self.decide(caller, Action::AccountRead, &self.user_ground(user.as_ref().clone())).allowed
        {
            return Ok(Sight::None);
        }
        Ok(if self.sees(caller, event).await? { Sight::Own } else { Sight::None })
    }

    /// Whether what was asked about is there for this caller: as when the refusal's own answer was made. A person is
    /// asked about here, not the credential at hand, which may read no repository at all.
    async fn sees(&self, caller: &Caller, event: &AuditEvent) -> Result<bool> {
        let (kind, id) = event_id(&event.resource_id);
        let workspace = event.workspace_id.as_deref().map(|id| format!("{{{id}}}")).unwrap_or_default();
        let everything = model::ScopeSet::everything();
        let person = Caller { required: everything, held: everything, ..caller.clone() };
        let seen = match kind {
            Some(ResourceKind::Instance | ResourceKind::User) => return Ok(true),
            Some(ResourceKind::Repository) => {
                match self.repository_ground(&person, &RepositoryPath::parse("{}", id)?).await {
                    Ok(ground) => Ok(self.decide(&person, Action::RepositoryRead, &ground).allowed),
                    Err(error) => Err(error),
                }
            }
            Some(ResourceKind::Project) => match self.project_ground(&person, &workspace, id).await {
                Ok(ground) => Ok(self.decide(&person, Action::ProjectRead, &ground).allowed),
                Err(error) => Err(error),
            },
            Some(ResourceKind::Workspace) => match self.workspace_ground(&person, id).await {
                Ok(ground) => Ok(self.decide(&person, Action::WorkspaceRead, &ground).allowed),
                Err(error) => Err(error),
            },
            None => return Ok(false),
        };
        match seen {
            Err(Error::NotFound { .. }) => Ok(false),
            seen => seen,
        }
    }

    async fn refusal(&self, caller: &Caller, event: AuditEvent, whole: bool) -> Result<Refusal> {
        let action = event.action.parse::<Action>().ok();
        let (kind, _) = event_id(&event.resource_id);
        let principal = principal_kind(&event, kind);
        let says = |policy: &str| match (action, kind) {
            (Some(action), Some(kind)) => self.model.says(policy, action, principal, kind),
            _ => String::new(),
        };
        let reasons: Vec<Reason> = event
            .reasons
            .iter()
            .map(|policy| Reason { policy: policy.clone(), text: text(policy, says(policy)) })
            .collect();
        let mut remedies: Vec<String> =
            reasons.iter().map(|reason| remedy(&reason.policy, action, kind)).collect();
        remedies.dedup();
        let changed_by = match whole && reasons.iter().any(|reason| reason.policy == Reason::NO_PERMIT) {
            true => self.who_can_grant(caller, &event).await?,
            false => Vec::new(),
        };
        Ok(Refusal { event, reasons, remedies, changed_by, whole })
    }

    /// Those who can give the permission that was missing. Nobody, where the resource is gone.
    async fn who_can_grant(&self, caller: &Caller, event: &AuditEvent) -> Result<Vec<String>> {
        let (kind, id) = event_id(&event.resource_id);
        let workspace = event.workspace_id.as_deref().unwrap_or_default();
        let (action, resource) = match kind {
            Some(ResourceKind::Repository) => (Action::GrantSet, format!("repository:{{}}/{id}")),
            Some(ResourceKind::Project) => (Action::GrantSet, format!("project:{{{workspace}}}/{id}")),
            Some(ResourceKind::Workspace) => (Action::MemberSet, format!("workspace:{id}")),
            Some(ResourceKind::Instance | ResourceKind::User) | None => return Ok(Vec::new()),
        };
        match self.who_can_do(caller, action, &resource).await {
            Ok(able) => Ok(able.into_iter().map(|able| able.principal).take(NAMED).collect()),
            Err(Error::NotFound { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

/// Whoever was refused, as policies tell them apart.
fn principal_kind(event: &AuditEvent, resource: Option<ResourceKind>) -> PrincipalKind {
    let credential = event.credential.as_deref().and_then(|text| text.split(':').next()).unwrap_or_default();
    let is = |kind: CredentialKind| credential == kind.name();
    match event.actor.split(':').next().unwrap_or_default() {
        "access-token" if is(CredentialKind::ProjectAccessToken) => PrincipalKind::ProjectAccessToken,
        "access-token" if is(CredentialKind::WorkspaceAccessToken) => PrincipalKind::WorkspaceAccessToken,
        "access-token" => PrincipalKind::RepositoryAccessToken,
        // Where it is registered is not told in the event. What refuses both is the same.
        "runner" if resource == Some(ResourceKind::Workspace) => PrincipalKind::WorkspaceRunner,
        "runner" => PrincipalKind::RepositoryRunner,
        "operator" => PrincipalKind::Operator,
        "anonymous" => PrincipalKind::Anonymous,
        _ => PrincipalKind::User,
    }
}

/// What a reason says that is no policy of the access model.
fn text(policy: &str, says: String) -> String {
    match policy {
        _ if !says.is_empty() => says,
        crate::access::CREDENTIAL_KIND => "The call does not admit this kind of credential.".to_owned(),
        crate::branch_rule::BRANCH_RESTRICTION => {
            "A branch restriction of the repository does not let this be done to the branch.".to_owned()
        }
        _ => format!("`{policy}` refused it, and is no longer a rule of this installation."),
    }
}

/// Who or what can change that a reason refuses.
fn remedy(policy: &str, action: Option<Action>, kind: Option<ResourceKind>) -> String {
    match (policy, kind) {
        (Reason::SCOPES | "restraint-scope-unlisted", _) => {
            let scopes = action.map(usual_scopes).unwrap_or_default();
            format!(
                "whoever holds the credential: with one that has the scope `{}`, or for an API token `{}`",
                scopes.classic, scopes.flat
            )
        }
        (crate::access::CREDENTIAL_KIND | "restraint-people-only", _) => {
            "whoever asked: with a credential of their own, of a kind that docs/access-matrix.txt says is admitted".to_owned()
        }
        (crate::branch_rule::BRANCH_RESTRICTION, _) => {
            "whoever has admin permission on the repository, by changing the branch restriction".to_owned()
        }
        ("restraint-inactive-user", _) | (_, Some(ResourceKind::Instance)) => {
            "an administrator of the instance".to_owned()
        }
        (Reason::NO_PERMIT, Some(ResourceKind::Repository)) => {
            "whoever has admin permission on the repository, its project or its workspace, by a grant".to_owned()
        }
        (Reason::NO_PERMIT, Some(ResourceKind::Project)) => {
            "whoever has admin permission on the project or its workspace, by a grant".to_owned()
        }
        (Reason::NO_PERMIT, Some(ResourceKind::User)) => "nobody: an account is its user's own".to_owned(),
        _ => "an owner of the workspace".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_that_the_model_can_give_has_a_remedy_that_names_somebody() {
        let model = policy::AccessModel::load().unwrap();
        let ids = model.rules().iter().filter(|rule| rule.forbids).map(|rule| rule.id.as_str());
        for policy in ids.chain([
            Reason::NO_PERMIT,
            crate::access::CREDENTIAL_KIND,
            crate::branch_rule::BRANCH_RESTRICTION,
        ]) {
            for action in Action::ALL {
                for kind in action.resources() {
                    assert!(remedy(policy, Some(*action), Some(*kind)).len() > 10, "{policy} {action}");
                    let says = model.says(policy, *action, PrincipalKind::User, *kind);
                    assert!(!text(policy, says).contains("no longer"), "{policy} {action}");
                }
            }
        }
    }
}
