//! Looking through the trail and the daily counts for what stands out, and raising alerts of it: one for each pattern,
//! subject and day, so many of each at most, recorded in the trail and mailed to who can do something about it.
//!
//! Events are gone through once, in the ledger's order, from where it was last looked; the day's counts anew each time.
//! What was raised already is not raised again, so a crash in between repeats nothing and loses nothing.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use ipnet::IpNet;
use model::{
    Alert, AlertId, AlertPattern, AuditEvent, Email, Error, RequestId, Resource, Result, WorkspaceId, act,
};
use policy::{InternalReason, Target};
use serde_json::{Value, json};
use store::Writer;
use store::alert::UsedFrom;
use store::audit_filter::Filter;

use crate::alert_pattern::{Finding, findings};
use crate::mail::letter;
use crate::{Caller, Service};

/// The lease's name, and how long another process waits for one that is gone.
const LEASE: &str = "alerts";
const LEASE_SECONDS: i64 = 120;
/// How many places of the ledger are looked at in one go, and how often in one round.
const WINDOW: u64 = 500;
const WINDOWS: usize = 20;
/// So many alerts of one pattern are raised in a day for a workspace, or for the instance; and so many of them are mailed.
const MOST: usize = 50;
const MOST_MAILED: usize = 10;
/// So many refusals of one credential in a day stand out.
const REFUSALS: i64 = 50;
/// So many repositories read by one actor in a day stand out, unless they read half as many on one of the days before.
const READ: i64 = 50;
const HABIT_DAYS: i64 = 30;
/// What is used from more networks than this is used from everywhere: another one tells nothing.
const ROAMING: usize = 10;
/// So many sums, and so many rows, of the daily counts are looked at in one round.
const SUMS: i64 = 1_000;
const ROWS: i64 = 20_000;
/// So many networks are remembered as looked at.
const REMEMBERED: usize = 50_000;
/// So long after midnight the day before is still looked at: counts come a few seconds late.
const LATE_SECONDS: i64 = 60;
/// So many people are told of one alert.
const MOST_TOLD: i64 = 50;

/// The network that an address stands for: what a provider gives to one customer.
fn network(address: &str) -> Option<IpNet> {
    let address = address.parse::<IpAddr>().ok()?.to_canonical();
    IpNet::new(address, if address.is_ipv4() { 24 } else { 48 }).ok().map(|network| network.trunc())
}

/// A credential in a workspace, from a network.
type Sighting = (WorkspaceId, String, IpNet);

/// What was looked at on a day and need not be again.
#[derive(Default)]
pub(crate) struct LookedAt(Mutex<(i64, HashSet<Sighting>)>);

impl LookedAt {
    /// Whether this is new today. What is beyond the bound is looked at each time.
    fn is_new(&self, day: i64, sighting: Sighting) -> bool {
        let mut today = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if today.0 != day {
            *today = (day, HashSet::new());
        }
        match today.1.len() >= REMEMBERED {
            true => !today.1.contains(&sighting),
            false => today.1.insert(sighting),
        }
    }
}

fn listed(networks: &BTreeSet<IpNet>) -> String {
    let some: Vec<String> = networks.iter().take(5).map(ToString::to_string).collect();
    let more = networks.len().saturating_sub(some.len());
    if more == 0 { some.join(", ") } else { format!("{} and {more} more", some.join(", ")) }
}

impl Service {
    /// Looks for what stands out, unless another process does.
    pub(crate) async fn watch(&self) -> Result<()> {
        let holder = self.holder.clone();
        let ours = self.store.keep(move |books| store::lease::take(books, LEASE, &holder, LEASE_SECONDS));
        if !ours.await? {
            return Ok(());
        }
        self.watch_events().await?;
        let now = self.clock.now();
        for day in BTreeSet::from([now.plus_seconds(-LATE_SECONDS).day(), now.day()]) {
            self.watch_counts(day).await?;
        }
        Ok(())
    }

    async fn watch_events(&self) -> Result<()> {
        for _ in 0..WINDOWS {
            let (from, placed, next) = self
                .store
                .read(|reader| {
                    let from = store::alert::next(reader)?;
                    let (placed, next) =
                        store::audit_filter::placed(reader, &Filter::default(), from, WINDOW)?;
                    Ok((from, placed, next))
                })
                .await?;
            if next == from || *self.stopping.borrow() {
                return Ok(());
            }
            // An event that cannot be read is for `verify` to find.
            let events = placed.iter().filter_map(|(_, stored)| AuditEvent::from_bytes(&stored.bytes).ok());
            self.raise(events.flat_map(|event| findings(&event)).collect()).await?;
            self.store.keep(move |books| store::alert::looked_at(books, next)).await?;
        }
        Ok(())
    }

    async fn watch_counts(&self, day: i64) -> Result<()> {
        let (refused, read, used) = self
            .store
            .read(move |reader| {
                Ok((
                    store::alert::refused(reader, day, REFUSALS, SUMS)?,
                    store::alert::readers(reader, day, READ, SUMS)?,
                    store::alert::used_from(reader, day, ROWS)?,
                ))
            })
            .await?;
        let mut found = Vec::new();
        for sum in refused {
            let subject = if sum.credential.is_empty() { sum.actor.clone() } else { sum.credential };
            let told =
                format!("{} was refused {REFUSALS} times or more in a day, with {subject}.", sum.actor);
            let (workspace, pattern) = (sum.workspace, AlertPattern::ManyRefusals);
            found.push(Finding { workspace, pattern, subject, day, told });
        }
        for sum in read {
            let of = sum.clone();
            let before = self
                .store
                .read(move |reader| store::alert::most_read(reader, &of, day - HABIT_DAYS, day))
                .await?;
            if before.saturating_mul(2) <= sum.count {
                let told = format!(
                    "{} read {READ} repositories or more in a day; in the {HABIT_DAYS} days before, {before} in a day at most.",
                    sum.actor
                );
                let (workspace, pattern) = (sum.workspace, AlertPattern::MassRead);
                found.push(Finding { workspace, pattern, subject: sum.actor, day, told });
            }
        }
        found.extend(self.unseen_networks(day, used).await?);
        self.raise(found).await
    }

    async fn unseen_networks(&self, day: i64, used: Vec<UsedFrom>) -> Result<Vec<Finding>> {
        let mut today: BTreeMap<(WorkspaceId, String), (String, BTreeSet<IpNet>)> = BTreeMap::new();
        let mut sightings = Vec::new();
        for from in used {
            let Some(network) = network(&from.address) else { continue };
            sightings.push((from.workspace, from.credential.clone(), network));
            let entry = today.entry((from.workspace, from.credential));
            entry.or_insert_with(|| (from.actor, BTreeSet::new())).1.insert(network);
        }
        let fresh: BTreeSet<(WorkspaceId, String)> = sightings
            .into_iter()
            .filter(|sighting| self.looked_at.is_new(day, sighting.clone()))
            .map(|(workspace, credential, _)| (workspace, credential))
            .collect();
        let mut found = Vec::new();
        for (key, (actor, networks)) in today {
            if !fresh.contains(&key) {
                continue;
            }
            let (workspace, credential) = key;
            let of = credential.clone();
            let known = self
                .store
                .read(move |reader| store::alert::known_from(reader, workspace, &of, day, SUMS))
                .await?;
            let known: BTreeSet<IpNet> = known.iter().filter_map(|address| network(address)).collect();
            let new: BTreeSet<IpNet> = networks.difference(&known).copied().collect();
            let told = match (known.len(), new.len()) {
                // The first network of all is where it belongs.
                (_, 0) | (0, 1) => continue,
                (0, _) => format!("on its first day from {}", listed(&new)),
                (before, _) if before > ROAMING => continue,
                (_, _) => format!("from {}, before from {}", listed(&new), listed(&known)),
            };
            found.push(Finding {
                workspace: Some(workspace),
                pattern: AlertPattern::UnseenNetwork,
                told: format!("{credential} of {actor} was used where it was not seen before: {told}."),
                subject: credential,
                day,
            });
        }
        Ok(found)
    }

    /// Raises what was not raised yet, as far as the bounds go.
    async fn raise(&self, found: Vec<Finding>) -> Result<()> {
        let mut raised: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
        for finding in found {
            let (workspace, pattern, day) = (finding.workspace, finding.pattern, finding.day);
            let subjects = match raised.entry((workspace, pattern, day)) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => {
                    let known = self
                        .store
                        .read(move |reader| store::alert::subjects(reader, workspace, pattern, day))
                        .await?;
                    unknown.insert(known.into_iter().collect())
                }
            };
            if subjects.len() < MOST && subjects.insert(finding.subject.clone()) {
                let mailed = subjects.len() <= MOST_MAILED;
                self.raise_one(finding, mailed).await?;
            }
        }
        Ok(())
    }

    async fn raise_one(&self, finding: Finding, mailed: bool) -> Result<()> {
        let workspace = finding.workspace;
        let alert = Alert {
            id: AlertId::new(&self.random),
            workspace,
            pattern: finding.pattern,
            subject: finding.subject,
            day: finding.day,
            told: finding.told,
            raised_on: self.clock.now(),
            acknowledged: None,
        };
        let target = Target {
            resource: workspace.map_or(Resource::Instance, Resource::Workspace),
            label: format!("alert:{}", alert.pattern),
            workspace,
        };
        let request = Caller::operator(RequestId::new(&self.random));
        let permit = self.internal::<act::Upkeep>(InternalReason::Alert, &request, target);
        let (outbox, base) = (self.outbox.clone(), self.settings.base_url.clone());
        let raised = self
            .store
            .write(&permit, move |writer| {
                let place = match workspace {
                    Some(id) => {
                        let found = store::workspace::find(writer, id)?;
                        // Where it was deleted meanwhile, there is nobody to tell.
                        Some(found.ok_or_else(|| Error::not_found("the workspace"))?.slug.to_string())
                    }
                    None => None,
                };
                store::alert::insert(writer, &alert)?;
                if mailed && outbox.is_on() {
                    for to in told_people(writer, workspace)? {
                        let message = letter::alert(&to, &alert, place.as_deref(), &base);
                        outbox.queue(&mut writer.bookkeeping(), &message)?;
                    }
                }
                let after = json!({
                    "alert": alert.id, "pattern": alert.pattern.as_str(), "subject": alert.subject,
                    "message": alert.told,
                });
                writer.note(Value::Null, after);
                Ok(())
            })
            .await;
        match raised {
            Err(Error::NotFound { .. }) => Ok(()),
            other => other,
        }
    }
}

/// Who is told: a workspace's owners, or the administrators of the instance.
fn told_people(writer: &mut Writer<'_>, workspace: Option<WorkspaceId>) -> Result<Vec<Email>> {
    let most = usize::try_from(MOST_TOLD).map_err(Error::internal)?;
    Ok(match workspace {
        Some(id) => {
            store::token_warning::owners(writer, id)?.into_iter().map(|(_, email)| email).take(most).collect()
        }
        None => store::user::administrators(writer, MOST_TOLD)?.into_iter().map(|user| user.email).collect(),
    })
}

#[cfg(test)]
mod tests;
