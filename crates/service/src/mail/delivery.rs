//! How mail leaves: one message after the other, over SMTP, in the background.
//!
//! A message that the server will never take is given up at once; everything else is tried again, ever more rarely, for
//! as long as the message is of use. Delivery is at least once: the message's id stays the same, by which mail programs
//! know a second copy.

use std::path::Path;
use std::time::{Duration, SystemTime};

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use model::{Email, Error, Result};

use super::{MAIL, MailEncryption, MailSettings, Message};
use crate::jobs::log_text;
use crate::{Caller, Service};

/// For how long the mail server may be silent, and for how long it may take in all.
const SILENCE: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a message is held by one process before another may take it.
const LEASE_SECONDS: i64 = 120;

/// Why a message did not leave.
enum Failure {
    /// It may yet.
    Later(String),
    /// It never will.
    Never(String),
}

/// What the server said, on one line: it goes into logs.
fn told(error: &lettre::transport::smtp::Error) -> String {
    let mut text = error.to_string();
    // Some of its errors say what caused them by themselves.
    if let Some(source) = std::error::Error::source(error).map(ToString::to_string)
        && !text.contains(&source)
    {
        text = format!("{text}: {source}");
    }
    super::inline(&text)
}

/// Wrong logins and a server that wants encryption are the operator's to mend, and the message is as good after.
fn never(error: &lettre::transport::smtp::Error) -> bool {
    let code = error.status().map(u16::from);
    error.is_permanent() && !matches!(code, Some(454 | 523 | 530 | 534 | 535 | 538))
}

fn address(email: &Email) -> Result<Address> {
    email.as_str().parse().map_err(|error| Error::internal(format_args!("no address for mail: {error}")))
}

/// A message as it goes over the wire.
pub(super) fn written(
    from: &Email,
    host: &str,
    id: &str,
    message: &Message,
    date: SystemTime,
) -> Result<lettre::Message> {
    let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
    lettre::Message::builder()
        .message_id(Some(format!("<{id}@{host}>")))
        .from(lettre::message::Mailbox::new(Some("Bastide".to_owned()), address(from)?))
        .to(lettre::message::Mailbox::new(None, address(&message.to)?))
        .subject(message.subject.as_str())
        .date(date)
        .header(ContentType::TEXT_PLAIN)
        .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
        .body(message.body.clone())
        .map_err(Error::internal)
}

/// The certificates in a file that the operator names.
fn trusted(path: &Path) -> Result<Certificate> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Error::internal(format_args!("the certificates in `{}` cannot be read: {error}", path.display()))
    };
    let pem = std::fs::read(path).map_err(|error| unreadable(&error))?;
    Certificate::from_pem(&pem).map_err(|error| unreadable(&error))
}

fn transport(settings: &MailSettings, hello: &str) -> Result<AsyncSmtpTransport<Tokio1Executor>> {
    let tls = match settings.encryption {
        MailEncryption::Clear => Tls::None,
        MailEncryption::Tls | MailEncryption::StartTls => {
            let parameters = TlsParameters::builder(settings.host.clone());
            let parameters = match &settings.root_certificate {
                Some(path) => {
                    parameters.certificate_store(CertificateStore::None).add_root_certificate(trusted(path)?)
                }
                None => parameters,
            };
            let parameters = parameters.build_rustls().map_err(Error::internal)?;
            match settings.encryption {
                MailEncryption::Tls => Tls::Wrapper(parameters),
                _ => Tls::Required(parameters),
            }
        }
    };
    let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(settings.host.clone())
        .port(settings.port)
        .hello_name(ClientId::Domain(hello.to_owned()))
        .timeout(Some(SILENCE))
        .tls(tls);
    Ok(match &settings.login {
        Some((user, password)) => {
            builder.credentials(Credentials::new(user.clone(), password.expose().to_owned())).build()
        }
        None => builder.build(),
    })
}

impl Service {
    /// Whether there is a mail server: where there is none, nothing is mailed and whoever offers it says so.
    #[must_use]
    pub fn has_mail(&self) -> bool {
        self.outbox.is_on()
    }

    /// Sends what waits, until nothing is due or the server does not take it.
    pub(crate) async fn deliver_mail(&self) -> Result<()> {
        let Some(settings) = &self.settings.mail else { return Ok(()) };
        let mut stopping = self.stopping.subscribe();
        while !*self.stopping.borrow() {
            let holder = self.holder.clone();
            let claimed = self
                .store
                .keep(move |books| store::job::claim(books, &holder, LEASE_SECONDS, &[MAIL]))
                .await?;
            let Some(job) = claimed else { return Ok(()) };
            let opened = self.outbox.open(&job.payload, self.clock.now());
            let sent = match opened {
                Ok(Some((id, message))) => tokio::select! {
                    sent = self.send(settings, &id, &message) => sent,
                    // Another process, or the next start, takes it when the lease is over.
                    _ = stopping.wait_for(|stopping| *stopping) => return Ok(()),
                },
                Ok(None) => Err(Failure::Never("it was tried for as long as it was of use".to_owned())),
                Err(error) => Err(Failure::Never(log_text(&error))),
            };
            let id = job.id;
            match sent {
                Ok(()) => self.store.keep(move |books| store::job::finish(books, id)).await?,
                Err(Failure::Never(error)) => {
                    tracing::error!(error, message = %id, "mail was given up");
                    self.store.keep(move |books| store::job::finish(books, id)).await?;
                }
                Err(Failure::Later(error)) => {
                    tracing::warn!(error, message = %id, "mail could not be sent and will be tried again");
                    self.store.keep(move |books| store::job::fail(books, id, &error)).await?;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    async fn send(
        &self,
        settings: &MailSettings,
        id: &str,
        message: &Message,
    ) -> std::result::Result<(), Failure> {
        let later = |error: Error| Failure::Later(log_text(&error));
        let host = self.settings.host();
        let micros = u64::try_from(self.clock.now().micros()).unwrap_or(0);
        let date = SystemTime::UNIX_EPOCH + Duration::from_micros(micros);
        let message = written(&settings.from, host, id, message, date)
            .map_err(|error| Failure::Never(log_text(&error)))?;
        let transport = transport(settings, host).map_err(later)?;
        match tokio::time::timeout(PATIENCE, transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) if never(&error) => Err(Failure::Never(told(&error))),
            Ok(Err(error)) => Err(Failure::Later(told(&error))),
            Err(_) => Err(Failure::Later(format!("it took more than {} s", PATIENCE.as_secs()))),
        }
    }

    /// Sends a message to an address at once, and tells which server took it: for the command line, which waits for it.
    pub async fn test_mail(&self, caller: &Caller, to: &Email) -> Result<String> {
        self.operator_only(caller)?;
        let Some(settings) = &self.settings.mail else {
            return Err(Error::Conflict(
                "there is no mail server: start `bastide serve` with --smtp-url smtps://USER@HOST".to_owned(),
            ));
        };
        let message = super::letter::test(to, &self.settings.base_url);
        let server = settings.server();
        match self.send(settings, &caller.request_id.to_string(), &message).await {
            Ok(()) => Ok(server),
            Err(Failure::Later(error) | Failure::Never(error)) => {
                Err(Error::Conflict(format!("the mail server {server} did not take it: {error}")))
            }
        }
    }
}
