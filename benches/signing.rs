//! What it costs to authorize a StartCommandExecution: with the scope alone, as the embedded backend gets it, and
//! with a signature; in one run and alternating, so that both meet the same machine. `cargo bench --bench signing`

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::hint::black_box;

use fleetsim::clock::{Clock, thread_cpu};
use fleetsim::driver::Authorization;
use fleetsim::protocol::Service;
use fleetsim::scenario::Credentials;
use hyper::Method;
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue};

/// Requests per round: some milliseconds, so that reading the clock costs nothing.
const BATCH: u32 = 1000;
const ROUNDS: usize = 15;

fn main() {
    let clock = Clock::start();
    let credentials = Credentials {
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
        session_token: None,
    };
    let scope = Authorization::new(None, "us-east-1", clock);
    let signature = Authorization::new(Some(&credentials), "us-east-1", clock);
    let body = br#"{"targetArn":"arn:aws:iot:us-east-1:123456789012:thing/sensor-000042","commandArn":"arn:aws:iot:us-east-1:123456789012:command/reboot","executionTimeoutSeconds":10,"clientToken":"0b7e2c1e-7d0a-4f0e-9a3b-5b1f6a7c8d9e"}"#;
    let (mut scopes, mut signatures) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        scopes.push(nanoseconds_each(&scope, body));
        signatures.push(nanoseconds_each(&signature, body));
    }
    println!(
        "StartCommandExecution, body of {} bytes, CPU per request (median of {ROUNDS} rounds of {BATCH})",
        body.len()
    );
    println!("  scope alone  {:>7} ns", median(scopes));
    println!("  signed       {:>7} ns", median(signatures));
}

fn nanoseconds_each(authorization: &Authorization, body: &[u8]) -> u128 {
    let begun = thread_cpu();
    for _ in 0..BATCH {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("data.jobs.iot.us-east-1.amazonaws.com"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        authorization
            .add(Service::JobsData, &Method::POST, "/command-executions", &mut headers, body)
            .expect("plain headers");
        black_box(headers);
    }
    thread_cpu().saturating_sub(begun).as_nanos() / u128::from(BATCH)
}

fn median(mut figures: Vec<u128>) -> u128 {
    figures.sort_unstable();
    figures[figures.len() / 2]
}
