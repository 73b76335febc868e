//! What the server counts, and the page on which a collector reads it. The page has a listener of its own, so that
//! it is not reachable where the interfaces are. No label holds a name of a person or a repository.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, StatusCode, header};
use model::{Error, Result};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::http::listener::Serving;
use crate::http::{Response, answer};

type Labels<const N: usize> = [(&'static str, &'static str); N];

/// Bounds of the duration buckets, in seconds: from an answer out of memory to a clone.
const BOUNDS: [f64; 11] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0];

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To us: a push.
    In,
    /// From us: a clone or fetch.
    Out,
}

/// The counters. Cloning shares them.
#[derive(Clone)]
pub struct Metrics {
    requests: Family<Labels<2>, Counter>,
    durations: Family<Labels<1>, Histogram, fn() -> Histogram>,
    in_flight: Gauge,
    git_bytes: Family<Labels<1>, Counter>,
    git_processes: Gauge,
    audit_backlog: Gauge,
    ledger_lag: Gauge<f64, AtomicU64>,
}

/// A request that is being answered; counted until it is dropped, also when its client goes away.
pub struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BOUNDS)),
            in_flight: Gauge::default(),
            git_bytes: Family::default(),
            git_processes: Gauge::default(),
            audit_backlog: Gauge::default(),
            ledger_lag: Gauge::default(),
        }
    }
}

impl Metrics {
    /// A request begins.
    #[must_use]
    pub fn begin(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// A request's head is answered.
    pub fn finish(&self, request: InFlight, operation: &'static str, status: u16, took: Duration) {
        drop(request);
        let class = match status {
            0..200 => "1xx",
            200..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            _ => "5xx",
        };
        self.requests.get_or_create(&[("operation", operation), ("status", class)]).inc();
        self.durations.get_or_create(&[("operation", operation)]).observe(took.as_secs_f64());
    }

    /// Bytes of git's went by.
    pub fn git_bytes(&self, direction: Direction, bytes: u64) {
        let direction = match direction {
            Direction::In => "in",
            Direction::Out => "out",
        };
        self.git_bytes.get_or_create(&[("direction", direction)]).inc_by(bytes);
    }

    /// How many processes of git run.
    pub fn set_git_processes(&self, running: usize) {
        self.git_processes.set(i64::try_from(running).unwrap_or(i64::MAX));
    }

    /// How many events the ledger has not taken up yet, and how old the oldest of them is.
    pub fn set_ledger_backlog(&self, events: i64, oldest: Duration) {
        self.audit_backlog.set(events);
        self.ledger_lag.set(oldest.as_secs_f64());
    }

    fn registry(&self) -> Registry {
        let mut registry = Registry::with_prefix("bastide");
        let r = &mut registry;
        r.register("requests", "Requests by operation and class of status", self.requests.clone());
        r.register("request_seconds", "Time to an answer's head", self.durations.clone());
        r.register("requests_in_flight", "Requests being answered", self.in_flight.clone());
        r.register("git_bytes", "Bytes of pushes (in) and of clones (out)", self.git_bytes.clone());
        r.register("git_processes", "Processes of git that run", self.git_processes.clone());
        r.register("audit_backlog", "Audit events not in the ledger yet", self.audit_backlog.clone());
        r.register("ledger_lag_seconds", "Age of the oldest event of the backlog", self.ledger_lag.clone());
        registry
    }

    /// Everything, in OpenMetrics' text form.
    ///
    /// # Errors
    /// Never seen; the encoder may say so.
    pub fn page(&self) -> Result<String> {
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &self.registry()).map_err(Error::internal)?;
        Ok(page)
    }

    /// What the listener of the page does. Figures that nobody counts as they change are set by `look`, which is
    /// called for each page.
    #[must_use]
    pub fn serving(&self, look: impl Fn(&Self) + Send + Sync + 'static) -> Serving {
        let metrics = self.clone();
        std::sync::Arc::new(move |_, request| {
            look(&metrics);
            let answered = metrics.answer(&request);
            Box::pin(std::future::ready(answered))
        })
    }

    fn answer(&self, request: &Request<Body>) -> Response {
        if request.uri().path() != "/metrics" || request.method() != Method::GET {
            return answer::text(StatusCode::NOT_FOUND, "the page is GET /metrics\n");
        }
        let Ok(page) = self.page() else { return answer::empty(StatusCode::INTERNAL_SERVER_ERROR) };
        let mut response = answer::text(StatusCode::OK, page);
        let form = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, form);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_tells_what_was_counted() {
        let metrics = Metrics::default();
        let kept = metrics.begin();
        metrics.finish(metrics.begin(), "get_repository", 200, Duration::from_millis(3));
        metrics.finish(metrics.begin(), "get_repository", 404, Duration::from_millis(3));
        metrics.git_bytes(Direction::Out, 42);
        metrics.set_git_processes(2);
        metrics.set_ledger_backlog(7, Duration::from_millis(1500));
        let page = metrics.page().unwrap();
        for line in [
            "bastide_requests_total{operation=\"get_repository\",status=\"2xx\"} 1",
            "bastide_requests_total{operation=\"get_repository\",status=\"4xx\"} 1",
            "bastide_request_seconds_bucket{le=\"0.005\",operation=\"get_repository\"} 2",
            "bastide_requests_in_flight 1",
            "bastide_git_bytes_total{direction=\"out\"} 42",
            "bastide_git_processes 2",
            "bastide_audit_backlog 7",
            "bastide_ledger_lag_seconds 1.5",
        ] {
            assert!(page.contains(line), "{line}\n{page}");
        }
        drop(kept);
        assert!(metrics.page().unwrap().contains("bastide_requests_in_flight 0"));
    }
}
