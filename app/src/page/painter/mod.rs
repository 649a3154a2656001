//! Draws a quilt: with an element for each square, or on a canvas where there are too many of them.
//!
//! Both are told the same things, and both say of a square what [`squares::label`](crate::squares::label) says.

mod canvas;
mod elements;

use quilt::race::LastTry;
use quilt::{Grid, Index, Position, Quilt, Race, SquareState};
use web_sys::HtmlElement;

use super::look::{Look, Paint, Standing};
use super::viewer::Dirty;
use super::zoom::Zoom;
use crate::squares::{MAX_ELEMENTS, label};
use canvas::CanvasPainter;
use elements::ElementPainter;

/// What there is to draw.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) quilt: &'a Quilt,
    pub(crate) race: &'a Race,
    pub(crate) look: Look,
    /// Whether this is how the quilt once was, while the race is known to its end.
    pub(crate) is_past: bool,
}

impl<'a> Scene<'a> {
    pub(crate) fn state(self, position: Position) -> SquareState<'a> {
        self.quilt.at(position)
    }

    /// The last try at a task. In the past, one that is pending had none that is known.
    pub(crate) fn last_try(self, position: Position) -> Option<LastTry> {
        let is_known = !self.is_past || self.state(position) != SquareState::Pending;
        self.race.last_try(position).filter(|_| is_known)
    }

    pub(crate) fn standing(self, position: Position) -> Standing {
        Standing::of(self.state(position), self.last_try(position))
    }

    pub(crate) fn label(self, index: Index) -> String {
        let position = self.quilt.order().position(index);
        label(self.quilt.grid(), index, self.state(position), self.last_try(position))
    }

    fn paint(self, position: Position) -> Paint {
        self.look.paint(self.state(position), self.last_try(position))
    }
}

/// Draws one quilt.
pub(crate) enum Painter {
    Elements(ElementPainter),
    Canvas(Box<CanvasPainter>),
}

impl Painter {
    /// For what is within the element with the role `grid`; `None` where a canvas is needed, and the browser has none.
    pub(crate) fn new(grid: Grid, quilt: &HtmlElement) -> Option<Self> {
        if grid.squares() <= MAX_ELEMENTS {
            return Some(Self::Elements(ElementPainter::new(grid, quilt)));
        }
        CanvasPainter::new(grid, quilt).map(|painter| Self::Canvas(Box::new(painter)))
    }

    /// Brings what is drawn up to the scene, or as much of it as there is time for in one frame; `false` where there is more to do.
    pub(crate) fn paint(&mut self, scene: Scene<'_>, dirty: Dirty) -> bool {
        match self {
            Self::Elements(painter) => {
                painter.paint(scene, dirty);
                true
            }
            Self::Canvas(painter) => painter.paint(scene, dirty),
        }
    }

    /// Makes a square the one that the tab key leads to, and returns the element that is to have the focus then.
    pub(crate) fn move_to(&mut self, scene: Scene<'_>, index: Index) -> Option<HtmlElement> {
        match self {
            Self::Elements(painter) => painter.move_to(index),
            Self::Canvas(painter) => Some(painter.move_to(scene, index)),
        }
    }

    /// Marks the square that was last across, and no other one.
    pub(crate) fn mark_last_across(&mut self, scene: Scene<'_>, index: Option<Index>) {
        match self {
            Self::Elements(painter) => painter.mark_last_across(index),
            Self::Canvas(painter) => painter.mark_last_across(scene, index),
        }
    }

    /// Fits what is drawn into a window of another size.
    pub(crate) fn resize(&mut self) {
        match self {
            Self::Elements(_) => {}
            Self::Canvas(painter) => painter.resize(),
        }
    }

    /// Which part is in sight, where that is not always the whole.
    pub(crate) fn zoom(&self) -> Option<Zoom> {
        match self {
            Self::Elements(_) => None,
            Self::Canvas(painter) => Some(painter.zoom()),
        }
    }

    /// Shows another part.
    pub(crate) fn set_zoom(&mut self, scene: Scene<'_>, zoom: Zoom) {
        match self {
            Self::Elements(_) => {}
            Self::Canvas(painter) => painter.set_zoom(scene, zoom),
        }
    }
}
