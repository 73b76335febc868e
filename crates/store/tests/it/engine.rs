//! Values and parameters mean the same on both engines.

use model::act;
use model::{Error, Timestamp, UserId};
use serde_json::json;
use store::{FromValue, OrConflict, Query, Value, params};
use testkit::{both_engines, permit};

async fn there_and_back<T>(store: &testkit::TestStore, column: &'static str, value: Value) -> T
where
    T: FromValue + Send + 'static,
{
    // Any tables with columns of each type will do; the transaction is given up in the end.
    let sql = match column {
        "until" => "INSERT INTO lease (name, holder, until) VALUES ('x', 'x', $1) RETURNING until AS v",
        "wrapped" => {
            "INSERT INTO data_key (id, state, wrapped, created_on) SELECT $1, 'active', $1, until FROM lease
             RETURNING wrapped AS v"
        }
        "value" => "INSERT INTO setting (key, value) VALUES ('x', $1) RETURNING value AS v",
        "key" => "INSERT INTO setting (key, value) VALUES ($1, '1') RETURNING key AS v",
        "size" => {
            "INSERT INTO ledger_frontier (one, size, frontier) SELECT 1, $1, wrapped FROM data_key
             RETURNING size AS v"
        }
        "event_id" => {
            "INSERT INTO ledger_pending (event_id, time, entry) SELECT $1, until, wrapped FROM lease, data_key
             RETURNING event_id AS v"
        }
        "again" => {
            "INSERT INTO job (id, kind, key, payload, run_after, attempts, again)
             SELECT event_id, 'x', 'x', '{}', time, 0, $1 FROM ledger_pending LIMIT 1 RETURNING again AS v"
        }
        other => panic!("{other}"),
    };
    let write = move |writer: &mut store::Writer<'_>| {
        writer.returning(sql, std::slice::from_ref(&value))?.first().unwrap().get::<T>("v")
    };
    store.write(&permit::<act::Upkeep>(store), write).await.unwrap()
}

both_engines! {
    async fn every_type_of_value_comes_back_as_it_was(store) {
        let moment = Timestamp::from_micros(1_790_000_000_123_456);
        assert_eq!(there_and_back::<Timestamp>(&store, "until", moment.into()).await, moment);
        let bytes = vec![0, 1, 255];
        assert_eq!(there_and_back::<Vec<u8>>(&store, "wrapped", bytes.clone().into()).await, bytes);
        assert_eq!(there_and_back::<i64>(&store, "size", i64::MAX.into()).await, i64::MAX);
        let document = json!({"a": [1, null, "ü"], "b": {}});
        assert_eq!(there_and_back::<serde_json::Value>(&store, "value", document.clone().into()).await, document);
        assert_eq!(there_and_back::<String>(&store, "key", "Zoë %'\"".into()).await, "Zoë %'\"");
        let id = UserId::new(store.random());
        assert_eq!(there_and_back::<UserId>(&store, "event_id", id.into()).await, id);
        assert!(there_and_back::<bool>(&store, "again", true.into()).await);
    }

    /// Catches parameters bound by the order in which they appear rather than by their number.
    async fn parameters_are_bound_by_their_number(store) {
        store
            .write(&permit::<act::Upkeep>(&store), |writer| {
                writer.execute(
                    "INSERT INTO lease (until, holder, name) VALUES ($3, $2, $1)",
                    params!["name", "holder", Timestamp::from_micros(7)],
                )?;
                let sql = "SELECT count(*) FROM lease WHERE holder = $2 AND name = $1 AND (name <> $2 OR holder <> $1)";
                assert_eq!(writer.count(sql, params!["name", "holder"])?, 1);
                Ok(())
            })
            .await
            .unwrap();
    }

    async fn a_wrong_number_of_values_is_an_error(store) {
        let sql = "SELECT name FROM lease WHERE name = $1";
        assert!(store.read(move |reader| reader.all(sql, &[])).await.is_err());
        assert!(store.read(move |reader| reader.all(sql, params!["a", "b"])).await.is_err());
    }

    async fn a_null_needs_no_type_and_is_not_read_as_a_value(store) {
        store
            .write(&permit::<act::Upkeep>(&store), |writer| {
                let sql = "INSERT INTO job (id, kind, key, payload, run_after, attempts, again, lease_until, leased_by)
                     VALUES ($1, 'x', 'x', '{}', $2, 0, FALSE, $3, $4)";
                let id = model::JobId::new(writer.random());
                let now = writer.now();
                writer.execute(sql, params![id, now, None::<Timestamp>, None::<String>])?;
                let row = writer.one("SELECT lease_until, leased_by FROM job", &[])?.unwrap();
                assert_eq!(row.get::<Option<Timestamp>>("lease_until")?, None);
                assert!(matches!(row.get::<String>("leased_by"), Err(Error::Internal(text)) if text.contains("leased_by")));
                Ok(())
            })
            .await
            .unwrap();
    }

    async fn a_query_binds_its_pieces(store) {
        let keys = store
            .write(&permit::<act::Upkeep>(&store), |writer| {
                for key in ["b", "a", "B", "c"] {
                    store::setting::set(writer, key, &json!(key))?;
                }
                let mut query = Query::new("SELECT key FROM setting WHERE key IN ");
                query.bind_list(["a", "b", "B"]).sql(" AND key <> ").bind("a").sql(" ORDER BY key");
                writer.query(&query)?.iter().map(|row| row.get::<String>("key")).collect()
            })
            .await;
        // By bytes on both engines, whatever the server's collation.
        let keys: Vec<String> = keys.unwrap();
        assert_eq!(keys, ["B", "b"]);
    }

    async fn a_taken_key_is_a_conflict_in_the_operations_words(store) {
        let permit = permit::<act::Upkeep>(&store);
        store.write(&permit, |writer| store::setting::set(writer, "a", &json!(1))).await.unwrap();
        let again = store
            .write(&permit, |writer| {
                writer
                    .execute("INSERT INTO setting (key, value) VALUES ('a', '1')", &[])
                    .or_conflict("the setting is there")
            })
            .await;
        assert!(matches!(again, Err(Error::Conflict(text)) if text == "the setting is there"));
    }
}
