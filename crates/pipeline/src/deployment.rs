//! The name of a deployment environment.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A name as it was written. Two names are the same environment when they differ in case alone.
#[derive(Clone, Debug)]
pub struct EnvironmentName(String);

impl EnvironmentName {
    /// A name, as it is written.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What two names of one environment have in common.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }

    /// As it stands in addresses and in `BITBUCKET_DEPLOYMENT_ENVIRONMENT`: lower case, with hyphens.
    #[must_use]
    pub fn slug(&self) -> String {
        let mut slug = String::new();
        for letter in self.folded().chars() {
            if letter.is_alphanumeric() || matches!(letter, '_' | '.') {
                slug.push(letter);
            } else if !slug.is_empty() && !slug.ends_with('-') {
                slug.push('-');
            }
        }
        slug.trim_end_matches('-').to_owned()
    }
}

impl PartialEq for EnvironmentName {
    fn eq(&self, other: &Self) -> bool {
        self.folded() == other.folded()
    }
}

impl Eq for EnvironmentName {}

impl Serialize for EnvironmentName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for EnvironmentName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_does_not_matter_and_is_kept() {
        let name = EnvironmentName::new("Production EU (west)");
        assert_eq!(name, EnvironmentName::new("production eu (WEST)"));
        assert_eq!(name.as_str(), "Production EU (west)");
        assert_eq!(name.slug(), "production-eu-west");
    }
}
