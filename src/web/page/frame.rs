//! One picture of a run as browsers are sent it: made once, but for the seconds, of which each needs its own.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use crate::report::{Charts, RunResult, Sections, Series, Standing, Timings, width_for};
use crate::stats::Snapshot;

/// A picture without its seconds.
#[derive(Debug)]
pub(super) struct Frame {
    standing: Standing,
    sections: Sections,
    charts: Charts,
}

#[derive(Serialize)]
struct Update<'a> {
    sections: Sent<'a>,
    thinned: Option<String>,
    charts: &'a Charts,
}

#[derive(Serialize)]
struct Sent<'a> {
    #[serde(flatten)]
    sections: &'a Sections,
    /// Only at the end: the page came with what there was to say before.
    #[serde(skip_serializing_if = "Option::is_none")]
    scenario: Option<&'a str>,
}

impl Frame {
    pub fn of(standing: Standing) -> Self {
        let timings = Timings::of_snapshot(standing.snapshot());
        let sections = Sections::of(&standing.result, &timings);
        let charts = Charts::with(&standing.result, &timings, Series::default());
        Self { standing, sections, charts }
    }

    /// Whether it shows this snapshot.
    pub fn is_of(&self, snapshot: &Arc<Snapshot>) -> bool {
        std::ptr::eq(self.standing.snapshot(), &raw const **snapshot)
    }

    /// The newest second in it.
    pub fn newest(&self) -> u64 {
        self.standing.snapshot().series.last().map_or(0, |second| second.number)
    }

    /// An event with the seconds that somebody lacks who has all up to `seen`.
    pub fn event(&self, seen: Option<u64>) -> Bytes {
        let charts = Charts { series: since(&self.standing, seen), ..self.charts.clone() };
        event("update", self.newest(), Sent { sections: &self.sections, scenario: None }, &charts)
    }
}

/// The event that ends the stream: the report of the run, with all its seconds.
pub(super) fn last_event(result: &RunResult) -> Bytes {
    let timings = Timings::of_result(result);
    let charts = Charts::of(result, &timings);
    let newest = result.series.last().map_or(0, |second| second.second);
    let sections = Sections::of(result, &timings);
    event("end", newest, Sent { sections: &sections, scenario: Some(&sections.scenario) }, &charts)
}

fn event(name: &str, id: u64, sections: Sent<'_>, charts: &Charts) -> Bytes {
    let update = Update { sections, thinned: charts.series.words(), charts };
    // JSON has its line ends escaped: one line is all of it.
    let data = serde_json::to_string(&update).expect("columns of numbers and texts are JSON");
    Bytes::from(format!("event: {name}\nid: {id}\ndata: {data}\n\n"))
}

/// The seconds from this one on.
pub(super) fn series(standing: &Standing, from: u64) -> Series {
    let newest = standing.snapshot().series.last().map_or(0, |second| second.number);
    let width = width_for(newest + 1);
    Series::of(&standing.seconds_from(from / width * width), width)
}

/// The seconds that somebody lacks who has all up to `seen`: from the begin of the point that holds it, which
/// may have grown; all of them if points are wider by now.
fn since(standing: &Standing, seen: Option<u64>) -> Series {
    let newest = standing.snapshot().series.last().map_or(0, |second| second.number);
    let same_width = seen.filter(|seen| *seen <= newest && width_for(seen + 1) == width_for(newest + 1));
    series(standing, same_width.unwrap_or(0))
}
