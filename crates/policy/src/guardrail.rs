//! The facts by which guardrails are decided, and what a guardrail is called when it refuses.

use std::net::IpAddr;

use model::{EntryKind, GuardrailKind};

use crate::own_rule::OwnRules;

/// Kinds of entry, as a set that is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EntryKinds(u32);

impl EntryKinds {
    /// Whether a kind is in it.
    #[must_use]
    pub fn contains(self, kind: EntryKind) -> bool {
        self.iter().any(|held| held == kind)
    }

    /// Those in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Each kind in it.
    pub fn iter(self) -> impl Iterator<Item = EntryKind> {
        bits().filter(move |(_, bit)| self.0 & bit != 0).map(|(kind, _)| kind)
    }
}

fn bits() -> impl Iterator<Item = (EntryKind, u32)> {
    EntryKind::all().zip((0..u32::BITS).map(|shift| 1 << shift))
}

impl FromIterator<EntryKind> for EntryKinds {
    fn from_iter<I: IntoIterator<Item = EntryKind>>(kinds: I) -> Self {
        let bit = |kind| bits().find(|(one, _)| *one == kind).map_or(0, |(_, bit)| bit);
        Self(kinds.into_iter().fold(0, |set, kind| set | bit(kind)))
    }
}

/// The guardrails that hold for what is asked about, with what has to be known of the one who asks. The stricter of
/// what the workspace and the instance say; nothing at all for what lies in no workspace.
#[derive(Clone, Copy, Debug, Default)]
pub struct Guardrails<'a> {
    /// Where there is an IP allowlist: whether it holds the client's address.
    pub address_allowed: Option<bool>,
    /// Whether users need a second step.
    pub second_step: bool,
    /// Whether nothing may be public.
    pub private_only: bool,
    /// Whether private repositories are not forked into other workspaces.
    pub no_forks_outside: bool,
    /// The longest life of a credential, in days.
    pub longest_days: Option<i64>,
    /// The kinds of credential that are admitted.
    pub admitted: Option<EntryKinds>,
    /// Whether signing in goes through the workspace's identity provider.
    pub identity_provider: bool,
    /// The workspace's own rules.
    pub own_rules: Option<&'a OwnRules>,
    /// How many days lie between the making and the end of the credential that was used, where it has an end.
    pub credential_days: Option<i64>,
    /// Whether the session was begun through the workspace's identity provider; none where that is not known.
    pub by_provider: Option<bool>,
    /// The client's address, which own rules may look at.
    pub address: Option<IpAddr>,
}

impl Guardrails<'_> {
    /// No guardrail holds.
    pub const NONE: Self = Self {
        address_allowed: None,
        second_step: false,
        private_only: false,
        no_forks_outside: false,
        longest_days: None,
        admitted: None,
        identity_provider: false,
        own_rules: None,
        credential_days: None,
        by_provider: None,
        address: None,
    };

    /// Whether one of those that come with Bastide holds.
    #[must_use]
    pub fn any(&self) -> bool {
        self.address_allowed.is_some()
            || self.second_step
            || self.private_only
            || self.no_forks_outside
            || self.longest_days.is_some()
            || self.admitted.is_some()
            || self.identity_provider
    }
}

/// All of [`Guardrails`] that a decision may rest on, to tell questions apart by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct GuardrailKey {
    address_allowed: Option<bool>,
    truths: [bool; 4],
    longest_days: Option<i64>,
    admitted: Option<EntryKinds>,
    own_rules: Option<u64>,
    credential_days: Option<i64>,
    by_provider: Option<bool>,
    address: Option<IpAddr>,
}

impl Guardrails<'_> {
    pub(crate) fn key(&self) -> GuardrailKey {
        // Taken apart without `..`: whatever is added must be told apart here, or this does not compile.
        let Self {
            address_allowed,
            second_step,
            private_only,
            no_forks_outside,
            longest_days,
            admitted,
            identity_provider,
            own_rules,
            credential_days,
            by_provider,
            address,
        } = *self;
        // What is looked at where something holds alone, so that a question without guardrails is one question.
        let looked_at = self.any() || own_rules.is_some();
        GuardrailKey {
            address_allowed,
            truths: [second_step, private_only, no_forks_outside, identity_provider],
            longest_days,
            admitted,
            own_rules: own_rules.map(OwnRules::id),
            credential_days: credential_days.filter(|_| looked_at),
            by_provider: by_provider.filter(|_| looked_at),
            address: address.filter(|_| own_rules.is_some()),
        }
    }
}

/// Which guardrail a policy belongs to.
#[must_use]
pub fn of_policy(policy: &str) -> Option<GuardrailKind> {
    match policy {
        "guardrail-ip-allowlist" => Some(GuardrailKind::IpAllowlist),
        "guardrail-second-step" => Some(GuardrailKind::SecondStep),
        "guardrail-private-only" | "guardrail-private-only-shown" => Some(GuardrailKind::PrivateOnly),
        "guardrail-no-forks-outside" => Some(GuardrailKind::NoForksOutside),
        "guardrail-credential-lifetime" => Some(GuardrailKind::CredentialLifetime),
        "guardrail-credential-kinds" | "guardrail-sessions" => Some(GuardrailKind::CredentialKinds),
        "guardrail-identity-provider" => Some(GuardrailKind::IdentityProvider),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AccessModel;

    #[test]
    fn every_policy_among_the_guardrails_belongs_to_one_and_every_one_has_a_policy() {
        let model = AccessModel::load().unwrap();
        for rule in model.rules() {
            assert_eq!(of_policy(&rule.id).is_some(), rule.file == "guardrails.cedar", "{}", rule.id);
        }
        for kind in GuardrailKind::ALL {
            assert!(model.rules().iter().any(|rule| of_policy(&rule.id) == Some(*kind)), "{kind:?}");
        }
    }

    #[test]
    fn kinds_of_entry_are_a_set() {
        let all: EntryKinds = EntryKind::all().collect();
        let session: EntryKinds = [EntryKind::Session].into_iter().collect();
        assert_eq!(all.iter().count(), EntryKind::all().count());
        assert!(session.contains(EntryKind::Session));
        assert_eq!(all.and(session), session);
    }
}
