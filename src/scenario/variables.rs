//! `${NAME}`, `${NAME:-default}` and `${NAME:?message}` in the texts of a scenario.
//!
//! Only variables that were passed in are known, never the whole environment: the resolved scenario
//! is written to disk. `$${` is a literal `${`.

use std::collections::BTreeMap;
use std::ops::Range;

/// The variables a scenario may name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Variables(BTreeMap<String, String>);

/// A variable that cannot be filled in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct VariableError {
    /// Bytes of the `${…}`.
    pub(super) part: Range<usize>,
    pub(super) message: String,
    pub(super) hint: String,
}

impl FromIterator<(String, String)> for Variables {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl Variables {
    /// `text` with its variables filled in, or `None` when it names none.
    pub(super) fn fill_in(&self, text: &str) -> Result<Option<String>, VariableError> {
        if !text.contains("${") {
            return Ok(None);
        }
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(dollar) = rest.find("${") {
            let at = text.len() - rest.len() + dollar;
            if rest[..dollar].ends_with('$') {
                filled.push_str(&rest[..dollar]);
                filled.push('{');
                rest = &rest[dollar + 2..];
                continue;
            }
            filled.push_str(&rest[..dollar]);
            let body = &rest[dollar + 2..];
            let end = body.find('}').ok_or_else(|| VariableError {
                part: at..text.len(),
                message: "`${` is not closed by `}`".to_owned(),
                hint: LITERAL.to_owned(),
            })?;
            if body.starts_with(SERVICE) {
                // A placeholder of a template: the service fills it in, not we.
                filled.push_str(&rest[dollar..=dollar + 2 + end]);
                rest = &body[end + 1..];
                continue;
            }
            let part = at..at + "${}".len() + end;
            filled.push_str(&self.value(&body[..end], part)?);
            rest = &body[end + 1..];
        }
        filled.push_str(rest);
        Ok(Some(filled))
    }

    fn value(&self, body: &str, part: Range<usize>) -> Result<String, VariableError> {
        let name_end = body.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(body.len());
        let (name, rest) = body.split_at(name_end);
        let error = |message: String, hint: String| VariableError { part: part.clone(), message, hint };
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(error(format!("`${{{body}}}` names no variable"), LITERAL.to_owned()));
        }
        // As in a shell: an empty variable takes the default, too.
        let value = self.0.get(name).filter(|value| rest.is_empty() || !value.is_empty());
        let pass_it = format!("pass it with -e {name}=…");
        match (value, rest) {
            (Some(value), "") => Ok(value.clone()),
            (None, "") => {
                let hint = format!("{pass_it}, or write a default: ${{{name}:-…}}");
                Err(error(format!("the variable `{name}` is not set"), hint))
            }
            (value, rest) if rest.starts_with(":-") => {
                Ok(value.map_or(&rest[2..], String::as_str).to_owned())
            }
            (Some(value), rest) if rest.starts_with(":?") => Ok(value.clone()),
            (None, rest) if rest.starts_with(":?") => {
                Err(error(format!("the variable `{name}` is not set: {}", &rest[2..]), pass_it))
            }
            _ => Err(error(
                format!(
                    "`${{{body}}}` is neither ${{{name}}} nor ${{{name}:-default}} nor ${{{name}:?message}}"
                ),
                LITERAL.to_owned(),
            )),
        }
    }
}

/// The names of the variables that a scenario's text names, comments included.
pub fn variables_in(text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (at, _) in text.match_indices("${").filter(|(at, _)| !text[..*at].ends_with('$')) {
        let body = &text[at + 2..];
        let end = body.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(body.len());
        let is_variable = end > 0 && body[end..].starts_with(['}', ':']) && !body.starts_with(SERVICE);
        if is_variable && !names.iter().any(|name| *name == body[..end]) {
            names.push(body[..end].to_owned());
        }
    }
    names
}

/// What placeholders of the service begin with; no variable can.
const SERVICE: &str = "aws:iot:";

const LITERAL: &str = "for a literal `${` write `$${`";

#[cfg(test)]
mod tests {
    use super::*;

    fn fill_in(text: &str) -> Result<Option<String>, String> {
        let variables: Variables =
            [("A", "1"), ("EMPTY", "")].map(|(k, v)| (k.to_owned(), v.to_owned())).into_iter().collect();
        variables.fill_in(text).map_err(|error| format!("{:?} {}", error.part, error.message))
    }

    #[test]
    fn variables_are_filled_in_as_a_shell_would() {
        for (text, filled) in [
            ("x${A}y", "x1y"),
            ("${A}${A}", "11"),
            ("${A:-2}", "1"),
            ("${B:-2}", "2"),
            ("${B:-}", ""),
            ("${B:-mqtt://127.0.0.1:1883}", "mqtt://127.0.0.1:1883"),
            ("${EMPTY}", ""),
            ("${EMPTY:-2}", "2"),
            ("${A:?why}", "1"),
            ("$${A}", "${A}"),
            ("${A}${aws:iot:x::parameter:p}${A}", "1${aws:iot:x::parameter:p}1"),
        ] {
            assert_eq!(fill_in(text), Ok(Some(filled.to_owned())), "{text}");
        }
    }

    #[test]
    fn a_text_without_variables_stays_as_it_is() {
        for text in ["", "a", "{index:05}", "$A", "100$", "{a: 1}"] {
            assert_eq!(fill_in(text), Ok(None), "{text}");
        }
    }

    #[test]
    fn variables_are_found_by_name() {
        let text = "a: ${A} b: \"${B_2:-x}${A:?why}\" c: $${C} d: ${aws:iot:x::parameter:p} e: ${E";
        assert_eq!(variables_in(text), ["A", "B_2"]);
    }

    #[test]
    fn what_cannot_be_filled_in_says_why_and_where() {
        for (text, error) in [
            ("ab${B}", "2..6 the variable `B` is not set"),
            ("${B:?the broker}", "0..16 the variable `B` is not set: the broker"),
            ("${EMPTY:?why}", "0..13 the variable `EMPTY` is not set: why"),
            ("${A", "0..3 `${` is not closed by `}`"),
            ("${}", "0..3 `${}` names no variable"),
            ("${1}", "0..4 `${1}` names no variable"),
            ("${A+x}", "0..6 `${A+x}` is neither ${A} nor ${A:-default} nor ${A:?message}"),
        ] {
            assert_eq!(fill_in(text), Err(error.to_owned()), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_filling_in_panic(text in "[${}A:?ü-]{0,12}") {
            let _ = fill_in(&text);
        }
    }
}
