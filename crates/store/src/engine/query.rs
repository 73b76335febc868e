//! SQL texts: static, or put together from static pieces. No text from outside ever becomes part of one.

use super::Value;

/// A statement that grows: pieces of static text with parameters between them.
///
/// Run it with `reader.query(&query)`. Keep the number of texts that one place can make small: each is prepared and
/// kept by every connection.
#[derive(Clone, Debug)]
pub struct Query {
    text: String,
    params: Vec<Value>,
}

impl Query {
    /// Begins with a text without parameters.
    #[must_use]
    pub fn new(text: &'static str) -> Self {
        Self { text: text.to_owned(), params: Vec::new() }
    }

    /// Adds text.
    pub fn sql(&mut self, text: &'static str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Adds a parameter where the text stands now: `$1`, `$2`, …
    pub fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.params.push(value.into());
        self.text.push('$');
        self.text.push_str(&self.params.len().to_string());
        self
    }

    /// Adds a list of parameters in parentheses.
    pub fn bind_list<V: Into<Value>>(&mut self, values: impl IntoIterator<Item = V>) -> &mut Self {
        self.sql("(");
        for (at, value) in values.into_iter().enumerate() {
            if at > 0 {
                self.sql(", ");
            }
            self.bind(value);
        }
        self.sql(")")
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn params(&self) -> &[Value] {
        &self.params
    }
}
