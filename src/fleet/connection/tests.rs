//! A device subscribes unless it knows that its session already has.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::mqtt::encode;
use crate::pipe::{self, End};

/// Plays the broker of one connect: CONNACK, and the SUBACK `codes` if it is asked. Says whether it was.
async fn broker(mut stream: End, session_present: bool, codes: [u8; 3]) -> bool {
    let mut out = Vec::new();
    let connack = ConnAck { session_present, ..ConnAck::new(ReasonCode::Success) };
    encode::connack(&mut out, Version::V311, &connack).unwrap();
    stream.write_all(&out).await.unwrap();
    let (mut read, mut subscribed) = (Vec::new(), false);
    while stream.read_buf(&mut read).await.unwrap() > 0 {
        while let Some((packet, size)) =
            mqtt::decode(&read, Sender::Client, Version::V311, MAX_PACKET).unwrap()
        {
            if matches!(packet, Packet::Subscribe(_)) {
                subscribed = true;
                stream.write_all(&[&[0x90, 5, 0, 1], codes.as_slice()].concat()).await.unwrap();
            }
            read.drain(..size);
        }
    }
    subscribed
}

#[tokio::test(start_paused = true)]
async fn a_device_subscribes_unless_it_knows_that_its_session_has() {
    let (granted, refused) = ([1, 1, 1], [1, 0x80, 1]);
    for (knows, session_present, codes, asks, knows_then) in [
        (false, false, granted, true, true),
        (true, true, granted, false, true),
        (true, false, granted, true, true),
        // The connection before ended between CONNACK and SUBACK, or the SUBACK refused a filter.
        (false, true, granted, true, true),
        (false, true, refused, true, false),
        (true, false, refused, true, false),
    ] {
        let (device, server) = pipe::pair(4096);
        let is_subscribed = Cell::new(knows);
        let hello = Hello {
            version: Version::V311,
            client_id: "d",
            target: (TargetKind::Thing, "d"),
            auth: None,
            clean_session: false,
            keep_alive_s: 60,
        };
        let connects = async {
            // The stream ends with the connection, and the broker with it.
            subscribe(device, hello, &is_subscribed).await.is_ok()
        };
        let (connected, asked) = tokio::join!(connects, broker(server, session_present, codes));
        let case = format!("knows {knows}, session present {session_present}, {codes:?}");
        assert_eq!((asked, is_subscribed.get()), (asks, knows_then), "{case}");
        assert_eq!(connected, codes == granted, "{case}");
    }
}

/// Plays a broker that takes two packets, CONNECT and SUBSCRIBE, and returns their bytes.
async fn listens(mut stream: End) -> Vec<u8> {
    let mut out = Vec::new();
    encode::connack(&mut out, Version::V311, &ConnAck::new(ReasonCode::Success)).unwrap();
    stream.write_all(&out).await.unwrap();
    let (mut read, mut granted) = (Vec::new(), false);
    while stream.read_buf(&mut read).await.unwrap() > 0 {
        // The filter for rejected replies is the last.
        if !granted && read.ends_with(b"rejected/#\x01") {
            granted = true;
            stream.write_all(&[0x90, 5, 0, 1, 1, 1, 1]).await.unwrap();
        }
    }
    read
}

#[tokio::test(start_paused = true)]
async fn a_device_says_who_it_is_and_subscribes_as_what_commands_go_to() {
    let auth = Auth { username: "fleet".to_owned(), password: Some("pass".to_owned()) };
    let (device, server) = pipe::pair(4096);
    let hello = Hello {
        version: Version::V311,
        client_id: "d",
        target: (TargetKind::Client, "other"),
        auth: Some(&auth),
        clean_session: true,
        keep_alive_s: 60,
    };
    let is_subscribed = Cell::new(false);
    let connects = async { subscribe(device, hello, &is_subscribed).await.is_ok() };
    let (connected, read) = tokio::join!(connects, listens(server));
    assert!(connected);
    let (packet, size) = mqtt::decode(&read, Sender::Client, Version::V311, MAX_PACKET).unwrap().unwrap();
    let Packet::Connect(connect) = packet else { panic!("{packet:?}") };
    assert_eq!((connect.username, connect.password), (Some("fleet"), Some(&b"pass"[..])));
    let rest = String::from_utf8_lossy(&read[size..]);
    assert!(rest.contains("$aws/commands/clients/other/executions/+/request/#"), "{rest}");
    assert!(!format!("{auth:?}").contains("pass\""), "a password is not for logs: {auth:?}");
}
