//! Guardrails, whole: the document is read, changed and sent back. What only answers tell (`changed_by`,
//! `changed_on`, `floor`, `notes`) may come back as it was, and is not looked at.

use std::collections::{BTreeMap, BTreeSet};

use model::{
    AllowedRange, EntryKind, Error, FieldErrors, GuardrailKind, GuardrailMode, OwnRule, Result, Timestamp,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A guardrail that is on, off, or only reports what it would refuse.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schemars(rename = "guardrail_switch")]
pub struct Switch {
    /// `off`, `report` or `on`.
    pub mode: String,
    /// In answers: who changed it last, as the audit trail names them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_by: Option<String>,
    /// In answers: when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_on: Option<String>,
}

/// A line of an IP allowlist.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schemars(rename = "guardrail_address_range")]
pub struct Range {
    /// An address or a range: `203.0.113.0/24`, `2001:db8::/32`.
    pub range: String,
    /// Whose it is.
    #[serde(default)]
    pub description: String,
}

/// The IP allowlist.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schemars(rename = "guardrail_ip_allowlist")]
pub struct IpAllowlist {
    /// `off`, `report` or `on`.
    pub mode: String,
    /// The addresses from which private content is reached.
    #[serde(default)]
    pub ranges: Vec<Range>,
    /// In answers: who changed it last, as the audit trail names them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_by: Option<String>,
    /// In answers: when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_on: Option<String>,
}

/// How long credentials may live.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schemars(rename = "guardrail_credential_lifetime")]
pub struct CredentialLifetime {
    /// `off`, `report` or `on`.
    pub mode: String,
    /// The most days between a credential's making and its end.
    #[serde(default)]
    pub days: i64,
    /// In answers: who changed it last, as the audit trail names them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_by: Option<String>,
    /// In answers: when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_on: Option<String>,
}

/// Which kinds of credential are admitted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schemars(rename = "guardrail_credential_kinds")]
pub struct CredentialKinds {
    /// `off`, `report` or `on`.
    pub mode: String,
    /// The kinds: `api_token`, `repository_access_token` and so on, and `session` for signing in.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// In answers: who changed it last, as the audit trail names them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_by: Option<String>,
    /// In answers: when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_on: Option<String>,
}

/// A rule of the workspace's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schemars(rename = "guardrail_own_rule")]
pub struct Rule {
    /// Lower-case letters, digits and `-`.
    pub name: String,
    /// What it says, for whoever it refuses.
    #[serde(default)]
    pub description: String,
    /// `off`, `report` or `on`.
    pub mode: String,
    /// One `forbid` policy in Cedar's syntax.
    pub policy: String,
    /// In answers: who changed it last, as the audit trail names them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_by: Option<String>,
    /// In answers: when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_on: Option<String>,
}

/// Guardrails: those of a workspace, or those that the instance asks of every workspace. What is absent is off.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "an object")]
#[schemars(rename = "guardrails")]
pub struct Guardrails {
    /// Private content is reached from listed addresses alone.
    pub ip_allowlist: IpAllowlist,
    /// Private content is reached by users with a second step alone.
    pub second_step: Switch,
    /// Nothing is public.
    pub private_only: Switch,
    /// Private repositories are not forked into other workspaces.
    pub no_forks_outside: Switch,
    /// Credentials end within so many days.
    pub credential_lifetime: CredentialLifetime,
    /// Private content is reached with listed kinds of credential alone.
    pub credential_kinds: CredentialKinds,
    /// Signing in goes through the workspace's identity provider.
    pub identity_provider: Switch,
    /// Rules of the workspace's own.
    pub own_rules: Vec<Rule>,
    /// In answers: what the instance asks of this workspace beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor: Option<Box<Guardrails>>,
    /// In answers: what is worth a second look, such as ranges that lie within others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// The body that sets all guardrails.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "an object")]
#[schemars(rename = "guardrails_update")]
pub struct GuardrailsUpdate {
    /// See the answer.
    pub ip_allowlist: IpAllowlist,
    /// See the answer.
    pub second_step: Switch,
    /// See the answer.
    pub private_only: Switch,
    /// See the answer.
    pub no_forks_outside: Switch,
    /// See the answer.
    pub credential_lifetime: CredentialLifetime,
    /// See the answer.
    pub credential_kinds: CredentialKinds,
    /// See the answer.
    pub identity_provider: Switch,
    /// See the answer.
    pub own_rules: Vec<Rule>,
    /// Not looked at: an answer may be sent back as it was.
    pub floor: Option<Box<Guardrails>>,
    /// Not looked at.
    pub notes: Vec<String>,
    /// That whoever saves knows that it locks them out.
    pub confirm_lockout: bool,
    /// That whoever saves knows that a range holds a good part of all addresses.
    pub confirm_wide_ranges: bool,
}

/// One who would be refused.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "guardrail_effect_entry")]
pub struct EffectEntry {
    /// The slug of the workspace where.
    pub workspace: String,
    /// Who, as the audit trail names them: `user:ann`, `access-token:{uuid}`.
    pub principal: String,
    /// With which credential, by kind and id; absent for a session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// From where, in the last 30 days; absent where it does not matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// How often in the last 30 days; 0 where it was not used but would be refused.
    pub uses: i64,
    /// Why: names of guardrails and of own rules.
    pub refused_by: Vec<String>,
}

/// How many would be refused in one workspace.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "guardrail_effect_workspace")]
pub struct EffectWorkspace {
    /// Its slug.
    pub workspace: String,
    /// How many people.
    pub people: i64,
    /// How many credentials.
    pub credentials: i64,
    /// How many uses of the last 30 days.
    pub uses: i64,
}

/// What the solver says of one of the workspace's own rules.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "guardrail_rule_finding")]
pub struct RuleFinding {
    /// The rule.
    pub name: String,
    /// Whether there is anything that it refuses and nothing else does; absent where that could not be told in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_fire: Option<bool>,
    /// Whether nobody could do anything in the workspace any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refuses_everything: Option<bool>,
    /// A request that is allowed without the rule and refused with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<String>,
}

/// What guardrails would do that are not set yet.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "guardrail_effect")]
pub struct Effect {
    /// Who would be refused, and is not; the most frequent first, at most 200.
    pub refused: Vec<EffectEntry>,
    /// How many there are, listed or not.
    pub refused_total: i64,
    /// How many people among them.
    pub people: i64,
    /// How many credentials among them.
    pub credentials: i64,
    /// How many uses of the last 30 days.
    pub uses: i64,
    /// The workspaces where somebody would be refused; the most frequent first, at most 200.
    pub workspaces: Vec<EffectWorkspace>,
    /// How many there are, listed or not.
    pub workspaces_total: i64,
    /// How many workspaces were looked at.
    pub looked_at: i64,
    /// Whether there was more than was looked at: the counts are too low.
    pub incomplete: bool,
    /// Whether whoever asks would be locked out.
    pub locks_you_out: bool,
    /// What the solver says of own rules, where it is installed.
    pub rules: Vec<RuleFinding>,
}

fn mode(errors: &mut FieldErrors, field: &str, text: &str) -> GuardrailMode {
    if text.is_empty() {
        return GuardrailMode::Off;
    }
    text.parse().unwrap_or_else(|error: model::guardrail::BadGuardrailMode| {
        errors.entry(field.to_owned()).or_default().push(error.to_string());
        GuardrailMode::Off
    })
}

impl GuardrailsUpdate {
    /// The guardrails that the body means.
    ///
    /// # Errors
    /// With what is wrong, field by field.
    pub fn guardrails(&self) -> Result<model::Guardrails> {
        let mut errors = FieldErrors::new();
        let mut allowed = Vec::new();
        for line in &self.ip_allowlist.ranges {
            match line.range.parse() {
                Ok(range) => {
                    allowed.push(AllowedRange { range, description: line.description.trim().to_owned() })
                }
                Err(error) => {
                    let told: String = line.range.chars().take(64).collect();
                    errors.entry("ip_allowlist".to_owned()).or_default().push(format!("`{told}`: {error}"));
                }
            }
        }
        let mut admitted = BTreeSet::new();
        for name in &self.credential_kinds.kinds {
            match EntryKind::parse(name) {
                Some(kind) => drop(admitted.insert(kind)),
                None => {
                    let told: String = name.chars().take(64).collect();
                    let known = EntryKind::all().map(EntryKind::name).collect::<Vec<_>>().join(", ");
                    let error = format!("there is no kind `{told}`: use {known}");
                    errors.entry("credential_kinds".to_owned()).or_default().push(error);
                }
            }
        }
        let own_rules = self.own_rules.iter().map(|rule| OwnRule {
            name: rule.name.clone(),
            description: rule.description.trim().to_owned(),
            mode: mode(&mut errors, "own_rules", &rule.mode),
            policy: rule.policy.clone(),
        });
        let own_rules = own_rules.collect();
        let guardrails = model::Guardrails {
            ip_allowlist: mode(&mut errors, "ip_allowlist", &self.ip_allowlist.mode),
            allowed,
            second_step: mode(&mut errors, "second_step", &self.second_step.mode),
            private_only: mode(&mut errors, "private_only", &self.private_only.mode),
            no_forks_outside: mode(&mut errors, "no_forks_outside", &self.no_forks_outside.mode),
            credential_lifetime: mode(&mut errors, "credential_lifetime", &self.credential_lifetime.mode),
            longest_days: self.credential_lifetime.days,
            credential_kinds: mode(&mut errors, "credential_kinds", &self.credential_kinds.mode),
            admitted,
            identity_provider: mode(&mut errors, "identity_provider", &self.identity_provider.mode),
            own_rules,
        };
        match errors.iter().next() {
            None => Ok(guardrails),
            Some((field, wrong)) => {
                Err(Error::Invalid { message: format!("`{field}`: {}", wrong.join("; ")), fields: errors })
            }
        }
    }
}

impl Guardrails {
    /// The document. `changed` tells of each guardrail, by its name, who changed it last.
    #[must_use]
    pub fn of(guardrails: &model::Guardrails, changed: &BTreeMap<String, (String, Timestamp)>) -> Self {
        let by = |name: &str| changed.get(name).map(|(by, _)| by.clone());
        let on = |name: &str| changed.get(name).map(|(_, on)| on.to_string());
        let word = |kind: GuardrailKind| guardrails.mode(kind).as_str().to_owned();
        let switch = |kind: GuardrailKind| Switch {
            mode: word(kind),
            changed_by: by(kind.as_str()),
            changed_on: on(kind.as_str()),
        };
        let ranges = guardrails
            .allowed
            .iter()
            .map(|line| Range { range: line.range.to_string(), description: line.description.clone() });
        let rules = guardrails.own_rules.iter().map(|rule| Rule {
            name: rule.name.clone(),
            description: rule.description.clone(),
            mode: rule.mode.as_str().to_owned(),
            policy: rule.policy.clone(),
            changed_by: by(&format!("own-rule:{}", rule.name)),
            changed_on: on(&format!("own-rule:{}", rule.name)),
        });
        let within = guardrails
            .overlapping()
            .map(|(outer, inner)| format!("`{}` lies within `{}`", inner.range, outer.range));
        Self {
            ip_allowlist: IpAllowlist {
                mode: word(GuardrailKind::IpAllowlist),
                ranges: ranges.collect(),
                changed_by: by(GuardrailKind::IpAllowlist.as_str()),
                changed_on: on(GuardrailKind::IpAllowlist.as_str()),
            },
            second_step: switch(GuardrailKind::SecondStep),
            private_only: switch(GuardrailKind::PrivateOnly),
            no_forks_outside: switch(GuardrailKind::NoForksOutside),
            credential_lifetime: CredentialLifetime {
                mode: word(GuardrailKind::CredentialLifetime),
                days: guardrails.longest_days,
                changed_by: by(GuardrailKind::CredentialLifetime.as_str()),
                changed_on: on(GuardrailKind::CredentialLifetime.as_str()),
            },
            credential_kinds: CredentialKinds {
                mode: word(GuardrailKind::CredentialKinds),
                kinds: guardrails.admitted.iter().map(|kind| kind.name().to_owned()).collect(),
                changed_by: by(GuardrailKind::CredentialKinds.as_str()),
                changed_on: on(GuardrailKind::CredentialKinds.as_str()),
            },
            identity_provider: switch(GuardrailKind::IdentityProvider),
            own_rules: rules.collect(),
            floor: None,
            notes: within.take(20).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::body;

    fn read(body: serde_json::Value) -> Result<model::Guardrails> {
        body::read::<GuardrailsUpdate>(body.to_string().as_bytes())?.guardrails()
    }

    #[test]
    fn an_answer_can_be_sent_back_and_means_the_same() {
        let body = json!({
            "ip_allowlist": { "mode": "on", "ranges": [
                { "range": "::ffff:10.0.0.0/104", "description": " office " }, { "range": "10.1.0.0/16" },
            ]},
            "second_step": { "mode": "report" },
            "credential_lifetime": { "mode": "on", "days": 90 },
            "credential_kinds": { "mode": "on", "kinds": ["api_token", "session"] },
            "own_rules": [{ "name": "r", "mode": "on", "policy": "forbid (principal, action, resource);" }],
        });
        let guardrails = read(body).unwrap();
        assert_eq!(guardrails.allowed[0].range.to_string(), "10.0.0.0/8");
        assert_eq!(guardrails.second_step, GuardrailMode::Report);
        assert_eq!(guardrails.private_only, GuardrailMode::Off);
        let changed =
            BTreeMap::from([("second-step".to_owned(), ("user:ann".to_owned(), Timestamp::from_micros(0)))]);
        let answer = Guardrails::of(&guardrails, &changed);
        assert_eq!(answer.notes, ["`10.1.0.0/16` lies within `10.0.0.0/8`"]);
        assert_eq!(answer.second_step.changed_by.as_deref(), Some("user:ann"));
        let answer = Guardrails { floor: Some(Box::new(Guardrails::default())), ..answer };
        assert_eq!(read(json!(answer)).unwrap(), guardrails);
    }

    #[test]
    fn every_mistake_is_told_at_its_field() {
        let body = json!({
            "ip_allowlist": { "mode": "maybe", "ranges": [{ "range": "fe80::1%eth0" }, { "range": "0.0.0.0/0" }] },
            "credential_kinds": { "mode": "on", "kinds": ["password"] },
        });
        let Err(Error::Invalid { fields, .. }) = read(body) else { panic!("taken") };
        assert_eq!(fields["ip_allowlist"].len(), 3);
        assert!(fields["credential_kinds"][0].contains("`password`"), "{fields:?}");
        for mistyped in [
            json!({ "ip_allow_list": {} }),
            json!({ "second_step": { "mod": "on" } }),
            json!({ "second_step": {} }),
            json!({ "credential_lifetime": { "mode": "on", "day": 3 } }),
        ] {
            assert!(read(mistyped.clone()).is_err(), "{mistyped}");
        }
    }
}
