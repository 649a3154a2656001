//! The formats of results.

use std::io::{self, Cursor};
use std::sync::{Arc, Mutex, PoisonError};

use ::api::{ResultLine, TaskState};
use engine::work::{Column, Detail};
use engine::{LiveBatch, SquareResult};
use quilt::{Color, Square, SquareState};
use serde_json::{Map, Value};

use crate::problem::Problem;

/// The last attempt at a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RowAttempt {
    /// Which attempt it was in its lap, from 1.
    pub(super) number: u32,
    pub(super) took_ms: u32,
    pub(super) worker: Option<String>,
}

/// The result of one square.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    pub(super) square: Square,
    pub(super) item: Option<String>,
    pub(super) result: SquareResult,
    /// If it was asked for and is known.
    pub(super) attempt: Option<RowAttempt>,
}

impl Row {
    /// Its state as in the fold.
    pub(super) fn square_state(&self) -> SquareState<'_> {
        match &self.result {
            SquareResult::Pending => SquareState::Pending,
            SquareResult::Done { color, .. } => SquareState::Done(*color),
            SquareResult::Failed { reason, .. } => SquareState::Failed(reason),
            SquareResult::NotRun => SquareState::NotRun,
        }
    }

    /// About how many bytes its texts and its detail take.
    pub(super) fn bytes(&self) -> usize {
        let record = self.record().map_or(0, |record| record.values().map(value_bytes).sum());
        let message = self.failure().map_or(0, |(message, _)| message.len());
        self.item.as_ref().map_or(0, String::len) + message + record
    }

    fn state(&self) -> TaskState {
        match self.result {
            SquareResult::Pending => TaskState::Pending,
            SquareResult::Done { .. } => TaskState::Done,
            SquareResult::Failed { .. } => TaskState::Failed,
            SquareResult::NotRun => TaskState::NotRun,
        }
    }

    pub(super) fn color(&self) -> Option<Color> {
        match self.result {
            SquareResult::Done { color, .. } => Some(color),
            _ => None,
        }
    }

    /// Returns the message and the reason of a failure.
    pub(super) fn failure(&self) -> Option<(&str, &str)> {
        match &self.result {
            SquareResult::Failed { reason, message, .. } => Some((message, reason)),
            _ => None,
        }
    }

    fn record(&self) -> Option<&Map<String, Value>> {
        match self.result.detail() {
            Some(Detail::Record(record)) => Some(record),
            Some(Detail::Picture(_)) | None => None,
        }
    }
}

/// About how many bytes a value takes.
fn value_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => size_of::<Value>(),
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(value_bytes).sum(),
        Value::Object(members) => members.iter().map(|(name, value)| name.len() + value_bytes(value)).sum(),
    }
}

/// A row as in JSON.
pub(super) fn result_line(row: &Row) -> ResultLine {
    let Square { row: number, column } = row.square;
    let attempt = row.attempt.as_ref();
    ResultLine {
        attempts: attempt.map(|attempt| attempt.number),
        row: number.into(),
        column: column.into(),
        item: row.item.clone(),
        state: row.state(),
        color: row.color().map(Into::into),
        failed: row.failure().map(|(message, _)| message.into()),
        reason: row.failure().map(|(_, reason)| reason.into()),
        detail: row.record().cloned(),
        took_ms: attempt.map(|attempt| attempt.took_ms),
        worker: attempt.and_then(|attempt| attempt.worker.clone()),
    }
}

/// Encodes results incrementally.
pub(super) trait ResultWriter: Send {
    /// Encodes the next rows, and returns the bytes that are complete.
    fn write(&mut self, rows: &[Row]) -> io::Result<Vec<u8>>;

    /// Returns the bytes after the last row.
    fn end(&mut self) -> io::Result<Vec<u8>> {
        Ok(Vec::new())
    }
}

/// One JSON object per line.
pub(super) struct NdjsonWriter;

impl ResultWriter for NdjsonWriter {
    fn write(&mut self, rows: &[Row]) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for row in rows {
            serde_json::to_writer(&mut bytes, &result_line(row))?;
            bytes.push(b'\n');
        }
        Ok(bytes)
    }
}

/// A table with a header.
pub(super) struct CsvWriter {
    columns: &'static [Column],
    /// Whether there are columns for the last attempts.
    has_attempts: bool,
    has_begun: bool,
}

impl CsvWriter {
    pub(super) fn new(columns: &'static [Column], has_attempts: bool) -> Self {
        Self { columns, has_attempts, has_begun: false }
    }
}

impl ResultWriter for CsvWriter {
    fn write(&mut self, rows: &[Row]) -> io::Result<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        if !std::mem::replace(&mut self.has_begun, true) {
            let names = ["row", "column", "item", "state", "color", "failed", "reason"];
            let own = self.columns.iter().map(|column| column.name);
            // Last, so that the other columns keep their places.
            let of_attempts = ["attempts", "took_ms", "worker"].into_iter().filter(|_| self.has_attempts);
            writer.write_record(names.into_iter().chain(own).chain(of_attempts))?;
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
            let attempt = row.attempt.as_ref();
            let of_attempts = [
                attempt.map(|attempt| attempt.number.to_string()),
                attempt.map(|attempt| attempt.took_ms.to_string()),
                attempt.and_then(|attempt| attempt.worker.as_deref().map(escape_formula)),
            ];
            let of_attempts = of_attempts.into_iter().map(Option::unwrap_or_default).filter(|_| self.has_attempts);
            writer.write_record(own.chain(values).chain(of_attempts))?;
        }
        writer.into_inner().map_err(|error| error.into_error())
    }
}

/// Escapes text that a spreadsheet would interpret as a formula, because it may come from untrusted pages.
fn escape_formula(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.into() }
}

/// The picture whose tiles the tasks have drawn, or one with a pixel per square.
pub(super) struct PngWriter {
    /// The widths of the columns and the heights of the rows, in pixels; `None` if a square is a pixel.
    tiles: Option<(Vec<u32>, Vec<u32>)>,
    columns: usize,
    row: usize,
    writer: Option<png::StreamWriter<'static, SharedBuffer>>,
    buffer: SharedBuffer,
}

/// A buffer that the PNG encoder writes to and [`PngWriter`] takes from.
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

/// The color of squares without a result.
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

    /// Returns the pixels of a row of squares, one pixel each.
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

/// Joins the tiles of a row of squares. Missing and invalid tiles are transparent.
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

/// Decodes a tile; `None` if it is invalid or has another size or color type.
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
