//! Commands and their parameters, as they are written.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use super::super::decode::{At, hook};
use super::super::written::{CommandName, ParameterName, Text};
use super::Named;

/// A command and the time-out of its executions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The command id.
    pub name: At<Text<CommandName>>,
    /// What devices get: a map, or text. Default {}.
    pub payload: Option<At<Tree>>,
    /// Instead of payload: a file that holds it, by its path from the scenario file. With format cbor the
    /// file holds CBOR, or JSON if its name ends in .json.
    pub payload_file: Option<At<String>>,
    /// Instead of payload: what devices get differs by execution. JSON (as a map, or text) in which
    /// ${aws:iot:commandexecution::parameter:NAME} stands for the value of a parameter and
    /// ${aws:iot:commandexecution::executionTimeoutSec} for the time-out.
    pub template: Option<At<Tree>>,
    /// The values of the template's parameters, by name: a value, { each: [a, b] } one after the other, or
    /// { range: [from, to] } by chance.
    pub parameters: Option<At<Named<ParameterName, Parameter>>>,
    /// What the payload is: json (application/json), cbor (application/cbor, written as JSON) or text
    /// (text/plain). Default json.
    pub format: Option<At<Format>>,
    /// The command is at the target already and is not created: true, or its ARN. Default false.
    pub existing: Option<At<Existing>>,
    /// When the cloud gives up an execution: whole seconds, 1s to 12h. Default 10s.
    pub timeout: Option<At<Text<Duration>>>,
}

/// What a payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// application/json
    Json,
    /// application/cbor
    Cbor,
    /// text/plain
    Text,
}

/// A text, or any map or list.
#[derive(Debug)]
pub enum Tree {
    /// As it stands there.
    Text(String),
    /// A map or list as JSON.
    Json(String),
}

/// Whether a command is there already.
#[derive(Debug)]
pub enum Existing {
    /// By its name.
    Flag(bool),
    /// By its ARN.
    Arn(String),
}

/// A truth value, a number or a text.
#[derive(Debug)]
pub enum Scalar {
    /// `true`
    Flag(bool),
    /// `7`
    Whole(i64),
    /// `1.5`
    Decimal(f64),
    /// `eco`
    Text(String),
}

/// The values of a parameter.
#[derive(Debug)]
pub enum Parameter {
    /// Always the same.
    One(Scalar),
    /// A different one for each execution.
    Chosen(Choice),
}

/// How the values of a parameter are chosen.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Choice {
    /// One after the other, execution by execution.
    Each(Vec<At<Scalar>>),
    /// From the first number to the second, both included, by chance.
    Range(Vec<At<Scalar>>),
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TreeVisitor;

        impl Visitor<'_> for TreeVisitor {
            type Value = Tree;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map, a list or text")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Tree, E> {
                Ok(Tree::Text(text.to_owned()))
            }

            fn visit_byte_buf<E: de::Error>(self, json: Vec<u8>) -> Result<Tree, E> {
                String::from_utf8(json).map(Tree::Json).map_err(E::custom)
            }
        }

        deserializer.deserialize_newtype_struct(hook::TREE, TreeVisitor)
    }
}

impl<'de> Deserialize<'de> for Existing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ExistingVisitor;

        impl Visitor<'_> for ExistingVisitor {
            type Value = Existing;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false or the ARN of a command")
            }

            fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Existing, E> {
                Ok(Existing::Flag(flag))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Existing, E> {
                Ok(Existing::Arn(text.to_owned()))
            }
        }

        deserializer.deserialize_newtype_struct(hook::VALUE, ExistingVisitor)
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(hook::VALUE, ScalarVisitor)
    }
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, true, false or text")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar::Flag(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar::Whole(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar::Decimal(value))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Parameter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ParameterVisitor;

        impl<'de> Visitor<'de> for ParameterVisitor {
            type Value = Parameter;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, true, false, text, { each: [a, b] } or { range: [from, to] }")
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Parameter, E> {
                ScalarVisitor.visit_bool(value).map(Parameter::One)
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Parameter, E> {
                ScalarVisitor.visit_i64(value).map(Parameter::One)
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Parameter, E> {
                ScalarVisitor.visit_f64(value).map(Parameter::One)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Parameter, E> {
                ScalarVisitor.visit_str(text).map(Parameter::One)
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, map: D) -> Result<Parameter, D::Error> {
                Choice::deserialize(map).map(Parameter::Chosen)
            }
        }

        deserializer.deserialize_newtype_struct(hook::VALUE_OR_MAP, ParameterVisitor)
    }
}
