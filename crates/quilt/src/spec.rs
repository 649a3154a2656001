//! What a batch is made of, and the limits that a request for one has to keep.

use std::collections::BTreeMap;

use api::{LapRequest, LaunchRequest, Number};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::grid::{Grid, MAX_SIDE, MAX_SQUARES};
use crate::lap::LapLimits;
use crate::order::TaskOrder;

pub use api::WorkSpec;

/// The largest seed: what a JSON client in any language can hold exactly.
pub const MAX_SEED: u64 = (1 << 53) - 1;

/// The most tasks of a batch that can be told to run at the same time.
pub const MAX_CONCURRENCY: u32 = 1 << 16;

/// The longest title, in bytes.
pub const MAX_TITLE: usize = 500;

/// The most labels.
pub const MAX_LABELS: usize = 16;

/// The longest label, in bytes: its name, an equals sign and its value.
pub const MAX_LABEL: usize = 64;

/// How many tasks of a lap may fail before it is stopped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Tolerance {
    /// This share of the lap's tasks, from 0 to 1.
    Share(f64),
    /// This many.
    Count(u32),
}

/// How a lap is stopped in which too many tasks have failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Halt {
    /// At once: attempts that run are cut short.
    #[default]
    Now,
    /// No more tasks start; the outcomes of those that run still count.
    Soon,
}

impl Halt {
    /// The word for it in requests and documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::Soon => "soon",
        }
    }
}

/// A batch as it was accepted: everything that its tasks depend on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "PlainSpec", into = "PlainSpec")]
pub struct BatchSpec {
    /// What each task does.
    pub work: WorkSpec,
    /// The shape of the quilt, and so the number of tasks.
    pub grid: Grid,
    /// Determines the order; at most [`MAX_SEED`].
    pub seed: u64,
    /// How often a task is tried before its square has failed; at least 1.
    pub attempts: u8,
    /// How long one attempt may take, in milliseconds; at least 1.
    pub timeout_ms: u32,
    /// How many of its tasks may run at the same time to begin with, 1 to [`MAX_CONCURRENCY`]; `None` for as many as are of use.
    pub concurrency: Option<u32>,
    /// How many of a lap's tasks may fail. When more have failed the lap is stopped; `None` for never.
    pub tolerated_failures: Option<Tolerance>,
    /// How it is stopped then.
    pub halt: Halt,
    /// How long a lap may take, in milliseconds. When it is over the batch is cancelled; `None` for as long as it takes.
    pub deadline_ms: Option<u32>,
    /// In which order its squares are run.
    pub order: TaskOrder,
    /// What people call it; at most [`MAX_TITLE`] bytes.
    pub title: Option<Box<str>>,
    /// What programs find it by; at most [`MAX_LABELS`] of at most [`MAX_LABEL`] bytes.
    pub labels: BTreeMap<String, String>,
}

impl BatchSpec {
    /// A batch with everything that a request can leave out as it is then.
    #[must_use]
    pub fn new(work: WorkSpec, grid: Grid, seed: u64) -> Self {
        Self {
            work,
            grid,
            seed,
            attempts: DEFAULT_ATTEMPTS,
            timeout_ms: DEFAULT_TIMEOUT_MS,
            concurrency: None,
            tolerated_failures: None,
            halt: Halt::default(),
            deadline_ms: None,
            order: TaskOrder::default(),
            title: None,
            labels: BTreeMap::new(),
        }
    }
}

/// [`BatchSpec`] as it is stored, with plain members. One that this version does not know would change what the batch means, so it is
/// refused.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainSpec {
    work: WorkSpec,
    rows: u16,
    columns: u16,
    /// The number of squares, where the last row is shorter than the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tasks: Option<u32>,
    seed: u64,
    attempts: u8,
    timeout_ms: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    concurrency: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tolerated_failures: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_failures: Option<u32>,
    #[serde(default, skip_serializing_if = "is_default")]
    halt: Halt,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deadline_ms: Option<u32>,
    #[serde(default, skip_serializing_if = "is_default")]
    order: TaskOrder,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    title: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl From<BatchSpec> for PlainSpec {
    fn from(spec: BatchSpec) -> Self {
        let (tolerated_failures, max_failures) = match spec.tolerated_failures {
            Some(Tolerance::Share(share)) => (Some(share), None),
            Some(Tolerance::Count(count)) => (None, Some(count)),
            None => (None, None),
        };
        Self {
            concurrency: spec.concurrency,
            tolerated_failures,
            max_failures,
            halt: spec.halt,
            deadline_ms: spec.deadline_ms,
            order: spec.order,
            title: spec.title,
            labels: spec.labels,
            rows: spec.grid.rows(),
            columns: spec.grid.columns(),
            tasks: (!spec.grid.is_full()).then_some(spec.grid.squares()),
            work: spec.work,
            seed: spec.seed,
            attempts: spec.attempts,
            timeout_ms: spec.timeout_ms,
        }
    }
}

impl TryFrom<PlainSpec> for BatchSpec {
    type Error = &'static str;

    fn try_from(plain: PlainSpec) -> Result<Self, Self::Error> {
        let PlainSpec { rows, columns, tasks, .. } = plain;
        let grid = match tasks {
            Some(tasks) => Grid::with_squares(rows, columns, tasks),
            None => Grid::new(rows, columns),
        };
        Ok(Self {
            grid: grid.ok_or("no grid has this shape")?,
            work: plain.work,
            seed: plain.seed,
            attempts: plain.attempts,
            timeout_ms: plain.timeout_ms,
            concurrency: plain.concurrency,
            tolerated_failures: match (plain.tolerated_failures, plain.max_failures) {
                (None, count) => count.map(Tolerance::Count),
                (share, None) => share.map(Tolerance::Share),
                (Some(_), Some(_)) => return Err("failures are tolerated by their share or by their number"),
            },
            halt: plain.halt,
            deadline_ms: plain.deadline_ms,
            order: plain.order,
            title: plain.title,
            labels: plain.labels,
        })
    }
}

/// How much one batch may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The most rows, and the most columns; at most and by default [`MAX_SIDE`].
    pub side: u16,
    /// The most squares; at most and by default [`MAX_SQUARES`].
    pub squares: u32,
    /// The most attempts a task may be given; by default 20.
    pub attempts: u8,
    /// The longest time limit of an attempt, in milliseconds; by default one hour.
    pub timeout_ms: u32,
    /// The longest time limit of a lap, in milliseconds; by default one week.
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

/// A request that cannot become a batch. Each message names the limit and the value.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum SpecError {
    /// A number lies outside its limits.
    #[error("{field} must be a whole number from {min} to {max}, not {value}")]
    OutOfRange {
        /// The member of the request.
        field: &'static str,
        /// What was asked for.
        value: Number,
        /// The least that is allowed.
        min: u64,
        /// The most that is allowed.
        max: u64,
    },
    /// A number that is a share of something is none.
    #[error("{field} must be a number from 0 to 1, not {value}")]
    NotAShare {
        /// The member of the request.
        field: &'static str,
        /// What was asked for.
        value: Number,
    },
    /// Two members say the same thing in two ways.
    #[error("{0} and {1} exclude each other; leave one of them out")]
    Both(&'static str, &'static str),
    /// A member is none of its words.
    #[error("{field} must be {allowed}, not {value:?}")]
    UnknownWord {
        /// The member of the request.
        field: &'static str,
        /// What was asked for.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// A text is too long.
    #[error("{field} must have at most {max} bytes, not {bytes}")]
    TooLong {
        /// The member of the request.
        field: &'static str,
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        max: usize,
    },
    /// A text holds what cannot be displayed in a line.
    #[error("{field} must not be empty, nor hold line breaks or other control characters")]
    NotALine {
        /// The member of the request.
        field: &'static str,
    },
    /// There are too many labels.
    #[error("at most {MAX_LABELS} labels are allowed, not {0}")]
    TooManyLabels(usize),
    /// The tasks have a number already, and the rows or the columns another one.
    #[error(
        "{rows} rows of {columns} columns do not hold {tasks} tasks with none left over for a whole row; leave rows or columns out"
    )]
    OtherShape {
        /// The rows that were asked for, or follow from the columns.
        rows: u64,
        /// The columns that were asked for, or follow from the rows.
        columns: u64,
        /// How many tasks there are.
        tasks: u32,
    },
    /// Nobody says how many tasks there are.
    #[error("{field} is missing: work of this kind does not say how many tasks there are")]
    Missing {
        /// The member of the request.
        field: &'static str,
    },
    /// Rows and columns are allowed one by one, but their product is not.
    #[error("{rows} rows of {columns} columns are {squares} squares; at most {max} are allowed")]
    TooManySquares {
        /// The rows that were asked for.
        rows: u16,
        /// The columns that were asked for.
        columns: u16,
        /// Their product.
        squares: u32,
        /// The most that is allowed.
        max: u32,
    },
}

/// How often a task is tried unless the request says otherwise.
pub const DEFAULT_ATTEMPTS: u8 = 3;

/// How long one attempt may take unless the request says otherwise, in milliseconds.
pub const DEFAULT_TIMEOUT_MS: u32 = 60_000;

impl BatchSpec {
    /// What a request asks for, with every number checked against the limits. `fallback_seed` is used where the request names none; `tasks` is
    /// how many there are, where the work says so.
    ///
    /// # Errors
    ///
    /// The first [`SpecError`] found, in the order of the members.
    pub fn from_request(
        request: LaunchRequest,
        limits: &Limits,
        fallback_seed: u64,
        tasks: Option<u32>,
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
            title: title.map(|title| line("title", title, MAX_TITLE)).transpose()?.map(Into::into),
            labels: labels_within(labels)?,
        })
    }
}

impl LapLimits {
    /// These limits with those that a request names in their place.
    ///
    /// # Errors
    ///
    /// The first [`SpecError`] found.
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

/// Checks how many tasks shall run at the same time.
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

/// One of some words, the first of which is meant by none.
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

/// A text that is displayed in one line.
fn line(field: &'static str, text: String, max: usize) -> Result<String, SpecError> {
    if text.len() > max {
        return Err(SpecError::TooLong { field, bytes: text.len(), max });
    }
    if text.trim().is_empty() || text.contains(|character: char| character.is_control()) {
        return Err(SpecError::NotALine { field });
    }
    Ok(text)
}

fn labels_within(labels: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, SpecError> {
    if labels.len() > MAX_LABELS {
        return Err(SpecError::TooManyLabels(labels.len()));
    }
    for (name, value) in &labels {
        line("a label", format!("{name}={value}"), MAX_LABEL)?;
    }
    Ok(labels)
}

fn share(number: &Number) -> Result<f64, SpecError> {
    let share = number.as_f64().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| SpecError::NotAShare { field: "tolerated_failures", value: number.clone() })
}

impl From<BatchSpec> for LaunchRequest {
    /// The request that leads to this spec.
    fn from(spec: BatchSpec) -> Self {
        Self {
            rows: Some(u32::from(spec.grid.rows()).into()),
            columns: Some(u32::from(spec.grid.columns()).into()),
            seed: Some(Number::from_u64(spec.seed)),
            attempts: Some(u32::from(spec.attempts).into()),
            timeout_ms: Some(spec.timeout_ms.into()),
            concurrency: spec.concurrency.map(Into::into),
            tolerated_failures: match spec.tolerated_failures {
                Some(Tolerance::Share(share)) => Number::from_f64(share),
                Some(Tolerance::Count(_)) | None => None,
            },
            max_failures: match spec.tolerated_failures {
                Some(Tolerance::Count(count)) => Some(count.into()),
                Some(Tolerance::Share(_)) | None => None,
            },
            halt: (spec.halt == Halt::Soon).then(|| "soon".into()),
            deadline_ms: spec.deadline_ms.map(Into::into),
            order: (spec.order == TaskOrder::Input).then(|| "input".into()),
            title: spec.title.map(Into::into),
            labels: spec.labels,
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

    fn spec_of(json: &str) -> Result<BatchSpec, String> {
        let request = serde_json::from_str(json).map_err(|error| error.to_string())?;
        BatchSpec::from_request(request, &Limits::default(), 7, None).map_err(|error| error.to_string())
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

    #[test]
    fn a_stored_spec_reads_back() {
        let spec =
            spec_of(r#"{"work": {"kind": "color", "failure_rate": 0.5}, "rows": 2, "columns": 3, "concurrency": 5, "tolerated_failures": 0.1}"#).expect("valid");
        let json = serde_json::to_string(&spec).expect("plain");
        assert_eq!(serde_json::from_str::<BatchSpec>(&json).expect("same"), spec);
    }
}
