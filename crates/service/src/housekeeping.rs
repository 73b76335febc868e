//! What is done once a day. What is not kept for ever is removed: counts of what was used, counts of refusals, what pushes have
//! started, and most of the ledger's checkpoints. What is kept for ever, the events and their ledger, is touched by nothing
//! here. And the server's own key at Amazon is looked after.

use model::Result;

use crate::Service;
use crate::pipeline_start::PUSHED;

/// For how many days refusals of the unauthenticated are kept, which name addresses: as long as somebody may still look
/// into an attack.
const REFUSAL_DAYS: i64 = 90;
/// For how many days it is remembered what a push has started, once its job is gone. Only somebody who still works on the
/// job after another has done it could ask again: its lease is an hour, and asking all providers takes minutes.
const STARTED_DAYS: i64 = 1;
/// The lease's name.
const LEASE: &str = "housekeeping";
/// How long nobody else does it: most of the day until it is due again.
const LEASE_SECONDS: i64 = 20 * 3_600;

impl Service {
    /// Does it, unless another process has done it today.
    pub(crate) async fn keep_house(&self) -> Result<()> {
        let holder = self.holder.clone();
        let ours = self.store.keep(move |books| store::lease::take(books, LEASE, &holder, LEASE_SECONDS));
        if !ours.await? {
            return Ok(());
        }
        let removed = self.remove_what_is_old().await;
        self.keep_aws_key().await;
        removed
    }

    async fn remove_what_is_old(&self) -> Result<()> {
        let now = self.clock.now();
        let days = |days: i64| now.plus_seconds(-days.saturating_mul(86_400));
        let daily = self.store.forget_counts_before(days(self.settings.count_days)).await?;
        let refusals = self.store.forget_refusals_before(days(REFUSAL_DAYS)).await?;
        let counted = days(self.settings.count_days);
        let alerts = self.store.keep(move |books| store::alert::forget_before(books, counted)).await?;
        let (finished, mut started) = (days(STARTED_DAYS), 0);
        loop {
            let forget = move |books: &mut store::Bookkeeping<'_>| {
                store::pipeline_run::forget_started(books, finished, PUSHED)
            };
            match self.store.keep(forget).await? {
                0 => break,
                some => started += some,
            }
        }
        let checkpoints = self.store.thin_checkpoints().await?;
        tracing::debug!(
            daily,
            refusals,
            checkpoints,
            alerts,
            started,
            "what is not kept for ever was removed"
        );
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use model::{Clock, Random, RequestId, Timestamp};

    use crate::{Caller, NewUser, Service, Settings};

    pub(crate) const DAY: i64 = 86_400;

    /// A service over a folder of the test's own.
    pub(crate) async fn service(folder: &std::path::Path, clock: &Clock) -> Service {
        let settings = Settings::new(folder.join("data"), "http://localhost", "/bin/true");
        Service::open(settings, clock.clone(), Random::seeded(1)).await.unwrap()
    }

    /// Would catch a trail that cannot be verified any more, or a checkpoint that an auditor has kept and that cannot be
    /// held against it, once most checkpoints are gone.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_thinned_trail_is_as_good_as_before() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(Timestamp::from_micros(1_790_000_000_000_000));
        let service = service(folder.path(), &clock).await;
        let operator = Caller::operator(RequestId::new(&Random::system()));
        let mut kept = Vec::new();
        // Three events a minute apart, on each of three days: long ago, last month and now.
        for (at, name) in ["a", "b", "c", "d", "e", "f", "g", "h", "i"].into_iter().enumerate() {
            let new = NewUser {
                username: name.parse().unwrap(),
                email: format!("{name}@example.com").parse().unwrap(),
                display_name: None,
                password: None,
            };
            service.create_user(&operator, new).await.unwrap();
            service.sequence_ledger().await.unwrap();
            kept.push(service.ledger_checkpoint(&operator).await.unwrap());
            clock.advance(match at {
                2 => 400 * DAY,
                5 => 30 * DAY,
                _ => 60,
            });
        }
        let before = service.verify_audit(&operator, Vec::new()).await.unwrap();
        assert!(before.intact && before.checkpoints == 9, "{before:?}");
        service.keep_house().await.unwrap();
        let after = service.verify_audit(&operator, Vec::new()).await.unwrap();
        assert!(after.intact, "{after:?}");
        assert_eq!((after.events, after.verified, after.checkpoints), (9, 9, 5));
        assert_eq!(after.root, before.root);
        assert_eq!(service.ledger_checkpoint(&operator).await.ok().as_ref(), kept.last());
        let held = service.verify_audit(&operator, kept).await.unwrap();
        assert!(held.intact, "{held:?}");
    }
}
