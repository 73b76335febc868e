//! Use cases: everything that Bastide does, and the only place where access is enforced.
//!
//! One file per noun. Every public function takes the [`Caller`] first, finds the resource with its facts, asks
//! `policy`, and only then reads or, with the permit it got, writes. Faces (`server`) call these functions and know
//! neither `store` nor `git`.

mod access;
mod access_question;
mod access_token;
mod alert;
mod alert_pattern;
mod alert_watch;
mod audit;
mod audit_delivery;
mod audit_export;
mod audit_refusal;
mod audit_retention;
mod audit_sink;
mod audit_stream;
mod authn;
mod aws_key;
mod aws_role;
mod aws_signature;
mod branch_restriction;
mod branch_rule;
mod branching_model;
mod breached;
mod break_glass;
mod cache;
mod caller;
mod code_scanning;
mod commit;
mod commit_status;
mod deployment;
mod diff;
mod dynamic_pipeline;
mod effective;
mod email_verification;
mod environment;
mod field;
mod git_access;
mod grant;
mod group;
mod guard;
mod guardrail;
mod guardrail_change;
mod guardrail_effect;
mod housekeeping;
mod identity;
mod identity_provider;
mod identity_token;
mod jobs;
mod log_archive;
mod log_bucket;
mod log_pack;
mod mail;
mod member_group;
mod membership;
mod open;
mod open_id;
mod operator;
mod outbound;
mod own_access;
mod passkey;
mod password;
mod password_reset;
mod password_reset_mail;
mod people;
mod permission_path;
mod pipeline_advance;
mod pipeline_config;
mod pipeline_run;
mod pipeline_schedule;
mod pipeline_ssh;
mod pipeline_start;
mod pipeline_steer;
mod pipeline_variable;
mod project;
mod provider_account;
mod provider_sign_in;
mod ref_change;
mod refs;
mod report;
mod report_data;
mod repository;
mod runner;
mod sarif;
mod second_step;
mod select;
mod session;
mod setter;
mod sign_in;
mod source;
mod step_approval;
mod step_artifact;
mod step_assignment;
mod step_claim;
mod step_file;
mod step_log;
mod test_report;
mod throttle;
mod tlog;
mod token_warning;
mod totp;
mod upload;
mod user;
mod user_credential;
mod verify;
mod verify_export;
mod workspace;
mod workspace_token;

pub use access::{Named, RepositoryPath, project_name};
pub use access_question::{Able, Explanation};
pub use access_token::{Minted, NewCredential, TokenPlace};
pub use audit::{AuditQuery, Trail};
pub use audit_export::{AuditWalk, LedgerLine, LedgerWalk};
pub use audit_refusal::Refusal;
pub use audit_sink::{AddedAuditSink, AuditSinkView, NewAuditSink};
pub use audit_stream::AuditStream;
pub use authn::{ACCESS_TOKEN_USER, API_TOKEN_USER, Door, Presented};
pub use aws_key::{AwsKeyView, NewAwsKey};
pub use aws_role::{AwsRoleView, AwsRoles, AwsSettings, NewAwsGrant, NewAwsRole};
pub use branch_restriction::{BranchRestrictionChange, BranchRestrictionQuery, BranchRestrictionView};
pub use branching_model::{BranchingModelChange, BranchingModelView, NamedBranchChange, PrefixedTypeChange};
pub use break_glass::{MOST_HOURS as MOST_BREAK_GLASS_HOURS, NewBreakGlass};
pub use caller::{Caller, Identity, RequiredScopes};
pub use code_scanning::{NONE as NO_FINDING, NewCodeScanning};
pub use commit::{CommitQuery, Commits, FileVersion, FileVersions};
pub use commit_status::{CommitStatusChange, CommitStatusQuery};
pub use deployment::DeploymentView;
pub use diff::{DiffRequest, Diffstat, LONGEST_DIFF};
pub use dynamic_pipeline::{DynamicOf, KnownPipelines, NewDynamicPipeline, SetDynamicPipeline};
pub use effective::{EffectivePermission, PERMISSION_FIELDS, Selected};
pub use email_verification::EmailState;
pub use environment::{EnvironmentChange, EnvironmentView};
pub use git_access::{ByteStream, GitService};
pub use grant::{GrantHolder, GrantPlace, HeldGrant, HolderName};
pub use group::{GroupChange, GroupWithMembers};
pub use guardrail::{GuardrailView, NewGuardrails};
pub use guardrail_effect::{GuardrailEffect, Refused, RefusedIn, RuleFinding};
pub use identity::OwnIdentity;
pub use identity_provider::{IdentityProviderView, NewIdentityProvider, ProviderUses};
pub use identity_token::{
    IdentityToken, IdentityTokenKeyView, IdentityTokens, KeyRotation, NewIdentityTokens,
    NewRepositoryIdentityTokens, RepositoryIdentityTokens, UnrecordedIdentityToken,
};
pub use log_bucket::LogBucketSettings;
pub use mail::{MailEncryption, MailSettings};
pub use member_group::MemberGroup;
pub use membership::{MEMBER_FIELDS, WORKSPACE_FIELDS};
pub use open::{Service, Settings};
pub use operator::Health;
pub use outbound::OutboundSettings;
pub use own_access::Reach;
pub use passkey::PasskeyRequest;
pub use password_reset::ResetLink;
pub use people::People;
pub use permission_path::{PathedPermission, PermissionPath};
pub use pipeline::aws_trust::server_setup;
pub use pipeline_run::{
    NewPipeline, NewRunVariable, PipelineConfigurationView, PipelineName, PipelineQuery, PipelineView,
    StepView,
};
pub use pipeline_schedule::{PipelineScheduleChange, ScheduleTargetChange};
pub use pipeline_ssh::{KnownHostChange, KnownHostView, NewKeyPair};
pub use pipeline_variable::{PipelineVariableChange, PipelineVariableView, VariablesOf};
pub use project::{NewProject, ProjectChange};
pub use provider_sign_in::{Arrived, Departure, ProviderAnswer, ProviderDoor};
pub use refs::{GitRef, NewRef, REF_FIELDS, RefQuery, Refs};
pub use report::{NewAnnotation, NewReport, ReportName, ReportView};
pub use repository::{NewRepository, RepositoryChange, RepositoryQuery};
pub use runner::{NewRunner, RunnerChange, RunnerPlace, RunnerState};
pub use sarif::{LONGEST_SARIF, SarifReport, SarifUpload};
pub use second_step::{Enrolled, STEP_UP_REQUIRED, SecondSteps, TotpEnrolment};
pub use session::{Browser, NewSession, SessionLimits};
pub use sign_in::{SecondStepWanted, SignIn, SignInSettings};
pub use source::{SOURCE_FIELDS, SourceAt, attributes};
pub use step_approval::{StepApproval, StepApprovals};
pub use step_artifact::StepArtifact;
pub use step_file::{CacheName, KeptFile};
pub use step_log::{LogName, LogPart};
pub use upload::{CommitFacts, Upload};
pub use user::{NewUser, UserChange, UserQuery};
pub use verify::Verification;
pub use verify_export::verify_export;
pub use workspace::WorkspaceChange;
pub use workspace_token::{Advice, Revocation, ScopesOfActions, WORKSPACE_TOKEN_FIELDS, WorkspaceToken};

pub use git::commit::{Commit, Identity as Person};
pub use git::diff::{FileStat, FileStatus};
pub use git::hook::{is_hook, run_pre_receive};
pub use git::inflate::{Inflate, InflateLimits};
pub use git::refs::RefKind;
pub use git::tag::AnnotatedTag;
pub use git::tree::{Entry, EntryKind};
pub use git::{BodyReader, Protocol};
pub use pipeline::protocol;
pub use pipeline::test_report::LARGEST_REPORT as LARGEST_TEST_REPORT;
pub use pipeline::trust::TrustPolicies;
pub use prover::prove_all as prove_access_model;
pub use store::Database;
pub use store::audit::Cursor as AuditCursor;
pub use store::commit_status::FIELDS as COMMIT_STATUS_FIELDS;
pub use store::pipeline_config::PipelineConfig;
pub use store::pipeline_step::StepRow;
pub use store::project::FIELDS as PROJECT_FIELDS;
pub use store::project::ProjectName;
pub use store::repository::FIELDS as REPOSITORY_FIELDS;
pub use store::repository::{Located, RepositoryName};
pub use store::step_artifact::CacheRow;
pub use store::test_report::{TestCaseRow, TestReportRow};
pub use store::visibility::AtLeast;
pub use store::workspace::WorkspaceName;

/// What became of a change to something that its asker may have meant to make.
#[derive(Debug)]
pub enum Changed<T> {
    /// It is changed: as it is now.
    Done(T),
    /// There is nothing of this name that the caller may know of. The error says so, where nothing is made either.
    Absent(model::Error),
}

/// A part of a list: how many, after how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// At most so many.
    pub limit: i64,
    /// After so many.
    pub offset: i64,
}

/// A part of a list, and how long the whole is where that is known.
#[derive(Clone, Debug)]
pub struct Listing<T> {
    /// The part.
    pub values: Vec<T>,
    /// The whole's length, where it is known.
    pub size: Option<i64>,
    /// Where it is not: whether there is more after this part.
    pub more: bool,
}

impl<T> Listing<T> {
    pub(crate) fn new(values: Vec<T>, size: i64) -> Self {
        Self { values, size: Some(size), more: false }
    }

    /// A part of a list that is there as a whole.
    pub fn cut(whole: Vec<T>, window: Window) -> Self {
        let size = i64::try_from(whole.len()).unwrap_or(i64::MAX);
        let skip = usize::try_from(window.offset).unwrap_or(usize::MAX);
        let take = usize::try_from(window.limit).unwrap_or(0);
        Self::new(whole.into_iter().skip(skip).take(take).collect(), size)
    }

    /// The same list in another shape.
    pub fn map<U>(self, shape: impl FnMut(T) -> U) -> Listing<U> {
        Listing { values: self.values.into_iter().map(shape).collect(), size: self.size, more: self.more }
    }
}
