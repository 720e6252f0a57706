//! What is tested: the embedded backend, or a pair of servers somewhere else.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use super::written::{HttpUrl, MqttUrl, Written as _};
use super::{Credentials, Embedded, Scenario, Via, check};

/// What is tested.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// The backend inside this program.
    Embedded(Embedded),
    /// Any compatible pair of MQTT and HTTP.
    Endpoint(Endpoint),
    /// AWS IoT Core.
    Aws(Aws),
}

/// AWS IoT Core, in the account of whoever runs this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aws {
    /// The most messages over MQTT that a run may be expected to need.
    pub max_messages: u64,
    /// The host that devices connect to; `None`: what DescribeEndpoint says.
    pub endpoint: Option<String>,
    /// `None`: that of the environment or profile.
    pub region: Option<String>,
    /// What the credentials have to be of; `None`: whatever they are of.
    pub account: Option<String>,
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
    /// What requests are signed with, if anybody checks that.
    pub credentials: Option<Credentials>,
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
    /// The region of its ARNs. At AWS it may not be known before the run; the default stands for it until then.
    pub fn region(&self) -> &str {
        match self {
            Target::Embedded(embedded) => &embedded.region,
            Target::Endpoint(endpoint) => &endpoint.region,
            Target::Aws(aws) => aws.region.as_deref().unwrap_or(DEFAULT_REGION),
        }
    }

    /// The account of its ARNs; at AWS as with the region.
    pub fn account(&self) -> &str {
        match self {
            Target::Embedded(embedded) => &embedded.account,
            Target::Endpoint(endpoint) => &endpoint.account,
            Target::Aws(aws) => aws.account.as_deref().unwrap_or(DEFAULT_ACCOUNT),
        }
    }

    /// Its key in a scenario.
    pub const fn key(&self) -> &'static str {
        match self {
            Target::Embedded(_) => "embedded",
            Target::Endpoint(_) => "endpoint",
            Target::Aws(_) => "aws",
        }
    }

    /// The settings of the embedded backend; `None` for a target outside.
    pub const fn embedded(&self) -> Option<&Embedded> {
        match self {
            Target::Embedded(embedded) => Some(embedded),
            Target::Endpoint(_) | Target::Aws(_) => None,
        }
    }
}

/// A target as a flag of the command line names it: `embedded`, or `mqtt://…,http://…` and a second API for
/// starts if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetFlag {
    /// The backend inside this program.
    Embedded,
    /// Servers elsewhere.
    Endpoint {
        /// The broker.
        mqtt: Server,
        /// The Commands API.
        http: Server,
        /// Where executions are started.
        http_data: Option<Server>,
    },
}

impl FromStr for TargetFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "embedded" {
            return Ok(Self::Embedded);
        }
        let urls: Vec<&str> = text.split(',').map(str::trim).collect();
        let (mqtt, http, http_data) = match urls[..] {
            [mqtt, http] => (mqtt, http, None),
            [mqtt, http, data] => (mqtt, http, Some(data)),
            _ => {
                return Err(
                    "it is `embedded`, or mqtt://host:port,http://host:port with an optional third URL for starts"
                        .to_owned(),
                );
            }
        };
        Ok(Self::Endpoint {
            mqtt: MqttUrl::read(mqtt)?.0,
            http: HttpUrl::read(http)?.0,
            http_data: http_data.map(HttpUrl::read).transpose()?.map(|url| url.0),
        })
    }
}

impl Scenario {
    /// Tests another target, in the same region and account; or says why this scenario cannot.
    pub fn retarget(&mut self, flag: &TargetFlag) -> Result<(), String> {
        let (region, account) = (self.target.region().to_owned(), self.target.account().to_owned());
        match flag {
            TargetFlag::Embedded if self.target.embedded().is_some() => {}
            TargetFlag::Embedded => {
                self.target = Target::Embedded(Embedded { region, account, ..check::standard_embedded() });
            }
            TargetFlag::Endpoint { .. } if self.driver.via == Via::Direct => {
                let text = "`driver.via: direct` calls the embedded backend within the program; a target outside is \
                            reached over HTTP only";
                return Err(text.to_owned());
            }
            TargetFlag::Endpoint { mqtt, http, http_data } => {
                let (mqtt, http, http_data) = (mqtt.clone(), http.clone(), http_data.clone());
                // A signature is good for the server that it names alone, so they may go along.
                let credentials = match &mut self.target {
                    Target::Endpoint(endpoint) => endpoint.credentials.take(),
                    Target::Embedded(_) | Target::Aws(_) => None,
                };
                let endpoint = Endpoint { mqtt, http, http_data, region, account, credentials };
                self.target = Target::Endpoint(endpoint);
            }
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Variables, parse};

    fn scenario(top: &str) -> Scenario {
        let text = format!(
            "version: 1\nname: n\n{top}groups: {{ g: {{ behavior: {{ delay: 1ms }} }} }}\n\
             workloads: {{ w: {{ command: {{ name: c }}, load: {{ arrival_rate: {{ stages: [{{ rate: 1/s, duration: 1s }}] }} }} }} }}\n"
        );
        parse("n.yaml", &text, &Variables::default()).unwrap()
    }

    #[test]
    fn a_flag_moves_a_scenario_to_another_target_in_the_same_account() {
        let mut scenario =
            scenario("target: { embedded: { region: eu-west-1, account: \"000000000001\" } }\n");
        let embedded = scenario.clone();
        scenario.retarget(&"mqtt://broker:1,http://api,http://data:8".parse().unwrap()).unwrap();
        assert_eq!(scenario.target_words(), "endpoint mqtt://broker:1");
        assert_eq!((scenario.target.region(), scenario.target.account()), ("eu-west-1", "000000000001"));
        let Target::Endpoint(endpoint) = &scenario.target else { panic!("{:?}", scenario.target) };
        assert_eq!(
            (endpoint.http.to_string(), endpoint.data().to_string()),
            ("api:80".into(), "data:8".into())
        );
        scenario.retarget(&TargetFlag::Embedded).unwrap();
        assert_eq!(scenario, embedded);
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for (text, part) in [
            ("mqtt://a", "mqtt://host:port,http://host:port"),
            ("http://a,mqtt://b", "URL of an MQTT broker"),
            ("mqtt://a,http://b/c", "without a path"),
            ("mqtts://a,http://b", "TLS"),
        ] {
            let error = text.parse::<TargetFlag>().unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
        let mut direct = scenario("driver: { via: direct }\n");
        let error = direct.retarget(&"mqtt://a,http://b".parse().unwrap()).unwrap_err();
        assert!(error.contains("`driver.via: direct`"), "{error}");
    }
}
