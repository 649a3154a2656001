//! The app's pages and server functions.

use app::server::AppContext;
use app::{App, shell};
use axum::Router;
use axum::http::{HeaderValue, header};
use leptos::nonce::use_nonce;
use leptos::prelude::{provide_context, use_context};
use leptos_axum::{LeptosRoutes, ResponseOptions, file_and_error_handler_with_context, generate_route_list};

use crate::routes::AppState;

/// Every page, every server function, and the files of the site folder.
pub(crate) fn routes(state: &AppState) -> Router<AppState> {
    let context = AppContext { engine: state.engine.clone(), limits: state.limits };
    let provide = move || {
        provide_context(context.clone());
        restrict_content();
    };
    let options = state.leptos.clone();
    Router::new()
        .leptos_routes_with_context(state, generate_route_list(App), provide.clone(), move || shell(options.clone()))
        .fallback(file_and_error_handler_with_context::<AppState, _>(provide, shell))
}

/// Adds a Content-Security-Policy for the nonce of this response: scripts are this site's own, and inline ones are those that the
/// server wrote.
fn restrict_content() {
    let (Some(nonce), Some(response)) = (use_nonce(), use_context::<ResponseOptions>()) else { return };
    // cargo-leptos reloads the page over a WebSocket of its own.
    let reload = if std::env::var_os("LEPTOS_WATCH").is_some() { " ws:" } else { "" };
    let policy = format!(
        "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'; style-src 'self'; \
         style-src-attr 'unsafe-inline'; img-src 'self' data:; connect-src 'self'{reload}; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'"
    );
    if let Ok(policy) = HeaderValue::try_from(policy) {
        response.insert_header(header::CONTENT_SECURITY_POLICY, policy);
    }
}
