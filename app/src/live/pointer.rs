//! Pointer events on the quilt.

use leptos::prelude::*;
use quilt::Square;
use viewer::Zoom;
use viewer::gesture::{Action, Gesture};
use viewer::layout;
use wasm_bindgen::JsCast;
use web_sys::{Element, Event, HtmlElement, MouseEvent, PointerEvent, WheelEvent};

use super::context::Batch;
use super::shared::Shared;

/// The zoom factor per pixel of wheel movement.
const WHEEL_FACTOR: f64 = 1.002;

/// Handles the pointer events of the quilt.
#[derive(Clone, Copy)]
pub(crate) struct Pointer {
    batch: Batch,
    gesture: Shared<Gesture>,
}

impl Pointer {
    pub(crate) fn new(batch: Batch) -> Self {
        Self { batch, gesture: Shared::new(Gesture::default()) }
    }

    /// Chooses the square under a click, unless the click ends a drag.
    pub(crate) fn click(self, event: &MouseEvent) {
        let has_dragged = self.gesture.with(Gesture::take_dragged);
        if has_dragged == Some(false)
            && let Some(square) = self.square_under(event)
        {
            self.batch.choose(square);
        }
    }

    /// Records which square is under the pointer.
    pub(crate) fn hover(self, event: &MouseEvent) {
        let square = self.square_under(event);
        if square != self.batch.view.pointed_at.get_untracked() {
            self.batch.view.pointed_at.set(square);
        }
    }

    /// Pans or zooms the quilt.
    pub(crate) fn act(self, event: &PointerEvent) {
        let Some(zoom) = self.batch.view.zoom.get_untracked() else { return };
        let action = match event.type_().as_str() {
            "pointerdown" if event.button() != 0 => return,
            "pointerdown" => Action::Down,
            "pointermove" if event.buttons() == 0 => Action::Hover,
            "pointermove" => Action::Move,
            _ => Action::Up,
        };
        let at = (f64::from(event.offset_x()), f64::from(event.offset_y()));
        let acted = self.gesture.with(|gesture| {
            let moved = gesture.act(action, event.pointer_id(), at, zoom);
            (moved, gesture.is_drag())
        });
        if let Some((Some(moved), is_drag)) = acted {
            if is_drag && let Some(quilt) = element(event) {
                // Captured because the pointer may leave the quilt. This fails only if the pointer is already gone.
                let _ = quilt.set_pointer_capture(event.pointer_id());
            }
            self.batch.view.zoom.set(Some(moved));
        }
    }

    /// Zooms around the pointer while Ctrl is held, as browsers report a pinch as well, or the quilt has the keyboard focus. Otherwise the
    /// wheel scrolls the page.
    pub(crate) fn wheel(self, event: &WheelEvent) {
        let has_control = event.ctrl_key();
        let has_focus =
            element(event).is_some_and(|quilt| matches!(quilt.closest("[role=grid]:focus-within"), Ok(Some(_))));
        if !has_control && !has_focus {
            return;
        }
        // The browser's function, because Rust's would add 1 kB to the download.
        let factor = js_sys::Math::pow(WHEEL_FACTOR, -event.delta_y());
        // If the whole quilt is visible already, zooming out scrolls the page. With Ctrl, the browser would make the whole page smaller.
        let is_used = |zoom: &Zoom| has_control || factor > 1.0 || !zoom.is_whole();
        if let Some(zoom) = self.batch.view.zoom.get_untracked().filter(is_used) {
            event.prevent_default();
            let zoom = zoom.scaled(factor, event.offset_x().into(), event.offset_y().into());
            self.batch.view.zoom.set(Some(zoom));
        }
    }

    fn square_under(self, event: &MouseEvent) -> Option<Square> {
        let square = match self.batch.view.zoom.get_untracked() {
            Some(zoom) => {
                let place = zoom.square_at(event.offset_x().into(), event.offset_y().into());
                place.and_then(|place| layout::square_at(self.batch.grid(), place))
            }
            // Not painted yet.
            None if self.batch.is_on_canvas() => None,
            None => square_of(event),
        };
        square.filter(|square| self.batch.grid().index(*square).is_some())
    }
}

/// The square of the cell that an event came from. The column is the cell's index in its row, the row is the index of that row.
pub(crate) fn square_of(event: &Event) -> Option<Square> {
    let cell = element(event).filter(|cell| cell.get_attribute("role").as_deref() == Some("gridcell"))?;
    let row = cell.parent_element()?;
    Some(Square { row: siblings_before(&row), column: siblings_before(&cell) })
}

fn element(event: &Event) -> Option<HtmlElement> {
    event.target()?.dyn_into().ok()
}

fn siblings_before(element: &Element) -> u16 {
    let before = std::iter::successors(element.previous_element_sibling(), Element::previous_element_sibling);
    // A row has at most as many cells as a grid has columns.
    before.count() as u16
}
