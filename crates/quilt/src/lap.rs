//! Laps: which squares one runs, within which limits, and how it ended.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::grid::Index;
use crate::order::Position;
use crate::spec::BatchSpec;
use crate::timestamp::Timestamp;

/// The squares that a lap after the first runs. Squares that are done never run again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LapSet {
    /// All that failed.
    Failed,
    /// Those that failed for this reason.
    Reason(Box<str>),
    /// Those that were not run when the lap before was stopped.
    NotRun,
    /// Those at these positions that failed or were not run.
    Positions(Positions),
}

impl LapSet {
    /// The only position of a list, if it has one.
    #[must_use]
    pub fn only(&self) -> Option<Position> {
        let Self::Positions(positions) = self else { return None };
        let mut positions = positions.iter();
        positions.next().filter(|_| positions.next().is_none())
    }

    /// How many bytes it takes beside its own.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Failed | Self::NotRun => 0,
            Self::Reason(reason) => reason.len(),
            Self::Positions(positions) => size_of_val(positions.ranges()),
        }
    }
}

/// Positions in ascending order, each once. Neighbors are kept, and written, as one range.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Positions(Box<[Range<u32>]>);

impl Positions {
    /// The positions, in order.
    pub fn iter(&self) -> impl Iterator<Item = Position> + '_ {
        self.0.iter().cloned().flatten().map(Position)
    }

    /// From the first position to behind the last one; `None` where there are none.
    #[must_use]
    pub fn bounds(&self) -> Option<Range<Position>> {
        let (first, last) = (self.0.first()?, self.0.last()?);
        Some(Position(first.start)..Position(last.end))
    }

    /// Ranges with gaps between them, in order.
    pub(crate) fn ranges(&self) -> &[Range<u32>] {
        &self.0
    }

    /// A single position.
    #[must_use]
    pub fn one(position: Position) -> Self {
        let range = position.0..position.0.saturating_add(1);
        Self(Box::new([range]))
    }

    /// The positions of ranges in ascending order, which do not overlap.
    pub(crate) fn from_ranges(ranges: Vec<Range<u32>>) -> Self {
        let mut joined: Vec<Range<u32>> = Vec::with_capacity(ranges.len());
        for range in ranges.into_iter().filter(|range| !range.is_empty()) {
            match joined.last_mut().filter(|last| last.end == range.start) {
                Some(last) => last.end = range.end,
                None => joined.push(range),
            }
        }
        Self(joined.into())
    }
}

impl FromIterator<Position> for Positions {
    fn from_iter<T: IntoIterator<Item = Position>>(positions: T) -> Self {
        let mut positions: Vec<u32> = positions.into_iter().map(|position| position.0).collect();
        positions.sort_unstable();
        positions.dedup();
        Self::from_ranges(positions.into_iter().map(|position| position..position.saturating_add(1)).collect())
    }
}

/// What tasks of a lap may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LapLimits {
    /// How often a task is attempted before its square has failed; at least 1.
    pub attempts: u8,
    /// How long one attempt may take, in milliseconds; at least 1.
    pub timeout_ms: u32,
    /// How many tasks may run at the same time, if there is a limit.
    pub concurrency: Option<u32>,
    /// How long the lap may take, in milliseconds, if there is a limit.
    pub deadline_ms: Option<u32>,
}

impl From<&BatchSpec> for LapLimits {
    fn from(spec: &BatchSpec) -> Self {
        let BatchSpec { attempts, timeout_ms, concurrency, deadline_ms, .. } = *spec;
        Self { attempts, timeout_ms, concurrency, deadline_ms }
    }
}

/// One run to the finish line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lap {
    /// When it was launched or, from the second one on, asked for.
    pub started_at: Timestamp,
    /// How many tasks it has to run.
    pub tasks: u32,
    /// How many failed squares it does not run.
    pub left_failed: u32,
    /// How it ended, once it has.
    pub end: Option<LapEnd>,
}

impl Lap {
    /// Its finish line, once crossed.
    #[must_use]
    pub fn finish(&self) -> Option<Finish> {
        match self.end {
            Some(LapEnd::Finished(finish)) => Some(finish),
            Some(LapEnd::Cancelled(_)) | None => None,
        }
    }

    /// How it was stopped before its finish line, if it was.
    #[must_use]
    pub fn cancellation(&self) -> Option<Cancellation> {
        match self.end {
            Some(LapEnd::Cancelled(cancellation)) => Some(cancellation),
            Some(LapEnd::Finished(_)) | None => None,
        }
    }
}

/// How a lap ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LapEnd {
    /// Every square that it had to run has its outcome.
    Finished(Finish),
    /// It was stopped before.
    Cancelled(Cancellation),
}

impl LapEnd {
    /// When it ended.
    #[must_use]
    pub const fn at(self) -> Timestamp {
        match self {
            Self::Finished(finish) => finish.at,
            Self::Cancelled(cancellation) => cancellation.at,
        }
    }
}

/// A finish line that was crossed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finish {
    /// When the last square settled.
    pub at: Timestamp,
    /// The square that settled last.
    pub last_across: Index,
    /// How many squares had failed then, whenever that was.
    pub failed: u32,
    /// How many squares had not been run then, because the lap did not run them.
    pub not_run: u32,
}

/// How a lap was stopped before its finish line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancellation {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub cause: CancelCause,
}

/// Why a batch was stopped before its finish line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CancelCause {
    /// Its owner asked for it.
    Asked,
    /// Its time was over.
    Deadline,
    /// More of its tasks failed than are tolerated. That a lap stops for it at once follows from the settlements; where it drains, an
    /// event ends it.
    Failures,
}
