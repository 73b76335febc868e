//! A PostgreSQL cluster of our own for the tests, from the system's package: in a temporary folder, on a free port
//! of 127.0.0.1, behind a random password, without fsync, ended with this value.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::{Result, process};

/// A running cluster.
pub(crate) struct Cluster {
    bin: PathBuf,
    folder: TempDir,
    url: String,
}

impl Cluster {
    /// Makes and starts one.
    pub(crate) fn start() -> Result<Self> {
        let bin = programs()?;
        let folder = tempfile::Builder::new().prefix("bastide-postgres-").tempdir()?;
        let password = random_password()?;
        let secret = folder.path().join("password");
        process::write_private(&secret, &password)?;
        let data = folder.path().join("data");
        std::fs::create_dir(&data)?;
        std::fs::set_permissions(&data, PermissionsExt::from_mode(0o700))?;
        if process::superuser() {
            // PostgreSQL refuses to run as root; Debian's package brings a user for it.
            let (uid, gid) = (id("-u")?, id("-g")?);
            for path in [folder.path(), &secret, &data] {
                chown(path, Some(uid), Some(gid)).map_err(|e| format!("cannot give {path:?} away: {e}"))?;
            }
        }
        let port = process::free_port()?;
        let cluster =
            Self { url: format!("postgresql://postgres:{password}@127.0.0.1:{port}/postgres"), bin, folder };
        cluster.initialize(&data, &secret)?;
        cluster.serve(&data, port)?;
        Ok(cluster)
    }

    /// What the tests find in `BASTIDE_TEST_POSTGRES`: `postgresql://user:password@address:port/database`. The
    /// user may make databases.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Makes an empty database; its address without the password, and the password.
    pub(crate) fn database(&self) -> Result<(String, String)> {
        let name = format!("d{}", random_password()?);
        let mut psql = process::command("psql", &["--no-psqlrc", "--quiet", "--command"]);
        process::output(psql.arg(format!("CREATE DATABASE {name}")).arg(&self.url))?;
        let known = self.url.strip_prefix("postgresql://postgres:").and_then(|rest| rest.split_once('@'));
        let (password, rest) = known.ok_or("the cluster's address has no password")?;
        let address = rest.split('/').next().unwrap_or_default();
        Ok((format!("postgresql://postgres@{address}/{name}"), password.to_owned()))
    }

    fn initialize(&self, data: &Path, secret: &Path) -> Result<()> {
        let mut initdb = self.as_owner("initdb");
        initdb
            .args(["--username=postgres", "--locale=C.UTF-8", "--encoding=UTF8", "--no-sync"])
            // The password travels over the loopback alone, and hashing it slows down each of many connections.
            .args(["--auth-local=reject", "--auth-host=password"])
            .arg(format!("--pwfile={}", secret.display()))
            .arg("--pgdata")
            .arg(data);
        process::output(&mut initdb)?;
        Ok(())
    }

    fn serve(&self, data: &Path, port: u16) -> Result<()> {
        let options = format!(
            "-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories='{}' -c fsync=off \
             -c synchronous_commit=off -c full_page_writes=off -c max_connections=200",
            self.folder.path().display()
        );
        let mut start = self.as_owner("pg_ctl");
        start.args(["start", "--wait", "--timeout=60", "--silent"]).arg("--pgdata").arg(data);
        start.arg("--log").arg(self.folder.path().join("log")).arg("--options").arg(options);
        // pg_ctl's server keeps the descriptors it inherits: a pipe would never end.
        start.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        process::run(&mut start).map_err(|error| {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            format!("{error}\n{log}").into()
        })
    }

    /// One of PostgreSQL's programs, as the user that owns the cluster.
    fn as_owner(&self, program: &str) -> Command {
        let program = self.bin.join(program);
        let mut command = if process::superuser() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(self.folder.path());
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut stop = self.as_owner("pg_ctl");
        stop.args(["stop", "--mode=immediate", "--wait", "--pgdata"]).arg(self.folder.path().join("data"));
        if let Err(error) = process::output(&mut stop) {
            eprintln!("xtask: PostgreSQL could not be stopped: {error}");
        }
    }
}

/// The folder of the newest PostgreSQL that is installed. Debian keeps it off the path.
fn programs() -> Result<PathBuf> {
    let mut newest: Option<(u32, PathBuf)> = None;
    for entry in std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten() {
        let version = entry.file_name().to_string_lossy().parse::<u32>().unwrap_or(0);
        let bin = entry.path().join("bin");
        if bin.join("initdb").is_file() && newest.as_ref().is_none_or(|(best, _)| version > *best) {
            newest = Some((version, bin));
        }
    }
    let on_path = || process::found("initdb").and_then(|file| file.parent().map(Path::to_path_buf));
    let bin = newest.map(|(_, bin)| bin).or_else(on_path);
    bin.ok_or_else(|| "PostgreSQL's server is not installed: `apt-get install postgresql`".into())
}

fn id(which: &str) -> Result<u32> {
    let text = process::output(&mut process::command("id", &[which, "postgres"]))?;
    text.trim().parse().map_err(|_| format!("`id {which} postgres` said `{}`", text.trim()).into())
}

fn random_password() -> Result<String> {
    use std::io::Read as _;
    let mut bytes = [0u8; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(url: &str) -> Result<String> {
        let mut psql = process::command("psql", &["--no-psqlrc", "--tuples-only", "--no-align"]);
        psql.args(["--command", "SELECT current_setting('fsync') || ' ' || pg_encoding_to_char(encoding) FROM pg_database LIMIT 1"]);
        process::output(psql.arg(url))
    }

    /// Catches a cluster that does not start as root, that lets anyone in, or that stays behind.
    #[test]
    fn a_cluster_answers_those_who_know_its_password_until_it_is_dropped() {
        if programs().is_err() {
            println!("did not run: PostgreSQL is not installed");
            return;
        }
        let cluster = Cluster::start().unwrap();
        let url = cluster.url().to_owned();
        assert_eq!(ask(&url).unwrap().trim(), "off UTF8");
        let (user, address) = url.split_once('@').unwrap();
        let (user, _password) = user.rsplit_once(':').unwrap();
        assert!(ask(&format!("{user}:wrong@{address}")).is_err());
        let folder = cluster.folder.path().to_owned();
        drop(cluster);
        assert!(ask(&url).is_err() && !folder.exists());
    }
}
