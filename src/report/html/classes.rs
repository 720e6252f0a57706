//! Classes as a page tells them: what was hoped for first, each with its colour's name.

use crate::report::result::Accounting;
use crate::report::words::{class_words, share};
use crate::stats::Class;
use crate::units::human_count;

/// In the order of a stack, from its ground: what was hoped for, then other ends, then what never began.
pub(super) const STACK: [Class; 9] = [
    Class::Succeeded,
    Class::Failed,
    Class::Rejected,
    Class::TimedOutDevice,
    Class::TimedOutCloud,
    Class::Refused,
    Class::Unknown,
    Class::Unsent,
    Class::Unfinished,
];

/// A class that occurred.
pub(super) struct ClassRow {
    /// As thresholds spell it; also the name of its colour.
    pub name: &'static str,
    pub words: &'static str,
    pub count: String,
    pub share: String,
    pub note: String,
    /// Of a bar 1,000 wide.
    pub from: u64,
    pub width: u64,
}

/// The classes that occurred, with their places in a bar of all that were due.
pub(super) fn rows(accounting: &Accounting) -> Vec<ClassRow> {
    let mut rows = Vec::new();
    let (mut before, whole) = (0, accounting.due.max(1));
    let place = |count: u64| u64::try_from(u128::from(count) * 1000 / u128::from(whole)).unwrap_or(1000);
    for class in STACK {
        let count = accounting.classes.get(class.name()).copied().unwrap_or(0);
        if count == 0 && class != Class::Succeeded {
            continue;
        }
        let planned = accounting.timed_out_as_planned;
        let note = if class == Class::TimedOutCloud && planned > 0 {
            format!("{} as planned", human_count(planned))
        } else {
            String::new()
        };
        rows.push(ClassRow {
            name: class.name(),
            words: class_words(class),
            count: human_count(count),
            share: share(count, accounting.due),
            note,
            from: place(before),
            // A single one is still seen.
            width: if count == 0 { 0 } else { place(count).max(2) },
        });
        before += count;
    }
    rows
}
