//! For tests: real clients, and a database of its own for each test on either engine.
//!
//! What is here runs the program from outside, but for [`engines`], which is the store's. What is not: anything that the
//! program itself uses.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "what a test cannot set up must fail the test, there and then"
)]

pub mod browser;
pub mod engines;
pub mod git_client;
pub mod mail_server;
pub mod pipeline;
pub mod place;
pub mod postgres;
pub mod running;
pub mod server;
pub mod transcript;
pub mod visitor;
pub mod world;

pub use browser::{Browser, Form, form, forms};
pub use engines::{TestStore, permit};
pub use git_client::GitClient;
pub use mail_server::{MailProtection, MailServer};
pub use place::Place;
pub use postgres::TestDatabase;
pub use running::Running;
pub use server::{Answer, Login, Server, bastide, free_port, in_path};
pub use transcript::Transcript;
pub use visitor::Visitor;
pub use world::World;
