//! Requests that launch a batch or a lap.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::square::Square;

/// The work of a task: a kind with its parameters.
///
/// In JSON the kind is a member beside the parameters: `{"kind": "color", "failure_rate": 0.1}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct WorkSpec {
    /// The registered name of the kind.
    pub kind: String,
    /// The parameters, which the kind validates.
    #[serde(flatten)]
    pub parameters: Map<String, Value>,
}

/// Deserialized through a map, because `flatten` would considerably increase the code that browsers download.
impl TryFrom<Map<String, Value>> for WorkSpec {
    type Error = &'static str;

    fn try_from(members: Map<String, Value>) -> Result<Self, Self::Error> {
        let (mut kind, mut parameters) = (None, Map::new());
        for (name, value) in members {
            match value {
                Value::String(text) if name == "kind" => kind = Some(text),
                _ if name == "kind" => return Err("the member `kind` must be a string"),
                value => drop(parameters.insert(name, value)),
            }
        }
        Ok(Self { kind: kind.ok_or("missing field `kind`")?, parameters })
    }
}

/// Any JSON number. Numbers are validated after deserialization, so that errors can contain the member, its limits and the value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Number(serde_json::Number);

impl Number {
    /// The number, if it is an integer from 0 to `u64::MAX`.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        self.0.as_u64()
    }

    /// The number as a float, possibly rounded.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        self.0.as_f64()
    }

    /// Converts an integer.
    #[must_use]
    pub fn from_u64(value: u64) -> Self {
        Self(value.into())
    }

    /// Converts a float; `None` for infinity and NaN, which JSON cannot represent.
    #[must_use]
    pub fn from_f64(value: f64) -> Option<Self> {
        serde_json::Number::from_f64(value).map(Self)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_json::Number::deserialize(deserializer).map(Self)
    }
}

impl From<serde_json::Number> for Number {
    fn from(value: serde_json::Number) -> Self {
        Self(value)
    }
}

impl From<u32> for Number {
    fn from(value: u32) -> Self {
        Self(value.into())
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The body of `POST /api/batches`, or the field `launch` of a form with the input in the field `file`.
///
/// The configuration of the server determines the maximum numbers. The default ones are documented here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaunchRequest {
    /// The work of each task.
    pub work: WorkSpec,
    /// The number of rows, 1 to 4,096. Rows and columns are optional if the work determines the number of tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<Number>,
    /// The number of columns, 1 to 4,096.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Number>,
    /// Determines the order of the tasks, 0 to 2^53 - 1; random if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<Number>,
    /// The maximum number of attempts at a task, 1 to 20; 3 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<Number>,
    /// The time limit of one attempt in milliseconds, at most one hour; one minute if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<Number>,
    /// The maximum number of tasks that run at the same time, 1 to 65,536; no limit if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Number>,
    /// The share of a lap's tasks, from 0 to 1, that may fail. If more fail, the lap is stopped. No limit if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerated_failures: Option<Number>,
    /// The number of a lap's tasks that may fail. If more fail, the lap is stopped. Excludes `tolerated_failures`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_failures: Option<Number>,
    /// How the lap is stopped when too many tasks have failed: `now` cancels running attempts, `soon` waits for them; `now` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halt: Option<String>,
    /// The time limit of a lap in milliseconds, at most one week; no limit if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<Number>,
    /// The order in which the squares run: `random`, or `input` for row by row; `random` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// A title for people: one line of at most 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Labels for programs: at most 16 names with a value each. Name and value have at most 63 bytes together.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The share of working time: `low`, `normal` or `high`, each four times the previous one; `normal` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<String>,
    /// No task starts before this time, in RFC 3339, at most one year ahead; starts immediately if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
}

impl LaunchRequest {
    /// A request with only the work.
    #[must_use]
    pub fn new(work: WorkSpec) -> Self {
        Self {
            work,
            rows: None,
            columns: None,
            seed: None,
            attempts: None,
            timeout_ms: None,
            concurrency: None,
            tolerated_failures: None,
            max_failures: None,
            halt: None,
            deadline_ms: None,
            order: None,
            title: None,
            labels: BTreeMap::new(),
            priority: None,
            not_before: None,
        }
    }
}

/// The body of `POST /api/batches/{id}/retry` and `POST /api/batches/{id}/continue`, which start another lap of a batch that is over.
///
/// At most one of `reason`, `squares` and `not_run` selects the squares of the lap. Without them, `retry` selects all failed squares, and
/// `continue` selects those that were not run. Done squares never run again. Absent limits do not change.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LapRequest {
    /// Selects squares that failed for this reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Selects these squares, if they failed or were not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub squares: Option<Vec<Square>>,
    /// Selects squares that were not run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_run: bool,
    /// The new maximum number of attempts at a task, 1 to 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<Number>,
    /// The new time limit of one attempt in milliseconds, at most one hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<Number>,
    /// The new maximum number of tasks that run at the same time, 1 to 65,536.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Number>,
    /// The new time limit of a lap in milliseconds, at most one week.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<Number>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_golden;

    fn request() -> LaunchRequest {
        LaunchRequest::new(WorkSpec { kind: "color".into(), parameters: Map::new() })
    }

    #[test]
    fn a_request_leaves_out_what_is_not_asked_for() {
        assert_golden(&request(), r#"{"work":{"kind":"color"}}"#);
    }

    #[test]
    fn a_request_has_any_number() {
        let request = LaunchRequest {
            work: WorkSpec {
                kind: "color".into(),
                parameters: [("duration_ms".into(), vec![1, 5].into())].into_iter().collect(),
            },
            rows: Some(8.into()),
            columns: Some(serde_json::Number::from(-1).into()),
            seed: Some(Number::from_u64(1 << 53)),
            attempts: Some(3.into()),
            timeout_ms: Some(60_000.into()),
            concurrency: Some(5.into()),
            tolerated_failures: Number::from_f64(0.1),
            max_failures: Some(4.into()),
            halt: Some("soon".into()),
            deadline_ms: Some(1_000.into()),
            order: Some("input".into()),
            title: Some("Sitemap".into()),
            labels: [("team".into(), "web".into())].into_iter().collect(),
            priority: Some("high".into()),
            not_before: Some("2026-09-21T14:13:20Z".into()),
        };
        assert_golden(
            &request,
            concat!(
                r#"{"work":{"kind":"color","duration_ms":[1,5]},"rows":8,"columns":-1,"seed":9007199254740992,"attempts":3,"#,
                r#""timeout_ms":60000,"concurrency":5,"tolerated_failures":0.1,"max_failures":4,"halt":"soon","#,
                r#""deadline_ms":1000,"order":"input","title":"Sitemap","labels":{"team":"web"},"#,
                r#""priority":"high","not_before":"2026-09-21T14:13:20Z"}"#
            ),
        );
        assert_eq!(request.columns.map(|number| number.to_string()), Some("-1".into()));
    }

    #[test]
    fn a_lap_has_a_set_of_squares_and_limits() {
        assert_golden(&LapRequest::default(), "{}");
        let lap = LapRequest {
            reason: Some("timed out".into()),
            squares: Some(vec![Square { row: 0, column: 1 }]),
            not_run: true,
            attempts: Some(5.into()),
            timeout_ms: Some(100.into()),
            concurrency: Some(2.into()),
            deadline_ms: Some(9.into()),
        };
        assert_golden(
            &lap,
            concat!(
                r#"{"reason":"timed out","squares":[{"row":0,"column":1}],"not_run":true,"#,
                r#""attempts":5,"timeout_ms":100,"concurrency":2,"deadline_ms":9}"#
            ),
        );
        assert!(serde_json::from_str::<LapRequest>(r#"{"notrun":true}"#).is_err());
    }

    #[test]
    fn unknown_members_and_wrong_types_are_refused() {
        for members in [r#""rows": "x""#, r#""color": 1"#] {
            let json = format!(r#"{{"work": {{"kind": "color"}}, {members}}}"#);
            assert!(serde_json::from_str::<LaunchRequest>(&json).is_err(), "{members}");
        }
        for json in ["{}", r#"{"work": {}}"#, r#"{"work": "color"}"#] {
            assert!(serde_json::from_str::<LaunchRequest>(json).is_err(), "{json}");
        }
    }
}
