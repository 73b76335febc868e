//! Amazon's token service, asked with the server's own identity: what the machine has, found as Amazon's own tools find it (the
//! environment, the shared files, a web identity, a container's or machine's role). The address is the operator's or Amazon's
//! own, never one that a workspace names.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::{AwsRegion, Clock, Error, Result, Secret, Timestamp};
use reqsign_aws_v4::{DefaultCredentialProvider, RequestSigner};
use reqsign_core::{Context, OsEnv, ProvideCredential, SignRequest, SigningCredential};
use reqsign_file_read_tokio::TokioFileRead;
use reqsign_http_send_reqwest::ReqwestHttpSend;
use sha2::{Digest, Sha256};
use url::Url;
use url::form_urlencoded::Serializer;

use super::answer::{self, Refused};

/// How long finding an identity may take, connecting, and a whole exchange.
const FIND: Duration = Duration::from_secs(6);
const CONNECT: Duration = Duration::from_secs(2);
const EXCHANGE: Duration = Duration::from_secs(15);
/// For how long it is kept who the server is, or that it is nobody, in seconds.
const KNOWN: i64 = 600;
const NOBODY: i64 = 60;
/// Where the global endpoint is.
const GLOBAL: &str = "us-east-1";

/// What the operator decides about Amazon.
#[derive(Clone, Debug, Default)]
pub struct AwsSettings {
    /// Where the token service is asked, instead of Amazon's own addresses.
    pub sts_endpoint: Option<String>,
    /// The region where it is asked for roles that name none.
    pub region: Option<AwsRegion>,
}

/// Why Amazon gave nothing.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The machine has no identity.
    NoIdentity,
    /// It was not reached, or its answer is none.
    Unreached(&'static str),
    /// It refused.
    Refused(Refused),
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoIdentity => f.write_str(
                "the server has no identity at Amazon: see `bastide aws setup`, or use the mode `web-identity`",
            ),
            Self::Unreached(why) => write!(f, "Amazon's token service was asked, but {why}"),
            Self::Refused(refused) => write!(f, "Amazon said {refused}"),
        }
    }
}

/// A session that is asked for.
pub(crate) struct Asked<'a> {
    pub(crate) role: &'a str,
    pub(crate) region: Option<&'a AwsRegion>,
    pub(crate) session: &'a str,
    pub(crate) external_id: Option<&'a str>,
    pub(crate) duration: u32,
    pub(crate) tags: &'a [(&'static str, String)],
}

/// A session's credentials.
pub(crate) struct Session {
    pub(crate) access_key: String,
    pub(crate) secret_key: Secret,
    pub(crate) session_token: Secret,
    pub(crate) expires: i64,
}

/// Asks Amazon.
pub(crate) struct Sts {
    settings: AwsSettings,
    client: reqwest::Client,
    context: Context,
    chain: DefaultCredentialProvider,
    found: tokio::sync::Mutex<Option<reqsign_aws_v4::Credential>>,
    who: Mutex<Option<(Option<String>, Timestamp)>>,
}

impl Sts {
    /// Trusts what the house trusts.
    pub(crate) fn new(settings: AwsSettings, tls: &Arc<rustls::ClientConfig>) -> Result<Self> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.as_ref().clone())
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT)
            .timeout(EXCHANGE)
            .user_agent(concat!("bastide/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(Error::internal)?;
        if let Some(endpoint) = &settings.sts_endpoint {
            address(endpoint)?;
        }
        let context = Context::new()
            .with_file_read(TokioFileRead)
            .with_http_send(ReqwestHttpSend::new(client.clone()))
            .with_env(OsEnv);
        let chain = DefaultCredentialProvider::builder().no_process().no_sso().build();
        let (found, who) = (tokio::sync::Mutex::default(), Mutex::default());
        Ok(Self { settings, client, context, chain, found, who })
    }

    async fn identity(&self) -> Result<reqsign_aws_v4::Credential, Failed> {
        let mut found = self.found.lock().await;
        if let Some(known) = found.as_ref().filter(|known| known.is_valid()) {
            return Ok(known.clone());
        }
        let loaded = tokio::time::timeout(FIND, self.chain.provide_credential(&self.context)).await;
        *found = loaded.ok().and_then(Result::ok).flatten();
        found.clone().ok_or(Failed::NoIdentity)
    }

    /// Whether the server's identity is itself a session, with which Amazon gives none longer than an hour.
    pub(crate) async fn is_chained(&self) -> Result<bool, Failed> {
        Ok(self.identity().await?.session_token.is_some())
    }

    async fn ask(
        &self,
        region: Option<&AwsRegion>,
        fields: &[(&str, &str)],
    ) -> Result<BTreeMap<&'static str, String>, Failed> {
        let identity = self.identity().await?;
        let region = region.or(self.settings.region.as_ref()).map(AwsRegion::as_str);
        let endpoint = match (&self.settings.sts_endpoint, region) {
            (Some(endpoint), _) => endpoint.clone(),
            (None, None) => "https://sts.amazonaws.com/".to_owned(),
            (None, Some(region)) if region.starts_with("cn-") => {
                format!("https://sts.{region}.amazonaws.com.cn/")
            }
            (None, Some(region)) => format!("https://sts.{region}.amazonaws.com/"),
        };
        let endpoint = address(&endpoint).map_err(|_| Failed::Unreached("its address is none"))?;
        let body =
            Serializer::new(String::new()).append_pair("Version", "2011-06-15").extend_pairs(fields).finish();
        let unsigned = |_| Failed::Unreached("the request could not be made");
        let digest: String =
            Sha256::digest(body.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        let mut request = self
            .client
            .post(endpoint)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("x-amz-content-sha256", digest)
            .body(body)
            .build()
            .map_err(unsigned)?;
        let uri = request.url().as_str().parse().map_err(|_| Failed::Unreached("its address is none"))?;
        let mut parts = parts_of(uri, request.headers().clone());
        RequestSigner::new("sts", region.unwrap_or(GLOBAL))
            .sign_request(&self.context, &mut parts, Some(&identity), None)
            .await
            .map_err(|_| Failed::Unreached("the request could not be signed"))?;
        *request.headers_mut() = parts.headers;
        let mut response = self.client.execute(request).await.map_err(|error| {
            tracing::info!(error = %error.without_url(), "Amazon's token service was not reached");
            Failed::Unreached("it could not be reached: look at the region and --aws-sts-endpoint")
        })?;
        let fine = response.status().is_success();
        let mut bytes = Vec::new();
        while let Some(piece) =
            response.chunk().await.map_err(|_| Failed::Unreached("its answer broke off"))?
        {
            if bytes.len().saturating_add(piece.len()) > answer::LONGEST {
                return Err(Failed::Unreached("its answer is too large"));
            }
            bytes.extend_from_slice(&piece);
        }
        let texts =
            answer::read(&bytes).ok_or(Failed::Unreached("its answer is not one that is understood"))?;
        match (fine, Refused::of(&texts)) {
            (true, _) => Ok(texts),
            (false, Some(refused)) => Err(Failed::Refused(refused)),
            (false, None) => Err(Failed::Unreached("its answer is not one that is understood")),
        }
    }

    /// Takes on a role.
    pub(crate) async fn assume(&self, asked: &Asked<'_>) -> Result<Session, Failed> {
        let duration = asked.duration.to_string();
        let mut fields = vec![
            ("Action".to_owned(), "AssumeRole"),
            ("RoleArn".to_owned(), asked.role),
            ("RoleSessionName".to_owned(), asked.session),
            ("DurationSeconds".to_owned(), duration.as_str()),
        ];
        if let Some(external_id) = asked.external_id {
            fields.push(("ExternalId".to_owned(), external_id));
        }
        for (number, (key, value)) in (1..).zip(asked.tags) {
            fields.push((format!("Tags.member.{number}.Key"), key));
            fields.push((format!("Tags.member.{number}.Value"), value));
        }
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let mut texts = self.ask(asked.region, &fields).await?;
        let mut take =
            |name: &str| texts.remove(name).ok_or(Failed::Unreached("its answer lacks credentials"));
        let expires: jiff::Timestamp =
            take("Expiration")?.parse().map_err(|_| Failed::Unreached("its answer tells no time"))?;
        Ok(Session {
            access_key: take("AccessKeyId")?,
            secret_key: Secret::new(take("SecretAccessKey")?),
            session_token: Secret::new(take("SessionToken")?),
            expires: expires.as_second(),
        })
    }

    /// Who the server is at Amazon, as trust policies name it; nobody where it has no identity, or Amazon does not say.
    pub(crate) async fn who(&self, clock: &Clock) -> Option<String> {
        let now = clock.now();
        let known = self.who.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((who, _)) = known.filter(|(_, until)| *until > now) {
            return who;
        }
        let told = self.ask(None, &[("Action", "GetCallerIdentity")]).await;
        if let Err(failed) = &told {
            tracing::debug!(%failed, "the server does not know who it is at Amazon");
        }
        let who = told.ok().and_then(|mut texts| texts.remove("Arn"));
        let who = who.filter(|arn| arn.starts_with("arn:") && arn.len() <= 2_000);
        let who = who.map(|arn| pipeline::aws_trust::principal(&arn));
        let until = now.plus_seconds(if who.is_some() { KNOWN } else { NOBODY });
        *self.who.lock().unwrap_or_else(PoisonError::into_inner) = Some((who.clone(), until));
        who
    }
}

/// What is signed of a request.
fn parts_of(uri: http::Uri, headers: http::HeaderMap) -> http::request::Parts {
    let mut request = http::Request::new(());
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    request.into_parts().0
}

fn address(text: &str) -> Result<Url> {
    let wrong = || {
        Error::invalid(format!(
            "--aws-sts-endpoint: `{text}` is no address: write it as https://sts.example.com, or http:// to this machine"
        ))
    };
    let url = Url::parse(text).map_err(|_| wrong())?;
    let local = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => return Err(wrong()),
    };
    let fits = url.scheme() == "https" || (url.scheme() == "http" && local);
    let bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if fits && bare { Ok(url) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_out_in_the_clear_to_this_machine_alone() {
        for good in ["https://sts.example.com", "http://127.0.0.1:8080", "http://localhost:1/"] {
            assert!(address(good).is_ok(), "{good}");
        }
        for bad in ["http://sts.example.com", "https://a:b@c", "ftp://x", "sts.amazonaws.com", ""] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
