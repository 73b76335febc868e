//! How a role at Amazon comes to trust a workspace, or the server on a workspace's behalf: the trust policy, and the role with
//! it as Terraform, CloudFormation and commands have it.

use model::RoleArn;
use serde_json::{Map, Value, json};

/// The audience of tokens for Amazon.
pub const AUDIENCE: &str = "sts.amazonaws.com";
/// Stands where the server's own identity is not known.
const UNKNOWN_SERVER: &str = "ARN_OF_THE_SERVER";

/// What a token must say for a role to be given, of those things that Amazon looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedTokens {
    /// A pattern of subjects.
    pub subject: String,
    /// Whether tokens have session tags, without which nothing but the subject can be asked for.
    pub session_tags: bool,
    /// A pattern of refs.
    pub refs: Option<String>,
    /// Protected branches and tags alone.
    pub protected_only: bool,
    /// The name of an environment.
    pub environment: Option<String>,
}

/// Whom a role trusts.
#[derive(Clone, Copy, Debug)]
pub enum Trusted<'a> {
    /// The issuer of a workspace's tokens.
    Tokens {
        /// The issuer.
        issuer: &'a str,
        /// Which of its tokens.
        tokens: &'a [TrustedTokens],
    },
    /// The server.
    Server {
        /// Its own identity, where it is known.
        principal: Option<&'a str>,
        /// By what the account knows the workspace.
        external_id: &'a str,
    },
}

/// A role that trusts, in the forms in which it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleSetup {
    /// The trust policy, JSON.
    pub trust_policy: String,
    /// Terraform.
    pub terraform: String,
    /// A template for `CloudFormation`, JSON.
    pub cloudformation: String,
    /// Commands for Amazon's own command line.
    pub cli: String,
    /// What keeps it from working, or from being as narrow as it was meant.
    pub warnings: Vec<String>,
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// A value in a condition, in which Amazon would put variables for `${…}`.
fn literal(text: &str) -> String {
    text.replace("${", "${$}{")
}

/// A value in a condition that has no patterns but those that it is meant to have.
fn without_patterns(text: &str) -> String {
    literal(text).replace('*', "${*}").replace('?', "${?}")
}

/// A word of a command.
fn word(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A text in Terraform's `<<` form.
fn heredoc(text: &str) -> String {
    text.replace("${", "$${").replace("%{", "%%{")
}

/// A text in Terraform's quotes.
fn quoted(text: &str) -> String {
    heredoc(&Value::from(text).to_string())
}

fn provider(issuer: &str) -> &str {
    issuer.split_once("://").map_or(issuer, |(_, rest)| rest)
}

fn token_statement(role: &RoleArn, issuer: &str, tokens: &TrustedTokens) -> Value {
    let provider = provider(issuer);
    let (mut equals, mut like) = (Map::new(), Map::new());
    equals.insert(format!("{provider}:aud"), json!(AUDIENCE));
    like.insert(format!("{provider}:sub"), json!(literal(&tokens.subject)));
    if tokens.session_tags {
        if tokens.protected_only {
            equals.insert("aws:RequestTag/ref_protected".to_owned(), json!("true"));
        }
        if let Some(environment) = &tokens.environment {
            equals.insert("aws:RequestTag/environment".to_owned(), json!(literal(environment)));
        }
        if let Some(refs) = &tokens.refs {
            like.insert("aws:RequestTag/ref".to_owned(), json!(literal(refs)));
        }
    }
    let federated = format!("arn:{}:iam::{}:oidc-provider/{provider}", role.partition(), role.account());
    json!({
        "Effect": "Allow",
        "Principal": { "Federated": federated },
        "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"],
        "Condition": { "StringEquals": equals, "StringLike": like },
    })
}

/// A trust policy, JSON.
fn policy(role: &RoleArn, trusted: Trusted<'_>) -> Value {
    let statements: Vec<Value> = match trusted {
        Trusted::Tokens { issuer, tokens } => {
            tokens.iter().map(|tokens| token_statement(role, issuer, tokens)).collect()
        }
        Trusted::Server { principal, external_id } => {
            let principal = json!({ "AWS": principal.unwrap_or(UNKNOWN_SERVER) });
            vec![
                json!({
                    "Effect": "Allow",
                    "Principal": principal,
                    "Action": "sts:AssumeRole",
                    "Condition": { "StringEquals": { "sts:ExternalId": without_patterns(external_id) } },
                }),
                // Allows nothing by itself: a session that is not given has no tags.
                json!({ "Effect": "Allow", "Principal": principal, "Action": "sts:TagSession" }),
            ]
        }
    };
    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// A role that trusts.
#[must_use]
pub fn setup(role: &RoleArn, longest_session: u32, trusted: Trusted<'_>) -> RoleSetup {
    let policy = policy(role, trusted);
    let trust_policy = pretty(&policy);
    let longest = longest_session.max(3600);
    let mut warnings = Vec::new();
    let issuer = match trusted {
        Trusted::Tokens { issuer, tokens } => {
            warnings.extend(crate::trust::issuer_warnings(issuer));
            let narrow =
                |one: &TrustedTokens| one.refs.is_some() || one.protected_only || one.environment.is_some();
            if tokens.iter().any(|one| narrow(one) && !one.session_tags) {
                warnings.push(
                    "Amazon cannot look at the ref and the environment while session tags are off: any step of the \
                     repository that asks for a token for `sts.amazonaws.com` can take the role on; switch session \
                     tags on in the settings of identity tokens, and take the trust policy anew"
                        .to_owned(),
                );
            }
            if tokens.is_empty() {
                warnings.push("nobody may use the role yet, so it trusts nobody".to_owned());
            }
            Some(issuer)
        }
        Trusted::Server { principal, .. } => {
            if principal.is_none() {
                warnings.push(format!(
                    "the server has no identity at Amazon: give it one, and put its ARN where `{UNKNOWN_SERVER}` stands"
                ));
            }
            None
        }
    };
    RoleSetup {
        terraform: terraform(role, longest, &trust_policy, issuer),
        cloudformation: pretty(&cloudformation(role, longest, &policy, issuer)),
        cli: cli(role, longest, &trust_policy, issuer),
        trust_policy,
        warnings,
    }
}

fn terraform(role: &RoleArn, longest: u32, policy: &str, issuer: Option<&str>) -> String {
    let mut text = String::new();
    if let Some(issuer) = issuer {
        text.push_str(&format!(
            "# Once for each account: leave it out where the account knows the issuer.\nresource \
             \"aws_iam_openid_connect_provider\" \"bastide\" {{\n  url            = {}\n  client_id_list = \
             [{}]\n}}\n\n",
            quoted(issuer),
            quoted(AUDIENCE)
        ));
    }
    text.push_str(&format!(
        "resource \"aws_iam_role\" \"bastide\" {{\n  name                 = {}\n  path                 = {}\n  \
         max_session_duration = {longest}\n  assume_role_policy   = <<EOT\n{}\nEOT\n}}\n",
        quoted(role.name()),
        quoted(role.path()),
        heredoc(policy)
    ));
    text
}

fn cloudformation(role: &RoleArn, longest: u32, policy: &Value, issuer: Option<&str>) -> Value {
    let mut resources = Map::new();
    if let Some(issuer) = issuer {
        let properties = json!({ "Url": issuer, "ClientIdList": [AUDIENCE] });
        resources.insert(
            "Issuer".to_owned(),
            json!({ "Type": "AWS::IAM::OIDCProvider", "Properties": properties }),
        );
    }
    let mut made = json!({
        "Type": "AWS::IAM::Role",
        "Properties": {
            "RoleName": role.name(),
            "Path": role.path(),
            "MaxSessionDuration": longest,
            "AssumeRolePolicyDocument": policy,
        },
    });
    if issuer.is_some()
        && let Some(made) = made.as_object_mut()
    {
        made.insert("DependsOn".to_owned(), json!("Issuer"));
    }
    resources.insert("Role".to_owned(), made);
    json!({ "AWSTemplateFormatVersion": "2010-09-09", "Resources": resources })
}

fn cli(role: &RoleArn, longest: u32, policy: &str, issuer: Option<&str>) -> String {
    let mut text = String::new();
    if let Some(issuer) = issuer {
        text.push_str(&format!(
            "# Once for each account: leave it out where the account knows the issuer.\naws iam \
             create-open-id-connect-provider --url {} --client-id-list {AUDIENCE}\n\n",
            word(issuer)
        ));
    }
    text.push_str(&format!(
        "aws iam create-role --role-name {} --path {} --max-session-duration {longest} \\\n  \
         --assume-role-policy-document {}\n",
        word(role.name()),
        word(role.path()),
        word(policy)
    ));
    text
}

/// What the server's own identity needs: to take on roles whose names begin with a prefix, in any account that trusts it; and,
/// where it is a `user`, to replace that user's key and nobody else's.
#[must_use]
pub fn server_policy(partition: &str, prefix: &str, user: Option<&str>) -> Value {
    let mut statements = vec![json!({
        "Effect": "Allow",
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Resource": format!("arn:{partition}:iam::*:role/{prefix}*"),
    })];
    statements.extend(user.map(|user| {
        json!({
            "Effect": "Allow",
            "Action": ["iam:CreateAccessKey", "iam:DeleteAccessKey"],
            "Resource": user,
        })
    }));
    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// Whoever asks, where a policy names users: with the path of the server's user, where it is known, and in any account where it
/// is not made yet.
fn itself(principal: Option<&str>, partition: &str) -> String {
    let known = principal.filter(|arn| arn.contains(":user/")).and_then(|arn| arn.rsplit_once('/'));
    let before =
        known.map_or_else(|| format!("arn:{partition}:iam::*:user"), |(before, _)| before.to_owned());
    format!("{before}/${{aws:username}}")
}

/// The server's own identity: the policy for the one that it has, or a user with it where it has none.
#[must_use]
pub fn server_setup(principal: Option<&str>, partition: &str, prefix: &str) -> RoleSetup {
    let of_role = principal.and_then(|arn| arn.split_once(":role/")).map(|(_, path)| last(path));
    let own = of_role.is_none().then(|| itself(principal, partition));
    let policy = server_policy(partition, prefix, own.as_deref());
    let trust_policy = pretty(&policy);
    let of_user = principal.and_then(|arn| arn.split_once(":user/")).map(|(_, path)| last(path));
    let user = of_user.unwrap_or("bastide");
    let make_user = principal.is_none();
    let terraform = match of_role {
        Some(role) => format!(
            "resource \"aws_iam_role_policy\" \"bastide_server\" {{\n  name   = \"bastide-roles\"\n  role   = \
             {}\n  policy = <<EOT\n{}\nEOT\n}}\n",
            quoted(role),
            heredoc(&trust_policy)
        ),
        None => {
            let made = match make_user {
                true => format!(
                    "resource \"aws_iam_user\" \"bastide_server\" {{\n  name = {}\n}}\n\n",
                    quoted(user)
                ),
                false => String::new(),
            };
            format!(
                "{made}resource \"aws_iam_user_policy\" \"bastide_server\" {{\n  name   = \"bastide-roles\"\n  user   = \
                 {}\n  policy = <<EOT\n{}\nEOT\n}}\n",
                if make_user { "aws_iam_user.bastide_server.name".to_owned() } else { quoted(user) },
                heredoc(&trust_policy)
            )
        }
    };
    let attached = |holder: &str, name: &str| {
        json!({
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": { holder: [name], "PolicyDocument": policy },
        })
    };
    let resource = match (of_role, make_user) {
        (Some(role), _) => attached("Roles", role),
        (None, false) => attached("Users", user),
        (None, true) => json!({
            "Type": "AWS::IAM::User",
            "Properties": {
                "UserName": user,
                "Policies": [{ "PolicyName": "bastide-roles", "PolicyDocument": policy }],
            },
        }),
    };
    let cloudformation =
        json!({ "AWSTemplateFormatVersion": "2010-09-09", "Resources": { "Server": resource } });
    let cli = match of_role {
        Some(role) => format!(
            "aws iam put-role-policy --role-name {} --policy-name bastide-roles \\\n  --policy-document {}\n",
            word(role),
            word(&trust_policy)
        ),
        None => {
            let made = match make_user {
                true => format!("aws iam create-user --user-name {}\n", word(user)),
                false => String::new(),
            };
            let key = match make_user {
                true => format!("{}\n", first_key(user)),
                false => String::new(),
            };
            format!(
                "{made}aws iam put-user-policy --user-name {} --policy-name bastide-roles \\\n  --policy-document \
                 {}\n{key}",
                word(user),
                word(&trust_policy)
            )
        }
    };
    let warnings = match (make_user, of_role) {
        (true, _) => vec![
            format!(
                "once the user is there, give the server its first key, which it replaces by itself from then on: {}",
                first_key(user)
            ),
            "where the server runs on a machine at Amazon, give the machine a role with this policy instead of a user \
             with a key"
                .to_owned(),
        ],
        (false, None) => vec![
            "the server replaces a key by itself that was given to it with `bastide aws key set`, and no other".to_owned(),
        ],
        (false, Some(_)) => Vec::new(),
    };
    RoleSetup { trust_policy, terraform, cloudformation: pretty(&cloudformation), cli, warnings }
}

/// How the server gets the first key of its user, which then stands in no file.
fn first_key(user: &str) -> String {
    format!("aws iam create-access-key --user-name {} --output json | bastide aws key set", word(user))
}

fn last(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// Who an identity is for a trust policy: the role, where Amazon tells the session of one. Its path is not told.
#[must_use]
pub fn principal(caller: &str) -> String {
    let parts: Vec<&str> = caller.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", partition, "sts", "", account, resource] => {
            let role = resource.strip_prefix("assumed-role/").and_then(|rest| rest.split('/').next());
            role.map_or_else(
                || caller.to_owned(),
                |role| format!("arn:{partition}:iam::{account}:role/{role}"),
            )
        }
        _ => caller.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://git.example.org/2.0/workspaces/w/pipelines-config/identity/oidc";

    fn role() -> RoleArn {
        "arn:aws:iam::123456789012:role/teams/deploy".parse().unwrap()
    }

    fn parsed(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    fn tokens() -> TrustedTokens {
        TrustedTokens {
            subject: "{r}:*".to_owned(),
            session_tags: true,
            refs: Some("refs/heads/release/*".to_owned()),
            protected_only: true,
            environment: Some("Pro${aws:username}".to_owned()),
        }
    }

    /// Would catch a policy that trusts any token of the issuer, or any issuer.
    #[test]
    fn a_role_trusts_the_tokens_of_its_grants_alone() {
        let found = setup(&role(), 900, Trusted::Tokens { issuer: ISSUER, tokens: &[tokens()] });
        let statement = &parsed(&found.trust_policy)["Statement"][0];
        let provider = provider(ISSUER);
        let federated = format!("arn:aws:iam::123456789012:oidc-provider/{provider}");
        assert_eq!(statement["Principal"]["Federated"], federated);
        let (equals, like) = (&statement["Condition"]["StringEquals"], &statement["Condition"]["StringLike"]);
        assert_eq!(equals[format!("{provider}:aud")], AUDIENCE);
        assert_eq!(like[format!("{provider}:sub")], "{r}:*");
        assert_eq!(like["aws:RequestTag/ref"], "refs/heads/release/*");
        assert_eq!(equals["aws:RequestTag/ref_protected"], "true");
        assert_eq!(equals["aws:RequestTag/environment"], "Pro${$}{aws:username}");
        assert!(found.warnings.is_empty(), "{:?}", found.warnings);
        let blind = TrustedTokens { session_tags: false, ..tokens() };
        let found = setup(&role(), 900, Trusted::Tokens { issuer: ISSUER, tokens: &[blind] });
        assert!(found.warnings.iter().any(|line| line.contains("session tags")), "{:?}", found.warnings);
        assert!(found.terraform.contains("aws_iam_openid_connect_provider"));
        let template = parsed(&found.cloudformation);
        assert_eq!(template["Resources"]["Role"]["Properties"]["MaxSessionDuration"], 3600);
        assert_eq!(template["Resources"]["Role"]["Properties"]["Path"], "/teams/");
        assert_eq!(template["Resources"]["Issuer"]["Properties"]["Url"], ISSUER);
    }

    #[test]
    fn a_role_trusts_the_server_with_the_external_id() {
        let trusted = Trusted::Server { principal: Some("arn:aws:iam::1:role/server"), external_id: "abc" };
        let found = setup(&role(), 7200, trusted);
        let policy = parsed(&found.trust_policy);
        let statement = &policy["Statement"][0];
        assert_eq!(statement["Condition"], json!({ "StringEquals": { "sts:ExternalId": "abc" } }));
        assert_eq!(statement["Principal"]["AWS"], "arn:aws:iam::1:role/server");
        assert_eq!(policy["Statement"][1]["Action"], "sts:TagSession");
        let template = parsed(&found.cloudformation);
        assert_eq!(template["Resources"]["Role"]["Properties"]["AssumeRolePolicyDocument"], policy);
        assert!(found.cli.contains("--path '/teams/'") && !found.cli.contains("open-id"));
        let unknown = setup(&role(), 900, Trusted::Server { principal: None, external_id: "abc" });
        assert!(unknown.trust_policy.contains(UNKNOWN_SERVER) && !unknown.warnings.is_empty());
    }

    #[test]
    fn the_server_is_its_role_and_gets_no_key_where_it_has_one() {
        let arn = principal("arn:aws:sts::123456789012:assumed-role/server/i-0abc");
        assert_eq!(arn, "arn:aws:iam::123456789012:role/server");
        assert_eq!(principal("arn:aws:iam::1:user/x"), "arn:aws:iam::1:user/x");
        let has = server_setup(Some(&arn), "aws", "bastide-");
        assert!(has.cli.contains("put-role-policy --role-name 'server'") && !has.cli.contains("access-key"));
        assert!(has.trust_policy.contains("arn:aws:iam::*:role/bastide-*"));
        assert!(!has.trust_policy.contains("AccessKey") && has.warnings.is_empty());
        let user = server_setup(Some("arn:aws:iam::1:user/x"), "aws", "bastide-");
        assert!(user.cli.contains("put-user-policy --user-name 'x'") && !user.cli.contains("create-user"));
        let none = server_setup(None, "aws", "bastide-");
        assert!(none.cli.contains("create-access-key") && none.terraform.contains("\"aws_iam_user\""));
        for found in [has, user, none] {
            assert!(parsed(&found.cloudformation)["Resources"]["Server"].is_object());
        }
    }

    /// Attack: a server whose policy lets it make keys of other users. Would catch, too, a policy that does not let it replace
    /// its own, and a first key that nobody is told how to give to the server.
    #[test]
    fn a_user_may_replace_its_own_key_and_nobody_elses() {
        for (principal, resource) in [
            (None, "arn:aws:iam::*:user/${aws:username}"),
            (Some("arn:aws:iam::1:user/x"), "arn:aws:iam::1:user/${aws:username}"),
            (Some("arn:aws:iam::1:user/teams/x"), "arn:aws:iam::1:user/teams/${aws:username}"),
        ] {
            let found = server_setup(principal, "aws", "bastide-");
            let statement = &parsed(&found.trust_policy)["Statement"][1];
            assert_eq!(statement["Action"], json!(["iam:CreateAccessKey", "iam:DeleteAccessKey"]));
            assert_eq!(statement["Resource"], resource);
            // Terraform would put a variable of its own there.
            let escaped = resource.replace("${", "$${");
            assert!(found.terraform.contains(&escaped), "{}", found.terraform);
            assert!(found.cli.contains(resource) && found.cloudformation.contains(resource));
            assert!(found.warnings.iter().any(|line| line.contains("bastide aws key set")));
            assert_eq!(found.cli.contains("| bastide aws key set"), principal.is_none(), "{}", found.cli);
        }
    }
}
