//! Access tokens: made by an administrator of a repository, project or workspace, bound to it, and independent of that
//! person ever after.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{
    Action, Credential, CredentialId, CredentialKind, DisplayName, Error, GuardrailMode, Holder, ProjectId,
    RepositoryId, Resource, Result, Scope, ScopeSet, SecretHash, Timestamp, Token, User, UserId, Workspace,
    act,
};
use policy::{ResourceFacts, Target};
use serde_json::{Value, json};

use crate::access::{Ground, RepositoryPath};
use crate::access_question::usual_scopes;
use crate::{Caller, Listing, Service, Window};

/// What is needed to make a credential of whatever kind.
pub struct NewCredential {
    /// The name to tell it by.
    pub name: DisplayName,
    /// The scopes' texts.
    pub scopes: Vec<String>,
    /// When it ends by itself.
    pub expires_on: Option<Timestamp>,
}

/// A new credential, with the secret that is shown this once.
pub struct Minted {
    /// The credential.
    pub credential: Credential,
    /// Its secret.
    pub token: Token,
}

/// What an access token is bound to.
#[derive(Clone, Debug)]
pub enum TokenPlace {
    /// A repository.
    Repository(RepositoryPath),
    /// A project, by its workspace and key or id.
    Project(String, String),
    /// A workspace.
    Workspace(String),
}

struct Place {
    ground: Ground<()>,
    resource: Resource,
    kind: CredentialKind,
    workspace: Workspace,
}

fn place<T>(ground: &Ground<T>, kind: CredentialKind, workspace: &Workspace) -> Place {
    let resource = ground.target.resource;
    let ground = Ground {
        subject: (),
        facts: ground.facts,
        grants: ground.grants.clone(),
        guard: Arc::clone(&ground.guard),
        break_glass: ground.break_glass,
        target: ground.target.clone(),
    };
    Place { ground, resource, kind, workspace: workspace.clone() }
}

/// More credentials than this in one place are a mistake.
const MOST: i64 = 1_000;

/// The longest time for which a token and its successor both work: 30 days, in seconds.
const LONGEST_OVERLAP: u32 = 30 * 86_400;

/// The scopes that a request names, which this kind of credential may hold.
pub(crate) fn scopes(kind: CredentialKind, names: &[String]) -> Result<ScopeSet> {
    if names.is_empty() {
        return Err(Error::invalid_field("scopes", "name at least one scope"));
    }
    let mut set = ScopeSet::NONE;
    for name in names.iter().take(200) {
        let scope: Scope = name
            .parse()
            .map_err(|_| Error::invalid_field("scopes", format!("there is no scope `{name}`")))?;
        if !kind.may_hold().contains(scope) {
            return Err(Error::invalid_field(
                "scopes",
                format!("`{scope}` is not a scope that this kind of credential can hold"),
            ));
        }
        set = set.with([scope].into_iter().collect());
    }
    Ok(set)
}

/// Whether a credential may end then: in the future, and no later than `longest_days` from now where that is given.
pub(crate) fn expiry(expires_on: Option<Timestamp>, longest_days: Option<i64>, now: Timestamp) -> Result<()> {
    if expires_on.is_some_and(|end| end <= now) {
        return Err(Error::invalid_field("expires_on", "choose a time in the future"));
    }
    let Some(days) = longest_days else { return Ok(()) };
    // Whole days are counted, so that "90 days from now" works however the client counts.
    let latest = now.plus_seconds((days + 1) * 86_400);
    match expires_on {
        Some(end) if end < latest => Ok(()),
        Some(_) => {
            Err(Error::invalid_field("expires_on", format!("this workspace allows at most {days} days")))
        }
        None => Err(Error::invalid_field(
            "expires_on",
            format!("this workspace asks for an expiry, at most {days} days away"),
        )),
    }
}

/// Keeps a new access token, unless there are too many already, by whatever way they came.
fn insert(writer: &mut store::Writer<'_>, made: &Credential, hash: &SecretHash) -> Result<()> {
    let (_, living) = store::credential::list(writer, made.holder, made.kind, 1, 0)?;
    if living >= MOST {
        return Err(Error::Conflict(format!("there are {MOST} living tokens here: revoke some first")));
    }
    store::credential::insert(writer, made, hash)
}

/// What the audit trail says of a credential: never its secret, nor the secret's hash.
pub(crate) fn shown(credential: &Credential) -> Value {
    json!({
        "id": credential.id.braced(), "kind": credential.kind.name(), "name": credential.name,
        "scopes": credential.scopes.names(), "expires_on": credential.expires_on,
    })
}

impl Service {
    async fn token_place(&self, caller: &Caller, on: &TokenPlace) -> Result<Place> {
        match on {
            TokenPlace::Repository(path) => {
                let ground = self.repository_ground(caller, path).await?;
                Ok(place(&ground, CredentialKind::RepositoryAccessToken, &ground.subject.workspace))
            }
            TokenPlace::Project(workspace, project) => {
                let ground = self.project_ground(caller, workspace, project).await?;
                Ok(place(&ground, CredentialKind::ProjectAccessToken, &ground.subject.0))
            }
            TokenPlace::Workspace(workspace) => {
                let ground = self.workspace_ground(caller, workspace).await?;
                Ok(place(&ground, CredentialKind::WorkspaceAccessToken, &ground.subject))
            }
        }
    }

    /// The living access tokens of a resource, newest first.
    pub async fn access_tokens(
        &self,
        caller: &Caller,
        on: &TokenPlace,
        window: Window,
    ) -> Result<Listing<Credential>> {
        let place = self.token_place(caller, on).await?;
        self.check(caller, act::AccessTokenList, &place.ground)?;
        let holder = Holder::Resource(place.resource, place.workspace.id);
        let (values, size) = self
            .store
            .read(move |reader| {
                store::credential::list(reader, holder, place.kind, window.limit, window.offset)
            })
            .await?;
        Ok(Listing::new(values, size))
    }

    /// One living access token of a resource, by its id.
    pub async fn access_token(
        &self,
        caller: &Caller,
        on: &TokenPlace,
        id: CredentialId,
    ) -> Result<Credential> {
        let place = self.token_place(caller, on).await?;
        self.check(caller, act::AccessTokenList, &place.ground)?;
        let holder = Holder::Resource(place.resource, place.workspace.id);
        let found = self.store.read(move |reader| store::credential::find(reader, id)).await?;
        found
            .filter(|token| token.holder == holder && token.is_live(self.clock.now()))
            .ok_or_else(|| Error::not_found("the access token"))
    }

    /// Who made these access tokens, by the makers' ids, for whoever may list them: whose account is gone is missing.
    pub async fn makers(
        &self,
        caller: &Caller,
        on: &TokenPlace,
        tokens: &[Credential],
    ) -> Result<BTreeMap<UserId, User>> {
        let place = self.token_place(caller, on).await?;
        self.check(caller, act::AccessTokenList, &place.ground)?;
        let ids: BTreeSet<UserId> = tokens.iter().filter_map(|token| token.created_by).collect();
        self.store
            .read(move |reader| {
                let mut makers = BTreeMap::new();
                for id in ids {
                    makers.extend(store::user::find(reader, id)?.map(|user| (id, user)));
                }
                Ok(makers)
            })
            .await
    }

    /// What an access token with these scopes would be able to do, and what not: every action on what it would be bound
    /// to, and on a private project and repository in it, asked of the access model as if the token asked. Scopes that
    /// it may not hold count for nothing.
    pub async fn token_abilities(
        &self,
        caller: &Caller,
        on: &TokenPlace,
        names: &[String],
    ) -> Result<Vec<(Action, bool)>> {
        let place = self.token_place(caller, on).await?;
        self.check(caller, act::AccessTokenList, &place.ground)?;
        let held: ScopeSet = names.iter().filter_map(|name| name.parse::<Scope>().ok()).collect();
        let held = held.iter().filter(|scope| place.kind.may_hold().contains(*scope)).collect();
        let token = Credential {
            id: CredentialId::new(&self.random),
            kind: place.kind,
            name: "preview".parse().map_err(Error::internal)?,
            scopes: held,
            holder: Holder::Resource(place.resource, place.workspace.id),
            email: None,
            created_by: None,
            created_on: self.clock.now(),
            expires_on: None,
            last_used_on: None,
            revoked_on: None,
        };
        let nobody = Caller::anonymous(caller.address(), caller.request_id());
        let asker = Caller::access_token(Arc::new(token), &nobody);
        let mut abilities = Vec::new();
        for ground in self.grounds_below(&place) {
            let kind = ground.target.resource.kind();
            for action in Action::ALL.iter().filter(|action| action.resources().contains(&kind)) {
                let asker = asker.clone().requiring(usual_scopes(*action));
                abilities.push((*action, self.decide(&asker, *action, &ground).allowed));
            }
        }
        Ok(abilities)
    }

    /// The place itself, and one of everything that may lie in it.
    fn grounds_below(&self, place: &Place) -> Vec<Ground<()>> {
        let workspace = place.workspace.id;
        let at = |resource: Resource, facts: ResourceFacts| Ground {
            subject: (),
            facts,
            grants: Vec::new(),
            // What its scopes open; from where and until when it will be used is not known yet.
            guard: self.guards.none(),
            break_glass: None,
            target: Target { resource, label: String::new(), workspace: Some(workspace) },
        };
        let project = match place.resource {
            Resource::Project(id) => id,
            _ => ProjectId::new(&self.random),
        };
        let repository = RepositoryId::new(&self.random);
        let of_project = ResourceFacts::Project { id: project, workspace, private: true };
        let of_repository = ResourceFacts::Repository { id: repository, project, workspace, private: true };
        let mut grounds = vec![at(place.resource, place.ground.facts)];
        if matches!(place.resource, Resource::Workspace(_)) {
            grounds.push(at(project.into(), of_project));
        }
        if !matches!(place.resource, Resource::Repository(_)) {
            grounds.push(at(repository.into(), of_repository));
        }
        grounds
    }

    /// Makes an access token. Its secret is in the answer and nowhere else.
    pub async fn create_access_token(
        &self,
        caller: &Caller,
        on: &TokenPlace,
        new: NewCredential,
    ) -> Result<Minted> {
        let place = self.token_place(caller, on).await?;
        let permit = self.permit(caller, act::AccessTokenCreate, &place.ground)?;
        let now = self.clock.now();
        let scopes = scopes(place.kind, &new.scopes)?;
        if scopes.is_wide() {
            self.must_have_stepped_up(caller)?;
        }
        expiry(new.expires_on, place.ground.guard.longest_days(GuardrailMode::On), now)?;
        let id = CredentialId::new(&self.random);
        let token = Token::new(place.kind, &self.random);
        let credential = Credential {
            id,
            kind: place.kind,
            name: new.name,
            scopes,
            holder: Holder::Resource(place.resource, place.workspace.id),
            email: Some(self.bot_address(id)),
            created_by: caller.as_user().map(|user| user.id),
            created_on: now,
            expires_on: new.expires_on,
            last_used_on: None,
            revoked_on: None,
        };
        let (made, hash) = (credential.clone(), token.hash());
        self.store
            .write(&permit, move |writer| {
                insert(writer, &made, &hash)?;
                writer.note(Value::Null, shown(&made));
                Ok(())
            })
            .await?;
        Ok(Minted { credential, token })
    }

    /// Makes a successor with the same name and scopes, and lets the old token end after `overlap` seconds, so that
    /// whoever holds it can change over. The successor lives as long as the old one was made for, unless an end is given.
    /// It is a making and a revocation: both are decided, and both leave a record of their own.
    pub async fn rotate_access_token(
        &self,
        caller: &Caller,
        on: &TokenPlace,
        id: CredentialId,
        overlap: u32,
        expires_on: Option<Timestamp>,
    ) -> Result<Minted> {
        let place = self.token_place(caller, on).await?;
        let permit = self.permit(caller, act::AccessTokenCreate, &place.ground)?;
        let ending = self.permit(caller, act::AccessTokenRevoke, &place.ground)?;
        if overlap > LONGEST_OVERLAP {
            let days = LONGEST_OVERLAP / 86_400;
            return Err(Error::invalid_field(
                "overlap_seconds",
                format!("at most {LONGEST_OVERLAP}: {days} days"),
            ));
        }
        let (now, holder) = (self.clock.now(), Holder::Resource(place.resource, place.workspace.id));
        let living = move |found: Option<Credential>| {
            found
                .filter(|token| token.holder == holder && token.is_live(now))
                .ok_or_else(|| Error::not_found("the access token"))
        };
        let old = living(self.store.read(move |reader| store::credential::find(reader, id)).await?)?;
        if old.scopes.is_wide() {
            self.must_have_stepped_up(caller)?;
        }
        let life = old.expires_on.map(|end| end.seconds() - old.created_on.seconds());
        let expires_on = expires_on.or_else(|| life.map(|seconds| now.plus_seconds(seconds)));
        expiry(expires_on, place.ground.guard.longest_days(GuardrailMode::On), now)?;
        let new = CredentialId::new(&self.random);
        let token = Token::new(place.kind, &self.random);
        let credential = Credential {
            id: new,
            email: Some(self.bot_address(new)),
            created_by: caller.as_user().map(|user| user.id),
            created_on: now,
            expires_on,
            last_used_on: None,
            ..old
        };
        let (made, hash, end) = (credential.clone(), token.hash(), now.plus_seconds(overlap.into()));
        self.store
            .write(&permit, move |writer| {
                let old = living(store::credential::find(writer, id)?)?;
                insert(writer, &made, &hash)?;
                writer.note(Value::Null, json!({"predecessor": old.id.braced(), "successor": shown(&made)}));
                Ok(())
            })
            .await?;
        self.store
            .write(&ending, move |writer| {
                let Some(old) = store::credential::find(writer, id)? else { return Ok(()) };
                if overlap == 0 {
                    store::credential::revoke(writer, id, now)?;
                } else {
                    store::credential::end_by(writer, id, end)?;
                }
                writer.note(shown(&old), json!({"ends_on": end, "successor": new.braced()}));
                Ok(())
            })
            .await?;
        Ok(Minted { credential, token })
    }

    /// The address that an access token commits with.
    fn bot_address(&self, id: CredentialId) -> String {
        format!("{}@bots.{}", id.uuid().simple(), self.settings.host())
    }

    /// Revokes an access token of this resource, from the next request on.
    pub async fn revoke_access_token(
        &self,
        caller: &Caller,
        on: &TokenPlace,
        id: CredentialId,
    ) -> Result<()> {
        let place = self.token_place(caller, on).await?;
        let permit = self.permit(caller, act::AccessTokenRevoke, &place.ground)?;
        let now = self.clock.now();
        self.store
            .write(&permit, move |writer| {
                let holder = Holder::Resource(place.resource, place.workspace.id);
                let found = store::credential::find(writer, id)?
                    .filter(|credential| credential.holder == holder && credential.revoked_on.is_none())
                    .ok_or_else(|| Error::not_found("the access token"))?;
                store::credential::revoke(writer, id, now)?;
                writer.note(shown(&found), Value::Null);
                Ok(())
            })
            .await
    }
}
