//! States of the screen for its tests: the same ones every time.

use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};

use crate::control::{Stop, Tempo};
use crate::report::sample;
use crate::stats::{
    AbortGauge, BatchCounts, BatchProgress, CapacityProgress, CapacityStep, CpuUse, Event as RunEvent,
    GroupGauge, Phase, RateStep, RolloutProgress, RolloutState, Shape, Snapshot, Statistics, StepLimit,
    StepOutcome, StuckDevice,
};
use crate::tui::pane::Feedback;
use crate::tui::state::{Context, Input, UiState, update};
use crate::tui::theme::Theme;
use crate::verdict::judge;

/// A screen that has seen a snapshot, and the second before it.
pub(in crate::tui) fn state(snapshot: Option<Snapshot>) -> UiState {
    let feedback = match &snapshot {
        Some(snapshot) if snapshot.capacity.is_some() => Feedback::Capacity,
        Some(snapshot) if !snapshot.rollouts.is_empty() => Feedback::Rollout,
        _ => Feedback::None,
    };
    let context = Context {
        scenario: "ci-smoke".into(),
        target: "embedded".into(),
        seed: 1,
        devices: 250,
        feedback,
        page: None,
    };
    let mut state = UiState::new(context, Theme::True);
    update(&mut state, Input::Terminal(Event::Resize(118, 32)));
    if let Some(snapshot) = snapshot {
        // The second before, so that rates have something to start from.
        let mut before = snapshot.clone();
        before.elapsed = before.elapsed.saturating_sub(Duration::from_secs(1));
        before.totals = Arc::new(Statistics::new(Arc::clone(&before.shape)));
        update(&mut state, Input::Data(judge(&sample::scenario(), &before), Arc::new(before)));
        update(&mut state, Input::Data(judge(&sample::scenario(), &snapshot), Arc::new(snapshot)));
    }
    state
}

pub(in crate::tui) fn measuring() -> UiState {
    state(Some(sample::measuring()))
}

pub(in crate::tui) fn press(state: &mut UiState, keys: &str) {
    for key in keys.chars() {
        let code = match key {
            '\r' => KeyCode::Enter,
            '\x1b' => KeyCode::Esc,
            '\t' => KeyCode::Tab,
            '→' => KeyCode::Right,
            key => KeyCode::Char(key),
        };
        update(state, Input::Terminal(Event::Key(KeyEvent::new(code, KeyModifiers::NONE))));
    }
}

fn pressed(mut state: UiState, keys: &str) -> UiState {
    press(&mut state, keys);
    state
}

/// What a run goes through and what can be asked of its screen, by name.
pub(in crate::tui) fn every() -> Vec<(&'static str, UiState)> {
    let done_failed = || {
        let mut snapshot = sample::done();
        snapshot.report_gap = Duration::from_secs(3);
        snapshot
    };
    vec![
        ("starting", state(None)),
        ("connecting", state(Some(sample::connecting()))),
        ("warm-up", state(Some(sample::warming_up()))),
        ("load", measuring()),
        ("paused", paused()),
        ("frozen", pressed(measuring(), "f")),
        ("help", pressed(measuring(), "?")),
        ("filter", pressed(measuring(), "3/fla")),
        ("asked", pressed(measuring(), "q")),
        ("draining", draining()),
        ("done-failed", state(Some(done_failed()))),
        ("latency", pressed(measuring(), "2")),
        ("latency-of-a-group", pressed(measuring(), "2gl")),
        ("groups", pressed(state(Some(sample::done())), "3js")),
        ("events", pressed(state(Some(sample::done())), "5")),
        ("rollout", pressed(state(Some(rollout())), "4")),
        ("rollout-stuck", pressed(state(Some(rollout_aborted())), "4")),
        ("capacity", pressed(state(Some(capacity())), "4")),
        ("300-groups", pressed(state(Some(many_groups())), "3")),
        ("enlarged", pressed(measuring(), "2→e")),
    ]
}

fn paused() -> UiState {
    let tempo = Tempo { paused: true, rate_percent: 121 };
    let mut snapshot = sample::measuring();
    (snapshot.tempo, snapshot.steered) = (tempo, true);
    let mut state = state(Some(snapshot));
    update(&mut state, Input::Asked(Stop::No, tempo));
    state
}

fn draining() -> UiState {
    let mut state = state(Some(sample::draining()));
    update(&mut state, Input::Asked(Stop::Drain, Tempo::PLANNED));
    state
}

/// Three batches, the second in its soak, near its abort rule.
fn rollout() -> Snapshot {
    let mut snapshot = sample::measuring();
    let counts = |released, succeeded, failed| BatchCounts {
        released,
        notified: released,
        succeeded,
        failed,
        retries: failed / 2,
        devices_succeeded: succeeded,
        devices_left: failed / 2,
        ..BatchCounts::default()
    };
    let batch = |name: &str, devices, state, gate_us, counts| BatchProgress {
        name: name.to_owned(),
        devices,
        state,
        begun_us: Some(0),
        gate_us,
        counts,
    };
    let batches = vec![
        batch("canary", 10, RolloutState::Complete, Some(3_000_000), counts(10, 10, 0)),
        batch("wave-1", 90, RolloutState::Soaking, Some(16_000_000), counts(90, 82, 8)),
        batch("everybody-else", 150, RolloutState::Waiting, None, BatchCounts::default()),
    ];
    let mut all = BatchCounts::default();
    for batch in &batches {
        all.add(&batch.counts);
    }
    let rates = [(0, 2.0), (4_000_000, 4.0), (9_000_000, 8.0), (15_000_000, 16.0)];
    snapshot.rollouts = vec![RolloutProgress {
        workload: 0,
        devices: 250,
        state: RolloutState::Running,
        reason: None,
        batches,
        counts: all,
        gauges: vec![
            AbortGauge { status: "failed", over: 0.09, min_executed: 20, count: 8, executed: 100 },
            AbortGauge { status: "timed_out", over: 0.05, min_executed: 200, count: 0, executed: 100 },
        ],
        rates: rates.map(|(at_us, per_second)| RateStep { at_us, per_second }).to_vec(),
    }];
    snapshot
}

/// The same, stopped by a rule, with the devices that were left behind.
fn rollout_aborted() -> Snapshot {
    let mut snapshot = rollout();
    snapshot.phase = Phase::Done;
    let rollout = &mut snapshot.rollouts[0];
    rollout.state = RolloutState::Aborted;
    rollout.reason = Some("failed 9.2% of 120 ended, over 9%".to_owned());
    rollout.gauges[0].count = 12;
    let device = |number: u64| StuckDevice {
        workload: 0,
        group: 1,
        number,
        device: format!("flaky-{number:05}"),
        last: ["not started", "failed", "timed_out_cloud"][usize::try_from(number % 3).unwrap()],
        attempts: number % 3,
    };
    snapshot.stuck = Arc::new((0..40).map(device).collect());
    snapshot
}

/// Four steps of a search, the fifth under way.
fn capacity() -> Snapshot {
    let mut snapshot = sample::measuring();
    let step = |number, rate: f64, us: u64, outcome| CapacityStep {
        number,
        rate,
        due: 2_000,
        offered: rate,
        achieved: rate * 0.98,
        latency_us_p50: Some(us),
        latency_us_p95: Some(us * 3),
        latency_us_p99: Some(us * 5),
        overhead_us_p99: Some(us),
        start_wait_us_p99: Some(us / 10),
        start_us_p99: Some(us / 5),
        delivery_us_p99: Some(us / 5),
        confirm_us_p99: Some(us / 5),
        schedule_lag_us_p99: Some(400),
        device_lag_us_p99: Some(900),
        refused: Vec::new(),
        cpu: CpuUse { busiest_shard: rate / 1_000.0, generator: rate / 1_000.0, backend: rate / 800.0 },
        limits: vec![StepLimit {
            text: "p99(latency) < 500ms".to_owned(),
            shown: "61.0ms".to_owned(),
            held: outcome == StepOutcome::Passed,
        }],
        outcome,
    };
    let broke = StepOutcome::Failed { limit: "p99(latency) < 500ms".to_owned(), shown: "1.22s".to_owned() };
    let lagged = StepOutcome::Unknown { reason: "p99 of schedule_lag is 81.0ms".to_owned() };
    snapshot.capacity = Some(Arc::new(CapacityProgress {
        workload: 0,
        steps: vec![
            step(1, 100.0, 12_000, StepOutcome::Passed),
            step(2, 200.0, 14_000, StepOutcome::Passed),
            step(3, 400.0, 244_000, broke),
            step(4, 300.0, 60_000, lagged),
        ],
        running: Some((5, 245.0)),
        answer: None,
    }));
    snapshot
}

/// A group after the other, with long names.
fn many_groups() -> Snapshot {
    let names = (0..300).map(|n| format!("a-group-with-a-rather-long-name-{n:03}")).collect();
    let shape = Arc::new(Shape { workloads: vec!["w".into()], groups: names });
    let mut snapshot = sample::measuring();
    snapshot.totals = Arc::new(Statistics::new(Arc::clone(&shape)));
    snapshot.groups = vec![GroupGauge { devices: 10_000, online: 9_999 }; 300];
    snapshot.shape = shape;
    let event = |n: u64| RunEvent { at_us: n * 50_000, text: format!("event number {n}") };
    snapshot.events = Arc::new((0..300).map(event).collect());
    snapshot
}
