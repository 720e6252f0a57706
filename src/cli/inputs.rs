//! What a scenario is made of besides its file: `--set`, `--scale`, `--duration` and variables.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use crate::exit::Exit;
use crate::plan::Plan;
use crate::scenario::{self, Change, LoadError, Overrides, Scenario, Variables};
use crate::seed::Seed;

use super::console::Console;

/// Variables that scenarios may name without being given them: where things are, and what continuous
/// integration says about itself. Nothing secret is here: the resolved scenario is written to disk.
const FROM_THE_ENVIRONMENT: &[&str] = &[
    "MQTT_URL",
    "BACKEND_URL",
    "DATA_URL",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "CI",
    "GITHUB_REF_NAME",
    "GITHUB_RUN_ID",
    "GITHUB_SHA",
];

/// Changes to scenarios, and their variables.
#[derive(Debug, Args)]
pub(super) struct Inputs {
    /// Change a value: its path as messages show it, and the value as YAML, e.g.
    /// groups.sensors.count=500 or 'thresholds=[{expect: p99(latency) < 2s}]'. Can be given several
    /// times.
    #[arg(
        long = "set",
        value_name = "PATH=VALUE",
        help_heading = "Scenario",
        env = "FLEETSIM_SET",
        hide_env_values = true // a value may be a secret, and the help shows those of the environment
    )]
    sets: Vec<String>,
    /// What flags of a command set.
    #[arg(skip)]
    changes: Vec<Change>,
    /// Multiply counts and rates of devices and load, e.g. 0.1 or 10%; thresholds stay as they are.
    #[arg(long, value_name = "FACTOR", value_parser = factor, allow_negative_numbers = true, help_heading = "Scenario", env = "FLEETSIM_SCALE")]
    scale: Option<f64>,
    /// How long the stages of each load last together: each is stretched or shortened in proportion.
    #[arg(long, value_name = "DURATION", value_parser = load_duration, help_heading = "Scenario", env = "FLEETSIM_DURATION")]
    duration: Option<Duration>,
    /// A variable that the scenario names as ${KEY}; KEY alone takes it from the environment. Can be given
    /// several times.
    #[arg(
        short = 'e',
        long = "env",
        value_name = "KEY=VALUE",
        help_heading = "Scenario",
        env = "FLEETSIM_ENV",
        hide_env_values = true // as above
    )]
    variables: Vec<String>,
    /// A file of variables, KEY=VALUE on each line; -e goes before it.
    #[arg(long = "env-file", value_name = "FILE", help_heading = "Scenario", env = "FLEETSIM_ENV_FILE")]
    env_files: Vec<PathBuf>,
}

impl Inputs {
    /// More changes, made after those of the flags.
    pub fn add(&mut self, changes: Vec<Change>) {
        self.changes.extend(changes);
    }
}

/// Reads scenarios as the flags want them.
pub(super) struct Loader {
    variables: Variables,
    overrides: Overrides,
    /// Names of the variables that were given by -e.
    given: Vec<String>,
}

impl Loader {
    /// Says what is wrong with the flags, if anything is.
    pub fn new(inputs: &Inputs, console: Console) -> Result<Self, Exit> {
        let overrides = Overrides {
            sets: inputs.sets.clone(),
            changes: inputs.changes.clone(),
            scale: inputs.scale,
            duration: inputs.duration,
        };
        match variables(inputs, |name| std::env::var(name).ok()) {
            Ok(variables) => {
                let name = |given: &String| given.split('=').next().unwrap_or_default().to_owned();
                Ok(Self { variables, overrides, given: inputs.variables.iter().map(name).collect() })
            }
            Err((exit, message)) => {
                console.err(&format!("error: {message}"));
                Err(exit)
            }
        }
    }

    /// The variables given by -e that none of these scenarios names, a sentence for each. A file that cannot be
    /// read says so elsewhere.
    pub fn unnamed(&self, scenarios: &[PathBuf]) -> Vec<String> {
        let texts = scenarios.iter().filter_map(|path| std::fs::read_to_string(path).ok());
        let texts: Vec<String> = texts.chain(self.overrides.sets.iter().cloned()).collect();
        let named: Vec<String> = texts.iter().flat_map(|text| scenario::variables_in(text)).collect();
        let unnamed = self.given.iter().filter(|given| !named.contains(given));
        unnamed
            .map(|name| {
                let known: BTreeSet<String> = named.iter().map(|name| format!("${{{name}}}")).collect();
                let known: Vec<String> = known.into_iter().collect();
                let has = match known.as_slice() {
                    [] => "no variable is named at all".to_owned(),
                    known => format!("named are {}", known.join(", ")),
                };
                format!("-e {name}: no scenario names ${{{name}}}, so it changes nothing; {has}")
            })
            .collect()
    }

    /// The scenario of that file, changed and checked.
    pub fn load(&self, path: &Path) -> Result<Scenario, LoadError> {
        scenario::load_with(path, &self.variables, &self.overrides)
    }

    /// The same, with everything that is to be said about it said.
    pub fn load_and_tell(&self, path: &Path, console: Console) -> Result<Scenario, Exit> {
        let scenario = self.load(path).map_err(|error| {
            match &error {
                LoadError::Problems(problems) => console.err(&problems.render(console.colors_err())),
                other => console.err(&format!("error: {other}")),
            }
            exit_of(&error)
        })?;
        for doubt in doubts(&scenario) {
            console.err(&format!("warning: {}: {doubt}", path.display()));
        }
        Ok(scenario)
    }
}

/// What the scenario says and probably should not.
pub(super) fn doubts(scenario: &Scenario) -> Vec<String> {
    let mut doubts = scenario::warnings(scenario);
    let seed = scenario.seed.unwrap_or(0);
    doubts.extend(Plan::new(Arc::new(scenario.clone()), Seed(seed)).doubts());
    doubts
}

/// How a scenario that cannot be read ends the program.
pub(super) fn exit_of(error: &LoadError) -> Exit {
    match error {
        LoadError::Problems(problems) if !problems.are_missing_files() => Exit::Data,
        _ => Exit::NoInput,
    }
}

/// The variables of allow-list, files and flags; later ones hold.
fn variables(
    inputs: &Inputs,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Variables, (Exit, String)> {
    let allowed = FROM_THE_ENVIRONMENT.iter();
    let mut all: Vec<(String, String)> =
        allowed.filter_map(|name| Some(((*name).to_owned(), environment(name)?))).collect();
    for path in &inputs.env_files {
        let text = std::fs::read_to_string(path)
            .map_err(|error| (Exit::NoInput, format!("cannot read {}: {error}", path.display())))?;
        for (number, line) in text.lines().enumerate() {
            let pair = from_line(line)
                .map_err(|message| (Exit::Data, format!("{}:{}: {message}", path.display(), number + 1)))?;
            all.extend(pair);
        }
    }
    for given in &inputs.variables {
        let (name, value) = match given.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None => (
                given.as_str(),
                environment(given).ok_or_else(|| {
                    (
                        Exit::Usage,
                        format!("-e {given}: the environment has no such variable; write -e {given}=VALUE"),
                    )
                })?,
            ),
        };
        if !is_name(name) {
            return Err((
                Exit::Usage,
                format!("-e {given}: \"{name}\" is no name of a variable; write -e KEY=VALUE"),
            ));
        }
        all.push((name.to_owned(), value));
    }
    Ok(all.into_iter().collect())
}

/// The variable on a line of a file; none on an empty line or a comment.
fn from_line(line: &str) -> Result<Option<(String, String)>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=').ok_or("a variable is written KEY=VALUE")?;
    let (name, value) = (name.trim(), value.trim());
    if !is_name(name) {
        return Err(format!("\"{name}\" is no name of a variable; one is written KEY=VALUE"));
    }
    let unquoted = ['"', '\''].iter().find_map(|quote| {
        let inner = value.strip_prefix(*quote)?.strip_suffix(*quote)?;
        Some(inner)
    });
    Ok(Some((name.to_owned(), unquoted.unwrap_or(value).to_owned())))
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn factor(text: &str) -> Result<f64, String> {
    let number = match text.strip_suffix('%') {
        Some(percent) => percent.parse::<f64>().map(|percent| percent / 100.0),
        None => text.parse::<f64>(),
    };
    match number {
        Ok(factor) if factor > 0.0 && factor <= 10_000.0 => Ok(factor),
        _ => Err("a factor is a number above 0 and up to 10000, or a share, e.g. 0.1 or 10%".to_owned()),
    }
}

fn load_duration(text: &str) -> Result<Duration, String> {
    let duration = super::duration(text)?;
    if duration.is_zero() { Err("a load that lasts 0s starts nothing".to_owned()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(variables: &[&str], files: Vec<PathBuf>) -> Inputs {
        let variables = variables.iter().map(|text| (*text).to_owned()).collect();
        Inputs {
            sets: Vec::new(),
            changes: Vec::new(),
            scale: None,
            duration: None,
            variables,
            env_files: files,
        }
    }

    fn environment(name: &str) -> Option<String> {
        [("MQTT_URL", "mqtt://broker:1883"), ("SECRET", "s3cret"), ("N", "from outside")]
            .into_iter()
            .find(|(own, _)| *own == name)
            .map(|(_, value)| value.to_owned())
    }

    fn expected(pairs: &[(&str, &str)]) -> Variables {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn only_variables_that_were_asked_for_are_known() {
        let known = variables(&inputs(&[], Vec::new()), environment).unwrap();
        assert_eq!(known, expected(&[("MQTT_URL", "mqtt://broker:1883")]));
        let known = variables(&inputs(&["N=1", "SECRET"], Vec::new()), environment).unwrap();
        assert_eq!(known, expected(&[("MQTT_URL", "mqtt://broker:1883"), ("N", "1"), ("SECRET", "s3cret")]));
    }

    #[test]
    fn flags_go_before_files_and_files_before_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vars.env");
        std::fs::write(&path, "# where\nMQTT_URL=mqtt://file:1\n\nexport N = \"2\"\nM='a b'\nEMPTY=\n")
            .unwrap();
        let known = variables(&inputs(&["N=3"], vec![path]), environment).unwrap();
        let all = [("MQTT_URL", "mqtt://file:1"), ("N", "3"), ("M", "a b"), ("EMPTY", "")];
        assert_eq!(known, expected(&all));
    }

    #[test]
    fn a_wrong_variable_is_named_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vars.env");
        std::fs::write(&path, "A=1\nwhat is this\n").unwrap();
        let error = variables(&inputs(&[], vec![path.clone()]), environment).unwrap_err();
        assert_eq!(error, (Exit::Data, format!("{}:2: a variable is written KEY=VALUE", path.display())));
        for (given, message) in [
            ("X", "-e X: the environment has no such variable; write -e X=VALUE"),
            ("1X=2", "-e 1X=2: \"1X\" is no name of a variable; write -e KEY=VALUE"),
        ] {
            let error = variables(&inputs(&[given], Vec::new()), environment).unwrap_err();
            assert_eq!(error, (Exit::Usage, message.to_owned()));
        }
        let missing = folder.path().join("none.env");
        assert_eq!(variables(&inputs(&[], vec![missing]), environment).unwrap_err().0, Exit::NoInput);
    }

    #[test]
    fn a_factor_is_a_number_or_a_share() {
        assert_eq!((factor("0.1"), factor("10%"), factor("3")), (Ok(0.1), Ok(0.1), Ok(3.0)));
        for text in ["", "0", "-1", "nan", "inf", "1e9", "ten", "10 %x"] {
            assert!(factor(text).is_err(), "{text}");
        }
    }
}
