//! Opening the service: keys, store, access model, repositories, and the background work that goes with them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use keyring::{Authenticator, Keyring, MasterKey, SigningKey};
use model::{Clock, Error, Random, RequestId, Result, SecretHash, UserId};
use policy::AccessModel;
use store::repository::Located;
use store::{Database, Store};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::access::{Ground, RepositoryPath};
use crate::alert_watch::LookedAt;
use crate::authn::Known;
use crate::aws_key::OwnKey;
use crate::aws_role::Sts;
use crate::breached::Breached;
use crate::cache::Cache;
use crate::guard::Guards;
use crate::guardrail::Reports;
use crate::identity_token::Signers;
use crate::log_bucket::LogBucket;
use crate::mail::Outbox;
use crate::open_id::Providers;
use crate::outbound::Outbound;
use crate::passkey::Passkeys;
use crate::password::Passwords;
use crate::session::SessionLimits;
use crate::sign_in::SignInSettings;
use crate::throttle::Throttle;

/// What the operator decides.
pub struct Settings {
    /// The data directory.
    pub data: PathBuf,
    /// The database; `bastide.db` in the data directory without one.
    pub database: Option<Database>,
    /// The base of every address that is handed out, without a final slash.
    pub base_url: String,
    /// The program that git's hooks are: this one.
    pub program: PathBuf,
    /// Where `git` is looked for: the search path that this program was started with.
    pub search_path: Option<OsString>,
    /// For how many days a deleted repository can be restored.
    pub restore_days: i64,
    /// For how many days the daily counts of what was used are kept.
    pub count_days: i64,
    /// Whether the ledger's checkpoints and tiles are for everybody, rather than for those who may read the trail.
    pub public_ledger: bool,
    /// For how many days the events of the audit trail are kept; for ever, where none are named. Their hashes stay.
    pub audit_days: Option<i64>,
    /// Which mail server takes mail; without one, nothing is mailed.
    pub mail: Option<crate::MailSettings>,
    /// What pipes run, by their names: images.
    pub pipes: std::collections::BTreeMap<String, String>,
    /// How long a runner's lease on a step holds after it was last renewed, in seconds.
    pub step_lease: u32,
    /// How people sign in.
    pub sign_in: SignInSettings,
    /// What addresses may be reached that settings name: of identity providers, of receivers of the audit trail.
    pub outbound: crate::OutboundSettings,
    /// Where Amazon's token service is asked.
    pub aws: crate::AwsSettings,
    /// The master key's text, where it comes from the environment rather than the data directory.
    pub master_key: Option<model::Secret>,
}

impl Settings {
    /// For how many days a deleted repository can be restored, unless told otherwise.
    pub const RESTORE_DAYS: u16 = 30;
    /// For how many days the daily counts of what was used are kept, unless told otherwise. They name people and addresses, so
    /// they are kept for what asks about them and no longer: reviews once a year, and a month to hold one.
    pub const COUNT_DAYS: u16 = 400;

    /// What holds where nothing more is said: for a data directory, a base address without a final slash, and the program that
    /// git's hooks are. `git` is looked for where the system has it.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>, base_url: impl Into<String>, program: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            database: None,
            base_url: base_url.into(),
            program: program.into(),
            search_path: None,
            restore_days: i64::from(Self::RESTORE_DAYS),
            count_days: i64::from(Self::COUNT_DAYS),
            public_ledger: false,
            audit_days: None,
            mail: None,
            pipes: std::collections::BTreeMap::new(),
            step_lease: pipeline::protocol::LEASE,
            sign_in: SignInSettings::default(),
            outbound: crate::OutboundSettings::default(),
            aws: crate::AwsSettings::default(),
            master_key: None,
        }
    }

    /// The host in the base address.
    pub(crate) fn host(&self) -> &str {
        let rest = self.base_url.split_once("://").map_or(self.base_url.as_str(), |(_, rest)| rest);
        let authority = rest.split('/').next().unwrap_or(rest);
        match authority.strip_prefix('[') {
            Some(v6) => v6.split(']').next().unwrap_or(v6),
            None => authority.split(':').next().unwrap_or(authority),
        }
    }
}

/// Everything that Bastide does. Clones share it.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

impl std::ops::Deref for Service {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

/// What the use cases work with.
pub struct Inner {
    pub(crate) settings: Settings,
    pub(crate) session_limits: SessionLimits,
    pub(crate) store: Store,
    pub(crate) model: AccessModel,
    /// What came of validating it; nothing yet while that goes on.
    model_checked: watch::Sender<Option<Result<(), String>>>,
    pub(crate) guards: Guards,
    pub(crate) reports: Reports,
    pub(crate) git: git::Repositories,
    pub(crate) hooks: git::Hooks,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) outbox: Outbox,
    pub(crate) ledger_key: SigningKey,
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) passwords: Passwords,
    pub(crate) passkeys: Passkeys,
    pub(crate) throttle: Throttle,
    pub(crate) outbound: Outbound,
    pub(crate) own_key: Arc<OwnKey>,
    pub(crate) sts: Sts,
    pub(crate) registry_logins: crate::aws_role::RegistryLogins,
    pub(crate) log_bucket: Option<LogBucket>,
    pub(crate) looked_at: LookedAt,
    pub(crate) refused_claims: crate::step_claim::RefusedClaims,
    pub(crate) schedule_turns: crate::pipeline_schedule::ScheduleTurns,
    pub(crate) providers: Providers,
    pub(crate) signers: Signers,
    pub(crate) credentials: Cache<SecretHash, Known>,
    /// Raised, after the commit, by what changes a repository's facts but not its access: a push, its size on disk.
    pub(crate) touched: AtomicU64,
    pub(crate) grounds: Cache<(Option<UserId>, RepositoryPath), Arc<Ground<Located>>>,
    pub(crate) readers: crate::audit_stream::Readers,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) background: TaskTracker,
    /// Told when a runner may find a step to run.
    pub(crate) work: tokio::sync::Notify,
    /// Told when a log has grown or a step has ended.
    pub(crate) progress: tokio::sync::Notify,
    pub(crate) stopping: watch::Sender<bool>,
    /// This process, as leases name it.
    pub(crate) holder: String,
}

fn log_bucket(
    aws: &crate::AwsSettings,
    outbound: &Outbound,
    own_key: &Arc<OwnKey>,
) -> Result<Option<LogBucket>> {
    let region = aws.region.as_ref().map(model::AwsRegion::as_str);
    let made = |bucket| LogBucket::new(bucket, region, &outbound.tls(), Arc::clone(own_key));
    aws.log_bucket.as_ref().map(made).transpose()
}

fn internal(error: impl std::fmt::Display) -> Error {
    Error::internal(error)
}

/// The name in front of a data directory's own files.
const MASTER_KEY: &str = "master.key";
/// What the ledger's signing key is for, in the store.
const LEDGER: &str = "ledger";
/// What events are authenticated for.
const AUDIT_EVENTS: &str = "audit-event";

impl Service {
    /// Opens everything in the data directory, which is made when it is missing, and starts the background work.
    pub async fn open(mut settings: Settings, clock: Clock, random: Random) -> Result<Self> {
        make_private_directory(&settings.data)?;
        let model = tokio::task::spawn_blocking(AccessModel::load);
        let session_limits = settings.sign_in.sessions;
        let breached = settings.sign_in.breached_passwords.as_deref().map(Breached::open).transpose()?;
        let database = settings.database.take();
        let database = database.unwrap_or(Database::Sqlite { path: settings.data.join("bastide.db") });
        let store = Store::open(database, clock.clone(), random.clone()).await?;
        let master = master_key(&mut settings, &store, &random).await?;
        let keyring = keyring_of(&store, &master, &random, &clock).await?;
        let keyring = Arc::new(keyring);
        let outbox = Outbox::new(Arc::clone(&keyring), settings.mail.is_some());
        let ledger_key = ledger_key(&store, &keyring, &random, &clock).await?;
        let authenticator = Arc::new(master.authenticator(AUDIT_EVENTS).map_err(internal)?);
        let tagger = Arc::clone(&authenticator);
        store.authenticate_with(Arc::new(move |bytes: &[u8]| tagger.tag(bytes).map_err(internal)))?;
        let git = git::Repositories::new(&settings.data.join("repositories"), git_program(&settings))?;
        let hooks = git::Hooks::start(&settings.data.join("run"), &settings.program)?;
        let outbound = Outbound::new(&settings.outbound)?;
        let own_key = Arc::new(OwnKey::new(store.clone(), Arc::clone(&keyring), clock.clone()));
        let service = Self {
            inner: Arc::new(Inner {
                model: model.await.map_err(internal)??,
                model_checked: watch::Sender::new(None),
                guards: Guards::new(),
                reports: Reports::default(),
                git,
                hooks,
                passkeys: Passkeys::new(&settings.base_url),
                keyring,
                outbox,
                ledger_key,
                authenticator,
                passwords: Passwords::new(random.clone(), breached),
                throttle: Throttle::default(),
                log_bucket: log_bucket(&settings.aws, &outbound, &own_key)?,
                sts: Sts::new(settings.aws.clone(), &outbound.tls(), Arc::clone(&own_key))?,
                own_key,
                registry_logins: crate::aws_role::RegistryLogins::default(),
                outbound,
                looked_at: LookedAt::default(),
                refused_claims: crate::step_claim::RefusedClaims::default(),
                schedule_turns: crate::pipeline_schedule::ScheduleTurns::default(),
                providers: Providers::default(),
                signers: Signers::default(),
                credentials: Cache::new(),
                touched: AtomicU64::new(0),
                grounds: Cache::new(),
                work: tokio::sync::Notify::new(),
                progress: tokio::sync::Notify::new(),
                readers: crate::audit_stream::Readers::default(),
                background: TaskTracker::new(),
                stopping: watch::Sender::new(false),
                holder: RequestId::new(&random).to_string(),
                store,
                settings,
                session_limits,
                clock,
                random,
            }),
        };
        service.check_model();
        Ok(service)
    }

    /// Validates the policies behind everything else, which takes longer than all of the start. Until that is done,
    /// decisions are made by texts that were built in and that the tests have validated; one that errs all the same
    /// refuses.
    fn check_model(&self) {
        let (service, checked) = (self.clone(), self.clone());
        let check = tokio::task::spawn_blocking(move || service.model.validate());
        tokio::spawn(async move {
            let outcome = check.await.map_err(internal).flatten().map_err(|error| error.to_string());
            checked.model_checked.send_replace(Some(outcome));
        });
    }

    /// Returns once the policies are known to be valid: strictly against the schema, and looking no further than they are
    /// shown.
    ///
    /// # Errors
    /// When they are not. Such a program must not go on.
    pub async fn model_checked(&self) -> Result<()> {
        let mut checked = self.model_checked.subscribe();
        match checked.wait_for(Option::is_some).await.map_err(internal)?.as_ref() {
            Some(Err(text)) => Err(Error::internal(text)),
            _ => Ok(()),
        }
    }

    /// The base of every address that is handed out.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.settings.base_url
    }

    /// Ends the background work, puts what is unsequenced into the ledger, and closes the store.
    pub async fn close(&self) -> Result<()> {
        self.stopping.send_replace(true);
        self.background.close();
        self.background.wait().await;
        self.store.flush().await?;
        self.sequence_ledger().await?;
        self.store.close().await?;
        // Also told by commands that end before the policies are checked.
        self.model_checked().await
    }
}

fn make_private_directory(path: &std::path::Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| {
        Error::Internal(format!("the data directory `{}` cannot be made: {error}", path.display()))
    })
}

fn git_program(settings: &Settings) -> git::Program {
    settings.search_path.as_ref().map_or_else(git::Program::default, git::Program::with_search_path)
}

/// A missing file is made for a new store alone: for one that has keys already, it is a lost key.
async fn master_key(settings: &mut Settings, store: &Store, random: &Random) -> Result<MasterKey> {
    if let Some(text) = settings.master_key.take() {
        return MasterKey::from_text(&text, "the environment").map_err(internal);
    }
    let path = settings.data.join(MASTER_KEY);
    let new = store.read(store::key::data_keys).await?.is_empty();
    let key = if new { MasterKey::read_or_create(&path, random) } else { MasterKey::read(&path) };
    key.map_err(internal)
}

async fn keyring_of(store: &Store, master: &MasterKey, random: &Random, clock: &Clock) -> Result<Keyring> {
    let rows = store.read(store::key::data_keys).await?;
    if !rows.is_empty() {
        return Keyring::unlock(master, &rows, random).map_err(internal);
    }
    let (keyring, row) = Keyring::create(master, random, clock.now()).map_err(internal)?;
    // Another process may be first: whoever is, both read the same afterwards.
    store.keep(move |books| store::key::insert_first_data_key(books, &row)).await?;
    let rows = store.read(store::key::data_keys).await?;
    match rows.iter().any(|row| row.id == keyring.active()) {
        true => Ok(keyring),
        false => Keyring::unlock(master, &rows, random).map_err(internal),
    }
}

async fn ledger_key(store: &Store, keyring: &Keyring, random: &Random, clock: &Clock) -> Result<SigningKey> {
    if let Some(sealed) = store.read(|reader| store::key::signing_key(reader, LEDGER)).await? {
        return SigningKey::unseal(keyring, LEDGER, &sealed).map_err(internal);
    }
    let key = SigningKey::generate(random).map_err(internal)?;
    let (sealed, public) = (key.seal(keyring, LEDGER).map_err(internal)?, key.public().map_err(internal)?);
    let now = clock.now();
    store
        .keep(move |books| store::key::insert_first_signing_key(books, LEDGER, &public, &sealed, now))
        .await?;
    let sealed = store.read(|reader| store::key::signing_key(reader, LEDGER)).await?;
    let sealed = sealed.ok_or_else(|| Error::internal("the ledger's key was not kept"))?;
    SigningKey::unseal(keyring, LEDGER, &sealed).map_err(internal)
}
