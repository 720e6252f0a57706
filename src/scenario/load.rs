//! Reads scenario files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::document::{Content, Document, Spot};
use super::files::{Files, Folder};
use super::overrides::{self, Overrides};
use super::problems::{Collector, Problem, Problems};
use super::variables::Variables;
use super::{Scenario, check, decode, spelling};

/// Scenarios are written by hand; a larger file is something else.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Why a scenario file gives no scenario.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is no such file.
    #[error("scenario file {} does not exist", path.display())]
    Missing {
        /// As the user named it.
        path: PathBuf,
    },
    /// It is there and cannot be read.
    #[error("cannot read scenario file {}: {source}", path.display())]
    Unreadable {
        /// As the user named it.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It has mistakes.
    #[error(transparent)]
    Problems(#[from] Problems),
}

/// Reads and checks the scenario file at `path`, with the files that it names.
pub fn load(path: &Path, variables: &Variables) -> Result<Scenario, LoadError> {
    load_with(path, variables, &Overrides::default())
}

/// Reads the scenario file at `path`, changes it and checks the outcome.
pub fn load_with(path: &Path, variables: &Variables, overrides: &Overrides) -> Result<Scenario, LoadError> {
    let bytes = read(path)?;
    let name = path.display().to_string();
    let text = String::from_utf8(bytes).map_err(|error| not_text(&name, &error))?;
    Ok(parse_in(&name, &text, variables, overrides, &Folder::of(path))?)
}

/// Checks the text of a scenario that names no file; `file_name` is for messages. Pure.
pub fn parse(file_name: &str, text: &str, variables: &Variables) -> Result<Scenario, Problems> {
    parse_with(file_name, text, variables, &Overrides::default())
}

/// Changes the text of a scenario that names no file and checks the outcome. Pure.
pub fn parse_with(
    file_name: &str,
    text: &str,
    variables: &Variables,
    overrides: &Overrides,
) -> Result<Scenario, Problems> {
    parse_in(file_name, text, variables, overrides, &BTreeMap::<String, Vec<u8>>::new())
}

/// Changes the text of a scenario and checks the outcome; the files that it names come from `files`.
pub fn parse_in(
    file_name: &str,
    text: &str,
    variables: &Variables,
    overrides: &Overrides,
    files: &dyn Files,
) -> Result<Scenario, Problems> {
    let source = overrides::source(text, overrides);
    let (document, mut problems) = Document::read(&source, variables);
    let Some(mut document) = document else { return Err(Problems::new(file_name, problems)) };
    problems.extend(overrides::apply(&mut document, overrides, variables));
    let collector = Collector::new(&document, problems, files);
    let scenario = scenario(&collector);
    let mut problems = collector.into_problems();
    if let (Some(scenario), true) = (scenario, problems.is_empty()) {
        return Ok(scenario);
    }
    blame_flags(&mut problems, overrides, |other| parse_in(file_name, text, variables, other, files));
    Err(Problems::new(file_name, problems))
}

/// Names the flag that has brought a problem about in the file: one that is not there without it.
fn blame_flags(
    problems: &mut [Problem],
    overrides: &Overrides,
    parse: impl Fn(&Overrides) -> Result<Scenario, Problems>,
) {
    let without_scale = overrides.scale.map(|factor| {
        let hint = format!("`--scale {factor}` has multiplied counts and rates, here too");
        (Overrides { scale: None, ..overrides.clone() }, hint)
    });
    let without_duration = overrides.duration.map(|duration| {
        let hint = format!("`--duration {}` has changed how long stages last", spelling::duration(duration));
        (Overrides { duration: None, ..overrides.clone() }, hint)
    });
    for (without, hint) in without_scale.into_iter().chain(without_duration) {
        let others = parse(&without).err().map(|others| others.problems).unwrap_or_default();
        let is_there = |problem: &Problem| {
            others.iter().any(|other| (&other.path, &other.message) == (&problem.path, &problem.message))
        };
        for problem in problems.iter_mut().filter(|problem| !problem.in_flag && !is_there(problem)) {
            problem.add_hint(&hint);
        }
    }
}

fn scenario(collector: &Collector<'_>) -> Option<Scenario> {
    let root = Document::ROOT;
    if let Content::Null = collector.document().content(root) {
        let message =
            "the file is empty; a scenario has at least `version`, `name`, `groups` and `workloads`";
        collector.report(Spot::Value(root), message);
        return None;
    }
    if check::newer_version(collector) {
        return None;
    }
    check::check(&decode::decode(collector), collector)
}

fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let unreadable = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => LoadError::Missing { path: path.to_owned() },
        _ => LoadError::Unreadable { path: path.to_owned(), source },
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let source = io::Error::other(format!("it is larger than {MAX_FILE_BYTES} bytes"));
        return Err(LoadError::Unreadable { path: path.to_owned(), source });
    }
    Ok(bytes)
}

fn not_text(file_name: &str, error: &std::string::FromUtf8Error) -> Problems {
    let text = String::from_utf8_lossy(error.as_bytes());
    let at = error.utf8_error().valid_up_to();
    let message = "this byte is not UTF-8, the encoding of scenario files".to_owned();
    Problems::new(file_name, vec![Problem::new(&text, at..at + 1, String::new(), message, None)])
}
