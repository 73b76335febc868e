//! A repository's branch restrictions: listed, added and removed.

use axum::http::StatusCode;
use model::{BranchMatch, BranchType, Error, RestrictionKind, Result};
use pages::branch_restriction::{BranchRestrictionsPage, RestrictionRow};
use pages::form::{Field, Kind};
use service::{
    BranchRestrictionChange, BranchRestrictionQuery, BranchRestrictionView, Located, RepositoryPath, Window,
};
use wire::Parameters;

use super::access_token::{error_of, wrong_parts};
use super::settings::{self, RepositorySection};
use super::{form, page, repository_path, see_other};
use crate::http::{Cx, Response};

/// More than one repository can have.
const ALL: Window = Window { limit: 1_000, offset: 0 };

const KINDS: [(&str, &str); 3] = [
    ("push", "Writing: only those named below write"),
    ("force", "Rewriting: nobody rewrites history"),
    ("delete", "Deleting: nobody deletes"),
];
/// The choice of branches by their names; the others are types of branch.
const BY_NAME: &str = "glob";
const BRANCHES: [(&str, &str); 7] = [
    (BY_NAME, "With a name like this"),
    ("development", "The development branch"),
    ("production", "The production branch"),
    ("release", "Release branches"),
    ("hotfix", "Hotfix branches"),
    ("feature", "Feature branches"),
    ("bugfix", "Bugfix branches"),
];

/// What was typed to add a restriction, and what is wrong with it.
#[derive(Default)]
struct Typed {
    kind: String,
    branches: String,
    pattern: String,
    users: String,
    groups: String,
    wrong: Option<Error>,
}

impl Typed {
    fn read(form: &Parameters) -> Result<Self> {
        let text = |name: &str| form.get(name).map(|value| value.unwrap_or_default().trim().to_owned());
        Ok(Self {
            kind: text("kind")?,
            branches: text("branches")?,
            pattern: text("pattern")?,
            users: text("users")?,
            groups: text("groups")?,
            wrong: None,
        })
    }

    fn asked(&self) -> BranchRestrictionChange {
        let names = |text: &str| {
            let parts = text.split([',', ' ', '\n', '\r', '\t']).filter(|part| !part.is_empty());
            Some(parts.map(str::to_owned).collect())
        };
        let by_name = self.branches == BY_NAME;
        BranchRestrictionChange {
            kind: Some(self.kind.clone()),
            branch_match_kind: Some(if by_name { BY_NAME } else { "branching_model" }.to_owned()),
            branch_type: (!by_name).then(|| self.branches.clone()),
            pattern: Some(self.pattern.clone()),
            users: names(&self.users),
            groups: names(&self.groups),
        }
    }

    fn fields(&self) -> (Vec<Field>, String) {
        let (wrong, error) = wrong_parts(self.wrong.as_ref());
        let fields = vec![
            Field::line("kind", "What is restricted")
                .kind(Kind::choice(&KINDS))
                .value(&self.kind)
                .error(error_of(&wrong, "kind")),
            Field::line("branches", "Branches")
                .kind(Kind::choice(&BRANCHES))
                .value(&self.branches)
                .error(error_of(&wrong, "branch_type")),
            Field::line("pattern", "Name")
                .hint("Such as main or release/*: a * stands for any characters. Empty for a type of branch.")
                .value(&self.pattern)
                .error(error_of(&wrong, "pattern"))
                .optional(),
            Field::line("users", "Exempt users")
                .hint("Usernames, with spaces between them: who may write all the same. Access tokens never may.")
                .value(&self.users)
                .error(error_of(&wrong, "users"))
                .optional(),
            Field::line("groups", "Exempt groups")
                .hint("Short names of groups, with spaces between them.")
                .value(&self.groups)
                .error(error_of(&wrong, "groups"))
                .optional(),
        ];
        (fields, error)
    }
}

fn kind_words(kind: RestrictionKind) -> (&'static str, &'static str) {
    match kind {
        RestrictionKind::Push => ("Writing", "Only those who are exempt make, move and delete them."),
        RestrictionKind::Force => ("Rewriting", "Nobody takes away commits that are on them."),
        RestrictionKind::Delete => ("Deleting", "Nobody deletes them."),
    }
}

fn type_words(kind: BranchType) -> &'static str {
    BRANCHES.into_iter().find(|(word, _)| *word == kind.as_str()).map_or(kind.as_str(), |(_, words)| words)
}

fn row(cx: &Cx, list: &str, view: &BranchRestrictionView) -> RestrictionRow {
    let restriction = &view.restriction;
    let (kind, means) = kind_words(restriction.kind);
    let remove = format!("{list}/{}", restriction.id);
    let (pattern, branch_type) = match &restriction.branches {
        BranchMatch::Glob(glob) => (glob.to_string(), ""),
        BranchMatch::BranchingModel(kind) => (String::new(), type_words(*kind)),
    };
    RestrictionRow {
        id: restriction.id,
        kind,
        means,
        pattern,
        branch_type,
        users: view.users.iter().map(|user| user.username.to_string()).collect(),
        groups: view.groups.iter().map(|group| group.slug.to_string()).collect(),
        remove_token: form::token(cx, &remove),
        remove,
    }
}

fn address(located: &Located) -> String {
    let (workspace, slug) = (located.workspace.slug.as_str(), located.repository.slug.as_str());
    pages::address::of(&[workspace, slug, "settings", "branch-restrictions"])
}

async fn shown(cx: &Cx, path: &RepositoryPath, typed: &Typed) -> Result<Response> {
    let query = BranchRestrictionQuery::default();
    let (located, found) = cx.service()?.branch_restrictions(&cx.caller, path, query, ALL).await?;
    let status = if typed.wrong.is_none() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let (action, (fields, error)) = (address(&located), typed.fields());
    let shown = BranchRestrictionsPage {
        frame: settings::repository(
            cx,
            &located,
            "Branch restrictions",
            RepositorySection::BranchRestrictions,
        )
        .await,
        on: format!("{}/{}", located.workspace.slug, located.repository.slug),
        error,
        restrictions: found.values.iter().map(|view| row(cx, &action, view)).collect(),
        fields,
        form_token: form::token(cx, &action),
        action,
    };
    page(status, &shown)
}

/// `GET …/settings/branch-restrictions`
///
/// # Errors
/// When the caller may not see them.
pub async fn list(cx: Cx) -> Result<Response> {
    shown(&cx, &repository_path(&cx)?, &Typed::default()).await
}

/// `POST …/settings/branch-restrictions`: adds one.
///
/// # Errors
/// When the caller may not. What is wrong with the form is told in it.
pub async fn add(cx: Cx, form: Parameters) -> Result<Response> {
    let (path, typed) = (repository_path(&cx)?, Typed::read(&form)?);
    match cx.service()?.create_branch_restriction(&cx.caller, &path, typed.asked()).await {
        Ok((located, _)) => see_other(&address(&located)),
        Err(error @ (Error::Invalid { .. } | Error::Conflict(_))) => {
            shown(&cx, &path, &Typed { wrong: Some(error), ..typed }).await
        }
        Err(error) => Err(error),
    }
}

/// `POST …/settings/branch-restrictions/{id}`: removes one.
///
/// # Errors
/// When the caller may not, or there is none.
pub async fn remove(cx: Cx, _: Parameters) -> Result<Response> {
    let path = repository_path(&cx)?;
    let id = cx.param("id").parse().map_err(|_| Error::not_found("the branch restriction"))?;
    let service = cx.service()?;
    let (located, _) = service.branch_restriction(&cx.caller, &path, id).await?;
    service.remove_branch_restriction(&cx.caller, &path, id).await?;
    see_other(&address(&located))
}
