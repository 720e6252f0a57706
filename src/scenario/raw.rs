//! A scenario file as it is written: what may stand where. The one source of the keys that `decode`
//! accepts and of the JSON Schema that editors read, for which the comments are the hover texts.
//!
//! What the values must be to make sense together is checked in `check`.

mod behavior;
mod command;
mod connect;
mod delay;
mod driver;
mod faults;
mod groups;
mod loads;
mod rollout;
mod target;
mod timeline;
mod workloads;

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::decode::At;
use super::written::{LabelName, Line, Name, ScenarioName, Text, Written};

pub use behavior::{
    Behavior, LateOutcome, Outcome, OutcomeDetails, Outcomes, ResultValue, SlowStart, WhenBusy,
};
pub use command::{Choice, Command, Existing, Format, Parameter, Scalar, Tree};
pub use connect::{Auth, Backoff, Connect, Drops, Jitter};
pub use delay::{Delay, Distribution, Empirical, LogNormal, MixPart, Pareto, Unit};
pub use driver::{Driver, Via};
pub use faults::{CallErrors, CallFaults, Faults, PublishFaults};
pub use groups::{Address, Group};
pub use loads::{ArrivalRate, Capacity, Concurrency, Level, Load, Once, Spacing, Stage};
pub use rollout::{AbortStatus, AbortWhen, Batch, IncreaseAfter, Rollout};
pub use target::{Aws, Credentials, Embedded, Endpoint, Target, Transport};
pub use timeline::{TimelineAction, TimelineEvent};
pub use workloads::{Select, Workload};

/// A scenario: devices, the commands sent to them, and what must hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// File format: 1.
    #[schemars(range(min = 1, max = 1))]
    pub version: At<u64>,
    /// The label of the run in every output.
    pub name: At<Text<ScenarioName>>,
    /// For people.
    pub description: Option<At<String>>,
    /// Labels of the run, for the result and for metrics.
    pub labels: Option<At<Named<LabelName, Text<Line>>>>,
    /// Every draw of chance derives from it. Random, and printed, if it is not given.
    pub seed: Option<At<u64>>,
    /// How often the same run is done, to see how much its figures vary. Default 1.
    #[schemars(range(min = 1, max = 1_000))]
    pub repeat: Option<At<u64>>,
    /// When the run is VOID because the load generator fell behind.
    pub validity: Option<At<Validity>>,
    /// What is tested; the embedded backend if it is not given.
    pub target: Option<At<Target>>,
    /// How executions are started.
    pub driver: Option<At<Driver>>,
    /// Groups of virtual devices, by name.
    pub groups: At<Named<Name, Group>>,
    /// Commands and the load that starts them, by name. All run side by side.
    pub workloads: At<Named<Name, Workload>>,
    /// What happens at instants of the load: storms, silences, outages.
    pub timeline: Option<At<Vec<At<TimelineEvent>>>>,
    /// What must hold for the run to pass.
    pub thresholds: Option<At<Vec<At<Threshold>>>>,
}

/// When a run is VOID.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Validity {
    /// Limit of the p99 of `schedule_lag` and `device_lag`, instead of the built-in one.
    pub max_lag: Option<At<Text<Duration>>>,
}

/// Something that must hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// The condition, e.g. p99(latency{group=sensors}) < 1s or rate(succeeded) >= 99%.
    pub expect: At<String>,
    /// Stop the run when it fails. Default false.
    pub abort: Option<At<bool>>,
    /// Not judged before this much of the load. Default 0s.
    pub after: Option<At<Text<Duration>>>,
    /// Only report, never fail. Default false.
    pub info: Option<At<bool>>,
}

/// A map whose keys are names that the user chose, in the order of the file.
#[derive(Debug)]
pub struct Named<K, T>(pub Vec<(At<Text<K>>, At<T>)>);

impl<'de, K: Written, T: Deserialize<'de>> Deserialize<'de> for Named<K, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NamedVisitor<K, T>(PhantomData<(K, T)>);

        impl<'de, K: Written, T: Deserialize<'de>> Visitor<'de> for NamedVisitor<K, T> {
            type Value = Named<K, T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named<K, T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Named(entries))
            }
        }

        deserializer.deserialize_map(NamedVisitor(PhantomData))
    }
}
