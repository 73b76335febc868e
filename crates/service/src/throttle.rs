//! Failed attempts to authenticate, slowed without letting anyone lock out another.
//!
//! Failures are counted per network the client comes from (/24, /64) and per account *and* network. Past a free
//! allowance each further failure doubles the time for which that network, or that network with that account, is
//! turned away. An account as such is never closed: its owner, coming from elsewhere, does not notice; attempts
//! spread over many networks only meet a short pause each, which costs the guesser and not the owner.
//! A right credential is never made to wait by what others got wrong elsewhere.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use model::Timestamp;

/// Failures that cost nothing: people mistype.
const FREE: u32 = 10;
/// A network carries many people.
const FREE_PER_NETWORK: u32 = 100;
/// Wrong codes of an account that cost nothing.
const FREE_CODES: u32 = 10;
/// The longest wait, in seconds.
const LONGEST: i64 = 300;
/// After so many quiet seconds a record is forgotten.
const FORGET: i64 = 900;
/// More records than this are not kept: the oldest go.
const MOST: usize = 50_000;

/// A network as the unit of suspicion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Network {
    V4([u8; 3]),
    V6([u16; 4]),
    Local,
}

impl Network {
    pub(crate) fn of(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            Some(IpAddr::V4(v4)) => {
                let [a, b, c, _] = v4.octets();
                Self::V4([a, b, c])
            }
            Some(IpAddr::V6(v6)) => {
                let [a, b, c, d, ..] = v6.segments();
                Self::V6([a, b, c, d])
            }
            None => Self::Local,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Network(Network),
    Account(Network, String),
    /// Codes of an account, from wherever: who gets to guess one knows the password.
    Code(String),
}

struct Record {
    failures: u32,
    last: Timestamp,
    closed_until: Timestamp,
}

/// The failures of the last minutes, in memory: a restart forgives.
#[derive(Default)]
pub(crate) struct Throttle {
    records: Mutex<HashMap<Key, Record>>,
}

fn keys(network: Network, account: Option<&str>) -> impl Iterator<Item = (Key, u32)> {
    let account = account.map(|account| (Key::Account(network, account.to_lowercase()), FREE));
    std::iter::once((Key::Network(network), FREE_PER_NETWORK)).chain(account)
}

impl Throttle {
    /// How many seconds an attempt has to wait; none when it may be made now.
    pub(crate) fn wait(&self, address: Option<IpAddr>, account: Option<&str>, now: Timestamp) -> Option<u64> {
        self.longest_wait(keys(Network::of(address), account).map(|(key, _)| key), now)
    }

    /// How many seconds a code of this account's has to wait.
    pub(crate) fn guess_wait(&self, account: &str, now: Timestamp) -> Option<u64> {
        self.longest_wait(std::iter::once(Key::Code(account.to_owned())), now)
    }

    fn longest_wait(&self, keys: impl Iterator<Item = Key>, now: Timestamp) -> Option<u64> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        keys.filter_map(|key| records.get(&key))
            .map(|record| record.closed_until.micros() - now.micros())
            .filter(|micros| *micros > 0)
            .max()
            .and_then(|micros| u64::try_from(micros).ok().map(|micros| micros.div_ceil(1_000_000)))
    }

    /// Counts a failed attempt.
    pub(crate) fn failed(&self, address: Option<IpAddr>, account: Option<&str>, now: Timestamp) {
        self.count(keys(Network::of(address), account), now);
    }

    /// Counts a wrong code of this account's.
    pub(crate) fn guess_failed(&self, account: &str, now: Timestamp) {
        self.count(std::iter::once((Key::Code(account.to_owned()), FREE_CODES)), now);
    }

    fn count(&self, keys: impl Iterator<Item = (Key, u32)>, now: Timestamp) {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        if records.len() >= MOST {
            let fresh = now.plus_seconds(-FORGET / 4);
            records.retain(|_, record| record.last >= fresh);
            if records.len() >= MOST {
                records.clear();
            }
        }
        let forget = now.plus_seconds(-FORGET);
        for (key, free) in keys {
            let record = records.entry(key).or_insert(Record { failures: 0, last: now, closed_until: now });
            if record.last < forget {
                record.failures = 0;
            }
            record.failures = record.failures.saturating_add(1);
            record.last = now;
            if let Some(beyond) = record.failures.checked_sub(free) {
                let seconds = 1i64.checked_shl(beyond.min(16)).unwrap_or(LONGEST).min(LONGEST);
                record.closed_until = now.plus_seconds(seconds);
            }
        }
    }

    /// Forgets the failures of an account from a network, once it has been proved to be its owner's.
    pub(crate) fn succeeded(&self, address: Option<IpAddr>, account: &str) {
        let key = Key::Account(Network::of(address), account.to_lowercase());
        self.records.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn a_guesser_waits_longer_and_the_owner_elsewhere_not_at_all() {
        let (throttle, now) = (Throttle::default(), Timestamp::from_micros(0));
        for _ in 0..FREE {
            assert_eq!(throttle.wait(address("192.0.2.7"), Some("Ann"), now), None);
            throttle.failed(address("192.0.2.7"), Some("ann"), now);
        }
        let first = throttle.wait(address("192.0.2.99"), Some("ann"), now).unwrap();
        throttle.failed(address("192.0.2.7"), Some("ann"), now);
        let second = throttle.wait(address("192.0.2.7"), Some("ANN"), now).unwrap();
        assert!(second > first);
        assert_eq!(throttle.wait(address("198.51.100.1"), Some("ann"), now), None);
        assert_eq!(throttle.wait(address("192.0.2.7"), Some("ben"), now), None);
    }

    #[test]
    fn time_forgives() {
        let (throttle, now) = (Throttle::default(), Timestamp::from_micros(0));
        for _ in 0..50 {
            throttle.failed(address("2001:db8::1"), Some("ann"), now);
        }
        assert_eq!(throttle.wait(address("2001:db8::ffff"), Some("ann"), now), Some(300));
        let later = now.plus_seconds(FORGET + 1);
        assert_eq!(throttle.wait(address("2001:db8::1"), Some("ann"), later), None);
        throttle.failed(address("2001:db8::1"), Some("ann"), later);
        assert_eq!(throttle.wait(address("2001:db8::1"), Some("ann"), later), None);
    }

    #[test]
    fn a_mapped_address_is_the_address_it_maps() {
        assert_eq!(Network::of(address("::ffff:192.0.2.7")), Network::of(address("192.0.2.1")));
    }
}
