//! The files that a run leaves behind, and those that `report` makes again.
//!
//! All are made of the result's tree. They are found unwritable before a run, and each is written whatever becomes
//! of the others: a bug in one picture takes no figures with it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Component, Path, PathBuf};

use clap::Args;

use crate::exit::Exit;
use crate::report::{self, Against, OutputError, RunResult};
use crate::scenario::{Files as _, Folder};

use super::console::Console;

/// Most bytes of a file that a scenario names, as when it is checked.
const MOST_NAMED: u64 = 64 * 1024 * 1024;

/// Where outputs go.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct OutputArguments {
    /// Write every output into this folder, which is made if it is not there: result.json, report.html, summary.md,
    /// junit.xml, latency.hlog, metrics.prom and scenario.resolved.yaml.
    #[arg(long, value_name = "FOLDER", help_heading = "Outputs", env = "FLEETSIM_OUT_DIR")]
    out_dir: Option<PathBuf>,
    /// Write the result as JSON; `-`, here and below, writes it to standard output and the summary to
    /// standard error.
    #[arg(long, value_name = "FILE", help_heading = "Outputs", env = "FLEETSIM_JSON")]
    json: Option<PathBuf>,
    /// Write the report as one HTML page with pictures; it needs nothing else, offline or in ten years.
    #[arg(long, value_name = "FILE", help_heading = "Outputs", env = "FLEETSIM_HTML")]
    html: Option<PathBuf>,
    /// Write the summary as Markdown. In GitHub Actions it is in the job's summary without being asked for.
    #[arg(long, value_name = "FILE", help_heading = "Outputs", env = "FLEETSIM_MD")]
    md: Option<PathBuf>,
    /// Write the thresholds as JUnit test cases.
    #[arg(long, value_name = "FILE", help_heading = "Outputs", env = "FLEETSIM_JUNIT")]
    junit: Option<PathBuf>,
    /// Write the latencies as an HdrHistogram interval log, one tag for each workload/group.
    #[arg(long, value_name = "FILE", help_heading = "Outputs", env = "FLEETSIM_HDR")]
    hdr: Option<PathBuf>,
    /// Write the metrics as Prometheus text, for the textfile collector of the node exporter.
    #[arg(long, value_name = "FILE", help_heading = "Outputs", env = "FLEETSIM_PROM")]
    prom: Option<PathBuf>,
}

/// An output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Output {
    Json,
    Html,
    Markdown,
    Junit,
    Hdr,
    Prometheus,
    Resolved,
}

impl Output {
    /// In the order in which they are written: what all others can be made of comes first.
    const ALL: [Output; 7] = [
        Output::Json,
        Output::Html,
        Output::Markdown,
        Output::Junit,
        Output::Hdr,
        Output::Prometheus,
        Output::Resolved,
    ];

    /// Its name in the folder of all.
    const fn file_name(self) -> &'static str {
        match self {
            Output::Json => "result.json",
            Output::Html => "report.html",
            Output::Markdown => "summary.md",
            Output::Junit => "junit.xml",
            Output::Hdr => "latency.hlog",
            Output::Prometheus => "metrics.prom",
            Output::Resolved => "scenario.resolved.yaml",
        }
    }

    fn text(self, result: &RunResult) -> String {
        match self {
            Output::Json => report::result_text(result),
            Output::Html => report::html(result),
            Output::Markdown => report::markdown(result),
            Output::Junit => report::junit(result),
            Output::Hdr => report::latency_log(result),
            Output::Prometheus => report::Metrics::of_result(result).text(),
            Output::Resolved => report::resolved_scenario(result),
        }
    }
}

/// What has become of the outputs.
#[derive(Debug)]
pub(super) struct Written {
    /// `Ok`, or what went wrong.
    pub exit: Exit,
    /// The files that are there now.
    pub paths: Vec<PathBuf>,
}

impl OutputArguments {
    /// Whether any is asked for.
    pub fn any(&self) -> bool {
        self.out_dir.is_some() || Output::ALL.into_iter().any(|output| self.single(output).is_some())
    }

    /// Where all of them go, if one folder was named.
    pub fn folder(&self) -> Option<&Path> {
        self.out_dir.as_deref()
    }

    /// Whether one of them goes to standard output, so that nothing else does.
    pub fn to_stdout(&self) -> bool {
        self.stdout().is_some()
    }

    /// Makes the folder and finds what cannot be written, each mistake in a line. `names` are the names of
    /// the files of every run, given that of the first.
    pub fn check(&self, names: &[&dyn Fn(&Path) -> PathBuf], console: Console) -> Exit {
        let to_stdout = Output::ALL.into_iter().filter(|output| self.goes_to_stdout(*output)).count();
        if to_stdout > 1 {
            console.err("error: only one output can go to standard output (`-`)");
            return Exit::Usage;
        }
        if let Some(path) = self.written_twice(names) {
            console.err(&format!(
                "error: {} would be written twice, and the first result lost: give scenarios names that differ \
                 (`name`), and outputs files of their own",
                path.display()
            ));
            return Exit::Usage;
        }
        let mut exit = Exit::Ok;
        let mut refuse = |error: &OutputError| {
            console.err(&format!("error: {error}"));
            exit = exit.or(Exit::CantCreate);
        };
        if let Some(folder) = &self.out_dir
            && let Err(error) = report::create_folder(folder)
        {
            refuse(&error);
            return exit;
        }
        for name in names {
            for (_, path) in self.files() {
                if let Err(error) = report::check_writable(&name(&path)) {
                    refuse(&error);
                }
            }
        }
        exit
    }

    /// A file that two runs, or two outputs, would both write.
    fn written_twice(&self, names: &[&dyn Fn(&Path) -> PathBuf]) -> Option<PathBuf> {
        let mut taken = BTreeMap::new();
        for (run, name) in names.iter().enumerate() {
            for (output, path) in self.files() {
                // `./a` is `a`. A device or a pipe takes whatever comes.
                let path: PathBuf =
                    name(&path).components().filter(|part| *part != Component::CurDir).collect();
                let keeps = !path.exists() || path.is_file();
                let first = *taken.entry(path.clone()).or_insert((run, output));
                if keeps && first != (run, output) {
                    return Some(path);
                }
            }
        }
        None
    }

    /// Writes all of them. `name` makes the file's name of the given one; `scenario` is where the scenario
    /// file lies, if it is known.
    pub fn write(
        &self,
        result: &RunResult,
        name: impl Fn(&Path) -> PathBuf,
        scenario: Option<&Path>,
        console: Console,
    ) -> Written {
        let mut written = Written { exit: Exit::Ok, paths: Vec::new() };
        for (output, path) in self.files() {
            let path = name(&path);
            let Some(text) = made(output.file_name(), console, || output.text(result)) else {
                written.exit = written.exit.or(Exit::Software);
                continue;
            };
            match report::write_result(&path, &text) {
                Ok(()) => written.paths.push(path),
                Err(error) => {
                    console.err(&format!("error: {error}"));
                    written.exit = written.exit.or(Exit::CantCreate);
                }
            }
        }
        if let (Some(folder), Some(scenario)) = (&self.out_dir, scenario) {
            bring_along(&result.scenario.resolved, scenario, folder, console);
        }
        if let Some(output) = self.stdout() {
            match made(output.file_name(), console, || output.text(result)) {
                Some(text) => console.out(&format!("{}\n", text.trim_end())),
                None => written.exit = written.exit.or(Exit::Software),
            }
        }
        written
    }

    /// Writes those again that say how the run stands to its baseline: pages of CI systems show nothing else of it.
    /// What has gone to standard output is gone.
    pub fn write_against(
        &self,
        result: &RunResult,
        against: &Against,
        name: impl Fn(&Path) -> PathBuf,
        console: Console,
    ) -> Exit {
        let mut exit = Exit::Ok;
        for (output, path) in self.files() {
            let text: fn(&RunResult, &Against) -> String = match output {
                Output::Markdown => report::markdown_against,
                Output::Junit => report::junit_against,
                _ => continue,
            };
            let Some(text) = made(output.file_name(), console, || text(result, against)) else {
                exit = exit.or(Exit::Software);
                continue;
            };
            if let Err(error) = report::write_result(&name(&path), &text) {
                console.err(&format!("error: {error}"));
                exit = exit.or(Exit::CantCreate);
            }
        }
        exit
    }

    /// The files that are asked for, under the name of a single run.
    fn files(&self) -> Vec<(Output, PathBuf)> {
        let mut files = Vec::new();
        for output in Output::ALL {
            files.extend(self.out_dir.as_ref().map(|folder| (output, folder.join(output.file_name()))));
            let single = self.single(output).filter(|_| !self.goes_to_stdout(output));
            files.extend(single.map(|path| (output, path.to_owned())));
        }
        files
    }

    fn stdout(&self) -> Option<Output> {
        Output::ALL.into_iter().find(|output| self.goes_to_stdout(*output))
    }

    fn goes_to_stdout(&self, output: Output) -> bool {
        self.single(output) == Some(Path::new("-"))
    }

    fn single(&self, output: Output) -> Option<&Path> {
        match output {
            Output::Json => self.json.as_deref(),
            Output::Html => self.html.as_deref(),
            Output::Markdown => self.md.as_deref(),
            Output::Junit => self.junit.as_deref(),
            Output::Hdr => self.hdr.as_deref(),
            Output::Prometheus => self.prom.as_deref(),
            Output::Resolved => None,
        }
    }
}

/// What is made of a run; nothing, and a word on it, if a bug of ours keeps it from being made.
pub(super) fn made<T>(what: &str, console: Console, make: impl FnOnce() -> T) -> Option<T> {
    let done = catch_unwind(AssertUnwindSafe(make));
    if done.is_err() {
        console.err(&format!("error: {what} could not be made: this is a bug of fleetsim, see above"));
    }
    done.ok()
}

/// Copies the files that a scenario names beside the resolved one, so that it can be checked and run from there.
/// Those that lie elsewhere stay where they are: nothing is written outside the folder, nor over a file that
/// may be somebody's. Each that is not there is told.
fn bring_along(resolved: &serde_json::Value, scenario: &Path, folder: &Path, console: Console) {
    let files = Folder::of(scenario);
    for name in report::named_files(resolved) {
        let is_below = Path::new(&name).components().all(|part| matches!(part, Component::Normal(_)));
        let there = folder.join(&name);
        let copied = if is_below {
            let read = files.read(&name, MOST_NAMED).map_err(|_| "it cannot be read any more".to_owned());
            read.and_then(|bytes| copy(&bytes, &there))
        } else {
            Err("it lies outside the scenario's folder".to_owned())
        };
        if let Err(reason) = copied {
            console.err(&format!("warning: {name} is not beside scenario.resolved.yaml: {reason}"));
        }
    }
}

/// Puts a file where none is; one that is there already has to be the same.
fn copy(bytes: &[u8], there: &Path) -> Result<(), String> {
    match std::fs::read(there) {
        Ok(found) if found == bytes => return Ok(()),
        Ok(_) => return Err("another file has its name there: remove it, or name another folder".to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.to_string()),
    }
    let made = there.parent().map_or(Ok(()), std::fs::create_dir_all);
    made.and_then(|()| std::fs::write(there, bytes)).map_err(|error| error.to_string())
}
