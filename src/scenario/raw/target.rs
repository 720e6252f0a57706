//! What is tested, as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::decode::At;
use super::super::written::{Account, Address as ListenAddress, HostName, HttpUrl, MqttUrl, Region, Text};
use super::{Delay, Faults};

/// What is tested.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[expect(clippy::large_enum_variant, reason = "there is one of it")]
pub enum Target {
    /// The backend inside this program.
    Embedded(Embedded),
    /// Any compatible backend that runs somewhere else: a broker and a Commands API.
    Endpoint(Endpoint),
    /// AWS IoT Core in an account of yours, which costs money: a run needs --yes-aws, too.
    Aws(Aws),
}

/// Any compatible backend that runs somewhere else: a broker and a Commands API.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// The broker, e.g. mqtt://127.0.0.1:1883.
    pub mqtt: At<Text<MqttUrl>>,
    /// The Commands API, e.g. http://127.0.0.1:8080.
    pub http: At<Text<HttpUrl>>,
    /// Where executions are started, if that is another server, as it is at AWS. Default the same as http.
    pub http_data: Option<At<Text<HttpUrl>>>,
    /// ARNs are made from it; must be the backend's. Default us-east-1.
    pub region: Option<At<Text<Region>>>,
    /// ARNs are made from it; must be the backend's; twelve digits, quoted. Default "123456789012".
    pub account: Option<At<Text<Account>>>,
    /// What requests to the API are signed with (AWS Signature Version 4). Default unsigned.
    pub credentials: Option<At<Credentials>>,
}

/// What requests to the API are signed with. Better from outside, e.g. ${AWS_SECRET_ACCESS_KEY} with -e
/// AWS_SECRET_ACCESS_KEY. No output holds any of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// The name of the key; better from outside: ${AWS_ACCESS_KEY_ID}.
    pub access_key_id: At<String>,
    /// The secret that signatures are made with; better from outside: ${AWS_SECRET_ACCESS_KEY}.
    pub secret_access_key: At<String>,
    /// Belongs to a temporary key; better from outside: ${AWS_SESSION_TOKEN}. Default none.
    pub session_token: Option<At<String>>,
}

/// AWS IoT Core in an account of yours. Credentials come from where all AWS tools have them: environment, profile
/// files, web identity, container or instance.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Aws {
    /// The most messages over MQTT that a run, with all its repeats, may be expected to need; one that needs more
    /// is refused before anything is sent.
    #[schemars(range(min = 1))]
    pub max_messages: At<u64>,
    /// The host of the devices' endpoint, e.g. a1b2c3-ats.iot.eu-west-1.amazonaws.com. Default what
    /// DescribeEndpoint says (iot:Data-ATS).
    pub endpoint: Option<At<Text<HostName>>>,
    /// The region. Default that of the environment or profile.
    pub region: Option<At<Text<Region>>>,
    /// The account that the credentials have to be of; twelve digits, quoted. Default whatever it is.
    pub account: Option<At<Text<Account>>>,
}

/// The backend inside this program.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Embedded {
    /// Address of the MQTT listener; port 0 takes a free port. Default 127.0.0.1:0. With transport memory
    /// there is none.
    pub mqtt: Option<At<Text<ListenAddress>>>,
    /// Address of the HTTP listener; port 0 takes a free port. Default 127.0.0.1:0.
    pub http: Option<At<Text<ListenAddress>>>,
    /// What carries MQTT: tcp through sockets, memory through pipes within the program (no descriptors,
    /// no kernel; for very many devices). Default tcp.
    pub transport: Option<At<Transport>>,
    /// How long every MQTT packet is under way between a device and the backend: one way, each direction
    /// for itself, in order. Default 0s.
    pub link_delay: Option<At<Delay>>,
    /// ARNs are made from it. Default us-east-1.
    pub region: Option<At<Text<Region>>>,
    /// ARNs are made from it; twelve digits, quoted. Default "123456789012".
    pub account: Option<At<Text<Account>>>,
    /// What it does wrong by plan. Default nothing.
    pub faults: Option<At<Faults>>,
}

/// What carries MQTT between the devices and the embedded backend.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Sockets.
    Tcp,
    /// Pipes within the program.
    Memory,
}
