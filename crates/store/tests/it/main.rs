//! The store from outside its crate, each test on both engines.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "in a test a panic is an answer"
)]

mod audit;
mod count;
mod engine;
mod group_commit;
mod job;
mod key;
mod migrate;
mod postgres;
mod sequence;
mod write;
