//! The server-sent events of a batch: `GET /api/batches/{id}/events`.
//!
//! The id of each event is the step of the quilt after it. A client that reconnects with it in `Last-Event-ID` gets the events after it. If
//! the server no longer has them, it sends all settled squares again, without ids. The stream ends after the event with
//! [`EventStatus::Complete`] or [`EventStatus::Cancelled`].

use serde::{Deserialize, Serialize};

use crate::square::Square;

/// An event: [`name`](Self::name) is its `event:` field, and its JSON is its `data:` field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum BatchEvent {
    /// `event: square`.
    Square(SquareEvent),
    /// `event: status`.
    Status(StatusEvent),
    /// `event: lap`.
    Lap(LapEvent),
    /// `event: concurrency`.
    Concurrency(ConcurrencyEvent),
}

impl BatchEvent {
    /// The name of the event.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Square(_) => "square",
            Self::Status(_) => "status",
            Self::Lap(_) => "lap",
            Self::Concurrency(_) => "concurrency",
        }
    }

    /// Parses an event from its `event:` and `data:` fields. `None` for an unknown name, which a newer server may send.
    ///
    /// # Errors
    ///
    /// If the data is not valid for an event of this name.
    pub fn read(name: &str, data: &str) -> Result<Option<Self>, serde_json::Error> {
        Ok(Some(match name {
            "square" => Self::Square(serde_json::from_str(data)?),
            "status" => Self::Status(serde_json::from_str(data)?),
            "lap" => Self::Lap(serde_json::from_str(data)?),
            "concurrency" => Self::Concurrency(serde_json::from_str(data)?),
            _ => return Ok(None),
        }))
    }
}

/// A square has an outcome, or is pending again because it is retried. A pending square has neither `color` nor `failed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SquareEvent {
    /// Its row, from 0.
    pub row: u32,
    /// Its column, from 0.
    pub column: u32,
    /// Its color, `#` and six hexadecimal digits; absent unless it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// The whole message of the failure; absent unless it has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// The reason for the failure: a few words that are the same for similar failures; absent unless it has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The status of the batch has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusEvent {
    /// The status.
    pub status: EventStatus,
    /// The number of done squares; absent while the lap runs, and for a cancelled lap that was followed by another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<u32>,
    /// The number of failed squares; absent while the lap runs, and for a cancelled lap that was followed by another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<u32>,
    /// The number of squares that were not run; absent if it is 0, or like `done`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_run: Option<u32>,
}

/// The status of a batch in its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventStatus {
    /// Tasks start again after a pause.
    Running,
    /// No more tasks start.
    Paused,
    /// The batch stops: no more tasks start, and the outcomes of running tasks still count.
    Draining,
    /// The lap crossed its finish line: all squares have outcomes.
    Complete,
    /// The batch was cancelled.
    Cancelled,
}

/// A lap has started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LapEvent {
    /// The lap, from 1.
    pub lap: u32,
    /// The squares of the lap: `failed`, `reason`, `not_run` or `squares`; absent for the first lap, which runs all squares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<LapSet>,
    /// The reason by which squares were selected; absent unless `set` is `reason`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The only square of the lap; absent unless exactly one square was requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub square: Option<Square>,
}

/// How the squares of a lap were selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LapSet {
    /// All failed squares.
    Failed,
    /// Squares that failed for one reason.
    Reason,
    /// Squares that were not run.
    NotRun,
    /// A list of squares.
    Squares,
}

/// The concurrency limit of the batch has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConcurrencyEvent {
    /// The limit, 1 to 65,536; `null` for none.
    pub concurrency: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_event(event: &BatchEvent, name: &str, data: &str) {
        assert_eq!((event.name(), serde_json::to_string(event).expect("plain data").as_str()), (name, data));
        assert_eq!(BatchEvent::read(name, data).expect("its own data").as_ref(), Some(event));
    }

    #[test]
    fn a_square_has_a_color_or_a_reason_or_neither() {
        let square = |color: Option<&str>, failed: Option<&str>| {
            let reason = failed.map(|_| "luck".into());
            let (color, failed) = (color.map(Into::into), failed.map(Into::into));
            BatchEvent::Square(SquareEvent { row: 2, column: 6, color, failed, reason })
        };
        assert_event(&square(Some("#4F9A03"), None), "square", r##"{"row":2,"column":6,"color":"#4F9A03"}"##);
        assert_event(
            &square(None, Some("no luck")),
            "square",
            r#"{"row":2,"column":6,"failed":"no luck","reason":"luck"}"#,
        );
        assert_event(&square(None, None), "square", r#"{"row":2,"column":6}"#);
    }

    #[test]
    fn the_end_of_a_lap_has_counts() {
        let status = |status, counts: Option<(u32, u32)>| {
            let (done, failed) = counts.unzip();
            BatchEvent::Status(StatusEvent { status, done, failed, not_run: None })
        };
        let stopped = StatusEvent { status: EventStatus::Cancelled, done: Some(3), failed: Some(0), not_run: Some(1) };
        let data = r#"{"status":"cancelled","done":3,"failed":0,"not_run":1}"#;
        assert_event(&BatchEvent::Status(stopped), "status", data);
        assert_event(&status(EventStatus::Draining, None), "status", r#"{"status":"draining"}"#);
        let complete = status(EventStatus::Complete, Some((63, 1)));
        assert_event(&complete, "status", r#"{"status":"complete","done":63,"failed":1}"#);
        let cancelled = status(EventStatus::Cancelled, Some((3, 0)));
        assert_event(&cancelled, "status", r#"{"status":"cancelled","done":3,"failed":0}"#);
        assert_event(&status(EventStatus::Paused, None), "status", r#"{"status":"paused"}"#);
        assert_event(&status(EventStatus::Running, None), "status", r#"{"status":"running"}"#);
    }

    #[test]
    fn a_lap_says_which_squares_it_runs() {
        let first = LapEvent { lap: 1, set: None, reason: None, square: None };
        assert_event(&BatchEvent::Lap(first.clone()), "lap", r#"{"lap":1}"#);
        for (set, word) in [(LapSet::Failed, "failed"), (LapSet::NotRun, "not_run"), (LapSet::Squares, "squares")] {
            let lap = BatchEvent::Lap(LapEvent { set: Some(set), ..first.clone() });
            assert_event(&lap, "lap", &format!(r#"{{"lap":1,"set":"{word}"}}"#));
        }
        let of_reason = LapEvent { set: Some(LapSet::Reason), reason: Some("timed out".into()), ..first.clone() };
        assert_event(&BatchEvent::Lap(of_reason), "lap", r#"{"lap":1,"set":"reason","reason":"timed out"}"#);
        let one = LapEvent { set: Some(LapSet::Squares), square: Some(Square { row: 0, column: 3 }), ..first };
        assert_event(&BatchEvent::Lap(one), "lap", r#"{"lap":1,"set":"squares","square":{"row":0,"column":3}}"#);
    }

    #[test]
    fn no_limit_is_null() {
        let limit = |concurrency| BatchEvent::Concurrency(ConcurrencyEvent { concurrency });
        assert_event(&limit(Some(5)), "concurrency", r#"{"concurrency":5}"#);
        assert_event(&limit(None), "concurrency", r#"{"concurrency":null}"#);
    }

    #[test]
    fn unknown_names_are_passed_over_and_wrong_data_is_an_error() {
        assert_eq!(BatchEvent::read("weather", "{}").expect("it is not read"), None);
        assert!(BatchEvent::read("lap", "{}").is_err());
    }
}
