//! `fleetsim devices`: a slice of a fleet against a backend that runs elsewhere, so that several processes
//! (or machines) make one fleet.

use clap::Args;

use crate::exit::Exit;
use crate::run::Slice;

use super::RunArguments;
use super::console::Console;

#[derive(Debug, Args)]
pub(super) struct DevicesArguments {
    /// Which part of the fleet this process is, e.g. 2/5: devices are dealt out in turn, and each process
    /// starts the executions of its own.
    #[arg(long, value_name = "N/OF", default_value = "1/1", value_parser = slice, env = "FLEETSIM_SLICE")]
    slice: Slice,
    #[command(flatten)]
    run: RunArguments,
}

pub(super) fn devices(mut arguments: DevicesArguments, console: Console) -> Exit {
    arguments.run.target.slice = arguments.slice;
    super::run::run_devices(&arguments.run, console)
}

fn slice(text: &str) -> Result<Slice, String> {
    let parse = || {
        let (number, of) = text.split_once('/')?;
        Slice::new(number.parse().ok()?, of.parse().ok()?)
    };
    parse().ok_or_else(|| "a slice is e.g. 2/5: the second of five, at most 10000".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_is_one_of_so_many() {
        assert_eq!(slice("2/5"), Ok(Slice { number: 1, of: 5 }));
        for wrong in ["0/5", "6/5", "2", "2/", "/5", "a/b", "1/10001"] {
            assert!(slice(wrong).is_err(), "{wrong}");
        }
    }
}
