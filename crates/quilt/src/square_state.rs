//! [`SquareState`]: the state of one square.

use crate::color::Color;
use crate::event::Outcome;

/// What is known of one square.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SquareState<'quilt> {
    /// Its task has yet to end.
    Pending,
    /// Its task is done.
    Done(Color),
    /// Its task failed for good, for this reason.
    Failed(&'quilt str),
    /// Its task was pending when the batch was stopped, and no later lap runs it.
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
