//! Permission levels. Each level of a kind contains the ones before it (facts 4.1).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ResourceKind;

/// The text names no level of this kind; holds the levels there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("use one of {0}")]
pub struct BadPermission(&'static str);

macro_rules! levels {
    ($($(#[$doc:meta])* $name:ident ($all:literal) { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every level, lowest first.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word for it in the API, the store and the access model.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = BadPermission;

            fn from_str(text: &str) -> Result<Self, BadPermission> {
                match text { $($text => Ok(Self::$variant),)* _ => Err(BadPermission($all)) }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

levels! {
    /// On one repository.
    RepositoryPermission ("`read`, `write`, `admin`") {
        /// Browse and clone.
        Read = "read",
        /// Push.
        Write = "write",
        /// Settings, grants, tokens, deletion.
        Admin = "admin",
    }
    /// On a project and, with it, on every repository in it.
    ProjectPermission ("`read`, `write`, `create-repo`, `admin`") {
        /// Read every repository.
        Read = "read",
        /// Push to every repository.
        Write = "write",
        /// Also make repositories.
        CreateRepo = "create-repo",
        /// Administer the project and every repository in it.
        Admin = "admin",
    }
    /// In a workspace.
    WorkspacePermission ("`member`, `create-project`, `owner`") {
        /// Belongs to it; opens nothing by itself.
        Member = "member",
        /// May make projects.
        CreateProject = "create-project",
        /// Administers the workspace and everything in it.
        Owner = "owner",
    }
    /// Who runs the instance. Staff roles open no private content.
    StaffRole ("`none`, `auditor`, `administrator`") {
        /// No part in running it.
        None = "none",
        /// Reads the audit trail of everything.
        Auditor = "auditor",
        /// Manages users and the instance.
        Administrator = "administrator",
    }
}

/// A level on a resource of whatever kind: what a grant holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// On a workspace.
    Workspace(WorkspacePermission),
    /// On a project.
    Project(ProjectPermission),
    /// On a repository.
    Repository(RepositoryPermission),
}

impl Permission {
    /// The level's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Workspace(level) => level.as_str(),
            Self::Project(level) => level.as_str(),
            Self::Repository(level) => level.as_str(),
        }
    }

    /// Reads the level's word for a kind of resource.
    pub fn parse(kind: ResourceKind, text: &str) -> Result<Self, BadPermission> {
        match kind {
            ResourceKind::Workspace => text.parse().map(Self::Workspace),
            ResourceKind::Project => text.parse().map(Self::Project),
            ResourceKind::Repository => text.parse().map(Self::Repository),
            ResourceKind::Instance | ResourceKind::User => {
                Err(BadPermission("grants on a workspace, project or repository"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_ordered_as_they_contain_each_other() {
        assert!(RepositoryPermission::Read < RepositoryPermission::Admin);
        assert!(ProjectPermission::Write < ProjectPermission::CreateRepo);
        assert!(WorkspacePermission::Member < WorkspacePermission::Owner);
    }

    #[test]
    fn a_level_of_another_kind_is_refused() {
        assert!("create-repo".parse::<RepositoryPermission>().is_err());
        assert!("Write".parse::<RepositoryPermission>().is_err());
        assert!(Permission::parse(ResourceKind::Instance, "admin").is_err());
    }
}
