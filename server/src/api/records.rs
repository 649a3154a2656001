//! Single squares with their attempts, receipts, and the raw journal.

use std::io;

use ::api::{JournalQuery, ReceiptDocument, ReceiptQuery, SquareDocument};
use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::SquareResult;
use engine::work::Detail;
use futures::{StreamExt, future, stream};
use quilt::wire::put_framed_event;
use quilt::{Index, Offset};

use super::document::{receipt_document, square_document};
use super::path::{BatchPath, SquarePath};
use crate::problem::Problem;
use crate::state::{AppState, MAX_JOURNAL_READERS};

/// `GET /api/batches/{id}/squares/{row}/{column}`.
pub(super) async fn square(
    State(state): State<AppState>,
    SquarePath(id, square): SquarePath,
) -> Result<Json<SquareDocument>, Problem> {
    // Keeps the batch in memory, so that the calls below do not read it again.
    let batch = state.engine.open(id).await?.ok_or_else(Problem::no_such_batch)?;
    let record = state.engine.square(id, square).await?.ok_or_else(Problem::no_such_square)?;
    let index = batch.spec().grid.index(square).map_or(0, |index| index.0);
    let item = state.engine.items(&batch).await?.get(index).map(Into::into);
    let waiting = state.engine.why(id, Index(index)).await?;
    Ok(Json(square_document(id, square, item, record, waiting)))
}

/// `GET /api/batches/{id}/squares/{row}/{column}/picture.png`: the picture that the task of a square has drawn.
pub(super) async fn picture(
    State(state): State<AppState>,
    SquarePath(id, square): SquarePath,
) -> Result<Response, Problem> {
    let batch = state.engine.open(id).await?.ok_or_else(Problem::no_such_batch)?;
    let index = batch.spec().grid.index(square).ok_or_else(Problem::no_such_square)?;
    let result = state.engine.results(&batch, index.0..index.0 + 1).await?.pop();
    match result.as_ref().and_then(SquareResult::detail) {
        Some(Detail::Picture(png)) => Ok(([(header::CONTENT_TYPE, "image/png")], png.clone()).into_response()),
        _ => Err(Problem::new(StatusCode::NOT_FOUND, "no-picture", "the task of this square has drawn no picture")),
    }
}

/// `GET /api/batches/{id}/receipt`: the receipt of the given lap, or the last one.
pub(super) async fn receipt(
    State(state): State<AppState>,
    BatchPath(id): BatchPath,
    query: Result<Query<ReceiptQuery>, QueryRejection>,
) -> Result<Json<ReceiptDocument>, Problem> {
    let Query(ReceiptQuery { lap }) =
        query.map_err(|rejection| Problem::bad_request("invalid-query", rejection.body_text()))?;
    let receipts = state.engine.receipts(id).await?.ok_or_else(Problem::no_such_batch)?;
    let receipt = receipts.into_iter().rev().find(|receipt| lap.is_none_or(|lap| receipt.lap == lap));
    let receipt = receipt.ok_or_else(|| {
        let detail = match lap {
            Some(lap) => format!("lap {lap} of this batch has not crossed its finish line"),
            None => "this batch has not crossed a finish line".into(),
        };
        Problem::new(StatusCode::NOT_FOUND, "no-receipt", detail)
    })?;
    Ok(Json(receipt_document(id, receipt)))
}

/// `GET /api/batches/{id}/journal`: the events in the journal at this moment, in the format of [`quilt::wire`], without the first `after`.
pub(super) async fn journal(
    State(state): State<AppState>,
    BatchPath(id): BatchPath,
    query: Result<Query<JournalQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(JournalQuery { after }) =
        query.map_err(|rejection| Problem::bad_request("invalid-query", rejection.body_text()))?;
    let permit = state.journals.try_acquire_owned().map_err(|_| Problem::too_many_journals(MAX_JOURNAL_READERS))?;
    let pages = state.engine.journal(id, Offset(after)).await?.ok_or_else(Problem::no_such_batch)?;
    let parts = pages.map(|page| {
        page.map(|events| {
            let mut bytes = Vec::new();
            events.iter().for_each(|event| put_framed_event(&mut bytes, event));
            bytes
        })
        .map_err(io::Error::other)
    });
    // When the server stops, end the response with an error, so that the client does not take it for complete.
    let stopping = state.stopping.clone();
    let cut =
        stream::once(async move { stopping.is_cancelled().then(|| Err(io::Error::other("the server is stopping"))) });
    let parts = parts.take_until(state.stopping.cancelled_owned()).chain(cut.filter_map(future::ready));
    let parts = parts.inspect(move |_| {
        let _held = &permit;
    });
    // The format is compact, so the response is not compressed.
    let headers = [(header::CONTENT_TYPE, "application/octet-stream"), (header::CONTENT_ENCODING, "identity")];
    Ok((headers, Body::from_stream(parts)).into_response())
}
