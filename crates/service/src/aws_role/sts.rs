//! Amazon's token service, asked with the server's own identity: the key that an administrator gave it, else what the machine
//! has, found as Amazon's own tools find it (the environment, the shared files, a web identity, a container's or machine's
//! role). The address is the operator's or Amazon's own, never one that a workspace names.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::{AwsRegion, Clock, Error, Result, RoleArn, Secret, Timestamp};
use reqsign_core::SigningCredential;
use url::Url;
use url::form_urlencoded::Serializer;

use super::answer::{self, Refused};
use super::registry::Registry;
use crate::aws_key::OwnKey;
use crate::aws_signature::{AwsSignature, SignedBy};
use crate::jobs::log_text;

/// How long finding an identity may take, connecting, and a whole exchange.
const FIND: Duration = Duration::from_secs(6);
const CONNECT: Duration = Duration::from_secs(2);
const EXCHANGE: Duration = Duration::from_secs(15);
/// For how long it is kept who the server is, or that it is nobody, in seconds.
const KNOWN: i64 = 600;
const NOBODY: i64 = 60;
/// Where the global endpoint is.
pub(super) const GLOBAL: &str = "us-east-1";

/// What the operator decides about Amazon.
#[derive(Clone, Debug, Default)]
pub struct AwsSettings {
    /// Where the token service is asked, instead of Amazon's own addresses.
    pub sts_endpoint: Option<String>,
    /// Where the registry of images is asked, instead of Amazon's own addresses.
    pub ecr_endpoint: Option<String>,
    /// Where IAM is asked, instead of Amazon's own addresses.
    pub iam_endpoint: Option<String>,
    /// After how many days the server's own key is replaced; never where there are none.
    pub key_days: u16,
    /// The region where it is asked for roles that name none.
    pub region: Option<AwsRegion>,
    /// The bucket for logs that do not grow any more; without, they stay in the data directory.
    pub log_bucket: Option<crate::LogBucketSettings>,
}

/// Why Amazon gave nothing.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The machine has no identity.
    NoIdentity,
    /// The server has a key of its own, and cannot read it.
    Unreadable,
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
            Self::Unreadable => {
                f.write_str("the server's own key at Amazon cannot be read: look into the server's log")
            }
            Self::Unreached(why) => write!(f, "Amazon was asked, but {why}"),
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

/// Whose a request is.
pub(crate) struct Identity(pub(super) reqsign_aws_v4::Credential);

impl Identity {
    /// Somebody's key.
    pub(crate) fn of_key(access_key_id: String, secret_access_key: String) -> Self {
        let (session_token, expires_in) = (None, None);
        Self(reqsign_aws_v4::Credential { access_key_id, secret_access_key, session_token, expires_in })
    }

    /// A session.
    pub(crate) fn of_session(session: Session) -> Self {
        let mut made = Self::of_key(session.access_key, session.secret_key.expose().to_owned());
        made.0.session_token = Some(session.session_token.expose().to_owned());
        made
    }
}

/// A registry that is asked for a password.
pub(crate) struct RegistryQuestion<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) identity: &'a Identity,
}

/// A service that is asked with forms and answers with XML.
pub(super) struct FormService<'a> {
    pub(super) endpoint: String,
    /// The name and the region that requests are signed for.
    pub(super) name: &'static str,
    pub(super) region: &'a str,
    pub(super) version: &'static str,
}

/// Who the server is, or that it is nobody, as Amazon told.
#[derive(Clone)]
struct Known {
    who: Option<String>,
    /// The server's own key then, since whoever gives it another wants to see that.
    key: Option<String>,
    until: Timestamp,
}

/// Asks Amazon.
pub(crate) struct Sts {
    pub(super) settings: AwsSettings,
    client: reqwest::Client,
    signature: AwsSignature,
    own: Arc<OwnKey>,
    found: tokio::sync::Mutex<Option<reqsign_aws_v4::Credential>>,
    who: Mutex<Option<Known>>,
}

impl Sts {
    /// Trusts what the house trusts.
    pub(crate) fn new(
        settings: AwsSettings,
        tls: &Arc<rustls::ClientConfig>,
        own: Arc<OwnKey>,
    ) -> Result<Self> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.as_ref().clone())
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT)
            .timeout(EXCHANGE)
            .user_agent(concat!("bastide/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(Error::internal)?;
        for (flag, endpoint) in [
            ("--aws-sts-endpoint", &settings.sts_endpoint),
            ("--aws-ecr-endpoint", &settings.ecr_endpoint),
            ("--aws-iam-endpoint", &settings.iam_endpoint),
        ] {
            if let Some(endpoint) = endpoint {
                address(flag, endpoint)?;
            }
        }
        let signature = AwsSignature::new(&client);
        let (found, who) = (tokio::sync::Mutex::default(), Mutex::default());
        Ok(Self { settings, client, signature, own, found, who })
    }

    async fn identity(&self) -> Result<reqsign_aws_v4::Credential, Failed> {
        match self.own.credential().await {
            Ok(Some(own)) => return Ok(own),
            Ok(None) => {}
            Err(error) => {
                tracing::error!(error = log_text(&error), "the server's own key at Amazon cannot be read");
                return Err(Failed::Unreadable);
            }
        }
        let mut found = self.found.lock().await;
        if let Some(known) = found.as_ref().filter(|known| known.is_valid()) {
            return Ok(known.clone());
        }
        *found = tokio::time::timeout(FIND, self.signature.found()).await.ok().flatten();
        found.clone().ok_or(Failed::NoIdentity)
    }

    /// Whether the server's identity is itself a session, with which Amazon gives none longer than an hour.
    pub(crate) async fn is_chained(&self) -> Result<bool, Failed> {
        Ok(self.identity().await?.session_token.is_some())
    }

    /// Asks with the server's own identity.
    async fn ask(
        &self,
        region: Option<&AwsRegion>,
        fields: &[(&str, &str)],
    ) -> Result<BTreeMap<&'static str, String>, Failed> {
        let identity = self.identity().await?;
        match self.ask_as(Some(&identity), region, fields).await {
            Err(Failed::Refused(refused)) if refused.is_unknown_key() => {
                // Another server may have replaced the key a moment ago.
                self.own.forget().await;
                let now = self.identity().await?;
                match now.access_key_id == identity.access_key_id {
                    true => Err(Failed::Refused(refused)),
                    false => self.ask_as(Some(&now), region, fields).await,
                }
            }
            told => told,
        }
    }

    async fn ask_as(
        &self,
        identity: Option<&reqsign_aws_v4::Credential>,
        region: Option<&AwsRegion>,
        fields: &[(&str, &str)],
    ) -> Result<BTreeMap<&'static str, String>, Failed> {
        let region = region.or(self.settings.region.as_ref()).map(AwsRegion::as_str);
        let endpoint = match (&self.settings.sts_endpoint, region) {
            (Some(endpoint), _) => endpoint.clone(),
            (None, None) => "https://sts.amazonaws.com/".to_owned(),
            (None, Some(region)) if region.starts_with("cn-") => {
                format!("https://sts.{region}.amazonaws.com.cn/")
            }
            (None, Some(region)) => format!("https://sts.{region}.amazonaws.com/"),
        };
        let region = region.unwrap_or(GLOBAL);
        let service = FormService { endpoint, name: "sts", region, version: "2011-06-15" };
        self.query(&service, identity, fields).await
    }

    /// Asks a service with a form.
    pub(super) async fn query(
        &self,
        service: &FormService<'_>,
        identity: Option<&reqsign_aws_v4::Credential>,
        fields: &[(&str, &str)],
    ) -> Result<BTreeMap<&'static str, String>, Failed> {
        let version = service.version;
        let body =
            Serializer::new(String::new()).append_pair("Version", version).extend_pairs(fields).finish();
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let by =
            identity.map(|identity| SignedBy { identity, service: service.name, region: service.region });
        let (fine, bytes) = self.exchange(&service.endpoint, by, &headers, body).await?;
        let texts =
            answer::read(&bytes).ok_or(Failed::Unreached("its answer is not one that is understood"))?;
        match (fine, Refused::of(&texts)) {
            (true, _) => Ok(texts),
            (false, Some(refused)) => Err(Failed::Refused(refused)),
            (false, None) => Err(Failed::Unreached("its answer is not one that is understood")),
        }
    }

    /// Sends a request, signed where somebody signs it; whether it succeeded, and the answer.
    async fn exchange(
        &self,
        endpoint: &str,
        by: Option<SignedBy<'_>>,
        headers: &[(&str, &str)],
        body: String,
    ) -> Result<(bool, Vec<u8>), Failed> {
        let endpoint = address("", endpoint).map_err(|_| Failed::Unreached("its address is none"))?;
        let mut request = self.client.post(endpoint);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.build();
        let mut request = request.map_err(|_| Failed::Unreached("the request could not be made"))?;
        self.signature.sign(&mut request, body.into(), by).await.map_err(Failed::Unreached)?;
        let mut response = self.client.execute(request).await.map_err(|error| {
            tracing::info!(error = %error.without_url(), "Amazon was not reached");
            Failed::Unreached(
                "it could not be reached: look at --aws-region, --aws-sts-endpoint and their like",
            )
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
        Ok((fine, bytes))
    }

    /// Takes on a role for who shows a token; the server's own identity has no part in it.
    pub(crate) async fn assume_by_token(
        &self,
        role: &RoleArn,
        region: &AwsRegion,
        session: &str,
        token: &Secret,
    ) -> Result<Session, Failed> {
        let fields = [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("RoleArn", role.as_str()),
            ("RoleSessionName", session),
            ("WebIdentityToken", token.expose()),
            ("DurationSeconds", "900"),
        ];
        session_of(self.ask_as(None, Some(region), &fields).await?)
    }

    /// The answer of a registry that is asked for a password.
    pub(crate) async fn registry_token(&self, question: &RegistryQuestion<'_>) -> Result<Vec<u8>, Failed> {
        let region = question.registry.region.as_str();
        let own = || format!("https://api.ecr.{region}.{}/", question.registry.suffix);
        let endpoint = self.settings.ecr_endpoint.clone().unwrap_or_else(own);
        let headers = [
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"),
        ];
        let by = Some(SignedBy { identity: &question.identity.0, service: "ecr", region });
        match self.exchange(&endpoint, by, &headers, "{}".to_owned()).await? {
            (true, bytes) => Ok(bytes),
            (false, bytes) => Err(Refused::of_json(&bytes)
                .map_or(Failed::Unreached("its answer is not one that is understood"), Failed::Refused)),
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
        session_of(self.ask(asked.region, &fields).await?)
    }

    /// Whose a key is, as Amazon tells it: what proves the key.
    pub(crate) async fn caller(&self, identity: &Identity) -> Result<String, Failed> {
        let fields = [("Action", "GetCallerIdentity")];
        let mut told = self.ask_as(Some(&identity.0), None, &fields).await?;
        told.remove("Arn").ok_or(Failed::Unreached("its answer names nobody"))
    }

    /// Who the server is at Amazon, as trust policies name it; nobody where it has no identity, or Amazon does not say.
    pub(crate) async fn who(&self, clock: &Clock) -> Option<String> {
        let now = clock.now();
        let key = self.own.credential().await.ok().flatten().map(|own| own.access_key_id);
        let known = self.who.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = known.filter(|known| known.until > now && known.key == key) {
            return known.who;
        }
        let told = self.ask(None, &[("Action", "GetCallerIdentity")]).await;
        if let Err(failed) = &told {
            tracing::debug!(%failed, "the server does not know who it is at Amazon");
        }
        let who = told.ok().and_then(|mut texts| texts.remove("Arn"));
        let who = who.filter(|arn| arn.starts_with("arn:") && arn.len() <= 2_000);
        let who = who.map(|arn| pipeline::aws_trust::principal(&arn));
        let until = now.plus_seconds(if who.is_some() { KNOWN } else { NOBODY });
        let known = Known { who: who.clone(), key, until };
        *self.who.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
        who
    }
}

/// The credentials in an answer.
fn session_of(mut texts: BTreeMap<&'static str, String>) -> Result<Session, Failed> {
    let mut take = |name: &str| texts.remove(name).ok_or(Failed::Unreached("its answer lacks credentials"));
    let expires: jiff::Timestamp =
        take("Expiration")?.parse().map_err(|_| Failed::Unreached("its answer tells no time"))?;
    Ok(Session {
        access_key: take("AccessKeyId")?,
        secret_key: Secret::new(take("SecretAccessKey")?),
        session_token: Secret::new(take("SessionToken")?),
        expires: expires.as_second(),
    })
}

/// The address of a service that gets signed requests: over TLS, or on this machine.
pub(crate) fn address(flag: &str, text: &str) -> Result<Url> {
    let wrong = || {
        Error::invalid(format!(
            "{flag}: `{text}` is no address: write it as https://aws.example.com, or http:// to this machine"
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
            assert!(address("", good).is_ok(), "{good}");
        }
        for bad in ["http://sts.example.com", "https://a:b@c", "ftp://x", "sts.amazonaws.com", ""] {
            assert!(address("", bad).is_err(), "{bad}");
        }
    }
}
