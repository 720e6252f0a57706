//! Commands: payloads in their formats, templates and the parameters that fill them.

use std::time::Duration;

use serde_json::Value;

use super::super::document::Spot;
use super::super::problems::unknown;
use super::super::raw::{Scalar, Tree};
use super::super::{
    Command, Content, Parameter, Payload, PayloadFormat, PayloadTemplate, Target, Values, Workload,
};
use super::{At, Collector, given, is_wrong, raw, whole_seconds};
use crate::protocol::{
    CommandArn, Item, MAX_PAYLOAD, OutputFormat, ParameterType, ParameterValue, Template, json_as_cbor,
};
use crate::scenario::written::Name;

/// `executionTimeoutSeconds` of AWS IoT: 1 s to 12 h.
const MAX_TIMEOUT_SECONDS: u64 = 43_200;

pub(super) fn check(raw: Option<&raw::Command>, collector: &Collector<'_>) -> Command {
    let timeout = raw.and_then(|raw| raw.timeout.as_ref());
    if let Some((field, timeout)) = timeout.and_then(|field| Some((field, field.get()?))) {
        whole_seconds(timeout.0, MAX_TIMEOUT_SECONDS, "time-out", field.spot, collector);
    }
    let parameters: Vec<(Spot, Parameter)> = raw.map_or_else(Vec::new, |raw| parameters(raw, collector));
    let content = raw.map(|raw| content(raw, &parameters, collector));
    Command {
        name: raw.and_then(|raw| raw.name.get()).map(|name| name.0.0.clone()).unwrap_or_default(),
        content: content.unwrap_or(Content::Existing),
        parameters: parameters.into_iter().map(|(_, parameter)| parameter).collect(),
        timeout: timeout.and_then(At::get).map_or(Duration::from_secs(10), |text| text.0),
    }
}

fn content(raw: &raw::Command, parameters: &[(Spot, Parameter)], collector: &Collector<'_>) -> Content {
    let sources = [
        raw.payload.as_ref().map(|field| field.spot),
        raw.payload_file.as_ref().map(|field| field.spot),
        raw.template.as_ref().map(|field| field.spot),
    ];
    if exists(raw, collector) {
        for spot in sources.into_iter().flatten().chain(raw.format.as_ref().map(|field| field.spot)) {
            let key = collector.document().key(spot.node()).unwrap_or_default();
            let message = format!("the command is there already, with its payload: `{key}` changes nothing");
            let hint = format!("leave out `{key}`, or `existing`");
            collector.report_with_hint(Spot::Key(spot.node()), message, hint);
        }
        return Content::Existing;
    }
    let mut given_sources = sources.into_iter().flatten();
    given_sources.next();
    for spot in given_sources {
        let message = "a command has one of `payload`, `payload_file` and `template`; leave out the others";
        collector.report(Spot::Key(spot.node()), message);
    }
    if let Some(field) = &raw.template {
        return template(raw, field, parameters, collector);
    }
    if let (Some(field), false) = (&raw.parameters, is_wrong(&raw.parameters)) {
        let message = "parameters need a `template` to go into";
        collector.report(Spot::Key(field.spot.node()), message);
    }
    let format = match given(&raw.format) {
        Some(raw::Format::Text) => PayloadFormat::Text,
        Some(raw::Format::Cbor) => PayloadFormat::Cbor,
        Some(raw::Format::Json) | None => PayloadFormat::Json,
    };
    Content::Payload(match &raw.payload_file {
        Some(field) => from_file(field, format, collector),
        None => payload(raw, format, collector),
    })
}

/// The embedded backend begins empty, so nothing exists there.
pub(super) fn exists_where_it_can(
    workloads: &At<raw::Named<Name, raw::Workload>>,
    target: &Target,
    collector: &Collector<'_>,
) {
    if !matches!(target, Target::Embedded(_)) {
        return;
    }
    for (_, workload) in workloads.get().iter().flat_map(|entries| &entries.0) {
        let command = workload.get().and_then(|raw| raw.command.get());
        let Some(field) = command.and_then(|raw| raw.existing.as_ref()) else { continue };
        if matches!(field.get(), Some(raw::Existing::Flag(true) | raw::Existing::Arn(_))) {
            let message = "the embedded backend begins empty: no command exists there";
            let hint = "leave out `existing`, so that the command is created";
            collector.report_with_hint(field.spot, message, hint);
        }
    }
}

/// Whether the command is at the target already.
fn exists(raw: &raw::Command, collector: &Collector<'_>) -> bool {
    let Some(field) = &raw.existing else { return false };
    match field.get() {
        Some(raw::Existing::Flag(flag)) => *flag,
        Some(raw::Existing::Arn(text)) => {
            match (text.parse::<CommandArn>(), raw.name.get()) {
                (Ok(arn), Some(name)) if arn.command_id != name.0.0 => {
                    let message = format!("this is the ARN of `{}`, not of `{}`", arn.command_id, name.0.0);
                    collector.report(field.spot, message);
                }
                (Ok(_), _) => {}
                (Err(error), _) => collector.report(field.spot, error.to_string()),
            }
            true
        }
        None => true,
    }
}

fn payload(raw: &raw::Command, format: PayloadFormat, collector: &Collector<'_>) -> Payload {
    let of = |bytes| Payload { bytes, format, file: None };
    let Some(field) = &raw.payload else {
        if format == PayloadFormat::Text && !is_wrong(&raw.format) {
            let spot = raw.format.as_ref().map_or(raw.name.spot, |format| format.spot);
            collector.report(spot, "a text command needs a `payload`; only json and cbor have a default, {}");
        }
        return of(encoded("{}", format));
    };
    let Some(tree) = field.get() else { return of(Vec::new()) };
    let text = match tree {
        Tree::Text(text) => text,
        Tree::Json(json) => {
            if format == PayloadFormat::Text {
                let message = "a map or list is a payload in JSON or CBOR, not text";
                collector.report_with_hint(
                    field.spot,
                    message,
                    "write the payload as text, or set format: json",
                );
            }
            json
        }
    };
    if is_wrong(&raw.format) {
        return of(Vec::new());
    }
    if format != PayloadFormat::Text
        && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text)
    {
        let hint = "write it as a map, or quote the keys and texts inside it, or set format: text";
        collector.report_with_hint(field.spot, format!("the payload is not JSON: {error}"), hint);
    }
    let bytes = encoded(text, format);
    bounded(&bytes, field.spot, collector);
    if format == PayloadFormat::Cbor
        && let Err(error) = Item::read(&bytes)
    {
        collector.report(field.spot, format!("the payload cannot be sent as CBOR: {error}"));
    }
    of(bytes)
}

fn from_file(field: &At<String>, format: PayloadFormat, collector: &Collector<'_>) -> Payload {
    let of = |bytes| Payload { bytes, format, file: None };
    let bytes = field.get().and_then(|path| {
        Some((path, collector.shelf().read(path, MAX_PAYLOAD as u64, field.spot, collector)?))
    });
    let Some((path, bytes)) = bytes else { return of(Vec::new()) };
    if format == PayloadFormat::Cbor && !path.to_ascii_lowercase().ends_with(".json") {
        return match Item::read(&bytes) {
            Ok(item) => {
                // Bytes and some lengths have no spelling in JSON.
                let is_spelled = encoded(&item.to_string(), format) == bytes;
                Payload { bytes, format, file: (!is_spelled).then(|| path.clone()) }
            }
            Err(error) => {
                collector.report(field.spot, format!("the payload in `{path}` is {error}"));
                of(Vec::new())
            }
        };
    }
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            collector.report(field.spot, format!("the payload in `{path}` is not UTF-8 from byte {at} on"));
            return of(Vec::new());
        }
    };
    if format != PayloadFormat::Text
        && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&text)
    {
        let hint = "set format: text if it is not meant to be JSON";
        let message = format!("the payload in `{path}` is not JSON: {error}");
        collector.report_with_hint(field.spot, message, hint);
    }
    of(encoded(&text, format))
}

/// JSON and text stand for themselves; for CBOR the text is JSON.
fn encoded(text: &str, format: PayloadFormat) -> Vec<u8> {
    match format {
        PayloadFormat::Json | PayloadFormat::Text => text.as_bytes().to_vec(),
        PayloadFormat::Cbor => json_as_cbor(&serde_json::from_str(text).unwrap_or(Value::Null)),
    }
}

fn bounded(bytes: &[u8], spot: Spot, collector: &Collector<'_>) {
    if bytes.len() > MAX_PAYLOAD {
        let message = format!("the payload has {} bytes; at most {MAX_PAYLOAD} are possible", bytes.len());
        collector.report(spot, message);
    }
}

fn template(
    raw: &raw::Command,
    field: &At<Tree>,
    parameters: &[(Spot, Parameter)],
    collector: &Collector<'_>,
) -> Content {
    let output = match given(&raw.format) {
        Some(raw::Format::Cbor) => OutputFormat::Cbor,
        Some(raw::Format::Text) => {
            let spot = raw.format.as_ref().map_or(field.spot, |format| format.spot);
            collector.report(spot, "a template makes JSON or CBOR; set format: json or cbor");
            OutputFormat::Json
        }
        Some(raw::Format::Json) | None => OutputFormat::Json,
    };
    let text = match field.get() {
        Some(Tree::Text(text) | Tree::Json(text)) => text.clone(),
        None => String::new(),
    };
    let parsed = field.get().map(|_| Template::parse(&text));
    if let Some(Err(error)) = &parsed {
        collector.report(field.spot, format!("the template {error}"));
    }
    if let (Some(Ok(template)), false) = (&parsed, is_wrong(&raw.parameters)) {
        uses(template, field.spot, raw, parameters, collector);
    }
    Content::Template(PayloadTemplate { text, output })
}

/// Every placeholder has a parameter, and every parameter a placeholder.
fn uses(
    template: &Template,
    spot: Spot,
    raw: &raw::Command,
    parameters: &[(Spot, Parameter)],
    collector: &Collector<'_>,
) {
    let names = || parameters.iter().map(|(_, parameter)| parameter.name.as_str());
    if raw.parameters.is_none() {
        // The service wants a parameter, even where a template has only the time-out.
        let message = "a template needs `parameters`, a map of their names to values, e.g. { level: 3 }";
        collector.report(spot, message);
        return;
    }
    for name in template.parameters() {
        if !names().any(|known| known == name) {
            let meant = collector.nearest(name, names());
            let said = unknown("parameter", name, meant, names());
            collector.report(spot, format!("the template has a placeholder without a value: {said}"));
        }
    }
    for (spot, parameter) in parameters {
        if !template.parameters().contains(&parameter.name) {
            let message = format!("no placeholder of the template uses the parameter `{}`", parameter.name);
            let hint = format!("write ${{aws:iot:commandexecution::parameter:{}}} into it", parameter.name);
            collector.report_with_hint(*spot, message, hint);
        }
    }
}

fn parameters(raw: &raw::Command, collector: &Collector<'_>) -> Vec<(Spot, Parameter)> {
    let Some(field) = &raw.parameters else { return Vec::new() };
    let Some(entries) = field.get() else { return Vec::new() };
    if entries.0.is_empty() {
        collector
            .report(Spot::Key(field.spot.node()), "at least one parameter is needed; or leave the key out");
    }
    let one = |(name, value): &(At<_>, At<raw::Parameter>)| {
        let key = Spot::Key(name.spot.node());
        let name = collector.document().key(name.spot.node()).unwrap_or_default().to_owned();
        let values = value.get().and_then(|raw| values(raw, value.spot, collector));
        // A stand-in keeps its placeholder from being called unknown.
        let values = values.unwrap_or(Values::One(ParameterValue::B(false)));
        (key, Parameter { name, values })
    };
    entries.0.iter().map(one).collect()
}

fn values(raw: &raw::Parameter, spot: Spot, collector: &Collector<'_>) -> Option<Values> {
    match raw {
        raw::Parameter::One(scalar) => value(scalar, false, spot, collector).map(Values::One),
        raw::Parameter::Chosen(raw::Choice::Each(items)) => each(items, spot, collector),
        raw::Parameter::Chosen(raw::Choice::Range(items)) => range(items, spot, collector),
    }
}

fn each(items: &[At<Scalar>], spot: Spot, collector: &Collector<'_>) -> Option<Values> {
    if items.is_empty() {
        collector.report(spot, "at least one value is needed for the parameter");
        return None;
    }
    // Whole numbers are all 32 bits wide or all 64.
    let is_long = |scalar: &Scalar| matches!(scalar, Scalar::Whole(value) if i32::try_from(*value).is_err());
    let is_long = items.iter().filter_map(At::get).any(is_long);
    let all: Option<Vec<ParameterValue>> =
        items.iter().map(|item| value(item.get()?, is_long, item.spot, collector)).collect();
    let all = all?;
    let first = ParameterType::of(all.first()?);
    let odd = items.iter().zip(&all).find(|(_, value)| ParameterType::of(value) != first);
    if let Some((item, value)) = odd {
        let (own, first) = (ParameterType::of(value).name(), first.name());
        let message = format!("the values of a parameter are of one type; this is {own}, the first {first}");
        let hint = "write all numbers with a decimal point or none, quote all texts";
        collector.report_with_hint(item.spot, message, hint);
    }
    Some(Values::Each(all))
}

fn range(items: &[At<Scalar>], spot: Spot, collector: &Collector<'_>) -> Option<Values> {
    let numbers: Option<Vec<&Scalar>> = items.iter().map(At::get).collect();
    let (chosen, from, to) = match numbers?.as_slice() {
        [Scalar::Whole(from), Scalar::Whole(to)] => {
            #[expect(clippy::cast_precision_loss, reason = "only compared")]
            let compared = (*from as f64, *to as f64);
            (Values::Whole(*from, *to), compared.0, compared.1)
        }
        [Scalar::Decimal(from), Scalar::Decimal(to)] => (Values::Decimal(*from, *to), *from, *to),
        [Scalar::Whole(_) | Scalar::Decimal(_), Scalar::Whole(_) | Scalar::Decimal(_)] => {
            let message =
                "the numbers of a parameter's range are of one type: both with a decimal point, or none";
            collector.report(spot, message);
            return None;
        }
        _ => {
            collector.report(spot, "the range of a parameter is two numbers, the smaller first: [60, 80]");
            return None;
        }
    };
    if from > to {
        collector
            .report(spot, "the first number of a parameter's range is larger than the second; swap them");
        return None;
    }
    Some(chosen)
}

fn value(scalar: &Scalar, is_long: bool, spot: Spot, collector: &Collector<'_>) -> Option<ParameterValue> {
    Some(match scalar {
        Scalar::Flag(value) => ParameterValue::B(*value),
        Scalar::Decimal(value) => ParameterValue::D(*value),
        Scalar::Whole(value) => match i32::try_from(*value) {
            Ok(small) if !is_long => ParameterValue::I(small),
            _ => ParameterValue::L(*value),
        },
        Scalar::Text(text) if text.is_empty() => {
            collector.report(spot, "the text of a parameter cannot be empty");
            return None;
        }
        Scalar::Text(text) => ParameterValue::S(text.clone()),
    })
}

/// A command id stands for one stored command, so it cannot have two payloads.
pub(super) fn one_payload_per_name(
    workloads: &[Workload],
    entries: &raw::Named<Name, raw::Workload>,
    collector: &Collector<'_>,
) {
    for (index, workload) in workloads.iter().enumerate() {
        let (own, name) = (&workload.command, &workload.command.name);
        let other = workloads[..index]
            .iter()
            .find(|earlier| earlier.command.name == *name && earlier.command.request() != own.request());
        let command = entries.0[index].1.get().and_then(|raw| raw.command.get());
        if let (Some(other), Some(spot)) =
            (other, command.filter(|raw| raw.name.get().is_some()).map(|raw| raw.name.spot))
        {
            let message = format!("the command `{name}` has another payload in workload `{}`", other.name);
            collector.report_with_hint(spot, message, "give the two commands different names");
        }
    }
}
