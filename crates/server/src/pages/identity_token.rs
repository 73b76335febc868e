//! Identity tokens: a repository's, with what makes others trust them, and a workspace's keys.

use model::{Error, Result, Timestamp};
use pages::form::{Field, Kind, YES};
use pages::identity_token::{IdentityTokensPage, KeyRow, OpenIdConnectPage, Trust};
use pages::measure::Moment;
use service::{
    IdentityTokenKeyView, KeyRotation, Located, NewIdentityTokens, NewRepositoryIdentityTokens,
    RepositoryIdentityTokens,
};
use wire::Parameters;

use super::error::sentence;
use super::resource_form::{Typed, text, ticked};
use super::settings::{self, RepositorySection, Section};
use super::{form, now, page, repository_path, see_other};
use crate::http::{Cx, Response};

const PART: &str = "openid-connect";
const WORKSPACE_PART: &str = "identity-tokens";

const ALGORITHMS: [(&str, &str); 2] =
    [("RS256", "RS256: RSA, which everybody takes"), ("ES256", "ES256: elliptic curves, shorter tokens")];
/// What a repository says of session tags; empty where it leaves that to the workspace.
const TAGS: [(&str, &str); 3] =
    [("", "As the workspace has it"), (YES, "With session tags"), ("no", "Without")];
const AFTER: [(&str, &str); 4] = [
    ("86400", "A day from now"),
    ("604800", "A week from now"),
    ("3600", "An hour from now"),
    ("0", "At once"),
];

fn template_field(typed: &Typed, before: Option<&str>, without: &str) -> Field {
    typed
        .line("subject_template", "Subject")
        .value(typed.value_or("subject_template", before.unwrap_or_default()))
        .hint(format!(
            "What the claim sub is made of, such as {{repository_uuid}}:{{environment_uuid}}. Empty: {without}."
        ))
        .optional()
}

fn template(form: &Parameters) -> Result<Option<String>> {
    Ok(Some(text(form, "subject_template")?).filter(|text| !text.is_empty()))
}

fn keys_address(issuer: &str) -> String {
    format!("{issuer}/keys.json")
}

fn trust(tokens: &RepositoryIdentityTokens) -> Vec<Trust> {
    let told = &tokens.trust;
    let one = |id, whom, what, text: &String, copy| Trust { id, whom, what, text: text.clone(), copy };
    vec![
        one(
            "aws",
            "Amazon Web Services",
            "The trust policy of a role. The issuer is first added to IAM as an identity provider, with its audience.",
            &told.aws,
            "Copy policy",
        ),
        one(
            "aws-tags",
            "Amazon Web Services, protected main branch alone",
            "The same role, taken only by steps of the main branch while it is protected. It needs session tags.",
            &told.aws_session_tags,
            "Copy policy",
        ),
        one(
            "gcp",
            "Google Cloud",
            "Commands that make a workload identity pool with a provider, and let it act as a service account.",
            &told.gcp,
            "Copy commands",
        ),
        one(
            "azure",
            "Microsoft Azure",
            "A federated credential of an application in Microsoft Entra ID.",
            &told.azure,
            "Copy credential",
        ),
        one("vault", "HashiCorp Vault", "A role of the JWT method.", &told.vault, "Copy role"),
    ]
}

async fn shown_of_repository(cx: &Cx, typed: Typed) -> Result<Response> {
    let path = repository_path(cx)?;
    let service = cx.service()?;
    let tokens = service.repository_identity_tokens(&cx.caller, &path).await?;
    let located = service.repository(&cx.caller, &path).await?;
    let action = settings::repository_address(&located, PART);
    let inherited = match (&tokens.own_subject_template, &tokens.subject_template) {
        (None, Some(template)) => format!("as the workspace has it, which is {template}"),
        _ => "as the workspace has it".to_owned(),
    };
    let own_tags = match tokens.own_session_tags {
        None => "",
        Some(true) => YES,
        Some(false) => "no",
    };
    let fields = vec![
        template_field(&typed, tokens.own_subject_template.as_deref(), &inherited),
        typed
            .line("session_tags", "Session tags for Amazon")
            .kind(Kind::choice(&TAGS))
            .value(typed.value_or("session_tags", own_tags))
            .hint("With them policies can ask for a protected branch. Every role that takes the tokens must allow sts:TagSession first."),
    ];
    let shown = OpenIdConnectPage {
        frame: settings::repository(cx, &located, "OpenID Connect", RepositorySection::OpenIdConnect).await,
        on: full_name(&located),
        error: typed.elsewhere(&fields, &[]),
        keys: keys_address(&tokens.issuer),
        sample: serde_json::to_string_pretty(&tokens.sample).map_err(Error::internal)?,
        warnings: tokens.trust.warnings.iter().map(|text| sentence(text)).collect(),
        trust: trust(&tokens),
        issuer: tokens.issuer,
        audience: tokens.default_audience,
        fields,
        form_token: form::token(cx, &action),
        action,
    };
    page(typed.status(), &shown)
}

fn full_name(located: &Located) -> String {
    format!("{}/{}", located.workspace.slug, located.repository.slug)
}

/// `GET …/settings/openid-connect`
///
/// # Errors
/// When the caller does not administer the repository.
pub async fn of_repository(cx: Cx) -> Result<Response> {
    shown_of_repository(&cx, Typed::default()).await
}

/// `POST …/settings/openid-connect`
///
/// # Errors
/// When the caller may not. What is wrong with the form is told in it.
pub async fn set_of_repository(cx: Cx, form: Parameters) -> Result<Response> {
    let path = repository_path(&cx)?;
    let session_tags = match text(&form, "session_tags")?.as_str() {
        "" => None,
        sent => Some(sent == YES),
    };
    let new = NewRepositoryIdentityTokens { subject_template: template(&form)?, session_tags };
    let service = cx.service()?;
    match service.set_repository_identity_tokens(&cx.caller, &path, new).await {
        Ok(_) => {
            let located = service.repository(&cx.caller, &path).await?;
            see_other(&settings::repository_address(&located, PART))
        }
        Err(error) => shown_of_repository(&cx, Typed::default().refused(form, error)?).await,
    }
}

fn key_row(cx: &Cx, list: &str, view: &IdentityTokenKeyView, now: Timestamp) -> KeyRow {
    let next = |what, on| Some((what, Moment::of(on, now)));
    let gone = |on: Option<Timestamp>| on.and_then(|on| next("leaves the published keys", on));
    let (state, look, means, next) = match view.state {
        "waiting" => ("Waiting", "warning", "It is published.", next("signs", view.activates_on)),
        "signing" => ("Signing", "open", "It signs new tokens.", None),
        "retiring" => ("Retiring", "", "Its last tokens come to their end.", gone(view.retires_on)),
        "revoked" => ("Revoked", "danger", "It is published no more.", None),
        _ => ("Retired", "", "It is published no more.", None),
    };
    let revoke = matches!(view.state, "waiting" | "signing" | "retiring").then(|| {
        let href = format!("{list}/keys/{}", view.kid);
        let token = form::token(cx, &href);
        (href, token)
    });
    KeyRow {
        kid: view.kid.clone(),
        algorithm: view.algorithm.clone(),
        state,
        look,
        means,
        created: Moment::of(view.created_on, now),
        next,
        revoke,
    }
}

async fn shown(cx: &Cx, typed: Typed) -> Result<Response> {
    let slug = settings::slug(cx).await?;
    let tokens = cx.service()?.identity_tokens(&cx.caller, &slug).await?;
    let action = settings::address(&slug, WORKSPACE_PART);
    let (rotate, now) = (format!("{action}/keys"), now(cx));
    let fields = vec![
        typed
            .line("algorithm", "New keys sign with")
            .kind(Kind::choice(&ALGORITHMS))
            .value(typed.value_or("algorithm", &tokens.algorithm))
            .hint("From the next key on: rotate to have it sooner."),
        template_field(&typed, tokens.subject_template.as_deref(), "the repository's and the step's id"),
        typed
            .check("session_tags", "Session tags for Amazon", tokens.session_tags)
            .hint("With them policies can ask for a protected branch. Every role that takes the tokens must allow sts:TagSession first."),
    ];
    let after = Field::line("activates_after", "The new key signs").kind(Kind::choice(&AFTER));
    let mut keys: Vec<KeyRow> = tokens.keys.iter().map(|key| key_row(cx, &action, key, now)).collect();
    keys.reverse();
    let shown = IdentityTokensPage {
        frame: settings::workspace(cx, &slug, "Identity tokens", Section::IdentityTokens).await,
        workspace: slug,
        error: typed.elsewhere(&fields, &[]),
        published: keys_address(&tokens.issuer),
        issuer: tokens.issuer,
        audience: tokens.default_audience,
        warnings: tokens.warnings.iter().map(|text| sentence(text)).collect(),
        fields,
        form_token: form::token(cx, &action),
        action,
        keys,
        after,
        rotate_token: form::token(cx, &rotate),
        rotate,
    };
    page(typed.status(), &shown)
}

/// `GET /{workspace}/workspace/settings/identity-tokens`
///
/// # Errors
/// When the caller does not administer the workspace.
pub async fn get(cx: Cx) -> Result<Response> {
    shown(&cx, Typed::default()).await
}

/// `POST /{workspace}/workspace/settings/identity-tokens`
///
/// # Errors
/// When the caller may not. What is wrong with the form is told in it.
pub async fn set(cx: Cx, form: Parameters) -> Result<Response> {
    let new = NewIdentityTokens {
        algorithm: text(&form, "algorithm")?,
        subject_template: template(&form)?,
        session_tags: ticked(&form, "session_tags")?,
    };
    match cx.service()?.set_identity_tokens(&cx.caller, cx.param("workspace"), new).await {
        Ok(_) => back(&cx).await,
        Err(error) => shown(&cx, Typed::default().refused(form, error)?).await,
    }
}

async fn back(cx: &Cx) -> Result<Response> {
    see_other(&settings::address(&settings::slug(cx).await?, WORKSPACE_PART))
}

/// `POST …/identity-tokens/keys`: rotates.
///
/// # Errors
/// When the caller may not, or a key waits already.
pub async fn rotate(cx: Cx, form: Parameters) -> Result<Response> {
    let seconds = text(&form, "activates_after")?;
    let rotation = KeyRotation { activates_after: seconds.parse().ok() };
    cx.service()?.rotate_identity_token_key(&cx.caller, cx.param("workspace"), rotation).await?;
    back(&cx).await
}

/// `POST …/identity-tokens/keys/{kid}`: revokes.
///
/// # Errors
/// When the caller may not, or no key of this id is published.
pub async fn revoke(cx: Cx, _: Parameters) -> Result<Response> {
    let (workspace, kid) = (cx.param("workspace"), cx.param("kid"));
    cx.service()?.revoke_identity_token_key(&cx.caller, workspace, kid).await?;
    back(&cx).await
}
