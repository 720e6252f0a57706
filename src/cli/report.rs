//! `fleetsim report`: the outputs of a run again, from its result.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::exit::Exit;
use crate::report;

use super::console::Console;
use super::outputs::OutputArguments;

#[derive(Debug, Args)]
pub(super) struct ReportArguments {
    /// The result, as written by `run --out-dir` or `run --json`.
    #[arg(value_name = "RESULT")]
    result: PathBuf,
    #[command(flatten)]
    outputs: OutputArguments,
}

pub(super) fn report(arguments: &ReportArguments, console: Console) -> Exit {
    let same = |path: &Path| path.to_owned();
    let checked = arguments.outputs.check(&[&same], console);
    if checked != Exit::Ok {
        return checked;
    }
    let result = match super::compare::read(&arguments.result) {
        Ok(result) => result,
        Err((exit, message)) => {
            console.err(&format!("error: {message}"));
            return exit;
        }
    };
    if !arguments.outputs.any() {
        console.out(&report::markdown(&result));
        return Exit::Ok;
    }
    let written = arguments.outputs.write(&result, same, None, console);
    let names: Vec<_> = written.paths.iter().map(|path| path.display().to_string()).collect();
    if !names.is_empty() && !arguments.outputs.to_stdout() {
        console.out(&format!("wrote {}\n", names.join(" ")));
    }
    written.exit
}
