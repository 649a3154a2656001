//! Paints the changed squares of a quilt that is made of elements.

use quilt::{Grid, Index, Quilt, SquareState};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

use crate::channel::Dirty;
use crate::squares::{label, state_name};

/// The elements of all squares.
pub(crate) struct Painter {
    grid: Grid,
    cells: Vec<HtmlElement>,
    /// The cell that the tab key leads to.
    entry: Index,
    last_across: Option<Index>,
}

impl Painter {
    /// Finds the squares among the descendants of the element with the role `grid`.
    pub(crate) fn new(grid: Grid, element: &Element) -> Self {
        let cells = element
            .query_selector_all("[role=gridcell]")
            .into_iter()
            .flat_map(|cells| (0..cells.length()).filter_map(move |place| cells.item(place)?.dyn_into().ok()));
        let cells = cells.collect();
        Self { grid, cells, entry: Index(0), last_across: None }
    }

    /// Brings the squares up to the quilt.
    pub(crate) fn paint(&self, quilt: &Quilt, dirty: Dirty) {
        match dirty {
            Dirty::All => (0..self.grid.squares()).for_each(|index| self.paint_square(quilt, Index(index), false)),
            Dirty::Squares(positions) => {
                for position in positions {
                    self.paint_square(quilt, quilt.order().index(position), true);
                }
            }
        }
    }

    /// Moves the focus to a square, and makes it the one that the tab key leads to.
    pub(crate) fn focus(&mut self, index: Index) {
        if let (Some(before), Some(now)) = (self.cell(self.entry), self.cell(index)) {
            before.set_tab_index(-1);
            now.set_tab_index(0);
            // An element of this page can be focused; where it cannot, the focus stays where it is.
            let _ = now.focus();
            self.entry = index;
        }
    }

    /// Marks the square that was last across, and no other one.
    pub(crate) fn mark_last_across(&mut self, index: Option<Index>) {
        for (index, is_marked) in [(self.last_across, false), (index, true)] {
            if let Some(cell) = index.and_then(|index| self.cell(index)) {
                let _ = cell.toggle_attribute_with_force("data-last-across", is_marked);
            }
        }
        self.last_across = index;
    }

    fn cell(&self, index: Index) -> Option<&HtmlElement> {
        self.cells.get(index.0 as usize)
    }

    /// A square that is `new` draws attention to itself; one that was there when the page was opened does not.
    fn paint_square(&self, quilt: &Quilt, index: Index, is_new: bool) {
        let Some(cell) = self.cell(index) else { return };
        let state = quilt.square(index);
        // Setting what is set already would make the browser compute styles for nothing. None of these calls can fail: the names are
        // valid ones.
        let name = state_name(state);
        let label = label(self.grid, index, state);
        if cell.get_attribute("aria-label").as_deref() == Some(&label) {
            return;
        }
        let _ = cell.set_attribute("aria-label", &label);
        let _ = cell.set_attribute("data-state", name);
        let style = cell.style();
        let _ = match state {
            SquareState::Done(color) => style.set_property("--color", &color.to_string()),
            SquareState::Pending | SquareState::Failed(_) => style.remove_property("--color").map(drop),
        };
        let _ = cell.toggle_attribute_with_force("data-new", is_new);
    }
}
