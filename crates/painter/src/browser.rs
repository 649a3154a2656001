//! Helpers for browser APIs.

use wasm_bindgen::JsCast;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement, window};

/// The number of device pixels per CSS pixel.
pub(crate) fn device_pixels() -> f64 {
    window().map_or(1.0, |window| window.device_pixel_ratio())
}

/// A monotonic clock, in milliseconds.
pub(crate) fn now() -> f64 {
    window().and_then(|window| window.performance()).map_or(0.0, |performance| performance.now())
}

/// The drawing context of a canvas.
pub(crate) fn context(canvas: &HtmlCanvasElement) -> Option<CanvasRenderingContext2d> {
    canvas.get_context("2d").ok()??.dyn_into().ok()
}
