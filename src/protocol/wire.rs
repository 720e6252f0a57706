//! Small pieces of JSON that serde's derives do not do by themselves.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serializer};

use super::InvalidShape;

/// A text that borrows from the document where it has no escapes, also inside an `Option`.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// A value that must be written as a JSON object: serde's derives would also take an array of the
/// members in order.
pub(super) struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Object)
    }
}

/// For `#[serde(deserialize_with)]`: an object or `null`.
pub(super) fn optional_object<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::<Object<T>>::deserialize(deserializer)?.map(|object| object.0))
}

/// For `#[serde(deserialize_with)]`: a list of objects or `null`.
pub(super) fn optional_objects<'de, D, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let objects = Option::<Vec<Object<T>>>::deserialize(deserializer)?;
    Ok(objects.map(|objects| objects.into_iter().map(|object| object.0).collect()))
}

/// Reads a request body; an empty one counts as `{}` (restJson1).
pub(super) fn read_body<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, InvalidShape> {
    let body = if body.trim_ascii().is_empty() { b"{}" } else { body };
    serde_json::from_slice::<Object<T>>(body)
        .map(|object| object.0)
        .map_err(|error| InvalidShape::Body { problem: error.to_string() })
}

/// Appends `value` as JSON to `out`.
pub(super) fn write<T: serde::Serialize>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value).expect("our shapes have text keys and a Vec takes every byte");
}

/// Blobs are standard base64 with padding in JSON.
pub(super) fn encode_blob(blob: &[u8]) -> String {
    STANDARD.encode(blob)
}

/// For `#[serde(serialize_with)]`.
pub(super) fn serialize_blob<S: Serializer>(blob: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&encode_blob(blob))
}

/// For `#[serde(deserialize_with)]`: base64 text only, as over HTTP.
pub(super) fn deserialize_blob<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = Text::deserialize(deserializer)?;
    STANDARD.decode(text.0.as_bytes()).map_err(|error| D::Error::custom(format_args!("not base64: {error}")))
}

/// A blob as devices write it: a byte string (CBOR only), base64 text, or an array of signed numbers (AWS's Java device SDK).
pub(super) struct DeviceBlob(pub Vec<u8>);

impl<'de> Deserialize<'de> for DeviceBlob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BlobVisitor;
        impl<'de> Visitor<'de> for BlobVisitor {
            type Value = DeviceBlob;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("base64 text or an array of bytes")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<DeviceBlob, E> {
                STANDARD.decode(text).map(DeviceBlob).map_err(|e| E::custom(format_args!("not base64: {e}")))
            }

            fn visit_byte_buf<E: serde::de::Error>(self, bytes: Vec<u8>) -> Result<DeviceBlob, E> {
                Ok(DeviceBlob(bytes))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<DeviceBlob, A::Error> {
                let mut bytes = Vec::new();
                while let Some(number) = numbers.next_element::<i64>()? {
                    let signed = i8::try_from(number).map(i8::cast_unsigned);
                    let byte = signed.or_else(|_| u8::try_from(number));
                    bytes.push(byte.map_err(|_| A::Error::custom(format_args!("{number} is not a byte")))?);
                }
                Ok(DeviceBlob(bytes))
            }
        }
        deserializer.deserialize_any(BlobVisitor)
    }
}
