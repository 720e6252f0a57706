//! The store's behaviour, input by input, on made-up instants.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::super::commands::Commands;
use super::*;
use crate::protocol::{
    CommandPayload, CreateCommandRequest, ParameterValue, ResultValue, StartCommandExecutionRequest, Status,
    StatusReason, TargetArn,
};

const HERE: (&str, &str) = ("us-east-1", "123456789012");
const SECOND: u64 = 1_000_000;

fn at(us: u64) -> Instant {
    Instant::from_micros(us)
}

fn limits() -> Limits {
    Limits { ended: 3, not_ended: 100, bytes: 100_000, timed_out_for: Duration::from_hours(1) }
}

/// A store with a command, ids counted from 1, and requests for device `t1`.
struct Bench {
    executions: Executions,
    command: Arc<Command>,
    named: u128,
}

impl Bench {
    fn new(limits: Limits) -> Self {
        let mut commands = Commands::default();
        let payload = Some(CommandPayload { content: b"{}".to_vec(), content_type: None });
        let request = CreateCommandRequest { payload, ..CreateCommandRequest::default() };
        commands.create("c1", request, HERE, Instant::START).unwrap();
        let command = Arc::clone(&commands.get("c1", Instant::START).unwrap().command);
        Self { executions: Executions::new(limits), command, named: 0 }
    }

    fn request() -> StartCommandExecutionRequest {
        StartCommandExecutionRequest {
            target_arn: TargetArn::new(HERE.0, HERE.1, TargetKind::Thing, "t1").to_string(),
            command_arn: format!("arn:aws:iot:{}:{}:command/c1", HERE.0, HERE.1),
            ..StartCommandExecutionRequest::default()
        }
    }

    fn start_with(&mut self, request: &StartCommandExecutionRequest, now: Instant) -> Vec<Effect> {
        self.named += 1;
        let names = request.validate().unwrap();
        let start = Start {
            id: ExecutionId::from_uuid(self.named),
            command: Arc::clone(&self.command),
            names: &names,
            token: request.client_token.as_deref().map(CompactText::new),
            parameters: request.parameters.as_ref(),
        };
        self.executions.apply(Input::Start(start), now).iter().collect()
    }

    /// Starts one with a time-out of 10 s.
    fn start(&mut self, now: Instant) -> Key {
        match self.start_with(&Self::request(), now)[..] {
            [Effect::Persist(key), ..] => key,
            ref other => panic!("not started: {other:?}"),
        }
    }

    fn update(&mut self, n: u128, update: Update, now: Instant) -> Vec<Effect> {
        let id = ExecutionId::from_uuid(n);
        let input = Input::Update { kind: TargetKind::Thing, device: "t1", id: &id, update };
        self.executions.apply(input, now).iter().collect()
    }

    fn report(&mut self, n: u128, status: Status, now: Instant) -> Vec<Effect> {
        self.update(n, Update::bare(status), now)
    }

    fn due(&mut self, key: Key, now: Instant) -> Vec<Effect> {
        self.executions.apply(Input::Due(key), now).iter().collect()
    }

    fn remembered(&self) -> Vec<u128> {
        (1..=self.named).filter(|n| self.executions.knows(&ExecutionId::from_uuid(*n))).collect()
    }
}

#[test]
fn a_start_is_kept_armed_published_answered_and_announced_in_that_order() {
    let mut bench = Bench::new(limits());
    let effects = bench.start_with(&Bench::request(), at(5));
    let Effect::Persist(key) = effects[0] else { panic!("{effects:?}") };
    let expected = [
        Effect::Persist(key),
        Effect::Arm { key, at: at(5 + 10 * SECOND) },
        Effect::Publish(key),
        Effect::Reply(Reply::Started(key)),
        Effect::Event { key, state: State::Created, at: at(5) },
    ];
    assert_eq!(effects, expected);
}

#[test]
fn an_update_is_kept_answered_and_announced_each_time() {
    let mut bench = Bench::new(limits());
    let key = bench.start(at(0));
    for (now, status, state) in [
        (1, Status::InProgress, State::InProgress),
        (2, Status::InProgress, State::InProgress),
        (3, Status::Succeeded, State::Succeeded),
    ] {
        let expected =
            [Effect::Persist(key), Effect::Reply(Reply::Accepted), Effect::Event { key, state, at: at(now) }];
        assert_eq!(bench.report(1, status, at(now)), expected);
    }
    let refusal = Refusal::Ended { from: State::Succeeded, to: Status::Failed };
    assert_eq!(bench.report(1, Status::Failed, at(4)), [Effect::Reply(Reply::Refused(refusal))]);
    let refusal = Refusal::Transition { from: State::Succeeded, to: Status::InProgress };
    assert_eq!(bench.report(1, Status::InProgress, at(4)), [Effect::Reply(Reply::Refused(refusal))]);
    assert_eq!(bench.due(key, at(20 * SECOND)), [], "its timer means nothing any more");
}

#[test]
fn an_execution_belongs_to_its_target() {
    let mut bench = Bench::new(limits());
    bench.start(at(0));
    let id = ExecutionId::from_uuid(1);
    for (kind, device) in [(TargetKind::Client, "t1"), (TargetKind::Thing, "t2")] {
        let update = Update::bare(Status::Succeeded);
        let effects = bench.executions.apply(Input::Update { kind, device, id: &id, update }, at(1));
        let effects: Vec<Effect> = effects.iter().collect();
        assert_eq!(effects, [Effect::Reply(Reply::Refused(Refusal::NotFound))]);
    }
    assert_eq!(bench.report(9, Status::Succeeded, at(1)), [Effect::Reply(Reply::Refused(Refusal::NotFound))]);
}

#[test]
fn in_progress_does_not_extend_the_time_out() {
    let mut bench = Bench::new(limits());
    let key = bench.start(at(0));
    bench.report(1, Status::InProgress, at(9 * SECOND));
    assert_eq!(bench.due(key, at(10 * SECOND - 1)), [], "not yet");
    let now = at(10 * SECOND);
    let expected = [Effect::Persist(key), Effect::Event { key, state: State::TimedOutByCloud, at: now }];
    assert_eq!(bench.due(key, now), expected);
    assert_eq!(bench.due(key, now), [], "once");
}

#[test]
fn an_update_at_the_deadline_comes_after_the_time_out_even_if_the_timer_is_late() {
    for now in [10 * SECOND, 11 * SECOND] {
        let mut bench = Bench::new(limits());
        let key = bench.start(at(0));
        let expected = [
            Effect::Persist(key),
            Effect::Event { key, state: State::TimedOutByCloud, at: at(now) },
            Effect::Persist(key),
            Effect::Reply(Reply::Accepted),
            Effect::Event { key, state: State::Succeeded, at: at(now) },
        ];
        assert_eq!(bench.report(1, Status::Succeeded, at(now)), expected);

        let mut bench = Bench::new(limits());
        let key = bench.start(at(0));
        let refusal = Refusal::Transition { from: State::TimedOutByCloud, to: Status::InProgress };
        let expected = [
            Effect::Persist(key),
            Effect::Event { key, state: State::TimedOutByCloud, at: at(now) },
            Effect::Reply(Reply::Refused(refusal)),
        ];
        assert_eq!(bench.report(1, Status::InProgress, at(now)), expected);
    }
}

#[test]
fn a_record_shows_what_the_service_would() {
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let seconds = |instant: Instant| instant.micros() as f64 / 1e6;
    let mut bench = Bench::new(limits());
    let key = bench.start(at(SECOND));
    let shown = |bench: &Bench| bench.executions.record(key).unwrap().describe(HERE, true, seconds);

    let made = shown(&bench);
    assert_eq!((made.status, made.status_reason.clone()), (Some(Status::Created), None));
    assert_eq!((made.created_at, made.started_at, made.last_updated_at), (Some(1.0), Some(1.0), Some(1.0)));
    assert_eq!((made.completed_at, made.execution_timeout_seconds), (None, Some(10)));
    assert!(made.time_to_live.unwrap() > 150.0 * 86_400.0);

    let reason = StatusReason { code: "BUSY".into(), description: None };
    let result = BTreeMap::from([("k".to_owned(), ResultValue::B(true))]);
    let mut working = Update::bare(Status::InProgress);
    (working.reason, working.result) = (Some(reason.clone()), Some(result.clone()));
    bench.update(1, working, at(2 * SECOND));
    let working = shown(&bench);
    assert_eq!((working.status_reason, working.result), (Some(reason), Some(result.clone())));
    assert_eq!((working.last_updated_at, working.completed_at), (Some(2.0), None));

    bench.due(key, at(11 * SECOND));
    let timed_out = shown(&bench);
    assert_eq!((timed_out.status, timed_out.completed_at), (Some(Status::TimedOut), None));
    assert_eq!(timed_out.status_reason.unwrap().code, "$NO_RESPONSE_FROM_DEVICE");

    bench.report(1, Status::Succeeded, at(12 * SECOND));
    let late = shown(&bench);
    assert_eq!(
        (late.status, late.status_reason, late.completed_at),
        (Some(Status::Succeeded), None, Some(12.0))
    );
    assert_eq!(late.result, Some(result), "a result stays until there is another");
    let record = bench.executions.record(key).unwrap();
    assert_eq!(record.describe(HERE, false, seconds).result, None, "only if asked for");
}

#[test]
fn a_token_gives_back_its_execution_or_tells_another_request() {
    let parameters = |value| Some(BTreeMap::from([("p".to_owned(), ParameterValue::I(value))]));
    let token = Some("token-1".to_owned());
    let first =
        StartCommandExecutionRequest { client_token: token, parameters: parameters(1), ..Bench::request() };
    let mut bench = Bench::new(limits());
    let replay = |bench: &Bench, request: &StartCommandExecutionRequest| {
        let (token, names) = (request.client_token.as_deref().unwrap(), request.validate().unwrap());
        bench.executions.replay(&CompactText::new(token), &names, request.parameters.as_ref())
    };
    assert_eq!(replay(&bench, &first), None);
    let Effect::Persist(key) = bench.start_with(&first, at(0))[0] else { panic!("not started") };
    assert_eq!(replay(&bench, &first), Some(Replay::Same(key)));
    let default_spelled_out =
        StartCommandExecutionRequest { execution_timeout_seconds: Some(10), ..first.clone() };
    assert_eq!(replay(&bench, &default_spelled_out), Some(Replay::Same(key)));
    for other in [
        StartCommandExecutionRequest { execution_timeout_seconds: Some(11), ..first.clone() },
        StartCommandExecutionRequest { parameters: parameters(2), ..first.clone() },
        StartCommandExecutionRequest { parameters: None, ..first.clone() },
        StartCommandExecutionRequest { target_arn: first.target_arn.replace("t1", "t2"), ..first.clone() },
        StartCommandExecutionRequest {
            target_arn: first.target_arn.replace("thing", "client"),
            ..first.clone()
        },
        StartCommandExecutionRequest { command_arn: first.command_arn.replace("c1", "c2"), ..first.clone() },
    ] {
        assert_eq!(replay(&bench, &other), Some(Replay::Different(key)), "{other:?}");
    }
}

#[test]
fn the_oldest_ended_are_forgotten_first_with_their_tokens_and_open_ones_never() {
    let mut bench = Bench::new(limits());
    let request = |n: u128| StartCommandExecutionRequest {
        client_token: Some(format!("token-{n}")),
        ..Bench::request()
    };
    for n in 1..=6 {
        bench.start_with(&request(n), at(0));
    }
    // Ended in another order than made; 3 are remembered; 2 and 6 stay open.
    for (end, left) in [
        (5, vec![1, 2, 3, 4, 5, 6]),
        (1, vec![1, 2, 3, 4, 5, 6]),
        (4, vec![1, 2, 3, 4, 5, 6]),
        (3, vec![1, 2, 3, 4, 6]),
    ] {
        bench.report(end, Status::Succeeded, at(1));
        assert_eq!(bench.remembered(), left, "after the end of {end}");
    }
    assert_eq!(bench.executions.evicted(), 1);
    let replay = |n: u128| {
        let request = request(n);
        let (token, names) = (request.client_token.as_deref().unwrap(), request.validate().unwrap());
        bench.executions.replay(&CompactText::new(token), &names, None)
    };
    assert_eq!(replay(5), None, "a token lives as long as its execution");
    assert!(matches!(replay(1), Some(Replay::Same(_))));
}

#[test]
fn a_cloud_time_out_counts_as_ended_an_hour_later() {
    let mut bench = Bench::new(Limits { ended: 1, ..limits() });
    let key = bench.start(at(0));
    bench.due(key, at(10 * SECOND));
    let hour = 3600 * SECOND;
    bench.start(at(hour));
    bench.report(2, Status::Succeeded, at(hour));
    assert_eq!(bench.remembered(), [1, 2], "it may still be answered");
    // An hour after its time-out it is the youngest of the ended ones, so the other goes.
    bench.start(at(hour + 10 * SECOND));
    assert_eq!(bench.remembered(), [1, 3]);
    bench.report(3, Status::Succeeded, at(hour + 11 * SECOND));
    assert_eq!(bench.remembered(), [3]);
}

#[test]
fn a_late_answer_ends_an_execution_once() {
    let mut bench = Bench::new(Limits { ended: 2, ..limits() });
    let key = bench.start(at(0));
    bench.due(key, at(10 * SECOND));
    bench.report(1, Status::Succeeded, at(11 * SECOND));
    assert_eq!(bench.executions.retention.ended(), 1);
    let hour = 3600 * SECOND;
    bench.start(at(2 * hour));
    assert_eq!(bench.executions.retention.ended(), 1, "ageing does not enter it again");

    // The other way round: first it ages, then it is answered.
    let key = bench.start(at(2 * hour));
    bench.due(key, at(3 * hour));
    bench.start(at(4 * hour));
    assert_eq!(bench.executions.retention.ended(), 2);
    bench.report(3, Status::Succeeded, at(4 * hour));
    assert_eq!(bench.executions.retention.ended(), 2);
}

#[test]
fn open_executions_and_what_hangs_on_them_are_bounded() {
    let mut bench = Bench::new(Limits { not_ended: 2, ..limits() });
    bench.start(at(0));
    bench.start(at(0));
    assert_eq!(bench.start_with(&Bench::request(), at(0)), [Effect::Reply(Reply::OverQuota)]);
    bench.report(1, Status::Succeeded, at(1));
    bench.start(at(1));

    let mut bench = Bench::new(Limits { bytes: 5_000, ..limits() });
    let mut heavy = Update::bare(Status::InProgress);
    heavy.result = Some(BTreeMap::from([("k".to_owned(), ResultValue::S("x".repeat(2_000)))]));
    for _ in 0..3 {
        bench.start(at(0));
    }
    for n in [1, 2] {
        assert_eq!(bench.update(n, heavy.clone(), at(1))[1], Effect::Reply(Reply::Accepted));
    }
    assert_eq!(bench.update(3, heavy.clone(), at(1)), [Effect::Reply(Reply::Refused(Refusal::NoRoom))]);
    bench.report(1, Status::Succeeded, at(2));
    let accepted = Effect::Reply(Reply::Accepted);
    assert_eq!(bench.update(3, heavy, at(3))[1], accepted, "an ended one went to make room");
    assert_eq!(bench.remembered(), [2, 3]);
}

#[test]
fn a_key_does_not_reach_the_next_execution_in_its_slot() {
    let mut bench = Bench::new(Limits { ended: 1, ..limits() });
    let old = bench.start(at(0));
    bench.report(1, Status::Succeeded, at(0));
    bench.start(at(0));
    bench.report(2, Status::Succeeded, at(0));
    let new = bench.start(at(0));
    assert_eq!((old.slot, bench.executions.record(old).is_none()), (new.slot, true));
    assert_eq!(bench.due(old, at(20 * SECOND)), []);
    assert_eq!(bench.executions.record(new).unwrap().state, State::Created);
}

#[test]
fn waiters_that_were_answered_do_not_pile_up() {
    let mut bench = Bench::new(limits());
    for n in 0..5_000 {
        let key = bench.start(at(n * 20 * 1000));
        bench.due(key, at(n * 20 * 1000 + 10 * SECOND));
        bench.report(u128::from(n) + 1, Status::Succeeded, at(n * 20 * 1000 + 10 * SECOND));
    }
    assert!(bench.executions.retention.waiters() <= 1_025);
}

#[test]
fn a_record_is_small() {
    assert!(size_of::<Slot>() <= 112, "{}", size_of::<Slot>());
    assert!(size_of::<Effects>() <= 5 * 32 + 8, "{}", size_of::<Effects>());
}

/// What the store is checked against: the rules, written the slow way.
#[derive(Default)]
struct Model {
    /// (number, state, deadline), in order of making.
    known: Vec<(u128, State, u64)>,
    ended: VecDeque<u128>,
}

#[derive(Debug, Clone)]
enum Step {
    Start,
    Report(u128, Status),
    Wait(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Start),
        5 => (1..20u128, prop::sample::select(&Status::ALL[1..])).prop_map(|(n, status)| Step::Report(n, status)),
        2 => (0..12u64).prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn the_store_forgets_only_the_ended_in_order_and_keeps_the_states(steps in prop::collection::vec(any_step(), 1..80)) {
        let mut bench = Bench::new(limits());
        let mut model = Model::default();
        let mut now = 0;
        for step in steps {
            match step {
                Step::Start => {
                    bench.start(at(now));
                    model.known.push((bench.named, State::Created, now + 10 * SECOND));
                }
                Step::Wait(seconds) => now += seconds * SECOND,
                Step::Report(n, status) => {
                    bench.report(n, status, at(now));
                    if let Some((_, state, deadline)) = model.known.iter_mut().find(|known| known.0 == n) {
                        if *deadline <= now {
                            *state = state.time_out().unwrap_or(*state);
                        }
                        if let Ok(next) = state.update(status) {
                            *state = next;
                            if next.is_terminal() {
                                model.ended.push_back(n);
                            }
                        }
                    }
                    if model.ended.len() > 3 {
                        let gone = model.ended.pop_front().unwrap();
                        model.known.retain(|known| known.0 != gone);
                    }
                }
            }
            let known: Vec<u128> = model.known.iter().map(|known| known.0).collect();
            prop_assert_eq!(bench.remembered(), known);
            for (n, state, _) in &model.known {
                let key = bench.executions.find(&ExecutionId::from_uuid(*n), TargetKind::Thing, "t1").unwrap();
                prop_assert_eq!(bench.executions.record(key).unwrap().state, *state);
            }
            let open = model.known.iter().filter(|known| known.1.time_out().is_some()).count();
            prop_assert_eq!(bench.executions.open(), open);
            let bytes: usize = bench.executions.slots.iter().flat_map(|s| &s.record).map(Record::heap_bytes).sum();
            prop_assert_eq!(bench.executions.retention.bytes(), bytes);
        }
    }
}
