//! `image`: an image that somebody uploaded, resized tile by tile. Each square shows the mean colour of its tile.

mod tiles;

use std::io::Cursor;
use std::sync::OnceLock;

use async_trait::async_trait;
use bytes::Bytes;
use engine::work::{Field, FieldKind, Form, Kind, Launch, Work, parameters};
use fast_image_resize::{FilterType, ResizeAlg};
use image::{ImageFormat, ImageReader, RgbaImage};
use quilt::{BatchSpec, WorkSpec};
use serde::{Deserialize, Serialize};

use self::tiles::Tiles;
pub use self::tiles::{Part, part};

const NAME: &str = "image";

/// The largest file, in bytes.
const MAX_BYTES: usize = 32 << 20;

/// The largest image, in pixels. Each takes four bytes of memory while its batch runs.
const MAX_PIXELS: u64 = 40_000_000;

/// The largest side of an image, in pixels.
const MAX_SIDE: u32 = 16_384;

/// The largest tile, in pixels.
const MAX_TILE: u64 = 1 << 17;

/// How many times larger than the image along each side what comes out may be: beyond that a tile would need much around it.
const MAX_ENLARGED: u32 = 16;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// The width of what comes out, in pixels; that of the image, or what its height says, where it is left out.
    #[serde(default)]
    width: Option<u32>,
    /// The height of what comes out, in pixels.
    #[serde(default)]
    height: Option<u32>,
    /// How pixels are made out of their neighbours.
    #[serde(default)]
    filter: Filter,
    /// What else is done to the colours.
    #[serde(default)]
    effect: Effect,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Filter {
    #[default]
    Lanczos3,
    CatmullRom,
    Mitchell,
    Bilinear,
    Box,
    Nearest,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Effect {
    #[default]
    None,
    Gray,
    Sepia,
    Invert,
}

impl Filter {
    fn algorithm(self) -> ResizeAlg {
        match self {
            Self::Lanczos3 => ResizeAlg::Convolution(FilterType::Lanczos3),
            Self::CatmullRom => ResizeAlg::Convolution(FilterType::CatmullRom),
            Self::Mitchell => ResizeAlg::Convolution(FilterType::Mitchell),
            Self::Bilinear => ResizeAlg::Convolution(FilterType::Bilinear),
            Self::Box => ResizeAlg::Convolution(FilterType::Box),
            Self::Nearest => ResizeAlg::Nearest,
        }
    }
}

impl Effect {
    fn apply(self, [red, green, blue, alpha]: [u8; 4]) -> [u8; 4] {
        let mixed = |parts: [u32; 3]| {
            let [of_red, of_green, of_blue] = parts;
            let sum = u32::from(red) * of_red + u32::from(green) * of_green + u32::from(blue) * of_blue;
            u8::try_from(sum / 1_000).unwrap_or(u8::MAX)
        };
        match self {
            Self::None => [red, green, blue, alpha],
            Self::Gray => {
                let gray = mixed([299, 587, 114]);
                [gray, gray, gray, alpha]
            }
            Self::Sepia => [mixed([393, 769, 189]), mixed([349, 686, 168]), mixed([272, 534, 131]), alpha],
            Self::Invert => [255 - red, 255 - green, 255 - blue, alpha],
        }
    }
}

/// The kind.
pub struct PictureKind;

#[async_trait]
impl Kind for PictureKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn form(&self) -> Option<Form> {
        let choices = |choices: &[(&str, &str)]| {
            FieldKind::Choice(choices.iter().map(|(value, label)| ((*value).to_owned(), (*label).to_owned())).collect())
        };
        let pixels = |name, label| {
            let kind = FieldKind::Number { unit: "pixels", value: "", min: "1", max: "16384", step: "1" };
            Field { name, label, kind, is_advanced: true }
        };
        let filters = choices(&[
            ("lanczos3", "Lanczos (sharpest)"),
            ("catmull-rom", "Catmull-Rom"),
            ("mitchell", "Mitchell"),
            ("bilinear", "Bilinear"),
            ("box", "Box"),
            ("nearest", "Nearest pixel"),
        ]);
        let effects = choices(&[("none", "As they are"), ("gray", "Grey"), ("sepia", "Sepia"), ("invert", "Inverted")]);
        let file = FieldKind::File { accept: "image/png,image/jpeg,image/webp" };
        Some(Form {
            title: "An image of yours",
            about: "Each task resizes a tile of it; at the finish line the tiles are one image again.",
            presets: Vec::new(),
            draws_presets: false,
            counts_tasks: false,
            fields: vec![
                Field { name: "file", label: "Image (PNG, JPEG or WebP)", kind: file, is_advanced: false },
                pixels("width", "Width of what comes out"),
                pixels("height", "Height of what comes out"),
                Field { name: "filter", label: "Filter", kind: filters, is_advanced: true },
                Field { name: "effect", label: "Colours", kind: effects, is_advanced: true },
            ],
        })
    }

    async fn prepare(&self, work: WorkSpec, upload: Option<Bytes>) -> Result<Launch, String> {
        let file = upload.ok_or("an image is missing: it is sent as the file of a form")?;
        let parameters = parameters::<Parameters>(&work)?;
        let (width, height) = size(&file)?;
        let (width, height) = parameters.size(width, height)?;
        let parameters = Parameters { width: Some(width), height: Some(height), ..parameters };
        Ok(Launch::with_parameters(&work, &parameters)?.with_input(file))
    }

    fn build(&self, spec: &BatchSpec, input: Option<Bytes>) -> Result<Work, String> {
        let parameters = parameters::<Parameters>(&spec.work)?;
        let file = input.ok_or("the image is missing")?;
        let (Some(width), Some(height)) = (parameters.width, parameters.height) else {
            return Err("width and height are missing".into());
        };
        let grid = spec.grid;
        let (rows, columns) = (u32::from(grid.rows()), u32::from(grid.columns()));
        if !grid.is_full() {
            return Err("the rows of an image are of the same length".into());
        }
        if width < columns || height < rows {
            return Err(format!("{width} × {height} pixels are too few for {rows} rows of {columns} columns"));
        }
        let largest = u64::from(width.div_ceil(columns)) * u64::from(height.div_ceil(rows));
        if largest > MAX_TILE {
            return Err(format!(
                "a tile would have {largest} pixels; at most {MAX_TILE} are allowed, so take more rows or columns"
            ));
        }
        let Parameters { filter, effect, .. } = parameters;
        Ok(Work::blocking(Tiles { grid, width, height, filter, effect, file, decoded: OnceLock::new() }))
    }
}

/// The width and the height of what the tasks of such work draw together, in pixels; `None` for any other work.
#[must_use]
pub fn size_of(work: &WorkSpec) -> Option<(u32, u32)> {
    let parameters = (work.kind == NAME).then(|| parameters::<Parameters>(work).ok())??;
    parameters.width.zip(parameters.height)
}

/// The size of an image, from the first bytes of its file.
fn size(file: &Bytes) -> Result<(u32, u32), String> {
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
fn decode(file: &Bytes) -> Result<RgbaImage, String> {
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

impl Parameters {
    /// The size of what comes out. A side that is left out follows from the other one.
    fn size(&self, of_width: u32, of_height: u32) -> Result<(u32, u32), String> {
        let (width, height) = (of_width, of_height);
        let scaled = |length: u32, to: u32, from: u32| {
            u32::try_from((u64::from(length) * u64::from(to) + u64::from(from) / 2) / u64::from(from.max(1)))
                .unwrap_or(u32::MAX)
                .max(1)
        };
        let (width, height) = match (self.width, self.height) {
            (None, None) => (width, height),
            (Some(to), None) => (to, scaled(height, to, width)),
            (None, Some(to)) => (scaled(width, to, height), to),
            (Some(width), Some(height)) => (width, height),
        };
        for (name, side, of) in [("width", width, of_width), ("height", height, of_height)] {
            if side > of.saturating_mul(MAX_ENLARGED) {
                return Err(format!(
                    "{name} must not be more than {MAX_ENLARGED} times that of the image, {of}, unlike {side}"
                ));
            }
            if !(1..=MAX_SIDE).contains(&side) {
                return Err(format!("{name} must be a whole number from 1 to {MAX_SIDE}, not {side}"));
            }
        }
        let pixels = u64::from(width) * u64::from(height);
        if pixels > MAX_PIXELS {
            return Err(format!("{width} × {height} are {pixels} pixels; at most {MAX_PIXELS} are allowed"));
        }
        Ok((width, height))
    }
}

#[cfg(test)]
mod tests {
    use engine::work::{Allowance, Detail, Task};
    use fast_image_resize::images::Image;
    use fast_image_resize::{PixelType, ResizeOptions, Resizer};
    use quilt::{Grid, Index};
    use serde_json::json;
    use tokio::time::Instant;
    use tokio_util::sync::CancellationToken;

    use super::tiles::mean;
    use super::*;

    /// An image in which no two neighbours are alike, and a corner can be seen through.
    fn sample(width: u32, height: u32) -> RgbaImage {
        RgbaImage::from_fn(width, height, |x, y| {
            let wave = |a: u32, b: u32| ((f64::from(x * a + y * b) / 19.0).sin() * 100.0 + 128.0) as u8;
            image::Rgba([wave(2, 1), wave(1, 3), wave(5, 2), if x < 8 && y < 8 { 0 } else { 255 }])
        })
    }

    fn file(image: &RgbaImage, format: ImageFormat) -> Bytes {
        let mut bytes = Cursor::new(Vec::new());
        match format {
            ImageFormat::Jpeg => image::DynamicImage::from(image.clone()).into_rgb8().write_to(&mut bytes, format),
            _ => image.write_to(&mut bytes, format),
        }
        .expect("it can be encoded");
        bytes.into_inner().into()
    }

    async fn prepare(parameters: serde_json::Value, file: Bytes) -> Result<Launch, String> {
        let parameters = parameters.as_object().expect("an object").clone();
        PictureKind.prepare(WorkSpec { kind: "image".into(), parameters }, Some(file)).await
    }

    /// Runs all tasks and puts the tiles together.
    async fn gathered(parameters: serde_json::Value, file: Bytes, rows: u16, columns: u16) -> RgbaImage {
        let launch = prepare(parameters, file).await.expect("valid");
        let spec = BatchSpec::new(launch.work, Grid::new(rows, columns).expect("small"), 1);
        let Work::Blocking(work) = PictureKind.build(&spec, launch.input).expect("valid") else {
            panic!("it computes")
        };
        let (width, height) = (spec.work.parameters["width"].as_u64(), spec.work.parameters["height"].as_u64());
        let (width, height) = (width.expect("a number") as u32, height.expect("a number") as u32);
        let mut whole = RgbaImage::new(width, height);
        let allowance = Allowance {
            deadline: Instant::now() + std::time::Duration::from_secs(3_600),
            cancelled: CancellationToken::new(),
        };
        for index in (0..spec.grid.squares()).map(Index) {
            let done = work.run(Task { index, seed: 1, lap: 1, attempt: 1 }, &allowance).expect("it succeeds");
            let Some(Detail::Picture(png)) = done.detail else { panic!("a tile") };
            let tile = image::load_from_memory(&png).expect("a PNG").into_rgba8();
            assert_eq!(done.color, mean(&tile));
            let square = spec.grid.square(index);
            let (x, y) = (part(width, square.column, columns).first, part(height, square.row, rows).first);
            image::imageops::replace(&mut whole, &tile, x.into(), y.into());
        }
        whole
    }

    fn resized_at_once(image: &RgbaImage, width: u32, height: u32, filter: Filter) -> RgbaImage {
        let (from_width, from_height) = image.dimensions();
        let source =
            Image::from_vec_u8(from_width, from_height, image.as_raw().clone(), PixelType::U8x4).expect("fits");
        let mut whole = Image::new(width, height, PixelType::U8x4);
        let options = ResizeOptions::new().resize_alg(filter.algorithm());
        Resizer::new().resize(&source, &mut whole, &options).expect("it can be resized");
        RgbaImage::from_raw(width, height, whole.into_vec()).expect("fits")
    }

    #[tokio::test]
    async fn tiles_fit_together_without_a_seam() {
        let image = sample(101, 67);
        let file = file(&image, ImageFormat::Png);
        for (filter, name) in [
            (Filter::Lanczos3, "lanczos3"),
            (Filter::CatmullRom, "catmull-rom"),
            (Filter::Mitchell, "mitchell"),
            (Filter::Bilinear, "bilinear"),
        ] {
            for (width, height) in [(101, 67), (53, 31), (250, 190), (40, 190)] {
                let parameters = json!({"width": width, "height": height, "filter": name});
                let tiled = gathered(parameters, file.clone(), 5, 7).await;
                let whole = resized_at_once(&image, width, height, filter);
                let seen = tiled.pixels().zip(whole.pixels()).filter(|(_, whole)| whole.0[3] > 0);
                let apart = seen.flat_map(|(tile, whole)| tile.0.into_iter().zip(whole.0));
                let most = apart.map(|(tile, whole)| tile.abs_diff(whole)).max().expect("there are pixels");
                assert!(most <= 2, "{name} to {width} x {height}: {most} apart");
            }
        }
    }

    #[tokio::test]
    async fn an_image_of_the_same_size_is_itself_whatever_its_format() {
        let image = sample(40, 30);
        for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Jpeg] {
            let tiled = gathered(json!({"filter": "nearest"}), file(&image, format), 3, 4).await;
            let decoded = decode(&file(&image, format)).expect("readable");
            assert_eq!(tiled, decoded, "{format:?}");
        }
    }

    #[tokio::test]
    async fn a_side_that_is_left_out_keeps_the_shape() {
        let file = file(&sample(200, 100), ImageFormat::Png);
        let launch = prepare(json!({"width": 50}), file.clone()).await.expect("valid");
        assert_eq!(launch.work.parameters["height"], 25);
        let launch = prepare(json!({"height": 50}), file).await.expect("valid");
        assert_eq!(launch.work.parameters["width"], 100);
    }

    #[tokio::test]
    async fn what_is_no_image_or_too_large_is_refused_before_it_is_decoded() {
        let png = file(&sample(10, 10), ImageFormat::Png);
        // The size stands in the bytes 16 to 24, and a checksum behind it.
        let mut bomb = png.to_vec();
        bomb[16..24].copy_from_slice(&[0, 0, 0x40, 0, 0, 0, 0x40, 0]);
        let crc = {
            let mut crc = flate2::Crc::new();
            crc.update(&bomb[12..29]);
            crc.sum()
        };
        bomb[29..33].copy_from_slice(&crc.to_be_bytes());
        for (file, reason) in [
            (Bytes::from_static(b"GIF89a.."), "no PNG, JPEG or WebP"),
            (Bytes::from_static(b""), "no PNG, JPEG or WebP"),
            (png.slice(..20), "cannot be read"),
            (bomb.into(), "16384 × 16384 pixels"),
        ] {
            let error = prepare(json!({}), file).await.expect_err(reason);
            assert!(error.contains(reason), "{error}");
        }
        for (parameters, reason) in [
            (json!({"width": 0}), "width must be"),
            (json!({"width": 161}), "not be more than 16 times"),
            (json!({"filter": "x"}), "filter"),
            (json!({"filter": "x", "blur": 1}), "blur"),
        ] {
            let error = prepare(parameters, png.clone()).await.expect_err(reason);
            assert!(error.contains(reason) || reason == "filter" && error.contains("unknown variant `x`"), "{error}");
        }
    }

    #[tokio::test]
    async fn an_image_that_is_cut_off_fails_its_tasks_with_the_reason() {
        let png = file(&sample(64, 64), ImageFormat::Png);
        let launch = prepare(json!({}), png.slice(..png.len() / 2)).await.expect("its first bytes are whole");
        let spec = BatchSpec::new(launch.work, Grid::new(2, 2).expect("small"), 1);
        let Work::Blocking(work) = PictureKind.build(&spec, launch.input).expect("valid") else {
            panic!("it computes")
        };
        let allowance = Allowance { deadline: Instant::now(), cancelled: CancellationToken::new() };
        let error = work.run(Task { index: Index(0), seed: 1, lap: 1, attempt: 1 }, &allowance).expect_err("cut off");
        assert!(error.reason.contains("cannot be decoded"), "{error}");
    }

    #[tokio::test]
    async fn grids_that_do_not_suit_the_image_are_refused() {
        let launch = prepare(json!({}), file(&sample(600, 600), ImageFormat::Png)).await.expect("valid");
        let build = |grid| PictureKind.build(&BatchSpec::new(launch.work.clone(), grid, 1), launch.input.clone());
        let refused = |grid| build(grid).err().expect("it is refused");
        assert!(refused(Grid::new(1, 601).expect("small")).contains("too few"));
        assert!(refused(Grid::new(1, 1).expect("small")).contains("360000 pixels"));
        assert!(refused(Grid::with_squares(2, 2, 3).expect("small")).contains("same length"));
        assert!(build(Grid::new(2, 2).expect("small")).is_ok());
    }
}
