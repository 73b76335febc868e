//! What single audit events tell that somebody should look at: a guardrail that holds less, an administrator made.

use model::{AddressRange, AlertPattern, AuditEvent, GuardrailKind, GuardrailMode, Outcome, WorkspaceId};
use policy::InternalReason;
use serde_json::Value;

/// The longest subject, in characters: names of own rules are part of some.
const LONGEST_SUBJECT: usize = 200;

/// Something that stands out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) workspace: Option<WorkspaceId>,
    pub(crate) pattern: AlertPattern,
    pub(crate) subject: String,
    pub(crate) day: i64,
    pub(crate) told: String,
}

/// What an event tells.
pub(crate) fn findings(event: &AuditEvent) -> Vec<Finding> {
    if event.outcome != Outcome::Done {
        return Vec::new();
    }
    let finding = |pattern, subject: &str, told: String| Finding {
        workspace: event.workspace_id.as_deref().and_then(|id| id.parse().ok()),
        pattern,
        subject: subject.chars().take(LONGEST_SUBJECT).collect(),
        day: event.time.day(),
        told,
    };
    let (actor, on) = (&event.actor, &event.resource);
    match event.action.as_str() {
        "guardrail.update" => loosened(&event.before, &event.after)
            .into_iter()
            .map(|(name, how)| {
                let told = format!("{actor} loosened the guardrail `{name}` of {on}: {how}.");
                finding(AlertPattern::GuardrailLoosened, &name, told)
            })
            .collect(),
        "user.create" | "user.update" if became(event, "staff_role", "administrator") => {
            // The first one is made with the instance, by who installs it.
            match event.reasons.iter().any(|reason| reason == InternalReason::Bootstrap.as_str()) {
                true => Vec::new(),
                false => {
                    let told = format!("{actor} made {on} an administrator of the instance.");
                    vec![finding(AlertPattern::AdministratorMade, on, told)]
                }
            }
        }
        "member.set" if became(event, "permission", "owner") => {
            let text = |key: &str| event.after.get(key).and_then(Value::as_str);
            let who = match (text("user"), text("to")) {
                (Some(user), _) => format!("user:{user}"),
                (None, Some(group)) => group.to_owned(),
                (None, None) => return Vec::new(),
            };
            let told = format!("{actor} made {who} an owner of {on}.");
            vec![finding(AlertPattern::AdministratorMade, &who, told)]
        }
        _ => Vec::new(),
    }
}

fn became(event: &AuditEvent, field: &str, level: &str) -> bool {
    let is = |state: &Value| state.get(field).and_then(Value::as_str) == Some(level);
    is(&event.after) && !is(&event.before)
}

fn strictness(mode: Option<&Value>) -> u8 {
    match mode.and_then(Value::as_str).and_then(|mode| mode.parse().ok()) {
        Some(GuardrailMode::On) => 2,
        Some(GuardrailMode::Report) => 1,
        _ => 0,
    }
}

fn texts<'a>(state: &'a Value, key: &str) -> Vec<&'a str> {
    let list = state.get(key).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Which guardrails hold less after a change, and how: what the audit trail tells of them before and after.
fn loosened(before: &Value, after: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mode = |state: &Value, kind: GuardrailKind| {
        strictness(state.get("modes").and_then(|modes| modes.get(kind.as_str())))
    };
    for kind in GuardrailKind::ALL {
        let (was, is) = (mode(before, *kind), mode(after, *kind));
        let how = match (is < was, is) {
            (true, 0) => Some("it was switched off".to_owned()),
            (true, _) => Some("it only reports now".to_owned()),
            (false, _) if was == 0 => None,
            (false, _) => wider(*kind, before, after),
        };
        found.extend(how.map(|how| (kind.as_str().to_owned(), how)));
    }
    let rules = |state: &Value| state.get("own_rules").and_then(Value::as_array).cloned().unwrap_or_default();
    let rules_after = rules(after);
    for rule in rules(before) {
        let name = rule.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let was = strictness(rule.get("mode"));
        let now = rules_after.iter().find(|other| other.get("name") == rule.get("name"));
        let is = now.map_or(0, |now| strictness(now.get("mode")));
        let same = now.is_some_and(|now| now.get("policy") == rule.get("policy"));
        let how = match (was, is < was) {
            (0, _) => continue,
            (_, true) if now.is_none() => "it was removed",
            (_, true) if is == 0 => "it was switched off",
            (_, true) => "it only reports now",
            (_, false) if !same => "it says something else now",
            (_, false) => continue,
        };
        found.push((format!("own-rule:{name}"), how.to_owned()));
    }
    found
}

/// How what a guardrail admits has become more, while it holds as strictly as before.
fn wider(kind: GuardrailKind, before: &Value, after: &Value) -> Option<String> {
    match kind {
        GuardrailKind::IpAllowlist => {
            let held: Vec<AddressRange> =
                texts(before, "allowed").into_iter().filter_map(|range| range.parse().ok()).collect();
            let known = |range: &str| {
                let range = range.parse::<AddressRange>();
                range.is_ok_and(|range| held.iter().any(|wide| wide.holds(range)))
            };
            let new: Vec<&str> =
                texts(after, "allowed").into_iter().filter(|range| !known(range)).take(5).collect();
            (!new.is_empty()).then(|| format!("it admits {} now", new.join(", ")))
        }
        GuardrailKind::CredentialLifetime => {
            let days = |state: &Value| state.get("longest_days").and_then(Value::as_i64).unwrap_or(0);
            (days(after) > days(before)).then(|| format!("credentials may live for {} days now", days(after)))
        }
        GuardrailKind::CredentialKinds => {
            let old = texts(before, "admitted");
            let new: Vec<&str> =
                texts(after, "admitted").into_iter().filter(|kind| !old.contains(kind)).collect();
            (!new.is_empty()).then(|| format!("it admits {} now", new.join(", ")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use model::{EventId, Random, RequestId, Timestamp};
    use serde_json::json;

    use super::*;

    fn state(ip: &str, allowed: &[&str], days: i64, rule: &str) -> Value {
        json!({
            "modes": { "ip-allowlist": ip, "second-step": "on", "credential-lifetime": "on" },
            "allowed": allowed, "longest_days": days, "admitted": [],
            "own_rules": [{ "name": "night", "mode": rule, "policy": "forbid (principal, action, resource);" }],
        })
    }

    fn names(before: &Value, after: &Value) -> Vec<String> {
        loosened(before, after).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn what_holds_less_is_found_and_what_holds_more_is_not() {
        let strict = state("on", &["10.0.0.0/16"], 30, "on");
        assert!(names(&strict, &strict).is_empty());
        assert_eq!(names(&strict, &state("off", &["10.0.0.0/16"], 30, "on")), ["ip-allowlist"]);
        assert_eq!(names(&strict, &state("report", &["10.0.0.0/16"], 30, "on")), ["ip-allowlist"]);
        assert_eq!(names(&strict, &state("on", &["10.0.0.0/8"], 30, "on")), ["ip-allowlist"]);
        assert_eq!(names(&strict, &state("on", &["10.0.0.0/16"], 31, "on")), ["credential-lifetime"]);
        assert_eq!(names(&strict, &state("on", &["10.0.0.0/16"], 30, "report")), ["own-rule:night"]);
        let mut changed = strict.clone();
        changed["own_rules"][0]["policy"] = json!("forbid (principal, action, resource) when { false };");
        assert_eq!(names(&strict, &changed), ["own-rule:night"]);
        changed["own_rules"] = json!([]);
        assert_eq!(names(&strict, &changed), ["own-rule:night"]);
        assert!(names(&strict, &state("on", &["10.0.7.0/24"], 7, "on")).is_empty());
        let off = state("off", &["10.0.0.0/16"], 30, "off");
        assert!(names(&off, &strict).is_empty());
        assert!(names(&off, &state("off", &["11.0.0.0/8"], 30, "off")).is_empty(), "it held nothing");
    }

    fn event(action: &str, before: Value, after: Value) -> AuditEvent {
        let random = Random::seeded(1);
        AuditEvent {
            v: model::audit_event::VERSION,
            id: EventId::new(&random),
            time: Timestamp::from_micros(1_700_000_000_000_000),
            request_id: RequestId::new(&random),
            actor: "user:ann".to_owned(),
            actor_id: None,
            credential: None,
            address: None,
            action: action.to_owned(),
            resource: "user:bob".to_owned(),
            resource_id: "user:1".to_owned(),
            workspace_id: None,
            outcome: Outcome::Done,
            reasons: Vec::new(),
            before,
            after,
        }
    }

    #[test]
    fn who_becomes_an_administrator_is_found_once() {
        let role = |role: &str| json!({ "username": "bob", "staff_role": role });
        let made = event("user.update", role("none"), role("administrator"));
        assert_eq!(findings(&made).len(), 1);
        assert_eq!(findings(&event("user.create", Value::Null, role("administrator"))).len(), 1);
        assert!(findings(&event("user.update", role("administrator"), role("administrator"))).is_empty());
        assert!(findings(&event("user.update", role("administrator"), role("none"))).is_empty());
        assert!(findings(&AuditEvent { outcome: Outcome::Refused, ..made }).is_empty());
        let first = AuditEvent {
            reasons: vec![InternalReason::Bootstrap.as_str().to_owned()],
            ..event("user.create", Value::Null, role("administrator"))
        };
        assert!(findings(&first).is_empty());
        let owner = json!({ "user": "bob", "permission": "owner" });
        assert_eq!(findings(&event("member.set", Value::Null, owner.clone())).len(), 1);
        assert!(findings(&event("member.set", owner.clone(), owner)).is_empty());
    }
}
