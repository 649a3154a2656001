//! [`SquareState`]: the state of one square.

use crate::color::Color;
use crate::event::Outcome;

/// The state of a square.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SquareState<'quilt> {
    /// Its task has no outcome yet.
    Pending,
    /// Its task succeeded. Contains its color.
    Done(Color),
    /// Its task failed permanently, for this reason.
    Failed(&'quilt str),
    /// The batch was stopped before its task ran, and no later lap runs it.
    NotRun,
}

impl SquareState<'_> {
    /// Its outcome, if it has one.
    #[must_use]
    pub fn outcome(self) -> Option<Outcome> {
        match self {
            Self::Pending | Self::NotRun => None,
            Self::Done(color) => Some(Outcome::Done(color)),
            Self::Failed(reason) => Some(Outcome::Failed(reason.into())),
        }
    }
}
