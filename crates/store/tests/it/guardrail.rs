//! Guardrails: what is written is read back, and of each it is known who changed it last.

use std::collections::BTreeSet;

use model::{AllowedRange, CredentialKind, EntryKind, GuardrailMode, Guardrails, OwnRule, WorkspaceId, act};
use store::guardrail::{self, Changed};
use store::params;
use testkit::both_engines;

fn all() -> Guardrails {
    Guardrails {
        ip_allowlist: GuardrailMode::On,
        allowed: vec![AllowedRange {
            range: "10.0.0.0/8".parse().unwrap(),
            description: "office".to_owned(),
        }],
        second_step: GuardrailMode::Report,
        credential_lifetime: GuardrailMode::On,
        longest_days: 90,
        credential_kinds: GuardrailMode::On,
        admitted: BTreeSet::from([EntryKind::Session, EntryKind::Credential(CredentialKind::ApiToken)]),
        own_rules: vec![OwnRule {
            name: "one".to_owned(),
            description: "One.".to_owned(),
            mode: GuardrailMode::On,
            policy: "forbid (principal, action, resource);".to_owned(),
        }],
        ..Guardrails::default()
    }
}

both_engines! {
    async fn guardrails_are_read_back_and_each_knows_who_changed_it(store) {
        let workspace = Some(WorkspaceId::new(store.random()));
        let permit = testkit::permit::<act::GuardrailUpdate>(&store);
        let now = store.clock().now();
        let by = move |name: &str| Changed { by: name.to_owned(), on: now };
        let none = store.read(move |reader| guardrail::of(reader, workspace)).await.unwrap();
        assert_eq!(none, guardrail::Settings::default());

        let ann = by("user:ann");
        store
            .write(&permit, move |writer| guardrail::set(writer, workspace, &[], &all(), &ann))
            .await
            .unwrap();
        let set = store.read(move |reader| guardrail::of(reader, workspace)).await.unwrap();
        assert_eq!(guardrail::read(&set.workspace).unwrap(), all());
        assert!(set.instance.is_empty());
        // What was off and stays off is no change.
        assert!(!guardrail::changes(&set.workspace).contains_key("private-only"));

        let mut less = all();
        less.own_rules.clear();
        less.second_step = GuardrailMode::Off;
        let (after, ben, before) = (less.clone(), by("user:ben"), set.workspace);
        store
            .write(&permit, move |writer| guardrail::set(writer, workspace, &before, &after, &ben))
            .await
            .unwrap();
        let set = store.read(move |reader| guardrail::of(reader, workspace)).await.unwrap();
        assert_eq!(guardrail::read(&set.workspace).unwrap(), less);
        let changes = guardrail::changes(&set.workspace);
        assert_eq!((changes["ip-allowlist"].by.as_str(), changes["second-step"].by.as_str()), ("user:ann", "user:ben"));
        assert!(!changes.contains_key("own-rule:one"));

        // What the instance asks is read beside each workspace's own.
        let root = by("user:root");
        store
            .write(&permit, move |writer| {
                let floor = Guardrails { private_only: GuardrailMode::On, ..Guardrails::default() };
                guardrail::set(writer, None, &[], &floor, &root)
            })
            .await
            .unwrap();
        let set = store.read(move |reader| guardrail::of(reader, workspace)).await.unwrap();
        assert_eq!(guardrail::read(&set.instance).unwrap().private_only, GuardrailMode::On);
        assert_eq!(guardrail::read(&set.workspace).unwrap(), less);
    }

    /// Catches a program that passes a guardrail by because it is too old to know it.
    async fn a_guardrail_that_is_not_known_is_not_passed_by(store) {
        let permit = testkit::permit::<act::GuardrailUpdate>(&store);
        let now = store.clock().now();
        store
            .write(&permit, move |writer| {
                writer.execute(
                    "INSERT INTO guardrail (scope_id, name, mode, value, changed_by, changed_on)
                     VALUES ($1, 'from-the-future', 'on', $2, 'user:ann', $3)",
                    params![uuid::Uuid::nil(), serde_json::Value::Null, now],
                )
            })
            .await
            .unwrap();
        let set = store.read(|reader| guardrail::of(reader, None)).await.unwrap();
        assert!(guardrail::read(&set.instance).is_err());
    }

    async fn what_was_used_in_a_workspace_is_summed_up(store) {
        let (workspace, other) = (WorkspaceId::new(store.random()), WorkspaceId::new(store.random()));
        let now = store.clock().now();
        let used = store::count::Use {
            time: now,
            actor: "user:ann".to_owned(),
            credential: None,
            action: model::Action::WorkspaceRead,
            resource: workspace.into(),
            workspace: Some(workspace),
            address: "192.0.2.1".parse().ok(),
            outcome: model::Outcome::Done,
        };
        for days in [0, 1, 2, 40] {
            store.count_use(store::count::Use { time: now.plus_seconds(-days * 86_400), ..used.clone() });
        }
        store.count_use(store::count::Use { workspace: Some(other), resource: other.into(), ..used });
        store.flush().await.unwrap();
        let day = now.day() - 30;
        let found = store.read(move |reader| store::count::in_workspace(reader, workspace, day, 10)).await.unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].count, found[0].day, found[0].actor.as_str()), (3, now.day(), "user:ann"));
    }
}
