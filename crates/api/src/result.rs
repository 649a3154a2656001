//! The results of a batch: `GET /api/batches/{id}/results`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::square::TaskState;

/// The result of one square: a line of `application/x-ndjson`. The lines are in reading order: by row, then by column.
// The members are written in this order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResultLine {
    /// Its color, `#` and six hexadecimal digits; absent unless `state` is `done`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// Its column, from 0.
    pub column: u32,
    /// What its task recorded, by name. The names are those of the kind of work. Absent if it recorded nothing or made a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Map<String, Value>>,
    /// Why its task failed, in full; absent unless `state` is `failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// The item of the input that its task is about; absent if the work has no items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// Why its task failed, in a few words that failures of the same kind share; absent unless `state` is `failed`.
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
    /// The format; what the header `Accept` asks for if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<ResultFormat>,
    /// Only squares in this state; all if it is absent. Not with [`ResultFormat::Png`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<TaskState>,
    /// Only squares that failed for this reason; all if it is absent. Not with [`ResultFormat::Png`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The most squares to return; all if it is absent. Not with [`ResultFormat::Png`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// A format of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResultFormat {
    /// A [`ResultLine`] a line.
    Ndjson,
    /// A table, with a line of names first.
    Csv,
    /// The picture that the tasks made together; a pixel a square if they made none.
    Png,
}

impl ResultFormat {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Ndjson, Self::Csv, Self::Png];

    /// The word for it, as in a query. It is also the extension of such files.
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
