//! `bastide serve`: binds, opens the house, and serves until it is told to stop.
//!
//! The listener stands before the database is open, so that an address that is taken is told at once and a load
//! balancer sees "starting" rather than nothing. The first signal ends it gently: new requests are turned away, those
//! in flight, above all pushes, come to their end. A second signal does not wait.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use model::{Clock, Error, Random, RequestId, Result};
use runner::Signals;
use serde_json::json;
use service::{Caller, Service};
use tokio::task::JoinSet;
use tracing_subscriber::EnvFilter;

use super::Verdict;
use super::installation::{COUNT_DAYS, Installation, Lock, Place};
use super::output::{Output, notice};
use super::own_runner::{How, OwnRunner};
use super::sign_in::SignInFlags;
use crate::app::{App, Settings};
use crate::http::listener::serving;
use crate::http::{Budgets, Limits, Listener, Networks, Stop, take_over_panics};
use crate::tls::Certificates;

/// Where it listens unless told otherwise.
const LISTEN: &str = "127.0.0.1:7990";
/// How often the ledger's backlog is measured.
const MEASURE: Duration = Duration::from_secs(5);

/// How many steps the installation's own runner may run at once.
const MOST_STEPS: std::ops::RangeInclusive<u32> = 1..=64;

/// The flags of `serve`.
#[derive(Args, Clone, Debug, Default)]
pub struct Serve {
    #[command(flatten)]
    place: Place,
    /// The address to listen on; port 0 picks a free one [default: 127.0.0.1:7990]
    #[arg(long, env = "BASTIDE_LISTEN", value_name = "ADDR")]
    listen: Option<String>,
    /// The address that clients know this installation by
    #[arg(long, env = "BASTIDE_BASE_URL", value_name = "URL")]
    base_url: Option<String>,
    /// The certificate chain, in PEM
    #[arg(long, env = "BASTIDE_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's key, in PEM
    #[arg(long, env = "BASTIDE_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Serve without TLS on an address that can be reached from elsewhere
    #[arg(long, env = "BASTIDE_INSECURE")]
    insecure: bool,
    /// An address for a page of metrics
    #[arg(long, env = "BASTIDE_METRICS", value_name = "ADDR")]
    metrics: Option<String>,
    /// Networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed
    #[arg(long, env = "BASTIDE_PROXY", value_name = "CIDR", value_delimiter = ',')]
    proxy: Vec<String>,
    /// How many requests an hour one holder of a budget may make, e.g. git=60000 or all=off (docs/operating.md)
    #[arg(long, env = "BASTIDE_RATE_LIMIT", value_name = "NAME=NUMBER", value_delimiter = ',')]
    rate_limit: Vec<String>,
    /// For how many days the daily counts of who used what, from where, are kept: long enough for a yearly review, and no
    /// longer, since they name people and addresses [default: 400]
    #[arg(long, env = "BASTIDE_COUNT_DAYS", value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..))]
    count_days: Option<u16>,
    /// Run pipelines on this machine too, so many steps at once: with a runner of the installation, which takes steps of every
    /// repository
    #[arg(long, env = "BASTIDE_WITH_RUNNER", value_name = "STEPS", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "1", value_parser = clap::value_parser!(u32))]
    with_runner: Option<u32>,
    #[command(flatten)]
    sign_in: SignInFlags,
    /// What to log, as `tracing` filters
    #[arg(long, env = "BASTIDE_LOG", value_name = "FILTER", default_value = "info")]
    log: String,
    /// Tell the address as JSON
    #[arg(long)]
    json: bool,
}

/// What a server is started with.
pub struct Start {
    /// Where.
    pub address: SocketAddr,
    /// How clients know it; by the address it listens on, when none is given.
    pub base_url: Option<String>,
    /// Its certificate.
    pub tls: Option<Certificates>,
    /// Whether it may be reached from elsewhere without one.
    pub insecure: bool,
    /// Where its page of metrics is.
    pub metrics: Option<SocketAddr>,
    /// Whom it believes.
    pub proxies: Networks,
    /// How many requests an hour it answers.
    pub budgets: Budgets,
    /// For how many days it keeps the daily counts of what was used.
    pub count_days: u16,
    /// How many steps the installation's own runner may run at once; without, there is none.
    pub with_runner: Option<u32>,
    /// Certificates by which that runner knows the server, where the system does not.
    pub certificate: Option<PathBuf>,
    /// Files that hold what the server keeps secret, which its steps must not see.
    pub hidden: Vec<PathBuf>,
}

impl Start {
    /// On a free port of the loopback, in the clear.
    #[must_use]
    pub fn on_loopback() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            base_url: None,
            tls: None,
            insecure: false,
            metrics: None,
            proxies: Networks::default(),
            budgets: Budgets::default(),
            count_days: COUNT_DAYS,
            with_runner: None,
            certificate: None,
            hidden: Vec::new(),
        }
    }
}

/// A server that runs.
pub struct Running {
    /// The base of its addresses.
    pub base_url: String,
    /// Where it listens, with the scheme.
    pub address: String,
    /// The app that it serves.
    pub app: App,
    /// The house below.
    pub service: Service,
    stop: Stop,
    listeners: JoinSet<()>,
    own_runner: Option<OwnRunner>,
    _lock: Lock,
}

/// Starts a server on an installation; returns when it takes requests.
///
/// # Errors
/// When an address is taken, or the installation cannot be opened.
pub async fn start(installation: &Installation, how: Start) -> Result<Running> {
    let lock = Lock::take(&installation.data)?;
    let secure = how.tls.is_some();
    let hangups = how.tls.clone();
    let listener = Listener::tcp(how.address, how.tls, how.insecure).await?;
    let bound = listener.address().unwrap_or(how.address);
    let address = format!("{}://{bound}", if secure { "https" } else { "http" });
    let base_url = how.base_url.unwrap_or_else(|| address.clone()).trim_end_matches('/').to_owned();
    let (clock, random) = (Clock::system(), Random::system());
    let settings = Settings {
        base_url: base_url.clone(),
        proxies: how.proxies,
        budgets: how.budgets,
        ..Settings::default()
    };
    let app = App::new(settings, clock.clone(), random.clone()).map_err(Error::internal)?;
    let (stop, mut listeners) = (Stop::default(), JoinSet::new());
    listeners.spawn(listener.serve(serving(app.clone()), Limits::default(), stop.clone()));
    if let Some(address) = how.metrics {
        let page = Listener::tcp(address, None, true).await?;
        listeners.spawn(page.serve(app.metrics_page(), Limits::default(), stop.clone()));
    }
    if let Some(certificates) = hangups {
        tokio::spawn(certificates.reload_on_hangup());
    }
    let settings = service::Settings {
        count_days: i64::from(how.count_days),
        ..installation.settings(base_url.clone())?
    };
    let service = Service::open(settings, clock, random).await?;
    service.start_background().await?;
    app.open(service.clone());
    tokio::spawn(measure(app.clone()));
    let socket = Listener::unix(&installation.socket())?;
    listeners.spawn(socket.serve(serving(app.clone()), Limits::default(), stop.clone()));
    let own_runner = match how.with_runner {
        Some(steps) => {
            let url = if secure { base_url.clone() } else { format!("http://{}", reached_at(bound)) };
            let how = How {
                data: installation.data.clone(),
                url,
                trusted: how.certificate,
                hidden: how.hidden,
                steps,
            };
            Some(OwnRunner::begin(service.clone(), how).await?)
        }
        None => {
            service.end_own_runner(&Caller::operator(RequestId::new(&app.random))).await?;
            None
        }
    };
    Ok(Running { base_url, address, app, service, stop, listeners, own_runner, _lock: lock })
}

/// How a listener is reached from its own machine.
fn reached_at(bound: SocketAddr) -> SocketAddr {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bound.port())
}

/// Keeps the figures of the ledger's backlog up to date.
async fn measure(app: App) {
    let mut ticks = tokio::time::interval(MEASURE);
    while !app.is_stopping() {
        ticks.tick().await;
        let Ok(service) = app.service() else { continue };
        let operator = Caller::operator(RequestId::new(&app.random));
        if let Ok(health) = service.health(&operator).await {
            let now = app.clock.now().micros();
            let age = health.oldest_unsequenced.map_or(0, |oldest| now.saturating_sub(oldest.micros()));
            let age = Duration::from_micros(u64::try_from(age).unwrap_or(0));
            app.metrics.set_ledger_backlog(health.unsequenced, age);
        }
    }
}

impl Running {
    /// Turns new requests away, lets those in flight end, and closes the house.
    ///
    /// # Errors
    /// When what was written cannot be brought to its end.
    pub async fn finish(mut self) -> Result<()> {
        // While it can still tell how its steps ended.
        if let Some(runner) = self.own_runner.take() {
            runner.finish().await;
        }
        self.app.stop();
        self.stop.stop();
        while self.listeners.join_next().await.is_some() {}
        self.service.close().await
    }
}

impl Serve {
    fn start(&self, installation: &Installation) -> Result<Start> {
        let config = &installation.config;
        let address = |text: &str| {
            text.parse::<SocketAddr>().map_err(|_| {
                Error::invalid(format!("`{text}` is no address to listen on: write it as 127.0.0.1:7990"))
            })
        };
        let listen = self.listen.as_deref().or(config.listen.as_deref()).unwrap_or(LISTEN);
        let certificate = self.tls_cert.as_ref().or(config.tls_cert.as_ref());
        let key = self.tls_key.as_ref().or(config.tls_key.as_ref());
        let tls = match (certificate, key) {
            (Some(certificate), Some(key)) => Some(Certificates::load(certificate, key)?),
            (None, None) => None,
            _ => return Err(Error::invalid("give --tls-cert and --tls-key together")),
        };
        let metrics = self.metrics.as_deref().or(config.metrics.as_deref()).map(address).transpose()?;
        let proxies = match self.proxy.is_empty() {
            true => config.proxy.clone().unwrap_or_default(),
            false => self.proxy.clone(),
        };
        let with_runner = self.with_runner.or(config.with_runner);
        if with_runner.is_some_and(|steps| !MOST_STEPS.contains(&steps)) {
            return Err(Error::invalid_field(
                "with-runner",
                "from 1 to 64 steps; leave it out for no runner",
            ));
        }
        Ok(Start {
            address: address(listen)?,
            base_url: self.base_url.clone().or_else(|| config.base_url.clone()),
            tls,
            insecure: self.insecure || config.insecure.unwrap_or(false),
            metrics,
            proxies: networks(&proxies)?,
            with_runner,
            certificate: certificate.cloned(),
            hidden: installation.secret_files.iter().chain(key).cloned().collect(),
            count_days: self.count_days.or(config.count_days).unwrap_or(COUNT_DAYS),
            budgets: budgets(&self.rate_limit, config.rate_limit.as_deref())?,
        })
    }
}

fn networks(list: &[String]) -> Result<Networks> {
    if list.is_empty() {
        return Ok(Networks::default());
    }
    list.join(",").parse().map_err(|error| Error::invalid(format!("--proxy: {error}")))
}

/// The flags come after the file, which comes after what is set by default.
fn budgets(flags: &[String], file: Option<&[String]>) -> Result<Budgets> {
    let mut budgets = Budgets::default();
    for text in file.unwrap_or_default().iter().chain(flags) {
        budgets.set(text)?;
    }
    Ok(budgets)
}

/// Returns when the policies are found not to be valid, and not otherwise.
async fn ends_badly(service: &Service) -> Error {
    match service.model_checked().await {
        Ok(()) => std::future::pending().await,
        Err(error) => error,
    }
}

/// Runs the command.
pub(super) async fn run(serve: Serve) -> Result<Verdict> {
    let filter = EnvFilter::try_new(&serve.log)
        .map_err(|error| Error::invalid(format!("`{}` is no log filter: {error}", serve.log)))?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    take_over_panics();
    let mut signals = Signals::new()?;
    let mut installation = serve.place.find()?;
    installation.sign_in = serve.sign_in.settings(&installation.config)?;
    let how = serve.start(&installation)?;
    let running = tokio::select! {
        started = start(&installation, how) => started?,
        () = signals.next() => return Ok(Verdict::Good),
    };
    let output = Output::new();
    if serve.json {
        output.json(&json!({
            "listening": running.address, "base_url": running.base_url, "pid": std::process::id(),
        }))?;
    } else {
        output.line(format_args!("listening on {}", running.address))?;
    }
    tokio::select! {
        () = signals.next() => {}
        checked = ends_badly(&running.service) => return Err(checked),
    }
    notice("stopping: requests in flight come to their end; a second signal does not wait for them");
    tokio::select! {
        finished = running.finish() => finished.map(|()| Verdict::Good),
        () = signals.next() => Err(Error::Internal("stopped without waiting for what was in flight".to_owned())),
    }
}
