//! The store: SQLite and PostgreSQL behind one SQL text per query, and the record that no write goes without.
//!
//! What is here: the engines and their threads, the four kinds of transaction ([`Reader`], [`Writer`],
//! [`Bookkeeping`], and the recorder behind [`Store::record`]), migrations, and one file per noun with the queries
//! on it. What is not: any decision about who may do what (a [`Writer`] needs a `policy::Permit`), any key that opens
//! what is sealed here.

pub mod alert;
pub mod audit;
pub mod audit_filter;
pub mod audit_sink;
pub mod aws_key;
pub mod aws_role;
mod bookkeeping;
pub mod branch_restriction;
pub mod branching_model;
pub mod break_glass;
pub mod challenge;
mod checkpoint;
pub mod code_scanning;
pub mod commit_status;
pub mod count;
pub mod credential;
pub mod deployment;
pub mod dynamic_pipeline;
pub mod email;
mod engine;
pub mod environment;
pub mod filter;
pub mod grant;
pub mod group;
pub mod guardrail;
pub mod identity_provider;
pub mod identity_token;
pub mod job;
pub mod key;
pub mod lease;
pub mod ledger_tile;
pub mod managed_user;
pub mod pipeline_config;
pub mod pipeline_run;
pub mod pipeline_schedule;
pub mod pipeline_ssh;
pub mod pipeline_step;
pub mod pipeline_variable;
pub mod project;
pub mod push;
mod reader;
mod recorder;
mod redirect;
pub mod report;
pub mod repository;
pub mod runner;
mod schema;
pub mod second_step;
pub mod sequence;
pub mod session;
pub mod setting;
pub mod step_approval;
pub mod step_artifact;
mod store;
pub mod test_report;
pub mod token_warning;
pub mod user;
pub mod visibility;
pub mod workspace;
pub mod workspace_token;
mod writer;

pub use bookkeeping::{Bookkeeping, Table};
pub use engine::{Dialect, FromValue, OrConflict, Query, Row, Value};
pub use reader::Reader;
pub use store::{Database, Store};
pub use writer::Writer;
