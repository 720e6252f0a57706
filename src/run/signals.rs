//! Ctrl-C, SIGTERM and a terminal that hangs up, as one stream of stop requests; in virtual time from a thread of real time.

use std::thread;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::control::Control;

/// The signals that ask a run to stop. A second one must reach us too: that is what ends at once.
pub(super) struct Signals {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    /// The terminal is gone, or somebody says so: what was measured is still worth writing.
    hangup: Option<Signal>,
}

/// The number of SIGHUP, which no system spells otherwise.
const HANGUP: u32 = 1;

impl Signals {
    /// Listens from now on. Where the system refuses, its default (end the process) stays.
    pub fn new() -> Self {
        Self {
            interrupt: signal(SignalKind::interrupt()).ok(),
            terminate: signal(SignalKind::terminate()).ok(),
            hangup: hangup_counts().then(|| signal(SignalKind::hangup()).ok()).flatten(),
        }
    }

    /// Hears nothing: a [`SignalThread`] does, or nobody.
    pub fn none() -> Self {
        Self { interrupt: None, terminate: None, hangup: None }
    }

    /// Waits for the next request.
    pub async fn stop_requested(&mut self) {
        tokio::select! {
            biased; // All mean the same; the order is for repeatability only.
            () = received(self.interrupt.as_mut()) => {}
            () = received(self.terminate.as_mut()) => {}
            () = received(self.hangup.as_mut()) => {}
        }
    }
}

/// Whether a hangup is for us to hear: `nohup` has it ignored, and to listen would undo that.
fn hangup_counts() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| !is_ignored(&status, HANGUP))
}

/// Whether a process with this status ignores a signal. Without a word on it: as if it did.
fn is_ignored(status: &str, signal: u32) -> bool {
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_none_or(|mask| mask >> (signal - 1) & 1 == 1)
}

/// Turns signals into stop requests on a thread of its own, until it is dropped: a paused runtime has
/// no I/O to hear them with, and polls the requests instead.
pub(super) struct SignalThread {
    done: CancellationToken,
    thread: Option<thread::JoinHandle<()>>,
}

impl SignalThread {
    /// Listens from now on, if the system gives a thread.
    pub fn start(control: &Control) -> Self {
        let done = CancellationToken::new();
        let (control, stop) = (control.clone(), done.clone());
        let listen = move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else {
                return;
            };
            runtime.block_on(async {
                let mut signals = Signals::new();
                loop {
                    tokio::select! {
                        biased; // The end of the run is the end of listening.
                        () = stop.cancelled() => return,
                        () = signals.stop_requested() => {
                            control.request_stop();
                        }
                    }
                }
            });
        };
        let thread = thread::Builder::new().name("fleetsim-signals".to_owned()).spawn(listen).ok();
        Self { done, thread }
    }
}

impl Drop for SignalThread {
    fn drop(&mut self) {
        self.done.cancel();
        if let Some(thread) = self.thread.take() {
            // It has nothing to report.
            thread.join().ok();
        }
    }
}

async fn received(signal: Option<&mut Signal>) {
    let Some(signal) = signal else { return std::future::pending().await };
    if signal.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hangup_that_nohup_has_ignored_stays_ignored() {
        for (status, ignored) in [
            ("Name:\tx\nSigIgn:\t0000000000000000\n", false),
            ("SigIgn:\t0000000000001000\nSigCgt:\t0000000000000001\n", false),
            ("SigIgn:\t0000000000000001\n", true),
            ("SigIgn:\t0000000000001001\n", true),
            ("SigIgn:\tnonsense\n", true),
            ("", true),
        ] {
            assert_eq!(is_ignored(status, HANGUP), ignored, "{status:?}");
        }
    }
}
