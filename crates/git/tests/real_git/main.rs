//! The crate against the real git client and against git's own reading of what the crate wrote.

#[cfg(test)]
mod at_hand;
#[cfg(test)]
mod browsing;
#[cfg(test)]
mod clone_and_push;
#[cfg(test)]
mod decided_push;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod listing_refs;
#[cfg(test)]
mod writing;
