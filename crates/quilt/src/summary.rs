//! What is said of a batch without its squares.

use serde::{Deserialize, Serialize};

use crate::event::Launched;
use crate::grid::Square;
use crate::lap::CancelCause;
use crate::spec::BatchSpec;
use crate::timestamp::Timestamp;

/// Where a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Some tasks are still to settle.
    Running,
    /// Some tasks are still to settle, and none is started.
    Paused,
    /// No more tasks start, and those that run are still to settle.
    Draining,
    /// Every square that the lap had to run has its outcome.
    Finished,
    /// It was stopped before every square had its outcome.
    Cancelled,
}

impl Status {
    /// Whether nothing of the batch's lap is left to run.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Cancelled)
    }

    /// The word used in the API and on pages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Draining => "draining",
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Counts over all squares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// All squares.
    pub tasks: u32,
    /// The squares that are done.
    pub done: u32,
    /// The squares that failed.
    pub failed: u32,
    /// The squares whose tasks will not run, unless a later lap runs them.
    #[serde(default)]
    pub not_run: u32,
}

impl Progress {
    /// The squares that have an outcome.
    #[must_use]
    pub const fn settled(self) -> u32 {
        self.done + self.failed
    }

    /// The squares that are to have one.
    #[must_use]
    pub const fn pending(self) -> u32 {
        self.tasks - self.settled() - self.not_run
    }
}

/// What lists and headings say of a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// What the batch is made of, with the limits of this lap.
    pub spec: BatchSpec,
    /// Where it stands.
    pub status: Status,
    /// The lap it is in, from 1.
    pub lap: u32,
    /// How many tasks there were to run in this lap.
    pub lap_tasks: u32,
    /// The counts over all squares.
    pub progress: Progress,
    /// When it was launched.
    pub created_at: Timestamp,
    /// When this lap was started.
    pub started_at: Timestamp,
    /// When this lap crossed its finish line or was cancelled.
    pub ended_at: Option<Timestamp>,
    /// The square that settled last in this lap.
    pub last_across: Option<Square>,
    /// How many of its tasks may run at the same time, if there is a limit.
    #[serde(default)]
    pub concurrency: Option<u32>,
    /// Why it was cancelled, or is draining, if it is one of these.
    #[serde(default)]
    pub cancelled_because: Option<CancelCause>,
}

impl Summary {
    /// What [`Quilt::summary`](crate::Quilt::summary) says of a batch that was just launched, at a cost that does not depend on its size.
    #[must_use]
    pub fn of_launch(launched: Launched) -> Self {
        let Launched { spec, at, .. } = launched;
        let tasks = spec.grid.squares();
        Self {
            concurrency: spec.concurrency,
            spec,
            status: Status::Running,
            lap: 1,
            lap_tasks: tasks,
            progress: Progress { tasks, done: 0, failed: 0, not_run: 0 },
            created_at: at,
            started_at: at,
            ended_at: None,
            last_across: None,
            cancelled_because: None,
        }
    }
}
