//! Texts that devices make of themselves: `{group}`, `{index}` or `{index:05}`, `{seed}`, and text.
//!
//! Unlike a client id such a text may hold anything; `{{` and `}}` are braces.

use std::fmt::Write as _;

use super::client_id::index_width;

/// A checked template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextTemplate {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// With `{group}` filled in; never empty, never two in a row.
    Text(String),
    /// The device's index, zero-padded to this width.
    Index(usize),
    /// The run's seed.
    Seed,
}

impl TextTemplate {
    /// The text of device `index`.
    pub fn render(&self, index: u32, seed: u64) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Index(width) => {
                    write!(out, "{index:0width$}").expect("writing to a String cannot fail");
                }
                Part::Seed => write!(out, "{seed}").expect("writing to a String cannot fail"),
            }
        }
        out
    }

    /// Reads `text` for a group, or says what is wrong with it.
    pub(super) fn read(text: &str, group: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(brace) = rest.find(['{', '}']) {
            push(&mut parts, &rest[..brace]);
            let at = &rest[brace..];
            if let Some(after) = at.strip_prefix("{{").or_else(|| at.strip_prefix("}}")) {
                push(&mut parts, &at[..1]);
                rest = after;
                continue;
            }
            let close = at.find('}').filter(|close| *close > 0);
            let close = close.ok_or_else(|| {
                format!(
                    "`{}` is not closed; for a literal brace write it twice",
                    at.chars().take(60).collect::<String>()
                )
            })?;
            match &at[1..close] {
                "group" => push(&mut parts, group),
                "seed" => parts.push(Part::Seed),
                "index" => parts.push(Part::Index(0)),
                other => parts.push(Part::Index(index_width(other)?)),
            }
            rest = &at[close + 1..];
        }
        push(&mut parts, rest);
        if parts.is_empty() {
            return Err("a text of a result cannot be empty".to_owned());
        }
        Ok(Self { parts })
    }

    /// The template as a scenario writes it, with `{group}` filled in.
    pub(super) fn written(&self) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(part) => text.push_str(&part.replace('{', "{{").replace('}', "}}")),
                Part::Index(0) => text.push_str("{index}"),
                Part::Index(width) => {
                    write!(text, "{{index:0{width}}}").expect("writing to a String cannot fail");
                }
                Part::Seed => text.push_str("{seed}"),
            }
        }
        text
    }
}

fn push(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        _ if text.is_empty() => {}
        Some(Part::Text(before)) => before.push_str(text),
        _ => parts.push(Part::Text(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_in_and_braces_stay() {
        for (text, expected) in [
            ("{group}-{index:03}", "g-042"),
            ("{index} of {seed} %", "42 of 7 %"),
            ("{{\"n\":{index}}}", "{\"n\":42}"),
            ("plain", "plain"),
        ] {
            let template = TextTemplate::read(text, "g").unwrap();
            assert_eq!(template.render(42, 7), expected, "{text}");
            assert_eq!(TextTemplate::read(&template.written(), "g"), Ok(template), "{text}");
        }
        for text in ["", "{", "a{index", "}", "{idx}", "{index:5}"] {
            assert!(TextTemplate::read(text, "g").is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[{}index:0-9aü]{0,12}") {
            if let Ok(template) = TextTemplate::read(&text, "g") {
                proptest::prop_assert_eq!(TextTemplate::read(&template.written(), "g").unwrap(), template);
            }
        }
    }
}
