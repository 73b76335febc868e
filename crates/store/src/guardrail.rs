//! Guardrails: what a workspace has set, and what the instance has, one row each.

use std::collections::{BTreeMap, BTreeSet};

use model::{
    AllowedRange, EntryKind, Error, GuardrailKind, GuardrailMode, Guardrails, OwnRule, Result, Timestamp,
    UserId, WorkspaceId,
};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::{Query, Reader, Row, Writer, params};

/// In front of the name of a workspace's own rule.
const OWN_RULE: &str = "own-rule:";

/// Who changed something last, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// As the audit trail names them.
    pub by: String,
    /// When.
    pub on: Timestamp,
}

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// A guardrail's name, or `own-rule:NAME`.
    pub name: String,
    /// Whether it holds.
    pub mode: GuardrailMode,
    /// What goes with it.
    pub value: Json,
    /// Who changed it last.
    pub changed: Changed,
}

fn scope(workspace: Option<WorkspaceId>) -> Uuid {
    workspace.map_or_else(Uuid::nil, WorkspaceId::uuid)
}

fn from_row(row: &Row) -> Result<Setting> {
    Ok(Setting {
        name: row.get("name")?,
        mode: row.parse("mode")?,
        value: row.get("value")?,
        changed: Changed { by: row.get("changed_by")?, on: row.get("changed_on")? },
    })
}

/// What the instance has set, and what the workspace has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// For all workspaces.
    pub instance: Vec<Setting>,
    /// For this one.
    pub workspace: Vec<Setting>,
}

/// What holds in a workspace, or, without one, what the instance has set.
pub fn of(reader: &mut Reader<'_>, workspace: Option<WorkspaceId>) -> Result<Settings> {
    let rows = reader.all(
        "SELECT scope_id, name, mode, value, changed_by, changed_on FROM guardrail
         WHERE scope_id IN ($1, $2) ORDER BY scope_id, name",
        params![Uuid::nil(), scope(workspace)],
    )?;
    let mut settings = Settings::default();
    for row in &rows {
        let of_instance = row.get::<Uuid>("scope_id")?.is_nil();
        let side = if of_instance { &mut settings.instance } else { &mut settings.workspace };
        side.push(from_row(row)?);
    }
    Ok(settings)
}

/// Among the workspaces in which a user is granted anything, those that have set something.
pub fn set_where_granted(reader: &mut Reader<'_>, user: UserId) -> Result<Vec<WorkspaceId>> {
    let rows = reader.all(
        "SELECT DISTINCT c.scope_id FROM guardrail c JOIN access_grant g ON g.workspace_id = c.scope_id
         WHERE c.mode <> 'off' AND
               ((g.subject_kind = 'user' AND g.subject_id = $1) OR (g.subject_kind = 'group' AND g.subject_id IN
                (SELECT group_id FROM group_member WHERE user_id = $1)))",
        params![user],
    )?;
    rows.iter().map(|row| Ok(WorkspaceId::from_uuid(row.get("scope_id")?))).collect()
}

/// Every workspace in which a user is granted anything.
pub fn granted_in(reader: &mut Reader<'_>, user: UserId) -> Result<Vec<WorkspaceId>> {
    let rows = reader.all(
        "SELECT DISTINCT g.workspace_id FROM access_grant g
         WHERE (g.subject_kind = 'user' AND g.subject_id = $1) OR (g.subject_kind = 'group' AND g.subject_id IN
                (SELECT group_id FROM group_member WHERE user_id = $1))",
        params![user],
    )?;
    rows.iter().map(|row| Ok(WorkspaceId::from_uuid(row.get("workspace_id")?))).collect()
}

/// The active users who are granted anything in a workspace, themselves or through a group, by username.
pub fn granted_to(reader: &mut Reader<'_>, workspace: WorkspaceId, limit: i64) -> Result<Vec<UserId>> {
    let rows = reader.all(
        "SELECT u.id FROM user_account u WHERE u.active AND u.deleted_on IS NULL AND
               (u.id IN (SELECT subject_id FROM access_grant WHERE subject_kind = 'user' AND workspace_id = $1)
                OR u.id IN (SELECT m.user_id FROM group_member m JOIN access_grant g ON g.subject_id = m.group_id
                            WHERE g.subject_kind = 'group' AND g.workspace_id = $1))
         ORDER BY u.username_folded LIMIT $2",
        params![workspace, limit],
    )?;
    rows.iter().map(|row| Ok(UserId::from_uuid(row.get("id")?))).collect()
}

/// Whether any workspace has rules of its own that hold.
pub fn own_rules_anywhere(reader: &mut Reader<'_>) -> Result<bool> {
    let sql = "SELECT 1 AS one FROM guardrail WHERE mode = 'on' AND name LIKE 'own-rule:%' LIMIT 1";
    Ok(reader.one(sql, &[])?.is_some())
}

/// Which of some resources lie in a workspace, or are its members: what its own rules may name.
pub fn known_in(reader: &mut Reader<'_>, workspace: WorkspaceId, ids: &[Uuid]) -> Result<BTreeSet<Uuid>> {
    if ids.is_empty() {
        return Ok(BTreeSet::new());
    }
    let mut query = Query::new("SELECT id FROM workspace WHERE id = ");
    query.bind(workspace).sql(" UNION SELECT id FROM project WHERE workspace_id = ").bind(workspace);
    query.sql(" AND id IN ").bind_list(ids.iter().copied());
    query.sql(" UNION SELECT id FROM repository WHERE workspace_id = ").bind(workspace);
    query.sql(" AND id IN ").bind_list(ids.iter().copied());
    query.sql(" UNION SELECT subject_id FROM access_grant WHERE subject_kind = 'user' AND workspace_id = ");
    query.bind(workspace).sql(" AND subject_id IN ").bind_list(ids.iter().copied());
    reader.query(&query)?.iter().map(|row| row.get("id")).collect()
}

fn texts(value: &Json, name: &str) -> String {
    value.get(name).and_then(Json::as_str).unwrap_or_default().to_owned()
}

fn ranges(value: &Json) -> Result<Vec<AllowedRange>> {
    let read = |line: &Json| {
        let range = texts(line, "range").parse().map_err(Error::internal)?;
        Ok(AllowedRange { range, description: texts(line, "description") })
    };
    value.as_array().into_iter().flatten().map(read).collect()
}

/// A kind that is no longer known admits nothing.
fn kinds(value: &Json) -> BTreeSet<EntryKind> {
    value.as_array().into_iter().flatten().filter_map(Json::as_str).filter_map(EntryKind::parse).collect()
}

/// The guardrails that some rows are.
pub fn read(settings: &[Setting]) -> Result<Guardrails> {
    let mut guardrails = Guardrails::default();
    for Setting { name, mode, value, .. } in settings {
        if let Some(name) = name.strip_prefix(OWN_RULE) {
            guardrails.own_rules.push(OwnRule {
                name: name.to_owned(),
                description: texts(value, "description"),
                mode: *mode,
                policy: texts(value, "policy"),
            });
            continue;
        }
        let kind = GuardrailKind::ALL.iter().find(|kind| kind.as_str() == name.as_str());
        // Whatever refuses must not be passed over because this program is too old to know it.
        let kind = kind.ok_or_else(|| Error::internal(format_args!("there is no guardrail `{name}`")))?;
        match kind {
            GuardrailKind::IpAllowlist => {
                guardrails.ip_allowlist = *mode;
                guardrails.allowed = ranges(value)?;
            }
            GuardrailKind::SecondStep => guardrails.second_step = *mode,
            GuardrailKind::PrivateOnly => guardrails.private_only = *mode,
            GuardrailKind::NoForksOutside => guardrails.no_forks_outside = *mode,
            GuardrailKind::CredentialLifetime => {
                guardrails.credential_lifetime = *mode;
                guardrails.longest_days = value.as_i64().unwrap_or(0);
            }
            GuardrailKind::CredentialKinds => {
                guardrails.credential_kinds = *mode;
                guardrails.admitted = kinds(value);
            }
            GuardrailKind::IdentityProvider => guardrails.identity_provider = *mode,
        }
    }
    Ok(guardrails)
}

/// The rows that some guardrails are, each as `changed` says.
fn rows(guardrails: &Guardrails, changed: &Changed) -> Vec<Setting> {
    let value = |kind: &GuardrailKind| match kind {
        GuardrailKind::IpAllowlist => guardrails
            .allowed
            .iter()
            .map(|line| json!({ "range": line.range.to_string(), "description": line.description }))
            .collect(),
        GuardrailKind::CredentialLifetime => json!(guardrails.longest_days),
        GuardrailKind::CredentialKinds => guardrails.admitted.iter().map(|kind| kind.name()).collect(),
        GuardrailKind::SecondStep
        | GuardrailKind::PrivateOnly
        | GuardrailKind::NoForksOutside
        | GuardrailKind::IdentityProvider => Json::Null,
    };
    let fixed = GuardrailKind::ALL.iter().map(|kind| Setting {
        name: kind.as_str().to_owned(),
        mode: guardrails.mode(*kind),
        value: value(kind),
        changed: changed.clone(),
    });
    let own = guardrails.own_rules.iter().map(|rule| Setting {
        name: [OWN_RULE, &rule.name].concat(),
        mode: rule.mode,
        value: json!({ "description": rule.description, "policy": rule.policy }),
        changed: changed.clone(),
    });
    fixed.chain(own).collect()
}

/// Who changed each one last, by its name.
#[must_use]
pub fn changes(settings: &[Setting]) -> BTreeMap<String, Changed> {
    settings.iter().map(|setting| (setting.name.clone(), setting.changed.clone())).collect()
}

/// Writes down what changes, and what was taken out; all else keeps its row.
pub fn set(
    writer: &mut Writer<'_>,
    workspace: Option<WorkspaceId>,
    before: &[Setting],
    after: &Guardrails,
    changed: &Changed,
) -> Result<()> {
    let scope = scope(workspace);
    let after = rows(after, changed);
    for gone in before.iter().filter(|old| after.iter().all(|new| new.name != old.name)) {
        writer
            .execute("DELETE FROM guardrail WHERE scope_id = $1 AND name = $2", params![scope, &gone.name])?;
    }
    for new in &after {
        let old = before.iter().find(|old| old.name == new.name);
        let untouched = old.map_or_else(
            || new.mode == GuardrailMode::Off && !new.name.starts_with(OWN_RULE) && is_empty(&new.value),
            |old| old.mode == new.mode && old.value == new.value,
        );
        if untouched {
            continue;
        }
        writer.execute(
            "INSERT INTO guardrail (scope_id, name, mode, value, changed_by, changed_on)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (scope_id, name) DO UPDATE SET mode = excluded.mode, value = excluded.value,
                 changed_by = excluded.changed_by, changed_on = excluded.changed_on",
            params![scope, &new.name, new.mode.as_str(), &new.value, &new.changed.by, new.changed.on],
        )?;
    }
    Ok(())
}

fn is_empty(value: &Json) -> bool {
    value.is_null() || value.as_i64() == Some(0) || value.as_array().is_some_and(Vec::is_empty)
}
