//! Guardrails: what a workspace, or the instance for all of its workspaces, asks of whoever reaches private content.
//!
//! A guardrail only ever takes away. What each one refuses is a policy (`policy`); here is what can be set.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::{AddressRange, CredentialKind};

/// Whether a guardrail holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GuardrailMode {
    /// It does not.
    #[default]
    Off,
    /// It refuses nothing, but what it would refuse is recorded.
    Report,
    /// It refuses.
    On,
}

impl GuardrailMode {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Report => "report",
            Self::On => "on",
        }
    }
}

/// The text is no mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write `off`, `report` or `on`")]
pub struct BadGuardrailMode;

impl FromStr for GuardrailMode {
    type Err = BadGuardrailMode;

    fn from_str(text: &str) -> Result<Self, BadGuardrailMode> {
        [Self::Off, Self::Report, Self::On]
            .into_iter()
            .find(|mode| mode.as_str() == text)
            .ok_or(BadGuardrailMode)
    }
}

impl fmt::Display for GuardrailMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The guardrails that come with Bastide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GuardrailKind {
    /// Private content is reached from listed addresses alone.
    IpAllowlist,
    /// Private content is reached by users with a second step alone.
    SecondStep,
    /// There is no public content.
    PrivateOnly,
    /// Private repositories are not forked into other workspaces.
    NoForksOutside,
    /// Credentials end within so many days of their making.
    CredentialLifetime,
    /// Private content is reached with listed kinds of credential alone.
    CredentialKinds,
    /// Who signs in does so through the workspace's identity provider.
    IdentityProvider,
}

impl GuardrailKind {
    /// Every one.
    pub const ALL: &'static [Self] = &[
        Self::IpAllowlist,
        Self::SecondStep,
        Self::PrivateOnly,
        Self::NoForksOutside,
        Self::CredentialLifetime,
        Self::CredentialKinds,
        Self::IdentityProvider,
    ];

    /// Its name in the store, the audit trail and refusals.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IpAllowlist => "ip-allowlist",
            Self::SecondStep => "second-step",
            Self::PrivateOnly => "private-only",
            Self::NoForksOutside => "no-forks-outside",
            Self::CredentialLifetime => "credential-lifetime",
            Self::CredentialKinds => "credential-kinds",
            Self::IdentityProvider => "identity-provider",
        }
    }

    /// What readers call it.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::IpAllowlist => "Allowed addresses",
            Self::SecondStep => "Second step for members",
            Self::PrivateOnly => "Private content only",
            Self::NoForksOutside => "No forks outside",
            Self::CredentialLifetime => "Life of credentials",
            Self::CredentialKinds => "Kinds of credential",
            Self::IdentityProvider => "Sign-in by the identity provider",
        }
    }

    /// What it does, in one sentence.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::IpAllowlist => "Private content is reached from the listed addresses alone.",
            Self::SecondStep => {
                "Members without a second step reach no private content; access tokens, which are nobody, pass."
            }
            Self::PrivateOnly => {
                "Nothing can be made public, and what is public already is shown to members with a permission for it alone."
            }
            Self::NoForksOutside => "Private repositories are not forked into other workspaces.",
            Self::CredentialLifetime => {
                "Credentials without an end, or with one further from their making than so many days, reach no private content."
            }
            Self::CredentialKinds => "Only the chosen kinds of credential reach private content.",
            Self::IdentityProvider => {
                "Who signs in without the workspace's identity provider reaches no private content."
            }
        }
    }
}

/// A line of an IP allowlist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedRange {
    /// The addresses.
    pub range: AddressRange,
    /// Whose they are.
    pub description: String,
}

/// How somebody comes who may be admitted or not: with a credential of a kind, or signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// Signed in as a person, without a credential made for programs.
    Session,
    /// With a credential.
    Credential(CredentialKind),
}

impl EntryKind {
    /// Every one.
    pub fn all() -> impl Iterator<Item = Self> {
        std::iter::once(Self::Session).chain(CredentialKind::ALL.iter().copied().map(Self::Credential))
    }

    /// Its name: that of the credential's kind, or `session`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Credential(kind) => kind.name(),
        }
    }

    /// What readers call it.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Session => "Signed in with a browser",
            Self::Credential(kind) => kind.title(),
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::all().find(|kind| kind.name() == name)
    }
}

/// A rule of a workspace's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnRule {
    /// Its name: lower-case letters, digits and `-`.
    pub name: String,
    /// What it says, for whoever it refuses.
    pub description: String,
    /// Whether it holds.
    pub mode: GuardrailMode,
    /// One `forbid` policy in Cedar's syntax.
    pub policy: String,
}

/// All that a workspace, or the instance, has set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guardrails {
    /// Whether the allowlist holds.
    pub ip_allowlist: GuardrailMode,
    /// The allowlist.
    pub allowed: Vec<AllowedRange>,
    /// Whether users need a second step.
    pub second_step: GuardrailMode,
    /// Whether there is private content only.
    pub private_only: GuardrailMode,
    /// Whether forks stay in the workspace.
    pub no_forks_outside: GuardrailMode,
    /// Whether the life of credentials is limited.
    pub credential_lifetime: GuardrailMode,
    /// The longest life, in days.
    pub longest_days: i64,
    /// Whether kinds of credential are limited.
    pub credential_kinds: GuardrailMode,
    /// The kinds that are admitted.
    pub admitted: BTreeSet<EntryKind>,
    /// Whether the identity provider is the only way to sign in.
    pub identity_provider: GuardrailMode,
    /// The workspace's own rules.
    pub own_rules: Vec<OwnRule>,
}

impl Guardrails {
    /// Whether one of those that come with Bastide holds.
    #[must_use]
    pub fn mode(&self, kind: GuardrailKind) -> GuardrailMode {
        match kind {
            GuardrailKind::IpAllowlist => self.ip_allowlist,
            GuardrailKind::SecondStep => self.second_step,
            GuardrailKind::PrivateOnly => self.private_only,
            GuardrailKind::NoForksOutside => self.no_forks_outside,
            GuardrailKind::CredentialLifetime => self.credential_lifetime,
            GuardrailKind::CredentialKinds => self.credential_kinds,
            GuardrailKind::IdentityProvider => self.identity_provider,
        }
    }

    /// Whether any, own rules included, is in this mode.
    #[must_use]
    pub fn any(&self, mode: GuardrailMode) -> bool {
        GuardrailKind::ALL.iter().any(|kind| self.mode(*kind) == mode)
            || self.own_rules.iter().any(|rule| rule.mode == mode)
    }

    /// The lines of the allowlist that lie within other lines: kept, since a description may be worth it, and told.
    pub fn overlapping(&self) -> impl Iterator<Item = (&AllowedRange, &AllowedRange)> {
        self.allowed.iter().enumerate().flat_map(move |(at, outer)| {
            let others = self.allowed.iter().enumerate().filter(move |(other, inner)| {
                // Of two equal lines, the later lies within the earlier.
                at != *other && outer.range.holds(inner.range) && (outer.range != inner.range || at < *other)
            });
            others.map(move |(_, inner)| (outer, inner))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back() {
        for mode in [GuardrailMode::Off, GuardrailMode::Report, GuardrailMode::On] {
            assert_eq!(mode.as_str().parse(), Ok(mode));
        }
        assert_eq!("yes".parse::<GuardrailMode>(), Err(BadGuardrailMode));
        for kind in EntryKind::all() {
            assert_eq!(EntryKind::parse(kind.name()), Some(kind));
        }
        assert_eq!(EntryKind::parse("password"), None);
    }

    #[test]
    fn overlapping_lines_are_told_once() {
        let line = |text: &str| AllowedRange { range: text.parse().unwrap(), description: String::new() };
        let allowed = vec![line("10.1.0.0/16"), line("10.0.0.0/8"), line("192.0.2.1"), line("192.0.2.1")];
        let guardrails = Guardrails { allowed, ..Guardrails::default() };
        let told: Vec<String> = guardrails
            .overlapping()
            .map(|(outer, inner)| format!("{} in {}", inner.range, outer.range))
            .collect();
        assert_eq!(told, ["10.1.0.0/16 in 10.0.0.0/8", "192.0.2.1 in 192.0.2.1"]);
    }
}
