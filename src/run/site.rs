//! Where a run takes place: the addresses of its target, and the embedded backend's handle if that is it.
//!
//! A target outside is looked up and knocked at once, before the first device connects: a wrong address
//! is one clear line then, and not a fleet that does not come up.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::backend;
use crate::clock::Clock;
use crate::driver::ApiAddress;
use crate::scenario::{Endpoint, Server};
use crate::transport::Address;

/// A server that takes longer to accept one connection would not take a fleet.
const KNOCK_WAIT: Duration = Duration::from_secs(5);

/// What the fleet and the driver need to know of their target.
#[derive(Debug, Clone)]
pub(super) struct Site {
    /// The broker.
    pub mqtt: Address,
    /// Where commands are created and executions read back.
    pub http: ApiAddress,
    /// Where executions are started.
    pub http_data: ApiAddress,
    /// Addresses of this machine to connect the devices from, in turn; empty: what the system takes.
    pub sources: Arc<[IpAddr]>,
    /// The embedded backend, if that is the target.
    pub backend: Option<backend::Handle>,
}

/// Why a target cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// Its name means nothing here.
    #[error("cannot find the address of {server} (`target.endpoint.{key}`): {cause}; correct the name")]
    Unknown {
        /// As the scenario names it.
        server: Server,
        /// Where it stands in the scenario.
        key: &'static str,
        /// What the system says.
        cause: io::Error,
    },
    /// Nobody answers there.
    #[error(
        "nobody answers at {server} (`target.endpoint.{key}`): {cause}; start the backend, or correct the address"
    )]
    Silent {
        /// As the scenario names it.
        server: Server,
        /// Where it stands in the scenario.
        key: &'static str,
        /// What the system says.
        cause: io::Error,
    },
}

impl Site {
    /// The embedded backend.
    pub fn embedded<Home>(backend: &backend::Running<Home>) -> Self {
        let http = ApiAddress::from(backend.http.clone());
        let handle = Some(backend.handle.clone());
        Self {
            mqtt: backend.mqtt.clone(),
            http_data: http.clone(),
            http,
            sources: Arc::default(),
            backend: handle,
        }
    }

    /// A target outside, once all its servers have taken a connection.
    pub async fn outside(endpoint: &Endpoint, clock: Clock) -> Result<Self, SiteError> {
        let mqtt = find(&endpoint.mqtt, "mqtt", clock).await?;
        let http = find(&endpoint.http, "http", clock).await?;
        let credentials = endpoint.credentials.clone().map(Arc::new);
        let http = ApiAddress { address: http, host: endpoint.http.to_string(), credentials };
        let http_data = match &endpoint.http_data {
            Some(data) => ApiAddress {
                address: find(data, "http_data", clock).await?,
                host: data.to_string(),
                credentials: http.credentials.clone(),
            },
            None => http.clone(),
        };
        Ok(Self { mqtt, http, http_data, sources: Arc::default(), backend: None })
    }
}

/// The first of a server's addresses that takes a connection.
async fn find(server: &Server, key: &'static str, clock: Clock) -> Result<Address, SiteError> {
    let unknown = |cause| SiteError::Unknown { server: server.clone(), key, cause };
    let addresses = tokio::net::lookup_host((server.host.as_str(), server.port)).await.map_err(unknown)?;
    let mut failed = None;
    for address in addresses.map(Address::Tcp) {
        let until = clock.now().plus(KNOCK_WAIT);
        match clock.timeout_at(until, address.connect()).await {
            Some(Ok(_)) => return Ok(address),
            Some(Err(cause)) => failed = failed.or(Some(cause)),
            None => failed = failed.or_else(|| Some(too_slow())),
        }
    }
    Err(match failed {
        Some(cause) => SiteError::Silent { server: server.clone(), key, cause },
        None => unknown(io::Error::other("the name has no address")),
    })
}

fn too_slow() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {}s", KNOCK_WAIT.as_secs()))
}
