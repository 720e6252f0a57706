//! Mistakes in a scenario file: collected, put in the order of the file, drawn with line and caret.
//!
//! What is a mistake is decided elsewhere. What is secret is not drawn ([`secrets`]).

mod secrets;

use std::cell::RefCell;
use std::fmt::Write as _;
use std::ops::Range;

use super::document::{Document, NodeId, Spot};
use super::files::{Files, Shelf};

/// All mistakes of a scenario file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.render(false))]
pub struct Problems {
    /// The file, as the user named it.
    pub file: String,
    /// In the order of the file; never empty.
    pub problems: Vec<Problem>,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Where in the document: `groups.trackers.behavior.delay`; empty for the file as a whole.
    pub path: String,
    /// What is wrong, and what to write instead where that fits in a few words.
    pub message: String,
    /// What to do about it, where the message does not say.
    pub hint: Option<String>,
    /// Whether it is in a flag instead of the file; line and column are then the flag's.
    pub in_flag: bool,
    /// Whether all that is wrong is a file that is not there.
    pub is_missing_file: bool,
    /// Number of the flag, from 1; 0 is the file.
    part: usize,
    /// Bytes of the file, or of the flag.
    span: Range<usize>,
    /// The line it begins in, without its secrets.
    source_line: String,
    /// What is wrong in that line, in characters.
    caret: Range<usize>,
}

/// More than this is the same mistake again and again; the rest is only counted.
const MAX_SHOWN: usize = 50;
/// More than this is not even counted: each costs a walk through the text for its line.
pub(super) const MAX_KEPT: usize = 1_000;
/// Characters of a message; what is longer quotes something that is no name or number at all.
const MAX_MESSAGE: usize = 600;
/// Characters of a source line that are shown; a longer line is cut around the caret.
const MAX_WIDTH: usize = 110;

impl Problem {
    pub(super) fn new(
        source: &str,
        span: Range<usize>,
        path: String,
        message: String,
        hint: Option<String>,
    ) -> Self {
        let begin = floor_boundary(source, span.start);
        let (line, column) = line_and_column(source, begin);
        let span = begin..span.end.max(begin);
        let whole = line_at(source, begin);
        let line_begin = source[..begin].rfind('\n').map_or(0, |at| at + 1);
        let mark = source[line_begin..].len() - source[line_begin..].trim_start_matches('\u{feff}').len();
        let in_line = |at: usize| at.saturating_sub(line_begin + mark);
        let bytes = in_line(span.start)..in_line(span.end);
        let mut hidden = secrets::hidden(whole);
        let is_secret = path.rsplit('.').next().is_some_and(secrets::is_secret);
        if is_secret && hidden.is_empty() && !whole[bytes.start.min(whole.len())..].contains(':') {
            // A value on a line of its own.
            hidden.push(bytes.start..whole.len());
        }
        let message = secrets::without(message, whole, &hidden, &bytes);
        let hint = hint.map(|hint| secrets::without(hint, whole, &hidden, &bytes));
        let (source_line, caret) = secrets::cover(whole, &hidden, &bytes);
        let message = match message.char_indices().nth(MAX_MESSAGE) {
            Some((end, _)) => format!("{}…", &message[..end]),
            None => message,
        };
        Self {
            line,
            column,
            path,
            message,
            hint,
            in_flag: false,
            is_missing_file: false,
            part: 0,
            span,
            source_line,
            caret,
        }
    }

    /// The same in a flag, by its number; 0 is the file.
    pub(super) fn in_part(self, part: usize) -> Self {
        Self { in_flag: part > 0, part, ..self }
    }

    /// Adds something to do about it.
    pub(super) fn add_hint(&mut self, more: &str) {
        self.hint = Some(match self.hint.take() {
            Some(hint) => format!("{hint}; {more}"),
            None => more.to_owned(),
        });
    }

    /// File and place, as compilers print them; for a flag that it is one.
    fn place(&self, file: &str) -> String {
        if self.in_flag { "command line".to_owned() } else { format!("{file}:{}:{}", self.line, self.column) }
    }
}

impl Problems {
    pub(super) fn new(file: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| (problem.part, problem.span.start, problem.span.end));
        // An anchor used twice has one mistake, not two.
        problems.dedup_by(|a, b| (a.part, a.span.start, &a.message) == (b.part, b.span.start, &b.message));
        Self { file: file.to_owned(), problems }
    }

    /// Whether nothing is wrong but that files are not there that the scenario names.
    pub fn are_missing_files(&self) -> bool {
        self.problems.iter().all(|problem| problem.is_missing_file)
    }

    /// The mistakes for a terminal, each with its source line and a caret, and a closing line that
    /// counts them.
    pub fn render(&self, color: bool) -> String {
        let pen = Pen { color };
        let mut out = String::new();
        for problem in self.problems.iter().take(MAX_SHOWN) {
            problem.draw(&self.file, pen, &mut out);
        }
        let count = self.problems.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        let least = if count >= MAX_KEPT { "at least " } else { "" };
        let shown = if count > MAX_SHOWN { format!(", the first {MAX_SHOWN} shown") } else { String::new() };
        let file = &self.file;
        line(
            &mut out,
            format_args!(
                "{least}{count} {noun} in {file}{shown}; README.md and `fleetsim schema` say what a scenario can hold"
            ),
        );
        out
    }
}

impl Problem {
    fn draw(&self, file: &str, pen: Pen, out: &mut String) {
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let path = if self.path.is_empty() { String::new() } else { format!("  ({})", self.path) };
        let cross = pen.paint(RED, "×");
        line(
            out,
            format_args!("  {cross} {}{}", printable(&self.message), pen.paint(DIM, &printable(&path))),
        );
        let place = format!("╭─[{}]", self.place(file));
        line(out, format_args!("  {margin} {}", pen.paint(DIM, &place)));
        let (shown, caret) = self.excerpt();
        line(out, format_args!("  {} {}", pen.paint(DIM, &format!("{number} │")), shown));
        line(out, format_args!("  {margin} {} {}", pen.paint(DIM, "·"), pen.paint(RED, &caret)));
        if let Some(hint) = &self.hint {
            line(out, format_args!("  {margin} {} {}", pen.paint(CYAN, "help:"), printable(hint)));
        }
        out.push('\n');
    }

    /// The source line, cut to what fits, and the carets under it.
    fn excerpt(&self) -> (String, String) {
        let characters: Vec<char> = printable(&self.source_line).chars().collect();
        let column = self.caret.start.min(characters.len());
        let width = self.caret.len().clamp(1, (characters.len() - column).max(1));
        let begin = if column + width.min(40) > MAX_WIDTH { column - 20.min(column) } else { 0 };
        let end = characters.len().min(begin + MAX_WIDTH);
        let mut shown: String = characters[begin..end].iter().collect();
        let mut indent = column - begin;
        if begin > 0 {
            shown.insert(0, '…');
            indent += 1;
        }
        if end < characters.len() {
            shown.push('…');
        }
        let carets = width.min(end.saturating_sub(column).max(1));
        (shown.trim_end().to_owned(), format!("{}{}", " ".repeat(indent), "^".repeat(carets)))
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a String cannot fail");
    out.push('\n');
}

/// One cell per character, and no control character that a terminal would obey.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\t' => ' ',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

const RED: &str = "31";
const CYAN: &str = "36";
const DIM: &str = "2";

#[derive(Clone, Copy)]
struct Pen {
    color: bool,
}

impl Pen {
    fn paint(self, style: &str, text: &str) -> String {
        if self.color && !text.is_empty() { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// ``unknown group `sensor`; did you mean `sensors`?``, or what there is instead.
pub(super) fn unknown<S: AsRef<str>>(
    what: &str,
    name: &str,
    meant: Option<&str>,
    known: impl IntoIterator<Item = S>,
) -> String {
    match meant {
        Some(meant) => format!("unknown {what} `{name}`; did you mean `{meant}`?"),
        None => format!("unknown {what} `{name}`; known are {}", listed(known)),
    }
}

/// `a`, `b`, `c`; the rest of a long list is only counted.
pub(super) fn listed<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    const MAX_LISTED: usize = 40;
    let mut names = names.into_iter();
    let quoted: Vec<String> =
        names.by_ref().take(MAX_LISTED).map(|name| format!("`{}`", name.as_ref())).collect();
    let rest = names.count();
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    quoted.join(", ") + &more
}

/// Line and column (in characters), both from 1, of a byte of `source`.
pub(super) fn line_and_column(source: &str, offset: usize) -> (usize, usize) {
    let before = &source[..floor_boundary(source, offset)];
    let begin = before.rfind('\n').map_or(0, |at| at + 1);
    let lines = before.bytes().filter(|byte| *byte == b'\n').count();
    // A byte-order mark takes no column.
    (lines + 1, before[begin..].trim_start_matches('\u{feff}').chars().count() + 1)
}

/// The byte of `source` at `line` and `column` (in characters), both from 1.
pub(super) fn offset_of(source: &str, line: usize, column: usize) -> usize {
    let lines = source.split_inclusive('\n').map(str::len);
    let begin: usize = lines.take(line.saturating_sub(1)).sum();
    let rest = source[begin..].split('\n').next().unwrap_or("");
    let mark = usize::from(rest.starts_with('\u{feff}'));
    begin + rest.chars().take(column.saturating_sub(1) + mark).map(char::len_utf8).sum::<usize>()
}

fn line_at(source: &str, offset: usize) -> &str {
    let begin = source[..offset].rfind('\n').map_or(0, |at| at + 1);
    let end = source[offset..].find('\n').map_or(source.len(), |at| offset + at);
    source[begin..end].trim_start_matches('\u{feff}').trim_end_matches('\r')
}

fn floor_boundary(source: &str, offset: usize) -> usize {
    let mut offset = offset.min(source.len());
    while !source.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// Where everything that checks a document leaves what it finds.
#[derive(Debug)]
pub(super) struct Collector<'d> {
    document: &'d Document<'d>,
    problems: RefCell<Vec<Problem>>,
    shelf: Shelf<'d>,
}

impl<'d> Collector<'d> {
    pub(super) fn new(document: &'d Document<'d>, problems: Vec<Problem>, files: &'d dyn Files) -> Self {
        Self { document, problems: RefCell::new(problems), shelf: Shelf::new(files) }
    }

    /// The files that the document names.
    pub(super) fn shelf(&self) -> &Shelf<'d> {
        &self.shelf
    }

    pub(super) fn document(&self) -> &'d Document<'d> {
        self.document
    }

    /// A problem at `spot`.
    pub(super) fn report(&self, spot: Spot, message: impl Into<String>) {
        self.push(spot.node(), self.document.span(spot), message.into(), None);
    }

    /// A problem at `spot`, with what to do about it.
    pub(super) fn report_with_hint(&self, spot: Spot, message: impl Into<String>, hint: impl Into<String>) {
        self.push(spot.node(), self.document.span(spot), message.into(), Some(hint.into()));
    }

    /// A file that is named at `spot` is not there.
    pub(super) fn report_missing_file(&self, spot: Spot, message: String, hint: &str) {
        self.push(spot.node(), self.document.span(spot), message, Some(hint.to_owned()));
        if let Some(last) = self.problems.borrow_mut().last_mut() {
            last.is_missing_file = true;
        }
    }

    /// A problem at a part of the text in `node`.
    pub(super) fn report_within(
        &self,
        node: NodeId,
        part: Range<usize>,
        message: String,
        hint: Option<String>,
    ) {
        self.push(node, self.document.span_within(node, part), message, hint);
    }

    /// The candidate that `name` was probably meant to be.
    pub(super) fn nearest<'k>(
        &self,
        name: &str,
        candidates: impl IntoIterator<Item = &'k str>,
    ) -> Option<&'k str> {
        // Above 0.8 two names share most of their letters in order; below it guesses turn silly.
        const SIMILAR: f64 = 0.8;
        // No key or name is longer, and comparing costs the product of the lengths.
        const LONGEST: usize = 64;
        if name.len() > LONGEST || self.problems.borrow().len() > MAX_SHOWN {
            return None;
        }
        candidates
            .into_iter()
            .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
            .filter(|(similarity, _)| *similarity > SIMILAR)
            .max_by(|(a, _), (b, _)| a.total_cmp(b))
            .map(|(_, candidate)| candidate)
    }

    /// Everything found.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }

    fn push(&self, node: NodeId, span: Range<usize>, message: String, hint: Option<String>) {
        let mut problems = self.problems.borrow_mut();
        if problems.len() < MAX_KEPT {
            let path = self.document.path(node);
            let mut problem = self.document.problem(span, path, message, hint);
            if let Some(names) = self.document.filled_from(node) {
                let flags: Vec<String> = names.iter().map(|name| format!("-e {name}=…")).collect();
                problem.add_hint(&format!(
                    "a variable was filled in here; {} gives another value",
                    flags.join(" or ")
                ));
            }
            problems.push(problem);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(source: &str, span: Range<usize>) -> Problem {
        Problem::new(source, span, "a.b".to_owned(), "wrong".to_owned(), None)
    }

    #[test]
    fn lines_and_columns_count_characters_from_one() {
        for (source, offset, expected) in [
            ("", 0, (1, 1)),
            ("a: 1\nb: 2", 5, (2, 1)),
            ("ö: ü", 3, (1, 3)),
            ("\u{feff}a", 3, (1, 1)),
            ("a\r\nb", 3, (2, 1)),
            ("a\n", 2, (2, 1)),
            ("a", 99, (1, 2)),
        ] {
            assert_eq!(line_and_column(source, offset), expected, "{source:?} {offset}");
            let (line, column) = expected;
            assert_eq!(offset_of(source, line, column), offset.min(source.len()), "{source:?} {expected:?}");
        }
    }

    #[test]
    fn the_caret_stands_under_what_is_wrong() {
        let drawn = Problems::new("x.yaml", vec![problem("a:\n  bö: ü 5x\n", 13..15)]).render(false);
        assert_eq!(
            drawn,
            "  × wrong  (a.b)\n    ╭─[x.yaml:2:9]\n  2 │   bö: ü 5x\n    ·         ^^\n\n\
             1 problem in x.yaml; README.md and `fleetsim schema` say what a scenario can hold\n"
        );
    }

    #[test]
    fn long_lines_are_cut_around_the_caret() {
        let source = format!("{}WRONG{}", "a".repeat(500), "b".repeat(500));
        let (shown, caret) = problem(&source, 500..505).excerpt();
        assert!(shown.chars().count() <= MAX_WIDTH + 2, "{shown}");
        let at = caret.chars().count() - 5;
        let under: String = shown.chars().skip(at).take(5).collect();
        assert_eq!(under, "WRONG");
    }

    #[test]
    fn control_characters_never_reach_the_terminal() {
        let drawn = Problems::new("x", vec![problem("a: \x1b[2J\u{7}", 3..8)]).render(false);
        assert!(!drawn.contains('\x1b') && !drawn.contains('\u{7}'), "{drawn:?}");
    }

    proptest::proptest! {
        #[test]
        fn any_span_of_any_source_can_be_drawn(source in "\\PC{0,30}\n?\\PC{0,200}", a in 0usize..300, b in 0usize..300) {
            Problems::new("f", vec![problem(&source, a..b)]).render(true);
        }
    }
}
