//! The commands of a run: made before it, or found there; deleted after it where that is wanted.

use std::fmt;
use std::io;
use std::time::Duration;

use tokio::task::LocalSet;

use super::SetupError;
use super::site::{Site, SiteError};
use crate::clock::Clock;
use crate::driver::{CallError, CommandsApi, HttpApi};
use crate::protocol::{CommandArn, Deletion, GetCommandResponse};
use crate::scenario::{Command, Scenario, Target};

/// How long a deletion may take. Nobody waits for what a dead service does not delete.
const DELETE_WAIT: Duration = Duration::from_secs(10);

/// Creates the commands of a scenario, or finds them there; the names of those that were not goes to `created`
/// as soon as they are, whatever becomes of the rest.
pub(super) async fn create(
    api: &mut impl CommandsApi,
    scenario: &Scenario,
    created: &mut Vec<String>,
) -> Result<(), SetupError> {
    for workload in &scenario.workloads {
        let (arn, is_new) = create_one(api, &workload.command).await?;
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

/// Deletes commands that runs of this scenario have created. Those of the embedded backend went with it.
pub fn delete_commands(scenario: &Scenario, names: &[String]) -> Vec<Cleanup> {
    let endpoint = match &scenario.target {
        // At AWS no run comes so far as to create one.
        Target::Embedded(_) | Target::Aws(_) => return Vec::new(),
        Target::Endpoint(endpoint) => endpoint,
    };
    let all = |cause: String| {
        let failed = |name: &String| Cleanup { command: name.clone(), outcome: Err(cause.clone()) };
        names.iter().map(failed).collect()
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return all(error.to_string()),
    };
    LocalSet::new().block_on(&runtime, async {
        let clock = Clock::start();
        let site = match Site::outside(endpoint, clock).await {
            Ok(site) => site,
            Err(error) => return all(SiteError::to_string(&error)),
        };
        let mut api = HttpApi::new(&site.http, scenario.target.region(), clock);
        let mut done = Vec::new();
        for name in names {
            let until = clock.now().plus(DELETE_WAIT);
            let outcome = match clock.timeout_at(until, api.delete_command(name)).await {
                Some(outcome) => outcome.map_err(|error| error.to_string()),
                None => Err(io::Error::from(io::ErrorKind::TimedOut).to_string()),
            };
            done.push(Cleanup { command: name.clone(), outcome });
        }
        done
    })
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
async fn create_one(api: &mut impl CommandsApi, command: &Command) -> Result<(String, bool), SetupError> {
    let failed = |cause| SetupError::CreateCommand { name: command.name.clone(), cause };
    let Some(request) = command.request() else {
        return match api.get_command(&command.name).await {
            Ok(there) => usable(command, there),
            Err(cause) => Err(SetupError::NoCommand { name: command.name.clone(), cause }),
        };
    };
    match api.create_command(&command.name, &request).await {
        Ok(created) => Ok((created.command_arn, true)),
        Err(CallError::Refused { name, .. }) if name == "ConflictException" => {
            let there = api.get_command(&command.name).await.map_err(failed)?;
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
