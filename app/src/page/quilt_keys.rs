//! What is done on the quilt itself, with the keyboard, the pointer and the wheel.

use quilt::{Grid, Square};
use wasm_bindgen::JsCast;
use web_sys::{Element, Event, EventTarget, HtmlElement, KeyboardEvent, MouseEvent, PointerEvent, WheelEvent};

use super::Page;
use super::state::State;

/// How much a turn of the wheel by one pixel enlarges.
const WHEEL: f64 = 1.002;

impl Page {
    pub(super) fn on_quilt_key(self, event: &KeyboardEvent) {
        if event.alt_key() || event.meta_key() {
            // The browser's own, such as going back.
            return;
        }
        let (key, with_control) = (event.key(), event.ctrl_key());
        let is_ours = self.update(|state| {
            let here = state.focused.unwrap_or(Square { row: 0, column: 0 });
            if matches!(key.as_str(), "Enter" | " ") {
                state.choose(here);
                return true;
            }
            let there = step(state.grid, here, &key, with_control);
            there.into_iter().for_each(|there| state.focus(there));
            there.is_some()
        });
        if is_ours == Some(true) {
            event.prevent_default();
        }
    }

    /// The focus came to a square, by the tab key or by a press.
    pub(super) fn on_quilt_focus(self, event: &Event) {
        let square = square_of(event.target());
        self.update(|state| {
            // On a canvas there is one cell for all of them.
            let square =
                square.filter(|_| !state.is_on_canvas()).or(state.focused).unwrap_or(Square { row: 0, column: 0 });
            if state.focused != Some(square) {
                state.focus(square);
            }
            state.pointed_at = Some(square);
        });
    }

    pub(super) fn on_quilt_click(self, event: &MouseEvent) {
        let has_dragged = self.with_stage(|stage| stage.pointers.take_dragged());
        let cell = square_of(event.target());
        if has_dragged == Some(false) {
            self.update(|state| {
                if let Some(square) = state.square_under(event, cell) {
                    state.choose(square);
                    state.focus(square);
                }
            });
        }
    }

    pub(super) fn on_quilt_hover(self, event: &MouseEvent) {
        let cell = square_of(event.target());
        let is_news = self.read(|state| state.square_under(event, cell) != state.pointed_at);
        if is_news == Some(true) {
            self.update(|state| state.pointed_at = state.square_under(event, cell));
        }
    }

    pub(super) fn on_quilt_leave(self) {
        self.update(|state| state.pointed_at = None);
    }

    pub(super) fn on_quilt_pointer(self, event: &PointerEvent) {
        let Some(Some(zoom)) = self.read(|state| state.zoom) else { return };
        let moved = self.with_stage(|stage| stage.pointers.moved(event, zoom));
        if let Some(Some(moved)) = moved {
            self.update(|state| state.zoom = Some(moved));
        }
    }

    pub(super) fn on_quilt_wheel(self, event: &WheelEvent) {
        let factor = WHEEL.powf(-event.delta_y());
        // Where the whole quilt is in sight, the wheel moves the page on.
        let zoom = self.read(|state| state.zoom.filter(|zoom| factor > 1.0 || !zoom.is_whole())).flatten();
        if let Some(zoom) = zoom {
            event.prevent_default();
            let zoom = zoom.scaled(factor, event.offset_x().into(), event.offset_y().into());
            self.update(|state| state.zoom = Some(zoom));
        }
    }

    /// The window has another size.
    pub(super) fn on_resize(self) {
        self.with_stage(|stage| stage.painter.iter_mut().for_each(|painter| painter.resize()));
        self.update(|state| state.zoom = None);
    }
}

impl State {
    /// Tells more of a square.
    pub(super) fn choose(&mut self, square: Square) {
        self.results.show(square);
        if self.chosen != Some(square) {
            self.chosen = Some(square);
            self.details = None;
        }
    }

    fn square_under(&self, event: &MouseEvent, cell: Option<Square>) -> Option<Square> {
        let square = match self.is_on_canvas() {
            true => self.zoom?.square_at(event.offset_x().into(), event.offset_y().into()),
            false => cell,
        };
        square.filter(|square| self.grid.index(*square).is_some())
    }
}

/// Where a key leads from a square.
fn step(grid: Grid, here: Square, key: &str, with_control: bool) -> Option<Square> {
    let Square { row, column } = here;
    let (last_row, last_column) = (grid.rows() - 1, grid.last_column(row));
    let there = match key {
        "ArrowUp" => Square { row: row.saturating_sub(1), column },
        "ArrowDown" => Square { row: (row + 1).min(last_row), column },
        "ArrowLeft" => Square { row, column: column.saturating_sub(1) },
        "ArrowRight" => Square { row, column: (column + 1).min(last_column) },
        "Home" if with_control => Square { row: 0, column: 0 },
        "End" if with_control => Square { row: last_row, column: grid.last_column(last_row) },
        "Home" => Square { row, column: 0 },
        "End" => Square { row, column: last_column },
        "PageUp" => Square { row: 0, column },
        "PageDown" => Square { row: last_row, column },
        _ => return None,
    };
    Some(Square { column: there.column.min(grid.last_column(there.row)), ..there })
}

fn cell_of(target: Option<EventTarget>) -> Option<HtmlElement> {
    target?.dyn_into::<HtmlElement>().ok().filter(|cell| cell.get_attribute("role").as_deref() == Some("gridcell"))
}

/// The place of a cell among its siblings, and of its row among the rows.
fn square_of(target: Option<EventTarget>) -> Option<Square> {
    let cell = cell_of(target)?;
    let row = cell.parent_element()?;
    Some(Square { row: siblings_before(&row), column: siblings_before(&cell) })
}

fn siblings_before(element: &Element) -> u16 {
    let before = std::iter::successors(element.previous_element_sibling(), Element::previous_element_sibling);
    // A row has at most as many cells as a grid has columns.
    before.count() as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lead_to_the_neighbours_and_stop_at_the_edges() {
        let grid = Grid::new(3, 4).expect("small");
        let corner = Square { row: 2, column: 3 };
        let at = |key, control| step(grid, corner, key, control);
        assert_eq!(at("ArrowRight", false), Some(corner));
        assert_eq!(at("ArrowDown", false), Some(corner));
        assert_eq!(at("ArrowLeft", false), Some(Square { row: 2, column: 2 }));
        assert_eq!(at("Home", false), Some(Square { row: 2, column: 0 }));
        assert_eq!(at("Home", true), Some(Square { row: 0, column: 0 }));
        assert_eq!(at("PageUp", false), Some(Square { row: 0, column: 3 }));
        assert_eq!(at("Tab", false), None);
    }

    #[test]
    fn keys_stay_within_a_last_row_that_is_shorter() {
        let grid = Grid::with_squares(3, 4, 10).expect("small");
        let there = |row, column, key, control| step(grid, Square { row, column }, key, control);
        let end = Some(Square { row: 2, column: 1 });
        assert_eq!(there(1, 3, "ArrowDown", false), end);
        assert_eq!(there(2, 1, "ArrowRight", false), end);
        assert_eq!(there(0, 3, "PageDown", false), end);
        assert_eq!(there(0, 0, "End", true), end);
        assert_eq!(there(0, 0, "End", false), Some(Square { row: 0, column: 3 }));
    }
}
