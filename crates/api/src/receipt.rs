//! Receipts of finished laps, and the queries of receipts and journals.

use serde::{Deserialize, Serialize};

/// The record of a finish line: the response of `GET /api/batches/{id}/receipt`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptDocument {
    /// The id of the batch, 32 hexadecimal digits.
    pub batch: String,
    /// The lap, from 1.
    pub lap: u32,
    /// The number of tasks of the lap.
    pub lap_tasks: u32,
    /// The number of recorded attempts in the lap.
    pub attempts: u64,
    /// The number of squares of the quilt.
    pub tasks: u32,
    /// The number of done squares, in all laps.
    pub done: u32,
    /// The number of failed squares.
    pub failed: u32,
    /// The number of squares that were not run.
    #[serde(default)]
    pub not_run: u32,
    /// The start of the lap.
    pub started_at: String,
    /// The time at which the lap crossed its finish line.
    pub finished_at: String,
    /// The task that settled last.
    pub last_across: LastAcross,
    /// The tasks with the longest attempts, longest first: at most 5. Attempts below one millisecond are omitted.
    pub slowest: Vec<SlowTask>,
    /// The rule of the digest: 2, or 1 for batches of older versions, in which the reason of a failure is its whole message.
    #[serde(default = "first_rule")]
    pub digest_rule: u32,
    /// SHA-256 over the outcomes of all squares in reading order, as 64 hexadecimal digits. A done square is the byte 1 and its red, green
    /// and blue. A failed square is the byte 2, the length of its reason in bytes as 32 bits in big-endian order, and the reason. A square
    /// that was not run is the byte 3.
    pub outcomes_sha256: String,
}

const fn first_rule() -> u32 {
    1
}

/// The task that settled last in a lap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastAcross {
    /// The row of its square, from 0.
    pub row: u32,
    /// The column of its square, from 0.
    pub column: u32,
    /// The name of the worker that ran it; `null` if not recorded.
    pub worker: Option<String>,
    /// The attempt that settled it, from 1; `null` if not recorded.
    pub attempt: Option<u32>,
}

/// A task with a long attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlowTask {
    /// The row of its square, from 0.
    pub row: u32,
    /// The column of its square, from 0.
    pub column: u32,
    /// The name of the worker that ran it.
    pub worker: String,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The duration of the attempt, in milliseconds.
    pub took_ms: u32,
}

/// The query of `GET /api/batches/{id}/receipt`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptQuery {
    /// The lap, from 1; the last finished lap if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lap: Option<u32>,
}

/// The query of `GET /api/batches/{id}/journal`, whose response is binary.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalQuery {
    /// The number of events to skip; 0 if absent.
    #[serde(default)]
    pub after: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_golden;

    #[test]
    fn a_receipt_names_the_last_task_and_the_slowest_ones() {
        let receipt = ReceiptDocument {
            batch: "000102030405060708090a0b0c0d0e0f".into(),
            lap: 1,
            lap_tasks: 64,
            attempts: 5_000_000_000,
            tasks: 64,
            done: 63,
            failed: 1,
            not_run: 0,
            started_at: "2026-09-21T14:13:20.123Z".into(),
            finished_at: "2026-09-21T14:13:21.123Z".into(),
            last_across: LastAcross { row: 7, column: 0, worker: Some("host/1".into()), attempt: Some(2) },
            slowest: vec![SlowTask { row: 0, column: 7, worker: "host/2".into(), attempt: 1, took_ms: 900 }],
            digest_rule: 2,
            outcomes_sha256: "ab".repeat(32),
        };
        let golden = format!(
            concat!(
                r#"{{"batch":"000102030405060708090a0b0c0d0e0f","lap":1,"lap_tasks":64,"attempts":5000000000,"#,
                r#""tasks":64,"done":63,"failed":1,"not_run":0,"#,
                r#""started_at":"2026-09-21T14:13:20.123Z","finished_at":"2026-09-21T14:13:21.123Z","#,
                r#""last_across":{{"row":7,"column":0,"worker":"host/1","attempt":2}},"#,
                r#""slowest":[{{"row":0,"column":7,"worker":"host/2","attempt":1,"took_ms":900}}],"digest_rule":2,"outcomes_sha256":"{sha256}"}}"#
            ),
            sha256 = "ab".repeat(32)
        );
        assert_golden(&receipt, &golden);
    }

    #[test]
    fn a_worker_that_was_not_recorded_is_null() {
        let last = LastAcross { row: 0, column: 0, worker: None, attempt: None };
        assert_golden(&last, r#"{"row":0,"column":0,"worker":null,"attempt":null}"#);
    }

    #[test]
    fn queries_leave_out_what_is_not_asked_for() {
        assert_golden(&ReceiptQuery { lap: None }, "{}");
        assert_golden(&ReceiptQuery { lap: Some(2) }, r#"{"lap":2}"#);
        assert_golden(&JournalQuery { after: 12 }, r#"{"after":12}"#);
        assert_eq!(serde_json::from_str::<JournalQuery>("{}").expect("it has a default"), JournalQuery { after: 0 });
        assert!(serde_json::from_str::<JournalQuery>(r#"{"before":1}"#).is_err());
    }
}
