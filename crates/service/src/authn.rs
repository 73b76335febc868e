//! From a credential to a [`Caller`]: the one place where a secret becomes somebody.
//!
//! Which credential is admitted where, and as what user name, follows Bitbucket (the published contract's text on
//! authentication): access tokens by Bearer, or for git as `x-token-auth`; app passwords by username; API tokens by
//! e-mail address over REST, and for git by username or as `x-bitbucket-api-token-auth`. The account's own password
//! opens `/api` alone, and only while the account has no second step.

use std::net::IpAddr;
use std::sync::Arc;

use model::{
    Credential, CredentialKind, Email, Error, Holder, RequestId, Result, Secret, Token, User, Username,
};

use crate::{Caller, Service, second_step};

/// The user name that git sends with an access token.
pub const ACCESS_TOKEN_USER: &str = "x-token-auth";
/// The user name that git may send with an API token.
pub const API_TOKEN_USER: &str = "x-bitbucket-api-token-auth";

/// Through which face a request comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Bitbucket's API.
    Rest,
    /// Bastide's own API.
    Api,
    /// What runners ask.
    Runner,
    /// git over HTTPS.
    Git,
    /// The web pages.
    Page,
}

/// The credential that a request presents.
#[derive(Clone)]
pub enum Presented {
    /// None.
    Nothing,
    /// `Authorization: Bearer`.
    Bearer(Secret),
    /// `Authorization: Basic`.
    Basic {
        /// The user name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A session's secret, from its cookie. Only the pages take one.
    Session(Secret),
}

/// A credential and, where it stands for one, its user: what the store knows of a secret.
#[derive(Clone)]
pub(crate) struct Known {
    credential: Arc<Credential>,
    user: Option<Arc<User>>,
}

/// What a password is given for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Signing in with a browser, where a second step may follow.
    SignIn,
    /// A program's request, where nothing can follow.
    Program,
}

/// What the user name of a Basic credential has to be.
enum Name<'a> {
    /// Nothing was asked: the secret alone decides.
    Any,
    Username(&'a str),
    Email(&'a str),
}

impl Service {
    /// Who presents this, from there. A wrong, unknown, expired or revoked credential is an error, never nobody:
    /// a client that sends one means to be somebody.
    pub async fn authenticate(
        &self,
        presented: Presented,
        door: Door,
        address: Option<IpAddr>,
        request_id: RequestId,
    ) -> Result<Caller> {
        let nobody = Caller::anonymous(address, request_id);
        match presented {
            Presented::Nothing => Ok(nobody),
            Presented::Bearer(secret) if door == Door::Runner => self.by_runner(&nobody, &secret).await,
            _ if door == Door::Runner => Err(Error::Unauthenticated),
            Presented::Bearer(secret) => {
                let token = secret.expose().parse::<Token>().ok();
                let token = token.filter(|token| token.kind().stands_for_itself());
                self.by_token(&nobody, token, Name::Any, None).await
            }
            Presented::Basic { user, password } => self.by_basic(&nobody, &user, &password, door).await,
            // Whatever is not the pages' own request could have been made by another site's page.
            Presented::Session(secret) if door == Door::Page => self.by_session(&nobody, &secret).await,
            Presented::Session(_) => Err(Error::Unauthenticated),
        }
    }

    async fn by_basic(&self, nobody: &Caller, user: &str, password: &Secret, door: Door) -> Result<Caller> {
        let token = password.expose().parse::<Token>().ok();
        let kind = token.as_ref().map(Token::kind);
        let name = match (door, kind) {
            (Door::Api, None) => return self.by_password(nobody, user, password).await,
            (Door::Git, Some(kind)) if kind.stands_for_itself() && user == ACCESS_TOKEN_USER => Name::Any,
            (Door::Git, Some(CredentialKind::ApiToken)) if user == API_TOKEN_USER => Name::Any,
            (Door::Git, Some(CredentialKind::ApiToken)) => Name::Username(user),
            (Door::Rest | Door::Api, Some(CredentialKind::ApiToken)) => Name::Email(user),
            (_, Some(CredentialKind::AppPassword)) => Name::Username(user),
            _ => return Err(self.attempt_failed(nobody, Some(user))),
        };
        self.by_token(nobody, token, name, Some(user)).await
    }

    /// A secret of 256 random bits is not guessed, so a right one is never made to wait; only failures are counted.
    async fn by_token(
        &self,
        nobody: &Caller,
        token: Option<Token>,
        name: Name<'_>,
        account: Option<&str>,
    ) -> Result<Caller> {
        let known = match token {
            Some(token) => self.known(&token).await?,
            None => None,
        };
        let now = self.clock.now();
        let Some(known) = known.filter(|known| known.credential.is_live(now)) else {
            return Err(self.attempt_failed(nobody, account));
        };
        let caller = match (known.user, name) {
            (None, Name::Any) => Caller::access_token(Arc::clone(&known.credential), nobody),
            (Some(user), name) if user.active && fits(&user, &name) => {
                Caller::user(user, Some(Arc::clone(&known.credential)), nobody)
            }
            _ => return Err(self.attempt_failed(nobody, account)),
        };
        self.store.note_used(known.credential.id, now);
        Ok(caller)
    }

    /// What the store knows of a secret, kept under the generation of access.
    async fn known(&self, token: &Token) -> Result<Option<Known>> {
        let hash = token.hash();
        let generation = self.store.generation();
        if let Some(known) = generation.and_then(|generation| self.credentials.get(generation, &hash)) {
            return Ok(Some(known));
        }
        let known = self
            .store
            .read(move |reader| {
                let Some(credential) = store::credential::find_by_hash(reader, &hash)? else {
                    return Ok(None);
                };
                let user = match credential.holder {
                    Holder::User(id) => match store::user::find(reader, id)? {
                        Some(user) => Some(Arc::new(user)),
                        None => return Ok(None),
                    },
                    Holder::Resource(..) => None,
                };
                Ok(Some(Known { credential: Arc::new(credential), user }))
            })
            .await?;
        if let (Some(generation), Some(known)) = (generation, &known) {
            self.credentials.put(generation, hash, known.clone());
        }
        Ok(known)
    }

    /// The account's own password, for programs: shut out as soon as the account has a second step or needs one.
    async fn by_password(&self, nobody: &Caller, name: &str, password: &Secret) -> Result<Caller> {
        let user = self.prove_password(nobody, name, password, Use::Program).await?;
        self.throttle.succeeded(nobody.address, name);
        Ok(Caller::user(Arc::new(user), None, nobody))
    }

    /// The user whose name and password these are. An account that is not there, not active or may not use its password
    /// here takes as long to refuse as a wrong password, and is refused with the same words.
    pub(crate) async fn prove_password(
        &self,
        nobody: &Caller,
        name: &str,
        password: &Secret,
        purpose: Use,
    ) -> Result<User> {
        if let Some(retry_after) = self.throttle.wait(nobody.address, Some(name), self.clock.now()) {
            return Err(Error::TooManyRequests { retry_after });
        }
        let (username, email) = (name.parse::<Username>().ok(), name.parse::<Email>().ok());
        let found = self
            .store
            .read(move |reader| {
                let user = match (username, email) {
                    (Some(username), _) => store::user::find_by_username(reader, &username)?,
                    (None, Some(email)) => store::user::find_by_email(reader, &email)?,
                    (None, None) => None,
                };
                let Some(user) = user else { return Ok(None) };
                let admitted = user.active
                    && match purpose {
                        Use::SignIn => true,
                        Use::Program => !user.second_step && !second_step::is_required(reader, &user)?,
                    };
                let hash = store::user::password_hash(reader, user.id)?;
                Ok(admitted.then_some((user, hash)))
            })
            .await?;
        let (user, hash) = found.map_or((None, None), |(user, hash)| (Some(user), hash));
        let fits = self.passwords.verify(password, hash).await?;
        user.filter(|_| fits).ok_or_else(|| self.attempt_failed(nobody, Some(name)))
    }

    /// Counts a failure; the answer is the same whatever was wrong, and a wait once there were too many.
    pub(crate) fn attempt_failed(&self, nobody: &Caller, account: Option<&str>) -> Error {
        let now = self.clock.now();
        let wait = self.throttle.wait(nobody.address, account, now);
        self.throttle.failed(nobody.address, account, now);
        self.count_stranger(nobody);
        match wait {
            Some(retry_after) => Error::TooManyRequests { retry_after },
            None => Error::Unauthenticated,
        }
    }
}

fn fits(user: &User, name: &Name<'_>) -> bool {
    match name {
        Name::Any => true,
        Name::Username(name) => user.username.folded() == name.to_lowercase(),
        Name::Email(name) => user.email.folded() == name.to_lowercase(),
    }
}
