//! Which stretch of time the charts show, and the seconds of a run as the columns of a picture.
//!
//! All charts of a pane have the newest second at the right and the same seconds in the same column.

use crate::stats::{Class, HeatColumn, Second, Series};

use super::keys::Step;

/// Stretches to choose from, in seconds.
const LENGTHS: [usize; 8] = [30, 60, 120, 300, 900, 3_600, 21_600, Series::KEPT];
/// Two minutes: on a usual screen each column is a second or two.
const USUAL: usize = 2;

/// A second at the beginning of a run is no wider than so many cells.
const WIDEST: usize = 4;

/// A stretch of time up to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window(usize);

impl Default for Window {
    fn default() -> Self {
        Self(USUAL)
    }
}

impl Window {
    /// A shorter or a longer one; the shortest and the longest stay.
    pub(super) fn step(self, step: Step) -> Self {
        match step {
            Step::Back => Self(self.0.saturating_sub(1)),
            Step::On => Self((self.0 + 1).min(LENGTHS.len() - 1)),
        }
    }

    pub(super) fn seconds(self) -> usize {
        LENGTHS[self.0.min(LENGTHS.len() - 1)]
    }

    /// `30s`, `2m`, `6h`.
    pub(super) fn words(self) -> String {
        let seconds = self.seconds();
        match seconds {
            0..60 => format!("{seconds}s"),
            60..3_600 => format!("{}m", seconds / 60),
            _ => format!("{}h", seconds / 3_600),
        }
    }
}

/// One or more seconds side by side in one column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    /// The worst second's.
    pub(super) latency_us_p50: Option<u64>,
    pub(super) latency_us_p95: Option<u64>,
    pub(super) latency_us_p99: Option<u64>,
    pub(super) lag_us_p99: Option<u64>,
    pub(super) started: u64,
    pub(super) classes: [u64; Class::ALL.len()],
    /// At its end.
    pub(super) in_flight: u64,
    pub(super) online: u64,
    /// The busiest second's, in cores.
    pub(super) generator: f64,
    pub(super) backend: f64,
    pub(super) heat: HeatColumn,
    seconds: u64,
}

/// The seconds of a window as columns.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    /// The oldest first; the last one stands at the right.
    pub(super) all: Vec<Column>,
    /// Seconds in a column.
    pub(super) per: u64,
    /// Cells that a column is wide, while there are few of them.
    pub(super) cells: usize,
}

impl Columns {
    /// The seconds at the end of the series in at most `width` columns; `None` without seconds or room.
    pub(super) fn of(series: &Series, window: Window, width: u16) -> Option<Self> {
        let seconds = series.newest(window.seconds());
        let (first, last) = (seconds.first()?.number, seconds.last()?.number);
        let width = u64::from(width);
        let mut per = (last - first + 1).div_ceil(width.max(1));
        // Columns begin at multiples of their length, or the picture would flicker as time goes on.
        while last / per - first / per >= width.max(1) {
            per += 1;
        }
        if width == 0 {
            return None;
        }
        let count = usize::try_from(last / per - first / per + 1).unwrap_or(0);
        let mut all: Vec<Option<Column>> = vec![None; count];
        for second in &seconds {
            let at = usize::try_from(second.number / per - first / per).unwrap_or(0);
            let Some(column) = all.get_mut(at) else { continue };
            match column {
                Some(column) => column.add(second),
                None => *column = Some(Column::of(second)),
            }
        }
        let all = all.into_iter().map(|column| column.unwrap_or_else(Column::empty)).collect();
        let room = usize::try_from(width).unwrap_or(usize::MAX);
        let cells = if per == 1 { (room / count.max(1)).clamp(1, WIDEST) } else { 1 };
        Some(Self { all, per, cells })
    }
}

impl Column {
    fn empty() -> Self {
        Self {
            latency_us_p50: None,
            latency_us_p95: None,
            latency_us_p99: None,
            lag_us_p99: None,
            started: 0,
            classes: [0; Class::ALL.len()],
            in_flight: 0,
            online: 0,
            generator: 0.0,
            backend: 0.0,
            heat: HeatColumn::default(),
            seconds: 0,
        }
    }

    fn of(second: &Second) -> Self {
        let mut column = Self::empty();
        column.add(second);
        column
    }

    fn add(&mut self, second: &Second) {
        self.latency_us_p50 = self.latency_us_p50.max(second.latency_us_p50);
        self.latency_us_p95 = self.latency_us_p95.max(second.latency_us_p95);
        self.latency_us_p99 = self.latency_us_p99.max(second.latency_us_p99);
        self.lag_us_p99 = self.lag_us_p99.max(second.schedule_lag_us_p99).max(second.device_lag_us_p99);
        self.started += second.started;
        for (mine, theirs) in self.classes.iter_mut().zip(second.classes) {
            *mine += u64::from(theirs);
        }
        (self.in_flight, self.online) = (second.in_flight, second.online);
        self.generator = self.generator.max(second.cpu.busiest_shard);
        self.backend = self.backend.max(second.cpu.backend);
        self.heat.add(&second.heat);
        self.seconds += 1;
    }

    /// A sum over the column as a mean for each of its seconds, rounded up: what is not nothing is seen.
    pub(super) fn per_second(&self, sum: u64) -> u64 {
        sum.div_ceil(self.seconds.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_window_has_ends() {
        let mut window = Window::default();
        assert_eq!(window.words(), "2m");
        (0..20).for_each(|_| window = window.step(Step::Back));
        assert_eq!((window.words().as_str(), window.seconds()), ("30s", 30));
        (0..20).for_each(|_| window = window.step(Step::On));
        assert_eq!(window.words(), "24h");
    }

    #[test]
    fn no_second_is_lost_between_columns() {
        let series = sample::measuring().series;
        let shown: Vec<Second> = series.newest(usize::MAX);
        for width in 1..40u16 {
            let columns = Columns::of(&series, Window::default(), width).unwrap();
            assert!(columns.all.len() * columns.cells <= usize::from(width), "{width}");
            let started: u64 = columns.all.iter().map(|column| column.started).sum();
            assert_eq!(started, shown.iter().map(|second| second.started).sum::<u64>());
            let mut heat = HeatColumn::default();
            columns.all.iter().for_each(|column| heat.add(&column.heat));
            let mut expected = HeatColumn::default();
            for second in &shown {
                expected.add(&second.heat);
            }
            assert_eq!(heat, expected);
        }
        assert!(Columns::of(&series, Window::default(), 0).is_none());
        assert!(Columns::of(&Series::default(), Window::default(), 9).is_none());
    }

    #[test]
    fn columns_stay_while_time_goes_on() {
        let begins = |last: u64| {
            let series: Series =
                sample::measuring().series.newest(last.try_into().unwrap()).into_iter().collect();
            Columns::of(&series, Window::default(), 7).map(|columns| columns.per)
        };
        assert_eq!(begins(24), begins(23));
    }
}
