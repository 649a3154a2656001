//! What an engine may use, as its program decides.

use std::path::PathBuf;

use crate::clock::Clock;
use crate::cluster::Node;
use crate::journal::Retention;

/// What an engine may use.
#[derive(Debug, Clone)]
pub struct Settings {
    /// This node. As many tasks as it has slots run at the same time.
    pub node: Node,
    /// How many processors there are. Twice as many workers are of use to a batch whose tasks compute.
    pub processors: u32,
    /// How many of the slots only run tasks of owners that have no other slot of this node, so that nobody can take all of them.
    pub reserved_slots: u32,
    /// How many of an owner's batches may run at the same time.
    pub running_per_owner: u32,
    /// How many squares the running batches of all owners may have together; each counts as 4,096 at least.
    pub running_squares: u64,
    /// What is kept of batches that are over.
    pub retention: Retention,
    /// Whether batches that an earlier process has left unfinished are paused before anything of them is run.
    pub pauses_unfinished: bool,
    /// The file that records what runs, so that a task that kills the process is found by the next one. None if there is nothing here.
    pub crash_log: Option<PathBuf>,
    /// The time of day.
    pub clock: Clock,
}

impl Default for Settings {
    /// 64 workers, none of them reserved, the processors of this machine, 8 running batches an owner, 32 of the largest ones in all, and everything is kept.
    fn default() -> Self {
        Self {
            node: Node {
                name: "worker".into(),
                host: "localhost".into(),
                slots: 64,
                version: env!("CARGO_PKG_VERSION").into(),
            },
            processors: std::thread::available_parallelism()
                .map_or(2, |count| u32::try_from(count.get()).unwrap_or(u32::MAX)),
            reserved_slots: 0,
            running_per_owner: 8,
            running_squares: 32 << 20,
            retention: Retention::default(),
            pauses_unfinished: false,
            crash_log: None,
            clock: Clock::System,
        }
    }
}
