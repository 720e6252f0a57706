//! Ids of commands and executions: `[a-zA-Z0-9_-]{1,64}`, and texts that are usually UUIDs kept small.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Length of a canonical UUID, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`.
const UUID_LENGTH: usize = 36;
/// Where its hyphens stand (RFC 9562, section 4).
const UUID_HYPHENS: [usize; 4] = [8, 13, 18, 23];

/// A text that is not an id of a command or an execution.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not an id: expected 1 to 64 characters of a-z, A-Z, 0-9, _ and -")]
pub struct InvalidId {
    /// What was given, cut after 80 characters.
    pub text: String,
}

/// Whether `text` is an id: 1 to 64 characters of `[a-zA-Z0-9_-]`.
pub(super) fn is_id(text: &str) -> bool {
    matches!(text.len(), 1..=64) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// Checks that `text` is an id.
pub(super) fn check_id(text: &str) -> Result<(), InvalidId> {
    if is_id(text) { Ok(()) } else { Err(InvalidId { text: text.chars().take(80).collect() }) }
}

/// The id of an execution. 24 bytes and no heap for the canonical lower-case UUIDs that services give.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExecutionId(CompactText);

impl ExecutionId {
    /// The id whose text is the canonical form of this UUID.
    pub const fn from_uuid(uuid: u128) -> Self {
        Self(CompactText(Repr::Uuid(uuid.to_be_bytes())))
    }

    /// Hands the id's text to `use_text` without allocating.
    pub fn with_str<R>(&self, use_text: impl FnOnce(&str) -> R) -> R {
        self.0.with_str(use_text)
    }
}

impl FromStr for ExecutionId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if let Some(uuid) = parse_uuid(text) {
            return Ok(Self(CompactText(Repr::Uuid(uuid))));
        }
        check_id(text)?;
        Ok(Self(CompactText(Repr::Text(text.into()))))
    }
}

impl fmt::Display for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for ExecutionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.with_str(|text| serializer.serialize_str(text))
    }
}

impl<'de> Deserialize<'de> for ExecutionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::wire::Text::deserialize(deserializer)?.0.parse().map_err(serde::de::Error::custom)
    }
}

/// Any text, kept in 24 bytes without heap when it is a canonical lower-case UUID.
///
/// Execution ids and client tokens are nearly always such, and a store holds a million of each.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CompactText(Repr);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Repr {
    /// Big-endian bytes, so that the order is that of the texts.
    Uuid([u8; 16]),
    Text(Box<str>),
}

impl CompactText {
    /// Keeps `text`.
    pub fn new(text: &str) -> Self {
        Self(parse_uuid(text).map_or_else(|| Repr::Text(text.into()), Repr::Uuid))
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        match &self.0 {
            Repr::Uuid(_) => 0,
            Repr::Text(text) => text.len(),
        }
    }

    /// Hands the text to `use_text`; a UUID is spelled on the stack for it.
    pub fn with_str<R>(&self, use_text: impl FnOnce(&str) -> R) -> R {
        match &self.0 {
            Repr::Uuid(uuid) => {
                let spelled = spell_uuid(*uuid);
                use_text(std::str::from_utf8(&spelled).expect("hex digits and hyphens are ASCII"))
            }
            Repr::Text(text) => use_text(text),
        }
    }
}

impl Hash for Repr {
    /// Half of what a derived one feeds the hasher for a UUID: ids are looked up many times each.
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Repr::Uuid(uuid) => state.write_u128(u128::from_ne_bytes(*uuid)),
            Repr::Text(text) => text.hash(state),
        }
    }
}

impl fmt::Display for CompactText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_str(|text| f.pad(text))
    }
}

impl fmt::Debug for CompactText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_str(|text| fmt::Debug::fmt(text, f))
    }
}

/// The UUID of a canonical lower-case spelling; `None` for every other text, even upper case, so
/// that the text can be given back exactly.
fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let text: &[u8; UUID_LENGTH] = text.as_bytes().try_into().ok()?;
    if UUID_HYPHENS.iter().any(|at| text[*at] != b'-') {
        return None;
    }
    let mut uuid = [0; 16];
    // Looked at only once, at the end: ids come with every message, and nearly all are sound.
    let mut not_digits = 0;
    for (byte, at) in uuid.iter_mut().zip(UUID_DIGITS) {
        let (high, low) = (HEX[usize::from(text[at])], HEX[usize::from(text[at + 1])]);
        *byte = high << 4 | low & 0xf;
        not_digits |= high | low;
    }
    (not_digits & NOT_HEX == 0).then_some(uuid)
}

/// Where the pairs of digits begin.
const UUID_DIGITS: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
/// What [`HEX`] holds for everything but lower-case digits.
const NOT_HEX: u8 = 0x80;
/// The value of each hexadecimal digit.
const HEX: [u8; 256] = {
    let mut values = [NOT_HEX; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value as usize] as usize] = value;
        value += 1;
    }
    values
};

fn spell_uuid(uuid: [u8; 16]) -> [u8; UUID_LENGTH] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = [b'-'; UUID_LENGTH];
    let mut at = 0;
    for byte in uuid {
        if UUID_HYPHENS.contains(&at) {
            at += 1;
        }
        out[at] = DIGITS[usize::from(byte >> 4)];
        out[at + 1] = DIGITS[usize::from(byte & 0xf)];
        at += 2;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canonical_uuid_needs_no_heap_and_anything_else_is_kept_as_it_is() {
        for (text, heap) in [
            ("07e4b780-7eca-4ffd-b772-b76358da5542", 0),
            ("07E4B780-7ECA-4FFD-B772-B76358DA5542", 36),
            ("07e4b7807-eca-4ffd-b772-b76358da5542", 36),
            ("07e4b780-7eca-4ffd-b772-b76358da554", 35),
            ("run_1-device_7", 14),
        ] {
            let id: ExecutionId = text.parse().unwrap();
            assert_eq!(id.0.heap_bytes(), heap, "{text}");
            assert_eq!(id.to_string(), text);
            assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<ExecutionId>(&format!("\"{text}\"")).unwrap(), id);
        }
        assert_eq!(size_of::<ExecutionId>(), 24);
    }

    #[test]
    fn a_number_and_its_text_are_the_same_id() {
        let id = ExecutionId::from_uuid(0x07e4_b780_7eca_4ffd_b772_b763_58da_5542);
        assert_eq!(id, "07e4b780-7eca-4ffd-b772-b76358da5542".parse().unwrap());
    }

    #[test]
    fn what_is_not_an_id_is_refused() {
        for text in ["", "bad id!", "a/b", "ü", "+", "#", &"x".repeat(65)] {
            assert!(text.parse::<ExecutionId>().is_err(), "{text}");
        }
        assert!("x".repeat(64).parse::<ExecutionId>().is_ok());
    }

    proptest::proptest! {
        #[test]
        fn every_uuid_is_spelled_and_read_back(uuid: u128) {
            let id = ExecutionId::from_uuid(uuid);
            proptest::prop_assert_eq!(id.to_string().parse::<ExecutionId>().unwrap(), id);
        }

        #[test]
        fn ids_sort_like_their_texts_among_uuids(a: u128, b: u128) {
            let (x, y) = (ExecutionId::from_uuid(a), ExecutionId::from_uuid(b));
            proptest::prop_assert_eq!(x.cmp(&y), x.to_string().cmp(&y.to_string()));
        }

        #[test]
        fn any_text_survives_the_compact_form(text in "\\PC*") {
            proptest::prop_assert_eq!(CompactText::new(&text).to_string(), text);
        }
    }
}
