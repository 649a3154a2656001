//! What a painter draws.

use quilt::race::LastAttempt;
use quilt::{Grid, Index, Position, Quilt, Race, Square, SquareState};

use crate::look::{Look, Paint, TaskState};
use crate::words;

/// Up to this many squares each is an element of the page; larger quilts are drawn on a canvas.
pub const MAX_ELEMENTS: u32 = 1_024;

/// A quilt, what is known of its attempts, and how it is looked at.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The squares.
    pub quilt: &'a Quilt,
    /// The attempts as of the same moment.
    pub race: &'a Race,
    /// What the colors show.
    pub look: Look,
}

impl<'a> Scene<'a> {
    /// The shape of the quilt as it is now. Painters ask for it again with every frame, because a batch may grow.
    #[must_use]
    pub fn grid(self) -> Grid {
        self.quilt.grid()
    }

    /// How many squares there are now.
    #[must_use]
    pub fn tasks(self) -> u32 {
        self.quilt.progress().tasks
    }

    /// The outcome of a square.
    #[must_use]
    pub fn outcome(self, position: Position) -> SquareState<'a> {
        self.quilt.at(position)
    }

    /// The last attempt at a task.
    #[must_use]
    pub fn last_attempt(self, position: Position) -> Option<LastAttempt> {
        self.race.last_attempt(position)
    }

    /// The state of a square.
    #[must_use]
    pub fn state(self, position: Position) -> TaskState {
        TaskState::of(self.outcome(position), self.last_attempt(position))
    }

    /// The state of the square at a row and column, if there is one.
    #[must_use]
    pub fn state_of(self, square: Square) -> Option<TaskState> {
        Some(self.state(self.quilt.position_of(square)?))
    }

    /// What a screen reader announces for a square.
    #[must_use]
    pub fn label(self, index: Index) -> String {
        let position = self.quilt.order().position(index);
        words::label(self.grid(), index, self.outcome(position), self.last_attempt(position))
    }

    /// How a square is drawn.
    #[must_use]
    pub fn paint(self, position: Position) -> Paint {
        self.look.paint(self.outcome(position), self.last_attempt(position))
    }
}
