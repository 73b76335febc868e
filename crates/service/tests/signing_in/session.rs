//! Sessions begin, are renewed, and above all end.

use model::{Error, SecretKind};
use service::{Door, Presented, UserChange};

use crate::house::{House, PASSWORD, secret};

fn gone(result: model::Result<service::Caller>) -> bool {
    matches!(result, Err(Error::Unauthenticated))
}

/// Attack: a page of another site makes the browser call REST or git with the cookie.
#[tokio::test]
async fn a_session_opens_the_pages_and_nothing_else() {
    let house = House::new().await;
    house.user("ann").await;
    let begun = house.sign_in("ann").await;
    let cookie = begun.secret.secret().clone();
    let caller = house.page(&cookie).await.unwrap();
    assert_eq!(caller.label(), "user:ann");
    assert!(caller.stepped_up(house.clock.now()));
    for door in [Door::Rest, Door::Api, Door::Git] {
        assert!(gone(house.by(Presented::Session(cookie.clone()), door).await));
        assert!(gone(house.by(Presented::Bearer(cookie.clone()), door).await));
        let basic = Presented::Basic { user: "ann".to_owned(), password: cookie.clone() };
        assert!(gone(house.by(basic, door).await));
    }
    let other = model::IssuedSecret::new(SecretKind::Session, &house.random);
    assert!(gone(house.page(other.secret()).await));
    assert!(house.trail().await.contains(&"session.create".to_owned()));
}

#[tokio::test]
async fn a_session_ends_idle_and_by_age() {
    let house = House::new().await;
    house.user("ann").await;
    let cookie = house.sign_in("ann").await.secret.secret().clone();
    for _ in 0..20 {
        house.wait(7 * 3_600);
        assert!(house.page(&cookie).await.is_ok());
    }
    house.wait(8 * 3_600 + 61);
    assert!(gone(house.page(&cookie).await), "idle");
    let mut cookie = house.sign_in("ann").await.secret.secret().clone();
    let mut hours = 0;
    while let Ok(caller) = house.page(&cookie).await {
        if let Some(new) = house.service.renew_session(&caller, &cookie).await.unwrap() {
            cookie = new.secret().clone();
        }
        house.wait(3_600);
        hours += 1;
    }
    assert_eq!(hours, 168, "a week, however much it is used");
}

/// Attack: a cookie that was stolen long ago, or before its owner proved more, is used.
#[tokio::test]
async fn an_old_secret_ends_soon_after_the_new_one() {
    let house = House::new().await;
    house.user("ann").await;
    let old = house.sign_in("ann").await.secret.secret().clone();
    let caller = house.page(&old).await.unwrap();
    assert!(house.service.renew_session(&caller, &old).await.unwrap().is_none(), "young");
    house.wait(3_601);
    let caller = house.page(&old).await.unwrap();
    assert!(!caller.stepped_up(house.clock.now()));
    let new = house.service.renew_session(&caller, &old).await.unwrap().unwrap();
    let again = house.service.renew_session(&caller, &old).await.unwrap();
    assert!(again.is_none(), "of two requests at once one gets the new secret");
    assert!(house.page(&old).await.is_ok(), "a request under way");
    assert!(house.page(new.secret()).await.is_ok());
    house.wait(61);
    assert!(gone(house.page(&old).await));
    assert!(house.page(new.secret()).await.is_ok());
}

/// Attack: somebody else's session goes on after its owner noticed it.
#[tokio::test]
async fn ending_a_session_binds_the_next_request() {
    let house = House::new().await;
    house.user("ann").await;
    house.user("ben").await;
    let (one, two, three) =
        (house.sign_in("ann").await, house.sign_in("ann").await, house.sign_in("ann").await);
    let ben = house.caller("ben").await;
    let ann = house.page(one.secret.secret()).await.unwrap();
    let foreign = house.service.revoke_session(&ben, two.session.id).await;
    assert!(matches!(foreign, Err(Error::NotFound { .. })));
    assert_eq!(house.service.sessions(&ann).await.unwrap().len(), 3);
    assert_eq!(house.service.sessions(&ben).await.unwrap().len(), 1);
    house.service.revoke_session(&ann, two.session.id).await.unwrap();
    assert!(gone(house.page(two.secret.secret()).await));
    assert_eq!(house.service.revoke_other_sessions(&ann).await.unwrap(), 1);
    assert!(gone(house.page(three.secret.secret()).await));
    house.service.sign_out(&ann).await.unwrap();
    assert!(gone(house.page(one.secret.secret()).await));
    assert_eq!(house.trail().await.iter().filter(|action| *action == "session.revoke").count(), 3);
}

/// Attack: a session outlives the account, or the password that it was begun with.
#[tokio::test]
async fn sessions_end_with_the_account_and_with_its_password() {
    let house = House::new().await;
    house.user("ann").await;
    let change = |change: UserChange| house.service.update_user(&house.operator, "ann", change);
    let cookie = house.sign_in("ann").await.secret;
    change(UserChange { active: Some(false), ..Default::default() }).await.unwrap();
    assert!(gone(house.page(cookie.secret()).await));
    assert!(matches!(house.sign_in_step("ann", PASSWORD).await, Err(Error::Unauthenticated)));
    change(UserChange { active: Some(true), ..Default::default() }).await.unwrap();
    assert!(gone(house.page(cookie.secret()).await), "it does not come back");

    let cookie = house.sign_in("ann").await.secret;
    let password = Some(secret("another mild surprise"));
    change(UserChange { password, ..Default::default() }).await.unwrap();
    assert!(gone(house.page(cookie.secret()).await));
    let password = Some(secret(PASSWORD));
    change(UserChange { password, ..Default::default() }).await.unwrap();

    let cookie = house.sign_in("ann").await.secret;
    house.service.delete_user(&house.operator, "ann").await.unwrap();
    assert!(gone(house.page(cookie.secret()).await));
}

/// Attack: a cookie taken before its owner stepped up rises with it.
#[tokio::test]
async fn stepping_up_changes_the_secret_at_once() {
    let house = House::new().await;
    house.user("ann").await;
    let old = house.sign_in("ann").await.secret;
    house.wait(601);
    let caller = house.page(old.secret()).await.unwrap();
    assert!(!caller.stepped_up(house.clock.now()));
    assert!(house.service.step_up(&caller, &secret("a mild surprise of rooks")).await.is_err());
    let new = house.service.step_up(&caller, &secret(PASSWORD)).await.unwrap();
    assert!(gone(house.page(old.secret()).await));
    assert!(house.page(new.secret()).await.unwrap().stepped_up(house.clock.now()));
    house.wait(601);
    assert!(!house.page(new.secret()).await.unwrap().stepped_up(house.clock.now()));
}
