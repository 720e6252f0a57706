//! Which devices an event of the timeline happens to. The draw is for the event's place in the file, so an
//! event added at the end changes no other.

use crate::scenario::{TimelineAction, TimelineEvent};
use crate::seed::Purpose;
use crate::units::{human_count, human_micros, micros};

use super::{DeviceId, Plan};

impl Plan {
    /// What happens at instants of the load, in the order of the file.
    pub fn timeline(&self) -> &[TimelineEvent] {
        &self.scenario.timeline
    }

    /// Whether the event of that place happens to a device.
    pub fn is_hit(&self, event: usize, device: DeviceId) -> bool {
        let Some(happens) = self.scenario.timeline.get(event) else { return false };
        if happens.action.is_of_backend() || !happens.groups.contains(&usize::from(device.group)) {
            return false;
        }
        let share = happens.share.fraction();
        let (_, subject) = self.subject(device);
        share >= 1.0 || self.seed.at(Purpose::Timeline, subject, event as u64).unit() < share
    }

    /// How many devices an event happens to.
    pub fn hit_count(&self, event: usize) -> u64 {
        let Some(happens) = self.scenario.timeline.get(event) else { return 0 };
        if happens.share.fraction() >= 1.0 && !happens.action.is_of_backend() {
            return happens.groups.iter().map(|group| u64::from(self.scenario.groups[*group].count)).sum();
        }
        self.devices().filter(|device| self.is_hit(event, *device)).count() as u64
    }

    /// The event of that place in words: `disconnect of 40 devices for 10s`.
    pub fn event_words(&self, event: usize) -> String {
        let Some(happens) = self.scenario.timeline.get(event) else { return String::new() };
        let mut words = vec![happens.action.name().to_owned()];
        if !happens.action.is_of_backend() {
            words.push(format!("of {} devices", human_count(self.hit_count(event))));
        }
        if let TimelineAction::Slow { times } = happens.action {
            words.push(format!("by {times}"));
        }
        if !happens.lasts.is_zero() {
            words.push(format!("for {}", human_micros(micros(happens.lasts))));
        }
        words.join(" ")
    }
}
