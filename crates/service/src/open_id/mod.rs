//! OpenID Connect, as far as signing in needs it: the provider's documents, the exchange of a code, the ID token.
//!
//! The authorization code flow with PKCE, a nonce and a state that is bound to the browser; nothing else. Who the
//! subject of a token is here is the business of `provider_sign_in`.

mod discovery;
mod id_token;
mod strict_json;

pub(crate) use discovery::{ProviderDocuments, Providers};
pub(crate) use id_token::{Claims, Expected, Refused, verify};
