//! Secrets: the text of a credential, its hash, and the format by which scanners know it.
//!
//! A Bastide secret is `bst_` + kind + `_` + 256 random bits in base62 (43 characters) + the CRC-32 of what stands
//! before it in base62 (6 characters). The checksum lets a scanner, or the first line of authentication, tell a
//! mistyped or foreign text without asking the store.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::Random;

/// A text that must not reach a log, an error or an answer: neither `Debug` nor `Display` nor `Serialize`.
/// It is wiped from memory when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes charge of a secret text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text. Every use of this name is a place to look at.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The SHA-256 of the text: what the store keeps of a secret of 256 random bits. Never of a password.
    #[must_use]
    pub fn hash(&self) -> SecretHash {
        SecretHash(Sha256::digest(self.0.as_bytes()).into())
    }
}

/// The SHA-256 of a secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// From what the store keeps.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// For the store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// What a secret opens, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CredentialKind {
    /// An access token bound to a repository.
    RepositoryAccessToken,
    /// An access token bound to a project.
    ProjectAccessToken,
    /// An access token bound to a workspace.
    WorkspaceAccessToken,
    /// A user's app password: classic scopes.
    AppPassword,
    /// A user's API token: flat scopes.
    ApiToken,
    /// What one running step of a pipeline holds: its own repository, until the step ends.
    StepToken,
}

impl CredentialKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::RepositoryAccessToken,
        Self::ProjectAccessToken,
        Self::WorkspaceAccessToken,
        Self::AppPassword,
        Self::ApiToken,
        Self::StepToken,
    ];

    /// The three letters in the secret, also kept by the store.
    #[must_use]
    pub fn letters(self) -> &'static str {
        match self {
            Self::RepositoryAccessToken => "rat",
            Self::ProjectAccessToken => "pat",
            Self::WorkspaceAccessToken => "wat",
            Self::AppPassword => "app",
            Self::ApiToken => "api",
            Self::StepToken => "stp",
        }
    }

    /// The name in answers and the audit trail; Bitbucket's own where it has one (facts 1.4).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RepositoryAccessToken => "repository_access_token",
            Self::ProjectAccessToken => "project_access_token",
            Self::WorkspaceAccessToken => "workspace_access_token",
            Self::AppPassword => "app_password",
            Self::ApiToken => "api_token",
            Self::StepToken => "step_token",
        }
    }

    /// What readers call it.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::RepositoryAccessToken => "Repository access token",
            Self::ProjectAccessToken => "Project access token",
            Self::WorkspaceAccessToken => "Workspace access token",
            Self::AppPassword => "App password",
            Self::ApiToken => "API token",
            Self::StepToken => "Step token",
        }
    }

    /// Reads the three letters.
    #[must_use]
    pub fn from_letters(letters: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.letters() == letters)
    }

    /// Whether it stands for itself rather than for a user.
    #[must_use]
    pub fn stands_for_itself(self) -> bool {
        self.is_access_token() || self == Self::StepToken
    }

    /// Whether it is an access token, which people make for programs.
    #[must_use]
    pub fn is_access_token(self) -> bool {
        matches!(self, Self::RepositoryAccessToken | Self::ProjectAccessToken | Self::WorkspaceAccessToken)
    }
}

/// A well-formed Bastide secret.
#[derive(Clone)]
pub struct Token {
    kind: CredentialKind,
    secret: Secret,
}

/// The text is not a Bastide secret.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a Bastide token: check that it was copied whole")]
pub struct BadToken;

/// What a secret opens that is no credential for programs: no header and no face but the web pages takes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretKind {
    /// A session.
    Session,
    /// A step of signing in, or of enrolling something, that waits for the next one.
    Challenge,
    /// A link by which a password is reset.
    ResetLink,
    /// A link that proves an e-mail address.
    EmailLink,
    /// What a runner is let in by.
    Runner,
    /// A code that is exchanged for a runner's credential, once.
    RunnerCode,
    /// The key that signs what a receiver of the audit trail is sent. It opens nothing here.
    AuditSink,
    /// The key that signs what a provider of dynamic pipelines is asked. It opens nothing here.
    DynamicPipeline,
}

impl SecretKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::Session,
        Self::Challenge,
        Self::ResetLink,
        Self::EmailLink,
        Self::Runner,
        Self::RunnerCode,
        Self::AuditSink,
        Self::DynamicPipeline,
    ];

    /// The three letters in the secret.
    #[must_use]
    pub fn letters(self) -> &'static str {
        match self {
            Self::Session => "ses",
            Self::Challenge => "chl",
            Self::ResetLink => "rst",
            Self::EmailLink => "eml",
            Self::Runner => "run",
            Self::RunnerCode => "rcd",
            Self::AuditSink => "snk",
            Self::DynamicPipeline => "dyn",
        }
    }
}

/// A secret of one of these kinds, in the same form as a [`Token`], which it can never be read as.
#[derive(Clone)]
pub struct IssuedSecret {
    kind: SecretKind,
    secret: Secret,
}

impl IssuedSecret {
    /// A new secret of a kind.
    #[must_use]
    pub fn new(kind: SecretKind, random: &Random) -> Self {
        Self { kind, secret: written(kind.letters(), random) }
    }

    /// Reads one of this kind and no other.
    ///
    /// # Errors
    /// When the text is not whole, or a secret of another kind.
    pub fn parse(kind: SecretKind, text: &str) -> Result<Self, BadToken> {
        if well_formed(text)? != kind.letters() {
            return Err(BadToken);
        }
        Ok(Self { kind, secret: Secret::new(text.to_owned()) })
    }

    /// What it opens.
    #[must_use]
    pub fn kind(&self) -> SecretKind {
        self.kind
    }

    /// The text to hand out once.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// What the store keeps.
    #[must_use]
    pub fn hash(&self) -> SecretHash {
        self.secret.hash()
    }
}

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const RANDOM_DIGITS: usize = 43;
const CHECK_DIGITS: usize = 6;

/// 256 random bits as text, for what must not be guessed or chosen but need not be kept from anybody.
pub(crate) fn random_text(random: &Random) -> String {
    base62(&random.bytes::<32>(), RANDOM_DIGITS)
}

/// `bytes`, read as one big number, in base62, padded to `width` digits. 43 digits hold 256 bits, 6 hold 32.
fn base62(bytes: &[u8], width: usize) -> String {
    let mut number = bytes.to_vec();
    let mut digits = Vec::with_capacity(width);
    for _ in 0..width {
        let mut remainder: u32 = 0;
        for byte in &mut number {
            let value = remainder * 256 + u32::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or(u8::MAX);
            remainder = value % 62;
        }
        let digit = usize::try_from(remainder).ok().and_then(|at| DIGITS.get(at)).copied().unwrap_or(b'0');
        digits.push(char::from(digit));
    }
    digits.iter().rev().collect()
}

fn check_digits(head: &str) -> String {
    base62(&crc32fast::hash(head.as_bytes()).to_be_bytes(), CHECK_DIGITS)
}

/// A new text with these letters.
fn written(letters: &str, random: &Random) -> Secret {
    let head = format!("bst_{letters}_{}", base62(&random.bytes::<32>(), RANDOM_DIGITS));
    let check = check_digits(&head);
    Secret::new(head + &check)
}

/// The letters of a text that is whole.
fn well_formed(text: &str) -> Result<&str, BadToken> {
    let rest = text.strip_prefix("bst_").ok_or(BadToken)?;
    let (letters, body) = rest.split_once('_').ok_or(BadToken)?;
    if body.len() != RANDOM_DIGITS + CHECK_DIGITS || !body.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(BadToken);
    }
    let (head, check) = text.split_at_checked(text.len() - CHECK_DIGITS).ok_or(BadToken)?;
    if check_digits(head) != check { Err(BadToken) } else { Ok(letters) }
}

impl Token {
    /// A new secret of a kind.
    #[must_use]
    pub fn new(kind: CredentialKind, random: &Random) -> Self {
        Self { kind, secret: written(kind.letters(), random) }
    }

    /// What it opens.
    #[must_use]
    pub fn kind(&self) -> CredentialKind {
        self.kind
    }

    /// The text to show once.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// What the store keeps.
    #[must_use]
    pub fn hash(&self) -> SecretHash {
        self.secret.hash()
    }
}

impl FromStr for Token {
    type Err = BadToken;

    fn from_str(text: &str) -> Result<Self, BadToken> {
        let kind = CredentialKind::from_letters(well_formed(text)?).ok_or(BadToken)?;
        Ok(Self { kind, secret: Secret::new(text.to_owned()) })
    }
}

impl fmt::Debug for SecretHash {
    /// Eight digits are enough to tell two hashes apart in a test's output.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretHash({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_secret_has_the_published_form() {
        let token = Token::new(CredentialKind::RepositoryAccessToken, &Random::seeded(3));
        let text = token.secret().expose();
        assert!(text.starts_with("bst_rat_"));
        assert_eq!(text.len(), "bst_rat_".len() + 43 + 6);
        assert_eq!(text.parse::<Token>().unwrap_or_else(|_| panic!("read back")).hash(), token.hash());
    }

    /// A session's secret must not pass for a credential, nor one kind for another.
    #[test]
    fn a_secret_is_read_as_its_own_kind_alone() {
        for kind in SecretKind::ALL {
            let secret = IssuedSecret::new(*kind, &Random::seeded(4));
            let text = secret.secret().expose();
            assert!(text.parse::<Token>().is_err());
            for other in SecretKind::ALL {
                assert_eq!(IssuedSecret::parse(*other, text).is_ok(), other == kind);
            }
            assert!(CredentialKind::from_letters(kind.letters()).is_none());
        }
    }

    #[test]
    fn base62_holds_the_largest_numbers() {
        assert_eq!(base62(&[0xff; 32], 43).len(), 43);
        assert_eq!(base62(&[0, 0, 0, 61], 6), "00000z");
        assert_eq!(base62(&[0xff; 4], 6), "4gfFC3");
    }

    proptest! {
        /// A flipped character is noticed without asking the store.
        #[test]
        fn a_changed_character_is_noticed(seed in 0u64..50, at in 0usize..57, with in "[ -~]") {
            let token = Token::new(CredentialKind::ApiToken, &Random::seeded(seed));
            let text = token.secret().expose();
            let mut changed = text.to_owned();
            changed.replace_range(at..=at, &with);
            prop_assert_eq!(changed.parse::<Token>().is_ok(), changed == text);
        }

        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,80}") {
            let _ = text.parse::<Token>();
        }
    }
}
