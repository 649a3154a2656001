//! Laps: their squares, limits and ends.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::grid::Index;
use crate::order::Position;
use crate::spec::BatchSpec;
use crate::timestamp::Timestamp;

/// The squares of a lap after the first. Done squares never run again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LapSet {
    /// All failed squares.
    Failed,
    /// Squares that failed for this reason.
    Reason(Box<str>),
    /// Squares that were not run, because an earlier lap was cancelled.
    NotRun,
    /// Squares at these positions that failed or were not run.
    Positions(Positions),
}

impl LapSet {
    /// The only position of a list; `None` if there are none or several.
    #[must_use]
    pub fn only(&self) -> Option<Position> {
        let Self::Positions(positions) = self else { return None };
        let mut positions = positions.iter();
        positions.next().filter(|_| positions.next().is_none())
    }

    /// The number of bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Failed | Self::NotRun => 0,
            Self::Reason(reason) => reason.len(),
            Self::Positions(positions) => size_of_val(positions.ranges()),
        }
    }
}

/// Distinct positions in ascending order. Adjacent ones are stored and encoded as a range.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Positions(Box<[Range<u32>]>);

impl Positions {
    /// The positions, in order.
    pub fn iter(&self) -> impl Iterator<Item = Position> + '_ {
        self.0.iter().cloned().flatten().map(Position)
    }

    /// The range from the first to the last position; `None` if there are no positions.
    #[must_use]
    pub fn bounds(&self) -> Option<Range<Position>> {
        let (first, last) = (self.0.first()?, self.0.last()?);
        Some(Position(first.start)..Position(last.end))
    }

    /// The ranges in order. They are not adjacent.
    pub(crate) fn ranges(&self) -> &[Range<u32>] {
        &self.0
    }

    /// A single position.
    #[must_use]
    pub fn one(position: Position) -> Self {
        let range = position.0..position.0.saturating_add(1);
        Self(Box::new([range]))
    }

    /// Joins ranges, which must be in ascending order and must not overlap.
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

/// The limits of a lap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LapLimits {
    /// The maximum number of attempts at a task; at least 1.
    pub attempts: u8,
    /// The time limit of an attempt, in milliseconds; at least 1.
    pub timeout_ms: u32,
    /// The maximum number of tasks that run at the same time; `None` for no limit.
    pub concurrency: Option<u32>,
    /// The time limit of the lap, in milliseconds; `None` for no limit.
    pub deadline_ms: Option<u32>,
}

impl From<&BatchSpec> for LapLimits {
    fn from(spec: &BatchSpec) -> Self {
        let BatchSpec { attempts, timeout_ms, concurrency, deadline_ms, .. } = *spec;
        Self { attempts, timeout_ms, concurrency, deadline_ms }
    }
}

/// A lap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lap {
    /// The time of the launch or, for later laps, of the request.
    pub started_at: Timestamp,
    /// The number of its tasks.
    pub tasks: u32,
    /// The number of failed squares that it does not run.
    pub left_failed: u32,
    /// Its end; `None` while it runs.
    pub end: Option<LapEnd>,
}

impl Lap {
    /// Its finish line, if it has crossed it.
    #[must_use]
    pub fn finish(&self) -> Option<Finish> {
        match self.end {
            Some(LapEnd::Finished(finish)) => Some(finish),
            Some(LapEnd::Cancelled(_)) | None => None,
        }
    }

    /// Its cancellation, if it was cancelled.
    #[must_use]
    pub fn cancellation(&self) -> Option<Cancellation> {
        match self.end {
            Some(LapEnd::Cancelled(cancellation)) => Some(cancellation),
            Some(LapEnd::Finished(_)) | None => None,
        }
    }
}

/// The end of a lap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LapEnd {
    /// All of its squares have outcomes.
    Finished(Finish),
    /// It was stopped before the finish line.
    Cancelled(Cancellation),
}

impl LapEnd {
    /// The time of the end.
    #[must_use]
    pub const fn at(self) -> Timestamp {
        match self {
            Self::Finished(finish) => finish.at,
            Self::Cancelled(cancellation) => cancellation.at,
        }
    }
}

/// The finish line of a lap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finish {
    /// The time of the last settlement.
    pub at: Timestamp,
    /// The square that settled last.
    pub last_across: Index,
    /// The number of failed squares in the quilt at that time.
    pub failed: u32,
    /// The number of squares in the quilt at that time that were not run, because the lap did not include them.
    pub not_run: u32,
}

/// A stop of a lap before its finish line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancellation {
    /// The time of the stop.
    pub at: Timestamp,
    /// The cause of the stop.
    pub cause: CancelCause,
}

/// The cause for which a batch was stopped before its finish line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CancelCause {
    /// A request of its owner.
    Asked,
    /// The deadline of the lap.
    Deadline,
    /// Too many failed tasks. An immediate stop follows from the settlements. A lap that drains is ended by an event.
    Failures,
}
