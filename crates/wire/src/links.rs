//! Links: absolute addresses below the instance's base URL, never below the request's `Host`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::JsonSchema;
use serde::Serialize;

/// What may stand in a path segment as it is. Braces may not: ids in paths are written `%7B…%7D`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A link to a resource that has to do with the object that it stands in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename = "link")]
pub struct Link {
    /// Where it leads.
    pub href: String,
    /// Which of several it is: the protocol, among clone addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'static str>,
}

impl Link {
    /// A link without a name.
    #[must_use]
    pub fn new(href: String) -> Self {
        Self { href, name: None }
    }
}

/// The instance's base URL, from which every address is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    url: String,
}

impl Base {
    /// From `--base-url`, with or without a final slash.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self { url: url.trim_end_matches('/').to_owned() }
    }

    /// Without a final slash.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// An address in the REST API. Slashes inside a part (a branch's name, a file's path) stay slashes; everything
    /// else that a path segment does not hold is percent-encoded.
    #[must_use]
    pub fn api(&self, parts: &[&str]) -> Link {
        Link::new(self.address("/2.0", parts, ""))
    }

    /// An address of a page.
    #[must_use]
    pub fn html(&self, parts: &[&str]) -> Link {
        Link::new(self.address("", parts, ""))
    }

    /// Where a repository is cloned from. The link's name is `https` whatever the base URL's scheme, because that is
    /// the name that clients look for.
    #[must_use]
    pub fn clone_https(&self, workspace: &str, repository: &str) -> Link {
        Link { href: self.address("", &[workspace, repository], ".git"), name: Some("https") }
    }

    /// In one piece of memory: an answer holds dozens of addresses.
    fn address(&self, root: &str, parts: &[&str], end: &str) -> String {
        let length = |parts: &[&str]| parts.iter().map(|part| part.len() + 1).sum::<usize>();
        let mut address = String::with_capacity(self.url.len() + root.len() + length(parts) + end.len());
        address.push_str(&self.url);
        address.push_str(root);
        for segment in parts.iter().flat_map(|part| part.split('/')).filter(|segment| !segment.is_empty()) {
            address.push('/');
            address.extend(utf8_percent_encode(segment, ENCODED));
        }
        address.push_str(end);
        address
    }
}

/// A text as one segment of an address, whatever slashes it has.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_absolute_and_encoded() {
        let base = Base::new("https://git.example.com/");
        assert_eq!(
            base.api(&["repositories", "acme", "one", "src", "main", "a b/ü.txt"]).href,
            "https://git.example.com/2.0/repositories/acme/one/src/main/a%20b/%C3%BC.txt"
        );
        assert_eq!(base.html(&["{1}", ""]).href, "https://git.example.com/%7B1%7D");
        assert_eq!(base.clone_https("acme", "one").href, "https://git.example.com/acme/one.git");
    }

    proptest! {
        /// No part can bring a query, a fragment or another host into the address.
        #[test]
        fn a_part_stays_in_the_path(part in "\\PC{0,30}") {
            let href = Base::new("https://h").api(&["x", &part]).href;
            let rest = href.strip_prefix("https://h/2.0/x").unwrap();
            prop_assert!(rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-._~%".contains(&b)));
        }
    }
}
