//! Delays out of files: a column of a CSV table, or the histograms of an HdrHistogram log. Pure.

use std::collections::BTreeSet;
use std::io::Cursor;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry, LogIteratorError};

use super::problems::listed;
use crate::dist::{Empirical, Source};

/// A million delays describe any distribution; the table is 8 MB.
const MAX_ROWS: usize = 1_000_000;
/// Longer delays outlast every run.
const MAX_US: f64 = 366.0 * 24.0 * 3600.0 * 1e6;

/// What is wrong with a file of delays, and which key can mend it.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// The file.
    File(String),
    /// There is no such column or tag, but these.
    Unknown(&'static str, Vec<String>),
    /// A tag is given and there are none.
    Untagged,
}

/// The delays in `bytes`.
pub fn read(source: Source, bytes: &[u8]) -> Result<Empirical, Fault> {
    let is_log = source.file.to_ascii_lowercase().ends_with(".hlog");
    let file = source.file.clone();
    let table = if is_log {
        let classes = log(&source, bytes)?;
        Empirical::of_buckets(source, classes)
    } else {
        let samples = csv(&source, bytes)?;
        Empirical::of_samples(source, samples)
    };
    table.ok_or_else(|| Fault::File(format!("there is no delay in `{file}`")))
}

fn csv(source: &Source, bytes: &[u8]) -> Result<Vec<u64>, Fault> {
    let file = &source.file;
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let broken = |error: csv::Error| Fault::File(format!("`{file}` is not a CSV table: {error}"));
    let names: Vec<String> = reader.headers().map_err(broken)?.iter().map(str::to_owned).collect();
    let column = match &source.column {
        Some(column) => {
            let place = names.iter().position(|name| name == column);
            place.ok_or_else(|| Fault::Unknown("column", names.clone()))?
        }
        None if names.len() == 1 => 0,
        None => {
            let names = listed(&names);
            return Err(Fault::File(format!("`column` is needed: `{file}` has the columns {names}")));
        }
    };
    let mut samples = Vec::new();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(broken)? {
        let line = record.position().map_or(0, csv::Position::line);
        let cell = record.get(column).unwrap_or_default();
        if samples.len() == MAX_ROWS {
            return Err(Fault::File(format!("`{file}` has more than {MAX_ROWS} rows")));
        }
        let number = cell.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
        let Some(number) = number else {
            let name = &names[column];
            return Err(Fault::File(format!(
                "line {line} of `{file}`: \"{cell}\" in column `{name}` is not a number from 0"
            )));
        };
        samples.push(in_micros(number, source));
    }
    Ok(samples)
}

/// The classes of all histograms of a log together, as (shortest, longest, count).
fn log(source: &Source, bytes: &[u8]) -> Result<Vec<(u64, u64, u64)>, Fault> {
    let file = &source.file;
    let broken = |why: &dyn std::fmt::Debug| {
        Fault::File(format!("`{file}` is not a log of HdrHistogram V2 histograms: {why:?}"))
    };
    let mut sum: Option<Histogram<u64>> = None;
    let mut tags = BTreeSet::new();
    let mut decoder = Deserializer::new();
    for entry in IntervalLogIterator::new(bytes) {
        let entry = entry.map_err(|LogIteratorError::ParseError { offset }| {
            Fault::File(format!(
                "`{file}` is not a log of HdrHistogram V2 histograms from its byte {offset} on"
            ))
        })?;
        let LogEntry::Interval(interval) = entry else { continue };
        let tag = interval.tag().map(|tag| tag.as_str().to_owned());
        let wanted = tag == source.column;
        tags.extend(tag);
        if !wanted {
            continue;
        }
        let encoded = STANDARD.decode(interval.encoded_histogram()).map_err(|error| broken(&error))?;
        let histogram: Histogram<u64> =
            decoder.deserialize(&mut Cursor::new(encoded)).map_err(|error| broken(&error))?;
        let all = sum.get_or_insert_with(|| {
            let mut empty = Histogram::new_from(&histogram);
            empty.auto(true);
            empty
        });
        all.add(&histogram).map_err(|error| broken(&error))?;
    }
    let Some(all) = sum else {
        let tags: Vec<String> = tags.into_iter().collect();
        return Err(match &source.column {
            Some(_) if tags.is_empty() => Fault::Untagged,
            Some(_) => Fault::Unknown("tag", tags),
            None if !tags.is_empty() => Fault::File(format!(
                "`column` is needed: the histograms of `{file}` have the tags {}",
                listed(&tags)
            )),
            None => Fault::File(format!("there is no histogram in `{file}`")),
        });
    };
    let classes = all.iter_recorded().map(|class| {
        let longest = class.value_iterated_to();
        let shortest = all.lowest_equivalent(longest);
        #[expect(clippy::cast_precision_loss, reason = "delays far below 2^53 units")]
        let (shortest, longest) = (in_micros(shortest as f64, source), in_micros(longest as f64, source));
        (shortest, longest, class.count_since_last_iteration())
    });
    Ok(classes.collect())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to a year")]
fn in_micros(number: f64, source: &Source) -> u64 {
    (number * source.unit.micros()).round().min(MAX_US) as u64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hdrhistogram::serialization::V2DeflateSerializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

    use super::*;
    use crate::dist::Unit;

    fn source(file: &str, column: Option<&str>, unit: Unit) -> Source {
        Source { file: file.to_owned(), column: column.map(str::to_owned), unit }
    }

    fn of_csv(text: &str, column: Option<&str>) -> Result<Vec<u64>, Fault> {
        let table = read(source("a.csv", column, Unit::Ms), text.as_bytes())?;
        Ok(table.numbers().collect())
    }

    #[test]
    fn a_column_of_a_table_is_read_in_its_unit() {
        let text = "name,took\n\"a, b\",2.5\nc, 0.0014 \nd,1e3\n";
        assert_eq!(of_csv(text, Some("took")), Ok(vec![1, 2_500, 1_000_000]));
        assert_eq!(of_csv("took\r\n1\r\n", None), Ok(vec![1_000]));
    }

    #[test]
    fn what_is_wrong_with_a_table_is_named_with_its_line() {
        let file = |text: &str| Err(Fault::File(text.to_owned()));
        for (text, name, expected) in [
            ("a,b\n1,2\n", None, file("`column` is needed: `a.csv` has the columns `a`, `b`")),
            ("seconds\n1\n", Some("second"), Err(Fault::Unknown("column", vec!["seconds".to_owned()]))),
            ("a\n1\n2x\n", None, file("line 3 of `a.csv`: \"2x\" in column `a` is not a number from 0")),
            ("a\n-1\n", None, file("line 2 of `a.csv`: \"-1\" in column `a` is not a number from 0")),
            ("a\nNaN\n", None, file("line 2 of `a.csv`: \"NaN\" in column `a` is not a number from 0")),
            ("a\n", None, file("there is no delay in `a.csv`")),
        ] {
            assert_eq!(of_csv(text, name), expected, "{text:?}");
        }
        for text in ["a,b\n1\n".as_bytes(), b"a\n\xff\n"] {
            let error = read(source("a.csv", Some("a"), Unit::S), text).unwrap_err();
            assert!(matches!(&error, Fault::File(why) if why.contains("not a CSV table")), "{error:?}");
        }
    }

    /// A log of two untagged histograms and one with the tag `boot`, in µs.
    fn written_log() -> (Vec<u8>, Histogram<u64>) {
        let mut all = Histogram::new(3).unwrap();
        let mut bytes = Vec::new();
        let mut serializer = V2DeflateSerializer::new();
        let builder = IntervalLogWriterBuilder::new();
        let mut writer = builder.begin_log_with(&mut bytes, &mut serializer).unwrap();
        for interval in 0..2u64 {
            let mut one: Histogram<u64> = Histogram::new(3).unwrap();
            for n in 0..1_000 {
                one.record(50 + n * n * (interval + 1) / 10).unwrap();
            }
            all.add(&one).unwrap();
            let second = Duration::from_secs(interval);
            writer.write_histogram(&one, second, Duration::from_secs(1), None).unwrap();
        }
        let mut boot: Histogram<u64> = Histogram::new(3).unwrap();
        boot.record(7).unwrap();
        let tag = Tag::new("boot");
        writer.write_histogram(&boot, Duration::from_secs(2), Duration::from_secs(1), tag).unwrap();
        drop(writer);
        (bytes, all)
    }

    #[test]
    fn a_histogram_log_has_the_quantiles_of_its_histograms() {
        let (bytes, all) = written_log();
        let table = read(source("a.hlog", None, Unit::Us), &bytes).unwrap();
        for share in [0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0] {
            // The class is the same; within it the histogram gives its end, and the table interpolates.
            let (drawn, stated) = (table.quantile_us(share), all.value_at_quantile(share));
            assert!(all.equivalent(drawn, stated), "{share}: {drawn} is not in the class of {stated}");
        }
        assert_eq!(table.max_us(), all.max());
        let boot = read(source("a.HLOG", Some("boot"), Unit::Ms), &bytes).unwrap();
        assert_eq!((boot.quantile_us(0.5), boot.max_us()), (7_000, 7_000));
    }

    #[test]
    fn what_is_wrong_with_a_log_is_said() {
        let (bytes, _) = written_log();
        let error =
            |column: Option<&str>, bytes: &[u8]| read(source("a.hlog", column, Unit::Us), bytes).unwrap_err();
        assert_eq!(error(Some("bot"), &bytes), Fault::Unknown("tag", vec!["boot".to_owned()]));
        assert_eq!(error(Some("bot"), b"#nothing\n"), Fault::Untagged);
        assert_eq!(error(None, b""), Fault::File("there is no histogram in `a.hlog`".to_owned()));
        for bytes in [b"what is this?".as_slice(), b"0.0,1.0,1.0,HISTFAAAAA\n"] {
            let error = error(None, bytes);
            assert!(matches!(&error, Fault::File(why) if why.contains("is not a log")), "{error:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(text in "\\PC{0,80}", number in 0usize..2) {
            let _ = read(source(["a.csv", "a.hlog"][number], None, Unit::S), text.as_bytes());
        }
    }
}
