//! The invariants of the access model: what no policy may ever break. Each has a twin that sounds much like it and is
//! false; the twin must be found false, so that the prover is seen to tell the two apart.

mod break_glass;
mod list;
mod phrase;

use crate::claim::Claim;

pub use list::INVARIANTS;

/// One invariant.
#[derive(Clone, Copy, Debug)]
pub struct Invariant {
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub sentence: &'static str,
    /// What it claims, all of which must hold.
    pub claims: &'static [Claim],
    /// Its false twin.
    pub twin: Twin,
}

/// What is false and must be found so.
#[derive(Clone, Copy, Debug)]
pub struct Twin {
    /// What it says.
    pub sentence: &'static str,
    /// What it claims.
    pub claim: Claim,
    /// Policies that are added to the access model for the twin alone.
    pub policies: &'static str,
}
