//! The audit trail: reading it, and recording what no write records (refusals, sensitive reads).

use std::net::IpAddr;

use model::{
    Action, AuditEvent, EventId, Outcome, RequestId, ResourceKind, Result, Timestamp, WorkspaceId, act,
    audit_event,
};
use policy::{Origin, Target};
use serde_json::{Value, json};
use store::audit::Cursor;
use store::audit_filter::{Filter, Order};
use store::count::Use;

use crate::access::{unknown, workspace_name};
use crate::{Caller, Service};

/// Whose trail is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trail<'a> {
    /// All of it.
    Instance,
    /// What concerns one workspace, by its slug or id.
    Workspace(&'a str),
}

/// Which events are asked for; empty: all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuditQuery {
    /// In this workspace, by slug or id.
    pub workspace: Option<String>,
    /// By this actor, as written: `user:ann`.
    pub actor: Option<String>,
    /// By this credential, its kind and id: `app_password:{uuid}`.
    pub credential: Option<String>,
    /// Of one of these actions; empty for all.
    pub actions: Vec<Action>,
    /// On this resource, as written (`repository:acme/one`) or by its kind and id.
    pub resource: Option<String>,
    /// From an address between these two.
    pub addresses: Option<(IpAddr, IpAddr)>,
    /// Which ended so.
    pub outcome: Option<Outcome>,
    /// Of this request.
    pub request: Option<RequestId>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

impl AuditQuery {
    /// What is recorded of a reading: what was asked for, without what was not.
    fn told(&self) -> Value {
        let actions: Vec<&str> = self.actions.iter().map(|action| action.as_str()).collect();
        let all = json!({
            "workspace": self.workspace,
            "actor": self.actor,
            "credential": self.credential,
            "actions": (!actions.is_empty()).then_some(actions),
            "resource": self.resource,
            "addresses": self.addresses.map(|(first, last)| format!("{first}-{last}")),
            "outcome": self.outcome,
            "request_id": self.request,
            "from": self.from,
            "until": self.until,
        });
        match all {
            Value::Object(fields) => fields.into_iter().filter(|(_, value)| !value.is_null()).collect(),
            other => other,
        }
    }
}

/// A trail that the caller may read, and which of its events are asked for.
pub(crate) struct Readable {
    pub(crate) target: Target,
    pub(crate) filter: Filter,
}

/// The kind of resource that an event's `resource_id` names, and its id in braces.
pub(crate) fn event_id(text: &str) -> (Option<ResourceKind>, &str) {
    let (kind, id) = text.split_once(':').unwrap_or((text, ""));
    (ResourceKind::parse(kind), id)
}

impl Service {
    /// An event that no write records of itself.
    pub(crate) fn event(
        &self,
        origin: &Origin,
        target: &Target,
        (action, outcome): (Action, Outcome),
        reasons: Vec<String>,
    ) -> AuditEvent {
        AuditEvent {
            v: audit_event::VERSION,
            id: EventId::at(origin.time, &self.random),
            time: origin.time,
            request_id: origin.request_id,
            actor: origin.actor.clone(),
            actor_id: origin.actor_id.clone(),
            credential: origin.credential.clone(),
            address: origin.address.map(|address| address.to_string()),
            action: action.as_str().to_owned(),
            resource: target.label.clone(),
            resource_id: target.resource.to_string(),
            workspace_id: target.workspace.map(|id| id.to_string()),
            outcome,
            reasons,
            before: Value::Null,
            after: Value::Null,
        }
    }

    /// Whether the caller may read a trail, and the filter that goes with the question.
    pub(crate) async fn readable(
        &self,
        caller: &Caller,
        trail: Trail<'_>,
        query: &AuditQuery,
    ) -> Result<Readable> {
        let (target, workspace) = match trail {
            Trail::Workspace(name) => {
                let ground = self.workspace_ground(caller, name).await?;
                self.check(caller, act::AuditRead, &ground)?;
                (ground.target, Some(ground.subject.id))
            }
            Trail::Instance => {
                let ground = self.instance_ground();
                self.check(caller, act::AuditRead, &ground)?;
                (ground.target, None)
            }
        };
        let wanted = match (workspace, &query.workspace) {
            (Some(own), _) => Some(own),
            (None, Some(name)) => Some(self.named_workspace(name).await?),
            (None, None) => None,
        };
        let filter = Filter {
            actor: query.actor.clone(),
            credential: query.credential.clone(),
            actions: query.actions.clone(),
            resource: query.resource.clone(),
            workspace: wanted,
            addresses: query
                .addresses
                .map(|(first, last)| (store::audit::bits(first), store::audit::bits(last))),
            outcome: query.outcome,
            request: query.request,
            from: query.from,
            until: query.until,
        };
        Ok(Readable { target, filter })
    }

    /// A workspace whose events are looked for by whoever may read all: by its id also when it is gone.
    async fn named_workspace(&self, name: &str) -> Result<WorkspaceId> {
        let missing = || unknown(ResourceKind::Workspace);
        let name = workspace_name(name).ok_or_else(missing)?;
        if let store::workspace::WorkspaceName::Id(id) = name {
            return Ok(id);
        }
        let found = self.store.read(move |reader| store::workspace::resolve(reader, &name)).await?;
        Ok(found.ok_or_else(missing)?.id)
    }

    /// Records that a trail was read, and what of it.
    pub(crate) async fn record_reading(
        &self,
        caller: &Caller,
        target: &Target,
        query: &AuditQuery,
        how: Value,
    ) -> Result<()> {
        let asked = (Action::AuditRead, Outcome::Done);
        let mut read = self.event(&self.origin(caller), target, asked, vec!["sensitive-read".to_owned()]);
        read.after = json!({ "asked": query.told(), "read": how });
        self.store.record(read).await
    }

    /// Events, newest first, from after `after`, and where the next page begins. Reading them is itself recorded.
    pub async fn audit_events(
        &self,
        caller: &Caller,
        trail: Trail<'_>,
        query: AuditQuery,
        after: Option<Cursor>,
        limit: i64,
    ) -> Result<(Vec<AuditEvent>, Option<Cursor>)> {
        let Readable { target, filter } = self.readable(caller, trail, &query).await?;
        let more = limit.saturating_add(1);
        let stored = self
            .store
            .read(move |reader| store::audit_filter::list(reader, &filter, Order::NewestFirst, after, more))
            .await?;
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let next = if stored.len() > wanted {
            wanted.checked_sub(1).and_then(|last| stored.get(last)).map(|last| last.cursor())
        } else {
            None
        };
        let events = stored.iter().take(wanted).map(|stored| stored.event()).collect::<Result<Vec<_>>>()?;
        self.record_reading(caller, &target, &query, json!({ "events": events.len() })).await?;
        Ok((events, next))
    }

    /// Records a refusal without making the refused wait for the disk.
    pub(crate) fn record_refusal(
        &self,
        caller: &Caller,
        action: Action,
        target: &Target,
        reasons: Vec<String>,
    ) {
        if caller.is_anonymous() {
            self.count_stranger(caller);
            return;
        }
        let refused = self.event(&self.origin(caller), target, (action, Outcome::Refused), reasons);
        let store = self.store.clone();
        self.background.spawn(async move {
            if let Err(error) = store.record(refused).await {
                tracing::error!(%error, "a refusal could not be recorded");
            }
        });
    }

    /// Records that branch restrictions refused to move refs: the first of them, as they are told, and how many.
    pub(crate) fn record_refused_refs(
        &self,
        caller: &Caller,
        action: Action,
        target: &Target,
        refs: Vec<Value>,
        count: usize,
    ) {
        let reasons = vec![crate::branch_rule::BRANCH_RESTRICTION.to_owned()];
        let mut refused = self.event(&self.origin(caller), target, (action, Outcome::Refused), reasons);
        refused.after = json!({ "refused": refs, "count": count });
        let store = self.store.clone();
        self.background.spawn(async move {
            if let Err(error) = store.record(refused).await {
                tracing::error!(%error, "a refusal could not be recorded");
            }
        });
    }

    /// Records an access that is worth a record each time: what break-glass opens.
    pub(crate) fn record_access(
        &self,
        caller: &Caller,
        action: Action,
        target: &Target,
        reasons: Vec<String>,
    ) {
        let done = self.event(&self.origin(caller), target, (action, Outcome::Done), reasons);
        let store = self.store.clone();
        self.background.spawn(async move {
            if let Err(error) = store.record(done).await {
                tracing::error!(%error, "an access by break-glass could not be recorded");
            }
        });
    }

    /// Counts a refusal of somebody unknown, by address and minute: nobody buys a disk write with a request.
    pub(crate) fn count_stranger(&self, caller: &Caller) {
        if let Some(address) = caller.address {
            self.store.count_refusal(address, self.clock.now());
        }
    }

    /// Counts a use, for the daily figures of what was really used.
    pub(crate) fn count(&self, caller: &Caller, action: Action, target: &Target, outcome: Outcome) {
        if caller.is_anonymous() {
            return;
        }
        self.store.count_use(Use {
            time: self.clock.now(),
            actor: caller.label(),
            credential: caller.means(),
            action,
            resource: target.resource,
            workspace: target.workspace,
            address: caller.address,
            outcome,
        });
    }
}
