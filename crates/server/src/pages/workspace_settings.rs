//! Making a workspace, changing and deleting one.

use model::{Action, Result};
use service::{Named, WorkspaceChange};
use wire::Parameters;

use super::resource_form::{Shown, Typed, confirmed, read, text};
use super::settings::{self, Section};
use super::{Around, may, see_other};
use crate::http::{Cx, Response};

const NEW: &str = "/-/new-workspace";

fn new_page(cx: &Cx, typed: Typed) -> Result<Response> {
    let fields = vec![
        typed.line("name", "Name").hint("As people read it: Acme Ltd."),
        typed.line("slug", "Short name").hint("It stands in addresses: lower-case letters, digits, - and _."),
    ];
    let shown = Shown {
        frame: Around::of(cx).frame().titled("Create a workspace"),
        heading: "Create a workspace".to_owned(),
        lead:
            "A workspace holds projects, repositories and the people who work on them. You will be its owner."
                .to_owned(),
        fields,
        button: "Create workspace",
        action: NEW.to_owned(),
        deletion: None,
    };
    typed.page(cx, shown)
}

/// `GET /-/new-workspace`
///
/// # Errors
/// When the caller may not make one.
pub async fn new(cx: Cx) -> Result<Response> {
    cx.service()?.ask(&cx.caller, Action::WorkspaceCreate, Named::Instance).await?;
    new_page(&cx, Typed::default())
}

/// `POST /-/new-workspace`
///
/// # Errors
/// When the caller may not make one. What is wrong with the form is told in it.
pub async fn create(cx: Cx, form: Parameters) -> Result<Response> {
    let made = match (read(&form, "slug"), read(&form, "name")) {
        (Ok(slug), Ok(name)) => cx.service()?.create_workspace(&cx.caller, slug, name).await,
        (Err(error), _) | (_, Err(error)) => Err(error),
    };
    match made {
        Ok(workspace) => see_other(&pages::address::of(&[workspace.slug.as_str()])),
        Err(error) => new_page(&cx, Typed::default().refused(form, error)?),
    }
}

async fn shown(cx: &Cx, sent: Option<(Parameters, model::Error)>) -> Result<Response> {
    let workspace = cx.service()?.workspace(&cx.caller, cx.param("workspace")).await?;
    let slug = workspace.slug.to_string();
    let mut typed = Typed::there(vec![("name", workspace.name.to_string()), ("slug", slug.clone())]);
    if let Some((form, error)) = sent {
        typed = typed.refused(form, error)?;
    }
    let fields = vec![
        typed.line("name", "Name"),
        typed
            .line("slug", "Short name")
            .hint("It stands in addresses. The former one leads on to the new one."),
    ];
    let lost = "Its members, groups, access tokens and guardrails end with it. Delete its projects first: a workspace that \
        holds any stays. This cannot be undone.";
    let deletes = may(cx, Action::WorkspaceDelete, Named::Workspace(&slug)).await;
    let made = Shown {
        frame: settings::workspace(cx, &slug, "General", Section::General).await,
        heading: "General".to_owned(),
        lead: String::new(),
        fields,
        button: "Save workspace",
        action: settings::address(&slug, "general"),
        deletion: deletes.then(|| ("Delete workspace".to_owned(), lost.to_owned(), slug.clone())),
    };
    typed.page(cx, made)
}

/// `GET /{workspace}/workspace/settings/general`
///
/// # Errors
/// When the caller does not administer it.
pub async fn get(cx: Cx) -> Result<Response> {
    let slug = settings::slug(&cx).await?;
    cx.service()?.ask(&cx.caller, Action::WorkspaceUpdate, Named::Workspace(&slug)).await?;
    shown(&cx, None).await
}

/// `POST /{workspace}/workspace/settings/general`: changes or deletes it.
///
/// # Errors
/// When the caller may not. What is wrong with the form is told in it.
pub async fn set(cx: Cx, form: Parameters) -> Result<Response> {
    let (service, slug) = (cx.service()?, settings::slug(&cx).await?);
    let done = match text(&form, "do")?.as_str() {
        "delete" => match confirmed(&form, &slug) {
            Ok(()) => service.delete_workspace(&cx.caller, &slug).await.map(|()| "/".to_owned()),
            Err(error) => Err(error),
        },
        _ => match (read(&form, "slug"), read(&form, "name")) {
            (Ok(new), Ok(name)) => {
                let change = WorkspaceChange { slug: Some(new), name: Some(name), only_if: None };
                let after = service.update_workspace(&cx.caller, &slug, change).await;
                after.map(|after| settings::address(after.slug.as_str(), "general"))
            }
            (Err(error), _) | (_, Err(error)) => Err(error),
        },
    };
    match done {
        Ok(address) => see_other(&address),
        Err(error) => shown(&cx, Some((form, error))).await,
    }
}
