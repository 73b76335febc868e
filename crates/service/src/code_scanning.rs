//! Which findings of scanners fail a run of a pipeline: the rule of a workspace, what it says of a commit, and who is told.

use std::collections::BTreeSet;

use model::code_scanning::MOST_TOOLS;
use model::report::{LONGEST_SUMMARY, Severity};
use model::{CodeScanning, Email, ObjectId, RepositoryId, Result, UserId, WorkspaceId, act};
use serde_json::{Value, json};
use store::repository::Located;
use store::{Reader, Writer};

use crate::field::Fields;
use crate::mail::letter;
use crate::report::tool_of;
use crate::{Caller, Service};

/// So many people are told of one run, at most.
const MOST_TOLD: usize = 50;

/// The word for the rule that fails nothing.
pub const NONE: &str = "none";

/// A rule, in the request's own words.
#[derive(Clone, Debug, Default)]
pub struct NewCodeScanning {
    /// `none`, or how grave a finding must be to fail a run.
    pub fail_at: String,
    /// Of which tools; of all where it is empty.
    pub tools: Vec<String>,
}

fn rule(new: &NewCodeScanning) -> Result<CodeScanning> {
    let mut fields = Fields::default();
    let fail_at = match new.fail_at.as_str() {
        NONE => None,
        word => {
            let found = Severity::ALL.iter().copied().find(|one| one.as_str().eq_ignore_ascii_case(word));
            if found.is_none() {
                fields.wrong("fail_at", "use one of `none`, `critical`, `high`, `medium`, `low`");
            }
            found
        }
    };
    if new.tools.len() > MOST_TOOLS {
        fields.wrong("tools", format_args!("name at most {MOST_TOOLS} tools"));
    }
    let mut tools = BTreeSet::new();
    for (at, tool) in new.tools.iter().enumerate().take(MOST_TOOLS) {
        let field = format!("tools[{at}]");
        let tool = fields.text(&field, Some(tool), LONGEST_SUMMARY);
        tools.extend(fields.required(&field, tool).as_deref().map(tool_of));
    }
    fields.finish()?;
    Ok(CodeScanning { fail_at, tools: tools.into_iter().collect() })
}

/// A rule in the audit trail.
fn shown(rule: &CodeScanning) -> Value {
    let fail_at = rule.fail_at.map_or(NONE.to_owned(), |one| one.as_str().to_lowercase());
    json!({ "fail_at": fail_at, "tools": rule.tools })
}

/// Why a run on a commit fails by the workspace's rule; none where it does not.
pub(crate) fn code_scanning_verdict(
    reader: &mut Reader<'_>,
    workspace: WorkspaceId,
    repository: RepositoryId,
    commit: &ObjectId,
) -> Result<Option<String>> {
    let rule = store::code_scanning::of(reader, workspace)?;
    let Some(fail_at) = rule.fail_at else { return Ok(None) };
    let mut found = store::report::open_findings(reader, repository, commit)?;
    found.retain(|one| {
        let about = rule.tools.is_empty() || one.tool.as_ref().is_some_and(|tool| rule.tools.contains(tool));
        about && one.severity <= fail_at
    });
    if found.is_empty() {
        return Ok(None);
    }
    let mut counts = Vec::new();
    for severity in Severity::ALL {
        let of = found.iter().filter(|one| one.severity == *severity).map(|one| one.count);
        let count = of.fold(0, i64::saturating_add);
        if count > 0 {
            counts.push(format!("{count} {}", severity.as_str().to_lowercase()));
        }
    }
    let titles: BTreeSet<&str> = found.iter().map(|one| one.title.as_str()).collect();
    let named: Vec<&str> = titles.iter().copied().take(5).collect();
    let more = if titles.len() > named.len() { " and others" } else { "" };
    Ok(Some(format!(
        "open findings ({}) in {}{more}: the workspace lets no finding pass that is {} or graver",
        counts.join(", "),
        named.join(", "),
        fail_at.as_str().to_lowercase()
    )))
}

impl Service {
    /// A workspace's rule.
    pub async fn code_scanning(&self, caller: &Caller, workspace: &str) -> Result<CodeScanning> {
        let ground = self.workspace_ground(caller, workspace).await?;
        self.check(caller, act::CodeScanningRead, &ground)?;
        let id = ground.subject.id;
        self.store.read(move |reader| store::code_scanning::of(reader, id)).await
    }

    /// Sets a workspace's rule. It is asked of the next run that ends.
    pub async fn set_code_scanning(
        &self,
        caller: &Caller,
        workspace: &str,
        new: NewCodeScanning,
    ) -> Result<CodeScanning> {
        let ground = self.workspace_ground(caller, workspace).await?;
        let permit = self.permit(caller, act::CodeScanningConfigure, &ground)?;
        let (id, after) = (ground.subject.id, rule(&new)?);
        self.store
            .write(&permit, move |writer| {
                let before = store::code_scanning::of(writer, id)?;
                store::code_scanning::set(writer, id, &after)?;
                writer.note(shown(&before), shown(&after));
                Ok(after.clone())
            })
            .await
    }

    /// Mails who started a run, and the repository's administrators, that findings have failed it: queued in the
    /// transaction that fails it. Told are those alone who may see the repository by a grant; findings themselves are
    /// not in the mail. The run is told by its number and its commit.
    pub(crate) fn notify_findings(
        &self,
        writer: &mut Writer<'_>,
        located: &Located,
        run: (i64, &ObjectId),
        starter: Option<UserId>,
        verdict: &str,
    ) -> Result<()> {
        if !self.outbox.is_on() {
            return Ok(());
        }
        let mut told: Vec<Email> = Vec::new();
        for (user, permission) in self.permissions_on(writer, located)? {
            let concerned =
                permission == model::RepositoryPermission::Admin || starter.is_some_and(|id| id == user.id);
            if concerned && user.active && !told.contains(&user.email) {
                told.push(user.email);
            }
        }
        let place = (located.workspace.slug.as_str(), located.repository.slug.as_str());
        for to in told.iter().take(MOST_TOLD) {
            let message = letter::findings(to, place, run, verdict, &self.settings.base_url);
            self.outbox.queue(&mut writer.bookkeeping(), &message)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_read_or_refused() {
        let read = |fail_at: &str, tools: &[&str]| {
            let tools = tools.iter().map(|tool| (*tool).to_owned()).collect();
            rule(&NewCodeScanning { fail_at: fail_at.to_owned(), tools })
        };
        assert_eq!(read("none", &[]).unwrap(), CodeScanning::default());
        let rule = read("High", &["Trivy", "trivy ", "Semgrep OSS"]).unwrap();
        assert_eq!(rule.fail_at, Some(Severity::High));
        assert_eq!(rule.tools, ["semgrep oss", "trivy"]);
        for (fail_at, tools) in [("", &[][..]), ("grave", &[]), ("low", &["\u{7}"]), ("low", &[""])] {
            assert!(read(fail_at, tools).is_err(), "{fail_at} {tools:?}");
        }
        assert!(read("low", &vec!["a"; MOST_TOOLS + 1]).is_err());
    }
}
