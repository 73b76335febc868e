//! Who a runner is: its file, its first credential, and every one after that.
//!
//! `runner.json` holds the credential and belongs to the agent's user alone. A new credential is on the disk before it
//! is used, and the server keeps the one before until then; so a crash at any moment leaves a file that works.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use model::{Clock, Error, Result, Secret};
use pipeline::protocol::Registered;
use serde::{Deserialize, Serialize};

use crate::container::Engine;
use crate::server::Server;
use crate::system;

const FILE: &str = "runner.json";
const LOCK: &str = "lock";

/// What is asked for when a runner registers.
pub struct Registering {
    /// The server's address.
    pub url: String,
    /// The runner's folder; made where it is not there.
    pub directory: PathBuf,
    /// The one-time code.
    pub code: Secret,
    /// A file of certificates, in PEM, that are trusted beside the system's.
    pub trusted: Option<PathBuf>,
    /// Whether a runner that is registered in the folder is replaced.
    pub replace: bool,
}

/// The file.
#[derive(Serialize, Deserialize)]
struct Stored {
    url: String,
    runner: String,
    name: String,
    credential: String,
    /// When the credential should be replaced, in seconds since 1970.
    rotate_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trusted: Option<PathBuf>,
}

/// A runner that is registered: its folder is open, and locked.
pub(crate) struct Registration {
    directory: PathBuf,
    stored: Stored,
    _lock: File,
}

/// Exchanges a one-time code for a runner's credential, and stores that. Gives the runner's name.
///
/// # Errors
/// When the code is refused, the server is not reached, or the folder has a runner already.
pub async fn register(wanted: Registering, clock: &Clock) -> Result<String> {
    let directory = &wanted.directory;
    make(directory)?;
    let _lock = lock(directory).await?;
    if directory.join(FILE).exists() && !wanted.replace {
        let message =
            format!("`{}` has a runner already; give another folder, or --replace", directory.display());
        return Err(Error::Conflict(message));
    }
    let trusted = canonical(wanted.trusted.as_deref())?;
    let server = Server::new(&wanted.url, trusted.as_deref())?;
    let program = crate::agent::program(Engine::probe(directory).await.as_ref());
    let registered = server.register(&wanted.code, program).await?;
    let name = registered.name.clone();
    write(directory, &Stored::new(wanted.url, registered, trusted, clock))?;
    Ok(name)
}

/// Stores the credential of a runner that its server has begun by itself. What the folder held before is replaced.
///
/// # Errors
/// When the folder cannot be used, or another agent works in it.
pub async fn enroll(
    directory: &Path,
    url: &str,
    trusted: Option<&Path>,
    registered: Registered,
    clock: &Clock,
) -> Result<()> {
    make(directory)?;
    let _lock = lock(directory).await?;
    write(directory, &Stored::new(url.to_owned(), registered, canonical(trusted)?, clock))
}

fn make(directory: &Path) -> Result<()> {
    system::private_folder(directory).map_err(|error| unusable(directory, &error))
}

fn canonical(path: Option<&Path>) -> Result<Option<PathBuf>> {
    path.map(|path| system::absolute(path).map_err(|error| unusable(path, &error))).transpose()
}

impl Stored {
    fn new(url: String, registered: Registered, trusted: Option<PathBuf>, clock: &Clock) -> Self {
        Self {
            url,
            rotate_at: rotate_at(&registered, clock),
            runner: registered.runner,
            name: registered.name,
            credential: registered.credential,
            trusted,
        }
    }
}

impl Registration {
    /// Opens a runner's folder.
    pub(crate) async fn open(directory: &Path) -> Result<Self> {
        let directory = system::absolute(directory).map_err(|error| unusable(directory, &error))?;
        let lock = lock(&directory).await?;
        let text = fs::read_to_string(directory.join(FILE)).map_err(|error| {
            Error::invalid(format!(
                "no runner is registered in `{}` ({error}); run `bastide runner register` first",
                directory.display()
            ))
        })?;
        let stored = serde_json::from_str(&text).map_err(|_| {
            Error::invalid(format!("`{}` is no runner's file", directory.join(FILE).display()))
        })?;
        Ok(Self { directory, stored, _lock: lock })
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn name(&self) -> &str {
        &self.stored.name
    }

    pub(crate) fn id(&self) -> &str {
        &self.stored.runner
    }

    pub(crate) fn trusted(&self) -> Option<&Path> {
        self.stored.trusted.as_deref()
    }

    /// The server that the runner is registered with.
    pub(crate) fn server(&self) -> Result<Server> {
        let server = Server::new(&self.stored.url, self.stored.trusted.as_deref())?;
        server.speak_as(Secret::new(self.stored.credential.clone()));
        Ok(server)
    }

    /// In how many seconds the credential should be replaced.
    pub(crate) fn rotates_in(&self, clock: &Clock) -> u64 {
        u64::try_from(self.stored.rotate_at - clock.now().seconds()).unwrap_or_default()
    }

    /// Replaces the credential: asks, stores, then uses.
    pub(crate) async fn rotate(&mut self, server: &Server, clock: &Clock) -> Result<()> {
        let registered = server.rotate().await?;
        self.stored.rotate_at = rotate_at(&registered, clock);
        self.stored.credential = registered.credential;
        self.stored.name = registered.name;
        write(&self.directory, &self.stored)?;
        server.speak_as(Secret::new(self.stored.credential.clone()));
        Ok(())
    }
}

fn rotate_at(registered: &Registered, clock: &Clock) -> i64 {
    clock.now().plus_seconds(i64::from(registered.rotate_after)).seconds()
}

/// One agent at a time has a folder. One that ends may hold it for a moment longer, by a process that it has just begun.
async fn lock(directory: &Path) -> Result<File> {
    let path = directory.join(LOCK);
    let file = system::lock_file(&path);
    let file = file.map_err(|error| unusable(&path, &error))?;
    for _ in 0..20 {
        if file.try_lock().is_ok() {
            return Ok(file);
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    Err(Error::Conflict(format!("another agent works in `{}`", directory.display())))
}

/// Writes the file anew, so that it is whole at every moment.
fn write(directory: &Path, stored: &Stored) -> Result<()> {
    let text = serde_json::to_string_pretty(stored).map_err(Error::internal)?;
    let written = || -> io::Result<()> {
        let fresh = directory.join(format!("{FILE}.new"));
        let _ = fs::remove_file(&fresh);
        let mut file = system::private_file(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, directory.join(FILE))?;
        system::sync_folder(directory)
    };
    written().map_err(|error| unusable(&directory.join(FILE), &error))
}

fn unusable(path: &Path, error: &io::Error) -> Error {
    Error::invalid(format!("`{}` cannot be used: {error}", path.display()))
}
