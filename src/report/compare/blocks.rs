//! The latencies of one side in blocks, and how much a change may be chance.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::Deserializer;

use super::Cell;
use crate::report::result::{RunResult, WindowResult};
use crate::seed::{Draw, Purpose, Seed, Subject};

/// Where a change lies with 95 % confidence, as fractions.
pub(super) type Interval = (f64, f64);

type Counts = hdrhistogram::Histogram<u64>;

/// Seconds of a block: long enough that neighbours are hardly alike.
const BLOCK_SECONDS: u64 = 30;
/// How often blocks are drawn.
const DRAWS: u64 = 500;
/// Fewer pieces say nothing about how they vary.
const FEWEST: usize = 3;
/// With fewer blocks of full length, shorter ones say more although neighbours are alike.
const FEWEST_LONG: usize = 5;

/// What one side measured of one workload in one group, or of all.
pub(super) struct Blocks {
    /// Everything, by run.
    runs: Vec<Counts>,
    /// By run, then by window, rising: its begin, its length and its latencies.
    windows: Vec<Vec<(u64, u64, Counts)>>,
}

impl Blocks {
    /// Of these runs; `None` is all workloads and groups.
    pub fn of(runs: &[RunResult], cell: Option<&Cell>) -> Self {
        let of_run = |run: &RunResult| {
            let spans = run.spans.iter().filter(|span| {
                let own = (span.workload.as_deref().unwrap_or_default(), span.group.as_str());
                let here = cell.is_none_or(|(workload, group)| own == (workload, group));
                here && span.span == "latency" && span.outcome == "succeeded"
            });
            sum(spans.filter_map(|span| read(&span.hdr_v2_base64)))
        };
        Self {
            runs: runs.iter().map(of_run).collect(),
            windows: runs.iter().map(|run| windows(run, cell)).collect(),
        }
    }

    /// How many runs there are.
    pub fn runs(&self) -> usize {
        self.runs.len()
    }

    /// Samples of all runs.
    pub fn samples(&self) -> u64 {
        self.runs.iter().map(Counts::len).sum()
    }

    /// The mean of the runs' percentiles, in µs.
    pub fn mean_of_runs(&self, percentile: f64) -> Option<f64> {
        let all = self.each_run(percentile);
        (!all.is_empty()).then(|| mean(&all))
    }

    #[expect(clippy::cast_precision_loss, reason = "latencies far below 2^53 µs")]
    fn each_run(&self, percentile: f64) -> Vec<f64> {
        let with_samples = self.runs.iter().filter(|run| !run.is_empty());
        with_samples.map(|run| run.value_at_quantile(percentile / 100.0) as f64).collect()
    }

    /// The windows put together to blocks of `seconds`; a block never reaches over two runs.
    fn blocks(&self, seconds: u64) -> Vec<Counts> {
        let mut blocks = Vec::new();
        for windows in &self.windows {
            let mut of_run: Vec<(u64, u64, Counts)> = Vec::new();
            for (begin, length, counts) in windows {
                let number = begin / seconds.max(*length);
                match of_run.last_mut().filter(|(last, _, _)| *last == number) {
                    Some((_, filled, block)) => {
                        *filled += length;
                        add(block, counts);
                    }
                    None => of_run.push((number, *length, counts.clone())),
                }
            }
            // The rest at the end of a run is no block of its own, unless it is all there is.
            let is_rest =
                of_run.len() > 1 && of_run.last().is_some_and(|(_, filled, _)| *filled * 2 < seconds);
            if is_rest && let (Some((_, _, rest)), Some((_, _, block))) = (of_run.pop(), of_run.last_mut()) {
                add(block, &rest);
            }
            blocks.extend(of_run.into_iter().map(|(_, _, block)| block));
        }
        blocks
    }

    /// Seconds of the windows.
    fn window_seconds(&self) -> u64 {
        self.windows.iter().flatten().map(|(_, length, _)| *length).max().unwrap_or(0)
    }
}

/// By how much the runs of each side vary: Welch's interval for the difference of their means, relative
/// to the mean of the baseline.
#[expect(clippy::cast_precision_loss, reason = "a handful of runs")]
pub(super) fn between_runs(base: &Blocks, new: &Blocks, percentile: f64) -> Option<Interval> {
    let (base, new) = (base.each_run(percentile), new.each_run(percentile));
    if base.len() < FEWEST || new.len() < FEWEST {
        return None;
    }
    let (base_error, new_error) = (variance(&base) / base.len() as f64, variance(&new) / new.len() as f64);
    let error = base_error + new_error;
    let freedom = if error > 0.0 {
        let part = |error: f64, count: usize| error * error / (count - 1) as f64;
        error * error / (part(base_error, base.len()) + part(new_error, new.len()))
    } else {
        1.0
    };
    let (middle, half) = (mean(&new) - mean(&base), student(freedom) * error.sqrt());
    let scale = mean(&base).max(1.0);
    Some(((middle - half) / scale, (middle + half) / scale))
}

/// Draws blocks of both sides again and again: the seconds of a block and the interval of each
/// percentile. `None` if there are too few blocks to draw from.
pub(super) fn resample(
    name: &str,
    base: &Blocks,
    new: &Blocks,
    percentiles: &[f64],
) -> Option<(u64, Vec<Option<Interval>>)> {
    // Shorter runs are cut finer; a window is the finest there is.
    let window = base.window_seconds().max(new.window_seconds());
    let ways = [(BLOCK_SECONDS.max(window), FEWEST_LONG), (window, FEWEST)];
    let (seconds, sides) = ways.into_iter().find_map(|(seconds, fewest)| {
        let sides = [base.blocks(seconds), new.blocks(seconds)];
        sides.iter().all(|blocks| blocks.len() >= fewest).then_some((seconds, sides))
    })?;
    let wider = small_samples(sides[0].len(), sides[1].len());
    let [base, new] = [&sides[0], &sides[1]].map(|blocks| Dense::new(blocks));
    let mut changes = vec![Vec::new(); percentiles.len()];
    for number in 0..DRAWS {
        // The same draws for the same comparison, whenever it is made.
        let mut draw = Seed(0).at(Purpose::Resample, Subject::new(name, 0), number);
        let (one, other) = (base.draw(&mut draw), new.draw(&mut draw));
        for (changes, percentile) in changes.iter_mut().zip(percentiles) {
            let (before, now) = (base.percentile(&one, *percentile), new.percentile(&other, *percentile));
            changes.push((now - before) / before.max(1.0));
        }
    }
    Some((seconds, changes.into_iter().map(|changes| middle(changes, wider)).collect()))
}

/// By how much few blocks make the interval too narrow: they vary less among themselves than what they
/// are drawn from, and of that little is known.
#[expect(clippy::cast_precision_loss, reason = "some hundred blocks")]
fn small_samples(base: usize, new: usize) -> f64 {
    const NORMAL: f64 = 1.96;
    let fewest = base.min(new) as f64;
    student((base + new - 2) as f64) / NORMAL * (fewest / (fewest - 1.0)).sqrt()
}

/// The middle 95 %, made wider by a factor.
fn middle(mut changes: Vec<f64>, wider: f64) -> Option<Interval> {
    changes.sort_by(f64::total_cmp);
    let outside = changes.len() / 40;
    let (low, high) = (*changes.get(outside)?, *changes.get(changes.len().checked_sub(1 + outside)?)?);
    let center = *changes.get(changes.len() / 2)?;
    Some((center - (center - low) * wider, center + (high - center) * wider))
}

/// Blocks as counts of the values that occur in any of them: quick to add up.
struct Dense {
    /// In µs, rising.
    values: Vec<u64>,
    blocks: Vec<Vec<u64>>,
}

impl Dense {
    fn new(blocks: &[Counts]) -> Self {
        let all = sum(blocks.iter().cloned());
        let values: Vec<u64> = all.iter_recorded().map(|value| value.value_iterated_to()).collect();
        let blocks = blocks.iter().map(|block| values.iter().map(|value| block.count_at(*value)).collect());
        Self { blocks: blocks.collect(), values }
    }

    /// As many blocks as there are, each any of them.
    fn draw(&self, draw: &mut Draw) -> Vec<u64> {
        let mut counts = vec![0; self.values.len()];
        for _ in 0..self.blocks.len() {
            let chosen = usize::try_from(draw.below(self.blocks.len() as u64)).unwrap_or(0);
            counts.iter_mut().zip(&self.blocks[chosen]).for_each(|(sum, count)| *sum += count);
        }
        counts
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts and latencies far below 2^53"
    )]
    fn percentile(&self, counts: &[u64], percentile: f64) -> f64 {
        let total: u64 = counts.iter().sum();
        let rank = ((percentile / 100.0 * total as f64).ceil() as u64).max(1);
        let mut below = 0;
        let reached = counts.iter().position(|count| {
            below += count;
            below >= rank
        });
        reached.map_or(0.0, |at| self.values[at] as f64)
    }
}

fn windows(run: &RunResult, cell: Option<&Cell>) -> Vec<(u64, u64, Counts)> {
    let mut windows: Vec<(u64, u64, Counts)> = Vec::new();
    let here = |window: &&WindowResult| {
        cell.is_none_or(|(workload, group)| (&window.workload, &window.group) == (workload, group))
    };
    for window in run.windows.iter().filter(here) {
        let Some(counts) = read(&window.hdr_v2_base64).filter(|counts| !counts.is_empty()) else { continue };
        match windows.last_mut().filter(|(second, _, _)| *second == window.second) {
            Some((_, _, sum)) => add(sum, &counts),
            None => windows.push((window.second, window.seconds.max(1), counts)),
        }
    }
    windows
}

fn read(base64: &str) -> Option<Counts> {
    let bytes = STANDARD.decode(base64).ok()?;
    Deserializer::new().deserialize(&mut bytes.as_slice()).ok()
}

/// Histograms of our own have the same bounds; one of a stranger grows as it must.
fn sum(all: impl Iterator<Item = Counts>) -> Counts {
    let mut sum = Counts::new(3).expect("three digits are possible");
    sum.auto(true);
    all.for_each(|counts| add(&mut sum, &counts));
    sum
}

fn add(sum: &mut Counts, counts: &Counts) {
    sum.auto(true);
    // Only a lack of memory can stand against it; then the samples are missing on both sides.
    sum.add(counts).ok();
}

#[expect(clippy::cast_precision_loss, reason = "a handful of runs")]
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[expect(clippy::cast_precision_loss, reason = "a handful of runs")]
fn variance(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() - 1).max(1) as f64
}

/// Within how many standard errors 95 % lie, by the degrees of freedom (rounded down: rather too wide).
fn student(freedom: f64) -> f64 {
    const TABLE: [(f64, f64); 13] = [
        (120.0, 1.980),
        (60.0, 2.000),
        (30.0, 2.042),
        (20.0, 2.086),
        (15.0, 2.131),
        (10.0, 2.228),
        (8.0, 2.306),
        (6.0, 2.447),
        (5.0, 2.571),
        (4.0, 2.776),
        (3.0, 3.182),
        (2.0, 4.303),
        (0.0, 12.706),
    ];
    TABLE.iter().find(|(least, _)| freedom >= *least).map_or(12.706, |(_, factor)| *factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_degrees_of_freedom_widen_the_interval() {
        let factors = [1.0, 2.0, 3.9, 4.0, 29.0, 1e9].map(|freedom| student(freedom).to_string());
        assert_eq!(factors, ["12.706", "4.303", "3.182", "2.776", "2.086", "1.98"]);
    }

    #[test]
    fn a_run_shorter_than_a_block_is_one() {
        let window = |begin: u64| {
            let mut counts = sum(std::iter::empty());
            counts.record(1_000).unwrap();
            (begin, 5, counts)
        };
        let windows = vec![vec![window(0), window(5)], (0..7).map(|n| window(n * 5)).collect(), Vec::new()];
        let blocks = Blocks { runs: Vec::new(), windows }.blocks(30);
        assert_eq!(blocks.iter().map(Counts::len).collect::<Vec<_>>(), [2, 7]);
    }

    #[test]
    fn percentiles_of_drawn_blocks_are_those_of_their_samples() {
        let block = |from: u64| {
            let mut counts = sum(std::iter::empty());
            (from..from + 100).for_each(|us| counts.record(us).unwrap());
            counts
        };
        let dense = Dense::new(&[block(1), block(1)]);
        let drawn = dense.draw(&mut Seed(0).at(Purpose::Resample, Subject::new("x", 0), 0));
        let percentiles =
            [50.0, 99.0, 100.0].map(|percentile| dense.percentile(&drawn, percentile).to_string());
        assert_eq!(percentiles, ["50", "99", "100"]);
    }
}
