//! The solver's side of the access model: invariants that hold over every question that can be asked, proved by an
//! SMT solver, and the comparison of two sets of policies.
//!
//! What is here: the list of invariants ([`invariant`]), what can be claimed and how it is proved ([`claim`]), the
//! report, [`compare()`], counterexamples in words. What is not: the policies themselves (that is `policy`); anything that
//! a running server needs to decide a question. The solver is cvc5, a program of its own that is started when a proof
//! is asked for.
//!
//! A proof speaks of all principals, resources, roles, scopes and contexts that the schema allows, not of those that
//! happen to exist. It takes for granted what the policies take for granted: that the facts handed in are true, and,
//! where an invariant says so, that a higher role contains the lower ones (`policy` builds them so).

pub mod claim;
mod compare;
mod counterexample;
mod examine;
pub mod invariant;
mod report;
mod rules;
mod solver;

pub use compare::{Comparison, compare};
pub use counterexample::Counterexample;
pub use examine::{Finding, examine};
pub use invariant::{INVARIANTS, Invariant};
pub use report::{Line, Report, Verdict, prove, prove_all};
pub use rules::Rules;
