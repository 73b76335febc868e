//! HTTP: from an accepted connection to a handler and back. What operations there are stands in
//! [`route`](crate::route); who may do what is the business of `service`.
//!
//! A request passes through [`listener`] (limits on connections, headers and time), [`dispatch`] (its id, its row,
//! its credential, its budget ([`rate_limit`]), a guard against panics) and the row's handler, which gets a [`Cx`]; [`answer`] turns what comes
//! back into headers and bodies.

pub mod address;
pub mod answer;
pub mod credential;
pub mod cx;
pub mod dispatch;
pub mod listener;
mod panic;
pub mod rate_limit;
pub mod session;

#[cfg(test)]
mod tests;

pub use address::{Network, Networks, Peer};
pub use cx::{Cx, Unread};
pub use dispatch::answer as dispatch;
pub use listener::{Limits, Listener, Serving, Stop};
pub use panic::take_over_panics;
pub use rate_limit::{Budgets, RateLimits};

/// An answer.
pub type Response = axum::response::Response;
