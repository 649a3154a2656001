//! Converts the types of the engine to those of the API. Structs are destructured completely, so that new members cause a compile error here.

use std::time::Duration;

use ::api::{
    Attempt, BatchDocument, BatchStatus, CancelCause, LastAcross, ReceiptDocument, SlowTask, SquareDocument, TaskState,
    WaitingFor,
};
use engine::dispatch::Waiting;
use engine::work::Detail;
use engine::{SlotClass, SquareRecord, SquareResult};
use quilt::{
    AttemptRecord, BatchId, BatchSpec, Progress, Receipt, Square, Status, Summary, Timestamp, Tolerance, receipt,
};

/// Converts the summary of a batch.
pub(super) fn batch_document(id: BatchId, summary: Summary) -> BatchDocument {
    let Summary {
        spec,
        status,
        lap,
        lap_tasks: _,
        progress: Progress { tasks, done, failed, not_run },
        created_at,
        started_at,
        ended_at,
        last_across,
        concurrency,
        cancelled_because,
    } = summary;
    let labels = spec.labels_by_name();
    // The limit in `spec` is the one at launch. The current one is in the summary.
    let BatchSpec {
        work,
        grid,
        seed,
        attempts,
        timeout_ms,
        concurrency: _,
        tolerated_failures,
        halt,
        deadline_ms,
        order,
        title,
        labels: _,
        priority,
        not_before,
    } = spec;
    let (tolerated_failures, max_failures) = Tolerance::parts(tolerated_failures);
    let ended_as = |wanted| ended_at.filter(|_| status == wanted).map(rfc3339);
    BatchDocument {
        id: id.to_string(),
        work,
        rows: grid.rows().into(),
        columns: grid.columns().into(),
        seed,
        attempts: attempts.into(),
        timeout_ms,
        concurrency,
        tolerated_failures,
        max_failures,
        halt: halt.as_str().into(),
        deadline_ms,
        order: order.as_str().into(),
        title: title.map(Into::into),
        labels,
        priority: priority.as_str().into(),
        not_before: not_before.map(rfc3339),
        status: batch_status(status),
        lap,
        tasks,
        done,
        failed,
        not_run,
        created_at: rfc3339(created_at),
        started_at: rfc3339(started_at),
        finished_at: ended_as(Status::Finished),
        cancelled_at: ended_as(Status::Cancelled),
        cancelled_because: cancelled_because.map(cancel_cause),
        last_across: last_across.map(square_of),
    }
}

/// Converts the record of a square, with all of its attempts.
pub(super) fn square_document(
    id: BatchId,
    square: Square,
    item: Option<String>,
    record: SquareRecord,
    waiting: Option<Waiting>,
) -> SquareDocument {
    let SquareRecord { result, attempts } = record;
    let Square { row, column } = square;
    let detail = result.detail().cloned();
    let ResultFields { state, color, failed, reason } = ResultFields::from(result);
    let (detail, picture) = match detail {
        Some(Detail::Record(record)) => (Some(record), None),
        Some(Detail::Picture(_)) => (None, Some(format!("/api/batches/{id}/squares/{row}/{column}/picture.png"))),
        None => (None, None),
    };
    SquareDocument {
        row: row.into(),
        column: column.into(),
        item,
        state,
        color,
        failed,
        reason,
        detail,
        picture,
        waiting: waiting.map(waiting_document),
        attempts: attempts.into_iter().map(attempt).collect(),
    }
}

fn waiting_document(waiting: Waiting) -> ::api::Waiting {
    let until = match waiting {
        Waiting::Retry { in_ms } | Waiting::NotBefore { in_ms } | Waiting::KeyPaused { in_ms, .. } => {
            Some(rfc3339(engine::now().plus_millis(in_ms)))
        }
        _ => None,
    };
    let (cause, text) = match waiting {
        Waiting::Running => (WaitingFor::Running, "a worker has it".into()),
        Waiting::Paused => (WaitingFor::Paused, "its batch is paused".into()),
        Waiting::Stopping => (WaitingFor::Stopping, "its batch is being stopped".into()),
        Waiting::Limit { concurrency } => {
            (WaitingFor::Concurrency, format!("its batch runs {concurrency} at a time, and as many run"))
        }
        Waiting::Retry { in_ms } => {
            (WaitingFor::Retry, format!("it is tried again in {:.1} s", Duration::from_millis(in_ms).as_secs_f64()))
        }
        Waiting::NotBefore { in_ms } => (
            WaitingFor::NotBefore,
            format!("its batch was launched to start in {:.1} s", Duration::from_millis(in_ms).as_secs_f64()),
        ),
        Waiting::Unable => {
            (WaitingFor::Unable, "no node can run it: its kind of work or its command is unknown there".into())
        }
        Waiting::KeyFull { key, running } => {
            (WaitingFor::Key, format!("{running} tasks for {key} run, and no more may at the same time"))
        }
        Waiting::KeyPaused { key, in_ms } => {
            let seconds = Duration::from_millis(in_ms).as_secs_f64();
            (WaitingFor::Key, format!("no task for {key} starts for {seconds:.1} s"))
        }
        Waiting::NoSlots { class } => {
            let setting = match class {
                SlotClass::Async => "slots",
                SlotClass::Compute => "compute_slots",
                SlotClass::Process => "process_slots",
            };
            (WaitingFor::NoSlots, format!("no node has slots for it ({setting})"))
        }
        Waiting::Suspected => {
            (WaitingFor::Suspected, "its workers were lost, and few such tasks run at the same time".into())
        }
        Waiting::Turn => (WaitingFor::Turn, "it waits for a free worker".into()),
        Waiting::Coordinator => (WaitingFor::Coordinator, "no node coordinates its batch at this moment".into()),
    };
    ::api::Waiting { cause, until, text }
}

fn attempt(record: AttemptRecord) -> Attempt {
    let AttemptRecord { lap, number, worker, started_at, took_ms, error } = record;
    Attempt {
        lap,
        attempt: number.into(),
        worker: worker.into(),
        started_at: rfc3339(started_at),
        took_ms,
        error: error.map(Into::into),
    }
}

/// Converts the receipt of a lap.
pub(super) fn receipt_document(batch: BatchId, receipt: Receipt) -> ReceiptDocument {
    let Receipt {
        lap,
        lap_tasks,
        attempts,
        tasks,
        done,
        failed,
        not_run,
        started_at,
        finished_at,
        last_across,
        slowest,
        digest_rule,
        outcomes_sha256,
    } = receipt;
    ReceiptDocument {
        batch: batch.to_string(),
        lap,
        lap_tasks,
        attempts,
        tasks,
        done,
        failed,
        not_run,
        started_at: rfc3339(started_at),
        finished_at: rfc3339(finished_at),
        last_across: last_task(last_across),
        slowest: slowest.into_iter().map(slow_task).collect(),
        digest_rule: digest_rule.into(),
        outcomes_sha256,
    }
}

fn last_task(last: receipt::LastAcross) -> LastAcross {
    let receipt::LastAcross { square: Square { row, column }, worker, attempt } = last;
    LastAcross {
        row: row.into(),
        column: column.into(),
        worker: worker.map(Into::into),
        attempt: attempt.map(Into::into),
    }
}

fn slow_task(slow: receipt::SlowTask) -> SlowTask {
    let receipt::SlowTask { square: Square { row, column }, worker, attempt, took_ms } = slow;
    SlowTask { row: row.into(), column: column.into(), worker: worker.into(), attempt: attempt.into(), took_ms }
}

/// The members of a document that depend on the result.
pub(super) struct ResultFields {
    pub(super) state: TaskState,
    pub(super) color: Option<String>,
    /// The whole message of a failure.
    pub(super) failed: Option<String>,
    /// The reason of a failure, by which failures are grouped.
    pub(super) reason: Option<String>,
}

impl From<SquareResult> for ResultFields {
    fn from(result: SquareResult) -> Self {
        let empty = |state| Self { state, color: None, failed: None, reason: None };
        match result {
            SquareResult::Pending => empty(TaskState::Pending),
            SquareResult::NotRun => empty(TaskState::NotRun),
            SquareResult::Done { color, .. } => Self { color: Some(color.into()), ..empty(TaskState::Done) },
            SquareResult::Failed { reason, message, .. } => {
                Self { failed: Some(message.into()), reason: Some(reason.into()), ..empty(TaskState::Failed) }
            }
        }
    }
}

/// Converts row and column.
pub(super) fn square_of(Square { row, column }: Square) -> ::api::Square {
    ::api::Square { row: row.into(), column: column.into() }
}

fn batch_status(status: Status) -> BatchStatus {
    match status {
        Status::Running => BatchStatus::Running,
        Status::Paused => BatchStatus::Paused,
        Status::Draining => BatchStatus::Draining,
        Status::Finished => BatchStatus::Finished,
        Status::Cancelled => BatchStatus::Cancelled,
    }
}

fn cancel_cause(cause: quilt::CancelCause) -> CancelCause {
    match cause {
        quilt::CancelCause::Asked => CancelCause::Asked,
        quilt::CancelCause::Deadline => CancelCause::Deadline,
        quilt::CancelCause::Failures => CancelCause::Failures,
    }
}

fn rfc3339(at: Timestamp) -> String {
    at.to_rfc3339().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc_with_milliseconds() {
        assert_eq!(rfc3339(Timestamp(1_790_000_000_123)), "2026-09-21T14:13:20.123Z");
        assert_eq!(rfc3339(Timestamp(u64::MAX)), "");
    }

    #[test]
    fn a_status_has_one_word_on_pages_and_in_the_api() {
        for status in [Status::Running, Status::Paused, Status::Draining, Status::Finished, Status::Cancelled] {
            assert_eq!(batch_status(status).as_str(), status.as_str());
            assert_eq!(batch_status(status).is_over(), status.is_over());
        }
    }
}
