//! Chunks of work, and the time-limited holds that workers have on them.

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

/// A worker's hold on a chunk: a range of positions of one lap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Its id.
    pub id: LeaseId,
    /// The lap.
    pub lap: LapId,
    /// The first position.
    pub first: Position,
    /// The position behind the last one. Settled positions in between are skipped.
    pub end: Position,
    /// The worker has to fold the journal up to here before it runs the chunk: earlier outcomes and failed attempts are in it.
    pub after: Sequence,
    /// How many workers were lost while they ran this chunk or a larger one around it.
    pub unclean_stops: u32,
    /// Whether its only task is taken for the cause, and fails without being run.
    pub is_poison: bool,
}

impl Lease {
    /// The positions.
    #[must_use]
    pub fn positions(&self) -> Range<Position> {
        self.first..self.end
    }
}

/// Failed tasks that are tried again later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryGroup {
    /// The first position.
    pub first: Position,
    /// The position behind the last one. Those in between that are settled are skipped.
    pub end: Position,
    /// How long to wait.
    pub delay: Duration,
}

/// How long the tasks of a chunk took, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measurement {
    /// How many tasks ran.
    pub tasks: u32,
    /// How long they took together.
    pub elapsed: Duration,
    /// Whether one of them waited for something other than a processor.
    pub has_waited: bool,
}

/// What a worker did with its lease, when it gives it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Everything before this position has been run: it is settled, or to be tried again. The rest goes back to the dispatcher.
    pub done_to: Position,
    /// How far the journal goes with what was written of it.
    pub after: Sequence,
    /// What failed, and is tried again.
    pub retries: Vec<RetryGroup>,
    /// How long it took, if anything ran.
    pub measured: Option<Measurement>,
    /// This node cannot run the batch for so long, and is not to get more of it.
    pub avoid: Option<Duration>,
    /// No other task with the key of this one is started for so long.
    pub key_pause: Option<Duration>,
    /// The batch needs slots of another class. A coordinator that does not know its work cannot tell.
    pub class: Option<SlotClass>,
}

impl Release {
    /// Nothing of the lease was run.
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

    /// Nothing of the lease was run, and nothing of the batch can run on this node for a while.
    pub(crate) fn unable(lease: &Lease, avoid: Duration) -> Self {
        Self { avoid: Some(avoid), ..Self::untouched(lease) }
    }

    /// Nothing of the lease was run, because it needs a slot of another class.
    pub(crate) fn of_class(lease: &Lease, class: SlotClass) -> Self {
        Self { class: Some(class), ..Self::untouched(lease) }
    }

    /// There is nothing to run in the lease.
    pub(crate) fn nothing_left(lease: &Lease) -> Self {
        Self { done_to: lease.end, ..Self::untouched(lease) }
    }
}
