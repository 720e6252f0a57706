//! Parameters: the values of an execution, and what a command declares of them.

mod declared;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

pub(super) use declared::check_declared;
pub use declared::{
    ComparisonOperator, MandatoryParameter, NumberRange, Operand, ParameterType, Parameters, ValueCondition,
    effective as effective_parameters,
};

use super::InvalidShape;
use super::wire::{self, Object};

/// A typed value: exactly one of the model's seven members.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum ParameterValue {
    /// A text, not empty.
    S(String),
    /// A truth value.
    B(bool),
    /// A 32-bit integer.
    I(i32),
    /// A 64-bit integer.
    L(i64),
    /// A double.
    D(f64),
    /// Bytes, not empty; base64 in JSON.
    #[serde(rename = "BIN", serialize_with = "wire::serialize_blob")]
    Bin(Vec<u8>),
    /// An unsigned 64-bit integer, as 1 to 20 digits.
    #[serde(rename = "UL")]
    Ul(String),
}

impl<'de> Deserialize<'de> for ParameterValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "UPPERCASE")]
        struct Members {
            s: Option<String>,
            b: Option<bool>,
            i: Option<i32>,
            l: Option<i64>,
            d: Option<f64>,
            bin: Option<Blob>,
            ul: Option<String>,
        }
        #[derive(Deserialize)]
        struct Blob(#[serde(deserialize_with = "wire::deserialize_blob")] Vec<u8>);

        let Object(members) = Object::<Members>::deserialize(deserializer)?;
        let mut given = [
            members.s.map(ParameterValue::S),
            members.b.map(ParameterValue::B),
            members.i.map(ParameterValue::I),
            members.l.map(ParameterValue::L),
            members.d.map(ParameterValue::D),
            members.bin.map(|blob| ParameterValue::Bin(blob.0)),
            members.ul.map(ParameterValue::Ul),
        ]
        .into_iter()
        .flatten();
        match (given.next(), given.next()) {
            (Some(value), None) => Ok(value),
            _ => Err(serde::de::Error::custom(
                "a parameter value has exactly one of the members S, B, I, L, D, BIN, UL",
            )),
        }
    }
}

impl ParameterValue {
    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        match self {
            ParameterValue::S(text) | ParameterValue::Ul(text) => text.len(),
            ParameterValue::Bin(bytes) => bytes.len(),
            ParameterValue::B(_) | ParameterValue::I(_) | ParameterValue::L(_) | ParameterValue::D(_) => 0,
        }
    }

    fn validate(&self) -> Result<(), InvalidShape> {
        let expect_some = |member, length: usize| match length {
            0 => Err(InvalidShape::Length { member, actual: 0, expected: "at least 1" }),
            _ => Ok(()),
        };
        match self {
            ParameterValue::S(text) => expect_some("parameters.S", text.len()),
            ParameterValue::Bin(bytes) => expect_some("parameters.BIN", bytes.len()),
            ParameterValue::Ul(digits) => {
                let is_sound = digits.bytes().all(|b| b.is_ascii_digit()) && digits.len() <= 20;
                let is_sound = is_sound && digits.parse::<u64>().is_ok();
                let expected = "1 to 20 digits of a number below 2^64";
                is_sound.then_some(()).ok_or_else(|| InvalidShape::value("parameters.UL", digits, expected))
            }
            ParameterValue::B(_) | ParameterValue::I(_) | ParameterValue::L(_) | ParameterValue::D(_) => {
                Ok(())
            }
        }
    }
}

/// Checks the `parameters` of StartCommandExecution: at least one, names of 1 to 192 characters of
/// `[.$a-zA-Z0-9_-]`, sound values.
pub(super) fn validate(parameters: &BTreeMap<String, ParameterValue>) -> Result<(), InvalidShape> {
    if parameters.is_empty() {
        return Err(InvalidShape::Length { member: "parameters", actual: 0, expected: "at least 1 entry" });
    }
    for (name, value) in parameters {
        check_name(name)?;
        value.validate()?;
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), InvalidShape> {
    if is_parameter_name(name) {
        return Ok(());
    }
    let expected = "1 to 192 characters of a-z, A-Z, 0-9, ., $, _ and -";
    Err(InvalidShape::value("a parameter's name", name, expected))
}

/// Whether `name` can name a parameter: 1 to 192 characters of `[.$a-zA-Z0-9_-]`.
pub fn is_parameter_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b".$_-".contains(&b);
    matches!(name.len(), 1..=192) && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_value_is_read_and_written() {
        for (json, value) in [
            (r#"{"S":"ON"}"#, ParameterValue::S("ON".into())),
            (r#"{"B":false}"#, ParameterValue::B(false)),
            (r#"{"I":-7}"#, ParameterValue::I(-7)),
            (r#"{"L":9007199254740993}"#, ParameterValue::L(9_007_199_254_740_993)),
            (r#"{"D":0.5}"#, ParameterValue::D(0.5)),
            (r#"{"BIN":"AP8="}"#, ParameterValue::Bin(vec![0, 255])),
            (r#"{"UL":"18446744073709551615"}"#, ParameterValue::Ul("18446744073709551615".into())),
        ] {
            assert_eq!(serde_json::from_str::<ParameterValue>(json).unwrap(), value, "{json}");
            assert_eq!(serde_json::to_string(&value).unwrap(), json);
            assert_eq!(value.validate(), Ok(()));
        }
        for json in [
            "{}",
            r#"{"S":"a","B":true}"#,
            r#"{"s":"a"}"#,
            r#"{"I":2147483648}"#,
            r#"{"I":1.5}"#,
            r#"{"S":1}"#,
            r#"{"BIN":"A"}"#,
            r#"{"UL":1}"#,
            r#""a""#,
            r#"["a"]"#,
        ] {
            assert!(serde_json::from_str::<ParameterValue>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn names_and_values_keep_to_the_model() {
        let one = |name: &str, value| validate(&BTreeMap::from([(name.to_owned(), value)]));
        assert_eq!(one("a.$b_C-1", ParameterValue::B(true)), Ok(()));
        assert_eq!(one(&"x".repeat(192), ParameterValue::B(true)), Ok(()));
        assert!(validate(&BTreeMap::new()).is_err());
        for (name, value) in [
            ("", ParameterValue::B(true)),
            ("a b", ParameterValue::B(true)),
            (&"x".repeat(193), ParameterValue::B(true)),
            ("p", ParameterValue::S(String::new())),
            ("p", ParameterValue::Bin(Vec::new())),
            ("p", ParameterValue::Ul(String::new())),
            ("p", ParameterValue::Ul("12a".into())),
            ("p", ParameterValue::Ul("1".repeat(21))),
            ("p", ParameterValue::Ul("18446744073709551616".into())),
        ] {
            assert!(one(name, value.clone()).is_err(), "{name} {value:?}");
        }
    }
}
