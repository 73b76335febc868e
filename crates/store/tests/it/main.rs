//! The store from outside its crate, each test on both engines.
#![cfg(test)]

mod audit;
mod aws_key;
mod aws_role;
mod branch_restriction;
mod break_glass;
mod commit_status;
mod count;
mod engine;
mod group_commit;
mod guardrail;
mod identity_token;
mod job;
mod key;
mod mail;
mod managed_user;
mod migrate;
mod pipeline_variable;
mod postgres;
mod report;
mod sequence;
mod step_approval;
mod write;
