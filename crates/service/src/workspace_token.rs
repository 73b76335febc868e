//! The access tokens of a whole workspace in one list, with what should be looked at: for who administers many.

use std::collections::{BTreeMap, BTreeSet};

use model::{
    Action, Credential, CredentialId, Error, Holder, Resource, Result, Scope, ScopeSet, Timestamp, act,
};
use store::workspace_token::BoundToken;
use wire::query::FieldKind;

use crate::access::{RepositoryPath, credential_label};
use crate::access_token::TokenPlace;
use crate::effective::Selected;
use crate::select::{Field, select};
use crate::{Caller, Listing, RepositoryName, Service};

/// The fields by which tokens are filtered and sorted.
pub static WORKSPACE_TOKEN_FIELDS: [(&str, FieldKind); 9] = [
    ("name", FieldKind::Text),
    ("kind", FieldKind::Text),
    ("resource", FieldKind::Text),
    ("scopes", FieldKind::Text),
    ("creator", FieldKind::Text),
    ("creator_is_here", FieldKind::Bool),
    ("created_on", FieldKind::Time),
    ("expires_on", FieldKind::Time),
    ("last_used_on", FieldKind::Time),
];

/// A token that nobody used for so many days, and that is at least this old, should be looked at. What it was used
/// for is told by as many days, too.
const LOOKED_BACK_DAYS: i64 = 90;
/// A younger one may not have come to do all that it is for.
const SETTLED_DAYS: i64 = 30;
/// How many days before its end a token is pointed out.
const ENDS_SOON_DAYS: i64 = 14;
/// So many are revoked by one request at most.
const MOST_AT_ONCE: usize = 500;
const DAY: i64 = 86_400;

/// What should be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advice {
    /// It was not used for so many days, counted from when it was made where it never was.
    Unused {
        /// Since when.
        since: Timestamp,
    },
    /// It was used, but for nothing that needs these scopes.
    OverBroad {
        /// The scopes that it could do without.
        scopes: Vec<Scope>,
    },
    /// It does not end by itself.
    NoEnd,
    /// It ends within two weeks.
    EndsSoon {
        /// When.
        on: Timestamp,
    },
    /// Who made it is not an active member of the workspace any more. The token does not depend on them.
    CreatorGone,
}

/// An access token of the workspace.
#[derive(Clone, Debug)]
pub struct WorkspaceToken {
    /// The token.
    pub credential: Credential,
    /// What it is bound to, as `repository:acme/one`.
    pub resource: String,
    /// Who made it.
    pub creator: Option<String>,
    /// Whether they are an active member of the workspace.
    pub creator_is_here: bool,
    /// What should be looked at.
    pub advice: Vec<Advice>,
}

/// What became of a token that was to be revoked.
#[derive(Debug)]
pub enum Revocation {
    /// It is revoked.
    Done,
    /// It was not there any more, or never in this workspace.
    Gone,
    /// It still works, for this reason.
    Failed(Error),
}

/// Which scopes an action may require of a credential: those of every call that asks for the action.
pub type ScopesOfActions = BTreeMap<Action, ScopeSet>;

fn field(token: &WorkspaceToken, name: &str) -> Field {
    let time = |time: Option<Timestamp>| time.map_or(Field::Null, Field::Time);
    let credential = &token.credential;
    match name {
        "name" => Field::Text(credential.name.to_string()),
        "kind" => Field::Text(credential.kind.name().to_owned()),
        "resource" => Field::Text(token.resource.clone()),
        "scopes" => Field::Text(credential.scopes.names().join(" ")),
        "creator" => token.creator.clone().map_or(Field::Null, Field::Text),
        "creator_is_here" => Field::Bool(token.creator_is_here),
        "created_on" => Field::Time(credential.created_on),
        "expires_on" => time(credential.expires_on),
        _ => time(credential.last_used_on),
    }
}

/// The scopes that nothing which was done required, but for those that come with one which was required.
fn not_needed(held: ScopeSet, used: &[Action], scopes: &ScopesOfActions) -> Vec<Scope> {
    let required: BTreeSet<Scope> =
        used.iter().filter_map(|action| scopes.get(action)).flat_map(|set| set.iter()).collect();
    let needed: ScopeSet = held.iter().filter(|scope| required.contains(scope)).collect();
    let needed = needed.closed();
    held.iter().filter(|scope| !needed.contains(*scope)).collect()
}

fn advice(bound: &BoundToken, used: &[Action], scopes: &ScopesOfActions, now: Timestamp) -> Vec<Advice> {
    let token = &bound.credential;
    let older_than = |moment: Timestamp, days: i64| moment.plus_seconds(days * DAY) <= now;
    let mut advice = Vec::new();
    let since = token.last_used_on.unwrap_or(token.created_on);
    if older_than(since, LOOKED_BACK_DAYS) {
        advice.push(Advice::Unused { since });
    } else if older_than(token.created_on, SETTLED_DAYS) && !used.is_empty() {
        let scopes = not_needed(token.scopes, used, scopes);
        if !scopes.is_empty() {
            advice.push(Advice::OverBroad { scopes });
        }
    }
    match token.expires_on {
        None => advice.push(Advice::NoEnd),
        Some(on) if on <= now.plus_seconds(ENDS_SOON_DAYS * DAY) => advice.push(Advice::EndsSoon { on }),
        Some(_) => {}
    }
    if token.created_by.is_some() && !bound.creator_is_here {
        advice.push(Advice::CreatorGone);
    }
    advice
}

/// Where a token of the workspace lies, by ids.
fn place(token: &Credential, workspace: &str) -> Option<TokenPlace> {
    let Holder::Resource(resource, _) = token.holder else { return None };
    match resource {
        Resource::Repository(id) => {
            let repository = RepositoryName::Id(id);
            Some(TokenPlace::Repository(RepositoryPath { workspace: None, repository }))
        }
        Resource::Project(id) => Some(TokenPlace::Project(workspace.to_owned(), id.braced())),
        Resource::Workspace(_) => Some(TokenPlace::Workspace(workspace.to_owned())),
        Resource::Instance | Resource::User(_) => None,
    }
}

impl Service {
    /// The living access tokens of the workspace, its projects and its repositories that fit, newest first unless
    /// another order is asked for.
    pub async fn workspace_tokens(
        &self,
        caller: &Caller,
        workspace: &str,
        scopes: &ScopesOfActions,
        selected: Selected,
    ) -> Result<Listing<WorkspaceToken>> {
        let ground = self.workspace_ground(caller, workspace).await?;
        self.check(caller, act::AccessTokenList, &ground)?;
        let (id, now) = (ground.subject.id, self.clock.now());
        let since = now.plus_seconds(-LOOKED_BACK_DAYS * DAY).day();
        let (bound, mut used) = self
            .store
            .read(move |reader| {
                let bound = store::workspace_token::list(reader, id, now)?;
                let labels: Vec<String> =
                    bound.iter().map(|bound| credential_label(&bound.credential)).collect();
                let used = store::workspace_token::used_for(reader, &labels, since)?;
                Ok((bound, used))
            })
            .await?;
        let slug = &ground.subject.slug;
        let tokens = bound.into_iter().map(|bound| {
            let used = used.remove(&credential_label(&bound.credential)).unwrap_or_default();
            let used: Vec<Action> = used.iter().filter_map(|action| action.parse().ok()).collect();
            let kind = match bound.credential.holder {
                Holder::Resource(resource, _) => resource.kind().as_str(),
                Holder::User(_) => "user",
            };
            let resource = match &bound.name {
                Some(name) => format!("{kind}:{slug}/{name}"),
                None => format!("{kind}:{slug}"),
            };
            let advice = advice(&bound, &used, scopes, now);
            let BoundToken { credential, creator, creator_is_here, .. } = bound;
            WorkspaceToken { credential, resource, creator, creator_is_here, advice }
        });
        Ok(select(tokens.collect(), field, selected.filter.as_ref(), selected.sort, selected.window))
    }

    /// Revokes several access tokens of the workspace, its projects and its repositories: each by a decision and with
    /// a record of its own. Tells of each what became of it, in the order in which they were named: one that fails does
    /// not keep the others alive.
    pub async fn revoke_workspace_tokens(
        &self,
        caller: &Caller,
        workspace: &str,
        ids: &[CredentialId],
    ) -> Result<Vec<(CredentialId, Revocation)>> {
        let ground = self.workspace_ground(caller, workspace).await?;
        self.check(caller, act::AccessTokenRevoke, &ground)?;
        if ids.is_empty() || ids.len() > MOST_AT_ONCE {
            return Err(Error::invalid_field("uuids", format!("name between 1 and {MOST_AT_ONCE} tokens")));
        }
        let (id, now) = (ground.subject.id, self.clock.now());
        let bound = self.store.read(move |reader| store::workspace_token::list(reader, id, now)).await?;
        let places: BTreeMap<CredentialId, TokenPlace> = bound
            .iter()
            .filter_map(|bound| Some((bound.credential.id, place(&bound.credential, workspace)?)))
            .collect();
        let (mut told, mut done) = (BTreeSet::new(), Vec::new());
        for id in ids.iter().copied().filter(|id| told.insert(*id)) {
            let revocation = match places.get(&id) {
                None => Revocation::Gone,
                Some(place) => match self.revoke_access_token(caller, place, id).await {
                    Ok(()) => Revocation::Done,
                    Err(Error::NotFound { .. }) => Revocation::Gone,
                    Err(error) => Revocation::Failed(error),
                },
            };
            done.push((id, revocation));
        }
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use model::{CredentialKind, Random, RepositoryId, UserId, WorkspaceId};

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn days_ago(days: i64) -> Timestamp {
        Timestamp::from_micros((NOW - days * DAY) * 1_000_000)
    }

    fn bound(scopes: &str, made: i64, last_used: Option<i64>) -> BoundToken {
        let random = Random::seeded(1);
        let holder = Holder::Resource(RepositoryId::new(&random).into(), WorkspaceId::new(&random));
        let credential = Credential {
            id: CredentialId::new(&random),
            kind: CredentialKind::RepositoryAccessToken,
            name: "ci".parse().unwrap(),
            scopes: scopes.parse().unwrap(),
            holder,
            email: None,
            created_by: Some(UserId::new(&random)),
            created_on: days_ago(made),
            expires_on: Some(days_ago(-100)),
            last_used_on: last_used.map(days_ago),
            revoked_on: None,
        };
        BoundToken { credential, name: Some("one".to_owned()), creator: None, creator_is_here: true }
    }

    fn scopes() -> ScopesOfActions {
        let set = |text: &str| text.parse::<ScopeSet>().unwrap();
        BTreeMap::from([
            (Action::RepositoryClone, set("repository")),
            (Action::RepositoryPush, set("repository:write")),
            (Action::RepositoryDelete, set("repository:delete")),
        ])
    }

    fn advised(bound: &BoundToken, used: &[Action]) -> Vec<Advice> {
        advice(bound, used, &scopes(), days_ago(0))
    }

    #[test]
    fn what_nobody_uses_is_pointed_out() {
        assert_eq!(advised(&bound("repository", 89, None), &[]), []);
        assert_eq!(advised(&bound("repository", 90, None), &[]), [Advice::Unused { since: days_ago(90) }]);
        let stale = bound("repository", 500, Some(91));
        assert_eq!(advised(&stale, &[Action::RepositoryClone]), [Advice::Unused { since: days_ago(91) }]);
    }

    #[test]
    fn scopes_that_were_not_needed_are_pointed_out() {
        let broad = |scopes: &str, made, used: &[Action]| advised(&bound(scopes, made, Some(1)), used);
        let delete = Advice::OverBroad { scopes: vec!["repository:delete".parse().unwrap()] };
        let pushes = [Action::RepositoryPush];
        assert_eq!(broad("repository:write repository:delete", 31, &pushes), [delete]);
        // A young one may not have come to it yet; of one without any record nothing is known.
        assert_eq!(broad("repository:write repository:delete", 29, &pushes), []);
        assert_eq!(broad("repository:write repository:delete", 31, &[]), []);
        // What comes with a needed scope costs nothing.
        assert_eq!(broad("repository repository:write", 31, &pushes), []);
        let write = Advice::OverBroad { scopes: vec!["repository:write".parse().unwrap()] };
        assert_eq!(broad("repository:write", 31, &[Action::RepositoryClone]), [write]);
    }

    #[test]
    fn the_end_and_the_creator_are_looked_at() {
        let mut token = bound("repository", 1, None);
        token.credential.expires_on = None;
        token.creator_is_here = false;
        assert_eq!(advised(&token, &[]), [Advice::NoEnd, Advice::CreatorGone]);
        token.credential.expires_on = Some(days_ago(-14));
        assert_eq!(advised(&token, &[]), [Advice::EndsSoon { on: days_ago(-14) }, Advice::CreatorGone]);
        token.credential.expires_on = Some(days_ago(-15));
        assert_eq!(advised(&token, &[]), [Advice::CreatorGone]);
    }
}
