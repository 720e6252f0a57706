//! The text that a scenario is read from: the file, and behind it the flags that change it.
//!
//! One text with one numbering of its bytes, so that a node and a mistake have a place whichever of
//! them they come from.

use std::ops::Range;

/// A scenario file and the flags that change it.
#[derive(Debug)]
pub struct Source {
    text: String,
    /// Where each flag begins; before the first one is the file.
    flags: Vec<usize>,
}

impl Source {
    /// The text of a file with nothing behind it.
    pub(super) fn of_file(file: &str) -> Self {
        Self { text: file.to_owned(), flags: Vec::new() }
    }

    /// Puts a flag behind, as it could have been typed; returns its bytes.
    pub(super) fn add_flag(&mut self, flag: &str) -> Range<usize> {
        self.text.push('\n');
        self.flags.push(self.text.len());
        self.text.push_str(flag);
        self.text.len() - flag.len()..self.text.len()
    }

    /// File and flags.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The file alone.
    pub(super) fn file(&self) -> &str {
        match self.flags.first() {
            Some(begin) => &self.text[..begin - 1],
            None => &self.text,
        }
    }

    /// The bytes of a flag, by its number from 1.
    pub(super) fn flag(&self, number: usize) -> Range<usize> {
        let begin = self.flags[number - 1];
        begin..self.flags.get(number).map_or(self.text.len(), |next| next - 1)
    }

    /// The file or flag in which a byte stands: its number (0 is the file), its begin and its text.
    pub(super) fn part(&self, offset: usize) -> (usize, usize, &str) {
        let number = self.flags.iter().take_while(|begin| **begin <= offset).count();
        let begin = number.checked_sub(1).map_or(0, |flag| self.flags[flag]);
        let end = self.flags.get(number).map_or(self.text.len(), |next| next - 1);
        (number, begin, &self.text[begin..end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_belongs_to_the_file_or_to_one_flag() {
        let mut source = Source::of_file("a: 1\n");
        assert_eq!((source.file(), source.part(3)), ("a: 1\n", (0, 0, "a: 1\n")));
        let one = source.add_flag("--set a=2");
        let two = source.add_flag("--scale 2");
        assert_eq!(source.file(), "a: 1\n");
        assert_eq!(&source.text()[one.clone()], "--set a=2");
        assert_eq!((source.flag(1), source.flag(2)), (one.clone(), two.clone()));
        assert_eq!(source.part(2), (0, 0, "a: 1\n"));
        assert_eq!(source.part(one.start), (1, one.start, "--set a=2"));
        assert_eq!(source.part(one.end - 1), (1, one.start, "--set a=2"));
        assert_eq!(source.part(two.start + 4), (2, two.start, "--scale 2"));
        assert_eq!(source.part(usize::MAX), (2, two.start, "--scale 2"));
    }
}
