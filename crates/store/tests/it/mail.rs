//! What mail needs to know: whose address was proved, whose credential ends, what waits.

use model::{
    Credential, CredentialId, CredentialKind, Holder, StaffRole, User, UserId, Workspace, WorkspaceId,
    WorkspacePermission, act,
};
use store::{challenge, credential, email, grant, job, token_warning, user, workspace};
use testkit::both_engines;

both_engines! {
    async fn who_is_told_of_what_ends_and_whose_address_was_proved(store) {
        let (random, now) = (store.random().clone(), store.clock().now());
        let person = |name: &str| User {
            id: UserId::new(&random),
            username: name.parse().unwrap(),
            email: format!("{name}@example.com").parse().unwrap(),
            display_name: name.parse().unwrap(),
            active: true,
            staff_role: StaffRole::None,
            second_step: false,
            approved: true,
            created_on: now,
        };
        let (ann, ben) = (person("ann"), person("ben"));
        let acme = Workspace {
            id: WorkspaceId::new(&random),
            slug: "acme".parse().unwrap(),
            name: "Acme".parse().unwrap(),
            created_on: now,
            updated_on: now,
        };
        let token = |creator: &User, holder| Credential {
            id: CredentialId::new(&random),
            kind: CredentialKind::WorkspaceAccessToken,
            name: "ci".parse().unwrap(),
            scopes: "repository".parse().unwrap(),
            holder,
            email: None,
            created_by: Some(creator.id),
            created_on: now,
            expires_on: Some(now.plus_seconds(1_000)),
            last_used_on: None,
            revoked_on: None,
        };
        let bound = Holder::Resource(acme.id.into(), acme.id);
        let own = Credential { kind: CredentialKind::ApiToken, ..token(&ben, Holder::User(ben.id)) };
        let (anns, bens) = (token(&ann, bound), token(&ben, bound));
        let permit = testkit::permit::<act::UserCreate>(&store);
        let all = (ann.clone(), ben.clone(), acme.clone(), anns.clone(), bens.clone(), own.clone());
        store
            .write(&permit, move |writer| {
                let (ann, ben, acme, anns, bens, own) = &all;
                user::insert(writer, ann, None)?;
                user::insert(writer, ben, None)?;
                workspace::insert(writer, acme)?;
                let owner = model::Permission::Workspace(WorkspacePermission::Owner);
                grant::set(writer, acme.id.into(), acme.id, model::Subject::User(ann.id), owner, now)?;
                for (at, one) in [anns, bens, own].into_iter().enumerate() {
                    let hash = model::Secret::new(format!("secret {at}")).hash();
                    credential::insert(writer, one, &hash)?;
                }
                assert!(email::set_verified(writer, ann.id, &"ANN@example.com".parse().unwrap(), now)?);
                assert!(!email::set_verified(writer, ben.id, &ann.email, now)?);
                Ok(())
            })
            .await
            .unwrap();
        let later = now.plus_seconds(2_000);
        let found = store.read(move |reader| token_warning::ending(reader, now, later, 10, 0)).await.unwrap();
        let to = |of: &Credential| {
            let one = found.iter().find(|one| one.credential.id == of.id).unwrap();
            (one.to.as_ref().map(ToString::to_string), one.place.clone(), one.warned_days)
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(to(&anns), (some("ann@example.com"), some("acme"), None));
        assert_eq!(to(&bens), (None, some("acme"), None), "no member of the workspace");
        assert_eq!(to(&own), (some("ben@example.com"), None, None));
        assert!(store.read(move |reader| token_warning::ending(reader, later, later, 9, 0)).await.unwrap().is_empty());
        let owners = store.read(move |reader| token_warning::owners(reader, acme.id)).await.unwrap();
        assert_eq!(owners, [(ann.id, ann.email.clone())]);

        store.keep(move |books| token_warning::note_warned(books, &anns, 7)).await.unwrap();
        let found = store.read(move |reader| token_warning::ending(reader, now, later, 10, 0)).await.unwrap();
        assert_eq!(found.iter().filter_map(|one| one.warned_days).collect::<Vec<_>>(), [7]);

        let id = ann.id;
        assert_eq!(store.read(move |reader| email::verified_on(reader, id)).await.unwrap(), Some(now));
        let permit = testkit::permit::<act::UserUpdate>(&store);
        let named = User { display_name: "Ann Lee".parse().unwrap(), ..ann.clone() };
        store.write(&permit, move |writer| user::update(writer, &named)).await.unwrap();
        assert_eq!(store.read(move |reader| email::verified_on(reader, id)).await.unwrap(), Some(now));
        let moved = User { email: "ann@elsewhere.example".parse().unwrap(), ..ann };
        store.write(&permit, move |writer| user::update(writer, &moved)).await.unwrap();
        assert_eq!(store.read(move |reader| email::verified_on(reader, id)).await.unwrap(), None);

        let hash = model::Secret::new("a link".to_owned()).hash();
        let state = serde_json::json!({});
        store.keep(move |books| challenge::keep(books, &hash, "k", Some(id), state.clone(), later)).await.unwrap();
        assert_eq!(store.read(move |reader| challenge::living(reader, "k", id)).await.unwrap(), 1);
        assert_eq!(store.read(|reader| job::waiting_of(reader, "mail")).await.unwrap(), 0);
    }
}
