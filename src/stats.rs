//! What a run measures: spans, accounting classes, ledger findings, and the statistics they go into.
//!
//! A shard fills one [`Statistics`] and swaps it once a second for an empty one, which it sends;
//! the collector adds them up. Nobody ever reads one that is being filled. Everything that draws,
//! judges or writes reads a [`Snapshot`] and nothing else.

mod capacity;
mod heat;
mod histogram;
mod names;
mod rollout;
mod series;
mod snapshot;
mod statistics;
mod windows;

pub use crate::control::Tempo;
pub use capacity::{CapacityAnswer, CapacityProgress, CapacityStep, StepLimit, StepOutcome};
pub use heat::HeatColumn;
pub use histogram::{Histogram, Percentile};
pub use names::{Class, Finding, Outcome, Span};
pub use rollout::{
    AbortGauge, BatchCounts, BatchProgress, RateStep, RolloutProgress, RolloutState, StuckDevice,
};
pub use series::Series;
pub use snapshot::{Anomaly, CpuUse, Event, GroupGauge, Phase, Second, Snapshot};
pub use statistics::{Counts, FindingCount, Part, Shape, Statistics};
pub use windows::{WINDOW_SECONDS, Window, Windows};
