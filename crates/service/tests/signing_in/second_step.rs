//! TOTP devices and recovery codes.

use model::{DisplayName, Error, Secret};
use service::{Browser, Caller, Door, Enrolled, Presented, SignIn};

use crate::house::{House, PASSWORD, secret};

/// A device: what an app does with the address it was shown.
pub struct Device {
    secret: Vec<u8>,
}

impl Device {
    /// By way of base32, as an app that was typed the secret.
    fn typed(text: &str) -> Self {
        let mut bits: Vec<bool> = Vec::new();
        for c in text.bytes() {
            let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|b| *b == c).unwrap();
            bits.extend((0..5).rev().map(|bit| value >> bit & 1 == 1));
        }
        let secret = bits
            .chunks_exact(8)
            .map(|byte| byte.iter().fold(0u8, |value, bit| value << 1 | u8::from(*bit)))
            .collect();
        Self { secret }
    }

    pub fn code(&self, house: &House, off: i64) -> Secret {
        let step = (house.clock.now().seconds() + off) / 30;
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.secret);
        let tag = aws_lc_rs::hmac::sign(&key, &step.to_be_bytes());
        let at = usize::from(tag.as_ref()[19] & 15);
        let four: [u8; 4] = tag.as_ref()[at..at + 4].try_into().unwrap();
        secret(&format!("{:06}", (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000))
    }
}

pub async fn enrol(house: &House, caller: &Caller) -> (Device, Enrolled) {
    let name: DisplayName = "telephone".parse().unwrap();
    let begun = house.service.begin_totp_enrolment(caller, &name).await.unwrap();
    assert!(begun.uri.expose().starts_with("otpauth://totp/bastide.example:"));
    let device = Device::typed(begun.secret.expose());
    let (challenge, code) = (begun.challenge.secret(), device.code(house, 0));
    let done = house.service.finish_totp_enrolment(caller, challenge, &code).await.unwrap();
    (device, done)
}

/// The challenge that the right password is answered with.
pub async fn password_given(house: &House, name: &str) -> Secret {
    match house.sign_in_step(name, PASSWORD).await.unwrap() {
        SignIn::SecondStep(wanted) => wanted.challenge.secret().clone(),
        SignIn::Done(_) => panic!("no second step was asked for"),
    }
}

async fn with_code(house: &House, challenge: &Secret, code: &Secret) -> model::Result<service::NewSession> {
    let nobody = house.nobody("192.0.2.7");
    house.service.sign_in_with_code(&nobody, &Browser::default(), challenge, code).await
}

fn wrong(result: &model::Result<service::NewSession>) -> bool {
    matches!(result, Err(Error::Invalid { .. }))
}

/// Attack: a code is looked at over the shoulder and used again; its neighbours are used after it.
#[tokio::test]
async fn a_code_is_used_once_and_may_be_off_by_one() {
    let house = House::new().await;
    house.user("ann").await;
    let ann = house.caller("ann").await;
    let (device, done) = enrol(&house, &ann).await;
    assert_eq!(done.recovery_codes.len(), 10);
    assert!(house.page(done.session.secret()).await.unwrap().as_user().unwrap().second_step);

    let challenge = password_given(&house, "ann").await;
    let enrolled_with = device.code(&house, 0);
    assert!(wrong(&with_code(&house, &challenge, &enrolled_with).await), "it confirmed the device already");
    house.wait(60);
    let (old, early, now) = (device.code(&house, -60), device.code(&house, 60), device.code(&house, 0));
    assert!(wrong(&with_code(&house, &challenge, &old).await));
    assert!(wrong(&with_code(&house, &challenge, &early).await));
    let begun = with_code(&house, &challenge, &now).await.unwrap();
    assert!(begun.session.second_step_on.is_some());
    assert!(
        matches!(with_code(&house, &challenge, &now).await, Err(Error::Gone(_))),
        "one password, one session"
    );
    let challenge = password_given(&house, "ann").await;
    assert!(wrong(&with_code(&house, &challenge, &now).await), "replayed");
    assert!(wrong(&with_code(&house, &challenge, &device.code(&house, -30)).await), "an earlier one");
    with_code(&house, &challenge, &device.code(&house, 30)).await.unwrap();
}

/// Attack: the same code is sent many times at once (CVE-2026-20779).
#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_one_passes() {
    let house = House::new().await;
    house.user("ann").await;
    let ann = house.caller("ann").await;
    let (device, done) = enrol(&house, &ann).await;
    house.wait(60);
    let mut challenges = Vec::new();
    for _ in 0..16 {
        challenges.push(password_given(&house, "ann").await);
    }
    for code in [device.code(&house, 0), done.recovery_codes[0].clone()] {
        let nobody = house.nobody("192.0.2.7");
        let mut tries = tokio::task::JoinSet::new();
        for challenge in challenges.drain(..8) {
            let (service, nobody, code) = (house.service.clone(), nobody.clone(), code.clone());
            tries.spawn(async move {
                let browser = Browser::default();
                service.sign_in_with_code(&nobody, &browser, &challenge, &code).await.is_ok()
            });
        }
        let passed = tries.join_all().await;
        assert_eq!(passed.iter().filter(|passed| **passed).count(), 1);
    }
}

/// Attack: another user's recovery code (CVE-2021-45331), a used one, one from before the newest.
#[tokio::test]
async fn a_recovery_code_is_its_users_and_good_once() {
    let house = House::new().await;
    house.user("ann").await;
    house.user("ben").await;
    let (ann, ben) = (house.caller("ann").await, house.caller("ben").await);
    let (_, anns) = enrol(&house, &ann).await;
    let (_, bens) = enrol(&house, &ben).await;
    let challenge = password_given(&house, "ann").await;
    assert!(wrong(&with_code(&house, &challenge, &bens.recovery_codes[0]).await));
    let typed = secret(&anns.recovery_codes[0].expose().to_lowercase().replace('-', " "));
    let begun = with_code(&house, &challenge, &typed).await.unwrap();
    let challenge = password_given(&house, "ann").await;
    assert!(wrong(&with_code(&house, &challenge, &typed).await), "used");
    let ann = house.page(begun.secret.secret()).await.unwrap();
    assert_eq!(house.service.second_steps(&ann).await.unwrap().recovery_codes, 9);
    house.service.renew_recovery_codes(&ann).await.unwrap();
    assert!(wrong(&with_code(&house, &challenge, &anns.recovery_codes[1]).await), "from before");
}

/// Attack: who knows the password guesses codes, with as many challenges and from as many addresses as it takes.
#[tokio::test]
async fn guessing_codes_is_slowed_and_the_owner_still_gets_in() {
    let house = House::new().await;
    house.user("ann").await;
    let ann = house.caller("ann").await;
    let (device, done) = enrol(&house, &ann).await;
    house.wait(60);
    let mut tries = 0;
    'guessing: loop {
        let challenge = password_given(&house, "ann").await;
        loop {
            let guess = secret("000000");
            let nobody = house.nobody(&format!("198.51.{}.7", tries % 250));
            let answer =
                house.service.sign_in_with_code(&nobody, &Browser::default(), &challenge, &guess).await;
            match answer {
                Err(Error::Gone(_)) => break,
                Err(Error::TooManyRequests { .. }) => break 'guessing,
                Err(Error::Invalid { .. }) => tries += 1,
                _ => panic!("guessed"),
            }
        }
    }
    assert!(tries <= 11, "{tries}");
    let challenge = password_given(&house, "ann").await;
    let right = with_code(&house, &challenge, &device.code(&house, 0)).await;
    assert!(matches!(right, Err(Error::TooManyRequests { .. })), "a right guess waits as well");
    with_code(&house, &challenge, &done.recovery_codes[3]).await.unwrap();
}

/// Attack: the password alone, where a second step is set: by Basic, by stepping up, by an older session.
#[tokio::test]
async fn a_second_step_shuts_the_password_out() {
    let house = House::new().await;
    house.user("ann").await;
    let basic = || Presented::Basic { user: "ann".to_owned(), password: secret(PASSWORD) };
    assert!(house.by(basic(), Door::Api).await.is_ok());
    let older = house.sign_in("ann").await;
    let ann = house.caller("ann").await;
    let (_, done) = enrol(&house, &ann).await;
    assert!(matches!(house.by(basic(), Door::Api).await, Err(Error::Unauthenticated)));
    assert!(house.page(older.secret.secret()).await.is_err(), "the other session showed no second step");
    let ann = house.page(done.session.secret()).await.unwrap();
    assert!(matches!(house.service.step_up(&ann, &secret(PASSWORD)).await, Err(Error::Forbidden { .. })));
    house.wait(601);
    let step = house.service.second_steps(&ann).await.unwrap().steps.remove(0);
    let refused = house.service.remove_second_step(&ann, step.id).await;
    assert!(matches!(refused, Err(Error::Forbidden { .. })), "not stepped up");
    let raised = house.service.step_up_with_code(&ann, &done.recovery_codes[0]).await.unwrap();
    let ann = house.page(raised.secret()).await.unwrap();
    house.service.remove_second_step(&ann, step.id).await.unwrap();
    assert!(house.by(basic(), Door::Api).await.is_ok());
    let trail = house.trail().await;
    for action in ["second-step.enrol", "second-step.remove", "session.update"] {
        assert!(trail.iter().any(|done| done == action), "{action}");
    }
}

/// Attack: an enrolment that somebody else began, or that was begun long ago, is finished.
#[tokio::test]
async fn an_enrolment_is_its_users_and_short_lived() {
    let house = House::new().await;
    house.user("ann").await;
    house.user("ben").await;
    let (ann, ben) = (house.caller("ann").await, house.caller("ben").await);
    let name: DisplayName = "telephone".parse().unwrap();
    let begun = house.service.begin_totp_enrolment(&ann, &name).await.unwrap();
    let device = Device::typed(begun.secret.expose());
    let challenge = begun.challenge.secret();
    let foreign = house.service.finish_totp_enrolment(&ben, challenge, &device.code(&house, 0)).await;
    assert!(matches!(foreign, Err(Error::Gone(_))));
    house.wait(301);
    let late = house.service.finish_totp_enrolment(&ann, challenge, &device.code(&house, 0)).await;
    assert!(matches!(late, Err(Error::Gone(_))));
    assert!(house.service.second_steps(&ann).await.unwrap().steps.is_empty());
}

/// Attack: a password that was learned opens a workspace that asks for a second step, through a page that forgot to ask.
/// The session itself reaches nothing but its account, whatever page it comes by.
#[tokio::test]
async fn a_session_that_must_add_a_second_step_reaches_its_account_alone() {
    let house = House::new().await;
    house.user("ann").await;
    let ann = house.caller("ann").await;
    let (slug, name) = ("acme".parse().unwrap(), "Acme".parse().unwrap());
    house.service.create_workspace(&ann, slug, name).await.unwrap();
    let guardrails =
        model::Guardrails { second_step: model::GuardrailMode::On, ..model::Guardrails::default() };
    let new = service::NewGuardrails { guardrails, confirm_lockout: true, confirm_wide_ranges: false };
    let seen = house.service.guardrails(&house.operator, Some("acme")).await.unwrap();
    house.service.set_guardrails(&house.operator, Some("acme"), new, seen).await.unwrap();

    let ann = house.caller("ann").await;
    assert!(ann.must_enrol());
    let all = service::Window { limit: 10, offset: 0 };
    assert!(house.service.own_workspaces(&ann, all).await.unwrap().values.is_empty());
    assert!(house.service.workspace(&ann, "acme").await.is_err());
    let (slug, name) = ("other".parse().unwrap(), "Other".parse().unwrap());
    assert!(house.service.create_workspace(&ann, slug, name).await.is_err(), "nor makes anything");
    assert!(house.service.own_account(&ann).await.is_ok());

    let (_, enrolled) = enrol(&house, &ann).await;
    let ann = house.page(enrolled.session.secret()).await.unwrap();
    assert!(!ann.must_enrol());
    assert_eq!(house.service.own_workspaces(&ann, all).await.unwrap().values.len(), 1);
    assert!(house.service.workspace(&ann, "acme").await.is_ok());
}

/// Whoever mistypes the first code sees the same secret again; nobody else does.
#[tokio::test]
async fn a_device_that_waits_is_shown_again_to_its_owner_alone() {
    let house = House::new().await;
    house.user("ann").await;
    house.user("bea").await;
    let (ann, bea) = (house.caller("ann").await, house.caller("bea").await);
    let name: DisplayName = "telephone".parse().unwrap();
    let begun = house.service.begin_totp_enrolment(&ann, &name).await.unwrap();
    let challenge = begun.challenge.secret();
    let again = house.service.totp_enrolment(&ann, challenge).await.unwrap();
    assert_eq!(again.secret.expose(), begun.secret.expose());
    assert_eq!(again.uri.expose(), begun.uri.expose());
    assert!(house.service.totp_enrolment(&bea, challenge).await.is_err());
    assert!(house.service.totp_enrolment(&ann, &secret("nothing")).await.is_err());
}
