//! Results of an execution: a map of small typed values.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::super::cbor;
use super::super::wire::{DeviceBlob, Object, Text, encode_blob};

/// One value of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResultValue {
    /// A text, not empty.
    S(String),
    /// A truth value.
    B(bool),
    /// Bytes, not empty; base64 in JSON.
    Bin(Vec<u8>),
}

impl ResultValue {
    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        match self {
            ResultValue::S(text) => text.len(),
            ResultValue::B(_) => 0,
            ResultValue::Bin(bytes) => bytes.len(),
        }
    }

    fn serialize_with_keys<S: Serializer>(&self, keys: [&str; 3], serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            ResultValue::S(text) => map.serialize_entry(keys[0], text)?,
            ResultValue::B(flag) => map.serialize_entry(keys[1], flag)?,
            ResultValue::Bin(bytes) => map.serialize_entry(keys[2], &encode_blob(bytes))?,
        }
        map.end()
    }
}

/// As over HTTP: upper-case keys.
impl Serialize for ResultValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize_with_keys(["S", "B", "BIN"], serializer)
    }
}

/// Either case: what a device sends and what the HTTP side returns.
impl<'de> Deserialize<'de> for ResultValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Object(value) = Object::<WireValue<'de>>::deserialize(deserializer)?;
        value.one().ok_or_else(|| serde::de::Error::custom(NOT_ONE))
    }
}

/// A result as devices write it: lower-case keys.
pub(super) struct DeviceResult<'a>(pub &'a BTreeMap<String, ResultValue>);

impl Serialize for DeviceResult<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct DeviceValue<'a>(&'a ResultValue);
        impl Serialize for DeviceValue<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.serialize_with_keys(["s", "b", "bin"], serializer)
            }
        }
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, DeviceValue(value))))
    }
}

/// Appends a result in CBOR: lower-case keys, bytes as bytes.
pub(super) fn write_cbor(out: &mut Vec<u8>, result: &BTreeMap<String, ResultValue>) {
    cbor::write_map_head(out, result.len());
    for (name, value) in result {
        cbor::write_text(out, name);
        cbor::write_map_head(out, 1);
        match value {
            ResultValue::S(text) => {
                cbor::write_text(out, "s");
                cbor::write_text(out, text);
            }
            ResultValue::B(flag) => {
                cbor::write_text(out, "b");
                cbor::write_bool(out, *flag);
            }
            ResultValue::Bin(bytes) => {
                cbor::write_text(out, "bin");
                cbor::write_bytes(out, bytes);
            }
        }
    }
}

/// A result as it is read, unchecked.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct WireResult<'a>(#[serde(borrow)] BTreeMap<Cow<'a, str>, Object<WireValue<'a>>>);

impl WireResult<'_> {
    /// Checks names and values.
    pub fn check(self) -> Result<BTreeMap<String, ResultValue>, &'static str> {
        if self.0.is_empty() {
            // The service's own words.
            return Err("At least 1 command execution result is required");
        }
        self.0
            .into_iter()
            .map(|(name, Object(value))| {
                let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
                if !matches!(name.len(), 1..=32) || !name.bytes().all(allowed) {
                    return Err("a result's name must be 1 to 32 characters of a-z, A-Z, 0-9, _ and -");
                }
                match value.one().ok_or(NOT_ONE)? {
                    ResultValue::S(text) if text.is_empty() => Err("a result's s must not be empty"),
                    ResultValue::Bin(bytes) if bytes.is_empty() => Err("a result's bin must not be empty"),
                    value => Ok((name.into_owned(), value)),
                }
            })
            .collect()
    }
}

const NOT_ONE: &str = "a result's value has exactly one of the members s, b, bin";

/// A value as it is read: each type key in either case, at most once.
#[derive(Deserialize)]
struct WireValue<'a> {
    #[serde(borrow, alias = "S")]
    s: Option<Text<'a>>,
    #[serde(alias = "B")]
    b: Option<bool>,
    #[serde(alias = "BIN")]
    bin: Option<DeviceBlob>,
}

impl WireValue<'_> {
    /// The value, if exactly one type is given.
    fn one(self) -> Option<ResultValue> {
        match (self.s, self.b, self.bin) {
            (Some(text), None, None) => Some(ResultValue::S(text.0.into_owned())),
            (None, Some(flag), None) => Some(ResultValue::B(flag)),
            (None, None, Some(blob)) => Some(ResultValue::Bin(blob.0)),
            _ => None,
        }
    }
}
