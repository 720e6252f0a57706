//! What a person or a signal can ask of a run while it goes on.
//!
//! Stopping has two steps, as every well-behaved tool has: the first request stops the load and
//! drains within the grace period, the second ends at once. Before that the load can be paused and
//! played faster or slower ([`Tempo`]). All of it is only asked for here: who leads the run polls it,
//! and a snapshot says what is in force.

mod tempo;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

pub use tempo::Tempo;

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

/// The shared switchboard of one run; cheap to clone, polled once per tick by those who obey it. Every
/// request is one atomic step, so a screen, a page and a signal can all ask at once.
#[derive(Debug, Clone, Default)]
pub struct Control {
    switches: Arc<Switches>,
}

#[derive(Debug)]
struct Switches {
    stop: AtomicU8,
    /// A [`Tempo`] as bits.
    tempo: AtomicU32,
}

impl Default for Switches {
    fn default() -> Self {
        Self { stop: AtomicU8::new(Stop::No as u8), tempo: AtomicU32::new(Tempo::PLANNED.to_bits()) }
    }
}

impl Control {
    /// Asks for the next step of stopping; returns what is asked for now.
    pub fn request_stop(&self) -> Stop {
        let step = match self.stop() {
            Stop::No => Stop::Drain,
            Stop::Drain | Stop::Now => Stop::Now,
        };
        self.switches.stop.fetch_max(step as u8, Ordering::Relaxed);
        self.stop()
    }

    /// What has been asked for so far.
    pub fn stop(&self) -> Stop {
        match self.switches.stop.load(Ordering::Relaxed) {
            0 => Stop::No,
            1 => Stop::Drain,
            _ => Stop::Now,
        }
    }

    /// Asks for the load to wait: nothing more falls due until it goes on. Answers still flow.
    pub fn pause(&self) -> Tempo {
        self.change(|tempo| Tempo { paused: true, ..tempo })
    }

    /// Asks for the load to go on, at the rate it had.
    pub fn resume(&self) -> Tempo {
        self.change(|tempo| Tempo { paused: false, ..tempo })
    }

    /// Pauses what goes on, and the other way round.
    pub fn toggle_pause(&self) -> Tempo {
        self.change(|tempo| Tempo { paused: !tempo.paused, ..tempo })
    }

    /// Asks for the load to be played at so many percent of the plan's speed; 100 is the plan. What is out
    /// of bounds ([`Tempo::MIN_PERCENT`], [`Tempo::MAX_PERCENT`]) becomes the nearest that is not.
    pub fn set_rate(&self, percent: u32) -> Tempo {
        self.change(|tempo| tempo.at_rate(percent))
    }

    /// Asks for the rate so many steps of ten percent faster, or slower; up and down again is where it was.
    pub fn change_rate(&self, steps: i32) -> Tempo {
        self.change(|tempo| tempo.stepped(steps))
    }

    /// What is asked for; what is in force stands in the snapshot.
    pub fn tempo(&self) -> Tempo {
        Tempo::from_bits(self.switches.tempo.load(Ordering::Relaxed))
    }

    /// Asks for exactly this.
    pub fn set_tempo(&self, tempo: Tempo) -> Tempo {
        self.change(|_| tempo.at_rate(tempo.rate_percent))
    }

    /// Puts back what cannot be had, unless something else has been asked for meanwhile.
    pub fn refuse(&self, asked: Tempo, in_force: Tempo) {
        let (asked, in_force) = (asked.to_bits(), in_force.to_bits());
        // Whoever was quicker has asked for something else, which is looked at next.
        self.switches.tempo.compare_exchange(asked, in_force, Ordering::Relaxed, Ordering::Relaxed).ok();
    }

    /// Returns what is asked for from now on.
    fn change(&self, change: impl Fn(Tempo) -> Tempo) -> Tempo {
        let mut before = self.switches.tempo.load(Ordering::Relaxed);
        loop {
            let after = change(Tempo::from_bits(before));
            let exchanged = self.switches.tempo.compare_exchange_weak(
                before,
                after.to_bits(),
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            match exchanged {
                Ok(_) => return after,
                Err(other) => before = other,
            }
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

    #[test]
    fn pause_and_rate_are_asked_for_apart_and_seen_by_every_clone() {
        let control = Control::default();
        let other = control.clone();
        assert_eq!(control.tempo(), Tempo::PLANNED);
        assert_eq!(control.pause(), Tempo { paused: true, rate_percent: 100 });
        assert_eq!(control.change_rate(2), Tempo { paused: true, rate_percent: 121 });
        assert_eq!(other.toggle_pause(), Tempo { paused: false, rate_percent: 121 });
        assert_eq!(other.set_rate(100), Tempo::PLANNED);
        assert_eq!(other.toggle_pause(), control.tempo());
        assert_eq!(control.resume(), Tempo::PLANNED);
        assert_eq!((control.set_rate(0).rate_percent, control.set_rate(u32::MAX).rate_percent), (10, 1000));
        assert_eq!(control.stop(), Stop::No, "a tempo stops nothing");
    }

    #[test]
    fn what_is_refused_is_put_back_unless_something_else_was_asked_for() {
        let control = Control::default();
        let asked = control.pause();
        control.refuse(asked, Tempo::PLANNED);
        assert_eq!(control.tempo(), Tempo::PLANNED);
        let asked = control.pause();
        let newer = control.change_rate(1);
        control.refuse(asked, Tempo::PLANNED);
        assert_eq!(control.tempo(), newer);
        assert_eq!(control.set_tempo(Tempo { paused: false, rate_percent: 5 }).rate_percent, 10);
    }
}
