//! The route table and what its columns mean. It is what the router, the checks before a handler, the description
//! of `/api` and the coverage tests are made from; it holds no code of its own beyond the names of handlers.
//!
//! How a row is chosen:
//!
//! - **Action.** An operation that is built asks for the one action it carries out. One that is not built yet asks
//!   for the group of all it would belong to: what reads a repository for `RepositoryRead`, what changes content for
//!   `RepositoryWrite`, settings for `RepositoryAdmin`; `ProjectRead`/`ProjectAdmin`, `WorkspaceRead`/`WorkspaceAdmin`
//!   and `MemberList` likewise; one's own account for `AccountRead`/`AccountUpdate`, other people for `UserRead`.
//!   Where the contract lets a read scope write (comments, tasks) the row keeps the scope and asks for
//!   `RepositoryRead`: taking part in a review needs no more. Build statuses and reports keep the scope too, but ask for
//!   `CommitStatusSet`, `ReportSet` and `ReportRemove`, which take write permission: others decide by what they say. Snippets belong to their workspace. What
//!   only apps of another platform may call (app properties, add-ons) asks for what nobody is granted and admits no
//!   credential.
//! - **Scopes.** Both columns are the published contract's. Where it gives a row no flat scope, the row takes that of
//!   its nearest neighbour: variables of teams and users those of a workspace's variables, `file-conflicts` that of
//!   `diff`, watchers of a snippet that of the snippet, app properties and add-ons that of the one property call that
//!   has it. The contract says nothing of version 1.0: groups take `account` and `account:write`, group privileges
//!   what `permissions-config` takes.
//! - **Credentials.** Access tokens are not admitted where the contract bars them: permissions, deploy key writes, calls
//!   across workspaces, a person's keys and addresses. `/api` admits those that stand for a user; the upload of
//!   findings alone is for whatever may make a report, steps of pipelines before all, and has the scopes of that.
//! - **Pages.** They take sessions alone and have no scopes: who signed in holds all there are. What everybody may open
//!   is public; the first page, the search and a workspace show what the viewer may see, as the lists of the interface do.
//! - **Paths.** A last parameter that may hold slashes (a ref, a revision, a path) is a wildcard, so that it may be sent
//!   raw or percent-encoded.

mod page_table;
mod router;
mod table;

#[cfg(test)]
mod tests;

use futures_util::future::BoxFuture;
use model::{Action, CredentialKind, ResourceKind};

use crate::http::{Cx, Response};

pub use router::{Params, Reached, Router, TableError, Unmatched};

/// Every operation: what programs call, then pages.
pub static ROUTES: &[Route] = &{
    let mut all = [get("", "", ""); table::ROWS.len() + page_table::ROWS.len()];
    let (called, opened) = all.split_at_mut(table::ROWS.len());
    called.copy_from_slice(table::ROWS);
    opened.copy_from_slice(page_table::ROWS);
    all
};

/// The methods of the table. HEAD and OPTIONS are answered from these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// Reads.
    Get,
    /// Creates, or does something that has no better verb.
    Post,
    /// Replaces, or creates under a known name.
    Put,
    /// Removes.
    Delete,
}

impl Method {
    /// Every method of the table, in the order of the `Allow` header.
    pub const ALL: [Self; 4] = [Self::Get, Self::Post, Self::Put, Self::Delete];

    /// As on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }

    /// Reads it from the wire; HEAD is GET.
    #[must_use]
    pub fn of(method: &axum::http::Method) -> Option<Self> {
        match method.as_str() {
            "GET" | "HEAD" => Some(Self::Get),
            "POST" => Some(Self::Post),
            "PUT" => Some(Self::Put),
            "DELETE" => Some(Self::Delete),
            _ => None,
        }
    }
}

/// Which parameters of the path name the resource that is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// This installation.
    Instance,
    /// The caller's own account.
    Caller,
    /// The user whom this parameter names.
    User(&'static str),
    /// The workspace that `workspace` names.
    Workspace,
    /// The project that `workspace` and `project_key` name.
    Project,
    /// The repository that `workspace` and `repo_slug` name.
    Repository,
    /// The project in `workspace` that the body names, or the workspace's oldest.
    ProjectInBody,
    /// The resource that the query names, or the form that is sent.
    InQuery,
}

impl Anchor {
    /// The parameters of the path that it needs.
    #[must_use]
    pub fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Instance | Self::Caller | Self::InQuery | Self::User(_) => &[],
            Self::Workspace | Self::ProjectInBody => &["workspace"],
            Self::Project => &["workspace", "project_key"],
            Self::Repository => &["workspace", "repo_slug"],
        }
    }

    /// The kind of resource, where the row alone tells it.
    #[must_use]
    pub fn kind(self) -> Option<ResourceKind> {
        match self {
            Self::Instance => Some(ResourceKind::Instance),
            Self::Caller | Self::User(_) => Some(ResourceKind::User),
            Self::Workspace => Some(ResourceKind::Workspace),
            Self::Project | Self::ProjectInBody => Some(ResourceKind::Project),
            Self::Repository => Some(ResourceKind::Repository),
            Self::InQuery => None,
        }
    }
}

/// Which kinds of credential a row admits, beside none at all (which reaches what is public) and the operator's
/// socket (which reaches everything).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Credentials(u8);

impl Credentials {
    const APP_PASSWORD: u8 = 1;
    const TOKEN_OF_API: u8 = 1 << 1;
    const ACCESS_TOKENS: u8 = 1 << 2;
    const PASSWORD: u8 = 1 << 3;
    const SESSION: u8 = 1 << 4;
    const RUNNER: u8 = 1 << 5;

    /// No credential of ours: calls that only apps of another platform can make.
    pub const NONE: Self = Self(0);
    /// API tokens alone: calls for which the contract names no classic scope that would bind the others.
    pub const API_TOKEN: Self = Self(Self::TOKEN_OF_API);
    /// A user's credentials made for programs: app passwords and API tokens.
    pub const NO_ACCESS_TOKENS: Self = Self(Self::APP_PASSWORD | Self::TOKEN_OF_API);
    /// Every credential made for programs. What rows have that say nothing else.
    pub const ANY: Self = Self(Self::APP_PASSWORD | Self::TOKEN_OF_API | Self::ACCESS_TOKENS);
    /// A session, which a browser holds: what pages take.
    pub const SESSION_ONLY: Self = Self(Self::SESSION);
    /// What runners are let in by.
    pub const RUNNERS: Self = Self(Self::RUNNER);
    /// Whatever stands for a user: the above without access tokens, the account's password, a session.
    pub const USER_ONLY: Self =
        Self(Self::APP_PASSWORD | Self::TOKEN_OF_API | Self::PASSWORD | Self::SESSION);

    /// Whether a credential of this kind is admitted.
    #[must_use]
    pub const fn admits(self, kind: CredentialKind) -> bool {
        let bit = match kind {
            CredentialKind::AppPassword => Self::APP_PASSWORD,
            CredentialKind::ApiToken => Self::TOKEN_OF_API,
            CredentialKind::RepositoryAccessToken
            | CredentialKind::ProjectAccessToken
            | CredentialKind::WorkspaceAccessToken
            | CredentialKind::StepToken => Self::ACCESS_TOKENS,
        };
        self.0 & bit != 0
    }

    /// Whether the account's password is admitted, by Basic authentication.
    #[must_use]
    pub const fn admits_password(self) -> bool {
        self.0 & Self::PASSWORD != 0
    }

    /// Whether a runner's credential is admitted, and no other.
    #[must_use]
    pub const fn admits_runner(self) -> bool {
        self.0 & Self::RUNNER != 0
    }

    /// Whether a web session is admitted.
    #[must_use]
    pub const fn admits_session(self) -> bool {
        self.0 & Self::SESSION != 0
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kinds = CredentialKind::ALL.iter().filter(|kind| self.admits(**kind)).map(|kind| kind.name());
        let more = [
            (self.admits_password(), "password"),
            (self.admits_session(), "session"),
            (self.admits_runner(), "runner"),
        ];
        f.debug_list().entries(kinds).entries(more.iter().filter(|m| m.0).map(|m| m.1)).finish()
    }
}

/// How a refusal looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Open to everybody, without a decision: documents about the service itself.
    Public,
    /// What the caller may not know of looks as if it did not exist: 404.
    Hidden,
}

/// Which bucket a request is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RateClass {
    /// Everything that has no bucket of its own.
    General,
    /// `/2.0/repositories` and below.
    Repositories,
    /// Raw files.
    Raw,
    /// Archives and downloads.
    Archives,
    /// Webhooks.
    Webhooks,
    /// Properties that apps keep.
    Properties,
    /// Git over HTTPS.
    Git,
    /// Pages, read in a browser.
    Pages,
}

/// What a coverage test sends beside the path, whose parameters its world fills in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// A body of JSON.
    Json(&'static str),
    /// A body of form fields.
    Form(&'static str),
    /// What follows the `?`.
    Query(&'static str),
}

impl Sample {
    const fn json(body: &'static str) -> Self {
        Self::Json(body)
    }

    const fn form(body: &'static str) -> Self {
        Self::Form(body)
    }
}

/// What carries an operation out.
pub type Operation = fn(Cx) -> BoxFuture<'static, model::Result<Response>>;

/// Whether an operation is there.
#[derive(Clone, Copy, Debug)]
pub enum Handler {
    /// Part of the contract, not built yet: 501.
    NotBuilt,
    /// Once part of the contract, retired there: 410, and what to use instead.
    Retired(&'static str),
    /// There.
    Built(Operation),
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with `{parameters}` and at most one last `{*wildcard}`.
    pub path: &'static str,
    /// Its own id, in `snake_case`: what metrics and tests call it.
    pub operation: &'static str,
    /// The chapter of the description that it belongs to.
    pub tag: &'static str,
    /// What is asked of the access model. Of a public row: nothing, the column is there for completeness.
    pub action: Action,
    /// What it is asked about.
    pub on: Anchor,
    /// Classic scopes, separated by blanks; all of them are needed. Parsed once, by [`Router::new`].
    pub classic: &'static str,
    /// Flat scopes, likewise. On `/api` both columns hold its own scopes.
    pub flat: &'static str,
    /// Which credentials are admitted.
    pub credentials: Credentials,
    /// How a refusal looks.
    pub visibility: Visibility,
    /// Whether it leaves an event: everything that changes something, and sensitive reads.
    pub audited: bool,
    /// Which bucket it is counted in.
    pub rate: RateClass,
    /// What a coverage test sends; none where the path alone will do.
    pub sample: Option<Sample>,
    /// What carries it out.
    pub handler: Handler,
}

impl Route {
    /// Whether it changes something.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.audited && self.method != Method::Get
    }

    /// Whether it is one of Bastide's own calls.
    #[must_use]
    pub fn is_api(&self) -> bool {
        self.path.starts_with("/api/") && !self.is_runners()
    }

    /// Whether it is spoken by runners, whose protocol is described where it is defined.
    #[must_use]
    pub fn is_runners(&self) -> bool {
        self.path.starts_with("/api/runner/")
    }

    /// Whether it is spoken by git rather than by clients of the REST interfaces.
    #[must_use]
    pub fn is_git(&self) -> bool {
        matches!(self.rate, RateClass::Git)
    }

    /// Whether it is read in a browser rather than by programs.
    #[must_use]
    pub fn is_page(&self) -> bool {
        matches!(self.rate, RateClass::Pages)
    }

    const fn new(
        method: Method,
        path: &'static str,
        operation: &'static str,
        tag: &'static str,
        audited: bool,
    ) -> Self {
        let rate =
            if begins(path, "/2.0/repositories/") { RateClass::Repositories } else { RateClass::General };
        Self {
            method,
            path,
            operation,
            tag,
            action: Action::Upkeep,
            on: Anchor::Instance,
            classic: "",
            flat: "",
            credentials: Credentials::ANY,
            visibility: Visibility::Hidden,
            audited,
            rate,
            sample: None,
            handler: Handler::NotBuilt,
        }
    }

    const fn asks(self, action: Action, on: Anchor) -> Self {
        Self { action, on, ..self }
    }

    const fn scopes(self, classic: &'static str, flat: &'static str) -> Self {
        Self { classic, flat, ..self }
    }

    /// A call of `/api`: one scope of its own, and credentials that stand for a user.
    const fn api(self, scope: &'static str) -> Self {
        Self { classic: scope, flat: scope, credentials: Credentials::USER_ONLY, ..self }
    }

    /// Users' credentials alone.
    const fn no_access_tokens(self) -> Self {
        Self { credentials: Credentials::NO_ACCESS_TOKENS, ..self }
    }

    /// A call for which the contract names no classic scope, though it is not open to everybody.
    const fn api_tokens_only(self) -> Self {
        Self { credentials: Credentials::API_TOKEN, ..self }
    }

    /// A call that only apps of another platform can make.
    const fn foreign_apps_only(self) -> Self {
        Self { credentials: Credentials::NONE, ..self }
    }

    /// A call that only the command line on the server's machine can make, through the operator's socket.
    const fn operator_only(self) -> Self {
        Self { credentials: Credentials::NONE, ..self }
    }

    const fn public(self) -> Self {
        Self { visibility: Visibility::Public, ..self }
    }

    /// A read that is sent by POST, or what changes nothing that is recorded: leases, logs.
    const fn reads(self) -> Self {
        Self { audited: false, ..self }
    }

    /// A read that leaves an event.
    const fn recorded(self) -> Self {
        Self { audited: true, ..self }
    }

    /// By runners alone, which have no scopes.
    const fn runners_only(self) -> Self {
        Self { credentials: Credentials::RUNNERS, ..self }
    }

    const fn rate(self, rate: RateClass) -> Self {
        Self { rate, ..self }
    }

    const fn sample(self, sample: Sample) -> Self {
        Self { sample: Some(sample), ..self }
    }

    const fn retired(self, instead: &'static str) -> Self {
        Self { handler: Handler::Retired(instead), ..self }
    }

    const fn built(self, operation: Operation) -> Self {
        Self { handler: Handler::Built(operation), ..self }
    }
}

/// `str::starts_with`, where constants are made.
const fn begins(text: &str, head: &str) -> bool {
    let (mut text, mut head) = (text.as_bytes(), head.as_bytes());
    while let [wanted, more_head @ ..] = head {
        match text {
            [found, more_text @ ..] if *found == *wanted => (text, head) = (more_text, more_head),
            _ => return false,
        }
    }
    true
}

const fn get(path: &'static str, operation: &'static str, tag: &'static str) -> Route {
    Route::new(Method::Get, path, operation, tag, false)
}

const fn post(path: &'static str, operation: &'static str, tag: &'static str) -> Route {
    Route::new(Method::Post, path, operation, tag, true)
}

/// A page. Sessions hold every scope, so its columns of scopes are empty.
const fn page(path: &'static str, operation: &'static str) -> Route {
    let row = Route::new(Method::Get, path, operation, "pages", false);
    Route { credentials: Credentials::SESSION_ONLY, rate: RateClass::Pages, ..row }
}

/// What a page's form is sent to.
const fn form(path: &'static str, operation: &'static str) -> Route {
    Route { method: Method::Post, audited: true, ..page(path, operation) }
}

const fn put(path: &'static str, operation: &'static str, tag: &'static str) -> Route {
    Route::new(Method::Put, path, operation, tag, true)
}

const fn delete(path: &'static str, operation: &'static str, tag: &'static str) -> Route {
    Route::new(Method::Delete, path, operation, tag, true)
}
