//! Facts kept under the generation of access: any change of access raises the generation, and what was kept under an
//! older one is gone at the next look. So a revocation binds the next request that starts after it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// More entries than this are not kept; a full cache starts anew.
const MOST: usize = 20_000;

pub(crate) struct Cache<K, V> {
    state: Mutex<State<K, V>>,
}

struct State<K, V> {
    generation: u64,
    entries: HashMap<K, V>,
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::new(State { generation: 0, entries: HashMap::new() }) }
    }

    /// What is kept under this generation.
    pub(crate) fn get(&self, generation: u64, key: &K) -> Option<V> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.generation == generation { state.entries.get(key).cloned() } else { None }
    }

    /// Keeps what was read. `generation` is the one that was current *before* the reading: a change in between must
    /// not be hidden by what was read without it.
    pub(crate) fn put(&self, generation: u64, key: K, value: V) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.generation > generation {
            return;
        }
        if state.generation < generation || state.entries.len() >= MOST {
            state.generation = generation;
            state.entries.clear();
        }
        state.entries.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_generation_forgets() {
        let cache = Cache::new();
        cache.put(1, "a", 1);
        assert_eq!(cache.get(1, &"a"), Some(1));
        assert_eq!(cache.get(2, &"a"), None);
        cache.put(2, "b", 2);
        cache.put(1, "a", 1);
        assert_eq!((cache.get(2, &"a"), cache.get(2, &"b")), (None, Some(2)));
    }
}
