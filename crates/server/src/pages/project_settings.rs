//! Making a project, changing and deleting one.

use model::{Action, Error, Result};
use pages::form::Kind;
use service::{Changed, Named, NewProject, ProjectChange};
use wire::Parameters;

use super::resource_form::{Shown, Typed, confirmed, is_private, privacy, read, text};
use super::settings::{self, ProjectSection};
use super::{WorkspaceTab, may, project, see_other, workspace_frame};
use crate::http::{Cx, Response};

fn fields(typed: &Typed, there: bool) -> Vec<pages::form::Field> {
    let key = "It stands in addresses: capital letters, digits and _, beginning with a letter.";
    let former = "The former one leads on to the new one.";
    vec![
        typed.line("name", "Name"),
        typed.line("key", "Key").hint(if there { format!("{key} {former}") } else { key.to_owned() }),
        typed.line("description", "What it is for").kind(Kind::Prose).optional(),
        typed.privacy("project").hint("In a private project every repository is private."),
    ]
}

async fn new_page(cx: &Cx, typed: Typed) -> Result<Response> {
    let slug = settings::slug(cx).await?;
    let shown = Shown {
        frame: workspace_frame(cx, &slug, "Create a project", WorkspaceTab::Overview).await,
        heading: "Create a project".to_owned(),
        lead: format!(
            "A project holds repositories of the workspace {slug}, and what is granted on it holds in all of them."
        ),
        fields: fields(&typed, false),
        button: "Create project",
        action: pages::address::of(&[&slug, "workspace", "new-project"]),
        deletion: None,
    };
    typed.page(cx, shown)
}

/// `GET /{workspace}/workspace/new-project`
///
/// # Errors
/// When the caller may not make one there.
pub async fn new(cx: Cx) -> Result<Response> {
    cx.service()?.ask(&cx.caller, Action::ProjectCreate, Named::Workspace(cx.param("workspace"))).await?;
    new_page(&cx, Typed::default()).await
}

/// `POST /{workspace}/workspace/new-project`
///
/// # Errors
/// When the caller may not make one there. What is wrong with the form is told in it.
pub async fn create(cx: Cx, form: Parameters) -> Result<Response> {
    let made = match (read(&form, "key"), read(&form, "name")) {
        (Ok(key), Ok(name)) => {
            let new = NewProject {
                key,
                name: Some(name),
                description: text(&form, "description")?,
                private: is_private(&form)?,
            };
            cx.service()?.create_project(&cx.caller, cx.param("workspace"), new).await
        }
        (Err(error), _) | (_, Err(error)) => Err(error),
    };
    match made {
        Ok((workspace, made)) => see_other(&project::address(workspace.slug.as_str(), made.key.as_str())),
        Err(error) => new_page(&cx, Typed::default().refused(form, error)?).await,
    }
}

async fn shown(cx: &Cx, sent: Option<(Parameters, Error)>) -> Result<Response> {
    let (workspace, found) =
        cx.service()?.project(&cx.caller, cx.param("workspace"), cx.param("project_key")).await?;
    let (slug, key) = (workspace.slug.to_string(), found.key.to_string());
    let mut typed = Typed::there(vec![
        ("name", found.name.to_string()),
        ("key", key.clone()),
        ("description", found.description.clone()),
        ("privacy", privacy(found.private)),
    ]);
    if let Some((form, error)) = sent {
        typed = typed.refused(form, error)?;
    }
    let lost = "What is granted on it and its access tokens end with it. Delete or move its repositories first: a project \
        that holds any stays. This cannot be undone.";
    let deletes = may(cx, Action::ProjectDelete, Named::Project(&slug, &key)).await;
    let made = Shown {
        frame: settings::project(cx, &slug, &key, "General", ProjectSection::General).await,
        heading: "General".to_owned(),
        lead: String::new(),
        fields: fields(&typed, true),
        button: "Save project",
        action: format!("{}/settings/general", project::address(&slug, &key)),
        deletion: deletes.then(|| ("Delete project".to_owned(), lost.to_owned(), key.clone())),
    };
    typed.page(cx, made)
}

/// `GET /{workspace}/workspace/projects/{project_key}/settings/general`
///
/// # Errors
/// When the caller does not administer it.
pub async fn get(cx: Cx) -> Result<Response> {
    let named = Named::Project(cx.param("workspace"), cx.param("project_key"));
    cx.service()?.ask(&cx.caller, Action::ProjectUpdate, named).await?;
    shown(&cx, None).await
}

/// `POST …/settings/general`: changes or deletes it.
///
/// # Errors
/// When the caller may not. What is wrong with the form is told in it.
pub async fn set(cx: Cx, form: Parameters) -> Result<Response> {
    let service = cx.service()?;
    let (workspace, found) =
        service.project(&cx.caller, cx.param("workspace"), cx.param("project_key")).await?;
    let (slug, key) = (workspace.slug.to_string(), found.key.to_string());
    let done = match text(&form, "do")?.as_str() {
        "delete" => match confirmed(&form, &key) {
            Ok(()) => {
                let deleted = service.delete_project(&cx.caller, &slug, &key).await;
                deleted.map(|()| pages::address::of(&[&slug]))
            }
            Err(error) => Err(error),
        },
        _ => match (read(&form, "key"), read(&form, "name")) {
            (Ok(new), Ok(name)) => {
                let change = ProjectChange {
                    key: Some(new),
                    name: Some(name),
                    description: Some(text(&form, "description")?),
                    private: Some(is_private(&form)?),
                };
                match service.update_project(&cx.caller, &slug, &key, change).await {
                    Ok(Changed::Done((_, after))) => {
                        Ok(format!("{}/settings/general", project::address(&slug, after.key.as_str())))
                    }
                    Ok(Changed::Absent(error)) | Err(error) => Err(error),
                }
            }
            (Err(error), _) | (_, Err(error)) => Err(error),
        },
    };
    match done {
        Ok(address) => see_other(&address),
        Err(error) => shown(&cx, Some((form, error))).await,
    }
}
