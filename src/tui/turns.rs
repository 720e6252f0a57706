//! Thresholds that turn: what was held and fails, and what failed and holds again.

use std::time::Duration;

use crate::report::words::printable;
use crate::units::micros;
use crate::verdict::Verdict;

/// Turns that are kept: a threshold that flutters must not fill the list of events. All are counted.
const KEPT: usize = 200;

/// A threshold turned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Turn {
    /// When, in µs since the start of the connect phase.
    pub(super) at_us: u64,
    /// Which, and its figure.
    pub(super) text: String,
    /// Whether it holds from here on.
    pub(super) holds: bool,
}

/// What has turned so far.
#[derive(Debug, Default)]
pub(super) struct Turns {
    before: Vec<Option<bool>>,
    pub(super) all: Vec<Turn>,
    /// Turns that found no room.
    pub(super) left_out: u64,
}

impl Turns {
    /// Compares the thresholds with what they were.
    pub(super) fn judge(&mut self, elapsed: Duration, verdict: &Verdict) {
        for (at, judged) in verdict.thresholds.iter().enumerate() {
            let Some(holds) = judged.passed else { continue };
            if self.before.len() <= at {
                self.before.resize(at + 1, None);
            }
            // To hold from the beginning is no news.
            let before = self.before[at].replace(holds).unwrap_or(true);
            if before == holds {
                continue;
            }
            if self.all.len() == KEPT {
                self.left_out += 1;
                continue;
            }
            let name = printable(&judged.text);
            let text = match (&judged.margin, holds) {
                (Some(margin), false) => format!("{name} fails: {}, {margin}", judged.shown),
                (_, false) => format!("{name} fails: {}", judged.shown),
                (_, true) => format!("{name} holds again: {}", judged.shown),
            };
            self.all.push(Turn { at_us: micros(elapsed), text, holds });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use crate::verdict::judge;

    #[test]
    fn only_what_changes_is_news() {
        let snapshot = sample::measuring();
        let mut verdict = judge(&sample::scenario(), &snapshot);
        let mut turns = Turns::default();
        for (passed, second) in
            [(None, 1), (Some(true), 2), (Some(true), 3), (Some(false), 4), (Some(true), 5)]
        {
            verdict.thresholds.truncate(1);
            verdict.thresholds[0].passed = passed;
            verdict.thresholds[0].margin = (passed == Some(false)).then(|| "+1ms over".to_owned());
            turns.judge(Duration::from_secs(second), &verdict);
        }
        let told: Vec<_> = turns.all.iter().map(|turn| (turn.at_us, turn.holds)).collect();
        assert_eq!(told, [(4_000_000, false), (5_000_000, true)]);
        assert!(turns.all[0].text.ends_with(", +1ms over"), "{}", turns.all[0].text);
    }

    #[test]
    fn a_threshold_that_fails_from_the_beginning_is_news() {
        let mut verdict = judge(&sample::scenario(), &sample::measuring());
        verdict.thresholds.iter_mut().for_each(|judged| judged.passed = Some(false));
        let mut turns = Turns::default();
        turns.judge(Duration::ZERO, &verdict);
        assert_eq!(turns.all.len(), verdict.thresholds.len());
    }

    #[test]
    fn fluttering_is_bounded_and_counted() {
        let mut verdict = judge(&sample::scenario(), &sample::measuring());
        verdict.thresholds.truncate(1);
        let mut turns = Turns::default();
        for n in 0..500 {
            verdict.thresholds[0].passed = Some(n % 2 == 1);
            turns.judge(Duration::from_secs(n), &verdict);
        }
        assert_eq!((turns.all.len(), turns.left_out), (KEPT, 300));
    }
}
