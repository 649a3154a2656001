//! Draws a quilt in a browser: with one element per square, or on a canvas for larger quilts.
//!
//! Depends only on `web-sys`, so that any page can use it. Both painters draw the same [`Scene`]. The label of a square is
//! [`Scene::label`].
//!
//! # Elements
//!
//! A painter expects these elements below the element with the role `grid`: cells with the role `gridcell` in reading order or, for a
//! canvas, `canvas.bitmap`, `.threads`, `canvas.marks` and one cell. It owns the squares and their attributes. Everything else belongs to
//! the page.
//!
//! # Layout
//!
//! - `elements`, `canvas`: the two painters
//! - `bitmap`: one pixel per square; `marks`: the marks above them
//! - `browser`: helpers for browser APIs
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
    /// Finds the elements of the quilt below the element `grid`. `None` if a canvas is needed and the browser does not support it.
    #[must_use]
    pub fn new(scene: Scene<'_>, grid: &HtmlElement) -> Option<Self> {
        if scene.tasks() <= MAX_ELEMENTS {
            return Some(Self::Elements(ElementPainter::new(grid)));
        }
        CanvasPainter::new(scene.layout(), grid).map(|painter| Self::Canvas(Box::new(painter)))
    }

    /// Draws dirty squares for the time of one frame. Returns `false` if some remain; call it again in the next frame.
    pub fn paint(&mut self, scene: Scene<'_>, dirty: Dirty) -> bool {
        match self {
            Self::Elements(painter) => {
                painter.paint(scene, dirty);
                true
            }
            Self::Canvas(painter) => painter.paint(scene, dirty),
        }
    }

    /// Moves the tab stop to a square. Returns the element to focus.
    pub fn move_to(&mut self, scene: Scene<'_>, index: Index) -> Option<HtmlElement> {
        match self {
            Self::Elements(painter) => painter.move_to(index),
            Self::Canvas(painter) => Some(painter.move_to(scene, index)),
        }
    }

    /// Marks the square that was last across, and removes the mark from others.
    pub fn mark_last_across(&mut self, scene: Scene<'_>, index: Option<Index>) {
        match self {
            Self::Elements(painter) => painter.mark_last_across(index),
            Self::Canvas(painter) => painter.mark_last_across(scene, index),
        }
    }

    /// Reads the page's theme again. Repaint all squares afterwards.
    pub fn update_theme(&mut self) {
        match self {
            // The style determines their colors.
            Self::Elements(_) => {}
            Self::Canvas(painter) => painter.update_theme(),
        }
    }

    /// Adapts the drawing to a new size of its window.
    pub fn resize(&mut self) {
        match self {
            Self::Elements(_) => {}
            Self::Canvas(painter) => painter.resize(),
        }
    }

    /// The visible part; `None` for elements, which cannot be enlarged.
    #[must_use]
    pub fn zoom(&self) -> Option<Zoom> {
        match self {
            Self::Elements(_) => None,
            Self::Canvas(painter) => Some(painter.zoom()),
        }
    }

    /// Changes the visible part.
    pub fn set_zoom(&mut self, scene: Scene<'_>, zoom: Zoom) {
        match self {
            Self::Elements(_) => {}
            Self::Canvas(painter) => painter.set_zoom(scene, zoom),
        }
    }
}
