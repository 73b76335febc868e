//! HTTP: from an accepted connection to a handler and back. What operations there are stands in
//! [`route`](crate::route); who may do what is none of this module's business.

/// An answer.
pub type Response = axum::response::Response;

/// What a handler is given.
pub struct Cx {}
