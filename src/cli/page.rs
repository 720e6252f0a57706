//! `--web`: the live page of a run, told to whoever started it.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;
use clap::builder::FalseyValueParser;

use crate::clock::{Clock, Instant, VIRTUAL_WALL_BASE_US};
use crate::control::Control;
use crate::exit::Exit;
use crate::report::{RunResult, Running};
use crate::run::{self, Snapshots};
use crate::scenario::Scenario;
use crate::web::page::{Page, Permission, Unserved};
use crate::web::{Watched, metrics};

use super::console::Console;

/// Whether there is a page, and what it may.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct PageArguments {
    /// Serve a live page of the run, the report as it comes about, and print its address; it ends with the run. Only
    /// this machine can see it, unless another address is given.
    #[arg(
        long,
        value_name = "ADDRESS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "127.0.0.1:0",
        help_heading = "Live page",
        env = "FLEETSIM_WEB"
    )]
    web: Option<SocketAddr>,
    /// Let whoever opens the printed address pause the run, change its rate and stop it from the page.
    #[arg(
        long,
        requires = "web",
        help_heading = "Live page",
        env = "FLEETSIM_WEB_CONTROL",
        value_parser = FalseyValueParser::new()
    )]
    web_control: bool,
}

/// The page of a run that goes on.
pub(super) struct Opened {
    page: Page,
    /// What to open, with the token if there is one.
    pub address: String,
}

impl PageArguments {
    /// Where it is asked for.
    pub fn address(&self) -> Option<SocketAddr> {
        self.web
    }

    /// Whether somebody can pause and resume a run from it.
    pub fn can_steer(&self) -> bool {
        self.web.is_some() && self.web_control
    }

    /// Starts the page, if there is to be one, and says where it is.
    pub fn start(
        &self,
        scenario: &Arc<Scenario>,
        seed: u64,
        is_virtual: bool,
        snapshots: &Snapshots,
        control: &Control,
        console: Console,
    ) -> Result<Option<Opened>, Exit> {
        let Some(address) = self.web else { return Ok(None) };
        let failed = |error: io::Error| {
            console.err(&format!("error: cannot serve the live page at {address}: {error}"));
            Exit::Unavailable
        };
        let token = self.web_control.then(token).transpose().map_err(failed)?;
        let started_ms = Clock::start().wall_millis(Instant::START);
        let base_ms = is_virtual.then_some(VIRTUAL_WALL_BASE_US / 1000);
        let running = Running::new(Arc::clone(scenario), seed, base_ms, started_ms, run::environment());
        let permission = token.clone().map(|token| Permission { control: control.clone(), token });
        let watched =
            Watched { scenario: Arc::clone(scenario), seed, is_virtual, snapshots: snapshots.clone() };
        let page = Page::start(address, running, snapshots.clone(), permission, metrics::routes(watched))
            .map_err(failed)?;
        if !address.ip().is_loopback() {
            console.err(&format!(
                "warning: everybody who reaches {address} can see this run, and it is not encrypted on its way"
            ));
        }
        let (address, note) = match token {
            Some(token) => {
                (format!("{}#token={token}", page.url()), " (who has this address can steer the run)")
            }
            None => (page.url(), ""),
        };
        console.err(&format!("page: {address}{note}"));
        Ok(Some(Opened { page, address }))
    }
}

/// The run is over: browsers get its report and keep it, the page itself ends.
pub(super) fn finish(opened: Option<Opened>, result: &RunResult, console: Console) {
    let Some(opened) = opened else { return };
    let Unserved { slow, missed } = opened.page.finish(result.clone());
    if slow > 0 {
        console.err(&format!("page: browsers were let go {slow} times because they took updates too slowly"));
    }
    if missed > 0 {
        console.err(&format!(
            "page: browsers that did not take the report in time: {missed}; --html writes it to a file"
        ));
    }
}

/// 128 bits that nobody can guess, in hex.
fn token() -> io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let mut token = String::new();
    for byte in bytes {
        write!(token, "{byte:02x}").expect("writing to a String cannot fail");
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_and_differ() {
        let (one, other) = (token().unwrap(), token().unwrap());
        assert!(one.len() == 32 && one != other, "{one} {other}");
    }
}
