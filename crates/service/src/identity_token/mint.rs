//! Making an identity token, for whoever has decided that a step may have one.

use model::{Action, Error, Outcome, RepositoryId, Resource, Result, Secret, Timestamp, WorkspaceId};
use pipeline::identity::{Claims, IdentityError, IdentityFacts, Terms};
use policy::Target;
use serde_json::{Value, json};
use uuid::Uuid;

use super::kept_template;
use crate::{Caller, Service};

/// A token, and when it ends.
pub struct IdentityToken {
    /// The token, in the compact form.
    pub token: Secret,
    /// When it ends.
    pub expires: Timestamp,
}

/// A token that nobody gets before it is on record who got it.
#[must_use = "a token that is not recorded is given to nobody"]
pub struct UnrecordedIdentityToken {
    token: IdentityToken,
    target: Target,
    told: Value,
}

impl UnrecordedIdentityToken {
    /// Records that the caller gets it; then gives it.
    pub async fn record(self, service: &Service, caller: &Caller) -> Result<IdentityToken> {
        let asked = (Action::IdentityTokenMint, Outcome::Done);
        let origin = service.origin(caller);
        let mut event = service.event(&origin, &self.target, asked, vec!["sensitive-read".to_owned()]);
        event.after = self.told;
        service.store.record(event).await?;
        Ok(self.token)
    }
}

impl Service {
    /// A token for a step. `facts` are taken for true, and that the step may have a token is for whoever asks to have
    /// decided ([`Action::IdentityTokenMint`]); `lifetime` is how long the step may take, in seconds.
    pub async fn mint_identity_token(
        &self,
        facts: &IdentityFacts,
        audiences: &[String],
        lifetime: i64,
    ) -> Result<UnrecordedIdentityToken> {
        let workspace = WorkspaceId::from_uuid(facts.workspace.uuid);
        let repository = RepositoryId::from_uuid(facts.repository.uuid);
        // All at once: going to the store and back takes a good part of the time that signing takes.
        let read = self.store.read(move |reader| {
            let settings = super::settings_of(reader, workspace, repository)?;
            Ok((settings, store::identity_token::keys(reader, workspace)?))
        });
        let ((above, own), keys) = read.await?;
        let subject = kept_template(own.subject_template.or(above.subject_template).as_deref())?;
        let issuer = self.identity_token_issuer(facts.workspace.uuid);
        let terms = Terms {
            issuer: &issuer,
            audiences,
            subject: subject.as_ref(),
            session_tags: own.session_tags.unwrap_or(above.session_tags),
            issued: self.clock.now().seconds(),
            lifetime,
            id: uuid::Builder::from_random_bytes(self.random.bytes()).into_uuid(),
        };
        let claims = Claims::of(facts, &terms).map_err(|why| match why {
            IdentityError::LongSubject(_) => Error::invalid_field("subject_template", why),
            IdentityError::TooManyAudiences | IdentityError::Audience(_) => {
                Error::invalid_field("audiences", why)
            }
        })?;
        let signer = match self.ready_signer(workspace, &keys)? {
            Some(ready) => ready,
            None => self.first_signer(workspace, &facts.workspace.name).await?,
        };
        let bytes = serde_json::to_vec(&claims).map_err(Error::internal)?;
        let token = Secret::new(signer.sign(&bytes).map_err(Error::internal)?);
        let (audiences, subject, id) = claims.told();
        let told = json!({
            "jti": id, "sub": subject, "aud": audiences, "kid": signer.kid(), "exp": claims.exp,
            "step": braced(facts.step), "attempt": facts.attempt, "pipeline": braced(facts.pipeline),
        });
        let target = Target {
            resource: Resource::Repository(repository),
            label: format!("repository:{}", facts.full_name()),
            workspace: Some(workspace),
        };
        let expires = Timestamp::from_micros(claims.exp.saturating_mul(1_000_000));
        Ok(UnrecordedIdentityToken { token: IdentityToken { token, expires }, target, told })
    }
}

fn braced(uuid: Uuid) -> String {
    uuid.as_braced().to_string()
}
