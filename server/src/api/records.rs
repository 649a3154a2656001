//! One square with its attempts, and receipts.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;

use super::document::{ReceiptDocument, SquareDocument};
use super::path::{BatchPath, SquarePath};
use crate::problem::Problem;
use crate::routes::AppState;

/// `GET /api/batches/{id}/squares/{row}/{column}`.
pub(super) async fn square(
    State(state): State<AppState>,
    SquarePath(id, square): SquarePath,
) -> Result<Json<SquareDocument>, Problem> {
    // Held, so that it is not read twice.
    let _batch = state.engine.open(id).await?.ok_or_else(Problem::no_such_batch)?;
    let record = state.engine.square(id, square).await?.ok_or_else(Problem::no_such_square)?;
    Ok(Json(SquareDocument::new(square, record)))
}

/// The query of `GET /api/batches/{id}/receipt`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReceiptQuery {
    lap: Option<u32>,
}

/// `GET /api/batches/{id}/receipt`: that of the last finish line, or of a lap's own.
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
    Ok(Json(ReceiptDocument::new(id, receipt)))
}
