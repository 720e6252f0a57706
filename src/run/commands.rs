//! The commands of a run: made before it, or found there; deleted after it where that is wanted.

use std::fmt;
use std::io;
use std::time::Duration;

use tokio::task::LocalSet;

use super::SetupError;
use super::signals::Signals;
use super::site::{Site, SiteError};
use crate::clock::Clock;
use crate::driver::{CallError, CommandsApi, HttpApi};
use crate::protocol::{CommandArn, Deletion, GetCommandResponse};
use crate::scenario::{Command, Endpoint, Scenario, Target};

/// How long a deletion may take. Nobody waits for what a dead service does not delete.
const DELETE_WAIT: Duration = Duration::from_secs(10);

/// A service that takes longer for a single call does not answer at all. A scenario that gives starts more time
/// gives it to these calls, too.
const LEAST_PATIENCE: Duration = Duration::from_secs(10);

/// How long a call before the run may take, and who is named if it takes longer.
pub(super) struct Patience<'a> {
    clock: Clock,
    wait: Duration,
    address: &'a str,
}

impl<'a> Patience<'a> {
    /// With the API at `address`.
    pub fn new(scenario: &Scenario, address: &'a str, clock: Clock) -> Self {
        Self { clock, wait: scenario.driver.timeout.max(LEAST_PATIENCE), address }
    }

    /// What a call brings, or that it brings nothing.
    pub async fn with<T>(&self, call: impl Future<Output = Result<T, CallError>>) -> Result<T, CallError> {
        match self.clock.timeout_at(self.clock.now().plus(self.wait), call).await {
            Some(answer) => answer,
            None => Err(CallError::Unanswered {
                address: self.address.to_owned(),
                cause: format!("none within {}s", self.wait.as_secs()),
            }),
        }
    }
}

/// Creates the commands of a scenario, or finds them there; the names of those that were not goes to `created`
/// as soon as they are, whatever becomes of the rest.
pub(super) async fn create(
    api: &mut impl CommandsApi,
    scenario: &Scenario,
    patience: &Patience<'_>,
    created: &mut Vec<String>,
) -> Result<(), SetupError> {
    for workload in &scenario.workloads {
        let (arn, is_new) = create_one(api, &workload.command, patience).await?;
        if is_new {
            created.push(workload.command.name.clone());
        }
        belongs(&arn, &scenario.target)?;
    }
    Ok(())
}

/// What has become of a command that a run had created.
#[derive(Debug)]
pub struct Cleanup {
    /// Its name.
    pub command: String,
    /// How it went, or why it did not.
    outcome: Result<Deletion, String>,
}

impl Cleanup {
    /// Whether it is gone or will be.
    pub fn is_done(&self) -> bool {
        self.outcome.is_ok()
    }
}

impl fmt::Display for Cleanup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.command;
        match &self.outcome {
            Ok(Deletion::Done) => write!(f, "deleted the command `{name}`"),
            Ok(Deletion::Scheduled) => {
                write!(f, "the command `{name}` is marked for deletion; the service removes it in 12 hours")
            }
            Err(cause) => write!(f, "the command `{name}` was created and cannot be deleted: {cause}"),
        }
    }
}

/// Deletes commands that runs of this scenario have created. Those of the embedded backend went with it. Whether
/// Ctrl-C and SIGTERM end it is `signals`: once heard, they end the process no more.
pub fn delete_commands(scenario: &Scenario, names: &[String], signals: bool) -> Vec<Cleanup> {
    let endpoint = match &scenario.target {
        // At AWS no run comes so far as to create one.
        Target::Embedded(_) | Target::Aws(_) => return Vec::new(),
        Target::Endpoint(endpoint) => endpoint,
    };
    let failed = |names: &[String], cause: &str| -> Vec<Cleanup> {
        let failed = |name: &String| Cleanup { command: name.clone(), outcome: Err(cause.to_owned()) };
        names.iter().map(failed).collect()
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(names, &error.to_string()),
    };
    let mut done = Vec::new();
    let ended = LocalSet::new().block_on(&runtime, async {
        let mut signals = if signals { Signals::new() } else { Signals::none() };
        tokio::select! {
            biased; // Who stops waits for no dead service.
            () = signals.stop_requested() => Err("stopped by the user".to_owned()),
            ended = delete_each(endpoint, scenario, names, &mut done) => ended.map_err(|error| error.to_string()),
        }
    });
    // A name that is still being looked up is waited for by nobody.
    runtime.shutdown_background();
    if let Err(cause) = ended {
        let left = failed(&names[done.len()..], &cause);
        done.extend(left);
    }
    done
}

async fn delete_each(
    endpoint: &Endpoint,
    scenario: &Scenario,
    names: &[String],
    done: &mut Vec<Cleanup>,
) -> Result<(), SiteError> {
    let clock = Clock::start();
    let site = Site::outside(endpoint, clock).await?;
    let mut api = HttpApi::new(&site.http, scenario.target.region(), clock);
    for name in names {
        let until = clock.now().plus(DELETE_WAIT);
        let outcome = match clock.timeout_at(until, api.delete_command(name)).await {
            Some(outcome) => outcome.map_err(|error| error.to_string()),
            None => Err(io::Error::from(io::ErrorKind::TimedOut).to_string()),
        };
        done.push(Cleanup { command: name.clone(), outcome });
    }
    Ok(())
}

/// The backend's ARNs say where it is; starts would name another place.
fn belongs(arn: &str, target: &Target) -> Result<(), SetupError> {
    let Ok((region, account, _)) = CommandArn::split(arn) else { return Ok(()) };
    let pairs = [("region", target.region(), region), ("account", target.account(), account)];
    for (key, ours, theirs) in pairs {
        if ours != theirs {
            let (target, ours, theirs) = (target.key(), ours.to_owned(), theirs.to_owned());
            return Err(SetupError::Elsewhere { target, key, ours, theirs, arn: arn.to_owned() });
        }
    }
    Ok(())
}

/// Creates a command, or finds that it is there with the same payload; one that exists is only looked up. Its
/// ARN, and whether it is new.
async fn create_one(
    api: &mut impl CommandsApi,
    command: &Command,
    patience: &Patience<'_>,
) -> Result<(String, bool), SetupError> {
    let failed = |cause| SetupError::CreateCommand { name: command.name.clone(), cause };
    let Some(request) = command.request() else {
        return match patience.with(api.get_command(&command.name)).await {
            Ok(there) => usable(command, there),
            Err(cause) => Err(SetupError::NoCommand { name: command.name.clone(), cause }),
        };
    };
    match patience.with(api.create_command(&command.name, &request)).await {
        Ok(created) => Ok((created.command_arn, true)),
        Err(CallError::Refused { name, .. }) if name == "ConflictException" => {
            let there = patience.with(api.get_command(&command.name)).await.map_err(failed)?;
            if command.is(&there) {
                usable(command, there)
            } else {
                Err(SetupError::OtherPayload { name: command.name.clone() })
            }
        }
        Err(cause) => Err(failed(cause)),
    }
}

/// A command that is there, unless it takes no executions any more.
fn usable(command: &Command, there: GetCommandResponse) -> Result<(String, bool), SetupError> {
    let (state, remedy) = match (there.pending_deletion, there.deprecated) {
        (true, _) => ("about to be deleted", "wait until it is gone (12 hours)"),
        (false, true) => ("deprecated", "restore it"),
        (false, false) => return Ok((there.command_arn, false)),
    };
    Err(SetupError::Withdrawn { name: command.name.clone(), state, remedy })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::CommandsApi;
    use crate::ledger::Record;
    use crate::protocol::{
        CreateCommandRequest, CreateCommandResponse, ExecutionId, Parameters, StartNames, TargetName,
    };
    use crate::scenario::{Variables, parse};

    /// An API that takes every call and answers none.
    struct Silent;

    impl CommandsApi for Silent {
        async fn ready(&mut self) -> Result<(), CallError> {
            std::future::pending().await
        }
        async fn create_command(
            &mut self,
            _: &str,
            _: &CreateCommandRequest,
        ) -> Result<CreateCommandResponse, CallError> {
            std::future::pending().await
        }
        async fn get_command(&mut self, _: &str) -> Result<GetCommandResponse, CallError> {
            std::future::pending().await
        }
        async fn delete_command(&mut self, _: &str) -> Result<Deletion, CallError> {
            std::future::pending().await
        }
        async fn start(
            &mut self,
            _: &StartNames<'_>,
            _: Option<&Parameters>,
            _: &ExecutionId,
        ) -> Result<ExecutionId, CallError> {
            std::future::pending().await
        }
        async fn read_back(&mut self, _: &ExecutionId, _: &TargetName<'_>) -> Result<Record, CallError> {
            std::future::pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_api_is_given_up_with_its_name() {
        for (timeout, waited) in [("1s", 10), ("30s", 30)] {
            let text = format!(
                "version: 1\nname: s\ngroups: {{ g: {{ behavior: {{ delay: 1ms }} }} }}\ndriver: {{ timeout: {timeout} }}\n\
                 workloads: {{ w: {{ command: {{ name: c }}, load: {{ once: {{}} }} }} }}\n"
            );
            let scenario = parse("s", &text, &Variables::default()).unwrap_or_else(|p| panic!("{p}"));
            let clock = Clock::start_virtual();
            let patience = Patience::new(&scenario, "http://api.example", clock);
            let error = create(&mut Silent, &scenario, &patience, &mut Vec::new()).await.unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "cannot create the command `c`: no answer from http://api.example: none within {waited}s"
                )
            );
        }
    }
}
