//! Signing in: sessions, passwords, second steps, links by mail, other people's identity providers.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    reason = "a test fails where it cannot go on, and says so"
)]

mod house;
mod passkey;
mod second_step;
mod session;
