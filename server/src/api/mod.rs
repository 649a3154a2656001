//! The public API: JSON in, JSON or problem details out.
//!
//! # Layout
//!
//! - [`batches`]: launch, list, read, control and delete batches
//! - [`records`]: single squares, receipts and the raw journal
//! - [`results`]: outcomes with their details, as files and pages; [`formats`]: their formats; [`selection`]: filters;
//!   [`result_pages`]: pages and their cursors; [`result_source`]: reads from the engine
//! - [`document`]: conversion from the engine's types to those of the API
//! - [`events`]: server-sent events
//! - [`path`]: extractors of path parameters

mod batches;
mod document;
mod events;
mod formats;
mod path;
mod records;
mod result_pages;
mod result_source;
mod results;
mod selection;

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::routing::{get, post};

use crate::problem::Problem;
use crate::state::AppState;

pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/batches", get(batches::list).post(batches::launch))
        .route("/batches/{id}", get(batches::get).patch(batches::change).delete(batches::remove))
        .route("/batches/{id}/events", get(events::follow))
        .route("/batches/{id}/cancel", post(batches::cancel))
        .route("/batches/{id}/pause", post(batches::pause))
        .route("/batches/{id}/resume", post(batches::resume))
        .route("/batches/{id}/retry", post(batches::retry))
        .route("/batches/{id}/continue", post(batches::continue_batch))
        .route("/batches/{id}/reasons", get(batches::reasons))
        .route("/batches/{id}/journal", get(records::journal))
        .route("/batches/{id}/receipt", get(records::receipt))
        .route("/batches/{id}/squares/{row}/{column}", get(records::square))
        .route("/batches/{id}/squares/{row}/{column}/picture.png", get(records::picture))
        .route("/batches/{id}/results", get(results::results))
        .route("/batches/{id}/squares/{row}/{column}/retry", post(batches::retry_square))
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
}

async fn nothing_here(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no-such-address", format!("there is nothing at /api{}", uri.path()))
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("/api{} does not answer to {method}", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong-method", detail)
}
