//! Settings of an engine.

use std::path::PathBuf;

use crate::clock::Clock;
use crate::journal::Retention;
use crate::slots::{MAX_SLOTS, Node, Slots};

/// Settings of an engine.
#[derive(Debug, Clone)]
pub struct Settings {
    /// This node.
    pub node: Node,
    /// The number of processors. CPU-bound batches use up to twice as many workers.
    pub processors: u32,
    /// Slots that only run tasks of owners that have no other slot of the same class on this node, so that one owner cannot take all of
    /// them.
    pub reserved_slots: Slots,
    /// The maximum number of running batches of one owner.
    pub running_per_owner: u32,
    /// The maximum number of squares in the running batches of all owners. Each batch counts as at least 4,096 squares.
    pub running_squares: u64,
    /// Retention limits of finished batches.
    pub retention: Retention,
    /// Whether batches that an earlier process has left unfinished are paused before any of their tasks run.
    pub pauses_unfinished: bool,
    /// The crash log: a file that records running tasks, so that the next process can identify a task that kills it. `None` disables it.
    pub crash_log: Option<PathBuf>,
    /// The time of day.
    pub clock: Clock,
    /// The epoch of the first lap that this process coordinates; those of later laps follow it. Must be larger than the epochs of earlier
    /// processes with the same journal. `None` derives it from the time of day. Unused in a cluster, which assigns epochs itself.
    pub first_epoch: Option<u64>,
}

impl Settings {
    /// 1,024 slots for I/O-bound tasks, two per processor for CPU-bound ones, because some of them wait for the journal, and one per
    /// processor for subprocesses.
    #[must_use]
    pub fn usual_slots(processors: u32) -> Slots {
        let compute = processors.saturating_mul(2).min(MAX_SLOTS);
        Slots { async_: 1_024, compute, process: processors.min(MAX_SLOTS) }
    }
}

impl Default for Settings {
    /// The slots of [`Settings::usual_slots`], none of them reserved, the processors of this machine, 8 running batches per owner, 32 of
    /// the largest ones in total, and no retention limits.
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
            first_epoch: None,
        }
    }
}
