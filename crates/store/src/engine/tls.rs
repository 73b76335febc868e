//! TLS to the database server, with the server's certificate always verified.

use std::path::Path;
use std::sync::Arc;

use model::{Error, Result};
use postgres::Config;
use postgres::config::{Host, SslMode};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Makes TLS connections.
pub(super) type Tls = MakeRustlsConnect;

/// Where systems keep the certificates they trust.
const SYSTEM_BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Takes `sslrootcert` out of an address: the driver does not know it.
pub(super) fn split_root_certificate(url: &str) -> (String, Option<String>) {
    let Some((head, query)) = url.split_once('?') else { return (url.to_owned(), None) };
    let mut path = None;
    let rest: Vec<&str> = query
        .split('&')
        .filter(|pair| match pair.strip_prefix("sslrootcert=") {
            Some(value) => {
                path = Some(value.replace("%2F", "/").replace("%2f", "/"));
                false
            }
            None => true,
        })
        .collect();
    let url = if rest.is_empty() { head.to_owned() } else { format!("{head}?{}", rest.join("&")) };
    (url, path)
}

/// Decides whether to speak TLS. The driver's default, to try and to go on without, protects from nobody: so a
/// server on this machine is spoken to plainly, any other one through TLS, unless `sslmode` says otherwise.
pub(super) fn prepare(config: &mut Config, root_certificate: Option<&str>) -> Result<Option<Tls>> {
    if config.get_ssl_mode() == SslMode::Prefer {
        let local =
            config.get_hosts().iter().all(is_local) && config.get_hostaddrs().iter().all(|a| a.is_loopback());
        config.ssl_mode(if local && root_certificate.is_none() {
            SslMode::Disable
        } else {
            SslMode::Require
        });
    }
    if config.get_ssl_mode() == SslMode::Disable {
        return Ok(None);
    }
    let roots = match root_certificate {
        Some(path) => read_roots(Path::new(path))?,
        None => match SYSTEM_BUNDLES.iter().map(Path::new).find(|path| path.exists()) {
            Some(path) => read_roots(path)?,
            None => {
                return Err(Error::internal(
                    "no certificates to trust were found: name a file with `sslrootcert=` in the database's address",
                ));
            }
        },
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::internal)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Some(MakeRustlsConnect::new(client)))
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
    }
}

fn read_roots(path: &Path) -> Result<RootCertStore> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Error::internal(format_args!("reading trusted certificates from `{}`: {error}", path.display()))
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unreadable(&error))? {
        // One certificate of a system's bundle that rustls cannot read is no reason to trust none of them.
        let _ = roots.add(certificate.map_err(|error| unreadable(&error))?);
    }
    if roots.is_empty() {
        return Err(unreadable(&"it holds no certificate"));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> SslMode {
        let (url, root) = split_root_certificate(url);
        let mut config: Config = url.parse().unwrap();
        let _ = prepare(&mut config, root.as_deref());
        config.get_ssl_mode()
    }

    #[test]
    fn a_server_elsewhere_is_spoken_to_through_tls_unless_told_otherwise() {
        assert_eq!(mode("postgres://db.example.com/bastide"), SslMode::Require);
        assert_eq!(mode("postgres://db.example.com/bastide?sslmode=disable"), SslMode::Disable);
        assert_eq!(mode("postgres://127.0.0.1/bastide"), SslMode::Disable);
        assert_eq!(mode("postgres://localhost/bastide?sslmode=require"), SslMode::Require);
    }

    #[test]
    fn the_root_certificate_is_taken_out_of_the_address() {
        let (url, path) = split_root_certificate("postgres://h/d?sslmode=require&sslrootcert=/etc/ca.pem");
        assert_eq!((url.as_str(), path.as_deref()), ("postgres://h/d?sslmode=require", Some("/etc/ca.pem")));
    }
}
