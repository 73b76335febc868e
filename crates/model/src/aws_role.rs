//! Roles at Amazon that steps of pipelines take on: which, how, and who may.

use std::fmt;
use std::str::FromStr;

use crate::{AwsRoleId, DisplayName, Glob, Random, RefName, RepositoryId, Timestamp, WorkspaceId};

/// The shortest session, in seconds. The source for the bounds is Amazon's reference of STS.
pub const SHORTEST_SESSION: u32 = 900;
/// The longest session, in seconds.
pub const LONGEST_SESSION: u32 = 43_200;
/// The longest session where one role takes on another, in seconds.
pub const LONGEST_CHAINED_SESSION: u32 = 3600;
/// The longest text of an ARN that is taken.
const LONGEST_ARN: usize = 640;
/// The longest name of a role or user, and the longest path in front of it.
const LONGEST_NAME: usize = 64;
const LONGEST_PATH: usize = 512;

/// The text is not the ARN of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use the ARN of a role, such as `arn:aws:iam::123456789012:role/name`")]
pub struct BadRoleArn;

/// The ARN of a role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleArn {
    text: String,
    partition: String,
    account: AwsAccount,
    name: String,
}

impl RoleArn {
    /// The ARN as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// `aws`, `aws-cn`, `aws-us-gov`.
    #[must_use]
    pub fn partition(&self) -> &str {
        &self.partition
    }

    /// The account that the role is in.
    #[must_use]
    pub fn account(&self) -> &AwsAccount {
        &self.account
    }

    /// The role's path: `/`, or `/teams/web/`.
    #[must_use]
    pub fn path(&self) -> &str {
        let resource = self.text.split_once(":role").map_or("/", |(_, resource)| resource);
        resource.strip_suffix(self.name.as_str()).unwrap_or("/")
    }

    /// The role's name, without its path.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Whether a text has only what names at Amazon are made of.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b))
}

/// The partition, the account and the name in the ARN of something of IAM's: `kind` is `role` or `user`.
fn of_iam(text: &str, kind: &str) -> Option<(String, AwsAccount, String)> {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["arn", partition, "iam", "", account, resource] = parts.as_slice() else { return None };
    let rest = resource.strip_prefix(kind)?.strip_prefix('/')?;
    let (path, name) = rest.rsplit_once('/').unwrap_or(("", rest));
    let partition_fits = partition.starts_with("aws")
        && partition.len() <= 20
        && partition.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    let path_fits = path.len() <= LONGEST_PATH
        && (path.is_empty() || path.split('/').all(is_name))
        && (path.is_empty() != rest.contains('/'));
    let fits = text.len() <= LONGEST_ARN && partition_fits && path_fits;
    if !fits || !is_name(name) || name.len() > LONGEST_NAME {
        return None;
    }
    Some(((*partition).to_owned(), account.parse().ok()?, name.to_owned()))
}

impl FromStr for RoleArn {
    type Err = BadRoleArn;

    fn from_str(text: &str) -> Result<Self, BadRoleArn> {
        let (partition, account, name) = of_iam(text, "role").ok_or(BadRoleArn)?;
        Ok(Self { text: text.to_owned(), partition, account, name })
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The text is not the ARN of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use the ARN of a user, such as `arn:aws:iam::123456789012:user/name`")]
pub struct BadUserArn;

/// The ARN of a user of IAM's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserArn {
    text: String,
    partition: String,
    name: String,
}

impl UserArn {
    /// The ARN as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// `aws`, `aws-cn`, `aws-us-gov`.
    #[must_use]
    pub fn partition(&self) -> &str {
        &self.partition
    }

    /// The user's name, without its path.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for UserArn {
    type Err = BadUserArn;

    fn from_str(text: &str) -> Result<Self, BadUserArn> {
        let (partition, _, name) = of_iam(text, "user").ok_or(BadUserArn)?;
        Ok(Self { text: text.to_owned(), partition, name })
    }
}

/// The text is not the id of an access key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAwsKeyId {
    /// It is no id at all.
    #[error("use the id of an access key of an IAM user, such as `AKIAIOSFODNN7EXAMPLE`")]
    Unreadable,
    /// It is a session's.
    #[error(
        "this is the key of a session, which ends by itself: give the access key of an IAM user (`AKIA…`)"
    )]
    Temporary,
}

/// The id of an access key that does not end by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsKeyId(String);

impl AwsKeyId {
    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AwsKeyId {
    type Err = BadAwsKeyId;

    fn from_str(text: &str) -> Result<Self, BadAwsKeyId> {
        // The source for the bounds is Amazon's reference of IAM.
        let fits = (16..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
        match fits {
            false => Err(BadAwsKeyId::Unreadable),
            true if text.starts_with("ASIA") => Err(BadAwsKeyId::Temporary),
            true => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Display for AwsKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is not the id of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use the twelve digits of an account at Amazon")]
pub struct BadAwsAccount;

/// The id of an account at Amazon: twelve digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AwsAccount(String);

impl AwsAccount {
    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AwsAccount {
    type Err = BadAwsAccount;

    fn from_str(text: &str) -> Result<Self, BadAwsAccount> {
        let fits = text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
        if fits { Ok(Self(text.to_owned())) } else { Err(BadAwsAccount) }
    }
}

impl fmt::Display for AwsAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is not the name of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use the name of a region, such as `eu-central-1`")]
pub struct BadAwsRegion;

/// The name of a region. It becomes part of a host's name, so it has nothing that could lead elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AwsRegion(String);

impl AwsRegion {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AwsRegion {
    type Err = BadAwsRegion;

    fn from_str(text: &str) -> Result<Self, BadAwsRegion> {
        let piece = |piece: &str| {
            !piece.is_empty() && piece.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        let fits = text.len() <= 32 && text.contains('-') && text.split('-').all(piece);
        if fits { Ok(Self(text.to_owned())) } else { Err(BadAwsRegion) }
    }
}

impl fmt::Display for AwsRegion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name is not one of a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use `web-identity` or `assume-role`")]
pub struct BadAwsMode;

/// How a step gets at a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AwsMode {
    /// The step's tools exchange an identity token of the workspace's.
    WebIdentity,
    /// The server takes on the role with its own identity and the workspace's external id, and hands on the session.
    AssumeRole,
}

impl AwsMode {
    /// The name that the store and the API have.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WebIdentity => "web-identity",
            Self::AssumeRole => "assume-role",
        }
    }
}

impl FromStr for AwsMode {
    type Err = BadAwsMode;

    fn from_str(text: &str) -> Result<Self, BadAwsMode> {
        match text {
            "web-identity" => Ok(Self::WebIdentity),
            "assume-role" => Ok(Self::AssumeRole),
            _ => Err(BadAwsMode),
        }
    }
}

/// The text is not a pattern of branches or tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "use a branch's name, in which `*` stands for any characters (`main`, `release/*`), or a whole ref of a branch or \
     tag (`refs/tags/v*`)"
)]
pub struct BadRefPattern;

/// A pattern of whole refs: of branches, or of tags. No pull request's ref ever matches, so whoever trusts a branch trusts
/// no pull request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefPattern(Glob);

impl RefPattern {
    /// The pattern: `refs/heads/release/*`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether a whole ref matches.
    #[must_use]
    pub fn matches(&self, git_ref: &str) -> bool {
        self.0.matches(git_ref)
    }
}

impl FromStr for RefPattern {
    type Err = BadRefPattern;

    fn from_str(text: &str) -> Result<Self, BadRefPattern> {
        let whole = match text.starts_with("refs/") {
            true => text.to_owned(),
            false => format!("refs/heads/{text}"),
        };
        let rest = whole.strip_prefix("refs/heads/").or_else(|| whole.strip_prefix("refs/tags/"));
        let named = rest.is_some_and(|rest| RefName::branch(&rest.replace('*', "x")).is_ok());
        if !named {
            return Err(BadRefPattern);
        }
        whole.parse().map(Self).map_err(|_| BadRefPattern)
    }
}

/// Who may use a role. All that a grant says must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsGrant {
    /// Runs of this repository; of every repository of the workspace without one.
    pub repository: Option<RepositoryId>,
    /// Runs for a branch or tag whose ref matches.
    pub refs: Option<RefPattern>,
    /// Runs for protected branches and tags alone.
    pub protected_only: bool,
    /// Steps that deploy to the environment of this name.
    pub environment: Option<String>,
}

/// A role at Amazon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsRole {
    /// Its id.
    pub id: AwsRoleId,
    /// The workspace whose steps may take it on.
    pub workspace: WorkspaceId,
    /// The role.
    pub arn: RoleArn,
    /// How a step gets at it.
    pub mode: AwsMode,
    /// What people call it.
    pub name: DisplayName,
    /// Where it is asked for.
    pub region: Option<AwsRegion>,
    /// The longest session, in seconds.
    pub longest_session: u32,
    /// Who may use it: nobody without one.
    pub grants: Vec<AwsGrant>,
    /// When it was named here.
    pub created_on: Timestamp,
}

/// A new external id: 256 random bits in base62. Not a secret, but nobody's choice.
#[must_use]
pub fn external_id(random: &Random) -> String {
    crate::secret::random_text(random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_is_read() {
        let arn: RoleArn = "arn:aws:iam::123456789012:role/teams/web/deploy".parse().unwrap();
        assert_eq!((arn.partition(), arn.account().as_str()), ("aws", "123456789012"));
        assert_eq!((arn.path(), arn.name()), ("/teams/web/", "deploy"));
        let bare: RoleArn = "arn:aws:iam::123456789012:role/role".parse().unwrap();
        assert_eq!((bare.path(), bare.name()), ("/", "role"));
        assert_eq!("arn:aws-cn:iam::123456789012:role/x".parse::<RoleArn>().unwrap().partition(), "aws-cn");
        for bad in [
            "",
            "arn:aws:iam::123456789012:user/x",
            "arn:aws:iam::12345678901:role/x",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role//x",
            "arn:aws:iam::123456789012:role/a//x",
            "arn:aws:iam::123456789012:role/x y",
            "arn:aws:iam::123456789012:role/*",
            "arn:aws:iam::123456789012:role/x\n",
            "arn:AWS:iam::123456789012:role/x",
            "arn:aws:sts::123456789012:role/x",
            "$ROLE",
        ] {
            assert!(bad.parse::<RoleArn>().is_err(), "{bad}");
        }
    }

    /// Attack: a region that leads the server's signed requests to a host of somebody else's.
    #[test]
    fn a_region_names_no_other_host() {
        for good in ["eu-central-1", "us-gov-west-1", "cn-north-1"] {
            assert!(good.parse::<AwsRegion>().is_ok(), "{good}");
        }
        for bad in
            ["", "eu", "x.example.com/-", "eu-central-1.evil", "eu-central-1#", "EU-west-1", "-a", "a-@b"]
        {
            assert!(bad.parse::<AwsRegion>().is_err(), "{bad}");
        }
    }

    /// Attack: a pattern that a pull request's ref matches.
    #[test]
    fn a_pattern_is_of_branches_or_of_tags() {
        let main: RefPattern = "main".parse().unwrap();
        assert_eq!(main.as_str(), "refs/heads/main");
        let any: RefPattern = "*".parse().unwrap();
        assert!(any.matches("refs/heads/a/b") && !any.matches("refs/pull-requests/1"));
        let tags: RefPattern = "refs/tags/v*".parse().unwrap();
        assert!(tags.matches("refs/tags/v1") && !tags.matches("refs/heads/v1"));
        for bad in ["", "refs/*", "refs/pull-requests/*", "a..b", "refs/heads/", "ref s"] {
            assert!(bad.parse::<RefPattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_user_is_a_user_and_nobody_else() {
        let user: UserArn = "arn:aws-us-gov:iam::123456789012:user/teams/bastide".parse().unwrap();
        assert_eq!((user.partition(), user.name()), ("aws-us-gov", "bastide"));
        for bad in [
            "arn:aws:iam::123456789012:root",
            "arn:aws:iam::123456789012:role/bastide",
            "arn:aws:sts::123456789012:assumed-role/bastide/x",
            "arn:aws:sts::123456789012:federated-user/bastide",
            "arn:aws:iam::123456789012:username/bastide",
            "arn:aws:iam::1:user/bastide",
            "",
        ] {
            assert_eq!(bad.parse::<UserArn>(), Err(BadUserArn), "{bad}");
        }
    }

    #[test]
    fn a_key_of_a_session_is_told_from_one_that_stays() {
        assert!("AKIAIOSFODNN7EXAMPLE".parse::<AwsKeyId>().is_ok());
        assert_eq!("ASIAIOSFODNN7EXAMPLE".parse::<AwsKeyId>(), Err(BadAwsKeyId::Temporary));
        for bad in ["", "AKIA", "AKIAIOSFODNN7 EXAMPLE", "AKIAIOSFODNN7/EXAMPLE", &"A".repeat(129)] {
            assert_eq!(bad.parse::<AwsKeyId>(), Err(BadAwsKeyId::Unreadable), "{bad}");
        }
    }

    #[test]
    fn external_ids_are_long_and_differ() {
        let random = Random::seeded(1);
        let (one, other) = (external_id(&random), external_id(&random));
        assert_ne!(one, other);
        assert!(one.len() == 43 && one.bytes().all(|b| b.is_ascii_alphanumeric()));
    }
}
