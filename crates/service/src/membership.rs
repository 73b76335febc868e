//! Lists of memberships, filtered and sorted: the members of a workspace, the workspaces of a user.

use std::collections::BTreeMap;

use model::{Error, Member, Resource, Result, Workspace, WorkspacePermission, act};
use policy::PrincipalFacts;
use wire::query::{Comparison, FieldKind, Operator, Typed, TypedValue};

use crate::effective::Selected;
use crate::select::{Field, select};
use crate::{Caller, Listing, Service, Window};

/// The fields by which members are filtered. `user.email` is for those who administer the workspace alone.
pub static MEMBER_FIELDS: [(&str, FieldKind); 6] = [
    ("permission", FieldKind::Enum(&["member", "create-project", "owner"])),
    ("user.nickname", FieldKind::Text),
    ("user.display_name", FieldKind::Text),
    ("user.account_id", FieldKind::Text),
    ("user.uuid", FieldKind::Uuid),
    (EMAIL, FieldKind::Text),
];

/// The fields by which one's workspaces are filtered and sorted.
pub static WORKSPACE_FIELDS: [(&str, FieldKind); 8] = [
    ("slug", FieldKind::Text),
    ("name", FieldKind::Text),
    ("uuid", FieldKind::Uuid),
    ("is_private", FieldKind::Bool),
    ("created_on", FieldKind::Time),
    ("updated_on", FieldKind::Time),
    ("permission", FieldKind::Enum(&["member", "create-project", "owner"])),
    ("workspace.slug", FieldKind::Text),
];

const EMAIL: &str = "user.email";

/// The most addresses that one filter may name.
const MOST_ADDRESSES: usize = 90;

/// The most memberships that are gone through. No list of ours gets there.
const ALL: Window = Window { limit: 100_000, offset: 0 };

fn speaks_of_addresses(filter: &Typed) -> bool {
    match filter {
        Typed::And(parts) | Typed::Or(parts) => parts.iter().any(speaks_of_addresses),
        Typed::Compare(comparison) => comparison.field == EMAIL,
    }
}

/// The addresses that a filter names, in lower case.
fn addresses(filter: &Typed, found: &mut Vec<String>) {
    match filter {
        Typed::And(parts) | Typed::Or(parts) => parts.iter().for_each(|part| addresses(part, found)),
        Typed::Compare(Comparison { field: EMAIL, op: Operator::Equal | Operator::In, value }) => {
            texts(value, found);
        }
        Typed::Compare(_) => {}
    }
}

fn texts(value: &TypedValue, found: &mut Vec<String>) {
    match value {
        TypedValue::Text(text) => found.push(text.to_lowercase()),
        TypedValue::List(items) => items.iter().for_each(|item| texts(item, found)),
        _ => {}
    }
}

/// Addresses are compared without regard to case.
fn folded(filter: Typed) -> Typed {
    match filter {
        Typed::And(parts) => Typed::And(parts.into_iter().map(folded).collect()),
        Typed::Or(parts) => Typed::Or(parts.into_iter().map(folded).collect()),
        Typed::Compare(Comparison { field: EMAIL, op, value }) => {
            Typed::Compare(Comparison { field: EMAIL, op, value: folded_value(value) })
        }
        other @ Typed::Compare(_) => other,
    }
}

fn folded_value(value: TypedValue) -> TypedValue {
    match value {
        TypedValue::Text(text) => TypedValue::Text(text.to_lowercase()),
        TypedValue::List(items) => TypedValue::List(items.into_iter().map(folded_value).collect()),
        other => other,
    }
}

fn rank(permission: WorkspacePermission) -> Field {
    WorkspacePermission::ALL.iter().position(|level| *level == permission).map_or(Field::Null, Field::Rank)
}

fn member_field(member: &Member, name: &str) -> Field {
    match name {
        "permission" => rank(member.permission),
        "user.nickname" => Field::Text(member.user.username.to_string()),
        "user.display_name" => Field::Text(member.user.display_name.to_string()),
        "user.account_id" => Field::Text(member.user.id.to_string()),
        "user.uuid" => Field::Id(member.user.id.uuid()),
        _ => Field::Text(member.user.email.folded()),
    }
}

fn workspace_field((workspace, permission): &(Workspace, WorkspacePermission), name: &str) -> Field {
    match name {
        "slug" | "workspace.slug" => Field::Text(workspace.slug.to_string()),
        "name" => Field::Text(workspace.name.to_string()),
        "uuid" => Field::Id(workspace.id.uuid()),
        // Nobody but members sees a workspace.
        "is_private" => Field::Bool(true),
        "created_on" => Field::Time(workspace.created_on),
        "updated_on" => Field::Time(workspace.updated_on),
        _ => rank(*permission),
    }
}

impl Service {
    /// A workspace's members that fit, and the addresses that the filter asked for by name: those, and no others, may
    /// be shown.
    pub async fn members_matching(
        &self,
        caller: &Caller,
        workspace: &str,
        mut selected: Selected,
    ) -> Result<(Workspace, Listing<Member>, Vec<String>)> {
        let filter = selected.filter.take();
        if filter.is_none() && selected.sort.is_none() {
            let (workspace, listing) = self.members(caller, workspace, selected.window).await?;
            return Ok((workspace, listing, Vec::new()));
        }
        let mut named = Vec::new();
        filter.iter().for_each(|filter| addresses(filter, &mut named));
        if named.len() > MOST_ADDRESSES {
            let message = format!("name at most {MOST_ADDRESSES} addresses at a time");
            return Err(Error::invalid_field("q", message));
        }
        let (workspace, all) = self.members(caller, workspace, ALL).await?;
        // An order tells of addresses as well as a filter does.
        let sorted = selected.sort.is_some_and(|sort| sort.field == EMAIL);
        if sorted || filter.as_ref().is_some_and(speaks_of_addresses) {
            self.may_search_addresses(caller, &workspace).await?;
        }
        let filter = filter.map(folded);
        let listing = select(all.values, member_field, filter.as_ref(), selected.sort, selected.window);
        Ok((workspace, listing, named))
    }

    /// The last day since the epoch on which each principal, by its label, did something in the workspace, as far back as
    /// use is counted. For those who administer it.
    pub async fn last_active_days(&self, caller: &Caller, workspace: &str) -> Result<BTreeMap<String, i64>> {
        let ground = self.workspace_ground(caller, workspace).await?;
        self.check(caller, act::WorkspaceAdmin, &ground)?;
        let id = ground.subject.id;
        self.store.read(move |reader| store::count::last_days(reader, id)).await
    }

    /// Addresses are searched by who administers the workspace, and by its own access tokens.
    async fn may_search_addresses(&self, caller: &Caller, workspace: &Workspace) -> Result<()> {
        let bound = Resource::Workspace(workspace.id);
        if matches!(caller.facts(), PrincipalFacts::AccessToken { bound_to, .. } if bound_to == bound) {
            return Ok(());
        }
        let ground = self.workspace_ground(caller, workspace.slug.as_str()).await?;
        self.check(caller, act::WorkspaceAdmin, &ground)
    }

    /// The caller's workspaces that fit.
    pub async fn own_workspaces_matching(
        &self,
        caller: &Caller,
        selected: Selected,
        administrator: Option<bool>,
    ) -> Result<Listing<(Workspace, WorkspacePermission)>> {
        let mut all = self.own_workspaces(caller, ALL).await?.values;
        if let Some(wanted) = administrator {
            all.retain(|(_, permission)| (*permission == WorkspacePermission::Owner) == wanted);
        }
        Ok(select(all, workspace_field, selected.filter.as_ref(), selected.sort, selected.window))
    }
}
