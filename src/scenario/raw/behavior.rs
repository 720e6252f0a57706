//! How devices treat commands, as it is written.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use super::super::decode::{At, hook};
use super::super::written::{Reason, ReasonCode, ResultName, Text, Written};
use super::{Delay, Named};
use crate::units::Share;

/// How devices treat commands.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Behavior {
    /// From the request to IN_PROGRESS. Without it no IN_PROGRESS is sent.
    pub accept_delay: Option<At<Delay>>,
    /// From the request (with accept_delay: from the reply to IN_PROGRESS) to the final answer.
    pub delay: At<Delay>,
    /// How executions end; the rest succeeds.
    pub outcomes: Option<At<Outcomes>>,
    /// What is reported with the final answer, by name: a text s, a truth value b or bytes bin. Texts and
    /// bytes are made of {group}, {index} and {seed}. Default nothing.
    pub result: Option<At<Named<ResultName, ResultValue>>>,
    /// How many executions get their final answer twice in a row. Default 0%.
    pub duplicates: Option<At<Text<Share>>>,
    /// How many executions get an IN_PROGRESS after their final answer, as firmware with a muddled queue
    /// sends it; the backend must refuse it. Default 0%.
    pub out_of_order: Option<At<Text<Share>>>,
    /// How many executions get an update before their final answer that is broken JSON or no update;
    /// the backend must refuse it. Default 0%.
    pub malformed: Option<At<Text<Share>>>,
    /// Whether the delay runs from the reply to IN_PROGRESS. With false it runs from its sending, as with
    /// careless firmware. Default true.
    pub wait_accepted: Option<At<bool>>,
    /// Executions that a device works on at the same time. Default 1.
    #[schemars(range(min = 1, max = 1_000))]
    pub max_parallel: Option<At<u64>>,
    /// What a device does with a request that is one too many: queue it, reject it at once (reason
    /// DEVICE_BUSY), or ignore it. Default queue.
    pub when_busy: Option<At<WhenBusy>>,
    /// Longer delays after each connect. Default none.
    pub slow_start: Option<At<SlowStart>>,
}

/// What a device does with a request while it works on as many as it can.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenBusy {
    /// The request waits for its turn.
    Queue,
    /// It is REJECTED at once, with the reason DEVICE_BUSY.
    Reject,
    /// It is never answered.
    Ignore,
}

/// Longer delays after each connect, which fade in a straight line to what they are.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlowStart {
    /// How long after the connect they are longer.
    #[serde(rename = "for")]
    pub lasts: At<Text<Duration>>,
    /// How many times as long they are at the connect.
    #[schemars(range(min = 1, max = 1_000))]
    pub times: At<f64>,
}

/// One value of a result.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ResultValue {
    /// A text, e.g. "{group}-{index}".
    S(String),
    /// A truth value.
    B(bool),
    /// Bytes: those of the text.
    Bin(String),
}

/// How executions end: a share each, in total at most 100%. The rest succeeds.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outcomes {
    /// The device reports SUCCEEDED. If given, all shares must add up to 100%.
    pub succeeded: Option<At<Outcome>>,
    /// The device reports FAILED.
    pub failed: Option<At<Outcome>>,
    /// The device reports REJECTED, without IN_PROGRESS before it.
    pub rejected: Option<At<Outcome>>,
    /// The device itself reports TIMED_OUT, which ends the execution for good.
    pub timed_out: Option<At<Outcome>>,
    /// The device says nothing at all; the cloud's timer ends the execution.
    pub no_answer: Option<At<Outcome>>,
    /// The device reports SUCCEEDED after the cloud's time-out, and is busy until then.
    pub late: Option<At<LateOutcome>>,
}

/// A share of the executions that are answered after their time-out.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LateOutcome {
    /// How many of the executions, e.g. 2.5%.
    pub share: At<Text<Share>>,
    /// From the time-out to the answer.
    pub by: At<Delay>,
    /// statusReason.reasonCode, e.g. RADIO_SLEPT.
    pub reason_code: Option<At<Text<ReasonCode>>>,
    /// statusReason.reasonDescription.
    pub reason: Option<At<Text<Reason>>>,
}

/// A share of the executions, and what is special about them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutcomeDetails {
    /// How many of the executions, e.g. 2.5%.
    pub share: At<Text<Share>>,
    /// statusReason.reasonCode, e.g. BATTERY_LOW.
    pub reason_code: Option<At<Text<ReasonCode>>>,
    /// statusReason.reasonDescription.
    pub reason: Option<At<Text<Reason>>>,
    /// Their own delay instead of the behavior's.
    pub delay: Option<At<Delay>>,
}

/// A share, or a map with details.
#[derive(Debug)]
pub enum Outcome {
    /// Only how many.
    Share(Share),
    /// How many, and what is special about them.
    Details(OutcomeDetails),
}

impl<'de> Deserialize<'de> for Outcome {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OutcomeVisitor;

        impl<'de> Visitor<'de> for OutcomeVisitor {
            type Value = Outcome;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(Share::EXPECTED)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Outcome, E> {
                Share::read(text).map(Outcome::Share).map_err(E::custom)
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, map: D) -> Result<Outcome, D::Error> {
                OutcomeDetails::deserialize(map).map(Outcome::Details)
            }
        }

        deserializer.deserialize_newtype_struct(hook::SCALAR_OR_MAP, OutcomeVisitor)
    }
}
