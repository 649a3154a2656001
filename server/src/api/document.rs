//! How batches look in JSON.

use quilt::{BatchId, Square, Status, Summary, Timestamp, WorkSpec};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// One batch.
#[derive(Debug, Serialize)]
pub(super) struct BatchDocument {
    id: BatchId,
    work: WorkSpec,
    rows: u16,
    columns: u16,
    seed: u64,
    attempts: u8,
    timeout_ms: u32,
    status: Status,
    lap: u32,
    tasks: u32,
    done: u32,
    failed: u32,
    created_at: String,
    /// When this lap was started.
    started_at: String,
    /// When this lap crossed its finish line.
    finished_at: Option<String>,
    /// When the batch was cancelled.
    cancelled_at: Option<String>,
    last_across: Option<Square>,
}

/// A part of a list of batches.
#[derive(Debug, Serialize)]
pub(super) struct ListDocument {
    pub(super) batches: Vec<BatchDocument>,
    /// To be sent as `after` for the next part; `null` at the end.
    pub(super) next: Option<u64>,
}

impl BatchDocument {
    pub(super) fn new(id: BatchId, summary: Summary) -> Self {
        let Summary { spec, status, lap, progress, created_at, started_at, ended_at, last_across, .. } = summary;
        let ended_as = |wanted| ended_at.filter(|_| status == wanted).map(rfc3339);
        Self {
            id,
            rows: spec.grid.rows(),
            columns: spec.grid.columns(),
            work: spec.work,
            seed: spec.seed,
            attempts: spec.attempts,
            timeout_ms: spec.timeout_ms,
            status,
            lap,
            tasks: progress.tasks,
            done: progress.done,
            failed: progress.failed,
            created_at: rfc3339(created_at),
            started_at: rfc3339(started_at),
            finished_at: ended_as(Status::Finished),
            cancelled_at: ended_as(Status::Cancelled),
            last_across,
        }
    }
}

fn rfc3339(at: Timestamp) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0) * 1_000_000)
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc_with_milliseconds() {
        assert_eq!(rfc3339(Timestamp(1_790_000_000_123)), "2026-09-21T14:13:20.123Z");
        assert_eq!(rfc3339(Timestamp(u64::MAX)), "");
    }
}
