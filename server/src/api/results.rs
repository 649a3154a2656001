//! `GET /api/batches/{id}/results`: the outcomes of a batch with their details, all of them as a file or some of them as a page.

use std::sync::Arc;

use ::api::{DEFAULT_PAGE_ROWS, MAX_PAGE_ROWS, ResultFormat, ResultPage, ResultSort, ResultsQuery};
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::formats::{CsvWriter, NdjsonWriter, PngWriter, ResultWriter, Row, result_line};
use super::path::BatchPath;
use super::result_pages::{Cursor, Page, SearchBudget, Source, read_page};
use super::result_source::ResultSource;
use super::selection::Selection;
use crate::problem::Problem;
use crate::state::{AppState, MAX_JOURNAL_READERS};

/// The longest text to search for, in bytes.
const MAX_TEXT: usize = 1_024;

/// Response headers of pages in other formats than JSON: the members of a [`ResultPage`] beside its rows.
const NEXT: HeaderName = HeaderName::from_static("quilt-next");
const MATCHING: HeaderName = HeaderName::from_static("quilt-matching");

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
        ResultFormat::Json => "application/json",
    }
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::bad_request("invalid-query", detail)
}

/// `GET /api/batches/{id}/results`.
pub(super) async fn results(
    State(state): State<AppState>,
    BatchPath(id): BatchPath,
    query: Result<Query<ResultsQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|rejection| invalid(rejection.body_text()))?;
    let format = query.format.or_else(|| accepted(&headers)).ok_or_else(|| {
        let detail = "results are application/x-ndjson, text/csv or image/png";
        Problem::new(StatusCode::NOT_ACCEPTABLE, "not-acceptable", detail)
    })?;
    let asks_for_page = query.asks_for_page() || format == ResultFormat::Json;
    let is_filtered = query.state.is_some() || query.reason.is_some() || query.limit.is_some() || query.attempts;
    if format == ResultFormat::Png && (asks_for_page || is_filtered) {
        return Err(invalid("a picture is of all squares: it takes no state, reason, limit, text, order or attempts"));
    }
    if let Some(text) = query.text.as_ref().filter(|text| text.len() > MAX_TEXT) {
        return Err(invalid(format!("text must have at most {MAX_TEXT} bytes, not {}", text.len())));
    }
    if query.limit == Some(0) {
        return Err(invalid("limit must be at least 1, not 0"));
    }
    let is_page = asks_for_page || query.limit.is_some_and(|limit| limit <= MAX_PAGE_ROWS);
    if let Some(limit) = query.limit.filter(|limit| is_page && *limit > MAX_PAGE_ROWS) {
        return Err(invalid(format!("limit must be at most {MAX_PAGE_ROWS} for a page, not {limit}")));
    }
    let cursor = match &query.after {
        None => Cursor { rank: 0, ordering: None },
        Some(text) => Cursor::parse(text).ok_or_else(|| {
            invalid(format!(
                "after must be a cursor that an earlier page has returned, or a number of squares, not '{text}'"
            ))
        })?,
    };
    cursor.check(query.sort.unwrap_or(ResultSort::Square), query.order.unwrap_or_default()).map_err(invalid)?;
    let permit = Arc::clone(&state.journals).try_acquire_owned();
    let permit = permit.map_err(|_| Problem::too_many_journals(MAX_JOURNAL_READERS))?;
    let batch = state.engine.open(id).await?.ok_or_else(Problem::no_such_batch)?;
    let source = ResultSource::new(state.engine.clone(), batch, query.attempts).await?;
    let selection = Selection::new(query.state, query.reason.clone(), query.text.as_deref());
    let response = if is_page {
        page(source, &selection, &query, cursor, format).await?
    } else {
        file(source, selection, &query, format, state.stopping.clone(), permit)?
    };
    let disposition = format!("inline; filename=\"quilt-{id}.{}\"", format.as_str());
    let headers = [(header::CONTENT_TYPE, content_type(format).to_owned()), (header::CONTENT_DISPOSITION, disposition)];
    Ok((headers, response).into_response())
}

/// Returns a page.
async fn page(
    mut source: ResultSource,
    selection: &Selection,
    query: &ResultsQuery,
    cursor: Cursor,
    format: ResultFormat,
) -> Result<Response, Problem> {
    let ordering = source.sort(query.sort.unwrap_or(ResultSort::Square), query.order.unwrap_or_default()).await?;
    if cursor.ordering.is_some_and(|of_cursor| of_cursor != ordering) {
        let detail = format!(
            "the order of the results has changed since the cursor '{cursor}' was returned, because the batch has run again; start again \
             without after"
        );
        return Err(Problem::new(StatusCode::CONFLICT, "results-changed", detail));
    }
    let limit = query.limit.unwrap_or(DEFAULT_PAGE_ROWS) as usize;
    let Page { rows, next, found } = read_page(&source, selection, cursor.rank, limit, SearchBudget::start()).await?;
    let matching = selection.count(&source.batch.folded().quilt).or(found);
    let searched = next.unwrap_or_else(|| source.len());
    let next = next.map(|rank| Cursor { rank, ordering: Some(ordering) }.to_string());
    let failed = |error: std::io::Error| {
        tracing::error!(%error, "a page of results cannot be written");
        Problem::internal()
    };
    if format == ResultFormat::Json {
        let rows = rows.iter().map(result_line).collect();
        return Ok(axum::Json(ResultPage { rows, next, matching, searched }).into_response());
    }
    let mut writer: Box<dyn ResultWriter> = match format {
        ResultFormat::Csv => Box::new(CsvWriter::new(source.columns, query.attempts)),
        ResultFormat::Ndjson | ResultFormat::Json | ResultFormat::Png => Box::new(NdjsonWriter),
    };
    let mut response = Body::from(writer.write(&rows).map_err(failed)?).into_response();
    let value = |text: String| HeaderValue::from_str(&text).ok();
    let headers = [(NEXT, next.and_then(value)), (MATCHING, matching.and_then(|count| value(count.to_string())))];
    for (name, value) in headers {
        if let Some(value) = value {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

/// Streams a file.
fn file(
    source: ResultSource,
    selection: Selection,
    query: &ResultsQuery,
    format: ResultFormat,
    stopping: CancellationToken,
    permit: OwnedSemaphorePermit,
) -> Result<Response, Problem> {
    let writer: Box<dyn ResultWriter> = match format {
        ResultFormat::Ndjson | ResultFormat::Json => Box::new(NdjsonWriter),
        ResultFormat::Csv => Box::new(CsvWriter::new(source.columns, query.attempts)),
        ResultFormat::Png => Box::new(PngWriter::new(&source.batch)?),
    };
    let step = match format {
        // A picture is encoded one row of squares at a time.
        ResultFormat::Png => u32::from(source.batch.spec().grid.columns()),
        ResultFormat::Ndjson | ResultFormat::Csv | ResultFormat::Json => source.step_size(),
    };
    let remaining = query.limit.unwrap_or(u32::MAX);
    let reader = FileReader { source, selection, next: 0, step, remaining, _permit: permit };
    let body = stream::try_unfold(Some((reader, writer)), move |state| {
        let stopping = stopping.clone();
        async move {
            let Some((mut reader, mut writer)) = state else { return Ok(None) };
            if stopping.is_cancelled() {
                // An error, so that the client does not take the response for complete.
                return Err(std::io::Error::other("the server is stopping"));
            }
            let Some(rows) = reader.next().await.map_err(std::io::Error::other)? else {
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
            Ok(Some((Bytes::from(chunk), Some((reader, writer)))))
        }
    });
    Ok(Body::from_stream(body).into_response())
}

/// Reads the results of a batch in chunks, so that they are never in memory as a whole.
struct FileReader {
    source: ResultSource,
    selection: Selection,
    /// The next square.
    next: u32,
    /// How many squares are read at once.
    step: u32,
    /// How many more results are returned.
    remaining: u32,
    _permit: OwnedSemaphorePermit,
}

impl FileReader {
    /// Returns the selected results among the next squares; `None` after the last one.
    async fn next(&mut self) -> Result<Option<Vec<Row>>, engine::JournalError> {
        let end = self.source.len();
        if self.next >= end || self.remaining == 0 {
            return Ok(None);
        }
        let squares = self.next..end.min(self.next.saturating_add(self.step));
        self.next = squares.end;
        let mut rows = self.source.read_range(squares).await?;
        rows.retain(|row| self.selection.matches_state(row.square_state()));
        rows.truncate(self.remaining as usize);
        self.remaining -= rows.len() as u32;
        Ok(Some(rows))
    }
}
