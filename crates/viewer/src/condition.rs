//! What became of a batch, in one word and one color.

use quilt::{CancelCause, Status, Summary};

/// What became of a batch. Each has one word, and one color on the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Tasks run, or are about to.
    Running,
    /// No task starts until it is resumed.
    Paused,
    /// No more tasks start, and those that run are about to end.
    Stopping,
    /// All squares are done.
    Done,
    /// No square failed, but some were not run by any lap.
    Incomplete,
    /// Some squares failed.
    PartlyFailed,
    /// All squares failed.
    Failed,
    /// Its owner stopped it.
    Cancelled,
    /// Its deadline or its limit of failures stopped it.
    Stopped,
}

impl Condition {
    /// All of them, in the order in which they are displayed.
    pub const ALL: [Self; 9] = [
        Self::Running,
        Self::Paused,
        Self::Stopping,
        Self::Done,
        Self::Incomplete,
        Self::PartlyFailed,
        Self::Failed,
        Self::Cancelled,
        Self::Stopped,
    ];

    /// The condition of a batch.
    #[must_use]
    pub fn of(summary: &Summary) -> Self {
        let progress = summary.progress;
        match (summary.status, summary.cancelled_because) {
            (Status::Running, _) => Self::Running,
            (Status::Paused, _) => Self::Paused,
            (Status::Draining, _) => Self::Stopping,
            (Status::Cancelled, Some(CancelCause::Deadline | CancelCause::Failures)) => Self::Stopped,
            (Status::Cancelled, _) => Self::Cancelled,
            (Status::Finished, _) if progress.done == progress.tasks => Self::Done,
            (Status::Finished, _) if progress.failed == progress.tasks => Self::Failed,
            (Status::Finished, _) if progress.failed == 0 => Self::Incomplete,
            (Status::Finished, _) => Self::PartlyFailed,
        }
    }

    /// The name in addresses and attributes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopping => "stopping",
            Self::Done => "done",
            Self::Incomplete => "incomplete",
            Self::PartlyFailed => "partly-failed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Stopped => "stopped",
        }
    }

    /// The word on pages.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Paused => "Paused",
            Self::Stopping => "Stopping",
            Self::Done => "Done",
            Self::Incomplete => "Incomplete",
            Self::PartlyFailed => "Partly failed",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
            Self::Stopped => "Stopped",
        }
    }

    /// Whether nothing of the batch is left to run.
    #[must_use]
    pub const fn is_over(self) -> bool {
        !matches!(self, Self::Running | Self::Paused | Self::Stopping)
    }
}

#[cfg(test)]
mod tests {
    use quilt::{BatchSpec, Grid, Launched, Timestamp, WorkSpec};

    use super::*;

    #[test]
    fn failures_and_causes_decide_between_the_ends() {
        let work = WorkSpec { kind: "color".into(), parameters: serde_json::Map::new() };
        let spec = BatchSpec::new(work, Grid::new(2, 2).expect("small"), 1);
        let mut summary = Summary::of_launch(Launched::new(spec, Timestamp(1)));
        let mut of = |status: Status, done, failed, cause| {
            summary.status = status;
            (summary.progress.done, summary.progress.failed) = (done, failed);
            summary.cancelled_because = cause;
            let condition = Condition::of(&summary);
            assert_eq!(condition.is_over(), status.is_over());
            condition
        };
        assert_eq!(of(Status::Running, 1, 1, None), Condition::Running);
        assert_eq!(of(Status::Paused, 1, 1, None), Condition::Paused);
        assert_eq!(of(Status::Draining, 1, 1, Some(CancelCause::Asked)), Condition::Stopping);
        assert_eq!(of(Status::Finished, 4, 0, None), Condition::Done);
        assert_eq!(of(Status::Finished, 3, 0, None), Condition::Incomplete);
        assert_eq!(of(Status::Finished, 3, 1, None), Condition::PartlyFailed);
        assert_eq!(of(Status::Finished, 0, 4, None), Condition::Failed);
        assert_eq!(of(Status::Cancelled, 3, 1, Some(CancelCause::Asked)), Condition::Cancelled);
        assert_eq!(of(Status::Cancelled, 3, 1, Some(CancelCause::Failures)), Condition::Stopped);
        assert_eq!(of(Status::Cancelled, 3, 0, Some(CancelCause::Deadline)), Condition::Stopped);
    }
}
