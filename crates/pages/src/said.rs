//! Sentences that set words in backticks, as messages and policies do: shown as code.

use std::fmt::{self, Display};

use askama::filters::{Escaper, Html, HtmlSafe};

/// A sentence for a page.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a>(&'a str);

/// The sentence with what stands between backticks as code; a backtick without another stays one.
#[must_use]
pub fn said(text: &str) -> Said<'_> {
    Said(text)
}

impl Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some((before, (code, after))) =
            rest.split_once('`').and_then(|(before, rest)| Some((before, rest.split_once('`')?)))
        {
            Html.write_escaped_str(&mut *f, before)?;
            f.write_str("<code>")?;
            Html.write_escaped_str(&mut *f, code)?;
            f.write_str("</code>")?;
            rest = after;
        }
        Html.write_escaped_str(&mut *f, rest)
    }
}

impl HtmlSafe for Said<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_backticks_is_code_and_all_of_it_is_text() {
        assert_eq!(said("`a.b` needs <admin>").to_string(), "<code>a.b</code> needs &#60;admin&#62;");
        assert_eq!(said("`<i>` & `").to_string(), "<code>&#60;i&#62;</code> &#38; `");
        assert_eq!(said("").to_string(), "");
    }
}
