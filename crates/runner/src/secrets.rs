//! What is hidden of a step: the secrets that it begins with, and those that its agent gives it while it runs, for as long as
//! they open something. All logs of a step hide the same, and so does all else that is told of it.
//!
//! How much is hidden is bounded, since a step may ask for tokens without end. What does not fit is not given to the step:
//! a log that does not hide it would show it, and one that ends there would tell nothing any more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pipeline::identity::LONGEST_LIFE;
use pipeline::mask::{self, MaskError, Masker, Secret};
use tokio::time::Instant;

/// For how much longer than it lives a secret is hidden: clocks differ, and what a step prints comes a moment later.
const MARGIN: Duration = Duration::from_secs(600);
/// How long an identity token lives at most. When exactly one ends is the server's word by the server's clock.
const TOKEN_LIVES: Duration = Duration::from_secs(LONGEST_LIFE.unsigned_abs());

/// The secrets of a step. Clones are the same.
#[derive(Clone)]
pub(crate) struct Secrets(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    hidden: Vec<Hidden>,
    /// How often something was added.
    version: u64,
}

/// What is hidden, and until when: nothing where it is hidden to the end.
#[derive(Clone)]
struct Hidden {
    name: String,
    value: String,
    /// Whether it counts as an identity token.
    token: bool,
    until: Option<Instant>,
}

impl Hidden {
    fn secret(&self) -> Secret<'_> {
        let (name, value) = (self.name.as_str(), self.value.as_bytes());
        if self.token { Secret::token(name, value) } else { Secret::value(name, value) }
    }
}

impl Secrets {
    /// Of a step that begins with these, names and values; they are hidden to the end. Of a token the signature is hidden
    /// apart, too: whoever takes one to pieces prints it alone.
    pub(crate) fn new(secrets: &[(String, String)]) -> Self {
        let hidden = secrets.iter().flat_map(|(name, value)| {
            let is_token = Secret::token(name, value.as_bytes()).is_token();
            let hidden = |token| Hidden { name: name.clone(), value: value.clone(), token, until: None };
            std::iter::once(hidden(false)).chain(is_token.then(|| hidden(true)))
        });
        Self(Arc::new(Mutex::new(Known { hidden: hidden.collect(), version: 0 })))
    }

    /// Hides other values, all or none of these, in whatever is taken into the logs from here on: to the end, or for as long as
    /// they open something.
    ///
    /// # Errors
    /// When they do not fit. Then the step must not get them.
    pub(crate) fn hide(&self, values: &[(&str, &str)], lives: Option<Duration>) -> Result<(), MaskError> {
        self.add(values, false, lives)
    }

    /// Hides an identity token likewise, until it has ended.
    ///
    /// # Errors
    /// When it does not fit. Then the step must not get it.
    pub(crate) fn hide_token(&self, name: &str, token: &str) -> Result<(), MaskError> {
        let is_token = Secret::token(name, token.as_bytes()).is_token();
        self.add(&[(name, token)], is_token, Some(TOKEN_LIVES))
    }

    fn add(&self, values: &[(&str, &str)], token: bool, lives: Option<Duration>) -> Result<(), MaskError> {
        let now = Instant::now();
        let until = lives.and_then(|lives| now.checked_add(lives.saturating_add(MARGIN)));
        let hidden = values.iter().map(|(name, value)| Hidden {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
            token,
            until,
        });
        self.known().add(hidden.collect(), now)
    }

    /// Asks whether one more identity token can be hidden: before the server is asked, which keeps a record of each.
    ///
    /// # Errors
    /// When there are as many as there may be.
    pub(crate) fn fit_token(&self) -> Result<(), MaskError> {
        self.known().fit_token(Instant::now())
    }

    /// What hides them all. Where they are many, making it takes a second: a step that is under way does it on a thread of its
    /// own, and nobody waits for it to add another.
    ///
    /// # Errors
    /// When they cannot be hidden: then nothing may be shown.
    pub(crate) fn masker(&self) -> Result<Masker, MaskError> {
        let hidden = self.known().hidden.clone();
        masker(&hidden)
    }

    /// Another number whenever something was added.
    pub(crate) fn version(&self) -> u64 {
        self.known().version
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn add(&mut self, secrets: Vec<Hidden>, now: Instant) -> Result<(), MaskError> {
        self.forget_ended(now);
        let all = || self.hidden.iter().chain(&secrets);
        let values = all().filter(|one| !one.token).map(|one| one.value.len());
        mask::fits(values.sum(), all().filter(|one| one.token).count())?;
        self.hidden.extend(secrets);
        self.version += 1;
        Ok(())
    }

    fn fit_token(&mut self, now: Instant) -> Result<(), MaskError> {
        self.forget_ended(now);
        mask::fits(0, self.hidden.iter().filter(|one| one.token).count() + 1)
    }

    /// Those that have ended open nothing, and would fill what can be hidden.
    fn forget_ended(&mut self, now: Instant) {
        self.hidden.retain(|known| known.until.is_none_or(|until| until > now));
    }
}

fn masker(hidden: &[Hidden]) -> Result<Masker, MaskError> {
    Masker::new(hidden.iter().map(Hidden::secret))
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use pipeline::bounds::{HIDDEN_TOKENS, SECRETS};
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::log::hidden;

    fn value(value: &str, until: Option<Instant>) -> Hidden {
        Hidden { name: "REGISTRY_PASSWORD".to_owned(), value: value.to_owned(), token: false, until }
    }

    /// What ends a token, 342 letters as those of the server have, by its number.
    fn signature(number: usize) -> String {
        let block = |at: usize| Sha256::digest(format!("{number} {at}"));
        URL_SAFE_NO_PAD.encode((0..8).flat_map(block).collect::<Vec<u8>>())
    }

    /// A token of more than a kilobyte, minted at a time.
    fn minted(number: usize, at: Instant) -> Hidden {
        let value = format!("eyJ.{}.{}", "e".repeat(900), signature(number));
        let until = Some(at + TOKEN_LIVES + MARGIN);
        Hidden { name: "BASTIDE_OIDC_TOKEN".to_owned(), value, token: true, until }
    }

    /// Attack: secrets of one name that push out one that still opens something, so that a step can print it.
    #[test]
    fn what_still_opens_something_stays_hidden() {
        let now = Instant::now();
        let later = now.checked_add(Duration::from_secs(100));
        let hidden_now = vec![value("a-persons", None), value("over", Some(now))];
        let mut known = Known { hidden: hidden_now, version: 0 };
        for one in ["first", "second", "third"] {
            known.add(vec![value(one, later)], now).unwrap();
        }
        known.add(vec![value("a-persons", later)], now).unwrap();
        let values: Vec<_> = known.hidden.iter().map(|one| one.value.as_str()).collect();
        assert_eq!(values, ["a-persons", "first", "second", "third", "a-persons"]);
        let told = hidden(&mut masker(&known.hidden).unwrap(), "a-persons first second third");
        assert!(!values.iter().any(|value| told.contains(value)), "{told}");
    }

    /// Would catch: a step that asks for a token every ten seconds and has no log after some minutes, or has one that shows a
    /// token which still holds.
    #[test]
    fn each_token_is_hidden_while_it_holds_however_long_a_step_asks_for_more() {
        let begun = Instant::now();
        let every = Duration::from_secs(10);
        let mut known = Known { hidden: vec![value("a-persons", None)], version: 0 };
        let mut at = begun;
        for number in 0..1080 {
            at = begun + every * number;
            known.fit_token(at).unwrap();
            known.add(vec![minted(usize::try_from(number).unwrap(), at)], at).unwrap();
        }
        let holding = usize::try_from((TOKEN_LIVES + MARGIN).as_secs() / every.as_secs()).unwrap();
        assert_eq!(known.hidden.len(), 1 + holding);
        let mut hiding = masker(&known.hidden).unwrap();
        for number in 0..1080 {
            let shown = hidden(&mut hiding, &signature(usize::try_from(number).unwrap()));
            let holds = begun + every * number + TOKEN_LIVES > at;
            assert!(!holds || shown == "$BASTIDE_OIDC_TOKEN", "{number}: {shown}");
        }
        assert_eq!(hidden(&mut hiding, "a-persons"), "$REGISTRY_PASSWORD");
    }

    /// Attack: so many tokens that one of them is not hidden, or nothing is shown any more. The one too many is refused, what
    /// was there before stays hidden, and there is room again when others have ended.
    #[test]
    fn one_token_too_many_is_refused_and_the_log_goes_on() {
        let now = Instant::now();
        let mut known = Known::default();
        for number in 0..HIDDEN_TOKENS {
            known.fit_token(now).unwrap();
            known.add(vec![minted(number, now)], now).unwrap();
        }
        let version = known.version;
        assert!(matches!(known.fit_token(now), Err(MaskError::TooManyTokens)));
        assert!(matches!(known.add(vec![minted(HIDDEN_TOKENS, now)], now), Err(MaskError::TooManyTokens)));
        assert_eq!((known.hidden.len(), known.version), (HIDDEN_TOKENS, version));
        // A value is counted apart from them.
        known.add(vec![value("a-persons", None)], now).unwrap();
        let told = hidden(&mut masker(&known.hidden).unwrap(), &format!("a-persons {} on", signature(7)));
        assert_eq!(told, "$REGISTRY_PASSWORD $BASTIDE_OIDC_TOKEN on");
        let later = now + TOKEN_LIVES + MARGIN;
        known.fit_token(later).unwrap();
        known.add(vec![minted(HIDDEN_TOKENS, later)], later).unwrap();
        assert_eq!(known.hidden.len(), 2);
    }

    /// Would catch: a value that does not fit kept all the same, so that nothing can be hidden from then on.
    #[test]
    fn a_value_that_does_not_fit_is_refused() {
        let secrets = Secrets::new(&[("A".to_owned(), "x".repeat(SECRETS - 10))]);
        let two = [("B", "six..."), ("C", "and six")];
        assert!(matches!(secrets.hide(&two, None), Err(MaskError::TooLarge)));
        assert_eq!(secrets.version(), 0);
        secrets.hide(&[("B", "just fits")], None).unwrap();
        assert_eq!(secrets.version(), 1);
        assert_eq!(hidden(&mut secrets.masker().unwrap(), "six... just fits"), "six... $B");
    }

    /// Would catch: tokens of a step that count as values, of which some forty would fill all that can be hidden; and a
    /// signature that is shown where a token is taken to pieces, of one that the step began with or has asked for.
    #[test]
    fn tokens_are_known_as_such_and_taken_to_pieces_they_stay_hidden() {
        let token = |number| minted(number, Instant::now()).value;
        let secrets =
            Secrets::new(&[("VAULT_TOKEN".to_owned(), token(0)), ("A".to_owned(), "value".to_owned())]);
        for number in 1..=100 {
            secrets.hide_token("BASTIDE_OIDC_TOKEN", &token(number)).unwrap();
        }
        let mut masker = secrets.masker().unwrap();
        assert_eq!(hidden(&mut masker, &token(0)), "$VAULT_TOKEN");
        assert_eq!(hidden(&mut masker, &signature(0)), "$VAULT_TOKEN");
        let pieces = hidden(&mut masker, &token(100).replace('.', "\n"));
        assert_eq!(pieces, format!("eyJ\n{}\n$BASTIDE_OIDC_TOKEN", "e".repeat(900)));
    }
}
