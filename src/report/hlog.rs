//! `latency.hlog`: latencies as an HdrHistogram interval log, which the viewers of that format open.
//!
//! One line a window and pair of workload and group, tagged `workload/group`: what succeeded, outside warm-up, in
//! microseconds.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{IntervalLogWriter, IntervalLogWriterBuilder, Tag};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};

use super::result::RunResult;

/// The log of a run. Histograms that cannot be read are left out: nothing but a damaged result has any.
pub fn latency_log(result: &RunResult) -> String {
    let mut text = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut builder = IntervalLogWriterBuilder::new();
    // The first line is where readers look for the version.
    builder.add_comment("[Histogram log format version 1.2]");
    builder.add_comment(&format!(
        "[fleetsim {}: latency in microseconds of what succeeded, scenario {}]",
        result.tool.version, result.scenario.name
    ));
    // A time that cannot be read leaves the log without a start: its lines are relative to it anyway.
    if let Ok(start) = humantime::parse_rfc3339(&result.run.start) {
        builder.with_start_time(start.max(UNIX_EPOCH)).with_base_time(start.max(UNIX_EPOCH));
    }
    if let Ok(mut log) = builder.begin_log_with(&mut text, &mut serializer) {
        write(result, &mut log);
    }
    String::from_utf8(text).unwrap_or_default()
}

fn write(result: &RunResult, log: &mut IntervalLogWriter<'_, '_, Vec<u8>, V2DeflateSerializer>) {
    let mut line = |second: u64, length: Duration, workload: &str, group: &str, base64: &str| {
        let Some(histogram) = read(base64) else { return };
        let name = format!("{workload}/{group}");
        // Names hold nothing that a tag may not.
        log.write_histogram(&histogram, Duration::from_secs(second), length, Tag::new(&name)).ok();
    };
    for window in &result.windows {
        let length = Duration::from_secs(window.seconds);
        line(window.second, length, &window.workload, &window.group, &window.hdr_v2_base64);
    }
    // Beyond a number of pairs there are no windows: those are one line for the whole run.
    for span in result.spans.iter().filter(|span| span.span == "latency" && span.outcome == "succeeded") {
        let Some(workload) = &span.workload else { continue };
        let has_windows =
            result.windows.iter().any(|one| one.workload == *workload && one.group == span.group);
        if !has_windows {
            let length = Duration::try_from_secs_f64(result.run.duration_s).unwrap_or_default();
            line(0, length, workload, &span.group, &span.hdr_v2_base64);
        }
    }
}

fn read(base64: &str) -> Option<Histogram<u64>> {
    let bytes = STANDARD.decode(base64).ok()?;
    Deserializer::new().deserialize(&mut &bytes[..]).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::*;
    use crate::exit::Exit;
    use crate::report::{run_result, sample};

    #[test]
    fn a_reader_of_the_format_finds_every_success_under_its_tag() {
        let result = run_result(&sample::report(sample::done(), Exit::Ok));
        let text = latency_log(&result);
        assert!(text.starts_with("#[Histogram log format version 1.2]\n"), "{text}");
        let mut found = BTreeMap::<String, Histogram<u64>>::new();
        let mut started = None;
        for entry in IntervalLogIterator::new(text.as_bytes()) {
            match entry.unwrap() {
                LogEntry::StartTime(at) => started = Some(at),
                LogEntry::BaseTime(_) => {}
                LogEntry::Interval(line) => {
                    let histogram = read(line.encoded_histogram()).unwrap();
                    let tag = line.tag().unwrap().as_str().to_owned();
                    found.entry(tag).and_modify(|sum| sum.add(&histogram).unwrap()).or_insert(histogram);
                }
            }
        }
        assert_eq!(started.unwrap().as_millis(), 1_795_000_000_123);
        let spans = result.spans.iter().filter(|span| span.span == "latency" && span.outcome == "succeeded");
        let expected: BTreeMap<_, _> = spans
            .map(|span| (format!("reboot/{}", span.group), read(&span.hdr_v2_base64).unwrap()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_run_without_success_is_a_log_without_lines() {
        let result = run_result(&sample::report(sample::connecting(), Exit::Unavailable));
        assert!(latency_log(&result).lines().all(|line| line.starts_with(['#', '"'])));
    }
}
