//! Connections that Bastide makes because somebody's setting names an address: identity providers, receivers of the audit
//! trail, providers of dynamic pipelines. Whoever may set such an address must not reach the machine's own network by it, so what a name resolves to is
//! looked at before it is connected to, and redirects are not followed.
//!
//! Public addresses are reached always; others only where the operator lists their network. HTTP without TLS goes to
//! loopback alone, and only where that is listed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use model::{Error, Result};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use url::{Host, Url};

/// How long making a connection may take, and how long a whole exchange.
const CONNECT: Duration = Duration::from_secs(5);
const EXCHANGE: Duration = Duration::from_secs(15);

/// The networks that are not public and that the operator lets settings name.
#[derive(Clone, Debug, Default)]
struct Allowed(Arc<[IpNet]>);

impl Allowed {
    fn admits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_public(address) || self.0.iter().any(|network| network.contains(&address))
    }
}

/// What the operator decides about such connections.
#[derive(Clone, Debug, Default)]
pub struct OutboundSettings {
    /// Networks that are not public and that settings may name nevertheless.
    pub allowed: Vec<IpNet>,
    /// A file of certificates, in PEM, that are trusted beside the system's.
    pub trusted: Option<PathBuf>,
}

/// What is told of an address that is not public.
const NOT_PUBLIC: Unreached =
    "this address is not a public one: the operator can let it be named with --outbound-allow";

/// Makes the connections.
pub(crate) struct Outbound {
    allowed: Allowed,
    tls: Arc<ClientConfig>,
    client: reqwest::Client,
}

/// What came back: the status, and the body whole.
pub(crate) struct Fetched {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// Why nothing came back, in words for whoever set the address. They tell nothing of the network behind.
pub(crate) type Unreached = &'static str;

/// What is told of an answer that is larger than what is read.
pub(crate) const TOO_LARGE: Unreached = "its answer is too large";

impl Outbound {
    /// Trusts the certificates that the system trusts, and the operator's own.
    pub(crate) fn new(settings: &OutboundSettings) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in rustls_native_certs::load_native_certs().certs {
            // One certificate that cannot be read is no reason to trust none of them.
            let _ = roots.add(certificate);
        }
        if let Some(path) = &settings.trusted {
            let unreadable = |error: &dyn std::fmt::Display| {
                Error::invalid(format!("--outbound-trust: `{}` cannot be read: {error}", path.display()))
            };
            for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unreadable(&error))? {
                let certificate = certificate.map_err(|error| unreadable(&error))?;
                roots.add(certificate).map_err(|error| unreadable(&error))?;
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(Error::internal)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let allowed = Allowed(settings.allowed.as_slice().into());
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .dns_resolver(Arc::new(Guarded(allowed.clone())))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT)
            .timeout(EXCHANGE)
            .pool_max_idle_per_host(1)
            .user_agent(concat!("bastide/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(Error::internal)?;
        Ok(Self { allowed, tls: Arc::new(tls), client })
    }

    /// Reads an address that a setting names, or says what is wrong with it.
    pub(crate) fn address(&self, text: &str) -> Result<Url, Unreached> {
        if text.len() > 2_000 {
            return Err("use an address of at most 2000 characters");
        }
        let url = Url::parse(text).map_err(|_| "use a whole address, such as https://id.example.com")?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("leave names and passwords out of the address");
        }
        let host = url.host().ok_or("use an address with a host")?;
        let literal = match host {
            Host::Domain("localhost") => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(IpAddr::V4(address)),
            Host::Ipv6(address) => Some(IpAddr::V6(address)),
        };
        match url.scheme() {
            "https" => {}
            "http" if literal.is_some_and(|address| address.to_canonical().is_loopback()) => {}
            _ => return Err("use an address that begins with https://"),
        }
        // Names are looked at when they are resolved.
        match literal {
            Some(address) if !self.allowed.admits(address) => Err(NOT_PUBLIC),
            _ => Ok(url),
        }
    }

    /// A request to an address that [`Self::address`] has read.
    pub(crate) fn request(&self, method: reqwest::Method, url: Url) -> reqwest::RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends a request and reads an answer of at most `limit` bytes.
    pub(crate) async fn fetch(
        &self,
        request: reqwest::RequestBuilder,
        limit: usize,
    ) -> Result<Fetched, Unreached> {
        let mut response = request.send().await.map_err(|error| {
            // An address may hold a token.
            let host = error.url().and_then(Url::host_str).unwrap_or_default().to_owned();
            let error = error.without_url();
            tracing::info!(%error, host, "an address that a setting names was not reached");
            match error.is_timeout() {
                true => "it did not answer in time",
                false => "it could not be reached: look at its name, its certificate, and --outbound-allow",
            }
        })?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|_| "its answer broke off")? {
            if body.len().saturating_add(piece.len()) > limit {
                return Err(TOO_LARGE);
            }
            body.extend_from_slice(&piece);
        }
        Ok(Fetched { status, body })
    }

    /// Whether a host may be named, for what is not HTTP; names are looked at when they are resolved.
    pub(crate) fn host(&self, host: &str) -> Result<(), Unreached> {
        let literal = match host {
            "localhost" => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            other => other.parse().ok(),
        };
        match literal {
            Some(address) if !self.allowed.admits(address) => Err(NOT_PUBLIC),
            _ => Ok(()),
        }
    }

    /// Connects to a host and port, through the same guard, for what is not HTTP. TLS is the caller's to speak.
    pub(crate) async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, Unreached> {
        let unreached = "it could not be reached: look at its name and --outbound-allow";
        let work = async {
            let found = tokio::net::lookup_host((host, port)).await.map_err(|_| unreached)?;
            for address in found.filter(|address| self.allowed.admits(address.ip())) {
                if let Ok(stream) = TcpStream::connect(address).await {
                    return Ok(stream);
                }
            }
            Err(unreached)
        };
        tokio::time::timeout(CONNECT, work).await.map_err(|_| "it did not answer in time")?
    }

    /// How TLS is spoken: with the certificates that the system trusts.
    pub(crate) fn tls(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.tls)
    }
}

/// Resolves names to admitted addresses alone.
struct Guarded(Allowed);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let admitted: Vec<SocketAddr> = found.filter(|address| allowed.admits(address.ip())).collect();
            if admitted.is_empty() {
                return Err("no address that may be named".into());
            }
            Ok(Box::new(admitted.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is one of the public network's.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        // Shared by carriers; for protocols; 6to4 relays; for benchmarks; multicast and reserved.
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b))
        || a >= 224;
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    if (a, b, c, d, e, f) == (0x64, 0xff9b, 0, 0, 0, 0) {
        let [g1, g2] = g.to_be_bytes();
        let [h1, h2] = h.to_be_bytes();
        return is_public_v4(Ipv4Addr::new(g1, g2, h1, h2));
    }
    // Global unicast, without what carries another address inside (6to4, Teredo and its neighbours) and examples.
    (a & 0xe000) == 0x2000 && a != 0x2002 && !(a == 0x2001 && (b < 0x200 || b == 0xdb8)) && a != 0x3fff
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbound(allowed: &[&str]) -> Outbound {
        let allowed = allowed.iter().map(|text| text.parse().unwrap()).collect();
        Outbound::new(&OutboundSettings { allowed, trusted: None }).unwrap()
    }

    /// Attack: a setting names the machine itself, its network, or the cloud's metadata, in any spelling.
    #[test]
    fn what_is_not_public_is_named_only_where_the_operator_lets_it() {
        let strict = outbound(&[]);
        for bad in [
            "https://127.0.0.1/",
            "https://localhost/",
            "http://localhost/",
            "https://10.1.2.3/",
            "https://169.254.169.254/latest/meta-data",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:a9fe:a9fe]/",
            "https://[64:ff9b::7f00:1]/",
            "https://[2002:7f00:1::]/",
            "https://[fd00::1]/",
            "https://[fe80::1]/",
            "https://0.0.0.0/",
            "https://100.64.0.1/",
            "https://224.0.0.1/",
            "http://id.example.com/",
            "ftp://id.example.com/",
            "file:///etc/passwd",
            "https://user:pass@id.example.com/",
            "id.example.com",
        ] {
            assert!(strict.address(bad).is_err(), "{bad}");
        }
        for good in ["https://id.example.com/realms/a", "https://1.1.1.1/", "https://[2606:4700::1111]:8443/"]
        {
            assert!(strict.address(good).is_ok(), "{good}");
        }
        let open = outbound(&["127.0.0.0/8", "10.0.0.0/8"]);
        assert!(open.address("http://127.0.0.1:8080/").is_ok());
        assert!(open.address("https://10.1.2.3/").is_ok());
        assert!(open.address("http://10.1.2.3/").is_err(), "in the clear, to loopback alone");
        assert!(open.address("https://192.168.0.1/").is_err());
    }

    /// Attack: a name that somebody else's server resolves to this machine.
    #[tokio::test]
    async fn a_name_is_looked_at_when_it_is_resolved() {
        let strict = outbound(&[]);
        let name: Name = "localhost".parse().unwrap();
        assert!(Guarded(strict.allowed.clone()).resolve(name).await.is_err());
        assert!(strict.connect("localhost", 1).await.is_err());
        let open = outbound(&["127.0.0.0/8", "::1/128"]);
        let name: Name = "localhost".parse().unwrap();
        assert!(Guarded(open.allowed.clone()).resolve(name).await.is_ok());
    }
}
