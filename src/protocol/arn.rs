//! Amazon resource names of commands and targets.
//!
//! `arn:<partition>:iot:<region>:<account>:command/<id>`, `…:thing/<name>`, `…:client/<client id>`:
//! singular here, plural (`things`, `clients`) in topics. The partition follows from the region.

use std::fmt;
use std::str::FromStr;

use super::id;

/// Longest ARN the services take (model: `TargetArn`).
const MAX_ARN: usize = 2048;
/// Longest thing name or client id (IoT quotas).
const MAX_NAME: usize = 128;

/// A text that is not the ARN it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not the ARN of {expected}")]
pub struct InvalidArn {
    /// What was given, cut after 160 characters.
    pub text: String,
    /// What is expected there, with its form.
    pub expected: &'static str,
}

/// Whether an execution goes to a thing or to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetKind {
    /// A thing of the registry, by its name.
    Thing,
    /// An MQTT client, by its client id.
    Client,
}

impl TargetKind {
    /// Both.
    pub const ALL: [TargetKind; 2] = [TargetKind::Thing, TargetKind::Client];

    /// The word in an ARN: `thing`, `client`.
    pub const fn arn_word(self) -> &'static str {
        match self {
            TargetKind::Thing => "thing",
            TargetKind::Client => "client",
        }
    }

    /// The word in a topic: `things`, `clients`.
    pub const fn topic_word(self) -> &'static str {
        match self {
            TargetKind::Thing => "things",
            TargetKind::Client => "clients",
        }
    }

    /// The kind of a topic's word.
    pub fn from_topic_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.topic_word() == word)
    }

    /// Whether `name` can name a target of this kind.
    ///
    /// Thing names are `[a-zA-Z0-9:_-]+`; a client id is freer, but has to be one topic level.
    pub fn allows(self, name: &str) -> bool {
        let allowed = match self {
            TargetKind::Thing => |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-'),
            TargetKind::Client => |c: char| !c.is_control() && !matches!(c, '/' | '+' | '#'),
        };
        matches!(name.len(), 1..=MAX_NAME) && name.chars().all(allowed)
    }
}

/// The target of an execution: `arn:aws:iot:<region>:<account>:thing/<name>` or `…:client/<id>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetArn {
    /// `us-east-1`.
    pub region: String,
    /// Twelve digits.
    pub account: String,
    /// Thing or client.
    pub kind: TargetKind,
    /// The thing's name or the client's id.
    pub name: String,
}

impl TargetArn {
    /// The ARN of these parts; they are taken as they are.
    pub fn new(
        region: impl Into<String>,
        account: impl Into<String>,
        kind: TargetKind,
        name: impl Into<String>,
    ) -> Self {
        Self { region: region.into(), account: account.into(), kind, name: name.into() }
    }
}

impl fmt::Display for TargetArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target =
            TargetName { region: &self.region, account: &self.account, kind: self.kind, name: &self.name };
        target.fmt(f)
    }
}

impl FromStr for TargetArn {
    type Err = InvalidArn;

    fn from_str(text: &str) -> Result<Self, InvalidArn> {
        let target = TargetName::parse(text)?;
        Ok(Self::new(target.region, target.account, target.kind, target.name))
    }
}

/// A [`TargetArn`] that borrows its parts: what a server needs per request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetName<'a> {
    /// `us-east-1`.
    pub region: &'a str,
    /// Twelve digits.
    pub account: &'a str,
    /// Thing or client.
    pub kind: TargetKind,
    /// The thing's name or the client's id.
    pub name: &'a str,
}

impl<'a> TargetName<'a> {
    /// Takes a target's ARN apart.
    pub fn parse(text: &'a str) -> Result<Self, InvalidArn> {
        const EXPECTED: &str =
            "a target: expected arn:aws:iot:<region>:<account>:thing/<name> or …:client/<client id>";
        let parts = split(text).and_then(|(region, account, resource)| {
            let (word, name) = resource.split_once('/')?;
            let kind = TargetKind::ALL.into_iter().find(|kind| kind.arn_word() == word)?;
            kind.allows(name).then_some(Self { region, account, kind, name })
        });
        parts.ok_or_else(|| invalid(text, EXPECTED))
    }
}

impl fmt::Display for TargetName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { region, account, kind, name } = self;
        write!(f, "arn:{}:iot:{region}:{account}:{}/{name}", partition(region), kind.arn_word())
    }
}

/// A command: `arn:aws:iot:<region>:<account>:command/<id>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandArn {
    /// `us-east-1`.
    pub region: String,
    /// Twelve digits.
    pub account: String,
    /// The command's id.
    pub command_id: String,
}

impl CommandArn {
    /// The ARN of these parts; they are taken as they are.
    pub fn new(region: impl Into<String>, account: impl Into<String>, command_id: impl Into<String>) -> Self {
        Self { region: region.into(), account: account.into(), command_id: command_id.into() }
    }

    /// Takes a command's ARN apart without copying: region, account, command id.
    pub fn split(text: &str) -> Result<(&str, &str, &str), InvalidArn> {
        const EXPECTED: &str = "a command: expected arn:aws:iot:<region>:<account>:command/<id>";
        let parts = split(text).and_then(|(region, account, resource)| {
            let command_id = resource.strip_prefix("command/")?;
            id::is_id(command_id).then_some((region, account, command_id))
        });
        parts.ok_or_else(|| invalid(text, EXPECTED))
    }
}

impl fmt::Display for CommandArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { region, account, command_id } = self;
        write!(f, "arn:{}:iot:{region}:{account}:command/{command_id}", partition(region))
    }
}

impl FromStr for CommandArn {
    type Err = InvalidArn;

    fn from_str(text: &str) -> Result<Self, InvalidArn> {
        let (region, account, command_id) = Self::split(text)?;
        Ok(Self::new(region, account, command_id))
    }
}

/// Region, account and resource of an IoT ARN whose partition fits its region.
fn split(text: &str) -> Option<(&str, &str, &str)> {
    if text.len() > MAX_ARN {
        return None;
    }
    let mut parts = text.strip_prefix("arn:")?.splitn(5, ':');
    let (named, service) = (parts.next()?, parts.next()?);
    let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
    let region_is_sound = !region.is_empty()
        && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let account_is_sound = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    (service == "iot" && region_is_sound && account_is_sound && named == partition(region))
        .then_some((region, account, resource))
}

/// The partition a region lies in.
fn partition(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "aws-cn"
    } else if region.starts_with("us-gov-") {
        "aws-us-gov"
    } else {
        "aws"
    }
}

fn invalid(text: &str, expected: &'static str) -> InvalidArn {
    InvalidArn { text: text.chars().take(160).collect(), expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_arns_are_read_and_written() {
        for (text, kind, name) in [
            ("arn:aws:iot:us-east-1:123456789012:thing/lamp1", TargetKind::Thing, "lamp1"),
            ("arn:aws:iot:us-east-1:123456789012:thing/a:b_c-d", TargetKind::Thing, "a:b_c-d"),
            ("arn:aws:iot:eu-west-1:123456789012:client/cid 1.ü", TargetKind::Client, "cid 1.ü"),
            ("arn:aws-cn:iot:cn-north-1:123456789012:thing/t", TargetKind::Thing, "t"),
            ("arn:aws-us-gov:iot:us-gov-west-1:123456789012:thing/t", TargetKind::Thing, "t"),
        ] {
            let arn: TargetArn = text.parse().unwrap();
            assert_eq!((arn.kind, arn.name.as_str()), (kind, name), "{text}");
            assert_eq!(arn.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for text in [
            "",
            "lamp1",
            "arn:aws:iot:us-east-1:123456789012:thinggroup/g",
            "arn:aws:iot:us-east-1:123456789012:things/lamp1",
            "arn:aws:iot:us-east-1:123456789012:thing/",
            "arn:aws:iot:us-east-1:123456789012:thing",
            "arn:aws:iot:us-east-1:123456789012:thing/a b",
            "arn:aws:iot:us-east-1:123456789012:client/a/b",
            "arn:aws:iot:us-east-1:123456789012:client/+",
            "arn:aws:iot:us-east-1:123456789012:client/#",
            "arn:aws:iot:us-east-1:123456789012:client/a\u{0}",
            "arn:aws:iot:us-east-1:12345678901:thing/lamp1",
            "arn:aws:iot:us-east-1::thing/lamp1",
            "arn:aws:iot::123456789012:thing/lamp1",
            "arn:aws:sqs:us-east-1:123456789012:thing/lamp1",
            "arn:aws:iot:cn-north-1:123456789012:thing/lamp1",
            "ARN:aws:iot:us-east-1:123456789012:thing/lamp1",
            "arn:aws:iot:us-east-1:123456789012:command/c",
            &format!("arn:aws:iot:us-east-1:123456789012:thing/{}", "x".repeat(129)),
        ] {
            assert!(text.parse::<TargetArn>().is_err(), "{text}");
        }
    }

    #[test]
    fn command_arns_are_read_and_written() {
        let arn = CommandArn::new("us-east-1", "123456789012", "Light_Power");
        assert_eq!(arn.to_string(), "arn:aws:iot:us-east-1:123456789012:command/Light_Power");
        assert_eq!(arn.to_string().parse(), Ok(arn));
        for text in [
            "Light_Power",
            "arn:aws:iot:us-east-1:123456789012:command/",
            "arn:aws:iot:us-east-1:123456789012:command/a b",
            "arn:aws:iot:us-east-1:123456789012:commands/a",
            "arn:aws:iot:us-east-1:123456789012:thing/a",
        ] {
            assert!(text.parse::<CommandArn>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_refusal_names_the_text_and_the_form() {
        assert_eq!(
            "lamp1".parse::<TargetArn>().unwrap_err().to_string(),
            "\"lamp1\" is not the ARN of a target: expected arn:aws:iot:<region>:<account>:thing/<name> or \
             …:client/<client id>"
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text in "(arn:aws:iot:)?\\PC*") {
            let _ = text.parse::<TargetArn>();
            let _ = text.parse::<CommandArn>();
        }
    }
}
