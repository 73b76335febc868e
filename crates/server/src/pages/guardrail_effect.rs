//! What guardrails would do, shown before they are saved; and saving them.

use axum::http::StatusCode;
use model::{AllowedRange, EntryKind, Error, GuardrailKind, GuardrailMode, Guardrails, OwnRule, Result};
use pages::guardrail::mode_words;
use pages::guardrail_effect::{ChangeRow, Effect, EffectPage, Finding, RefusedRow, WorkspaceRow};
use pages::measure::count;
use pages::principal::Known;
use service::{GuardrailEffect, GuardrailView, NewGuardrails, RuleFinding};
use wire::Parameters;

use super::guardrail::{Place, Typed, Wrong, again, state, with_rows};
use super::{form, page, see_other};
use crate::http::{Cx, Response};

/// Fields that are not a part of what was typed.
const OWN_FIELDS: [&str; 5] = ["form_token", "do", "state", "confirm_lockout", "confirm_wide_ranges"];

/// So many workspaces, and so many of those who would be refused, are listed of the whole instance.
const MOST_LISTED: usize = 50;

/// What was changed meanwhile is not overwritten unseen.
pub(super) const CHANGED: &str = "Somebody changed these guardrails after you opened the page. What you typed is kept: \
    look at what would change on the next page, and save it there.";

/// `POST /{workspace}/workspace/settings/guardrails` and `POST /-/guardrails`: shows the effect, or saves.
///
/// # Errors
/// When the caller may not change them. What is wrong with the form is told in it.
pub async fn set(cx: Cx, form: Parameters) -> Result<Response> {
    let place = Place::of(&cx).await?;
    let (view, typed) = (place.view(&cx).await?, Typed::read(&form)?);
    match form.get("do")? {
        Some("rows") => return with_rows(&cx, &place, &view, &typed).await,
        Some("back") => return again(&cx, &place, &view, &typed, &Wrong::default()).await,
        _ => {}
    }
    let wrong = match typed.meant(view.guardrails.own_rules.clone()) {
        Ok(_) if form.get("state")? != Some(state(&view).as_str()) => {
            Wrong { whole: CHANGED.to_owned(), ..Wrong::default() }
        }
        Ok(guardrails) => match carried_out(&cx, &place, view.clone(), guardrails, &form).await {
            Err(error @ (Error::Invalid { .. } | Error::Conflict(_))) => Wrong::of(&error),
            other => return other,
        },
        Err(wrong) => wrong,
    };
    again(&cx, &place, &view, &typed, &wrong).await
}

/// Shows what guardrails would do, or saves them where that was asked for.
pub(super) async fn carried_out(
    cx: &Cx,
    place: &Place,
    view: GuardrailView,
    guardrails: Guardrails,
    form: &Parameters,
) -> Result<Response> {
    let confirmed = |name: &str| form.get(name).map(|value| value == Some("yes"));
    let new = NewGuardrails {
        guardrails,
        confirm_lockout: confirmed("confirm_lockout")?,
        confirm_wide_ranges: confirmed("confirm_wide_ranges")?,
    };
    if form.get("do")? != Some("save") {
        return effect_page(cx, place, &view, &new, form, String::new()).await;
    }
    let missing = unconfirmed(&new);
    if !missing.is_empty() {
        return effect_page(cx, place, &view, &new, form, missing).await;
    }
    let saved =
        cx.service()?.set_guardrails(&cx.caller, place.workspace.as_deref(), new.clone(), view.clone()).await;
    match saved {
        Ok(_) => see_other(&place.address),
        Err(Error::Invalid { fields, .. }) if fields.contains_key("confirm_lockout") => {
            let text = "say below that you mean to lock yourself out, or change it again.".to_owned();
            effect_page(cx, place, &view, &new, form, text).await
        }
        Err(error) => Err(error),
    }
}

fn wide(guardrails: &Guardrails) -> Vec<String> {
    let wide = guardrails.allowed.iter().filter(|line| line.range.is_wide());
    wide.map(|line| line.range.to_string()).collect()
}

fn unconfirmed(new: &NewGuardrails) -> String {
    match new.confirm_wide_ranges || wide(&new.guardrails).is_empty() {
        true => String::new(),
        false => "say below that you mean the very wide ranges, or change it again.".to_owned(),
    }
}

async fn effect_page(
    cx: &Cx,
    place: &Place,
    view: &GuardrailView,
    new: &NewGuardrails,
    sent: &Parameters,
    error: String,
) -> Result<Response> {
    let found = cx.service()?.guardrail_effect(&cx.caller, place.workspace.as_deref(), new.clone()).await?;
    let action = cx.here.split('?').next().unwrap_or_default().to_owned();
    let typed = sent.iter().filter(|(name, _)| !OWN_FIELDS.contains(name));
    let mut typed: Vec<_> = typed.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    typed.push(("state".to_owned(), state(view)));
    let status = if error.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let shown = EffectPage {
        frame: place.frame(cx, "What these guardrails will do").await,
        of: place.of.clone(),
        error,
        changes: changes(&view.guardrails, &new.guardrails),
        locks_out: found.locks_out,
        effect: told(found, place, (&view.guardrails, &new.guardrails)),
        wide: wide(&new.guardrails),
        typed,
        form_token: form::token(cx, &action),
        action,
    };
    page(status, &shown)
}

fn ranges(lines: &[AllowedRange]) -> String {
    let texts = lines.iter().map(|line| match line.description.is_empty() {
        true => line.range.to_string(),
        false => format!("{} ({})", line.range, line.description),
    });
    texts.collect::<Vec<_>>().join(", ")
}

/// A guardrail in words: its mode, and what goes with it.
fn words(guardrails: &Guardrails, kind: GuardrailKind) -> String {
    let mode = mode_words(guardrails.mode(kind));
    let more = match kind {
        GuardrailKind::IpAllowlist => ranges(&guardrails.allowed),
        GuardrailKind::CredentialLifetime if guardrails.longest_days > 0 => {
            format!("{} days", guardrails.longest_days)
        }
        GuardrailKind::CredentialKinds => {
            guardrails.admitted.iter().map(|kind: &EntryKind| kind.title()).collect::<Vec<_>>().join(", ")
        }
        _ => String::new(),
    };
    if more.is_empty() { mode.to_owned() } else { format!("{mode}: {more}") }
}

fn changes(before: &Guardrails, after: &Guardrails) -> Vec<ChangeRow> {
    let mut rows: Vec<ChangeRow> = GuardrailKind::ALL
        .iter()
        .map(|kind| ChangeRow {
            what: kind.title().to_owned(),
            before: words(before, *kind),
            after: words(after, *kind),
        })
        .filter(|row| row.before != row.after)
        .collect();
    let find = |rules: &[OwnRule], name: &str| rules.iter().find(|rule| rule.name == name).cloned();
    let mode = |rule: &Option<OwnRule>| rule.as_ref().map_or("Not there", |rule| mode_words(rule.mode));
    let old = before.own_rules.iter().filter(|rule| find(&after.own_rules, &rule.name).is_none());
    for name in after.own_rules.iter().chain(old).map(|rule| rule.name.as_str()) {
        let (was, will) = (find(&before.own_rules, name), find(&after.own_rules, name));
        if was != will {
            let text = match (&was, &will) {
                (Some(was), Some(will)) if was.policy != will.policy => ", with another policy",
                (Some(was), Some(will)) if was.description != will.description => {
                    ", with another description"
                }
                _ => "",
            };
            rows.push(ChangeRow {
                what: format!("Own rule {name}"),
                before: mode(&was).to_owned(),
                after: format!("{}{text}", mode(&will)),
            });
        }
    }
    rows
}

/// A guardrail's name in refusals, in words.
fn rule_words(id: &str) -> String {
    let own = id.strip_prefix("own-rule:").map(|name| format!("own rule {name}"));
    let kind = id.strip_prefix("guardrail-").and_then(|name| {
        let known = |kind: &&GuardrailKind| {
            name == kind.as_str() || name.starts_with(&format!("{kind}-", kind = kind.as_str()))
        };
        GuardrailKind::ALL.iter().find(known).map(|kind| kind.title().to_lowercase())
    });
    let sessions =
        (id == "guardrail-sessions").then(|| GuardrailKind::CredentialKinds.title().to_lowercase());
    own.or(kind).or(sessions).unwrap_or_else(|| id.to_owned())
}

fn number(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// How many would be refused, in a sentence or two.
fn summary(found: &GuardrailEffect, place: &Place) -> String {
    if found.total == 0 {
        return "Nobody: going by the last 30 days and by who may come in now, nobody is refused who is not already."
            .to_owned();
    }
    let within = match place.workspace {
        Some(_) => String::new(),
        None => format!(" in {}", count(number(found.workspaces_total), "workspace", "workspaces")),
    };
    format!(
        "{} and {} would be refused{within}, which came {} in the last 30 days. What only reports is counted as if it refused.",
        count(number(found.people), "person", "people"),
        count(number(found.credentials), "credential", "credentials"),
        count(u64::try_from(found.uses).unwrap_or(0), "time", "times"),
    )
}

/// What is not in the lists, in a sentence or two; empty where nothing.
fn left_out(found: &GuardrailEffect, place: &Place, workspaces: usize, listed: usize) -> String {
    let mut text = String::new();
    let mut more = |total: usize, shown: usize, one: &str, many: &str| {
        if total > shown {
            text.push_str(&format!("{} more are not listed. ", count(number(total - shown), one, many)));
        }
    };
    if place.workspace.is_none() {
        more(found.workspaces_total, workspaces, "workspace", "workspaces");
    }
    more(found.total, listed, "entry", "entries");
    if found.incomplete {
        text.push_str("There was more than is looked at here: the counts are too low.");
        if place.workspace.is_none() {
            let looked_at = count(number(found.looked_at), "workspace", "workspaces");
            text.push_str(&format!(" {looked_at} were looked at, in the order of their names."));
        }
    }
    text
}

fn told(found: GuardrailEffect, place: &Place, (before, after): (&Guardrails, &Guardrails)) -> Effect {
    let of_instance = place.workspace.is_none();
    let most = if of_instance { MOST_LISTED } else { usize::MAX };
    let (listed, workspaces) = (found.refused.len().min(most), found.workspaces.len().min(most));
    let (summary, left_out) = (summary(&found, place), left_out(&found, place, workspaces, listed));
    let workspaces = found.workspaces.into_iter().take(workspaces).filter(|_| of_instance);
    let workspaces = workspaces.map(|one| WorkspaceRow {
        workspace: one.workspace,
        people: number(one.people),
        credentials: number(one.credentials),
        uses: one.uses,
    });
    let refused = found.refused.into_iter().take(listed).map(|one| RefusedRow {
        workspace: one.workspace,
        who: Known::principal(&one.principal),
        credential: Known::credential(one.credential.as_deref()),
        address: one.address.unwrap_or_default(),
        uses: one.uses,
        by: one.refused_by.iter().map(|id| rule_words(id)).collect(),
    });
    let findings = findings(&found.rules, before, after);
    Effect { summary, workspaces: workspaces.collect(), refused: refused.collect(), left_out, findings }
}

/// What was found about each rule that is new or changed.
fn findings(found: &[RuleFinding], before: &Guardrails, after: &Guardrails) -> Vec<Finding> {
    let same = |rule: &OwnRule| {
        before.own_rules.iter().any(|old| old.name == rule.name && old.policy == rule.policy)
    };
    let new = after.own_rules.iter().filter(|rule| !same(rule) && rule.mode != GuardrailMode::Off);
    new.map(|rule| {
        let answer = found.iter().find(|finding| finding.name == rule.name);
        let (text, warning) = match answer.map(|answer| (answer.refuses_everything, answer.can_fire)) {
            Some((Some(true), _)) => ("Nobody could do anything in this workspace any more.", true),
            Some((_, Some(false))) => {
                ("It refuses nothing that is not refused already: it will never do anything.", true)
            }
            Some((_, Some(true))) => ("It refuses something that is allowed without it. For example:", false),
            Some(_) => ("It could not be told in time what it refuses.", false),
            None => {
                ("No solver is installed on this server, so it was not looked at beyond its syntax.", false)
            }
        };
        let example = answer.and_then(|answer| answer.example.clone()).unwrap_or_default();
        Finding { name: rule.name.clone(), text: text.to_owned(), example, warning }
    })
    .collect()
}
