//! Time-based one-time passwords (RFC 6238) in the one form that every app knows: SHA-1, six digits, half a minute.
//! Pure; that no code is used twice is for the store to hold.

use aws_lc_rs::{constant_time, hmac};
use model::{Random, Timestamp};
use zeroize::Zeroizing;

/// For how long a code is shown, in seconds.
const PERIOD: i64 = 30;
/// How many codes the clock of a device may be ahead or behind.
const DRIFT: i64 = 1;
/// Ten to the power of the number of digits.
const MODULUS: u32 = 1_000_000;
/// The length of a secret in bytes, as RFC 4226 recommends for SHA-1.
const LENGTH: usize = 20;

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A new secret.
pub(crate) fn secret(random: &Random) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(random.bytes::<LENGTH>().to_vec())
}

/// The time step of a moment: what a code is the code of.
fn time_step(now: Timestamp) -> i64 {
    now.seconds() / PERIOD
}

/// The six digits of a time step.
fn code(secret: &[u8], step: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    // RFC 4226, 5.3: the last four bits say where the four bytes lie.
    let at = usize::from(tag.last().copied().unwrap_or(0) & 0x0f);
    let four = tag.get(at..).and_then(<[u8]>::first_chunk::<4>).copied().unwrap_or_default();
    format!("{:06}", (u32::from_be_bytes(four) & 0x7fff_ffff) % MODULUS)
}

/// The time step whose code this is, if it is one of those that may be shown now. Every one is compared, so that the
/// time tells nothing.
pub(crate) fn matching_step(secret: &[u8], given: &str, now: Timestamp) -> Option<i64> {
    let middle = time_step(now);
    (middle - DRIFT..=middle + DRIFT).fold(None, |found, step| {
        let same = constant_time::verify_slices_are_equal(code(secret, step).as_bytes(), given.as_bytes());
        if same.is_ok() { Some(step) } else { found }
    })
}

/// Bytes as base32 without padding: how apps take a secret that is typed.
pub(crate) fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for chunk in bytes.chunks(5) {
        let mut five = [0u8; 8];
        for (to, from) in five.iter_mut().skip(3).zip(chunk) {
            *to = *from;
        }
        let bits = u64::from_be_bytes(five);
        for digit in 0..(chunk.len() * 8).div_ceil(5) {
            let index = usize::try_from((bits >> (35 - 5 * digit)) & 31).unwrap_or(0);
            text.push(char::from(BASE32.get(index).copied().unwrap_or(b'A')));
        }
    }
    text
}

/// The address that an app reads from a picture.
pub(crate) fn uri(secret: &[u8], issuer: &str, account: &str) -> String {
    // Names are of few characters (model::name), but an issuer may hold a port.
    let quoted = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let (issuer, account) = (quoted(issuer), quoted(account));
    format!(
        "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits=6&period=30",
        base32(secret)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const RFC: &[u8] = b"12345678901234567890";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    /// The last six of the eight digits in RFC 6238, appendix B.
    #[test]
    fn codes_are_those_of_the_rfc() {
        for (seconds, digits) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code(RFC, time_step(at(seconds))), digits);
        }
    }

    #[test]
    fn a_clock_may_be_off_by_one_code_and_no_more() {
        let now = at(1_111_111_111);
        for (off, taken) in [(-60, false), (-30, true), (0, true), (30, true), (60, false)] {
            let shown = code(RFC, time_step(at(1_111_111_111 + off)));
            assert_eq!(matching_step(RFC, &shown, now).is_some(), taken, "{off}");
        }
        for wrong in ["", "05047", "0504711", "050472", "٠٥٠٤٧١"] {
            assert!(matching_step(RFC, wrong, now).is_none(), "{wrong}");
        }
    }

    #[test]
    fn base32_is_that_of_rfc_4648() {
        for (bytes, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
    }
}
