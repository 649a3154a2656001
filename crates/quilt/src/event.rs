//! The events of a journal.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::color::Color;
use crate::id::ShareGroup;
use crate::lap::{CancelCause, LapLimits, LapSet};
use crate::order::Position;
use crate::spec::BatchSpec;
use crate::timestamp::Timestamp;

/// A number of events of a journal, counted from its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offset(pub u64);

/// The rules of the fold that affect outcomes and the digest. They are fixed at the launch, so they never change for a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum JournalVersion {
    /// A reason is the whole message. At most 1,024 reasons are distinguished.
    V1 = 1,
    /// Reasons have at most [`MAX_REASON`](crate::reasons::MAX_REASON) bytes. At most 65,536 reasons are distinguished.
    V2 = 2,
}

impl JournalVersion {
    /// The version of new batches.
    pub const CURRENT: Self = Self::V2;
}

/// The first event of every journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Launched {
    /// The version of the journal.
    pub version: JournalVersion,
    /// The spec of the batch.
    pub spec: BatchSpec,
    /// The time of the launch.
    pub at: Timestamp,
    /// The group of owners who share the working time of a single owner; `None` for an owner without a group. Summaries and snapshots do
    /// not contain it.
    pub group: Option<ShareGroup>,
}

impl Launched {
    /// A launch of the current version, without a group.
    #[must_use]
    pub const fn new(spec: BatchSpec, at: Timestamp) -> Self {
        Self { version: JournalVersion::CURRENT, spec, at, group: None }
    }
}

/// The final result of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The task succeeded. Contains the color of its square.
    Done(Color),
    /// All attempts failed. Contains the reason: a few words that are the same for similar failures. The whole message is stored with the
    /// details of the square.
    Failed(Box<str>),
}

/// One task's outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// The position of the task.
    pub position: Position,
    /// The outcome of the task.
    pub outcome: Outcome,
}

/// Equal attempts at tasks at consecutive positions. Most attempts are like this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRun {
    /// The position of the first task.
    pub first: Position,
    /// The number of tasks.
    pub count: u32,
    /// The number of the attempt at each task, from 1.
    pub number: u8,
    /// The start of each attempt, in whole milliseconds.
    pub started_at: Timestamp,
    /// The duration of each attempt, in whole milliseconds.
    pub took_ms: u32,
    /// The message of each failure; `None` for success.
    pub error: Option<Box<str>>,
}

impl AttemptRun {
    /// The positions of the tasks.
    #[must_use]
    pub fn positions(&self) -> Range<u32> {
        self.first.0..self.first.0.saturating_add(self.count)
    }

    /// Appends `next` if it is equal to this run and directly follows it. Returns it otherwise.
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

/// A single attempt at a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// The lap, from 1.
    pub lap: u32,
    /// The number of the attempt in the lap, from 1.
    pub number: u8,
    /// The name of the worker.
    pub worker: Box<str>,
    /// The start of the attempt.
    pub started_at: Timestamp,
    /// The duration in milliseconds.
    pub took_ms: u32,
    /// The message of a failure; `None` for success.
    pub error: Option<Box<str>>,
}

/// A change of a running batch by its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// No more tasks start.
    Pause,
    /// Tasks start again.
    Resume,
    /// Sets the maximum number of tasks that run at the same time; `None` for no limit.
    SetConcurrency(Option<u32>),
}

/// An entry of the journal of a batch.
///
/// Each event after the launch contains its lap, so that late and duplicate events have no effect.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The batch was accepted, and lap 1 starts.
    Launched(Launched),
    /// Tasks were attempted. [`Event::Settled`], in the same write, has the outcomes of those that will not be retried.
    Attempted {
        /// The lap of the attempts, from 1.
        lap: u32,
        /// The name of the worker.
        worker: Box<str>,
        /// The attempts, in order.
        runs: Vec<AttemptRun>,
    },
    /// Tasks have outcomes.
    Settled {
        /// The lap of the tasks, from 1.
        lap: u32,
        /// The time of the last outcome.
        at: Timestamp,
        /// The outcomes, in order.
        settlements: Vec<Settlement>,
    },
    /// Squares that failed or were not run start again.
    LapStarted {
        /// The lap, from 2.
        lap: u32,
        /// The time of the request.
        at: Timestamp,
        /// The squares of the lap.
        set: LapSet,
        /// The limits of the lap; `None` for those of the previous lap.
        limits: Option<LapLimits>,
    },
    /// The owner paused, resumed or limited the batch.
    Controlled {
        /// The lap to which it applies.
        lap: u32,
        /// The number of the control in the batch, from 1. Of two concurrent controls with the same number, the first one counts.
        number: u32,
        /// The time of the request.
        at: Timestamp,
        /// The change.
        control: Control,
    },
    /// No more tasks of the lap start. Outcomes of running tasks still count.
    Draining {
        /// The lap that drains.
        lap: u32,
        /// The time of the request.
        at: Timestamp,
        /// The cause.
        cause: CancelCause,
    },
    /// The lap is cancelled. Later outcomes are ignored, and pending squares are not run.
    Cancelled {
        /// The lap that is cancelled.
        lap: u32,
        /// The time of the request.
        at: Timestamp,
        /// The cause.
        cause: CancelCause,
    },
}
