//! Wrapped keys.

use keyring::{Keyring, MasterKey, SigningKey};
use store::key;
use testkit::both_engines;

both_engines! {
    /// Catches two processes that start together and each keep, and use, a first key of their own.
    async fn the_first_key_is_the_first_and_a_rotation_replaces_it(store) {
        let directory = tempfile::tempdir().unwrap();
        let master = MasterKey::read_or_create(&directory.path().join("master.key"), store.random()).unwrap();
        let now = store.clock().now();
        for _ in 0..3 {
            let (_, row) = Keyring::create(&master, store.random(), now).unwrap();
            store.keep(move |books| key::insert_first_data_key(books, &row)).await.unwrap();
        }
        let rows = store.read(key::data_keys).await.unwrap();
        assert_eq!(rows.len(), 1);
        let keyring = Keyring::unlock(&master, &rows, store.random()).unwrap();
        let (_, changed) = keyring.rotate(&master, now.plus_seconds(1)).unwrap();
        store.keep(move |books| key::put_data_keys(books, &changed)).await.unwrap();
        let rows = store.read(key::data_keys).await.unwrap();
        assert_eq!(rows.len(), 2);
        let rotated = Keyring::unlock(&master, &rows, store.random()).unwrap();
        assert_ne!(rotated.active(), keyring.active());

        let signing = SigningKey::generate(store.random()).unwrap();
        let (sealed, public) = (signing.seal(&rotated, "ledger").unwrap(), signing.public().unwrap());
        for _ in 0..2 {
            let sealed = sealed.clone();
            store
                .keep(move |books| key::insert_first_signing_key(books, "ledger", &public, &sealed, now))
                .await
                .unwrap();
        }
        let kept = store.read(|reader| key::signing_key(reader, "ledger")).await.unwrap();
        assert_eq!(kept, Some(sealed));
    }
}
