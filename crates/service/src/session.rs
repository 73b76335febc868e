//! Sessions: somebody who signed in with a browser, until they sign out, are idle for too long, or the account ends.
//!
//! A session is for the web pages: neither REST nor git takes one. Its secret travels in a cookie; of it only the hash
//! is kept, and it changes when the person signs in, steps up, and by age. Sessions are looked up anew for every
//! request, so ending one binds the next request that starts after it, on every node.

use model::{
    Error, IssuedSecret, Result, Secret, SecretKind, Session, SessionId, SignInMethod, Timestamp, User, act,
};
use serde_json::{Value, json};

use crate::second_step::is_required;
use crate::{Caller, Service};

/// For how long sessions live, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// Without being used.
    pub idle_seconds: i64,
    /// However much it is used.
    pub absolute_seconds: i64,
}

impl Default for SessionLimits {
    /// Eight hours idle, a week in all.
    fn default() -> Self {
        Self { idle_seconds: 8 * 3_600, absolute_seconds: 7 * 86_400 }
    }
}

/// After so many seconds a session's secret is changed.
const ROTATE_SECONDS: i64 = 3_600;
/// For so many seconds after that the one before is taken as well: a browser sends several requests at once.
const GRACE_SECONDS: i64 = 60;
/// For so long who stepped up need not do so again, in seconds.
const STEPPED_UP_SECONDS: i64 = 600;
/// A use is noted when the last note is older, in seconds.
const NOTE_SECONDS: i64 = 60;
/// More sessions of one user end the oldest.
const MOST: i64 = 50;
/// What is kept of a browser's account of itself, in characters.
const USER_AGENT_CHARS: usize = 256;

/// What a browser says of itself: shown to the session's owner, believed for nothing.
#[derive(Clone, Debug, Default)]
pub struct Browser {
    /// The `User-Agent` header.
    pub user_agent: String,
}

/// A session that has begun, and the secret for its cookie, which is nowhere else.
pub struct NewSession {
    /// The session.
    pub session: Session,
    /// Whose.
    pub user: User,
    /// For the cookie.
    pub secret: IssuedSecret,
}

/// How somebody proved who they are.
pub(crate) struct Proof {
    pub(crate) method: SignInMethod,
    pub(crate) provider: Option<String>,
    /// The kind of second step that was part of it.
    pub(crate) second_step: Option<&'static str>,
    /// Whether that was just now; a provider may remember people.
    pub(crate) fresh: bool,
}

/// Until when who proves now who they are counts as stepped up.
pub(crate) fn stepped_up_until(now: Timestamp) -> Timestamp {
    now.plus_seconds(STEPPED_UP_SECONDS)
}

pub(crate) fn shown(session: &Session) -> Value {
    json!({
        "session": session.id, "method": session.method.as_str(), "provider": session.provider,
        "second_step": session.second_step_on.is_some(), "address": session.address,
    })
}

impl Service {
    /// Who presents this cookie. Nothing is counted against the network: a cookie that has expired is no guess, and 256
    /// random bits are not guessed.
    pub(crate) async fn by_session(&self, nobody: &Caller, secret: &Secret) -> Result<Caller> {
        let secret = IssuedSecret::parse(SecretKind::Session, secret.expose());
        let hash = secret.map_err(|_| Error::Unauthenticated)?.hash();
        let now = self.clock.now();
        let found = self
            .store
            .read(move |reader| {
                let found = store::session::find_by_hash(reader, &hash, now.plus_seconds(-GRACE_SECONDS))?;
                let Some(session) = found else { return Ok(None) };
                let Some(user) = store::user::find(reader, session.user)? else { return Ok(None) };
                let must_enrol = !user.second_step && is_required(reader, &user)?;
                Ok(Some((session, user, must_enrol)))
            })
            .await?;
        let (session, user, must_enrol) = found
            .filter(|(session, user, _)| user.active && self.is_live(session, now))
            .ok_or(Error::Unauthenticated)?;
        if now.seconds() - session.last_seen_on.seconds() >= NOTE_SECONDS {
            let id = session.id;
            self.store.keep(move |books| store::session::note_seen(books, id, now)).await?;
        }
        Ok(Caller::session_of(user.into(), session, must_enrol, nobody))
    }

    fn is_live(&self, session: &Session, now: Timestamp) -> bool {
        now < session.expires_on && session.last_seen_on > self.seen_after(now)
    }

    /// What was not seen since then has ended.
    pub(crate) fn seen_after(&self, now: Timestamp) -> Timestamp {
        now.plus_seconds(-self.session_limits.idle_seconds)
    }

    /// Begins a session for somebody who has proved who they are.
    pub(crate) async fn begin_session(
        &self,
        caller: &Caller,
        browser: &Browser,
        proof: Proof,
    ) -> Result<NewSession> {
        let user = User::clone(caller.as_user().ok_or(Error::Unauthenticated)?);
        let permit = self.permit(caller, act::SessionCreate, &self.user_ground(user.clone()))?;
        let now = self.clock.now();
        let secret = IssuedSecret::new(SecretKind::Session, &self.random);
        let session = Session {
            id: SessionId::new(&self.random),
            user: user.id,
            created_on: now,
            last_seen_on: now,
            rotated_on: now,
            expires_on: now.plus_seconds(self.session_limits.absolute_seconds),
            address: caller.address.map(|address| address.to_canonical().to_string()),
            user_agent: browser
                .user_agent
                .chars()
                .filter(|c| !c.is_control())
                .take(USER_AGENT_CHARS)
                .collect(),
            method: proof.method,
            provider: proof.provider,
            second_step_on: proof.second_step.map(|_| now),
            stepped_up_until: proof.fresh.then(|| stepped_up_until(now)),
        };
        let (begun, hash, second_step) = (session.clone(), secret.hash(), proof.second_step);
        self.store
            .write(&permit, move |writer| {
                // Between the proof and now the account may have ended: nothing of an ended one begins.
                let living = store::user::find(writer, begun.user)?.is_some_and(|user| user.active);
                if !living {
                    return Err(Error::Unauthenticated);
                }
                store::session::insert(writer, &begun, &hash, MOST)?;
                store::user::signed_in(writer, begun.user)?;
                let mut noted = shown(&begun);
                if let (Some(kind), Some(noted)) = (second_step, noted.as_object_mut()) {
                    noted.insert("second_step".to_owned(), json!(kind));
                }
                writer.note(Value::Null, noted);
                Ok(())
            })
            .await?;
        Ok(NewSession { session, user, secret })
    }

    /// Another secret for the caller's session, when the one it has is old: set the cookie anew with what this gives.
    /// The old one is taken for another minute, for requests under way. `presented` is the one in the cookie.
    pub async fn renew_session(&self, caller: &Caller, presented: &Secret) -> Result<Option<IssuedSecret>> {
        let Some(session) = caller.session() else { return Ok(None) };
        let now = self.clock.now();
        if now.seconds() - session.rotated_on.seconds() < ROTATE_SECONDS {
            return Ok(None);
        }
        let (id, from) = (session.id, presented.hash());
        let secret = IssuedSecret::new(SecretKind::Session, &self.random);
        let to = secret.hash();
        let won = self.store.keep(move |books| store::session::rotate(books, id, &from, &to, now)).await?;
        Ok(won.then_some(secret))
    }

    /// Marks the caller's session as stepped up and gives it another secret; the one before ends at once.
    pub(crate) async fn raise_session(
        &self,
        caller: &Caller,
        second_step: Option<&'static str>,
    ) -> Result<IssuedSecret> {
        let user = User::clone(caller.as_user().ok_or(Error::Unauthenticated)?);
        let session = caller.session().ok_or(Error::Unauthenticated)?;
        let permit = self.permit(caller, act::SessionUpdate, &self.user_ground(user))?;
        let (id, now) = (session.id, self.clock.now());
        let secret = IssuedSecret::new(SecretKind::Session, &self.random);
        let (hash, before) = (secret.hash(), shown(session));
        self.store
            .write(&permit, move |writer| {
                let until = stepped_up_until(now);
                if !store::session::step_up(writer, id, &hash, second_step.map(|_| now), until)? {
                    return Err(Error::Unauthenticated);
                }
                let after = json!({ "session": id, "stepped_up_until": until, "second_step": second_step });
                writer.note(before.clone(), after);
                Ok(())
            })
            .await?;
        Ok(secret)
    }

    /// The caller's own sessions, the newest first; [`Caller::session`] tells which is this one.
    pub async fn sessions(&self, caller: &Caller) -> Result<Vec<Session>> {
        let user = User::clone(caller.as_user().ok_or(Error::Unauthenticated)?);
        let id = user.id;
        self.check(caller, act::SessionList, &self.user_ground(user))?;
        let now = self.clock.now();
        let seen_after = self.seen_after(now);
        self.store.read(move |reader| store::session::list(reader, id, now, seen_after)).await
    }

    /// Ends the caller's own session.
    pub async fn sign_out(&self, caller: &Caller) -> Result<()> {
        let id = caller.session().ok_or(Error::Unauthenticated)?.id;
        self.revoke_session(caller, id).await
    }

    /// Ends one of the caller's own sessions, from the next request on.
    pub async fn revoke_session(&self, caller: &Caller, id: SessionId) -> Result<()> {
        let user = User::clone(caller.as_user().ok_or(Error::Unauthenticated)?);
        let owner = user.id;
        let permit = self.permit(caller, act::SessionRevoke, &self.user_ground(user))?;
        self.store
            .write(&permit, move |writer| {
                if !store::session::end(writer, owner, id)? {
                    return Err(Error::not_found("the session"));
                }
                writer.note(json!({ "session": id }), Value::Null);
                Ok(())
            })
            .await
    }

    /// Ends all of the caller's sessions but the one that asks, and tells how many that were.
    pub async fn revoke_other_sessions(&self, caller: &Caller) -> Result<u64> {
        let user = User::clone(caller.as_user().ok_or(Error::Unauthenticated)?);
        let this = caller.session().ok_or(Error::Unauthenticated)?.id;
        let owner = user.id;
        let permit = self.permit(caller, act::SessionRevoke, &self.user_ground(user))?;
        self.store
            .write(&permit, move |writer| {
                let ended = store::session::end_others(writer, owner, this)?;
                writer.note(json!({ "sessions": ended, "but": this }), Value::Null);
                Ok(ended)
            })
            .await
    }

    /// Forgets what has ended by age.
    pub(crate) async fn sweep_sessions(&self) -> Result<()> {
        let seen_after = self.seen_after(self.clock.now());
        self.store
            .keep(move |books| {
                store::challenge::forget_expired(books)?;
                store::session::forget_expired(books, seen_after).map(drop)
            })
            .await
    }
}
