//! Paints the changed squares of a quilt that is made of elements.

use quilt::{Grid, Index, Position};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

use super::Scene;
use crate::page::viewer::Dirty;

/// The property that holds a square's colour: no custom one, with which thousands of squares are styled more slowly.
const COLOR: &str = "background-color";

/// The elements of all squares.
pub(crate) struct ElementPainter {
    grid: Grid,
    cells: Vec<HtmlElement>,
    /// The cell that the tab key leads to.
    entry: Index,
    last_across: Option<Index>,
}

impl ElementPainter {
    /// Finds the squares among the descendants of the element with the role `grid`.
    pub(super) fn new(grid: Grid, element: &Element) -> Self {
        let cells = element
            .query_selector_all("[role=gridcell]")
            .into_iter()
            .flat_map(|cells| (0..cells.length()).filter_map(move |place| cells.item(place)?.dyn_into().ok()));
        Self { grid, cells: cells.collect(), entry: Index(0), last_across: None }
    }

    pub(super) fn paint(&self, scene: Scene<'_>, dirty: Dirty) {
        match dirty {
            Dirty::All => {
                let all = (0..self.grid.squares()).map(Position);
                all.for_each(|position| self.paint_square(scene, position, false));
            }
            Dirty::Squares(positions) => {
                positions.into_iter().for_each(|position| self.paint_square(scene, position, true));
            }
        }
    }

    pub(super) fn move_to(&mut self, index: Index) -> Option<HtmlElement> {
        let (before, now) = (self.cell(self.entry)?, self.cell(index)?.clone());
        before.set_tab_index(-1);
        now.set_tab_index(0);
        self.entry = index;
        Some(now)
    }

    pub(super) fn mark_last_across(&mut self, index: Option<Index>) {
        if index == self.last_across {
            return;
        }
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
    fn paint_square(&self, scene: Scene<'_>, position: Position, is_new: bool) {
        let index = scene.quilt.order().index(position);
        let Some(cell) = self.cell(index) else { return };
        let paint = scene.paint(position);
        let label = scene.label(index);
        let color = paint.color.map(|color| color.to_string());
        // None of these calls can fail: the names are valid ones.
        let style = cell.style();
        let _ = match &color {
            Some(color) => style.set_property(COLOR, color),
            None => style.remove_property(COLOR).map(drop),
        };
        // Setting what is set already would make the browser compute styles for nothing.
        if cell.has_attribute("data-dimmed") != paint.is_dimmed {
            let _ = cell.toggle_attribute_with_force("data-dimmed", paint.is_dimmed);
        }
        if cell.get_attribute("aria-label").as_deref() != Some(&label) {
            let _ = cell.set_attribute("aria-label", &label);
            let _ = cell.set_attribute("data-state", paint.standing.as_str());
            let _ = cell.toggle_attribute_with_force("data-new", is_new);
        }
    }
}
