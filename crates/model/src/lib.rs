//! The vocabulary of Bastide: the types every other crate speaks in.
//!
//! What is here: ids, names, the token format, permission levels, scopes, actions, resources, principals, the
//! audit event, the domain [`Error`], time and randomness as values. What is not: any input or output, any rule
//! about who may do what (that is `policy`), any JSON shape of the public API (that is `wire`).

pub mod action;
pub mod address_range;
pub mod alert;
pub mod audit_event;
pub mod audit_sink;
pub mod aws_role;
pub mod branch_restriction;
pub mod branching_model;
mod break_glass;
pub mod clock;
pub mod code_scanning;
pub mod commit_status;
pub mod credential;
pub mod cron;
pub mod deployment;
pub mod dynamic_pipeline;
pub mod environment;
pub mod error;
pub mod git_ref;
pub mod glob;
pub mod grant;
pub mod group;
pub mod guardrail;
pub mod id;
pub mod identity_provider;
pub mod name;
pub mod permission;
pub mod pipeline_run;
pub mod pipeline_schedule;
pub mod pipeline_variable;
pub mod principal;
pub mod project;
pub mod random;
pub mod report;
pub mod repository;
pub mod resource;
pub mod runner;
pub mod scope;
pub mod second_step;
pub mod secret;
pub mod session;
pub mod user;
pub mod workspace;

pub use action::{Act, Action, act};
pub use address_range::{AddressRange, BadAddressRange};
pub use alert::{Alert, AlertFilter, AlertPattern};
pub use audit_event::{AuditEvent, Outcome};
pub use audit_sink::{AuditSink, AuditSinkKind, AuditSinkState};
pub use aws_role::{
    AwsAccount, AwsGrant, AwsKeyId, AwsMode, AwsRegion, AwsRole, RefPattern, RoleArn, UserArn,
};
pub use branch_restriction::{BranchMatch, BranchRestriction, RestrictionKind};
pub use branching_model::{BranchType, BranchingModel, NamedBranch, PrefixedType};
pub use break_glass::BreakGlass;
pub use clock::{Clock, Timestamp};
pub use code_scanning::CodeScanning;
pub use commit_status::{BuildState, CommitStatus};
pub use credential::{Credential, Holder};
pub use cron::CronPattern;
pub use deployment::{Deployment, DeploymentResult, DeploymentState};
pub use dynamic_pipeline::{DynamicPipeline, DynamicPlace};
pub use environment::{Environment, EnvironmentType};
pub use error::{Error, FieldErrors, Result};
pub use git_ref::{ObjectId, RefName};
pub use glob::Glob;
pub use grant::Grant;
pub use group::Group;
pub use guardrail::{AllowedRange, EntryKind, GuardrailKind, GuardrailMode, Guardrails, OwnRule};
pub use id::{
    AlertId, AnnotationId, AuditSinkId, AwsRoleId, BreakGlassId, CacheId, CommitStatusId, CredentialId,
    DeploymentId, EnvironmentId, EventId, GroupId, JobId, KnownHostId, PipelineId, ProjectId, PushId,
    ReportId, RepositoryId, RequestId, RunnerId, ScheduleId, SecondStepId, SessionId, StepId, TestCaseId,
    UserId, VariableId, WorkspaceId,
};
pub use identity_provider::{GroupMapping, Identity, IdentityProvider};
pub use name::{DisplayName, Email, GroupSlug, ProjectKey, RepositorySlug, Username, WorkspaceSlug};
pub use permission::{Permission, ProjectPermission, RepositoryPermission, StaffRole, WorkspacePermission};
pub use pipeline_run::{PipelineError, PipelineRun, PipelineState, PipelineTrigger};
pub use pipeline_schedule::{
    PipelineSchedule, ScheduleExecution, ScheduleOutcome, ScheduleTarget, SelectorKind,
};
pub use pipeline_variable::{PipelineVariable, VariableName, VariablePlace};
pub use principal::{Principal, Subject};
pub use project::Project;
pub use random::Random;
pub use report::{Annotation, Report};
pub use repository::{ForkPolicy, Repository};
pub use resource::{Resource, ResourceKind};
pub use runner::Runner;
pub use scope::{Scope, ScopeSet, Vocabulary};
pub use second_step::{SecondStep, SecondStepKind};
pub use secret::{CredentialKind, IssuedSecret, Secret, SecretHash, SecretKind, Token};
pub use session::{Session, SignInMethod};
pub use user::{ManagedUser, User, UserState};
pub use workspace::{Member, Workspace};
