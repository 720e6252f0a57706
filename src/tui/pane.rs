//! The panes of the screen, and the tiles that each is made of.

use super::keys::Step;

/// What the screen can show, by the number of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pane {
    /// How the run goes.
    Overview,
    /// Where latency lies, and when.
    Latency,
    /// Group by group.
    Groups,
    /// What follows from what happens: rollouts or a capacity search.
    Feedback,
    /// What happened when.
    Events,
}

/// What a run's load has beside its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Feedback {
    /// Nothing: arrivals, a burst, or a closed loop.
    #[default]
    None,
    /// At least one rollout.
    Rollout,
    /// A search for the highest rate.
    Capacity,
}

impl Pane {
    /// Every pane, in the order of the keys.
    pub(super) const ALL: [Pane; 5] =
        [Pane::Overview, Pane::Latency, Pane::Groups, Pane::Feedback, Pane::Events];

    /// Whether a run has this one.
    pub(super) fn is_in(self, feedback: Feedback) -> bool {
        self != Pane::Feedback || feedback != Feedback::None
    }

    /// The name on its tab.
    pub(super) fn name(self, feedback: Feedback) -> &'static str {
        match self {
            Pane::Overview => "Overview",
            Pane::Latency => "Latency",
            Pane::Groups => "Groups",
            Pane::Feedback if feedback == Feedback::Capacity => "Capacity",
            Pane::Feedback => "Rollout",
            Pane::Events => "Events",
        }
    }

    /// The key that shows it.
    pub(super) fn number(self) -> usize {
        self as usize + 1
    }

    /// The one beside it in this run; after the last comes the first.
    pub(super) fn beside(self, step: Step, feedback: Feedback) -> Pane {
        beside(&Pane::ALL.into_iter().filter(|pane| pane.is_in(feedback)).collect::<Vec<_>>(), self, step)
    }
}

/// A part of a pane with a frame of its own, which can be enlarged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tile {
    /// Devices coming online.
    Connects,
    /// Executions by how they ended.
    Ends,
    /// Thresholds with their figures.
    Thresholds,
    /// Rates, gauges and the generator by the second.
    Seconds,
    /// Where the time goes.
    Spans,
    /// Latencies in logarithmic buckets.
    Distribution,
    /// Percentiles over time.
    Percentiles,
    /// How many latencies of which size, over time.
    HeatMap,
    /// A line for each group.
    GroupTable,
    /// One group in full.
    GroupDetail,
    /// Batches and their gates.
    Batches,
    /// The rate at which devices are told, over time.
    Rates,
    /// How near the abort rules are.
    Gauges,
    /// Devices that were left behind.
    Stuck,
    /// Steps of a capacity search.
    Steps,
    /// Latency over rate.
    Curve,
    /// Between which rates the search is.
    Bounds,
    /// What happened.
    Events,
    /// What went wrong with single executions.
    Anomalies,
}

/// The one before or after among `all`, around the ends.
pub(super) fn beside<T: Copy + PartialEq>(all: &[T], one: T, step: Step) -> T {
    let at = all.iter().position(|other| *other == one).unwrap_or(0);
    let next = match step {
        Step::On => (at + 1) % all.len().max(1),
        Step::Back => at.checked_sub(1).unwrap_or(all.len().saturating_sub(1)),
    };
    all.get(next).copied().unwrap_or(one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tab_goes_around_and_leaves_out_what_a_run_does_not_have() {
        let walk = |feedback| {
            let on =
                std::iter::successors(Some(Pane::Overview), |pane| Some(pane.beside(Step::On, feedback)));
            on.take(6).map(Pane::number).collect::<Vec<_>>()
        };
        assert_eq!(walk(Feedback::Rollout), [1, 2, 3, 4, 5, 1]);
        assert_eq!(walk(Feedback::None), [1, 2, 3, 5, 1, 2]);
        assert_eq!(Pane::Overview.beside(Step::Back, Feedback::None), Pane::Events);
        assert_eq!(Pane::Events.beside(Step::Back, Feedback::None), Pane::Groups);
    }
}
