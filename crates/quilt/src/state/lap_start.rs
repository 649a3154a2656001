//! The start of laps after the first.

use super::{MAX_LAPS, Quilt, SquareState};
use crate::cell::{Cell, CellState};
use crate::lap::{Lap, LapLimits, LapSet};
use crate::timestamp::Timestamp;

impl Quilt {
    /// Whether a lap with these squares can start: the current lap has ended, and there is at least one such square.
    #[must_use]
    pub fn can_start_lap(&self, set: &LapSet) -> bool {
        let is_not_empty = match set {
            LapSet::Failed => self.failed > 0,
            LapSet::NotRun => self.not_run > 0,
            LapSet::Reason(reason) => self.reasons.find(reason).is_some(),
            LapSet::Positions(positions) => positions
                .iter()
                .any(|position| matches!(self.at(position), SquareState::Failed(_) | SquareState::NotRun)),
        };
        is_not_empty && self.status().is_over() && self.earlier_laps.len() + 1 < MAX_LAPS
    }

    pub(super) fn start_lap(&mut self, at: Timestamp, set: &LapSet, limits: Option<LapLimits>) {
        let tasks = match set {
            LapSet::Positions(positions) => positions.iter().map(|position| self.run_again(position.0, |_| true)).sum(),
            LapSet::Failed => self.run_all_again(|cell| matches!(cell, CellState::Failed(_))),
            LapSet::NotRun => self.run_all_again(|cell| cell == CellState::NotRun),
            LapSet::Reason(reason) => {
                let reason = self.reasons.find(reason);
                self.run_all_again(|cell| matches!(cell, CellState::Failed(other) if Some(other) == reason))
            }
        };
        let lap = Lap { started_at: at, tasks, left_failed: self.failed, end: None };
        self.earlier_laps.push(std::mem::replace(&mut self.lap, lap));
        self.limits = limits.unwrap_or(self.limits);
        self.is_paused = false;
        self.draining = None;
        self.updated_at = at;
    }

    fn run_all_again(&mut self, is_wanted: impl Fn(CellState) -> bool) -> u32 {
        (0..self.progress().tasks).map(|position| self.run_again(position, &is_wanted)).sum()
    }

    /// Makes the square at a position pending if it failed or was not run and `is_wanted` is true. Returns the number of changed squares.
    fn run_again(&mut self, position: u32, is_wanted: impl Fn(CellState) -> bool) -> u32 {
        let Some(cell) = self.cells.get_mut(position as usize) else { return 0 };
        match cell.state() {
            state if !is_wanted(state) => return 0,
            CellState::Pending | CellState::Done(_) => return 0,
            CellState::Failed(reason) => {
                self.failed -= 1;
                self.reasons.remove(reason);
            }
            CellState::NotRun => self.not_run -= 1,
        }
        *cell = Cell::PENDING;
        1
    }
}
