//! A repository's branching model: which branch is developed on, which one runs in production, and what the prefixes of
//! other branches' names say about them.

use std::fmt;
use std::str::FromStr;

/// The text names no type of branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use one of `feature`, `bugfix`, `release`, `hotfix`, `development`, `production`")]
pub struct BadBranchType;

/// What a branch is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BranchType {
    /// The branch that is developed on.
    Development,
    /// The branch that runs in production.
    Production,
    /// Something new.
    Feature,
    /// A repair.
    Bugfix,
    /// What is to be released.
    Release,
    /// A repair of what runs.
    Hotfix,
}

impl BranchType {
    /// Every type: first the two that are one branch each, then those that prefixes tell.
    pub const ALL: [Self; 6] =
        [Self::Development, Self::Production, Self::Release, Self::Hotfix, Self::Feature, Self::Bugfix];

    /// The word for it in the API and the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Production => "production",
            Self::Feature => "feature",
            Self::Bugfix => "bugfix",
            Self::Release => "release",
            Self::Hotfix => "hotfix",
        }
    }
}

impl fmt::Display for BranchType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for BranchType {
    type Err = BadBranchType;

    fn from_str(text: &str) -> Result<Self, BadBranchType> {
        Self::ALL.into_iter().find(|one| one.as_str() == text).ok_or(BadBranchType)
    }
}

/// A type of branch that a prefix tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixedType {
    /// Which type.
    pub kind: BranchType,
    /// What the names of such branches begin with.
    pub prefix: String,
    /// Whether there are such branches here.
    pub enabled: bool,
}

/// One branch that the model names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedBranch {
    /// Whichever is the main branch.
    Main,
    /// This one.
    Branch(String),
}

impl NamedBranch {
    /// The branch's name, in a repository with this main branch.
    #[must_use]
    pub fn name<'a>(&'a self, main: &'a str) -> &'a str {
        match self {
            Self::Main => main,
            Self::Branch(name) => name,
        }
    }
}

/// What branches are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchingModel {
    /// The branch that is developed on.
    pub development: NamedBranch,
    /// The branch that runs in production.
    pub production: NamedBranch,
    /// Whether there is one.
    pub production_enabled: bool,
    /// The types that prefixes tell, each once.
    pub types: Vec<PrefixedType>,
    /// Whether merging deletes the branch that was merged, where nobody says otherwise.
    pub delete_merged: bool,
}

impl Default for BranchingModel {
    fn default() -> Self {
        let told = BranchType::ALL.into_iter().skip(2);
        Self {
            development: NamedBranch::Main,
            production: NamedBranch::Main,
            production_enabled: false,
            types: told
                .map(|kind| PrefixedType { kind, prefix: format!("{kind}/"), enabled: true })
                .collect(),
            delete_merged: false,
        }
    }
}

impl BranchingModel {
    /// Whether a branch is of a type, in a repository with this main branch. A branch may be of two: the main branch is
    /// developed on and may run in production.
    #[must_use]
    pub fn is_of(&self, branch: &str, kind: BranchType, main: &str) -> bool {
        match kind {
            BranchType::Development => self.development.name(main) == branch,
            BranchType::Production => self.production_enabled && self.production.name(main) == branch,
            told => self
                .types
                .iter()
                .any(|one| one.enabled && one.kind == told && branch.starts_with(&one.prefix)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_read_back() {
        for kind in BranchType::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert!("trunk".parse::<BranchType>().is_err());
    }

    #[test]
    fn a_branch_is_of_a_type_by_its_name() {
        let mut model = BranchingModel::default();
        assert!(model.is_of("main", BranchType::Development, "main"));
        assert!(!model.is_of("main", BranchType::Production, "main"));
        assert!(model.is_of("feature/a", BranchType::Feature, "main"));
        assert!(!model.is_of("features/a", BranchType::Feature, "main"));
        assert!(!model.is_of("feature/a", BranchType::Bugfix, "main"));
        model.development = NamedBranch::Branch("develop".to_owned());
        model.production_enabled = true;
        assert!(model.is_of("develop", BranchType::Development, "main"));
        assert!(!model.is_of("main", BranchType::Development, "main"));
        assert!(model.is_of("main", BranchType::Production, "main"));
        model.types.clear();
        assert!(!model.is_of("feature/a", BranchType::Feature, "main"));
    }
}
