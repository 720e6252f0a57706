//! What a person or a signal can ask of a run while it goes on.
//!
//! Stopping has two steps, as every well-behaved tool has: the first request stops the load and
//! drains within the grace period, the second ends at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// How far a stop has been asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Nobody asked.
    No,
    /// Stop sending, drain within the grace period, write everything.
    Drain,
    /// End at once, write what there is.
    Now,
}

/// The shared switchboard of one run; cheap to clone, polled once per tick by those who obey it.
#[derive(Debug, Clone, Default)]
pub struct Control {
    stop: Arc<AtomicU8>,
}

impl Control {
    /// Asks for the next step of stopping; returns what is asked for now.
    pub fn request_stop(&self) -> Stop {
        let step = match self.stop() {
            Stop::No => Stop::Drain,
            Stop::Drain | Stop::Now => Stop::Now,
        };
        self.stop.fetch_max(step as u8, Ordering::Relaxed);
        self.stop()
    }

    /// What has been asked for so far.
    pub fn stop(&self) -> Stop {
        match self.stop.load(Ordering::Relaxed) {
            0 => Stop::No,
            1 => Stop::Drain,
            _ => Stop::Now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_request_drains_and_the_second_ends() {
        let control = Control::default();
        assert_eq!(control.stop(), Stop::No);
        assert_eq!(control.request_stop(), Stop::Drain);
        assert_eq!(control.request_stop(), Stop::Now);
        assert_eq!(control.clone().request_stop(), Stop::Now);
    }
}
