//! Who did something and with what, as the audit trail names them, in words for readers.

use model::{CredentialKind, EntryKind};

/// A principal or a credential: a word for readers, and the name or id that tells it from others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// What it is: `User`, `API token`; empty where the name says it.
    pub kind: String,
    /// Its name or id.
    pub name: String,
}

impl Known {
    /// A principal by its label: `user:ann`, `access-token:{uuid}`.
    #[must_use]
    pub fn principal(label: &str) -> Self {
        let (kind, name) = label.split_once(':').unwrap_or((label, ""));
        let kind = match kind {
            "user" => "",
            "access-token" => "Access token",
            "operator" => "The server's command line",
            "anonymous" => "Nobody known",
            "internal" | "system" => "The server itself",
            other => other,
        };
        Self { kind: kind.to_owned(), name: name.to_owned() }
    }

    /// A credential by its label: `app_password:{uuid}`, `session:{uuid}`; none means signing in.
    #[must_use]
    pub fn credential(label: Option<&str>) -> Self {
        let Some(label) = label else {
            return Self { kind: EntryKind::Session.title().to_owned(), name: String::new() };
        };
        let (kind, name) = label.split_once(':').unwrap_or((label, ""));
        let known = CredentialKind::ALL.iter().find(|one| one.name() == kind).map(|one| one.title());
        let title = match (known, kind) {
            (Some(title), _) => title,
            (None, "session") => "Browser session",
            (None, other) => other,
        };
        Self { kind: title.to_owned(), name: name.trim_matches(['{', '}']).to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_become_words() {
        assert_eq!(Known::principal("user:ann"), Known { kind: String::new(), name: "ann".to_owned() });
        assert_eq!(Known::principal("operator").kind, "The server's command line");
        let token = Known::credential(Some("api_token:{0-1}"));
        assert_eq!((token.kind.as_str(), token.name.as_str()), ("API token", "0-1"));
        assert_eq!(Known::credential(None).kind, "Signed in with a browser");
    }
}
