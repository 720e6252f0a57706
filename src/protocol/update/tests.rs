//! Updates as devices of several makes write them, and their replies.

use super::*;
use proptest::prelude::*;

fn read(json: &str) -> Result<Update, UpdateErrorCode> {
    Update::from_json(json.as_bytes()).map_err(|error| error.code)
}

#[expect(clippy::unnecessary_wraps, reason = "it is a member's value")]
fn result<const N: usize>(entries: [(&str, ResultValue); N]) -> Option<BTreeMap<String, ResultValue>> {
    Some(entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

#[test]
fn updates_are_read_as_devices_write_them() {
    let bytes = || ResultValue::Bin(vec![0, 255]);
    let done = Update::bare(Status::Succeeded);
    for (json, update) in [
        (r#"{"status":"IN_PROGRESS"}"#, Update::bare(Status::InProgress)),
        (r#" { "status" : "TIMED_OUT" } "#, Update::bare(Status::TimedOut)),
        (r#"{"status":"SUCCE\u0045DED"}"#, done.clone()),
        (
            r#"{"deviceType":"THING","deviceId":"t","executionId":"e","timestamp":1,"status":"REJECTED"}"#,
            Update::bare(Status::Rejected),
        ),
        (r#"{"status":"SUCCEEDED","statusReason":null,"result":null,"clientToken":null}"#, done.clone()),
        (
            r#"{"status":"FAILED","statusReason":{"reasonCode":"E-1_X","reasonDescription":"zu heiß"}}"#,
            Update {
                reason: Some(StatusReason { code: "E-1_X".into(), description: Some("zu heiß".into()) }),
                ..Update::bare(Status::Failed)
            },
        ),
        (
            r#"{"status":"SUCCEEDED","result":{"k":{"s":"v"},"f":{"b":true},"x":{"bin":"AP8="}},"clientToken":"t"}"#,
            Update {
                result: result([
                    ("k", ResultValue::S("v".into())),
                    ("f", ResultValue::B(true)),
                    ("x", bytes()),
                ]),
                client_token: Some("t".into()),
                ..done.clone()
            },
        ),
        (
            r#"{"status":"SUCCEEDED","result":{"k":{"S":"v"},"f":{"B":false},"x":{"BIN":"AP8="}}}"#,
            Update {
                result: result([
                    ("k", ResultValue::S("v".into())),
                    ("f", ResultValue::B(false)),
                    ("x", bytes()),
                ]),
                ..done.clone()
            },
        ),
        (
            r#"{"status":"SUCCEEDED","result":{"x":{"bin":[0,-1]},"y":{"bin":[0,255]}}}"#,
            Update { result: result([("x", bytes()), ("y", bytes())]), ..done.clone() },
        ),
    ] {
        assert_eq!(read(json).as_ref(), Ok(&update), "{json}");
    }
}

#[test]
fn what_is_no_json_and_what_is_no_update_are_told_apart() {
    use UpdateErrorCode::{InvalidJson, InvalidRequest};
    let result = |result: &str| format!(r#"{{"status":"SUCCEEDED","result":{result}}}"#);
    let reason = |reason: &str| format!(r#"{{"status":"FAILED","statusReason":{reason}}}"#);
    for (json, code) in [
        (String::new(), InvalidJson),
        ("hello".into(), InvalidJson),
        (r#"{"status":"IN_PROGRESS""#.into(), InvalidJson),
        (r#"{"status":"IN_PROGRESS"} x"#.into(), InvalidJson),
        (r#"{"status":5, oops"#.into(), InvalidJson),
        ("[".repeat(100_000), InvalidJson),
        ("{}".into(), InvalidRequest),
        ("[]".into(), InvalidRequest),
        (r#"["IN_PROGRESS"]"#.into(), InvalidRequest),
        (r#""IN_PROGRESS""#.into(), InvalidRequest),
        ("null".into(), InvalidRequest),
        (r#"{"status":null}"#.into(), InvalidRequest),
        (r#"{"status":5}"#.into(), InvalidRequest),
        (r#"{"status":"BOGUS"}"#.into(), InvalidRequest),
        (r#"{"status":"CREATED"}"#.into(), InvalidRequest),
        (r#"{"status":"succeeded"}"#.into(), InvalidRequest),
        (r#"{"status":"FAILED","status":"FAILED"}"#.into(), InvalidRequest),
        (r#"{"status":"FAILED","clientToken":7}"#.into(), InvalidRequest),
        (result("{}"), InvalidRequest),
        (result("[]"), InvalidRequest),
        (result(r#"{"k":"v"}"#), InvalidRequest),
        (result(r#"{"k":{}}"#), InvalidRequest),
        (result(r#"{"k":{"x":"v"}}"#), InvalidRequest),
        (result(r#"{"k":{"s":"v","b":true}}"#), InvalidRequest),
        (result(r#"{"k":{"s":"v","S":"v"}}"#), InvalidRequest),
        (result(r#"{"k":{"s":""}}"#), InvalidRequest),
        (result(r#"{"k":{"s":1}}"#), InvalidRequest),
        (result(r#"{"k":{"b":"true"}}"#), InvalidRequest),
        (result(r#"{"k":{"bin":""}}"#), InvalidRequest),
        (result(r#"{"k":{"bin":[]}}"#), InvalidRequest),
        (result(r#"{"k":{"bin":[256]}}"#), InvalidRequest),
        (result(r#"{"k":{"bin":[-129]}}"#), InvalidRequest),
        (result(r#"{"k":{"bin":"not base64"}}"#), InvalidRequest),
        (result(r#"{"":{"s":"v"}}"#), InvalidRequest),
        (result(r#"{"a b":{"s":"v"}}"#), InvalidRequest),
        (result(&format!(r#"{{"{}":{{"s":"v"}}}}"#, "k".repeat(33))), InvalidRequest),
        (reason("{}"), InvalidRequest),
        (reason(r#"["CODE"]"#), InvalidRequest),
        (reason(r#"{"reasonCode":""}"#), InvalidRequest),
        (reason(r#"{"reasonCode":"lower case"}"#), InvalidRequest),
        (reason(r#"{"reasonCode":"$NO_RESPONSE_FROM_DEVICE"}"#), InvalidRequest),
        (reason(&format!(r#"{{"reasonCode":"{}"}}"#, "X".repeat(65))), InvalidRequest),
        (reason(r#"{"reasonCode":"X","reasonDescription":"two\nlines"}"#), InvalidRequest),
        (
            reason(&format!(r#"{{"reasonCode":"X","reasonDescription":"{}"}}"#, "x".repeat(1025))),
            InvalidRequest,
        ),
    ] {
        let shown: String = json.chars().take(100).collect();
        assert_eq!(read(&json), Err(code), "{shown}");
    }
    assert_eq!(Update::from_json(b"{\"status\":\"\xff\"}").unwrap_err().code, InvalidJson);
}

#[test]
fn a_refusal_still_knows_the_client_token() {
    for json in [
        r#"{"status":"BOGUS","clientToken":"t"}"#,
        r#"{"status":5,"clientToken":"t"}"#,
        r#"{"clientToken":"t","result":{}}"#,
    ] {
        let error = Update::from_json(json.as_bytes()).unwrap_err();
        assert_eq!(error.client_token.as_deref(), Some("t"), "{json}");
    }
}

#[test]
fn a_plain_update_is_written_plainly() {
    let mut out = b"before ".to_vec();
    Update::bare(Status::InProgress).write_json(&mut out);
    assert_eq!(out, br#"before {"status":"IN_PROGRESS"}"#);
}

#[test]
fn replies_are_written_and_read() {
    let id: ExecutionId = "07e4b780-7eca-4ffd-b772-b76358da5542".parse().unwrap();
    let check_accepted = |client_token: Option<&str>, json: &str| {
        let accepted = Accepted { execution_id: id.clone(), client_token: client_token.map(str::to_owned) };
        let mut out = Vec::new();
        accepted.write_json(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), json);
        assert_eq!(Accepted::from_json(json.as_bytes()).unwrap(), accepted);
    };
    check_accepted(None, r#"{"executionId":"07e4b780-7eca-4ffd-b772-b76358da5542"}"#);
    check_accepted(
        Some("\"t"),
        r#"{"executionId":"07e4b780-7eca-4ffd-b772-b76358da5542","clientToken":"\"t"}"#,
    );

    let rejected = Rejected {
        error: UpdateErrorCode::TerminalStateReached.name().into(),
        message: "over".into(),
        execution_id: Some(id.clone()),
        client_token: None,
    };
    let json = r#"{"error":"TerminalStateReached","errorMessage":"over","executionId":"07e4b780-7eca-4ffd-b772-b76358da5542"}"#;
    let mut out = Vec::new();
    rejected.write_json(&mut out);
    assert_eq!(String::from_utf8(out).unwrap(), json);
    assert_eq!(Rejected::from_json(json.as_bytes()).unwrap(), rejected);

    assert_eq!(Rejected::from_json(br#"{"error":"New"}"#).unwrap().message, "");
    for json in ["", "[]", "{}", r#"{"executionId":"a b"}"#] {
        assert!(Accepted::from_json(json.as_bytes()).is_err(), "{json}");
    }
}

#[test]
fn codes_are_read_back() {
    for code in UpdateErrorCode::ALL {
        assert_eq!(UpdateErrorCode::from_name(code.name()), Some(code));
    }
    assert_eq!(UpdateErrorCode::from_name("Other"), None);
}

fn any_update() -> impl Strategy<Value = Update> {
    let status = prop::sample::select(&Status::ALL[1..]);
    let reason = ("[A-Z0-9_-]{1,64}", prop::option::of("[a-zäöü \"\\\\]{0,40}"))
        .prop_map(|(code, description)| StatusReason { code, description });
    let value = prop_oneof![
        "[ -~ü]{1,20}".prop_map(ResultValue::S),
        any::<bool>().prop_map(ResultValue::B),
        prop::collection::vec(any::<u8>(), 1..20).prop_map(ResultValue::Bin),
    ];
    let result = prop::collection::btree_map("[a-zA-Z0-9_-]{1,32}", value, 1..5);
    (status, prop::option::of(reason), prop::option::of(result), prop::option::of("\\PC{0,20}"))
        .prop_map(|(status, reason, result, client_token)| Update { status, reason, result, client_token })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(update in any_update()) {
        let mut out = Vec::new();
        update.write_json(&mut out);
        prop_assert_eq!(Update::from_json(&out), Ok(update));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
        let _ = Update::from_json(&bytes);
        let _ = Accepted::from_json(&bytes);
        let _ = Rejected::from_json(&bytes);
    }
}

#[test]
fn an_update_says_the_same_in_cbor_and_in_json() {
    let full = Update {
        status: Status::Failed,
        reason: Some(StatusReason { code: "E-1".into(), description: Some("größer".into()) }),
        result: Some(BTreeMap::from([
            ("k".to_owned(), ResultValue::S("v".into())),
            ("f".to_owned(), ResultValue::B(true)),
            ("x".to_owned(), ResultValue::Bin(vec![0, 255])),
        ])),
        client_token: Some("t-1".into()),
    };
    for update in [full, Update::bare(Status::InProgress)] {
        let (mut json, mut binary) = (Vec::new(), Vec::new());
        update.write_json(&mut json);
        update.write_cbor(&mut binary);
        assert_eq!(Update::from_json(&json).unwrap(), update);
        assert_eq!(Update::from_cbor(&binary).unwrap(), update);
        let item = Item::read(&binary).unwrap();
        assert_eq!(
            serde_json::to_value(&item).unwrap(),
            serde_json::from_slice::<serde_json::Value>(&json).unwrap()
        );
    }
}

/// What a small encoder on a device may write: upper case, indefinite lengths, base64 for bytes, more members.
#[test]
fn cbor_from_other_encoders_is_taken() {
    for json in [
        r#"{"status":"SUCCEEDED","result":{"k":{"S":"v"}},"executionId":"e","timestamp":1}"#,
        r#"{"status":"SUCCEEDED","result":{"k":{"bin":"AP8="}},"statusReason":null}"#,
    ] {
        let value: serde_json::Value = serde_json::from_str(json).unwrap();
        let update = Update::from_cbor(&crate::protocol::json_as_cbor(&value)).unwrap();
        assert_eq!(update, Update::from_json(json.as_bytes()).unwrap());
    }
    // {_ "status": (_ "SUC", "CEEDED"), 0: 1}
    let bytes = b"\xbf\x66status\x7f\x63SUC\x66CEEDED\xff\x00\x01\xff";
    assert_eq!(Update::from_cbor(bytes).unwrap(), Update::bare(Status::Succeeded));
}

#[test]
fn wrong_cbor_is_an_invalid_request_with_its_token() {
    for (json, token) in [
        (r#"{"status":"BOGUS","clientToken":"t"}"#, Some("t")),
        (r#"{"status":1,"clientToken":"t"}"#, Some("t")),
        (r#"{"status":"FAILED","result":{}}"#, None),
        (r#"["SUCCEEDED"]"#, None),
    ] {
        let value: serde_json::Value = serde_json::from_str(json).unwrap();
        let error = Update::from_cbor(&crate::protocol::json_as_cbor(&value)).unwrap_err();
        assert_eq!(
            (error.code, error.client_token.as_deref()),
            (UpdateErrorCode::InvalidRequest, token),
            "{json}"
        );
    }
    for bytes in [&b""[..], b"{\"status\":\"SUCCEEDED\"}", b"\xff"] {
        assert_eq!(Update::from_cbor(bytes).unwrap_err().code, UpdateErrorCode::InvalidRequest, "{bytes:?}");
    }
}

#[test]
fn replies_are_read_back_from_cbor() {
    let id: ExecutionId = "e-1".parse().unwrap();
    let accepted = Accepted { execution_id: id.clone(), client_token: Some("t".into()) };
    let rejected = Rejected {
        error: "InvalidRequest".into(),
        message: "no".into(),
        execution_id: Some(id),
        client_token: None,
    };
    let (mut out, mut other) = (Vec::new(), Vec::new());
    accepted.write_cbor(&mut out);
    assert_eq!(Accepted::from_cbor(&out).unwrap(), accepted);
    rejected.write_cbor(&mut other);
    assert_eq!(Rejected::from_cbor(&other).unwrap(), rejected);
    assert!(Accepted::from_cbor(&other).is_ok(), "members that nobody knows are ignored");
    assert!(Rejected::from_cbor(&out).is_err());
}
