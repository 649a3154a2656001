//! Paints a quilt with too many squares to be elements: on a canvas with one pixel for each of them, which the browser enlarges.
//!
//! On top lie the threads between squares, a canvas with marks for what colour alone does not tell, and one real grid cell, which is
//! moved to wherever the keyboard is.

use quilt::{Color, Grid, Index, Position, Square};
use wasm_bindgen::{Clamped, JsCast};
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement, HtmlElement, ImageData, window};

use super::Scene;
use crate::page::look::{Paint, Standing};
use crate::page::viewer::Dirty;
use crate::page::zoom::Zoom;

/// How long painting may take in one frame, in milliseconds. The rest waits for the next one.
const BUDGET: f64 = 7.0;

/// How many squares are painted between two looks at the clock.
const BATCH: usize = 2_048;

/// From this size on, squares have threads between them, and what they are is marked.
const DETAILED: f64 = 7.0;

/// Squares that stand out are ringed where there are no more of them than this, so that a single one is not lost among a million.
const MAX_RINGS: usize = 500;

/// How often squares are counted anew of which there were too many to ring, in milliseconds.
const RECOUNT: f64 = 1_000.0;

/// How much of a dimmed square's colour is left, of 256.
const DIMMED: u32 = 40;

/// The pixels, and everything that lies on top of them.
pub(crate) struct CanvasPainter {
    grid: Grid,
    zoom: Zoom,
    window: HtmlElement,
    bitmap: HtmlCanvasElement,
    threads: HtmlElement,
    marks: HtmlCanvasElement,
    cell: HtmlElement,
    /// Four bytes a square: red, green, blue, and how opaque.
    pixels: Vec<u8>,
    waiting: Waiting,
    /// The square that the tab key leads to.
    entry: Index,
    last_across: Option<Index>,
    /// Squares that stand out, as far as they are few enough to be ringed.
    rings: Vec<Position>,
    /// When they were counted anew, by the clock of [`now`].
    counted_at: f64,
}

/// What is still to be painted.
struct Waiting {
    /// All positions from this one on; none where that is the number of squares.
    all_from: u32,
    squares: Vec<Position>,
}

/// The rows and columns that were painted.
#[derive(Clone, Copy)]
struct Painted {
    first: Square,
    last: Square,
}

impl CanvasPainter {
    pub(super) fn new(grid: Grid, window: &HtmlElement) -> Option<Self> {
        let find = |selector| window.query_selector(selector).ok().flatten();
        let (width, height) = (f64::from(window.client_width()), f64::from(window.client_height()));
        let painter = Self {
            grid,
            zoom: Zoom::new(grid, width.max(1.0), height.max(1.0)),
            bitmap: find(".bitmap")?.dyn_into().ok()?,
            threads: find(".threads")?.dyn_into().ok()?,
            marks: find(".marks")?.dyn_into().ok()?,
            cell: find("[role=gridcell]")?.dyn_into().ok()?,
            window: window.clone(),
            pixels: vec![0; usize::from(grid.rows()) * usize::from(grid.columns()) * 4],
            waiting: Waiting { all_from: 0, squares: Vec::new() },
            entry: Index(0),
            last_across: None,
            rings: Vec::new(),
            counted_at: 0.0,
        };
        context(&painter.bitmap)?;
        painter.place();
        Some(painter)
    }

    pub(super) fn zoom(&self) -> Zoom {
        self.zoom
    }

    pub(super) fn resize(&mut self) {
        let (width, height) = (f64::from(self.window.client_width()), f64::from(self.window.client_height()));
        self.zoom = self.zoom.resized(width.max(1.0), height.max(1.0));
        self.place();
    }

    pub(super) fn set_zoom(&mut self, scene: Scene<'_>, zoom: Zoom) {
        self.zoom = zoom;
        self.place();
        self.mark(scene);
    }

    pub(super) fn move_to(&mut self, scene: Scene<'_>, index: Index) -> HtmlElement {
        self.entry = index;
        self.set_zoom(scene, self.zoom.showing(self.grid.square(index)));
        self.describe(scene);
        self.cell.clone()
    }

    pub(super) fn mark_last_across(&mut self, scene: Scene<'_>, index: Option<Index>) {
        if index != self.last_across {
            self.last_across = index;
            self.mark(scene);
        }
    }

    pub(super) fn paint(&mut self, scene: Scene<'_>, dirty: Dirty) -> bool {
        if self.zoom.is_of_another_size(self.window.client_width().into(), self.window.client_height().into()) {
            self.resize();
        }
        match dirty {
            Dirty::All => {
                self.waiting = Waiting { all_from: 0, squares: Vec::new() };
                self.rings.clear();
            }
            Dirty::Squares(squares) => self.waiting.squares.extend(squares),
        }
        let painted = self.work(scene);
        if let Some(painted) = painted {
            self.put(painted);
        }
        let is_done = self.waiting.squares.is_empty() && self.waiting.all_from >= self.grid.squares();
        if is_done && self.rings.len() > MAX_RINGS && now() - self.counted_at > RECOUNT {
            self.count_again(scene);
        }
        if is_done {
            // A valid name. It hides the picture that stood in for the canvas.
            let _ = self.window.set_attribute("data-painted", "");
        }
        if is_done || scene.look.only.is_some() || self.zoom.scale >= DETAILED {
            self.mark(scene);
        }
        self.describe(scene);
        is_done
    }

    /// There were too many squares to ring; by now there may be few.
    fn count_again(&mut self, scene: Scene<'_>) {
        let all = (0..self.grid.squares()).map(Position);
        self.rings = all.filter(|position| !scene.paint(*position).is_dimmed).take(MAX_RINGS + 1).collect();
        self.counted_at = now();
    }

    /// Paints into the pixels for as long as there is time.
    fn work(&mut self, scene: Scene<'_>) -> Option<Painted> {
        let started = now();
        let mut painted = None;
        loop {
            let all = self.waiting.all_from..self.grid.squares().min(self.waiting.all_from + BATCH as u32);
            self.waiting.all_from = all.end;
            let rest = self.waiting.squares.len().saturating_sub(BATCH - all.len());
            let squares = self.waiting.squares.split_off(rest);
            if all.is_empty() && squares.is_empty() {
                return painted;
            }
            for position in all.map(Position).chain(squares) {
                let square = self.paint_square(scene, position);
                painted = Some(Painted::with(painted, square));
            }
            if now() - started > BUDGET {
                return painted;
            }
        }
    }

    fn paint_square(&mut self, scene: Scene<'_>, position: Position) -> Square {
        let index = scene.quilt.order().index(position);
        let paint = scene.paint(position);
        let place = index.0 as usize * 4;
        if let Some(pixel) = self.pixels.get_mut(place..place + 4) {
            let [red, green, blue] = pixel_color(paint, scene.look.is_dark);
            pixel.copy_from_slice(&[red, green, blue, u8::MAX]);
        }
        if scene.look.only.is_some()
            && !paint.is_dimmed
            && self.rings.len() <= MAX_RINGS
            && !self.rings.contains(&position)
        {
            self.rings.push(position);
        }
        self.grid.square(index)
    }

    /// Hands the rows that were painted to the canvas, and of those only the columns that were.
    fn put(&self, Painted { first, last }: Painted) {
        let columns = usize::from(self.grid.columns());
        let rows = usize::from(first.row)..usize::from(last.row) + 1;
        let bytes = self.pixels.get(rows.start * columns * 4..rows.end * columns * 4).unwrap_or_default();
        let image = ImageData::new_with_u8_clamped_array(Clamped(bytes), columns as u32);
        if let (Ok(image), Some(context)) = (image, context(&self.bitmap)) {
            // Fails only for sizes that a grid does not have.
            let _ = context.put_image_data_with_dirty_x_and_dirty_y_and_dirty_width_and_dirty_height(
                &image,
                0.0,
                f64::from(first.row),
                f64::from(first.column),
                0.0,
                f64::from(last.column - first.column) + 1.0,
                rows.len() as f64,
            );
        }
    }

    /// Moves everything to where the zoom says.
    fn place(&self) {
        let Zoom { scale, left, top, .. } = self.zoom;
        let set = |element: &HtmlElement, name: &str, value: &str| {
            // The names are valid ones.
            let _ = element.style().set_property(name, value);
        };
        set(&self.bitmap, "transform", &format!("translate({left}px, {top}px) scale({scale})"));
        // Where a square is smaller than a pixel of the screen, the browser had better average.
        let is_averaged = scale * device_pixels() < 1.0;
        set(&self.bitmap, "image-rendering", if is_averaged { "auto" } else { "pixelated" });
        // Where the whole quilt is in sight, a finger moves the page.
        set(&self.window, "touch-action", if self.zoom.is_whole() { "pan-y" } else { "none" });
        set(&self.threads, "display", if scale >= DETAILED { "block" } else { "none" });
        set(&self.threads, "background-size", &format!("{scale}px {scale}px"));
        set(&self.threads, "background-position", &format!("{left}px {top}px"));
        let (x, y) = self.zoom.corner(self.grid.square(self.entry));
        // Wide enough to be seen around a square that is not.
        let side = scale.max(10.0);
        let (x, y) = (x - (side - scale) / 2.0, y - (side - scale) / 2.0);
        set(&self.cell, "transform", &format!("translate({x}px, {y}px)"));
        set(&self.cell, "width", &format!("{side}px"));
        set(&self.cell, "height", &format!("{side}px"));
    }

    /// Says of the real cell what it stands for.
    fn describe(&self, scene: Scene<'_>) {
        let label = scene.label(self.entry);
        if self.cell.get_attribute("aria-label").as_deref() != Some(&label) {
            let Square { row, column } = self.grid.square(self.entry);
            let standing = scene.standing(scene.quilt.order().position(self.entry));
            // These are valid names.
            let _ = self.cell.set_attribute("aria-label", &label);
            let _ = self.cell.set_attribute("data-state", standing.as_str());
            let _ = self.cell.set_attribute("aria-colindex", &(u32::from(column) + 1).to_string());
            if let Some(parent) = self.cell.parent_element() {
                let _ = parent.set_attribute("aria-rowindex", &(u32::from(row) + 1).to_string());
            }
        }
    }

    /// Draws the marks anew: what the squares in sight are, where they are large enough, and rings around those that stand out.
    fn mark(&self, scene: Scene<'_>) {
        let Some(context) = context(&self.marks) else { return };
        let pixels = device_pixels();
        let (width, height) = (self.window.client_width(), self.window.client_height());
        let (device_width, device_height) = ((f64::from(width) * pixels) as u32, (f64::from(height) * pixels) as u32);
        if (self.marks.width(), self.marks.height()) != (device_width, device_height) {
            self.marks.set_width(device_width);
            self.marks.set_height(device_height);
        }
        // Valid numbers, which is all that could be wrong.
        let _ = context.set_transform(pixels, 0.0, 0.0, pixels, 0.0, 0.0);
        context.clear_rect(0.0, 0.0, width.into(), height.into());
        let ink = if scene.look.is_dark { "#efe9dd" } else { "#23263a" };
        if self.zoom.scale >= DETAILED {
            self.mark_standings(scene, &context);
        }
        if scene.look.only.is_some() && self.rings.len() <= MAX_RINGS && self.zoom.scale < DETAILED {
            context.set_stroke_style_str(ink);
            context.set_line_width(1.5);
            // Some may have changed since they were noted.
            let stands_out = |position: &&Position| !scene.paint(**position).is_dimmed;
            for position in self.rings.iter().filter(stands_out) {
                self.ring(&context, scene.quilt.order().index(*position), 4.0);
            }
        }
        if let Some(last) = self.last_across {
            context.set_line_width(5.0);
            context.set_stroke_style_str(if scene.look.is_dark { "#14151f" } else { "#fffbf3" });
            self.ring(&context, last, 6.0);
            context.set_line_width(2.5);
            context.set_stroke_style_str(ink);
            self.ring(&context, last, 6.0);
        }
    }

    /// A cross on what failed, a stitch on what is pending, a dash on what is tried again.
    fn mark_standings(&self, scene: Scene<'_>, context: &CanvasRenderingContext2d) {
        let (first, last) = self.zoom.in_sight();
        let side = self.zoom.scale;
        context.set_line_width((side / 10.0).max(1.0));
        for (standing, color) in [
            (Standing::Failed, if scene.look.is_dark { "#1d1118" } else { "#fffaf2" }),
            (Standing::Pending, if scene.look.is_dark { "#3a3e57" } else { "#d6c6a8" }),
            (Standing::Retrying, if scene.look.is_dark { "#1d1118" } else { "#23263a" }),
        ] {
            context.set_stroke_style_str(color);
            context.set_fill_style_str(color);
            context.begin_path();
            for row in first.row..=last.row {
                for column in first.column..=last.column {
                    let square = Square { row, column };
                    let Some(index) = self.grid.index(square) else { continue };
                    let position = scene.quilt.order().position(index);
                    if scene.standing(position) != standing {
                        continue;
                    }
                    let (x, y) = self.zoom.corner(square);
                    let (near, middle, far) = (side * 0.25, side * 0.5, side * 0.75);
                    match standing {
                        Standing::Failed => {
                            context.move_to(x + near, y + near);
                            context.line_to(x + far, y + far);
                            context.move_to(x + far, y + near);
                            context.line_to(x + near, y + far);
                        }
                        Standing::Pending => {
                            context.rect(x + middle - side / 16.0, y + middle - side / 16.0, side / 8.0, side / 8.0);
                        }
                        Standing::Retrying => {
                            context.move_to(x + near, y + middle);
                            context.line_to(x + far, y + middle);
                        }
                        Standing::Done => {}
                    }
                }
            }
            if standing == Standing::Pending { context.fill() } else { context.stroke() }
        }
    }

    fn ring(&self, context: &CanvasRenderingContext2d, index: Index, least: f64) {
        let (x, y) = self.zoom.corner(self.grid.square(index));
        let half = self.zoom.scale / 2.0;
        context.begin_path();
        // A radius is never negative, which is all that could be wrong.
        let _ = context.arc(x + half, y + half, (half * 1.3).max(least), 0.0, std::f64::consts::TAU);
        context.stroke();
    }
}

impl Painted {
    fn with(before: Option<Self>, Square { row, column }: Square) -> Self {
        let Self { first, last } =
            before.unwrap_or(Self { first: Square { row, column }, last: Square { row, column } });
        Self {
            first: Square { row: first.row.min(row), column: first.column.min(column) },
            last: Square { row: last.row.max(row), column: last.column.max(column) },
        }
    }
}

/// The colour of a square's pixel. One that stands back is mixed with the colour of what is pending.
fn pixel_color(paint: Paint, is_dark: bool) -> [u8; 3] {
    let color = paint.color.unwrap_or_else(|| paint.standing.color(is_dark));
    let [red, green, blue] = parts(color);
    if !paint.is_dimmed {
        return [red, green, blue];
    }
    let ground = parts(Standing::Pending.color(is_dark));
    let mix = |color: u8, ground: u8| ((u32::from(color) * DIMMED + u32::from(ground) * (256 - DIMMED)) / 256) as u8;
    [mix(red, ground[0]), mix(green, ground[1]), mix(blue, ground[2])]
}

fn parts(color: Color) -> [u8; 3] {
    let [_, red, green, blue] = color.rgb().to_be_bytes();
    [red, green, blue]
}

fn context(canvas: &HtmlCanvasElement) -> Option<CanvasRenderingContext2d> {
    canvas.get_context("2d").ok()??.dyn_into().ok()
}

fn device_pixels() -> f64 {
    window().map_or(1.0, |window| window.device_pixel_ratio())
}

/// A clock for how long things take, in milliseconds.
fn now() -> f64 {
    window().and_then(|window| window.performance()).map_or(0.0, |performance| performance.now())
}
