//! What an engine may use, as its program decides.

use std::path::PathBuf;

use crate::clock::Clock;
use crate::journal::Retention;
use crate::slots::{MAX_SLOTS, Node, Slots};

/// What an engine may use.
#[derive(Debug, Clone)]
pub struct Settings {
    /// This node.
    pub node: Node,
    /// How many processors there are. Twice as many workers are of use to a batch whose tasks compute.
    pub processors: u32,
    /// How many of the slots only run tasks of owners that have no other slot of their class on this node, so that nobody can take all of them.
    pub reserved_slots: Slots,
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

impl Settings {
    /// 1,024 slots for tasks that wait, two a processor for those that compute, because some of them wait for the journal, and one a processor
    /// for those that are processes.
    #[must_use]
    pub fn usual_slots(processors: u32) -> Slots {
        let compute = processors.saturating_mul(2).min(MAX_SLOTS);
        Slots { waiting: 1_024, compute, process: processors.min(MAX_SLOTS) }
    }
}

impl Default for Settings {
    /// The slots of [`Settings::usual_slots`], none of them reserved, the processors of this machine, 8 running batches an owner, 32 of the
    /// largest ones in all, and everything is kept.
    fn default() -> Self {
        let processors = std::thread::available_parallelism();
        let processors = processors.map_or(2, |count| u32::try_from(count.get()).unwrap_or(u32::MAX));
        Self {
            node: Node {
                name: "worker".into(),
                host: "localhost".into(),
                slots: Self::usual_slots(processors),
                version: env!("CARGO_PKG_VERSION").into(),
            },
            processors,
            reserved_slots: Slots::default(),
            running_per_owner: 8,
            running_squares: 32 << 20,
            retention: Retention::default(),
            pauses_unfinished: false,
            crash_log: None,
            clock: Clock::System,
        }
    }
}
