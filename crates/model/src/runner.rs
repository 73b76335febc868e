//! Runners: what takes steps of pipelines and runs them.

use crate::{DisplayName, Resource, RunnerId, Timestamp, WorkspaceId};

/// A runner, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runner {
    /// Its id.
    pub id: RunnerId,
    /// The workspace or repository whose steps it takes, or the instance: then it takes those of all.
    pub bound_to: Resource,
    /// The workspace that this is or lies in.
    pub workspace: Option<WorkspaceId>,
    /// The name that its maker gave it.
    pub name: DisplayName,
    /// The labels that its maker gave it, sorted; those that follow from what it can do are not among them.
    pub labels: Vec<String>,
    /// The labels that follow from what it can do, as it last told; sorted.
    pub own_labels: Vec<String>,
    /// What it last told of itself, as JSON: version, operating system, processor, what runs containers.
    pub program: Option<String>,
    /// Whether it may take steps.
    pub enabled: bool,
    /// When it was made.
    pub created_on: Timestamp,
    /// When its one-time code was exchanged for its credential.
    pub registered_on: Option<Timestamp>,
    /// When it was last heard of.
    pub seen_on: Option<Timestamp>,
}

/// The most labels that people give to one runner.
pub const MOST_LABELS: usize = 10;
/// The longest label, in bytes.
pub const LONGEST_LABEL: usize = 50;

/// Labels that only what a runner can do gives.
pub const SYSTEM_LABELS: [&str; 6] =
    ["self.hosted", "linux", "linux.arm64", "linux.shell", "macos", "windows"];

/// Whether a text can be a label: lower-case letters and digits, with dots between.
#[must_use]
pub fn is_label(text: &str) -> bool {
    let parts = |text: &str| {
        text.split('.').all(|part| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        })
    };
    text.len() <= LONGEST_LABEL && parts(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_lower_case_letters_and_digits_with_dots_between() {
        for label in SYSTEM_LABELS.iter().chain(&["gpu", "big.memory", "x86"]) {
            assert!(is_label(label), "{label}");
        }
        for odd in ["", ".", "a.", ".a", "a..b", "GPU", "a b", "a_b", "ä", &"x".repeat(51)] {
            assert!(!is_label(odd), "{odd}");
        }
    }
}
