//! The groups of a workspace: listed, made, changed, deleted.

use axum::http::StatusCode;
use model::{Action, DisplayName, Error, RepositoryPermission, Result, WorkspacePermission};
use pages::form::{Field, Kind};
use pages::group::{GroupMember, GroupPage, GroupRow, GroupsPage};
use pages::member::LEVELS;
use service::{GroupChange, GroupWithMembers, Named, Window};
use wire::Parameters;

use super::home::role;
use super::resource_form::Typed;
use super::settings::{self, Section};
use super::{form, may, page, see_other};
use crate::http::{Cx, Response};

/// All levels of groups on a workspace: there are not more groups.
const ALL: Window = Window { limit: 10_000, offset: 0 };

fn address(slug: &str, group: &str) -> String {
    format!("{}{}", settings::address(slug, "groups"), pages::address::of(&[group]))
}

async fn listed(cx: &Cx, typed: &str, error: String) -> Result<Response> {
    let service = cx.service()?;
    let (workspace, groups) = service.groups(&cx.caller, cx.param("workspace")).await?;
    let slug = workspace.slug.as_str();
    let levels = service.member_groups(&cx.caller, slug, ALL).await?.values;
    let rows = groups.iter().map(|one| GroupRow {
        href: address(slug, one.group.slug.as_str()),
        name: one.group.name.to_string(),
        slug: one.group.slug.to_string(),
        members: one.members.len(),
        role: levels
            .iter()
            .find(|level| level.group.id == one.group.id)
            .map_or("", |level| role(level.permission)),
    });
    let action = settings::address(slug, "groups");
    let status = if error.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let shown = GroupsPage {
        frame: settings::workspace(cx, slug, "Groups", Section::Groups).await,
        workspace: slug.to_owned(),
        groups: rows.collect(),
        may_create: may(cx, Action::GroupCreate, Named::Workspace(slug)).await,
        field: Field::line("name", "Name")
            .hint("Its short name in addresses follows from it.")
            .value(typed)
            .error(error),
        form_token: form::token(cx, &action),
        action,
    };
    page(status, &shown)
}

/// `GET /{workspace}/workspace/settings/groups`
///
/// # Errors
/// When the caller may not see them.
pub async fn list(cx: Cx) -> Result<Response> {
    listed(&cx, "", String::new()).await
}

/// `POST /{workspace}/workspace/settings/groups`: makes one.
///
/// # Errors
/// When the caller may not. What is wrong with the name is told beside it.
pub async fn create(cx: Cx, form: Parameters) -> Result<Response> {
    let typed = form.get("name")?.unwrap_or_default().trim().to_owned();
    let made = match typed.parse::<DisplayName>() {
        Ok(name) => cx.service()?.create_group(&cx.caller, cx.param("workspace"), name).await,
        Err(error) => Err(Error::invalid_field("name", error)),
    };
    match made {
        Ok((workspace, group)) => see_other(&address(workspace.slug.as_str(), group.slug.as_str())),
        Err(Error::Invalid { fields, message }) => {
            let told = fields.values().flatten().next().cloned().unwrap_or(message);
            listed(&cx, &typed, told).await
        }
        Err(error @ Error::Conflict(_)) => listed(&cx, &typed, error.to_string()).await,
        Err(error) => Err(error),
    }
}

/// What a group has set, by the fields of its form.
fn there(one: &GroupWithMembers, level: Option<WorkspacePermission>) -> Vec<(&'static str, String)> {
    let group = &one.group;
    let by_default = group.default_permission.filter(|_| group.auto_add);
    vec![
        ("name", group.name.to_string()),
        ("permission", level.map_or("", WorkspacePermission::as_str).to_owned()),
        ("default_permission", by_default.map_or("", RepositoryPermission::as_str).to_owned()),
    ]
}

fn settings_fields(typed: &Typed) -> Vec<Field> {
    let levels: Vec<_> = std::iter::once(("", "None of its own")).chain(LEVELS).collect();
    let defaults = [("", "Nothing by itself"), ("read", "Read"), ("write", "Write"), ("admin", "Admin")];
    vec![
        typed.line("name", "Name"),
        typed
            .line("permission", "Level on the workspace")
            .hint("What everybody in it is in the whole workspace.")
            .kind(Kind::choice(&levels))
            .optional(),
        typed
            .line("default_permission", "New repositories grant it")
            .hint("From their making on; what is there already stays as it is.")
            .kind(Kind::choice(&defaults))
            .optional(),
    ]
}

/// The page of a group; with what was sent to it and the error that it met, where there was one.
async fn shown(cx: &Cx, refused: Option<(Parameters, Error)>) -> Result<Response> {
    let service = cx.service()?;
    let (workspace, one) = service.group(&cx.caller, cx.param("workspace"), cx.param("group_slug")).await?;
    let (slug, group) = (workspace.slug.as_str(), one.group.slug.as_str());
    let levels = service.member_groups(&cx.caller, slug, ALL).await?.values;
    let level = levels.iter().find(|level| level.group.id == one.group.id).map(|level| level.permission);
    let status = if refused.is_none() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let typed = Typed::there(there(&one, level));
    let typed = match refused {
        Some((sent, error)) => typed.refused(sent, error)?,
        None => typed,
    };
    let action = address(slug, group);
    let name = one.group.name.to_string();
    let members = one.members.iter().map(|user| GroupMember {
        username: user.username.to_string(),
        display_name: user.display_name.to_string(),
    });
    let add = typed.line("username", "Username").hint("Of a member of the workspace.");
    let settings = settings_fields(&typed);
    let known: Vec<Field> = settings.iter().chain([&add]).cloned().collect();
    let page_shown = GroupPage {
        frame: settings::workspace(cx, slug, &name, Section::Groups).await,
        slug: group.to_owned(),
        error: typed.elsewhere(&known, &["confirm"]),
        members: members.collect(),
        may_change: may(cx, Action::GroupUpdate, Named::Workspace(slug)).await,
        add,
        settings,
        delete: Field::line("confirm", "Type the group's short name to delete it")
            .hint(group)
            .error(typed.error("confirm")),
        list: settings::address(slug, "groups"),
        form_token: form::token(cx, &action),
        action,
        name,
    };
    page(status, &page_shown)
}

/// `GET /{workspace}/workspace/settings/groups/{group_slug}`
///
/// # Errors
/// When the caller may not see groups, or there is none of this name.
pub async fn get(cx: Cx) -> Result<Response> {
    shown(&cx, None).await
}

async fn change(cx: &Cx, form: &Parameters) -> Result<()> {
    let (service, workspace, group) = (cx.service()?, cx.param("workspace"), cx.param("group_slug"));
    let text = |name: &str| form.get(name).map(|value| value.unwrap_or_default().trim().to_owned());
    let name: DisplayName = text("name")?.parse().map_err(|error| Error::invalid_field("name", error))?;
    let by_default = match text("default_permission")?.as_str() {
        "" => None,
        word => Some(word.parse().map_err(|error| Error::invalid_field("default_permission", error))?),
    };
    let (_, before) = service.group(&cx.caller, workspace, group).await?;
    let levels = service.member_groups(&cx.caller, workspace, ALL).await?.values;
    let held = levels.iter().find(|level| level.group.id == before.group.id).map(|level| level.permission);
    let change = GroupChange {
        name: Some(name),
        auto_add: Some(by_default.is_some()),
        default_permission: Some(by_default),
        email_forwarding_disabled: None,
    };
    let _ = service.update_group(&cx.caller, workspace, group, change).await?;
    let slug = before.group.slug;
    match (text("permission")?.as_str(), held) {
        ("", Some(_)) => service.remove_member_group(&cx.caller, workspace, slug).await,
        ("", None) => Ok(()),
        (word, held) => {
            let level: WorkspacePermission =
                word.parse().map_err(|error| Error::invalid_field("permission", error))?;
            match held == Some(level) {
                true => Ok(()),
                false => service.set_member_group(&cx.caller, workspace, slug, level).await.map(drop),
            }
        }
    }
}

/// `POST /{workspace}/workspace/settings/groups/{group_slug}`: puts somebody in or takes them out, changes or deletes it.
///
/// # Errors
/// When the caller may not. What is wrong with a form is told in it.
pub async fn set(cx: Cx, form: Parameters) -> Result<Response> {
    let (service, workspace) = (cx.service()?, cx.param("workspace"));
    let (_, one) = service.group(&cx.caller, workspace, cx.param("group_slug")).await?;
    let (slug, group) = (settings::slug(&cx).await?, one.group.slug.to_string());
    let username = form.get("username")?.unwrap_or_default().trim().to_owned();
    let done = match form.get("do")?.unwrap_or_default() {
        "put-in" => match service.add_group_member(&cx.caller, workspace, &group, &username).await {
            Err(Error::NotFound { .. }) => Err(Error::invalid_field("username", "nobody has this username")),
            Err(Error::Invalid { message, .. }) => Err(Error::invalid_field("username", message)),
            other => other.map(drop),
        },
        "take-out" => service.remove_group_member(&cx.caller, workspace, &group, &username).await,
        "change" => change(&cx, &form).await,
        "delete" if form.get("confirm")?.map(str::trim) == Some(group.as_str()) => {
            service.delete_group(&cx.caller, workspace, &group).await?;
            return see_other(&settings::address(&slug, "groups"));
        }
        "delete" => {
            Err(Error::invalid_field("confirm", format!("this is not `{group}`: nothing was deleted")))
        }
        _ => Err(Error::invalid("the form says nothing of what shall be done: load the page again")),
    };
    match done {
        Ok(()) => see_other(&address(&slug, &group)),
        Err(error) => shown(&cx, Some((form, error))).await,
    }
}
