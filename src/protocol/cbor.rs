//! CBOR (RFC 8949): what devices and backend say to each other where they do not speak JSON.
//!
//! Here is writing: heads in their shortest form, lengths definite. Reading ([`Item`]) takes any
//! well-formed item. What the items mean is the business of whoever reads them.

mod item;

pub use item::{InvalidCbor, Item};

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1 << 5;
const BYTES: u8 = 2 << 5;
const TEXT: u8 = 3 << 5;
const LIST: u8 = 4 << 5;
const MAP: u8 = 5 << 5;
const SIMPLE: u8 = 7 << 5;

/// Appends a map of texts, entries in the order given.
pub(super) fn write_text_map(out: &mut Vec<u8>, entries: &[(&str, &str)]) {
    write_map_head(out, entries.len());
    for text in entries.iter().flat_map(|(name, value)| [*name, *value]) {
        write_text(out, text);
    }
}

/// Appends the head of a map of so many entries.
pub(super) fn write_map_head(out: &mut Vec<u8>, entries: usize) {
    write_head(out, MAP, entries as u64);
}

/// Appends the head of a list of so many items.
pub(super) fn write_list_head(out: &mut Vec<u8>, items: usize) {
    write_head(out, LIST, items as u64);
}

/// Appends a text.
pub(super) fn write_text(out: &mut Vec<u8>, text: &str) {
    write_head(out, TEXT, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Appends a byte string.
pub(super) fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_head(out, BYTES, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a truth value.
pub(super) fn write_bool(out: &mut Vec<u8>, value: bool) {
    out.push(SIMPLE + 20 + u8::from(value));
}

/// Appends an integer.
pub(super) fn write_signed(out: &mut Vec<u8>, value: i64) {
    match u64::try_from(value) {
        Ok(value) => write_unsigned(out, value),
        // −1 − n is the complement of n.
        Err(_) => write_head(out, NEGATIVE, (!value).cast_unsigned()),
    }
}

/// Appends an integer that is not negative.
pub(super) fn write_unsigned(out: &mut Vec<u8>, value: u64) {
    write_head(out, UNSIGNED, value);
}

/// Appends a double.
pub(super) fn write_double(out: &mut Vec<u8>, value: f64) {
    out.push(SIMPLE + 27);
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends what `value` is in CBOR. Texts stay texts: JSON knows no bytes.
pub(super) fn write_json(out: &mut Vec<u8>, value: &serde_json::Value) {
    use serde_json::Value;
    match value {
        Value::Null => out.push(SIMPLE + 22),
        Value::Bool(value) => write_bool(out, *value),
        Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(value), ..) => write_unsigned(out, value),
            (None, Some(value), _) => write_signed(out, value),
            (None, None, value) => write_double(out, value.unwrap_or(f64::NAN)),
        },
        Value::String(text) => write_text(out, text),
        Value::Array(items) => {
            write_list_head(out, items.len());
            for item in items {
                write_json(out, item);
            }
        }
        Value::Object(map) => {
            write_map_head(out, map.len());
            for (key, value) in map {
                write_text(out, key);
                write_json(out, value);
            }
        }
    }
}

/// `value` in CBOR.
pub fn json_as_cbor(value: &serde_json::Value) -> Vec<u8> {
    let mut out = Vec::new();
    write_json(&mut out, value);
    out
}

/// Appends the initial byte and its argument in the shortest form (section 3).
fn write_head(out: &mut Vec<u8>, major: u8, argument: u64) {
    if let Some(short) = u8::try_from(argument).ok().filter(|short| *short < 24) {
        out.push(major + short);
    } else if let Ok(one) = u8::try_from(argument) {
        out.extend_from_slice(&[major + 24, one]);
    } else if let Ok(two) = u16::try_from(argument) {
        out.push(major + 25);
        out.extend_from_slice(&two.to_be_bytes());
    } else if let Ok(four) = u32::try_from(argument) {
        out.push(major + 26);
        out.extend_from_slice(&four.to_be_bytes());
    } else {
        out.push(major + 27);
        out.extend_from_slice(&argument.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_of_texts_have_the_bytes_of_the_standard() {
        let mut out = Vec::new();
        // RFC 8949, appendix A: the map's head, and "a" to "e" as pairs.
        write_text_map(&mut out, &[("a", "A"), ("b", "B")]);
        assert_eq!(out, [0xa2, 0x61, 0x61, 0x61, 0x41, 0x61, 0x62, 0x61, 0x42]);
        for (length, head) in [
            (23, &[0x77][..]),
            (24, &[0x78, 24]),
            (255, &[0x78, 255]),
            (256, &[0x79, 1, 0]),
            (65_536, &[0x7a, 0, 1, 0, 0]),
        ] {
            let mut out = Vec::new();
            write_text_map(&mut out, &[("", &"x".repeat(length))]);
            assert_eq!(out[..2 + head.len()], [&[0xa1, 0x60], head].concat(), "{length}");
        }
    }

    /// RFC 8949, appendix A.
    #[test]
    fn json_becomes_the_bytes_of_the_standard() {
        for (json, bytes) in [
            ("0", &[0x00][..]),
            ("23", &[0x17]),
            ("24", &[0x18, 0x18]),
            ("1000", &[0x19, 0x03, 0xe8]),
            ("1000000", &[0x1a, 0x00, 0x0f, 0x42, 0x40]),
            ("18446744073709551615", &[0x1b, 255, 255, 255, 255, 255, 255, 255, 255]),
            ("-1", &[0x20]),
            ("-1000", &[0x39, 0x03, 0xe7]),
            ("1.1", &[0xfb, 0x3f, 0xf1, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a]),
            ("false", &[0xf4]),
            ("true", &[0xf5]),
            ("null", &[0xf6]),
            ("\"\\u00fc\"", &[0x62, 0xc3, 0xbc]),
            ("[1,[2,3]]", &[0x82, 0x01, 0x82, 0x02, 0x03]),
            (r#"{"a":1,"b":[]}"#, &[0xa2, 0x61, 0x61, 0x01, 0x61, 0x62, 0x80]),
        ] {
            let mut out = Vec::new();
            let value: serde_json::Value = serde_json::from_str(json).unwrap();
            write_json(&mut out, &value);
            assert_eq!(out, bytes, "{json}");
            let read = Item::read(&out).unwrap();
            assert_eq!(serde_json::to_value(&read).unwrap(), value, "{json}");
        }
        let mut out = Vec::new();
        write_bytes(&mut out, &[1, 2, 3, 4]);
        assert_eq!(out, [0x44, 1, 2, 3, 4]);
        let mut out = Vec::new();
        write_signed(&mut out, i64::MIN);
        assert_eq!(out, [0x3b, 0x7f, 255, 255, 255, 255, 255, 255, 255]);
    }
}
