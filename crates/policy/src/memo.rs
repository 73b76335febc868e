//! Decisions that were made before. A decision follows from its question alone: every fact that it rests on is
//! handed in with it. So what was decided once holds for the same question for as long as the policies stay, and a
//! change of access, which changes the facts, asks another question.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use model::{Action, CredentialKind, ScopeSet};

use crate::decision::Decision;
use crate::fact::{GrantFact, PrincipalFacts, Question, ResourceFacts};
use crate::guardrail::GuardrailKey;

/// More decisions than this are not kept; a full memory starts anew. Each takes some 400 bytes.
const MOST: usize = 20_000;

/// A question, with everything that a decision may rest on.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    action: Action,
    principal: PrincipalFacts,
    resource: ResourceFacts,
    grants: Box<[GrantFact]>,
    held: ScopeSet,
    required: ScopeSet,
    credential: Option<CredentialKind>,
    guardrails: Box<GuardrailKey>,
}

impl Key {
    fn of(question: &Question<'_>) -> Self {
        // Taken apart without `..`: whatever a question gains must be told apart here, or this does not compile.
        let Question { action, principal, resource, grants, held, required, credential, guardrails } =
            *question;
        Self {
            action,
            principal: *principal,
            resource: *resource,
            grants: grants.into(),
            held,
            required,
            credential,
            guardrails: Box::new(guardrails.key()),
        }
    }
}

/// What was decided, by the question.
#[derive(Default)]
pub(crate) struct Memo {
    decisions: Mutex<HashMap<Key, Decision>>,
}

impl Memo {
    /// The decision on this question: the one that was made before, or the one that is made now.
    pub(crate) fn decision(&self, question: &Question<'_>, decide: impl FnOnce() -> Decision) -> Decision {
        let key = Key::of(question);
        if let Some(decision) = self.decisions.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return decision.clone();
        }
        let decision = decide();
        let mut decisions = self.decisions.lock().unwrap_or_else(PoisonError::into_inner);
        if decisions.len() >= MOST {
            decisions.clear();
        }
        decisions.insert(key, decision.clone());
        decision
    }
}
