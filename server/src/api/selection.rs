//! Which squares a request for results selects.

use ::api::TaskState;
use engine::work::Detail;
use quilt::{Quilt, SquareState};
use serde_json::Value;

use super::formats::Row;

/// Selects squares by state, reason and text. All members that are not `None` have to match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Selection {
    state: Option<TaskState>,
    reason: Option<String>,
    /// In lower case.
    text: Option<String>,
}

impl Selection {
    /// An empty text selects all squares.
    pub(super) fn new(state: Option<TaskState>, reason: Option<String>, text: Option<&str>) -> Self {
        let text = text.filter(|text| !text.is_empty()).map(str::to_lowercase);
        Self { state, reason, text }
    }

    /// Whether it selects by text, for which details have to be read.
    pub(super) fn has_text(&self) -> bool {
        self.text.is_some()
    }

    /// Whether a square matches, as far as the fold knows.
    pub(super) fn matches_state(&self, square: SquareState<'_>) -> bool {
        let reason = match square {
            SquareState::Failed(reason) => Some(reason),
            SquareState::Pending | SquareState::Done(_) | SquareState::NotRun => None,
        };
        self.state.is_none_or(|wanted| wanted == state_of(square))
            && self.reason.as_deref().is_none_or(|wanted| reason == Some(wanted))
    }

    /// Whether the text of a row matches.
    pub(super) fn matches_text(&self, row: &Row) -> bool {
        let Some(wanted) = &self.text else { return true };
        let contains = |text: &str| text.to_lowercase().contains(wanted);
        let record = match row.result.detail() {
            Some(Detail::Record(record)) => Some(record),
            Some(Detail::Picture(_)) | None => None,
        };
        let failure = row.failure().is_some_and(|(message, reason)| contains(message) || contains(reason));
        failure
            || row.item.as_deref().is_some_and(contains)
            || contains(&format!("{}, {}", row.square.row, row.square.column))
            || row.color().is_some_and(|color| contains(&color.to_string()))
            || record.is_some_and(|record| record.values().any(|value| contains_value(value, &contains)))
    }

    /// How many squares of a batch match. `None` if only a search finds out.
    pub(super) fn count(&self, quilt: &Quilt) -> Option<u32> {
        if self.has_text() {
            return None;
        }
        let progress = quilt.progress();
        Some(match (&self.reason, self.state) {
            (Some(wanted), None | Some(TaskState::Failed)) => {
                quilt.reasons().find(|(reason, _)| reason == wanted).map_or(0, |(_, count)| count)
            }
            (Some(_), Some(_)) => 0,
            (None, None) => progress.tasks,
            (None, Some(TaskState::Pending)) => progress.pending(),
            (None, Some(TaskState::Done)) => progress.done,
            (None, Some(TaskState::Failed)) => progress.failed,
            (None, Some(TaskState::NotRun)) => progress.not_run,
        })
    }
}

/// The state of a square in the API.
fn state_of(square: SquareState<'_>) -> TaskState {
    match square {
        SquareState::Pending => TaskState::Pending,
        SquareState::Done(_) => TaskState::Done,
        SquareState::Failed(_) => TaskState::Failed,
        SquareState::NotRun => TaskState::NotRun,
    }
}

/// Whether a value contains a text, at any depth. Names of members are not searched: all squares have the same.
fn contains_value(value: &Value, contains: &impl Fn(&str) -> bool) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => contains(if *value { "true" } else { "false" }),
        Value::Number(number) => contains(&number.to_string()),
        Value::String(text) => contains(text),
        Value::Array(values) => values.iter().any(|value| contains_value(value, contains)),
        Value::Object(members) => members.values().any(|value| contains_value(value, contains)),
    }
}

#[cfg(test)]
mod tests {
    use engine::SquareResult;
    use quilt::{Color, Square};
    use serde_json::json;

    use super::*;

    fn row(item: Option<&str>, result: SquareResult) -> Row {
        Row { square: Square { row: 7, column: 12 }, item: item.map(Into::into), result, attempt: None }
    }

    #[test]
    fn text_is_found_in_what_a_row_shows() {
        let record = json!({"status": 404, "title": "Über uns", "links": [{"to": "/Contact"}], "none": null});
        let Value::Object(record) = record else { panic!("an object") };
        let done = SquareResult::Done { color: Color::from_rgb(0x00_00_AB), detail: Some(Detail::Record(record)) };
        let found = |text: &str, result: &SquareResult| {
            Selection::new(None, None, Some(text)).matches_text(&row(Some("https://a.example/"), result.clone()))
        };
        for text in ["", "A.EXAMPLE", "404", "über UNS", "contact", "#0000ab", "7, 12"] {
            assert!(found(text, &done), "{text}");
        }
        for text in ["title", "none", "7, 13", "done"] {
            assert!(!found(text, &done), "{text}");
        }
        let failed = SquareResult::Failed { reason: "no host".into(), message: "No host: b".into(), detail: None };
        assert!(found("HOST: b", &failed) && found("no host", &failed) && !found("404", &failed));
    }

    #[test]
    fn state_and_reason_have_to_match_both() {
        let failed = SquareState::Failed("timed out");
        let selects = |state, reason: Option<&str>, square| {
            Selection::new(state, reason.map(Into::into), None).matches_state(square)
        };
        assert!(selects(None, None, failed) && selects(Some(TaskState::Failed), Some("timed out"), failed));
        assert!(!selects(Some(TaskState::Done), Some("timed out"), failed) && !selects(None, Some("other"), failed));
        assert!(selects(Some(TaskState::NotRun), None, SquareState::NotRun));
        assert!(!selects(None, Some("timed out"), SquareState::Pending));
    }
}
