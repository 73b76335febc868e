//! Addresses of pages, from the root of the site. Every part is percent-encoded, so that no name can bring a query, a
//! fragment or another host along.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode, utf8_percent_encode};

/// What may stand in a path segment as it is.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// An address of these parts, each one segment: slashes inside a part are encoded.
#[must_use]
pub fn of(parts: &[&str]) -> String {
    if parts.is_empty() {
        return "/".to_owned();
    }
    parts.iter().map(|part| format!("/{}", utf8_percent_encode(part, ENCODED))).collect()
}

/// The same with a path inside a repository at its end, whose slashes stay slashes. Paths are bytes: what is not UTF-8
/// cannot be asked for and is encoded as it is.
#[must_use]
pub fn with_path(parts: &[&str], path: &[u8]) -> String {
    let mut address = of(parts);
    for segment in path.split(|byte| *byte == b'/').filter(|segment| !segment.is_empty()) {
        address.push('/');
        address.extend(percent_encode(segment, ENCODED));
    }
    address
}

/// The address with one more parameter.
#[must_use]
pub fn with_query(address: &str, name: &str, value: &str) -> String {
    let joint = if address.contains('?') { '&' } else { '?' };
    format!("{address}{joint}{name}={}", utf8_percent_encode(value, ENCODED))
}

/// Where a person goes after an action, as an address sent it along: a path of this site and nothing else. Attack: an
/// address that leads to another site after signing in.
#[must_use]
pub fn safe_next(text: &str) -> &str {
    let odd = |c: char| c.is_control() || c == '\\' || c.is_whitespace();
    let ours = text.starts_with('/') && !text.starts_with("//") && text.len() <= 2_000;
    if ours && !text.contains(odd) { text } else { "/" }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parts_are_encoded_and_paths_keep_their_slashes() {
        assert_eq!(of(&["acme", "one", "src", "feature/x"]), "/acme/one/src/feature%2Fx");
        assert_eq!(with_path(&["a"], b"docs/a b\xff.md"), "/a/docs/a%20b%FF.md");
        assert_eq!(with_query(&with_query("/a", "q", "x&y"), "page", "2"), "/a?q=x%26y&page=2");
        assert_eq!(of(&[]), "/");
    }

    #[test]
    fn only_paths_of_this_site_are_followed() {
        for good in ["/", "/acme/one?x=1", "/a%2Fb"] {
            assert_eq!(safe_next(good), good);
        }
        for bad in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "evil",
            "/\t/evil",
            "javascript:1",
            "/ /x",
        ] {
            assert_eq!(safe_next(bad), "/", "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_part_never_leaves_its_segment(part in "\\PC{0,40}") {
            let address = of(&["x", &part, "y"]);
            prop_assert_eq!(address.matches('/').count(), 3);
            prop_assert!(address.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-._~%".contains(&b)));
        }

        #[test]
        fn what_is_followed_is_a_path(text in "[/\\\\a-z:. \t]{0,12}") {
            let next = safe_next(&text);
            prop_assert!(next.starts_with('/') && !next.starts_with("//") && !next.contains('\\'));
        }
    }
}
