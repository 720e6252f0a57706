//! Table 2-4 of MQTT 5, every property in every place: allowed or not, never twice, never cut.

use super::*;
use PacketKind as Kind;
use Place::{
    Auth, ConnAck, Connect, Disconnect, PubAck, Publish, SubAck, Subscribe, UnsubAck, Unsubscribe, Will,
};

/// Where properties stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Connect,
    Will,
    ConnAck,
    Publish,
    PubAck,
    Subscribe,
    SubAck,
    Unsubscribe,
    UnsubAck,
    Disconnect,
    Auth,
}

const PLACES: [Place; 11] =
    [Connect, Will, ConnAck, Publish, PubAck, Subscribe, SubAck, Unsubscribe, UnsubAck, Disconnect, Auth];

/// Each property with a value it may have, its name, and where table 2-4 puts it.
const TABLE: &[(&[u8], &str, &[Place])] = &[
    (b"\x01\x01", "payload format indicator", &[Publish, Will]),
    (b"\x02\0\0\0\x01", "message expiry interval", &[Publish, Will]),
    (b"\x03\0\x01t", "content type", &[Publish, Will]),
    (b"\x08\0\x01r", "response topic", &[Publish, Will]),
    (b"\x09\0\x01c", "correlation data", &[Publish, Will]),
    (b"\x0b\x01", "subscription identifier", &[Publish, Subscribe]),
    (b"\x11\0\0\0\x01", "session expiry interval", &[Connect, ConnAck, Disconnect]),
    (b"\x12\0\x01i", "assigned client identifier", &[ConnAck]),
    (b"\x13\0\x01", "server keep alive", &[ConnAck]),
    (b"\x15\0\x01m", "authentication method", &[Connect, ConnAck, Auth]),
    (b"\x16\0\x01d", "authentication data", &[Connect, ConnAck, Auth]),
    (b"\x17\x01", "request problem information", &[Connect]),
    (b"\x18\0\0\0\x01", "will delay interval", &[Will]),
    (b"\x19\x01", "request response information", &[Connect]),
    (b"\x1a\0\x01i", "response information", &[ConnAck]),
    (b"\x1c\0\x01s", "server reference", &[ConnAck, Disconnect]),
    (b"\x1f\0\x01r", "reason string", &[ConnAck, PubAck, SubAck, UnsubAck, Disconnect, Auth]),
    (b"\x21\0\x01", "receive maximum", &[Connect, ConnAck]),
    (b"\x22\0\x01", "topic alias maximum", &[Connect, ConnAck]),
    (b"\x23\0\x01", "topic alias", &[Publish]),
    (b"\x24\x01", "maximum QoS", &[ConnAck]),
    (b"\x25\x01", "retain available", &[ConnAck]),
    (b"\x26\0\x01k\0\x01v", "user property", &PLACES),
    (b"\x27\0\0\0\x01", "maximum packet size", &[Connect, ConnAck]),
    (b"\x28\x01", "wildcard subscription available", &[ConnAck]),
    (b"\x29\x01", "subscription identifiers available", &[ConnAck]),
    (b"\x2a\x01", "shared subscription available", &[ConnAck]),
];

impl Place {
    /// A packet with this block of properties, behind its length, and who sends it. A CONNECT and an AUTH get
    /// the authentication method they need for what they are tested with.
    fn packet(self, block: &[u8]) -> (Vec<u8>, Sender) {
        let about_method = |id| block.first() == Some(&id);
        let block = match self {
            Connect if about_method(0x16) => [b"\x15\0\x01m", block].concat(),
            Auth if !about_method(0x15) => [b"\x15\0\x01m", block].concat(),
            _ => block.to_vec(),
        };
        let properties = [&[u8::try_from(block.len()).unwrap()], &block[..]].concat();
        let p = &properties[..];
        match self {
            Connect => (framed(0x10, &[b"\0\x04MQTT\x05\x02\0\0", p, b"\0\x01c"]), Sender::Client),
            Will => {
                let parts: &[&[u8]] = &[b"\0\x04MQTT\x05\x06\0\0\0\0\x01c", p, b"\0\x01w\0\0"];
                (framed(0x10, parts), Sender::Client)
            }
            ConnAck => (framed(0x20, &[b"\0\0", p]), Sender::Server),
            Publish => (framed(0x30, &[b"\0\x01a", p, b"payload"]), Sender::Server),
            PubAck => (framed(0x40, &[b"\0\x01\0", p]), Sender::Client),
            Subscribe => (framed(0x82, &[b"\0\x01", p, b"\0\x01f\0"]), Sender::Client),
            SubAck => (framed(0x90, &[b"\0\x01", p, b"\0"]), Sender::Server),
            Unsubscribe => (framed(0xa2, &[b"\0\x01", p, b"\0\x01f"]), Sender::Client),
            UnsubAck => (framed(0xb0, &[b"\0\x01", p, b"\0"]), Sender::Server),
            Disconnect => (framed(0xe0, &[b"\0", p]), Sender::Client),
            Auth => (framed(0xf0, &[b"\x18", p]), Sender::Client),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Will => "will",
            other => other.kind().name(),
        }
    }

    fn kind(self) -> PacketKind {
        match self {
            Connect | Will => Kind::Connect,
            ConnAck => Kind::ConnAck,
            Publish => Kind::Publish,
            PubAck => Kind::PubAck,
            Subscribe => Kind::Subscribe,
            SubAck => Kind::SubAck,
            Unsubscribe => Kind::Unsubscribe,
            UnsubAck => Kind::UnsubAck,
            Disconnect => Kind::Disconnect,
            Auth => Kind::Auth,
        }
    }
}

#[test]
fn every_property_is_read_where_table_2_4_allows_it_and_nowhere_else() {
    for (property, name, allowed) in TABLE {
        for place in PLACES {
            let (bytes, sender) = place.packet(property);
            let read = decode(&bytes, sender, Version::V5, MAX);
            if allowed.contains(&place) {
                let used = read.map(|packet| packet.map(|(_, used)| used));
                assert_eq!(used, Ok(Some(bytes.len())), "{name} in {place:?}");
            } else {
                let expected = Violation::PropertyNotAllowed { place: place.name(), property: name };
                assert_eq!(read, Err(expected), "{name} in {place:?}");
                assert_eq!(expected.reason(), ReasonCode::MalformedPacket);
            }
        }
    }
}

#[test]
fn no_property_comes_twice_but_user_properties_and_a_messages_subscription_identifiers() {
    for (property, name, allowed) in TABLE {
        for place in *allowed {
            let (bytes, sender) = place.packet(&[*property, property].concat());
            let read = decode(&bytes, sender, Version::V5, MAX);
            if *name == "user property" || (*name == "subscription identifier" && *place == Publish) {
                assert!(matches!(read, Ok(Some(_))), "{name} in {place:?}: {read:?}");
            } else {
                let expected = Violation::PropertyTwice { place: place.name(), property: name };
                assert_eq!(read, Err(expected), "{name} in {place:?}");
                assert_eq!(expected.reason(), ReasonCode::ProtocolError);
            }
        }
    }
}

#[test]
fn no_property_is_cut_by_the_end_of_its_block() {
    for (property, name, allowed) in TABLE {
        for place in *allowed {
            for end in 1..property.len() {
                let (bytes, sender) = place.packet(&property[..end]);
                let field = match (*name, end) {
                    ("user property", 1..=3) => "user property name",
                    ("user property", _) => "user property value",
                    (name, _) => name,
                };
                let expected = Violation::Truncated { packet: place.kind(), field };
                let read = decode(&bytes, sender, Version::V5, MAX);
                assert_eq!(read, Err(expected), "{end} bytes of {name} in {place:?}");
            }
        }
    }
}
