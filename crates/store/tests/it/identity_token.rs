//! Keys and settings of identity tokens: what is written is read back, and what is due is found.

use keyring::TokenAlgorithm;
use model::{RepositoryId, Timestamp, Workspace, WorkspaceId, act};
use serde_json::json;
use store::identity_token::{self, IdentityTokenKey, RepositorySettings, WorkspaceSettings};
use testkit::{TestStore, both_engines};

const DAY: i64 = 86_400;

fn key(kid: &str, now: Timestamp) -> IdentityTokenKey {
    IdentityTokenKey {
        kid: kid.to_owned(),
        algorithm: TokenAlgorithm::Es256,
        public: json!({ "kid": kid, "kty": "EC" }),
        sealed: Some(vec![1, 2, 3]),
        created_on: now,
        activates_on: now,
        retires_on: None,
        revoked_on: None,
    }
}

async fn workspace(store: &TestStore) -> WorkspaceId {
    let (id, now) = (WorkspaceId::new(store.random()), store.clock().now());
    let acme = Workspace {
        id,
        slug: "acme".parse().unwrap(),
        name: "Acme".parse().unwrap(),
        created_on: now,
        updated_on: now,
    };
    let permit = testkit::permit::<act::WorkspaceCreate>(store);
    store.write(&permit, move |writer| store::workspace::insert(writer, &acme)).await.unwrap();
    id
}

async fn keys(store: &TestStore, workspace: WorkspaceId) -> Vec<IdentityTokenKey> {
    store.read(move |reader| identity_token::keys(reader, workspace)).await.unwrap()
}

both_engines! {
    async fn keys_are_read_back_and_what_is_due_is_found(store) {
        let now = store.clock().now();
        let workspace = workspace(&store).await;
        let permit = testkit::permit::<act::IdentityTokenConfigure>(&store);
        let (old, new) = (key("old", now), key("new", now.plus_seconds(1)));
        let made = (old.clone(), new.clone());
        store
            .write(&permit, move |writer| {
                identity_token::lock(writer, workspace)?;
                identity_token::insert_key(writer, workspace, &made.0)?;
                identity_token::insert_key(writer, workspace, &made.1)?;
                let times = (now, Some(now.plus_seconds(DAY)));
                identity_token::schedule_key(writer, workspace, "old", times)
            })
            .await
            .unwrap();
        let scheduled = IdentityTokenKey { retires_on: Some(now.plus_seconds(DAY)), ..old };
        assert_eq!(keys(&store, workspace).await, [scheduled, new]);
        let again = key("new", now);
        let twice = store.write(&permit, move |writer| identity_token::insert_key(writer, workspace, &again)).await;
        assert!(twice.is_err());

        let due = |old: Timestamp, now: Timestamp, before: Timestamp| store.read(move |reader| Ok((
            identity_token::workspaces_with_old_keys(reader, old)?,
            identity_token::workspaces_with_past_keys(reader, (now, before))?,
        )));
        let later = now.plus_seconds(2 * DAY);
        assert_eq!(due(now.plus_seconds(1), now, now).await.unwrap(), (vec![], vec![]));
        assert_eq!(due(later, later, now).await.unwrap(), (vec![workspace], vec![workspace]));

        store.clock.advance(2 * DAY);
        let permit = testkit::permit::<act::IdentityTokenConfigure>(&store);
        store.write(&permit, move |writer| identity_token::forget_keys(writer, workspace, now)).await.unwrap();
        let kept: Vec<_> = keys(&store, workspace).await.into_iter().map(|key| (key.kid, key.sealed)).collect();
        assert_eq!(kept, [("old".to_owned(), None), ("new".to_owned(), Some(vec![1, 2, 3]))]);
        store.write(&permit, move |writer| identity_token::revoke_key(writer, workspace, "new")).await.unwrap();
        let found = keys(&store, workspace).await;
        assert_eq!((found[1].revoked_on, &found[1].sealed), (Some(later), &None));
        assert_eq!(due(later, later, now).await.unwrap(), (vec![workspace], vec![]));
        let all = later.plus_seconds(1);
        store.write(&permit, move |writer| identity_token::forget_keys(writer, workspace, all)).await.unwrap();
        assert!(keys(&store, workspace).await.is_empty());
    }

    async fn settings_are_read_back(store) {
        let workspace = workspace(&store).await;
        let repository = RepositoryId::new(store.random());
        let permit = testkit::permit::<act::IdentityTokenConfigure>(&store);
        let read = || store.read(move |reader| Ok((
            identity_token::of_workspace(reader, workspace)?,
            identity_token::of_repository(reader, repository)?,
        )));
        let nothing = (WorkspaceSettings::default(), RepositorySettings::default());
        assert_eq!(read().await.unwrap(), nothing);
        // Locking says nothing.
        store.write(&permit, move |writer| identity_token::lock(writer, workspace)).await.unwrap();
        assert_eq!(read().await.unwrap(), nothing);
        let above = WorkspaceSettings {
            algorithm: TokenAlgorithm::Es256,
            subject_template: Some("{repository_uuid}:{ref}".to_owned()),
            session_tags: true,
        };
        let own = RepositorySettings {
            subject_template: Some("{repository_uuid}".to_owned()),
            session_tags: Some(false),
        };
        for (above, own) in [(above, own), nothing] {
            let set = (above.clone(), own.clone());
            store
                .write(&permit, move |writer| {
                    identity_token::set_of_workspace(writer, workspace, &set.0)?;
                    identity_token::lock(writer, workspace)?;
                    identity_token::set_of_repository(writer, repository, &set.1)
                })
                .await
                .unwrap();
            assert_eq!(read().await.unwrap(), (above, own));
        }
    }
}
