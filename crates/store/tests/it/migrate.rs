//! Migrations: once, by one, and not by a program that is too old.

use model::{Clock, Error, Random};
use store::{Store, params};
use testkit::engines::start;
use testkit::{TestStore, both_engines, permit};

async fn open(store: &TestStore) -> model::Result<Store> {
    Store::open(store.database(), Clock::manual(start()), Random::seeded(1)).await
}

async fn meddle(store: &TestStore, sql: &'static str) {
    let write = move |writer: &mut store::Writer<'_>| writer.execute(sql, &[]);
    store.write(&permit::<model::act::Upkeep>(store), write).await.unwrap();
}

fn text(result: model::Result<Store>) -> String {
    match result {
        Err(Error::Internal(text)) => text,
        Err(other) => other.to_string(),
        Ok(_) => "it opened".to_owned(),
    }
}

both_engines! {
    async fn opening_again_changes_nothing(store) {
        let count = |reader: &mut store::Reader<'_>| reader.count("SELECT count(*) FROM schema_migration", &[]);
        let before = store.read(count).await.unwrap();
        let again = open(&store).await.unwrap();
        assert_eq!(again.read(count).await.unwrap(), before);
        again.close().await.unwrap();
    }

    async fn many_that_open_at_once_wait_for_each_other(store) {
        let opened: Vec<_> = (0..4)
            .map(|_| {
                let database = store.database();
                tokio::spawn(Store::open(database, Clock::manual(start()), Random::seeded(1)))
            })
            .collect();
        for opened in opened {
            opened.await.unwrap().unwrap().close().await.unwrap();
        }
    }

    async fn a_newer_schema_that_admits_this_program_is_used_and_another_is_refused(store) {
        let newer = |number: i64, admits: i64| {
            let permit = permit::<model::act::Upkeep>(&store);
            let store = (*store).clone();
            async move {
                let sql = "INSERT INTO schema_migration (number, name, checksum, admits) VALUES ($1, 'newer', $2, $3)";
                store.write(&permit, move |writer| writer.execute(sql, params![number, [0_u8; 32], admits])).await
            }
        };
        newer(9001, 1).await.unwrap();
        open(&store).await.unwrap().close().await.unwrap();
        newer(9002, 9002).await.unwrap();
        assert!(text(open(&store).await).contains("run a newer bastide"));
    }

    async fn a_changed_migration_is_refused(store) {
        meddle(&store, "UPDATE schema_migration SET name = 'other' WHERE number = 1").await;
        assert!(text(open(&store).await).contains("is not the one that was applied"));
    }

    async fn a_missing_migration_is_refused(store) {
        meddle(&store, "DELETE FROM schema_migration WHERE number = 1").await;
        assert!(text(open(&store).await).contains("is missing from the database"));
    }
}

/// Catches a database that anybody on the machine can read.
#[tokio::test]
async fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let store = TestStore::sqlite().await;
    let store::Database::Sqlite { path } = store.database() else { panic!("a file") };
    for end in ["", "-wal", "-shm"] {
        let path = format!("{}{end}", path.display());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{path}");
    }
}
