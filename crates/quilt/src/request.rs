//! Validation of requests, and their conversion to specs.

use std::collections::BTreeMap;

use api::{LapRequest, LaunchRequest, Number};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::grid::{Grid, MAX_SIDE, MAX_SQUARES};
use crate::lap::LapLimits;
use crate::order::TaskOrder;
use crate::priority::Priority;
use crate::spec::{
    BatchSpec, DEFAULT_ATTEMPTS, DEFAULT_TIMEOUT_MS, Halt, MAX_CONCURRENCY, MAX_LABEL, MAX_LABELS, MAX_SEED,
    MAX_START_DELAY_MS, MAX_TITLE, Tolerance,
};
use crate::spec_error::SpecError;
use crate::timestamp::Timestamp;

/// The limits of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The maximum number of rows, and of columns; at most and by default [`MAX_SIDE`].
    pub side: u16,
    /// The maximum number of squares; at most and by default [`MAX_SQUARES`].
    pub squares: u32,
    /// The maximum number of attempts at a task; 20 by default.
    pub attempts: u8,
    /// The maximum time limit of an attempt, in milliseconds; one hour by default.
    pub timeout_ms: u32,
    /// The maximum time limit of a lap, in milliseconds; one week by default.
    pub deadline_ms: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            side: MAX_SIDE,
            squares: MAX_SQUARES,
            attempts: 20,
            timeout_ms: 3_600_000,
            deadline_ms: 7 * 24 * 3_600_000,
        }
    }
}

impl BatchSpec {
    /// Validates a request, and converts it to a spec. `fallback_seed` is used if the request has no seed. `tasks` is the number of tasks,
    /// if the work determines it. `now` is the system time, which limits `not_before`.
    ///
    /// # Errors
    ///
    /// The first [`SpecError`], in the order of the members.
    pub fn from_request(
        request: LaunchRequest,
        limits: &Limits,
        fallback_seed: u64,
        tasks: Option<u32>,
        now: Timestamp,
    ) -> Result<Self, SpecError> {
        let LaunchRequest {
            work,
            rows,
            columns,
            seed,
            attempts,
            timeout_ms,
            concurrency,
            tolerated_failures,
            max_failures,
            halt,
            deadline_ms,
            order,
            title,
            labels,
            priority,
            not_before,
        } = request;
        let grid = grid_within(limits, rows.as_ref(), columns.as_ref(), tasks)?;
        let seed = match &seed {
            Some(seed) => within("seed", seed, 0, MAX_SEED)?,
            None => fallback_seed & MAX_SEED,
        };
        let attempts = match &attempts {
            Some(attempts) => within("attempts", attempts, 1, limits.attempts)?,
            None => DEFAULT_ATTEMPTS.min(limits.attempts),
        };
        let timeout_ms = match &timeout_ms {
            Some(timeout_ms) => within("timeout_ms", timeout_ms, 1, limits.timeout_ms)?,
            None => DEFAULT_TIMEOUT_MS.min(limits.timeout_ms),
        };
        let concurrency = concurrency.as_ref().map(concurrency_within).transpose()?;
        let tolerated_failures = tolerance(tolerated_failures.as_ref(), max_failures.as_ref())?;
        let deadline_ms =
            deadline_ms.as_ref().map(|ms| within("deadline_ms", ms, 1, limits.deadline_ms)).transpose()?;
        Ok(Self {
            work,
            grid,
            seed,
            attempts,
            timeout_ms,
            concurrency,
            tolerated_failures,
            halt: word("halt", halt, "\"now\" or \"soon\"", &[("now", Halt::Now), ("soon", Halt::Soon)])?,
            deadline_ms,
            order: word(
                "order",
                order,
                "\"random\" or \"input\"",
                &[("random", TaskOrder::Random), ("input", TaskOrder::Input)],
            )?,
            title: title.map(title_within).transpose()?.map(Into::into),
            labels: labels_within(labels)?,
            priority: word(
                "priority",
                priority,
                "\"low\", \"normal\" or \"high\"",
                &Priority::ALL.map(|priority| (priority.as_str(), priority)),
            )?,
            not_before: not_before.map(|text| start_within(text, now)).transpose()?,
        })
    }
}

impl LapLimits {
    /// Returns these limits with the changes of a request.
    ///
    /// # Errors
    ///
    /// The first [`SpecError`].
    pub fn changed(self, request: &LapRequest, limits: &Limits) -> Result<Self, SpecError> {
        let LapRequest { attempts, timeout_ms, concurrency, deadline_ms, .. } = request;
        Ok(Self {
            attempts: match attempts {
                Some(attempts) => within("attempts", attempts, 1, limits.attempts)?,
                None => self.attempts,
            },
            timeout_ms: match timeout_ms {
                Some(timeout_ms) => within("timeout_ms", timeout_ms, 1, limits.timeout_ms)?,
                None => self.timeout_ms,
            },
            concurrency: match concurrency {
                Some(concurrency) => Some(concurrency_within(concurrency)?),
                None => self.concurrency,
            },
            deadline_ms: match deadline_ms {
                Some(deadline_ms) => Some(within("deadline_ms", deadline_ms, 1, limits.deadline_ms)?),
                None => self.deadline_ms,
            },
        })
    }
}

/// Validates a concurrency limit.
///
/// # Errors
///
/// [`SpecError::OutOfRange`].
pub fn concurrency_within(number: &Number) -> Result<u32, SpecError> {
    within("concurrency", number, 1, MAX_CONCURRENCY)
}

fn grid_within(
    limits: &Limits,
    rows: Option<&Number>,
    columns: Option<&Number>,
    tasks: Option<u32>,
) -> Result<Grid, SpecError> {
    let side = limits.side.min(MAX_SIDE);
    let max = limits.squares.min(MAX_SQUARES);
    let side_of = |field, number: Option<&Number>| number.map(|number| within(field, number, 1, side)).transpose();
    let (rows, columns) = (side_of("rows", rows)?, side_of("columns", columns)?);
    let Some(tasks) = tasks else {
        let rows = rows.ok_or(SpecError::Missing { field: "rows" })?;
        let columns = columns.ok_or(SpecError::Missing { field: "columns" })?;
        let squares = u32::from(rows) * u32::from(columns);
        let grid = Grid::new(rows, columns).filter(|_| squares <= max);
        return grid.ok_or(SpecError::TooManySquares { rows, columns, squares, max });
    };
    if !(1..=max).contains(&tasks) {
        return Err(SpecError::OutOfRange {
            field: "the number of tasks",
            value: tasks.into(),
            min: 1,
            max: max.into(),
        });
    }
    let (rows, columns) = match (rows, columns) {
        (None, None) => match Grid::near_square(tasks) {
            Some(grid) => (grid.rows().into(), grid.columns().into()),
            None => (0, 0),
        },
        (Some(rows), None) => (rows.into(), tasks.div_ceil(rows.into())),
        (None, Some(columns)) => (tasks.div_ceil(columns.into()), columns.into()),
        (Some(rows), Some(columns)) => (rows.into(), columns.into()),
    };
    let in_side = |length: u32| u16::try_from(length).ok().filter(|length| *length <= side);
    let grid = in_side(rows).zip(in_side(columns));
    let grid = grid.and_then(|(rows, columns)| Grid::with_squares(rows, columns, tasks));
    grid.ok_or(SpecError::OtherShape { rows: rows.into(), columns: columns.into(), tasks })
}

fn tolerance(share_of: Option<&Number>, count: Option<&Number>) -> Result<Option<Tolerance>, SpecError> {
    Ok(match (share_of, count) {
        (None, None) => None,
        (Some(share_of), None) => Some(Tolerance::Share(share(share_of)?)),
        (None, Some(count)) => Some(Tolerance::Count(within("max_failures", count, 0, MAX_SQUARES)?)),
        (Some(_), Some(_)) => return Err(SpecError::Both("tolerated_failures", "max_failures")),
    })
}

/// Parses one of the given words. Returns the default if there is no value.
fn word<T: Copy + Default>(
    field: &'static str,
    value: Option<String>,
    allowed: &'static str,
    words: &[(&str, T)],
) -> Result<T, SpecError> {
    let Some(value) = value else { return Ok(T::default()) };
    let known = words.iter().find(|(word, _)| *word == value).map(|(_, meaning)| *meaning);
    known.ok_or(SpecError::UnknownWord { field, value, allowed })
}

fn title_within(title: String) -> Result<String, SpecError> {
    let characters = title.chars().count();
    if characters > MAX_TITLE {
        return Err(SpecError::TooManyCharacters { field: "title", characters, max: MAX_TITLE });
    }
    line("title", title)
}

/// Validates a text that is displayed in one line.
fn line(field: &'static str, text: String) -> Result<String, SpecError> {
    if text.trim().is_empty() || text.contains(|character: char| character.is_control()) {
        return Err(SpecError::NotALine { field });
    }
    Ok(text)
}

/// Parses the earliest start, which is at most [`MAX_START_DELAY_MS`] after `now`.
fn start_within(value: String, now: Timestamp) -> Result<Timestamp, SpecError> {
    let Some(at) = Timestamp::from_rfc3339(&value) else {
        return Err(SpecError::NotATime { field: "not_before", value });
    };
    let latest = now.plus_millis(MAX_START_DELAY_MS);
    if at > latest {
        return Err(SpecError::TooLate { value, latest: latest.to_rfc3339().unwrap_or_default() });
    }
    Ok(at)
}

fn labels_within(labels: BTreeMap<String, String>) -> Result<Map<String, Value>, SpecError> {
    if labels.len() > MAX_LABELS {
        return Err(SpecError::TooManyLabels(labels.len()));
    }
    for (name, value) in &labels {
        let label = format!("{name}={value}");
        if label.len() > MAX_LABEL {
            return Err(SpecError::TooLong { field: "a label", bytes: label.len(), max: MAX_LABEL });
        }
        line("a label", label)?;
    }
    Ok(labels.into_iter().map(|(name, value)| (name, value.into())).collect())
}

fn share(number: &Number) -> Result<f64, SpecError> {
    let share = number.as_f64().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| SpecError::NotAShare { field: "tolerated_failures", value: number.clone() })
}

impl From<BatchSpec> for LaunchRequest {
    /// Returns a request that results in this spec.
    fn from(spec: BatchSpec) -> Self {
        let (share, count) = Tolerance::parts(spec.tolerated_failures);
        Self {
            labels: spec.labels_by_name(),
            rows: Some(u32::from(spec.grid.rows()).into()),
            columns: Some(u32::from(spec.grid.columns()).into()),
            seed: Some(Number::from_u64(spec.seed)),
            attempts: Some(u32::from(spec.attempts).into()),
            timeout_ms: Some(spec.timeout_ms.into()),
            concurrency: spec.concurrency.map(Into::into),
            tolerated_failures: share.and_then(Number::from_f64),
            max_failures: count.map(Into::into),
            halt: (spec.halt == Halt::Soon).then(|| "soon".into()),
            deadline_ms: spec.deadline_ms.map(Into::into),
            order: (spec.order == TaskOrder::Input).then(|| "input".into()),
            title: spec.title.map(Into::into),
            priority: (spec.priority != Priority::default()).then(|| spec.priority.as_str().into()),
            not_before: spec.not_before.and_then(Timestamp::to_rfc3339),
            work: spec.work,
        }
    }
}

fn within<T>(field: &'static str, number: &Number, min: u64, max: T) -> Result<T, SpecError>
where
    T: Copy + Into<u64> + TryFrom<u64>,
{
    number
        .as_u64()
        .filter(|value| (min..=max.into()).contains(value))
        .and_then(|value| T::try_from(value).ok())
        .ok_or_else(|| SpecError::OutOfRange { field, value: number.clone(), min, max: max.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000_123);

    fn spec_of(json: &str) -> Result<BatchSpec, String> {
        let request = serde_json::from_str(json).map_err(|error| error.to_string())?;
        BatchSpec::from_request(request, &Limits::default(), 7, None, NOW).map_err(|error| error.to_string())
    }

    #[test]
    fn what_a_request_leaves_out_has_a_default() {
        let spec = spec_of(r#"{"work": {"kind": "color"}, "rows": 8, "columns": 4}"#).expect("valid");
        assert_eq!(spec.grid.squares(), 32);
        assert_eq!((spec.seed, spec.attempts, spec.timeout_ms), (7, 3, 60_000));
    }

    #[test]
    fn a_refusal_names_the_member_the_limit_and_the_value() {
        for (members, expected) in [
            (r#""rows": 0, "columns": 8"#, "rows must be a whole number from 1 to 4096, not 0"),
            (r#""rows": 8, "columns": -1"#, "columns must be a whole number from 1 to 4096, not -1"),
            (r#""rows": 1e9, "columns": 8"#, "rows must be a whole number from 1 to 4096, not 1000000000.0"),
            (
                r#""rows": 4096, "columns": 4096"#,
                "4096 rows of 4096 columns are 16777216 squares; at most 1048576 are allowed",
            ),
            (r#""rows": 1, "columns": 1, "attempts": 21"#, "attempts must be a whole number from 1 to 20, not 21"),
            (
                r#""rows": 1, "columns": 1, "timeout_ms": 0"#,
                "timeout_ms must be a whole number from 1 to 3600000, not 0",
            ),
            (
                r#""rows": 1, "columns": 1, "concurrency": 0"#,
                "concurrency must be a whole number from 1 to 65536, not 0",
            ),
            (
                r#""rows": 1, "columns": 1, "tolerated_failures": 1.5"#,
                "tolerated_failures must be a number from 0 to 1, not 1.5",
            ),
            (
                r#""rows": 1, "columns": 1, "deadline_ms": 604800001"#,
                "deadline_ms must be a whole number from 1 to 604800000, not 604800001",
            ),
            (
                r#""rows": 1, "columns": 1, "priority": "urgent""#,
                r#"priority must be "low", "normal" or "high", not "urgent""#,
            ),
            (
                r#""rows": 1, "columns": 1, "not_before": "tomorrow""#,
                r#"not_before must be a point in time as in RFC 3339, such as 2026-09-21T14:13:20Z, not "tomorrow""#,
            ),
            (
                r#""rows": 1, "columns": 1, "not_before": "2027-09-21T14:13:20.124Z""#,
                "not_before is 2027-09-21T14:13:20.124Z, which is more than one year ahead; choose a time until 2027-09-21T14:13:20.123Z",
            ),
        ] {
            let json = format!(r#"{{"work": {{"kind": "color"}}, {members}}}"#);
            assert_eq!(spec_of(&json).expect_err(members), expected);
        }
    }

    #[test]
    fn unknown_members_and_wrong_types_are_refused() {
        for members in [r#""rows": "x", "columns": 8"#, r#""rows": 8, "columns": 8, "color": 1"#, r#""rows": 8"#] {
            let json = format!(r#"{{"work": {{"kind": "color"}}, {members}}}"#);
            assert!(spec_of(&json).is_err(), "{members}");
        }
    }
}
