//! What providers publish about themselves: where their doors are and by which keys they sign. Kept for an hour; keys are
//! fetched anew when a token names one that is not known, but not at everybody's whim.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use model::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use url::Url;

use super::id_token::Keys;
use crate::outbound::{Outbound, Unreached};

/// How large a published document may be, in bytes.
const LARGEST: usize = 256 << 10;
/// How long documents are kept, in seconds.
const KEPT: i64 = 3_600;
/// After a failure, and between two looks for an unknown key, so many seconds pass.
const PAUSE: i64 = 20;
/// The most providers that are kept.
const MOST: usize = 1_000;

/// Where a provider's doors are.
#[derive(Clone, Debug)]
pub(crate) struct Metadata {
    pub(crate) authorization: Url,
    pub(crate) token: Url,
    keys: Url,
    /// Whether the client's secret is taken in the header, rather than in the form.
    pub(crate) takes_basic: bool,
    /// Whether answers always name their issuer.
    pub(crate) names_itself: bool,
}

#[derive(Deserialize)]
struct Published {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// What a provider publishes.
pub(crate) struct ProviderDocuments {
    pub(crate) metadata: Metadata,
    pub(crate) keys: Keys,
    fetched_on: Timestamp,
}

/// What was last heard of one provider.
#[derive(Default)]
struct Heard {
    documents: Option<Arc<ProviderDocuments>>,
    failed: Option<(Timestamp, Unreached)>,
}

/// What is known of all providers.
#[derive(Default)]
pub(crate) struct Providers(Mutex<HashMap<String, Arc<tokio::sync::Mutex<Heard>>>>);

impl Providers {
    fn heard(&self, issuer: &str) -> Arc<tokio::sync::Mutex<Heard>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST && !all.contains_key(issuer) {
            all.clear();
        }
        Arc::clone(all.entry(issuer.to_owned()).or_default())
    }

    /// A provider's documents, at most an hour old.
    pub(crate) async fn documents(
        &self,
        outbound: &Outbound,
        issuer: &str,
        now: Timestamp,
    ) -> Result<Arc<ProviderDocuments>, Unreached> {
        self.newer_than(outbound, issuer, now.plus_seconds(-KEPT), now).await
    }

    /// The same, newer than those that lacked a key; the same ones where they were fetched a moment ago.
    pub(crate) async fn renewed(
        &self,
        outbound: &Outbound,
        issuer: &str,
        now: Timestamp,
    ) -> Result<Arc<ProviderDocuments>, Unreached> {
        self.newer_than(outbound, issuer, now.plus_seconds(-PAUSE), now).await
    }

    /// One request at a time asks a provider; the others wait for its answer.
    async fn newer_than(
        &self,
        outbound: &Outbound,
        issuer: &str,
        oldest: Timestamp,
        now: Timestamp,
    ) -> Result<Arc<ProviderDocuments>, Unreached> {
        let heard = self.heard(issuer);
        let mut heard = heard.lock().await;
        if let Some(kept) = heard.documents.as_ref().filter(|kept| kept.fetched_on > oldest) {
            return Ok(Arc::clone(kept));
        }
        if let Some((failed_on, why)) = heard.failed
            && failed_on > now.plus_seconds(-PAUSE)
        {
            return Err(why);
        }
        match fetch(outbound, issuer, now).await {
            Ok(documents) => {
                let documents = Arc::new(documents);
                *heard = Heard { documents: Some(Arc::clone(&documents)), failed: None };
                Ok(documents)
            }
            Err(why) => {
                heard.failed = Some((now, why));
                Err(why)
            }
        }
    }
}

async fn fetch(outbound: &Outbound, issuer: &str, now: Timestamp) -> Result<ProviderDocuments, Unreached> {
    let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let published = document(outbound, outbound.address(&address)?).await?;
    let metadata = read(outbound, issuer, &published)?;
    let keys = document(outbound, metadata.keys.clone()).await?;
    let keys = Keys::parse(&keys).ok_or("its keys could not be read")?;
    Ok(ProviderDocuments { metadata, keys, fetched_on: now })
}

async fn document(outbound: &Outbound, address: Url) -> Result<Vec<u8>, Unreached> {
    let request = outbound.request(Method::GET, address).header("accept", "application/json");
    let fetched = outbound.fetch(request, LARGEST).await?;
    if fetched.status == 200 { Ok(fetched.body) } else { Err("it does not publish its configuration there") }
}

fn read(outbound: &Outbound, issuer: &str, published: &[u8]) -> Result<Metadata, Unreached> {
    let published: Published =
        serde_json::from_slice(published).map_err(|_| "its configuration could not be read")?;
    // Else one provider could speak for another.
    if published.issuer != issuer {
        return Err(
            "it calls itself by another name: use the `issuer` of its own configuration, letter by letter",
        );
    }
    let methods = published.token_endpoint_auth_methods_supported;
    Ok(Metadata {
        authorization: outbound.address(&published.authorization_endpoint)?,
        token: outbound.address(&published.token_endpoint)?,
        keys: outbound.address(&published.jwks_uri)?,
        // What is taken where nothing is said.
        takes_basic: methods
            .is_none_or(|methods| methods.iter().any(|method| method == "client_secret_basic")),
        names_itself: published.authorization_response_iss_parameter_supported,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Attack: a provider's document that speaks for another issuer, or whose doors lead inside.
    #[test]
    fn a_document_speaks_for_its_own_issuer_and_leads_outside() {
        let outbound = Outbound::new(&crate::OutboundSettings::default()).unwrap();
        let good = json!({
            "issuer": "https://id.example.com", "authorization_endpoint": "https://id.example.com/auth",
            "token_endpoint": "https://id.example.com/token", "jwks_uri": "https://keys.example.com/",
        });
        let read = |document: &serde_json::Value| {
            read(&outbound, "https://id.example.com", document.to_string().as_bytes())
        };
        assert!(read(&good).is_ok_and(|found| found.takes_basic && !found.names_itself));
        for (name, value) in [
            ("issuer", "https://id.example.com/"),
            ("token_endpoint", "http://id.example.com/token"),
            ("token_endpoint", "https://169.254.169.254/latest"),
            ("jwks_uri", "https://localhost/keys"),
            ("authorization_endpoint", "javascript:alert(1)"),
        ] {
            let mut bad = good.clone();
            bad[name] = json!(value);
            assert!(read(&bad).is_err(), "{name}: {value}");
        }
    }
}
