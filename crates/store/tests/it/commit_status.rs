//! Build statuses: what is written is read back, and is of one commit of one repository.

use model::commit_status::RESERVED_KEYS;
use model::{BuildState, CommitStatus, CommitStatusId, Error, ObjectId, RepositoryId, act};
use store::commit_status::{self, FIELDS, Filter};
use testkit::both_engines;

fn commit(letter: &str) -> ObjectId {
    letter.repeat(40).parse().unwrap()
}

both_engines! {
    async fn statuses_are_read_back_filtered_and_ordered(store) {
        let (repository, other) = (RepositoryId::new(store.random()), RepositoryId::new(store.random()));
        let permit = testkit::permit::<act::CommitStatusSet>(&store);
        let now = store.clock().now();
        let status = |key: &str, state| CommitStatus {
            id: CommitStatusId::new(store.random()),
            repository,
            commit: commit("a"),
            key: key.to_owned(),
            state,
            name: Some(format!("Build {key}")),
            description: None,
            url: Some("https://ci.example.com/{commit.hash}".to_owned()),
            refname: Some("main".to_owned()),
            setter: "user:{x}".to_owned(),
            created_on: now,
            updated_on: now,
        };
        let one = status("b", BuildState::InProgress);
        let two = CommitStatus {
            created_on: now.plus_seconds(1),
            refname: None,
            ..status(&format!("{RESERVED_KEYS}a"), BuildState::Failed)
        };
        let elsewhere = [
            CommitStatus { commit: commit("b"), ..status("b", BuildState::Failed) },
            CommitStatus { repository: other, ..status("b", BuildState::Failed) },
        ];
        let all = [one.clone(), two.clone(), elsewhere[0].clone(), elsewhere[1].clone()];
        store
            .write(&permit, move |writer| all.iter().try_for_each(|one| commit_status::insert(writer, one)))
            .await
            .unwrap();
        let found = async |filter: Filter, part| {
            let read = store.read(move |reader| {
                commit_status::list(reader, repository, &commit("a"), &filter, part)
            });
            read.await.unwrap()
        };
        assert_eq!(found(Filter::default(), (10, 0)).await, (vec![two.clone(), one.clone()], 2));
        assert_eq!(found(Filter::default(), (1, 1)).await, (vec![one.clone()], 2));
        let by_ref = Filter { refname: Some("main".to_owned()), ..Filter::default() };
        assert_eq!(found(by_ref, (10, 0)).await, (vec![one.clone()], 1));
        let q = wire::query::check(&wire::query::parse("state = \"failed\" AND key ~ \"PIPE\"").unwrap(), &FIELDS);
        let filtered = Filter { filter: Some(q.unwrap()), ..Filter::default() };
        assert_eq!(found(filtered, (10, 0)).await.0, std::slice::from_ref(&two));
        let sort = Some(wire::sort::Sort { field: "key", descending: false });
        assert_eq!(found(Filter { sort, ..Filter::default() }, (10, 0)).await.0[0].key, "b");

        // A key is one of its commit's.
        let again = CommitStatus { id: CommitStatusId::new(store.random()), ..one.clone() };
        let refused = store.write(&permit, move |writer| commit_status::insert(writer, &again)).await;
        assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
        let after = CommitStatus { state: BuildState::Successful, name: None, setter: "bastide".to_owned(), ..one };
        let changed = after.clone();
        store.write(&permit, move |writer| commit_status::update(writer, &changed)).await.unwrap();
        let read = store.read(move |reader| {
            let found = commit_status::find(reader, repository, &commit("a"), "b")?;
            Ok((found, commit_status::count(reader, repository, &commit("a"))?))
        });
        assert_eq!(read.await.unwrap(), (Some(after), 2));
    }
}
