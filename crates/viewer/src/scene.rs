//! The input of the painters.

use quilt::race::LastAttempt;
use quilt::{Grid, Index, Position, Quilt, Race, Square, SquareState};

use crate::layout;
use crate::look::{Look, Paint, TaskState};
use crate::words;

/// Up to this number of squares, each is an element of the page. Larger quilts are drawn on a canvas.
pub const MAX_ELEMENTS: u32 = 1_024;

/// A quilt with its attempts and its look.
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
    /// The current shape of the quilt. Painters request it for every frame, because a batch may grow.
    #[must_use]
    pub fn grid(self) -> Grid {
        self.quilt.grid()
    }

    /// The grid in which the squares are displayed. An [`Index`] is the same in both.
    #[must_use]
    pub fn layout(self) -> Grid {
        layout::layout(self.grid())
    }

    /// The current number of squares.
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

    /// The state of the square at a row and column, if it exists.
    #[must_use]
    pub fn state_of(self, square: Square) -> Option<TaskState> {
        Some(self.state(self.quilt.position_of(square)?))
    }

    /// The state of the square at a place in the layout; `None` where there is none.
    #[must_use]
    pub fn state_at(self, place: Square) -> Option<TaskState> {
        Some(self.state(self.quilt.order().position(self.layout().index(place)?)))
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
        let mut paint = self.look.paint(self.outcome(position), self.last_attempt(position));
        paint.is_dimmed |= self.look.reason.is_some_and(|reason| self.quilt.reason_at(position) != Some(reason));
        paint
    }
}
