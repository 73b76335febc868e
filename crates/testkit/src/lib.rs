//! For tests: real clients, and a database of its own for each test on either engine.
//!
//! What is here runs the program from outside. What is not: anything that the program itself uses.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "what a test cannot set up must fail the test, there and then"
)]

pub mod git_client;
pub mod postgres;
pub mod server;
pub mod world;

pub use git_client::{GitClient, Transcript};
pub use postgres::TestDatabase;
pub use server::{Answer, Login, Server};
pub use world::World;
