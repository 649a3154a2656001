//! What a batch is made of.

use std::collections::BTreeMap;
use std::ops::Not;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::grid::Grid;
use crate::order::TaskOrder;
use crate::priority::Priority;
use crate::timestamp::Timestamp;

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

/// How far ahead a batch can be launched, in milliseconds: one year.
pub const MAX_START_DELAY_MS: u64 = 365 * 24 * 3_600_000;

/// How many tasks of a lap may fail before it is stopped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Tolerance {
    /// This share of the lap's tasks, from 0 to 1.
    Share(f64),
    /// This many.
    Count(u32),
}

impl Tolerance {
    /// The share and the number as requests and documents have them: at most one of the two.
    #[must_use]
    pub const fn parts(tolerance: Option<Self>) -> (Option<f64>, Option<u32>) {
        match tolerance {
            Some(Self::Share(share)) => (Some(share), None),
            Some(Self::Count(count)) => (None, Some(count)),
            None => (None, None),
        }
    }
}

/// How a lap is stopped in which too many tasks have failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
    /// What programs find it by, by name: at most [`MAX_LABELS`] texts, of at most [`MAX_LABEL`] bytes each.
    pub labels: Map<String, Value>,
    /// Its share of the working time.
    pub priority: Priority,
    /// No task starts before this moment; `None` to start at once.
    pub not_before: Option<Timestamp>,
}

impl BatchSpec {
    /// The labels, by name.
    #[must_use]
    pub fn labels_by_name(&self) -> BTreeMap<String, String> {
        let text = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.into()));
        self.labels.iter().filter_map(text).collect()
    }

    /// When tasks of a lap may start that was started at this moment.
    #[must_use]
    pub fn earliest_start(&self, lap_started_at: Timestamp) -> Timestamp {
        self.not_before.map_or(lap_started_at, |at| at.max(lap_started_at))
    }

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
            labels: Map::new(),
            priority: Priority::default(),
            not_before: None,
        }
    }
}

/// [`BatchSpec`] as it is stored. A member that this version does not know would change what the batch means, so it is refused. The
/// members have few types, because each takes code of its own to be read, which browsers load.
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
    #[serde(default, skip_serializing_if = "Not::not")]
    halts_soon: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deadline_ms: Option<u32>,
    #[serde(default, skip_serializing_if = "Not::not")]
    in_input_order: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    title: String,
    /// The values are texts.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    labels: Map<String, Value>,
    /// Empty for a normal one.
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

/// How often a task is tried unless the request says otherwise.
pub const DEFAULT_ATTEMPTS: u8 = 3;

/// How long one attempt may take unless the request says otherwise, in milliseconds.
pub const DEFAULT_TIMEOUT_MS: u32 = 60_000;
