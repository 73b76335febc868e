//! Keys of SSH, in OpenSSH's forms: a line of a public key, and the file of a private one.
//!
//! The two forms are a few length-prefixed fields each (`PROTOCOL.key` of OpenSSH; RFC 4253, RFC 5656, RFC 8709), so they
//! are read here: the crate for them, `ssh-key`, is between two generations of its cryptography, and a call of `ssh-keygen`
//! would put a private key into a file and a program of the system into the way of a request. What is computed with
//! keys is the cryptographic library's. Not here: the older forms in PEM, keys with a passphrase, certificates.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use md5::{Digest, Md5};
use model::{Random, Secret};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The longest text that is read as a key, in bytes.
pub const LONGEST_SSH_KEY: usize = 16 * 1024;
/// How long the modulus of an RSA key must and may be, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

const HEAD: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
const FOOT: &str = "-----END OPENSSH PRIVATE KEY-----";
const MAGIC: &[u8] = b"openssh-key-v1\0";
const ED25519: &str = "ssh-ed25519";
const RSA: &str = "ssh-rsa";
/// Each curve with its name within a key, and how long a number of it is, in bytes.
const CURVES: [(&str, &str, usize); 3] = [
    ("ecdsa-sha2-nistp256", "nistp256", 32),
    ("ecdsa-sha2-nistp384", "nistp384", 48),
    ("ecdsa-sha2-nistp521", "nistp521", 66),
];

/// What is wrong with a text that should be a key. It tells nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SshKeyError {
    /// It is too long.
    #[error("a key has at most {LONGEST_SSH_KEY} bytes")]
    TooLong,
    /// It is of another form.
    #[error(
        "use a private key in OpenSSH's own form, which begins with `-----BEGIN OPENSSH PRIVATE KEY-----`; \
         `ssh-keygen -p -N '' -f FILE` brings an older one into it"
    )]
    OtherForm,
    /// It cannot be read.
    #[error("the key is damaged: copy it as a whole")]
    Malformed,
    /// It has a passphrase.
    #[error(
        "the key has a passphrase, which no step could enter: take it away by `ssh-keygen -p -N '' -f FILE`"
    )]
    Encrypted,
    /// It is of a kind that is not taken.
    #[error("use a key of the kind ssh-ed25519, ecdsa-sha2-nistp256, -384 or -521, or ssh-rsa")]
    Kind,
    /// It is too short, or too long.
    #[error("an RSA key has 2048 to 8192 bits; ssh-ed25519 is the better kind")]
    Bits,
    /// The halves are of two keys.
    #[error("the public key is not that of the private key")]
    NoPair,
}

type Result<T> = std::result::Result<T, SshKeyError>;

/// Reads fields, each behind its length.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn number(&mut self) -> Result<usize> {
        let (number, rest) = self.0.split_first_chunk::<4>().ok_or(SshKeyError::Malformed)?;
        self.0 = rest;
        usize::try_from(u32::from_be_bytes(*number)).map_err(|_| SshKeyError::Malformed)
    }

    fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.number()?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(SshKeyError::Malformed)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn text(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| SshKeyError::Malformed)
    }

    /// A number that is not negative, without zeros before it.
    fn integer(&mut self) -> Result<&'a [u8]> {
        let bytes = self.bytes()?;
        if bytes.first().is_some_and(|first| first & 0x80 != 0) {
            return Err(SshKeyError::Malformed);
        }
        Ok(plain(bytes))
    }

    fn end(&self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(SshKeyError::Malformed) }
    }
}

fn plain(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

fn put(into: &mut Vec<u8>, bytes: &[u8]) {
    into.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    into.extend_from_slice(bytes);
}

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshPublicKey {
    kind: &'static str,
    blob: Vec<u8>,
}

impl SshPublicKey {
    /// Reads what stands in the middle of a line: the key in Base64.
    ///
    /// # Errors
    /// When it is none, or of a kind that is not taken.
    pub fn from_base64(text: &str) -> Result<Self> {
        if text.len() > LONGEST_SSH_KEY {
            return Err(SshKeyError::TooLong);
        }
        Self::from_blob(&STANDARD.decode(text.trim()).map_err(|_| SshKeyError::Malformed)?)
    }

    /// Reads a line: the kind, the key in Base64, and a comment, which is passed over.
    ///
    /// # Errors
    /// Likewise, or when the kind is not the key's own.
    pub fn from_line(text: &str) -> Result<Self> {
        let mut words = text.split_ascii_whitespace();
        let kind = words.next().ok_or(SshKeyError::Malformed)?;
        let key = Self::from_base64(words.next().ok_or(SshKeyError::Malformed)?)?;
        if key.kind == kind { Ok(key) } else { Err(SshKeyError::Malformed) }
    }

    fn from_blob(blob: &[u8]) -> Result<Self> {
        let mut fields = Fields(blob);
        let name = fields.text()?;
        let kind = if name == ED25519 {
            if fields.bytes()?.len() != 32 {
                return Err(SshKeyError::Malformed);
            }
            ED25519
        } else if name == RSA {
            let (_exponent, modulus) = (fields.integer()?, fields.integer()?);
            let unused = modulus.first().map_or(0, |first| first.leading_zeros());
            let bits = modulus.len() * 8 - usize::try_from(unused).unwrap_or(0);
            if !RSA_BITS.contains(&bits) {
                return Err(SshKeyError::Bits);
            }
            RSA
        } else {
            let (kind, curve, length) =
                CURVES.iter().find(|(kind, ..)| *kind == name).ok_or(SshKeyError::Kind)?;
            let (named, point) = (fields.text()?, fields.bytes()?);
            if named != *curve || point.len() != 2 * length + 1 || point.first() != Some(&4) {
                return Err(SshKeyError::Malformed);
            }
            kind
        };
        fields.end()?;
        Ok(Self { kind, blob: blob.to_vec() })
    }

    /// Its kind: `ssh-ed25519`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The key in Base64.
    #[must_use]
    pub fn base64(&self) -> String {
        STANDARD.encode(&self.blob)
    }

    /// The line: kind and key, without a comment.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{} {}", self.kind, self.base64())
    }

    /// As older programs show it: `MD5:` and sixteen bytes in hexadecimal with colons.
    #[must_use]
    pub fn md5_fingerprint(&self) -> String {
        let bytes: Vec<String> = Md5::digest(&self.blob).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("MD5:{}", bytes.join(":"))
    }

    /// As `ssh-keygen -l` shows it: `SHA256:` and Base64.
    #[must_use]
    pub fn sha256_fingerprint(&self) -> String {
        format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(&self.blob)))
    }
}

/// A private key, whose halves belong together.
pub struct SshPrivateKey {
    text: Secret,
    public: SshPublicKey,
}

impl SshPrivateKey {
    /// A new one, of the kind Ed25519.
    ///
    /// # Errors
    /// When the cryptographic library refuses.
    pub fn generate(random: &Random) -> crate::Result<Self> {
        let seed: Zeroizing<[u8; 32]> = Zeroizing::new(random.bytes());
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice());
        let pair = pair.map_err(|_| crate::Error::Library("take a seed"))?;
        let public = pair.public_key().as_ref();
        let mut blob = Vec::new();
        put(&mut blob, ED25519.as_bytes());
        put(&mut blob, public);
        let mut inner = Zeroizing::new(Vec::with_capacity(256));
        // Twice the same number: whoever decrypts a key sees by it whether that went well.
        let check: [u8; 4] = random.bytes();
        inner.extend_from_slice(&check);
        inner.extend_from_slice(&check);
        put(&mut inner, ED25519.as_bytes());
        put(&mut inner, public);
        put(&mut inner, &Zeroizing::new([seed.as_slice(), public].concat()));
        put(&mut inner, b"");
        for padding in 1..=8_u8 {
            if inner.len().is_multiple_of(8) {
                break;
            }
            inner.push(padding);
        }
        let mut whole = Zeroizing::new(Vec::with_capacity(512));
        whole.extend_from_slice(MAGIC);
        for part in [b"none".as_slice(), b"none", b""] {
            put(&mut whole, part);
        }
        whole.extend_from_slice(&1_u32.to_be_bytes());
        put(&mut whole, &blob);
        put(&mut whole, &inner);
        let encoded = Zeroizing::new(STANDARD.encode(whole.as_slice()));
        let mut text = Zeroizing::new(String::with_capacity(512));
        text.push_str(HEAD);
        text.push('\n');
        for (at, letter) in encoded.chars().enumerate() {
            if at > 0 && at % 70 == 0 {
                text.push('\n');
            }
            text.push(letter);
        }
        text.push('\n');
        text.push_str(FOOT);
        text.push('\n');
        let public = SshPublicKey { kind: ED25519, blob };
        Ok(Self { text: Secret::new(text.to_string()), public })
    }

    /// Reads the file of a key, and checks that its halves belong together.
    ///
    /// # Errors
    /// When it is none, has a passphrase, or is of a kind that is not taken.
    pub fn read(text: &Secret) -> Result<Self> {
        if text.expose().len() > LONGEST_SSH_KEY {
            return Err(SshKeyError::TooLong);
        }
        let body = text.expose().trim().strip_prefix(HEAD).and_then(|rest| rest.strip_suffix(FOOT));
        let body = body.ok_or(SshKeyError::OtherForm)?;
        let body = Zeroizing::new(body.split_ascii_whitespace().collect::<String>());
        let bytes = Zeroizing::new(STANDARD.decode(body.as_bytes()).map_err(|_| SshKeyError::Malformed)?);
        let mut fields = Fields(bytes.strip_prefix(MAGIC).ok_or(SshKeyError::Malformed)?);
        if fields.text()? != "none" || fields.text()? != "none" {
            return Err(SshKeyError::Encrypted);
        }
        if !fields.bytes()?.is_empty() || fields.number()? != 1 {
            return Err(SshKeyError::Malformed);
        }
        let public = SshPublicKey::from_blob(fields.bytes()?)?;
        let inner = fields.bytes()?;
        fields.end()?;
        check_pair(inner, &public)?;
        // One line break at the end: without it some versions of `ssh` do not read the file.
        let kept: Zeroizing<String> = Zeroizing::new(text.expose().trim().replace('\r', ""));
        Ok(Self { text: Secret::new(format!("{}\n", kept.as_str())), public })
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &SshPublicKey {
        &self.public
    }

    /// The file.
    #[must_use]
    pub fn text(&self) -> &Secret {
        &self.text
    }
}

/// That the private half is that of a public key.
fn check_pair(inner: &[u8], public: &SshPublicKey) -> Result<()> {
    let mut fields = Fields(inner);
    if fields.number()? != fields.number()? || fields.text()? != public.kind {
        return Err(SshKeyError::Malformed);
    }
    let mut of_public = Fields(&public.blob);
    let _kind = of_public.bytes()?;
    match public.kind {
        ED25519 => {
            let (key, own, both) = (of_public.bytes()?, fields.bytes()?, fields.bytes()?);
            let (seed, again) = both.split_at_checked(32).ok_or(SshKeyError::Malformed)?;
            let pair = Ed25519KeyPair::from_seed_and_public_key(seed, key);
            if own != key || again != key || pair.is_err() {
                return Err(SshKeyError::NoPair);
            }
        }
        RSA => {
            let (exponent, modulus) = (of_public.integer()?, of_public.integer()?);
            let (own_modulus, own_exponent) = (fields.integer()?, fields.integer()?);
            let (_d, _iqmp, p, q) =
                (fields.integer()?, fields.integer()?, fields.integer()?, fields.integer()?);
            // Whoever knows the factors has the private key; neither may be a pretence such as 1.
            let of_size = |factor: &[u8]| factor.len() * 4 > modulus.len();
            let pair = own_modulus == modulus && own_exponent == exponent;
            if !pair || !of_size(p) || !of_size(q) || plain(&product(p, q)) != modulus {
                return Err(SshKeyError::NoPair);
            }
        }
        _ => {
            let (_curve, point) = (of_public.bytes()?, of_public.bytes()?);
            let (_own_curve, own, number) = (fields.bytes()?, fields.bytes()?, fields.integer()?);
            let (algorithm, length) = match point.len() {
                65 => (&ECDSA_P256_SHA256_ASN1_SIGNING, 32),
                97 => (&ECDSA_P384_SHA384_ASN1_SIGNING, 48),
                _ => (&ECDSA_P521_SHA512_ASN1_SIGNING, 66_usize),
            };
            let zeros = length.checked_sub(number.len()).ok_or(SshKeyError::Malformed)?;
            let number = Zeroizing::new([vec![0; zeros].as_slice(), number].concat());
            let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, &number, point);
            if own != point || pair.is_err() {
                return Err(SshKeyError::NoPair);
            }
        }
    }
    Ok(())
}

/// The product of two numbers, the highest byte first.
fn product(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut sums = vec![0_u64; a.len() + b.len()];
    for (at, x) in a.iter().rev().enumerate() {
        for (sum, y) in sums.iter_mut().skip(at).zip(b.iter().rev()) {
            *sum += u64::from(*x) * u64::from(*y);
        }
    }
    let mut carry = 0;
    let mut bytes = Vec::with_capacity(sums.len());
    for sum in sums {
        let total = sum + carry;
        carry = total >> 8;
        bytes.push(u8::try_from(total & 0xff).unwrap_or(0));
    }
    bytes.reverse();
    bytes
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn made(kind: &[&str]) -> (Secret, String, String) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("id");
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-N", "", "-C", "a b"]).args(kind).arg("-f").arg(&file);
        let ended = command.status().expect("openssh-client is installed");
        assert!(ended.success());
        let fingerprint = |hash: &str| {
            let told = Command::new("ssh-keygen").args(["-l", "-E", hash, "-f"]).arg(&file).output().unwrap();
            String::from_utf8(told.stdout).unwrap().split(' ').nth(1).unwrap().to_owned()
        };
        let public = std::fs::read_to_string(file.with_extension("pub")).unwrap();
        let private = Secret::new(std::fs::read_to_string(&file).unwrap());
        let key = SshPublicKey::from_line(&public).unwrap();
        assert_eq!(key.md5_fingerprint(), fingerprint("md5"));
        assert_eq!(key.sha256_fingerprint(), fingerprint("sha256"));
        (private, public, fingerprint("sha256"))
    }

    /// Held against OpenSSH itself.
    #[test]
    fn keys_of_every_kind_are_read_as_openssh_reads_them() {
        for kind in [
            ["-t", "ed25519"].as_slice(),
            &["-t", "rsa", "-b", "2048"],
            &["-t", "ecdsa", "-b", "256"],
            &["-t", "ecdsa", "-b", "384"],
            &["-t", "ecdsa", "-b", "521"],
        ] {
            let (private, public, _) = made(kind);
            let key = SshPrivateKey::read(&private).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
            assert!(public.starts_with(&key.public().line()), "{public}");
            assert_eq!(key.text().expose(), private.expose());
        }
    }

    #[test]
    fn a_key_that_is_made_here_is_one_to_openssh() {
        let key = SshPrivateKey::generate(&Random::seeded(1)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("id");
        std::fs::write(&file, key.text().expose()).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&file, mode).unwrap();
        let told = Command::new("ssh-keygen").arg("-y").arg("-f").arg(&file).output().unwrap();
        let told = String::from_utf8(told.stdout).unwrap();
        assert_eq!(told.trim(), key.public().line());
        assert_eq!(SshPrivateKey::read(key.text()).unwrap().public(), key.public());
    }

    /// Attack: the public half of somebody else's key with a private half of one's own, which people would believe.
    #[test]
    fn halves_of_two_keys_are_no_pair() {
        for kind in [["-t", "ed25519"].as_slice(), &["-t", "rsa", "-b", "2048"], &["-t", "ecdsa"]] {
            let (one, other) = (made(kind).0, made(kind).0);
            let decoded = |key: &Secret| {
                let lines = key.expose().lines().filter(|line| !line.starts_with('-'));
                STANDARD.decode(lines.collect::<String>()).unwrap()
            };
            let (one, other) = (decoded(&one), decoded(&other));
            // Magic, two words `none`, nothing, the number 1; then the public half.
            let start = MAGIC.len() + 8 + 8 + 4 + 4;
            let length = |key: &[u8]| {
                usize::try_from(u32::from_be_bytes(key[start..start + 4].try_into().unwrap())).unwrap()
            };
            let end = start + 4 + length(&one);
            let mixed = [&one[..end], &other[start + 4 + length(&other)..]].concat();
            let text = format!("{HEAD}\n{}\n{FOOT}\n", STANDARD.encode(mixed));
            assert_eq!(SshPrivateKey::read(&Secret::new(text)).err(), Some(SshKeyError::NoPair), "{kind:?}");
        }
    }

    #[test]
    fn what_is_no_key_for_a_step_says_why() {
        let (private, public, _) = made(&["-t", "ed25519"]);
        let read = |text: String| SshPrivateKey::read(&Secret::new(text)).err();
        assert_eq!(read(public.clone()), Some(SshKeyError::OtherForm));
        assert_eq!(read(private.expose().replace("AAAA", "")), Some(SshKeyError::Malformed));
        assert_eq!(read(format!("{HEAD}\n{FOOT}")), Some(SshKeyError::Malformed));
        assert_eq!(read("x".repeat(LONGEST_SSH_KEY + 1)), Some(SshKeyError::TooLong));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("id");
        let ended = Command::new("ssh-keygen").args(["-q", "-N", "secret", "-f"]).arg(&file).status();
        assert!(ended.unwrap().success());
        assert_eq!(read(std::fs::read_to_string(&file).unwrap()), Some(SshKeyError::Encrypted));
        assert_eq!(SshPublicKey::from_line("ssh-dss AAAAB3NzaC1kc3M=").err(), Some(SshKeyError::Kind));
        let other_kind = public.replacen(ED25519, RSA, 1);
        assert_eq!(SshPublicKey::from_line(&other_kind).err(), Some(SshKeyError::Malformed));
        assert_eq!(SshPublicKey::from_base64("%%").err(), Some(SshKeyError::Malformed));
    }
}
