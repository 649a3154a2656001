//! Batches, lists of batches, and changes of batches.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::launch::{Number, WorkSpec};
use crate::square::Square;

/// A batch: the response of `GET /api/batches/{id}`, and of all requests that launch, change, cancel or retry one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchDocument {
    /// 32 hexadecimal digits. The id grants read access.
    pub id: String,
    /// The work of each task.
    pub work: WorkSpec,
    /// The number of rows, 1 to 4,096.
    pub rows: u32,
    /// The number of columns, 1 to 4,096.
    pub columns: u32,
    /// Determines the order of the tasks; at most 2^53 - 1, so that all JSON clients can represent it exactly.
    pub seed: u64,
    /// The maximum number of attempts at a task, at least 1.
    pub attempts: u32,
    /// The time limit of one attempt, in milliseconds.
    pub timeout_ms: u32,
    /// The maximum number of tasks that run at the same time; `null` for no limit.
    pub concurrency: Option<u32>,
    /// The share of a lap's tasks, from 0 to 1, that may fail. If more fail, the lap is stopped. `null` for no limit.
    pub tolerated_failures: Option<f64>,
    /// The number of a lap's tasks that may fail. If more fail, the lap is stopped. `null` for no limit.
    #[serde(default)]
    pub max_failures: Option<u32>,
    /// How the lap is stopped when too many tasks have failed: `now` or `soon`.
    #[serde(default)]
    pub halt: String,
    /// The time limit of a lap, in milliseconds; `null` for no limit.
    pub deadline_ms: Option<u32>,
    /// The order in which the squares run: `random` or `input`.
    #[serde(default)]
    pub order: String,
    /// A title for people; `null` if there is none.
    #[serde(default)]
    pub title: Option<String>,
    /// Labels for programs, by name.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Its share of the working time: `low`, `normal` or `high`.
    #[serde(default)]
    pub priority: String,
    /// No task of the first lap starts before this time; `null` for an immediate start.
    #[serde(default)]
    pub not_before: Option<String>,
    /// The status of the batch.
    pub status: BatchStatus,
    /// The current lap, from 1.
    pub lap: u32,
    /// The number of squares. The last row may be shorter than the others, so this can be less than `rows * columns`.
    pub tasks: u32,
    /// The number of done squares.
    pub done: u32,
    /// The number of failed squares.
    pub failed: u32,
    /// The number of squares that were not run because the batch was stopped, and that no later lap runs.
    #[serde(default)]
    pub not_run: u32,
    /// The time of the launch.
    pub created_at: String,
    /// The start of the current lap.
    pub started_at: String,
    /// The time at which the current lap crossed its finish line; `null` unless `status` is `finished`.
    pub finished_at: Option<String>,
    /// The time of the cancellation; `null` unless `status` is `cancelled`.
    pub cancelled_at: Option<String>,
    /// The cause of the cancellation; `null` unless `status` is `cancelled` or `draining`.
    pub cancelled_because: Option<CancelCause>,
    /// The square that settled last in the current lap; `null` until the finish line.
    pub last_across: Option<Square>,
}

/// The status of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BatchStatus {
    /// Some tasks are not settled.
    Running,
    /// Some tasks are not settled, and no more tasks start.
    Paused,
    /// The batch stops: no more tasks start, and some running tasks are not settled.
    Draining,
    /// All squares of the lap have outcomes.
    Finished,
    /// The batch was cancelled before all squares had outcomes.
    Cancelled,
}

impl BatchStatus {
    /// Returns the word in JSON.
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

    /// Whether the current lap has ended.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Cancelled)
    }
}

/// The cause of a cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CancelCause {
    /// A request of the owner.
    Asked,
    /// The `deadline_ms` of the lap.
    Deadline,
    /// More failed tasks than `tolerated_failures` or `max_failures` allows.
    Failures,
}

/// A page of the batches of a session, newest first: the response of `GET /api/batches`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchList {
    /// The batches of this page.
    pub batches: Vec<BatchDocument>,
    /// The cursor of the next page, for [`ListQuery::after`]; `null` on the last page.
    pub next: Option<u64>,
}

/// The query of `GET /api/batches`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    /// The cursor of a page, from [`BatchList::next`]. If absent, returns the newest batches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// The maximum number of batches in the response, 1 to 100; 100 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// The body of `PATCH /api/batches/{id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchChanges {
    /// The maximum number of tasks that run at the same time, 1 to 65,536; `null` removes the limit. Required.
    // Without this attribute serde treats an absent member as `null`.
    #[serde(deserialize_with = "Option::deserialize")]
    pub concurrency: Option<Number>,
}

/// The query of `POST /api/batches/{id}/cancel`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CancelQuery {
    /// Whether running tasks may end and have their outcomes counted.
    #[serde(default)]
    pub drain: bool,
}

/// The reasons for failures of a batch: the response of `GET /api/batches/{id}/reasons`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonList {
    /// The most frequent reasons, most frequent first; at most 1,000.
    pub reasons: Vec<ReasonCount>,
    /// The number of distinct reasons. All reasons after the first 65,536 of a batch are replaced by `other`.
    pub total: u32,
}

/// A reason for failures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonCount {
    /// A few words, at most 64 bytes.
    pub reason: String,
    /// The number of squares that failed for this reason.
    pub squares: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_golden;

    fn running() -> BatchDocument {
        BatchDocument {
            id: "000102030405060708090a0b0c0d0e0f".into(),
            work: WorkSpec {
                kind: "color".into(),
                parameters: [("failure_rate".into(), 0.5.into())].into_iter().collect(),
            },
            rows: 2,
            columns: 3,
            seed: 9_007_199_254_740_991,
            attempts: 3,
            timeout_ms: 60_000,
            concurrency: None,
            tolerated_failures: None,
            max_failures: None,
            halt: "now".into(),
            deadline_ms: None,
            order: "random".into(),
            title: None,
            labels: BTreeMap::new(),
            priority: "normal".into(),
            not_before: None,
            status: BatchStatus::Running,
            lap: 1,
            tasks: 5,
            done: 4,
            failed: 0,
            not_run: 0,
            created_at: "2026-09-21T14:13:20.123Z".into(),
            started_at: "2026-09-21T14:13:20.123Z".into(),
            finished_at: None,
            cancelled_at: None,
            cancelled_because: None,
            last_across: None,
        }
    }

    const RUNNING: &str = concat!(
        r#"{"id":"000102030405060708090a0b0c0d0e0f","work":{"kind":"color","failure_rate":0.5},"rows":2,"columns":3,"#,
        r#""seed":9007199254740991,"attempts":3,"timeout_ms":60000,"concurrency":null,"tolerated_failures":null,"max_failures":null,"halt":"now","deadline_ms":null,"#,
        r#""order":"random","title":null,"labels":{},"priority":"normal","not_before":null,"status":"running","lap":1,"tasks":5,"done":4,"failed":0,"not_run":0,"#,
        r#""created_at":"2026-09-21T14:13:20.123Z","started_at":"2026-09-21T14:13:20.123Z","#,
        r#""finished_at":null,"cancelled_at":null,"cancelled_because":null,"last_across":null}"#
    );

    #[test]
    fn what_a_running_batch_lacks_is_null() {
        assert_golden(&running(), RUNNING);
    }

    #[test]
    fn a_cancelled_batch_has_its_limits_and_its_cause() {
        let batch = BatchDocument {
            concurrency: Some(5),
            tolerated_failures: Some(0.1),
            deadline_ms: Some(1_000),
            status: BatchStatus::Cancelled,
            cancelled_at: Some("2026-09-21T14:13:21.123Z".into()),
            cancelled_because: Some(CancelCause::Deadline),
            ..running()
        };
        let golden = RUNNING
            .replace(r#""concurrency":null"#, r#""concurrency":5"#)
            .replace(r#""tolerated_failures":null"#, r#""tolerated_failures":0.1"#)
            .replace(r#""deadline_ms":null"#, r#""deadline_ms":1000"#)
            .replace(r#""running""#, r#""cancelled""#)
            .replace(r#""cancelled_at":null"#, r#""cancelled_at":"2026-09-21T14:13:21.123Z""#)
            .replace(r#""cancelled_because":null"#, r#""cancelled_because":"deadline""#);
        assert_golden(&batch, &golden);
    }

    #[test]
    fn a_finished_batch_names_the_square_that_was_last() {
        let batch = BatchDocument {
            status: BatchStatus::Finished,
            finished_at: Some("2026-09-21T14:13:21.123Z".into()),
            last_across: Some(Square { row: 1, column: 0 }),
            ..running()
        };
        let golden = RUNNING
            .replace(r#""running""#, r#""finished""#)
            .replace(r#""finished_at":null"#, r#""finished_at":"2026-09-21T14:13:21.123Z""#)
            .replace(r#""last_across":null"#, r#""last_across":{"row":1,"column":0}"#);
        assert_golden(&batch, &golden);
    }

    #[test]
    fn a_list_ends_without_a_cursor() {
        assert_golden(&BatchList { batches: Vec::new(), next: None }, r#"{"batches":[],"next":null}"#);
        let list = BatchList { batches: vec![running()], next: Some(17) };
        assert_golden(&list, &format!(r#"{{"batches":[{RUNNING}],"next":17}}"#));
        assert_golden(&ListQuery::default(), "{}");
        assert_golden(&ListQuery { after: Some(17), limit: Some(100) }, r#"{"after":17,"limit":100}"#);
    }

    #[test]
    fn reasons_are_counted() {
        let reasons = vec![ReasonCount { reason: "timed out".into(), squares: 3 }];
        assert_golden(
            &ReasonList { reasons, total: 1 },
            r#"{"reasons":[{"reason":"timed out","squares":3}],"total":1}"#,
        );
        assert_golden(&CancelQuery { drain: true }, r#"{"drain":true}"#);
    }

    #[test]
    fn a_change_must_name_the_limit_that_it_changes() {
        assert_golden(&BatchChanges { concurrency: Some(5.into()) }, r#"{"concurrency":5}"#);
        assert_golden(&BatchChanges { concurrency: None }, r#"{"concurrency":null}"#);
        for refused in ["{}", r#"{"concurrency":"5"}"#, r#"{"concurrency":5,"seed":1}"#] {
            assert!(serde_json::from_str::<BatchChanges>(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn states_and_causes_are_words() {
        for (status, is_over) in [
            (BatchStatus::Running, false),
            (BatchStatus::Paused, false),
            (BatchStatus::Draining, false),
            (BatchStatus::Finished, true),
            (BatchStatus::Cancelled, true),
        ] {
            assert_golden(&status, &format!(r#""{}""#, status.as_str()));
            assert_eq!(status.is_over(), is_over, "{status:?}");
        }
        for (cause, word) in
            [(CancelCause::Asked, "asked"), (CancelCause::Deadline, "deadline"), (CancelCause::Failures, "failures")]
        {
            assert_golden(&cause, &format!(r#""{word}""#));
        }
    }
}
