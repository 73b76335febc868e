//! Accounts: made and changed by administrators; each person reads their own.

use model::{
    DisplayName, Email, Error, ManagedUser, Resource, ResourceKind, Result, Secret, StaffRole, User, UserId,
    UserState, Username, act,
};
use policy::Target;
use serde_json::{Value, json};

use crate::access::{Ground, unknown};
use crate::mail::{Outbox, letter};
use crate::password_reset::RESET;
use crate::{Caller, Listing, Service, Window};

/// So many administrators are told of an account that waits, at most.
const MOST_TOLD: i64 = 50;

/// What is needed to make an account.
pub struct NewUser {
    /// Never given before.
    pub username: Username,
    /// No other account's.
    pub email: Email,
    /// The username, where none is given.
    pub display_name: Option<DisplayName>,
    /// Without one the account signs in by other means, or not yet.
    pub password: Option<Secret>,
}

/// What may be changed about an account; what is absent stays.
#[derive(Default)]
pub struct UserChange {
    /// Whether the account may be used.
    pub active: Option<bool>,
    /// Its part in running the instance.
    pub staff_role: Option<StaffRole>,
    /// The name that people read.
    pub display_name: Option<DisplayName>,
    /// The address.
    pub email: Option<Email>,
    /// A new password.
    pub password: Option<Secret>,
    /// Only if the account is still as this: what the client has seen.
    pub only_if: Option<User>,
}

/// What accounts are looked for by.
#[derive(Clone, Debug, Default)]
pub struct UserQuery {
    /// What they are; anything, where nothing is said.
    pub state: Option<UserState>,
    /// A part of their username, name or address.
    pub text: String,
}

fn shown(user: &User) -> Value {
    json!({
        "username": user.username, "email": user.email, "display_name": user.display_name,
        "active": user.active, "staff_role": user.staff_role,
    })
}

impl Service {
    /// The caller's own account.
    pub async fn own_account(&self, caller: &Caller) -> Result<User> {
        let user = caller.as_user().ok_or(Error::Unauthenticated)?;
        self.check(caller, act::AccountRead, &self.user_ground(User::clone(user)))?;
        Ok(User::clone(user))
    }

    /// Whether the caller's own account has a password: one that an identity provider made may have none.
    pub async fn has_password(&self, caller: &Caller) -> Result<bool> {
        let id = self.own_account(caller).await?.id;
        Ok(self.store.read(move |reader| store::user::password_hash(reader, id)).await?.is_some())
    }

    /// A user by username or id, as anybody signed in may see.
    pub async fn user(&self, caller: &Caller, name: &str) -> Result<User> {
        let ground = self.find_user(caller, name).await?;
        self.check(caller, act::UserRead, &ground)?;
        Ok(ground.subject)
    }

    /// A user with all that those who manage users see.
    pub async fn inspect_user(&self, caller: &Caller, username: &str) -> Result<ManagedUser> {
        let ground = self.find_user(caller, username).await?;
        self.check(caller, act::UserInspect, &ground)?;
        let id = ground.subject.id;
        let found = self.store.read(move |reader| store::managed_user::find(reader, id)).await?;
        found.ok_or_else(|| unknown(ResourceKind::User))
    }

    /// Users by username; those that wait for somebody to approve them, the oldest first.
    pub async fn users(
        &self,
        caller: &Caller,
        query: UserQuery,
        window: Window,
    ) -> Result<Listing<ManagedUser>> {
        self.check(caller, act::UserList, &self.instance_ground())?;
        let (values, size) = self
            .store
            .read(move |reader| {
                let asked = (query.state, query.text.as_str());
                store::managed_user::list(reader, asked, (window.limit, window.offset))
            })
            .await?;
        Ok(Listing::new(values, size))
    }

    /// Makes an account. Who runs the instance may also make the first one, which is an administrator.
    pub async fn create_user(&self, caller: &Caller, new: NewUser) -> Result<User> {
        self.create_user_as(caller, new, StaffRole::None).await
    }

    pub(crate) async fn create_user_as(
        &self,
        caller: &Caller,
        new: NewUser,
        staff_role: StaffRole,
    ) -> Result<User> {
        let permit = self.permit(caller, act::UserCreate, &self.instance_ground())?;
        let hash = match &new.password {
            Some(password) => Some(self.passwords.hash(password).await?),
            None => None,
        };
        let display_name = match new.display_name {
            Some(name) => name,
            None => new.username.as_str().parse().map_err(Error::internal)?,
        };
        let user = User {
            id: UserId::new(&self.random),
            username: new.username,
            email: new.email,
            display_name,
            active: true,
            staff_role,
            second_step: false,
            approved: true,
            created_on: self.clock.now(),
        };
        let link = self.verification_link();
        let (made, outbox, base) = (user.clone(), self.outbox.clone(), self.settings.base_url.clone());
        self.store
            .write(&permit, move |writer| {
                store::user::insert(writer, &made, hash.as_deref())?;
                tell_who_approves(writer, &outbox, &made, &base)?;
                link.mail(writer, &outbox, &made, true)?;
                writer.about(target(&made));
                writer.note(Value::Null, shown(&made));
                Ok(())
            })
            .await?;
        Ok(user)
    }

    /// Changes an account. The last active administrator stays one.
    pub async fn update_user(&self, caller: &Caller, username: &str, change: UserChange) -> Result<User> {
        let ground = self.find_user(caller, username).await?;
        let permit = self.permit(caller, act::UserUpdate, &ground)?;
        let hash = match &change.password {
            Some(password) => Some(self.passwords.hash(password).await?),
            None => None,
        };
        let id = ground.subject.id;
        let (link, outbox) = (self.verification_link(), self.outbox.clone());
        self.store
            .write(&permit, move |writer| {
                let before = store::user::find(writer, id)?.ok_or_else(|| unknown(ResourceKind::User))?;
                if change.only_if.as_ref().is_some_and(|seen| *seen != before) {
                    return Err(changed_meanwhile());
                }
                let mut after = before.clone();
                after.active = change.active.unwrap_or(before.active);
                after.staff_role = change.staff_role.unwrap_or(before.staff_role);
                after.display_name = change.display_name.clone().unwrap_or(after.display_name);
                after.email = change.email.clone().unwrap_or(after.email);
                store::user::update(writer, &after)?;
                if let Some(hash) = &hash {
                    store::user::set_password_hash(writer, id, Some(hash))?;
                }
                if hash.is_some() || after.email != before.email || !after.active {
                    store::challenge::forget(&mut writer.bookkeeping(), RESET, id)?;
                }
                if after.email.folded() != before.email.folded() && after.active {
                    link.mail(writer, &outbox, &after, true)?;
                }
                // Who may have been let in by the old password is let in no longer.
                if hash.is_some() || !after.active {
                    store::session::end_all(writer, id)?;
                }
                keep_an_administrator(writer, &before)?;
                let mut noted = shown(&after);
                if let (Some(_), Some(noted)) = (&hash, noted.as_object_mut()) {
                    noted.insert("password".to_owned(), json!("changed"));
                }
                writer.note(shown(&before), noted);
                Ok(after)
            })
            .await
    }

    /// Approves an account, or takes the approval back: until it is approved, it reaches nothing but itself. Nobody
    /// approves their own.
    pub async fn approve_user(&self, caller: &Caller, username: &str, approved: bool) -> Result<User> {
        let ground = self.find_user(caller, username).await?;
        let permit = self.permit(caller, act::UserApprove, &ground)?;
        let id = ground.subject.id;
        if caller.as_user().is_some_and(|user| user.id == id) {
            return Err(Error::Conflict(
                "nobody approves their own account: ask another administrator".to_owned(),
            ));
        }
        let (outbox, base) = (self.outbox.clone(), self.settings.base_url.clone());
        self.store
            .write(&permit, move |writer| {
                let before = store::user::find(writer, id)?.ok_or_else(|| unknown(ResourceKind::User))?;
                // Whoever repeats what holds already is not whose word it was.
                if approved != before.approved {
                    store::user::set_approved(writer, id, approved)?;
                }
                if approved && !before.approved && before.active {
                    outbox.queue(&mut writer.bookkeeping(), &letter::approved(&before, &base))?;
                }
                writer.note(json!({ "approved": before.approved }), json!({ "approved": approved }));
                Ok(User { approved, ..before })
            })
            .await
    }

    /// Takes away all of a user's second steps and recovery codes, and ends their sessions: for who has lost them.
    pub async fn reset_second_steps(&self, caller: &Caller, username: &str) -> Result<()> {
        let ground = self.find_user(caller, username).await?;
        let permit = self.permit(caller, act::UserUpdate, &ground)?;
        let id = ground.subject.id;
        self.store
            .write(&permit, move |writer| {
                let removed = store::second_step::remove_all(writer, id)?;
                store::session::end_all(writer, id)?;
                writer.note(json!({ "second_steps": removed }), json!({ "second_steps": 0 }));
                Ok(())
            })
            .await
    }

    /// Deletes an account with its credentials, memberships and grants. The username stays taken.
    pub async fn delete_user(&self, caller: &Caller, username: &str) -> Result<()> {
        let ground = self.find_user(caller, username).await?;
        let permit = self.permit(caller, act::UserDelete, &ground)?;
        let (user, now) = (ground.subject, self.clock.now());
        self.store
            .write(&permit, move |writer| {
                store::user::delete(writer, user.id, now)?;
                keep_an_administrator(writer, &user)?;
                writer.note(shown(&user), Value::Null);
                Ok(())
            })
            .await
    }

    pub(crate) async fn find_user(&self, caller: &Caller, name: &str) -> Result<Ground<User>> {
        let id = name.starts_with('{').then(|| name.parse::<UserId>().ok()).flatten();
        let username = name.parse::<Username>().ok();
        let found = self
            .store
            .read(move |reader| match (id, username) {
                (Some(id), _) => store::user::find(reader, id),
                (None, Some(username)) => store::user::find_by_username(reader, &username),
                (None, None) => Ok(None),
            })
            .await?;
        match found {
            // Who may look at users is told that there is none; to a stranger the answer is the same as for any.
            Some(user) => Ok(self.user_ground(user)),
            None if caller.is_anonymous() => Err(Error::Unauthenticated),
            None => Err(self.missing(caller, ResourceKind::User)),
        }
    }
}

/// Mails those who can approve an account that waits for it: in the transaction that makes it.
pub(crate) fn tell_who_approves(
    writer: &mut store::Writer<'_>,
    outbox: &Outbox,
    user: &User,
    base: &str,
) -> Result<()> {
    if user.approved || !outbox.is_on() {
        return Ok(());
    }
    for administrator in store::user::administrators(writer, MOST_TOLD)? {
        let message = letter::approval_wanted(&administrator.email, user, base);
        outbox.queue(&mut writer.bookkeeping(), &message)?;
    }
    Ok(())
}

fn target(user: &User) -> Target {
    Target { resource: Resource::User(user.id), label: format!("user:{}", user.username), workspace: None }
}

/// The document is not what the client has seen.
pub(crate) fn changed_meanwhile() -> Error {
    Error::PreconditionFailed(
        "somebody else has changed this: read it again, then send the change".to_owned(),
    )
}

/// An instance without an active administrator could not be administered again but from its own machine.
fn keep_an_administrator(writer: &mut store::Writer<'_>, before: &User) -> Result<()> {
    let was = before.active && before.staff_role == StaffRole::Administrator;
    if was && store::user::active_administrators(writer)? == 0 {
        return Err(Error::Conflict(
            "this is the last active administrator: make another user administrator first".to_owned(),
        ));
    }
    Ok(())
}
