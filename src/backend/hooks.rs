//! Fault injection for tests: what a backend can be told to do wrong.
//!
//! The faults of scenarios come later and are their own subject; these are for proving that a
//! measurement sees what it should see.

use crate::clock::Instant;
use crate::protocol::{ApiError, ExecutionId, Update};

/// Decides whether a request is published.
pub type OnRequest = Box<dyn FnMut(&ExecutionId) -> bool + Send>;
/// Decides whether a start is answered with an error.
pub type OnStart = Box<dyn FnMut() -> Option<ApiError> + Send>;
/// Changes an update before it is applied.
pub type OnUpdate = Box<dyn FnMut(&ExecutionId, &mut Update) + Send>;
/// Hears of an execution that the timer ended: its deadline, and when that was.
pub type OnTimeOut = Box<dyn FnMut(Instant, Instant) + Send>;

/// Called under the backend's lock, so they must be quick and must not call the backend.
#[derive(Default)]
#[doc(hidden)]
pub struct Hooks {
    /// `false`: the request's publish is dropped.
    pub on_request: Option<OnRequest>,
    /// `Some`: the start is answered with it.
    pub on_start: Option<OnStart>,
    /// What the record of an update says instead.
    pub on_update: Option<OnUpdate>,
    /// How punctual the timer is.
    pub on_time_out: Option<OnTimeOut>,
}

impl Hooks {
    pub(super) fn publishes(&mut self, id: &ExecutionId) -> bool {
        self.on_request.as_mut().is_none_or(|hook| hook(id))
    }

    pub(super) fn changes(&mut self, id: &ExecutionId, update: &mut Update) {
        if let Some(hook) = &mut self.on_update {
            hook(id, update);
        }
    }

    pub(super) fn timed_out(&mut self, deadline: Instant, now: Instant) {
        if let Some(hook) = &mut self.on_time_out {
            hook(deadline, now);
        }
    }

    pub(super) fn refuses_start(&mut self) -> Option<ApiError> {
        self.on_start.as_mut().and_then(|hook| hook())
    }
}
