//! Alerts: listed with where their events are found, and acknowledged.

use axum::http::StatusCode;
use model::{
    Action, Alert, AlertFilter, AlertPattern, CredentialKind, Error, GuardrailKind, Result, Timestamp,
};
use pages::alert::{AlertRow, AlertsPage};
use pages::frame::Way;
use pages::measure::Moment;
use pages::principal::Known;
use service::Window;
use wire::Parameters;

use super::audit_trail::{AuditTrail, Part};
use super::error::sentence;
use super::{ROWS, form, now, numbered, page, see_other, turned};
use crate::http::{Cx, Response};

/// The parameter that tells which list is shown, and its words.
const LIST: &str = "list";
const OPEN: &str = "open";
const ALL: &str = "all";
/// Microseconds in a day.
const DAY: i64 = 86_400_000_000;

/// The list that is asked for: the open alerts, unless all are.
fn asked(parameters: &Parameters) -> Result<AlertFilter> {
    Ok(if parameters.get(LIST)? == Some(ALL) { AlertFilter::All } else { AlertFilter::Open })
}

fn list_address(action: &str, filter: AlertFilter) -> String {
    match filter {
        AlertFilter::Open => action.to_owned(),
        AlertFilter::All => pages::address::with_query(action, LIST, ALL),
    }
}

/// A moment's beginning as people type it: a day, or a day and a minute.
fn typed(day: i64, length: usize) -> String {
    let midnight = Timestamp::from_micros(day.saturating_mul(DAY)).to_string();
    midnight.get(..length).unwrap_or_default().to_owned()
}

/// Whether a label is a credential's, rather than a principal's.
fn names_credential(label: &str) -> bool {
    let kind = label.split(':').next().unwrap_or_default();
    kind == "session" || CredentialKind::ALL.iter().any(|known| known.name() == kind)
}

/// Who or what stands out, in words for readers.
fn subject(alert: &Alert) -> Known {
    let text = alert.subject.as_str();
    if alert.pattern == AlertPattern::GuardrailLoosened {
        let known = GuardrailKind::ALL.iter().find(|kind| kind.as_str() == text);
        let (kind, name) = match (known, text.split_once(':')) {
            (Some(kind), _) => ("", kind.title()),
            (None, Some((_, name))) => ("Own rule", name),
            (None, None) => ("", text),
        };
        return Known { kind: kind.to_owned(), name: name.to_owned() };
    }
    if names_credential(text) { Known::credential(Some(text)) } else { Known::principal(text) }
}

/// The audit log, searched for what an alert is about: its day, and what its pattern looks at.
fn search(log: &str, alert: &Alert) -> String {
    let subject = alert.subject.as_str();
    let by = if names_credential(subject) { "credential" } else { "actor" };
    let filters: &[(&str, &str)] = match (alert.pattern, alert.workspace) {
        (AlertPattern::ManyRefusals, _) => &[(by, subject), ("outcome", "refused")],
        (AlertPattern::UnseenNetwork | AlertPattern::MassRead, _) => &[(by, subject)],
        (AlertPattern::GuardrailLoosened, _) => &[("action", "guardrail.update")],
        (AlertPattern::AdministratorMade, Some(_)) => &[("action", "member.set")],
        (AlertPattern::AdministratorMade, None) => &[("action", "user."), ("resource", subject)],
    };
    let minute = "2030-01-31T12:00".len();
    let (from, until) = (typed(alert.day, minute), typed(alert.day.saturating_add(1), minute));
    let day = [("from", from.as_str()), ("until", until.as_str())];
    filters
        .iter()
        .chain(&day)
        .fold(log.to_owned(), |address, (name, value)| pages::address::with_query(&address, name, value))
}

/// What the search finds. Reads are counted, not recorded: who only read left no events.
fn finds(pattern: AlertPattern) -> &'static str {
    match pattern {
        AlertPattern::UnseenNetwork | AlertPattern::MassRead => {
            "Find what it changed and was refused that day"
        }
        _ => "Find its events",
    }
}

fn row(alert: Alert, log: Option<&str>, now: Timestamp) -> AlertRow {
    let title = sentence(alert.pattern.words());
    AlertRow {
        id: alert.id.to_string(),
        title: title.trim_end_matches('.').to_owned(),
        subject: subject(&alert),
        day: typed(alert.day, "2030-01-31".len()),
        raised: Moment::of(alert.raised_on, now),
        search: log.map(|log| search(log, &alert)),
        finds: finds(alert.pattern),
        told: alert.told,
        acknowledged: alert.acknowledged.map(|(by, on)| (Known::principal(&by), Moment::of(on, now))),
    }
}

/// `GET /{workspace}/workspace/settings/audit/alerts` and `GET /-/audit/alerts`
///
/// # Errors
/// When the caller may not see them.
pub async fn list(cx: Cx) -> Result<Response> {
    let (service, trail) = (cx.service()?, AuditTrail::of(&cx).await?);
    let (filter, (number, window)) = (asked(&cx.query)?, numbered(&cx, ROWS)?);
    let found = service.alerts(&cx.caller, trail.workspace(), filter, window).await?;
    let open = service.open_alerts(&cx.caller, trail.workspace()).await?;
    // Whether there is any but open ones is of interest only where none of those is left.
    let others = match (filter, found.values.is_empty()) {
        (AlertFilter::Open, true) => {
            let one = Window { limit: 1, offset: 0 };
            !service.alerts(&cx.caller, trail.workspace(), AlertFilter::All, one).await?.values.is_empty()
        }
        _ => false,
    };
    let frame = trail.frame(&cx, "Alerts", Part::Alerts).await;
    let (now, log) = (now(&cx), trail.way(&frame, Part::Log));
    let action = trail.address(Part::Alerts);
    let way = |name: String, of| Way::new(name, list_address(&action, of)).here(filter == of);
    let lists = vec![
        way(if open > 0 { format!("Open ({open})") } else { "Open".to_owned() }, AlertFilter::Open),
        way("All".to_owned(), AlertFilter::All),
    ];
    let shown = AlertsPage {
        of: trail.whose(),
        lists,
        list: if filter == AlertFilter::All { ALL } else { OPEN },
        pages: turned(&cx, &action, number, ROWS, found.values.len(), found.size),
        alerts: found.values.into_iter().map(|alert| row(alert, log.as_deref(), now)).collect(),
        others,
        may_acknowledge: trail.may(&cx, Action::AlertAcknowledge).await,
        form_token: form::token(&cx, &action),
        receivers: trail.way(&frame, Part::Receivers),
        action,
        log,
        frame,
    };
    page(StatusCode::OK, &shown)
}

/// `POST` to the same: acknowledges one, and shows the list that it was sent from.
///
/// # Errors
/// When the caller may not, or there is no such alert.
pub async fn acknowledge(cx: Cx, form: Parameters) -> Result<Response> {
    let trail = AuditTrail::of(&cx).await?;
    let missing = || Error::not_found("the alert");
    let id = form.get("alert")?.unwrap_or_default().parse().map_err(|_| missing())?;
    cx.service()?.acknowledge_alert(&cx.caller, trail.workspace(), id).await?;
    see_other(&list_address(&trail.address(Part::Alerts), asked(&form)?))
}

#[cfg(test)]
mod tests {
    use model::{AlertId, Random, WorkspaceId};

    use super::*;

    fn alert(pattern: AlertPattern, subject: &str, workspace: bool) -> Alert {
        let random = Random::seeded(1);
        Alert {
            id: AlertId::new(&random),
            workspace: workspace.then(|| WorkspaceId::new(&random)),
            pattern,
            subject: subject.to_owned(),
            day: 21_945,
            told: String::new(),
            raised_on: Timestamp::from_micros(0),
            acknowledged: None,
        }
    }

    #[test]
    fn an_alert_leads_to_its_events() {
        let day = "from=2030-01-31T00%3A00&until=2030-02-01T00%3A00";
        for (pattern, subject, workspace, wanted) in [
            (
                AlertPattern::ManyRefusals,
                "api_token:{1}",
                true,
                "credential=api_token%3A%7B1%7D&outcome=refused",
            ),
            (AlertPattern::ManyRefusals, "user:ann", true, "actor=user%3Aann&outcome=refused"),
            (AlertPattern::UnseenNetwork, "app_password:{1}", true, "credential=app_password%3A%7B1%7D"),
            (AlertPattern::MassRead, "access-token:{1}", true, "actor=access-token%3A%7B1%7D"),
            (AlertPattern::GuardrailLoosened, "private-only", false, "action=guardrail.update"),
            (AlertPattern::AdministratorMade, "user:ann", true, "action=member.set"),
            (AlertPattern::AdministratorMade, "user:ann", false, "action=user.&resource=user%3Aann"),
        ] {
            let made = search("/log", &alert(pattern, subject, workspace));
            assert_eq!(made, format!("/log?{wanted}&{day}"));
        }
    }

    #[test]
    fn subjects_are_said_in_words() {
        let said = |pattern, text| {
            let known = subject(&alert(pattern, text, true));
            format!("{} {}", known.kind, known.name)
        };
        assert_eq!(said(AlertPattern::GuardrailLoosened, "private-only"), " Private content only");
        assert_eq!(said(AlertPattern::GuardrailLoosened, "own-rule:no-pushes"), "Own rule no-pushes");
        assert_eq!(said(AlertPattern::MassRead, "user:ann"), " ann");
        assert_eq!(said(AlertPattern::ManyRefusals, "session:{1}"), "Browser session 1");
    }
}
