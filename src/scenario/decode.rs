//! From a [`Document`] to the types of `raw`, with every structural mistake noted on the way.
//!
//! The types themselves say what is expected: serde hands their field and variant names to this
//! deserializer, which compares them with the keys of the file. An [`At`] is where a mistake stops:
//! it is noted there, the value stays empty, and reading goes on, so that one pass finds them all.
//! A value is empty only if a problem has been noted; whoever meets one may use any stand-in.

mod access;

use std::fmt;
use std::marker::PhantomData;

use serde::de::{
    self, Deserialize, DeserializeOwned, Deserializer, Expected, SeqAccess, Unexpected, Visitor,
};

use access::{AtAccess, Entries, Fields, Items, Kind};

use super::document::{Content, Document, NodeId, Spot};
use super::homes;
use super::not_yet;
use super::problems::{Collector, listed, unknown};

/// A value and its place. Empty if it is missing or wrong, which has then been noted.
#[derive(Debug)]
pub struct At<T> {
    /// Where it stands; where it is missing, where it should stand.
    pub spot: Spot,
    value: Option<T>,
}

impl<T> At<T> {
    /// The value, unless it is missing or wrong.
    pub fn get(&self) -> Option<&T> {
        self.value.as_ref()
    }
}

/// Names under which a type asks for a special reading, in place of a newtype's name.
pub(super) mod hook {
    /// Value and place.
    pub const AT: &str = "fleetsim::At";
    /// The text of any scalar as written, for quantities: `5` is for their parser to refuse.
    pub const SCALAR: &str = "fleetsim::Scalar";
    /// The text of a scalar as written, or a map, whose reading is then the type's own.
    pub const SCALAR_OR_MAP: &str = "fleetsim::ScalarOrMap";
    /// A truth value, a number or a text, each as what YAML takes it for.
    pub const VALUE: &str = "fleetsim::Value";
    /// The same, or a map, whose reading is then the type's own.
    pub const VALUE_OR_MAP: &str = "fleetsim::ValueOrMap";
    /// A text, or the JSON of a map or list as bytes.
    pub const TREE: &str = "fleetsim::Tree";
}

/// Reads the whole document as a `T`.
pub fn decode<T: DeserializeOwned>(collector: &Collector<'_>) -> At<T> {
    let root = Position::Node(Spot::Value(Document::ROOT));
    let decoder = Decoder { collector, position: root };
    At::deserialize(decoder).expect("an At notes every fault")
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(hook::AT, AtVisitor(PhantomData))
    }
}

struct AtVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for AtVisitor<T> {
    type Value = At<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value with its place")
    }

    /// A spot, then the value if there is one.
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<At<T>, A::Error> {
        let bits: Option<u64> = seq.next_element()?;
        let spot =
            bits.and_then(Spot::from_bits).ok_or_else(|| de::Error::custom("a value without a place"))?;
        Ok(At { spot, value: seq.next_element()? })
    }
}

/// A mistake on its way to the [`At`] that notes it.
#[derive(Debug)]
struct Fault {
    /// Where; `None` is the value being read.
    spot: Option<Spot>,
    message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<M: fmt::Display>(message: M) -> Self {
        Fault { spot: None, message: message.to_string() }
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("{expected} is expected here"))
    }
}

#[derive(Clone, Copy)]
struct Decoder<'c, 'd> {
    collector: &'c Collector<'d>,
    position: Position,
}

#[derive(Clone, Copy)]
enum Position {
    /// A value, or a key read as a value.
    Node(Spot),
    /// A key that `parent` lacks.
    Missing {
        parent: NodeId,
        key: &'static str,
        /// Whether a misspelt key explains it.
        excused: bool,
    },
}

impl<'c, 'd> Decoder<'c, 'd> {
    fn document(&self) -> &'d Document<'d> {
        self.collector.document()
    }

    fn at(self, spot: Spot) -> Self {
        Decoder { position: Position::Node(spot), ..self }
    }

    /// The node to read; a missing one only gets here past `At` and `Option`, which take it.
    fn node(&self) -> Result<NodeId, Fault> {
        match self.position {
            Position::Node(spot) => Ok(spot.node()),
            Position::Missing { key, .. } => Err(de::Error::custom(format_args!("missing key `{key}`"))),
        }
    }

    fn content(&self) -> Result<&'d Content, Fault> {
        Ok(self.document().content(self.node()?))
    }

    fn wrong(content: &Content, expected: &str) -> Fault {
        de::Error::custom(match content {
            Content::Unusable => return Fault::NOTED,
            Content::Null => format!("no value is given here; expected {expected}"),
            other => format!("{} is given where {expected} is expected", other.kind()),
        })
    }

    /// Something else where a list is expected, and how it becomes one.
    fn no_list(content: &Content) -> Fault {
        let fault = Self::wrong(content, "a list");
        let how = match content {
            Content::Map(_) => "; each item begins with `- `".to_owned(),
            Content::Text(text) | Content::Filled(text) | Content::Number(text) => {
                let plain =
                    |c: char| c.is_alphanumeric() || matches!(c, ' ' | ',' | '_' | '-' | '.' | '/' | '%');
                if text.chars().all(plain) {
                    format!("; write [{text}]")
                } else {
                    format!("; write it as an item, - {text}")
                }
            }
            Content::Null | Content::Bool(_) | Content::Unusable | Content::List(_) => return fault,
        };
        Fault { message: fault.message + &how, ..fault }
    }

    /// Text, and nothing that YAML takes for something else.
    fn text(&self, expected: &dyn Expected) -> Result<&'d str, Fault> {
        if let Position::Node(Spot::Key(node)) = self.position {
            return Ok(self.document().key(node).unwrap_or_default());
        }
        match self.content()? {
            Content::Text(text) | Content::Filled(text) => Ok(text),
            Content::Number(text) => Err(de::Error::custom(format_args!(
                "{text} is a number to YAML, not text; quote it: \"{text}\""
            ))),
            Content::Bool(value) => Err(de::Error::custom(format_args!(
                "{value} is a boolean to YAML, not text; quote it: \"{value}\""
            ))),
            other => Err(Self::wrong(other, &expected.to_string())),
        }
    }

    /// The text of any scalar.
    fn scalar(&self, expected: &dyn Expected) -> Result<&'d str, Fault> {
        match self.content()? {
            Content::Text(text) | Content::Filled(text) | Content::Number(text) => Ok(text),
            Content::Bool(true) => Ok("true"),
            Content::Bool(false) => Ok("false"),
            other => Err(Self::wrong(other, &expected.to_string())),
        }
    }

    /// A scalar as what YAML takes it for. A variable has no way to say that: what it holds decides.
    fn value<'de, V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value, Fault> {
        match self.content()? {
            Content::Bool(value) => visitor.visit_bool(*value),
            Content::Number(text) => match number(text) {
                Some(number) => number.visit(visitor),
                None => Err(de::Error::custom(format_args!("{text} is not a number, e.g. 7 or 1.5"))),
            },
            Content::Filled(text) => match (text.as_str(), number(text)) {
                ("true", _) => visitor.visit_bool(true),
                ("false", _) => visitor.visit_bool(false),
                (_, Some(number)) => number.visit(visitor),
                (text, None) => visitor.visit_str(text),
            },
            Content::Text(text) => visitor.visit_str(text),
            other => Err(Self::wrong(other, &expected(&visitor))),
        }
    }

    /// A whole part of the document as JSON.
    fn json(&self, node: NodeId) -> Result<serde_json::Value, Fault> {
        use serde_json::Value;
        Ok(match self.document().content(node) {
            Content::Null => Value::Null,
            Content::Bool(value) => Value::Bool(*value),
            Content::Text(text) | Content::Filled(text) => Value::String(text.clone()),
            Content::Number(text) => match number(text) {
                Some(Number::Whole(value)) => Value::from(value),
                Some(Number::Decimal(value)) => Value::from(value),
                None => {
                    let message = format!("{text} is no number of JSON; quote it if it is text");
                    return Err(Fault { spot: Some(Spot::Value(node)), message });
                }
            },
            Content::Unusable => return Err(Fault::NOTED),
            Content::List(items) => {
                Value::Array(items.iter().map(|item| self.json(*item)).collect::<Result<_, _>>()?)
            }
            Content::Map(entries) => {
                let entries = entries.iter().map(|(key, node)| Ok((key.clone(), self.json(*node)?)));
                Value::Object(entries.collect::<Result<_, Fault>>()?)
            }
        })
    }

    /// Sorts the keys of a map into those that are known and those that are not, which it notes.
    fn known_fields(&self, fields: &'static [&'static str]) -> Result<Fields<'c, 'd>, Fault> {
        let content = self.content()?;
        let Content::Map(entries) = content else {
            if let (Content::Text(text), Some(&"expect")) = (content, fields.first()) {
                return Err(de::Error::custom(format_args!(
                    "a threshold is a map, not text; write - expect: {text}"
                )));
            }
            return Err(Self::wrong(content, &format!("a map with the keys {}", listed(fields))));
        };
        let mut excused = Vec::new();
        let outdented = outdented(self.document(), entries, fields);
        for (key, node, below) in &outdented {
            let names = listed(below.iter().map(|(key, _)| key));
            let message = format!(
                "`{key}` has no value, and the keys after it are unknown here ({names}): indent them more than `{key}`, so \
                 that they belong to it"
            );
            self.collector.report(Spot::Key(*node), message);
            excused.extend(fields.iter().find(|field| *field == key).copied());
        }
        let is_outdented =
            |node: &NodeId| outdented.iter().any(|(_, _, below)| below.iter().any(|(_, own)| own == node));
        for (key, node) in entries.iter().filter(|(key, _)| !fields.contains(&key.as_str())) {
            if !is_outdented(node) {
                excused.extend(self.report_unknown(key, *node, "key", fields));
            }
        }
        let parent = self.node()?;
        let positions = fields.iter().map(|field| {
            let has_value = |key: &String| !outdented.iter().any(|(empty, _, _)| empty == key);
            let entry = entries.iter().find(|(key, _)| key == field && has_value(key));
            let missing = Position::Missing { parent, key: field, excused: excused.contains(field) };
            (*field, entry.map_or(missing, |(_, node)| Position::Node(Spot::Value(*node))))
        });
        Ok(Fields { decoder: *self, rest: positions.collect::<Vec<_>>().into_iter(), value: None })
    }

    /// Notes a key or name that is none of `known`; returns which one was meant, if that is clear.
    fn report_unknown(
        &self,
        name: &str,
        node: NodeId,
        what: &str,
        known: &'static [&'static str],
    ) -> Option<&'static str> {
        let is_key = self.document().key(node) == Some(name);
        let spot = if is_key { Spot::Key(node) } else { Spot::Value(node) };
        let mut steps = self.document().steps(node);
        if !is_key {
            steps.push(name.to_owned());
        }
        if let Some(feature) = not_yet::find(&steps, is_key) {
            self.collector.report(spot, format!("{feature} is not supported yet"));
            return None;
        }
        steps.pop();
        if let Some(home) = homes::of(&steps, name).filter(|_| is_key) {
            let (place, excused) = match &home {
                homes::Home::Below(keys) => {
                    let into = known.iter().find(|own| keys.iter().any(|key| key == *own)).copied();
                    let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
                    (format!("it belongs in {}", keys.join(" or ")), into)
                }
                homes::Home::Above(beside) => {
                    (format!("it belongs one level up, beside `{beside}`: indent it less"), None)
                }
            };
            self.collector.report(spot, format!("unknown {what} `{name}` here; {place}"));
            return excused;
        }
        let candidates = known.iter().copied().chain(not_yet::keys_of(&steps));
        let meant = self.collector.nearest(name, candidates);
        self.collector.report(spot, unknown(what, name, meant, known));
        meant
    }
}

impl<'de> Deserializer<'de> for Decoder<'_, '_> {
    type Error = Fault;

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match name {
            hook::AT => visitor.visit_seq(AtAccess { decoder: self, step: 0 }),
            hook::SCALAR_OR_MAP | hook::VALUE_OR_MAP if matches!(self.content()?, Content::Map(_)) => {
                visitor.visit_newtype_struct(self)
            }
            hook::VALUE | hook::VALUE_OR_MAP => self.value(visitor),
            hook::TREE => match self.content()? {
                Content::Map(_) | Content::List(_) => {
                    let json = self.json(self.node()?)?;
                    visitor.visit_byte_buf(json.to_string().into_bytes())
                }
                _ => {
                    let text = self.text(&visitor)?;
                    visitor.visit_str(text)
                }
            },
            hook::SCALAR | hook::SCALAR_OR_MAP => {
                let text = self.scalar(&visitor)?;
                visitor.visit_str(text)
            }
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if let Position::Missing { .. } = self.position {
            return visitor.visit_none();
        }
        if let Content::Null = self.content()? {
            let node = self.node()?;
            let key = self.document().key(node).unwrap_or("this item");
            let message = format!("`{key}` has no value; give it one or remove the key");
            self.collector.report(Spot::Key(node), message);
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_map(self.known_fields(fields)?)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.content()? {
            Content::Map(entries) => {
                visitor.visit_map(Entries { decoder: self, rest: entries.iter(), value: None })
            }
            other => Err(Self::wrong(other, &expected(&visitor))),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.content()? {
            Content::List(items) => visitor.visit_seq(Items { decoder: self, rest: items.iter() }),
            other => Err(Self::no_list(other)),
        }
    }

    /// A bare name, or a map with one key: the name of the kind.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let node = self.node()?;
        let (name, value) = match self.content()? {
            Content::Map(entries) => {
                let Some(((name, value), others)) = entries.split_first() else {
                    return Err(de::Error::custom(format_args!(
                        "an empty map; expected one of {}",
                        listed(variants)
                    )));
                };
                for (other, node) in others {
                    let message = format!("`{other}` beside `{name}`: only one kind can be given here");
                    self.collector.report(Spot::Key(*node), message);
                }
                (name.as_str(), *value)
            }
            Content::Text(name) | Content::Filled(name) => (name.as_str(), node),
            other => return Err(Self::wrong(other, &format!("one of {}", listed(variants)))),
        };
        let Some(variant) = variants.iter().find(|variant| **variant == name) else {
            self.report_unknown(name, value, "kind", variants);
            return Err(Fault::NOTED);
        };
        visitor.visit_enum(Kind { decoder: self.at(Spot::Value(value)), variant, bare: value == node })
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_str(self.text(&"text")?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if let (Position::Node(Spot::Value(_)), Content::Number(text)) = (self.position, self.content()?) {
            // In quotes it would be wrong all the same: that is then what there is to say.
            let expected = expected(&visitor);
            return match visitor.visit_str(text) {
                Ok(_) => Err(self.text(&expected.as_str()).err().unwrap_or(Fault::NOTED)),
                Err(fault) => Err(fault),
            };
        }
        let text = self.text(&visitor)?;
        visitor.visit_str(text)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.content()? {
            Content::Bool(value) => visitor.visit_bool(*value),
            Content::Filled(text) if text == "true" => visitor.visit_bool(true),
            Content::Filled(text) if text == "false" => visitor.visit_bool(false),
            Content::Text(text) => {
                Err(de::Error::custom(format_args!("\"{text}\" is text; write true or false, unquoted")))
            }
            other => Err(Self::wrong(other, "true or false")),
        }
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.content()? {
            Content::Number(text) | Content::Filled(text)
                if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                let value = text.parse().map_err(|_| {
                    de::Error::custom(format_args!("{text} is too large; at most {} is possible", u64::MAX))
                })?;
                visitor.visit_u64(value)
            }
            Content::Number(text) if text.starts_with('-') => Err(de::Error::custom(format_args!(
                "{text} is below 0; a whole number is expected, e.g. 100"
            ))),
            Content::Number(text) => {
                Err(de::Error::custom(format_args!("{text} is not a whole number, e.g. 100")))
            }
            Content::Text(text) if text.parse::<u64>().is_ok() => {
                Err(de::Error::custom(format_args!("\"{text}\" is text, not a number; remove the quotes")))
            }
            Content::Text(text) => {
                Err(de::Error::custom(format_args!("\"{text}\" is not a whole number, e.g. 100")))
            }
            other => Err(Self::wrong(other, "a whole number")),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.content()? {
            Content::Number(text) | Content::Filled(text) => match text.parse::<f64>() {
                Ok(value) if value.is_finite() => visitor.visit_f64(value),
                _ => Err(de::Error::custom(format_args!("{text} is not a number, e.g. 1.5"))),
            },
            Content::Text(text) if text.parse::<f64>().is_ok() => {
                Err(de::Error::custom(format_args!("\"{text}\" is text, not a number; remove the quotes")))
            }
            Content::Text(text) => {
                Err(de::Error::custom(format_args!("\"{text}\" is not a number, e.g. 1.5")))
            }
            other => Err(Self::wrong(other, "a number")),
        }
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        Err(Self::wrong(self.content()?, &expected(&visitor)))
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u128 f32 char bytes byte_buf unit unit_struct tuple
        tuple_struct identifier ignored_any
    }
}

/// Keys without a value whose parts stand beside them: each with the unknown keys that follow it.
type Outdented<'d> = Vec<(&'d str, NodeId, &'d [(String, NodeId)])>;

fn outdented<'d>(
    document: &'d Document<'d>,
    entries: &'d [(String, NodeId)],
    fields: &'static [&'static str],
) -> Outdented<'d> {
    let is_known = |key: &str| fields.contains(&key);
    let mut found = Vec::new();
    for (at, (key, node)) in entries.iter().enumerate() {
        let after = &entries[at + 1..];
        let below = &after[..after.iter().take_while(|(key, _)| !is_known(key)).count()];
        if is_known(key) && !below.is_empty() && matches!(document.content(*node), Content::Null) {
            found.push((key.as_str(), *node, below));
        }
    }
    found
}

/// A number of YAML.
enum Number {
    Whole(i64),
    Decimal(f64),
}

impl Number {
    fn visit<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Number::Whole(value) => visitor.visit_i64(value),
            Number::Decimal(value) => visitor.visit_f64(value),
        }
    }
}

fn number(text: &str) -> Option<Number> {
    let digits = |prefix, radix| i64::from_str_radix(text.strip_prefix(prefix)?, radix).ok();
    if let Some(whole) = text.parse().ok().or_else(|| digits("0x", 16)).or_else(|| digits("0o", 8)) {
        return Some(Number::Whole(whole));
    }
    // Not the words that Rust reads as numbers, and YAML spells with a point.
    let begins = text.trim_start_matches(['+', '-']).starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let value = text.parse().ok().filter(|value: &f64| begins && value.is_finite());
    value.map(Number::Decimal)
}

impl Fault {
    /// A mistake that has been noted already.
    const NOTED: Fault = Fault { spot: None, message: String::new() };
}

fn expected<'de, V: Visitor<'de>>(visitor: &V) -> String {
    (visitor as &dyn Expected).to_string()
}
