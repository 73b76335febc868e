//! The headers that tell a client what its credential holds and what a call requires.

use model::{Error, Result, ScopeSet};

/// What the credential holds.
pub const HELD: &str = "x-oauth-scopes";
/// What the call requires, in the classic vocabulary whatever the credential's.
pub const ACCEPTED: &str = "x-accepted-oauth-scopes";
/// Which credential it is.
pub const TOKEN_ID: &str = "x-token-id";

/// The scopes' texts, separated by a comma and a blank.
#[must_use]
pub fn write(scopes: ScopeSet) -> String {
    scopes.names().join(", ")
}

/// Reads such a header, as a client does.
pub fn read(text: &str) -> Result<ScopeSet> {
    text.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(|name| name.parse().map_err(|error| Error::invalid(format!("`{name}`: {error}"))))
        .collect::<Result<_>>()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn scopes_are_separated_by_comma_and_blank() {
        let scopes = "webhook repository".parse().unwrap();
        assert_eq!(write(scopes), "repository, webhook");
        assert_eq!(write(ScopeSet::NONE), "");
        assert!(read("repository, everything").is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(keep in prop::collection::vec(any::<bool>(), 80)) {
            let scopes = model::Scope::all().zip(keep).filter(|(_, keep)| *keep).map(|(scope, _)| scope);
            let set: ScopeSet = scopes.collect();
            prop_assert_eq!(read(&write(set)).unwrap(), set);
        }
    }
}
