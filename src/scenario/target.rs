//! What is tested: the embedded backend, or a pair of servers somewhere else.

use std::fmt;
use std::net::Ipv6Addr;

use super::Embedded;

/// What is tested.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// The backend inside this program.
    Embedded(Embedded),
    /// Any compatible pair of MQTT and HTTP.
    Endpoint(Endpoint),
}

/// A backend that runs somewhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its broker.
    pub mqtt: Server,
    /// Its Commands API.
    pub http: Server,
    /// Where executions are started, if that is another server, as it is at AWS.
    pub http_data: Option<Server>,
    /// ARNs are made from it.
    pub region: String,
    /// ARNs are made from it; twelve digits.
    pub account: String,
}

/// The region of ARNs where none is given.
pub const DEFAULT_REGION: &str = "us-east-1";
/// The account of ARNs where none is given.
pub const DEFAULT_ACCOUNT: &str = "123456789012";

/// A server by name or address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// A name, or an address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Target {
    /// The region of its ARNs.
    pub fn region(&self) -> &str {
        match self {
            Target::Embedded(embedded) => &embedded.region,
            Target::Endpoint(endpoint) => &endpoint.region,
        }
    }

    /// The account of its ARNs.
    pub fn account(&self) -> &str {
        match self {
            Target::Embedded(embedded) => &embedded.account,
            Target::Endpoint(endpoint) => &endpoint.account,
        }
    }

    /// Its key in a scenario.
    pub const fn key(&self) -> &'static str {
        match self {
            Target::Embedded(_) => "embedded",
            Target::Endpoint(_) => "endpoint",
        }
    }

    /// The settings of the embedded backend; `None` for a target outside.
    pub const fn embedded(&self) -> Option<&Embedded> {
        match self {
            Target::Embedded(embedded) => Some(embedded),
            Target::Endpoint(_) => None,
        }
    }
}

impl Endpoint {
    /// Where executions are started.
    pub fn data(&self) -> &Server {
        self.http_data.as_ref().unwrap_or(&self.http)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.parse::<Ipv6Addr>().is_ok() {
            write!(f, "[{host}]:{port}")
        } else {
            write!(f, "{host}:{port}")
        }
    }
}
