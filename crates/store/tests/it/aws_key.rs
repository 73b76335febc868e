//! The server's own key at Amazon: each step of replacing it is taken once, for the key that is there.

use model::{AwsKeyId, act};
use store::aws_key::{self, AwsKey, Pending};
use testkit::{TestStore, both_engines};

fn id(text: &str) -> AwsKeyId {
    text.parse().unwrap()
}

async fn found(store: &TestStore) -> Option<AwsKey> {
    store.read(aws_key::find).await.unwrap()
}

both_engines! {
    /// Would catch: a key that is lost between two steps, a step that is taken for another key, a third key.
    async fn a_key_is_replaced_step_by_step(store) {
        let (first, second) = (id("AKIAFIRST00000000001"), id("AKIASECOND0000000002"));
        let permit = testkit::permit::<act::AwsKeyUpdate>(&store);
        let now = store.clock().now();
        let key = AwsKey {
            user: "arn:aws:iam::123456789012:user/bastide".parse().unwrap(),
            id: first.clone(),
            secret: vec![1],
            since: now,
            pending: None,
            old: None,
            failed_on: None,
            last_error: None,
        };
        assert_eq!(found(&store).await, None);
        let set = key.clone();
        store.write(&permit, move |writer| aws_key::set(writer, &set)).await.unwrap();
        assert_eq!(found(&store).await, Some(key.clone()));

        let pending = Pending { id: second.clone(), secret: vec![2], since: now };
        let (present, new) = (first.clone(), pending.clone());
        let kept = store
            .write(&permit, move |writer| {
                let other = aws_key::keep_pending(writer, &new.id, &new)?;
                let once = aws_key::keep_pending(writer, &present, &new)?;
                Ok((other, once, aws_key::keep_pending(writer, &present, &new)?))
            })
            .await
            .unwrap();
        assert_eq!(kept, (false, true, false));
        assert_eq!(found(&store).await.unwrap().pending, Some(pending));

        store.write(&permit, |writer| aws_key::failed(writer, "why")).await.unwrap();
        assert_eq!(found(&store).await.unwrap().last_error.as_deref(), Some("why"));

        let (present, new) = (first.clone(), second.clone());
        let switched = store
            .write(&permit, move |writer| {
                let other = aws_key::switch(writer, &present)?;
                let once = aws_key::switch(writer, &new)?;
                Ok((other, once, aws_key::switch(writer, &new)?))
            })
            .await
            .unwrap();
        assert_eq!(switched, (false, true, false));
        let after = found(&store).await.unwrap();
        assert_eq!((after.id, after.secret, after.old), (second.clone(), vec![2], Some(first.clone())));
        assert_eq!((after.pending, after.last_error), (None, None));

        store.write(&permit, move |writer| aws_key::forget_old(writer, &first)).await.unwrap();
        assert_eq!(found(&store).await.unwrap().old, None);
        store.write(&permit, aws_key::remove).await.unwrap();
        assert_eq!(found(&store).await, None);
    }
}
