//! The state of a square in four bytes.

use crate::color::Color;

/// A square in 32 bits: its state in the top byte, the color or the id of the reason below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell(pub(crate) u32);

/// A decoded [`Cell`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CellState {
    Pending,
    Done(Color),
    Failed(ReasonId),
    NotRun,
}

/// The number of a failure reason within a quilt. Every fold of the same journal gives the same numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReasonId(pub(crate) u32);

impl Cell {
    pub(crate) const PENDING: Self = Self(0);
    pub(crate) const NOT_RUN: Self = Self(3 << 24);

    pub(crate) const fn done(color: Color) -> Self {
        Self(1 << 24 | color.rgb())
    }

    pub(crate) const fn failed(reason: ReasonId) -> Self {
        Self(2 << 24 | reason.0)
    }

    pub(crate) const fn state(self) -> CellState {
        match self.0 >> 24 {
            0 => CellState::Pending,
            1 => CellState::Done(Color::from_rgb(self.0)),
            2 => CellState::Failed(ReasonId(self.0 & 0x00FF_FFFF)),
            _ => CellState::NotRun,
        }
    }

    pub(crate) const fn is_pending(self) -> bool {
        self.0 == Self::PENDING.0
    }
}
