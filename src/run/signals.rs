//! Ctrl-C and SIGTERM, as one stream of stop requests.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask a run to stop. A second one must reach us too: that is what ends at once.
pub(super) struct Signals {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
}

impl Signals {
    /// Listens from now on. Where the system refuses, its default (end the process) stays.
    pub fn new() -> Self {
        Self {
            interrupt: signal(SignalKind::interrupt()).ok(),
            terminate: signal(SignalKind::terminate()).ok(),
        }
    }

    /// Waits for the next request.
    pub async fn stop_requested(&mut self) {
        tokio::select! {
            biased; // Both mean the same; the order is for repeatability only.
            () = received(self.interrupt.as_mut()) => {}
            () = received(self.terminate.as_mut()) => {}
        }
    }
}

async fn received(signal: Option<&mut Signal>) {
    let Some(signal) = signal else { return std::future::pending().await };
    if signal.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}
