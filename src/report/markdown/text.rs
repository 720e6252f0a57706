//! Text that is no markup, and a page that has a bound.

use std::fmt::Write as _;

use crate::report::words::visible;

/// Rows of a table; all are in `result.json`.
pub(super) const MOST_ROWS: usize = 50;
/// Characters of one text: descriptions and reasons are whole, and one text cannot fill the page.
const MOST_CHARACTERS: usize = 1_000;
/// Room for the word on what was left out.
const LAST_WORD: usize = 128;

/// A page that sections are added to as long as they fit.
pub(super) struct Page {
    text: String,
    most: usize,
    left_out: usize,
}

impl Page {
    pub fn new(most: usize) -> Self {
        Self { text: String::new(), most, left_out: 0 }
    }

    /// Adds a section, if it fits.
    pub fn add(&mut self, section: &str) {
        if self.text.len() + section.len() + 2 + LAST_WORD > self.most {
            self.left_out += 1;
            return;
        }
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(section.trim_end());
        self.text.push('\n');
    }

    pub fn finish(mut self) -> String {
        if self.left_out > 0 {
            let left_out = self.left_out;
            write!(
                self.text,
                "\n{left_out} sections were too long and are left out; result.json has them.\n"
            )
            .expect("writing to a String cannot fail");
        }
        self.text
    }
}

/// Text in the flow or in a cell: everything that Markdown, HTML or GitHub could take for something else is a
/// character reference, which never is markup. Lines become one, as a heading or a cell has only one.
pub(super) fn plain(text: &str) -> String {
    let in_one_line = |c: char| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c };
    let mut line: String = text.trim_end().chars().take(MOST_CHARACTERS).map(in_one_line).collect();
    if text.trim_end().chars().nth(MOST_CHARACTERS).is_some() {
        line.push('…');
    }
    let text = visible(&line);
    let mut plain = String::with_capacity(text.len());
    let mut before = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let within_word = |side: Option<&char>| side.is_some_and(char::is_ascii_alphanumeric);
        let is_markup = match c {
            // Names are full of them: within a word it is only itself.
            '_' => !(within_word(before.as_ref()) && within_word(rest.peek())),
            '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '|' | '&' | '~' | '#' | '!' | '@' | '$' => true,
            _ => false,
        };
        if is_markup {
            write!(plain, "&#{};", u32::from(c)).expect("writing to a String cannot fail");
        } else {
            plain.push(c);
        }
        before = Some(c);
    }
    plain
}

/// Adds to a text.
pub(super) fn put(text: &mut String, more: std::fmt::Arguments<'_>) {
    text.write_fmt(more).expect("writing to a String cannot fail");
}

/// A block of code that nothing in it can end.
pub(super) fn code(language: &str, text: &str) -> String {
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}\n", text.trim_end())
}

/// A part that is folded.
pub(super) fn folded(title: &str, content: &str) -> String {
    format!("<details><summary>{}</summary>\n\n{}\n\n</details>\n", plain(title), content.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_markup_is_a_reference() {
        for (text, shown) in [
            ("p95(latency{group=fast}) < 150ms", "p95(latency{group=fast}) &#60; 150ms"),
            ("timed_out_cloud", "timed_out_cloud"),
            ("_x_", "&#95;x&#95;"),
            ("a|b", "a&#124;b"),
            ("a\nb", "a b"),
            ("a\u{1b}b\n", "a\u{fffd}b"),
            ("&lt;", "&#38;lt;"),
        ] {
            assert_eq!(plain(text), shown);
        }
    }

    #[test]
    fn a_description_is_whole_and_a_book_is_not() {
        let sentences = "One sentence of several. ".repeat(20);
        assert_eq!(plain(&sentences), sentences.trim_end());
        assert_eq!(plain(&"x".repeat(2_000)).chars().count(), MOST_CHARACTERS + 1);
    }

    #[test]
    fn code_cannot_end_its_block() {
        assert_eq!(code("yaml", "a: 1\n"), "```yaml\na: 1\n```\n");
        assert!(code("", "a\n````\nb").starts_with("`````\n"));
    }
}
