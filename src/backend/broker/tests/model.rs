//! One subscriber that comes and goes at random, against a model of what it is owed.
//!
//! Every QoS 1 message that its session has taken is delivered at least once, unless it expired or the
//! session ended; never twice without DUP in one session; the first time in the order of publication; never
//! after its time; and never more at a time than the client's receive maximum.

use proptest::prelude::*;

use super::*;
use crate::clock::Instant;

#[derive(Debug, Clone, Copy)]
enum Step {
    Connect {
        v5: bool,
        clean_start: bool,
        expiry_s: u32,
        window: u16,
    },
    Vanish,
    Leave,
    Publish {
        lifetime_s: Option<u64>,
    },
    /// Acknowledges as many of the oldest.
    Acknowledge(usize),
    Wait {
        seconds: u32,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let expiry_s = prop_oneof![Just(0), 1u32..12, Just(u32::MAX)];
    let connect = (any::<bool>(), prop::bool::weighted(0.2), expiry_s, 1u16..4);
    prop_oneof![
        3 => connect.prop_map(|(v5, clean_start, expiry_s, window)| Step::Connect {
            v5, clean_start, expiry_s, window,
        }),
        2 => Just(Step::Vanish),
        1 => Just(Step::Leave),
        8 => prop::option::of(1u64..8).prop_map(|lifetime_s| Step::Publish { lifetime_s }),
        5 => (1usize..4).prop_map(Step::Acknowledge),
        3 => (0u32..6).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

/// A message that a session has taken.
#[derive(Debug)]
struct Owed {
    number: u32,
    /// Which of the client's sessions took it.
    session: u32,
    expires_at: Option<Instant>,
    deliveries: u32,
}

#[derive(Debug)]
struct Session {
    number: u32,
    expiry_s: u32,
    /// Set while the client is away.
    ends_at: Option<Instant>,
}

/// The broker with its one client, and what should be true of both.
struct Both {
    host: Arc<Router>,
    client: Option<Client>,
    window: usize,
    session: Option<Session>,
    sessions: u32,
    published: u32,
    owed: Vec<Owed>,
    /// Received on this connection and not acknowledged, by packet identifier.
    unacknowledged: Vec<u16>,
    /// The last message that came for the first time in this session.
    newest: Option<u32>,
}

impl Both {
    fn new() -> Self {
        Self {
            host: Router::new(),
            client: None,
            window: 0,
            session: None,
            sessions: 0,
            published: 0,
            owed: Vec::new(),
            unacknowledged: Vec::new(),
            newest: None,
        }
    }

    async fn apply(&mut self, step: Step) {
        match step {
            Step::Connect { v5, clean_start, expiry_s, window } => {
                self.connect(v5, clean_start, expiry_s, window).await;
            }
            Step::Vanish | Step::Leave => {
                if let Some(client) = self.client.take() {
                    client.end(matches!(step, Step::Leave)).await;
                    self.is_away();
                }
            }
            Step::Publish { lifetime_s } => self.publish(lifetime_s),
            Step::Acknowledge(count) => {
                let count = count.min(self.unacknowledged.len());
                for id in self.unacknowledged.drain(..count) {
                    if let Some(client) = &mut self.client {
                        client.acknowledge(id).await;
                    }
                }
            }
            Step::Wait { seconds } => {
                self.host.after(seconds * SECOND).await;
                let now = self.host.clock.now();
                self.session.take_if(|session| session.ends_at.is_some_and(|at| at <= now));
            }
        }
        self.read().await;
    }

    async fn connect(&mut self, v5: bool, clean_start: bool, expiry_s: u32, window: u16) {
        let mut connect = if v5 { hello_5("c", expiry_s) } else { hello("c") };
        connect.clean_start = clean_start;
        connect.properties.receive_maximum = if v5 { window } else { u16::MAX };
        // Taken over, if it is there.
        let old = self.client.take();
        if old.is_some() {
            self.is_away();
        }
        let expected = !clean_start && self.session.is_some();
        let (mut client, present) = Client::connect(&self.host, &connect).await;
        assert_eq!(present, expected);
        if let Some(old) = old {
            old.vanish().await;
        }
        let expiry_s = match (v5, clean_start) {
            (true, _) => expiry_s,
            (false, true) => 0,
            (false, false) => 3600,
        };
        if present {
            self.session
                .iter_mut()
                .for_each(|session| (session.expiry_s, session.ends_at) = (expiry_s, None));
        } else {
            self.sessions += 1;
            self.session = Some(Session { number: self.sessions, expiry_s, ends_at: None });
            self.newest = None;
            client.subscribe(&[("a", QoS::AtLeastOnce)]).await;
        }
        self.window = if v5 { usize::from(window) } else { usize::MAX };
        self.client = Some(client);
    }

    fn is_away(&mut self) {
        self.unacknowledged.clear();
        let now = self.host.clock.now();
        self.session.take_if(|session| session.expiry_s == 0);
        if let Some(session) = &mut self.session {
            let never = session.expiry_s == u32::MAX;
            session.ends_at = (!never).then(|| now.plus(session.expiry_s * SECOND));
        }
    }

    fn publish(&mut self, lifetime_s: Option<u64>) {
        let number = self.published;
        self.published += 1;
        let expires_at = lifetime_s.map(|seconds| self.host.clock.now().plus_micros(seconds * 1_000_000));
        let payload = number.to_be_bytes();
        let message = Message { expires_at, ..Message::new("a", &payload, QoS::AtLeastOnce) };
        let delivered = self.host.publish_message(&message);
        assert_eq!(
            (delivered.sessions + delivered.kept, delivered.dropped),
            (u32::from(self.session.is_some()), 0)
        );
        if let Some(session) = &self.session {
            self.owed.push(Owed { number, session: session.number, expires_at, deliveries: 0 });
        }
    }

    /// Reads all that has come.
    async fn read(&mut self) {
        let Some(mut client) = self.client.take() else { return };
        // What an acknowledgement makes room for is written behind the answer to the first ping.
        for _ in 0..2 {
            client.write(encode::pingreq).await;
            while let Some((number, id, dup)) = client.next(publish_or_pong).await {
                self.received(number, id, dup);
            }
        }
        self.client = Some(client);
    }

    fn received(&mut self, number: u32, id: u16, dup: bool) {
        let session = self.session.as_ref().unwrap().number;
        let owed = self.owed.iter_mut().find(|owed| owed.number == number).unwrap();
        assert_eq!(owed.session, session, "message {number} is another session's");
        assert_eq!(owed.deliveries > 0, dup, "message {number}");
        assert!(owed.expires_at.is_none_or(|at| self.host.clock.now() < at), "message {number} has expired");
        owed.deliveries += 1;
        if !dup {
            assert!(self.newest.is_none_or(|newest| newest < number), "message {number} is out of order");
            self.newest = Some(number);
        }
        assert!(!self.unacknowledged.contains(&id));
        self.unacknowledged.push(id);
        assert!(self.unacknowledged.len() <= self.window);
    }

    /// Lets the client come back and take all there is; then nothing may be missing.
    async fn settle_up(mut self) {
        self.apply(Step::Connect { v5: true, clean_start: false, expiry_s: u32::MAX, window: 3 }).await;
        loop {
            self.apply(Step::Acknowledge(3)).await;
            if self.unacknowledged.is_empty() {
                break;
            }
        }
        let now = self.host.clock.now();
        let session = self.session.as_ref().unwrap().number;
        let mut missing = 0;
        for owed in self.owed.iter().filter(|owed| owed.deliveries == 0) {
            missing += 1;
            let has_expired = owed.expires_at.is_some_and(|at| at <= now);
            assert!(has_expired || owed.session != session, "{owed:?} is missing");
        }
        let counters = self.host.counters();
        // One that was delivered may expire before it comes again.
        assert!(counters.expired + counters.lost_with_session >= missing, "{missing} of {counters:?}");
        let delivered = self.owed.iter().filter(|owed| owed.deliveries > 0).count();
        assert_eq!(counters.messages_out, delivered as u64);
        assert_eq!((counters.dropped(), counters.sessions, counters.connections), (0, 1, 1));
    }
}

/// Number, packet identifier and DUP of a message; `None` for the answer to the ping behind it.
fn publish_or_pong(packet: Packet<'_>) -> Option<(u32, u16, bool)> {
    match packet {
        Packet::Publish(publish) => {
            let number = u32::from_be_bytes(publish.payload.try_into().unwrap());
            Some((number, publish.id.unwrap().get(), publish.dup))
        }
        Packet::PingResp => None,
        other => panic!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn a_subscriber_gets_what_it_is_owed(steps in prop::collection::vec(step(), 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut both = Both::new();
            for step in steps {
                both.apply(step).await;
            }
            both.settle_up().await;
        });
    }
}
