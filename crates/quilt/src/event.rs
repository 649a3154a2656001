//! What a journal holds.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::color::Color;
use crate::id::ShareGroup;
use crate::lap::{CancelCause, LapLimits, LapSet};
use crate::order::Position;
use crate::spec::BatchSpec;
use crate::timestamp::Timestamp;

/// How many events of a journal there are, or were seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offset(pub u64);

/// The rules by which a journal is folded, as far as they decide outcomes and the digest. They are fixed at its launch, so a batch keeps those that it began with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum JournalVersion {
    /// Reasons are whole messages, and 1,024 of them are told apart.
    V1 = 1,
    /// Reasons have at most [`MAX_REASON`](crate::reasons::MAX_REASON) bytes, and 65,536 of them are told apart.
    V2 = 2,
}

impl JournalVersion {
    /// The version of batches that are launched now.
    pub const CURRENT: Self = Self::V2;
}

/// The first event of every journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Launched {
    /// The rules by which the journal is folded.
    pub version: JournalVersion,
    /// What the batch is made of.
    pub spec: BatchSpec,
    /// When it was accepted.
    pub at: Timestamp,
    /// With which other owners its owner shares the working time of a single owner; `None` if with nobody. Summaries and snapshots do not
    /// contain it.
    pub group: Option<ShareGroup>,
}

impl Launched {
    /// A launch of the current version, without a group.
    #[must_use]
    pub const fn new(spec: BatchSpec, at: Timestamp) -> Self {
        Self { version: JournalVersion::CURRENT, spec, at, group: None }
    }
}

/// How a task ended for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The task is done, and this is the color of its square.
    Done(Color),
    /// Its attempts ran out, for this reason: a few words that failures of the same kind share. What else there is to say is
    /// stored beside the square.
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

/// Attempts at tasks that stand in a row in the order and went alike, which is how most of them go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRun {
    /// The first task's place in the order; the others follow it.
    pub first: Position,
    /// How many tasks.
    pub count: u32,
    /// Which attempt this was for each of them, from 1.
    pub number: u8,
    /// When each of them was started, to the millisecond.
    pub started_at: Timestamp,
    /// How long each of them took, in whole milliseconds.
    pub took_ms: u32,
    /// Why each of them failed; `None` where they are done.
    pub error: Option<Box<str>>,
}

impl AttemptRun {
    /// The places of its tasks in the order.
    #[must_use]
    pub fn positions(&self) -> Range<u32> {
        self.first.0..self.first.0.saturating_add(self.count)
    }

    /// Takes up an attempt that follows this run and went like it; gives back any other one.
    pub fn join(&mut self, next: Self) -> Option<Self> {
        let Self { first, count, number, started_at, took_ms, ref error } = next;
        let follows = self.positions().end == first.0 && self.number == number;
        if follows && self.started_at == started_at && self.took_ms == took_ms && self.error == *error {
            self.count = self.count.saturating_add(count);
            None
        } else {
            Some(next)
        }
    }
}

/// One attempt at one task, as it is told to people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// The lap, from 1.
    pub lap: u32,
    /// Which attempt it was in that lap, from 1.
    pub number: u8,
    /// The worker that made it.
    pub worker: Box<str>,
    /// When it was started.
    pub started_at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u32,
    /// Why it failed; `None` where the task was done.
    pub error: Option<Box<str>>,
}

/// What its owner can change about a batch that is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// No more tasks are started.
    Pause,
    /// Tasks are started again.
    Resume,
    /// At most this many of its tasks run at the same time; `None` for as many as are of use.
    SetConcurrency(Option<u32>),
}

/// One entry of a batch's journal.
///
/// Every event that follows the launch names the lap that it is about, so that one which comes late, or twice,
/// finds nothing to change.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The batch was accepted. Lap 1 starts with it.
    Launched(Launched),
    /// Some tasks were tried. What they came to for good is for [`Event::Settled`] to say, which follows in the same write.
    Attempted {
        /// The lap in which they ran, from 1.
        lap: u32,
        /// The name of the worker that ran them.
        worker: Box<str>,
        /// The attempts, in the order in which they were made.
        runs: Vec<AttemptRun>,
    },
    /// Some tasks ended for good.
    Settled {
        /// The lap in which they ran, from 1.
        lap: u32,
        /// When the last of them ended.
        at: Timestamp,
        /// The tasks, in the order in which they ended.
        settlements: Vec<Settlement>,
    },
    /// Squares that failed, or were not run, run again.
    LapStarted {
        /// The lap that starts, from 2.
        lap: u32,
        /// When it was asked for.
        at: Timestamp,
        /// Which squares it runs.
        set: LapSet,
        /// Its limits; `None` for those of the lap before.
        limits: Option<LapLimits>,
    },
    /// The batch was told to run otherwise.
    Controlled {
        /// The lap for which it holds.
        lap: u32,
        /// Counts a batch's controls from 1. Of two that were asked for at once the first one wins.
        number: u32,
        /// When it was asked for.
        at: Timestamp,
        /// What changes.
        control: Control,
    },
    /// No more tasks of the lap start; the outcomes of those that run still count.
    Draining {
        /// The lap that ends early.
        lap: u32,
        /// When it was asked for.
        at: Timestamp,
        /// Why.
        cause: CancelCause,
    },
    /// The lap is stopped: outcomes that come later do not count, and squares without one are not run.
    Cancelled {
        /// The lap that was cut short.
        lap: u32,
        /// When it was asked for.
        at: Timestamp,
        /// Who asked for it.
        cause: CancelCause,
    },
}
