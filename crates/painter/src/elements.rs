//! Paints a quilt whose squares are elements.

use quilt::{Index, Position};
use viewer::{Dirty, Scene};
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;

/// The property with the color of a square. Custom properties would make styling thousands of squares slower.
const COLOR_PROPERTY: &str = "background-color";

/// The elements of all squares.
pub struct ElementPainter {
    grid: HtmlElement,
    /// In reading order.
    cells: Vec<HtmlElement>,
    /// The cell in the tab order.
    tab_stop: Index,
    last_across: Option<Index>,
}

impl ElementPainter {
    pub(crate) fn new(grid: &HtmlElement) -> Self {
        Self { grid: grid.clone(), cells: find_cells(grid), tab_stop: Index(0), last_across: None }
    }

    pub(crate) fn paint(&mut self, scene: Scene<'_>, dirty: Dirty) {
        let tasks = scene.tasks();
        if self.cells.len() < tasks as usize {
            self.cells = find_cells(&self.grid);
        }
        match dirty {
            Dirty::All => (0..tasks).map(Position).for_each(|position| self.paint_square(scene, position, false)),
            Dirty::Squares(positions) => {
                positions.into_iter().for_each(|position| self.paint_square(scene, position, true));
            }
        }
    }

    pub(crate) fn move_to(&mut self, index: Index) -> Option<HtmlElement> {
        let (before, now) = (self.cell(self.tab_stop)?, self.cell(index)?.clone());
        before.set_tab_index(-1);
        now.set_tab_index(0);
        self.tab_stop = index;
        Some(now)
    }

    pub(crate) fn mark_last_across(&mut self, index: Option<Index>) {
        if index == self.last_across {
            return;
        }
        for (index, is_marked) in [(self.last_across, false), (index, true)] {
            if let Some(cell) = index.and_then(|index| self.cell(index)) {
                // Cannot fail, because the name is valid.
                let _ = cell.toggle_attribute_with_force("data-last-across", is_marked);
            }
        }
        self.last_across = index;
    }

    fn cell(&self, index: Index) -> Option<&HtmlElement> {
        self.cells.get(index.0 as usize)
    }

    /// Paints one square. Animates it if `is_new`.
    fn paint_square(&self, scene: Scene<'_>, position: Position, is_new: bool) {
        let index = scene.quilt.order().index(position);
        let Some(cell) = self.cell(index) else { return };
        let paint = scene.paint(position);
        let label = scene.label(index);
        // Cannot fail, because the names are valid.
        let style = cell.style();
        let _ = match paint.color {
            Some(color) => style.set_property(COLOR_PROPERTY, &color.to_string()),
            None => style.remove_property(COLOR_PROPERTY).map(drop),
        };
        // Setting an attribute to its current value would make the browser recompute styles.
        if cell.has_attribute("data-dimmed") != paint.is_dimmed {
            let _ = cell.toggle_attribute_with_force("data-dimmed", paint.is_dimmed);
        }
        if cell.get_attribute("aria-label").as_deref() != Some(&label) {
            let _ = cell.set_attribute("aria-label", &label);
            let _ = cell.set_attribute("data-state", paint.state.as_str());
            let _ = cell.toggle_attribute_with_force("data-new", is_new);
        }
    }
}

fn find_cells(grid: &HtmlElement) -> Vec<HtmlElement> {
    let Ok(cells) = grid.query_selector_all("[role=gridcell]") else { return Vec::new() };
    (0..cells.length()).filter_map(|place| cells.item(place)?.dyn_into().ok()).collect()
}
