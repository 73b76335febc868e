//! The audit trail: reading it, and recording what no write records (refusals, sensitive reads).

use model::{Action, AuditEvent, EventId, Outcome, Result, act, audit_event};
use policy::{Origin, Target};
use serde_json::{Value, json};
use store::audit::{Cursor, Filter};
use store::count::Use;

use crate::{Caller, Service};

/// Which events are asked for; empty: all.
#[derive(Clone, Debug, Default)]
pub struct AuditQuery {
    /// Only of this workspace, by slug or id: what its owners may read.
    pub workspace: Option<String>,
    /// By this actor, as written: `user:ann`.
    pub actor: Option<String>,
    /// Of this action.
    pub action: Option<Action>,
    /// Which ended so.
    pub outcome: Option<Outcome>,
    /// Not before.
    pub from: Option<model::Timestamp>,
    /// Before.
    pub until: Option<model::Timestamp>,
    /// After this event, in the order of the list: the last of the page before.
    pub after: Option<Cursor>,
}

/// An event as it was written.
pub(crate) fn event(
    origin: &Origin,
    target: &Target,
    id: EventId,
    (action, outcome): (Action, Outcome),
    reasons: Vec<String>,
) -> AuditEvent {
    AuditEvent {
        v: audit_event::VERSION,
        id,
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

impl Service {
    /// Events, newest first, and whether there are more. Reading them is itself recorded.
    pub async fn audit_events(
        &self,
        caller: &Caller,
        query: AuditQuery,
        limit: i64,
    ) -> Result<(Vec<AuditEvent>, Option<Cursor>)> {
        let (target, workspace) = match &query.workspace {
            Some(name) => {
                let ground = self.workspace_ground(caller, name).await?;
                self.check(caller, act::AuditRead, &ground)?;
                (ground.target, Some(ground.subject.id))
            }
            None => {
                let ground = self.instance_ground();
                self.check(caller, act::AuditRead, &ground)?;
                (ground.target, None)
            }
        };
        let filter = Filter {
            actor: query.actor.clone(),
            action: query.action,
            resource: None,
            workspace,
            outcome: query.outcome,
            from: query.from,
            until: query.until,
        };
        let after = query.after;
        let stored = self
            .store
            .read(move |reader| store::audit::list(reader, &filter, after, limit.saturating_add(1)))
            .await?;
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let next = if stored.len() > wanted {
            wanted.checked_sub(1).and_then(|last| stored.get(last)).map(|last| last.cursor())
        } else {
            None
        };
        let events = stored.iter().take(wanted).map(|stored| stored.event()).collect::<Result<Vec<_>>>()?;
        let id = EventId::new(&self.random);
        let asked = (Action::AuditRead, Outcome::Done);
        let mut read = event(&self.origin(caller), &target, id, asked, vec!["sensitive-read".to_owned()]);
        read.after = json!({ "events": events.len(), "actor": query.actor, "action": query.action.map(Action::as_str) });
        self.store.record(read).await?;
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
        let id = EventId::new(&self.random);
        let refused = event(&self.origin(caller), target, id, (action, Outcome::Refused), reasons);
        let store = self.store.clone();
        self.background.spawn(async move {
            if let Err(error) = store.record(refused).await {
                tracing::error!(%error, "a refusal could not be recorded");
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
            address: caller.address,
            outcome,
        });
    }
}
