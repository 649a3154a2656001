//! The file of an image, which may be broken or claim anything.

use std::io::Cursor;

use bytes::Bytes;
use image::{ImageFormat, ImageReader, RgbaImage};

/// The largest file, in bytes.
const MAX_BYTES: usize = 32 << 20;

/// The largest image, in pixels. Each takes four bytes of memory while its batch runs.
pub(super) const MAX_PIXELS: u64 = 40_000_000;

/// The largest side of an image, in pixels.
pub(super) const MAX_SIDE: u32 = 16_384;

/// The size of an image, from the first bytes of its file.
pub(super) fn size(file: &Bytes) -> Result<(u32, u32), String> {
    if file.len() > MAX_BYTES {
        return Err(format!("the image has {} bytes; at most {MAX_BYTES} are allowed", file.len()));
    }
    let (width, height) =
        reader(file)?.into_dimensions().map_err(|error| format!("the image cannot be read: {error}"))?;
    let pixels = u64::from(width) * u64::from(height);
    if width > MAX_SIDE || height > MAX_SIDE || pixels > MAX_PIXELS {
        return Err(format!(
            "the image has {width} × {height} pixels; at most {MAX_SIDE} along each side and {MAX_PIXELS} in all are allowed"
        ));
    }
    if pixels == 0 {
        return Err("the image has no pixels".into());
    }
    Ok((width, height))
}

fn reader(file: &Bytes) -> Result<ImageReader<Cursor<&[u8]>>, String> {
    let reader = ImageReader::new(Cursor::new(&**file)).with_guessed_format().map_err(|error| error.to_string())?;
    match reader.format() {
        Some(ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP) => Ok(reader),
        _ => Err("the file is no PNG, JPEG or WebP".into()),
    }
}

/// Decodes an image that may be broken, or claim anything.
pub(super) fn decode(file: &Bytes) -> Result<RgbaImage, String> {
    let mut reader = reader(file)?;
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    // Sixteen bits a channel at most, and as much again to work with.
    limits.max_alloc = Some(MAX_PIXELS * 16);
    reader.limits(limits);
    let image = reader.decode().map_err(|error| format!("the image cannot be decoded: {error}"))?;
    Ok(image.into_rgba8())
}
