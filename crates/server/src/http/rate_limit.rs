//! Budgets: how many requests an hour one credential, one workspace's tokens, or one address may make.
//!
//! Each budget refills steadily and may be spent in one go (the generic cell rate algorithm: one number per holder).
//! Git, the REST calls' classes and the anonymous have budgets of their own, so that a busy build server does not shut
//! out the people. Budgets are kept in memory per server process: a restart forgives, and several processes give
//! several times as much. They are high, because the server is its users' own: they stop a loop that ran away.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use model::{CredentialId, Error, Result, Timestamp, UserId, WorkspaceId};
use service::{Caller, Identity};

use crate::route::RateClass;

/// An hour, in microseconds: what a budget is counted over, and how long an empty one takes to be full again.
const HOUR: i64 = 3_600_000_000;
/// More holders than this are not remembered.
const MOST: usize = 100_000;
/// The part of a budget below which its holder is told that the end is near, as a divisor.
const NEAR: u32 = 5;

/// What is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Budget {
    /// The requests of one credential, or of one person without one, in one class of rows.
    Class(RateClass),
    /// The requests of all access tokens in one workspace.
    Workspace,
    /// The requests that nobody known makes from one address.
    Anonymous,
    /// All requests from one address, counted before anything is looked up for them.
    Address,
}

impl Budget {
    const ALL: [(Self, &'static str, u32); 11] = [
        (Self::Class(RateClass::General), "general", 200_000),
        (Self::Class(RateClass::Repositories), "repositories", 200_000),
        (Self::Class(RateClass::Raw), "raw", 200_000),
        (Self::Class(RateClass::Archives), "archives", 20_000),
        (Self::Class(RateClass::Webhooks), "webhooks", 50_000),
        (Self::Class(RateClass::Properties), "properties", 50_000),
        (Self::Class(RateClass::Git), "git", 100_000),
        (Self::Class(RateClass::Pages), "pages", 100_000),
        (Self::Workspace, "workspace", 1_000_000),
        (Self::Anonymous, "anonymous", 20_000),
        (Self::Address, "address", 2_000_000),
    ];

    /// Its name, in flags and in `X-RateLimit-Resource`.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(budget, ..)| *budget == self).map_or("general", |(_, name, _)| name)
    }
}

/// How large each budget is: requests an hour, or no limit.
#[derive(Clone, Debug)]
pub struct Budgets(HashMap<Budget, Option<u32>>);

impl Default for Budgets {
    fn default() -> Self {
        Self(Budget::ALL.iter().map(|(budget, _, limit)| (*budget, Some(*limit))).collect())
    }
}

impl Budgets {
    /// Sets one, written as `git=60000` or `git=off`; `all=off` sets every one.
    ///
    /// # Errors
    /// When there is no such budget, or the number is none.
    pub fn set(&mut self, text: &str) -> Result<()> {
        let names = || Budget::ALL.map(|(_, name, _)| name).join("`, `");
        let odd = || {
            Error::invalid(format!(
                "`{text}` is no budget: write NAME=NUMBER or NAME=off, NAME one of `{}`, `all`",
                names()
            ))
        };
        let (name, limit) = text.split_once('=').ok_or_else(odd)?;
        let limit = match limit {
            "off" => None,
            number => Some(number.parse::<u32>().ok().filter(|number| *number > 0).ok_or_else(odd)?),
        };
        let meant: Vec<Budget> = Budget::ALL
            .iter()
            .filter(|(_, known, _)| name == "all" || *known == name)
            .map(|(budget, ..)| *budget)
            .collect();
        if meant.is_empty() {
            return Err(odd());
        }
        self.0.extend(meant.into_iter().map(|budget| (budget, limit)));
        Ok(())
    }

    fn limit(&self, budget: Budget) -> Option<u32> {
        self.0.get(&budget).copied().flatten()
    }
}

/// Whose budget it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Holder {
    Credential(CredentialId),
    User(UserId),
    Workspace(WorkspaceId),
    V4([u8; 4]),
    /// The network that one subscriber is given whole.
    V6([u16; 4]),
}

impl Holder {
    fn at(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::V4(v4.octets()),
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

/// How a budget stands after a request: what its holder is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which.
    pub budget: Budget,
    /// Its size: requests an hour.
    pub limit: u32,
    /// Whether less than a fifth of it is left.
    pub near: bool,
}

/// What has been spent. For each holder: when their budget will be full again, in microseconds.
#[derive(Default)]
pub struct RateLimits {
    budgets: Budgets,
    spent: Mutex<HashMap<(Holder, Budget), i64>>,
}

impl RateLimits {
    /// With budgets of these sizes, all full.
    #[must_use]
    pub fn new(budgets: Budgets) -> Self {
        Self { budgets, spent: Mutex::default() }
    }

    /// Counts a request from an address, before anything else is known of it.
    ///
    /// # Errors
    /// [`Error::TooManyRequests`] when the budget is spent.
    pub fn from_address(&self, address: IpAddr, now: Timestamp) -> Result<()> {
        self.take(Holder::at(address), Budget::Address, now).map(drop)
    }

    /// Counts a request of a known caller; tells how the caller's own budget stands.
    ///
    /// # Errors
    /// [`Error::TooManyRequests`] when a budget is spent.
    pub fn of_caller(&self, caller: &Caller, class: RateClass, now: Timestamp) -> Result<Option<Standing>> {
        let holder = match (caller.credential(), caller.identity()) {
            (Some(credential), _) => Holder::Credential(credential.id),
            (None, Identity::User(user)) => Holder::User(user.id),
            (None, Identity::AccessToken(token)) => Holder::Credential(token.id),
            // Its address has a budget; what it asks follows from the steps that it runs.
            (None, Identity::Operator | Identity::Runner(_)) => return Ok(None),
            (None, Identity::Anonymous) => {
                let Some(address) = caller.address() else { return Ok(None) };
                return self.take(Holder::at(address), Budget::Anonymous, now);
            }
        };
        let standing = self.take(holder, Budget::Class(class), now)?;
        if let Identity::AccessToken(token) = caller.identity()
            && let model::Holder::Resource(_, workspace) = token.holder
        {
            self.take(Holder::Workspace(workspace), Budget::Workspace, now)?;
        }
        Ok(standing)
    }

    fn take(&self, holder: Holder, budget: Budget, now: Timestamp) -> Result<Option<Standing>> {
        let Some(limit) = self.budgets.limit(budget) else { return Ok(None) };
        let (now, each) = (now.micros(), HOUR / i64::from(limit));
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        if spent.len() >= MOST {
            spent.retain(|_, full| *full > now);
            if spent.len() >= MOST {
                spent.clear();
            }
        }
        let full = spent.entry((holder, budget)).or_insert(now);
        // A clock that was set back must not leave anybody waiting for what lies further off than an empty budget.
        let after = (*full).clamp(now, now + HOUR) + each;
        let missing = after - now;
        if missing > HOUR {
            let retry_after = u64::try_from((missing - HOUR).div_euclid(1_000_000) + 1).unwrap_or(1);
            return Err(Error::TooManyRequests { retry_after });
        }
        *full = after;
        let near = HOUR - missing < HOUR / i64::from(NEAR);
        Ok(Some(Standing { budget, limit, near }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

    fn limits(of: &[&str]) -> RateLimits {
        let mut budgets = Budgets::default();
        of.iter().for_each(|text| budgets.set(text).unwrap());
        RateLimits::new(budgets)
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_budget_is_spent_and_refills_steadily() {
        let limits = limits(&["address=60"]);
        (0..60).for_each(|_| limits.from_address(ADDRESS, at(1000)).unwrap());
        let refused = limits.from_address(ADDRESS, at(1000)).unwrap_err();
        assert!(matches!(refused, Error::TooManyRequests { retry_after: 60..=61 }), "{refused:?}");
        limits.from_address(ADDRESS, at(1060)).unwrap();
        limits.from_address(ADDRESS, at(1060)).unwrap_err();
        (0..60).for_each(|_| limits.from_address(ADDRESS, at(10_000)).unwrap());
    }

    #[test]
    fn one_holder_does_not_spend_anothers() {
        let limits = limits(&["address=1", "anonymous=1"]);
        limits.from_address(ADDRESS, at(0)).unwrap();
        limits.from_address("192.0.2.8".parse().unwrap(), at(0)).unwrap();
        limits.from_address("::ffff:192.0.2.8".parse().unwrap(), at(0)).unwrap_err();
        limits.from_address("2001:db8::1".parse().unwrap(), at(0)).unwrap();
        limits.from_address("2001:db8::ffff:2".parse().unwrap(), at(0)).unwrap_err();
        limits.from_address("2001:db8:1::1".parse().unwrap(), at(0)).unwrap();
        let nobody = Caller::anonymous(Some(ADDRESS), model::RequestId::new(&model::Random::seeded(1)));
        limits.of_caller(&nobody, RateClass::Git, at(0)).unwrap();
        limits.of_caller(&nobody, RateClass::General, at(0)).unwrap_err();
    }

    #[test]
    fn a_holder_is_told_when_the_end_is_near() {
        let limits = limits(&["anonymous=10"]);
        let nobody = Caller::anonymous(Some(ADDRESS), model::RequestId::new(&model::Random::seeded(1)));
        let near = |_| limits.of_caller(&nobody, RateClass::Git, at(0)).unwrap().unwrap().near;
        let told: Vec<bool> = (0..10).map(near).collect();
        assert_eq!(told, [false, false, false, false, false, false, false, false, true, true]);
    }

    #[test]
    fn a_clock_that_goes_back_makes_nobody_wait_longer_than_for_an_empty_budget() {
        let limits = limits(&["address=2"]);
        limits.from_address(ADDRESS, at(1_000_000)).unwrap();
        let refused = limits.from_address(ADDRESS, at(0)).unwrap_err();
        assert!(matches!(refused, Error::TooManyRequests { retry_after: ..=1801 }), "{refused:?}");
    }

    #[test]
    fn budgets_are_written_by_name() {
        let mut budgets = Budgets::default();
        budgets.set("git=7").unwrap();
        assert_eq!(budgets.limit(Budget::Class(RateClass::Git)), Some(7));
        budgets.set("git=off").unwrap();
        assert_eq!(budgets.limit(Budget::Class(RateClass::Git)), None);
        budgets.set("all=off").unwrap();
        assert_eq!(budgets.limit(Budget::Address), None);
        for odd in ["git", "git=", "git=0", "git=-1", "git=99999999999", "gits=1", "=1", ""] {
            assert!(budgets.set(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn what_has_no_limit_is_not_counted() {
        let limits = limits(&["all=off"]);
        (0..100).for_each(|_| limits.from_address(ADDRESS, at(0)).unwrap());
        assert!(limits.spent.lock().unwrap().is_empty());
    }
}
