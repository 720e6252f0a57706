//! The shards of a run, threads or tasks, and the way to reach them.

use std::io;
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;

use super::shard::{self, ShardCommand, ShardSetup};

/// Commands a shard may have under way.
pub(super) const COMMANDS_UNDER_WAY: usize = 16;
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

    /// Sends to one shard. A full or closed queue means a stuck or dead shard, which is seen elsewhere.
    pub fn send(&self, shard: usize, command: ShardCommand) {
        if let Some((commands, _)) = self.shards.get(shard) {
            commands.try_send(command).ok();
        }
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
