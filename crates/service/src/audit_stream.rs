//! The audit trail as it grows: events in the ledger's order, to readers who stay.
//!
//! A place in the ledger is what a reader goes on from after a break, so that nothing is lost or told twice. Events
//! have theirs within a second. Whether the reader may still read is asked again whenever access has changed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::{AuditEvent, Error, Result};
use serde_json::json;
use store::audit_filter::Filter;

use crate::audit::{AuditQuery, Readable, Trail};
use crate::{Caller, Identity, Service};

/// How often the ledger is looked at.
const TICK: Duration = Duration::from_millis(500);
/// How many places are looked at in one step.
const WINDOW: u64 = 500;
/// The most readers of one process, and of one principal.
const READERS: usize = 64;
const READERS_EACH: usize = 8;

/// Who reads along now.
#[derive(Clone, Default)]
pub(crate) struct Readers(Arc<Mutex<BTreeMap<String, usize>>>);

/// One reader's place among them, given back when dropped.
struct Place {
    readers: Readers,
    who: String,
}

impl Readers {
    fn enter(&self, who: String) -> Result<Place> {
        let mut readers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = readers.values().sum();
        let own = readers.get(&who).copied().unwrap_or(0);
        if all >= READERS || own >= READERS_EACH {
            return Err(Error::TooManyRequests { retry_after: 60 });
        }
        readers.insert(who.clone(), own.saturating_add(1));
        drop(readers);
        Ok(Place { readers: self.clone(), who })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut readers = self.readers.0.lock().unwrap_or_else(PoisonError::into_inner);
        match readers.get_mut(&self.who) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(readers.remove(&self.who)),
        }
    }
}

/// A reader who stays.
pub struct AuditStream {
    service: Service,
    caller: Caller,
    workspace: Option<String>,
    query: AuditQuery,
    filter: Filter,
    /// The next place that is looked at.
    next: u64,
    /// The generation of access under which the reader was last asked.
    generation: u64,
    ticks: tokio::time::Interval,
    _place: Place,
}

impl Service {
    /// Begins to read along: from behind the place `after`, or from the ledger's present end. That it was begun is
    /// recorded.
    pub async fn audit_stream(
        &self,
        caller: &Caller,
        trail: Trail<'_>,
        query: AuditQuery,
        after: Option<u64>,
    ) -> Result<AuditStream> {
        let Readable { target, filter } = self.readable(caller, trail, &query).await?;
        let place = self.readers.enter(caller.label())?;
        let (generation, size) = self
            .store
            .read(|reader| Ok((reader.generation()?, store::sequence::frontier(reader)?.size())))
            .await?;
        let next = match after {
            Some(after) if after < size => after.saturating_add(1),
            Some(after) => {
                return Err(Error::invalid(format!(
                    "the ledger has no place `{after}` yet: begin without one"
                )));
            }
            None => size,
        };
        self.record_reading(caller, &target, &query, json!({ "stream_from": next })).await?;
        let workspace = match trail {
            Trail::Workspace(name) => Some(name.to_owned()),
            Trail::Instance => None,
        };
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        Ok(AuditStream {
            service: self.clone(),
            caller: caller.clone(),
            workspace,
            query,
            filter,
            next,
            generation,
            ticks,
            _place: place,
        })
    }

    /// The same caller as the store knows them now; none when the credential or the account opens nothing any more.
    async fn renewed(&self, caller: &Caller) -> Result<Option<Caller>> {
        let (credential, user) =
            (caller.credential().map(|one| one.id), caller.as_user().map(|user| user.id));
        let now = self.clock.now();
        let (credential, user) = self
            .store
            .read(move |reader| {
                let credential =
                    credential.map(|id| store::credential::find(reader, id)).transpose()?.flatten();
                let user = user.map(|id| store::user::find(reader, id)).transpose()?.flatten();
                Ok((credential, user))
            })
            .await?;
        let credential = credential.filter(|credential| credential.is_live(now)).map(Arc::new);
        if caller.credential().is_some() && credential.is_none() {
            return Ok(None);
        }
        Ok(match (caller.identity(), user, credential) {
            (Identity::User(_), Some(user), credential) => user.active.then(|| Caller {
                required: caller.required,
                ..Caller::user(Arc::new(user), credential, caller)
            }),
            (Identity::AccessToken(_), _, Some(token)) => {
                Some(Caller { required: caller.required, ..Caller::access_token(token, caller) })
            }
            (Identity::Operator, ..) => Some(caller.clone()),
            _ => None,
        })
    }
}

impl AuditStream {
    /// The place before the next that is looked at: what the reader goes on from.
    #[must_use]
    pub fn position(&self) -> Option<u64> {
        self.next.checked_sub(1)
    }

    /// The next events with their places, after at most half a second; an empty list where there are none. `None`
    /// when the reader may not read any more.
    pub async fn step(&mut self) -> Result<Option<Vec<(u64, AuditEvent)>>> {
        self.ticks.tick().await;
        if self.caller.credential().is_some_and(|one| !one.is_live(self.service.clock.now())) {
            return Ok(None);
        }
        let (filter, next) = (self.filter.clone(), self.next);
        let (generation, found, next) = self
            .service
            .store
            .read(move |reader| {
                let generation = reader.generation()?;
                let (found, next) = store::audit_filter::placed(reader, &filter, next, WINDOW)?;
                Ok((generation, found, next))
            })
            .await?;
        if generation != self.generation && !self.still_may().await? {
            return Ok(None);
        }
        self.generation = generation;
        // More waits: it is not made to wait for the next look.
        if next.saturating_sub(self.next) >= WINDOW {
            self.ticks.reset_immediately();
        }
        self.next = next;
        let events = found.iter().map(|(index, stored)| Ok((*index, stored.event()?)));
        events.collect::<Result<_>>().map(Some)
    }

    async fn still_may(&mut self) -> Result<bool> {
        let Some(caller) = self.service.renewed(&self.caller).await? else { return Ok(false) };
        let trail = self.workspace.as_deref().map_or(Trail::Instance, Trail::Workspace);
        match self.service.readable(&caller, trail, &self.query).await {
            Ok(readable) => {
                (self.caller, self.filter) = (caller, readable.filter);
                Ok(true)
            }
            Err(Error::Internal(cause)) => Err(Error::Internal(cause)),
            Err(_) => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_for_each_and_for_all_and_are_given_back() {
        let readers = Readers::default();
        let own: Vec<_> = (0..READERS_EACH).map(|_| readers.enter("user:ann".to_owned()).unwrap()).collect();
        assert!(readers.enter("user:ann".to_owned()).is_err());
        let others: Vec<_> =
            (READERS_EACH..READERS).map(|n| readers.enter(format!("user:{n}")).unwrap()).collect();
        assert!(readers.enter("user:one-more".to_owned()).is_err());
        drop(own);
        assert!(readers.enter("user:ann".to_owned()).is_ok());
        drop(others);
        assert!(readers.0.lock().unwrap().is_empty());
    }
}
