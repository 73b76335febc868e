//! Signing in through a workspace's identity provider, against a real one (npm's `oidc-provider`, `tests/oidc`), with a
//! browser of the test's own that keeps cookies and follows redirects.
//!
//! Would catch: an account that is taken over by its address, another browser's answer that is taken, an answer that is
//! taken twice, an address behind `next` that leads away, a group that the mapping does not manage and that changes, an
//! account that reaches anything before it is approved, a key that the provider has taken back.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails where it cannot go on, and says so"
)]

mod identity;
mod page;
mod scene;
mod sign_in;
