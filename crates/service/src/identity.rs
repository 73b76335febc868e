//! The identities that are connected with an account: seen and disconnected by its owner. Connecting one is
//! `provider_sign_in`, whose providers say who has it.

use model::{Error, Identity, Result, SecondStepKind, User, UserId, WorkspaceSlug, act};
use serde_json::json;
use store::Writer;

use crate::sign_in::FIRST_STEP;
use crate::{Caller, Listing, Service, Window};

/// One of one's own identities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnIdentity {
    /// The identity.
    pub identity: Identity,
    /// The workspace through whose provider it was connected; none where its owner is no member of it (any more).
    pub workspace: Option<WorkspaceSlug>,
}

/// Whether a password or a passkey signs in to an account without a provider.
fn has_own_way_in(writer: &mut Writer<'_>, user: UserId) -> Result<bool> {
    if store::user::password_hash(writer, user)?.is_some() {
        return Ok(true);
    }
    let steps = store::second_step::list(writer, user)?;
    Ok(steps.iter().any(|kept| kept.step.kind == SecondStepKind::Passkey))
}

impl Service {
    /// The identities that sign in to the caller's own account, the oldest first.
    pub async fn own_identities(&self, caller: &Caller, window: Window) -> Result<Listing<OwnIdentity>> {
        let user = User::clone(caller.as_user().ok_or(Error::Unauthenticated)?);
        let id = user.id;
        self.check(caller, act::IdentityList, &self.user_ground(user))?;
        self.store
            .read(move |reader| {
                let all = store::identity_provider::of_user(reader, id)?;
                let size = i64::try_from(all.len()).unwrap_or(i64::MAX);
                let (limit, offset) = (usize::try_from(window.limit), usize::try_from(window.offset));
                let part = all.into_iter().skip(offset.unwrap_or(usize::MAX)).take(limit.unwrap_or(0));
                let mut values = Vec::new();
                for identity in part {
                    let at = identity.workspace;
                    // What a workspace is called now is its members' to know.
                    let workspace = match store::workspace::membership(reader, at, id)? {
                        Some(_) => store::workspace::find(reader, at)?.map(|workspace| workspace.slug),
                        None => None,
                    };
                    values.push(OwnIdentity { identity, workspace });
                }
                Ok(Listing::new(values, size))
            })
            .await
    }

    /// Disconnects an identity from the caller's own account. It signs in no more, and the sessions of this account end that
    /// its provider began. The last way in to an account stays.
    pub async fn disconnect_identity(&self, caller: &Caller, identity: &str) -> Result<()> {
        let user = User::clone(caller.as_user().ok_or(Error::Unauthenticated)?);
        let (id, wanted) = (user.id, identity.to_owned());
        let permit = self.permit(caller, act::IdentityDisconnect, &self.user_ground(user))?;
        self.store
            .write(&permit, move |writer| {
                let all = store::identity_provider::of_user(writer, id)?;
                let found = all.iter().find(|one| one.id() == wanted);
                let found = found.ok_or_else(|| Error::not_found("the identity"))?;
                if all.len() == 1 && !has_own_way_in(writer, id)? {
                    return Err(Error::Conflict(
                        "nothing else signs in to this account: add a passkey, or set a password by a link, first"
                            .to_owned(),
                    ));
                }
                let ended = store::identity_provider::unlink(writer, id, found)?;
                // Whoever has just come from the provider, and owes the second step, begins anew.
                store::challenge::forget(&mut writer.bookkeeping(), FIRST_STEP, id)?;
                writer.note(
                    json!({ "issuer": found.issuer, "subject": found.subject, "workspace": found.workspace }),
                    json!({ "sessions_ended": ended }),
                );
                Ok(())
            })
            .await
    }
}
