//! What a batch is made of, and the limits that a request for one has to keep.

use api::{LaunchRequest, Number};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::grid::{Grid, MAX_SIDE, MAX_SQUARES};

pub use api::WorkSpec;

/// The largest seed: what a JSON client in any language can hold exactly.
pub const MAX_SEED: u64 = (1 << 53) - 1;

/// The most tasks of a batch that can be told to run at the same time.
pub const MAX_CONCURRENCY: u32 = 1 << 16;

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
    /// The share of a lap's tasks that may fail, from 0 to 1. When more have failed the batch is cancelled; `None` for never.
    pub tolerated_failures: Option<f64>,
    /// How long a lap may take, in milliseconds. When it is over the batch is cancelled; `None` for as long as it takes.
    pub deadline_ms: Option<u32>,
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
            deadline_ms: None,
        }
    }
}

/// [`BatchSpec`] as it is stored, with every member a plain number.
#[derive(Serialize, Deserialize)]
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
    deadline_ms: Option<u32>,
}

impl From<BatchSpec> for PlainSpec {
    fn from(spec: BatchSpec) -> Self {
        Self {
            concurrency: spec.concurrency,
            tolerated_failures: spec.tolerated_failures,
            deadline_ms: spec.deadline_ms,
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
            tolerated_failures: plain.tolerated_failures,
            deadline_ms: plain.deadline_ms,
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
            deadline_ms,
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
        let tolerated_failures = tolerated_failures.as_ref().map(share).transpose()?;
        let deadline_ms =
            deadline_ms.as_ref().map(|ms| within("deadline_ms", ms, 1, limits.deadline_ms)).transpose()?;
        Ok(Self { work, grid, seed, attempts, timeout_ms, concurrency, tolerated_failures, deadline_ms })
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
            tolerated_failures: spec.tolerated_failures.and_then(Number::from_f64),
            deadline_ms: spec.deadline_ms.map(Into::into),
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
