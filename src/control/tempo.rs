//! How fast the plan is played, and whether it is played at all.

use std::fmt;

/// What a person can ask of the load beside its end: that it waits, and how fast its clock runs. At 110 %
/// the same executions come in the same order, only sooner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tempo {
    /// The load's clock stands still.
    pub paused: bool,
    /// Of the plan's speed, when it does not; 100 is as planned.
    pub rate_percent: u32,
}

/// The bit beside the percents that says "paused".
const PAUSED: u32 = 1 << 31;
/// What one step multiplies the rate by.
const STEP: f64 = 1.1;

impl Tempo {
    /// As the scenario says.
    pub const PLANNED: Tempo = Tempo { paused: false, rate_percent: 100 };
    /// Slower than this is a pause.
    pub const MIN_PERCENT: u32 = 10;
    /// Faster than this is another scenario.
    pub const MAX_PERCENT: u32 = 1_000;

    /// Percent of the plan's speed at which the load's clock runs: none in a pause.
    pub const fn speed_percent(self) -> u32 {
        if self.paused { 0 } else { self.rate_percent }
    }

    /// Whether it is what the scenario says.
    pub fn is_planned(self) -> bool {
        self == Self::PLANNED
    }

    /// The same at another rate, within bounds.
    #[must_use]
    pub fn at_rate(self, percent: u32) -> Self {
        Self { rate_percent: percent.clamp(Self::MIN_PERCENT, Self::MAX_PERCENT), ..self }
    }

    /// The same, so many steps faster or slower. Rates that steps lead to are those of one ladder with a
    /// rung at 100, so a step back is where it was; from between two rungs it goes to the next one.
    #[must_use]
    pub fn stepped(self, steps: i32) -> Self {
        let mut percent = self.rate_percent;
        for _ in 0..steps.unsigned_abs().min(RUNGS.unsigned_abs() * 2) {
            let next = if steps > 0 {
                (-RUNGS..=RUNGS).map(rung).find(|rung| *rung > percent)
            } else {
                (-RUNGS..=RUNGS).rev().map(rung).find(|rung| *rung < percent)
            };
            let end = if steps > 0 { Self::MAX_PERCENT } else { Self::MIN_PERCENT };
            percent = next.unwrap_or(end);
        }
        self.at_rate(percent)
    }

    /// For one atomic.
    pub(super) const fn to_bits(self) -> u32 {
        self.rate_percent | if self.paused { PAUSED } else { 0 }
    }

    pub(super) const fn from_bits(bits: u32) -> Self {
        Self { paused: bits & PAUSED != 0, rate_percent: bits & !PAUSED }
    }
}

/// Steps from 100 % to either end, and one more.
const RUNGS: i32 = 25;

/// 100 % after so many steps, in whole percent, within bounds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 10 and 1,000")]
fn rung(steps: i32) -> u32 {
    let percent = (STEP.powi(steps) * 100.0).round() as u32;
    percent.clamp(Tempo::MIN_PERCENT, Tempo::MAX_PERCENT)
}

impl Default for Tempo {
    fn default() -> Self {
        Self::PLANNED
    }
}

/// `paused`, `rate 110%`, `as planned`.
impl fmt::Display for Tempo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.paused, self.rate_percent) {
            (false, 100) => f.write_str("as planned"),
            (false, rate) => write!(f, "rate {rate}%"),
            (true, 100) => f.write_str("paused"),
            (true, rate) => write!(f, "paused at rate {rate}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(rate_percent: u32) -> Tempo {
        Tempo { rate_percent, ..Tempo::PLANNED }
    }

    #[test]
    fn steps_climb_one_ladder_and_lead_back() {
        let up = std::iter::successors(Some(at(100)), |tempo| Some(tempo.stepped(1)));
        let up: Vec<u32> = up.map(|tempo| tempo.rate_percent).take(6).collect();
        assert_eq!(up, [100, 110, 121, 133, 146, 161]);
        for steps in -21..=21 {
            assert_eq!(at(100).stepped(steps).stepped(-steps), at(100), "{steps} steps");
        }
        for (from, steps, to) in [
            (100, -1, 91),
            (105, 1, 110),
            (105, -1, 100),
            (10, -1, 10),
            (1000, 1, 1000),
            (100, i32::MAX, 1000),
            (100, i32::MIN, 10),
            (1000, -1, 985),
            (985, 1, 1000),
            (100, 0, 100),
        ] {
            assert_eq!(at(from).stepped(steps), at(to), "{from} % and {steps} steps");
        }
    }

    #[test]
    fn bits_and_words() {
        for (tempo, words, speed) in [
            (Tempo::PLANNED, "as planned", 100),
            (at(110), "rate 110%", 110),
            (Tempo { paused: true, rate_percent: 100 }, "paused", 0),
            (Tempo { paused: true, rate_percent: 1_000 }, "paused at rate 1000%", 0),
        ] {
            assert_eq!(Tempo::from_bits(tempo.to_bits()), tempo);
            assert_eq!((tempo.to_string().as_str(), tempo.speed_percent()), (words, speed));
        }
        assert!(Tempo::default().is_planned() && !at(99).is_planned());
    }
}
