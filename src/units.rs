//! Rates, shares and durations as people write them, and as people read them.
//!
//! Every quantity in a scenario carries its unit (`250ms`, `200/s`, `2.5%`); a bare number is an
//! error that says what to write. Inside the program instants and spans are whole microseconds.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Microseconds in a second.
pub const MICROS_PER_SECOND: u64 = 1_000_000;

/// A text that is not the quantity it should be. Names the text and shows an example.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not {expected}")]
pub struct UnitError {
    /// What was written.
    pub text: String,
    /// What is expected there, with examples: `a rate, e.g. 200/s, 50/min, 3/h`.
    pub expected: String,
}

impl UnitError {
    fn new(text: &str, expected: impl Into<String>) -> Self {
        Self { text: text.to_owned(), expected: expected.into() }
    }
}

/// Events per second; never negative, always finite.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Rate(f64);

impl Rate {
    /// No events at all.
    pub const ZERO: Rate = Rate(0.0);

    /// The pattern of the texts that [`Rate::from_str`] takes, as a JSON-Schema pattern.
    pub const PATTERN: &'static str = r"^[0-9]+(\.[0-9]+)?/(s|min|h)$";

    /// A rate of `value` events per second.
    ///
    /// # Panics
    /// If `value` is negative or not finite: rates come from checked text or arithmetic on rates.
    pub fn from_per_second(value: f64) -> Self {
        assert!(value.is_finite() && value >= 0.0, "a rate is finite and not negative: {value}");
        Self(value)
    }

    /// Events per second.
    pub fn per_second(self) -> f64 {
        self.0
    }
}

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        const EXPECTED: &str = "a rate, e.g. 200/s, 50/min, 3/h";
        if let Some(tight) = tight(text).filter(|tight| tight.parse::<Rate>().is_ok()) {
            return Err(UnitError::new(text, format!("a rate; write it without spaces, {tight}")));
        }
        let Some((number, unit)) = text.split_once('/') else {
            let hint = match plain_number(text) {
                Some(_) => format!("a rate: it needs a unit, e.g. {text}/s"),
                None => EXPECTED.to_owned(),
            };
            return Err(UnitError::new(text, hint));
        };
        let Some(value) = plain_number(number) else {
            return Err(UnitError::new(text, EXPECTED));
        };
        let seconds = match unit {
            "s" => 1.0,
            "min" => 60.0,
            "h" => 3600.0,
            "sec" | "second" => return Err(UnitError::new(text, format!("a rate; try {number}/s"))),
            "m" | "minute" => return Err(UnitError::new(text, format!("a rate; try {number}/min"))),
            "hour" => return Err(UnitError::new(text, format!("a rate; try {number}/h"))),
            _ => return Err(UnitError::new(text, EXPECTED)),
        };
        Ok(Self(value / seconds))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What was written per minute reads best that way: 1000/min, not 16.667/s.
        let (thousandths, per_minute) = (self.0 * 1e3, self.0 * 60.0);
        let is_whole = |value: f64| (value - value.round()).abs() < 1e-6;
        if is_whole(per_minute) && !is_whole(thousandths) {
            return write!(f, "{}/min", per_minute.round());
        }
        for (scale, unit) in [(1.0, "s"), (60.0, "min"), (3600.0, "h")] {
            let value = self.0 * scale;
            if value == 0.0 || value >= 1.0 || unit == "h" {
                return write!(f, "{}/{unit}", trimmed(value, 3));
            }
        }
        unreachable!("the last unit always prints")
    }
}

/// A part of a whole, 0 to 1, written `2.5%`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Share(f64);

impl Share {
    /// Nothing of it.
    pub const ZERO: Share = Share(0.0);
    /// All of it.
    pub const ONE: Share = Share(1.0);

    /// The pattern of the texts that [`Share::from_str`] takes, as a JSON-Schema pattern.
    pub const PATTERN: &'static str = r"^[0-9]+(\.[0-9]+)?%$";

    /// The share as a fraction, 0 to 1.
    pub fn fraction(self) -> f64 {
        self.0
    }
}

impl FromStr for Share {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        if let Some(tight) = tight(text).filter(|tight| tight.parse::<Share>().is_ok()) {
            return Err(UnitError::new(text, format!("a share; write it without spaces, {tight}")));
        }
        let number = text.strip_suffix('%').filter(|number| plain_number(number).is_some());
        // 99.9e-2 is 0.999; 99.9 / 100.0 is a little more, and 999 of 1,000 would not be 99.9 %.
        match number.and_then(|number| format!("{number}e-2").parse().ok()) {
            Some(fraction) if fraction <= 1.0 => Ok(Self(fraction)),
            Some(_) => Err(UnitError::new(text, "a share between 0% and 100%")),
            None if plain_number(text).is_some() => {
                Err(UnitError::new(text, format!("a share: it needs a unit, e.g. {text}%")))
            }
            None => Err(UnitError::new(text, "a share, e.g. 2.5%")),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", trimmed(self.0 * 100.0, 4))
    }
}

/// The pattern of the texts that [`parse_duration`] takes, as a JSON-Schema pattern.
pub const DURATION_PATTERN: &str = r"^[0-9]+(us|ms|s|m|h|d)( ?[0-9]+(us|ms|s|m|h|d))*$";

/// Reads `250ms`, `5s`, `1m30s`, `1m 30s`, `2h`, `1d`; units are us, ms, s, m, h, d.
///
/// The spelling is humantime's, less its long forms (`1sec`, `2 hours`): one way to write a thing.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    const EXPECTED: &str = "a duration with a unit, e.g. 250ms, 5s, 1m30s";
    if !is_duration_spelling(text) {
        let hint = match (plain_number(text), tight(text).filter(|tight| is_duration_spelling(tight))) {
            // So many are as likely milliseconds.
            (Some(number), _) if number >= 60.0 => {
                format!("a duration: it needs a unit, e.g. {text}ms or {text}s")
            }
            (Some(_), _) => format!("a duration: it needs a unit, e.g. {text}s"),
            (None, Some(tight)) => format!("a duration; write it without spaces, {tight}"),
            (None, None) => match respelled(text) {
                Some(whole) => format!("a duration; write {whole}"),
                None => EXPECTED.to_owned(),
            },
        };
        return Err(UnitError::new(text, hint));
    }
    humantime::parse_duration(text)
        .ok()
        .filter(|duration| *duration <= MAX_DURATION)
        .ok_or_else(|| UnitError::new(text, "a duration of at most 366d"))
}

/// What `1.5s` and `60sec` are in the spelling that is taken.
fn respelled(text: &str) -> Option<String> {
    let unit_at = text.find(|char: char| char.is_ascii_alphabetic())?;
    let (number, unit) = (plain_number(text[..unit_at].trim_end())?, &text[unit_at..]);
    let seconds = match unit {
        "us" => 1e-6,
        "ms" | "msec" => 1e-3,
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86_400.0,
        _ => return None,
    };
    let duration = Duration::try_from_secs_f64(number * seconds).ok()?;
    let whole = humantime::format_duration(duration).to_string().replace(' ', "").replace("day", "d");
    is_duration_spelling(&whole).then_some(whole)
}

/// No scenario runs longer than a year; the bound keeps arithmetic on microseconds far from overflow.
const MAX_DURATION: Duration = Duration::from_hours(24 * 366);

/// The same language as [`DURATION_PATTERN`], read by hand so that both stay small.
fn is_duration_spelling(text: &str) -> bool {
    let mut rest = text;
    let mut parts = 0;
    while !rest.is_empty() {
        if parts > 0 {
            rest = rest.strip_prefix(' ').unwrap_or(rest);
        }
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_lowercase).count();
        if digits == 0 || !matches!(&rest[..letters], "us" | "ms" | "s" | "m" | "h" | "d") {
            return false;
        }
        rest = &rest[letters..];
        parts += 1;
    }
    parts > 0
}

/// The text without its spaces, if it has any: `5 %` as people write it elsewhere.
fn tight(text: &str) -> Option<String> {
    text.contains(char::is_whitespace).then(|| text.split_whitespace().collect())
}

/// Digits with an optional fraction, nothing else: no sign, no exponent, no `inf`.
fn plain_number(text: &str) -> Option<f64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    (digits(whole) && digits(fraction)).then(|| text.parse().ok()).flatten().filter(|v: &f64| v.is_finite())
}

/// Whole microseconds of a duration, the unit of every span in the program.
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// A span for people: `740µs`, `48.1ms`, `2.35s`, `3m51s`, `1h04m`.
pub fn human_micros(us: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are printed")]
    let value = us as f64;
    match us {
        0..1_000 => format!("{us}µs"),
        1_000..999_950 => format!("{:.1}ms", value / 1e3),
        999_950..59_995_000 => format!("{:.2}s", value / 1e6),
        _ => {
            let seconds = us.saturating_add(MICROS_PER_SECOND / 2) / MICROS_PER_SECOND;
            if seconds < 3600 {
                format!("{}m{:02}s", seconds / 60, seconds % 60)
            } else {
                format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60)
            }
        }
    }
}

/// A count for people, with thin groups of three: `12 164`.
pub fn human_count(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// A rate for people: `3 340/s`, `12.5/s`, `30/min`.
pub fn human_rate(per_second: f64) -> String {
    if per_second < 1_000.0 {
        return Rate::from_per_second(per_second).to_string();
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, saturating")]
    let whole = per_second.round() as u64;
    format!("{}/s", human_count(whole))
}

/// `value` with at most `places` decimals and no trailing zeros.
fn trimmed(value: f64, places: usize) -> String {
    let text = format!("{value:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_with_their_unit() {
        for (text, per_second) in [("200/s", 200.0), ("30/min", 0.5), ("3.6/h", 0.001), ("0/s", 0.0)] {
            assert!((text.parse::<Rate>().unwrap().per_second() - per_second).abs() < 1e-12, "{text}");
        }
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "a limit must equal the share of executions it names")]
    fn a_share_is_the_fraction_nearest_to_what_is_written() {
        for (text, part, whole) in
            [("99.9%", 999.0, 1e3), ("0.07%", 7.0, 1e4), ("2.5%", 1.0, 40.0), ("100.0%", 1.0, 1.0)]
        {
            assert_eq!(text.parse::<Share>().unwrap().fraction(), part / whole, "{text}");
        }
    }

    #[test]
    fn a_wrong_quantity_says_what_to_write() {
        for (error, expected) in [
            ("200".parse::<Rate>().unwrap_err(), "\"200\" is not a rate: it needs a unit, e.g. 200/s"),
            ("10/sec".parse::<Rate>().unwrap_err(), "\"10/sec\" is not a rate; try 10/s"),
            ("-1/s".parse::<Rate>().unwrap_err(), "\"-1/s\" is not a rate, e.g. 200/s, 50/min, 3/h"),
            ("1e9/s".parse::<Rate>().unwrap_err(), "\"1e9/s\" is not a rate, e.g. 200/s, 50/min, 3/h"),
            ("2.5".parse::<Share>().unwrap_err(), "\"2.5\" is not a share: it needs a unit, e.g. 2.5%"),
            ("101%".parse::<Share>().unwrap_err(), "\"101%\" is not a share between 0% and 100%"),
            ("5".parse_as_duration(), "\"5\" is not a duration: it needs a unit, e.g. 5s"),
            ("1sec".parse_as_duration(), "\"1sec\" is not a duration; write 1s"),
            ("1.5s".parse_as_duration(), "\"1.5s\" is not a duration; write 1s500ms"),
            ("0.5 hours".parse_as_duration(), "\"0.5 hours\" is not a duration; write 30m"),
            ("1.5d".parse_as_duration(), "\"1.5d\" is not a duration; write 1d12h"),
            ("5x".parse_as_duration(), "\"5x\" is not a duration with a unit, e.g. 250ms, 5s, 1m30s"),
            ("9999999d".parse_as_duration(), "\"9999999d\" is not a duration of at most 366d"),
        ] {
            assert_eq!(error.to_string(), expected);
        }
    }

    trait ParseAsDuration {
        fn parse_as_duration(&self) -> UnitError;
    }
    impl ParseAsDuration for str {
        fn parse_as_duration(&self) -> UnitError {
            parse_duration(self).unwrap_err()
        }
    }

    #[test]
    fn durations_may_have_several_parts() {
        for (text, ms) in
            [("250ms", 250), ("1m30s", 90_000), ("1m 30s", 90_000), ("2h", 7_200_000), ("1d", 86_400_000)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn rates_print_in_the_unit_that_reads_best() {
        for (text, printed) in [
            ("200/s", "200/s"),
            ("50/min", "50/min"),
            ("1000/min", "1000/min"),
            ("3/h", "3/h"),
            ("0/s", "0/s"),
            ("2.5/s", "2.5/s"),
        ] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), printed);
        }
    }

    #[test]
    fn spans_read_like_a_person_would_say_them() {
        for (us, text) in [
            (740, "740µs"),
            (48_100, "48.1ms"),
            (999_960, "1.00s"),
            (2_350_000, "2.35s"),
            (59_998_500, "1m00s"),
            (231_000_000, "3m51s"),
            (3_840_000_000, "1h04m"),
        ] {
            assert_eq!(human_micros(us), text);
        }
        assert_eq!(human_count(12_164), "12 164");
        assert_eq!(human_count(999), "999");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_a_unit_parser_panic(text in "\\PC*") {
            let _ = text.parse::<Rate>();
            let _ = text.parse::<Share>();
            let _ = parse_duration(&text);
        }
    }
}
