//! `fleetsim completions` and `fleetsim man`: what the arguments say, in other forms.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::exit::Exit;

use super::Arguments;
use super::console::Console;

#[derive(Debug, Args)]
pub(super) struct CompletionsArguments {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Args)]
pub(super) struct ManArguments {
    /// Write fleetsim.1, fleetsim-run.1, … into this folder.
    #[arg(long, value_name = "FOLDER", env = "FLEETSIM_DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn completions(arguments: &CompletionsArguments, console: Console) -> Exit {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "fleetsim", &mut text);
    console.out(&String::from_utf8_lossy(&text));
    Exit::Ok
}

pub(super) fn man(arguments: &ManArguments, console: Console) -> Exit {
    let written = if let Some(folder) = &arguments.dir {
        clap_mangen::generate_to(Arguments::command(), folder)
            .map(|()| format!("wrote the manual pages into {}\n", folder.display()))
    } else {
        let mut text = Vec::new();
        let page = clap_mangen::Man::new(Arguments::command());
        page.render(&mut text).map(|()| String::from_utf8_lossy(&text).into_owned())
    };
    match written {
        Ok(text) => {
            console.out(&text);
            Exit::Ok
        }
        Err(error) => {
            let folder = arguments.dir.as_ref().map(|folder| folder.display().to_string());
            let into = folder.unwrap_or_else(|| "standard output".to_owned());
            console.err(&format!("error: cannot write the manual into {into}: {error}"));
            Exit::CantCreate
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The help of every command as people see it, a hundred columns wide.
    #[test]
    fn the_help_of_every_command_reads_well() {
        let mut command = Arguments::command().term_width(100);
        command.build();
        let mut said = command.render_long_help().to_string();
        for name in command.get_subcommands().map(|c| c.get_name().to_owned()).collect::<Vec<_>>() {
            let Some(sub) =
                command.find_subcommand_mut(&name).filter(|sub| !sub.is_hide_set() && name != "help")
            else {
                continue;
            };
            said.push_str(&["\n════ fleetsim ", &name, "\n\n"].concat());
            said += &sub.clone().term_width(100).render_long_help().to_string();
        }
        let said: String = said.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
        insta::assert_snapshot!(said);
    }

    #[test]
    fn every_flag_has_a_variable_of_its_own_name() {
        let mut without = Vec::new();
        let mut command = Arguments::command();
        command.build();
        for sub in std::iter::once(&command).chain(command.get_subcommands()) {
            for argument in sub.get_arguments().filter(|argument| !argument.is_positional()) {
                let name = argument.get_id().as_str();
                let is_ours = !matches!(name, "help" | "version") && !argument.is_hide_set();
                let variable = argument.get_env().map(|variable| variable.to_string_lossy().into_owned());
                if is_ours && !variable.is_some_and(|variable| variable.starts_with("FLEETSIM_")) {
                    without.push(format!("{} {name}", sub.get_name()));
                }
            }
        }
        assert_eq!(without, Vec::<String>::new());
    }

    #[test]
    fn arguments_are_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn manual_and_completions_know_every_command() {
        let folder = tempfile::tempdir().unwrap();
        clap_mangen::generate_to(Arguments::command(), folder.path()).unwrap();
        for name in ["fleetsim.1", "fleetsim-run.1", "fleetsim-check.1", "fleetsim-backend.1"] {
            let page = std::fs::read_to_string(folder.path().join(name)).unwrap();
            assert!(page.contains(".SH"), "{name}");
        }
        let mut text = Vec::new();
        clap_complete::generate(Shell::Bash, &mut Arguments::command(), "fleetsim", &mut text);
        assert!(String::from_utf8(text).unwrap().contains("--virtual-time"));
    }
}
