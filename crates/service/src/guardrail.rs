//! Guardrails: seeing and setting them, telling whom they refused, and recording what they would have refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{
    Action, Error, GuardrailKind, GuardrailMode, Guardrails, Outcome, ResourceKind, Result, WorkspaceId, act,
};
use policy::{Decision, MOST_RULES, Question};
use serde_json::{Value, json};
use store::guardrail::{Changed, Settings};

use crate::access::{Ground, question};
use crate::guard::{Guard, as_private, is_guardrail};
use crate::{Caller, Service};

/// The most lines of an allowlist.
const MOST_RANGES: usize = 200;
/// The longest description, in characters.
const LONGEST_DESCRIPTION: usize = 200;
/// The longest life of a credential that can be asked for, in days.
const LONGEST_DAYS: i64 = 3_650;
/// So many different reports are recorded as events in a day; all are counted.
const MOST_REPORTS: usize = 1_000;

/// Guardrails as they are to be from now on.
#[derive(Clone, Debug, Default)]
pub struct NewGuardrails {
    /// All of them.
    pub guardrails: Guardrails,
    /// The one who saves knows that it locks them out.
    pub confirm_lockout: bool,
    /// The one who saves knows that a range is very wide.
    pub confirm_wide_ranges: bool,
}

/// Guardrails as they are.
#[derive(Clone, Debug)]
pub struct GuardrailView {
    /// What is set here.
    pub guardrails: Guardrails,
    /// Who changed each last, by its name (`own-rule:NAME` for a rule).
    pub changed: BTreeMap<String, Changed>,
    /// What the instance asks of every workspace; none where that is what was asked for.
    pub floor: Option<Guardrails>,
    /// What was read, to tell whether it has changed since.
    pub(crate) settings: Settings,
}

impl GuardrailView {
    fn of(settings: Settings, workspace: Option<WorkspaceId>) -> Result<Self> {
        let floor = store::guardrail::read(&settings.instance)?;
        Ok(match workspace {
            Some(_) => Self {
                guardrails: store::guardrail::read(&settings.workspace)?,
                changed: store::guardrail::changes(&settings.workspace),
                floor: Some(floor),
                settings,
            },
            None => Self {
                guardrails: floor,
                changed: store::guardrail::changes(&settings.instance),
                floor: None,
                settings,
            },
        })
    }
}

/// What the audit trail tells of guardrails.
fn shown(guardrails: &Guardrails) -> Value {
    let modes: serde_json::Map<String, Value> = GuardrailKind::ALL
        .iter()
        .map(|kind| (kind.as_str().to_owned(), json!(guardrails.mode(*kind).as_str())))
        .collect();
    let allowed = guardrails.allowed.iter().map(|line| line.range.to_string()).collect::<Vec<_>>();
    let admitted = guardrails.admitted.iter().map(|kind| kind.name()).collect::<Vec<_>>();
    let rules = guardrails
        .own_rules
        .iter()
        .map(|rule| json!({ "name": rule.name, "mode": rule.mode.as_str(), "policy": rule.policy }));
    json!({
        "modes": modes, "allowed": allowed, "longest_days": guardrails.longest_days, "admitted": admitted,
        "own_rules": rules.collect::<Vec<_>>(),
    })
}

fn odd(field: &str, message: impl std::fmt::Display) -> Error {
    Error::invalid_field(field, message)
}

fn description(field: &str, text: &str) -> Result<()> {
    match text.chars().count() > LONGEST_DESCRIPTION || text.chars().any(char::is_control) {
        true => {
            Err(odd(field, format!("describe it in one line of at most {LONGEST_DESCRIPTION} characters")))
        }
        false => Ok(()),
    }
}

/// Whether guardrails are ones that can hold, apart from what their rules name.
fn fit(new: &NewGuardrails) -> Result<()> {
    let (guardrails, off) = (&new.guardrails, GuardrailMode::Off);
    if guardrails.allowed.len() > MOST_RANGES {
        return Err(odd(
            "ip_allowlist",
            format!("list at most {MOST_RANGES} ranges: draw neighbours together"),
        ));
    }
    if guardrails.ip_allowlist != off && guardrails.allowed.is_empty() {
        return Err(odd("ip_allowlist", "list at least one range, or everybody is refused"));
    }
    for line in &guardrails.allowed {
        description("ip_allowlist", &line.description)?;
        if line.range.is_wide() && !new.confirm_wide_ranges {
            let text = "holds a good part of all addresses: send `confirm_wide_ranges: true` if you mean it";
            return Err(odd("ip_allowlist", format!("`{}` {text}", line.range)));
        }
    }
    let days = guardrails.longest_days;
    let needed = guardrails.credential_lifetime != off;
    if (needed || days != 0) && !(1..=LONGEST_DAYS).contains(&days) {
        return Err(odd("credential_lifetime", format!("use 1 to {LONGEST_DAYS} days")));
    }
    if guardrails.credential_kinds != off && guardrails.admitted.is_empty() {
        return Err(odd("credential_kinds", "admit at least one kind, or everybody is refused"));
    }
    if guardrails.own_rules.len() > MOST_RULES {
        return Err(odd("own_rules", format!("a workspace has at most {MOST_RULES} rules of its own")));
    }
    for (at, rule) in guardrails.own_rules.iter().enumerate() {
        description("own_rules", &rule.description)?;
        if guardrails.own_rules.iter().take(at).any(|other| other.name == rule.name) {
            return Err(odd("own_rules", format!("`{}` is there twice: names are given once", rule.name)));
        }
    }
    Ok(())
}

impl Service {
    pub(crate) async fn guardrail_ground(
        &self,
        caller: &Caller,
        workspace: Option<&str>,
    ) -> Result<Ground<Option<WorkspaceId>>> {
        match workspace {
            Some(name) => {
                let Ground { subject, facts, grants, guard, break_glass, target } =
                    self.workspace_ground(caller, name).await?;
                Ok(Ground { subject: Some(subject.id), facts, grants, guard, break_glass, target })
            }
            None => {
                let Ground { facts, grants, guard, target, .. } = self.instance_ground();
                Ok(Ground { subject: None, facts, grants, guard, break_glass: None, target })
            }
        }
    }

    async fn guardrail_settings(&self, workspace: Option<WorkspaceId>) -> Result<Settings> {
        self.store.read(move |reader| store::guardrail::of(reader, workspace)).await
    }

    /// The guardrails of a workspace, or, without one, what the instance asks of all.
    pub async fn guardrails(&self, caller: &Caller, workspace: Option<&str>) -> Result<GuardrailView> {
        let ground = self.guardrail_ground(caller, workspace).await?;
        self.check(caller, act::GuardrailRead, &ground)?;
        GuardrailView::of(self.guardrail_settings(ground.subject).await?, ground.subject)
    }

    /// Sets all guardrails of a workspace, or of the instance, if they are still as `seen`.
    pub async fn set_guardrails(
        &self,
        caller: &Caller,
        workspace: Option<&str>,
        new: NewGuardrails,
        seen: GuardrailView,
    ) -> Result<GuardrailView> {
        let ground = self.guardrail_ground(caller, workspace).await?;
        let permit = self.permit(caller, act::GuardrailUpdate, &ground)?;
        let candidate = self.candidate(&new, ground.subject, &seen).await?;
        if !new.confirm_lockout
            && let Err(refusals) = self.keeps_in(caller, &ground, candidate)
        {
            let text = format!(
                "this would lock you out, who save it: {refusals} Send `confirm_lockout: true` if you mean it; \
                 `bastide admin guardrails reset` on the server's machine is then the way back"
            );
            return Err(odd("confirm_lockout", text));
        }
        let scope = ground.subject;
        let after = new.guardrails;
        self.store
            .write(&permit, move |writer| {
                let now = store::guardrail::of(writer, scope)?;
                if now != seen.settings {
                    return Err(crate::user::changed_meanwhile());
                }
                let before = if scope.is_some() { &now.workspace } else { &now.instance };
                let origin = writer.origin();
                let changed = Changed { by: origin.actor.clone(), on: origin.time };
                store::guardrail::set(writer, scope, before, &after, &changed)?;
                writer.note(shown(&store::guardrail::read(before)?), shown(&after));
                GuardrailView::of(store::guardrail::of(writer, scope)?, scope)
            })
            .await
    }

    /// Switches off all guardrails of a workspace, or of the instance: the way back for whoever locked themselves out.
    pub async fn reset_guardrails(&self, caller: &Caller, workspace: Option<&str>) -> Result<GuardrailView> {
        let seen = self.guardrails(caller, workspace).await?;
        let mut guardrails = seen.guardrails.clone();
        for mode in [
            &mut guardrails.ip_allowlist,
            &mut guardrails.second_step,
            &mut guardrails.private_only,
            &mut guardrails.no_forks_outside,
            &mut guardrails.credential_lifetime,
            &mut guardrails.credential_kinds,
            &mut guardrails.identity_provider,
        ] {
            *mode = GuardrailMode::Off;
        }
        for rule in &mut guardrails.own_rules {
            rule.mode = GuardrailMode::Off;
        }
        let ground = self.guardrail_ground(caller, workspace).await?;
        let permit = self.permit(caller, act::GuardrailUpdate, &ground)?;
        let scope = ground.subject;
        self.store
            .write(&permit, move |writer| {
                let now = store::guardrail::of(writer, scope)?;
                let before = if scope.is_some() { &now.workspace } else { &now.instance };
                let origin = writer.origin();
                let changed = Changed { by: origin.actor.clone(), on: origin.time };
                store::guardrail::set(writer, scope, before, &guardrails, &changed)?;
                writer.note(shown(&store::guardrail::read(before)?), shown(&guardrails));
                GuardrailView::of(store::guardrail::of(writer, scope)?, scope)
            })
            .await
    }

    /// The guardrails as they would be, if they are ones that can be.
    pub(crate) async fn candidate(
        &self,
        new: &NewGuardrails,
        scope: Option<WorkspaceId>,
        seen: &GuardrailView,
    ) -> Result<Guard> {
        fit(new)?;
        let mut mentions = Vec::new();
        for rule in &new.guardrails.own_rules {
            let checked = self.model.own_rule(&rule.name, &rule.description, &rule.policy)?;
            mentions.extend(checked.mentions().into_iter().map(|resource| (rule.name.clone(), resource)));
        }
        match scope {
            None if new.guardrails.own_rules.is_empty() => {}
            None => return Err(odd("own_rules", "rules of one's own are a workspace's: set them there")),
            Some(workspace) => {
                let ids: Vec<_> = mentions.iter().map(|(_, resource)| resource.uuid()).collect();
                let known = self
                    .store
                    .read(move |reader| store::guardrail::known_in(reader, workspace, &ids))
                    .await?;
                if let Some((rule, resource)) = mentions.iter().find(|(_, one)| !known.contains(&one.uuid()))
                {
                    let kind = match resource.kind() {
                        ResourceKind::User => "member",
                        kind => kind.as_str(),
                    };
                    let id = resource.uuid().simple();
                    return Err(odd("own_rules", format!("`{rule}`: `{id}` is no {kind} of this workspace")));
                }
            }
        }
        let floor = seen.floor.clone().unwrap_or_default();
        Guard::new(&self.model, scope, floor, new.guardrails.clone())
    }

    /// Whether the one who saves could change guardrails again by the same way; else why not.
    pub(crate) fn keeps_in(
        &self,
        caller: &Caller,
        ground: &Ground<Option<WorkspaceId>>,
        candidate: Guard,
    ) -> Result<(), String> {
        let after = Ground { guard: Arc::new(candidate), ..ground.clone() };
        for action in [Action::GuardrailUpdate, Action::GuardrailRead] {
            // The instance's own settings are guarded by none of what it asks of workspaces.
            let decision = self.decide(caller, action, &after);
            if ground.subject.is_some() && !decision.allowed {
                return Err(told(&decision));
            }
        }
        Ok(())
    }

    /// The refusal by a guardrail, told to whoever would see the resource without guardrails, were it private; to everybody
    /// else what is refused does not exist. None where no guardrail refused.
    pub(crate) fn guardrail_refusal<T>(
        &self,
        caller: &Caller,
        action: Action,
        ground: &Ground<T>,
        decision: &Decision,
        sight: Option<Action>,
    ) -> Option<Error> {
        let reason = decision.reasons.iter().find(|reason| is_guardrail(&reason.policy))?;
        let principal = ground.principal(caller.facts(), self.clock.now());
        let facts = as_private(ground.facts);
        let bare = Question {
            action: sight?,
            resource: &facts,
            guardrails: policy::Guardrails::NONE,
            ..question(caller, &principal, action, ground)
        };
        if !self.model.decide(&bare).allowed {
            return None;
        }
        let names: Vec<&str> = decision
            .reasons
            .iter()
            .map(|reason| reason.policy.as_str())
            .filter(|id| is_guardrail(id))
            .collect();
        let address = match (names.contains(&"guardrail-ip-allowlist"), caller.address()) {
            (true, Some(address)) => format!(" You come from {}.", address.to_canonical()),
            _ => String::new(),
        };
        let message = format!(
            "`{action}` on `{}` is refused by a guardrail ({}): {}{address} To change it, ask {}.",
            ground.target.label,
            names.join(", "),
            told(decision),
            ground.guard.who_can_change(&reason.policy),
        );
        Some(Error::Forbidden { message, reasons: decision.policies() })
    }

    /// Counts and records what was let through and would be refused by guardrails that only report yet.
    pub(crate) fn report<T>(&self, caller: &Caller, action: Action, ground: &Ground<T>) {
        if !ground.guard.reports() {
            return;
        }
        let principal = ground.principal(caller.facts(), self.clock.now());
        let asked = question(caller, &principal, action, ground);
        let guardrails = ground.guard.facts(caller, GuardrailMode::Report);
        let decision = self.model.decide(&Question { guardrails, ..asked });
        if decision.allowed {
            return;
        }
        self.count(caller, action, &ground.target, Outcome::Reported);
        let Some(workspace) = ground.target.workspace else { return };
        let now = self.clock.now();
        let reasons = decision.policies();
        let first = self.reports.is_first(now.day(), (workspace, caller.label(), action, reasons.clone()));
        if !first || caller.is_anonymous() {
            return;
        }
        let reported = self.event(&self.origin(caller), &ground.target, (action, Outcome::Reported), reasons);
        let store = self.store.clone();
        self.background.spawn(async move {
            if let Err(error) = store.record(reported).await {
                tracing::error!(%error, "a guardrail's report could not be recorded");
            }
        });
    }
}

fn told(decision: &Decision) -> String {
    let texts = decision
        .reasons
        .iter()
        .filter(|reason| is_guardrail(&reason.policy))
        .map(|reason| reason.text.as_str());
    texts.collect::<Vec<_>>().join(" ")
}

/// What was reported, by whom, doing what, where, for which reasons.
type Report = (WorkspaceId, String, Action, Vec<String>);

/// Which reports were recorded today: the first of each kind is an event, the others are counted alone.
#[derive(Default)]
pub(crate) struct Reports {
    today: std::sync::Mutex<(i64, std::collections::HashSet<Report>)>,
}

impl Reports {
    fn is_first(&self, day: i64, report: Report) -> bool {
        let mut today = self.today.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if today.0 != day {
            *today = (day, std::collections::HashSet::new());
        }
        today.1.len() < MOST_REPORTS && today.1.insert(report)
    }
}

#[cfg(test)]
mod tests {
    use model::Random;

    use super::*;

    #[test]
    fn a_report_is_recorded_once_a_day_and_not_without_end() {
        let reports = Reports::default();
        let workspace = WorkspaceId::new(&Random::seeded(1));
        let report =
            |number: usize| (workspace, format!("user:{number}"), Action::RepositoryRead, Vec::new());
        assert!(reports.is_first(1, report(0)));
        assert!(!reports.is_first(1, report(0)));
        assert!(reports.is_first(2, report(0)));
        assert_eq!(
            (1..5_000).filter(|number| reports.is_first(2, report(*number))).count(),
            MOST_REPORTS - 1
        );
    }
}
