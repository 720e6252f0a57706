//! The load's own clock: how far a plan has been played at an instant of the run.
//!
//! A scenario counts from the start of its load. Played as planned, that is the run's clock less an
//! offset; a load that is paused, or played faster or slower, has a clock of its own, which is made of
//! straight pieces. A piece once played never changes, so what fell due before a change fell due when it
//! did; everything later is moved, and nothing is due while the clock stands still.

use std::sync::Arc;

use super::Instant;

/// Pieces a clock may have: hours of changes without a break, and a quarter of a megabyte.
const MOST_PIECES: usize = 10_000;

/// Maps microseconds of a load to instants of the run and back. A value: a change makes a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadClock {
    /// In order of both clocks; never empty.
    pieces: Arc<[Piece]>,
}

/// From an instant on the clock runs like this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    from: Instant,
    /// What the clock shows then.
    load_us: u64,
    /// Of the plan's speed; 0 stands still.
    percent: u32,
}

impl Piece {
    /// What the clock shows at an instant that is not before the piece.
    fn load_us(self, at: Instant) -> u64 {
        let passed = at.micros_since(self.from).saturating_mul(u64::from(self.percent));
        self.load_us.saturating_add(passed / 100)
    }

    /// The first instant at which a running piece shows at least `load_us`.
    fn instant(self, load_us: u64) -> Instant {
        let ahead = load_us.saturating_sub(self.load_us).saturating_mul(100);
        self.from.plus_micros(ahead.div_ceil(u64::from(self.percent.max(1))))
    }
}

impl LoadClock {
    /// A load that begins at this instant, at so many percent of the plan's speed; with 0 it waits there.
    pub fn begin(at: Instant, percent: u32) -> Self {
        Self { pieces: Arc::new([Piece { from: at, load_us: 0, percent }]) }
    }

    /// The same until `at`, and from then on at so many percent of the plan's speed. `None` if it was
    /// changed too often. A change before the last one happens at the last one.
    #[must_use]
    pub fn changed(&self, at: Instant, percent: u32) -> Option<Self> {
        let last = self.last();
        let at = at.max(last.from);
        let mut pieces = self.pieces.to_vec();
        if at == last.from {
            // Nothing was played of it.
            pieces.pop();
        }
        if pieces.len() >= MOST_PIECES {
            return None;
        }
        pieces.push(Piece { from: at, load_us: last.load_us(at), percent });
        Some(Self { pieces: pieces.into() })
    }

    /// When the load began.
    pub fn begun(&self) -> Instant {
        self.pieces.first().map_or(Instant::START, |piece| piece.from)
    }

    /// How much of the load has been played at an instant, in whole µs; none before it began.
    pub fn load_us(&self, at: Instant) -> u64 {
        let begun = self.pieces.partition_point(|piece| piece.from <= at);
        begun.checked_sub(1).map_or(0, |piece| self.pieces[piece].load_us(at))
    }

    /// The instant at which this much of the load has been played, the first one; `None` while the clock
    /// stands still before it.
    pub fn instant(&self, load_us: u64) -> Option<Instant> {
        // A piece ends with what the next one begins with.
        let piece = self.pieces[1..].partition_point(|next| next.load_us < load_us);
        // Only a load that has not begun to be played stands still at what it has to show.
        let running = self.pieces[piece..].iter().find(|piece| piece.percent > 0)?;
        Some(running.instant(load_us))
    }

    /// The first µs of the load that is not played before an instant: what is decided at the instant can
    /// be due then. While the clock stands still it is the first one after the pause.
    pub fn not_before(&self, at: Instant) -> u64 {
        // At a standstill, and where a piece begins, this much may have been played long ago.
        let shown = self.load_us(Instant(at.0.saturating_sub(1)));
        let is_ahead = self.instant(shown).is_none_or(|instant| instant >= at);
        if is_ahead { shown } else { shown + 1 }
    }

    /// At how many percent of the plan's speed it runs, or is to run again after a pause.
    pub fn rate_percent(&self) -> u32 {
        self.pieces.iter().rev().map(|piece| piece.percent).find(|percent| *percent > 0).unwrap_or(100)
    }

    /// What it shows at its last change.
    pub fn changed_at_us(&self) -> u64 {
        self.last().load_us
    }

    /// Whether it plays the load as planned; waiting before the first µs of it changes nothing.
    pub fn is_planned(&self) -> bool {
        self.pieces.iter().all(|piece| piece.percent == 100 || (piece.percent == 0 && piece.load_us == 0))
    }

    fn last(&self) -> Piece {
        *self.pieces.last().expect("it is made with a piece, and each change leaves one")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(us: u64) -> Instant {
        Instant::from_micros(us)
    }

    #[test]
    fn as_planned_it_is_the_runs_clock_less_an_offset() {
        let load = LoadClock::begin(at(500), 100);
        for us in [0, 1, 7, 1_000_000, 86_400_000_000] {
            assert_eq!(load.instant(us), Some(at(500 + us)));
            assert_eq!((load.load_us(at(500 + us)), load.not_before(at(500 + us))), (us, us));
        }
        assert_eq!((load.load_us(at(499)), load.not_before(at(3)), load.begun()), (0, 0, at(500)));
        assert!(load.is_planned());
    }

    #[test]
    fn a_pause_moves_what_is_due_after_it_and_nothing_before() {
        let paused = LoadClock::begin(at(0), 100).changed(at(5_000), 0).unwrap();
        assert_eq!(paused.instant(5_000), Some(at(5_000)), "due as the pause begins");
        assert_eq!((paused.instant(5_001), paused.load_us(at(9_000))), (None, 5_000));
        assert_eq!(paused.not_before(at(9_000)), 5_001, "what is decided in the pause waits for its end");
        let load = paused.changed(at(15_000), 100).unwrap();
        assert_eq!(load.instant(5_000), Some(at(5_000)));
        assert_eq!((load.instant(5_001), load.instant(6_000)), (Some(at(15_001)), Some(at(16_000))));
        assert_eq!((load.not_before(at(15_000)), load.not_before(at(15_500))), (5_001, 5_500));
        assert!(!load.is_planned());
    }

    #[test]
    fn a_load_that_begins_paused_has_nothing_due_until_it_goes_on() {
        let waiting = LoadClock::begin(at(100), 0);
        assert_eq!((waiting.instant(0), waiting.load_us(at(900)), waiting.not_before(at(900))), (None, 0, 0));
        let faster = waiting.changed(at(900), 110).unwrap();
        assert_eq!((faster.instant(0), faster.instant(110)), (Some(at(900)), Some(at(1_000))));
        assert_eq!((waiting.rate_percent(), faster.rate_percent(), faster.begun()), (100, 110, at(100)));
        let planned = waiting.changed(at(900), 100).unwrap();
        assert!(waiting.is_planned() && planned.is_planned() && !faster.is_planned());
    }

    #[test]
    fn the_rate_divides_what_lies_between() {
        let load = LoadClock::begin(at(0), 100).changed(at(10_000), 200).unwrap();
        let load = load.changed(at(20_000), 50).unwrap();
        let instants = [9_000, 10_000, 12_000, 30_000, 31_000].map(|us| load.instant(us).unwrap().micros());
        assert_eq!(instants, [9_000, 10_000, 11_000, 20_000, 22_000]);
        assert_eq!((load.rate_percent(), load.changed_at_us()), (50, 30_000));
        // A change of mind at the same instant, or from before it, leaves one piece.
        let again = load.changed(at(20_000), 0).unwrap().changed(at(1), 100).unwrap();
        assert_eq!((again.pieces.len(), again.instant(31_000)), (3, Some(at(21_000))));
    }

    #[test]
    fn it_cannot_be_changed_without_end() {
        let stopped = |n: usize| Piece { from: at(n as u64), load_us: 0, percent: 0 };
        let load = |pieces: usize| LoadClock { pieces: (0..pieces).map(stopped).collect() };
        let late = at(MOST_PIECES as u64);
        assert!(load(MOST_PIECES - 1).changed(late, 100).is_some());
        assert_eq!(load(MOST_PIECES).changed(late, 100), None);
    }

    /// Gaps between changes, and the speeds they lead to; a pause is as likely as everything else together.
    fn changes() -> impl Strategy<Value = Vec<(u64, u32)>> {
        proptest::collection::vec((0u64..3_000_000, prop_oneof![Just(0u32), 10u32..=1_000]), 0..12)
    }

    proptest! {
        /// Whatever is asked for: each µs of the load has one instant, the first that shows it, in order
        /// and never inside a pause; and a change never moves what came before it.
        #[test]
        fn every_planned_instant_is_mapped_once(
            begin in 0u64..5_000_000,
            first in prop_oneof![Just(0u32), Just(100u32)],
            changes in changes(),
            mut planned in proptest::collection::vec(0u64..20_000_000, 1..60),
        ) {
            planned.sort_unstable();
            let mut load = LoadClock::begin(at(begin), first);
            let mut now = begin;
            for (gap, percent) in changes.into_iter().chain([(1, 100)]) {
                now += gap;
                let next = load.changed(at(now), percent).unwrap();
                for us in &planned {
                    if let Some(instant) = load.instant(*us).filter(|instant| instant.micros() < now) {
                        prop_assert_eq!(next.instant(*us), Some(instant), "it was due before the change");
                    }
                }
                load = next;
            }
            let mut before = at(0);
            for us in planned {
                let instant = load.instant(us).unwrap();
                prop_assert!(instant >= before && instant.micros() >= begin);
                prop_assert!(load.load_us(instant) >= us);
                prop_assert!(us == 0 || load.load_us(at(instant.micros() - 1)) < us);
                let inside = load.pieces.windows(2).any(|pair| {
                    pair[0].percent == 0 && pair[0].from < instant && instant < pair[1].from
                });
                prop_assert!(!inside, "due in a pause");
                let decided = load.not_before(instant);
                prop_assert!(load.instant(decided).unwrap() >= instant);
                prop_assert!(decided == 0 || load.instant(decided - 1).unwrap() < instant);
                before = instant;
            }
        }

        /// Between two changes the gaps are those of the plan, divided by the rate.
        #[test]
        fn gaps_are_divided_by_the_rate(percent in 10u32..=1_000, from in 0u64..9_000_000, gap in 0u64..9_000_000) {
            let load = LoadClock::begin(at(77), 100).changed(at(1_077), percent).unwrap();
            let (one, other) = (load.instant(1_000 + from).unwrap(), load.instant(1_000 + from + gap).unwrap());
            let expected = gap * 100 / u64::from(percent);
            prop_assert!(other.micros_since(one).abs_diff(expected) <= 1);
        }
    }
}
