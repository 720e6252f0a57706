//! The only file that names the YAML library: its options, its errors, its tree.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::DuplicateKeyPolicy;
pub(super) use serde_yaml::{Location, Spanned};

use super::super::problems::offset_of;

/// A checked-in scenario has some hundred nodes; this many is a mistake or an attack.
const MAX_NODES: usize = 50_000;
/// Room for every payload that fits the service, again and again by alias.
const MAX_TEXT_BYTES: usize = 16 * 1024 * 1024;
/// Deeper nesting means nothing in a scenario, and reading it is recursive.
const MAX_DEPTH: usize = 32;

/// The document as the library hands it over.
pub(super) enum Tree {
    Scalar(Scalar),
    List(Vec<Spanned<Tree>>),
    Map(Vec<(Spanned<String>, Spanned<Tree>)>),
}

pub(super) enum Scalar {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
}

/// What is wrong with a text as YAML.
pub(super) struct SyntaxError {
    /// The byte at which it was noticed.
    pub(super) offset: usize,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// Reads `source` as one YAML document.
pub(super) fn read(source: &str) -> Result<Spanned<Tree>, SyntaxError> {
    serde_yaml::from_str_with_options(source, options()).map_err(|error| syntax_error(source, &error))
}

/// The bytes of a location.
pub(super) fn bytes(source: &str, location: Location) -> Range<usize> {
    let span = location.span();
    let to_usize = |value: Option<u64>| value.and_then(|v| usize::try_from(v).ok()).unwrap_or(0);
    let begin = to_usize(span.byte_offset()).min(source.len());
    let end = begin.saturating_add(to_usize(span.byte_len())).min(source.len());
    begin..end
}

/// YAML 1.2 booleans only; duplicate keys come through to be reported with everything else; the
/// library's own limits bound aliases, anchors and merges.
fn options() -> serde_yaml::Options {
    serde_yaml::options! {
        strict_booleans: true,
        with_snippet: false,
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        non_finite_float_policy: serde_yaml::NonFiniteFloatPolicy::AsString,
        alias_limits: serde_yaml::alias_limits! { max_total_replayed_events: 4 * MAX_NODES },
        budget: serde_yaml::budget! {
            max_events: 4 * MAX_NODES,
            max_nodes: MAX_NODES,
            max_total_scalar_bytes: MAX_TEXT_BYTES,
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
        },
    }
}

/// What the parser says, at its place, with the remedy for what people trip over.
fn syntax_error(source: &str, error: &serde_yaml::Error) -> SyntaxError {
    let text = error.without_snippet().to_string();
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    // Syntax errors come with line and column only.
    let offset = error.location().map_or(0, |location| {
        let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        offset_of(source, number(location.line()), number(location.column()))
    });
    let (message, hint) = if message.contains("multiple YAML documents") {
        ("a second YAML document begins here; a scenario file holds one".to_owned(), None)
    } else if message.contains("recursive references") {
        ("this alias stands inside its own anchor".to_owned(), None)
    } else if message.contains("budget breached") || message.contains("alias replay") {
        (
            format!(
                "too much: a scenario has at most {MAX_NODES} values, those behind aliases included, \
                  and is nested at most {MAX_DEPTH} deep"
            ),
            None,
        )
    } else {
        (format!("not valid YAML: {message}"), tab_hint(source, offset).or_else(|| syntax_hint(message)))
    };
    SyntaxError { offset, message, hint }
}

/// YAML knows no tabs in indentation, and its parser's words do not say so.
fn tab_hint(source: &str, offset: usize) -> Option<String> {
    let begin = source[..offset].rfind('\n').map_or(0, |at| at + 1);
    let line = source[begin..].lines().next()?;
    let indentation = &line[..line.len() - line.trim_start().len()];
    indentation.contains('\t').then(|| "YAML is indented by spaces; this line has a tab".to_owned())
}

fn syntax_hint(message: &str) -> Option<String> {
    let hint = if message.contains("flow mapping") {
        "inside { } quote texts that contain { } [ ] or a comma"
    } else if message.contains("mapping values are not allowed") {
        "quote texts that contain \": \", or check the indentation"
    } else if message.contains("unexpected character") {
        "quote texts that begin with a special character"
    } else if message.contains("did not find expected key") {
        "check the indentation: keys of one map stand in one column"
    } else {
        return None;
    };
    Some(hint.to_owned())
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar(Scalar::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Scalar(Scalar::Bool(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Scalar(Scalar::Number(value.to_string())))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Scalar(Scalar::Number(value.to_string())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Scalar(Scalar::Number(value.to_string())))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Scalar(Scalar::Text(value.to_owned())))
    }

    fn visit_string<E>(self, value: String) -> Result<Tree, E> {
        Ok(Tree::Scalar(Scalar::Text(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Tree::Map(entries))
    }
}
