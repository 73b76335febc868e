//! Scopes: what a credential may be used for at all. A scope never replaces a permission: both must allow.
//!
//! Three vocabularies stand side by side: Bitbucket's classic scopes (with implications), its flat ones (none
//! implies another), and those of `/api`. Sources: the published contract; facts 1.1, 1.2, 2.2.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::CredentialKind;

/// Which list a scope belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Vocabulary {
    /// `repository:write`: access tokens, app passwords, OAuth.
    Classic,
    /// `write:repository:bitbucket`: API tokens.
    Flat,
    /// `credential:write`: what only `/api` asks for. Never held by access tokens.
    Api,
}

/// One scope: its place in [`SCOPES`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(u8);

/// A scope's text, vocabulary, what it implies, and the sentence that is said of it everywhere.
struct Entry {
    name: &'static str,
    vocabulary: Vocabulary,
    implies: &'static [&'static str],
    sentence: &'static str,
}

const fn classic(name: &'static str, implies: &'static [&'static str], sentence: &'static str) -> Entry {
    Entry { name, vocabulary: Vocabulary::Classic, implies, sentence }
}

const fn flat(name: &'static str, sentence: &'static str) -> Entry {
    Entry { name, vocabulary: Vocabulary::Flat, implies: &[], sentence }
}

const fn api(name: &'static str, sentence: &'static str) -> Entry {
    Entry { name, vocabulary: Vocabulary::Api, implies: &[], sentence }
}

const SCOPES: &[Entry] = &[
    classic(
        "repository",
        &[],
        "Clone and browse repositories, and post build statuses; not their pull requests.",
    ),
    classic(
        "repository:write",
        &["repository"],
        "Push to repositories and read them; not their pull requests.",
    ),
    classic(
        "repository:admin",
        &[],
        "Change repositories' settings, permissions and keys; neither read nor push.",
    ),
    classic("repository:delete", &[], "Delete repositories, and nothing else."),
    classic("pullrequest", &["repository"], "Read pull requests and their repositories, and comment."),
    classic(
        "pullrequest:write",
        &["pullrequest", "repository:write"],
        "Create, approve and merge pull requests, and push.",
    ),
    classic("webhook", &[], "List, add and change webhooks."),
    classic("pipeline", &[], "Read pipelines, their steps, environments and variables, and start one."),
    classic("pipeline:write", &["pipeline"], "Stop, rerun and resume pipelines, and read them."),
    classic("pipeline:variable", &["pipeline"], "Change pipelines' variables, and read pipelines."),
    classic("runner", &[], "Read runners."),
    classic("runner:write", &["runner"], "Add, change and remove runners, and read them."),
    classic("project", &["repository"], "Read projects and every repository in them."),
    classic("project:admin", &[], "Create, change and delete projects; not read them."),
    classic("account", &[], "Read the account, and a workspace's members and permissions."),
    classic("account:write", &[], "Change the account."),
    classic("email", &[], "Read the account's e-mail addresses."),
    classic("issue", &[], "Read issues."),
    classic("issue:write", &["issue"], "Create and change issues, and read them."),
    classic("wiki", &[], "Read and change wikis."),
    classic("snippet", &[], "Read snippets."),
    classic("snippet:write", &["snippet"], "Create and change snippets, and read them."),
    classic("team", &[], "Read the workspaces that the account belongs to."),
    classic("team:write", &["team"], "Change the workspaces that the account administers, and read them."),
    classic("test", &[], "Read test reports."),
    classic("test:write", &["test"], "Write test reports, and read them."),
    flat("read:repository:bitbucket", "Clone and browse repositories."),
    flat("write:repository:bitbucket", "Push to repositories; not read them by the API."),
    flat("admin:repository:bitbucket", "Change repositories' settings; neither read nor push."),
    flat("delete:repository:bitbucket", "Delete repositories."),
    flat("read:pullrequest:bitbucket", "Read pull requests."),
    flat("write:pullrequest:bitbucket", "Create, approve and merge pull requests."),
    flat("read:project:bitbucket", "Read projects."),
    flat("admin:project:bitbucket", "Create, change and delete projects."),
    flat("read:workspace:bitbucket", "Read workspaces and their members."),
    flat("admin:workspace:bitbucket", "Change workspaces' settings."),
    flat("read:user:bitbucket", "Read the account."),
    flat("write:user:bitbucket", "Change the account."),
    flat("read:pipeline:bitbucket", "Read pipelines."),
    flat("write:pipeline:bitbucket", "Start, stop and rerun pipelines."),
    flat("admin:pipeline:bitbucket", "Change pipelines' settings, environments and variables."),
    flat("read:runner:bitbucket", "Read runners."),
    flat("write:runner:bitbucket", "Add, change and remove runners."),
    flat("read:issue:bitbucket", "Read issues."),
    flat("write:issue:bitbucket", "Create and change issues."),
    flat("delete:issue:bitbucket", "Delete issues."),
    flat("read:webhook:bitbucket", "Read webhooks."),
    flat("write:webhook:bitbucket", "Add and change webhooks."),
    flat("delete:webhook:bitbucket", "Delete webhooks."),
    flat("read:snippet:bitbucket", "Read snippets."),
    flat("write:snippet:bitbucket", "Create and change snippets."),
    flat("delete:snippet:bitbucket", "Delete snippets."),
    flat("read:ssh-key:bitbucket", "Read SSH keys and deploy keys."),
    flat("write:ssh-key:bitbucket", "Add and change SSH keys and deploy keys."),
    flat("delete:ssh-key:bitbucket", "Delete SSH keys and deploy keys."),
    flat("read:gpg-key:bitbucket", "Read GPG keys."),
    flat("write:gpg-key:bitbucket", "Add GPG keys."),
    flat("delete:gpg-key:bitbucket", "Delete GPG keys."),
    flat("read:permission:bitbucket", "Read who may do what."),
    flat("write:permission:bitbucket", "Grant permissions."),
    flat("delete:permission:bitbucket", "Take permissions back."),
    flat("read:wiki:bitbucket", "Read wikis."),
    flat("write:wiki:bitbucket", "Change wikis."),
    flat("delete:wiki:bitbucket", "Delete wiki pages."),
    flat("read:package:bitbucket", "Read packages."),
    flat("write:package:bitbucket", "Publish packages."),
    flat("delete:package:bitbucket", "Delete packages."),
    flat("read:test:bitbucket", "Read test reports."),
    flat("write:test:bitbucket", "Write test reports."),
    api("credential:write", "Create and revoke access tokens, app passwords and API tokens."),
    api("access:read", "Ask who may do what, and why."),
    api("audit:read", "Read the audit trail."),
    api("workspace:admin", "Create workspaces, and change their members and settings."),
    api("instance:admin", "Manage the instance and its users."),
];

/// The text names no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no scope of this name")]
pub struct BadScope;

impl Scope {
    /// Every scope there is.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..u8::MAX).map_while(|at| SCOPES.get(usize::from(at)).map(|_| Self(at)))
    }

    fn entry(self) -> Option<&'static Entry> {
        SCOPES.get(usize::from(self.0))
    }

    /// The scope's text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.entry().map_or("", |entry| entry.name)
    }

    /// The list it belongs to.
    #[must_use]
    pub fn vocabulary(self) -> Vocabulary {
        self.entry().map_or(Vocabulary::Api, |entry| entry.vocabulary)
    }

    /// What it lets the holder do, in a sentence.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        self.entry().map_or("", |entry| entry.sentence)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = BadScope;

    fn from_str(text: &str) -> Result<Self, BadScope> {
        Self::all().find(|scope| scope.as_str() == text).ok_or(BadScope)
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A set of scopes, in sixteen bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ScopeSet(u128);

impl ScopeSet {
    /// No scope: what a credential holds until it is known to hold more.
    pub const NONE: Self = Self(0);

    /// Every scope: what a person holds who signed in, rather than used a credential made for a purpose.
    #[must_use]
    pub fn everything() -> Self {
        Scope::all().collect()
    }

    /// Whether `scope` is in the set.
    #[must_use]
    pub fn contains(self, scope: Scope) -> bool {
        self.0 & (1 << scope.0) != 0
    }

    /// Whether every scope of `other` is in this set.
    #[must_use]
    pub fn contains_all(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The set and all that its scopes imply (facts 1.2).
    #[must_use]
    pub fn closed(self) -> Self {
        let mut set = self;
        loop {
            let mut wider = set;
            for scope in set.iter() {
                let implied = scope.entry().map_or(&[][..], |entry| entry.implies);
                wider = wider.with(implied.iter().filter_map(|name| name.parse().ok()).collect());
            }
            if wider == set {
                return set;
            }
            set = wider;
        }
    }

    /// Whether it lets a program administer, delete, or change who may do what: worth asking a person twice.
    #[must_use]
    pub fn is_wide(self) -> bool {
        self.iter().any(|scope| {
            let name = scope.as_str();
            name.contains("admin")
                || name.contains("delete")
                || name == "credential:write"
                || name == "write:permission:bitbucket"
        })
    }

    /// The union of two sets.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The scopes in the set, in the published order.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::all().filter(move |scope| self.contains(*scope))
    }

    /// The scopes' texts.
    #[must_use]
    pub fn names(self) -> Vec<String> {
        self.iter().map(|scope| scope.as_str().to_owned()).collect()
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | 1 << scope.0))
    }
}

/// Separated by a blank, as in `X-OAuth-Scopes`' cousin in the store.
impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().join(" "))
    }
}

/// Scopes separated by blanks; an unknown one is an error.
impl FromStr for ScopeSet {
    type Err = BadScope;

    fn from_str(text: &str) -> Result<Self, BadScope> {
        text.split_ascii_whitespace().map(str::parse).collect()
    }
}

impl CredentialKind {
    /// Which list the scopes of this kind come from, and so which column of a route's row binds it.
    #[must_use]
    pub fn vocabulary(self) -> Vocabulary {
        match self {
            Self::ApiToken => Vocabulary::Flat,
            _ => Vocabulary::Classic,
        }
    }

    /// The scopes that a credential of this kind may hold (facts 1.1, 2.1, 2.2).
    #[must_use]
    pub fn may_hold(self) -> ScopeSet {
        const REPOSITORY: &str = "repository repository:write repository:admin repository:delete pullrequest \
            pullrequest:write webhook pipeline pipeline:write pipeline:variable runner runner:write";
        let named = |names: &str| names.parse::<ScopeSet>().unwrap_or_default();
        match self {
            Self::RepositoryAccessToken => named(REPOSITORY),
            Self::ProjectAccessToken => named(REPOSITORY).with(named("project")),
            Self::WorkspaceAccessToken => named(REPOSITORY).with(named("project project:admin account")),
            // Its own repository's content, and what is told of its commits: never settings, variables or runners.
            Self::StepToken => named("repository:write"),
            Self::AppPassword => Scope::all().filter(|s| s.vocabulary() == Vocabulary::Classic).collect(),
            Self::ApiToken => Scope::all().filter(|s| s.vocabulary() != Vocabulary::Classic).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> ScopeSet {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_read_back_and_fit_the_set() {
        assert!(SCOPES.len() < 128);
        for scope in Scope::all() {
            assert_eq!(scope.as_str().parse::<Scope>().unwrap(), scope);
            assert!(scope.sentence().ends_with('.'));
            for implied in scope.entry().unwrap().implies {
                assert!(implied.parse::<Scope>().is_ok(), "{implied}");
            }
        }
        assert!("repository:everything".parse::<Scope>().is_err());
    }

    #[test]
    fn implications_are_those_of_the_contract() {
        assert_eq!(set("repository:write").closed(), set("repository:write repository"));
        assert_eq!(set("repository:admin").closed(), set("repository:admin"));
        assert_eq!(set("project:admin").closed(), set("project:admin"));
        assert_eq!(
            set("pullrequest:write").closed(),
            set("pullrequest:write pullrequest repository:write repository")
        );
        assert_eq!(set("pipeline:variable").closed(), set("pipeline:variable pipeline"));
        assert_eq!(set("write:repository:bitbucket").closed(), set("write:repository:bitbucket"));
    }

    #[test]
    fn each_kind_holds_what_the_contract_lets_it() {
        let count = |kind: CredentialKind| kind.may_hold().iter().count();
        assert_eq!(count(CredentialKind::RepositoryAccessToken), 12);
        assert_eq!(count(CredentialKind::ProjectAccessToken), 13);
        assert_eq!(count(CredentialKind::WorkspaceAccessToken), 15);
        for kind in CredentialKind::ALL.iter().filter(|kind| kind.is_access_token()) {
            assert!(kind.may_hold().iter().all(|scope| scope.vocabulary() == Vocabulary::Classic));
        }
    }
}
