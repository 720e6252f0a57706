//! The scenarios that are shipped run in small on simulated time.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fleetsim::exit::Exit;
use fleetsim::run::{self, Options};
use fleetsim::scenario::{Overrides, Variables, load_with};
use fleetsim::seed::Seed;
use tokio::sync::watch;

fn shipped() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files
}

/// A fiftieth of the devices and of the load, three minutes of it, and the backend inside.
#[test]
fn every_scenario_runs_in_small() {
    for path in shipped() {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let has_stages = text.contains("stages:");
        let mut sets = Vec::new();
        if text.contains("endpoint:") {
            sets.push("target={ embedded: {} }".to_owned());
        }
        let overrides = Overrides {
            sets,
            scale: Some(0.02),
            duration: has_stages.then(|| Duration::from_mins(3)),
            ..Overrides::default()
        };
        let scenario = load_with(&path, &Variables::default(), &overrides).unwrap();
        let options =
            Options { seed: Seed(1), virtual_time: true, signals: false, ..Options::new(Arc::new(scenario)) };
        let report = run::run(options, &watch::channel(None).0);
        // Thresholds are for the whole of it; that it ran and that nothing is unexplained is for any size.
        let ran = matches!(report.exit, Exit::Ok | Exit::Thresholds | Exit::RolloutAborted);
        assert!(ran, "{name}: {} {:?}", report.exit, report.problem);
        assert_eq!(report.snapshot.totals.measured(None, None).unexplained(), 0, "{name}");
    }
}
