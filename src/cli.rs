//! Arguments → options; the only code that reads argv, prints and exits.
//!
//! Results go to standard output, progress and diagnostics to standard error. Clap's types stay in
//! this module.

mod aws;
mod backend;
mod baseline;
mod capacity;
mod check;
mod compare;
mod console;
mod devices;
mod display;
mod docs;
mod findings;
mod github;
mod init;
mod inputs;
mod metrics;
mod outputs;
mod page;
mod paused;
mod progress;
mod report;
mod run;
mod target;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::backend::broker::Limits as BrokerBounds;
use crate::exit::Exit;
use crate::report::Limits;
use crate::units::parse_duration;

use inputs::Inputs;

/// Rehearse AWS IoT command rollouts: virtual devices, an embedded backend, honest latency.
///
/// A scenario file says which devices there are, how they behave and which commands they are sent.
/// `fleetsim run` connects the devices, starts the commands at their planned instants, and reports
/// what the system in between did with them.
#[derive(Debug, Parser)]
#[command(name = "fleetsim", version, max_term_width = 100, after_help = exit_codes())]
#[command(arg_required_else_help = true, infer_long_args = false)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// When to use colour.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, env = "FLEETSIM_COLOR")]
    color: Color,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenarios against their target and report.
    Run(RunArguments),
    /// Run the devices of scenarios, or a slice of them, and the starts of their own executions against a
    /// backend that runs elsewhere.
    // Refused there, and said so: the backend it meets lives in real time.
    #[command(mut_arg("virtual_time", |flag| flag.hide(true)))]
    Devices(devices::DevicesArguments),
    /// Search the highest rate of starts that a target holds, with the devices and the command of a scenario.
    Capacity(capacity::CapacityArguments),
    /// Check scenarios without running them: every mistake, with its place.
    Check(CheckArguments),
    /// Compare results: is the new one slower than the baseline by more than chance? (97 if so)
    Compare(compare::CompareArguments),
    /// Make the outputs of a run again from its result, or show its summary.
    Report(report::ReportArguments),
    /// Write a commented scenario to begin with.
    Init(init::InitArguments),
    /// Serve the embedded AWS IoT Commands backend alone, for boto3, the AWS CLI or any MQTT client.
    Backend(BackendArguments),
    /// Print the JSON Schema of scenario files, for completion and hover text in editors, or of results.
    Schema(SchemaArguments),
    /// Print completions for a shell; each shell's manual says where to put them.
    Completions(docs::CompletionsArguments),
    /// Print the manual page, or write the pages of all commands into a folder.
    Man(docs::ManArguments),
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
struct RunArguments {
    /// Scenario files; several run in order, and the most important exit code wins.
    #[arg(required = true, value_name = "SCENARIO")]
    scenarios: Vec<PathBuf>,
    #[command(flatten)]
    inputs: Inputs,
    #[command(flatten)]
    target: target::TargetArguments,
    #[command(flatten)]
    outputs: outputs::OutputArguments,
    #[command(flatten)]
    page: page::PageArguments,
    /// Serve the run's figures to Prometheus at http://ADDRESS/metrics while it goes on; a port alone is one of
    /// 127.0.0.1.
    #[arg(long, value_name = "ADDRESS", value_parser = metrics_address, env = "FLEETSIM_METRICS")]
    metrics: Option<SocketAddr>,
    /// With --metrics: how long the last figures stay there after the run, so that a scrape sees how it ended.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration, env = "FLEETSIM_METRICS_HOLD")]
    metrics_hold: Duration,
    /// Use this seed instead of the scenario's or a random one.
    #[arg(long, value_name = "N", value_parser = seed, allow_negative_numbers = true, env = "FLEETSIM_SEED")]
    seed: Option<u64>,
    /// Do each run so often, with the same seed and so the same plan, and report how much its figures
    /// vary [default: the scenario's, 1].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000), env = "FLEETSIM_REPEAT")]
    repeat: Option<u32>,
    /// Compare with this earlier result of the same scenario; exit 97 if latency grew beyond
    /// --max-regression. Can be given several times.
    #[arg(long = "baseline", value_name = "FILE", env = "FLEETSIM_BASELINE")]
    baselines: Vec<PathBuf>,
    /// With --baseline: by how much percentiles may grow, e.g. p50=5%,p99=10%.
    #[arg(long, value_name = "LIMITS", default_value = "p99=10%", value_parser = compare::limits, env = "FLEETSIM_MAX_REGRESSION")]
    max_regression: Limits,
    /// How long to wait for open executions after Ctrl-C or SIGTERM.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration, env = "FLEETSIM_GRACE")]
    grace: Duration,
    /// Delete the commands that the run has created once it is over; those that were there stay. The service
    /// takes 12 hours to remove them.
    #[arg(long, env = "FLEETSIM_CLEANUP", value_parser = truth)]
    cleanup: bool,
    /// Show the screen: `auto` does if standard output is a terminal and this is not CI.
    #[arg(long, value_enum, default_value_t = When::Auto, env = "FLEETSIM_TUI")]
    tui: When,
    /// How often the screen is drawn, at the most: frames a second, 1 to 30.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=30), env = "FLEETSIM_FPS")]
    fps: u8,
    /// Colours of the screen: `auto` goes by NO_COLOR, COLORTERM and TERM.
    #[arg(long, value_enum, default_value_t = ScreenTheme::Auto, env = "FLEETSIM_THEME")]
    theme: ScreenTheme,
    /// Time between progress lines when there is no screen.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = interval, env = "FLEETSIM_INTERVAL")]
    interval: Duration,
    /// Begin paused: the fleet connects, and the load waits until somebody resumes it (space on the screen,
    /// or the live page with --web-control).
    #[arg(long, env = "FLEETSIM_PAUSED", value_parser = truth)]
    paused: bool,
    /// Print no progress, only the summary and errors.
    #[arg(short, long, env = "FLEETSIM_QUIET", value_parser = truth)]
    quiet: bool,
    /// How much the summary says at the end.
    #[arg(long, value_enum, default_value_t = Summary::Compact, env = "FLEETSIM_SUMMARY")]
    summary: Summary,
    /// Simulate time instead of waiting for it: the same fleet and backend, in memory, as fast as the
    /// machine can. Latencies are then the configured delays, and the same seed gives the same result.
    #[arg(long, env = "FLEETSIM_VIRTUAL_TIME", value_parser = truth)]
    virtual_time: bool,
    /// Generator threads [default: cores − 1, at least 1; virtual time has one].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256), env = "FLEETSIM_SHARDS")]
    shards: Option<u16>,
}

#[derive(Debug, Args)]
struct CheckArguments {
    /// Scenario files.
    #[arg(required = true, value_name = "SCENARIO")]
    scenarios: Vec<PathBuf>,
    #[command(flatten)]
    inputs: Inputs,
    /// How to say what is found: for people, as a JSON list, or as annotations of GitHub Actions.
    #[arg(long, value_enum, default_value_t = Format::Text, env = "FLEETSIM_FORMAT")]
    format: Format,
    /// Print the plan too: totals and stages, how busy devices will be, executions in flight, run time, and
    /// hashes of arrivals and decisions.
    #[arg(long, env = "FLEETSIM_PLAN", value_parser = truth)]
    plan: bool,
    /// With --plan: a line for every device, with the hash of its decisions.
    #[arg(long, requires = "plan", env = "FLEETSIM_DEVICES", value_parser = truth)]
    devices: bool,
    /// Plan with this seed instead of the scenario's or a random one.
    #[arg(long, value_name = "N", value_parser = seed, allow_negative_numbers = true, env = "FLEETSIM_SEED")]
    seed: Option<u64>,
}

#[derive(Debug, Args)]
struct SchemaArguments {
    /// Of what.
    #[arg(value_enum, default_value_t = Document::Scenario)]
    of: Document,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Document {
    /// What `run` and `check` read.
    Scenario,
    /// result.json.
    Result,
}

#[derive(Debug, Args)]
struct BackendArguments {
    /// MQTT listener; port 0 takes a free port.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:1883", value_parser = listen_address, env = "FLEETSIM_MQTT")]
    mqtt: SocketAddr,
    /// HTTP listener for the Commands API; port 0 takes a free port.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080", value_parser = listen_address, env = "FLEETSIM_HTTP")]
    http: SocketAddr,
    /// Region that ARNs are made from.
    #[arg(long, value_name = "REGION", default_value = "us-east-1", env = "FLEETSIM_REGION")]
    region: String,
    /// Account that ARNs are made from.
    #[arg(long, value_name = "ACCOUNT", default_value = "123456789012", value_parser = account, env = "FLEETSIM_ACCOUNT")]
    account: String,
    /// Let a client publish and subscribe only below its own identifier on `$aws/…` topics (things/ID and
    /// clients/ID), as a policy with ${iot:ClientId} does. Without it any client may act for any device.
    #[arg(long, env = "FLEETSIM_ISOLATE", value_parser = truth)]
    isolate: bool,
    /// Limits of the broker for each client and the account: AWS IoT Core's as published (100 messages and 512
    /// KiB a second, 50 subscriptions, one connect a second, …), or none.
    #[arg(long, value_enum, default_value_t = BrokerLimits::None, env = "FLEETSIM_LIMITS")]
    limits: BrokerLimits,
    /// Not for a backend that serves clients of the real world; see `fleetsim run`.
    #[arg(long, hide = true)]
    virtual_time: bool,
    /// Written once both listeners accept: {"http": …, "mqtt": …, "pid": …}, addresses as URLs; removed at the
    /// end.
    #[arg(long, value_name = "FILE", env = "FLEETSIM_READY_FILE")]
    ready_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BrokerLimits {
    /// Only what protects the process.
    None,
    /// Those of AWS IoT Core.
    Aws,
}

impl BrokerLimits {
    fn values(self) -> BrokerBounds {
        match self {
            Self::None => BrokerBounds::NONE,
            Self::Aws => BrokerBounds::AWS,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people, with line and caret.
    Text,
    /// A list of objects.
    Json,
    /// Workflow commands: ten annotations at the most.
    Github,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Summary {
    /// Thresholds, executions, latency, generator.
    Compact,
    /// Every span, too.
    Full,
    /// Nothing.
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum When {
    /// Decide by the terminal.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ScreenTheme {
    /// As many colours as the terminal has.
    Auto,
    /// None.
    Mono,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Color {
    /// Decide by the terminal, NO_COLOR and CLICOLOR_FORCE.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Reads the arguments, does what they say, and returns how it ended.
pub fn main() -> Exit {
    let arguments = match Arguments::try_parse_from(compare::flags_first(std::env::args_os().collect())) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are answers, not mistakes. A closed pipe leaves nobody to tell.
            match scenario_for_command(&error) {
                Some(path) => console::Console::new(Color::Auto).err(&format!(
                    "error: {path} is a scenario, not a command; run it with
  fleetsim run {path}
or look for \
                     mistakes in it with
  fleetsim check {path}"
                )),
                None => drop(error.print()),
            }
            return if error.use_stderr() { Exit::Usage } else { Exit::Ok };
        }
    };
    let console = console::Console::new(arguments.color);
    match arguments.command {
        Command::Run(arguments) => run::run(&arguments, console),
        Command::Devices(arguments) => devices::devices(arguments, console),
        Command::Capacity(arguments) => capacity::capacity(arguments, console),
        Command::Check(arguments) => check::check(&arguments, console),
        Command::Schema(SchemaArguments { of }) => {
            console.out(&schema(of));
            Exit::Ok
        }
        Command::Report(arguments) => report::report(&arguments, console),
        Command::Compare(arguments) => compare::compare(&arguments, console),
        Command::Init(arguments) => init::init(&arguments, console),
        Command::Backend(arguments) => backend::serve(&arguments, console),
        Command::Completions(arguments) => docs::completions(&arguments, console),
        Command::Man(arguments) => docs::man(&arguments, console),
    }
}

/// The scenario file that was given where a command is expected.
fn scenario_for_command(error: &clap::Error) -> Option<String> {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return None;
    }
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else { return None };
    let path = std::path::Path::new(word);
    let is_yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    (is_yaml || path.is_file()).then(|| word.clone())
}

/// The schema as `scenarios/scenario.schema.json` and `scenarios/result.v1.schema.json` hold it.
fn schema(of: Document) -> String {
    let schema = match of {
        Document::Scenario => crate::scenario::schema(),
        Document::Result => crate::report::result_schema(),
    };
    format!("{schema:#}\n")
}

fn metrics_address(text: &str) -> Result<SocketAddr, String> {
    let port = || Some(SocketAddr::from(([127, 0, 0, 1], text.parse::<u16>().ok()?)));
    text.parse().ok().or_else(port).ok_or_else(|| "an address is e.g. 127.0.0.1:9464, or 9464".to_owned())
}

/// What the variable of a flag may say. Any other word is no answer to on or off.
fn truth(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Ok(true),
        // Set to nothing is how some environments spell unset.
        "false" | "0" | "no" | "" => Ok(false),
        _ => Err("a flag is on or off: true, 1, yes, or false, 0, no".to_owned()),
    }
}

fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("a seed is a whole number from 0 to {}, e.g. 42", u64::MAX))
}

fn listen_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| match text.strip_prefix("localhost:") {
        Some(port) => format!("localhost is a name, not an address; try 127.0.0.1:{port}"),
        None => "an address has a port, e.g. 127.0.0.1:1883, 0.0.0.0:1883, or 127.0.0.1:0 for a free one"
            .to_owned(),
    })
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    if interval < Duration::from_secs(1) {
        Err("progress comes once a second at the most".to_owned())
    } else {
        Ok(interval)
    }
}

fn account(text: &str) -> Result<String, String> {
    let twelve_digits = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    if twelve_digits { Ok(text.to_owned()) } else { Err("an account is twelve digits".to_owned()) }
}

fn exit_codes() -> String {
    let mut text = String::from("Exit codes:");
    let mut codes = Exit::ALL;
    codes.sort_by_key(|exit| exit.code());
    for exit in codes {
        use std::fmt::Write as _;
        write!(text, "\n  {:>3}  {}", exit.code(), exit.meaning()).expect("writing to a String cannot fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_on_or_off_and_nothing_else() {
        for (text, on) in [
            ("true", true),
            ("1", true),
            ("YES", true),
            ("false", false),
            ("0", false),
            ("no", false),
            ("", false),
        ] {
            assert_eq!(truth(text), Ok(on), "{text}");
        }
        for text in ["ja", "on?", "2", "wahr"] {
            assert!(truth(text).is_err(), "{text}");
        }
    }

    #[test]
    fn values_that_are_none_say_what_to_write() {
        assert!(seed("abc").unwrap_err().contains("e.g. 42") && seed("-1").is_err());
        assert_eq!(listen_address("127.0.0.1:0"), Ok("127.0.0.1:0".parse().unwrap()));
        assert!(listen_address("localhost:1883").unwrap_err().contains("127.0.0.1:1883"));
        assert!(listen_address("foo").unwrap_err().contains("127.0.0.1:0"));
    }
}
