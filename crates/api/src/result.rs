//! The results of a batch: `GET /api/batches/{id}/results`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::square::TaskState;

/// The result of one square: a line of `application/x-ndjson`. The lines are in reading order: by row, then by column.
// The declaration order is the order in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResultLine {
    /// The number of the last attempt at its task in the lap in which it was made. Absent unless [`ResultsQuery::attempts`] asks for it,
    /// before the lap has ended, and if its task was never started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
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
    /// How long the last attempt took, in milliseconds. Absent like `attempts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u32>,
    /// The name of the worker that made the last attempt. Absent like `attempts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
}

/// A page of results, as [`ResultFormat::Json`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ResultPage {
    /// The squares that match, in the requested order. There may be fewer than the limit, or none, although more follow: a text search
    /// stops when its time is used up, and a page has a limit of bytes.
    pub rows: Vec<ResultLine>,
    /// The cursor of the next page, for [`ResultsQuery::after`]; `null` if this is the last page.
    pub next: Option<String>,
    /// How many squares match; `null` if that is not known. It is known without a text, and if the first page of a text search reaches the
    /// last square in time.
    pub matching: Option<u32>,
    /// How many squares this page and those before it have gone through.
    pub searched: u32,
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
    /// The most squares to return. Not with [`ResultFormat::Png`]. If it is absent, a page has [`DEFAULT_PAGE_ROWS`] rows, and a file all
    /// of them. A larger one than [`MAX_PAGE_ROWS`] is refused together with the members below that ask for a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Asks for the page after this cursor, which an earlier page with the same `sort` and `order` returned. It may also be the number of
    /// squares to skip, filtered ones included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Only squares with this text in their position, item, color, reason, message or detail. Ignores case. Asks for a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The value by which the squares are ordered; reading order if it is absent. Asks for a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<ResultSort>,
    /// The direction; ascending if it is absent. Asks for a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<SortOrder>,
    /// Adds the number, the duration and the worker of the last attempt to each line, once the lap has ended. Not with
    /// [`ResultFormat::Png`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub attempts: bool,
}

impl ResultsQuery {
    /// Whether it has a member that only pages have.
    #[must_use]
    pub const fn asks_for_page(&self) -> bool {
        self.after.is_some() || self.text.is_some() || self.sort.is_some() || self.order.is_some()
    }
}

/// The rows of a page without a limit.
pub const DEFAULT_PAGE_ROWS: u32 = 100;

/// The most rows of a page.
pub const MAX_PAGE_ROWS: u32 = 1_000;

/// The value by which results are ordered. Squares with the same value are in reading order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResultSort {
    /// Reading order: by row, then by column.
    Square,
    /// By state: done, failed, not run. Only once the lap has ended.
    State,
    /// By the duration of the last attempt; squares without one are last in either direction. Only once the lap has ended.
    Duration,
    /// By the number of the last attempt; squares without one are last in either direction. Only once the lap has ended.
    Attempts,
}

impl ResultSort {
    /// Every value.
    pub const ALL: [Self; 4] = [Self::Square, Self::State, Self::Duration, Self::Attempts];

    /// The word for it, as in a query.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Square => "square",
            Self::State => "state",
            Self::Duration => "duration",
            Self::Attempts => "attempts",
        }
    }
}

/// The direction of an order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SortOrder {
    /// Smallest first.
    #[default]
    #[serde(rename = "asc")]
    Ascending,
    /// Largest first.
    #[serde(rename = "desc")]
    Descending,
}

impl SortOrder {
    /// Every direction.
    pub const ALL: [Self; 2] = [Self::Ascending, Self::Descending];

    /// The word for it, as in a query.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ascending => "asc",
            Self::Descending => "desc",
        }
    }
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
    /// A page as one [`ResultPage`].
    Json,
}

impl ResultFormat {
    /// The formats of files, which have all squares.
    pub const FILES: [Self; 3] = [Self::Ndjson, Self::Csv, Self::Png];

    /// Returns the word in queries, which is also the file extension.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Png => "png",
            Self::Json => "json",
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
            attempts: None,
            row: 1,
            column: 2,
            item: None,
            state: TaskState::Pending,
            color: None,
            failed: None,
            reason: None,
            detail: None,
            took_ms: None,
            worker: None,
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
            ..pending.clone()
        };
        assert_golden(
            &failed,
            r#"{"column":2,"failed":"no such host: a.example","reason":"no such host","row":1,"state":"failed"}"#,
        );
        let tried = ResultLine { attempts: Some(2), took_ms: Some(7), worker: Some("host/1".into()), ..pending };
        assert_golden(&tried, r#"{"attempts":2,"column":2,"row":1,"state":"pending","took_ms":7,"worker":"host/1"}"#);
        let page = ResultPage { rows: vec![tried], next: Some("7".into()), matching: None, searched: 7 };
        assert_golden(
            &page,
            concat!(
                r#"{"rows":[{"attempts":2,"column":2,"row":1,"state":"pending","took_ms":7,"worker":"host/1"}],"#,
                r#""next":"7","matching":null,"searched":7}"#
            ),
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
            ..ResultsQuery::default()
        };
        assert_golden(&query, r#"{"format":"ndjson","state":"failed","reason":"timed out","limit":5}"#);
        assert!(!query.asks_for_page());
        let page = ResultsQuery {
            after: Some("5".into()),
            text: Some("a".into()),
            sort: Some(ResultSort::Duration),
            order: Some(SortOrder::Descending),
            attempts: true,
            ..ResultsQuery::default()
        };
        assert_golden(&page, r#"{"after":"5","text":"a","sort":"duration","order":"desc","attempts":true}"#);
        assert!(page.asks_for_page());
        assert!(serde_json::from_str::<ResultsQuery>(r#"{"color":1}"#).is_err());
    }

    #[test]
    fn formats_are_words() {
        for format in ResultFormat::FILES.into_iter().chain([ResultFormat::Json]) {
            assert_golden(&format, &format!(r#""{}""#, format.as_str()));
        }
        for sort in ResultSort::ALL {
            assert_golden(&sort, &format!(r#""{}""#, sort.as_str()));
        }
        for order in SortOrder::ALL {
            assert_golden(&order, &format!(r#""{}""#, order.as_str()));
        }
    }
}
