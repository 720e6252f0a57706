//! The last executions that were struck off: a copy of their request may still come.

use std::collections::{HashMap, VecDeque};

use crate::clock::Instant;
use crate::protocol::ExecutionId;
use crate::stats::Finding;

use super::Arrived;
use super::entry::{Entry, Origin};
use super::settle::{self, OPEN_MARGIN_US};

/// Executions whose copies are still told from new ones after they were struck off; about 6 MB.
const MAX_STRUCK: usize = 65_536;

/// What is still known of an execution that was struck off.
#[derive(Debug, Clone, Copy)]
pub(super) struct Struck {
    pub origin: Origin,
    pub planned: Instant,
    /// When its time-out had surely passed, and what the link held had arrived.
    pub timed_out: Instant,
    /// Whether its device ever held the request.
    pub held: bool,
}

/// The last ones, oldest out first.
#[derive(Debug, Default)]
pub(super) struct StruckOff {
    by_id: HashMap<ExecutionId, Struck>,
    order: VecDeque<ExecutionId>,
}

impl StruckOff {
    pub fn remember(&mut self, id: &ExecutionId, struck: Struck) {
        if self.order.len() == MAX_STRUCK
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_id.remove(&oldest);
        }
        self.by_id.insert(id.clone(), struck);
        self.order.push_back(id.clone());
    }

    pub fn get(&self, id: &ExecutionId) -> Option<Struck> {
        self.by_id.get(id).copied()
    }
}

impl Struck {
    pub fn of(entry: &Entry) -> Self {
        Self {
            origin: entry.origin,
            planned: entry.planned,
            timed_out: settle::deadline(entry).plus_micros(entry.link_us),
            held: entry.side.held.is_some(),
        }
    }

    /// What it means that its request comes only now, or again: a finding and whether it is legal.
    pub fn comes_now(&self, now: Instant, arrived: Arrived) -> Option<(Finding, bool)> {
        match arrived {
            // Its message expiry has passed: a broker must not deliver it any more. One that was on its
            // way when the time-out came is nobody's fault.
            Arrived::First { .. } if !self.held => {
                let late = now > self.timed_out.plus_micros(OPEN_MARGIN_US);
                late.then_some((Finding::Contradicted, false))
            }
            Arrived::Redelivered | Arrived::First { dup: true } => Some((Finding::Redelivered, true)),
            // Without DUP a copy has no excuse.
            Arrived::First { dup: false } | Arrived::Duplicated => Some((Finding::Duplicated, false)),
        }
    }
}
