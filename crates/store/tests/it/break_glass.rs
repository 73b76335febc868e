//! Break-glass: in force from when it is given until it ends, by itself or early.

use model::{BreakGlass, BreakGlassId, StaffRole, User, UserId, Workspace, WorkspaceId, act};
use store::{break_glass, user, workspace};
use testkit::both_engines;

both_engines! {
    async fn it_is_in_force_from_when_it_is_given_until_it_ends(store) {
        let (random, now) = (store.random().clone(), store.clock().now());
        let root = User {
            id: UserId::new(&random),
            username: "root".parse().unwrap(),
            email: "root@example.com".parse().unwrap(),
            display_name: "Root".parse().unwrap(),
            active: true,
            staff_role: StaffRole::Administrator,
            second_step: false,
            approved: true,
            created_on: now,
        };
        let acme = Workspace {
            id: WorkspaceId::new(&random),
            slug: "acme".parse().unwrap(),
            name: "Acme".parse().unwrap(),
            created_on: now,
            updated_on: now,
        };
        let asked = BreakGlass {
            id: BreakGlassId::new(&random),
            workspace: acme.id,
            workspace_slug: acme.slug.clone(),
            user: root.id,
            username: root.username.clone(),
            reason: "a support case".to_owned(),
            hours: 1,
            requested_on: now,
            approved_on: None,
            approved_by: None,
            expires_on: now.plus_seconds(60),
            ended_on: None,
            ended_by: None,
        };
        let permit = testkit::permit::<act::BreakGlassRequest>(&store);
        let (user, within, id, new) = (root.id, acme.id, asked.id, asked.clone());
        store
            .write(&permit, move |writer| {
                user::insert(writer, &root, None)?;
                workspace::insert(writer, &acme)?;
                break_glass::insert(writer, &new)
            })
            .await
            .unwrap();
        let until = async || store.read(move |reader| break_glass::until(reader, user, within)).await.unwrap();
        let open = async || store.read(move |reader| break_glass::is_open(reader, user, within)).await.unwrap();
        assert_eq!((until().await, open().await), (None, true));
        let found = store.read(move |reader| break_glass::find(reader, within, id)).await.unwrap();
        assert_eq!(found.as_ref(), Some(&asked));
        let end = now.plus_seconds(3_600);
        let given = move |writer: &mut store::Writer<'_>| break_glass::approve(writer, id, "user:ben", now, end);
        store.write(&permit, given).await.unwrap();
        assert_eq!(until().await, Some(end));
        assert_eq!(store.read(move |reader| break_glass::in_force(reader, user)).await.unwrap(), [within]);
        let own = async || store.read(move |reader| break_glass::own(reader, user)).await.unwrap();
        assert_eq!(own().await.first().map(|one| (one.id, one.expires_on)), Some((id, end)));
        assert_eq!(store.read(move |reader| break_glass::holders(reader, within)).await.unwrap(), [user]);
        let (list, size) = store.read(move |reader| break_glass::list(reader, None, 5, 0)).await.unwrap();
        assert_eq!((list[0].approved_by.as_deref(), size), (Some("user:ben"), 1));
        let ended = move |writer: &mut store::Writer<'_>| break_glass::end(writer, id, "user:olga", now);
        store.write(&permit, ended).await.unwrap();
        assert_eq!((until().await, open().await), (None, false));
        assert!(own().await.is_empty());
        let (list, _) = store.read(move |reader| break_glass::list(reader, Some(within), 5, 0)).await.unwrap();
        assert_eq!((list[0].state(now), list[0].ended_by.as_deref()), ("ended", Some("user:olga")));
    }
}
