//! The binary: nothing but the door to `cli`.

fn main() -> std::process::ExitCode {
    fleetsim::cli::main().into()
}
