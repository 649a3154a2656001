//! The app's pages and server functions.

use app::server::AppContext;
use app::{App, Draft, shell};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use leptos::nonce::use_nonce;
use leptos::prelude::{provide_context, use_context};
use leptos::server_fn::ServerFn;
use leptos_axum::{LeptosRoutes, ResponseOptions, generate_route_list, render_app_async_with_context};

use crate::assets;
use crate::problem::Problem;
use crate::site_files::is_watched;
use crate::state::AppState;

/// Returns the routes of all pages and server functions, and of the static files outside of `pkg`.
pub(crate) fn routes(state: &AppState) -> Router<AppState> {
    let options = state.leptos.clone();
    Router::new()
        .leptos_routes_with_context(state, generate_route_list(App), provide(state), move || shell(options.clone()))
        .layer(from_fn_with_state(state.clone(), keep_typed_values))
        .layer(from_fn(require_boundary))
        .fallback(file_or_page)
}

/// Middleware that refuses launch forms without a multipart boundary, because the codec of multipart server functions panics without one.
async fn require_boundary(request: Request, next: Next) -> Response {
    if request.uri().path() != app::functions::Launch::PATH {
        return next.run(request).await;
    }
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    match multer::parse_boundary(kind) {
        Ok(_) => next.run(request).await,
        Err(error) => {
            let detail =
                format!("a launch form is sent as multipart/form-data with a boundary, not as '{kind}': {error}");
            Problem::bad_request("malformed-form", detail).into_response()
        }
    }
}

/// Middleware that answers a launch form that was posted without JavaScript and refused with the page of that form, filled in with what was
/// typed. Server functions would redirect to an empty form.
async fn keep_typed_values(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if request.uri().path() != app::functions::Launch::PATH || !accept.contains("text/html") {
        return next.run(request).await;
    }
    let draft = Draft::default();
    request.extensions_mut().insert(draft.clone());
    let (mut head, _) = Request::new(Body::empty()).into_parts();
    head.headers = request.headers().clone();
    head.headers.remove(header::CONTENT_TYPE);
    head.headers.remove(header::CONTENT_LENGTH);
    head.extensions = request.extensions().clone();
    let response = next.run(request).await;
    // The query of the redirection has the reason.
    let location = response.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
    let query = location.and_then(|location| location.split_once('?')).map(|(_, query)| query);
    let Some(query) = query.filter(|query| query.contains("__err=") && draft.is_filled()) else { return response };
    let Ok(page) = format!("/?{query}").parse() else { return response };
    head.uri = page;
    page_with_status(&state, Request::from_parts(head, Body::empty()), StatusCode::UNPROCESSABLE_ENTITY).await
}

/// Serves a static file, or the page for unknown paths.
async fn file_or_page(State(state): State<AppState>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    match assets::find_file(&state, &head).await {
        Some(response) => response,
        None => page_with_status(&state, Request::from_parts(head, body), StatusCode::NOT_FOUND).await,
    }
}

/// Renders the page for a request, with a status in place of 200.
async fn page_with_status(state: &AppState, request: Request, status: StatusCode) -> Response {
    let options = state.leptos.clone();
    let mut response = render_app_async_with_context(provide(state), move || shell(options.clone()))(request).await;
    // A page may have set another status, for example that of a redirection.
    if response.status() == StatusCode::OK {
        *response.status_mut() = status;
    }
    response
}

/// Provides the context of pages and server functions.
fn provide(state: &AppState) -> impl Fn() + Clone + Send + Sync + 'static {
    let context = AppContext {
        engine: state.engine.clone(),
        limits: state.limits,
        max_upload: state.max_input,
        site: state.names.clone(),
        origin: state.origin.fixed().map(Into::into),
        is_secure: state.origin.is_secure(),
    };
    move || {
        provide_context(context.clone());
        restrict_content();
    }
}

/// Adds a Content-Security-Policy with the nonce of this response. It allows scripts of this site, and inline scripts with the nonce.
fn restrict_content() {
    let (Some(nonce), Some(response)) = (use_nonce(), use_context::<ResponseOptions>()) else { return };
    // cargo-leptos reloads pages over its own WebSocket, on another port.
    let reload = if is_watched() { " ws:" } else { "" };
    let policy = format!(
        "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'; style-src 'self'; \
         style-src-attr 'unsafe-inline'; img-src 'self' data:; connect-src 'self'{reload}; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'"
    );
    if let Ok(policy) = HeaderValue::try_from(policy) {
        response.insert_header(header::CONTENT_SECURITY_POLICY, policy);
    }
}
