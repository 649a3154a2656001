//! Marks above the pixels: patterns that distinguish states without color, and rings around highlighted squares.

use quilt::{Index, Position, Square};
use viewer::{Scene, TaskState, Zoom};
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement, HtmlElement};

use crate::browser::{context, device_pixels, now};
use crate::theme::Theme;

/// The minimum scale, in CSS pixels per square, for threads between squares and marks on them.
pub(crate) const DETAIL_MIN_SCALE: f64 = 7.0;

/// The maximum number of highlighted squares with rings, which make a single one visible among a million.
const MAX_RINGS: usize = 500;

/// The interval of recounts if there are too many highlighted squares for rings, in milliseconds.
const RECOUNT_INTERVAL_MS: f64 = 1_000.0;

/// The canvas above the pixels.
pub(crate) struct Marks {
    canvas: HtmlCanvasElement,
    /// Highlighted squares, at most one more than [`MAX_RINGS`].
    rings: Vec<Position>,
    /// The time of the last count, by the clock of [`now`].
    counted_at: f64,
    pub(crate) last_across: Option<Index>,
}

impl Marks {
    pub(crate) fn new(canvas: HtmlCanvasElement) -> Self {
        Self { canvas, rings: Vec::new(), counted_at: 0.0, last_across: None }
    }

    /// Removes all highlighted squares.
    pub(crate) fn clear(&mut self) {
        self.rings.clear();
    }

    /// Adds a highlighted square.
    pub(crate) fn add(&mut self, position: Position) {
        if self.rings.len() <= MAX_RINGS && !self.rings.contains(&position) {
            self.rings.push(position);
        }
    }

    /// Recounts the highlighted squares if there were too many and the last count is old, because their number may have decreased.
    pub(crate) fn recount(&mut self, scene: Scene<'_>) {
        if self.rings.len() > MAX_RINGS && now() - self.counted_at > RECOUNT_INTERVAL_MS {
            let all = (0..scene.tasks()).map(Position);
            self.rings = all.filter(|position| !scene.paint(*position).is_dimmed).take(MAX_RINGS + 1).collect();
            self.counted_at = now();
        }
    }

    /// Draws all marks for the visible part.
    pub(crate) fn draw(&self, scene: Scene<'_>, theme: &Theme, window: &HtmlElement, zoom: Zoom) {
        let Some(context) = context(&self.canvas) else { return };
        let pixels = device_pixels();
        let (width, height) = (window.client_width(), window.client_height());
        let (device_width, device_height) = ((f64::from(width) * pixels) as u32, (f64::from(height) * pixels) as u32);
        if (self.canvas.width(), self.canvas.height()) != (device_width, device_height) {
            self.canvas.set_width(device_width);
            self.canvas.set_height(device_height);
        }
        // Cannot fail, because the numbers are finite.
        let _ = context.set_transform(pixels, 0.0, 0.0, pixels, 0.0, 0.0);
        context.clear_rect(0.0, 0.0, width.into(), height.into());
        if zoom.scale >= DETAIL_MIN_SCALE {
            draw_states(scene, theme, &context, zoom);
        }
        if scene.look.has_filter() && self.rings.len() <= MAX_RINGS && zoom.scale < DETAIL_MIN_SCALE {
            context.set_stroke_style_str(&theme.ink);
            context.set_line_width(1.5);
            // Some may not be highlighted any more.
            for position in self.rings.iter().filter(|position| !scene.paint(**position).is_dimmed) {
                draw_ring(&context, zoom, scene.layout().square(scene.quilt.order().index(*position)), 4.0);
            }
        }
        if let Some(last) = self.last_across {
            let square = scene.layout().square(last);
            context.set_line_width(5.0);
            context.set_stroke_style_str(&theme.paper);
            draw_ring(&context, zoom, square, 6.0);
            context.set_line_width(2.5);
            context.set_stroke_style_str(&theme.ink);
            draw_ring(&context, zoom, square, 6.0);
        }
    }
}

/// Draws a cross on failed squares, a stitch on pending ones, and a dash on retried ones.
fn draw_states(scene: Scene<'_>, theme: &Theme, context: &CanvasRenderingContext2d, zoom: Zoom) {
    context.set_line_width((zoom.scale / 10.0).max(1.0));
    for (state, color) in [
        (TaskState::Failed, &theme.failed_mark),
        (TaskState::Pending, &theme.pending_mark),
        (TaskState::Retrying, &theme.retrying_mark),
    ] {
        context.set_stroke_style_str(color);
        context.set_fill_style_str(color);
        context.begin_path();
        for square in visible_squares(scene, zoom).filter(|square| scene.state_at(*square) == Some(state)) {
            trace_mark(context, state, zoom.corner(square), zoom.scale);
        }
        if state == TaskState::Pending { context.fill() } else { context.stroke() }
    }
}

fn visible_squares(scene: Scene<'_>, zoom: Zoom) -> impl Iterator<Item = Square> {
    let (first, last) = zoom.in_sight();
    let squares = (first.row..=last.row)
        .flat_map(move |row| (first.column..=last.column).map(move |column| Square { row, column }));
    squares.filter(move |square| scene.layout().index(*square).is_some())
}

fn trace_mark(context: &CanvasRenderingContext2d, state: TaskState, (x, y): (f64, f64), side: f64) {
    let (near, middle, far) = (side * 0.25, side * 0.5, side * 0.75);
    match state {
        TaskState::Failed => {
            context.move_to(x + near, y + near);
            context.line_to(x + far, y + far);
            context.move_to(x + far, y + near);
            context.line_to(x + near, y + far);
        }
        TaskState::Pending => {
            context.rect(x + middle - side / 16.0, y + middle - side / 16.0, side / 8.0, side / 8.0);
        }
        TaskState::Retrying => {
            context.move_to(x + near, y + middle);
            context.line_to(x + far, y + middle);
        }
        TaskState::Done | TaskState::NotRun => {}
    }
}

/// Draws a ring around a square, with a radius of at least `least` pixels.
fn draw_ring(context: &CanvasRenderingContext2d, zoom: Zoom, square: Square, least: f64) {
    let (x, y) = zoom.corner(square);
    let half = zoom.scale / 2.0;
    context.begin_path();
    // Cannot fail, because the radius is not negative.
    let _ = context.arc(x + half, y + half, (half * 1.3).max(least), 0.0, std::f64::consts::TAU);
    context.stroke();
}
