//! The one door of git: a check before git starts, and for a push one more per ref, when its objects have arrived and
//! before any ref moves.
//!
//! A push is recorded twice. Its intent (which refs, from what to what) is committed by the permit's own transaction
//! before git may move them; its outcome (what git then did) before the client is told. A push that was cut off
//! between the two is settled later, by what lies on disk.

use std::sync::Arc;

use git::hook::PreReceive;
use git::{Protocol, Push, PushLimits, PushOutcome, RefUpdate, Session, Verdict};
use model::{Act, Action, Clock, Error, PushId, RepositoryId, Result, Timestamp, act};
use policy::{InternalReason, Origin, Permit, Target};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::push::OpenPush;
use store::repository::Located;
use tokio::io::AsyncRead;

use crate::access::{Ground, RepositoryPath};
use crate::{Caller, RequiredScopes, Service, branch_rule, pipeline_start};

/// What git is to do. The permission follows from this and nothing else that the client says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GitService {
    /// Clone or fetch.
    UploadPack,
    /// Push.
    ReceivePack,
}

impl GitService {
    /// Reads the name that clients use.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "git-upload-pack" => Some(Self::UploadPack),
            "git-receive-pack" => Some(Self::ReceivePack),
            _ => None,
        }
    }

    /// The name that clients use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }

    fn required(self) -> RequiredScopes {
        let named = |text: &str| text.parse().unwrap_or_default();
        match self {
            Self::UploadPack => {
                RequiredScopes { classic: named("repository"), flat: named("read:repository:bitbucket") }
            }
            Self::ReceivePack => RequiredScopes {
                classic: named("repository:write"),
                flat: named("write:repository:bitbucket"),
            },
        }
    }
}

/// Bytes for the client.
pub use git::ByteStream;

/// How many refs of a push are told one by one in its audit events; the digest covers all.
const REFS_TOLD: usize = 100;

/// The ref updates in an audit event: the first ones, how many, and a digest of all.
pub(crate) fn told(updates: &[RefUpdate], applied: Option<&PushOutcome>) -> Value {
    let mut digest = Sha256::new();
    for update in updates {
        digest.update(format!("{} {} {}\n", update.old, update.new, update.name));
    }
    let digest: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let refs: Vec<Value> = updates
        .iter()
        .take(REFS_TOLD)
        .map(|update| match applied.and_then(|outcome| outcome.refs.iter().find(|one| one.update == *update)) {
            Some(one) => json!({ "name": update.name, "old": update.old, "new": update.new, "applied": one.applied }),
            None => json!({ "name": update.name, "old": update.old, "new": update.new }),
        })
        .collect();
    json!({ "refs": refs, "count": updates.len(), "sha256": digest })
}

/// The provenance of a push as its row keeps it, for whoever settles it.
pub(crate) fn kept(origin: &Origin, target: &Target) -> Value {
    json!({
        "request_id": origin.request_id, "actor": origin.actor, "actor_id": origin.actor_id,
        "credential": origin.credential, "address": origin.address, "label": target.label,
        "workspace": target.workspace,
    })
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).map(str::to_owned)
}

/// A permit for what follows from a push, in the name of who pushed: `kept` is its provenance.
pub(crate) fn internal_permit<A: Act>(
    kept: &Value,
    repository: RepositoryId,
    reason: InternalReason,
    now: Timestamp,
) -> Result<Permit<A>> {
    let lost = || Error::internal("a push's provenance cannot be read");
    let origin = Origin {
        request_id: text(kept, "request_id").and_then(|id| id.parse().ok()).ok_or_else(lost)?,
        time: now,
        actor: text(kept, "actor").ok_or_else(lost)?,
        actor_id: text(kept, "actor_id"),
        credential: text(kept, "credential"),
        address: text(kept, "address").and_then(|address| address.parse().ok()),
    };
    let target = Target {
        resource: repository.into(),
        label: text(kept, "label").ok_or_else(lost)?,
        workspace: text(kept, "workspace").and_then(|id| id.parse().ok()),
    };
    Ok(Permit::internal(reason, origin, target))
}

fn updates(push: &OpenPush) -> Result<Vec<RefUpdate>> {
    serde_json::from_value(push.refs.clone()).map_err(Error::internal)
}

/// The reason for refusing a ref of the server's own, beside the policies' own.
const INTERNAL_REF: &str = "internal-ref";

/// Whether one ref may move so, whatever the repository has set. What it has stands in `branch_rule`.
fn may_move(update: &RefUpdate) -> Result<()> {
    let name = update.name.as_str();
    let internal = name == git::INTERNAL_REFS
        || name.strip_prefix(git::INTERNAL_REFS).is_some_and(|rest| rest.starts_with('/'));
    match internal {
        true => Err(Error::forbidden("refs below `refs/bastide` are the server's own")),
        false => Ok(()),
    }
}

/// A line for the person who pushes, with the id to ask an administrator about.
fn refused(caller: &Caller, name: &str, why: &str) -> String {
    format!("{name}: refused: {why} (request {})", caller.request_id)
}

impl Service {
    /// Whether the caller may do this to the repository, before git starts; the ground it was decided on.
    async fn git_ground(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        service: GitService,
    ) -> Result<(Caller, Arc<Ground<Located>>)> {
        let caller = caller.clone().requiring(service.required());
        let action = match service {
            GitService::UploadPack => Action::RepositoryClone,
            GitService::ReceivePack => Action::RepositoryPushIntent,
        };
        self.admit(&caller, true, action, "the repository")?;
        let ground = self.repository_ground(&caller, path).await?;
        match service {
            GitService::UploadPack => self.check(&caller, act::RepositoryClone, ground.as_ref())?,
            GitService::ReceivePack => self.check(&caller, act::RepositoryPushIntent, ground.as_ref())?,
        }
        Ok((caller, ground))
    }

    /// The answer to `GET …/info/refs`.
    pub async fn git_advertise(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        service: GitService,
        protocol: Protocol,
    ) -> Result<ByteStream> {
        let (_, ground) = self.git_ground(caller, path, service).await?;
        let repository = self.git.open(ground.subject.repository.id)?;
        match service {
            GitService::UploadPack => git::upload_pack::advertise(&repository, protocol),
            GitService::ReceivePack => git::receive_pack::advertise(&repository),
        }
    }

    /// One request of a clone or fetch: what the client sent in, what it gets out.
    pub async fn git_upload_pack<R>(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        protocol: Protocol,
        input: R,
    ) -> Result<ByteStream>
    where
        R: AsyncRead + Send + Unpin + 'static,
    {
        let (_, ground) = self.git_ground(caller, path, GitService::UploadPack).await?;
        let repository = self.git.open(ground.subject.repository.id)?;
        git::upload_pack::serve(&repository, protocol, Session::Stateless, input).await
    }

    /// One push: what the client sent in, what it gets out. The report goes out when every ref it tells of is on disk
    /// and the outcome is recorded.
    pub async fn git_receive_pack<R>(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        input: R,
    ) -> Result<ByteStream>
    where
        R: AsyncRead + Send + Unpin + 'static,
    {
        let (caller, ground) = self.git_ground(caller, path, GitService::ReceivePack).await?;
        let id = ground.subject.repository.id;
        let push = Push {
            id: PushId::new(&self.random),
            repository: self.git.open(id)?,
            hooks: self.hooks.clone(),
            session: Session::Stateless,
            limits: PushLimits::default(),
        };
        let (deciding, settling) = (self.clone(), self.clone());
        let push_id = push.id;
        git::receive_pack::receive(
            push,
            input,
            move |question| async move { deciding.decide_push(&caller, id, push_id, question).await },
            move |intent, outcome| async move { settling.conclude_push(intent, outcome).await },
        )
        .await
    }

    /// The decision about a push whose objects are in quarantine: made anew, since much may have changed while they
    /// came, and per ref, since one allowed ref says nothing about the next.
    async fn decide_push(
        &self,
        caller: &Caller,
        id: RepositoryId,
        push: PushId,
        question: PreReceive,
    ) -> Result<Verdict<OpenPush>> {
        let ground = self.ground_of(caller, id).await?;
        let updates = question.updates;
        let mut messages = Vec::new();
        // The access model is asked once: it knows of no single refs, and a push may have tens of thousands.
        let permit = match self.permit(caller, act::RepositoryPushIntent, &ground) {
            Ok(permit) => Some(permit),
            Err(Error::Internal(cause)) => return Err(Error::Internal(cause)),
            Err(error) => {
                let why = error.to_string();
                messages.extend(updates.iter().map(|update| refused(caller, update.name.as_str(), &why)));
                None
            }
        };
        for update in updates.iter().filter(|_| permit.is_some()) {
            if let Err(error) = may_move(update) {
                let action = Action::RepositoryPushIntent;
                self.record_refusal(caller, action, &ground.target, vec![INTERNAL_REF.to_owned()]);
                messages.push(refused(caller, update.name.as_str(), &error.to_string()));
            }
        }
        if permit.is_some() {
            let pushed = self.git.open(id)?;
            let pushed = match &question.quarantine {
                Some(quarantine) => pushed.in_quarantine(quarantine)?,
                None => pushed,
            };
            messages.extend(self.restricted(caller, &ground, &updates, &pushed).await?);
        }
        let Some(permit) = permit.filter(|_| messages.is_empty()) else {
            return Ok(Verdict::Refuse { messages });
        };
        let intent = OpenPush {
            id: push,
            repository: id,
            begun_on: self.clock.now(),
            origin: kept(permit.origin(), permit.target()),
            refs: serde_json::to_value(&updates).map_err(Error::internal)?,
        };
        let begun = intent.clone();
        self.store
            .write(&permit, move |writer| {
                store::push::begin(writer, &begun)?;
                writer.note(Value::Null, told(&updates, None));
                Ok(())
            })
            .await?;
        Ok(Verdict::Accept { intent, messages })
    }

    /// What branch restrictions refuse of a push, ref by ref.
    async fn restricted(
        &self,
        caller: &Caller,
        ground: &Ground<Located>,
        updates: &[RefUpdate],
        pushed: &git::Repository,
    ) -> Result<Vec<String>> {
        let rules = self.branch_rules(caller, &ground.subject).await?;
        let (mut messages, mut refs) = (Vec::new(), Vec::new());
        for update in updates {
            if let Some(rule) = rules.against(update, Some(pushed)).await? {
                messages.push(refused(caller, update.name.as_str(), &branch_rule::why(rule)));
                if refs.len() < REFS_TOLD {
                    refs.push(branch_rule::told(update, rule));
                }
            }
        }
        if !messages.is_empty() {
            let action = Action::RepositoryPushIntent;
            self.record_refused_refs(caller, action, &ground.target, refs, messages.len());
        }
        Ok(messages)
    }

    /// The facts about a repository by its id, read now.
    pub(crate) async fn ground_of(&self, caller: &Caller, id: RepositoryId) -> Result<Ground<Located>> {
        let user = caller.as_user().map(|user| user.id);
        let now = self.clock.now();
        let (credential, asked) = (caller.credential().map(|credential| credential.id), user);
        let service = self.clone();
        let found = self
            .store
            .read(move |reader| {
                // A credential that was revoked while the objects came moves no ref.
                if let Some(id) = credential
                    && !store::credential::find(reader, id)?.is_some_and(|credential| credential.is_live(now))
                {
                    return Ok(None);
                }
                if let Some(id) = asked
                    && !store::user::find(reader, id)?.is_some_and(|user| user.active)
                {
                    return Ok(None);
                }
                let Some(found) =
                    store::repository::find(reader, id)?.filter(|found| found.deleted_on.is_none())
                else {
                    return Ok(None);
                };
                match store::repository::locate(reader, found)? {
                    Some(located) => {
                        crate::access::repository_ground(&service, reader, located, user).map(Some)
                    }
                    None => Ok(None),
                }
            })
            .await?;
        found.ok_or_else(|| Error::not_found("the repository"))
    }

    /// Records what git did, before the client is told.
    async fn conclude_push(&self, intent: OpenPush, outcome: PushOutcome) -> Result<Vec<String>> {
        let repository = intent.repository;
        self.settle(intent, outcome, InternalReason::PushOutcome).await?;
        self.enqueue_maintenance(repository).await;
        Ok(Vec::new())
    }

    pub(crate) async fn settle(
        &self,
        push: OpenPush,
        outcome: PushOutcome,
        reason: InternalReason,
    ) -> Result<()> {
        let now = self.clock.now();
        let permit: Permit<act::RepositoryPush> =
            internal_permit(&push.origin, push.repository, reason, now)?;
        let starts = pipeline_start::job_of(&push, &outcome);
        let pushed = starts.is_some();
        let asked = updates(&push)?;
        let settled = self
            .store
            .write(&permit, move |writer| {
                if !store::push::settle(writer, &push, now)? {
                    return Err(Error::Conflict("the push is settled already".to_owned()));
                }
                if let Some(job) = &starts {
                    pipeline_start::enqueue(writer, push.id, job.clone())?;
                }
                writer.note(Value::Null, told(&asked, Some(&outcome)));
                Ok(())
            })
            .await;
        self.touch();
        if pushed {
            self.run_jobs_now();
        }
        match settled {
            // Whoever was first has recorded the same.
            Err(Error::Conflict(_)) => Ok(()),
            other => other,
        }
    }

    /// Settles pushes that were left open: by what lies on disk, once no push holds the repository's lock.
    pub(crate) async fn settle_open_pushes(&self, clock: &Clock, older_than_seconds: i64) -> Result<usize> {
        let before = clock.now().plus_seconds(-older_than_seconds);
        let open = self.store.read(move |reader| store::push::open_before(reader, before, 100)).await?;
        let mut settled = 0;
        for push in open {
            if !self.git.exists(push.repository) {
                let refs = updates(&push)?;
                let refs = refs
                    .into_iter()
                    .map(|update| git::RefOutcome { update, applied: false, refusal: None })
                    .collect();
                self.settle(push, PushOutcome { refs, finished: false }, InternalReason::PushSettled).await?;
                settled += 1;
                continue;
            }
            let repository = self.git.open(push.repository)?;
            let Some(_lock) = git::lock::try_exclusive(&repository)? else { continue };
            // It may have been settled while the lock was waited for.
            let id = push.id;
            if self.store.read(move |reader| store::push::find_open(reader, id)).await?.is_none() {
                continue;
            }
            let outcome = git::refs::judge_durably(&repository, &updates(&push)?).await?;
            self.settle(push, outcome, InternalReason::PushSettled).await?;
            settled += 1;
        }
        Ok(settled)
    }
}
