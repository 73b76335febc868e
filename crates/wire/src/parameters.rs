//! The query part of an address, decoded once and kept in order, so that the links to other pages repeat it.

use model::{Error, Result};
use url::form_urlencoded;

/// The longest query part that is read, in bytes. Above what any of the languages in it may hold, encoded.
pub const LONGEST: usize = 32 * 1024;

/// The most parameters that are read.
pub const MOST: usize = 100;

/// The most fields of a form's body that are read.
pub const MOST_IN_FORM: usize = 10_000;

/// The decoded parameters, in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads what stands behind the `?` of an address.
    pub fn parse(query: &str) -> Result<Self> {
        if query.len() > LONGEST {
            return Err(Error::invalid(format!(
                "keep what follows `?` in the address within {LONGEST} bytes"
            )));
        }
        let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        if pairs.len() > MOST {
            return Err(Error::invalid(format!("send at most {MOST} parameters in the address")));
        }
        Ok(Self(pairs))
    }

    /// Reads the fields of a form's body, of whatever length: who reads a body bounds it.
    pub fn form(body: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(body).map_err(|_| Error::invalid("the form is not UTF-8"))?;
        let pairs: Vec<_> =
            form_urlencoded::parse(text.as_bytes()).into_owned().take(MOST_IN_FORM + 1).collect();
        if pairs.len() > MOST_IN_FORM {
            return Err(Error::invalid(format!("send at most {MOST_IN_FORM} fields in a form")));
        }
        Ok(Self(pairs))
    }

    /// Every parameter, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of a parameter that may be given once.
    pub fn get(&self, name: &str) -> Result<Option<&str>> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() {
            return Err(Error::invalid_field(name, "give this parameter once"));
        }
        Ok(first)
    }

    /// Every value of a parameter that may be repeated.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The same parameters with one replaced, or put at the end.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut pairs: Vec<_> = self.0.iter().filter(|(key, _)| key != name).cloned().collect();
        pairs.push((name.to_owned(), value.to_owned()));
        Self(pairs)
    }

    /// The same parameters with one more at the end, which may repeat another's name.
    #[must_use]
    pub fn and(mut self, name: &str, value: &str) -> Self {
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Encoded, for behind a `?`.
    #[must_use]
    pub fn encode(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_parameter_is_decoded_and_may_not_be_ambiguous() {
        let parameters = Parameters::parse("q=name+%7E+%22a%26b%22&x=1&x=2&fields=%2Ba").unwrap();
        assert_eq!(parameters.get("q").unwrap(), Some("name ~ \"a&b\""));
        assert_eq!(parameters.get("fields").unwrap(), Some("+a"));
        assert_eq!(parameters.get("none").unwrap(), None);
        assert!(parameters.get("x").is_err());
        assert_eq!(parameters.all("x").collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn the_bounds_hold() {
        assert!(Parameters::parse(&"a".repeat(LONGEST + 1)).is_err());
        assert!(Parameters::parse(&"a&".repeat(MOST + 1)).is_err());
    }

    proptest! {
        #[test]
        fn what_is_encoded_reads_back(
            pairs in prop::collection::vec(("\\PC{1,8}", "\\PC{0,20}"), 0..8)
        ) {
            let parameters = Parameters(pairs);
            let encoded = parameters.encode();
            prop_assert!(encoded.is_ascii());
            prop_assert_eq!(Parameters::parse(&encoded).unwrap(), parameters);
        }

        #[test]
        fn any_text_is_read_without_panic(text in ".{0,200}") {
            let _ = Parameters::parse(&text);
        }
    }
}
