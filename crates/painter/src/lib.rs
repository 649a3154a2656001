//! Draws a quilt in a browser: with an element for each square, or on a canvas where there are too many of them.
//!
//! Uses `web-sys` alone, so that any page can use it. Both painters draw the same [`Scene`]; a square's label is what [`Scene::label`] returns.
//!
//! # The elements
//!
//! A painter finds them below the element with the role `grid`: cells with the role `gridcell` in reading order, or, for a canvas,
//! `canvas.bitmap`, `.threads`, `canvas.marks` and one cell. It owns the squares and their attributes; everything else belongs to the page.
//!
//! # Layout
//!
//! - `elements`, `canvas`: the two painters
//! - `bitmap`: one pixel a square; `marks`: what is drawn over them
//! - `browser`: what they ask of the browser
//! - [`theme`]: the colors of the page's theme, read from its style

mod bitmap;
mod browser;
mod canvas;
mod elements;
mod marks;
pub mod theme;

use quilt::Index;
use viewer::{Dirty, MAX_ELEMENTS, Scene, Zoom};
use web_sys::HtmlElement;

use canvas::CanvasPainter;
use elements::ElementPainter;

/// Draws one quilt.
pub enum Painter {
    /// Each square is an element.
    Elements(ElementPainter),
    /// Each square is a pixel.
    Canvas(Box<CanvasPainter>),
}

impl Painter {
    /// Finds the elements of the quilt below `grid`, the element with that role. `None` where a canvas is needed and the browser has none.
    #[must_use]
    pub fn new(scene: Scene<'_>, grid: &HtmlElement) -> Option<Self> {
        if scene.tasks() <= MAX_ELEMENTS {
            return Some(Self::Elements(ElementPainter::new(grid)));
        }
        CanvasPainter::new(scene.grid(), grid).map(|painter| Self::Canvas(Box::new(painter)))
    }

    /// Draws what is dirty, or as much as one frame has time for. Returns `false` when there is more to do; call again in the next frame.
    pub fn paint(&mut self, scene: Scene<'_>, dirty: Dirty) -> bool {
        match self {
            Self::Elements(painter) => {
                painter.paint(scene, dirty);
                true
            }
            Self::Canvas(painter) => painter.paint(scene, dirty),
        }
    }

    /// Makes a square the one that the Tab key reaches, and returns the element to focus for it.
    pub fn move_to(&mut self, scene: Scene<'_>, index: Index) -> Option<HtmlElement> {
        match self {
            Self::Elements(painter) => painter.move_to(index),
            Self::Canvas(painter) => Some(painter.move_to(scene, index)),
        }
    }

    /// Marks the square that was last across, and no other.
    pub fn mark_last_across(&mut self, scene: Scene<'_>, index: Option<Index>) {
        match self {
            Self::Elements(painter) => painter.mark_last_across(index),
            Self::Canvas(painter) => painter.mark_last_across(scene, index),
        }
    }

    /// Reads the page's theme again. Paint everything afterwards.
    pub fn update_theme(&mut self) {
        match self {
            // Their colors are the style's.
            Self::Elements(_) => {}
            Self::Canvas(painter) => painter.update_theme(),
        }
    }

    /// Fits the drawing into its window, which has another size.
    pub fn resize(&mut self) {
        match self {
            Self::Elements(_) => {}
            Self::Canvas(painter) => painter.resize(),
        }
    }

    /// The visible part, where the quilt can be enlarged.
    #[must_use]
    pub fn zoom(&self) -> Option<Zoom> {
        match self {
            Self::Elements(_) => None,
            Self::Canvas(painter) => Some(painter.zoom()),
        }
    }

    /// Shows another part.
    pub fn set_zoom(&mut self, scene: Scene<'_>, zoom: Zoom) {
        match self {
            Self::Elements(_) => {}
            Self::Canvas(painter) => painter.set_zoom(scene, zoom),
        }
    }
}
