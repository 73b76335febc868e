//! The published interface, asked through the whole house: router, authentication, use cases, store and git. By URL
//! and verb, one file per noun.

#![cfg(test)]

mod account;
mod branch_restriction;
mod branching_model;
mod git_ref;
mod group;
mod harness;
mod history;
mod hostile;
mod permission;
mod project;
mod repository;
mod source;
