//! How many orders guests may place: nobody vouches for them, so each address and each client has a rate limit.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::{BuildHasher as _, Hash},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use shop_core::Email;

const PERIOD: TimeDelta = TimeDelta::minutes(1);
/// A client may be many people behind one address of their company.
const ORDERS_OF_A_CLIENT: u32 = 10;
/// How many addresses and clients are remembered at once, in about 2 MB. While all places are taken, no new ones are admitted.
const MOST_KEYS: usize = 65_536;

/// The rate limit for guests' orders: a number per minute for each e-mail address, and ten times as many for each client.
///
/// It applies to this replica: several replicas together allow correspondingly more. Clones count together.
#[derive(Clone, Debug)]
pub(crate) struct GuestRate(Option<Arc<Rates>>);

#[derive(Debug)]
struct Rates {
    a_minute: u32,
    /// Unknown to attackers, so that nobody can find an address that shares another one's place.
    hasher: RandomState,
    /// When each will have its full allowance again: the theoretical arrival time of GCRA.
    restored: Mutex<HashMap<u64, DateTime<Utc>>>,
}

/// Too many orders, and when the next one is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany {
    pub(crate) retry_after: TimeDelta,
}

impl GuestRate {
    /// Allows `a_minute` orders per minute for one e-mail address; 0: no limit.
    pub(crate) fn new(a_minute: u32) -> Self {
        Self(
            (a_minute > 0).then(|| {
                Arc::new(Rates { a_minute, hasher: RandomState::new(), restored: Mutex::default() })
            }),
        )
    }

    /// Counts an order for `email` by `client`, if it is allowed.
    pub(crate) fn take(
        &self,
        email: &Email,
        client: Option<IpAddr>,
        now: DateTime<Utc>,
    ) -> Result<(), TooMany> {
        let Some(rates) = &self.0 else { return Ok(()) };
        let keys = rates.keys(email, client);
        let mut restored = rates.restored.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = |restored: &HashMap<_, _>| restored.len() + keys.len() <= MOST_KEYS;
        if !has_room(&restored) {
            restored.retain(|_, at| *at > now);
        }
        // All limits are checked before any is counted: a refused order costs an address nothing.
        let mut counted = Vec::with_capacity(keys.len());
        for (key, cost) in &keys {
            let at = match restored.get_mut(key) {
                Some(at) => {
                    // Never more than a period ahead, even if the clock is set back.
                    *at = (*at).min(now + PERIOD);
                    (*at).max(now) + *cost
                }
                None => {
                    if !has_room(&restored) {
                        return Err(TooMany { retry_after: PERIOD });
                    }
                    now + *cost
                }
            };
            if at - now > PERIOD {
                return Err(TooMany { retry_after: at - now - PERIOD });
            }
            counted.push((*key, at));
        }
        restored.extend(counted);
        Ok(())
    }

    /// Takes back what [`GuestRate::take`] counted, for a request that placed no order.
    pub(crate) fn give_back(&self, email: &Email, client: Option<IpAddr>) {
        let Some(rates) = &self.0 else { return };
        let mut restored = rates.restored.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, cost) in rates.keys(email, client) {
            restored.entry(key).and_modify(|at| *at -= cost);
        }
    }
}

impl Rates {
    /// The places that an order counts against, and which part of the period it takes up.
    fn keys(&self, email: &Email, client: Option<IpAddr>) -> Vec<(u64, TimeDelta)> {
        let a_minute = i32::try_from(self.a_minute).unwrap_or(i32::MAX);
        let of_a_client = i32::try_from(self.a_minute.saturating_mul(ORDERS_OF_A_CLIENT)).unwrap_or(i32::MAX);
        let email = (self.hash(("email", email.as_str())), PERIOD / a_minute);
        let client = client.map(|ip| (self.hash(("client", network(ip))), PERIOD / of_a_client));
        std::iter::once(email).chain(client).collect()
    }

    fn hash(&self, key: impl Hash) -> u64 {
        self.hasher.hash_one(key)
    }
}

/// One client has a whole /64 of IPv6 (RFC 6177), and may use any address in it.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() & !u128::from(u64::MAX)).into()),
        ip => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn email(text: &str) -> Email {
        text.parse().unwrap()
    }

    fn placed(
        rate: &GuestRate,
        address: &str,
        client: Option<IpAddr>,
        tries: usize,
        at: DateTime<Utc>,
    ) -> usize {
        (0..tries).filter(|_| rate.take(&email(address), client, at).is_ok()).count()
    }

    #[test]
    fn an_address_has_its_minutes_worth_and_gets_it_back_bit_by_bit() {
        let rate = GuestRate::new(30);
        assert_eq!(placed(&rate, "a@example.com", None, 300, NOW), 30);
        let refused = rate.take(&email("a@example.com"), None, NOW);
        assert_eq!(refused, Err(TooMany { retry_after: TimeDelta::seconds(2) }));
        assert_eq!(placed(&rate, "b@example.com", None, 300, NOW), 30, "each has its own");
        assert_eq!(placed(&rate, "a@example.com", None, 300, NOW + TimeDelta::seconds(7)), 3);
        assert_eq!(placed(&rate, "a@example.com", None, 300, NOW + TimeDelta::minutes(9)), 30);
        // The clock is set back.
        assert_eq!(placed(&rate, "a@example.com", None, 300, NOW - TimeDelta::hours(9)), 0);
        assert_eq!(placed(&rate, "a@example.com", None, 300, NOW - TimeDelta::hours(9) + PERIOD), 30);
    }

    #[test]
    fn a_client_has_ten_times_as_much_whatever_addresses_it_makes_up() {
        let rate = GuestRate::new(3);
        let orders = |ip: &str, salt: &str| {
            (0..100)
                .filter(|n| {
                    let email = email(&format!("{salt}{n}@example.com"));
                    rate.take(&email, Some(ip.parse().unwrap()), NOW).is_ok()
                })
                .count()
        };
        assert_eq!(orders("192.0.2.1", "a"), 30);
        assert_eq!(orders("::ffff:192.0.2.1", "b"), 0, "the same client");
        assert_eq!(orders("2001:db8::1", "c"), 30);
        assert_eq!(orders("2001:db8::ffff:1", "d"), 0, "the same network");
        assert_eq!(orders("2001:db8:0:1::1", "e"), 30);
        // An order that was refused for the client does not count against the address.
        assert_eq!(placed(&rate, "b1@example.com", None, 9, NOW), 3);
    }

    #[test]
    fn what_placed_nothing_is_given_back_and_zero_is_no_limit() {
        let rate = GuestRate::new(1);
        for _ in 0..9 {
            assert_eq!(placed(&rate, "a@example.com", None, 1, NOW), 1);
            rate.give_back(&email("a@example.com"), None);
        }
        assert_eq!(placed(&GuestRate::new(0), "a@example.com", None, 1000, NOW), 1000);
    }

    #[test]
    fn memory_is_bounded_and_is_given_back_with_time() {
        let rate = GuestRate::new(1);
        let fill = |at| {
            (0..70_000).filter(|n| rate.take(&email(&format!("a{n}@example.com")), None, at).is_ok()).count()
        };
        assert!(fill(NOW) <= MOST_KEYS);
        assert_eq!(placed(&rate, "new@example.com", None, 1, NOW), 0);
        assert_eq!(placed(&rate, "new@example.com", None, 1, NOW + TimeDelta::minutes(2)), 1);
    }
}
