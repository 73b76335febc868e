//! Branch restrictions: seeing, making, changing and removing them. What they do stands in `branch_rule`.

use std::collections::BTreeSet;

use model::{
    BranchMatch, BranchRestriction, BranchType, Error, Glob, Group, RestrictionKind, Result, User,
    WorkspaceId, act,
};
use serde_json::{Value, json};
use store::branch_restriction::Filter;
use store::repository::Located;
use store::{Reader, Writer};

use crate::access::RepositoryPath;
use crate::group::user_named;
use crate::{Caller, Listing, Service, Window};

/// The most restrictions of one repository: each is looked at for each ref of a push.
const MOST: i64 = 200;
/// The most users, and the most groups, that one restriction exempts.
const MOST_EXEMPT: usize = 100;
/// The contract's other kinds: all of them are about pull requests.
const OF_PULL_REQUESTS: [&str; 15] = [
    "restrict_merges",
    "require_tasks_to_be_completed",
    "require_approvals_to_merge",
    "require_review_group_approvals_to_merge",
    "require_default_reviewer_approvals_to_merge",
    "require_no_changes_requested",
    "require_passing_builds_to_merge",
    "require_commits_behind",
    "reset_pullrequest_approvals_on_change",
    "smart_reset_pullrequest_approvals",
    "reset_pullrequest_changes_requested_on_change",
    "require_all_dependencies_merged",
    "enforce_merge_checks",
    "allow_auto_merge_when_builds_pass",
    "require_all_comments_resolved",
];

/// What is asked of a restriction, in the request's own words. What is absent stays as it is.
#[derive(Clone, Debug, Default)]
pub struct BranchRestrictionChange {
    /// What is restricted.
    pub kind: Option<String>,
    /// How branches are matched: `glob`, which is the default, or `branching_model`.
    pub branch_match_kind: Option<String>,
    /// The type of branch.
    pub branch_type: Option<String>,
    /// The pattern of names.
    pub pattern: Option<String>,
    /// Users who are exempt, by id or username.
    pub users: Option<Vec<String>>,
    /// Groups whose members are exempt, by slug.
    pub groups: Option<Vec<String>>,
}

/// Which restrictions to list, in the request's own words.
#[derive(Clone, Debug, Default)]
pub struct BranchRestrictionQuery {
    /// Of this kind.
    pub kind: Option<String>,
    /// With exactly this pattern.
    pub pattern: Option<String>,
}

/// A restriction with those who are exempt.
#[derive(Clone, Debug)]
pub struct BranchRestrictionView {
    /// The restriction.
    pub restriction: BranchRestriction,
    /// Users who are exempt, by username.
    pub users: Vec<User>,
    /// Groups whose members are exempt, by slug.
    pub groups: Vec<Group>,
}

fn kind_named(text: &str) -> Result<RestrictionKind> {
    text.parse().map_err(|unknown| match OF_PULL_REQUESTS.contains(&text) {
        true => Error::invalid_field(
            "kind",
            format!("`{text}` is about pull requests, which are not built yet: {unknown}"),
        ),
        false => Error::invalid_field("kind", unknown),
    })
}

/// The same text, unless it is empty: the contract's objects have empty ones where there is nothing.
fn filled(text: Option<&String>) -> Option<&str> {
    text.map(|text| text.trim()).filter(|text| !text.is_empty())
}

fn branches(before: Option<&BranchMatch>, change: &BranchRestrictionChange) -> Result<BranchMatch> {
    let (pattern, branch_type) = (filled(change.pattern.as_ref()), filled(change.branch_type.as_ref()));
    let odd = |field: &str, other: &str| {
        Error::invalid_field(field, format!("leave it out where `branch_match_kind` is `{other}`"))
    };
    let required = |field: &str| Error::invalid_field(field, "this field is required");
    let kind = filled(change.branch_match_kind.as_ref()).or(before.map(BranchMatch::kind)).unwrap_or("glob");
    match (kind, before) {
        ("glob", _) if branch_type.is_some() => Err(odd("branch_type", kind)),
        ("branching_model", _) if pattern.is_some() => Err(odd("pattern", kind)),
        ("glob", Some(BranchMatch::Glob(glob))) if pattern.is_none() => Ok(BranchMatch::Glob(glob.clone())),
        ("branching_model", Some(BranchMatch::BranchingModel(kind))) if branch_type.is_none() => {
            Ok(BranchMatch::BranchingModel(*kind))
        }
        ("glob", _) => {
            let glob = pattern.ok_or_else(|| required("pattern"))?.parse::<Glob>();
            glob.map(BranchMatch::Glob).map_err(|problem| Error::invalid_field("pattern", problem))
        }
        ("branching_model", _) => {
            let kind = branch_type.ok_or_else(|| required("branch_type"))?.parse::<BranchType>();
            kind.map(BranchMatch::BranchingModel)
                .map_err(|problem| Error::invalid_field("branch_type", problem))
        }
        _ => Err(Error::invalid_field("branch_match_kind", "use one of `glob`, `branching_model`")),
    }
}

/// The restriction as it is to be, with those who are exempt.
fn changed(
    reader: &mut Reader<'_>,
    workspace: WorkspaceId,
    mut view: BranchRestrictionView,
    change: &BranchRestrictionChange,
) -> Result<BranchRestrictionView> {
    if let Some(names) = &change.users {
        view.users = exempt("users", names, |name| match user_named(reader, name) {
            Err(Error::NotFound { .. }) => Ok(None),
            found => found.map(Some),
        })?;
    }
    if let Some(slugs) = &change.groups {
        view.groups = exempt("groups", slugs, |slug| match slug.parse() {
            Ok(slug) => store::group::find(reader, workspace, &slug),
            Err(_) => Ok(None),
        })?;
    }
    if view.restriction.kind != RestrictionKind::Push {
        for (field, named) in [("users", &change.users), ("groups", &change.groups)] {
            if named.as_ref().is_some_and(|names| !names.is_empty()) {
                let message = "only a restriction of the kind `push` exempts anybody: leave it empty";
                return Err(Error::invalid_field(field, message));
            }
        }
        view.users.clear();
        view.groups.clear();
    }
    view.users.sort_by(|one, other| one.username.as_str().cmp(other.username.as_str()));
    view.groups.sort_by(|one, other| one.slug.as_str().cmp(other.slug.as_str()));
    // The same one may be named by id and by name.
    view.users.dedup_by_key(|user| user.id);
    view.restriction.users = view.users.iter().map(|user| user.id).collect();
    view.restriction.groups = view.groups.iter().map(|group| group.id).collect();
    Ok(view)
}

/// Those whom the names stand for, each once.
fn exempt<T>(
    field: &str,
    names: &[String],
    mut find: impl FnMut(&str) -> Result<Option<T>>,
) -> Result<Vec<T>> {
    let names: BTreeSet<&str> = names.iter().map(|name| name.trim()).collect();
    if names.len() > MOST_EXEMPT {
        return Err(Error::invalid_field(
            field,
            format!("name at most {MOST_EXEMPT}: put people into a group"),
        ));
    }
    let known = |name: &str| {
        let unknown = || Error::invalid_field(field, format!("there is no `{}` here", name.escape_debug()));
        find(name)?.ok_or_else(unknown)
    };
    names.into_iter().map(known).collect()
}

fn view(
    reader: &mut Reader<'_>,
    groups: &[Group],
    restriction: BranchRestriction,
) -> Result<BranchRestrictionView> {
    let mut users = Vec::with_capacity(restriction.users.len());
    for id in &restriction.users {
        users.extend(store::user::find(reader, *id)?);
    }
    users.sort_by(|one, other| one.username.as_str().cmp(other.username.as_str()));
    let groups = groups.iter().filter(|group| restriction.groups.contains(&group.id)).cloned().collect();
    Ok(BranchRestrictionView { restriction, users, groups })
}

fn found(writer: &mut Writer<'_>, located: &Located, id: i64) -> Result<BranchRestrictionView> {
    let found = store::branch_restriction::find(writer, located.repository.id, id)?;
    let found = found.ok_or_else(|| missing(id))?;
    let groups = store::group::list(writer, located.workspace.id)?;
    view(writer, &groups, found)
}

fn missing(id: i64) -> Error {
    Error::not_found(format!("the branch restriction `{id}`"))
}

/// A restriction in the audit trail.
fn shown(view: &BranchRestrictionView) -> Value {
    let BranchRestriction { id, kind, branches, .. } = &view.restriction;
    json!({
        "restriction": id, "kind": kind.as_str(), "branch_match_kind": branches.kind(), "branches": branches.text(),
        "users": view.users.iter().map(|user| user.username.as_str()).collect::<Vec<_>>(),
        "groups": view.groups.iter().map(|group| group.slug.as_str()).collect::<Vec<_>>(),
    })
}

impl Service {
    /// A repository's branch restrictions, the oldest first.
    pub async fn branch_restrictions(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        query: BranchRestrictionQuery,
        window: Window,
    ) -> Result<(Located, Listing<BranchRestrictionView>)> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::BranchRestrictionRead, ground.as_ref())?;
        let located = ground.subject.clone();
        let kind = filled(query.kind.as_ref());
        if kind.is_some_and(|kind| OF_PULL_REQUESTS.contains(&kind)) {
            return Ok((located, Listing::new(Vec::new(), 0)));
        }
        let kind = kind.map(kind_named).transpose()?;
        let filter = Filter { kind, pattern: filled(query.pattern.as_ref()).map(str::to_owned) };
        let (id, workspace) = (located.repository.id, located.workspace.id);
        let read = move |reader: &mut Reader<'_>| {
            let size = store::branch_restriction::count(reader, id, &filter)?;
            let rows = store::branch_restriction::list(reader, id, &filter, window.limit, window.offset)?;
            let groups = if rows.is_empty() { Vec::new() } else { store::group::list(reader, workspace)? };
            let views = rows.into_iter().map(|one| view(reader, &groups, one)).collect::<Result<_>>()?;
            Ok(Listing::new(views, size))
        };
        Ok((located, self.store.read(read).await?))
    }

    /// One branch restriction.
    pub async fn branch_restriction(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        id: i64,
    ) -> Result<(Located, BranchRestrictionView)> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::BranchRestrictionRead, ground.as_ref())?;
        let located = ground.subject.clone();
        let (repository, workspace) = (located.repository.id, located.workspace.id);
        let read = move |reader: &mut Reader<'_>| {
            let found =
                store::branch_restriction::find(reader, repository, id)?.ok_or_else(|| missing(id))?;
            let groups = store::group::list(reader, workspace)?;
            view(reader, &groups, found)
        };
        Ok((located, self.store.read(read).await?))
    }

    /// Makes a branch restriction. It binds the next push, and one whose objects are still on their way.
    pub async fn create_branch_restriction(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        new: BranchRestrictionChange,
    ) -> Result<(Located, BranchRestrictionView)> {
        let ground = self.repository_ground(caller, path).await?;
        let permit = self.permit(caller, act::BranchRestrictionSet, ground.as_ref())?;
        let kind = filled(new.kind.as_ref());
        let kind = kind.ok_or_else(|| Error::invalid_field("kind", "this field is required"))?;
        let (kind, branches) = (kind_named(kind)?, branches(None, &new)?);
        let (located, now) = (ground.subject.clone(), self.clock.now());
        let (repository, workspace) = (located.repository.id, located.workspace.id);
        let made = self
            .store
            .write(&permit, move |writer| {
                if store::branch_restriction::count(writer, repository, &Filter::default())? >= MOST {
                    let message =
                        format!("a repository has at most {MOST} branch restrictions: remove one first");
                    return Err(Error::Conflict(message));
                }
                let restriction = BranchRestriction {
                    id: store::branch_restriction::next_id(writer)?,
                    repository,
                    kind,
                    branches: branches.clone(),
                    users: Vec::new(),
                    groups: Vec::new(),
                    created_on: now,
                };
                let bare = BranchRestrictionView { restriction, users: Vec::new(), groups: Vec::new() };
                let made = changed(writer, workspace, bare, &new)?;
                store::branch_restriction::insert(writer, &made.restriction)?;
                writer.note(Value::Null, shown(&made));
                Ok(made)
            })
            .await?;
        Ok((located, made))
    }

    /// Changes a branch restriction.
    pub async fn update_branch_restriction(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        id: i64,
        change: BranchRestrictionChange,
    ) -> Result<(Located, BranchRestrictionView)> {
        let ground = self.repository_ground(caller, path).await?;
        let permit = self.permit(caller, act::BranchRestrictionSet, ground.as_ref())?;
        let kind = filled(change.kind.as_ref()).map(kind_named).transpose()?;
        let located = ground.subject.clone();
        let at = located.clone();
        let after = self
            .store
            .write(&permit, move |writer| {
                let before = found(writer, &at, id)?;
                let mut after = before.clone();
                after.restriction.kind = kind.unwrap_or(before.restriction.kind);
                after.restriction.branches = branches(Some(&before.restriction.branches), &change)?;
                let after = changed(writer, at.workspace.id, after, &change)?;
                store::branch_restriction::update(writer, &after.restriction)?;
                writer.note(shown(&before), shown(&after));
                Ok(after)
            })
            .await?;
        Ok((located, after))
    }

    /// Removes a branch restriction.
    pub async fn remove_branch_restriction(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        id: i64,
    ) -> Result<()> {
        let ground = self.repository_ground(caller, path).await?;
        let permit = self.permit(caller, act::BranchRestrictionRemove, ground.as_ref())?;
        let located = ground.subject.clone();
        self.store
            .write(&permit, move |writer| {
                let before = found(writer, &located, id)?;
                store::branch_restriction::remove(writer, id)?;
                writer.note(shown(&before), Value::Null);
                Ok(())
            })
            .await
    }
}
