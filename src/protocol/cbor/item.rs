//! Reading CBOR: bytes from outside become an [`Item`], whatever they are, in bounded time and memory.

use std::fmt;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, Deserializer, IntoDeserializer, Visitor};
use serde::{Serialize, Serializer};

use super::super::wire::encode_blob;
use super::{BYTES, LIST, MAP, NEGATIVE, SIMPLE, TEXT, UNSIGNED};

/// Deeper nesting means nothing here, and reading it is recursive.
const MAX_DEPTH: usize = 32;

/// A CBOR data item. Tags are dropped, `undefined` is null.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer; CBOR's go from −2⁶⁴ to 2⁶⁴ − 1.
    Integer(i128),
    /// A half, single or double.
    Double(f64),
    /// A byte string.
    Bytes(Vec<u8>),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Item>),
    /// A map, entries in the order of the bytes.
    Map(Vec<(Item, Item)>),
}

/// Bytes that are not one CBOR item.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not CBOR: {problem} at byte {at}")]
pub struct InvalidCbor {
    /// What is wrong.
    problem: &'static str,
    /// Where.
    at: usize,
}

impl Item {
    /// Reads `bytes` as one item and nothing after it.
    pub fn read(bytes: &[u8]) -> Result<Item, InvalidCbor> {
        let mut reader = Reader { bytes, at: 0 };
        let item = reader.item(0)?;
        if reader.at < bytes.len() {
            return Err(reader.error("more than one item"));
        }
        Ok(item)
    }

    /// The text under `key` of a map.
    pub(in crate::protocol) fn text_of(&self, key: &str) -> Option<String> {
        let Item::Map(entries) = self else { return None };
        entries.iter().find_map(|(name, value)| match (name, value) {
            (Item::Text(name), Item::Text(text)) if name == key => Some(text.clone()),
            _ => None,
        })
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// What an initial byte and its argument say.
#[derive(Debug, Clone, Copy)]
enum Head {
    /// Major type and argument; the bits after the first three for simple values and floats.
    Definite {
        major: u8,
        info: u8,
        argument: u64,
    },
    /// A string, list or map that goes on until a break.
    Indefinite {
        major: u8,
    },
    Break,
}

impl<'a> Reader<'a> {
    fn error(&self, problem: &'static str) -> InvalidCbor {
        InvalidCbor { problem, at: self.at }
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], InvalidCbor> {
        let bytes = self.bytes;
        let end = usize::try_from(length).ok().and_then(|length| self.at.checked_add(length));
        let Some(part) = end.and_then(|end| bytes.get(self.at..end)) else {
            return Err(self.error("the end is missing"));
        };
        self.at += part.len();
        Ok(part)
    }

    fn head(&mut self) -> Result<Head, InvalidCbor> {
        let first = self.take(1)?.first().copied().unwrap_or(0);
        let (major, info) = (first & 0xe0, first & 0x1f);
        let argument = match info {
            0..24 => u64::from(info),
            24..28 => {
                let bytes = self.take(1 << (info - 24))?;
                bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
            }
            31 => {
                return match major {
                    SIMPLE => Ok(Head::Break),
                    BYTES | TEXT | LIST | MAP => Ok(Head::Indefinite { major }),
                    _ => Err(self.error("an indefinite length where none can be")),
                };
            }
            _ => return Err(self.error("a reserved length")),
        };
        Ok(Head::Definite { major, info, argument })
    }

    fn item(&mut self, depth: usize) -> Result<Item, InvalidCbor> {
        let head = self.head()?;
        self.item_of(head, depth)
    }

    fn item_of(&mut self, head: Head, depth: usize) -> Result<Item, InvalidCbor> {
        if depth > MAX_DEPTH {
            return Err(self.error("nested too deep"));
        }
        Ok(match head {
            Head::Break => return Err(self.error("a break where none can be")),
            Head::Indefinite { major: BYTES } => Item::Bytes(self.chunks(BYTES)?),
            Head::Indefinite { major: TEXT } => Item::Text(self.text(|reader| reader.chunks(TEXT))?),
            Head::Indefinite { major: LIST } => {
                let mut items = Vec::new();
                while let Some(item) = self.until_break(depth)? {
                    items.push(item);
                }
                Item::List(items)
            }
            Head::Indefinite { .. } => {
                let mut entries = Vec::new();
                while let Some(key) = self.until_break(depth)? {
                    entries.push((key, self.item(depth + 1)?));
                }
                Item::Map(entries)
            }
            Head::Definite { major, info, argument } => match major {
                UNSIGNED => Item::Integer(i128::from(argument)),
                NEGATIVE => Item::Integer(-1 - i128::from(argument)),
                BYTES => Item::Bytes(self.take(argument)?.to_vec()),
                TEXT => Item::Text(self.text(|reader| Ok(reader.take(argument)?.to_vec()))?),
                // An item takes a byte at least, so a length that lies ends with the bytes; nothing is
                // reserved for it before.
                LIST => {
                    let mut items = Vec::new();
                    for _ in 0..argument {
                        items.push(self.item(depth + 1)?);
                    }
                    Item::List(items)
                }
                MAP => {
                    let mut entries = Vec::new();
                    for _ in 0..argument {
                        entries.push((self.item(depth + 1)?, self.item(depth + 1)?));
                    }
                    Item::Map(entries)
                }
                SIMPLE => self.simple(info, argument)?,
                // A tag says something about the next item, which stands for itself here.
                _ => self.item(depth + 1)?,
            },
        })
    }

    fn until_break(&mut self, depth: usize) -> Result<Option<Item>, InvalidCbor> {
        match self.head()? {
            Head::Break => Ok(None),
            head => self.item_of(head, depth + 1).map(Some),
        }
    }

    /// The definite strings that an indefinite one is made of.
    fn chunks(&mut self, of: u8) -> Result<Vec<u8>, InvalidCbor> {
        let mut all = Vec::new();
        loop {
            match self.head()? {
                Head::Break => return Ok(all),
                Head::Definite { major, argument, .. } if major == of => {
                    all.extend_from_slice(self.take(argument)?);
                }
                _ => return Err(self.error("a string of something else than strings")),
            }
        }
    }

    fn text(
        &mut self,
        bytes: impl FnOnce(&mut Self) -> Result<Vec<u8>, InvalidCbor>,
    ) -> Result<String, InvalidCbor> {
        let bytes = bytes(self)?;
        String::from_utf8(bytes).map_err(|_| self.error("a text that is not UTF-8"))
    }

    fn simple(&self, info: u8, argument: u64) -> Result<Item, InvalidCbor> {
        Ok(match (info, argument) {
            (20, _) => Item::Bool(false),
            (21, _) => Item::Bool(true),
            (22 | 23, _) => Item::Null,
            (25, bits) => Item::Double(half(bits)),
            (26, bits) => Item::Double(f64::from(f32::from_bits(u32::try_from(bits).unwrap_or(0)))),
            (27, bits) => Item::Double(f64::from_bits(bits)),
            _ => return Err(self.error("an unknown simple value")),
        })
    }
}

/// A half-precision float (RFC 8949, appendix D).
fn half(bits: u64) -> f64 {
    let (exponent, mantissa) = (bits >> 10 & 0x1f, bits & 0x3ff);
    let mantissa = f64::from(u16::try_from(mantissa).unwrap_or(0));
    let value = match exponent {
        0 => mantissa * 2f64.powi(-24),
        31 if mantissa > 0.0 => f64::NAN,
        31 => f64::INFINITY,
        _ => (mantissa + 1024.0) * 2f64.powi(i32::try_from(exponent).unwrap_or(0) - 25),
    };
    if bits & 0x8000 == 0 { value } else { -value }
}

/// An item is read as a document in JSON would be; only bytes are something that JSON does not have.
impl<'de> Deserializer<'de> for Item {
    type Error = de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self {
            Item::Null => visitor.visit_unit(),
            Item::Bool(value) => visitor.visit_bool(value),
            Item::Integer(value) => match (u64::try_from(value), i64::try_from(value)) {
                (Ok(value), _) => visitor.visit_u64(value),
                (_, Ok(value)) => visitor.visit_i64(value),
                _ => visitor.visit_i128(value),
            },
            Item::Double(value) => visitor.visit_f64(value),
            Item::Bytes(bytes) => visitor.visit_byte_buf(bytes),
            Item::Text(text) => visitor.visit_string(text),
            Item::List(items) => visitor.visit_seq(SeqDeserializer::new(items.into_iter())),
            Item::Map(entries) => visitor.visit_map(MapDeserializer::new(entries.into_iter())),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        if self == Item::Null { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    /// A key that is no text names nothing we know; serde would take a number for a position.
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self {
            Item::Text(text) => visitor.visit_string(text),
            _ => visitor.visit_str(""),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct enum ignored_any
    }
}

impl IntoDeserializer<'_> for Item {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// As JSON: bytes are base64 text, keys are texts.
impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Item::Null => serializer.serialize_unit(),
            Item::Bool(value) => serializer.serialize_bool(*value),
            Item::Integer(value) => match (u64::try_from(*value), i64::try_from(*value)) {
                (Ok(value), _) => serializer.serialize_u64(value),
                (_, Ok(value)) => serializer.serialize_i64(value),
                _ => serializer.serialize_i128(*value),
            },
            Item::Double(value) => serializer.serialize_f64(*value),
            Item::Bytes(bytes) => serializer.serialize_str(&encode_blob(bytes)),
            Item::Text(text) => serializer.serialize_str(text),
            Item::List(items) => serializer.collect_seq(items),
            Item::Map(entries) => serializer.collect_map(entries.iter().map(|(key, value)| (key, value))),
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match serde_json::to_string(self) {
            Ok(json) => f.write_str(&json),
            Err(_) => write!(f, "{self:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8949, appendix A, and what is like it.
    #[test]
    fn every_form_of_an_item_is_read() {
        let text = |text: &str| Item::Text(text.to_owned());
        for (bytes, item) in [
            (&[0x3b, 255, 255, 255, 255, 255, 255, 255, 255][..], Item::Integer(-18_446_744_073_709_551_616)),
            (&[0xf9, 0x3c, 0x00], Item::Double(1.0)),
            (&[0xf9, 0xc4, 0x00], Item::Double(-4.0)),
            (&[0xf9, 0x00, 0x01], Item::Double(5.960_464_477_539_063e-8)),
            (&[0xf9, 0x7c, 0x00], Item::Double(f64::INFINITY)),
            (&[0xfa, 0x47, 0xc3, 0x50, 0x00], Item::Double(100_000.0)),
            (&[0xf7], Item::Null),
            (&[0xc1, 0x1a, 0x51, 0x4b, 0x67, 0xb0], Item::Integer(1_363_896_240)),
            (&[0x5f, 0x42, 1, 2, 0x43, 3, 4, 5, 0xff], Item::Bytes(vec![1, 2, 3, 4, 5])),
            (
                &[0x7f, 0x65, 0x73, 0x74, 0x72, 0x65, 0x61, 0x64, 0x6d, 0x69, 0x6e, 0x67, 0xff],
                text("streaming"),
            ),
            (
                &[0x9f, 0x01, 0x82, 0x02, 0x03, 0xff],
                Item::List(vec![Item::Integer(1), Item::List(vec![Item::Integer(2), Item::Integer(3)])]),
            ),
            (&[0xbf, 0x61, 0x61, 0x01, 0xff], Item::Map(vec![(text("a"), Item::Integer(1))])),
        ] {
            assert_eq!(Item::read(bytes), Ok(item), "{bytes:x?}");
        }
    }

    #[test]
    fn what_is_not_one_item_is_refused() {
        for bytes in [
            &[][..],
            &[0x18],
            &[0x61],
            &[0x62, 0xff, 0xff],
            &[0x01, 0x01],
            &[0xff],
            &[0x1c],
            &[0x1f],
            &[0xf8, 0x20],
            &[0x9f, 0x01],
            &[0xbf, 0x61, 0x61, 0xff],
            &[0x5f, 0x61, 0x61, 0xff],
            // Lengths that lie.
            &[0x9b, 255, 255, 255, 255, 255, 255, 255, 255],
            &[0xbb, 255, 255, 255, 255, 255, 255, 255, 255],
            &[0x5b, 255, 255, 255, 255, 255, 255, 255, 255],
            &[0x81; 100],
            &[0xc0; 100],
        ] {
            assert!(Item::read(bytes).is_err(), "{bytes:x?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..64)) {
            if let Ok(item) = Item::read(&bytes) {
                let _ = item.to_string();
            }
        }
    }
}
