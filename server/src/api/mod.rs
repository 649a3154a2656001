//! The public API: JSON in, JSON or problem details out.
//!
//! # Layout
//!
//! - [`batches`]: launch, list, look, cancel and retry
//! - [`document`]: how batches look in JSON
//! - [`events`]: a batch's events as they happen

mod batches;
mod document;
mod events;

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::routing::{get, post};

use crate::problem::Problem;
use crate::routes::AppState;

pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/batches", get(batches::list).post(batches::launch))
        .route("/batches/{id}", get(batches::look))
        .route("/batches/{id}/events", get(events::follow))
        .route("/batches/{id}/cancel", post(batches::cancel))
        .route("/batches/{id}/retry", post(batches::retry))
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
