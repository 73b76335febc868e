//! Guardrails of a workspace and of the instance: shown as a form, and read from it.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use model::{
    AddressRange, AllowedRange, EntryKind, Error, FieldErrors, GuardrailKind, GuardrailMode, Guardrails,
    OwnRule, Result, Timestamp,
};
use pages::form::{Field, Kind};
use pages::frame::Frame;
use pages::guardrail::{
    Changed, GuardrailRow, GuardrailsPage, KindChoice, More, RangeRow, RuleRow, mode_words,
};
use pages::measure::Moment;
use pages::principal::Known;
use service::GuardrailView;
use wire::Parameters;

use super::error::sentence;
use super::settings::{self, InstanceSection, Section};
use super::{form, now, page};
use crate::http::{Cx, Response};

/// How many empty rows the form offers.
const EMPTY_ROWS: usize = 3;

/// Whose guardrails they are.
pub(super) struct Place {
    /// The workspace's slug; none of the instance's own.
    pub(super) workspace: Option<String>,
    /// In words.
    pub(super) of: String,
    /// The page, and where its form goes.
    pub(super) address: String,
}

impl Place {
    pub(super) async fn of(cx: &Cx) -> Result<Self> {
        if cx.param("workspace").is_empty() {
            let of = "every workspace of this instance".to_owned();
            return Ok(Self { workspace: None, of, address: "/-/guardrails".to_owned() });
        }
        let slug = settings::slug(cx).await?;
        let (of, address) = (format!("the workspace {slug}"), settings::address(&slug, "guardrails"));
        Ok(Self { workspace: Some(slug), of, address })
    }

    pub(super) async fn frame(&self, cx: &Cx, title: &str) -> Frame {
        match &self.workspace {
            Some(slug) => settings::workspace(cx, slug, title, Section::Guardrails).await,
            None => settings::instance(cx, title, InstanceSection::Guardrails).await,
        }
    }

    pub(super) async fn view(&self, cx: &Cx) -> Result<GuardrailView> {
        cx.service()?.guardrails(&cx.caller, self.workspace.as_deref()).await
    }

    /// The page of a rule.
    pub(super) fn rule(&self, name: &str) -> String {
        format!("{}/rules/{}", self.address, pages::address::of(&[name]).trim_start_matches('/'))
    }
}

/// What stands for the guardrails as somebody saw them: a form that was opened before they changed has another.
pub(super) fn state(view: &GuardrailView) -> String {
    form::digest(&[&format!("{:?}", view.guardrails), &format!("{:?}", view.changed)])
}

/// The field of a guardrail in the form, and in what is wrong with it.
pub(super) fn field(kind: GuardrailKind) -> String {
    kind.as_str().replace('-', "_")
}

/// What the form holds, as typed.
#[derive(Clone, Debug, Default)]
pub(super) struct Typed {
    modes: Vec<(GuardrailKind, String)>,
    ranges: Vec<(String, String)>,
    days: String,
    admitted: Vec<String>,
}

impl Typed {
    /// What is set, as it would be typed.
    pub(super) fn from(guardrails: &Guardrails) -> Self {
        let mode = |kind: &GuardrailKind| (*kind, guardrails.mode(*kind).as_str().to_owned());
        let line = |line: &AllowedRange| (line.range.to_string(), line.description.clone());
        Self {
            modes: GuardrailKind::ALL.iter().map(mode).collect(),
            ranges: guardrails.allowed.iter().map(line).collect(),
            days: match guardrails.longest_days {
                0 => String::new(),
                days => days.to_string(),
            },
            admitted: guardrails.admitted.iter().map(|kind| kind.name().to_owned()).collect(),
        }
    }

    pub(super) fn read(form: &Parameters) -> Result<Self> {
        let mut modes = Vec::new();
        for kind in GuardrailKind::ALL {
            modes.push((*kind, form.get(&field(*kind))?.unwrap_or("off").to_owned()));
        }
        let descriptions = form.all("description").map(str::trim).chain(std::iter::repeat(""));
        let ranges = form.all("range").map(str::trim).zip(descriptions);
        let filled = ranges.filter(|(range, description)| !range.is_empty() || !description.is_empty());
        Ok(Self {
            modes,
            ranges: filled.map(|(range, text)| (range.to_owned(), text.to_owned())).collect(),
            days: form.get("longest_days")?.unwrap_or_default().trim().to_owned(),
            admitted: form.all("admitted").map(str::to_owned).collect(),
        })
    }

    fn mode(&self, kind: GuardrailKind) -> &str {
        self.modes.iter().find(|(known, _)| *known == kind).map_or("off", |(_, mode)| mode)
    }

    /// What the form means, and what is wrong with each row of addresses.
    pub(super) fn meant(&self, own_rules: Vec<OwnRule>) -> Result<Guardrails, Wrong> {
        let mut wrong = Wrong::default();
        let mut mode = |kind: GuardrailKind| match self.mode(kind).parse::<GuardrailMode>() {
            Ok(mode) => mode,
            Err(error) => {
                wrong.fields.insert(field(kind), vec![error.to_string()]);
                GuardrailMode::Off
            }
        };
        let modes: Vec<GuardrailMode> = GuardrailKind::ALL.iter().map(|kind| mode(*kind)).collect();
        let mode = |kind| {
            let at = GuardrailKind::ALL.iter().position(|known| *known == kind);
            at.and_then(|at| modes.get(at)).copied().unwrap_or_default()
        };
        let mut allowed = Vec::new();
        for (range, description) in &self.ranges {
            let read = range.parse::<AddressRange>();
            wrong.ranges.push(read.err().map_or_else(String::new, |error| error.to_string()));
            if let Ok(range) = read {
                allowed.push(AllowedRange { range, description: description.clone() });
            }
        }
        let longest_days = match self.days.as_str() {
            "" => 0,
            digits => digits.parse().unwrap_or_else(|_| {
                let text = "use a whole number of days".to_owned();
                wrong.fields.insert(field(GuardrailKind::CredentialLifetime), vec![text]);
                0
            }),
        };
        if !wrong.is_empty() {
            return Err(wrong);
        }
        Ok(Guardrails {
            ip_allowlist: mode(GuardrailKind::IpAllowlist),
            allowed,
            second_step: mode(GuardrailKind::SecondStep),
            private_only: mode(GuardrailKind::PrivateOnly),
            no_forks_outside: mode(GuardrailKind::NoForksOutside),
            credential_lifetime: mode(GuardrailKind::CredentialLifetime),
            longest_days,
            credential_kinds: mode(GuardrailKind::CredentialKinds),
            admitted: self.admitted.iter().filter_map(|name| EntryKind::parse(name)).collect::<BTreeSet<_>>(),
            identity_provider: mode(GuardrailKind::IdentityProvider),
            own_rules,
        })
    }
}

/// What is wrong with a form.
#[derive(Clone, Debug, Default)]
pub(super) struct Wrong {
    /// With the whole.
    pub(super) whole: String,
    /// With a field.
    pub(super) fields: FieldErrors,
    /// With each row of addresses; empty where nothing.
    pub(super) ranges: Vec<String>,
}

impl Wrong {
    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::Invalid { fields, .. } if !fields.is_empty() => {
                Self { fields: fields.clone(), ..Self::default() }
            }
            other => Self { whole: sentence(&other.to_string()), ..Self::default() },
        }
    }

    fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.ranges.iter().all(String::is_empty)
    }

    fn at(&self, name: &str) -> String {
        self.fields.get(name).map(|texts| texts.join("; ")).unwrap_or_default()
    }
}

pub(super) fn changed(view: &GuardrailView, name: &str, now: Timestamp) -> Option<Changed> {
    let changed = view.changed.get(name)?;
    Some(Changed { by: Known::principal(&changed.by), on: Moment::of(changed.on, now) })
}

/// What the instance asks beside a workspace, in words.
fn floor(kind: GuardrailKind, floor: &Guardrails) -> String {
    let mode = floor.mode(kind);
    if mode == GuardrailMode::Off {
        return String::new();
    }
    let more = match kind {
        GuardrailKind::IpAllowlist => {
            let ranges: Vec<_> = floor.allowed.iter().map(|line| line.range.to_string()).collect();
            format!(": {}", ranges.join(", "))
        }
        GuardrailKind::CredentialLifetime => format!(": {} days", floor.longest_days),
        GuardrailKind::CredentialKinds => {
            let kinds: Vec<_> = floor.admitted.iter().map(|kind| kind.title()).collect();
            format!(": {}", kinds.join(", "))
        }
        _ => String::new(),
    };
    let mode = mode_words(mode).to_lowercase();
    format!(
        "The instance has this set to “{mode}”{more}. It holds here beside what you set, which cannot loosen it."
    )
}

fn more(kind: GuardrailKind, typed: &Typed, wrong: &Wrong, empty: usize) -> More {
    match kind {
        GuardrailKind::IpAllowlist => {
            let errors = wrong.ranges.iter().cloned().chain(std::iter::repeat(String::new()));
            let filled = typed.ranges.iter().zip(errors).map(|((range, description), error)| RangeRow {
                range: range.clone(),
                description: description.clone(),
                error,
            });
            More::Ranges(filled.chain(std::iter::repeat_n(RangeRow::default(), empty)).collect())
        }
        GuardrailKind::CredentialLifetime => More::Days(
            Field::line("longest_days", "Longest life in days")
                .kind(Kind::Line("number"))
                .value(&typed.days)
                .optional(),
        ),
        GuardrailKind::CredentialKinds => {
            let choice = |kind: EntryKind| KindChoice {
                name: kind.name(),
                title: kind.title(),
                chosen: typed.admitted.iter().any(|name| name == kind.name()),
            };
            More::Kinds(EntryKind::all().map(choice).collect())
        }
        _ => More::Nothing,
    }
}

fn rules(place: &Place, view: &GuardrailView, now: Timestamp) -> Vec<RuleRow> {
    let row = |rule: &OwnRule| RuleRow {
        href: place.rule(&rule.name),
        name: rule.name.clone(),
        description: rule.description.clone(),
        mode: mode_words(rule.mode),
        changed: changed(view, &format!("own-rule:{}", rule.name), now),
    };
    view.guardrails.own_rules.iter().map(row).collect()
}

/// The form, with what was typed and what is wrong with it.
pub(super) async fn form_page(
    cx: &Cx,
    place: &Place,
    view: &GuardrailView,
    typed: &Typed,
    (wrong, empty): (&Wrong, usize),
) -> Result<GuardrailsPage> {
    let (service, now) = (cx.service()?, now(cx));
    let on = place.workspace.as_deref().map_or(service::Named::Instance, service::Named::Workspace);
    let nothing = Guardrails::default();
    let below = view.floor.as_ref().unwrap_or(&nothing);
    let guardrails = GuardrailKind::ALL.iter().map(|kind| GuardrailRow {
        name: field(*kind),
        title: kind.title(),
        sentence: kind.sentence(),
        mode: typed.mode(*kind).to_owned(),
        floor: floor(*kind, below),
        changed: changed(view, kind.as_str(), now),
        error: wrong.at(&field(*kind)),
        more: more(*kind, typed, wrong, empty),
    });
    let within = view.guardrails.overlapping().take(20);
    let notes = within.map(|(outer, inner)| {
        format!("The range {} lies within {}: one of them would do.", inner.range, outer.range)
    });
    Ok(GuardrailsPage {
        frame: place.frame(cx, "Guardrails").await,
        of: place.of.clone(),
        error: wrong.whole.clone(),
        guardrails: guardrails.collect(),
        may_change: service.may(&cx.caller, model::Action::GuardrailUpdate, on).await,
        rules: place.workspace.as_ref().map(|_| rules(place, view, now)),
        new_rule: format!("{}/new-rule", place.address),
        notes: notes.collect(),
        action: place.address.clone(),
        state: state(view),
        form_token: form::token(cx, &place.address),
    })
}

/// `GET /{workspace}/workspace/settings/guardrails` and `GET /-/guardrails`
///
/// # Errors
/// When the caller may not see them.
pub async fn get(cx: Cx) -> Result<Response> {
    let place = Place::of(&cx).await?;
    let view = place.view(&cx).await?;
    let typed = Typed::from(&view.guardrails);
    page(StatusCode::OK, &form_page(&cx, &place, &view, &typed, (&Wrong::default(), EMPTY_ROWS)).await?)
}

/// The form once more, with more empty rows.
pub(super) async fn with_rows(
    cx: &Cx,
    place: &Place,
    view: &GuardrailView,
    typed: &Typed,
) -> Result<Response> {
    let none = Wrong::default();
    page(StatusCode::OK, &form_page(cx, place, view, typed, (&none, 4 * EMPTY_ROWS)).await?)
}

/// The form once more, with what is wrong.
pub(super) async fn again(
    cx: &Cx,
    place: &Place,
    view: &GuardrailView,
    typed: &Typed,
    wrong: &Wrong,
) -> Result<Response> {
    let clean = wrong.whole.is_empty() && wrong.is_empty();
    let status = if clean { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    page(status, &form_page(cx, place, view, typed, (wrong, EMPTY_ROWS)).await?)
}
