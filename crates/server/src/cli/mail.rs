//! The flags that name the mail server, and `bastide admin mail`.

use std::path::PathBuf;

use axum::http::Method;
use clap::{Args, Subcommand};
use model::{Email, Error, Result};
use serde_json::json;
use service::MailSettings;

use super::admin::{ask, text};
use super::installation::{Config, Place, secret_file, variable};
use super::output::Output;

/// Where the mail server's password is looked for.
const PASSWORD: &str = "BASTIDE_SMTP_PASSWORD";

/// The flags.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct MailFlags {
    /// The mail server that takes mail, smtps://USER@HOST or smtp://USER@HOST:587 (with STARTTLS); without, none is sent
    #[arg(long, env = "BASTIDE_SMTP_URL", value_name = "URL", hide_env_values = true)]
    smtp_url: Option<String>,
    /// A file with the mail server's password; BASTIDE_SMTP_PASSWORD does as well
    #[arg(long, env = "BASTIDE_SMTP_PASSWORD_FILE", value_name = "FILE")]
    smtp_password_file: Option<PathBuf>,
    /// The address that mail comes from
    #[arg(long, env = "BASTIDE_SMTP_FROM", value_name = "ADDRESS")]
    smtp_from: Option<String>,
    /// Certificates, in PEM, that the mail server's must lead to, instead of those that this machine trusts
    #[arg(long, env = "BASTIDE_SMTP_ROOT_CERTIFICATE", value_name = "FILE")]
    smtp_root_certificate: Option<PathBuf>,
    /// Send mail in the clear to a server on another machine
    #[arg(long, env = "BASTIDE_SMTP_INSECURE")]
    smtp_insecure: bool,
}

impl MailFlags {
    /// The file with the password, where a flag or variable names one.
    pub(super) fn password_file(&self) -> Option<&PathBuf> {
        self.smtp_password_file.as_ref()
    }

    /// What they say, or the configuration file where they say nothing.
    pub(super) fn settings(&self, config: &Config) -> Result<Option<MailSettings>> {
        let Some(url) = self.smtp_url.as_ref().or(config.smtp_url.as_ref()) else { return Ok(None) };
        let from = self.smtp_from.as_ref().or(config.smtp_from.as_ref());
        let from = from.ok_or_else(|| {
            Error::invalid("name the address that mail comes from: --smtp-from bastide@example.com")
        })?;
        let file = self.smtp_password_file.as_ref().or(config.smtp_password_file.as_ref());
        let password = match file {
            Some(file) => Some(secret_file(file)?),
            None => variable(PASSWORD),
        };
        let root = self.smtp_root_certificate.as_ref().or(config.smtp_root_certificate.as_ref());
        let insecure = self.smtp_insecure || config.smtp_insecure.unwrap_or(false);
        MailSettings::read(url, password, address(from)?, root.cloned(), insecure).map(Some)
    }
}

fn address(text: &str) -> Result<Email> {
    text.parse().map_err(|error| Error::invalid(format!("`{text}`: {error}")))
}

/// The commands below `admin mail`.
#[derive(Subcommand)]
pub(super) enum Mail {
    /// Send a message now, and tell what the mail server says
    Test {
        #[command(flatten)]
        place: Place,
        /// To whom
        address: String,
    },
}

/// Runs the command.
pub(super) async fn run(mail: Mail) -> Result<()> {
    let Mail::Test { place, address: to } = mail;
    let body = json!({ "address": address(&to)?.as_str() });
    let sent = ask(&place, Method::POST, "/api/operator/mail/test", Some(&body)).await?;
    Output::new().line(format_args!("{} took a message to {to}", text(&sent, "server")))
}
