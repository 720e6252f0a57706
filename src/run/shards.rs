//! The shards of a run, threads or tasks, and the way to reach them.

use std::cell::Cell;
use std::io;
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;

use super::shard::{self, ShardCommand, ShardSetup};

/// Commands a shard may have under way. Each rollout has a first release at once and decides at most once a
/// second, steering comes five times a second: a shard that hears nothing for ten seconds has room for all of it.
pub(super) const fn commands_under_way(workloads: usize) -> usize {
    workloads.saturating_mul(16).saturating_add(64)
}
/// How long a shard of `devices` may take to end once it is told to, before it counts as stuck and is left
/// behind. Each device says goodbye and gives its memory back: a few microseconds, many times that on a
/// busy machine.
pub(super) fn end_wait(devices: u64) -> Duration {
    Duration::from_secs(5) + Duration::from_micros(devices.saturating_mul(100))
}

/// All shards.
#[derive(Default)]
pub(super) struct Shards {
    shards: Vec<(mpsc::Sender<ShardCommand>, Home)>,
    /// The first shard whose queue had no room for a command.
    deaf: Cell<Option<usize>>,
}

enum Home {
    Thread {
        thread: thread::JoinHandle<io::Result<()>>,
        /// Closed by the thread's end, whatever ends it.
        ended: std::sync::mpsc::Receiver<()>,
    },
    Task(tokio::task::JoinHandle<()>),
}

impl Shards {
    /// Starts one more: as a task of the current `LocalSet` in virtual time, else on a thread.
    pub fn spawn(&mut self, setup: ShardSetup, commands: mpsc::Sender<ShardCommand>) -> io::Result<()> {
        let home = if setup.clock.is_virtual() {
            Home::Task(shard::spawn_local(setup))
        } else {
            let (alive, ended) = std::sync::mpsc::channel();
            Home::Thread { thread: shard::spawn(setup, alive)?, ended }
        };
        self.shards.push((commands, home));
        Ok(())
    }

    /// Sends to one shard. A closed queue means a dead shard, which [`Shards::dead`] tells, a full one a stuck
    /// shard: what it did not hear is lost, and [`Shards::deaf`] tells it.
    pub fn send(&self, shard: usize, command: ShardCommand) {
        let Some((commands, _)) = self.shards.get(shard) else { return };
        if let Err(mpsc::error::TrySendError::Full(_)) = commands.try_send(command) {
            self.deaf.set(self.deaf.get().or(Some(shard)));
        }
    }

    /// A shard that has missed a command.
    pub fn deaf(&self) -> Option<usize> {
        self.deaf.get()
    }

    /// Sends to every shard.
    pub fn send_all(&self, command: impl Fn() -> ShardCommand) {
        for shard in 0..self.shards.len() {
            self.send(shard, command());
        }
    }

    /// A shard that is gone before it was told to end.
    pub fn dead(&self) -> Option<usize> {
        self.shards.iter().position(|(_, home)| match home {
            Home::Thread { thread, .. } => thread.is_finished(),
            Home::Task(task) => task.is_finished(),
        })
    }

    /// Waits for all of them, each at most so long; an error if one has panicked or is stuck.
    pub async fn join(self, wait: Duration) -> Result<(), ()> {
        let mut all = Ok(());
        for (commands, home) in self.shards {
            drop(commands);
            let well = match home {
                Home::Thread { thread, ended } => {
                    // A thread that is stuck must not keep the outputs from being written.
                    let stuck = ended.recv_timeout(wait) == Err(std::sync::mpsc::RecvTimeoutError::Timeout);
                    !stuck && matches!(thread.join(), Ok(Ok(())))
                }
                Home::Task(task) => task.await.is_ok(),
            };
            if !well {
                all = Err(());
            }
        }
        all
    }
}
