//! Decodes uploaded images, which may be malformed or hostile.

use std::io::Cursor;

use bytes::Bytes;
use image::{ImageFormat, ImageReader, RgbaImage};

/// The maximum file size.
pub(super) const MAX_FILE_BYTES: u32 = 32 << 20;

/// The maximum number of pixels. A decoded image takes four bytes of memory per pixel while its batch runs.
pub(super) const MAX_PIXELS: u64 = 40_000_000;

/// The maximum width and height in pixels.
pub(super) const MAX_SIDE: u32 = 16_384;

/// Reads width and height from the file's header, without decoding the image.
pub(super) fn dimensions(file: &Bytes) -> Result<(u32, u32), String> {
    if file.len() > MAX_FILE_BYTES as usize {
        let mebibytes = |bytes: usize| bytes.div_ceil(1 << 20);
        let (size, limit) = (mebibytes(file.len()), mebibytes(MAX_FILE_BYTES as usize));
        return Err(format!("the image has {size} MiB ({} bytes); the limit is {limit} MiB", file.len()));
    }
    let (width, height) =
        open(file)?.into_dimensions().map_err(|error| format!("the image cannot be read: {error}"))?;
    let pixels = u64::from(width) * u64::from(height);
    if width > MAX_SIDE || height > MAX_SIDE || pixels > MAX_PIXELS {
        return Err(format!(
            "the image has {width} × {height} pixels; at most {MAX_SIDE} per side and {MAX_PIXELS} in total are allowed"
        ));
    }
    if pixels == 0 {
        return Err("the image has no pixels".into());
    }
    Ok((width, height))
}

fn open(file: &Bytes) -> Result<ImageReader<Cursor<&[u8]>>, String> {
    let reader = ImageReader::new(Cursor::new(&**file)).with_guessed_format().map_err(|error| error.to_string())?;
    match reader.format() {
        Some(ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP) => Ok(reader),
        _ => Err("the file is not a PNG, JPEG or WebP image".into()),
    }
}

pub(super) fn decode(file: &Bytes) -> Result<RgbaImage, String> {
    let mut reader = open(file)?;
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    // Eight bytes per pixel for four channels of 16 bits, and as much for the decoder.
    limits.max_alloc = Some(MAX_PIXELS * 16);
    reader.limits(limits);
    let image = reader.decode().map_err(|error| format!("the image cannot be decoded: {error}"))?;
    Ok(image.into_rgba8())
}
