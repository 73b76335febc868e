//! Names that people choose, parsed once: a value of these types is safe in a URL, a log line and a path.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a name was refused; `Display` says what is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// A slug has a character or a length that slugs do not have.
    #[error("use 1 to 62 lower-case letters, digits, `-`, `_` or `.`, beginning with a letter or digit")]
    Slug,
    /// The slug would shadow a page or a route.
    #[error("this name is reserved")]
    Reserved,
    /// A project key.
    #[error("use 1 to 40 capital letters, digits or `_`, beginning with a letter")]
    ProjectKey,
    /// A username.
    #[error("use 1 to 62 letters, digits, `-`, `_` or `.`, beginning with a letter or digit")]
    Username,
    /// An e-mail address.
    #[error("use an e-mail address such as ann@example.com")]
    Email,
    /// A display name.
    #[error("use 1 to 250 characters, without control characters")]
    DisplayName,
}

/// Names that are, or may become, the first part of a page's or a route's path. Reserved from the start, because a
/// name that is once given cannot be taken back without breaking somebody's clone URL.
const RESERVED: &[&str] = &[
    "1.0",
    "2.0",
    "about",
    "access",
    "account",
    "admin",
    "api",
    "app",
    "apps",
    "assets",
    "audit",
    "auth",
    "bastide",
    "blog",
    "bots",
    "branding",
    "callback",
    "campaigns",
    "certificate",
    "changelog",
    "checkpoint",
    "connect",
    "connectors",
    "dashboard",
    "docs",
    "download",
    "downloads",
    "error",
    "explore",
    "favicon.ico",
    "feed",
    "git",
    "governance",
    "groups",
    "guardrails",
    "health",
    "healthz",
    "help",
    "hook",
    "hooks",
    "import",
    "instance",
    "internal",
    "issues",
    "jobs",
    "join",
    "keys",
    "ledger",
    "legal",
    "login",
    "logout",
    "mail",
    "metrics",
    "new",
    "notifications",
    "oauth",
    "oauth2",
    "oidc",
    "pipelines",
    "plugins",
    "policies",
    "policy",
    "privacy",
    "profile",
    "projects",
    "pull-requests",
    "pullrequests",
    "ready",
    "readyz",
    "register",
    "repositories",
    "requests",
    "reset",
    "restore",
    "reviews",
    "robots.txt",
    "root",
    "runners",
    "saml",
    "scim",
    "search",
    "security",
    "session",
    "sessions",
    "settings",
    "setup",
    "sign-in",
    "sign-out",
    "signin",
    "signout",
    "signup",
    "site",
    "sitemap.xml",
    "snippets",
    "ssh",
    "static",
    "status",
    "step-up",
    "support",
    "system",
    "teams",
    "terms",
    "tile",
    "tlog",
    "token",
    "tokens",
    "user",
    "users",
    "verify",
    "version",
    "welcome",
    "well-known",
    "workspace",
    "workspaces",
];

fn plain_slug(text: &str) -> bool {
    let first = text.bytes().next();
    text.len() <= 62
        && matches!(first, Some(b'a'..=b'z' | b'0'..=b'9'))
        && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'))
        && !text.contains("..")
        && !text.ends_with('.')
        && !text.ends_with(".git")
        && !text.ends_with(".lock")
}

fn workspace_slug(text: &str) -> Result<(), BadName> {
    if !plain_slug(text) {
        return Err(BadName::Slug);
    }
    if RESERVED.contains(&text) { Err(BadName::Reserved) } else { Ok(()) }
}

fn slug(text: &str) -> Result<(), BadName> {
    if plain_slug(text) { Ok(()) } else { Err(BadName::Slug) }
}

/// Below a workspace, `workspace` is where the pages about it stand.
fn repository_slug(text: &str) -> Result<(), BadName> {
    slug(text)?;
    if text == "workspace" { Err(BadName::Reserved) } else { Ok(()) }
}

fn project_key(text: &str) -> Result<(), BadName> {
    let well = text.len() <= 40
        && matches!(text.bytes().next(), Some(b'A'..=b'Z'))
        && text.bytes().all(|b| matches!(b, b'A'..=b'Z' | b'0'..=b'9' | b'_'));
    if well { Ok(()) } else { Err(BadName::ProjectKey) }
}

fn username(text: &str) -> Result<(), BadName> {
    let folded = text.to_ascii_lowercase();
    // The user names that git's clients send in place of a person's.
    if matches!(folded.as_str(), "x-token-auth" | "x-bitbucket-api-token-auth") {
        return Err(BadName::Reserved);
    }
    if plain_slug(&folded) { Ok(()) } else { Err(BadName::Username) }
}

fn email(text: &str) -> Result<(), BadName> {
    let Some((local, domain)) = text.rsplit_once('@') else { return Err(BadName::Email) };
    let odd = |c: char| {
        c.is_control() || c.is_whitespace() || matches!(c, '<' | '>' | '"' | '\\' | ',' | ':' | ';')
    };
    let well = text.len() <= 254
        && !local.is_empty()
        && local.len() <= 64
        && !local.contains('@')
        && !domain.is_empty()
        && !domain.starts_with(['.', '-'])
        && !domain.ends_with(['.', '-'])
        && !text.contains("..")
        && !text.chars().any(odd);
    if well { Ok(()) } else { Err(BadName::Email) }
}

fn display_name(text: &str) -> Result<(), BadName> {
    let count = text.chars().count();
    // Marks that turn the direction of writing make one name look like another.
    let odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
    };
    if text.trim().is_empty() || count > 250 || text.chars().any(odd) {
        Err(BadName::DisplayName)
    } else {
        Ok(())
    }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident by $check:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The name as it was given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The form by which names are compared and kept unique: lower case.
            #[must_use]
            pub fn folded(&self) -> String {
                self.0.to_lowercase()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                $check(text)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

names! {
    /// A workspace's slug: the first part of a clone URL.
    WorkspaceSlug by workspace_slug;
    /// A repository's slug: the second part of a clone URL, without `.git`.
    RepositorySlug by repository_slug;
    /// A group's slug.
    GroupSlug by slug;
    /// A project's key.
    ProjectKey by project_key;
    /// A person's name for signing in. Compared without regard to case and never given twice.
    Username by username;
    /// An e-mail address. Compared without regard to case.
    Email by email;
    /// The name that people read: of a user, repository, project, workspace, group or credential.
    DisplayName by display_name;
}

/// The slug that a display name becomes: lower case, anything that a slug does not hold to dashes (facts 4.2).
/// Empty when nothing is left.
#[must_use]
pub fn slug_from(name: &str) -> String {
    let mut slug = String::new();
    for c in name.to_lowercase().chars() {
        let keep = c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
        if keep {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() >= 62 {
            break;
        }
    }
    // Until nothing changes: what stands before a `.git` may end in one again, and three dots hold two twice.
    loop {
        let trimmed = slug.trim_matches(['-', '.', '_']);
        let bare = trimmed.strip_suffix(".git").or_else(|| trimmed.strip_suffix(".lock")).unwrap_or(trimmed);
        let next = bare.replace("..", ".");
        if next == slug {
            return slug;
        }
        slug = next;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_slugs_are_refused() {
        for bad in [
            "",
            "-u",
            "--upload-pack=touch",
            ".",
            "..",
            "a/../b",
            "a/b",
            "a\0b",
            "a b",
            "A",
            "é",
            "a.git",
            "a.lock",
            "a\n",
        ] {
            assert_eq!(bad.parse::<RepositorySlug>(), Err(BadName::Slug), "{bad:?}");
        }
        assert!("a".repeat(63).parse::<RepositorySlug>().is_err());
        assert_eq!("api".parse::<WorkspaceSlug>(), Err(BadName::Reserved));
        assert_eq!("X-Token-Auth".parse::<Username>(), Err(BadName::Reserved));
    }

    #[test]
    fn addresses_and_display_names() {
        assert!("ann@example.com".parse::<Email>().is_ok());
        for bad in ["ann", "ann@", "@x", "a@b\n", "a b@c.d", "a@b..c", "a@@b.c"] {
            assert!(bad.parse::<Email>().is_err(), "{bad:?}");
        }
        assert!("Ann \u{202e}nimda".parse::<DisplayName>().is_err());
        assert!("  ".parse::<DisplayName>().is_err());
    }

    #[test]
    fn reserved_names_stand_in_order_and_once() {
        assert!(RESERVED.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn dots_and_endings_are_taken_away_however_many() {
        assert_eq!(slug_from("a...b"), "a.b");
        assert_eq!(slug_from("a.git.lock.git"), "a");
        assert_eq!(slug_from("a.-.git"), "a");
        assert_eq!(slug_from("..."), "");
    }

    proptest! {
        #[test]
        fn a_slug_made_from_a_name_is_a_slug_or_empty(name in "\\PC{0,80}") {
            let slug = slug_from(&name);
            prop_assert!(slug.is_empty() || slug.parse::<RepositorySlug>().is_ok(), "{slug:?}");
        }

        #[test]
        fn an_accepted_slug_is_one_path_component(text in "[ -~]{1,70}") {
            if let Ok(slug) = text.parse::<RepositorySlug>() {
                let path = std::path::Path::new(slug.as_str());
                prop_assert_eq!(path.components().count(), 1);
                prop_assert!(path.file_name().is_some());
            }
        }
    }
}
