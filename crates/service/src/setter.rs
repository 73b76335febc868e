//! To whom belongs what is said of a commit: the first to use a key or a name on it. Whoever may write to a repository
//! could otherwise turn the verdict of a scanner round.

use model::{Action, CredentialKind, Error, Result};
use policy::Question;
use store::repository::Located;

use crate::access::{Ground, question};
use crate::access_question::usual_scopes;
use crate::{Caller, Service};

/// Steps of the repository's pipelines are one principal: each has a token of its own, and a step that runs again
/// overwrites what it said before.
const STEPS: &str = "steps";
/// Bastide itself.
pub(crate) const OWN: &str = "bastide";

/// Who says something of a commit.
#[derive(Clone, Debug)]
pub(crate) struct Setter {
    name: String,
    administers: bool,
}

impl Setter {
    /// Whom it belongs to if nobody came before.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whom it belongs to afterwards, where it belongs to `owner`. An administrator takes it over. `what` begins the
    /// refusal.
    pub(crate) fn succeeds(&self, owner: &str, what: &str) -> Result<String> {
        if owner != self.name && !self.administers {
            return Err(Error::Conflict(format!(
                "{what} belongs to another principal, who set it first on this commit: use another name, or ask an \
                 administrator of the repository, who can take it over"
            )));
        }
        Ok(self.name.clone())
    }
}

impl Service {
    /// The caller as one who says something of a commit.
    pub(crate) fn setter(&self, caller: &Caller, ground: &Ground<Located>) -> Setter {
        let name = match caller.credential_kind() {
            Some(CredentialKind::StepToken) => STEPS.to_owned(),
            _ => caller.principal().to_string(),
        };
        // A credential administers nothing unless it has the scopes for that, whoever holds it.
        let principal = ground.principal(caller.facts(), self.clock.now());
        let required = usual_scopes(Action::RepositoryAdmin).for_kind(caller.credential_kind());
        let asked = question(caller, &principal, Action::RepositoryAdmin, ground);
        let administers = self.model.decide(&Question { required, ..asked }).allowed;
        Setter { name, administers }
    }
}
