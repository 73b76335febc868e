//! App passwords and API tokens: bound to a user, narrowed by scopes, never wider than what the user may do at that
//! moment.

use std::sync::Arc;

use model::{Credential, CredentialId, CredentialKind, Error, Holder, Result, ScopeSet, Token, User, act};
use serde_json::Value;

use crate::access_token::{Minted, NewCredential, expiry, scopes, shown};
use crate::{Caller, Listing, Service, Window};

/// More living credentials of a user than this are a mistake.
const MOST: i64 = 1_000;

/// The longest life of a user's credential, in days.
const LONGEST_DAYS: i64 = 3_650;

/// A credential makes none that is wider than itself. The scopes of the two vocabularies do not translate into each
/// other, so across them only a credential that holds all there is to hold may make anything.
fn no_wider(used: &Credential, kind: CredentialKind, scopes: ScopeSet) -> Result<()> {
    let held = used.scopes.closed();
    let may = match used.kind == kind {
        true => held.contains_all(scopes),
        false => held.contains_all(used.kind.may_hold()),
    };
    if may {
        return Ok(());
    }
    Err(Error::invalid_field(
        "scopes",
        "a credential cannot make one that holds scopes it lacks itself: sign in with a browser to make this one",
    ))
}

impl Service {
    fn owner<'a>(&self, caller: &'a Caller) -> Result<&'a Arc<User>> {
        caller.as_user().ok_or(Error::Unauthenticated)
    }

    /// The caller's own living credentials of a kind, newest first.
    pub async fn own_credentials(
        &self,
        caller: &Caller,
        kind: CredentialKind,
        window: Window,
    ) -> Result<Listing<Credential>> {
        let user = self.owner(caller)?;
        self.check(caller, act::CredentialList, &self.user_ground(User::clone(user)))?;
        let holder = Holder::User(user.id);
        let (values, size) = self
            .store
            .read(move |reader| store::credential::list(reader, holder, kind, window.limit, window.offset))
            .await?;
        Ok(Listing::new(values, size))
    }

    /// Makes an app password or API token for the caller. Its secret is in the answer and nowhere else.
    pub async fn create_own_credential(
        &self,
        caller: &Caller,
        kind: CredentialKind,
        new: NewCredential,
    ) -> Result<Minted> {
        let user = self.owner(caller)?;
        let permit = self.permit(caller, act::CredentialCreate, &self.user_ground(User::clone(user)))?;
        let now = self.clock.now();
        let scopes = scopes(kind, &new.scopes)?;
        // A credential does not make a wider one.
        if let Some(used) = caller.credential() {
            no_wider(used, kind, scopes)?;
        }
        if scopes.is_wide() {
            self.must_have_stepped_up(caller)?;
        }
        if new.expires_on.is_some() {
            expiry(new.expires_on, Some(LONGEST_DAYS), now)?;
        }
        let token = Token::new(kind, &self.random);
        let credential = Credential {
            id: CredentialId::new(&self.random),
            kind,
            name: new.name,
            scopes,
            holder: Holder::User(user.id),
            email: None,
            created_by: Some(user.id),
            created_on: now,
            expires_on: new.expires_on,
            last_used_on: None,
            revoked_on: None,
        };
        let (made, hash) = (credential.clone(), token.hash());
        self.store
            .write(&permit, move |writer| {
                let (_, living) = store::credential::list(writer, made.holder, made.kind, 1, 0)?;
                if living >= MOST {
                    return Err(Error::Conflict(format!("you have {MOST} of these: revoke some first")));
                }
                store::credential::insert(writer, &made, &hash)?;
                writer.note(Value::Null, shown(&made));
                Ok(())
            })
            .await?;
        Ok(Minted { credential, token })
    }

    /// Revokes one of the caller's own credentials, from the next request on.
    pub async fn revoke_own_credential(
        &self,
        caller: &Caller,
        kind: CredentialKind,
        id: CredentialId,
    ) -> Result<()> {
        let user = self.owner(caller)?;
        let permit = self.permit(caller, act::CredentialRevoke, &self.user_ground(User::clone(user)))?;
        let (holder, now) = (Holder::User(user.id), self.clock.now());
        self.store
            .write(&permit, move |writer| {
                let found = store::credential::find(writer, id)?
                    .filter(|found| {
                        found.holder == holder && found.kind == kind && found.revoked_on.is_none()
                    })
                    .ok_or_else(|| Error::not_found("the credential"))?;
                store::credential::revoke(writer, id, now)?;
                writer.note(shown(&found), Value::Null);
                Ok(())
            })
            .await
    }
}
