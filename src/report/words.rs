//! Words and figures that the console, the progress lines and the screen share.
//!
//! Spans and counts are spelled in `units`; this is what only outputs need: classes in words, shares,
//! times of day of a run, and text from outside made safe for a terminal.

use std::borrow::Cow;
use std::time::Duration;

use crate::stats::Class;
use crate::units::{human_count, human_micros, micros};

/// Between figures of one line.
pub const SEPARATOR: &str = " · ";

/// Longest text of a device or backend that is shown; enough for any id (128) or error name.
const MAX_SHOWN: usize = 160;

/// Text made by a device, a backend or a file, safe to send to a terminal.
///
/// Control characters (C0, DEL, C1) would be obeyed by the terminal, and characters that change the
/// direction of writing would disguise what follows them: each becomes `�`. Overlong text is cut.
pub fn printable(text: &str) -> Cow<'_, str> {
    let cut = text.char_indices().nth(MAX_SHOWN).map(|(at, _)| at);
    if cut.is_none() && !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = text[..cut.unwrap_or(text.len())].replace(is_unsafe, "\u{fffd}");
    if cut.is_some() {
        safe.push('…');
    }
    Cow::Owned(safe)
}

/// The same for a page, which obeys no control characters but is disguised by them all the same. Of any length.
pub fn visible(text: &str) -> Cow<'_, str> {
    if text.contains(is_unsafe) {
        Cow::Owned(text.replace(is_unsafe, "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// An accounting class for people.
pub const fn class_words(class: Class) -> &'static str {
    match class {
        Class::Unsent => "unsent",
        Class::Refused => "refused",
        Class::Unknown => "unknown",
        Class::Succeeded => "succeeded",
        Class::Failed => "failed",
        Class::Rejected => "rejected",
        Class::TimedOutDevice => "timed out (device)",
        Class::TimedOutCloud => "timed out (cloud)",
        Class::Unfinished => "unfinished",
    }
}

/// A share with one decimal, rounded half up, but never to all or nothing that is not so: `96.4%`, `<0.1%`,
/// `99.9%` for all but one of a million; `–` of nothing.
pub fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    let (part, whole) = (u128::from(part), u128::from(whole));
    let permille = (part * 2000 + whole) / (whole * 2);
    if part > 0 && part * 1000 < whole {
        return "<0.1%".to_owned();
    }
    let permille = if part < whole { permille.min(999) } else { permille };
    format!("{}.{}%", permille / 10, permille % 10)
}

/// A span for people, `–` without samples.
pub fn span(us: Option<u64>) -> String {
    us.map_or_else(|| "–".to_owned(), human_micros)
}

/// A position in the run: `00:20`, `1:02:03`.
pub fn position(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes:02}:{seconds:02}")
    }
}

/// CPU in cores as percent of one core: `31%`.
pub fn cpu(cores: f64) -> String {
    // The sum of nothing is a negative zero.
    format!("{:.0}%", cores * 100.0 + 0.0)
}

/// As many of the parts, from the first, as fit into `width` characters, separated by [`SEPARATOR`]:
/// a narrow place loses whole figures, never half of one. A first part that is too long is left out, too.
pub fn parts_that_fit<S: AsRef<str>>(parts: &[S], width: usize) -> String {
    let mut line = String::new();
    let mut used = 0;
    for part in parts.iter().map(AsRef::as_ref) {
        let separator = if line.is_empty() { "" } else { SEPARATOR };
        used += separator.chars().count() + part.chars().count();
        if used > width {
            break;
        }
        line.push_str(separator);
        line.push_str(part);
    }
    line
}

/// How much faster than real a virtual clock went: `×1 480`. `None` before anything has passed.
pub(super) fn speed_up(virtual_time: Duration, real: Duration) -> Option<String> {
    let (virtual_us, real_us) = (micros(virtual_time), micros(real));
    let times = virtual_us.checked_div(real_us)?;
    Some(if times >= 10 {
        format!("×{}", human_count(times))
    } else {
        // Tenths, rounded down.
        format!("×{times}.{}", virtual_us % real_us * 10 / real_us)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_up_is_whole_above_ten_and_never_rounded_up() {
        let seconds = Duration::from_secs;
        for (virtual_time, real, shown) in [
            (seconds(86_400), seconds(60), Some("×1 440")),
            (seconds(86_400), seconds(61), Some("×1 416")),
            (seconds(10), seconds(1), Some("×10")),
            (Duration::from_millis(9_999), seconds(1), Some("×9.9")),
            (seconds(1), seconds(4), Some("×0.2")),
            (seconds(0), seconds(4), Some("×0.0")),
            (seconds(1), seconds(0), None),
        ] {
            assert_eq!(speed_up(virtual_time, real).as_deref(), shown, "{virtual_time:?} in {real:?}");
        }
    }

    #[test]
    fn text_from_outside_carries_no_escape_sequence_to_the_terminal() {
        for (text, shown) in [
            ("ThrottlingException", "ThrottlingException"),
            ("grün ✓", "grün ✓"),
            ("\x1b[2Jgone", "�[2Jgone"),
            ("\x1b]0;title\x07", "�]0;title�"),
            ("\u{9b}31mred", "�31mred"),
            ("a\r\nb\tc\x7f", "a��b�c�"),
            ("gpj.\u{202e}txt", "gpj.�txt"),
        ] {
            assert_eq!(printable(text), shown, "{text:?}");
        }
        let long = printable(&"é".repeat(1_000_000)).into_owned();
        assert_eq!(long.chars().count(), MAX_SHOWN + 1);
    }

    #[test]
    fn a_share_never_claims_all_or_nothing_that_is_not_so() {
        for (part, whole, shown) in [
            (0, 0, "–"),
            (0, 7, "0.0%"),
            (1, 1_000_000, "<0.1%"),
            (3158, 3275, "96.4%"),
            (1, 1_001, "<0.1%"),
            (1, 1_000, "0.1%"),
            (2, 3, "66.7%"),
            (9_996, 10_000, "99.9%"),
            (9_994, 10_000, "99.9%"),
            (3, 2, "150.0%"),
            (999_999, 1_000_000, "99.9%"),
            (7, 7, "100.0%"),
            (u64::MAX, u64::MAX, "100.0%"),
        ] {
            assert_eq!(share(part, whole), shown, "{part} of {whole}");
        }
    }

    #[test]
    fn positions_read_like_a_clock() {
        for (seconds, shown) in [(0, "00:00"), (20, "00:20"), (754, "12:34"), (3723, "1:02:03")] {
            assert_eq!(position(Duration::from_secs(seconds)), shown);
        }
    }

    #[test]
    fn a_narrow_place_loses_whole_figures() {
        let parts = ["p50 1ms", "p99 12ms", "max 40ms"];
        for (width, fits) in [
            (0, ""),
            (6, ""),
            (7, "p50 1ms"),
            (17, "p50 1ms"),
            (18, "p50 1ms · p99 12ms"),
            (99, "p50 1ms · p99 12ms · max 40ms"),
        ] {
            assert_eq!(parts_that_fit(&parts, width), fits, "{width}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_from_outside_keeps_a_control_character(text in "(?s).{0,300}") {
            proptest::prop_assert!(!printable(&text).chars().any(char::is_control));
        }
    }
}
