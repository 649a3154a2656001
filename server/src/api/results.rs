//! `GET /api/batches/{id}/results`: all outcomes, with their details, in the order of the squares.

use std::sync::Arc;

use ::api::{ResultFormat, ResultsQuery, TaskState};
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use engine::work::Column;
use engine::{Engine, LiveBatch};
use futures::stream;
use tokio::sync::OwnedSemaphorePermit;

use super::formats::{CsvWriter, NdjsonWriter, PngWriter, ResultWriter, Row};
use super::path::BatchPath;
use crate::problem::Problem;
use crate::state::{AppState, MAX_JOURNAL_READERS};

/// How many squares are read at once, and how many if their details may be large.
const CHUNK_SQUARES: u32 = 1_024;
const DETAILED_CHUNK_SQUARES: u32 = 32;

/// Returns the format of the first supported media type in `Accept`. Ignores quality values.
fn accepted(headers: &HeaderMap) -> Option<ResultFormat> {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or("*/*");
    accept.split(',').find_map(|part| match part.split(';').next().unwrap_or_default().trim() {
        "application/x-ndjson"
        | "application/ndjson"
        | "application/jsonl"
        | "application/json"
        | "*/*"
        | "application/*" => Some(ResultFormat::Ndjson),
        "text/csv" | "text/*" => Some(ResultFormat::Csv),
        "image/png" | "image/*" => Some(ResultFormat::Png),
        _ => None,
    })
}

fn content_type(format: ResultFormat) -> &'static str {
    match format {
        ResultFormat::Ndjson => "application/x-ndjson",
        ResultFormat::Csv => "text/csv; charset=utf-8",
        ResultFormat::Png => "image/png",
    }
}

/// `GET /api/batches/{id}/results`.
pub(super) async fn results(
    State(state): State<AppState>,
    BatchPath(id): BatchPath,
    query: Result<Query<ResultsQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Query(ResultsQuery { format, state: wanted, reason, limit }) =
        query.map_err(|rejection| Problem::bad_request("invalid-query", rejection.body_text()))?;
    let format = format.or_else(|| accepted(&headers)).ok_or_else(|| {
        let detail = "results are application/x-ndjson, text/csv or image/png";
        Problem::new(StatusCode::NOT_ACCEPTABLE, "not-acceptable", detail)
    })?;
    if format == ResultFormat::Png && (wanted.is_some() || reason.is_some() || limit.is_some()) {
        let detail = "a picture is of all squares: it takes no state, no reason and no limit";
        return Err(Problem::bad_request("invalid-query", detail));
    }
    let permit = Arc::clone(&state.journals).try_acquire_owned();
    let permit = permit.map_err(|_| Problem::too_many_journals(MAX_JOURNAL_READERS))?;
    let batch = state.engine.open(id).await?.ok_or_else(Problem::no_such_batch)?;
    let reader =
        ResultReader::new(state.engine.clone(), batch, Filter { state: wanted, reason, limit }, permit).await?;
    let stopping = state.stopping.clone();
    let writer: Box<dyn ResultWriter> = match format {
        ResultFormat::Ndjson => Box::new(NdjsonWriter),
        ResultFormat::Csv => Box::new(CsvWriter::new(reader.columns)),
        ResultFormat::Png => Box::new(PngWriter::new(&reader.batch)?),
    };
    let step = match format {
        // A picture is encoded one row of squares at a time.
        ResultFormat::Png => u32::from(reader.batch.folded().quilt.grid().columns()),
        ResultFormat::Ndjson | ResultFormat::Csv if reader.columns.is_empty() => CHUNK_SQUARES,
        ResultFormat::Ndjson | ResultFormat::Csv => DETAILED_CHUNK_SQUARES,
    };
    let body = stream::try_unfold(Some((reader, writer, step)), move |state| {
        let stopping = stopping.clone();
        async move {
            let Some((mut reader, mut writer, step)) = state else { return Ok(None) };
            if stopping.is_cancelled() {
                // An error, so that the client does not take the response for complete.
                return Err(std::io::Error::other("the server is stopping"));
            }
            let Some(rows) = reader.next(step).await.map_err(std::io::Error::other)? else {
                let end = writer.end()?;
                return Ok(Some((Bytes::from(end), None)));
            };
            // Decoding and encoding pictures is CPU-bound.
            let (chunk, writer) = tokio::task::spawn_blocking(move || {
                let chunk = writer.write(&rows);
                chunk.map(|chunk| (chunk, writer))
            })
            .await
            .map_err(std::io::Error::other)??;
            Ok(Some((Bytes::from(chunk), Some((reader, writer, step)))))
        }
    });
    let disposition = format!("inline; filename=\"quilt-{id}.{}\"", format.as_str());
    let headers = [(header::CONTENT_TYPE, content_type(format).to_owned()), (header::CONTENT_DISPOSITION, disposition)];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// Selects squares.
struct Filter {
    state: Option<TaskState>,
    reason: Option<String>,
    limit: Option<u32>,
}

/// Reads the results of a batch in chunks, so that they are never in memory as a whole.
struct ResultReader {
    engine: Engine,
    batch: Arc<LiveBatch>,
    columns: &'static [Column],
    /// The items of the tasks; empty for kinds without items.
    items: Vec<String>,
    /// Only squares in this state.
    wanted: Option<TaskState>,
    /// Only squares that failed for this reason.
    reason: Option<String>,
    /// The next square.
    next: u32,
    /// How many more results are returned.
    remaining: u32,
    _permit: OwnedSemaphorePermit,
}

impl ResultReader {
    async fn new(
        engine: Engine,
        batch: Arc<LiveBatch>,
        Filter { state: wanted, reason, limit }: Filter,
        permit: OwnedSemaphorePermit,
    ) -> Result<Self, Problem> {
        let kind = engine.registry().kind(&batch.spec().work.kind);
        let (columns, items) = match kind {
            Some(kind) => {
                let input = engine.input(batch.id()).await?;
                (kind.columns(), kind.items(batch.spec(), input).unwrap_or_default())
            }
            None => (&[][..], Vec::new()),
        };
        let remaining = limit.unwrap_or(u32::MAX);
        Ok(Self { engine, batch, columns, items, wanted, reason, next: 0, remaining, _permit: permit })
    }

    /// Returns the selected results among the next `step` squares; `None` after the last one.
    async fn next(&mut self, step: u32) -> Result<Option<Vec<Row>>, engine::JournalError> {
        let end = self.batch.folded().quilt.grid().squares();
        if self.next >= end || self.remaining == 0 {
            return Ok(None);
        }
        let squares = self.next..end.min(self.next + step);
        self.next = squares.end;
        let results = self.engine.results(&self.batch, squares.clone()).await?;
        let grid = self.batch.spec().grid;
        let mut rows = Vec::with_capacity(results.len());
        for (index, result) in squares.zip(results) {
            let item = self.items.get(index as usize).cloned();
            let row = Row { square: grid.square(quilt::Index(index)), item, result };
            let is_wanted = self.wanted.is_none_or(|wanted| wanted == row.state());
            if is_wanted && row.has_reason(self.reason.as_deref()) && self.remaining > 0 {
                self.remaining -= 1;
                rows.push(row);
            }
        }
        Ok(Some(rows))
    }
}
