//! A device's QoS 1 publishes on their way: how many the broker takes at a time (MQTT 5, 4.9), and what a
//! kept session has to send again after a reconnect (4.4 of both standards).
//!
//! Costs a device eight bytes and a pointer; what is kept or withheld is boxed when there is any.

use std::collections::VecDeque;

use crate::mqtt::PacketId;

/// Updates that wait for the broker's window at the most. A device has at most three under way; only a
/// broker that acknowledges nothing lets more wait, while the device gives up one reply after the other.
const MAX_WITHHELD: usize = 64;
/// Updates of a kept session that are remembered until they are acknowledged.
const MAX_COPIES: usize = 64;
/// The DUP flag in the first byte of a PUBLISH (section 3.3.1.1).
const DUP: u8 = 0b1000;

/// Publishes that are not acknowledged yet, or not sent yet.
#[derive(Debug, Default)]
pub(super) struct Publishes {
    packet_id: u16,
    unacknowledged: u16,
    /// The broker's receive maximum; 0 = as many as there are packet ids.
    window: u16,
    /// The largest packet the broker takes; 0 = any.
    largest: u32,
    waiting: Option<Box<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Sent and not acknowledged, in a session that is kept.
    copies: VecDeque<(PacketId, Box<[u8]>)>,
    /// Not sent yet.
    withheld: VecDeque<(PacketId, Box<[u8]>)>,
}

/// Why a publish does not go out at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotSent {
    /// It is larger than what the broker takes.
    TooLarge,
    /// Too many wait for the broker already.
    TooMany,
}

impl NotSent {
    /// What is counted.
    pub const fn name(self) -> &'static str {
        match self {
            NotSent::TooLarge => "updates larger than the broker takes",
            NotSent::TooMany => "updates the broker leaves unacknowledged",
        }
    }
}

impl Publishes {
    /// The id of the next publish.
    pub fn next_id(&mut self) -> PacketId {
        self.packet_id = self.packet_id.checked_add(1).unwrap_or(1);
        PacketId::new(self.packet_id).unwrap_or(PacketId::FIRST)
    }

    /// A PUBLISH was appended to `out` from `start` on: leaves it there, or takes it out if it has to
    /// wait or cannot be sent. `kept`: it is sent again if the connection ends before its PUBACK.
    pub fn appended(
        &mut self,
        id: PacketId,
        out: &mut Vec<u8>,
        start: usize,
        kept: bool,
    ) -> Result<(), NotSent> {
        let size = out.len().saturating_sub(start);
        if self.largest > 0 && u32::try_from(size).is_ok_and(|size| size > self.largest) {
            out.truncate(start);
            return Err(NotSent::TooLarge);
        }
        if self.window > 0 && self.unacknowledged >= self.window {
            let waiting = self.waiting.get_or_insert_default();
            let bytes = out.drain(start..).collect();
            if waiting.withheld.len() >= MAX_WITHHELD {
                return Err(NotSent::TooMany);
            }
            waiting.withheld.push_back((id, bytes));
            return Ok(());
        }
        self.unacknowledged = self.unacknowledged.saturating_add(1);
        if kept {
            let waiting = self.waiting.get_or_insert_default();
            if waiting.copies.len() >= MAX_COPIES {
                // The oldest has waited for MAX_COPIES later ones: the broker has lost it.
                waiting.copies.pop_front();
            }
            waiting.copies.push_back((id, out.get(start..).unwrap_or_default().into()));
        }
        Ok(())
    }

    /// A PUBACK: the next that waits goes out.
    pub fn acknowledged(&mut self, id: PacketId, out: &mut Vec<u8>, kept: bool) {
        self.unacknowledged = self.unacknowledged.saturating_sub(1);
        let Some(waiting) = &mut self.waiting else { return };
        if let Some(place) = waiting.copies.iter().position(|(copy, _)| *copy == id) {
            waiting.copies.remove(place);
        }
        if let Some((id, bytes)) = waiting.withheld.pop_front() {
            out.extend_from_slice(&bytes);
            self.unacknowledged = self.unacknowledged.saturating_add(1);
            if kept {
                waiting.copies.push_back((id, bytes));
            }
        }
        if waiting.copies.is_empty() && waiting.withheld.is_empty() {
            self.waiting = None;
        }
    }

    /// A connection begins. In a session that goes on (`resumed`) everything unacknowledged is sent
    /// again, marked DUP; in a new one the device has nothing under way.
    pub fn connected(&mut self, resumed: bool, window: u16, largest: u32, out: &mut Vec<u8>) {
        (self.unacknowledged, self.window, self.largest) = (0, window, largest);
        let Some(waiting) = self.waiting.take().filter(|_| resumed) else { return };
        let Waiting { copies, withheld } = *waiting;
        let marked = copies.into_iter().map(|(id, mut bytes)| {
            if let Some(first) = bytes.first_mut() {
                *first |= DUP;
            }
            (id, bytes)
        });
        let mut waiting = Waiting::default();
        for (id, bytes) in marked.chain(withheld) {
            if window > 0 && self.unacknowledged >= window {
                waiting.withheld.push_back((id, bytes));
            } else {
                out.extend_from_slice(&bytes);
                self.unacknowledged = self.unacknowledged.saturating_add(1);
                waiting.copies.push_back((id, bytes));
            }
        }
        self.waiting = Some(Box::new(waiting));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Appends a publish of five bytes that end with its number; what went out is returned.
    fn send(publishes: &mut Publishes, kept: bool) -> (PacketId, Result<(), NotSent>, Vec<u8>) {
        let id = publishes.next_id();
        let mut out = vec![0xff];
        out.extend_from_slice(&[0x32, 0, 0, 0, u8::try_from(id.get()).unwrap()]);
        let sent = publishes.appended(id, &mut out, 1, kept);
        assert_eq!(out.remove(0), 0xff, "what was there before stays");
        (id, sent, out)
    }

    fn bytes(first: u8, number: u8) -> Vec<u8> {
        vec![first, 0, 0, 0, number]
    }

    #[test]
    fn without_a_window_everything_goes_out_and_nothing_is_kept() {
        let mut publishes = Publishes::default();
        for n in 1..=100 {
            let (id, sent, out) = send(&mut publishes, false);
            assert_eq!((id.get(), sent, out), (n.into(), Ok(()), bytes(0x32, n)));
        }
        assert!(publishes.waiting.is_none());
    }

    #[test]
    fn a_full_window_withholds_until_an_acknowledgement_makes_room() {
        let mut publishes = Publishes::default();
        publishes.connected(false, 1, 0, &mut Vec::new());
        let (first, _, out) = send(&mut publishes, false);
        assert_eq!(out.len(), 5);
        for _ in 0..MAX_WITHHELD {
            assert_eq!((send(&mut publishes, false).1, send_len(&publishes)), (Ok(()), 1));
        }
        let (_, sent, out) = send(&mut publishes, false);
        assert_eq!((sent, out.len()), (Err(NotSent::TooMany), 0));
        let mut out = Vec::new();
        publishes.acknowledged(first, &mut out, false);
        assert_eq!(out, bytes(0x32, 2), "one goes out for one that was acknowledged, in order");
    }

    fn send_len(publishes: &Publishes) -> u16 {
        publishes.unacknowledged
    }

    #[test]
    fn what_is_larger_than_the_broker_takes_is_not_sent() {
        let mut publishes = Publishes::default();
        publishes.connected(false, 0, 4, &mut Vec::new());
        let (_, sent, out) = send(&mut publishes, false);
        assert_eq!((sent, out.len()), (Err(NotSent::TooLarge), 0));
        publishes.connected(false, 0, 5, &mut Vec::new());
        assert_eq!(send(&mut publishes, false).1, Ok(()));
    }

    #[test]
    fn a_session_that_goes_on_sends_again_what_was_not_acknowledged() {
        for (resumed, window, again) in [(true, 0, 2), (true, 1, 1), (false, 0, 0)] {
            let mut publishes = Publishes::default();
            let sent = [(); 3].map(|()| send(&mut publishes, true));
            assert!(sent.iter().all(|(_, sent, _)| sent.is_ok()));
            publishes.acknowledged(sent[0].0, &mut Vec::new(), true);
            let mut out = Vec::new();
            publishes.connected(resumed, window, 0, &mut out);
            let expected = [bytes(0x3a, 2), bytes(0x3a, 3)].concat();
            assert_eq!(out, expected[..5 * again], "resumed {resumed}, window {window}");
            // Acknowledged after all, the rest follows, and nothing is remembered.
            publishes.acknowledged(PacketId::new(2).unwrap(), &mut out, true);
            publishes.acknowledged(PacketId::new(3).unwrap(), &mut out, true);
            assert_eq!(out.len(), if resumed { 10 } else { 0 });
            assert!(publishes.waiting.is_none());
        }
    }
}
