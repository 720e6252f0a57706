//! Flags that say what is tested, and from where, whatever the scenario says.

use std::net::IpAddr;
use std::path::Path;

use clap::Args;

use crate::exit::Exit;
use crate::run::{Options, Slice};
use crate::scenario::{Scenario, TargetFlag};

use super::aws;
use super::console::Console;

#[derive(Debug, Args)]
pub(super) struct TargetArguments {
    /// Test this instead of the scenario's target: `embedded`, or a broker and a Commands API with a comma
    /// between them (mqtt://host:port,http://host:port), and a second API for starts if there is one. Region
    /// and account stay the scenario's.
    #[arg(long, value_name = "TARGET", env = "FLEETSIM_TARGET")]
    target: Option<TargetFlag>,
    /// What `fleetsim devices` takes of the fleet.
    #[arg(skip)]
    pub slice: Slice,
    /// Connect the devices from these addresses of this machine in turn: one has about 28,000 ports. To
    /// loopback they are spread over 127.0.0.0/8 by themselves.
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',', env = "FLEETSIM_SOURCE_IP")]
    source_ip: Vec<IpAddr>,
    /// Do not try a target outside with a canary device first: one execution through each form of topic.
    #[arg(long, env = "FLEETSIM_NO_PROBE", value_parser = super::truth)]
    no_probe: bool,
    /// Agree to what a run against AWS (`target.aws`) costs. Without it the estimate is printed and nothing is sent.
    #[arg(long, env = "FLEETSIM_YES_AWS", value_parser = super::truth)]
    yes_aws: bool,
}

impl TargetArguments {
    /// The scenario against what the flags say; or says why that cannot be.
    pub fn apply(&self, scenario: &mut Scenario, console: Console) -> Result<(), Exit> {
        let Some(target) = &self.target else { return Ok(()) };
        scenario.retarget(target).map_err(|text| {
            console.err(&format!("error: {}: {text}", scenario.name));
            Exit::Data
        })
    }

    /// Whether so many runs of the scenario may begin, as far as its target costs money.
    pub fn agree(&self, path: &Path, scenario: &Scenario, times: u32, console: Console) -> Result<(), Exit> {
        aws::agree(path, scenario, times, self.yes_aws, console)
    }

    /// Passes the rest on.
    pub fn configure(&self, options: &mut Options) {
        options.slice = self.slice;
        options.probe = !self.no_probe;
        options.yes_aws = self.yes_aws;
        options.source_ips.clone_from(&self.source_ip);
    }
}
