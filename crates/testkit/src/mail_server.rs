//! A real mail server (`aiosmtpd`) on a free port of loopback, that keeps what it gets in a folder of its own.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long it may take to start, and mail to come: generous, since nothing is asserted on it.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// What the server asks for logins with.
const LOGIN: &str = include_str!("mail_login.py");

/// How a mail server protects the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailProtection {
    /// TLS from the first byte.
    Tls,
    /// STARTTLS, without which it takes nothing.
    StartTls,
    /// None, and it offers none.
    Clear,
}

/// What a certificate says: that it is a server's, not an authority's, which no client would take for one.
const REQUEST: &str = "[req]\ndistinguished_name = name\nx509_extensions = more\n[name]\n[more]\n\
    basicConstraints = critical, CA:FALSE\nsubjectAltName = IP:127.0.0.1\n";

/// A certificate for 127.0.0.1 that vouches for itself, and its key.
///
/// # Panics
/// When `openssl` does not make it.
#[must_use]
pub fn certificate(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let (certificate, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key.pem")));
    let config = folder.join(format!("{name}.cnf"));
    std::fs::write(&config, REQUEST).expect("what the certificate says");
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-nodes",
            "-days",
            "2",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ])
        .args(["-subj", "/CN=mail", "-config"])
        .arg(&config)
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .expect("`openssl` runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (certificate, key)
}

/// A mail server, ended when this is dropped.
pub struct MailServer {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on now.
fn free() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("its address")
}

impl MailServer {
    /// Starts one.
    ///
    /// # Panics
    /// When `aiosmtpd` is missing or does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::at(free())
    }

    /// Starts one on an address.
    ///
    /// # Panics
    /// When `aiosmtpd` is missing or does not start.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let mut command = Command::new("aiosmtpd");
        command.args(["--class", "aiosmtpd.handlers.Mailbox"]).arg(folder.path().join("mail"));
        Self::run(command, address, folder)
    }

    /// Starts one that takes mail by this password alone, whoever gives it; [`MailServer::certificate`] vouches for it.
    ///
    /// # Panics
    /// When `aiosmtpd` is missing or does not start.
    #[must_use]
    pub fn locked(protection: MailProtection, password: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let here = folder.path();
        std::fs::write(here.join("bastide_mail_login.py"), LOGIN).expect("what asks for logins");
        std::fs::write(here.join("password"), password).expect("the password");
        let (certificate, key) = certificate(here, "mail");
        let mut command = Command::new("aiosmtpd");
        command.env("PYTHONPATH", here).args(["--class", "bastide_mail_login.Locked"]);
        match protection {
            MailProtection::Tls => {
                command.arg("--smtpscert").arg(certificate).arg("--smtpskey").arg(key);
            }
            MailProtection::StartTls => {
                command.arg("--tlscert").arg(certificate).arg("--tlskey").arg(key);
            }
            MailProtection::Clear => {}
        }
        for file in ["mail", "password", "tried"] {
            command.arg(here.join(file));
        }
        Self::run(command, free(), folder)
    }

    fn run(mut command: Command, address: SocketAddr, folder: TempDir) -> Self {
        let mut child = command
            .args(["--nosetuid", "--smtputf8", "--listen"])
            .arg(address.to_string())
            .stdout(Stdio::null())
            .spawn()
            .expect("`aiosmtpd` starts: install python3-aiosmtpd");
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            assert!(child.try_wait().expect("it can be asked").is_none(), "`aiosmtpd` has ended");
            assert!(Instant::now() < end, "`aiosmtpd` does not listen");
            std::thread::sleep(LOOK);
        }
        Self { child, address, folder }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What `--smtp-url` takes.
    #[must_use]
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// The certificate of one that was started locked.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("mail.pem")
    }

    /// The logins that were tried with one that was started locked, each as `USER PASSWORD`.
    #[must_use]
    pub fn tried(&self) -> Vec<String> {
        let tried = std::fs::read_to_string(self.folder.path().join("tried")).unwrap_or_default();
        tried.lines().map(str::to_owned).collect()
    }

    /// The messages that have come, in the order in which they came; as they came, but for quoted-printable, which is undone.
    #[must_use]
    pub fn messages(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.folder.path().join("mail").join("new")) else {
            return Vec::new();
        };
        let mut found: Vec<_> = entries
            .map_while(Result::ok)
            .map(|entry| {
                let when = entry.metadata().and_then(|found| found.modified()).expect("a time");
                (when, entry.file_name(), std::fs::read(entry.path()).expect("a message"))
            })
            .collect();
        found.sort();
        found.into_iter().map(|(_, _, bytes)| readable(&bytes)).collect()
    }

    /// Waits until as many messages have come; all of them.
    ///
    /// # Panics
    /// When they do not come.
    #[must_use]
    pub fn wait_for(&self, count: usize) -> Vec<String> {
        let end = Instant::now() + PATIENCE;
        loop {
            let found = self.messages();
            if found.len() >= count {
                return found;
            }
            assert!(Instant::now() < end, "{} of {count} messages came: {found:#?}", found.len());
            std::thread::sleep(LOOK);
        }
    }
}

fn readable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    if !text.contains("quoted-printable") {
        return text;
    }
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let mut out = Vec::new();
    let joined = body.replace("=\n", "");
    let mut rest = joined.as_bytes();
    while let Some((&first, more)) = rest.split_first() {
        let code = more.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match (first, code.and_then(|two| u8::from_str_radix(two, 16).ok())) {
            (b'=', Some(byte)) => {
                out.push(byte);
                rest = &more[2..];
            }
            _ => {
                out.push(first);
                rest = more;
            }
        }
    }
    format!("{head}\n\n{}", String::from_utf8_lossy(&out))
}
