//! How long the audit trail's events are kept. What expires is the event; its entry (id, time and hash) stays in the
//! ledger, so that the ledger stays whole, and the removal is an event itself. That event is what `verify` believes: who
//! has the database alone cannot make one, so an event that they remove is not taken for one that has expired.

use model::{Action, Outcome, RequestId, Resource, Result, Timestamp, act};
use policy::{InternalReason, Target};
use serde_json::{Value, json};
use store::audit_filter::{Filter, Order};

use crate::{Caller, Service};

/// Events that one transaction removes, so that no write waits long behind it.
const BATCH: i64 = 1_000;
/// What the events of removals are about.
const TRAIL: &str = "audit-trail";
/// The field that tells before when.
const BEFORE: &str = "expired_before";

impl Service {
    /// Removes events that are older than the operator keeps them. By default none is.
    pub(crate) async fn expire_audit_events(&self) -> Result<()> {
        let Some(days) = self.settings.audit_days else { return Ok(()) };
        let before = self.clock.now().plus_seconds(-days.saturating_mul(86_400));
        loop {
            let filter = Filter { until: Some(before), ..Filter::default() };
            let due = self
                .store
                .read(move |reader| store::audit_filter::list(reader, &filter, Order::OldestFirst, None, 1))
                .await?;
            if due.is_empty() || *self.stopping.borrow() {
                return Ok(());
            }
            let target = Target { resource: Resource::Instance, label: TRAIL.to_owned(), workspace: None };
            let request = Caller::operator(RequestId::new(&self.random));
            let permit = self.internal::<act::Upkeep>(InternalReason::AuditRetention, &request, target);
            let removed = self
                .store
                .write(&permit, move |writer| {
                    let removed = store::audit::expire(writer, before, BATCH)?;
                    writer.note(Value::Null, json!({ BEFORE: before, "events": removed }));
                    Ok(removed)
                })
                .await?;
            if removed < BATCH.unsigned_abs() {
                return Ok(());
            }
        }
    }

    /// Before when events have expired: as the newest removal tells whose code is this instance's.
    pub(crate) async fn expired_before(&self) -> Result<Option<Timestamp>> {
        let filter = Filter {
            resource: Some(TRAIL.to_owned()),
            actions: vec![Action::Upkeep],
            outcome: Some(Outcome::Done),
            ..Filter::default()
        };
        let removals = self
            .store
            .read(move |reader| store::audit_filter::list(reader, &filter, Order::NewestFirst, None, 100))
            .await?;
        for stored in removals {
            let event = stored.event().ok().filter(|event| {
                event.reasons == [InternalReason::AuditRetention.as_str()]
                    && self.authenticator.verify(&stored.bytes, &stored.mac)
            });
            let told = event.and_then(|event| event.after.get(BEFORE).and_then(Value::as_str)?.parse().ok());
            if told.is_some() {
                return Ok(told);
            }
        }
        Ok(None)
    }
}
