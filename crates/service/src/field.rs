//! What is wrong with the fields of a body: collected, so that whoever sent it is told everything at once.

use std::fmt::Display;
use std::str::FromStr;

use model::report::LONGEST_ADDRESS;
use model::{Error, FieldErrors, Result};
use url::Url;

/// The fields of a body, while they are looked at.
#[derive(Default)]
pub(crate) struct Fields(FieldErrors);

impl Fields {
    pub(crate) fn wrong(&mut self, field: &str, message: impl Display) {
        self.0.entry(field.to_owned()).or_default().push(message.to_string());
    }

    /// What must be there.
    pub(crate) fn required<T>(&mut self, field: &str, value: Option<T>) -> Option<T> {
        if value.is_none() && !self.0.contains_key(field) {
            self.wrong(field, "this field is required");
        }
        value
    }

    /// A text of at most so many characters, without what controls; an empty one is none.
    pub(crate) fn text(&mut self, field: &str, value: Option<&str>, most: usize) -> Option<String> {
        let text = value.map(str::trim).filter(|text| !text.is_empty())?;
        if text.chars().count() > most {
            self.wrong(field, format_args!("use at most {most} characters"));
            return None;
        }
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            self.wrong(field, "use text without control characters");
            return None;
        }
        Some(text.to_owned())
    }

    /// A name of at most so many bytes, in one line.
    pub(crate) fn name(&mut self, field: &str, value: Option<&str>, most: usize) -> Option<String> {
        let text = value.filter(|text| !text.is_empty())?;
        if text.len() > most || text.chars().any(char::is_control) || text.trim() != text {
            self.wrong(
                field,
                format_args!("use 1 to {most} bytes, without control characters, not between blanks"),
            );
            return None;
        }
        Some(text.to_owned())
    }

    /// One of the words of a type.
    pub(crate) fn word<T: FromStr<Err: Display>>(&mut self, field: &str, value: Option<&str>) -> Option<T> {
        let text = value.filter(|text| !text.is_empty())?;
        text.parse().map_err(|unknown| self.wrong(field, unknown)).ok()
    }

    /// An address that a page may link to.
    pub(crate) fn address(&mut self, field: &str, value: Option<&str>) -> Option<String> {
        let text = value.map(str::trim).filter(|text| !text.is_empty())?;
        match is_web_address(text) {
            true => Some(text.to_owned()),
            false => {
                self.wrong(
                    field,
                    format_args!(
                        "use an address that begins with `http://` or `https://`, without a user name and blanks, of at most \
                         {LONGEST_ADDRESS} bytes"
                    ),
                );
                None
            }
        }
    }

    /// Tells what was wrong, if anything was.
    pub(crate) fn finish(self) -> Result<()> {
        let Some((field, first)) =
            self.0.iter().next().and_then(|(field, messages)| Some((field, messages.first()?)))
        else {
            return Ok(());
        };
        Err(Error::Invalid { message: format!("`{field}`: {first}"), fields: self.0 })
    }
}

/// Nothing but the web: `javascript:` would run in the page that links to it.
fn is_web_address(text: &str) -> bool {
    let begins = ["http://", "https://"]
        .iter()
        .any(|scheme| text.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme)));
    // Blanks, line ends and backslashes are read otherwise by browsers than they look.
    let odd = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
    if !begins || text.len() > LONGEST_ADDRESS || text.contains(odd) {
        return false;
    }
    Url::parse(text).is_ok_and(|url| url.has_host() && url.username().is_empty() && url.password().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_to_the_web() {
        for good in ["https://ci.example.com/a?b#c", "HTTP://x/{repository.full_name}", "https://[::1]:8080/"]
        {
            assert!(is_web_address(good), "{good}");
        }
        for bad in [
            "javascript:alert(1)",
            "https:alert(1)",
            "//example.com",
            "ftp://example.com",
            "https://",
            "https://user@example.com",
            "https://a:b@example.com",
            "https://exa mple.com",
            "https://example.com/\n",
            "https:\\\\example.com",
            "data:text/html,x",
            "/local",
        ] {
            assert!(!is_web_address(bad), "{bad}");
        }
        assert!(!is_web_address(&format!("https://x/{}", "a".repeat(LONGEST_ADDRESS))));
    }

    #[test]
    fn everything_that_is_wrong_is_told() {
        let mut fields = Fields::default();
        assert_eq!(fields.text("a", Some("\u{7}"), 5), None);
        assert_eq!(fields.text("b", Some("123456"), 5), None);
        assert_eq!(fields.text("c", Some(" fine "), 5).as_deref(), Some("fine"));
        assert_eq!(fields.required::<u8>("d", None), None);
        assert_eq!(fields.name("e", Some("a\n"), 5), None);
        let Err(Error::Invalid { fields, .. }) = fields.finish() else { panic!("wrong") };
        assert_eq!(fields.keys().collect::<Vec<_>>(), ["a", "b", "d", "e"]);
    }
}
