//! The shapes of `/api`: what Bitbucket's API has no words for. Same pages, same errors; but bodies with fields that
//! are not known are refused, because a mistyped field of ours should not pass in silence.

pub mod access;
pub mod alert;
pub mod audit_event;
pub mod audit_refusal;
pub mod audit_sink;
pub mod aws_key;
pub mod aws_role;
pub mod break_glass;
pub mod code_scanning;
pub mod credential;
pub mod dynamic_pipeline;
pub mod guardrail;
pub mod identity;
pub mod identity_provider;
pub mod identity_token;
pub mod member;
pub mod member_group;
pub mod repository;
pub mod reset_link;
pub mod sarif;
pub mod step_artifact;
pub mod user;
pub mod workspace;
pub mod workspace_token;

pub use access::{Explanation, Reason, WhoCan};
pub use alert::Alert;
pub use audit_event::AuditEvent;
pub use audit_refusal::{Refusal, Refusals};
pub use audit_sink::{AuditSink, AuditSinkCreate, AuditSinkCreated, AuditSinks};
pub use aws_key::{AwsKey, AwsKeySet};
pub use aws_role::{AwsGrant, AwsRole, AwsRoleSet, AwsRoleSetup, AwsRoles};
pub use break_glass::{BreakGlass, BreakGlassCreate};
pub use code_scanning::CodeScanning;
pub use credential::{Credential, CredentialCreate, CredentialCreated};
pub use dynamic_pipeline::{DynamicPipelines, DynamicPipelinesSet, PipelineDefinitions};
pub use guardrail::{Effect, EffectEntry, EffectWorkspace, Guardrails, GuardrailsUpdate, RuleFinding};
pub use identity::Identity;
pub use identity_provider::{GroupMapping, IdentityProvider, IdentityProviderSet, WorkspaceIdentityProvider};
pub use identity_token::{
    IdentityTokenKey, IdentityTokenKeyCreate, IdentityTokens, IdentityTokensSet, RepositoryIdentityTokens,
    RepositoryIdentityTokensSet, TrustPolicies,
};
pub use member::{Member, MemberSet};
pub use member_group::MemberGroup;
pub use repository::Transfer;
pub use reset_link::ResetLink;
pub use sarif::{SarifReport, SarifReports};
pub use step_artifact::StepArtifact;
pub use user::{User, UserCreate, UserUpdate};
pub use workspace::{Workspace, WorkspaceCreate, WorkspaceUpdate};
pub use workspace_token::{
    TokenAdvice, TokenNotRevoked, TokenRotate, TokensRevoke, TokensRevoked, WorkspaceToken,
};
