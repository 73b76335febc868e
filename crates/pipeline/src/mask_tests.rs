#![cfg(test)]
//! What a masker hides, and that neither pieces nor lines matter.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;

fn masker(secrets: &[(&str, &str)]) -> Masker {
    Masker::new(secrets.iter().map(|(name, value)| (*name, value.as_bytes()))).unwrap()
}

fn masked(secrets: &[(&str, &str)], text: &str) -> String {
    shown_by(&mut masker(secrets), text)
}

/// What stands before the signature of each token: some kilobyte, as in those that Bastide makes.
fn claims() -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text.repeat(20));
    format!("{}.{}", part("{\"alg\":\"RS256\"}"), part("{\"repository\":\"acme/one\",\"ref\":\"x\"}"))
}

/// A signature of 342 letters, as a key of 2048 bits makes them.
fn signature_of(number: usize) -> String {
    let block = |at: usize| Sha256::digest(format!("{number} {at}"));
    URL_SAFE_NO_PAD.encode((0..8).flat_map(block).collect::<Vec<u8>>())
}

fn token(number: usize) -> String {
    format!("{}.{}", claims(), signature_of(number))
}

/// A masker of these tokens.
fn of_tokens(tokens: &[String]) -> Result<Masker, MaskError> {
    Masker::new(tokens.iter().map(|token| Secret::token("TOKEN", token.as_bytes())))
}

fn shown_by(masker: &mut Masker, text: &str) -> String {
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

/// Would catch: a token whose signature is shown, as it is or in one of the forms that other secrets are found in.
#[test]
fn the_signature_of_a_token_is_hidden_in_each_form() {
    let tokens = [token(1)];
    let [token] = &tokens;
    let mut masker = of_tokens(&tokens).unwrap();
    assert_eq!(shown_by(&mut masker, &format!("a {token} b\n")), format!("a {}.$TOKEN b\n", claims()));
    assert_eq!(shown_by(&mut masker, &format!("{token}{token}")), format!("{0}.$TOKEN{0}.$TOKEN", claims()));
    for before in ["", "x", "xy", "xyz", "{\"value\":\""] {
        for behind in ["", "\"", "\"}", "\"}\n"] {
            let encoded = STANDARD.encode(format!("{before}{token}{behind}"));
            let shown = shown_by(&mut masker, &encoded);
            let end = encoded.trim_end_matches('=');
            assert!(shown.contains("$TOKEN"), "{before:?} {behind:?}: {shown}");
            for part in [end.len() - 440..end.len() - 420, end.len() - 30..end.len() - 6] {
                assert!(!shown.contains(&end[part]), "{before:?} {behind:?}: {shown}");
            }
        }
    }
    let digits: String = signature_of(1).bytes().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(shown_by(&mut masker, &digits), "$TOKEN");
    assert_eq!(shown_by(&mut masker, &digits.to_uppercase()), "$TOKEN");
}

/// Would catch: what stands behind a part of a signature taken for the rest of it, or its rest shown behind a line break.
#[test]
fn a_signature_is_hidden_as_far_as_it_goes() {
    let signature = signature_of(1);
    let mut masker = of_tokens(&[token(1)]).unwrap();
    assert_eq!(shown_by(&mut masker, &format!("{}! and on", &signature[..50])), "$TOKEN! and on");
    assert_eq!(shown_by(&mut masker, &format!("{}!\n", &signature[..TELLING])), "$TOKEN!\n");
    let little = format!("{}!\n", &signature[..TELLING - 1]);
    assert_eq!(shown_by(&mut masker, &little), little);
    let lines = format!("{}\n{}\r\n{} end", &signature[..20], &signature[20..90], &signature[90..]);
    assert_eq!(shown_by(&mut masker, &lines), "$TOKEN\n\r\n end");
    // The end of a text ends what is followed in it.
    assert_eq!(shown_by(&mut masker, &signature[..50]), "$TOKEN");
    assert_eq!(shown_by(&mut masker, &signature[50..]), signature[50..]);
}

/// Would catch: a signature that waits for its end, so that a line which is over is not shown.
#[test]
fn no_line_waits_for_the_rest_of_a_signature() {
    let mut masker = of_tokens(&[token(1)]).unwrap();
    let mut shown = Vec::new();
    masker.push(&signature_of(1).as_bytes()[..100], &mut shown);
    masker.push(b"\n", &mut shown);
    assert_eq!(shown, b"$TOKEN\n");
    assert!(masker.held.is_empty() && masker.hidden.is_empty());
    masker.push(b"next\n", &mut shown);
    assert_eq!(shown, b"$TOKEN\nnext\n");
}

/// Attack: so many tokens that the agent has no memory left for what hides them. As many as there may be are hidden, each of
/// them, by an automaton whose size does not depend on how long they are; one more is refused.
#[test]
fn many_tokens_are_hidden_and_too_many_refused() {
    let mut tokens: Vec<String> = (0..bounds::HIDDEN_TOKENS).map(token).collect();
    let mut masker = of_tokens(&tokens).unwrap();
    assert!(masker.states.len() <= bounds::HIDDEN_TOKENS * TELLING * 7, "{} states", masker.states.len());
    for token in &tokens {
        assert_eq!(shown_by(&mut masker, token), format!("{}.$TOKEN", claims()));
    }
    tokens.push(token(bounds::HIDDEN_TOKENS));
    assert!(matches!(of_tokens(&tokens), Err(MaskError::TooManyTokens)));
}

/// Would catch: a credential that is no token hidden by its beginning alone, or not counted among the values.
#[test]
fn what_is_no_token_is_hidden_as_a_value() {
    let signature = signature_of(1);
    for value in [
        signature.clone(),
        format!("a.{signature}"),
        format!("a.b.{signature}.c"),
        format!("a.b.{signature}\n"),
        "a.b.short".to_owned(),
        format!("a.b.{}", "x".repeat(SIGNATURE.end() + 1)),
    ] {
        let secret = Secret::token("TOKEN", value.as_bytes());
        assert!(!secret.is_token(), "{value}");
        let mut masker = Masker::new([secret]).unwrap();
        assert_eq!(shown_by(&mut masker, value.trim_end()), "$TOKEN");
    }
    let large = "x".repeat(bounds::SECRETS + 1);
    assert!(matches!(Masker::new([Secret::token("TOKEN", large.as_bytes())]), Err(MaskError::TooLarge)));
}

/// Attack: half of a secret is printed, another secret comes to be hidden, then the other half is printed.
#[test]
fn a_secret_stays_hidden_while_others_are_added() {
    let all = [("A", "abcdef"), ("B", "defghi"), ("C", "bcde")];
    for text in ["xabcdefghix", "abcdef\nabcdef", "abcde!", "abcabcdefg\nhi"] {
        for cut in 0..=text.len() {
            let mut changed = masker(&all);
            let mut shown = Vec::new();
            changed.push(&text.as_bytes()[..cut], &mut shown);
            changed.change(masker(&[all[0], all[1], all[2], ("D", "another")]));
            changed.push(&text.as_bytes()[cut..], &mut shown);
            changed.push(b" another", &mut shown);
            changed.finish(&mut shown);
            let expected = format!("{} $D", masked(&all, text));
            assert_eq!(String::from_utf8(shown).unwrap(), expected, "{text} at {cut}");
        }
    }
    let text = format!("a {} b", signature_of(1));
    for cut in 0..=text.len() {
        let mut changed = of_tokens(&[token(1)]).unwrap();
        let mut shown = Vec::new();
        changed.push(&text.as_bytes()[..cut], &mut shown);
        changed.change(of_tokens(&[token(1), token(2)]).unwrap());
        changed.push(&text.as_bytes()[cut..], &mut shown);
        changed.finish(&mut shown);
        assert_eq!(String::from_utf8(shown).unwrap(), "a $TOKEN b", "at {cut}");
    }
}

/// Would catch: what was found of a secret that is hidden no more shown although it was here before.
#[test]
fn what_was_found_stays_hidden_when_its_secret_goes() {
    let mut changed = masker(&[("A", "abcdef"), ("B", "defghi")]);
    let mut shown = Vec::new();
    changed.push(b"abcdefg", &mut shown);
    // The other half of it may begin the other secret, and has not gone.
    assert_eq!(shown, b"$A");
    changed.change(masker(&[("B", "defghi")]));
    changed.push(b"!", &mut shown);
    changed.finish(&mut shown);
    assert_eq!(shown, b"$Ag!");
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

    /// However often what is hidden changes, what was hidden before and still is stays so.
    #[test]
    fn changes_do_not_matter(
        text in "[ab\n]{0,60}",
        secrets in proptest::collection::vec("[ab]{4,7}", 0..4),
        cuts in proptest::collection::vec(0usize..60, 0..6),
    ) {
        let secrets: Vec<(&str, &str)> = secrets.iter().map(|value| ("S", value.as_str())).collect();
        let mut changed = masker(&secrets);
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut <= text.len()).chain([0, text.len()]).collect();
        cuts.sort_unstable();
        let mut shown = Vec::new();
        for pair in cuts.windows(2) {
            changed.push(&text.as_bytes()[pair[0]..pair[1]], &mut shown);
            changed.change(masker(&secrets));
        }
        changed.finish(&mut shown);
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
