//! A quilt as a PNG, for lists, for pages without JavaScript, and for download.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use quilt::{Grid, Index, Quilt, SquareState};
use serde::Deserialize;

use crate::problem::Problem;
use crate::state::AppState;

/// The length of the longer side to which small quilts are enlarged by default, in pixels.
const DEFAULT_SIDE: u16 = 512;

/// Maximum length of the longer side of enlarged quilts, in pixels.
const MAX_ENLARGED_SIDE: u32 = 1_024;

/// Red, green, blue and alpha.
type Pixel = [u8; 4];

/// The background.
const PAPER: Pixel = [0xff, 0xfa, 0xf2, 0xff];

/// The colors of squares without a result, and of failed ones.
const PENDING: Pixel = [0xd6, 0xc6, 0xa8, 0xff];
const FAILED: Pixel = [0xa3, 0x28, 0x2a, 0xff];

const TRANSPARENT: Pixel = [0; 4];

/// The query of `GET /batches/{id}/quilt.png`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PictureQuery {
    /// Maximum length of the longer side in pixels. Squares are averaged to fit.
    side: Option<u16>,
    /// The time at which the batch ended, in milliseconds. If it matches, the picture is final and can be cached.
    at: Option<u64>,
    /// The style of squares without a result.
    #[serde(default)]
    pending: PendingStyle,
}

/// The style of squares without a result.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PendingStyle {
    /// A paper color.
    #[default]
    Paper,
    /// Transparent.
    Transparent,
}

impl PendingStyle {
    fn pixel(self) -> Pixel {
        match self {
            Self::Paper => PENDING,
            Self::Transparent => TRANSPARENT,
        }
    }

    /// The color beside a last row that is shorter than the others.
    fn background(self) -> Pixel {
        match self {
            Self::Paper => PAPER,
            Self::Transparent => TRANSPARENT,
        }
    }
}

/// `GET /batches/{id}/quilt.png`.
pub(crate) async fn picture(
    State(state): State<AppState>,
    Path(id): Path<String>,
    query: Result<Query<PictureQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Query(PictureQuery { side, at, pending }) =
        query.map_err(|rejection| Problem::bad_request("invalid-query", rejection.body_text()))?;
    if side.is_some_and(|side| !(1..=quilt::grid::MAX_SIDE).contains(&side)) {
        let detail = format!("side must be from 1 to {}", quilt::grid::MAX_SIDE);
        return Err(Problem::bad_request("invalid-query", detail));
    }
    let id = id.parse().map_err(|_| Problem::no_such_batch())?;
    let batch = state.engine.open(id).await?.ok_or_else(Problem::no_such_batch)?;
    let describe = |quilt: &Quilt| {
        let is_immutable = at.is_some() && quilt.summary().ended_at.map(|ended_at| ended_at.0) == at;
        let caching = if is_immutable { "private, max-age=31536000, immutable" } else { "no-cache" };
        let tag = format!("\"{}-{}-{pending:?}\"", quilt.step().0, side.unwrap_or_default());
        [(header::ETAG, tag), (header::CACHE_CONTROL, caching.to_owned())]
    };
    let [tag, caching] = describe(&batch.folded().quilt);
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.1.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, [tag, caching]).into_response());
    }
    let permit = state.pictures.acquire_owned().await.map_err(|_| Problem::internal())?;
    // A copy, so that drawing does not lock the fold.
    let quilt = batch.folded().quilt.clone();
    let described = describe(&quilt);
    // A million squares take tens of milliseconds, which would block the runtime.
    let encoded = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let raster = Raster::new(&quilt, side, pending);
        raster.encode().map_err(|error| error.to_string())
    });
    match encoded.await.map_err(|error| error.to_string()).flatten() {
        Ok(png) => Ok(([(header::CONTENT_TYPE, "image/png")], described, png).into_response()),
        Err(error) => {
            tracing::error!(error, "a picture could not be made");
            Err(Problem::internal())
        }
    }
}

/// An RGBA image, four bytes per pixel.
pub(crate) struct Raster {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) pixels: Vec<u8>,
}

impl Raster {
    fn new(quilt: &Quilt, side: Option<u16>, pending: PendingStyle) -> Self {
        let pixel = |index| pixel_of(quilt, index, pending);
        let (rows, columns) = (u32::from(quilt.grid().rows()), u32::from(quilt.grid().columns()));
        let longer = rows.max(columns);
        match side.map(u32::from) {
            Some(side) if side < longer => {
                let scaled = |length: u32| (length * side / longer).max(1);
                Self::averaged(quilt.grid(), pixel, pending.background(), scaled(columns), scaled(rows))
            }
            side => Self::enlarged(
                quilt.grid(),
                pixel,
                (side.unwrap_or(DEFAULT_SIDE.into()).min(MAX_ENLARGED_SIDE) / longer).max(1),
            ),
        }
    }

    /// Draws each square as `scale` by `scale` pixels.
    fn enlarged(grid: Grid, pixel: impl Fn(u32) -> Pixel, scale: u32) -> Self {
        let (rows, columns) = (u32::from(grid.rows()), u32::from(grid.columns()));
        let mut pixels = Vec::with_capacity((rows * columns * scale * scale * 4) as usize);
        for row in 0..rows {
            let line: Vec<u8> = (0..columns)
                .flat_map(|column| std::iter::repeat_n(pixel(row * columns + column), scale as usize))
                .flatten()
                .collect();
            (0..scale).for_each(|_| pixels.extend_from_slice(&line));
        }
        Self { width: columns * scale, height: rows * scale, pixels }
    }

    /// Draws each pixel as the mean of its squares.
    fn averaged(grid: Grid, pixel: impl Fn(u32) -> Pixel, background: Pixel, width: u32, height: u32) -> Self {
        let (rows, columns) = (u32::from(grid.rows()), u32::from(grid.columns()));
        // Per pixel: the sums of red, green and blue, the number of opaque squares, and the number of all squares.
        let mut sums = vec![[0_u32; 5]; (width * height) as usize];
        for index in 0..grid.squares() {
            let (x, y) = (index % columns * width / columns, index / columns * height / rows);
            if let Some([red, green, blue, opaque, count]) = sums.get_mut((y * width + x) as usize) {
                *count += 1;
                let [r, g, b, alpha] = pixel(index);
                if alpha > 0 {
                    *red += u32::from(r);
                    *green += u32::from(g);
                    *blue += u32::from(b);
                    *opaque += 1;
                }
            }
        }
        let pixels = sums
            .into_iter()
            .flat_map(|[red, green, blue, opaque, count]| match (opaque, count) {
                (_, 0) => background,
                (0, _) => TRANSPARENT,
                _ => {
                    let mean = |sum: u32| (sum / opaque) as u8;
                    [mean(red), mean(green), mean(blue), (opaque * 255 / count) as u8]
                }
            })
            .collect();
        Self { width, height, pixels }
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, png::EncodingError> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width, self.height);
        encoder.set_color(png::ColorType::Rgba);
        encoder.set_compression(png::Compression::Fast);
        encoder.write_header()?.write_image_data(&self.pixels)?;
        Ok(bytes)
    }
}

fn pixel_of(quilt: &Quilt, index: u32, pending: PendingStyle) -> Pixel {
    if index >= quilt.grid().squares() {
        return pending.background();
    }
    match quilt.square(Index(index)) {
        SquareState::Pending | SquareState::NotRun => pending.pixel(),
        SquareState::Failed(_) => FAILED,
        SquareState::Done(color) => {
            let [_, red, green, blue] = color.rgb().to_be_bytes();
            [red, green, blue, 0xff]
        }
    }
}

#[cfg(test)]
mod tests {
    use quilt::{BatchSpec, Color, Event, Launched, Outcome, Settlement, Timestamp, WorkSpec};

    use super::*;

    fn spec(grid: Grid) -> BatchSpec {
        BatchSpec::new(WorkSpec { kind: "color".into(), parameters: serde_json::Map::new() }, grid, 1)
    }

    fn quilt(rows: u16, columns: u16) -> Quilt {
        let grid = Grid::new(rows, columns).expect("small");
        let mut quilt = Quilt::new(Launched::new(spec(grid), Timestamp(1)));
        let order = quilt.order();
        let outcome = |index: u32| match index {
            0 => Outcome::Failed("no".into()),
            _ => Outcome::Done(Color::from_rgb(index)),
        };
        let settlements = (0..u32::from(rows) * u32::from(columns) - 1)
            .map(|index| Settlement { position: order.position(Index(index)), outcome: outcome(index) })
            .collect();
        quilt.apply(&Event::Settled { lap: 1, at: Timestamp(2), settlements }, &mut Vec::new());
        quilt
    }

    #[test]
    fn a_small_quilt_is_enlarged_to_whole_pixels() {
        let raster = Raster::new(&quilt(2, 3), Some(7), PendingStyle::Paper);
        assert_eq!((raster.width, raster.height), (6, 4));
        assert_eq!(raster.pixels[..12], [FAILED, FAILED, [0, 0, 1, 0xff]].concat());
        assert_eq!(raster.pixels[6 * 3 * 4 + 16..], [PENDING, PENDING].concat());
        assert!(Raster::new(&quilt(2, 3), None, PendingStyle::Paper).width > 500);
    }

    #[test]
    fn a_large_quilt_is_averaged() {
        let raster = Raster::new(&quilt(4, 8), Some(4), PendingStyle::Paper);
        assert_eq!((raster.width, raster.height), (4, 2));
        // Squares 2, 3, 10 and 11.
        assert_eq!(raster.pixels[4..8], [0, 0, 6, 0xff]);
        assert_eq!(raster.pixels.len(), 4 * 2 * 4);
    }

    #[test]
    fn what_is_below_shows_through_squares_without_a_result() {
        let raster = Raster::new(&quilt(2, 3), Some(3), PendingStyle::Transparent);
        assert_eq!(raster.pixels[16..], [[0, 0, 4, 0xff], TRANSPARENT].concat());
        // Squares 22, 23, 30 and 31, of which the last one is pending.
        let raster = Raster::new(&quilt(4, 8), Some(4), PendingStyle::Transparent);
        assert_eq!(raster.pixels[28..], [0, 0, 25, 191]);
    }

    #[test]
    fn what_is_below_shows_beside_a_shorter_last_row() {
        let grid = Grid::with_squares(4, 4, 13).expect("small");
        let quilt = Quilt::new(Launched::new(spec(grid), Timestamp(1)));
        for side in [4, 2] {
            let last = |style| Raster::new(&quilt, Some(side), style).pixels.last_chunk::<4>().copied();
            assert_eq!(last(PendingStyle::Paper), Some(if side == 4 { PAPER } else { PENDING }));
            assert_eq!(last(PendingStyle::Transparent), Some(TRANSPARENT));
        }
    }

    #[test]
    fn what_is_encoded_is_a_picture_of_that_size() {
        let png = Raster::new(&quilt(3, 3), Some(3), PendingStyle::Paper).encode().expect("in memory");
        let reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().expect("a PNG");
        assert_eq!((reader.info().width, reader.info().height), (3, 3));
    }
}
