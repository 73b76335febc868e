//! Which mail server takes the mail, and how it is spoken to.

use std::net::IpAddr;
use std::path::PathBuf;

use model::{Email, Error, Result, Secret};
use url::{Host, Url};

/// How the conversation with the mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailEncryption {
    /// TLS from the first byte: `smtps://`.
    Tls,
    /// TLS by STARTTLS, without which nothing is sent: `smtp://`.
    StartTls,
    /// None: for a server on this machine, or where the operator says so.
    Clear,
}

/// Which mail server takes the mail.
#[derive(Clone)]
pub struct MailSettings {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the conversation is protected.
    pub encryption: MailEncryption,
    /// Who Bastide is to it, and by which password.
    pub login: Option<(String, Secret)>,
    /// The address that mail comes from.
    pub from: Email,
    /// A file of certificates, in PEM, that are trusted instead of the system's.
    pub root_certificate: Option<PathBuf>,
}

fn decoded(text: &str) -> Result<String> {
    let bytes = percent_decoded(text);
    String::from_utf8(bytes).map_err(|_| Error::invalid("the user in --smtp-url is not text"))
}

fn percent_decoded(text: &str) -> Vec<u8> {
    url::form_urlencoded::parse(format!("x={}", text.replace('+', "%2B")).as_bytes())
        .next()
        .map(|(_, value)| value.into_owned().into_bytes())
        .unwrap_or_default()
}

impl MailSettings {
    /// Reads `smtp://USER@HOST:PORT` or `smtps://…`. The password is never in it. `insecure` lets `smtp://` speak in the
    /// clear to another machine.
    ///
    /// # Errors
    /// When the address is none, holds a password, or would send one in the clear.
    pub fn read(
        text: &str,
        password: Option<Secret>,
        from: Email,
        root_certificate: Option<PathBuf>,
        insecure: bool,
    ) -> Result<Self> {
        // Not repeated: it may hold a password.
        let odd = || Error::invalid("write --smtp-url as smtp://USER@HOST:587 or smtps://USER@HOST:465");
        let url = Url::parse(text).map_err(|_| odd())?;
        if url.password().is_some() {
            return Err(Error::invalid(
                "leave the password out of --smtp-url: put it into BASTIDE_SMTP_PASSWORD or --smtp-password-file",
            ));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(odd());
        }
        // The crate that reads addresses reads hosts of schemes that it does not know as mere text.
        let host = Host::parse(url.host_str().ok_or_else(odd)?).map_err(|_| odd())?;
        let local = match &host {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => IpAddr::V6(*address).to_canonical().is_loopback(),
        };
        let (encryption, usual) = match url.scheme() {
            "smtps" => (MailEncryption::Tls, 465),
            "smtp" if (local || insecure) && root_certificate.is_none() => (MailEncryption::Clear, 587),
            "smtp" => (MailEncryption::StartTls, 587),
            _ => return Err(odd()),
        };
        let user = decoded(url.username())?;
        let login = match (user.is_empty(), password) {
            (true, None) => None,
            (true, Some(_)) => return Err(Error::invalid("name the user of the password in --smtp-url")),
            (false, None) => {
                return Err(Error::invalid(
                    "--smtp-url names a user: put the password into BASTIDE_SMTP_PASSWORD or --smtp-password-file",
                ));
            }
            (false, Some(password)) => Some((user, password)),
        };
        if login.is_some() && encryption == MailEncryption::Clear && !local {
            return Err(Error::invalid(
                "--smtp-insecure would send the mail server's password in the clear: use smtps://, or no user",
            ));
        }
        let port = url.port().unwrap_or(usual);
        let host = match host {
            Host::Domain(name) => name,
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        Ok(Self { host, port, encryption, login, from, root_certificate })
    }

    /// The server, as people write it.
    #[must_use]
    pub fn server(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str, password: bool, insecure: bool) -> Result<MailSettings> {
        let password = password.then(|| Secret::new("pw".to_owned()));
        MailSettings::read(url, password, "bastide@example.com".parse().unwrap(), None, insecure)
    }

    #[test]
    fn another_machine_is_spoken_to_through_tls() {
        let of =
            |url: &str, password| read(url, password, false).map(|it| (it.server(), it.encryption)).unwrap();
        assert_eq!(
            of("smtp://mail.example", false),
            ("mail.example:587".to_owned(), MailEncryption::StartTls)
        );
        assert_eq!(
            of("smtps://ann@mail.example", true),
            ("mail.example:465".to_owned(), MailEncryption::Tls)
        );
        assert_eq!(of("smtp://127.0.0.1:25", false), ("127.0.0.1:25".to_owned(), MailEncryption::Clear));
        assert_eq!(of("smtp://[::1]:25", false), ("[::1]:25".to_owned(), MailEncryption::Clear));
        let user = read("smtps://ann%40example.com@mail.example", true, false).unwrap().login.unwrap().0;
        assert_eq!(user, "ann@example.com");
        assert_eq!(read("smtp://relay:25", false, true).unwrap().encryption, MailEncryption::Clear);
    }

    #[test]
    fn a_password_is_neither_in_the_address_nor_in_the_clear() {
        for (url, password, insecure) in [
            ("smtp://ann:pw@mail.example", false, false),
            ("smtp://ann@relay:25", true, true),
            ("smtp://ann@mail.example", false, false),
            ("smtp://mail.example", true, false),
            ("http://mail.example", false, false),
            ("smtp://mail.example/x", false, false),
            ("smtp://mail.example?tls=none", false, false),
            ("mail.example:25", false, false),
            ("smtp://", false, false),
        ] {
            let refused = read(url, password, insecure).map(|_| ()).unwrap_err();
            assert!(!refused.to_string().contains("pw@"), "{refused}");
        }
    }
}
