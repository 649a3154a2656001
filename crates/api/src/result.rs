//! The results of a batch: `GET /api/batches/{id}/results`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::square::TaskState;

/// The result of one square: a line of `application/x-ndjson`. The lines are in reading order: by row, then by column.
// The declaration order is the order in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResultLine {
    /// Its color, `#` and six hexadecimal digits; absent unless `state` is `done`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// Its column, from 0.
    pub column: u32,
    /// Details that the task recorded, by name. The kind of work determines the names. Absent if there are none, or the task produced a
    /// picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Map<String, Value>>,
    /// The whole message of the failure; absent unless `state` is `failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// The input item of its task; absent if the work has no items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// The reason for the failure: a few words that are the same for similar failures; absent unless `state` is `failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its row, from 0.
    pub row: u32,
    /// The state of its task.
    pub state: TaskState,
}

/// The query of `GET /api/batches/{id}/results`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResultsQuery {
    /// The format; if absent, the header `Accept` determines it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<ResultFormat>,
    /// Only squares in this state; all if absent. Not with [`ResultFormat::Png`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<TaskState>,
    /// Only squares that failed for this reason; all if absent. Not with [`ResultFormat::Png`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The maximum number of squares in the response; no limit if absent. Not with [`ResultFormat::Png`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// A format of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResultFormat {
    /// One [`ResultLine`] per line.
    Ndjson,
    /// A table with a header.
    Csv,
    /// The pictures of all tasks, joined; one pixel per square if the work has no pictures.
    Png,
}

impl ResultFormat {
    /// All formats.
    pub const ALL: [Self; 3] = [Self::Ndjson, Self::Csv, Self::Png];

    /// Returns the word in queries, which is also the file extension.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Png => "png",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_golden;

    #[test]
    fn a_line_leaves_out_what_there_is_not() {
        let pending = ResultLine {
            row: 1,
            column: 2,
            item: None,
            state: TaskState::Pending,
            color: None,
            failed: None,
            reason: None,
            detail: None,
        };
        assert_golden(&pending, r#"{"column":2,"row":1,"state":"pending"}"#);
        let done = ResultLine {
            item: Some("a".into()),
            state: TaskState::Done,
            color: Some("#0000AB".into()),
            detail: Some([("ms".into(), 3.into())].into_iter().collect()),
            ..pending.clone()
        };
        assert_golden(&done, r##"{"color":"#0000AB","column":2,"detail":{"ms":3},"item":"a","row":1,"state":"done"}"##);
        let failed = ResultLine {
            state: TaskState::Failed,
            failed: Some("no such host: a.example".into()),
            reason: Some("no such host".into()),
            ..pending
        };
        assert_golden(
            &failed,
            r#"{"column":2,"failed":"no such host: a.example","reason":"no such host","row":1,"state":"failed"}"#,
        );
    }

    #[test]
    fn queries_leave_out_what_is_not_asked_for() {
        assert_golden(&ResultsQuery::default(), "{}");
        let query = ResultsQuery {
            format: Some(ResultFormat::Ndjson),
            state: Some(TaskState::Failed),
            reason: Some("timed out".into()),
            limit: Some(5),
        };
        assert_golden(&query, r#"{"format":"ndjson","state":"failed","reason":"timed out","limit":5}"#);
        assert!(serde_json::from_str::<ResultsQuery>(r#"{"color":1}"#).is_err());
    }

    #[test]
    fn formats_are_words() {
        for format in ResultFormat::ALL {
            assert_golden(&format, &format!(r#""{}""#, format.as_str()));
        }
    }
}
