//! How often a client may ask.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::{Layer, Misuse, Verdict, refuse_with};
use crate::http::{Request, ResponseHead, ResponseWriter, client_of};
use crate::wake::lock;

/// Clients that share a place in the table's order.
const WAYS: usize = 8;
/// Places; with the ways, some 65,000 clients in about a megabyte.
const SETS: usize = 8192;

/// Answers 429 with `Retry-After` to clients that ask too often (RFC 6585 section 4): a bucket of
/// tokens for each address, refilled steadily. IPv6 clients count by their /64 network, since one
/// client has all of that; those of trusted proxies by what the proxy tells. Clients on a Unix
/// socket, of whom nothing is known, are not counted.
///
/// The table does not grow: where clients are too many, those that have asked least are forgotten.
/// Each process counts for itself.
pub struct RateLimit {
    /// A token's worth of refilling.
    interval: Duration,
    /// How much a full bucket is worth.
    depth: Duration,
    began: Instant,
    hasher: RandomState,
    sets: Box<[Mutex<Set>]>,
}

type Set = [Bucket; WAYS];

/// A client's bucket, as the moment when it will be full: in nanoseconds since the limit began.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    client: u64,
    full_at: u64,
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("interval", &self.interval)
            .field("depth", &self.depth)
            .finish_non_exhaustive()
    }
}

impl RateLimit {
    /// `requests` in `per`, and `burst` of them at once.
    ///
    /// # Errors
    /// If either is none, or longer than a year.
    pub fn new(requests: f64, per: Duration, burst: u32) -> Result<Self, Misuse> {
        const YEAR: f64 = 366.0 * 86400.0;
        let interval = per.as_secs_f64() / requests;
        if !(interval > 0.0 && interval * f64::from(burst) <= YEAR) || burst == 0 {
            return Err(Misuse(format!(
                "a rate limit is some requests in some seconds, and a burst of at least one, not \
                 {requests} in {} with a burst of {burst}",
                per.as_secs_f64()
            )));
        }
        let interval = Duration::from_secs_f64(interval);
        Ok(Self {
            interval,
            depth: interval * burst,
            began: Instant::now(),
            hasher: RandomState::new(),
            sets: (0..SETS).map(|_| Mutex::default()).collect(),
        })
    }

    /// Takes a token of `client` at `now`, since the limit began. An error is how long it has to
    /// wait for one.
    fn take(&self, client: IpAddr, now: Duration) -> Result<(), Duration> {
        // 0 is nobody. Other hashes stand for the clients themselves: two that share one, of 2^64,
        // share a bucket.
        let client = self.hasher.hash_one(network(client)).max(1);
        let now = nanoseconds(now);
        let mut set = lock(&self.sets[client as usize % SETS]);
        let known = set.iter().position(|bucket| bucket.client == client);
        let at = known.or_else(|| (0..WAYS).min_by_key(|&at| set[at].full_at)).unwrap_or(0);
        let full_at = if known.is_some() { set[at].full_at.max(now) } else { now };
        let then = full_at + nanoseconds(self.interval);
        let over = then.saturating_sub(now + nanoseconds(self.depth));
        if over > 0 {
            return Err(Duration::from_nanos(over));
        }
        set[at] = Bucket { client, full_at: then };
        Ok(())
    }
}

/// 584 years are enough.
fn nanoseconds(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}

/// What counts as one client.
fn network(address: IpAddr) -> (bool, u64) {
    match address {
        IpAddr::V4(address) => (false, u32::from(address).into()),
        IpAddr::V6(address) => (true, (u128::from(address) >> 64) as u64),
    }
}

impl Layer for RateLimit {
    fn enter(&self, request: &mut Request, writer: &mut ResponseWriter) -> Verdict {
        let Some(client) = client_of(&request.head, request.conn()) else { return Verdict::Pass };
        match self.take(client, self.began.elapsed()) {
            Ok(()) => Verdict::Pass,
            Err(wait) => {
                let mut head = ResponseHead::new(429);
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                head.push_raw(b"retry-after", seconds.to_string().as_bytes());
                refuse_with(head, "429 Too Many Requests\n", writer)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_bucket_is_emptied_at_once_and_refilled_steadily() {
        let limit = RateLimit::new(2.0, SECOND, 3).expect("a limit");
        let client = ip("192.0.2.1");
        for _ in 0..3 {
            assert_eq!(limit.take(client, SECOND), Ok(()));
        }
        assert_eq!(limit.take(client, SECOND), Err(SECOND / 2));
        assert_eq!(limit.take(client, SECOND * 5 / 4), Err(SECOND / 4));
        assert_eq!(limit.take(client, SECOND * 3 / 2), Ok(()));
        assert_eq!(limit.take(client, SECOND * 3 / 2), Err(SECOND / 2));
        // Full again, and not fuller.
        for _ in 0..3 {
            assert_eq!(limit.take(client, SECOND * 100), Ok(()));
        }
        assert!(limit.take(client, SECOND * 100).is_err());
        assert_eq!(limit.take(ip("192.0.2.2"), SECOND * 100), Ok(()));
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let limit = RateLimit::new(1.0, SECOND, 1).expect("a limit");
        assert_eq!(limit.take(ip("2001:db8:0:1::1"), SECOND), Ok(()));
        assert!(limit.take(ip("2001:db8:0:1:ffff::2"), SECOND).is_err());
        assert_eq!(limit.take(ip("2001:db8:0:2::1"), SECOND), Ok(()));
        assert_ne!(network(ip("0.0.0.1")), network(ip("0:0:0:1::")));
    }

    #[test]
    fn who_asks_too_often_is_not_forgotten_for_many_that_ask_once() {
        let limit = RateLimit::new(1.0, SECOND, 60).expect("a limit");
        let greedy = ip("192.0.2.1");
        for _ in 0..60 {
            assert_eq!(limit.take(greedy, SECOND), Ok(()));
        }
        for n in 0..300_000u32 {
            assert_eq!(limit.take(IpAddr::V4((0x0a00_0000 + n).into()), SECOND), Ok(()));
        }
        assert!(limit.take(greedy, SECOND).is_err());
        assert!(size_of::<Set>() * SETS <= 1 << 20);
    }

    #[test]
    fn limits_that_cannot_be_are_refused() {
        for (requests, per, burst) in [
            (0.0, 1, 1),
            (-1.0, 1, 1),
            (f64::NAN, 1, 1),
            (f64::INFINITY, 1, 1),
            (1.0, 0, 1),
            (1.0, 1, 0),
            (1e-9, 1, 1),
        ] {
            assert!(RateLimit::new(requests, Duration::from_secs(per), burst).is_err());
        }
    }
}
