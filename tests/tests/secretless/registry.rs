//! A registry of images that asks for a name and a password (`tests/secretless/registry.py`), and what lets podman ask it without
//! TLS.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use testkit::Running;

pub(crate) struct Registry {
    _running: Running,
    /// Its name, as images have it.
    pub(crate) host: String,
    /// Podman's configuration.
    pub(crate) configuration: PathBuf,
}

impl Registry {
    /// For who shows `secret`: `name:password`.
    pub(crate) fn start(folder: &Path, secret: &str) -> Self {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/secretless/registry.py");
        let mut command = Command::new("/usr/bin/python3");
        command.args([program, secret]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("the registry starts");
        let mut line = String::new();
        let output = process.stdout.take().expect("an output");
        let _ = BufReader::new(output).read_line(&mut line).expect("a port");
        let host = format!("localhost:{}", line.trim());
        let configuration = folder.join("registries.conf");
        let text = format!("[[registry]]\nlocation = \"{host}\"\ninsecure = true\n");
        std::fs::write(&configuration, text).expect("a file");
        Self { _running: Running(process), host, configuration }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // What was fetched is of no use any more.
        for name in ["right", "right-db"] {
            let image = format!("{}/{name}:1", self.host);
            let _ = Command::new("podman").args(["rmi", "--force", &image]).output();
        }
    }
}
