//! The page is asked as browsers ask: over a socket, one request a connection.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};

use super::*;
use crate::control::{Stop, Tempo};
use crate::report::{Environment, sample};
use crate::stats::Phase;

const FREE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

type Snapshots = watch::Sender<Option<Arc<Snapshot>>>;

fn run_environment() -> Environment {
    Environment { os: "linux".to_owned(), cpus: 2, fd_limit: 1_000, version: "0.0.0".to_owned() }
}

fn running() -> Running {
    let environment = run_environment();
    Running::new(Arc::new(sample::scenario()), 1, None, 1_795_000_000_123, environment)
}

fn start(first: Option<Snapshot>, permission: Option<Permission>) -> (Page, Snapshots) {
    let (sender, snapshots) = watch::channel(first.map(Arc::new));
    let patience = Duration::from_millis(200);
    let page = Page::start_with(FREE, running(), snapshots, permission, Router::new(), patience).unwrap();
    (page, sender)
}

/// A run that has come so far.
fn at(seconds: u64) -> Snapshot {
    let mut snapshot = sample::measuring();
    let all: Vec<_> = snapshot.series.iter().copied().collect();
    let pattern = all.into_iter().skip(4).cycle().zip(0..seconds);
    snapshot.series = pattern.map(|(second, number)| crate::stats::Second { number, ..second }).collect();
    snapshot
}

fn connect(page: &Page, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(page.server.address()).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

fn ask(page: &Page, line: &str, headers: &str, body: &str) -> (u16, String) {
    let host = page.server.address();
    let length = body.len();
    let mut stream = connect(
        page,
        &format!(
            "{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        ),
    );
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (answer[9..12].parse().unwrap(), answer)
}

fn get(page: &Page, path: &str) -> (u16, String) {
    ask(page, &format!("GET {path}"), "", "")
}

/// What a browser is sent.
struct Events(BufReader<TcpStream>);

struct Event {
    name: String,
    id: u64,
    data: serde_json::Value,
}

impl Events {
    fn open(page: &Page, query: &str, headers: &str) -> Self {
        let host = page.server.address();
        let request = format!("GET /events{query} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n");
        Self(BufReader::new(connect(page, &request)))
    }

    /// The next one; `None` at the end of the stream.
    fn next(&mut self) -> Option<Event> {
        let (mut name, mut id) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if let Some(rest) = line.strip_prefix("event: ") {
                name = rest.trim().to_owned();
            } else if let Some(rest) = line.strip_prefix("id: ") {
                id = rest.trim().parse().unwrap();
            } else if let Some(rest) = line.strip_prefix("data: ") {
                return Some(Event { name, id, data: serde_json::from_str(rest).unwrap() });
            }
        }
    }
}

impl Event {
    fn seconds(&self) -> Vec<u64> {
        let t = &self.data["charts"]["series"]["t"];
        t.as_array().unwrap().iter().map(|second| second.as_u64().unwrap()).collect()
    }
}

#[test]
fn the_page_is_the_report_of_a_run_that_goes_on() {
    let (page, _sender) = start(Some(at(30)), None);
    let (status, text) = get(&page, "/");
    assert_eq!(status, 200);
    assert!(text.contains("</span> RUNNING</p>") && text.contains("data-live"), "{text}");
    assert!(text.contains("connect-src 'self'") && text.contains("x-content-type-options: nosniff"));
    assert!(!text.contains("data-control"), "nobody may steer it");
    assert!(text.contains("<dt>begun</dt>") && !text.contains("exit code"), "there is none yet");
    assert_eq!(get(&page, "/favicon.ico").0, 404);
    let (status, text) = get(&page, "/healthz");
    assert!(status == 200 && text.contains("\"running\":true,\"browsers\":0"), "{text}");
}

#[test]
fn a_virtual_run_begins_on_its_own_clock_and_in_the_real_world() {
    let environment = run_environment();
    let running = Running::new(
        Arc::new(sample::scenario()),
        1,
        Some(1_577_836_800_000),
        1_795_000_000_123,
        environment,
    );
    let run = running.at(Arc::new(at(3))).result.run;
    assert_eq!((run.clock.as_str(), &run.start[..10]), ("virtual", "2020-01-01"));
    assert_eq!(&run.wall_clock.start[..4], "2026");
}

#[test]
fn the_newest_state_is_there_as_json() {
    let (page, sender) = start(Some(at(30)), None);
    let newest = |page: &Page| -> serde_json::Value {
        let (status, text) = get(page, "/api/snapshot");
        assert_eq!(status, 200);
        serde_json::from_str(text.split("\r\n\r\n").nth(1).unwrap()).unwrap()
    };
    let first = newest(&page);
    assert_eq!(
        (&first["run"]["verdict"], first["series"][0]["second"].as_u64()),
        (&"RUNNING".into(), Some(29))
    );
    assert!(first["spans"].as_array().is_some_and(|spans| !spans.is_empty()));
    sender.send_replace(Some(Arc::new(at(31))));
    assert_eq!(newest(&page)["series"][0]["second"], 30);
}

#[test]
fn a_browser_is_sent_what_it_lacks_and_nothing_twice() {
    let (page, sender) = start(Some(at(30)), None);
    let mut events = Events::open(&page, "", "");
    let first = events.next().unwrap();
    assert_eq!((first.name.as_str(), first.id), ("update", 29));
    assert_eq!(first.seconds(), (0..30).collect::<Vec<_>>());
    assert!(first.data["sections"]["verdict"].as_str().unwrap().contains("RUNNING"));
    assert!(first.data["sections"].get("scenario").is_none(), "it does not change");
    sender.send_replace(Some(Arc::new(at(33))));
    let second = events.next().unwrap();
    assert_eq!((second.id, second.seconds()), (32, vec![29, 30, 31, 32]));
    // A page that came with the first thirty seconds.
    assert_eq!(Events::open(&page, "?from=29", "").next().unwrap().seconds(), [29, 30, 31, 32]);
}

#[test]
fn a_browser_that_was_away_has_the_whole_history_again() {
    let (page, sender) = start(Some(at(30)), None);
    drop(Events::open(&page, "?from=12", "").next());
    sender.send_replace(Some(Arc::new(at(700))));
    let mut events = Events::open(&page, "?from=12", "Last-Event-ID: 29\r\n");
    assert_eq!(events.next().unwrap().seconds(), (29..700).collect::<Vec<_>>());
    // So long that points are two seconds wide by now: all of them are sent again.
    sender.send_replace(Some(Arc::new(at(1_200))));
    let wider = events.next().unwrap();
    assert_eq!(wider.data["charts"]["series"]["width"], 2);
    assert_eq!(wider.seconds(), (0..600).map(|point| 2 * point).collect::<Vec<_>>());
    assert!(wider.data["thinned"].as_str().unwrap().contains("2 seconds"));
    sender.send_replace(Some(Arc::new(at(1_202))));
    assert_eq!(events.next().unwrap().seconds(), [1_198, 1_200]);
    // Somebody who claims a future is sent everything.
    assert_eq!(Events::open(&page, "?from=99999", "").next().unwrap().seconds().len(), 601);
}

#[test]
fn the_end_is_the_report_and_then_nobody_answers() {
    let (page, sender) = start(Some(at(30)), None);
    let mut events = Events::open(&page, "", "");
    events.next().unwrap();
    let mut result = running().at(Arc::new(sample::done())).in_full();
    "FAILED".clone_into(&mut result.run.verdict);
    drop(sender);
    let address = page.server.address();
    assert_eq!(page.finish(result.clone()), Unserved { slow: 0, missed: 0 });
    let end = events.next().unwrap();
    assert_eq!(end.name, "end");
    assert!(end.data["sections"]["verdict"].as_str().unwrap().contains("FAILED"));
    assert!(end.data["sections"]["scenario"].as_str().unwrap().contains("exit code"), "known by now");
    assert_eq!(end.seconds().len(), result.series.len());
    assert!(events.next().is_none(), "the stream is over");
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn who_did_not_get_the_report_is_waited_for_and_counted() {
    let (page, _sender) = start(Some(at(3)), None);
    let place = events::Place::take(&page.shared).unwrap();
    let over = page.shared.over.subscribe();
    let leaver = std::thread::spawn(move || {
        while over.borrow().is_none() {
            std::thread::yield_now();
        }
        drop(place);
    });
    let result = running().at(Arc::new(sample::done())).in_full();
    assert_eq!(page.finish(result), Unserved { slow: 0, missed: 1 });
    leaver.join().unwrap();
}

#[test]
fn a_run_without_a_snapshot_is_waited_for() {
    let (page, sender) = start(None, None);
    let asked = std::thread::scope(|scope| {
        let asked = scope.spawn(|| get(&page, "/"));
        sender.send_replace(Some(Arc::new(sample::empty(Phase::Connect, 0))));
        asked.join().unwrap()
    });
    assert_eq!(asked.0, 200);
}

#[test]
fn other_sites_and_names_are_refused_wherever_they_ask() {
    let control = Control::default();
    let permission = Permission { control: control.clone(), token: "t0ken".to_owned() };
    let (page, _sender) = start(Some(at(3)), Some(permission));
    let token = "Authorization: Bearer t0ken\r\n";
    for path in ["GET /", "GET /events", "GET /api/snapshot", "GET /healthz", "POST /api/stop"] {
        let (status, text) = ask(&page, path, &format!("{token}Origin: http://evil.example\r\n"), "");
        assert_eq!(status, 403, "{path}: {text}");
        let mut stream = connect(
            &page,
            &format!("{path} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n{token}\r\n"),
        );
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 403"), "{path}: {answer}");
    }
    assert_eq!(control.stop(), Stop::No);
}

#[test]
fn who_knows_the_token_steers_and_nobody_else() {
    let control = Control::default();
    let permission = Permission { control: control.clone(), token: "t0ken".to_owned() };
    let (page, _sender) = start(Some(at(3)), Some(permission));
    assert!(get(&page, "/").1.contains("data-control"));
    for wrong in
        ["", "Authorization: Bearer t0keN\r\n", "Authorization: Bearer \r\n", "Authorization: t0ken\r\n"]
    {
        assert_eq!(ask(&page, "POST /api/pause", wrong, "").0, 401, "{wrong}");
    }
    assert_eq!(control.tempo(), Tempo::PLANNED);
    let post = |what: &str, body: &str| {
        ask(&page, &format!("POST /api/{what}"), "Authorization: Bearer t0ken\r\n", body)
    };
    assert!(
        post("pause", "").1.ends_with(r#"{"asked":"paused","paused":true,"rate_percent":100,"stop":"no"}"#)
    );
    assert_eq!((post("resume", "").0, control.tempo()), (200, Tempo::PLANNED));
    assert_eq!((post("rate", r#"{"percent":250}"#).0, control.tempo().rate_percent), (200, 250));
    assert_eq!((post("rate", r#"{"percent":100}"#).0, post("rate", r#"{"steps":1}"#).0), (200, 200));
    assert_eq!(control.tempo().rate_percent, 110);
    for body in ["", "{}", r#"{"percent":1,"steps":1}"#, r#"{"percent":-1}"#, "[]", r#"{"percent":1,"x":1}"#]
    {
        assert_eq!(post("rate", body).0, 400, "{body}");
    }
    assert_eq!(post("rate", &"x".repeat(5_000)).0, 413);
    assert_eq!(post("explode", "").0, 404);
    assert_eq!(get(&page, "/api/stop").0, 405);
    assert_eq!(control.stop(), Stop::No);
    assert_eq!((post("stop", "").0, control.stop()), (200, Stop::Drain));
}

#[test]
fn without_permission_there_is_nothing_to_steer_with() {
    let (page, _sender) = start(Some(at(3)), None);
    assert_eq!(ask(&page, "POST /api/stop", "Authorization: Bearer \r\n", "").0, 404);
}

#[test]
fn a_body_that_never_comes_keeps_no_connection() {
    let permission = Permission { control: Control::default(), token: "t0ken".to_owned() };
    for (permission, token, status) in [
        (None, "t0ken", "404"),
        (Some(permission.clone()), "wrong", "401"),
        (Some(permission), "t0ken", "408"),
    ] {
        let (page, _sender) = start(Some(at(3)), permission);
        let host = page.server.address();
        let mut stream = connect(
            &page,
            &format!(
                "POST /api/stop HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Length: 9\r\n\r\n{{"
            ),
        );
        // The end of the answer is the end of the connection: the rest of the body is not waited for.
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{token}: {answer}");
    }
}

#[test]
fn a_browser_that_takes_nothing_is_let_go_and_counted() {
    let (page, sender) = start(Some(at(900)), None);
    let deaf = Events::open(&page, "", "");
    let clock = Clock::start();
    let until = clock.now().plus(Duration::from_mins(1));
    // Updates until the buffers of the socket are full and patience is at its end.
    while page.shared.slow.load(Ordering::Relaxed) == 0 && clock.now() < until {
        sender.send_replace(Some(Arc::new(at(900))));
        std::thread::yield_now();
    }
    assert_eq!(page.shared.slow.load(Ordering::Relaxed), 1);
    assert!(get(&page, "/healthz").1.contains("\"slow_browsers\":1"), "others are served");
    drop(deaf);
}

#[test]
fn there_are_only_so_many_browsers() {
    let (page, _sender) = start(Some(at(3)), None);
    let mut all: Vec<Events> = (0..40).map(|_| Events::open(&page, "", "")).collect();
    assert!(all.iter_mut().all(|events| events.next().is_some()));
    assert_eq!(get(&page, "/events").0, 503);
    assert_eq!(get(&page, "/").0, 200, "there is a place left");
}
