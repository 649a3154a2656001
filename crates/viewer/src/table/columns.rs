//! The columns of the table, and the values in them.

use api::{ResultLine, ResultSort};
use serde::{Deserialize, Serialize};

use crate::format;

/// The place of the column with the item.
pub const ITEM: usize = 0;
/// The column that names the square.
pub const SQUARE: usize = 1;
/// The column with the state.
pub const STATE: usize = 2;
/// The column with the color.
pub const COLOR: usize = 3;
/// The column with the duration of the last attempt.
pub const DURATION: usize = 4;
/// The column with the number of the last attempt.
pub const ATTEMPTS: usize = 5;
/// The column with the worker of the last attempt.
pub const WORKER: usize = 6;
/// The column that says why the task failed.
pub const REASON: usize = 7;

/// The columns of every kind of work: a name, and a label above it.
const COMMON_COLUMNS: [(&str, &str); 8] = [
    ("item", "Item"),
    ("square", "Square"),
    ("state", "State"),
    ("color", "Color"),
    ("duration", "Duration"),
    ("attempts", "Attempts"),
    ("worker", "Worker"),
    ("failed", "Reason"),
];

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// The name of the value in results.
    pub name: String,
    /// The text in the header.
    pub label: String,
}

/// A value of a task's detail as text: lists and objects as JSON, `null` as no text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value(String);

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&serde_json::Value> for Value {
    fn from(value: &serde_json::Value) -> Self {
        Self(match value {
            serde_json::Value::Null => String::new(),
            serde_json::Value::String(text) => text.clone(),
            value => value.to_string(),
        })
    }
}

/// The columns of every kind of work.
pub(super) fn common() -> Vec<Column> {
    COMMON_COLUMNS.map(|(name, label)| Column { name: name.into(), label: label.into() }).into()
}

/// The value of a row in the column at a place; empty if it has none.
pub(super) fn text(row: &ResultLine, place: usize, column: &Column) -> String {
    let text = match place {
        ITEM => row.item.clone(),
        SQUARE => Some(format!("{}, {}", row.row, row.column)),
        STATE => Some(row.state.words().into()),
        COLOR => row.color.clone(),
        DURATION => row.took_ms.map(|took_ms| format::duration(took_ms.into())),
        ATTEMPTS => row.attempts.map(|attempts| attempts.to_string()),
        WORKER => row.worker.clone(),
        REASON => row.failed.clone(),
        _ => row.detail.as_ref().and_then(|detail| detail.get(&column.name)).map(|value| Value::from(value).0),
    };
    text.unwrap_or_default()
}

/// By what a column is sorted, if it can be.
#[must_use]
pub fn sort_of(column: usize) -> Option<ResultSort> {
    match column {
        SQUARE => Some(ResultSort::Square),
        STATE => Some(ResultSort::State),
        DURATION => Some(ResultSort::Duration),
        ATTEMPTS => Some(ResultSort::Attempts),
        _ => None,
    }
}
