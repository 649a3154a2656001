//! Paints a quilt with too many squares for elements, on a canvas with one pixel per square, which the browser enlarges.
//!
//! Above it are the threads between squares, a canvas with marks, and a real grid cell, which is moved to the square with the keyboard
//! focus.

use quilt::number::decimal;
use quilt::{Grid, Index, Square};
use viewer::{Dirty, Scene, Zoom};
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;

use crate::bitmap::Bitmap;
use crate::browser::device_pixels;
use crate::marks::{DETAIL_MIN_SCALE, Marks};
use crate::theme::Theme;

/// The minimum side of the cell's outline, in CSS pixels, so that it is visible around smaller squares.
const MIN_CELL_PX: f64 = 10.0;

/// The canvas and the elements above it.
pub struct CanvasPainter {
    window: HtmlElement,
    zoom: Zoom,
    theme: Theme,
    bitmap: Bitmap,
    threads: HtmlElement,
    marks: Marks,
    cell: HtmlElement,
    /// The square in the tab order.
    tab_stop: Square,
}

impl CanvasPainter {
    pub(crate) fn new(grid: Grid, window: &HtmlElement) -> Option<Self> {
        let find = |selector| window.query_selector(selector).ok().flatten();
        let (width, height) = size_of(window);
        let painter = Self {
            zoom: Zoom::new(grid, width, height),
            theme: Theme::read(window),
            bitmap: Bitmap::new(find(".bitmap")?.dyn_into().ok()?, grid)?,
            threads: find(".threads")?.dyn_into().ok()?,
            marks: Marks::new(find(".marks")?.dyn_into().ok()?),
            cell: find("[role=gridcell]")?.dyn_into().ok()?,
            window: window.clone(),
            tab_stop: Square { row: 0, column: 0 },
        };
        painter.apply_zoom();
        Some(painter)
    }

    pub(crate) fn zoom(&self) -> Zoom {
        self.zoom
    }

    pub(crate) fn update_theme(&mut self) {
        self.theme = Theme::read(&self.window);
    }

    pub(crate) fn resize(&mut self) {
        let (width, height) = size_of(&self.window);
        self.zoom = self.zoom.resized(width, height);
        self.apply_zoom();
    }

    pub(crate) fn set_zoom(&mut self, scene: Scene<'_>, zoom: Zoom) {
        self.zoom = zoom;
        self.apply_zoom();
        self.draw_marks(scene);
    }

    pub(crate) fn move_to(&mut self, scene: Scene<'_>, index: Index) -> HtmlElement {
        self.tab_stop = scene.layout().square(index);
        self.set_zoom(scene, self.zoom.showing(self.tab_stop));
        self.update_label(scene);
        self.cell.clone()
    }

    pub(crate) fn mark_last_across(&mut self, scene: Scene<'_>, index: Option<Index>) {
        if index != self.marks.last_across {
            self.marks.last_across = index;
            self.draw_marks(scene);
        }
    }

    pub(crate) fn paint(&mut self, scene: Scene<'_>, dirty: Dirty) -> bool {
        let (width, height) = (f64::from(self.window.client_width()), f64::from(self.window.client_height()));
        if self.zoom.is_of_another_size(width, height) {
            self.resize();
        }
        if dirty == Dirty::All {
            self.marks.clear();
        }
        self.bitmap.add(scene.layout(), dirty);
        let (marks, has_filter) = (&mut self.marks, scene.look.has_filter());
        self.bitmap.work(scene, &self.theme, |position, paint| {
            if has_filter && !paint.is_dimmed {
                marks.add(position);
            }
        });
        let is_done = self.bitmap.is_done();
        if is_done {
            self.marks.recount(scene);
            // Cannot fail, because the name is valid. The attribute hides the picture that preceded the canvas.
            let _ = self.window.set_attribute("data-painted", "");
        }
        if is_done || has_filter || self.zoom.scale >= DETAIL_MIN_SCALE {
            self.draw_marks(scene);
        }
        self.update_label(scene);
        is_done
    }

    fn draw_marks(&self, scene: Scene<'_>) {
        self.marks.draw(scene, &self.theme, &self.window, self.zoom);
    }

    /// Moves all elements according to the zoom.
    fn apply_zoom(&self) {
        let Zoom { scale, left, top, .. } = self.zoom;
        let px = |length: f64| decimal(length, 4) + "px";
        let set = |element: &HtmlElement, name: &str, value: &str| {
            // Cannot fail, because the names are valid.
            let _ = element.style().set_property(name, value);
        };
        let bitmap = self.bitmap.canvas();
        set(bitmap, "transform", &format!("translate({}, {}) scale({})", px(left), px(top), decimal(scale, 6)));
        // Averages look better if a square is smaller than a device pixel.
        let is_averaged = scale * device_pixels() < 1.0;
        set(bitmap, "image-rendering", if is_averaged { "auto" } else { "pixelated" });
        // If the whole quilt is visible, a finger scrolls the page.
        set(&self.window, "touch-action", if self.zoom.is_whole() { "pan-y" } else { "none" });
        set(&self.threads, "display", if scale >= DETAIL_MIN_SCALE { "block" } else { "none" });
        set(&self.threads, "background-size", &format!("{0} {0}", px(scale)));
        set(&self.threads, "background-position", &format!("{} {}", px(left), px(top)));
        let (x, y) = self.zoom.corner(self.tab_stop);
        let side = scale.max(MIN_CELL_PX);
        let (x, y) = (x - (side - scale) / 2.0, y - (side - scale) / 2.0);
        set(&self.cell, "transform", &format!("translate({}, {})", px(x), px(y)));
        set(&self.cell, "width", &px(side));
        set(&self.cell, "height", &px(side));
    }

    /// Updates the label of the cell for its current square.
    fn update_label(&self, scene: Scene<'_>) {
        let Some(index) = scene.layout().index(self.tab_stop) else { return };
        let label = scene.label(index);
        if self.cell.get_attribute("aria-label").as_deref() == Some(&label) {
            return;
        }
        let Square { row, column } = scene.grid().square(index);
        let state = scene.state_at(self.tab_stop).map_or("", |state| state.as_str());
        // Cannot fail, because the names are valid.
        let _ = self.cell.set_attribute("aria-label", &label);
        let _ = self.cell.set_attribute("data-state", state);
        let _ = self.cell.set_attribute("aria-colindex", &(u32::from(column) + 1).to_string());
        if let Some(parent) = self.cell.parent_element() {
            let _ = parent.set_attribute("aria-rowindex", &(u32::from(row) + 1).to_string());
        }
    }
}

/// The size of the window onto the quilt, in CSS pixels.
fn size_of(window: &HtmlElement) -> (f64, f64) {
    (f64::from(window.client_width()).max(1.0), f64::from(window.client_height()).max(1.0))
}
