//! Warnings before a credential ends: mailed fourteen, seven and one day before, once each, to who made it while they are
//! still there, else to the owners of the workspace.
//!
//! It is looked once a day, so a warning goes out up to a day earlier than its number says, and never later.

use std::collections::{BTreeMap, BTreeSet};

use model::{Credential, Email, Holder, Result, Timestamp};
use store::token_warning::EndingCredential;

use crate::Service;
use crate::mail::letter::{self, Ending};

/// How many days before the end.
const DAYS: [i64; 3] = [1, 7, LONGEST];
const LONGEST: i64 = 14;
const DAY: i64 = 86_400;
/// So many are looked at in one go.
const MOST: i64 = 500;
/// The lease's name, and how long nobody else looks: most of the day until it is due again.
const LEASE: &str = "token-warnings";
const LEASE_SECONDS: i64 = 23 * 3_600;

/// Which warning is due now, where one is.
fn due(credential: &Credential, warned: Option<i64>, now: Timestamp) -> Option<i64> {
    let end = credential.expires_on?.seconds();
    let (left, life) = (end - now.seconds(), end - credential.created_on.seconds());
    let days = DAYS.into_iter().find(|days| left < (days + 1) * DAY)?;
    // What was made to live no longer than that surprises nobody.
    (life > (days + 1) * DAY && warned.is_none_or(|warned| days < warned)).then_some(days)
}

impl Service {
    /// Looks, unless another process has looked today or there is no mail server.
    pub(crate) async fn warn_of_ends(&self) -> Result<()> {
        if !self.has_mail() {
            return Ok(());
        }
        let holder = self.holder.clone();
        let ours = self.store.keep(move |books| store::lease::take(books, LEASE, &holder, LEASE_SECONDS));
        if !ours.await? {
            return Ok(());
        }
        let now = self.clock.now();
        let mut offset = 0;
        loop {
            let until = now.plus_seconds((LONGEST + 1) * DAY);
            let found = self
                .store
                .read(move |reader| store::token_warning::ending(reader, now, until, MOST, offset))
                .await?;
            let more = i64::try_from(found.len()).unwrap_or(0) == MOST;
            self.warn_of(found, now).await?;
            if !more {
                return Ok(());
            }
            offset += MOST;
        }
    }

    /// One message for each address, about everything of theirs that is due; noted in the transaction that queues it.
    async fn warn_of(&self, found: Vec<EndingCredential>, now: Timestamp) -> Result<()> {
        let due: Vec<(EndingCredential, i64)> = found
            .into_iter()
            .filter_map(|one| due(&one.credential, one.warned_days, now).map(|days| (one, days)))
            .collect();
        if due.is_empty() {
            return Ok(());
        }
        let (outbox, base) = (self.outbox.clone(), self.settings.base_url.clone());
        self.store
            .keep(move |books| {
                let mut owners: BTreeMap<_, BTreeSet<Email>> = BTreeMap::new();
                let mut told: BTreeMap<Email, Vec<Ending>> = BTreeMap::new();
                for (one, days) in &due {
                    let to = match (&one.to, one.credential.holder) {
                        (Some(to), _) => BTreeSet::from([to.clone()]),
                        (None, Holder::Resource(_, workspace)) => match owners.get(&workspace) {
                            Some(known) => known.clone(),
                            None => {
                                let found = store::token_warning::owners(books, workspace)?;
                                let found: BTreeSet<Email> =
                                    found.into_iter().map(|(_, email)| email).collect();
                                owners.insert(workspace, found.clone());
                                found
                            }
                        },
                        (None, Holder::User(_)) => BTreeSet::new(),
                    };
                    for to in to {
                        told.entry(to).or_default().push(ending(one));
                    }
                    store::token_warning::note_warned(books, &one.credential, *days)?;
                }
                for (to, list) in &told {
                    outbox.queue(books, &letter::credentials_end(to, list, &base))?;
                }
                Ok(())
            })
            .await
    }
}

fn ending(one: &EndingCredential) -> Ending {
    Ending {
        name: one.credential.name.to_string(),
        kind: one.credential.kind.name().replace('_', " "),
        place: one.place.clone(),
        on: one.credential.expires_on.map(|on| on.to_string()).unwrap_or_default(),
    }
}
