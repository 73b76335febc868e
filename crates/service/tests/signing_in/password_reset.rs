//! Links by which a password is set.

use model::{CredentialKind, Error, IssuedSecret, Secret, SecretKind};
use service::{Browser, SignIn, UserChange};

use crate::house::{House, PASSWORD, secret};

const NEW: &str = "a parliament of rooks";

fn over(result: &model::Result<()>) -> bool {
    matches!(result, Err(Error::Gone(_)))
}

async fn link(house: &House, name: &str) -> Secret {
    let link = house.service.make_reset_link(&house.operator, name).await.unwrap();
    let address = link.address.expose();
    let (page, behind) = address.split_once('#').unwrap();
    assert_eq!(page, "https://bastide.example/account/reset-password");
    secret(behind)
}

async fn reset(house: &House, link: &Secret, new: &str) -> model::Result<()> {
    house.service.reset_password(&house.nobody("192.0.2.7"), link, &secret(new)).await
}

/// Attack: a link is used again, after its hour, or after a newer one.
#[tokio::test]
async fn a_link_is_good_once_and_for_an_hour() {
    let house = House::new().await;
    house.user("ann").await;
    let cookie = house.sign_in("ann").await.secret;
    let (older, newer) = (link(&house, "ann").await, link(&house, "ann").await);
    assert!(over(&reset(&house, &older, NEW).await), "a newer one ends it");
    assert!(matches!(reset(&house, &newer, "password1234").await, Err(Error::Invalid { .. })));
    reset(&house, &newer, NEW).await.unwrap();
    assert!(over(&reset(&house, &newer, PASSWORD).await), "used");
    assert!(house.page(cookie.secret()).await.is_err(), "sessions end");
    assert!(matches!(house.sign_in_step("ann", NEW).await, Ok(SignIn::Done(_))));
    let late = link(&house, "ann").await;
    house.wait(3_601);
    assert!(over(&reset(&house, &late, PASSWORD).await));
    let trail = house.trail().await;
    assert!(trail.contains(&"user.reset-link".to_owned()) && trail.contains(&"password.reset".to_owned()));
}

/// Attack: a link is guessed, or something else of ours is given for one; one is used by several at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_not_guessed_and_not_shared() {
    let house = House::new().await;
    house.user("ann").await;
    let given = link(&house, "ann").await;
    let cookie = house.sign_in("ann").await.secret.secret().clone();
    let guessed = IssuedSecret::new(SecretKind::ResetLink, &house.random).secret().clone();
    let token = model::Token::new(CredentialKind::ApiToken, &house.random).secret().clone();
    for wrong in [guessed, cookie, token, secret(""), secret("null"), secret("[\"ann@example.com\"]")] {
        assert!(over(&reset(&house, &wrong, NEW).await));
    }
    let mut tries = tokio::task::JoinSet::new();
    for at in 0..4 {
        let (service, given, nobody) = (house.service.clone(), given.clone(), house.nobody("192.0.2.7"));
        tries.spawn(async move {
            service.reset_password(&nobody, &given, &secret(&format!("{NEW} {at}"))).await.is_ok()
        });
    }
    assert_eq!(tries.join_all().await.iter().filter(|set| **set).count(), 1);
}

/// Attack: a link outlives what it was made for: another address, another password, the account itself. Or it is asked
/// for by somebody who may not, or leads past a second step.
#[tokio::test]
async fn a_link_ends_with_what_it_was_made_for() {
    let house = House::new().await;
    house.user("ann").await;
    house.user("ben").await;
    let ben = house.caller("ben").await;
    assert!(house.service.make_reset_link(&ben, "ann").await.is_err());
    let changes = [
        UserChange { email: Some("ann@elsewhere.example".parse().unwrap()), ..Default::default() },
        UserChange { password: Some(secret(NEW)), ..Default::default() },
        UserChange { active: Some(false), ..Default::default() },
    ];
    for change in changes {
        let given = link(&house, "ann").await;
        house.service.update_user(&house.operator, "ann", change).await.unwrap();
        assert!(over(&reset(&house, &given, PASSWORD).await));
    }
    assert!(house.service.make_reset_link(&house.operator, "ann").await.is_err(), "not active");

    let (_, enrolled) = crate::second_step::enrol(&house, &ben).await;
    let given = link(&house, "ben").await;
    reset(&house, &given, NEW).await.unwrap();
    let SignIn::SecondStep(wanted) = house.sign_in_step("ben", NEW).await.unwrap() else {
        panic!("the second step was forgotten")
    };
    let (nobody, code) = (house.nobody("192.0.2.7"), &enrolled.recovery_codes[0]);
    let browser = Browser::default();
    house.service.sign_in_with_code(&nobody, &browser, wanted.challenge.secret(), code).await.unwrap();
}

/// Attack: a link from before outlives the password that its owner has changed since; or one that was handed out, not
/// mailed, counts as proof of the address.
#[tokio::test]
async fn a_link_ends_when_the_password_is_changed_and_proves_no_address_unless_it_was_mailed() {
    let house = House::new().await;
    house.user("ann").await;
    let before = link(&house, "ann").await;
    let ann = house.caller("ann").await;
    house.service.change_password(&ann, &secret(PASSWORD), &secret(NEW)).await.unwrap();
    assert!(over(&reset(&house, &before, PASSWORD).await), "the password was changed since");
    let given = link(&house, "ann").await;
    reset(&house, &given, PASSWORD).await.unwrap();
    let ann = house.caller("ann").await;
    assert_eq!(house.service.own_email(&ann).await.unwrap().verified_on, None, "nobody has read mail");
}

/// Attack: links are guessed one after the other.
#[tokio::test]
async fn guessing_links_ends_in_waiting() {
    let house = House::new().await;
    house.user("ann").await;
    let nobody = house.nobody("198.51.100.4");
    let waits = |result: &model::Result<()>| matches!(result, Err(Error::TooManyRequests { .. }));
    let given = link(&house, "ann").await;
    let mut guesses = 0;
    loop {
        // Of the right form, and of none: both are guesses.
        let guess = match guesses % 2 {
            0 => IssuedSecret::new(SecretKind::ResetLink, &house.random).secret().clone(),
            _ => secret("a guess"),
        };
        if waits(&house.service.reset_password(&nobody, &guess, &secret(NEW)).await) {
            break;
        }
        guesses += 1;
        assert!(guesses < 200, "guessed for ever");
    }
    assert!(
        waits(&house.service.reset_password(&nobody, &given, &secret(NEW)).await),
        "the right one waits too"
    );
    assert!(house.service.verify_email(&nobody, &secret("a guess")).await.is_err());
    reset(&house, &given, NEW).await.unwrap();
}
