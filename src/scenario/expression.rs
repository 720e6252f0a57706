//! The grammar of threshold expressions: `AGG(METRIC{label=value,…}) OP NUMBER[UNIT]`.
//!
//! Only the outline; whether aggregate, metric, labels and limit fit together is checked in
//! `threshold`. Every part keeps its place, for the caret.

use std::ops::Range;

use winnow::ascii::multispace0;
use winnow::combinator::{alt, cut_err, delimited, opt, preceded, separated, separated_pair};
use winnow::error::{StrContext, StrContextValue};
use winnow::prelude::*;
use winnow::stream::LocatingSlice;
use winnow::token::{rest, take_while};

use super::Comparison;

/// An expression taken apart.
#[derive(Debug, PartialEq)]
pub(super) struct Expression<'t> {
    pub(super) aggregate: Part<'t>,
    pub(super) metric: Part<'t>,
    pub(super) labels: Vec<(Part<'t>, Part<'t>)>,
    pub(super) comparison: Comparison,
    pub(super) limit: Part<'t>,
}

/// A word of an expression and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part<'t> {
    pub(super) text: &'t str,
    pub(super) place: Range<usize>,
}

/// What was expected, and where.
#[derive(Debug, PartialEq)]
pub(super) struct SyntaxError {
    pub(super) place: usize,
    pub(super) expected: String,
}

/// What stands behind the `=` of a label.
const LABEL_VALUE: &str = "the value of the label";

type Input<'t> = LocatingSlice<&'t str>;

/// Takes `text` apart.
pub(super) fn parse(text: &str) -> Result<Expression<'_>, SyntaxError> {
    expression.parse(LocatingSlice::new(text)).map_err(|error| {
        let expected = error.inner().context().find_map(|context| match context {
            StrContext::Expected(value) => Some(value.to_string()),
            _ => None,
        });
        let quoted = text[error.offset()..].starts_with(['"', '\'']);
        let expected = match expected {
            Some(expected) if quoted && expected == LABEL_VALUE => format!("{expected}, without quotes"),
            Some(expected) => expected,
            None => "the end".to_owned(),
        };
        SyntaxError { place: error.offset(), expected }
    })
}

fn expression<'t>(input: &mut Input<'t>) -> ModalResult<Expression<'t>> {
    let aggregate =
        spaced(word).context(expected("an aggregate, e.g. p99, rate or count")).parse_next(input)?;
    literal("(").parse_next(input)?;
    let metric =
        cut_err(spaced(word)).context(expected("a metric, e.g. latency or succeeded")).parse_next(input)?;
    let labels = opt(labels).parse_next(input)?.unwrap_or_default();
    literal(")").parse_next(input)?;
    let comparison =
        cut_err(spaced(comparison)).context(expected("one of < <= > >= == !=")).parse_next(input)?;
    let limit =
        cut_err(spaced(limit)).context(expected("a limit, e.g. 300ms, 99% or 0")).parse_next(input)?;
    Ok(Expression { aggregate, metric, labels, comparison, limit })
}

fn labels<'t>(input: &mut Input<'t>) -> ModalResult<Vec<(Part<'t>, Part<'t>)>> {
    delimited(spaced("{"), cut_err(separated(1.., label, spaced(","))), literal("}")).parse_next(input)
}

fn label<'t>(input: &mut Input<'t>) -> ModalResult<(Part<'t>, Part<'t>)> {
    separated_pair(
        spaced(word).context(expected("a label: group, workload or error")),
        cut_err(spaced("=")).context(expected("=")),
        cut_err(spaced(word)).context(expected(LABEL_VALUE)),
    )
    .parse_next(input)
}

fn comparison(input: &mut Input<'_>) -> ModalResult<Comparison> {
    alt((
        "<=".value(Comparison::LessOrEqual),
        ">=".value(Comparison::GreaterOrEqual),
        "==".value(Comparison::Equal),
        "!=".value(Comparison::NotEqual),
        "<".value(Comparison::Less),
        ">".value(Comparison::Greater),
    ))
    .parse_next(input)
}

/// All the rest: units may be spelled with spaces, `1m 30s`.
fn limit<'t>(input: &mut Input<'t>) -> ModalResult<Part<'t>> {
    rest.verify(|text: &str| !text.trim_end().is_empty())
        .with_span()
        .map(|(text, place): (&str, Range<usize>)| {
            let text = text.trim_end();
            Part { text, place: place.start..place.start + text.len() }
        })
        .parse_next(input)
}

fn word<'t>(input: &mut Input<'t>) -> ModalResult<Part<'t>> {
    take_while(1.., |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        .with_span()
        .map(|(text, place)| Part { text, place })
        .parse_next(input)
}

fn literal<'t>(token: &'static str) -> impl ModalParser<Input<'t>, &'t str, winnow::error::ContextError> {
    cut_err(spaced(token)).context(StrContext::Expected(StrContextValue::StringLiteral(token)))
}

fn spaced<'t, O>(
    parser: impl ModalParser<Input<'t>, O, winnow::error::ContextError>,
) -> impl ModalParser<Input<'t>, O, winnow::error::ContextError> {
    preceded(multispace0, parser)
}

fn expected(what: &'static str) -> StrContext {
    StrContext::Expected(StrContextValue::Description(what))
}
