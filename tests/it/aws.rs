//! The way to AWS, against a stub of ours on a loopback port: AWS_ENDPOINT_URL, the variable of all AWS tools, leads
//! there. No test touches the network.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::thread;

use fleetsim::scenario::{Variables, parse};
use parking_lot::Mutex;

use crate::signatures::{KEY_ID, Request, SECRET, message};

/// What a stub was asked: method, path and query, signing name; in order.
type Asked = Arc<Mutex<Vec<String>>>;

/// Answers GetCallerIdentity and DescribeEndpoint as an account of that number would.
fn stub(account: &'static str) -> (SocketAddr, Asked) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Asked::default();
    let seen = Arc::clone(&asked);
    // Ends with the process.
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let seen = Arc::clone(&seen);
            thread::spawn(move || serve(stream, account, &seen));
        }
    });
    (address, asked)
}

fn serve(mut stream: TcpStream, account: &str, seen: &Mutex<Vec<String>>) -> Option<()> {
    use std::io::Write as _;
    let mut pending = Vec::new();
    loop {
        let (head, body) = message(&mut stream, &mut pending)?;
        let request = Request::read(&head, body);
        let name = request.authorization("Credential").split('/').nth(3).unwrap().to_owned();
        let Request { method, path, query, .. } = &request;
        seen.lock().push(format!("{name} {method} {path} {query}"));
        let sound = request.signature(SECRET) == request.authorization("Signature");
        let (status, kind, body) = match (name.as_str(), query.as_str()) {
            ("sts", _) if !sound => ("403 Forbidden", "text/xml", refusal()),
            _ if !sound => {
                ("403 Forbidden", "application/json", r#"{"message":"no such signature"}"#.to_owned())
            }
            ("sts", _) => ("200 OK", "text/xml", identity(account)),
            ("iot", "endpointType=iot%3AData-ATS") => {
                ("200 OK", "application/json", r#"{"endpointAddress":"stub-ats.iot.example.com"}"#.to_owned())
            }
            ("iot", "endpointType=iot%3AJobs") => (
                "200 OK",
                "application/json",
                r#"{"endpointAddress":"stub.jobs.iot.example.com"}"#.to_owned(),
            ),
            _ => ("404 Not Found", "application/json", r#"{"message":"what?"}"#.to_owned()),
        };
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).ok()?;
    }
}

fn identity(account: &str) -> String {
    format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>arn:aws:iam::{account}:user/stub</Arn><UserId>AIDAEXAMPLE</UserId><Account>{account}</Account>\
         </GetCallerIdentityResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata>\
         </GetCallerIdentityResponse>"
    )
}

fn refusal() -> String {
    "<ErrorResponse><Error><Type>Sender</Type><Code>SignatureDoesNotMatch</Code><Message>Not that one</Message>\
     </Error><RequestId>1</RequestId></ErrorResponse>"
        .to_owned()
}

/// Ten devices, an execution for each: fifty messages.
fn scenario(folder: &Path, target: &str) -> String {
    let path = folder.join("aws.yaml");
    let text = format!(
        "version: 1\nname: to-aws\nseed: 1\ntarget: {{ aws: {{ {target} }} }}\n\
         groups: {{ g: {{ count: 10, behavior: {{ delay: 1s }} }} }}\n\
         workloads:\n  w: {{ command: {{ name: c }}, load: {{ once: {{}} }} }}\n"
    );
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Runs the program with nothing of this machine's AWS configuration, and with `environment`.
fn fleetsim(home: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let output: Output = command(home, arguments).envs(environment.iter().copied()).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    println!("{said}");
    assert!(!said.contains(SECRET), "the secret is in the output");
    (output.status.code(), said)
}

fn command(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleetsim"));
    let inherited = std::env::vars().map(|(name, _)| name);
    for name in inherited.filter(|name| name.starts_with("AWS_") || name.to_lowercase().ends_with("_proxy")) {
        command.env_remove(name);
    }
    command.args(arguments).env("NO_COLOR", "1").env("HOME", home).env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

fn with_keys<'a>(url: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let keys = [("AWS_ACCESS_KEY_ID", KEY_ID), ("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_ENDPOINT_URL", url)];
    keys.into_iter().chain(more.iter().copied()).collect()
}

#[test]
fn without_consent_the_estimate_and_the_command_are_printed_and_nothing_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (address, asked) = stub("123456789012");
    let url = format!("http://{address}");
    let path = scenario(folder.path(), "max_messages: 50");
    let (code, said) = fleetsim(folder.path(), &["run", &path], &with_keys(&url, &[]));
    assert_eq!(code, Some(77));
    assert!(said.contains("about 50 messages over MQTT"), "{said}");
    assert!(said.contains(&format!("fleetsim run {path} --yes-aws")), "{said}");
    // To check a scenario is no run: it says what one would need, and asks nobody.
    let (code, said) = fleetsim(folder.path(), &["check", &path], &with_keys(&url, &[]));
    assert_eq!(code, Some(0));
    assert!(said.contains("about 50 messages over MQTT"), "{said}");
    assert_eq!(*asked.lock(), Vec::<String>::new());
}

#[test]
fn a_run_that_needs_more_messages_than_allowed_is_refused_by_check_and_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = scenario(folder.path(), "max_messages: 49");
    for arguments in
        [&["run", &path, "--yes-aws"][..], &["check", &path], &["check", &path, "--format", "json"]]
    {
        let (code, said) = fleetsim(folder.path(), arguments, &[]);
        assert_eq!(code, Some(65));
        assert!(said.contains("about 50 messages, and `target.aws.max_messages` allows 49"), "{said}");
    }
}

#[cfg(feature = "aws")]
#[test]
fn the_way_ends_where_tls_begins_and_says_what_was_found() {
    let folder = tempfile::tempdir().unwrap();
    let (address, asked) = stub("123456789012");
    let url = format!("http://{address}");
    let path = scenario(folder.path(), "max_messages: 50, account: \"123456789012\"");
    let keys = with_keys(&url, &[("AWS_REGION", "eu-west-1")]);
    let (code, said) = fleetsim(folder.path(), &["run", &path, "--yes-aws"], &keys);
    assert_eq!(code, Some(69));
    for part in
        ["account 123456789012", "eu-west-1", "stub-ats.iot.example.com", "stub.jobs.iot.example.com", "TLS"]
    {
        assert!(said.contains(part), "{part} is not in: {said}");
    }
    let expected = [
        "sts POST / ",
        "iot GET /endpoint endpointType=iot%3AData-ATS",
        "iot GET /endpoint endpointType=iot%3AJobs",
    ];
    assert_eq!(*asked.lock(), expected);
}

#[cfg(feature = "aws")]
#[test]
fn credentials_of_another_account_end_it() {
    let folder = tempfile::tempdir().unwrap();
    let (address, asked) = stub("999999999999");
    let url = format!("http://{address}");
    let path = scenario(folder.path(), "max_messages: 50, region: eu-west-1, account: \"123456789012\"");
    // Consent by the environment is consent, too.
    let keys = with_keys(&url, &[("FLEETSIM_YES_AWS", "1")]);
    let (code, said) = fleetsim(folder.path(), &["run", &path], &keys);
    assert_eq!(code, Some(77));
    for part in ["999999999999", "`target.aws.account` is 123456789012", "user/stub"] {
        assert!(said.contains(part), "{part} is not in: {said}");
    }
    assert_eq!(asked.lock().len(), 1);
}

#[cfg(feature = "aws")]
#[test]
fn what_the_environment_lacks_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = scenario(folder.path(), "max_messages: 50, region: eu-west-1");
    let (code, said) = fleetsim(folder.path(), &["run", &path, "--yes-aws"], &[]);
    assert_eq!(code, Some(77));
    assert!(said.contains("no AWS credentials") && said.contains("aws configure"), "{said}");
    let path = scenario(folder.path(), "max_messages: 50");
    let (code, said) =
        fleetsim(folder.path(), &["run", &path, "--yes-aws"], &with_keys("http://127.0.0.1:9", &[]));
    assert_eq!(code, Some(77));
    assert!(said.contains("`target.aws.region`") && said.contains("AWS_REGION"), "{said}");
}

#[cfg(feature = "aws")]
#[test]
fn a_wrong_secret_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (address, _) = stub("123456789012");
    let url = format!("http://{address}");
    let path = scenario(folder.path(), "max_messages: 50, region: eu-west-1");
    let keys =
        [("AWS_ACCESS_KEY_ID", KEY_ID), ("AWS_SECRET_ACCESS_KEY", "wrong"), ("AWS_ENDPOINT_URL", &url)];
    let (code, said) = fleetsim(folder.path(), &["run", &path, "--yes-aws"], &keys);
    assert_eq!(code, Some(77));
    assert!(
        said.contains("AWS refuses sts:GetCallerIdentity: SignatureDoesNotMatch: Not that one"),
        "{said}"
    );
}

#[cfg(feature = "aws")]
#[test]
fn an_endpoint_with_a_path_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (address, asked) = stub("123456789012");
    let url = format!("http://{address}/prefix");
    let path = scenario(folder.path(), "max_messages: 50, region: eu-west-1");
    let (code, said) = fleetsim(folder.path(), &["run", &path, "--yes-aws"], &with_keys(&url, &[]));
    assert_eq!(code, Some(69));
    assert!(said.contains("AWS_ENDPOINT_URL") && said.contains("a path, /prefix"), "{said}");
    assert_eq!(*asked.lock(), Vec::<String>::new());
}

/// The keys come from a program that does not end, and the user loses patience.
#[cfg(feature = "aws")]
#[test]
fn ctrl_c_is_heard_while_credentials_are_waited_for() {
    use rustix::process::{Pid, Signal, kill_process};
    let folder = tempfile::tempdir().unwrap();
    let (home, asked) = (folder.path(), folder.path().join("asked"));
    fs::create_dir(home.join(".aws")).unwrap();
    let script = home.join("keys.sh");
    fs::write(&script, format!("touch {}\nexec sleep 30 2>/dev/null\n", asked.display())).unwrap();
    let config = format!("[default]\ncredential_process = sh {}\n", script.display());
    fs::write(home.join(".aws/config"), config).unwrap();
    let path = scenario(home, "max_messages: 50, region: eu-west-1");
    let mut run = command(home, &["run", &path, "--yes-aws", "-q"]).spawn().unwrap();
    while !asked.exists() {
        assert_eq!(run.try_wait().unwrap(), None, "it waits for the keys");
        thread::yield_now();
    }
    kill_process(Pid::from_child(&run), Signal::INT).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(i32::from(fleetsim::exit::Exit::Stopped.code())));
}

#[test]
fn a_resolved_scenario_is_the_same_scenario_and_connects_with_care() {
    let folder = tempfile::tempdir().unwrap();
    let path = scenario(
        folder.path(),
        "max_messages: 50, endpoint: a-ats.iot.eu-west-1.amazonaws.com, region: eu-west-1, account: \"000000000001\"",
    );
    let text = fs::read_to_string(path).unwrap();
    let read = |text: &str| {
        parse("aws.yaml", text, &Variables::default()).unwrap_or_else(|problems| panic!("{problems}"))
    };
    let scenario = read(&text);
    let resolved = scenario.resolved();
    assert_eq!(read(&resolved.to_string()), scenario);
    assert_eq!(resolved["groups"]["g"]["connect"]["rate"], "100/s");
    assert_eq!((scenario.target.region(), scenario.target.account()), ("eu-west-1", "000000000001"));
}
