//! Randomness as a value, so that tests can repeat it.

use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

/// A source of random bytes: the system's, or a seeded one for tests. Cloning shares the source.
#[derive(Clone)]
pub struct Random(Source);

#[derive(Clone)]
enum Source {
    System,
    Seeded(Arc<Mutex<Seeded>>),
}

struct Seeded {
    seed: u64,
    drawn: u64,
}

impl Random {
    /// The operating system's generator.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A repeatable stream, for tests alone: its output can be guessed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded(Arc::new(Mutex::new(Seeded { seed, drawn: 0 }))))
    }

    /// `N` random bytes.
    ///
    /// # Panics
    /// When the operating system has no randomness to give: nothing that Bastide does would be safe without it.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        match &self.0 {
            Source::System => {
                #[expect(clippy::expect_used, reason = "without randomness no secret and no id may be made")]
                getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
            }
            Source::Seeded(state) => {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                for chunk in bytes.chunks_mut(32) {
                    state.drawn += 1;
                    let mut hash = Sha256::new();
                    hash.update(state.seed.to_be_bytes());
                    hash.update(state.drawn.to_be_bytes());
                    for (to, from) in chunk.iter_mut().zip(hash.finalize()) {
                        *to = from;
                    }
                }
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seeded_stream_repeats_and_does_not_stand_still() {
        let (one, two) = (Random::seeded(7), Random::seeded(7));
        let first: [u8; 40] = one.bytes();
        assert_eq!(first, two.bytes::<40>());
        assert_ne!(first, one.bytes::<40>());
        assert_ne!(Random::system().bytes::<32>(), Random::system().bytes::<32>());
    }
}
