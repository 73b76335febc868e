//! A rule of a workspace's own: written, changed, deleted. Its effect is shown before it is saved.

use axum::http::StatusCode;
use model::{Error, GuardrailMode, OwnRule, Result};
use pages::form::{Field, Kind};
use pages::own_rule::OwnRulePage;
use service::GuardrailView;
use wire::Parameters;

use super::guardrail::{Place, Wrong, changed, state};
use super::guardrail_effect::{CHANGED, carried_out};
use super::{form, now, page};
use crate::http::{Cx, Response};

/// What the form holds, as typed.
struct Typed {
    name: String,
    description: String,
    mode: String,
    policy: String,
}

impl Typed {
    fn read(form: &Parameters) -> Result<Self> {
        let text = |name: &str| form.get(name).map(|value| value.unwrap_or_default().to_owned());
        Ok(Self {
            name: text("name")?.trim().to_owned(),
            description: text("description")?.trim().to_owned(),
            mode: text("mode")?,
            policy: text("policy")?.replace("\r\n", "\n"),
        })
    }

    fn of(rule: &OwnRule) -> Self {
        Self {
            name: rule.name.clone(),
            description: rule.description.clone(),
            mode: rule.mode.as_str().to_owned(),
            policy: rule.policy.clone(),
        }
    }

    fn empty() -> Self {
        let mode = GuardrailMode::Report.as_str().to_owned();
        Self { name: String::new(), description: String::new(), mode, policy: String::new() }
    }
}

/// The rule that the path names; none where a new one is written.
fn standing<'a>(cx: &Cx, view: &'a GuardrailView) -> Result<Option<&'a OwnRule>> {
    let name = cx.param("rule");
    if name.is_empty() {
        return Ok(None);
    }
    let found = view.guardrails.own_rules.iter().find(|rule| rule.name == name);
    found.map(Some).ok_or_else(|| Error::not_found("this rule"))
}

async fn form_page(
    cx: &Cx,
    place: &Place,
    view: &GuardrailView,
    typed: Typed,
    wrong: &Wrong,
) -> Result<Response> {
    let stands = standing(cx, view)?;
    let heading = stands.map_or_else(|| "Write a rule".to_owned(), |rule| format!("Rule {}", rule.name));
    let text = wrong.fields.values().flatten().cloned().collect::<Vec<_>>().join("; ");
    let of_name = ["name it with", "given once"].iter().any(|part| text.contains(part));
    let of_description = text.contains("describe it");
    let at = |here: bool| if here { text.clone() } else { String::new() };
    let fields = vec![
        Field::line("name", "Name")
            .hint("Lower-case letters, digits and -.")
            .value(typed.name)
            .error(at(of_name)),
        Field::line("description", "What it says")
            .hint("For whoever it refuses: one sentence, and whom to ask.")
            .value(typed.description)
            .error(at(of_description))
            .optional(),
        Field::line("policy", "Policy")
            .kind(Kind::Text)
            .value(typed.policy)
            .error(at(!of_name && !of_description)),
    ];
    let action = cx.here.split('?').next().unwrap_or_default().to_owned();
    let clean = wrong.whole.is_empty() && text.is_empty();
    let shown = OwnRulePage {
        frame: place.frame(cx, &heading).await,
        heading,
        error: wrong.whole.clone(),
        fields,
        mode: typed.mode,
        changed: stands.and_then(|rule| changed(view, &format!("own-rule:{}", rule.name), now(cx))),
        stands: stands.is_some(),
        list: place.address.clone(),
        state: state(view),
        form_token: form::token(cx, &action),
        action,
    };
    page(if clean { StatusCode::OK } else { StatusCode::BAD_REQUEST }, &shown)
}

/// `GET …/guardrails/new-rule` and `GET …/guardrails/rules/{rule}`
///
/// # Errors
/// When the caller may not see guardrails, or there is no such rule.
pub async fn get(cx: Cx) -> Result<Response> {
    let place = Place::of(&cx).await?;
    let view = place.view(&cx).await?;
    let typed = standing(&cx, &view)?.map_or_else(Typed::empty, Typed::of);
    form_page(&cx, &place, &view, typed, &Wrong::default()).await
}

/// `POST` to the same: shows the effect, saves, or deletes.
///
/// # Errors
/// When the caller may not change guardrails. What is wrong with the rule is told beside it.
pub async fn set(cx: Cx, form: Parameters) -> Result<Response> {
    let place = Place::of(&cx).await?;
    let (view, typed) = (place.view(&cx).await?, Typed::read(&form)?);
    let deletes = form.get("do")? == Some("delete") || form.get("delete")? == Some("yes");
    if form.get("do")? == Some("back") {
        return form_page(&cx, &place, &view, typed, &Wrong::default()).await;
    }
    if form.get("state")? != Some(state(&view).as_str()) {
        let wrong = Wrong { whole: CHANGED.to_owned(), ..Wrong::default() };
        return form_page(&cx, &place, &view, typed, &wrong).await;
    }
    let mut guardrails = view.guardrails.clone();
    let at = standing(&cx, &view)?
        .and_then(|rule| guardrails.own_rules.iter().position(|known| known.name == rule.name));
    let rule = OwnRule {
        name: typed.name.clone(),
        description: typed.description.clone(),
        mode: typed.mode.parse().unwrap_or(GuardrailMode::Report),
        policy: typed.policy.clone(),
    };
    match (at, deletes) {
        (Some(at), true) => drop(guardrails.own_rules.remove(at)),
        (Some(at), false) => guardrails.own_rules.get_mut(at).into_iter().for_each(|old| *old = rule.clone()),
        (None, _) => guardrails.own_rules.push(rule),
    }
    let sent = if deletes { form.with("delete", "yes") } else { form };
    match carried_out(&cx, &place, view.clone(), guardrails, &sent).await {
        Err(error @ (Error::Invalid { .. } | Error::Conflict(_))) => {
            form_page(&cx, &place, &view, typed, &Wrong::of(&error)).await
        }
        other => other,
    }
}
