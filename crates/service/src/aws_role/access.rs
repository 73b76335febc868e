//! Giving a step a role at Amazon, where a grant lets it have it; and the record of who got one.

use model::{
    Action, AwsGrant, AwsMode, AwsRole, Error, Outcome, RepositoryId, Result, RoleArn, WorkspaceId,
    aws_role::{LONGEST_CHAINED_SESSION, SHORTEST_SESSION},
};
use pipeline::aws_session;
use pipeline::identity::IdentityFacts;
use pipeline::protocol::AwsAccess;
use serde_json::{Value, json};

use super::{Asked, place, target};
use crate::{Caller, Service};

/// What stands in the record for a step that no grant lets have a role.
const NO_GRANT: &str = "aws-role-grant";

/// The longest session that may be asked for.
pub(super) fn capped(duration: u32, chained: bool) -> u32 {
    let most = if chained { LONGEST_CHAINED_SESSION } else { u32::MAX };
    duration.min(most).max(SHORTEST_SESSION)
}

/// Why a grant does not let a step have the role; nothing where it does.
fn lacks(grant: &AwsGrant, facts: &IdentityFacts) -> Option<&'static str> {
    let repository = RepositoryId::from_uuid(facts.repository.uuid);
    if grant.repository.is_some_and(|wanted| wanted != repository) {
        return Some("its repository is not one of those that may use the role");
    }
    let git_ref = facts.git_ref();
    if grant.refs.as_ref().is_some_and(|refs| !git_ref.as_deref().is_some_and(|name| refs.matches(name))) {
        return Some("it does not run for a branch or tag that may use the role");
    }
    if grant.protected_only && !facts.is_ref_protected() {
        return Some("it does not run for a protected branch or tag");
    }
    let environment = facts.environment.as_ref().map(|one| one.name.to_lowercase());
    if grant.environment.as_ref().is_some_and(|wanted| environment != Some(wanted.to_lowercase())) {
        return Some("it does not deploy to the environment that may use the role");
    }
    None
}

/// Why no grant of a role lets a step have it: of the grant that came closest, which is the one that asks the most before it
/// fails.
fn refusal(role: &AwsRole, facts: &IdentityFacts) -> Option<&'static str> {
    let order = |why: &&'static str| match *why {
        why if why.contains("environment") => 3,
        why if why.contains("protected") => 2,
        why if why.contains("branch or tag") => 1,
        _ => 0,
    };
    let whys: Option<Vec<&'static str>> = role.grants.iter().map(|grant| lacks(grant, facts)).collect();
    // One that lacks nothing makes it none.
    let whys = whys?;
    Some(whys.into_iter().max_by_key(order).unwrap_or("nobody may use the role yet"))
}

impl Service {
    /// What a step gets at Amazon for the role that it names, recorded before it is given. `facts` are taken for true, and the
    /// variables in the role's ARN are filled in; `lifetime` is how long the step may take, in seconds. That the step is this
    /// caller's is for whoever asks to have decided.
    ///
    /// # Errors
    /// When the workspace does not know the role, no grant lets the step have it, or Amazon does not give it.
    pub async fn aws_access(
        &self,
        caller: &Caller,
        wanted: &pipeline::aws::AwsRole,
        facts: &IdentityFacts,
        lifetime: i64,
    ) -> Result<AwsAccess> {
        let workspace = WorkspaceId::from_uuid(facts.workspace.uuid);
        let shown = wanted.role.escape_debug();
        let unknown = |why: &str| {
            let who = place(&facts.workspace.name);
            Err(Error::forbidden(format!("the step cannot have the role `{shown}` at Amazon: {why}; {who}")))
        };
        let Ok(arn) = wanted.role.parse::<RoleArn>() else {
            return unknown("that is not the ARN of a role");
        };
        let (role, external_id) = self
            .store
            .read(move |reader| {
                let role = store::aws_role::find_by_arn(reader, workspace, arn.as_str())?;
                Ok((role, store::aws_role::external_id(reader, workspace, arn.account())?))
            })
            .await?;
        let refused = |why: &str| {
            self.record_refusal(caller, Action::AwsRoleAssume, &target(facts), vec![NO_GRANT.to_owned()]);
            unknown(why)
        };
        let Some(role) = role else { return refused("the workspace does not name this role") };
        if let Some(why) = refusal(&role, facts) {
            return refused(why);
        }
        if wanted.session_duration > role.longest_session {
            return refused(&format!(
                "its `session-duration` is {} seconds, and that of the role at most {}",
                wanted.session_duration, role.longest_session
            ));
        }
        let session_name = aws_session::name(facts);
        let region = wanted.region.clone().or_else(|| role.region.as_ref().map(ToString::to_string));
        match role.mode {
            AwsMode::WebIdentity => {
                let audience = [pipeline::aws_trust::AUDIENCE.to_owned()];
                let token = self.mint_identity_token(facts, &audience, lifetime).await?;
                let token = token.record(self, caller).await?;
                let lives = token.expires.seconds().saturating_sub(self.clock.now().seconds());
                self.record_aws_role(caller, facts, &role, &session_name, wanted.session_duration).await?;
                Ok(AwsAccess::WebIdentity {
                    role: role.arn.to_string(),
                    session_name,
                    token: token.token.expose().to_owned(),
                    lives: u32::try_from(lives).unwrap_or(0),
                    duration: wanted.session_duration,
                    region,
                })
            }
            AwsMode::AssumeRole => {
                let external_id = external_id
                    .ok_or_else(|| Error::internal("a role of an account without an external id"))?;
                let failed = |why: super::Failed| {
                    Error::forbidden(format!("the step cannot have the role `{}` at Amazon: {why}", role.arn))
                };
                let chained = self.sts.is_chained().await.map_err(failed)?;
                let duration = capped(wanted.session_duration, chained);
                let tags = aws_session::tags(facts);
                let asked = Asked {
                    role: role.arn.as_str(),
                    region: role.region.as_ref(),
                    session: &session_name,
                    external_id: Some(&external_id),
                    duration,
                    tags: &tags,
                };
                let session = self.sts.assume(&asked).await.map_err(failed)?;
                self.record_aws_role(caller, facts, &role, &session_name, duration).await?;
                Ok(AwsAccess::Session {
                    access_key: session.access_key,
                    secret_key: session.secret_key.expose().to_owned(),
                    session_token: session.session_token.expose().to_owned(),
                    expires: session.expires,
                    region,
                })
            }
        }
    }

    async fn record_aws_role(
        &self,
        caller: &Caller,
        facts: &IdentityFacts,
        role: &AwsRole,
        session: &str,
        duration: u32,
    ) -> Result<()> {
        let told = json!({
            "role": role.arn.as_str(), "mode": role.mode.as_str(), "session": session, "duration": duration,
        });
        self.record_role_use(caller, facts, told).await
    }

    /// Records that a step takes a role on; `told` is which one, and what for.
    pub(super) async fn record_role_use(
        &self,
        caller: &Caller,
        facts: &IdentityFacts,
        mut told: Value,
    ) -> Result<()> {
        let of_step = json!({
            "ref": facts.git_ref(), "environment": facts.environment.as_ref().map(|one| &one.name),
            "pipeline": facts.pipeline.as_braced().to_string(), "step": facts.step.as_braced().to_string(),
            "attempt": facts.attempt,
        });
        if let (Value::Object(told), Value::Object(of_step)) = (&mut told, of_step) {
            told.extend(of_step);
        }
        let asked = (Action::AwsRoleAssume, Outcome::Done);
        let origin = self.origin(caller);
        let mut event = self.event(&origin, &target(facts), asked, vec!["sensitive-read".to_owned()]);
        event.after = told;
        self.store.record(event).await
    }
}
