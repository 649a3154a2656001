//! Resizes an image tile by tile.

use std::sync::Arc;

use bytes::Bytes;
use engine::work::{BlockingWork, Detail, Done, Task, TaskContext, TaskError};
use fast_image_resize::images::Image;
use fast_image_resize::{PixelType, ResizeOptions, Resizer};
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use quilt::{Color, Grid};

use super::cache::CachedImage;
use super::decode::decode;
use super::parameters::{Effect, Filter};

/// The support radius of the widest filter plus one, in pixels of the larger of input and output.
const FILTER_RADIUS: f64 = 4.0;

pub(super) struct ImageWork {
    pub(super) grid: Grid,
    /// The output width in pixels.
    pub(super) width: u32,
    /// The output height in pixels.
    pub(super) height: u32,
    pub(super) filter: Filter,
    pub(super) effect: Effect,
    pub(super) file: Bytes,
    /// The input, which is decoded for the first task, and again after it was evicted.
    pub(super) decoded: CachedImage,
}

/// A range of pixels along one side of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelRange {
    /// The first pixel.
    pub start: u32,
    /// The number of pixels.
    pub length: u32,
}

/// Divides a side of `side` pixels into `count` tiles and returns the range of the tile at `index`.
#[must_use]
pub fn tile_range(side: u32, index: u16, count: u16) -> PixelRange {
    let edge = |index: u32| (u64::from(side) * u64::from(index) / u64::from(count)) as u32;
    let start = edge(index.into());
    PixelRange { start, length: edge(u32::from(index) + 1) - start }
}

/// Extends a range by the margin that filters need, within the image. Returns the extended range in the output, and its start and length in
/// the input.
fn with_margin(range: PixelRange, side: u32, source_side: u32) -> (PixelRange, f64, f64) {
    let scale = f64::from(source_side) / f64::from(side);
    let margin = (FILTER_RADIUS / scale.min(1.0)).ceil() as u32;
    let start = range.start.saturating_sub(margin);
    let end = (range.start + range.length + margin).min(side);
    let extended = PixelRange { start, length: end - start };
    (extended, f64::from(start) * scale, f64::from(extended.length) * scale)
}

impl ImageWork {
    fn source(&self) -> Result<Arc<Image<'static>>, TaskError> {
        let decoded = self.decoded.get(|| {
            let image = decode(&self.file)?;
            let (width, height) = image.dimensions();
            let image = Image::from_vec_u8(width, height, image.into_raw(), PixelType::U8x4);
            image.map(Arc::new).map_err(|error| error.to_string())
        });
        decoded.map_err(|message| TaskError::permanent("the picture cannot be decoded").with_message(message))
    }

    /// Resizes a tile with its margin and returns the pixels of the tile in RGBA.
    fn tile(&self, x: PixelRange, y: PixelRange) -> Result<Vec<u8>, TaskError> {
        let source = self.source()?;
        let (extended_x, left, width) = with_margin(x, self.width, source.width());
        let (extended_y, top, height) = with_margin(y, self.height, source.height());
        let failed = |error: String| {
            TaskError::permanent("a tile cannot be resized").with_message(format!("a tile cannot be resized: {error}"))
        };
        let mut extended = Image::new(extended_x.length, extended_y.length, PixelType::U8x4);
        // Rounding must not extend the crop beyond the image.
        let width = width.min(f64::from(source.width()) - left);
        let height = height.min(f64::from(source.height()) - top);
        let options = ResizeOptions::new().resize_alg(self.filter.algorithm()).crop(left, top, width, height);
        Resizer::new().resize(&*source, &mut extended, &options).map_err(|error| failed(error.to_string()))?;
        let row_bytes = extended_x.length as usize * 4;
        let left_bytes = (x.start - extended_x.start) as usize * 4;
        let rows = extended.buffer().chunks_exact(row_bytes).skip((y.start - extended_y.start) as usize);
        let rows = rows.take(y.length as usize);
        let pixels = rows.filter_map(|row| row.get(left_bytes..left_bytes + x.length as usize * 4)).flatten().copied();
        Ok(pixels.collect())
    }
}

/// Returns the mean color of RGBA pixels, weighted by alpha.
pub(super) fn mean_color(pixels: &[u8]) -> Color {
    let mut sums = [0_u64; 4];
    for pixel in pixels.chunks_exact(4) {
        if let &[red, green, blue, alpha] = pixel {
            let alpha = u64::from(alpha);
            let weighted = [u64::from(red) * alpha, u64::from(green) * alpha, u64::from(blue) * alpha, alpha];
            for (sum, value) in sums.iter_mut().zip(weighted) {
                *sum += value;
            }
        }
    }
    let [red, green, blue, alpha] = sums;
    let channel = |sum: u64| (sum + alpha / 2).checked_div(alpha).unwrap_or_default() as u32;
    Color::from_rgb(channel(red) << 16 | channel(green) << 8 | channel(blue))
}

impl BlockingWork for ImageWork {
    fn run(&self, task: Task, _context: &TaskContext) -> Result<Done, TaskError> {
        let square = self.grid.square(task.index);
        let x = tile_range(self.width, square.column, self.grid.columns());
        let y = tile_range(self.height, square.row, self.grid.rows());
        let mut pixels = self.tile(x, y)?;
        for pixel in pixels.chunks_exact_mut(4) {
            if let &mut [red, green, blue, alpha] = pixel {
                pixel.copy_from_slice(&self.effect.apply([red, green, blue, alpha]));
            }
        }
        let mut png = Vec::new();
        PngEncoder::new(&mut png).write_image(&pixels, x.length, y.length, ExtendedColorType::Rgba8).map_err(
            |error| {
                TaskError::permanent("a tile cannot be encoded")
                    .with_message(format!("a tile cannot be encoded: {error}"))
            },
        )?;
        Ok(Done { color: mean_color(&pixels), detail: Some(Detail::Picture(png.into())) })
    }
}
