//! The limits that are rates of the whole account. They cost something only where there is a limit.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::Limits;
use super::bucket::Bucket;
use crate::clock::Instant;
use crate::mqtt::ReasonCode;

/// Client identifiers that are remembered for a second after their CONNECT. An account connects 500 a second
/// on AWS; of more than this the oldest are forgotten, so that one of them may come too early.
const RECENT_CLIENTS: usize = 100_000;

/// The rates of the account: all clients together.
#[derive(Debug)]
pub(in crate::backend::broker) struct AccountRates {
    connects: Option<Bucket>,
    subscribes: Option<Bucket>,
    publishes_in: Option<Bucket>,
    publishes_out: Option<Bucket>,
    connections: Option<u32>,
    recent: Option<RecentClients>,
}

/// Who connected within the last second.
#[derive(Debug)]
struct RecentClients {
    gap_us: u64,
    /// The oldest first; each is in `names` as well, once.
    order: VecDeque<(Instant, Arc<str>)>,
    names: HashSet<Arc<str>>,
}

impl AccountRates {
    /// What `limits` say about an account.
    pub(in crate::backend::broker) fn new(limits: &Limits, now: Instant) -> Self {
        let bucket = |per_s: Option<u32>| per_s.map(|per_s| Bucket::new(per_s, now));
        Self {
            connects: bucket(limits.connects_per_s),
            subscribes: bucket(limits.subscribes_per_s),
            publishes_in: bucket(limits.account_publishes_in_per_s),
            publishes_out: bucket(limits.account_publishes_out_per_s),
            connections: limits.connections,
            recent: limits.connects_per_client_per_s.map(RecentClients::new),
        }
    }

    /// Whether this client may connect while `connections` are open; otherwise what its CONNACK says. What
    /// is refused counts for no rate.
    pub(in crate::backend::broker) fn connect(
        &mut self,
        client_id: &str,
        connections: u64,
        now: Instant,
    ) -> Result<(), ReasonCode> {
        if self.connections.is_some_and(|most| connections >= u64::from(most)) {
            return Err(ReasonCode::QuotaExceeded);
        }
        // Whoever leaves the choice of an identifier to the server has none in common with the others.
        let has_name = !client_id.is_empty();
        if has_name && self.recent.as_mut().is_some_and(|recent| recent.has(client_id, now)) {
            return Err(ReasonCode::ConnectionRateExceeded);
        }
        if !takes(&mut self.connects, now) {
            return Err(ReasonCode::ConnectionRateExceeded);
        }
        if let Some(recent) = self.recent.as_mut().filter(|_| has_name) {
            recent.add(client_id, now);
        }
        Ok(())
    }

    /// Whether one more filter may be subscribed to; otherwise what its SUBACK says in this place.
    pub(in crate::backend::broker) fn subscribe(&mut self, now: Instant) -> Result<(), ReasonCode> {
        if takes(&mut self.subscribes, now) { Ok(()) } else { Err(ReasonCode::QuotaExceeded) }
    }

    /// Whether one more PUBLISH of a client is taken; otherwise it is discarded, and counted.
    pub(in crate::backend::broker) fn takes_publish_in(&mut self, now: Instant) -> bool {
        takes(&mut self.publishes_in, now)
    }

    /// Whether one more PUBLISH may go to a client; otherwise it is discarded, and counted.
    pub(in crate::backend::broker) fn takes_publish_out(&mut self, now: Instant) -> bool {
        takes(&mut self.publishes_out, now)
    }
}

fn takes(bucket: &mut Option<Bucket>, now: Instant) -> bool {
    bucket.as_mut().is_none_or(|bucket| bucket.take(now))
}

impl RecentClients {
    fn new(per_s: u32) -> Self {
        let gap_us = 1_000_000 / u64::from(per_s.max(1));
        Self { gap_us, order: VecDeque::new(), names: HashSet::new() }
    }

    /// Whether the client connected too short a time ago.
    fn has(&mut self, client_id: &str, now: Instant) -> bool {
        while let Some((at, _)) = self.order.front()
            && now.micros_since(*at) >= self.gap_us
        {
            self.forget_oldest();
        }
        self.names.contains(client_id)
    }

    fn add(&mut self, client_id: &str, now: Instant) {
        if self.order.len() >= RECENT_CLIENTS {
            self.forget_oldest();
        }
        let name: Arc<str> = Arc::from(client_id);
        self.names.insert(Arc::clone(&name));
        self.order.push_back((now, name));
    }

    fn forget_oldest(&mut self) {
        if let Some((_, name)) = self.order.pop_front() {
            self.names.remove(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1000)
    }

    const TOO_FAST: Result<(), ReasonCode> = Err(ReasonCode::ConnectionRateExceeded);

    #[test]
    fn without_limits_an_account_takes_all() {
        let mut account = AccountRates::new(&Limits::NONE, at(0));
        for _ in 0..100_000 {
            assert_eq!(account.connect("c", u64::MAX, at(0)), Ok(()));
            assert_eq!(account.subscribe(at(0)), Ok(()));
            assert!(account.takes_publish_in(at(0)) && account.takes_publish_out(at(0)));
        }
    }

    #[test]
    fn a_client_connects_once_a_second_whatever_the_others_do() {
        let mut account = AccountRates::new(&Limits::AWS, at(0));
        let rows = [
            ("a", 0, Ok(())),
            ("a", 1, TOO_FAST),
            ("b", 1, Ok(())),
            ("a", 999, TOO_FAST),
            // What was refused does not count: a client that tries all the time gets in once a second.
            ("a", 1000, Ok(())),
            ("b", 1000, TOO_FAST),
            ("b", 1001, Ok(())),
            ("a", 1999, TOO_FAST),
            ("a", 60_000, Ok(())),
            ("", 60_000, Ok(())),
            ("", 60_000, Ok(())),
        ];
        for (client_id, ms, expected) in rows {
            assert_eq!(account.connect(client_id, 0, at(ms)), expected, "{client_id} at {ms} ms");
        }
        let recent = account.recent.unwrap();
        assert_eq!((recent.order.len(), recent.names.len()), (1, 1), "nobody is remembered for longer");
    }

    #[test]
    fn an_account_connects_500_a_second_and_500_000_at_once() {
        let mut account = AccountRates::new(&Limits::AWS, at(0));
        let mut connect = |from: usize, ms| {
            (from..from + 1000).filter(|n| account.connect(&n.to_string(), 0, at(ms)).is_ok()).count()
        };
        assert_eq!((connect(0, 0), connect(1000, 100), connect(2000, 5000)), (500, 50, 500));
        assert_eq!(account.connect("x", 499_999, at(9000)), Ok(()));
        assert_eq!(account.connect("y", 500_000, at(9000)), Err(ReasonCode::QuotaExceeded));
    }

    #[test]
    fn an_account_has_rates_of_its_own_for_each_direction() {
        let mut account = AccountRates::new(&Limits::AWS, at(0));
        let subscribed = (0..1000).filter(|_| account.subscribe(at(0)).is_ok()).count();
        let taken_in = (0..30_000).filter(|_| account.takes_publish_in(at(0))).count();
        let sent = (0..30_000).filter(|_| account.takes_publish_out(at(0))).count();
        assert_eq!((subscribed, taken_in, sent), (500, 20_000, 20_000));
        assert_eq!(account.subscribe(at(0)), Err(ReasonCode::QuotaExceeded));
    }

    #[test]
    fn the_memory_of_recent_clients_is_bounded() {
        let mut recent = RecentClients::new(1);
        for n in 0..RECENT_CLIENTS + 10 {
            recent.add(&n.to_string(), at(0));
        }
        assert_eq!((recent.order.len(), recent.names.len()), (RECENT_CLIENTS, RECENT_CLIENTS));
        assert!(!recent.has("9", at(0)) && recent.has("10", at(0)));
    }
}
