//! What a PUBLISH costs: decode and encode, this codec and rumqttc's, in one run and alternating, so that
//! both meet the same machine. `cargo bench --bench codec`

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::hint::black_box;

use bytes::{Buf, BytesMut};
use fleetsim::clock::thread_cpu;
use fleetsim::mqtt::{Packet, PacketId, Publish, PublishProperties, QoS, Sender, Version, decode, encode};
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;

const MAX_PACKET: usize = 128 * 1024;
/// Messages per buffer: about what one busy read brings.
const BATCH: u32 = 64;
/// Batches per round: some milliseconds, so that reading the clock costs nothing.
const BATCHES: u32 = 1000;
const ROUNDS: usize = 15;

fn main() {
    let topic = "$aws/commands/things/sensor-000042/executions/\
                 0b7e2c1e-7d0a-4f0e-9a3b-5b1f6a7c8d9e/request/json";
    let payload = [b'x'; 200];
    let (qos, id) = (QoS::AtLeastOnce, Some(PacketId::FIRST));
    let plain = Publish { qos, id, ..Publish::new(topic, &payload) };
    let (content_type, message_expiry_s) = (Some("application/json"), Some(60));
    let properties = PublishProperties { content_type, message_expiry_s, ..PublishProperties::NONE };
    let described = Publish { properties, ..plain };

    compare("MQTT 3.1.1", Version::V311, &plain, |stream, out| {
        let packet = v4::Packet::read(stream, MAX_PACKET).expect("a whole packet");
        packet.write(out, MAX_PACKET).expect("it was read");
    });
    let mqtt_5 = |stream: &mut BytesMut, out: &mut BytesMut| {
        let packet = v5::Packet::read(stream, None).expect("a whole packet");
        packet.write(out, None).expect("it was read");
    };
    compare("MQTT 5, no properties", Version::V5, &plain, mqtt_5);
    compare("MQTT 5, content type and expiry", Version::V5, &described, mqtt_5);
}

fn compare(
    name: &str,
    version: Version,
    message: &Publish<'_>,
    theirs_one: impl Fn(&mut BytesMut, &mut BytesMut),
) {
    let mut batch = Vec::new();
    for _ in 0..BATCH {
        encode::publish(&mut batch, version, message).expect("a message of ordinary size");
    }
    let (mut our_stream, mut our_out) = (Vec::new(), Vec::new());
    let (mut their_stream, mut their_out) = (BytesMut::new(), BytesMut::new());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(nanoseconds_each(|| our_batch(version, &batch, &mut our_stream, &mut our_out)));
        theirs.push(nanoseconds_each(|| {
            their_batch(&theirs_one, &batch, &mut their_stream, &mut their_out);
        }));
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!(
        "PUBLISH of {} bytes, {name}, decode + encode, median of {ROUNDS} rounds: ours {ours:.0} ns, \
         rumqttc {theirs:.0} ns, {:.1} times as fast",
        batch.len() / BATCH as usize,
        theirs / ours
    );
}

/// As on a connection: the bytes come into a buffer that is used again, and go out through another.
fn our_batch(version: Version, batch: &[u8], stream: &mut Vec<u8>, out: &mut Vec<u8>) {
    stream.clear();
    stream.extend_from_slice(batch);
    out.clear();
    let mut rest = &stream[..];
    while let Ok(Some((packet, used))) = decode(rest, Sender::Client, version, MAX_PACKET) {
        if let Packet::Publish(publish) = &packet {
            encode::publish(out, version, publish).expect("it was read");
        }
        rest = &rest[used..];
    }
    assert_eq!(black_box(out).len(), batch.len());
}

fn their_batch(
    one: &impl Fn(&mut BytesMut, &mut BytesMut),
    batch: &[u8],
    stream: &mut BytesMut,
    out: &mut BytesMut,
) {
    stream.extend_from_slice(batch);
    out.clear();
    while stream.has_remaining() {
        one(stream, out);
    }
    assert_eq!(black_box(out).len(), batch.len());
}

/// CPU time of this thread per message: other programs do not count.
fn nanoseconds_each(mut work: impl FnMut()) -> f64 {
    let begun = thread_cpu();
    for _ in 0..BATCHES {
        work();
    }
    thread_cpu().saturating_sub(begun).as_secs_f64() * 1e9 / f64::from(BATCHES * BATCH)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
