//! The reasons for which squares of a quilt failed.

use super::Quilt;
use crate::cell::{CellState, ReasonId};
use crate::order::Position;

impl Quilt {
    /// The reasons for failures, each with its number of squares, in the order of their first occurrence.
    pub fn reasons(&self) -> impl Iterator<Item = (&str, u32)> {
        self.reasons.counted()
    }

    /// The stored form of a reason; `None` if no square has failed for it.
    #[must_use]
    pub fn reason(&self, reason: &str) -> Option<&str> {
        self.reasons.find(reason).map(|id| self.reasons.text(id))
    }

    /// The number of a reason; `None` if no square has failed for it.
    #[must_use]
    pub fn reason_id(&self, reason: &str) -> Option<ReasonId> {
        self.reasons.find(reason)
    }

    /// The number of squares that have failed for a reason.
    #[must_use]
    pub fn failed_for(&self, reason: &str) -> u32 {
        self.reasons.find(reason).map_or(0, |id| self.reasons.count(id))
    }

    /// The reason for which the square at this position has failed; `None` if it has not.
    #[must_use]
    pub fn reason_at(&self, position: Position) -> Option<ReasonId> {
        match self.cell(position).state() {
            CellState::Failed(reason) => Some(reason),
            CellState::Pending | CellState::Done(_) | CellState::NotRun => None,
        }
    }
}
