//! Fields of forms: a label, a hint, what was typed, and the error beside it.

use askama::Template;

/// What kind of field it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One line; the word is HTML's type: `text`, `email`, `search`, `date`.
    Line(&'static str),
    /// A secret that is being typed: never filled in again. The word is HTML's `autocomplete`.
    Password(&'static str),
    /// A code of digits.
    Code,
    /// The secret of a link, which a script takes from behind `#`: sent back only to who sent it.
    LinkSecret,
    /// A few lines of prose.
    Prose,
    /// Several lines of code.
    Text,
    /// One of these: value and label.
    Choice(Vec<(String, String)>),
    /// Yes or no: a box that is ticked where the value is [`YES`]. What is not ticked is not sent.
    Check,
}

/// What a ticked box sends.
pub const YES: &str = "yes";

impl Kind {
    /// A choice between these values, each with its label.
    #[must_use]
    pub fn choice(pairs: &[(&str, &str)]) -> Self {
        Self::Choice(pairs.iter().map(|(value, label)| ((*value).to_owned(), (*label).to_owned())).collect())
    }
}

/// One field.
#[derive(Clone, Debug, Template)]
#[template(path = "part/field.html")]
pub struct Field {
    /// Its name in the form.
    pub name: &'static str,
    /// Its id in the page: the name, unless the page has two of them.
    pub id: &'static str,
    /// What it is called.
    pub label: String,
    /// What to know before filling it in.
    pub hint: String,
    /// What was typed, or what is there.
    pub value: String,
    /// What is wrong with it.
    pub error: String,
    /// What kind it is.
    pub kind: Kind,
    /// Whether the form cannot do without it.
    pub required: bool,
    /// Whether it is left unsaid that it may stay empty: where all fields may.
    pub unmarked: bool,
    /// HTML's `autocomplete`.
    pub autocomplete: &'static str,
    /// The id of a list of suggestions; empty where there is none.
    pub suggestions: &'static str,
}

impl Field {
    /// A field of one line that the form cannot do without.
    #[must_use]
    pub fn line(name: &'static str, label: &str) -> Self {
        Self {
            name,
            id: name,
            label: label.to_owned(),
            hint: String::new(),
            value: String::new(),
            error: String::new(),
            kind: Kind::Line("text"),
            required: true,
            unmarked: false,
            autocomplete: "off",
            suggestions: "",
        }
    }

    /// A field for a password.
    #[must_use]
    pub fn password(name: &'static str, label: &str, autocomplete: &'static str) -> Self {
        Self { kind: Kind::Password(autocomplete), autocomplete, ..Self::line(name, label) }
    }

    /// The same with an id of its own, where a page has two fields of one name.
    #[must_use]
    pub fn id(self, id: &'static str) -> Self {
        Self { id, ..self }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    /// A box to tick.
    #[must_use]
    pub fn check(name: &'static str, label: &str, ticked: bool) -> Self {
        let value = if ticked { YES } else { "" };
        Self { kind: Kind::Check, required: false, unmarked: true, ..Self::line(name, label) }.value(value)
    }

    /// The same, holding this.
    #[must_use]
    pub fn value(self, value: impl Into<String>) -> Self {
        Self { value: value.into(), ..self }
    }

    /// The same, with what is wrong; an empty text is no error.
    #[must_use]
    pub fn error(self, error: impl Into<String>) -> Self {
        Self { error: error.into(), ..self }
    }

    /// The same, of another kind.
    #[must_use]
    pub fn kind(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    /// The same, which may stay empty.
    #[must_use]
    pub fn optional(self) -> Self {
        Self { required: false, ..self }
    }

    /// The same with HTML's `autocomplete`.
    #[must_use]
    pub fn autocomplete(self, autocomplete: &'static str) -> Self {
        Self { autocomplete, ..self }
    }

    /// The same with a list of suggestions, by its id.
    #[must_use]
    pub fn suggestions(self, suggestions: &'static str) -> Self {
        Self { suggestions, ..self }
    }

    /// Whether the label says that it may stay empty. A choice never is.
    #[must_use]
    pub fn marked(&self) -> bool {
        !self.required && !self.unmarked && !matches!(self.kind, Kind::Choice(_))
    }

    /// What `aria-describedby` names.
    #[must_use]
    pub fn described_by(&self) -> String {
        let mut ids = Vec::new();
        if !self.hint.is_empty() {
            ids.push(format!("{}-hint", self.id));
        }
        if !self.error.is_empty() {
            ids.push(format!("{}-error", self.id));
        }
        ids.join(" ")
    }
}

impl askama::filters::HtmlSafe for Field {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_filled_in_and_an_error_is_named() {
        let field =
            Field::password("password", "Password", "current-password").value("hunter2").error("wrong");
        let html = field.to_string();
        assert!(!html.contains("hunter2"), "{html}");
        assert!(
            html.contains("aria-describedby=\"password-error\"") && html.contains("aria-invalid"),
            "{html}"
        );
    }

    #[test]
    fn a_box_is_ticked_where_it_says_so() {
        for ticked in [true, false] {
            let html = Field::check("secured", "Hide <it>", ticked).hint("Why").to_string();
            assert_eq!(html.contains(" checked"), ticked, "{html}");
            assert!(html.contains("Hide &#60;it&#62;") && !html.contains("(optional)"), "{html}");
        }
    }

    #[test]
    fn what_was_typed_is_kept_and_inert() {
        let html = Field::line("name", "Name").value("\"><script>").to_string();
        assert!(!html.contains("<script>"), "{html}");
        assert!(html.contains("script"), "{html}");
    }
}
