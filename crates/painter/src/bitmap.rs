//! The squares as pixels, painted in slices of a few milliseconds per frame.

use quilt::{Color, Grid, Position, Square};
use viewer::{Dirty, Paint, Scene, TaskState};
use wasm_bindgen::Clamped;
use web_sys::{HtmlCanvasElement, ImageData};

use crate::browser::{context, now};
use crate::theme::Theme;

/// The time for painting per frame, in milliseconds.
const FRAME_BUDGET_MS: f64 = 7.0;

/// The number of squares that are painted between checks of the clock.
const CLOCK_CHECK_SQUARES: usize = 2_048;

/// The opacity of dimmed squares, of 256.
const DIMMED_OPACITY: u32 = 40;

/// A canvas with one pixel per square, and the squares that have to be painted.
pub(crate) struct Bitmap {
    canvas: HtmlCanvasElement,
    grid: Grid,
    /// Four bytes per square: red, green, blue and opacity.
    pixels: Vec<u8>,
    /// All positions from this one on have to be painted.
    all_from: u32,
    /// Other positions that have to be painted.
    waiting: Vec<Position>,
}

impl Bitmap {
    /// Returns `None` if the browser does not support canvases.
    pub(crate) fn new(canvas: HtmlCanvasElement, grid: Grid) -> Option<Self> {
        context(&canvas)?;
        let mut bitmap = Self { canvas, grid, pixels: Vec::new(), all_from: 0, waiting: Vec::new() };
        bitmap.allocate();
        Some(bitmap)
    }

    pub(crate) fn canvas(&self) -> &HtmlCanvasElement {
        &self.canvas
    }

    fn allocate(&mut self) {
        let (rows, columns) = (self.grid.rows(), self.grid.columns());
        self.pixels.resize(usize::from(rows) * usize::from(columns) * 4, 0);
        if (self.canvas.width(), self.canvas.height()) != (columns.into(), rows.into()) {
            // Setting the size clears the canvas.
            self.canvas.set_width(columns.into());
            self.canvas.set_height(rows.into());
            self.all_from = 0;
        }
    }

    /// Adds squares to paint, in a quilt that may have grown.
    pub(crate) fn add(&mut self, grid: Grid, dirty: Dirty) {
        if grid != self.grid {
            self.grid = grid;
            self.allocate();
        }
        match dirty {
            Dirty::All => {
                self.all_from = 0;
                self.waiting.clear();
            }
            Dirty::Squares(squares) => self.waiting.extend(squares),
        }
    }

    /// Whether everything is painted.
    pub(crate) fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.all_from >= self.grid.squares()
    }

    /// Paints until the time of the frame is used up. Calls `painted` for each square.
    pub(crate) fn work(&mut self, scene: Scene<'_>, theme: &Theme, mut painted: impl FnMut(Position, Paint)) {
        let started = now();
        let mut area = None;
        while !self.is_done() && now() - started <= FRAME_BUDGET_MS {
            let all = self.all_from..self.grid.squares().min(self.all_from.saturating_add(CLOCK_CHECK_SQUARES as u32));
            self.all_from = all.end;
            let rest = self.waiting.len().saturating_sub(CLOCK_CHECK_SQUARES - all.len());
            let squares = self.waiting.split_off(rest);
            for position in all.map(Position).chain(squares) {
                let paint = scene.paint(position);
                let square = self.set_pixel(scene, position, color_of(paint, theme));
                area = Some(Area::with(area, square));
                painted(position, paint);
            }
        }
        if let Some(area) = area {
            self.copy_to_canvas(area);
        }
    }

    fn set_pixel(&mut self, scene: Scene<'_>, position: Position, [red, green, blue]: [u8; 3]) -> Square {
        let index = scene.quilt.order().index(position);
        let place = index.0 as usize * 4;
        if let Some(pixel) = self.pixels.get_mut(place..place + 4) {
            pixel.copy_from_slice(&[red, green, blue, u8::MAX]);
        }
        self.grid.square(index)
    }

    /// Copies the rectangle of painted squares to the canvas.
    fn copy_to_canvas(&self, Area { first, last }: Area) {
        let columns = usize::from(self.grid.columns());
        let rows = usize::from(first.row)..usize::from(last.row) + 1;
        let bytes = self.pixels.get(rows.start * columns * 4..rows.end * columns * 4).unwrap_or_default();
        let image = ImageData::new_with_u8_clamped_array(Clamped(bytes), columns as u32);
        if let (Ok(image), Some(context)) = (image, context(&self.canvas)) {
            // Fails only for sizes that no grid has.
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
}

/// The bounding rectangle of the painted squares.
#[derive(Clone, Copy)]
struct Area {
    first: Square,
    last: Square,
}

impl Area {
    fn with(before: Option<Self>, square: Square) -> Self {
        let Self { first, last } = before.unwrap_or(Self { first: square, last: square });
        Self {
            first: Square { row: first.row.min(square.row), column: first.column.min(square.column) },
            last: Square { row: last.row.max(square.row), column: last.column.max(square.column) },
        }
    }
}

/// The color of a pixel. Dimmed squares are blended with the color of pending ones.
fn color_of(paint: Paint, theme: &Theme) -> [u8; 3] {
    let [red, green, blue] = channels(paint.color.unwrap_or_else(|| theme.color(paint.state)));
    if !paint.is_dimmed {
        return [red, green, blue];
    }
    let ground = channels(theme.color(TaskState::Pending));
    let mix = |color: u8, ground: u8| {
        ((u32::from(color) * DIMMED_OPACITY + u32::from(ground) * (256 - DIMMED_OPACITY)) / 256) as u8
    };
    [mix(red, ground[0]), mix(green, ground[1]), mix(blue, ground[2])]
}

fn channels(color: Color) -> [u8; 3] {
    let [_, red, green, blue] = color.rgb().to_be_bytes();
    [red, green, blue]
}
