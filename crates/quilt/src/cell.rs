//! One square's state in four bytes, and the failure reasons that squares share.

use crate::color::Color;

/// The most different failure reasons that a quilt tells apart.
const MAX_REASONS: usize = 1024;

/// Stands for every reason after the first [`MAX_REASONS`] different ones.
pub(crate) const OTHER_REASON: &str = "failed for one of many further reasons";

/// A square in 32 bits: the kind of its state in the top byte, below it the color or the reason's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell(pub(crate) u32);

/// A [`Cell`] taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CellState {
    Pending,
    Done(Color),
    Failed(ReasonId),
}

/// The place of a failure reason among a quilt's reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReasonId(pub(crate) u32);

impl Cell {
    pub(crate) const PENDING: Self = Self(0);

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
            _ => CellState::Failed(ReasonId(self.0 & 0x00FF_FFFF)),
        }
    }

    pub(crate) const fn is_pending(self) -> bool {
        matches!(self.state(), CellState::Pending)
    }
}

/// Finds or adds a reason. They are few in practice, and capped, so a scan is enough.
pub(crate) fn intern(reasons: &mut Vec<Box<str>>, reason: &str) -> ReasonId {
    let known = reasons.iter().position(|known| **known == *reason).unwrap_or_else(|| {
        if reasons.len() < MAX_REASONS {
            reasons.push(reason.into());
            reasons.len() - 1
        } else {
            MAX_REASONS
        }
    });
    ReasonId(known as u32)
}
