//! What is counted in memory and written in batches.

use model::{Action, CredentialId, Outcome, Resource};
use store::count::{self, Use};
use store::params;
use testkit::both_engines;

both_engines! {
    async fn counts_are_added_up_over_flushes(store) {
        let now = store.clock().now();
        let used = Use {
            time: now,
            actor: "user:ann".to_owned(),
            credential: None,
            action: Action::RepositoryRead,
            resource: Resource::Instance,
            workspace: None,
            address: "127.0.0.1".parse().ok(),
            outcome: Outcome::Done,
        };
        for _ in 0..3 {
            store.count_use(used.clone());
            store.count_refusal("192.0.2.1".parse().unwrap(), now);
            store.flush().await.unwrap();
        }
        store.count_use(Use { outcome: Outcome::Refused, ..used });
        store.close().await.unwrap();
        let again = store.again().await;
        let counts = again.read(move |reader| count::by_actor(reader, "user:ann", now.day(), 10)).await.unwrap();
        let mut counts: Vec<_> = counts.iter().map(|count| (count.outcome.as_str(), count.count)).collect();
        counts.sort_unstable();
        assert_eq!(counts, [("done", 3), ("refused", 1)]);
        let refusals = again.read(move |reader| count::refusals(reader, now, 10)).await.unwrap();
        assert_eq!(refusals, [("192.0.2.1".to_owned(), 3)]);
        again.close().await.unwrap();
    }

    /// Catches a flood from many addresses that becomes a flood of rows.
    async fn a_flood_of_addresses_is_bounded(store) {
        let now = store.clock().now();
        for n in 0..10_000_u32 {
            store.count_refusal(std::net::Ipv4Addr::from(n).into(), now);
        }
        store.flush().await.unwrap();
        let rows = store.read(|reader| reader.count("SELECT count(*) FROM refusal_count", &[])).await.unwrap();
        assert_eq!(rows, 4097);
        let most = store.read(move |reader| count::refusals(reader, now, 1)).await.unwrap();
        assert_eq!(most, [(count::OTHERS.to_owned(), 10_000 - 4096)]);
    }

    /// Catches counts that stay for ever, and those that go too early.
    async fn counts_go_when_their_time_is_over(store) {
        let now = store.clock().now();
        let used = |time| Use {
            time,
            actor: "user:ann".to_owned(),
            credential: None,
            action: Action::RepositoryRead,
            resource: Resource::Instance,
            workspace: None,
            address: None,
            outcome: Outcome::Done,
        };
        for days in 0..10 {
            let time = now.plus_seconds(-days * 86_400);
            store.count_use(used(time));
            // More than one batch on the days that go.
            for n in 0..if days > 6 { 300 } else { 1 } {
                store.count_refusal(std::net::Ipv4Addr::from(n).into(), time);
            }
            store.flush().await.unwrap();
        }
        let week = now.plus_seconds(-6 * 86_400);
        assert_eq!(store.forget_counts_before(week).await.unwrap(), 3);
        assert_eq!(store.forget_refusals_before(week).await.unwrap(), 900);
        assert_eq!(store.forget_counts_before(week).await.unwrap(), 0);
        let left = store.read(|reader| count::by_actor(reader, "user:ann", 0, 100)).await.unwrap();
        let days: Vec<i64> = left.iter().map(|count| now.day() - count.day).collect();
        assert_eq!(days, [0, 1, 2, 3, 4, 5, 6]);
        let rows = store.read(|reader| reader.count("SELECT count(*) FROM refusal_count", &[])).await.unwrap();
        assert_eq!(rows, 7);
    }

    async fn the_time_of_last_use_only_moves_forward(store) {
        let id = CredentialId::new(store.random());
        let now = store.clock().now();
        let permit = testkit::permit::<model::act::Upkeep>(&store);
        store
            .write(&permit, move |writer| {
                writer.execute(
                    "INSERT INTO credential (id, kind, hash, name, scopes, created_on) VALUES ($1, 'app', $2, 'x', '', $3)",
                    params![id, [1_u8; 32], now],
                )
            })
            .await
            .unwrap();
        store.note_used(id, now.plus_seconds(9));
        store.note_used(id, now);
        store.flush().await.unwrap();
        store.note_used(id, now.plus_seconds(3));
        store.flush().await.unwrap();
        let row = store
            .read(move |reader| reader.one("SELECT last_used_on FROM credential WHERE id = $1", params![id]))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(row.get::<model::Timestamp>("last_used_on").unwrap(), now.plus_seconds(9));
    }
}
