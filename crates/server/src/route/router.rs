//! From a method and a path to a row and its parameters.
//!
//! The path is matched as it came; parameters are percent-decoded once, after that. So `%2F` stays inside its
//! segment, and no name can be spelled in a way that the match did not see.

use std::collections::BTreeSet;

use model::Error;
use service::RequiredScopes;

use super::{Method, Route};

/// The parameters of a path, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// A parameter's value; empty when the row has none of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// All of them, in the order of the path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Why the table cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// Two rows claim the same requests.
    #[error("`{operation}` claims requests of another row: {cause}")]
    Conflict {
        /// The later row.
        operation: &'static str,
        /// What the router says.
        cause: String,
    },
    /// Two rows have the same operation id.
    #[error("two rows are called `{0}`")]
    Twice(&'static str),
    /// A scope that there is not.
    #[error("`{0}` requires a scope that there is not")]
    Scope(&'static str),
}

/// Why a request reaches no row.
#[derive(Debug, PartialEq, Eq)]
pub enum Unmatched {
    /// No row has this path.
    Path,
    /// Rows have this path, with these methods.
    Method(Vec<Method>),
    /// A parameter cannot be decoded.
    Encoding,
}

impl Unmatched {
    /// What the client is told.
    #[must_use]
    pub fn into_error(self) -> Error {
        match self {
            Self::Path => Error::not_found("this address"),
            Self::Method(_) => Error::MethodNotAllowed,
            Self::Encoding => Error::invalid("the address is not valid UTF-8 in percent-encoding"),
        }
    }
}

/// A row that a request reached.
#[derive(Debug)]
pub struct Reached {
    /// The row.
    pub route: &'static Route,
    /// What it requires.
    pub required: RequiredScopes,
    /// The path's parameters.
    pub params: Params,
}

/// The table, made ready to be asked.
pub struct Router {
    rows: Vec<Row>,
    paths: [matchit::Router<usize>; Method::ALL.len()],
}

/// A row, and what it requires.
type Row = (&'static Route, RequiredScopes);

/// What the addresses of the interfaces for programs begin with.
const INTERFACES: [&str; 4] = ["1.0", "2.0", "api", "tlog"];

/// The end of a path that names something inside a commit. What lies at its root has the empty path, which a
/// wildcard does not match, so such rows answer without it too.
const INSIDE_COMMIT: &str = "/{commit}/{*path}";

impl Router {
    /// Reads the table.
    ///
    /// # Errors
    /// When two rows cannot be told apart or a scope is misspelled: the table must be mended.
    pub fn new(table: &'static [Route]) -> Result<Self, TableError> {
        let mut router = Self { rows: Vec::with_capacity(table.len()), paths: Default::default() };
        let mut operations = BTreeSet::new();
        for route in table {
            if !operations.insert(route.operation) {
                return Err(TableError::Twice(route.operation));
            }
            let scopes = |text: &str| text.parse().map_err(|_| TableError::Scope(route.operation));
            let required = RequiredScopes { classic: scopes(route.classic)?, flat: scopes(route.flat)? };
            let row = router.rows.len();
            router.rows.push((route, required));
            let Some(paths) = router.paths.get_mut(place(route.method)) else { continue };
            let mut insert = |path: &str| {
                paths.insert(path, row).map_err(|error| TableError::Conflict {
                    operation: route.operation,
                    cause: error.to_string(),
                })
            };
            insert(route.path)?;
            if route.path.ends_with(INSIDE_COMMIT) {
                insert(route.path.trim_end_matches("/{*path}"))?;
            }
        }
        Ok(router)
    }

    /// Every row.
    pub fn routes(&self) -> impl Iterator<Item = Row> {
        self.rows.iter().copied()
    }

    /// The row that a method and a path, as they came, belong to. A final slash is not looked at.
    ///
    /// # Errors
    /// When there is none.
    pub fn reach(&self, method: Option<Method>, path: &str) -> Result<Reached, Unmatched> {
        let path = trimmed(path);
        let found = method.and_then(|method| self.find(method, path));
        let Some(((route, required), found)) = found else { return Err(self.unmatched(path)) };
        let mut params = Vec::with_capacity(found.len());
        for (name, raw) in found.iter() {
            let value = decoded(raw).ok_or(Unmatched::Encoding)?;
            // Names that mean another place where paths are joined name nothing here.
            if value.split('/').any(|segment| matches!(segment, "." | "..")) {
                return Err(Unmatched::Path);
            }
            params.push((name.to_owned(), value));
        }
        Ok(Reached { route, required, params: Params(params) })
    }

    /// The row of a path. What begins like an interface is no page, though a page's first parameter would match it.
    fn find<'k, 'v>(&'k self, method: Method, path: &'v str) -> Option<(Row, matchit::Params<'k, 'v>)> {
        let found = self.paths.get(place(method))?.at(path).ok()?;
        let row = self.rows.get(*found.value).copied()?;
        let interface = path.split('/').nth(1).is_some_and(|head| INTERFACES.contains(&head));
        (!interface || !row.0.is_page()).then_some((row, found.params))
    }

    fn unmatched(&self, path: &str) -> Unmatched {
        let taken = |method: &Method| self.find(*method, path).is_some();
        match Method::ALL.into_iter().filter(taken).collect::<Vec<_>>() {
            none if none.is_empty() => Unmatched::Path,
            methods => Unmatched::Method(methods),
        }
    }
}

fn place(method: Method) -> usize {
    match method {
        Method::Get => 0,
        Method::Post => 1,
        Method::Put => 2,
        Method::Delete => 3,
    }
}

fn trimmed(path: &str) -> &str {
    match path.strip_suffix('/') {
        Some(shorter) if !shorter.is_empty() => shorter,
        _ => path,
    }
}

/// Undoes percent-encoding once. None for a `%` that begins no escape, for what is not UTF-8, and for NUL, which
/// no name holds and many a program below would stop reading at.
fn decoded(raw: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let [first, more @ ..] = rest {
        rest = more;
        let byte = if *first == b'%' {
            let [high, low, more @ ..] = more else { return None };
            rest = more;
            hex_digit(*high)? << 4 | hex_digit(*low)?
        } else {
            *first
        };
        if byte == 0 {
            return None;
        }
        bytes.push(byte);
    }
    String::from_utf8(bytes).ok()
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_are_undone_once() {
        assert_eq!(decoded("a%2Fb").unwrap(), "a/b");
        assert_eq!(decoded("%252e").unwrap(), "%2e");
        assert_eq!(decoded("%7Bx%7d").unwrap(), "{x}");
        for bad in ["%", "%2", "%zz", "%ff", "a%00", "%+1"] {
            assert_eq!(decoded(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_read_back(text in "[^\\x00]{0,40}") {
            let raw: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            prop_assert_eq!(decoded(&raw), Some(text));
        }

        #[test]
        fn any_text_is_decoded_without_panic(raw in "\\PC{0,60}") {
            let _ = decoded(&raw);
        }
    }
}
