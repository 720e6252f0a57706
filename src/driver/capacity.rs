//! The search for the highest rate that passes: upwards by a factor until a step fails or the generator lags,
//! then by bisection until the answer is as precise as asked. Pure: it is told what each step is worth and
//! says which rate comes next.
//!
//! A step in which the generator lagged says nothing of the target. It is run once more, because machines have
//! bad moments; if it lags again, it bounds the search as a failure does, and the answer says so.

use crate::units::Rate;

/// Between which rates to search, and how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// The first rate.
    pub from: Rate,
    /// The last one.
    pub to: Rate,
    /// By which a rate that passed is multiplied.
    pub step: f64,
    /// So close together the highest rate that passed and the lowest that did not have to be, as a fraction.
    pub precision: f64,
}

/// What a step is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worth {
    /// All limits held.
    Passed,
    /// A limit broke.
    Failed,
    /// The generator lagged.
    Unknown,
}

/// A search under way.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    bounds: Bounds,
    next: Option<f64>,
    /// The next one is run for the second time.
    is_repeated: bool,
    passed: Option<f64>,
    failed: Option<f64>,
    lagged: Option<f64>,
}

impl Search {
    /// A search that begins at the lowest rate.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            next: Some(bounds.from.per_second()),
            bounds,
            is_repeated: false,
            passed: None,
            failed: None,
            lagged: None,
        }
    }

    /// The rate of the next step; `None` when the search is over.
    pub fn next_rate(&self) -> Option<Rate> {
        self.next.map(Rate::from_per_second)
    }

    /// Whether the next step repeats the last one.
    pub fn is_repeated(&self) -> bool {
        self.is_repeated
    }

    /// The highest rate that passed.
    pub fn passed(&self) -> Option<f64> {
        self.passed
    }

    /// The lowest rate at which a limit broke.
    pub fn failed(&self) -> Option<f64> {
        self.failed
    }

    /// The lowest rate at which the generator lagged, if that is what bounds the answer.
    pub fn lagged(&self) -> Option<f64> {
        self.lagged.filter(|lagged| self.failed.is_none_or(|failed| *lagged < failed))
    }

    /// Takes what the step at [`Search::next_rate`] was worth.
    pub fn judged(&mut self, worth: Worth) {
        let Some(rate) = self.next else { return };
        let lowest = |known: Option<f64>| Some(known.map_or(rate, |known| known.min(rate)));
        match worth {
            Worth::Unknown if !self.is_repeated => {
                self.is_repeated = true;
                return;
            }
            Worth::Passed => self.passed = Some(rate),
            Worth::Failed => self.failed = lowest(self.failed),
            Worth::Unknown => self.lagged = lowest(self.lagged),
        }
        self.is_repeated = false;
        self.next = self.after();
    }

    fn after(&self) -> Option<f64> {
        let (to, step) = (self.bounds.to.per_second(), self.bounds.step);
        let upper = self.failed.into_iter().chain(self.lagged).reduce(f64::min);
        match (self.passed, upper) {
            (Some(passed), None) if passed >= to => None,
            (Some(passed), None) => Some((passed * step).min(to)),
            (Some(passed), Some(upper)) if upper > passed * (1.0 + self.bounds.precision) => {
                Some(self.between(passed, upper))
            }
            // As precise as asked, or not even the lowest rate has passed.
            (Some(_), Some(_)) | (None, _) => None,
        }
    }

    /// The middle of both, rounded to what people can read without losing precision.
    fn between(&self, low: f64, high: f64) -> f64 {
        let middle = (low * high).sqrt();
        let grain = 10_f64.powf((middle * self.bounds.precision / 10.0).log10().floor());
        let rounded = (middle / grain).round() * grain;
        // Grains below one leave binary dust: 0.30000000000000004.
        let rounded = if grain < 1.0 { (rounded * 1e9).round() / 1e9 } else { rounded };
        if low < rounded && rounded < high { rounded } else { middle }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bounds(from: f64, to: f64) -> Bounds {
        let rate = Rate::from_per_second;
        Bounds { from: rate(from), to: rate(to), step: 2.0, precision: 0.05 }
    }

    /// Runs a search to its end; all rates it asked for.
    fn run(search: &mut Search, worth: impl Fn(f64) -> Worth) -> Vec<f64> {
        let mut asked = Vec::new();
        while let Some(rate) = search.next_rate() {
            asked.push(rate.per_second());
            search.judged(worth(rate.per_second()));
            assert!(asked.len() < 200, "{asked:?}");
        }
        asked
    }

    fn limit(at: f64) -> impl Fn(f64) -> Worth {
        move |rate| if rate <= at { Worth::Passed } else { Worth::Failed }
    }

    #[test]
    fn a_limit_is_closed_in_on_from_both_sides() {
        let mut search = Search::new(bounds(100.0, 20_000.0));
        let asked = run(&mut search, limit(3_400.0));
        assert_eq!(asked[..7], [100.0, 200.0, 400.0, 800.0, 1_600.0, 3_200.0, 6_400.0]);
        assert_eq!(asked[7..], [4_530.0, 3_810.0, 3_490.0, 3_340.0]);
        assert_eq!((search.passed(), search.failed(), search.lagged()), (Some(3_340.0), Some(3_490.0), None));
    }

    #[test]
    fn what_holds_all_that_was_asked_ends_at_the_last_rate() {
        let mut search = Search::new(bounds(100.0, 300.0));
        assert_eq!(run(&mut search, limit(1e9)), [100.0, 200.0, 300.0]);
        assert_eq!((search.passed(), search.failed(), search.lagged()), (Some(300.0), None, None));
    }

    #[test]
    fn what_does_not_hold_the_lowest_rate_holds_nothing() {
        let mut search = Search::new(bounds(100.0, 300.0));
        assert_eq!(run(&mut search, limit(50.0)), [100.0]);
        assert_eq!((search.passed(), search.failed()), (None, Some(100.0)));
    }

    #[test]
    fn a_step_in_which_the_generator_lagged_is_run_again_and_then_bounds_the_search() {
        let mut search = Search::new(bounds(100.0, 20_000.0));
        let lags = |rate| if rate > 1_000.0 { Worth::Unknown } else { Worth::Passed };
        let asked = run(&mut search, lags);
        assert_eq!(asked[3..7], [800.0, 1_600.0, 1_600.0, 1_131.0]);
        let (passed, lagged) = (search.passed().unwrap(), search.lagged().unwrap());
        assert!(passed <= 1_000.0 && lagged > 1_000.0 && lagged <= passed * 1.05, "{passed} {lagged}");
        assert_eq!(search.failed(), None);
    }

    #[test]
    fn a_bad_moment_of_the_machine_changes_nothing() {
        let mut search = Search::new(bounds(100.0, 400.0));
        search.judged(Worth::Unknown);
        assert!(search.is_repeated());
        search.judged(Worth::Passed);
        assert!(!search.is_repeated());
        assert_eq!(run(&mut search, limit(1e9)), [200.0, 400.0]);
        assert_eq!((search.passed(), search.lagged()), (Some(400.0), None));
    }

    #[test]
    fn a_failure_below_the_lag_is_the_limit() {
        let mut search = Search::new(bounds(100.0, 20_000.0));
        run(&mut search, |rate| match rate {
            _ if rate > 1_500.0 => Worth::Unknown,
            _ if rate > 1_050.0 => Worth::Failed,
            _ => Worth::Passed,
        });
        assert!(search.failed().is_some() && search.lagged().is_none(), "{search:?}");
    }

    proptest! {
        #[test]
        fn whatever_the_limit_the_answer_is_as_precise_as_asked(
            at in 0.02f64..60_000.0,
            step in 1.1f64..10.0,
            precision in 0.005f64..0.5,
        ) {
            let rate = Rate::from_per_second;
            let mut search = Search::new(Bounds { from: rate(0.01), to: rate(50_000.0), step, precision });
            run(&mut search, limit(at));
            let passed = search.passed().unwrap();
            prop_assert!(passed <= at);
            match search.failed() {
                Some(failed) => prop_assert!(failed > at && failed <= passed * (1.0 + precision) * (1.0 + 1e-9)),
                None => prop_assert!((passed - 50_000.0).abs() < f64::EPSILON),
            }
        }
    }
}
