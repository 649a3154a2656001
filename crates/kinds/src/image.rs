//! `image`: an uploaded image, resized tile by tile. Each square displays the mean color of its tile.

mod cache;
mod decode;
mod parameters;
mod tiles;

use async_trait::async_trait;
use bytes::Bytes;
use engine::work::{Field, FieldKind, Form, Kind, Launch, Unit, Work, parameters};
use quilt::{BatchSpec, Grid, WorkSpec};

use self::cache::ImageCache;
use self::decode::dimensions;
use self::parameters::ImageParameters;
use self::tiles::ImageWork;
pub use self::tiles::{PixelRange, tile_range};

/// The memory of the largest decoded image, in bytes: four per pixel.
pub const MAX_DECODED_BYTES: u64 = decode::MAX_PIXELS * 4;

const NAME: &str = "image";

/// The maximum number of pixels of a tile.
const MAX_TILE_PIXELS: u64 = 1 << 17;

/// The `image` kind.
pub struct ImageKind {
    images: ImageCache,
}

impl ImageKind {
    /// Creates the kind with at most this many bytes of decoded images in memory.
    #[must_use]
    pub fn new(max_memory: u64) -> Self {
        Self { images: ImageCache::new(max_memory) }
    }
}

#[async_trait]
impl Kind for ImageKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn form(&self) -> Option<Form> {
        let choices = |choices: &[(&str, &str)]| {
            FieldKind::Choice(choices.iter().map(|(value, label)| ((*value).to_owned(), (*label).to_owned())).collect())
        };
        let pixels = |name, label| {
            let unit = Unit::of("pixels");
            let kind = FieldKind::Number { unit, value: "", empty: "as the image", min: "1", max: "16384", step: "1" };
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
        let effects = choices(&[("none", "Unchanged"), ("gray", "Gray"), ("sepia", "Sepia"), ("invert", "Inverted")]);
        let file = FieldKind::File { accept: "image/png,image/jpeg,image/webp", max_bytes: decode::MAX_FILE_BYTES };
        Some(Form {
            title: "Resize an image",
            about: "Each task resizes one tile of an image; at the finish line the tiles form the resized image.",
            fields: vec![
                Field { name: "file", label: "Image (PNG, JPEG or WebP)", kind: file, is_advanced: false },
                pixels("width", "Output width"),
                pixels("height", "Output height"),
                Field { name: "filter", label: "Filter", kind: filters, is_advanced: true },
                Field { name: "effect", label: "Colors", kind: effects, is_advanced: true },
            ],
            ..Form::default()
        })
    }

    async fn prepare(&self, work: WorkSpec, upload: Option<Bytes>) -> Result<Launch, String> {
        let file = upload.ok_or("file is missing: upload an image")?;
        let parameters = parameters::<ImageParameters>(&work)?;
        let (width, height) = dimensions(&file).map_err(|reason| format!("file: {reason}"))?;
        let (width, height) = parameters.output_size(width, height)?;
        let parameters = ImageParameters { width: Some(width), height: Some(height), ..parameters };
        Ok(Launch::with_parameters(&work, &parameters)?.with_input(file))
    }

    fn title(&self, requested: &WorkSpec, _grid: Grid, file: Option<&str>) -> String {
        let file = file.unwrap_or("Image");
        let side = |name: &str| requested.parameters.get(name).and_then(serde_json::Value::as_u64);
        match (side("width"), side("height")) {
            (Some(width), Some(height)) => format!("{file} at {width} × {height} px"),
            (Some(side), None) | (None, Some(side)) => format!("{file} at {side} px"),
            (None, None) => file.into(),
        }
    }

    fn build(&self, spec: &BatchSpec, input: Option<Bytes>) -> Result<Work, String> {
        let parameters = parameters::<ImageParameters>(&spec.work)?;
        let file = input.ok_or("the image is missing")?;
        let (Some(width), Some(height)) = (parameters.width, parameters.height) else {
            return Err("width and height are missing".into());
        };
        let grid = spec.grid;
        let (rows, columns) = (u32::from(grid.rows()), u32::from(grid.columns()));
        if !grid.is_full() {
            return Err("an image needs rows of the same length: change rows, columns or the number of tasks".into());
        }
        if width < columns || height < rows {
            return Err(format!("rows: {width} × {height} pixels are too few for {rows} rows and {columns} columns"));
        }
        let largest = u64::from(width.div_ceil(columns)) * u64::from(height.div_ceil(rows));
        if largest > MAX_TILE_PIXELS {
            return Err(format!(
                "rows: a tile would have {largest} pixels; at most {MAX_TILE_PIXELS} are allowed, so use more rows or columns"
            ));
        }
        let ImageParameters { filter, effect, .. } = parameters;
        Ok(Work::blocking(ImageWork { grid, width, height, filter, effect, file, decoded: self.images.place() }))
    }
}

/// Returns width and height of the output in pixels; `None` for other kinds of work.
#[must_use]
pub fn output_size(work: &WorkSpec) -> Option<(u32, u32)> {
    let parameters = (work.kind == NAME).then(|| parameters::<ImageParameters>(work).ok())??;
    parameters.width.zip(parameters.height)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use engine::work::{Detail, Task, TaskContext};
    use fast_image_resize::images::Image;
    use fast_image_resize::{PixelType, ResizeOptions, Resizer};
    use image::{ImageFormat, RgbaImage};
    use quilt::{Grid, Index};
    use serde_json::json;
    use tokio::time::Instant;
    use tokio_util::sync::CancellationToken;

    use super::decode::decode;
    use super::parameters::Filter;
    use super::tiles::mean_color;
    use super::*;

    fn image_kind() -> ImageKind {
        ImageKind::new(1 << 30)
    }

    /// An image in which all adjacent pixels differ, with a transparent corner.
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
        .expect("encodes");
        bytes.into_inner().into()
    }

    async fn prepare(parameters: serde_json::Value, file: Bytes) -> Result<Launch, String> {
        let parameters = parameters.as_object().expect("an object").clone();
        image_kind().prepare(WorkSpec { kind: "image".into(), parameters }, Some(file)).await
    }

    /// Runs all tasks and assembles the tiles.
    async fn resized_in_tiles(parameters: serde_json::Value, file: Bytes, rows: u16, columns: u16) -> RgbaImage {
        let launch = prepare(parameters, file).await.expect("valid");
        let spec = BatchSpec::new(launch.work, Grid::new(rows, columns).expect("small"), 1);
        let Work::Blocking(work) = image_kind().build(&spec, launch.input).expect("valid") else {
            panic!("blocking work")
        };
        let (width, height) = (spec.work.parameters["width"].as_u64(), spec.work.parameters["height"].as_u64());
        let (width, height) = (width.expect("a number") as u32, height.expect("a number") as u32);
        let mut whole = RgbaImage::new(width, height);
        let context = TaskContext {
            deadline: Instant::now() + std::time::Duration::from_secs(3_600),
            cancelled: CancellationToken::new(),
        };
        for index in (0..spec.grid.squares()).map(Index) {
            let done = work
                .run(Task { index, seed: 1, lap: 1, attempt: 1, lease: Default::default() }, &context)
                .expect("succeeds");
            let Some(Detail::Picture(png)) = done.detail else { panic!("a tile") };
            let tile = image::load_from_memory(&png).expect("a PNG").into_rgba8();
            assert_eq!(done.color, mean_color(&tile));
            let square = spec.grid.square(index);
            let (x, y) = (tile_range(width, square.column, columns).start, tile_range(height, square.row, rows).start);
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
        Resizer::new().resize(&source, &mut whole, &options).expect("resizes");
        RgbaImage::from_raw(width, height, whole.into_vec()).expect("fits")
    }

    #[tokio::test]
    async fn tiled_output_matches_the_whole_image() {
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
                let tiled = resized_in_tiles(parameters, file.clone(), 5, 7).await;
                let whole = resized_at_once(&image, width, height, filter);
                let visible = tiled.pixels().zip(whole.pixels()).filter(|(_, whole)| whole.0[3] > 0);
                let channels = visible.flat_map(|(tile, whole)| tile.0.into_iter().zip(whole.0));
                let max_difference =
                    channels.map(|(tile, whole)| tile.abs_diff(whole)).max().expect("there are pixels");
                assert!(max_difference <= 2, "{name} to {width} x {height}: {max_difference}");
            }
        }
    }

    #[tokio::test]
    async fn same_size_is_lossless_for_every_format() {
        let image = sample(40, 30);
        for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Jpeg] {
            let tiled = resized_in_tiles(json!({"filter": "nearest"}), file(&image, format), 3, 4).await;
            let decoded = decode(&file(&image, format)).expect("readable");
            assert_eq!(tiled, decoded, "{format:?}");
        }
    }

    #[tokio::test]
    async fn missing_side_keeps_the_aspect_ratio() {
        let file = file(&sample(200, 100), ImageFormat::Png);
        let launch = prepare(json!({"width": 50}), file.clone()).await.expect("valid");
        assert_eq!(launch.work.parameters["height"], 25);
        let launch = prepare(json!({"height": 50}), file).await.expect("valid");
        assert_eq!(launch.work.parameters["width"], 100);
    }

    #[tokio::test]
    async fn invalid_and_oversized_images_are_refused_at_launch() {
        let png = file(&sample(10, 10), ImageFormat::Png);
        // Bytes 16 to 24 are the size, bytes 29 to 33 the checksum.
        let mut bomb = png.to_vec();
        bomb[16..24].copy_from_slice(&[0, 0, 0x40, 0, 0, 0, 0x40, 0]);
        let crc = {
            let mut crc = flate2::Crc::new();
            crc.update(&bomb[12..29]);
            crc.sum()
        };
        bomb[29..33].copy_from_slice(&crc.to_be_bytes());
        for (file, reason) in [
            (Bytes::from_static(b"GIF89a.."), "not a PNG, JPEG or WebP"),
            (Bytes::from_static(b""), "not a PNG, JPEG or WebP"),
            (png.slice(..20), "cannot be read"),
            (bomb.into(), "16384 × 16384 pixels"),
        ] {
            let error = prepare(json!({}), file).await.expect_err(reason);
            assert!(error.contains(reason), "{error}");
        }
        for (parameters, reason) in [
            (json!({"width": 0}), "width must be"),
            (json!({"width": 161}), "at most 16 times"),
            (json!({"filter": "x"}), "filter"),
            (json!({"filter": "x", "blur": 1}), "blur"),
        ] {
            let error = prepare(parameters, png.clone()).await.expect_err(reason);
            assert!(error.contains(reason) || reason == "filter" && error.contains("unknown variant `x`"), "{error}");
        }
    }

    #[tokio::test]
    async fn truncated_image_fails_its_tasks() {
        let png = file(&sample(64, 64), ImageFormat::Png);
        let launch = prepare(json!({}), png.slice(..png.len() / 2)).await.expect("a valid header");
        let spec = BatchSpec::new(launch.work, Grid::new(2, 2).expect("small"), 1);
        let Work::Blocking(work) = image_kind().build(&spec, launch.input).expect("valid") else {
            panic!("blocking work")
        };
        let context = TaskContext { deadline: Instant::now(), cancelled: CancellationToken::new() };
        let error = work
            .run(Task { index: Index(0), seed: 1, lap: 1, attempt: 1, lease: Default::default() }, &context)
            .expect_err("truncated");
        assert!(error.reason.contains("cannot be decoded"), "{error}");
    }

    #[tokio::test]
    async fn unsuitable_grids_are_refused() {
        let launch = prepare(json!({}), file(&sample(600, 600), ImageFormat::Png)).await.expect("valid");
        let build = |grid| image_kind().build(&BatchSpec::new(launch.work.clone(), grid, 1), launch.input.clone());
        let refused = |grid| build(grid).err().expect("refused");
        assert!(refused(Grid::new(1, 601).expect("small")).contains("too few"));
        assert!(refused(Grid::new(1, 1).expect("small")).contains("360000 pixels"));
        assert!(refused(Grid::with_squares(2, 2, 3).expect("small")).contains("same length"));
        assert!(build(Grid::new(2, 2).expect("small")).is_ok());
    }
}
