//! Break-glass: how an administrator of the instance gets to read in a workspace when there is a reason to.
//!
//! It is asked for with a reason and given by another administrator; where there is none, it is in force at once. It ends
//! by itself after a few hours, or earlier by its holder, an administrator or an owner of the workspace. Owners see it, and
//! are mailed when it is asked for, given and ended. What it opens is decided by `policy`; each access under it is recorded.

use model::{
    Action, BreakGlass, BreakGlassId, Error, Result, StaffRole, Timestamp, User, Username, Workspace,
    WorkspaceId, act,
};
use policy::{Decision, Reason};
use serde_json::{Value, json};
use store::Writer;

use crate::access::Ground;
use crate::mail::{Outbox, letter};
use crate::{Caller, Identity, Listing, Named, Service, Window};

/// For how many hours at most.
pub const MOST_HOURS: i64 = 12;
/// How long a request waits for somebody to give it, in seconds.
const WAITS: i64 = 86_400;
/// How long a reason is, in characters.
const REASON: std::ops::RangeInclusive<usize> = 10..=1_000;
/// So many administrators are told that one waits, at most.
const MOST_TOLD: i64 = 50;
/// The policies by which it opens content.
const READS: [&str; 2] = ["break-glass-browses", "break-glass-reads"];

fn is_break_glass(reason: &Reason) -> bool {
    READS.contains(&reason.policy.as_str())
}

/// Whether a decision rests on break-glass alone.
fn alone(decision: &Decision) -> bool {
    decision.allowed && !decision.reasons.is_empty() && decision.reasons.iter().all(is_break_glass)
}

/// Whether break-glass is among what a decision rests on.
pub(crate) fn among(decision: &Decision) -> bool {
    decision.allowed && decision.reasons.iter().any(is_break_glass)
}

/// What is asked for.
pub struct NewBreakGlass {
    /// Why: the workspace's owners read it.
    pub reason: String,
    /// For how many hours.
    pub hours: i64,
    /// For which administrator; the caller without one. The command line names one.
    pub username: Option<Username>,
}

fn reason(text: &str) -> Result<String> {
    let text = text.trim();
    if !REASON.contains(&text.chars().count()) || text.chars().any(|c| c.is_control() && c != '\n') {
        return Err(Error::invalid_field(
            "reason",
            format!(
                "say why, in {} to {} characters: the workspace's owners read it",
                REASON.start(),
                REASON.end()
            ),
        ));
    }
    Ok(text.to_owned())
}

fn shown(one: &BreakGlass) -> Value {
    json!({
        "id": one.id.braced(), "username": one.username, "reason": one.reason, "hours": one.hours,
        "approved_on": one.approved_on, "approved_by": one.approved_by, "expires_on": one.expires_on,
        "ended_on": one.ended_on,
    })
}

/// Mails the workspace's owners, in the transaction of what they are told.
fn tell_owners(
    writer: &mut Writer<'_>,
    outbox: &Outbox,
    one: &BreakGlass,
    news: &str,
    base: &str,
) -> Result<()> {
    if !outbox.is_on() {
        return Ok(());
    }
    for (_, email) in store::token_warning::owners(writer, one.workspace)? {
        let message = letter::break_glass(&email, one, news, base);
        outbox.queue(&mut writer.bookkeeping(), &message)?;
    }
    Ok(())
}

/// Whoever it is for, as long as it would open anything.
fn holder(user: Option<User>) -> Result<User> {
    user.filter(|user| user.active && user.approved && user.staff_role == StaffRole::Administrator)
        .ok_or_else(|| {
            Error::invalid_field("username", "break-glass is for active administrators of the instance alone")
        })
}

fn over() -> Error {
    Error::Conflict("this is over, or was given or ended already".to_owned())
}

impl Service {
    /// What was asked for anywhere; the newest first.
    pub async fn break_glass(&self, caller: &Caller, window: Window) -> Result<Listing<BreakGlass>> {
        self.check(caller, act::BreakGlassRead, &self.instance_ground())?;
        self.list_break_glass(None, window).await
    }

    /// What was asked for in a workspace; the newest first.
    pub async fn workspace_break_glass(
        &self,
        caller: &Caller,
        workspace: &str,
        window: Window,
    ) -> Result<(Workspace, Listing<BreakGlass>)> {
        let ground = self.workspace_ground(caller, workspace).await?;
        self.check(caller, act::BreakGlassRead, &ground)?;
        let found = self.list_break_glass(Some(ground.subject.id), window).await?;
        Ok((ground.subject, found))
    }

    async fn list_break_glass(
        &self,
        within: Option<WorkspaceId>,
        window: Window,
    ) -> Result<Listing<BreakGlass>> {
        let (values, size) = self
            .store
            .read(move |reader| store::break_glass::list(reader, within, window.limit, window.offset))
            .await?;
        Ok(Listing::new(values, size))
    }

    /// Where it is in force for the caller.
    pub async fn own_break_glass(&self, caller: &Caller) -> Result<Vec<BreakGlass>> {
        let user = caller.as_user().ok_or(Error::Unauthenticated)?;
        self.check(caller, act::AccountRead, &self.user_ground(User::clone(user)))?;
        let id = user.id;
        self.store.read(move |reader| store::break_glass::own(reader, id)).await
    }

    /// Until when break-glass alone opens something to the caller; none where something else does, or nothing. For what
    /// is told beside, never for what is decided.
    pub async fn break_glass_until(&self, caller: &Caller, on: Named<'_>) -> Option<Timestamp> {
        // For everybody else there is nothing to look up.
        caller.as_user().filter(|user| user.staff_role == StaffRole::Administrator)?;
        match on {
            Named::Workspace(name) => {
                let ground = self.workspace_ground(caller, name).await.ok()?;
                self.opened_until(caller, Action::WorkspaceRead, &ground)
            }
            Named::Project(workspace, project) => {
                let ground = self.project_ground(caller, workspace, project).await.ok()?;
                self.opened_until(caller, Action::ProjectRead, &ground)
            }
            Named::Repository(path) => {
                let ground = self.repository_ground(caller, &path).await.ok()?;
                self.opened_until(caller, Action::RepositoryRead, ground.as_ref())
            }
            Named::Instance | Named::Caller | Named::User(_) => None,
        }
    }

    fn opened_until<T>(&self, caller: &Caller, action: Action, ground: &Ground<T>) -> Option<Timestamp> {
        ground.break_glass.filter(|_| alone(&self.decide(caller, action, ground)))
    }

    /// Records an access that break-glass alone has opened.
    pub(crate) fn record_if_opened<T>(
        &self,
        caller: &Caller,
        action: Action,
        ground: &Ground<T>,
        decision: &Decision,
    ) {
        if alone(decision) {
            self.record_access(caller, action, &ground.target, decision.policies());
        }
    }

    /// Asks for it. Where no other active administrator could give it, it is in force at once.
    pub async fn request_break_glass(
        &self,
        caller: &Caller,
        workspace: &str,
        new: NewBreakGlass,
    ) -> Result<BreakGlass> {
        let ground = self.workspace_ground(caller, workspace).await?;
        let permit = self.permit(caller, act::BreakGlassRequest, &ground)?;
        let reason = reason(&new.reason)?;
        if !(1..=MOST_HOURS).contains(&new.hours) {
            return Err(Error::invalid_field("hours", format!("ask for 1 to {MOST_HOURS} hours")));
        }
        let username = match (caller.identity(), new.username) {
            (Identity::User(user), None) => user.username.clone(),
            (Identity::User(user), Some(name)) if name.folded() == user.username.folded() => name,
            (Identity::User(_), Some(_)) => {
                return Err(Error::invalid_field("username", "ask for yourself: nobody asks for another"));
            }
            (_, Some(name)) => name,
            (_, None) => {
                return Err(Error::invalid_field("username", "name the administrator whom it is for"));
            }
        };
        let (acme, id, now) = (ground.subject, BreakGlassId::new(&self.random), self.clock.now());
        let (outbox, base) = (self.outbox.clone(), self.settings.base_url.clone());
        self.store
            .write(&permit, move |writer| {
                let user = holder(store::user::find_by_username(writer, &username)?)?;
                if store::break_glass::is_open(writer, user.id, acme.id)? {
                    return Err(Error::Conflict(format!(
                        "{username} has asked for this already: wait for it, or end it first"
                    )));
                }
                let others = store::user::administrators(writer, MOST_TOLD)?;
                let others: Vec<User> =
                    others.into_iter().filter(|other| other.id != user.id && other.approved).collect();
                let alone = others.is_empty();
                let asked = request(id, &acme, &user, &reason, new.hours, now, alone);
                store::break_glass::insert(writer, &asked)?;
                let news = match alone {
                    true => {
                        "was asked for, and is in force at once: there is no other administrator to give it"
                    }
                    false => "was asked for, and waits for another administrator to give it",
                };
                tell_owners(writer, &outbox, &asked, news, &base)?;
                for other in others.iter().filter(|_| outbox.is_on()) {
                    let message = letter::break_glass_wanted(&other.email, &asked, &base);
                    outbox.queue(&mut writer.bookkeeping(), &message)?;
                }
                writer.note(Value::Null, shown(&asked));
                Ok(asked)
            })
            .await
    }

    /// Gives what another administrator asked for. Nobody gives their own.
    pub async fn approve_break_glass(
        &self,
        caller: &Caller,
        workspace: &str,
        id: BreakGlassId,
    ) -> Result<BreakGlass> {
        let ground = self.workspace_ground(caller, workspace).await?;
        let permit = self.permit(caller, act::BreakGlassApprove, &ground)?;
        let approver = caller.as_user().ok_or(Error::Unauthenticated)?.id;
        let (within, by, now) = (ground.subject.id, caller.label(), self.clock.now());
        let (outbox, base) = (self.outbox.clone(), self.settings.base_url.clone());
        self.store
            .write(&permit, move |writer| {
                let before = found(writer, within, id)?;
                if before.user == approver {
                    return Err(Error::Conflict(
                        "nobody gives break-glass to themselves: ask another administrator".to_owned(),
                    ));
                }
                if before.state(now) != "requested" {
                    return Err(over());
                }
                holder(store::user::find(writer, before.user)?)?;
                let expires_on = now.plus_seconds(before.hours * 3_600);
                store::break_glass::approve(writer, id, &by, now, expires_on)?;
                let after = found(writer, within, id)?;
                tell_owners(writer, &outbox, &after, &format!("was given by {by}, and is in force"), &base)?;
                writer.note(shown(&before), shown(&after));
                Ok(after)
            })
            .await
    }

    /// Ends it, or refuses it before it was given: its holder, an administrator, or an owner of the workspace.
    pub async fn end_break_glass(&self, caller: &Caller, workspace: &str, id: BreakGlassId) -> Result<()> {
        let ground = self.workspace_ground(caller, workspace).await?;
        let permit = self.permit(caller, act::BreakGlassEnd, &ground)?;
        let (within, by, now) = (ground.subject.id, caller.label(), self.clock.now());
        let (outbox, base) = (self.outbox.clone(), self.settings.base_url.clone());
        self.store
            .write(&permit, move |writer| {
                let before = found(writer, within, id)?;
                if !matches!(before.state(now), "requested" | "in-force") {
                    return Err(over());
                }
                store::break_glass::end(writer, id, &by, now)?;
                let after = found(writer, within, id)?;
                tell_owners(writer, &outbox, &after, &format!("was ended by {by}"), &base)?;
                writer.note(shown(&before), shown(&after));
                Ok(())
            })
            .await
    }
}

fn found(writer: &mut Writer<'_>, within: WorkspaceId, id: BreakGlassId) -> Result<BreakGlass> {
    store::break_glass::find(writer, within, id)?.ok_or_else(|| Error::not_found("the break-glass request"))
}

fn request(
    id: BreakGlassId,
    acme: &Workspace,
    user: &User,
    reason: &str,
    hours: i64,
    now: Timestamp,
    alone: bool,
) -> BreakGlass {
    BreakGlass {
        id,
        workspace: acme.id,
        workspace_slug: acme.slug.clone(),
        user: user.id,
        username: user.username.clone(),
        reason: reason.to_owned(),
        hours,
        requested_on: now,
        approved_on: alone.then_some(now),
        approved_by: None,
        expires_on: now.plus_seconds(if alone { hours * 3_600 } else { WAITS }),
        ended_on: None,
        ended_by: None,
    }
}
