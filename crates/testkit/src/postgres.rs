//! A PostgreSQL database of its own for each test: `cargo xtask test` starts a server and names it in
//! `BASTIDE_TEST_POSTGRES`.

use model::{Random, RequestId};
use postgres::config::Host;
use postgres::{Client, Config, NoTls};

/// Names the server on which databases may be made: `postgresql://user:password@address:port/database`.
pub const SERVER: &str = "BASTIDE_TEST_POSTGRES";

/// When `1` (or with `CI=true`), a test that finds no server fails instead of saying that it did not run.
pub const REQUIRED: &str = "BASTIDE_REQUIRE_POSTGRES";

/// An empty database, which goes when this is dropped.
pub struct TestDatabase {
    server: Config,
    name: String,
}

impl TestDatabase {
    /// Makes one on the server that the environment names, if it names one.
    ///
    /// # Panics
    /// When the server cannot be used, or when one is required and none is named.
    #[must_use]
    pub fn create() -> Option<Self> {
        let Ok(server) = std::env::var(SERVER) else {
            let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
            if is(REQUIRED, "1") || is("CI", "true") {
                panic!("{SERVER} must name a PostgreSQL server");
            }
            eprintln!("did not run on PostgreSQL: {SERVER} names no server");
            return None;
        };
        let server: Config = server.parse().expect("an address such as postgresql://user@host/database");
        let name = format!("bastide_test_{}", RequestId::new(&Random::system()).uuid().simple());
        // As on any real server the default collation may be a language's; the schema must not depend on it.
        execute(&server, format!("CREATE DATABASE {name} TEMPLATE template0")).expect("a database is made");
        Some(Self { server, name })
    }

    /// Its address without the password, for configuration and command lines.
    #[must_use]
    pub fn url(&self) -> String {
        let user = self.server.get_user().unwrap_or("postgres");
        let host = match self.server.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            Some(Host::Unix(folder)) => folder.display().to_string().replace('/', "%2F"),
            None => "127.0.0.1".to_owned(),
        };
        let port = self.server.get_ports().first().copied().unwrap_or(5432);
        format!("postgresql://{user}@{host}:{port}/{}", self.name)
    }

    /// Its password, where the server asks for one.
    #[must_use]
    pub fn password(&self) -> Option<model::Secret> {
        let password = self.server.get_password()?;
        Some(model::Secret::new(String::from_utf8_lossy(password).into_owned()))
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // A program under test may still be ending. A database that stays behind goes with its server.
        let _ = execute(&self.server, format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}

/// Runs one statement, on a thread of its own: the client must not wait inside an asynchronous test.
fn execute(server: &Config, sql: String) -> Result<(), String> {
    let server = server.clone();
    let run = move || {
        let mut client: Client = server.connect(NoTls)?;
        client.batch_execute(&sql)
    };
    match std::thread::spawn(run).join() {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err("the client panicked".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_its_own_and_goes() {
        let (Some(one), Some(two)) = (TestDatabase::create(), TestDatabase::create()) else { return };
        assert_ne!(one.url(), two.url());
        let mut inside: Config = one.url().parse().unwrap();
        if let Some(password) = one.password() {
            assert!(!one.url().contains(password.expose()), "the address is shown; the password is not");
            inside.password(password.expose());
        }
        execute(&inside, "CREATE TABLE t (a TEXT)".to_owned()).unwrap();
        drop(one);
        assert!(execute(&inside, "SELECT 1".to_owned()).is_err());
    }
}
