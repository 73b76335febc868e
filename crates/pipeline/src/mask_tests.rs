#![cfg(test)]
//! What a masker hides, and that neither pieces nor lines matter.

use base64::{Engine, engine::general_purpose::STANDARD};
use proptest::prelude::*;

use super::*;

fn masker(secrets: &[(&str, &str)]) -> Masker {
    Masker::new(secrets.iter().map(|(name, value)| (*name, value.as_bytes()))).unwrap()
}

fn masked(secrets: &[(&str, &str)], text: &str) -> String {
    let mut masker = masker(secrets);
    let mut shown = Vec::new();
    masker.push(text.as_bytes(), &mut shown);
    masker.finish(&mut shown);
    String::from_utf8(shown).unwrap()
}

const SECRET: &[(&str, &str)] = &[("TOKEN", "s3cr3t/p@ss w0rd")];

#[test]
fn a_secret_is_hidden_wherever_it_occurs() {
    assert_eq!(masked(SECRET, "a s3cr3t/p@ss w0rd b\n"), "a $TOKEN b\n");
    assert_eq!(masked(SECRET, "s3cr3t/p@ss w0rds3cr3t/p@ss w0rd"), "$TOKEN$TOKEN");
    assert_eq!(masked(SECRET, "s3cr3t/p@ss w0r"), "s3cr3t/p@ss w0r");
    assert_eq!(masked(SECRET, ""), "");
}

#[test]
fn encoded_forms_are_hidden() {
    for form in [
        "s3cr3t%2Fp%40ss%20w0rd",
        "s3cr3t%2fp%40ss%20w0rd",
        "s3cr3t%2Fp%40ss+w0rd",
        "s3cr3t\\/p@ss w0rd",
        "7333637233742f70407373207730726",
        "7333637233742F70407373207730726",
    ] {
        let shown = masked(SECRET, &format!("x={form}&"));
        assert!(!shown.contains(&form[8..]) || form.starts_with('7'), "{form}: {shown}");
    }
    let quoted = &[("KEY", "it's \"so\"\nin two lines, größer")];
    assert_eq!(masked(quoted, r#"{"key":"it's \"so\"\nin two lines, größer"}"#), r#"{"key":"$KEY"}"#);
    assert_eq!(masked(quoted, r#"["it's \"so\"\nin two lines, gr\u00f6\u00dfer"]"#), r#"["$KEY"]"#);
    assert_eq!(masked(&[("KEY", "it's so")], r"+ echo 'it'\''s so'"), "+ echo '$KEY'");
    let hex = "7333637233742f704073732077307264";
    assert_eq!(masked(SECRET, hex), "$TOKEN");
    assert_eq!(masked(SECRET, &hex.to_uppercase()), "$TOKEN");
}

/// Base64 of a text that contains the secret: whatever stands before and behind it, what is left of the secret's own
/// characters is too little to tell a byte of it.
#[test]
fn base64_is_hidden_at_each_alignment() {
    for before in ["", "a", "ab", "abc", "user:"] {
        for behind in ["", "x", "xy", "xyz"] {
            let text = format!("{before}s3cr3t/p@ss w0rd{behind}");
            for encoded in
                [STANDARD.encode(&text), STANDARD.encode(&text).replace('+', "-").replace('/', "_")]
            {
                let shown = masked(SECRET, &format!("<{encoded}>"));
                assert!(shown.contains("$TOKEN"), "{text}: {shown}");
                let left = shown.replace("$TOKEN", "").trim_matches(['<', '>']).trim_end_matches('=').len();
                let own = (before.len() + behind.len()) * 8 / 6 + 3;
                assert!(left <= own, "{text}: {shown}");
            }
        }
    }
    assert_eq!(masked(SECRET, &STANDARD.encode("s3cr3t/p@ss w0rd")), "$TOKEN");
}

#[test]
fn line_breaks_within_a_secret_do_not_show_it() {
    assert_eq!(masked(SECRET, "a s3cr3t/\np@ss\r\n w0rd b"), "a $TOKEN\n\r\n b");
    let wrapped = "line one of the key\nline two of the key\n";
    let key = &[("KEY", wrapped)];
    assert_eq!(masked(key, "line one of the key\r\nline two of the key\r\n"), "$KEY\r\n\r\n");
    assert_eq!(masked(key, "  line two of the key\n  line one of the key\n"), "  $KEY\n  $KEY\n");
    assert_eq!(masked(key, "line one of the keyline two of the key"), "$KEY");
}

/// What two secrets share at their ends must not show the rest of either.
#[test]
fn secrets_that_overlap_are_hidden_together() {
    let secrets = &[("A", "abcdef"), ("B", "defghi"), ("C", "bcde")];
    assert_eq!(masked(secrets, "xabcdefghix"), "x$Ax");
    assert_eq!(masked(secrets, "abcdefabcdef"), "$A$A");
    assert_eq!(masked(secrets, "abcde!"), "a$C!");
}

#[test]
fn short_values_are_told_and_shown() {
    let masker = masker(&[("FLAG", "yes"), ("TOKEN", "long enough"), ("BLANK", "\n      ")]);
    assert_eq!(masker.too_short(), ["FLAG", "BLANK"]);
    assert_eq!(masked(&[("FLAG", "yes")], "yes\n"), "yes\n");
}

/// A line that cannot be the beginning of a secret must not wait for the next one.
#[test]
fn no_more_is_held_back_than_may_be_a_secret() {
    let mut masker = masker(SECRET);
    let mut shown = Vec::new();
    masker.push(b"compiling\n", &mut shown);
    assert_eq!(shown, b"compiling\n");
    masker.push(b"it is s3cr", &mut shown);
    assert_eq!(shown, b"compiling\nit is ");
    masker.push(b"et\n", &mut shown);
    assert_eq!(shown, b"compiling\nit is s3cret\n");
}

/// A secret of one letter, repeated, over a stream of that letter: each byte ends a match. Neither time nor memory may
/// grow with what was hidden.
#[test]
fn a_stream_that_is_all_secret_is_not_kept() {
    let secret = "a".repeat(1000);
    let mut masker = masker(&[("A", &secret)]);
    let mut shown = Vec::new();
    for _ in 0..1000 {
        masker.push(secret.as_bytes(), &mut shown);
        assert!(masker.held.len() <= 1000 && masker.hidden.len() <= 1);
    }
    masker.finish(&mut shown);
    assert_eq!(shown, b"$A");
}

#[test]
fn too_many_secrets_are_refused() {
    let large = "x".repeat(bounds::SECRETS + 1);
    assert!(matches!(Masker::new([("A", large.as_bytes())]), Err(MaskError::TooLarge)));
}

proptest! {
    /// However the stream is cut, the same is shown.
    #[test]
    fn pieces_do_not_matter(
        text in "[ab\n]{0,60}",
        secrets in proptest::collection::vec("[ab]{4,7}", 0..4),
        cuts in proptest::collection::vec(0usize..60, 0..12),
    ) {
        let secrets: Vec<(&str, &str)> = secrets.iter().map(|value| ("S", value.as_str())).collect();
        let mut masker = masker(&secrets);
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut <= text.len()).chain([0, text.len()]).collect();
        cuts.sort_unstable();
        let mut shown = Vec::new();
        for pair in cuts.windows(2) {
            masker.push(&text.as_bytes()[pair[0]..pair[1]], &mut shown);
        }
        masker.finish(&mut shown);
        prop_assert_eq!(String::from_utf8(shown).unwrap(), masked(&secrets, &text));
    }

    /// What is shown holds no secret, whatever stands around it, even with line breaks taken out.
    #[test]
    fn no_secret_is_shown(text in "[ab\n]{0,60}", secret in "[ab]{4,7}") {
        let shown = masked(&[("S", &secret)], &text);
        prop_assert!(!shown.replace('\n', "").contains(&secret));
        // Nothing else is hidden: where the secret is not, everything is as it was.
        if !text.replace('\n', "").contains(&secret) {
            prop_assert_eq!(shown, text);
        }
    }

    /// Line breaks stay, so that a log has as many lines as what was printed.
    #[test]
    fn lines_are_kept(text in "[abc\n]{0,80}", secret in "[abc]{4,5}") {
        let shown = masked(&[("S", &secret)], &text);
        prop_assert_eq!(shown.matches('\n').count(), text.matches('\n').count());
    }
}
