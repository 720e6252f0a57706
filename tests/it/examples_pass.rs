//! The example scenarios do what they say: each runs in virtual time and passes, whatever the seed, with
//! nothing unexplained. Those that last hours are shortened.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use fleetsim::exit::Exit;
use fleetsim::report;
use fleetsim::scenario::{self, Variables};
use fleetsim::stats::{Class, Part};

use crate::chaos;

/// The name, and what is replaced for the test.
const EXAMPLES: &[(&str, &[(&str, &str)])] = &[
    ("quickstart", &[]),
    ("reconnect-storm", &[]),
    ("slow-radio", &[]),
    ("flaky-firmware", &[]),
    ("burst", &[("count: 5000", "count: 1000")]),
    ("outage", &[]),
    (
        "soak",
        &[
            ("duration: 2h", "duration: 6m"),
            ("at: 30m", "at: 1m"),
            ("at: 1h", "at: 2m"),
            ("at: 90m", "at: 5m"),
        ],
    ),
];

#[test]
fn every_example_passes_in_virtual_time_with_nothing_unexplained() {
    for (name, replaced) in EXAMPLES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("scenarios/{name}.yaml"));
        let mut text = fs::read_to_string(&path).unwrap();
        for (from, to) in *replaced {
            assert!(text.contains(from), "{name} no longer says {from}");
            text = text.replace(from, to);
        }
        let scenario = match scenario::parse(&format!("{name}.yaml"), &text, &Variables::default()) {
            Ok(scenario) => Arc::new(scenario),
            Err(problems) => panic!("{}", problems.render(false)),
        };
        for seed in 1..=5 {
            let outcome = chaos::run_virtually(&scenario, seed);
            let shown = report::console(&outcome.report, report::Style::Plain, 120);
            assert_eq!(outcome.report.exit, Exit::Ok, "seed {seed}\n{shown}");
            let totals = &outcome.report.snapshot.totals;
            let mut counts = totals.sum(Part::Measured, None, None);
            counts.add(&totals.sum(Part::WarmUp, None, None));
            assert_eq!(
                (counts.unexplained(), counts.class(Class::Unfinished)),
                (0, 0),
                "seed {seed}\n{shown}"
            );
            assert_eq!(outcome.panics, 0, "seed {seed}\n{shown}");
        }
    }
}

/// A reader who opens one sees what it asks and how to run it.
#[test]
fn every_example_opens_with_its_question_and_a_command_line() {
    for (name, _) in EXAMPLES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("scenarios/{name}.yaml"));
        let text = fs::read_to_string(&path).unwrap();
        let head: Vec<&str> = text.lines().take_while(|line| line.starts_with('#')).collect();
        assert!(head[0].contains("yaml-language-server"), "{name}");
        assert!(head.iter().any(|line| line.contains('?')), "{name}: no question");
        let command = format!("fleetsim run scenarios/{name}.yaml");
        assert!(head.iter().any(|line| line.contains(&command)), "{name}: no command line");
    }
}
