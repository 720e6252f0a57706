//! What the screen knows and how input changes it. Pure: no terminal, no clock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{Event, KeyEvent, KeyEventKind};

use super::keys::{Command, command};
use super::theme::Theme;
use crate::control::Stop;
use crate::stats::Snapshot;
use crate::verdict::Verdict;

/// What is known before the first snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The scenario's name.
    pub scenario: String,
    /// What is tested: `embedded`.
    pub target: String,
    /// The seed in use.
    pub seed: u64,
    /// Devices of all groups.
    pub devices: u64,
}

/// Something the screen reacts to.
#[derive(Debug, Clone)]
pub(super) enum Input {
    /// A key, or a new size.
    Terminal(Event),
    /// A second of the run, judged.
    Data(Verdict, Arc<Snapshot>),
    /// How far a stop has been asked for, by whomever.
    Stop(Stop),
}

/// What is to be done after an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing has changed.
    Nothing,
    /// Draw anew.
    Redraw,
    /// Ask the run for the next step of stopping, and draw anew.
    RequestStop,
}

/// One second of the run as the screen shows it.
#[derive(Debug, Clone)]
pub(super) struct Picture {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) verdict: Verdict,
    /// Executions started per second over the last few seconds, by group; empty before the second snapshot.
    pub(super) group_rates: Vec<f64>,
}

/// Everything the screen depends on besides its size.
#[derive(Debug)]
pub(super) struct UiState {
    pub(super) context: Context,
    pub(super) theme: Theme,
    /// The help covers the screen.
    pub(super) help: bool,
    /// `q` was pressed once and waits for its answer.
    pub(super) asking: bool,
    /// How far a stop has been asked for.
    pub(super) stop: Stop,
    latest: Option<Picture>,
    held: Option<Picture>,
    /// Started executions by group at the ends of the last seconds, for their rates.
    started: VecDeque<(Duration, Vec<u64>)>,
}

/// A group's rate is over five seconds: one alone is too restless at low rates.
const RATE_SECONDS: usize = 5;

impl UiState {
    /// Nothing seen yet.
    pub(super) fn new(context: Context, theme: Theme) -> Self {
        Self {
            context,
            theme,
            help: false,
            asking: false,
            stop: Stop::No,
            latest: None,
            held: None,
            started: VecDeque::new(),
        }
    }

    /// What is on the screen: the held picture, else the latest.
    pub(super) fn picture(&self) -> Option<&Picture> {
        self.held.as_ref().or(self.latest.as_ref())
    }

    /// Whether the picture is held.
    pub(super) fn is_frozen(&self) -> bool {
        self.held.is_some()
    }

    /// Takes the started executions of a second, and gives the rates by group.
    fn rates(&mut self, snapshot: &Snapshot) -> Vec<f64> {
        let started: Vec<u64> = (0..snapshot.shape.groups.len())
            .map(|g| {
                let of = |part| snapshot.totals.sum(part, None, Some(g)).started;
                of(crate::stats::Part::Measured) + of(crate::stats::Part::WarmUp)
            })
            .collect();
        self.started.push_back((snapshot.elapsed, started.clone()));
        if self.started.len() > RATE_SECONDS + 1 {
            self.started.pop_front();
        }
        let Some((since, before)) = self.started.front() else { return Vec::new() };
        let seconds = snapshot.elapsed.saturating_sub(*since).as_secs_f64();
        if seconds <= 0.0 {
            return Vec::new();
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate with one decimal is shown")]
        let rate = |(now, then): (&u64, &u64)| now.saturating_sub(*then) as f64 / seconds;
        started.iter().zip(before).map(rate).collect()
    }
}

/// Changes the state by one input.
pub(super) fn update(state: &mut UiState, input: Input) -> Action {
    match input {
        Input::Terminal(Event::Key(key)) => press(state, key),
        Input::Terminal(Event::Resize(..)) => Action::Redraw,
        Input::Terminal(_) => Action::Nothing,
        Input::Data(verdict, snapshot) => {
            let group_rates = state.rates(&snapshot);
            state.latest = Some(Picture { snapshot, verdict, group_rates });
            if state.is_frozen() { Action::Nothing } else { Action::Redraw }
        }
        Input::Stop(stop) if stop == state.stop => Action::Nothing,
        Input::Stop(stop) => {
            state.stop = stop;
            Action::Redraw
        }
    }
}

fn press(state: &mut UiState, key: KeyEvent) -> Action {
    if key.kind == KeyEventKind::Release {
        return Action::Nothing;
    }
    let was_asking = std::mem::take(&mut state.asking);
    match command(key) {
        Some(Command::Help) => state.help = !state.help,
        Some(Command::Freeze) if state.is_frozen() => state.held = None,
        Some(Command::Freeze) => state.held.clone_from(&state.latest),
        Some(Command::AskToStop) if was_asking => return Action::RequestStop,
        Some(Command::AskToStop) => state.asking = true,
        Some(Command::Stop) => return Action::RequestStop,
        // Any other key answers no, and closes what covers the picture.
        None if was_asking || state.help => state.help = false,
        None => return Action::Nothing,
    }
    Action::Redraw
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};

    use super::*;
    use crate::report::sample;
    use crate::verdict::judge;

    fn state() -> UiState {
        let context = Context { scenario: "s".into(), target: "embedded".into(), seed: 1, devices: 250 };
        UiState::new(context, Theme::Mono)
    }

    fn key(code: char) -> Input {
        let modifiers = if code == '\x03' { KeyModifiers::CONTROL } else { KeyModifiers::NONE };
        let code = if code == '\x03' { 'c' } else { code };
        Input::Terminal(Event::Key(KeyEvent::new(KeyCode::Char(code), modifiers)))
    }

    fn data(snapshot: Snapshot) -> Input {
        Input::Data(judge(&sample::scenario(), &snapshot), Arc::new(snapshot))
    }

    #[test]
    fn stopping_asks_first() {
        use Action::{Nothing, Redraw, RequestStop};
        // \x03 stands for Ctrl-C.
        for (keys, actions) in [
            ("q", vec![Redraw]),
            ("qq", vec![Redraw, RequestStop]),
            ("qqqq", vec![Redraw, RequestStop, Redraw, RequestStop]),
            ("qxq", vec![Redraw, Redraw, Redraw]),
            ("qfq", vec![Redraw, Redraw, Redraw]),
            ("\x03", vec![RequestStop]),
            ("\x03\x03", vec![RequestStop, RequestStop]),
            ("xy", vec![Nothing, Nothing]),
        ] {
            let mut state = state();
            let done: Vec<_> = keys.chars().map(|code| update(&mut state, key(code))).collect();
            assert_eq!(done, actions, "{keys:?}");
        }
    }

    #[test]
    fn the_help_opens_and_closes_and_any_key_closes_it() {
        for (keys, open) in [("?", true), ("h", true), ("??", false), ("?x", false), ("?h?", true)] {
            let mut state = state();
            for code in keys.chars() {
                assert_eq!(update(&mut state, key(code)), Action::Redraw);
            }
            assert_eq!(state.help, open, "{keys}");
        }
    }

    #[test]
    fn a_held_picture_stays_until_it_is_let_go() {
        let mut state = state();
        assert_eq!(update(&mut state, data(sample::warming_up())), Action::Redraw);
        update(&mut state, key('f'));
        assert_eq!(update(&mut state, data(sample::measuring())), Action::Nothing);
        assert_eq!(state.picture().unwrap().snapshot.number, 6);
        update(&mut state, key('f'));
        assert_eq!(state.picture().unwrap().snapshot.number, 24);
    }

    #[test]
    fn freezing_before_there_is_a_picture_holds_nothing() {
        let mut state = state();
        update(&mut state, key('f'));
        assert!(!state.is_frozen());
        assert_eq!(update(&mut state, data(sample::measuring())), Action::Redraw);
    }

    #[test]
    fn a_stop_asked_for_elsewhere_is_seen_once() {
        let mut state = state();
        assert_eq!(update(&mut state, Input::Stop(Stop::No)), Action::Nothing);
        assert_eq!(update(&mut state, Input::Stop(Stop::Drain)), Action::Redraw);
        assert_eq!(update(&mut state, Input::Stop(Stop::Drain)), Action::Nothing);
    }

    #[test]
    fn a_group_s_rate_is_over_the_last_seconds() {
        let mut state = state();
        for second in 0..20u64 {
            let mut snapshot = sample::empty(crate::stats::Phase::Load, second);
            let started = 7 * second + if second > 10 { 100 } else { 0 };
            Arc::make_mut(&mut snapshot.totals).counts_mut(crate::stats::Part::Measured, 0, 1).started =
                started;
            update(&mut state, data(snapshot));
        }
        assert_eq!(format!("{:.1?}", state.picture().unwrap().group_rates), "[0.0, 7.0]");
        assert_eq!(state.started.len(), RATE_SECONDS + 1);
    }
}
