use super::*;
use crate::scenario::SlowStart;

fn at(ms: u64) -> Instant {
    Instant::from_micros(ms * 1000)
}

fn id(n: u128) -> ExecutionId {
    ExecutionId::from_uuid(n)
}

fn decision(kind: OutcomeKind, accept: Option<u64>, delay_ms: u64) -> Decision {
    Decision {
        kind,
        outcome: None,
        accept_us: accept.map(|ms| ms * 1000),
        delay_us: delay_ms * 1000,
        twice: false,
        out_of_order: false,
        malformed: None,
        drops_at: None,
    }
}

const TIMES_OUT_MS: u64 = 2_000;

/// A device that is online, and what it did.
struct Bench {
    behaviour: Behaviour,
    manners: Manners,
    online_since: Option<Instant>,
    /// The end of a silence.
    speaks_from: Instant,
    done: Vec<Action>,
    /// The wake-up asked for last, as far as it was taken.
    asked: Option<(Instant, u32)>,
}

impl Bench {
    fn new() -> Self {
        Self::with_session(false)
    }

    fn with_session(kept: bool) -> Self {
        Self::with(Manners::default(), kept)
    }

    fn with(manners: Manners, kept: bool) -> Self {
        let behaviour = Behaviour::new(kept);
        let mut bench = Self {
            behaviour,
            manners,
            online_since: None,
            speaks_from: Instant::START,
            done: Vec::new(),
            asked: None,
        };
        bench.online(false, 0);
        bench
    }

    fn act<R>(&mut self, ms: u64, what: impl FnOnce(&mut Behaviour, &mut Turn<'_>) -> R) -> R {
        let Self { behaviour, manners, online_since, speaks_from, done, .. } = self;
        what(
            behaviour,
            &mut Turn {
                manners,
                now: at(ms),
                online_since: *online_since,
                speaks_from: at(ms).max(*speaks_from),
                actions: done,
            },
        )
    }

    fn online(&mut self, resumed: bool, ms: u64) {
        self.online_since = Some(at(ms));
        self.act(ms, |behaviour, turn| behaviour.online(resumed, turn));
    }

    fn offline(&mut self) {
        self.online_since = None;
        self.behaviour.offline();
    }

    /// The wake-up with this serial. If the device is to read first, nothing has come.
    fn due(&mut self, serial: u32, ms: u64) {
        self.act(ms, |behaviour, turn| behaviour.due(serial, turn));
        if self.done.last() == Some(&Action::ReadFirst) {
            self.done.pop();
            self.act(ms, Behaviour::has_read);
        }
    }

    /// The last wake-up that was asked for, at another instant.
    fn due_at(&mut self, ms: u64) {
        self.due(self.behaviour.serial, ms);
    }

    fn request(&mut self, n: u128, ms: u64, decision: Decision) -> Request {
        self.arrives(n, ms, None, decision)
    }

    /// Executions of this bench time out at [`TIMES_OUT_MS`].
    fn arrives(&mut self, n: u128, ms: u64, expires: Option<u64>, decision: Decision) -> Request {
        let id = id(n);
        let request = Arriving { id: &id, dup: false, expires: expires.map(at) };
        self.act(ms, |behaviour, turn| behaviour.request(request, |_| decision, || at(TIMES_OUT_MS), turn))
    }

    /// The instant asked for last, which is performed as the pacer would.
    fn wake(&mut self) -> u64 {
        self.note_wake();
        let (instant, serial) = self.asked.expect("something was to be woken for");
        self.due(serial, instant.micros() / 1000);
        instant.micros() / 1000
    }

    fn reply(&mut self, n: u128, ms: u64) {
        self.reply_to(n, 0, None, ms);
    }

    fn reply_to(&mut self, n: u128, token: Token, rejected: Option<&str>, ms: u64) {
        let rejected = rejected.map(str::to_owned);
        self.act(ms, |behaviour, turn| behaviour.reply(&id(n), token, rejected, turn));
    }

    /// The connection breaks off and is there again.
    fn reconnects(&mut self, resumed: bool, ms: u64) {
        self.offline();
        self.online(resumed, ms);
    }

    fn note_wake(&mut self) {
        let wake = self.done.iter().rev().find_map(|action| match action {
            Action::Wake { at, serial } => Some((*at, *serial)),
            _ => None,
        });
        self.asked = wake.or(self.asked);
    }

    /// What was done since the last call, without the wake-ups.
    fn take(&mut self) -> Vec<Action> {
        self.note_wake();
        let done = std::mem::take(&mut self.done);
        done.into_iter().filter(|action| !matches!(action, Action::Wake { .. })).collect()
    }
}

fn report(n: u128, status: Status, planned_ms: u64) -> Action {
    report_with(0, n, status, planned_ms)
}

fn report_with(token: Token, n: u128, status: Status, planned_ms: u64) -> Action {
    let planned = at(planned_ms);
    let around = Around::default();
    Action::SendReport { id: id(n), status, reason: Reason::None, planned, token, around }
}

fn progress(n: u128, token: Token) -> Action {
    Action::SendProgress { id: id(n), token, waited_for: true }
}

fn confirmed(n: u128, rejected: Option<&str>) -> Action {
    Action::Confirmed { id: id(n), rejected: rejected.map(str::to_owned) }
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
        bench.due(1, 150);
        assert_eq!(bench.take(), [report(1, status, 150)]);
    }
}

#[test]
fn the_delay_runs_from_the_reply_to_in_progress() {
    let mut bench = Bench::new();
    bench.request(1, 100, decision(OutcomeKind::Succeeded, Some(20), 50));
    assert_eq!(bench.wake(), 120);
    assert_eq!(bench.take(), [progress(1, 0)]);
    bench.reply(1, 130);
    assert_eq!(bench.wake(), 180);
    assert_eq!(
        bench.take(),
        [Action::ProgressReplied { id: id(1), accepted: true }, report(1, Status::Succeeded, 180)]
    );
    bench.reply(1, 185);
    assert_eq!(bench.take(), [confirmed(1, None)]);
}

#[test]
fn the_rest_waits_until_the_first_has_its_reply() {
    let mut bench = Bench::new();
    bench.request(1, 100, decision(OutcomeKind::Succeeded, None, 50));
    bench.request(2, 101, decision(OutcomeKind::Failed, None, 10));
    bench.wake();
    assert_eq!(bench.take(), [report(1, Status::Succeeded, 150)]);
    bench.reply(1, 160);
    assert_eq!(bench.take(), [confirmed(1, None)]);
    bench.due_at(170);
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
    let mut request = |bench: &mut Bench, n: u128, dup: bool| {
        let decide = |number| {
            drawn.push(number);
            decision(OutcomeKind::NoAnswer, None, 0)
        };
        let id = id(n);
        let request = Arriving { id: &id, dup, expires: None };
        bench.act(1, |behaviour, turn| behaviour.request(request, decide, || at(TIMES_OUT_MS), turn))
    };
    assert_eq!(request(&mut bench, 1, false), Request::Held(PlannedEnd::Silence));
    assert_eq!(request(&mut bench, 1, true), Request::Again(Arrived::Redelivered));
    assert_eq!(request(&mut bench, 1, false), Request::Again(Arrived::Duplicated));
    bench.reconnects(true, 2);
    assert_eq!(request(&mut bench, 1, false), Request::Again(Arrived::Redelivered));
    assert_eq!(request(&mut bench, 2, false), Request::Held(PlannedEnd::Silence));
    assert_eq!(drawn, [0, 1]);
}

#[test]
fn what_falls_due_offline_is_sent_when_the_device_is_back_and_is_not_late_by_it() {
    let mut bench = Bench::new();
    bench.request(1, 100, decision(OutcomeKind::Succeeded, None, 50));
    bench.offline();
    bench.wake();
    assert_eq!(bench.take(), []);
    bench.online(false, 900);
    assert_eq!(bench.take(), [report(1, Status::Succeeded, 900)]);
}

#[test]
fn an_update_whose_reply_was_lost_with_the_connection_is_sent_again_unless_the_session_goes_on() {
    // (kept session, resumed) → (IN_PROGRESS sent again, answer sent again)
    for (kept, resumed, again) in [(false, false, true), (true, false, true), (true, true, false)] {
        let mut bench = Bench::with_session(kept);
        let first = Token::from(kept);
        bench.request(1, 100, decision(OutcomeKind::Succeeded, Some(0), 50));
        bench.wake();
        assert_eq!(bench.take(), [progress(1, first)], "kept {kept}");
        bench.reconnects(resumed, 200);
        let (expected, token) =
            if again { (vec![progress(1, first + 1)], first + 1) } else { (vec![], first) };
        assert_eq!(bench.take(), expected, "kept {kept}, resumed {resumed}");
        bench.reply_to(1, token, None, 210);
        assert_eq!(bench.wake(), 260);
        let sent = report_with(token + 1, 1, Status::Succeeded, 260);
        assert_eq!(bench.take(), [Action::ProgressReplied { id: id(1), accepted: true }, sent]);
        bench.reconnects(resumed, 300);
        let token = if again { token + 2 } else { token + 1 };
        let expected = if again { vec![report_with(token, 1, Status::Succeeded, 300)] } else { vec![] };
        assert_eq!(bench.take(), expected, "kept {kept}, resumed {resumed}");
        bench.reply_to(1, token, Some("TerminalStateReached"), 310);
        assert_eq!(bench.take(), [confirmed(1, Some("TerminalStateReached"))]);
    }
}

#[test]
fn only_the_reply_with_the_token_of_the_update_counts_once_replies_may_stray() {
    let mut bench = Bench::with_session(true);
    bench.request(1, 100, decision(OutcomeKind::Succeeded, Some(0), 50));
    bench.wake();
    bench.reply_to(1, 1, None, 110);
    bench.wake();
    assert_eq!(bench.take().len(), 3);
    assert!(bench.behaviour.awaits_token(&id(1)) && !bench.behaviour.awaits_token(&id(2)));
    // The broker repeats the reply to IN_PROGRESS, and somebody else updates without a token.
    for stray in [1, 0, 9] {
        bench.reply_to(1, stray, None, 170);
        assert_eq!(bench.take(), [], "token {stray}");
    }
    bench.reply_to(1, 2, None, 180);
    assert_eq!(bench.take(), [confirmed(1, None)]);
}

#[test]
fn an_answer_that_is_sent_twice_confuses_nobody() {
    let mut bench = Bench::new();
    let twice = Decision { twice: true, ..decision(OutcomeKind::Failed, None, 50) };
    bench.request(1, 100, twice);
    bench.request(2, 100, decision(OutcomeKind::Succeeded, None, 50));
    bench.wake();
    let planned = at(150);
    let sent = |token, twice| {
        let (id, status, around) = (id(1), Status::Failed, Around { twice, ..Around::default() });
        Action::SendReport { id, status, reason: Reason::None, planned, token, around }
    };
    assert_eq!(bench.take(), [sent(0, true)]);
    bench.reply(1, 160);
    bench.reply_to(1, 0, Some("TerminalStateReached"), 161);
    assert_eq!(bench.take(), [confirmed(1, None)]);
    assert_eq!(bench.wake(), 210);
    assert_eq!(bench.take(), [report(2, Status::Succeeded, 210)], "the next one is worked on");
}

#[test]
fn a_late_answer_comes_so_long_after_the_time_out_and_occupies_the_device_until_then() {
    let mut bench = Bench::new();
    let late = decision(OutcomeKind::Late, Some(20), 500);
    let held = bench.request(1, 100, late);
    assert_eq!(held, Request::Held(PlannedEnd::Late { at: at(TIMES_OUT_MS + 500) }));
    bench.request(2, 101, decision(OutcomeKind::Succeeded, None, 10));
    assert_eq!(bench.wake(), 120);
    bench.reply(1, 130);
    assert_eq!(bench.wake(), TIMES_OUT_MS + 500);
    assert_eq!(bench.take().pop(), Some(report(1, Status::Succeeded, TIMES_OUT_MS + 500)));
    bench.reply(1, 2_510);
    assert_eq!(bench.wake(), 2_520, "only now the next one has its turn");
}

#[test]
fn a_request_whose_message_expired_in_the_queue_is_not_worked_on() {
    let mut bench = Bench::new();
    bench.arrives(1, 100, Some(1_100), decision(OutcomeKind::Succeeded, None, 1_500));
    for n in [2, 3] {
        bench.arrives(n, 100, Some(1_100), decision(OutcomeKind::Succeeded, None, 10));
    }
    bench.arrives(4, 100, None, decision(OutcomeKind::Succeeded, None, 10));
    assert_eq!(bench.wake(), 1_600, "what is worked on is ended");
    bench.take();
    bench.reply(1, 1_610);
    let expired = |n| Action::Expired { id: id(n) };
    assert_eq!(bench.take(), [confirmed(1, None), expired(2), expired(3)]);
    assert_eq!((bench.behaviour.holding(), bench.behaviour.holds(&id(2))), (1, false));
    assert_eq!(
        bench.request(2, 1_611, decision(OutcomeKind::Failed, None, 1)),
        Request::Again(Arrived::Duplicated)
    );
}

#[test]
fn a_drop_in_mid_command_comes_between_progress_and_answer() {
    // (IN_PROGRESS after, the drop's share of the delay) → (drop, answer)
    for (accept, drops_at, dropped_ms, planned_ms) in [
        (None, 0, 100, 200),
        (None, 1 << 15, 150, 200),
        (Some(20), 1 << 15, 180, 230),
        (None, u16::MAX, 199, 200),
    ] {
        let mut bench = Bench::new();
        let drops = Decision { drops_at: Some(drops_at), ..decision(OutcomeKind::Succeeded, accept, 100) };
        bench.request(1, 100, drops);
        if accept.is_some() {
            bench.wake();
            bench.reply(1, 130);
        }
        bench.take();
        assert_eq!(bench.wake(), dropped_ms, "{drops_at}");
        assert_eq!(bench.take(), [Action::Drop]);
        assert_eq!(bench.wake(), planned_ms);
        assert_eq!(bench.take(), [], "offline");
        bench.reconnects(false, 900);
        assert_eq!(bench.take(), [report(1, Status::Succeeded, 900)]);
    }
}

#[test]
fn a_device_that_is_away_already_does_not_drop_again() {
    let mut bench = Bench::new();
    let drops = Decision { drops_at: Some(0), ..decision(OutcomeKind::Succeeded, None, 100) };
    bench.request(1, 100, drops);
    bench.offline();
    bench.wake();
    assert_eq!(bench.take(), []);
}

#[test]
fn a_device_does_not_wait_for_a_reply_for_ever() {
    let mut bench = Bench::new();
    bench.request(1, 100, decision(OutcomeKind::Succeeded, Some(0), 50));
    bench.wake();
    assert_eq!(bench.take(), [progress(1, 0)]);
    // The wait for the reply to IN_PROGRESS ends; the job goes on.
    bench.due_at(10_100);
    bench.due_at(10_150);
    assert_eq!(
        bench.take(),
        [
            Action::ProgressReplied { id: id(1), accepted: false },
            report_with(1, 1, Status::Succeeded, 10_150)
        ]
    );
    bench.due_at(20_150);
    assert_eq!(bench.take(), [Action::Unconfirmed { id: id(1), disconnected: false }]);
    assert_eq!(bench.behaviour.holding(), 0);
}

/// A busy generator reads late: what it has not read is not missing.
#[test]
fn a_reply_that_lies_unread_when_its_wait_is_over_still_counts() {
    let mut bench = Bench::new();
    bench.request(1, 100, decision(OutcomeKind::Succeeded, Some(0), 50));
    bench.wake();
    let overdue = |bench: &mut Bench, ms| {
        bench.take();
        let serial = bench.behaviour.serial;
        bench.act(ms, |behaviour, turn| behaviour.due(serial, turn));
        assert_eq!(bench.take(), [Action::ReadFirst]);
        bench.reply(1, ms + 30);
        bench.act(ms + 30, Behaviour::has_read);
        bench.take()
    };
    assert_eq!(overdue(&mut bench, 10_100), [Action::ProgressReplied { id: id(1), accepted: true }]);
    assert_eq!(bench.wake(), 10_180);
    assert_eq!(overdue(&mut bench, 20_180), [confirmed(1, None)]);
}

/// It is online all the same: what comes is heard, and only what it would send waits.
#[test]
fn a_device_that_reconnects_in_a_silence_hears_replies_and_sends_after_it() {
    for (kept, resumed) in [(true, true), (true, false), (false, false)] {
        let mut bench = Bench::with_session(kept);
        bench.request(1, 100, decision(OutcomeKind::Succeeded, None, 50));
        bench.wake();
        bench.take();
        bench.speaks_from = at(5_000);
        bench.reconnects(resumed, 200);
        assert_eq!(bench.take(), [], "resumed {resumed}");
        // The broker sends again what was not acknowledged in a session that goes on.
        bench.reply_to(1, Token::from(kept), None, 210);
        if resumed {
            assert_eq!(bench.take(), [confirmed(1, None)]);
            continue;
        }
        assert_eq!(bench.take(), [], "without a session the answer went to the one before");
        assert_eq!(bench.wake(), 5_000);
        let token = Token::from(kept) + 1;
        assert_eq!(bench.take(), [report_with(token, 1, Status::Succeeded, 5_000)]);
        // Offline again before it may speak, it waits for the next connection.
        bench.reconnects(resumed, 5_100);
        assert_eq!(bench.take(), [report_with(token + 1, 1, Status::Succeeded, 5_100)]);
    }
}

#[test]
fn an_overdue_reply_to_in_progress_does_not_confirm_the_answer() {
    let mut bench = Bench::new();
    bench.request(1, 100, decision(OutcomeKind::Succeeded, Some(0), 50));
    bench.wake();
    bench.due_at(10_100);
    bench.due_at(10_150);
    bench.take();
    bench.reply(1, 10_200);
    assert_eq!(bench.take(), [], "this one belongs to IN_PROGRESS");
    bench.reply_to(1, 1, None, 10_201);
    assert_eq!(bench.take(), [confirmed(1, None)]);
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
    bench.due(serial.wrapping_sub(1), 120);
    assert_eq!(bench.take(), []);
    assert!(bench.behaviour.awaits(serial) && !bench.behaviour.awaits(serial.wrapping_sub(1)));
}

#[test]
fn careless_firmware_does_not_wait_for_the_reply_to_in_progress() {
    let manners = Manners { wait_accepted: false, ..Manners::default() };
    let mut bench = Bench::with(manners, false);
    bench.request(1, 100, decision(OutcomeKind::Succeeded, Some(20), 50));
    assert_eq!(bench.wake(), 120);
    assert_eq!(bench.take(), [Action::SendProgress { id: id(1), token: 1, waited_for: false }]);
    // The answer is due 50 ms after the sending; the reply to IN_PROGRESS comes after it.
    assert_eq!(bench.wake(), 170);
    assert_eq!(bench.take(), [report_with(2, 1, Status::Succeeded, 170)]);
    bench.reply_to(1, 1, None, 180);
    assert_eq!(bench.take(), [Action::ProgressReplied { id: id(1), accepted: true }]);
    bench.reply_to(1, 1, None, 181);
    assert_eq!(bench.take(), [], "a repeated one means nothing");
    bench.reply_to(1, 2, None, 190);
    assert_eq!(bench.take(), [confirmed(1, None)]);
}

#[test]
fn several_executions_are_worked_on_at_once_and_the_rest_waits() {
    let manners = Manners { max_parallel: 2, ..Manners::default() };
    let mut bench = Bench::with(manners, false);
    for (n, delay) in [(1, 90), (2, 50), (3, 10)] {
        bench.request(n, 100, decision(OutcomeKind::Succeeded, None, delay));
    }
    let serials: Vec<u32> = bench.behaviour.jobs.iter().map(|job| job.serial).collect();
    assert_eq!((serials.len(), bench.behaviour.holding()), (2, 3));
    assert!(bench.behaviour.awaits(serials[0]) && bench.behaviour.awaits(serials[1]));
    bench.due(serials[1], 150);
    assert_eq!(bench.take(), [report(2, Status::Succeeded, 150)]);
    assert!(bench.behaviour.holds(&id(1)) && bench.behaviour.holds(&id(3)));
    // The second is through before the first: the third has its turn.
    bench.reply(2, 160);
    assert_eq!(bench.wake(), 170);
    assert_eq!(bench.take(), [confirmed(2, None), report(3, Status::Succeeded, 170)]);
    bench.due(serials[0], 190);
    bench.reply(3, 191);
    bench.reply(1, 192);
    assert_eq!(bench.take(), [report(1, Status::Succeeded, 190), confirmed(3, None), confirmed(1, None)]);
    assert_eq!(bench.behaviour.holding(), 0);
}

#[test]
fn every_job_of_a_device_loses_its_reply_with_the_connection() {
    for resumed in [false, true] {
        let manners = Manners { max_parallel: 3, ..Manners::default() };
        let mut bench = Bench::with(manners, resumed);
        for n in [1, 2] {
            bench.request(n, 100, decision(OutcomeKind::Succeeded, None, 50));
        }
        let serials: Vec<u32> = bench.behaviour.jobs.iter().map(|job| job.serial).collect();
        for serial in serials {
            bench.due(serial, 150);
        }
        let first = Token::from(resumed);
        let second = if resumed { 2 } else { 0 };
        let planned = |token, n| report_with(token, n, Status::Succeeded, 150);
        assert_eq!(bench.take(), [planned(first, 1), planned(second, 2)]);
        bench.reconnects(resumed, 200);
        let again = |token, n| report_with(token, n, Status::Succeeded, 200);
        let expected = if resumed { vec![] } else { vec![again(1, 1), again(2, 2)] };
        assert_eq!(bench.take(), expected);
        bench.reply_to(2, 2, None, 210);
        bench.reply_to(1, 1, None, 211);
        assert_eq!(bench.take(), [confirmed(2, None), confirmed(1, None)]);
    }
}

#[test]
fn a_busy_device_may_reject_at_once() {
    let manners = Manners { when_busy: WhenBusy::Reject, ..Manners::default() };
    let mut bench = Bench::with(manners, true);
    bench.request(1, 100, decision(OutcomeKind::Succeeded, None, 50));
    let away = Request::TurnedAway(PlannedEnd::Answer { after_us: 0 });
    assert_eq!(bench.request(2, 110, decision(OutcomeKind::Late, Some(5), 10)), away);
    let rejected = |token, ms| {
        let (id, status, planned) = (id(2), Status::Rejected, at(ms));
        Action::SendReport { id, status, reason: Reason::Busy, planned, token, around: Around::default() }
    };
    assert_eq!(bench.take(), [rejected(1, 110)]);
    // While the reply is awaited the rejection takes no place of its own: the device is as busy as before.
    assert_eq!(bench.request(3, 111, decision(OutcomeKind::Succeeded, None, 5)), away);
    bench.take();
    assert_eq!(
        bench.request(2, 112, decision(OutcomeKind::Failed, None, 5)),
        Request::Again(Arrived::Duplicated)
    );
    // Without the session the rejection is sent again, alone.
    bench.reconnects(false, 120);
    assert_eq!(bench.take().first(), Some(&rejected(3, 120)));
    bench.reply_to(2, 3, Some("TerminalStateReached"), 121);
    assert_eq!(bench.take(), [confirmed(2, Some("TerminalStateReached"))]);
    // What was turned away is remembered: the broker may bring it again.
    assert_eq!(
        bench.request(2, 122, decision(OutcomeKind::Failed, None, 5)),
        Request::Again(Arrived::Redelivered)
    );
}

#[test]
fn a_busy_device_may_ignore_what_comes() {
    let manners = Manners { when_busy: WhenBusy::Ignore, max_parallel: 2, ..Manners::default() };
    let mut bench = Bench::with(manners, false);
    for n in [1, 2] {
        bench.request(n, 100, decision(OutcomeKind::Succeeded, None, 50));
    }
    let ignored = bench.request(3, 101, decision(OutcomeKind::Succeeded, None, 5));
    assert_eq!(ignored, Request::TurnedAway(PlannedEnd::Silence));
    assert!(!bench.behaviour.holds(&id(3)));
    assert_eq!(
        bench.request(3, 102, decision(OutcomeKind::Failed, None, 5)),
        Request::Again(Arrived::Duplicated)
    );
}

#[test]
fn updates_that_are_wrong_by_plan_are_never_taken_for_the_answer() {
    let mut bench = Bench::new();
    let wrong =
        Decision { out_of_order: true, malformed: Some(2), ..decision(OutcomeKind::Failed, Some(0), 50) };
    bench.request(1, 100, wrong);
    bench.wake();
    bench.reply_to(1, 1, None, 110);
    bench.wake();
    let around = Around { twice: false, malformed: Some(2), progress: Some(3) };
    let (planned, status) = (at(160), Status::Failed);
    assert_eq!(
        bench.take(),
        [
            progress(1, 1),
            Action::ProgressReplied { id: id(1), accepted: true },
            Action::SendReport { id: id(1), status, reason: Reason::None, planned, token: 2, around }
        ]
    );
    // The malformed one had no token, the one out of order has its own.
    bench.reply_to(1, 0, Some("InvalidRequest"), 170);
    bench.reply_to(1, 3, Some("TerminalStateReached"), 171);
    assert_eq!(bench.take(), []);
    // Sent again, the answer goes alone.
    bench.reconnects(false, 200);
    assert_eq!(bench.take(), [report_with(4, 1, Status::Failed, 200)]);
    bench.reply_to(1, 4, None, 210);
    assert_eq!(bench.take(), [confirmed(1, None)]);
}

#[test]
fn a_device_is_slow_after_each_connect() {
    let lasts = std::time::Duration::from_secs(1);
    let manners = Manners { slow_start: Some(SlowStart { lasts, times: 3.0 }), ..Manners::default() };
    let mut bench = Bench::with(manners, false);
    // (request, its answer): three times as slow at 0 s, twice at 0.5 s, as ever from 1 s.
    for (n, (ms, planned)) in (1..).zip([(0, 300), (500, 700), (1_000, 1_100)]) {
        bench.request(n, ms, decision(OutcomeKind::Succeeded, None, 100));
        assert_eq!(bench.wake(), planned);
        bench.reply(n, planned);
        bench.take();
    }
    bench.reconnects(false, 2_000);
    bench.request(9, 2_000, decision(OutcomeKind::Succeeded, Some(10), 100));
    assert_eq!(bench.wake(), 2_030, "IN_PROGRESS, too");
}
