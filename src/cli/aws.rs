//! What stands between a command line and a run against AWS: the estimate, and the consent to it.

use std::path::Path;
use std::sync::Arc;

use crate::exit::Exit;
use crate::plan::Plan;
use crate::run::{AwsError, agree_to_aws, within_aws_bounds};
use crate::scenario::{Scenario, Target};
use crate::seed::Seed;

use super::console::Console;

/// What a run against AWS is expected to need; `None` for other targets.
pub(super) fn estimate(scenario: &Scenario) -> Option<String> {
    let Target::Aws(aws) = &scenario.target else { return None };
    let allowed = crate::units::human_count(aws.max_messages);
    Some(format!("AWS, for each run: {}; `max_messages` allows {allowed} in all", plan(scenario).messages()))
}

/// Why a plan needs more than its scenario allows, if it does.
pub(super) fn over_bounds(scenario: &Scenario) -> Option<String> {
    let Target::Aws(_) = &scenario.target else { return None };
    within_aws_bounds(&plan(scenario), scenario.repeat).err().map(|error| error.to_string())
}

/// Says what a run needs, and whether so many of them may begin.
pub(super) fn agree(
    path: &Path,
    scenario: &Scenario,
    times: u32,
    yes: bool,
    console: Console,
) -> Result<(), Exit> {
    let Some(estimate) = estimate(scenario) else { return Ok(()) };
    console.err(&format!("{}: {estimate}", path.display()));
    agree_to_aws(&plan(scenario), times, yes).map_err(|error| {
        console.err(&format!("error: {}: {error}", path.display()));
        if error == AwsError::NoConsent {
            let arguments = std::env::args().skip(1).collect::<Vec<String>>();
            console.err(&format!("To agree to this estimate: {}", command_with_consent(&arguments)));
        }
        error.exit()
    })
}

/// Counts depend on no draw.
fn plan(scenario: &Scenario) -> Plan {
    Plan::new(Arc::new(scenario.clone()), Seed(scenario.seed.unwrap_or(0)))
}

/// The command as it was given, with consent. Values of variables and of `--set` may be secrets and are left out.
fn command_with_consent(arguments: &[String]) -> String {
    let mut words = vec!["fleetsim".to_owned()];
    let mut before = "";
    for argument in arguments {
        let gives_value = |text: &str| {
            let (name, rest) = text.split_once('=')?;
            (!rest.is_empty()).then(|| format!("{name}=…"))
        };
        let attached =
            ["--env=", "--set="].iter().find_map(|flag| Some((*flag, argument.strip_prefix(*flag)?)));
        let hidden = match (before, attached) {
            ("-e" | "--env" | "--set", _) => gives_value(argument),
            (_, Some((flag, value))) => gives_value(value).map(|shown| format!("{flag}{shown}")),
            _ => argument
                .strip_prefix("-e")
                .filter(|_| !argument.starts_with("--"))
                .and_then(|value| gives_value(value).map(|shown| format!("-e{shown}"))),
        };
        words.push(quoted(hidden.as_deref().unwrap_or(argument)));
        before = argument;
    }
    words.push("--yes-aws".to_owned());
    words.join(" ")
}

/// As a shell takes it for one word.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_=./:,@%+…".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arguments: &[&str], expected: &str) {
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        assert_eq!(command_with_consent(&arguments), expected);
    }

    #[test]
    fn the_command_is_repeated_with_consent_and_without_secrets() {
        check(&["run", "a b.yaml", "--seed", "7"], "fleetsim run 'a b.yaml' --seed 7 --yes-aws");
        check(
            &["run", "x.yaml", "-e", "KEY=s3cret", "--set=a.b=s3cret", "-eK=s3cret", "-e", "KEY"],
            "fleetsim run x.yaml -e KEY=… --set=a.b=… -eK=… -e KEY --yes-aws",
        );
        check(&["run", "x.yaml", "--set", "name=it's"], "fleetsim run x.yaml --set name=… --yes-aws");
        check(&["run", "it's.yaml"], r"fleetsim run 'it'\''s.yaml' --yes-aws");
    }
}
