//! What every request needs: the house below, the router, the settings of the faces, time and randomness.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use model::{Clock, Error, Random, RequestId, Result};
use service::{Caller, Service};

use crate::http::listener::Serving;
use crate::http::{Budgets, Networks, RateLimits};
use crate::metrics::Metrics;
use crate::route::{ROUTES, Route, Router, TableError};

/// What the faces are set to.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address that clients know this installation by, without a final slash. Never taken from a request.
    pub base_url: String,
    /// The largest body of JSON or form fields, in bytes. Git and uploads are streamed and have limits of their own.
    pub body_limit: usize,
    /// How long such a body may take to arrive, in seconds.
    pub body_seconds: u64,
    /// The proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub proxies: Networks,
    /// How many requests an hour are answered.
    pub budgets: Budgets,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            base_url: "http://localhost:7990".to_owned(),
            body_limit: 1 << 20,
            body_seconds: 30,
            proxies: Networks::default(),
            budgets: Budgets::default(),
        }
    }
}

/// What every request needs. Cloning shares it.
#[derive(Clone)]
pub struct App(Arc<State>);

/// What an [`App`] shares.
pub struct State {
    /// The route table, made ready.
    pub router: Router,
    /// What the faces are set to.
    pub settings: Settings,
    /// Counters.
    pub metrics: Metrics,
    /// What has been spent of the budgets.
    pub rate_limits: RateLimits,
    /// Time.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
    service: OnceLock<Service>,
    stopping: AtomicBool,
}

impl App {
    /// An app whose house is not open yet: it answers 503 until [`App::open`], so that a listener may stand while
    /// the database is migrated.
    ///
    /// # Errors
    /// When the route table contradicts itself.
    pub fn new(settings: Settings, clock: Clock, random: Random) -> Result<Self, TableError> {
        Self::with_table(ROUTES, settings, clock, random)
    }

    /// The same with another table, for tests of what surrounds it.
    pub(crate) fn with_table(
        table: &'static [Route],
        settings: Settings,
        clock: Clock,
        random: Random,
    ) -> Result<Self, TableError> {
        Ok(Self(Arc::new(State {
            router: Router::new(table)?,
            rate_limits: RateLimits::new(settings.budgets.clone()),
            settings,
            metrics: Metrics::default(),
            clock,
            random,
            service: OnceLock::new(),
            stopping: AtomicBool::new(false),
        })))
    }

    /// Opens the house. A second call changes nothing.
    pub fn open(&self, service: Service) {
        let _ = self.0.service.set(service);
    }

    /// The house below.
    ///
    /// # Errors
    /// [`Error::Unavailable`] before it is open.
    pub fn service(&self) -> Result<&Service> {
        self.0.service.get().ok_or(Error::Unavailable)
    }

    /// What the listener of the metrics' page does. Processes are counted for each page: most live for milliseconds.
    #[must_use]
    pub fn metrics_page(&self) -> Serving {
        let app = self.clone();
        self.0.metrics.serving(move |metrics| {
            let operator = Caller::operator(RequestId::new(&app.random));
            if let Ok(running) = app.service().and_then(|service| service.git_processes(&operator)) {
                metrics.set_git_processes(running);
            }
        })
    }

    /// From now on new requests are answered 503; those in flight end.
    pub fn stop(&self) {
        self.0.stopping.store(true, Ordering::Release);
    }

    /// Whether new requests are taken.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Acquire)
    }
}

impl Deref for App {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0
    }
}
