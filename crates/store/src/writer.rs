//! Writing: with a permit, and with the audit event in the same transaction.

use std::ops::{Deref, DerefMut};

use model::{Act, Action, AuditEvent, EventId, Outcome, Random, Result, audit_event};
use policy::{Origin, Permit, Target};
use serde_json::Value as Json;

use crate::audit::{self, Mac};
use crate::bookkeeping::Bookkeeping;
use crate::engine::{Query, Row, Value};
use crate::reader::Reader;

/// What a permit says, apart from the permit itself, which stays where it was shown.
pub(crate) struct Stamp {
    origin: Origin,
    target: Target,
    reasons: Vec<String>,
    action: Action,
}

impl Stamp {
    pub(crate) fn of<A: Act>(permit: &Permit<A>) -> Self {
        Self {
            origin: permit.origin().clone(),
            target: permit.target().clone(),
            reasons: permit.reasons().to_vec(),
            action: A::ACTION,
        }
    }

    pub(crate) fn changes_access(&self) -> bool {
        self.action.changes_access()
    }

    fn event(&self, random: &Random, entry: Noted) -> AuditEvent {
        let target = entry.target.as_ref().unwrap_or(&self.target);
        AuditEvent {
            v: audit_event::VERSION,
            id: EventId::at(self.origin.time, random),
            time: self.origin.time,
            request_id: self.origin.request_id,
            actor: self.origin.actor.clone(),
            actor_id: self.origin.actor_id.clone(),
            credential: self.origin.credential.clone(),
            address: self.origin.address.map(|address| address.to_string()),
            action: entry.action.unwrap_or(self.action).as_str().to_owned(),
            resource: target.label.clone(),
            resource_id: target.resource.to_string(),
            workspace_id: target.workspace.map(|workspace| workspace.to_string()),
            outcome: Outcome::Done,
            reasons: self.reasons.clone(),
            before: entry.before,
            after: entry.after,
        }
    }
}

/// What the closure told about one event.
#[derive(Default)]
struct Noted {
    action: Option<Action>,
    target: Option<Target>,
    before: Json,
    after: Json,
}

/// A transaction that writes. `Store::write` alone makes one, for a permit, and appends the audit event to it when
/// the closure has succeeded; so a write without a decision does not compile and one without a record does not
/// exist.
pub struct Writer<'c> {
    reader: Reader<'c>,
    stamp: &'c Stamp,
    main: Noted,
    others: Vec<Noted>,
}

impl<'c> Deref for Writer<'c> {
    type Target = Reader<'c>;

    fn deref(&self) -> &Self::Target {
        &self.reader
    }
}

impl DerefMut for Writer<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.reader
    }
}

impl<'c> Writer<'c> {
    pub(crate) fn new(reader: Reader<'c>, stamp: &'c Stamp) -> Self {
        Self { reader, stamp, main: Noted::default(), others: Vec::new() }
    }

    /// Where the question came from that this write answers.
    #[must_use]
    pub fn origin(&self) -> &'c Origin {
        &self.stamp.origin
    }

    /// Runs a statement and tells how many rows it changed.
    pub fn execute(&mut self, sql: &'static str, params: &[Value]) -> Result<u64> {
        self.reader.execute(sql, params)
    }

    /// Runs a query and tells how many rows it changed.
    pub fn execute_query(&mut self, query: &Query) -> Result<u64> {
        self.reader.execute(query.text(), query.params())
    }

    /// Runs a statement that changes rows and answers them with `RETURNING`.
    pub fn returning(&mut self, sql: &'static str, params: &[Value]) -> Result<Vec<Row>> {
        self.reader.rows(sql, params)
    }

    /// Runs a query that changes rows and answers them with `RETURNING`.
    pub fn returning_query(&mut self, query: &Query) -> Result<Vec<Row>> {
        self.reader.rows(query.text(), query.params())
    }

    /// The state before and after, for the audit event. Never a secret.
    pub fn note(&mut self, before: Json, after: Json) {
        self.main.before = before;
        self.main.after = after;
    }

    /// The event is about this rather than what the permit was asked for: the thing that was made.
    pub fn about(&mut self, target: Target) {
        self.main.target = Some(target);
    }

    /// One more event of the same request and decision: something else that went with it.
    pub fn also(&mut self, action: Action, target: Target, before: Json, after: Json) {
        self.others.push(Noted { action: Some(action), target: Some(target), before, after });
    }

    /// The narrower power, in the same transaction: to queue a job, for one.
    pub fn bookkeeping(&mut self) -> Bookkeeping<'_> {
        Bookkeeping::new(self.reader.lend())
    }

    /// Raises the generation, where access changes, and appends the events. Gives the generation raised to.
    pub(crate) fn finish(&mut self, mac: &Mac) -> Result<Option<u64>> {
        let raised = if self.stamp.changes_access() {
            let sql = "UPDATE access_generation SET value = value + 1 RETURNING value";
            self.reader.rows(sql, &[])?.first().map(Row::only).transpose()?
        } else {
            None
        };
        let others = std::mem::take(&mut self.others);
        for noted in std::iter::once(std::mem::take(&mut self.main)).chain(others) {
            let event = self.stamp.event(self.reader.random(), noted);
            audit::append(&mut self.reader, &event, mac)?;
        }
        Ok(raised)
    }
}
