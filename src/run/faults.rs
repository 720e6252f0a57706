//! The faults of a scenario in the embedded backend's own terms: it knows nothing of scenarios.

use crate::backend;
use crate::scenario::{CallFaults, Faults};
use crate::units::Share;

pub(super) fn of_scenario(faults: &Faults) -> backend::Faults {
    backend::Faults {
        start: call(&faults.start),
        get: call(&faults.get),
        create: call(&faults.create),
        requests: backend::RequestFaults {
            dropped: faults.publishes.dropped.map_or(0.0, Share::fraction),
            delayed: faults.publishes.delayed.as_ref().map(|(share, by)| (share.fraction(), by.clone())),
        },
    }
}

fn call(faults: &CallFaults) -> backend::CallFaults {
    backend::CallFaults {
        latency: faults.latency.clone(),
        errors: faults.errors.iter().map(|(kind, share)| (*kind, share.fraction())).collect(),
        rate: faults.rate,
    }
}
