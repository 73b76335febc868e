//! The description of `/api` in OpenAPI 3.1, made from the route table and the schemas of the wire types. The
//! published interface is not described here: its contract is its own.

use std::sync::OnceLock;

use axum::http::StatusCode;
use model::Result;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};
use wire::{Page, api};

use crate::http::{Cx, Response, answer};
use crate::route::{Credentials, ROUTES, Route, Visibility};

/// The version of OpenAPI that the description is written in.
const OPENAPI: &str = "3.1.1";

/// Where the schemas stand in it.
const SCHEMAS: &str = "/components/schemas";

type Shape = fn(&mut SchemaGenerator) -> Schema;

/// What goes in and out of an operation.
#[derive(Clone, Copy)]
struct Shapes {
    request: Option<Shape>,
    status: &'static str,
    answer: Option<Shape>,
}

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

const NOTHING: Shapes = Shapes { request: None, status: "204", answer: None };

/// An answer without a body being sent.
const fn tells<T: JsonSchema>() -> Shapes {
    Shapes { request: None, status: "200", answer: Some(schema::<T>) }
}

/// A body changes something, and the answer is what it became.
const fn changes<B: JsonSchema, T: JsonSchema>() -> Shapes {
    Shapes { request: Some(schema::<B>), ..tells::<T>() }
}

/// A body makes something new.
const fn makes<B: JsonSchema, T: JsonSchema>() -> Shapes {
    Shapes { status: "201", ..changes::<B, T>() }
}

/// The shapes of each operation's bodies. None for an operation that is not known here, which a test finds.
fn shapes(operation: &str) -> Option<Shapes> {
    Some(match operation {
        "api_list_users" => tells::<Page<api::User>>(),
        "api_create_user" => makes::<api::UserCreate, api::User>(),
        "api_get_user" | "api_approve_user" => tells::<api::User>(),
        "api_update_user" => changes::<api::UserUpdate, api::User>(),
        "api_list_unapproved_users" => tells::<Page<api::User>>(),
        "api_make_reset_link" => Shapes { status: "201", ..tells::<api::ResetLink>() },
        "api_list_app_passwords"
        | "api_list_api_tokens"
        | "api_list_workspace_access_tokens"
        | "api_list_project_access_tokens"
        | "api_list_repository_access_tokens" => tells::<Page<api::Credential>>(),
        "api_create_app_password"
        | "api_create_api_token"
        | "api_create_workspace_access_token"
        | "api_create_project_access_token"
        | "api_create_repository_access_token" => makes::<api::CredentialCreate, api::CredentialCreated>(),
        "api_list_identities" => tells::<Page<api::Identity>>(),
        "api_list_workspaces" => tells::<Page<api::Workspace>>(),
        "api_create_workspace" => makes::<api::WorkspaceCreate, api::Workspace>(),
        "api_get_workspace" => tells::<api::Workspace>(),
        "api_update_workspace" => changes::<api::WorkspaceUpdate, api::Workspace>(),
        "api_get_workspace_guardrails" | "api_get_guardrails" => tells::<api::Guardrails>(),
        "api_set_workspace_guardrails" | "api_set_guardrails" => {
            changes::<api::GuardrailsUpdate, api::Guardrails>()
        }
        "api_get_workspace_guardrails_effect" | "api_get_guardrails_effect" => {
            changes::<api::GuardrailsUpdate, api::Effect>()
        }
        "api_get_identity_provider" => tells::<api::WorkspaceIdentityProvider>(),
        "api_set_identity_provider" => changes::<api::IdentityProviderSet, api::WorkspaceIdentityProvider>(),
        "api_list_break_glass" | "api_list_workspace_break_glass" => tells::<Page<api::BreakGlass>>(),
        "api_request_break_glass" => makes::<api::BreakGlassCreate, api::BreakGlass>(),
        "api_approve_break_glass" => tells::<api::BreakGlass>(),
        "api_list_members" => tells::<Page<api::Member>>(),
        "api_set_member" => changes::<api::MemberSet, api::Member>(),
        "api_list_member_groups" => tells::<Page<api::MemberGroup>>(),
        "api_set_member_group" => changes::<api::MemberSet, api::MemberGroup>(),
        "api_rotate_workspace_access_token"
        | "api_rotate_project_access_token"
        | "api_rotate_repository_access_token" => makes::<api::TokenRotate, api::CredentialCreated>(),
        "api_list_workspace_tokens" => tells::<Page<api::WorkspaceToken>>(),
        "api_revoke_workspace_tokens" => changes::<api::TokensRevoke, api::TokensRevoked>(),
        "api_restore_repository" => tells::<wire::repository::Repository>(),
        "api_transfer_repository" => changes::<api::Transfer, wire::repository::Repository>(),
        "api_explain_access" => tells::<api::Explanation>(),
        "api_who_can" => tells::<Page<api::WhoCan>>(),
        "api_list_audit_events" | "api_list_workspace_audit_events" => tells::<Page<api::AuditEvent>>(),
        "api_list_alerts" | "api_list_workspace_alerts" => tells::<Page<api::Alert>>(),
        "api_acknowledge_alert" | "api_acknowledge_workspace_alert" => tells::<api::Alert>(),
        "api_list_audit_sinks" | "api_list_workspace_audit_sinks" => tells::<api::AuditSinks>(),
        "api_create_audit_sink" | "api_create_workspace_audit_sink" => {
            makes::<api::AuditSinkCreate, api::AuditSinkCreated>()
        }
        "api_get_audit_refusals" => tells::<api::Refusals>(),
        "api_get_audit_checkpoint"
        | "api_stream_audit_events"
        | "api_stream_workspace_audit_events"
        | "api_export_audit_events"
        | "api_export_workspace_audit_events" => Shapes { status: "200", ..NOTHING },
        "api_get_openapi" => tells::<Value>(),
        "api_delete_user"
        | "api_withdraw_user_approval"
        | "api_reset_second_steps"
        | "api_delete_workspace"
        | "api_remove_member"
        | "api_end_break_glass"
        | "api_remove_member_group"
        | "api_remove_identity_provider"
        | "api_revoke_identity_token_key"
        | "api_remove_audit_sink"
        | "api_remove_workspace_audit_sink"
        | "api_revoke_app_password"
        | "api_revoke_api_token"
        | "api_disconnect_identity"
        | "api_revoke_workspace_access_token"
        | "api_revoke_project_access_token"
        | "api_remove_aws_role"
        | "api_remove_aws_key"
        | "api_revoke_repository_access_token" => NOTHING,
        _ => return pipeline_shapes(operation),
    })
}

/// Those of pipelines, and of what they are trusted with.
fn pipeline_shapes(operation: &str) -> Option<Shapes> {
    Some(match operation {
        "api_get_code_scanning" => tells::<api::CodeScanning>(),
        "api_set_code_scanning" => changes::<api::CodeScanning, api::CodeScanning>(),
        // What goes in is described elsewhere: SARIF 2.1.0.
        "api_upload_sarif" => makes::<serde_json::Value, api::SarifReports>(),
        "api_list_aws_roles" => tells::<api::AwsRoles>(),
        "api_create_aws_role" => makes::<api::AwsRoleSet, api::AwsRole>(),
        "api_set_aws_role" | "api_plan_aws_role" => changes::<api::AwsRoleSet, api::AwsRole>(),
        "api_get_aws_key" | "api_rotate_aws_key" => tells::<api::AwsKey>(),
        "api_set_aws_key" => changes::<api::AwsKeySet, api::AwsKey>(),
        "api_get_identity_tokens" => tells::<api::IdentityTokens>(),
        "api_set_identity_tokens" => changes::<api::IdentityTokensSet, api::IdentityTokens>(),
        "api_rotate_identity_token_key" => makes::<api::IdentityTokenKeyCreate, api::IdentityTokenKey>(),
        "api_get_repository_identity_tokens" => tells::<api::RepositoryIdentityTokens>(),
        "api_set_repository_identity_tokens" => {
            changes::<api::RepositoryIdentityTokensSet, api::RepositoryIdentityTokens>()
        }
        "api_get_workspace_dynamic_pipelines" | "api_get_repository_dynamic_pipelines" => {
            tells::<api::DynamicPipelines>()
        }
        "api_set_workspace_dynamic_pipelines" | "api_set_repository_dynamic_pipelines" => {
            changes::<api::DynamicPipelinesSet, api::DynamicPipelines>()
        }
        "api_list_pipeline_definitions" => tells::<api::PipelineDefinitions>(),
        "api_rerun_pipeline" => tells::<wire::pipeline_run::Pipeline>(),
        "api_start_pipeline_step" => tells::<wire::pipeline_run::PipelineStep>(),
        "api_list_step_artifacts" => tells::<Page<api::StepArtifact>>(),
        "api_get_pipeline_cache_content" | "api_get_step_artifact" => Shapes { status: "200", ..NOTHING },
        _ => return None,
    })
}

/// The rows that are described: those of `/api` that somebody else than the operator can call.
fn described() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(|route| route.is_api() && route.credentials != Credentials::NONE)
}

/// A generator for each way: what may be left out of a request is not what may be missing from an answer.
struct Generators {
    requests: SchemaGenerator,
    answers: SchemaGenerator,
}

impl Generators {
    fn new() -> Self {
        let settings = || SchemaSettings::draft2020_12().with(|s| s.definitions_path = SCHEMAS.into());
        Self {
            requests: settings().for_deserialize().into_generator(),
            answers: settings().for_serialize().into_generator(),
        }
    }

    fn definitions(mut self) -> Map<String, Value> {
        let mut definitions = self.answers.take_definitions(true);
        // Of a document that is read and replaced, what may be left out when it is sent stands in no `required`.
        definitions.extend(self.requests.take_definitions(true));
        definitions
    }
}

/// Answers `GET /api/openapi.json`. The description does not change while the server runs.
///
/// # Errors
/// When it cannot be written: a failure of ours.
pub async fn serve(cx: Cx) -> Result<Response> {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    let document = DOCUMENT.get_or_init(|| document(&cx.app.settings.base_url));
    answer::json(StatusCode::OK, document)
}

/// The description of an installation that is known by `base_url`.
#[must_use]
pub fn document(base_url: &str) -> Value {
    let mut generators = Generators::new();
    let failure = generators.answers.subschema_for::<wire::Envelope>();
    let mut paths = Map::new();
    for route in described() {
        let methods = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(methods) = methods.as_object_mut() {
            let shapes = shapes(route.operation).unwrap_or(NOTHING);
            let operation = operation(route, shapes, &failure, &mut generators);
            methods.insert(route.method.as_str().to_lowercase(), operation);
        }
    }
    json!({
        "openapi": OPENAPI,
        "info": {
            "title": "Bastide",
            "description": "What Bastide adds to the interface it shares with Bitbucket Cloud.",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "servers": [{ "url": base_url }],
        "paths": paths,
        "components": {
            "schemas": generators.definitions(),
            "securitySchemes": {
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "A user's e-mail address and an API token, or the account's password.",
                },
            },
        },
    })
}

fn operation(route: &Route, shapes: Shapes, failure: &Schema, generators: &mut Generators) -> Value {
    let mut operation = Map::new();
    operation.insert("operationId".to_owned(), json!(route.operation.trim_start_matches("api_")));
    operation.insert("tags".to_owned(), json!([route.tag]));
    let parameters: Vec<Value> = parameters(route.path).map(parameter).collect();
    if !parameters.is_empty() {
        operation.insert("parameters".to_owned(), json!(parameters));
    }
    if let Some(shape) = shapes.request {
        let content = json!({ "application/json": { "schema": shape(&mut generators.requests) } });
        operation.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
    }
    let mut done = json!({ "description": meaning(shapes.status) });
    if let (Some(shape), Some(done)) = (shapes.answer, done.as_object_mut()) {
        done.insert(
            "content".to_owned(),
            json!({ "application/json": { "schema": shape(&mut generators.answers) } }),
        );
    }
    let failed = json!({
        "description": "Refused or failed; `error.data.code` says why.",
        "content": { "application/json": { "schema": failure } },
    });
    let responses = Map::from_iter([(shapes.status.to_owned(), done), ("default".to_owned(), failed)]);
    operation.insert("responses".to_owned(), Value::Object(responses));
    // OpenAPI has no scopes for credentials sent by Basic, so they stand beside.
    let scopes: Vec<&str> = route.flat.split_ascii_whitespace().collect();
    let security = if route.visibility == Visibility::Public { json!([]) } else { json!([{ "basic": [] }]) };
    operation.insert("security".to_owned(), security);
    operation.insert("x-bastide-scopes".to_owned(), json!(scopes));
    operation.insert("x-bastide-action".to_owned(), json!(route.action.as_str()));
    Value::Object(operation)
}

/// The names in braces.
fn parameters(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

fn parameter(name: &str) -> Value {
    json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
}

fn meaning(status: &str) -> &'static str {
    match status {
        "201" => "What was made.",
        "204" => "It is gone.",
        _ => "What was asked for, or what it became.",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::route::Method;

    #[test]
    fn every_row_of_api_is_described_and_nothing_else() {
        let document = document("https://git.example.org");
        let described: BTreeSet<(String, String)> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().unwrap().keys();
                methods.map(|method| (method.to_uppercase(), path.clone())).collect::<Vec<_>>()
            })
            .collect();
        let rows: BTreeSet<_> = super::described()
            .map(|route| (route.method.as_str().to_owned(), route.path.to_owned()))
            .collect();
        assert_eq!(described, rows);
        assert!(rows.len() > 30);
    }

    /// Would catch a new row whose bodies nobody described.
    #[test]
    fn the_bodies_of_every_row_are_known() {
        for route in described() {
            let shapes = shapes(route.operation).unwrap_or_else(|| panic!("{}", route.operation));
            let sends = matches!(route.method, Method::Post | Method::Put);
            let bare = [
                "api_restore_repository",
                "api_approve_user",
                "api_make_reset_link",
                "api_approve_break_glass",
                "api_acknowledge_alert",
                "api_acknowledge_workspace_alert",
                "api_rerun_pipeline",
                "api_start_pipeline_step",
                "api_rotate_aws_key",
            ];
            let bare = bare.contains(&route.operation);
            assert_eq!(shapes.request.is_some(), sends && !bare, "{}", route.operation);
            assert_eq!(shapes.status == "204", route.method == Method::Delete, "{}", route.operation);
        }
    }

    /// Would catch two shapes of one name, of which the document would keep one.
    #[test]
    fn a_name_stands_for_one_schema() {
        let mut generators = Generators::new();
        for shapes in described().filter_map(|route| shapes(route.operation)) {
            let _ = shapes.request.map(|shape| shape(&mut generators.requests));
            let _ = shapes.answer.map(|shape| shape(&mut generators.answers));
        }
        let (requests, answers) =
            (generators.requests.take_definitions(true), generators.answers.take_definitions(true));
        let plain = |schema: &Value| {
            let mut schema = schema.clone();
            let _ = schema.as_object_mut().map(|schema| schema.remove("required"));
            schema
        };
        for (name, schema) in &requests {
            assert!(answers.get(name).is_none_or(|other| plain(other) == plain(schema)), "{name}");
        }
        assert!(requests.len() > 5 && answers.len() > 10);
    }

    /// Would catch a shape that is referred to and not there.
    #[test]
    fn every_reference_leads_somewhere() {
        let document = document("https://git.example.org");
        let text = document.to_string();
        let mut references = 0;
        for part in text.split("\"$ref\":\"#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
            references += 1;
        }
        assert!(references > 30);
    }
}
