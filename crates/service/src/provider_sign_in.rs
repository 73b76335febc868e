//! Signing in through a workspace's identity provider: leaving for it, and what becomes of who comes back.
//!
//! What an attempt needs to know (state, nonce, verifier, where to go after) is sealed into a cookie of the browser that
//! began it, so another browser's answer is nobody's, and beginning costs no write. An answer is taken once.
//!
//! Whoever runs a provider can sign in as everybody whom it identifies. So accounts are linked to a provider's subject by
//! their owners alone, never by an address; an account's own second step is asked for after the provider's answer as it is
//! after a password; and whoever helps to run the instance does not come in this way.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::{
    Error, IdentityProvider, IssuedSecret, Result, Secret, SignInMethod, StaffRole, User, UserId,
    WorkspaceId, act,
};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::workspace::WorkspaceName;
use url::form_urlencoded::Serializer;

use crate::access::workspace_name;
use crate::identity_provider::secret_context;
use crate::open_id::{Claims, Expected, ProviderDocuments, Refused, verify};
use crate::session::Proof;
use crate::sign_in::SecondStepWanted;
use crate::{Browser, Caller, NewSession, Service};

/// How long a person may stay with the provider, in seconds.
const PATIENCE: i64 = 900;
/// Who proved to the provider who they are within so many seconds has stepped up.
const FRESH: i64 = 300;
/// What marks an answer as taken.
const TAKEN: &str = "provider-answer";
/// An identity that waits for its owner to connect it.
const CONNECT: &str = "provider-identity";
/// What an attempt is sealed for.
const ATTEMPT: [&str; 2] = ["provider_sign_in", "attempt"];
/// How large an answer of a provider may be, in bytes.
const LARGEST: usize = 256 << 10;

/// A workspace's way in, for the page that leads there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderDoor {
    /// The workspace's id: what addresses of this way are made of.
    pub workspace: WorkspaceId,
    /// The workspace's slug.
    pub slug: String,
    /// The provider's host, so that people see whom they are about to tell their password.
    pub host: String,
}

/// Where to send a browser, and what to give it.
pub struct Departure {
    /// The provider's address.
    pub address: String,
    /// For a cookie that comes back with the answer.
    pub cookie: Secret,
    /// For how many seconds it is good.
    pub seconds: i64,
}

/// What a provider's answer carries.
#[derive(Default)]
pub struct ProviderAnswer {
    /// Exchanged for a token.
    pub code: Option<Secret>,
    /// Which attempt it answers.
    pub state: String,
    /// Who answers.
    pub issuer: Option<String>,
    /// Why there is no code.
    pub error: Option<String>,
}

/// What became of an answer.
pub enum Arrived {
    /// Signed in.
    SignedIn {
        /// The session.
        session: Box<NewSession>,
        /// Where to go.
        next: String,
    },
    /// The account has a second step of its own, which a provider does not do for it.
    SecondStep {
        /// What to send back with it.
        wanted: SecondStepWanted,
        /// Where to go.
        next: String,
    },
    /// The session at hand has stepped up, and has another secret.
    SteppedUp {
        /// For the cookie.
        secret: IssuedSecret,
        /// Where to go.
        next: String,
    },
    /// Nobody has this identity yet. Its owner, who is signed in, is asked whether it is theirs.
    MayConnect {
        /// To be sent back with the yes.
        challenge: IssuedSecret,
        /// The issuer.
        issuer: String,
        /// What the provider calls its subject.
        subject: String,
        /// An address or a name that people know.
        known_as: String,
        /// Where to go.
        next: String,
    },
}

/// What is sealed into the cookie.
#[derive(Serialize, Deserialize)]
struct Attempt {
    workspace: WorkspaceId,
    state: String,
    nonce: String,
    verifier: String,
    next: String,
    until: i64,
}

fn no_provider() -> Error {
    Error::not_found("an identity provider of this workspace")
}

fn over() -> Error {
    Error::Gone("this attempt to sign in is over, or was begun by another browser: begin again".to_owned())
}

/// What is told when the provider does not do its part: the cause is the operator's and the owners' to look at.
fn astray(why: &str) -> Error {
    tracing::info!(why, "signing in through an identity provider failed");
    Error::Conflict(format!("signing in through the identity provider failed: {why}"))
}

impl Service {
    /// The way in of a workspace, by its slug or id; for whoever knows its name.
    pub async fn provider_door(&self, _nobody: &Caller, workspace: &str) -> Result<ProviderDoor> {
        let (slug, provider, _) = self.provider_of(workspace).await?;
        let host = url::Url::parse(&provider.issuer).ok().and_then(|url| url.host_str().map(str::to_owned));
        Ok(ProviderDoor { workspace: provider.workspace, slug, host: host.unwrap_or_default() })
    }

    async fn provider_of(&self, workspace: &str) -> Result<(String, IdentityProvider, Option<Vec<u8>>)> {
        let name: WorkspaceName = workspace
            .parse()
            .map(WorkspaceName::Id)
            .ok()
            .or_else(|| workspace_name(workspace))
            .ok_or_else(no_provider)?;
        let found = self
            .store
            .read(move |reader| {
                let Some(workspace) = store::workspace::resolve(reader, &name)? else { return Ok(None) };
                let found = store::identity_provider::find(reader, workspace.id)?;
                Ok(found.map(|(provider, secret)| (workspace.slug.to_string(), provider, secret)))
            })
            .await?;
        found.ok_or_else(no_provider)
    }

    /// Leaves for a workspace's provider. Who is signed in already is asked by it to prove anew who they are.
    pub async fn leave_for_provider(
        &self,
        caller: &Caller,
        workspace: &str,
        next: &str,
    ) -> Result<Departure> {
        let (_, provider, _) = self.provider_of(workspace).await?;
        let documents = self.documents(&provider).await?;
        let drawn = || URL_SAFE_NO_PAD.encode(self.random.bytes::<32>());
        let attempt = Attempt {
            workspace: provider.workspace,
            state: drawn(),
            nonce: drawn(),
            verifier: drawn(),
            next: next.to_owned(),
            until: self.clock.now().plus_seconds(PATIENCE).seconds(),
        };
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(attempt.verifier.as_bytes()));
        let mut scopes = vec!["openid".to_owned()];
        scopes.extend(provider.scopes.iter().filter(|scope| *scope != "openid").cloned());
        let mut address = documents.metadata.authorization.clone();
        {
            let mut query = address.query_pairs_mut();
            query
                .append_pair("response_type", "code")
                .append_pair("client_id", &provider.client_id)
                .append_pair("redirect_uri", &self.redirect_uri(provider.workspace))
                .append_pair("scope", &scopes.join(" "))
                .append_pair("state", &attempt.state)
                .append_pair("nonce", &attempt.nonce)
                .append_pair("code_challenge", &challenge)
                .append_pair("code_challenge_method", "S256");
            if caller.session().is_some() {
                query.append_pair("prompt", "login").append_pair("max_age", "0");
            }
        }
        let plain = serde_json::to_vec(&attempt).map_err(Error::internal)?;
        let sealed = self.keyring.seal(&ATTEMPT, &plain).map_err(Error::internal)?;
        let cookie = Secret::new(URL_SAFE_NO_PAD.encode(sealed));
        Ok(Departure { address: address.to_string(), cookie, seconds: PATIENCE })
    }

    async fn documents(&self, provider: &IdentityProvider) -> Result<std::sync::Arc<ProviderDocuments>> {
        let now = self.clock.now();
        self.providers.documents(&self.outbound, &provider.issuer, now).await.map_err(astray)
    }

    fn attempt_of(
        &self,
        workspace: &str,
        answer: &ProviderAnswer,
        cookie: Option<&Secret>,
    ) -> Result<Attempt> {
        let sealed =
            cookie.and_then(|cookie| URL_SAFE_NO_PAD.decode(cookie.expose()).ok()).ok_or_else(over)?;
        let plain = self.keyring.open(&ATTEMPT, &sealed).map_err(|_| over())?;
        let attempt: Attempt = serde_json::from_slice(plain.expose()).map_err(|_| over())?;
        let good = attempt.until > self.clock.now().seconds()
            && attempt.state == answer.state
            && workspace.parse::<WorkspaceId>().is_ok_and(|id| id == attempt.workspace);
        if good { Ok(attempt) } else { Err(over()) }
    }

    /// Takes a provider's answer. `workspace` is the id in the address that it came to, `cookie` what the browser got when
    /// it left.
    pub async fn arrive_from_provider(
        &self,
        caller: &Caller,
        browser: &Browser,
        workspace: &str,
        answer: ProviderAnswer,
        cookie: Option<&Secret>,
    ) -> Result<Arrived> {
        let attempt = self.attempt_of(workspace, &answer, cookie)?;
        let (slug, provider, secret) = self.provider_of(workspace).await?;
        let documents = self.documents(&provider).await?;
        match &answer.issuer {
            Some(issuer) if *issuer != provider.issuer => return Err(astray("another provider answered")),
            None if documents.metadata.names_itself => {
                return Err(astray("the provider did not name itself"));
            }
            _ => {}
        }
        // Once, whatever comes of it.
        let hash = Secret::new(attempt.state.clone()).hash();
        let until = self.clock.now().plus_seconds(PATIENCE);
        if !self.store.keep(move |books| store::challenge::once(books, &hash, TAKEN, until)).await? {
            return Err(over());
        }
        let Some(code) = answer.code else {
            let known = answer.error.filter(|code| {
                code.len() <= 40 && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            });
            return Err(astray(&format!(
                "it answered `{}`",
                known.as_deref().unwrap_or("nothing that is known")
            )));
        };
        let token = self.exchange(&provider, secret, &documents, &code, &attempt).await?;
        let claims = self.believed(&provider, documents, &token, &attempt.nonce).await?;
        self.arrive_as(caller, browser, (slug, provider), claims, attempt.next).await
    }

    /// Exchanges a code for an ID token.
    async fn exchange(
        &self,
        provider: &IdentityProvider,
        sealed: Option<Vec<u8>>,
        documents: &ProviderDocuments,
        code: &Secret,
        attempt: &Attempt,
    ) -> Result<Secret> {
        #[derive(Deserialize)]
        struct Answered {
            id_token: String,
        }
        let context = secret_context(provider.workspace);
        let context = context.each_ref().map(String::as_str);
        let secret = sealed.map(|sealed| self.keyring.open(&context, &sealed)).transpose();
        let secret = secret.map_err(Error::internal)?.map(|bytes| bytes.to_secret()).transpose();
        let secret = secret.map_err(Error::internal)?;
        let mut request = self.outbound.request(Method::POST, documents.metadata.token.clone());
        let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        // In the header where that is taken, else in the form; a public client only says which it is.
        let in_header = secret.as_ref().filter(|_| documents.metadata.takes_basic);
        if let Some(secret) = in_header {
            request = request.basic_auth(encoded(&provider.client_id), Some(encoded(secret.expose())));
        }
        let form = {
            let mut form = Serializer::new(String::new());
            form.append_pair("grant_type", "authorization_code")
                .append_pair("code", code.expose())
                .append_pair("redirect_uri", &self.redirect_uri(provider.workspace))
                .append_pair("code_verifier", &attempt.verifier);
            if in_header.is_none() {
                form.append_pair("client_id", &provider.client_id);
                if let Some(secret) = &secret {
                    form.append_pair("client_secret", secret.expose());
                }
            }
            form.finish()
        };
        let request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .body(form);
        let fetched = self.outbound.fetch(request, LARGEST).await.map_err(astray)?;
        if fetched.status != 200 {
            return Err(astray(match fetched.status {
                401 => "it does not know this client: look at the client id and the secret",
                _ => "it did not take its own code",
            }));
        }
        let answered: Answered =
            serde_json::from_slice(&fetched.body).map_err(|_| astray("it gave no ID token"))?;
        Ok(Secret::new(answered.id_token))
    }

    /// What a token says, if it is to be believed. Keys are looked up anew once where one is not known.
    async fn believed(
        &self,
        provider: &IdentityProvider,
        documents: std::sync::Arc<ProviderDocuments>,
        token: &Secret,
        nonce: &str,
    ) -> Result<Claims> {
        let now = self.clock.now();
        let expected =
            Expected { issuer: &provider.issuer, client_id: &provider.client_id, nonce, now: now.seconds() };
        let groups = provider.groups_claim.as_deref();
        let mut said = verify(token.expose(), &documents.keys, &expected, groups);
        if said == Err(Refused::UnknownKey) {
            let renewed =
                self.providers.renewed(&self.outbound, &provider.issuer, now).await.map_err(astray)?;
            said = verify(token.expose(), &renewed.keys, &expected, groups);
        }
        said.map_err(|refused| match refused {
            Refused::UnknownKey => astray("its ID token names a key that it does not publish"),
            Refused::Because(why) => astray(&format!("its ID token is not believed: {why}")),
        })
    }

    /// What becomes of somebody whom the provider has identified.
    async fn arrive_as(
        &self,
        caller: &Caller,
        browser: &Browser,
        (slug, provider): (String, IdentityProvider),
        claims: Claims,
        next: String,
    ) -> Result<Arrived> {
        let (issuer, subject) = (provider.issuer.clone(), claims.subject.clone());
        let known = self
            .store
            .read(move |reader| match store::identity_provider::user_of(reader, &issuer, &subject)? {
                Some(id) => store::user::find(reader, id),
                None => Ok(None),
            })
            .await?;
        let user = match (known, caller.as_user()) {
            (Some(user), Some(present)) if user.id != present.id => {
                return Err(Error::Conflict(
                    "this identity belongs to another account than the one you are signed in to: sign out first"
                        .to_owned(),
                ));
            }
            (Some(user), _) => user,
            (None, Some(_)) => return self.offer_to_connect(caller, &provider, &claims, next).await,
            (None, None) => self.account_for(caller, &slug, &provider, &claims).await?,
        };
        if !user.active {
            return Err(Error::Unauthenticated);
        }
        not_staff(&user)?;
        self.follow_groups(caller, &slug, &provider, &user, &claims).await?;
        let here = Some(provider.workspace.to_string());
        if user.second_step {
            return Ok(Arrived::SecondStep { wanted: self.want_second_step(&user, here).await?, next });
        }
        let now = self.clock.now().seconds();
        let fresh = claims.proved_on.is_some_and(|proved| (now - proved).abs() <= FRESH);
        if fresh && caller.session().is_some_and(|session| session.provider == here) {
            return Ok(Arrived::SteppedUp { secret: self.raise_session(caller, None).await?, next });
        }
        let nobody = Caller::anonymous(caller.address, caller.request_id);
        let as_user = Caller::user(std::sync::Arc::new(user), None, &nobody);
        let proof = Proof { method: SignInMethod::OpenIdConnect, provider: here, second_step: None, fresh };
        let session = Box::new(self.begin_session(&as_user, browser, proof).await?);
        Ok(Arrived::SignedIn { session, next })
    }

    async fn offer_to_connect(
        &self,
        caller: &Caller,
        provider: &IdentityProvider,
        claims: &Claims,
        next: String,
    ) -> Result<Arrived> {
        let user = caller.as_user().ok_or(Error::Unauthenticated)?;
        not_staff(user)?;
        let state = json!({
            "issuer": provider.issuer, "subject": claims.subject, "workspace": provider.workspace, "next": next,
        });
        let challenge = self.wait_for(CONNECT, Some(user.id), state).await?;
        let known_as = [&claims.verified_email, &claims.username, &claims.name].into_iter().flatten().next();
        Ok(Arrived::MayConnect {
            challenge,
            issuer: provider.issuer.clone(),
            subject: claims.subject.clone(),
            known_as: known_as.unwrap_or(&claims.subject).clone(),
            next,
        })
    }

    /// Connects an identity with the caller's own account, after they said that it is theirs. Gives where to go.
    pub async fn connect_identity(&self, caller: &Caller, challenge: &Secret) -> Result<String> {
        let (user, _) = self.stepped_up(caller)?;
        let permit = self.permit(caller, act::IdentityConnect, &self.user_ground(user.clone()))?;
        not_staff(user)?;
        let waiting = self.take_waiting(CONNECT, challenge).await?;
        if waiting.user != Some(user.id) {
            return Err(over());
        }
        let text =
            |name: &str| waiting.state.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let workspace: WorkspaceId = text("workspace").parse().map_err(Error::internal)?;
        let (issuer, subject, id): (String, String, UserId) = (text("issuer"), text("subject"), user.id);
        self.store
            .write(&permit, move |writer| {
                if !store::identity_provider::link(writer, (&issuer, &subject), id, workspace)? {
                    return Err(Error::Conflict("this identity belongs to another account".to_owned()));
                }
                writer.note(
                    Value::Null,
                    json!({ "issuer": issuer, "subject": subject, "workspace": workspace }),
                );
                Ok(())
            })
            .await?;
        Ok(text("next"))
    }
}

/// Whoever runs a workspace's provider must not come to run the instance.
fn not_staff(user: &User) -> Result<()> {
    match user.staff_role {
        StaffRole::None => Ok(()),
        _ => Err(Error::forbidden(
            "who helps to run the instance does not sign in through a workspace's identity provider: use the password \
             or a passkey",
        )),
    }
}
