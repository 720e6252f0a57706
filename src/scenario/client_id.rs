//! How client ids and thing names are made: `{group}`, `{index}` or `{index:05}`, `{seed}`, and text; and how
//! it is known, without rendering a million of them, that no two devices get the same one.

use std::fmt::Write as _;

use crate::scenario::written::{Name, Written as _};

/// A checked template for client ids and thing names: `{group}`, `{index}` or `{index:05}`, `{seed}`, text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientIdTemplate {
    parts: Vec<IdPart>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum IdPart {
    /// Text, with `{group}` already filled in; never empty, never two in a row.
    Text(String),
    /// The device's index, zero-padded to this width.
    Index(usize),
    /// The run's seed.
    Seed,
}

/// AWS IoT: a client id has at most 128 bytes, and so has a thing name.
const LONGEST: usize = 128;
/// Wider numbers than this are longer than any index.
const WIDEST: usize = 20;
/// Characters of the largest seed.
const LONGEST_SEED: usize = 20;

impl ClientIdTemplate {
    /// What a group gets that says nothing: `{group}-{index:05}`.
    pub fn standard(group: &str) -> Self {
        Self { parts: vec![IdPart::Text(format!("{group}-")), IdPart::Index(5)] }
    }

    /// The client id of device `index`.
    pub fn render(&self, index: u32, seed: u64) -> String {
        let mut id = String::new();
        self.write(index, seed, &mut id);
        id
    }

    /// Appends the client id of device `index` to `out`.
    pub fn write(&self, index: u32, seed: u64, out: &mut String) {
        for part in &self.parts {
            match part {
                IdPart::Text(text) => out.push_str(text),
                IdPart::Index(width) => {
                    write!(out, "{index:0width$}").expect("writing to a String cannot fail");
                }
                IdPart::Seed => write!(out, "{seed}").expect("writing to a String cannot fail"),
            }
        }
    }

    /// Reads `text`, a `noun`, for `count` devices of `group`, or says what is wrong with it.
    pub(super) fn read(noun: &str, text: &str, group: &str, count: u32) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(brace) = rest.find(['{', '}']) {
            push_text(noun, &mut parts, &rest[..brace])?;
            let close = rest[brace..].find('}').filter(|close| *close > 0);
            let close = brace + close.ok_or_else(|| format!("`{}` is not closed", &rest[brace..]))?;
            match &rest[brace + 1..close] {
                "group" => push_text(noun, &mut parts, group)?,
                "seed" => parts.push(IdPart::Seed),
                "index" => parts.push(IdPart::Index(0)),
                other => parts.push(IdPart::Index(index_width(other)?)),
            }
            rest = &rest[close + 1..];
        }
        push_text(noun, &mut parts, rest)?;
        let template = Self { parts };
        template.check(noun, text, count)?;
        Ok(template)
    }

    /// The template as a scenario writes it, with `{group}` filled in.
    pub(super) fn written(&self) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                IdPart::Text(part) => text.push_str(part),
                IdPart::Index(0) => text.push_str("{index}"),
                IdPart::Index(width) => {
                    write!(text, "{{index:0{width}}}").expect("writing to a String cannot fail");
                }
                IdPart::Seed => text.push_str("{seed}"),
            }
        }
        text
    }

    fn check(&self, noun: &str, text: &str, count: u32) -> Result<(), String> {
        if count > 1 && !self.has_index() {
            return Err(format!("\"{text}\" gives all {count} devices one {noun}; it needs {{index}}"));
        }
        let longest = self.longest(count.saturating_sub(1));
        if longest == 0 {
            return Err(format!("a {noun} cannot be empty"));
        }
        if longest > LONGEST {
            return Err(format!("\"{text}\" can grow to {longest} bytes; a {noun} has at most {LONGEST}"));
        }
        Ok(())
    }

    fn has_index(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, IdPart::Index(_)))
    }

    fn longest(&self, last: u32) -> usize {
        let digits = last.to_string().len();
        let length = |part: &IdPart| match part {
            IdPart::Text(text) => text.len(),
            IdPart::Index(width) => digits.max(*width),
            IdPart::Seed => LONGEST_SEED,
        };
        self.parts.iter().map(length).sum()
    }

    /// The id with a mark where the seed would stand: seeds change from run to run.
    fn write_marked(&self, index: u32, out: &mut String) {
        for part in &self.parts {
            match part {
                IdPart::Text(text) => out.push_str(text),
                IdPart::Index(width) => {
                    write!(out, "{index:0width$}").expect("writing to a String cannot fail");
                }
                IdPart::Seed => out.push(SEED_MARK),
            }
        }
    }

    /// The device below `count` whose (marked) id is `id`.
    fn index_of(&self, id: &str, count: u32) -> Option<u32> {
        let begin = self.fixed_prefix();
        let rest = id.strip_prefix(begin.as_str())?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let mut rendered = String::new();
        let mut is_it = |index: u32| {
            rendered.clear();
            self.write_marked(index, &mut rendered);
            rendered == id
        };
        if !self.has_index() {
            return is_it(0).then_some(0);
        }
        (1..=digits)
            .filter_map(|length| rest[..length].parse().ok())
            .find(|index| *index < count && is_it(*index))
    }

    /// What all (marked) ids begin with.
    fn fixed_prefix(&self) -> String {
        let end = self.parts.iter().position(|part| matches!(part, IdPart::Index(_)));
        fixed_text(&self.parts[..end.unwrap_or(self.parts.len())])
    }

    /// What all (marked) ids end with.
    fn fixed_suffix(&self) -> String {
        let last = self.parts.iter().rposition(|part| matches!(part, IdPart::Index(_)));
        fixed_text(&self.parts[last.map_or(0, |last| last + 1)..])
    }
}

/// The text of parts that are the same for all devices.
fn fixed_text(parts: &[IdPart]) -> String {
    let mut fixed = String::new();
    for part in parts {
        match part {
            IdPart::Text(text) => fixed.push_str(text),
            IdPart::Seed => fixed.push(SEED_MARK),
            IdPart::Index(_) => unreachable!("an index is not the same for all devices"),
        }
    }
    fixed
}

/// No character of a client id.
const SEED_MARK: char = '\u{0}';

/// Ids that one search may render; a second or two in the worst case, which takes ill will.
const MAX_RENDERED: u64 = 20_000_000;

/// Two devices with one client id.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Clash {
    /// Device `index` of the first has the id of some device of the second.
    Id(String),
    /// The search was given up: the templates are too much alike.
    Unclear,
}

/// Searches ids that two groups (template and count) share. `budget` counts down over all searches
/// of a scenario.
///
/// Within one group ids are distinct: with a fixed number of digits they differ in the first
/// `{index}`, and with more digits the id is longer.
pub(super) fn clash(
    (a, a_count): (&ClientIdTemplate, u32),
    (b, b_count): (&ClientIdTemplate, u32),
    budget: &mut SearchBudget,
) -> Option<Clash> {
    let reversed = |text: String| text.chars().rev().collect::<String>();
    if cannot_meet(&a.fixed_prefix(), &b.fixed_prefix())
        || cannot_meet(&reversed(a.fixed_suffix()), &reversed(b.fixed_suffix()))
    {
        return None;
    }
    let ((few, few_count), (many, many_count)) =
        if a_count <= b_count { ((a, a_count), (b, b_count)) } else { ((b, b_count), (a, a_count)) };
    let mut id = String::new();
    for index in 0..few_count {
        let Some(left) = budget.0.checked_sub(1) else { return Some(Clash::Unclear) };
        budget.0 = left;
        id.clear();
        few.write_marked(index, &mut id);
        if many.index_of(&id, many_count).is_some() {
            return Some(Clash::Id(id.replace(SEED_MARK, "{seed}")));
        }
    }
    None
}

/// Whether ids with these beginnings (or reversed ends) differ for sure: one must begin with the
/// other, and where the shorter ends and its digits begin, the longer must go on with a digit.
fn cannot_meet(a: &str, b: &str) -> bool {
    match a.strip_prefix(b).or_else(|| b.strip_prefix(a)) {
        Some(rest) => !(rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_digit())),
        None => true,
    }
}

/// How many ids the searches of one scenario may still render.
#[derive(Debug)]
pub(super) struct SearchBudget(u64);

impl Default for SearchBudget {
    fn default() -> Self {
        Self(MAX_RENDERED)
    }
}

/// `index:05` → 5.
pub(super) fn index_width(placeholder: &str) -> Result<usize, String> {
    let width = placeholder.strip_prefix("index:0").and_then(|width| width.parse().ok());
    match width {
        Some(width) if (1..=WIDEST).contains(&width) => Ok(width),
        _ => Err(format!(
            "unknown placeholder {{{placeholder}}}; known are {{group}}, {{index}}, {{index:05}}, {{seed}}"
        )),
    }
}

fn push_text(noun: &str, parts: &mut Vec<IdPart>, text: &str) -> Result<(), String> {
    // What AWS IoT allows in a thing name; its client ids allow more, but never / + #.
    let wrong = text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-')));
    if let Some(wrong) = wrong {
        return Err(format!("{wrong:?} cannot stand in a {noun}; it may hold a-z A-Z 0-9 : _ -"));
    }
    match parts.last_mut() {
        _ if text.is_empty() => {}
        Some(IdPart::Text(before)) => before.push_str(text),
        _ => parts.push(IdPart::Text(text.to_owned())),
    }
    Ok(())
}

/// The template of a group that says nothing; its name may be wrong, which has been noted.
pub(super) fn standard_for(group: &str) -> ClientIdTemplate {
    if Name::read(group).is_ok() { ClientIdTemplate::standard(group) } else { ClientIdTemplate::standard("") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn template(text: &str) -> ClientIdTemplate {
        ClientIdTemplate::read("client id", text, "g", 1_000).unwrap()
    }

    #[test]
    fn placeholders_are_filled_in() {
        for (text, id) in [
            ("{group}-{index:05}", "g-00042"),
            ("{index}", "42"),
            ("a{index:01}b", "a42b"),
            ("{group}{group}:{index}_{seed}", "gg:42_7"),
        ] {
            assert_eq!(template(text).render(42, 7), id, "{text}");
            let mut written = "x".to_owned();
            template(text).write(42, 7, &mut written);
            assert_eq!(written, format!("x{id}"));
        }
        assert_eq!(template("{group}-{index:05}"), ClientIdTemplate::standard("g"));
    }

    #[test]
    fn a_wrong_template_says_what_is_wrong() {
        let long = format!("{}{{index}}", "x".repeat(126));
        for (text, count, expected) in [
            ("same", 2, "\"same\" gives all 2 devices one client id; it needs {index}"),
            ("a/{index}", 1, "'/' cannot stand in a client id; it may hold a-z A-Z 0-9 : _ -"),
            ("{index", 1, "`{index` is not closed"),
            ("}{index}", 1, "`}{index}` is not closed"),
            ("{idx}", 1, "unknown placeholder {idx}; known are {group}, {index}, {index:05}, {seed}"),
            ("{index:5}", 1, "unknown placeholder {index:5}; known are {group}, {index}, {index:05}, {seed}"),
            (
                "{index:099}",
                1,
                "unknown placeholder {index:099}; known are {group}, {index}, {index:05}, {seed}",
            ),
            ("", 1, "a client id cannot be empty"),
            (&long, 1_000, &format!("\"{long}\" can grow to 129 bytes; a client id has at most 128")),
        ] {
            assert_eq!(
                ClientIdTemplate::read("client id", text, "g", count).unwrap_err(),
                expected,
                "{text}"
            );
        }
    }

    fn clash_of(a: (&str, u32), b: (&str, u32)) -> Option<Clash> {
        let (at, bt) = (template(a.0), template(b.0));
        clash((&at, a.1), (&bt, b.1), &mut SearchBudget::default())
    }

    #[test]
    fn groups_that_share_an_id_are_found() {
        for (a, b, id) in [
            (("x-{index}", 10), ("x-{index}", 10), "x-0"),
            (("x-{index}", 5), ("x-{index:02}", 20), ""),
            (("x-{index}", 20), ("x-{index:02}", 20), "x-10"),
            (("x{index}", 200), ("x1{index}", 10), "x10"),
            (("{index}1", 200), ("1{index}", 200), "11"),
            (("a{seed}{index}", 5), ("a{seed}{index}", 2), "a{seed}0"),
        ] {
            let expected = (!id.is_empty()).then(|| Clash::Id(id.to_owned()));
            assert_eq!(clash_of(a, b), expected, "{a:?} {b:?}");
            assert_eq!(clash_of(b, a), expected, "{b:?} {a:?}");
        }
    }

    #[test]
    fn a_million_devices_in_each_of_two_groups_are_told_apart_at_once() {
        for (a, b) in [("a-{index}", "b-{index}"), ("a-{index}", "a-b-{index}"), ("x{index}1", "x{index}2")] {
            assert_eq!(clash_of((a, 10_000_000), (b, 10_000_000)), None);
        }
    }

    proptest! {
        #[test]
        fn the_search_finds_what_rendering_finds(
            a in "(1|a){0,2}(\\{index(:02)?\\})(1|a){0,2}(\\{index\\})?",
            b in "(1|a){0,2}(\\{index(:02)?\\})(1|a){0,2}",
            a_count in 1u32..130, b_count in 1u32..130,
        ) {
            let (at, bt) = (template(&a), template(&b));
            let ids: std::collections::BTreeSet<String> = (0..a_count).map(|i| at.render(i, 0)).collect();
            prop_assert_eq!(ids.len(), a_count as usize);
            let shared = (0..b_count).any(|i| ids.contains(&bt.render(i, 0)));
            prop_assert_eq!(clash_of((&a, a_count), (&b, b_count)).is_some(), shared);
        }

        #[test]
        fn no_text_makes_the_template_parser_panic(text in "[{}index:0-9a/]{0,12}") {
            if let Ok(template) = ClientIdTemplate::read("client id", &text, "g", 1) {
                prop_assert_eq!(ClientIdTemplate::read("client id", &template.written(), "g", 1).unwrap(), template);
            }
        }
    }
}
