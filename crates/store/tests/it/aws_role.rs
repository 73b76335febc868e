//! Roles at Amazon: read back with their grants, and external ids that nothing changes.

use model::{AwsGrant, AwsMode, AwsRole, AwsRoleId, RepositoryId, Workspace, WorkspaceId, act};
use store::aws_role;
use testkit::{TestStore, both_engines};

async fn workspace(store: &TestStore, slug: &str) -> WorkspaceId {
    let (id, now) = (WorkspaceId::new(store.random()), store.clock().now());
    let made = Workspace {
        id,
        slug: slug.parse().unwrap(),
        name: slug.parse().unwrap(),
        created_on: now,
        updated_on: now,
    };
    let permit = testkit::permit::<act::WorkspaceCreate>(store);
    store.write(&permit, move |writer| store::workspace::insert(writer, &made)).await.unwrap();
    id
}

both_engines! {
    async fn roles_are_read_back_with_their_grants(store) {
        let workspace = workspace(&store, "acme").await;
        let mut role = AwsRole {
            id: AwsRoleId::new(store.random()),
            workspace,
            arn: "arn:aws:iam::123456789012:role/deploy".parse().unwrap(),
            mode: AwsMode::AssumeRole,
            name: "Deploy".parse().unwrap(),
            region: Some("eu-central-1".parse().unwrap()),
            longest_session: 3600,
            grants: vec![
                AwsGrant {
                    repository: Some(RepositoryId::new(store.random())),
                    refs: Some("release/*".parse().unwrap()),
                    protected_only: true,
                    environment: Some("Production".to_owned()),
                },
                AwsGrant { repository: None, refs: None, protected_only: false, environment: None },
            ],
            created_on: store.clock().now(),
        };
        let permit = testkit::permit::<act::AwsRoleSet>(&store);
        let made = role.clone();
        store.write(&permit, move |writer| aws_role::insert(writer, &made)).await.unwrap();
        let arn = role.arn.clone();
        let found = store.read(move |reader| aws_role::find_by_arn(reader, workspace, arn.as_str())).await.unwrap();
        assert_eq!(found.as_ref(), Some(&role));
        let again = AwsRole { id: AwsRoleId::new(store.random()), ..role.clone() };
        assert!(store.write(&permit, move |writer| aws_role::insert(writer, &again)).await.is_err());
        role.grants.pop();
        role.mode = AwsMode::WebIdentity;
        let changed = role.clone();
        store.write(&permit, move |writer| aws_role::update(writer, &changed)).await.unwrap();
        let listed = store.read(move |reader| aws_role::list(reader, workspace)).await.unwrap();
        assert_eq!(listed, [role.clone()]);
        store.write(&permit, move |writer| aws_role::remove(writer, role.id)).await.unwrap();
        assert_eq!(store.read(move |reader| aws_role::count(reader, workspace)).await.unwrap(), 0);
    }

    async fn an_external_id_is_made_once_for_each_workspace_and_account(store) {
        let (one, other) = (workspace(&store, "one").await, workspace(&store, "other").await);
        let account: model::AwsAccount = "123456789012".parse().unwrap();
        let permit = testkit::permit::<act::AwsRoleSet>(&store);
        let keep = |workspace, new: &'static str| {
            let account = account.clone();
            store.write(&permit, move |writer| aws_role::keep_external_id(writer, workspace, &account, new))
        };
        assert_eq!(keep(one, "first").await.unwrap(), ("first".to_owned(), true));
        assert_eq!(keep(one, "second").await.unwrap(), ("first".to_owned(), false));
        assert_eq!(keep(other, "third").await.unwrap(), ("third".to_owned(), true));
        assert!(keep(workspace(&store, "last").await, "first").await.is_err(), "no two have the same");
    }
}
