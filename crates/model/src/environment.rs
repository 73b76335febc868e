//! Deployment environments: what steps deploy to, and what holds a deployment back.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use crate::{AwsRegion, EnvironmentId, Glob, RepositoryId, RoleArn, Timestamp};

/// The text names no type of environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use one of `Test`, `Staging`, `Production`")]
pub struct BadEnvironmentType;

/// What an environment is for. They stand in the order in which a change goes through them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EnvironmentType {
    /// For trying out.
    Test,
    /// As it will be.
    Staging,
    /// What people use.
    Production,
}

impl EnvironmentType {
    /// Every type, in their order.
    pub const ALL: [Self; 3] = [Self::Test, Self::Staging, Self::Production];

    /// The word for it in the API and the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Test => "Test",
            Self::Staging => "Staging",
            Self::Production => "Production",
        }
    }

    /// Its place in the order, from 0.
    #[must_use]
    pub fn rank(self) -> i64 {
        match self {
            Self::Test => 0,
            Self::Staging => 1,
            Self::Production => 2,
        }
    }
}

impl fmt::Display for EnvironmentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EnvironmentType {
    type Err = BadEnvironmentType;

    fn from_str(text: &str) -> Result<Self, BadEnvironmentType> {
        let named = |one: &Self| one.as_str().eq_ignore_ascii_case(text);
        Self::ALL.into_iter().find(named).ok_or(BadEnvironmentType)
    }
}

/// The role at Amazon that steps take on which deploy to an environment and name none themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentRole {
    /// The role.
    pub arn: RoleArn,
    /// How long its credentials live, in seconds.
    pub session_duration: u32,
    /// The region that the steps' tools begin with.
    pub region: Option<AwsRegion>,
}

/// An environment of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Its id.
    pub id: EnvironmentId,
    /// Whose it is.
    pub repository: RepositoryId,
    /// Its name as it was first written; case does not matter.
    pub name: String,
    /// Its name in addresses and in `BITBUCKET_DEPLOYMENT_ENVIRONMENT`.
    pub slug: String,
    /// What it is for.
    pub kind: EnvironmentType,
    /// Its place among those of its type.
    pub rank: i64,
    /// Whether people are not shown it.
    pub hidden: bool,
    /// Whether only who administers the repository deploys to it.
    pub admin_only: bool,
    /// From which branches it is deployed to; from all where there are none.
    pub branches: Vec<Glob>,
    /// How many people approve a deployment to it before it begins.
    pub required_approvals: i64,
    /// Whether one run at a time deploys to it.
    pub lock_enabled: bool,
    /// The role of the steps that deploy to it.
    pub aws: Option<EnvironmentRole>,
    /// When it was made.
    pub created_on: Timestamp,
    /// When it was last changed.
    pub updated_on: Timestamp,
}

/// An id that follows from what it is of: the same each time.
fn derived(of: Uuid, word: &str) -> Uuid {
    let hash: [u8; 32] =
        Sha256::new().chain_update(of.as_bytes()).chain_update(word.as_bytes()).finalize().into();
    let mut bytes = [0; 16];
    for (byte, from) in bytes.iter_mut().zip(hash) {
        *byte = from;
    }
    Builder::from_custom_bytes(bytes).into_uuid()
}

impl Environment {
    /// The environments that a repository has before anybody has changed any. Their ids follow from the repository's, so
    /// that they are the same before and after they are kept.
    #[must_use]
    pub fn defaults(repository: RepositoryId, created_on: Timestamp) -> [Self; 3] {
        EnvironmentType::ALL.map(|kind| Self {
            id: EnvironmentId::from_uuid(derived(repository.uuid(), kind.as_str())),
            repository,
            name: kind.as_str().to_owned(),
            slug: kind.as_str().to_ascii_lowercase(),
            kind,
            rank: 0,
            hidden: false,
            admin_only: false,
            branches: Vec::new(),
            required_approvals: 0,
            lock_enabled: true,
            aws: None,
            created_on,
            updated_on: created_on,
        })
    }

    /// Whether it is deployed to from a branch; none for a run that is on no branch.
    #[must_use]
    pub fn admits(&self, branch: Option<&str>) -> bool {
        let from = |branch: &str| self.branches.iter().any(|glob| glob.matches(branch));
        self.branches.is_empty() || branch.is_some_and(from)
    }

    /// The id of one of its restrictions of branches: it follows from the pattern.
    #[must_use]
    pub fn branch_id(&self, branch: &Glob) -> Uuid {
        derived(self.id.uuid(), branch.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Random;

    #[test]
    fn the_ids_of_the_first_ones_stay_and_differ() {
        let random = Random::seeded(1);
        let (one, two) = (RepositoryId::new(&random), RepositoryId::new(&random));
        let ids =
            |repository, at| Environment::defaults(repository, Timestamp::from_micros(at)).map(|e| e.id);
        assert_eq!(ids(one, 1), ids(one, 2));
        let all: BTreeSet<EnvironmentId> = ids(one, 1).into_iter().chain(ids(two, 1)).collect();
        assert_eq!(all.len(), 6);
        assert_eq!(ids(one, 1)[0].uuid().get_version_num(), 8);
    }

    #[test]
    fn patterns_admit_the_branches_that_they_match_and_nothing_else() {
        let [mut one, ..] =
            Environment::defaults(RepositoryId::new(&Random::seeded(1)), Timestamp::from_micros(1));
        assert!(one.admits(Some("main")) && one.admits(None));
        one.branches = vec!["main".parse().unwrap(), "release/*".parse().unwrap()];
        assert!(one.admits(Some("main")) && one.admits(Some("release/1")));
        assert!(!one.admits(Some("maint")) && !one.admits(Some("feature")));
        // A tag may lie anywhere.
        assert!(!one.admits(None));
        assert_ne!(one.branch_id(&one.branches[0]), one.branch_id(&one.branches[1]));
    }

    #[test]
    fn types_are_read_in_any_case() {
        for kind in EnvironmentType::ALL {
            assert_eq!(kind.as_str().to_lowercase().parse(), Ok(kind));
        }
        assert!("prod".parse::<EnvironmentType>().is_err());
    }
}
