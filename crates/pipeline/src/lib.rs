//! `bitbucket-pipelines.yml`, from a text to a plan.
//!
//! [`check()`] reads a file into a [`Configuration`], or says what is wrong with it: all of it at once, each thing with
//! its place, what was found, what was expected, and what to do. [`Configuration::plan`] tells what an [`Event`] starts:
//! a [`Plan`] has everything that a scheduler and a runner need, with nothing left to look up.
//! [`protocol`] is what server and runner say to each other. [`environment`] names the variables that each step finds, and [`mask`] hides secrets in what it prints.
//! [`form`] is a file as JSON and back, and [`dynamic_pipeline`] holds rules against a plan.
//! [`identity`] tells what a step's identity token says, with a subject that [`subject`] makes, and [`trust`] how others come to trust it.
//! [`protocol`] is what server and runner say to each other. [`sarif`] reads what scanners found. [`environment`] names the variables that each step finds, and [`mask`] hides secrets in what it prints.
//!
//! What is here is pure: no file, no clock, no network, no git. What is not here: who may start what, which runner takes
//! which step, and what a variable that the file names is set to.
//!
//! Whoever can push writes the file that is read here, so all of it is hostile until it has been read. [`bounds`] says how
//! much of everything is read; aliases are counted as what they stand for; patterns and expressions are matched in
//! time that their lengths bound.
//!
//! The language is Bitbucket's, as its published schema and documentation have it, with two keys beyond: several tokens
//! by name (`oidc: tokens:`), and a role at Amazon (`aws:`). `docs/pipelines.md` describes it for users.

pub mod artifact;
pub mod aws;
pub mod aws_session;
pub mod aws_trust;
pub mod bounds;
pub mod cache;
pub mod check;
pub mod clone;
pub mod condition;
pub mod configuration;
pub mod deployment;
pub mod diagnostic;
pub mod dynamic_pipeline;
mod encoding;
pub mod environment;
pub mod event;
pub mod expression;
pub mod form;
pub mod glob;
pub mod identity;
pub mod image;
pub mod item;
pub mod mask;
mod node;
pub mod oidc;
mod outline;
pub mod plan;
pub mod progress;
pub mod protocol;
mod read;
pub mod report;
mod rules;
pub mod runtime;
pub mod sarif;
pub mod script;
mod select;
pub mod selector;
pub mod service;
pub mod span;
pub mod step;
pub mod subject;
mod suggest;
mod syntax;
pub mod test_report;
pub mod trigger;
pub mod trust;
pub mod variable;

pub use check::{Checked, check};
pub use configuration::Configuration;
pub use dynamic_pipeline::DynamicRules;
pub use environment::{Reference, RunFacts, StepFacts, default_variables};
pub use event::Event;
pub use identity::{IdentityError, IdentityFacts};
pub use mask::Masker;
pub use plan::{Plan, PlanError, PlannedPipeline, PlannedStep};
pub use report::Colour;
pub use subject::SubjectTemplate;
