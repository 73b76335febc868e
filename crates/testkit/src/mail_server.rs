//! A real mail server (`aiosmtpd`) on a free port of loopback, that keeps what it gets in a folder of its own.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long it may take to start, and mail to come: generous, since nothing is asserted on it.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

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
        let mut child = Command::new("aiosmtpd")
            .args(["--nosetuid", "--smtputf8", "--class", "aiosmtpd.handlers.Mailbox", "--listen"])
            .arg(address.to_string())
            .arg(folder.path().join("mail"))
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
