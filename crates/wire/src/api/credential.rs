//! Credentials: access tokens, app passwords and API tokens.

use model::{DisplayName, Scope, Secret, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use crate::{Braced, DateTime};

/// A credential, without its secret.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "credential")]
pub struct Credential {
    /// Its id.
    pub uuid: Braced,
    /// The name that its maker gave it.
    pub name: String,
    /// What it may be used for.
    pub scopes: Vec<String>,
    /// The address to commit with, so that commits map to an access token.
    pub email: Option<String>,
    /// Who made it.
    pub created_by: Option<Braced>,
    /// When it was made.
    pub created_on: DateTime,
    /// When it ends by itself.
    pub expires_on: Option<DateTime>,
    /// When it was last used.
    pub last_used_on: Option<DateTime>,
}

impl From<&model::Credential> for Credential {
    fn from(credential: &model::Credential) -> Self {
        Self {
            uuid: credential.id.into(),
            name: credential.name.to_string(),
            scopes: credential.scopes.names(),
            email: credential.email.clone(),
            created_by: credential.created_by.map(Braced::from),
            created_on: credential.created_on.into(),
            expires_on: credential.expires_on.map(DateTime::from),
            last_used_on: credential.last_used_on.map(DateTime::from),
        }
    }
}

/// A credential that was just made: the one answer that holds its secret. Without `Debug`, so that it reaches no log.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "credential_created")]
pub struct CredentialCreated {
    /// The credential.
    #[serde(flatten)]
    pub credential: Credential,
    /// The secret, shown this once.
    #[serde(serialize_with = "expose")]
    #[schemars(with = "String")]
    pub token: Secret,
}

pub(super) fn expose<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

/// The body that makes a credential.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schemars(rename = "credential_create")]
pub struct CredentialCreate {
    /// What people shall know it by.
    #[schemars(with = "String")]
    pub name: DisplayName,
    /// What it may be used for.
    #[schemars(with = "Vec<String>")]
    pub scopes: Vec<Scope>,
    /// When it shall end by itself.
    #[serde(default)]
    #[schemars(with = "Option<DateTime>")]
    pub expires_on: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use model::{CredentialId, CredentialKind, Holder, Random, Resource, Token, UserId, WorkspaceId};
    use serde_json::json;

    use super::*;
    use crate::body;

    #[test]
    fn the_secret_stands_in_the_creation_answer_alone() {
        let random = Random::seeded(1);
        let home = WorkspaceId::new(&random);
        let (id, maker) = (CredentialId::new(&random), UserId::new(&random));
        let credential = Credential::from(&model::Credential {
            id,
            kind: CredentialKind::WorkspaceAccessToken,
            name: "ci".parse().unwrap(),
            scopes: "repository webhook".parse().unwrap(),
            holder: Holder::Resource(Resource::Workspace(home), home),
            email: None,
            created_by: Some(maker),
            created_on: Timestamp::from_micros(0),
            expires_on: None,
            last_used_on: None,
            revoked_on: None,
        });
        let plain = json!({
            "uuid": id.braced(),
            "name": "ci",
            "scopes": ["repository", "webhook"],
            "email": null,
            "created_by": maker.braced(),
            "created_on": "1970-01-01T00:00:00.000000+00:00",
            "expires_on": null,
            "last_used_on": null,
        });
        assert_eq!(json!(credential), plain);
        let token = Token::new(CredentialKind::WorkspaceAccessToken, &random);
        let created = json!(CredentialCreated { credential, token: token.secret().clone() });
        assert_eq!(created["token"], token.secret().expose());
        assert_eq!(created.as_object().unwrap().len(), plain.as_object().unwrap().len() + 1);
    }

    #[test]
    fn a_scope_or_time_that_is_none_is_named() {
        let read = |text: &str| body::read::<CredentialCreate>(text.as_bytes());
        let create =
            read(r#"{"name": "ci", "scopes": ["repository"], "expires_on": "2030-01-31T12:00:00Z"}"#)
                .unwrap();
        assert_eq!(create.expires_on.unwrap().seconds(), 1_896_091_200);
        for (text, expected) in [
            (r#"{"name": "ci", "scopes": ["repository", "all"]}"#, "`scopes[1]`: no scope of this name"),
            (r#"{"name": "ci"}"#, "`scopes`: this field is required"),
            (r#"{"name": "ci", "scopes": [], "expires_on": "soon"}"#, "`expires_on`: not a time"),
            (r#"{"name": "ci", "scopes": [], "expires": null}"#, "`expires`: there is no such field here"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}
