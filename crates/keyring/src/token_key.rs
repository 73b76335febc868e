//! Keys that sign identity tokens: JSON Web Tokens that others verify with what an issuer publishes (RFC 7515, 7517,
//! 7518). Made by the cryptographic library with its own randomness, which takes none from outside.
//!
//! What is not here: what a token says, which key signs when, and verifying tokens.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::{Error, Keyring, Result};

/// What stands first in the context of a sealed key, so that nothing else can be opened as one.
const CONTEXT: &str = "identity-token-key";

/// How tokens are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TokenAlgorithm {
    /// RSA of 2048 bits, PKCS #1, SHA-256: what every verifier knows.
    #[default]
    Rs256,
    /// ECDSA over P-256 with SHA-256: shorter tokens, signed faster.
    Es256,
}

impl TokenAlgorithm {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Rs256, Self::Es256];

    /// Its name in the registry of JSON Web Algorithms.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

impl fmt::Display for TokenAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TokenAlgorithm {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|one| one.as_str() == text);
        found.ok_or(Error::Malformed("an algorithm is neither RS256 nor ES256"))
    }
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
}

impl Pair {
    /// The members of the public key that make it what it is, in the order in which its thumbprint takes them.
    fn members(&self) -> Result<Vec<(&'static str, String)>> {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Rsa(pair) => {
                let public = pair.public_key();
                let exponent = text(public.exponent().big_endian_without_leading_zero());
                let modulus = text(public.modulus().big_endian_without_leading_zero());
                Ok(vec![("e", exponent), ("kty", "RSA".to_owned()), ("n", modulus)])
            }
            Self::P256(pair) => {
                // The uncompressed form: 4, then both coordinates.
                let point = pair.public_key().as_ref();
                let coordinates = point.strip_prefix(&[4]).and_then(|rest| rest.split_at_checked(32));
                let (x, y) = coordinates
                    .filter(|(_, y)| y.len() == 32)
                    .ok_or(Error::Library("tell the public key"))?;
                let curve = ("crv", "P-256".to_owned());
                Ok(vec![curve, ("kty", "EC".to_owned()), ("x", text(x)), ("y", text(y))])
            }
        }
    }

    fn algorithm(&self) -> TokenAlgorithm {
        match self {
            Self::Rsa(_) => TokenAlgorithm::Rs256,
            Self::P256(_) => TokenAlgorithm::Es256,
        }
    }
}

/// A key that signs tokens, ready to sign. The store keeps it sealed.
pub struct TokenKey {
    pair: Pair,
    kid: String,
    public: Value,
    /// The header of every token that it signs, encoded, with the point behind it.
    head: String,
}

impl TokenKey {
    /// A new key. An RSA key takes a good part of a second of a processor.
    pub fn generate(algorithm: TokenAlgorithm) -> Result<Self> {
        let failed = |_| Error::Library("make a key");
        Self::of(match algorithm {
            TokenAlgorithm::Rs256 => Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?),
            TokenAlgorithm::Es256 => {
                Pair::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?)
            }
        })
    }

    fn of(pair: Pair) -> Result<Self> {
        let members = pair.members()?;
        let alg = pair.algorithm().as_str();
        let kid = thumbprint(&members);
        let mut public = json!({ "kid": kid, "alg": alg, "use": "sig" });
        if let Some(public) = public.as_object_mut() {
            public.extend(members.into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))));
        }
        let head = json!({ "alg": alg, "kid": kid, "typ": "JWT" }).to_string();
        let head = URL_SAFE_NO_PAD.encode(head) + ".";
        Ok(Self { pair, kid, public, head })
    }

    /// Its id: the SHA-256 thumbprint of the public key (RFC 7638).
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// How it signs.
    #[must_use]
    pub fn algorithm(&self) -> TokenAlgorithm {
        self.pair.algorithm()
    }

    /// The public key as an issuer publishes it: a JSON Web Key.
    #[must_use]
    pub fn public_jwk(&self) -> &Value {
        &self.public
    }

    /// A token in the compact form, of claims that are JSON already.
    pub fn sign(&self, claims: &[u8]) -> Result<String> {
        let failed = |_| Error::Library("sign");
        // Three letters stand for two bytes, near enough; the signature has at most 256 bytes.
        let mut token = String::with_capacity(self.head.len() + claims.len() * 3 / 2 + 400);
        token.push_str(&self.head);
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), token.as_bytes(), &mut signature)
                    .map_err(failed)?;
                token.push('.');
                URL_SAFE_NO_PAD.encode_string(&signature, &mut token);
            }
            Pair::P256(pair) => {
                let signature = pair.sign(&SystemRandom::new(), token.as_bytes()).map_err(failed)?;
                token.push('.');
                URL_SAFE_NO_PAD.encode_string(signature.as_ref(), &mut token);
            }
        }
        Ok(token)
    }

    /// Seals it for the store: it opens for this workspace and under its own id alone.
    pub fn seal(&self, keyring: &Keyring, workspace: &str) -> Result<Vec<u8>> {
        let failed = |_| Error::Library("write a key");
        let context = [CONTEXT, workspace, self.kid.as_str()];
        match &self.pair {
            Pair::Rsa(pair) => {
                let document: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
                keyring.seal(&context, document.as_ref())
            }
            Pair::P256(pair) => {
                let document = pair.to_pkcs8v1().map_err(failed)?;
                keyring.seal(&context, document.as_ref())
            }
        }
    }

    /// Opens what [`TokenKey::seal`] gave.
    pub fn unseal(
        keyring: &Keyring,
        (workspace, kid): (&str, &str),
        algorithm: TokenAlgorithm,
        sealed: &[u8],
    ) -> Result<Self> {
        let failed = |_| Error::Malformed("what was sealed is not a key of this algorithm");
        let bytes = keyring.open(&[CONTEXT, workspace, kid], sealed)?;
        let bytes = bytes.expose();
        let key = Self::of(match algorithm {
            TokenAlgorithm::Rs256 => Pair::Rsa(RsaKeyPair::from_pkcs8(bytes).map_err(failed)?),
            TokenAlgorithm::Es256 => {
                Pair::P256(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, bytes).map_err(failed)?)
            }
        })?;
        match key.kid == kid {
            true => Ok(key),
            false => Err(Error::Malformed("what was sealed is another key")),
        }
    }
}

/// RFC 7638: the required members alone, by name, without blanks.
fn thumbprint(members: &[(&'static str, String)]) -> String {
    let list: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect();
    let text = format!("{{{}}}", list.join(","));
    URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
    };
    use model::{Random, Timestamp};

    use super::*;
    use crate::MasterKey;

    const WORKSPACE: &str = "922e118c-f34f-4226-a897-0e0afbec553d";

    fn ring() -> Keyring {
        let random = Random::seeded(1);
        Keyring::create(&MasterKey::generate(&random), &random, Timestamp::from_micros(0)).unwrap().0
    }

    fn bytes(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    /// Verifies by the published key alone, as a stranger does.
    fn verifies(public: &Value, token: &str) -> bool {
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let member = |name: &str| bytes(public[name].as_str().unwrap());
        let signature = bytes(signature);
        if public["kty"] == "RSA" {
            let components = RsaPublicKeyComponents { n: member("n"), e: member("e") };
            return components.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature).is_ok();
        }
        let point = [vec![4], member("x"), member("y")].concat();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed.as_bytes(), &signature).is_ok()
    }

    #[test]
    fn what_a_key_signs_is_verified_by_what_it_publishes() {
        for algorithm in TokenAlgorithm::ALL {
            let (key, other) =
                (TokenKey::generate(algorithm).unwrap(), TokenKey::generate(algorithm).unwrap());
            let token = key.sign(br#"{"iss":"x"}"#).unwrap();
            let parts: Vec<&str> = token.split('.').collect();
            let header: Value = serde_json::from_slice(&bytes(parts[0])).unwrap();
            assert_eq!(header, json!({ "alg": algorithm.as_str(), "kid": key.kid(), "typ": "JWT" }));
            assert_eq!(bytes(parts[1]), br#"{"iss":"x"}"#);
            assert!(verifies(key.public_jwk(), &token));
            assert!(!verifies(other.public_jwk(), &token));
            let forged = [parts[0], &URL_SAFE_NO_PAD.encode(r#"{"iss":"y"}"#), parts[2]].join(".");
            assert!(!verifies(key.public_jwk(), &forged));
            assert_eq!(key.public_jwk()["kid"], key.kid());
            assert_eq!(key.public_jwk()["use"], "sig");
            // Nothing of the private key is published.
            for private in ["d", "p", "q", "dp", "dq", "qi"] {
                assert!(key.public_jwk().get(private).is_none());
            }
        }
    }

    #[test]
    fn a_key_is_sealed_and_opened_for_its_workspace_and_under_its_id() {
        let ring = ring();
        for algorithm in TokenAlgorithm::ALL {
            let key = TokenKey::generate(algorithm).unwrap();
            let sealed = key.seal(&ring, WORKSPACE).unwrap();
            let opened = TokenKey::unseal(&ring, (WORKSPACE, key.kid()), algorithm, &sealed).unwrap();
            assert_eq!(opened.public_jwk(), key.public_jwk());
            assert!(verifies(key.public_jwk(), &opened.sign(b"{}").unwrap()));
            for (workspace, kid) in [("another", key.kid()), (WORKSPACE, "another")] {
                let refused = TokenKey::unseal(&ring, (workspace, kid), algorithm, &sealed).map(drop);
                assert!(matches!(refused, Err(Error::NotAuthentic)));
            }
            let other = TokenAlgorithm::ALL.into_iter().find(|other| *other != algorithm).unwrap();
            let refused = TokenKey::unseal(&ring, (WORKSPACE, key.kid()), other, &sealed).map(drop);
            assert!(matches!(refused, Err(Error::Malformed(_))));
        }
    }

    /// RFC 7638, section 3.1: its example key and the thumbprint that it has.
    #[test]
    fn the_id_is_the_thumbprint_of_the_rfc() {
        let modulus = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs\
            tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbI\
            SD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let members =
            [("e", "AQAB".to_owned()), ("kty", "RSA".to_owned()), ("n", modulus.replace([' ', '\n'], ""))];
        assert_eq!(thumbprint(&members), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn algorithms_are_read_back() {
        for algorithm in TokenAlgorithm::ALL {
            assert_eq!(algorithm.to_string().parse::<TokenAlgorithm>().unwrap(), algorithm);
        }
        for other in ["none", "HS256", "rs256", ""] {
            assert!(other.parse::<TokenAlgorithm>().is_err());
        }
    }
}
