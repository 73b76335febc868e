//! Pages of administration in a browser without a screen: the forms that people are shown are the forms that are sent.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails where it cannot go on, and says so"
)]

mod alert;
mod audit;
mod audit_sink;
mod aws_role;
mod branch_restriction;
mod break_glass;
mod guardrail;
mod hostile;
mod member;
mod pipeline_settings;
mod resource;
mod user;
mod workspace_token;
