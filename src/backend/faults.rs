//! Faults that a scenario asks for: slow, refusing or throttled calls of the API, requests that go out late
//! or never. Pure: what happens to the n-th call or request is drawn by the seed; the shell waits, refuses
//! and counts.
//!
//! Not here: the faults of tests (`hooks`), and limits as a cloud publishes them.

use crate::clock::Instant;
use crate::dist::Delay;
use crate::protocol::{ApiError, ErrorKind};
use crate::seed::{Purpose, Seed, Subject};
use crate::units::Rate;

/// What goes wrong, and how often. Nothing by default.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Faults {
    /// StartCommandExecution.
    pub start: CallFaults,
    /// GetCommand and GetCommandExecution.
    pub get: CallFaults,
    /// CreateCommand.
    pub create: CallFaults,
    /// The requests that devices get.
    pub requests: RequestFaults,
}

/// What goes wrong with the calls of an operation.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CallFaults {
    /// Passes before anything else is done; not for calls over the rate, which are refused at once.
    pub latency: Option<Delay>,
    /// Shares of the calls, 0 to 1, that are answered with an error.
    pub errors: Vec<(ErrorKind, f64)>,
    /// More calls than this, and a burst of one second's worth, are throttled.
    pub rate: Option<Rate>,
}

/// What goes wrong with the requests that devices get.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RequestFaults {
    /// Share of them that is never published.
    pub dropped: f64,
    /// Share of them that is published late, and by how much.
    pub delayed: Option<(f64, Delay)>,
}

/// An operation of the API, as faults tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// StartCommandExecution.
    Start,
    /// GetCommand and GetCommandExecution.
    Get,
    /// CreateCommand.
    Create,
}

/// How many faults were injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FaultCounts {
    /// Calls over the rate.
    pub calls_throttled: u64,
    /// Calls answered with an error of the scenario's.
    pub calls_refused: u64,
    /// Calls that waited.
    pub calls_delayed: u64,
    /// Requests that were never published.
    pub requests_dropped: u64,
    /// Requests that were published late, or would have been after their time-out.
    pub requests_delayed: u64,
}

impl FaultCounts {
    /// Those that occurred, by name.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let all = [
            ("calls throttled", self.calls_throttled),
            ("calls refused", self.calls_refused),
            ("calls delayed", self.calls_delayed),
            ("requests dropped", self.requests_dropped),
            ("requests delayed", self.requests_delayed),
        ];
        all.into_iter().filter(|(_, count)| *count > 0)
    }
}

/// What becomes of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is refused at once.
    Throttled(ApiError),
    /// It waits, and is then performed or refused.
    After { wait_us: u64, refusal: Option<ApiError> },
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Departure {
    Now,
    Late { by_us: u64 },
    Never,
}

/// The faults with what they have to remember.
#[derive(Debug)]
pub(super) struct Injector {
    faults: Faults,
    seed: Seed,
    operations: [OperationState; 3],
    requests: u64,
    pub counts: FaultCounts,
}

#[derive(Debug, Default)]
struct OperationState {
    calls: u64,
    gate: Gate,
}

impl Injector {
    pub fn new(faults: Faults, seed: Seed) -> Self {
        Self { faults, seed, operations: Default::default(), requests: 0, counts: FaultCounts::default() }
    }

    /// Decides the next call of an operation.
    pub fn call(&mut self, operation: Operation, now: Instant) -> Admission {
        let (faults, name) = match operation {
            Operation::Start => (&self.faults.start, "start"),
            Operation::Get => (&self.faults.get, "get"),
            Operation::Create => (&self.faults.create, "create"),
        };
        let state = &mut self.operations[operation as usize];
        let n = state.calls;
        state.calls += 1;
        if faults.rate.is_some_and(|rate| !state.gate.lets_pass(rate, now)) {
            self.counts.calls_throttled += 1;
            return Admission::Throttled(ApiError::new(ErrorKind::Throttling, "Rate exceeded"));
        }
        let mut draw = self.seed.at(Purpose::FaultOfCall, Subject::new(name, 0), n);
        let mut chance = draw.unit();
        let error = faults.errors.iter().find(|(_, share)| {
            chance -= share;
            chance < 0.0
        });
        let wait_us = faults.latency.as_ref().map_or(0, |latency| latency.sample_us(&mut draw));
        let refusal =
            error.map(|(kind, _)| ApiError::new(*kind, "a fault that the scenario asked for (`faults`)"));
        self.counts.calls_refused += u64::from(refusal.is_some());
        self.counts.calls_delayed += u64::from(wait_us > 0);
        Admission::After { wait_us, refusal }
    }

    /// Decides the next request to a device, whose execution times out at `deadline`.
    pub fn request(&mut self, now: Instant, deadline: Instant) -> Departure {
        let RequestFaults { dropped, delayed } = &self.faults.requests;
        if *dropped == 0.0 && delayed.is_none() {
            return Departure::Now;
        }
        let n = self.requests;
        self.requests += 1;
        let mut draw = self.seed.at(Purpose::FaultOfRequest, Subject::new("", 0), n);
        let chance = draw.unit();
        if chance < *dropped {
            self.counts.requests_dropped += 1;
            return Departure::Never;
        }
        match delayed {
            Some((share, by)) if chance < dropped + share => {
                self.counts.requests_delayed += 1;
                let by_us = by.sample_us(&mut draw);
                // It expires with its execution.
                if now.plus_micros(by_us) >= deadline { Departure::Never } else { Departure::Late { by_us } }
            }
            _ => Departure::Now,
        }
    }
}

const PICOS_PER_SECOND: u64 = 1_000_000_000_000;

/// Lets a rate pass and a burst of one second's worth (one call at least), as a token bucket does. It
/// remembers one instant: when all that was let through will have been paid for.
#[derive(Debug, Default)]
struct Gate {
    paid_ps: u128,
}

impl Gate {
    fn lets_pass(&mut self, rate: Rate, now: Instant) -> bool {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive, saturating; the rounding is below a millionth"
        )]
        let price_ps = u128::from((PICOS_PER_SECOND as f64 / rate.per_second()).round() as u64);
        let now_ps = u128::from(now.micros()) * 1_000_000;
        let paid_ps = self.paid_ps.max(now_ps) + price_ps;
        let fits = paid_ps - now_ps <= u128::from(PICOS_PER_SECOND).max(price_ps);
        if fits {
            self.paid_ps = paid_ps;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(us: u64) -> Instant {
        Instant::from_micros(us)
    }

    fn injector(faults: Faults) -> Injector {
        Injector::new(faults, Seed(7))
    }

    #[test]
    fn a_rate_lets_a_second_of_calls_through_at_once_and_then_one_at_a_time() {
        let start = CallFaults { rate: Some(Rate::from_per_second(100.0)), ..CallFaults::default() };
        let mut injector = injector(Faults { start, ..Faults::default() });
        let mut passes = |us: u64| matches!(injector.call(Operation::Start, at(us)), Admission::After { .. });
        assert_eq!((0..200).filter(|_| passes(5)).count(), 100);
        for (us, expected) in [(9_999, false), (10_005, true), (10_006, false), (20_005, true)] {
            assert_eq!(passes(us), expected, "at {us} µs");
        }
        assert_eq!((0..200).filter(|_| passes(3_600_000_000)).count(), 100, "never more than a second's");
        assert_eq!(injector.counts.calls_throttled, 202);
        let get = injector.call(Operation::Get, at(3_600_000_000));
        assert_eq!(get, Admission::After { wait_us: 0, refusal: None }, "operations are counted apart");
    }

    #[test]
    fn less_than_one_call_a_second_still_lets_one_through() {
        let mut gate = Gate::default();
        let rate = Rate::from_per_second(0.5);
        let passed: Vec<bool> = (0..5).map(|second| gate.lets_pass(rate, at(second * 1_000_000))).collect();
        assert_eq!(passed, [true, false, true, false, true]);
    }

    #[test]
    fn over_a_long_time_exactly_the_rate_passes() {
        let (mut gate, rate) = (Gate::default(), Rate::from_per_second(300.0));
        // A call every 2 ms is 500 a second.
        let passed = (0..30_000u64).filter(|n| gate.lets_pass(rate, at(n * 2_000))).count();
        assert!((60 * 300 + 299..=60 * 300 + 300).contains(&passed), "{passed}");
    }

    #[test]
    fn shares_are_met_and_every_fault_is_counted() {
        let start = CallFaults {
            latency: Some(Delay::constant(Duration::from_millis(20))),
            errors: vec![(ErrorKind::Throttling, 0.1), (ErrorKind::InternalServer, 0.05)],
            rate: None,
        };
        let requests = RequestFaults {
            dropped: 0.1,
            delayed: Some((0.2, Delay::uniform(Duration::ZERO, Duration::from_secs(2)))),
        };
        let mut injector = injector(Faults { start, requests, ..Faults::default() });
        let (mut throttled, mut failed) = (0, 0);
        let (mut late, mut never) = (0, 0);
        for _ in 0..10_000 {
            let Admission::After { wait_us, refusal } = injector.call(Operation::Start, at(0)) else {
                panic!("there is no rate");
            };
            assert_eq!(wait_us, 20_000, "a refusal waits as an answer does");
            match refusal.map(|error| error.kind) {
                Some(ErrorKind::Throttling) => throttled += 1,
                Some(_) => failed += 1,
                None => {}
            }
            match injector.request(at(0), at(1_000_000)) {
                Departure::Late { by_us } => {
                    assert!(by_us < 1_000_000);
                    late += 1;
                }
                Departure::Never => never += 1,
                Departure::Now => {}
            }
        }
        let near = |count: i32, expected: i32| assert!((count - expected).abs() < 120, "{count}");
        near(throttled, 1_000);
        near(failed, 500);
        near(late, 1_000);
        // Half of the late ones would come after the time-out.
        near(never, 2_000);
        let counts = injector.counts;
        assert_eq!((counts.calls_delayed, counts.calls_throttled), (10_000, 0));
        assert_eq!(counts.calls_refused, u64::try_from(throttled + failed).unwrap());
        assert_eq!(counts.requests_dropped + counts.requests_delayed, u64::try_from(late + never).unwrap());
        assert_eq!(counts.named().count(), 4);
    }
}
