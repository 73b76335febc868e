//! Who may do what with a project or a repository, and why: the grants on it, and everybody who gets in.

use axum::http::StatusCode;
use model::{Error, Permission, ResourceKind, Result};
use pages::form::{Field, Kind};
use pages::frame::Frame;
use pages::permission::{GrantRow, PermissionsPage, PersonRow};
use service::{GrantHolder, GrantPlace, HeldGrant, HolderName, PathedPermission, PermissionPath, Window};
use wire::Parameters;

use super::error::sentence;
use super::settings::{self, ProjectSection, RepositorySection};
use super::{ROWS, form, numbered, page, project, repository_path, see_other, turned};
use crate::http::{Cx, Response};
use crate::route::Anchor;

/// The most grants to users, and to groups, that are shown as forms.
const MOST: Window = Window { limit: 200, offset: 0 };

const ON_REPOSITORY: [(&str, &str); 3] = [
    ("read", "Read: browse and clone"),
    ("write", "Write: push as well"),
    ("admin", "Admin: settings, permissions, tokens"),
];
const ON_PROJECT: [(&str, &str); 4] = [
    ("read", "Read every repository"),
    ("write", "Push to every repository"),
    ("create-repo", "Create repositories as well"),
    ("admin", "Administer the project and all in it"),
];

/// What the page is about.
struct Place {
    on: GrantPlace,
    words: String,
    address: String,
    frame: Frame,
    levels: Vec<(String, String)>,
}

impl Place {
    async fn of(cx: &Cx) -> Result<Self> {
        let service = cx.service()?;
        let words = |levels: &[(&str, &str)]| {
            levels.iter().map(|(word, text)| ((*word).to_owned(), (*text).to_owned())).collect()
        };
        if cx.route.on == Anchor::Repository {
            let path = repository_path(cx)?;
            let located = service.repository(&cx.caller, &path).await?;
            let (workspace, slug) = (located.workspace.slug.as_str(), located.repository.slug.as_str());
            return Ok(Self {
                words: format!("the repository {workspace}/{slug}"),
                address: pages::address::of(&[workspace, slug, "settings", "permissions"]),
                frame: settings::repository(cx, &located, "Permissions", RepositorySection::Permissions)
                    .await,
                levels: words(&ON_REPOSITORY),
                on: GrantPlace::Repository(super::by_id(&located)),
            });
        }
        let (workspace, found) =
            service.project(&cx.caller, cx.param("workspace"), cx.param("project_key")).await?;
        let (slug, key) = (workspace.slug.as_str(), found.key.as_str());
        Ok(Self {
            words: format!("the project {slug}/{key}"),
            address: format!("{}/settings/permissions", project::address(slug, key)),
            frame: settings::project(cx, slug, key, "Permissions", ProjectSection::Permissions).await,
            levels: words(&ON_PROJECT),
            on: GrantPlace::Project(slug.to_owned(), key.to_owned()),
        })
    }
}

fn level(permission: Permission) -> String {
    permission.as_str().to_owned()
}

fn grant_row(held: HeldGrant) -> Option<GrantRow> {
    let level = level(held.permission?);
    Some(match held.holder {
        GrantHolder::User(user) => GrantRow {
            kind: "user",
            name: user.username.to_string(),
            display_name: user.display_name.to_string(),
            level,
        },
        GrantHolder::Group(group) => GrantRow {
            kind: "group",
            name: group.slug.to_string(),
            display_name: group.name.to_string(),
            level,
        },
    })
}

/// A way in words.
fn way(path: &PermissionPath, on: &GrantPlace) -> String {
    let here = match on {
        GrantPlace::Repository(_) => ResourceKind::Repository,
        GrantPlace::Project(..) => ResourceKind::Project,
    };
    let level = path.permission.as_str();
    let place = match path.on {
        ResourceKind::Workspace => format!("{level} of the workspace"),
        kind if kind == here => format!("{level}, granted here"),
        kind => format!("{level}, granted on its {}", kind.as_str()),
    };
    match &path.group {
        Some(group) => format!("{place}, by the group {group}"),
        None => place,
    }
}

fn person(one: PathedPermission, on: &GrantPlace) -> PersonRow {
    PersonRow {
        username: one.user.username.to_string(),
        display_name: one.user.display_name.to_string(),
        level: one.level.to_owned(),
        paths: one.paths.iter().map(|path| way(path, on)).collect(),
    }
}

/// What was typed to grant something, and what is wrong.
#[derive(Default)]
struct Typed {
    kind: String,
    name: String,
    level: String,
    wrong: String,
    error: String,
}

async fn shown(cx: &Cx, place: Place, typed: Typed) -> Result<Response> {
    let service = cx.service()?;
    let (number, window) = numbered(cx, ROWS)?;
    let (mut grants, mut more_grants) = (Vec::new(), false);
    for groups in [true, false] {
        let found = service.grants(&cx.caller, &place.on, groups, MOST).await?;
        more_grants |= found.size.is_some_and(|size| size > MOST.limit);
        grants.extend(found.values.into_iter().filter_map(grant_row));
    }
    let people = service.permission_paths(&cx.caller, &place.on, window).await?;
    let pages = turned(cx, &place.address, number, ROWS, people.values.len(), people.size);
    let kinds = [("user", "Member"), ("group", "Group")];
    let clean = typed.wrong.is_empty() && typed.error.is_empty();
    let page_shown = PermissionsPage {
        frame: place.frame,
        error: typed.error,
        grants,
        more_grants,
        fields: vec![
            Field::line("kind", "To").kind(Kind::choice(&kinds)).value(typed.kind),
            Field::line("name", "Username or group").value(typed.name).error(typed.wrong),
            Field::line("permission", "Level").kind(Kind::Choice(place.levels.clone())).value(typed.level),
        ],
        levels: place.levels,
        people: people.values.into_iter().map(|one| person(one, &place.on)).collect(),
        pages,
        form_token: form::token(cx, &place.address),
        on: place.words,
        action: place.address,
    };
    page(if clean { StatusCode::OK } else { StatusCode::BAD_REQUEST }, &page_shown)
}

/// `GET …/settings/permissions`
///
/// # Errors
/// When the caller may not see them.
pub async fn list(cx: Cx) -> Result<Response> {
    let place = Place::of(&cx).await?;
    shown(&cx, place, Typed::default()).await
}

/// `POST …/settings/permissions`: grants, changes, takes back.
///
/// # Errors
/// When the caller may not. What is wrong with a form is told in it.
pub async fn set(cx: Cx, form: Parameters) -> Result<Response> {
    let place = Place::of(&cx).await?;
    let service = cx.service()?;
    let text = |name: &str| form.get(name).map(|value| value.unwrap_or_default().trim().to_owned());
    let (kind, name, level, wanted) = (text("kind")?, text("name")?, text("permission")?, text("do")?);
    let holder = match kind.as_str() {
        "group" => HolderName::Group(name.clone()),
        _ => HolderName::User(name.clone()),
    };
    let done = match wanted.as_str() {
        "remove" => service.remove_grant(&cx.caller, &place.on, holder).await,
        _ => service.set_grant(&cx.caller, &place.on, holder, &level).await.map(drop),
    };
    let told = match done {
        // Who takes their own permission back may not see this page any more: then it says so.
        Ok(()) => return see_other(&place.address),
        Err(Error::NotFound { .. }) if kind == "group" => {
            "no group of the workspace has this short name".to_owned()
        }
        Err(Error::NotFound { .. }) => "nobody has this username".to_owned(),
        Err(error @ (Error::Invalid { .. } | Error::Conflict(_))) => error.to_string(),
        Err(error) => return Err(error),
    };
    let typed = match wanted.as_str() {
        "grant" => Typed { kind, name, level, wrong: told, error: String::new() },
        _ => Typed { error: sentence(&told), ..Typed::default() },
    };
    shown(&cx, place, typed).await
}
