//! The settings of the backends that tests and benchmarks start for themselves.

use fleetsim::backend::broker::Limits;
use fleetsim::backend::{Config, Faults, Hooks, Policy};
use fleetsim::clock::Clock;
use fleetsim::seed::Seed;

/// Of a backend without limits that goes wrong only as `hooks` say.
pub fn config(clock: Clock, hooks: Hooks) -> Config {
    Config {
        clock,
        seed: Seed(1),
        region: "us-east-1".to_owned(),
        account: "123456789012".to_owned(),
        policy: Policy::Open,
        limits: Limits::NONE,
        faults: Faults::default(),
        hooks,
    }
}
