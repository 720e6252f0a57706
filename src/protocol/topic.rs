//! The topics of the MQTT plane: requests, updates and their replies per device, lifecycle events.

use std::fmt;

use super::{Status, TargetKind};

const COMMANDS: &str = "$aws/commands/";
const EVENTS: &str = "$aws/events/commandExecution/";

/// What the last topic level says about the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// `…/json`.
    Json,
    /// `…/cbor`.
    Cbor,
    /// No level at all: any other content type of a request; a reply or update is then JSON.
    Generic,
}

impl Format {
    /// The format of a command's request by its content type.
    ///
    /// The media type counts, without case and parameters: `application/JSON; charset=utf-8` is JSON.
    pub fn of_content_type(content_type: &str) -> Self {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if media_type.eq_ignore_ascii_case("application/json") {
            Format::Json
        } else if media_type.eq_ignore_ascii_case("application/cbor") {
            Format::Cbor
        } else {
            Format::Generic
        }
    }
}

/// What is said on a device topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// The cloud sends the command to the device.
    Request(Format),
    /// The device updates the execution.
    Response(Format),
    /// The cloud took the update.
    Accepted(Format),
    /// The cloud refused the update.
    Rejected(Format),
}

impl Form {
    /// Every form with the levels it is written as.
    const ALL: [(Form, &str); 12] = [
        (Form::Request(Format::Json), "request/json"),
        (Form::Request(Format::Cbor), "request/cbor"),
        (Form::Request(Format::Generic), "request"),
        (Form::Response(Format::Json), "response/json"),
        (Form::Response(Format::Cbor), "response/cbor"),
        (Form::Response(Format::Generic), "response"),
        (Form::Accepted(Format::Json), "response/accepted/json"),
        (Form::Accepted(Format::Cbor), "response/accepted/cbor"),
        (Form::Accepted(Format::Generic), "response/accepted"),
        (Form::Rejected(Format::Json), "response/rejected/json"),
        (Form::Rejected(Format::Cbor), "response/rejected/cbor"),
        (Form::Rejected(Format::Generic), "response/rejected"),
    ];

    fn parse(levels: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, written)| *written == levels).map(|(form, _)| *form)
    }

    fn levels(self) -> &'static str {
        let row = Self::ALL.iter().find(|(form, _)| *form == self);
        row.expect("the table has a row for each of the twelve").1
    }
}

/// `$aws/commands/<things|clients>/<device>/executions/<execution>/<form>`, parts borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceTopic<'a> {
    /// Thing or client.
    pub kind: TargetKind,
    /// Thing name or client id.
    pub device: &'a str,
    /// The execution's id, not yet checked.
    pub execution: &'a str,
    /// What is said.
    pub form: Form,
}

impl DeviceTopic<'_> {
    /// Takes a topic apart; `None` if it is no concrete topic of this family.
    pub fn parse(topic: &str) -> Option<DeviceTopic<'_>> {
        let mut levels = topic.strip_prefix(COMMANDS)?.splitn(5, '/');
        let kind = TargetKind::from_topic_word(levels.next()?)?;
        let device = levels.next().filter(|name| is_level(name))?;
        levels.next().filter(|word| *word == "executions")?;
        let execution = levels.next().filter(|id| is_level(id))?;
        let form = Form::parse(levels.next()?)?;
        Some(DeviceTopic { kind, device, execution, form })
    }

    /// Appends the topic to `out`.
    pub fn write_to(&self, out: &mut String) {
        let (kind, form) = (self.kind.topic_word(), self.form.levels());
        for part in [COMMANDS, kind, "/", self.device, "/executions/", self.execution, "/", form] {
            out.push_str(part);
        }
    }
}

impl fmt::Display for DeviceTopic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut topic = String::new();
        self.write_to(&mut topic);
        f.write_str(&topic)
    }
}

/// The three filters a device subscribes to: requests in every format, and both replies.
///
/// `request/#` also matches `request` itself; `request/+` would miss it.
pub fn device_filters(kind: TargetKind, device: &str) -> [String; 3] {
    ["request/#", "response/accepted/#", "response/rejected/#"]
        .map(|last| format!("{COMMANDS}{}/{device}/executions/+/{last}", kind.topic_word()))
}

/// The topic of a lifecycle event, `$aws/events/commandExecution/<command>/<STATUS>`.
pub fn event_topic(command_id: &str, status: Status) -> String {
    let mut topic = String::new();
    write_event_topic(&mut topic, command_id, status);
    topic
}

/// Appends [`event_topic`] to `out`.
pub fn write_event_topic(out: &mut String, command_id: &str, status: Status) {
    for part in [EVENTS, command_id, "/", status.name()] {
        out.push_str(part);
    }
}

fn is_level(level: &str) -> bool {
    !level.is_empty() && !level.contains(['+', '#'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_of_a_device_is_read_and_written() {
        for (rest, form) in [
            ("request/json", Form::Request(Format::Json)),
            ("request/cbor", Form::Request(Format::Cbor)),
            ("request", Form::Request(Format::Generic)),
            ("response/json", Form::Response(Format::Json)),
            ("response/cbor", Form::Response(Format::Cbor)),
            ("response", Form::Response(Format::Generic)),
            ("response/accepted/json", Form::Accepted(Format::Json)),
            ("response/accepted/cbor", Form::Accepted(Format::Cbor)),
            ("response/accepted", Form::Accepted(Format::Generic)),
            ("response/rejected/json", Form::Rejected(Format::Json)),
            ("response/rejected/cbor", Form::Rejected(Format::Cbor)),
            ("response/rejected", Form::Rejected(Format::Generic)),
        ] {
            for (kind, word) in [(TargetKind::Thing, "things"), (TargetKind::Client, "clients")] {
                let text = format!("$aws/commands/{word}/t1/executions/e-1/{rest}");
                let topic = DeviceTopic { kind, device: "t1", execution: "e-1", form };
                assert_eq!(DeviceTopic::parse(&text), Some(topic), "{text}");
                assert_eq!(topic.to_string(), text);
            }
        }
    }

    #[test]
    fn other_topics_are_not_taken_for_one() {
        for text in [
            "",
            "t1",
            "$aws/commands",
            "$aws/commands/things/t1/executions/e1",
            "$aws/commands/things/t1/executions/e1/",
            "$aws/commands/things/t1/executions//request",
            "$aws/commands/things//executions/e1/request",
            "$aws/commands/thing/t1/executions/e1/request",
            "$aws/commands/things/t1/execution/e1/request",
            "$aws/commands/things/t1/executions/e1/request/",
            "$aws/commands/things/t1/executions/e1/request/xml",
            "$aws/commands/things/t1/executions/e1/request/json/more",
            "$aws/commands/things/t1/executions/e1/requests",
            "$aws/commands/things/t1/executions/e1/response/",
            "$aws/commands/things/t1/executions/e1/response/accept",
            "$aws/commands/things/t1/executions/+/request",
            "$aws/commands/things/+/executions/e1/request",
            "$aws/commands/things/t1/executions/e1/#",
            "aws/commands/things/t1/executions/e1/request",
            "/$aws/commands/things/t1/executions/e1/request",
            "$AWS/commands/things/t1/executions/e1/request",
            "$aws/commands/things/a/b/executions/e1/request",
        ] {
            assert_eq!(DeviceTopic::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_device_subscribes_to_its_own_topics_only() {
        assert_eq!(
            device_filters(TargetKind::Client, "c1"),
            [
                "$aws/commands/clients/c1/executions/+/request/#",
                "$aws/commands/clients/c1/executions/+/response/accepted/#",
                "$aws/commands/clients/c1/executions/+/response/rejected/#",
            ]
        );
        assert_eq!(event_topic("c1", Status::TimedOut), "$aws/events/commandExecution/c1/TIMED_OUT");
    }

    #[test]
    fn the_media_type_decides_the_request_topic() {
        for (content_type, format) in [
            ("application/json", Format::Json),
            ("Application/JSON; charset=utf-8", Format::Json),
            ("application/cbor", Format::Cbor),
            ("application/json5", Format::Generic),
            ("text/plain", Format::Generic),
            ("application/octet-stream", Format::Generic),
            ("", Format::Generic),
        ] {
            assert_eq!(Format::of_content_type(content_type), format, "{content_type}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_read_is_written_back(text in "(\\$aws/commands/(things|clients)/)?\\PC*(/request|/response)?") {
            if let Some(topic) = DeviceTopic::parse(&text) {
                proptest::prop_assert_eq!(topic.to_string(), text);
            }
        }
    }
}
