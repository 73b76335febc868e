//! How others come to trust a repository's identity tokens: documents ready to be pasted, with what is theirs to fill in
//! written in capitals.

use serde_json::{Value, json};

use crate::identity::{IdentityFacts, default_audience};
use crate::subject::{SubjectTemplate, braced, default_pattern};

/// The audience that Microsoft Entra ID wants.
const AZURE_AUDIENCE: &str = "api://AzureADTokenExchange";
/// A template whose subjects can be named in advance.
const STABLE_TEMPLATE: &str = "{repository_uuid}:{environment_uuid}";
/// The longest subject that Google takes.
const GOOGLE_SUBJECT: usize = 127;

/// Trust policies for one repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustPolicies {
    /// Amazon: the trust policy of a role, JSON.
    pub aws: String,
    /// Amazon: the same, with conditions on session tags.
    pub aws_session_tags: String,
    /// Google Cloud: commands.
    pub gcp: String,
    /// Microsoft Entra ID: a federated credential, JSON.
    pub azure: String,
    /// `HashiCorp` Vault: a role of the JWT method, JSON.
    pub vault: String,
    /// What keeps some of them from working.
    pub warnings: Vec<String>,
}

/// Trust policies for the repository of a sample step.
#[must_use]
pub fn policies(
    issuer: &str,
    sample: &IdentityFacts,
    template: Option<&SubjectTemplate>,
    session_tags: bool,
) -> TrustPolicies {
    let audience = default_audience(sample.workspace.uuid);
    let pattern = template.map_or_else(|| default_pattern(sample), |template| template.pattern(sample));
    let stable = template.filter(|template| template.is_stable());
    let mut warnings = issuer_warnings(issuer);
    if stable.is_none() {
        warnings.push(format!(
            "Microsoft Entra ID compares whole subjects, and this one differs in each run: set a template such as \
             `{STABLE_TEMPLATE}` first"
        ));
    }
    if template.is_some_and(|template| template.subject(sample).len() > GOOGLE_SUBJECT) {
        warnings.push(format!("Google Cloud takes subjects of at most {GOOGLE_SUBJECT} characters"));
    }
    if !session_tags {
        warnings.push(
            "session tags are off: switch them on before a policy asks for them, and let every role that takes these \
             tokens allow `sts:TagSession` first, for Amazon refuses them otherwise"
                .to_owned(),
        );
    }
    TrustPolicies {
        aws: aws(issuer, &audience, &pattern, false),
        aws_session_tags: aws(issuer, &audience, &pattern, true),
        gcp: gcp(issuer, &audience, sample),
        azure: azure(issuer, sample, stable),
        vault: vault(&audience, &pattern, sample),
        warnings,
    }
}

/// What keeps an issuer from being trusted by those who fetch its keys.
#[must_use]
pub fn issuer_warnings(issuer: &str) -> Vec<String> {
    let mut warnings = Vec::new();
    let (scheme, rest) = issuer.split_once("://").unwrap_or(("", issuer));
    if scheme != "https" {
        warnings.push("the base URL is not https: no cloud takes such an issuer".to_owned());
    }
    let authority = rest.split('/').next().unwrap_or(rest);
    let after_host = authority.rsplit_once(']').map_or(authority, |(_, after)| after);
    if after_host.contains(':') {
        warnings.push("the base URL names a port: Amazon takes no issuer with one".to_owned());
    }
    warnings
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

fn aws(issuer: &str, audience: &str, pattern: &str, session_tags: bool) -> String {
    let provider = issuer.split_once("://").map_or(issuer, |(_, rest)| rest);
    let equals = match session_tags {
        true => json!({
            format!("{provider}:aud"): audience,
            "aws:RequestTag/ref": "refs/heads/main",
            "aws:RequestTag/ref_protected": "true",
        }),
        false => json!({ format!("{provider}:aud"): audience }),
    };
    let action = match session_tags {
        true => json!(["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]),
        false => json!("sts:AssumeRoleWithWebIdentity"),
    };
    pretty(&json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": { "Federated": format!("arn:aws:iam::ACCOUNT_ID:oidc-provider/{provider}") },
            "Action": action,
            "Condition": {
                "StringEquals": equals,
                "StringLike": { format!("{provider}:sub"): pattern },
            },
        }],
    }))
}

fn gcp(issuer: &str, audience: &str, sample: &IdentityFacts) -> String {
    let repository = sample.repository.uuid;
    format!(
        r#"gcloud iam workload-identity-pools create bastide --project=PROJECT_ID --location=global

gcloud iam workload-identity-pools providers create-oidc PROVIDER_ID \
  --project=PROJECT_ID --location=global --workload-identity-pool=bastide \
  --issuer-uri='{issuer}' \
  --allowed-audiences='{audience}' \
  --attribute-mapping='google.subject=assertion.sub,attribute.repository_id=assertion.repository_id,attribute.ref_protected=assertion.ref_protected' \
  --attribute-condition='assertion.workspaceUuid == "{workspace}" && assertion.repositoryUuid == "{braced}"'

gcloud iam service-accounts add-iam-policy-binding SERVICE_ACCOUNT@PROJECT_ID.iam.gserviceaccount.com \
  --project=PROJECT_ID --role=roles/iam.workloadIdentityUser \
  --member='principalSet://iam.googleapis.com/projects/PROJECT_NUMBER/locations/global/workloadIdentityPools/bastide/attribute.repository_id/{repository}'
"#,
        workspace = braced(sample.workspace.uuid),
        braced = braced(repository),
    )
}

fn azure(issuer: &str, sample: &IdentityFacts, stable: Option<&SubjectTemplate>) -> String {
    let subject = stable.map_or_else(
        || format!("{}:ENVIRONMENT_UUID_IN_BRACES", braced(sample.repository.uuid)),
        |template| template.subject(sample),
    );
    pretty(&json!({
        "name": format!("{}-{}", sample.workspace.name, sample.repository.name),
        "issuer": issuer,
        "subject": subject,
        "audiences": [AZURE_AUDIENCE],
    }))
}

fn vault(audience: &str, pattern: &str, sample: &IdentityFacts) -> String {
    pretty(&json!({
        "role_type": "jwt",
        "user_claim": "repository_id",
        "bound_audiences": [audience],
        "bound_claims_type": "glob",
        "bound_claims": { "sub": pattern, "repository_id": sample.repository.uuid.to_string() },
        "claim_mappings": { "repository": "repository", "pipeline_id": "pipeline_id", "step_id": "step_id" },
        "token_policies": ["POLICY"],
        "token_ttl": "15m",
        "token_max_ttl": "1h",
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::tests::facts;

    const ISSUER: &str = "https://git.example.org/2.0/workspaces/w/pipelines-config/identity/oidc";

    fn parsed(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    /// Would catch a policy that trusts every repository of the workspace.
    #[test]
    fn every_policy_is_bound_to_the_repository() {
        let facts = facts();
        let repository = braced(facts.repository.uuid);
        let found = policies(ISSUER, &facts, None, true);
        let provider = "git.example.org/2.0/workspaces/w/pipelines-config/identity/oidc";
        for text in [&found.aws, &found.aws_session_tags] {
            let statement = &parsed(text)["Statement"][0];
            let condition = &statement["Condition"];
            assert_eq!(condition["StringLike"][format!("{provider}:sub")], format!("{repository}:*"));
            assert_eq!(
                condition["StringEquals"][format!("{provider}:aud")],
                default_audience(facts.workspace.uuid)
            );
            let principal = format!("arn:aws:iam::ACCOUNT_ID:oidc-provider/{provider}");
            assert_eq!(statement["Principal"]["Federated"], principal);
        }
        let tags = parsed(&found.aws_session_tags);
        assert_eq!(tags["Statement"][0]["Action"][1], "sts:TagSession");
        assert!(found.gcp.contains(&format!("assertion.repositoryUuid == \"{repository}\"")));
        let bound = &parsed(&found.vault)["bound_claims"];
        assert_eq!(bound["sub"], format!("{repository}:*"));
        assert_eq!(bound["repository_id"], facts.repository.uuid.to_string());
        assert_eq!(parsed(&found.azure)["subject"], format!("{repository}:ENVIRONMENT_UUID_IN_BRACES"));
        assert!(found.warnings.iter().any(|line| line.contains(STABLE_TEMPLATE)), "{:?}", found.warnings);
    }

    #[test]
    fn policies_follow_the_template() {
        let facts = facts();
        let repository = braced(facts.repository.uuid);
        let template: SubjectTemplate = "repo:{repository_uuid}:{ref}:{project}".parse().unwrap();
        let found = policies(ISSUER, &facts, Some(&template), true);
        assert_eq!(parsed(&found.vault)["bound_claims"]["sub"], format!("repo:{repository}:*:CORE"));
        assert_eq!(parsed(&found.azure)["subject"], format!("repo:{repository}:refs/heads/main:CORE"));
        assert!(found.warnings.is_empty(), "{:?}", found.warnings);
    }

    #[test]
    fn an_issuer_that_clouds_do_not_take_is_told() {
        assert!(issuer_warnings(ISSUER).is_empty());
        assert!(issuer_warnings("https://[::1]/x:y").is_empty());
        assert_eq!(issuer_warnings("http://git.example.org/x").len(), 1);
        assert_eq!(issuer_warnings("https://git.example.org:8443/x").len(), 1);
        assert_eq!(issuer_warnings("http://[::1]:8080/x").len(), 2);
    }
}
