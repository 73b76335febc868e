//! Audit events: listing, and the columns held against the bytes.

use model::act;
use model::{Action, AuditEvent, EventId, Outcome, RequestId, Resource, Timestamp, UserId, WorkspaceId};
use serde_json::Value;
use store::audit::{self, Filter};
use testkit::engines::start;
use testkit::{TestStore, both_engines, permit};

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
            let page = store.read(move |reader| audit::list(reader, &Filter::default(), after, 7)).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.cursor());
            found.extend(page.iter().map(|stored| stored.event().unwrap()));
        }
        assert_eq!(found, events);
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
            (Filter { action: Some(Action::Upkeep), ..Filter::default() }, 1),
            (Filter { workspace: Some(workspace), ..Filter::default() }, 20),
            (Filter { resource: Some(workspace.into()), ..Filter::default() }, 20),
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
            let found = store.read(move |reader| audit::list(reader, &filter, None, 100)).await.unwrap();
            assert_eq!(found.len(), expected, "{asked}");
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
        let none = store.read(|reader| audit::list(reader, &Filter::default(), None, 1)).await.unwrap();
        assert!(none.is_empty());
        locked.close().await.unwrap();
    }
}
