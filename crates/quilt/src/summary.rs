//! Summaries of batches, without their squares.

use serde::{Deserialize, Serialize};

use crate::event::Launched;
use crate::grid::Square;
use crate::lap::CancelCause;
use crate::spec::BatchSpec;
use crate::timestamp::Timestamp;

/// The status of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Some tasks are not settled.
    Running,
    /// Some tasks are not settled, and no more tasks start.
    Paused,
    /// The batch stops: no more tasks start, and some running tasks are not settled.
    Draining,
    /// All squares of the lap have outcomes.
    Finished,
    /// The lap was stopped before all squares had outcomes.
    Cancelled,
}

impl Status {
    /// Whether the current lap has ended.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Cancelled)
    }

    /// Returns the word in the API and on pages.
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

/// The counts over all squares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The number of squares.
    pub tasks: u32,
    /// The number of done squares.
    pub done: u32,
    /// The number of failed squares.
    pub failed: u32,
    /// The number of squares that do not run unless a later lap includes them.
    #[serde(default)]
    pub not_run: u32,
}

impl Progress {
    /// The number of squares that have an outcome.
    #[must_use]
    pub const fn settled(self) -> u32 {
        self.done + self.failed
    }

    /// The number of squares that will run.
    #[must_use]
    pub const fn pending(self) -> u32 {
        self.tasks - self.settled() - self.not_run
    }
}

/// The summary of a batch for lists and headings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The spec of the batch, with the limits of the current lap.
    pub spec: BatchSpec,
    /// The status of the batch.
    pub status: Status,
    /// The current lap, from 1.
    pub lap: u32,
    /// The number of tasks of the current lap.
    pub lap_tasks: u32,
    /// The counts over all squares.
    pub progress: Progress,
    /// The time of the launch.
    pub created_at: Timestamp,
    /// The start of the current lap.
    pub started_at: Timestamp,
    /// The time at which the current lap crossed its finish line or was cancelled.
    pub ended_at: Option<Timestamp>,
    /// The square that settled last in the current lap, if it has crossed its finish line.
    pub last_across: Option<Square>,
    /// The maximum number of tasks that run at the same time; `None` for no limit.
    #[serde(default)]
    pub concurrency: Option<u32>,
    /// The cause, if the batch is cancelled or draining.
    #[serde(default)]
    pub cancelled_because: Option<CancelCause>,
}

impl Summary {
    /// Equals [`Quilt::summary`](crate::Quilt::summary) of a new batch, in constant time.
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
