//! The squares that have to be painted.

use quilt::{Change, Position};

/// The squares whose appearance may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dirty {
    /// All squares: the quilt or the look has been replaced, or a lap started or was stopped.
    All,
    /// These squares.
    Squares(Vec<Position>),
}

impl Dirty {
    /// Adds the squares of `changes`, in a quilt of `tasks` squares.
    pub fn extend(&mut self, changes: &[Change], tasks: u32) {
        if changes.iter().any(|change| matches!(change, Change::LapStarted | Change::Cancelled)) {
            *self = Self::All;
        }
        let changed = changes.iter().filter_map(|change| match change {
            Change::Settled(position) => Some(*position),
            _ => None,
        });
        self.extend_with(changed, tasks);
    }

    /// Adds squares of a quilt of `tasks` squares. The list never exceeds that number, even if it is not taken for a long time.
    pub fn extend_with(&mut self, squares: impl Iterator<Item = Position>, tasks: u32) {
        if let Self::Squares(positions) = self {
            positions.extend(squares.filter(|position| position.0 < tasks));
            if positions.len() > tasks as usize {
                *self = Self::All;
            }
        }
    }

    /// Returns the dirty squares, and resets them.
    #[must_use]
    pub fn take(&mut self) -> Self {
        std::mem::replace(self, Self::Squares(Vec::new()))
    }
}
