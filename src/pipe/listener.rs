//! Where the two ends of a connection are handed over: what an address and a listening socket are to TCP.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;

use super::{End, pair};

/// What may wait in each direction of a connection that was made here: what Linux gives a loopback socket
/// to begin with, and a few hundred commands.
const CAPACITY_BYTES: usize = 64 * 1024;

/// A place to connect to. At most `backlog` connections (at least one) wait to be accepted.
pub fn listener(backlog: usize) -> (Connector, Listener) {
    let (sender, receiver) = mpsc::channel(backlog.max(1));
    let refuses = Arc::new(AtomicBool::new(false));
    (
        Connector { accepting: sender, refuses: Arc::clone(&refuses) },
        Listener { connecting: receiver, refuses },
    )
}

/// Makes connections to one [`Listener`], from any thread.
#[derive(Debug, Clone)]
pub struct Connector {
    accepting: mpsc::Sender<End>,
    refuses: Arc<AtomicBool>,
}

/// Takes the connections that are made through its [`Connector`]s.
#[derive(Debug)]
pub struct Listener {
    connecting: mpsc::Receiver<End>,
    refuses: Arc<AtomicBool>,
}

impl Connector {
    /// Connects; waits while the backlog is full. As with a socket the connection may be used before it
    /// is accepted, and one that never is ends with the listener.
    ///
    /// [`io::ErrorKind::ConnectionRefused`] if the listener is gone or refuses.
    pub async fn connect(&self) -> io::Result<End> {
        // The place comes first: a connection that waits for one costs nothing.
        let place = self.accepting.reserve().await.map_err(|_| io::ErrorKind::ConnectionRefused)?;
        if self.refuses.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (ours, theirs) = pair(CAPACITY_BYTES);
        place.send(theirs);
        Ok(ours)
    }
}

impl Listener {
    /// The next connection; `None` when every [`Connector`] is gone and no connection waits.
    pub async fn accept(&mut self) -> Option<End> {
        self.connecting.recv().await
    }

    /// Refuses connections until [`Listener::listen_again`]; those that wait end.
    pub fn refuse(&mut self) {
        self.refuses.store(true, Ordering::Relaxed);
        while self.connecting.try_recv().is_ok() {}
    }

    /// Takes connections again.
    pub fn listen_again(&mut self) {
        self.refuses.store(false, Ordering::Relaxed);
    }
}
