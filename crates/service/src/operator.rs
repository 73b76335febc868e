//! What only the command line on the server's machine does: the first administrator, and how the instance is.

use model::{
    Credential, CredentialId, CredentialKind, DisplayName, Error, Holder, Result, StaffRole, Timestamp,
    Token, User, UserId, act,
};
use policy::InternalReason;
use serde_json::{Value, json};

use crate::access::user_target;
use crate::access_token::{Minted, shown};
use crate::user::NewUser;
use crate::{AwsKeyView, Caller, Identity, Service};

/// How the instance is, in numbers.
#[derive(Clone, Debug)]
pub struct Health {
    /// Audit events that wait for their place in the ledger.
    pub unsequenced: i64,
    /// When the oldest of them was decided.
    pub oldest_unsequenced: Option<Timestamp>,
    /// Background jobs that wait or run.
    pub jobs: i64,
    /// Background jobs that have failed and will be tried again.
    pub failing_jobs: i64,
    /// Active administrators.
    pub administrators: i64,
    /// The server's own key at Amazon, where it has one.
    pub aws_key: Option<AwsKeyView>,
}

/// The name of the token that the first administrator gets.
const FIRST_TOKEN: &str = "first administrator";

impl Service {
    /// Turns away everybody but the command line.
    pub(crate) fn operator_only(&self, caller: &Caller) -> Result<()> {
        match caller.identity() {
            Identity::Operator => Ok(()),
            Identity::Anonymous => Err(Error::Unauthenticated),
            Identity::User(_) | Identity::AccessToken(_) | Identity::Runner(_) => Err(Error::forbidden(
                "only the command line on the server's machine may do this: run `bastide` there",
            )),
        }
    }

    /// Makes the first administrator, with an API token that holds every scope it can, in one transaction: there is
    /// no moment at which an administrator exists whom nobody can be.
    pub async fn bootstrap(&self, caller: &Caller, new: NewUser) -> Result<(User, Minted)> {
        self.operator_only(caller)?;
        let hash = match &new.password {
            Some(password) => Some(self.passwords.hash(password).await?),
            None => None,
        };
        let named = |text: &str| text.parse::<DisplayName>().map_err(Error::internal);
        let now = self.clock.now();
        let user = User {
            id: UserId::new(&self.random),
            display_name: match new.display_name {
                Some(name) => name,
                None => named(new.username.as_str())?,
            },
            username: new.username,
            email: new.email,
            active: true,
            staff_role: StaffRole::Administrator,
            second_step: false,
            approved: true,
            created_on: now,
        };
        let kind = CredentialKind::ApiToken;
        let token = Token::new(kind, &self.random);
        let credential = Credential {
            id: CredentialId::new(&self.random),
            kind,
            name: named(FIRST_TOKEN)?,
            scopes: kind.may_hold(),
            holder: Holder::User(user.id),
            email: None,
            created_by: Some(user.id),
            created_on: now,
            expires_on: None,
            last_used_on: None,
            revoked_on: None,
        };
        let permit = self.internal::<act::UserCreate>(InternalReason::Bootstrap, caller, user_target(&user));
        let (made, minted, token_hash) = (user.clone(), credential.clone(), token.hash());
        self.store
            .write(&permit, move |writer| {
                if store::user::active_administrators(writer)? > 0 {
                    return Err(Error::Conflict(
                        "there is an administrator already: ask one to make more".to_owned(),
                    ));
                }
                store::user::insert(writer, &made, hash.as_deref())?;
                store::credential::insert(writer, &minted, &token_hash)?;
                let after = json!({
                    "username": made.username, "email": made.email, "staff_role": made.staff_role,
                    "credential": shown(&minted),
                });
                writer.note(Value::Null, after);
                Ok(())
            })
            .await?;
        Ok((user, Minted { credential, token }))
    }

    /// How many processes of git run now.
    pub fn git_processes(&self, caller: &Caller) -> Result<usize> {
        self.operator_only(caller)?;
        Ok(self.git.running())
    }

    /// How the instance is: for its own command line and its own metrics.
    pub async fn health(&self, caller: &Caller) -> Result<Health> {
        self.operator_only(caller)?;
        let days = self.settings.aws.key_days;
        self.store
            .read(move |reader| {
                let (unsequenced, oldest_unsequenced) = store::sequence::backlog(reader)?;
                let (jobs, failing_jobs) = store::job::waiting(reader)?;
                let administrators = store::user::active_administrators(reader)?;
                let aws_key = store::aws_key::find(reader)?.map(|kept| AwsKeyView::of(kept, days));
                Ok(Health { unsequenced, oldest_unsequenced, jobs, failing_jobs, administrators, aws_key })
            })
            .await
    }
}
