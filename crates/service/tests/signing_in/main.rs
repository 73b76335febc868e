//! Signing in: sessions, passwords, second steps, links by mail, other people's identity providers.

#![cfg(test)]
#![allow(unreachable_pub, reason = "a test is a crate of its own, and nothing is below it")]

mod account;
mod house;
mod passkey;
mod password_reset;
mod second_step;
mod session;
