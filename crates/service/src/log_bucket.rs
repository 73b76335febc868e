//! A bucket of an S3-compatible store for logs that do not grow any more: whole objects, put once, signed with the identity
//! that the server has at Amazon, or with the keys of another store in the variables that Amazon's tools have.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use model::{Error, Result};
use tokio::io::AsyncWriteExt;
use url::Url;

use crate::aws_key::OwnKey;
use crate::aws_role::address;
use crate::aws_signature::{AwsSignature, SignedBy};

/// How long connecting may take, and a whole exchange: an object has at most some ten megabytes.
const CONNECT: Duration = Duration::from_secs(5);
const EXCHANGE: Duration = Duration::from_secs(300);
/// The region of stores that have none.
const REGION: &str = "us-east-1";

/// Where logs are kept that do not grow any more.
#[derive(Clone, Debug)]
pub struct LogBucketSettings {
    /// The bucket's name.
    pub bucket: String,
    /// What the names of its objects begin with; empty, or with a `/` at its end.
    pub prefix: String,
    /// The store's address, instead of Amazon's own.
    pub endpoint: Option<String>,
}

impl LogBucketSettings {
    /// Reads `bucket` or `bucket/prefix`.
    ///
    /// # Errors
    /// When that is no name of a bucket, or no path that needs no escaping.
    pub fn parse(text: &str, endpoint: Option<String>) -> Result<Self> {
        let (bucket, prefix) = text.split_once('/').unwrap_or((text, ""));
        let name =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'/');
        let prefix = prefix.trim_matches('/');
        let fits = (3..=63).contains(&bucket.len())
            && bucket.bytes().all(name)
            && prefix.len() <= 200
            && prefix.bytes().all(plain)
            && prefix.split('/').all(|part| part != "." && part != "..");
        if !fits {
            let message = format!(
                "--log-bucket: `{}` is no bucket: write it as name or name/prefix",
                text.escape_debug()
            );
            return Err(Error::invalid(message));
        }
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Ok(Self { bucket: bucket.to_owned(), prefix, endpoint })
    }
}

/// The bucket.
pub(crate) struct LogBucket {
    base: Url,
    region: String,
    client: reqwest::Client,
    signature: AwsSignature,
    own: Arc<OwnKey>,
    /// Whether it has an address of its own, and so may be a store that does not know the server's own key at Amazon.
    elsewhere: bool,
}

impl LogBucket {
    pub(crate) fn new(
        settings: &LogBucketSettings,
        region: Option<&str>,
        tls: &Arc<rustls::ClientConfig>,
        own: Arc<OwnKey>,
    ) -> Result<Self> {
        let region = region.unwrap_or(REGION).to_owned();
        let endpoint = match &settings.endpoint {
            Some(endpoint) => address("--s3-endpoint", endpoint)?,
            None => address("--s3-endpoint", &format!("https://s3.{region}.amazonaws.com/"))?,
        };
        let base =
            format!("{}/{}/{}", endpoint.as_str().trim_end_matches('/'), settings.bucket, settings.prefix);
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.as_ref().clone())
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(EXCHANGE)
            .user_agent(concat!("bastide/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(Error::internal)?;
        let signature = AwsSignature::new(&client);
        let (base, elsewhere) = (Url::parse(&base).map_err(Error::internal)?, settings.endpoint.is_some());
        Ok(Self { base, region, client, signature, own, elsewhere })
    }

    /// Whose requests are: the server's own key goes first at Amazon, and what the machine has goes first elsewhere.
    async fn identity(&self) -> Result<reqsign_aws_v4::Credential> {
        let mut found = if self.elsewhere { self.signature.found().await } else { None };
        if found.is_none() {
            found = self.own.credential().await?;
        }
        if found.is_none() && !self.elsewhere {
            found = self.signature.found().await;
        }
        found.ok_or_else(|| {
            Error::internal("the bucket of logs: the server has no identity at Amazon, nor keys of a store")
        })
    }

    async fn send(&self, method: Method, key: &str, body: Bytes) -> Result<reqwest::Response> {
        let identity = self.identity().await?;
        let response = self.send_as(&identity, method.clone(), key, body.clone()).await?;
        if response.status() != StatusCode::FORBIDDEN {
            return Ok(response);
        }
        // Another server may have replaced the key a moment ago.
        self.own.forget().await;
        let now = self.identity().await?;
        match now.access_key_id == identity.access_key_id {
            true => Ok(response),
            false => self.send_as(&now, method, key, body).await,
        }
    }

    async fn send_as(
        &self,
        identity: &reqsign_aws_v4::Credential,
        method: Method,
        key: &str,
        body: Bytes,
    ) -> Result<reqwest::Response> {
        let failed = |why: &str| Error::internal(format!("the bucket of logs: {why}"));
        let url = self.base.join(key).map_err(|_| failed("an object's name is none"))?;
        let request = self.client.request(method, url).build();
        let mut request = request.map_err(|_| failed("the request could not be made"))?;
        let by = SignedBy { identity, service: "s3", region: &self.region };
        self.signature.sign(&mut request, body, Some(by)).await.map_err(failed)?;
        let sent = self.client.execute(request).await;
        sent.map_err(|error| failed(&format!("it could not be reached ({})", error.without_url())))
    }

    /// Puts a file into the bucket, over what was there.
    pub(crate) async fn put(&self, key: &str, file: &Path) -> Result<()> {
        let bytes = tokio::fs::read(file).await.map_err(Error::internal)?;
        fine(&self.send(Method::PUT, key, bytes.into()).await?)
    }

    /// Fetches an object into a new file.
    pub(crate) async fn get(&self, key: &str, file: &Path) -> Result<()> {
        let mut response = self.send(Method::GET, key, Bytes::new()).await?;
        fine(&response)?;
        let mut out = tokio::fs::File::create(file).await.map_err(Error::internal)?;
        while let Some(piece) = response.chunk().await.map_err(|_| Error::internal("a log broke off"))? {
            out.write_all(&piece).await.map_err(Error::internal)?;
        }
        out.sync_all().await.map_err(Error::internal)
    }

    /// Removes an object; nothing where there is none.
    pub(crate) async fn remove(&self, key: &str) -> Result<()> {
        let response = self.send(Method::DELETE, key, Bytes::new()).await?;
        if response.status() == StatusCode::NOT_FOUND { Ok(()) } else { fine(&response) }
    }
}

fn fine(response: &reqwest::Response) -> Result<()> {
    match response.status().is_success() {
        true => Ok(()),
        false => Err(Error::internal(format!("the bucket of logs answered {}", response.status()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_has_a_name_and_may_have_a_prefix() {
        let read = |text: &str| LogBucketSettings::parse(text, None).map(|one| (one.bucket, one.prefix));
        assert_eq!(read("logs").unwrap(), ("logs".to_owned(), String::new()));
        assert_eq!(read("our.logs-1/a/b/").unwrap(), ("our.logs-1".to_owned(), "a/b/".to_owned()));
        for odd in ["", "ab", "Logs", "logs/a b", "logs/../x", "s3://logs", "logs/%2e"] {
            assert!(read(odd).is_err(), "{odd}");
        }
    }
}
