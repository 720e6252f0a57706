//! What `fleetsim check --format json|github` says: mistakes and doubts for programs.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::scenario::{LoadError, Problem, Problems};

/// GitHub shows no more annotations of a step.
const MAX_ANNOTATIONS: usize = 10;

/// One mistake or doubt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// The scenario file, as the user named it.
    file: String,
    /// `error`, or `warning` for what can be run and probably should not.
    severity: &'static str,
    /// From 1; `null` for the file as a whole, and for a mistake in a flag.
    line: Option<usize>,
    /// In characters, from 1.
    column: Option<usize>,
    /// Where in the scenario: `groups.sensors.count`; `null` where there is no such place.
    path: Option<String>,
    /// What is wrong.
    message: String,
    /// What to do about it, where the message does not say.
    hint: Option<String>,
}

impl Finding {
    /// What keeps a scenario from being read, one finding a mistake.
    pub fn errors(file: &Path, error: &LoadError) -> Vec<Self> {
        match error {
            LoadError::Problems(Problems { problems, .. }) => {
                problems.iter().map(|problem| Self::error(file, problem)).collect()
            }
            other => vec![Self::whole(file, "error", other.to_string())],
        }
    }

    /// A doubt about a scenario.
    pub fn warning(file: &Path, message: String) -> Self {
        Self::whole(file, "warning", message)
    }

    /// A scenario that needs more than it allows.
    pub fn over_bounds(file: &Path, message: String) -> Self {
        Self { path: Some("target.aws.max_messages".to_owned()), ..Self::whole(file, "error", message) }
    }

    fn error(file: &Path, problem: &Problem) -> Self {
        let place = (!problem.in_flag).then_some((problem.line, problem.column));
        let from = if problem.in_flag { "in a flag: " } else { "" };
        Self {
            file: file.display().to_string(),
            severity: "error",
            line: place.map(|(line, _)| line),
            column: place.map(|(_, column)| column),
            path: Some(problem.path.clone()).filter(|path| !path.is_empty()),
            message: format!("{from}{}", problem.message),
            hint: problem.hint.clone(),
        }
    }

    fn whole(file: &Path, severity: &'static str, message: String) -> Self {
        let file = file.display().to_string();
        Self { file, severity, line: None, column: None, path: None, message, hint: None }
    }
}

/// A JSON list of all findings, empty if there is nothing to say.
pub(super) fn json(findings: &[Finding]) -> String {
    let text = serde_json::to_string_pretty(findings).expect("findings are plain texts and numbers");
    text + "\n"
}

/// Workflow commands that GitHub turns into annotations: errors first, at most ten.
pub(super) fn github(findings: &[Finding]) -> String {
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| finding.severity != "error");
    let room = if sorted.len() > MAX_ANNOTATIONS { MAX_ANNOTATIONS - 1 } else { MAX_ANNOTATIONS };
    let mut text: String = sorted.iter().take(room).map(|finding| annotation(finding)).collect();
    if let Some(first) = sorted.get(room) {
        let rest = sorted.len() - room;
        let severity = first.severity;
        writeln!(text, "::{severity}::and {rest} more; `fleetsim check` shows them all")
            .expect("writing to a String cannot fail");
    }
    text
}

fn annotation(finding: &Finding) -> String {
    let place = match (finding.line, finding.column) {
        (Some(line), Some(column)) => format!(",line={line},col={column}"),
        _ => String::new(),
    };
    let path = finding.path.as_ref().map(|path| format!("  ({path})")).unwrap_or_default();
    let hint = finding.hint.as_ref().map(|hint| format!("\nhelp: {hint}")).unwrap_or_default();
    let message = escaped(&format!("{}{path}{hint}", finding.message));
    // In properties `:` and `,` have a meaning, too.
    let file = escaped(&finding.file).replace(':', "%3A").replace(',', "%2C");
    format!("::{} file={file}{place}::{message}\n", finding.severity)
}

/// Text of a workflow command.
pub(super) fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Overrides, Variables, parse_with};

    fn findings(text: &str, sets: &[&str]) -> Vec<Finding> {
        let overrides =
            Overrides { sets: sets.iter().map(|set| (*set).to_owned()).collect(), ..Overrides::default() };
        let problems = parse_with("x.yaml", text, &Variables::default(), &overrides).unwrap_err();
        Finding::errors(Path::new("a,b/x.yaml"), &problems.into())
    }

    const TEXT: &str = "version: 1\nname: x\ngroups: { g: { count: 0, behaviour: 5 } }\nworkloads:\n  w:\n    command: \
                        { name: c }\n    load: { arrival_rate: { stages: [{ rate: 50%, duration: 5s }] } }\n";

    #[test]
    fn every_mistake_is_an_item_and_an_annotation_at_its_place() {
        let mut all = findings(TEXT, &["seed=x"]);
        all.push(Finding::warning(Path::new("x.yaml"), "too many\nthings".to_owned()));
        insta::assert_snapshot!(format!("{}\n{}", json(&all), github(&all)));
    }

    #[test]
    fn github_gets_ten_annotations_at_the_most() {
        for (count, lines) in [(0, 0), (1, 1), (10, 10), (11, 10), (50, 10)] {
            let all = vec![Finding::warning(Path::new("x.yaml"), "doubt".to_owned()); count];
            assert_eq!(github(&all).lines().count(), lines);
        }
        let mut all = vec![Finding::warning(Path::new("x.yaml"), "doubt".to_owned()); 50];
        all.extend(findings(TEXT, &[]));
        assert!(github(&all).starts_with("::error "), "errors come first");
        assert!(github(&all).ends_with("more; `fleetsim check` shows them all\n"));
    }
}
