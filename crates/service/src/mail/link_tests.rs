#![cfg(test)]
//! Links that are mailed, and what else people are told by mail, through a real mail server.

use std::net::IpAddr;

use model::{Error, IssuedSecret, Random, RequestId, Secret, SecretKind, User};
use testkit::MailServer;

use super::tests::{House, house};
use crate::{Caller, NewCredential, NewUser, TokenPlace, UserChange};

const PASSWORD: &str = "a mild surprise of thrushes";
const NEW: &str = "a parliament of rooks";
const DAY: i64 = 86_400;

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

pub(super) fn operator() -> Caller {
    Caller::operator(RequestId::new(&Random::system()))
}

pub(super) fn nobody() -> Caller {
    nobody_at("192.0.2.7")
}

fn nobody_at(address: &str) -> Caller {
    let address: IpAddr = address.parse().unwrap();
    Caller::anonymous(Some(address), RequestId::new(&Random::system()))
}

/// The secret behind `#` in the last message that leads to a page.
fn link(messages: &[String], page: &str) -> Secret {
    let found = messages.iter().rev().find_map(|text| text.split_once(&format!("{page}#")));
    let (_, rest) = found.unwrap_or_else(|| panic!("no link to {page}: {messages:#?}"));
    secret(rest.split_whitespace().next().unwrap())
}

fn over<T>(result: model::Result<T>) -> bool {
    matches!(result, Err(Error::Gone(_)))
}

impl House {
    pub(super) async fn user(&self, name: &str) -> User {
        let new = NewUser {
            username: name.parse().unwrap(),
            email: format!("{name}@example.com").parse().unwrap(),
            display_name: None,
            password: Some(secret(PASSWORD)),
        };
        self.service.create_user(&operator(), new).await.unwrap()
    }

    pub(super) async fn work(&self) {
        self.service.run_due_jobs().await.unwrap();
        self.service.deliver_mail().await.unwrap();
    }

    async fn asked_reset(&self, server: &MailServer, name: &str) -> Vec<String> {
        self.service.ask_password_reset(&nobody(), name).await.unwrap();
        self.work().await;
        server.messages()
    }

    pub(super) fn caller(user: &User) -> Caller {
        Caller::user(std::sync::Arc::new(user.clone()), None, &nobody())
    }
}

/// Attack: a link that proves an address is used again, late, guessed, for another address, or another secret is given for it.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_proved_by_its_own_link_once() {
    let server = MailServer::start();
    let house = house(Some(server.url())).await;
    let ann = house.user("ann").await;
    house.work().await;
    let first = link(&server.messages(), "/account/verify-email");
    let caller = House::caller(&ann);
    assert_eq!(house.service.own_email(&caller).await.unwrap().verified_on, None);

    let guessed = IssuedSecret::new(SecretKind::EmailLink, &Random::system()).secret().clone();
    let other = IssuedSecret::new(SecretKind::ResetLink, &Random::system()).secret().clone();
    for wrong in [guessed, other, secret(""), secret("null")] {
        assert!(over(house.service.verify_email(&nobody(), &wrong).await));
    }
    // An address that was changed since: the link to the one before proves neither.
    let change = UserChange { email: Some("ann@elsewhere.example".parse().unwrap()), ..Default::default() };
    let ann = house.service.update_user(&operator(), "ann", change).await.unwrap();
    house.work().await;
    assert!(over(house.service.verify_email(&nobody(), &first).await));
    let second = link(&server.messages(), "/account/verify-email");
    assert!(server.messages().last().unwrap().contains("To: ann@elsewhere.example"));
    house.clock.advance(DAY + 1);
    assert!(over(house.service.verify_email(&nobody(), &second).await), "late");

    house.service.ask_email_verification(&House::caller(&ann)).await.unwrap();
    house.work().await;
    let third = link(&server.messages(), "/account/verify-email");
    // Somebody else's link proves their address, not this one; a link to a password is none to an address.
    house.user("ben").await;
    house.work().await;
    let bens = link(&server.messages(), "/account/verify-email");
    assert_eq!(house.service.verify_email(&nobody(), &bens).await.unwrap().as_str(), "ben@example.com");
    assert_eq!(house.service.own_email(&House::caller(&ann)).await.unwrap().verified_on, None);
    assert!(over(house.service.reset_password(&nobody(), &third, &secret(NEW)).await));

    assert_eq!(house.service.verify_email(&nobody(), &third).await.unwrap(), ann.email);
    assert!(over(house.service.verify_email(&nobody(), &third).await), "used");
    let state = house.service.own_email(&House::caller(&ann)).await.unwrap();
    assert!(state.verified_on.is_some());
    assert!(house.service.ask_email_verification(&House::caller(&ann)).await.is_err(), "verified already");
    let back = UserChange { email: Some("ann@example.com".parse().unwrap()), ..Default::default() };
    let ann = house.service.update_user(&operator(), "ann", back).await.unwrap();
    assert_eq!(house.service.own_email(&House::caller(&ann)).await.unwrap().verified_on, None);
}

/// Attack: a link proves an address that its account has left and come back to, or that of an account that is switched
/// off; one of several that were asked for is used after another; links are guessed one after the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_to_an_address_ends_with_what_it_was_sent_for() {
    let server = MailServer::start();
    let house = house(Some(server.url())).await;
    house.user("ann").await;
    house.work().await;
    let first = link(&server.messages(), "/account/verify-email");
    let moved = async |email: &str| {
        let change = UserChange { email: Some(email.parse().unwrap()), ..Default::default() };
        house.service.update_user(&operator(), "ann", change).await.unwrap()
    };
    moved("ann@elsewhere.example").await;
    let ann = moved("ann@example.com").await;
    house.work().await;
    assert!(over(house.service.verify_email(&nobody(), &first).await), "the address was another's meanwhile");

    let second = link(&server.messages(), "/account/verify-email");
    let switch = async |active| {
        let change = UserChange { active: Some(active), ..Default::default() };
        house.service.update_user(&operator(), "ann", change).await.unwrap()
    };
    switch(false).await;
    assert!(over(house.service.verify_email(&nobody(), &second).await), "switched off");
    switch(true).await;
    house.service.ask_email_verification(&House::caller(&ann)).await.unwrap();
    house.work().await;
    let third = link(&server.messages(), "/account/verify-email");
    house.service.verify_email(&nobody(), &third).await.unwrap();
    assert!(
        over(house.service.verify_email(&nobody(), &second).await),
        "the others end with the one that is used"
    );

    let stranger = nobody_at("198.51.100.4");
    let mut guesses = 0;
    loop {
        let guess = match guesses % 2 {
            0 => IssuedSecret::new(SecretKind::EmailLink, &Random::system()).secret().clone(),
            _ => secret("a guess"),
        };
        if matches!(house.service.verify_email(&stranger, &guess).await, Err(Error::TooManyRequests { .. })) {
            break;
        }
        guesses += 1;
        assert!(guesses < 200, "guessed for ever");
    }
}

/// Attack: asking for a new password tells which accounts there are, floods somebody, or ends the link that they wait for.
#[tokio::test(flavor = "multi_thread")]
async fn asking_for_a_password_tells_nothing() {
    let server = MailServer::start();
    let house = house(Some(server.url())).await;
    let (ann, _) = (house.user("ann").await, house.user("ben").await);
    let off = UserChange { active: Some(false), ..Default::default() };
    house.service.update_user(&operator(), "ben", off).await.unwrap();
    house.work().await;
    let before = server.messages().len();
    let odd = "x".repeat(5_000);
    for name in
        ["nobody", "nobody@example.com", "ben", "BEN@example.com", "", "a\r\nBcc: x@y.z", odd.as_str()]
    {
        house.service.ask_password_reset(&nobody(), name).await.unwrap();
    }
    house.work().await;
    assert_eq!(server.messages().len(), before, "nobody else is told anything");
    house.service.ask_password_reset(&nobody(), "ann").await.unwrap();
    house.service.ask_password_reset(&nobody_at("198.51.100.9"), "ANN").await.unwrap();
    house.work().await;
    assert_eq!(server.messages().len(), before + 1, "asked for twice before it is looked up, mailed once");
    let first = link(&server.messages(), "/account/reset-password");
    for _ in 0..9 {
        house.service.ask_password_reset(&nobody(), "Ann@Example.com").await.unwrap();
        house.work().await;
    }
    assert_eq!(server.messages().len(), before + 3, "no more than three at a time");
    house.service.reset_password(&nobody(), &first, &secret(NEW)).await.unwrap();
    assert!(over(house.service.reset_password(&nobody(), &first, &secret(PASSWORD)).await), "used");
    let last = link(&server.messages(), "/account/reset-password");
    assert!(over(house.service.reset_password(&nobody(), &last, &secret(PASSWORD)).await), "the others end");
    assert!(
        house.service.own_email(&House::caller(&ann)).await.unwrap().verified_on.is_some(),
        "it was mailed"
    );

    let late = link(&house.asked_reset(&server, "ann").await, "/account/reset-password");
    house.clock.advance(3_601);
    assert!(over(house.service.reset_password(&nobody(), &late, &secret(PASSWORD)).await));
    let (operator, query) = (operator(), crate::AuditQuery::default());
    let trail = house.service.audit_events(&operator, crate::Trail::Instance, query, None, 100);
    let (events, _) = trail.await.unwrap();
    let mailed = events.iter().find(|event| event.reasons == ["internal-reset-asked"]).unwrap();
    assert!(!serde_json::to_string(mailed).unwrap().contains("bst_rst"));
}

/// Would catch an approval that nobody is told of.
#[tokio::test(flavor = "multi_thread")]
async fn who_can_approve_and_who_was_approved_are_told() {
    let server = MailServer::start();
    let house = house(Some(server.url())).await;
    let root = house.user("root").await;
    let staff = UserChange { staff_role: Some(model::StaffRole::Administrator), ..Default::default() };
    house.service.update_user(&operator(), "root", staff).await.unwrap();
    let ann = house.user("ann").await;
    house.work().await;
    let before = server.messages().len();
    house.service.approve_user(&operator(), "ann", true).await.unwrap();
    house.service.approve_user(&operator(), "ann", false).await.unwrap();
    house.service.approve_user(&operator(), "ann", true).await.unwrap();
    let waiting = User { approved: false, ..ann };
    let (outbox, told) = (house.service.outbox.clone(), waiting.clone());
    let permit = house
        .service
        .permit(&operator(), model::act::UserApprove, &house.service.user_ground(waiting))
        .unwrap();
    let tell = house.service.store.write(&permit, move |writer| {
        crate::user::tell_who_approves(writer, &outbox, &told, "https://bastide.example")
    });
    tell.await.unwrap();
    house.work().await;
    let told = server.messages().split_off(before);
    assert_eq!(told.len(), 2, "{told:#?}");
    let of = |to: &str| told.iter().find(|text| text.contains(&format!("To: {to}"))).unwrap();
    assert!(of("ann@example.com").contains("Subject: Your account was approved"));
    let asked = of(root.email.as_str());
    assert!(asked.contains("ann waits for approval") && asked.contains("/-/users/ann"), "{asked}");
}

/// Would catch a token that ends unannounced, is announced twice, or to whom it is no business of any more.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_made_a_token_is_told_before_it_ends() {
    let server = MailServer::start();
    let house = house(Some(server.url())).await;
    let (ann, _) = (house.user("ann").await, house.user("ben").await);
    let caller = House::caller(&ann);
    let service = &house.service;
    let acme = || "acme".to_owned();
    service.create_workspace(&caller, "acme".parse().unwrap(), "Acme".parse().unwrap()).await.unwrap();
    let owner = model::WorkspacePermission::Owner;
    service.set_member(&caller, "acme", &"ben".parse().unwrap(), owner).await.unwrap();
    house.work().await;
    let before = server.messages().len();
    let ends = |days: i64| NewCredential {
        name: format!("ends-in-{days}").parse().unwrap(),
        scopes: vec!["repository".to_owned()],
        expires_on: Some(house.clock.now().plus_seconds(days * DAY)),
    };
    let place = TokenPlace::Workspace(acme());
    for days in [30, 100, 10] {
        service.create_access_token(&caller, &place, ends(days)).await.unwrap();
    }
    let mut told = Vec::new();
    for day in 1..=31 {
        house.clock.advance(DAY);
        service.warn_of_ends().await.unwrap();
        service.warn_of_ends().await.unwrap();
        house.work().await;
        let sent = server.messages().len();
        if sent > before + told.len() {
            told.push(day);
        }
        if day == 20 {
            service.remove_member(&caller, "acme", &ann.username).await.unwrap();
        }
    }
    // Of 10 days: at 7 and 1. Of 30: at 14, 7 and 1, the last two to the owner who is left.
    assert_eq!(told, [3, 9, 16, 23, 29]);
    let sent = server.messages().split_off(before);
    let to: Vec<&str> =
        sent.iter().map(|text| if text.contains("To: ann@") { "ann" } else { "ben" }).collect();
    assert_eq!(to, ["ann", "ann", "ann", "ben", "ben"]);
    assert!(sent[0].contains("ends-in-10 (workspace access token on acme)"), "{}", sent[0]);
    assert_eq!(house.waiting().await, 0);
}
