//! The routes and middleware of the server.

use std::any::Any;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::{CompressionLayer, CompressionLevel};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::trace::TraceLayer;

use crate::body;
use crate::origin::csrf_guard;
use crate::problem::Problem;
use crate::session::{require_owner, session_layer};
use crate::state::AppState;
use crate::{api, assets, channel, pages, picture, preview};

/// Builds the router of the whole server.
pub(crate) fn router(state: AppState) -> Router {
    let for_visitors = pages::routes(&state)
        .nest("/api", api::routes())
        .route("/batches/{id}/channel", get(channel::open))
        .route("/batches/{id}/quilt.png", get(picture::picture))
        .layer(from_fn_with_state(state.clone(), require_owner))
        .layer(from_fn_with_state(state.clone(), session_layer))
        .layer(from_fn_with_state(state.clone(), csrf_guard))
        .layer(from_fn_with_state(state.clone(), body::limit_body))
        // `limit_body` above replaces the default limit.
        .layer(DefaultBodyLimit::disable());
    // Static files and the health check need no session.
    Router::new()
        .route(&format!("/{}/{{*path}}", site::PKG), get(assets::file))
        .route("/favicon.svg", get(assets::file))
        .route("/presets/{kind}/{preset}", get(preview::preview))
        .route("/healthz", get(health))
        .merge(for_visitors)
        .layer(CatchPanicLayer::custom(|panic: Box<dyn Any + Send>| panic_response(&*panic)))
        .layer(map_response(revalidate))
        .layer(from_fn(body::drain_body))
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
        .layer(fixed_header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        // The referrer is needed on this site: forms posted without JavaScript redirect to it.
        .layer(fixed_header(header::REFERRER_POLICY, "same-origin"))
        .layer(TraceLayer::new_for_http().on_failure(()).on_response(log_response))
        .with_state(state)
}

/// `GET /healthz`: 503 with the reason if launches are refused.
async fn health(State(state): State<AppState>) -> Response {
    match state.engine.health().await {
        Ok(()) => "ok\n".into_response(),
        Err(error) => {
            let text = format!("{error}. Launches are refused; batches can be read.\n");
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
    }
}

fn panic_response(panic: &(dyn Any + Send)) -> Response {
    let message =
        panic.downcast_ref::<&str>().map(ToString::to_string).or_else(|| panic.downcast_ref::<String>().cloned());
    tracing::error!(message, "a handler panicked");
    Problem::internal().into_response()
}

fn fixed_header(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}

/// Middleware that makes caches revalidate all responses without their own `Cache-Control`.
async fn revalidate(mut response: Response) -> Response {
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
    response
}

fn log_response(response: &Response, latency: Duration, _: &tracing::Span) {
    let status = response.status();
    let millis = latency.as_millis();
    if status.is_server_error() {
        tracing::error!(status = status.as_u16(), millis, "answered with an error");
    } else {
        tracing::debug!(status = status.as_u16(), millis, "answered");
    }
}
