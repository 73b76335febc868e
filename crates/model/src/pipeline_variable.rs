//! Variables of pipelines: what runs are given by a workspace, a repository or a deployment environment. The values are
//! sealed where they are kept and are no part of these types.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::{EnvironmentId, RepositoryId, Timestamp, VariableId, WorkspaceId};

/// The longest name, in bytes.
pub const LONGEST_VARIABLE_NAME: usize = 255;
/// The longest value, in bytes.
pub const LONGEST_VARIABLE_VALUE: usize = 32 * 1024;

/// The text is not the name of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use ASCII letters, digits and `_`, no digit first, at most 255 of them")]
pub struct BadVariableName;

/// The name of a variable, as a shell knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VariableName(String);

impl VariableName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VariableName {
    type Err = BadVariableName;

    fn from_str(text: &str) -> Result<Self, BadVariableName> {
        let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let fits = text.len() <= LONGEST_VARIABLE_NAME;
        if begins && plain && fits { Ok(Self(text.to_owned())) } else { Err(BadVariableName) }
    }
}

impl fmt::Display for VariableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whose runs a variable is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VariablePlace {
    /// Those of every repository of a workspace.
    Workspace(WorkspaceId),
    /// Those of a repository.
    Repository(RepositoryId),
    /// Steps that deploy to an environment.
    Environment(EnvironmentId),
}

impl VariablePlace {
    /// The word for it in the store and the audit trail.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Workspace(_) => "workspace",
            Self::Repository(_) => "repository",
            Self::Environment(_) => "environment",
        }
    }

    /// The id of what it is.
    #[must_use]
    pub fn uuid(self) -> Uuid {
        match self {
            Self::Workspace(id) => id.uuid(),
            Self::Repository(id) => id.uuid(),
            Self::Environment(id) => id.uuid(),
        }
    }
}

/// A variable, without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineVariable {
    /// Its id.
    pub id: VariableId,
    /// Whose runs it is for.
    pub place: VariablePlace,
    /// Its name; one of each in a place.
    pub name: VariableName,
    /// Whether nothing tells its value but the runs that it is for.
    pub secured: bool,
    /// Whether it is for runs on protected branches and tags alone.
    pub protected_only: bool,
    /// The names of the environments that it is for; for all steps where there are none.
    pub environments: Vec<String>,
    /// When it was made.
    pub created_on: Timestamp,
    /// When it was last changed.
    pub updated_on: Timestamp,
}

impl PipelineVariable {
    /// Whether a step is given it: one that deploys to an environment of this name, or to none; on a protected ref or not.
    #[must_use]
    pub fn applies(&self, environment: Option<&str>, protected: bool) -> bool {
        let named = |name: &str| {
            let name = name.to_lowercase();
            self.environments.iter().any(|one| one.to_lowercase() == name)
        };
        (protected || !self.protected_only)
            && (self.environments.is_empty() || environment.is_some_and(named))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Random;

    #[test]
    fn names_are_what_a_shell_takes() {
        for good in ["A", "_", "a1", "DEPLOY_KEY", &"A".repeat(255)] {
            assert_eq!(good.parse::<VariableName>().unwrap().as_str(), good);
        }
        for bad in ["", "1A", "A-B", "A B", "Ä", "A=B", "A\n", "A.B", &"A".repeat(256)] {
            assert!(bad.parse::<VariableName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_bound_variable_applies_where_it_is_bound_to() {
        let random = Random::seeded(1);
        let now = Timestamp::from_micros(1);
        let mut one = PipelineVariable {
            id: VariableId::new(&random),
            place: VariablePlace::Repository(RepositoryId::new(&random)),
            name: "A".parse().unwrap(),
            secured: true,
            protected_only: false,
            environments: Vec::new(),
            created_on: now,
            updated_on: now,
        };
        assert!(one.applies(None, false) && one.applies(Some("Test"), false));
        one.protected_only = true;
        assert!(!one.applies(None, false) && one.applies(None, true));
        one.environments = vec!["Production".to_owned()];
        assert!(one.applies(Some("production"), true));
        assert!(!one.applies(Some("production"), false));
        assert!(!one.applies(Some("Test"), true) && !one.applies(None, true));
    }
}
