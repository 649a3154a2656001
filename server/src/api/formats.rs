//! The formats in which results are gathered.

use std::io::{self, Cursor};
use std::sync::{Arc, Mutex, PoisonError};

use ::api::{ResultLine, TaskState};
use engine::work::{Column, Detail};
use engine::{LiveBatch, SquareResult};
use quilt::{Color, Square};
use serde_json::{Map, Value};

use crate::problem::Problem;

/// The result of one square.
pub(super) struct Row {
    pub(super) square: Square,
    pub(super) item: Option<String>,
    pub(super) result: SquareResult,
}

impl Row {
    pub(super) fn state(&self) -> TaskState {
        match self.result {
            SquareResult::Pending => TaskState::Pending,
            SquareResult::Done { .. } => TaskState::Done,
            SquareResult::Failed { .. } => TaskState::Failed,
            SquareResult::NotRun => TaskState::NotRun,
        }
    }

    fn color(&self) -> Option<Color> {
        match self.result {
            SquareResult::Done { color, .. } => Some(color),
            _ => None,
        }
    }

    /// The message and the reason of a failure.
    fn failure(&self) -> Option<(&str, &str)> {
        match &self.result {
            SquareResult::Failed { reason, message, .. } => Some((message, reason)),
            _ => None,
        }
    }

    /// Whether it failed for a reason, if one is asked for.
    pub(super) fn has_reason(&self, wanted: Option<&str>) -> bool {
        wanted.is_none_or(|wanted| self.failure().is_some_and(|(_, reason)| reason == wanted))
    }

    fn record(&self) -> Option<&Map<String, Value>> {
        match self.result.detail() {
            Some(Detail::Record(record)) => Some(record),
            Some(Detail::Picture(_)) | None => None,
        }
    }
}

/// Turns results into pieces of a file.
pub(super) trait ResultWriter: Send {
    /// The piece with these results.
    fn write(&mut self, rows: &[Row]) -> io::Result<Vec<u8>>;

    /// What comes after all of them.
    fn end(&mut self) -> io::Result<Vec<u8>> {
        Ok(Vec::new())
    }
}

/// An object a line.
pub(super) struct NdjsonWriter;

impl ResultWriter for NdjsonWriter {
    fn write(&mut self, rows: &[Row]) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for row in rows {
            let Square { row: number, column } = row.square;
            let line = ResultLine {
                row: number.into(),
                column: column.into(),
                item: row.item.clone(),
                state: row.state(),
                color: row.color().map(Into::into),
                failed: row.failure().map(|(message, _)| message.into()),
                reason: row.failure().map(|(_, reason)| reason.into()),
                detail: row.record().cloned(),
            };
            serde_json::to_writer(&mut bytes, &line)?;
            bytes.push(b'\n');
        }
        Ok(bytes)
    }
}

/// A table.
pub(super) struct CsvWriter {
    columns: &'static [Column],
    has_begun: bool,
}

impl CsvWriter {
    pub(super) fn new(columns: &'static [Column]) -> Self {
        Self { columns, has_begun: false }
    }
}

impl ResultWriter for CsvWriter {
    fn write(&mut self, rows: &[Row]) -> io::Result<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        if !std::mem::replace(&mut self.has_begun, true) {
            let names = ["row", "column", "item", "state", "color", "failed", "reason"];
            writer.write_record(names.into_iter().chain(self.columns.iter().map(|column| column.name)))?;
        }
        for row in rows {
            let Square { row: number, column } = row.square;
            let color = row.color().map(|color| color.to_string()).unwrap_or_default();
            let item = row.item.as_deref().unwrap_or_default();
            let (failed, reason) = row.failure().unwrap_or_default();
            let place = [number.to_string(), column.to_string()];
            let texts = [
                escape_formula(item),
                row.state().as_str().into(),
                color,
                escape_formula(failed),
                escape_formula(reason),
            ];
            let own = place.into_iter().chain(texts);
            let values =
                self.columns.iter().map(|column| match row.record().and_then(|record| record.get(column.name)) {
                    None | Some(Value::Null) => String::new(),
                    Some(Value::String(text)) => escape_formula(text),
                    Some(value) => value.to_string(),
                });
            writer.write_record(own.chain(values))?;
        }
        writer.into_inner().map_err(|error| error.into_error())
    }
}

/// A text that a spreadsheet does not take for a formula, whoever wrote the page that it comes from.
fn escape_formula(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.into() }
}

/// The picture that the tasks have drawn together, or one with a pixel for each square.
pub(super) struct PngWriter {
    /// The widths of the columns and the heights of the rows, in pixels; nothing where a square is a pixel.
    tiles: Option<(Vec<u32>, Vec<u32>)>,
    columns: usize,
    row: usize,
    writer: Option<png::StreamWriter<'static, SharedBuffer>>,
    buffer: SharedBuffer,
}

/// What was written, until it is taken.
#[derive(Clone, Default)]
struct SharedBuffer(Arc<Mutex<Vec<u8>>>);

impl io::Write for SharedBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SharedBuffer {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What is shown where there is no picture.
const TRANSPARENT: [u8; 4] = [0; 4];

impl PngWriter {
    pub(super) fn new(batch: &LiveBatch) -> Result<Self, Problem> {
        let spec = batch.spec();
        let (rows, columns) = (spec.grid.rows(), spec.grid.columns());
        let lengths = |side: u32, count: u16| {
            (0..count).map(|index| kinds::image::tile_range(side, index, count).length).collect()
        };
        let size = kinds::image::output_size(&spec.work);
        let tiles: Option<(Vec<u32>, Vec<u32>)> =
            size.map(|(width, height)| (lengths(width, columns), lengths(height, rows)));
        let (width, height) = size.unwrap_or((columns.into(), rows.into()));
        let buffer = SharedBuffer::default();
        let failed = |error: png::EncodingError| {
            tracing::error!(%error, "a picture cannot be begun");
            Problem::internal()
        };
        let mut encoder = png::Encoder::new(buffer.clone(), width, height);
        encoder.set_color(png::ColorType::Rgba);
        encoder.set_compression(png::Compression::Fast);
        let writer = encoder.write_header().map_err(failed)?.into_stream_writer().map_err(failed)?;
        Ok(Self { tiles, columns: columns.into(), row: 0, writer: Some(writer), buffer })
    }

    /// The pixels of a row of squares that are a pixel each.
    fn pixels(&self, rows: &[Row]) -> Vec<u8> {
        let colors = rows.iter().map(|row| row.color().map_or(TRANSPARENT, opaque));
        let rest = std::iter::repeat_n(TRANSPARENT, self.columns.saturating_sub(rows.len()));
        colors.chain(rest).flatten().collect()
    }
}

fn opaque(color: Color) -> [u8; 4] {
    let [_, red, green, blue] = color.rgb().to_be_bytes();
    [red, green, blue, u8::MAX]
}

/// The pixels of a row of squares that have tiles of these widths and this height. One without a tile is left out.
fn join_tiles(rows: &[Row], widths: &[u32], height: u32) -> Vec<u8> {
    let line = widths.iter().sum::<u32>() as usize * 4;
    let mut band = vec![0; line * height as usize];
    let mut left = 0;
    for (row, width) in rows.iter().zip(widths) {
        let length = *width as usize * 4;
        if let Some(Detail::Picture(png)) = row.result.detail()
            && let Some(tile) = decode(png, *width, height)
        {
            for (line, pixels) in band.chunks_exact_mut(line).zip(tile.chunks_exact(length)) {
                if let Some(place) = line.get_mut(left..left + length) {
                    place.copy_from_slice(pixels);
                }
            }
        }
        left += length;
    }
    band
}

/// The pixels of a tile, if it is what it should be.
fn decode(png: &[u8], width: u32, height: u32) -> Option<Vec<u8>> {
    let mut reader = png::Decoder::new(Cursor::new(png)).read_info().ok()?;
    let info = reader.info();
    if (info.width, info.height, info.color_type) != (width, height, png::ColorType::Rgba) {
        return None;
    }
    let mut pixels = vec![0; reader.output_buffer_size()?];
    reader.next_frame(&mut pixels).ok()?;
    Some(pixels)
}

impl ResultWriter for PngWriter {
    fn write(&mut self, rows: &[Row]) -> io::Result<Vec<u8>> {
        let pixels = match &self.tiles {
            Some((widths, heights)) => join_tiles(rows, widths, heights.get(self.row).copied().unwrap_or_default()),
            None => self.pixels(rows),
        };
        self.row += 1;
        if let Some(writer) = &mut self.writer {
            io::Write::write_all(writer, &pixels)?;
        }
        Ok(self.buffer.take())
    }

    fn end(&mut self) -> io::Result<Vec<u8>> {
        if let Some(writer) = self.writer.take() {
            writer.finish().map_err(io::Error::other)?;
        }
        Ok(self.buffer.take())
    }
}
