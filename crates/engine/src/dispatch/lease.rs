//! Chunks of work, and leases of them.

use std::ops::Range;
use std::time::Duration;

use quilt::{BatchId, Position};
use serde::{Deserialize, Serialize};

use crate::journal::Sequence;
use crate::lease_id::LeaseId;
use crate::slots::SlotClass;

/// A lap of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LapId {
    /// The batch.
    pub batch: BatchId,
    /// The number of the lap, from 1.
    pub lap: u32,
}

/// A worker's lease of a chunk. A chunk is a range of positions of one lap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Its id.
    pub id: LeaseId,
    /// The lap.
    pub lap: LapId,
    /// The first position.
    pub first: Position,
    /// The position after the last one. Settled positions in between are skipped.
    pub end: Position,
    /// The worker must apply the journal up to this sequence before it runs the chunk, because it contains earlier outcomes and failed
    /// attempts.
    pub after: Sequence,
    /// The number of workers that were lost while they ran this chunk or a larger one around it.
    pub unclean_stops: u32,
    /// How the chunk is run.
    pub mode: LeaseMode,
}

/// How a chunk is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LeaseMode {
    /// All of it.
    Run,
    /// Until a task waits, or for a short time: the running time of its tasks is unknown. The rest is given back.
    Probe,
    /// Not at all: its only task is considered the cause of the losses, and fails.
    FailAsPoison,
}

impl Lease {
    /// The positions.
    #[must_use]
    pub fn positions(&self) -> Range<Position> {
        self.first..self.end
    }
}

/// Failed tasks that are retried together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryGroup {
    /// The first position.
    pub first: Position,
    /// The position after the last one. Settled positions in between are skipped.
    pub end: Position,
    /// The delay before the retry.
    pub delay: Duration,
}

/// The measured running time of the tasks of a chunk, which run one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measurement {
    /// The number of tasks that ran.
    pub tasks: u32,
    /// Their total running time.
    pub elapsed: Duration,
    /// Whether one of them waited, for example for I/O.
    pub has_waited: bool,
}

/// The result of a chunk, sent when its lease is released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// All positions before this one have been run: they are settled, or listed in `retries`. The remaining positions become unassigned.
    pub done_to: Position,
    /// The sequence of the journal after the results of the chunk.
    pub after: Sequence,
    /// The failed tasks to retry.
    pub retries: Vec<RetryGroup>,
    /// The running time, if any task ran.
    pub measured: Option<Measurement>,
    /// This node cannot run the batch, and must not be granted chunks of it for this long.
    pub avoid: Option<Duration>,
    /// No other task with the same key starts for this long.
    pub key_pause: Option<Duration>,
    /// The slot class that the batch needs, for a coordinator that does not know its work.
    pub class: Option<SlotClass>,
}

impl Release {
    /// No task of the lease was run.
    pub(crate) fn untouched(lease: &Lease) -> Self {
        Self {
            done_to: lease.first,
            after: lease.after,
            retries: Vec::new(),
            measured: None,
            avoid: None,
            key_pause: None,
            class: None,
        }
    }

    /// No task of the lease was run, and this node cannot run the batch for a while.
    pub(crate) fn unable(lease: &Lease, avoid: Duration) -> Self {
        Self { avoid: Some(avoid), ..Self::untouched(lease) }
    }

    /// No task of the lease was run, because it needs a slot of another class.
    pub(crate) fn of_class(lease: &Lease, class: SlotClass) -> Self {
        Self { class: Some(class), ..Self::untouched(lease) }
    }

    /// The lease has no tasks to run.
    pub(crate) fn nothing_left(lease: &Lease) -> Self {
        Self { done_to: lease.end, ..Self::untouched(lease) }
    }
}
