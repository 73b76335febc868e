//! What a viewer may see, as one condition in SQL per kind of resource: the lists' half of the access model.
//!
//! Lists cannot ask the access model row by row. These conditions say the same as its policies about reading, over
//! the same grants; a property test of `service` holds the two against each other in random worlds.

use model::{Principal, Resource, UserId};

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
pub(crate) fn repositories(query: &mut Query, viewer: Principal, at_least: AtLeast) {
    match viewer {
        Principal::User(user) => {
            query.sql("(");
            if at_least == AtLeast::Visible {
                query.sql("NOT r.private OR ");
            }
            granted(query, user, at_least, true);
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
            query.sql("NOT r.private");
        }
        Principal::Anonymous | Principal::Operator | Principal::System => {
            query.sql("1 = 0");
        }
    }
}

/// Adds the condition under which `viewer` may see project `p`.
pub(crate) fn projects(query: &mut Query, viewer: Principal) {
    match viewer {
        Principal::User(user) => {
            query.sql("(NOT p.private OR ");
            granted(query, user, AtLeast::Visible, false);
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
            query.sql("NOT p.private");
        }
        Principal::Operator | Principal::System => {
            query.sql("1 = 0");
        }
    }
}
