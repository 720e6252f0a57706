//! Groups: how many devices, what they are called, how they connect and behave.

use indexmap::IndexMap;

use super::super::client_id::{self, Clash, SearchBudget, clash};
use super::super::document::Spot;
use super::super::written::{Name, Reason, ReasonCode, ResultName, Text};
use super::super::{
    Behavior, ClientIdTemplate, Group, Manners, OutcomeKind, PlannedOutcome, PlannedResult, TextTemplate,
};
use super::delays::delay;
use super::{At, Collector, MAX_DEVICES, connect, given, manners, raw};
use crate::dist::Delay;
use crate::protocol::TargetKind;
use crate::units::{Share, human_count};

type RawGroups = At<raw::Named<Name, raw::Group>>;

pub(super) fn check(raw: &RawGroups, collector: &Collector<'_>) -> Vec<Group> {
    let Some(entries) = raw.get() else { return Vec::new() };
    let groups: Vec<Group> = entries.0.iter().map(|(name, value)| group(name, value, collector)).collect();
    let devices: u64 = groups.iter().map(|group| u64::from(group.count)).sum();
    if devices > MAX_DEVICES {
        let (devices, most) = (human_count(devices), human_count(MAX_DEVICES));
        let message = format!("{devices} devices are too many; all groups together can have {most}");
        collector.report(Spot::Key(raw.spot.node()), message);
    } else {
        distinct_ids(&groups, entries, collector);
    }
    groups
}

fn group(name: &At<Text<Name>>, raw: &At<raw::Group>, collector: &Collector<'_>) -> Group {
    let document = collector.document();
    let name = document.key(name.spot.node()).unwrap_or_default().to_owned();
    let raw = raw.get();
    let count = raw.map_or(1, |raw| count(raw, collector));
    let behavior = raw.and_then(|raw| raw.behavior.get());
    let client_id =
        raw.map_or_else(|| client_id::standard_for(&name), |raw| template(raw, &name, count, collector));
    let address = match raw.and_then(|raw| given(&raw.address)) {
        Some(raw::Address::Client) => TargetKind::Client,
        Some(raw::Address::Thing) | None => TargetKind::Thing,
    };
    let target_name = raw.and_then(|raw| thing_name(raw, address, &name, count, collector));
    let attributes = raw.and_then(|raw| given(&raw.attributes)).map(super::named_texts);
    Group {
        target_name: target_name.unwrap_or_else(|| client_id.clone()),
        client_id,
        address,
        attributes: attributes.unwrap_or_default(),
        count,
        connect: connect::check(raw.and_then(|raw| given(&raw.connect)), collector),
        behavior: behavior.map_or_else(nothing, |raw| self::behavior(raw, &name, collector)),
        name,
    }
}

fn count(raw: &raw::Group, collector: &Collector<'_>) -> u32 {
    let (Some(field), Some(count)) = (&raw.count, given(&raw.count)) else { return 1 };
    match u32::try_from(*count) {
        Ok(fits) if (1..=MAX_DEVICES).contains(count) => fits,
        _ => {
            let most = human_count(MAX_DEVICES);
            collector.report(field.spot, format!("a group of {count} devices; 1 to {most} are possible"));
            1
        }
    }
}

fn template(raw: &raw::Group, name: &str, count: u32, collector: &Collector<'_>) -> ClientIdTemplate {
    let (Some(field), Some(text)) = (&raw.client_id, given(&raw.client_id)) else {
        return client_id::standard_for(name);
    };
    ClientIdTemplate::read("client id", text, name, count).unwrap_or_else(|message| {
        collector.report(field.spot, message);
        client_id::standard_for(name)
    })
}

/// The names of things, if they are not their client ids.
fn thing_name(
    raw: &raw::Group,
    address: TargetKind,
    name: &str,
    count: u32,
    collector: &Collector<'_>,
) -> Option<ClientIdTemplate> {
    let (field, text) = (raw.thing_name.as_ref()?, given(&raw.thing_name)?);
    if address == TargetKind::Client {
        let message = "with `address: client` commands go to the client id, not to a thing";
        collector.report_with_hint(
            Spot::Key(field.spot.node()),
            message,
            "leave out `thing_name`, or take `address: thing`",
        );
        return None;
    }
    match ClientIdTemplate::read("thing name", text, name, count) {
        Ok(template) => Some(template),
        Err(message) => {
            collector.report(field.spot, message);
            None
        }
    }
}

/// Stands in for a behaviour that is missing or wrong.
fn nothing() -> Behavior {
    Behavior {
        accept_delay: None,
        delay: Delay::ZERO,
        outcomes: Vec::new(),
        result: IndexMap::new(),
        duplicates: Share::ZERO,
        out_of_order: Share::ZERO,
        malformed: Share::ZERO,
        manners: Manners::default(),
    }
}

fn behavior(raw: &raw::Behavior, group: &str, collector: &Collector<'_>) -> Behavior {
    Behavior {
        accept_delay: raw.accept_delay.as_ref().map(|field| delay(field, collector)),
        delay: delay(&raw.delay, collector),
        outcomes: raw.outcomes.as_ref().map(|field| outcomes(field, collector)).unwrap_or_default(),
        result: given(&raw.result).map(|raw| result(raw, group, collector)).unwrap_or_default(),
        duplicates: given(&raw.duplicates).map_or(Share::ZERO, |share| share.0),
        out_of_order: given(&raw.out_of_order).map_or(Share::ZERO, |share| share.0),
        malformed: given(&raw.malformed).map_or(Share::ZERO, |share| share.0),
        manners: manners::check(raw, collector),
    }
}

fn result(
    raw: &raw::Named<ResultName, raw::ResultValue>,
    group: &str,
    collector: &Collector<'_>,
) -> IndexMap<String, PlannedResult> {
    let read = |text: &str, spot| match TextTemplate::read(text, group) {
        Ok(template) => Some(template),
        Err(message) => {
            collector.report(spot, message);
            None
        }
    };
    let entries = raw.0.iter().filter_map(|(name, value)| {
        let planned = match value.get()? {
            raw::ResultValue::S(text) => PlannedResult::S(read(text, value.spot)?),
            raw::ResultValue::B(flag) => PlannedResult::B(*flag),
            raw::ResultValue::Bin(text) => PlannedResult::Bin(read(text, value.spot)?),
        };
        Some((name.get()?.0.0.clone(), planned))
    });
    entries.collect()
}

/// The outcomes other than success in the order of the file. A `succeeded` that says no more than
/// its share is only compared with what the others leave: it must be exactly that.
fn outcomes(field: &At<raw::Outcomes>, collector: &Collector<'_>) -> Vec<PlannedOutcome> {
    let Some(raw) = field.get() else { return Vec::new() };
    let kinds = [
        (OutcomeKind::Succeeded, &raw.succeeded),
        (OutcomeKind::Failed, &raw.failed),
        (OutcomeKind::Rejected, &raw.rejected),
        (OutcomeKind::TimedOut, &raw.timed_out),
        (OutcomeKind::NoAnswer, &raw.no_answer),
    ];
    let start = |spot| collector.document().span(spot).start;
    let mut placed: Vec<(usize, PlannedOutcome)> = kinds
        .iter()
        .filter_map(|(kind, field)| Some((kind, field.as_ref()?)))
        .filter_map(|(kind, field)| Some((start(field.spot), planned(*kind, field, collector)?)))
        .collect();
    placed
        .extend(raw.late.as_ref().and_then(|field| Some((start(field.spot), late(field.get()?, collector)))));
    placed.sort_by_key(|(start, _)| *start);
    let outcomes: Vec<PlannedOutcome> = placed.into_iter().map(|(_, outcome)| outcome).collect();
    let complete = kinds.iter().all(|(_, outcome)| !super::is_wrong(outcome)) && !super::is_wrong(&raw.late);
    if complete {
        shares(&outcomes, raw.succeeded.is_some(), field.spot, collector);
    }
    outcomes.into_iter().filter(|outcome| !is_plain_success(outcome)).collect()
}

fn is_plain_success(outcome: &PlannedOutcome) -> bool {
    outcome.kind == OutcomeKind::Succeeded
        && outcome.delay.is_none()
        && outcome.reason_code.is_none()
        && outcome.reason.is_none()
}

fn planned(kind: OutcomeKind, field: &At<raw::Outcome>, collector: &Collector<'_>) -> Option<PlannedOutcome> {
    let details = match field.get()? {
        raw::Outcome::Share(share) => {
            return Some(PlannedOutcome {
                kind,
                share: *share,
                reason_code: None,
                reason: None,
                delay: None,
            });
        }
        raw::Outcome::Details(details) => details,
    };
    let spots = [
        details.reason_code.as_ref().map(|at| at.spot),
        details.reason.as_ref().map(|at| at.spot),
        details.delay.as_ref().map(|at| at.spot),
    ];
    if kind == OutcomeKind::NoAnswer {
        for spot in spots.into_iter().flatten() {
            let key = collector.document().key(spot.node()).unwrap_or_default();
            collector.report(Spot::Key(spot.node()), format!("a device that says nothing has no `{key}`"));
        }
    }
    reason_with_code(&details.reason, &details.reason_code, collector);
    Some(PlannedOutcome {
        kind,
        share: details.share.get().map_or(Share::ZERO, |share| share.0),
        reason_code: given(&details.reason_code).map(|code| code.0.0.clone()),
        reason: given(&details.reason).map(|reason| reason.0.0.clone()),
        delay: details.delay.as_ref().map(|field| delay(field, collector)),
    })
}

fn late(raw: &raw::LateOutcome, collector: &Collector<'_>) -> PlannedOutcome {
    reason_with_code(&raw.reason, &raw.reason_code, collector);
    PlannedOutcome {
        kind: OutcomeKind::Late,
        share: raw.share.get().map_or(Share::ZERO, |share| share.0),
        reason_code: given(&raw.reason_code).map(|code| code.0.0.clone()),
        reason: given(&raw.reason).map(|reason| reason.0.0.clone()),
        delay: Some(delay(&raw.by, collector)),
    }
}

#[expect(clippy::ref_option, reason = "borrows fields as they stand")]
fn reason_with_code(
    reason: &Option<At<Text<Reason>>>,
    code: &Option<At<Text<ReasonCode>>>,
    collector: &Collector<'_>,
) {
    if let (Some(reason), None) = (reason, code) {
        collector.report(Spot::Key(reason.spot.node()), "a `reason` needs a `reason_code` beside it");
    }
}

fn shares(outcomes: &[PlannedOutcome], with_success: bool, spot: Spot, collector: &Collector<'_>) {
    // Shares are decimal texts; sums of their doubles are off by some 1e-16.
    const TOLERANCE: f64 = 1e-9;
    let sum: f64 = outcomes.iter().map(|outcome| outcome.share.fraction()).sum();
    // Rounded to what people write, so that 103 % does not read as 102.99999999999999 %.
    let percent = (sum * 1e8).round() / 1e6;
    let spot = Spot::Key(spot.node());
    if sum > 1.0 + TOLERANCE {
        collector.report(spot, format!("the shares add up to {percent}%; at most 100% is possible"));
    } else if with_success && sum < 1.0 - TOLERANCE {
        let message =
            format!("the shares add up to {percent}%; with `succeeded` among them they must make 100%");
        collector.report_with_hint(spot, message, "leave `succeeded` out: it is what the others leave");
    }
}

/// Two devices with one client id throw each other out; two with one thing name get each other's commands.
fn distinct_ids(groups: &[Group], entries: &raw::Named<Name, raw::Group>, collector: &Collector<'_>) {
    let mut budget = SearchBudget::default();
    for (index, group) in groups.iter().enumerate() {
        let (name, value) = &entries.0[index];
        let key = Spot::Key(name.spot.node());
        let client_id = value.get().and_then(|raw| raw.client_id.as_ref());
        let thing_name = value.get().and_then(|raw| raw.thing_name.as_ref());
        // One report for each group will do.
        for earlier in &groups[..index] {
            let (a, b) = (&earlier.name, &group.name);
            let ids = ((&earlier.client_id, earlier.count), (&group.client_id, group.count));
            if let Some(found) = clash(ids.0, ids.1, &mut budget) {
                report_clash("client id", found, (a, b), client_id.map_or(key, |at| at.spot), collector);
                break;
            }
            let same = |group: &Group| group.target_name == group.client_id;
            if earlier.address != TargetKind::Thing
                || group.address != TargetKind::Thing
                || (same(earlier) && same(group))
            {
                continue;
            }
            let names = ((&earlier.target_name, earlier.count), (&group.target_name, group.count));
            if let Some(found) = clash(names.0, names.1, &mut budget) {
                report_clash("thing name", found, (a, b), thing_name.map_or(key, |at| at.spot), collector);
                break;
            }
        }
    }
}

fn report_clash(noun: &str, found: Clash, (a, b): (&str, &str), spot: Spot, collector: &Collector<'_>) {
    let message = match found {
        Clash::Id(id) => format!("groups `{a}` and `{b}` both have a device with the {noun} \"{id}\""),
        Clash::Unclear => format!("the {noun}s of groups `{a}` and `{b}` are too alike to be told apart"),
    };
    let hint = format!("begin the {noun}s of each group with a prefix of its own");
    collector.report_with_hint(spot, message, hint);
}
