//! Groups of devices, as they are written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::decode::At;
use super::super::written::{AttributeName, Line, Text};
use super::{Behavior, Connect, Named};

/// Devices that share a behaviour.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Number of devices. Default 1.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub count: Option<At<u64>>,
    /// How client ids are made, of {group}, {index} and {seed}. Default {group}-{index:05}.
    pub client_id: Option<At<String>>,
    /// Whether commands go to the devices as things or as clients: which ARNs and topics. Default thing.
    pub address: Option<At<Address>>,
    /// How thing names are made, as client ids are. Default the client id.
    pub thing_name: Option<At<String>>,
    /// Labels of the devices, for the result. Default none.
    pub attributes: Option<At<Named<AttributeName, Text<Line>>>>,
    /// How the devices connect.
    pub connect: Option<At<Connect>>,
    /// How the devices treat commands.
    pub behavior: At<Behavior>,
}

/// As what commands go to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Address {
    /// As a thing, by its name: arn:…:thing/NAME and $aws/commands/things/NAME/….
    Thing,
    /// As an MQTT client, by its client id: arn:…:client/ID and $aws/commands/clients/ID/….
    Client,
}
