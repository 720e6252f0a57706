//! Values that a scenario spells as one text: quantities with their unit, and names.
//!
//! Each has one parser and, for editors, one pattern of the same language (a test compares them).

use std::fmt;
use std::marker::PhantomData;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};

use super::decode::hook;
use super::{MqttVersion, Server};
use crate::units::{DURATION_PATTERN, Rate, Share, UnitError, parse_duration};

/// A value spelled as one text.
pub trait Written: Sized {
    /// What it is, with examples: `a rate, e.g. 200/s, 50/min, 3/h`.
    const EXPECTED: &'static str;
    /// JSON-Schema pattern of the texts that [`Written::read`] takes, but for bounds on the value.
    const PATTERN: &'static str;
    /// Examples for editors.
    const EXAMPLES: &'static [&'static str] = &[];
    /// Whether it is a name: YAML must not have taken it for a number or a boolean.
    const IS_NAME: bool;

    /// The value of `text`, or what is wrong with it.
    fn read(text: &str) -> Result<Self, String>;
}

/// A [`Written`] value in the file.
#[derive(Debug)]
pub struct Text<T>(pub T);

impl<'de, T: Written> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let visitor = TextVisitor(PhantomData);
        if T::IS_NAME {
            deserializer.deserialize_str(visitor)
        } else {
            deserializer.deserialize_newtype_struct(hook::SCALAR, visitor)
        }
    }
}

struct TextVisitor<T>(PhantomData<T>);

impl<T: Written> Visitor<'_> for TextVisitor<T> {
    type Value = Text<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<T>, E> {
        T::read(text).map(Text).map_err(E::custom)
    }
}

impl<T: Written> JsonSchema for Text<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::EXPECTED.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        text_schema(T::PATTERN, T::EXPECTED, T::EXAMPLES)
    }
}

/// The schema of a text with this pattern.
pub(super) fn text_schema(pattern: &str, expected: &str, examples: &[&str]) -> Schema {
    let mut schema = json_schema!({ "type": "string", "pattern": pattern, "description": expected });
    if !examples.is_empty() {
        schema.insert("examples".to_owned(), examples.into());
    }
    schema
}

fn unit<T>(value: Result<T, UnitError>) -> Result<T, String> {
    value.map_err(|error| error.to_string())
}

impl Written for Rate {
    const EXPECTED: &'static str = "a rate, e.g. 200/s, 50/min, 3/h";
    const PATTERN: &'static str = Rate::PATTERN;
    const EXAMPLES: &'static [&'static str] = &["200/s", "50/min", "3/h"];
    const IS_NAME: bool = false;

    fn read(text: &str) -> Result<Self, String> {
        unit(text.parse())
    }
}

impl Written for Share {
    const EXPECTED: &'static str = "a share, e.g. 2.5%";
    const PATTERN: &'static str = Share::PATTERN;
    const EXAMPLES: &'static [&'static str] = &["2.5%"];
    const IS_NAME: bool = false;

    fn read(text: &str) -> Result<Self, String> {
        // A bare number up to 1 is more likely a fraction than a percentage without its sign.
        if let Some(fraction) = text.parse::<f64>().ok().filter(|fraction| (0.0..=1.0).contains(fraction)) {
            let percent = (fraction * 1e8).round() / 1e6;
            return Err(format!("\"{text}\" is not a share; did you mean {percent}%?"));
        }
        unit(text.parse())
    }
}

impl Written for Duration {
    const EXPECTED: &'static str = "a duration with a unit, e.g. 250ms, 5s, 1m30s";
    const PATTERN: &'static str = DURATION_PATTERN;
    const EXAMPLES: &'static [&'static str] = &["250ms", "5s", "1m30s"];
    const IS_NAME: bool = false;

    fn read(text: &str) -> Result<Self, String> {
        unit(parse_duration(text))
    }
}

/// A rate, or `max` for as fast as the target answers.
#[derive(Debug, Clone, Copy)]
pub struct RateOrMax(pub Option<Rate>);

impl Written for RateOrMax {
    const EXPECTED: &'static str = "a rate, e.g. 200/s, or max";
    const PATTERN: &'static str = r"^(max|[0-9]+(\.[0-9]+)?/(s|min|h))$";
    const EXAMPLES: &'static [&'static str] = &["max", "100/s"];
    const IS_NAME: bool = false;

    fn read(text: &str) -> Result<Self, String> {
        if text == "max" { Ok(Self(None)) } else { Rate::read(text).map(|rate| Self(Some(rate))) }
    }
}

/// A number of devices, or a share of them.
#[derive(Debug, Clone, Copy)]
pub enum CountOrShare {
    /// So many.
    Count(u64),
    /// This share of all.
    Share(Share),
}

impl CountOrShare {
    const EXPECTED: &'static str = "a number of devices or a share of them, e.g. 50 or 10%";
}

impl<'de> Deserialize<'de> for CountOrShare {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CountOrShareVisitor;

        impl Visitor<'_> for CountOrShareVisitor {
            type Value = CountOrShare;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(CountOrShare::EXPECTED)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<CountOrShare, E> {
                if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
                    let count = text.parse::<u32>().ok().map(u64::from);
                    let too_many = || E::custom(format_args!("{text} devices are more than there can be"));
                    return count.map(CountOrShare::Count).ok_or_else(too_many);
                }
                let share = text.ends_with('%').then(|| Share::read(text));
                let none = || Err(format!("\"{text}\" is not {}", CountOrShare::EXPECTED));
                share.unwrap_or_else(none).map(CountOrShare::Share).map_err(E::custom)
            }
        }

        deserializer.deserialize_newtype_struct(hook::SCALAR, CountOrShareVisitor)
    }
}

impl JsonSchema for CountOrShare {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CountOrShare".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "integer", "minimum": 0, "maximum": u32::MAX },
                text_schema(Share::PATTERN, Self::EXPECTED, &["10%"]),
            ]
        })
    }
}

/// A version of MQTT. A name, not a number: `5` unquoted is one to YAML, `3.1.1` is not.
#[derive(Debug, Clone, Copy)]
pub struct MqttName(pub MqttVersion);

impl Written for MqttName {
    const EXPECTED: &'static str = "a version of MQTT, \"3.1.1\" or \"5\"";
    const PATTERN: &'static str = r"^(3\.1\.1|5)$";
    const EXAMPLES: &'static [&'static str] = &["3.1.1", "5"];
    const IS_NAME: bool = true;

    fn read(text: &str) -> Result<Self, String> {
        match text {
            "3.1.1" => Ok(Self(MqttVersion::V311)),
            "5" => Ok(Self(MqttVersion::V5)),
            _ => {
                let digits = text.trim_start_matches(|c: char| !c.is_ascii_digit());
                let meant = match digits.bytes().next() {
                    Some(b'3' | b'4') => "; did you mean \"3.1.1\"?",
                    Some(b'5') => "; did you mean \"5\"?",
                    _ => "",
                };
                Err(format!("\"{text}\" is not {}{meant}", Self::EXPECTED))
            }
        }
    }
}

/// An address to listen on.
#[derive(Debug, Clone, Copy)]
pub struct Address(pub SocketAddr);

impl Written for Address {
    const EXPECTED: &'static str = "an address with a port, e.g. 127.0.0.1:0";
    // Editors need no more than the outline; which numbers make an address is for the parser.
    const PATTERN: &'static str = r"^[0-9a-fA-F.:\[\]%]+:[0-9]+$";
    const EXAMPLES: &'static [&'static str] = &["127.0.0.1:0", "0.0.0.0:1883"];
    const IS_NAME: bool = false;

    fn read(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| {
            if text.starts_with("localhost:") {
                format!(
                    "\"{text}\" is a name, not an address; try {}",
                    text.replace("localhost", "127.0.0.1")
                )
            } else {
                format!("\"{text}\" is not {}", Self::EXPECTED)
            }
        })
    }
}

/// A server by its URL: the scheme, a name or an address, and a port unless it is the scheme's own.
macro_rules! server {
    ($(#[$doc:meta])* $type:ident, $scheme:literal, $port:literal, $expected:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $type(pub Server);

        impl Written for $type {
            const EXPECTED: &'static str = $expected;
            const PATTERN: &'static str = concat!(
                "^",
                $scheme,
                r"://([0-9A-Za-z]([0-9A-Za-z._-]*[0-9A-Za-z])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/?$"
            );
            const EXAMPLES: &'static [&'static str] = &[concat!($scheme, "://127.0.0.1:", $port)];
            const IS_NAME: bool = false;

            fn read(text: &str) -> Result<Self, String> {
                if text.starts_with(concat!($scheme, "s://")) {
                    return Err(format!(
                        "\"{text}\": {} (TLS) is not supported yet; give the server's address without TLS, e.g. {}",
                        concat!($scheme, "s"),
                        Self::EXAMPLES[0]
                    ));
                }
                let server = text.strip_prefix(concat!($scheme, "://")).and_then(|rest| server(rest, $port));
                server.map(Self).ok_or_else(|| format!("\"{text}\" is not {}", Self::EXPECTED))
            }
        }
    };
}

server!(
    /// A broker.
    MqttUrl,
    "mqtt",
    1883,
    "the URL of an MQTT broker, e.g. mqtt://127.0.0.1:1883"
);
server!(
    /// An HTTP API.
    HttpUrl,
    "http",
    80,
    "the URL of an HTTP API without a path, e.g. http://127.0.0.1:8080"
);

/// `host[:port][/]`, an IPv6 address in brackets; `None` if it is not that.
fn server(text: &str, default_port: u16) -> Option<Server> {
    let text = text.strip_suffix('/').unwrap_or(text);
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => {
            let digits = (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
            (host, digits.then(|| port.parse().ok()).flatten()?)
        }
        _ => (text, default_port),
    };
    let host = if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']')?;
        address.parse::<Ipv6Addr>().ok()?;
        address
    } else {
        is_host_name(host).then_some(host)?
    };
    Some(Server { host: host.to_owned(), port })
}

fn is_host_name(host: &str) -> bool {
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let within = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    edge(host.bytes().next()) && edge(host.bytes().last()) && host.bytes().all(within)
}

/// The name of a host, without scheme and port.
#[derive(Debug, Clone)]
pub struct HostName(pub String);

impl Written for HostName {
    const EXPECTED: &'static str =
        "the name of a host without scheme and port, e.g. a1b2c3-ats.iot.eu-west-1.amazonaws.com";
    const PATTERN: &'static str = "^[0-9A-Za-z]([0-9A-Za-z._-]*[0-9A-Za-z])?$";
    const EXAMPLES: &'static [&'static str] = &["a1b2c3-ats.iot.eu-west-1.amazonaws.com"];
    const IS_NAME: bool = true;

    fn read(text: &str) -> Result<Self, String> {
        if is_host_name(text) {
            return Ok(Self(text.to_owned()));
        }
        let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
        let bare = rest.split([':', '/']).next().unwrap_or_default();
        let meant = if is_host_name(bare) { format!("; did you mean {bare}?") } else { String::new() };
        Err(format!("\"{text}\" is not {}{meant}", Self::EXPECTED))
    }
}

/// Makes a type for names of which only length and alphabet matter.
macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $expected:literal, $pattern:literal, $longest:literal, $fits:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $type(pub String);

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Written for $type {
            const EXPECTED: &'static str = $expected;
            const PATTERN: &'static str = $pattern;
            const IS_NAME: bool = true;

            fn read(text: &str) -> Result<Self, String> {
                let fits: fn(u8) -> bool = $fits;
                if (1..=$longest).contains(&text.len()) && text.bytes().all(fits) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(format!("\"{text}\" is not {}", Self::EXPECTED))
                }
            }
        }
    };
}

name!(
    /// The name of a scenario.
    ScenarioName,
    "a name of 1 to 64 characters a-z 0-9 -",
    "^[a-z0-9-]{1,64}$",
    64,
    |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
);
name!(
    /// The name of a group or workload: a label in thresholds and metrics, a part of client ids.
    Name,
    "a name of 1 to 64 characters a-z A-Z 0-9 _ -",
    "^[a-zA-Z0-9_-]{1,64}$",
    64,
    is_word
);
name!(
    /// `commandId` (AWS IoT: 1 to 64 of `[a-zA-Z0-9_-]`).
    CommandName,
    "a command id of 1 to 64 characters a-z A-Z 0-9 _ -",
    "^[a-zA-Z0-9_-]{1,64}$",
    64,
    is_word
);
name!(
    /// `statusReason.reasonCode` (AWS IoT: 1 to 64 of `[A-Z0-9_-]`).
    ReasonCode,
    "a reason code of 1 to 64 characters A-Z 0-9 _ -, e.g. BATTERY_LOW",
    "^[A-Z0-9_-]{1,64}$",
    64,
    |byte| is_word(byte) && !byte.is_ascii_lowercase()
);
name!(
    /// The name of a label of the whole run: also a label in metrics.
    LabelName,
    "a label name of 1 to 64 characters a-z A-Z 0-9 _",
    "^[a-zA-Z0-9_]{1,64}$",
    64,
    |byte| byte.is_ascii_alphanumeric() || byte == b'_'
);
name!(
    /// The name of a device's attribute (AWS IoT: 1 to 128 of `[a-zA-Z0-9_.,@/:#-]`).
    AttributeName,
    "an attribute name of 1 to 128 characters a-z A-Z 0-9 _ . , @ / : # -",
    "^[a-zA-Z0-9_.,@/:#-]{1,128}$",
    128,
    |byte| is_word(byte) || b".,@/:#".contains(&byte)
);
name!(
    /// The name of a parameter (AWS IoT: 1 to 192 of `[.$a-zA-Z0-9_-]`).
    ParameterName,
    "a parameter name of 1 to 192 characters a-z A-Z 0-9 . $ _ -",
    "^[.$a-zA-Z0-9_-]{1,192}$",
    192,
    |byte| is_word(byte) || b".$".contains(&byte)
);
name!(
    /// The name of a result (AWS IoT: 1 to 32 of `[a-zA-Z0-9_-]`).
    ResultName,
    "a result's name of 1 to 32 characters a-z A-Z 0-9 _ -",
    "^[a-zA-Z0-9_-]{1,32}$",
    32,
    is_word
);
name!(
    /// An AWS region, as it stands in ARNs.
    Region,
    "a region, e.g. us-east-1",
    "^[a-z0-9-]{1,32}$",
    32,
    |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
);

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// An AWS account: twelve digits.
#[derive(Debug, Clone)]
pub struct Account(pub String);

impl Written for Account {
    const EXPECTED: &'static str = "an account of 12 digits, e.g. \"123456789012\"";
    const PATTERN: &'static str = "^[0-9]{12}$";
    const EXAMPLES: &'static [&'static str] = &["123456789012"];
    const IS_NAME: bool = true;

    fn read(text: &str) -> Result<Self, String> {
        if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("\"{text}\" is not {}", Self::EXPECTED))
        }
    }
}

/// Text that is shown in a row with others: on one line, not too long.
#[derive(Debug, Clone)]
pub struct Line(pub String);

impl Written for Line {
    const EXPECTED: &'static str = "a text of at most 200 characters on one line";
    const PATTERN: &'static str = r"^[^\u0000-\u001f\u007f-\u009f]{0,200}$";
    const IS_NAME: bool = true;

    fn read(text: &str) -> Result<Self, String> {
        if is_line(text, 200) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("this is not {}", Self::EXPECTED))
        }
    }
}

fn is_line(text: &str, longest: usize) -> bool {
    text.chars().count() <= longest && !text.chars().any(char::is_control)
}

/// `statusReason.reasonDescription` (AWS IoT: at most 1,024 characters, no control characters).
#[derive(Debug, Clone)]
pub struct Reason(pub String);

impl Written for Reason {
    const EXPECTED: &'static str = "a reason of at most 1024 characters on one line";
    const PATTERN: &'static str = r"^[^\u0000-\u001f\u007f-\u009f]{0,1024}$";
    const IS_NAME: bool = true;

    fn read(text: &str) -> Result<Self, String> {
        if is_line(text, 1024) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("this is not {}", Self::EXPECTED))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Texts near the language of a pattern: its alphabet in any order, or anything.
    fn texts() -> impl Strategy<Value = String> {
        prop_oneof![
            "[0-9]{1,3}(\\.[0-9]{1,2})?(us|ms|s|m|h|d|%|/s|/min|/h|sec)?",
            "([0-9]{1,2}(us|ms|s|m|h|d) ?){0,3}",
            "[0-9.]{0,4}(/|%)?[a-z]{0,3}",
            "[a-zA-Z0-9_.-]{0,66}",
            "max|[0-9]{11,13}",
            "[35v](\\.[01]){0,2}",
            "(mqtt|http)s?:/{0,2}(\\[[:0-9a]{0,4}\\]|[a-z0-9.-]{0,6})(:[0-9]{0,6})?[/a]{0,2}",
            "\\PC{0,6}",
            "[a\\t\u{80}\u{a0}ü]{0,201}",
        ]
    }

    /// `within` says whether a refusal is about the size of the value, which no pattern knows.
    fn agree<T: Written>(text: &str, within: fn(&str) -> bool) {
        let pattern = serde_json::json!({ "pattern": T::PATTERN });
        let matches = jsonschema::is_valid(&pattern, &serde_json::json!(text));
        match T::read(text) {
            Ok(_) => assert!(matches, "{text:?} is read but does not match {}", T::PATTERN),
            Err(error) => {
                assert!(!matches || within(&error), "{text:?} matches {} but: {error}", T::PATTERN);
            }
        }
    }

    fn has_large_port(error: &str) -> bool {
        let port = error.split('"').nth(1).and_then(|url| url.trim_end_matches('/').rsplit(':').next());
        port.and_then(|port| port.parse::<u32>().ok()).is_some_and(|port| port > 65_535)
    }

    proptest! {
        #[test]
        fn pattern_and_parser_take_the_same_texts(text in texts()) {
            let never: fn(&str) -> bool = |_| false;
            agree::<Rate>(&text, never);
            agree::<RateOrMax>(&text, never);
            agree::<Share>(&text, |error| error.contains("between 0% and 100%"));
            agree::<Duration>(&text, |error| error.contains("at most 366d"));
            agree::<MqttName>(&text, never);
            agree::<ScenarioName>(&text, never);
            agree::<Name>(&text, never);
            agree::<CommandName>(&text, never);
            agree::<ReasonCode>(&text, never);
            agree::<LabelName>(&text, never);
            agree::<AttributeName>(&text, never);
            agree::<ParameterName>(&text, never);
            agree::<ResultName>(&text, never);
            agree::<Region>(&text, never);
            agree::<Account>(&text, never);
            agree::<Reason>(&text, never);
            agree::<Line>(&text, never);
            // Which numbers are a port or an address of IPv6, no pattern says.
            agree::<MqttUrl>(&text, |error| error.contains('[') || has_large_port(error));
            agree::<HostName>(&text, |_| false);
            agree::<HttpUrl>(&text, |error| error.contains('[') || has_large_port(error));
        }
    }

    #[test]
    fn a_server_is_read_with_and_without_its_port() {
        for (url, expected) in [
            ("mqtt://127.0.0.1:2883", "127.0.0.1:2883"),
            ("mqtt://broker.example/", "broker.example:1883"),
            ("mqtt://[::1]", "[::1]:1883"),
            ("mqtt://[::1]:7", "[::1]:7"),
        ] {
            assert_eq!(MqttUrl::read(url).unwrap().0.to_string(), expected);
        }
    }

    #[test]
    fn a_refused_text_is_named_with_what_was_expected() {
        fn check<T: Written + fmt::Debug>(text: &str, expected: &str) {
            assert_eq!(T::read(text).unwrap_err(), expected);
        }
        check::<Name>("a b", "\"a b\" is not a name of 1 to 64 characters a-z A-Z 0-9 _ -");
        check::<ScenarioName>("Up", "\"Up\" is not a name of 1 to 64 characters a-z 0-9 -");
        check::<ReasonCode>(
            "low",
            "\"low\" is not a reason code of 1 to 64 characters A-Z 0-9 _ -, e.g. BATTERY_LOW",
        );
        check::<Account>("123", "\"123\" is not an account of 12 digits, e.g. \"123456789012\"");
        check::<Address>(
            "localhost:1883",
            "\"localhost:1883\" is a name, not an address; try 127.0.0.1:1883",
        );
        check::<Address>("1.2.3.4", "\"1.2.3.4\" is not an address with a port, e.g. 127.0.0.1:0");
        check::<Share>("0.025", "\"0.025\" is not a share; did you mean 2.5%?");
        check::<Share>("25", "\"25\" is not a share: it needs a unit, e.g. 25%");
        check::<MqttName>("5.0", "\"5.0\" is not a version of MQTT, \"3.1.1\" or \"5\"; did you mean \"5\"?");
        check::<MqttName>(
            "v3",
            "\"v3\" is not a version of MQTT, \"3.1.1\" or \"5\"; did you mean \"3.1.1\"?",
        );
        check::<MqttName>("mqtt", "\"mqtt\" is not a version of MQTT, \"3.1.1\" or \"5\"");
        check::<MqttUrl>(
            "127.0.0.1:1883",
            "\"127.0.0.1:1883\" is not the URL of an MQTT broker, e.g. mqtt://127.0.0.1:1883",
        );
        check::<HttpUrl>(
            "https://api:443",
            "\"https://api:443\": https (TLS) is not supported yet; give the server's address without TLS, e.g. \
             http://127.0.0.1:80",
        );
        check::<RateOrMax>("min", "\"min\" is not a rate, e.g. 200/s, 50/min, 3/h");
    }
}
