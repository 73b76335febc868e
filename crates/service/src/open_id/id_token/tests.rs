//! Attacks on the ID token, with real keys.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use model::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::OutboundSettings;
use crate::open_id::Providers;
use crate::outbound::Outbound;

const NOW: i64 = 1_790_000_000;
const ISSUER: &str = "https://id.example.com";

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

struct Provider {
    rsa: RsaKeyPair,
    curve: EcdsaKeyPair,
}

impl Provider {
    fn new() -> Self {
        let curve = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(), curve }
    }

    fn set(&self) -> Value {
        let public = self.rsa.public_key();
        let (n, e) = (public.modulus(), public.exponent());
        let point = self.curve.public_key().as_ref();
        json!({ "keys": [
            { "kty": "RSA", "kid": "rsa", "use": "sig",
              "n": encoded(n.big_endian_without_leading_zero()), "e": encoded(e.big_endian_without_leading_zero()) },
            { "kty": "EC", "kid": "curve", "crv": "P-256", "alg": "ES256",
              "x": encoded(&point[1..33]), "y": encoded(&point[33..]) },
            { "kty": "oct", "kid": "shared", "k": encoded(b"a secret that everybody knows now") },
            { "kty": "RSA", "kid": "sealing", "use": "enc", "n": "AQAB", "e": "AQAB" },
            { "kty": "novel", "kid": "novel" },
        ]})
    }

    fn keys(&self) -> Keys {
        Keys::parse(self.set().to_string().as_bytes()).unwrap()
    }

    fn rsa(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", encoded(header), encoded(claims));
        let mut signature = vec![0; self.rsa.public_modulus_len()];
        let padding: &'static dyn aws_lc_rs::signature::RsaEncoding =
            if header.contains("PS256") { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
        self.rsa.sign(padding, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
        format!("{signed}.{}", encoded(signature))
    }

    fn curve(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", encoded(header), encoded(claims));
        let signature = self.curve.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", encoded(signature))
    }
}

const RS256: &str = r#"{"alg":"RS256","kid":"rsa"}"#;

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": "bastide", "nonce": "n-1", "sub": "248289761001", "iat": NOW - 1, "exp": NOW + 300,
        "email": "ann@example.com", "email_verified": true, "groups": ["dev", "ops"], "auth_time": NOW - 5,
    })
}

fn changed(name: &str, value: Value) -> String {
    let mut claims = claims();
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
        value => claims[name] = value,
    }
    claims.to_string()
}

fn read(keys: &Keys, token: &str) -> Result<Claims, Refused> {
    let expected = Expected { issuer: ISSUER, client_id: "bastide", nonce: "n-1", now: NOW };
    verify(token, keys, &expected, Some("groups"))
}

#[test]
fn what_the_provider_signed_is_believed() {
    let provider = Provider::new();
    let keys = provider.keys();
    let said = read(&keys, &provider.rsa(RS256, &claims().to_string())).unwrap();
    assert_eq!((said.subject.as_str(), said.groups.len()), ("248289761001", 2));
    assert_eq!(said.verified_email.as_deref(), Some("ann@example.com"));
    assert_eq!(said.proved_on, Some(NOW - 5));
    let text = claims().to_string();
    read(&keys, &provider.rsa(r#"{"alg":"PS256","kid":"rsa"}"#, &text)).unwrap();
    read(&keys, &provider.curve(r#"{"alg":"ES256","kid":"curve"}"#, &text)).unwrap();
    read(&keys, &provider.curve(r#"{"alg":"ES256"}"#, &text)).unwrap();
    read(&keys, &provider.rsa(RS256, &changed("aud", json!(["bastide"])))).unwrap();
    let unverified = read(&keys, &provider.rsa(RS256, &changed("email_verified", json!(false)))).unwrap();
    assert_eq!(unverified.verified_email, None);
    let none = read(&keys, &provider.rsa(RS256, &changed("groups", Value::Null))).unwrap();
    assert!(none.groups.is_empty());
}

/// Attack: a token signed by nobody, or with what everybody knows: the public key taken for a shared secret.
#[test]
fn the_token_does_not_choose_how_it_is_checked() {
    let provider = Provider::new();
    let (keys, text) = (provider.keys(), claims().to_string());
    for none in ["none", "None", "NONE", "nOnE"] {
        let header = format!(r#"{{"alg":"{none}","kid":"rsa"}}"#);
        for token in [
            format!("{}.{}.", encoded(&header), encoded(&text)),
            format!("{}.{}.{}", encoded(&header), encoded(&text), encoded(b"x")),
            format!("{}.{}", encoded(&header), encoded(&text)),
        ] {
            assert!(matches!(read(&keys, &token), Err(Refused::Because(_))), "{token}");
        }
    }
    let set = provider.set();
    let modulus = URL_SAFE_NO_PAD.decode(set["keys"][0]["n"].as_str().unwrap()).unwrap();
    let public = provider.rsa.public_key();
    let encoded_key = AsDer::<PublicKeyX509Der<'_>>::as_der(public).unwrap();
    let shared: [&[u8]; 6] = [
        &modulus,
        public.as_ref(),
        encoded_key.as_ref(),
        set["keys"][0]["n"].as_str().unwrap().as_bytes(),
        b"a secret that everybody knows now",
        b"",
    ];
    for secret in shared {
        for kid in ["rsa", "shared", "curve"] {
            let header = format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#);
            let signed = format!("{}.{}", encoded(header), encoded(&text));
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
            assert!(read(&keys, &format!("{signed}.{}", encoded(tag))).is_err(), "{kid}");
        }
    }
    let other = r#"{"alg":"ES256","kid":"rsa"}"#;
    assert_eq!(
        read(&keys, &provider.curve(other, &text)),
        Err(Refused::Because("its algorithm is not its key's"))
    );
    // The key says that it is for ES256 alone, and another key of the set is named.
    assert!(read(&keys, &provider.rsa(r#"{"alg":"RS256","kid":"curve"}"#, &text)).is_err());
    assert!(read(&keys, &provider.rsa(r#"{"alg":"RS256","kid":"sealing"}"#, &text)).is_err());
    assert!(read(&keys, &provider.rsa(r#"{"alg":"RS256","kid":"rsa","crit":["x"]}"#, &text)).is_err());
    let embedded = format!(r#"{{"alg":"RS256","jwk":{}}}"#, Provider::new().set()["keys"][0]);
    assert!(read(&keys, &Provider::new().rsa(&embedded, &text)).is_err(), "a key in the token is nobody's");
}

/// Attack: a token of another provider, for another client, of another attempt, from another time.
#[test]
fn a_token_is_for_this_attempt_alone() {
    let provider = Provider::new();
    let keys = provider.keys();
    for (name, value) in [
        ("iss", json!("https://evil.example.com")),
        ("iss", json!("https://id.example.com/")),
        ("iss", Value::Null),
        ("aud", json!("another")),
        ("aud", json!(["another"])),
        ("aud", json!(["bastide", "another"])),
        ("aud", json!({ "bastide": true })),
        ("aud", Value::Null),
        ("azp", json!("another")),
        ("azp", json!(1)),
        ("nonce", json!("n-2")),
        ("nonce", Value::Null),
        ("exp", json!(NOW - 61)),
        ("exp", json!("never")),
        ("exp", Value::Null),
        ("iat", json!(NOW + 120)),
        ("iat", json!(NOW - 3_600)),
        ("iat", Value::Null),
        ("nbf", json!(NOW + 120)),
        ("nbf", json!("now")),
        ("sub", json!("")),
        ("sub", json!(7)),
        ("sub", Value::Null),
        ("groups", json!({ "admins": true })),
        ("groups", json!([1])),
        ("_claim_names", json!({ "groups": "src1" })),
    ] {
        let token = provider.rsa(RS256, &changed(name, value.clone()));
        assert!(matches!(read(&keys, &token), Err(Refused::Because(_))), "{name}: {value}");
    }
    let both = changed("aud", json!(["bastide", "another"]));
    let both = both.replace("\"aud\"", "\"azp\":\"bastide\",\"aud\"");
    read(&keys, &provider.rsa(RS256, &both)).unwrap();
}

/// Attack: a claim that one reader takes from its first place and another from its last.
#[test]
fn a_claim_that_stands_twice_is_none() {
    let provider = Provider::new();
    let keys = provider.keys();
    let twice = claims().to_string().replace("\"sub\"", "\"sub\":\"somebody\",\"sub\"");
    assert!(read(&keys, &provider.rsa(RS256, &twice)).is_err());
    let header = r#"{"alg":"RS256","alg":"RS256","kid":"rsa"}"#;
    assert!(read(&keys, &provider.rsa(header, &claims().to_string())).is_err());
}

/// Attack: a key that the provider has taken back, or never had.
#[test]
fn a_key_that_is_not_in_the_set_signs_nothing() {
    let (provider, before) = (Provider::new(), Provider::new());
    let keys = provider.keys();
    let old = before.rsa(r#"{"alg":"RS256","kid":"of-last-year"}"#, &claims().to_string());
    assert_eq!(read(&keys, &old), Err(Refused::UnknownKey));
    let old = before.rsa(RS256, &claims().to_string());
    assert_eq!(read(&keys, &old), Err(Refused::Because("its signature is wrong")));
    assert_eq!(read(&Keys::default(), &old), Err(Refused::UnknownKey));
}

/// A provider's documents, served until the test is over.
struct Publisher {
    issuer: String,
    keys: Arc<Mutex<Value>>,
}

impl Publisher {
    fn start(keys: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let (told, keys) = (issuer.clone(), Arc::new(Mutex::new(keys)));
        let served = Arc::clone(&keys);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let asked = lines.next().unwrap().unwrap();
                while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
                let body = match asked.contains("/.well-known/") {
                    true => json!({
                        "issuer": told, "authorization_endpoint": format!("{told}/auth"),
                        "token_endpoint": format!("{told}/token"), "jwks_uri": format!("{told}/keys"),
                    }),
                    false => served.lock().unwrap().clone(),
                }
                .to_string();
                let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length:";
                write!(stream, "{head} {}\r\n\r\n{body}", body.len()).unwrap();
            }
        });
        Self { issuer, keys }
    }
}

/// Attack: a key that leaked, and that its provider has taken back, still signs for whoever found it.
#[tokio::test]
async fn a_key_that_was_taken_back_signs_nothing_from_the_next_look_on() {
    let (before, after) = (Provider::new(), Provider::new());
    let published = Publisher::start(before.set());
    let issuer = published.issuer.as_str();
    let allowed = vec!["127.0.0.0/8".parse().unwrap()];
    let outbound = Outbound::new(&OutboundSettings { allowed, trusted: None }).unwrap();
    let providers = Providers::default();
    let at = |seconds: i64| Timestamp::from_micros((NOW + seconds) * 1_000_000);
    let read = |keys: &Keys, by: &Provider| {
        let token = by.rsa(RS256, &changed("iss", json!(issuer)));
        verify(&token, keys, &Expected { issuer, client_id: "bastide", nonce: "n-1", now: NOW }, None)
    };
    let wrong = Err(Refused::Because("its signature is wrong"));
    let first = providers.documents(&outbound, issuer, at(0)).await.unwrap();
    assert!(read(&first.keys, &before).is_ok());
    *published.keys.lock().unwrap() = after.set();
    // Not at everybody's whim.
    let soon = providers.renewed(&outbound, issuer, at(5)).await.unwrap();
    assert_eq!(read(&soon.keys, &after), wrong);
    let renewed = providers.renewed(&outbound, issuer, at(30)).await.unwrap();
    assert!(read(&renewed.keys, &after).is_ok());
    assert_eq!(read(&renewed.keys, &before), wrong);
    let kept = providers.documents(&outbound, issuer, at(31)).await.unwrap();
    assert_eq!(read(&kept.keys, &before), wrong);
    // And by age alone, where no token has named a key that is not known.
    *published.keys.lock().unwrap() = before.set();
    let kept = providers.documents(&outbound, issuer, at(3_600)).await.unwrap();
    assert!(read(&kept.keys, &after).is_ok(), "kept for an hour");
    let later = providers.documents(&outbound, issuer, at(3_700)).await.unwrap();
    assert_eq!(read(&later.keys, &after), wrong);
}

/// Any JSON, a few levels deep.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        Just(json!("bastide")),
        Just(json!(ISSUER)),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-z]{1,4}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

const CLAIMS: [&str; 12] = [
    "iss",
    "aud",
    "azp",
    "nonce",
    "sub",
    "iat",
    "exp",
    "nbf",
    "email",
    "email_verified",
    "groups",
    "auth_time",
];

proptest! {
    /// Attack: a provider signs claims of shapes that nobody expects, to be believed for another client, attempt or time.
    #[test]
    fn what_is_signed_in_an_odd_shape_is_read_and_believed_for_us_alone(
        name in proptest::sample::select(&CLAIMS[..]), value in anything(), header in anything()
    ) {
        thread_local! { static PROVIDER: Provider = Provider::new(); }
        let mut said = claims();
        said[name] = value;
        PROVIDER.with(|provider| {
            let keys = provider.keys();
            if let Ok(believed) = read(&keys, &provider.curve(r#"{"alg":"ES256","kid":"curve"}"#, &said.to_string())) {
                prop_assert!(said["iss"] == ISSUER && said["nonce"] == "n-1", "{said}");
                prop_assert!(said["aud"] == "bastide" || said["aud"] == json!(["bastide"]), "{said}");
                prop_assert_eq!(Some(believed.subject.as_str()), said["sub"].as_str());
                prop_assert!(believed.verified_email.is_none() || said["email_verified"] == true, "{said}");
            }
            let odd = provider.curve(&header.to_string(), &claims().to_string());
            prop_assert!(read(&keys, &odd).is_err() || header["alg"] == "ES256");
            Ok(())
        })?;
    }

    /// Attack: a token is altered on its way, by a single character.
    #[test]
    fn an_altered_token_is_not_believed(at in any::<proptest::sample::Index>(), to in "[A-Za-z0-9_.-]") {
        thread_local! { static TOKEN: (Keys, String) = {
            let provider = Provider::new();
            (provider.keys(), provider.curve(r#"{"alg":"ES256","kid":"curve"}"#, &claims().to_string()))
        }; }
        TOKEN.with(|(keys, token)| {
            let at = at.index(token.len());
            let altered = format!("{}{to}{}", &token[..at], &token[at + 1..]);
            prop_assert_eq!(read(keys, &altered).is_ok(), altered == *token);
            Ok(())
        })?;
    }

    #[test]
    fn nothing_panics(token in "[A-Za-z0-9_.-]{0,200}", bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let keys = Keys::parse(&bytes).unwrap_or_default();
        prop_assert!(read(&keys, &token).is_err());
    }
}
