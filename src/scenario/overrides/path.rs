//! `--set path=value`, and flags that stand for one: a part of the document is replaced, or added where there was none.

use std::ops::Range;

use super::super::document::{Content, Document, NodeId};
use super::super::problems::{Problem, listed};
use super::super::variables::Variables;
use super::Change;

/// One step of a path, and the bytes in which it stands.
struct Step {
    kind: Kind,
    place: Range<usize>,
}

enum Kind {
    Key(String),
    Index(usize),
}

/// A mistake in a flag.
struct Fault {
    place: Range<usize>,
    message: String,
    hint: Option<String>,
}

impl Fault {
    fn new(place: Range<usize>, message: impl Into<String>) -> Self {
        Self { place, message: message.into(), hint: None }
    }

    fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// Performs flag `number`, whose path begins after `skip` bytes. Returns what is wrong with it.
pub(super) fn set(
    document: &mut Document<'_>,
    number: usize,
    skip: usize,
    variables: &Variables,
) -> Vec<Problem> {
    let flag = document.source().flag(number);
    perform(document, flag.start + skip..flag.end, variables)
        .unwrap_or_else(|fault| vec![document.problem(fault.place, String::new(), fault.message, fault.hint)])
}

/// Performs a change whose value stands in flag `number`. Returns what is wrong with it.
pub(super) fn change(
    document: &mut Document<'_>,
    number: usize,
    change: &Change,
    variables: &Variables,
) -> Vec<Problem> {
    let flag = document.source().flag(number);
    let value = flag.start + change.flag.len() + 1..flag.end;
    let performed = steps(&change.path, change.path.len(), 0).and_then(|mut steps| {
        // The path is nowhere to be seen: what is wrong with it is shown at the flag.
        for step in &mut steps {
            step.place = flag.clone();
        }
        put(document, &steps, flag.clone(), Value { place: value, is_yaml: change.is_yaml }, variables)
    });
    performed
        .unwrap_or_else(|fault| vec![document.problem(fault.place, String::new(), fault.message, fault.hint)])
}

/// The bytes of a value, and how to read them.
struct Value {
    place: Range<usize>,
    is_yaml: bool,
}

fn perform(
    document: &mut Document<'_>,
    flag: Range<usize>,
    variables: &Variables,
) -> Result<Vec<Problem>, Fault> {
    const FORM: &str = "write a path and a value, e.g. groups.sensors.count=500";
    let text = &document.source().text()[flag.clone()];
    let Some(equals) = text.find('=') else {
        return Err(Fault::new(flag, "a `=` is missing").with_hint(FORM));
    };
    let steps = steps(text, equals, flag.start).map_err(|fault| fault.with_hint(FORM))?;
    let value = Value { place: flag.start + equals + 1..flag.end, is_yaml: true };
    put(document, &steps, flag, value, variables)
        .map_err(|fault| if steps.is_empty() { fault.with_hint(FORM) } else { fault })
}

fn put(
    document: &mut Document<'_>,
    steps: &[Step],
    flag: Range<usize>,
    value: Value,
    variables: &Variables,
) -> Result<Vec<Problem>, Fault> {
    let (last, way) = steps.split_last().ok_or_else(|| Fault::new(flag, "no path is given"))?;
    let mut parent = Document::ROOT;
    for (at, step) in way.iter().enumerate() {
        let next = steps.get(at + 1).unwrap_or(last);
        parent = if let Some(node) = find(document, parent, step)? {
            node
        } else {
            known_name(document, &steps[..=at], parent)?;
            add_step(document, parent, step, next)
        };
        // A key without a value is as good as none.
        if let Content::Null = document.content(parent) {
            document.empty(parent, matches!(next.kind, Kind::Index(_)));
        }
    }
    find(document, parent, last)?;
    let key = match &last.kind {
        Kind::Key(key) => Some((key.as_str(), last.place.clone())),
        Kind::Index(_) => None,
    };
    let index = match last.kind {
        Kind::Index(index) => Some(index),
        Kind::Key(_) => None,
    };
    if value.is_yaml {
        return Ok(document.graft(parent, key, index, value.place, variables));
    }
    document.graft_text(parent, key, index, value.place);
    Ok(Vec::new())
}

/// Takes `groups.sensors.stages[0].rate` apart; `base` is where it begins.
fn steps(text: &str, end: usize, base: usize) -> Result<Vec<Step>, Fault> {
    let mut steps = Vec::new();
    let mut at = 0;
    let part = |from: usize, to: usize| base + from..base + to;
    while at < end {
        let rest = &text[at..end];
        if let Some(inner) = rest.strip_prefix('[') {
            let close =
                inner.find(']').ok_or_else(|| Fault::new(part(at, end), "`[` is not closed by `]`"))?;
            let place = part(at, at + close + 2);
            let index = inner[..close].parse().map_err(|_| {
                Fault::new(
                    place.clone(),
                    format!("`[{}]` is no list item; items count from [0]", &inner[..close]),
                )
            })?;
            steps.push(Step { kind: Kind::Index(index), place });
            at += close + 2;
            continue;
        }
        let (key, from) = match rest.strip_prefix('.').filter(|_| at > 0) {
            Some(key) => (key, at + 1),
            None if at == 0 => (rest, at),
            None => return Err(Fault::new(part(at, end), "a `.` is missing between two keys")),
        };
        let length = key.find(['.', '[']).unwrap_or(key.len());
        let key = &key[..length];
        if key.trim().is_empty() {
            return Err(Fault::new(part(at, from + length), "a key is missing here"));
        }
        steps.push(Step { kind: Kind::Key(key.trim().to_owned()), place: part(from, from + length) });
        at = from + length;
    }
    Ok(steps)
}

/// The node under `parent` that a step names; `None` if it can be added.
fn find(document: &Document<'_>, parent: NodeId, step: &Step) -> Result<Option<NodeId>, Fault> {
    let path = document.path(parent);
    let fault = |message: String| Err(Fault::new(step.place.clone(), message));
    match (document.content(parent), &step.kind) {
        (Content::Map(_), Kind::Key(key)) => Ok(document.child(parent, key)),
        (Content::List(items), Kind::Index(index)) if *index <= items.len() => Ok(items.get(*index).copied()),
        (Content::List(items), Kind::Index(index)) => {
            let count = items.len();
            fault(format!("`{path}` has {count} items, so there is no [{index}]; [{count}] would add one"))
        }
        (Content::List(_), Kind::Key(_)) => {
            fault(format!("`{path}` is a list; name an item, e.g. {path}[0]"))
        }
        (Content::Map(entries), Kind::Index(_)) => {
            let keys = listed(entries.iter().map(|(key, _)| key));
            fault(format!("`{path}` is a map, not a list; its keys are {keys}"))
        }
        (content, _) => fault(format!(
            "`{path}` is {} here and has no parts; set the whole of it: {path}=…",
            content.kind()
        )),
    }
}

/// A setting of a group or workload that there is not is a slip, not a new group.
fn known_name(document: &Document<'_>, steps: &[Step], parent: NodeId) -> Result<(), Fault> {
    let [Step { kind: Kind::Key(map), .. }, Step { kind: Kind::Key(name), place }] = steps else {
        return Ok(());
    };
    let what = match map.as_str() {
        "groups" => "group",
        "workloads" => "workload",
        _ => return Ok(()),
    };
    let Content::Map(entries) = document.content(parent) else { return Ok(()) };
    let known = listed(entries.iter().map(|(key, _)| key));
    Err(Fault::new(place.clone(), format!("there is no {what} `{name}`; the scenario has {known}")))
}

fn add_step(document: &mut Document<'_>, parent: NodeId, step: &Step, next: &Step) -> NodeId {
    let is_list = matches!(next.kind, Kind::Index(_));
    let key = match &step.kind {
        Kind::Key(key) => Some(key.as_str()),
        Kind::Index(_) => None,
    };
    document.add_empty(parent, key, step.place.clone(), is_list)
}
