//! Accounts as those who manage them see them.
//!
//! Would catch: a list whose length is another's, a text that is taken for a pattern, an account that waits and is not
//! found, a deleted one that is.

use model::{ManagedUser, StaffRole, User, UserId, UserState, act};
use store::{managed_user, user};
use testkit::both_engines;

fn names(found: &[ManagedUser]) -> Vec<&str> {
    found.iter().map(|one| one.user.username.as_str()).collect()
}

both_engines! {
    async fn accounts_are_found_by_what_they_are_and_by_a_part_of_their_names(store) {
        let (random, now) = (store.random().clone(), store.clock().now());
        let account = |name: &str, shown: &str, active: bool, approved: bool, staff_role: StaffRole| User {
            id: UserId::new(&random),
            username: name.parse().unwrap(),
            email: format!("{name}@example.com").parse().unwrap(),
            display_name: shown.parse().unwrap(),
            active,
            staff_role,
            second_step: false,
            approved,
            created_on: now,
        };
        let all = [
            account("ann", "Ann O_Hara", true, true, StaffRole::Administrator),
            account("ben", "Ben 100%", true, false, StaffRole::None),
            account("cyd", "Cyd", false, false, StaffRole::None),
            account("dee", "Dee", true, true, StaffRole::None),
        ];
        let (ann, ben, dee) = (all[0].id, all[1].id, all[3].id);
        let permit = testkit::permit::<act::UserApprove>(&store);
        store
            .write(&permit, move |writer| {
                for one in &all {
                    user::insert(writer, one, None)?;
                }
                user::signed_in(writer, ann)?;
                user::delete(writer, dee, now)
            })
            .await
            .unwrap();
        let list = async |state: Option<UserState>, text: &'static str| {
            store.read(move |reader| managed_user::list(reader, (state, text), (10, 0))).await.unwrap()
        };
        for (state, text, wanted) in [
            (None, "", &["ann", "ben", "cyd"][..]),
            (Some(UserState::Active), "", &["ann"]),
            (Some(UserState::Waiting), "", &["ben"]),
            (Some(UserState::Inactive), "", &["cyd"]),
            (Some(UserState::Staff), "", &["ann"]),
            (None, "BEN", &["ben"]),
            (None, "0%", &["ben"]),
            (None, "o_h", &["ann"]),
            (None, "oxh", &[]),
            (None, "%", &["ben"]),
            (None, "_", &["ann"]),
            (None, "\\", &[]),
            (None, "example.com", &["ann", "ben", "cyd"]),
            (Some(UserState::Waiting), "ann", &[]),
        ] {
            let (found, size) = list(state, text).await;
            assert_eq!(names(&found), wanted, "{state:?} {text}");
            assert_eq!(size, i64::try_from(wanted.len()).unwrap(), "{state:?} {text}");
        }
        let (part, size) =
            store.read(|reader| managed_user::list(reader, (None, ""), (1, 1))).await.unwrap();
        assert_eq!((names(&part), size), (vec!["ben"], 3));
        let find = async |id| store.read(move |reader| managed_user::find(reader, id)).await.unwrap();
        let found = find(ann).await.unwrap();
        assert!(found.signed_in_on.is_some() && found.approval.is_none());
        store.write(&permit, move |writer| user::set_approved(writer, ben, true)).await.unwrap();
        let (by, _) = find(ben).await.unwrap().approval.unwrap();
        assert_eq!(by, permit.origin().actor);
        assert_eq!(find(dee).await, None);
    }
}
