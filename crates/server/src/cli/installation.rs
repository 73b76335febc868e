//! Which installation a command is about: its data directory, its database, and the lock that keeps two programs from
//! opening the same one.
//!
//! Each setting comes from the flag, else from its `BASTIDE_…` variable, else from `bastide.toml`.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use clap::Args;
use model::{Error, Result, Secret};
use pipeline::protocol::{LEASE, LONGEST_LEASE, SHORTEST_LEASE};
use rustix::fs::{FlockOperation, flock};
use serde::Deserialize;
use service::Database;

use super::mail::MailFlags;

/// The configuration file that is read when none is named and there is one.
const CONFIG: &str = "bastide.toml";
/// Where a password for the database is looked for.
const DATABASE_PASSWORD: &str = "BASTIDE_DATABASE_PASSWORD";
/// Where the master key is looked for before the data directory.
const MASTER_KEY: &str = "BASTIDE_MASTER_KEY";

/// The flags that name an installation.
#[derive(Args, Clone, Debug, Default)]
pub struct Place {
    /// The data directory
    #[arg(long, env = "BASTIDE_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// A PostgreSQL database for the metadata, postgres://USER@HOST/NAME, instead of SQLite in the data directory
    #[arg(long, env = "BASTIDE_DATABASE", value_name = "URL", hide_env_values = true)]
    pub database: Option<String>,
    /// A file with the database's password; BASTIDE_DATABASE_PASSWORD does as well
    #[arg(long, env = "BASTIDE_DATABASE_PASSWORD_FILE", value_name = "FILE")]
    pub database_password_file: Option<PathBuf>,
    /// For how many days a deleted repository can be restored [default: 30]
    #[arg(long, env = "BASTIDE_RESTORE_DAYS", value_name = "DAYS", value_parser = clap::value_parser!(u16))]
    pub restore_days: Option<u16>,
    /// For how many days the events of the audit trail are kept; without, for ever. Their hashes stay in the ledger
    #[arg(long, env = "BASTIDE_AUDIT_DAYS", value_name = "DAYS", value_parser = clap::value_parser!(u16))]
    pub audit_days: Option<u16>,
    /// Let everybody read the ledger's checkpoints and tiles, rather than those who may read the audit trail
    #[arg(long, env = "BASTIDE_PUBLIC_LEDGER")]
    pub public_ledger: bool,
    #[command(flatten)]
    pub(super) mail: MailFlags,
    /// Networks that are not public and that settings of workspaces may name nevertheless: of identity providers, of
    /// receivers of the audit trail
    #[arg(long, env = "BASTIDE_OUTBOUND_ALLOW", value_name = "CIDR", value_delimiter = ',')]
    pub outbound_allow: Vec<String>,
    /// Certificates, in PEM, that are trusted beside the system's where settings name an address
    #[arg(long, env = "BASTIDE_OUTBOUND_TRUST", value_name = "FILE")]
    pub outbound_trust: Option<PathBuf>,
    /// Where Amazon's token service is asked, instead of Amazon's own addresses: a private endpoint
    #[arg(long, env = "BASTIDE_AWS_STS_ENDPOINT", value_name = "URL")]
    pub aws_sts_endpoint: Option<String>,
    /// Where Amazon's registry of images is asked, instead of Amazon's own addresses: a private endpoint
    #[arg(long, env = "BASTIDE_AWS_ECR_ENDPOINT", value_name = "URL")]
    pub aws_ecr_endpoint: Option<String>,
    /// Where Amazon's IAM is asked, instead of Amazon's own addresses: a private endpoint
    #[arg(long, env = "BASTIDE_AWS_IAM_ENDPOINT", value_name = "URL")]
    pub aws_iam_endpoint: Option<String>,
    /// After how many days the server replaces its own key at Amazon (`bastide aws key`); 0 for never [default: 30]
    #[arg(long, env = "BASTIDE_AWS_KEY_DAYS", value_name = "DAYS", value_parser = clap::value_parser!(u16).range(0..=365))]
    pub aws_key_days: Option<u16>,
    /// The region whose token service is asked for roles that name none; without, the global one
    #[arg(long, env = "BASTIDE_AWS_REGION", value_name = "REGION")]
    pub aws_region: Option<String>,
    /// A bucket of an S3-compatible store for logs of pipelines that have ended, NAME or NAME/PREFIX, instead of the data
    /// directory. It is reached with the server's identity at Amazon, or a store's keys in the same variables
    #[arg(long, env = "BASTIDE_LOG_BUCKET", value_name = "BUCKET")]
    pub log_bucket: Option<String>,
    /// The address of that store, instead of Amazon's own
    #[arg(long, env = "BASTIDE_S3_ENDPOINT", value_name = "URL")]
    pub s3_endpoint: Option<String>,
    /// The configuration file; bastide.toml in the working directory when there is one
    #[arg(long, env = "BASTIDE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What `bastide.toml` may hold: the flags of `serve` by their names.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// `--data`
    pub data: Option<PathBuf>,
    /// `--database`
    pub database: Option<String>,
    /// `--database-password-file`
    pub database_password_file: Option<PathBuf>,
    /// `--restore-days`
    pub restore_days: Option<u16>,
    /// `--count-days`
    pub count_days: Option<u16>,
    /// `--audit-days`
    pub audit_days: Option<u16>,
    /// `--public-ledger`
    pub public_ledger: Option<bool>,
    /// `--smtp-url`
    pub smtp_url: Option<String>,
    /// `--smtp-password-file`
    pub smtp_password_file: Option<PathBuf>,
    /// `--smtp-from`
    pub smtp_from: Option<String>,
    /// `--smtp-root-certificate`
    pub smtp_root_certificate: Option<PathBuf>,
    /// `--smtp-insecure`
    pub smtp_insecure: Option<bool>,
    /// `--outbound-allow`
    pub outbound_allow: Option<Vec<String>>,
    /// `--outbound-trust`
    pub outbound_trust: Option<PathBuf>,
    /// `--aws-sts-endpoint`
    pub aws_sts_endpoint: Option<String>,
    /// `--aws-ecr-endpoint`
    pub aws_ecr_endpoint: Option<String>,
    /// `--aws-iam-endpoint`
    pub aws_iam_endpoint: Option<String>,
    /// `--aws-key-days`
    pub aws_key_days: Option<u16>,
    /// `--aws-region`
    pub aws_region: Option<String>,
    /// `--log-bucket`
    pub log_bucket: Option<String>,
    /// `--s3-endpoint`
    pub s3_endpoint: Option<String>,
    /// `--session-idle`
    pub session_idle: Option<u32>,
    /// `--session-lifetime`
    pub session_lifetime: Option<u32>,
    /// `--breached-passwords`
    pub breached_passwords: Option<PathBuf>,
    /// `--listen`
    pub listen: Option<String>,
    /// `--base-url`
    pub base_url: Option<String>,
    /// `--tls-cert`
    pub tls_cert: Option<PathBuf>,
    /// `--tls-key`
    pub tls_key: Option<PathBuf>,
    /// `--insecure`
    pub insecure: Option<bool>,
    /// `--metrics`
    pub metrics: Option<String>,
    /// `--with-runner`
    pub with_runner: Option<u32>,
    /// `--proxy`
    pub proxy: Option<Vec<String>>,
    /// `--rate-limit`
    pub rate_limit: Option<Vec<String>>,
    /// What pipes run, by their names with or without a version: images. It has no flag.
    pub pipes: BTreeMap<String, String>,
    /// How long a runner's lease on a step holds, in seconds, from 6 to 3,600. It has no flag: only who tries out how runners are
    /// lost wants another than the default.
    pub step_lease: Option<u32>,
}

/// An installation.
#[derive(Clone)]
pub struct Installation {
    /// The data directory.
    pub data: PathBuf,
    /// What the configuration file says.
    pub config: Config,
    /// Files that hold secrets: the configuration file, and those with passwords.
    pub(super) secret_files: Vec<PathBuf>,
    database: Option<(String, Option<Secret>)>,
    restore_days: u16,
    audit_days: Option<u16>,
    public_ledger: bool,
    outbound: service::OutboundSettings,
    aws: service::AwsSettings,
    /// How people sign in; `serve` decides it.
    pub sign_in: service::SignInSettings,
    /// Which mail server takes mail.
    pub mail: Option<service::MailSettings>,
    master_key: Option<Secret>,
}

/// After how many days the server's own key at Amazon is replaced, unless told otherwise; and the most that may be said.
const AWS_KEY_DAYS: u16 = 30;
const MOST_AWS_KEY_DAYS: u16 = 365;
/// For how many days the daily counts of what was used are kept, unless told otherwise.
pub(super) const COUNT_DAYS: u16 = service::Settings::COUNT_DAYS;

impl Place {
    /// Finds the installation.
    ///
    /// # Errors
    /// When no data directory is named, a file cannot be read, or a password stands where others see it.
    pub fn find(&self) -> Result<Installation> {
        let config = self.config()?;
        let data = self.data.clone().or_else(|| config.data.clone()).ok_or_else(|| {
            Error::invalid("name the data directory: --data DIR, BASTIDE_DATA or `data` in bastide.toml")
        })?;
        let url = self.database.clone().or_else(|| config.database.clone());
        if let Some(url) = &url
            && has_password(url)
            && std::env::args().any(|argument| argument.contains(url.as_str()))
        {
            return Err(Error::invalid(format!(
                "a password on the command line is seen by every user of the machine: leave it out of --database, and \
                 put it into {DATABASE_PASSWORD} or --database-password-file"
            )));
        }
        let file = self.database_password_file.as_ref().or(config.database_password_file.as_ref());
        let password = match file {
            Some(file) => Some(secret_file(file)?),
            None => variable(DATABASE_PASSWORD),
        };
        let database = url.map(|url| (url, password));
        let restore_days =
            self.restore_days.or(config.restore_days).unwrap_or(service::Settings::RESTORE_DAYS);
        let audit_days = self.audit_days.or(config.audit_days);
        let public_ledger = self.public_ledger || config.public_ledger.unwrap_or(false);
        let mail = self.mail.settings(&config)?;
        let outbound = match self.outbound_allow.is_empty() {
            true => config.outbound_allow.clone().unwrap_or_default(),
            false => self.outbound_allow.clone(),
        };
        let outbound = service::OutboundSettings {
            allowed: outbound.iter().map(|text| network(text)).collect::<Result<_>>()?,
            trusted: self.outbound_trust.clone().or_else(|| config.outbound_trust.clone()),
        };
        let region = self.aws_region.as_ref().or(config.aws_region.as_ref());
        let region = region.map(|text| text.parse()).transpose();
        let store = self.s3_endpoint.clone().or_else(|| config.s3_endpoint.clone());
        let log_bucket = self.log_bucket.as_ref().or(config.log_bucket.as_ref());
        let log_bucket = log_bucket.map(|text| service::LogBucketSettings::parse(text, store)).transpose()?;
        // Of what the file says nothing was looked at yet.
        let key_days = self.aws_key_days.or(config.aws_key_days).unwrap_or(AWS_KEY_DAYS);
        if key_days > MOST_AWS_KEY_DAYS {
            let message = format!("from 0, which is never, to {MOST_AWS_KEY_DAYS} days");
            return Err(Error::invalid_field("aws-key-days", message));
        }
        let aws = service::AwsSettings {
            log_bucket,
            iam_endpoint: self.aws_iam_endpoint.clone().or_else(|| config.aws_iam_endpoint.clone()),
            key_days,
            sts_endpoint: self.aws_sts_endpoint.clone().or_else(|| config.aws_sts_endpoint.clone()),
            ecr_endpoint: self.aws_ecr_endpoint.clone().or_else(|| config.aws_ecr_endpoint.clone()),
            region: region.map_err(|why| Error::invalid(format!("--aws-region: {why}")))?,
        };
        let (sign_in, master_key) = (service::SignInSettings::default(), variable(MASTER_KEY));
        let configuration = self.config.clone().unwrap_or_else(|| CONFIG.into());
        let named =
            [self.database_password_file.as_ref().or(config.database_password_file.as_ref()).cloned()];
        let mail_file = self.mail.password_file().or(config.smtp_password_file.as_ref()).cloned();
        let files = named.into_iter().chain([mail_file, Some(configuration)]).flatten();
        let secret_files = files.filter(|file| file.exists()).collect();
        Ok(Installation {
            data,
            secret_files,
            config,
            database,
            restore_days,
            audit_days,
            public_ledger,
            outbound,
            aws,
            sign_in,
            mail,
            master_key,
        })
    }

    fn config(&self) -> Result<Config> {
        let (path, named) = match &self.config {
            Some(path) => (path.as_path(), true),
            None => (Path::new(CONFIG), false),
        };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if !named && error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Config::default());
            }
            Err(error) => return Err(unreadable(path, &error)),
        };
        toml::from_str(&text).map_err(|error| Error::invalid(format!("`{}`: {error}", path.display())))
    }
}

fn network(text: &str) -> Result<ipnet::IpNet> {
    let one = || text.parse::<std::net::IpAddr>().map(ipnet::IpNet::from);
    text.parse().or_else(|_| one()).map_err(|_| {
        Error::invalid(format!("--outbound-allow: `{text}` is no network: write it as 10.1.0.0/16"))
    })
}

fn has_password(url: &str) -> bool {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest).split('/').next().unwrap_or_default();
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    user.is_some_and(|user| user.contains(':')) || url.contains("password=")
}

pub(super) fn variable(name: &str) -> Option<Secret> {
    std::env::var(name).ok().filter(|text| !text.is_empty()).map(Secret::new)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::invalid(format!("cannot read `{}`: {error}", path.display()))
}

/// A secret from a file, without its last newline; `-` is standard input.
pub(super) fn secret_file(path: &Path) -> Result<Secret> {
    let text = match path.as_os_str() == "-" {
        true => std::io::read_to_string(std::io::stdin()),
        false => fs::read_to_string(path),
    };
    let text = text.map_err(|error| unreadable(path, &error))?;
    Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

impl Installation {
    /// One in this directory, with nothing set.
    #[must_use]
    pub fn at(data: PathBuf) -> Self {
        Self {
            secret_files: Vec::new(),
            data,
            config: Config::default(),
            database: None,
            restore_days: service::Settings::RESTORE_DAYS,
            audit_days: None,
            public_ledger: false,
            outbound: Default::default(),
            aws: Default::default(),
            sign_in: service::SignInSettings::default(),
            mail: None,
            master_key: None,
        }
    }

    /// Where a running server listens to the command line.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.data.join("run").join("operator.sock")
    }

    /// Whether its metadata lies in the data directory.
    #[must_use]
    pub fn is_sqlite(&self) -> bool {
        self.database.is_none()
    }

    /// Whether its master key comes from the environment.
    #[must_use]
    pub fn has_master_key(&self) -> bool {
        self.master_key.is_some()
    }

    /// What the service is opened with.
    ///
    /// # Errors
    /// When this program cannot be found again, which the hooks need, or a lease is too short or too long.
    pub fn settings(&self, base_url: String) -> Result<service::Settings> {
        let database = self.database.clone().map(|(url, password)| Database::Postgres { url, password });
        let program = std::env::current_exe()
            .map_err(|error| Error::Internal(format!("this program cannot be found again: {error}")))?;
        let step_lease = self.config.step_lease.unwrap_or(LEASE);
        if !(SHORTEST_LEASE..=LONGEST_LEASE).contains(&step_lease) {
            let allowed = format!("from {SHORTEST_LEASE} to {LONGEST_LEASE} seconds, not {step_lease}");
            return Err(Error::invalid_field("step-lease", allowed));
        }
        pipeline::script::check_images(&self.config.pipes)
            .map_err(|why| Error::invalid_field("pipes", why))?;
        // Without `..`, so that the compiler asks what a new setting is here.
        Ok(service::Settings {
            data: self.data.clone(),
            database,
            base_url,
            program,
            search_path: std::env::var_os("PATH"),
            restore_days: i64::from(self.restore_days),
            sign_in: self.sign_in.clone(),
            mail: self.mail.clone(),
            count_days: i64::from(COUNT_DAYS),
            audit_days: self.audit_days.map(i64::from),
            public_ledger: self.public_ledger,
            outbound: self.outbound.clone(),
            pipes: self.config.pipes.clone(),
            step_lease,
            aws: self.aws.clone(),
            master_key: self.master_key.clone(),
        })
    }
}

/// The data directory is this program's alone, until this is dropped or the program ends.
pub struct Lock(#[expect(dead_code, reason = "the lock lasts as long as the file is open")] File);

impl Lock {
    /// Takes the lock of a data directory, which is made when it is missing.
    ///
    /// # Errors
    /// When another program has it.
    pub fn take(data: &Path) -> Result<Self> {
        let failed = |error: std::io::Error| {
            Error::Internal(format!("the data directory `{}` cannot be used: {error}", data.display()))
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(failed)?;
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(data.join("lock"))
            .map_err(failed)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
            rustix::io::Errno::WOULDBLOCK => Error::Conflict(format!(
                "`{}` is in use by another bastide, which is starting, stopping or running a command: try again when \
                 it is done",
                data.display()
            )),
            other => failed(other.into()),
        })?;
        // For people who look; the lock is the flock.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_is_seen() {
        for url in ["postgres://ann:secret@host/db", "postgres://host/db?password=x", "postgres://a:b@c:1/d"]
        {
            assert!(has_password(url), "{url}");
        }
        for url in ["postgres://ann@host:5432/db", "postgres://host/db", "postgres://host/a:b@c"] {
            assert!(!has_password(url), "{url}");
        }
    }

    #[test]
    fn a_directory_is_locked_once() {
        let directory = tempfile::tempdir().unwrap();
        let lock = Lock::take(directory.path()).unwrap();
        assert!(matches!(Lock::take(directory.path()), Err(Error::Conflict(_))));
        drop(lock);
        Lock::take(directory.path()).unwrap();
    }

    #[test]
    fn the_file_takes_the_names_of_the_flags() {
        let config: Config = toml::from_str("data = \"/srv\"\nbase-url = \"https://x\"\nproxy = []").unwrap();
        assert_eq!(config.base_url.as_deref(), Some("https://x"));
        assert!(toml::from_str::<Config>("base_url = \"https://x\"").is_err());
    }
}
