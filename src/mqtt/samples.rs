//! Generated parts of packets that own what they are made of, for the tests of both versions.

use std::num::NonZeroU16;

use proptest::option;
use proptest::prelude::*;

use super::{PacketId, Publish, PublishProperties, QoS, UserProperties};

/// A text that is not empty: rumqttc reads an empty user name as none.
pub(super) fn text() -> impl Strategy<Value = String> {
    "[^\0]{1,40}"
}

pub(super) fn optional_text() -> impl Strategy<Value = Option<String>> {
    option::of("[^\0]{0,20}")
}

pub(super) fn field() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..40)
}

pub(super) fn id() -> impl Strategy<Value = u16> {
    1..=u16::MAX
}

pub(super) fn topic() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[^\0+#]{1,40}",
        6 => "\\$aws/commands/things/[a-z0-9]{1,8}/executions/[a-f0-9-]{36}/(request|response)/(json|cbor)",
        1 => "[a-z/]{65000,65535}",
    ]
}

/// A filter that is valid in both versions: not `$share/`, which only one of them looks into.
pub(super) fn filter() -> impl Strategy<Value = String> {
    (prop::collection::vec(prop_oneof![Just("+".to_owned()), "[^\0+#/$]{0,8}"], 0..6), any::<bool>())
        .prop_map(|(mut levels, hash)| {
            if hash || levels.iter().all(String::is_empty) {
                levels.push("#".to_owned());
            }
            levels.join("/")
        })
}

/// What any packet of MQTT 5 may carry besides what it says.
#[derive(Debug, Clone)]
pub(super) struct Extras {
    pub reason_string: Option<String>,
    pub pairs: Vec<(String, String)>,
    /// The pairs as they are written.
    pub block: Vec<u8>,
}

impl Extras {
    pub fn user(&self) -> UserProperties<'_> {
        UserProperties::from_block(&self.block).unwrap()
    }

    pub fn reason_string(&self) -> Option<&str> {
        self.reason_string.as_deref()
    }
}

pub(super) fn extras() -> impl Strategy<Value = Extras> {
    let pairs = prop::collection::vec(("[^\0]{0,12}", "[^\0]{0,12}"), 0..4);
    (optional_text(), pairs).prop_map(|(reason_string, pairs)| {
        let mut block = Vec::new();
        UserProperties::write(pairs.iter().map(|(name, value)| (&**name, &**value)), &mut block).unwrap();
        Extras { reason_string, pairs, block }
    })
}

/// A PUBLISH.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub topic: String,
    pub payload: Vec<u8>,
    pub id: Option<u16>,
    pub dup: bool,
    pub retain: bool,
    pub is_utf8: Option<bool>,
    pub expiry_s: Option<u32>,
    pub alias: Option<u16>,
    pub response_topic: Option<String>,
    pub correlation: Option<Vec<u8>>,
    pub content_type: Option<String>,
    pub extras: Extras,
}

impl Message {
    pub fn publish(&self) -> Publish<'_> {
        Publish {
            topic: &self.topic,
            payload: &self.payload,
            qos: if self.id.is_some() { QoS::AtLeastOnce } else { QoS::AtMostOnce },
            id: self.id.and_then(PacketId::new),
            dup: self.dup,
            retain: self.retain,
            properties: PublishProperties {
                payload_is_utf8: self.is_utf8,
                message_expiry_s: self.expiry_s,
                topic_alias: self.alias.and_then(NonZeroU16::new),
                response_topic: self.response_topic.as_deref(),
                correlation_data: self.correlation.as_deref(),
                content_type: self.content_type.as_deref(),
                user: self.extras.user(),
            },
        }
    }
}

pub(super) fn message() -> impl Strategy<Value = Message> {
    let payload = prop_oneof![
        9 => prop::collection::vec(any::<u8>(), 0..300),
        1 => prop::collection::vec(any::<u8>(), 16_000..17_000),
    ];
    let properties = (
        option::of(any::<bool>()),
        option::of(any::<u32>()),
        option::of(id()),
        option::of("[^\0+#]{1,20}"),
        option::of(field()),
        optional_text(),
        extras(),
    );
    (topic(), payload, option::of(id()), any::<bool>(), any::<bool>(), properties).prop_map(
        |(topic, payload, id, dup, retain, properties)| {
            let (is_utf8, expiry_s, alias, response_topic, correlation, content_type, extras) = properties;
            Message {
                topic,
                payload,
                id,
                dup: dup && id.is_some(),
                retain,
                is_utf8,
                expiry_s,
                alias,
                response_topic,
                correlation,
                content_type,
                extras,
            }
        },
    )
}
