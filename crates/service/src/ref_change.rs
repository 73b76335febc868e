//! Refs that are moved by the server itself, for somebody who asked by the API: recorded and durable like a push.
//!
//! The repository's shared lock is held from before the intent is committed until its outcome is, so that nobody
//! judges a change that is still under way. What has begun is carried to its end even when the client goes.

use git::lock::SharedLock;
use git::{PushOutcome, RefOutcome, RefUpdate};
use model::{Act, Error, PushId, RepositoryId, Result};
use policy::{InternalReason, Permit};
use serde_json::Value;
use store::push::OpenPush;
use store::repository::Located;

use crate::git_access::{kept, told};
use crate::{Caller, Service};

impl Service {
    /// Moves one ref, where no branch restriction refuses it: `apply` does it, in the repository that it is given, and
    /// rewrites nothing.
    pub(crate) async fn change_ref<A, F, W>(
        &self,
        caller: &Caller,
        permit: Permit<A>,
        located: &Located,
        update: RefUpdate,
        apply: F,
    ) -> Result<()>
    where
        A: Act,
        F: FnOnce(git::Repository) -> W + Send + 'static,
        W: Future<Output = Result<()>> + Send + 'static,
    {
        self.may_change_ref(caller, permit.target(), located, A::ACTION, &update).await?;
        let id = located.repository.id;
        let service = self.clone();
        let work = async move { service.carry_ref_change(permit, id, update, apply).await };
        self.background.spawn(work).await.map_err(Error::internal)?
    }

    async fn carry_ref_change<A, F, W>(
        &self,
        permit: Permit<A>,
        id: RepositoryId,
        update: RefUpdate,
        apply: F,
    ) -> Result<()>
    where
        A: Act,
        F: FnOnce(git::Repository) -> W + Send + 'static,
        W: Future<Output = Result<()>> + Send + 'static,
    {
        let repository = self.git.open(id)?;
        let _lock = SharedLock::take(&repository).await?;
        let updates = vec![update];
        let intent = OpenPush {
            id: PushId::new(&self.random),
            repository: id,
            begun_on: self.clock.now(),
            origin: kept(permit.origin(), permit.target()),
            refs: serde_json::to_value(&updates).map_err(Error::internal)?,
        };
        let (begun, asked) = (intent.clone(), updates.clone());
        self.store
            .write(&permit, move |writer| {
                store::push::begin(writer, &begun)?;
                writer.note(Value::Null, told(&asked, None));
                Ok(())
            })
            .await?;
        let applied = apply(repository.clone()).await;
        let outcome = match &applied {
            Ok(()) => done(updates),
            // What git did is told by the refs, not by the error.
            Err(_) => git::refs::judge_durably(&repository, &updates).await?,
        };
        self.settle(intent, outcome, InternalReason::PushOutcome).await?;
        self.enqueue_maintenance(id).await;
        applied
    }
}

fn done(updates: Vec<RefUpdate>) -> PushOutcome {
    let refs =
        updates.into_iter().map(|update| RefOutcome { update, applied: true, refusal: None }).collect();
    PushOutcome { refs, finished: true }
}
