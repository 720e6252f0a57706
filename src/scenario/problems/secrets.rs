//! Secrets in what is shown of a mistake: a message ends up in the logs of a build, and a password with it.
//!
//! A line is known by its text alone, since a mistake may be in the very key that says what is secret. In
//! doubt too much is covered.

use std::ops::Range;

/// Keys whose values are nobody's to read, and what they are easily mistaken for.
const KEYS: [&str; 8] = [
    "access_key_id",
    "secret_access_key",
    "session_token",
    "password",
    "access_key",
    "secret_key",
    "secret",
    "token",
];
/// Above this a key is one of [`KEYS`] with a typing mistake; `session` and `pass`, words of their own, are below.
const SIMILAR: f64 = 0.93;
/// How a flag begins that gives a value to a path.
const SET: &str = "--set ";
/// A shorter text is in every message by chance.
const SHORTEST: usize = 4;

/// The secret parts of a line, in bytes.
pub(super) fn hidden(line: &str) -> Vec<Range<usize>> {
    if line.starts_with(SET) {
        let path_end = line.find('=').unwrap_or(line.len());
        let holds = |word: &Range<usize>| {
            let word = &line[word.clone()];
            is_secret(word) || word.to_ascii_lowercase().starts_with("cred")
        };
        if let Some(word) = words(line, SET.len()..path_end).find(holds) {
            let parted = || line[word.end..].find([' ', ':', ',']).map(|at| word.end + at);
            let begin = Some(path_end).filter(|end| *end < line.len()).or_else(parted);
            return begin.map(|at| at + 1..line.len()).into_iter().filter(|part| !part.is_empty()).collect();
        }
    }
    let (mut hidden, mut from) = (Vec::new(), 0);
    while let Some(begin) =
        words(line, from..line.len()).find_map(|word| value_begin(line, &word).filter(|at| *at < line.len()))
    {
        let end = value_end(line, begin);
        if !is_variable(&line[begin..end]) {
            hidden.push(begin..end);
        }
        from = end;
    }
    hidden
}

/// Whether a key's value is secret.
pub(super) fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    KEYS.iter().any(|secret| strsim::jaro_winkler(&key, secret) > SIMILAR)
}

/// The line with `…` for each of its secret parts, and where some bytes of it are then, in characters.
pub(super) fn cover(line: &str, hidden: &[Range<usize>], bytes: &Range<usize>) -> (String, Range<usize>) {
    let mut shown = String::with_capacity(line.len());
    let (mut count, mut begin, mut end) = (0, None, 0);
    for (at, c) in line.char_indices() {
        let part = hidden.iter().find(|part| part.contains(&at));
        if part.is_none_or(|part| part.start == at) {
            shown.push(if part.is_some() { '…' } else { c });
            count += 1;
        }
        if at >= bytes.start {
            begin = begin.or(Some(count - 1));
        }
        if at < bytes.end {
            end = count;
        }
    }
    let begin = begin.unwrap_or(count);
    (shown, begin..end.max(begin))
}

/// A text without the secret parts of the line that it speaks of.
pub(super) fn without(text: String, line: &str, hidden: &[Range<usize>], bytes: &Range<usize>) -> String {
    let own = bytes.start.min(line.len())..bytes.end.min(line.len());
    let own = hidden.iter().any(|part| part.start < own.end && own.start < part.end).then_some(own);
    let parts = hidden.iter().cloned().chain(own).filter_map(|part| line.get(part));
    parts
        .map(|part| part.trim().trim_matches(['"', '\'']))
        .filter(|part| part.chars().count() >= SHORTEST)
        .fold(text, |text, part| text.replace(part, "…"))
}

/// Runs of what keys are made of.
fn words(line: &str, within: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let mut from = within.start;
    std::iter::from_fn(move || {
        let begin = from + line.get(from..within.end)?.find(is_part)?;
        let rest = &line[begin..within.end];
        from = begin + rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        Some(begin..from)
    })
}

/// Where the value of a key begins, if this is a secret one; without a colon only if it is spelled right.
fn value_begin(line: &str, key: &Range<usize>) -> Option<usize> {
    let name = &line[key.clone()];
    if !is_secret(name) {
        return None;
    }
    let rest = line[key.end..].trim_start_matches(['"', '\'']).trim_start();
    let value = match rest.strip_prefix([':', '=']) {
        Some(value) => value,
        None if KEYS.contains(&name) && line[key.end..].starts_with(' ') => rest,
        None => return None,
    };
    Some(line.len() - value.trim_start().len())
}

/// A value in quotes ends with them, one in braces with the next comma or brace, any other with the line.
fn value_end(line: &str, begin: usize) -> usize {
    let value = &line[begin..];
    let length = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => quoted(value, quote),
        Some(_) if line[..begin].contains('{') => [", ", " }"].iter().filter_map(|end| value.find(end)).min(),
        _ => None,
    };
    length.map_or(line.len(), |length| begin + length)
}

/// The length of a text in quotes, if they are closed.
fn quoted(value: &str, quote: char) -> Option<usize> {
    let mut characters = value.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        if c == '\\' && quote == '"' {
            characters.next();
        } else if c == quote && (quote == '"' || characters.next_if(|(_, next)| *next == quote).is_none()) {
            return Some(at + 1);
        }
    }
    None
}

/// `${NAME}` tells nobody anything.
fn is_variable(value: &str) -> bool {
    let inner =
        value.trim().trim_matches(['"', '\'']).strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    inner.is_some_and(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_in_a_line_is_covered() {
        for (line, shown) in [
            ("      secret_access_key: \"two words\" # why", "      secret_access_key: … # why"),
            ("  \"password\": 'it''s' , x: 1", "  \"password\": … , x: 1"),
            ("password: \"a\\\"b\"", "password: …"),
            ("password: \"never closed", "password: …"),
            ("pasword: open", "pasword: …"),
            ("password open", "password …"),
            ("secret_acces_key : open", "secret_acces_key : …"),
            ("auth: { username: a, password: open }", "auth: { username: a, password: … }"),
            ("auth: {password: op,en}", "auth: {password: …"),
            (
                "{ access_key_id: AK, session_token: ST, x: 1 }",
                "{ access_key_id: …, session_token: …, x: 1 }",
            ),
            ("password: ${PASSWORD}", "password: ${PASSWORD}"),
            ("password: ${PASSWORD:-open}", "password: …"),
            ("password:", "password:"),
            ("passwd: open", "passwd: …"),
            ("pass: [\"p99(latency) < 1s\"]", "pass: [\"p99(latency) < 1s\"]"),
            ("name: session", "name: session"),
            ("session: kept, delay: 1s", "session: kept, delay: 1s"),
            (
                "--set target.endpoint.credential.secret_access_key=REAL=",
                "--set target.endpoint.credential.secret_access_key=…",
            ),
            (
                "--set target.endpoint.credentials.secret_key=REAL",
                "--set target.endpoint.credentials.secret_key=…",
            ),
            ("--set target.endpoint.credentials={ access: REAL }", "--set target.endpoint.credentials=…"),
            ("--set a.connect.auth.password REAL", "--set a.connect.auth.password …"),
            ("--set a.auth={ password: REAL }", "--set a.auth={ password: … }"),
            ("--set a.password=", "--set a.password="),
            ("--set a.count=5", "--set a.count=5"),
        ] {
            assert_eq!(cover(line, &hidden(line), &(0..0)).0, shown, "{line}");
        }
    }

    #[test]
    fn the_caret_keeps_its_place_among_what_is_left() {
        let line = "ü: { password: open, nme: x }";
        let place = |text: &str| {
            let begin = line.find(text).unwrap();
            cover(line, &hidden(line), &(begin..begin + text.len())).1
        };
        assert_eq!((place("ü"), place("open"), place("nme")), (0..1, 15..16, 18..21));
        assert_eq!(cover(line, &hidden(line), &(99..99)).1, 26..26);
    }

    #[test]
    fn a_message_quotes_no_secret() {
        let line = "password: [hunter2, 12]";
        let without = |text: &str| without(text.to_owned(), line, &hidden(line), &(11..18));
        assert_eq!(without("expected text, found hunter2"), "expected text, found …");
    }
}
