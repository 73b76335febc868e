//! TLS: which versions and suites, and certificates that are replaced while the server runs.
//!
//! TLS 1.2 and 1.3 with forward secrecy and authenticated encryption; the hybrid post-quantum key exchange first.
//! There is no early data, so a request cannot be replayed.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use model::{Error, Result};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A certificate chain with its key, read from two PEM files and read again on request. Cloning shares it.
#[derive(Clone)]
pub struct Certificates {
    acceptor: TlsAcceptor,
    current: Arc<Current>,
    chain: PathBuf,
    key: PathBuf,
}

struct Current(RwLock<Arc<CertifiedKey>>);

/// The suites and key exchanges that are offered.
pub(crate) fn provider() -> CryptoProvider {
    CryptoProvider {
        kx_groups: vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1],
        ..aws_lc_rs::default_provider()
    }
}

fn read(chain: &Path, key: &Path) -> Result<CertifiedKey> {
    let failed = |path: &Path, cause: &dyn fmt::Display| {
        Error::invalid(format!("cannot use `{}`: {cause}", path.display()))
    };
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect)
        .map_err(|error| failed(chain, &error))?;
    if certificates.is_empty() {
        return Err(failed(chain, &"it holds no certificate in PEM form"));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key, &error))?;
    CertifiedKey::from_der(certificates, private, &provider()).map_err(|error| failed(key, &error))
}

impl Certificates {
    /// Reads both files and sets TLS up.
    ///
    /// # Errors
    /// When a file cannot be read, or the key is not the certificate's.
    pub fn load(chain: &Path, key: &Path) -> Result<Self> {
        let current = Arc::new(Current(RwLock::new(Arc::new(read(chain, key)?))));
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_safe_default_protocol_versions()
            .map_err(Error::internal)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Self { acceptor, current, chain: chain.to_owned(), key: key.to_owned() })
    }

    /// Reads both files again; new connections get what they hold now.
    ///
    /// # Errors
    /// As [`Certificates::load`]; the server then keeps what it had.
    pub fn reload(&self) -> Result<()> {
        let fresh = Arc::new(read(&self.chain, &self.key)?);
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// Reloads on every SIGHUP, for as long as it is polled.
    ///
    /// # Errors
    /// When the signal cannot be waited for.
    pub async fn reload_on_hangup(self) -> Result<()> {
        let mut hangups = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())
            .map_err(Error::internal)?;
        while hangups.recv().await.is_some() {
            match self.reload() {
                Ok(()) => tracing::info!("the certificate was read again"),
                Err(error) => tracing::error!("the certificate stays as it was: {error}"),
            }
        }
        Ok(())
    }

    /// Shakes hands over a new connection.
    ///
    /// # Errors
    /// When the client speaks no TLS that is offered, or ends the connection.
    pub async fn accept(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl fmt::Debug for Current {
    /// The key is not for the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current")
    }
}
