//! The language of `sort=`: one field, descending with `-` in front.

use model::{Error, Result};

/// An order that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// The field's name, from the declaration.
    pub field: &'static str,
    /// Highest first.
    pub descending: bool,
}

/// Reads an order; `known` are the fields that the endpoint can sort by.
pub fn parse(text: &str, known: &[&'static str]) -> Result<Sort> {
    let (name, descending) = match text.strip_prefix('-') {
        Some(name) => (name, true),
        None => (text, false),
    };
    match known.iter().find(|field| **field == name) {
        Some(field) => Ok(Sort { field, descending }),
        None => {
            let names: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
            Err(Error::invalid_field("sort", format!("use one field of {}", names.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KNOWN: &[&str] = &["name", "updated_on"];

    #[test]
    fn one_field_with_or_without_a_minus() {
        assert_eq!(parse("-name", KNOWN).unwrap(), Sort { field: "name", descending: true });
        assert_eq!(parse("updated_on", KNOWN).unwrap(), Sort { field: "updated_on", descending: false });
        for bad in ["", "-", "--name", "name,updated_on", "Name", "name "] {
            let error = parse(bad, KNOWN).unwrap_err();
            assert_eq!(error.to_string(), "`sort`: use one field of `name`, `updated_on`", "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_gives_a_known_field_or_an_error(text in "\\PC{0,20}") {
            if let Ok(sort) = parse(&text, KNOWN) {
                prop_assert!(KNOWN.contains(&sort.field));
            }
        }
    }
}
