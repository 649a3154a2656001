//! The tiles of an image, each resized by itself.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use engine::work::{Allowance, BlockingWork, Detail, Done, Task, TaskError};
use fast_image_resize::images::Image;
use fast_image_resize::{PixelType, ResizeOptions, Resizer};
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use quilt::{Color, Grid};

use super::file::decode;
use super::parameters::{Effect, Filter};

/// How far a filter reaches, in pixels of the larger of the two images.
const REACH: f64 = 4.0;

/// The tiles of an image.
pub(super) struct Tiles {
    pub(super) grid: Grid,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) filter: Filter,
    pub(super) effect: Effect,
    pub(super) file: Bytes,
    /// The image, once a task has needed it.
    pub(super) decoded: OnceLock<Result<Arc<Image<'static>>, String>>,
}

/// Where a part begins, and how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// How many pixels are before it.
    pub first: u32,
    /// How many pixels it has.
    pub length: u32,
}

/// The part of a side that belongs to one of so many.
#[must_use]
pub fn part(side: u32, number: u16, of: u16) -> Part {
    let edge = |number: u32| (u64::from(side) * u64::from(number) / u64::from(of)) as u32;
    let first = edge(number.into());
    Part { first, length: edge(u32::from(number) + 1) - first }
}

/// A part with as much around it as a filter sees, as far as there is something: in the image that comes out, and in the one that was sent.
fn with_surroundings(part: Part, side: u32, source_side: u32) -> (Part, f64, f64) {
    let scale = f64::from(source_side) / f64::from(side);
    let margin = (REACH / scale.min(1.0)).ceil() as u32;
    let first = part.first.saturating_sub(margin);
    let end = (part.first + part.length + margin).min(side);
    let around = Part { first, length: end - first };
    (around, f64::from(first) * scale, f64::from(around.length) * scale)
}

impl Tiles {
    fn source(&self) -> Result<Arc<Image<'static>>, TaskError> {
        let decoded = self.decoded.get_or_init(|| {
            let image = decode(&self.file)?;
            let (width, height) = image.dimensions();
            let image = Image::from_vec_u8(width, height, image.into_raw(), PixelType::U8x4);
            image.map(Arc::new).map_err(|error| error.to_string())
        });
        decoded.clone().map_err(|message| TaskError::permanent("the picture cannot be decoded").with_message(message))
    }

    /// The pixels of a tile, four bytes each.
    fn tile(&self, across: Part, down: Part) -> Result<Vec<u8>, TaskError> {
        let source = self.source()?;
        let (wide, left, width) = with_surroundings(across, self.width, source.width());
        let (high, top, height) = with_surroundings(down, self.height, source.height());
        let failed = |error: String| {
            TaskError::permanent("a tile cannot be resized").with_message(format!("a tile cannot be resized: {error}"))
        };
        let mut around = Image::new(wide.length, high.length, PixelType::U8x4);
        // Rounding must not lead out of the image.
        let width = width.min(f64::from(source.width()) - left);
        let height = height.min(f64::from(source.height()) - top);
        let options = ResizeOptions::new().resize_alg(self.filter.algorithm()).crop(left, top, width, height);
        Resizer::new().resize(&*source, &mut around, &options).map_err(|error| failed(error.to_string()))?;
        let row_bytes = wide.length as usize * 4;
        let skipped = (across.first - wide.first) as usize * 4;
        let rows = around.buffer().chunks_exact(row_bytes).skip((down.first - high.first) as usize);
        let rows = rows.take(down.length as usize);
        let pixels = rows.filter_map(|row| row.get(skipped..skipped + across.length as usize * 4)).flatten().copied();
        Ok(pixels.collect())
    }
}

/// The mean of pixels, weighted by how much is seen of each.
pub(super) fn mean(pixels: &[u8]) -> Color {
    let mut sums = [0_u64; 4];
    for pixel in pixels.chunks_exact(4) {
        if let &[red, green, blue, alpha] = pixel {
            let alpha = u64::from(alpha);
            let parts = [u64::from(red) * alpha, u64::from(green) * alpha, u64::from(blue) * alpha, alpha];
            for (sum, part) in sums.iter_mut().zip(parts) {
                *sum += part;
            }
        }
    }
    let [red, green, blue, alpha] = sums;
    let channel = |sum: u64| (sum + alpha / 2).checked_div(alpha).unwrap_or_default() as u32;
    Color::from_rgb(channel(red) << 16 | channel(green) << 8 | channel(blue))
}

impl BlockingWork for Tiles {
    fn run(&self, task: Task, _allowance: &Allowance) -> Result<Done, TaskError> {
        let square = self.grid.square(task.index);
        let across = part(self.width, square.column, self.grid.columns());
        let down = part(self.height, square.row, self.grid.rows());
        let mut pixels = self.tile(across, down)?;
        for pixel in pixels.chunks_exact_mut(4) {
            if let &mut [red, green, blue, alpha] = pixel {
                pixel.copy_from_slice(&self.effect.apply([red, green, blue, alpha]));
            }
        }
        let mut png = Vec::new();
        PngEncoder::new(&mut png).write_image(&pixels, across.length, down.length, ExtendedColorType::Rgba8).map_err(
            |error| {
                TaskError::permanent("a tile cannot be encoded")
                    .with_message(format!("a tile cannot be encoded: {error}"))
            },
        )?;
        Ok(Done { color: mean(&pixels), detail: Some(Detail::Picture(png.into())) })
    }
}
