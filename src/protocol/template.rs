//! Payload templates of dynamic commands: JSON in which texts hold placeholders.
//!
//! `${aws:iot:commandexecution::parameter:<name>}` and `${aws:iot:commandexecution::executionTimeoutSec}`, in
//! values only. A placeholder that fills a whole text becomes a value of its parameter's type, within a
//! longer text it becomes text: AWS's page does not say, and its samples, which have to be JSON, quote numbers
//! as well. White space of the template is not kept.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::parameters::Parameters;
use super::{ParameterValue, cbor, wire};

/// What every placeholder begins with.
const BEGIN: &str = "${aws:iot:commandexecution::";
const PARAMETER: &str = "parameter:";
const TIMEOUT: &str = "executionTimeoutSec";
/// Most characters of a template.
const MAX_TEMPLATE: usize = 32_768;
/// The largest payload that can come out: AWS IoT Core's limit of a message.
const MAX_RENDERED: usize = 128 * 1024;

/// What a rendered payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum OutputFormat {
    /// JSON, for `…/request/json`.
    Json,
    /// CBOR, for `…/request/cbor`.
    Cbor,
}

impl OutputFormat {
    /// The content type of what is rendered.
    pub const fn content_type(self) -> &'static str {
        match self {
            OutputFormat::Json => "application/json",
            OutputFormat::Cbor => "application/cbor",
        }
    }
}

/// A template that can be rendered.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    root: Node,
    /// Names of parameters, in the order of their first use.
    names: Vec<String>,
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// More than the service takes.
    #[error("has {0} characters; at most {MAX_TEMPLATE} are possible")]
    TooLong(usize),
    /// Not JSON.
    #[error("is not JSON: {0}")]
    Json(String),
    /// Nothing in it is filled in.
    #[error("has no placeholder; write {BEGIN}parameter:NAME}} within a text")]
    NoPlaceholder,
    /// Neither a parameter nor the time-out.
    #[error(
        "has the unknown placeholder {0}; known are {BEGIN}parameter:NAME}} and {BEGIN}executionTimeoutSec}}"
    )]
    Unknown(String),
}

/// What came out is larger than a message can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the payload that these parameters give is larger than {MAX_RENDERED} bytes")]
pub struct TooLarge;

#[derive(Debug, Clone, PartialEq)]
enum Node {
    /// As written, with all below it.
    Literal(Value),
    /// A text that is one placeholder.
    Whole(Slot),
    /// A text with placeholders in it.
    Text(Vec<Piece>),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Text(String),
    Slot(Slot),
}

#[derive(Debug, Clone, PartialEq)]
enum Slot {
    Parameter(String),
    Timeout,
}

impl Template {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, InvalidTemplate> {
        let characters = text.chars().count();
        if characters > MAX_TEMPLATE {
            return Err(InvalidTemplate::TooLong(characters));
        }
        let value = serde_json::from_str(text).map_err(|error| InvalidTemplate::Json(error.to_string()))?;
        let mut names = Vec::new();
        let root = node(value, &mut names)?;
        if let Node::Literal(_) = root {
            return Err(InvalidTemplate::NoPlaceholder);
        }
        Ok(Self { root, names })
    }

    /// The parameters it uses, each once.
    pub fn parameters(&self) -> &[String] {
        &self.names
    }

    /// Appends the payload to `out`. A parameter without a value leaves null (or nothing within a text);
    /// whoever starts an execution makes sure that there is none.
    pub fn render(
        &self,
        values: &Parameters,
        timeout_seconds: u32,
        format: OutputFormat,
        out: &mut Vec<u8>,
    ) -> Result<(), TooLarge> {
        Rendering { values, timeout_seconds, format, limit: out.len() + MAX_RENDERED }.node(&self.root, out)
    }
}

fn node(value: Value, names: &mut Vec<String>) -> Result<Node, InvalidTemplate> {
    let is_literal = |node: &Node| matches!(node, Node::Literal(_));
    Ok(match value {
        Value::String(text) => {
            let mut pieces = pieces(&text, names)?;
            match pieces.as_slice() {
                [Piece::Slot(_)] => match pieces.pop() {
                    Some(Piece::Slot(slot)) => Node::Whole(slot),
                    _ => Node::Literal(Value::String(text)),
                },
                [] | [Piece::Text(_)] => Node::Literal(Value::String(text)),
                _ => Node::Text(pieces),
            }
        }
        Value::Array(items) => {
            let copy = Value::Array(items.clone());
            let nodes: Vec<Node> =
                items.into_iter().map(|item| node(item, names)).collect::<Result<_, _>>()?;
            if nodes.iter().all(is_literal) { Node::Literal(copy) } else { Node::List(nodes) }
        }
        Value::Object(map) => {
            let copy = Value::Object(map.clone());
            let nodes: Vec<(String, Node)> = map
                .into_iter()
                .map(|(key, value)| Ok((key, node(value, names)?)))
                .collect::<Result<_, InvalidTemplate>>()?;
            let all_literal = nodes.iter().all(|(_, node)| is_literal(node));
            if all_literal { Node::Literal(copy) } else { Node::Map(nodes) }
        }
        other => Node::Literal(other),
    })
}

fn pieces(text: &str, names: &mut Vec<String>) -> Result<Vec<Piece>, InvalidTemplate> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(begin) = rest.find(BEGIN) {
        let inner = &rest[begin + BEGIN.len()..];
        let unknown = |end: usize| InvalidTemplate::Unknown(rest[begin..end].chars().take(200).collect());
        let Some(close) = inner.find('}') else { return Err(unknown(rest.len())) };
        let slot = match (inner[..close].strip_prefix(PARAMETER), &inner[..close]) {
            (Some(name), _) if !name.is_empty() => {
                if !names.iter().any(|known| known == name) {
                    names.push(name.to_owned());
                }
                Slot::Parameter(name.to_owned())
            }
            (None, TIMEOUT) => Slot::Timeout,
            _ => return Err(unknown(begin + BEGIN.len() + close + 1)),
        };
        if begin > 0 {
            pieces.push(Piece::Text(rest[..begin].to_owned()));
        }
        pieces.push(Piece::Slot(slot));
        rest = &inner[close + 1..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

struct Rendering<'a> {
    values: &'a Parameters,
    timeout_seconds: u32,
    format: OutputFormat,
    limit: usize,
}

impl Rendering<'_> {
    fn node(&self, node: &Node, out: &mut Vec<u8>) -> Result<(), TooLarge> {
        match (node, self.format) {
            (Node::Literal(value), OutputFormat::Json) => wire::write(out, value),
            (Node::Literal(value), OutputFormat::Cbor) => cbor::write_json(out, value),
            (Node::Whole(slot), _) => self.whole(slot, out),
            (Node::Text(pieces), _) => {
                let text = self.text(pieces)?;
                self.write_text(&text, out);
            }
            (Node::List(nodes), OutputFormat::Json) => {
                for (node, before) in nodes.iter().zip(commas(b'[')) {
                    out.push(before);
                    self.node(node, out)?;
                }
                out.push(b']');
            }
            (Node::List(nodes), OutputFormat::Cbor) => {
                cbor::write_list_head(out, nodes.len());
                nodes.iter().try_for_each(|node| self.node(node, out))?;
            }
            (Node::Map(nodes), OutputFormat::Json) => {
                for ((key, node), before) in nodes.iter().zip(commas(b'{')) {
                    out.push(before);
                    wire::write(out, key);
                    out.push(b':');
                    self.node(node, out)?;
                }
                out.push(b'}');
            }
            (Node::Map(nodes), OutputFormat::Cbor) => {
                cbor::write_map_head(out, nodes.len());
                for (key, node) in nodes {
                    cbor::write_text(out, key);
                    self.node(node, out)?;
                }
            }
        }
        if out.len() > self.limit { Err(TooLarge) } else { Ok(()) }
    }

    /// A value of the parameter's own type.
    fn whole(&self, slot: &Slot, out: &mut Vec<u8>) {
        let value = match slot {
            Slot::Timeout => &ParameterValue::L(i64::from(self.timeout_seconds)),
            Slot::Parameter(name) => match self.values.get(name) {
                Some(value) => value,
                None => return self.write_json(&Value::Null, out),
            },
        };
        match (value, self.format) {
            (ParameterValue::S(text), _) => self.write_text(text, out),
            (ParameterValue::Bin(bytes), OutputFormat::Cbor) => cbor::write_bytes(out, bytes),
            (ParameterValue::Bin(bytes), OutputFormat::Json) => wire::write(out, &wire::encode_blob(bytes)),
            (ParameterValue::B(value), _) => self.write_json(&Value::from(*value), out),
            (ParameterValue::I(value), _) => self.write_json(&Value::from(*value), out),
            (ParameterValue::L(value), _) => self.write_json(&Value::from(*value), out),
            (ParameterValue::D(value), _) => self.write_json(&Value::from(*value), out),
            // It was checked to fit.
            (ParameterValue::Ul(digits), _) => {
                self.write_json(&Value::from(digits.parse::<u64>().unwrap_or(u64::MAX)), out);
            }
        }
    }

    fn text(&self, pieces: &[Piece]) -> Result<String, TooLarge> {
        let mut text = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(part) => text.push_str(part),
                Piece::Slot(Slot::Timeout) => text.push_str(&self.timeout_seconds.to_string()),
                Piece::Slot(Slot::Parameter(name)) => {
                    if let Some(value) = self.values.get(name) {
                        text.push_str(&as_text(value));
                    }
                }
            }
            // Between the pieces: few of them can hold a long value many times.
            if text.len() > MAX_RENDERED {
                return Err(TooLarge);
            }
        }
        Ok(text)
    }

    fn write_text(&self, text: &str, out: &mut Vec<u8>) {
        match self.format {
            OutputFormat::Json => wire::write(out, &text),
            OutputFormat::Cbor => cbor::write_text(out, text),
        }
    }

    fn write_json(&self, value: &Value, out: &mut Vec<u8>) {
        match self.format {
            OutputFormat::Json => wire::write(out, value),
            OutputFormat::Cbor => cbor::write_json(out, value),
        }
    }
}

fn as_text(value: &ParameterValue) -> String {
    match value {
        ParameterValue::S(text) | ParameterValue::Ul(text) => text.clone(),
        ParameterValue::B(value) => value.to_string(),
        ParameterValue::I(value) => value.to_string(),
        ParameterValue::L(value) => value.to_string(),
        // As JSON spells it.
        ParameterValue::D(value) => Value::from(*value).to_string(),
        ParameterValue::Bin(bytes) => wire::encode_blob(bytes),
    }
}

/// The opening bracket, then commas.
fn commas(open: u8) -> impl Iterator<Item = u8> {
    std::iter::once(open).chain(std::iter::repeat(b','))
}

#[cfg(test)]
mod tests {
    use super::super::cbor::Item;
    use super::*;

    /// `«p»` stands for the placeholder of parameter p, `«»` for that of the time-out.
    fn template(text: &str) -> Result<Template, InvalidTemplate> {
        let text = text.replace("«»", "${aws:iot:commandexecution::executionTimeoutSec}");
        Template::parse(&text.replace('«', "${aws:iot:commandexecution::parameter:").replace('»', "}"))
    }

    fn values(json: &str) -> Parameters {
        serde_json::from_str(json).unwrap()
    }

    fn rendered(text: &str, given: &str) -> String {
        let template = template(text).unwrap();
        let (mut json, mut binary) = (Vec::new(), Vec::new());
        template.render(&values(given), 60, OutputFormat::Json, &mut json).unwrap();
        template.render(&values(given), 60, OutputFormat::Cbor, &mut binary).unwrap();
        let json = String::from_utf8(json).unwrap();
        // Both say the same; bytes are base64 in JSON.
        let from_cbor = serde_json::to_value(Item::read(&binary).unwrap()).unwrap();
        assert_eq!(from_cbor, serde_json::from_str::<Value>(&json).unwrap(), "{text}");
        json
    }

    #[test]
    fn placeholders_become_values_of_their_types_and_text_within_texts() {
        for (text, given, expected) in [
            (r#"{"t":"«t»"}"#, r#"{"t":{"I":72}}"#, r#"{"t":72}"#),
            (r#"{"t":"«t» F"}"#, r#"{"t":{"I":72}}"#, r#"{"t":"72 F"}"#),
            (r#""«a.b»""#, r#"{"a.b":{"L":-9007199254740993}}"#, "-9007199254740993"),
            (r#""«u»""#, r#"{"u":{"UL":"18446744073709551615"}}"#, "18446744073709551615"),
            (r#"{"d":"«d»"}"#, r#"{"d":{"D":0.5}}"#, r#"{"d":0.5}"#),
            (r#"{"d":"<«d»>"}"#, r#"{"d":{"D":1}}"#, r#"{"d":"<1.0>"}"#),
            (r#"{"b":"«b»","n":null}"#, r#"{"b":{"B":false}}"#, r#"{"b":false,"n":null}"#),
            (r#"{"b":"is «b»"}"#, r#"{"b":{"B":true}}"#, r#"{"b":"is true"}"#),
            (r#"{"x":"«x»"}"#, r#"{"x":{"BIN":"AP8="}}"#, r#"{"x":"AP8="}"#),
            (r#"{"x":"0:«x»"}"#, r#"{"x":{"BIN":"AP8="}}"#, r#"{"x":"0:AP8="}"#),
            (r#"{"s":"«»","r":1}"#, "{}", r#"{"s":60,"r":1}"#),
            (r#"{"s":"«»s"}"#, "{}", r#"{"s":"60s"}"#),
            (
                r#"{"a":{"l":["«s»","x«s»«s»",{"k":2}],"e":[]}}"#,
                r#"{"s":{"S":"q\"\nü"}}"#,
                r#"{"a":{"l":["q\"\nü","xq\"\nüq\"\nü",{"k":2}],"e":[]}}"#,
            ),
            // Values are filled in, never looked at again; keys and other texts in ${} stay.
            (r#"["«s»"]"#, r#"{"s":{"S":"${a}\\"}}"#, r#"["${a}\\"]"#),
            (
                r#"{"«s»":"${HOME}","s":"«s»"}"#,
                r#"{"s":{"S":"x"}}"#,
                r#"{"${aws:iot:commandexecution::parameter:s}":"${HOME}","s":"x"}"#,
            ),
        ] {
            assert_eq!(rendered(text, given), expected, "{text}");
        }
    }

    #[test]
    fn bytes_are_bytes_in_cbor() {
        let mut out = Vec::new();
        let given = values(r#"{"x":{"BIN":"AP8="}}"#);
        template(r#"["«x»"]"#).unwrap().render(&given, 10, OutputFormat::Cbor, &mut out).unwrap();
        assert_eq!(Item::read(&out), Ok(Item::List(vec![Item::Bytes(vec![0, 255])])));
    }

    #[test]
    fn what_is_no_template_says_why() {
        let begins = |text: &str, begin: &str| {
            let problem = template(text).unwrap_err().to_string();
            assert!(problem.starts_with(begin), "{text}: {problem}");
        };
        begins("{", "is not JSON: EOF");
        begins(r#"{"t":«t»}"#, "is not JSON");
        begins(r#"{"t":"x"}"#, "has no placeholder");
        begins(r#"{"«t»":"x"}"#, "has no placeholder");
        begins(r#"["«t"]"#, "has the unknown placeholder ${aws:iot:commandexecution::parameter:t;");
        begins(r#"["${aws:iot:commandexecution::parameter:}"]"#, "has the unknown placeholder");
        begins(r#"["${aws:iot:commandexecution::executionId}"]"#, "has the unknown placeholder");
        begins(r#"["${aws:iot:commandexecution::EXECUTIONTIMEOUTSEC}"]"#, "has the unknown placeholder");
        begins(&format!("[\"«t»\",\"{}\"]", "x".repeat(32_768)), "has 328");
        assert_eq!(template(r#"["«b»","«a» «b»"]"#).unwrap().parameters(), ["b", "a"]);
    }

    #[test]
    fn what_comes_out_has_a_bound() {
        let given = Parameters::from([("s".to_owned(), ParameterValue::S("x".repeat(100_000)))]);
        for text in [r#"["«s»","«s»"]"#, r#"["«s»«s»"]"#, r#"{"a":"«s»","b":"«s»"}"#] {
            for format in [OutputFormat::Json, OutputFormat::Cbor] {
                let mut out = Vec::new();
                assert_eq!(
                    template(text).unwrap().render(&given, 10, format, &mut out),
                    Err(TooLarge),
                    "{text}"
                );
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_or_the_renderer_panic(text in "[\\[\\]{}\"«»:,ab${}]{0,24}") {
            if let Ok(template) = template(&text) {
                let mut out = Vec::new();
                template.render(&values(r#"{"a":{"S":"x"}}"#), 10, OutputFormat::Json, &mut out).unwrap();
                proptest::prop_assert!(serde_json::from_slice::<Value>(&out).is_ok());
            }
        }
    }
}
