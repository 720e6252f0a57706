//! How many devices of a shard are online, without walking over them.

use std::cell::{Cell, RefCell};

/// Counts that change when a device's subscription begins or ends.
#[derive(Debug)]
pub(super) struct Gauges {
    online: RefCell<Vec<u64>>,
    ever_online: Cell<u64>,
}

impl Gauges {
    pub fn new(groups: usize) -> Self {
        Self { online: RefCell::new(vec![0; groups]), ever_online: Cell::new(0) }
    }

    pub fn came_online(&self, group: u16, first_time: bool) {
        self.online.borrow_mut()[usize::from(group)] += 1;
        self.ever_online.set(self.ever_online.get() + u64::from(first_time));
    }

    pub fn went_offline(&self, group: u16) {
        let mut online = self.online.borrow_mut();
        let count = &mut online[usize::from(group)];
        *count = count.saturating_sub(1);
    }

    pub fn online(&self) -> Vec<u64> {
        self.online.borrow().clone()
    }

    /// Over all groups.
    pub fn online_now(&self) -> u64 {
        self.online.borrow().iter().sum()
    }

    pub fn ever_online(&self) -> u64 {
        self.ever_online.get()
    }
}
