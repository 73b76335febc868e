//! The ID token: whether it is the provider's, for this client and this attempt, and what it says.
//!
//! What is believed is decided by the key, never by the token: a key takes the algorithms of its own kind alone, so
//! neither `none` nor an HMAC made with a public key gets anywhere.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};

use super::strict_json;

/// The longest token, in bytes: many groups fit.
const LONGEST: usize = 64 << 10;
/// The most keys of a provider that are looked at.
const MOST_KEYS: usize = 64;
/// How far clocks may differ, in seconds.
const LEEWAY: i64 = 60;
/// A token is used right after it was issued, in seconds.
const OLDEST: i64 = 600;
/// The most groups that a token may name, and the longest name.
const MOST_GROUPS: usize = 2_000;
const LONGEST_GROUP: usize = 500;

/// The keys by which a provider signs.
#[derive(Default)]
pub(crate) struct Keys(Vec<Key>);

struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

impl Keys {
    /// Reads a key set. What is not for signatures, or of a kind that is not known, is passed over.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let set = strict_json::object(bytes)?;
        let keys = set.get("keys")?.as_array()?;
        Some(Self(keys.iter().take(MOST_KEYS).filter_map(Key::read).collect()))
    }

    /// The key that a token names, if it takes the token's algorithm. Without a name, the one that does.
    fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Result<&Key, Refused> {
        let named = self.0.iter().filter(|key| id.is_none() || key.id.as_deref() == id);
        let mut fit = named.clone().filter(|key| key.algorithms.contains(&algorithm));
        match (fit.next(), fit.next(), named.count()) {
            (Some(key), None, _) => Ok(key),
            (None, _, 0) => Err(Refused::UnknownKey),
            (None, _, _) => Err(Refused::Because("its algorithm is not its key's")),
            (Some(_), Some(_), _) => Err(Refused::Because("it does not say by which key it is signed")),
        }
    }
}

impl Key {
    fn read(value: &Value) -> Option<Self> {
        let told = |name: &str| value.get(name).and_then(Value::as_str);
        if told("use").is_some_and(|using| using != "sig") {
            return None;
        }
        let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
        use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
        let mut algorithms = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => vec![RS256, RS384, RS512, PS256, PS384, PS512],
            AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
                EllipticCurve::P256 => vec![ES256],
                EllipticCurve::P384 => vec![ES384],
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(curve) if curve.curve == EllipticCurve::Ed25519 => vec![EdDSA],
            _ => return None,
        };
        if let Some(only) = told("alg") {
            let only: Algorithm = only.parse().ok()?;
            algorithms.retain(|algorithm| *algorithm == only);
        }
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        Some(Self { id: told("kid").map(str::to_owned), algorithms, key })
    }
}

/// What a token must be of.
pub(crate) struct Expected<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) nonce: &'a str,
    /// In seconds since 1970.
    pub(crate) now: i64,
}

/// What a token says of its subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) subject: String,
    /// The address, where the provider says that it is its subject's.
    pub(crate) verified_email: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) groups: Vec<String>,
    /// When the subject last proved who they are, in seconds since 1970.
    pub(crate) proved_on: Option<i64>,
}

/// Why a token is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It names a key that is not in the set: the set may have changed.
    UnknownKey,
    /// For whoever looks after the provider.
    Because(&'static str),
}

/// What a token says, if it is the provider's and meant for this attempt.
pub(crate) fn verify(
    token: &str,
    keys: &Keys,
    expected: &Expected<'_>,
    groups_claim: Option<&str>,
) -> Result<Claims, Refused> {
    let odd = Refused::Because;
    if token.len() > LONGEST {
        return Err(odd("it is too long"));
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(odd("it has no signature"))?;
    let (header, payload) = signed.split_once('.').ok_or(odd("it has no claims"))?;
    if payload.contains('.') || signature.is_empty() {
        return Err(odd("it has not three parts"));
    }
    let decoded = |part: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| odd("a part of it is not base64url"))?;
        strict_json::object(&bytes).ok_or(odd("a part of it is no object, or has a name twice"))
    };
    let header = decoded(header)?;
    let algorithm = text(&header, "alg").and_then(|name| name.parse().ok());
    let algorithm = algorithm.ok_or(odd("its algorithm is not one that is taken"))?;
    if header.contains_key("crit") {
        return Err(odd("it asks for an extension"));
    }
    let key = keys.find(text(&header, "kid"), algorithm)?;
    match jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &key.key, algorithm) {
        Ok(true) => {}
        _ => return Err(odd("its signature is wrong")),
    }
    let claims = decoded(payload)?;
    check(&claims, expected)?;
    said(&claims, groups_claim)
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str)
}

fn check(claims: &Map<String, Value>, expected: &Expected<'_>) -> Result<(), Refused> {
    let odd = Refused::Because;
    let time = |name: &str| claims.get(name).and_then(Value::as_i64);
    if text(claims, "iss") != Some(expected.issuer) {
        return Err(odd("it is another issuer's"));
    }
    let several = match claims.get("aud") {
        Some(Value::String(one)) if one == expected.client_id => false,
        Some(Value::Array(list)) if list.iter().any(|one| one.as_str() == Some(expected.client_id)) => {
            list.len() > 1
        }
        _ => return Err(odd("it is meant for another client")),
    };
    match text(claims, "azp") {
        Some(party) if party == expected.client_id => {}
        None if !several && !claims.contains_key("azp") => {}
        _ => return Err(odd("it was issued to another client")),
    }
    if text(claims, "nonce") != Some(expected.nonce) {
        return Err(odd("it belongs to another attempt"));
    }
    let expires = time("exp").ok_or(odd("it has no end"))?;
    if expires.saturating_add(LEEWAY) <= expected.now {
        return Err(odd("it has expired"));
    }
    let issued = time("iat").ok_or(odd("it does not say when it was issued"))?;
    if issued > expected.now.saturating_add(LEEWAY) {
        return Err(odd("it comes from the future: look at the clocks"));
    }
    if issued < expected.now.saturating_sub(OLDEST) {
        return Err(odd("it is too old"));
    }
    if claims.contains_key("nbf") && time("nbf").is_none_or(|from| from > expected.now.saturating_add(LEEWAY))
    {
        return Err(odd("it is not valid yet"));
    }
    Ok(())
}

fn said(claims: &Map<String, Value>, groups_claim: Option<&str>) -> Result<Claims, Refused> {
    let odd = Refused::Because;
    let subject = text(claims, "sub").unwrap_or_default();
    if subject.is_empty() || subject.len() > 255 || subject.chars().any(char::is_control) {
        return Err(odd("it names no subject"));
    }
    // Some write it as a text.
    let verified = match claims.get("email_verified") {
        Some(Value::Bool(verified)) => *verified,
        Some(Value::String(text)) => text == "true",
        _ => false,
    };
    let owned = |name: &str| text(claims, name).map(str::to_owned);
    Ok(Claims {
        subject: subject.to_owned(),
        verified_email: owned("email").filter(|_| verified),
        name: owned("name"),
        username: owned("preferred_username"),
        groups: match groups_claim {
            Some(name) => groups(claims, name)?,
            None => Vec::new(),
        },
        proved_on: claims.get("auth_time").and_then(Value::as_i64),
    })
}

/// Providers leave the claim out where there are none.
fn groups(claims: &Map<String, Value>, name: &str) -> Result<Vec<String>, Refused> {
    let elsewhere = claims.get("_claim_names").is_some_and(|names| names.get(name).is_some());
    if elsewhere {
        // To take what is elsewhere for nothing would throw people out of their groups.
        return Err(Refused::Because(
            "it keeps the groups elsewhere: let the provider list only those that matter here",
        ));
    }
    let list = match claims.get(name) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(list)) => {
            let texts: Option<Vec<String>> = list.iter().map(|one| one.as_str().map(str::to_owned)).collect();
            texts.ok_or(Refused::Because("its groups are not a list of names"))?
        }
        Some(_) => return Err(Refused::Because("its groups are not a list of names")),
    };
    if list.len() > MOST_GROUPS || list.iter().any(|group| group.len() > LONGEST_GROUP) {
        return Err(Refused::Because("it names too many groups"));
    }
    Ok(list)
}

#[cfg(test)]
mod tests;
