use super::*;

fn at(ms: u64) -> Instant {
    Instant::from_micros(ms * 1000)
}

fn id(n: u128) -> ExecutionId {
    ExecutionId::from_uuid(n)
}

fn decision(kind: OutcomeKind, accept: Option<u64>, delay_ms: u64) -> Decision {
    let accept_us = accept.map(|ms| ms * 1000);
    Decision { kind, outcome: None, accept_us, delay_us: delay_ms * 1000, twice: false, drops_at: None }
}

/// A device that is online, and what it did.
struct Bench {
    behaviour: Behaviour,
    done: Vec<Action>,
}

impl Bench {
    fn new() -> Self {
        let mut bench = Self { behaviour: Behaviour::default(), done: Vec::new() };
        bench.behaviour.online(at(0), &mut bench.done);
        bench
    }

    fn request(&mut self, n: u128, ms: u64, decision: Decision) -> Request {
        self.behaviour.request(&id(n), false, 1, at(ms), |_| decision, &mut self.done)
    }

    /// The instant asked for last, which is performed as the pacer would.
    fn wake(&mut self) -> u64 {
        let wake = self.done.iter().rev().find_map(|action| match action {
            Action::Wake { at, serial } => Some((*at, *serial)),
            _ => None,
        });
        let (instant, serial) = wake.expect("something was to be woken for");
        self.behaviour.due(serial, instant, &mut self.done);
        instant.micros() / 1000
    }

    fn reply(&mut self, n: u128, ms: u64) {
        self.behaviour.reply(&id(n), None, at(ms), &mut self.done);
    }

    /// What was done since the last call, without the wake-ups.
    fn take(&mut self) -> Vec<Action> {
        let done = std::mem::take(&mut self.done);
        done.into_iter().filter(|action| !matches!(action, Action::Wake { .. })).collect()
    }
}

fn report(n: u128, status: Status, planned_ms: u64) -> Action {
    Action::SendReport { id: id(n), status, outcome: None, planned: at(planned_ms) }
}

#[test]
fn an_answer_without_progress_comes_after_the_delay() {
    for (kind, status) in [
        (OutcomeKind::Succeeded, Status::Succeeded),
        (OutcomeKind::Failed, Status::Failed),
        (OutcomeKind::Rejected, Status::Rejected),
        (OutcomeKind::TimedOut, Status::TimedOut),
    ] {
        let mut bench = Bench::new();
        bench.request(1, 100, decision(kind, None, 50));
        assert_eq!(bench.take(), []);
        bench.request(2, 101, decision(kind, None, 1));
        bench.behaviour.due(1, at(150), &mut bench.done);
        assert_eq!(bench.take(), [report(1, status, 150)]);
    }
}

#[test]
fn the_delay_runs_from_the_reply_to_in_progress() {
    let mut bench = Bench::new();
    bench.request(1, 100, decision(OutcomeKind::Succeeded, Some(20), 50));
    assert_eq!(bench.wake(), 120);
    assert_eq!(bench.take(), [Action::SendProgress { id: id(1) }]);
    bench.reply(1, 130);
    assert_eq!(bench.wake(), 180);
    assert_eq!(
        bench.take(),
        [Action::ProgressReplied { id: id(1), accepted: true }, report(1, Status::Succeeded, 180)]
    );
    bench.reply(1, 185);
    assert_eq!(bench.take(), [Action::Confirmed { id: id(1), rejected: None }]);
}

#[test]
fn the_rest_waits_until_the_first_has_its_reply() {
    let mut bench = Bench::new();
    bench.request(1, 100, decision(OutcomeKind::Succeeded, None, 50));
    bench.request(2, 101, decision(OutcomeKind::Failed, None, 10));
    bench.wake();
    assert_eq!(bench.take(), [report(1, Status::Succeeded, 150)]);
    bench.reply(1, 160);
    assert_eq!(bench.take(), [Action::Confirmed { id: id(1), rejected: None }]);
    bench.behaviour.due(bench.behaviour.serial, at(170), &mut bench.done);
    assert_eq!(bench.take(), [report(2, Status::Failed, 170)]);
}

#[test]
fn silence_frees_the_device_at_once() {
    let mut bench = Bench::new();
    let silent = decision(OutcomeKind::NoAnswer, Some(5), 50);
    assert_eq!(bench.request(1, 100, silent), Request::Held(PlannedEnd::Silence));
    bench.request(2, 101, decision(OutcomeKind::Succeeded, None, 10));
    assert_eq!(bench.wake(), 111);
    assert_eq!(bench.take(), [report(2, Status::Succeeded, 111)]);
}

#[test]
fn a_request_seen_before_draws_no_new_decision() {
    let mut bench = Bench::new();
    let mut drawn = Vec::new();
    let mut request = |bench: &mut Bench, n: u128, dup: bool, session: u32| {
        let decide = |number| {
            drawn.push(number);
            decision(OutcomeKind::NoAnswer, None, 0)
        };
        bench.behaviour.request(&id(n), dup, session, at(1), decide, &mut Vec::new())
    };
    assert_eq!(request(&mut bench, 1, false, 1), Request::Held(PlannedEnd::Silence));
    assert_eq!(request(&mut bench, 1, true, 1), Request::Again(Arrived::Redelivered));
    assert_eq!(request(&mut bench, 1, false, 1), Request::Again(Arrived::Duplicated));
    assert_eq!(request(&mut bench, 1, false, 2), Request::Again(Arrived::Redelivered));
    assert_eq!(request(&mut bench, 2, false, 2), Request::Held(PlannedEnd::Silence));
    assert_eq!(drawn, [0, 1]);
}

#[test]
fn what_falls_due_offline_is_sent_when_the_device_is_back_and_is_not_late_by_it() {
    let mut bench = Bench::new();
    bench.request(1, 100, decision(OutcomeKind::Succeeded, None, 50));
    bench.behaviour.offline();
    bench.wake();
    assert_eq!(bench.take(), []);
    bench.behaviour.online(at(900), &mut bench.done);
    assert_eq!(bench.take(), [report(1, Status::Succeeded, 900)]);
}

#[test]
fn an_answer_whose_reply_was_lost_with_the_connection_is_sent_again() {
    let mut bench = Bench::new();
    bench.request(1, 100, decision(OutcomeKind::Succeeded, None, 50));
    bench.wake();
    bench.take();
    bench.behaviour.offline();
    bench.behaviour.online(at(200), &mut bench.done);
    assert_eq!(bench.take().len(), 1);
    bench.behaviour.reply(&id(1), Some("TerminalStateReached".into()), at(210), &mut bench.done);
    assert_eq!(
        bench.take(),
        [Action::Confirmed { id: id(1), rejected: Some("TerminalStateReached".into()) }]
    );
}

#[test]
fn a_device_does_not_wait_for_a_reply_for_ever() {
    let mut bench = Bench::new();
    bench.request(1, 100, decision(OutcomeKind::Succeeded, Some(0), 50));
    bench.wake();
    assert_eq!(bench.take(), [Action::SendProgress { id: id(1) }]);
    // The wait for the reply to IN_PROGRESS ends; the job goes on.
    bench.behaviour.due(bench.behaviour.serial, at(10_100), &mut bench.done);
    bench.behaviour.due(bench.behaviour.serial, at(10_150), &mut bench.done);
    assert_eq!(
        bench.take(),
        [Action::ProgressReplied { id: id(1), accepted: false }, report(1, Status::Succeeded, 10_150)]
    );
    bench.behaviour.due(bench.behaviour.serial, at(20_150), &mut bench.done);
    assert_eq!(bench.take(), [Action::Unconfirmed { id: id(1), disconnected: false }]);
    assert_eq!(bench.behaviour.holding(), 0);
}

#[test]
fn an_overdue_reply_to_in_progress_does_not_confirm_the_answer() {
    let mut bench = Bench::new();
    bench.request(1, 100, decision(OutcomeKind::Succeeded, Some(0), 50));
    bench.wake();
    bench.behaviour.due(bench.behaviour.serial, at(10_100), &mut bench.done);
    bench.behaviour.due(bench.behaviour.serial, at(10_150), &mut bench.done);
    bench.take();
    bench.reply(1, 10_200);
    assert_eq!(bench.take(), [], "this one belongs to IN_PROGRESS");
    bench.reply(1, 10_201);
    assert_eq!(bench.take(), [Action::Confirmed { id: id(1), rejected: None }]);
}

#[test]
fn a_full_queue_refuses_and_replies_to_others_are_not_mistaken() {
    let mut bench = Bench::new();
    for n in 0..MAX_QUEUED as u128 {
        bench.request(n, 1, decision(OutcomeKind::Succeeded, None, 50));
    }
    assert_eq!(bench.request(u128::MAX, 1, decision(OutcomeKind::Succeeded, None, 50)), Request::Refused);
    bench.reply(5, 2);
    assert_eq!(bench.take(), []);
}

#[test]
fn a_moot_wake_up_does_nothing() {
    let mut bench = Bench::new();
    bench.request(1, 100, decision(OutcomeKind::Succeeded, None, 50));
    let serial = bench.behaviour.serial;
    bench.behaviour.due(serial.wrapping_sub(1), at(120), &mut bench.done);
    assert_eq!(bench.take(), []);
    assert!(bench.behaviour.awaits(serial) && !bench.behaviour.awaits(serial.wrapping_sub(1)));
}
