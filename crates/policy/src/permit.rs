//! The permit: what every write needs, and what only a decision, or a listed reason of Bastide's own, mints.

use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;

use model::{Act, Action, RequestId, Resource, Timestamp, WorkspaceId};

/// Where a question came from: what the audit event tells of the one who acted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The request.
    pub request_id: RequestId,
    /// When it was decided.
    pub time: Timestamp,
    /// Who acted, as written at that time: `user:ann`.
    pub actor: String,
    /// The actor's own id, a UUID, where it has one.
    pub actor_id: Option<String>,
    /// The credential that was used, its kind and id: `app_password:{uuid}`.
    pub credential: Option<String>,
    /// The client's address.
    pub address: Option<IpAddr>,
}

/// What an action is done to: what the audit event tells of the resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The resource.
    pub resource: Resource,
    /// As written at that time: `repository:acme/one`.
    pub label: String,
    /// The workspace that it is or lies in.
    pub workspace: Option<WorkspaceId>,
}

/// That the action `A` may be done to its target.
///
/// It cannot be made but by a decision that allows ([`AccessModel::permit`](crate::AccessModel::permit)) or by
/// [`Permit::internal`]; it cannot be copied, and one for another action is another type.
///
/// ```compile_fail
/// use model::action::act;
/// fn another(permit: policy::Permit<act::RepositoryPush>) -> policy::Permit<act::RepositoryDelete> {
///     permit
/// }
/// ```
///
/// ```compile_fail
/// use model::action::act;
/// fn twice(permit: policy::Permit<act::RepositoryPush>) -> [policy::Permit<act::RepositoryPush>; 2] {
///     [permit.clone(), permit]
/// }
/// ```
///
/// ```compile_fail
/// use model::action::act;
/// fn made(origin: policy::Origin, target: policy::Target) -> policy::Permit<act::RepositoryPush> {
///     policy::Permit::decided(origin, target, Vec::new())
/// }
/// ```
#[must_use = "a permit that is not handed to the store carries nothing out and records nothing"]
pub struct Permit<A: Act> {
    origin: Origin,
    target: Target,
    reasons: Vec<String>,
    action: PhantomData<A>,
}

impl<A: Act> Permit<A> {
    /// From a decision that allows.
    pub(crate) fn decided(origin: Origin, target: Target, reasons: Vec<String>) -> Self {
        Self { origin, target, reasons, action: PhantomData }
    }

    /// For what Bastide does by itself, without anybody having asked: the one way around the policies, and named so
    /// that each use is found.
    pub fn internal(reason: InternalReason, origin: Origin, target: Target) -> Self {
        Self::decided(origin, target, vec![reason.as_str().to_owned()])
    }

    /// The action.
    #[must_use]
    pub fn action(&self) -> Action {
        A::ACTION
    }

    /// Where the question came from.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What the action is done to.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The ids of the policies that decided, or the internal reason.
    #[must_use]
    pub fn reasons(&self) -> &[String] {
        &self.reasons
    }
}

impl<A: Act> fmt::Debug for Permit<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "permit for {} on {} by {}", A::ACTION, self.target.label, self.origin.actor)
    }
}

macro_rules! internal_reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal: $sentence:literal;)*) => {
        /// Why Bastide does something by itself. Reviewed like a public interface: each reason is a way around the
        /// policies.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum InternalReason { $($(#[$doc])* $name,)* }

        impl InternalReason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The word for it in the audit trail.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What it means, as a sentence.
            #[must_use]
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)* }
            }
        }
    };
}

internal_reasons! {
    /// A push's outcome.
    PushOutcome = "internal-push-outcome":
        "A push that was permitted has ended, and what git did with its refs is recorded.";
    /// A push left open is settled.
    PushSettled = "internal-push-settled":
        "A push was left open when the server stopped, and is settled by what lies on disk.";
    /// The audit trail's events expire.
    AuditRetention = "internal-audit-retention":
        "Events older than the operator keeps them are removed from the audit trail; their hashes stay in the ledger.";
    /// An alert.
    Alert = "internal-alert": "Something stands out in the audit trail, and an alert of it is raised.";
    /// Sweeping.
    Sweep = "internal-sweep": "What was deleted, or has expired, is removed for good.";
    /// The first start.
    Bootstrap = "internal-bootstrap":
        "The instance has no administrator yet, and the command line makes the first one and their token.";
    /// A password that was forgotten.
    ResetAsked = "internal-reset-asked":
        "Somebody asked for a new password, and a link to set one is mailed to the account's address.";
    /// An account for somebody whom a workspace's identity provider let in.
    ProviderAccount = "internal-provider-account":
        "Somebody came through a workspace's identity provider for the first time, and got an account, which waits for approval.";
    /// Groups follow the identity provider.
    ProviderGroups = "internal-provider-groups":
        "Somebody signed in through a workspace's identity provider, and the groups that its mapping manages follow what it says.";
    /// A push starts pipelines.
    PipelinePush = "internal-pipeline-push":
        "A push that was permitted starts what the repository's pipelines say of it.";
    /// It is time for a schedule.
    PipelineSchedule = "internal-pipeline-schedule":
        "It was time for a schedule of pipelines, whose maker may still start them.";
    /// A runner lost its step.
    StepLost = "internal-step-lost":
        "A runner was not heard of for too long, and its step is given to another one, or fails.";
    /// The installation's own runner begins or ends with the server.
    OwnRunner = "internal-own-runner":
        "The server was started with a runner of its own, which got a new credential, or without it, and the one it had is of no use.";
    /// A runner's code or credential is exchanged.
    RunnerRegistered = "internal-runner-registered":
        "Somebody presented a runner's one-time code, or its credential, and got the credential that it is exchanged for.";
    /// A key that signs identity tokens.
    IdentityTokenKey = "internal-identity-token-key":
        "A workspace's identity tokens need another key to sign them, or one that signs no more is removed.";
    /// The server's own key at Amazon.
    AwsKey = "internal-aws-key":
        "The server's own key at Amazon is old enough to be replaced, or what is left of replacing it is brought to its end.";
    /// The demonstration.
    Demo = "internal-demo": "A demonstration instance is filled with what it shows.";
    /// A leaked credential.
    LeakedCredential = "internal-leaked-credential":
        "A credential of this instance was found in a push, and is revoked there and then.";
    /// Maintenance.
    Maintenance = "internal-maintenance": "Stored data is brought into order without changing what it says.";
}

#[cfg(test)]
mod tests {
    use model::Random;
    use model::action::act;

    use super::*;

    #[test]
    fn an_internal_permit_names_its_reason() {
        let random = Random::seeded(1);
        let origin = Origin {
            request_id: RequestId::new(&random),
            time: Timestamp::from_micros(1),
            actor: "system".to_owned(),
            actor_id: None,
            credential: None,
            address: None,
        };
        let target = Target { resource: Resource::Instance, label: "instance".to_owned(), workspace: None };
        let permit = Permit::<act::Upkeep>::internal(InternalReason::Sweep, origin, target);
        assert_eq!(permit.reasons(), ["internal-sweep"]);
        assert_eq!(permit.action(), Action::Upkeep);
    }

    #[test]
    fn every_internal_reason_has_a_word_and_a_sentence_of_its_own() {
        for reason in InternalReason::ALL {
            assert!(reason.as_str().starts_with("internal-"));
            assert!(reason.sentence().ends_with('.'));
            let same = InternalReason::ALL.iter().filter(|other| other.as_str() == reason.as_str());
            assert_eq!(same.count(), 1);
        }
    }
}
