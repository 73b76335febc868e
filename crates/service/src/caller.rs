//! Who asks, with what, from where: made once per request by [`authn`](crate::authn), and the first parameter of
//! every use case.

use std::net::IpAddr;
use std::sync::Arc;

use model::{
    Credential, CredentialKind, Principal, RequestId, Runner, ScopeSet, Session, StaffRole, Timestamp, User,
    Vocabulary,
};
use policy::PrincipalFacts;

/// The scopes that an operation requires, in the vocabulary of each kind of credential.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequiredScopes {
    /// Of access tokens, app passwords and whoever signed in.
    pub classic: ScopeSet,
    /// Of API tokens.
    pub flat: ScopeSet,
}

impl RequiredScopes {
    /// The column that binds credentials of this kind.
    #[must_use]
    pub fn for_kind(self, kind: Option<CredentialKind>) -> ScopeSet {
        match kind.map(CredentialKind::vocabulary) {
            Some(Vocabulary::Flat) => self.flat,
            _ => self.classic,
        }
    }
}

/// Who is behind a request.
#[derive(Clone, Debug)]
pub enum Identity {
    /// Nobody known.
    Anonymous,
    /// A person.
    User(Arc<User>),
    /// An access token, which stands for itself.
    AccessToken(Arc<Credential>),
    /// A runner of pipelines.
    Runner(Arc<Runner>),
    /// The command line on the server's machine.
    Operator,
}

/// Who asks, with what, from where. There is no caller without a set of scopes: what is not known to be held is not
/// held.
#[derive(Clone, Debug)]
pub struct Caller {
    pub(crate) identity: Identity,
    pub(crate) credential: Option<Arc<Credential>>,
    pub(crate) session: Option<Arc<Session>>,
    /// Whether the session's owner must have a second step and has none.
    pub(crate) must_enrol: bool,
    pub(crate) held: ScopeSet,
    pub(crate) required: ScopeSet,
    pub(crate) address: Option<IpAddr>,
    pub(crate) request_id: RequestId,
}

impl Caller {
    /// Nobody known.
    #[must_use]
    pub fn anonymous(address: Option<IpAddr>, request_id: RequestId) -> Self {
        Self {
            identity: Identity::Anonymous,
            credential: None,
            session: None,
            must_enrol: false,
            held: ScopeSet::NONE,
            required: ScopeSet::NONE,
            address,
            request_id,
        }
    }

    /// The command line on the server's machine: who reaches it could read the data directory as well.
    #[must_use]
    pub fn operator(request_id: RequestId) -> Self {
        Self {
            identity: Identity::Operator,
            credential: None,
            session: None,
            must_enrol: false,
            held: ScopeSet::everything(),
            required: ScopeSet::NONE,
            address: None,
            request_id,
        }
    }

    pub(crate) fn user(user: Arc<User>, credential: Option<Arc<Credential>>, from: &Self) -> Self {
        let held =
            credential.as_ref().map_or_else(ScopeSet::everything, |credential| credential.scopes.closed());
        Self { identity: Identity::User(user), credential, held, ..from.clone() }
    }

    /// A person, by a session: every scope, like anybody who signed in. With `must_enrol` the session reaches the
    /// account itself and nothing else, until a second step is added.
    pub(crate) fn session_of(user: Arc<User>, session: Session, must_enrol: bool, from: &Self) -> Self {
        Self { session: Some(Arc::new(session)), must_enrol, ..Self::user(user, None, from) }
    }

    pub(crate) fn access_token(token: Arc<Credential>, from: &Self) -> Self {
        let held = token.scopes.closed();
        let credential = Some(Arc::clone(&token));
        Self { identity: Identity::AccessToken(token), credential, held, ..from.clone() }
    }

    /// A runner, which holds no scope: what it may do is its own alone.
    pub(crate) fn runner(runner: Arc<Runner>, from: &Self) -> Self {
        Self { identity: Identity::Runner(runner), ..from.clone() }
    }

    /// The same caller, bound to what the operation at hand requires. Nobody known holds no credential that could
    /// have scopes: what is open to them is open without.
    #[must_use]
    pub fn requiring(mut self, required: RequiredScopes) -> Self {
        self.required = match self.identity {
            Identity::Anonymous => ScopeSet::NONE,
            _ => required.for_kind(self.credential_kind()),
        };
        self
    }

    /// Who is behind the request.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The runner, where it is one.
    #[must_use]
    pub fn as_runner(&self) -> Option<&Arc<Runner>> {
        match &self.identity {
            Identity::Runner(runner) => Some(runner),
            _ => None,
        }
    }

    /// The person, where it is one.
    #[must_use]
    pub fn as_user(&self) -> Option<&Arc<User>> {
        match &self.identity {
            Identity::User(user) => Some(user),
            _ => None,
        }
    }

    /// Whether nobody known asks.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        matches!(self.identity, Identity::Anonymous)
    }

    /// The kind of credential that was used; none for who signed in with a password, and for the operator.
    #[must_use]
    pub fn credential_kind(&self) -> Option<CredentialKind> {
        self.credential.as_ref().map(|credential| credential.kind)
    }

    /// The credential that was used.
    #[must_use]
    pub fn credential(&self) -> Option<&Credential> {
        self.credential.as_deref()
    }

    /// The session, where the caller came by one.
    #[must_use]
    pub fn session(&self) -> Option<&Session> {
        self.session.as_deref()
    }

    /// Whether the caller came by a session whose owner must have a second step and has none: it reaches the account
    /// itself alone, so that one can be added.
    #[must_use]
    pub fn must_enrol(&self) -> bool {
        self.must_enrol
    }

    /// Whether the caller came by a session and has proved a short while ago who they are.
    #[must_use]
    pub fn stepped_up(&self, now: Timestamp) -> bool {
        self.session.as_ref().is_some_and(|session| session.is_stepped_up(now))
    }

    /// What was used to be let in, as the audit trail names it: `api_token:{uuid}`, `session:{uuid}`.
    pub(crate) fn means(&self) -> Option<String> {
        match (&self.credential, &self.session) {
            (Some(credential), _) => Some(crate::access::credential_label(credential)),
            (None, Some(session)) => Some(format!("session:{}", session.id.braced())),
            (None, None) => None,
        }
    }

    /// The request's id.
    #[must_use]
    pub fn request_id(&self) -> RequestId {
        self.request_id
    }

    /// The client's address.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Whether the credential lacks a scope that the operation requires.
    #[must_use]
    pub fn lacks_scopes(&self) -> bool {
        !self.held.contains_all(self.required)
    }

    /// The caller as the access model sees it.
    #[must_use]
    pub fn principal(&self) -> Principal {
        match &self.identity {
            Identity::Anonymous => Principal::Anonymous,
            Identity::User(user) => Principal::User(user.id),
            Identity::AccessToken(token) => match token.holder {
                model::Holder::Resource(bound_to, _) => Principal::AccessToken { id: token.id, bound_to },
                model::Holder::User(user) => Principal::User(user),
            },
            Identity::Runner(runner) => Principal::Runner { id: runner.id, bound_to: runner.bound_to },
            Identity::Operator => Principal::Operator,
        }
    }

    /// The caller as lists see it: an account that nobody has approved, or a session that must add a second step first, is
    /// shown nothing, not even what is public.
    pub(crate) fn viewer(&self) -> Principal {
        match &self.identity {
            Identity::User(user) if !user.approved || self.must_enrol => Principal::System,
            _ => self.principal(),
        }
    }

    pub(crate) fn facts(&self) -> PrincipalFacts {
        match &self.identity {
            Identity::User(user) => PrincipalFacts::User {
                id: user.id,
                active: user.active,
                // What an account is proved not to reach before it is approved, it does not reach before its second step.
                approved: user.approved && !self.must_enrol,
                second_step: user.second_step,
                staff: user.staff_role,
                break_glass: None,
            },
            _ => match self.principal() {
                Principal::AccessToken { id, bound_to } => PrincipalFacts::AccessToken { id, bound_to },
                Principal::Runner { id, bound_to } => PrincipalFacts::Runner { id, bound_to },
                Principal::Operator => PrincipalFacts::Operator,
                Principal::User(id) => PrincipalFacts::User {
                    id,
                    active: false,
                    approved: false,
                    second_step: false,
                    staff: StaffRole::None,
                    break_glass: None,
                },
                Principal::Anonymous | Principal::System => PrincipalFacts::Anonymous,
            },
        }
    }

    /// The caller as the audit trail names it: `user:ann`, `access-token:{uuid}`.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.identity {
            Identity::User(user) => format!("user:{}", user.username),
            Identity::Runner(runner) => format!("runner:{}", runner.name),
            _ => self.principal().to_string(),
        }
    }
}
