//! Forms that make, change and delete workspaces, projects and repositories: what was typed, and what is wrong with it.

use axum::http::StatusCode;
use model::{Error, FieldErrors, Result};
use pages::form::{Field, Kind, YES};
use pages::frame::Frame;
use pages::resource_form::{Deletion, ResourceFormPage};
use wire::Parameters;

use super::error::sentence;
use super::{form, page};
use crate::http::{Cx, Response};

/// Whether a form's answer was that something is private.
const PRIVATE: &str = "private";
const PUBLIC: &str = "public";

/// What was typed, beside what is there, and what is wrong.
#[derive(Clone, Debug, Default)]
pub(super) struct Typed {
    there: Vec<(&'static str, String)>,
    sent: Option<Parameters>,
    fields: FieldErrors,
    whole: String,
}

impl Typed {
    /// What is there, before anything was typed.
    pub(super) fn there(there: Vec<(&'static str, String)>) -> Self {
        Self { there, ..Self::default() }
    }

    /// What was sent, and the error that it met, where that can be told in the form.
    ///
    /// # Errors
    /// The error, where it cannot.
    pub(super) fn refused(self, sent: Parameters, error: Error) -> Result<Self> {
        let told = Self { sent: Some(sent), ..self };
        match error {
            Error::Invalid { fields, .. } if !fields.is_empty() => Ok(Self { fields, ..told }),
            // What no rule of access refused, but the state of things: a project that is not empty.
            Error::Forbidden { ref message, ref reasons } if reasons.is_empty() => {
                Ok(Self { whole: sentence(message), ..told })
            }
            Error::Invalid { .. } | Error::Conflict(_) => {
                Ok(Self { whole: sentence(&error.to_string()), ..told })
            }
            other => Err(other),
        }
    }

    /// The same, beside what is there.
    pub(super) fn before(self, there: Vec<(&'static str, String)>) -> Self {
        Self { there, ..self }
    }

    /// What was sent, which nothing is wrong with.
    pub(super) fn sent(self, sent: Parameters) -> Self {
        Self { sent: Some(sent), ..self }
    }

    /// What is wrong with what no field of the form holds. `more` are names that the page shows beside its fields.
    pub(super) fn elsewhere(&self, known: &[Field], more: &[&str]) -> String {
        let known = |name: &str| known.iter().any(|field| field.name == name) || more.contains(&name);
        let others = self.fields.iter().filter(|(name, _)| !known(name));
        let texts: Vec<String> = others
            .flat_map(|(name, texts)| texts.iter().map(move |text| format!("{name}: {text}")))
            .collect();
        match texts.is_empty() {
            true => self.whole.clone(),
            false => sentence(&texts.join("; ")),
        }
    }

    pub(super) fn value(&self, name: &str) -> String {
        let sent = self.sent.as_ref().and_then(|sent| sent.get(name).ok().flatten().map(str::to_owned));
        let there = || self.there.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
        sent.or_else(there).unwrap_or_default()
    }

    /// What was sent, or what is there before anything was.
    pub(super) fn value_or(&self, name: &str, before: &str) -> String {
        let sent = self.sent.as_ref().and_then(|sent| sent.get(name).ok().flatten());
        sent.unwrap_or(before).to_owned()
    }

    pub(super) fn error(&self, name: &str) -> String {
        self.fields.get(name).map(|texts| texts.join("; ")).unwrap_or_default()
    }

    /// What the page answers with.
    pub(super) fn status(&self) -> StatusCode {
        let clean = self.whole.is_empty() && self.fields.is_empty();
        if clean { StatusCode::OK } else { StatusCode::BAD_REQUEST }
    }

    /// A box to tick as it was sent, or as it is before anything was.
    pub(super) fn check(&self, name: &'static str, label: &str, before: bool) -> Field {
        let sent = self.sent.as_ref().map(|sent| sent.get(name).ok().flatten() == Some(YES));
        Field::check(name, label, sent.unwrap_or(before)).error(self.error(name))
    }

    /// A field of one line with what was typed.
    pub(super) fn line(&self, name: &'static str, label: &str) -> Field {
        Field::line(name, label).value(self.value(name)).error(self.error(name))
    }

    /// A choice with what was chosen.
    pub(super) fn choice(&self, name: &'static str, label: &str, choices: Vec<(String, String)>) -> Field {
        self.line(name, label).kind(Kind::Choice(choices))
    }

    /// Whether it is private.
    pub(super) fn privacy(&self, of: &str) -> Field {
        let choices = vec![
            (PRIVATE.to_owned(), "Private: for those who are granted it".to_owned()),
            (PUBLIC.to_owned(), "Public: everybody may read it".to_owned()),
        ];
        self.choice("privacy", &format!("Who may see the {of}"), choices)
    }

    /// The page.
    pub(super) fn page(self, cx: &Cx, made: Shown) -> Result<Response> {
        let status = self.status();
        let shown = ResourceFormPage {
            error: self.elsewhere(&made.fields, if made.deletion.is_some() { &["confirm"] } else { &[] }),
            frame: made.frame,
            heading: made.heading,
            lead: made.lead,
            fields: made.fields,
            button: made.button,
            form_token: form::token(cx, &made.action),
            deletion: made.deletion.map(|(heading, lost, name)| Deletion {
                button: heading.clone(),
                heading,
                lost,
                field: Field::line("confirm", "Type its name to delete it")
                    .hint(name)
                    .error(self.error("confirm")),
            }),
            action: made.action,
        };
        page(status, &shown)
    }
}

/// What a page shows beside what was typed.
pub(super) struct Shown {
    pub(super) frame: Frame,
    pub(super) heading: String,
    pub(super) lead: String,
    pub(super) fields: Vec<Field>,
    pub(super) button: &'static str,
    pub(super) action: String,
    /// The heading, what is lost, and the name to type.
    pub(super) deletion: Option<(String, String, String)>,
}

/// The word that stands for being private or not.
pub(super) fn privacy(private: bool) -> String {
    if private { PRIVATE.to_owned() } else { PUBLIC.to_owned() }
}

/// Whether the form says private; anything but the word for public does.
pub(super) fn is_private(form: &Parameters) -> Result<bool> {
    Ok(form.get("privacy")? != Some(PUBLIC))
}

pub(super) fn text(form: &Parameters, name: &str) -> Result<String> {
    Ok(form.get(name)?.unwrap_or_default().trim().to_owned())
}

/// Whether a box was ticked.
pub(super) fn ticked(form: &Parameters, name: &str) -> Result<bool> {
    Ok(form.get(name)? == Some(YES))
}

/// Several words with blanks, commas or line breaks between them.
pub(super) fn words(form: &Parameters, name: &str) -> Result<Vec<String>> {
    let text = text(form, name)?;
    Ok(text
        .split(|c: char| c == ',' || c.is_whitespace())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect())
}

/// What was typed, read; what cannot be is told beside its field.
pub(super) fn read<T: std::str::FromStr>(form: &Parameters, name: &str) -> Result<T>
where
    T::Err: std::fmt::Display,
{
    text(form, name)?.parse().map_err(|error| Error::invalid_field(name, error))
}

/// Whether a deletion was meant: the name was typed as it is.
pub(super) fn confirmed(form: &Parameters, name: &str) -> Result<()> {
    match text(form, "confirm")? == name {
        true => Ok(()),
        false => Err(Error::invalid_field("confirm", format!("this is not `{name}`: nothing was deleted"))),
    }
}
