//! Actions: everything that can be asked of the access model, and the only names that stand in the audit trail.
//!
//! Each action is a value of [`Action`] and a type of its own, so that a [`Permit`](../policy) for one cannot be
//! used where another is needed. The Cedar schema in `policy` groups them; a test there holds the two lists
//! together.

use std::fmt;
use std::str::FromStr;

use crate::ResourceKind;

/// What carrying out an action does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Tells something.
    Read,
    /// Tells something that is worth a record each time: an export, the audit trail.
    SensitiveRead,
    /// Changes content or settings.
    Write,
    /// Changes who may do what, or how names resolve: raises the generation under which facts are cached.
    AccessWrite,
}

/// A type that names one action.
pub trait Act: Copy + Send + Sync + 'static {
    /// The action it names.
    const ACTION: Action;
}

/// The text names no action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no action of this name: see docs/access-matrix.txt for the list")]
pub struct BadAction;

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $text:literal on [$($kind:ident),+] $effect:ident;)*) => {
        /// Everything that can be asked of the access model.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action { $($(#[$doc])* $name,)* }

        impl Action {
            /// Every action.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The published name.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The kinds of resource it can be done to.
            #[must_use]
            pub fn resources(self) -> &'static [ResourceKind] {
                match self { $(Self::$name => &[$(ResourceKind::$kind),+],)* }
            }

            /// What carrying it out does.
            #[must_use]
            pub fn effect(self) -> Effect {
                match self { $(Self::$name => Effect::$effect,)* }
            }
        }

        impl FromStr for Action {
            type Err = BadAction;

            fn from_str(text: &str) -> Result<Self, BadAction> {
                match text { $($text => Ok(Self::$name),)* _ => Err(BadAction) }
            }
        }

        /// A type for each action: what a `Permit` is a permit for.
        pub mod act {
            $($(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub struct $name;

            impl super::Act for $name {
                const ACTION: super::Action = super::Action::$name;
            })*
        }
    };
}

actions! {
    /// List all users.
    UserList = "user.list" on [Instance] Read;
    /// Make a user.
    UserCreate = "user.create" on [Instance] AccessWrite;
    /// See a user's public face.
    UserRead = "user.read" on [User] Read;
    /// See all of a user's account, as those who manage users do.
    UserInspect = "user.inspect" on [User] Read;
    /// Change a user: active or not, staff role, names.
    UserUpdate = "user.update" on [User] AccessWrite;
    /// Approve a user's account, or take the approval back.
    UserApprove = "user.approve" on [User] AccessWrite;
    /// Hand out a link by which a user sets a new password.
    UserResetLink = "user.reset-link" on [User] Write;
    /// Set a new password by such a link.
    PasswordReset = "password.reset" on [User] AccessWrite;
    /// Delete a user.
    UserDelete = "user.delete" on [User] AccessWrite;
    /// Read one's own account.
    AccountRead = "account.read" on [User] Read;
    /// Change one's own account.
    AccountUpdate = "account.update" on [User] Write;
    /// List one's own app passwords and API tokens.
    CredentialList = "credential.list" on [User] Read;
    /// Make an app password or API token of one's own.
    CredentialCreate = "credential.create" on [User] AccessWrite;
    /// Revoke an app password or API token of one's own.
    CredentialRevoke = "credential.revoke" on [User] AccessWrite;
    /// Change one's own password.
    PasswordChange = "password.change" on [User] AccessWrite;
    /// List one's own second steps.
    SecondStepList = "second-step.list" on [User] Read;
    /// Enrol a second step of one's own.
    SecondStepEnrol = "second-step.enrol" on [User] AccessWrite;
    /// Remove a second step of one's own.
    SecondStepRemove = "second-step.remove" on [User] AccessWrite;
    /// Make recovery codes of one's own; those before end.
    RecoveryCodesCreate = "recovery-codes.create" on [User] Write;
    /// Connect an identity of a provider's with one's own account: it signs in from then on.
    IdentityConnect = "identity.connect" on [User] Write;
    /// List the identities that are connected with one's own account.
    IdentityList = "identity.list" on [User] Read;
    /// Disconnect an identity from one's own account: it signs in no more.
    IdentityDisconnect = "identity.disconnect" on [User] Write;
    /// List one's own sessions.
    SessionList = "session.list" on [User] Read;
    /// Begin a session of one's own: sign in.
    SessionCreate = "session.create" on [User] Write;
    /// Change a session of one's own: step up.
    SessionUpdate = "session.update" on [User] Write;
    /// End sessions of one's own: sign out, here or elsewhere.
    SessionRevoke = "session.revoke" on [User] Write;
    /// Make a workspace.
    WorkspaceCreate = "workspace.create" on [Instance] AccessWrite;
    /// See a workspace.
    WorkspaceRead = "workspace.read" on [Workspace] Read;
    /// See a workspace's settings; the group of all that administers it.
    WorkspaceAdmin = "workspace.admin" on [Workspace] Write;
    /// Rename or change a workspace.
    WorkspaceUpdate = "workspace.update" on [Workspace] AccessWrite;
    /// Delete an empty workspace.
    WorkspaceDelete = "workspace.delete" on [Workspace] AccessWrite;
    /// See guardrails, and what others would do.
    GuardrailRead = "guardrail.read" on [Instance, Workspace] Read;
    /// Change guardrails.
    GuardrailUpdate = "guardrail.update" on [Instance, Workspace] AccessWrite;
    /// See a workspace's identity provider.
    IdentityProviderRead = "identity-provider.read" on [Workspace] Read;
    /// Change a workspace's identity provider.
    IdentityProviderUpdate = "identity-provider.update" on [Workspace] AccessWrite;
    /// Bring the groups of who signs in into line with what the identity provider says.
    IdentityProviderSync = "identity-provider.sync" on [Workspace] AccessWrite;
    /// See where the audit trail is sent.
    AuditSinkRead = "audit-sink.read" on [Instance, Workspace] Read;
    /// Change where the audit trail is sent.
    AuditSinkUpdate = "audit-sink.update" on [Instance, Workspace] Write;
    /// See alerts.
    AlertRead = "alert.read" on [Instance, Workspace] Read;
    /// Acknowledge an alert.
    AlertAcknowledge = "alert.acknowledge" on [Instance, Workspace] Write;
    /// See which findings of scanners fail a run of a pipeline.
    CodeScanningRead = "code-scanning.read" on [Workspace] Read;
    /// Change which findings of scanners fail a run of a pipeline.
    CodeScanningConfigure = "code-scanning.configure" on [Workspace] Write;
    /// List a workspace's members.
    MemberList = "member.list" on [Workspace] Read;
    /// Add a member or change what a member may do.
    MemberSet = "member.set" on [Workspace] AccessWrite;
    /// Remove a member, with every grant and group membership in the workspace.
    MemberRemove = "member.remove" on [Workspace] AccessWrite;
    /// List groups and their members.
    GroupRead = "group.read" on [Workspace] Read;
    /// Make a group.
    GroupCreate = "group.create" on [Workspace] AccessWrite;
    /// Change a group.
    GroupUpdate = "group.update" on [Workspace] AccessWrite;
    /// Delete a group.
    GroupDelete = "group.delete" on [Workspace] AccessWrite;
    /// Add a member to a group.
    GroupMemberAdd = "group.member-add" on [Workspace] AccessWrite;
    /// Take a member out of a group.
    GroupMemberRemove = "group.member-remove" on [Workspace] AccessWrite;
    /// Make a project.
    ProjectCreate = "project.create" on [Workspace] AccessWrite;
    /// See a project.
    ProjectRead = "project.read" on [Project] Read;
    /// See a project's settings; the group of all that administers it.
    ProjectAdmin = "project.admin" on [Project] Write;
    /// Change a project.
    ProjectUpdate = "project.update" on [Project] AccessWrite;
    /// Delete an empty project.
    ProjectDelete = "project.delete" on [Project] AccessWrite;
    /// Make a public project, or make a project public.
    ProjectPublish = "project.publish" on [Workspace, Project] AccessWrite;
    /// Make a repository in a project.
    RepositoryCreate = "repository.create" on [Project] AccessWrite;
    /// Browse a repository; the group of all that reads it.
    RepositoryRead = "repository.read" on [Repository] Read;
    /// Make a public repository, or make a repository public.
    RepositoryPublish = "repository.publish" on [Project, Repository] AccessWrite;
    /// Fork a repository within its workspace; the group of all forking.
    RepositoryFork = "repository.fork" on [Repository] Read;
    /// Fork a repository into another workspace.
    RepositoryForkOutside = "repository.fork-outside" on [Repository] Read;
    /// Clone or fetch a repository.
    RepositoryClone = "repository.clone" on [Repository] Read;
    /// Change a repository's content; the group of all that does.
    RepositoryWrite = "repository.write" on [Repository] Write;
    /// Begin a push: its refs, old and new values, before git may move them.
    RepositoryPushIntent = "repository.push-intent" on [Repository] Write;
    /// Push: what git did with the refs.
    RepositoryPush = "repository.push" on [Repository] Write;
    /// Make a branch or tag through the API.
    RefCreate = "ref.create" on [Repository] Write;
    /// Delete a branch or tag through the API.
    RefDelete = "ref.delete" on [Repository] Write;
    /// Make a commit through the API.
    CommitCreate = "commit.create" on [Repository] Write;
    /// See pipelines: runs, their steps and logs, environments and deployments.
    PipelineRead = "pipeline.read" on [Repository] Read;
    /// Start a pipeline.
    PipelineRun = "pipeline.run" on [Repository] Write;
    /// Start a pipeline with a configuration that is not in the repository.
    PipelineRunOnDemand = "pipeline.run-on-demand" on [Repository] Write;
    /// Stop a run, run its failed steps again, start a step that waits for somebody.
    PipelineSteer = "pipeline.steer" on [Repository] Write;
    /// Change how a repository's pipelines run: on or off, the build number, keys for SSH.
    PipelineConfigure = "pipeline.configure" on [Repository] Write;
    /// Fetch what pipelines keep in caches: whoever may change what lies in them, since tools leave passwords there.
    PipelineCacheRead = "pipeline-cache.read" on [Repository] Read;
    /// Remove what pipelines keep in caches.
    PipelineCacheRemove = "pipeline-cache.remove" on [Repository] Write;
    /// Make or change a schedule.
    PipelineScheduleSet = "pipeline-schedule.set" on [Repository] Write;
    /// Remove a schedule.
    PipelineScheduleRemove = "pipeline-schedule.remove" on [Repository] Write;
    /// See the variables of pipelines; secured ones without their values.
    PipelineVariableRead = "pipeline-variable.read" on [Workspace, Repository] Read;
    /// Make or change a variable of pipelines.
    PipelineVariableSet = "pipeline-variable.set" on [Workspace, Repository] Write;
    /// Remove a variable of pipelines.
    PipelineVariableRemove = "pipeline-variable.remove" on [Workspace, Repository] Write;
    /// See who has the last word about what pipelines do: the provider of dynamic pipelines, and its rules.
    DynamicPipelineRead = "dynamic-pipeline.read" on [Workspace, Repository] Read;
    /// Change who has the last word about what pipelines do.
    DynamicPipelineSet = "dynamic-pipeline.set" on [Workspace, Repository] Write;
    /// Make or change a deployment environment.
    EnvironmentSet = "environment.set" on [Repository] Write;
    /// Remove a deployment environment.
    EnvironmentRemove = "environment.remove" on [Repository] Write;
    /// Approve a deployment: let one go on that its environment holds back, by its restrictions or until it is approved.
    DeploymentApprove = "deployment.approve" on [Repository] Write;
    /// See runners.
    RunnerRead = "runner.read" on [Workspace, Repository] Read;
    /// Make or change a runner.
    RunnerSet = "runner.set" on [Workspace, Repository] Write;
    /// Remove a runner.
    RunnerRemove = "runner.remove" on [Workspace, Repository] Write;
    /// Exchange a one-time code for a runner's credential, or a runner's credential for a new one.
    RunnerRegister = "runner.register" on [Instance, Workspace, Repository] Write;
    /// Take a step of a pipeline to run it. By runners.
    StepClaim = "step.claim" on [Repository] Write;
    /// Tell how a step ended, whose token ends with it. By runners.
    StepFinish = "step.finish" on [Repository] AccessWrite;
    /// Get an identity token for a step.
    IdentityTokenMint = "identity-token.mint" on [Repository] SensitiveRead;
    /// See what identity tokens say, and who trusts them how.
    IdentityTokenRead = "identity-token.read" on [Workspace, Repository] Read;
    /// Change what identity tokens say, or the keys that sign them.
    IdentityTokenConfigure = "identity-token.configure" on [Workspace, Repository] Write;
    /// See the roles at Amazon that steps may take on.
    AwsRoleRead = "aws-role.read" on [Workspace] Read;
    /// Name a role at Amazon, or change it and who may use it.
    AwsRoleSet = "aws-role.set" on [Workspace] Write;
    /// Remove a role at Amazon.
    AwsRoleRemove = "aws-role.remove" on [Workspace] Write;
    /// Take on a role at Amazon for a step. By runners.
    AwsRoleAssume = "aws-role.assume" on [Repository] SensitiveRead;
    /// See which key of its own the server has at Amazon; never its secret.
    AwsKeyRead = "aws-key.read" on [Instance] Read;
    /// Give the server a key of its own at Amazon, have it rotated, or take it away.
    AwsKeyUpdate = "aws-key.update" on [Instance] Write;
    /// Tell the status of a build of a commit.
    CommitStatusSet = "commit-status.set" on [Repository] Write;
    /// Make or change a report on a commit, or its annotations.
    ReportSet = "report.set" on [Repository] Write;
    /// Remove a report, or an annotation.
    ReportRemove = "report.remove" on [Repository] Write;
    /// See a repository's settings; the group of all that administers it.
    RepositoryAdmin = "repository.admin" on [Repository] Write;
    /// Rename or change a repository.
    RepositoryUpdate = "repository.update" on [Repository] AccessWrite;
    /// See branch restrictions.
    BranchRestrictionRead = "branch-restriction.read" on [Repository] Read;
    /// Make or change a branch restriction.
    BranchRestrictionSet = "branch-restriction.set" on [Repository] AccessWrite;
    /// Remove a branch restriction.
    BranchRestrictionRemove = "branch-restriction.remove" on [Repository] AccessWrite;
    /// Change the branching model: which branches the restrictions by type of branch are about.
    BranchingModelUpdate = "branching-model.update" on [Repository] AccessWrite;
    /// Move a repository to another project or workspace.
    RepositoryTransfer = "repository.transfer" on [Repository] AccessWrite;
    /// Delete a repository.
    RepositoryDelete = "repository.delete" on [Repository] AccessWrite;
    /// Restore a deleted repository.
    RepositoryRestore = "repository.restore" on [Repository] AccessWrite;
    /// List explicit grants.
    GrantList = "grant.list" on [Project, Repository] Read;
    /// Grant a permission to a user or group.
    GrantSet = "grant.set" on [Project, Repository] AccessWrite;
    /// Take a grant back.
    GrantRemove = "grant.remove" on [Project, Repository] AccessWrite;
    /// List access tokens.
    AccessTokenList = "access-token.list" on [Workspace, Project, Repository] Read;
    /// Make an access token.
    AccessTokenCreate = "access-token.create" on [Workspace, Project, Repository] AccessWrite;
    /// Revoke an access token.
    AccessTokenRevoke = "access-token.revoke" on [Workspace, Project, Repository] AccessWrite;
    /// See who asked for break-glass, and why.
    BreakGlassRead = "break-glass.read" on [Instance, Workspace] Read;
    /// Ask to read in a workspace for a few hours, as an administrator of the instance.
    BreakGlassRequest = "break-glass.request" on [Workspace] AccessWrite;
    /// Give what another administrator asked for.
    BreakGlassApprove = "break-glass.approve" on [Workspace] AccessWrite;
    /// End it early, or refuse it.
    BreakGlassEnd = "break-glass.end" on [Workspace] AccessWrite;
    /// Ask who may do what, and why.
    AccessRead = "access.read" on [Workspace, Project, Repository] Read;
    /// Read the audit trail.
    AuditRead = "audit.read" on [Instance, Workspace] SensitiveRead;
    /// Upkeep by Bastide itself: sweeps, settling, maintenance.
    Upkeep = "instance.upkeep" on [Instance, Workspace, Project, Repository, User] Write;
}

impl Action {
    /// Whether carrying it out changes anything that must be recorded.
    #[must_use]
    pub fn writes(self) -> bool {
        matches!(self.effect(), Effect::Write | Effect::AccessWrite)
    }

    /// Whether carrying it out raises the generation of access.
    #[must_use]
    pub fn changes_access(self) -> bool {
        self.effect() == Effect::AccessWrite
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_read_back() {
        for action in Action::ALL {
            assert_eq!(action.as_str().parse::<Action>().unwrap(), *action);
        }
        assert_eq!(act::RepositoryPush::ACTION, Action::RepositoryPush);
        assert!("repository.explode".parse::<Action>().is_err());
    }
}
