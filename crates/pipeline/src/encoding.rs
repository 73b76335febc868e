//! The forms in which a secret may turn up in what a step prints.

use std::fmt::Write;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// What RFC 3986 leaves as it is.
const RFC_3986: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// What JavaScript's `encodeURIComponent` leaves as it is.
const COMPONENT: &AsciiSet = &RFC_3986.remove(b'!').remove(b'\'').remove(b'(').remove(b')').remove(b'*');
/// What HTML forms leave as it is; a space becomes `+`.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b' ');

/// All forms of a secret, itself first. The same form may occur more than once.
pub(crate) fn forms(value: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![value.to_vec()];
    // A final line break is often not part of what is encoded.
    let trimmed = value.trim_ascii_end();
    for value in if trimmed.len() < value.len() { vec![value, trimmed] } else { vec![value] } {
        base64(value, &mut forms);
        percent(value, &mut forms);
        hexadecimal(value, &mut forms);
    }
    let text = String::from_utf8_lossy(value);
    forms.extend(json(&text));
    // `bash -x` shows a word in single quotes, and each quote within it as `'\''`.
    forms.push(text.replace('\'', r"'\''").into_bytes());
    lines(value, &mut forms);
    forms
}

/// Each line of a value of several lines.
fn lines(value: &[u8], forms: &mut Vec<Vec<u8>>) {
    let lines: Vec<&[u8]> =
        value.split(|byte| matches!(byte, b'\n' | b'\r')).map(<[u8]>::trim_ascii).collect();
    if lines.len() > 1 {
        // A short line, such as a closing brace, would be found everywhere.
        forms.extend(lines.into_iter().filter(|line| line.len() >= 8).map(<[u8]>::to_vec));
    }
}

/// Base64 takes three bytes at a time, so that a secret within a longer text has one of three forms. The characters at
/// both ends that depend on what stands beside the secret are left out; so are its own if it ends the text, in a form
/// of its own.
fn base64(value: &[u8], forms: &mut Vec<Vec<u8>>) {
    for before in 0..3 {
        let text = [vec![0; before].as_slice(), value].concat();
        let skip = [0, 2, 3].get(before).copied().unwrap_or_default();
        let whole = text.len() * 8 / 6;
        for encoded in [STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
            forms.extend(encoded.get(skip..whole).map(|part| part.as_bytes().to_vec()));
            forms.extend(encoded.get(skip..).map(|part| part.as_bytes().to_vec()));
        }
        forms.extend(STANDARD.encode(&text).get(skip..).map(|part| part.as_bytes().to_vec()));
    }
}

fn percent(value: &[u8], forms: &mut Vec<Vec<u8>>) {
    for set in [RFC_3986, COMPONENT, FORM] {
        let mut encoded = percent_encode(value, set).to_string();
        if std::ptr::eq(set, FORM) {
            encoded = encoded.replace(' ', "+");
        }
        forms.push(lower_digits(&encoded).into_bytes());
        forms.push(encoded.into_bytes());
    }
}

/// With the hexadecimal digits behind each `%` in lower case.
fn lower_digits(encoded: &str) -> String {
    let mut left = 0;
    let lower = |letter: char| match letter {
        '%' => {
            left = 2;
            letter
        }
        _ if left > 0 => {
            left -= 1;
            letter.to_ascii_lowercase()
        }
        _ => letter,
    };
    encoded.chars().map(lower).collect()
}

fn hexadecimal(value: &[u8], forms: &mut Vec<Vec<u8>>) {
    let mut digits = String::with_capacity(value.len() * 2);
    for byte in value {
        // Writing into a string does not fail.
        let _ = write!(digits, "{byte:02x}");
    }
    forms.push(digits.to_ascii_uppercase().into_bytes());
    forms.push(digits.into_bytes());
}

/// As text in JSON: with other letters than those of ASCII as they are, and escaped; with `/` as it is, and escaped.
fn json(text: &str) -> Vec<Vec<u8>> {
    let quoted = serde_json::Value::String(text.to_owned()).to_string();
    let plain = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned();
    let mut ascii = String::new();
    for letter in plain.chars() {
        if letter.is_ascii() {
            ascii.push(letter);
        } else {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                let _ = write!(ascii, "\\u{unit:04x}");
            }
        }
    }
    let slashes = ascii.replace('/', "\\/");
    [plain, ascii, slashes].map(String::into_bytes).to_vec()
}
