//! `fleetsim init`: a commented scenario to begin with.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::exit::Exit;

use super::console::Console;

#[derive(Debug, Args)]
pub(super) struct InitArguments {
    /// What the scenario is to show.
    #[arg(value_enum, default_value_t = Template::Quickstart)]
    template: Template,
    /// Where to write it; `-` is standard output [default: TEMPLATE.yaml in this folder].
    #[arg(short, long, value_name = "FILE", env = "FLEETSIM_OUTPUT")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Template {
    /// A hundred devices, forty commands a second, two thresholds.
    Quickstart,
    /// A firmware rollout to devices of which some fail, with the rules that stop it.
    Rollout,
    /// A gate for every merge: under a minute, the same plan every time.
    Ci,
    /// The highest rate that holds, and what breaks first.
    Capacity,
}

impl Template {
    fn text(self) -> &'static str {
        match self {
            Self::Quickstart => include_str!("init/quickstart.yaml"),
            Self::Rollout => include_str!("init/rollout.yaml"),
            Self::Ci => include_str!("init/ci.yaml"),
            Self::Capacity => include_str!("init/capacity.yaml"),
        }
    }

    fn file_name(self) -> String {
        let name = self.to_possible_value().map(|value| value.get_name().to_owned());
        format!("{}.yaml", name.unwrap_or_default())
    }
}

pub(super) fn init(arguments: &InitArguments, console: Console) -> Exit {
    let text = arguments.template.text();
    let path = arguments.output.clone().unwrap_or_else(|| arguments.template.file_name().into());
    if path == Path::new("-") {
        console.out(text);
        return Exit::Ok;
    }
    // Never over a file that is there: somebody wrote it.
    let created = OpenOptions::new().write(true).create_new(true).open(&path);
    match created.and_then(|mut file| file.write_all(text.as_bytes())) {
        Ok(()) => {
            let path = path.display();
            console
                .out(&format!("wrote {path}; try:\n  fleetsim check {path} --plan\n  fleetsim run {path}\n"));
            Exit::Ok
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            console.err(&format!("error: {} is there already; name another file with -o", path.display()));
            Exit::CantCreate
        }
        Err(error) => {
            console.err(&format!("error: cannot write {}: {error}", path.display()));
            Exit::CantCreate
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Variables, parse, warnings};

    #[test]
    fn every_template_passes_the_check_without_a_doubt() {
        for template in Template::value_variants() {
            let name = template.file_name();
            let scenario = parse(&name, template.text(), &Variables::default())
                .unwrap_or_else(|problems| panic!("{problems}"));
            assert_eq!(warnings(&scenario), Vec::<String>::new(), "{name}");
            assert!(template.text().contains("\n# "), "{name} explains itself");
        }
    }
}
