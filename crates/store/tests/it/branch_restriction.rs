//! Branch restrictions: what is written is read back, and who is exempt is found for the one who pushes.

use model::{
    BranchMatch, BranchRestriction, BranchType, BranchingModel, Error, Group, GroupId, NamedBranch,
    RepositoryId, RestrictionKind, StaffRole, Timestamp, User, UserId, Workspace, WorkspaceId, act,
};
use store::branch_restriction::{self, Filter, Rule};
use store::branching_model;
use testkit::both_engines;

fn glob(pattern: &str) -> BranchMatch {
    BranchMatch::Glob(pattern.parse().unwrap())
}

fn restriction(
    repository: RepositoryId,
    id: i64,
    kind: RestrictionKind,
    branches: BranchMatch,
    created_on: Timestamp,
) -> BranchRestriction {
    BranchRestriction { id, repository, kind, branches, users: Vec::new(), groups: Vec::new(), created_on }
}

both_engines! {
    async fn restrictions_are_read_back_and_numbers_are_given_once(store) {
        let repository = RepositoryId::new(store.random());
        let permit = testkit::permit::<act::BranchRestrictionSet>(&store);
        let now = store.clock().now();
        let user = UserId::new(store.random());
        let mut one = restriction(repository, 0, RestrictionKind::Push, glob("release/*"), now);
        one.users = vec![user];
        let mut two = restriction(
            repository, 0, RestrictionKind::Push, BranchMatch::BranchingModel(BranchType::Release), now,
        );
        let made = (one.clone(), two.clone());
        let ids = store
            .write(&permit, move |writer| {
                let mut ids = Vec::new();
                for new in [&made.0, &made.1] {
                    let id = branch_restriction::next_id(writer)?;
                    branch_restriction::insert(writer, &BranchRestriction { id, ..new.clone() })?;
                    ids.push(id);
                }
                Ok(ids)
            })
            .await
            .unwrap();
        (one.id, two.id) = (ids[0], ids[1]);
        let all = store.read(move |reader| branch_restriction::list(reader, repository, &Filter::default(), 10, 0));
        assert_eq!(all.await.unwrap(), [one.clone(), two.clone()]);
        let filter = Filter { kind: Some(RestrictionKind::Push), pattern: Some("release/*".to_owned()) };
        let found = store.read(move |reader| {
            Ok((branch_restriction::list(reader, repository, &filter, 10, 0)?, branch_restriction::count(reader, repository, &filter)?))
        });
        assert_eq!(found.await.unwrap(), (vec![one.clone()], 1));

        // The same kind on the same branches is one restriction.
        let again = BranchRestriction { id: 1000, ..one.clone() };
        let refused = store.write(&permit, move |writer| branch_restriction::insert(writer, &again)).await;
        assert!(matches!(refused, Err(Error::Conflict(ref text)) if text.contains("release/*")), "{refused:?}");
        let clash = BranchRestriction { branches: glob("release/*"), ..two.clone() };
        let refused = store.write(&permit, move |writer| branch_restriction::update(writer, &clash)).await;
        assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");

        let after = BranchRestriction { kind: RestrictionKind::Delete, users: Vec::new(), ..one.clone() };
        let changed = after.clone();
        store.write(&permit, move |writer| branch_restriction::update(writer, &changed)).await.unwrap();
        let id = one.id;
        let found = store.read(move |reader| branch_restriction::find(reader, repository, id)).await.unwrap();
        assert_eq!(found, Some(after));
        let last = two.id;
        let next = store
            .write(&permit, move |writer| {
                branch_restriction::remove(writer, last)?;
                branch_restriction::next_id(writer)
            })
            .await
            .unwrap();
        assert!(next > last, "a number is not given again");
    }
}

both_engines! {
    /// Attack: a group of another workspace, or a repository's former one, whose owner puts anybody into it.
    async fn only_a_group_of_the_repositorys_workspace_exempts(store) {
        let (repository, elsewhere) = (RepositoryId::new(store.random()), WorkspaceId::new(store.random()));
        let now = store.clock().now();
        let somebody = |name: &str| User {
            id: UserId::new(store.random()),
            username: name.parse().unwrap(),
            email: format!("{name}@example.com").parse().unwrap(),
            display_name: name.parse().unwrap(),
            active: true,
            staff_role: StaffRole::None,
            second_step: false,
            approved: true,
            created_on: now,
        };
        let (ann, ben) = (somebody("ann"), somebody("ben"));
        let acme = Workspace {
            id: WorkspaceId::new(store.random()),
            slug: "acme".parse().unwrap(),
            name: "Acme".parse().unwrap(),
            created_on: now,
            updated_on: now,
        };
        let core = Group {
            id: GroupId::new(store.random()),
            workspace: acme.id,
            slug: "core".parse().unwrap(),
            name: "core".parse().unwrap(),
            auto_add: false,
            default_permission: None,
            email_forwarding_disabled: false,
            created_on: now,
        };
        let (workspace, group, user, other) = (acme.id, core.id, ann.id, ben.id);
        let permit = testkit::permit::<act::BranchRestrictionSet>(&store);
        let mut one = restriction(repository, 1, RestrictionKind::Push, glob("*"), now);
        one.groups = vec![group];
        store
            .write(&permit, move |writer| {
                store::user::insert(writer, &ann, None)?;
                store::user::insert(writer, &ben, None)?;
                store::workspace::insert(writer, &acme)?;
                store::group::insert(writer, &core)?;
                store::group::add_member(writer, group, user)?;
                branch_restriction::insert(writer, &one)
            })
            .await
            .unwrap();
        let exempt = async |workspace, user| {
            let rules = store.read(move |reader| branch_restriction::rules(reader, repository, workspace, user));
            rules.await.unwrap()
        };
        let rule = |exempt| vec![Rule { id: 1, kind: RestrictionKind::Push, branches: glob("*"), exempt }];
        assert_eq!(exempt(workspace, Some(user)).await, rule(true));
        assert_eq!(exempt(workspace, Some(other)).await, rule(false));
        assert_eq!(exempt(workspace, None).await, rule(false));
        assert_eq!(exempt(elsewhere, Some(user)).await, rule(false));
        // What ends with the group does not come back with another.
        store.write(&permit, move |writer| store::group::delete(writer, group)).await.unwrap();
        let left = store.read(move |reader| branch_restriction::find(reader, repository, 1)).await.unwrap();
        assert!(left.unwrap().groups.is_empty());
    }
}

both_engines! {
    async fn a_branching_model_is_read_back(store) {
        let repository = RepositoryId::new(store.random());
        let permit = testkit::permit::<act::BranchingModelUpdate>(&store);
        let read = async || store.read(move |reader| branching_model::of(reader, repository)).await.unwrap();
        assert_eq!(read().await, BranchingModel::default());
        let mut model = BranchingModel { production_enabled: true, delete_merged: true, ..BranchingModel::default() };
        model.development = NamedBranch::Branch("develop".to_owned());
        model.types[1].enabled = false;
        let kept = model.clone();
        store.write(&permit, move |writer| branching_model::set(writer, repository, &kept)).await.unwrap();
        assert_eq!(read().await, model);
    }
}
