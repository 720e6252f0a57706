//! How an answer is made to fit the client: its version, the largest packet it takes, and whether it wants
//! reasons in words.

use super::{End, Peer};
use crate::backend::broker::Host;
use crate::mqtt::encode::{self, EncodeError};
use crate::mqtt::{Disconnect, ReasonCode, Version, Violation};

/// The CONNACK of MQTT 5 with reason 0x84, "unsupported protocol version", and no properties: the one a
/// client of a later version understands (MQTT 5, 3.1.2.2).
const LATER_VERSION_REFUSAL: [u8; 5] = [0x20, 3, 0, 0x84, 0];

impl<H: Host> Peer<H> {
    /// Appends an answer, with `words` if the client wants them and they fit. An answer that does not fit
    /// the client at all must not be sent ([MQTT-3.1.2-24]), and without it the exchange cannot go on.
    pub(super) fn answer(
        &mut self,
        words: Option<&str>,
        write: impl Fn(&mut Vec<u8>, Version, Option<&str>) -> Result<(), EncodeError>,
    ) -> Result<(), End> {
        let words = words.filter(|_| self.said.wants_words || self.attached.is_none());
        if (words.is_some() && self.fits(words, &write)) || self.fits(None, &write) {
            Ok(())
        } else {
            Err(End::Gone)
        }
    }

    /// Tells a client of MQTT 5 why its connection ends; 3.1.1 has no such packet. The words are for every
    /// client, whatever it said about other packets (MQTT 5, 3.1.2.11.7).
    pub(super) fn last_word(&mut self, reason: ReasonCode, words: Option<&str>) {
        if self.said.version == Version::V5 && self.attached.is_some() {
            let write = |out: &mut Vec<u8>, version, reason_string: Option<&str>| {
                encode::disconnect(out, version, &Disconnect { reason_string, ..Disconnect::new(reason) })
            };
            if !(words.is_some() && self.fits(words, &write)) {
                // What does not even fit without words is better not said.
                self.fits(None, &write);
            }
        }
    }

    /// The end of a connection whose client has sent what it must not.
    pub(super) fn violated(&mut self, violation: Violation) -> End {
        self.tally.violated(violation);
        self.last_word(violation.reason(), Some(&violation.to_string()));
        End::Violation
    }

    /// The end of a connection whose client has sent more than the limits allow.
    pub(super) fn over_limit(&mut self, reason: ReasonCode) -> End {
        self.tally.over_limit.add(1);
        self.last_word(reason, Some("the limits of this broker do not allow it"));
        End::Violation
    }

    /// The end that a violation of the codec leads to; `version` is what the client was about to speak.
    /// Before the session, a client that has begun a CONNECT is answered with a CONNACK.
    pub(in crate::backend::broker::connection) fn answer_violation(
        &mut self,
        violation: Violation,
        version: Version,
    ) -> End {
        if self.attached.is_some() {
            return self.violated(violation);
        }
        match (violation, version) {
            (Violation::UnsupportedLevel(level), _) if level > 5 => {
                self.out.buffer().extend_from_slice(&LATER_VERSION_REFUSAL);
                self.tally.refused_connects.add(1);
                End::Refused
            }
            (Violation::UnsupportedLevel(_), _) => {
                self.refuse(ReasonCode::UnsupportedProtocolVersion, "the protocol level is not offered")
            }
            (violation, Version::V5) => {
                self.tally.violated(violation);
                self.said.version = Version::V5;
                self.refuse(violation.reason(), &violation.to_string())
            }
            (violation, _) => self.violated(violation),
        }
    }

    /// Appends a packet unless it is too large for the client or does not fit the protocol.
    fn fits(
        &mut self,
        words: Option<&str>,
        write: &impl Fn(&mut Vec<u8>, Version, Option<&str>) -> Result<(), EncodeError>,
    ) -> bool {
        let buffer = self.out.buffer();
        let before = buffer.len();
        let is_written = write(buffer, self.said.version, words).is_ok();
        let fits = is_written && buffer.len() - before <= self.said.max_packet_bytes as usize;
        if !fits {
            buffer.truncate(before);
        }
        fits
    }
}
