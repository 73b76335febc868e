//! Who is behind the addresses that commits carry. Nothing of what a commit says was checked, so this is a courtesy
//! to readers and never a reason to allow something.

use std::collections::{BTreeSet, HashMap};

use model::{Email, Result, User};

use crate::Service;

/// The accounts behind some commits' addresses.
#[derive(Clone, Debug, Default)]
pub struct People(HashMap<String, User>);

impl People {
    /// The account with this address, if there is one.
    #[must_use]
    pub fn with_email(&self, email: &str) -> Option<&User> {
        self.0.get(&email.to_lowercase())
    }
}

impl Service {
    /// The accounts behind addresses; each is looked for once.
    pub(crate) async fn people<'a>(&self, emails: impl Iterator<Item = &'a str>) -> Result<People> {
        let wanted: BTreeSet<String> = emails.map(str::to_lowercase).collect();
        let wanted: Vec<Email> = wanted.iter().filter_map(|email| email.parse().ok()).collect();
        if wanted.is_empty() {
            return Ok(People::default());
        }
        self.store
            .read(move |reader| {
                let mut people = HashMap::new();
                for email in &wanted {
                    if let Some(user) = store::user::find_by_email(reader, email)? {
                        people.insert(email.folded(), user);
                    }
                }
                Ok(People(people))
            })
            .await
    }
}
