//! What the screen knows and how input changes it. Pure: no terminal, no clock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::Event;

use super::keys::Step;
use super::mouse;
use super::pane::{Feedback, Pane, Tile};
use super::picture::{Picture, Sort};
use super::press;
use super::theme::{Theme, Tone};
use super::turns::Turns;
use super::window::Window;
use crate::control::{Stop, Tempo};
use crate::report::words::printable;
use crate::stats::{Part, Phase, Snapshot};
use crate::units::micros;
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
    /// What the load has beside its plan.
    pub feedback: Feedback,
    /// The live page's address, if there is one: what is printed beside the screen is not seen.
    pub page: Option<String>,
}

/// Something the screen reacts to.
#[derive(Debug, Clone)]
pub(super) enum Input {
    /// A key, the mouse, or a new size.
    Terminal(Event),
    /// A second of the run, judged.
    Data(Verdict, Arc<Snapshot>),
    /// How far a stop and which tempo have been asked for, by whomever.
    Asked(Stop, Tempo),
    /// How something that was to be done went.
    Told(Note),
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
    /// Ask the run to wait or to go on.
    TogglePause,
    /// Ask the run for so many steps of ten percent.
    ChangeRate(i32),
    /// Ask the run for the plan's rate.
    PlannedRate,
    /// Write what is seen to files.
    Save,
    /// Give a summary to the clipboard.
    Copy,
}

/// A line that answers a key, until the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) text: String,
    pub(super) tone: Tone,
}

/// The text that lists are filtered by.
#[derive(Debug, Default)]
pub(super) struct Filter {
    pub(super) input: tui_input::Input,
    /// Keys go into it.
    pub(super) editing: bool,
}

/// A line of the list of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) at_us: u64,
    pub(super) text: String,
    pub(super) tone: Tone,
}

/// Everything the screen depends on.
#[derive(Debug)]
pub(super) struct UiState {
    pub(super) context: Context,
    pub(super) theme: Theme,
    /// Columns and rows of the terminal.
    pub(super) size: (u16, u16),
    pub(super) pane: Pane,
    /// The tile in focus; the first of the pane if there is none of that name.
    pub(super) focus: Option<Tile>,
    /// The tile in focus is alone.
    pub(super) enlarged: bool,
    /// The help covers the screen, from this line on.
    pub(super) help: Option<usize>,
    /// `q` was pressed once and waits for its answer.
    pub(super) asking: bool,
    pub(super) note: Option<Note>,
    /// How far a stop has been asked for.
    pub(super) stop: Stop,
    /// Which tempo has been asked for; what is in force says the snapshot.
    pub(super) tempo: Tempo,
    pub(super) window: Window,
    /// The axis of the percentiles.
    pub(super) linear: bool,
    /// The group whose latency is shown alone.
    pub(super) only: Option<usize>,
    pub(super) filter: Filter,
    pub(super) sort: Sort,
    /// The group whose details are shown.
    pub(super) selected: usize,
    /// Lines by which tiles are scrolled, from where they begin by themselves.
    pub(super) scrolled: BTreeMap<Tile, usize>,
    pub(super) turns: Turns,
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
            size: (0, 0),
            pane: Pane::Overview,
            focus: None,
            enlarged: false,
            help: None,
            asking: false,
            note: None,
            stop: Stop::No,
            tempo: Tempo::PLANNED,
            window: Window::default(),
            linear: false,
            only: None,
            filter: Filter::default(),
            sort: Sort::default(),
            selected: 0,
            scrolled: BTreeMap::new(),
            turns: Turns::default(),
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

    /// Holds the picture, if there is one, or lets it go on. Returns whether there was one.
    pub(super) fn freeze(&mut self) -> bool {
        self.held = if self.is_frozen() { None } else { self.latest.clone() };
        self.latest.is_some()
    }

    /// The newest snapshot, whatever is held.
    pub(super) fn newest(&self) -> Option<&Snapshot> {
        self.latest.as_ref().map(|picture| &*picture.snapshot)
    }

    /// Whether executions have begun to fall due, in the picture.
    pub(super) fn has_load_begun(&self) -> bool {
        self.picture().is_some_and(|picture| picture.snapshot.load_elapsed.is_some())
    }

    /// Whether there is still something to pause.
    pub(super) fn is_sending(&self) -> bool {
        self.stop == Stop::No && self.newest().is_none_or(|snapshot| snapshot.phase <= Phase::Load)
    }

    /// The events up to the picture, with the thresholds that turned among them, oldest first.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let Some(picture) = self.picture() else { return Vec::new() };
        let until = micros(picture.snapshot.elapsed);
        let told = picture.snapshot.events.iter().map(|event| Entry {
            at_us: event.at_us,
            text: printable(&event.text).into_owned(),
            tone: Tone::Normal,
        });
        let turned = self.turns.all.iter().filter(|turn| turn.at_us <= until).map(|turn| Entry {
            at_us: turn.at_us,
            text: format!("{} {}", if turn.holds { '✓' } else { '✗' }, turn.text),
            tone: if turn.holds { Tone::Good } else { Tone::Bad },
        });
        let filter = self.filter.input.value().to_lowercase();
        let mut entries: Vec<Entry> =
            told.chain(turned).filter(|entry| entry.text.to_lowercase().contains(&filter)).collect();
        entries.sort_by_key(|entry| entry.at_us);
        entries
    }

    /// Lines that a tile could show, as far as it can be scrolled.
    pub(super) fn lines(&self, tile: Tile) -> usize {
        let Some(picture) = self.picture() else { return 0 };
        let snapshot = &picture.snapshot;
        let rollouts = || snapshot.rollouts.iter();
        match tile {
            Tile::Connects => snapshot.groups.len(),
            Tile::Thresholds => picture.verdict.thresholds.len(),
            Tile::GroupTable => picture.listed(self.filter.input.value(), self.sort).len(),
            Tile::GroupDetail => {
                let group = self.shown_group();
                let anomalies = snapshot.anomalies.iter().filter(|one| one.group == group).count();
                let stuck = snapshot.stuck.iter().filter(|one| one.group == group).count();
                12 + anomalies + stuck
            }
            Tile::Batches => rollouts().map(|rollout| rollout.batches.len() + 2).sum(),
            Tile::Gauges => rollouts().map(|rollout| rollout.gauges.len()).sum(),
            Tile::Stuck => snapshot.stuck.len(),
            Tile::Steps => snapshot.capacity.as_ref().map_or(0, |capacity| capacity.steps.len()),
            Tile::Events => self.entries().len(),
            Tile::Anomalies => snapshot.anomalies.len(),
            Tile::Ends
            | Tile::Seconds
            | Tile::Spans
            | Tile::Distribution
            | Tile::Percentiles
            | Tile::HeatMap
            | Tile::Rates
            | Tile::Curve
            | Tile::Bounds => 0,
        }
    }

    /// How far a tile is scrolled, now that it has so many lines.
    pub(super) fn offset(&self, tile: Tile) -> usize {
        self.scrolled.get(&tile).copied().unwrap_or(0).min(self.lines(tile).saturating_sub(1))
    }

    /// Scrolls a tile, or selects another group. Lists whose newest line is the last one begin at their end,
    /// so there up is further from it. Returns whether the tile has lines at all.
    pub(super) fn scroll(&mut self, tile: Tile, step: Step, by: usize) -> bool {
        if tile == Tile::GroupTable {
            return self.select(step, by);
        }
        let lines = self.lines(tile);
        let from_end = matches!(tile, Tile::Events | Tile::Steps);
        let offset = self.offset(tile);
        let further = (step == Step::On) != from_end;
        let offset = if further { offset.saturating_add(by) } else { offset.saturating_sub(by) };
        self.scrolled.insert(tile, offset.min(lines.saturating_sub(1)));
        lines > 0
    }

    /// The groups as they are listed now, by index.
    pub(super) fn listed(&self) -> Vec<usize> {
        self.picture().map_or_else(Vec::new, |picture| {
            picture.listed(self.filter.input.value(), self.sort).iter().map(|row| row.index).collect()
        })
    }

    /// The group whose details are shown: the selected one, or the first that the filter leaves.
    pub(super) fn shown_group(&self) -> usize {
        let listed = self.listed();
        let first = listed.first().copied().unwrap_or(self.selected);
        if listed.contains(&self.selected) { self.selected } else { first }
    }

    fn select(&mut self, step: Step, by: usize) -> bool {
        let listed = self.listed();
        let shown = self.shown_group();
        let at = listed.iter().position(|group| *group == shown);
        let next = match (at, step) {
            (None, _) => 0,
            (Some(at), Step::Back) => at.saturating_sub(by),
            (Some(at), Step::On) => at.saturating_add(by).min(listed.len().saturating_sub(1)),
        };
        if let Some(group) = listed.get(next) {
            self.selected = *group;
        }
        !listed.is_empty()
    }

    /// Takes the started executions of a second, and gives the rates by group.
    fn rates(&mut self, snapshot: &Snapshot) -> Vec<f64> {
        let started: Vec<u64> = (0..snapshot.shape.groups.len())
            .map(|g| {
                let of = |part| snapshot.totals.sum(part, None, Some(g)).started;
                of(Part::Measured) + of(Part::WarmUp)
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
        Input::Terminal(Event::Key(key)) => press::press(state, key),
        Input::Terminal(Event::Mouse(event)) => mouse::update(state, event),
        Input::Terminal(Event::Resize(columns, rows)) => {
            state.size = (columns, rows);
            Action::Redraw
        }
        Input::Terminal(_) => Action::Nothing,
        Input::Data(verdict, snapshot) => {
            let group_rates = state.rates(&snapshot);
            state.turns.judge(snapshot.elapsed, &verdict);
            state.latest = Some(Picture::new(snapshot, verdict, group_rates));
            if state.is_frozen() { Action::Nothing } else { Action::Redraw }
        }
        Input::Asked(stop, tempo) if (stop, tempo) == (state.stop, state.tempo) => Action::Nothing,
        Input::Asked(stop, tempo) => {
            (state.stop, state.tempo) = (stop, tempo);
            Action::Redraw
        }
        Input::Told(note) => {
            state.note = Some(note);
            Action::Redraw
        }
    }
}

#[cfg(test)]
mod tests;
