//! How batches look in JSON.

use engine::SquareRecord;
use engine::work::Detail;
use quilt::receipt::{LastAcross, SlowTask};
use quilt::{
    AttemptRecord, BatchId, CancelCause, Color, Outcome, Receipt, Square, Status, Summary, Timestamp, WorkSpec,
};
use serde::Serialize;
use serde_json::{Map, Value};
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
    /// How many of its tasks may run at the same time; `null` for as many as are of use.
    concurrency: Option<u32>,
    tolerated_failures: Option<f64>,
    deadline_ms: Option<u32>,
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
    cancelled_because: Option<CancelCause>,
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
        let Summary { concurrency, cancelled_because, .. } = summary;
        let ended_as = |wanted| ended_at.filter(|_| status == wanted).map(rfc3339);
        Self {
            id,
            rows: spec.grid.rows(),
            columns: spec.grid.columns(),
            work: spec.work,
            seed: spec.seed,
            attempts: spec.attempts,
            timeout_ms: spec.timeout_ms,
            concurrency,
            tolerated_failures: spec.tolerated_failures,
            deadline_ms: spec.deadline_ms,
            status,
            lap,
            tasks: progress.tasks,
            done: progress.done,
            failed: progress.failed,
            created_at: rfc3339(created_at),
            started_at: rfc3339(started_at),
            finished_at: ended_as(Status::Finished),
            cancelled_at: ended_as(Status::Cancelled),
            cancelled_because,
            last_across,
        }
    }
}

/// One square, with every attempt at it.
#[derive(Debug, Serialize)]
pub(super) struct SquareDocument {
    #[serde(flatten)]
    square: Square,
    /// What its task is about, as far as that is more than its place.
    item: Option<String>,
    state: &'static str,
    color: Option<Color>,
    /// The reason, where it failed.
    failed: Option<Box<str>>,
    /// What else there is to know, where that is no picture.
    detail: Option<Map<String, Value>>,
    /// Where the picture of its task is, if it made one.
    picture: Option<String>,
    attempts: Vec<AttemptDocument>,
}

/// One attempt.
#[derive(Debug, Serialize)]
struct AttemptDocument {
    lap: u32,
    attempt: u8,
    worker: Box<str>,
    started_at: String,
    took_ms: u32,
    /// Why it failed; `null` where the task was done.
    error: Option<Box<str>>,
}

impl SquareDocument {
    pub(super) fn new(id: BatchId, square: Square, item: Option<String>, record: SquareRecord) -> Self {
        let (state, color, failed) = match record.outcome {
            None => ("pending", None, None),
            Some(Outcome::Done(color)) => ("done", Some(color), None),
            Some(Outcome::Failed(reason)) => ("failed", None, Some(reason)),
        };
        let attempts = record.attempts.into_iter().map(AttemptDocument::from).collect();
        let (detail, picture) = match record.detail {
            Some(Detail::Record(record)) => (Some(record), None),
            Some(Detail::Picture(_)) => {
                let Square { row, column } = square;
                (None, Some(format!("/api/batches/{id}/squares/{row}/{column}/picture.png")))
            }
            None => (None, None),
        };
        Self { square, item, state, color, failed, detail, picture, attempts }
    }
}

impl From<AttemptRecord> for AttemptDocument {
    fn from(record: AttemptRecord) -> Self {
        let AttemptRecord { lap, number, worker, started_at, took_ms, error } = record;
        Self { lap, attempt: number, worker, started_at: rfc3339(started_at), took_ms, error }
    }
}

/// What is left of a lap at its finish line.
#[derive(Debug, Serialize)]
pub(super) struct ReceiptDocument {
    batch: BatchId,
    lap: u32,
    /// How many tasks the lap had to run.
    lap_tasks: u32,
    /// How many attempts at them were recorded.
    attempts: u64,
    tasks: u32,
    done: u32,
    failed: u32,
    started_at: String,
    finished_at: String,
    last_across: LastAcross,
    slowest: Vec<SlowTask>,
    outcomes_sha256: String,
}

impl ReceiptDocument {
    pub(super) fn new(batch: BatchId, receipt: Receipt) -> Self {
        let Receipt { lap, lap_tasks, attempts, tasks, done, failed, started_at, finished_at, .. } = receipt;
        let Receipt { last_across, slowest, outcomes_sha256, .. } = receipt;
        let (started_at, finished_at) = (rfc3339(started_at), rfc3339(finished_at));
        Self {
            batch,
            lap,
            lap_tasks,
            attempts,
            tasks,
            done,
            failed,
            started_at,
            finished_at,
            last_across,
            slowest,
            outcomes_sha256,
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
