//! Passkeys, with a software authenticator in the browser's place.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::{DisplayName, Error};
use passkey::authenticator::{Authenticator, UiHint, UserCheck, UserValidationMethod};
use passkey::client::{Client, DefaultClientData};
use passkey::crypto::rust_crypto::RustCryptoBackend;
use passkey::types::Passkey;
use passkey::types::ctap2::{Aaguid, Ctap2Error};
use passkey::types::webauthn::{CredentialCreationOptions, CredentialRequestOptions};
use serde_json::Value;
use service::{Browser, Caller, Enrolled, NewSession, PasskeyRequest, STEP_UP_REQUIRED};
use url::Url;

use crate::house::House;
use crate::second_step::password_given;

/// Somebody who touches the key, and whom it recognises or not.
struct Finger {
    recognised: bool,
}

#[async_trait::async_trait]
impl UserValidationMethod for Finger {
    type PasskeyItem = Passkey;

    async fn check_user<'a>(
        &self,
        _hint: UiHint<'a, Self::PasskeyItem>,
        _presence: bool,
        _verification: bool,
    ) -> Result<UserCheck, Ctap2Error> {
        Ok(UserCheck { presence: true, verification: self.recognised })
    }

    fn is_verification_enabled(&self) -> Option<bool> {
        Some(true)
    }

    fn is_presence_enabled(&self) -> bool {
        true
    }
}

/// A security key that counts its uses.
struct Key {
    held: Option<Passkey>,
    origin: Url,
    recognised: bool,
}

impl Key {
    fn new() -> Self {
        Self { held: None, origin: Url::parse("https://bastide.example").unwrap(), recognised: true }
    }

    /// What a thief does who reads the key's memory.
    fn copy(&self) -> Self {
        Self { held: self.held.clone(), origin: self.origin.clone(), recognised: true }
    }

    fn authenticator(&self) -> Authenticator<Option<Passkey>, Finger, RustCryptoBackend> {
        let finger = Finger { recognised: self.recognised };
        let mut authenticator =
            Authenticator::new(Aaguid::new_empty(), self.held.clone(), finger, RustCryptoBackend);
        authenticator.set_make_credentials_with_signature_counter(true);
        authenticator
    }

    async fn create(&mut self, options: &Value) -> Value {
        let options: CredentialCreationOptions = serde_json::from_value(options.clone()).unwrap();
        let mut client = Client::new(self.authenticator());
        let made = client.register(&self.origin, options, DefaultClientData).await.unwrap();
        self.held = client.authenticator().store().clone();
        serde_json::to_value(made).unwrap()
    }

    async fn get(&mut self, options: &Value) -> Value {
        let options: CredentialRequestOptions = serde_json::from_value(options.clone()).unwrap();
        let mut client = Client::new(self.authenticator());
        let answer = client.authenticate(&self.origin, options, DefaultClientData).await.unwrap();
        self.held = client.authenticator().store().clone();
        serde_json::to_value(answer).unwrap()
    }
}

async fn enrol(house: &House, caller: &Caller, key: &mut Key) -> Enrolled {
    let name: DisplayName = "key".parse().unwrap();
    let begun = house.service.begin_passkey_enrolment(caller, &name).await.unwrap();
    let response = key.create(&begun.options).await;
    house.service.finish_passkey_enrolment(caller, begun.challenge.secret(), &response).await.unwrap()
}

async fn asked(house: &House) -> PasskeyRequest {
    house.service.begin_passkey_sign_in(&house.nobody("192.0.2.7"), None).await.unwrap()
}

async fn answered(house: &House, asked: &PasskeyRequest, response: &Value) -> model::Result<NewSession> {
    let (nobody, browser) = (house.nobody("192.0.2.7"), Browser::default());
    house.service.finish_passkey_sign_in(&nobody, &browser, asked.challenge.secret(), response).await
}

#[tokio::test]
async fn a_passkey_is_a_second_step_and_enough_by_itself() {
    let house = House::new().await;
    house.user("ann").await;
    let ann = house.caller("ann").await;
    let mut key = Key::new();
    let done = enrol(&house, &ann, &mut key).await;
    assert_eq!(done.recovery_codes.len(), 10);

    let challenge = password_given(&house, "ann").await;
    let nobody = house.nobody("192.0.2.7");
    let request = house.service.begin_passkey_sign_in(&nobody, Some(&challenge)).await.unwrap();
    let response = key.get(&request.options).await;
    answered(&house, &request, &response).await.unwrap();

    let request = asked(&house).await;
    let response = key.get(&request.options).await;
    let begun = answered(&house, &request, &response).await.unwrap();
    assert_eq!(begun.user.username.as_str(), "ann");
    assert!(begun.session.second_step_on.is_some());
    assert!(matches!(answered(&house, &request, &response).await, Err(Error::Gone(_))), "replayed");

    house.wait(601);
    let ann = house.page(begun.secret.secret()).await.unwrap();
    let name: DisplayName = "another".parse().unwrap();
    match house.service.begin_passkey_enrolment(&ann, &name).await {
        Err(Error::Forbidden { reasons, .. }) => assert_eq!(reasons, [STEP_UP_REQUIRED]),
        _ => panic!("enrolled without stepping up"),
    }
    let request = house.service.begin_passkey_step_up(&ann).await.unwrap();
    let response = key.get(&request.options).await;
    let challenge = request.challenge.secret();
    let raised = house.service.finish_passkey_step_up(&ann, challenge, &response).await.unwrap();
    assert!(house.page(raised.secret()).await.unwrap().stepped_up(house.clock.now()));
}

/// Attack: the key was copied; whichever of the two is behind is noticed.
#[tokio::test]
async fn a_copied_key_is_refused_and_its_owner_told() {
    let house = House::new().await;
    house.user("ann").await;
    let ann = house.caller("ann").await;
    let mut key = Key::new();
    enrol(&house, &ann, &mut key).await;
    let mut copy = key.copy();
    let request = asked(&house).await;
    let response = key.get(&request.options).await;
    answered(&house, &request, &response).await.unwrap();
    let request = asked(&house).await;
    let response = copy.get(&request.options).await;
    match answered(&house, &request, &response).await {
        Err(Error::Forbidden { message, .. }) => assert!(message.contains("copied"), "{message}"),
        _ => panic!("the copy was let in"),
    }
    let request = asked(&house).await;
    let response = key.get(&request.options).await;
    answered(&house, &request, &response).await.unwrap();
}

/// Attack: a passkey of another site's page, of another user, without its user's finger, or after it was removed.
#[tokio::test]
async fn an_answer_to_another_question_is_none() {
    let house = House::new().await;
    house.user("ann").await;
    house.user("ben").await;
    let (ann, ben) = (house.caller("ann").await, house.caller("ben").await);
    let (mut anns, mut bens) = (Key::new(), Key::new());
    let done = enrol(&house, &ann, &mut anns).await;
    enrol(&house, &ben, &mut bens).await;
    let refused = |result: model::Result<NewSession>| matches!(result, Err(Error::Invalid { .. }));

    let challenge = password_given(&house, "ann").await;
    let nobody = house.nobody("192.0.2.7");
    let for_ann = house.service.begin_passkey_sign_in(&nobody, Some(&challenge)).await.unwrap();
    let mut options = for_ann.options.clone();
    options["publicKey"]["allowCredentials"] = serde_json::json!([]);
    let response = bens.get(&options).await;
    assert!(refused(answered(&house, &for_ann, &response).await), "another user's");

    let (one, two) = (asked(&house).await, asked(&house).await);
    let response = anns.get(&one.options).await;
    assert!(refused(answered(&house, &two, &response).await), "another question's");

    let request = asked(&house).await;
    let mut phished = request.options.clone();
    phished["publicKey"]["rpId"] = serde_json::json!("evil.bastide.example");
    let mut elsewhere = anns.copy();
    elsewhere.origin = Url::parse("https://evil.bastide.example").unwrap();
    elsewhere.held.as_mut().unwrap().rp_id = "evil.bastide.example".to_owned();
    let response = elsewhere.get(&phished).await;
    assert!(refused(answered(&house, &request, &response).await), "another site's");

    let request = asked(&house).await;
    let mut stolen = anns.copy();
    stolen.recognised = false;
    let mut options = request.options.clone();
    options["publicKey"]["userVerification"] = serde_json::json!("discouraged");
    let response = stolen.get(&options).await;
    assert!(refused(answered(&house, &request, &response).await), "without its user's finger");

    let request = asked(&house).await;
    let response = anns.get(&request.options).await;
    let ann = house.page(done.session.secret()).await.unwrap();
    house.service.remove_second_step(&ann, done.step.id).await.unwrap();
    assert!(refused(answered(&house, &request, &response).await), "removed meanwhile");
}

/// A field of an answer with a single bit changed, here and there.
fn flipped(field: &Value) -> Vec<Value> {
    let bytes = URL_SAFE_NO_PAD.decode(field.as_str().unwrap()).unwrap();
    let changed = (0..bytes.len()).step_by(bytes.len() / 24 + 1).map(|at| {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        URL_SAFE_NO_PAD.encode(changed).into()
    });
    changed.collect()
}

/// A field that is cut short, goes on, promises more than there is, lies deep in itself, or is nothing of the kind.
fn broken(field: &Value) -> Vec<Value> {
    let bytes = URL_SAFE_NO_PAD.decode(field.as_str().unwrap()).unwrap();
    let mut all = vec![Vec::new(), bytes[..bytes.len() / 2].to_vec(), vec![0x9b; 9]];
    all.extend([vec![0x81; 60_000], vec![0xc0; 60_000], vec![0xa1; 60_000], b"[".repeat(60_000)]);
    all.extend([[&[0xbb][..], &[0xff; 8]].concat(), [&[0x5b][..], &[0x7f; 8]].concat()]);
    let mut values: Vec<Value> = all.iter().map(|bytes| URL_SAFE_NO_PAD.encode(bytes).into()).collect();
    let inside = (0..500).fold(Value::Null, |inner, _| serde_json::json!([inner]));
    values.extend([Value::Null, 7.into(), "\u{0}=".into(), serde_json::json!({ "a": field }), inside]);
    values
}

/// Attack: what a browser sends for a new passkey is made up to bring its reader down, or to count for another question.
#[tokio::test]
async fn a_made_up_passkey_is_none() {
    let house = House::new().await;
    house.user("ann").await;
    let ann = house.caller("ann").await;
    let name: DisplayName = "key".parse().unwrap();
    let begin = async || house.service.begin_passkey_enrolment(&ann, &name).await.unwrap();
    let first = Key::new().create(&begin().await.options).await;
    for field in ["attestationObject", "clientDataJSON"] {
        for value in broken(&first["response"][field]) {
            let begun = begin().await;
            let mut response = Key::new().create(&begun.options).await;
            response["response"][field] = value;
            let done =
                house.service.finish_passkey_enrolment(&ann, begun.challenge.secret(), &response).await;
            assert!(matches!(done, Err(Error::Invalid { .. })), "{field}");
        }
        for value in flipped(&first["response"][field]) {
            let begun = begin().await;
            let mut response = first.clone();
            response["response"][field] = value;
            let done =
                house.service.finish_passkey_enrolment(&ann, begun.challenge.secret(), &response).await;
            assert!(matches!(done, Err(Error::Invalid { .. })), "{field}: an answer to another question");
        }
    }
}

/// Attack: the answer of a passkey is altered on its way.
#[tokio::test]
async fn an_altered_answer_proves_nothing() {
    let house = House::new().await;
    house.user("ann").await;
    let ann = house.caller("ann").await;
    let mut key = Key::new();
    enrol(&house, &ann, &mut key).await;
    for field in ["authenticatorData", "clientDataJSON", "signature"] {
        let mut at = 0;
        loop {
            let request = asked(&house).await;
            let mut response = key.get(&request.options).await;
            let values =
                [flipped(&response["response"][field]), broken(&response["response"][field])].concat();
            let Some(value) = values.get(at) else { break };
            response["response"][field] = value.clone();
            let done = answered(&house, &request, &response).await;
            assert!(matches!(done, Err(Error::Invalid { .. })), "{field}: {value}");
            at += 1;
        }
    }
    let request = asked(&house).await;
    let response = key.get(&request.options).await;
    answered(&house, &request, &response).await.unwrap();
}
