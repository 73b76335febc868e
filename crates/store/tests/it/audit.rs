//! Audit events: listing, and the columns held against the bytes.

use model::act;
use model::{Action, AuditEvent, EventId, Outcome, RequestId, Resource, Timestamp, UserId, WorkspaceId};
use serde_json::Value;
use store::audit;
use store::audit_filter::{self, Filter, Order};
use testkit::engines::start;
use testkit::{TestStore, both_engines, permit};

use crate::sequence::{ORIGIN, key};

fn event(store: &TestStore, n: i64) -> AuditEvent {
    let workspace = WorkspaceId::from_uuid(UserId::new(&model::Random::seeded(u64::from(n % 2 == 0))).uuid());
    AuditEvent {
        v: model::audit_event::VERSION,
        id: EventId::new(store.random()),
        time: start().plus_seconds(n / 3),
        request_id: RequestId::new(store.random()),
        actor: format!("user:{}", n % 5),
        actor_id: None,
        credential: Some("app_password:{…}".to_owned()),
        address: Some("192.0.2.1".to_owned()),
        action: Action::RepositoryClone.as_str().to_owned(),
        resource: "repository:acme/one".to_owned(),
        resource_id: Resource::from(workspace).to_string(),
        workspace_id: Some(workspace.to_string()),
        outcome: Outcome::Refused,
        reasons: vec!["none".to_owned()],
        before: Value::Null,
        after: Value::Null,
    }
}

both_engines! {
    /// Catches a page that repeats or leaves out events that share a moment.
    async fn pages_follow_each_other_newest_first(store) {
        let mut events: Vec<_> = (0..50).map(|n| event(&store, n)).collect();
        for event in &events {
            store.record(event.clone()).await.unwrap();
        }
        events.sort_by_key(|event| std::cmp::Reverse((event.time, event.id)));
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.read(move |reader| audit_filter::list(reader, &Filter::default(), Order::NewestFirst, after, 7)).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.cursor());
            found.extend(page.iter().map(|stored| stored.event().unwrap()));
        }
        assert_eq!(found, events);
    }

    /// Catches an event that is lost, or answered too early, among others that share its transaction; and one that
    /// cannot be written taking its neighbours with it.
    async fn what_is_recorded_at_once_is_there_when_each_is_answered(store) {
        let mut recordings = Vec::new();
        for n in 0..300 {
            let mut event = event(&store, n);
            if n % 97 == 5 {
                // Its bytes are fit to be kept, its column is not.
                event.actor = "user:\0".to_owned();
            }
            let store = (*store).clone();
            recordings.push(tokio::spawn(async move {
                let id = event.id;
                let recorded = store.record(event).await;
                let there = store.read(move |reader| audit::find(reader, id)).await.unwrap().is_some();
                assert_eq!(recorded.is_ok(), there);
                recorded.is_ok()
            }));
        }
        let mut kept = 0;
        for recording in recordings {
            kept += usize::from(recording.await.unwrap());
        }
        assert_eq!(kept, 296);
    }

    async fn a_filter_narrows_by_all_that_it_names(store) {
        let events: Vec<_> = (0..40).map(|n| event(&store, n)).collect();
        for event in events.clone() {
            store.record(event).await.unwrap();
        }
        store.write(&permit::<act::Upkeep>(&store), |_| Ok(())).await.unwrap();
        let workspace: WorkspaceId = events[0].workspace_id.as_deref().unwrap().parse().unwrap();
        let filters: [(Filter, usize); 8] = [
            (Filter::default(), 41),
            (Filter { actor: Some("user:3".to_owned()), ..Filter::default() }, 8),
            (Filter { actions: vec![Action::Upkeep], ..Filter::default() }, 1),
            (Filter { workspace: Some(workspace), ..Filter::default() }, 20),
            (Filter { resource: Some(Resource::from(workspace).to_string()), ..Filter::default() }, 20),
            (Filter { outcome: Some(Outcome::Refused), ..Filter::default() }, 40),
            (Filter { from: Some(start().plus_seconds(13)), ..Filter::default() }, 1),
            (
                Filter {
                    until: Some(start().plus_seconds(1)),
                    workspace: Some(workspace),
                    outcome: Some(Outcome::Refused),
                    ..Filter::default()
                },
                2,
            ),
        ];
        for (filter, expected) in filters {
            let asked = format!("{filter:?}");
            let found = store.read(move |reader| audit_filter::list(reader, &filter, Order::NewestFirst, None, 100)).await.unwrap();
            assert_eq!(found.len(), expected, "{asked}");
        }
    }

    /// Catches a hint, a merge or a page boundary that changes what a filter means: whatever is walked, and whichever
    /// filters are put together, the page is what looking at every event would give. Several of one actor's events
    /// lie behind each other, so that no filter alone is rare; and the last hundred have no place in the ledger yet.
    async fn filters_together_are_what_looking_at_every_event_gives(store) {
        let random = model::Random::seeded(7);
        let mut events = Vec::new();
        let actions = [Action::RepositoryClone, Action::RepositoryPush, Action::GrantSet];
        let (verifier, sign) = key(&store);
        for n in 0..300 {
            if n == 200 {
                store.sequence(ORIGIN, &verifier, std::sync::Arc::clone(&sign)).await.unwrap();
            }
            let [a, b, c, d, e] = random.bytes::<5>();
            let mut one = event(&store, n);
            one.actor = format!("user:{}", a % 3);
            one.resource = format!("repository:acme/{}", a % 7);
            one.credential = (b % 3 > 0).then(|| format!("api_token:{}", b % 3));
            one.address = (c % 4 > 0).then(|| format!("10.0.{}.{}", c % 2, c % 5));
            one.action = actions[usize::from(d % 3)].as_str().to_owned();
            one.outcome = if e % 4 == 0 { Outcome::Refused } else { Outcome::Done };
            store.record(one.clone()).await.unwrap();
            events.push(one);
        }
        let of = |text: &str| audit::bits(text.parse().unwrap());
        for _ in 0..120 {
            let [a, b, c, d, e, f, g] = random.bytes::<7>();
            let filter = Filter {
                actor: (a % 2 == 0).then(|| format!("user:{}", a % 3)),
                credential: (b % 3 == 0).then(|| "api_token:1".to_owned()),
                actions: actions[..usize::from(c % 4)].to_vec(),
                resource: (g % 2 == 0).then(|| format!("repository:acme/{}", g % 7)),
                workspace: (d % 2 == 0).then(|| events[0].workspace_id.as_deref().unwrap().parse().unwrap()),
                addresses: (e % 3 == 0).then(|| (of("10.0.1.0"), of("10.0.1.255"))),
                outcome: [None, Some(Outcome::Done), Some(Outcome::Refused)][usize::from(f % 3)],
                request: None,
                from: (g % 3 == 0).then(|| start().plus_seconds(30)),
                until: (g % 5 == 0).then(|| start().plus_seconds(80)),
            };
            let fits = |event: &&AuditEvent| {
                let address = event.address.as_deref().map(of);
                filter.actor.as_ref().is_none_or(|actor| *actor == event.actor)
                    && filter.resource.as_ref().is_none_or(|resource| *resource == event.resource)
                    && (filter.credential.is_none() || filter.credential == event.credential)
                    && (filter.actions.is_empty() || filter.actions.iter().any(|a| a.as_str() == event.action))
                    && filter.workspace.is_none_or(|id| Some(id.to_string()) == event.workspace_id)
                    && filter.addresses.is_none_or(|(a, b)| address.is_some_and(|at| a <= at && at <= b))
                    && filter.outcome.is_none_or(|outcome| outcome == event.outcome)
                    && filter.from.is_none_or(|from| event.time >= from)
                    && filter.until.is_none_or(|until| event.time < until)
            };
            let mut expected: Vec<EventId> = {
                let mut fitting: Vec<_> = events.iter().filter(fits).map(|e| (e.time, e.id)).collect();
                fitting.sort();
                fitting.into_iter().map(|(_, id)| id).collect()
            };
            let asked = filter.clone();
            let (oldest, newest, placed) = store
                .read(move |reader| {
                    let mut pages = Vec::new();
                    for order in [Order::OldestFirst, Order::NewestFirst] {
                        let (mut ids, mut after) = (Vec::new(), None);
                        loop {
                            let page = audit_filter::list_probing(reader, &asked, order, after, 13, 20)?;
                            let Some(last) = page.last() else { break };
                            after = Some(last.cursor());
                            ids.extend(page.iter().map(|stored| stored.id));
                        }
                        pages.push(ids);
                    }
                    let (mut ids, mut from) = (Vec::new(), 0);
                    loop {
                        let (page, next) = audit_filter::placed(reader, &asked, from, 37)?;
                        ids.extend(page.iter().map(|(_, stored)| stored.id));
                        if next == from {
                            break;
                        }
                        from = next;
                    }
                    Ok((pages[0].clone(), pages[1].clone(), ids))
                })
                .await
                .unwrap();
            assert_eq!(oldest, expected, "{filter:?}");
            let mut in_ledger = placed;
            in_ledger.sort_by_key(|id| expected.iter().position(|other| other == id));
            let old: Vec<EventId> = events[..200].iter().map(|event| event.id).collect();
            let expected_in_ledger: Vec<_> = expected.iter().filter(|id| old.contains(id)).copied().collect();
            assert_eq!(in_ledger, expected_in_ledger, "{filter:?}");
            expected.reverse();
            assert_eq!(newest, expected, "{filter:?}");
        }
    }

    /// Catches a check that would not see a column changed behind the event's back.
    async fn every_changed_column_is_told(store) {
        let recorded = event(&store, 1);
        store.record(recorded.clone()).await.unwrap();
        let id = recorded.id;
        let find = move |reader: &mut store::Reader<'_>| Ok(audit::find(reader, id)?.unwrap());
        let stored = store.read(find).await.unwrap();
        assert_eq!(stored.differences(), Vec::<&str>::new());
        assert_eq!(stored.bytes, recorded.to_bytes().unwrap());
        for (column, sql) in [
            ("actor", "UPDATE audit_event SET actor = 'user:ben'"),
            ("actor_id", "UPDATE audit_event SET actor_id = 'x'"),
            ("credential", "UPDATE audit_event SET credential = NULL"),
            ("address", "UPDATE audit_event SET address = '192.0.2.2'"),
            ("action", "UPDATE audit_event SET action = 'repository.read'"),
            ("resource", "UPDATE audit_event SET resource = 'repository:acme/two'"),
            ("resource_id", "UPDATE audit_event SET resource_id = 'instance'"),
            ("workspace_id", "UPDATE audit_event SET workspace_id = NULL"),
            ("outcome", "UPDATE audit_event SET outcome = 'done'"),
            ("address_bits", "UPDATE audit_event SET address_bits = NULL"),
        ] {
            let read = store
                .write(&permit::<act::Upkeep>(&store), move |writer| {
                    writer.execute(sql, &[])?;
                    Ok(find(writer)?.differences())
                })
                .await
                .unwrap();
            assert!(read.contains(&column), "{column}: {read:?}");
        }
        let read = store
            .write(&permit::<act::Upkeep>(&store), move |writer| {
                writer.execute("UPDATE audit_event SET time = $1", &[Timestamp::from_micros(5).into()])?;
                Ok(find(writer)?.differences())
            })
            .await
            .unwrap();
        assert!(read.contains(&"time"));
    }

    /// Catches a record that is kept without the code that authenticates it.
    async fn nothing_is_written_before_the_key_is_there(store) {
        let locked = store::Store::open(store.database(), store.clock.clone(), model::Random::system()).await.unwrap();
        assert!(locked.write(&permit::<act::Upkeep>(&locked), |_| Ok(())).await.is_err());
        assert!(locked.record(event(&store, 1)).await.is_err());
        let none = store.read(|reader| audit_filter::list(reader, &Filter::default(), Order::NewestFirst, None, 1)).await.unwrap();
        assert!(none.is_empty());
        locked.close().await.unwrap();
    }
}
