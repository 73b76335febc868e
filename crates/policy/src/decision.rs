//! A decision and its reasons.

/// One reason for a decision: a policy that decided, or why none did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The policy's id, or one of the constants of [`Reason`].
    pub policy: String,
    /// What it says, as a sentence.
    pub text: String,
}

impl Reason {
    /// No policy permits what was asked.
    pub const NO_PERMIT: &'static str = "no-permit";
    /// The action cannot be done to this kind of resource, or the permit would be for another action or target.
    pub const NO_SUCH_QUESTION: &'static str = "no-such-question";
    /// The question could not be decided. Never seen: `prover` shows that no policy can raise an error.
    pub const UNDECIDED: &'static str = "undecided";
    /// The restraint that refuses a credential without the scopes that a call requires.
    pub const SCOPES: &'static str = "restraint-scopes";
}

/// Allowed or not, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it may be done.
    pub allowed: bool,
    /// The policies that decided, in the order of their ids; never empty.
    pub reasons: Vec<Reason>,
}

impl Decision {
    /// Denied, for one reason that is no policy.
    pub(crate) fn denied(policy: &str, text: String) -> Self {
        Self { allowed: false, reasons: vec![Reason { policy: policy.to_owned(), text }] }
    }

    /// Whether the credential's scopes are what stands in the way, perhaps beside other restraints.
    #[must_use]
    pub fn lacks_scope(&self) -> bool {
        !self.allowed && self.reasons.iter().any(|reason| reason.policy == Reason::SCOPES)
    }

    /// The ids of the policies that decided, as they stand in the audit event.
    #[must_use]
    pub fn policies(&self) -> Vec<String> {
        self.reasons.iter().map(|reason| reason.policy.clone()).collect()
    }
}
