use super::*;
use crate::protocol::{Status, StatusReason};
use crate::stats::{Counts, Outcome, Shape, Span};

/// A ledger with one workload and one group, and short ways to say what happens to it.
struct Bench {
    ledger: Ledger,
    /// Whether the device is going to answer what it holds.
    holds: bool,
    /// Since when its session is kept, if it is.
    session_ms: Option<u64>,
    /// What was planned to happen.
    plan: Holder,
}

const TIMEOUT_US: u64 = 10_000_000;
const AFTER_TIMEOUT: u64 = 11_000;

fn at(ms: u64) -> Instant {
    Instant::from_micros(ms * 1000)
}

fn id(n: u128) -> ExecutionId {
    ExecutionId::from_uuid(n)
}

fn ends_after(ms: u64) -> PlannedEnd {
    PlannedEnd::Answer { after_us: ms * 1000 }
}

impl Bench {
    fn new() -> Self {
        Self::with_capacity(1000)
    }

    fn with_capacity(capacity: usize) -> Self {
        let shape = Arc::new(Shape { workloads: vec!["w".into()], groups: vec!["g".into()] });
        let ledger = Ledger::with_capacity(Statistics::new(shape), Rc::new(Notify::new()), capacity);
        Self { ledger, holds: true, session_ms: None, plan: Holder::default() }
    }

    fn origin() -> Origin {
        Origin { workload: 0, group: 0, device: 7, part: Part::Measured }
    }

    /// Planned at 1,000 ms, picked up at 1,001, written at 1,002.
    fn sent(&mut self) -> EntryKey {
        let key = self.ledger.enter(Self::origin(), at(1000), at(1001), TIMEOUT_US).unwrap();
        self.ledger.written(key, at(1002));
        key
    }

    fn started(&mut self, n: u128) -> EntryKey {
        let key = self.sent();
        self.ledger.started(key, at(1005), id(n));
        key
    }

    fn held(&mut self, n: u128, ms: u64, end: PlannedEnd) {
        self.ledger.held(7, &id(n), at(ms), end, Arrived::First { dup: false });
    }

    fn reports(&mut self, n: u128, planned_ms: u64, ms: u64, status: Status) {
        self.ledger.reported(&id(n), at(planned_ms), at(ms), Report { status, reason: None, result: None });
    }

    fn confirmed(&mut self, n: u128, ms: u64) {
        self.ledger.confirmed(&id(n), at(ms), Reply::Accepted);
    }

    /// Reads everything back that is ready at `ms`; the device is online since `online_ms`.
    fn settle(&mut self, ms: u64, read: &ReadBack, online_ms: Option<u64>) -> usize {
        let mut settled = 0;
        // Each look at a moment: what is armed again for later must not be due now.
        while let Some(ToSettle { key, .. }) = self.ledger.next_to_settle(at(ms)) {
            let online_since = online_ms.map(at);
            let subscribed_since = self.session_ms.map(at).or(online_since);
            let holder = Holder { online_since, subscribed_since, holds: self.holds, ..self.plan.clone() };
            self.ledger.settle(key, at(ms), read, &holder);
            settled += 1;
        }
        settled
    }

    fn counts(&self) -> Counts {
        self.ledger.statistics.measured(None, None)
    }

    fn span(&self, span: Span, outcome: Outcome) -> Option<u64> {
        self.ledger.statistics.merged(span, None, None, Some(outcome)).max()
    }
}

fn record(status: Status, completed_after_ms: Option<u64>) -> ReadBack {
    ReadBack::Record(Record {
        result: None,
        status,
        reason: None,
        completed_after_us: completed_after_ms.map(|ms| ms * 1000),
        request_withheld: false,
    })
}

/// Within the three digits of a histogram.
fn near(seen: Option<u64>, expected_us: u64) {
    let seen = seen.unwrap_or_else(|| panic!("no sample, expected {expected_us} µs"));
    assert!(seen.abs_diff(expected_us) <= expected_us / 500 + 1, "{seen} µs, expected {expected_us} µs");
}

#[test]
fn a_record_is_read_again_if_the_device_spoke_while_it_came() {
    let mut bench = Bench::new();
    let key = bench.started(1);
    bench.held(1, 1010, PlannedEnd::Answer { after_us: 100_000 });
    assert!(!bench.ledger.heard_since(key, at(1010)), "what was asked for in the same instant is not older");
    assert!(bench.ledger.heard_since(key, at(1009)));
    bench.ledger.read_again(key);
    assert_eq!(bench.ledger.next_to_settle(at(1011)).map(|next| next.key), Some(key));
}

#[test]
fn a_plain_execution_is_struck_off_once_with_all_its_spans() {
    let mut bench = Bench::new();
    bench.started(1);
    bench.held(1, 1006, ends_after(100));
    bench.ledger.progress_sent(&id(1), at(1026), true);
    bench.ledger.progress_replied(&id(1), at(1030), true);
    bench.reports(1, 1130, 1132, Status::Succeeded);
    bench.confirmed(1, 1135);
    assert_eq!(bench.settle(1136, &record(Status::Succeeded, Some(130)), Some(0)), 1);
    let counts = bench.counts();
    assert_eq!((counts.due, counts.started, counts.decided()), (1, 1, 1));
    assert_eq!(counts.class(Class::Succeeded), 1);
    assert_eq!(counts.unexplained(), 0);
    assert_eq!(bench.ledger.open(), 0);
    for (span, us) in [
        (Span::ScheduleLag, 1_000),
        (Span::StartWait, 1_000),
        (Span::Start, 3_000),
        (Span::Delivery, 4_000),
        (Span::Accept, 24_000),
        (Span::Answer, 122_000),
        (Span::DeviceLag, 2_000),
        (Span::Confirm, 3_000),
        (Span::Latency, 135_000),
        (Span::Overhead, 12_000),
    ] {
        near(bench.span(span, Outcome::Succeeded), us);
    }
    // The deadline that was armed for it falls due and finds nothing.
    assert_eq!(bench.settle(60_000, &record(Status::Succeeded, Some(130)), Some(0)), 0);
    assert_eq!(bench.counts().decided(), 1);
}

#[test]
fn what_a_start_waits_for_the_generator_is_lag_and_not_the_targets() {
    let mut bench = Bench::new();
    let key = bench.ledger.enter(Bench::origin(), at(1000), at(1001), TIMEOUT_US).unwrap();
    bench.ledger.picked_only_now(key, at(1700));
    bench.ledger.written(key, at(1700));
    bench.ledger.refused(key, at(1701), &Arc::from("ThrottlingException"));
    near(bench.span(Span::ScheduleLag, Outcome::Other), 700_000);
    near(bench.span(Span::StartWait, Outcome::Other), 0);
}

#[test]
fn a_device_may_be_done_before_the_start_is_answered() {
    let mut bench = Bench::new();
    let key = bench.sent();
    bench.held(1, 1003, ends_after(1));
    bench.reports(1, 1004, 1004, Status::Succeeded);
    bench.confirmed(1, 1005);
    assert_eq!(bench.settle(1005, &record(Status::Succeeded, Some(3)), Some(0)), 0, "nothing is named yet");
    bench.ledger.started(key, at(1006), id(1));
    assert_eq!(bench.settle(1006, &record(Status::Succeeded, Some(3)), Some(0)), 1);
    assert_eq!(bench.counts().class(Class::Succeeded), 1);
    near(bench.span(Span::Delivery, Outcome::Succeeded), 1_000);
    near(bench.span(Span::Start, Outcome::Succeeded), 4_000);
}

#[test]
fn the_record_decides_the_class() {
    for (status, completed, class) in [
        (Status::Succeeded, Some(50), Class::Succeeded),
        (Status::Failed, Some(50), Class::Failed),
        (Status::Rejected, Some(50), Class::Rejected),
        (Status::TimedOut, Some(50), Class::TimedOutDevice),
    ] {
        let mut bench = Bench::new();
        bench.started(1);
        bench.held(1, 1006, ends_after(10));
        bench.reports(1, 1016, 1016, status);
        bench.confirmed(1, 1017);
        bench.settle(1018, &record(status, completed), Some(0));
        assert_eq!(bench.counts().class(class), 1, "{status:?}");
        assert_eq!(bench.counts().unexplained(), 0, "{status:?}");
    }
}

#[test]
fn a_silent_device_times_out_as_planned() {
    let mut bench = Bench::new();
    bench.started(1);
    bench.held(1, 1006, PlannedEnd::Silence);
    assert_eq!(bench.settle(5_000, &record(Status::Created, None), Some(0)), 0, "not before its time");
    bench.settle(1005 + AFTER_TIMEOUT, &record(Status::TimedOut, None), Some(0));
    let counts = bench.counts();
    assert_eq!(
        (counts.class(Class::TimedOutCloud), counts.timed_out_as_planned, counts.unexplained()),
        (1, 1, 0)
    );
}

#[test]
fn a_request_that_never_reached_a_subscribed_device_is_lost() {
    for (online_since_ms, lost) in [(Some(500), 1), (Some(2_000), 0), (None, 0)] {
        let mut bench = Bench::new();
        bench.started(1);
        bench.settle(1005 + AFTER_TIMEOUT, &record(Status::TimedOut, None), online_since_ms);
        assert_eq!(bench.counts().class(Class::TimedOutCloud), 1);
        assert_eq!(
            bench.counts().finding(Finding::Lost).unexplained,
            lost,
            "online since {online_since_ms:?}"
        );
    }
}

/// (session kept since, connected since) at the time-out of an execution that was sent at 1,002 ms.
#[test]
fn a_kept_session_owes_its_requests_to_a_device_that_came_back_in_time() {
    for (session_ms, online_ms, lost) in [
        (500, Some(600), 1),
        (500, Some(2_000), 1),
        (500, Some(9_900), 1),
        // Back too late, or not at all.
        (500, Some(10_100), 0),
        (500, None, 0),
        // The session began after the start, or in its very millisecond.
        (2_000, Some(2_000), 0),
        (1_002, Some(1_002), 0),
    ] {
        let mut bench = Bench { session_ms: Some(session_ms), ..Bench::new() };
        bench.started(1);
        bench.settle(1005 + AFTER_TIMEOUT, &record(Status::TimedOut, None), online_ms);
        let counts = bench.counts();
        assert_eq!(counts.class(Class::TimedOutCloud), 1);
        assert_eq!(counts.finding(Finding::Lost).unexplained, lost, "{session_ms} {online_ms:?}");
    }
}

#[test]
fn a_request_that_contradicts_itself_is_lost_and_one_that_expired_in_a_queue_is_not() {
    for (end, lost) in [(PlannedEnd::Unreadable, 1), (PlannedEnd::Expired, 0)] {
        let mut bench = Bench::new();
        bench.holds = false;
        bench.started(1);
        if end == PlannedEnd::Expired {
            bench.held(1, 1006, ends_after(10));
            bench.ledger.expired(&id(1));
        } else {
            bench.held(1, 1006, end);
        }
        bench.settle(1005 + AFTER_TIMEOUT, &record(Status::TimedOut, None), Some(0));
        let counts = bench.counts();
        assert_eq!((counts.class(Class::TimedOutCloud), counts.timed_out_as_planned), (1, 0), "{end:?}");
        assert_eq!(
            (counts.finding(Finding::Lost).unexplained, counts.unexplained()),
            (lost, lost),
            "{end:?}"
        );
    }
}

/// What an update's lost reply leads to, by what the record says in the end.
#[test]
fn an_answer_sent_again_after_its_reply_was_lost_is_explained() {
    let terminal = || Reply::Rejected("TerminalStateReached".into());
    for (reply, status, completed_ms, class) in [
        // The first was taken, only its reply was lost; or it never arrived and the second was taken.
        (terminal(), Status::Succeeded, Some(20), Class::Succeeded),
        (Reply::Accepted, Status::Succeeded, Some(2_000), Class::Succeeded),
        // The same, but the time-out came first.
        (terminal(), Status::Succeeded, Some(10_500), Class::TimedOutCloud),
        (Reply::Accepted, Status::Succeeded, Some(11_000), Class::TimedOutCloud),
    ] {
        let mut bench = Bench::new();
        bench.started(1);
        bench.held(1, 1006, ends_after(10));
        bench.reports(1, 1016, 1016, Status::Succeeded);
        bench.reports(1, 3_000, 3_000, Status::Succeeded);
        bench.ledger.confirmed(&id(1), at(13_000), reply.clone());
        bench.settle(13_001, &record(status, completed_ms), Some(2_900));
        let counts = bench.counts();
        assert_eq!((counts.class(class), counts.unexplained()), (1, 0), "{reply:?} {completed_ms:?}");
        let late = u64::from(class == Class::TimedOutCloud);
        assert_eq!(counts.finding(Finding::Late).explained, late);
    }
}

#[test]
fn an_end_that_was_refused_and_is_in_the_record_all_the_same_is_a_contradiction() {
    for (again, contradicted) in [(false, 1), (true, 0)] {
        let mut bench = Bench::new();
        bench.started(1);
        bench.held(1, 1006, ends_after(10));
        bench.reports(1, 1016, 1016, Status::Succeeded);
        if again {
            bench.reports(1, 3_000, 3_000, Status::Succeeded);
        }
        bench.ledger.confirmed(&id(1), at(3_001), Reply::Rejected("TerminalStateReached".into()));
        bench.settle(3_002, &record(Status::Succeeded, Some(20)), Some(0));
        let counts = bench.counts();
        assert_eq!(counts.finding(Finding::Contradicted).unexplained, contradicted, "sent again: {again}");
        assert_eq!(counts.class(Class::Succeeded), 1);
    }
}

#[test]
fn a_reply_that_a_disconnect_has_cost_is_unconfirmed_and_explained() {
    for (status, class) in [(Status::Succeeded, Class::Succeeded), (Status::TimedOut, Class::TimedOutCloud)] {
        let mut bench = Bench::new();
        bench.started(1);
        bench.held(1, 1006, ends_after(10));
        bench.reports(1, 1016, 1016, Status::Succeeded);
        bench.ledger.unconfirmed(&id(1), at(1_700), true);
        let completed = (status == Status::Succeeded).then_some(20);
        bench.settle(1005 + AFTER_TIMEOUT, &record(status, completed), Some(5_000));
        let counts = bench.counts();
        assert_eq!((counts.class(class), counts.unexplained()), (1, 0), "{status:?}");
        assert_eq!(counts.finding(Finding::Unconfirmed).explained, 1);
    }
}

#[test]
fn a_planned_late_answer_is_waited_for_and_nothing_else() {
    let late = PlannedEnd::Late { at: at(15_000) };
    // (is the device connected) → decided at
    for online_ms in [Some(0), None] {
        let mut bench = Bench::new();
        bench.started(1);
        bench.held(1, 1006, late);
        for ms in (11_200..17_000).step_by(200) {
            bench.settle(ms, &record(Status::TimedOut, None), online_ms);
        }
        assert_eq!(bench.counts().decided(), 0, "{online_ms:?}: it is answered at 15,000 ms");
        if online_ms.is_some() {
            bench.reports(1, 15_000, 15_000, Status::Succeeded);
            bench.confirmed(1, 15_001);
            bench.settle(17_001, &record(Status::Succeeded, Some(13_995)), online_ms);
        } else {
            bench.settle(17_500, &record(Status::TimedOut, None), online_ms);
        }
        let counts = bench.counts();
        assert_eq!((counts.class(Class::TimedOutCloud), counts.timed_out_as_planned), (1, 1));
        assert_eq!(counts.finding(Finding::Late).total(), u64::from(online_ms.is_some()));
        assert_eq!(counts.unexplained(), 0);
    }
}

/// What comes after an execution was settled: nobody had held it, or somebody had.
#[test]
fn a_request_that_comes_after_settling_is_told_by_when_and_how_it_comes() {
    let first = |dup| Arrived::First { dup };
    for (held, arrived, ms, found) in [
        // On its way when the time-out came; and long after it, when its message had expired.
        (false, first(false), 12_500, None),
        (false, first(true), 12_500, None),
        (false, first(false), 15_000, Some((Finding::Contradicted, 1))),
        // A device that has forgotten it.
        (true, first(true), 15_000, Some((Finding::Redelivered, 0))),
        (true, first(false), 15_000, Some((Finding::Duplicated, 1))),
        (true, Arrived::Redelivered, 15_000, Some((Finding::Redelivered, 0))),
        (true, Arrived::Duplicated, 15_000, Some((Finding::Duplicated, 1))),
    ] {
        let mut bench = Bench::new();
        bench.holds = false;
        bench.started(1);
        if held {
            bench.held(1, 1006, PlannedEnd::Silence);
        }
        bench.settle(1005 + AFTER_TIMEOUT, &record(Status::TimedOut, None), None);
        bench.ledger.held(7, &id(1), at(ms), PlannedEnd::Silence, arrived);
        let counts = bench.counts();
        let seen = Finding::ALL.into_iter().find(|finding| counts.finding(*finding).total() > 0);
        assert_eq!(seen, found.map(|(finding, _)| finding), "{held} {arrived:?} {ms}");
        assert_eq!(counts.unexplained(), found.map_or(0, |(_, unexplained)| unexplained));
        assert_eq!(bench.ledger.take_anomalies().len() as u64, counts.unexplained());
    }
}

#[test]
fn a_time_out_is_known_from_the_starts_under_way_until_its_own_is_answered() {
    let mut bench = Bench::new();
    assert_eq!(bench.ledger.times_out(7, &id(1), at(1000)), None);
    let key = bench.sent();
    assert_eq!(bench.ledger.times_out(7, &id(1), at(1004)), Some(at(1004 + 10_000)));
    assert_eq!(bench.ledger.times_out(8, &id(1), at(1004)), None);
    bench.ledger.started(key, at(1005), id(1));
    assert_eq!(bench.ledger.times_out(7, &id(1), at(1006)), Some(at(1005 + 10_000)));
}

#[test]
fn an_execution_the_backend_does_not_know_is_lost() {
    let mut bench = Bench::new();
    bench.started(1);
    bench.settle(1005 + AFTER_TIMEOUT, &ReadBack::NotFound, Some(0));
    assert_eq!(bench.counts().finding(Finding::Lost).unexplained, 1);
    assert_eq!(bench.counts().class(Class::Unfinished), 1);
}

#[test]
fn an_execution_still_open_two_seconds_past_its_time_out_is_lost() {
    let mut bench = Bench::new();
    bench.started(1);
    let open = record(Status::InProgress, None);
    for ms in (11_200..13_000).step_by(100) {
        bench.settle(ms, &open, Some(0));
    }
    assert_eq!(bench.counts().decided(), 0, "two seconds are not over");
    for ms in (13_000..14_500).step_by(100) {
        bench.settle(ms, &open, Some(0));
    }
    assert_eq!(bench.counts().finding(Finding::Lost).unexplained, 1);
}

#[test]
fn a_late_answer_counts_as_timed_out_and_late_and_is_no_anomaly() {
    let mut bench = Bench::new();
    bench.started(1);
    bench.held(1, 1006, ends_after(12_000));
    bench.settle(1005 + AFTER_TIMEOUT, &record(Status::TimedOut, None), Some(0));
    assert_eq!(bench.counts().decided(), 0, "the device is going to answer");
    bench.reports(1, 13_006, 13_007, Status::Succeeded);
    bench.confirmed(1, 13_008);
    bench.settle(13_009, &record(Status::Succeeded, Some(12_003)), Some(0));
    let counts = bench.counts();
    assert_eq!((counts.class(Class::TimedOutCloud), counts.finding(Finding::Late).total()), (1, 1));
    assert_eq!(counts.unexplained(), 0);
    assert_eq!(bench.span(Span::Latency, Outcome::Succeeded), None, "a late success is not a success");
}

#[test]
fn a_record_that_says_otherwise_is_a_contradiction() {
    let differing_reason = ReadBack::Record(Record {
        result: None,
        status: Status::Succeeded,
        reason: Some(StatusReason { code: "OTHER".into(), description: None }),
        completed_after_us: Some(20_000),
        request_withheld: false,
    });
    for read in [record(Status::Failed, Some(20)), differing_reason, record(Status::InProgress, None)] {
        let mut bench = Bench::new();
        bench.started(1);
        bench.held(1, 1006, ends_after(10));
        bench.reports(1, 1016, 1016, Status::Succeeded);
        bench.confirmed(1, 1017);
        bench.settle(1018, &read, Some(0));
        assert_eq!(bench.counts().finding(Finding::Contradicted).unexplained, 1, "{read:?}");
        assert_eq!(bench.counts().decided(), 1);
    }
}

#[test]
fn an_answer_without_a_reply_is_unconfirmed() {
    let mut bench = Bench::new();
    bench.started(1);
    bench.held(1, 1006, ends_after(10));
    bench.reports(1, 1016, 1016, Status::Succeeded);
    bench.ledger.unconfirmed(&id(1), at(11_200), false);
    bench.settle(11_020, &record(Status::Succeeded, Some(11)), Some(0));
    let counts = bench.counts();
    assert_eq!(counts.finding(Finding::Unconfirmed).unexplained, 1);
    assert_eq!(counts.class(Class::Succeeded), 1);
}

#[test]
fn repeated_requests_are_told_apart() {
    let mut bench = Bench::new();
    bench.started(1);
    bench.held(1, 1006, ends_after(10));
    bench.ledger.held(7, &id(1), at(1007), PlannedEnd::Silence, Arrived::Redelivered);
    bench.ledger.held(7, &id(1), at(1008), PlannedEnd::Silence, Arrived::Duplicated);
    bench.reports(1, 1016, 1016, Status::Succeeded);
    bench.confirmed(1, 1017);
    bench.settle(1018, &record(Status::Succeeded, Some(12)), Some(0));
    let counts = bench.counts();
    assert_eq!(counts.finding(Finding::Redelivered).explained, 1);
    assert_eq!(counts.finding(Finding::Duplicated).unexplained, 1);
    assert_eq!(counts.unexplained(), 1, "a redelivery is legal");
}

#[test]
fn refusals_are_counted_by_their_error() {
    let mut bench = Bench::new();
    for error in ["ThrottlingException", "ThrottlingException", "Unreachable"] {
        let key = bench.sent();
        bench.ledger.refused(key, at(1003), &Arc::from(error));
    }
    let counts = bench.counts();
    assert_eq!((counts.due, counts.started, counts.class(Class::Refused)), (3, 0, 3));
    assert_eq!(counts.refused["ThrottlingException"], 2);
}

#[test]
fn an_unanswered_start_stays_unknown_unless_its_device_holds_it() {
    let mut bench = Bench::new();
    // Held before the wait for the answer was given up …
    let early = bench.sent();
    bench.held(1, 1003, ends_after(5));
    bench.ledger.start_unanswered(early, at(11_002));
    // … and after.
    let late = bench.sent();
    bench.ledger.start_unanswered(late, at(11_002));
    bench.held(2, 11_500, ends_after(5));
    // Nobody ever held this one.
    let never = bench.sent();
    bench.ledger.start_unanswered(never, at(11_002));
    for n in [1, 2] {
        bench.reports(n, 11_600, 11_600, Status::Succeeded);
        bench.confirmed(n, 11_601);
    }
    bench.settle(11_602, &record(Status::Succeeded, Some(9_000)), Some(0));
    assert_eq!(bench.counts().class(Class::Succeeded), 2);
    assert_eq!(bench.counts().started, 2);
    bench.settle(14_000, &record(Status::Succeeded, Some(9_000)), Some(0));
    assert_eq!(bench.counts().class(Class::Unknown), 1);
    assert_eq!(bench.ledger.open(), 0);
}

#[test]
fn a_start_without_an_answer_does_not_take_the_id_of_a_later_one() {
    let mut bench = Bench::new();
    let lost = bench.sent();
    bench.ledger.start_unanswered(lost, at(11_002));
    // A later start to the same device: held before its answer, as it often is.
    let later = bench.sent();
    bench.held(2, 11_100, ends_after(5));
    bench.ledger.started(later, at(11_101), id(2));
    bench.reports(2, 11_105, 11_105, Status::Succeeded);
    bench.confirmed(2, 11_106);
    bench.settle(11_107, &record(Status::Succeeded, Some(6)), Some(0));
    let counts = bench.counts();
    assert_eq!((counts.class(Class::Succeeded), counts.unexplained()), (1, 0));
    bench.settle(14_000, &record(Status::Succeeded, Some(6)), Some(0));
    assert_eq!(bench.counts().class(Class::Unknown), 1);
}

#[test]
fn a_copy_that_comes_after_settling_is_still_found() {
    let mut bench = Bench::new();
    bench.started(1);
    bench.held(1, 1006, ends_after(10));
    bench.reports(1, 1016, 1016, Status::Succeeded);
    bench.confirmed(1, 1017);
    bench.settle(1018, &record(Status::Succeeded, Some(12)), Some(0));
    bench.ledger.held(7, &id(1), at(2000), PlannedEnd::Silence, Arrived::Duplicated);
    bench.ledger.held(7, &id(1), at(2001), PlannedEnd::Silence, Arrived::Redelivered);
    // The device has forgotten it and takes it for a new one.
    bench.held(1, 2002, ends_after(10));
    let counts = bench.counts();
    assert_eq!(counts.finding(Finding::Duplicated).unexplained, 2);
    assert_eq!(counts.finding(Finding::Redelivered).explained, 1);
    assert_eq!(counts.due, 1);
}

#[test]
fn a_request_without_room_in_the_device_is_not_booked_as_planned() {
    let mut bench = Bench::new();
    bench.started(1);
    bench.held(1, 1006, PlannedEnd::QueueFull);
    bench.settle(1005 + AFTER_TIMEOUT, &record(Status::TimedOut, None), Some(0));
    let counts = bench.counts();
    assert_eq!((counts.class(Class::TimedOutCloud), counts.timed_out_as_planned), (1, 0));
}

#[test]
fn an_offline_device_is_waited_for_as_long_as_its_plan_says() {
    let mut bench = Bench::new();
    bench.started(1);
    bench.held(1, 1006, ends_after(20_000));
    for ms in (11_200..23_000).step_by(400) {
        bench.settle(ms, &record(Status::TimedOut, None), None);
    }
    assert_eq!(bench.counts().decided(), 0, "it was going to answer at 21,006 ms");
    for ms in (23_000..24_000).step_by(100) {
        bench.settle(ms, &record(Status::TimedOut, None), None);
    }
    assert_eq!(bench.counts().class(Class::TimedOutCloud), 1);
}

#[test]
fn executions_of_somebody_else_are_forgotten_and_counted() {
    let mut bench = Bench::new();
    bench.held(99, 1000, ends_after(5));
    bench.settle(10_000, &ReadBack::NotFound, None);
    assert_eq!(bench.ledger.foreign(), 0);
    bench.settle(17_000, &ReadBack::NotFound, None);
    assert_eq!(bench.ledger.foreign(), 1);
    assert_eq!(bench.counts(), Counts::default());
}

#[test]
fn a_full_ledger_counts_what_it_cannot_follow() {
    let mut bench = Bench::with_capacity(2);
    bench.sent();
    bench.sent();
    assert_eq!(bench.ledger.enter(Bench::origin(), at(1000), at(1001), TIMEOUT_US), None);
    let counts = bench.counts();
    assert_eq!((counts.due, counts.refused[TOO_MANY_OPEN]), (3, 1));
    assert_eq!(counts.finding(Finding::Unverified).unexplained, 1);
}

#[test]
fn what_is_open_at_the_end_is_classed_by_how_far_it_got() {
    let mut bench = Bench::new();
    bench.started(1);
    bench.sent();
    bench.ledger.enter(Bench::origin(), at(1000), at(1001), TIMEOUT_US).unwrap();
    bench.ledger.finish();
    let counts = bench.counts();
    for class in [Class::Unfinished, Class::Unknown, Class::Unsent] {
        assert_eq!(counts.class(class), 1, "{class:?}");
    }
    assert_eq!(counts.open(), 0);
}

#[test]
fn an_unreadable_record_is_asked_for_again_and_then_unverified() {
    let mut bench = Bench::new();
    bench.started(1);
    bench.held(1, 1006, ends_after(10));
    bench.reports(1, 1016, 1016, Status::Succeeded);
    bench.confirmed(1, 1017);
    bench.settle(1018, &ReadBack::Unreadable, Some(0));
    assert_eq!(bench.counts().decided(), 0);
    for ms in (1_500..15_000).step_by(250) {
        bench.settle(ms, &ReadBack::Unreadable, Some(0));
    }
    assert_eq!(bench.counts().class(Class::Succeeded), 1, "the device saw it accepted");
    assert_eq!(bench.counts().finding(Finding::Unverified).unexplained, 1);
}

#[test]
fn moot_deadlines_do_not_pile_up() {
    let mut bench = Bench::new();
    for n in 0..10_000 {
        bench.started(n);
        bench.held(n, 1006, ends_after(10));
        bench.reports(n, 1016, 1016, Status::Succeeded);
        bench.confirmed(n, 1017);
        bench.settle(1018, &record(Status::Succeeded, Some(12)), Some(0));
    }
    assert_eq!(bench.counts().decided(), 10_000);
    assert!(bench.ledger.deadlines.len() < 2_100, "{} deadlines", bench.ledger.deadlines.len());
}

proptest::proptest! {
    /// Whatever happens in whatever order, every due execution is in exactly one class at the end.
    #[test]
    fn every_entry_is_struck_off_exactly_once(steps in proptest::collection::vec((0u8..9, 0u128..6), 0..120)) {
        let mut bench = Bench::with_capacity(4);
        let mut keys = Vec::new();
        for (ms, (step, n)) in (1000u64..).step_by(400).zip(steps) {
            let key = keys.get(usize::try_from(n).unwrap()).copied();
            match (step, key) {
                (0, _) => keys.extend(bench.ledger.enter(Bench::origin(), at(ms), at(ms), TIMEOUT_US)),
                (1, Some(key)) => bench.ledger.written(key, at(ms)),
                (2, Some(key)) => bench.ledger.started(key, at(ms), id(n)),
                (3, Some(key)) => bench.ledger.refused(key, at(ms), &Arc::from("X")),
                (4, Some(key)) => bench.ledger.start_unanswered(key, at(ms)),
                (5, _) => bench.held(n, ms, ends_after(10)),
                (6, _) => bench.reports(n, ms, ms, Status::Succeeded),
                (7, _) => bench.confirmed(n, ms),
                (8, _) => { bench.settle(ms, &record(Status::Succeeded, Some(12)), Some(0)); }
                _ => {}
            }
            let counts = bench.counts();
            proptest::prop_assert_eq!(counts.due, counts.decided() + bench.ledger.open() as u64);
        }
        bench.ledger.finish();
        let counts = bench.counts();
        proptest::prop_assert_eq!(counts.due, counts.decided());
        let started: u64 = Class::ALL.iter().filter(|c| c.is_started()).map(|c| counts.class(*c)).sum();
        proptest::prop_assert_eq!(started, counts.started);
    }
}

/// Planned outages of the target, each from and until.
fn out(outages: &[(u64, u64)]) -> Holder {
    let outages = outages.iter().map(|(from, until)| Outage { from: at(*from), until: at(*until) });
    Holder { outages: outages.collect(), ..Holder::default() }
}

/// A target that is out by plan answers, times out and delivers when it is back.
#[test]
fn a_planned_outage_excuses_what_did_not_come_in_time() {
    // Held, answered, and the reply given up during the outage.
    let mut bench = Bench::new();
    bench.plan = out(&[(1_050, 30_000)]);
    bench.started(1);
    bench.held(1, 1_010, ends_after(100));
    bench.reports(1, 1_110, 1_110, Status::Succeeded);
    bench.ledger.unconfirmed(&id(1), at(11_110), false);
    let record = Record {
        status: Status::Succeeded,
        reason: None,
        completed_after_us: Some(5_000),
        request_withheld: false,
        result: None,
    };
    bench.settle(30_000, &ReadBack::Record(record), Some(0));
    let counts = bench.ledger.statistics.measured(None, None);
    assert_eq!((counts.finding(Finding::Unconfirmed).explained, counts.unexplained()), (1, 0));

    // Open 2 s past its time-out because nothing was timed out meanwhile; not lost before 2 s after it.
    let mut bench = Bench::new();
    bench.plan = out(&[(1_050, 30_000)]);
    bench.started(2);
    let open = ReadBack::Record(Record {
        status: Status::Created,
        reason: None,
        completed_after_us: None,
        request_withheld: false,
        result: None,
    });
    bench.settle(30_000, &open, Some(0));
    bench.settle(32_000, &open, Some(0));
    assert_eq!(bench.ledger.open(), 1);
    bench.settle(33_000, &open, Some(0));
    assert_eq!(bench.ledger.open(), 0, "it is the target's fault by then");

    // Timed out in the target, and on its way to the device only now.
    let mut bench = Bench::new();
    bench.plan = out(&[(1_050, 30_000)]);
    bench.holds = false;
    bench.started(3);
    let timed_out = ReadBack::Record(Record {
        status: Status::TimedOut,
        reason: None,
        completed_after_us: None,
        request_withheld: false,
        result: None,
    });
    bench.settle(30_000, &timed_out, Some(0));
    assert_eq!(bench.ledger.open(), 1, "it may still arrive");
    bench.settle(32_100, &timed_out, Some(0));
    let counts = bench.ledger.statistics.measured(None, None);
    assert_eq!((counts.finding(Finding::Lost).explained, counts.unexplained()), (1, 0));
}

/// Started at 1.0 s, timed out at 11.0 s, never held by a device that was there all the time.
#[test]
fn an_outage_excuses_a_lost_request_only_if_it_left_no_time_for_it() {
    for (outages, explained) in [
        // It was over long before the time-out, or came when that was due.
        (&[(1_050u64, 2_000u64)] as &[_], false),
        (&[(5_000, 7_000)], false),
        (&[(9_500, 12_000)], false),
        (&[(11_100, 14_000)], false),
        // Little was left before it, after it, or between one and the next.
        (&[(1_050, 10_000)], true),
        (&[(2_500, 30_000)], true),
        (&[(2_000, 3_500), (5_000, 6_000), (7_500, 10_000)], true),
        (&[(2_000, 3_500), (6_000, 7_000), (8_500, 10_000)], false),
    ] {
        let mut bench = Bench::new();
        bench.plan = out(outages);
        bench.holds = false;
        bench.started(1);
        for ms in [11_200, 20_000, 40_000] {
            bench.settle(ms, &record(Status::TimedOut, None), Some(0));
        }
        let lost = bench.counts().finding(Finding::Lost);
        let expected = (u64::from(explained), u64::from(!explained));
        assert_eq!((lost.explained, lost.unexplained), expected, "{outages:?}");
    }
}

/// Back online at 8 s in a session that was kept, the device could have had the request for 3 s.
#[test]
fn an_outage_while_the_device_was_away_excuses_nothing() {
    for (outage, explained) in [((1_050, 7_000), false), ((1_050, 10_000), true)] {
        let mut bench = Bench::new();
        bench.plan = out(&[outage]);
        (bench.holds, bench.session_ms) = (false, Some(0));
        bench.started(1);
        for ms in [11_200, 20_000] {
            bench.settle(ms, &record(Status::TimedOut, None), Some(8_000));
        }
        let lost = bench.counts().finding(Finding::Lost);
        assert_eq!(
            (lost.explained, lost.explained + lost.unexplained),
            (u64::from(explained), 1),
            "{outage:?}"
        );
    }
}

/// Reported at 5.0 s, given up at 15.0 s.
#[test]
fn an_outage_excuses_a_missing_reply_only_if_it_left_no_time_for_it() {
    for (outage, explained) in
        [((1_500, 4_000), false), ((5_500, 6_500), false), ((5_500, 14_000), true), ((4_000, 30_000), true)]
    {
        let mut bench = Bench::new();
        bench.plan = out(&[outage]);
        bench.started(1);
        bench.held(1, 1_010, ends_after(3_990));
        bench.reports(1, 5_000, 5_000, Status::Succeeded);
        bench.ledger.unconfirmed(&id(1), at(15_000), false);
        bench.settle(15_000, &record(Status::Succeeded, Some(4_000)), Some(0));
        let unconfirmed = bench.counts().finding(Finding::Unconfirmed);
        assert_eq!((unconfirmed.explained, unconfirmed.total()), (u64::from(explained), 1), "{outage:?}");
    }
}

/// Started at 1.0 s, timed out at 11.0 s over a link that may take as long: nobody can say that it would have come
/// in time, but the target says that it kept it.
#[test]
fn a_request_that_the_target_kept_back_is_lost_whatever_its_link() {
    for (withheld, lost) in [(false, 0), (true, 1)] {
        let mut bench = Bench::new();
        bench.plan = Holder { link_us: TIMEOUT_US, ..Holder::default() };
        bench.holds = false;
        bench.started(1);
        let ReadBack::Record(record) = record(Status::TimedOut, None) else { panic!() };
        let read = ReadBack::Record(Record { request_withheld: withheld, ..record });
        for ms in [11_200, 25_000, 60_000] {
            bench.settle(ms, &read, Some(0));
        }
        let counts = bench.counts();
        assert_eq!((counts.finding(Finding::Lost).explained, counts.unexplained()), (lost, 0), "{withheld}");
        assert_eq!(bench.ledger.open(), 0);
    }
}
