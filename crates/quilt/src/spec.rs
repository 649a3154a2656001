//! The specs of batches.

use std::collections::BTreeMap;
use std::ops::Not;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::grid::Grid;
use crate::order::TaskOrder;
use crate::priority::Priority;
use crate::timestamp::Timestamp;

pub use api::WorkSpec;

/// The maximum seed: JSON clients in all languages can represent it exactly.
pub const MAX_SEED: u64 = (1 << 53) - 1;

/// The maximum concurrency of a batch.
pub const MAX_CONCURRENCY: u32 = 1 << 16;

/// The maximum length of a title, in bytes.
pub const MAX_TITLE: usize = 500;

/// The maximum number of labels.
pub const MAX_LABELS: usize = 16;

/// The maximum length of a label, in bytes, including name, equals sign and value.
pub const MAX_LABEL: usize = 64;

/// The maximum time until the start of a batch, in milliseconds: one year.
pub const MAX_START_DELAY_MS: u64 = 365 * 24 * 3_600_000;

/// The number of tasks of a lap that may fail before it is stopped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Tolerance {
    /// A share of the tasks of the lap, from 0 to 1.
    Share(f64),
    /// A number of tasks.
    Count(u32),
}

impl Tolerance {
    /// The share and the number, as in requests and documents. At most one of them is present.
    #[must_use]
    pub const fn parts(tolerance: Option<Self>) -> (Option<f64>, Option<u32>) {
        match tolerance {
            Some(Self::Share(share)) => (Some(share), None),
            Some(Self::Count(count)) => (None, Some(count)),
            None => (None, None),
        }
    }
}

/// How a lap is stopped when too many tasks have failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Halt {
    /// Immediately. Running attempts are cancelled.
    #[default]
    Now,
    /// No more tasks start. Outcomes of running tasks still count.
    Soon,
}

impl Halt {
    /// Returns the word in requests and documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::Soon => "soon",
        }
    }
}

/// The accepted spec of a batch: everything that its tasks depend on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "PlainSpec", into = "PlainSpec")]
pub struct BatchSpec {
    /// The work of each task.
    pub work: WorkSpec,
    /// The shape of the quilt, which determines the number of tasks.
    pub grid: Grid,
    /// Determines the random order; at most [`MAX_SEED`].
    pub seed: u64,
    /// The maximum number of attempts at a task; at least 1.
    pub attempts: u8,
    /// The time limit of an attempt, in milliseconds; at least 1.
    pub timeout_ms: u32,
    /// The initial limit of tasks that run at the same time, 1 to [`MAX_CONCURRENCY`]; `None` for no limit.
    pub concurrency: Option<u32>,
    /// The number of tasks of a lap that may fail. If more fail, the lap is stopped. `None` for no limit.
    pub tolerated_failures: Option<Tolerance>,
    /// How the lap is stopped then.
    pub halt: Halt,
    /// The time limit of a lap, in milliseconds, after which the batch is cancelled. `None` for no limit.
    pub deadline_ms: Option<u32>,
    /// The order in which its squares run.
    pub order: TaskOrder,
    /// A title for people; at most [`MAX_TITLE`] characters.
    pub title: Option<Box<str>>,
    /// Labels for programs, by name: at most [`MAX_LABELS`] strings of at most [`MAX_LABEL`] bytes.
    pub labels: Map<String, Value>,
    /// Its share of the working time.
    pub priority: Priority,
    /// No task starts before this time; `None` for an immediate start.
    pub not_before: Option<Timestamp>,
}

impl BatchSpec {
    /// The labels, by name.
    #[must_use]
    pub fn labels_by_name(&self) -> BTreeMap<String, String> {
        let text = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.into()));
        self.labels.iter().filter_map(text).collect()
    }

    /// The earliest start of tasks of a lap that was started at the given time.
    #[must_use]
    pub fn earliest_start(&self, lap_started_at: Timestamp) -> Timestamp {
        self.not_before.map_or(lap_started_at, |at| at.max(lap_started_at))
    }

    /// A spec with defaults for everything that requests can omit.
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
            labels: Map::new(),
            priority: Priority::default(),
            not_before: None,
        }
    }
}

/// The stored form of [`BatchSpec`]. Unknown members would change the meaning of the batch, so they are rejected. Members use few types,
/// because browsers load the deserialization code of each type.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainSpec {
    work: WorkSpec,
    rows: u16,
    columns: u16,
    /// The number of squares; `None` if all rows have the same length.
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
    #[serde(default, skip_serializing_if = "Not::not")]
    halts_soon: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deadline_ms: Option<u32>,
    #[serde(default, skip_serializing_if = "Not::not")]
    in_input_order: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    title: String,
    /// All values are strings.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    labels: Map<String, Value>,
    /// Empty for the default priority.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    priority: String,
    /// Milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_before: Option<u64>,
}

impl From<BatchSpec> for PlainSpec {
    fn from(spec: BatchSpec) -> Self {
        let (tolerated_failures, max_failures) = Tolerance::parts(spec.tolerated_failures);
        Self {
            concurrency: spec.concurrency,
            tolerated_failures,
            max_failures,
            halts_soon: spec.halt == Halt::Soon,
            deadline_ms: spec.deadline_ms,
            in_input_order: spec.order == TaskOrder::Input,
            title: spec.title.map_or_else(String::new, Into::into),
            labels: spec.labels,
            priority: match spec.priority {
                Priority::Normal => String::new(),
                priority => priority.as_str().into(),
            },
            not_before: spec.not_before.map(|at| at.0),
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
            halt: if plain.halts_soon { Halt::Soon } else { Halt::Now },
            deadline_ms: plain.deadline_ms,
            order: if plain.in_input_order { TaskOrder::Input } else { TaskOrder::Random },
            title: (!plain.title.is_empty()).then(|| plain.title.into()),
            labels: plain.labels,
            priority: match plain.priority.as_str() {
                "" => Priority::Normal,
                word => Priority::from_word(word).ok_or("there is no such priority")?,
            },
            not_before: plain.not_before.map(Timestamp),
        })
    }
}

/// The default number of attempts.
pub const DEFAULT_ATTEMPTS: u8 = 3;

/// The default time limit of an attempt, in milliseconds.
pub const DEFAULT_TIMEOUT_MS: u32 = 60_000;
