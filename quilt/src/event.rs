//! What a journal holds.

use serde::{Deserialize, Serialize};

use crate::color::Color;
use crate::order::Position;
use crate::spec::BatchSpec;

/// A moment: milliseconds since 1970-01-01T00:00:00Z, by the clock of the node that wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Milliseconds since an earlier moment; 0 where the clocks disagree about which is earlier.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The first event of every journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Launched {
    /// What the batch is made of.
    pub spec: BatchSpec,
    /// When it was accepted.
    pub at: Timestamp,
}

/// How a task ended for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The task is done, and this is the colour of its square.
    Done(Color),
    /// Its attempts ran out, for this reason.
    Failed(Box<str>),
}

/// One task's outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// The task's place in the batch's order.
    pub position: Position,
    /// How it ended.
    pub outcome: Outcome,
}

/// One entry of a batch's journal.
///
/// Every event that follows the launch names the lap that it is about, so that one which comes late, or twice,
/// finds nothing to change.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The batch was accepted. Lap 1 starts with it.
    Launched(Launched),
    /// Some tasks ended for good.
    Settled {
        /// The lap in which they ran, from 1.
        lap: u32,
        /// When the last of them ended.
        at: Timestamp,
        /// The tasks, in the order in which they ended.
        settlements: Vec<Settlement>,
    },
    /// The failed squares of the lap before were put back.
    LapStarted {
        /// The lap that starts, from 2.
        lap: u32,
        /// When it was asked for.
        at: Timestamp,
    },
    /// The batch was told to stop; what is settled stays.
    Cancelled {
        /// The lap that was cut short.
        lap: u32,
        /// When it was asked for.
        at: Timestamp,
    },
}
