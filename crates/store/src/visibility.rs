//! What a viewer may see, as one condition in SQL per kind of resource: the lists' half of the access model.
//!
//! Lists cannot ask the access model row by row. These conditions say the same as its policies about reading, over
//! the same grants; a property test of `service` holds the two against each other in random worlds.

use model::{Principal, Resource, UserId, WorkspaceId};

use crate::Query;

/// At least which level a list asks for (the contract's `role=`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtLeast {
    /// Whatever may be seen, public repositories included.
    Visible,
    /// A grant to read.
    Read,
    /// A grant to write.
    Write,
    /// A grant to administer.
    Admin,
    /// Owner of the workspace.
    Owner,
}

/// What guardrails close to a viewer, and break-glass opens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closed {
    /// The workspaces whose private content is closed.
    pub private_in: Vec<WorkspaceId>,
    /// Whether the instance lets nothing be public. What a single workspace says of that is in the store.
    pub nothing_public: bool,
    /// The workspaces whose content break-glass opens to the viewer.
    pub opened_in: Vec<WorkspaceId>,
}

impl Closed {
    /// Nothing is closed.
    pub const NOTHING: Self = Self { private_in: Vec::new(), nothing_public: false, opened_in: Vec::new() };
}

/// What a condition speaks of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum About {
    Repositories,
    Projects,
}

/// That it is public, where anything may be.
fn public(query: &mut Query, about: About, closed: &Closed) {
    if closed.nothing_public {
        query.sql("1 = 0");
        return;
    }
    query.sql(match about {
        About::Repositories => {
            "(NOT r.private AND NOT EXISTS (SELECT 1 FROM guardrail c WHERE c.scope_id = r.workspace_id"
        }
        About::Projects => {
            "(NOT p.private AND NOT EXISTS (SELECT 1 FROM guardrail c WHERE c.scope_id = p.workspace_id"
        }
    });
    query.sql(" AND c.name = 'private-only' AND c.mode = 'on'))");
}

/// That guardrails do not close it.
fn open(query: &mut Query, about: About, closed: &Closed) {
    if closed.private_in.is_empty() {
        return;
    }
    query.sql(match about {
        About::Repositories => " AND (NOT r.private OR r.workspace_id NOT IN ",
        About::Projects => " AND (NOT p.private OR p.workspace_id NOT IN ",
    });
    query.bind_list(closed.private_in.iter().copied()).sql(")");
}

/// That break-glass opens it.
fn opened(query: &mut Query, about: About, closed: &Closed) {
    if closed.opened_in.is_empty() {
        return;
    }
    query.sql(match about {
        About::Repositories => " OR r.workspace_id IN ",
        About::Projects => " OR p.workspace_id IN ",
    });
    query.bind_list(closed.opened_in.iter().copied());
}

/// A grant of at least a level to a user, directly or through a group. `levels` are SQL lists per kind of resource.
fn granted(query: &mut Query, user: UserId, at_least: AtLeast, with_repository: bool) {
    let (workspace, project, repository) = match at_least {
        AtLeast::Visible | AtLeast::Read => {
            ("('owner')", "('read', 'write', 'create-repo', 'admin')", "('read', 'write', 'admin')")
        }
        AtLeast::Write => ("('owner')", "('write', 'create-repo', 'admin')", "('write', 'admin')"),
        AtLeast::Admin => ("('owner')", "('admin')", "('admin')"),
        AtLeast::Owner => ("('owner')", "('')", "('')"),
    };
    // One look-up of the viewer's own grants in the workspace; which resource each is on is told apart by kind.
    query.sql("EXISTS (SELECT 1 FROM access_grant g WHERE ");
    query.sql("((g.subject_kind = 'user' AND g.subject_id = ").bind(user).sql(")");
    query.sql(" OR (g.subject_kind = 'group' AND g.subject_id IN (SELECT group_id FROM group_member WHERE user_id = ");
    query.bind(user).sql(")))");
    query.sql(" AND ((g.resource_kind = 'workspace' AND g.resource_id = ");
    query.sql(if with_repository { "r.workspace_id" } else { "p.workspace_id" });
    query.sql(" AND g.permission IN ").sql(workspace).sql(")");
    query.sql(" OR (g.resource_kind = 'project' AND g.resource_id = ");
    query.sql(if with_repository { "r.project_id" } else { "p.id" });
    query.sql(" AND g.permission IN ").sql(project).sql(")");
    if with_repository {
        query.sql(" OR (g.resource_kind = 'repository' AND g.resource_id = r.id AND g.permission IN ");
        query.sql(repository).sql(")");
    }
    query.sql("))");
}

/// Adds the condition under which `viewer` may see repository `r`.
pub(crate) fn repositories(query: &mut Query, viewer: Principal, at_least: AtLeast, closed: &Closed) {
    query.sql("(");
    may_see_repository(query, viewer, at_least, closed);
    open(query, About::Repositories, closed);
    query.sql(")");
}

fn may_see_repository(query: &mut Query, viewer: Principal, at_least: AtLeast, closed: &Closed) {
    match viewer {
        Principal::User(user) => {
            query.sql("(");
            if at_least == AtLeast::Visible {
                public(query, About::Repositories, closed);
                query.sql(" OR ");
            }
            granted(query, user, at_least, true);
            if at_least == AtLeast::Visible {
                opened(query, About::Repositories, closed);
            }
            query.sql(")");
        }
        Principal::AccessToken { bound_to, .. } => match bound_to {
            Resource::Repository(id) => {
                query.sql("r.id = ").bind(id);
            }
            Resource::Project(id) => {
                query.sql("r.project_id = ").bind(id);
            }
            Resource::Workspace(id) => {
                query.sql("r.workspace_id = ").bind(id);
            }
            Resource::Instance | Resource::User(_) => {
                query.sql("1 = 0");
            }
        },
        Principal::Anonymous if at_least == AtLeast::Visible => {
            public(query, About::Repositories, closed);
        }
        Principal::Anonymous | Principal::Runner { .. } | Principal::Operator | Principal::System => {
            query.sql("1 = 0");
        }
    }
}

/// Adds the condition under which `viewer` may see project `p`.
pub(crate) fn projects(query: &mut Query, viewer: Principal, closed: &Closed) {
    query.sql("(");
    may_see_project(query, viewer, closed);
    open(query, About::Projects, closed);
    query.sql(")");
}

fn may_see_project(query: &mut Query, viewer: Principal, closed: &Closed) {
    match viewer {
        Principal::User(user) => {
            query.sql("(");
            public(query, About::Projects, closed);
            query.sql(" OR ");
            granted(query, user, AtLeast::Visible, false);
            opened(query, About::Projects, closed);
            query.sql(")");
        }
        Principal::AccessToken { bound_to, .. } => match bound_to {
            Resource::Project(id) => {
                query.sql("p.id = ").bind(id);
            }
            Resource::Workspace(id) => {
                query.sql("p.workspace_id = ").bind(id);
            }
            Resource::Instance | Resource::User(_) | Resource::Repository(_) => {
                query.sql("1 = 0");
            }
        },
        Principal::Anonymous => {
            public(query, About::Projects, closed);
        }
        Principal::Runner { .. } | Principal::Operator | Principal::System => {
            query.sql("1 = 0");
        }
    }
}
